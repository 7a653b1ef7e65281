//! The objects of one cluster: what a real API server keeps in etcd.
//!
//! Entry point: [`Objects::of`]. Every write goes through [`Objects::put`] and [`Objects::remove`], so that versions and
//! what watches need are right by construction. Nothing is validated, defaulted or waited for here: that is the
//! server's and the controllers' part.

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::model::Digest;
use crate::sandbox::world::Region;
use crate::sandbox::world::rows::{Departure, Head, KubernetesObject, KubernetesStore, Tags};

/// Kinds of the API whose objects have a `spec` and no `metadata.generation`.
const WITHOUT_GENERATION: &[(&str, &str)] = &[
    ("", "namespaces"),
    ("", "nodes"),
    ("", "persistentvolumeclaims"),
    ("", "persistentvolumes"),
    ("", "services"),
    ("autoscaling", "horizontalpodautoscalers"),
    ("certificates.k8s.io", "certificatesigningrequests"),
    ("coordination.k8s.io", "leases"),
    ("storage.k8s.io", "csidrivers"),
    ("storage.k8s.io", "csinodes"),
    ("storage.k8s.io", "volumeattachments"),
];

/// Kinds whose objects have a `metadata.generation` though they have no `spec`.
const GENERATION_WITHOUT_SPEC: &[(&str, &str)] = &[
    ("admissionregistration.k8s.io", "mutatingwebhookconfigurations"),
    ("admissionregistration.k8s.io", "validatingwebhookconfigurations"),
];

/// Which object of a cluster.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    /// The API group; empty for the core one. The version is no part of it: one object is served in several.
    pub(crate) group: String,
    /// What its kind is called in paths.
    pub(crate) plural: String,
    /// `None` for what is in none.
    pub(crate) namespace: Option<String>,
    pub(crate) name: String,
}

impl Key {
    /// A key from its parts.
    pub(crate) fn new(group: &str, plural: &str, namespace: Option<&str>, name: &str) -> Self {
        Self {
            group: group.to_owned(),
            plural: plural.to_owned(),
            namespace: namespace.map(str::to_owned),
            name: name.to_owned(),
        }
    }

    fn row(&self, cluster: &str) -> String {
        let namespace = self.namespace.as_deref().unwrap_or_default();
        format!("{cluster}|{}|{}|{namespace}|{}", self.group, self.plural, self.name)
    }
}

/// One cluster's objects.
#[derive(Debug)]
pub(crate) struct Objects<'a> {
    region: &'a mut Region,
    cluster: &'a str,
    now: Timestamp,
}

impl<'a> Objects<'a> {
    /// The objects of a cluster of a region, by the cluster's name in EKS.
    pub(crate) fn of(region: &'a mut Region, cluster: &'a str, now: Timestamp) -> Self {
        Self { region, cluster, now }
    }

    /// The instant at which they are looked at.
    pub(crate) fn now(&self) -> Timestamp {
        self.now
    }

    /// The cluster's name in EKS.
    pub(crate) fn cluster(&self) -> &str {
        self.cluster
    }

    /// The region that the cluster is in.
    pub(crate) fn region(&self) -> &Region {
        self.region
    }

    /// The version of the last change: the `resourceVersion` of lists.
    pub(crate) fn revision(&self) -> u64 {
        self.region.kubernetes_stores.get(self.cluster).map_or(0, |store| store.revision)
    }

    /// An object.
    pub(crate) fn get(&self, key: &Key) -> Option<&Value> {
        self.region.kubernetes_objects.get(&key.row(self.cluster)).map(|row| &row.object)
    }

    /// All objects of a kind, in one namespace or in all, in the order of namespaces and names.
    pub(crate) fn list(&self, group: &str, plural: &str, namespace: Option<&str>) -> impl Iterator<Item = &Value> {
        self.rows(group, plural, namespace).map(|row| &row.object)
    }

    /// The keys of all objects of a kind, as [`Objects::list`] has them.
    pub(crate) fn keys(&self, group: &str, plural: &str, namespace: Option<&str>) -> Vec<Key> {
        self.rows(group, plural, namespace).map(key_of).collect()
    }

    /// The keys of all objects in a namespace, of every kind.
    pub(crate) fn in_namespace(&self, namespace: &str) -> Vec<Key> {
        self.region
            .kubernetes_objects
            .linked(&KubernetesObject::of_cluster(self.cluster))
            .filter(|row| row.namespace.as_deref() == Some(namespace))
            .map(key_of)
            .collect()
    }

    fn rows(&self, group: &str, plural: &str, namespace: Option<&str>) -> impl Iterator<Item = &KubernetesObject> {
        let key = KubernetesObject::of_kind(self.cluster, group, plural, namespace);
        self.region.kubernetes_objects.linked(&key).collect::<Vec<_>>().into_iter()
    }

