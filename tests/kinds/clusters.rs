//! Clusters and what belongs to them, on any cloud: made, changed in every way that is in place, and taken down.

use std::collections::BTreeMap;

use meshplan::compile::Declaration;
use meshplan::kinds::eks::{access_entry, addon, cluster, nodegroup, pod_identity_association};
use meshplan::kinds::registry;
use meshplan::model::{Address, AttrPath, Clock, Document, Input, Target, Value};
use meshplan::resource::{Cloud, ErrorClass};
use serde::Serialize;

use crate::walk::{Walk, owner};

const REGION: &str = "us-west-2";

/// The account of every simulated cloud here.
const ACCOUNT: &str = "123456789012";

/// What a cloud can do of EKS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parts {
    /// Clusters and node groups, and of changes only tags and the numbers of nodes.
    Nodes,
    /// Clusters, add-ons, access entries and pod identities; clusters do not change.
    Guests,
}

fn declaration<S: Serialize>(address: Address, spec: &S, depends_on: &[&Address]) -> Declaration {
    Declaration {
        address,
        target: Target::aws(REGION),
        spec: Document::of(spec).unwrap(),
        references: Vec::new(),
        depends_on: depends_on.iter().map(|address| (*address).clone()).collect(),
        update_after: Vec::new(),
        notes: Vec::new(),
        origin: AttrPath::root(),
        protected: false,
    }
}

fn tags() -> BTreeMap<String, String> {
    [("meshplan:mesh", "walk"), ("Name", "walk")].map(|(key, value)| (key.to_owned(), value.to_owned())).into()
}

fn value<S: Serialize>(spec: &S) -> Value {
    Document::of(spec).unwrap().value()
}

fn role(name: &str) -> Input<String> {
    format!("arn:aws:iam::{ACCOUNT}:role/walk-{name}").as_str().into()
}

fn control_plane() -> cluster::Spec {
    cluster::Spec {
        name: "walk".to_owned(),
        role_arn: role("control-plane"),
        version: "1.34".to_owned(),
        subnet_ids: vec!["subnet-0a".into(), "subnet-0b".into()],
        security_group_ids: Vec::new(),
        endpoint_public_access: true,
        endpoint_private_access: true,
        public_access_cidrs: vec!["203.0.113.0/24".into()],
        ip_family: cluster::IpFamily::Ipv4,
        service_ipv4_cidr: Some("172.20.0.0/16".to_owned()),
        authentication_mode: "API".to_owned(),
        support_type: "STANDARD".to_owned(),
        auto_mode: None,
        logging: Vec::new(),
        deletion_protection: false,
        bootstrap_creator_admin: false,
        tags: tags(),
    }
}

fn nodes() -> nodegroup::Spec {
    nodegroup::Spec {
        cluster: "walk".into(),
        name: "nodes".to_owned(),
        role_arn: role("node"),
        subnet_ids: vec!["subnet-0a".into(), "subnet-0b".into()],
        instance_types: vec!["m6i.large".to_owned()],
        ami_type: "AL2023_x86_64_STANDARD".to_owned(),
        capacity_type: "ON_DEMAND".to_owned(),
        disk_gib: 20,
        min: 2,
        max: 5,
        desired: 2,
        version: "1.34".to_owned(),
        labels: BTreeMap::from([("mesh".to_owned(), "walk".to_owned())]),
        tags: tags(),
    }
}

fn plug_in() -> addon::Spec {
    let environment = Value::Object([("ENABLE_V6_EGRESS".to_owned(), "true".into())].into());
    addon::Spec {
        cluster: "walk".into(),
        name: "vpc-cni".to_owned(),
        version: "v1.20.4-eksbuild.2".to_owned(),
        kubernetes_version: "1.34".to_owned(),
        configuration: Value::Object([("env".to_owned(), environment)].into()),
        pod_identity: None,
        service_account_role_arn: None,
        tags: tags(),
    }
}

fn policy(name: &str, scope: access_entry::Scope) -> access_entry::Policy {
    access_entry::Policy { policy_arn: format!("arn:aws:eks::aws:cluster-access-policy/{name}"), scope }
}

fn administrator() -> access_entry::Spec {
    access_entry::Spec {
        cluster: "walk".into(),
        principal_arn: format!("arn:aws:iam::{ACCOUNT}:role/walk-admin"),
        policies: vec![policy("AmazonEKSClusterAdminPolicy", access_entry::Scope::Cluster)],
        tags: tags(),
    }
}

