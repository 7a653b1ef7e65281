//! Rules of security groups: authorized, revoked, described.

use std::collections::BTreeMap;

use super::listing::{Listing, write_next};
use super::{Answer, Call, Operation, reads, refer, tagging, vpc_peering, writes};
use crate::sandbox::protocol::{ApiError, Node, Xml};
use crate::sandbox::world::rows::{Peer, SecurityGroupRule};

const AUTHORIZE: &[&str] = &[
    "GroupId",
    "IpPermissions",
    "IpProtocol",
    "FromPort",
    "ToPort",
    "CidrIp",
    "SourceSecurityGroupName",
    "TagSpecification",
];
const REVOKE: &[&str] =
    &["GroupId", "IpPermissions", "IpProtocol", "FromPort", "ToPort", "CidrIp", "SecurityGroupRuleId"];
const DESCRIBE: &[&str] = &["GroupId", "SecurityGroupRuleDescription"];

pub(super) const OPERATIONS: &[Operation] = &[
    writes("AuthorizeSecurityGroupIngress", AUTHORIZE, |call| authorize(call, false)),
    writes("AuthorizeSecurityGroupEgress", AUTHORIZE, |call| authorize(call, true)),
    writes("RevokeSecurityGroupIngress", REVOKE, |call| revoke(call, false)),
    writes("RevokeSecurityGroupEgress", REVOKE, |call| revoke(call, true)),
    writes("UpdateSecurityGroupRuleDescriptionsIngress", DESCRIBE, |call| redescribe(call, false)),
    writes("UpdateSecurityGroupRuleDescriptionsEgress", DESCRIBE, |call| redescribe(call, true)),
    reads("DescribeSecurityGroupRules", &["SecurityGroupRuleId", "Filter", "MaxResults", "NextToken"], describe),
];

const LISTING: Listing = Listing {
    ids: "SecurityGroupRuleId",
    reference: &refer::SECURITY_GROUP_RULE,
    links: &["security-group-rule-id", "group-id"],
    filters: &["group-id", "security-group-rule-id"],
    page: (5, 1000),
    refuses_unknown: true,
};

/// One rule as a call asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Wanted {
    protocol: String,
    ports: Option<(i64, i64)>,
    peer: Peer,
    description: Option<String>,
}

impl Wanted {
    /// Whether a rule is this one; descriptions do not tell rules apart.
    fn is(&self, rule: &SecurityGroupRule) -> bool {
        self.protocol == rule.protocol && self.ports == rule.ports && self.peer == rule.peer
    }
}

fn protocol(text: &str) -> Result<String, ApiError> {
    let named = match text.to_ascii_lowercase().as_str() {
        "-1" | "all" => "-1",
        "6" | "tcp" => "tcp",
        "17" | "udp" => "udp",
        "1" | "icmp" => "icmp",
        "58" | "icmpv6" => "icmpv6",
        other if other.parse::<u8>().is_ok() => return Ok(other.to_owned()),
        _ => return Err(ApiError::value(format!("Invalid value '{text}' for IP protocol. Unknown protocol."))),
    };
    Ok(named.to_owned())
}

fn ports(permission: &Node, protocol: &str) -> Result<Option<(i64, i64)>, ApiError> {
    let (from, to) = (permission.integer("FromPort")?, permission.integer("ToPort")?);
    match protocol {
        "tcp" | "udp" => {
            let (Some(from), Some(to)) = (from, to) else {
                return Err(ApiError::value(format!(
                    "Invalid value 'Must specify both from and to ports with TCP/UDP.' for portRange ({protocol})"
                )));
            };
            let valid = (0..=65_535).contains(&from) && (0..=65_535).contains(&to) && from <= to;
            if valid { Ok(Some((from, to))) } else { Err(ApiError::value(format!("Invalid port range {from}-{to}"))) }
        }
        "icmp" | "icmpv6" => Ok(Some((from.unwrap_or(-1), to.unwrap_or(-1)))),
        _ => Ok(None),
    }
}

