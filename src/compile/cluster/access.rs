//! Who may use a cluster's API, and whose packets reach its nodes.

use std::collections::BTreeSet;

use super::names::{of_principal, short_hash};
use super::{Lowering, address_of};
use crate::kinds::aws::security_group_rule::{self as rule, Direction};
use crate::kinds::eks::access_entry;
use crate::model::{Address, AttrPath, Input, Reference};
use crate::topology::ExistingCluster;
use crate::topology::schema::IpFamily;

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
            self.rule("ipv6-egress", Direction::Egress, Some("::/0".into()), None, "IPv6 egress of pods", note);
        }
        // Clusters of one network are in one Istio network: their pods connect directly, and so does each control plane
        // to the other's private endpoint.
        let members = self.mesh.members.get(&self.cluster.network);
        for peer in members.into_iter().flatten().filter(|peer| peer.name != self.cluster.name) {
            if matches!(peer.existing, Some(ExistingCluster::Kubeconfig { .. })) {
                continue;
            }
            let group = Reference::to(&address_of(peer), "cluster_security_group_id").into();
            let note = format!("because {} is in the same network, where pods connect directly", peer.name);
            let description = format!("pods and control plane of {}", peer.name);
            self.rule(&format!("from-{}", peer.name), Direction::Ingress, None, Some(group), &description, note);
        }
    }

    fn rule(
        &mut self,
        part: &str,
        direction: Direction,
        cidr: Option<Input<String>>,
        source_group_id: Option<Input<String>>,
        description: &str,
        note: String,
    ) -> Address {
        let address = self.address("aws.security_group_rule", &[part]);
        let spec = rule::Spec {
            group_id: Reference::to(&self.itself(), "cluster_security_group_id").into(),
            direction,
            protocol: rule::ALL.to_owned(),
            from_port: None,
            to_port: None,
            cidr,
            source_group_id,
            description: description.to_owned(),
            tags: self.tags(&address, &self.label(part)),
        };
        self.declare(address.clone(), &spec, &[]).notes(&[note]);
        address
    }
}
