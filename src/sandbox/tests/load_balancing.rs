//! Elastic Load Balancing through its SDK client, and what it does to the network.

use std::time::Duration;

use aws_sdk_elasticloadbalancingv2::types::{
    Action, ActionTypeEnum, IpAddressType, LoadBalancerSchemeEnum, LoadBalancerStateEnum, LoadBalancerTypeEnum,
    ProtocolEnum, Tag, TargetDescription, TargetGroupIpAddressTypeEnum, TargetHealthStateEnum, TargetTypeEnum,
};

use super::*;

type Elb = aws_sdk_elasticloadbalancingv2::Client;

fn elb(sandbox: &Sandbox) -> Elb {
    let config = sandbox.sdk_config().into_builder().region(aws_config::Region::from_static("us-west-2")).build();
    Elb::new(&config)
}

type Wanted =
    aws_sdk_elasticloadbalancingv2::operation::create_load_balancer::builders::CreateLoadBalancerFluentBuilder;

fn wanted(client: &Elb, name: &str, subnet: &str) -> Wanted {
    let tag = Tag::builder().key("elbv2.k8s.aws/cluster").value("cluster-1").build();
    client.create_load_balancer().name(name).r#type(LoadBalancerTypeEnum::Network).subnets(subnet).tags(tag)
}

async fn group(client: &Elb, name: &str, vpc: &str) -> String {
    let made = client.create_target_group().name(name).protocol(ProtocolEnum::Tcp).port(15443).vpc_id(vpc);
    let made = made.target_type(TargetTypeEnum::Ip).send().await.unwrap().target_groups.unwrap();
    made[0].target_group_arn().unwrap().to_owned()
}

fn forward(group: &str) -> Action {
    Action::builder().r#type(ActionTypeEnum::Forward).target_group_arn(group).build()
}

fn target(address: &str) -> TargetDescription {
    TargetDescription::builder().id(address).build()
}

async fn health(client: &Elb, group: &str) -> Vec<TargetHealthStateEnum> {
    let found = client.describe_target_health().target_group_arn(group).send().await.unwrap();
    found.target_health_descriptions().iter().map(|one| one.target_health().unwrap().state().unwrap().clone()).collect()
}

