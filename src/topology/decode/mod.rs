//! From parsed TOML to the schema's types, with every mistake found and each at its path.
//!
//! Entry points: [`decode`] for a value, [`decode_entries`] for a big table of like things. serde stops at the
//! first mistake; here the mistaken part is set aside and the rest decoded again, so that one bad field hides
//! nothing. It deliberately judges the shape only: what the values mean together is for `rules`.

mod problem;

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Expected, IntoDeserializer, MapAccess,
    SeqAccess, Unexpected, VariantAccess, Visitor,
};
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use self::problem::{Problem, describe, expected, list};
use crate::model::{AttrPath, Diagnostic, Segment};

/// How many mistakes one value may have before the rest of it is given up: each costs one more decoding of it.
const MAX_MISTAKES: usize = 200;

/// Decodes one value; `None` if the value as a whole is mistaken. `set_aside` holds what had to be left out,
/// here and in earlier calls, and every mistake is reported in `diagnostics`.
pub(crate) fn decode<T: DeserializeOwned>(
    value: &DeValue<'_>,
    at: &AttrPath,
    set_aside: &mut BTreeSet<AttrPath>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Option<T> {
    for _ in 0..MAX_MISTAKES {
        let here = Place { parent: None, base: at, segment: None };
        let error = match T::deserialize(Input { value, place: &here, set_aside }) {
            Ok(decoded) => return Some(decoded),
            Err(error) => error,
        };
        let path: AttrPath = at.segments().iter().cloned().chain(error.path.iter().rev().cloned()).collect();
        let whole = path == *at;
        diagnostics.push(error.problem.explain(path.clone()));
        let progress = set_aside.insert(path);
        if whole || !progress {
            return None;
        }
    }
    None
}

/// Decodes a table of like entries, each by itself. An entry that cannot be decoded is left out.
pub(crate) fn decode_entries<T: DeserializeOwned>(
    value: &DeValue<'_>,
    at: &AttrPath,
    set_aside: &mut BTreeSet<AttrPath>,
    diagnostics: &mut Vec<Diagnostic>,
) -> BTreeMap<String, T> {
    let DeValue::Table(entries) = value else {
        set_aside.insert(at.clone());
        diagnostics.push(Problem::wrong_type("a table", value).explain(at.clone()));
        return BTreeMap::new();
    };
    let mut decoded = BTreeMap::new();
    for (name, entry) in entries {
        let name = name.get_ref().as_ref();
        // Mistakes of one entry never matter to another: a set of its own keeps the look-ups short.
        let mut own = BTreeSet::new();
        if let Some(entry) = decode(entry.get_ref(), &at.key(name), &mut own, diagnostics) {
            decoded.insert(name.to_owned(), entry);
        }
        set_aside.append(&mut own);
    }
    decoded
}

/// The paths of a set at or under a path: they are neighbours in its order.
pub(crate) fn under<'a>(paths: &'a BTreeSet<AttrPath>, path: &AttrPath) -> impl Iterator<Item = &'a AttrPath> {
    let path = path.clone();
    paths.range(path.clone()..).take_while(move |other| other.segments().starts_with(path.segments()))
}

/// A mistake on its way up, gathering its path (innermost segment first).
#[derive(Debug)]
struct DecodeError {
    problem: Problem,
    path: Vec<Segment>,
}

impl DecodeError {
    fn new(problem: Problem) -> Self {
        Self { problem, path: Vec::new() }
    }

    fn inside(mut self, segment: Segment) -> Self {
        self.path.push(segment);
        self
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.problem)
    }
}

impl std::error::Error for DecodeError {}

impl de::Error for DecodeError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(Problem::Other(message.to_string()))
    }

    fn invalid_type(found: Unexpected<'_>, wanted: &dyn Expected) -> Self {
        Self::new(Problem::WrongType { expected: expected(wanted), found: describe(&found) })
    }

    fn invalid_value(found: Unexpected<'_>, wanted: &dyn Expected) -> Self {
        Self::invalid_type(found, wanted)
    }

    fn unknown_variant(word: &str, known: &'static [&'static str]) -> Self {
        Self::new(Problem::UnknownWord { word: word.to_owned(), known, is_key: false })
    }

    fn unknown_field(key: &str, known: &'static [&'static str]) -> Self {
        Self::new(Problem::UnknownKey { key: key.to_owned(), known })
    }
}

/// Where a value stands, as a chain towards the root: only made into a path when something is set aside.
struct Place<'p> {
    parent: Option<&'p Place<'p>>,
    base: &'p AttrPath,
    segment: Option<Segment>,
}

impl Place<'_> {
    fn path(&self) -> AttrPath {
        match (self.parent, &self.segment) {
            (Some(parent), Some(segment)) => {
                parent.path().segments().iter().cloned().chain([segment.clone()]).collect()
            }
            _ => self.base.clone(),
        }
    }
}

#[derive(Clone, Copy)]
struct Input<'a, 'i> {
    value: &'a DeValue<'i>,
    place: &'a Place<'a>,
    set_aside: &'a BTreeSet<AttrPath>,
}

impl<'a> Input<'a, '_> {
    fn entry(&self, key: &str) -> Place<'a> {
        Place { parent: Some(self.place), base: self.place.base, segment: Some(Segment::Key(key.into())) }
    }

    fn mistaken(self, expected: &str) -> DecodeError {
        DecodeError::new(Problem::wrong_type(expected, self.value))
    }
}

fn integer(number: &toml::de::DeInteger<'_>) -> Option<i64> {
    i64::from_str_radix(number.as_str(), number.radix()).ok()
}

