//! What somebody else does to the account: a fault deletes an object with all that hangs on it, or makes a call.
//!
//! Entry point: [`meddle`]. What cannot be done (no such object, a refused call) is not done; a fault is no promise.

use jiff::Timestamp;

use super::listing::matches;
use super::{find, run};
use crate::sandbox::faults::Change;
use crate::sandbox::options::Quotas;
use crate::sandbox::protocol::Params;
use crate::sandbox::world::Region;
use crate::sandbox::world::ids::Mint;

/// Makes a change that no call of ours asked for.
pub(in crate::sandbox) fn meddle(
    change: &Change,
    (region, mint): (&mut Region, &mut Mint),
    now: Timestamp,
    quotas: &Quotas,
) {
    let ids = selected(region, &change.resource);
    match &change.call {
        None => ids.iter().for_each(|id| remove(region, id)),
        Some(call) if change.resource.is_empty() => request(call, "", (region, mint), now, quotas),
        Some(call) => {
            for id in ids {
                request(call, &id, (&mut *region, &mut *mint), now, quotas);
            }
        }
    }
}

fn request(
    call: &std::collections::BTreeMap<String, String>,
    id: &str,
    world: (&mut Region, &mut Mint),
    now: Timestamp,
    quotas: &Quotas,
) {
    let mut params = Params::default();
    for (name, value) in call {
        params.set(name, &value.replace("{id}", id));
    }
    if let Some(Ok(operation)) = call.get("Action").map(|action| find(action)) {
        // A refusal is what somebody else gets to see.
        let _ = run(operation, world, &params, now, quotas);
    }
}

/// The objects that a fault names; never those the account had from the start.
fn selected(region: &Region, resource: &str) -> Vec<String> {
    if let Some((key, value)) = resource.strip_prefix("tag:").and_then(|tag| tag.split_once('=')) {
        let all = region.all_tags(Timestamp::MAX).into_iter();
        return all
            .filter(|(_, _, tags)| tags.get(key).is_some_and(|known| matches(value, known)))
            .map(|(_, id, _)| id.to_owned())
            .collect();
    }
    region.ids().into_iter().filter(|id| matches(resource, id)).collect()
}

/// Takes an object out whatever depends on it, and what cannot be without it.
fn remove(region: &mut Region, id: &str) {
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
        "eni" => drop(region.interfaces.remove(id)),
        "sgr" => drop(region.security_group_rules.remove(id)),
        _ => {}
    }
}
