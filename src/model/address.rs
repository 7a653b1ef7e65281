//! The stable, readable name of one resource: `KIND/PART/PART…`.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The name of one resource, for example `aws.subnet/network1/private-a`.
///
/// The part before the first `/` is the kind; at least one part follows. Parts are non-empty and hold ASCII
/// letters, digits, `-`, `_`, `.` and `:`. Addresses sort by their text, which is the order of every listing.
/// Cloning shares the text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address(Arc<str>);

/// Why a text is not an [`Address`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an address: {reason} (an address reads KIND/NAME, for example aws.vpc/network1)")]
pub struct AddressError {
    text: String,
    reason: &'static str,
}

impl Address {
    /// Joins a kind and its parts. The caller vouches for the parts' characters: names are checked by the
    /// topology's rules (DNS-1123 labels), so an address made of them always parses back.
    #[must_use]
    pub fn new(kind: &str, parts: &[&str]) -> Self {
        let mut text = String::with_capacity(kind.len() + parts.iter().map(|p| p.len() + 1).sum::<usize>());
        text.push_str(kind);
        for part in parts {
            text.push('/');
            text.push_str(part);
        }
        Self(text.into())
    }

    /// The kind's name, for example `aws.subnet`.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.0.split('/').next().unwrap_or_default()
    }

    /// The parts after the kind, for example `network1`, `private-a`.
    pub fn parts(&self) -> impl Iterator<Item = &str> {
        self.0.split('/').skip(1)
    }

    /// The whole text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let fail = |reason| AddressError { text: text.to_owned(), reason };
        if !text.contains('/') {
            return Err(fail("there is no `/`"));
        }
        for part in text.split('/') {
            if part.is_empty() {
                return Err(fail("a part is empty"));
            }
            if !part.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.:".contains(&b)) {
                return Err(fail("a part has a character other than letters, digits, `-`, `_`, `.` and `:`"));
            }
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.0)
    }
}

impl Borrow<str> for Address {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl Serialize for Address {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Address {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_a_kind_and_parts() {
        let address: Address = "aws.subnet/network1/private-a".parse().unwrap();
        assert_eq!(address.kind(), "aws.subnet");
        assert_eq!(address.parts().collect::<Vec<_>>(), ["network1", "private-a"]);
        assert_eq!(address, Address::new("aws.subnet", &["network1", "private-a"]));
    }

    #[test]
    fn texts_that_are_not_addresses_are_refused_with_the_reason() {
        for (text, reason) in
            [("aws.vpc", "there is no `/`"), ("aws.vpc//x", "empty"), ("a/b c", "character"), ("", "no `/`")]
        {
            let error = text.parse::<Address>().unwrap_err().to_string();
            assert!(error.contains(reason), "{error}");
        }
    }
}
