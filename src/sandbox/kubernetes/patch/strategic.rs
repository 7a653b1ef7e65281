//! Strategic merge patch: merge patch in which lists merge by the keys of their types, with directives.
//!
//! Entry point: [`strategic_merge`]. Only built-in kinds have it, as on a real server.

use serde_json::{Map, Value};

use crate::sandbox::kubernetes::schema::Schema;
use crate::sandbox::kubernetes::status::Refusal;

const DIRECTIVE: &str = "$patch";
const RETAIN: &str = "$retainKeys";
const DELETE_FROM: &str = "$deleteFromPrimitiveList/";
const ORDER: &str = "$setElementOrder/";

/// An object after a strategic merge patch.
pub(crate) fn strategic_merge(schema: Schema<'_>, object: &Value, patch: &Value) -> Result<Value, Refusal> {
    let (Value::Object(object), Value::Object(patch)) = (object, patch) else {
        return Err(Refusal::bad_request("error decoding patch: it is no object"));
    };
    merge_maps(schema, object, patch).map(Value::Object)
}

type Fields = Map<String, Value>;

fn merge_maps(schema: Schema<'_>, object: &Fields, patch: &Fields) -> Result<Fields, Refusal> {
    match patch.get(DIRECTIVE).and_then(Value::as_str) {
        Some("replace") => return Ok(without_directives(patch)),
        Some("delete") => return Ok(Fields::new()),
        Some("merge") | None => {}
        Some(other) => {
            return Err(Refusal::bad_request(format!("Unknown patch type found: {other}")));
        }
    }
    let mut merged = object.clone();
    if let Some(retained) = patch.get(RETAIN).and_then(Value::as_array) {
        merged.retain(|key, _| retained.iter().any(|one| one == key));
    }
    for (key, value) in patch {
        if key == DIRECTIVE || key == RETAIN || key.starts_with(ORDER) {
            continue;
        }
        if let Some(list) = key.strip_prefix(DELETE_FROM) {
            let gone = value.as_array().map(Vec::as_slice).unwrap_or_default();
            if let Some(items) = merged.get_mut(list).and_then(Value::as_array_mut) {
                items.retain(|item| !gone.contains(item));
            }
            continue;
        }
        if value.is_null() {
            merged.remove(key);
            continue;
        }
        let of_field = schema.field(key).0;
        let new = match (merged.get(key), value) {
            (Some(Value::Object(old)), Value::Object(patch)) if !of_field.patch_strategy().contains("replace") => {
                Value::Object(merge_maps(of_field, old, patch)?)
            }
            (old, Value::Array(patch_items)) if of_field.patch_strategy().contains("merge") => {
                let old = old.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
                let order = patch.get(&format!("{ORDER}{key}")).and_then(Value::as_array);
                Value::Array(merge_lists(of_field, old, patch_items, order)?)
            }
            (_, Value::Object(fields)) => Value::Object(merge_maps(of_field, &Fields::new(), fields)?),
            (_, other) => other.clone(),
        };
        merged.insert(key.clone(), new);
    }
    // An order alone reorders what is there.
    for (key, order) in patch.iter().filter_map(|(key, value)| Some((key.strip_prefix(ORDER)?, value))) {
        let of_field = schema.field(key).0;
        if let (Some(items), Some(order)) = (merged.get_mut(key).and_then(Value::as_array_mut), order.as_array()) {
            *items = ordered(of_field.patch_merge_key(), std::mem::take(items), order);
        }
    }
    Ok(merged)
}

