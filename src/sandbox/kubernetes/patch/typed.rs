//! Values with their types: which fields are set, what differs, how two are merged, what is taken out.
//!
//! Entry points: [`fields_of`], [`compare`], [`merge`], [`take_out`], [`check`]. This is what
//! `sigs.k8s.io/structured-merge-diff` does for a real API server.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::fields::{Fields, field_edge, keys_edge, value_edge};
use crate::sandbox::kubernetes::schema::{ListType, Schema};

/// What differs between two values.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Comparison {
    /// What is only in the new one, or is another value there.
    pub(crate) set: Fields,
    /// What is only in the old one.
    pub(crate) removed: Fields,
}

/// The edge to an item of a list; `None` for one that lacks its keys.
fn edge_of(list: &ListType<'_>, items: Schema<'_>, item: &Value) -> Option<String> {
    match list {
        ListType::Atomic => None,
        ListType::Set => Some(value_edge(item)),
        ListType::Map(names) => {
            let mut keys = BTreeMap::new();
            for name in names {
                let given = item.get(*name).filter(|value| !value.is_null());
                // A key that is not given has its default, which is part of the edge.
                let value = given.or_else(|| items.property(name).and_then(Schema::default));
                keys.extend(value.map(|value| (*name, value)));
            }
            (!keys.is_empty()).then(|| keys_edge(&keys))
        }
    }
}

/// The fields that a value sets.
pub(crate) fn fields_of(schema: Schema<'_>, value: &Value) -> Fields {
    match value {
        Value::Object(fields) if !schema.is_atomic_map() => {
            let below = fields.iter().map(|(name, value)| {
                let (of_field, is_declared) = schema.field(name);
                let mut below = fields_of(of_field, value);
                let is_empty = value.as_object().is_some_and(Map::is_empty);
                below.own |= value.is_null() || is_empty || (!is_declared && !schema.is_any());
                (field_edge(name), below)
            });
            Fields { own: false, below: below.collect() }
        }
        Value::Array(items) => {
            let (list, of_item) = (schema.list_type(), schema.items());
            if list == ListType::Atomic {
                return Fields::leaf();
            }
            let below = items.iter().filter_map(|item| {
                let mut below = fields_of(of_item, item);
                below.own = true;
                Some((edge_of(&list, of_item, item)?, below))
            });
            Fields { own: items.is_empty(), below: below.collect() }
        }
        Value::Object(_) | Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Fields::leaf(),
    }
}

/// What differs between an old and a new value.
pub(crate) fn compare(schema: Schema<'_>, old: &Value, new: &Value) -> Comparison {
    let (before, after) = (fields_of(schema, old), fields_of(schema, new));
    let mut changed = Fields::default();
    modified(schema, old, new, &mut changed);
    Comparison { set: after.beyond(&before).union(&changed), removed: before.beyond(&after) }
}

/// The leaves that both have with different values.
fn modified(schema: Schema<'_>, old: &Value, new: &Value, changed: &mut Fields) {
    match (old, new) {
        (Value::Object(before), Value::Object(after)) if !schema.is_atomic_map() => {
            for (name, value) in after {
                if let Some(was) = before.get(name) {
                    descend(schema.field(name).0, was, value, field_edge(name), changed);
                }
            }
        }
        (Value::Array(before), Value::Array(after)) if schema.list_type() != ListType::Atomic => {
            let (list, of_item) = (schema.list_type(), schema.items());
            let was: BTreeMap<String, &Value> =
                before.iter().filter_map(|item| Some((edge_of(&list, of_item, item)?, item))).collect();
            for item in after {
                if let Some(edge) = edge_of(&list, of_item, item)
                    && let Some(was) = was.get(&edge)
                {
                    descend(of_item, was, item, edge, changed);
                }
            }
        }
        _ if old != new => changed.own = true,
        _ => {}
    }
}

fn descend(schema: Schema<'_>, old: &Value, new: &Value, edge: String, changed: &mut Fields) {
    if old == new {
        return;
    }
    let mut below = Fields::default();
    modified(schema, old, new, &mut below);
    if !below.is_empty() {
        changed.below.insert(edge, below);
    }
}

/// The old value with everything that the new one says.
pub(crate) fn merge(schema: Schema<'_>, old: &Value, new: &Value) -> Value {
    match (old, new) {
        (Value::Object(before), Value::Object(said)) if !schema.is_atomic_map() => {
            let mut merged = before.clone();
            for (name, value) in said {
                let value = match before.get(name) {
                    Some(was) => merge(schema.field(name).0, was, value),
                    None => value.clone(),
                };
                merged.insert(name.clone(), value);
            }
            Value::Object(merged)
        }
        (Value::Array(before), Value::Array(said)) if schema.list_type() != ListType::Atomic => {
            let (list, of_item) = (schema.list_type(), schema.items());
            Value::Array(merge_lists(&list, of_item, before, said))
        }
        _ => new.clone(),
    }
}

