//! The kinds: one file and one line of [`KINDS`] each.
//!
//! A kind knows its own API and nothing of the engine: no retries, no waits, no state. Entry points: [`KINDS`] and
//! [`registry`]; compile builds the kinds' typed `Spec`s.

pub mod audit;
pub mod aws;
pub mod eks;
pub mod helm;
pub mod iam;
pub mod istio;
pub mod kubernetes;
pub mod pki;
mod sdk;
pub mod teardown;

use crate::resource::{DynKind, Registry};

/// Every kind, by name.
pub static KINDS: &[&dyn DynKind] = &[
    &aws::egress_only_internet_gateway::EgressOnlyInternetGateway,
    &aws::eip::Eip,
    &aws::existing_network::ExistingNetwork,
    &aws::internet_gateway::InternetGateway,
    &aws::nat_gateway::NatGateway,
    &aws::route::Route,
    &aws::route_table::RouteTable,
    &aws::security_group_rule::SecurityGroupRule,
    &aws::subnet::Subnet,
    &aws::vpc::Vpc,
    &aws::vpc_peering_connection::VpcPeeringConnection,
    &eks::access_entry::AccessEntry,
    &eks::addon::Addon,
    &eks::cluster::ControlPlane,
    &eks::existing_cluster::ExistingCluster,
    &eks::nodegroup::Nodegroup,
    &eks::pod_identity_association::PodIdentityAssociation,
    &helm::release::HelmRelease,
    &iam::oidc_provider::OidcProvider,
    &iam::role::Role,
    &istio::existing_cacerts::ExistingCacerts,
    &istio::injector::Injector,
    &istio::remote_secret::RemoteSecret,
    &kubernetes::existing_cluster::ExistingCluster,
    &kubernetes::load_balancer::LoadBalancer,
    &kubernetes::manifest::Manifest,
    &kubernetes::namespace::Namespace,
    &kubernetes::secret::Secret,
    &kubernetes::service_account_token::ServiceAccountToken,
    &pki::existing_intermediate::ExistingIntermediate,
    &pki::existing_root::ExistingRoot,
    &pki::intermediate::Intermediate,
    &pki::root::Root,
    &teardown::Sweep::Interfaces,
    &teardown::Sweep::LoadBalancers,
    &teardown::Sweep::Remains,
];

/// [`KINDS`] as the registry that the engine takes.
#[must_use]
pub fn registry() -> Registry {
    Registry::new(KINDS)
}

#[cfg(test)]
mod tests;