/// The rules that a call names.
fn wanted(call: &Call<'_>) -> Result<Vec<Wanted>, ApiError> {
    let mut all = Vec::new();
    if call.params.text("IpProtocol").is_some() {
        // The old form: one rule in the parameters themselves.
        let protocol = protocol(call.params.required("IpProtocol")?)?;
        let ports = ports(call.params, &protocol)?;
        let peer = Peer::Ipv4(super::vpc::parse_ipv4(call.params.required("CidrIp")?)?);
        all.push(Wanted { protocol, ports, peer, description: None });
    }
    for permission in call.params.list("IpPermissions") {
        let protocol = protocol(permission.required("IpProtocol")?)?;
        let ports = ports(permission, &protocol)?;
        let before = all.len();
        let mut add = |peer: Peer, source: &Node| {
            let description = source.text("Description").map(str::to_owned);
            all.push(Wanted { protocol: protocol.clone(), ports, peer, description });
        };
        for source in permission.list("IpRanges") {
            let text = source.required("CidrIp")?;
            let block: ipnet::Ipv4Net =
                text.parse().map_err(|_| ApiError::value(format!("CIDR block {text} is malformed")))?;
            if block.trunc() != block {
                return Err(ApiError::value(format!("CIDR block {text} is malformed: it has host bits")));
            }
            add(Peer::Ipv4(block), source);
        }
        for source in permission.list("Ipv6Ranges") {
            let text = source.required("CidrIpv6")?;
            let block: ipnet::Ipv6Net =
                text.parse().map_err(|_| ApiError::value(format!("CIDR block {text} is malformed")))?;
            add(Peer::Ipv6(block.trunc()), source);
        }
        for source in permission.list("Groups") {
            let id = source.required("GroupId")?;
            refer::find(&call.region.security_groups, &refer::SECURITY_GROUP, id, call.now)?;
            add(Peer::Group(id.to_owned()), source);
        }
        for source in permission.list("PrefixListIds") {
            add(Peer::PrefixList(source.required("PrefixListId")?.to_owned()), source);
        }
        if all.len() == before {
            return Err(ApiError::new(
                "MissingParameter",
                "The request must contain a source or destination for each permission",
            ));
        }
    }
    Ok(all)
}

/// Refuses a rule that names a group of another VPC, unless a peering connection leads there.
fn check_reach(call: &Call<'_>, group: &str, peer: &Peer) -> Result<(), ApiError> {
    let Peer::Group(peer) = peer else { return Ok(()) };
    let vpc = |id: &str| call.region.security_groups.get(id).map(|group| group.vpc_id.as_str()).unwrap_or_default();
    let (one, other) = (vpc(group), vpc(peer));
    if one == other || vpc_peering::joined(call, one, other) {
        return Ok(());
    }
    Err(ApiError::new("InvalidGroup.NotFound", "You have specified two resources that belong to different networks."))
}

fn authorize(call: &mut Call<'_>, egress: bool) -> Answer {
    let group_id = call.params.required("GroupId")?;
    refer::find(&call.region.security_groups, &refer::SECURITY_GROUP, group_id, call.now)?;
    let all = wanted(call)?;
    all.iter().try_for_each(|one| check_reach(call, group_id, &one.peer))?;
    if all.is_empty() {
        return Err(ApiError::missing("IpPermissions"));
    }
    let existing: Vec<&SecurityGroupRule> =
        call.region.security_group_rules.linked(group_id).filter(|rule| rule.egress == egress).collect();
    for (number, one) in all.iter().enumerate() {
        let twice = all[..number]
            .iter()
            .any(|other| (&other.protocol, other.ports, &other.peer) == (&one.protocol, one.ports, &one.peer));
        if twice {
            return Err(ApiError::value("The same permission must not appear multiple times"));
        }
        if existing.iter().any(|rule| one.is(rule)) {
            return Err(ApiError::new(
                "InvalidPermission.Duplicate",
                format!(
                    "the specified rule \"peer: {}, {}, ALLOW\" already exists",
                    peer_text(&one.peer),
                    one.protocol
                ),
            ));
        }
    }
    if existing.len() + all.len() > call.quotas.rules_per_group {
        return Err(ApiError::new(
            "RulesPerSecurityGroupLimitExceeded",
            "The maximum number of rules per security group has been reached.",
        ));
    }
    let mut made = Vec::new();
    for one in all {
        let mut head = call.new_head("sgr", "security-group-rule")?;
        head.visible_at = call.now;
        let Wanted { protocol, ports, peer, description } = one;
        made.push(SecurityGroupRule {
            head,
            group_id: group_id.to_owned(),
            egress,
            protocol,
            ports,
            peer,
            description,
        });
    }
    let mut xml = Xml::default().returned();
    xml.list("securityGroupRuleSet", &made, |xml, rule| write(xml, call, rule));
    for rule in made {
        call.region.security_group_rules.insert(rule);
    }
    Ok(xml)
}

fn peer_text(peer: &Peer) -> String {
    match peer {
        Peer::Ipv4(block) => block.to_string(),
        Peer::Ipv6(block) => block.to_string(),
        Peer::Group(id) | Peer::PrefixList(id) => id.clone(),
    }
}

fn revoke(call: &mut Call<'_>, egress: bool) -> Answer {
    let group_id = call.params.required("GroupId")?;
    refer::find(&call.region.security_groups, &refer::SECURITY_GROUP, group_id, call.now)?;
    let mut revoked: Vec<SecurityGroupRule> = Vec::new();
    for id in call.params.texts("SecurityGroupRuleId") {
        let rule = refer::find(&call.region.security_group_rules, &refer::SECURITY_GROUP_RULE, id, call.now)?;
        if rule.group_id != group_id || rule.egress != egress {
            return Err(refer::SECURITY_GROUP_RULE.not_found(id));
        }
        revoked.push(rule.clone());
    }
    for one in wanted(call)? {
        let rule = call.region.security_group_rules.linked(group_id).find(|rule| rule.egress == egress && one.is(rule));
        let Some(rule) = rule else {
            return Err(ApiError::new(
                "InvalidPermission.NotFound",
                "The specified rule does not exist in this security group.",
            ));
        };
        revoked.push(rule.clone());
    }
    if revoked.is_empty() {
        return Err(ApiError::missing("IpPermissions"));
    }
    let mut xml = Xml::default().returned();
    xml.list("revokedSecurityGroupRuleSet", &revoked, |xml, rule| write(xml, call, rule));
    for rule in revoked {
        call.region.security_group_rules.remove(&rule.head.id);
    }
    Ok(xml)
}

