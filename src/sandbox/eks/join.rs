//! Why the nodes of a group do not join their cluster, or do not become ready.
//!
//! Entry point: [`obstacle`]. The reasons are those of the domain model: what the subnets, the roles and the VPC CNI lack.
//! Kubernetes itself is not simulated; the health issues are what EKS reports about such groups.

use jiff::Timestamp;

use super::{catalogue, view};
use crate::sandbox::iam;
use crate::sandbox::world::Region;
use crate::sandbox::world::rows::{Cluster, Ipv6Block, Issue, Nodegroup, Role, RouteTable, RouteTarget, Subnet};

/// What the CNI asks EC2 for before it gives pods addresses. Since 1.22.1 it looks at subnets and security groups as it
/// starts, in both families (VPC CNI, docs/iam-policy.md).
const CNI_IPV4: &[&str] = &[
    "ec2:AssignPrivateIpAddresses",
    "ec2:AttachNetworkInterface",
    "ec2:CreateNetworkInterface",
    "ec2:DescribeInstances",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
];
const CNI_IPV6: &[&str] = &[
    "ec2:AssignIpv6Addresses",
    "ec2:DescribeInstances",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:DescribeSecurityGroups",
];

/// What a node asks for before it joins: what it is itself called, and images from the registry.
const NODE: &[&str] = &["ec2:DescribeInstances", "ecr:GetAuthorizationToken", "ecr:BatchGetImage"];

/// What is in the way of a node group's nodes.
pub(super) struct Obstacle {
    /// What EKS says when it gives up.
    pub(super) issue: Issue,
    /// Whether EKS gives up at once, and does not wait for it to go away.
    pub(super) at_once: bool,
}

/// What keeps the nodes of a group from becoming ready, if anything does.
pub(super) fn obstacle(region: &Region, global: &Region, group: &Nodegroup, now: Timestamp) -> Option<Obstacle> {
    let cluster = region.clusters.get(&group.cluster)?;
    let at_once = |code: &str, message: String, resources: Vec<String>| {
        Some(Obstacle { issue: Issue { code: code.to_owned(), message, resources }, at_once: true })
    };
    let Some(role) = role(global, &group.role_arn) else {
        let message = format!("The IAM role {} for the node group's instances cannot be found", group.role_arn);
        return at_once("IamNodeRoleNotFound", message, vec![group.role_arn.clone()]);
    };
    let subnets: Vec<&Subnet> = group.subnets.iter().filter_map(|id| region.subnets.get(id)).collect();
    if subnets.len() < group.subnets.len() {
        let message = "One or more of the node group's subnets cannot be found".to_owned();
        return at_once("Ec2SubnetNotFound", message, group.subnets.clone());
    }
    if cluster.ipv6 {
        let without: Vec<String> = subnets
            .iter()
            .filter(|subnet| !subnet.assign_ipv6 || !subnet.ipv6.iter().any(Ipv6Block::is_held))
            .map(|subnet| subnet.head.id.clone())
            .collect();
        if !without.is_empty() {
            let message = "One or more Amazon EC2 subnets do not automatically assign IPv6 addresses to instances launched into \
                           them, which nodes of an IPv6 cluster need";
            return at_once("Ec2SubnetMissingIpv6Assignment", message.to_owned(), without);
        }
    }
    if i64::try_from(group.instances.len()).unwrap_or_default() < group.scaling.desired {
        let message = "Could not launch instances: there are not enough free addresses in the node group's subnets";
        return at_once("AsgInstanceLaunchFailures", message.to_owned(), group.subnets.clone());
    }
    let message = if joins(region, cluster, role, &subnets, now) {
        if cni_works(region, global, cluster, role, now) {
            return None;
        }
        "Unhealthy nodes in the kubernetes cluster"
    } else {
        "Instances failed to join the kubernetes cluster"
    };
    let issue = Issue {
        code: "NodeCreationFailure".to_owned(),
        message: message.to_owned(),
        resources: group.instances.clone(),
    };
    Some(Obstacle { issue, at_once: false })
}

