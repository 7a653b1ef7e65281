//! What every kind must keep, whatever it does: checked for each line of [`KINDS`].

use std::collections::BTreeSet;

use serde::de::{DeserializeOwned, Deserializer, Error as _, Visitor};

use super::*;
use crate::model::Value;
use crate::resource::ResourceKind;

/// Answers the names of a struct's fields, from how serde reads it.
fn fields_of<T: DeserializeOwned>() -> Vec<&'static str> {
    struct Names<'a>(&'a mut Vec<&'static str>);

    impl<'de> Deserializer<'de> for Names<'_> {
        type Error = serde::de::value::Error;

        fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Self::Error> {
            Err(Self::Error::custom("not a struct"))
        }

        fn deserialize_struct<V: Visitor<'de>>(
            self,
            _: &'static str,
            fields: &'static [&'static str],
            _: V,
        ) -> Result<V::Value, Self::Error> {
            self.0.extend_from_slice(fields);
            Err(Self::Error::custom("only its fields were asked for"))
        }

        serde::forward_to_deserialize_any! {
            bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit unit_struct
            newtype_struct seq tuple tuple_struct map enum identifier ignored_any
        }
    }

    let mut names = Vec::new();
    let read = T::deserialize(Names(&mut names));
    assert!(read.is_err());
    names
}

fn holds_for<K: ResourceKind>(kind: &K, seen: &mut BTreeSet<&'static str>) {
    let name = kind.name();
    assert!(seen.insert(name), "two kinds are called {name}");
    assert!(KINDS.iter().any(|listed| listed.name() == name), "{name} is not listed");
    assert!(
        ["aws.", "eks.", "helm.", "iam.", "istio.", "kubernetes.", "pki.", "teardown."]
            .iter()
            .any(|family| name.starts_with(family))
            && name.bytes().all(|b| b.is_ascii_lowercase() || b"._".contains(&b)),
        "{name} reads like no kind's name"
    );

    let outputs: Vec<&str> = kind.outputs().iter().map(|output| output.name).collect();
    assert_eq!(fields_of::<K::Outputs>(), outputs, "{name}: the outputs are those that its rules name");

    let fields = fields_of::<K::Spec>();
    for rule in kind.fields() {
        let first = rule.path.split('.').next().unwrap();
        assert!(fields.contains(&first), "{name}: there is no field `{}`", rule.path);
        assert!(!rule.traits.is_empty(), "{name}: the rule for `{}` says nothing", rule.path);
    }
    for output in kind.outputs() {
        for field in output.changes_with {
            assert!(fields.contains(field), "{name}: `{}` changes with no field `{field}`", output.name);
        }
    }

    let example = DynKind::example(kind).unwrap();
    let spec: K::Spec = example.decode().unwrap();
    assert_eq!(crate::model::Document::of(&spec).unwrap(), example, "{name}: its example survives a round trip");
    assert_eq!(kind.check(&example.value()), [], "{name}: its own example passes its check");
    assert!(kind.check(&Value::Object([].into())).len() < 100, "{name}: a check is total");

    let wait = kind.wait();
    assert!(!wait.interval.is_zero() && wait.ceiling > wait.interval, "{name}: a wait ends");
    assert!(wait.ceiling.as_secs_f64() > kind.expected().create * 4.0, "{name}: a slow create is no failure");
}

#[test]
fn every_kind_keeps_what_the_contract_asks() {
    let mut seen = BTreeSet::new();
    holds_for(&aws::egress_only_internet_gateway::EgressOnlyInternetGateway, &mut seen);
    holds_for(&aws::eip::Eip, &mut seen);
    holds_for(&aws::existing_network::ExistingNetwork, &mut seen);
    holds_for(&aws::internet_gateway::InternetGateway, &mut seen);
    holds_for(&aws::nat_gateway::NatGateway, &mut seen);
    holds_for(&aws::route::Route, &mut seen);
    holds_for(&aws::route_table::RouteTable, &mut seen);
    holds_for(&aws::security_group_rule::SecurityGroupRule, &mut seen);
    holds_for(&aws::subnet::Subnet, &mut seen);
    holds_for(&aws::vpc::Vpc, &mut seen);
    holds_for(&aws::vpc_peering_connection::VpcPeeringConnection, &mut seen);
    holds_for(&eks::access_entry::AccessEntry, &mut seen);
    holds_for(&eks::addon::Addon, &mut seen);
    holds_for(&eks::cluster::ControlPlane, &mut seen);
    holds_for(&eks::existing_cluster::ExistingCluster, &mut seen);
    holds_for(&eks::nodegroup::Nodegroup, &mut seen);
    holds_for(&eks::pod_identity_association::PodIdentityAssociation, &mut seen);
    holds_for(&helm::release::HelmRelease, &mut seen);
    holds_for(&iam::oidc_provider::OidcProvider, &mut seen);
    holds_for(&iam::role::Role, &mut seen);
    holds_for(&istio::existing_cacerts::ExistingCacerts, &mut seen);
    holds_for(&istio::injector::Injector, &mut seen);
    holds_for(&istio::remote_secret::RemoteSecret, &mut seen);
    holds_for(&kubernetes::existing_cluster::ExistingCluster, &mut seen);
    holds_for(&kubernetes::load_balancer::LoadBalancer, &mut seen);
    holds_for(&kubernetes::manifest::Manifest, &mut seen);
    holds_for(&kubernetes::namespace::Namespace, &mut seen);
    holds_for(&kubernetes::secret::Secret, &mut seen);
    holds_for(&kubernetes::service_account_token::ServiceAccountToken, &mut seen);
    holds_for(&pki::existing_intermediate::ExistingIntermediate, &mut seen);
    holds_for(&pki::existing_root::ExistingRoot, &mut seen);
    holds_for(&pki::intermediate::Intermediate, &mut seen);
    holds_for(&pki::root::Root, &mut seen);
    for sweep in [teardown::Sweep::Interfaces, teardown::Sweep::LoadBalancers, teardown::Sweep::Remains] {
        holds_for(&sweep, &mut seen);
    }
    assert_eq!(seen.len(), KINDS.len(), "a kind is listed and not checked here");
    assert!(KINDS.iter().map(|kind| kind.name()).is_sorted(), "the list is sorted by name");
}

