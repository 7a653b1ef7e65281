//! Which fields of a live object are ours: what its `managedFields` say that we applied.
//!
//! Their notation (structured-merge-diff's `fieldsV1`): `f:KEY` is a field, `k:{…}` the element of a list with these
//! keys, `v:…` the element of a set with this value, `i:N` the element at an index, `.` the thing itself; nothing below
//! a name means all of it.

use serde_json::{Map, Value as Json};

use super::call::{at, text_at};

/// Our name as a field manager.
pub(in crate::kinds) const MANAGER: &str = "meshplan";

/// What a field manager applied of an object.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Owned {
    /// In which version; the names of fields are that version's.
    pub(super) api_version: String,
    /// The live values of its fields, with the object's identity.
    pub(super) object: Json,
}

/// The fields of `live` that `manager` applied; `None` if it applied none.
pub(super) fn owned(live: &Json, manager: &str) -> Option<Owned> {
    let entry = applied(live, manager)?;
    let api_version = text_at(entry, &["apiVersion"])?.to_owned();
    let mut object = project(live, entry.get("fieldsV1")?);
    identify(&mut object, live);
    Some(Owned { api_version, object })
}

/// The entry of what a manager applied. What it wrote otherwise, or to a subresource, is in entries of their own.
fn applied<'a>(live: &'a Json, manager: &str) -> Option<&'a Json> {
    at(live, &["metadata", "managedFields"])?.as_array()?.iter().find(|entry| {
        text_at(entry, &["manager"]) == Some(manager)
            && text_at(entry, &["operation"]) == Some("Apply")
            && text_at(entry, &["subresource"]).is_none_or(str::is_empty)
    })
}

/// What identifies an object is part of every declaration and of nobody's managed fields.
pub(super) fn identify(object: &mut Json, live: &Json) {
    if !object.is_object() {
        *object = Json::Object(Map::new());
    }
    let Some(fields) = object.as_object_mut() else { return };
    for key in ["apiVersion", "kind"] {
        if let Some(value) = live.get(key) {
            fields.insert(key.to_owned(), value.clone());
        }
    }
    let metadata = fields.entry("metadata").or_insert_with(|| Json::Object(Map::new()));
    let Some(metadata) = metadata.as_object_mut() else { return };
    for key in ["name", "namespace"] {
        if let Some(value) = at(live, &["metadata", key]) {
            metadata.insert(key.to_owned(), value.clone());
        }
    }
}

fn project(live: &Json, fields: &Json) -> Json {
    let Some(names) = fields.as_object().filter(|names| !names.is_empty()) else { return live.clone() };
    match live {
        Json::Object(values) => Json::Object(
            names
                .iter()
                .filter_map(|(name, below)| {
                    let key = name.strip_prefix("f:")?;
                    Some((key.to_owned(), project(values.get(key)?, below)))
                })
                .collect(),
        ),
        Json::Array(items) => {
            Json::Array(items.iter().enumerate().filter_map(|(n, item)| project_item(item, n, names)).collect())
        }
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => live.clone(),
    }
}

fn project_item(item: &Json, index: usize, names: &Map<String, Json>) -> Option<Json> {
    names.iter().find_map(|(name, below)| {
        let is_it = match name.split_once(':')? {
            ("k", keys) => {
                let keys: Map<String, Json> = serde_json::from_str(keys).ok()?;
                keys.iter().all(|(key, value)| item.get(key) == Some(value))
            }
            ("v", value) => serde_json::from_str::<Json>(value).ok()? == *item,
            ("i", n) => n.parse() == Ok(index),
            _ => false,
        };
        is_it.then(|| project(item, below))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_we_applied_is_seen() {
        let live = json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {
                "name": "gateway", "namespace": "mesh", "uid": "1",
                "labels": { "app": "gateway", "theirs": "x" },
                "finalizers": ["ours/hold", "theirs/hold"],
                "managedFields": [
                    { "manager": "kubectl", "operation": "Update", "apiVersion": "v1",
                      "fieldsV1": { "f:metadata": { "f:labels": { "f:theirs": {} } } } },
                    { "manager": "meshplan", "operation": "Apply", "apiVersion": "v1", "subresource": "status",
                      "fieldsV1": { "f:status": {} } },
                    { "manager": "meshplan", "operation": "Apply", "apiVersion": "v1", "fieldsV1": {
                        "f:metadata": { "f:labels": { "f:app": {}, "f:gone": {} }, "f:finalizers": { "v:\"ours/hold\"": {} } },
                        "f:spec": { "f:ports": {
                            "k:{\"port\":443,\"protocol\":\"TCP\"}": { ".": {}, "f:port": {} } }, "f:selector": {} } } },
                ],
            },
            "spec": {
                "clusterIP": "10.0.0.1", "selector": { "app": "gateway" },
                "ports": [{ "port": 80, "protocol": "TCP", "targetPort": 80 },
                          { "port": 443, "protocol": "TCP", "targetPort": 443 }],
            },
        });
        let seen = owned(&live, MANAGER).unwrap();
        assert_eq!(seen.api_version, "v1");
        assert_eq!(
            seen.object,
            json!({
                "apiVersion": "v1", "kind": "Service",
                "metadata": { "name": "gateway", "namespace": "mesh", "labels": { "app": "gateway" }, "finalizers": ["ours/hold"] },
                "spec": { "ports": [{ "port": 443 }], "selector": { "app": "gateway" } },
            })
        );
        assert_eq!(owned(&live, "helm"), None);
        assert_eq!(owned(&json!({ "metadata": {} }), MANAGER), None);
    }
}
