//! `pki.intermediate`: the authority of one cluster, signed by the mesh's root. What istiod issues with.
//!
//! It is renewed at two thirds of its life (see [`super`]), with another key and another serial number, and under the
//! same name: the chain of a workload's certificate leads to the same root throughout.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::diff::{FieldRule, FieldTrait};
use crate::model::secret::{Sealed, Secret};
use crate::model::{Address, Document, Input, Reference, Value};
use crate::resource::{
    Api, Created, Deletion, ErrorClass, Expected, FieldError, KindRules, Live, OutputClass, OutputRule, Ownership,
    Possession, ProviderError, RemoteId, ReplaceOrder, ResourceKind, Status, Updated, Validity, WaitPolicy,
};

use super::client::Pki;
use super::{KeyKind, PrivateKey, check, check_ttl, issue};

/// The kind `pki.intermediate`.
#[derive(Debug, Clone, Copy)]
pub struct Intermediate;

/// What is declared of an intermediate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The organization in its subject: the mesh's id.
    pub organization: String,
    /// The cluster that it is for: the locality in its subject, which tells it from the others.
    pub cluster: String,
    /// The kind of its key.
    pub key: KeyKind,
    /// How long it is valid, in seconds; less where the root ends sooner.
    pub ttl_seconds: u64,
    /// The root's certificate, in PEM.
    pub issuer_certificate: Input<String>,
    /// The root's private key, in PEM: opened for the request that signs, and kept nowhere.
    pub issuer_key: Input<PrivateKey>,
    /// The age or ssh public keys that its key is sealed to; none for the operator's own identity.
    pub recipients: Vec<String>,
}

/// What an intermediate yields: what Istio's secret `cacerts` holds, and its dates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outputs {
    /// The certificate, in PEM: `ca-cert.pem`.
    pub certificate: String,
    /// The certificate and then the root's, in PEM: `cert-chain.pem`.
    pub chain: String,
    /// The root's certificate, in PEM: `root-cert.pem`.
    pub root: String,
    /// Its private key, in PEM, sealed: `ca-key.pem`.
    pub key: Sealed,
    /// SHA-256 of the certificate, 64 hexadecimal digits.
    pub fingerprint: String,
    /// Until when it is valid.
    pub not_after: Timestamp,
    /// From when on a plan renews it; absent when it lives as long as its root.
    pub renew_after: Option<Timestamp>,
}

/// What a plan needs of [`Outputs`] to know how long they are good.
#[derive(Deserialize)]
struct Dates {
    not_after: Timestamp,
    renew_after: Option<Timestamp>,
}

impl KindRules for Intermediate {
    fn name(&self) -> &'static str {
        "pki.intermediate"
    }

    fn fields(&self) -> &'static [FieldRule] {
        const {
            &[
                FieldRule { path: "organization", traits: &[FieldTrait::Immutable] },
                FieldRule { path: "cluster", traits: &[FieldTrait::Immutable] },
                FieldRule { path: "key", traits: &[FieldTrait::Immutable] },
                FieldRule { path: "ttl_seconds", traits: &[FieldTrait::Immutable] },
                FieldRule { path: "issuer_certificate", traits: &[FieldTrait::Immutable] },
                FieldRule { path: "issuer_key", traits: &[FieldTrait::Immutable, FieldTrait::Sensitive] },
                FieldRule { path: "recipients", traits: &[FieldTrait::AtCreate] },
            ]
        }
    }

    fn outputs(&self) -> &'static [OutputRule] {
        const {
            &[
                OutputRule::plain("certificate"),
                OutputRule::plain("chain"),
                OutputRule::plain("root"),
                OutputRule { name: "key", class: OutputClass::Sealed, changes_with: &[] },
                OutputRule::plain("fingerprint"),
                OutputRule::plain("not_after"),
                OutputRule::plain("renew_after"),
            ]
        }
    }

    fn expected(&self) -> Expected {
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

    /// The next is made, and whatever uses it moved over, before the old one is dropped.
    fn replace_order(&self) -> ReplaceOrder {
        ReplaceOrder::CreateFirst
    }

    fn check(&self, spec: &Value) -> Vec<FieldError> {
        check_ttl(spec)
    }

    fn validity(&self, outputs: &Document) -> Option<Validity> {
        let Dates { not_after, renew_after } = outputs.decode().ok()?;
        Some(Validity { until: not_after, renew_after })
    }
}

impl ResourceKind for Intermediate {
    type Spec = Spec;
    type Outputs = Outputs;
    type Client = Pki;

    fn example() -> Spec {
        let root = Address::new("pki.root", &["mesh1"]);
        Spec {
            organization: "mesh1".to_owned(),
            cluster: "cluster-1".to_owned(),
            key: KeyKind::EcdsaP256,
            ttl_seconds: 63_072_000,
            issuer_certificate: Reference::to(&root, "certificate").into(),
            issuer_key: Reference::to(&root, "key").into(),
            recipients: vec!["age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p".to_owned()],
        }
    }

    /// There is nothing to read back: what was made is on record.
    async fn read_many(&self, _: &Pki, ids: &[RemoteId]) -> Result<Vec<Option<Live<Spec, Outputs>>>, ProviderError> {
        Ok(ids.iter().map(|_| None).collect())
    }

    async fn create(&self, client: &Pki, spec: &Spec, _: &Ownership) -> Result<Created<Spec, Outputs>, ProviderError> {
        let refuse = |why: String| ProviderError::new(ErrorClass::Invalid, "pki:issue", why);
        let Spec { organization, cluster, key, ttl_seconds, issuer_certificate, issuer_key, recipients } = spec;
        let root = issue::terminated(issuer_certificate.known()?.clone());
        let now = client.now();
        let issuer = (root.as_str(), issuer_key.known()?);
        let made = issue::intermediate(organization, cluster, *key, *ttl_seconds, issuer, now).map_err(refuse)?;
        let root_der = check::only_certificate(&root).map_err(refuse)?;
        let until = check::parse(&root_der).map(|parsed| issue::validity(&parsed)).transpose().map_err(refuse)?;
        let outputs = Outputs {
            chain: format!("{}{root}", made.certificate),
            root,
            key: client.keeper().seal(recipients, &Secret::new(made.key.expose().to_owned().into()))?,
            fingerprint: made.fingerprint,
            not_after: made.not_after,
            renew_after: until.and_then(|(_, until)| issue::renew_after(now, made.not_after, until)),
            certificate: made.certificate,
        };
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
