//! Access entries and policies; and what becomes of a world with clusters.

use aws_sdk_eks::types::{AccessScope, AccessScopeType};

use super::*;

const ADMIN: &str = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSClusterAdminPolicy";
const VIEW: &str = "arn:aws:eks::aws:cluster-access-policy/AmazonEKSViewPolicy";
const PERSON: &str = "arn:aws:iam::111122223333:role/team/platform-admin";

#[tokio::test]
async fn principals_are_let_in_with_policies() {
    let base = Base::new(instant()).await;
    base.create("c1", IpFamily::Ipv4).send().await.unwrap();
    let listed = base.eks.list_access_entries().cluster_name("c1").associated_policy_arn(ADMIN).send().await.unwrap();
    assert_eq!(listed.access_entries(), ["arn:aws:iam::123456789012:user/sandbox"], "the creator");
    let create = |principal: &str| base.eks.create_access_entry().cluster_name("c1").principal_arn(principal);
    for wrong in ["arn:aws:sts::123456789012:assumed-role/a/b", "arn:aws:iam::123456789012:role/nobody"] {
        let refused = create(wrong).send().await.unwrap_err();
        assert!(refused.message().unwrap().contains("The specified principalArn is invalid"), "{refused:?}");
    }
    let made = create(PERSON).tags("a", "b").client_request_token("t").send().await.unwrap().access_entry.unwrap();
    assert_eq!(made.username(), Some("arn:aws:sts::111122223333:assumed-role/platform-admin/{{SessionName}}"));
    assert!(made.access_entry_arn().unwrap().contains("access-entry/c1/role/111122223333/platform-admin/"));
    create(PERSON).tags("a", "b").client_request_token("t").send().await.unwrap();
    assert_eq!(code(create(PERSON).send().await), "ResourceInUseException");
    let tags = base.eks.list_tags_for_resource().resource_arn(made.access_entry_arn().unwrap()).send().await.unwrap();
    assert_eq!(tags.tags().unwrap()["a"], "b");

    let associate = |policy: &str, scope: AccessScope| {
        let call = base.eks.associate_access_policy().cluster_name("c1").principal_arn(PERSON);
        call.policy_arn(policy).access_scope(scope).send()
    };
    let everywhere = AccessScope::builder().r#type(AccessScopeType::Cluster).build();
    let there = AccessScope::builder().r#type(AccessScopeType::Namespace).namespaces("istio-system").build();
    associate(ADMIN, everywhere.clone()).await.unwrap();
    associate(VIEW, there).await.unwrap();
    assert_eq!(code(associate(&ADMIN.replace("Admin", "King"), everywhere.clone()).await), "InvalidParameterException");
    let unnamed = AccessScope::builder().r#type(AccessScopeType::Namespace).build();
    assert_eq!(code(associate(VIEW, unnamed).await), "InvalidParameterException");
    let list = || base.eks.list_associated_access_policies().cluster_name("c1").principal_arn(PERSON).send();
    let found = list().await.unwrap();
    assert_eq!(found.associated_access_policies().len(), 2);
    assert_eq!(found.associated_access_policies()[1].access_scope().unwrap().namespaces(), ["istio-system"]);
    let end = base.eks.disassociate_access_policy().cluster_name("c1").principal_arn(PERSON).policy_arn(ADMIN);
    end.send().await.unwrap();
    assert_eq!(list().await.unwrap().associated_access_policies().len(), 1);
    let update = base.eks.update_access_entry().cluster_name("c1").principal_arn(PERSON).kubernetes_groups("viewers");
    assert_eq!(update.send().await.unwrap().access_entry.unwrap().kubernetes_groups(), ["viewers"]);
    base.eks.delete_access_entry().cluster_name("c1").principal_arn(PERSON).send().await.unwrap();
    let gone = base.eks.describe_access_entry().cluster_name("c1").principal_arn(PERSON).send().await;
    assert_eq!(code(gone), "ResourceNotFoundException");
    assert!(base.eks.list_access_policies().send().await.unwrap().access_policies().len() > 5);
}