/// Whether instances find their cluster and are let in.
fn joins(region: &Region, cluster: &Cluster, role: &Role, subnets: &[&Subnet], now: Timestamp) -> bool {
    let permitted = NODE.iter().all(|action| iam::allows(role, action, now));
    let named = region.vpcs.get(&cluster.vpc_id).is_some_and(|vpc| vpc.dns_support && vpc.dns_hostnames);
    permitted && named && subnets.iter().all(|subnet| reaches_out(region, cluster, subnet, now))
}

/// Whether instances in a subnet reach the internet, where images come from, and the cluster's endpoint.
fn reaches_out(region: &Region, cluster: &Cluster, subnet: &Subnet, now: Timestamp) -> bool {
    let Some(table) = route_table(region, subnet) else { return false };
    let default =
        table.routes.iter().find(|route| route.destination.prefix_len() == 0 && route.destination.addr().is_ipv4());
    match default.map(|route| &route.target) {
        Some(RouteTarget::NatGateway(id)) => region.nat_gateways.get(id).is_some_and(|nat| {
            let known = nat.public_ip.is_none_or(|address| lets_in(cluster, address.into()));
            nat.state(now) == "available" && (cluster.private_access || known)
        }),
        Some(RouteTarget::InternetGateway(id)) => {
            let attached = region.internet_gateways.get(id).is_some_and(|gateway| gateway.vpc_id.is_some());
            attached && subnet.map_public_ip
        }
        Some(RouteTarget::Interface(id)) => region.interfaces.get(id).is_some(),
        Some(RouteTarget::Local | RouteTarget::EgressOnlyGateway(_) | RouteTarget::Peering(_)) | None => false,
    }
}

/// Whether the public endpoint of a cluster lets an address in.
fn lets_in(cluster: &Cluster, address: std::net::IpAddr) -> bool {
    cluster.public_access
        && cluster
            .public_cidrs
            .iter()
            .any(|block| block.parse::<ipnet::IpNet>().is_ok_and(|block| block.contains(&address)))
}

/// The route table of a subnet: its own, or else the main one of its VPC.
fn route_table<'a>(region: &'a Region, subnet: &Subnet) -> Option<&'a RouteTable> {
    let own = |table: &&RouteTable| table.associations.values().any(|id| *id == subnet.head.id);
    region
        .route_tables
        .linked(&subnet.head.id)
        .find(own)
        .or_else(|| region.route_tables.linked(&subnet.vpc_id).find(|table| table.main.is_some()))
}

/// Whether the VPC CNI runs and may do what it must.
fn cni_works(region: &Region, global: &Region, cluster: &Cluster, node_role: &Role, now: Timestamp) -> bool {
    let name = cluster.name();
    let present =
        |addon: &str| region.addons.get(&format!("{name}/{addon}")).filter(|addon| addon.deleted_at.is_none());
    let Some(cni) = present(catalogue::VPC_CNI) else { return false };
    let identity = region.pod_identities.linked(&format!("{name}/kube-system/aws-node")).next();
    let role = match (identity, &cni.service_account_role) {
        // Without the agent the pods of a service account get the role of their node.
        (Some(identity), _) if present(catalogue::POD_IDENTITY_AGENT).is_some() => {
            iam::role_for_service(global, &identity.role_arn, "pods.eks.amazonaws.com", now).ok()
        }
        (_, Some(arn)) => {
            let issuer = view::issuer(&region.name, &cluster.unique);
            iam::role_for_service_account(global, arn, &issuer, "system:serviceaccount:kube-system:aws-node", now).ok()
        }
        (Some(_) | None, None) => Some(node_role),
    };
    let needs = if cluster.ipv6 { CNI_IPV6 } else { CNI_IPV4 };
    role.is_some_and(|role| needs.iter().all(|action| iam::allows(role, action, now)))
}

fn role<'a>(global: &'a Region, arn: &str) -> Option<&'a Role> {
    global.roles.linked(arn).next()
}
