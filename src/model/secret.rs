//! Values that must never reach a disk, a log or a screen in the clear.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Digest, Value};

/// What is printed instead of a secret.
pub const SENSITIVE: &str = "(sensitive)";

/// A secret in memory. It prints as `(sensitive)` and does not serialise.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret<T>(T);

impl<T> Secret<T> {
    /// Wraps a secret.
    pub fn new(secret: T) -> Self {
        Self(secret)
    }

    /// The secret itself: for handing it to the one call that needs it.
    pub fn expose(&self) -> &T {
        &self.0
    }
}

impl<T> fmt::Debug for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SENSITIVE)
    }
}

impl<T> fmt::Display for Secret<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SENSITIVE)
    }
}

/// The salted digest that stands for a sensitive value in state and plans: enough to see that it changed, and
/// useless for guessing it from another mesh's state, because the salt is the state's lineage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Masked {
    /// Salted digest of the value's JSON text.
    #[serde(rename = "$sensitive")]
    pub digest: Digest,
}

impl Masked {
    /// Of a value that is given as its JSON text.
    #[must_use]
    pub fn of_json(json: &str, salt: &str) -> Self {
        Self { digest: Digest::of_parts(&[salt.as_bytes(), json.as_bytes()]) }
    }
}

impl From<Masked> for Value {
    fn from(masked: Masked) -> Self {
        Self::Object([("$sensitive".to_owned(), Self::String(masked.digest.to_string()))].into())
    }
}

/// A secret that only whoever holds an identity can open: the one form in which a sealed output is ever kept.
///
/// It says whom it is for, and its digest: two of them are compared, and a plan is made over them, without opening
/// either.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sealed {
    /// The secret's text, encrypted: an age file in its ASCII armour.
    #[serde(rename = "$sealed")]
    pub text: String,
    /// What [`mask`] makes of the secret's text.
    pub digest: Digest,
    /// The public keys that it is encrypted to.
    pub to: Vec<String>,
}

impl Sealed {
    /// The sealed secret in a document; `None` for anything else.
    #[must_use]
    pub fn of(value: &Value) -> Option<Self> {
        value.get("$sealed")?;
        let text = serde_json::to_string(value).ok()?;
        serde_json::from_str(&text).ok().filter(|sealed: &Self| sealed.text.starts_with(ARMOUR))
    }

    /// The salted digest of the secret.
    #[must_use]
    pub fn masked(&self) -> Masked {
        Masked { digest: self.digest }
    }
}

/// How the text of a sealed secret begins.
const ARMOUR: &str = "-----BEGIN AGE ENCRYPTED FILE-----";

/// Replaces a value by its salted digest. A hole stays a hole, and a value that is masked already stays as it is.
#[must_use]
pub fn mask(value: &Value, salt: &str) -> Value {
    if matches!(value, Value::Unknown(_) | Value::Null) || is_masked(value) {
        return value.clone();
    }
    Masked::of_json(&serde_json::to_string(value).unwrap_or_default(), salt).into()
}

/// Whether a value is what [`mask`] makes.
#[must_use]
pub fn is_masked(value: &Value) -> bool {
    value.as_object().is_some_and(|fields| fields.len() == 1 && fields.contains_key("$sensitive"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_prints_as_sensitive_everywhere() {
        let secret = Secret::new("hunter2");
        assert_eq!(format!("{secret} {secret:?} {:?}", Some(&secret)), "(sensitive) (sensitive) Some((sensitive))");
    }

    #[test]
    fn masking_is_stable_salted_and_idempotent() {
        let value = Value::from("hunter2");
        let masked = mask(&value, "lineage-a");
        assert!(is_masked(&masked));
        assert_eq!(mask(&masked, "lineage-a"), masked);
        assert_eq!(mask(&value, "lineage-a"), masked);
        assert_ne!(mask(&value, "lineage-b"), masked);
        assert!(!masked.to_string().contains("hunter2"));
    }

    #[test]
    fn only_what_is_encrypted_is_sealed() {
        let masked = Masked::of_json("\"hunter2\"", "lineage-a");
        assert_eq!(Value::from(masked.clone()), mask(&Value::from("hunter2"), "lineage-a"));
        let value = |text: &str| {
            let sealed = Sealed { text: text.to_owned(), digest: masked.digest, to: vec!["age1x".to_owned()] };
            serde_json::from_str::<Value>(&serde_json::to_string(&sealed).unwrap()).unwrap()
        };
        let sealed = Sealed::of(&value(&format!("{ARMOUR}\n"))).unwrap();
        assert_eq!(sealed.masked(), masked);
        assert_eq!(Sealed::of(&value("hunter2")), None, "text in the clear");
        assert_eq!(Sealed::of(&Value::from("hunter2")), None);
    }
}
