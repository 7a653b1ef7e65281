//! Takes objects out whatever depends on them, as only somebody else would.
//!
//! Entry point: [`remove`].

use crate::sandbox::elb;
use crate::sandbox::world::Region;

/// Takes an object out whatever depends on it, and what cannot be without it.
pub(in crate::sandbox) fn remove(region: &mut Region, id: &str) {
    if id.starts_with("arn:aws:elasticloadbalancing:") {
        elb::remove(region, id);
        region.target_groups.remove(id);
        return;
    }
    let Some((prefix, _)) = id.rsplit_once('-') else { return };
    match prefix {
        "vpc" => {
            let parts = region.linked_ids(id);
            for part in parts {
                remove(region, &part);
            }
            super::vpc::remove(region, id);
        }
        "subnet" => {
            let gateways: Vec<String> = region.nat_gateways.linked(id).map(|nat| nat.head.id.clone()).collect();
            for gateway in gateways {
                remove(region, &gateway);
            }
            super::subnet::remove(region, id);
        }
        "sg" => super::security_group::remove(region, id),
        "nat" => {
            let Some(nat) = region.nat_gateways.remove(id) else { return };
            region.interfaces.remove(&nat.interface_id);
            if let Some(allocation) = nat.allocation_id {
                region.addresses.edit(&allocation, |address| address.association = None);
            }
        }
        "igw" => drop(region.internet_gateways.remove(id)),
        "eigw" => drop(region.egress_gateways.remove(id)),
        "eipalloc" => drop(region.addresses.remove(id)),
        "rtb" => drop(region.route_tables.remove(id)),
        "pcx" => drop(region.vpc_peerings.remove(id)),
        "i" => drop(region.instances.remove(id)),
        "eni" => drop(region.interfaces.remove(id)),
        "sgr" => drop(region.security_group_rules.remove(id)),
        _ => {}
    }
}
