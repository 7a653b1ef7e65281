//! `aws.vpc`: a VPC with its DNS attributes and its Amazon-provided IPv6 block.
//!
//! Whether a VPC is protected is said by its declaration (`networks.X.protect`), so the kind does not say it too.

use aws_sdk_ec2::types::{AttributeBooleanValue, ResourceType, VpcAttributeName, VpcIpv6CidrBlockAssociation};
use futures_util::stream::{self, StreamExt, TryStreamExt};
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};

use crate::kinds::sdk::{Absence, Answer, in_order, no_id, texts};
use crate::model::diff::{FieldChange, FieldRule, FieldTrait};
use crate::model::{AttrPath, Value};
use crate::resource::{
    Api, Calls, Created, Deletion, Expected, FieldError, KindRules, Live, OutputClass, OutputRule, Ownership,
    ProviderError, RemoteId, ResourceKind, Status, Updated, WaitPolicy,
};

use super::client::Ec2;
use super::describe;
use super::live::{Association, PAGE};
use super::range::{canonical_ipv6, wrong_block};
use super::tags::{self, Tags};

/// How many VPCs' attributes are read at a time: each takes two requests of its own.
const ATTRIBUTE_READERS: usize = 8;

/// The kind `aws.vpc`.
#[derive(Debug, Clone, Copy)]
pub struct Vpc;

/// What is declared of a VPC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Its IPv4 block.
    pub cidr: Ipv4Net,
    /// Whether Amazon provides it with an IPv6 block, a /56.
    pub amazon_ipv6: bool,
    /// Whether Amazon's resolver answers in it.
    pub dns_support: bool,
    /// Whether its hosts get names. EKS nodes cannot register without this and `dns_support`.
    pub dns_hostnames: bool,
    /// Its tags.
    pub tags: Tags,
}

/// What a VPC yields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outputs {
    /// Its id.
    pub vpc_id: String,
    /// Its IPv6 block, if it has one.
    pub ipv6_cidr: Option<String>,
}

impl KindRules for Vpc {
    fn name(&self) -> &'static str {
        "aws.vpc"
    }

    fn fields(&self) -> &'static [FieldRule] {
        &[FieldRule { path: "cidr", traits: &[FieldTrait::Immutable] }]
    }

    fn outputs(&self) -> &'static [OutputRule] {
        const {
            &[
                OutputRule::plain("vpc_id"),
                OutputRule { name: "ipv6_cidr", class: OutputClass::Plain, changes_with: &["amazon_ipv6"] },
            ]
        }
    }

    fn calls(&self, spec: &Value) -> Calls {
        // A VPC is made with names off and the resolver on.
        let is = |field, on| spec.get(field) == Some(&Value::Bool(on));
        let updates = u32::from(is("dns_hostnames", true)) + u32::from(is("dns_support", false));
        Calls { updates, ..Calls::default() }
    }

    fn reads_each(&self) -> u32 {
        2 // DescribeVpcAttribute answers one attribute of one VPC
    }

    fn takes_away(&self, fields: &[FieldChange]) -> bool {
        // The subnets give their /64s back before the VPC can lose its block.
        fields.iter().any(|field| field.path.to_string() == "amazon_ipv6" && field.after == Some(Value::Bool(false)))
    }

    fn expected(&self) -> Expected {
        Expected { create: 6.0, update: 3.0, delete: 1.0 }
    }

    fn api(&self) -> Api {
        Api::Ec2
    }

    fn wait(&self) -> WaitPolicy {
        WaitPolicy::new(1_000, 1_000, 300)
    }

    fn check(&self, spec: &Value) -> Vec<FieldError> {
        let mut errors = tags::check(spec);
        if let Some(message) = spec.get("cidr").and_then(Value::as_str).and_then(wrong_block) {
            errors.push(FieldError { path: AttrPath::keys(&["cidr"]), message });
        }
        let on = |field| spec.get(field) == Some(&Value::Bool(true));
        if on("dns_hostnames") && !on("dns_support") {
            errors.push(FieldError {
                path: AttrPath::keys(&["dns_hostnames"]),
                message: "dns_hostnames needs dns_support".to_owned(),
            });
        }
        errors
    }
}

