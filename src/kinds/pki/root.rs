//! `pki.root`: the mesh's root of trust, made here. Its key is sealed and signs nothing but intermediates.
//!
//! Losing it means that no cluster can join and no certificate be renewed; replacing it means that every workload has to
//! learn to trust another. It is protected, and never renewed by itself.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::diff::{FieldRule, FieldTrait};
use crate::model::secret::{Sealed, Secret};
use crate::model::{Document, Value};
use crate::resource::{
    Api, Created, Deletion, ErrorClass, Expected, FieldError, KindRules, Live, OutputClass, OutputRule, Ownership,
    Possession, ProviderError, RemoteId, ResourceKind, Status, Updated, Validity, WaitPolicy,
};

use super::client::Pki;
use super::dates::Dates;
use super::{KeyKind, check_ttl, issue};

/// The kind `pki.root`.
#[derive(Debug, Clone, Copy)]
pub struct Root;

/// What is declared of a root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The organization in its subject: the mesh's id.
    pub organization: String,
    /// The common name in its subject, for example `mesh1 Root CA`.
    pub common_name: String,
    /// The kind of its key.
    pub key: KeyKind,
    /// How long it is valid, in seconds.
    pub ttl_seconds: u64,
    /// The age or ssh public keys that its key is sealed to; none for the operator's own identity.
    pub recipients: Vec<String>,
}

/// What a root yields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outputs {
    /// The certificate, in PEM.
    pub certificate: String,
    /// Its private key, in PEM, sealed.
    pub key: Sealed,
    /// SHA-256 of the certificate, 64 hexadecimal digits.
    pub fingerprint: String,
    /// Until when it is valid.
    pub not_after: Timestamp,
}

impl KindRules for Root {
    fn name(&self) -> &'static str {
        "pki.root"
    }

    fn fields(&self) -> &'static [FieldRule] {
        const {
            &[
                FieldRule { path: "organization", traits: &[FieldTrait::Immutable] },
                FieldRule { path: "common_name", traits: &[FieldTrait::Immutable] },
                FieldRule { path: "key", traits: &[FieldTrait::Immutable] },
                FieldRule { path: "ttl_seconds", traits: &[FieldTrait::Immutable] },
                // Another recipient is no reason for another root: what is sealed says whom it is sealed to.
                FieldRule { path: "recipients", traits: &[FieldTrait::AtCreate] },
            ]
        }
    }

    fn outputs(&self) -> &'static [OutputRule] {
        const {
            &[
                OutputRule::plain("certificate"),
                OutputRule { name: "key", class: OutputClass::Sealed, changes_with: &[] },
                OutputRule::plain("fingerprint"),
                OutputRule::plain("not_after"),
            ]
        }
    }

    fn expected(&self) -> Expected {
        // An RSA key of 4096 bits takes a second or more, one of ECDSA a millisecond.
        Expected { create: 0.1, update: 0.0, delete: 0.0 }
    }

    fn api(&self) -> Api {
        Api::Local
    }

    fn wait(&self) -> WaitPolicy {
        WaitPolicy::new(0, 1_000, 60)
    }

    fn possession(&self) -> Possession {
        Possession::Recorded
    }

    fn protected(&self) -> bool {
        true
    }

    fn check(&self, spec: &Value) -> Vec<FieldError> {
        check_ttl(spec)
    }

    fn validity(&self, outputs: &Document) -> Option<Validity> {
        Dates::of(outputs)
    }
}

impl ResourceKind for Root {
    type Spec = Spec;
    type Outputs = Outputs;
    type Client = Pki;

    fn example() -> Spec {
        Spec {
            organization: "mesh1".to_owned(),
            common_name: "mesh1 Root CA".to_owned(),
            key: KeyKind::EcdsaP256,
            ttl_seconds: 315_360_000,
            recipients: vec!["age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p".to_owned()],
        }
    }

    /// There is nothing to read back: what was made is on record.
    async fn read_many(&self, _: &Pki, ids: &[RemoteId]) -> Result<Vec<Option<Live<Spec, Outputs>>>, ProviderError> {
        Ok(ids.iter().map(|_| None).collect())
    }

    async fn create(&self, client: &Pki, spec: &Spec, _: &Ownership) -> Result<Created<Spec, Outputs>, ProviderError> {
        let Spec { organization, common_name, key, ttl_seconds, recipients } = spec;
        let made = issue::root(organization, common_name, *key, *ttl_seconds, client.now())
            .map_err(|why| ProviderError::new(ErrorClass::Invalid, "pki:make-root", why))?;
        let key = client.keeper().seal(recipients, &Secret::new(made.key.expose().to_owned().into()))?;
        let outputs =
            Outputs { certificate: made.certificate, key, fingerprint: made.fingerprint, not_after: made.not_after };
        let live = Live { spec: spec.clone(), outputs, status: Status::Ready };
        Ok(Created { id: RemoteId::new(made.serial), live: Some(live) })
    }

    /// A key that was not recorded is lost, and was of no use to anybody.
    async fn find(&self, _: &Pki, _: &Spec, _: &Ownership) -> Result<Option<RemoteId>, ProviderError> {
        Ok(None)
    }

    /// Nothing of it can change.
    async fn update(&self, _: &Pki, _: &RemoteId, _: &Spec, _: &Spec) -> Result<Updated, ProviderError> {
        Ok(Updated::Done)
    }

    /// Its record is all there is of it.
    async fn delete(&self, _: &Pki, _: &RemoteId) -> Result<Deletion, ProviderError> {
        Ok(Deletion::Accepted)
    }
}
