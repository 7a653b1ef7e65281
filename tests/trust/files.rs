//! Roots and intermediates that others made, in files.

use std::path::Path;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use meshplan::compile::Declaration;
use meshplan::kinds::pki::{KeyKind, existing_intermediate, existing_root};
use meshplan::model::{Address, Clock};
use meshplan::plan::Scope;
use meshplan::resource::Cloud;

use crate::chains::{openssl, put};
use crate::replica::{self, Spec};
use crate::rig::{InSandbox, run};
use crate::{declare, everything, intermediate_address, intermediate_spec, sorted};

/// Long after openssl dated its certificates, and long before they end.
struct Later;

impl Clock for Later {
    fn now(&self) -> Timestamp {
        "2060-01-01T00:00:00Z".parse().unwrap()
    }

    fn sleep(&self, _: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(std::future::ready(()))
    }
}

/// A process at that time.
fn process(home: &Path) -> InSandbox {
    let mut process = crate::process(home);
    let cloud = Cloud::new(process.sandbox.sdk_config()).with_keeper(Rc::new(crate::rig::vault(home)));
    process.process.cloud = cloud.with_clock(Arc::new(Later));
    process
}

fn path(folder: &Path, name: &str) -> String {
    folder.join(name).display().to_string()
}

fn made(folder: &Path, arguments: &[&str]) -> Option<()> {
    let output = openssl(folder, arguments)?;
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    Some(())
}

/// A root of the operator's own; further arguments of `openssl req`.
fn own_root(folder: &Path, name: &str, more: &[&str]) -> Option<()> {
    let (key, certificate) = (format!("{name}-key.pem"), format!("{name}-cert.pem"));
    let mut arguments = vec![
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "36500",
        "-subj",
        "/O=Example/CN=Example Root",
        "-keyout",
        &key,
        "-out",
        &certificate,
    ];
    arguments.extend(more);
    made(folder, &arguments)
}

/// An intermediate below it.
fn own_intermediate(folder: &Path, root: &str, name: &str, subject: &str) -> Option<()> {
    put(folder, "ca.ext", "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\n");
    let file = |what: &str| format!("{name}-{what}.pem");
    let (key, csr, certificate) = (file("key"), file("csr"), file("cert"));
    made(folder, &["req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", &key, "-subj", subject, "-out", &csr])?;
    made(
        folder,
        &[
            "x509",
            "-req",
            "-in",
            &csr,
            "-CA",
            &format!("{root}-cert.pem"),
            "-CAkey",
            &format!("{root}-key.pem"),
            "-CAcreateserial",
            "-days",
            "36500",
            "-extfile",
            "ca.ext",
            "-out",
            &certificate,
        ],
    )?;
    let read = |name: &str| std::fs::read_to_string(folder.join(name)).unwrap();
    put(folder, &file("chain"), &format!("{}{}", read(&certificate), read(&format!("{root}-cert.pem"))));
    Some(())
}

fn root(folder: &Path, name: &str) -> Declaration {
    let spec = existing_root::Spec {
        certificate: path(folder, &format!("{name}-cert.pem")),
        key: Some(path(folder, &format!("{name}-key.pem"))),
        min_validity_seconds: 90 * 86_400,
    };
    declare(&Address::new("pki.existing_root", &["mesh1"]), &spec)
}

fn ready(folder: &Path, cluster: &str) -> Declaration {
    let file = |what: &str| path(folder, &format!("{cluster}-{what}.pem"));
    let spec = existing_intermediate::Spec {
        certificate: file("cert"),
        key: file("key"),
        chain: file("chain"),
        root: path(folder, "root-cert.pem"),
        min_validity_seconds: 90 * 86_400,
    };
    declare(&Address::new("pki.existing_intermediate", &[cluster]), &spec)
}

/// What a plan over these declarations is refused for.
fn refused(process: &mut InSandbox, declared: &[Declaration], folder: &Path) -> Vec<String> {
    let sandbox = process.sandbox.clone();
    let planned = run(sandbox.drive(process.process.planned(declared, &Scope::default())));
    let told = planned.diagnostics.iter().map(|finding| finding.message.replace(&path(folder, ""), ""));
    told.collect()
}

