//! Where the API servers of clusters are, and by which certificates they are known.
//!
//! Entry points: [`find`] for the cluster that an endpoint is of, [`Authority`] for its certificates. These follow from what
//! the cluster is called by, so that a world needs to keep no key, and the same calls make the same world; they protect
//! nothing, as there is nothing to protect.

use std::sync::Arc;

use jiff::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PKCS_ED25519, SerialNumber,
};
use rustls::pki_types::PrivateKeyDer;
use sha2::{Digest as _, Sha256};

use super::runs;
use crate::sandbox::world::World;
use crate::sandbox::world::rows::Cluster;

/// The region and the name of the cluster that a host is of, whether it runs or not.
pub(crate) fn find(world: &World, host: &str) -> Option<(String, String)> {
    let unique = unique(host)?;
    world.regions().find_map(|region| {
        let cluster = region.clusters.iter().find(|cluster| cluster.unique == unique)?;
        Some((region.name.clone(), cluster.name().to_owned()))
    })
}

/// The only cluster that runs, for clients that do not say which one they mean.
pub(crate) fn only(world: &World, now: Timestamp) -> Option<(String, String)> {
    let mut running = world.regions().flat_map(|region| {
        let of_region = region.clusters.iter().filter(|cluster| runs(cluster, now));
        of_region.map(|cluster| (region.name.clone(), cluster.name().to_owned()))
    });
    running.next().filter(|_| running.next().is_none())
}

/// What a cluster is called by in the name of a host of EKS; `None` for another host.
fn unique(host: &str) -> Option<String> {
    let (unique, rest) = host.split_once('.')?;
    let is_hexadecimal = unique.len() == 32 && unique.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_eks = (rest.starts_with("gr7.") && rest.ends_with(".eks.amazonaws.com"))
        || (rest.starts_with("eks-cluster.") && rest.ends_with(".api.aws"));
    (is_hexadecimal && is_eks).then(|| unique.to_ascii_uppercase())
}

/// The host of an endpoint, without its port.
pub(crate) fn host(endpoint: &str) -> Option<&str> {
    let rest = endpoint.strip_prefix("https://")?;
    let host = rest.split('/').next().unwrap_or_default();
    Some(host.rsplit_once(':').map_or(host, |(host, _)| host))
}

/// Whether an endpoint is one of EKS's.
pub(crate) fn is_of_eks(endpoint: &str) -> bool {
    host(endpoint).and_then(unique).is_some()
}

/// The host of a cluster's endpoint.
pub(crate) fn host_of(cluster: &Cluster, region: &str) -> String {
    let unique = &cluster.unique;
    if cluster.ipv6 {
        format!("{unique}.eks-cluster.{region}.api.aws")
    } else {
        format!("{unique}.gr7.{region}.eks.amazonaws.com")
    }
}

/// The certificates of a cluster.
#[derive(Debug)]
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    unique: String,
}

/// A key that follows from what a cluster is called by.
fn key(unique: &str, what: &str) -> Option<KeyPair> {
    // The form of an Ed25519 key (RFC 8410): this, and 32 bytes that may be any.
    let mut der = vec![0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];
    der.extend(Sha256::digest(format!("{what} of {unique}").as_bytes()));
    let der = PrivateKeyDer::Pkcs8(der.into());
    KeyPair::from_der_and_sign_algo(&der, &PKCS_ED25519).ok()
}

fn parameters(unique: &str, what: &str, name: &str) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name.push(DnType::CommonName, name);
    // Simulated time is not the time of those who check certificates: from before the first to after the last of both.
    parameters.not_before = rcgen::date_time_ymd(2020, 1, 1);
    parameters.not_after = rcgen::date_time_ymd(2099, 1, 1);
    let serial: Vec<u8> =
        Sha256::digest(format!("serial of {what} of {unique}").as_bytes()).iter().take(8).copied().collect();
    parameters.serial_number = Some(SerialNumber::from_slice(&serial));
    parameters
}

impl Authority {
    /// The authority of the cluster that is called so.
    pub(crate) fn of(unique: &str) -> Option<Self> {
        let mut parameters = parameters(unique, "authority", "kubernetes");
        parameters.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        parameters.key_usages =
            vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyEncipherment, KeyUsagePurpose::KeyCertSign];
        let key = key(unique, "authority")?;
        let pem = parameters.self_signed(&key).ok()?.pem();
        Some(Self { issuer: Issuer::new(parameters, key), pem, unique: unique.to_owned() })
    }

    /// Its certificate as `DescribeCluster` has it: base64 of PEM.
    pub(crate) fn data(&self) -> String {
        data_encoding::BASE64.encode(self.pem.as_bytes())
    }

    /// What a server shows that is reached under a host's name, or on loopback.
    pub(crate) fn server(&self, host: &str) -> Option<Arc<rustls::sign::CertifiedKey>> {
        let mut parameters = parameters(&self.unique, "server", "kube-apiserver");
        let names = [host, "kubernetes", "kubernetes.default", "kubernetes.default.svc", "localhost"];
        for name in names {
            parameters.subject_alt_names.push(rcgen::SanType::DnsName(name.to_ascii_lowercase().try_into().ok()?));
        }
        for address in [std::net::IpAddr::from([127, 0, 0, 1]), std::net::Ipv6Addr::LOCALHOST.into()] {
            parameters.subject_alt_names.push(rcgen::SanType::IpAddress(address));
        }
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = key(&self.unique, "server")?;
        let certificate = parameters.signed_by(&key, &self.issuer).ok()?;
        let private = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let signing = rustls::crypto::aws_lc_rs::sign::any_supported_type(&private).ok()?;
        Some(Arc::new(rustls::sign::CertifiedKey::new(vec![certificate.der().clone()], signing)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clusters_are_known_by_their_endpoints() {
        let unique = "0123456789ABCDEF0123456789ABCDEF";
        for rest in ["gr7.us-west-2.eks.amazonaws.com", "eks-cluster.us-west-2.api.aws"] {
            assert!(is_of_eks(&format!("https://{unique}.{rest}")), "{rest}");
            assert!(is_of_eks(&format!("https://{}.{rest}:443", unique.to_ascii_lowercase())), "{rest}");
        }
        assert!(!is_of_eks("https://127.0.0.1:6443"));
        assert!(!is_of_eks("https://example.com"));
    }

    #[test]
    fn certificates_are_the_same_each_time_and_each_cluster_has_its_own() {
        let authority = |unique| Authority::of(unique).unwrap();
        assert_eq!(authority("A").data(), authority("A").data());
        assert_ne!(authority("A").data(), authority("B").data());
        assert!(authority("A").server("a.gr7.us-west-2.eks.amazonaws.com").is_some());
    }
}
