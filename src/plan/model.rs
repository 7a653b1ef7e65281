//! What a plan holds. It serialises to the documented JSON and back, so that what was reviewed is what is applied.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::model::diff::{FieldChange, FieldRule, FieldTrait, settled};
use crate::model::event::{Operation, StepKind};
use crate::model::{Address, Digest, Document, Target};
use crate::resource::{LiveDocument, RemoteId};
use crate::state::Entry;

use super::basis::Basis;

/// The version of a plan's JSON. Raised when a field changes its meaning or goes; new fields do not raise it.
pub const FORMAT_VERSION: u32 = 1;

/// What the cloud said of one resource at refresh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observation {
    /// It is there. For an unfinished create, this is what was found by its token.
    Present {
        /// The provider's id.
        id: RemoteId,
        /// The object.
        live: LiveDocument,
    },
    /// It is not there.
    Absent,
    /// It could not be read; the text says why and what to do.
    Unreadable(String),
}

/// What the cloud said; a resource without an entry was not asked for (an offline plan).
pub type Observed = BTreeMap<Address, Observation>;

/// The plan of one run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// [`FORMAT_VERSION`].
    pub format_version: u32,
    /// Apply or destroy.
    pub operation: Operation,
    /// The mesh's id.
    pub mesh: String,
    /// The lineage of the state it was made from.
    pub lineage: String,
    /// The serial of the state it was made from.
    pub base_serial: u64,
    /// Whether it is for the sandbox.
    pub sandbox: bool,
    /// Whether nothing was read from the cloud.
    pub offline: bool,
    /// The digest of the topology's text; `None` for a destroy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topology: Option<Digest>,
    /// Where the topology was read from, as the user named it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The topology's default region; `None` where a command plans with the state alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The account of the credentials that it was made with: it is applied in no other. `None` until it is saved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// What state said of everything that the plan touches or requires; empty until it is saved. What state did not
    /// know is not in it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub basis: BTreeMap<Address, Basis>,
    /// How many resources each action concerns.
    pub summary: Summary,
    /// Every change but the no-ops, sorted by address.
    pub changes: Vec<Change>,
    /// The execution graph.
    pub steps: Vec<Step>,
    /// How long it should take.
    pub estimate: Estimate,
    /// Remarks about the whole.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Journal entries that only bring state up to date with what is already so: renamed addresses, refreshed
    /// outputs, promises that turned out void. Nothing in the cloud changes by them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub bookkeeping: Vec<Entry>,
    /// The digest of a written plan's other fields, so that what is applied is what was reviewed; `None` in memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
}

impl Plan {
    /// Whether there is nothing to do in the cloud or in what is owned.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The change of an address.
    #[must_use]
    pub fn change(&self, address: &Address) -> Option<&Change> {
        let found = self.changes.binary_search_by(|change| change.address.cmp(address)).ok()?;
        self.changes.get(found)
    }
}

/// The planned action on one address.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Whose.
    pub address: Address,
    /// What.
    pub action: Action,
    /// Why.
    pub reason: Reason,
    /// Which fields, for an update or a replacement; all of them for a create.
    #[serde(default)]
    pub fields: Vec<FieldChange>,
    /// What was derived by default, and why.
    #[serde(default)]
    pub notes: Vec<String>,
    /// What it does to what the resource is made of: the objects of a release, as lines of a unified diff. For people;
    /// nothing is decided by it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub preview: Vec<String>,
    /// Where it lives.
    pub target: Target,
    /// The provider's id, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<RemoteId>,
    /// The digest of what was observed: apply refuses to touch a resource that has moved since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<Digest>,
    /// What it shall be; `None` when it is deleted or forgotten.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub goal: Option<Goal>,
    /// What it stands on according to state: for the blast radius and the order of deletion.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requirements: Vec<Address>,
    /// Whether this update takes away what others may still use: what stands on it changes first.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub takes_away: bool,
    /// What an update waits for beyond what it refers to, if that is made or changed in the same run.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub update_after: Vec<Address>,
}

/// What a resource shall be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Goal {
    /// The spec, with holes where a value is known after apply.
    pub spec: Document,
    /// The digest of its declaration.
    pub declared: Digest,
    /// Direct dependencies, sorted.
    pub depends_on: Vec<Address>,
    /// Whether deleting or replacing it needs `--allow-replace`.
    pub protected: bool,
    /// The version of its kind's shape.
    pub schema_version: u32,
    /// Whether its predecessor stays until it is ready.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub deposes: bool,
}

/// What happens to a resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Nothing.
    NoOp,
    /// It is made.
    Create,
    /// It is changed in place.
    Update,
    /// It is deleted and made anew, or made anew and its predecessor deleted.
    Replace,
    /// It is removed.
    Delete,
    /// It is dropped from state only.
    Forget,
    /// An existing object is taken in.
    Adopt,
    /// The create of an earlier run is waited for and completed.
    Wait,
}

impl Action {
    /// The mark before an address, as OpenTofu draws it.
    #[must_use]
    pub fn glyph(self) -> &'static str {
        match self {
            Self::NoOp => " ",
            Self::Create => "+",
            Self::Update => "~",
            Self::Replace => "-/+",
            Self::Delete => "-",
            Self::Forget => ".",
            Self::Adopt => "<",
            Self::Wait => ">",
        }
    }

    /// `create`, `update`, …
    #[must_use]
    pub fn verb(self) -> &'static str {
        match self {
            Self::NoOp => "no-op",
            Self::Create => "create",
            Self::Update => "update",
            Self::Replace => "replace",
            Self::Delete => "delete",
            Self::Forget => "forget",
            Self::Adopt => "adopt",
            Self::Wait => "wait",
        }
    }
}

