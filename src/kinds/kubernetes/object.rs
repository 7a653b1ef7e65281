//! The verbs that all kinds of objects share: look, make, apply, remove.

use http::Method;
use serde_json::{Map, Value as Json, json};

use crate::resource::{Deletion, ErrorClass, Ownership, ProviderError, Status};

use super::call::{Call, GroupVersion, ObjectRef, at, incomplete, text_at};
use super::client::Kube;
use super::discovery::{served, served_somehow};
use super::error::{NO_SUCH_KIND, NOT_FOUND, is_success};
use super::ownership::{MANAGER, identify, owned};

/// The annotation that says which create made an object.
pub(in crate::kinds) const CREATE: &str = "meshplan/create";

/// How many objects of a read are asked for at once.
pub(in crate::kinds) const WIDTH: usize = 8;

const GET: &str = "kubernetes:Get";
const APPLY: &str = "kubernetes:Apply";
const CREATE_OPERATION: &str = "kubernetes:Create";
const DELETE: &str = "kubernetes:Delete";

/// An object and how it is reached.
#[derive(Debug, Clone)]
pub(in crate::kinds) struct Place {
    pub(in crate::kinds) object: ObjectRef,
    pub(in crate::kinds) version: String,
    /// The name of its kind in paths.
    pub(in crate::kinds) plural: String,
}

impl Place {
    /// Of a kind of the core group, which every cluster serves.
    pub(in crate::kinds) fn core(object: ObjectRef, plural: &str) -> Self {
        Self { object, version: "v1".to_owned(), plural: plural.to_owned() }
    }

    /// Where an object is in some version; `None` if the cluster does not know its kind.
    pub(in crate::kinds) async fn find(kube: &Kube, object: &ObjectRef) -> Result<Option<Self>, ProviderError> {
        let found = served_somehow(kube, object).await?;
        Ok(found.map(|(version, served)| Self { object: object.clone(), version, plural: served.plural }))
    }

    /// Where an object is in a version; an error that may pass if the cluster does not know its kind.
    pub(in crate::kinds) async fn at_version(
        kube: &Kube,
        object: &ObjectRef,
        version: &GroupVersion,
    ) -> Result<Self, ProviderError> {
        let Some(served) = served(kube, version, &object.kind).await? else {
            let message = format!(
                "the cluster knows no kind {} of {version}: is its CustomResourceDefinition there?",
                object.kind
            );
            let code = Some(NO_SUCH_KIND.to_owned());
            return Err(ProviderError { code, ..ProviderError::new(ErrorClass::NotYet, APPLY, message) });
        };
        let wrong = |what: &str| {
            Err(ProviderError::new(ErrorClass::Invalid, APPLY, format!("{object}: `metadata.namespace` {what}")))
        };
        match (&object.namespace, served.is_namespaced) {
            (None, true) => wrong("is missing: objects of this kind are in a namespace"),
            (Some(_), false) => wrong("is set: objects of this kind are in none"),
            (Some(_), true) | (None, false) => {
                Ok(Self { object: object.clone(), version: version.version.clone(), plural: served.plural })
            }
        }
    }

    pub(in crate::kinds) fn path(&self) -> String {
        self.object.path(&self.version, &self.plural)
    }
}

