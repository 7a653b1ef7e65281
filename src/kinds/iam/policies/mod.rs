//! The policy documents that meshplan ships: who may act as a role, and what a role may do.
//!
//! Entry points: one function for each document, all in [`canonical`] form, and the lists of AWS's own policies.
//! Pure data. What is said of one partition of AWS is said of all: see [`Partition`].

mod controller;
mod trust;

use crate::kinds::iam::policy::canonical;
use crate::model::Value;

pub use controller::{CONTROLLER_VERSION, load_balancer_controller};
pub use trust::{cluster_trust, irsa_trust, node_trust, pod_identity_trust};

/// The version of the policy language in which all of these are written.
const LANGUAGE: &str = "2012-10-17";

/// A part of AWS that shares nothing with the others: accounts, names, ARNs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Partition {
    /// The standard regions.
    Aws,
    /// China.
    China,
    /// AWS GovCloud (US).
    GovCloud,
}

impl Partition {
    /// The partition of a region.
    #[must_use]
    pub fn of_region(region: &str) -> Self {
        if region.starts_with("cn-") {
            Self::China
        } else if region.starts_with("us-gov-") {
            Self::GovCloud
        } else {
            Self::Aws
        }
    }

    /// Its name in ARNs.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::China => "aws-cn",
            Self::GovCloud => "aws-us-gov",
        }
    }

    /// The ARN of one of AWS's own policies.
    #[must_use]
    pub fn managed_policy(self, name: &str) -> String {
        format!("arn:{}:iam::aws:policy/{name}", self.name())
    }
}

/// What a control plane's role is given: more in Auto Mode, where EKS runs nodes, volumes and load balancers too.
#[must_use]
pub fn cluster_managed(partition: Partition, auto: bool) -> Vec<String> {
    let further: &[&str] = if auto {
        &[
            "AmazonEKSBlockStoragePolicy",
            "AmazonEKSComputePolicy",
            "AmazonEKSLoadBalancingPolicy",
            "AmazonEKSNetworkingPolicy",
        ]
    } else {
        &[]
    };
    managed(partition, ["AmazonEKSClusterPolicy"].iter().chain(further))
}

/// What a node's role is given. The network plug-in has a role of its own, and its policy is not here.
#[must_use]
pub fn node_managed(partition: Partition, auto: bool) -> Vec<String> {
    let worker = if auto { "AmazonEKSWorkerNodeMinimalPolicy" } else { "AmazonEKSWorkerNodePolicy" };
    managed(partition, &["AmazonEC2ContainerRegistryPullOnly", worker])
}

/// What the VPC CNI's role is given in an IPv4 cluster. AWS has none for IPv6: see [`cni_ipv6`].
#[must_use]
pub fn cni_ipv4_managed(partition: Partition) -> Vec<String> {
    managed(partition, &["AmazonEKS_CNI_Policy"])
}

/// What the VPC CNI may do in an IPv6 cluster ("IAM policy, IPv6 mode" of its documentation).
///
/// Since release 1.22.1 it asks for subnets and security groups when it starts: without these two actions it never
/// does, and no node becomes ready.
#[must_use]
pub fn cni_ipv6(partition: Partition) -> Value {
    let interfaces = format!("arn:{}:ec2:*:*:network-interface/*", partition.name());
    document([
        allow(
            &[
                "ec2:AssignIpv6Addresses",
                "ec2:DescribeInstanceTypes",
                "ec2:DescribeInstances",
                "ec2:DescribeNetworkInterfaces",
                "ec2:DescribeSecurityGroups",
                "ec2:DescribeSubnets",
                "ec2:DescribeTags",
            ],
            &["*"],
        ),
        allow(&["ec2:CreateTags"], &[&interfaces]),
    ])
}

