//! Instances: those of node groups, which other services launch and terminate.

use super::listing::{Listing, write_next};
use super::{Answer, Call, Operation, reads, refer, tagging};
use crate::sandbox::protocol::Xml;
use crate::sandbox::world::rows::{Instance, NetworkInterface};

pub(super) const OPERATIONS: &[Operation] =
    &[reads("DescribeInstances", &["InstanceId", "Filter", "MaxResults", "NextToken"], describe)];

const LISTING: Listing = Listing {
    ids: "InstanceId",
    reference: &refer::INSTANCE,
    links: &["instance-id", "subnet-id", "vpc-id"],
    filters: &[
        "availability-zone",
        "image-id",
        "instance-id",
        "instance-lifecycle",
        "instance-state-code",
        "instance-state-name",
        "instance-type",
        "instance.group-id",
        "network-interface.vpc-id",
        "owner-id",
        "private-dns-name",
        "private-ip-address",
        "subnet-id",
        "vpc-id",
    ],
    page: (5, 1000),
    refuses_unknown: true,
};

/// The name that an instance has inside its VPC.
fn private_dns_name(call: &Call<'_>, instance: &Instance) -> String {
    let [a, b, c, d] = instance.private_ip.octets();
    let suffix = match call.region.name.as_str() {
        "us-east-1" => "ec2.internal".to_owned(),
        region => format!("{region}.compute.internal"),
    };
    format!("ip-{a}-{b}-{c}-{d}.{suffix}")
}

fn describe(call: &mut Call<'_>) -> Answer {
    let selected = LISTING.select(call, &call.region.instances, |instance, filter| {
        vec![match filter {
            "availability-zone" => instance.zone.clone(),
            "image-id" => instance.image_id.clone(),
            "instance-lifecycle" => return instance.spot.then(|| "spot".to_owned()).into_iter().collect(),
            "instance-state-code" => instance.state(call.now).0.to_string(),
            "instance-state-name" => instance.state(call.now).1.to_owned(),
            "instance-type" => instance.instance_type.clone(),
            "instance.group-id" => return instance.groups.clone(),
            "network-interface.vpc-id" | "vpc-id" => instance.vpc_id.clone(),
            "owner-id" => call.owner().to_owned(),
            "private-dns-name" => private_dns_name(call, instance),
            "private-ip-address" => instance.private_ip.to_string(),
            "subnet-id" => instance.subnet_id.clone(),
            _ => instance.head.id.clone(),
        }]
    })?;
    let mut xml = Xml::default();
    // Each was launched by itself.
    xml.list("reservationSet", selected.rows, |xml, instance| {
        xml.text("reservationId", instance.head.id.replacen("i-", "r-", 1)).text("ownerId", call.owner()).list(
            "instancesSet",
            [instance],
            |xml, instance| write(xml, call, instance),
        );
    });
    write_next(&mut xml, selected.next);
    Ok(xml)
}

fn write(xml: &mut Xml, call: &Call<'_>, instance: &Instance) {
    let (code, state) = instance.state(call.now);
    // What is gone has no addresses any more.
    let here = state != "terminated";
    xml.text("instanceId", &instance.head.id)
        .text("imageId", &instance.image_id)
        .group("instanceState", |xml| {
            xml.text("code", code).text("name", state);
        })
        .text("privateDnsName", if here { private_dns_name(call, instance) } else { String::new() })
        .text("dnsName", "")
        .text("amiLaunchIndex", 0)
        .text("instanceType", &instance.instance_type)
        .text("launchTime", instance.head.created_at.strftime("%Y-%m-%dT%H:%M:%S.000Z"))
        .group("placement", |xml| {
            xml.text("availabilityZone", &instance.zone).text("tenancy", "default");
        })
        .group("monitoring", |xml| {
            xml.text("state", "disabled");
        });
    if here {
        xml.text("subnetId", &instance.subnet_id)
            .text("vpcId", &instance.vpc_id)
            .text("privateIpAddress", instance.private_ip)
            .optional("ipv6Address", instance.ipv6.first())
            .text("sourceDestCheck", true)
            .list("groupSet", &instance.groups, |xml, group| {
                let name = call.region.security_groups.get(group).map(|group| &group.name);
                xml.text("groupId", group).optional("groupName", name);
            })
            .list("networkInterfaceSet", call.region.interfaces.linked(&instance.head.id), |xml, interface| {
                write_interface(xml, call, interface);
            });
    }
    let nitro = super::instance_type::is_nitro(&instance.instance_type) == Some(true);
    xml.text("architecture", super::instance_type::architecture(&instance.instance_type))
        .text("rootDeviceType", "ebs")
        .text("rootDeviceName", "/dev/xvda")
        .text("virtualizationType", "hvm")
        .text("hypervisor", "xen")
        .text("enaSupport", nitro)
        .optional("instanceLifecycle", instance.spot.then_some("spot"));
    if let Some(arn) = &instance.profile_arn {
        xml.group("iamInstanceProfile", |xml| {
            xml.text("arn", arn);
        });
    }
    if let Some((asked, _)) = instance.termination {
        xml.text("reason", format!("User initiated ({})", asked.strftime("%Y-%m-%d %H:%M:%S GMT")));
        xml.group("stateReason", |xml| {
            xml.text("code", "Client.UserInitiatedShutdown")
                .text("message", "Client.UserInitiatedShutdown: User initiated shutdown");
        });
    }
    tagging::write(xml, &instance.head.tags);
}

fn write_interface(xml: &mut Xml, call: &Call<'_>, interface: &NetworkInterface) {
    xml.text("networkInterfaceId", &interface.head.id)
        .text("subnetId", &interface.subnet_id)
        .text("vpcId", &interface.vpc_id)
        .text("description", &interface.description)
        .text("ownerId", call.owner())
        .text("status", "in-use")
        .text("privateIpAddress", interface.private_ip)
        .text("interfaceType", &interface.interface_type)
        .list("ipv6AddressesSet", &interface.ipv6, |xml, address| {
            xml.text("ipv6Address", address);
        });
}
