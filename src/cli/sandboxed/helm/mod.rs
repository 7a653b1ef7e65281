//! What stands in for helm in the sandbox: releases are recorded as helm records them, and the objects of well-known charts
//! are applied as helm applies them, without helm.
//!
//! Entry point: [`SandboxHelm`]. An operation takes several requests, in helm's order: the record of a revision that is
//! pending, its objects, the record's end. So one that is cut off leaves what helm leaves. Clusters that are not the
//! sandbox's are somebody else's: the program's. Hooks are not run: no known chart has one.

mod wire;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use futures_util::future::LocalBoxFuture;
use futures_util::stream::{self, TryStreamExt as _};
use http::Method;
use serde_json::{Value, json};

use self::wire::{Form, Wire, path_of};
use super::route::SandboxRoute;
use crate::model::Clock;
use crate::resource::{ClusterAccess, ErrorClass, Helm, ProviderError, ReleaseOrder, ReleaseState, ReleaseStatus};
use crate::sandbox::Sandbox;
use crate::sandbox::charts::{self, Record, Wanted};

const APPLY: &str = "helm:Upgrade";
const ROLLBACK: &str = "helm:Rollback";
const UNINSTALL: &str = "helm:Uninstall";
const RENDER: &str = "helm:Template";
const READ: &str = "helm:Read";

/// What stands in for helm's version.
const VERSION: &str = "v4 (sandbox: releases are recorded, helm is not run)";

/// How many objects are looked at side by side.
const WIDTH: usize = 8;

/// How many revisions of a release are kept.
const HISTORY: usize = 10;

const RELEASE_NAME: &str = "meta.helm.sh/release-name";
const RELEASE_NAMESPACE: &str = "meta.helm.sh/release-namespace";

/// Records releases in the sandbox's clusters.
pub(crate) struct SandboxHelm {
    wire: Wire,
    /// Who runs helm for clusters that are not the sandbox's.
    program: Rc<dyn Helm>,
    /// Whether there was such a cluster.
    meets_others: Cell<bool>,
}

impl fmt::Debug for SandboxHelm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SandboxHelm")
    }
}

impl SandboxHelm {
    /// For the clusters of a sandbox; `program` is for others.
    pub(crate) fn new(sandbox: &Sandbox, clock: Arc<dyn Clock>, program: Rc<dyn Helm>) -> Self {
        let wire = Wire {
            route: Rc::new(SandboxRoute::of(sandbox)),
            aws: sandbox.sdk_config(),
            clock,
            tokens: RefCell::new(BTreeMap::new()),
        };
        Self { wire, program, meets_others: Cell::new(false) }
    }

    /// Whether a cluster is one of the sandbox's.
    fn is_own(&self, access: &ClusterAccess) -> bool {
        let own = self.wire.route.leads_to(&access.endpoint);
        self.meets_others.set(self.meets_others.get() || !own);
        own
    }

    /// The revisions of a release that are kept, the last one last.
    async fn revisions(
        &self,
        operation: &'static str,
        access: &ClusterAccess,
        (namespace, name): (&str, &str),
    ) -> Result<Vec<Record>, ProviderError> {
        let path = format!("/api/v1/namespaces/{namespace}/secrets?labelSelector=owner%3Dhelm%2Cname%3D{name}");
        let found = self.wire.ask(access, (operation, Method::GET), &path, None).await?.unwrap_or_default();
        let damaged = |error: charts::Damaged| ProviderError::new(ErrorClass::Invalid, operation, error.to_string());
        let mut records = Vec::new();
        for secret in found["items"].as_array().into_iter().flatten() {
            let record = Record::parse(secret).map_err(damaged)?;
            // The label says it, and the record is written with it; a hand that changed one is believed.
            let status = secret["metadata"]["labels"]["status"].as_str().unwrap_or(&record.status).to_owned();
            records.push(Record { status, ..record });
        }
        records.sort_by_key(|record| record.revision);
        Ok(records)
    }

    fn now(&self) -> String {
        self.wire.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
    }

