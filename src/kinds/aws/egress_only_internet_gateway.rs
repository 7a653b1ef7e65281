//! `aws.egress_only_internet_gateway`: the way out, and not in, for IPv6.

use aws_sdk_ec2::types::ResourceType;
use serde::{Deserialize, Serialize};

use crate::kinds::sdk::{Absence, Answer, in_order, is_not_found, no_id, texts};
use crate::model::diff::{FieldRule, FieldTrait};
use crate::model::{Address, Input, Reference, Value};
use crate::resource::{
    Api, Created, Deletion, Expected, FieldError, KindRules, Live, OutputRule, Ownership, ProviderError, RemoteId,
    ResourceKind, Status, Updated, WaitPolicy,
};

use super::client::Ec2;
use super::tags::{self, Tags};

/// The most that one page holds: this API takes 5 to 255.
const PAGE: i32 = 255;

/// The kind `aws.egress_only_internet_gateway`.
#[derive(Debug, Clone, Copy)]
pub struct EgressOnlyInternetGateway;

/// What is declared of an egress-only internet gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The VPC it is attached to, for life.
    pub vpc_id: Input<String>,
    /// Its tags.
    pub tags: Tags,
}

/// What an egress-only internet gateway yields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outputs {
    /// Its id.
    pub egress_only_internet_gateway_id: String,
}

impl KindRules for EgressOnlyInternetGateway {
    fn name(&self) -> &'static str {
        "aws.egress_only_internet_gateway"
    }

    fn fields(&self) -> &'static [FieldRule] {
        &[FieldRule { path: "vpc_id", traits: &[FieldTrait::Immutable] }]
    }

    fn outputs(&self) -> &'static [OutputRule] {
        const { &[OutputRule::plain("egress_only_internet_gateway_id")] }
    }

    fn expected(&self) -> Expected {
        Expected { create: 2.0, update: 1.0, delete: 1.0 }
    }

    fn api(&self) -> Api {
        Api::Ec2
    }

    fn wait(&self) -> WaitPolicy {
        WaitPolicy::new(500, 1_000, 300)
    }

    fn check(&self, spec: &Value) -> Vec<FieldError> {
        tags::check(spec)
    }
}

impl ResourceKind for EgressOnlyInternetGateway {
    type Spec = Spec;
    type Outputs = Outputs;
    type Client = Ec2;

    fn example() -> Spec {
        let vpc = Address::new("aws.vpc", &["network1"]);
        Spec {
            vpc_id: Reference::to(&vpc, "vpc_id").into(),
            tags: Tags::from([("Name".to_owned(), "mesh1-network1".to_owned())]),
        }
    }

    async fn read_many(
        &self,
        client: &Ec2,
        ids: &[RemoteId],
    ) -> Result<Vec<Option<Live<Spec, Outputs>>>, ProviderError> {
        // This API filters by tags only, so the ids are asked for; one that is gone is left out of the answer. Should
        // it ever be an error instead, everything is listed.
        let answer = client
            .api()
            .describe_egress_only_internet_gateways()
            .set_egress_only_internet_gateway_ids(Some(texts(ids)))
            .send()
            .await
            .read("ec2:DescribeEgressOnlyInternetGateways");
        let gateways = match answer {
            Ok(answer) => answer.egress_only_internet_gateways.unwrap_or_default(),
            Err(error) if is_not_found(&error) => list(client, None).await?,
            Err(error) => return Err(error),
        };
        Ok(in_order(ids, gateways.iter().filter_map(project)))
    }

    async fn create(
        &self,
        client: &Ec2,
        spec: &Spec,
        owner: &Ownership,
    ) -> Result<Created<Spec, Outputs>, ProviderError> {
        let answer = client
            .api()
            .create_egress_only_internet_gateway()
            .client_token(&owner.token)
            .vpc_id(spec.vpc_id.known()?)
            .tag_specifications(tags::at_create(ResourceType::EgressOnlyInternetGateway, &spec.tags, owner))
            .send()
            .await
            .written("ec2:CreateEgressOnlyInternetGateway")?;
        let (id, live) = answer
            .egress_only_internet_gateway()
            .and_then(project)
            .ok_or_else(|| no_id("ec2:CreateEgressOnlyInternetGateway"))?;
        Ok(Created { id: RemoteId::new(id), live: Some(live) })
    }

    async fn find(&self, client: &Ec2, _: &Spec, owner: &Ownership) -> Result<Option<RemoteId>, ProviderError> {
        let gateways = list(client, Some(owner)).await?;
        let ours = gateways.into_iter().filter(|gateway| tags::made_by(owner, gateway.tags()));
        Ok(tags::first(ours.map(|gateway| gateway.egress_only_internet_gateway_id)))
    }

    async fn update(&self, client: &Ec2, id: &RemoteId, from: &Spec, to: &Spec) -> Result<Updated, ProviderError> {
        tags::update(client, id.as_str(), &from.tags, &to.tags).await.map(|_| Updated::Done)
    }

    async fn delete(&self, client: &Ec2, id: &RemoteId) -> Result<Deletion, ProviderError> {
        let answer = client
            .api()
            .delete_egress_only_internet_gateway()
            .egress_only_internet_gateway_id(id.as_str())
            .send()
            .await;
        answer.written("ec2:DeleteEgressOnlyInternetGateway").unless_absent()?;
        Ok(Deletion::Accepted)
    }
}

async fn list(
    client: &Ec2,
    owner: Option<&Ownership>,
) -> Result<Vec<aws_sdk_ec2::types::EgressOnlyInternetGateway>, ProviderError> {
    let mut pages = client
        .api()
        .describe_egress_only_internet_gateways()
        .set_filters(owner.map(|owner| vec![tags::filter(owner)]))
        .max_results(PAGE)
        .into_paginator()
        .send();
    let mut found = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.read("ec2:DescribeEgressOnlyInternetGateways")?;
        found.extend(page.egress_only_internet_gateways.unwrap_or_default());
    }
    Ok(found)
}

fn project(gateway: &aws_sdk_ec2::types::EgressOnlyInternetGateway) -> Option<(String, Live<Spec, Outputs>)> {
    let id = gateway.egress_only_internet_gateway_id()?.to_owned();
    let attachment = gateway.attachments().first()?;
    let status = match attachment.state().map(aws_sdk_ec2::types::AttachmentStatus::as_str) {
        Some("attaching") => Status::Pending("the attachment is attaching".to_owned()),
        Some("detaching" | "detached") => Status::Deleting,
        Some(_) | None => Status::Ready,
    };
    let spec = Spec { vpc_id: attachment.vpc_id()?.into(), tags: tags::project(gateway.tags()) };
    Some((id.clone(), Live { spec, outputs: Outputs { egress_only_internet_gateway_id: id }, status }))
}
