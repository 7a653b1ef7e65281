//! Whole meshes in the sandbox, from the topology to requests between clusters: the binary applies and verifies, and in
//! between one thing is broken behind its back.

#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a test fails by panicking, and writes what the binary reads"
)]

mod place;
mod verify;