    async fn install_or_upgrade(&self, access: &ClusterAccess, order: &ReleaseOrder) -> Result<(), ProviderError> {
        let revisions = self.revisions(APPLY, access, (&order.namespace, &order.name)).await?;
        let last = revisions.last();
        if last.is_some_and(|last| last.status.starts_with("pending-")) {
            let message = "UPGRADE FAILED: another operation (install/upgrade/rollback) is in progress";
            return Err(ProviderError::new(ErrorClass::Busy, APPLY, message));
        }
        let rendered = rendered(APPLY, order, last.is_some())?;
        let now = self.now();
        let next = Record {
            name: order.name.clone(),
            namespace: order.namespace.clone(),
            revision: last.map_or(1, |last| last.revision.saturating_add(1)),
            status: if last.is_some() { "pending-upgrade" } else { "pending-install" }.to_owned(),
            description: order.description.clone(),
            times: (revisions.first().map_or_else(|| now.clone(), |first| first.times.0.clone()), now),
            manifest: charts::manifest(&rendered),
            chart: (rendered.chart, rendered.version, rendered.app_version),
            values: order.values.clone(),
        };
        self.perform(access, (APPLY, order.forces_conflicts), &revisions, next, rendered.objects).await
    }

    async fn roll_back(
        &self,
        access: &ClusterAccess,
        (namespace, name): (&str, &str),
        revision: u32,
    ) -> Result<(), ProviderError> {
        let revisions = self.revisions(ROLLBACK, access, (namespace, name)).await?;
        let Some(target) = revisions.iter().find(|record| record.revision == revision) else {
            let message = format!("release has no {revision} version");
            return Err(ProviderError::new(ErrorClass::Invalid, ROLLBACK, message));
        };
        let last = revisions.last().map_or(revision, |last| last.revision);
        let next = Record {
            revision: last.saturating_add(1),
            status: "pending-rollback".to_owned(),
            times: (target.times.0.clone(), self.now()),
            ..target.clone()
        };
        let objects = target.objects();
        self.perform(access, (ROLLBACK, true), &revisions, next, objects).await
    }

