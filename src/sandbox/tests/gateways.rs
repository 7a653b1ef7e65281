//! Addresses, NAT gateways, egress-only gateways, route tables and routes.

use std::time::Duration;

use aws_sdk_ec2::types::{NatGatewayState, Route, RouteState};

use super::*;

async fn nat_state(client: &aws_sdk_ec2::Client, id: &str) -> NatGatewayState {
    let found = client.describe_nat_gateways().nat_gateway_ids(id).send().await.unwrap().nat_gateways.unwrap();
    found[0].state().unwrap().clone()
}

#[tokio::test]
async fn a_nat_gateway_takes_minutes_and_holds_what_it_needs() {
    let sandbox = realistic();
    let client = ec2(&sandbox, "us-west-2");
    let sleep = |seconds| sandbox.clock().sleep(Duration::from_secs(seconds));
    sandbox
        .drive(async {
            let vpc = vpc(&client, "10.1.0.0/16").await;
            let made = client.create_internet_gateway().send().await.unwrap();
            let gateway = made.internet_gateway.unwrap().internet_gateway_id.unwrap();
            let allocation = client.allocate_address().send().await.unwrap().allocation_id.unwrap();
            sleep(10).await;
            client.attach_internet_gateway().internet_gateway_id(&gateway).vpc_id(&vpc).send().await.unwrap();
            let subnet = subnet(&client, &vpc, "10.1.48.0/24").await;
            sleep(10).await;
            let base = Base { vpc, gateway, subnet, allocation };
            let id = nat(&client, &base).await;
            sleep(3).await;
            assert_eq!(nat_state(&client, &id).await, NatGatewayState::Pending);
            sleep(130).await;
            assert_eq!(nat_state(&client, &id).await, NatGatewayState::Available);

            let interfaces =
                client.describe_network_interfaces().filters(filter("vpc-id", &base.vpc)).send().await.unwrap();
            let interface = &interfaces.network_interfaces()[0];
            assert_eq!(interface.description(), Some(format!("Interface for NAT Gateway {id}").as_str()));
            assert_eq!(interface.association().unwrap().allocation_id(), Some(base.allocation.as_str()));

            assert_eq!(
                code(client.release_address().allocation_id(&base.allocation).send().await),
                "InvalidIPAddress.InUse"
            );
            assert_eq!(code(client.delete_subnet().subnet_id(&base.subnet).send().await), "DependencyViolation");
            let detach =
                || client.detach_internet_gateway().internet_gateway_id(&base.gateway).vpc_id(&base.vpc).send();
            let refused = detach().await.unwrap_err();
            assert!(refused.message().unwrap().contains("has some mapped public address(es)"));

            client.delete_nat_gateway().nat_gateway_id(&id).send().await.unwrap();
            assert_eq!(nat_state(&client, &id).await, NatGatewayState::Deleting);
            assert_eq!(code(detach().await), "DependencyViolation");
            sleep(100).await;
            assert_eq!(nat_state(&client, &id).await, NatGatewayState::Deleted);
            detach().await.unwrap();
            client.release_address().allocation_id(&base.allocation).send().await.unwrap();
            client.delete_subnet().subnet_id(&base.subnet).send().await.unwrap();
            client.delete_internet_gateway().internet_gateway_id(&base.gateway).send().await.unwrap();
            client.delete_vpc().vpc_id(&base.vpc).send().await.unwrap();
            assert_eq!(sandbox.status().total, 0);
            sleep(3700).await;
            assert_eq!(code(client.describe_nat_gateways().nat_gateway_ids(&id).send().await), "NatGatewayNotFound");
        })
        .await;
}

#[tokio::test]
async fn a_nat_gateway_without_a_way_out_fails_and_lets_go() {
    let sandbox = realistic();
    let client = ec2(&sandbox, "us-west-2");
    sandbox
        .drive(async {
            let vpc = vpc(&client, "10.1.0.0/16").await;
            let allocation = client.allocate_address().send().await.unwrap().allocation_id.unwrap();
            sandbox.clock().sleep(Duration::from_secs(5)).await;
            let subnet = subnet(&client, &vpc, "10.1.48.0/24").await;
            sandbox.clock().sleep(Duration::from_secs(5)).await;
            let made = client.create_nat_gateway().subnet_id(&subnet).allocation_id(&allocation).send().await.unwrap();
            let id = made.nat_gateway.unwrap().nat_gateway_id.unwrap();
            sandbox.clock().sleep(Duration::from_secs(30)).await;
            let found = client.describe_nat_gateways().nat_gateway_ids(&id).send().await.unwrap().nat_gateways.unwrap();
            assert_eq!(found[0].state(), Some(&NatGatewayState::Failed));
            assert_eq!(found[0].failure_code(), Some("Gateway.NotAttached"));
            client.release_address().allocation_id(&allocation).send().await.unwrap();
        })
        .await;
}

