//! Documents as trees, with holes where a value is known only after an apply.

use std::collections::BTreeMap;
use std::fmt;

use ipnet::Ipv6Net;
use serde::de::{DeserializeOwned, Error as _};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Number;

use super::Address;

/// The key that marks a hole in a document's JSON: `{"$ref": {"address": …, "output": …}}`.
const HOLE: &str = "$ref";

/// An output of another resource, wherever it is needed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    /// Who produces the value.
    pub address: Address,
    /// Which of its outputs, for example `vpc_id`.
    pub output: String,
    /// What is taken of the output; `None` for the whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pick: Option<Pick>,
}

/// A pure function of an output's value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Pick {
    /// The `index`-th subnet of length `prefix` (in bits) of an IPv6 block.
    Ipv6Subnet {
        /// The subnet's length, for example 64.
        prefix: u8,
        /// Zero-based.
        index: u32,
    },
    /// The `index`-th element of a list.
    Element {
        /// Zero-based.
        index: u32,
    },
    /// Every element of a list, in the place of the hole: the hole stands in an array, which holds as many elements
    /// more or fewer as the list does.
    Every,
}

/// Why a [`Pick`] does not fit its value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("cannot take {pick} of {value}")]
pub struct PickError {
    pick: String,
    value: String,
}

impl Reference {
    /// The whole of an output.
    #[must_use]
    pub fn to(address: &Address, output: &str) -> Self {
        Self { address: address.clone(), output: output.to_owned(), pick: None }
    }

    /// A part of an output.
    #[must_use]
    pub fn pick(self, pick: Pick) -> Self {
        Self { pick: Some(pick), ..self }
    }

    /// Takes from the output's value what this reference asks for.
    pub fn take(&self, output: &Value) -> Result<Value, PickError> {
        let fail = |pick: &dyn fmt::Display| PickError { pick: pick.to_string(), value: output.to_string() };
        match &self.pick {
            None => Ok(output.clone()),
            Some(Pick::Ipv6Subnet { prefix, index }) => output
                .as_str()
                .and_then(|text| text.parse::<Ipv6Net>().ok())
                .and_then(|block| block.subnets(*prefix).ok()?.nth(*index as usize))
                .map(|subnet| Value::String(subnet.to_string()))
                .ok_or_else(|| fail(&format_args!("subnet {index} of length /{prefix}"))),
            Some(Pick::Element { index }) => match output {
                Value::Array(items) => items.get(*index as usize).cloned(),
                Value::Null
                | Value::Bool(_)
                | Value::Number(_)
                | Value::String(_)
                | Value::Object(_)
                | Value::Unknown(_) => None,
            }
            .ok_or_else(|| fail(&format_args!("element {index}"))),
            Some(Pick::Every) => match output {
                Value::Array(_) => Ok(output.clone()),
                Value::Null
                | Value::Bool(_)
                | Value::Number(_)
                | Value::String(_)
                | Value::Object(_)
                | Value::Unknown(_) => Err(fail(&"every element")),
            },
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.address, self.output)?;
        match &self.pick {
            None => Ok(()),
            Some(Pick::Ipv6Subnet { prefix, index }) => write!(f, "[/{prefix} #{index}]"),
            Some(Pick::Element { index }) => write!(f, "[{index}]"),
            Some(Pick::Every) => f.write_str("[*]"),
        }
    }
}

/// A field of a kind's spec that may be a hole. A spec that reaches a provider has none left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input<T> {
    /// The value itself.
    Known(T),
    /// Another resource's output.
    Unknown(Reference),
}

/// The spec of a provider call still has a hole: a defect of the engine, never of the user.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not known yet")]
pub struct StillUnknown(Reference);

impl<T> Input<T> {
    /// The value, once there is one.
    pub fn known(&self) -> Result<&T, StillUnknown> {
        match self {
            Self::Known(value) => Ok(value),
            Self::Unknown(reference) => Err(StillUnknown(reference.clone())),
        }
    }
}

impl From<&str> for Input<String> {
    fn from(value: &str) -> Self {
        Self::Known(value.to_owned())
    }
}

