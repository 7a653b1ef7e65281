//! Node groups: what lets nodes join, what keeps them from it, and what they leave behind.

use aws_sdk_eks::types::{NodegroupIssueCode, UpdateLabelsPayload, UpdateStatus};

use super::*;

#[tokio::test]
async fn nodes_join_in_minutes_and_leave_an_interface_behind() {
    let sandbox = realistic();
    sandbox
        .drive(async {
            let base = Base::new(sandbox.clone()).await;
            base.cluster("c1", IpFamily::Ipv6).await;
            base.addons("c1").await;
            let started = sandbox.clock().now();
            let made = base.nodes("c1").client_request_token("mine").labels("a", "b").send().await.unwrap();
            assert_eq!(made.nodegroup.unwrap().status(), Some(&NodegroupStatus::Creating));
            base.nodes("c1").client_request_token("mine").labels("a", "b").send().await.unwrap();
            let taken = base.nodes("c1").send().await.unwrap_err();
            assert_eq!(taken.message(), Some("NodeGroup already exists with name nodes and cluster name c1"));
            while base.nodes_status("c1").await == NodegroupStatus::Creating {
                base.sleep(5).await;
            }
            let took = sandbox.clock().now().duration_since(started).as_secs();
            assert!((108..=226).contains(&took), "{took} s");
            let group = base.nodegroup("c1").await;
            assert_eq!(group.status(), Some(&NodegroupStatus::Active));
            assert_eq!((group.version(), group.disk_size()), (Some("1.35"), Some(20)));
            let entries = base.eks.list_access_entries().cluster_name("c1").send().await.unwrap();
            assert!(entries.access_entries().contains(&base.node), "EKS lets the nodes in by itself");

            let pods = || base.ec2.describe_network_interfaces().filters(filter("description", "aws-K8S-i-*")).send();
            let interfaces = pods().await.unwrap().network_interfaces.unwrap();
            assert_eq!(interfaces.len(), 2);
            let group_id = interfaces[0].groups()[0].group_id().unwrap().to_owned();
            let refused = base.eks.delete_cluster().name("c1").send().await.unwrap_err();
            assert_eq!(refused.message(), Some("Cluster has nodegroups attached"));

            let started = sandbox.clock().now();
            base.eks.delete_nodegroup().cluster_name("c1").nodegroup_name("nodes").send().await.unwrap();
            assert_eq!(base.nodes_status("c1").await, NodegroupStatus::Deleting);
            while base.eks.describe_nodegroup().cluster_name("c1").nodegroup_name("nodes").send().await.is_ok() {
                base.sleep(5).await;
            }
            let took = sandbox.clock().now().duration_since(started).as_secs();
            assert!((232..=280).contains(&took), "{took} s");
            let left = pods().await.unwrap().network_interfaces.unwrap();
            assert_eq!(left.len(), 1);
            assert_eq!(left[0].status().unwrap().as_str(), "available");
            let tags: Vec<&str> = left[0].tag_set().iter().filter_map(Tag::key).collect();
            assert!(tags.contains(&"cluster.k8s.amazonaws.com/name"), "{tags:?}");
            assert!(tags.contains(&"node.k8s.amazonaws.com/instance_id"), "{tags:?}");

            // The interface holds the security group, which therefore outlives the cluster.
            base.eks.delete_cluster().name("c1").send().await.unwrap();
            base.sleep(240).await;
            let delete = || base.ec2.delete_security_group().group_id(&group_id).send();
            assert_eq!(code(delete().await), "DependencyViolation");
            let id = left[0].network_interface_id().unwrap();
            base.ec2.delete_network_interface().network_interface_id(id).send().await.unwrap();
            delete().await.unwrap();
        })
        .await;
}

/// Makes a cluster and nodes with something in their way; the code and message of the health issue.
async fn failing(base: &Base, family: IpFamily) -> (NodegroupIssueCode, String) {
    base.nodes("c1").send().await.unwrap();
    let group = base.nodegroup("c1").await;
    assert_eq!(group.status(), Some(&NodegroupStatus::CreateFailed), "{family:?}");
    let issue = &group.health().unwrap().issues()[0];
    base.eks.delete_nodegroup().cluster_name("c1").nodegroup_name("nodes").send().await.unwrap();
    (issue.code().unwrap().clone(), issue.message().unwrap().to_owned())
}

