//! Lists that more than one module reads, whole: every page, and with tags where the service keeps them apart.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::{Filter, NetworkInterface, SecurityGroup};
use aws_sdk_elasticloadbalancingv2::types::{LoadBalancer, TargetGroup};

use super::tags::Tags;
use super::{Absence, Answer, Services};
use crate::resource::ProviderError;

/// The most that one page of EC2's lists holds.
const EC2_PAGE: i32 = 1000;

/// The most that one page of Elastic Load Balancing's lists holds.
const ELB_PAGE: i32 = 400;

/// The most whose tags one request answers (`DescribeTags` of Elastic Load Balancing).
const TAGGED: usize = 20;

/// A load balancer or target group, and its tags.
#[derive(Debug, Clone)]
pub(in crate::kinds) struct Tagged<T> {
    /// Its ARN.
    pub(in crate::kinds) arn: String,
    /// The object.
    pub(in crate::kinds) object: T,
    /// Its tags.
    pub(in crate::kinds) tags: Tags,
}

/// Keys and values as a map: what is looked up is one key.
pub(in crate::kinds) fn map(tags: &[aws_sdk_ec2::types::Tag]) -> Tags {
    tags.iter().filter_map(|tag| Some((tag.key()?.to_owned(), tag.value().unwrap_or_default().to_owned()))).collect()
}

/// One of EC2's filters, on one value.
pub(in crate::kinds) fn filter(name: &str, value: &str) -> Filter {
    Filter::builder().name(name).values(value).build()
}

/// The load balancers that `wanted` picks, with their tags.
pub(in crate::kinds) async fn load_balancers(
    services: &Services,
    wanted: impl Fn(&LoadBalancer) -> bool,
) -> Result<Vec<Tagged<LoadBalancer>>, ProviderError> {
    let mut pages = services.elb.describe_load_balancers().page_size(ELB_PAGE).into_paginator().send();
    let mut found = BTreeMap::new();
    while let Some(page) = pages.next().await {
        let page = page.read("elasticloadbalancing:DescribeLoadBalancers")?;
        for balancer in page.load_balancers.unwrap_or_default().into_iter().filter(&wanted) {
            if let Some(arn) = balancer.load_balancer_arn.clone() {
                found.insert(arn, balancer);
            }
        }
    }
    tagged(services, found).await
}

/// The target groups of a VPC, with their tags.
pub(in crate::kinds) async fn target_groups(
    services: &Services,
    vpc: &str,
) -> Result<Vec<Tagged<TargetGroup>>, ProviderError> {
    let mut pages = services.elb.describe_target_groups().page_size(ELB_PAGE).into_paginator().send();
    let mut found = BTreeMap::new();
    while let Some(page) = pages.next().await {
        let page = page.read("elasticloadbalancing:DescribeTargetGroups")?;
        let groups = page.target_groups.unwrap_or_default().into_iter();
        for group in groups.filter(|group| group.vpc_id() == Some(vpc)) {
            if let Some(arn) = group.target_group_arn.clone() {
                found.insert(arn, group);
            }
        }
    }
    tagged(services, found).await
}

async fn tagged<T>(services: &Services, mut objects: BTreeMap<String, T>) -> Result<Vec<Tagged<T>>, ProviderError> {
    let arns: Vec<String> = objects.keys().cloned().collect();
    let mut found = Vec::new();
    for chunk in arns.chunks(TAGGED) {
        let request = services.elb.describe_tags().set_resource_arns(Some(chunk.to_vec()));
        // One that went away between the two requests fails the request for all: the next look will not list it.
        let answer = request.send().await.read("elasticloadbalancing:DescribeTags")?;
        for description in answer.tag_descriptions.unwrap_or_default() {
            let Some(arn) = description.resource_arn else { continue };
            let Some(object) = objects.remove(&arn) else { continue };
            let pairs = description.tags.unwrap_or_default().into_iter();
            let tags = pairs.filter_map(|tag| Some((tag.key?, tag.value.unwrap_or_default()))).collect();
            found.push(Tagged { arn, object, tags });
        }
    }
    Ok(found)
}

/// The network interfaces that pass all of these filters.
pub(in crate::kinds) async fn interfaces(
    services: &Services,
    filters: Vec<Filter>,
) -> Result<Vec<NetworkInterface>, ProviderError> {
    let request = services.ec2.describe_network_interfaces().set_filters(Some(filters)).max_results(EC2_PAGE);
    let mut pages = request.into_paginator().send();
    let mut found = Vec::new();
    while let Some(page) = pages.next().await {
        found.extend(page.read("ec2:DescribeNetworkInterfaces")?.network_interfaces.unwrap_or_default());
    }
    Ok(found)
}

/// The security groups of a VPC.
pub(in crate::kinds) async fn security_groups(
    services: &Services,
    vpc: &str,
) -> Result<Vec<SecurityGroup>, ProviderError> {
    let request = services.ec2.describe_security_groups().filters(filter("vpc-id", vpc)).max_results(EC2_PAGE);
    let mut pages = request.into_paginator().send();
    let mut found = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.read("ec2:DescribeSecurityGroups")?;
        // Servers exist that ignore a filter, and what is found here may be deleted.
        let groups = page.security_groups.unwrap_or_default().into_iter();
        found.extend(groups.filter(|group| group.vpc_id() == Some(vpc)));
    }
    Ok(found)
}

/// The log group to which EKS writes a control plane's logs, if it is there.
pub(in crate::kinds) async fn log_group(services: &Services, cluster: &str) -> Result<Option<String>, ProviderError> {
    let name = format!("/aws/eks/{cluster}/cluster");
    let answer = services.logs.describe_log_groups().log_group_name_prefix(&name).send().await;
    // The name itself is the first of all that begin with it, so one page is enough.
    let answer = answer.read("logs:DescribeLogGroups").unless_absent()?;
    let groups = answer.and_then(|answer| answer.log_groups).unwrap_or_default();
    Ok(groups.into_iter().filter_map(|group| group.log_group_name).find(|found| *found == name))
}
