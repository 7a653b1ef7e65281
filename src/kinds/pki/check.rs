//! What is demanded of given certificates and keys (R27): everything for which istiod or a proxy would refuse them, and
//! what would break the mesh later. Every finding is named, not only the first.
//!
//! Entry points: [`root`] and [`intermediate`]. Texts in, findings out: it reads no file and no clock.

use jiff::{SignedDuration, Timestamp};
use rcgen::KeyPair;
use x509_parser::certificate::X509Certificate;
use x509_parser::pem::Pem;
use x509_parser::prelude::FromDer;
use x509_parser::public_key::PublicKey;
use zeroize::Zeroize;

use super::issue::{fingerprint, validity};

/// A given file.
#[derive(Clone, Copy)]
pub(super) struct File<'a> {
    pub(super) path: &'a str,
    pub(super) text: &'a str,
}

/// When it is checked, and how long a certificate must live yet.
#[derive(Clone, Copy)]
pub(super) struct Terms {
    pub(super) now: Timestamp,
    pub(super) min_validity_seconds: u64,
}

/// The keys of the certificates in Istio's `samples/certs`, which everybody has: SHA-256 of their public keys.
const SAMPLE_KEYS: [&str; 2] = [
    "bb1eae277ea4eb9f87a9a5ae2aaa737926874baeb1fda2d182f6c265689afa51",
    "33b56859d49574d5a08a943b8775b453dd82cff09d987b3c6a843a917b2ae0df",
];
/// How the fingerprint of an earlier one of them begins.
const EARLIER_SAMPLE: &str = "63727a17";

/// Signatures with MD5 and SHA-1, which Go refuses.
const BROKEN_SIGNATURES: [&str; 3] = ["1.2.840.113549.1.1.4", "1.2.840.113549.1.1.5", "1.2.840.10045.4.1"];

/// Longer chains are a mistake: a loop of certificates that sign each other.
const LONGEST_CHAIN: usize = 8;

/// What is wrong with a root, and with its key where it is given.
pub(super) fn root(certificate: File<'_>, key: Option<File<'_>>, terms: Terms) -> Vec<String> {
    let mut findings = Vec::new();
    let blocks = certificates(certificate, &mut findings);
    if blocks.len() > 1 {
        findings.push(format!("`{}` holds {} certificates: a root is one", certificate.path, blocks.len()));
    }
    let parsed = blocks.first().and_then(|der| parse(der));
    if let Some(key) = key {
        findings.extend(key_of(key, certificate, parsed.as_ref(), false));
    }
    let Some(parsed) = parsed else { return findings };
    authority(certificate.path, &parsed, terms, &mut findings);
    if parsed.subject().as_raw() != parsed.issuer().as_raw() {
        findings.push(format!("`{}` is no root: `{}` signed it", certificate.path, parsed.issuer()));
    } else if weak_key(&parsed).is_none() && parsed.verify_signature(None).is_err() {
        findings.push(format!("`{}` is damaged: its own key did not sign it", certificate.path));
    }
    if path_length(&parsed) == Some(0) {
        findings.push(format!("`{}` may sign no intermediates: its path length is 0", certificate.path));
    }
    findings
}

/// What is wrong with an intermediate, its key, its chain and the root that it shall lead to.
pub(super) fn intermediate(
    certificate: File<'_>,
    key: File<'_>,
    chain: File<'_>,
    root: File<'_>,
    terms: Terms,
) -> Vec<String> {
    let mut findings = Vec::new();
    let own = certificates(certificate, &mut findings);
    let links = certificates(chain, &mut findings);
    let roots = certificates(root, &mut findings);
    if own.len() > 1 {
        findings.push(format!(
            "`{}` holds {} certificates: it is the intermediate alone, and what follows belongs into `{}`",
            certificate.path,
            own.len(),
            chain.path
        ));
    }
    let parsed = own.first().and_then(|der| parse(der));
    findings.extend(key_of(key, certificate, parsed.as_ref(), true));
    let Some(parsed) = parsed else { return findings };
    authority(certificate.path, &parsed, terms, &mut findings);
    if roots.is_empty() {
        return findings;
    }
    if roots.first().is_some_and(|root| own.first() == Some(root)) {
        findings.push(format!("`{}` is the root itself: every cluster needs an intermediate", certificate.path));
        return findings;
    }
    if !links.is_empty() && links.first() != own.first() {
        findings.push(format!(
            "`{}` does not begin with the certificate in `{}`: proxies could not verify each other",
            chain.path, certificate.path
        ));
    }
    findings.extend(leads_to_root(certificate, &parsed, (chain, &links), (root, &roots), terms));
    findings
}

