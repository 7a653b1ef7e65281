//! Add-ons and pod identity associations.

use aws_sdk_eks::types::{AddonStatus, ResolveConflicts};

use super::*;

async fn status(base: &Base, name: &str) -> AddonStatus {
    let found = base.eks.describe_addon().cluster_name("c1").addon_name(name).send().await.unwrap();
    found.addon.unwrap().status.unwrap()
}

#[tokio::test]
async fn coredns_waits_for_nodes_and_the_others_do_not() {
    let sandbox = realistic();
    sandbox
        .drive(async {
            let base = Base::new(sandbox.clone()).await;
            base.cluster("c1", IpFamily::Ipv4).await;
            base.addons("c1").await;
            base.addon("c1", "kube-proxy", None).await;
            base.addon("c1", "coredns", None).await;
            assert_eq!(status(&base, "kube-proxy").await, AddonStatus::Creating);
            base.sleep(91).await;
            for name in ["vpc-cni", "eks-pod-identity-agent", "kube-proxy"] {
                assert_eq!(status(&base, name).await, AddonStatus::Active, "{name}");
            }
            let found = base.eks.describe_addon().cluster_name("c1").addon_name("coredns").send().await.unwrap();
            let found = found.addon.unwrap();
            assert_eq!(found.status(), Some(&AddonStatus::Degraded));
            assert_eq!(found.health().unwrap().issues()[0].code().unwrap().as_str(), "InsufficientNumberOfReplicas");
            base.nodes("c1").send().await.unwrap();
            base.sleep(270).await;
            assert_eq!(base.nodes_status("c1").await, NodegroupStatus::Active);
            assert_eq!(status(&base, "coredns").await, AddonStatus::Active);
        })
        .await;
}

