//! CloudWatch Logs through its SDK client.

use super::*;

#[tokio::test]
async fn log_groups() {
    let sandbox = instant();
    let config = sandbox.sdk_config().into_builder().region(aws_config::Region::from_static("us-west-2")).build();
    let client = aws_sdk_cloudwatchlogs::Client::new(&config);
    let create = |name: &str| client.create_log_group().log_group_name(name).tags("owner", "me").send();
    for number in [2, 1, 3] {
        create(&format!("/aws/eks/cluster-{number}/cluster")).await.unwrap();
    }
    create("/other").await.unwrap();
    assert_eq!(code(create("/other").await), "ResourceAlreadyExistsException");
    assert_eq!(code(create("a b").await), "InvalidParameterException");
    let mut pages = client.describe_log_groups().log_group_name_prefix("/aws/eks/").limit(2).into_paginator().send();
    let mut names = Vec::new();
    while let Some(page) = pages.next().await {
        names.push(
            page.unwrap()
                .log_groups()
                .iter()
                .map(|group| group.log_group_name().unwrap().to_owned())
                .collect::<Vec<_>>(),
        );
    }
    assert_eq!(
        names,
        [
            vec!["/aws/eks/cluster-1/cluster".to_owned(), "/aws/eks/cluster-2/cluster".to_owned()],
            vec!["/aws/eks/cluster-3/cluster".to_owned()],
        ]
    );
    let retain = |days| client.put_retention_policy().log_group_name("/other").retention_in_days(days).send();
    retain(30).await.unwrap();
    assert_eq!(code(retain(31).await), "InvalidParameterException");
    let found = client.describe_log_groups().log_group_name_prefix("/other").send().await.unwrap().log_groups.unwrap();
    assert_eq!(found[0].retention_in_days(), Some(30));
    let arn = found[0].log_group_arn().unwrap().to_owned();
    assert_eq!(found[0].arn(), Some(format!("{arn}:*").as_str()));
    client.tag_resource().resource_arn(&arn).tags("mesh", "mesh1").send().await.unwrap();
    client.untag_resource().resource_arn(&arn).tag_keys("owner").send().await.unwrap();
    let tags = client.list_tags_for_resource().resource_arn(&arn).send().await.unwrap().tags.unwrap();
    assert_eq!(tags.into_iter().collect::<Vec<_>>(), [("mesh".to_owned(), "mesh1".to_owned())]);
    let delete = || client.delete_log_group().log_group_name("/other").send();
    delete().await.unwrap();
    let gone = delete().await.unwrap_err();
    assert_eq!(
        (gone.code(), gone.message()),
        (Some("ResourceNotFoundException"), Some("The specified log group does not exist."),)
    );
}
