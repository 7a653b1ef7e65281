//! Why nodes do not join: what can be told from outside, long before EKS gives up.
//!
//! Entry point: [`diagnose`]. What cannot be looked at, for lack of permissions say, is no finding: a wait goes on
//! rather than end with a wrong accusation.

use aws_sdk_ec2::types::Filter;
use aws_sdk_eks::types::{AddonStatus, Cluster, Nodegroup};

use super::federation;
use super::grants::Grants;
use super::way_out::Network;
use crate::kinds::eks::client::Eks;
use crate::kinds::eks::describe::{self, IpFamily};
use crate::kinds::sdk::Answer;
use crate::resource::ProviderError;

/// What the VPC CNI plug-in calls in an IPv6 cluster. The two last ones it calls when it starts, from 1.22.1 on; policies
/// written from older documentation lack them (amazon-vpc-cni-k8s#3704, DOMAIN 1.4).
const CNI_IPV6: [&str; 8] = [
    "ec2:AssignIpv6Addresses",
    "ec2:DescribeInstances",
    "ec2:DescribeTags",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeInstanceTypes",
    "ec2:CreateTags",
    "ec2:DescribeSubnets",
    "ec2:DescribeSecurityGroups",
];

/// What the VPC CNI plug-in calls in an IPv4 cluster: the statements of `AmazonEKS_CNI_Policy` that it cannot do without.
pub(super) const CNI_IPV4: [&str; 12] = [
    "ec2:AssignPrivateIpAddresses",
    "ec2:AttachNetworkInterface",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeInstances",
    "ec2:DescribeTags",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeInstanceTypes",
    "ec2:DetachNetworkInterface",
    "ec2:ModifyNetworkInterfaceAttribute",
    "ec2:UnassignPrivateIpAddresses",
    "ec2:CreateTags",
];

/// What a node calls to find itself, and to pull its images; with the policies of AWS that allow it.
const NODE: [(&str, &[&str]); 2] = [
    ("AmazonEKSWorkerNodePolicy", &["ec2:DescribeInstances"]),
    ("AmazonEC2ContainerRegistryPullOnly", &["ecr:GetAuthorizationToken", "ecr:BatchGetImage"]),
];

/// What is wrong, a sentence each.
pub(super) async fn diagnose(client: &Eks, name: &str, group: &Nodegroup) -> Vec<String> {
    let mut findings = super::issues(group);
    let Ok(Some(cluster)) = describe::cluster(client, name).await else { return findings };
    let ipv6 = IpFamily::of(&cluster) == IpFamily::Ipv6;
    let node = group.node_role().and_then(role_name);
    if let Some(node) = node {
        findings.extend(node_role(client, node).await.unwrap_or_default());
    }
    findings.extend(plug_in(client, &cluster, node, ipv6).await.unwrap_or_default());
    findings.extend(endpoint(&cluster));
    findings.extend(network(client, group, ipv6).await.unwrap_or_default());
    findings
}

/// The name of a role, which is the last part of its ARN.
fn role_name(arn: &str) -> Option<&str> {
    arn.rsplit('/').next().filter(|name| !name.is_empty())
}

async fn node_role(client: &Eks, role: &str) -> Result<Vec<String>, ProviderError> {
    let Some(grants) = Grants::of_role(client, role).await? else {
        return Ok(vec![format!("the nodes' role {role} does not exist (any more)")]);
    };
    let lacks = NODE.iter().filter_map(|(policy, actions)| {
        let missing = grants.missing(actions);
        (!missing.is_empty()).then(|| format!("the nodes' role {role} may not {}: attach {policy}", missing.join(", ")))
    });
    Ok(lacks.collect())
}

