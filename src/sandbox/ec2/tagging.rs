//! Tags: the ones given when something is made, and `CreateTags`, `DeleteTags`, `DescribeTags`.

pub(super) use crate::sandbox::world::rows::Tags;

use super::listing::{Filters, Page, write_next};
use super::{Answer, Call, Operation, reads, refer, writes};
use crate::sandbox::protocol::{ApiError, Node, Xml};
use crate::sandbox::world::rows::VpcPeering;
use crate::sandbox::world::table::Row as _;

pub(super) const OPERATIONS: &[Operation] = &[
    writes("CreateTags", &["ResourceId", "Tag"], create),
    writes("DeleteTags", &["ResourceId", "Tag"], delete),
    reads("DescribeTags", &["Filter", "MaxResults", "NextToken"], describe),
];

/// How many tags an object can have, those of AWS itself not counted.
const MAX_TAGS: usize = 50;
const MAX_KEY: usize = 128;
const MAX_VALUE: usize = 256;

/// Resource types that EC2 has and a tag specification may name.
const TYPES: &[&str] = &[
    "dhcp-options",
    "egress-only-internet-gateway",
    "elastic-ip",
    "instance",
    "internet-gateway",
    "key-pair",
    "launch-template",
    "natgateway",
    "network-acl",
    "network-interface",
    "route-table",
    "security-group",
    "security-group-rule",
    "subnet",
    "volume",
    "vpc",
    "vpc-endpoint",
    "vpc-peering-connection",
];

/// The tags that a call gives to what it makes.
pub(super) fn specified(params: &Node, resource_type: &str) -> Result<Tags, ApiError> {
    let mut tags = Tags::new();
    for specification in params.list("TagSpecification") {
        let Some(named) = specification.text("ResourceType") else {
            return Err(ApiError::new("InvalidTagKey.Malformed", "Tag specification resource type must have a value"));
        };
        if !TYPES.contains(&named) {
            return Err(ApiError::value(format!("'{named}' is not a valid taggable resource type.")));
        }
        if named != resource_type {
            return Err(ApiError::value(format!(
                "'{named}' is not a valid taggable resource type for this operation."
            )));
        }
        for (key, value) in parse(specification)? {
            if tags.insert(key.clone(), value.unwrap_or_default()).is_some() {
                return Err(ApiError::value(format!("Duplicate tag key '{key}' specified.")));
            }
        }
    }
    limit(&tags)?;
    Ok(tags)
}

/// The tags in a call; a value may be absent.
fn parse(params: &Node) -> Result<Vec<(String, Option<String>)>, ApiError> {
    params
        .list("Tag")
        .into_iter()
        .map(|tag| {
            let key = tag.text("Key").ok_or_else(|| ApiError::value("Tag key cannot be null or empty"))?;
            let value = tag.at("Value").and_then(Node::value);
            if key.to_ascii_lowercase().starts_with("aws:") {
                return Err(ApiError::value("Tag keys starting with 'aws:' are reserved for internal use"));
            }
            if key.chars().count() > MAX_KEY {
                return Err(ApiError::value(format!("Tag key exceeds the maximum length of {MAX_KEY} characters")));
            }
            if value.is_some_and(|value| value.chars().count() > MAX_VALUE) {
                return Err(ApiError::value(format!("Tag value exceeds the maximum length of {MAX_VALUE} characters")));
            }
            Ok((key.to_owned(), value.map(str::to_owned)))
        })
        .collect()
}

fn limit(tags: &Tags) -> Result<(), ApiError> {
    if tags.len() > MAX_TAGS {
        return Err(ApiError::new("TagLimitExceeded", "More than 50 tags specified"));
    }
    Ok(())
}

/// The objects of a call, each of which a caller must be able to see.
fn resources<'a>(call: &'a Call<'_>) -> Result<Vec<&'a str>, ApiError> {
    const REFERENCES: &[&refer::Reference] = &[
        &refer::VPC,
        &refer::SUBNET,
        &refer::INTERNET_GATEWAY,
        &refer::EGRESS_GATEWAY,
        &refer::NAT_GATEWAY,
        &refer::ROUTE_TABLE,
        &refer::SECURITY_GROUP,
        &refer::SECURITY_GROUP_RULE,
        &refer::INTERFACE,
        &refer::INSTANCE,
        &refer::NETWORK_ACL,
        &refer::DHCP_OPTIONS,
        &refer::ADDRESS,
        &refer::VPC_PEERING,
    ];
    let ids = call.params.texts("ResourceId");
    if ids.is_empty() {
        return Err(ApiError::missing("ResourceId"));
    }
    for id in &ids {
        let prefix = id.rsplit_once('-').map_or("", |(prefix, _)| prefix);
        let Some(reference) = REFERENCES.iter().find(|reference| reference.prefix == prefix) else {
            return Err(ApiError::new("InvalidID", format!("The ID '{id}' is not valid")));
        };
        reference.check(id)?;
        if tags_of(call, id).is_none() {
            return Err(reference.not_found(id));
        }
    }
    Ok(ids)
}

