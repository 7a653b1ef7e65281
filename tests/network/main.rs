//! The whole engine over whole networks: the topology as people write it, the store on a real disk, the unmodified AWS
//! SDK, and behind it the sandbox or moto.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking, and tells its figures")]

mod changes;
mod crashes;
mod makespan;
#[path = "../support/networks.rs"]
mod networks;
mod peering;
mod plans;
#[path = "../support/rig.rs"]
mod rig;
#[path = "../support/stand_ins.rs"]
mod stand_ins;
#[path = "../support/touches.rs"]
mod touches;
mod wire;
