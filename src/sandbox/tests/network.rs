//! VPCs, subnets and internet gateways.

use aws_sdk_ec2::types::{AttributeBooleanValue, SubnetState, VpcState};

use super::*;

#[tokio::test]
async fn a_fresh_region_has_the_default_vpc() {
    let sandbox = instant();
    let client = ec2(&sandbox, "us-east-1");
    let vpcs = client.describe_vpcs().send().await.unwrap().vpcs.unwrap();
    assert_eq!(vpcs.len(), 1);
    assert_eq!((vpcs[0].cidr_block(), vpcs[0].is_default()), (Some("172.31.0.0/16"), Some(true)));
    let subnets =
        client.describe_subnets().filters(filter("default-for-az", "true")).send().await.unwrap().subnets.unwrap();
    assert_eq!(subnets.len(), 6);
    assert!(subnets.iter().any(|subnet| subnet.availability_zone_id() == Some("use1-az3")));
    let gateways = client.describe_internet_gateways().send().await.unwrap().internet_gateways.unwrap();
    assert_eq!(gateways[0].attachments()[0].vpc_id(), vpcs[0].vpc_id());
    assert_eq!(sandbox.status().total, 0);
    assert_eq!(sandbox.status().regions[0].native, 14);
}

#[tokio::test]
async fn a_vpc_and_its_subnets_from_pending_to_gone() {
    let sandbox = realistic();
    let client = ec2(&sandbox, "us-west-2");
    sandbox
        .drive(async {
            let made = client
                .create_vpc()
                .cidr_block("10.1.0.0/16")
                .amazon_provided_ipv6_cidr_block(true)
                .tag_specifications(tagged(ResourceType::Vpc, "Name", "one <&> two"))
                .send()
                .await
                .unwrap();
            let vpc = made.vpc.unwrap();
            assert_eq!(vpc.state(), Some(&VpcState::Pending));
            let id = vpc.vpc_id().unwrap().to_owned();
            assert!(id.starts_with("vpc-0") && id.len() == 21);
            sandbox.clock().sleep(std::time::Duration::from_secs(10)).await;
            let found = client.describe_vpcs().filters(filter("tag:Name", "one*")).send().await.unwrap().vpcs.unwrap();
            assert_eq!(found.len(), 1);
            assert_eq!(found[0].state(), Some(&VpcState::Available));
            assert_eq!(found[0].tags()[0].value(), Some("one <&> two"));
            let association = &found[0].ipv6_cidr_block_association_set()[0];
            assert_eq!(association.ipv6_cidr_block_state().unwrap().state().unwrap().as_str(), "associated");
            let block: ipnet::Ipv6Net = association.ipv6_cidr_block().unwrap().parse().unwrap();
            assert_eq!(block.prefix_len(), 56);
            let third = block.subnets(64).unwrap().nth(3).unwrap();
            let subnet = client
                .create_subnet()
                .vpc_id(&id)
                .cidr_block("10.1.16.0/20")
                .ipv6_cidr_block(third.to_string())
                .availability_zone("us-west-2b")
                .send()
                .await
                .unwrap()
                .subnet
                .unwrap();
            assert_eq!(subnet.state(), Some(&SubnetState::Pending));
            assert_eq!(subnet.available_ip_address_count(), Some(4091));
            assert_eq!(subnet.availability_zone_id(), Some("usw2-az2"));
            let subnet = subnet.subnet_id().unwrap().to_owned();
            sandbox.clock().sleep(std::time::Duration::from_secs(5)).await;
            let yes = AttributeBooleanValue::builder().value(true).build();
            client
                .modify_subnet_attribute()
                .subnet_id(&subnet)
                .assign_ipv6_address_on_creation(yes)
                .send()
                .await
                .unwrap();
            let found = client.describe_subnets().subnet_ids(&subnet).send().await.unwrap().subnets.unwrap();
            assert_eq!(found[0].state(), Some(&SubnetState::Available));
            assert_eq!(found[0].assign_ipv6_address_on_creation(), Some(true));
            assert_eq!(
                found[0].ipv6_cidr_block_association_set()[0].ipv6_cidr_block(),
                Some(third.to_string().as_str())
            );
            assert_eq!(code(client.delete_vpc().vpc_id(&id).send().await), "DependencyViolation");
            client.delete_subnet().subnet_id(&subnet).send().await.unwrap();
            client.delete_vpc().vpc_id(&id).send().await.unwrap();
            assert_eq!(code(client.delete_vpc().vpc_id(&id).send().await), "InvalidVpcID.NotFound");
        })
        .await;
    assert_eq!(sandbox.status().total, 0);
}

