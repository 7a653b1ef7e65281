//! Kinds behind one interface over documents: the only place where a kind's types meet JSON.

use futures_util::future::{FutureExt, LocalBoxFuture};
use serde::Serialize;

use crate::model::{Document, Target};

use super::client::Cloud;
use super::error::ProviderError;
use super::kind::{Created, Deletion, Live, Ownership, RemoteId, ResourceKind, Status, UpdateId, Updated};
use super::rules::KindRules;

/// How many objects one read asks for at most: EC2 filters hold 200 values, and a shorter answer is a quicker one.
pub const READ_WIDTH: usize = 100;

/// The same for kinds that need requests for each object. A read fails with any of its requests: a role takes four of
/// them, so that at a failure in twenty a read of ten roles would hardly ever come through.
const NARROW: usize = 2;

/// How many objects of a kind one read asks for at most.
#[must_use]
pub fn read_width(rules: &dyn KindRules) -> usize {
    if rules.reads_each() == 0 { READ_WIDTH } else { NARROW }
}

/// [`Live`] with documents for its types.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LiveDocument {
    /// Projected to the declared shape.
    pub spec: Document,
    /// The outputs.
    pub outputs: Document,
    /// Whether it can be relied on.
    pub status: Status,
}

/// [`Found`](super::kind::Found) over documents.
pub type FoundDocuments = Result<Vec<Option<LiveDocument>>, ProviderError>;

/// What a create made, over documents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedDocument {
    /// The new object's id.
    pub id: RemoteId,
    /// The object, where the answer held all of it.
    pub live: Option<LiveDocument>,
}

/// The verbs of [`ResourceKind`] over documents.
///
/// # Cancel safety
/// Dropping a future may leave its request done or not done, never half done.
pub trait DynKind: KindRules {
    /// See [`ResourceKind::example`].
    fn example(&self) -> Result<Document, ProviderError>;

    /// See [`ResourceKind::read_many`].
    fn read_many<'a>(
        &'a self,
        cloud: &'a Cloud,
        target: &'a Target,
        ids: &'a [RemoteId],
    ) -> LocalBoxFuture<'a, FoundDocuments>;

    /// See [`ResourceKind::create`].
    fn create<'a>(
        &'a self,
        cloud: &'a Cloud,
        target: &'a Target,
        spec: &'a Document,
        owner: &'a Ownership,
    ) -> LocalBoxFuture<'a, Result<CreatedDocument, ProviderError>>;

    /// See [`ResourceKind::find`].
    fn find<'a>(
        &'a self,
        cloud: &'a Cloud,
        target: &'a Target,
        spec: &'a Document,
        owner: &'a Ownership,
    ) -> LocalBoxFuture<'a, Result<Option<RemoteId>, ProviderError>>;

    /// See [`ResourceKind::update`].
    fn update<'a>(
        &'a self,
        cloud: &'a Cloud,
        target: &'a Target,
        id: &'a RemoteId,
        from: &'a Document,
        to: &'a Document,
    ) -> LocalBoxFuture<'a, Result<Updated, ProviderError>>;

    /// See [`ResourceKind::follow`].
    fn follow<'a>(
        &'a self,
        cloud: &'a Cloud,
        target: &'a Target,
        id: &'a RemoteId,
        update: &'a UpdateId,
    ) -> LocalBoxFuture<'a, Result<Status, ProviderError>>;

    /// See [`ResourceKind::diagnose`].
    fn diagnose<'a>(
        &'a self,
        cloud: &'a Cloud,
        target: &'a Target,
        id: &'a RemoteId,
    ) -> LocalBoxFuture<'a, Result<Vec<String>, ProviderError>>;

    /// See [`ResourceKind::delete`].
    fn delete<'a>(
        &'a self,
        cloud: &'a Cloud,
        target: &'a Target,
        id: &'a RemoteId,
    ) -> LocalBoxFuture<'a, Result<Deletion, ProviderError>>;
}

impl<K: ResourceKind> DynKind for K {
    fn example(&self) -> Result<Document, ProviderError> {
        encode(&K::example())
    }

