//! Reading a chart's values: what is given goes over what the chart itself says.

use serde_json::Value;

/// One document over another: maps are merged, everything else is replaced, and `null` takes a field out.
pub(super) fn merged(own: Value, given: &Value) -> Value {
    match (own, given) {
        (Value::Object(mut own), Value::Object(given)) => {
            for (key, value) in given {
                let before = own.remove(key).unwrap_or(Value::Null);
                if !value.is_null() {
                    own.insert(key.clone(), merged(before, value));
                }
            }
            Value::Object(own)
        }
        (_, given) => given.clone(),
    }
}

/// The text at a path; empty where there is none. Numbers and booleans are texts too, as in a template.
pub(super) fn text(values: &Value, path: &str) -> String {
    match values.pointer(path) {
        Some(Value::String(text)) => text.clone(),
        Some(number @ Value::Number(_)) => number.to_string(),
        Some(Value::Bool(holds)) => holds.to_string(),
        Some(Value::Null | Value::Array(_) | Value::Object(_)) | None => String::new(),
    }
}

/// Whether the value at a path is one that a template's `if` takes for true.
pub(super) fn is_set(values: &Value, path: &str) -> bool {
    match values.pointer(path) {
        Some(Value::Bool(holds)) => *holds,
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Number(number)) => number.as_f64() != Some(0.0),
        Some(Value::Array(list)) => !list.is_empty(),
        Some(Value::Object(map)) => !map.is_empty(),
        Some(Value::Null) | None => false,
    }
}

/// A map of variables as containers have it.
pub(super) fn environment(values: &Value, path: &str) -> Vec<Value> {
    let map = values.pointer(path).and_then(Value::as_object).into_iter().flatten();
    map.map(|(name, value)| {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        serde_json::json!({ "name": name, "value": value })
    })
    .collect()
}
