//! Network load balancers: provisioning for minutes, and leaving interfaces behind for a while when deleted.

use std::collections::BTreeMap;

use super::{check_arn, check_name, new_head, tags, when, write_next};
use crate::sandbox::protocol::{ApiError, Xml};
use crate::sandbox::query::{Answer, Call, Operation, Page, reads, required, validation, writes};
use crate::sandbox::world::Region;
use crate::sandbox::world::ids::number_of;
use crate::sandbox::world::ranges::{amazon_ipv4, free_addresses, host_ipv6, private_ipv4};
use crate::sandbox::world::rows::{Head, LoadBalancer, NetworkInterface, Subnet, Tags};

pub(super) const OPERATIONS: &[Operation] = &[
    writes(
        "CreateLoadBalancer",
        &["Name", "Subnets", "SubnetMappings", "SecurityGroups", "Scheme", "Tags", "Type", "IpAddressType"],
        create,
    ),
    reads("DescribeLoadBalancers", &["LoadBalancerArns", "Names", "Marker", "PageSize"], describe),
    writes("SetSecurityGroups", &["LoadBalancerArn", "SecurityGroups"], set_groups),
    writes("DeleteLoadBalancer", &["LoadBalancerArn"], delete),
];

/// Active two to three minutes after it was made.
const CREATE_MS: (u64, u64) = (120_000, 180_000);
/// How long the interfaces of a deleted load balancer stay.
const RELEASE_MS: (u64, u64) = (30_000, 90_000);
/// How many free addresses a subnet must have ("Create a Network Load Balancer").
const MIN_FREE_ADDRESSES: usize = 8;

/// The load balancer with this ARN.
pub(super) fn find<'a>(region: &'a Region, arn: &str) -> Result<&'a LoadBalancer, ApiError> {
    check_arn(arn, "loadbalancer/", "load balancer")?;
    region.load_balancers.get(arn).ok_or_else(not_found)
}

fn not_found() -> ApiError {
    ApiError::new("LoadBalancerNotFound", "One or more load balancers not found")
}

/// What a call asks for.
struct Wanted {
    name: String,
    internet_facing: bool,
    dual_stack: bool,
    subnets: Vec<Subnet>,
    groups: Vec<String>,
}

