//! Whether somebody answers behind a load balancer of AWS. Entry point: [`health`].

use aws_sdk_elasticloadbalancingv2::types::{
    LoadBalancer, LoadBalancerStateEnum, TargetHealthDescription, TargetHealthStateEnum,
};

use crate::kinds::sdk::{Answer, Services};
use crate::resource::{ProviderError, Status};

/// The most that one page of Elastic Load Balancing's lists holds.
const PAGE: i32 = 400;

/// Whether a load balancer takes a target behind this port of theirs for healthy.
pub(super) async fn health(services: &Services, host: &str, port: u16) -> Result<Status, ProviderError> {
    let Some(balancer) = find(services, host).await? else {
        return Ok(Status::Pending(format!("AWS knows no load balancer {host}")));
    };
    let state = balancer.state().and_then(|state| state.code());
    let is_up = |code: &LoadBalancerStateEnum| {
        matches!(code, LoadBalancerStateEnum::Active | LoadBalancerStateEnum::ActiveImpaired)
    };
    if let Some(waiting) = state.filter(|code| !is_up(code)) {
        return Ok(Status::Pending(format!("the load balancer is {}", waiting.as_str())));
    }
    let arn = balancer.load_balancer_arn().unwrap_or_default();
    let groups = services.elb.describe_target_groups().load_balancer_arn(arn).send().await;
    let groups = groups.read("elasticloadbalancing:DescribeTargetGroups")?;
    let group = groups.target_groups().iter().find(|group| group.port() == Some(i32::from(port)));
    let Some(arn) = group.and_then(|group| group.target_group_arn()) else {
        return Ok(Status::Pending(format!("the load balancer has no targets for port {port} yet")));
    };
    let answer = services.elb.describe_target_health().target_group_arn(arn).send().await;
    let answer = answer.read("elasticloadbalancing:DescribeTargetHealth")?;
    Ok(judge(answer.target_health_descriptions(), port))
}

/// The load balancer of a name. Names are not told apart by case.
async fn find(services: &Services, host: &str) -> Result<Option<LoadBalancer>, ProviderError> {
    let mut pages = services.elb.describe_load_balancers().page_size(PAGE).into_paginator().send();
    while let Some(page) = pages.next().await {
        let page = page.read("elasticloadbalancing:DescribeLoadBalancers")?;
        let is_it = |one: &LoadBalancer| one.dns_name().is_some_and(|name| name.eq_ignore_ascii_case(host));
        if let Some(found) = page.load_balancers.unwrap_or_default().into_iter().find(is_it) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn judge(targets: &[TargetHealthDescription], port: u16) -> Status {
    let health = |target: &TargetHealthDescription| target.target_health().and_then(|health| health.state()).cloned();
    if targets.iter().any(|target| health(target) == Some(TargetHealthStateEnum::Healthy)) {
        return Status::Ready;
    }
    let mut states: Vec<String> = targets
        .iter()
        .filter_map(|target| {
            let state = health(target)?;
            let id = target.target().and_then(|target| target.id()).unwrap_or("one");
            Some(format!("{id} is {}", state.as_str()))
        })
        .collect();
    states.sort_unstable();
    let targets = if states.is_empty() { "there is none".to_owned() } else { states.join(", ") };
    Status::Pending(format!("no target for port {port} is healthy: {targets}"))
}

#[cfg(test)]
mod tests {
    use aws_sdk_elasticloadbalancingv2::types::{TargetDescription, TargetHealth};

    use super::*;

    fn target(id: &str, state: TargetHealthStateEnum) -> TargetHealthDescription {
        TargetHealthDescription::builder()
            .target(TargetDescription::builder().id(id).build())
            .target_health(TargetHealth::builder().state(state).build())
            .build()
    }

    #[test]
    fn one_healthy_target_is_enough() {
        let (initial, healthy) = (TargetHealthStateEnum::Initial, TargetHealthStateEnum::Healthy);
        let both = [target("10.1.0.9", initial.clone()), target("10.1.16.9", healthy)];
        assert_eq!(judge(&both, 15443), Status::Ready);
        let Status::Pending(why) = judge(&both[..1], 15443) else { panic!() };
        assert_eq!(why, "no target for port 15443 is healthy: 10.1.0.9 is initial");
        let Status::Pending(why) = judge(&[], 15443) else { panic!() };
        assert_eq!(why, "no target for port 15443 is healthy: there is none");
    }
}
