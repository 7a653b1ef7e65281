//! What clusters and nodes leave in EC2 and Logs: a security group, network interfaces, a log group; and which of it stays
//! when they are gone.
//!
//! Entry points: one function for each kind of trace. The fingerprints are those that people search for.

use std::net::Ipv6Addr;

use jiff::{Timestamp, ToSpan as _};

use super::Call;
use crate::sandbox::ec2::remove_security_group;
use crate::sandbox::world::Region;
use crate::sandbox::world::ids::Mint;
use crate::sandbox::world::ranges::private_ipv4;
use crate::sandbox::world::rows::{
    Cluster, Head, Instance, LogGroup, NetworkInterface, Nodegroup, Peer, SecurityGroup, SecurityGroupRule, Subnet,
    Tags,
};

/// How long after its creation began the first traces of a cluster or a node can be seen.
const FIRST_SEEN_SECONDS: i64 = 45;

/// The tag by which everything in EC2 that belongs to a cluster is known.
fn owned(cluster: &str) -> (String, String) {
    (format!("kubernetes.io/cluster/{cluster}"), "owned".to_owned())
}

/// When what is made now by somebody else can first be seen.
fn seen_at(mint: &Mint, now: Timestamp) -> Timestamp {
    if mint.realistic { now.checked_add(FIRST_SEEN_SECONDS.seconds()).unwrap_or(Timestamp::MAX) } else { now }
}

/// Makes the security group of a cluster: its members may talk to each other and to everybody. The cluster's own tags do
/// not pass to it ("Organize Amazon EKS resources with tags").
pub(super) fn security_group(call: &mut Call<'_>, cluster: &Cluster) -> String {
    let name = cluster.name();
    let visible_at = seen_at(call.mint, call.now);
    let mut head = |prefix: &str| Head {
        id: call.mint.id(prefix),
        created_at: call.now,
        visible_at,
        tags: Tags::new(),
        native: false,
    };
    let (mut group, ingress, egress) = (head("sg"), head("sgr"), head("sgr"));
    let id = group.id.clone();
    let full = format!("eks-cluster-sg-{name}-{}", call.mint.number(&["sg", &cluster.unique]) % 10_000_000_000);
    group.tags = Tags::from([
        ("Name".to_owned(), full.clone()),
        ("aws:eks:cluster-name".to_owned(), name.to_owned()),
        owned(name),
    ]);
    let rule = |head: Head, egress: bool, peer: Peer| SecurityGroupRule {
        head,
        group_id: id.clone(),
        egress,
        protocol: "-1".to_owned(),
        ports: None,
        peer,
        description: None,
    };
    call.region.security_group_rules.insert(rule(ingress, false, Peer::Group(id.clone())));
    call.region.security_group_rules.insert(rule(egress, true, Peer::Ipv4(ipnet::Ipv4Net::default())));
    call.region.security_groups.insert(SecurityGroup {
        head: group,
        vpc_id: cluster.vpc_id.clone(),
        name: full,
        description: "EKS created security group applied to ENI that is attached to EKS Control Plane master nodes, as well as any \
                      managed workloads."
            .to_owned(),
    });
    id
}

/// Makes the network interfaces of a control plane: in up to four of its subnets.
pub(super) fn control_plane(call: &mut Call<'_>, cluster: &Cluster, subnets: &[Subnet]) {
    for subnet in subnets.iter().take(4) {
        let Some(mut interface) = interface(call.region, call.mint, call.now, subnet, cluster) else { continue };
        interface.head.visible_at = seen_at(call.mint, call.now);
        interface.description = format!("Amazon EKS {}", cluster.name());
        interface.groups = control_plane_groups(cluster);
        interface.attachment_id = Some(call.mint.id("ela-attach"));
        interface.requester_managed = true;
        call.region.interfaces.insert(interface);
    }
}

/// The security groups of a control plane's interfaces.
fn control_plane_groups(cluster: &Cluster) -> Vec<String> {
    std::iter::once(&cluster.group_id).chain(&cluster.security_groups).cloned().collect()
}

/// The network interfaces of a control plane.
fn of_control_plane(region: &Region, cluster: &Cluster) -> Vec<String> {
    let description = format!("Amazon EKS {}", cluster.name());
    let interfaces = region.interfaces.linked(&cluster.vpc_id);
    interfaces
        .filter(|interface| interface.requester_managed && interface.description == description)
        .map(|interface| interface.head.id.clone())
        .collect()
}

/// Gives a control plane's interfaces the security groups that it has from now on.
pub(super) fn regroup(region: &mut Region, cluster: &Cluster) {
    let groups = control_plane_groups(cluster);
    for id in of_control_plane(region, cluster) {
        region.interfaces.edit(&id, |interface| interface.groups.clone_from(&groups));
    }
}

