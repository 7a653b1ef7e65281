//! What a region of a fresh account holds: the default VPC and all that comes with it.
//!
//! Entry points: [`furnish`] for a region, [`furnish_vpc`] for the objects that every VPC is born with.

use std::collections::BTreeMap;

use ipnet::{IpNet, Ipv4Net};
use jiff::Timestamp;

use super::Region;
use super::ids::{Mint, id_of};
use super::rows::{
    DhcpOptions, Head, InternetGateway, Ipv4Block, NetworkAcl, Peer, Route, RouteTable, RouteTarget, SecurityGroup,
    SecurityGroupRule, Subnet, Tags, Vpc,
};
use super::zones::zones;

/// Puts the default VPC and its parts into a region. The ids depend on nothing but account and region, so that a
/// region that was only looked at need not be written.
pub(crate) fn furnish(region: &mut Region, mint: &Mint, now: Timestamp) {
    let (account, name) = (mint.account.clone(), region.name.clone());
    let mut count = 0_u64;
    let mut head = |prefix: &str| {
        count += 1;
        let id = id_of(prefix, &[account.as_bytes(), name.as_bytes(), &count.to_le_bytes()]);
        Head { id, created_at: now, visible_at: now, tags: Tags::new(), native: true }
    };
    let block = Ipv4Net::new_assert([172, 31, 0, 0].into(), 16);
    let options = head("dopt");
    let vpc = head("vpc");
    let suffix = if name == "us-east-1" { "ec2.internal".to_owned() } else { format!("{name}.compute.internal") };
    region.dhcp_options.insert(DhcpOptions {
        head: options.clone(),
        configurations: BTreeMap::from([
            ("domain-name".to_owned(), vec![suffix]),
            ("domain-name-servers".to_owned(), vec!["AmazonProvidedDNS".to_owned()]),
        ]),
    });
    region.vpcs.insert(Vpc {
        head: vpc.clone(),
        blocks: vec![Ipv4Block { association_id: head("vpc-cidr-assoc").id, block, associated_at: now }],
        ipv6: Vec::new(),
        tenancy: "default".to_owned(),
        available_at: now,
        is_default: true,
        dhcp_options_id: options.id,
        dns_support: true,
        dns_hostnames: true,
        usage_metrics: false,
    });
    let gateway = head("igw");
    region.internet_gateways.insert(InternetGateway { head: gateway.clone(), vpc_id: Some(vpc.id.clone()) });
    let heads = VpcParts {
        acl: head("acl"),
        table: head("rtb"),
        main: head("rtbassoc").id,
        group: head("sg"),
        ingress: head("sgr"),
        egress: head("sgr"),
    };
    let table = heads.table.id.clone();
    furnish_vpc(region, &vpc.id, &[IpNet::V4(block)], heads);
    region.route_tables.edit(&table, |table| {
        table.routes.push(Route { destination: anywhere(), target: RouteTarget::InternetGateway(gateway.id) });
    });
    for (number, zone) in zones(&name).into_iter().enumerate() {
        let third = u8::try_from(number * 16).unwrap_or_default();
        let subnet = head("subnet");
        let acl_association = head("aclassoc").id;
        region.subnets.insert(Subnet {
            head: subnet,
            vpc_id: vpc.id.clone(),
            zone: zone.name,
            zone_id: zone.id,
            cidr: Ipv4Net::new_assert([172, 31, third, 0].into(), 20),
            ipv6: Vec::new(),
            available_at: now,
            default_for_az: true,
            map_public_ip: true,
            assign_ipv6: false,
            dns64: false,
            hostname_type: "ip-name".to_owned(),
            dns_a: false,
            dns_aaaa: false,
            acl_association,
        });
    }
}

/// `0.0.0.0/0`.
pub(crate) fn anywhere() -> IpNet {
    IpNet::V4(Ipv4Net::default())
}

/// The heads of the objects that a VPC is born with.
pub(crate) struct VpcParts {
    /// The default network ACL.
    pub(crate) acl: Head,
    /// The main route table.
    pub(crate) table: Head,
    /// The association that makes it the main one.
    pub(crate) main: String,
    /// The default security group.
    pub(crate) group: Head,
    /// Its rule for what comes in from itself.
    pub(crate) ingress: Head,
    /// Its rule for what goes out.
    pub(crate) egress: Head,
}

impl VpcParts {
    /// New ones, visible when their VPC is.
    pub(crate) fn new(mint: &mut Mint, like: &Head) -> Self {
        let mut head = |prefix: &str| Head { id: mint.id(prefix), tags: Tags::new(), ..like.clone() };
        Self {
            acl: head("acl"),
            table: head("rtb"),
            main: head("rtbassoc").id,
            group: head("sg"),
            ingress: head("sgr"),
            egress: head("sgr"),
        }
    }
}

/// Puts the objects that a VPC is born with into its region.
pub(crate) fn furnish_vpc(region: &mut Region, vpc_id: &str, blocks: &[IpNet], parts: VpcParts) {
    region.network_acls.insert(NetworkAcl { head: parts.acl, vpc_id: vpc_id.to_owned(), is_default: true });
    region.route_tables.insert(RouteTable {
        head: parts.table,
        vpc_id: vpc_id.to_owned(),
        main: Some(parts.main),
        associations: BTreeMap::new(),
        routes: blocks.iter().map(|block| Route { destination: *block, target: RouteTarget::Local }).collect(),
    });
    let group = parts.group.id.clone();
    let rule = |head: Head, egress: bool, peer: Peer| SecurityGroupRule {
        head,
        group_id: group.clone(),
        egress,
        protocol: "-1".to_owned(),
        ports: None,
        peer,
        description: None,
    };
    region.security_group_rules.insert(rule(parts.ingress, false, Peer::Group(group.clone())));
    region.security_group_rules.insert(rule(parts.egress, true, Peer::Ipv4(Ipv4Net::default())));
    region.security_groups.insert(SecurityGroup {
        head: parts.group,
        vpc_id: vpc_id.to_owned(),
        name: "default".to_owned(),
        description: "default VPC security group".to_owned(),
    });
}
