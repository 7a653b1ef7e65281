//! What an API server made of what was applied, where it is not the same.
//!
//! Webhooks and schemas may write a value differently from how it was declared (a default inside a list, another
//! notation). That is no drift, and nothing declared can tell it from drift. So the answer of each apply is compared
//! with what was sent, and where they differ the object remembers, in the annotation `meshplan/reads-as`, that this
//! value stands for that declaration. A read replaces it, as long as the value is still the one that the server made.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};

use crate::model::Digest;

/// The annotation that holds the [`Reading`]s.
pub(super) const ANNOTATION: &str = "meshplan/reads-as";

/// The most that is remembered on an object, in bytes: annotations share 256 KiB. What does not fit shows as a
/// difference that the server insists on.
const MOST: usize = 65_536;

/// That a value which is read stands for another which was declared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Reading {
    /// Where, as the keys of objects: lists are compared as a whole.
    at: Vec<String>,
    /// The digest of the value that is read; none if nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seen: Option<Digest>,
    /// The value that it stands for.
    sent: Json,
}

/// Where what is there is not what was sent: the text of an annotation, `None` if it is the same.
pub(super) fn compare(sent: &Json, seen: &Json) -> Option<String> {
    let mut readings = Vec::new();
    collect(sent, Some(seen), &mut Vec::new(), &mut readings);
    if readings.is_empty() {
        return None;
    }
    serde_json::to_string(&readings).ok().filter(|text| text.len() <= MOST)
}

fn collect(sent: &Json, seen: Option<&Json>, at: &mut Vec<String>, readings: &mut Vec<Reading>) {
    match (sent, seen) {
        (Json::Object(sent), Some(Json::Object(seen))) => {
            for (key, value) in sent {
                at.push(key.clone());
                collect(value, seen.get(key), at, readings);
                at.pop();
            }
        }
        (sent, Some(seen)) if sent == seen => {}
        (sent, seen) => readings.push(Reading { at: at.clone(), seen: seen.map(digest), sent: sent.clone() }),
    }
}

/// Puts the declared values in place of those that stand for them.
pub(super) fn restore(object: &mut Json, annotation: &str) {
    let readings: Vec<Reading> = serde_json::from_str(annotation).unwrap_or_default();
    for reading in readings {
        let Some((last, parents)) = reading.at.split_last() else { continue };
        let parent = parents.iter().try_fold(&mut *object, |value, key| {
            value.as_object_mut().map(|fields| fields.entry(key).or_insert_with(|| Json::Object(Map::new())))
        });
        let Some(fields) = parent.and_then(Json::as_object_mut) else { continue };
        if fields.get(last).map(digest) == reading.seen {
            fields.insert(last.clone(), reading.sent);
        }
    }
}

fn digest(value: &Json) -> Digest {
    Digest::of(value.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_value_reads_as_what_was_declared_until_somebody_changes_it() {
        let sent = json!({ "a": 1, "rules": [{ "to": "x" }], "spec": { "empty": {}, "same": true } });
        let seen = json!({ "a": 1, "rules": [{ "to": "x", "weight": 1 }], "spec": { "same": true }, "more": 1 });
        let annotation = compare(&sent, &seen).unwrap();
        let mut read = seen.clone();
        restore(&mut read, &annotation);
        assert_eq!(read, json!({ "a": 1, "rules": [{ "to": "x" }], "spec": { "empty": {}, "same": true }, "more": 1 }));

        let mut drifted = json!({ "a": 1, "rules": [{ "to": "x", "weight": 2 }], "spec": { "empty": { "no": 1 } } });
        let before = drifted.clone();
        restore(&mut drifted, &annotation);
        assert_eq!(drifted, before);
        assert_eq!(compare(&sent, &sent), None);
        restore(&mut drifted, "not JSON");
        assert_eq!(drifted, before);
    }
}
