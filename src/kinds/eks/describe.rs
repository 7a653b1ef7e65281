//! Looks at clusters, add-ons and pod identities that several kinds need.

use aws_sdk_eks::types::{Addon, AddonIssue, AddonIssueCode, Cluster, IpFamily as ApiIpFamily, PodIdentityAssociation};
use serde::{Deserialize, Serialize};

use super::client::Eks;
use super::error::Reclass;
use super::health::{Issue, sentences};
use crate::kinds::sdk::Answer;
use crate::resource::ProviderError;

/// The family of a cluster's pods and services.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum IpFamily {
    /// IPv4 alone.
    Ipv4,
    /// IPv6 alone.
    Ipv6,
}

impl IpFamily {
    /// The family of a cluster: IPv4 where EKS says nothing.
    pub(super) fn of(cluster: &Cluster) -> Self {
        match cluster.kubernetes_network_config().and_then(|network| network.ip_family()).map(ApiIpFamily::as_str) {
            Some("ipv6") => Self::Ipv6,
            Some(_) | None => Self::Ipv4,
        }
    }

    /// As EKS and specs write it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
        }
    }
}

/// What others need to know of a cluster; empty texts until it is active.
pub(super) struct Facts {
    pub(super) name: String,
    pub(super) arn: String,
    pub(super) endpoint: String,
    pub(super) certificate_authority: String,
    pub(super) cluster_security_group_id: String,
    pub(super) oidc_issuer: String,
    pub(super) service_cidr: String,
}

impl Facts {
    pub(super) fn of(cluster: &Cluster) -> Self {
        let owned = |text: Option<&str>| text.unwrap_or_default().to_owned();
        let network = cluster.kubernetes_network_config();
        let vpc = cluster.resources_vpc_config();
        let issuer = cluster.identity().and_then(|identity| identity.oidc()).and_then(|oidc| oidc.issuer());
        // An IPv6 cluster answers both; its services have the IPv6 one.
        let service = network.and_then(|network| network.service_ipv6_cidr().or_else(|| network.service_ipv4_cidr()));
        Self {
            name: owned(cluster.name()),
            arn: owned(cluster.arn()),
            endpoint: owned(cluster.endpoint()),
            certificate_authority: owned(cluster.certificate_authority().and_then(|authority| authority.data())),
            cluster_security_group_id: owned(vpc.and_then(|vpc| vpc.cluster_security_group_id())),
            oidc_issuer: owned(issuer),
            service_cidr: owned(service),
        }
    }
}

/// A cluster by name; `None` if there is none.
pub(super) async fn cluster(client: &Eks, name: &str) -> Result<Option<Cluster>, ProviderError> {
    let answer = client.api().describe_cluster().name(name).send().await.read("eks:DescribeCluster").unless_gone()?;
    Ok(answer.and_then(|answer| answer.cluster))
}

/// An add-on by name; `None` if there is none, or no such cluster.
pub(super) async fn addon(client: &Eks, cluster: &str, name: &str) -> Result<Option<Addon>, ProviderError> {
    let request = client.api().describe_addon().cluster_name(cluster).addon_name(name);
    let answer = request.send().await.read("eks:DescribeAddon").unless_gone()?;
    Ok(answer.and_then(|answer| answer.addon))
}

/// What EKS says about an add-on's health.
pub(super) fn addon_issues(addon: &Addon) -> Vec<String> {
    fn issue(issue: &AddonIssue) -> Issue<'_> {
        Issue {
            code: issue.code().map(AddonIssueCode::as_str),
            message: issue.message(),
            resources: issue.resource_ids(),
        }
    }
    sentences(addon.health().map(|health| health.issues()).unwrap_or_default().iter().map(issue))
}

/// The ids of an add-on's associations, sorted.
pub(super) fn associations_of(addon: &Addon) -> Vec<&str> {
    // arn:aws:eks:REGION:ACCOUNT:podidentityassociation/CLUSTER/a-ID; some servers answer the id alone.
    let ids = addon.pod_identity_associations().iter().filter_map(|arn| arn.rsplit('/').next());
    let mut ids: Vec<&str> = ids.collect();
    ids.sort_unstable();
    ids
}

/// An association by id; `None` if there is none, or no such cluster.
pub(super) async fn association(
    client: &Eks,
    cluster: &str,
    id: &str,
) -> Result<Option<PodIdentityAssociation>, ProviderError> {
    let request = client.api().describe_pod_identity_association().cluster_name(cluster).association_id(id);
    let answer = request.send().await.read("eks:DescribePodIdentityAssociation").unless_gone()?;
    Ok(answer.and_then(|answer| answer.association))
}
