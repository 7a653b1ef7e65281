//! What a kind's author writes, fully typed.

use std::fmt;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::model::{Address, Value};

use super::client::Client;
use super::error::ProviderError;
use super::rules::KindRules;

/// A provider's id of an object, for example `vpc-0a1b2c3d4e5f60718`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RemoteId(String);

impl RemoteId {
    /// Wraps an id.
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RemoteId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whose object a create makes: what an interrupted create is found by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ownership {
    /// The mesh's id; the tag [`MESH_TAG`].
    pub mesh: String,
    /// The resource's address; the tag [`ADDRESS_TAG`].
    pub address: Address,
    /// What tells this create from every other, 32 characters; the same when the create is repeated, also after a
    /// crash. AWS's `ClientToken` where there is one, and the tag `meshplan:create`.
    pub token: String,
}

/// The tag that names the mesh an object belongs to.
pub const MESH_TAG: &str = "meshplan:mesh";

/// The tag that names the address of the resource that an object is.
pub const ADDRESS_TAG: &str = "meshplan:address";

/// The mesh and the address that the tags in an object's spec name, where they do.
#[must_use]
pub fn claimed(spec: &Value) -> Option<(&str, &str)> {
    let tags = spec.get("tags")?;
    Some((tags.get(MESH_TAG)?.as_str()?, tags.get(ADDRESS_TAG)?.as_str()?))
}

/// An object as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Live<S, O> {
    /// Projected to the declared shape: what would have to be declared to get this object.
    pub spec: S,
    /// Its outputs; complete once the status is ready.
    pub outputs: O,
    /// Whether it can be relied on.
    pub status: Status,
}

/// Whether an object can be relied on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// It is.
    Ready,
    /// Not yet; the text says what is waited for, for example `state is pending`.
    Pending(String),
    /// It will never be; the text says why, in the provider's words.
    Failed(String),
    /// It is going away.
    Deleting,
}

/// The answer to a read of several objects, in the order in which they were asked for: `None` where there is none.
pub type Found<S, O> = Result<Vec<Option<Live<S, O>>>, ProviderError>;

/// What a create made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created<S, O> {
    /// The new object's id.
    pub id: RemoteId,
    /// The object, where the answer holds all of it: saves reading it back.
    pub live: Option<Live<S, O>>,
}

/// How far an update got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Updated {
    /// The request is done: what it changed can be read.
    Done,
    /// The provider works on it, and answers about it by this id: see [`ResourceKind::follow`].
    Underway(UpdateId),
}

/// A provider's id of an update that takes time, for example EKS's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpdateId(String);

impl UpdateId {
    /// Wraps an id.
    pub fn new(id: impl Into<String>) -> Self {
        Self(id.into())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// How far a delete got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deletion {
    /// The request is accepted, or the object was gone already. The engine waits until it cannot be read.
    Accepted,
    /// A first step is done (a gateway is detached); call again.
    Again,
    /// Something else has to go first and is on its way; the text says what. Call again after the wait's interval.
    Later(String),
}

/// A kind of resource. All methods are stateless; what they need is in their arguments.
///
/// # Guarantees the engine gives
/// A verb is never called while another verb on the same object is in flight. Specs have no holes. Every request is
/// repeated according to its error's class; a kind never sleeps, retries or logs.
///
/// # Assumptions the engine makes
/// Each verb does one request (reads may page or combine several). Dropping a verb's future is safe: the request
/// may or may not have had its effect, which is what [`Self::find`] and [`Self::read_many`] are for.
pub trait ResourceKind: KindRules + 'static {
    /// What is declared.
    type Spec: Serialize + DeserializeOwned;
    /// What it yields once it is ready. Its field names are the kind's [`KindRules::outputs`].
    type Outputs: Serialize + DeserializeOwned;
    /// What it talks through.
    type Client: Client;

    /// A complete spec: for documentation and the conformance tests.
    fn example() -> Self::Spec;

    /// Objects as they are now, `None` where there is none. The answers are in the order of `ids`.
    ///
    /// One request reads many where the API can (a filter over ids, not a list of ids, which fails when one is gone).
    fn read_many(
        &self,
        client: &Self::Client,
        ids: &[RemoteId],
    ) -> impl Future<Output = Found<Self::Spec, Self::Outputs>>;

    /// Makes an object, in one request. What that request cannot set is set by [`Self::update`] afterwards.
    fn create(
        &self,
        client: &Self::Client,
        spec: &Self::Spec,
        owner: &Ownership,
    ) -> impl Future<Output = Result<Created<Self::Spec, Self::Outputs>, ProviderError>>;

    /// What an interrupted create with this ownership made, if anything.
    fn find(
        &self,
        client: &Self::Client,
        spec: &Self::Spec,
        owner: &Ownership,
    ) -> impl Future<Output = Result<Option<RemoteId>, ProviderError>>;

    /// Takes one request's worth of the way from `from` (what is there) to `to`. The engine reads again and
    /// calls again until nothing differs.
    fn update(
        &self,
        client: &Self::Client,
        id: &RemoteId,
        from: &Self::Spec,
        to: &Self::Spec,
    ) -> impl Future<Output = Result<Updated, ProviderError>>;

    /// How far an update is that takes time: pending, ready when it is done, failed with the provider's reasons. The
    /// engine asks until it is one of the last two. Only for kinds whose updates are [`Updated::Underway`].
    fn follow(
        &self,
        client: &Self::Client,
        id: &RemoteId,
        update: &UpdateId,
    ) -> impl Future<Output = Result<Status, ProviderError>> {
        let _ = (client, id, update);
        async { Ok(Status::Ready) }
    }

    /// Why an object takes longer than it should, a sentence each: what can be told from outside before the provider
    /// gives up. Empty when nothing is wrong that can be seen. The engine asks once, when a wait has lasted as long as
    /// [`WaitPolicy::suspect`](super::WaitPolicy), and fails the step with the answer unless it is empty.
    fn diagnose(
        &self,
        client: &Self::Client,
        id: &RemoteId,
    ) -> impl Future<Output = Result<Vec<String>, ProviderError>> {
        let _ = (client, id);
        async { Ok(Vec::new()) }
    }

    /// Removes the object; that it is absent already is fine.
    fn delete(&self, client: &Self::Client, id: &RemoteId) -> impl Future<Output = Result<Deletion, ProviderError>>;
}
