//! Namespaces: what each has from the start, and how one goes: first everything in it, then itself.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::accounts::bundle;
use super::control::Control;
use super::parts::{instant, is_going, list, name, set, set_condition, set_missing};
use crate::sandbox::kubernetes::objects::Key;

/// The controller waits this long after the last event in a namespace before it looks whether it is empty.
const QUIET: SignedDuration = SignedDuration::from_secs(5);

pub(super) fn run(control: &mut Control<'_, '_>) {
    for namespace in control.list("", "namespaces", None) {
        if is_going(&namespace) {
            finalize(control, namespace);
        } else {
            furnish(control, namespace);
        }
    }
}

fn key(namespace: &str) -> Key {
    Key::new("", "namespaces", None, namespace)
}

/// A namespace has a service account, and the certificates that the API server's is signed by.
fn furnish(control: &mut Control<'_, '_>, mut namespace: Value) {
    let name = name(&namespace).to_owned();
    set_missing(&mut namespace, &["spec", "finalizers"], json!(["kubernetes"]));
    set(&mut namespace, &["status", "phase"], "Active".into());
    set_missing(&mut namespace, &["metadata", "labels", "kubernetes.io/metadata.name"], name.as_str().into());
    control.put(&key(&name), namespace);
    control.ensure(
        &Key::new("", "serviceaccounts", Some(&name), "default"),
        || json!({ "apiVersion": "v1", "kind": "ServiceAccount", "metadata": {} }),
    );
    let cluster = control.cluster;
    let root = Key::new("", "configmaps", Some(&name), "kube-root-ca.crt");
    control.ensure(&root, || {
        json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": { "annotations": { "kubernetes.io/description":
                "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the \
                 internal service IP or kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes \
                 clusters." } },
            "data": { "ca.crt": bundle(cluster) },
        })
    });
}

/// Deletes what is in a namespace that goes, and then the namespace.
fn finalize(control: &mut Control<'_, '_>, mut namespace: Value) {
    let name = name(&namespace).to_owned();
    let asked = instant(&namespace, "/metadata/deletionTimestamp").unwrap_or(Timestamp::MIN);
    for inside in control.objects().in_namespace(&name) {
        control.delete(&inside);
    }
    let left = control.objects().in_namespace(&name);
    let quiet = asked.checked_add(QUIET).unwrap_or(Timestamp::MAX);
    // Where states take no time, this takes none.
    let quiet = if control.place.mint.realistic { quiet } else { asked };
    if left.is_empty() && control.has_come(quiet) {
        if list(&namespace, "/metadata/finalizers").is_empty() {
            control.objects().remove(&key(&name));
            return;
        }
        set(&mut namespace, &["spec", "finalizers"], json!([]));
    }
    set(&mut namespace, &["status", "phase"], "Terminating".into());
    describe(control, &mut namespace, &left);
    control.put(&key(&name), namespace);
}

/// Says in a namespace's conditions what is left in it, and what holds that.
fn describe(control: &mut Control<'_, '_>, namespace: &mut Value, left: &[Key]) {
    let mut kinds: Vec<(String, usize)> = Vec::new();
    let mut holders: Vec<(String, usize)> = Vec::new();
    let count = |all: &mut Vec<(String, usize)>, what: String| match all.iter_mut().find(|(known, _)| *known == what) {
        Some((_, count)) => *count += 1,
        None => all.push((what, 1)),
    };
    for key in left {
        let kind =
            if key.group.is_empty() { format!("{}.", key.plural) } else { format!("{}.{}", key.plural, key.group) };
        count(&mut kinds, kind);
        for finalizer in control.get(key).iter().flat_map(|object| list(object, "/metadata/finalizers")) {
            count(&mut holders, finalizer.as_str().unwrap_or_default().to_owned());
        }
    }
    let now = control.now;
    let listed = |all: &[(String, usize)], what: &str| {
        let all: Vec<String> =
            all.iter().map(|(one, count)| format!("{one} {what} {count} resource instances")).collect();
        all.join(", ")
    };
    let done = ("ResourcesDiscovered", "All resources successfully discovered");
    set_condition(namespace, "NamespaceDeletionDiscoveryFailure", false, done, now);
    let parsed = ("ParsedGroupVersions", "All legacy kube types successfully parsed");
    set_condition(namespace, "NamespaceDeletionGroupVersionParsingFailure", false, parsed, now);
    let deleted = ("ContentDeleted", "All content successfully deleted, may be waiting on finalization");
    set_condition(namespace, "NamespaceDeletionContentFailure", false, deleted, now);
    if kinds.is_empty() {
        let none = ("ContentRemoved", "All content successfully removed");
        set_condition(namespace, "NamespaceContentRemaining", false, none, now);
        let free = ("ContentHasNoFinalizers", "All content-preserving finalizers finished");
        set_condition(namespace, "NamespaceFinalizersRemaining", false, free, now);
        return;
    }
    let message = format!("Some resources are remaining: {}", listed(&kinds, "has"));
    set_condition(namespace, "NamespaceContentRemaining", true, ("SomeResourcesRemain", &message), now);
    let message = format!("Some content in the namespace has finalizers remaining: {}", listed(&holders, "in"));
    set_condition(namespace, "NamespaceFinalizersRemaining", true, ("SomeFinalizersRemain", &message), now);
}