impl Wanted {
    fn parse(call: &Call<'_>) -> Result<Self, ApiError> {
        let name = required(call.params, "Name")?.to_owned();
        check_name(&name, "Load balancer")?;
        if name.starts_with("internal-") {
            return Err(validation(format!("Load balancer name '{name}' cannot begin with 'internal-'")));
        }
        match call.params.text("Type").unwrap_or("application") {
            "network" => {}
            kind @ ("application" | "gateway") => {
                return Err(validation(format!("The sandbox has no {kind} load balancers, only network ones")));
            }
            other => return Err(validation(format!("Load balancer type '{other}' is not valid"))),
        }
        let internet_facing = match call.params.text("Scheme").unwrap_or("internet-facing") {
            "internet-facing" => true,
            "internal" => false,
            other => {
                return Err(ApiError::new("InvalidScheme", format!("Scheme '{other}' is not valid")));
            }
        };
        let dual_stack = match call.params.text("IpAddressType").unwrap_or("ipv4") {
            "ipv4" => false,
            "dualstack" => true,
            other => {
                return Err(validation(format!("IP address type '{other}' is not valid for a network load balancer")));
            }
        };
        let mut ids = call.params.texts("Subnets.member");
        for mapping in call.params.list("SubnetMappings.member") {
            ids.push(required(mapping, "SubnetId")?);
        }
        let groups: Vec<String> = call.params.texts("SecurityGroups.member").into_iter().map(str::to_owned).collect();
        let subnets = ids
            .iter()
            .map(|id| {
                call.region
                    .subnets
                    .seen(id, call.now)
                    .cloned()
                    .ok_or_else(|| ApiError::new("SubnetNotFound", format!("The subnet ID '{id}' does not exist")))
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { name, internet_facing, dual_stack, subnets, groups })
    }

    /// Refuses what cannot work in the network.
    fn check(&self, call: &Call<'_>) -> Result<String, ApiError> {
        let configuration = |message: &str| ApiError::new("InvalidConfigurationRequest", message);
        let Some(first) = self.subnets.first() else {
            return Err(validation("At least one subnet must be specified"));
        };
        let vpc_id = &first.vpc_id;
        if self.subnets.iter().any(|subnet| subnet.vpc_id != *vpc_id) {
            return Err(configuration("All subnets must belong to the same VPC"));
        }
        for (number, subnet) in self.subnets.iter().enumerate() {
            if self.subnets[..number].iter().any(|other| other.zone == subnet.zone) {
                return Err(configuration(
                    "A load balancer cannot be attached to multiple subnets in the same Availability Zone",
                ));
            }
            if free_addresses(call.region, &subnet.head.id, subnet.cidr) < MIN_FREE_ADDRESSES {
                return Err(invalid_subnet(format!(
                    "Not enough IP space available in {}. ELB requires at least {MIN_FREE_ADDRESSES} free IP addresses in each subnet.",
                    subnet.head.id
                )));
            }
        }
        if self.internet_facing && call.region.internet_gateways.linked(vpc_id).next().is_none() {
            return Err(invalid_subnet(format!("VPC {vpc_id} has no internet gateway")));
        }
        let has_ipv6 = |subnet: &Subnet| subnet.ipv6.iter().any(|block| block.state(call.now) == "associated");
        if self.dual_stack && !self.subnets.iter().all(has_ipv6) {
            return Err(validation("You must specify subnets with an associated IPv6 CIDR block."));
        }
        check_groups(call, &self.groups, vpc_id)?;
        Ok(vpc_id.clone())
    }

    /// Whether a load balancer is what is asked for.
    fn is(&self, balancer: &LoadBalancer) -> bool {
        let subnets: Vec<&String> = self.subnets.iter().map(|subnet| &subnet.head.id).collect();
        balancer.internet_facing == self.internet_facing
            && balancer.dual_stack == self.dual_stack
            && balancer.groups == self.groups
            && subnets.len() == balancer.subnets.len()
            && balancer.subnets.values().all(|id| subnets.contains(&id))
    }
}

fn invalid_subnet(message: String) -> ApiError {
    ApiError::new("InvalidSubnet", message)
}

fn check_groups(call: &Call<'_>, groups: &[String], vpc_id: &str) -> Result<(), ApiError> {
    let usable =
        |id: &String| call.region.security_groups.seen(id, call.now).is_some_and(|group| group.vpc_id == vpc_id);
    if groups.iter().all(usable) {
        return Ok(());
    }
    Err(ApiError::new("InvalidSecurityGroup", "One or more security groups are invalid"))
}

fn create(call: &mut Call<'_>) -> Answer {
    let wanted = Wanted::parse(call)?;
    let tags = tags(call)?;
    let vpc_id = wanted.check(call)?;
    if let Some(made) = call.region.load_balancers.linked(&format!("name/{}", wanted.name)).next() {
        // The name makes the call idempotent.
        if wanted.is(made) {
            return Ok(described(call, [made], None));
        }
        return Err(ApiError::new(
            "DuplicateLoadBalancerName",
            format!("A load balancer with the same name '{}' exists, but with different settings", wanted.name),
        ));
    }
    if call.region.load_balancers.len() >= call.quotas.load_balancers {
        return Err(ApiError::new("TooManyLoadBalancers", "The maximum number of load balancers has been reached"));
    }
    let (head, number) = new_head(call, &format!("loadbalancer/net/{}", wanted.name), tags);
    let balancer = LoadBalancer {
        dns_name: format!("{}-{number}.elb.{}.amazonaws.com", wanted.name, call.region.name),
        vpc_id,
        internet_facing: wanted.internet_facing,
        dual_stack: wanted.dual_stack,
        subnets: wanted.subnets.iter().map(|subnet| (subnet.zone.clone(), subnet.head.id.clone())).collect(),
        groups: wanted.groups,
        attributes: BTreeMap::new(),
        active_at: call.mint.ready(call.now, &head.id, "active", CREATE_MS.0, CREATE_MS.1),
        name: wanted.name,
        head,
    };
    for subnet in &wanted.subnets {
        let interface = interface(call, &balancer, &number, subnet)?;
        call.region.interfaces.insert(interface);
    }
    let xml = described(call, [&balancer], None);
    call.region.load_balancers.insert(balancer);
    Ok(xml)
}

/// What the interfaces of a load balancer are called.
fn description(arn: &str) -> String {
    let path = arn.rsplit_once(":loadbalancer/").map_or("", |(_, path)| path);
    format!("ELB {path}")
}

/// The network interface of a load balancer in a subnet.
fn interface(
    call: &mut Call<'_>,
    balancer: &LoadBalancer,
    number: &str,
    subnet: &Subnet,
) -> Result<NetworkInterface, ApiError> {
    let Some(private_ip) = private_ipv4(call.region, &subnet.head.id, subnet.cidr) else {
        return Err(invalid_subnet(format!("Not enough IP space available in {}.", subnet.head.id)));
    };
    let block = subnet.ipv6.iter().find(|block| block.is_held()).map(|block| block.block);
    let seed = number_of(&[number.as_bytes(), subnet.head.id.as_bytes()]);
    let head =
        Head { id: call.mint.id("eni"), created_at: call.now, visible_at: call.now, tags: Tags::new(), native: false };
    Ok(NetworkInterface {
        head,
        vpc_id: subnet.vpc_id.clone(),
        subnet_id: subnet.head.id.clone(),
        zone: subnet.zone.clone(),
        groups: balancer.groups.clone(),
        description: description(&balancer.head.id),
        interface_type: "network_load_balancer".to_owned(),
        private_ip,
        ipv6: block.filter(|_| balancer.dual_stack).map(|block| host_ipv6(block, seed)).into_iter().collect(),
        allocation_id: None,
        attachment_id: Some(call.mint.id("ela-attach")),
        requester_managed: true,
        public_ip: balancer.internet_facing.then(|| amazon_ipv4(call.region, call.mint)),
        instance_id: None,
        gone_at: None,
    })
}

/// The interfaces of a load balancer.
fn interfaces<'a>(region: &'a Region, balancer: &LoadBalancer) -> impl Iterator<Item = &'a NetworkInterface> {
    let description = description(&balancer.head.id);
    region.interfaces.linked(&balancer.vpc_id).filter(move |interface| interface.description == description)
}

