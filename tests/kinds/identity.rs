//! Roles, OIDC providers and rules of security groups, on any cloud.

use std::collections::BTreeMap;

use meshplan::compile::Declaration;
use meshplan::kinds::aws::security_group_rule::{self, Direction};
use meshplan::kinds::iam::policies::{self, Partition};
use meshplan::kinds::iam::{oidc_provider, role};
use meshplan::kinds::registry;
use meshplan::model::{Address, AttrPath, Clock, Document, Reference, Target, Value};
use meshplan::resource::{Cloud, ErrorClass, Ownership};
use serde::Serialize;

use crate::walk::{Walk, owner};

const REGION: &str = "us-west-2";

/// An issuer as EKS names them.
const ISSUER: &str = "https://oidc.eks.us-west-2.amazonaws.com/id/0123456789ABCDEF0123456789ABCDEF";

fn declaration<S: Serialize>(address: Address, spec: &S, references: &[&Address]) -> Declaration {
    Declaration {
        address,
        target: Target::aws(REGION),
        spec: Document::of(spec).unwrap(),
        references: references.iter().map(|address| (*address).clone()).collect(),
        depends_on: Vec::new(),
        update_after: Vec::new(),
        notes: Vec::new(),
        origin: AttrPath::root(),
        protected: false,
    }
}

fn tags() -> BTreeMap<String, String> {
    [("meshplan:mesh", "walk"), ("Name", "walk")].map(|(key, value)| (key.to_owned(), value.to_owned())).into()
}

fn role(name: &str) -> role::Spec {
    role::Spec {
        name: format!("walk-{name}"),
        path: "/".to_owned(),
        trust: policies::cluster_trust(false),
        managed_policies: policies::cluster_managed(Partition::Aws, false),
        inline_policies: BTreeMap::new(),
        permissions_boundary: None,
        tags: tags(),
    }
}

/// Roles and the provider that one of them trusts. Not every cloud can change a provider's clients.
pub(crate) async fn roles(cloud: &Cloud, clock: &dyn Clock, changes_clients: bool) {
    let provider = Address::new("iam.oidc_provider", &["c"]);
    let url = ISSUER.into();
    let issuer = oidc_provider::Spec { url, client_ids: vec!["sts.amazonaws.com".to_owned()], tags: tags() };

    let arn = Value::Unknown(Reference::to(&provider, "arn"));
    let trusting = role::Spec {
        trust: policies::irsa_trust(&arn, "kube-system", "aws-node"),
        managed_policies: Vec::new(),
        inline_policies: BTreeMap::from([("ipv6".to_owned(), policies::cni_ipv6(Partition::Aws))]),
        ..role("vpc-cni")
    };
    let plain = Address::new("iam.role", &["c", "control-plane"]);
    let auto = role::Spec {
        trust: policies::cluster_trust(true),
        managed_policies: policies::cluster_managed(Partition::Aws, true),
        inline_policies: BTreeMap::from([
            ("tags".to_owned(), policies::auto_mode_tags(Partition::Aws)),
            ("controller".to_owned(), policies::load_balancer_controller(Partition::Aws)),
        ]),
        permissions_boundary: Some(Partition::Aws.managed_policy("PowerUserAccess")),
        ..role("control-plane")
    };
    let further = oidc_provider::Spec { client_ids: vec!["another".to_owned()], ..issuer.clone() };

    let declarations = vec![
        declaration(provider.clone(), &issuer, &[]),
        declaration(plain.clone(), &role("control-plane"), &[]),
        declaration(Address::new("iam.role", &["c", "vpc-cni"]), &trusting, &[&provider]),
    ];
    let mut changes = vec![(plain, Document::of(&auto).unwrap().value())];
    if changes_clients {
        changes.push((provider, Document::of(&further).unwrap().value()));
    }
    Walk::of(cloud, clock, declarations).changing(changes).there_and_back().await;
}