    /// What went after a version; `None` if that is not remembered.
    pub(crate) fn departed(&self, after: u64) -> Option<impl Iterator<Item = &Departure>> {
        self.region.departed.after(self.cluster, after)
    }

    /// Creates or replaces an object: gives it a uid and a creation time when it is new, and another `resourceVersion`
    /// (and `generation`, when what is wanted of it changed) unless it is what it was.
    pub(crate) fn put(&mut self, key: &Key, object: Value) {
        let mut object = object;
        let id = key.row(self.cluster);
        let old = self.region.kubernetes_objects.get(&id);
        let metadata = metadata_of(&mut object);
        metadata.insert("name".to_owned(), key.name.as_str().into());
        match &key.namespace {
            Some(namespace) => metadata.insert("namespace".to_owned(), namespace.as_str().into()),
            None => metadata.remove("namespace"),
        };
        let generation = match old {
            Some(old) => {
                for field in ["uid", "creationTimestamp", "resourceVersion", "generation"] {
                    match old.object["metadata"].get(field) {
                        Some(value) => metadata.insert(field.to_owned(), value.clone()),
                        None => metadata.remove(field),
                    };
                }
                if old.object == object {
                    return;
                }
                let generation = old.object["metadata"]["generation"].as_u64();
                generation.map(|number| number + u64::from(wants(&old.object) != wants(&object)))
            }
            None => has_generation(key, &object).then_some(1),
        };
        let head = match old {
            Some(old) => old.head.clone(),
            None => Head { id, created_at: self.now, visible_at: self.now, tags: Tags::new(), native: false },
        };
        let is_new = old.is_none();
        let revision = self.advance();
        let uid = is_new.then(|| self.uid(revision));
        let metadata = metadata_of(&mut object);
        if let Some(uid) = uid {
            metadata.insert("uid".to_owned(), uid.into());
            metadata.insert("creationTimestamp".to_owned(), time(self.now).into());
        }
        metadata.insert("resourceVersion".to_owned(), revision.to_string().into());
        if let Some(generation) = generation {
            metadata.insert("generation".to_owned(), generation.into());
        }
        let Key { group, plural, namespace, name } = key.clone();
        let cluster = self.cluster.to_owned();
        let row = KubernetesObject { head, cluster, group, plural, namespace, name, object };
        self.region.kubernetes_objects.insert(row);
    }

    /// What [`Objects::put`] would store, without storing it: no version is given to it.
    pub(crate) fn tried(&self, key: &Key, object: Value) -> Value {
        let mut object = object;
        let old = self.get(key).cloned();
        let uid = self.uid(self.revision() + 1);
        let generation = match &old {
            Some(old) => {
                old["metadata"]["generation"].as_u64().map(|number| number + u64::from(wants(old) != wants(&object)))
            }
            None => has_generation(key, &object).then_some(1),
        };
        let metadata = metadata_of(&mut object);
        if let Some(old) = &old {
            metadata.insert("resourceVersion".to_owned(), old["metadata"]["resourceVersion"].clone());
        } else {
            metadata.insert("uid".to_owned(), uid.into());
            metadata.insert("creationTimestamp".to_owned(), time(self.now).into());
        }
        if let Some(generation) = generation {
            metadata.insert("generation".to_owned(), generation.into());
        }
        object
    }

    /// Takes an object out at once, whatever finalizers it has.
    pub(crate) fn remove(&mut self, key: &Key) {
        let Some(row) = self.region.kubernetes_objects.remove(&key.row(self.cluster)) else { return };
        let revision = self.advance();
        let KubernetesObject { group, plural, namespace, mut object, .. } = row;
        metadata_of(&mut object).insert("resourceVersion".to_owned(), revision.to_string().into());
        self.region.departed.note(self.cluster, Departure { revision, group, plural, namespace, object });
    }

    /// The revision of a change that is made now.
    fn advance(&mut self) -> u64 {
        let stores = &mut self.region.kubernetes_stores;
        if stores.get(self.cluster).is_none() {
            let id = self.cluster.to_owned();
            let head = Head { id, created_at: self.now, visible_at: self.now, tags: Tags::new(), native: false };
            stores.insert(KubernetesStore { head, revision: 0 });
        }
        let before = stores.get(self.cluster).map_or(0, |store| store.revision);
        self.region.departed.since(self.cluster, before);
        self.region.kubernetes_stores.edit(self.cluster, |store| store.revision += 1);
        before + 1
    }

    /// A uid that is fixed by the cluster and the revision that made the object.
    fn uid(&self, revision: u64) -> String {
        let unique = self.region.clusters.get(self.cluster).map_or(self.cluster, |cluster| cluster.unique.as_str());
        let digest = Digest::of_parts(&[b"uid", unique.as_bytes(), &revision.to_le_bytes()]).to_string();
        let part = |from: usize, to: usize| digest.get(from..to).unwrap_or_default();
        format!("{}-{}-4{}-a{}-{}", part(0, 8), part(8, 12), part(13, 16), part(17, 20), part(20, 32))
    }
}

