//! The gateway between networks: its Service, its pods, and what they let through.
//!
//! A gateway takes connections from the pods of other networks alone, unless the topology says otherwise: their NAT
//! gateways' addresses and their IPv6 blocks, or the networks themselves where they are routed to each other.

use serde_json::json;

use super::control_plane::{ControlPlane, NETWORK_LABEL};
use super::service::{Front, Port, STATUS_PORT};
use super::{ISTIO_SYSTEM, Inside};
use crate::compile::site::Site;
use crate::model::{Address, AttrPath, Code, Diagnostic, Input};
use crate::topology::Network;
use crate::topology::schema::{IpAddressType, Release, Scheme, Sources};

/// Nobody is known who could be let in.
const NO_KNOWN_PEER: Code = Code("no-known-peer");

/// A gateway lets in more ranges than its load balancer's security group takes rules.
const MANY_RANGES: Code = Code("many-ranges");

/// The rules of one family that a security group takes by default (L-0EA8095F), shared by the gateway's four ports.
const RULES: usize = 60;
const PORTS: usize = 4;

/// The port of traffic between networks.
const TRAFFIC_PORT: u16 = 15443;

/// Who may connect to a gateway.
struct Admitted {
    ranges: Vec<Input<String>>,
    note: Option<String>,
}

