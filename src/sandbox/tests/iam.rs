//! IAM through its SDK client: roles, policies, providers, and what other services see of them.

use std::time::Duration;

use aws_sdk_iam::types::Tag;

use super::*;
use crate::sandbox::iam::{Unseen, allows, role_for_service};

const TRUST: &str = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"eks.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;
const CLUSTER_POLICY: &str = "arn:aws:iam::aws:policy/AmazonEKSClusterPolicy";
const CNI_POLICY: &str = "arn:aws:iam::aws:policy/AmazonEKS_CNI_Policy";

fn iam(sandbox: &Sandbox) -> aws_sdk_iam::Client {
    let config = sandbox.sdk_config().into_builder().region(aws_config::Region::from_static("eu-central-1")).build();
    aws_sdk_iam::Client::new(&config)
}

fn tag(key: &str, value: &str) -> Tag {
    Tag::builder().key(key).value(value).build().unwrap()
}

async fn role(client: &aws_sdk_iam::Client, name: &str) -> aws_sdk_iam::types::Role {
    let made = client.create_role().role_name(name).assume_role_policy_document(TRUST).tags(tag("mesh", "mesh1"));
    made.send().await.unwrap().role.unwrap()
}

fn decoded(document: Option<&str>) -> String {
    let text = document.unwrap().replace('+', "%2B");
    form_urlencoded::parse(format!("d={text}").as_bytes()).next().unwrap().1.into_owned()
}

#[tokio::test]
async fn a_role_is_made_changed_and_deleted() {
    let sandbox = instant();
    let client = iam(&sandbox);
    let made = role(&client, "mesh1-cluster-1-eks").await;
    assert_eq!(made.arn(), "arn:aws:iam::123456789012:role/mesh1-cluster-1-eks");
    assert!(made.role_id().starts_with("AROA") && made.role_id().len() == 21, "{}", made.role_id());
    assert_eq!(decoded(made.assume_role_policy_document()), TRUST);
    // Names are compared without case.
    let again = client.create_role().role_name("MESH1-cluster-1-eks").assume_role_policy_document(TRUST).send().await;
    let again = again.unwrap_err();
    assert_eq!(again.raw_response().unwrap().status().as_u16(), 409);
    assert_eq!(
        (again.code(), again.message()),
        (Some("EntityAlreadyExists"), Some("Role with name MESH1-cluster-1-eks already exists."),)
    );
    let name = "mesh1-cluster-1-eks";
    let wider = TRUST.replace("\"sts:AssumeRole\"", "[\"sts:AssumeRole\",\"sts:TagSession\"]");
    client.update_assume_role_policy().role_name(name).policy_document(&wider).send().await.unwrap();
    client.update_role().role_name(name).description("runs the API").max_session_duration(7200).send().await.unwrap();
    client.tag_role().role_name(name).tags(tag("mesh", "mesh2")).tags(tag("owner", "me")).send().await.unwrap();
    client.untag_role().role_name(name).tag_keys("owner").send().await.unwrap();
    client.put_role_permissions_boundary().role_name(name).permissions_boundary(CNI_POLICY).send().await.unwrap();
    let found = client.get_role().role_name(name).send().await.unwrap().role.unwrap();
    assert_eq!(decoded(found.assume_role_policy_document()), wider);
    assert_eq!((found.description(), found.max_session_duration()), (Some("runs the API"), Some(7200)));
    assert_eq!(found.tags(), [tag("mesh", "mesh2")]);
    assert_eq!(found.permissions_boundary().unwrap().permissions_boundary_arn(), Some(CNI_POLICY));
    let listed = client.list_role_tags().role_name(name).send().await.unwrap();
    assert_eq!((listed.tags().len(), listed.is_truncated()), (1, false));
    client.delete_role_permissions_boundary().role_name(name).send().await.unwrap();

    client.attach_role_policy().role_name(name).policy_arn(CLUSTER_POLICY).send().await.unwrap();
    client.attach_role_policy().role_name(name).policy_arn(CLUSTER_POLICY).send().await.unwrap();
    let unknown = client.attach_role_policy().role_name(name).policy_arn("arn:aws:iam::aws:policy/Amazon").send().await;
    let unknown = unknown.unwrap_err();
    assert_eq!(
        (unknown.code(), unknown.message()),
        (Some("NoSuchEntity"), Some("Policy arn:aws:iam::aws:policy/Amazon does not exist or is not attachable."),)
    );
    let attached = client.list_attached_role_policies().role_name(name).send().await.unwrap();
    assert_eq!(attached.attached_policies()[0].policy_name(), Some("AmazonEKSClusterPolicy"));
    let delete = || client.delete_role().role_name(name).send();
    let conflict = delete().await.unwrap_err();
    assert_eq!(
        (conflict.code(), conflict.message()),
        (Some("DeleteConflict"), Some("Cannot delete entity, must detach all policies first."),)
    );
    client.detach_role_policy().role_name(name).policy_arn(CLUSTER_POLICY).send().await.unwrap();
    assert_eq!(
        code(client.detach_role_policy().role_name(name).policy_arn(CLUSTER_POLICY).send().await),
        "NoSuchEntity"
    );

    let document = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"ec2:Describe*","Resource":"*"}}"#;
    client.put_role_policy().role_name(name).policy_name("look").policy_document(document).send().await.unwrap();
    let read = client.get_role_policy().role_name(name).policy_name("look").send().await.unwrap();
    assert_eq!(decoded(Some(read.policy_document())), document);
    assert_eq!(client.list_role_policies().role_name(name).send().await.unwrap().policy_names(), ["look"]);
    assert_eq!(delete().await.unwrap_err().message(), Some("Cannot delete entity, must delete policies first."));
    client.delete_role_policy().role_name(name).policy_name("look").send().await.unwrap();
    let gone = client.get_role_policy().role_name(name).policy_name("look").send().await.unwrap_err();
    assert_eq!(gone.message(), Some("The role policy with name look cannot be found."));
    delete().await.unwrap();
    let gone = delete().await.unwrap_err();
    assert_eq!(
        (gone.code(), gone.message()),
        (Some("NoSuchEntity"), Some("The role with name mesh1-cluster-1-eks cannot be found."),)
    );
    assert_eq!(sandbox.status().total, 0);
}

