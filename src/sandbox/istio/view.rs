//! The objects of the clusters, to be looked at: those of one cluster, and the clusters there are.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use crate::sandbox::world::rows::{self, KubernetesObject};
use crate::sandbox::world::{Region, World};

/// The namespace of control planes.
pub(super) const SYSTEM: &str = "istio-system";
/// The label that says which network something is in.
pub(super) const NETWORK: &str = "topology.istio.io/network";

/// A cluster, at an instant.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cluster<'w> {
    pub(super) region: &'w Region,
    pub(super) row: &'w rows::Cluster,
    pub(super) now: Timestamp,
}

impl<'w> Cluster<'w> {
    /// A cluster by its name in EKS, if its API server runs.
    pub(super) fn named(world: &'w World, region: &str, name: &str, now: Timestamp) -> Option<Self> {
        let region = world.regions().find(|known| known.name == region)?;
        let row = region.clusters.get(name)?;
        Some(Self { region, row, now }).filter(Self::runs)
    }

    /// All clusters whose API servers run.
    pub(super) fn all(world: &'w World, now: Timestamp) -> impl Iterator<Item = Self> {
        let of_region = move |region: &'w Region| region.clusters.iter().map(move |row| Self { region, row, now });
        world.regions().flat_map(of_region).filter(Self::runs)
    }

    fn runs(&self) -> bool {
        crate::sandbox::kubernetes::runs(self.row, self.now)
    }

    /// Whether two are the same cluster.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.row.unique == other.row.unique
    }

    /// An object.
    pub(super) fn get(&self, group: &str, plural: &str, namespace: Option<&str>, name: &str) -> Option<&'w Value> {
        let key = KubernetesObject::of_kind(self.row.name(), group, plural, namespace);
        let mut rows = self.region.kubernetes_objects.linked(&key);
        rows.find(|row| row.name == name && row.namespace.as_deref() == namespace).map(|row| &row.object)
    }

    /// The objects of a kind, in one namespace or in all.
    pub(super) fn list(&self, group: &str, plural: &str, namespace: Option<&str>) -> Vec<&'w Value> {
        let key = KubernetesObject::of_kind(self.row.name(), group, plural, namespace);
        self.region.kubernetes_objects.linked(&key).map(|row| &row.object).collect()
    }

    /// The network of what has no label of its own: that of the control plane's namespace.
    pub(super) fn network(&self) -> &'w str {
        self.get("", "namespaces", None, SYSTEM).and_then(|namespace| label(namespace, NETWORK)).unwrap_or_default()
    }

    /// The istiods that are ready.
    pub(super) fn istiods(&self) -> Vec<&'w Value> {
        let is_istiod = |pod: &&Value| label(pod, "app") == Some("istiod") && is_ready(pod);
        self.list("", "pods", Some(SYSTEM)).into_iter().filter(is_istiod).collect()
    }

    /// A Service of the cluster by a name that its pods resolve: `helloworld.sample`, `helloworld.sample.svc`, the whole
    /// name, or the first part alone in its own namespace.
    pub(super) fn service(&self, host: &str, own: &str) -> Option<&'w Value> {
        let host = host.trim_end_matches('.');
        let host = host.strip_suffix(".cluster.local").unwrap_or(host);
        let host = host.strip_suffix(".svc").unwrap_or(host);
        let (name, namespace) = host.split_once('.').unwrap_or((host, own));
        self.get("", "services", Some(namespace), name)
    }

    /// The configuration of an add-on, as it runs.
    pub(super) fn addon(&self, name: &str) -> Option<Value> {
        let addon = self.region.addons.get(&format!("{}/{name}", self.row.name()))?;
        if addon.active_at > self.now {
            return None;
        }
        Some(addon.configuration.as_ref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or(Value::Null))
    }
}

/// A text of an object, by its JSON pointer; empty when there is none.
pub(super) fn text<'a>(object: &'a Value, pointer: &str) -> &'a str {
    object.pointer(pointer).and_then(Value::as_str).unwrap_or_default()
}

/// A list of an object, by its JSON pointer; empty when there is none.
pub(super) fn list<'a>(object: &'a Value, pointer: &str) -> &'a [Value] {
    object.pointer(pointer).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// A label of an object.
pub(super) fn label<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    object.get("metadata")?.get("labels")?.get(name)?.as_str()
}

/// An instant of an object.
pub(super) fn instant(object: &Value, pointer: &str) -> Option<Timestamp> {
    text(object, pointer).parse().ok()
}

/// Whether a pod is ready.
pub(super) fn is_ready(pod: &Value) -> bool {
    let ready = |one: &&Value| text(one, "/type") == "Ready" && text(one, "/status") == "True";
    pod.pointer("/metadata/deletionTimestamp").is_none()
        && list(pod, "/status/conditions").iter().any(|one| ready(&one))
}

/// Whether a container of a pod runs.
pub(super) fn is_running(pod: &Value, container: &str) -> bool {
    let statuses = list(pod, "/status/containerStatuses").iter().chain(list(pod, "/status/initContainerStatuses"));
    let mut of_container = statuses.filter(|status| text(status, "/name") == container);
    of_container.any(|status| status.pointer("/state/running").is_some())
}

/// Whether a proxy of the mesh is in a pod.
pub(super) fn has_proxy(pod: &Value) -> bool {
    let mut containers = list(pod, "/spec/containers").iter().chain(list(pod, "/spec/initContainers"));
    containers.any(|container| text(container, "/name") == "istio-proxy" && text(container, "/image") != "auto")
}

/// Whether a selector of labels matches an object; one that names none matches none.
pub(super) fn selects(selector: Option<&Value>, object: &Value) -> bool {
    let Some(selector) = selector.and_then(Value::as_object).filter(|selector| !selector.is_empty()) else {
        return false;
    };
    selector.iter().all(|(name, value)| label(object, name) == value.as_str())
}

/// The environment of a container.
pub(super) fn environment<'a>(pod: &'a Value, container: &str) -> BTreeMap<&'a str, &'a str> {
    let containers = list(pod, "/spec/containers").iter().filter(|one| text(one, "/name") == container);
    containers.flat_map(|one| list(one, "/env")).map(|entry| (text(entry, "/name"), text(entry, "/value"))).collect()
}

/// The bytes of a Secret's field.
pub(super) fn decoded(secret: &Value, field: &str) -> Option<Vec<u8>> {
    let value = secret.get("data")?.get(field)?.as_str()?;
    data_encoding::BASE64.decode(value.as_bytes()).ok()
}
