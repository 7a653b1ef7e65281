//! A whole cluster in a whole network: every kind of EKS on the sandbox, as the engine would make them but without it.

use std::collections::BTreeMap;
use std::path::Path;

use meshplan::compile::{Declaration, compile};
use meshplan::kinds::eks::{access_entry, addon, cluster, existing_cluster, nodegroup, pod_identity_association};
use meshplan::kinds::iam::policies::{self, Partition};
use meshplan::kinds::iam::role;
use meshplan::kinds::registry;
use meshplan::model::{Address, AttrPath, Clock, Document, Input, Reference, Target, Value};
use meshplan::resource::{Cloud, Deletion, KindRules, RemoteId, Status};
use meshplan::sandbox::{Options, Sandbox, Speed};
use meshplan::topology::parse;
use serde::Serialize;

use crate::run;
use crate::walk::{Made, Walk, owner};

const REGION: &str = "us-west-2";

/// What is declared, and what of it.
struct Whole {
    network: Vec<Address>,
    declarations: Vec<Declaration>,
    account: String,
    ipv6: bool,
}

fn sandbox() -> Sandbox {
    let options = Options { persist: false, speed: Speed::Unlimited, ..Options::default() };
    Sandbox::open(Path::new("unused"), options).unwrap()
}

fn tags() -> BTreeMap<String, String> {
    [("meshplan:mesh", "walk"), ("Name", "walk")].map(|(key, value)| (key.to_owned(), value.to_owned())).into()
}

fn value<S: Serialize>(spec: &S) -> Value {
    Document::of(spec).unwrap().value()
}

fn at(kind: &str, name: &str) -> Address {
    Address::new(kind, &["walk", name])
}

fn there() -> Address {
    Address::new("eks.cluster", &["walk"])
}

fn name_of_cluster() -> Input<String> {
    Reference::to(&there(), "name").into()
}

fn arn_of(name: &str) -> Input<String> {
    Reference::to(&at("iam.role", name), "arn").into()
}

impl Whole {
    fn new(ipv6: bool) -> Self {
        let text = format!(
            "schema = 1\n[mesh]\nid = \"walk\"\nregion = \"{REGION}\"\n\
             [networks.n]\ncidr = \"10.7.0.0/16\"\nazs = 2\ndual_stack = true\n"
        );
        let declarations = compile(&parse(&text).topology.unwrap()).declarations;
        let network = declarations.iter().map(|declaration| declaration.address.clone()).collect();
        Self { network, declarations, account: Options::default().account, ipv6 }
    }

    /// Declares one more, after what it refers to and these.
    fn declare<S: Serialize>(&mut self, address: Address, spec: &S, depends_on: &[Address]) {
        let spec = Document::of(spec).unwrap();
        let mut references: Vec<Address> =
            spec.value().references().iter().map(|reference| reference.address.clone()).collect();
        references.sort_unstable();
        references.dedup();
        self.declarations.push(Declaration {
            address,
            target: Target::aws(REGION),
            spec,
            references,
            depends_on: depends_on.to_vec(),
            update_after: Vec::new(),
            notes: Vec::new(),
            origin: AttrPath::root(),
            protected: false,
        });
    }

    fn role(&mut self, name: &str, trust: Value, managed_policies: Vec<String>, inline: Option<Value>) {
        let inline_policies = inline.map(|document| ("walk".to_owned(), document)).into_iter().collect();
        let spec = role::Spec {
            name: format!("walk-{name}"),
            path: "/".to_owned(),
            trust,
            managed_policies,
            inline_policies,
            permissions_boundary: None,
            tags: tags(),
        };
        self.declare(at("iam.role", name), &spec, &[]);
    }

    fn roles(&mut self, plug_in: Option<Value>) {
        let aws = Partition::Aws;
        self.role("control-plane", policies::cluster_trust(false), policies::cluster_managed(aws, false), None);
        self.role("node", policies::node_trust(aws), policies::node_managed(aws, false), None);
        let managed = if self.ipv6 { Vec::new() } else { policies::cni_ipv4_managed(aws) };
        self.role("vpc-cni", policies::pod_identity_trust(), managed, plug_in);
        self.role("controller", policies::pod_identity_trust(), Vec::new(), None);
    }

