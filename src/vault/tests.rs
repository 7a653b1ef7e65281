//! Sealing and opening, and the identity that is made at first use.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use super::*;

const KEY: &str = "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----\n";

struct Home(tempfile::TempDir);

impl Home {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn own(&self) -> PathBuf {
        identity_path(Some(self.0.path()), None).unwrap()
    }

    fn vault(&self) -> Vault {
        Vault::new(Some(self.own()), Vec::new(), "lineage")
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        crate::state::store::write_atomically(&path, text.as_bytes()).unwrap();
        path
    }
}

fn opened(vault: &Vault, sealed: &Sealed) -> String {
    vault.open(sealed).unwrap().expose().to_string()
}

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn age_identity() -> (String, String) {
    use age::secrecy::ExposeSecret;
    let identity = age::x25519::Identity::generate();
    (identity.to_public().to_string(), identity.to_string().expose_secret().to_owned())
}

#[test]
fn the_identity_is_where_such_files_are() {
    let (config, home) = (Some(Path::new("/c")), Some(Path::new("/u/ann")));
    assert_eq!(identity_path(config, home), Some("/c/meshplan/identity.txt".into()));
    assert_eq!(identity_path(None, home), Some("/u/ann/.config/meshplan/identity.txt".into()));
    assert_eq!(identity_path(Some(Path::new("c")), home), Some("/u/ann/.config/meshplan/identity.txt".into()));
    assert_eq!(identity_path(None, None), None);
}

#[test]
fn an_identity_is_made_once_told_once_and_opens_what_was_sealed() {
    let home = Home::new();
    let first = home.vault();
    let sealed = first.seal(&[], KEY).unwrap();
    assert_eq!((mode(&home.own()), mode(home.own().parent().unwrap())), (0o600, 0o700));
    assert_eq!(sealed.to.len(), 1);
    let notices = first.take_notices();
    assert_eq!(notices.len(), 1, "{notices:?}");
    assert!(notices[0].contains(&sealed.to[0]) && notices[0].contains("back it up"), "{notices:?}");

    let second = home.vault();
    assert_eq!(opened(&second, &sealed), KEY);
    let again = second.seal(&[], KEY).unwrap();
    assert_eq!(again.to, sealed.to, "the identity stays");
    assert_ne!(again.text, sealed.text);
    assert_eq!(again.digest, sealed.digest, "that it is the same secret shows");
    assert_eq!(second.take_notices(), Vec::<String>::new());
    let left: Vec<_> = std::fs::read_dir(home.own().parent().unwrap()).unwrap().collect();
    assert_eq!(left.len(), 1, "no temporary file stays: {left:?}");
}

#[test]
fn nothing_of_the_secret_can_be_seen() {
    let home = Home::new();
    let vault = home.vault();
    let sealed = vault.seal(&[], KEY).unwrap();
    let clear = vault.open(&sealed).unwrap();
    let seen = format!("{vault:?} {sealed:?} {clear:?} {clear} {}", serde_json::to_string(&sealed).unwrap());
    assert!(!seen.contains("hunter2"), "{seen}");
    assert!(sealed.text.starts_with("-----BEGIN AGE ENCRYPTED FILE-----\n"), "{}", sealed.text);
}

#[test]
fn whoever_is_named_can_open_and_nobody_else() {
    let home = Home::new();
    let ((ann, ann_key), (bob, bob_key), (_, eve_key)) = (age_identity(), age_identity(), age_identity());
    let maker = Vault::new(None, Vec::new(), "lineage");
    let sealed = maker.seal(&[ann.clone(), bob.clone()], KEY).unwrap();
    assert_eq!(opened(&maker, &sealed), KEY, "in the process that sealed it");
    for (name, key) in [("ann.txt", ann_key), ("bob.txt", bob_key)] {
        let file = home.write(name, &format!("# a comment\n\n{key}\n"));
        assert_eq!(opened(&Vault::new(None, vec![file], "other"), &sealed), KEY);
    }
    let eve = home.write("eve.txt", &eve_key);
    let error = Vault::new(Some(home.own()), vec![eve.clone()], "lineage").open(&sealed).unwrap_err().to_string();
    let expected = format!(
        "it is sealed to {ann} and {bob}, and {} does not open it: give the file of an identity that opens it with \
         `--identity FILE`",
        eve.display()
    );
    assert_eq!(error, expected);
}

