//! Deletes the load balancers of a cluster, then their target groups, then their security groups.

use crate::kinds::sdk::listing::{load_balancers, security_groups, target_groups};
use crate::kinds::sdk::{Absence, Answer, Services};
use crate::resource::{Deletion, ErrorClass, ProviderError};

use super::belongs::Cluster;
use super::groups;

/// Takes one request's worth of the way to a VPC without load balancers of the cluster.
pub(super) async fn sweep(services: &Services, cluster: &Cluster) -> Result<Deletion, ProviderError> {
    let balancers = load_balancers(services, |balancer| balancer.vpc_id() == Some(&cluster.vpc)).await?;
    if let Some(balancer) = balancers.iter().find(|balancer| cluster.balances(&balancer.tags)) {
        let name = balancer.object.load_balancer_name().unwrap_or(&balancer.arn);
        let answer = services.elb.delete_load_balancer().load_balancer_arn(&balancer.arn).send().await;
        return match answer.written("elasticloadbalancing:DeleteLoadBalancer").unless_absent() {
            Ok(_) => Ok(Deletion::Again),
            Err(error) if error.has_code("OperationNotPermitted") => {
                let message = format!("load balancer {name} is protected from deletion: take the protection away");
                Err(ProviderError { message, ..error })
            }
            Err(error) if error.class == ErrorClass::InUse => {
                let message = format!(
                    "load balancer {name} cannot be deleted: {}; an endpoint service or another load balancer uses it",
                    error.message
                );
                Err(ProviderError { message, ..error.with_class(ErrorClass::Conflict) })
            }
            Err(error) => Err(error),
        };
    }
    let groups = target_groups(services, &cluster.vpc).await?;
    if let Some(group) = groups.iter().find(|group| cluster.balances(&group.tags)) {
        let name = group.object.target_group_name().unwrap_or(&group.arn);
        let answer = services.elb.delete_target_group().target_group_arn(&group.arn).send().await;
        return match answer.written("elasticloadbalancing:DeleteTargetGroup").unless_absent() {
            Ok(_) => Ok(Deletion::Again),
            // Its load balancer is gone from the lists before its listeners are.
            Err(error) if error.class == ErrorClass::InUse => {
                Ok(Deletion::Later(format!("target group {name} is still in use by a listener")))
            }
            Err(error) => Err(error),
        };
    }
    let all = security_groups(services, &cluster.vpc).await?;
    groups::sweep(services, &all, |group| cluster.balances_with(group), |group| cluster.owns_group(group)).await
}