#[tokio::test]
async fn a_load_balancer_takes_minutes_and_leaves_its_interfaces_for_a_while() {
    let sandbox = realistic();
    let (network, client) = (ec2(&sandbox, "us-west-2"), elb(&sandbox));
    let sleep = |seconds| sandbox.clock().sleep(Duration::from_secs(seconds));
    sandbox
        .drive(async {
            let made = network.create_internet_gateway().send().await.unwrap();
            let gateway = made.internet_gateway.unwrap().internet_gateway_id.unwrap();
            let vpc = vpc(&network, "10.1.0.0/16").await;
            sleep(10).await;
            network.attach_internet_gateway().internet_gateway_id(&gateway).vpc_id(&vpc).send().await.unwrap();
            let subnet = subnet(&network, &vpc, "10.1.48.0/24").await;
            let made = network.create_security_group().vpc_id(&vpc).group_name("k8s-traffic").description("x");
            let security = made.send().await.unwrap().group_id.unwrap();
            sleep(10).await;
            let made = wanted(&client, "gateway", &subnet).security_groups(&security).send().await.unwrap();
            let balancer = made.load_balancers.unwrap().remove(0);
            let arn = balancer.load_balancer_arn().unwrap().to_owned();
            assert!(arn.starts_with("arn:aws:elasticloadbalancing:us-west-2:123456789012:loadbalancer/net/gateway/"));
            assert!(balancer.dns_name().unwrap().ends_with(".elb.us-west-2.amazonaws.com"));
            assert_eq!(balancer.state().unwrap().code(), Some(&LoadBalancerStateEnum::Provisioning));
            let targets = group(&client, "k8s-istio", &vpc).await;
            client.register_targets().target_group_arn(&targets).targets(target("10.1.48.77")).send().await.unwrap();
            assert_eq!(health(&client, &targets).await, [TargetHealthStateEnum::Unused]);
            let listener = client.create_listener().load_balancer_arn(&arn).protocol(ProtocolEnum::Tcp).port(15443);
            listener.default_actions(forward(&targets)).send().await.unwrap();
            sleep(179).await;
            assert_eq!(health(&client, &targets).await, [TargetHealthStateEnum::Initial]);
            let found = client.describe_load_balancers().names("gateway").send().await.unwrap().load_balancers.unwrap();
            assert_eq!(found[0].state().unwrap().code(), Some(&LoadBalancerStateEnum::Active));
            sleep(65).await;
            assert_eq!(health(&client, &targets).await, [TargetHealthStateEnum::Healthy]);

            let interfaces =
                || network.describe_network_interfaces().filters(filter("description", "ELB net/gateway/*")).send();
            let interface = interfaces().await.unwrap().network_interfaces.unwrap().remove(0);
            assert_eq!(interface.interface_type().unwrap().as_str(), "network_load_balancer");
            assert_eq!(interface.groups()[0].group_id(), Some(security.as_str()));
            assert_eq!(interface.association().unwrap().ip_owner_id(), Some("amazon-elb"));
            let id = interface.network_interface_id().unwrap();
            let refused = network.delete_network_interface().network_interface_id(id).send().await.unwrap_err();
            assert_eq!(refused.message(), Some(format!("Network interface '{id}' is currently in use.").as_str()));
            let attachment = interface.attachment().unwrap().attachment_id().unwrap();
            let refused = network.detach_network_interface().attachment_id(attachment).send().await;
            assert_eq!(code(refused), "OperationNotPermitted");
            let detach = || network.detach_internet_gateway().internet_gateway_id(&gateway).vpc_id(&vpc).send();
            let refused = detach().await.unwrap_err();
            assert!(refused.message().unwrap().contains("mapped public address"), "{refused:?}");

            client.delete_load_balancer().load_balancer_arn(&arn).send().await.unwrap();
            client.delete_load_balancer().load_balancer_arn(&arn).send().await.unwrap();
            assert_eq!(
                code(client.describe_load_balancers().load_balancer_arns(&arn).send().await),
                "LoadBalancerNotFound"
            );
            sleep(20).await;
            assert_eq!(code(network.delete_subnet().subnet_id(&subnet).send().await), "DependencyViolation");
            assert_eq!(code(network.delete_security_group().group_id(&security).send().await), "DependencyViolation");
            assert_eq!(code(detach().await), "DependencyViolation");
            sleep(75).await;
            assert!(interfaces().await.unwrap().network_interfaces().is_empty());
            network.delete_security_group().group_id(&security).send().await.unwrap();
            network.delete_subnet().subnet_id(&subnet).send().await.unwrap();
            detach().await.unwrap();
            // The target group is not the load balancer's.
            let left = client.describe_target_groups().send().await.unwrap().target_groups.unwrap();
            assert_eq!(left[0].target_group_arn(), Some(targets.as_str()));
            client.delete_target_group().target_group_arn(&targets).send().await.unwrap();
        })
        .await;
}

