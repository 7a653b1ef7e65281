//! Two whole networks, made and unmade at once as an engine does it: in parallel, patient with what lags.

use std::time::Duration;

use aws_sdk_ec2::Client;
use futures_util::future::{join, join_all};

use super::*;

/// Calls until the answer is no longer that something does not exist yet, or still hangs on something.
async fn patiently<T, E, R, F>(sandbox: &Sandbox, mut call: impl FnMut() -> F) -> T
where
    T: std::fmt::Debug,
    E: ProvideErrorMetadata + std::fmt::Debug,
    R: std::fmt::Debug,
    F: Future<Output = Result<T, SdkError<E, R>>>,
{
    for _ in 0..400 {
        match call().await {
            Ok(answer) => return answer,
            Err(error) => {
                let code = error.code().unwrap_or("connection").to_owned();
                let passes =
                    code.contains("NotFound") || code == "DependencyViolation" || code == "InvalidIPAddress.InUse";
                assert!(passes, "{error:?}");
            }
        }
        sandbox.clock().sleep(Duration::from_millis(500)).await;
    }
    panic!("it never came to pass");
}

struct Network {
    vpc: String,
    gateway: String,
    egress: String,
    subnets: Vec<String>,
    allocation: String,
    nat: String,
    tables: Vec<String>,
}

async fn wait_nat(sandbox: &Sandbox, client: &Client, id: &str, state: &str) {
    loop {
        let found = patiently(sandbox, || client.describe_nat_gateways().nat_gateway_ids(id).send()).await;
        if found.nat_gateways()[0].state().is_some_and(|known| known.as_str() == state) {
            return;
        }
        sandbox.clock().sleep(Duration::from_secs(5)).await;
    }
}

async fn make(sandbox: &Sandbox, client: &Client, second: u8) -> Network {
    let (vpc, made, allocated) = {
        let others = join(client.create_internet_gateway().send(), client.allocate_address().send());
        let (vpc, (made, allocated)) =
            join(Box::pin(vpc(client, &format!("10.{second}.0.0/16"))), Box::pin(others)).await;
        (vpc, made.unwrap(), allocated.unwrap())
    };
    let gateway = made.internet_gateway.unwrap().internet_gateway_id.unwrap();
    let allocation = allocated.allocation_id.unwrap();
    patiently(sandbox, || client.attach_internet_gateway().internet_gateway_id(&gateway).vpc_id(&vpc).send()).await;
    let egress = patiently(sandbox, || client.create_egress_only_internet_gateway().vpc_id(&vpc).send()).await;
    let egress = egress.egress_only_internet_gateway.unwrap().egress_only_internet_gateway_id.unwrap();
    let subnets = join_all((0..6).map(async |third: u8| {
        let block = format!("10.{second}.{}.0/20", third * 16);
        let made = patiently(sandbox, || client.create_subnet().vpc_id(&vpc).cidr_block(&block).send()).await;
        made.subnet.unwrap().subnet_id.unwrap()
    }))
    .await;
    let made = patiently(sandbox, || {
        client
            .create_nat_gateway()
            .subnet_id(&subnets[0])
            .allocation_id(&allocation)
            .client_token(format!("nat-{second}"))
            .send()
    });
    let nat = made.await.nat_gateway.unwrap().nat_gateway_id.unwrap();
    wait_nat(sandbox, client, &nat, "available").await;
    let tables = join_all((0..2).map(async |number: usize| {
        let made = patiently(sandbox, || client.create_route_table().vpc_id(&vpc).send()).await;
        let table = made.route_table.unwrap().route_table_id.unwrap();
        let (v4, v6) = (
            || client.create_route().route_table_id(&table).destination_cidr_block("0.0.0.0/0"),
            || client.create_route().route_table_id(&table).destination_ipv6_cidr_block("::/0"),
        );
        if number == 0 {
            patiently(sandbox, || v4().gateway_id(&gateway).send()).await;
            patiently(sandbox, || v6().gateway_id(&gateway).send()).await;
        } else {
            patiently(sandbox, || v4().nat_gateway_id(&nat).send()).await;
            patiently(sandbox, || v6().egress_only_internet_gateway_id(&egress).send()).await;
        }
        for subnet in subnets.iter().skip(number * 3).take(3) {
            patiently(sandbox, || client.associate_route_table().route_table_id(&table).subnet_id(subnet).send()).await;
        }
        table
    }))
    .await;
    Network { vpc, gateway, egress, subnets, allocation, nat, tables }
}

async fn unmake(sandbox: &Sandbox, client: &Client, network: Network) {
    client.delete_nat_gateway().nat_gateway_id(&network.nat).send().await.unwrap();
    wait_nat(sandbox, client, &network.nat, "deleted").await;
    patiently(sandbox, || client.release_address().allocation_id(&network.allocation).send()).await;
    join_all(network.subnets.iter().map(|id| patiently(sandbox, move || client.delete_subnet().subnet_id(id).send())))
        .await;
    for id in &network.tables {
        patiently(sandbox, || client.delete_route_table().route_table_id(id).send()).await;
    }
    let detach = || client.detach_internet_gateway().internet_gateway_id(&network.gateway).vpc_id(&network.vpc).send();
    patiently(sandbox, detach).await;
    client.delete_internet_gateway().internet_gateway_id(&network.gateway).send().await.unwrap();
    client.delete_egress_only_internet_gateway().egress_only_internet_gateway_id(&network.egress).send().await.unwrap();
    patiently(sandbox, || client.delete_vpc().vpc_id(&network.vpc).send()).await;
}

#[tokio::test]
async fn two_networks_come_and_go() {
    let sandbox = realistic();
    let client = ec2(&sandbox, "us-west-2");
    let start = sandbox.clock().now();
    let since = || sandbox.clock().now().duration_since(start).as_secs();
    let (one, two) = sandbox.drive(join(make(&sandbox, &client, 1), make(&sandbox, &client, 2))).await;
    let made = since();
    assert!((88..150).contains(&made), "{made}");
    let count = |table: &str| {
        let status = sandbox.status();
        status.regions[0].counts.iter().find(|count| count.resource_type == table).map_or(0, |count| count.count)
    };
    assert_eq!(
        ["vpc", "subnet", "natgateway", "route-table", "elastic-ip", "network-interface"].map(count),
        [2, 12, 2, 6, 2, 2]
    );
    let both = join(unmake(&sandbox, &client, one), unmake(&sandbox, &client, two));
    sandbox.drive(both).await;
    assert!((44..130).contains(&(since() - made)), "{}", since() - made);
    assert_eq!(sandbox.status().total, 0);
}
