//! `helm.release`: a chart with its values, installed in a cluster under a name.
//!
//! It is ready once helm has stored its objects and the workloads among them run. While they do not, it takes changes
//! all the same: what ails them may be what the next values mend. Addresses of load balancers are not waited for, here
//! or by helm.
//!
//! Every revision carries whose it is (`marker`). A release of the same name that is somebody else's is refused, and
//! taken in by `meshplan state adopt`. What its last operation left is a field of the spec, so that a release that
//! failed or was cut off is drift, and is brought to its values like any other (`repair`).

use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};

use crate::model::diff::{FieldRule, FieldTrait};
use crate::model::{Address, AttrPath, Value};
use crate::resource::{
    Api, Created, Deletion, ErrorClass, Expected, FieldError, Found, KindRules, Live, OutputClass, OutputRule,
    Ownership, ProviderError, ReleaseState, ReleaseStatus, RemoteId, ResourceKind, Status, Updated, WaitPolicy,
};

use super::link::Link;
use super::marker::Marker;
use super::repair::{Next, next, word};
pub use super::spec::{Chart, Spec};
use super::spec::{id_of, parts, unprefixed};
use super::values;
use super::workloads::{Health, health};

/// How many releases of a read are asked for at once.
const WIDTH: usize = 4;

const READ: &str = "helm:Read";
const INSTALL: &str = "helm:Install";
const UPGRADE: &str = "helm:Upgrade";
const UNINSTALL: &str = "helm:Uninstall";

/// The kind `helm.release`.
#[derive(Debug, Clone, Copy)]
pub struct HelmRelease;

/// What a release yields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outputs {
    /// The number of its last revision.
    pub revision: u32,
    /// The chart's version.
    pub version: String,
    /// What its last operation left: `deployed`.
    pub status: String,
}

impl KindRules for HelmRelease {
    fn name(&self) -> &'static str {
        "helm.release"
    }

    fn fields(&self) -> &'static [FieldRule] {
        &[
            FieldRule { path: "name", traits: &[FieldTrait::Immutable] },
            FieldRule { path: "namespace", traits: &[FieldTrait::Immutable] },
            FieldRule { path: "chart", traits: &[FieldTrait::WriteOnly] },
            FieldRule { path: "repository", traits: &[FieldTrait::WriteOnly] },
            // An upgrade takes the values of its own order alone: what somebody set by hand would be gone after it.
            FieldRule { path: "values", traits: &[FieldTrait::Exclusive] },
        ]
    }

    fn outputs(&self) -> &'static [OutputRule] {
        const CHANGES: &[&str] = &["chart", "repository", "version", "values", "tags", "status"];
        const fn of(name: &'static str) -> OutputRule {
            OutputRule { name, class: OutputClass::Plain, changes_with: CHANGES }
        }
        const { &[of("revision"), of("version"), of("status")] }
    }

    fn expected(&self) -> Expected {
        // Helm takes seconds; images are pulled and containers start in the rest.
        Expected { create: 25.0, update: 20.0, delete: 3.0 }
    }

    fn api(&self) -> Api {
        Api::Helm
    }

    fn reads_each(&self) -> u32 {
        // The release, and some workloads and their pods.
        4
    }

    fn wait(&self) -> WaitPolicy {
        WaitPolicy::new(300, 1_000, 900).suspecting_after(300)
    }

    fn is_named(&self) -> bool {
        true
    }

    fn known_id(&self, spec: &Value) -> Option<RemoteId> {
        Some(id_of(spec.get("namespace")?.as_str()?, spec.get("name")?.as_str()?))
    }

    fn check(&self, spec: &Value) -> Vec<FieldError> {
        let text = |field: &str| spec.get(field).and_then(Value::as_str);
        let mut errors = Vec::new();
        let mut wrong = |field: &str, message: String| {
            errors.push(FieldError { path: AttrPath::keys(&[field]), message });
        };
        for (field, most) in [("name", 53), ("namespace", 63)] {
            if !text(field).is_some_and(|name| is_label(name, most)) && !is_hole(spec, field) {
                let rule = format!("lower-case letters, digits and `-`, at most {most} of them");
                wrong(field, format!("is no name: {rule}"));
            }
        }
        let chart = text("chart").unwrap_or_default();
        if chart.is_empty() && !is_hole(spec, "chart") {
            wrong("chart", "is missing: a chart's name, an `oci://` reference or a directory".to_owned());
        } else if chart.starts_with('-') {
            wrong("chart", "begins with `-`".to_owned());
        }
        if let Some(repository) = text("repository") {
            if chart.starts_with("oci://") {
                wrong("repository", "is set, and `chart` says itself where it is".to_owned());
            } else if repository.starts_with("oci://") {
                let way = format!("{}/{chart}", repository.trim_end_matches('/'));
                wrong("repository", format!("is a registry, which has no index of charts: write `{way}` as the chart"));
            } else if !(repository.starts_with("https://") || repository.starts_with("http://")) {
                wrong("repository", "is no URL of a chart repository: it begins with `https://`".to_owned());
            } else if repository.split('/').nth(2).is_some_and(|host| host.contains('@')) {
                let way = "use a registry (`oci://`, after `helm registry login`) or a local directory";
                wrong("repository", format!("holds a password, which would stand in process lists: {way}"));
            }
        }
        if let Some(version) = text("version")
            && !is_exact(version)
        {
            wrong("version", format!("`{version}` is no exact version, such as 1.30.3: an apply makes no choices"));
        }
        errors.extend(values::check(spec.get("values").unwrap_or(&Value::Null)));
        errors
    }
}

