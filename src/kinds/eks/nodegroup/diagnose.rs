//! Why nodes do not join: what can be told from outside before EKS gives up.

use aws_sdk_eks::types::Nodegroup;

use crate::kinds::eks::client::Eks;

/// What is wrong, a sentence each.
pub(super) async fn diagnose(_: &Eks, _: &str, group: &Nodegroup) -> Vec<String> {
    super::issues(group)
}
