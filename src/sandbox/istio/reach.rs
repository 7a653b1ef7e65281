//! Where the connections of pods come from, and what they end at: routes, NAT gateways, the CNI's egress, the endpoints of
//! API servers, network load balancers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use serde_json::Value;

use super::view::{Cluster, is_ready, text};
use crate::sandbox::world::World;
use crate::sandbox::world::rows::elb::Target;
use crate::sandbox::world::rows::{
    LoadBalancer, NetworkInterface, Peer, Route, RouteTarget, SecurityGroupRule, Subnet,
};

/// What is translated to IPv4 on the way (RFC 6052).
const NAT64: u128 = 0x0064_ff9b << 96;

/// Why nobody answers a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failure {
    /// Somebody says no.
    Refused,
    /// Nobody says anything.
    Timeout,
    /// There is no way from here.
    Unreachable,
}

/// The subnet of a pod's node.
fn subnet<'w>(cluster: Cluster<'w>, pod: &Value) -> Option<&'w Subnet> {
    let node = cluster.get("", "nodes", None, text(pod, "/spec/nodeName"))?;
    let instance = text(node, "/spec/providerID").rsplit('/').next()?;
    cluster.region.subnets.get(&cluster.region.instances.get(instance)?.subnet_id)
}

/// The routes of a subnet: those of its table, or else of its network's main one.
fn routes<'w>(cluster: Cluster<'w>, subnet: &Subnet) -> &'w [Route] {
    let tables = &cluster.region.route_tables;
    let own = tables.linked(&subnet.head.id).find(|table| table.associations.values().any(|id| *id == subnet.head.id));
    let main = || tables.linked(&subnet.vpc_id).find(|table| table.main.is_some());
    own.or_else(main).map(|table| table.routes.as_slice()).unwrap_or_default()
}

/// The route that an address takes.
fn route<'w>(cluster: Cluster<'w>, subnet: &Subnet, to: IpAddr) -> Option<&'w RouteTarget> {
    let matching = routes(cluster, subnet).iter().filter(|route| route.destination.contains(&to));
    matching.max_by_key(|route| route.destination.prefix_len()).map(|route| &route.target)
}

/// The addresses of a pod as its proxy reports them: link-local ones do not count, those that the CNI gives IPv4 pods
/// for IPv6 egress do.
pub(super) fn addresses(cluster: Cluster<'_>, pod: &Value) -> Vec<IpAddr> {
    let ips = super::view::list(pod, "/status/podIPs").iter().filter_map(|one| text(one, "/ip").parse().ok());
    let mut all: Vec<IpAddr> = ips.collect();
    if !cluster.row.ipv6 && ipv6_egress(cluster, pod).is_some() {
        // The first of fd00::ac:0/118, which every node gives its first pod.
        all.push(IpAddr::V6(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0xac, 2)));
    }
    all
}

/// Whether the resolver of a pod's subnet makes IPv6 addresses of IPv4 ones.
pub(super) fn has_dns64(cluster: Cluster<'_>, pod: &Value) -> bool {
    subnet(cluster, pod).is_some_and(|subnet| subnet.dns64)
}

/// The IPv6 address of an IPv4 one (RFC 6052).
pub(super) fn synthesised(address: Ipv4Addr) -> Ipv6Addr {
    Ipv6Addr::from_bits(NAT64 | u128::from(address.to_bits()))
}

/// The IPv4 address that an IPv6 one was made of.
fn embedded(address: Ipv6Addr) -> Option<Ipv4Addr> {
    let bits = address.to_bits();
    (bits >> 32 == NAT64 >> 32).then(|| u32::try_from(bits & u128::from(u32::MAX)).ok().map(Ipv4Addr::from_bits))?
}

