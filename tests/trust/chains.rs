//! Every chain, as openssl sees it: the verifier that everybody has, and that shares no line with what made them.

use std::path::Path;
use std::process::{Command, Output};

use meshplan::kinds::pki::KeyKind;

use crate::{intermediate_address, opened, process, root_address, text, trust};

/// Runs openssl; `None` where there is none.
pub(crate) fn openssl(folder: &Path, arguments: &[&str]) -> Option<Output> {
    let ran = Command::new("openssl").args(arguments).current_dir(folder).output();
    if ran.is_err() {
        println!("skipped: there is no openssl");
    }
    ran.ok()
}

#[expect(clippy::disallowed_methods, reason = "the input of a test needs to survive nothing")]
pub(crate) fn put(folder: &Path, name: &str, content: &str) {
    std::fs::write(folder.join(name), content).unwrap();
}

fn succeeds(folder: &Path, arguments: &[&str]) -> Option<String> {
    let output = openssl(folder, arguments)?;
    let told = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "openssl {arguments:?}: {told}");
    Some(told)
}

#[test]
fn openssl_verifies_every_chain_down_to_a_workload() {
    for kind in [KeyKind::EcdsaP256, KeyKind::Rsa2048] {
        let (home, scratch) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let clusters = ["cluster-1", "cluster-2", "cluster-3"];
        let mut process = process(home.path());
        process.apply(&trust(&clusters, kind));
        let state = process.process.store.state();
        let keys = opened(state, home.path());
        assert_eq!(keys.len(), clusters.len() + 1);
        put(scratch.path(), "root-cert.pem", &text(state, &root_address(), "certificate"));
        // Records are sorted: the intermediates come before the root.
        for (cluster, key) in clusters.iter().zip(&keys) {
            let address = intermediate_address(cluster);
            put(scratch.path(), "ca-cert.pem", &text(state, &address, "certificate"));
            put(scratch.path(), "cert-chain.pem", &text(state, &address, "chain"));
            put(scratch.path(), "ca-key.pem", key);
            assert_eq!(text(state, &address, "root"), text(state, &root_address(), "certificate"));
            if workload(scratch.path()).is_none() {
                return;
            }
        }
    }
}

/// Verifies the authority in a folder, lets it sign a workload's certificate as istiod does, and verifies that.
fn workload(folder: &Path) -> Option<()> {
    let at = "1796000000"; // In November 2026, the sandbox's time.
    let verify = ["verify", "-x509_strict", "-check_ss_sig", "-attime", at, "-CAfile", "root-cert.pem"];
    let with = |more: &[&'static str]| verify.iter().copied().chain(more.iter().copied()).collect::<Vec<_>>();
    assert!(succeeds(folder, &with(&["root-cert.pem"]))?.contains("OK"));
    assert!(succeeds(folder, &with(&["ca-cert.pem"]))?.contains("OK"));
    let of_key = succeeds(folder, &["pkey", "-in", "ca-key.pem", "-pubout"])?;
    let of_certificate = succeeds(folder, &["x509", "-in", "ca-cert.pem", "-noout", "-pubkey"])?;
    assert_eq!(of_key, of_certificate, "the key is the certificate's");
    put(folder, "workload.ext", "subjectAltName=critical,URI:spiffe://cluster.local/ns/sample/sa/curl\n");
    succeeds(
        folder,
        &[
            "req",
            "-new",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:P-256",
            "-nodes",
            "-keyout",
            "workload-key.pem",
            "-subj",
            "/",
            "-out",
            "workload.csr",
        ],
    )?;
    succeeds(
        folder,
        &[
            "x509",
            "-req",
            "-in",
            "workload.csr",
            "-CA",
            "ca-cert.pem",
            "-CAkey",
            "ca-key.pem",
            "-CAcreateserial",
            "-days",
            "1",
            "-extfile",
            "workload.ext",
            "-out",
            "workload.pem",
        ],
    )?;
    let chain = ["-no_check_time", "-untrusted", "cert-chain.pem", "workload.pem"];
    let lax: Vec<&str> = ["verify", "-CAfile", "root-cert.pem"].into_iter().chain(chain).collect();
    assert!(succeeds(folder, &lax)?.contains("OK"));
    // An authority below it is one too many: its path length is 0.
    put(folder, "lower.ext", "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign\n");
    succeeds(folder, &["req", "-new", "-key", "workload-key.pem", "-subj", "/CN=lower", "-out", "lower.csr"])?;
    succeeds(
        folder,
        &[
            "x509",
            "-req",
            "-in",
            "lower.csr",
            "-CA",
            "ca-cert.pem",
            "-CAkey",
            "ca-key.pem",
            "-CAcreateserial",
            "-days",
            "1",
            "-extfile",
            "lower.ext",
            "-out",
            "lower.pem",
        ],
    )?;
    succeeds(
        folder,
        &[
            "x509",
            "-req",
            "-in",
            "workload.csr",
            "-CA",
            "lower.pem",
            "-CAkey",
            "workload-key.pem",
            "-CAcreateserial",
            "-days",
            "1",
            "-extfile",
            "workload.ext",
            "-out",
            "below.pem",
        ],
    )?;
    let chain = std::fs::read_to_string(folder.join("cert-chain.pem")).unwrap();
    put(folder, "long-chain.pem", &format!("{chain}{}", std::fs::read_to_string(folder.join("lower.pem")).unwrap()));
    let refused = openssl(
        folder,
        &["verify", "-CAfile", "root-cert.pem", "-no_check_time", "-untrusted", "long-chain.pem", "below.pem"],
    )?;
    assert!(String::from_utf8_lossy(&refused.stderr).contains("path length constraint exceeded"), "{refused:?}");
    Some(())
}
