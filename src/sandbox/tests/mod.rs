//! The sandbox as an unmodified AWS SDK client sees it.

mod calls;
mod eks;
mod faults;
mod gateways;
mod iam;
mod instances;
mod load_balancing;
mod logs;
mod network;
mod peering;
mod persistence;
mod security_groups;
mod serving;
mod timing;
mod whole_network;

use aws_sdk_ec2::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_ec2::types::{Filter, ResourceType, Tag, TagSpecification};

use super::*;
use crate::model::Clock as _;

/// A sandbox that does not persist, with all the slowness of a real cloud.
fn realistic() -> Sandbox {
    Sandbox::open(Path::new("unused"), Options { persist: false, speed: Speed::Unlimited, ..Options::default() })
        .unwrap()
}

/// A sandbox in which nothing takes time, with the quotas of a real account.
fn instant() -> Sandbox {
    let options = Options { persist: false, quotas: Quotas::default(), ..Options::unhindered() };
    Sandbox::open(Path::new("unused"), options).unwrap()
}

fn ec2(sandbox: &Sandbox, region: &'static str) -> aws_sdk_ec2::Client {
    let config = sandbox.sdk_config().into_builder().region(aws_config::Region::from_static(region)).build();
    aws_sdk_ec2::Client::new(&config)
}

fn filter(name: &str, value: &str) -> Filter {
    Filter::builder().name(name).values(value).build()
}

fn tagged(resource_type: ResourceType, key: &str, value: &str) -> TagSpecification {
    TagSpecification::builder().resource_type(resource_type).tags(Tag::builder().key(key).value(value).build()).build()
}

/// The code of a refusal.
fn code<T: std::fmt::Debug, E: ProvideErrorMetadata + std::fmt::Debug, R: std::fmt::Debug>(
    result: Result<T, SdkError<E, R>>,
) -> String {
    result.unwrap_err().code().unwrap_or("(no code)").to_owned()
}

async fn vpc(client: &aws_sdk_ec2::Client, block: &str) -> String {
    let made = client.create_vpc().cidr_block(block).amazon_provided_ipv6_cidr_block(true).send().await.unwrap();
    made.vpc.unwrap().vpc_id.unwrap()
}

/// A VPC with an internet gateway, a subnet and an address, as a NAT gateway needs them.
struct Base {
    vpc: String,
    gateway: String,
    subnet: String,
    allocation: String,
}

async fn base(client: &aws_sdk_ec2::Client) -> Base {
    let vpc = vpc(client, "10.1.0.0/16").await;
    let made = client.create_internet_gateway().send().await.unwrap();
    let gateway = made.internet_gateway.unwrap().internet_gateway_id.unwrap();
    client.attach_internet_gateway().internet_gateway_id(&gateway).vpc_id(&vpc).send().await.unwrap();
    let subnet = subnet(client, &vpc, "10.1.48.0/24").await;
    let allocation = client.allocate_address().send().await.unwrap().allocation_id.unwrap();
    Base { vpc, gateway, subnet, allocation }
}

async fn nat(client: &aws_sdk_ec2::Client, base: &Base) -> String {
    let made =
        client.create_nat_gateway().subnet_id(&base.subnet).allocation_id(&base.allocation).send().await.unwrap();
    made.nat_gateway.unwrap().nat_gateway_id.unwrap()
}

async fn subnet(client: &aws_sdk_ec2::Client, vpc: &str, block: &str) -> String {
    client.create_subnet().vpc_id(vpc).cidr_block(block).send().await.unwrap().subnet.unwrap().subnet_id.unwrap()
}
