//! The whole engine over whole networks: the topology as people write it, the store on a real disk, the unmodified AWS
//! SDK, and behind it the sandbox or moto.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a test fails by panicking, and tells its figures")]

mod changes;
mod crashes;
mod makespan;
mod plans;
#[path = "../support/rig.rs"]
mod rig;
#[path = "../support/stand_ins.rs"]
mod stand_ins;
#[path = "../support/touches.rs"]
mod touches;
mod wire;

use meshplan::compile::Declaration;

/// The declarations of a topology's networks alone.
pub(crate) fn networks(text: &str) -> Vec<Declaration> {
    let mut all = rig::declarations(text);
    all.retain(|declaration| {
        declaration.address.kind().starts_with("aws.") && declaration.address.kind() != "aws.security_group_rule"
    });
    all
}
