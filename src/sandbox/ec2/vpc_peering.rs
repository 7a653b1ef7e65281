//! VPC peering connections: asked for, accepted, told what names resolve to, deleted.
//!
//! A connection has an end in each of two VPCs, of one region or of two. Each region sees it, accepts it and sets its
//! options for the ends that it has. The words are those of the VPC peering guide and of issue trackers.

use ipnet::{Ipv4Net, Ipv6Net};

use super::listing::{Listing, write_next};
use super::{Answer, Call, Operation, reads, refer, tagging, writes};
use crate::sandbox::protocol::{ApiError, Node, Xml};
use crate::sandbox::world::Region;
use crate::sandbox::world::ranges::{overlap, overlap6};
use crate::sandbox::world::rows::{Ipv6Block, PeeringSide, Vpc, VpcPeering};

pub(super) const OPERATIONS: &[Operation] = &[
    writes(CREATE, &["VpcId", "PeerVpcId", "PeerRegion", "PeerOwnerId", "TagSpecification"], create),
    reads("DescribeVpcPeeringConnections", &["VpcPeeringConnectionId", "Filter", "MaxResults", "NextToken"], describe),
    writes("AcceptVpcPeeringConnection", &["VpcPeeringConnectionId"], accept),
    writes(
        "ModifyVpcPeeringConnectionOptions",
        &["VpcPeeringConnectionId", "RequesterPeeringConnectionOptions", "AccepterPeeringConnectionOptions"],
        modify,
    ),
    writes("DeleteVpcPeeringConnection", &["VpcPeeringConnectionId"], delete),
];

/// The operation that looks at a VPC which may be in another region.
pub(super) const CREATE: &str = "CreateVpcPeeringConnection";

const LISTING: Listing = Listing {
    ids: "VpcPeeringConnectionId",
    reference: &refer::VPC_PEERING,
    links: &["vpc-peering-connection-id", "requester-vpc-info.vpc-id", "accepter-vpc-info.vpc-id"],
    filters: &[
        "accepter-vpc-info.cidr-block",
        "accepter-vpc-info.owner-id",
        "accepter-vpc-info.vpc-id",
        "requester-vpc-info.cidr-block",
        "requester-vpc-info.owner-id",
        "requester-vpc-info.vpc-id",
        "status-code",
        "vpc-peering-connection-id",
    ],
    page: (5, 1000),
    refuses_unknown: true,
};

/// How long the request takes to arrive, how long the connection to be made and to be taken away. Not documented: seconds.
const REQUEST_MS: (u64, u64) = (200, 2_000);
const PROVISION_MS: (u64, u64) = (500, 3_000);
const DELETE_MS: (u64, u64) = (500, 3_000);

/// The option that is left of three: the others were for EC2-Classic.
const DNS: &str = "AllowDnsResolutionFromRemoteVpc";

/// The connection with this id, if the call's region has an end of it.
pub(super) fn find<'a>(call: &'a Call<'_>, id: &str) -> Result<&'a VpcPeering, ApiError> {
    let found = refer::find(&call.global.vpc_peerings, &refer::VPC_PEERING, id, call.now)?;
    if found.concerns(&call.region.name) { Ok(found) } else { Err(refer::VPC_PEERING.not_found(id)) }
}

/// Whether two VPCs of one region are joined.
pub(super) fn joined(call: &Call<'_>, one: &str, other: &str) -> bool {
    call.global.vpc_peerings.linked(one).any(|peering| peering.joins(one, other, call.now))
}

/// Whether a VPC has a connection that is more than listed.
pub(super) fn has_any(call: &Call<'_>, vpc: &str) -> bool {
    call.global.vpc_peerings.linked(vpc).any(|peering| !peering.is_over(call.now))
}

/// A VPC of another region, which a call to create is handed.
pub(super) fn of_elsewhere<'a>(mut regions: impl Iterator<Item = &'a Region>, vpc: &str) -> Option<(String, Vpc)> {
    regions.find_map(|region| region.vpcs.get(vpc).map(|vpc| (region.name.clone(), vpc.clone())))
}

fn side(region: &str, vpc: &Vpc) -> PeeringSide {
    PeeringSide {
        region: region.to_owned(),
        vpc_id: vpc.head.id.clone(),
        blocks: vpc.blocks.iter().map(|block| block.block).collect(),
        ipv6: vpc.ipv6.iter().filter(|block| block.is_held()).map(|block: &Ipv6Block| block.block).collect(),
        dns: false,
    }
}

