//! Clusters from their creation to what is left of them.

use aws_sdk_eks::types::error::ResourceInUseException;
use aws_sdk_eks::types::{
    BlockStorage, ComputeConfigRequest, ElasticLoadBalancing, LogSetup, LogType, Logging, StorageConfigRequest,
};

use super::*;

#[tokio::test]
async fn a_cluster_takes_minutes_and_has_what_the_documentation_says() {
    let sandbox = realistic();
    sandbox
        .drive(async {
            let base = Base::new(sandbox.clone()).await;
            let started = sandbox.clock().now();
            let token = "a-token-of-mine";
            let made = base.create("c1", IpFamily::Ipv4).client_request_token(token).tags("owner", "me").send();
            let made = made.await.unwrap().cluster.unwrap();
            assert_eq!(made.status(), Some(&ClusterStatus::Creating));
            assert!(made.endpoint().is_none() && made.identity().is_none());
            let again = base.create("c1", IpFamily::Ipv4).client_request_token(token).tags("owner", "me").send();
            assert_eq!(again.await.unwrap().cluster.unwrap().created_at(), made.created_at());
            let other = base.create("c1", IpFamily::Ipv4).client_request_token(token).send().await;
            assert_eq!(code(other), "InvalidParameterException");
            let taken = base.create("c1", IpFamily::Ipv4).send().await.unwrap_err();
            let taken: &ResourceInUseException = match taken.as_service_error().unwrap() {
                aws_sdk_eks::operation::create_cluster::CreateClusterError::ResourceInUseException(error) => error,
                other => panic!("{other}"),
            };
            assert_eq!(taken.cluster_name(), Some("c1"));
            assert_eq!(taken.message(), Some("Cluster already exists with name: c1"));
            let refused = base.eks.delete_cluster().name("c1").send().await.unwrap_err();
            assert!(refused.message().unwrap().contains("in progress"), "{refused:?}");
            assert_eq!(code(base.nodes("c1").send().await), "InvalidRequestException");

            while base.status("c1").await == ClusterStatus::Creating {
                base.sleep(5).await;
            }
            let took = sandbox.clock().now().duration_since(started).as_secs();
            assert!((503..=690).contains(&took), "{took} s");
            let found = base.eks.describe_cluster().name("c1").send().await.unwrap().cluster.unwrap();
            assert!(found.endpoint().unwrap().ends_with(".gr7.us-west-2.eks.amazonaws.com"));
            assert_eq!(found.kubernetes_network_config().unwrap().service_ipv4_cidr(), Some("10.100.0.0/16"));
            assert_eq!(found.tags().unwrap()["owner"], "me");
            let issuer = found.identity().unwrap().oidc().unwrap().issuer().unwrap();
            assert!(issuer.starts_with("https://oidc.eks.us-west-2.amazonaws.com/id/"));
            let network = found.resources_vpc_config().unwrap();
            assert_eq!(network.vpc_id(), Some(base.vpc.as_str()));
            assert_eq!(network.public_access_cidrs(), ["0.0.0.0/0"]);

            let group = network.cluster_security_group_id().unwrap();
            let groups = base.ec2.describe_security_groups().filters(filter("tag:aws:eks:cluster-name", "c1"));
            let groups = groups.send().await.unwrap().security_groups.unwrap();
            assert_eq!(groups[0].group_id(), Some(group));
            assert!(groups[0].group_name().unwrap().starts_with("eks-cluster-sg-c1-"));
            assert_eq!(groups[0].ip_permissions()[0].user_id_group_pairs()[0].group_id(), Some(group));
            let interfaces = base.ec2.describe_network_interfaces().filters(filter("group-id", group));
            let interfaces = interfaces.send().await.unwrap().network_interfaces.unwrap();
            assert_eq!(interfaces.len(), 2);
            assert!(interfaces.iter().all(|one| one.requester_managed() == Some(true)));
            assert_eq!(interfaces[0].description(), Some("Amazon EKS c1"));

            let started = sandbox.clock().now();
            base.eks.delete_cluster().name("c1").send().await.unwrap();
            assert_eq!(base.status("c1").await, ClusterStatus::Deleting);
            while base.eks.describe_cluster().name("c1").send().await.is_ok() {
                base.sleep(5).await;
            }
            let took = sandbox.clock().now().duration_since(started).as_secs();
            assert!((69..=235).contains(&took), "{took} s");
            let gone = base.eks.describe_cluster().name("c1").send().await.unwrap_err();
            assert_eq!(gone.raw_response().unwrap().status().as_u16(), 404);
            assert_eq!(gone.message(), Some("No cluster found for name: c1."));
            let groups = base.ec2.describe_security_groups().group_ids(group).send().await;
            assert_eq!(code(groups), "InvalidGroup.NotFound");
            let left =
                base.ec2.describe_network_interfaces().filters(filter("description", "Amazon EKS *")).send().await;
            assert!(left.unwrap().network_interfaces().is_empty());
            // The token of what is gone is free again.
            let again = base.create("c1", IpFamily::Ipv4).client_request_token(token).send().await;
            assert_eq!(again.unwrap().cluster.unwrap().status(), Some(&ClusterStatus::Creating));
        })
        .await;
}

