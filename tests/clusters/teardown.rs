//! Destroying clusters leaves nothing, whatever was left in them.

use std::time::Duration;

use aws_sdk_ec2::types::Filter;
use aws_sdk_elasticloadbalancingv2::config::Region;
use aws_sdk_elasticloadbalancingv2::types::{LoadBalancerTypeEnum, Tag};
use meshplan::model::Clock as _;
use meshplan::sandbox::{Options, Speed};

use crate::rig::{InSandbox, declarations, run, topology};

/// A load balancer as the AWS Load Balancer Controller leaves it when it goes before its Service.
async fn leave_load_balancer(process: &InSandbox, cluster: &str, network: &str) {
    let config = process.sandbox.sdk_config();
    let region = Region::new("us-west-2");
    let ec2 =
        aws_sdk_ec2::Client::from_conf(aws_sdk_ec2::config::Builder::from(&config).region(region.clone()).build());
    let elb = aws_sdk_elasticloadbalancingv2::Client::from_conf(
        aws_sdk_elasticloadbalancingv2::config::Builder::from(&config).region(region).build(),
    );
    let address = format!("aws.subnet/{network}/public-*");
    let filter = Filter::builder().name("tag:meshplan:address").values(address).build();
    let subnets = ec2.describe_subnets().filters(filter).send().await.unwrap();
    let ids: Vec<String> = subnets.subnets().iter().map(|subnet| subnet.subnet_id().unwrap().to_owned()).collect();
    assert_eq!(ids.len(), 3);
    let group = ec2
        .create_security_group()
        .group_name(format!("k8s-traffic-{cluster}"))
        .description("[k8s] Shared Backend SecurityGroup for LoadBalancer")
        .vpc_id(subnets.subnets()[0].vpc_id().unwrap())
        .tag_specifications(
            aws_sdk_ec2::types::TagSpecification::builder()
                .resource_type(aws_sdk_ec2::types::ResourceType::SecurityGroup)
                .tags(aws_sdk_ec2::types::Tag::builder().key("elbv2.k8s.aws/cluster").value(cluster).build())
                .tags(aws_sdk_ec2::types::Tag::builder().key("elbv2.k8s.aws/resource").value("backend-sg").build())
                .build(),
        )
        .send()
        .await
        .unwrap();
    let tag = |key: &str, value: &str| Tag::builder().key(key).value(value).build();
    elb.create_load_balancer()
        .name(format!("k8s-shop-{cluster}"))
        .r#type(LoadBalancerTypeEnum::Network)
        .set_subnets(Some(ids))
        .security_groups(group.group_id().unwrap())
        .tags(tag("elbv2.k8s.aws/cluster", cluster))
        .tags(tag("service.k8s.aws/stack", "shop/front"))
        .send()
        .await
        .unwrap();
    process.sandbox.clock().sleep(Duration::from_mins(4)).await;
}

#[test]
fn nothing_is_left_of_clusters_whose_load_balancers_and_interfaces_were_left_behind() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = InSandbox::start(folder.path(), Options { speed: Speed::Unlimited, ..Options::default() });
    process.apply(&declarations(&topology("two-network.toml")));
    let sandbox = process.sandbox.clone();
    run(sandbox.drive(async {
        leave_load_balancer(&process, "cluster-1", "network1").await;
        leave_load_balancer(&process, "cluster-2", "network2").await;
    }));
    let outcome = process.apply(&[]);
    println!("destroyed {} in {:.1} s", outcome.counts.deleted, outcome.seconds);
    assert_eq!(process.sandbox.status().total, 0, "{:#?}", process.sandbox.status());
}
