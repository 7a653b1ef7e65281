//! The whole engine over whole networks: the topology as people write it, the store on a real disk, the unmodified AWS
//! SDK, and behind it the sandbox or moto.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking, and tells its figures")]

mod changes;
mod crashes;
mod makespan;
mod plans;
mod rig;
#[path = "../support/stand_ins.rs"]
mod stand_ins;
mod wire;
