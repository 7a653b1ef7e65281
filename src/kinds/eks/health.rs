//! What EKS says about the health of clusters, add-ons and node groups, with the remedy that it does not say.
//!
//! Entry point: [`sentences`]. The codes are those of the API's issue types; the remedies follow the EKS user guide's
//! troubleshooting pages.

/// An issue, whoever has it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Issue<'a> {
    /// EKS's code.
    pub(super) code: Option<&'a str>,
    /// EKS's words.
    pub(super) message: Option<&'a str>,
    /// What is concerned.
    pub(super) resources: &'a [String],
}

/// How many of the concerned things are named.
const NAMED: usize = 3;

/// The issues, a sentence each: code, what is concerned, EKS's words, and what to do.
pub(super) fn sentences<'a>(issues: impl Iterator<Item = Issue<'a>>) -> Vec<String> {
    let mut said: Vec<String> = issues.map(sentence).collect();
    said.dedup();
    said
}

fn sentence(issue: Issue<'_>) -> String {
    let code = issue.code.unwrap_or("Unknown");
    let mut text = code.to_owned();
    if !issue.resources.is_empty() {
        let more = issue.resources.len().saturating_sub(NAMED);
        let named = issue.resources.iter().take(NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        text = format!("{text} ({named}{more})");
    }
    if let Some(message) = issue.message.map(|message| message.trim().trim_end_matches('.')) {
        text = format!("{text}: {message}");
    }
    match remedy(code) {
        Some(remedy) => format!("{text}: {remedy}"),
        None => text,
    }
}

/// What to do about an issue; `None` where EKS's words are all that can be said.
fn remedy(code: &str) -> Option<&'static str> {
    Some(match code {
        "AccessDenied" => {
            "EKS or the nodes lack a permission: check the policies of the role, and the service control policies of \
             the account"
        }
        "IamRoleNotFound" | "IamNodeRoleNotFound" => "the role was deleted: apply again to make it anew",
        "IamInstanceProfileNotFound" => "the instance profile of the nodes was deleted: replace the node group",
        "IamLimitExceeded" => "a quota of IAM is used up: ask for more, or delete roles and instance profiles",
        "IamThrottling" | "AutoScalingGroupRateLimitExceeded" => "AWS throttled EKS: apply again in a few minutes",
        "InsufficientFreeAddresses" | "IpNotAvailable" => "free addresses in the subnets, or use larger ones",
        "EniLimitReached" => "the quota of network interfaces is used up: ask for more, or delete unused ones",
        "Ec2SubnetNotFound" | "SubnetNotFound" => "a subnet was deleted: apply again to make it anew",
        "Ec2SubnetMissingIpv6Assignment" => {
            "the subnets of IPv6 nodes must assign IPv6 addresses: set assignIpv6AddressOnCreation on them"
        }
        "Ec2SubnetInvalidConfiguration" => {
            "nodes in these subnets get no public address and have no other way out: give the subnets a route to a NAT \
             gateway, or let them assign public addresses"
        }
        "Ec2SubnetListTooLong" => "use fewer subnets",
        "Ec2SecurityGroupNotFound" | "SecurityGroupNotFound" => {
            "the cluster's security group was deleted, and EKS does not make it anew: replace the cluster"
        }
        "VpcNotFound" | "VpcIdNotFound" => "the VPC was deleted: apply again to make it anew",
        "NodeCreationFailure" => {
            "nodes start and do not join: check the node role's policies, the vpc-cni add-on's role, and the subnets' \
             way out"
        }
        "AsgInstanceLaunchFailures" => {
            "EC2 does not start the instances: the message says why (capacity of that type in the zone, a quota, a \
             service-linked role); other instance types or zones help against lack of capacity"
        }
        "InstanceLimitExceeded" => "the quota of running instances is used up: ask for more vCPUs of that family",
        "LimitExceeded" | "ResourceLimitExceeded" => "a quota of the account is used up: ask for more",
        "Ec2InstanceTypeDoesNotExist" => "choose an instance type that the region offers",
        "AmiIdNotFound" => "the machine image is gone: update the node group to a release that exists",
        "AutoScalingGroupNotFound" | "Ec2LaunchTemplateNotFound" => {
            "somebody deleted what EKS made for the node group: replace the node group"
        }
        "AutoScalingGroupInvalidConfiguration" | "Ec2LaunchTemplateVersionMismatch" => {
            "somebody changed what EKS made for the node group: undo that, or replace the node group"
        }
        "AutoScalingGroupInstanceRefreshActive" => "an instance refresh is under way: wait for its end or cancel it",
        "ClusterUnreachable" => {
            "EKS does not reach the API server: look for admission webhooks that time out, and at the cluster's \
             security group"
        }
        "NodeTerminationFailure" => "nodes do not end: look at their instances in EC2",
        "PodEvictionFailure" => "a PodDisruptionBudget keeps pods from being moved: relax it, then apply again",
        "KubernetesLabelInvalid" => "a label of the nodes is not a label of Kubernetes: correct it",
        "InternalFailure" | "Unknown" | "Other" => "apply again; if it stays, ask AWS support",
        "KmsKeyDisabled" | "KmsKeyNotFound" | "KmsKeyMarkedForDeletion" | "KmsGrantRevoked" => {
            "the key that encrypts the cluster's secrets cannot be used: enable or restore it"
        }
        "StsRegionalEndpointDisabled" => "switch AWS STS on for this region in the account's settings",
        "Ec2ServiceNotSubscribed" => "EC2 is not usable in this account and region yet: finish the account's sign-up",
        "UnsupportedVersion" => "the version is not supported any more: update it",
        "ConfigurationConflict" => "somebody else manages the same fields: apply again to overwrite them",
        "InsufficientNumberOfReplicas" => {
            "its pods do not run: look for nodes that are missing or full (kubectl -n kube-system get pods)"
        }
        "AdmissionRequestDenied" => "an admission webhook or policy refuses the add-on's objects: allow them",
        "UnsupportedAddonModification" => "this change needs the add-on to be removed and made anew",
        "K8sResourceNotFound" => "objects of the add-on were deleted by hand: remove the add-on, and apply again",
        "AddonPermissionFailure" => "the add-on's role lacks a permission: check its policy and its trust",
        "AddonSubscriptionNeeded" => "subscribe to the add-on in AWS Marketplace",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use aws_sdk_eks::types::{AddonIssueCode, ClusterIssueCode, ErrorCode, NodegroupIssueCode};

    use super::*;

    #[test]
    fn every_code_that_the_api_knows_has_a_remedy() {
        // Left over when EKS cleans up after itself: its words say which, and nothing else can be said.
        let spoken_for = [
            "Ec2LaunchTemplateDeletionFailure",
            "Ec2LaunchTemplateInvalidConfiguration",
            "Ec2LaunchTemplateMaxLimitExceeded",
            "Ec2LaunchTemplateVersionMaxLimitExceeded",
            "Ec2SecurityGroupDeletionFailure",
            "AutoScalingGroupOptInRequired",
            "SourceEc2LaunchTemplateNotFound",
            "ResourceNotFound",
            "OperationNotPermitted",
        ];
        let codes = ClusterIssueCode::values()
            .iter()
            .chain(AddonIssueCode::values())
            .chain(NodegroupIssueCode::values())
            .chain(ErrorCode::values());
        for code in codes {
            assert_eq!(remedy(code).is_none(), spoken_for.contains(code), "{code}");
        }
    }

    #[test]
    fn an_issue_is_a_sentence() {
        let resources: Vec<String> = ["i-1", "i-2", "i-3", "i-4"].map(str::to_owned).into();
        let issue = Issue {
            code: Some("NodeTerminationFailure"),
            message: Some("Your nodes did not terminate."),
            resources: &resources,
        };
        assert_eq!(
            sentences([issue, issue].into_iter()),
            [
                "NodeTerminationFailure (i-1, i-2, i-3 and 1 more): Your nodes did not terminate: nodes do not end: look \
                 at their instances in EC2"
            ]
        );
    }
}
