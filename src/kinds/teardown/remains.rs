//! Deletes what a cluster leaves when it is gone: interfaces, security groups, its log group.

use crate::kinds::sdk::listing::{log_group, security_groups};
use crate::kinds::sdk::{Absence, Answer, Services};
use crate::resource::{Deletion, ProviderError};

use super::belongs::Cluster;
use super::{groups, interfaces};

/// Takes one request's worth of the way to a VPC and a log without traces of the cluster.
pub(super) async fn sweep(services: &Services, cluster: &Cluster) -> Result<Deletion, ProviderError> {
    // The log first: it waits for nothing, and need not wait until everything else is gone.
    if let Some(name) = log_group(services, &cluster.name).await? {
        let answer = services.logs.delete_log_group().log_group_name(&name).send().await;
        answer.written("logs:DeleteLogGroup").unless_absent()?;
        return Ok(Deletion::Again);
    }
    let all = security_groups(services, &cluster.vpc).await?;
    let own = |group: &aws_sdk_ec2::types::SecurityGroup| cluster.owns_group(group) || cluster.balances_with(group);
    match interfaces::sweep_all(services, cluster).await? {
        Deletion::Accepted => groups::sweep(services, &all, own, own).await,
        waiting @ (Deletion::Again | Deletion::Later(_)) => Ok(waiting),
    }
}