impl Inside<'_> {
    pub(super) fn east_west(&mut self, control_plane: &ControlPlane, controller: Option<&Address>) {
        let which = Release::IstioEastwestgateway;
        let admitted = self.admitted();
        let network = &self.network.istio_network;
        let front = Front {
            which,
            labels: [(NETWORK_LABEL.to_owned(), json!(network))].into_iter().collect(),
            ports: vec![
                Port::new("status-port", STATUS_PORT),
                Port::new("tls", TRAFFIC_PORT),
                Port::new("tls-istiod", 15012),
                Port::new("tls-webhook", 15017),
            ],
            scheme: self.mesh.topology.east_west.scheme,
            sources: admitted.ranges,
            name: self.cluster.load_balancer_name.clone(),
        };
        let notes: Vec<String> = admitted.note.into_iter().collect();
        let service = self.service(&front, &control_plane.namespace, controller, &notes);
        let values = json!({
            "networkGateway": network,
            "replicaCount": self.mesh.topology.east_west.replicas,
            "autoscaling": { "enabled": false },
        });
        // Its image is what the injector says: before there is one, its pods have none.
        let pods = self.istio_release(which, "gateway", values, &[&control_plane.injector], Vec::new());
        let gateway = self.cross_network_gateway(control_plane);
        self.load_balancer(which, Some(TRAFFIC_PORT), &[&service, &pods, &gateway]);
    }

    /// What makes the gateway's pods listen: services of other clusters, by their names, without a look inside.
    fn cross_network_gateway(&mut self, control_plane: &ControlPlane) -> Address {
        self.unused(Release::CrossNetworkGateway, &[]);
        let manifest = json!({
            "apiVersion": "networking.istio.io/v1",
            "kind": "Gateway",
            "metadata": { "name": Release::CrossNetworkGateway.as_str(), "namespace": ISTIO_SYSTEM },
            "spec": {
                "selector": { "istio": "eastwestgateway" },
                "servers": [{
                    "port": { "number": TRAFFIC_PORT, "name": "tls", "protocol": "TLS" },
                    "tls": { "mode": "AUTO_PASSTHROUGH" },
                    "hosts": ["*.local"],
                }],
            },
        });
        // Its kind is the base's, and the control plane's webhook has a say.
        self.object(&manifest, &[&control_plane.base, &control_plane.injector]).0
    }

    fn admitted(&mut self) -> Admitted {
        let mesh = self.mesh;
        let east_west = &mesh.topology.east_west;
        match &east_west.allow {
            Sources::Any => Admitted { ranges: Vec::new(), note: None },
            Sources::Cidrs(ranges) => {
                Admitted { ranges: ranges.iter().map(|range| Input::Known(range.0.trunc().to_string())).collect(), note: None }
            }
            Sources::Peers if !self.is_on_aws() => Admitted {
                ranges: Vec::new(),
                note: Some(
                    "open to anyone: who makes this cluster's load balancers is not known, so that they are not told who \
                     may connect"
                        .to_owned(),
                ),
            },
            Sources::Peers => {
                let dualstack = self.cluster.gateway == IpAddressType::Dualstack;
                let mut admitted = Admitted { ranges: Vec::new(), note: None };
                let mut unknown: Vec<String> = Vec::new();
                for (network, site) in self.peer_networks() {
                    let ranges = ranges(site, east_west.scheme, dualstack);
                    if ranges.is_empty() {
                        unknown.push(network.name.to_string());
                    }
                    admitted.ranges.extend(ranges);
                }
                self.count(&admitted.ranges, dualstack);
                if !unknown.is_empty() {
                    self.unknown(&unknown, &mut admitted);
                }
                admitted
            }
        }
    }

    /// The networks whose clusters connect through this one's gateway.
    fn peer_networks(&self) -> impl Iterator<Item = (&Network, &Site)> {
        let (mesh, own) = (self.mesh, &self.network.istio_network);
        mesh.inhabited
            .iter()
            .filter_map(|name| Some((mesh.topology.networks.get(*name)?, mesh.sites.get(*name)?)))
            .filter(move |(network, _)| network.istio_network != *own)
    }

    /// Warns, once for all gateways, of more ranges than fit.
    fn count(&mut self, ranges: &[Input<String>], dualstack: bool) {
        // A network has at least one range of each family.
        let of_a_family = if dualstack { ranges.len().div_ceil(2) } else { ranges.len() };
        if of_a_family * PORTS <= RULES {
            return;
        }
        let message = format!("a gateway lets in {} ranges, for {PORTS} ports each", ranges.len());
        let finding = Diagnostic::warning(MANY_RANGES, message)
            .at(AttrPath::keys(&["east_west", "allow"]))
            .note(format!("a load balancer's security group takes {RULES} rules of a family by default"))
            .help("have the quota L-0EA8095F raised, or write fewer and wider ranges, or `allow = \"any\"`: the gateways ask for the mesh's own certificates");
        let is_said = self.compiled.diagnostics.iter().any(|said| said.code == MANY_RANGES);
        if !is_said {
            self.compiled.diagnostics.push(finding);
        }
    }

    /// Networks of which nobody knows where their connections come from.
    fn unknown(&mut self, networks: &[String], admitted: &mut Admitted) {
        let names = networks.join(", ");
        if admitted.ranges.is_empty() {
            // No range at all would let in everybody.
            let finding = Diagnostic::error(
                NO_KNOWN_PEER,
                format!("nothing says from which addresses the pods of {names} connect to {}", self.name()),
            );
            self.compiled.diagnostics.push(
                finding
                    .at(AttrPath::keys(&["east_west", "allow"]))
                    .help("write the ranges: `allow = [\"203.0.113.7/32\"]`; or `allow = \"any\"`"),
            );
        } else {
            admitted.note = Some(format!(
                "pods of {names} are not let in: nothing says from which addresses they connect; `[east_west] allow` names \
                 ranges"
            ));
        }
    }
}

/// What the connections of a network's pods come from.
fn ranges(site: &Site, scheme: Scheme, dualstack: bool) -> Vec<Input<String>> {
    let ipv6 = site.ipv6_cidr().filter(|_| dualstack);
    match scheme {
        Scheme::InternetFacing => site.nat_cidrs.iter().cloned().chain(ipv6).collect(),
        // Routed to each other, networks see each other's own addresses.
        Scheme::Internal => [Input::Known(site.cidr.trunc().to_string())].into_iter().chain(ipv6).collect(),
    }
}
