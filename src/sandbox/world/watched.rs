//! What a process remembers of the controllers in the clusters: up to where each has seen everything.
//!
//! Entry point: [`Watched`]. It is not written down: after a restart everything is looked at once more.

use std::collections::BTreeMap;

use jiff::Timestamp;

/// Up to where the controllers of a region's clusters have seen everything.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    /// When they last looked.
    pub(crate) at: Option<Timestamp>,
    /// How many changes there were to what AWS runs for clusters, when they last looked.
    pub(crate) changes: u64,
    /// By the cluster's name.
    pub(crate) clusters: BTreeMap<String, Seen>,
}

/// Up to where the controllers of a cluster have seen everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seen {
    /// The revision of its objects.
    pub(crate) revision: u64,
    /// A number for what AWS runs for it.
    pub(crate) machinery: u64,
    /// When time alone next changes something.
    pub(crate) due: Option<Timestamp>,
}
