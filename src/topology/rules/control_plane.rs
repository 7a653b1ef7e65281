//! What a control plane takes besides its network: R29, the security groups that are given by hand.

use std::collections::BTreeSet;

use super::codes::SECURITY_GROUPS;
use super::names::is_id;
use super::{Checked, cluster_at};
use crate::model::Diagnostic;
use crate::topology::resolved::Cluster;

/// A network interface has five security groups ("Amazon VPC quotas"), and one of them is EKS's own.
const MOST_GROUPS: usize = 4;

pub(super) fn check(checked: &Checked<'_>, diagnostics: &mut Vec<Diagnostic>) {
    for cluster in checked.clusters().filter(|cluster| cluster.existing.is_none()) {
        security_groups(cluster, diagnostics);
    }
}

fn security_groups(cluster: &Cluster, diagnostics: &mut Vec<Diagnostic>) {
    let groups = &cluster.security_groups;
    let at = cluster_at(cluster.name.as_str(), "security_groups");
    let mut seen = BTreeSet::new();
    for (n, group) in groups.iter().enumerate() {
        let found = if !is_id(group, "sg") {
            Diagnostic::error(SECURITY_GROUPS, format!("`{group}` is not a security group's id"))
                .help("ids read `sg-` and 17 hexadecimal digits, for example `sg-0123456789abcdef0`")
        } else if !seen.insert(group) {
            Diagnostic::error(SECURITY_GROUPS, format!("`{group}` is named twice")).help("remove one of the two")
        } else {
            continue;
        };
        diagnostics.push(found.at(at.clone().index(n)));
    }
    if groups.len() > MOST_GROUPS {
        let message = format!(
            "{} is given {} security groups, and a control plane takes {MOST_GROUPS}",
            cluster.name,
            groups.len()
        );
        diagnostics.push(
            Diagnostic::error(SECURITY_GROUPS, message)
                .at(at)
                .note("a network interface has five security groups, and one of them is EKS's own")
                .help("put their rules into fewer groups"),
        );
    }
}
