//! Network interfaces: those of NAT gateways, load balancers, clusters and nodes, and ones that a caller makes
//! (leftovers of others, in tests).

use super::listing::{Listing, write_next};
use super::{Answer, Call, Operation, reads, refer, tagging, writes};
use crate::sandbox::protocol::{ApiError, Xml};
use crate::sandbox::world::ids::number_of;
use crate::sandbox::world::ranges::private_ipv4;
use crate::sandbox::world::rows::NetworkInterface;

pub(super) const OPERATIONS: &[Operation] = &[
    writes(
        "CreateNetworkInterface",
        &["SubnetId", "Description", "SecurityGroupId", "ClientToken", "TagSpecification"],
        create,
    ),
    reads("DescribeNetworkInterfaces", &["NetworkInterfaceId", "Filter", "MaxResults", "NextToken"], describe),
    writes("DetachNetworkInterface", &["AttachmentId", "Force"], detach),
    writes("DeleteNetworkInterface", &["NetworkInterfaceId"], delete),
];

const LISTING: Listing = Listing {
    ids: "NetworkInterfaceId",
    reference: &refer::INTERFACE,
    links: &["network-interface-id", "subnet-id", "group-id", "association.allocation-id", "vpc-id"],
    filters: &[
        "addresses.association.public-ip",
        "addresses.private-ip-address",
        "association.allocation-id",
        "association.public-ip",
        "attachment.attachment-id",
        "attachment.instance-id",
        "attachment.instance-owner-id",
        "attachment.status",
        "availability-zone",
        "description",
        "group-id",
        "group-name",
        "interface-type",
        "ipv6-addresses.ipv6-address",
        "network-interface-id",
        "owner-id",
        "private-ip-address",
        "requester-id",
        "requester-managed",
        "status",
        "subnet-id",
        "vpc-id",
    ],
    page: (5, 1000),
    refuses_unknown: true,
};

fn create(call: &mut Call<'_>) -> Answer {
    if let Some(made) = call.replayed()?.and_then(|id| call.region.interfaces.get(&id)) {
        return Ok(created(call, made));
    }
    let subnet_id = call.params.required("SubnetId")?;
    let subnet = refer::find(&call.region.subnets, &refer::SUBNET, subnet_id, call.now)?.clone();
    let mut groups: Vec<String> = call.params.texts("SecurityGroupId").into_iter().map(str::to_owned).collect();
    for group in &groups {
        refer::find(&call.region.security_groups, &refer::SECURITY_GROUP, group, call.now)?;
    }
    if groups.is_empty() {
        let default = call.region.security_groups.linked(&subnet.vpc_id).find(|group| group.name == "default");
        groups.extend(default.map(|group| group.head.id.clone()));
    }
    let Some(private_ip) = private_ipv4(call.region, subnet_id, subnet.cidr) else {
        return Err(ApiError::new(
            "InsufficientFreeAddressesInSubnet",
            format!("insufficient free addresses in subnet '{subnet_id}'"),
        ));
    };
    let interface = NetworkInterface {
        head: call.new_head("eni", "network-interface")?,
        vpc_id: subnet.vpc_id,
        subnet_id: subnet_id.to_owned(),
        zone: subnet.zone,
        groups,
        description: call.params.text("Description").unwrap_or_default().to_owned(),
        interface_type: "interface".to_owned(),
        private_ip,
        ipv6: Vec::new(),
        allocation_id: None,
        attachment_id: None,
        requester_managed: false,
        public_ip: None,
        instance_id: None,
        gone_at: None,
    };
    let xml = created(call, &interface);
    let id = interface.head.id.clone();
    call.region.interfaces.insert(interface);
    call.remember(&id);
    Ok(xml)
}

fn created(call: &Call<'_>, interface: &NetworkInterface) -> Xml {
    let mut xml = Xml::default();
    xml.group("networkInterface", |xml| write(xml, call, interface))
        .optional("clientToken", call.params.text("ClientToken"));
    xml
}

fn status(interface: &NetworkInterface) -> &'static str {
    if interface.attachment_id.is_some() { "in-use" } else { "available" }
}

/// Whether it is the interface that an instance was launched with, which goes with it.
fn is_primary(interface: &NetworkInterface) -> bool {
    interface.instance_id.is_some() && interface.description.is_empty()
}

/// Who attached an interface: an account, or a service by its alias.
fn attached_by<'a>(call: &'a Call<'_>, interface: &NetworkInterface) -> &'a str {
    match interface.interface_type.as_str() {
        "network_load_balancer" => "amazon-elb",
        _ if interface.requester_managed => "amazon-aws",
        _ => call.owner(),
    }
}

/// Who made an interface on behalf of the account.
fn requester<'a>(call: &'a Call<'_>, interface: &NetworkInterface) -> Option<&'a str> {
    interface.requester_managed.then(|| attached_by(call, interface))
}

