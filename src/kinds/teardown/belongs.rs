//! What belongs to a cluster: by tags that name it exactly, in its VPC. Pure: entry point [`Cluster`].

use aws_sdk_ec2::types::{NetworkInterface, SecurityGroup};

use crate::kinds::sdk::listing;
use crate::kinds::sdk::tags::Tags;
use crate::resource::{ProviderError, RemoteId};

/// On what the AWS Load Balancer Controller makes.
const CONTROLLER: &str = "elbv2.k8s.aws/cluster";

/// On what EKS Auto Mode makes.
const AUTO_MODE: &str = "eks:eks-cluster-name";

/// On the security group that EKS makes.
const EKS: &str = "aws:eks:cluster-name";

/// On the interfaces that the VPC CNI makes.
const CNI: &str = "cluster.k8s.amazonaws.com/name";

/// How the description of an interface of the VPC CNI begins.
const CNI_DESCRIPTION: &str = "aws-K8S-";

/// The key that Kubernetes' own controllers put the cluster's name into.
fn kubernetes(cluster: &str) -> String {
    format!("kubernetes.io/cluster/{cluster}")
}

/// A cluster that goes, or is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cluster {
    /// Its name in EKS.
    pub(super) name: String,
    /// Its VPC.
    pub(super) vpc: String,
}

impl Cluster {
    pub(super) fn new(name: &str, vpc: &str) -> Self {
        Self { name: name.to_owned(), vpc: vpc.to_owned() }
    }

    /// The id of a sweep of this cluster: `NAME|VPC`.
    pub(super) fn id(&self) -> RemoteId {
        RemoteId::new(format!("{}|{}", self.name, self.vpc))
    }

    pub(super) fn parse(kind: &'static str, id: &RemoteId) -> Result<Self, ProviderError> {
        id.as_str()
            .rsplit_once('|')
            .map(|(name, vpc)| Self::new(name, vpc))
            .ok_or_else(|| ProviderError::bug(kind, format!("`{id}` is not the id of a sweep")))
    }

    /// Whether a controller in the cluster made the load balancer, target group or security group with these tags.
    pub(super) fn balances(&self, tags: &Tags) -> bool {
        [CONTROLLER, AUTO_MODE].iter().any(|key| tags.get(*key) == Some(&self.name))
    }

    /// Whether a security group is the cluster's: EKS's own, or one that Kubernetes made. Never the VPC's default, and
    /// never one that is only shared with the cluster.
    pub(super) fn owns_group(&self, group: &SecurityGroup) -> bool {
        let tags = listing::map(group.tags());
        self.is_here(group.vpc_id())
            && group.group_name() != Some("default")
            && (tags.get(EKS) == Some(&self.name)
                || tags.get(&kubernetes(&self.name)).is_some_and(|value| value == "owned"))
    }

    /// Whether a security group was made by a controller in the cluster, for load balancers.
    pub(super) fn balances_with(&self, group: &SecurityGroup) -> bool {
        self.is_here(group.vpc_id())
            && group.group_name() != Some("default")
            && self.balances(&listing::map(group.tags()))
    }

    /// Whether an interface is one that the cluster's network plug-in made. A plug-in that was not told the cluster's
    /// name leaves no more than its own description: then the cluster's security group, one of `groups`, tells.
    pub(super) fn plugged(&self, interface: &NetworkInterface, groups: &[SecurityGroup]) -> bool {
        let tags = listing::map(interface.tag_set());
        if !self.is_here(interface.vpc_id()) {
            return false;
        }
        if let Some(name) = tags.get(CNI).or_else(|| tags.get(AUTO_MODE)) {
            return *name == self.name;
        }
        let described = interface.description().is_some_and(|text| text.starts_with(CNI_DESCRIPTION));
        let in_own_group = interface
            .groups()
            .iter()
            .any(|of| groups.iter().any(|group| group.group_id() == of.group_id() && self.owns_group(group)));
        described && in_own_group
    }

    /// Whether an interface is one by which EKS's control plane reaches into the VPC.
    pub(super) fn reaches_by(&self, interface: &NetworkInterface) -> bool {
        self.is_here(interface.vpc_id()) && interface.description() == Some(&format!("Amazon EKS {}", self.name))
    }

