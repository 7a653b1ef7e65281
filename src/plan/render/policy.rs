//! Policy documents as people read them: a line for each statement, instead of the thirty of its JSON.
//!
//! For what is new or goes. A document that changes is shown by the lines that differ, as any other value.

use crate::model::diff::FieldChange;
use crate::model::{Segment, Value};

use super::value::{clean, show};

/// So many actions, resources or values of a statement are named; the rest is counted.
const NAMED: usize = 3;

/// So many statements are shown; the rest is counted.
const STATEMENTS: usize = 4;

/// The last key of a policy document's statements.
const STATEMENT: &str = "Statement";

/// What stands before the statements of a policy document in a change, if this field holds them.
pub(super) fn statements(field: &FieldChange) -> Option<&[Value]> {
    let [.., Segment::Key(last)] = field.path.segments() else { return None };
    if last != STATEMENT {
        return None;
    }
    let value = match (&field.before, &field.after) {
        (None, Some(value)) | (Some(value), None) => value,
        (Some(_), Some(_)) | (None, None) => return None,
    };
    match value {
        Value::Array(items) if items.iter().all(|item| item.get("Effect").is_some()) => Some(items),
        Value::Null
        | Value::Bool(_)
        | Value::Number(_)
        | Value::String(_)
        | Value::Array(_)
        | Value::Object(_)
        | Value::Unknown(_) => None,
    }
}

/// Whether a field is the version of a policy document whose statements are shown: it says nothing to people.
pub(super) fn is_version(field: &FieldChange, all: &[&FieldChange]) -> bool {
    let [parent @ .., Segment::Key(last)] = field.path.segments() else { return false };
    last == "Version"
        && all.iter().any(|other| {
            statements(other).is_some()
                && matches!(other.path.segments(), [theirs @ .., Segment::Key(_)] if theirs == parent)
        })
}

/// A line for each statement.
pub(super) fn lines(statements: &[Value]) -> Vec<String> {
    let mut lines: Vec<String> = statements.iter().take(STATEMENTS).map(line).collect();
    if statements.len() > STATEMENTS {
        lines.push(format!("and {} more statements", statements.len() - STATEMENTS));
    }
    lines
}

/// `allow ec2:DescribeSubnets, ec2:DescribeTags and 5 more on *`.
fn line(statement: &Value) -> String {
    let effect = statement.get("Effect").and_then(Value::as_str).unwrap_or_default().to_ascii_lowercase();
    let mut line = clean(&effect);
    let mut say = |word: &str, key: &str| {
        if let Some(value) = statement.get(key) {
            line.push_str(word);
            line.push_str(&listed(value));
        }
    };
    say(" ", "Action");
    say(" all but ", "NotAction");
    say(" on ", "Resource");
    say(" on all but ", "NotResource");
    for (word, key) in [(" to ", "Principal"), (" to all but ", "NotPrincipal")] {
        if let Some(Value::Object(by_type)) = statement.get(key) {
            let names: Vec<String> = by_type.values().map(listed).collect();
            line.push_str(word);
            line.push_str(&names.join(", "));
        }
    }
    let conditions: Vec<String> = statement.get("Condition").into_iter().flat_map(conditions).collect();
    if let Some((last, first)) = conditions.split_last() {
        line.push_str(" if ");
        line.push_str(&first.iter().map(|one| format!("{one} and ")).collect::<String>());
        line.push_str(last);
    }
    line
}

/// `aws:RequestTag/x is true`, `aws:ResourceTag/x is set`.
fn conditions(condition: &Value) -> Vec<String> {
    let mut said = Vec::new();
    for (operator, keys) in condition.as_object().into_iter().flatten() {
        for (key, values) in keys.as_object().into_iter().flatten() {
            let key = clean(key);
            said.push(match (operator.as_str(), listed(values).as_str()) {
                ("Null", "false") => format!("{key} is set"),
                ("Null", "true") => format!("{key} is not set"),
                ("StringEquals" | "StringLike" | "ArnLike" | "Bool", values) => format!("{key} is {values}"),
                (operator, values) => format!("{key} {} {values}", clean(operator)),
            });
        }
    }
    said
}

/// The first few of a list.
fn listed(value: &Value) -> String {
    let text = |value: &Value| value.as_str().map_or_else(|| show(value), clean);
    let Value::Array(items) = value else { return text(value) };
    let named: Vec<String> = items.iter().take(NAMED).map(text).collect();
    match items.len().saturating_sub(NAMED) {
        0 => named.join(", "),
        rest => format!("{} and {rest} more", named.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Vec<String> {
        let Value::Array(statements) = serde_json::from_str(json).unwrap() else { panic!("{json}") };
        lines(&statements)
    }

    #[test]
    fn a_statement_is_a_sentence() {
        assert_eq!(
            read(
                r#"[{"Effect": "Allow", "Action": ["sts:AssumeRole", "sts:TagSession"], "Principal": {"Service": ["pods.eks.amazonaws.com"]}}]"#
            ),
            ["allow sts:AssumeRole, sts:TagSession to pods.eks.amazonaws.com"]
        );
        assert_eq!(
            read(
                r#"[{"Effect": "Deny", "Action": ["a:1", "a:2", "a:3", "a:4", "a:5"], "Resource": ["*"],
                    "Condition": {"Null": {"aws:RequestTag/x": ["true"]}, "StringEquals": {"aws:y": ["1"]}, "IpAddress": {"z": ["10.0.0.0/8"]}}}]"#
            ),
            [
                "deny a:1, a:2, a:3 and 2 more on * if z IpAddress 10.0.0.0/8 and aws:RequestTag/x is not set and aws:y is 1"
            ]
        );
    }

    #[test]
    fn of_many_statements_the_rest_is_counted() {
        let one = r#"{"Effect": "Allow", "Action": ["a:b"], "Resource": ["*"]}"#;
        let lines = read(&format!("[{}]", [one; 9].join(",")));
        assert_eq!(lines.len(), STATEMENTS + 1);
        assert_eq!(lines[STATEMENTS], "and 3 more statements");
    }
}
