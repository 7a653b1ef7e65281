//! One network: a VPC with its gateways, subnets, route tables and routes; or a look at an existing one.
//!
//! What is created after what follows from the references; the few orders that no reference expresses are
//! `depends_on`: addresses and NAT gateways need the internet gateway attached, and it can be detached only after them.

mod carving;
mod zones;

use std::collections::BTreeMap;

use ipnet::IpNet;
use serde::Serialize;

use super::site::Site;
use super::{Compiled, Declaration};
use crate::kinds::aws::tags::Tags;
use crate::kinds::aws::{
    egress_only_internet_gateway, eip, existing_network, internet_gateway, nat_gateway, route, route_table, subnet, vpc,
};
use crate::model::{Address, AttrPath, Code, Diagnostic, Document, Input, Pick, Reference, Target};
use crate::topology::schema::Nat;
use crate::topology::{ExistingCluster, ExistingNetwork, Network, Topology};
use carving::{Carving, carve, private_ipv6, public_ipv6};
use zones::{Zone, zones};

/// A network's range has no room for its subnets.
const NO_ROOM: Code = Code("no-room-for-subnets");
/// A spec that cannot be written as JSON: a defect.
const DEFECT: Code = Code("defect");

const ANY_IPV4: &str = "0.0.0.0/0";
const ANY_IPV6: &str = "::/0";

/// The tags by which load balancer controllers find subnets.
const ROLE_PUBLIC: &str = "kubernetes.io/role/elb";
const ROLE_PRIVATE: &str = "kubernetes.io/role/internal-elb";

/// Adds a network's declarations, and answers what its clusters stand on; `None` if it cannot be built.
pub(super) fn compile(topology: &Topology, network: &Network, compiled: &mut Compiled) -> Option<Site> {
    let origin = AttrPath::keys(&["networks", network.name.as_str()]);
    let target = Target::aws(network.region.as_str());
    let mut lowering = Lowering {
        topology,
        network,
        origin,
        target,
        compiled,
        tables: Vec::new(),
        routes: BTreeMap::new(),
        eips: Vec::new(),
    };
    match &network.existing {
        Some(existing) => Some(lowering.existing(existing)),
        None if is_elsewhere(topology, network) => Some(lowering.elsewhere()),
        None => lowering.build(),
    }
}

/// Whether all that is in a network is reached by kubeconfigs: nothing says that it is in AWS, and nothing of it is ours.
fn is_elsewhere(topology: &Topology, network: &Network) -> bool {
    let mut clusters = topology.clusters_in(&network.name).peekable();
    clusters.peek().is_some()
        && clusters.all(|cluster| matches!(cluster.existing, Some(ExistingCluster::Kubeconfig { .. })))
}

struct Lowering<'a> {
    topology: &'a Topology,
    network: &'a Network,
    origin: AttrPath,
    target: Target,
    compiled: &'a mut Compiled,
    /// The route tables, by their part of an address.
    tables: Vec<(String, Address)>,
    /// The routes of each route table.
    routes: BTreeMap<Address, Vec<Address>>,
    /// The addresses of the NAT gateways.
    eips: Vec<Address>,
}

/// The resources that others refer to.
struct Gateways {
    vpc: Address,
    internet: Address,
    egress_only: Option<Address>,
}