#[tokio::test]
async fn everything_that_keeps_nodes_away_does() {
    let base = Base::new(instant()).await;
    let family = IpFamily::Ipv6;
    base.cluster("c1", family.clone()).await;
    let unhealthy = (NodegroupIssueCode::NodeCreationFailure, "Unhealthy nodes in the kubernetes cluster".to_owned());
    let apart = (NodegroupIssueCode::NodeCreationFailure, "Instances failed to join the kubernetes cluster".to_owned());
    assert_eq!(failing(&base, family.clone()).await, unhealthy, "no CNI");
    base.addon("c1", "vpc-cni", Some(("aws-node", &base.cni))).await;
    assert_eq!(failing(&base, family.clone()).await, unhealthy, "no agent gives the CNI its role");
    base.addon("c1", "eks-pod-identity-agent", None).await;
    let lacking = IPV6_CNI.replace(",\"ec2:DescribeSubnets\",\"ec2:DescribeSecurityGroups\"", "");
    let policy = |text: &str| {
        base.iam.put_role_policy().role_name("cni").policy_name("ipv6").policy_document(text.to_owned()).send()
    };
    base.iam.detach_role_policy().role_name("cni").policy_arn(CNI_POLICY).send().await.unwrap();
    policy(&lacking).await.unwrap();
    assert_eq!(failing(&base, family.clone()).await, unhealthy, "a policy from before 1.22.1");
    policy(IPV6_CNI).await.unwrap();

    base.iam.detach_role_policy().role_name("node").policy_arn(NODE_POLICIES[1]).send().await.unwrap();
    assert_eq!(failing(&base, family.clone()).await, apart, "no images");
    base.iam.attach_role_policy().role_name("node").policy_arn(NODE_POLICIES[1]).send().await.unwrap();

    let route =
        base.ec2.describe_route_tables().route_table_ids(&base.table).send().await.unwrap().route_tables.unwrap();
    let nat = route[0].routes().iter().find_map(|route| route.nat_gateway_id()).unwrap().to_owned();
    let delete = base.ec2.delete_route().route_table_id(&base.table).destination_cidr_block("0.0.0.0/0");
    delete.send().await.unwrap();
    assert_eq!(failing(&base, family.clone()).await, apart, "no way out");
    let create = base.ec2.create_route().route_table_id(&base.table).destination_cidr_block("0.0.0.0/0");
    create.nat_gateway_id(nat).send().await.unwrap();

    let assign = |value: bool| {
        let value = AttributeBooleanValue::builder().value(value).build();
        base.ec2.modify_subnet_attribute().subnet_id(&base.private[0]).assign_ipv6_address_on_creation(value).send()
    };
    assign(false).await.unwrap();
    let (issue, _) = failing(&base, family.clone()).await;
    assert_eq!(issue, NodegroupIssueCode::Ec2SubnetMissingIpv6Assignment);
    assign(true).await.unwrap();
    base.nodes("c1").send().await.unwrap();
    assert_eq!(base.nodes_status("c1").await, NodegroupStatus::Active);
}

#[tokio::test]
async fn nodes_that_wait_come_up_when_they_can_or_fail_after_25_minutes() {
    let sandbox = realistic();
    sandbox
        .drive(async {
            let base = Base::new(sandbox.clone()).await;
            base.cluster("c1", IpFamily::Ipv4).await;
            base.nodes("c1").send().await.unwrap();
            base.sleep(600).await;
            assert_eq!(base.nodes_status("c1").await, NodegroupStatus::Creating);
            base.addons("c1").await;
            base.sleep(5).await;
            assert_eq!(base.nodes_status("c1").await, NodegroupStatus::Active);

            base.cluster("c2", IpFamily::Ipv4).await;
            base.nodes("c2").send().await.unwrap();
            base.sleep(1495).await;
            assert_eq!(base.nodes_status("c2").await, NodegroupStatus::Creating);
            base.sleep(10).await;
            assert_eq!(base.nodes_status("c2").await, NodegroupStatus::CreateFailed);
        })
        .await;
}

#[tokio::test]
async fn node_groups_are_changed_in_place() {
    let base = Base::new(instant()).await;
    base.create("c1", IpFamily::Ipv4).version("1.34").send().await.unwrap();
    base.addons("c1").await;
    base.nodes("c1").labels("a", "1").labels("b", "2").send().await.unwrap();
    let config = || base.eks.update_nodegroup_config().cluster_name("c1").nodegroup_name("nodes");
    let labels = UpdateLabelsPayload::builder().add_or_update_labels("c", "3").remove_labels("a").build();
    let scaling = NodegroupScalingConfig::builder().min_size(1).max_size(9).build();
    let update = config().labels(labels).scaling_config(scaling).send().await.unwrap().update.unwrap();
    let state = base.eks.describe_update().name("c1").nodegroup_name("nodes").update_id(update.id().unwrap());
    assert_eq!(state.send().await.unwrap().update.unwrap().status(), Some(&UpdateStatus::Successful));
    let group = base.nodegroup("c1").await;
    let mut labels: Vec<&String> = group.labels().unwrap().keys().collect();
    labels.sort();
    assert_eq!(labels, ["b", "c"]);
    let scaling = group.scaling_config().unwrap();
    assert_eq!((scaling.min_size(), scaling.max_size(), scaling.desired_size()), (Some(1), Some(9), Some(2)));
    let wrong = NodegroupScalingConfig::builder().min_size(5).max_size(4).build();
    assert_eq!(code(config().scaling_config(wrong).send().await), "InvalidParameterException");

    base.eks.update_cluster_version().name("c1").version("1.35").send().await.unwrap();
    let upgrade = || base.eks.update_nodegroup_version().cluster_name("c1").nodegroup_name("nodes");
    assert_eq!(code(upgrade().version("1.36").send().await), "InvalidParameterException");
    upgrade().send().await.unwrap();
    let group = base.nodegroup("c1").await;
    assert_eq!(group.version(), Some("1.35"));
    assert!(group.release_version().unwrap().starts_with("1.35."));

    let refused = async |call: CreateNodegroupFluentBuilder| {
        let error = call.nodegroup_name("other").send().await.unwrap_err();
        error.message().unwrap().to_owned()
    };
    let arm = base.nodes("c1").set_instance_types(Some(vec!["m7g.large".to_owned()]));
    assert_eq!(
        refused(arm).await,
        "[m7g.large] is not a valid instance type for requested amiType AL2023_x86_64_STANDARD"
    );
    let untrusted = refused(base.nodes("c1").node_role(&base.control_plane)).await;
    assert!(untrusted.starts_with("Following required service principals [ec2.amazonaws.com] were not found"));
    assert!(refused(base.nodes("c1").subnets("subnet-12345678")).await.contains("does not exist"));
    assert!(refused(base.nodes("c1").version("1.33")).await.contains("should be equal to Cluster kubernetes version"));
}