    /// Records a revision, applies its objects, and records how that ended.
    async fn perform(
        &self,
        access: &ClusterAccess,
        (operation, forces): (&'static str, bool),
        revisions: &[Record],
        mut next: Record,
        objects: Vec<Value>,
    ) -> Result<(), ProviderError> {
        let namespace = next.namespace.clone();
        let before = revisions.iter().rev().find(|record| record.status == "deployed").or(revisions.last());
        let old = before.map(Record::objects).unwrap_or_default();
        self.check_owners(operation, access, (&next, &old), &objects).await?;
        let secrets = format!("/api/v1/namespaces/{namespace}/secrets");
        let secret = written(operation, &next)?;
        self.wire.ask(access, (operation, Method::POST), &secrets, Some((Form::Whole, &secret))).await?;
        let result = self.put_all(access, (operation, forces), (&next, &old), &objects).await;
        let description = next.description.clone();
        match &result {
            Ok(()) => "deployed".clone_into(&mut next.status),
            Err(error) => {
                "failed".clone_into(&mut next.status);
                next.description = format!("{description}\n{error}");
            }
        }
        self.keep(operation, access, &next).await?;
        result?;
        for old in
            revisions.iter().filter(|record| record.status == "deployed" || record.status.starts_with("pending-"))
        {
            self.keep(operation, access, &Record { status: "superseded".to_owned(), ..old.clone() }).await?;
        }
        let surplus = (revisions.len() + 1).saturating_sub(HISTORY);
        for old in revisions.iter().take(surplus) {
            let path = format!("{secrets}/{}", old.secret_name());
            self.wire.ask(access, (operation, Method::DELETE), &path, None).await?;
        }
        Ok(())
    }

    /// Refuses to take over objects that are there and that no release, or another one, made.
    async fn check_owners(
        &self,
        operation: &'static str,
        access: &ClusterAccess,
        (next, old): (&Record, &[Value]),
        objects: &[Value],
    ) -> Result<(), ProviderError> {
        let known: Vec<String> = old.iter().filter_map(|object| path_of(object, &next.namespace).ok()).collect();
        let mut new = Vec::new();
        for object in objects {
            let path = path_of(object, &next.namespace)?;
            if !known.contains(&path) {
                new.push((path, object));
            }
        }
        stream::iter(new.into_iter().map(Ok))
            .try_for_each_concurrent(WIDTH, |(path, object)| async move {
                let found = self.wire.ask(access, (operation, Method::GET), &path, None).await?;
                let Some(found) = found else { return Ok(()) };
                let annotations = &found["metadata"]["annotations"];
                if annotations[RELEASE_NAME] == next.name.as_str()
                    && annotations[RELEASE_NAMESPACE] == next.namespace.as_str()
                {
                    return Ok(());
                }
                let message = format!(
                    "unable to continue with install: {} \"{}\" exists and cannot be imported into the current release: invalid \
                     ownership metadata; annotation validation error: key \"{RELEASE_NAME}\" must be set to \"{}\"",
                    object["kind"].as_str().unwrap_or_default(),
                    object["metadata"]["name"].as_str().unwrap_or_default(),
                    next.name
                );
                Err(ProviderError::new(ErrorClass::Conflict, operation, message))
            })
            .await
    }

    /// Applies the objects of a revision in order, and deletes those of the one before that it no longer has.
    async fn put_all(
        &self,
        access: &ClusterAccess,
        (operation, forces): (&'static str, bool),
        (next, old): (&Record, &[Value]),
        objects: &[Value],
    ) -> Result<(), ProviderError> {
        let mut paths = Vec::new();
        for object in objects {
            let path = path_of(object, &next.namespace)?;
            let mut object = object.clone();
            object["metadata"]["labels"]["app.kubernetes.io/managed-by"] = "Helm".into();
            object["metadata"]["annotations"][RELEASE_NAME] = next.name.as_str().into();
            object["metadata"]["annotations"][RELEASE_NAMESPACE] = next.namespace.as_str().into();
            let query = format!("{path}?fieldManager=helm&force={forces}");
            let applied =
                self.wire.ask(access, (operation, Method::PATCH), &query, Some((Form::Apply, &object))).await?;
            if applied.is_none() {
                let message = format!("{path} cannot be made: its namespace is not there");
                return Err(ProviderError::new(ErrorClass::Invalid, operation, message));
            }
            paths.push(path);
        }
        let gone =
            old.iter().rev().filter(|object| path_of(object, &next.namespace).is_ok_and(|path| !paths.contains(&path)));
        self.delete_all(access, operation, &next.namespace, gone).await
    }

    async fn delete_all<'a>(
        &self,
        access: &ClusterAccess,
        operation: &'static str,
        namespace: &str,
        objects: impl Iterator<Item = &'a Value>,
    ) -> Result<(), ProviderError> {
        for object in objects.filter(|object| object["metadata"]["annotations"]["helm.sh/resource-policy"] != "keep") {
            let path = format!("{}?propagationPolicy=Background", path_of(object, namespace)?);
            self.wire.ask(access, (operation, Method::DELETE), &path, None).await?;
        }
        Ok(())
    }

    /// Writes what became of a revision.
    async fn keep(
        &self,
        operation: &'static str,
        access: &ClusterAccess,
        record: &Record,
    ) -> Result<(), ProviderError> {
        let secret = written(operation, record)?;
        let path = format!("/api/v1/namespaces/{}/secrets/{}", record.namespace, record.secret_name());
        let change = json!({ "metadata": { "labels": secret["metadata"]["labels"] }, "data": secret["data"] });
        self.wire.ask(access, (operation, Method::PATCH), &path, Some((Form::Merge, &change))).await?;
        Ok(())
    }

    async fn take_away(&self, access: &ClusterAccess, (namespace, name): (&str, &str)) -> Result<(), ProviderError> {
        let revisions = self.revisions(UNINSTALL, access, (namespace, name)).await?;
        let Some(last) = revisions.last() else { return Ok(()) };
        self.keep(UNINSTALL, access, &Record { status: "uninstalling".to_owned(), ..last.clone() }).await?;
        let objects = last.objects();
        self.delete_all(access, UNINSTALL, namespace, objects.iter().rev()).await?;
        // The last one last: until then the release is there, and is being taken away.
        for record in &revisions {
            let path = format!("/api/v1/namespaces/{namespace}/secrets/{}", record.secret_name());
            self.wire.ask(access, (UNINSTALL, Method::DELETE), &path, None).await?;
        }
        Ok(())
    }

    async fn state(
        &self,
        access: &ClusterAccess,
        (namespace, name): (&str, &str),
    ) -> Result<Option<ReleaseState>, ProviderError> {
        let revisions = self.revisions(READ, access, (namespace, name)).await?;
        Ok(state_of(&revisions))
    }
}

/// What a release is, by its revisions.
fn state_of(revisions: &[Record]) -> Option<ReleaseState> {
    let last = revisions.last()?;
    let deployed = |status: &str| revisions.iter().rev().find(|record| record.status == status).map(|one| one.revision);
    Some(ReleaseState {
        status: match last.status.as_str() {
            "deployed" => ReleaseStatus::Deployed,
            "failed" => ReleaseStatus::Failed,
            "pending-install" => ReleaseStatus::PendingInstall,
            "pending-upgrade" => ReleaseStatus::PendingUpgrade,
            "pending-rollback" => ReleaseStatus::PendingRollback,
            "uninstalling" => ReleaseStatus::Uninstalling,
            "uninstalled" => ReleaseStatus::Uninstalled,
            _ => ReleaseStatus::Other,
        },
        revision: last.revision,
        deployed: deployed("deployed").or_else(|| deployed("superseded")),
        chart: last.chart.0.clone(),
        version: last.chart.1.clone(),
        values: last.values.clone(),
        manifest: last.manifest.clone(),
        description: last.description.clone(),
    })
}

/// The objects that a release would have.
fn rendered(operation: &'static str, order: &ReleaseOrder, upgrades: bool) -> Result<charts::Rendered, ProviderError> {
    let wanted = Wanted {
        name: &order.name,
        namespace: &order.namespace,
        chart: &order.chart,
        version: order.version.as_deref(),
        values: &order.values,
        upgrades,
    };
    charts::render(&wanted).map_err(|why| {
        let message = format!("the chart {} cannot be rendered: {why}", order.chart);
        ProviderError::new(ErrorClass::Invalid, operation, message)
    })
}

fn written(operation: &'static str, record: &Record) -> Result<Value, ProviderError> {
    record.secret().map_err(|error| ProviderError::bug(operation, error.to_string()))
}

impl Helm for SandboxHelm {
    fn version(&self) -> LocalBoxFuture<'_, Result<String, ProviderError>> {
        if self.meets_others.get() {
            return self.program.version();
        }
        Box::pin(async { Ok(VERSION.to_owned()) })
    }

