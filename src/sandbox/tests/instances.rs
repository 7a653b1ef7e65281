//! The nodes of a cluster as EC2 shows them: instances and their network interfaces, found the way people look for
//! them.

use aws_sdk_eks::types::{KubernetesNetworkConfigRequest, NodegroupScalingConfig, VpcConfigRequest};

use super::*;

fn filters(all: &[(&str, &str)]) -> Vec<Filter> {
    all.iter().map(|(name, value)| filter(name, value)).collect()
}

/// A cluster with two nodes in an instant sandbox: the VPC.
async fn cluster(sandbox: &Sandbox) -> String {
    let config = sandbox.sdk_config().into_builder().region(aws_config::Region::from_static("us-west-2")).build();
    let (network, iam) = (aws_sdk_ec2::Client::new(&config), aws_sdk_iam::Client::new(&config));
    let eks = aws_sdk_eks::Client::new(&config);
    let vpc = vpc(&network, "10.1.0.0/16").await;
    let mut subnets = Vec::new();
    for (block, zone) in [("10.1.0.0/20", "us-west-2a"), ("10.1.16.0/20", "us-west-2b")] {
        let made = network.create_subnet().vpc_id(&vpc).cidr_block(block).availability_zone(zone).send().await.unwrap();
        subnets.push(made.subnet.unwrap().subnet_id.unwrap());
    }
    let mut roles = Vec::new();
    for (service, policies) in [
        ("eks", &["AmazonEKSClusterPolicy"][..]),
        ("ec2", &["AmazonEKSWorkerNodePolicy", "AmazonEC2ContainerRegistryPullOnly", "AmazonEKS_CNI_Policy"]),
    ] {
        let trust = format!(
            r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Allow","Principal":{{"Service":"{service}.amazonaws.com"}},"Action":"sts:AssumeRole"}}}}"#
        );
        let made = iam.create_role().role_name(service).assume_role_policy_document(trust).send().await.unwrap();
        roles.push(made.role.unwrap().arn);
        for policy in policies {
            let arn = format!("arn:aws:iam::aws:policy/{policy}");
            iam.attach_role_policy().role_name(service).policy_arn(arn).send().await.unwrap();
        }
    }
    let within = VpcConfigRequest::builder().set_subnet_ids(Some(subnets.clone())).build();
    let family = KubernetesNetworkConfigRequest::builder().ip_family("ipv4".into()).build();
    let made = eks.create_cluster().name("c1").role_arn(&roles[0]).version("1.35").resources_vpc_config(within);
    made.kubernetes_network_config(family).send().await.unwrap();
    let scaling = NodegroupScalingConfig::builder().min_size(1).max_size(3).desired_size(2).build();
    let made = eks.create_nodegroup().cluster_name("c1").nodegroup_name("nodes").node_role(&roles[1]);
    let made = made.set_subnets(Some(subnets)).instance_types("m6i.large").scaling_config(scaling);
    made.send().await.unwrap();
    vpc
}

#[tokio::test]
async fn nodes_are_instances_with_interfaces() {
    let sandbox = instant();
    let client = ec2(&sandbox, "us-west-2");
    let vpc = cluster(&sandbox).await;
    let ask = |all: &[(&str, &str)]| client.describe_instances().set_filters(Some(filters(all))).send();
    let running = [("vpc-id", vpc.as_str()), ("instance-state-name", "running"), ("tag:eks:nodegroup-name", "nodes")];
    let found = ask(&running).await.unwrap().reservations.unwrap();
    assert_eq!(found.len(), 2);
    let instance = &found[0].instances()[0];
    assert_eq!(instance.instance_type().unwrap().as_str(), "m6i.large");
    assert!(instance.private_dns_name().unwrap().ends_with(".us-west-2.compute.internal"), "{instance:?}");
    let primary = instance.network_interfaces()[0].network_interface_id().unwrap();
    let id = instance.instance_id().unwrap();
    assert!(ask(&[("instance-type", "t3.*")]).await.unwrap().reservations().is_empty());
    assert!(ask(&[("instance-state-name", "terminated")]).await.unwrap().reservations().is_empty());

    let interfaces = |all: &[(&str, &str)]| client.describe_network_interfaces().set_filters(Some(filters(all))).send();
    let own = interfaces(&[("attachment.instance-id", id), ("network-interface-id", primary)]).await.unwrap();
    let attachment = own.network_interfaces()[0].attachment().unwrap();
    assert_eq!((attachment.device_index(), attachment.instance_id()), (Some(0), Some(id)));
    let detach = client.detach_network_interface().attachment_id(attachment.attachment_id().unwrap()).send().await;
    assert_eq!(code(detach), "OperationNotPermitted");
    let delete = client.delete_network_interface().network_interface_id(primary).send().await.unwrap_err();
    assert_eq!(delete.code(), Some("InvalidParameterValue"));
    let of_cluster = [("vpc-id", vpc.as_str()), ("status", "in-use"), ("tag-key", "cluster.k8s.amazonaws.com/*")];
    assert!(interfaces(&of_cluster).await.unwrap().network_interfaces().len() >= 2);
    let left = [("vpc-id", vpc.as_str()), ("status", "available")];
    assert!(interfaces(&left).await.unwrap().network_interfaces().is_empty());
    let tags = [("resource-type", "instance"), ("key", "eks:nodegroup-name")];
    assert_eq!(client.describe_tags().set_filters(Some(filters(&tags))).send().await.unwrap().tags().len(), 2);
}
