//! Reading and writing parts of objects, which are documents that anybody may have written: nothing here panics on a
//! part of another type than it should have.
//!
//! Entry points: [`text`], [`set`], [`set_condition`], [`selects`], [`owned_by`].

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::sandbox::kubernetes::objects::{Key, time};

/// The text at a path (`/metadata/name`); empty where there is none.
pub(in crate::sandbox) fn text<'a>(object: &'a Value, path: &str) -> &'a str {
    object.pointer(path).and_then(Value::as_str).unwrap_or_default()
}

/// The number at a path.
pub(in crate::sandbox) fn number(object: &Value, path: &str) -> Option<i64> {
    object.pointer(path).and_then(Value::as_i64)
}

/// The elements of the list at a path; none where there is none.
pub(in crate::sandbox) fn list<'a>(object: &'a Value, path: &str) -> &'a [Value] {
    object.pointer(path).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The texts of the list at a path.
pub(in crate::sandbox) fn texts<'a>(object: &'a Value, path: &str) -> Vec<&'a str> {
    list(object, path).iter().filter_map(Value::as_str).collect()
}

/// The instant at a path.
pub(in crate::sandbox) fn instant(object: &Value, path: &str) -> Option<Timestamp> {
    text(object, path).parse().ok()
}

/// An object's name.
pub(in crate::sandbox) fn name(object: &Value) -> &str {
    text(object, "/metadata/name")
}

/// An object's namespace; empty where it is in none.
pub(in crate::sandbox) fn namespace(object: &Value) -> &str {
    text(object, "/metadata/namespace")
}

/// An object's uid.
pub(in crate::sandbox) fn uid(object: &Value) -> &str {
    text(object, "/metadata/uid")
}

/// A label of an object.
pub(in crate::sandbox) fn label<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object["metadata"]["labels"][key].as_str()
}

/// An annotation of an object.
pub(in crate::sandbox) fn annotation<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    object["metadata"]["annotations"][key].as_str()
}

/// When an object was made.
pub(in crate::sandbox) fn created(object: &Value) -> Timestamp {
    instant(object, "/metadata/creationTimestamp").unwrap_or(Timestamp::MIN)
}

/// Whether an object's deletion was asked for.
pub(in crate::sandbox) fn is_going(object: &Value) -> bool {
    !text(object, "/metadata/deletionTimestamp").is_empty()
}

/// Where a namespaced object of the core group is.
pub(in crate::sandbox) fn core(plural: &str, namespace: &str, name: &str) -> Key {
    Key::new("", plural, Some(namespace), name)
}

/// Puts a value at a path of fields; what is in the way and no object becomes one.
pub(in crate::sandbox) fn set(object: &mut Value, path: &[&str], value: Value) {
    let mut place = object;
    for field in path {
        place = fields_of(place).entry(*field).or_insert(Value::Null);
    }
    *place = value;
}

/// The same where nothing is there yet.
pub(in crate::sandbox) fn set_missing(object: &mut Value, path: &[&str], value: Value) {
    let pointer: String = path.iter().flat_map(|field| ["/", field]).collect();
    if object.pointer(&pointer).is_none_or(Value::is_null) {
        set(object, path, value);
    }
}

/// The fields of a value, which becomes an object if it is none.
fn fields_of(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = json!({});
    }
    match value {
        Value::Object(fields) => fields,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            unreachable!("it was made an object")
        }
    }
}

/// A condition in an object's status.
pub(in crate::sandbox) fn condition<'a>(object: &'a Value, kind: &str) -> Option<&'a Value> {
    list(object, "/status/conditions").iter().find(|condition| condition["type"] == kind)
}

/// Whether a condition holds.
pub(in crate::sandbox) fn holds(object: &Value, kind: &str) -> bool {
    condition(object, kind).is_some_and(|condition| condition["status"] == "True")
}

/// Since when a condition holds.
pub(in crate::sandbox) fn since(object: &Value, kind: &str) -> Option<Timestamp> {
    let condition = condition(object, kind).filter(|condition| condition["status"] == "True")?;
    instant(condition, "/lastTransitionTime")
}