/// Nodes get ready when the VPC CNI plug-in runs on them.
async fn plug_in(
    client: &Eks,
    cluster: &Cluster,
    node: Option<&str>,
    ipv6: bool,
) -> Result<Vec<String>, ProviderError> {
    let facts = describe::Facts::of(cluster);
    let cluster = facts.name.as_str();
    let Some(plug_in) = describe::addon(client, cluster, "vpc-cni").await? else {
        return Ok(vec!["the cluster has no vpc-cni add-on, without which no node gets ready".to_owned()]);
    };
    let mut findings = Vec::new();
    if plug_in.status() != Some(&AddonStatus::Active) {
        findings
            .extend(describe::addon_issues(&plug_in).into_iter().map(|issue| format!("the add-on vpc-cni: {issue}")));
    }
    let association = describe::associations_of(&plug_in).first().copied();
    let role = match association {
        Some(association) => {
            if describe::addon(client, cluster, "eks-pod-identity-agent").await?.is_none() {
                let lacks = "the cluster has no eks-pod-identity-agent add-on, which gives the vpc-cni add-on its role";
                findings.push(lacks.to_owned());
            }
            let association = describe::association(client, cluster, association).await?;
            association.and_then(|association| association.role_arn)
        }
        None => plug_in.service_account_role_arn().map(str::to_owned),
    };
    // Without a role of its own it has the nodes'.
    let Some(role) = role.as_deref().and_then(role_name).or(node) else { return Ok(findings) };
    let Some(grants) = Grants::of_role(client, role).await? else {
        findings.push(format!("the vpc-cni add-on's role {role} does not exist (any more)"));
        return Ok(findings);
    };
    let missing = grants.missing(if ipv6 { &CNI_IPV6 } else { &CNI_IPV4 });
    if association.is_none() && plug_in.service_account_role_arn().is_some() && !facts.oidc_issuer.is_empty() {
        // What may not be read accuses nobody, as everywhere here; what was found before stays.
        findings.extend(federation::problems(client, role, &facts.oidc_issuer).await.unwrap_or_default());
    }
    if !missing.is_empty() {
        findings.push(format!(
            "the vpc-cni add-on's role {role} may not {}: aws-node does not start, and no node gets ready",
            missing.join(", ")
        ));
    }
    Ok(findings)
}

/// Nodes reach the API server by its private endpoint, or by the public one from their NAT gateways' addresses.
fn endpoint(cluster: &Cluster) -> Option<String> {
    let vpc = cluster.resources_vpc_config()?;
    let open = vpc.public_access_cidrs().iter().any(|cidr| cidr == "0.0.0.0/0");
    (!vpc.endpoint_private_access && !open).then(|| {
        "the API server has no private endpoint, and its public one is not open to all: nodes may not reach it"
            .to_owned()
    })
}

async fn network(client: &Eks, group: &Nodegroup, ipv6: bool) -> Result<Vec<String>, ProviderError> {
    let filter = |name: &str, values: Vec<String>| Filter::builder().name(name).set_values(Some(values)).build();
    let wanted = group.subnets();
    let request = client.ec2().describe_subnets().filters(filter("subnet-id", wanted.to_vec()));
    let subnets = request.send().await.read("ec2:DescribeSubnets")?.subnets.unwrap_or_default();
    let Some(vpc) = subnets.iter().find_map(|subnet| subnet.vpc_id()) else {
        return Ok(Network { subnets: &subnets, tables: &[], endpoints: true }.problems(wanted, ipv6));
    };
    let vpc = filter("vpc-id", vec![vpc.to_owned()]);
    let mut pages = client.ec2().describe_route_tables().filters(vpc.clone()).into_paginator().send();
    let mut tables = Vec::new();
    while let Some(page) = pages.next().await {
        tables.extend(page.read("ec2:DescribeRouteTables")?.route_tables.unwrap_or_default());
    }
    let answer = client.ec2().describe_vpc_endpoints().filters(vpc).send().await.read("ec2:DescribeVpcEndpoints");
    // A caller who may not list endpoints most likely has none: they are the exception.
    let endpoints = answer.map(|answer| answer.vpc_endpoints.unwrap_or_default()).unwrap_or_default();
    let offers = |service: &str| {
        endpoints.iter().any(|endpoint| endpoint.service_name().is_some_and(|name| name.ends_with(service)))
    };
    let endpoints = offers(".ec2") && offers(".ecr.api") && offers(".ecr.dkr");
    Ok(Network { subnets: &subnets, tables: &tables, endpoints }.problems(wanted, ipv6))
}

#[cfg(test)]
mod tests {
    use aws_sdk_eks::types::VpcConfigResponse;

    use super::*;

    #[test]
    fn a_role_is_known_by_the_last_part_of_its_arn() {
        assert_eq!(role_name("arn:aws:iam::1:role/path/mesh1-node"), Some("mesh1-node"));
        assert_eq!(role_name("mesh1-node"), Some("mesh1-node"));
        assert_eq!(role_name(""), None);
    }

    #[test]
    fn nodes_need_an_endpoint_that_lets_them_in() {
        let cluster = |private, cidr: &str| {
            let vpc = VpcConfigResponse::builder().endpoint_private_access(private).public_access_cidrs(cidr).build();
            Cluster::builder().resources_vpc_config(vpc).build()
        };
        assert_eq!(endpoint(&cluster(true, "192.0.2.0/24")), None);
        assert_eq!(endpoint(&cluster(false, "0.0.0.0/0")), None);
        assert!(endpoint(&cluster(false, "192.0.2.0/24")).is_some());
    }
}