fn write(xml: &mut Xml, call: &Call<'_>, interface: &NetworkInterface) {
    let id = &interface.head.id;
    let mac: String = number_of(&[id.as_bytes()])
        .to_be_bytes()
        .iter()
        .skip(3)
        .fold("06".to_owned(), |mac, byte| format!("{mac}:{byte:02x}"));
    xml.text("networkInterfaceId", id)
        .text("subnetId", &interface.subnet_id)
        .text("vpcId", &interface.vpc_id)
        .text("availabilityZone", &interface.zone)
        .text("description", &interface.description)
        .text("ownerId", call.owner())
        .optional("requesterId", requester(call, interface))
        .text("requesterManaged", interface.requester_managed)
        .text("status", status(interface))
        .text("macAddress", mac)
        .text("privateIpAddress", interface.private_ip)
        .text("sourceDestCheck", !interface.requester_managed)
        .text("interfaceType", &interface.interface_type)
        .list("groupSet", &interface.groups, |xml, group| {
            let name = call.region.security_groups.get(group).map(|group| &group.name);
            xml.text("groupId", group).optional("groupName", name);
        });
    if let Some(attachment) = &interface.attachment_id {
        xml.group("attachment", |xml| {
            let primary = is_primary(interface);
            xml.text("attachmentId", attachment)
                .optional("instanceId", interface.instance_id.as_ref())
                .text("instanceOwnerId", attached_by(call, interface))
                .text("deviceIndex", u8::from(!primary))
                .text("status", "attached")
                .text("deleteOnTermination", primary);
        });
    }
    write_association(xml, call, interface);
    xml.list("privateIpAddressesSet", [interface], |xml, interface| {
        xml.text("privateIpAddress", interface.private_ip).text("primary", true);
        write_association(xml, call, interface);
    })
    .list("ipv6AddressesSet", &interface.ipv6, |xml, address| {
        xml.text("ipv6Address", address);
    });
    tagging::write(xml, &interface.head.tags);
}

fn write_association(xml: &mut Xml, call: &Call<'_>, interface: &NetworkInterface) {
    if let Some(address) = interface.public_ip {
        let owner = if interface.interface_type == "network_load_balancer" { "amazon-elb" } else { "amazon" };
        xml.group("association", |xml| {
            xml.text("publicIp", address).text("ipOwnerId", owner);
        });
        return;
    }
    let address = interface.allocation_id.as_ref().and_then(|id| call.region.addresses.get(id));
    let Some((address, association)) = address.and_then(|address| Some((address, address.association.as_ref()?)))
    else {
        return;
    };
    xml.group("association", |xml| {
        xml.text("publicIp", address.public_ip)
            .text("allocationId", &address.head.id)
            .text("associationId", &association.association_id)
            .text("ipOwnerId", call.owner());
    });
}

fn describe(call: &mut Call<'_>) -> Answer {
    let public_ip = |interface: &NetworkInterface| {
        let address = interface.allocation_id.as_ref().and_then(|id| call.region.addresses.get(id));
        address.map(|address| address.public_ip).or(interface.public_ip).map(|ip| ip.to_string()).into_iter().collect()
    };
    let selected = LISTING.select(call, &call.region.interfaces, |interface, filter| {
        vec![match filter {
            "addresses.association.public-ip" | "association.public-ip" => return public_ip(interface),
            "addresses.private-ip-address" | "private-ip-address" => interface.private_ip.to_string(),
            "association.allocation-id" => return interface.allocation_id.iter().cloned().collect(),
            "attachment.attachment-id" => return interface.attachment_id.iter().cloned().collect(),
            "attachment.instance-id" => return interface.instance_id.iter().cloned().collect(),
            "attachment.instance-owner-id" => {
                return interface.attachment_id.iter().map(|_| attached_by(call, interface).to_owned()).collect();
            }
            "attachment.status" => return interface.attachment_id.iter().map(|_| "attached".to_owned()).collect(),
            "availability-zone" => interface.zone.clone(),
            "description" => interface.description.clone(),
            "group-id" => return interface.groups.clone(),
            "group-name" => {
                let named = |id: &String| call.region.security_groups.get(id).map(|group| group.name.clone());
                return interface.groups.iter().filter_map(named).collect();
            }
            "ipv6-addresses.ipv6-address" => return interface.ipv6.iter().map(ToString::to_string).collect(),
            "requester-id" => return requester(call, interface).map(str::to_owned).into_iter().collect(),
            "interface-type" => interface.interface_type.clone(),
            "owner-id" => call.owner().to_owned(),
            "requester-managed" => interface.requester_managed.to_string(),
            "status" => status(interface).to_owned(),
            "subnet-id" => interface.subnet_id.clone(),
            "vpc-id" => interface.vpc_id.clone(),
            _ => interface.head.id.clone(),
        }]
    })?;
    let mut xml = Xml::default();
    xml.list("networkInterfaceSet", selected.rows, |xml, interface| write(xml, call, interface));
    write_next(&mut xml, selected.next);
    Ok(xml)
}

fn detach(call: &mut Call<'_>) -> Answer {
    let id = call.params.required("AttachmentId")?;
    let not_permitted = |message: &str| ApiError::new("OperationNotPermitted", message);
    if id.starts_with("ela-attach-") {
        return Err(not_permitted("You are not allowed to manage 'ela-attach' attachments."));
    }
    let found = call.region.interfaces.iter().find(|interface| interface.attachment_id.as_deref() == Some(id));
    let Some(interface) = found else {
        let message = format!("The interface attachment '{id}' does not exist.");
        return Err(ApiError::new("InvalidAttachmentID.NotFound", message));
    };
    if is_primary(interface) {
        return Err(not_permitted(
            "The network interface at device index 0 and networkCard index 0 cannot be detached.",
        ));
    }
    let interface = interface.head.id.clone();
    call.region.interfaces.edit(&interface, |interface| {
        interface.attachment_id = None;
        interface.instance_id = None;
    });
    Ok(Xml::default().returned())
}

fn delete(call: &mut Call<'_>) -> Answer {
    let id = call.params.required("NetworkInterfaceId")?;
    let interface = refer::find(&call.region.interfaces, &refer::INTERFACE, id, call.now)?;
    if interface.attachment_id.is_some() {
        // The code that EC2 really answers; it has one that fits better and uses it for attaching.
        return Err(ApiError::value(format!("Network interface '{id}' is currently in use.")));
    }
    call.region.interfaces.remove(id);
    call.forget(id);
    Ok(Xml::default().returned())
}
