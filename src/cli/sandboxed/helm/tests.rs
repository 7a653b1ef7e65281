//! Releases without helm, against a simulated cluster's API: installed, upgraded, cut off, taken away.

use std::path::Path;

use futures_util::future::ready;

use super::*;
use crate::resource::ClusterAuth;
use crate::sandbox::{Options, Speed};

/// Runs no helm.
#[derive(Debug)]
struct Nobody;

fn nobody<'a, T: 'a>() -> LocalBoxFuture<'a, Result<T, ProviderError>> {
    Box::pin(ready(Err(ProviderError::new(ErrorClass::Invalid, "helm", "there is no helm"))))
}

impl Helm for Nobody {
    fn version(&self) -> LocalBoxFuture<'_, Result<String, ProviderError>> {
        nobody()
    }
    fn read<'a>(
        &'a self,
        _: &'a ClusterAccess,
        _: &'a str,
        _: &'a str,
    ) -> LocalBoxFuture<'a, Result<Option<ReleaseState>, ProviderError>> {
        nobody()
    }
    fn apply<'a>(&'a self, _: &'a ClusterAccess, _: &'a ReleaseOrder) -> LocalBoxFuture<'a, Result<(), ProviderError>> {
        nobody()
    }
    fn rollback<'a>(
        &'a self,
        _: &'a ClusterAccess,
        _: &'a str,
        _: &'a str,
        _: u32,
    ) -> LocalBoxFuture<'a, Result<(), ProviderError>> {
        nobody()
    }
    fn uninstall<'a>(
        &'a self,
        _: &'a ClusterAccess,
        _: &'a str,
        _: &'a str,
    ) -> LocalBoxFuture<'a, Result<(), ProviderError>> {
        nobody()
    }
    fn render<'a>(&'a self, _: &'a ReleaseOrder, _: &'a str) -> LocalBoxFuture<'a, Result<String, ProviderError>> {
        nobody()
    }
}

const REGION: &str = "us-west-2";

/// A cluster whose caller may do everything.
async fn cluster(sandbox: &Sandbox) -> ClusterAccess {
    let config = sandbox.sdk_config().into_builder().region(aws_config::Region::from_static(REGION)).build();
    let (ec2, eks) = (aws_sdk_ec2::Client::new(&config), aws_sdk_eks::Client::new(&config));
    let iam = aws_sdk_iam::Client::new(&config);
    let trust = r#"{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Principal":{"Service":"eks.amazonaws.com"},
        "Action":"sts:AssumeRole"}]}"#;
    let role =
        iam.create_role().role_name("eks").assume_role_policy_document(trust).send().await.unwrap().role.unwrap();
    let policy = "arn:aws:iam::aws:policy/AmazonEKSClusterPolicy";
    iam.attach_role_policy().role_name("eks").policy_arn(policy).send().await.unwrap();
    let vpc = ec2.create_vpc().cidr_block("10.1.0.0/16").send().await.unwrap().vpc.unwrap().vpc_id.unwrap();
    let mut network = aws_sdk_eks::types::VpcConfigRequest::builder();
    for (third, zone) in [(0, "us-west-2a"), (16, "us-west-2b")] {
        let made = ec2.create_subnet().vpc_id(&vpc).cidr_block(format!("10.1.{third}.0/24")).availability_zone(zone);
        network = network.subnet_ids(made.send().await.unwrap().subnet.unwrap().subnet_id.unwrap());
    }
    eks.create_cluster().name("c1").role_arn(role.arn).resources_vpc_config(network.build()).send().await.unwrap();
    let found = eks.describe_cluster().name("c1").send().await.unwrap().cluster.unwrap();
    ClusterAccess {
        endpoint: found.endpoint.unwrap(),
        certificate_authority: found.certificate_authority.unwrap().data.unwrap(),
        auth: ClusterAuth::Eks { cluster: "c1".to_owned(), region: REGION.to_owned() },
    }
}

fn order(chart: &str, values: Value) -> ReleaseOrder {
    ReleaseOrder {
        name: "istio-base".to_owned(),
        namespace: "istio-system".to_owned(),
        chart: chart.to_owned(),
        repository: None,
        version: Some("1.31.0".to_owned()),
        values,
        description: "meshplan mesh1/helm.release/cluster-1/istio-system/istio-base".to_owned(),
        forces_conflicts: false,
        upgrades: false,
    }
}

/// A cluster with a namespace, and helm's stand-in for it.
async fn prepared(sandbox: &Sandbox) -> (SandboxHelm, ClusterAccess) {
    let access = cluster(sandbox).await;
    let helm = SandboxHelm::new(sandbox, Arc::new(sandbox.clock().clone()), Rc::new(Nobody));
    let space = json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "istio-system" } });
    let made = helm.wire.ask(&access, (APPLY, Method::POST), "/api/v1/namespaces", Some((Form::Whole, &space))).await;
    assert!(made.unwrap().is_some());
    (helm, access)
}

fn sandbox() -> Sandbox {
    let options = Options { persist: false, speed: Speed::Unlimited, ..Options::unhindered() };
    Sandbox::open(Path::new("unused"), options).unwrap()
}

