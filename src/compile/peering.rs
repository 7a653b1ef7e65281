//! Private routes between networks: a connection, and a route to the other side in every route table of both.
//!
//! Entry point: [`compile`], after the networks. What it made is told to the clusters as [`Peers`], whose security groups
//! let each other in.

use std::collections::BTreeMap;

use ipnet::IpNet;
use serde::Serialize;

use super::site::Site;
use super::{Compiled, Declaration};
use crate::kinds::aws::{route, vpc_peering_connection as connection};
use crate::model::{Address, AttrPath, Code, Diagnostic, Document, Input, Reference};
use crate::topology::schema::PeeringVia;
use crate::topology::{Network, NetworkName, Topology};

/// A spec that cannot be written as JSON: a defect.
const DEFECT: Code = Code("defect");

/// A network that another one has a private route to.
pub(super) struct Peer<'a> {
    /// The network at the other end.
    pub(super) network: &'a Network,
    /// The connection that leads there, if it is ours: then it is there before what needs it.
    pub(super) connection: Option<Address>,
}

/// The networks that each network has a private route to, in the order of their names.
pub(super) type Peers<'a> = BTreeMap<&'a NetworkName, Vec<Peer<'a>>>;

/// Adds the declarations of all peerings.
pub(super) fn compile<'a>(
    topology: &'a Topology,
    sites: &BTreeMap<&'a NetworkName, Site>,
    compiled: &mut Compiled,
) -> Peers<'a> {
    let mut peers = Peers::new();
    for (name, peering) in &topology.peerings {
        let mut networks: Vec<&Network> =
            peering.networks.iter().filter_map(|network| topology.networks.get(network)).collect();
        // Which of two asks and which accepts is no matter of the order in which somebody wrote them.
        networks.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        let connection = match (peering.via, networks.as_slice()) {
            (PeeringVia::VpcPeering, [requester, accepter]) => {
                let ends = [requester, accepter].map(|network| Some((*network, sites.get(&network.name)?)));
                // A network that cannot be built has been reported.
                let [Some(requester), Some(accepter)] = ends else { continue };
                let mut lowering = Lowering { topology, name, compiled };
                lowering.connect(requester, accepter)
            }
            // Routes that are somebody else's; a rule refuses what is not built.
            _ => None,
        };
        for network in &networks {
            for other in networks.iter().filter(|other| other.name != network.name) {
                let peer = Peer { network: other, connection: connection.clone() };
                peers.entry(&network.name).or_default().push(peer);
            }
        }
    }
    for of in peers.values_mut() {
        of.sort_by(|a, b| a.network.name.cmp(&b.network.name));
    }
    peers
}

struct Lowering<'a> {
    topology: &'a Topology,
    name: &'a str,
    compiled: &'a mut Compiled,
}

/// One end: the network as written, and what was made of it.
type End<'a> = (&'a Network, &'a Site);

impl Lowering<'_> {
    /// Answers the connection; none between networks of nobody's VPC, which there is nothing to build between.
    fn connect(&mut self, requester: End<'_>, accepter: End<'_>) -> Option<Address> {
        let address = Address::new("aws.vpc_peering_connection", &[self.name]);
        let (vpc_id, peer_vpc_id) = (requester.1.vpc_id()?, accepter.1.vpc_id()?);
        let mesh = &self.topology.mesh.id;
        let mut tags = self.topology.tags.clone();
        tags.insert("Name".to_owned(), format!("{mesh}-{}", self.name));
        tags.insert("meshplan:mesh".to_owned(), mesh.clone());
        tags.insert("meshplan:address".to_owned(), address.to_string());
        let spec = connection::Spec {
            vpc_id,
            peer_vpc_id,
            peer_region: accepter.0.region.as_str().to_owned(),
            accepted: true,
            requester_dns: true,
            accepter_dns: true,
            tags,
        };
        let untouched = [requester.0, accepter.0].into_iter().filter(|network| network.existing.is_some());
        let notes = untouched.map(|network| {
            let other = if network.name == requester.0.name { accepter.0 } else { requester.0 };
            format!(
                "{} exists already, and its route tables are its owner's: {} has to be routed to this connection there",
                network.name, other.cidr
            )
        });
        let notes = notes.collect();
        self.declare(address.clone(), requester.1, &spec, &[], notes);
        for (here, there) in [(requester, accepter), (accepter, requester)] {
            self.routes(here, there, &address);
        }
        Some(address)
    }

    /// The routes of one end's tables to the other end.
    fn routes(&mut self, (network, site): End<'_>, (other, there): End<'_>, connection: &Address) {
        let ipv6 = if site.dual_stack { there.ipv6_cidr() } else { None };
        // An IPv6 block is known when its VPC is made; a reference to it is the same document whatever it will be.
        let ipv6 = ipv6.and_then(|block| match block {
            Input::Unknown(reference) => Some(Input::<IpNet>::Unknown(reference)),
            Input::Known(text) => text.parse().ok().map(Input::Known),
        });
        let destinations = [Some(("ipv4", Input::Known(IpNet::V4(other.cidr)))), ipv6.map(|block| ("ipv6", block))];
        for (part, table) in &site.route_tables {
            for (family, destination) in destinations.iter().flatten() {
                let spec = route::Spec {
                    route_table_id: Reference::to(table, "route_table_id").into(),
                    destination: destination.clone(),
                    gateway_id: None,
                    nat_gateway_id: None,
                    egress_only_internet_gateway_id: None,
                    vpc_peering_connection_id: Some(Reference::to(connection, "vpc_peering_connection_id").into()),
                    state: route::State::Active,
                };
                let name = format!("peer-{}-{family}", other.name);
                let address = Address::new("aws.route", &[network.name.as_str(), part, &name]);
                // Before the VPC has an IPv6 block of its own there is nothing to route.
                let block: Vec<&Address> = site.vpc.iter().filter(|_| *family == "ipv6").collect();
                self.declare(address, site, &spec, &block, Vec::new());
            }
        }
    }

    fn declare<S: Serialize>(
        &mut self,
        address: Address,
        site: &Site,
        spec: &S,
        depends_on: &[&Address],
        notes: Vec<String>,
    ) {
        let origin = AttrPath::keys(&["peering", self.name]);
        let spec = match Document::of(spec) {
            Ok(spec) => spec,
            Err(error) => {
                let finding = Diagnostic::error(DEFECT, format!("the spec of {address} cannot be written: {error}"));
                self.compiled.diagnostics.push(finding.at(origin));
                return;
            }
        };
        let mut references: Vec<Address> =
            spec.value().references().into_iter().map(|reference| reference.address.clone()).collect();
        references.sort_unstable();
        references.dedup();
        self.compiled.declarations.push(Declaration {
            address,
            target: site.target(),
            spec,
            references,
            depends_on: depends_on.iter().map(|address| (*address).clone()).collect(),
            update_after: Vec::new(),
            notes,
            origin,
            protected: false,
        });
    }
}

#[cfg(test)]
mod tests;
