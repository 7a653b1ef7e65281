//! Security groups and their rules.

use aws_sdk_ec2::types::{IpPermission, IpRange, Ipv6Range, UserIdGroupPair};

use super::*;

async fn group(client: &aws_sdk_ec2::Client, vpc: &str, name: &str) -> String {
    let made = client.create_security_group().vpc_id(vpc).group_name(name).description("a test").send().await.unwrap();
    made.group_id.unwrap()
}

fn tcp(port: i32) -> aws_sdk_ec2::types::builders::IpPermissionBuilder {
    IpPermission::builder().ip_protocol("tcp").from_port(port).to_port(port)
}

#[tokio::test]
async fn rules_have_ids_and_groups_refer_to_each_other() {
    let sandbox = instant();
    let client = ec2(&sandbox, "us-west-2");
    let vpc = vpc(&client, "10.1.0.0/16").await;
    let (one, two) = (group(&client, &vpc, "one").await, group(&client, &vpc, "two").await);
    let again = client.create_security_group().vpc_id(&vpc).group_name("one").description("x").send().await;
    assert_eq!(code(again), "InvalidGroup.Duplicate");
    let from_anywhere = tcp(15017)
        .ip_ranges(IpRange::builder().cidr_ip("10.0.0.0/8").description("api").build())
        .ipv6_ranges(Ipv6Range::builder().cidr_ipv6("::/0").build())
        .build();
    let from_two = tcp(15012).user_id_group_pairs(UserIdGroupPair::builder().group_id(&two).build()).build();
    let authorize = |permissions: Vec<IpPermission>| {
        client.authorize_security_group_ingress().group_id(&one).set_ip_permissions(Some(permissions)).send()
    };
    let made = authorize(vec![from_anywhere.clone(), from_two.clone()]).await.unwrap();
    assert_eq!(made.security_group_rules().len(), 3, "the answer lists the rules of all permissions");
    assert_eq!(code(authorize(vec![from_two.clone()]).await), "InvalidPermission.Duplicate");
    let found = client.describe_security_groups().group_ids(&one).send().await.unwrap().security_groups.unwrap();
    assert_eq!((found[0].ip_permissions().len(), found[0].ip_permissions_egress().len()), (2, 1));
    assert_eq!(code(client.delete_security_group().group_id(&two).send().await), "DependencyViolation");
    let rules = client.describe_security_group_rules().filters(filter("group-id", &one)).send().await.unwrap();
    assert_eq!(rules.security_group_rules().len(), 4);
    let referring = rules.security_group_rules().iter().find(|rule| rule.referenced_group_info().is_some()).unwrap();
    let revoke = || {
        let call = client.revoke_security_group_ingress().group_id(&one);
        call.security_group_rule_ids(referring.security_group_rule_id().unwrap()).send()
    };
    revoke().await.unwrap();
    assert_eq!(code(revoke().await), "InvalidSecurityGroupRuleId.NotFound");
    // A description does not tell rules apart.
    let plain = tcp(15017).ip_ranges(IpRange::builder().cidr_ip("10.0.0.0/8").build()).build();
    client.revoke_security_group_ingress().group_id(&one).ip_permissions(plain).send().await.unwrap();
    client.delete_security_group().group_id(&two).send().await.unwrap();
    assert_eq!(code(client.delete_vpc().vpc_id(&vpc).send().await), "DependencyViolation");
    client.delete_security_group().group_id(&one).send().await.unwrap();
    client.delete_vpc().vpc_id(&vpc).send().await.unwrap();
    assert_eq!(sandbox.status().total, 0);
}