impl<T> From<Reference> for Input<T> {
    fn from(reference: Reference) -> Self {
        Self::Unknown(reference)
    }
}

impl<T: Serialize> Serialize for Input<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Known(value) => value.serialize(serializer),
            Self::Unknown(reference) => serialize_hole(reference, serializer),
        }
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Input<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(deserializer)?;
        match as_hole(&value) {
            Some(hole) => Reference::deserialize(hole).map(Self::Unknown).map_err(D::Error::custom),
            None => T::deserialize(value).map(Self::Known).map_err(D::Error::custom),
        }
    }
}

/// A document as a tree.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Value {
    /// `null`.
    #[default]
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A text.
    String(String),
    /// A list.
    Array(Vec<Value>),
    /// A table; its keys are sorted.
    Object(BTreeMap<String, Value>),
    /// A hole: known after apply.
    Unknown(Reference),
}

impl Value {
    /// The text, if this is one.
    #[must_use]
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::Array(_) | Self::Object(_) | Self::Unknown(_) => None,
        }
    }

    /// The field of an object; `None` for anything else.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.as_object()?.get(key)
    }

    /// The object, if this is one.
    #[must_use]
    pub fn as_object(&self) -> Option<&BTreeMap<String, Self>> {
        match self {
            Self::Object(fields) => Some(fields),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::String(_) | Self::Array(_) | Self::Unknown(_) => None,
        }
    }

    /// Every hole in the tree, in document order.
    #[must_use]
    pub fn references(&self) -> Vec<&Reference> {
        let mut found = Vec::new();
        self.collect_references(&mut found);
        found
    }

    fn collect_references<'a>(&'a self, found: &mut Vec<&'a Reference>) {
        match self {
            Self::Unknown(reference) => found.push(reference),
            Self::Array(items) => items.iter().for_each(|item| item.collect_references(found)),
            Self::Object(fields) => fields.values().for_each(|field| field.collect_references(found)),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::String(_) => {}
        }
    }

    /// Whether this is a hole for every element of a list.
    fn is_every(&self) -> bool {
        matches!(self, Self::Unknown(Reference { pick: Some(Pick::Every), .. }))
    }

    /// Whether the tree has a hole.
    #[must_use]
    pub fn has_unknown(&self) -> bool {
        match self {
            Self::Unknown(_) => true,
            Self::Array(items) => items.iter().any(Self::has_unknown),
            Self::Object(fields) => fields.values().any(Self::has_unknown),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::String(_) => false,
        }
    }

    /// The tree with every hole filled that `lookup` can fill: `lookup` answers an output's whole value, or
    /// `None` to leave the hole.
    pub fn fill(&self, lookup: &mut dyn FnMut(&Reference) -> Option<Self>) -> Result<Self, PickError> {
        Ok(match self {
            Self::Unknown(reference) => match lookup(reference) {
                Some(output) => reference.take(&output)?,
                None => self.clone(),
            },
            Self::Array(items) => {
                let mut filled = Vec::with_capacity(items.len());
                for item in items {
                    match item.fill(lookup)? {
                        Self::Array(elements) if item.is_every() => filled.extend(elements),
                        element => filled.push(element),
                    }
                }
                Self::Array(filled)
            }
            Self::Object(fields) => Self::Object(
                fields
                    .iter()
                    .map(|(key, field)| Ok((key.clone(), field.fill(lookup)?)))
                    .collect::<Result<_, PickError>>()?,
            ),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::String(_) => self.clone(),
        })
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(value) => fmt::Display::fmt(value, f),
            Self::Number(value) => fmt::Display::fmt(value, f),
            Self::String(text) => write!(f, "{text:?}"),
            Self::Array(items) => {
                f.write_str("[")?;
                for (n, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if n > 0 { ", " } else { "" })?;
                }
                f.write_str("]")
            }
            Self::Object(fields) => {
                f.write_str("{")?;
                for (n, (key, field)) in fields.iter().enumerate() {
                    write!(f, "{}{key} = {field}", if n > 0 { ", " } else { " " })?;
                }
                f.write_str(if fields.is_empty() { "}" } else { " }" })
            }
            Self::Unknown(reference) => write!(f, "(known after apply: {reference})"),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.to_owned())
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Number(value) => value.serialize(serializer),
            Self::String(text) => serializer.serialize_str(text),
            Self::Array(items) => items.serialize(serializer),
            Self::Object(fields) => fields.serialize(serializer),
            Self::Unknown(reference) => serialize_hole(reference, serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        from_json(serde_json::Value::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

fn from_json(json: serde_json::Value) -> Result<Value, serde_json::Error> {
    Ok(match json {
        serde_json::Value::Null => Value::Null,
        serde_json::Value::Bool(value) => Value::Bool(value),
        serde_json::Value::Number(value) => Value::Number(value),
        serde_json::Value::String(text) => Value::String(text),
        serde_json::Value::Array(items) => Value::Array(items.into_iter().map(from_json).collect::<Result<_, _>>()?),
        serde_json::Value::Object(fields) => match fields.get(HOLE) {
            Some(hole) if fields.len() == 1 => Value::Unknown(Reference::deserialize(hole)?),
            _ => {
                Value::Object(fields.into_iter().map(|(key, field)| Ok((key, from_json(field)?))).collect::<Result<
                    _,
                    serde_json::Error,
                >>(
                )?)
            }
        },
    })
}

fn as_hole(json: &serde_json::Value) -> Option<&serde_json::Value> {
    let fields = json.as_object()?;
    fields.get(HOLE).filter(|_| fields.len() == 1)
}

fn serialize_hole<S: Serializer>(reference: &Reference, serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(1))?;
    map.serialize_entry(HOLE, reference)?;
    map.end()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Document;

    fn vpc() -> Address {
        Address::new("aws.vpc", &["network1"])
    }

    #[test]
    fn a_hole_survives_the_round_trip_through_text() {
        let hole = Reference::to(&vpc(), "ipv6_cidr").pick(Pick::Ipv6Subnet { prefix: 64, index: 3 });
        let field: Input<String> = hole.clone().into();
        let document = Document::of(&BTreeMap::from([("ipv6_cidr", &field)])).unwrap();
        assert_eq!(document.value().references(), [&hole]);
        let back: BTreeMap<String, Input<String>> = document.decode().unwrap();
        assert_eq!(back["ipv6_cidr"], field);
    }

    #[test]
    fn filling_takes_the_asked_part_of_the_output() {
        let hole = Value::Unknown(Reference::to(&vpc(), "ipv6_cidr").pick(Pick::Ipv6Subnet { prefix: 64, index: 3 }));
        let filled = hole.fill(&mut |_| Some("2600:1f14:aa:bb00::/56".into())).unwrap();
        assert_eq!(filled, Value::from("2600:1f14:aa:bb03::/64"));
        let error = hole.fill(&mut |_| Some("10.0.0.0/8".into())).unwrap_err();
        assert_eq!(error.to_string(), "cannot take subnet 3 of length /64 of \"10.0.0.0/8\"");
        assert_eq!(hole.fill(&mut |_| None).unwrap(), hole);
    }

    #[test]
    fn every_element_of_a_list_takes_the_place_of_the_hole() {
        let every = Value::Unknown(Reference::to(&vpc(), "nat_cidrs").pick(Pick::Every));
        let list = Value::Array(vec!["a".into(), every.clone(), "z".into()]);
        let cidrs = |texts: &[&str]| Value::Array(texts.iter().map(|text| Value::from(*text)).collect());
        assert_eq!(list.fill(&mut |_| Some(cidrs(&["1", "2"]))).unwrap(), cidrs(&["a", "1", "2", "z"]));
        assert_eq!(list.fill(&mut |_| Some(cidrs(&[]))).unwrap(), cidrs(&["a", "z"]));
        assert_eq!(list.fill(&mut |_| None).unwrap(), list);
        assert_eq!(list.fill(&mut |_| Some("1".into())).unwrap_err().to_string(), "cannot take every element of \"1\"");
    }
}
