//! Public keys to encrypt to: age's own and ssh's.

use age::ssh::ParseRecipientKeyError;

use super::VaultError;

/// Something that age encrypts to.
pub(super) type Recipient = Box<dyn age::Recipient>;

/// A public key, as it is written in a topology.
pub(super) fn parse(text: &str) -> Result<Recipient, VaultError> {
    let text = text.trim();
    let refuse = |why: &str| Err(VaultError::Recipient { recipient: shown(text), why: why.to_owned() });
    if text.starts_with("AGE-SECRET-KEY-") || text.contains("PRIVATE KEY") {
        return refuse(
            "it is a private key; name its public key, and consider it disclosed if the topology was shared",
        );
    }
    if text.starts_with("age1") {
        return match text.parse::<age::x25519::Recipient>() {
            Ok(key) => Ok(Box::new(key)),
            Err(_) => refuse("it is mistyped or of a plugin; copy the whole line that begins with `age1`"),
        };
    }
    match text.parse::<age::ssh::Recipient>() {
        Ok(key) => Ok(Box::new(key)),
        Err(ParseRecipientKeyError::RsaModulusTooSmall) => {
            refuse("an RSA key needs 2048 bits; make another with `ssh-keygen -t ed25519`")
        }
        Err(ParseRecipientKeyError::RsaModulusTooLarge) => {
            refuse("an RSA key may have 4096 bits; make another with `ssh-keygen -t ed25519`")
        }
        Err(_) => refuse("write an age public key (`age1…`) or an ssh one (`ssh-ed25519 AAAA…`, `ssh-rsa AAAA…`)"),
    }
}

/// A key in a message: its beginning, which tells it from others, and nothing of a private one.
fn shown(text: &str) -> String {
    const SHOWN: usize = 40;
    if text.starts_with("AGE-SECRET-KEY-") || text.contains("PRIVATE KEY") {
        return "(a private key)".to_owned();
    }
    let mut short: String = text.chars().take(SHOWN).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}
