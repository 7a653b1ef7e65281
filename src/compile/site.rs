//! What clusters need of their network: the seam between the two halves of the compiler.

use ipnet::Ipv4Net;

use crate::model::{Address, Input, Reference, Target};

/// A network as its clusters see it.
#[derive(Default)]
pub(super) struct Site {
    /// The VPC: ours, or the look at someone else's. None where nothing is built in AWS and nothing looked at.
    pub(super) vpc: Option<Address>,
    /// Its IPv4 range.
    pub(super) cidr: Ipv4Net,
    /// Its region.
    pub(super) region: String,
    /// The ids of the subnets for control planes, nodes and pods.
    pub(super) private_subnets: Vec<Input<String>>,
    /// The same subnets' addresses, if they are ours.
    pub(super) private_subnet_addresses: Vec<Address>,
    /// The routes without which a node reaches no registry.
    pub(super) egress: Vec<Address>,
    /// The subnets and routes that internet-facing load balancers stand on.
    pub(super) public: Vec<Address>,
    /// Its route tables, by their part of an address; none of a network that is not ours.
    pub(super) route_tables: Vec<(String, Address)>,
    /// What its pods' IPv4 connections come from, as ranges.
    pub(super) nat_cidrs: Vec<Input<String>>,
    /// Whether it has an IPv6 block.
    pub(super) dual_stack: bool,
}

impl Site {
    /// The region, as the target of what is in it.
    pub(super) fn target(&self) -> Target {
        Target::aws(&self.region)
    }

    /// The VPC's id.
    pub(super) fn vpc_id(&self) -> Option<Input<String>> {
        self.vpc.as_ref().map(|vpc| Reference::to(vpc, "vpc_id").into())
    }

    /// What its pods' IPv6 connections come from, as a range.
    pub(super) fn ipv6_cidr(&self) -> Option<Input<String>> {
        let vpc = self.vpc.as_ref().filter(|_| self.dual_stack)?;
        Some(Reference::to(vpc, "ipv6_cidr").into())
    }
}
