//! Helm releases on a real control plane with the real helm 3 and 4: what is left by whoever was killed, who else was at
//! it, and what a plan says before.
#![expect(clippy::unwrap_used, reason = "a test says what is wrong by panicking")]

mod charts;
#[path = "../support/control_plane.rs"]
mod control_plane;
mod crashes;
mod lifecycle;
mod others;
mod previews;
mod rig;
#[path = "../support/stand_ins.rs"]
mod stand_ins;
mod tidiness;

use std::sync::OnceLock;

use control_plane::{ControlPlane, Family};
use stand_ins::Trouble;

/// The control plane that all tests share, each in namespaces of its own.
fn plane() -> Result<&'static ControlPlane, &'static Trouble> {
    static PLANE: OnceLock<Result<ControlPlane, Trouble>> = OnceLock::new();
    PLANE.get_or_init(|| ControlPlane::start(Family::Ipv4)).as_ref()
}

fn run<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// The versions of helm that there are.
const MAJORS: [u8; 2] = [3, 4];
