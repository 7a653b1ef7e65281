//! A JSON document kept as its text: what state holds 100,000 of, and what is hashed and compared far more often
//! than it is read.

use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Digest, Value};

/// A JSON document as text. It may have holes (see [`Value::Unknown`]) until an apply fills them.
///
/// Two documents that are equal as JSON may differ as text (another order of keys): equality of text proves
/// that nothing changed, inequality only that it is worth parsing.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Document(Box<RawValue>);

impl Document {
    /// The document of a value. A value that JSON cannot hold (a map whose keys are not strings) is a
    /// defect of the type, which the conformance tests find; the error names it.
    pub fn of<T: Serialize + ?Sized>(value: &T) -> Result<Self, serde_json::Error> {
        serde_json::value::to_raw_value(value).map(Self)
    }

    /// `{}`.
    #[must_use]
    pub fn empty() -> Self {
        Self(RawValue::from_string("{}".to_owned()).unwrap_or_else(|_| RawValue::NULL.to_owned()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    /// The digest of the text.
    #[must_use]
    pub fn digest(&self) -> Digest {
        Digest::of(self.as_str())
    }

    /// The document as a typed value.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.as_str())
    }

    /// The document as a tree with holes.
    ///
    /// The text was checked to be JSON when it was read, so only nesting deeper than serde_json's limit can
    /// fail; such a document reads as null and is therefore seen as different from any other.
    #[must_use]
    pub fn value(&self) -> Value {
        self.decode().unwrap_or(Value::Null)
    }
}

impl PartialEq for Document {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Document {}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
