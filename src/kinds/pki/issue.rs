//! Making keys and certificates, as istiod and its proxies take them (DOMAIN 2.5).

use aws_lc_rs::rand;
use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, DnValue, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, RsaKeySize, SanType, SerialNumber,
};
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::{KeyKind, PrivateKey};

/// The name by which proxies know istiod, in an intermediate's certificate.
const ISTIOD: &str = "istiod.istio-system.svc";

/// The attribute `serialNumber` of a name: tells a root's subject from that of the next root.
const SERIAL_NUMBER: &[u64] = &[2, 5, 4, 5];

/// A certificate counts from a little before it was made: the clocks of nodes are not all alike.
const BACKDATED: SignedDuration = SignedDuration::from_mins(5);

/// A new certificate and its key.
pub(super) struct Made {
    pub(super) certificate: String,
    pub(super) key: PrivateKey,
    /// 32 hexadecimal digits.
    pub(super) serial: String,
    /// SHA-256 of the certificate, 64 hexadecimal digits.
    pub(super) fingerprint: String,
    pub(super) not_after: Timestamp,
}

/// A self-signed root.
pub(super) fn root(
    organization: &str,
    common_name: &str,
    kind: KeyKind,
    ttl_seconds: u64,
    now: Timestamp,
) -> Result<Made, String> {
    let serial = serial()?;
    let now = whole_seconds(now);
    let mut params = authority(&serial, now.saturating_sub(BACKDATED).unwrap_or(now), after(now, ttl_seconds)?)?;
    params.distinguished_name.push(DnType::OrganizationName, organization);
    params.distinguished_name.push(DnType::CommonName, common_name);
    let short = data_encoding::HEXLOWER.encode(&serial[..8]);
    let printable = short.as_str().try_into().map_err(|error: rcgen::Error| error.to_string())?;
    params.distinguished_name.push(DnType::from_oid(SERIAL_NUMBER), DnValue::PrintableString(printable));
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let key = key_pair(kind)?;
    let certificate = params.self_signed(&key).map_err(|error| error.to_string())?;
    made(&certificate, &key, &serial)
}

/// An intermediate of one cluster, which never outlives its root.
pub(super) fn intermediate(
    organization: &str,
    cluster: &str,
    kind: KeyKind,
    ttl_seconds: u64,
    issuer: (&str, &PrivateKey),
    now: Timestamp,
) -> Result<Made, String> {
    let (issuer_pem, issuer_key) = issuer;
    let issuer_der = super::check::only_certificate(issuer_pem).map_err(|why| format!("the root {why}"))?;
    let (_, parsed) =
        X509Certificate::from_der(&issuer_der).map_err(|error| format!("the root is damaged: {error}"))?;
    let (from, until) = validity(&parsed)?;
    let now = whole_seconds(now);
    if until <= now {
        return Err(format!("the root expired on {until}: nothing can be issued by it; change the root"));
    }
    if from > now {
        return Err(format!("the root is not valid before {from}: is the clock right?"));
    }
    let serial = serial()?;
    let not_before = now.saturating_sub(BACKDATED).unwrap_or(now).max(from);
    let mut params = authority(&serial, not_before, after(now, ttl_seconds)?.min(until))?;
    params.distinguished_name.push(DnType::OrganizationName, organization);
    params.distinguished_name.push(DnType::CommonName, "Istio Intermediate CA");
    params.distinguished_name.push(DnType::LocalityName, cluster);
    params.subject_alt_names =
        vec![SanType::DnsName(ISTIOD.try_into().map_err(|error: rcgen::Error| error.to_string())?)];
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params.use_authority_key_identifier_extension = true;
    let root_key = KeyPair::from_pem(issuer_key.expose())
        .map_err(|_| "the root's key cannot be read: it has to be an unencrypted PEM of ECDSA or RSA".to_owned())?;
    let issuer =
        Issuer::from_ca_cert_pem(issuer_pem, root_key).map_err(|error| format!("the root cannot issue: {error}"))?;
    let key = key_pair(kind)?;
    let certificate = params.signed_by(&key, &issuer).map_err(|error| error.to_string())?;
    // A root of somebody else's may have a name that cannot be written again as it stands, or a key that is not its own.
    let (_, issued) =
        X509Certificate::from_der(certificate.der()).map_err(|error| format!("what was issued is damaged: {error}"))?;
    if issued.issuer().as_raw() != parsed.subject().as_raw() {
        return Err(
            "the root's subject repeats a part, which cannot be issued by here: give ready intermediates".to_owned()
        );
    }
    if issued.verify_signature(Some(parsed.public_key())).is_err() {
        return Err("the root's key does not belong to its certificate".to_owned());
    }
    made(&certificate, &key, &serial)
}