#[tokio::test]
async fn what_iam_refuses() {
    let sandbox = instant();
    let client = iam(&sandbox);
    let create =
        |name: &str, trust: &str| client.create_role().role_name(name).assume_role_policy_document(trust).send();
    let long = create(&"x".repeat(65), TRUST).await.unwrap_err();
    assert_eq!(long.code(), Some("ValidationError"));
    assert!(long.message().unwrap().ends_with("Member must have length less than or equal to 64"), "{long:?}");
    assert_eq!(code(create("a b", TRUST).await), "ValidationError");
    assert_eq!(code(create("a", "{}").await), "MalformedPolicyDocument");
    let path = client.create_role().role_name("a").path("x").assume_role_policy_document(TRUST).send().await;
    assert_eq!(code(path), "ValidationError");
    let wide = TRUST.replace(
        "\"Action\"",
        &format!("\"Condition\":{{\"StringEquals\":{{\"a\":\"{}\"}}}},\"Action\"", "x".repeat(2048)),
    );
    assert_eq!(code(create("a", &wide).await), "LimitExceeded");
    role(&client, "a").await;
    let put = |name: &str, bytes: usize| {
        let document = format!(
            r#"{{"Statement":{{"Effect":"Allow","Action":"ec2:*","Resource":"arn:aws:ec2:::{}"}}}}"#,
            "x".repeat(bytes)
        );
        client.put_role_policy().role_name("a").policy_name(name).policy_document(document).send()
    };
    put("one", 6000).await.unwrap();
    put("one", 9000).await.unwrap();
    let much = put("two", 6000).await.unwrap_err();
    assert_eq!(much.message(), Some("Maximum policy size of 10240 bytes exceeded for role a"));
    let wrong = client.put_role_policy().role_name("a").policy_name("x").policy_document("[]").send().await;
    assert_eq!(code(wrong), "MalformedPolicyDocument");
    let policies = client.list_policies().send().await.unwrap().policies.unwrap();
    let attach = |arn: &str| client.attach_role_policy().role_name("a").policy_arn(arn).send();
    for policy in policies.iter().take(10) {
        attach(policy.arn().unwrap()).await.unwrap();
    }
    let eleventh = attach(policies[10].arn().unwrap()).await.unwrap_err();
    assert_eq!(eleventh.message(), Some("Cannot exceed quota for PoliciesPerRole: 10"));
}

#[tokio::test]
async fn lists_come_in_pages() {
    let sandbox = instant();
    let client = iam(&sandbox);
    for number in 0..5 {
        role(&client, &format!("role-{number}")).await;
    }
    let other = client.create_role().role_name("other").path("/service/").assume_role_policy_document(TRUST).send();
    other.await.unwrap();
    let mut pages = client.list_roles().max_items(2).path_prefix("/").into_paginator().send();
    let mut sizes = Vec::new();
    while let Some(page) = pages.next().await {
        sizes.push(page.unwrap().roles().len());
    }
    assert_eq!(sizes, [2, 2, 2]);
    let found = client.list_roles().path_prefix("/service/").send().await.unwrap();
    assert_eq!(found.roles()[0].arn(), "arn:aws:iam::123456789012:role/service/other");
}

