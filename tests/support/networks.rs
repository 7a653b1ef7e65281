//! The networks of a topology without its clusters.

use meshplan::compile::Declaration;

use crate::rig::declarations;

/// The declarations of a topology's networks alone.
pub(crate) fn networks(text: &str) -> Vec<Declaration> {
    let mut all = declarations(text);
    all.retain(|declaration| {
        declaration.address.kind().starts_with("aws.") && declaration.address.kind() != "aws.security_group_rule"
    });
    all
}