    fn is_here(&self, vpc: Option<&str>) -> bool {
        vpc == Some(&self.vpc)
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_ec2::types::{GroupIdentifier, Tag};

    use super::*;

    fn cluster() -> Cluster {
        Cluster::new("c1", "vpc-1")
    }

    fn tag(key: &str, value: &str) -> Tag {
        Tag::builder().key(key).value(value).build()
    }

    fn group(vpc: &str, name: &str, key: &str, value: &str) -> SecurityGroup {
        SecurityGroup::builder().group_id("sg-1").vpc_id(vpc).group_name(name).tags(tag(key, value)).build()
    }

    fn interface(vpc: &str, description: &str, tags: &[(&str, &str)]) -> NetworkInterface {
        let tags = tags.iter().map(|(key, value)| tag(key, value)).collect();
        NetworkInterface::builder()
            .vpc_id(vpc)
            .description(description)
            .set_tag_set(Some(tags))
            .groups(GroupIdentifier::builder().group_id("sg-1").build())
            .build()
    }

    #[test]
    fn an_id_names_cluster_and_vpc() {
        assert_eq!(Cluster::parse("k", &cluster().id()).unwrap(), cluster());
        assert!(Cluster::parse("k", &RemoteId::new("c1")).is_err());
    }

    #[test]
    fn only_a_group_that_names_the_cluster_in_its_vpc_is_its_own() {
        for (vpc, name, key, value, owned) in [
            ("vpc-1", "eks-cluster-sg-c1-1", "aws:eks:cluster-name", "c1", true),
            ("vpc-1", "k8s-elb-a", "kubernetes.io/cluster/c1", "owned", true),
            ("vpc-1", "nodes", "kubernetes.io/cluster/c1", "shared", false),
            ("vpc-1", "eks-cluster-sg-c11-1", "aws:eks:cluster-name", "c11", false),
            ("vpc-1", "k8s-elb-a", "kubernetes.io/cluster/c11", "owned", false),
            ("vpc-1", "default", "kubernetes.io/cluster/c1", "owned", false),
            ("vpc-2", "eks-cluster-sg-c1-1", "aws:eks:cluster-name", "c1", false),
        ] {
            assert_eq!(cluster().owns_group(&group(vpc, name, key, value)), owned, "{vpc} {name} {key}={value}");
        }
        assert!(cluster().balances_with(&group("vpc-1", "k8s-traffic", "elbv2.k8s.aws/cluster", "c1")));
        assert!(!cluster().balances_with(&group("vpc-2", "k8s-traffic", "elbv2.k8s.aws/cluster", "c1")));
        assert!(!cluster().balances_with(&group("vpc-1", "k8s-traffic", "elbv2.k8s.aws/cluster", "c2")));
    }

    #[test]
    fn an_interface_of_another_cluster_in_the_same_vpc_is_left_alone() {
        let own = [group("vpc-1", "eks-cluster-sg-c1-1", "aws:eks:cluster-name", "c1")];
        let other = [group("vpc-1", "eks-cluster-sg-c2-1", "aws:eks:cluster-name", "c2")];
        let named = |name| interface("vpc-1", "aws-K8S-i-1", &[("cluster.k8s.amazonaws.com/name", name)]);
        assert!(cluster().plugged(&named("c1"), &[]));
        assert!(!cluster().plugged(&named("c2"), &own), "its tag says more than its group");
        let nameless = interface("vpc-1", "aws-K8S-i-1", &[("node.k8s.amazonaws.com/instance_id", "i-1")]);
        assert!(cluster().plugged(&nameless, &own));
        assert!(!cluster().plugged(&nameless, &other));
        assert!(!cluster().plugged(&nameless, &[]));
        assert!(!cluster().plugged(&interface("vpc-1", "something else", &[]), &own));
        assert!(!cluster().plugged(&interface("vpc-2", "", &[("cluster.k8s.amazonaws.com/name", "c1")]), &own));
        assert!(cluster().reaches_by(&interface("vpc-1", "Amazon EKS c1", &[])));
        assert!(!cluster().reaches_by(&interface("vpc-1", "Amazon EKS c11", &[])));
    }
}