fn is_hole(spec: &Value, field: &str) -> bool {
    matches!(spec.get(field), Some(Value::Unknown(_)))
}

fn is_label(name: &str, most: usize) -> bool {
    !name.is_empty()
        && name.len() <= most
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && !name.starts_with('-')
        && !name.ends_with('-')
}

/// Whether a version is one and no range: three numbers, and what may follow them.
fn is_exact(version: &str) -> bool {
    let version = unprefixed(version);
    let numbers = version.split(['-', '+']).next().unwrap_or_default();
    let is_number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    numbers.split('.').count() == 3
        && numbers.split('.').all(is_number)
        && version.bytes().all(|b| b.is_ascii_alphanumeric() || b".-+".contains(&b))
}

impl ResourceKind for HelmRelease {
    type Spec = Spec;
    type Outputs = Outputs;
    type Client = Link;

    fn example() -> Spec {
        let values = serde_json::json!({ "global": { "network": "network1" }, "autoscaleMin": 2 });
        Spec::new(
            "mesh1",
            &Address::new("helm.release", &["cluster-1", "istio-system", "istiod"]),
            ("istio-system", "istiod"),
            Chart {
                name: "istiod".to_owned(),
                repository: Some("https://istio-release.storage.googleapis.com/charts".to_owned()),
                version: Some("1.30.3".to_owned()),
            },
            serde_json::from_value(values).unwrap_or_default(),
        )
    }

    async fn read_many(&self, link: &Link, ids: &[RemoteId]) -> Found<Spec, Outputs> {
        stream::iter(ids).map(|id| read(link, id)).buffered(WIDTH).try_collect().await
    }

    async fn create(
        &self,
        link: &Link,
        spec: &Spec,
        owner: &Ownership,
    ) -> Result<Created<Spec, Outputs>, ProviderError> {
        let id = id_of(&spec.namespace, &spec.name);
        if let Some(there) = link.state(&spec.namespace, &spec.name).await? {
            if is_made_by(&there, owner) {
                return Ok(Created { id, live: None });
            }
            return Err(taken(&id, &there, owner));
        }
        let order = spec.order(Some(&owner.token), link.forces_conflicts(), false)?;
        match link.helm().apply(link.access(), &order).await {
            Ok(()) => Ok(Created { id, live: None }),
            // What helm has begun is there: it is found by its marker, and goes on from where it ended.
            Err(error) => match link.state(&spec.namespace, &spec.name).await {
                Ok(Some(there)) if is_made_by(&there, owner) => Err(error.with_class(ErrorClass::Ambiguous)),
                Ok(_) | Err(_) => Err(error),
            },
        }
    }