fn described<'a>(call: &Call<'_>, balancers: impl IntoIterator<Item = &'a LoadBalancer>, next: Option<String>) -> Xml {
    let mut xml = Xml::default();
    xml.members("LoadBalancers", balancers, |xml, balancer| write(xml, call, balancer));
    write_next(&mut xml, next);
    xml
}

fn write(xml: &mut Xml, call: &Call<'_>, balancer: &LoadBalancer) {
    let zone_id = number_of(&[b"hosted zone", call.region.name.as_bytes()]);
    xml.text("LoadBalancerArn", &balancer.head.id)
        .text("DNSName", &balancer.dns_name)
        .text("CanonicalHostedZoneId", format!("Z{zone_id:016X}"))
        .text("CreatedTime", when(balancer.head.created_at))
        .text("LoadBalancerName", &balancer.name)
        .text("Scheme", if balancer.internet_facing { "internet-facing" } else { "internal" })
        .text("VpcId", &balancer.vpc_id)
        .group("State", |xml| {
            xml.text("Code", balancer.state(call.now));
        })
        .text("Type", "network")
        .members("AvailabilityZones", &balancer.subnets, |xml, (zone, subnet)| {
            // Addresses are only shown where they were chosen by the caller.
            xml.text("ZoneName", zone).text("SubnetId", subnet).members(
                "LoadBalancerAddresses",
                std::iter::empty::<()>(),
                |_, ()| {},
            );
        });
    if !balancer.groups.is_empty() {
        xml.members("SecurityGroups", &balancer.groups, Xml::value);
    }
    xml.text("IpAddressType", if balancer.dual_stack { "dualstack" } else { "ipv4" });
}

