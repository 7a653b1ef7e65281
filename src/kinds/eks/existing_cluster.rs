//! `eks.existing_cluster`: a cluster that is someone else's. Looked up and checked, never written.
//!
//! What has to hold of it is part of the spec, and the spec is part of the id: a look at the id alone can then say
//! everything that does not hold.

use aws_sdk_eks::types::ClusterStatus;
use serde::{Deserialize, Serialize};

use super::client::Eks;
use super::describe::{self, Facts, IpFamily};
use super::{access, many};
use crate::model::diff::FieldRule;
use crate::model::{Address, Document, Input, Reference, Target, Value};
use crate::resource::{
    Api, ClusterAccess, Created, Deletion, Expected, KindRules, Live, OutputClass, OutputRule, Ownership, Possession,
    ProviderError, RemoteId, ResourceKind, Status, Updated, WaitPolicy,
};

/// The kind `eks.existing_cluster`.
#[derive(Debug, Clone, Copy)]
pub struct ExistingCluster;

/// What is declared of an existing cluster: which it is, and what has to hold of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Its name.
    pub name: String,
    /// The family of its pods and services.
    pub ip_family: IpFamily,
    /// The VPC that it is in, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vpc_id: Option<Input<String>>,
}

/// What an existing cluster yields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outputs {
    /// Its name.
    pub name: String,
    /// Its ARN.
    pub arn: String,
    /// The URL of its API server.
    pub endpoint: String,
    /// The certificate of its API server's authority, PEM in base64.
    pub certificate_authority: String,
    /// The security group that EKS made for its control plane and nodes.
    pub cluster_security_group_id: String,
    /// The URL of its OIDC issuer.
    pub oidc_issuer: String,
    /// The range of its services.
    pub service_cidr: String,
    /// Its Kubernetes version.
    pub version: String,
}

impl KindRules for ExistingCluster {
    fn name(&self) -> &'static str {
        "eks.existing_cluster"
    }

    fn fields(&self) -> &'static [FieldRule] {
        &[]
    }

    fn outputs(&self) -> &'static [OutputRule] {
        const fn of(name: &'static str) -> OutputRule {
            OutputRule { name, class: OutputClass::Plain, changes_with: &["name"] }
        }
        const {
            &[
                of("name"),
                of("arn"),
                of("endpoint"),
                of("certificate_authority"),
                of("cluster_security_group_id"),
                of("oidc_issuer"),
                of("service_cidr"),
                of("version"),
            ]
        }
    }

    fn expected(&self) -> Expected {
        Expected { create: 1.0, update: 1.0, delete: 0.0 }
    }

    fn api(&self) -> Api {
        Api::Eks
    }

    fn reads_each(&self) -> u32 {
        1
    }

    fn cluster_access(&self, target: &Target, _: &Document, outputs: &Document) -> Option<ClusterAccess> {
        access(target, outputs)
    }

    fn wait(&self) -> WaitPolicy {
        WaitPolicy::new(0, 5_000, 60)
    }

    fn possession(&self) -> Possession {
        Possession::Observed
    }

    fn known_id(&self, spec: &Value) -> Option<RemoteId> {
        if spec.has_unknown() {
            return None;
        }
        id_of(&serde_json::from_value(serde_json::to_value(spec).ok()?).ok()?).ok()
    }
}

impl ResourceKind for ExistingCluster {
    type Spec = Spec;
    type Outputs = Outputs;
    type Client = Eks;

    fn example() -> Spec {
        let network = Address::new("aws.existing_network", &["network1"]);
        Spec {
            name: "shared-1".to_owned(),
            ip_family: IpFamily::Ipv4,
            vpc_id: Some(Reference::to(&network, "vpc_id").into()),
        }
    }