/// The one certificate in a text, in DER.
pub(super) fn only_certificate(pem: &str) -> Result<Vec<u8>, String> {
    let mut findings = Vec::new();
    let mut blocks = certificates(File { path: "given", text: pem }, &mut findings);
    match (blocks.pop(), blocks.is_empty(), findings.pop()) {
        (Some(der), true, None) => Ok(der),
        (_, _, Some(finding)) => Err(finding),
        (Some(_) | None, _, None) => Err("is not one certificate".to_owned()),
    }
}

/// A certificate, parsed.
pub(super) fn parse(der: &[u8]) -> Option<X509Certificate<'_>> {
    X509Certificate::from_der(der).ok().map(|(_, parsed)| parsed)
}

/// The certificates in a file, in DER.
fn certificates(file: File<'_>, findings: &mut Vec<String>) -> Vec<Vec<u8>> {
    let (mut found, before) = (Vec::new(), findings.len());
    for block in Pem::iter_from_buffer(file.text.as_bytes()) {
        match block {
            Ok(block) if block.label == "CERTIFICATE" && parse(&block.contents).is_some() => found.push(block.contents),
            Ok(mut block) => {
                findings.push(format!("`{}` holds a block `{}` that is no certificate", file.path, block.label));
                block.contents.zeroize();
            }
            Err(_) => findings.push(format!("`{}` holds a damaged PEM block", file.path)),
        }
    }
    if found.is_empty() && findings.len() == before {
        findings
            .push(format!("`{}` holds no certificate: it has to be PEM (`-----BEGIN CERTIFICATE-----`)", file.path));
    }
    found
}

/// What is demanded of every authority.
fn authority(path: &str, certificate: &X509Certificate<'_>, terms: Terms, findings: &mut Vec<String>) {
    let mut find = |what: String| findings.push(format!("`{path}` {what}"));
    let constraints = certificate.basic_constraints();
    if constraints.is_err() || !constraints.ok().flatten().is_some_and(|constraints| constraints.value.ca) {
        find("is not an authority: it lacks the basic constraint CA:TRUE".to_owned());
    }
    // Without the extension every use is allowed.
    if let Ok(Some(usage)) = certificate.key_usage()
        && !usage.value.key_cert_sign()
    {
        find("may not sign certificates: its key usage lacks keyCertSign".to_owned());
    }
    if let Ok(Some(usage)) = certificate.extended_key_usage()
        && !(usage.value.server_auth || usage.value.any)
    {
        find("has an extended key usage without serverAuth: istiod refuses it; leave the extension out".to_owned());
    }
    let algorithm = &certificate.signature_algorithm.algorithm;
    if BROKEN_SIGNATURES.contains(&algorithm.to_id_string().as_str()) {
        find("is signed with SHA-1 or MD5, which istiod refuses: sign it with SHA-256".to_owned());
    }
    if let Some(bits) = weak_key(certificate) {
        find(format!("has an RSA key of {bits} bits: 2048 are the least"));
    }
    if SAMPLE_KEYS.contains(&fingerprint(certificate.public_key().raw).as_str())
        || fingerprint(certificate.as_raw()).starts_with(EARLIER_SAMPLE)
    {
        find("is one of Istio's samples, whose private keys are public: make your own".to_owned());
    }
    lifetime(certificate, terms, &mut find);
}

/// The length in bits of an RSA key that is too short. Nothing can be verified with it here.
fn weak_key(certificate: &X509Certificate<'_>) -> Option<usize> {
    match certificate.public_key().parsed() {
        Ok(PublicKey::RSA(key)) if key.key_size() < 2048 => Some(key.key_size()),
        Ok(_) | Err(_) => None,
    }
}

fn lifetime(certificate: &X509Certificate<'_>, terms: Terms, find: &mut dyn FnMut(String)) {
    let (from, until) = match validity(certificate) {
        Ok(validity) => validity,
        Err(why) => return find(format!("has no usable dates: {why}")),
    };
    let needed = i64::try_from(terms.min_validity_seconds).map_or(SignedDuration::MAX, SignedDuration::from_secs);
    let long_enough = terms.now.checked_add(needed).unwrap_or(Timestamp::MAX);
    if from > terms.now {
        find(format!("is not valid before {from}"));
    }
    if until <= terms.now {
        find(format!("expired on {until}"));
    } else if until < long_enough {
        find(format!(
            "expires on {until}, in less than the {} days of `min_validity`",
            terms.min_validity_seconds / 86_400
        ));
    }
}

