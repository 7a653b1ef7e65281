//! What is made, as x509-parser and Go's rules see it, and what is refused of what others made.

use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256,
};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::{GeneralName, ParsedExtension};

use super::check::{self, File, Terms};
use super::issue::{self, Made};
use super::{KeyKind, PrivateKey};

const YEAR: u64 = 365 * 86_400;

fn now() -> Timestamp {
    "2026-11-23T20:15:00.5Z".parse().unwrap()
}

fn root() -> Made {
    issue::root("mesh1", "mesh1 Root CA", KeyKind::EcdsaP256, 10 * YEAR, now()).unwrap()
}

fn intermediate_at(root: &Made, cluster: &str, ttl: u64, now: Timestamp) -> Result<Made, String> {
    issue::intermediate("mesh1", cluster, KeyKind::EcdsaP256, ttl, (&root.certificate, &root.key), now)
}

fn intermediate(root: &Made, cluster: &str) -> Made {
    intermediate_at(root, cluster, 2 * YEAR, now()).unwrap()
}

fn parsed<T>(pem: &str, look: impl FnOnce(&X509Certificate<'_>) -> T) -> T {
    let der = check::only_certificate(pem).unwrap();
    look(&check::parse(&der).unwrap())
}

fn not_before(made: &Made) -> Timestamp {
    parsed(&made.certificate, |certificate| issue::validity(certificate).unwrap().0)
}

fn key_ids(certificate: &X509Certificate<'_>) -> (Option<Vec<u8>>, Option<Vec<u8>>) {
    let (mut subject, mut authority) = (None, None);
    for extension in certificate.extensions() {
        if let ParsedExtension::SubjectKeyIdentifier(id) = extension.parsed_extension() {
            subject = Some(id.0.to_vec());
        }
        if let ParsedExtension::AuthorityKeyIdentifier(id) = extension.parsed_extension() {
            authority = id.key_identifier.as_ref().map(|id| id.0.to_vec());
        }
    }
    (subject, authority)
}

#[test]
fn a_root_is_what_istiod_takes() {
    let made = root();
    let root_id = parsed(&made.certificate, |root| {
        let subject = root.subject().to_string();
        assert!(subject.starts_with("O=mesh1, CN=mesh1 Root CA, "), "{subject}");
        let constraints = root.basic_constraints().unwrap().unwrap();
        assert!(constraints.critical && constraints.value.ca && constraints.value.path_len_constraint.is_none());
        let usage = root.key_usage().unwrap().unwrap();
        assert!(usage.critical && usage.value.key_cert_sign() && usage.value.crl_sign());
        assert!(root.extended_key_usage().unwrap().is_none() && root.subject_alternative_name().unwrap().is_none());
        assert!(root.verify_signature(None).is_ok());
        assert_eq!(root.signature_algorithm.algorithm.to_id_string(), "1.2.840.10045.4.3.2", "ECDSA with SHA-256");
        key_ids(root).0
    });
    assert!(root_id.is_some());
    assert_eq!(made.not_after, "2036-11-20T20:15:00Z".parse().unwrap());
    assert_eq!(not_before(&made), "2026-11-23T20:10:00Z".parse().unwrap());
    assert!(made.key.expose().starts_with("-----BEGIN PRIVATE KEY-----\n"));
    assert_eq!(format!("{:?}", made.key), "(sensitive)");
    assert_ne!(
        parsed(&made.certificate, |a| a.subject().to_string()),
        parsed(&root().certificate, |b| b.subject().to_string())
    );
}

#[test]
fn an_intermediate_is_what_istiod_takes() {
    let root = root();
    let made = intermediate(&root, "cluster-1");
    let root_id = parsed(&root.certificate, |root| key_ids(root).0);
    parsed(&made.certificate, |ca| {
        assert_eq!(ca.subject().to_string(), "O=mesh1, CN=Istio Intermediate CA, L=cluster-1");
        let constraints = ca.basic_constraints().unwrap().unwrap();
        assert!(constraints.critical && constraints.value.ca);
        assert_eq!(constraints.value.path_len_constraint, Some(0));
        let usage = ca.key_usage().unwrap().unwrap();
        assert!(usage.critical && usage.value.key_cert_sign() && usage.value.crl_sign());
        assert!(usage.value.digital_signature());
        assert!(ca.extended_key_usage().unwrap().is_none());
        let names = &ca.subject_alternative_name().unwrap().unwrap().value.general_names;
        assert_eq!(names, &[GeneralName::DNSName("istiod.istio-system.svc")]);
        let (own, issuer) = key_ids(ca);
        assert!(own.is_some() && own != issuer);
        assert_eq!(issuer, root_id);
        // As Go's `X509KeyPair`: the key is of the certificate.
        let pair = KeyPair::from_pem(made.key.expose()).unwrap();
        assert_eq!(pair.public_key_raw(), ca.public_key().subject_public_key.data.as_ref());
    });
}

#[test]
fn every_kind_of_key_signs_and_is_signed() {
    for kind in [KeyKind::EcdsaP256, KeyKind::Rsa2048] {
        let root = issue::root("m", "m Root CA", kind, 10 * YEAR, now()).unwrap();
        let other = if kind == KeyKind::EcdsaP256 { KeyKind::Rsa2048 } else { KeyKind::EcdsaP256 };
        for kind in [kind, other] {
            let issuer = (root.certificate.as_str(), &root.key);
            let made = issue::intermediate("m", "c", kind, YEAR, issuer, now()).unwrap();
            assert_eq!(findings(&root, &made), Vec::<String>::new(), "{kind:?}");
        }
    }
}

#[test]
fn serial_numbers_are_long_random_and_never_the_same() {
    let root = root();
    let serials: std::collections::BTreeSet<String> = (0..64).map(|_| intermediate(&root, "c").serial).collect();
    assert_eq!(serials.len(), 64);
    assert!(serials.iter().all(|serial| serial.len() == 32));
}

#[test]
fn a_root_that_ended_or_has_not_begun_issues_nothing() {
    let root = root();
    let late = now().checked_add(SignedDuration::from_hours(24 * 365 * 11)).unwrap();
    let error = intermediate_at(&root, "c", YEAR, late).err().unwrap();
    assert_eq!(error, "the root expired on 2036-11-20T20:15:00Z: nothing can be issued by it; change the root");
    let early = now().checked_sub(SignedDuration::from_hours(24)).unwrap();
    assert!(intermediate_at(&root, "c", YEAR, early).err().unwrap().contains("is the clock right?"));
}

#[test]
fn a_key_of_another_root_is_refused() {
    let (root, other) = (root(), root());
    let issuer = (root.certificate.as_str(), &other.key);
    let error = issue::intermediate("m", "c", KeyKind::EcdsaP256, YEAR, issuer, now()).err().unwrap();
    assert_eq!(error, "the root's key does not belong to its certificate");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_certificate_outlives_its_root_and_each_is_renewed_in_its_life(
        root_ttl in 3_600_u64..40 * YEAR,
        ttl in 60_u64..50 * YEAR,
        age in 0_u64..40 * YEAR,
    ) {
        let root = issue::root("m", "m Root CA", KeyKind::EcdsaP256, root_ttl, now()).unwrap();
        let at = now().checked_add(SignedDuration::from_secs(i64::try_from(age).unwrap())).unwrap();
        let Ok(made) = intermediate_at(&root, "c", ttl, at) else {
            prop_assert!(at >= root.not_after, "it was refused in its root's life");
            return Ok(());
        };
        prop_assert!(made.not_after <= root.not_after && not_before(&made) >= not_before(&root));
        prop_assert!(not_before(&made) <= at && at < made.not_after);
        let wanted = at.as_second().saturating_add(i64::try_from(ttl).unwrap());
        prop_assert_eq!(made.not_after.as_second(), wanted.min(root.not_after.as_second()));
        match issue::renew_after(at, made.not_after, root.not_after) {
            None => prop_assert_eq!(made.not_after, root.not_after),
            Some(renew) => {
                let (life, part) = (made.not_after.as_second() - at.as_second(), renew.as_second() - at.as_second());
                prop_assert!(renew < made.not_after && part * 3 <= life * 2 && (part + 3) * 3 > life * 2);
            }
        }
    }
}

// What others made.

fn terms() -> Terms {
    Terms { now: now(), min_validity_seconds: 90 * 86_400 }
}

fn findings(root: &Made, made: &Made) -> Vec<String> {
    let chain = format!("{}{}", made.certificate, root.certificate);
    findings_of(&made.certificate, made.key.expose(), &chain, &root.certificate)
}

fn findings_of(certificate: &str, key: &str, chain: &str, root: &str) -> Vec<String> {
    check::intermediate(
        File { path: "ca-cert.pem", text: certificate },
        File { path: "ca-key.pem", text: key },
        File { path: "cert-chain.pem", text: chain },
        File { path: "root-cert.pem", text: root },
        terms(),
    )
}

fn root_findings(root: &str, key: Option<&PrivateKey>) -> Vec<String> {
    let key = key.map(|key| File { path: "root-key.pem", text: key.expose() });
    check::root(File { path: "root-cert.pem", text: root }, key, terms())
}

#[test]
fn what_we_make_passes() {
    let root = root();
    assert_eq!(root_findings(&root.certificate, Some(&root.key)), Vec::<String>::new());
    assert_eq!(findings(&root, &intermediate(&root, "cluster-1")), Vec::<String>::new());
}

/// A certificate with something wrong, signed by `issuer` or by itself.
fn bad(issuer: Option<&Made>, spoil: impl FnOnce(&mut CertificateParams)) -> (String, PrivateKey) {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, "given");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = rcgen::date_time_ymd(2030, 1, 1);
    spoil(&mut params);
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let certificate = match issuer {
        None => params.self_signed(&key).unwrap(),
        Some(issuer) => {
            let pair = KeyPair::from_pem(issuer.key.expose()).unwrap();
            params.signed_by(&key, &Issuer::from_ca_cert_pem(&issuer.certificate, pair).unwrap()).unwrap()
        }
    };
    (certificate.pem(), PrivateKey::new(key.serialize_pem()))
}

