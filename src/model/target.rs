//! Where a resource lives. Kept in state, so that a resource can be deleted after its text is gone.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::Address;

/// Where a resource lives.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Target {
    /// A region of the caller's AWS account.
    Aws {
        /// For example `us-west-2`.
        region: Arc<str>,
    },
    /// Inside a Kubernetes cluster, whose client is an output of that cluster's resource.
    Cluster {
        /// For example `eks.cluster/cluster-1`.
        cluster: Address,
    },
    /// Nowhere: made by meshplan itself (a certificate authority).
    Local,
}

impl Target {
    /// A region of the caller's account.
    #[must_use]
    pub fn aws(region: &str) -> Self {
        Self::Aws { region: region.into() }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Aws { region } => f.write_str(region),
            Self::Cluster { cluster } => fmt::Display::fmt(cluster, f),
            Self::Local => f.write_str("local"),
        }
    }
}