/// What is wrong with a key, or between it and its certificate. The key itself is in no finding.
fn key_of(file: File<'_>, of: File<'_>, certificate: Option<&X509Certificate<'_>>, for_istiod: bool) -> Vec<String> {
    let finding = |what: &str| vec![format!("`{}` {what}", file.path)];
    let mut before = None;
    for block in Pem::iter_from_buffer(file.text.as_bytes()) {
        let Ok(mut block) = block else { return finding("holds a damaged PEM block") };
        if block.label == "ENCRYPTED PRIVATE KEY" || file.text.contains("Proc-Type: 4,ENCRYPTED") {
            return finding("has a passphrase: decrypt it with `openssl pkey`, into a file of mode 0600");
        }
        if !block.label.ends_with("PRIVATE KEY") {
            before = before.or(Some(block.label));
            continue;
        }
        let pair = KeyPair::try_from(block.contents.as_slice());
        block.contents.zeroize();
        let Ok(pair) = pair else {
            if certificate.and_then(weak_key).is_some() {
                return Vec::new();
            }
            return finding("is no key that istiod reads: ECDSA or RSA, as PKCS #8, SEC 1 or PKCS #1");
        };
        let mut findings = Vec::new();
        if certificate.is_some_and(|of| pair.public_key_raw() != of.public_key().subject_public_key.data.as_ref()) {
            findings.push(format!("`{}` is not the key of `{}`", file.path, of.path));
        }
        if let Some(label) = before.filter(|_| for_istiod) {
            findings.push(format!("`{}` begins with `{label}`, which istiod does not skip: remove it", file.path));
        }
        return findings;
    }
    finding("holds no private key: it has to be PEM (`-----BEGIN PRIVATE KEY-----`)")
}

/// Follows the issuers up to the root, as istiod does: through the chain's file, to the root's.
fn leads_to_root(
    certificate: File<'_>,
    own: &X509Certificate<'_>,
    chain: (File<'_>, &[Vec<u8>]),
    root: (File<'_>, &[Vec<u8>]),
    terms: Terms,
) -> Vec<String> {
    let ((chain, links), (root, roots)) = (chain, root);
    let mut findings = Vec::new();
    let mut current = own.clone();
    for depth in 1..LONGEST_CHAIN {
        if current.subject().as_raw() == current.issuer().as_raw() {
            findings.push(format!(
                "`{}` leads to `{}`, which is not the root in `{}`",
                certificate.path,
                current.subject(),
                root.path
            ));
            return findings;
        }
        let issuer = |pool: &'_ [Vec<u8>]| -> Option<usize> {
            pool.iter().position(|der| {
                parse(der).is_some_and(|issuer| {
                    issuer.subject().as_raw() == current.issuer().as_raw()
                        && current.verify_signature(Some(issuer.public_key())).is_ok()
                })
            })
        };
        let (pool, n, is_root) = match (issuer(roots), issuer(links)) {
            (Some(n), _) => (roots, n, true),
            (None, Some(n)) => (links, n, false),
            (None, None) => {
                findings.push(format!(
                    "`{}` does not lead to the root in `{}`: `{}` signed `{}`, and is neither there nor in `{}`",
                    certificate.path,
                    root.path,
                    current.issuer(),
                    current.subject(),
                    chain.path
                ));
                return findings;
            }
        };
        let Some(issuer) = pool.get(n).and_then(|der| parse(der)) else { return findings };
        let whose = format!("{}: {}", if is_root { root.path } else { chain.path }, issuer.subject());
        if path_length(&issuer).is_some_and(|length| (length as usize) < depth) {
            findings.push(format!(
                "`{whose}` allows fewer authorities below it than there are: its path length is too small"
            ));
        }
        authority(&whose, &issuer, Terms { min_validity_seconds: 0, ..terms }, &mut findings);
        if is_root {
            return findings;
        }
        current = issuer;
    }
    findings.push(format!("`{}` holds certificates that sign each other in a circle", chain.path));
    findings
}

fn path_length(certificate: &X509Certificate<'_>) -> Option<u32> {
    certificate.basic_constraints().ok().flatten()?.value.path_len_constraint
}
