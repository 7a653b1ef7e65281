//! `aws.existing_network`: a VPC and subnets that are someone else's. Looked up and checked, never written.
//!
//! What has to hold of them is part of the spec, and the spec is part of the id: a look at the id alone can then say
//! everything that does not hold. The checks themselves are in `check`.

mod check;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::kinds::sdk::Answer;
use crate::model::diff::FieldRule;
use crate::model::{AttrPath, Value};
use crate::resource::{
    Api, Created, Deletion, Expected, FieldError, KindRules, Live, OutputClass, OutputRule, Ownership, Possession,
    ProviderError, RemoteId, ResourceKind, Status, Updated, WaitPolicy,
};

use super::client::Ec2;
use super::describe;
use super::live::Association;
use super::range::canonical_ipv6;
use super::tags;
use check::Found;

/// The kind `aws.existing_network`.
#[derive(Debug, Clone, Copy)]
pub struct ExistingNetwork;

/// What is declared of an existing network: which it is, and what has to hold of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The VPC's id.
    pub vpc_id: String,
    /// The IPv4 block that the VPC has.
    pub cidr: Ipv4Net,
    /// The ids of the subnets of nodes and pods.
    pub private_subnets: Vec<String>,
    /// The ids of the subnets of internet-facing load balancers.
    pub public_subnets: Vec<String>,
    /// Whether the VPC and every subnet have an IPv6 block, and routes for it.
    pub dual_stack: bool,
    /// Whether the private subnets have a way out over IPv4.
    pub ipv4_egress: bool,
    /// Whether the subnets carry the role tags by which Kubernetes finds them.
    pub role_tags: bool,
}

/// What an existing network yields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outputs {
    /// The VPC's id.
    pub vpc_id: String,
    /// The VPC's IPv6 block, if it has one.
    pub ipv6_cidr: Option<String>,
    /// The ids of the private subnets, as declared.
    pub private_subnet_ids: Vec<String>,
    /// The ids of the public subnets, as declared.
    pub public_subnet_ids: Vec<String>,
    /// The names of the private subnets' zones, sorted.
    pub availability_zones: Vec<String>,
    /// The addresses that the private subnets send from over IPv4, as ranges of one, sorted: those of the NAT gateways
    /// that their routes lead to. Empty where the way out is another (a transit gateway).
    pub nat_cidrs: Vec<String>,
}

impl KindRules for ExistingNetwork {
    fn name(&self) -> &'static str {
        "aws.existing_network"
    }

    fn fields(&self) -> &'static [FieldRule] {
        &[]
    }

    fn outputs(&self) -> &'static [OutputRule] {
        const fn of(name: &'static str, changes_with: &'static [&'static str]) -> OutputRule {
            OutputRule { name, class: OutputClass::Plain, changes_with }
        }
        const {
            &[
                of("vpc_id", &["vpc_id"]),
                of("ipv6_cidr", &["vpc_id", "dual_stack"]),
                of("private_subnet_ids", &["private_subnets"]),
                of("public_subnet_ids", &["public_subnets"]),
                of("availability_zones", &["private_subnets"]),
                of("nat_cidrs", &["private_subnets"]),
            ]
        }
    }

    fn expected(&self) -> Expected {
        Expected { create: 1.0, update: 1.0, delete: 0.0 }
    }

    fn api(&self) -> Api {
        Api::Ec2
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

    fn check(&self, spec: &Value) -> Vec<FieldError> {
        let empty = |field: &&&str| matches!(spec.get(field), Some(Value::Array(items)) if items.is_empty());
        ["private_subnets", "public_subnets"]
            .iter()
            .filter(empty)
            .map(|field| FieldError {
                path: AttrPath::keys(&[field]),
                message: "at least one subnet has to be named".to_owned(),
            })
            .collect()
    }
}

impl ResourceKind for ExistingNetwork {
    type Spec = Spec;
    type Outputs = Outputs;
    type Client = Ec2;

    fn example() -> Spec {
        Spec {
            vpc_id: "vpc-0a1b2c3d4e5f60718".to_owned(),
            cidr: Ipv4Net::new_assert([10, 9, 0, 0].into(), 16),
            private_subnets: vec!["subnet-0a".to_owned(), "subnet-0b".to_owned()],
            public_subnets: vec!["subnet-0c".to_owned()],
            dual_stack: true,
            ipv4_egress: true,
            role_tags: true,
        }
    }

