//! VPC peering connections, within a region and between two.

use std::time::Duration;

use aws_sdk_ec2::types::{IpPermission, PeeringConnectionOptionsRequest, UserIdGroupPair, VpcPeeringConnection};

use super::*;

async fn connect(client: &aws_sdk_ec2::Client, vpc: &str, peer: &str, region: &str) -> String {
    let made = client
        .create_vpc_peering_connection()
        .vpc_id(vpc)
        .peer_vpc_id(peer)
        .peer_region(region)
        .tag_specifications(tagged(ResourceType::VpcPeeringConnection, "team", "mesh"))
        .send()
        .await;
    made.unwrap().vpc_peering_connection.unwrap().vpc_peering_connection_id.unwrap()
}

async fn look(client: &aws_sdk_ec2::Client, id: &str) -> VpcPeeringConnection {
    let found = client.describe_vpc_peering_connections().vpc_peering_connection_ids(id).send().await.unwrap();
    found.vpc_peering_connections.unwrap().remove(0)
}

async fn state(client: &aws_sdk_ec2::Client, id: &str) -> String {
    look(client, id).await.status.unwrap().code.unwrap().as_str().to_owned()
}

fn dns() -> PeeringConnectionOptionsRequest {
    PeeringConnectionOptionsRequest::builder().allow_dns_resolution_from_remote_vpc(true).build()
}

