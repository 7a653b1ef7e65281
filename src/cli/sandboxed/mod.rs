//! What stands between the engine's ports and the sandbox, which knows nothing of the engine.
//!
//! Entry point: [`cloud`], with everything in it. `route` leads to clusters that no network leads to, `helm` records
//! releases in them.

pub(super) mod helm;
pub(super) mod route;

use std::rc::Rc;
use std::sync::Arc;

use self::helm::SandboxHelm;
use self::route::SandboxRoute;
use crate::model::Clock;
use crate::resource::{Cloud, Helm, Keeper};
use crate::sandbox::Sandbox;

/// The simulated cloud, as the engine sees one: its AWS, its clock, its clusters, and what stands in for Helm in these.
/// `program` runs Helm for clusters that are not the sandbox's.
#[must_use]
pub fn cloud(sandbox: &Sandbox, keeper: Rc<dyn Keeper>, program: Rc<dyn Helm>) -> Cloud {
    let clock: Arc<dyn Clock> = Arc::new(sandbox.clock().clone());
    Cloud::new(sandbox.sdk_config())
        .with_keeper(keeper)
        .with_clock(Arc::clone(&clock))
        .with_helm(Rc::new(SandboxHelm::new(sandbox, clock, program)))
        .with_route(Rc::new(SandboxRoute::of(sandbox)))
}
