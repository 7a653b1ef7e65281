//! Which kinds a cluster serves, in which versions, and under which names in paths.

use std::rc::Rc;

use serde::Deserialize;

use crate::resource::{ErrorClass, ProviderError};

use super::call::{Call, GroupVersion, ObjectRef};
use super::client::Kube;
use super::error::{NO_SUCH_KIND, NOT_FOUND};

const OPERATION: &str = "kubernetes:Discover";

/// A kind as it is served in one version.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Served {
    pub(super) kind: String,
    /// Its name in paths; subresources have a `/` in theirs.
    #[serde(rename = "name")]
    pub(super) plural: String,
    #[serde(rename = "namespaced")]
    pub(super) is_namespaced: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct ResourceList {
    resources: Vec<Served>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Group {
    preferred_version: Version,
    versions: Vec<Version>,
}

#[derive(Debug, Deserialize)]
struct Version {
    version: String,
}

/// How a kind is served in a version; `None` if it is not (a definition that is yet to be made).
pub(super) async fn served(kube: &Kube, of: &GroupVersion, kind: &str) -> Result<Option<Served>, ProviderError> {
    let found = |kinds: &Rc<[Served]>| kinds.iter().find(|served| served.kind == kind).cloned();
    let known = kube.served().borrow().get(&of.path()).and_then(&found);
    if known.is_some() {
        return Ok(known);
    }
    // What is not known may have been made since: it is asked for anew each time.
    let list: ResourceList = match kube.call(Call::get(OPERATION, of.path())).await {
        Ok(answer) => serde_json::from_value(answer)
            .map_err(|error| ProviderError::new(ErrorClass::Transient, OPERATION, error.to_string()))?,
        Err(error) if is_absent(&error) => ResourceList::default(),
        Err(error) => return Err(error),
    };
    let kinds: Rc<[Served]> = list.resources.into_iter().filter(|served| !served.plural.contains('/')).collect();
    let known = found(&kinds);
    kube.served().borrow_mut().insert(of.path(), kinds);
    Ok(known)
}

/// How an object's kind is served in the version that the cluster prefers, or in any; `None` if it is not.
pub(super) async fn served_somehow(kube: &Kube, object: &ObjectRef) -> Result<Option<(String, Served)>, ProviderError> {
    if object.group.is_empty() {
        let core = GroupVersion { group: String::new(), version: "v1".to_owned() };
        return Ok(served(kube, &core, &object.kind).await?.map(|served| (core.version, served)));
    }
    let known = kube.versions().borrow().get(&object.group).cloned();
    if let Some(known) = known
        && let Some(found) = served_in(kube, object, known).await?
    {
        return Ok(Some(found));
    }
    let versions = versions(kube, &object.group).await?;
    kube.versions().borrow_mut().insert(object.group.clone(), versions.clone());
    served_in(kube, object, versions).await
}

/// How a kind is served in the first of these versions that has it.
async fn served_in(
    kube: &Kube,
    object: &ObjectRef,
    versions: Vec<String>,
) -> Result<Option<(String, Served)>, ProviderError> {
    for version in versions {
        let of = GroupVersion { group: object.group.clone(), version };
        if let Some(served) = served(kube, &of, &object.kind).await? {
            return Ok(Some((of.version, served)));
        }
    }
    Ok(None)
}

/// A group's versions, the preferred one first.
async fn versions(kube: &Kube, group: &str) -> Result<Vec<String>, ProviderError> {
    let answer = match kube.call(Call::get(OPERATION, format!("/apis/{group}"))).await {
        Ok(answer) => answer,
        Err(error) if is_absent(&error) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let group: Group = serde_json::from_value(answer)
        .map_err(|error| ProviderError::new(ErrorClass::Transient, OPERATION, error.to_string()))?;
    let mut versions = vec![group.preferred_version.version];
    versions.extend(group.versions.into_iter().map(|version| version.version));
    Ok(versions)
}

fn is_absent(error: &ProviderError) -> bool {
    error.has_code(NO_SUCH_KIND) || error.has_code(NOT_FOUND)
}
