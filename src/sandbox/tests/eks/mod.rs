//! EKS as an unmodified AWS SDK client sees it.

mod access;
mod addons;
mod clusters;
mod controllers;
mod nodes;
mod updates;

use std::time::Duration;

use aws_sdk_ec2::types::{AttributeBooleanValue, NatGatewayState};
use aws_sdk_eks::operation::create_cluster::builders::CreateClusterFluentBuilder;
use aws_sdk_eks::operation::create_nodegroup::builders::CreateNodegroupFluentBuilder;
use aws_sdk_eks::types::{
    AddonPodIdentityAssociations, AuthenticationMode, ClusterStatus, CreateAccessConfigRequest, IpFamily,
    KubernetesNetworkConfigRequest, NodegroupScalingConfig, NodegroupStatus, VpcConfigRequest,
};

use super::*;

/// What the control plane's role, a node's role and the CNI's role need.
const CLUSTER_POLICY: &str = "arn:aws:iam::aws:policy/AmazonEKSClusterPolicy";
const NODE_POLICIES: [&str; 2] =
    ["arn:aws:iam::aws:policy/AmazonEKSWorkerNodePolicy", "arn:aws:iam::aws:policy/AmazonEC2ContainerRegistryPullOnly"];
const CNI_POLICY: &str = "arn:aws:iam::aws:policy/AmazonEKS_CNI_Policy";
const IPV6_CNI: &str = r#"{"Version":"2012-10-17","Statement":[
    {"Effect":"Allow","Action":["ec2:AssignIpv6Addresses","ec2:DescribeInstances","ec2:DescribeTags",
      "ec2:DescribeNetworkInterfaces","ec2:DescribeInstanceTypes","ec2:DescribeSubnets","ec2:DescribeSecurityGroups"],"Resource":"*"},
    {"Effect":"Allow","Action":"ec2:CreateTags","Resource":"arn:aws:ec2:*:*:network-interface/*"}]}"#;

fn client_config(sandbox: &Sandbox) -> aws_config::SdkConfig {
    sandbox.sdk_config().into_builder().region(aws_config::Region::from_static("us-west-2")).build()
}

/// A network and roles in which clusters work.
struct Base {
    sandbox: Sandbox,
    ec2: aws_sdk_ec2::Client,
    eks: aws_sdk_eks::Client,
    iam: aws_sdk_iam::Client,
    vpc: String,
    private: Vec<String>,
    table: String,
    control_plane: String,
    node: String,
    cni: String,
}

async fn role(sandbox: &Sandbox, name: &str, service: &str, policies: &[&str]) -> String {
    let iam = aws_sdk_iam::Client::new(&client_config(sandbox));
    let trust = format!(
        r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Principal":{{"Service":"{service}"}},"Action":["sts:AssumeRole","sts:TagSession"]}}]}}"#
    );
    let made = iam.create_role().role_name(name).assume_role_policy_document(trust).send().await.unwrap();
    while iam.get_role().role_name(name).send().await.is_err() {
        sandbox.clock().sleep(Duration::from_millis(200)).await;
    }
    for policy in policies {
        iam.attach_role_policy().role_name(name).policy_arn(*policy).send().await.unwrap();
    }
    made.role.unwrap().arn
}

