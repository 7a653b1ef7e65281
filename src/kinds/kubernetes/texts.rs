//! Maps of texts (labels, annotations) and names, as the typed kinds keep them.

use std::collections::BTreeMap;

use data_encoding::BASE64;
use serde_json::Value as Json;

use crate::model::{AttrPath, Value};
use crate::resource::FieldError;

/// The map of texts at a path; what is no text is left out.
pub(in crate::kinds) fn at(object: &Json, keys: &[&str]) -> BTreeMap<String, String> {
    let fields = super::call::at(object, keys).and_then(Json::as_object);
    let texts = fields.into_iter().flatten().filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())));
    texts.collect()
}

/// What is wrong with the names in a spec. Holes are not wrong.
pub(in crate::kinds) fn check(spec: &Value, names: &[&str]) -> Vec<FieldError> {
    let wrong = |name: &&&str| match spec.get(name) {
        Some(Value::String(text)) => !is_name(text),
        Some(Value::Unknown(_)) => false,
        None | Some(Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => true,
    };
    let error = |name: &&str| FieldError {
        path: AttrPath::keys(&[name]),
        message: "is no name of a Kubernetes object: lower-case letters, digits, `-` and `.`, at most 253 of them"
            .to_owned(),
    };
    names.iter().filter(wrong).map(error).collect()
}

/// A DNS-1123 subdomain.
fn is_name(text: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    text.len() <= 253 && text.split('.').all(is_label)
}

/// A value's text. What is no text was never declared, and differs from all that could be.
pub(in crate::kinds) fn decode(encoded: &str) -> String {
    let bytes = BASE64.decode(encoded.as_bytes()).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_kubernetes() {
        for (name, is_good) in [("istio-system", true), ("a.b", true), ("A", false), ("-a", false), ("", false)] {
            let spec = Value::Object([("name".to_owned(), name.into())].into());
            assert_eq!(check(&spec, &["name"]).is_empty(), is_good, "{name}");
        }
        assert_eq!(check(&Value::Object([].into()), &["name"]).len(), 1);
    }
}