#[tokio::test]
async fn a_role_is_seen_late_and_must_be_right() {
    let sandbox = realistic();
    sandbox
        .drive(async {
            let base = Base::new(sandbox.clone()).await;
            let fresh = role(&base.sandbox, "fresh", "eks.amazonaws.com", &[CLUSTER_POLICY]).await;
            let mut said = Vec::new();
            // Each time the reason is one of those that go away by themselves.
            while let Err(error) = base.create("c1", IpFamily::Ipv4).role_arn(&fresh).send().await {
                assert_eq!(error.code(), Some("InvalidParameterException"));
                let message = error.message().unwrap().to_owned();
                assert!(
                    message.contains("does not exist or the trusted entity is not correct")
                        || message.contains("doesn't have the Amazon EKS Managed Policies associated with it"),
                    "{message}"
                );
                said.push(message);
                assert!(said.len() < 60, "it never goes away");
                base.sleep(1).await;
            }
            assert!(!said.is_empty());
            let refused = async |role: &str| {
                let error = base.create("c2", IpFamily::Ipv4).role_arn(role).send().await.unwrap_err();
                error.message().unwrap().to_owned()
            };
            assert_eq!(refused("nonsense").await, "Error in role params");
            assert!(
                refused(&base.node).await.contains("[eks.amazonaws.com] were not found in the trust relationships")
            );
            let bare = role(&base.sandbox, "bare", "eks.amazonaws.com", &[]).await;
            base.sleep(60).await;
            assert!(
                refused(&bare).await.contains("policies [arn:aws:iam::aws:policy/AmazonEKSClusterPolicy] are attached")
            );
        })
        .await;
}