/// Sets a condition; its time moves when its status does.
pub(in crate::sandbox) fn set_condition(
    object: &mut Value,
    kind: &str,
    holds: bool,
    (reason, message): (&str, &str),
    now: Timestamp,
) {
    let status = if holds { "True" } else { "False" };
    let mut all = list(object, "/status/conditions").to_vec();
    let place = all.iter().position(|condition| condition["type"] == kind);
    let old = place.and_then(|place| all.get(place));
    let changed = match old {
        Some(old) if old["status"] == status => old["lastTransitionTime"].clone(),
        Some(_) | None => time(now).into(),
    };
    let mut new = json!({ "type": kind, "status": status, "lastTransitionTime": changed });
    for (field, text) in [("reason", reason), ("message", message)] {
        if !text.is_empty() {
            set(&mut new, &[field], text.into());
        }
    }
    match place.and_then(|place| all.get_mut(place)) {
        Some(old) => *old = new,
        None => all.push(new),
    }
    set(object, &["status", "conditions"], all.into());
}

/// Whether a label selector (`matchLabels`, `matchExpressions`) selects these labels. An empty one selects everything.
pub(in crate::sandbox) fn selects(selector: &Value, labels: &Value) -> bool {
    let labelled = selector["matchLabels"].as_object().into_iter().flatten();
    selects_all(labelled, labels)
        && list(selector, "/matchExpressions").iter().all(|expression| {
            let value = expression["key"].as_str().and_then(|key| labels[key].as_str());
            let listed = value.is_some_and(|value| texts(expression, "/values").contains(&value));
            match text(expression, "/operator") {
                "In" => listed,
                "NotIn" => !listed,
                "Exists" => value.is_some(),
                "DoesNotExist" => value.is_none(),
                _ => false,
            }
        })
}

/// Whether a plain map of labels, as Services have it, selects these labels. An empty one selects nothing.
pub(in crate::sandbox) fn selects_plainly(selector: &Value, labels: &Value) -> bool {
    selector.as_object().is_some_and(|wanted| !wanted.is_empty() && selects_all(wanted, labels))
}

fn selects_all<'a>(wanted: impl IntoIterator<Item = (&'a String, &'a Value)>, labels: &Value) -> bool {
    wanted.into_iter().all(|(key, value)| labels.get(key) == Some(value))
}

/// The reference by which an object names the controller that made it.
pub(in crate::sandbox) fn owner(object: &Value) -> Value {
    json!([{
        "apiVersion": object["apiVersion"], "kind": object["kind"], "name": name(object), "uid": uid(object),
        "controller": true, "blockOwnerDeletion": true,
    }])
}

/// Whether an object was made by the controller of another.
pub(in crate::sandbox) fn owned_by(object: &Value, owner: &Value) -> bool {
    list(object, "/metadata/ownerReferences")
        .iter()
        .any(|reference| reference["controller"] == true && reference["uid"] == owner["metadata"]["uid"])
}

/// Letters and digits without vowels, as generated names have them.
pub(in crate::sandbox) fn safe_suffix(number: u64, length: usize) -> String {
    const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    let mut left = number;
    (0..length)
        .map(|_| {
            let place = usize::try_from(left % 27).unwrap_or_default();
            left /= 27;
            char::from(LETTERS.get(place).copied().unwrap_or(b'x'))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn selectors_are_those_of_kubernetes() {
        let labels = json!({ "app": "istiod", "istio.io/rev": "default" });
        let expression = |key: &str, operator: &str, values: &[&str]| json!({ "matchExpressions": [{ "key": key, "operator": operator, "values": values }] });
        for (selector, selected) in [
            (json!({}), true),
            (json!({ "matchLabels": { "app": "istiod" } }), true),
            (json!({ "matchLabels": { "app": "istiod", "istio": "pilot" } }), false),
            (expression("app", "In", &["a", "istiod"]), true),
            (expression("app", "NotIn", &["istiod"]), false),
            (expression("other", "NotIn", &["istiod"]), true),
            (expression("app", "Exists", &[]), true),
            (expression("app", "DoesNotExist", &[]), false),
            (expression("app", "Like", &["istiod"]), false),
        ] {
            assert_eq!(selects(&selector, &labels), selected, "{selector}");
        }
        assert!(!selects_plainly(&json!({}), &labels), "a Service without a selector has no pods");
    }

    #[test]
    fn a_condition_keeps_its_time_while_its_status_stays() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut object = json!({ "status": "not an object" });
        set_condition(&mut object, "Ready", false, ("No", ""), at(1));
        set_condition(&mut object, "Ready", false, ("StillNot", "why"), at(2));
        assert_eq!(condition(&object, "Ready").unwrap()["lastTransitionTime"], "1970-01-01T00:00:01Z");
        assert_eq!(condition(&object, "Ready").unwrap()["reason"], "StillNot");
        set_condition(&mut object, "Ready", true, ("", ""), at(3));
        assert_eq!(since(&object, "Ready"), Some(at(3)));
        assert_eq!(list(&object, "/status/conditions").len(), 1);
    }
}
