//! One way to write each manifest, so that two that mean the same are the same document.
//!
//! Declarations and reads both go through [`canonical`]; what it writes is also what is applied. It knows what API
//! servers do to the objects of Kubernetes itself: quantities, empty lists, defaults inside lists that are compared as a
//! whole. What it cannot know (webhooks, defaults in the schemas of custom resources) is left to `reads_as`.

use std::collections::BTreeSet;

use data_encoding::BASE64;
use serde_json::{Map, Value as Json};

use super::call::{at, text_at};
use super::quantity;

/// What servers write and nobody declares.
const OF_THE_SERVER: [&str; 8] = [
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// Maps that are as good as absent when they are empty.
const EMPTY_MAPS: [&str; 9] =
    ["annotations", "labels", "data", "binaryData", "stringData", "nodeSelector", "matchLabels", "limits", "requests"];

/// Lists whose elements are told apart by these fields, and whose order means nothing.
const KEYED: [(&str, &[&str]); 4] = [
    ("volumes", &["name"]),
    ("volumeMounts", &["mountPath"]),
    ("imagePullSecrets", &["name"]),
    ("ports", &["containerPort", "port", "protocol", "name"]),
];

/// Fields below which every text is a quantity.
const QUANTITIES: [&str; 6] = ["limits", "requests", "capacity", "hard", "allocatable", "maxLimitRequestRatio"];

/// Fields that are a quantity.
const QUANTITY: [&str; 4] = ["sizeLimit", "averageValue", "divisor", "storage"];

/// Kubernetes' own groups with a dot in their names.
const NATIVE: [&str; 10] = [
    "admissionregistration.k8s.io",
    "apiextensions.k8s.io",
    "apiregistration.k8s.io",
    "certificates.k8s.io",
    "coordination.k8s.io",
    "discovery.k8s.io",
    "networking.k8s.io",
    RBAC,
    "scheduling.k8s.io",
    "storage.k8s.io",
];

const RBAC: &str = "rbac.authorization.k8s.io";

/// The canonical form of a manifest. Holes stay what they are.
pub(super) fn canonical(manifest: Json) -> Json {
    let mut manifest = manifest;
    let is_native = text_at(&manifest, &["apiVersion"]).is_some_and(is_native);
    let kind = text_at(&manifest, &["kind"]).unwrap_or_default().to_owned();
    if let Some(fields) = manifest.as_object_mut() {
        fields.remove("status");
        if let Some(metadata) = fields.get_mut("metadata").and_then(Json::as_object_mut) {
            // Of any kind, custom ones too: the server keeps no empty map or list here.
            let is_empty = |field: &Json| {
                field.as_object().is_some_and(Map::is_empty) || field.as_array().is_some_and(Vec::is_empty)
            };
            metadata.retain(|key, field| !OF_THE_SERVER.contains(&key.as_str()) && !is_empty(field));
        }
        if kind == "Secret" {
            encode_texts(fields);
        }
    }
    let mut walk = Walk { is_native, kind: &kind };
    walk.tidy("", &mut manifest);
    manifest
}

/// Whether Kubernetes itself defines the kinds of a group: `apps`, `rbac.authorization.k8s.io`, but not
/// `gateway.networking.k8s.io`, whose kinds are custom resources.
fn is_native(api_version: &str) -> bool {
    let group = api_version.split_once('/').map_or("", |(group, _)| group);
    !group.contains('.') || NATIVE.contains(&group)
}

/// `stringData` is a way to write `data`.
fn encode_texts(fields: &mut Map<String, Json>) {
    let Some(Json::Object(texts)) = fields.remove("stringData") else { return };
    let data = fields.entry("data").or_insert_with(|| Json::Object(Map::new()));
    let Some(data) = data.as_object_mut() else { return };
    for (key, text) in texts {
        let encoded = match text {
            Json::String(text) => Json::String(BASE64.encode(text.as_bytes())),
            hole @ (Json::Null | Json::Bool(_) | Json::Number(_) | Json::Array(_) | Json::Object(_)) => hole,
        };
        data.insert(key, encoded);
    }
}

struct Walk<'a> {
    is_native: bool,
    kind: &'a str,
}

