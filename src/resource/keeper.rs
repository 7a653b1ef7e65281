//! Who seals secrets and opens them, as the kinds and the engine see it. The one that encrypts is `vault`.

use zeroize::Zeroizing;

use crate::model::secret::{Sealed, Secret};

use super::error::ProviderError;

/// A secret's text in memory: never printed, and wiped when it is dropped.
pub type ClearText = Secret<Zeroizing<String>>;

/// Seals secrets and opens them.
pub trait Keeper {
    /// Encrypts a secret to these public keys (age's or ssh's), or to the operator's own identity when there are none.
    fn seal(&self, recipients: &[String], clear: &ClearText) -> Result<Sealed, ProviderError>;

    /// Opens what was sealed, with an identity that it was sealed to. Only for the one request that needs it.
    fn open(&self, sealed: &Sealed) -> Result<ClearText, ProviderError>;
}
