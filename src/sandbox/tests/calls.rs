//! What all calls share: pages, filters, tags, dry runs, unknown names, quotas, lag.

use std::time::Duration;

use super::*;

#[tokio::test]
async fn pages_are_cut_and_joined() {
    let sandbox = instant();
    let client = ec2(&sandbox, "us-west-2");
    let vpc = vpc(&client, "10.1.0.0/16").await;
    for third in 0..12 {
        subnet(&client, &vpc, &format!("10.1.{third}.0/24")).await;
    }
    let of_vpc = filter("vpc-id", &vpc);
    let mut pages = client.describe_subnets().filters(of_vpc.clone()).max_results(5).into_paginator().send();
    let mut sizes = Vec::new();
    while let Some(page) = pages.next().await {
        sizes.push(page.unwrap().subnets().len());
    }
    assert_eq!(sizes, [5, 5, 2]);
    let describe = || client.describe_subnets();
    assert_eq!(code(describe().max_results(4).send().await), "InvalidParameterValue");
    assert_eq!(code(describe().next_token("!").send().await), "InvalidNextToken");
    let both = client.describe_vpcs().vpc_ids(&vpc).max_results(5).send().await;
    assert_eq!(code(both), "InvalidParameterCombination");
}

#[tokio::test]
async fn filters_know_wildcards_and_refuse_unknown_names() {
    let sandbox = instant();
    let client = ec2(&sandbox, "us-west-2");
    for (block, name) in [("10.1.0.0/16", "mesh-one"), ("10.2.0.0/16", "mesh-two"), ("10.3.0.0/16", "other")] {
        let tags = tagged(ResourceType::Vpc, "Name", name);
        client.create_vpc().cidr_block(block).tag_specifications(tags).send().await.unwrap();
    }
    let count = async |filters: Vec<Filter>| {
        client.describe_vpcs().set_filters(Some(filters)).send().await.unwrap().vpcs().len()
    };
    assert_eq!(count(vec![filter("tag:Name", "mesh-*")]).await, 2);
    assert_eq!(count(vec![filter("tag:Name", "mesh-???")]).await, 2);
    assert_eq!(count(vec![filter("tag:Name", "mesh-*"), filter("cidr", "10.2.*")]).await, 1);
    assert_eq!(count(vec![filter("tag-key", "Name")]).await, 3);
    assert_eq!(count(vec![filter("tag:name", "other")]).await, 0);
    assert_eq!(code(client.describe_vpcs().filters(filter("colour", "red")).send().await), "InvalidParameterValue");
}

#[tokio::test]
async fn tags_have_rules() {
    let sandbox = instant();
    let client = ec2(&sandbox, "us-west-2");
    let id = vpc(&client, "10.1.0.0/16").await;
    let tag = |key: &str, value: &str| Tag::builder().key(key).value(value).build();
    let create = |tags: Vec<Tag>| client.create_tags().resources(&id).set_tags(Some(tags)).send();
    create(vec![tag("a", "1"), tag("b", "2")]).await.unwrap();
    assert_eq!(code(create(vec![tag("aws:x", "1")]).await), "InvalidParameterValue");
    assert_eq!(code(create(vec![tag("c", "1"), tag("c", "2")]).await), "InvalidParameterValue");
    let many = (0..49).map(|number| tag(&format!("t{number}"), "")).collect();
    assert_eq!(code(create(many).await), "TagLimitExceeded");
    let wrong =
        client.create_vpc().cidr_block("10.2.0.0/16").tag_specifications(tagged(ResourceType::Subnet, "a", "b"));
    assert_eq!(code(wrong.send().await), "InvalidParameterValue");
    client
        .delete_tags()
        .resources(&id)
        .tags(tag("a", "other"))
        .tags(Tag::builder().key("b").build())
        .send()
        .await
        .unwrap();
    let found = client.describe_tags().filters(filter("resource-id", &id)).send().await.unwrap().tags.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].key(), found[0].value()), (Some("a"), Some("1")));
    assert_eq!(found[0].resource_type(), Some(&ResourceType::Vpc));
    let missing = client.create_tags().resources("subnet-12345678").tags(tag("a", "b")).send().await;
    assert_eq!(code(missing), "InvalidSubnetID.NotFound");
}

#[tokio::test]
async fn dry_runs_quotas_and_unknown_things() {
    let sandbox = instant();
    let client = ec2(&sandbox, "us-west-2");
    let dry = client.create_vpc().cidr_block("10.1.0.0/16").dry_run(true).send().await.unwrap_err();
    assert_eq!(dry.raw_response().unwrap().status().as_u16(), 412);
    assert_eq!(dry.code(), Some("DryRunOperation"));
    assert_eq!(sandbox.status().total, 0);
    for second in 1..=4 {
        vpc(&client, &format!("10.{second}.0.0/16")).await;
    }
    assert_eq!(code(client.create_vpc().cidr_block("10.9.0.0/16").send().await), "VpcLimitExceeded");
    assert_eq!(code(client.describe_key_pairs().send().await), "InvalidAction");
    assert_eq!(
        code(client.create_vpc().cidr_block("10.1.0.0/16").ipv4_netmask_length(16).send().await),
        "UnknownParameter"
    );
    assert_eq!(code(client.delete_vpc().vpc_id("vpc-xyz").send().await), "InvalidVpcID.Malformed");
    for _ in 0..5 {
        client.allocate_address().send().await.unwrap();
    }
    assert_eq!(code(client.allocate_address().send().await), "AddressLimitExceeded");
}