fn create(call: &mut Call<'_>) -> Answer {
    let own_id = call.params.required("VpcId")?;
    let peer_id = call.params.required("PeerVpcId")?.to_owned();
    let own = refer::find(&call.region.vpcs, &refer::VPC, own_id, call.now)?;
    refer::VPC.check(&peer_id)?;
    if let Some(other) = call.params.text("PeerOwnerId").filter(|owner| *owner != call.owner()) {
        return Err(ApiError::value(format!("The sandbox has one account, and {other} is not it")));
    }
    let requester = side(&call.region.name, own);
    let region = call.params.text("PeerRegion").unwrap_or(&call.region.name).to_owned();
    let peer = if region == call.region.name {
        Some(refer::find(&call.region.vpcs, &refer::VPC, &peer_id, call.now)?.clone())
    } else {
        call.elsewhere.take().filter(|(found, _)| *found == region).map(|(_, vpc)| vpc)
    };
    if peer_id == requester.vpc_id {
        return Err(ApiError::value("The requester VPC and the accepter VPC cannot be the same"));
    }
    let is_peer = |side: &PeeringSide| side.vpc_id == peer_id;
    let is_alive = |peering: &VpcPeering| !peering.is_over(call.now) && peering.sides().into_iter().any(is_peer);
    if call.global.vpc_peerings.linked(&requester.vpc_id).any(is_alive) {
        return Err(ApiError::new(
            "VpcPeeringConnectionAlreadyExists",
            "A VPC peering connection between the VPCs already exists.",
        ));
    }
    let accepter = match &peer {
        Some(vpc) => side(&region, vpc),
        // It fails, as one does that names a VPC of nobody's.
        None => PeeringSide { region, vpc_id: peer_id.clone(), blocks: Vec::new(), ipv6: Vec::new(), dns: false },
    };
    let fails = peer.is_none() || overlaps(&requester, &accepter);
    let head = call.new_head("pcx", "vpc-peering-connection")?;
    let peering = VpcPeering {
        settled_at: call.mint.ready(call.now, &head.id, "peering is requested", REQUEST_MS.0, REQUEST_MS.1),
        head,
        requester,
        accepter,
        failure: fails.then(|| "Failed due to incorrect VPC-ID, Account ID, or overlapping CIDR range".to_owned()),
        active_at: None,
        deleted_at: None,
    };
    let mut xml = Xml::default();
    xml.group("vpcPeeringConnection", |xml| write(xml, call, &peering));
    call.global.vpc_peerings.insert(peering);
    Ok(xml)
}

fn overlaps(one: &PeeringSide, other: &PeeringSide) -> bool {
    let ipv4 = |a: &Ipv4Net| other.blocks.iter().any(|b| overlap(*a, *b));
    let ipv6 = |a: &Ipv6Net| other.ipv6.iter().any(|b| overlap6(*a, *b));
    one.blocks.iter().any(ipv4) || one.ipv6.iter().any(ipv6)
}

fn write(xml: &mut Xml, call: &Call<'_>, peering: &VpcPeering) {
    let state = peering.state(call.now);
    xml.text("vpcPeeringConnectionId", &peering.head.id);
    for (name, side) in [("requesterVpcInfo", &peering.requester), ("accepterVpcInfo", &peering.accepter)] {
        xml.group(name, |xml| {
            xml.text("ownerId", call.owner()).text("vpcId", &side.vpc_id).text("region", &side.region);
            xml.optional("cidrBlock", side.blocks.first());
            xml.list("cidrBlockSet", &side.blocks, |xml, block| {
                xml.text("cidrBlock", block);
            });
            xml.list("ipv6CidrBlockSet", &side.ipv6, |xml, block| {
                xml.text("ipv6CidrBlock", block);
            });
            // Each region tells what its own ends allow.
            if side.region == call.region.name {
                xml.group("peeringOptions", |xml| {
                    xml.text("allowEgressFromLocalClassicLinkToRemoteVpc", false)
                        .text("allowEgressFromLocalVpcToRemoteClassicLink", false)
                        .text("allowDnsResolutionFromRemoteVpc", side.dns);
                });
            }
        });
    }
    let message = match (state, &peering.failure) {
        ("failed", Some(why)) => why.clone(),
        ("initiating-request", _) => format!("Initiating Request to {}", call.owner()),
        ("pending-acceptance", _) => format!("Pending Acceptance by {}", call.owner()),
        ("provisioning", _) => "Provisioning".to_owned(),
        ("deleting" | "deleted", _) => format!("Deleted by {}", call.owner()),
        _ => "Active".to_owned(),
    };
    xml.group("status", |xml| {
        xml.text("code", state).text("message", message);
    });
    if peering.requester.region == call.region.name {
        tagging::write(xml, &peering.head.tags);
    }
}