    async fn read_many(
        &self,
        client: &Ec2,
        ids: &[RemoteId],
    ) -> Result<Vec<Option<Live<Spec, Outputs>>>, ProviderError> {
        // Each is a VPC of its own, and there is one a network at most: one after the other is soon enough.
        let mut lives = Vec::with_capacity(ids.len());
        for id in ids {
            let spec = serde_json::from_str(id.as_str()).map_err(|error| {
                ProviderError::bug("ec2:DescribeVpcs", format!("`{id}` is not an existing network's id: {error}"))
            })?;
            lives.push(look(client, spec).await?);
        }
        Ok(lives)
    }

    /// Makes nothing: the id is known, and the read tells what is there.
    async fn create(&self, _: &Ec2, spec: &Spec, _: &Ownership) -> Result<Created<Spec, Outputs>, ProviderError> {
        Ok(Created { id: id_of(spec)?, live: None })
    }

    async fn find(&self, _: &Ec2, spec: &Spec, _: &Ownership) -> Result<Option<RemoteId>, ProviderError> {
        id_of(spec).map(Some)
    }

    /// Changes nothing: what differs is for its owner to change.
    async fn update(&self, _: &Ec2, _: &RemoteId, _: &Spec, _: &Spec) -> Result<Updated, ProviderError> {
        Ok(Updated::Done)
    }

    /// Deletes nothing.
    async fn delete(&self, _: &Ec2, _: &RemoteId) -> Result<Deletion, ProviderError> {
        Ok(Deletion::Accepted)
    }
}

/// The id is the spec, as JSON: a read gets nothing but the id.
fn id_of(spec: &Spec) -> Result<RemoteId, ProviderError> {
    let text = serde_json::to_string(spec).map_err(|error| ProviderError::bug("encode", error.to_string()))?;
    Ok(RemoteId::new(text))
}

/// `None` if there is no such VPC.
async fn look(client: &Ec2, spec: Spec) -> Result<Option<Live<Spec, Outputs>>, ProviderError> {
    let filter = |name: &str| tags::ids_filter(name, [spec.vpc_id.clone()]);
    let answer = client.api().describe_vpcs().filters(filter("vpc-id")).send().await.read("ec2:DescribeVpcs")?;
    let vpcs = answer.vpcs.unwrap_or_default();
    let Some(vpc) = vpcs.into_iter().find(|vpc| vpc.vpc_id() == Some(&spec.vpc_id)) else { return Ok(None) };
    let Some((dns_support, dns_hostnames)) = describe::dns_attributes(client, &spec.vpc_id).await? else {
        return Ok(None);
    };
    let wanted = spec.private_subnets.iter().chain(&spec.public_subnets).cloned().collect();
    let subnets = describe::subnets(client, "subnet-id", wanted).await?;
    let tables = describe::route_tables(client, filter("vpc-id")).await?;
    let found = Found { vpc: &vpc, dns_support, dns_hostnames, subnets: &subnets, tables: &tables };
    let problems = found.problems(&spec);
    let status = if problems.is_empty() {
        Status::Ready
    } else {
        Status::Failed(format!("it cannot be used: {}", problems.join("; ")))
    };
    let mut availability_zones: Vec<String> = subnets
        .iter()
        .filter(|subnet| spec.private_subnets.iter().any(|id| subnet.subnet_id() == Some(id)))
        .filter_map(|subnet| subnet.availability_zone.clone())
        .collect();
    availability_zones.sort_unstable();
    availability_zones.dedup();
    let nat_cidrs = describe::nat_cidrs(client, &spec.vpc_id, &found.nat_gateways(&spec)).await?;
    let outputs = Outputs {
        vpc_id: spec.vpc_id.clone(),
        ipv6_cidr: found.ipv6_block().map(canonical_ipv6),
        private_subnet_ids: spec.private_subnets.clone(),
        public_subnet_ids: spec.public_subnets.clone(),
        availability_zones,
        nat_cidrs,
    };
    Ok(Some(Live { spec, outputs, status }))
}

/// Whether a part is there, by its state's word.
fn is_held(state: Option<&str>) -> bool {
    Association::of(state) == Association::Held
}