#[test]
fn what_cannot_be_changed_in_place_is_said_so() {
    use crate::model::diff::{Impact, ThreeWay, diff};
    let book = registry().rules();
    let replaces = |kind: &str, field: &str, before: &str, after: &str| {
        let document = |value: &str| -> Value { serde_json::from_str(&format!("{{{field:?}: {value}}}")).unwrap() };
        let (observed, desired) = (document(before), document(after));
        let documents = ThreeWay { desired: &desired, prior: Some(&observed), observed: &observed };
        let changes = diff(documents, book.kind(kind).unwrap().fields(), "salt");
        changes.iter().any(|change| change.impact == Impact::Replace)
    };
    for (kind, field, before, after, expected) in [
        ("aws.vpc", "cidr", "\"10.0.0.0/16\"", "\"10.1.0.0/16\"", true),
        ("aws.vpc", "amazon_ipv6", "false", "true", false),
        ("aws.vpc", "tags", "{\"a\": \"1\"}", "{\"a\": \"2\"}", false),
        ("aws.subnet", "cidr", "\"10.0.0.0/20\"", "\"10.0.16.0/20\"", true),
        ("aws.subnet", "availability_zone_id", "\"usw2-az1\"", "\"usw2-az2\"", true),
        ("aws.subnet", "ipv6_cidr", "null", "\"2600::/64\"", false),
        ("aws.subnet", "ipv6_cidr", "\"2600::/64\"", "\"2601::/64\"", true),
        ("aws.subnet", "route_table_id", "\"rtb-1\"", "\"rtb-2\"", false),
        ("aws.internet_gateway", "vpc_id", "null", "\"vpc-1\"", false),
        ("aws.internet_gateway", "vpc_id", "\"vpc-1\"", "\"vpc-2\"", true),
        ("aws.egress_only_internet_gateway", "vpc_id", "\"vpc-1\"", "\"vpc-2\"", true),
        ("aws.nat_gateway", "allocation_id", "\"eipalloc-1\"", "\"eipalloc-2\"", true),
        ("aws.nat_gateway", "subnet_id", "\"subnet-1\"", "\"subnet-2\"", true),
        ("aws.route_table", "vpc_id", "\"vpc-1\"", "\"vpc-2\"", true),
        ("aws.route", "destination", "\"0.0.0.0/0\"", "\"::/0\"", true),
        ("aws.route", "nat_gateway_id", "\"nat-1\"", "\"nat-2\"", false),
        ("aws.security_group_rule", "cidr", "\"::/0\"", "\"0.0.0.0/0\"", true),
        ("aws.security_group_rule", "description", "\"a\"", "\"b\"", false),
        ("iam.role", "name", "\"a\"", "\"b\"", true),
        ("iam.role", "path", "\"/\"", "\"/a/\"", true),
        ("iam.role", "managed_policies", "[\"a\"]", "[\"b\"]", false),
        ("iam.oidc_provider", "url", "\"https://a\"", "\"https://b\"", true),
        ("iam.oidc_provider", "client_ids", "[\"a\"]", "[\"b\"]", false),
        ("aws.route", "state", "\"blackhole\"", "\"active\"", false),
        ("eks.cluster", "role_arn", "\"arn:1\"", "\"arn:2\"", true),
        ("eks.cluster", "ip_family", "\"ipv4\"", "\"ipv6\"", true),
        ("eks.cluster", "version", "\"1.34\"", "\"1.35\"", false),
        ("eks.cluster", "public_access_cidrs", "[\"10.0.0.0/8\"]", "[]", false),
        ("eks.cluster", "auto_mode", "null", "{\"node_role_arn\": \"arn:1\"}", false),
        ("eks.cluster", "auto_mode", "{\"node_role_arn\": \"arn:1\"}", "{\"node_role_arn\": \"arn:2\"}", true),
        ("eks.addon", "version", "\"default\"", "\"latest\"", false),
        ("eks.nodegroup", "instance_types", "[\"m6i.large\"]", "[\"m7i.large\"]", true),
        ("eks.nodegroup", "version", "\"1.34\"", "\"1.35\"", false),
        ("eks.nodegroup", "max", "5", "6", false),
        ("eks.access_entry", "principal_arn", "\"arn:1\"", "\"arn:2\"", true),
        ("eks.pod_identity_association", "role_arn", "\"arn:1\"", "\"arn:2\"", false),
        ("eks.pod_identity_association", "namespace", "\"a\"", "\"b\"", true),
    ] {
        assert_eq!(replaces(kind, field, before, after), expected, "{kind} {field}: {before} to {after}");
    }
}
