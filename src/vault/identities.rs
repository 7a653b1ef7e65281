//! Private keys to open with: the operator's own, which is made at first use, and the files that are given.

use std::cell::RefCell;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use age::secrecy::ExposeSecret;
use age::x25519;
use zeroize::Zeroizing;

use super::VaultError;

/// Something that age decrypts with.
pub(super) type Identity = Box<dyn age::Identity>;

/// The bits of a file's mode that let others in.
const OTHERS: u32 = 0o077;

/// The public key of the operator's own identity, which is made if there is none.
pub(super) fn own_or_new(path: &Path, notices: &RefCell<Vec<String>>) -> Result<x25519::Recipient, VaultError> {
    if let Some(text) = read(path, notices)? {
        return own_key(path, &text).map(|identity| identity.to_public());
    }
    let identity = x25519::Identity::generate();
    let public = identity.to_public();
    if !keep(path, &identity)? {
        // Another process made one in between: that is the one.
        return own_or_new(path, notices);
    }
    notices.borrow_mut().push(format!(
        "made an identity to encrypt keys to, in {path}: its public key is {public}\nback it up: without it nobody can \
         open the root's key, neither add a cluster nor renew a certificate; to share the mesh with others, name their \
         public keys and this one in `[ca] recipients`",
        path = path.display()
    ));
    Ok(public)
}

/// The operator's own identity; `None` when none was made yet.
pub(super) fn own(path: &Path, notices: &RefCell<Vec<String>>) -> Result<Option<Vec<Identity>>, VaultError> {
    let Some(text) = read(path, notices)? else { return Ok(None) };
    Ok(Some(vec![Box::new(own_key(path, &text)?)]))
}

/// The identities of a file that was given: age's, or an ssh private key.
pub(super) fn load(path: &Path, notices: &RefCell<Vec<String>>) -> Result<Vec<Identity>, VaultError> {
    let refuse = |why: &str| VaultError::Identity { path: path.to_owned(), why: why.to_owned() };
    let text = read(path, notices)?.ok_or_else(|| refuse("there is no such file"))?;
    let first = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    if first.starts_with("-----BEGIN AGE ENCRYPTED FILE") {
        return Err(refuse("it is encrypted; decrypt it with `age -d` into a file of mode 0600 and give that"));
    }
    if first.starts_with("-----BEGIN") {
        let name = path.display().to_string();
        return match age::ssh::Identity::from_buffer(text.as_bytes(), Some(name)) {
            Ok(identity @ age::ssh::Identity::Unencrypted(_)) => Ok(vec![Box::new(identity)]),
            Ok(age::ssh::Identity::Encrypted(_)) => Err(refuse(
                "it has a passphrase, and none is asked for here; give a copy without one (`ssh-keygen -p -f COPY`)",
            )),
            Ok(age::ssh::Identity::Unsupported(_)) | Err(_) => {
                Err(refuse("it is not an ssh key that age knows; use ssh-ed25519 or ssh-rsa"))
            }
        };
    }
    let mut identities: Vec<Identity> = Vec::new();
    for (n, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match line.parse::<x25519::Identity>() {
            Ok(identity) => identities.push(Box::new(identity)),
            // The line is not repeated: it may be a key, mistyped.
            Err(_) => return Err(refuse(&format!("line {n} is not an identity; it begins with `AGE-SECRET-KEY-1`"))),
        }
    }
    if identities.is_empty() {
        return Err(refuse("there is no identity in it; one begins with `AGE-SECRET-KEY-1`"));
    }
    Ok(identities)
}

fn own_key(path: &Path, text: &str) -> Result<x25519::Identity, VaultError> {
    text.lines().find_map(|line| line.trim().parse().ok()).ok_or_else(|| VaultError::Identity {
        path: path.to_owned(),
        why: "there is no identity in it; restore it from its backup, or move it away to have another made".to_owned(),
    })
}

/// A file's text; `None` when there is no such file. Says so when others can read it.
fn read(path: &Path, notices: &RefCell<Vec<String>>) -> Result<Option<Zeroizing<String>>, VaultError> {
    let at = |source| VaultError::File { doing: "read the identity file", path: path.to_owned(), source };
    let text = match fs::read_to_string(path) {
        Ok(text) => Zeroizing::new(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(at(error)),
    };
    let mode = fs::metadata(path).map_err(at)?.permissions().mode();
    let notice = format!("others can read the identity in {0}: run `chmod 600 {0}`", path.display());
    if mode & OTHERS != 0 && !notices.borrow().contains(&notice) {
        notices.borrow_mut().push(notice);
    }
    Ok(Some(text))
}

/// Writes a new identity: whole and durable before it has its name, for its owner only. `false` when there is one
/// by now, which stays.
fn keep(path: &Path, identity: &x25519::Identity) -> Result<bool, VaultError> {
    let at = |doing: &'static str, path: &Path| {
        let path = path.to_owned();
        move |source| VaultError::File { doing, path, source }
    };
    let folder = path.parent().unwrap_or(Path::new("/"));
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(at("make the directory", folder))?;
    let text = Zeroizing::new(format!(
        "# meshplan's identity: opens the keys that it seals\n# public key: {}\n{}\n",
        identity.to_public(),
        identity.to_string().expose_secret()
    ));
    let temporary = beside(path);
    // What a crash left of an earlier process with this id is of no use: it never had its name.
    let _ = fs::remove_file(&temporary);
    let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary).and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        // A second name and not a rename: it fails where there is an identity by now, which must not be lost.
        fs::hard_link(&temporary, path)
    });
    let removed = fs::remove_file(&temporary);
    match written {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.exists() => return Ok(false),
        Err(error) => return Err(at("write the identity file", path)(error)),
    }
    removed.and_then(|()| File::open(folder)?.sync_all()).map_err(at("write the directory", folder))?;
    Ok(true)
}

/// A name beside `path` that no other process uses.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    name.into()
}
