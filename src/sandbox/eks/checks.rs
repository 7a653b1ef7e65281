//! What EKS checks about the network and the roles of a cluster, before it makes or changes one.
//!
//! Entry points: [`cluster_role`], [`subnets`], [`security_groups`], [`public_cidrs`].

use std::collections::BTreeSet;

use ipnet::IpNet;

use super::refusal::invalid;
use super::{Call, roles};
use crate::sandbox::iam::{self, Unseen};
use crate::sandbox::protocol::ApiError;
use crate::sandbox::world::rows::Subnet;

/// How many blocks can be let in to a public endpoint ("Amazon EKS service quotas").
const MAX_PUBLIC_CIDRS: usize = 40;

/// Zones in which EKS has no control planes ("VPC requirements" in the EKS user guide).
const ZONES_WITHOUT: &[&str] = &["use1-az3", "usw1-az2", "cac1-az3"];

/// How many security groups an interface has ("Amazon VPC quotas"); one of a control plane's is EKS's own.
const MAX_SECURITY_GROUPS: usize = 5;

/// The policies that a cluster's role needs for Auto Mode, besides the one that each needs.
const AUTO_MODE_POLICIES: &[&str] = &[
    "AmazonEKSComputePolicy",
    "AmazonEKSBlockStoragePolicy",
    "AmazonEKSLoadBalancingPolicy",
    "AmazonEKSNetworkingPolicy",
];

/// Checks the role of a cluster, as EKS sees it: late.
pub(super) fn cluster_role(call: &Call<'_>, arn: &str, auto_mode: bool) -> Result<(), ApiError> {
    let shaped = arn.strip_prefix("arn:aws:iam::").and_then(|rest| rest.split_once(":role/"));
    if shaped.is_none_or(|(account, name)| account.len() != 12 || name.is_empty()) {
        return Err(invalid("Error in role params"));
    }
    let role = iam::role_for_service(call.global, arn, "eks.amazonaws.com", call.now).map_err(|unseen| {
        invalid(match unseen {
            Unseen::Absent => format!(
                "Role with arn: {arn}, could not be assumed because it does not exist or the trusted entity is not correct"
            ),
            Unseen::Untrusted => format!(
                "Role could not be assumed because the trusted entity is not correct: following required service \
                 principals [eks.amazonaws.com] were not found in the trust relationships of clusterRole {arn}"
            ),
        })
    })?;
    if auto_mode && !roles::allows_tagged_sessions(role, call.now) {
        return Err(invalid(format!(
            "Role could not be assumed because the trusted entity is not correct: EKS Auto Mode requires sts:TagSession \
             in the trust relationships of clusterRole {arn}"
        )));
    }
    let needed = std::iter::once(&"AmazonEKSClusterPolicy").chain(AUTO_MODE_POLICIES.iter().filter(|_| auto_mode));
    let missing: Vec<String> =
        needed.filter(|policy| !roles::has(role, policy, call.now)).map(|policy| roles::managed(policy)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(invalid(format!(
        "The provided role doesn't have the Amazon EKS Managed Policies associated with it. Please ensure the following \
         policies [{}] are attached",
        missing.join(", ")
    )))
}

/// The subnets with these ids: they are there, in one VPC, in two zones at least, and have IPv6 blocks if they must.
pub(super) fn subnets(call: &Call<'_>, ids: &[&str], ipv6: bool) -> Result<Vec<Subnet>, ApiError> {
    if ids.is_empty() {
        return Err(invalid("Subnets specified must be in at least two different AZs"));
    }
    let mut found = Vec::new();
    for id in ids {
        let subnet = call.region.subnets.seen(id, call.now).ok_or_else(|| {
            invalid(format!(
                "The subnet ID '{id}' does not exist (Service: AmazonEC2; Status Code: 400; Error Code: InvalidSubnetID.NotFound)"
            ))
        })?;
        found.push(subnet.clone());
    }
    let vpcs: BTreeSet<&str> = found.iter().map(|subnet| subnet.vpc_id.as_str()).collect();
    if vpcs.len() > 1 {
        return Err(invalid("Provided subnets belong to different VPCs"));
    }
    let zones: BTreeSet<&str> = found.iter().map(|subnet| subnet.zone_id.as_str()).collect();
    if zones.len() < 2 {
        return Err(invalid("Subnets specified must be in at least two different AZs"));
    }
    if let Some(subnet) = found.iter().find(|subnet| ZONES_WITHOUT.contains(&subnet.zone_id.as_str())) {
        return Err(ApiError::new(
            "UnsupportedAvailabilityZoneException",
            format!(
                "Cannot create cluster because {}, the targeted availability zone, does not currently have sufficient capacity to \
                 support the cluster. Retry and choose from other availability zones",
                subnet.zone
            ),
        ));
    }
    let without: Vec<&str> = found
        .iter()
        .filter(|subnet| ipv6 && !subnet.ipv6.iter().any(|block| block.is_held() && call.now >= block.associated_at))
        .map(|subnet| subnet.head.id.as_str())
        .collect();
    if !without.is_empty() {
        return Err(invalid(format!(
            "Subnets [{}] must have an IPv6 CIDR block associated to create a cluster with the ipv6 family",
            without.join(", ")
        )));
    }
    Ok(found)
}

/// The blocks that are let in to a public endpoint, in EKS's own order.
pub(super) fn public_cidrs(texts: &[&str], ipv6: bool) -> Result<Vec<String>, ApiError> {
    if texts.len() > MAX_PUBLIC_CIDRS {
        return Err(invalid(format!(
            "The number of publicAccessCidrs ({}) exceeds the maximum of {MAX_PUBLIC_CIDRS}",
            texts.len()
        )));
    }
    let allowed = |text: &str| match text.parse::<IpNet>() {
        Ok(IpNet::V4(block)) => {
            !(block.addr().is_private() || block.addr().is_loopback() || block.addr().is_multicast())
        }
        Ok(IpNet::V6(block)) => ipv6 && !block.addr().is_multicast() && !block.addr().is_unique_local(),
        Err(_) => false,
    };
    let refused: Vec<&str> = texts.iter().copied().filter(|text| !allowed(text)).collect();
    if !refused.is_empty() {
        return Err(invalid(format!(
            "The following CIDRs are not allowed in publicAccessCidrs: [{}]",
            refused.join(", ")
        )));
    }
    let unique: BTreeSet<String> = texts.iter().map(|text| (*text).to_owned()).collect();
    Ok(unique.into_iter().collect())
}

/// Checks the security groups that are given to a cluster besides its own.
pub(super) fn security_groups(call: &Call<'_>, ids: &[&str], vpc: &str) -> Result<(), ApiError> {
    if ids.len() >= MAX_SECURITY_GROUPS {
        return Err(invalid(format!("The number of security groups exceeds the limit of {}", MAX_SECURITY_GROUPS - 1)));
    }
    match ids.iter().find(|id| call.region.security_groups.get(id).is_none_or(|group| group.vpc_id != vpc)) {
        Some(unknown) => Err(invalid(format!("The security group '{unknown}' does not exist"))),
        None => Ok(()),
    }
}