    async fn find(&self, link: &Link, spec: &Spec, owner: &Ownership) -> Result<Option<RemoteId>, ProviderError> {
        let there = link.state(&spec.namespace, &spec.name).await?;
        Ok(there.filter(|there| is_made_by(there, owner)).map(|_| id_of(&spec.namespace, &spec.name)))
    }

    async fn update(&self, link: &Link, id: &RemoteId, _: &Spec, to: &Spec) -> Result<Updated, ProviderError> {
        let (namespace, name) = parts(id)?;
        let Some(there) = link.state(namespace, name).await? else {
            return Err(ProviderError::new(ErrorClass::Conflict, UPGRADE, format!("the release {id} is gone")));
        };
        match next(&there, is_wanted(&there, to)?) {
            Next::Apply => {
                let token = Marker::parse(&there.description).and_then(|marker| marker.token);
                let order = to.order(token.as_deref(), link.forces_conflicts(), true)?;
                link.helm().apply(link.access(), &order).await?;
            }
            // What is wanted comes with the next update: the release is read first.
            Next::Rollback(revision) => link.helm().rollback(link.access(), namespace, name, revision).await?,
            Next::Wait => return Err(busy(UPGRADE, id, &there)),
            Next::Going => {
                let message = format!("the release {id} is being uninstalled");
                return Err(ProviderError::new(ErrorClass::InUse, UPGRADE, message));
            }
        }
        Ok(Updated::Done)
    }

    async fn diagnose(&self, link: &Link, id: &RemoteId) -> Result<Vec<String>, ProviderError> {
        let (namespace, name) = parts(id)?;
        let Some(there) = link.state(namespace, name).await? else { return Ok(Vec::new()) };
        Ok(health(link.kube(), &there.manifest, namespace).await?.stuck)
    }

    async fn delete(&self, link: &Link, id: &RemoteId) -> Result<Deletion, ProviderError> {
        let (namespace, name) = parts(id)?;
        let Some(there) = link.state(namespace, name).await? else { return Ok(Deletion::Accepted) };
        if there.status == ReleaseStatus::UnderWay {
            return Ok(Deletion::Later(under_way(&there)));
        }
        if Marker::parse(&there.description).is_none() {
            let message = format!(
                "the release {id} is there and not meshplan's ({}): somebody made it anew; uninstall it by hand, or drop \
                 it from state with `meshplan state forget`",
                remark(&there)
            );
            return Err(ProviderError::new(ErrorClass::Conflict, UNINSTALL, message));
        }
        link.helm().uninstall(link.access(), namespace, name).await?;
        Ok(Deletion::Accepted)
    }
}

async fn read(link: &Link, id: &RemoteId) -> Result<Option<Live<Spec, Outputs>>, ProviderError> {
    let (namespace, name) = parts(id)?;
    let Some(state) = link.state(namespace, name).await? else { return Ok(None) };
    let health = match state.status {
        ReleaseStatus::Deployed => health(link.kube(), &state.manifest, namespace).await?,
        ReleaseStatus::Failed
        | ReleaseStatus::PendingInstall
        | ReleaseStatus::PendingUpgrade
        | ReleaseStatus::PendingRollback
        | ReleaseStatus::UnderWay
        | ReleaseStatus::Uninstalling
        | ReleaseStatus::Uninstalled
        | ReleaseStatus::Other => Health::default(),
    };
    project(namespace, name, &state, &health).map(Some)
}