fn merge_lists(
    schema: Schema<'_>,
    old: &[Value],
    patch: &[Value],
    order: Option<&Vec<Value>>,
) -> Result<Vec<Value>, Refusal> {
    let of_item = schema.items();
    let Some(key) = schema.patch_merge_key() else {
        let mut merged = old.to_vec();
        merged.extend(patch.iter().filter(|item| !old.contains(item)).cloned());
        return Ok(merged);
    };
    if patch.iter().any(|item| item[DIRECTIVE] == "replace") {
        return Ok(patch.iter().filter(|item| item[DIRECTIVE] != "replace").cloned().collect());
    }
    let mut merged = old.to_vec();
    for item in patch {
        let Some(fields) = item.as_object() else { continue };
        let Some(id) = fields.get(key) else {
            return Err(Refusal::bad_request(format!("map: {item} does not contain declared merge key: {key}")));
        };
        let at = merged.iter().position(|one| one.get(key) == Some(id));
        match (fields.get(DIRECTIVE).and_then(Value::as_str), at) {
            (Some("delete"), Some(at)) => drop(merged.remove(at)),
            (Some("delete"), None) => {}
            (_, Some(at)) => {
                if let Some(place) = merged.get_mut(at) {
                    let was = place.as_object().cloned().unwrap_or_default();
                    *place = Value::Object(merge_maps(of_item, &was, fields)?);
                }
            }
            (_, None) => merged.push(Value::Object(merge_maps(of_item, &Fields::new(), fields)?)),
        }
    }
    Ok(match order {
        Some(order) => ordered(Some(key), merged, order),
        None => merged,
    })
}

/// Items in the order that is asked for; those that it does not name keep their places among themselves, at the end.
fn ordered(key: Option<&str>, items: Vec<Value>, order: &[Value]) -> Vec<Value> {
    let place = |item: &Value| match key {
        Some(key) => order.iter().position(|one| one.get(key) == item.get(key)),
        None => order.iter().position(|one| one == item),
    };
    let mut placed: Vec<(usize, Value)> =
        items.into_iter().map(|item| (place(&item).unwrap_or(usize::MAX), item)).collect();
    placed.sort_by_key(|(at, _)| *at);
    placed.into_iter().map(|(_, item)| item).collect()
}

fn without_directives(patch: &Fields) -> Fields {
    patch.iter().filter(|(key, _)| key.as_str() != DIRECTIVE).map(|(key, value)| (key.clone(), value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn patched(object: &Value, patch: &Value) -> Value {
        strategic_merge(Schema::built_in("apps", "v1", "Deployment").unwrap(), object, patch).unwrap()
    }

    #[expect(clippy::needless_pass_by_value, reason = "a document that a test writes is written where it is used")]
    fn with(containers: Value) -> Value {
        json!({ "spec": { "template": { "spec": { "containers": containers } } } })
    }

    #[test]
    fn lists_merge_by_their_keys() {
        let object =
            with(json!([{ "name": "a", "image": "1", "env": [{ "name": "X", "value": "1" }] }, { "name": "b" }]));
        let patch = with(json!([{ "name": "a", "image": "2", "env": [{ "name": "Y", "value": "2" }] }]));
        assert_eq!(
            patched(&object, &patch),
            with(json!([
                { "name": "a", "image": "2", "env": [{ "name": "X", "value": "1" }, { "name": "Y", "value": "2" }] },
                { "name": "b" },
            ]))
        );
    }

    #[test]
    fn directives_delete_replace_retain_and_order() {
        let object = with(json!([{ "name": "a" }, { "name": "b" }]));
        assert_eq!(
            patched(&object, &with(json!([{ "name": "a", "$patch": "delete" }]))),
            with(json!([{ "name": "b" }]))
        );
        let replaced = with(json!([{ "$patch": "replace" }, { "name": "c" }]));
        assert_eq!(patched(&object, &replaced), with(json!([{ "name": "c" }])));
        let ordered = json!({ "spec": { "template": { "spec": {
            "$setElementOrder/containers": [{ "name": "b" }, { "name": "a" }],
        } } } });
        assert_eq!(patched(&object, &ordered), with(json!([{ "name": "b" }, { "name": "a" }])));
        let strategy =
            json!({ "spec": { "strategy": { "type": "RollingUpdate", "rollingUpdate": { "maxSurge": 1 } } } });
        let recreate = json!({ "spec": { "strategy": { "$retainKeys": ["type"], "type": "Recreate" } } });
        assert_eq!(patched(&strategy, &recreate), json!({ "spec": { "strategy": { "type": "Recreate" } } }));
        let finalizers = json!({ "metadata": { "finalizers": ["a", "b"], "labels": { "x": "1" } } });
        let gone = json!({ "metadata": { "$deleteFromPrimitiveList/finalizers": ["a"], "labels": { "x": null } } });
        assert_eq!(patched(&finalizers, &gone), json!({ "metadata": { "finalizers": ["b"], "labels": {} } }));
    }
}
