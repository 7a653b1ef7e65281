//! Helm releases.

pub mod release;
