//! Security groups.

use super::listing::{Listing, write_next};
use super::security_group_rule::write_permissions;
use super::{Answer, Call, Operation, reads, refer, tagging, writes};
use crate::sandbox::protocol::{ApiError, Xml};
use crate::sandbox::world::Region;
use crate::sandbox::world::rows::{Peer, SecurityGroup, SecurityGroupRule, Tags};

pub(super) const OPERATIONS: &[Operation] = &[
    writes("CreateSecurityGroup", &["GroupName", "GroupDescription", "VpcId", "TagSpecification"], create),
    reads("DescribeSecurityGroups", &["GroupId", "GroupName", "Filter", "MaxResults", "NextToken"], describe),
    writes("DeleteSecurityGroup", &["GroupId", "GroupName"], delete),
];

const LISTING: Listing = Listing {
    ids: "GroupId",
    reference: &refer::SECURITY_GROUP,
    links: &["group-id", "vpc-id"],
    filters: &[
        "description",
        "egress.ip-permission.cidr",
        "egress.ip-permission.group-id",
        "egress.ip-permission.ipv6-cidr",
        "egress.ip-permission.protocol",
        "group-id",
        "group-name",
        "ip-permission.cidr",
        "ip-permission.group-id",
        "ip-permission.ipv6-cidr",
        "ip-permission.protocol",
        "owner-id",
        "vpc-id",
    ],
    page: (5, 1000),
    refuses_unknown: true,
};

const MAX_NAME: usize = 255;

fn create(call: &mut Call<'_>) -> Answer {
    let name = call.params.required("GroupName")?.to_owned();
    let description = call.params.required("GroupDescription")?.to_owned();
    let default_vpc = || call.region.vpcs.iter().find(|vpc| vpc.is_default).map(|vpc| vpc.head.id.clone());
    let vpc_id = match call.params.text("VpcId") {
        Some(id) => id.to_owned(),
        None => default_vpc().ok_or_else(|| ApiError::new("VPCIdNotSpecified", "No default VPC for this user"))?,
    };
    refer::find(&call.region.vpcs, &refer::VPC, &vpc_id, call.now)?;
    if name.len() > MAX_NAME || description.len() > MAX_NAME {
        return Err(ApiError::value(format!(
            "Names and descriptions of security groups have at most {MAX_NAME} characters"
        )));
    }
    if name.starts_with("sg-") {
        return Err(ApiError::value(format!("Invalid security group name '{name}': it may not start with sg-")));
    }
    if name == "default" {
        return Err(ApiError::new("InvalidGroup.Reserved", "Cannot use reserved security group name: default"));
    }
    if call.region.security_groups.linked(&format!("{vpc_id}/{name}")).next().is_some() {
        return Err(ApiError::new(
            "InvalidGroup.Duplicate",
            format!("The security group '{name}' already exists for VPC '{vpc_id}'"),
        ));
    }
    if call.region.security_groups.len() >= call.quotas.security_groups {
        return Err(ApiError::new(
            "SecurityGroupLimitExceeded",
            "The maximum number of security groups has been reached.",
        ));
    }
    let group = SecurityGroup { head: call.new_head("sg", "security-group")?, vpc_id, name, description };
    let mut head = group.head.clone();
    head.id = call.mint.id("sgr");
    head.tags = Tags::new();
    call.region.security_group_rules.insert(SecurityGroupRule {
        head,
        group_id: group.head.id.clone(),
        egress: true,
        protocol: "-1".to_owned(),
        ports: None,
        peer: Peer::Ipv4(ipnet::Ipv4Net::default()),
        description: None,
    });
    let mut xml = Xml::default();
    xml.text("return", true).text("groupId", &group.head.id);
    tagging::write(&mut xml, &group.head.tags);
    xml.text("securityGroupArn", call.arn("security-group", &group.head.id));
    call.region.security_groups.insert(group);
    Ok(xml)
}

