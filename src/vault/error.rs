//! What can go wrong with sealing and opening: each names the file or the public key, and the way out.

use std::io;
use std::path::{Path, PathBuf};

use crate::resource::{ErrorClass, ProviderError};

/// A secret could not be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// There is nowhere to keep an identity.
    #[error("there is no home directory to keep an identity in: set HOME, or name public keys in `[ca] recipients`")]
    NoHome,
    /// A file cannot be read or written.
    #[error("cannot {doing} {}: {source}", path.display())]
    File {
        /// What was tried, for example `read the identity file`.
        doing: &'static str,
        /// Which.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// A public key that age cannot encrypt to.
    #[error("cannot encrypt to `{recipient}`: {why}")]
    Recipient {
        /// The key; shortened, and never a private one.
        recipient: String,
        /// What is wrong with it, and what to write.
        why: String,
    },
    /// A file that holds no identity.
    #[error("{} opens nothing: {why}", path.display())]
    Identity {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, and what to do. Nothing of its content.
        why: String,
    },
    /// No identity fits.
    #[error("it is sealed to {}, and {}: give the file of an identity that opens it with `--identity FILE`{}",
        to.join(" and "), tried_text(tried), restore(to, own.as_deref()))]
    NoneOpens {
        /// The public keys it is sealed to.
        to: Vec<String>,
        /// The files that were tried.
        tried: Vec<PathBuf>,
        /// Where the operator's own identity would be, if there is a home directory.
        own: Option<PathBuf>,
    },
    /// It is not what was sealed.
    #[error("the sealed text is damaged ({0}): restore the state from its history")]
    Damaged(String),
    /// age could not encrypt.
    #[error("cannot encrypt: {0}")]
    Encrypt(String),
}

fn tried_text(tried: &[PathBuf]) -> String {
    if tried.is_empty() {
        return "there is no identity".to_owned();
    }
    let files: Vec<String> = tried.iter().map(|path| path.display().to_string()).collect();
    let verb = if files.len() == 1 { "does not open it" } else { "do not open it" };
    format!("{} {verb}", files.join(", "))
}

/// What is sealed to one age key was probably sealed to an identity made at first use, perhaps on another machine.
fn restore(to: &[String], own: Option<&Path>) -> String {
    match (to, own) {
        ([one], Some(own)) if one.starts_with("age1") => format!(", or restore {} from its backup", own.display()),
        _ => String::new(),
    }
}

impl From<VaultError> for ProviderError {
    fn from(error: VaultError) -> Self {
        let class = match &error {
            VaultError::NoneOpens { .. } => ErrorClass::Denied,
            VaultError::NoHome
            | VaultError::File { .. }
            | VaultError::Recipient { .. }
            | VaultError::Identity { .. }
            | VaultError::Damaged(_)
            | VaultError::Encrypt(_) => ErrorClass::Invalid,
        };
        Self::new(class, "vault", error.to_string())
    }
}
