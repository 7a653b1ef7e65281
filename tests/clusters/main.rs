//! The whole engine over whole clusters: the topology as people write it, the store on a real disk, the unmodified AWS
//! SDK, and behind it the sandbox.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking, and tells its figures")]

mod crashes;
mod faults;
mod makespan;
mod pick_up;
#[path = "../support/rig.rs"]
mod rig;
mod teardown;
#[path = "../support/touches.rs"]
mod touches;
mod upgrades;
