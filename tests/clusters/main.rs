//! The whole engine over whole clusters: the topology as people write it, the store on a real disk, the unmodified AWS
//! SDK, and behind it the sandbox.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::wildcard_enum_match_arm,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, tells its figures, picks the events it wants and writes what the sandbox reads"
)]

mod crashes;
mod faults;
mod identity;
mod makespan;
mod pick_up;
#[path = "../support/rig.rs"]
mod rig;
mod settings;
mod teardown;
#[path = "../support/touches.rs"]
mod touches;
mod upgrades;
