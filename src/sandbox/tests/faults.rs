//! Faults as a client sees them.

use aws_sdk_ec2::types::VpcState;

use super::*;

fn with(rules: &str) -> Sandbox {
    let faults = Faults::from_toml(rules, Path::new("faults.toml")).unwrap();
    Sandbox::open(Path::new("unused"), Options { persist: false, faults, ..Options::unhindered() }).unwrap()
}

fn rule(operation: &str, fault: &str) -> String {
    format!("[[rules]]\noperation = '{operation}'\nfault = '{fault}'\n")
}

#[tokio::test]
async fn transient_faults() {
    let mut rules = String::new();
    for (number, fault) in ["throttle", "server-error", "refused", "lost-answer", "quota"].into_iter().enumerate() {
        rules.extend([rule("CreateVpc", fault), format!("after = {number}\n")]);
    }
    let sandbox = with(&rules);
    let client = ec2(&sandbox, "us-west-2");
    let create = || client.create_vpc().cidr_block("10.1.0.0/16").send();
    let throttled = create().await.unwrap_err();
    assert_eq!(
        (throttled.code(), throttled.raw_response().unwrap().status().as_u16()),
        (Some("RequestLimitExceeded"), 503)
    );
    assert_eq!(code(create().await), "InternalError");
    assert!(matches!(create().await.unwrap_err(), SdkError::DispatchFailure(failure) if failure.is_io()));
    assert_eq!(sandbox.status().total, 0);
    assert!(matches!(create().await.unwrap_err(), SdkError::DispatchFailure(failure) if failure.is_io()));
    let vpcs = client.describe_vpcs().filters(filter("cidr", "10.1.0.0/16")).send().await.unwrap();
    assert_eq!(vpcs.vpcs().len(), 1, "the effect is done, the answer was lost");
    assert_eq!(code(create().await), "VpcLimitExceeded");
    create().await.unwrap();
}

#[tokio::test]
async fn what_never_gets_ready_stays_pending() {
    let faults = Faults::from_toml(&rule("CreateVpc", "never-ready"), Path::new("f")).unwrap();
    let options = Options { persist: false, faults, speed: Speed::Unlimited, ..Options::default() };
    let sandbox = Sandbox::open(Path::new("unused"), options).unwrap();
    let client = ec2(&sandbox, "us-west-2");
    sandbox
        .drive(async {
            let id = vpc(&client, "10.1.0.0/16").await;
            sandbox.clock().sleep(std::time::Duration::from_secs(100_000)).await;
            let found = client.describe_vpcs().vpc_ids(&id).send().await.unwrap().vpcs.unwrap();
            assert_eq!(found[0].state(), Some(&VpcState::Pending));
        })
        .await;
}

#[tokio::test]
async fn somebody_else_changes_and_deletes() {
    let sandbox = with(
        "[[rules]]
operation = 'DescribeSubnets'
fault = 'modify'
resource = 'tag:Name=one'
[rules.call]
Action = 'CreateTags'
'ResourceId.1' = '{id}'
'Tag.1.Key' = 'owner'
'Tag.1.Value' = 'somebody'
[[rules]]
operation = 'DescribeSubnets'
after = 1
fault = 'delete'
resource = 'vpc-*'
",
    );
    let client = ec2(&sandbox, "us-west-2");
    let vpc = vpc(&client, "10.1.0.0/16").await;
    let tags = tagged(ResourceType::Subnet, "Name", "one");
    client.create_subnet().vpc_id(&vpc).cidr_block("10.1.0.0/20").tag_specifications(tags).send().await.unwrap();
    let describe = || client.describe_subnets().filters(filter("vpc-id", &vpc)).send();
    let first = describe().await.unwrap().subnets.unwrap();
    assert!(first[0].tags().iter().any(|tag| tag.value() == Some("somebody")));
    assert!(describe().await.unwrap().subnets().is_empty());
    assert_eq!(code(client.delete_vpc().vpc_id(&vpc).send().await), "InvalidVpcID.NotFound");
    assert_eq!(sandbox.status().total, 0);
}

#[tokio::test]
async fn too_many_calls_are_throttled() {
    let options = Options { persist: false, throttle: Some(Throttle::default()), ..Options::unhindered() };
    let sandbox = Sandbox::open(Path::new("unused"), options).unwrap();
    let client = ec2(&sandbox, "us-west-2");
    let mut throttled = 0;
    for _ in 0..60 {
        if let Err(error) = client.create_internet_gateway().send().await {
            assert_eq!(error.code(), Some("RequestLimitExceeded"));
            throttled += 1;
        }
    }
    assert_eq!(throttled, 10);
    sandbox.clock().advance(std::time::Duration::from_secs(1));
    for _ in 0..5 {
        client.create_internet_gateway().send().await.unwrap();
    }
    assert_eq!(code(client.create_internet_gateway().send().await), "RequestLimitExceeded");
}
