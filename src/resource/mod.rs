//! The contract with kinds: what a kind's author writes, and what the planner and the engine see of it.
//!
//! Entry points: [`ResourceKind`] (typed, one per kind), [`DynKind`] (the same verbs over documents) and
//! [`KindRules`] (the pure half, all that the planner may know). Kinds themselves live in `kinds`; nothing
//! here knows one of them.

pub mod client;
pub mod erased;
pub mod error;
pub mod helm;
pub mod keeper;
pub mod kind;
pub mod limits;
pub mod registry;
pub mod route;
pub mod rules;
pub mod wait;

pub use client::{Client, Cloud, ClusterAccess, ClusterAuth};
pub use erased::{DynKind, LiveDocument, READ_WIDTH, read_width};
pub use error::{ErrorClass, ProviderError};
pub use helm::{Helm, ReleaseOrder, ReleaseState, ReleaseStatus};
pub use keeper::{ClearText, Keeper};
pub use kind::{
    ADDRESS_TAG, Created, Deletion, Found, Live, MESH_TAG, Ownership, RemoteId, ResourceKind, Status, UpdateId,
    Updated, changed_hands, claimed,
};
pub use registry::{Registry, RuleBook};
pub use route::{ClusterRoute, Exec, Executed, GetInPod};
pub use rules::{
    Api, Calls, Expected, FieldError, KindRules, OutputClass, OutputRule, Possession, RawRecord, ReplaceOrder,
    UpgradeError, Validity, stored_outputs,
};
pub use wait::WaitPolicy;