/// A case of R27: its name and what is found.
fn section(report: &mut String, name: &str, findings: &[String]) {
    use std::fmt::Write as _;
    let _ = writeln!(report, "{name}");
    for finding in findings {
        let _ = writeln!(report, "  {finding}");
    }
    if findings.is_empty() {
        report.push_str("  (nothing)\n");
    }
}

#[test]
fn every_fault_of_a_given_file_is_named() {
    let root = root();
    let good = intermediate(&root, "cluster-1");
    let other = self::root();
    let chain = format!("{}{}", good.certificate, root.certificate);
    let mut report = String::new();
    let mut of = |name: &str, certificate: &str, key: &str, chain: &str, anchor: &str| {
        section(&mut report, name, &findings_of(certificate, key, chain, anchor));
    };
    let key = good.key.expose();
    of("nothing is PEM", "a", "b", "c", "d");
    of("the key is of another", &good.certificate, other.key.expose(), &chain, &root.certificate);
    of(
        "the key has a passphrase",
        &good.certificate,
        &key.replace("PRIVATE", "ENCRYPTED PRIVATE"),
        &chain,
        &root.certificate,
    );
    let led = format!("-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n{key}");
    of("the key comes second", &good.certificate, &led, &chain, &root.certificate);
    of("the root is another", &good.certificate, key, &chain, &other.certificate);
    of("the chain begins with the root", &good.certificate, key, &root.certificate, &root.certificate);
    of("the certificate is the root", &root.certificate, root.key.expose(), &root.certificate, &root.certificate);
    of("the certificate holds the chain", &chain, key, &chain, &root.certificate);
    of("the certificate holds the key", &format!("{}{key}", good.certificate), key, &chain, &root.certificate);

    let mut spoiled = |name: &str, spoil: &dyn Fn(&mut CertificateParams)| {
        let (certificate, key) = bad(Some(&root), spoil);
        let chain = format!("{certificate}{}", root.certificate);
        section(&mut report, name, &findings_of(&certificate, key.expose(), &chain, &root.certificate));
    };
    spoiled("all is well", &|_| {});
    spoiled("not an authority", &|params| params.is_ca = IsCa::ExplicitNoCa);
    spoiled("may not sign", &|params| params.key_usages = vec![KeyUsagePurpose::DigitalSignature]);
    spoiled("for clients only", &|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth]);
    spoiled("for servers", &|params| params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]);
    spoiled("expired", &|params| params.not_after = rcgen::date_time_ymd(2026, 6, 1));
    spoiled("expires soon", &|params| params.not_after = rcgen::date_time_ymd(2026, 12, 24));
    spoiled("not valid yet", &|params| params.not_before = rcgen::date_time_ymd(2027, 1, 1));
    spoiled("several faults at once", &|params| {
        params.is_ca = IsCa::NoCa;
        params.key_usages = vec![KeyUsagePurpose::CrlSign];
        params.not_after = rcgen::date_time_ymd(2026, 6, 1);
    });

    let mut spoiled_root = |name: &str, spoil: &dyn Fn(&mut CertificateParams)| {
        let (certificate, key) = bad(None, spoil);
        section(&mut report, name, &root_findings(&certificate, Some(&key)));
    };
    spoiled_root("root: all is well", &|_| {});
    spoiled_root("root: may sign no intermediates", &|params| {
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    });
    spoiled_root("root: expired", &|params| params.not_after = rcgen::date_time_ymd(2026, 6, 1));
    section(&mut report, "root: an intermediate", &root_findings(&good.certificate, Some(&good.key)));
    section(&mut report, "root: several", &root_findings(&format!("{}{}", root.certificate, other.certificate), None));
    section(&mut report, "root: the key is of another", &root_findings(&root.certificate, Some(&other.key)));
    // A root's subject has a part of its serial number, which is random.
    insta::with_settings!({ filters => vec![("serialNumber=[0-9a-f]{16}", "serialNumber=SERIAL")] }, {
        insta::assert_snapshot!(report);
    });
}

#[test]
fn a_path_length_that_is_too_small_is_found() {
    let (certificate, key) = bad(None, |params| params.is_ca = IsCa::Ca(BasicConstraints::Constrained(1)));
    let root = Made { certificate, key, ..self::root() };
    let (certificate, key) = bad(Some(&root), |params| params.distinguished_name.push(DnType::CommonName, "middle"));
    let middle = Made { certificate, key, ..self::root() };
    let (certificate, key) = bad(Some(&middle), |params| params.distinguished_name.push(DnType::CommonName, "low"));
    let chain = format!("{certificate}{}", middle.certificate);
    assert_eq!(
        findings_of(&certificate, key.expose(), &chain, &root.certificate),
        ["`root-cert.pem: CN=given` allows fewer authorities below it than there are: its path length is too small"]
    );
}

/// Istio's `samples/certs` as they are published: their private keys are in every release.
#[test]
fn istios_samples_are_refused() {
    let sample = include_str!("../../../tests/fixtures/trust/istio-sample-root.pem");
    let report = root_findings(sample, None).join("\n");
    assert_eq!(report, "`root-cert.pem` is one of Istio's samples, whose private keys are public: make your own");
}
