//! Encrypts what must outlive a run and must never be read by others: the keys that meshplan makes itself.
//!
//! Entry point: [`Vault`], the one implementation of [`Keeper`]. A secret is sealed with age, to the public keys that the
//! topology names (`[ca] recipients`), or to an identity of the operator's own that is made at first use
//! ([`identity_path`]). What is sealed is text: it can be stored, shown and opened by `age -d` as well.
//!
//! What was sealed in this process can be opened in this process without any identity: whoever makes a key for somebody
//! else's identity can still issue with it until the run ends. Everything in the clear lives in buffers that are wiped.
//!
//! It deliberately reads no environment, decides nothing about who may open what, and asks for no passphrase.

mod error;
mod identities;
mod recipients;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use age::armor::{ArmoredReader, ArmoredWriter, Format};
use age::{Decryptor, Encryptor};
use zeroize::Zeroizing;

use crate::model::Digest;
use crate::model::secret::{Masked, Sealed, Secret};
use crate::resource::{ClearText, Keeper, ProviderError};

pub use error::VaultError;

/// Where the operator's own identity is kept: `$XDG_CONFIG_HOME/meshplan/identity.txt`, or the same below `~/.config`.
///
/// A relative `XDG_CONFIG_HOME` is ignored, as its specification demands. `None` without a home directory.
#[must_use]
pub fn identity_path(config_home: Option<&Path>, home: Option<&Path>) -> Option<PathBuf> {
    let folder = config_home
        .filter(|folder| folder.is_absolute())
        .map(Path::to_owned)
        .or_else(|| home.filter(|home| home.is_absolute()).map(|home| home.join(".config")))?;
    Some(folder.join("meshplan").join("identity.txt"))
}

/// Seals and opens with age.
pub struct Vault {
    own: Option<PathBuf>,
    given: Vec<PathBuf>,
    salt: String,
    /// What this process sealed, by the digest of its sealed text.
    sealed: RefCell<BTreeMap<Digest, Zeroizing<String>>>,
    notices: RefCell<Vec<String>>,
}

impl Vault {
    /// A vault that keeps its own identity in the file `own`, and also opens with the identity files `given`. Reads
    /// nothing until it is needed. `salt` is the state's lineage: see [`mask`](crate::model::secret::mask).
    #[must_use]
    pub fn new(own: Option<PathBuf>, given: Vec<PathBuf>, salt: &str) -> Self {
        Self { own, given, salt: salt.to_owned(), sealed: RefCell::default(), notices: RefCell::default() }
    }

    /// What the operator should be told since the last call: that an identity was made, that others can read one.
    pub fn take_notices(&self) -> Vec<String> {
        std::mem::take(&mut self.notices.borrow_mut())
    }

    /// Encrypts a secret to these public keys, or to the vault's own identity when there are none.
    pub fn seal(&self, recipients: &[String], clear: &str) -> Result<Sealed, VaultError> {
        let (to, keys) = if recipients.is_empty() {
            let path = self.own.as_deref().ok_or(VaultError::NoHome)?;
            let own = identities::own_or_new(path, &self.notices)?;
            (vec![own.to_string()], vec![Box::new(own) as recipients::Recipient])
        } else {
            let keys = recipients.iter().map(|text| recipients::parse(text)).collect::<Result<Vec<_>, _>>()?;
            (recipients.to_vec(), keys)
        };
        let text = encrypt(&keys, clear.as_bytes()).map_err(VaultError::Encrypt)?;
        self.sealed.borrow_mut().insert(Digest::of(&text), Zeroizing::new(clear.to_owned()));
        let json = Zeroizing::new(serde_json::to_string(clear).unwrap_or_default());
        Ok(Sealed { text, digest: Masked::of_json(&json, &self.salt).digest, to })
    }

    /// Opens what was sealed: what this process sealed itself, or else with the given identities and the vault's own.
    pub fn open(&self, sealed: &Sealed) -> Result<ClearText, VaultError> {
        if let Some(clear) = self.sealed.borrow().get(&Digest::of(&sealed.text)) {
            return Ok(Secret::new(clear.clone()));
        }
        let mut tried = Vec::new();
        for path in &self.given {
            let identities = identities::load(path, &self.notices)?;
            if let Some(clear) = decrypt(&identities, sealed)? {
                return Ok(clear);
            }
            tried.push(path.clone());
        }
        if let Some(path) = &self.own
            && let Some(own) = identities::own(path, &self.notices)?
        {
            if let Some(clear) = decrypt(&own, sealed)? {
                return Ok(clear);
            }
            tried.push(path.clone());
        }
        Err(VaultError::NoneOpens { to: sealed.to.clone(), tried, own: self.own.clone() })
    }
}

impl Keeper for Vault {
    fn seal(&self, recipients: &[String], clear: &ClearText) -> Result<Sealed, ProviderError> {
        Ok(Self::seal(self, recipients, clear.expose())?)
    }

    fn open(&self, sealed: &Sealed) -> Result<ClearText, ProviderError> {
        Ok(Self::open(self, sealed)?)
    }
}

impl fmt::Debug for Vault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vault").field("own", &self.own).field("given", &self.given).finish_non_exhaustive()
    }
}

fn encrypt(keys: &[recipients::Recipient], clear: &[u8]) -> Result<String, String> {
    let keys = keys.iter().map(|key| &**key as &dyn age::Recipient);
    let encryptor = Encryptor::with_recipients(keys).map_err(|error| error.to_string())?;
    let write = || {
        let mut text = Vec::new();
        let armoured = ArmoredWriter::wrap_output(&mut text, Format::AsciiArmor)?;
        let mut writer = encryptor.wrap_output(armoured)?;
        writer.write_all(clear)?;
        writer.finish()?.finish()?;
        Ok::<_, std::io::Error>(text)
    };
    let text = write().map_err(|error| error.to_string())?;
    String::from_utf8(text).map_err(|error| error.to_string())
}

/// The secret, `None` when none of these identities opens it.
fn decrypt(identities: &[identities::Identity], sealed: &Sealed) -> Result<Option<ClearText>, VaultError> {
    let damaged = |error: String| VaultError::Damaged(error);
    let decryptor = Decryptor::new_buffered(ArmoredReader::new(sealed.text.as_bytes()))
        .map_err(|error| damaged(error.to_string()))?;
    let identities = identities.iter().map(|identity| &**identity as &dyn age::Identity);
    let mut reader = match decryptor.decrypt(identities) {
        Ok(reader) => reader,
        Err(age::DecryptError::NoMatchingKeys) => return Ok(None),
        Err(error) => return Err(damaged(error.to_string())),
    };
    // A buffer that grows leaves what it held in memory: one that is large enough never does.
    let mut clear = Zeroizing::new(String::with_capacity(sealed.text.len()));
    reader.read_to_string(&mut clear).map_err(|error| damaged(error.to_string()))?;
    Ok(Some(Secret::new(clear)))
}

#[cfg(test)]
mod tests;
