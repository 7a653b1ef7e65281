//! Who may use a cluster's API, and whose packets reach its nodes.

use std::collections::BTreeSet;

use super::names::{of_principal, short_hash};
use super::{Lowering, address_of};
use crate::compile::peering::Peer;
use crate::kinds::aws::security_group_rule::{self as rule, Direction};
use crate::kinds::eks::access_entry;
use crate::model::{Address, AttrPath, Input, Reference};
use crate::topology::schema::IpFamily;
use crate::topology::{Cluster, ExistingCluster};

/// The port of an API server.
const HTTPS: u16 = 443;

/// The access policy of administrators.
const ADMINISTRATOR: &str = "AmazonEKSClusterAdminPolicy";

impl Lowering<'_> {
    /// An access entry for each administrator. The caller who makes the cluster has one already.
    pub(super) fn admins(&mut self) {
        let topology = self.mesh.topology;
        let policy = format!("arn:{}:eks::aws:cluster-access-policy/{ADMINISTRATOR}", self.partition().name());
        let (mut names, mut principals) = (BTreeSet::new(), BTreeSet::new());
        for (n, principal) in topology.api_access.admins.iter().enumerate() {
            // The same principal twice is one entry.
            if !principals.insert(principal) {
                continue;
            }
            let mut name = of_principal(principal);
            if !names.insert(name.clone()) {
                name = format!("{name}-{}", short_hash(principal));
            }
            let address = self.address("eks.access_entry", &[&name]);
            let spec = access_entry::Spec {
                cluster: self.name(),
                principal_arn: principal.clone(),
                policies: vec![access_entry::Policy {
                    policy_arn: policy.clone(),
                    scope: access_entry::Scope::Cluster,
                }],
                tags: self.tags(&address, &self.label(&name)),
            };
            let origin = AttrPath::keys(&["api_access", "admins"]).index(n);
            self.declare(address, &spec, &[]).origin(origin);
        }
    }

    /// What EKS's own security group does not allow by itself.
    pub(super) fn security_group_rules(&mut self) {
        if self.cluster.ip_family == IpFamily::Ipv4 && self.cluster.v6_egress {
            let note = "because EKS's own rule lets IPv4 alone out of an IPv4 cluster's nodes".to_owned();
            let rule = Rule {
                parts: &["ipv6-egress"],
                direction: Direction::Egress,
                ports: &Ports::All,
                cidr: Some("::/0".into()),
                source_group_id: None,
                description: "IPv6 egress of pods".to_owned(),
            };
            self.rule(rule, &[], note);
        }
        // Clusters of one network are in one Istio network: their pods connect directly, and so does each control plane
        // to the other's private endpoint.
        let members = self.mesh.members.get(&self.cluster.network);
        for peer in members.into_iter().flatten().filter(|peer| peer.name != self.cluster.name) {
            if !is_in_eks(peer) {
                continue;
            }
            let note = format!("because {} is in the same network, where pods connect directly", peer.name);
            self.let_in(peer, &Ports::All, &[], note);
        }
        for peer in self.mesh.peers.get(&self.cluster.network).into_iter().flatten() {
            self.let_in_network(peer);
        }
    }

    /// Lets in the clusters of a network that this one has a private route to: to everything where their pods connect
    /// directly, and else to the API server's private endpoint. A security group is known across a peering connection of
    /// one region; beyond, and through what is not ours, ranges are.
    fn let_in_network(&mut self, peer: &Peer<'_>) {
        let members = self.mesh.members.get(&peer.network.name);
        let clusters = members.into_iter().flatten();
        let clusters: Vec<&Cluster> = clusters.copied().filter(|peer| is_in_eks(peer)).collect();
        let (Some(own), Some(site)) =
            (self.mesh.topology.network_of(self.cluster), self.mesh.sites.get(&peer.network.name))
        else {
            return;
        };
        if clusters.is_empty() {
            return;
        }
        let (ports, why) = if own.istio_network == peer.network.istio_network {
            (Ports::All, "where pods connect directly")
        } else {
            (Ports::Api, "from where this API server is watched")
        };
        let route =
            |name: &str| format!("because {name} is in {}, which is routed to privately, {why}", peer.network.name);
        if let Some(connection) = peer.connection.as_ref().filter(|_| own.region == peer.network.region) {
            for cluster in clusters {
                self.let_in(cluster, &ports, &[connection], route(cluster.name.as_str()));
            }
            return;
        }
        let names: Vec<&str> = clusters.iter().map(|cluster| cluster.name.as_str()).collect();
        let note = route(&names.join(", "));
        let ipv6 = if self.site.dual_stack { site.ipv6_cidr() } else { None };
        let ranges = [Some(("ipv4", Input::Known(peer.network.cidr.to_string()))), ipv6.map(|block| ("ipv6", block))];
        for (family, range) in ranges.into_iter().flatten() {
            let part = format!("{}-{family}", peer.network.name);
            let rule = Rule {
                parts: &["from-network", &part],
                direction: Direction::Ingress,
                ports: &ports,
                cidr: Some(range),
                source_group_id: None,
                description: format!("private route from {}", peer.network.name),
            };
            self.rule(rule, &[], note.clone());
        }
    }

    /// Lets in what has the security group of another cluster.
    fn let_in(&mut self, peer: &Cluster, ports: &Ports, after: &[&Address], note: String) {
        let rule = Rule {
            parts: &[&format!("from-{}", peer.name)],
            direction: Direction::Ingress,
            ports,
            cidr: None,
            source_group_id: Some(Reference::to(&address_of(peer), "cluster_security_group_id").into()),
            description: format!("pods and control plane of {}", peer.name),
        };
        self.rule(rule, after, note);
    }

    fn rule(&mut self, rule: Rule<'_>, after: &[&Address], note: String) -> Address {
        let address = self.address("aws.security_group_rule", rule.parts);
        let api = matches!(rule.ports, Ports::Api);
        let spec = rule::Spec {
            group_id: Reference::to(&self.itself(), "cluster_security_group_id").into(),
            direction: rule.direction,
            protocol: if api { "tcp" } else { rule::ALL }.to_owned(),
            from_port: api.then_some(HTTPS),
            to_port: api.then_some(HTTPS),
            cidr: rule.cidr,
            source_group_id: rule.source_group_id,
            description: rule.description,
            tags: self.tags(&address, &self.label(&rule.parts.join("-"))),
        };
        self.declare(address.clone(), &spec, after).notes(&[note]);
        address
    }
}

/// What a rule opens.
enum Ports {
    All,
    /// The API server's.
    Api,
}

/// A rule of the cluster's own security group.
struct Rule<'a> {
    /// The last parts of its address.
    parts: &'a [&'a str],
    direction: Direction,
    ports: &'a Ports,
    cidr: Option<Input<String>>,
    source_group_id: Option<Input<String>>,
    description: String,
}

/// Whether a cluster has a security group in EC2.
fn is_in_eks(cluster: &Cluster) -> bool {
    !matches!(cluster.existing, Some(ExistingCluster::Kubeconfig { .. }))
}