#[tokio::test]
async fn one_address_serves_one_gateway_and_tokens_replay() {
    let sandbox = instant();
    let client = ec2(&sandbox, "us-west-2");
    let base = base(&client).await;
    let create = |token: &str, subnet: &str| {
        let call = client.create_nat_gateway().subnet_id(subnet).allocation_id(&base.allocation);
        call.client_token(token).send()
    };
    let first = create("one", &base.subnet).await.unwrap().nat_gateway.unwrap().nat_gateway_id.unwrap();
    let again = create("one", &base.subnet).await.unwrap();
    assert_eq!(again.client_token(), Some("one"));
    assert_eq!(again.nat_gateway.unwrap().nat_gateway_id.unwrap(), first);
    let other = subnet(&client, &base.vpc, "10.1.49.0/24").await;
    assert_eq!(code(create("one", &other).await), "IdempotentParameterMismatch");
    assert_eq!(code(create("two", &base.subnet).await), "Resource.AlreadyAssociated");

    let table = |token: &str| client.create_route_table().vpc_id(&base.vpc).client_token(token).send();
    let (one, two) = (table("x").await.unwrap(), table("x").await.unwrap());
    assert_eq!(one.route_table.unwrap().route_table_id, two.route_table.unwrap().route_table_id);
    let egress =
        |token: &str| client.create_egress_only_internet_gateway().vpc_id(&base.vpc).client_token(token).send();
    let id =
        |made: aws_sdk_ec2::operation::create_egress_only_internet_gateway::CreateEgressOnlyInternetGatewayOutput| {
            made.egress_only_internet_gateway.unwrap().egress_only_internet_gateway_id.unwrap()
        };
    let made = id(egress("x").await.unwrap());
    assert_eq!(id(egress("x").await.unwrap()), made);
    assert_eq!(code(egress("y").await), "InvalidParameterValue");
    let delete = || client.delete_egress_only_internet_gateway().egress_only_internet_gateway_id(&made).send();
    assert_eq!(delete().await.unwrap().return_code(), Some(true));
    let describe = client.describe_egress_only_internet_gateways().egress_only_internet_gateway_ids(&made);
    assert!(describe.send().await.unwrap().egress_only_internet_gateways().is_empty());
    assert_eq!(code(delete().await), "InvalidGatewayID.NotFound");
    assert_ne!(id(egress("x").await.unwrap()), made, "the token of what is gone is free again");
}

async fn routes(client: &aws_sdk_ec2::Client, table: &str) -> Vec<Route> {
    let found = client.describe_route_tables().route_table_ids(table).send().await.unwrap();
    found.route_tables.unwrap().remove(0).routes.unwrap()
}

#[tokio::test]
async fn routes_have_targets_that_can_vanish() {
    let sandbox = instant();
    let client = ec2(&sandbox, "us-west-2");
    let base = base(&client).await;
    let nat = nat(&client, &base).await;
    let made = client.create_egress_only_internet_gateway().vpc_id(&base.vpc).send().await.unwrap();
    let egress = made.egress_only_internet_gateway.unwrap().egress_only_internet_gateway_id.unwrap();
    let made = client.create_route_table().vpc_id(&base.vpc).send().await.unwrap().route_table.unwrap();
    assert_eq!(made.routes().len(), 2, "a local route for each family");
    let table = made.route_table_id.unwrap();
    let v4 = |block: &str| client.create_route().route_table_id(&table).destination_cidr_block(block);
    let v6 = |block: &str| client.create_route().route_table_id(&table).destination_ipv6_cidr_block(block);
    v4("0.0.0.0/0").nat_gateway_id(&nat).send().await.unwrap();
    v6("::/0").egress_only_internet_gateway_id(&egress).send().await.unwrap();
    v6("64:ff9b::/96").nat_gateway_id(&nat).send().await.unwrap();
    assert_eq!(code(v4("0.0.0.0/0").gateway_id(&base.gateway).send().await), "RouteAlreadyExists");
    assert_eq!(code(v6("2001:db8::/32").nat_gateway_id(&nat).send().await), "InvalidParameterValue");
    assert_eq!(code(v4("10.9.0.0/16").egress_only_internet_gateway_id(&egress).send().await), "InvalidParameterValue");
    assert_eq!(code(v4("10.9.0.0/16").nat_gateway_id("nat-12345678").send().await), "InvalidNatGatewayID.NotFound");
    assert_eq!(code(v4("10.9.0.0/16").send().await), "MissingParameter");
    let local = v4("10.9.0.0/16").gateway_id("local").send().await.unwrap_err();
    assert_eq!(local.message(), Some("The gateway ID 'local' does not exist"));
    assert!(routes(&client, &table).await.iter().all(|route| route.state() == Some(&RouteState::Active)));

    client.delete_egress_only_internet_gateway().egress_only_internet_gateway_id(&egress).send().await.unwrap();
    client.delete_nat_gateway().nat_gateway_id(&nat).send().await.unwrap();
    let dead = routes(&client, &table).await.into_iter().filter(|route| route.state() == Some(&RouteState::Blackhole));
    assert_eq!(dead.count(), 3);
    let replace = |block: &str| client.replace_route().route_table_id(&table).destination_cidr_block(block);
    replace("0.0.0.0/0").gateway_id(&base.gateway).send().await.unwrap();
    assert_eq!(code(replace("10.9.0.0/16").gateway_id(&base.gateway).send().await), "InvalidParameterValue");
    let delete = |block: &str| client.delete_route().route_table_id(&table).destination_cidr_block(block).send();
    delete("0.0.0.0/0").await.unwrap();
    assert_eq!(code(delete("0.0.0.0/0").await), "InvalidRoute.NotFound");
    assert_eq!(code(delete("10.1.0.0/16").await), "InvalidParameterValue");
}