/// What the control plane of an Auto Mode cluster needs beyond AWS's policies to put tags of our own on the nodes,
/// volumes, interfaces and load balancers it makes: AWS's allow its own tags alone ("Custom AWS tags for EKS Auto
/// resources" of the EKS user guide).
#[must_use]
pub fn auto_mode_tags(partition: Partition) -> Value {
    let name = partition.name();
    let of_cluster =
        || ("StringEquals", "aws:RequestTag/eks:eks-cluster-name", "${aws:PrincipalTag/eks:eks-cluster-name}");
    let any = |tag| ("StringLike", tag, "*");
    document([
        allow(&["ec2:CreateFleet", "ec2:CreateLaunchTemplate", "ec2:RunInstances"], &["*"]).when(&[
            of_cluster(),
            any("aws:RequestTag/eks:kubernetes-node-class-name"),
            any("aws:RequestTag/eks:kubernetes-node-pool-name"),
        ]),
        allow(
            &["ec2:CreateSnapshot", "ec2:CreateVolume"],
            &[&format!("arn:{name}:ec2:*:*:snapshot/*"), &format!("arn:{name}:ec2:*:*:volume/*")],
        )
        .when(&[of_cluster()]),
        allow(&["ec2:CreateNetworkInterface"], &["*"])
            .when(&[of_cluster(), any("aws:RequestTag/eks:kubernetes-cni-node-name")]),
        allow(
            &[
                "ec2:CreateSecurityGroup",
                "elasticloadbalancing:CreateListener",
                "elasticloadbalancing:CreateLoadBalancer",
                "elasticloadbalancing:CreateRule",
                "elasticloadbalancing:CreateTargetGroup",
            ],
            &["*"],
        )
        .when(&[of_cluster()]),
    ])
}

fn managed<'a>(partition: Partition, names: impl IntoIterator<Item = &'a &'a str>) -> Vec<String> {
    names.into_iter().map(|name| partition.managed_policy(name)).collect()
}

/// A statement while it is being written.
struct Statement {
    actions: Vec<Value>,
    /// Empty in a role's trust, where the role itself is meant.
    resources: Vec<Value>,
    principal: Option<(&'static str, Value)>,
    /// Operator, key, values.
    conditions: Vec<(String, String, Vec<Value>)>,
}

/// Allows these actions on these resources.
fn allow(actions: &[&str], resources: &[&str]) -> Statement {
    let texts = |texts: &[&str]| texts.iter().copied().map(Value::from).collect();
    Statement { actions: texts(actions), resources: texts(resources), principal: None, conditions: Vec::new() }
}

impl Statement {
    /// Only for this principal: a type and a name.
    fn to(self, kind: &'static str, name: Value) -> Self {
        Self { principal: Some((kind, name)), ..self }
    }

    /// Only where all of these hold: operator, key, value.
    fn when(mut self, conditions: &[(&str, &str, &str)]) -> Self {
        let each = conditions
            .iter()
            .map(|(operator, key, value)| ((*operator).to_owned(), (*key).to_owned(), vec![Value::from(*value)]));
        self.conditions.extend(each);
        self
    }

    /// Only where one of these values holds.
    fn when_any(mut self, operator: &str, key: &str, values: &[&str]) -> Self {
        let values = values.iter().copied().map(Value::from).collect();
        self.conditions.push((operator.to_owned(), key.to_owned(), values));
        self
    }

    fn value(self) -> Value {
        let mut fields = vec![("Effect", Value::from("Allow")), ("Action", Value::Array(self.actions))];
        if !self.resources.is_empty() {
            fields.push(("Resource", Value::Array(self.resources)));
        }
        if let Some((kind, name)) = self.principal {
            fields.push(("Principal", object([(kind, name)])));
        }
        if !self.conditions.is_empty() {
            let mut operators = std::collections::BTreeMap::<String, Value>::new();
            for (operator, key, values) in self.conditions {
                let keys = operators.entry(operator).or_insert_with(|| object([]));
                if let Value::Object(keys) = keys {
                    keys.insert(key, Value::Array(values));
                }
            }
            fields.push(("Condition", Value::Object(operators)));
        }
        object(fields)
    }
}

fn document(statements: impl IntoIterator<Item = Statement>) -> Value {
    let statements = statements.into_iter().map(Statement::value).collect();
    canonical(object([("Version", Value::from(LANGUAGE)), ("Statement", Value::Array(statements))]))
}

fn object<'a>(fields: impl IntoIterator<Item = (&'a str, Value)>) -> Value {
    Value::Object(fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

#[cfg(test)]
mod tests;