/// What is common to both: serial, life and no purpose beyond being an authority.
fn authority(serial: &[u8], not_before: Timestamp, not_after: Timestamp) -> Result<CertificateParams, String> {
    let mut params = CertificateParams::default();
    params.serial_number = Some(SerialNumber::from_slice(serial));
    params.not_before = date(not_before)?;
    params.not_after = date(not_after)?;
    params.distinguished_name = DistinguishedName::new();
    Ok(params)
}

/// 128 random bits: two authorities with one serial number confuse proxies (istio/istio#39987).
fn serial() -> Result<[u8; 16], String> {
    let mut bytes = [0; 16];
    rand::fill(&mut bytes).map_err(|_| "the operating system gives no random numbers".to_owned())?;
    Ok(bytes)
}

fn key_pair(kind: KeyKind) -> Result<KeyPair, String> {
    match kind {
        KeyKind::EcdsaP256 => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256),
        KeyKind::Rsa2048 => KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048),
        KeyKind::Rsa4096 => KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_4096),
    }
    .map_err(|error| format!("no key could be made: {error}"))
}

fn made(certificate: &rcgen::Certificate, key: &KeyPair, serial: &[u8]) -> Result<Made, String> {
    let (_, parsed) =
        X509Certificate::from_der(certificate.der()).map_err(|error| format!("what was made is damaged: {error}"))?;
    let (_, not_after) = validity(&parsed)?;
    Ok(Made {
        certificate: terminated(certificate.pem()),
        key: PrivateKey::new(terminated(key.serialize_pem())),
        serial: data_encoding::HEXLOWER.encode(serial),
        fingerprint: fingerprint(certificate.der()),
        not_after,
    })
}

/// SHA-256 of a certificate's DER.
pub(super) fn fingerprint(der: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(der))
}

/// From when and until when a certificate is valid.
pub(super) fn validity(certificate: &X509Certificate<'_>) -> Result<(Timestamp, Timestamp), String> {
    let instant = |time: &x509_parser::time::ASN1Time| {
        Timestamp::from_second(time.timestamp()).map_err(|_| format!("{time} is no date"))
    };
    let validity = certificate.validity();
    Ok((instant(&validity.not_before)?, instant(&validity.not_after)?))
}

/// When a certificate that was made at `now` is to be renewed: at two thirds of its life, and never where the next
/// would live no longer.
pub(super) fn renew_after(made: Timestamp, not_after: Timestamp, root_not_after: Timestamp) -> Option<Timestamp> {
    if not_after >= root_not_after {
        return None;
    }
    let life = not_after.as_second() - made.as_second();
    Timestamp::from_second(made.as_second() + life / 3 * 2).ok()
}

/// A PEM block that another can follow.
pub(super) fn terminated(mut pem: String) -> String {
    if !pem.ends_with('\n') {
        pem.push('\n');
    }
    pem
}

fn after(now: Timestamp, seconds: u64) -> Result<Timestamp, String> {
    i64::try_from(seconds)
        .ok()
        .and_then(|seconds| now.checked_add(SignedDuration::from_secs(seconds)).ok())
        .ok_or_else(|| format!("{seconds} s from now is no date"))
}

fn whole_seconds(now: Timestamp) -> Timestamp {
    Timestamp::from_second(now.as_second()).unwrap_or(now)
}

fn date(instant: Timestamp) -> Result<OffsetDateTime, String> {
    OffsetDateTime::from_unix_timestamp(instant.as_second()).map_err(|error| error.to_string())
}