#[test]
fn an_identity_that_is_gone_is_asked_for() {
    let (home, other) = (Home::new(), Home::new());
    let sealed = home.vault().seal(&[], KEY).unwrap();
    let error = other.vault().open(&sealed).unwrap_err().to_string();
    assert!(error.contains("there is no identity: give the file"), "{error}");
    assert!(error.ends_with(&format!("or restore {} from its backup", other.own().display())), "{error}");
}

#[test]
fn ssh_keys_seal_and_open() {
    let home = Home::new();
    for (kind, bits) in [("ed25519", "256"), ("rsa", "2048")] {
        let path = home.path(kind);
        let made = Command::new("ssh-keygen").args(["-q", "-N", "", "-t", kind, "-b", bits, "-f"]).arg(&path).output();
        let Ok(made) = made else {
            println!("skipped: there is no ssh-keygen");
            return;
        };
        assert!(made.status.success(), "{made:?}");
        let public = std::fs::read_to_string(path.with_extension("pub")).unwrap();
        let sealed = Vault::new(None, Vec::new(), "lineage").seal(&[public.trim().to_owned()], KEY).unwrap();
        assert_eq!(opened(&Vault::new(None, vec![path], "lineage"), &sealed), KEY);
    }
    let locked = home.path("locked");
    let made = Command::new("ssh-keygen").args(["-q", "-N", "secret", "-t", "ed25519", "-f"]).arg(&locked).output();
    assert!(made.unwrap().status.success());
    let sealed = home.vault().seal(&[], KEY).unwrap();
    let error = Vault::new(None, vec![locked.clone()], "lineage").open(&sealed).unwrap_err().to_string();
    assert!(error.starts_with(&format!("{} opens nothing: it has a passphrase", locked.display())), "{error}");
}

#[test]
fn what_cannot_be_encrypted_to_is_named_and_a_private_key_is_not_repeated() {
    let vault = Vault::new(None, Vec::new(), "lineage");
    let refused = |recipient: &str| vault.seal(&[recipient.to_owned()], KEY).unwrap_err().to_string();
    assert_eq!(
        refused("ann@example.org"),
        "cannot encrypt to `ann@example.org`: write an age public key (`age1…`) or an ssh one (`ssh-ed25519 AAAA…`, \
         `ssh-rsa AAAA…`)"
    );
    let (public, private) = age_identity();
    let (head, tail) = public.split_at(20);
    let mistyped = format!("{head}{}{}", if tail.starts_with('q') { "p" } else { "q" }, &tail[1..]);
    assert!(refused(&mistyped).contains("it is mistyped"), "{}", refused(&mistyped));
    assert!(refused(&private).starts_with("cannot encrypt to `(a private key)`"), "{}", refused(&private));
    assert!(!refused(&private).contains(&private));
    assert_eq!(vault.seal(&[], KEY).unwrap_err().to_string(), VaultError::NoHome.to_string());
}

#[test]
fn a_file_that_is_no_identity_is_named_and_not_repeated() {
    let home = Home::new();
    let sealed = home.vault().seal(&[], KEY).unwrap();
    let refused = |text: &str| {
        let file = home.write("given.txt", text);
        let error = Vault::new(None, vec![file], "lineage").open(&sealed).unwrap_err().to_string();
        error.replace(&home.0.path().display().to_string(), "HOME")
    };
    assert_eq!(
        refused("AGE-SECRET-KEY-1MISTYPED\n"),
        "HOME/given.txt opens nothing: line 1 is not an identity; it begins with `AGE-SECRET-KEY-1`"
    );
    assert_eq!(
        refused("# nothing\n"),
        "HOME/given.txt opens nothing: there is no identity in it; one begins with `AGE-SECRET-KEY-1`"
    );
    assert!(refused("-----BEGIN AGE ENCRYPTED FILE-----\n").contains("it is encrypted"));
    let missing = Vault::new(None, vec![home.path("missing")], "lineage").open(&sealed).unwrap_err().to_string();
    assert!(missing.contains("there is no such file"), "{missing}");
    let damaged = Sealed { text: sealed.text.replace("\n-----END", "A\n-----END"), ..sealed.clone() };
    assert!(home.vault().open(&damaged).unwrap_err().to_string().contains("damaged"));
}

#[test]
fn an_identity_that_others_can_read_is_told() {
    let home = Home::new();
    let sealed = home.vault().seal(&[], KEY).unwrap();
    std::fs::set_permissions(home.own(), std::fs::Permissions::from_mode(0o644)).unwrap();
    let vault = home.vault();
    opened(&vault, &sealed);
    opened(&vault, &sealed);
    let notices = vault.take_notices();
    assert_eq!(notices.len(), 1, "{notices:?}");
    assert!(notices[0].contains("chmod 600"), "{notices:?}");
}