#[tokio::test]
async fn a_connection_carries_routes_and_rules_once_it_is_accepted() {
    let sandbox = instant();
    let client = ec2(&sandbox, "us-west-2");
    let (one, two) = (vpc(&client, "10.1.0.0/16").await, vpc(&client, "10.2.0.0/16").await);
    let group = async |vpc: &str| {
        let made = client.create_security_group().vpc_id(vpc).group_name("g").description("a test").send().await;
        made.unwrap().group_id.unwrap()
    };
    let (here, there) = (group(&one).await, group(&two).await);
    let let_in = || {
        let pair = UserIdGroupPair::builder().group_id(&there).build();
        let permission = IpPermission::builder().ip_protocol("-1").user_id_group_pairs(pair).build();
        client.authorize_security_group_ingress().group_id(&here).ip_permissions(permission).send()
    };
    assert_eq!(code(let_in().await), "InvalidGroup.NotFound", "they belong to different networks");

    let id = connect(&client, &one, &two, "us-west-2").await;
    assert_eq!(state(&client, &id).await, "pending-acceptance");
    let again = client.create_vpc_peering_connection().vpc_id(&two).peer_vpc_id(&one).send().await;
    assert_eq!(code(again), "VpcPeeringConnectionAlreadyExists");
    let options = || {
        let request = client.modify_vpc_peering_connection_options().vpc_peering_connection_id(&id);
        request.requester_peering_connection_options(dns()).accepter_peering_connection_options(dns()).send()
    };
    assert_eq!(code(options().await), "OperationNotPermitted", "it is not active");
    let tables = client.describe_route_tables().filters(filter("vpc-id", &one)).send().await.unwrap();
    let table = tables.route_tables()[0].route_table_id().unwrap().to_owned();
    let route = client.create_route().route_table_id(&table).destination_cidr_block("10.2.0.0/16");
    route.vpc_peering_connection_id(&id).send().await.unwrap();
    let routed = async || {
        let by = filter("route.vpc-peering-connection-id", &id);
        let tables = client.describe_route_tables().filters(by).send().await.unwrap().route_tables.unwrap();
        let routes = tables[0].routes().iter().filter(|route| route.vpc_peering_connection_id() == Some(&id));
        routes.map(|route| route.state().unwrap().as_str().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(routed().await, ["blackhole"]);

    client.accept_vpc_peering_connection().vpc_peering_connection_id(&id).send().await.unwrap();
    assert_eq!(state(&client, &id).await, "active");
    let twice = client.accept_vpc_peering_connection().vpc_peering_connection_id(&id).send().await;
    assert_eq!(code(twice), "InvalidStateTransition");
    assert_eq!(routed().await, ["active"]);
    let_in().await.unwrap();
    assert_eq!(code(options().await), "InvalidVpcPeeringConnectionState.DnsHostnamesDisabled");
    for vpc in [&one, &two] {
        let value = aws_sdk_ec2::types::AttributeBooleanValue::builder().value(true).build();
        client.modify_vpc_attribute().vpc_id(vpc).enable_dns_hostnames(value).send().await.unwrap();
    }
    options().await.unwrap();
    let found = look(&client, &id).await;
    let side = found.accepter_vpc_info().unwrap();
    assert_eq!(side.peering_options().unwrap().allow_dns_resolution_from_remote_vpc(), Some(true));
    assert_eq!(side.ipv6_cidr_block_set().len(), 1);
    let tags = client.describe_tags().filters(filter("resource-id", &id)).send().await.unwrap();
    assert_eq!(tags.tags()[0].value(), Some("mesh"));

    let revoke = client.revoke_security_group_ingress().group_id(&here);
    let rules = client.describe_security_group_rules().filters(filter("group-id", &here)).send().await.unwrap();
    let rule = rules.security_group_rules().iter().find(|rule| rule.referenced_group_info().is_some()).unwrap();
    revoke.security_group_rule_ids(rule.security_group_rule_id().unwrap()).send().await.unwrap();
    for group in [&here, &there] {
        client.delete_security_group().group_id(group).send().await.unwrap();
    }
    assert_eq!(code(client.delete_vpc().vpc_id(&two).send().await), "DependencyViolation");
    client.delete_vpc_peering_connection().vpc_peering_connection_id(&id).send().await.unwrap();
    assert_eq!(routed().await, ["blackhole"]);
    assert_eq!(state(&client, &id).await, "deleted", "it is listed for a while");
    for vpc in [&one, &two] {
        client.delete_vpc().vpc_id(vpc).send().await.unwrap();
    }
    assert_eq!(sandbox.status().total, 0, "{:#?}", sandbox.status());
}

#[tokio::test]
async fn vpcs_that_overlap_or_do_not_exist_make_it_fail() {
    let sandbox = instant();
    let (near, far) = (ec2(&sandbox, "us-west-2"), ec2(&sandbox, "eu-west-1"));
    let one = vpc(&near, "10.1.0.0/16").await;
    let same = vpc(&far, "10.1.128.0/20").await;
    let id = connect(&near, &one, &same, "eu-west-1").await;
    let status = look(&near, &id).await.status.unwrap();
    assert_eq!(status.code.unwrap().as_str(), "failed");
    assert!(status.message.unwrap().contains("overlapping CIDR range"));
    // What failed is in nobody's way.
    let id = connect(&near, &one, "vpc-0123456789abcdef0", "eu-west-1").await;
    assert_eq!(state(&near, &id).await, "failed");
    near.delete_vpc().vpc_id(&one).send().await.unwrap();
    let unknown = near.create_vpc_peering_connection().vpc_id(&one).peer_vpc_id(&same).send().await;
    assert_eq!(code(unknown), "InvalidVpcID.NotFound");
}

#[tokio::test]
async fn between_regions_each_side_is_accepted_and_set_in_its_own() {
    let sandbox = realistic();
    let (near, far) = (ec2(&sandbox, "us-west-2"), ec2(&sandbox, "eu-west-1"));
    let other = ec2(&sandbox, "us-east-1");
    let (one, two) = (vpc(&near, "10.1.0.0/16").await, vpc(&far, "10.2.0.0/16").await);
    for (client, vpc) in [(&near, &one), (&far, &two)] {
        sandbox.clock().sleep(Duration::from_secs(5)).await;
        let value = aws_sdk_ec2::types::AttributeBooleanValue::builder().value(true).build();
        client.modify_vpc_attribute().vpc_id(vpc).enable_dns_hostnames(value).send().await.unwrap();
    }
    let id = connect(&near, &one, &two, "eu-west-1").await;
    sandbox.clock().sleep(Duration::from_secs(5)).await;
    let accept = |client: &aws_sdk_ec2::Client| client.accept_vpc_peering_connection().vpc_peering_connection_id(&id);
    assert_eq!(code(accept(&near).send().await), "OperationNotPermitted");
    assert_eq!(code(accept(&other).send().await), "InvalidVpcPeeringConnectionID.NotFound");
    accept(&far).send().await.unwrap();
    assert_eq!(state(&far, &id).await, "provisioning");
    sandbox.clock().sleep(Duration::from_secs(5)).await;
    assert_eq!((state(&near, &id).await.as_str(), state(&far, &id).await.as_str()), ("active", "active"));
    let options = |client: &aws_sdk_ec2::Client| {
        let request = client.modify_vpc_peering_connection_options().vpc_peering_connection_id(&id);
        request.accepter_peering_connection_options(dns())
    };
    assert_eq!(code(options(&near).send().await), "OperationNotPermitted");
    options(&far).send().await.unwrap();
    assert!(look(&near, &id).await.accepter_vpc_info().unwrap().peering_options().is_none(), "that is told over there");
    let allowed = look(&far, &id).await.accepter_vpc_info.unwrap().peering_options.unwrap();
    assert_eq!(allowed.allow_dns_resolution_from_remote_vpc(), Some(true));
    assert_eq!((look(&near, &id).await.tags().len(), look(&far, &id).await.tags().len()), (1, 0));
    far.delete_vpc_peering_connection().vpc_peering_connection_id(&id).send().await.unwrap();
    sandbox.clock().sleep(Duration::from_hours(3)).await;
    let gone = near.describe_vpc_peering_connections().vpc_peering_connection_ids(&id).send().await;
    assert_eq!(code(gone), "InvalidVpcPeeringConnectionID.NotFound");
}