    fn subnets(&self) -> Vec<Input<String>> {
        let private = |address: &&Address| address.as_str().starts_with("aws.subnet/n/private");
        self.network.iter().filter(private).map(|address| Reference::to(address, "subnet_id").into()).collect()
    }

    fn cluster(&self) -> cluster::Spec {
        cluster::Spec {
            name: "walk".to_owned(),
            role_arn: arn_of("control-plane"),
            version: "1.34".to_owned(),
            subnet_ids: self.subnets(),
            security_group_ids: Vec::new(),
            endpoint_public_access: true,
            endpoint_private_access: true,
            public_access_cidrs: vec!["203.0.113.0/24".into()],
            ip_family: if self.ipv6 { cluster::IpFamily::Ipv6 } else { cluster::IpFamily::Ipv4 },
            service_ipv4_cidr: (!self.ipv6).then(|| "172.20.0.0/16".to_owned()),
            authentication_mode: "API".to_owned(),
            support_type: "STANDARD".to_owned(),
            auto_mode: None,
            logging: Vec::new(),
            deletion_protection: false,
            bootstrap_creator_admin: true,
            tags: tags(),
        }
    }

    fn nodes(&self) -> nodegroup::Spec {
        nodegroup::Spec {
            cluster: name_of_cluster(),
            name: "nodes".to_owned(),
            role_arn: arn_of("node"),
            subnet_ids: self.subnets(),
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

    /// Whoever made the cluster: EKS has made an entry for it.
    fn creator(&self) -> access_entry::Spec {
        let scope = access_entry::Scope::Cluster;
        access_entry::Spec {
            cluster: name_of_cluster(),
            principal_arn: format!("arn:aws:iam::{}:user/sandbox", self.account),
            policies: vec![policy("AmazonEKSClusterAdminPolicy", scope)],
            tags: tags(),
        }
    }

    fn plug_in(&mut self) {
        let identity = addon::PodIdentity { service_account: "aws-node".to_owned(), role_arn: arn_of("vpc-cni") };
        self.declare(
            at("eks.addon", "vpc-cni"),
            &addon::Spec { pod_identity: Some(identity), ..add_on("vpc-cni") },
            &[],
        );
        for name in ["kube-proxy", "eks-pod-identity-agent"] {
            self.declare(at("eks.addon", name), &add_on(name), &[]);
        }
    }

    /// The specs with their holes filled, for changes.
    fn filled<S: Serialize>(spec: &S, made: &BTreeMap<Address, Made>) -> Value {
        let mut output = |reference: &Reference| made[&reference.address].outputs.get(&reference.output).cloned();
        value(spec).fill(&mut output).unwrap()
    }
}

fn add_on(name: &str) -> addon::Spec {
    addon::Spec {
        cluster: name_of_cluster(),
        name: name.to_owned(),
        version: "default".to_owned(),
        kubernetes_version: "1.34".to_owned(),
        configuration: Value::Object(BTreeMap::new()),
        pod_identity: None,
        service_account_role_arn: None,
        tags: tags(),
    }
}

fn policy(name: &str, scope: access_entry::Scope) -> access_entry::Policy {
    access_entry::Policy { policy_arn: format!("arn:aws:eks::aws:cluster-access-policy/{name}"), scope }
}

fn controller() -> pod_identity_association::Spec {
    pod_identity_association::Spec {
        cluster: name_of_cluster(),
        namespace: "kube-system".to_owned(),
        service_account: "aws-load-balancer-controller".to_owned(),
        role_arn: arn_of("controller"),
        tags: tags(),
    }
}

#[test]
fn a_whole_cluster_on_the_sandbox() {
    let sandbox = sandbox();
    let cloud = Cloud::new(sandbox.sdk_config());
    let mut whole = Whole::new(false);
    whole.roles(None);
    whole.declare(there(), &whole.cluster(), &[]);
    whole.plug_in();
    let mut ready: Vec<Address> = whole.network.clone();
    ready.extend([
        at("eks.addon", "vpc-cni"),
        at("eks.addon", "kube-proxy"),
        at("eks.addon", "eks-pod-identity-agent"),
    ]);
    whole.declare(at("eks.nodegroup", "nodes"), &whole.nodes(), &ready);
    whole.declare(at("eks.addon", "coredns"), &add_on("coredns"), &[at("eks.nodegroup", "nodes")]);
    whole.declare(at("eks.access_entry", "creator"), &whole.creator(), &[]);
    whole.declare(at("eks.pod_identity_association", "controller"), &controller(), &[]);

    let declared: std::collections::BTreeSet<&str> =
        whole.declarations.iter().map(|declaration| declaration.address.kind()).collect();
    let registry = registry();
    let all = registry.kinds().map(KindRules::name).filter(|name| name.starts_with("eks."));
    let left_out: Vec<&str> = all.filter(|name| !declared.contains(name)).collect();
    assert_eq!(left_out, ["eks.existing_cluster"], "it is looked at below");

    let walk = Walk::of(&cloud, sandbox.clock(), whole.declarations.clone());
    run(sandbox.drive(walk.there_and_back_by(async |made| {
        change(&walk, &whole, made).await;
        look_as_a_stranger(&cloud, made).await;
        // Nodes leave interfaces behind, which hold the subnets.
        walk.unmake(&made[&at("eks.nodegroup", "nodes")]).await;
        sweep(&walk, &cloud, sandbox.clock(), made).await;
    })));
}

async fn sweep(walk: &Walk<'_>, cloud: &Cloud, clock: &dyn Clock, made: &BTreeMap<Address, Made>) {
    let kind = registry().kind("teardown.interfaces").unwrap();
    let vpc = made.iter().find(|(address, _)| address.kind() == "aws.vpc").unwrap().1.outputs.get("vpc_id");
    let id = RemoteId::new(format!("walk|{}", vpc.and_then(Value::as_str).unwrap()));
    let target = Target::aws(REGION);
    loop {
        match walk.patiently(|| kind.delete(cloud, &target, &id)).await {
            Deletion::Accepted => return,
            Deletion::Again => {}
            Deletion::Later(_) => clock.sleep(kind.wait().interval).await,
        }
    }
}

/// Every change in place: one after the other, and the way up in the order of an upgrade.
async fn change(walk: &Walk<'_>, whole: &Whole, made: &BTreeMap<Address, Made>) {
    let fill = |spec: &Value| Whole::filled(spec, made);
    let (nodes, creator) = (at("eks.nodegroup", "nodes"), at("eks.access_entry", "creator"));
    let namespaces = access_entry::Scope::Namespaces(vec!["istio-system".to_owned(), "sample".to_owned()]);
    let closed = cluster::Spec {
        endpoint_public_access: false,
        public_access_cidrs: Vec::new(),
        deletion_protection: true,
        ..whole.cluster()
    };
    let wider = cluster::Spec { public_access_cidrs: vec!["0.0.0.0/0".into()], ..whole.cluster() };
    let replicas = Value::Object([("replicaCount".to_owned(), serde_json::from_str("3").unwrap())].into());
    let more = nodegroup::Spec {
        min: 3,
        max: 6,
        labels: BTreeMap::from([("other".to_owned(), "walk".to_owned())]),
        ..whole.nodes()
    };
    let viewer = access_entry::Spec { policies: vec![policy("AmazonEKSViewPolicy", namespaces)], ..whole.creator() };
    let other = pod_identity_association::Spec { role_arn: arn_of("vpc-cni"), ..controller() };
    for (address, changed, back) in [
        (there(), value(&closed), value(&whole.cluster())),
        (there(), value(&wider), value(&whole.cluster())),
        (
            at("eks.addon", "coredns"),
            value(&addon::Spec { configuration: replicas, version: "latest".to_owned(), ..add_on("coredns") }),
            value(&add_on("coredns")),
        ),
        (nodes.clone(), value(&more), value(&whole.nodes())),
        (creator, value(&viewer), value(&whole.creator())),
        (at("eks.pod_identity_association", "controller"), value(&other), value(&controller())),
    ] {
        let (changed, back) = (fill(&changed), fill(&back));
        walk.bring(&made[&address], &back, &changed).await;
        walk.bring(&made[&address], &changed, &back).await;
    }
    let next = "1.35".to_owned();
    for (address, before, after) in [
        (there(), value(&whole.cluster()), value(&cluster::Spec { version: next.clone(), ..whole.cluster() })),
        (
            at("eks.addon", "kube-proxy"),
            value(&add_on("kube-proxy")),
            value(&addon::Spec { kubernetes_version: next.clone(), ..add_on("kube-proxy") }),
        ),
        (nodes, value(&whole.nodes()), value(&nodegroup::Spec { version: next, ..whole.nodes() })),
    ] {
        walk.bring(&made[&address], &fill(&before), &fill(&after)).await;
    }
}

/// What was made holds everything that is asked of an existing cluster.
async fn look_as_a_stranger(cloud: &Cloud, made: &BTreeMap<Address, Made>) {
    let kind = registry().kind("eks.existing_cluster").unwrap();
    let vpc = made.iter().find(|(address, _)| address.kind() == "aws.vpc").unwrap().1;
    let look = async |spec: &existing_cluster::Spec| {
        let ids = [kind.known_id(&value(spec)).unwrap()];
        kind.read_many(cloud, &Target::aws(REGION), &ids).await.unwrap().pop().unwrap()
    };
    let spec = existing_cluster::Spec {
        name: "walk".to_owned(),
        ip_family: cluster::IpFamily::Ipv4,
        vpc_id: vpc.outputs.get("vpc_id").and_then(Value::as_str).map(Input::from),
    };
    let live = look(&spec).await.unwrap();
    assert_eq!((live.status, live.spec.value()), (Status::Ready, value(&spec)));
    let seen = live.outputs.value();
    for output in ["endpoint", "certificate_authority", "cluster_security_group_id", "oidc_issuer", "service_cidr"] {
        assert_eq!(seen.get(output), made[&there()].outputs.get(output), "{output}");
    }
    assert_eq!(seen.get("version"), Some(&"1.35".into()));
    let other = existing_cluster::Spec { ip_family: cluster::IpFamily::Ipv6, ..spec.clone() };
    let Status::Failed(why) = look(&other).await.unwrap().status else { panic!("any family passes") };
    assert!(why.contains("walk has ip_family ipv4, and the topology says ipv6"), "{why}");
    assert_eq!(look(&existing_cluster::Spec { name: "none".to_owned(), ..spec }).await, None);
}

#[test]
fn nodes_that_do_not_join_are_told_why() {
    let sandbox = sandbox();
    let cloud = Cloud::new(sandbox.sdk_config());
    let mut whole = Whole::new(true);
    // As AWS's documentation had it before the plug-in asked for more when it starts.
    let Value::Object(document) = policies::cni_ipv6(Partition::Aws) else { panic!("a policy is an object") };
    let text = serde_json::to_string(&document).unwrap();
    let text = text.replace("\"ec2:DescribeSecurityGroups\",", "").replace("\"ec2:DescribeSubnets\",", "");
    assert!(!text.contains("DescribeSubnets"), "{text}");
    whole.roles(Some(serde_json::from_str(&text).unwrap()));
    whole.declare(there(), &whole.cluster(), &[]);
    whole.plug_in();
    let nodes = whole.nodes();
    let walk = Walk::of(&cloud, sandbox.clock(), whole.declarations.clone());
    run(sandbox.drive(walk.there_and_back_by(async |there| {
        let kind = registry().kind("eks.nodegroup").unwrap();
        let target = Target::aws(REGION);
        let spec = Document::of(&Whole::filled(&nodes, there)).unwrap();
        let owner = owner(&at("eks.nodegroup", "nodes"));
        let made = walk.patiently(|| kind.create(&cloud, &target, &spec, &owner)).await;
        sandbox.clock().sleep(kind.wait().suspect.unwrap()).await;
        let read = walk.patiently(|| kind.read_many(&cloud, &target, std::slice::from_ref(&made.id))).await;
        let live = read.into_iter().next().flatten().unwrap();
        assert_eq!(live.status, Status::Pending("state is CREATING".to_owned()));
        let findings = walk.patiently(|| kind.diagnose(&cloud, &target, &made.id)).await;
        assert_eq!(
            findings,
            [
                "the vpc-cni add-on's role walk-vpc-cni may not ec2:DescribeSubnets, ec2:DescribeSecurityGroups: aws-node \
                 does not start, and no node gets ready"
            ]
        );
        walk.remove(kind, &target, &made.id).await;
    })));
}
