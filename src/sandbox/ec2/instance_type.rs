//! Instance types: which there are, where they are offered, and what tells them apart for a cluster.
//!
//! Source of the figures: "Amazon EC2 instance types". Every zone here offers all of them, which AWS's do not.

use super::listing::{Filters, Page, write_next};
use super::{Answer, Call, Operation, reads, tagging};
use crate::sandbox::protocol::{ApiError, Xml};
use crate::sandbox::world::zones::zones;

pub(super) const OPERATIONS: &[Operation] = &[
    reads("DescribeInstanceTypeOfferings", &["LocationType", "Filter", "MaxResults", "NextToken"], offerings),
    reads("DescribeInstanceTypes", &["InstanceType", "Filter", "MaxResults", "NextToken"], describe),
];

/// An instance type.
struct InstanceType {
    name: &'static str,
    vcpus: u32,
    mib: u32,
    /// How many network interfaces it can have.
    interfaces: u32,
    /// How many addresses of each family an interface can have.
    addresses: u32,
    /// `x86_64` or `arm64`.
    architecture: &'static str,
    /// `nitro` or `xen`.
    hypervisor: &'static str,
}

const fn of(
    name: &'static str,
    (vcpus, gib): (u32, u32),
    (interfaces, addresses): (u32, u32),
    architecture: &'static str,
    hypervisor: &'static str,
) -> InstanceType {
    InstanceType { name, vcpus, mib: gib * 1024, interfaces, addresses, architecture, hypervisor }
}

const fn nitro(name: &'static str, size: (u32, u32), network: (u32, u32)) -> InstanceType {
    of(name, size, network, "x86_64", "nitro")
}

const fn graviton(name: &'static str, size: (u32, u32), network: (u32, u32)) -> InstanceType {
    of(name, size, network, "arm64", "nitro")
}

const fn xen(name: &'static str, size: (u32, u32), network: (u32, u32)) -> InstanceType {
    of(name, size, network, "x86_64", "xen")
}

/// In the order of their names.
const INSTANCE_TYPES: &[InstanceType] = &[
    xen("c4.large", (2, 4), (3, 10)),
    nitro("c5.large", (2, 4), (3, 10)),
    nitro("c5.xlarge", (4, 8), (4, 15)),
    nitro("c6a.large", (2, 4), (3, 10)),
    nitro("c6a.xlarge", (4, 8), (4, 15)),
    graviton("c6g.large", (2, 4), (3, 10)),
    nitro("c6i.large", (2, 4), (3, 10)),
    nitro("c6i.xlarge", (4, 8), (4, 15)),
    graviton("c7g.large", (2, 4), (3, 10)),
    graviton("c7g.xlarge", (4, 8), (4, 15)),
    nitro("c7i.large", (2, 4), (3, 10)),
    nitro("c7i.xlarge", (4, 8), (4, 15)),
    xen("m4.large", (2, 8), (2, 10)),
    xen("m4.xlarge", (4, 16), (4, 15)),
    nitro("m5.2xlarge", (8, 32), (4, 15)),
    nitro("m5.large", (2, 8), (3, 10)),
    nitro("m5.xlarge", (4, 16), (4, 15)),
    nitro("m6a.large", (2, 8), (3, 10)),
    nitro("m6a.xlarge", (4, 16), (4, 15)),
    graviton("m6g.large", (2, 8), (3, 10)),
    graviton("m6g.xlarge", (4, 16), (4, 15)),
    nitro("m6i.2xlarge", (8, 32), (4, 15)),
    nitro("m6i.large", (2, 8), (3, 10)),
    nitro("m6i.xlarge", (4, 16), (4, 15)),
    graviton("m7g.large", (2, 8), (3, 10)),
    graviton("m7g.xlarge", (4, 16), (4, 15)),
    nitro("m7i.2xlarge", (8, 32), (4, 15)),
    nitro("m7i.large", (2, 8), (3, 10)),
    nitro("m7i.xlarge", (4, 16), (4, 15)),
    xen("r4.large", (2, 15), (3, 10)),
    nitro("r5.large", (2, 16), (3, 10)),
    nitro("r6i.large", (2, 16), (3, 10)),
    nitro("r6i.xlarge", (4, 32), (4, 15)),
    graviton("r7g.large", (2, 16), (3, 10)),
    nitro("r7i.large", (2, 16), (3, 10)),
    xen("t2.large", (2, 8), (3, 12)),
    xen("t2.medium", (2, 4), (3, 6)),
    xen("t2.micro", (1, 1), (2, 2)),
    xen("t2.small", (1, 2), (3, 4)),
    nitro("t3.2xlarge", (8, 32), (4, 15)),
    nitro("t3.large", (2, 8), (3, 12)),
    nitro("t3.medium", (2, 4), (3, 6)),
    nitro("t3.micro", (2, 1), (2, 2)),
    nitro("t3.small", (2, 2), (3, 4)),
    nitro("t3.xlarge", (4, 16), (4, 15)),
    nitro("t3a.large", (2, 8), (3, 12)),
    nitro("t3a.medium", (2, 4), (3, 6)),
    graviton("t4g.large", (2, 8), (3, 12)),
    graviton("t4g.medium", (2, 4), (3, 6)),
    graviton("t4g.small", (2, 2), (3, 4)),
];