/// The key of a stored object.
fn key_of(row: &KubernetesObject) -> Key {
    Key::new(&row.group, &row.plural, row.namespace.as_deref(), &row.name)
}

/// An instant as objects write it.
pub(crate) fn time(at: Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The metadata of an object, made if there is none.
pub(crate) fn metadata_of(object: &mut Value) -> &mut Map<String, Value> {
    part_of(object, "metadata")
}

/// A part of an object that is itself an object, made if there is none.
pub(crate) fn part_of<'a>(object: &'a mut Value, part: &str) -> &'a mut Map<String, Value> {
    if !object.is_object() {
        *object = json!({});
    }
    let place = &mut object[part];
    if !place.is_object() {
        *place = json!({});
    }
    match place {
        Value::Object(fields) => fields,
        // It was made one above; a match is how the compiler is told.
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            unreachable!("it is an object")
        }
    }
}

fn has_generation(key: &Key, object: &Value) -> bool {
    let kind = (key.group.as_str(), key.plural.as_str());
    GENERATION_WITHOUT_SPEC.contains(&kind) || (object.get("spec").is_some() && !WITHOUT_GENERATION.contains(&kind))
}

/// What is wanted of an object: everything but its metadata and its status.
fn wants(object: &Value) -> Vec<(&String, &Value)> {
    let said = |field: &&String| !["metadata", "status", "apiVersion", "kind"].contains(&field.as_str());
    object.as_object().into_iter().flatten().filter(|(field, _)| said(field)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn meta<'a>(object: &'a Value, field: &str) -> &'a Value {
        &object["metadata"][field]
    }

    #[test]
    fn versions_move_when_something_changes_and_only_then() {
        let mut region = Region::default();
        let key = Key::new("apps", "deployments", Some("mesh"), "istiod");
        let mut objects = Objects::of(&mut region, "one", at(60));
        objects.put(&key, json!({ "spec": { "replicas": 1 } }));
        let first = objects.get(&key).unwrap().clone();
        assert_eq!(meta(&first, "creationTimestamp"), "1970-01-01T00:01:00Z");
        assert_eq!((meta(&first, "resourceVersion"), meta(&first, "generation")), (&json!("1"), &json!(1)));

        let mut later = Objects::of(&mut region, "one", at(90));
        later.put(&key, json!({ "spec": { "replicas": 1 } }));
        assert_eq!(later.get(&key), Some(&first), "the same again is no write");
        later.put(&key, json!({ "spec": { "replicas": 1 }, "status": { "replicas": 1 } }));
        let second = later.get(&key).unwrap().clone();
        assert_eq!((meta(&second, "resourceVersion"), meta(&second, "generation")), (&json!("2"), &json!(1)));
        assert_eq!(meta(&second, "uid"), meta(&first, "uid"));
        later.put(&key, json!({ "spec": { "replicas": 2 } }));
        assert_eq!(meta(later.get(&key).unwrap(), "generation"), &json!(2));
        assert_eq!(later.revision(), 3);
    }

    #[test]
    fn lists_are_of_one_cluster_kind_and_namespace() {
        let mut region = Region::default();
        let key = |namespace: &str, name: &str| Key::new("", "secrets", Some(namespace), name);
        for (cluster, namespace, name) in [("one", "b", "z"), ("one", "a", "y"), ("one", "b", "x"), ("two", "b", "w")] {
            Objects::of(&mut region, cluster, at(0)).put(&key(namespace, name), json!({}));
        }
        let objects = Objects::of(&mut region, "one", at(0));
        assert_eq!(objects.keys("", "secrets", None), [key("a", "y"), key("b", "x"), key("b", "z")]);
        assert_eq!(objects.keys("", "secrets", Some("b")), [key("b", "x"), key("b", "z")]);
        assert_eq!(objects.list("", "configmaps", None).count(), 0);
        assert_eq!(objects.in_namespace("a"), [key("a", "y")]);
    }

    #[test]
    fn what_went_is_remembered_for_those_who_watch() {
        let mut region = Region::default();
        let mut objects = Objects::of(&mut region, "one", at(0));
        let key = Key::new("", "configmaps", Some("a"), "x");
        objects.put(&key, json!({ "data": { "a": "b" } }));
        objects.remove(&key);
        assert!(objects.get(&key).is_none());
        let gone: Vec<_> = objects.departed(1).unwrap().map(|gone| gone.revision).collect();
        assert_eq!(gone, [2]);
        assert_eq!(objects.departed(2).unwrap().count(), 0);
        objects.put(&key, json!({}));
        assert_eq!(meta(objects.get(&key).unwrap(), "resourceVersion"), "3");
    }
}