fn controller() -> pod_identity_association::Spec {
    pod_identity_association::Spec {
        cluster: "walk".into(),
        namespace: "kube-system".to_owned(),
        service_account: "aws-load-balancer-controller".to_owned(),
        role_arn: role("controller"),
        tags: tags(),
    }
}

/// What a stand-in knows of a cluster is walked through; what it does not know is as it answers it.
pub(crate) async fn walk(cloud: &Cloud, clock: &dyn Clock, parts: Parts) {
    let address = |kind: &str, name: &str| Address::new(kind, &["walk", name]);
    let there = Address::new("eks.cluster", &["walk"]);
    let mut declarations = vec![declaration(there.clone(), &answered(parts), &[])];
    let mut changes = Vec::new();
    match parts {
        Parts::Nodes => {
            let group = address("eks.nodegroup", "nodes");
            declarations.push(declaration(group.clone(), &nodes(), &[&there]));
            let more = nodegroup::Spec { min: 3, max: 6, ..nodes() };
            changes.push((group, value(&more)));
        }
        Parts::Guests => {
            let (cni, admin, pods) = (
                address("eks.addon", "vpc-cni"),
                address("eks.access_entry", "admin"),
                address("eks.pod_identity_association", "controller"),
            );
            declarations.push(declaration(cni.clone(), &plug_in(), &[&there]));
            declarations.push(declaration(admin.clone(), &administrator(), &[&there]));
            declarations.push(declaration(pods.clone(), &controller(), &[&there]));
            let plain = addon::Spec { configuration: Value::Object(BTreeMap::new()), ..plug_in() };
            let federated = addon::Spec { service_account_role_arn: Some(role("cni")), ..plug_in() };
            let namespaces = access_entry::Scope::Namespaces(vec!["istio-system".to_owned(), "sample".to_owned()]);
            let viewer = access_entry::Spec {
                policies: vec![
                    policy("AmazonEKSAdminPolicy", namespaces),
                    policy("AmazonEKSViewPolicy", access_entry::Scope::Cluster),
                ],
                ..administrator()
            };
            let other = pod_identity_association::Spec { role_arn: role("other"), ..controller() };
            changes.extend([
                (cni.clone(), value(&plain)),
                (cni, value(&federated)),
                (admin, value(&viewer)),
                (pods, value(&other)),
            ]);
        }
    }
    let forgotten: &[&str] = match parts {
        Parts::Nodes => &["eks.nodegroup"],
        Parts::Guests => &["eks.cluster", "eks.addon", "eks.access_entry", "eks.pod_identity_association"],
    };
    Walk::of(cloud, clock, declarations).changing(changes).forgetting_tags_of(forgotten).there_and_back().await;
}

/// The cluster as a stand-in answers it: neither keeps all that it is asked for.
fn answered(parts: Parts) -> cluster::Spec {
    let forgetful = cluster::Spec {
        authentication_mode: "CONFIG_MAP".to_owned(),
        support_type: "EXTENDED".to_owned(),
        ..control_plane()
    };
    match parts {
        Parts::Nodes => forgetful,
        Parts::Guests => cluster::Spec { authentication_mode: "API".to_owned(), ..forgetful },
    }
}

/// A name that is taken is said to be; it is never taken over silently.
pub(crate) async fn taken(cloud: &Cloud, clock: &dyn Clock, parts: Parts) {
    let walk = Walk::of(cloud, clock, Vec::new());
    let target = Target::aws(REGION);
    let spec = Document::of(&answered(parts)).unwrap();
    let kind = registry().kind("eks.cluster").unwrap();
    let ours = owner(&Address::new("eks.cluster", &["ours"]));
    let made = walk.patiently(|| kind.create(cloud, &target, &spec, &ours)).await;
    let again = walk.patiently(|| kind.create(cloud, &target, &spec, &ours)).await;
    assert_eq!(again.id, made.id, "one token makes one cluster");

    let theirs = owner(&Address::new("eks.cluster", &["theirs"]));
    assert_eq!(walk.patiently(|| kind.find(cloud, &target, &spec, &theirs)).await, None);
    let refused = kind.create(cloud, &target, &spec, &theirs).await.unwrap_err();
    assert_eq!(refused.class, ErrorClass::Conflict, "{refused}");
    assert!(refused.message.contains("`existing = { name = \"walk\" }`"), "{refused}");
    walk.patiently(|| kind.delete(cloud, &target, &made.id)).await;
}