/// The items of both lists: those that are said in their order, the others where they were.
fn merge_lists(list: &ListType<'_>, of_item: Schema<'_>, before: &[Value], said: &[Value]) -> Vec<Value> {
    let with_edges = |items: &[Value]| -> Vec<(Option<String>, Value)> {
        items.iter().map(|item| (edge_of(list, of_item, item), item.clone())).collect()
    };
    let (before, said) = (with_edges(before), with_edges(said));
    let was: BTreeMap<&str, &Value> = before.iter().filter_map(|(edge, item)| Some((edge.as_deref()?, item))).collect();
    let named: BTreeSet<&str> = said.iter().filter_map(|(edge, _)| edge.as_deref()).collect();
    let mut merged = Vec::new();
    let mut rest = before.iter().peekable();
    for (edge, item) in &said {
        // What nobody says anything of keeps its place before the item that followed it.
        while let Some((_, other)) = rest.next_if(|(other, _)| other.as_deref().is_none_or(|one| !named.contains(one)))
        {
            merged.push(other.clone());
        }
        if rest.peek().is_some_and(|(other, _)| other == edge) {
            rest.next();
        }
        let known = edge.as_deref().and_then(|edge| was.get(edge));
        merged.push(known.map_or_else(|| item.clone(), |known| merge(of_item, known, item)));
    }
    // Those that are said and stood elsewhere were taken where they were said.
    let left = rest.filter(|(edge, _)| edge.as_deref().is_none_or(|edge| !named.contains(edge)));
    merged.extend(left.map(|(_, item)| item.clone()));
    merged
}