    fn read<'a>(
        &'a self,
        access: &'a ClusterAccess,
        namespace: &'a str,
        name: &'a str,
    ) -> LocalBoxFuture<'a, Result<Option<ReleaseState>, ProviderError>> {
        if self.is_own(access) {
            return Box::pin(self.state(access, (namespace, name)));
        }
        self.program.read(access, namespace, name)
    }

    fn apply<'a>(
        &'a self,
        access: &'a ClusterAccess,
        release: &'a ReleaseOrder,
    ) -> LocalBoxFuture<'a, Result<(), ProviderError>> {
        if self.is_own(access) {
            return Box::pin(self.install_or_upgrade(access, release));
        }
        self.program.apply(access, release)
    }

    fn rollback<'a>(
        &'a self,
        access: &'a ClusterAccess,
        namespace: &'a str,
        name: &'a str,
        revision: u32,
    ) -> LocalBoxFuture<'a, Result<(), ProviderError>> {
        if self.is_own(access) {
            return Box::pin(self.roll_back(access, (namespace, name), revision));
        }
        self.program.rollback(access, namespace, name, revision)
    }

    fn uninstall<'a>(
        &'a self,
        access: &'a ClusterAccess,
        namespace: &'a str,
        name: &'a str,
    ) -> LocalBoxFuture<'a, Result<(), ProviderError>> {
        if self.is_own(access) {
            return Box::pin(self.take_away(access, (namespace, name)));
        }
        self.program.uninstall(access, namespace, name)
    }

    fn render<'a>(
        &'a self,
        release: &'a ReleaseOrder,
        kubernetes: &'a str,
    ) -> LocalBoxFuture<'a, Result<String, ProviderError>> {
        if self.meets_others.get() {
            return self.program.render(release, kubernetes);
        }
        let manifest = rendered(RENDER, release, release.upgrades).map(|rendered| charts::manifest(&rendered));
        Box::pin(async move { manifest })
    }
}

#[cfg(test)]
mod tests;
