//! Values as helm keeps them, so that what is declared and what is read back are the same document.
//!
//! Helm reads a file of values into floating-point numbers and stores what they print as: `1.0` and `1e0` come back as
//! `1`, and an integer beyond 2^53 as its neighbour.

use serde::{Serialize, Serializer};

use crate::model::{AttrPath, Value};
use crate::resource::FieldError;

/// Above it not every integer is a floating-point number.
const LARGEST: u64 = 1 << 53;

/// The canonical form of values: none at all is an empty document.
pub(super) fn canonical(values: &Value) -> Value {
    if *values == Value::Null { Value::Object([].into()) } else { numbers(values) }
}

fn numbers(value: &Value) -> Value {
    match value {
        Value::Number(number) => Value::Number(whole(number).unwrap_or_else(|| number.clone())),
        Value::Array(items) => Value::Array(items.iter().map(numbers).collect()),
        Value::Object(fields) => {
            Value::Object(fields.iter().map(|(key, field)| (key.clone(), numbers(field))).collect())
        }
        Value::Null | Value::Bool(_) | Value::String(_) | Value::Unknown(_) => value.clone(),
    }
}

/// The integer that a floating-point number is, if it is one.
fn whole(number: &serde_json::Number) -> Option<serde_json::Number> {
    if number.is_i64() || number.is_u64() {
        return None;
    }
    let float = number.as_f64().filter(|float| float.fract() == 0.0)?;
    format!("{float:.0}").parse::<i64>().ok().filter(|whole| whole.unsigned_abs() <= LARGEST).map(Into::into)
}

/// What is wrong with values: what would not come back as it is written.
pub(super) fn check(values: &Value) -> Vec<FieldError> {
    let mut errors = Vec::new();
    match values {
        Value::Null | Value::Object(_) | Value::Unknown(_) => {}
        Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => errors.push(FieldError {
            path: AttrPath::keys(&["values"]),
            message: "is no table: a chart's values have names".to_owned(),
        }),
    }
    look(values, &AttrPath::keys(&["values"]), &mut errors);
    errors
}

fn look(value: &Value, at: &AttrPath, errors: &mut Vec<FieldError>) {
    match value {
        Value::Number(number) => {
            let size = number.as_u64().or_else(|| number.as_i64().map(i64::unsigned_abs));
            if size.is_some_and(|size| size > LARGEST) {
                errors.push(FieldError {
                    path: at.clone(),
                    message: format!("{number} is more than helm keeps exactly (2^53): write it as a text"),
                });
            }
        }
        Value::Array(items) => {
            for (n, item) in items.iter().enumerate() {
                look(item, &at.index(n), errors);
            }
        }
        Value::Object(fields) => {
            for (key, field) in fields {
                look(field, &at.key(key), errors);
            }
        }
        Value::Null | Value::Bool(_) | Value::String(_) | Value::Unknown(_) => {}
    }
}

/// Serialises values in their canonical form: however a spec was made, its document is canonical.
pub(super) fn serialize<S: Serializer>(values: &Value, serializer: S) -> Result<S::Ok, S::Error> {
    canonical(values).serialize(serializer)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(json: &str) -> Value {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn numbers_are_what_helm_stores() {
        // Both sides were read from releases that helm 3.19 and 4.1 made.
        let written = value(r#"{"n":1.0,"f":1e3,"half":0.5,"i":7,"list":[2.0],"keep":{"a":null},"e":{}}"#);
        let stored = value(r#"{"n":1,"f":1000,"half":0.5,"i":7,"list":[2],"keep":{"a":null},"e":{}}"#);
        assert_eq!(canonical(&written), stored);
        assert_eq!(canonical(&stored), stored);
        assert_eq!(canonical(&Value::Null), value("{}"));
    }

    #[test]
    fn what_would_come_back_different_is_refused() {
        assert_eq!(check(&value(r#"{"a":9007199254740992,"b":{"c":[1,"x",null]}}"#)), []);
        let errors = check(&value(r#"{"a":{"b":[1,12345678901234567890]}}"#));
        assert_eq!(errors.len(), 1);
        assert_eq!(errors[0].path.to_string(), "values.a.b[1]");
        assert_eq!(check(&value("[1]")).len(), 1);
    }
}