impl ResourceKind for Vpc {
    type Spec = Spec;
    type Outputs = Outputs;
    type Client = Ec2;

    fn example() -> Spec {
        Spec {
            cidr: Ipv4Net::new_assert([10, 1, 0, 0].into(), 16),
            amazon_ipv6: true,
            dns_support: true,
            dns_hostnames: true,
            tags: Tags::from([("Name".to_owned(), "mesh1-network1".to_owned())]),
        }
    }

    async fn read_many(
        &self,
        client: &Ec2,
        ids: &[RemoteId],
    ) -> Result<Vec<Option<Live<Spec, Outputs>>>, ProviderError> {
        let mut pages = client
            .api()
            .describe_vpcs()
            .filters(tags::ids_filter("vpc-id", texts(ids)))
            .max_results(PAGE)
            .into_paginator()
            .send();
        let mut vpcs = Vec::new();
        while let Some(page) = pages.next().await {
            vpcs.extend(page.read("ec2:DescribeVpcs")?.vpcs.unwrap_or_default());
        }
        let found: Vec<_> = stream::iter(vpcs)
            .map(|vpc| async move {
                let id = vpc.vpc_id().unwrap_or_default().to_owned();
                let live = project(client, vpc).await?;
                Ok::<_, ProviderError>(live.map(|live| (id, live)))
            })
            .buffered(ATTRIBUTE_READERS)
            .try_collect()
            .await?;
        Ok(in_order(ids, found.into_iter().flatten()))
    }

    async fn create(
        &self,
        client: &Ec2,
        spec: &Spec,
        owner: &Ownership,
    ) -> Result<Created<Spec, Outputs>, ProviderError> {
        let answer = client
            .api()
            .create_vpc()
            .cidr_block(spec.cidr.to_string())
            .amazon_provided_ipv6_cidr_block(spec.amazon_ipv6)
            .tag_specifications(tags::at_create(ResourceType::Vpc, &spec.tags, owner))
            .send()
            .await
            .written("ec2:CreateVpc")?;
        // The answer does not hold the DNS attributes: the object has to be read.
        let id = answer.vpc().and_then(aws_sdk_ec2::types::Vpc::vpc_id).ok_or_else(|| no_id("ec2:CreateVpc"))?;
        Ok(Created { id: RemoteId::new(id), live: None })
    }

    async fn find(&self, client: &Ec2, _: &Spec, owner: &Ownership) -> Result<Option<RemoteId>, ProviderError> {
        let answer = client.api().describe_vpcs().filters(tags::filter(owner)).send().await.read("ec2:DescribeVpcs")?;
        Ok(tags::first(
            answer
                .vpcs
                .unwrap_or_default()
                .into_iter()
                .filter(|vpc| tags::made_by(owner, vpc.tags()))
                .map(|vpc| vpc.vpc_id),
        ))
    }

    async fn update(&self, client: &Ec2, id: &RemoteId, from: &Spec, to: &Spec) -> Result<Updated, ProviderError> {
        // Names need the resolver: it is the first on and the last off.
        if to.dns_support && !from.dns_support {
            return modify(client, id, VpcAttributeName::EnableDnsSupport, true).await.map(|()| Updated::Done);
        }
        if to.dns_hostnames != from.dns_hostnames {
            return modify(client, id, VpcAttributeName::EnableDnsHostnames, to.dns_hostnames)
                .await
                .map(|()| Updated::Done);
        }
        if to.dns_support != from.dns_support {
            return modify(client, id, VpcAttributeName::EnableDnsSupport, to.dns_support)
                .await
                .map(|()| Updated::Done);
        }
        if to.amazon_ipv6 && !from.amazon_ipv6 {
            client
                .api()
                .associate_vpc_cidr_block()
                .vpc_id(id.as_str())
                .amazon_provided_ipv6_cidr_block(true)
                .send()
                .await
                .written("ec2:AssociateVpcCidrBlock")?;
            return Ok(Updated::Done);
        }
        if from.amazon_ipv6 && !to.amazon_ipv6 {
            return drop_ipv6(client, id).await.map(|()| Updated::Done);
        }
        tags::update(client, id.as_str(), &from.tags, &to.tags).await.map(|_| Updated::Done)
    }

