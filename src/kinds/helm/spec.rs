//! What is declared of a release, and what it is called.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::{Address, Value};
use crate::resource::{ADDRESS_TAG, ErrorClass, MESH_TAG, ProviderError, ReleaseOrder, ReleaseStatus, RemoteId};

use super::marker::Marker;
use super::repair::word;
use super::values;

const READ: &str = "helm:Read";

/// Which chart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chart {
    /// Its name in the repository, an `oci://` reference, or a local directory or archive.
    pub name: String,
    /// The repository's URL; `None` for a chart that says itself where it is.
    pub repository: Option<String>,
    /// Its exact version; `None` for the newest, whichever that is.
    pub version: Option<String>,
}

/// What is declared of a release.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Its name.
    pub name: String,
    /// Its namespace, which exists.
    pub namespace: String,
    /// The chart: a name in `repository`, an `oci://` reference, or a local directory or archive. Of a release that is
    /// there only the chart's name is known.
    pub chart: String,
    /// The repository's URL; cannot be read back.
    pub repository: Option<String>,
    /// The chart's version.
    #[serde(serialize_with = "plain_version")]
    pub version: Option<String>,
    /// The values; may have holes.
    #[serde(serialize_with = "values::serialize")]
    pub values: Value,
    /// Whose it is: the tags [`MESH_TAG`] and [`ADDRESS_TAG`].
    pub tags: BTreeMap<String, String>,
    /// `deployed`; of a release that is there, what its last operation left instead.
    pub status: String,
}

impl Spec {
    /// The spec of a release of this mesh.
    #[must_use]
    pub fn new(mesh: &str, address: &Address, (namespace, name): (&str, &str), chart: Chart, values: Value) -> Self {
        let tags = [(MESH_TAG.to_owned(), mesh.to_owned()), (ADDRESS_TAG.to_owned(), address.to_string())];
        Self {
            name: name.to_owned(),
            namespace: namespace.to_owned(),
            chart: chart.name,
            repository: chart.repository,
            version: chart.version,
            values,
            tags: BTreeMap::from(tags),
            status: word(ReleaseStatus::Deployed).to_owned(),
        }
    }

    /// The order for it. `upgrades` is whether there is a release already.
    pub(super) fn order(
        &self,
        token: Option<&str>,
        forces_conflicts: bool,
        upgrades: bool,
    ) -> Result<ReleaseOrder, ProviderError> {
        let values = serde_json::to_value(values::canonical(&self.values))
            .map_err(|error| ProviderError::bug("helm:Spec", error.to_string()))?;
        Ok(ReleaseOrder {
            name: self.name.clone(),
            namespace: self.namespace.clone(),
            chart: self.chart.clone(),
            repository: self.repository.clone(),
            version: self.version.clone(),
            values,
            description: Marker::of(&self.tags, token).map(|marker| marker.text()).unwrap_or_default(),
            forces_conflicts,
            upgrades,
        })
    }
}

/// A version without the `v` that some charts write before it; helm takes either for either.
#[expect(clippy::ref_option, reason = "serde hands on a reference to the field")]
fn plain_version<S: serde::Serializer>(version: &Option<String>, serializer: S) -> Result<S::Ok, S::Error> {
    version.as_deref().map(unprefixed).serialize(serializer)
}

/// See [`plain_version`].
pub(super) fn unprefixed(version: &str) -> &str {
    version.strip_prefix('v').filter(|rest| rest.starts_with(|c: char| c.is_ascii_digit())).unwrap_or(version)
}

/// A release's id.
pub(super) fn id_of(namespace: &str, name: &str) -> RemoteId {
    RemoteId::new(format!("{namespace}/{name}"))
}

/// The namespace and the name of an id.
pub(super) fn parts(id: &RemoteId) -> Result<(&str, &str), ProviderError> {
    let parts = id.as_str().split_once('/').filter(|(namespace, name)| !namespace.is_empty() && !name.is_empty());
    parts.ok_or_else(|| {
        let message = format!("`{id}` is no id of a release: it is `NAMESPACE/NAME`");
        ProviderError::new(ErrorClass::Invalid, READ, message)
    })
}
