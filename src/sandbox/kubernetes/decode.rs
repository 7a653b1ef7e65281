//! Reading objects: what does not fit its type is refused, what no type knows is left out and told.
//!
//! Entry point: [`decode`]. Built-in kinds are read as Go's JSON decoder reads them; custom ones are pruned, defaulted and
//! validated by their schema.

use serde_json::Value;

use super::schema::{Kind, Schema};
use super::status::{Cause, Refusal};

/// An object that was read.
#[derive(Debug, Clone)]
pub(crate) struct Decoded {
    pub(crate) object: Value,
    /// The fields that were left out: `unknown field "spec.foo"`.
    pub(crate) unknown: Vec<String>,
}

/// Reads an object of a kind.
pub(crate) fn decode(kind: &Kind, object: Value) -> Result<Decoded, Refusal> {
    let mut object = object;
    let mut unknown = Vec::new();
    let schema = kind.schema();
    if kind.custom.is_some() {
        prune(schema, &mut object, "", &mut unknown);
        default(schema, &mut object);
        let mut causes = Vec::new();
        validate(schema, &object, "", &mut causes);
        if !causes.is_empty() {
            let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
            return Err(Refusal::invalid(kind, &name, &causes));
        }
    } else {
        if let Some(why) = mismatch(schema, &object, "", &kind.kind) {
            return Err(Refusal::bad_request(format!(
                "{} in version \"{}\" cannot be handled as a {}: json: cannot unmarshal {why}",
                kind.kind, kind.version, kind.kind
            )));
        }
        prune(schema, &mut object, "", &mut unknown);
    }
    Ok(Decoded { object, unknown })
}

