//! What clusters need of their network: the seam between the two halves of the compiler.

use crate::model::{Address, Input, Reference, Target};

/// A network as its clusters see it.
pub(super) struct Site {
    /// The VPC: ours, or the look at someone else's.
    pub(super) vpc: Address,
    /// Its region.
    pub(super) target: Target,
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
    /// The VPC's id.
    pub(super) fn vpc_id(&self) -> Input<String> {
        Reference::to(&self.vpc, "vpc_id").into()
    }

    /// What its pods' IPv6 connections come from, as a range.
    pub(super) fn ipv6_cidr(&self) -> Option<Input<String>> {
        self.dual_stack.then(|| Reference::to(&self.vpc, "ipv6_cidr").into())
    }
}