#[tokio::test]
async fn a_world_with_clusters_outlives_its_process() {
    let folder = tempfile::tempdir().unwrap();
    let options = || Options { speed: Speed::Unlimited, ..Options::default() };
    let sandbox = Sandbox::open(folder.path(), options()).unwrap();
    let counts = sandbox
        .drive(async {
            let base = Base::new(sandbox.clone()).await;
            base.cluster("c1", IpFamily::Ipv4).await;
            base.addons("c1").await;
            base.nodes("c1").send().await.unwrap();
            base.sleep(240).await;
            assert_eq!(base.nodes_status("c1").await, NodegroupStatus::Active);
            base.eks.update_cluster_config().name("c1").deletion_protection(true).send().await.unwrap();
            sandbox.status()
        })
        .await;
    drop(sandbox);
    let sandbox = Sandbox::open(folder.path(), options()).unwrap();
    assert_eq!(sandbox.status(), counts);
    let names: Vec<&str> =
        counts.regions.iter().flat_map(|region| &region.counts).map(|count| count.resource_type).collect();
    for name in
        ["eks-cluster", "eks-nodegroup", "eks-addon", "eks-access-entry", "eks-pod-identity-association", "iam-role"]
    {
        assert!(names.contains(&name), "{name} in {names:?}");
    }
    assert!(!names.contains(&"eks-update"));
    let eks = aws_sdk_eks::Client::new(&client_config(&sandbox));
    sandbox
        .drive(async {
            let state = async || eks.describe_cluster().name("c1").send().await.unwrap().cluster.unwrap();
            assert_eq!(state().await.status(), Some(&ClusterStatus::Updating), "the update goes on");
            sandbox.clock().sleep(Duration::from_secs(600)).await;
            let cluster = state().await;
            assert_eq!((cluster.status(), cluster.deletion_protection()), (Some(&ClusterStatus::Active), Some(true)));
        })
        .await;
}

#[tokio::test]
async fn somebody_else_deletes_a_cluster_or_takes_a_policy_away() {
    let faults = Faults::from_toml(
        "[[rules]]
operation = 'DescribeCluster'
fault = 'delete'
resource = 'tag:who=me'
[[rules]]
operation = 'iam:ListRoles'
fault = 'modify'
call = { Service = 'iam', Action = 'DeleteRolePolicy', RoleName = 'cni', PolicyName = 'ipv6' }
[[rules]]
operation = 'ListClusters'
fault = 'modify'
call = { Service = 'eks', Action = 'UpdateClusterConfig', name = 'c2', deletionProtection = 'true' }
",
        Path::new("f"),
    )
    .unwrap();
    let options = Options { persist: false, faults, ..Options::unhindered() };
    let base = Base::new(Sandbox::open(Path::new("unused"), options).unwrap()).await;
    base.create("c1", IpFamily::Ipv4).tags("who", "me").send().await.unwrap();
    base.create("c2", IpFamily::Ipv4).send().await.unwrap();
    base.addons("c1").await;
    base.nodes("c1").send().await.unwrap();
    assert_eq!(code(base.eks.describe_cluster().name("c1").send().await), "ResourceNotFoundException");
    assert_eq!(code(base.eks.list_addons().cluster_name("c1").send().await), "ResourceNotFoundException");
    base.iam.list_roles().send().await.unwrap();
    assert_eq!(code(base.iam.get_role_policy().role_name("cni").policy_name("ipv6").send().await), "NoSuchEntity");
    assert_eq!(base.eks.list_clusters().send().await.unwrap().clusters(), ["c2"]);
    let found = base.eks.describe_cluster().name("c2").send().await.unwrap().cluster.unwrap();
    assert_eq!(found.deletion_protection(), Some(true));
}
