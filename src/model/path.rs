//! A place inside a document: `networks.network1.azs[0]`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One step into a document.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Segment {
    /// A key of a table or object.
    Key(String),
    /// A zero-based index of an array.
    Index(usize),
}

/// A path into a topology or a resource's document; empty for the whole document.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AttrPath(Vec<Segment>);

impl AttrPath {
    /// The path of the whole document.
    #[must_use]
    pub fn root() -> Self {
        Self::default()
    }

    /// A path of keys, for example `AttrPath::keys(&["networks", name, "cidr"])`.
    #[must_use]
    pub fn keys(keys: &[&str]) -> Self {
        Self(keys.iter().map(|k| Segment::Key((*k).to_owned())).collect())
    }

    /// This path and one more key.
    #[must_use]
    pub fn key(&self, key: &str) -> Self {
        let mut path = self.clone();
        path.0.push(Segment::Key(key.to_owned()));
        path
    }

    /// This path and one more index.
    #[must_use]
    pub fn index(&self, index: usize) -> Self {
        let mut path = self.clone();
        path.0.push(Segment::Index(index));
        path
    }

    /// The path without its last segment; `None` for the root.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        let (_, rest) = self.0.split_last()?;
        Some(Self(rest.to_vec()))
    }

    /// The segments, outermost first.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        &self.0
    }

    /// Whether this is the whole document.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<Segment> for AttrPath {
    fn from_iter<I: IntoIterator<Item = Segment>>(segments: I) -> Self {
        Self(segments.into_iter().collect())
    }
}

impl fmt::Display for AttrPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Key(key) => {
                    if n > 0 {
                        f.write_str(".")?;
                    }
                    if is_bare(key) {
                        f.write_str(key)?;
                    } else {
                        f.write_str(&serde_json::to_string(key).map_err(|_| fmt::Error)?)?;
                    }
                }
                Segment::Index(index) => write!(f, "[{index}]")?,
            }
        }
        Ok(())
    }
}

/// Whether a key is written without quotes.
fn is_bare(key: &str) -> bool {
    !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_:/".contains(&b))
}

/// A text is not an [`AttrPath`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a path (a path reads a.b[0])")]
pub struct PathError(String);

impl FromStr for AttrPath {
    type Err = PathError;

    fn from_str(text: &str) -> Result<Self, PathError> {
        let fail = || PathError(text.to_owned());
        let mut segments = Vec::new();
        let mut rest = text;
        while !rest.is_empty() {
            if let Some(index) = rest.strip_prefix('[') {
                let (number, tail) = index.split_once(']').ok_or_else(fail)?;
                segments.push(Segment::Index(number.parse().map_err(|_| fail())?));
                rest = tail;
                continue;
            }
            rest = if segments.is_empty() { rest } else { rest.strip_prefix('.').ok_or_else(fail)? };
            let (key, tail) = if rest.starts_with('"') {
                let mut texts = serde_json::Deserializer::from_str(rest).into_iter::<String>();
                let key = texts.next().and_then(Result::ok).ok_or_else(fail)?;
                (key, &rest[texts.byte_offset()..])
            } else {
                let end = rest.find(['.', '[']).unwrap_or(rest.len());
                (rest[..end].to_owned(), &rest[end..])
            };
            if key.is_empty() && !rest.starts_with('"') {
                return Err(fail());
            }
            segments.push(Segment::Key(key));
            rest = tail;
        }
        Ok(Self(segments))
    }
}

impl<'de> Deserialize<'de> for AttrPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Serialize for AttrPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_prints_as_it_would_be_written_in_toml() {
        let path = AttrPath::keys(&["networks", "network1", "azs"]).index(2);
        assert_eq!(path.to_string(), "networks.network1.azs[2]");
        assert_eq!(AttrPath::keys(&["tags", "a.b"]).to_string(), "tags.\"a.b\"");
        assert_eq!(path.parent().unwrap().to_string(), "networks.network1.azs");
    }

    #[test]
    fn a_path_parses_back() {
        for path in [
            AttrPath::root(),
            AttrPath::keys(&["a"]).index(0).index(1).key("b"),
            AttrPath::keys(&["tags", "a.b\"c", "", "[0]"]),
        ] {
            assert_eq!(path.to_string().parse::<AttrPath>().unwrap(), path);
        }
        assert!("a..b".parse::<AttrPath>().is_err());
        assert!("a[x]".parse::<AttrPath>().is_err());
    }
}
