//! What can be wrong with a value, and how that is said.

use serde::de::{Expected, Unexpected};
use toml::de::DeValue;

use super::integer;
use crate::model::diagnostic::did_you_mean;
use crate::model::{AttrPath, Diagnostic, Segment};
use crate::topology::rules::{INVALID_VALUE, UNKNOWN_KEY, WRONG_TYPE};

/// What is wrong with a value.
#[derive(Debug)]
pub(super) enum Problem {
    UnknownKey { key: String, known: &'static [&'static str] },
    WrongType { expected: String, found: String },
    UnknownWord { word: String, known: &'static [&'static str], is_key: bool },
    Other(String),
}

impl Problem {
    pub(super) fn wrong_type(expected: &str, found: &DeValue<'_>) -> Self {
        Self::WrongType { expected: expected.to_owned(), found: describe(&unexpected(found)) }
    }

    pub(super) fn explain(self, path: AttrPath) -> Diagnostic {
        match self {
            Self::UnknownKey { key, known } => {
                let table = path.parent().filter(|parent| !parent.is_root());
                let place = table.map_or_else(|| "a topology".to_owned(), |table| format!("`{table}`"));
                let found = Diagnostic::error(UNKNOWN_KEY, format!("{place} has no key `{key}`"))
                    .at_key(path)
                    .label("not a key of this table");
                let found = match did_you_mean(&key, known.iter().copied()) {
                    Some(near) => found.help(format!("did you mean `{near}`?")),
                    None => found,
                };
                found.help(format!("its keys are {}", list(known)))
            }
            Self::WrongType { expected, found } => {
                let name = last_key(&path);
                Diagnostic::error(WRONG_TYPE, format!("`{name}` takes {expected}, not {found}"))
                    .at(path)
                    .label(format!("expected {expected}"))
            }
            // The words of a table's keys are its keys.
            Self::UnknownWord { word, known, is_key: true } => Self::UnknownKey { key: word, known }.explain(path),
            Self::UnknownWord { word, known, is_key: false } => {
                let message = format!("`{}` cannot be `{word}`", last_key(&path));
                let found = Diagnostic::error(INVALID_VALUE, message).at(path).label("not one of its values");
                let found = match did_you_mean(&word, known.iter().copied()) {
                    Some(near) => found.help(format!("did you mean `{near}`?")),
                    None => found,
                };
                found.help(format!("it can be {}", list(known)))
            }
            Self::Other(text) => {
                // A semantic type's message is one line; what follows it are ways out, a line each.
                let mut lines = text.lines();
                let found = Diagnostic::error(INVALID_VALUE, lines.next().unwrap_or_default()).at(path);
                lines.fold(found, Diagnostic::help)
            }
        }
    }
}

/// "`a`, `b` or `c`".
pub(super) fn list(words: &[&str]) -> String {
    match words {
        [] => "none".to_owned(),
        [only] => format!("`{only}`"),
        [init @ .., last] => {
            let init: Vec<String> = init.iter().map(|word| format!("`{word}`")).collect();
            format!("{} or `{last}`", init.join(", "))
        }
    }
}

fn last_key(path: &AttrPath) -> String {
    match path.segments() {
        [.., Segment::Key(key), Segment::Index(index)] => format!("{key}[{index}]"),
        [.., Segment::Key(key)] => key.clone(),
        _ => path.to_string(),
    }
}

fn unexpected<'a>(value: &'a DeValue<'_>) -> Unexpected<'a> {
    match value {
        DeValue::String(text) => Unexpected::Str(text),
        DeValue::Integer(number) => integer(number).map_or(Unexpected::Other("a number too large"), Unexpected::Signed),
        DeValue::Float(number) => number.as_str().parse().map_or(Unexpected::Other("a float"), Unexpected::Float),
        DeValue::Boolean(truth) => Unexpected::Bool(*truth),
        DeValue::Datetime(_) => Unexpected::Other("a date or time"),
        DeValue::Array(_) => Unexpected::Seq,
        DeValue::Table(_) => Unexpected::Map,
    }
}

pub(super) fn describe(found: &Unexpected<'_>) -> String {
    match found {
        Unexpected::Str(text) if text.chars().count() <= 40 => format!("the string {text:?}"),
        Unexpected::Str(_) => "a string".to_owned(),
        Unexpected::Signed(number) => format!("the number {number}"),
        Unexpected::Unsigned(number) => format!("the number {number}"),
        Unexpected::Float(number) => format!("the number {number}"),
        Unexpected::Bool(truth) => format!("the boolean {truth}"),
        Unexpected::Seq => "an array".to_owned(),
        Unexpected::Map => "a table".to_owned(),
        Unexpected::Other(other) => (*other).to_owned(),
        Unexpected::Char(_)
        | Unexpected::Bytes(_)
        | Unexpected::Unit
        | Unexpected::Option
        | Unexpected::NewtypeStruct
        | Unexpected::Enum
        | Unexpected::UnitVariant
        | Unexpected::NewtypeVariant
        | Unexpected::TupleVariant
        | Unexpected::StructVariant => found.to_string(),
    }
}

/// The words of serde's own visitors, said as a user of TOML would.
pub(super) fn expected(expected: &dyn Expected) -> String {
    let text = expected.to_string();
    match text.as_str() {
        "u8" => "a whole number from 0 to 255".to_owned(),
        "u16" => "a whole number from 0 to 65535".to_owned(),
        "u32" => "a whole number".to_owned(),
        "a sequence" => "an array".to_owned(),
        "a map" => "a table".to_owned(),
        "a boolean" => "`true` or `false`".to_owned(),
        _ => text,
    }
}
