//! Which other clusters an istiod reads: by the remote secrets beside it, as far as their credentials are good and
//! their API servers let it in.

use std::time::Duration;

use data_encoding::BASE64;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::kubeconfig::{Access, parse};
use super::reach;
use super::view::{Cluster, SYSTEM, decoded, environment, instant, label, list, text};
use crate::sandbox::clock::later;
use crate::sandbox::world::World;

/// How long istiod takes to read a cluster.
const SYNC: Duration = Duration::from_secs(12);

/// After this long it says that a cluster times out (`PILOT_REMOTE_CLUSTER_TIMEOUT`).
const TIMEOUT: Duration = Duration::from_secs(30);

const ACCOUNT: &str = "istio-reader-service-account";

/// A cluster that an istiod was told of.
pub(super) struct Remote<'w> {
    /// The id that it goes by there.
    pub(super) id: String,
    secret: String,
    /// The cluster behind it, once it is read.
    pub(super) synced: Option<Cluster<'w>>,
    status: &'static str,
}

/// The id that an istiod calls its own cluster by.
pub(super) fn own_id(istiod: &Value) -> &str {
    environment(istiod, "discovery").get("CLUSTER_ID").copied().filter(|id| !id.is_empty()).unwrap_or("Kubernetes")
}

/// What `/debug/clusterz` prints.
pub(super) fn clusterz(world: &World, cluster: Cluster<'_>, istiod: &Value) -> Value {
    let mut all = vec![json!({ "id": own_id(istiod), "secretName": "", "syncStatus": "synced" })];
    all.extend(remotes(world, cluster, istiod).iter().map(|remote| {
        json!({ "id": remote.id, "secretName": format!("{SYSTEM}/{}", remote.secret), "syncStatus": remote.status })
    }));
    Value::Array(all)
}

/// The clusters that an istiod knows services of: its own and those it has read, by id.
pub(super) fn known<'w>(world: &'w World, cluster: Cluster<'w>, istiod: &Value) -> Vec<(String, Cluster<'w>)> {
    let own = (own_id(istiod).to_owned(), cluster);
    let read = remotes(world, cluster, istiod).into_iter();
    std::iter::once(own).chain(read.filter_map(|remote| Some((remote.id, remote.synced?)))).collect()
}

/// The clusters that the remote secrets tell of.
pub(super) fn remotes<'w>(world: &'w World, cluster: Cluster<'w>, istiod: &Value) -> Vec<Remote<'w>> {
    let own = own_id(istiod);
    let mut remotes: Vec<Remote<'w>> = Vec::new();
    let secrets = cluster.list("", "secrets", Some(SYSTEM)).into_iter();
    for secret in secrets.filter(|secret| label(secret, "istio/multiCluster") == Some("true")) {
        let keys = secret.get("data").and_then(Value::as_object).into_iter().flatten();
        for (id, _) in keys {
            // Its own would be overwritten; the first secret that tells of a cluster stays.
            if id == own || remotes.iter().any(|remote| remote.id == *id) {
                continue;
            }
            let Some(access) = decoded(secret, id).and_then(|bytes| parse(&bytes)) else { continue };
            let (synced, status) = status(world, cluster, istiod, secret, &access);
            let secret = text(secret, "/metadata/name").to_owned();
            remotes.push(Remote { id: id.clone(), secret, synced, status });
        }
    }
    remotes
}

fn status<'w>(
    world: &'w World,
    cluster: Cluster<'w>,
    istiod: &Value,
    secret: &Value,
    access: &Access,
) -> (Option<Cluster<'w>>, &'static str) {
    let since = written(secret).max(instant(istiod, "/status/startTime").unwrap_or(Timestamp::MIN));
    let now = cluster.now;
    match target(world, cluster, istiod, access) {
        Some(read) if now >= later(since, SYNC) => (Some(read), "synced"),
        None if now >= later(since, TIMEOUT) => (None, "timeout"),
        Some(_) | None => (None, "syncing"),
    }
}

/// When an object was last written by somebody.
fn written(object: &Value) -> Timestamp {
    let created = instant(object, "/metadata/creationTimestamp");
    let changed = list(object, "/metadata/managedFields").iter().map(|entry| instant(entry, "/time"));
    changed.chain([created]).flatten().max().unwrap_or(Timestamp::MIN)
}

/// The cluster that an access leads to, if everything about it is good: the endpoint can be reached, is who it should
/// be, knows the token, and lets its owner read.
fn target<'w>(world: &'w World, from: Cluster<'w>, istiod: &Value, access: &Access) -> Option<Cluster<'w>> {
    let host = access.server.strip_prefix("https://")?.split(['/', ':']).next()?;
    let unique = host.split('.').next()?;
    let target = Cluster::all(world, from.now).find(|one| one.row.unique.eq_ignore_ascii_case(unique))?;
    (reach::api(world, from, istiod, target) && knows(target, access) && may_read(target)).then_some(target)
}

/// Whether a token is one of the reader's, and the authority the cluster's own: tokens that do not expire are good for as
/// long as their Secret holds them, and it holds the authority too.
fn knows(target: Cluster<'_>, access: &Access) -> bool {
    let encoded = BASE64.encode(access.token.as_bytes());
    let account = |secret: &Value| {
        let annotations = secret.pointer("/metadata/annotations");
        annotations.map(|all| text(all, "/kubernetes.io~1service-account.name").to_owned()).unwrap_or_default()
    };
    !access.token.is_empty()
        && target.list("", "secrets", Some(SYSTEM)).into_iter().any(|secret| {
            text(secret, "/type") == "kubernetes.io/service-account-token"
                && account(secret) == ACCOUNT
                && text(secret, "/data/token") == encoded
                && ["", access.authority.as_str()].contains(&text(secret, "/data/ca.crt"))
        })
        && target.get("", "serviceaccounts", Some(SYSTEM), ACCOUNT).is_some()
}

/// Whether the reader is bound to a role that may list Services.
fn may_read(target: Cluster<'_>) -> bool {
    let rbac = "rbac.authorization.k8s.io";
    let is_reader = |subject: &Value| {
        text(subject, "/kind") == "ServiceAccount"
            && text(subject, "/name") == ACCOUNT
            && text(subject, "/namespace") == SYSTEM
    };
    let has = |rule: &Value, field: &str, wanted: &str| {
        list(rule, field).iter().filter_map(Value::as_str).any(|one| one == wanted || one == "*")
    };
    let reads = |role: &Value| {
        list(role, "/rules").iter().any(|rule| has(rule, "/resources", "services") && has(rule, "/verbs", "list"))
    };
    let mut bindings = target.list(rbac, "clusterrolebindings", None).into_iter();
    bindings.any(|binding| {
        list(binding, "/subjects").iter().any(is_reader)
            && target.get(rbac, "clusterroles", None, text(binding, "/roleRef/name")).is_some_and(reads)
    })
}
