//! What a cluster trusts: the certificates of `cacerts`, and the roots that its workloads are given.

use std::collections::BTreeMap;

use serde_json::Value as Json;
use sha2::{Digest as _, Sha256};
use x509_parser::certificate::X509Certificate;
use x509_parser::pem::Pem;

use super::secrets::decoded;
use super::{Looker, text};
use crate::kinds::kubernetes::Kube;
use crate::verify::facts::{Bundle, Seen, Trust};

const SYSTEM: &str = "/api/v1/namespaces/istio-system";

/// A certificate: its SHA-256, and its subject with its serial number.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Certificate {
    fingerprint: String,
    name: String,
}

impl Looker<'_> {
    /// What is trusted here. The private key beside the certificates is not looked at.
    pub(super) async fn trust(self, kube: &Kube) -> Seen<Trust> {
        let secret = self.object(kube, &format!("{SYSTEM}/secrets/cacerts")).await?;
        let mut published = BTreeMap::new();
        let namespaces = [Some("istio-system"), self.mesh.sample.map(|_| super::sample::NAMESPACE)];
        for namespace in namespaces.into_iter().flatten() {
            let path = format!("/api/v1/namespaces/{namespace}/configmaps/istio-ca-root-cert");
            if let Some(map) = self.object(kube, &path).await? {
                let roots = certificates(text(&map, "/data/root-cert.pem").as_bytes()).unwrap_or_default();
                published.insert(namespace.to_owned(), roots.into_iter().map(|root| root.fingerprint).collect());
            }
        }
        let config = self.object(kube, &format!("{SYSTEM}/configmaps/istio")).await?;
        let domain = config.and_then(|config| {
            let mesh: Json = serde_saphyr::from_str(text(&config, "/data/mesh")).ok()?;
            Some(mesh.get("trustDomain")?.as_str()?.to_owned())
        });
        Ok(Trust { declared: secret.map(|secret| bundle(&secret)), published, domain })
    }
}

/// The certificates of the Secret, in either of the two forms that istiod takes.
fn bundle(secret: &Json) -> Result<Bundle, String> {
    let field = |names: [&str; 2]| {
        let data = secret.get("data");
        let found = names.iter().find_map(|name| decoded(data?.get(*name)?));
        found.ok_or_else(|| format!("it lacks `{}`", names[0]))
    };
    let roots = certificates(&field(["root-cert.pem", "ca.crt"])?)?;
    let signer = certificates(&field(["ca-cert.pem", "tls.crt"])?)?.into_iter().next();
    field(["ca-key.pem", "tls.key"])?;
    let signer = signer.ok_or("`ca-cert.pem` holds no certificate")?;
    if roots.is_empty() {
        return Err("`root-cert.pem` holds no certificate".to_owned());
    }
    Ok(Bundle {
        root_names: roots.iter().map(|root| root.name.clone()).collect(),
        roots: roots.into_iter().map(|root| root.fingerprint).collect(),
        signer: signer.fingerprint,
        signer_name: signer.name,
    })
}

/// The certificates of a PEM text.
fn certificates(text: &[u8]) -> Result<Vec<Certificate>, String> {
    let mut all = Vec::new();
    for block in Pem::iter_from_buffer(text) {
        let block = block.map_err(|error| format!("it is not PEM: {error}"))?;
        let certificate: X509Certificate<'_> =
            block.parse_x509().map_err(|error| format!("it holds what is no certificate: {error}"))?;
        all.push(Certificate {
            fingerprint: data_encoding::HEXLOWER.encode(&Sha256::digest(&block.contents)),
            name: format!("{} {}", certificate.subject(), certificate.raw_serial_as_string()),
        });
    }
    Ok(all)
}
