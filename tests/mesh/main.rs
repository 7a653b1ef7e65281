//! Whole meshes in the sandbox, from the topology to requests between clusters: the binary applies and verifies, and in
//! between one thing is broken behind its back.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, tells its figures, and writes what the binary reads"
)]

mod crashes;
mod place;
#[path = "../support/rig.rs"]
mod rig;
#[expect(dead_code, reason = "the rest of it is for those who try every state")]
#[path = "../support/touches.rs"]
mod touches;
mod verify;
