//! Network access control lists: only the default ones, read-only.

use super::listing::{Listing, write_next};
use super::{Answer, Call, Operation, reads, refer, tagging};
use crate::sandbox::protocol::Xml;
use crate::sandbox::world::rows::{Ipv6Block, NetworkAcl, Subnet};

pub(super) const OPERATIONS: &[Operation] =
    &[reads("DescribeNetworkAcls", &["NetworkAclId", "Filter", "MaxResults", "NextToken"], describe)];

const LISTING: Listing = Listing {
    ids: "NetworkAclId",
    reference: &refer::NETWORK_ACL,
    links: &["network-acl-id", "vpc-id"],
    filters: &[
        "association.association-id",
        "association.network-acl-id",
        "association.subnet-id",
        "default",
        "network-acl-id",
        "owner-id",
        "vpc-id",
    ],
    page: (5, 1000),
    refuses_unknown: true,
};

/// The number of the rule that denies what no other rule allows.
const LAST: u16 = 32_767;

fn describe(call: &mut Call<'_>) -> Answer {
    let selected = LISTING.select(call, &call.region.network_acls, |acl, filter| match filter {
        "association.association-id" => subnets(call, acl).map(|subnet| subnet.acl_association.clone()).collect(),
        "association.subnet-id" => subnets(call, acl).map(|subnet| subnet.head.id.clone()).collect(),
        "default" => vec![acl.is_default.to_string()],
        "owner-id" => vec![call.owner().to_owned()],
        "vpc-id" => vec![acl.vpc_id.clone()],
        _ => vec![acl.head.id.clone()],
    })?;
    let mut xml = Xml::default();
    xml.list("networkAclSet", selected.rows, |xml, acl| {
        xml.text("networkAclId", &acl.head.id)
            .text("vpcId", &acl.vpc_id)
            .text("ownerId", call.owner())
            .text("default", acl.is_default);
        write_entries(xml, call, acl);
        xml.list("associationSet", subnets(call, acl), |xml, subnet| {
            xml.text("networkAclAssociationId", &subnet.acl_association)
                .text("networkAclId", &acl.head.id)
                .text("subnetId", &subnet.head.id);
        });
        tagging::write(xml, &acl.head.tags);
    });
    write_next(&mut xml, selected.next);
    Ok(xml)
}

/// The subnets of an ACL: all of its VPC, because only default ACLs exist.
fn subnets<'a>(call: &'a Call<'_>, acl: &NetworkAcl) -> impl Iterator<Item = &'a Subnet> {
    call.region.subnets.linked(&acl.vpc_id)
}

fn write_entries(xml: &mut Xml, call: &Call<'_>, acl: &NetworkAcl) {
    let has_ipv6 = call.region.vpcs.get(&acl.vpc_id).is_some_and(|vpc| vpc.ipv6.iter().any(Ipv6Block::is_held));
    let ipv4 = [(100, "allow", "cidrBlock", "0.0.0.0/0"), (LAST, "deny", "cidrBlock", "0.0.0.0/0")];
    let ipv6 = [(101, "allow", "ipv6CidrBlock", "::/0"), (LAST + 1, "deny", "ipv6CidrBlock", "::/0")];
    let entries = ipv4.into_iter().chain(ipv6.into_iter().filter(|_| has_ipv6));
    let both = entries.flat_map(|entry| [(entry, true), (entry, false)]);
    xml.list("entrySet", both, |xml, ((number, action, family, block), egress)| {
        xml.text("ruleNumber", number)
            .text("protocol", "-1")
            .text("ruleAction", action)
            .text("egress", egress)
            .text(family, block);
    });
}
