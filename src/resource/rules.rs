//! The pure half of a kind: everything that the planner may know of it.

use ipnet::IpNet;
use jiff::Timestamp;

use crate::model::diff::{FieldChange, FieldRule};
use crate::model::secret::Sealed;
use crate::model::{AttrPath, Document, Target, Value};

use super::client::ClusterAccess;
use super::kind::RemoteId;
use super::wait::WaitPolicy;

/// All that the planner may know of a kind. There is no future here: the planner is pure by type.
pub trait KindRules: Send + Sync {
    /// The kind's name and the first part of its addresses, for example `aws.vpc`.
    fn name(&self) -> &'static str;

    /// The version of the shape of its spec and outputs in state; raised with [`Self::upgrade`].
    fn schema_version(&self) -> u32 {
        1
    }

    /// What holds for which field of its spec.
    fn fields(&self) -> &'static [FieldRule];

    /// Its outputs. Only these can be referred to.
    fn outputs(&self) -> &'static [OutputRule];

    /// Typical durations: for scheduling and the estimate, never for correctness.
    fn expected(&self) -> Expected;

    /// Which budget its calls draw from.
    fn api(&self) -> Api;

    /// How many requests an object of this spec needs: for the estimate, never for correctness.
    fn calls(&self, spec: &Value) -> Calls {
        let _ = spec;
        Calls::default()
    }

    /// How many requests of one action a read makes for each object, beyond those that it makes for all of them
    /// together; 0 where one request reads them all.
    fn reads_each(&self) -> u32 {
        0
    }

    /// How often to look while waiting, and for how long at most.
    fn wait(&self) -> WaitPolicy;

    /// Whether its objects are made and deleted by us.
    fn possession(&self) -> Possession {
        Possession::Owned
    }

    /// In which order a replacement happens.
    fn replace_order(&self) -> ReplaceOrder {
        ReplaceOrder::DeleteFirst
    }

    /// Whether a plan that deletes or replaces one needs `--allow-replace`, because much depends on it.
    fn protected(&self) -> bool {
        false
    }

    /// The provider's id, for kinds whose id is decided by their spec (a name); `None` while that is unknown.
    fn known_id(&self, spec: &Value) -> Option<RemoteId> {
        let _ = spec;
        None
    }

    /// Whether its objects' ids are names, which another object can have once the first is gone. One that had our tag
    /// when it was last seen and has it no longer is taken for such a one: nothing is done to it.
    fn is_named(&self) -> bool {
        false
    }

    /// Whether an update of these fields takes away what dependents may still use: they are changed first then.
    fn takes_away(&self, fields: &[FieldChange]) -> bool {
        let _ = fields;
        false
    }

    /// Address ranges that no two objects of the kind in one network can hold: what is made with one waits for what is
    /// deleted with an overlapping one.
    fn claims(&self, spec: &Value) -> Vec<IpNet> {
        let _ = spec;
        Vec::new()
    }

    /// What is wrong with a spec, beyond its types. Holes are not wrong.
    fn check(&self, spec: &Value) -> Vec<FieldError> {
        let _ = spec;
        Vec::new()
    }

    /// Why what is there cannot become what is declared in one step, although each field could be changed (a control
    /// plane moves one minor version at a time): the message says the way. Holes are not wrong.
    fn refuses(&self, there: &Value, declared: &Value) -> Vec<FieldError> {
        let _ = (there, declared);
        Vec::new()
    }

    /// What is to be said of an update of these fields, beyond what changes: what it does not do by itself.
    fn remarks(&self, fields: &[FieldChange]) -> Vec<String> {
        let _ = fields;
        Vec::new()
    }

    /// How long what it made is good, for kinds whose objects expire; of stored outputs, which may be those of an
    /// older version. A plan for a later instant than it is to be renewed at replaces it.
    fn validity(&self, outputs: &Document) -> Option<Validity> {
        let _ = outputs;
        None
    }

    /// For a kind that is a Kubernetes cluster: how it is reached, by its spec and the outputs of an object that is ready.
    /// Documents, because every resource is asked, and few have an answer.
    fn cluster_access(&self, target: &Target, spec: &Document, outputs: &Document) -> Option<ClusterAccess> {
        let _ = (target, spec, outputs);
        None
    }

    /// Brings a record written by an older version of the kind to [`Self::schema_version`].
    fn upgrade(&self, from: u32, record: RawRecord) -> Result<RawRecord, UpgradeError> {
        if from == self.schema_version() {
            Ok(record)
        } else {
            Err(UpgradeError { kind: self.name(), from, to: self.schema_version() })
        }
    }
}