/// The address that IPv4 pods' connections to IPv6 addresses come from: their node's, if the CNI is told to in both of its
/// containers, the node has one, and the nodes' security group lets it out.
fn ipv6_egress(cluster: Cluster<'_>, pod: &Value) -> Option<IpAddr> {
    let configuration = cluster.addon("vpc-cni")?;
    let is_on = |pointer: &str| text(&configuration, pointer) == "true";
    let subnet = subnet(cluster, pod)?;
    let block = subnet.ipv6.iter().find(|block| block.is_held())?;
    let lets_out = cluster
        .region
        .security_group_rules
        .linked(&cluster.row.group_id)
        .any(|rule| rule.egress && matches!(&rule.peer, Peer::Ipv6(range) if range.prefix_len() == 0));
    let works = is_on("/env/ENABLE_V6_EGRESS") && is_on("/init/env/ENABLE_V6_EGRESS") && subnet.assign_ipv6 && lets_out;
    works.then(|| IpAddr::V6(block.block.hosts().next().unwrap_or(block.block.network())))
}

/// Whether IPv6 pods get IPv4 connections translated: the CNI's default, and nothing that EKS Auto Mode has.
fn ipv4_egress(cluster: Cluster<'_>) -> bool {
    let configuration = cluster.addon("vpc-cni");
    cluster.row.auto_mode.is_none()
        && configuration.is_some_and(|configuration| text(&configuration, "/env/ENABLE_V4_EGRESS") != "false")
}

/// The address that a pod's connection to a public address comes from; `None` if there is no way.
fn source(cluster: Cluster<'_>, pod: &Value, to: IpAddr) -> Option<IpAddr> {
    let own =
        super::view::list(pod, "/status/podIPs").iter().find_map(|one| text(one, "/ip").parse::<IpAddr>().ok())?;
    let subnet = subnet(cluster, pod)?;
    match to {
        IpAddr::V4(_) if own.is_ipv6() && !ipv4_egress(cluster) => None,
        IpAddr::V4(_) => translated(cluster, subnet, to),
        IpAddr::V6(address) if embedded(address).is_some() => {
            // Through the NAT gateway, whichever family the pod has; only IPv6 pods have such names.
            own.is_ipv6().then(|| translated(cluster, subnet, to)).flatten()
        }
        IpAddr::V6(_) => {
            let leaves = matches!(
                route(cluster, subnet, to)?,
                RouteTarget::EgressOnlyGateway(_) | RouteTarget::InternetGateway(_) | RouteTarget::Local
            );
            let from = if own.is_ipv6() { Some(own) } else { ipv6_egress(cluster, pod) };
            from.filter(|_| leaves)
        }
    }
}

/// The public address of the NAT gateway on the way.
fn translated(cluster: Cluster<'_>, subnet: &Subnet, to: IpAddr) -> Option<IpAddr> {
    let RouteTarget::NatGateway(id) = route(cluster, subnet, to)? else { return None };
    let nat = cluster.region.nat_gateways.get(id)?;
    nat.public_ip.filter(|_| nat.state(cluster.now) == "available").map(IpAddr::V4)
}

/// Whether packets of a subnet get to a private address of a VPC: because it is their own, or by a route to a peering
/// connection that joins the two.
fn carries(world: &World, from: Cluster<'_>, subnet: &Subnet, (vpc, address): (&str, IpAddr)) -> bool {
    if subnet.vpc_id == vpc {
        return true;
    }
    let Some(RouteTarget::Peering(id)) = route(from, subnet, address) else { return false };
    let peering = world.regions().find_map(|region| region.vpc_peerings.get(id));
    peering.is_some_and(|peering| peering.joins(&subnet.vpc_id, vpc, from.now))
}

/// The address of a pod.
fn address(pod: &Value) -> Option<IpAddr> {
    super::view::list(pod, "/status/podIPs").iter().find_map(|one| text(one, "/ip").parse().ok())
}