#[tokio::test]
async fn what_a_load_balancer_needs() {
    let sandbox = instant();
    let (network, client) = (ec2(&sandbox, "us-west-2"), elb(&sandbox));
    let base = base(&network).await;
    let dual = wanted(&client, "dual", &base.subnet).ip_address_type(IpAddressType::Dualstack).send().await;
    let dual = dual.unwrap_err();
    assert_eq!(dual.code(), Some("ValidationError"));
    assert_eq!(dual.message(), Some("You must specify subnets with an associated IPv6 CIDR block."));
    let found = network.describe_vpcs().vpc_ids(&base.vpc).send().await.unwrap().vpcs.unwrap();
    let block = found[0].ipv6_cidr_block_association_set()[0].ipv6_cidr_block().unwrap().replace("/56", "/64");
    network.associate_subnet_cidr_block().subnet_id(&base.subnet).ipv6_cidr_block(&block).send().await.unwrap();
    let make = || wanted(&client, "dual", &base.subnet).ip_address_type(IpAddressType::Dualstack).send();
    let arn = |made: aws_sdk_elasticloadbalancingv2::operation::create_load_balancer::CreateLoadBalancerOutput| {
        made.load_balancers.unwrap().remove(0).load_balancer_arn.unwrap()
    };
    let made = arn(make().await.unwrap());
    assert_eq!(arn(make().await.unwrap()), made, "the name makes the call idempotent");
    assert_eq!(code(wanted(&client, "dual", &base.subnet).send().await), "DuplicateLoadBalancerName");
    let interfaces = network.describe_network_interfaces().filters(filter("requester-id", "amazon-elb")).send();
    assert_eq!(interfaces.await.unwrap().network_interfaces()[0].ipv6_addresses().len(), 1);
    assert_eq!(code(wanted(&client, "a", "subnet-0123456789abcdef0").send().await), "SubnetNotFound");
    assert_eq!(code(wanted(&client, "a_b", &base.subnet).send().await), "ValidationError");
    let twice = wanted(&client, "a", &base.subnet).subnets(subnet(&network, &base.vpc, "10.1.49.0/24").await);
    assert_eq!(code(twice.send().await), "InvalidConfigurationRequest");
    let small = subnet(&network, &base.vpc, "10.1.50.0/28").await;
    wanted(&client, "a", &small).send().await.unwrap();
    for name in ["b", "c", "d"] {
        wanted(&client, name, &small).send().await.unwrap();
    }
    assert_eq!(code(wanted(&client, "e", &small).send().await), "InvalidSubnet");
    let group = wanted(&client, "e", &base.subnet).security_groups("sg-0123456789abcdef0").send().await;
    assert_eq!(code(group), "InvalidSecurityGroup");
    let inner = vpc(&network, "10.2.0.0/16").await;
    let inner = subnet(&network, &inner, "10.2.0.0/24").await;
    let refused = wanted(&client, "e", &inner).send().await.unwrap_err();
    assert!(refused.message().unwrap().ends_with("has no internet gateway"), "{refused:?}");
    wanted(&client, "e", &inner).scheme(LoadBalancerSchemeEnum::Internal).send().await.unwrap();
    let mut pages = client.describe_load_balancers().page_size(4).into_paginator().send();
    let mut sizes = Vec::new();
    while let Some(page) = pages.next().await {
        sizes.push(page.unwrap().load_balancers().len());
    }
    assert_eq!(sizes, [4, 2]);
    let tags = client.describe_tags().resource_arns(&made).send().await.unwrap().tag_descriptions.unwrap();
    assert_eq!(tags[0].tags()[0].key(), Some("elbv2.k8s.aws/cluster"));
    client.remove_tags().resource_arns(&made).tag_keys("elbv2.k8s.aws/cluster").send().await.unwrap();
    let ours = Tag::builder().key("a").value("b").build();
    client.add_tags().resource_arns(&made).tags(ours.clone()).send().await.unwrap();
    let tags = client.describe_tags().resource_arns(&made).send().await.unwrap().tag_descriptions.unwrap();
    assert_eq!(tags[0].tags(), [ours]);
    let all = network.describe_tags().send().await.unwrap();
    assert!(all.tags().iter().all(|tag| tag.key() != Some("a")), "they are not EC2's to show");
    let protection = aws_sdk_elasticloadbalancingv2::types::LoadBalancerAttribute::builder();
    let protection = protection.key("deletion_protection.enabled").value("true").build();
    let modify = client.modify_load_balancer_attributes().load_balancer_arn(&made).attributes(protection);
    modify.send().await.unwrap();
    let refused = client.delete_load_balancer().load_balancer_arn(&made).send().await;
    assert_eq!(code(refused), "OperationNotPermitted");
}