/// Makes the instances that a node group lacks with their network interfaces, in its subnets in turn; fewer when a
/// subnet has no address left.
pub(super) fn instances(
    region: &mut Region,
    mint: &mut Mint,
    now: Timestamp,
    cluster: &Cluster,
    group: &mut Nodegroup,
) {
    let subnets: Vec<Subnet> = group.subnets.iter().filter_map(|id| region.subnets.get(id).cloned()).collect();
    let lacking = group.scaling.desired.saturating_sub(i64::try_from(group.instances.len()).unwrap_or(i64::MAX));
    for (_, subnet) in (0..lacking).zip(subnets.iter().cycle()) {
        let instance = mint.id("i");
        let Some(mut interface) = interface(region, mint, now, subnet, cluster) else { return };
        interface.head.visible_at = seen_at(mint, now);
        interface.head.tags = Tags::from([
            ("cluster.k8s.amazonaws.com/name".to_owned(), cluster.name().to_owned()),
            ("eks:cluster-name".to_owned(), cluster.name().to_owned()),
            ("eks:nodegroup-name".to_owned(), group.name.clone()),
            ("node.k8s.amazonaws.com/instance_id".to_owned(), instance.clone()),
        ]);
        interface.attachment_id = Some(mint.id("eni-attach"));
        if subnet.assign_ipv6 {
            interface.ipv6.extend(ipv6_address(mint, subnet, &interface.head.id));
        }
        interface.instance_id = Some(instance.clone());
        let mut tags = interface.head.tags.clone();
        tags.extend([
            owned(cluster.name()),
            ("Name".to_owned(), format!("{}-{}-Node", cluster.name(), group.name)),
            ("aws:autoscaling:groupName".to_owned(), format!("eks-{}-{}", group.name, group.unique)),
        ]);
        region.instances.insert(Instance {
            head: Head { id: instance.clone(), tags, ..interface.head.clone() },
            vpc_id: interface.vpc_id.clone(),
            subnet_id: interface.subnet_id.clone(),
            zone: interface.zone.clone(),
            instance_type: group.instance_types.first().cloned().unwrap_or_default(),
            image_id: format!("ami-0{:016x}", mint.number(&["ami", &group.ami_type, &group.release])),
            private_ip: interface.private_ip,
            ipv6: interface.ipv6.clone(),
            groups: interface.groups.clone(),
            profile_arn: Some(format!("arn:aws:iam::{}:instance-profile/eks-{}", mint.account, group.unique)),
            spot: group.capacity_type == "SPOT",
            running_at: interface.head.visible_at,
            termination: None,
            released: false,
        });
        region.interfaces.insert(interface);
        group.instances.push(instance);
    }
}

/// What a change of a node group does to its instances: another version replaces them all, another size adds or ends some.
pub(super) fn rearrange(
    region: &mut Region,
    mint: &mut Mint,
    now: Timestamp,
    cluster: &Cluster,
    old: &Nodegroup,
    new: &mut Nodegroup,
) {
    let keep = if old.release == new.release { usize::try_from(new.scaling.desired).unwrap_or_default() } else { 0 };
    let kept = keep.min(new.instances.len());
    for id in new.instances.split_off(kept) {
        region.instances.edit(&id, |instance| instance.termination = Some((now, now)));
    }
    instances(region, mint, now, cluster, new);
    pods(region, mint, now, cluster, new, new.instances.get(kept..).unwrap_or_default());
    region.settle(now);
}

/// Ends the instances of a node group. One interface of the CNI is not ended with them: its instance is gone before the CNI
/// could delete it.
pub(super) fn terminate(region: &mut Region, group: &Nodegroup, now: Timestamp, at: Timestamp) {
    if let Some(left) = of_group(region, group).1.first() {
        region.interfaces.edit(left, |interface| interface.instance_id = None);
    }
    for id in &group.instances {
        region.instances.edit(id, |instance| instance.termination = Some((now, at)));
    }
}