fn describe(call: &mut Call<'_>) -> Answer {
    let page = Page::parse(call.params, "PageSize", (400, 400))?;
    let (arns, names) = (call.params.texts("LoadBalancerArns.member"), call.params.texts("Names.member"));
    if !arns.is_empty() && !names.is_empty() {
        return Err(validation("Load balancer names and load balancer ARNs cannot be specified at the same time"));
    }
    for arn in &arns {
        find(call.region, arn)?;
    }
    for name in &names {
        if call.region.load_balancers.linked(&format!("name/{name}")).next().is_none() {
            return Err(ApiError::new("LoadBalancerNotFound", format!("Load balancers '[{name}]' not found")));
        }
    }
    let chosen = |balancer: &&LoadBalancer| {
        (arns.is_empty() && names.is_empty())
            || arns.contains(&balancer.head.id.as_str())
            || names.contains(&balancer.name.as_str())
    };
    let (rows, next) = page.cut(call.region.load_balancers.iter().filter(chosen), |balancer| balancer.head.id.as_str());
    Ok(described(call, rows, next))
}

fn set_groups(call: &mut Call<'_>) -> Answer {
    let balancer = find(call.region, required(call.params, "LoadBalancerArn")?)?.clone();
    let groups: Vec<String> = call.params.texts("SecurityGroups.member").into_iter().map(str::to_owned).collect();
    // "A Network Load Balancer can only have security groups if it was made with some" (API reference).
    if balancer.groups.is_empty() != groups.is_empty() {
        return Err(ApiError::new(
            "InvalidConfigurationRequest",
            "You can't set security groups on a Network Load Balancer that was created without them, or remove all of them",
        ));
    }
    check_groups(call, &groups, &balancer.vpc_id)?;
    let ids: Vec<String> = interfaces(call.region, &balancer).map(|interface| interface.head.id.clone()).collect();
    for id in ids {
        call.region.interfaces.edit(&id, |interface| interface.groups.clone_from(&groups));
    }
    call.region.load_balancers.edit(&balancer.head.id, |balancer| balancer.groups.clone_from(&groups));
    let mut xml = Xml::default();
    xml.members("SecurityGroupIds", &groups, Xml::value);
    Ok(xml)
}

/// One that is not there is no error ("If the load balancer does not exist or has already been deleted, the call
/// succeeds", `DeleteLoadBalancer`).
fn delete(call: &mut Call<'_>) -> Answer {
    let arn = required(call.params, "LoadBalancerArn")?;
    let balancer = match find(call.region, arn) {
        Ok(balancer) => balancer.clone(),
        Err(error) if error.code == "LoadBalancerNotFound" => return Ok(Xml::default()),
        Err(error) => return Err(error),
    };
    if balancer.attribute("deletion_protection.enabled") == Some("true") {
        return Err(ApiError::new(
            "OperationNotPermitted",
            format!("Load balancer '{arn}' cannot be deleted because deletion protection is enabled"),
        ));
    }
    let gone_at = call.mint.after(call.now, arn, "released", RELEASE_MS.0, RELEASE_MS.1);
    let ids: Vec<String> = interfaces(call.region, &balancer).map(|interface| interface.head.id.clone()).collect();
    for id in ids {
        call.region.interfaces.edit(&id, |interface| interface.gone_at = Some(gone_at));
    }
    forget(call.region, arn);
    call.region.settle(call.now);
    Ok(Xml::default())
}

/// Takes a load balancer out with its listeners, but not with its interfaces.
fn forget(region: &mut Region, arn: &str) {
    let listeners: Vec<String> = region.listeners.linked(arn).map(|listener| listener.head.id.clone()).collect();
    for listener in listeners {
        region.listeners.remove(&listener);
    }
    region.load_balancers.remove(arn);
}

/// Takes a load balancer out with all that hangs on it.
pub(crate) fn remove(region: &mut Region, arn: &str) {
    let Some(balancer) = region.load_balancers.get(arn).cloned() else { return };
    let ids: Vec<String> = interfaces(region, &balancer).map(|interface| interface.head.id.clone()).collect();
    for id in ids {
        region.interfaces.remove(&id);
    }
    forget(region, arn);
}