/// Why an action is planned. For people; nothing is decided by it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// It is as it should be.
    UpToDate,
    /// It is declared and not in state.
    NotInState,
    /// An earlier run promised or began to create it and did not see the end.
    CreateUnfinished,
    /// An earlier run began to delete it and did not see the end.
    DeleteUnfinished,
    /// The declaration changed.
    Changed,
    /// The cloud no longer holds what was applied.
    Drifted,
    /// Fields that cannot be changed in place differ.
    ForcedBy(Vec<String>),
    /// It is in state and gone from the cloud.
    Vanished,
    /// It exists and is not trusted: why.
    Tainted(String),
    /// Its object will never be ready: why.
    Failed(String),
    /// Someone is deleting it.
    BeingDeleted,
    /// It is in state and no longer declared.
    NotDeclared,
    /// It belongs to someone else and is only looked up.
    BroughtAlong,
    /// A replacement left it behind.
    Deposed,
    /// The operator asked for its replacement by name.
    Requested,
    /// It is good until then, and it is time to make the next.
    Renewal(Timestamp),
    /// Everything goes.
    Destroyed,
    /// It lives in another region than it is declared in.
    Elsewhere(String),
    /// What is there carries our tags, and state does not know it.
    Lost,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UpToDate => f.write_str("up to date"),
            Self::NotInState => f.write_str("not in state"),
            Self::CreateUnfinished => f.write_str("an earlier run did not finish creating it"),
            Self::DeleteUnfinished => f.write_str("an earlier run did not finish deleting it"),
            Self::Changed => f.write_str("changed"),
            Self::Drifted => f.write_str("drifted"),
            Self::ForcedBy(paths) => {
                let paths: Vec<String> = paths.iter().map(|path| format!("`{path}`")).collect();
                write!(f, "{} cannot change in place", paths.join(", "))
            }
            Self::Vanished => f.write_str("vanished: it is in state and gone from the cloud"),
            Self::Tainted(why) => write!(f, "tainted: {why}"),
            Self::Failed(why) => write!(f, "failed: {why}"),
            Self::BeingDeleted => f.write_str("it is being deleted"),
            Self::NotDeclared => f.write_str("not declared"),
            Self::BroughtAlong => f.write_str("it exists already and is only looked up"),
            Self::Deposed => f.write_str("a replacement left it behind"),
            Self::Renewal(until) => write!(f, "time to renew it: valid until {}", until.strftime("%Y-%m-%d")),
            Self::Requested => f.write_str("asked for by `--replace`"),
            Self::Destroyed => f.write_str("everything goes"),
            Self::Lost => f.write_str("its tags say that it is ours, and state does not know it"),
            Self::Elsewhere(place) => write!(f, "it lives in {place} and cannot move"),
        }
    }
}

/// How many resources each action concerns.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Made.
    pub create: usize,
    /// Changed in place.
    pub update: usize,
    /// Replaced.
    pub replace: usize,
    /// Removed.
    pub delete: usize,
    /// Dropped from state only.
    pub forget: usize,
    /// Taken in, or finished for an earlier run.
    pub adopt: usize,
    /// Left as they are.
    pub no_op: usize,
}

impl Summary {
    /// Counts one action.
    pub fn count(&mut self, action: Action) {
        match action {
            Action::NoOp => self.no_op += 1,
            Action::Create => self.create += 1,
            Action::Update => self.update += 1,
            Action::Replace => self.replace += 1,
            Action::Delete => self.delete += 1,
            Action::Forget => self.forget += 1,
            Action::Adopt | Action::Wait => self.adopt += 1,
        }
    }
}

/// A step's number within its plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StepId(pub u32);

impl StepId {
    /// The step's index in [`Plan::steps`].
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// One step of the execution graph.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Its number: its index in [`Plan::steps`].
    pub id: StepId,
    /// Whose.
    pub address: Address,
    /// What it does.
    pub kind: StepKind,
    /// The steps that must be done before, sorted.
    pub after: Vec<StepId>,
    /// How long it should take, in seconds.
    pub seconds: f64,
}

/// How long a run should take.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// In seconds, with what the request limits hold up.
    pub seconds: f64,
    /// The longest chain of steps, were there no request limits.
    pub critical_path: Vec<Address>,
}

/// A renamed address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    /// From where.
    pub from: Address,
    /// To where.
    pub to: Address,
}

/// The digest of what was observed, for [`Change::fingerprint`]: without what may move by itself, which are fields that
/// only a create uses (an autoscaler sets them) and the order of lists that have none.
#[must_use]
pub fn fingerprint(rules: &[FieldRule], id: &RemoteId, spec: &Document) -> Digest {
    let moves = [FieldTrait::AtCreate, FieldTrait::Unordered];
    if !rules.iter().any(|rule| rule.traits.iter().any(|it| moves.contains(it))) {
        return Digest::of_parts(&[id.as_str().as_bytes(), spec.as_str().as_bytes()]);
    }
    let settled = settled(&spec.value(), rules).to_string();
    Digest::of_parts(&[id.as_str().as_bytes(), settled.as_bytes()])
}