impl<'de> Deserializer<'de> for Input<'_, '_> {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.value {
            DeValue::String(text) => visitor.visit_str(text),
            DeValue::Integer(number) => match integer(number).map(|signed| (signed, u64::try_from(signed))) {
                Some((_, Ok(unsigned))) => visitor.visit_u64(unsigned),
                Some((signed, Err(_))) => visitor.visit_i64(signed),
                None => Err(self.mistaken("a number that fits 64 bits")),
            },
            DeValue::Float(number) => match number.as_str().parse::<f64>() {
                Ok(number) if number.is_finite() => visitor.visit_f64(number),
                _ => Err(self.mistaken("a finite number")),
            },
            DeValue::Boolean(truth) => visitor.visit_bool(*truth),
            DeValue::Datetime(_) => Err(self.mistaken("a string (put the date or time in quotes)")),
            DeValue::Array(items) => visitor.visit_seq(Items::new(items, self)),
            DeValue::Table(entries) => visitor.visit_map(Entries::new(entries, self)),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        match self.value.as_table() {
            Some(entries) => visitor.visit_map(Entries::new(entries, self)),
            None => Err(self.mistaken("a table")),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        self.deserialize_map(visitor)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        words: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        match self.value.as_str() {
            Some(word) => visitor.visit_enum(Word(word)),
            None => Err(self.mistaken(&list(words))),
        }
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq
        tuple tuple_struct identifier ignored_any
    }
}

/// A word standing for a variant.
struct Word<'a>(&'a str);

impl<'de> EnumAccess<'de> for Word<'_> {
    type Error = DecodeError;
    type Variant = Self;

    fn variant_seed<V: DeserializeSeed<'de>>(self, seed: V) -> Result<(V::Value, Self), DecodeError> {
        let word: StrDeserializer<'_, DecodeError> = self.0.into_deserializer();
        Ok((seed.deserialize(word)?, self))
    }
}

impl<'de> VariantAccess<'de> for Word<'_> {
    type Error = DecodeError;

    fn unit_variant(self) -> Result<(), DecodeError> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, _seed: T) -> Result<T::Value, DecodeError> {
        Err(de::Error::custom("a word alone says too little here"))
    }

    fn tuple_variant<V: Visitor<'de>>(self, _len: usize, _visitor: V) -> Result<V::Value, DecodeError> {
        Err(de::Error::custom("a word alone says too little here"))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        _fields: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, DecodeError> {
        Err(de::Error::custom("a word alone says too little here"))
    }
}

struct Entries<'a, 'i> {
    rest: toml::map::Iter<'a, Spanned<toml::de::DeString<'i>>, Spanned<DeValue<'i>>>,
    table: Input<'a, 'i>,
    pending: Cell<Option<(&'a str, &'a DeValue<'i>)>>,
}

impl<'a, 'i> Entries<'a, 'i> {
    fn new(entries: &'a DeTable<'i>, table: Input<'a, 'i>) -> Self {
        Self { rest: entries.iter(), table, pending: Cell::new(None) }
    }
}

impl<'de> MapAccess<'de> for Entries<'_, '_> {
    type Error = DecodeError;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, DecodeError> {
        let table = self.table;
        for (key, value) in self.rest.by_ref() {
            let key = key.get_ref().as_ref();
            if !table.set_aside.is_empty() && table.set_aside.contains(&table.entry(key).path()) {
                continue;
            }
            self.pending.set(Some((key, value.get_ref())));
            return seed.deserialize(Key(key)).map(Some).map_err(|mut error: DecodeError| {
                if let Problem::UnknownWord { is_key, .. } = &mut error.problem {
                    *is_key = true;
                }
                error.inside(Segment::Key(key.into()))
            });
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, DecodeError> {
        let Some((key, value)) = self.pending.take() else {
            return Err(de::Error::custom("a value was asked for before its key"));
        };
        let place = self.table.entry(key);
        seed.deserialize(Input { value, place: &place, set_aside: self.table.set_aside })
            .map_err(|error| error.inside(Segment::Key(key.into())))
    }
}

/// A table's key, as text or as the word of an enum.
struct Key<'a>(&'a str);

impl<'de> Deserializer<'de> for Key<'_> {
    type Error = DecodeError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, DecodeError> {
        visitor.visit_str(self.0)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _words: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        visitor.visit_enum(Word(self.0))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        visitor: V,
    ) -> Result<V::Value, DecodeError> {
        visitor.visit_newtype_struct(self)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        seq tuple tuple_struct map struct identifier ignored_any
    }
}

struct Items<'a, 'i> {
    items: std::iter::Enumerate<std::slice::Iter<'a, Spanned<DeValue<'i>>>>,
    array: Input<'a, 'i>,
}

impl<'a, 'i> Items<'a, 'i> {
    fn new(items: &'a DeArray<'i>, array: Input<'a, 'i>) -> Self {
        Self { items: items.iter().enumerate(), array }
    }
}

impl<'de> SeqAccess<'de> for Items<'_, '_> {
    type Error = DecodeError;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, DecodeError> {
        for (index, item) in self.items.by_ref() {
            let place = Place {
                parent: Some(self.array.place),
                base: self.array.place.base,
                segment: Some(Segment::Index(index)),
            };
            if !self.array.set_aside.is_empty() && self.array.set_aside.contains(&place.path()) {
                continue;
            }
            let input = Input { value: item.get_ref(), place: &place, set_aside: self.array.set_aside };
            return seed.deserialize(input).map(Some).map_err(|error| error.inside(Segment::Index(index)));
        }
        Ok(None)
    }
}
