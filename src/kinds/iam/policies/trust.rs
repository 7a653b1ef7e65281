//! Trust policies: who may act as a role.

use super::{Partition, allow, document};
use crate::model::Value;

/// EKS itself, for a control plane. In Auto Mode it also passes tags on, by which AWS's policies for it are scoped.
#[must_use]
pub fn cluster_trust(auto: bool) -> Value {
    let actions: &[&str] = if auto { &["sts:AssumeRole", "sts:TagSession"] } else { &["sts:AssumeRole"] };
    document([allow(actions, &[]).to("Service", "eks.amazonaws.com".into())])
}

/// EC2, for nodes.
#[must_use]
pub fn node_trust(partition: Partition) -> Value {
    // EC2 is one of the few services with a name of its own in China ("AWS service principals" of the China guide).
    let service = match partition {
        Partition::China => "ec2.amazonaws.com.cn",
        Partition::Aws | Partition::GovCloud => "ec2.amazonaws.com",
    };
    document([allow(&["sts:AssumeRole"], &[]).to("Service", service.into())])
}

/// Pods of service accounts that EKS Pod Identity associates with the role. It passes the cluster, namespace and
/// account on as tags.
#[must_use]
pub fn pod_identity_trust() -> Value {
    document([allow(&["sts:AssumeRole", "sts:TagSession"], &[]).to("Service", "pods.eks.amazonaws.com".into())])
}

/// Pods of one service account, by the tokens of the cluster's own OIDC provider. `provider` is the provider's ARN, or
/// a hole for it; the issuer that the conditions name is part of that ARN (see [`wire`](crate::kinds::iam::policy::wire)).
#[must_use]
pub fn irsa_trust(provider: &Value, namespace: &str, service_account: &str) -> Value {
    let subject = format!("system:serviceaccount:{namespace}:{service_account}");
    document([allow(&["sts:AssumeRoleWithWebIdentity"], &[]).to("Federated", provider.clone()).when(&[
        ("StringEquals", "<provider>:aud", "sts.amazonaws.com"),
        ("StringEquals", "<provider>:sub", &subject),
    ])])
}