/// Whether there is an instance type of this name.
pub(in crate::sandbox) fn is_known(name: &str) -> bool {
    INSTANCE_TYPES.iter().any(|known| known.name == name)
}

/// Whether it is of the kind that IPv6 clusters need (`nitro`); `None` when there is none of this name.
pub(in crate::sandbox) fn is_nitro(name: &str) -> Option<bool> {
    INSTANCE_TYPES.iter().find(|known| known.name == name).map(|known| known.hypervisor == "nitro")
}

/// What an instance type's processors are; `x86_64` for one that is not known.
pub(super) fn architecture(name: &str) -> &'static str {
    INSTANCE_TYPES.iter().find(|known| known.name == name).map_or("x86_64", |known| known.architecture)
}

fn offerings(call: &mut Call<'_>) -> Answer {
    let filters = Filters::parse(call.params, &["instance-type", "location"])?;
    let page = Page::parse(call.params, (5, 1000))?;
    let kind = call.params.text("LocationType").unwrap_or("region");
    let locations: Vec<String> = match kind {
        "region" => vec![call.region.name.clone()],
        "availability-zone" => zones(&call.region.name).into_iter().map(|zone| zone.name).collect(),
        "availability-zone-id" => zones(&call.region.name).into_iter().map(|zone| zone.id).collect(),
        other => {
            return Err(ApiError::bad_value(other, "LocationType", "The sandbox has regions and availability zones"));
        }
    };
    let mut found: Vec<(String, &str, &String)> = Vec::new();
    for InstanceType { name, .. } in INSTANCE_TYPES {
        for location in &locations {
            let values = |filter: &str| vec![if filter == "location" { location.clone() } else { (*name).to_owned() }];
            if filters.accept(values, &tagging::Tags::new()) {
                found.push((format!("{name}/{location}"), name, location));
            }
        }
    }
    found.sort();
    let selected = page.cut(found.iter().collect(), |(key, ..)| key);
    let mut xml = Xml::default();
    xml.list("instanceTypeOfferingSet", selected.rows, |xml, (_, name, location)| {
        xml.text("instanceType", name).text("locationType", kind).text("location", location);
    });
    write_next(&mut xml, selected.next);
    Ok(xml)
}

const FILTERS: &[&str] = &[
    "bare-metal",
    "current-generation",
    "hypervisor",
    "instance-type",
    "memory-info.size-in-mib",
    "network-info.ipv4-addresses-per-interface",
    "network-info.ipv6-supported",
    "network-info.maximum-network-interfaces",
    "processor-info.supported-architecture",
    "supported-usage-class",
    "vcpu-info.default-vcpus",
];

