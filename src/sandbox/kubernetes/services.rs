//! The addresses and ports that a Service is given.
//!
//! Entry point: [`allocate`]. Which are taken is read from the Services that there are.

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::{Value, json};

use super::objects::{Objects, part_of};
use super::status::Cause;
use crate::sandbox::world::ids::number_of;

/// The range of node ports of an API server that is not told another (`--service-node-port-range`).
const NODE_PORTS: std::ops::Range<u64> = 30_000..32_768;

/// Gives a Service what it lacks: its families, addresses, and node ports. What `old` had stays.
///
/// # Errors
/// When it asks for families or addresses that the cluster does not have.
pub(crate) fn allocate(objects: &Objects<'_>, service: &mut Value, old: Option<&Value>) -> Result<(), Vec<Cause>> {
    let Some(cluster) = objects.region().clusters.get(objects.cluster()) else { return Ok(()) };
    let (family, other) = if cluster.ipv6 { ("IPv6", "IPv4") } else { ("IPv4", "IPv6") };
    let block: Option<IpNet> = cluster.service_cidr.parse().ok();
    let name = service["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let namespace = service["metadata"]["namespace"].as_str().unwrap_or_default().to_owned();
    if service["spec"]["type"] == "ExternalName" {
        return Ok(());
    }
    if service["spec"]["ipFamilyPolicy"] == "RequireDualStack" {
        let policy = service["spec"]["ipFamilyPolicy"].clone();
        let why = "this cluster is not configured for dual-stack services";
        return Err(vec![Cause::invalid("spec.ipFamilyPolicy", &policy, why)]);
    }
    let families = service["spec"]["ipFamilies"].as_array().cloned().unwrap_or_default();
    if let Some(at) = families.iter().position(|one| one == other) {
        let why = "not configured on this cluster";
        return Err(vec![Cause::invalid(format!("spec.ipFamilies[{at}]"), &other.into(), why)]);
    }
    let kept = |field: &str| old.map(|old| old["spec"][field].clone()).filter(|value| !value.is_null());
    let taken: BTreeSet<String> = objects
        .list("", "services", None)
        .filter(|one| one["metadata"]["name"] != *name || one["metadata"]["namespace"] != *namespace)
        .filter_map(|one| one["spec"]["clusterIP"].as_str().map(str::to_owned))
        .collect();
    let spec = part_of(service, "spec");
    if spec.get("ipFamilies").is_none_or(Value::is_null) {
        spec.insert("ipFamilies".to_owned(), json!([family]));
    }
    if spec.get("ipFamilyPolicy").is_none_or(Value::is_null) {
        spec.insert("ipFamilyPolicy".to_owned(), "SingleStack".into());
    }
    if spec.get("clusterIP").and_then(Value::as_str).is_none_or(str::is_empty) {
        let before = kept("clusterIP").filter(|old| *old != "" && *old != "None");
        let drawn = || block.and_then(|block| free_address(block, &taken, &format!("{namespace}/{name}")));
        let Some(address) = before.or_else(|| drawn().map(|address| address.to_string().into())) else {
            let why = "failed to allocate IP: range is full";
            return Err(vec![Cause::invalid("spec.clusterIPs", &Value::Null, why)]);
        };
        spec.insert("clusterIP".to_owned(), address);
        spec.remove("clusterIPs");
    } else if let Some(Value::String(asked)) = spec.get("clusterIP").filter(|asked| **asked != "None") {
        let inside = asked.parse::<IpAddr>().is_ok_and(|address| block.is_some_and(|block| block.contains(&address)));
        if !inside {
            let block = block.map(|block| block.to_string()).unwrap_or_default();
            let why = format!(
                "failed to allocate IP {asked}: the provided network does not match the current range or the provided IP is not in the valid range. The range of valid IPs is {block}"
            );
            return Err(vec![Cause::invalid("spec.clusterIPs", &json!([asked]), &why)]);
        }
        if taken.contains(asked) {
            let why = format!("failed to allocate IP {asked}: provided IP is already allocated");
            return Err(vec![Cause::invalid("spec.clusterIPs", &json!([asked]), &why)]);
        }
    }
    let address = spec.get("clusterIP").cloned().unwrap_or_default();
    spec.insert("clusterIPs".to_owned(), json!([address]));
    node_ports(objects, service, old);
    Ok(())
}

/// Gives the ports of a Service that nodes listen for their node ports.
fn node_ports(objects: &Objects<'_>, service: &mut Value, old: Option<&Value>) {
    let spec = part_of(service, "spec");
    let wanted = match spec.get("type").and_then(Value::as_str) {
        Some("NodePort") => true,
        Some("LoadBalancer") => spec.get("allocateLoadBalancerNodePorts") != Some(&false.into()),
        Some(_) | None => false,
    };
    let before: Vec<Value> = old.and_then(|old| old["spec"]["ports"].as_array().cloned()).unwrap_or_default();
    let mut taken: BTreeSet<u64> = objects
        .list("", "services", None)
        .flat_map(|one| one["spec"]["ports"].as_array().into_iter().flatten())
        .filter_map(|port| port["nodePort"].as_u64())
        .collect();
    let Some(ports) = spec.get_mut("ports").and_then(Value::as_array_mut) else { return };
    for port in ports.iter_mut().filter_map(Value::as_object_mut) {
        if !wanted {
            port.remove("nodePort");
            continue;
        }
        if port.get("nodePort").and_then(Value::as_u64).is_some_and(|number| number > 0) {
            continue;
        }
        let same = |one: &&Value| one.get("port") == port.get("port") && one.get("protocol") == port.get("protocol");
        let number = before.iter().find(same).and_then(|one| one["nodePort"].as_u64());
        let number = number.or_else(|| NODE_PORTS.clone().find(|number| !taken.contains(number)));
        if let Some(number) = number {
            taken.insert(number);
            port.insert("nodePort".to_owned(), number.into());
        }
    }
}

/// An address of a block that nobody has: which is fixed by the name, so that the same calls give the same addresses.
fn free_address(block: IpNet, taken: &BTreeSet<String>, name: &str) -> Option<IpAddr> {
    let hosts = 1_u64 << u32::from(block.max_prefix_len() - block.prefix_len()).min(16);
    let start = number_of(&[b"service", name.as_bytes()]) % hosts;
    // The network, the API's own address and the last one are nobody's.
    let at = |offset: u64| (2..hosts.saturating_sub(1)).contains(&offset).then(|| nth(block, offset)).flatten();
    let free = |address: &IpAddr| !taken.contains(&address.to_string());
    (0..hosts).filter_map(|step| at((start + step) % hosts)).find(free)
}

fn nth(block: IpNet, offset: u64) -> Option<IpAddr> {
    match block.network() {
        IpAddr::V4(first) => {
            Some(IpAddr::from((u32::from(first).checked_add(u32::try_from(offset).ok()?)?).to_be_bytes()))
        }
        IpAddr::V6(first) => Some(IpAddr::from((u128::from(first).checked_add(u128::from(offset))?).to_be_bytes())),
    }
}
