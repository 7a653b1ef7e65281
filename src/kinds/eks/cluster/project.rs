//! What EKS answers about a cluster, in the declared shape.

use aws_sdk_eks::types::{
    AccessConfigResponse, Cluster, ClusterHealth, ClusterIssue, ClusterStatus, LogSetup, Logging, SupportType,
};

use super::{AutoMode, IpFamily, Outputs, Spec, authentication_mode};
use crate::kinds::eks::describe::Facts;
use crate::kinds::eks::health::{Issue, sentences};
use crate::kinds::eks::tags;
use crate::model::Input;
use crate::resource::{Live, Status};

/// A cluster as it is now.
pub(super) fn live(cluster: &Cluster) -> Live<Spec, Outputs> {
    Live { spec: spec(cluster), outputs: outputs(cluster), status: status(cluster) }
}

fn spec(cluster: &Cluster) -> Spec {
    let vpc = cluster.resources_vpc_config();
    let inputs = |texts: &[String]| texts.iter().map(|text| Input::Known(text.clone())).collect();
    let public = vpc.is_some_and(|vpc| vpc.endpoint_public_access);
    let network = cluster.kubernetes_network_config();
    let auto = cluster.compute_config().filter(|compute| compute.enabled() == Some(true));
    Spec {
        name: cluster.name().unwrap_or_default().to_owned(),
        role_arn: cluster.role_arn().unwrap_or_default().into(),
        version: cluster.version().unwrap_or_default().to_owned(),
        subnet_ids: vpc.map(|vpc| inputs(vpc.subnet_ids())).unwrap_or_default(),
        security_group_ids: vpc.map(|vpc| inputs(vpc.security_group_ids())).unwrap_or_default(),
        endpoint_public_access: public,
        endpoint_private_access: vpc.is_some_and(|vpc| vpc.endpoint_private_access),
        // EKS keeps the ranges of an endpoint that is switched off; they let nobody in.
        public_access_cidrs: vpc.filter(|_| public).map(|vpc| inputs(vpc.public_access_cidrs())).unwrap_or_default(),
        ip_family: IpFamily::of(cluster),
        service_ipv4_cidr: network.and_then(|network| network.service_ipv4_cidr()).map(str::to_owned),
        authentication_mode: authentication_mode(cluster.access_config()),
        // What EKS does where nothing was said.
        support_type: cluster
            .upgrade_policy()
            .and_then(|policy| policy.support_type())
            .map_or("EXTENDED", SupportType::as_str)
            .to_owned(),
        auto_mode: auto.map(|compute| AutoMode {
            node_pools: compute.node_pools().to_vec(),
            node_role_arn: compute.node_role_arn().unwrap_or_default().into(),
        }),
        logging: logging(cluster),
        deletion_protection: cluster.deletion_protection().unwrap_or(false),
        bootstrap_creator_admin: cluster
            .access_config()
            .and_then(AccessConfigResponse::bootstrap_cluster_creator_admin_permissions)
            .unwrap_or(false),
        tags: tags::project(&tags::sorted(cluster.tags())),
    }
}

/// The logs that are on.
fn logging(cluster: &Cluster) -> Vec<String> {
    let setups = cluster.logging().map(Logging::cluster_logging).unwrap_or_default();
    let on = setups.iter().filter(|setup| setup.enabled() == Some(true)).flat_map(LogSetup::types);
    on.map(|log| log.as_str().to_owned()).collect()
}

fn outputs(cluster: &Cluster) -> Outputs {
    let facts = Facts::of(cluster);
    Outputs {
        name: facts.name,
        arn: facts.arn,
        endpoint: facts.endpoint,
        certificate_authority: facts.certificate_authority,
        cluster_security_group_id: facts.cluster_security_group_id,
        oidc_issuer: facts.oidc_issuer,
        service_cidr: facts.service_cidr,
    }
}

fn status(cluster: &Cluster) -> Status {
    match cluster.status().map(ClusterStatus::as_str) {
        None | Some("ACTIVE") => Status::Ready,
        Some("FAILED") => Status::Failed(failure(cluster)),
        Some("DELETING") => Status::Deleting,
        Some(state) => Status::Pending(format!("state is {state}")),
    }
}

fn failure(cluster: &Cluster) -> String {
    let issues = cluster.health().map(ClusterHealth::issues).unwrap_or_default();
    let said = sentences(issues.iter().map(issue));
    if said.is_empty() {
        "its creation failed, and EKS gives no reason: the next apply makes it anew".to_owned()
    } else {
        said.join("; ")
    }
}

fn issue(issue: &ClusterIssue) -> Issue<'_> {
    Issue {
        code: issue.code().map(aws_sdk_eks::types::ClusterIssueCode::as_str),
        message: issue.message(),
        resources: issue.resource_ids(),
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_eks::types::{
        ClusterIssueCode, IpFamily as ApiIpFamily, KubernetesNetworkConfigResponse, VpcConfigResponse,
    };

    use super::*;

    #[test]
    fn a_failed_cluster_says_why_and_what_to_do() {
        let issue = ClusterIssue::builder()
            .code(ClusterIssueCode::InsufficientFreeAddresses)
            .message("One or more of the subnets do not have at least 5 free addresses.")
            .resource_ids("subnet-1")
            .build();
        let cluster = Cluster::builder()
            .status(ClusterStatus::Failed)
            .health(ClusterHealth::builder().issues(issue).build())
            .build();
        let Status::Failed(why) = status(&cluster) else { panic!("it failed") };
        assert_eq!(
            why,
            "InsufficientFreeAddresses (subnet-1): One or more of the subnets do not have at least 5 free addresses: \
             free addresses in the subnets, or use larger ones"
        );
        let status = |state| status(&Cluster::builder().status(state).build());
        assert_eq!(status(ClusterStatus::Active), Status::Ready);
        assert_eq!(status(ClusterStatus::Creating), Status::Pending("state is CREATING".to_owned()));
        assert_eq!(status(ClusterStatus::Updating), Status::Pending("state is UPDATING".to_owned()));
        assert_eq!(status(ClusterStatus::Deleting), Status::Deleting);
    }

    #[test]
    fn the_ranges_of_an_endpoint_that_is_off_are_nobodys() {
        let cluster = |public| {
            let vpc = VpcConfigResponse::builder().endpoint_public_access(public).public_access_cidrs("0.0.0.0/0");
            Cluster::builder().resources_vpc_config(vpc.build()).build()
        };
        assert_eq!(spec(&cluster(true)).public_access_cidrs, [Input::from("0.0.0.0/0")]);
        assert_eq!(spec(&cluster(false)).public_access_cidrs, []);
    }

    #[test]
    fn an_ipv6_cluster_yields_its_ipv6_services() {
        let network = KubernetesNetworkConfigResponse::builder()
            .ip_family(ApiIpFamily::Ipv6)
            .service_ipv6_cidr("fd30:1c53:5f8a::/108")
            .build();
        let cluster = Cluster::builder().kubernetes_network_config(network).build();
        assert_eq!(outputs(&cluster).service_cidr, "fd30:1c53:5f8a::/108");
        assert_eq!(spec(&cluster).ip_family, IpFamily::Ipv6);
    }
}
