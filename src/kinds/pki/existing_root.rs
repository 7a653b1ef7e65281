//! `pki.existing_root`: a root of the operator's own, in files. Read and checked whenever a plan is made; its key, where
//! it is given, is read again when an intermediate is signed, and stored nowhere.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::diff::FieldRule;
use crate::model::{Document, Value};
use crate::resource::{
    Api, Created, Deletion, Expected, KindRules, Live, OutputClass, OutputRule, Ownership, Possession, ProviderError,
    RemoteId, ResourceKind, Updated, Validity, WaitPolicy,
};

use super::check::{self, File, Terms};
use super::client::Pki;
use super::dates::Dates;
use super::given::{dated, id_of, spec_of, status};
use super::{PrivateKey, issue};

/// The kind `pki.existing_root`.
#[derive(Debug, Clone, Copy)]
pub struct ExistingRoot;

/// What is declared of an existing root: where it is, and what has to hold of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The file of its certificate (PEM).
    pub certificate: String,
    /// The file of its private key (PEM); none where the intermediates are ready.
    pub key: Option<String>,
    /// How long the certificate must be valid yet, in seconds.
    pub min_validity_seconds: u64,
}

/// What an existing root yields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outputs {
    /// The certificate, in PEM.
    pub certificate: String,
    /// Its private key, in PEM.
    pub key: Option<PrivateKey>,
    /// SHA-256 of the certificate, 64 hexadecimal digits.
    pub fingerprint: String,
    /// Until when it is valid.
    pub not_after: Timestamp,
}

impl KindRules for ExistingRoot {
    fn name(&self) -> &'static str {
        "pki.existing_root"
    }

    fn fields(&self) -> &'static [FieldRule] {
        &[]
    }

    fn outputs(&self) -> &'static [OutputRule] {
        const {
            &[
                OutputRule { name: "certificate", class: OutputClass::Plain, changes_with: &["certificate"] },
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
        serde_json::to_string(&serde_json::from_value::<Spec>(serde_json::to_value(spec).ok()?).ok()?)
            .ok()
            .map(RemoteId::new)
    }

    fn validity(&self, outputs: &Document) -> Option<Validity> {
        Dates::of(outputs)
    }
}

impl ResourceKind for ExistingRoot {
    type Spec = Spec;
    type Outputs = Outputs;
    type Client = Pki;

    fn example() -> Spec {
        Spec {
            certificate: "certs/root-cert.pem".to_owned(),
            key: Some("certs/root-key.pem".to_owned()),
            min_validity_seconds: 7_776_000,
        }
    }

    async fn read_many(
        &self,
        client: &Pki,
        ids: &[RemoteId],
    ) -> Result<Vec<Option<Live<Spec, Outputs>>>, ProviderError> {
        ids.iter().map(|id| Ok(Some(look(spec_of(self.name(), id)?, client.now())))).collect()
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
    let mut read = |path: &str| match Pki::read(path) {
        Ok(text) => Some(text),
        Err(why) => {
            findings.push(why);
            None
        }
    };
    let certificate = read(&spec.certificate);
    let key = spec.key.as_deref().and_then(&mut read).map(PrivateKey::new);
    let terms = Terms { now, min_validity_seconds: spec.min_validity_seconds };
    if let Some(text) = &certificate {
        let key = spec.key.as_deref().zip(key.as_ref()).map(|(path, key)| File { path, text: key.expose() });
        findings.extend(check::root(File { path: &spec.certificate, text }, key, terms));
    }
    let certificate = issue::terminated(certificate.unwrap_or_default());
    let (fingerprint, not_after) = dated(&certificate);
    let outputs = Outputs { certificate, key, fingerprint, not_after };
    Live { spec, outputs, status: status(&findings) }
}