impl Walk<'_> {
    /// `key` is the name under which the value was found; elements of a list have their list's.
    fn tidy(&mut self, key: &str, value: &mut Json) {
        match value {
            Json::Object(fields) => {
                if fields.len() == 1 && fields.contains_key("$ref") {
                    return; // a hole
                }
                // A schema is data: a property may be called anything.
                if key == "openAPIV3Schema" {
                    return;
                }
                for (name, field) in fields.iter_mut() {
                    self.tidy(name, field);
                    if self.is_native && (QUANTITIES.contains(&key) || QUANTITY.contains(&name.as_str())) {
                        as_quantity(field);
                    }
                }
                fields.retain(|name, field| !self.is_absent(name, field));
                if self.is_native {
                    self.drop_defaults(key, fields);
                }
            }
            Json::Array(items) => {
                for item in items.iter_mut() {
                    self.tidy(key, item);
                }
                if self.is_native {
                    sort(key, items);
                }
            }
            Json::Number(number) => {
                // 1.0 is 1: a YAML file may say either, and the server keeps integers.
                if let Some(whole) = number.as_f64().filter(|n| n.fract() == 0.0 && n.abs() < 1e15 && number.is_f64()) {
                    #[expect(clippy::cast_possible_truncation, reason = "it is whole and less than 2^53")]
                    let whole = whole as i64;
                    *value = Json::from(whole);
                }
            }
            Json::Null | Json::Bool(_) | Json::String(_) => {}
        }
    }

    fn is_absent(&self, name: &str, field: &Json) -> bool {
        match field {
            Json::Null => true,
            Json::Array(items) => self.is_native && items.is_empty(),
            Json::Object(fields) => fields.is_empty() && EMPTY_MAPS.contains(&name) && self.is_native,
            Json::Bool(_) | Json::Number(_) | Json::String(_) => false,
        }
    }

    /// Defaults that the server writes into lists that are one field: there they would look like somebody's change.
    /// Elsewhere they are fields of their own, which we do not manage.
    fn drop_defaults(&self, key: &str, fields: &mut Map<String, Json>) {
        let mut drop = |name: &str, default: &str| {
            if fields.get(name).and_then(Json::as_str) == Some(default) {
                fields.remove(name);
            }
        };
        match (self.kind, key) {
            (_, "fieldRef") => drop("apiVersion", "v1"),
            (_, "env") => drop("value", ""),
            ("NetworkPolicy", "ports") => drop("protocol", "TCP"),
            ("RoleBinding" | "ClusterRoleBinding", "roleRef") => drop("apiGroup", RBAC),
            ("RoleBinding" | "ClusterRoleBinding", "subjects") => {
                drop("apiGroup", RBAC);
                drop("apiGroup", "");
            }
            ("MutatingWebhookConfiguration" | "ValidatingWebhookConfiguration", "rules") => drop("scope", "*"),
            ("StatefulSet", "volumeClaimTemplates") => {
                drop("apiVersion", "v1");
                drop("kind", "PersistentVolumeClaim");
                fields.remove("status");
                if let Some(spec) = fields.get_mut("spec").and_then(Json::as_object_mut)
                    && spec.get("volumeMode").and_then(Json::as_str) == Some("Filesystem")
                {
                    spec.remove("volumeMode");
                }
            }
            _ => {}
        }
    }
}

fn as_quantity(field: &mut Json) {
    let text = match &*field {
        Json::String(text) => text.clone(),
        Json::Number(number) => number.to_string(),
        Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_) => return,
    };
    if let Some(text) = quantity::canonical(&text) {
        *field = Json::String(text);
    }
}

/// Puts a list whose order means nothing into one order.
fn sort(key: &str, items: &mut [Json]) {
    if let Some((_, keys)) = KEYED.iter().find(|(name, _)| *name == key) {
        if items.iter().all(|item| keys.iter().any(|key| item.get(key).is_some())) {
            items.sort_by_cached_key(|item| {
                keys.iter().map(|key| at(item, &[key]).map(sortable).unwrap_or_default()).collect::<Vec<_>>()
            });
        }
    } else if key == "env" {
        sort_environment(items);
    }
}

