//! The sandbox as an unmodified AWS SDK client sees it.

mod network;

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

async fn subnet(client: &aws_sdk_ec2::Client, vpc: &str, block: &str) -> String {
    client.create_subnet().vpc_id(vpc).cidr_block(block).send().await.unwrap().subnet.unwrap().subnet_id.unwrap()
}
