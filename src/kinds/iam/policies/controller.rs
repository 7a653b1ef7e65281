//! What the AWS Load Balancer Controller may do.

use super::{Partition, Statement, allow, document};
use crate::model::Value;

/// The release of the controller (and of its chart) whose documented actions these are. A newer one may need more:
/// compare its `docs/install/iam_policy.json` before raising this.
pub const CONTROLLER_VERSION: &str = "3.5.0";

/// The tag that the controller puts on everything it makes. What lacks it, the controller may not change.
const OWN: &str = "elbv2.k8s.aws/cluster";

/// The permissions of the controller's role: to look at the network, and to make, change and delete load balancers,
/// target groups and security groups of its own, known by the tag that it gives them.
#[must_use]
pub fn load_balancer_controller(partition: Partition) -> Value {
    let arn = |service: &str, rest: &str| format!("arn:{}:{service}:*:*:{rest}", partition.name());
    let security_groups = arn("ec2", "security-group/*");
    let target_groups = arn("elasticloadbalancing", "targetgroup/*/*");
    let network = arn("elasticloadbalancing", "loadbalancer/net/*/*");
    let application = arn("elasticloadbalancing", "loadbalancer/app/*/*");
    let listeners = ["listener/net/*/*/*", "listener/app/*/*/*", "listener-rule/net/*/*/*", "listener-rule/app/*/*/*"]
        .map(|rest| arn("elasticloadbalancing", rest));
    let listeners = listeners.each_ref().map(String::as_str);
    let balancers_and_groups = [target_groups.as_str(), &network, &application];

    document([
        looks(),
        allow(&["iam:CreateServiceLinkedRole"], &["*"]).when(&[(
            "StringEquals",
            "iam:AWSServiceName",
            "elasticloadbalancing.amazonaws.com",
        )]),
        // Certificates and protection: for load balancers of HTTP, which further releases of a cluster may ask for.
        allow(
            &[
                "acm:DescribeCertificate",
                "acm:ListCertificates",
                "cognito-idp:DescribeUserPoolClient",
                "iam:GetServerCertificate",
                "iam:ListServerCertificates",
                "shield:CreateProtection",
                "shield:DeleteProtection",
                "shield:DescribeProtection",
                "shield:GetSubscriptionState",
                "waf-regional:AssociateWebACL",
                "waf-regional:DisassociateWebACL",
                "waf-regional:GetWebACL",
                "waf-regional:GetWebACLForResource",
                "wafv2:AssociateWebACL",
                "wafv2:DisassociateWebACL",
                "wafv2:GetWebACL",
                "wafv2:GetWebACLForResource",
            ],
            &["*"],
        ),
        // The nodes' security group is EKS's and not its own, and has to let the load balancer in.
        allow(
            &["ec2:AuthorizeSecurityGroupIngress", "ec2:CreateSecurityGroup", "ec2:RevokeSecurityGroupIngress"],
            &["*"],
        ),
        made_with_tag(allow(&["ec2:CreateTags"], &[&security_groups])).when(&[(
            "StringEquals",
            "ec2:CreateAction",
            "CreateSecurityGroup",
        )]),
        retagged(allow(&["ec2:CreateTags", "ec2:DeleteTags"], &[&security_groups])),
        own(allow(&["ec2:DeleteSecurityGroup"], &["*"])),
        made_with_tag(allow(
            &["elasticloadbalancing:CreateLoadBalancer", "elasticloadbalancing:CreateTargetGroup"],
            &["*"],
        )),
        made_with_tag(allow(&["elasticloadbalancing:AddTags"], &balancers_and_groups)).when_any(
            "StringEquals",
            "elasticloadbalancing:CreateAction",
            &["CreateLoadBalancer", "CreateTargetGroup"],
        ),
        retagged(allow(&["elasticloadbalancing:AddTags", "elasticloadbalancing:RemoveTags"], &balancers_and_groups)),
        allow(&["elasticloadbalancing:AddTags", "elasticloadbalancing:RemoveTags"], &listeners),
        own(allow(
            &[
                "elasticloadbalancing:DeleteLoadBalancer",
                "elasticloadbalancing:DeleteTargetGroup",
                "elasticloadbalancing:ModifyCapacityReservation",
                "elasticloadbalancing:ModifyIpPools",
                "elasticloadbalancing:ModifyListenerAttributes",
                "elasticloadbalancing:ModifyLoadBalancerAttributes",
                "elasticloadbalancing:ModifyTargetGroup",
                "elasticloadbalancing:ModifyTargetGroupAttributes",
                "elasticloadbalancing:SetIpAddressType",
                "elasticloadbalancing:SetSecurityGroups",
                "elasticloadbalancing:SetSubnets",
            ],
            &["*"],
        )),
        allow(&["elasticloadbalancing:DeregisterTargets", "elasticloadbalancing:RegisterTargets"], &[&target_groups]),
        // Listeners and rules belong to a load balancer and carry no tag of their own when they are made.
        allow(
            &[
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
            ],
            &["*"],
        ),
    ])
}

/// What the controller reads.
fn looks() -> Statement {
    allow(
        &[
            "ec2:DescribeAccountAttributes",
            "ec2:DescribeAddresses",
            "ec2:DescribeAvailabilityZones",
            "ec2:DescribeCoipPools",
            "ec2:DescribeInstances",
            "ec2:DescribeInternetGateways",
            "ec2:DescribeIpamPools",
            "ec2:DescribeNetworkInterfaces",
            "ec2:DescribeRouteTables",
            "ec2:DescribeSecurityGroups",
            "ec2:DescribeSubnets",
            "ec2:DescribeTags",
            "ec2:DescribeVpcPeeringConnections",
            "ec2:DescribeVpcs",
            "ec2:GetCoipPoolUsage",
            "ec2:GetSecurityGroupsForVpc",
            "elasticloadbalancing:DescribeCapacityReservation",
            "elasticloadbalancing:DescribeListenerAttributes",
            "elasticloadbalancing:DescribeListenerCertificates",
            "elasticloadbalancing:DescribeListeners",
            "elasticloadbalancing:DescribeLoadBalancerAttributes",
            "elasticloadbalancing:DescribeLoadBalancers",
            "elasticloadbalancing:DescribeRules",
            "elasticloadbalancing:DescribeSSLPolicies",
            "elasticloadbalancing:DescribeTags",
            "elasticloadbalancing:DescribeTargetGroupAttributes",
            "elasticloadbalancing:DescribeTargetGroups",
            "elasticloadbalancing:DescribeTargetHealth",
            "elasticloadbalancing:DescribeTrustStores",
        ],
        &["*"],
    )
}

/// On what carries the controller's tag.
fn own(statement: Statement) -> Statement {
    statement.when(&[("Null", &format!("aws:ResourceTag/{OWN}"), "false")])
}

/// In a request that sets the controller's tag.
fn made_with_tag(statement: Statement) -> Statement {
    statement.when(&[("Null", &format!("aws:RequestTag/{OWN}"), "false")])
}

/// On what carries the controller's tag, in a request that leaves that tag as it is.
fn retagged(statement: Statement) -> Statement {
    own(statement).when(&[("Null", &format!("aws:RequestTag/{OWN}"), "true")])
}
