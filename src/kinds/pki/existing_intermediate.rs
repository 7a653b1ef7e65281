//! `pki.existing_intermediate`: a cluster's authority that others made, in files. Read and checked whenever a plan is
//! made; its key is read again when it is put into the cluster, and stored nowhere.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::diff::FieldRule;
use crate::model::{Document, Value};
use crate::resource::{
    Api, Created, Deletion, Expected, KindRules, Live, OutputClass, OutputRule, Ownership, Possession, ProviderError,
    RemoteId, ResourceKind, Status, Updated, Validity, WaitPolicy,
};

use super::check::{self, File, Terms};
use super::client::Pki;
use super::dates::Dates;
use super::given::{dated, id_of, spec_of, status};
use super::{PrivateKey, issue};

/// The kind `pki.existing_intermediate`.
#[derive(Debug, Clone, Copy)]
pub struct ExistingIntermediate;

/// What is declared of an existing intermediate: where it is, and what has to hold of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The file of its certificate (PEM).
    pub certificate: String,
    /// The file of its private key (PEM).
    pub key: String,
    /// The file of its chain: the certificate first, then what leads to the root (PEM).
    pub chain: String,
    /// The file of the root's certificate, the same for every cluster (PEM).
    pub root: String,
    /// How long the certificate must be valid yet, in seconds.
    pub min_validity_seconds: u64,
}

/// What an existing intermediate yields: what Istio's secret `cacerts` holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outputs {
    /// The certificate, in PEM: `ca-cert.pem`.
    pub certificate: String,
    /// The chain, in PEM: `cert-chain.pem`.
    pub chain: String,
    /// The root's certificate, in PEM: `root-cert.pem`.
    pub root: String,
    /// Its private key, in PEM: `ca-key.pem`.
    pub key: PrivateKey,
    /// SHA-256 of the certificate, 64 hexadecimal digits.
    pub fingerprint: String,
    /// Until when it is valid.
    pub not_after: Timestamp,
}

impl KindRules for ExistingIntermediate {
    fn name(&self) -> &'static str {
        "pki.existing_intermediate"
    }

    fn fields(&self) -> &'static [FieldRule] {
        &[]
    }

    fn outputs(&self) -> &'static [OutputRule] {
        const {
            &[
                OutputRule { name: "certificate", class: OutputClass::Plain, changes_with: &["certificate"] },
                OutputRule { name: "chain", class: OutputClass::Plain, changes_with: &["chain"] },
                OutputRule { name: "root", class: OutputClass::Plain, changes_with: &["root"] },
                OutputRule { name: "key", class: OutputClass::Ephemeral, changes_with: &["key"] },
                OutputRule { name: "fingerprint", class: OutputClass::Plain, changes_with: &["certificate"] },
                OutputRule { name: "not_after", class: OutputClass::Plain, changes_with: &["certificate"] },
            ]
        }
    }

    fn expected(&self) -> Expected {
        Expected { create: 0.1, update: 0.1, delete: 0.0 }
    }

    fn api(&self) -> Api {
        Api::Local
    }

    fn wait(&self) -> WaitPolicy {
        WaitPolicy::new(0, 1_000, 60)
    }

    fn possession(&self) -> Possession {
        Possession::Observed
    }

    fn known_id(&self, spec: &Value) -> Option<RemoteId> {
        id_of(&serde_json::from_value::<Spec>(serde_json::to_value(spec).ok()?).ok()?).ok()
    }

    fn validity(&self, outputs: &Document) -> Option<Validity> {
        Dates::of(outputs)
    }
}

impl ResourceKind for ExistingIntermediate {
    type Spec = Spec;
    type Outputs = Outputs;
    type Client = Pki;

    fn example() -> Spec {
        Spec {
            certificate: "certs/cluster-1/ca-cert.pem".to_owned(),
            key: "certs/cluster-1/ca-key.pem".to_owned(),
            chain: "certs/cluster-1/cert-chain.pem".to_owned(),
            root: "certs/root-cert.pem".to_owned(),
            min_validity_seconds: 7_776_000,
        }
    }

    async fn read_many(
        &self,
        client: &Pki,
        ids: &[RemoteId],
    ) -> Result<Vec<Option<Live<Spec, Outputs>>>, ProviderError> {
        let mut lives = Vec::with_capacity(ids.len());
        for id in ids {
            lives.push(look(spec_of(self.name(), id)?, client.now()));
        }
        tell_apart(&mut lives);
        Ok(lives.into_iter().map(Some).collect())
    }

    /// Makes nothing: the id is known, and the read tells what is there.
    async fn create(&self, _: &Pki, spec: &Spec, _: &Ownership) -> Result<Created<Spec, Outputs>, ProviderError> {
        Ok(Created { id: id_of(spec)?, live: None })
    }

    async fn find(&self, _: &Pki, spec: &Spec, _: &Ownership) -> Result<Option<RemoteId>, ProviderError> {
        id_of(spec).map(Some)
    }

    /// Changes nothing: the files are their owner's.
    async fn update(&self, _: &Pki, _: &RemoteId, _: &Spec, _: &Spec) -> Result<Updated, ProviderError> {
        Ok(Updated::Done)
    }

    /// Deletes nothing.
    async fn delete(&self, _: &Pki, _: &RemoteId) -> Result<Deletion, ProviderError> {
        Ok(Deletion::Accepted)
    }
}

fn look(spec: Spec, now: Timestamp) -> Live<Spec, Outputs> {
    let mut findings = Vec::new();
    let mut read = |path: &str| Pki::read(path).map_err(|why| findings.push(why)).ok();
    let (certificate, key, chain, root) =
        (read(&spec.certificate), read(&spec.key).map(PrivateKey::new), read(&spec.chain), read(&spec.root));
    if let (Some(certificate), Some(key), Some(chain), Some(root)) = (&certificate, &key, &chain, &root) {
        findings.extend(check::intermediate(
            File { path: &spec.certificate, text: certificate },
            File { path: &spec.key, text: key.expose() },
            File { path: &spec.chain, text: chain },
            File { path: &spec.root, text: root },
            Terms { now, min_validity_seconds: spec.min_validity_seconds },
        ));
    }
    let text = |text: Option<String>| issue::terminated(text.unwrap_or_default());
    let certificate = text(certificate);
    let (fingerprint, not_after) = dated(&certificate);
    let outputs = Outputs {
        certificate,
        chain: text(chain),
        root: text(root),
        key: key.unwrap_or_else(|| PrivateKey::new(String::new())),
        fingerprint,
        not_after,
    };
    Live { spec, outputs, status: status(&findings) }
}

/// Two authorities with one subject or one serial number confuse proxies (istio/istio#39987): each cluster has its own.
fn tell_apart(lives: &mut [Live<Spec, Outputs>]) {
    let mut seen: BTreeMap<Vec<u8>, String> = BTreeMap::new();
    for live in lives {
        let Ok(der) = check::only_certificate(&live.outputs.certificate) else { continue };
        let Some(parsed) = check::parse(&der) else { continue };
        let mut findings = Vec::new();
        for (what, mark) in [("subject", parsed.subject().as_raw()), ("serial number", parsed.raw_serial())] {
            let path = &live.spec.certificate;
            match seen.get(mark) {
                Some(other) => {
                    findings.push(format!("`{path}` has the {what} of `{other}`: each cluster needs its own"));
                }
                None => {
                    seen.insert(mark.to_owned(), path.clone());
                }
            }
        }
        if let Status::Failed(why) = &live.status {
            findings.insert(0, why.clone());
        }
        live.status = status(&findings);
    }
}