/// Whether a pod's connection reaches the API server of another cluster.
pub(super) fn api(world: &World, from: Cluster<'_>, pod: &Value, target: Cluster<'_>) -> bool {
    if target.row.private_access && from.row.vpc_id == target.row.vpc_id {
        return true;
    }
    // Names of endpoints that are private alone resolve to private addresses everywhere.
    if target.row.private_access && !target.row.public_access {
        let subnets = target.row.subnets.iter().filter_map(|id| target.region.subnets.get(id));
        let addresses = subnets.map(|subnet| IpAddr::V4(subnet.cidr.network()));
        let mut ways = addresses.filter_map(|address| Some((subnet(from, pod)?, address)));
        return ways.any(|(own, address)| carries(world, from, own, (&target.row.vpc_id, address)))
            && lets_in(from, pod, target, 443);
    }
    if !target.row.public_access {
        return false;
    }
    // Any address of its families will do to find out where a connection comes from.
    let outside = Ipv4Addr::new(198, 51, 100, 1);
    let mut tried = vec![IpAddr::V4(outside)];
    if target.row.ipv6 {
        tried.push(IpAddr::V6(Ipv6Addr::new(0x2600, 0x1f14, 0, 0, 0, 0, 0, 1)));
    } else if has_dns64(from, pod) {
        tried.push(IpAddr::V6(synthesised(outside)));
    }
    let admits = |source: &IpAddr| {
        target
            .row
            .public_cidrs
            .iter()
            .filter_map(|range| range.parse::<IpNet>().ok())
            .any(|range| range.contains(source))
    };
    tried.into_iter().filter_map(|to| source(from, pod, to)).any(|source| admits(&source))
}

/// The addresses that a name of a load balancer resolves to, once it is there.
pub(super) fn resolve(world: &World, from: Cluster<'_>, pod: &Value, host: &str) -> Vec<IpAddr> {
    let mut all: Vec<IpAddr> = Vec::new();
    for region in world.regions() {
        let named = |one: &&LoadBalancer| one.dns_name.eq_ignore_ascii_case(host) && one.state(from.now) == "active";
        let Some(balancer) = region.load_balancers.iter().find(named) else { continue };
        for interface in region.interfaces.linked(&balancer.vpc_id).filter(|one| is_of(&one.description, balancer)) {
            let ipv4 = if balancer.internet_facing { interface.public_ip } else { Some(interface.private_ip) };
            all.extend(ipv4.map(IpAddr::V4));
            if balancer.dual_stack {
                all.extend(interface.ipv6.iter().copied().map(IpAddr::V6));
            }
        }
    }
    if has_dns64(from, pod) && !all.iter().any(IpAddr::is_ipv6) {
        let made: Vec<IpAddr> = all
            .iter()
            .filter_map(|address| match address {
                IpAddr::V4(address) => Some(IpAddr::V6(synthesised(*address))),
                IpAddr::V6(_) => None,
            })
            .collect();
        all.extend(made);
    }
    all.sort_unstable();
    all
}

/// Whether an interface is a load balancer's, by what it is called.
fn is_of(description: &str, balancer: &LoadBalancer) -> bool {
    let path = balancer.head.id.rsplit_once(":loadbalancer/").map(|(_, path)| path);
    description.strip_prefix("ELB ") == path
}

/// The pod that a connection through a load balancer ends at, and its cluster.
pub(super) fn through_balancer<'w>(
    world: &'w World,
    from: Cluster<'_>,
    pod: &Value,
    (to, port): (IpAddr, u16),
) -> Result<(Cluster<'w>, &'w Value), Failure> {
    let own = address(pod).ok_or(Failure::Unreachable)?;
    let within = is_private(to) && own.is_ipv6() == to.is_ipv6();
    let source = if within { Some(own) } else { source(from, pod, to) }.ok_or(Failure::Unreachable)?;
    let subnet = subnet(from, pod).ok_or(Failure::Unreachable)?;
    let to = match to {
        IpAddr::V6(v6) => embedded(v6).map_or(to, IpAddr::V4),
        IpAddr::V4(_) => to,
    };
    for region in world.regions() {
        let has = |interface: &&NetworkInterface| match to {
            IpAddr::V4(v4) => {
                interface.public_ip == Some(v4)
                    || (interface.private_ip == v4 && carries(world, from, subnet, (&interface.vpc_id, to)))
            }
            IpAddr::V6(v6) => interface.ipv6.contains(&v6),
        };
        let Some(interface) = region.interfaces.iter().find(has) else { continue };
        let mut balancers = region.load_balancers.linked(&interface.vpc_id);
        let Some(balancer) = balancers.find(|balancer| is_of(&interface.description, balancer)) else { continue };
        let admitted = balancer.groups.is_empty()
            || balancer.groups.iter().any(|group| admits(region.security_group_rules.linked(group), source, port));
        if balancer.state(from.now) != "active" || !admitted {
            return Err(Failure::Timeout);
        }
        let mut listeners = region.listeners.linked(&balancer.head.id);
        let listener = listeners.find(|listener| listener.port == port).ok_or(Failure::Timeout)?;
        let group = region.target_groups.get(&listener.target_group_arn).ok_or(Failure::Timeout)?;
        let is_healthy =
            |target: &&Target| target.healthy_at <= from.now && target.drained_at.is_none() && !target.failing;
        let clusters: Vec<Cluster<'w>> =
            Cluster::all(world, from.now).filter(|one| one.row.vpc_id == balancer.vpc_id).collect();
        // Without a healthy target the connection is reset.
        let healthy = group.targets.iter().filter(is_healthy);
        let mut pods = healthy
            .filter_map(|target| clusters.iter().find_map(|cluster| Some((*cluster, pod_at(*cluster, &target.id)?))));
        return pods.next().ok_or(Failure::Refused);
    }
    Err(Failure::Timeout)
}

