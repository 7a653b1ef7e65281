//! What people ask to look around: regions, zones, account attributes, and lists that are empty here.

use super::listing::{Filters, Page};
use super::{Answer, Call, Operation, reads, tagging};
use crate::sandbox::protocol::{ApiError, Xml};
use crate::sandbox::world::zones::{KnownRegion, REGIONS, Zone, zones};

pub(super) const OPERATIONS: &[Operation] = &[
    reads("DescribeRegions", &["RegionName", "AllRegions", "Filter"], regions),
    reads("DescribeAvailabilityZones", &["ZoneName", "ZoneId", "AllAvailabilityZones", "Filter"], availability_zones),
    reads("DescribeAccountAttributes", &["AttributeName"], account_attributes),
    reads(
        "DescribeLaunchTemplates",
        &["LaunchTemplateId", "LaunchTemplateName", "Filter", "MaxResults", "NextToken"],
        launch_templates,
    ),
];

fn opt_in(region: &KnownRegion) -> &'static str {
    if region.opt_in { "not-opted-in" } else { "opt-in-not-required" }
}

fn regions(call: &mut Call<'_>) -> Answer {
    let filters = Filters::parse(call.params, &["endpoint", "opt-in-status", "region-name"])?;
    let wanted = call.params.texts("RegionName");
    if let Some(unknown) = wanted.iter().find(|name| !REGIONS.iter().any(|region| region.name == **name)) {
        return Err(ApiError::value(format!("Invalid region provided: {unknown}")));
    }
    let all = call.params.boolean("AllRegions")? == Some(true);
    let endpoint = |region: &KnownRegion| format!("ec2.{}.amazonaws.com", region.name);
    let found = REGIONS.iter().filter(|region| {
        let named = if wanted.is_empty() { all || !region.opt_in } else { wanted.contains(&region.name) };
        let values = |filter: &str| {
            vec![match filter {
                "endpoint" => endpoint(region),
                "opt-in-status" => opt_in(region).to_owned(),
                _ => region.name.to_owned(),
            }]
        };
        named && filters.accept(values, &tagging::Tags::new())
    });
    let mut xml = Xml::default();
    xml.list("regionInfo", found, |xml, region| {
        xml.text("regionName", region.name)
            .text("regionEndpoint", endpoint(region))
            .text("optInStatus", opt_in(region));
    });
    Ok(xml)
}

fn availability_zones(call: &mut Call<'_>) -> Answer {
    let filters = Filters::parse(
        call.params,
        &[
            "group-name",
            "network-border-group",
            "opt-in-status",
            "region-name",
            "state",
            "zone-id",
            "zone-name",
            "zone-type",
        ],
    )?;
    let all = zones(&call.region.name);
    let (names, ids) = (call.params.texts("ZoneName"), call.params.texts("ZoneId"));
    let unknown = names.iter().find(|name| !all.iter().any(|zone| zone.name == **name));
    if let Some(unknown) = unknown.or_else(|| ids.iter().find(|id| !all.iter().any(|zone| zone.id == **id))) {
        return Err(ApiError::value(format!("Invalid availability zone: [{unknown}]")));
    }
    let region = &call.region.name;
    let found = all.iter().filter(|zone| {
        let chosen = (names.is_empty() && ids.is_empty())
            || names.contains(&zone.name.as_str())
            || ids.contains(&zone.id.as_str());
        let values = |filter: &str| {
            vec![match filter {
                "group-name" | "network-border-group" | "region-name" => region.clone(),
                "opt-in-status" => "opt-in-not-required".to_owned(),
                "state" => "available".to_owned(),
                "zone-id" => zone.id.clone(),
                "zone-type" => "availability-zone".to_owned(),
                _ => zone.name.clone(),
            }]
        };
        chosen && filters.accept(values, &tagging::Tags::new())
    });
    let mut xml = Xml::default();
    xml.list("availabilityZoneInfo", found, |xml, zone: &Zone| {
        xml.text("zoneName", &zone.name)
            .text("zoneId", &zone.id)
            .text("zoneState", "available")
            .text("zoneType", "availability-zone")
            .text("optInStatus", "opt-in-not-required")
            .text("regionName", region)
            .text("groupName", region)
            .text("networkBorderGroup", region)
            .list("messageSet", std::iter::empty::<()>(), |_, ()| {});
    });
    Ok(xml)
}

fn account_attributes(call: &mut Call<'_>) -> Answer {
    let default = call.region.vpcs.iter().find(|vpc| vpc.is_default).map(|vpc| vpc.head.id.clone());
    let attributes = [
        ("supported-platforms", "VPC".to_owned()),
        ("default-vpc", default.unwrap_or_else(|| "none".to_owned())),
        ("max-instances", "20".to_owned()),
        ("max-elastic-ips", call.quotas.addresses.to_string()),
        ("vpc-max-elastic-ips", call.quotas.addresses.to_string()),
        ("vpc-max-security-groups-per-interface", "5".to_owned()),
    ];
    let wanted = call.params.texts("AttributeName");
    if let Some(unknown) = wanted.iter().find(|name| !attributes.iter().any(|(known, _)| known == *name)) {
        return Err(ApiError::value(format!("Value ({unknown}) for parameter attributeName is invalid.")));
    }
    let found = attributes.iter().filter(|(name, _)| wanted.is_empty() || wanted.contains(name));
    let mut xml = Xml::default();
    xml.list("accountAttributeSet", found, |xml, (name, value)| {
        xml.text("attributeName", name).list("attributeValueSet", [value], |xml, value| {
            xml.text("attributeValue", value);
        });
    });
    Ok(xml)
}

/// There are none: the sandbox makes no launch templates yet, so only names that do not exist can be asked for.
fn launch_templates(call: &mut Call<'_>) -> Answer {
    let _ = Page::parse(call.params, (1, 200))?;
    if let Some(id) = call.params.texts("LaunchTemplateId").first() {
        return Err(ApiError::new(
            "InvalidLaunchTemplateId.NotFound",
            format!("The launch template ID {id} does not exist"),
        ));
    }
    if let Some(name) = call.params.texts("LaunchTemplateName").first() {
        return Err(ApiError::new(
            "InvalidLaunchTemplateName.NotFoundException",
            format!("The specified launch template, with template name {name}, does not exist."),
        ));
    }
    let mut xml = Xml::default();
    xml.list("launchTemplates", std::iter::empty::<()>(), |_, ()| {});
    Ok(xml)
}
