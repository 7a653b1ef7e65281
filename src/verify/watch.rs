//! Looks again until the mesh works. After an apply things take time: a load balancer registers its targets in three to
//! five minutes, istiod reads another cluster in twelve seconds.
//!
//! Entry point: [`until_settled`].

use std::time::Duration;

use super::check;
use super::gather::gather;
use super::mesh::Mesh;
use super::report::Report;
use crate::model::Clock;
use crate::resource::Cloud;

/// Between two looks.
const INTERVAL: Duration = Duration::from_secs(10);

/// How long a mesh may take to work after the end of an apply.
pub const LIMIT: Duration = Duration::from_mins(5);

/// Looks until everything holds, until what is wrong is nothing that passes by itself, or until `limit` has passed on
/// the clock; answers the last report. `tell` is told of every look that is followed by another one.
///
/// # Cancel safety
/// Dropping the future stops looking; nothing was changed.
pub async fn until_settled(
    mesh: &Mesh,
    cloud: &Cloud,
    clock: &dyn Clock,
    limit: Duration,
    mut tell: impl FnMut(&Report),
) -> Report {
    let began = clock.now();
    let mut lasting = false;
    loop {
        let report = check(mesh, &gather(mesh, cloud, clock).await);
        if report.holds() {
            return report;
        }
        // One look may fall between two changes; two that agree do not.
        let lasts = !report.may_settle();
        let elapsed = Duration::try_from(clock.now().duration_since(began)).unwrap_or(limit);
        if (lasting && lasts) || elapsed + INTERVAL > limit {
            return report;
        }
        lasting = lasts;
        tell(&report);
        clock.sleep(INTERVAL).await;
    }
}