/// Whether the call's region has the tags of a connection between VPCs: the requester's.
fn is_tagged_here(call: &Call<'_>, peering: &VpcPeering) -> bool {
    peering.requester.region == call.region.name && peering.head.visible_at <= call.now
}

/// The tags of an object that the call's region can see.
fn tags_of<'a>(call: &'a Call<'_>, id: &str) -> Option<&'a Tags> {
    let of_two = || call.global.vpc_peerings.get(id).filter(|peering| is_tagged_here(call, peering));
    call.region.tags(id, call.now).or_else(|| of_two().map(|peering| &peering.head.tags))
}

fn edit_tags(call: &mut Call<'_>, id: &str, change: impl FnOnce(&mut Tags)) {
    if call.global.vpc_peerings.get(id).is_some() {
        call.global.vpc_peerings.edit(id, |peering| change(&mut peering.head.tags));
    } else {
        call.region.edit_tags(id, change);
    }
}

fn create(call: &mut Call<'_>) -> Answer {
    let ids: Vec<String> = resources(call)?.into_iter().map(str::to_owned).collect();
    let given = parse(call.params)?;
    if given.is_empty() {
        return Err(ApiError::missing("Tag"));
    }
    let mut seen = Tags::new();
    for (key, value) in &given {
        if seen.insert(key.clone(), value.clone().unwrap_or_default()).is_some() {
            return Err(ApiError::value(format!("Duplicate tag key '{key}' specified.")));
        }
    }
    for id in &ids {
        let mut tags = tags_of(call, id).cloned().unwrap_or_default();
        tags.extend(seen.clone());
        limit(&tags)?;
    }
    for id in &ids {
        edit_tags(call, id, |tags| tags.extend(seen.clone()));
    }
    Ok(Xml::default().returned())
}

/// Without tags all are removed; with a value only where it is the tag's (an empty one included).
fn delete(call: &mut Call<'_>) -> Answer {
    let ids: Vec<String> = resources(call)?.into_iter().map(str::to_owned).collect();
    let given = parse(call.params)?;
    for id in &ids {
        edit_tags(call, id, |tags| {
            if given.is_empty() {
                tags.clear();
            }
            for (key, value) in &given {
                if value.as_ref().is_none_or(|value| tags.get(key) == Some(value)) {
                    tags.remove(key);
                }
            }
        });
    }
    Ok(Xml::default().returned())
}

fn describe(call: &mut Call<'_>) -> Answer {
    let filters = Filters::parse(call.params, &["key", "value", "resource-id", "resource-type"])?;
    let page = Page::parse(call.params, (5, 1000))?;
    let mut found = Vec::new();
    // Other services' objects have tags of their own, which EC2 does not know.
    let all = call.region.all_tags(call.now).into_iter().filter(|(resource_type, _, _)| TYPES.contains(resource_type));
    let of_two = call.global.vpc_peerings.iter().filter(|peering| is_tagged_here(call, peering));
    let all = all.chain(of_two.map(|peering| (VpcPeering::TABLE, peering.head.id.as_str(), &peering.head.tags)));
    for (resource_type, id, tags) in all {
        for (key, value) in tags {
            let one = Tags::from([(key.clone(), value.clone())]);
            let values = |name: &str| match name {
                "key" => vec![key.clone()],
                "value" => vec![value.clone()],
                "resource-id" => vec![id.to_owned()],
                _ => vec![resource_type.to_owned()],
            };
            if filters.accept(values, &one) {
                found.push((format!("{id}/{key}"), id, resource_type, key, value));
            }
        }
    }
    found.sort();
    let selected = page.cut(found.iter().collect(), |(at, ..)| at);
    let mut xml = Xml::default();
    xml.list("tagSet", selected.rows, |xml, (_, id, resource_type, key, value)| {
        xml.text("resourceId", id).text("resourceType", resource_type).text("key", key).text("value", value);
    });
    write_next(&mut xml, selected.next);
    Ok(xml)
}

/// Writes an object's tags.
pub(super) fn write(xml: &mut Xml, tags: &Tags) {
    xml.list("tagSet", tags, |xml, (key, value)| {
        xml.text("key", key).text("value", value);
    });
}