/// A number sorts by its value.
fn sortable(value: &Json) -> String {
    value.as_u64().map_or_else(|| value.to_string(), |number| format!("{number:020}"))
}

/// Sorts environment variables by name, but none past another of which one mentions the other as `$(NAME)`: only what
/// comes earlier is expanded.
fn sort_environment(items: &mut [Json]) {
    let name = |item: &Json| text_at(item, &["name"]).unwrap_or_default().to_owned();
    let mentions =
        |item: &Json, name: &str| text_at(item, &["value"]).is_some_and(|value| value.contains(&format!("$({name})")));
    let names: BTreeSet<String> = items.iter().map(name).collect();
    if names.len() != items.len() {
        return; // a name that is given twice: the last counts
    }
    let mut left: Vec<Json> = items.to_vec();
    for slot in items.iter_mut() {
        // Those with nothing before them that they are tied to; the first always is one.
        let free = (0..left.len()).filter(|n| {
            let it = &left[*n];
            left[..*n].iter().all(|other| !mentions(it, &name(other)) && !mentions(other, &name(it)))
        });
        let Some(next) = free.min_by_key(|n| name(&left[*n])) else { return };
        *slot = left.remove(next);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_means_the_same_is_written_the_same() {
        let written = canonical(json!({
            "apiVersion": "apps/v1", "kind": "Deployment", "status": { "replicas": 1 },
            "metadata": { "name": "a", "uid": "1", "labels": {}, "creationTimestamp": null, "annotations": null },
            "spec": { "replicas": 2.0, "template": { "metadata": { "creationTimestamp": null }, "spec": {
                "volumes": [{ "name": "b", "emptyDir": {} }, { "name": "a", "emptyDir": { "sizeLimit": "1024Mi" } }],
                "tolerations": [],
                "containers": [{ "name": "c", "command": [],
                    "resources": { "limits": { "cpu": 1, "memory": "1024Mi" }, "requests": { "cpu": "1000m" } },
                    "ports": [{ "containerPort": 8080 }, { "containerPort": 443 }],
                    "env": [{ "name": "Z", "value": "1" }, { "name": "Y", "value": "$(Z)" }, { "name": "A", "value": "" },
                        { "name": "N", "valueFrom": { "fieldRef": { "apiVersion": "v1", "fieldPath": "x" } } }] }],
            } } },
        }));
        assert_eq!(
            written,
            json!({
                "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "a" },
                "spec": { "replicas": 2, "template": { "metadata": {}, "spec": {
                    "volumes": [{ "name": "a", "emptyDir": { "sizeLimit": "1Gi" } }, { "name": "b", "emptyDir": {} }],
                    "containers": [{ "name": "c",
                        "resources": { "limits": { "cpu": "1", "memory": "1Gi" }, "requests": { "cpu": "1" } },
                        "ports": [{ "containerPort": 443 }, { "containerPort": 8080 }],
                        "env": [{ "name": "A" }, { "name": "N", "valueFrom": { "fieldRef": { "fieldPath": "x" } } },
                            { "name": "Z", "value": "1" }, { "name": "Y", "value": "$(Z)" }] }],
                } } },
            })
        );
        assert_eq!(canonical(written.clone()), written, "it is a fixed point");
    }

    #[test]
    fn custom_resources_and_holes_are_left_alone() {
        let custom = json!({
            "apiVersion": "networking.istio.io/v1", "kind": "ServiceEntry", "metadata": { "name": "a" },
            "spec": { "hosts": [], "ports": [{ "port": 2 }, { "port": 1 }], "limits": { "cpu": "1000m" },
                "address": { "$ref": { "address": "aws.eip/a", "output": "public_ip" } }, "data": {} },
        });
        assert_eq!(canonical(custom.clone()), custom);
        let definition = json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition", "metadata": { "name": "a" },
            "spec": { "versions": [{ "schema": { "openAPIV3Schema": { "properties": { "data": {}, "env": { "enum": [] } } } } }] },
        });
        assert_eq!(canonical(definition.clone()), definition);
    }
}
