//! Where secrets may go: an output that is not plain fills sensitive fields alone. Anything else would be kept and shown.

use crate::compile::Declaration;
use crate::model::diff::is_sensitive;
use crate::model::{AttrPath, Code, Diagnostic, Reference, Segment, Value};
use crate::resource::{KindRules, OutputClass, RuleBook};

/// Refuses a declaration with a reference to a secret that stands where a secret may not: a defect of whoever made it.
pub(super) fn check(
    declaration: &Declaration,
    spec: &Value,
    rules: &dyn KindRules,
    book: &RuleBook,
) -> Result<(), Diagnostic> {
    let Some((path, reference)) = misplaced(spec, rules, book) else { return Ok(()) };
    let address = &declaration.address;
    let message = format!("{address}: `{path}` would show the secret {reference}: it is no sensitive field");
    Err(Diagnostic::error(Code("secret-exposed"), message).at(declaration.origin.clone()))
}

fn misplaced(spec: &Value, rules: &dyn KindRules, book: &RuleBook) -> Option<(AttrPath, Reference)> {
    below(spec, rules, book, &mut Vec::new())
}

fn below(
    value: &Value,
    rules: &dyn KindRules,
    book: &RuleBook,
    path: &mut Vec<Segment>,
) -> Option<(AttrPath, Reference)> {
    let mut child = |segment: Segment, value: &Value| {
        path.push(segment);
        let found = below(value, rules, book, path);
        path.pop();
        found
    };
    match value {
        Value::Unknown(reference) => {
            let path: AttrPath = path.iter().cloned().collect();
            (is_secret(reference, book) && !is_sensitive(rules.fields(), &path)).then(|| (path, reference.clone()))
        }
        Value::Object(fields) => fields.iter().find_map(|(key, value)| child(Segment::Key(key.clone()), value)),
        Value::Array(items) => items.iter().enumerate().find_map(|(n, value)| child(Segment::Index(n), value)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

fn is_secret(reference: &Reference, book: &RuleBook) -> bool {
    book.kind(reference.address.kind())
        .into_iter()
        .flat_map(KindRules::outputs)
        .any(|output| output.name == reference.output && output.class != OutputClass::Plain)
}