fn describe(call: &mut Call<'_>) -> Answer {
    let mut selected = LISTING.select(call, &call.global.vpc_peerings, |peering, filter| {
        let blocks = |side: &PeeringSide| side.blocks.iter().map(ToString::to_string).collect();
        match filter {
            "accepter-vpc-info.cidr-block" => blocks(&peering.accepter),
            "requester-vpc-info.cidr-block" => blocks(&peering.requester),
            "accepter-vpc-info.owner-id" | "requester-vpc-info.owner-id" => vec![call.owner().to_owned()],
            "accepter-vpc-info.vpc-id" => vec![peering.accepter.vpc_id.clone()],
            "requester-vpc-info.vpc-id" => vec![peering.requester.vpc_id.clone()],
            "status-code" => vec![peering.state(call.now).to_owned()],
            _ => vec![peering.head.id.clone()],
        }
    })?;
    selected.rows.retain(|peering| peering.concerns(&call.region.name));
    let mut xml = Xml::default();
    xml.list("vpcPeeringConnectionSet", selected.rows, |xml, peering| write(xml, call, peering));
    write_next(&mut xml, selected.next);
    Ok(xml)
}

fn transition(id: &str, from: &str, to: &str) -> ApiError {
    ApiError::new(
        "InvalidStateTransition",
        format!("Invalid state transition for {id}, attempted to transition from {from} to {to}"),
    )
}

fn accept(call: &mut Call<'_>) -> Answer {
    let id = call.params.required("VpcPeeringConnectionId")?.to_owned();
    let peering = find(call, &id)?;
    let (here, there) = (&call.region.name, &peering.accepter.region);
    if here != there {
        return Err(ApiError::new(
            "OperationNotPermitted",
            format!(
                "Incorrect region ({here}) specified for this request. VPC peering connection {id} must be accepted in region {there}"
            ),
        ));
    }
    let state = peering.state(call.now);
    if state != "pending-acceptance" {
        return Err(transition(&id, state, "active"));
    }
    let active_at = call.mint.ready(call.now, &id, "peering is active", PROVISION_MS.0, PROVISION_MS.1);
    call.global.vpc_peerings.edit(&id, |peering| peering.active_at = Some(active_at));
    let mut xml = Xml::default();
    if let Some(peering) = call.global.vpc_peerings.get(&id) {
        xml.group("vpcPeeringConnection", |xml| write(xml, call, peering));
    }
    Ok(xml)
}

/// What a call wants of one end.
fn wanted(call: &Call<'_>, side: &str) -> Result<Option<bool>, ApiError> {
    match call.params.at(side) {
        None => Ok(None),
        Some(options) => Node::boolean(options, DNS),
    }
}

fn modify(call: &mut Call<'_>) -> Answer {
    let id = call.params.required("VpcPeeringConnectionId")?.to_owned();
    let peering = find(call, &id)?.clone();
    if peering.state(call.now) != "active" {
        return Err(ApiError::new(
            "OperationNotPermitted",
            format!("Peering {id} is not active. Peering options can be added only to active peerings."),
        ));
    }
    let asked = [
        (wanted(call, "RequesterPeeringConnectionOptions")?, &peering.requester),
        (wanted(call, "AccepterPeeringConnectionOptions")?, &peering.accepter),
    ];
    for (allowed, side) in &asked {
        if allowed.is_none() {
            continue;
        }
        if side.region != call.region.name {
            return Err(ApiError::new(
                "OperationNotPermitted",
                format!("The options of {} can be modified in {} only", side.vpc_id, side.region),
            ));
        }
        let resolves = |vpc: &Vpc| vpc.dns_support && vpc.dns_hostnames;
        if *allowed == Some(true) && !call.region.vpcs.get(&side.vpc_id).is_some_and(resolves) {
            return Err(ApiError::new(
                "InvalidVpcPeeringConnectionState.DnsHostnamesDisabled",
                format!("DNS hostnames must be enabled for {}", side.vpc_id),
            ));
        }
    }
    let [requester, accepter] = asked.map(|(allowed, _)| allowed);
    call.global.vpc_peerings.edit(&id, |peering| {
        peering.requester.dns = requester.unwrap_or(peering.requester.dns);
        peering.accepter.dns = accepter.unwrap_or(peering.accepter.dns);
    });
    let mut xml = Xml::default();
    for (name, allowed) in
        [("requesterPeeringConnectionOptions", requester), ("accepterPeeringConnectionOptions", accepter)]
    {
        if let Some(allowed) = allowed {
            xml.group(name, |xml| {
                xml.text("allowDnsResolutionFromRemoteVpc", allowed);
            });
        }
    }
    Ok(xml)
}

fn delete(call: &mut Call<'_>) -> Answer {
    let id = call.params.required("VpcPeeringConnectionId")?.to_owned();
    let state = find(call, &id)?.state(call.now);
    if matches!(state, "deleting" | "deleted" | "failed") {
        return Err(transition(&id, state, "deleting"));
    }
    let deleted_at = call.mint.after(call.now, &id, "peering is deleted", DELETE_MS.0, DELETE_MS.1);
    call.global.vpc_peerings.edit(&id, |peering| peering.deleted_at = Some(deleted_at));
    Ok(Xml::default().returned())
}