#[tokio::test]
async fn managed_policies_can_be_read() {
    let sandbox = instant();
    let client = iam(&sandbox);
    let policy = client.get_policy().policy_arn(CNI_POLICY).send().await.unwrap().policy.unwrap();
    assert_eq!((policy.policy_name(), policy.attachment_count()), (Some("AmazonEKS_CNI_Policy"), Some(0)));
    let version = policy.default_version_id().unwrap();
    let read = client.get_policy_version().policy_arn(CNI_POLICY).version_id(version).send().await.unwrap();
    assert!(decoded(read.policy_version().unwrap().document()).contains("ec2:AssignPrivateIpAddresses"));
    let none = client.get_policy().policy_arn("arn:aws:iam::123456789012:policy/none").send().await.unwrap_err();
    assert_eq!(
        (none.code(), none.message()),
        (Some("NoSuchEntity"), Some("Policy arn:aws:iam::123456789012:policy/none was not found."),)
    );
}

#[tokio::test]
async fn openid_connect_providers() {
    let sandbox = instant();
    let client = iam(&sandbox);
    let url = "https://oidc.eks.us-west-2.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF";
    let create = || client.create_open_id_connect_provider().url(url).client_id_list("sts.amazonaws.com").send();
    let arn = create().await.unwrap().open_id_connect_provider_arn.unwrap();
    assert_eq!(arn, url.replace("https://", "arn:aws:iam::123456789012:oidc-provider/"));
    let again = create().await.unwrap_err();
    assert_eq!(again.message(), Some(format!("Provider with url {url} already exists.").as_str()));
    let get = || client.get_open_id_connect_provider().open_id_connect_provider_arn(&arn).send();
    let read = get().await.unwrap();
    assert_eq!(
        (read.url(), read.client_id_list()),
        (url.strip_prefix("https://"), &["sts.amazonaws.com".to_owned()][..])
    );
    client.tag_open_id_connect_provider().open_id_connect_provider_arn(&arn).tags(tag("a", "b")).send().await.unwrap();
    assert_eq!(get().await.unwrap().tags(), [tag("a", "b")]);
    let listed = client.list_open_id_connect_providers().send().await.unwrap();
    assert_eq!(listed.open_id_connect_provider_list()[0].arn(), Some(arn.as_str()));
    for _ in 0..2 {
        client.delete_open_id_connect_provider().open_id_connect_provider_arn(&arn).send().await.unwrap();
    }
    assert_eq!(code(get().await), "NoSuchEntity");
    assert_eq!(code(client.create_open_id_connect_provider().url("http://x").send().await), "ValidationError");
}

#[tokio::test]
async fn other_services_see_a_role_later_than_iam() {
    let sandbox = realistic();
    let client = iam(&sandbox);
    let seen = |arn: &str| {
        let mut state = sandbox.service.state();
        let (global, _) = state.world.global();
        role_for_service(global, arn, "eks.amazonaws.com", sandbox.clock().now()).map(|role| role.head.id.clone())
    };
    let may = |name: &str, action: &str| {
        let mut state = sandbox.service.state();
        allows(state.world.global().0.roles.get(name).unwrap(), action, sandbox.clock().now())
    };
    sandbox
        .drive(async {
            let sleep = |seconds| sandbox.clock().sleep(Duration::from_secs(seconds));
            let made = role(&client, "a").await;
            sleep(2).await;
            client.get_role().role_name("a").send().await.unwrap();
            client.attach_role_policy().role_name("a").policy_arn(CNI_POLICY).send().await.unwrap();
            assert_eq!(seen(made.arn()), Err(Unseen::Absent));
            assert!(!may("a", "ec2:DescribeInstances"));
            sleep(12).await;
            assert_eq!(seen(made.arn()), Ok("a".to_owned()));
            assert!(may("a", "ec2:DescribeInstances") && !may("a", "ec2:AssignIpv6Addresses"));
            // What was trusted still is for a while.
            let nodes = TRUST.replace("eks.", "ec2.");
            client.update_assume_role_policy().role_name("a").policy_document(nodes).send().await.unwrap();
            client.detach_role_policy().role_name("a").policy_arn(CNI_POLICY).send().await.unwrap();
            assert_eq!(seen(made.arn()), Ok("a".to_owned()));
            assert!(may("a", "ec2:DescribeInstances"));
            sleep(12).await;
            assert_eq!(seen(made.arn()), Err(Unseen::Untrusted));
            assert!(!may("a", "ec2:DescribeInstances"));
        })
        .await;
}

#[tokio::test]
async fn roles_outlive_the_process() {
    let folder = tempfile::tempdir().unwrap();
    let options = || Options { persist: true, ..Options::unhindered() };
    let before = {
        let sandbox = Sandbox::open(folder.path(), options()).unwrap();
        let client = iam(&sandbox);
        role(&client, "a").await;
        client.attach_role_policy().role_name("a").policy_arn(CNI_POLICY).send().await.unwrap();
        sandbox.status().regions
    };
    let sandbox = Sandbox::open(folder.path(), options()).unwrap();
    assert_eq!(sandbox.status().regions, before);
    let attached = iam(&sandbox).list_attached_role_policies().role_name("a").send().await.unwrap();
    assert_eq!(attached.attached_policies()[0].policy_arn(), Some(CNI_POLICY));
}