/// Whether an address is of the ranges that networks have: RFC 1918 and 100.64.0.0/10.
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let [first, second, ..] = address.octets();
            address.is_private() || (first == 100 && (64..128).contains(&second))
        }
        IpAddr::V6(_) => false,
    }
}

/// Whether rules let a TCP connection in.
fn admits<'r>(rules: impl Iterator<Item = &'r SecurityGroupRule>, source: IpAddr, port: u16) -> bool {
    let mut rules = rules.filter(|rule| !rule.egress);
    rules.any(|rule| {
        let port = i64::from(port);
        let fits = match (rule.protocol.as_str(), rule.ports) {
            ("-1", _) => true,
            ("tcp" | "6", Some((low, high))) => low <= port && port <= high,
            _ => false,
        };
        let comes = match (&rule.peer, source) {
            (Peer::Ipv4(range), IpAddr::V4(source)) => range.contains(&source),
            (Peer::Ipv6(range), IpAddr::V6(source)) => range.contains(&source),
            (Peer::Ipv4(_) | Peer::Ipv6(_) | Peer::Group(_) | Peer::PrefixList(_), _) => false,
        };
        fits && comes
    })
}

/// The ready pod with an address.
fn pod_at<'w>(cluster: Cluster<'w>, address: &str) -> Option<&'w Value> {
    let pods = cluster.list("", "pods", None).into_iter();
    pods.filter(|pod| is_ready(pod)).find(|pod| text(pod, "/status/podIP") == address)
}

/// Whether the pods of one cluster reach one of another by its own address, on a port: there and back again.
pub(super) fn direct(
    world: &World,
    (from, pod): (Cluster<'_>, &Value),
    (to, server): (Cluster<'_>, &Value),
    port: u16,
) -> Result<(), Failure> {
    if from.is(&to) {
        return Ok(());
    }
    let way = |(one, pod): (Cluster<'_>, &Value), (other, to): (Cluster<'_>, &Value)| {
        let (subnet, address) = subnet(one, pod).zip(address(to))?;
        carries(world, one, subnet, (&other.row.vpc_id, address)).then_some(())
    };
    way((from, pod), (to, server)).and(way((to, server), (from, pod))).ok_or(Failure::Timeout)?;
    if lets_in(from, pod, to, port) { Ok(()) } else { Err(Failure::Timeout) }
}

/// Whether the security group of a cluster lets a pod of another one in.
fn lets_in(from: Cluster<'_>, pod: &Value, to: Cluster<'_>, port: u16) -> bool {
    let rules = || to.region.security_group_rules.linked(&to.row.group_id);
    let by_group = rules()
        .any(|rule| !rule.egress && rule.protocol == "-1" && rule.peer == Peer::Group(from.row.group_id.clone()));
    from.row.group_id == to.row.group_id || by_group || address(pod).is_some_and(|own| admits(rules(), own, port))
}