fn describe(call: &mut Call<'_>) -> Answer {
    let names = call.params.texts("GroupName");
    let peers = |group: &SecurityGroup, egress: bool, part: fn(&SecurityGroupRule) -> Option<String>| {
        let rules = call.region.security_group_rules.linked(&group.head.id);
        rules.filter(|rule| rule.egress == egress).filter_map(part).collect()
    };
    let mut selected = LISTING.select(call, &call.region.security_groups, |group, filter| {
        let (egress, name) = filter.strip_prefix("egress.").map_or((false, filter), |name| (true, name));
        match name {
            "ip-permission.cidr" => peers(group, egress, |rule| match rule.peer {
                Peer::Ipv4(block) => Some(block.to_string()),
                Peer::Ipv6(_) | Peer::Group(_) | Peer::PrefixList(_) => None,
            }),
            "ip-permission.ipv6-cidr" => peers(group, egress, |rule| match rule.peer {
                Peer::Ipv6(block) => Some(block.to_string()),
                Peer::Ipv4(_) | Peer::Group(_) | Peer::PrefixList(_) => None,
            }),
            "ip-permission.group-id" => peers(group, egress, |rule| match &rule.peer {
                Peer::Group(id) => Some(id.clone()),
                Peer::Ipv4(_) | Peer::Ipv6(_) | Peer::PrefixList(_) => None,
            }),
            "ip-permission.protocol" => peers(group, egress, |rule| Some(rule.protocol.clone())),
            "description" => vec![group.description.clone()],
            "group-name" => vec![group.name.clone()],
            "owner-id" => vec![call.owner().to_owned()],
            "vpc-id" => vec![group.vpc_id.clone()],
            _ => vec![group.head.id.clone()],
        }
    })?;
    if !names.is_empty() {
        // Names without a VPC mean the default VPC's groups.
        let is_default = |id: &str| call.region.vpcs.get(id).is_some_and(|vpc| vpc.is_default);
        selected.rows.retain(|group| names.contains(&group.name.as_str()) && is_default(&group.vpc_id));
        if let Some(name) = names.iter().find(|name| !selected.rows.iter().any(|group| group.name == **name)) {
            return Err(ApiError::new(
                "InvalidGroup.NotFound",
                format!("The security group '{name}' does not exist in default VPC"),
            ));
        }
    }
    let mut xml = Xml::default();
    xml.list("securityGroupInfo", selected.rows, |xml, group| {
        xml.text("ownerId", call.owner())
            .text("groupId", &group.head.id)
            .text("groupName", &group.name)
            .text("groupDescription", &group.description)
            .text("vpcId", &group.vpc_id)
            .text("securityGroupArn", call.arn("security-group", &group.head.id));
        write_permissions(xml, call, &group.head.id, false);
        write_permissions(xml, call, &group.head.id, true);
        tagging::write(xml, &group.head.tags);
    });
    write_next(&mut xml, selected.next);
    Ok(xml)
}

fn delete(call: &mut Call<'_>) -> Answer {
    let id = call.params.required("GroupId")?;
    let group = refer::find(&call.region.security_groups, &refer::SECURITY_GROUP, id, call.now)?;
    if group.name == "default" {
        return Err(ApiError::new(
            "CannotDelete",
            format!("the specified group: \"{id}\" name: \"default\" cannot be deleted by a user"),
        ));
    }
    let referenced = call.region.security_group_rules.linked(&format!("peer/{id}")).any(|rule| rule.group_id != id);
    if referenced || call.region.interfaces.linked(id).next().is_some() {
        return Err(ApiError::dependency(format!("resource {id} has a dependent object")));
    }
    remove(call.region, id);
    let mut xml = Xml::default().returned();
    xml.text("groupId", id);
    Ok(xml)
}

/// Takes a security group out, with its rules.
pub(in crate::sandbox) fn remove(region: &mut Region, id: &str) {
    let rules: Vec<String> = region.security_group_rules.linked(id).map(|rule| rule.head.id.clone()).collect();
    for rule in rules {
        region.security_group_rules.remove(&rule);
    }
    region.security_groups.remove(id);
}