    async fn read_many(
        &self,
        client: &Eks,
        ids: &[RemoteId],
    ) -> Result<Vec<Option<Live<Spec, Outputs>>>, ProviderError> {
        many(ids, async |id: &RemoteId| {
            let spec: Spec = serde_json::from_str(id.as_str()).map_err(|error| {
                let message = format!("`{id}` is not an existing cluster's id: {error}");
                ProviderError::bug("eks:DescribeCluster", message)
            })?;
            let Some(cluster) = describe::cluster(client, &spec.name).await? else { return Ok(None) };
            let problems = problems(&spec, &cluster)?;
            let status = if problems.is_empty() {
                Status::Ready
            } else {
                Status::Failed(format!("it cannot be used: {}", problems.join("; ")))
            };
            let version = cluster.version().unwrap_or_default().to_owned();
            let cluster = Facts::of(&cluster);
            let outputs = Outputs {
                name: cluster.name,
                arn: cluster.arn,
                endpoint: cluster.endpoint,
                certificate_authority: cluster.certificate_authority,
                cluster_security_group_id: cluster.cluster_security_group_id,
                oidc_issuer: cluster.oidc_issuer,
                service_cidr: cluster.service_cidr,
                version,
            };
            Ok(Some(Live { spec, outputs, status }))
        })
        .await
    }

    /// Makes nothing: the id is known, and the read tells what is there.
    async fn create(&self, _: &Eks, spec: &Spec, _: &Ownership) -> Result<Created<Spec, Outputs>, ProviderError> {
        Ok(Created { id: id_of(spec)?, live: None })
    }

    async fn find(&self, _: &Eks, spec: &Spec, _: &Ownership) -> Result<Option<RemoteId>, ProviderError> {
        id_of(spec).map(Some)
    }

    /// Changes nothing: what differs is for its owner to change.
    async fn update(&self, _: &Eks, _: &RemoteId, _: &Spec, _: &Spec) -> Result<Updated, ProviderError> {
        Ok(Updated::Done)
    }

    /// Deletes nothing.
    async fn delete(&self, _: &Eks, _: &RemoteId) -> Result<Deletion, ProviderError> {
        Ok(Deletion::Accepted)
    }
}

/// The id is the spec, as JSON: a read gets nothing but the id.
fn id_of(spec: &Spec) -> Result<RemoteId, ProviderError> {
    let text = serde_json::to_string(spec).map_err(|error| ProviderError::bug("encode", error.to_string()))?;
    Ok(RemoteId::new(text))
}

/// Everything that does not hold.
fn problems(spec: &Spec, cluster: &aws_sdk_eks::types::Cluster) -> Result<Vec<String>, ProviderError> {
    let name = &spec.name;
    let mut problems = Vec::new();
    match cluster.status().map(ClusterStatus::as_str) {
        // It works while it is being updated.
        None | Some("ACTIVE" | "UPDATING") => {}
        Some(state) => problems.push(format!("{name} is {state}")),
    }
    let (family, declared) = (IpFamily::of(cluster), spec.ip_family);
    if family != declared {
        problems.push(format!("{name} has ip_family {}, and the topology says {}", family.name(), declared.name()));
    }
    let vpc = cluster.resources_vpc_config().and_then(|vpc| vpc.vpc_id());
    if let (Some(declared), Some(vpc)) = (&spec.vpc_id, vpc)
        && declared.known()? != vpc
    {
        problems.push(format!("{name} is in {vpc}, and its network is {}", declared.known()?));
    }
    Ok(problems)
}

#[cfg(test)]
mod tests {
    use aws_sdk_eks::types::{IpFamily as ApiIpFamily, KubernetesNetworkConfigResponse, VpcConfigResponse};

    use super::*;

    #[test]
    fn everything_that_does_not_hold_is_said_at_once() {
        let cluster = aws_sdk_eks::types::Cluster::builder()
            .status(ClusterStatus::Creating)
            .kubernetes_network_config(KubernetesNetworkConfigResponse::builder().ip_family(ApiIpFamily::Ipv6).build())
            .resources_vpc_config(VpcConfigResponse::builder().vpc_id("vpc-2").build())
            .build();
        let spec = Spec { vpc_id: Some("vpc-1".into()), ..ExistingCluster::example() };
        assert_eq!(
            problems(&spec, &cluster).unwrap(),
            [
                "shared-1 is CREATING",
                "shared-1 has ip_family ipv6, and the topology says ipv4",
                "shared-1 is in vpc-2, and its network is vpc-1",
            ]
        );
        let spec = Spec { ip_family: IpFamily::Ipv6, vpc_id: Some("vpc-2".into()), ..spec };
        assert_eq!(problems(&spec, &cluster).unwrap(), ["shared-1 is CREATING"]);
    }
}
