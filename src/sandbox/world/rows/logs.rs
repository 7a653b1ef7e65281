//! The objects of CloudWatch Logs.

use serde::{Deserialize, Serialize};

use super::{Head, Row, row};

/// A log group.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct LogGroup {
    /// The id is the name: `/aws/eks/cluster-1/cluster`.
    pub(crate) head: Head,
    /// For how many days events are kept; for ever when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) retention_days: Option<u32>,
}

row!(LogGroup, "log-group", |_group| Vec::new());