#[tokio::test]
async fn looking_around() {
    let sandbox = instant();
    let client = ec2(&sandbox, "us-west-1");
    let regions = client.describe_regions().send().await.unwrap().regions.unwrap();
    assert!(regions.len() >= 17 && regions.iter().any(|region| region.region_name() == Some("ca-central-1")));
    let zones = client.describe_availability_zones().send().await.unwrap().availability_zones.unwrap();
    assert_eq!(zones.iter().filter_map(|zone| zone.zone_id()).collect::<Vec<_>>(), ["usw1-az1", "usw1-az3"]);
    let attributes = client.describe_account_attributes().send().await.unwrap().account_attributes.unwrap();
    assert!(attributes.iter().any(|a| a.attribute_name() == Some("default-vpc")));
    let offered =
        client.describe_instance_type_offerings().filters(filter("instance-type", "m6i.*")).send().await.unwrap();
    assert_eq!(offered.instance_type_offerings().len(), 3);
    let xen = client.describe_instance_types().filters(filter("hypervisor", "xen")).send().await.unwrap();
    assert!(xen.instance_types().iter().any(|known| known.instance_type().unwrap().as_str() == "m4.large"));
    let known = aws_sdk_ec2::types::InstanceType::M6iLarge;
    let known = client.describe_instance_types().instance_types(known).send().await.unwrap().instance_types.unwrap();
    assert_eq!(known[0].network_info().unwrap().maximum_network_interfaces(), Some(3));
    assert_eq!(known[0].memory_info().unwrap().size_in_mib(), Some(8192));
    let unknown = client.describe_instance_types().instance_types("m6i.tiny".into()).send().await;
    assert_eq!(code(unknown), "InvalidInstanceType");
    assert!(client.describe_launch_templates().send().await.unwrap().launch_templates().is_empty());
    assert!(client.describe_instances().send().await.unwrap().reservations().is_empty());
    let unknown = client.describe_instances().instance_ids("i-0123456789abcdef0").send().await;
    assert_eq!(code(unknown), "InvalidInstanceID.NotFound");
    let acls = client.describe_network_acls().send().await.unwrap().network_acls.unwrap();
    assert_eq!((acls[0].entries().len(), acls[0].associations().len()), (4, 2));
    let options = client.describe_dhcp_options().send().await.unwrap().dhcp_options.unwrap();
    let suffix = &options[0].dhcp_configurations()[0];
    assert_eq!(suffix.key(), Some("domain-name"));
    assert_eq!(suffix.values()[0].value(), Some("us-west-1.compute.internal"));
    let addresses = client.describe_addresses_attribute().send().await.unwrap();
    assert!(addresses.addresses().is_empty());

    let sts = aws_sdk_sts::Client::new(&sandbox.sdk_config());
    assert_eq!(sts.get_caller_identity().send().await.unwrap().account(), Some("123456789012"));
    assert_eq!(code(sts.get_session_token().send().await), "InvalidAction");
}

#[tokio::test]
async fn new_objects_are_seen_late_but_never_vanish_again() {
    let sandbox = realistic();
    let client = ec2(&sandbox, "us-west-2");
    let late = sandbox
        .drive(async {
            let mut late = 0;
            for second in 1..=4 {
                let id = vpc(&client, &format!("10.{second}.0.0/16")).await;
                let mut seen = false;
                for _ in 0..40 {
                    match client.describe_vpcs().vpc_ids(&id).send().await {
                        Ok(_) => seen = true,
                        Err(error) => {
                            assert_eq!(error.code(), Some("InvalidVpcID.NotFound"));
                            assert!(!seen, "{id} vanished");
                            late += 1;
                        }
                    }
                    sandbox.clock().sleep(Duration::from_millis(50)).await;
                }
                assert!(seen);
            }
            late
        })
        .await;
    assert!(late > 0, "something must lag");
}

#[tokio::test]
async fn the_status_counts_per_region_and_type() {
    let sandbox = instant();
    let base = base(&ec2(&sandbox, "us-west-2")).await;
    nat(&ec2(&sandbox, "us-west-2"), &base).await;
    ec2(&sandbox, "eu-west-1").describe_vpcs().send().await.unwrap();
    let expected = "\
sandbox: account 123456789012, simulated time 2026-01-01T00:00:00Z, 11 objects
eu-west-1:
  (default VPC and its parts)       11
us-west-2:
  vpc                                1
  subnet                             1
  internet-gateway                   1
  elastic-ip                         1
  natgateway                         1
  route-table                        1
  security-group                     1
  security-group-rule                2
  network-interface                  1
  network-acl                        1
  (default VPC and its parts)       12
";
    assert_eq!(sandbox.status().to_string(), expected);
    let json = serde_json::to_value(sandbox.status()).unwrap();
    assert_eq!(json["regions"][1]["counts"][0], serde_json::json!({"type": "vpc", "count": 1}));
}