#[tokio::test]
async fn add_ons_are_made_changed_and_deleted() {
    let base = Base::new(instant()).await;
    base.create("c1", IpFamily::Ipv4).send().await.unwrap();
    let create = || base.eks.create_addon().cluster_name("c1").addon_name("vpc-cni");
    let message = async |call: aws_sdk_eks::operation::create_addon::builders::CreateAddonFluentBuilder| {
        call.send().await.unwrap_err().message().unwrap().to_owned()
    };
    assert!(message(create().addon_version("v9")).await.contains("Addon version specified is not supported"));
    let unknown = message(create().addon_name("fog")).await;
    assert_eq!(unknown, "Addon fog specified is not supported in 1.35 kubernetes version");
    let truth = message(create().configuration_values(r#"{"env":{"ENABLE_V6_EGRESS":true}}"#)).await;
    assert!(truth.contains("$.env.ENABLE_V6_EGRESS: true found, string expected"), "{truth}");
    assert!(message(create().configuration_values(r#"{"fog":1}"#)).await.contains("$.fog: is not defined"));
    assert!(
        message(create().service_account_role_arn("arn:aws:iam::123456789012:role/x")).await.contains("does not exist")
    );
    let configuration = r#"{"env":{"ENABLE_V6_EGRESS":"true"},"init":{"env":{"ENABLE_V6_EGRESS":"true"}}}"#;
    let made = create().configuration_values(configuration).tags("a", "b").send().await.unwrap().addon.unwrap();
    assert_eq!(made.addon_version(), Some("v1.22.1-eksbuild.1"), "the default one");
    assert_eq!(message(create()).await, "Addon already exists.");

    let change = || base.eks.update_addon().cluster_name("c1").addon_name("vpc-cni");
    let identity = AddonPodIdentityAssociations::builder().service_account("aws-node").role_arn(&base.cni);
    let update = change()
        .addon_version("v1.23.1-eksbuild.1")
        .pod_identity_associations(identity.build().unwrap())
        .resolve_conflicts(ResolveConflicts::Overwrite);
    let update = update.send().await.unwrap().update.unwrap();
    let asked = base.eks.describe_update().name("c1").addon_name("vpc-cni").update_id(update.id().unwrap());
    assert_eq!(asked.send().await.unwrap().update.unwrap().r#type().unwrap().as_str(), "AddonUpdate");
    let found = base.eks.describe_addon().cluster_name("c1").addon_name("vpc-cni").send().await.unwrap().addon.unwrap();
    assert_eq!(found.addon_version(), Some("v1.23.1-eksbuild.1"));
    assert_eq!(found.configuration_values(), Some(configuration), "what is not named stays");
    assert_eq!(found.pod_identity_associations().len(), 1);
    change().configuration_values("").send().await.unwrap();
    let tagged = base.eks.list_tags_for_resource().resource_arn(found.addon_arn().unwrap()).send().await.unwrap();
    assert_eq!(tagged.tags().unwrap()["a"], "b");
    let associations = base.eks.list_pod_identity_associations().cluster_name("c1").send().await.unwrap();
    let id = associations.associations()[0].association_id().unwrap();
    let owned = base.eks.delete_pod_identity_association().cluster_name("c1").association_id(id).send().await;
    assert_eq!(code(owned), "InvalidRequestException");

    base.eks.delete_addon().cluster_name("c1").addon_name("vpc-cni").send().await.unwrap();
    let gone = base.eks.describe_addon().cluster_name("c1").addon_name("vpc-cni").send().await.unwrap_err();
    assert_eq!(gone.message(), Some("No addon: vpc-cni found in cluster: c1"));
    let associations = base.eks.list_pod_identity_associations().cluster_name("c1").send().await.unwrap();
    assert!(associations.associations().is_empty());
}

#[tokio::test]
async fn each_kubernetes_version_has_one_default_of_each_add_on() {
    let base = Base::new(instant()).await;
    for kubernetes in ["1.32", "1.33", "1.34", "1.35", "1.36"] {
        let found = base.eks.describe_addon_versions().kubernetes_version(kubernetes).send().await.unwrap();
        let addons = found.addons();
        assert_eq!(addons.len(), 4);
        for addon in addons {
            let all = addon.addon_versions().iter().flat_map(|one| one.compatibilities());
            assert!(all.clone().all(|one| one.cluster_version() == Some(kubernetes)));
            assert_eq!(all.filter(|one| one.default_version()).count(), 1, "{:?} {kubernetes}", addon.addon_name());
        }
    }
    let schema = base.eks.describe_addon_configuration().addon_name("vpc-cni").addon_version("v1.23.1-eksbuild.1");
    let schema = schema.send().await.unwrap();
    assert!(schema.configuration_schema().unwrap().contains("\"init\""));
    assert_eq!(schema.pod_identity_configuration()[0].service_account(), Some("aws-node"));
}

#[tokio::test]
async fn pods_get_roles_by_their_service_account() {
    let base = Base::new(instant()).await;
    base.create("c1", IpFamily::Ipv4).send().await.unwrap();
    let create = |role: &str| {
        let call = base.eks.create_pod_identity_association().cluster_name("c1").namespace("kube-system");
        call.service_account("lbc").role_arn(role).client_request_token("mine")
    };
    let untrusted = create(&base.node).client_request_token("other").send().await.unwrap_err();
    assert!(untrusted.message().unwrap().contains("must allow pods.eks.amazonaws.com"), "{untrusted:?}");
    let made = create(&base.cni).send().await.unwrap().association.unwrap();
    let id = made.association_id().unwrap();
    assert!(id.starts_with("a-") && id.len() == 19, "{id}");
    assert_eq!(create(&base.cni).send().await.unwrap().association.unwrap().association_id(), Some(id));
    let taken = create(&base.cni).client_request_token("other").send().await.unwrap_err();
    assert_eq!(taken.message(), Some(format!("Association already exists: {id}").as_str()));
    let listed =
        base.eks.list_pod_identity_associations().cluster_name("c1").service_account("lbc").send().await.unwrap();
    assert_eq!(listed.associations()[0].association_id(), Some(id));
    let other = role(&base.sandbox, "other", "pods.eks.amazonaws.com", &[]).await;
    let update = base.eks.update_pod_identity_association().cluster_name("c1").association_id(id).role_arn(&other);
    assert_eq!(update.send().await.unwrap().association.unwrap().role_arn(), Some(other.as_str()));
    base.eks.delete_pod_identity_association().cluster_name("c1").association_id(id).send().await.unwrap();
    let gone = base.eks.describe_pod_identity_association().cluster_name("c1").association_id(id).send().await;
    assert_eq!(code(gone), "ResourceNotFoundException");
}