fn describe(call: &mut Call<'_>) -> Answer {
    let filters = Filters::parse(call.params, FILTERS)?;
    let page = Page::parse(call.params, (5, 100))?;
    let wanted = call.params.texts("InstanceType");
    let unknown: Vec<&str> = wanted.iter().copied().filter(|name| !is_known(name)).collect();
    if !unknown.is_empty() {
        return Err(ApiError::new(
            "InvalidInstanceType",
            format!("The following supplied instance types do not exist: [{}]", unknown.join(", ")),
        ));
    }
    let found = INSTANCE_TYPES.iter().filter(|known| {
        let values = |filter: &str| {
            vec![match filter {
                "bare-metal" => "false".to_owned(),
                "current-generation" => is_current(known).to_string(),
                "hypervisor" => known.hypervisor.to_owned(),
                "memory-info.size-in-mib" => known.mib.to_string(),
                "network-info.ipv4-addresses-per-interface" => known.addresses.to_string(),
                "network-info.ipv6-supported" => "true".to_owned(),
                "network-info.maximum-network-interfaces" => known.interfaces.to_string(),
                "processor-info.supported-architecture" => known.architecture.to_owned(),
                "supported-usage-class" => return vec!["on-demand".to_owned(), "spot".to_owned()],
                "vcpu-info.default-vcpus" => known.vcpus.to_string(),
                _ => known.name.to_owned(),
            }]
        };
        (wanted.is_empty() || wanted.contains(&known.name)) && filters.accept(values, &tagging::Tags::new())
    });
    let selected = page.cut(found.collect(), |known| known.name);
    let mut xml = Xml::default();
    xml.list("instanceTypeSet", selected.rows, write);
    write_next(&mut xml, selected.next);
    Ok(xml)
}

/// Xen types are of earlier generations, but for t2.
fn is_current(known: &InstanceType) -> bool {
    known.hypervisor == "nitro" || known.name.starts_with("t2.")
}

fn write(xml: &mut Xml, known: &InstanceType) {
    xml.text("instanceType", known.name)
        .text("currentGeneration", is_current(known))
        .text("freeTierEligible", matches!(known.name, "t2.micro" | "t3.micro"))
        .list("supportedUsageClasses", ["on-demand", "spot"], Xml::value)
        .list("supportedRootDeviceTypes", ["ebs"], Xml::value)
        .list("supportedVirtualizationTypes", ["hvm"], Xml::value)
        .text("bareMetal", false)
        .text("hypervisor", known.hypervisor)
        .group("processorInfo", |xml| {
            xml.list("supportedArchitectures", [known.architecture], Xml::value);
        })
        .group("vCpuInfo", |xml| {
            xml.text("defaultVCpus", known.vcpus);
        })
        .group("memoryInfo", |xml| {
            xml.text("sizeInMiB", known.mib);
        })
        .text("instanceStorageSupported", false)
        .group("networkInfo", |xml| {
            xml.text("maximumNetworkInterfaces", known.interfaces)
                .text("maximumNetworkCards", 1)
                .text("defaultNetworkCardIndex", 0)
                .text("ipv4AddressesPerInterface", known.addresses)
                .text("ipv6AddressesPerInterface", known.addresses)
                .text("ipv6Supported", true)
                .text("enaSupport", if known.hypervisor == "nitro" { "required" } else { "unsupported" })
                .text("efaSupported", false);
        })
        .text("burstablePerformanceSupported", known.name.starts_with('t'))
        .text("dedicatedHostsSupported", !known.name.starts_with('t'))
        .text("autoRecoverySupported", true);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_types_are_in_the_order_of_their_names() {
        assert!(INSTANCE_TYPES.is_sorted_by_key(|known| known.name));
        assert_eq!(
            (is_nitro("m6i.large"), is_nitro("m4.large"), is_nitro("m6i.tiny")),
            (Some(true), Some(false), None)
        );
    }
}
