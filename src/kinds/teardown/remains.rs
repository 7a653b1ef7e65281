//! Deletes what a cluster leaves when it is gone: interfaces and security groups.
//!
//! Its log group stays: EKS makes it when somebody turns logging on, keeps it for later, and puts no tag on it by which a
//! log of this cluster could be told from that of an earlier one of the same name. The audit names it.

use crate::kinds::sdk::listing::security_groups;
use crate::kinds::sdk::{Absence, Answer, Services};
use crate::resource::{Deletion, ProviderError};

use super::belongs::Cluster;
use super::{groups, interfaces};

/// Takes one request's worth of the way to a VPC without traces of the cluster.
pub(super) async fn sweep(services: &Services, cluster: &Cluster) -> Result<Deletion, ProviderError> {
    // A cluster of that name that is still there is not the one whose remains these would be.
    let answer = services.eks.describe_cluster().name(&cluster.name).send().await;
    if answer.read("eks:DescribeCluster").unless_absent()?.is_some() {
        return Ok(Deletion::Accepted);
    }
    let all = security_groups(services, &cluster.vpc).await?;
    let own = |group: &aws_sdk_ec2::types::SecurityGroup| cluster.owns_group(group) || cluster.balances_with(group);
    match interfaces::sweep_all(services, cluster).await? {
        Deletion::Accepted => groups::sweep(services, &all, own, own).await,
        waiting @ (Deletion::Again | Deletion::Later(_)) => Ok(waiting),
    }
}
