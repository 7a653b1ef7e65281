//! The documents as IAM would get them.

use std::collections::BTreeSet;

use super::*;
use crate::kinds::iam::policy::{read, wire};
use crate::model::{Address, Reference};

const ALL: [Partition; 3] = [Partition::Aws, Partition::China, Partition::GovCloud];

/// What IAM lets the inline policies of one role have together, without white space ("IAM and AWS STS quotas").
const INLINE: usize = 10_240;

fn documents(partition: Partition) -> Vec<Value> {
    vec![
        cluster_trust(false),
        cluster_trust(true),
        node_trust(partition),
        pod_identity_trust(),
        irsa_trust(&"arn:aws:iam::111122223333:oidc-provider/issuer.example/id/A".into(), "kube-system", "aws-node"),
        cni_ipv6(partition),
        auto_mode_tags(partition),
        load_balancer_controller(partition),
    ]
}

#[test]
fn each_is_canonical_and_comes_back_from_iam_as_it_was() {
    for document in ALL.into_iter().flat_map(documents) {
        assert_eq!(canonical(document.clone()), document);
        let sent = wire(&document).unwrap();
        assert_eq!(read(&sent).unwrap(), document);
        assert!(sent.len() < INLINE, "{} characters are too many for an inline policy", sent.len());
    }
}

#[test]
fn arns_are_of_the_partition() {
    for partition in ALL {
        let foreign: Vec<String> =
            ALL.iter().filter(|other| **other != partition).map(|other| format!("arn:{}:", other.name())).collect();
        for document in [cni_ipv6(partition), auto_mode_tags(partition), load_balancer_controller(partition)] {
            let sent = wire(&document).unwrap();
            assert!(sent.contains(&format!("arn:{}:", partition.name())));
            assert!(!foreign.iter().any(|arn| sent.contains(arn)), "{sent}");
        }
    }
    assert_eq!(Partition::of_region("us-west-2"), Partition::Aws);
    assert_eq!(Partition::of_region("cn-north-1"), Partition::China);
    assert_eq!(Partition::of_region("us-gov-west-1"), Partition::GovCloud);
    assert_eq!(cluster_managed(Partition::GovCloud, false), ["arn:aws-us-gov:iam::aws:policy/AmazonEKSClusterPolicy"]);
    assert_eq!(cluster_managed(Partition::Aws, true).len(), 5);
    assert!(node_managed(Partition::Aws, true)[1].ends_with("AmazonEKSWorkerNodeMinimalPolicy"));
}

#[test]
fn the_trust_of_a_cluster_is_what_eks_asks_for() {
    assert_eq!(
        wire(&cluster_trust(true)).unwrap(),
        concat!(
            r#"{"Statement":[{"Action":["sts:AssumeRole","sts:TagSession"],"Effect":"Allow","#,
            r#""Principal":{"Service":["eks.amazonaws.com"]}}],"Version":"2012-10-17"}"#
        )
    );
    assert!(!wire(&cluster_trust(false)).unwrap().contains("TagSession"));
    assert!(wire(&node_trust(Partition::China)).unwrap().contains("ec2.amazonaws.com.cn"));
}

#[test]
fn the_ipv6_policy_has_what_the_plug_in_asks_for_when_it_starts() {
    let sent = wire(&cni_ipv6(Partition::Aws)).unwrap();
    for action in ["ec2:AssignIpv6Addresses", "ec2:DescribeSubnets", "ec2:DescribeSecurityGroups", "ec2:CreateTags"] {
        assert!(sent.contains(action), "{action}");
    }
}

#[test]
fn a_service_account_is_trusted_before_its_provider_is_known() {
    let provider = Reference::to(&Address::new("iam.oidc_provider", &["c"]), "arn");
    let trust = irsa_trust(&Value::Unknown(provider.clone()), "kube-system", "aws-node");
    assert_eq!(trust.references(), [&provider]);
    let arn = "arn:aws:iam::111122223333:oidc-provider/oidc.eks.us-west-2.amazonaws.com/id/ABC";
    let known = trust.fill(&mut |_| Some(arn.into())).unwrap();
    assert_eq!(canonical(known.clone()), known, "filling leaves it canonical");
    let sent = wire(&known).unwrap();
    assert!(sent.contains(r#""oidc.eks.us-west-2.amazonaws.com/id/ABC:aud":["sts.amazonaws.com"]"#), "{sent}");
    assert!(
        sent.contains(
            r#""oidc.eks.us-west-2.amazonaws.com/id/ABC:sub":["system:serviceaccount:kube-system:aws-node"]"#
        )
    );
}

/// Every action, and the resources and conditions under which it is allowed.
fn grants(document: &Value) -> BTreeSet<(String, String, String)> {
    let Some(Value::Array(statements)) = document.get("Statement") else { panic!("no statements") };
    let mut grants = BTreeSet::new();
    for statement in statements {
        let field = |name: &str| statement.get(name).map(ToString::to_string).unwrap_or_default();
        let Some(Value::Array(actions)) = statement.get("Action") else { panic!("no actions") };
        for action in actions {
            grants.insert((action.to_string(), field("Resource"), field("Condition")));
        }
    }
    grants
}

#[test]
fn the_controller_changes_only_what_carries_its_tag() {
    let grants = grants(&load_balancer_controller(Partition::Aws));
    let free: Vec<&str> = grants
        .iter()
        .filter(|(action, resource, condition)| {
            let reads = ["Describe", "Get", "List"].iter().any(|verb| action.contains(&format!(":{verb}")));
            !reads && condition.is_empty() && resource == "[\"*\"]"
        })
        .map(|(action, _, _)| action.trim_matches('"'))
        .collect();
    // As in the controller's own policy: what has no tag yet, or never carries one.
    assert_eq!(
        free,
        [
            "ec2:AuthorizeSecurityGroupIngress",
            "ec2:CreateSecurityGroup",
            "ec2:RevokeSecurityGroupIngress",
            "elasticloadbalancing:AddListenerCertificates",
            "elasticloadbalancing:CreateListener",
            "elasticloadbalancing:CreateRule",
            "elasticloadbalancing:DeleteListener",
            "elasticloadbalancing:DeleteRule",
            "elasticloadbalancing:ModifyListener",
            "elasticloadbalancing:ModifyRule",
            "elasticloadbalancing:RemoveListenerCertificates",
            "elasticloadbalancing:SetRulePriorities",
            "elasticloadbalancing:SetWebAcl",
            "shield:CreateProtection",
            "shield:DeleteProtection",
            "waf-regional:AssociateWebACL",
            "waf-regional:DisassociateWebACL",
            "wafv2:AssociateWebACL",
            "wafv2:DisassociateWebACL",
        ]
    );
    let actions: BTreeSet<&str> = grants.iter().map(|(action, _, _)| action.as_str()).collect();
    assert_eq!(actions.len(), 80, "the documented actions of release {CONTROLLER_VERSION}");
}