impl Lowering<'_> {
    /// A network of someone else's.
    fn existing(&mut self, existing: &ExistingNetwork) -> Site {
        let address = self.address("aws.existing_network", &[]);
        let spec = existing_network::Spec {
            vpc_id: existing.vpc_id.clone(),
            cidr: self.network.cidr,
            private_subnets: existing.private_subnets.clone(),
            public_subnets: existing.public_subnets.clone(),
            dual_stack: self.network.dual_stack,
            ipv4_egress: self.network.nat != Nat::None,
            role_tags: true,
        };
        self.declare(address.clone(), &spec, &[], &[]);
        let unmanaged = existing.manage_tags.then(|| {
            "`manage_tags` is not acted on by this version: the subnets' role tags are only checked".to_owned()
        });
        self.note_last(self.network.notes.iter().cloned().chain(unmanaged));
        let subnet = |index| Reference::to(&address, "private_subnet_ids").pick(Pick::Element { index }).into();
        let nats = Reference::to(&address, "nat_cidrs").pick(Pick::Every);
        Site {
            private_subnets: (0..).zip(&existing.private_subnets).map(|(n, _)| subnet(n)).collect(),
            private_subnet_addresses: Vec::new(),
            egress: Vec::new(),
            public: Vec::new(),
            route_tables: Vec::new(),
            nat_cidrs: if self.network.nat == Nat::None { Vec::new() } else { vec![nats.into()] },
            dual_stack: self.network.dual_stack,
            cidr: self.network.cidr,
            region: self.network.region.as_str().to_owned(),
            vpc: Some(address),
        }
    }

    /// A network that only the clusters' kubeconfigs know.
    fn elsewhere(&mut self) -> Site {
        self.compiled.notes.push(format!(
            "the network {} is not built: its clusters are reached by kubeconfigs, and what they are in is not looked at",
            self.network.name
        ));
        Site { cidr: self.network.cidr, region: self.network.region.as_str().to_owned(), ..Site::default() }
    }

    /// A network of our own.
    fn build(&mut self) -> Option<Site> {
        let (zones, chosen) = zones(&self.network.azs, &self.network.region);
        let Some(carving) = carve(self.network.cidr, zones.len()) else {
            self.no_room(zones.len());
            return None;
        };
        let gateways = self.gateways(chosen);
        let public_table = self.public_table(&gateways);
        let public: Vec<Address> = (0_u32..)
            .zip(&zones)
            .zip(&carving.public)
            .map(|((n, zone), cidr)| {
                let spec = self.subnet(Tier::Public, zone, *cidr, public_ipv6(n), &gateways, &public_table);
                self.declare_subnet(Tier::Public, zone, &spec, &gateways, &public_table)
            })
            .collect();
        let private_tables = self.private_tables(&zones, &public, &gateways);
        let private = self.private_subnets(&zones, &carving, &private_tables, &gateways);
        let routes = |table: &Address| self.routes.get(table).cloned().unwrap_or_default();
        Some(Site {
            private_subnets: private.iter().map(|subnet| Reference::to(subnet, "subnet_id").into()).collect(),
            private_subnet_addresses: private,
            // A NAT gateway is a way out as long as its own subnet has one.
            egress: private_tables.iter().chain([&public_table]).flat_map(routes).collect(),
            public: public.into_iter().chain(routes(&public_table)).collect(),
            route_tables: self.tables.clone(),
            nat_cidrs: self.eips.iter().map(|eip| Reference::to(eip, "public_cidr").into()).collect(),
            dual_stack: self.network.dual_stack,
            cidr: self.network.cidr,
            region: self.network.region.as_str().to_owned(),
            vpc: Some(gateways.vpc),
        })
    }

    fn no_room(&mut self, n_zones: usize) {
        let cidr = self.network.cidr;
        let name = &self.network.name;
        let finding = Diagnostic::error(
            NO_ROOM,
            format!("{cidr} has no room for a private and a public subnet in each of {n_zones} zones"),
        )
        .at(self.origin.key("cidr"))
        .note("a subnet has at least 16 addresses (/28)")
        .help(format!("give {name} a /24 or larger, or fewer zones (`azs`)"));
        self.compiled.diagnostics.push(finding);
    }

    /// The VPC, and what joins it to the internet.
    fn gateways(&mut self, chosen_zones: Option<String>) -> Gateways {
        let vpc = self.address("aws.vpc", &[]);
        let spec = vpc::Spec {
            cidr: self.network.cidr,
            amazon_ipv6: self.network.dual_stack,
            dns_support: true,
            dns_hostnames: true,
            tags: self.tags(&vpc, ""),
        };
        self.declare(vpc.clone(), &spec, &[], &[]);
        self.note_last(self.network.notes.iter().cloned().chain(chosen_zones));
        if let Some(declaration) = self.compiled.declarations.last_mut() {
            declaration.protected = self.network.protect;
        }

        let internet = self.address("aws.internet_gateway", &[]);
        let spec = internet_gateway::Spec {
            vpc_id: Some(Reference::to(&vpc, "vpc_id").into()),
            tags: self.tags(&internet, ""),
        };
        self.declare(internet.clone(), &spec, &[&vpc], &[]);

        let egress_only = self.network.dual_stack.then(|| {
            let address = self.address("aws.egress_only_internet_gateway", &[]);
            let spec = egress_only_internet_gateway::Spec {
                vpc_id: Reference::to(&vpc, "vpc_id").into(),
                tags: self.tags(&address, ""),
            };
            self.declare(address.clone(), &spec, &[&vpc], &[]);
            address
        });
        Gateways { vpc, internet, egress_only }
    }

    fn public_table(&mut self, gateways: &Gateways) -> Address {
        let table = self.table("public", gateways);
        let internet = || Some(Reference::to(&gateways.internet, "internet_gateway_id").into());
        self.route(&table, "public", "ipv4", ANY_IPV4, &gateways.internet, |spec| spec.gateway_id = internet());
        if self.network.dual_stack {
            // Without it no dualstack load balancer can be made in these subnets.
            self.route(&table, "public", "ipv6", ANY_IPV6, &gateways.internet, |spec| spec.gateway_id = internet());
        }
        table
    }

    /// The NAT gateways and the tables that lead to them: one table for each NAT gateway, or one for all subnets. The
    /// answer has one table, or one for each zone.
    fn private_tables(&mut self, zones: &[Zone], public: &[Address], gateways: &Gateways) -> Vec<Address> {
        match self.network.nat {
            Nat::None => vec![self.private_table("private", None, gateways)],
            Nat::Single => {
                let nat = public.first().map(|subnet| self.nat("nat", subnet, gateways));
                vec![self.private_table("private", nat.as_ref(), gateways)]
            }
            Nat::PerAz => zones
                .iter()
                .zip(public)
                .map(|(zone, subnet)| {
                    let nat = self.nat(&format!("nat-{}", zone.suffix), subnet, gateways);
                    self.private_table(&format!("private-{}", zone.suffix), Some(&nat), gateways)
                })
                .collect(),
        }
    }

    fn nat(&mut self, part: &str, subnet: &Address, gateways: &Gateways) -> Address {
        let eip = self.address("aws.eip", &[part]);
        let spec = eip::Spec { tags: self.tags(&eip, part) };
        self.declare(eip.clone(), &spec, &[], &[&gateways.internet]);
        self.eips.push(eip.clone());
        let nat = self.address("aws.nat_gateway", &[part]);
        let spec = nat_gateway::Spec {
            subnet_id: Reference::to(subnet, "subnet_id").into(),
            allocation_id: Reference::to(&eip, "allocation_id").into(),
            tags: self.tags(&nat, part),
        };
        self.declare(nat.clone(), &spec, &[&eip, subnet], &[&gateways.internet]);
        nat
    }

    fn private_table(&mut self, part: &str, nat: Option<&Address>, gateways: &Gateways) -> Address {
        let table = self.table(part, gateways);
        if let Some(nat) = nat {
            let through = || Some(Reference::to(nat, "nat_gateway_id").into());
            self.route(&table, part, "ipv4", ANY_IPV4, nat, |spec| spec.nat_gateway_id = through());
            if self.network.dns64 && self.network.dual_stack {
                self.route(&table, part, "nat64", route::NAT64, nat, |spec| spec.nat_gateway_id = through());
            }
        }
        if let Some(gateway) = &gateways.egress_only {
            let through = Reference::to(gateway, "egress_only_internet_gateway_id");
            self.route(&table, part, "ipv6", ANY_IPV6, gateway, |spec| {
                spec.egress_only_internet_gateway_id = Some(through.into());
            });
        }
        table
    }

    fn table(&mut self, part: &str, gateways: &Gateways) -> Address {
        let table = self.address("aws.route_table", &[part]);
        let spec =
            route_table::Spec { vpc_id: Reference::to(&gateways.vpc, "vpc_id").into(), tags: self.tags(&table, part) };
        self.declare(table.clone(), &spec, &[&gateways.vpc], &[]);
        self.tables.push((part.to_owned(), table.clone()));
        table
    }

    fn route(
        &mut self,
        table: &Address,
        part: &str,
        name: &str,
        destination: &str,
        through: &Address,
        set_target: impl FnOnce(&mut route::Spec),
    ) {
        let Ok(destination) = destination.parse::<IpNet>() else { return };
        let mut spec = route::Spec {
            route_table_id: Reference::to(table, "route_table_id").into(),
            destination: Input::Known(destination),
            gateway_id: None,
            nat_gateway_id: None,
            egress_only_internet_gateway_id: None,
            vpc_peering_connection_id: None,
            state: route::State::Active,
        };
        set_target(&mut spec);
        let address = self.address("aws.route", &[part, name]);
        // Before the VPC has an IPv6 block there is nothing to route.
        let vpc = self.address("aws.vpc", &[]);
        let block: &[&Address] = if matches!(destination, IpNet::V6(_)) { &[&vpc] } else { &[] };
        self.declare(address.clone(), &spec, &[table, through], block);
        self.routes.entry(table.clone()).or_default().push(address);
    }

    fn private_subnets(
        &mut self,
        zones: &[Zone],
        carving: &Carving,
        tables: &[Address],
        gateways: &Gateways,
    ) -> Vec<Address> {
        let mut subnets = Vec::with_capacity(zones.len());
        // One table for all, or one each: the last one serves for every zone that has none of its own.
        let tables = tables.iter().chain(tables.last().into_iter().cycle());
        for (((n, zone), cidr), table) in (0_u32..).zip(zones).zip(&carving.private).zip(tables) {
            let spec = self.subnet(Tier::Private, zone, *cidr, private_ipv6(n), gateways, table);
            subnets.push(self.declare_subnet(Tier::Private, zone, &spec, gateways, table));
            // A subnet that is there already moves to another table only when that table leads somewhere. A new one does
            // not wait: its clusters would wait for a NAT gateway.
            let routes = self.routes.get(table).cloned().unwrap_or_default();
            if let Some(declaration) = self.compiled.declarations.last_mut() {
                declaration.update_after = routes;
            }
        }
        subnets
    }

    fn subnet(
        &self,
        tier: Tier,
        zone: &Zone,
        cidr: ipnet::Ipv4Net,
        ipv6_index: u32,
        gateways: &Gateways,
        table: &Address,
    ) -> subnet::Spec {
        let dual_stack = self.network.dual_stack;
        let part = tier.part(zone);
        let mut tags = self.tags(&self.address("aws.subnet", &[&part]), &part);
        tags.insert(tier.role_tag().to_owned(), "1".to_owned());
        let ipv6 = || {
            let block = Reference::to(&gateways.vpc, "ipv6_cidr");
            Input::Unknown(block.pick(Pick::Ipv6Subnet { prefix: 64, index: ipv6_index }))
        };
        subnet::Spec {
            vpc_id: Reference::to(&gateways.vpc, "vpc_id").into(),
            availability_zone: zone.name.clone(),
            availability_zone_id: zone.id.clone(),
            cidr,
            ipv6_cidr: dual_stack.then(ipv6),
            // Nodes live in the private subnets; load balancers and NAT gateways bring their own addresses.
            map_public_ip_on_launch: false,
            // EKS wants it of every subnet it is given, private ones too.
            assign_ipv6_address_on_creation: dual_stack,
            enable_dns64: dual_stack && self.network.dns64 && tier == Tier::Private,
            route_table_id: Some(Reference::to(table, "route_table_id").into()),
            tags,
        }
    }

    fn declare_subnet(
        &mut self,
        tier: Tier,
        zone: &Zone,
        spec: &subnet::Spec,
        gateways: &Gateways,
        table: &Address,
    ) -> Address {
        let address = self.address("aws.subnet", &[&tier.part(zone)]);
        self.declare(address.clone(), spec, &[table, &gateways.vpc], &[]);
        address
    }

    fn address(&self, kind: &str, parts: &[&str]) -> Address {
        let mut all = vec![self.network.name.as_str()];
        all.extend(parts);
        Address::new(kind, &all)
    }

    /// The user's tags, a name for the console, and whose it is.
    fn tags(&self, address: &Address, part: &str) -> Tags {
        let mesh = &self.topology.mesh.id;
        let dash = if part.is_empty() { "" } else { "-" };
        let mut tags = self.topology.tags.clone();
        tags.insert("Name".to_owned(), format!("{mesh}-{}{dash}{part}", self.network.name));
        tags.insert("meshplan:mesh".to_owned(), mesh.clone());
        tags.insert("meshplan:address".to_owned(), address.to_string());
        tags
    }

    /// `references` are the resources that the spec's holes name, sorted.
    fn declare<S: Serialize>(&mut self, address: Address, spec: &S, references: &[&Address], depends_on: &[&Address]) {
        let spec = match Document::of(spec) {
            Ok(spec) => spec,
            Err(error) => {
                let finding = Diagnostic::error(DEFECT, format!("the spec of {address} cannot be written: {error}"));
                self.compiled.diagnostics.push(finding.at(self.origin.clone()));
                return;
            }
        };
        let own = |addresses: &[&Address]| {
            let mut addresses: Vec<Address> = addresses.iter().map(|address| (*address).clone()).collect();
            addresses.sort_unstable();
            addresses
        };
        self.compiled.declarations.push(Declaration {
            address,
            target: self.target.clone(),
            spec,
            references: own(references),
            depends_on: own(depends_on),
            update_after: Vec::new(),
            notes: Vec::new(),
            origin: self.origin.clone(),
            protected: false,
        });
    }

    fn note_last(&mut self, notes: impl Iterator<Item = String>) {
        if let Some(declaration) = self.compiled.declarations.last_mut() {
            declaration.notes.extend(notes);
        }
    }
}

/// Which of a zone's two subnets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tier {
    Private,
    Public,
}

impl Tier {
    fn part(self, zone: &Zone) -> String {
        match self {
            Self::Private => format!("private-{}", zone.suffix),
            Self::Public => format!("public-{}", zone.suffix),
        }
    }

    fn role_tag(self) -> &'static str {
        match self {
            Self::Private => ROLE_PRIVATE,
            Self::Public => ROLE_PUBLIC,
        }
    }
}