/// A name that is taken is said to be, and whose the object is; it is never taken over silently.
pub(crate) async fn taken(cloud: &Cloud, clock: &dyn Clock) {
    let walk = Walk::of(cloud, clock, Vec::new());
    let target = Target::aws(REGION);
    let spec = Document::of(&role("taken")).unwrap();
    let kind = registry().kind("iam.role").unwrap();
    let first = owner(&Address::new("iam.role", &["a", "node"]));
    let made = walk.patiently(|| kind.create(cloud, &target, &spec, &first)).await;
    let again = walk.patiently(|| kind.create(cloud, &target, &spec, &first)).await;
    assert_eq!(again.id, made.id, "one token makes one role");

    let second = owner(&Address::new("iam.role", &["b", "node"]));
    assert_eq!(walk.patiently(|| kind.find(cloud, &target, &spec, &second)).await, None);
    let refused = kind.create(cloud, &target, &spec, &second).await.unwrap_err();
    assert_eq!(refused.class, ErrorClass::Conflict);
    assert!(refused.message.contains("role `walk-taken` exists already"), "{refused}");
    assert!(refused.message.contains("meshplan state adopt iam.role/b/node walk-taken"), "{refused}");
    let stranger = Ownership { mesh: "other".to_owned(), ..second };
    let refused = kind.create(cloud, &target, &spec, &stranger).await.unwrap_err();
    assert!(refused.message.contains("it belongs to mesh `walk`"), "{refused}");
    walk.patiently(|| kind.delete(cloud, &target, &made.id)).await;
}

/// Rules in the security group of somebody else. Not every cloud keeps descriptions as EC2 does.
pub(crate) async fn rules(cloud: &Cloud, clock: &dyn Clock, keeps_descriptions: bool) {
    let region = aws_config::Region::from_static(REGION);
    let config = aws_sdk_ec2::config::Builder::from(cloud.aws()).region(region).build();
    let ec2 = aws_sdk_ec2::Client::from_conf(config);
    let vpc = ec2.create_vpc().cidr_block("10.8.0.0/16").send().await.unwrap().vpc.unwrap().vpc_id.unwrap();
    let mut groups = Vec::new();
    for name in ["one", "two"] {
        let request = || ec2.create_security_group().vpc_id(&vpc).group_name(name).description(name).send();
        groups.push(eventually(clock, request).await.group_id.unwrap());
    }

    let rule = |direction, protocol: &str, ports: Option<u16>| security_group_rule::Spec {
        group_id: groups[0].as_str().into(),
        direction,
        protocol: protocol.to_owned(),
        from_port: ports,
        to_port: ports,
        cidr: None,
        source_group_id: None,
        description: "walk".to_owned(),
        tags: tags(),
    };
    let anywhere = |cidr: &str| Some(cidr.into());
    let specs = [
        ("ipv6-egress", security_group_rule::Spec { cidr: anywhere("::/0"), ..rule(Direction::Egress, "-1", None) }),
        (
            "https",
            security_group_rule::Spec { cidr: anywhere("10.0.0.0/8"), ..rule(Direction::Ingress, "tcp", Some(443)) },
        ),
        (
            "peer",
            security_group_rule::Spec {
                source_group_id: anywhere(&groups[1]),
                ..rule(Direction::Ingress, "udp", Some(53))
            },
        ),
    ];
    let mut declarations = Vec::new();
    let mut changes = Vec::new();
    for (name, spec) in &specs {
        let address = Address::new("aws.security_group_rule", &["c", name]);
        if keeps_descriptions {
            let other = security_group_rule::Spec { description: "another".to_owned(), ..spec.clone() };
            changes.push((address.clone(), Document::of(&other).unwrap().value()));
        } else if spec.source_group_id.is_some() {
            continue;
        }
        declarations.push(declaration(address, spec, &[]));
    }
    Walk::of(cloud, clock, declarations).changing(changes).there_and_back().await;

    // What EC2 put there itself is taken over.
    let kind = registry().kind("aws.security_group_rule").unwrap();
    let spec = security_group_rule::Spec { cidr: anywhere("0.0.0.0/0"), ..rule(Direction::Egress, "-1", None) };
    let spec = Document::of(&spec).unwrap();
    let walk = Walk::of(cloud, clock, Vec::new());
    let owner = owner(&Address::new("aws.security_group_rule", &["c", "default"]));
    let target = Target::aws(REGION);
    let taken = walk.patiently(|| kind.create(cloud, &target, &spec, &owner)).await;
    assert!(taken.id.as_str().starts_with("sgr-"), "{}", taken.id);

    for group in &groups {
        eventually(clock, || ec2.delete_security_group().group_id(group).send()).await;
    }
    eventually(clock, || ec2.delete_vpc().vpc_id(&vpc).send()).await;
}

/// The answer, once what the request needs is visible.
pub(crate) async fn eventually<T, E: std::fmt::Debug, F: Future<Output = Result<T, E>>>(
    clock: &dyn Clock,
    request: impl Fn() -> F,
) -> T {
    for _ in 0..60 {
        if let Ok(answer) = request().await {
            return answer;
        }
        clock.sleep(std::time::Duration::from_secs(1)).await;
    }
    request().await.unwrap()
}
