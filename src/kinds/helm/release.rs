//! `helm.release`: what is declared of a release.

use serde::{Deserialize, Serialize};

use crate::model::Value;

/// What is declared of a release.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Its name.
    pub name: String,
    /// Its namespace, which exists.
    pub namespace: String,
    /// The chart.
    pub chart: String,
    /// The repository's URL.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// The chart's version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// The values.
    pub values: Value,
}