/// A release as what would have to be declared to get it.
fn project(
    namespace: &str,
    name: &str,
    state: &ReleaseState,
    health: &Health,
) -> Result<Live<Spec, Outputs>, ProviderError> {
    let values: Value = serde_json::from_value(state.values.clone())
        .map_err(|error| ProviderError::new(ErrorClass::Invalid, READ, format!("the values of {name}: {error}")))?;
    let version = unprefixed(&state.version).to_owned();
    // What is missing is made by the next upgrade, so that it is drift.
    let status_word = match health.lacks() {
        Some(missing) => format!("{}, and is without {missing}", word(state.status)),
        None => word(state.status).to_owned(),
    };
    let status = match state.status {
        ReleaseStatus::Deployed => match health.lacks().or_else(|| health.waits_for()) {
            Some(why) => Status::Degraded(why),
            None => Status::Ready,
        },
        ReleaseStatus::UnderWay => Status::Pending(under_way(state)),
        ReleaseStatus::Uninstalling => Status::Deleting,
        // Never a failure for good: that would be replaced, and everything of its kinds would go with it.
        ReleaseStatus::Failed
        | ReleaseStatus::PendingInstall
        | ReleaseStatus::PendingUpgrade
        | ReleaseStatus::PendingRollback
        | ReleaseStatus::Uninstalled
        | ReleaseStatus::Other => Status::Degraded(remark(state)),
    };
    let spec = Spec {
        name: name.to_owned(),
        namespace: namespace.to_owned(),
        chart: state.chart.clone(),
        repository: None,
        version: Some(version.clone()),
        values,
        tags: Marker::parse(&state.description).map(|marker| marker.tags()).unwrap_or_default(),
        status: status_word,
    };
    let outputs = Outputs { revision: state.revision, version, status: word(state.status).to_owned() };
    Ok(Live { spec, outputs, status })
}

/// Whether a release's last revision has the version and the values that are wanted.
fn is_wanted(there: &ReleaseState, to: &Spec) -> Result<bool, ProviderError> {
    let values: Value = serde_json::from_value(there.values.clone())
        .map_err(|error| ProviderError::new(ErrorClass::Invalid, READ, error.to_string()))?;
    let version = to.version.as_deref().is_none_or(|version| unprefixed(version) == unprefixed(&there.version));
    Ok(version && values::canonical(&values) == values::canonical(&to.values))
}

fn is_made_by(there: &ReleaseState, owner: &Ownership) -> bool {
    Marker::parse(&there.description).is_some_and(|marker| marker.token.as_deref() == Some(owner.token.as_str()))
}

/// Somebody else's release has the name.
fn taken(id: &RemoteId, there: &ReleaseState, owner: &Ownership) -> ProviderError {
    let whose = match Marker::parse(&there.description) {
        Some(marker) => format!("of the mesh `{}` as {}", marker.mesh, marker.address),
        None => format!("not meshplan's ({})", remark(there)),
    };
    let message = format!(
        "the release {id} is there already, and is {whose}; `meshplan state adopt {} {id}` takes it in if nothing else \
         manages it, or choose another name",
        owner.address
    );
    ProviderError::new(ErrorClass::Conflict, INSTALL, message)
}

fn busy(operation: &'static str, id: &RemoteId, there: &ReleaseState) -> ProviderError {
    ProviderError::new(ErrorClass::Busy, operation, format!("the release {id}: {}", under_way(there)))
}

fn under_way(there: &ReleaseState) -> String {
    format!("a helm operation is under way, or was until lately: {}", remark(there))
}

/// A release in a few words: chart, revision, and what helm says of it.
fn remark(there: &ReleaseState) -> String {
    let said: Vec<&str> = match Marker::parse(&there.description) {
        Some(_) => there.description.lines().skip(1).collect(),
        None => there.description.lines().collect(),
    };
    let said = if said.is_empty() { word(there.status).to_owned() } else { said.join(" ") };
    format!("{} {}, revision {}: {}", there.chart, there.version, there.revision, said.trim_end_matches('.'))
}

#[cfg(test)]
mod tests;