impl Base {
    async fn new(sandbox: Sandbox) -> Self {
        let config = client_config(&sandbox);
        let iam = aws_sdk_iam::Client::new(&config);
        let control_plane = role(&sandbox, "control-plane", "eks.amazonaws.com", &[CLUSTER_POLICY]).await;
        let node = role(&sandbox, "node", "ec2.amazonaws.com", &NODE_POLICIES).await;
        let cni = role(&sandbox, "cni", "pods.eks.amazonaws.com", &[CNI_POLICY]).await;
        iam.put_role_policy().role_name("cni").policy_name("ipv6").policy_document(IPV6_CNI).send().await.unwrap();
        let ec2 = aws_sdk_ec2::Client::new(&config);
        let clock = sandbox.clock().clone();
        // Long enough for anything to be seen.
        let settle = || clock.sleep(Duration::from_secs(15));
        let vpc = vpc(&ec2, "10.1.0.0/16").await;
        settle().await;
        for attribute in ["support", "hostnames"] {
            let on = AttributeBooleanValue::builder().value(true).build();
            let call = ec2.modify_vpc_attribute().vpc_id(&vpc);
            let call = if attribute == "support" { call.enable_dns_support(on) } else { call.enable_dns_hostnames(on) };
            call.send().await.unwrap();
        }
        let found = ec2.describe_vpcs().vpc_ids(&vpc).send().await.unwrap().vpcs.unwrap();
        let block = found[0].ipv6_cidr_block_association_set()[0].ipv6_cidr_block().unwrap().to_owned();
        let block: ipnet::Ipv6Net = block.parse().unwrap();
        let mut blocks = block.subnets(64).unwrap();
        let mut subnets = Vec::new();
        for (third, zone) in [(0, "us-west-2a"), (16, "us-west-2b"), (48, "us-west-2a")] {
            let call =
                ec2.create_subnet().vpc_id(&vpc).cidr_block(format!("10.1.{third}.0/24")).availability_zone(zone);
            let made = call.ipv6_cidr_block(blocks.next().unwrap().to_string()).send().await.unwrap();
            subnets.push(made.subnet.unwrap().subnet_id.unwrap());
        }
        settle().await;
        for subnet in &subnets {
            let on = AttributeBooleanValue::builder().value(true).build();
            ec2.modify_subnet_attribute().subnet_id(subnet).assign_ipv6_address_on_creation(on).send().await.unwrap();
        }
        let public = subnets.pop().unwrap();
        let made = ec2.create_internet_gateway().send().await.unwrap();
        let gateway = made.internet_gateway.unwrap().internet_gateway_id.unwrap();
        let allocation = ec2.allocate_address().send().await.unwrap().allocation_id.unwrap();
        let table =
            ec2.create_route_table().vpc_id(&vpc).send().await.unwrap().route_table.unwrap().route_table_id.unwrap();
        settle().await;
        ec2.attach_internet_gateway().internet_gateway_id(&gateway).vpc_id(&vpc).send().await.unwrap();
        let made = ec2.create_nat_gateway().subnet_id(&public).allocation_id(&allocation).send().await.unwrap();
        let nat = made.nat_gateway.unwrap().nat_gateway_id.unwrap();
        for subnet in &subnets {
            ec2.associate_route_table().route_table_id(&table).subnet_id(subnet).send().await.unwrap();
        }
        loop {
            settle().await;
            let found = ec2.describe_nat_gateways().nat_gateway_ids(&nat).send().await.unwrap().nat_gateways.unwrap();
            if found[0].state() == Some(&NatGatewayState::Available) {
                break;
            }
        }
        let route = ec2.create_route().route_table_id(&table).destination_cidr_block("0.0.0.0/0");
        route.nat_gateway_id(&nat).send().await.unwrap();
        let eks = aws_sdk_eks::Client::new(&config);
        Self { sandbox, ec2, eks, iam, vpc, private: subnets, table, control_plane, node, cni }
    }

    async fn sleep(&self, seconds: u64) {
        self.sandbox.clock().sleep(Duration::from_secs(seconds)).await;
    }

    fn network(&self) -> VpcConfigRequest {
        VpcConfigRequest::builder().set_subnet_ids(Some(self.private.clone())).endpoint_private_access(true).build()
    }

    fn create(&self, name: &str, family: IpFamily) -> CreateClusterFluentBuilder {
        self.eks
            .create_cluster()
            .name(name)
            .role_arn(&self.control_plane)
            .version("1.35")
            .resources_vpc_config(self.network())
            .kubernetes_network_config(KubernetesNetworkConfigRequest::builder().ip_family(family).build())
            .access_config(CreateAccessConfigRequest::builder().authentication_mode(AuthenticationMode::Api).build())
            .bootstrap_self_managed_addons(false)
    }

    /// A cluster that is active.
    async fn cluster(&self, name: &str, family: IpFamily) {
        self.create(name, family).send().await.unwrap();
        while self.status(name).await != ClusterStatus::Active {
            self.sleep(20).await;
        }
    }

    async fn status(&self, name: &str) -> ClusterStatus {
        let found = self.eks.describe_cluster().name(name).send().await.unwrap();
        found.cluster.unwrap().status.unwrap()
    }

    async fn addon(&self, cluster: &str, name: &str, service_account: Option<(&str, &str)>) {
        let identity = service_account.map(|(account, role)| {
            AddonPodIdentityAssociations::builder().service_account(account).role_arn(role).build().unwrap()
        });
        let call = self.eks.create_addon().cluster_name(cluster).addon_name(name);
        call.set_pod_identity_associations(identity.map(|one| vec![one])).send().await.unwrap();
    }

    /// What nodes need of a cluster.
    async fn addons(&self, cluster: &str) {
        self.addon(cluster, "eks-pod-identity-agent", None).await;
        self.addon(cluster, "vpc-cni", Some(("aws-node", &self.cni))).await;
    }

    fn nodes(&self, cluster: &str) -> CreateNodegroupFluentBuilder {
        let scaling = NodegroupScalingConfig::builder().min_size(2).max_size(4).desired_size(2).build();
        self.eks
            .create_nodegroup()
            .cluster_name(cluster)
            .nodegroup_name("nodes")
            .node_role(&self.node)
            .set_subnets(Some(self.private.clone()))
            .instance_types("m6i.large")
            .scaling_config(scaling)
    }

    async fn nodegroup(&self, cluster: &str) -> aws_sdk_eks::types::Nodegroup {
        let found = self.eks.describe_nodegroup().cluster_name(cluster).nodegroup_name("nodes").send().await;
        found.unwrap().nodegroup.unwrap()
    }

    async fn nodes_status(&self, cluster: &str) -> NodegroupStatus {
        self.nodegroup(cluster).await.status.unwrap()
    }
}
