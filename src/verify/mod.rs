//! Is the mesh really working? What was declared is compared with what the running control planes, load balancers and
//! proxies say, and with what requests between the clusters come to.
//!
//! Entry points: [`check()`], the pure core; [`gather`], which looks; [`watch::until_settled`], which looks again until
//! it holds. [`text`] and [`json`] render a [`Report`]. Nothing here changes anything, in a cluster or in state.
//!
//! | part | what it holds |
//! | --- | --- |
//! | `mesh` | what was declared: the input that the caller makes |
//! | `facts` | what was seen |
//! | `check` | from the one and the other to a report: six checks of every ordered pair |
//! | `gather` | reads the facts: the API servers, istiod's debug endpoints, curl, the load balancing API |
//! | `watch` | looks again until it holds, or for too long |
//! | `report`, `text`, `json` | verdicts, causes and remedies, and how they are written |

mod check;
mod facts;
pub mod gather;
pub mod json;
mod mesh;
mod report;
pub mod text;
pub mod watch;

#[cfg(test)]
mod tests;

pub use check::check;
pub use facts::{
    ApiEndpoint, Balancer, Bundle, ClusterFacts, Facts, Gateway, Injector, Istiod, KnownGateway, Pod, ReadCluster,
    Reader, RemoteAccess, RemoteSecret, Reply, SampleFacts, Seen, TargetHealth, Trust, Unseen,
};
pub use mesh::{Cluster, Family, Mesh, Reach, Sample, Version};
pub use report::{Cause, Check, Concern, Finding, Pair, Report, Verdict};