#[test]
fn an_own_root_signs_and_its_key_is_copied_nowhere() {
    let (home, files) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let address = Address::new("pki.existing_root", &["mesh1"]);
    let Some(()) = own_root(files.path(), "root", &[]) else { return };
    let declared = |clusters: &[&str]| {
        let mut declared = vec![root(files.path(), "root")];
        for cluster in clusters {
            let spec = intermediate_spec(&address, cluster, KeyKind::EcdsaP256);
            declared.push(declare(&intermediate_address(cluster), &spec));
        }
        sorted(declared)
    };
    process(home.path()).apply(&declared(&["cluster-1"]));
    // The root is on record, and nothing of it changes: its key is read again for the one that is added.
    let mut process = process(home.path());
    process.apply(&declared(&["cluster-1", "cluster-2"]));
    let plan = process.plan(&declared(&["cluster-1", "cluster-2"]));
    assert!(plan.is_empty(), "{plan:#?}");
    let key = std::fs::read_to_string(files.path().join("root-key.pem")).unwrap();
    let line = key.lines().nth(5).unwrap();
    for (path, bytes) in everything(home.path()) {
        assert!(!String::from_utf8_lossy(&bytes).contains(line), "the root's key is in {}", path.display());
    }
}

#[test]
fn ready_intermediates_are_handed_on() {
    let (home, files) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let Some(()) = own_root(files.path(), "root", &[]) else { return };
    own_intermediate(files.path(), "root", "cluster-1", "/O=Example/CN=One").unwrap();
    let given = ready(files.path(), "cluster-1");
    let spec = Spec::of(&given.address, "cluster-1");
    let declared = sorted(vec![given, declare(&"test.replica/cluster-1".parse().unwrap(), &spec)]);
    let mut process = process(home.path());
    process.apply(&declared);
    let read = |name: &str| std::fs::read_to_string(files.path().join(name)).unwrap();
    let held = replica::held("cluster-1");
    assert_eq!(held["ca-key.pem"], read("cluster-1-key.pem"));
    assert_eq!(held["cert-chain.pem"], read("cluster-1-chain.pem"));
    let plan = process.plan(&declared);
    assert!(plan.is_empty(), "{plan:#?}");

    // Other files under the same names: whoever holds the old ones gets the new ones.
    own_intermediate(files.path(), "root", "cluster-1", "/O=Example/CN=One").unwrap();
    process.apply(&declared);
    assert_eq!(replica::held("cluster-1")["ca-key.pem"], read("cluster-1-key.pem"));
    assert_eq!(replica::writes(), 2);
}

#[test]
fn what_is_wrong_with_files_is_told_before_anything_is_made() {
    let (home, files) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let Some(()) = own_root(files.path(), "root", &[]) else { return };
    own_root(files.path(), "weak", &["-sha1"]).unwrap();
    own_root(files.path(), "small", &["-newkey", "rsa:1024"]).unwrap();
    own_intermediate(files.path(), "root", "cluster-1", "/O=Example/CN=Same").unwrap();
    own_intermediate(files.path(), "root", "cluster-2", "/O=Example/CN=Same").unwrap();
    let mut process = process(home.path());
    let mut told = |declared: &[Declaration]| refused(&mut process, declared, files.path());
    assert_eq!(
        told(&[root(files.path(), "missing")]),
        [
            "pki.existing_root/mesh1 exists and cannot be used: `missing-cert.pem` cannot be read: No such file or directory \
          (os error 2); `missing-key.pem` cannot be read: No such file or directory (os error 2)"
        ]
    );
    assert_eq!(
        told(&[root(files.path(), "weak")]),
        [
            "pki.existing_root/mesh1 exists and cannot be used: `weak-cert.pem` is signed with SHA-1 or MD5, which istiod \
          refuses: sign it with SHA-256"
        ]
    );
    assert_eq!(
        told(&[root(files.path(), "small")]),
        [
            "pki.existing_root/mesh1 exists and cannot be used: `small-cert.pem` has an RSA key of 1024 bits: 2048 are the \
            least"
        ]
    );
    assert_eq!(
        told(&[ready(files.path(), "cluster-1"), ready(files.path(), "cluster-2")]),
        ["pki.existing_intermediate/cluster-2 exists and cannot be used: `cluster-2-cert.pem` has the subject of \
          `cluster-1-cert.pem`: each cluster needs its own"]
    );
}
