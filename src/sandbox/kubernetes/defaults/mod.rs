//! What a real API server fills in where nothing is said.
//!
//! Entry point: [`fill`]. The values are those of `pkg/apis/*/v1/defaults.go` of Kubernetes 1.35. Addresses of Services
//! are given by `services`.

mod workloads;

use serde_json::{Map, Value, json};

use super::objects::part_of;
use super::schema::Kind;

/// Sets a field that is not there.
pub(super) fn or(place: &mut Map<String, Value>, field: &str, value: Value) {
    if place.get(field).is_none_or(Value::is_null) {
        place.insert(field.to_owned(), value);
    }
}

/// The objects in a list.
pub(super) fn each<'a>(
    place: &'a mut Map<String, Value>,
    field: &str,
) -> impl Iterator<Item = &'a mut Map<String, Value>> {
    place.get_mut(field).and_then(Value::as_array_mut).into_iter().flatten().filter_map(Value::as_object_mut)
}

/// An object in an object.
pub(super) fn inner<'a>(place: &'a mut Map<String, Value>, field: &str) -> Option<&'a mut Map<String, Value>> {
    place.get_mut(field).and_then(Value::as_object_mut)
}

/// Fills in what is not said of an object of a built-in kind.
pub(crate) fn fill(kind: &Kind, object: &mut Value) {
    if kind.custom.is_some() {
        return;
    }
    match (kind.group.as_str(), kind.plural.as_str()) {
        (
            "" | "apps" | "batch",
            "pods" | "deployments" | "daemonsets" | "statefulsets" | "replicasets" | "jobs" | "cronjobs",
        ) => {
            workloads::fill(kind.plural.as_str(), object);
        }
        ("", "secrets") => secret(object),
        ("", "services") => service(object),
        ("", "namespaces") => {
            let name = object["metadata"]["name"].clone();
            let labels = part_of(&mut object["metadata"], "labels");
            labels.insert("kubernetes.io/metadata.name".to_owned(), name);
            or(part_of(object, "spec"), "finalizers", json!(["kubernetes"]));
            or(part_of(object, "status"), "phase", "Active".into());
        }
        ("", "persistentvolumeclaims") => {
            or(part_of(object, "spec"), "volumeMode", "Filesystem".into());
            or(part_of(object, "status"), "phase", "Pending".into());
        }
        ("admissionregistration.k8s.io", _) => admission(object),
        ("rbac.authorization.k8s.io", _) => roles(object),
        ("autoscaling", "horizontalpodautoscalers") => {
            or(part_of(object, "spec"), "minReplicas", 1.into());
            if kind.version == "v2" {
                let cpu = json!({ "type": "Resource", "resource": {
                    "name": "cpu", "target": { "type": "Utilization", "averageUtilization": 80 },
                } });
                or(part_of(object, "spec"), "metrics", json!([cpu]));
            }
        }
        ("networking.k8s.io", "networkpolicies") => {
            let spec = part_of(object, "spec");
            let types = if spec.contains_key("egress") { json!(["Ingress", "Egress"]) } else { json!(["Ingress"]) };
            or(spec, "policyTypes", types);
        }
        ("scheduling.k8s.io", _) => or(root(object), "preemptionPolicy", "PreemptLowerPriority".into()),
        ("storage.k8s.io", "storageclasses") => {
            or(root(object), "reclaimPolicy", "Delete".into());
            or(root(object), "volumeBindingMode", "Immediate".into());
        }
        ("discovery.k8s.io", _) => {
            for port in each(root(object), "ports") {
                or(port, "name", "".into());
                or(port, "protocol", "TCP".into());
            }
        }
        ("apiextensions.k8s.io", _) => definition(object),
        _ => {}
    }
}

/// The object's own fields.
fn root(object: &mut Value) -> &mut Map<String, Value> {
    // An object that got here has metadata; its parent is what is wanted.
    part_of(object, "metadata");
    object.as_object_mut().unwrap_or_else(|| unreachable!("it has metadata"))
}