#[tokio::test]
async fn what_cannot_be_a_cluster_is_refused() {
    let base = Base::new(instant()).await;
    let refused = async |call: CreateClusterFluentBuilder| {
        let error = call.send().await.unwrap_err();
        (error.code().unwrap().to_owned(), error.message().unwrap().to_owned())
    };
    let message = async |call: CreateClusterFluentBuilder| refused(call).await.1;
    let create = || base.create("c1", IpFamily::Ipv4);
    assert!(message(base.create("-c", IpFamily::Ipv4)).await.contains("The cluster name '-c'"));
    assert!(message(create().version("1.20")).await.contains("unsupported Kubernetes version"));
    let network = |ids: &[&str]| {
        let ids = ids.iter().map(|id| (*id).to_owned()).collect();
        VpcConfigRequest::builder().set_subnet_ids(Some(ids)).build()
    };
    let one_zone = create().resources_vpc_config(network(&[&base.private[0]]));
    assert_eq!(message(one_zone).await, "Subnets specified must be in at least two different AZs");
    let unknown = create().resources_vpc_config(network(&["subnet-12345678", &base.private[0]]));
    assert!(message(unknown).await.contains("The subnet ID 'subnet-12345678' does not exist"));
    let closed = base.network();
    let closed = VpcConfigRequest::builder().set_subnet_ids(closed.subnet_ids).endpoint_public_access(false);
    assert!(
        message(create().resources_vpc_config(closed.build())).await.contains("cannot be disabled at the same time")
    );
    let many = (0..41).map(|number| format!("203.0.113.{number}/32")).collect();
    let many =
        VpcConfigRequest::builder().set_subnet_ids(Some(base.private.clone())).set_public_access_cidrs(Some(many));
    assert!(message(create().resources_vpc_config(many.build())).await.contains("exceeds the maximum of 40"));
    for block in ["10.0.0.0/8", "2001:db8::/32", "x"] {
        let config = VpcConfigRequest::builder().set_subnet_ids(Some(base.private.clone())).public_access_cidrs(block);
        let message = message(create().resources_vpc_config(config.build())).await;
        assert_eq!(message, format!("The following CIDRs are not allowed in publicAccessCidrs: [{block}]"));
    }
    let plain = subnet(&base.ec2, &base.vpc, "10.1.99.0/24").await;
    let without = base.create("c1", IpFamily::Ipv6).resources_vpc_config(network(&[&base.private[1], &plain]));
    assert!(message(without).await.contains(&format!("Subnets [{plain}] must have an IPv6 CIDR block")));
    let half = create().compute_config(ComputeConfigRequest::builder().enabled(true).build());
    assert!(message(half).await.contains("are all either fully enabled or fully disabled"));
    assert_eq!(sandbox_clusters(&base), 0);
}

fn sandbox_clusters(base: &Base) -> usize {
    let status = base.sandbox.status();
    let counts = status.regions.iter().flat_map(|region| &region.counts);
    counts.filter(|count| count.resource_type == "eks-cluster").map(|count| count.count).sum()
}

#[tokio::test]
async fn auto_mode_has_no_node_groups_and_needs_its_policies() {
    let base = Base::new(instant()).await;
    let compute = ComputeConfigRequest::builder().enabled(true).node_pools("general-purpose").node_role_arn(&base.node);
    let balancing = ElasticLoadBalancing::builder().enabled(true).build();
    let network = KubernetesNetworkConfigRequest::builder().elastic_load_balancing(balancing).build();
    let storage = BlockStorage::builder().enabled(true).build();
    let create = || {
        base.create("auto", IpFamily::Ipv4)
            .compute_config(compute.clone().build())
            .kubernetes_network_config(network.clone())
            .storage_config(StorageConfigRequest::builder().block_storage(storage.clone()).build())
            .send()
    };
    let refused = create().await.unwrap_err();
    assert!(refused.message().unwrap().contains("AmazonEKSComputePolicy"), "{refused:?}");
    for policy in ["Compute", "BlockStorage", "LoadBalancing", "Networking"] {
        let arn = format!("arn:aws:iam::aws:policy/AmazonEKS{policy}Policy");
        base.iam.attach_role_policy().role_name("control-plane").policy_arn(arn).send().await.unwrap();
    }
    create().await.unwrap();
    let found = base.eks.describe_cluster().name("auto").send().await.unwrap().cluster.unwrap();
    assert_eq!(found.compute_config().unwrap().node_pools(), ["general-purpose"]);
    assert_eq!(found.storage_config().unwrap().block_storage().unwrap().enabled(), Some(true));
    base.eks.delete_cluster().name("auto").send().await.unwrap();
    assert_eq!(code(base.eks.describe_cluster().name("auto").send().await), "ResourceNotFoundException");
}

