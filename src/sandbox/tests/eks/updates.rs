//! Changes to clusters: one at a time, each of one kind.

use aws_sdk_eks::types::{LogSetup, LogType, Logging, SupportType, UpdateStatus, UpdateType, UpgradePolicyRequest};

use super::*;

async fn state(base: &Base, id: &str) -> UpdateStatus {
    base.eks.describe_update().name("c1").update_id(id).send().await.unwrap().update.unwrap().status.unwrap()
}

fn peers() -> VpcConfigRequest {
    VpcConfigRequest::builder().public_access_cidrs("198.51.100.7/32").build()
}

#[tokio::test]
async fn changes_take_minutes_and_exclude_each_other() {
    let sandbox = realistic();
    sandbox
        .drive(async {
            let base = Base::new(sandbox.clone()).await;
            base.cluster("c1", IpFamily::Ipv4).await;
            let started = sandbox.clock().now();
            let update = || base.eks.update_cluster_config().name("c1").resources_vpc_config(peers());
            let made = update().client_request_token("mine").send().await.unwrap().update.unwrap();
            assert_eq!(made.r#type(), Some(&UpdateType::EndpointAccessUpdate));
            let id = made.id().unwrap();
            let again = update().client_request_token("mine").send().await.unwrap().update.unwrap();
            assert_eq!(again.id(), Some(id));
            assert_eq!(base.status("c1").await, ClusterStatus::Updating);

            let busy = base.eks.update_cluster_version().name("c1").version("1.36").send().await.unwrap_err();
            assert_eq!(busy.code(), Some("ResourceInUseException"));
            let expected = format!("Cannot VersionUpdate because cluster c1 currently has update {id} in progress");
            assert_eq!(busy.message(), Some(expected.as_str()));
            assert_eq!(code(base.eks.delete_cluster().name("c1").send().await), "ResourceInUseException");
            let found = base.eks.describe_cluster().name("c1").send().await.unwrap().cluster.unwrap();
            assert_eq!(found.resources_vpc_config().unwrap().public_access_cidrs(), ["0.0.0.0/0"], "not yet");

            while state(&base, id).await == UpdateStatus::InProgress {
                base.sleep(5).await;
            }
            let took = sandbox.clock().now().duration_since(started).as_secs();
            assert!((120..=610).contains(&took), "{took} s");
            assert_eq!(state(&base, id).await, UpdateStatus::Successful);
            let found = base.eks.describe_cluster().name("c1").send().await.unwrap().cluster.unwrap();
            assert_eq!(found.status(), Some(&ClusterStatus::Active));
            assert_eq!(found.resources_vpc_config().unwrap().public_access_cidrs(), ["198.51.100.7/32"]);
            assert_eq!(found.resources_vpc_config().unwrap().endpoint_private_access(), true);
            let unchanged = update().send().await.unwrap_err();
            assert!(unchanged.message().unwrap().contains("already at the desired configuration"), "{unchanged:?}");

            let started = sandbox.clock().now();
            let made =
                base.eks.update_cluster_version().name("c1").version("1.36").send().await.unwrap().update.unwrap();
            // Nodes and add-ons are not made in the middle of it.
            assert_eq!(code(base.nodes("c1").send().await), "ResourceInUseException");
            while state(&base, made.id().unwrap()).await == UpdateStatus::InProgress {
                base.sleep(5).await;
            }
            let took = sandbox.clock().now().duration_since(started).as_secs();
            assert!((480..=1510).contains(&took), "{took} s");
            let found = base.eks.describe_cluster().name("c1").send().await.unwrap().cluster.unwrap();
            assert_eq!(found.version(), Some("1.36"));
            let updates = base.eks.list_updates().name("c1").send().await.unwrap();
            assert_eq!(updates.update_ids().len(), 2);
        })
        .await;
}

#[tokio::test]
async fn each_kind_of_change_has_its_call() {
    let base = Base::new(instant()).await;
    base.create("c1", IpFamily::Ipv4).version("1.33").send().await.unwrap();
    let config = || base.eks.update_cluster_config().name("c1");
    let standard = UpgradePolicyRequest::builder().support_type(SupportType::Standard).build();
    let two = config().upgrade_policy(standard.clone()).deletion_protection(true).send().await.unwrap_err();
    assert_eq!(two.message(), Some("Only one type of update can be allowed."));
    let nothing = config().send().await.unwrap_err();
    assert_eq!(nothing.message(), Some("The request does not say what to update"));
    config().upgrade_policy(standard).send().await.unwrap();
    let setup = LogSetup::builder().types(LogType::Audit).enabled(true).build();
    let logging = Logging::builder().cluster_logging(setup).build();
    config().logging(logging.clone()).send().await.unwrap();
    assert_eq!(code(config().logging(logging).send().await), "InvalidParameterException");
    let (public, private) = (base.private[0].clone(), base.private[1].clone());
    let subnets = VpcConfigRequest::builder().set_subnet_ids(Some(vec![private, public])).build();
    config().resources_vpc_config(subnets).send().await.unwrap();

    let upgrade = async |version: &str| {
        let answer = base.eks.update_cluster_version().name("c1").version(version).send().await;
        answer.map(|_| ()).map_err(|error| error.message().unwrap_or_default().to_owned())
    };
    assert_eq!(upgrade("1.35").await.unwrap_err(), "Unsupported Kubernetes minor version update from 1.33 to 1.35");
    assert_eq!(upgrade("1.32").await.unwrap_err(), "Unsupported Kubernetes minor version update from 1.33 to 1.32");
    upgrade("1.34").await.unwrap();
    let found = base.eks.describe_cluster().name("c1").send().await.unwrap().cluster.unwrap();
    assert_eq!((found.version(), found.status()), (Some("1.34"), Some(&ClusterStatus::Active)));
    assert_eq!(found.upgrade_policy().unwrap().support_type(), Some(&SupportType::Standard));
    let logging = found.logging().unwrap().cluster_logging();
    assert_eq!((logging[0].types(), logging[0].enabled()), (&[LogType::Audit][..], Some(true)));
    assert_eq!(found.resources_vpc_config().unwrap().subnet_ids()[0], base.private[1]);
    assert_eq!(code(base.eks.describe_update().name("c1").update_id("none").send().await), "ResourceNotFoundException");
}

#[tokio::test]
async fn tags_come_and_go() {
    let base = Base::new(instant()).await;
    let made = base.create("c1", IpFamily::Ipv4).tags("a", "1").send().await.unwrap().cluster.unwrap();
    let arn = made.arn().unwrap();
    base.eks.tag_resource().resource_arn(arn).tags("b", "2").send().await.unwrap();
    base.eks.untag_resource().resource_arn(arn).tag_keys("a").send().await.unwrap();
    let tags = base.eks.list_tags_for_resource().resource_arn(arn).send().await.unwrap().tags.unwrap();
    assert_eq!(tags.into_iter().collect::<Vec<_>>(), [("b".to_owned(), "2".to_owned())]);
    let reserved = base.eks.tag_resource().resource_arn(arn).tags("aws:x", "1").send().await;
    assert_eq!(code(reserved), "InvalidParameterException");
    let absent = base.eks.list_tags_for_resource().resource_arn(arn.replace("c1", "c2")).send().await;
    assert_eq!(code(absent), "ResourceNotFoundException");
    // EC2 does not list the tags of other services.
    let listed = base.ec2.describe_tags().filters(filter("resource-id", "c1")).send().await.unwrap();
    assert!(listed.tags().is_empty());
}

#[tokio::test]
async fn faults_and_throttling_speak_as_the_service_does() {
    let rule = |operation: &str, fault: &str| format!("[[rules]]\noperation = '{operation}'\nfault = '{fault}'\n");
    let text =
        [rule("eks:List*", "throttle"), rule("iam:ListRoles", "throttle"), rule("DescribeCluster", "server-error")];
    let quota = rule("CreateCluster", "quota");
    let faults = Faults::from_toml(&(text.concat() + &quota), Path::new("f")).unwrap();
    let options = Options { persist: false, faults, ..Options::unhindered() };
    let base = Base::new(Sandbox::open(Path::new("unused"), options).unwrap()).await;
    let throttled = base.eks.list_clusters().send().await.unwrap_err();
    assert_eq!(throttled.code(), Some("ThrottlingException"));
    assert_eq!(throttled.raw_response().unwrap().status().as_u16(), 429);
    base.eks.list_clusters().send().await.unwrap();
    assert_eq!(code(base.iam.list_roles().send().await), "Throttling");
    assert_eq!(code(base.eks.describe_cluster().name("c1").send().await), "ServerException");
    assert_eq!(code(base.create("c1", IpFamily::Ipv4).send().await), "ResourceLimitExceededException");
    base.create("c1", IpFamily::Ipv4).send().await.unwrap();
}

#[tokio::test]
async fn too_many_calls_of_one_operation_are_throttled() {
    let options = Options { persist: false, throttle: Some(Throttle::default()), ..Options::unhindered() };
    let sandbox = Sandbox::open(Path::new("unused"), options).unwrap();
    let eks = aws_sdk_eks::Client::new(&client_config(&sandbox));
    let mut codes = Vec::new();
    for _ in 0..30 {
        codes.push(code(eks.delete_cluster().name("none").send().await));
    }
    assert_eq!(codes.iter().filter(|code| *code == "ThrottlingException").count(), 6);
    assert_eq!(code(eks.describe_cluster().name("none").send().await), "ResourceNotFoundException", "each has its own");
}
