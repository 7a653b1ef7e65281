//! Addresses of pods: those that the VPC CNI gives them, in the family of the cluster.
//!
//! IPv4 pods have addresses of their node's subnet, IPv6 pods addresses of a prefix of it that is their node's.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde_json::Value;

use super::control::Control;
use super::parts::{text, uid};
use crate::sandbox::kubernetes::objects::Objects;
use crate::sandbox::world::rows::{Instance, Subnet};

/// A free address for a pod on a node; `None` when the node's subnet has none left.
pub(super) fn of_pod(control: &mut Control<'_, '_>, node: &Value, pod: &Value) -> Option<IpAddr> {
    let id = text(node, "/spec/providerID").rsplit('/').next().unwrap_or_default().to_owned();
    let instance = control.place.region.instances.get(&id)?.clone();
    let subnet = control.place.region.subnets.get(&instance.subnet_id)?.clone();
    let seed = control.place.mint.number(&["pod", uid(pod)]);
    if control.cluster.ipv6 {
        return ipv6(control, &subnet, &instance, seed).map(IpAddr::V6);
    }
    ipv4(control, &subnet, seed).map(IpAddr::V4)
}

/// The /80 of a node is drawn, and the address in it too: of so many none is drawn twice.
fn ipv6(control: &Control<'_, '_>, subnet: &Subnet, instance: &Instance, seed: u64) -> Option<Ipv6Addr> {
    let block = subnet.ipv6.iter().find(|block| block.is_held())?.block;
    let prefix = u128::from(control.place.mint.number(&["prefix", &instance.head.id]) & 0xffff) << 48;
    let host = u128::from(seed & 0xffff_ffff_ffff);
    Some(Ipv6Addr::from_bits(block.network().to_bits() | prefix | host))
}

/// An address of the upper half of the subnet, as interfaces have those at its beginning.
fn ipv4(control: &mut Control<'_, '_>, subnet: &Subnet, seed: u64) -> Option<Ipv4Addr> {
    let first = subnet.cidr.network().to_bits();
    let last = subnet.cidr.broadcast().to_bits();
    let size = last.checked_sub(first)?.checked_add(1)?;
    // The first four and the last are AWS's.
    let low = first + (size / 2).max(4);
    let room = u64::from(last.checked_sub(low)?);
    let used = used(control, subnet);
    (0..room)
        .filter_map(|step| u32::try_from((seed.wrapping_add(step)) % room).ok())
        .map(|offset| Ipv4Addr::from_bits(low + offset))
        .find(|address| !used.contains(address))
}

/// The addresses of a subnet that interfaces have, and pods of all clusters in the VPC.
fn used(control: &mut Control<'_, '_>, subnet: &Subnet) -> BTreeSet<Ipv4Addr> {
    let region = &mut *control.place.region;
    let mut used: BTreeSet<Ipv4Addr> =
        region.interfaces.linked(&subnet.head.id).map(|interface| interface.private_ip).collect();
    let neighbours: Vec<String> =
        region.clusters.linked(&subnet.vpc_id).map(|cluster| cluster.name().to_owned()).collect();
    for cluster in neighbours {
        let objects = Objects::of(region, &cluster, control.now);
        used.extend(
            objects.list("", "pods", None).filter_map(|pod| text(pod, "/status/podIP").parse::<Ipv4Addr>().ok()),
        );
    }
    used
}
