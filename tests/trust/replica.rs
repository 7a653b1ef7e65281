//! `test.replica`: something outside that gets certificates and keys, as a cluster's secret does.

use std::cell::RefCell;
use std::collections::BTreeMap;

use meshplan::kinds::pki::Pki;
use meshplan::model::diff::{FieldRule, FieldTrait};
use meshplan::model::{Address, Input, Reference};
use meshplan::resource::{
    Api, Created, Deletion, ErrorClass, Expected, KindRules, Live, OutputRule, Ownership, ProviderError, RemoteId,
    ResourceKind, Status, Updated, WaitPolicy,
};
use serde::{Deserialize, Serialize};

thread_local! {
    static WORLD: RefCell<BTreeMap<String, Spec>> = const { RefCell::new(BTreeMap::new()) };
    static WRITES: RefCell<usize> = const { RefCell::new(0) };
    static REFUSED: RefCell<bool> = const { RefCell::new(false) };
}

/// What the replica of this name holds.
pub(crate) fn held(name: &str) -> BTreeMap<String, String> {
    WORLD.with_borrow(|world| world[name].data.iter().map(|(k, v)| (k.clone(), v.known().unwrap().clone())).collect())
}

/// How often one was written.
pub(crate) fn writes() -> usize {
    WRITES.with_borrow(|writes| *writes)
}

/// Somebody changes what a replica holds.
pub(crate) fn meddle(name: &str, key: &str, value: &str) {
    WORLD.with_borrow_mut(|world| world.get_mut(name).unwrap().data.insert(key.to_owned(), value.into()));
}

/// From now on every write is refused.
pub(crate) fn refuse() {
    REFUSED.set(true);
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Replica;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Spec {
    pub(crate) name: String,
    pub(crate) data: BTreeMap<String, Input<String>>,
    /// Shown to everybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) label: Option<Input<String>>,
}

impl Spec {
    /// Istio's `cacerts`, of an intermediate.
    pub(crate) fn of(intermediate: &Address, name: &str) -> Self {
        let from = |output: &str| Reference::to(intermediate, output).into();
        let data = [
            ("ca-cert.pem", from("certificate")),
            ("ca-key.pem", from("key")),
            ("cert-chain.pem", from("chain")),
            ("root-cert.pem", from("root")),
        ];
        Self {
            name: name.to_owned(),
            data: data.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
            label: None,
        }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Outputs {
    name: String,
}

impl KindRules for Replica {
    fn name(&self) -> &'static str {
        "test.replica"
    }
    fn fields(&self) -> &'static [FieldRule] {
        &[
            FieldRule { path: "name", traits: &[FieldTrait::Immutable] },
            FieldRule { path: "data.*", traits: &[FieldTrait::Sensitive] },
        ]
    }
    fn outputs(&self) -> &'static [OutputRule] {
        const { &[OutputRule::plain("name")] }
    }
    fn expected(&self) -> Expected {
        Expected { create: 1.0, update: 1.0, delete: 1.0 }
    }
    fn api(&self) -> Api {
        Api::Local
    }
    fn wait(&self) -> WaitPolicy {
        WaitPolicy::new(0, 1_000, 60)
    }
}

fn live(name: &str) -> Option<Live<Spec, Outputs>> {
    let spec = WORLD.with_borrow(|world| world.get(name).cloned())?;
    Some(Live { outputs: Outputs { name: spec.name.clone() }, spec, status: Status::Ready })
}

fn write(spec: &Spec) -> Result<(), ProviderError> {
    if REFUSED.with_borrow(|refused| *refused) {
        return Err(ProviderError::new(ErrorClass::Denied, "test:write", "not you"));
    }
    WRITES.with_borrow_mut(|writes| *writes += 1);
    WORLD.with_borrow_mut(|world| world.insert(spec.name.clone(), spec.clone()));
    Ok(())
}

impl ResourceKind for Replica {
    type Spec = Spec;
    type Outputs = Outputs;
    type Client = Pki;

    fn example() -> Spec {
        Spec { name: "one".to_owned(), data: BTreeMap::new(), label: None }
    }

    async fn read_many(&self, _: &Pki, ids: &[RemoteId]) -> Result<Vec<Option<Live<Spec, Outputs>>>, ProviderError> {
        Ok(ids.iter().map(|id| live(id.as_str())).collect())
    }

    async fn create(&self, _: &Pki, spec: &Spec, _: &Ownership) -> Result<Created<Spec, Outputs>, ProviderError> {
        write(spec)?;
        Ok(Created { id: RemoteId::new(spec.name.clone()), live: live(&spec.name) })
    }

    async fn find(&self, _: &Pki, spec: &Spec, _: &Ownership) -> Result<Option<RemoteId>, ProviderError> {
        Ok(live(&spec.name).map(|live| RemoteId::new(live.spec.name)))
    }

    async fn update(&self, _: &Pki, _: &RemoteId, _: &Spec, to: &Spec) -> Result<Updated, ProviderError> {
        write(to)?;
        Ok(Updated::Done)
    }

    async fn delete(&self, _: &Pki, id: &RemoteId) -> Result<Deletion, ProviderError> {
        WORLD.with_borrow_mut(|world| world.remove(id.as_str()));
        Ok(Deletion::Accepted)
    }
}
