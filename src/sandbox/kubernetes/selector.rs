//! Which objects a list is about: label selectors and field selectors.
//!
//! Entry points: [`Labels`], [`FieldSelector`], both parsed from a query.

use serde_json::Value;

use super::schema::Kind;
use super::status::Refusal;

/// A label selector: all of its requirements must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Labels(Vec<Requirement>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Requirement {
    key: String,
    operator: Operator,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Operator {
    Exists,
    Absent,
    In(Vec<String>),
    /// Objects without the label are selected too.
    NotIn(Vec<String>),
}

impl Labels {
    /// The selector in a text: `a=b,c!=d,e in (f, g),h notin (i),j,!k`.
    pub(crate) fn parse(text: &str) -> Result<Self, Refusal> {
        let wrong =
            || Refusal::bad_request(format!("unable to parse requirement: found '{text}', which is no label selector"));
        let mut requirements = Vec::new();
        for part in split_outside(text) {
            let part = part.trim();
            if !part.is_empty() {
                requirements.push(Requirement::parse(part).ok_or_else(wrong)?);
            }
        }
        Ok(Self(requirements))
    }

    /// Whether an object's labels are selected.
    pub(crate) fn selects(&self, object: &Value) -> bool {
        let labels = &object["metadata"]["labels"];
        self.0.iter().all(|requirement| requirement.holds(labels))
    }
}

impl Requirement {
    fn parse(part: &str) -> Option<Self> {
        let key = |text: &str| {
            let text = text.trim();
            let good =
                !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./".contains(&byte));
            good.then(|| text.to_owned())
        };
        if let Some((left, values)) = part.split_once('(') {
            let values = values.trim().strip_suffix(')')?;
            let values = values.split(',').map(|value| value.trim().to_owned()).collect();
            let (left, operator) = left.trim_end().rsplit_once(char::is_whitespace)?;
            let operator = match operator {
                "in" => Operator::In(values),
                "notin" => Operator::NotIn(values),
                _ => return None,
            };
            return Some(Self { key: key(left)?, operator });
        }
        if let Some((left, value)) = part.split_once("!=") {
            return Some(Self { key: key(left)?, operator: Operator::NotIn(vec![value.trim().to_owned()]) });
        }
        if let Some((left, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
            return Some(Self { key: key(left)?, operator: Operator::In(vec![value.trim().to_owned()]) });
        }
        match part.strip_prefix('!') {
            Some(left) => Some(Self { key: key(left)?, operator: Operator::Absent }),
            None => Some(Self { key: key(part)?, operator: Operator::Exists }),
        }
    }

    fn holds(&self, labels: &Value) -> bool {
        let value = labels.get(&self.key).and_then(Value::as_str);
        match &self.operator {
            Operator::Exists => value.is_some(),
            Operator::Absent => value.is_none(),
            Operator::In(values) => value.is_some_and(|value| values.iter().any(|one| one == value)),
            Operator::NotIn(values) => value.is_none_or(|value| values.iter().all(|one| one != value)),
        }
    }
}

/// Splits at the commas that are outside of parentheses.
fn split_outside(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0_u32, 0);
    for (index, byte) in text.bytes().enumerate() {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            b',' if depth == 0 => {
                parts.extend(text.get(start..index));
                start = index + 1;
            }
            _ => {}
        }
    }
    parts.extend(text.get(start..));
    parts
}

/// A field selector: a field, whether it must be or must not be, and a value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FieldSelector(Vec<(String, bool, String)>);

/// The fields by which the objects of some kinds can be selected, besides their names and namespaces.
const FIELDS: &[(&str, &[&str])] = &[
    (
        "pods",
        &[
            "spec.nodeName",
            "spec.restartPolicy",
            "spec.schedulerName",
            "spec.serviceAccountName",
            "spec.hostNetwork",
            "status.phase",
            "status.podIP",
            "status.nominatedNodeName",
        ],
    ),
    ("secrets", &["type"]),
    ("namespaces", &["status.phase"]),
    ("nodes", &["spec.unschedulable"]),
    ("services", &["spec.clusterIP", "spec.type"]),
    ("jobs", &["status.successful"]),
    (
        "events",
        &[
            "involvedObject.kind",
            "involvedObject.namespace",
            "involvedObject.name",
            "involvedObject.uid",
            "involvedObject.apiVersion",
            "involvedObject.resourceVersion",
            "involvedObject.fieldPath",
            "reason",
            "reportingComponent",
            "source",
            "type",
        ],
    ),
];

impl FieldSelector {
    /// The selector in a text: `metadata.name=a,type!=b`.
    pub(crate) fn parse(text: &str, kind: &Kind) -> Result<Self, Refusal> {
        let mut parts = Vec::new();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let (field, is, value) = if let Some((field, value)) = part.split_once("!=") {
                (field, false, value)
            } else if let Some((field, value)) = part.split_once("==").or_else(|| part.split_once('=')) {
                (field, true, value)
            } else {
                return Err(Refusal::bad_request(format!("invalid selector: '{text}'; can't understand '{part}'")));
            };
            let of_kind = FIELDS.iter().find(|(plural, _)| *plural == kind.plural && kind.custom.is_none());
            let known = field == "metadata.name"
                || (field == "metadata.namespace")
                || of_kind.is_some_and(|(_, fields)| fields.contains(&field));
            if !known {
                return Err(Refusal::bad_request(format!("field label not supported: {field}")));
            }
            parts.push((field.to_owned(), is, value.to_owned()));
        }
        Ok(Self(parts))
    }

    /// Whether an object is selected.
    pub(crate) fn selects(&self, object: &Value) -> bool {
        self.0.iter().all(|(field, is, value)| {
            let found = field.split('.').try_fold(object, |at, key| at.get(key));
            let text = match found {
                Some(Value::String(text)) => text.clone(),
                Some(Value::Null) | None => String::new(),
                Some(other) => other.to_string(),
            };
            (text == *value) == *is
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn labels_select_as_kubectl_writes_them() {
        let object = json!({ "metadata": { "labels": { "app": "curl", "tier": "front" } } });
        for (text, selected) in [
            ("", true),
            ("app=curl", true),
            ("app==curl,tier!=back", true),
            ("app in (sleep, curl),tier", true),
            ("app notin (curl)", false),
            ("missing notin (x)", true),
            ("!missing", true),
            ("!app", false),
            ("missing", false),
            ("missing!=x", true),
            ("name=demo,owner=helm", false),
        ] {
            assert_eq!(Labels::parse(text).unwrap().selects(&object), selected, "{text}");
        }
        for wrong in ["a b", "=x", "a in x)", "a near (b)"] {
            assert!(Labels::parse(wrong).is_err(), "{wrong}");
        }
    }
}