/// Takes out what is not declared, and `null`s.
fn prune(schema: Schema<'_>, value: &mut Value, at: &str, unknown: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            let names: Vec<String> = fields.keys().cloned().collect();
            for name in names {
                let (of_field, is_declared) = schema.field(&name);
                let path = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
                if !is_declared && schema.additional().is_none() && !schema.preserves_unknown() {
                    fields.remove(&name);
                    unknown.push(format!("unknown field \"{path}\""));
                } else if fields.get(&name).is_some_and(Value::is_null) && !schema.is_any() {
                    fields.remove(&name);
                } else if let Some(value) = fields.get_mut(&name) {
                    prune(of_field, value, &path, unknown);
                }
            }
        }
        Value::Array(items) => {
            let of_item = schema.items();
            for (index, item) in items.iter_mut().enumerate() {
                prune(of_item, item, &format!("{at}[{index}]"), unknown);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Sets the defaults that a definition declares.
pub(crate) fn default(schema: Schema<'_>, value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, of_field) in schema.properties() {
                if !fields.contains_key(name)
                    && let Some(value) = of_field.default()
                {
                    fields.insert(name.clone(), value.clone());
                }
            }
            for (name, value) in fields.iter_mut().filter(|(name, _)| name.as_str() != "metadata") {
                default(schema.field(name).0, value);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| default(schema.items(), item)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// What Go's decoder says of the first value that does not fit its type.
fn mismatch(schema: Schema<'_>, value: &Value, at: &str, kind: &str) -> Option<String> {
    if value.is_null() || schema.is_any() {
        return None;
    }
    let wrong = |of_type: &str| {
        let is = match value {
            Value::String(_) => "string",
            Value::Number(_) => "number",
            Value::Bool(_) => "bool",
            Value::Array(_) => "array",
            Value::Object(_) | Value::Null => "object",
        };
        Some(format!("{is} into Go struct field {kind}.{} of type {of_type}", at.trim_start_matches('.')))
    };
    let integer = match schema.said_format() {
        Some("int64") => "int64",
        Some(_) | None => "int32",
    };
    match (schema.type_name(), value) {
        _ if schema.is_int_or_string() => match value {
            Value::String(_) | Value::Number(_) => None,
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => wrong("intstr.IntOrString"),
        },
        (Some("string"), Value::String(_)) | (Some("boolean"), Value::Bool(_)) => None,
        (Some("string"), _) => wrong("string"),
        (Some("boolean"), _) => wrong("bool"),
        (Some("integer"), Value::Number(number)) if number.is_i64() || number.is_u64() => None,
        (Some("integer"), _) => wrong(integer),
        (Some("number"), Value::Number(_)) => None,
        (Some("number"), _) => wrong("float64"),
        (Some("array"), Value::Array(items)) => items.iter().find_map(|item| mismatch(schema.items(), item, at, kind)),
        (Some("array"), _) => wrong("[]interface {}"),
        (_, Value::Object(fields)) => fields.iter().find_map(|(name, value)| {
            let (of_field, _) = schema.field(name);
            mismatch(of_field, value, &format!("{at}.{name}"), kind)
        }),
        (_, _) => wrong("map[string]interface {}"),
    }
}

/// What is wrong with a custom object by its schema.
fn validate(schema: Schema<'_>, value: &Value, at: &str, causes: &mut Vec<Cause>) {
    if schema.is_any() || (value.is_null() && schema.is_nullable()) {
        return;
    }
    let expected = schema.type_name();
    let fits = match (expected, value) {
        _ if schema.is_int_or_string() => value.is_string() || value.is_i64() || value.is_u64(),
        (Some("string"), Value::String(_))
        | (Some("boolean"), Value::Bool(_))
        | (Some("number"), Value::Number(_))
        | (Some("array"), Value::Array(_))
        | (Some("object") | None, Value::Object(_)) => true,
        (Some("integer"), Value::Number(number)) => number.is_i64() || number.is_u64(),
        (None, _) => true,
        (Some(_), _) => false,
    };
    let path = if at.is_empty() { "<nil>" } else { at };
    if !fits {
        let is = match value {
            Value::String(_) => "string",
            Value::Number(number) if number.is_f64() => "number",
            Value::Number(_) => "integer",
            Value::Bool(_) => "boolean",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
            Value::Null => "null",
        };
        let why = format!("{path} in body must be of type {}: \"{is}\"", expected.unwrap_or("integer or string"));
        causes.push(Cause::wrong_type(path, &Value::from(is), &why));
        return;
    }
    if let Some(allowed) = schema.allowed()
        && !allowed.contains(value)
    {
        causes.push(Cause::unsupported(path, value, allowed));
    }
    bounds(schema, value, path, causes);
    match value {
        Value::Object(fields) => {
            for name in schema.required().filter(|name| !fields.contains_key(*name)) {
                causes.push(Cause::required(join(at, name), ""));
            }
            for (name, value) in fields.iter().filter(|(name, _)| !at.is_empty() || name.as_str() != "metadata") {
                validate(schema.field(name).0, value, &join(at, name), causes);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                validate(schema.items(), item, &format!("{at}[{index}]"), causes);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Lengths and ranges.
fn bounds(schema: Schema<'_>, value: &Value, at: &str, causes: &mut Vec<Cause>) {
    let bound = |name: &str| schema.bound(name);
    let size = match value {
        Value::String(text) => Some((text.chars().count(), "Length", "chars long")),
        Value::Array(items) => Some((items.len(), "Items", "items")),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => None,
    };
    if let Some((size, what, unit)) = size {
        let size = f64::from(u32::try_from(size).unwrap_or(u32::MAX));
        if let Some(least) = bound(&format!("min{what}")).filter(|least| size < *least) {
            causes.push(Cause::invalid(at, value, &format!("{at} in body should be at least {least} {unit}")));
        }
        if let Some(most) = bound(&format!("max{what}")).filter(|most| size > *most) {
            causes.push(Cause::invalid(at, value, &format!("{at} in body should be at most {most} {unit}")));
        }
    }
    if let Some(number) = value.as_f64() {
        if let Some(least) = bound("minimum").filter(|least| number < *least) {
            let why = format!("{at} in body should be greater than or equal to {least}");
            causes.push(Cause::invalid(at, value, &why));
        }
        if let Some(most) = bound("maximum").filter(|most| number > *most) {
            causes.push(Cause::invalid(at, value, &format!("{at} in body should be less than or equal to {most}")));
        }
    }
}

fn join(at: &str, name: &str) -> String {
    if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") }
}
