//! The nodes that EKS Auto Mode runs: instances that it starts for pods, and ends with the cluster.

use jiff::Timestamp;

use super::traces;
use crate::sandbox::world::rows::{Cluster, Instance, Subnet};
use crate::sandbox::world::{Place, Region};

/// On everything that Auto Mode makes.
const TAG: &str = "eks:eks-cluster-name";

/// What Auto Mode's own node pools start for small loads.
const INSTANCE_TYPE: &str = "c6a.large";

/// The instances that run for a cluster.
pub(crate) fn auto_nodes<'a>(region: &'a Region, cluster: &'a Cluster) -> impl Iterator<Item = &'a Instance> {
    region.instances.linked(&cluster.vpc_id).filter(|instance| {
        !instance.released && instance.head.tags.get(TAG).is_some_and(|name| *name == cluster.head.id)
    })
}

/// Starts an instance, in the subnet that has the fewest.
pub(crate) fn start_auto_node(place: &mut Place<'_>, cluster: &Cluster, now: Timestamp) {
    let count = |subnet: &Subnet| {
        auto_nodes(place.region, cluster).filter(|instance| instance.subnet_id == subnet.head.id).count()
    };
    let subnets = cluster.subnets.iter().filter_map(|id| place.region.subnets.get(id));
    let Some(subnet) = subnets.min_by_key(|subnet| count(subnet)).cloned() else { return };
    let Some(mut interface) = traces::interface(place.region, place.mint, now, &subnet, cluster) else { return };
    let id = place.mint.id("i");
    interface.head.tags = [
        (TAG, cluster.name()),
        ("node.k8s.amazonaws.com/instance_id", id.as_str()),
        ("eks:managed-by", "eks-auto-mode"),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into();
    interface.attachment_id = Some(place.mint.id("eni-attach"));
    interface.instance_id = Some(id.clone());
    if subnet.assign_ipv6 || cluster.ipv6 {
        interface.ipv6.extend(traces::ipv6_address(place.mint, &subnet, &interface.head.id));
    }
    let mut head = interface.head.clone();
    head.id = id;
    head.tags.insert(format!("kubernetes.io/cluster/{}", cluster.name()), "owned".to_owned());
    place.region.instances.insert(Instance {
        head,
        vpc_id: interface.vpc_id.clone(),
        subnet_id: interface.subnet_id.clone(),
        zone: interface.zone.clone(),
        instance_type: INSTANCE_TYPE.to_owned(),
        image_id: format!("ami-0{:016x}", place.mint.number(&["ami", "auto", &cluster.version])),
        private_ip: interface.private_ip,
        ipv6: interface.ipv6.clone(),
        groups: interface.groups.clone(),
        profile_arn: None,
        spot: false,
        running_at: now,
        termination: None,
        released: false,
    });
    place.region.interfaces.insert(interface);
}

/// Ends the instances of a cluster that is deleted.
pub(super) fn take_back(region: &mut Region, cluster: &Cluster, now: Timestamp) {
    let ids: Vec<String> = auto_nodes(region, cluster).map(|instance| instance.head.id.clone()).collect();
    for id in ids {
        region.instances.edit(&id, |instance| instance.termination = instance.termination.or(Some((now, now))));
    }
    region.settle(now);
}