/// An object as it is; `None` if there is none.
pub(in crate::kinds) async fn get(kube: &Kube, place: &Place) -> Result<Option<Json>, ProviderError> {
    match kube.call(Call::get(GET, place.path())).await {
        Ok(object) => Ok(Some(object)),
        Err(error) if error.has_code(NOT_FOUND) || error.has_code(NO_SUCH_KIND) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Applies a manifest under a field manager's name, and answers the object as it is then.
pub(in crate::kinds) async fn apply(
    kube: &Kube,
    place: &Place,
    manifest: &Json,
    manager: &str,
) -> Result<Json, ProviderError> {
    let path =
        format!("{}?fieldManager={manager}&fieldValidation=Strict&force={}", place.path(), kube.forces_conflicts());
    let call = Call::with_body(APPLY, Method::PATCH, path, "application/apply-patch+yaml", manifest)?;
    kube.call(call).await.map_err(|error| about(place, error))
}

/// Applies the manifest of an object that is to be made, unless somebody else's is there.
pub(in crate::kinds) async fn make(
    kube: &Kube,
    place: &Place,
    manifest: &Json,
    owner: &Ownership,
) -> Result<Json, ProviderError> {
    let refuse = |class, why: &str| Err(ProviderError::new(class, CREATE_OPERATION, format!("{} {why}", place.object)));
    // An apply would take over what is there without a word.
    match get(kube, place).await? {
        Some(there) if is_going(&there) => return refuse(ErrorClass::InUse, &going(&there)),
        Some(there) if !is_made_by(&there, owner) => {
            return refuse(
                ErrorClass::Conflict,
                "exists already and is not meshplan's: delete it, give yours another name, or declare it no longer",
            );
        }
        Some(_) | None => {}
    }
    let mut manifest = manifest.clone();
    annotate(&mut manifest, CREATE, &owner.token);
    apply(kube, place, &manifest, MANAGER).await
}

/// Whether this create made the object.
pub(in crate::kinds) fn is_made_by(object: &Json, owner: &Ownership) -> bool {
    text_at(object, &["metadata", "annotations", CREATE]) == Some(owner.token.as_str())
}

/// What an interrupted create made.
pub(in crate::kinds) async fn find(
    kube: &Kube,
    place: &Place,
    owner: &Ownership,
) -> Result<Option<crate::resource::RemoteId>, ProviderError> {
    let found = get(kube, place).await?.filter(|object| is_made_by(object, owner) && !is_going(object));
    Ok(found.map(|_| place.object.id()))
}

/// Removes an object that is ours. While something holds it, the answer says what.
pub(in crate::kinds) async fn remove(kube: &Kube, place: &Place) -> Result<Deletion, ProviderError> {
    let Some(there) = get(kube, place).await? else { return Ok(Deletion::Accepted) };
    if is_going(&there) {
        return Ok(Deletion::Later(going(&there)));
    }
    if owned(&there, MANAGER).is_none() {
        let message = format!(
            "{} is there and nothing of it is meshplan's: somebody made it anew; delete it by hand, or drop it from \
             state with `meshplan state forget`",
            place.object
        );
        return Err(ProviderError::new(ErrorClass::Conflict, DELETE, message));
    }
    let uid = text_at(&there, &["metadata", "uid"]).ok_or_else(|| incomplete(GET, "uid"))?;
    let options = json!({
        "apiVersion": "v1", "kind": "DeleteOptions",
        // Nothing but what was looked at: another one of this name is not ours.
        "preconditions": { "uid": uid },
        "propagationPolicy": "Background",
    });
    let call = Call::with_body(DELETE, Method::DELETE, place.path(), "application/json", &options)?;
    match kube.call(call).await {
        Ok(answer) if is_success(&answer) => Ok(Deletion::Accepted),
        Ok(answer) => Ok(Deletion::Later(going(&answer))),
        Err(error) if error.has_code(NOT_FOUND) => Ok(Deletion::Accepted),
        Err(error) if error.class == ErrorClass::Conflict => Ok(Deletion::Again),
        Err(error) => Err(about(place, error)),
    }
}

/// Whether an object is going away.
pub(in crate::kinds) fn is_going(object: &Json) -> bool {
    at(object, &["metadata", "deletionTimestamp"]).is_some_and(|at| !at.is_null())
}

/// What an object that is going away waits for.
fn going(object: &Json) -> String {
    const REASONS: [&str; 5] = [
        "NamespaceFinalizersRemaining",
        "NamespaceContentRemaining",
        "NamespaceDeletionContentFailure",
        "NamespaceDeletionDiscoveryFailure",
        "NamespaceDeletionGroupVersionParsingFailure",
    ];
    let conditions = at(object, &["status", "conditions"]).and_then(Json::as_array).map(Vec::as_slice);
    let mut reasons: Vec<String> = conditions
        .unwrap_or_default()
        .iter()
        .filter(|condition| {
            text_at(condition, &["status"]) == Some("True")
                && text_at(condition, &["type"]).is_some_and(|kind| REASONS.contains(&kind))
        })
        .filter_map(|condition| text_at(condition, &["message"]))
        .map(|message| message.trim_end_matches('.').to_owned())
        .collect();
    let finalizers = at(object, &["metadata", "finalizers"]).and_then(Json::as_array).map(Vec::as_slice);
    let finalizers: Vec<&str> = finalizers.unwrap_or_default().iter().filter_map(Json::as_str).collect();
    if !finalizers.is_empty() {
        reasons.push(format!("held by {}", finalizers.join(", ")));
    }
    if reasons.is_empty() { "is being deleted".to_owned() } else { format!("is being deleted: {}", reasons.join("; ")) }
}

/// The status of an object of any kind, as far as all kinds agree on it.
pub(in crate::kinds) fn status(object: &Json) -> Status {
    if is_going(object) {
        return Status::Deleting;
    }
    match text_at(object, &["kind"]) {
        // Objects of its kind can be made once it is established.
        Some("CustomResourceDefinition") => {
            let conditions = at(object, &["status", "conditions"]).and_then(Json::as_array).map(Vec::as_slice);
            let conditions = conditions.unwrap_or_default();
            let find = |kind: &str| conditions.iter().find(|condition| text_at(condition, &["type"]) == Some(kind));
            let is = |kind: &str, value: &str| find(kind).and_then(|c| text_at(c, &["status"])) == Some(value);
            if is("Established", "True") {
                Status::Ready
            } else if is("NamesAccepted", "False") {
                let why = find("NamesAccepted").and_then(|c| text_at(c, &["message"])).unwrap_or("names are taken");
                Status::Pending(format!("its names are not accepted: {why}"))
            } else {
                Status::Pending("it is not established".to_owned())
            }
        }
        Some(_) | None => Status::Ready,
    }
}

/// What we applied of an object, without our own notes on it, and those of an apply that made something else of it.
pub(in crate::kinds) fn applied(object: &Json) -> Applied {
    let mut manifest = owned(object, MANAGER).map(|owned| owned.object).unwrap_or_default();
    identify(&mut manifest, object);
    let mut reads_as = None;
    if let Some(metadata) = manifest.get_mut("metadata").and_then(Json::as_object_mut)
        && let Some(annotations) = metadata.get_mut("annotations").and_then(Json::as_object_mut)
    {
        annotations.remove(CREATE);
        reads_as = annotations.remove(super::reads_as::ANNOTATION);
        if annotations.is_empty() {
            metadata.remove("annotations");
        }
    }
    Applied { manifest, reads_as: reads_as.and_then(|text| text.as_str().map(str::to_owned)) }
}

/// See [`applied`].
pub(in crate::kinds) struct Applied {
    pub(in crate::kinds) manifest: Json,
    pub(in crate::kinds) reads_as: Option<String>,
}

/// Sets an annotation.
pub(in crate::kinds) fn annotate(manifest: &mut Json, key: &str, value: &str) {
    let Some(fields) = manifest.as_object_mut() else { return };
    let mut object = fields;
    for name in ["metadata", "annotations"] {
        let entry = object.entry(name).or_insert(Json::Null);
        if !entry.is_object() {
            *entry = Json::Object(Map::new());
        }
        let Some(next) = entry.as_object_mut() else { return };
        object = next;
    }
    object.insert(key.to_owned(), Json::String(value.to_owned()));
}

/// Names the object in an error that does not.
fn about(place: &Place, error: ProviderError) -> ProviderError {
    if error.message.contains(&place.object.name) {
        return error;
    }
    ProviderError { message: format!("{}: {}", place.object, error.message), ..error }
}