#[tokio::test]
async fn too_small_subnets_fail_a_cluster_with_a_health_issue() {
    let sandbox = realistic();
    sandbox
        .drive(async {
            let mut base = Base::new(sandbox.clone()).await;
            for (number, zone) in [(0, "us-west-2a"), (1, "us-west-2b")] {
                let block = format!("10.1.200.{}/28", number * 16);
                let call = base.ec2.create_subnet().vpc_id(&base.vpc).cidr_block(block).availability_zone(zone);
                base.private[number] = call.send().await.unwrap().subnet.unwrap().subnet_id.unwrap();
                base.sleep(15).await;
                for _ in 0..8 {
                    base.ec2.create_network_interface().subnet_id(&base.private[number]).send().await.unwrap();
                }
            }
            base.create("c1", IpFamily::Ipv4).send().await.unwrap();
            base.sleep(301).await;
            let found = base.eks.describe_cluster().name("c1").send().await.unwrap().cluster.unwrap();
            assert_eq!(found.status(), Some(&ClusterStatus::Failed));
            let issue = &found.health().unwrap().issues()[0];
            assert_eq!(issue.code().unwrap().as_str(), "InsufficientFreeAddresses");
            assert_eq!(issue.resource_ids(), base.private);
            base.eks.delete_cluster().name("c1").send().await.unwrap();
            base.sleep(230).await;
            assert_eq!(code(base.eks.describe_cluster().name("c1").send().await), "ResourceNotFoundException");
        })
        .await;
}

#[tokio::test]
async fn lists_have_pages_and_versions_are_offered() {
    let base = Base::new(instant()).await;
    for number in 0..5 {
        base.create(&format!("c{number}"), IpFamily::Ipv4).send().await.unwrap();
    }
    let mut pages = base.eks.list_clusters().max_results(2).into_paginator().send();
    let mut names = Vec::new();
    while let Some(page) = pages.next().await {
        names.push(page.unwrap().clusters.unwrap_or_default());
    }
    assert_eq!(names, [vec!["c0", "c1"], vec!["c2", "c3"], vec!["c4"]]);
    assert_eq!(code(base.eks.list_clusters().next_token("%").send().await), "InvalidParameterException");
    let versions = base.eks.describe_cluster_versions().send().await.unwrap().cluster_versions.unwrap();
    let default: Vec<&str> =
        versions.iter().filter(|one| one.default_version()).filter_map(|one| one.cluster_version()).collect();
    assert_eq!(default, ["1.35"]);
    assert!(versions.len() >= 4 && versions.iter().all(|one| one.version_status().is_some()));
    let one = base.eks.describe_cluster_versions().cluster_versions("1.34").send().await.unwrap();
    assert_eq!(one.cluster_versions()[0].kubernetes_patch_version(), Some("1.34.6"));
}

#[tokio::test]
async fn logs_are_left_behind_and_a_protected_cluster_stays() {
    let base = Base::new(instant()).await;
    let setup = LogSetup::builder().types(LogType::Api).enabled(true).build();
    let create = base.create("c1", IpFamily::Ipv6).logging(Logging::builder().cluster_logging(setup).build());
    create.deletion_protection(true).send().await.unwrap();
    let found = base.eks.describe_cluster().name("c1").send().await.unwrap().cluster.unwrap();
    assert!(found.endpoint().unwrap().ends_with(".eks-cluster.us-west-2.api.aws"));
    let network = found.kubernetes_network_config().unwrap();
    assert!(network.service_ipv6_cidr().unwrap().starts_with("fd") && network.service_ipv4_cidr().is_none());
    assert_eq!(found.resources_vpc_config().unwrap().public_access_cidrs(), ["0.0.0.0/0", "::/0"]);
    assert_eq!(code(base.eks.delete_cluster().name("c1").send().await), "InvalidRequestException");
    base.eks.update_cluster_config().name("c1").deletion_protection(false).send().await.unwrap();
    base.eks.delete_cluster().name("c1").send().await.unwrap();
    let status = base.sandbox.status();
    let left = status.regions.iter().flat_map(|region| &region.counts);
    assert_eq!(left.filter(|count| count.resource_type == "log-group").map(|count| count.count).sum::<usize>(), 1);
    assert_eq!(sandbox_clusters(&base), 0);
}