#[tokio::test]
async fn ranges_are_checked_in_both_families() {
    let sandbox = instant();
    let client = ec2(&sandbox, "us-west-2");
    for (block, expected) in
        [("10.0.0.0/15", "InvalidVpc.Range"), ("10.0.0.0/29", "InvalidVpc.Range"), ("10.0.0", "InvalidParameterValue")]
    {
        assert_eq!(code(client.create_vpc().cidr_block(block).send().await), expected);
    }
    let one = vpc(&client, "10.1.0.0/16").await;
    let other = vpc(&client, "10.1.0.0/16").await;
    subnet(&client, &one, "10.1.0.0/20").await;
    let create = |block: &str| client.create_subnet().vpc_id(&one).cidr_block(block);
    for (block, expected) in [
        ("10.1.8.0/24", "InvalidSubnet.Conflict"),
        ("10.1.0.0/19", "InvalidSubnet.Conflict"),
        ("10.2.0.0/20", "InvalidSubnet.Range"),
        ("10.1.0.0/29", "InvalidSubnet.Range"),
    ] {
        assert_eq!(code(create(block).send().await), expected, "{block}");
    }
    let vpcs = client.describe_vpcs().vpc_ids(&one).vpc_ids(&other).send().await.unwrap().vpcs.unwrap();
    let block = |id: &str| -> ipnet::Ipv6Net {
        let vpc = vpcs.iter().find(|vpc| vpc.vpc_id() == Some(id)).unwrap();
        vpc.ipv6_cidr_block_association_set()[0].ipv6_cidr_block().unwrap().parse().unwrap()
    };
    let (ours, foreign) = (block(&one), block(&other));
    assert_ne!(ours, foreign);
    let first = |block: ipnet::Ipv6Net| block.subnets(64).unwrap().next().unwrap().to_string();
    assert_eq!(code(create("10.1.16.0/20").ipv6_cidr_block(first(foreign)).send().await), "InvalidSubnet.Range");
    create("10.1.16.0/20").ipv6_cidr_block(first(ours)).send().await.unwrap();
    assert_eq!(code(create("10.1.32.0/20").ipv6_cidr_block(first(ours)).send().await), "InvalidSubnet.Conflict");
    assert_eq!(code(create("10.1.32.0/20").availability_zone("us-west-2z").send().await), "InvalidParameterValue");
    let two = client.modify_vpc_attribute().vpc_id(&one);
    let yes = AttributeBooleanValue::builder().value(true).build();
    let two = two.enable_dns_hostnames(yes.clone()).enable_dns_support(yes).send().await;
    assert_eq!(code(two), "InvalidParameterCombination");
}

#[tokio::test]
async fn an_internet_gateway_is_attached_once() {
    let sandbox = instant();
    let client = ec2(&sandbox, "eu-west-1");
    let (one, other) = (vpc(&client, "10.1.0.0/16").await, vpc(&client, "10.2.0.0/16").await);
    let gateway = |made: aws_sdk_ec2::operation::create_internet_gateway::CreateInternetGatewayOutput| {
        made.internet_gateway.unwrap().internet_gateway_id.unwrap()
    };
    let first = gateway(client.create_internet_gateway().send().await.unwrap());
    let second = gateway(client.create_internet_gateway().send().await.unwrap());
    let attach =
        |gateway: &str, vpc: &str| client.attach_internet_gateway().internet_gateway_id(gateway).vpc_id(vpc).send();
    attach(&first, &one).await.unwrap();
    assert_eq!(code(attach(&first, &one).await), "Resource.AlreadyAssociated");
    assert_eq!(code(attach(&first, &other).await), "Resource.AlreadyAssociated");
    assert_eq!(code(attach(&second, &one).await), "InvalidParameterValue");
    assert_eq!(code(attach("igw-1", &one).await), "InvalidInternetGatewayId.Malformed");
    assert_eq!(code(attach("igw-12345678", &one).await), "InvalidInternetGatewayID.NotFound");
    assert_eq!(code(client.delete_internet_gateway().internet_gateway_id(&first).send().await), "DependencyViolation");
    let detach = |vpc: &str| client.detach_internet_gateway().internet_gateway_id(&first).vpc_id(vpc).send();
    assert_eq!(code(detach(&other).await), "Gateway.NotAttached");
    detach(&one).await.unwrap();
    client.delete_internet_gateway().internet_gateway_id(&first).send().await.unwrap();
}