    async fn delete(&self, client: &Ec2, id: &RemoteId) -> Result<Deletion, ProviderError> {
        let answer = client.api().delete_vpc().vpc_id(id.as_str()).send().await.written("ec2:DeleteVpc");
        answer.unless_absent()?;
        Ok(Deletion::Accepted)
    }
}

async fn modify(client: &Ec2, id: &RemoteId, attribute: VpcAttributeName, on: bool) -> Result<(), ProviderError> {
    let value = AttributeBooleanValue::builder().value(on).build();
    let request = client.api().modify_vpc_attribute().vpc_id(id.as_str());
    // One attribute a request: EC2 refuses two.
    let request = if attribute == VpcAttributeName::EnableDnsSupport {
        request.enable_dns_support(value)
    } else {
        request.enable_dns_hostnames(value)
    };
    request.send().await.written("ec2:ModifyVpcAttribute")?;
    Ok(())
}

/// `None` if the VPC went away between two requests.
async fn project(client: &Ec2, vpc: aws_sdk_ec2::types::Vpc) -> Result<Option<Live<Spec, Outputs>>, ProviderError> {
    let id = vpc.vpc_id().unwrap_or_default();
    let Some((dns_support, dns_hostnames)) = describe::dns_attributes(client, id).await? else { return Ok(None) };
    let cidr = vpc.cidr_block().unwrap_or_default();
    let cidr = cidr.parse().map_err(|_| {
        ProviderError::bug("ec2:DescribeVpcs", format!("the block `{cidr}` of {id} is not an IPv4 block"))
    })?;
    let blocks: Vec<_> = amazon_blocks(&vpc).collect();
    let state = vpc.state().map(aws_sdk_ec2::types::VpcState::as_str);
    let status = match state {
        None | Some("available") => blocks
            .iter()
            .find_map(|(state, block)| state.status("the IPv6 block", reason(block)))
            .unwrap_or(Status::Ready),
        Some("deleting") => Status::Deleting,
        Some(state) => Status::Pending(format!("state is {state}")),
    };
    let declared = blocks.iter().find(|(state, _)| state.is_declared());
    let held = blocks.iter().find(|(state, _)| *state == Association::Held);
    Ok(Some(Live {
        spec: Spec {
            cidr,
            amazon_ipv6: declared.is_some(),
            dns_support,
            dns_hostnames,
            tags: tags::project(vpc.tags()),
        },
        outputs: Outputs {
            vpc_id: id.to_owned(),
            ipv6_cidr: held.and_then(|(_, block)| block.ipv6_cidr_block.as_deref()).map(canonical_ipv6),
        },
        status,
    }))
}

/// The IPv6 blocks that Amazon provided, and not the caller's own (BYOIP or IPAM).
fn amazon_blocks(vpc: &aws_sdk_ec2::types::Vpc) -> impl Iterator<Item = (Association, &VpcIpv6CidrBlockAssociation)> {
    vpc.ipv6_cidr_block_association_set()
        .iter()
        .filter(|block| block.ipv6_pool().is_none_or(|pool| pool == "Amazon"))
        .map(|block| {
            let state = block.ipv6_cidr_block_state().and_then(|state| state.state());
            (Association::of(state.map(aws_sdk_ec2::types::VpcCidrBlockStateCode::as_str)), block)
        })
}

fn reason(block: &VpcIpv6CidrBlockAssociation) -> Option<&str> {
    block.ipv6_cidr_block_state()?.status_message()
}

async fn drop_ipv6(client: &Ec2, id: &RemoteId) -> Result<(), ProviderError> {
    let answer = client
        .api()
        .describe_vpcs()
        .filters(tags::ids_filter("vpc-id", [id.as_str().to_owned()]))
        .send()
        .await
        .read("ec2:DescribeVpcs")?;
    let vpcs = answer.vpcs.unwrap_or_default();
    let block = vpcs
        .iter()
        .flat_map(amazon_blocks)
        .find(|(state, _)| state.is_declared())
        .and_then(|(_, block)| block.association_id());
    if let Some(association) = block {
        let answer = client.api().disassociate_vpc_cidr_block().association_id(association).send().await;
        answer.written("ec2:DisassociateVpcCidrBlock").unless_absent()?;
    }
    Ok(())
}
