//! Whole meshes in the sandbox, from the topology to requests between clusters: the binary applies and verifies, and in
//! between one thing is broken behind its back.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod place;
mod verify;
