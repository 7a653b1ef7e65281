//! `helm.release`: what is declared of a release.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::{Address, Value};

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
    /// The chart.
    pub chart: String,
    /// The repository's URL.
    pub repository: Option<String>,
    /// The chart's version.
    pub version: Option<String>,
    /// The values.
    pub values: Value,
    /// Whose it is.
    pub tags: BTreeMap<String, String>,
    /// `deployed`.
    pub status: String,
}

impl Spec {
    /// The spec of a release of this mesh.
    #[must_use]
    pub fn new(mesh: &str, address: &Address, (namespace, name): (&str, &str), chart: Chart, values: Value) -> Self {
        Self {
            name: name.to_owned(),
            namespace: namespace.to_owned(),
            chart: chart.name,
            repository: chart.repository,
            version: chart.version,
            values,
            tags: [("meshplan:mesh".to_owned(), mesh.to_owned()), ("meshplan:address".to_owned(), address.to_string())]
                .into(),
            status: "deployed".to_owned(),
        }
    }
}