/// A value without the fields that somebody owned (`last`) and nobody owns any more (`owned`).
pub(crate) fn take_out(schema: Schema<'_>, value: &Value, last: &Fields, owned: &Fields) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields.iter().filter_map(|(name, value)| {
                let edge = field_edge(name);
                let (of_field, is_declared) = schema.field(name);
                let kept = keep(of_field, value, last.below.get(&edge), owned.below.get(&edge), is_declared)?;
                Some((name.clone(), kept))
            });
            Value::Object(kept.collect())
        }
        Value::Array(items) => {
            let (list, of_item) = (schema.list_type(), schema.items());
            let kept = items.iter().filter_map(|item| match edge_of(&list, of_item, item) {
                Some(edge) => keep(of_item, item, last.below.get(&edge), owned.below.get(&edge), false),
                None => Some(item.clone()),
            });
            Value::Array(kept.collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

fn keep(
    schema: Schema<'_>,
    value: &Value,
    last: Option<&Fields>,
    owned: Option<&Fields>,
    is_declared: bool,
) -> Option<Value> {
    let Some(last) = last else { return Some(value.clone()) };
    match owned {
        Some(owned) if !owned.is_empty() => Some(take_out(schema, value, last, owned)),
        // A declared field belongs to whoever owns something in it.
        _ if last.own || is_declared => None,
        _ => Some(take_out(schema, value, last, &Fields::default())),
    }
}

/// The first reason why a value is not of its type, in the words of an apply: `.spec.size: expected numeric, got …`.
pub(crate) fn check(schema: Schema<'_>, value: &Value, at: &str) -> Option<String> {
    if value.is_null() || schema.is_any() {
        return None;
    }
    let at_or_root = if at.is_empty() { "." } else { at };
    let wrong = |expected: &str| Some(format!("{at_or_root}: expected {expected}, got &{{{}}}", bare(value)));
    match (schema.type_name(), value) {
        _ if schema.is_int_or_string() => match value {
            Value::String(_) | Value::Number(_) => None,
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => wrong("string or numeric"),
        },
        (Some("string"), Value::String(_)) | (Some("boolean"), Value::Bool(_)) => None,
        (Some("string"), _) => {
            let got = format!("&value.valueUnstructured{{Value:{}}}", bare(value));
            Some(format!("{at_or_root}: expected string, got {got}"))
        }
        (Some("boolean"), _) => wrong("boolean"),
        (Some("integer" | "number"), Value::Number(_)) => None,
        (Some("integer" | "number"), _) => {
            Some(format!("{at_or_root}: expected numeric (int or float), got {}", go_type(value)))
        }
        (Some("array"), Value::Array(items)) => {
            let (list, of_item) = (schema.list_type(), schema.items());
            let mut seen = BTreeSet::new();
            for (index, item) in items.iter().enumerate() {
                if let Some(edge) = edge_of(&list, of_item, item) {
                    if !seen.insert(edge.clone()) {
                        let entry = edge.split_once(':').map_or(edge.as_str(), |(_, keys)| keys);
                        return Some(format!("{at}: duplicate entries for key [{}]", readable_keys(entry)));
                    }
                } else if let ListType::Map(names) = &list {
                    let names = names.join(", ");
                    return Some(format!(
                        "{at}: element {index}: associative list with keys has an element that omits key field {names:?}"
                    ));
                }
                if let Some(why) = check(of_item, item, &format!("{at}[{index}]")) {
                    return Some(why);
                }
            }
            None
        }
        (Some("array"), _) => wrong("list"),
        (_, Value::Object(fields)) => fields.iter().find_map(|(name, value)| {
            let (of_field, is_declared) = schema.field(name);
            let at = format!("{at}.{name}");
            if !is_declared && schema.additional().is_none() && !schema.preserves_unknown() {
                return Some(format!("{at}: field not declared in schema"));
            }
            check(of_field, value, &at)
        }),
        (_, _) => wrong("map"),
    }
}

fn bare(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn go_type(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "string",
        Value::Bool(_) => "bool",
        Value::Array(_) => "[]interface {}",
        Value::Object(_) => "map[string]interface {}",
        Value::Null => "nil",
        Value::Number(_) => "float64",
    }
}

fn readable_keys(keys: &str) -> String {
    let parsed: Option<Map<String, Value>> = serde_json::from_str(keys).ok();
    parsed.map_or_else(
        || format!("={keys}"),
        |keys| keys.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(","),
    )
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pod() -> Schema<'static> {
        Schema::built_in("", "v1", "Pod").unwrap()
    }

    #[test]
    fn fields_are_those_that_a_real_server_writes() {
        let value = json!({
            "metadata": { "labels": { "app": "x" }, "annotations": {}, "finalizers": ["a/b"] },
            "spec": {
                "containers": [{ "name": "one", "ports": [{ "containerPort": 80 }], "resources": {} }],
                "nodeSelector": { "a": "b" },
                "tolerations": [{ "key": "x" }],
            },
        });
        assert_eq!(
            fields_of(pod(), &value).to_json(),
            json!({
                "f:metadata": {
                    "f:annotations": {},
                    "f:finalizers": { "v:\"a/b\"": {} },
                    "f:labels": { "f:app": {} },
                },
                "f:spec": {
                    "f:containers": { "k:{\"name\":\"one\"}": {
                        ".": {},
                        "f:name": {},
                        "f:ports": { "k:{\"containerPort\":80,\"protocol\":\"TCP\"}": { ".": {}, "f:containerPort": {} } },
                        "f:resources": {},
                    } },
                    "f:nodeSelector": {},
                    "f:tolerations": {},
                },
            })
        );
    }

    #[test]
    fn a_comparison_tells_what_is_set_and_what_went() {
        let old =
            json!({ "spec": { "containers": [{ "name": "one", "image": "a" }, { "name": "two", "image": "b" }] } });
        let new = json!({ "spec": { "containers": [{ "name": "one", "image": "c" }], "hostNetwork": true } });
        let difference = compare(pod(), &old, &new);
        assert_eq!(difference.set.paths(), [".spec.containers[name=\"one\"].image", ".spec.hostNetwork"]);
        assert_eq!(
            difference.removed.paths(),
            [
                ".spec.containers[name=\"two\"]",
                ".spec.containers[name=\"two\"].image",
                ".spec.containers[name=\"two\"].name",
            ]
        );
        assert_eq!(compare(pod(), &old, &old), Comparison::default());
    }

    #[test]
    fn lists_merge_by_their_keys_and_keep_their_order() {
        let old =
            json!({ "spec": { "containers": [{ "name": "a", "image": "1" }, { "name": "proxy" }, { "name": "b" }] } });
        let new =
            json!({ "spec": { "containers": [{ "name": "b", "image": "2" }, { "name": "a" }, { "name": "c" }] } });
        let merged = merge(pod(), &old, &new);
        let names: Vec<&str> =
            merged["spec"]["containers"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
        assert_eq!(names, ["b", "a", "proxy", "c"]);
        assert_eq!(merged["spec"]["containers"][1]["image"], "1");
    }

    #[test]
    fn types_are_checked_in_the_words_of_an_apply() {
        let config = Schema::built_in("", "v1", "ConfigMap").unwrap();
        assert_eq!(check(config, &json!({ "dataa": {} }), "").unwrap(), ".dataa: field not declared in schema");
        let deployment = Schema::built_in("apps", "v1", "Deployment").unwrap();
        assert_eq!(
            check(deployment, &json!({ "spec": { "replicas": "x" } }), "").unwrap(),
            ".spec.replicas: expected numeric (int or float), got string"
        );
        assert_eq!(check(deployment, &json!({ "spec": { "replicas": 1 } }), ""), None);
    }
}
