//! Reads JSON documents, whichever way their members came: numbers and truth values in a path or a query are text.
//!
//! Entry point: [`Json`]. Absent and `null` are the same, as they are to AWS.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Value;

use super::ApiError;

/// A place in a document.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Json<'a>(&'a Value);

impl<'a> Json<'a> {
    /// A whole document.
    pub(crate) fn of(value: &'a Value) -> Self {
        Self(value)
    }

    /// The value itself.
    pub(crate) fn value(self) -> &'a Value {
        self.0
    }

    /// What is at a dotted path under this place.
    pub(crate) fn at(self, path: &str) -> Option<Json<'a>> {
        let found = path.split('.').try_fold(self.0, |value, part| value.get(part))?;
        (!found.is_null()).then_some(Json(found))
    }

    /// The text at a path; an empty text counts as absent.
    pub(crate) fn text(self, path: &str) -> Option<&'a str> {
        self.at(path)?.0.as_str().filter(|text| !text.is_empty())
    }

    /// The text at a path, or a refusal.
    pub(crate) fn required(self, path: &str) -> Result<&'a str, ApiError> {
        self.text(path).ok_or_else(|| {
            invalid(format!(
                "1 validation error detected: Value null at '{path}' failed to satisfy constraint: Member must not be null"
            ))
        })
    }

    /// The truth value at a path.
    pub(crate) fn boolean(self, path: &str) -> Result<Option<bool>, ApiError> {
        match self.at(path).map(|found| found.0) {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(*value)),
            Some(Value::String(text)) if text.eq_ignore_ascii_case("true") => Ok(Some(true)),
            Some(Value::String(text)) if text.eq_ignore_ascii_case("false") => Ok(Some(false)),
            Some(other) => Err(invalid(format!("Value {other} at '{path}' is not a boolean"))),
        }
    }

    /// The whole number at a path.
    pub(crate) fn integer(self, path: &str) -> Result<Option<i64>, ApiError> {
        let Some(found) = self.at(path) else { return Ok(None) };
        let number = found.0.as_i64().or_else(|| found.0.as_str().and_then(|text| text.parse().ok()));
        number.map(Some).ok_or_else(|| invalid(format!("Value {} at '{path}' is not an integer", found.0)))
    }

    /// The items of the list at a path; a single value is a list of one (a query cannot tell them apart).
    pub(crate) fn list(self, path: &str) -> Vec<Json<'a>> {
        match self.at(path).map(|found| found.0) {
            None => Vec::new(),
            Some(Value::Array(items)) => items.iter().map(Json).collect(),
            Some(one) => vec![Json(one)],
        }
    }

    /// The texts of the list at a path.
    pub(crate) fn texts(self, path: &str) -> Vec<&'a str> {
        self.list(path).into_iter().filter_map(|item| item.0.as_str()).collect()
    }

    /// The texts by name at a path.
    pub(crate) fn map(self, path: &str) -> BTreeMap<String, String> {
        let found = self.at(path).and_then(|found| found.0.as_object());
        found
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()))
            .collect()
    }

    /// The document as one canonical text, without some members at the top: what a client token is bound to.
    pub(crate) fn canonical(self, except: &[&str]) -> String {
        let mut copy = self.0.clone();
        if let Some(object) = copy.as_object_mut() {
            for name in except {
                object.remove(*name);
            }
        }
        copy.sort_all_objects();
        copy.to_string()
    }
}

/// The refusal that the JSON services share.
fn invalid(message: String) -> ApiError {
    ApiError::new("InvalidParameterException", message)
}

/// An instant as JSON services write it: seconds since 1970, with the fraction.
pub(crate) fn epoch(at: Timestamp) -> Value {
    #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 have 41 bits, a double holds 53")]
    let seconds = at.as_millisecond() as f64 / 1000.0;
    Value::from(seconds)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn members_are_read_as_text_or_as_what_they_are() {
        let document =
            json!({"a": {"b": "x", "n": null}, "t": true, "u": "FALSE", "n": 5, "m": "7", "l": ["p"], "o": "q"});
        let json = Json::of(&document);
        assert_eq!(json.text("a.b"), Some("x"));
        assert!(json.at("a.n").is_none() && json.text("t").is_none());
        assert_eq!((json.boolean("t").unwrap(), json.boolean("u").unwrap()), (Some(true), Some(false)));
        assert_eq!((json.integer("n").unwrap(), json.integer("m").unwrap()), (Some(5), Some(7)));
        assert_eq!((json.texts("l"), json.texts("o"), json.texts("z")), (vec!["p"], vec!["q"], vec![]));
        assert!(json.required("z").unwrap_err().message.contains("Value null at 'z'"));
        assert_eq!(json.boolean("n").unwrap_err().code, "InvalidParameterException");
        assert_eq!(Json::of(&json!({"b": 1, "a": 2, "c": 3})).canonical(&["c"]), r#"{"a":2,"b":1}"#);
    }
}
