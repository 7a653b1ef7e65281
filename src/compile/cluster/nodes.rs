//! A cluster's managed nodes.
//!
//! They wait for what they need to become ready and for nothing else: the network plug-in, and a way out of their
//! subnets to a registry. A NAT gateway takes less time than a control plane, so that in the end they wait for neither.

use std::collections::BTreeMap;

use super::Lowering;
use super::identity::Roles;
use crate::kinds::eks::nodegroup;
use crate::model::Address;
use crate::topology::instance::Architecture;
use crate::topology::schema::{Ami, Capacity};

/// The group's name, and the last part of its address.
const NODES: &str = "nodes";

impl Lowering<'_> {
    pub(super) fn nodes(&mut self, roles: &Roles, addons: &[Address]) -> Address {
        let address = self.address("eks.nodegroup", &[NODES]);
        let nodes = &self.cluster.nodes;
        let architecture = nodes.instance_types.first().map(|first| Architecture::of(first)).unwrap_or_default();
        let spec = nodegroup::Spec {
            cluster: self.name(),
            name: NODES.to_owned(),
            role_arn: Roles::arn(&roles.node),
            subnet_ids: self.site.private_subnets.clone(),
            instance_types: nodes.instance_types.clone(),
            ami_type: ami_type(nodes.ami, architecture).to_owned(),
            capacity_type: match nodes.capacity {
                Capacity::OnDemand => "ON_DEMAND",
                Capacity::Spot => "SPOT",
            }
            .to_owned(),
            disk_gib: nodes.disk_gib,
            min: nodes.min,
            max: nodes.max,
            desired: nodes.desired,
            version: self.cluster.kubernetes.to_string(),
            labels: BTreeMap::new(),
            tags: self.tags(&address, &self.label(NODES)),
        };
        let notes: Vec<String> = (architecture == Architecture::Arm)
            .then(|| format!("an ARM image, because {} has a Graviton processor", nodes.instance_types[0]))
            .into_iter()
            .collect();
        let interfaces = self.address("teardown.interfaces", &[]);
        let site = self.site;
        let after: Vec<&Address> = addons.iter().chain(&site.egress).chain([&interfaces]).collect();
        let origin = self.origin.key("nodes");
        self.declare(address.clone(), &spec, &after).notes(&notes).origin(origin);
        address
    }
}

/// EKS's name for an image.
fn ami_type(ami: Ami, architecture: Architecture) -> &'static str {
    match (ami, architecture) {
        (Ami::Al2023, Architecture::X86) => "AL2023_x86_64_STANDARD",
        (Ami::Al2023, Architecture::Arm) => "AL2023_ARM_64_STANDARD",
        (Ami::Bottlerocket, Architecture::X86) => "BOTTLEROCKET_x86_64",
        (Ami::Bottlerocket, Architecture::Arm) => "BOTTLEROCKET_ARM_64",
    }
}