    fn read_many<'a>(
        &'a self,
        cloud: &'a Cloud,
        target: &'a Target,
        ids: &'a [RemoteId],
    ) -> LocalBoxFuture<'a, FoundDocuments> {
        async move {
            let client = cloud.client::<K::Client>(target)?;
            let found = ResourceKind::read_many(self, &client, ids).await?;
            if found.len() != ids.len() {
                return Err(ProviderError::bug(
                    self.name(),
                    "a read answered another number of objects than it was asked for",
                ));
            }
            found.into_iter().map(|live| live.map(erase).transpose()).collect()
        }
        .boxed_local()
    }

    fn create<'a>(
        &'a self,
        cloud: &'a Cloud,
        target: &'a Target,
        spec: &'a Document,
        owner: &'a Ownership,
    ) -> LocalBoxFuture<'a, Result<CreatedDocument, ProviderError>> {
        async move {
            let client = cloud.client::<K::Client>(target)?;
            let Created { id, live } = ResourceKind::create(self, &client, &self.decode_spec(spec)?, owner).await?;
            // The object exists now: an answer that cannot be encoded must not hide its id.
            Ok(CreatedDocument { id, live: live.and_then(|live| erase(live).ok()) })
        }
        .boxed_local()
    }

    fn find<'a>(
        &'a self,
        cloud: &'a Cloud,
        target: &'a Target,
        spec: &'a Document,
        owner: &'a Ownership,
    ) -> LocalBoxFuture<'a, Result<Option<RemoteId>, ProviderError>> {
        async move {
            let client = cloud.client::<K::Client>(target)?;
            ResourceKind::find(self, &client, &self.decode_kept(spec)?, owner).await
        }
        .boxed_local()
    }

    fn update<'a>(
        &'a self,
        cloud: &'a Cloud,
        target: &'a Target,
        id: &'a RemoteId,
        from: &'a Document,
        to: &'a Document,
    ) -> LocalBoxFuture<'a, Result<Updated, ProviderError>> {
        async move {
            let client = cloud.client::<K::Client>(target)?;
            ResourceKind::update(self, &client, id, &self.decode_kept(from)?, &self.decode_spec(to)?).await
        }
        .boxed_local()
    }

    fn follow<'a>(
        &'a self,
        cloud: &'a Cloud,
        target: &'a Target,
        id: &'a RemoteId,
        update: &'a UpdateId,
    ) -> LocalBoxFuture<'a, Result<Status, ProviderError>> {
        async move { ResourceKind::follow(self, &cloud.client::<K::Client>(target)?, id, update).await }.boxed_local()
    }

    fn diagnose<'a>(
        &'a self,
        cloud: &'a Cloud,
        target: &'a Target,
        id: &'a RemoteId,
    ) -> LocalBoxFuture<'a, Result<Vec<String>, ProviderError>> {
        async move { ResourceKind::diagnose(self, &cloud.client::<K::Client>(target)?, id).await }.boxed_local()
    }

    fn delete<'a>(
        &'a self,
        cloud: &'a Cloud,
        target: &'a Target,
        id: &'a RemoteId,
    ) -> LocalBoxFuture<'a, Result<Deletion, ProviderError>> {
        async move { ResourceKind::delete(self, &cloud.client::<K::Client>(target)?, id).await }.boxed_local()
    }
}

/// Decoding a spec, with an error that names the kind.
trait DecodeSpec: ResourceKind {
    fn decode_spec(&self, spec: &Document) -> Result<Self::Spec, ProviderError> {
        spec.decode().map_err(|error| ProviderError::bug(self.name(), format!("a spec does not fit its kind: {error}")))
    }

    /// Of a spec as it is kept, in which a digest stands for each sensitive value: where that is no value of the field's
    /// type, the field is empty. Whoever looks for an object, or changes one, knows it by other fields.
    fn decode_kept(&self, spec: &Document) -> Result<Self::Spec, ProviderError> {
        self.decode_spec(spec).or_else(|error| {
            let mut kept = spec.decode::<serde_json::Value>().map_err(|_| error)?;
            withhold(&mut kept);
            let encoded = serde_json::to_vec(&kept).and_then(|text| serde_json::from_slice(&text));
            encoded.map_err(|error| {
                ProviderError::bug(self.name(), format!("a spec that was kept does not fit its kind: {error}"))
            })
        })
    }
}

/// Empties what a digest stands for.
fn withhold(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Object(fields) if fields.len() == 1 && fields.contains_key("$sensitive") => {
            *value = serde_json::Value::String(String::new());
        }
        serde_json::Value::Object(fields) => fields.values_mut().for_each(withhold),
        serde_json::Value::Array(items) => items.iter_mut().for_each(withhold),
        serde_json::Value::Null
        | serde_json::Value::Bool(_)
        | serde_json::Value::Number(_)
        | serde_json::Value::String(_) => {}
    }
}

impl<K: ResourceKind> DecodeSpec for K {}

fn encode<T: Serialize>(value: &T) -> Result<Document, ProviderError> {
    Document::of(value).map_err(|error| ProviderError::bug("encode", error.to_string()))
}

fn erase<S: Serialize, O: Serialize>(live: Live<S, O>) -> Result<LiveDocument, ProviderError> {
    Ok(LiveDocument { spec: encode(&live.spec)?, outputs: encode(&live.outputs)?, status: live.status })
}