/// A text under `stringData` is data that was not encoded.
fn secret(object: &mut Value) {
    let fields = root(object);
    if let Some(Value::Object(texts)) = fields.remove("stringData") {
        let encoded = texts.into_iter().filter_map(|(key, text)| {
            let text = data_encoding::BASE64.encode(text.as_str()?.as_bytes());
            Some((key, Value::from(text)))
        });
        let encoded: Vec<(String, Value)> = encoded.collect();
        part_of(object, "data").extend(encoded);
    }
    or(root(object), "type", "Opaque".into());
}

fn service(object: &mut Value) {
    let spec = part_of(object, "spec");
    or(spec, "type", "ClusterIP".into());
    or(spec, "sessionAffinity", "None".into());
    let kind = spec.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
    for port in each(spec, "ports") {
        or(port, "protocol", "TCP".into());
        let number = port.get("port").cloned().unwrap_or_default();
        or(port, "targetPort", number);
    }
    if kind != "ExternalName" {
        or(spec, "internalTrafficPolicy", "Cluster".into());
    }
    if kind == "LoadBalancer" || kind == "NodePort" {
        or(spec, "externalTrafficPolicy", "Cluster".into());
    }
    if kind == "LoadBalancer" {
        or(spec, "allocateLoadBalancerNodePorts", true.into());
    }
    or(part_of(object, "status"), "loadBalancer", json!({}));
}

fn admission(object: &mut Value) {
    for hook in each(root(object), "webhooks") {
        or(hook, "failurePolicy", "Fail".into());
        or(hook, "matchPolicy", "Equivalent".into());
        or(hook, "namespaceSelector", json!({}));
        or(hook, "objectSelector", json!({}));
        or(hook, "timeoutSeconds", 10.into());
        for rule in each(hook, "rules") {
            or(rule, "scope", "*".into());
        }
        if let Some(service) = inner(hook, "clientConfig").and_then(|config| inner(config, "service")) {
            or(service, "port", 443.into());
        }
    }
    let is_mutating = object["kind"] == "MutatingWebhookConfiguration";
    if is_mutating {
        each(root(object), "webhooks").for_each(|hook| or(hook, "reinvocationPolicy", "Never".into()));
    }
    if object["kind"] == "ValidatingAdmissionPolicy" {
        let spec = part_of(object, "spec");
        or(spec, "failurePolicy", "Fail".into());
        if let Some(constraints) = inner(spec, "matchConstraints") {
            constraint(constraints);
        }
    }
    if object["kind"] == "ValidatingAdmissionPolicyBinding"
        && let Some(constraints) = inner(part_of(object, "spec"), "matchResources")
    {
        constraint(constraints);
    }
}

fn constraint(constraints: &mut Map<String, Value>) {
    or(constraints, "matchPolicy", "Equivalent".into());
    or(constraints, "namespaceSelector", json!({}));
    or(constraints, "objectSelector", json!({}));
    for rules in ["resourceRules", "excludeResourceRules"] {
        each(constraints, rules).for_each(|rule| or(rule, "scope", "*".into()));
    }
}

const RBAC: &str = "rbac.authorization.k8s.io";

fn roles(object: &mut Value) {
    let fields = root(object);
    if let Some(reference) = inner(fields, "roleRef") {
        or(reference, "apiGroup", RBAC.into());
    }
    for subject in each(fields, "subjects") {
        if subject.get("kind").is_some_and(|kind| kind == "User" || kind == "Group") {
            or(subject, "apiGroup", RBAC.into());
        }
    }
}

/// A definition is served from the moment it is accepted.
fn definition(object: &mut Value) {
    let spec = part_of(object, "spec");
    or(spec, "conversion", json!({ "strategy": "None" }));
    if let Some(names) = inner(spec, "names") {
        let kind = names.get("kind").and_then(Value::as_str).unwrap_or_default().to_owned();
        or(names, "singular", kind.to_ascii_lowercase().into());
        or(names, "listKind", format!("{kind}List").into());
    }
}