/// Makes the network interfaces that the CNI attaches to nodes of a group for their pods.
pub(super) fn pods(
    region: &mut Region,
    mint: &mut Mint,
    now: Timestamp,
    cluster: &Cluster,
    group: &Nodegroup,
    instances: &[String],
) {
    let subnets: Vec<Subnet> = group.subnets.iter().filter_map(|id| region.subnets.get(id).cloned()).collect();
    for (instance, subnet) in instances.iter().zip(subnets.iter().cycle()) {
        let Some(mut interface) = interface(region, mint, now, subnet, cluster) else { continue };
        interface.description = format!("aws-K8S-{instance}");
        interface.head.tags = Tags::from([
            ("cluster.k8s.amazonaws.com/name".to_owned(), cluster.name().to_owned()),
            ("eks:eni:owner".to_owned(), "amazon-vpc-cni".to_owned()),
            ("node.k8s.amazonaws.com/createdAt".to_owned(), now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()),
            ("node.k8s.amazonaws.com/instance_id".to_owned(), instance.clone()),
        ]);
        interface.attachment_id = Some(mint.id("eni-attach"));
        interface.instance_id = Some(instance.clone());
        region.interfaces.insert(interface);
    }
}

/// The interfaces of a node group's instances: those of the instances themselves, and those of the CNI.
fn of_group(region: &Region, group: &Nodegroup) -> (Vec<String>, Vec<String>) {
    let (mut own, mut pods) = (Vec::new(), Vec::new());
    for interface in group.subnets.iter().flat_map(|subnet| region.interfaces.linked(subnet)) {
        let instance = interface.head.tags.get("node.k8s.amazonaws.com/instance_id");
        if instance.is_none_or(|instance| !group.instances.contains(instance)) {
            continue;
        }
        let list = if interface.description.starts_with("aws-K8S-") { &mut pods } else { &mut own };
        list.push(interface.head.id.clone());
    }
    (own, pods)
}

/// Takes back what a node group has, but for one interface of the CNI, which is `available` from now on and still holds the
/// cluster's security group.
pub(super) fn take_back_nodes(region: &mut Region, group: &Nodegroup) {
    // Where somebody else took the group away its instances were not ended before.
    for id in &group.instances {
        if region.instances.get(id).is_some_and(|instance| instance.termination.is_none()) {
            region.instances.remove(id);
        }
    }
    let (own, pods) = of_group(region, group);
    for id in own.iter().chain(pods.iter().skip(1)) {
        region.interfaces.remove(id);
    }
    if let Some(left) = pods.first() {
        region.interfaces.edit(left, |interface| {
            interface.attachment_id = None;
            interface.instance_id = None;
        });
    }
}

/// Takes back what a cluster has. Its security group stays if something still uses it; its log group always does.
pub(super) fn take_back_cluster(region: &mut Region, cluster: &Cluster) {
    for id in of_control_plane(region, cluster) {
        region.interfaces.remove(&id);
    }
    let id = &cluster.group_id;
    let referenced = region.security_group_rules.linked(&format!("peer/{id}")).any(|rule| rule.group_id != *id);
    if !referenced && region.interfaces.linked(id).next().is_none() {
        remove_security_group(region, id);
    }
}

/// Makes the log group of a cluster that logs, unless it is there from an earlier one of that name.
pub(super) fn log_group(call: &mut Call<'_>, cluster: &Cluster) {
    let id = format!("/aws/eks/{}/cluster", cluster.name());
    if !cluster.logging.is_empty() && call.region.log_groups.get(&id).is_none() {
        let mut head = call.head(id, Tags::new());
        head.visible_at = seen_at(call.mint, call.now);
        call.region.log_groups.insert(LogGroup { head, retention_days: None });
    }
}

/// A network interface with the cluster's security group; `None` when the subnet has no address left.
pub(super) fn interface(
    region: &Region,
    mint: &mut Mint,
    now: Timestamp,
    subnet: &Subnet,
    cluster: &Cluster,
) -> Option<NetworkInterface> {
    let private_ip = private_ipv4(region, &subnet.head.id, subnet.cidr)?;
    Some(NetworkInterface {
        head: Head { id: mint.id("eni"), created_at: now, visible_at: now, tags: Tags::new(), native: false },
        vpc_id: subnet.vpc_id.clone(),
        subnet_id: subnet.head.id.clone(),
        zone: subnet.zone.clone(),
        groups: vec![cluster.group_id.clone()],
        description: String::new(),
        interface_type: "interface".to_owned(),
        private_ip,
        ipv6: Vec::new(),
        allocation_id: None,
        attachment_id: None,
        requester_managed: false,
        public_ip: None,
        instance_id: None,
        gone_at: None,
    })
}

/// An address of a subnet's IPv6 block; of 2^64 none is drawn twice.
pub(super) fn ipv6_address(mint: &Mint, subnet: &Subnet, id: &str) -> Option<Ipv6Addr> {
    let block = subnet.ipv6.iter().find(|block| block.is_held())?.block;
    Some(Ipv6Addr::from_bits(block.network().to_bits() | u128::from(mint.number(&["ipv6", id]))))
}