#[tokio::test]
async fn a_subnet_has_one_route_table() {
    let sandbox = instant();
    let client = ec2(&sandbox, "us-west-2");
    let base = base(&client).await;
    let table = || async {
        client.create_route_table().vpc_id(&base.vpc).send().await.unwrap().route_table.unwrap().route_table_id.unwrap()
    };
    let (one, two) = (table().await, table().await);
    let associate = |table: &str| client.associate_route_table().route_table_id(table).subnet_id(&base.subnet).send();
    let association = associate(&one).await.unwrap().association_id.unwrap();
    assert_eq!(code(associate(&one).await), "Resource.AlreadyAssociated");
    assert_eq!(code(associate(&two).await), "Resource.AlreadyAssociated");
    assert_eq!(code(client.delete_route_table().route_table_id(&one).send().await), "DependencyViolation");
    let replaced = client.replace_route_table_association().association_id(&association).route_table_id(&two).send();
    let association = replaced.await.unwrap().new_association_id.unwrap();
    client.delete_route_table().route_table_id(&one).send().await.unwrap();
    let by_subnet = filter("association.subnet-id", &base.subnet);
    let found = client.describe_route_tables().filters(by_subnet).send().await.unwrap().route_tables.unwrap();
    assert_eq!(found[0].route_table_id(), Some(two.as_str()));
    assert_eq!(found[0].associations()[0].route_table_association_id(), Some(association.as_str()));
    assert_eq!(code(client.delete_vpc().vpc_id(&base.vpc).send().await), "DependencyViolation");
    let main =
        client.describe_route_tables().filters(filter("vpc-id", &base.vpc)).filters(filter("association.main", "true"));
    let main = main.send().await.unwrap().route_tables.unwrap().remove(0);
    assert_eq!(
        code(client.delete_route_table().route_table_id(main.route_table_id().unwrap()).send().await),
        "DependencyViolation"
    );
    let main = main.associations()[0].route_table_association_id().unwrap();
    assert_eq!(code(client.disassociate_route_table().association_id(main).send().await), "InvalidParameterValue");
    client.disassociate_route_table().association_id(&association).send().await.unwrap();
    assert_eq!(
        code(client.disassociate_route_table().association_id(&association).send().await),
        "InvalidAssociationID.NotFound"
    );
    client.delete_route_table().route_table_id(&two).send().await.unwrap();
}

#[tokio::test]
async fn ipv6_blocks_come_and_go() {
    let sandbox = instant();
    let client = ec2(&sandbox, "us-west-2");
    let vpc = client.create_vpc().cidr_block("10.1.0.0/16").send().await.unwrap().vpc.unwrap().vpc_id.unwrap();
    let subnet = subnet(&client, &vpc, "10.1.0.0/20").await;
    let associate = client.associate_vpc_cidr_block().vpc_id(&vpc).amazon_provided_ipv6_cidr_block(true);
    let made = associate.send().await.unwrap().ipv6_cidr_block_association.unwrap();
    let block: ipnet::Ipv6Net = made.ipv6_cidr_block().unwrap().parse().unwrap();
    let first = block.subnets(64).unwrap().next().unwrap().to_string();
    let given = client.associate_subnet_cidr_block().subnet_id(&subnet).ipv6_cidr_block(&first).send().await.unwrap();
    let of_subnet = given.ipv6_cidr_block_association.unwrap().association_id.unwrap();
    let of_vpc = made.association_id.unwrap();
    assert_eq!(
        code(client.disassociate_vpc_cidr_block().association_id(&of_vpc).send().await),
        "InvalidCidrBlock.InUse"
    );
    client.disassociate_subnet_cidr_block().association_id(&of_subnet).send().await.unwrap();
    client.disassociate_vpc_cidr_block().association_id(&of_vpc).send().await.unwrap();
    let found = client.describe_vpcs().vpc_ids(&vpc).send().await.unwrap().vpcs.unwrap();
    let primary = found[0].cidr_block_association_set()[0].association_id().unwrap();
    assert_eq!(
        code(client.disassociate_vpc_cidr_block().association_id(primary).send().await),
        "OperationNotPermitted"
    );
    let state = found[0].ipv6_cidr_block_association_set()[0].ipv6_cidr_block_state().unwrap().state().unwrap();
    assert_eq!(state.as_str(), "disassociated");
}