/// Gives rules other descriptions, by their ids alone: the form by permissions is not offered.
fn redescribe(call: &mut Call<'_>, egress: bool) -> Answer {
    let group_id = call.params.required("GroupId")?;
    refer::find(&call.region.security_groups, &refer::SECURITY_GROUP, group_id, call.now)?;
    let mut changed = Vec::new();
    for one in call.params.list("SecurityGroupRuleDescription") {
        let id = one.required("SecurityGroupRuleId")?;
        let rule = refer::find(&call.region.security_group_rules, &refer::SECURITY_GROUP_RULE, id, call.now)?;
        if rule.group_id != group_id || rule.egress != egress {
            return Err(refer::SECURITY_GROUP_RULE.not_found(id));
        }
        changed.push(SecurityGroupRule { description: one.text("Description").map(str::to_owned), ..rule.clone() });
    }
    if changed.is_empty() {
        return Err(ApiError::missing("SecurityGroupRuleDescriptions"));
    }
    for rule in changed {
        call.region.security_group_rules.insert(rule);
    }
    Ok(Xml::default().returned())
}

fn describe(call: &mut Call<'_>) -> Answer {
    let selected = LISTING.select(call, &call.region.security_group_rules, |rule, filter| match filter {
        "group-id" => vec![rule.group_id.clone()],
        _ => vec![rule.head.id.clone()],
    })?;
    let mut xml = Xml::default();
    xml.list("securityGroupRuleSet", selected.rows, |xml, rule| write(xml, call, rule));
    write_next(&mut xml, selected.next);
    Ok(xml)
}

fn write(xml: &mut Xml, call: &Call<'_>, rule: &SecurityGroupRule) {
    let (from, to) = rule.ports.unwrap_or((-1, -1));
    xml.text("securityGroupRuleId", &rule.head.id)
        .text("securityGroupRuleArn", call.arn("security-group-rule", &rule.head.id))
        .text("groupId", &rule.group_id)
        .text("groupOwnerId", call.owner())
        .text("isEgress", rule.egress)
        .text("ipProtocol", &rule.protocol)
        .text("fromPort", from)
        .text("toPort", to);
    match &rule.peer {
        Peer::Ipv4(block) => xml.text("cidrIpv4", block),
        Peer::Ipv6(block) => xml.text("cidrIpv6", block),
        Peer::PrefixList(id) => xml.text("prefixListId", id),
        Peer::Group(id) => xml.group("referencedGroupInfo", |xml| {
            xml.text("groupId", id).text("userId", call.owner());
        }),
    };
    xml.optional("description", rule.description.as_ref());
    tagging::write(xml, &rule.head.tags);
}

/// Writes the rules of a group in the older form: by protocol and ports.
pub(super) fn write_permissions(xml: &mut Xml, call: &Call<'_>, group_id: &str, egress: bool) {
    type Selector<'a> = (&'a str, Option<(i64, i64)>);
    let mut permissions: BTreeMap<Selector<'_>, Vec<&SecurityGroupRule>> = BTreeMap::new();
    for rule in call.region.security_group_rules.linked(group_id).filter(|rule| rule.egress == egress) {
        permissions.entry((&rule.protocol, rule.ports)).or_default().push(rule);
    }
    let name = if egress { "ipPermissionsEgress" } else { "ipPermissions" };
    xml.list(name, permissions, |xml, ((protocol, ports), rules)| {
        xml.text("ipProtocol", protocol)
            .optional("fromPort", ports.map(|(from, _)| from))
            .optional("toPort", ports.map(|(_, to)| to));
        let mut sources = |list: &str, element: &str, part: fn(&Peer) -> Option<String>, owner: bool| {
            let found = rules.iter().filter_map(|rule| Some((part(&rule.peer)?, rule)));
            xml.list(list, found, |xml, (text, rule)| {
                xml.text(element, text).optional("description", rule.description.as_ref());
                if owner {
                    xml.text("userId", call.owner());
                }
            });
        };
        sources(
            "ipRanges",
            "cidrIp",
            |peer| if let Peer::Ipv4(block) = peer { Some(block.to_string()) } else { None },
            false,
        );
        sources(
            "ipv6Ranges",
            "cidrIpv6",
            |peer| if let Peer::Ipv6(block) = peer { Some(block.to_string()) } else { None },
            false,
        );
        sources(
            "prefixListIds",
            "prefixListId",
            |peer| if let Peer::PrefixList(id) = peer { Some(id.clone()) } else { None },
            false,
        );
        sources("groups", "groupId", |peer| if let Peer::Group(id) = peer { Some(id.clone()) } else { None }, true);
    });
}
