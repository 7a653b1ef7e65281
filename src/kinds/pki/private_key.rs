//! A private key in memory.

use std::fmt;

use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

use crate::model::secret::SENSITIVE;

/// A private key in PEM. It prints as `(sensitive)` and is wiped when it is dropped. It serialises: the engine hands it to
/// a kind and takes it from one that way, and masks the field that it stands in before anything is kept.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PrivateKey(String);

impl PrivateKey {
    /// Wraps a key.
    #[must_use]
    pub fn new(pem: String) -> Self {
        Self(pem)
    }

    /// The PEM text, for the one call that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl Drop for PrivateKey {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SENSITIVE)
    }
}