#[tokio::test]
async fn listeners_keep_target_groups() {
    let sandbox = instant();
    let (network, client) = (ec2(&sandbox, "us-west-2"), elb(&sandbox));
    let base = base(&network).await;
    let made = wanted(&client, "one", &base.subnet).send().await.unwrap().load_balancers.unwrap().remove(0);
    let one = made.load_balancer_arn.unwrap();
    let made = wanted(&client, "two", &base.subnet).send().await.unwrap().load_balancers.unwrap().remove(0);
    let two = made.load_balancer_arn.unwrap();
    let targets = group(&client, "targets", &base.vpc).await;
    let listen = |arn: &str, port: i32, group: &str| {
        let listener = client.create_listener().load_balancer_arn(arn).protocol(ProtocolEnum::Tcp).port(port);
        listener.default_actions(forward(group)).send()
    };
    let listener = listen(&one, 15443, &targets).await.unwrap().listeners.unwrap().remove(0).listener_arn.unwrap();
    assert_eq!(code(listen(&one, 15443, &targets).await), "DuplicateListener");
    assert_eq!(code(listen(&two, 15443, &targets).await), "TargetGroupAssociationLimit");
    let ipv6 = client.create_target_group().name("v6").protocol(ProtocolEnum::Tcp).port(443).vpc_id(&base.vpc);
    let ipv6 = ipv6.target_type(TargetTypeEnum::Ip).ip_address_type(TargetGroupIpAddressTypeEnum::Ipv6);
    let ipv6 = ipv6.send().await.unwrap().target_groups.unwrap().remove(0).target_group_arn.unwrap();
    assert_eq!(code(listen(&one, 443, &ipv6).await), "InvalidConfigurationRequest");
    let found = client.describe_listeners().load_balancer_arn(&one).send().await.unwrap().listeners.unwrap();
    assert_eq!(found[0].default_actions()[0].target_group_arn(), Some(targets.as_str()));
    let delete = || client.delete_target_group().target_group_arn(&targets).send();
    let refused = delete().await.unwrap_err();
    assert_eq!(refused.code(), Some("ResourceInUse"));
    let message = format!("Target group '{targets}' is currently in use by a listener or a rule");
    assert_eq!(refused.message(), Some(message.as_str()));

    let register = |address: &str| client.register_targets().target_group_arn(&targets).targets(target(address)).send();
    register("10.1.48.9").await.unwrap();
    assert_eq!(health(&client, &targets).await, [TargetHealthStateEnum::Healthy]);
    assert_eq!(code(register("192.0.2.1").await), "InvalidTarget");
    assert_eq!(code(register("2001:db8::1").await), "ValidationError");
    let asked = client.describe_target_health().target_group_arn(&targets).targets(target("10.1.48.8")).send().await;
    let asked = asked.unwrap().target_health_descriptions.unwrap().remove(0).target_health.unwrap();
    assert_eq!(asked.reason().unwrap().as_str(), "Target.NotRegistered");
    client.deregister_targets().target_group_arn(&targets).targets(target("10.1.48.9")).send().await.unwrap();
    assert!(health(&client, &targets).await.is_empty());

    client.delete_listener().listener_arn(&listener).send().await.unwrap();
    assert_eq!(code(client.delete_listener().listener_arn(&listener).send().await), "ListenerNotFound");
    delete().await.unwrap();
    let gone = client.describe_target_groups().target_group_arns(&targets).send().await;
    assert_eq!(code(gone), "TargetGroupNotFound");
    let wrong = client.describe_load_balancers().load_balancer_arns("arn:aws:x").send().await.unwrap_err();
    assert_eq!(wrong.message(), Some("'arn:aws:x' is not a valid load balancer ARN"));
}