#[tokio::test]
async fn a_release_is_recorded_upgraded_rolled_back_and_taken_away() {
    let sandbox = sandbox();
    sandbox
        .drive(async {
            let (helm, access) = prepared(&sandbox).await;
            let read = || helm.read(&access, "istio-system", "istio-base");
            assert_eq!(read().await.unwrap(), None);
            helm.apply(&access, &order("base", json!({}))).await.unwrap();
            let state = read().await.unwrap().unwrap();
            assert_eq!((state.status, state.revision, state.deployed), (ReleaseStatus::Deployed, 1, Some(1)));
            assert_eq!((state.chart.as_str(), state.version.as_str()), ("base", "1.31.0"));
            assert!(state.description.starts_with("meshplan mesh1/"));
            let get = |path: &'static str| helm.wire.ask(&access, (READ, Method::GET), path, None);
            let account = "/api/v1/namespaces/istio-system/serviceaccounts/istio-reader-service-account";
            let found = get(account).await.unwrap().unwrap();
            assert_eq!(found["metadata"]["labels"]["app.kubernetes.io/managed-by"], "Helm");
            assert_eq!(found["metadata"]["annotations"][RELEASE_NAME], "istio-base");
            let definition = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/gateways.networking.istio.io";
            assert!(get(definition).await.unwrap().is_some());

            // An upgrade that no longer has the account takes it away, and a rollback brings it back.
            let without = json!({ "global": { "enableReaderRBAC": false } });
            helm.apply(&access, &order("base", without.clone())).await.unwrap();
            let state = read().await.unwrap().unwrap();
            assert_eq!((state.revision, state.deployed, &state.values), (2, Some(2), &without));
            assert!(get(account).await.unwrap().is_none());
            helm.rollback(&access, "istio-system", "istio-base", 1).await.unwrap();
            let state = read().await.unwrap().unwrap();
            assert_eq!((state.revision, state.status, state.values), (3, ReleaseStatus::Deployed, json!({})));
            assert!(get(account).await.unwrap().is_some());
            let missing = helm.rollback(&access, "istio-system", "istio-base", 9).await.unwrap_err();
            assert_eq!(missing.message, "release has no 9 version");

            helm.uninstall(&access, "istio-system", "istio-base").await.unwrap();
            assert_eq!(read().await.unwrap(), None);
            assert!(get(account).await.unwrap().is_none());
            assert!(get(definition).await.unwrap().is_some(), "definitions are kept, as the chart says");
            helm.uninstall(&access, "istio-system", "istio-base").await.unwrap();
        })
        .await;
}

#[tokio::test]
async fn what_was_cut_off_blocks_the_next_until_it_is_rolled_back() {
    let sandbox = sandbox();
    sandbox
        .drive(async {
            let (helm, access) = prepared(&sandbox).await;
            helm.apply(&access, &order("base", json!({}))).await.unwrap();
            let revisions = helm.revisions(READ, &access, ("istio-system", "istio-base")).await.unwrap();
            let cut = Record { revision: 2, status: "pending-upgrade".to_owned(), ..revisions[0].clone() };
            let secret = cut.secret().unwrap();
            let path = "/api/v1/namespaces/istio-system/secrets";
            helm.wire.ask(&access, (APPLY, Method::POST), path, Some((Form::Whole, &secret))).await.unwrap();
            let state = helm.read(&access, "istio-system", "istio-base").await.unwrap().unwrap();
            assert_eq!((state.status, state.deployed), (ReleaseStatus::PendingUpgrade, Some(1)));
            let refused = helm.apply(&access, &order("base", json!({}))).await.unwrap_err();
            assert_eq!(refused.class, ErrorClass::Busy);
            helm.rollback(&access, "istio-system", "istio-base", 1).await.unwrap();
            helm.apply(&access, &order("base", json!({}))).await.unwrap();
            let state = helm.read(&access, "istio-system", "istio-base").await.unwrap().unwrap();
            assert_eq!((state.status, state.revision), (ReleaseStatus::Deployed, 4));
        })
        .await;
}

#[tokio::test]
async fn objects_of_others_are_not_taken_over() {
    let sandbox = sandbox();
    sandbox
        .drive(async {
            let (helm, access) = prepared(&sandbox).await;
            let own = json!({
                "apiVersion": "v1", "kind": "ServiceAccount", "metadata": { "name": "istio-reader-service-account" },
            });
            let path = "/api/v1/namespaces/istio-system/serviceaccounts";
            helm.wire.ask(&access, (APPLY, Method::POST), path, Some((Form::Whole, &own))).await.unwrap();
            let refused = helm.apply(&access, &order("base", json!({}))).await.unwrap_err();
            assert_eq!(refused.class, ErrorClass::Conflict);
            assert!(refused.message.contains("cannot be imported into the current release"), "{refused}");
            assert_eq!(helm.read(&access, "istio-system", "istio-base").await.unwrap(), None, "nothing was recorded");

            // A chart that is not known is recorded, and has nothing.
            helm.apply(&access, &order("./charts/sample", json!({ "versions": 2 }))).await.unwrap();
            let state = helm.read(&access, "istio-system", "istio-base").await.unwrap().unwrap();
            assert_eq!((state.chart.as_str(), state.manifest.as_str()), ("sample", ""));
            assert!(helm.version().await.unwrap().contains("sandbox"));
            // Other clusters are the program's, and from then on so is helm itself.
            let other = ClusterAccess { endpoint: "https://127.0.0.1:6443".to_owned(), ..access.clone() };
            assert_eq!(helm.read(&other, "a", "b").await.unwrap_err().message, "there is no helm");
            assert_eq!(helm.version().await.unwrap_err().message, "there is no helm");
        })
        .await;
}