/// The outputs that may be stored: the plain ones, and those that are sealed. What should be sealed and is not is left
/// out, like what can be read again.
#[must_use]
pub fn stored_outputs(rules: &dyn KindRules, outputs: &Document) -> Document {
    if rules.outputs().iter().all(|rule| rule.class == OutputClass::Plain) {
        return outputs.clone();
    }
    let Value::Object(mut fields) = outputs.value() else { return Document::empty() };
    fields.retain(|name, value| {
        rules.outputs().iter().any(|rule| {
            rule.name == name
                && match rule.class {
                    OutputClass::Plain => true,
                    OutputClass::Sealed => Sealed::of(value).is_some(),
                    OutputClass::Ephemeral => false,
                }
        })
    });
    Document::of(&Value::Object(fields)).unwrap_or_else(|_| Document::empty())
}

/// One output of a kind.
#[derive(Debug, Clone, Copy)]
pub struct OutputRule {
    /// Its name, for example `vpc_id`.
    pub name: &'static str,
    /// How it is kept.
    pub class: OutputClass,
    /// The fields of the spec whose update may change it; it is known through any other update.
    pub changes_with: &'static [&'static str],
}

impl OutputRule {
    /// A plain output that no update changes.
    #[must_use]
    pub const fn plain(name: &'static str) -> Self {
        Self { name, class: OutputClass::Plain, changes_with: &[] }
    }
}

/// How an output is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutputClass {
    /// Stored as it is.
    Plain,
    /// Can be read again from its owner, so it is never stored.
    Ephemeral,
    /// Cannot be read again: its kind seals it to the operator's recipients ([`Sealed`]), and as such it is stored.
    Sealed,
}

/// Typical durations in seconds, with the wait.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Expected {
    /// From the first request to ready.
    pub create: f64,
    /// An update in place.
    pub update: f64,
    /// From the request to gone.
    pub delete: f64,
}

/// How many requests it takes to make an object and to remove it, beyond reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Calls {
    /// Updates that follow a create's one request.
    pub updates: u32,
    /// Requests of a delete.
    pub deletes: u32,
}

impl Default for Calls {
    /// One request makes it, one removes it.
    fn default() -> Self {
        Self { updates: 0, deletes: 1 }
    }
}

/// An API whose callers share one rate limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Api {
    /// Amazon EC2, per region.
    Ec2,
    /// AWS Identity and Access Management, of the whole account.
    Iam,
    /// Amazon EKS, per region.
    Eks,
    /// Elastic Load Balancing, per region.
    ElasticLoadBalancing,
    /// The Kubernetes API of one cluster.
    Kubernetes,
    /// Helm, on one cluster: reads are the API server's, changes are processes.
    Helm,
    /// No remote API: nothing to limit.
    Local,
}

/// Whose the objects of a kind are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Possession {
    /// Ours: created and deleted by us.
    Owned,
    /// Someone else's: looked up and checked, adopted into state, forgotten; never written, tagged or deleted.
    Observed,
    /// Ours, and nothing but its record in state: there is nothing to read back. What its create answers is what it is,
    /// and once its delete is accepted it is gone. A create that answers that it is pending did nothing but look, and is
    /// asked for again. A sweep that acts on teardown, a key that meshplan makes, something that has to be true first.
    Recorded,
}

/// In which order a replacement happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReplaceOrder {
    /// The old object goes before the new one is made: where names or ranges clash.
    DeleteFirst,
    /// The new object is ready, and its dependents moved over, before the old one goes.
    CreateFirst,
}

/// How long an object is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// After this instant it is good for nothing.
    pub until: Timestamp,
    /// From this instant on a plan replaces it; `None` when only its owner can.
    pub renew_after: Option<Timestamp>,
}

/// A finding of [`KindRules::check`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// Where in the spec.
    pub path: AttrPath,
    /// What is wrong, lower case, no full stop.
    pub message: String,
}

/// A record's documents while they are being upgraded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawRecord {
    /// The spec as last applied.
    pub spec: Value,
    /// The outputs.
    pub outputs: Value,
}

/// A record cannot be read by this version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a record of {kind} has schema version {from}, and this version of meshplan knows up to {to}")]
pub struct UpgradeError {
    /// The kind.
    pub kind: &'static str,
    /// What the record has.
    pub from: u32,
    /// What is known.
    pub to: u32,
}
