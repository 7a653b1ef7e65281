//! `aws.internet_gateway`: an internet gateway and its attachment to a VPC.
//!
//! Create makes the gateway, the first update attaches it; delete detaches first. The attachment dies with the
//! gateway and is waited for with it, so it is no resource of its own.

use aws_sdk_ec2::types::ResourceType;
use serde::{Deserialize, Serialize};

use crate::kinds::sdk::{Absence, Answer, in_order, no_id, texts};
use crate::model::diff::{FieldRule, FieldTrait};
use crate::model::{Address, Input, Reference, Value};
use crate::resource::{
    Api, Calls, Created, Deletion, ErrorClass, Expected, FieldError, KindRules, Live, OutputRule, Ownership,
    ProviderError, RemoteId, ResourceKind, Status, Updated, WaitPolicy,
};

use super::client::Ec2;
use super::live::PAGE;
use super::tags::{self, Tags};

/// The kind `aws.internet_gateway`.
#[derive(Debug, Clone, Copy)]
pub struct InternetGateway;

/// What is declared of an internet gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The VPC it is attached to; none between its creation and its attachment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vpc_id: Option<Input<String>>,
    /// Its tags.
    pub tags: Tags,
}

/// What an internet gateway yields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outputs {
    /// Its id.
    pub internet_gateway_id: String,
}

impl KindRules for InternetGateway {
    fn name(&self) -> &'static str {
        "aws.internet_gateway"
    }

    fn fields(&self) -> &'static [FieldRule] {
        &[FieldRule { path: "vpc_id", traits: &[FieldTrait::ImmutableOnceSet] }]
    }

    fn outputs(&self) -> &'static [OutputRule] {
        const { &[OutputRule::plain("internet_gateway_id")] }
    }

    fn calls(&self, _: &Value) -> Calls {
        Calls { updates: 1, deletes: 2 }
    }

    fn expected(&self) -> Expected {
        Expected { create: 2.0, update: 1.0, delete: 2.0 }
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

impl ResourceKind for InternetGateway {
    type Spec = Spec;
    type Outputs = Outputs;
    type Client = Ec2;

    fn example() -> Spec {
        let vpc = Address::new("aws.vpc", &["network1"]);
        Spec {
            vpc_id: Some(Reference::to(&vpc, "vpc_id").into()),
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
            .describe_internet_gateways()
            .filters(tags::ids_filter("internet-gateway-id", texts(ids)))
            .max_results(PAGE)
            .into_paginator()
            .send();
        let mut found = Vec::new();
        while let Some(page) = pages.next().await {
            let gateways = page.read("ec2:DescribeInternetGateways")?.internet_gateways.unwrap_or_default();
            found.extend(gateways.iter().filter_map(project));
        }
        Ok(in_order(ids, found))
    }

    async fn create(
        &self,
        client: &Ec2,
        spec: &Spec,
        owner: &Ownership,
    ) -> Result<Created<Spec, Outputs>, ProviderError> {
        let answer = client
            .api()
            .create_internet_gateway()
            .tag_specifications(tags::at_create(ResourceType::InternetGateway, &spec.tags, owner))
            .send()
            .await
            .written("ec2:CreateInternetGateway")?;
        let (id, live) =
            answer.internet_gateway().and_then(project).ok_or_else(|| no_id("ec2:CreateInternetGateway"))?;
        Ok(Created { id: RemoteId::new(id), live: Some(live) })
    }

    async fn find(&self, client: &Ec2, _: &Spec, owner: &Ownership) -> Result<Option<RemoteId>, ProviderError> {
        let answer = client.api().describe_internet_gateways().filters(tags::filter(owner)).send().await;
        let gateways = answer.read("ec2:DescribeInternetGateways")?.internet_gateways.unwrap_or_default();
        let ours = gateways.into_iter().filter(|gateway| tags::made_by(owner, gateway.tags()));
        Ok(tags::first(ours.map(|gateway| gateway.internet_gateway_id)))
    }

    async fn update(&self, client: &Ec2, id: &RemoteId, from: &Spec, to: &Spec) -> Result<Updated, ProviderError> {
        if let (None, Some(vpc)) = (&from.vpc_id, &to.vpc_id) {
            let answer = client
                .api()
                .attach_internet_gateway()
                .internet_gateway_id(id.as_str())
                .vpc_id(vpc.known()?)
                .send()
                .await
                .written("ec2:AttachInternetGateway");
            return match answer {
                Ok(_) => Ok(Updated::Done),
                Err(error) if error.has_code("Resource.AlreadyAssociated") => {
                    attached_already(client, id, error).await.map(|()| Updated::Done)
                }
                Err(error) => Err(error),
            };
        }
        if let (Some(vpc), None) = (&from.vpc_id, &to.vpc_id) {
            return detach(client, id, vpc.known()?).await.map(|_| Updated::Done);
        }
        tags::update(client, id.as_str(), &from.tags, &to.tags).await.map(|_| Updated::Done)
    }

    async fn delete(&self, client: &Ec2, id: &RemoteId) -> Result<Deletion, ProviderError> {
        let Some(gateway) = look(client, id).await? else { return Ok(Deletion::Accepted) };
        if let Some(vpc) = attachment(&gateway)
            && detach(client, id, vpc).await?
        {
            return Ok(Deletion::Again);
        }
        let answer = client.api().delete_internet_gateway().internet_gateway_id(id.as_str()).send().await;
        answer.written("ec2:DeleteInternetGateway").unless_absent()?;
        Ok(Deletion::Accepted)
    }
}

async fn look(client: &Ec2, id: &RemoteId) -> Result<Option<aws_sdk_ec2::types::InternetGateway>, ProviderError> {
    let filter = tags::ids_filter("internet-gateway-id", [id.as_str().to_owned()]);
    let answer = client.api().describe_internet_gateways().filters(filter).send().await;
    let gateways = answer.read("ec2:DescribeInternetGateways")?.internet_gateways.unwrap_or_default();
    Ok(gateways.into_iter().find(|gateway| gateway.internet_gateway_id() == Some(id.as_str())))
}

/// The VPC that the gateway is attached to, or about to be.
fn attachment(gateway: &aws_sdk_ec2::types::InternetGateway) -> Option<&str> {
    gateway.attachments().iter().filter(|attachment| !is_going(attachment)).find_map(|attachment| attachment.vpc_id())
}

fn is_going(attachment: &aws_sdk_ec2::types::InternetGatewayAttachment) -> bool {
    matches!(attachment.state().map(aws_sdk_ec2::types::AttachmentStatus::as_str), Some("detaching" | "detached"))
}

/// `Resource.AlreadyAssociated` is said when this gateway is attached (an attach whose answer was lost) and when the
/// VPC has another one.
async fn attached_already(client: &Ec2, id: &RemoteId, error: ProviderError) -> Result<(), ProviderError> {
    match look(client, id).await? {
        Some(gateway) if attachment(&gateway).is_some() => Ok(()),
        Some(_) | None => Err(error.with_class(ErrorClass::Conflict)),
    }
}

/// Detaches; `false` if it was not attached.
async fn detach(client: &Ec2, id: &RemoteId, vpc: &str) -> Result<bool, ProviderError> {
    let answer = client.api().detach_internet_gateway().internet_gateway_id(id.as_str()).vpc_id(vpc).send().await;
    match answer.written("ec2:DetachInternetGateway") {
        Ok(_) => Ok(true),
        Err(error) if error.has_code("Gateway.NotAttached") => Ok(false),
        Err(error) => Err::<bool, _>(error).unless_absent().map(|_| false),
    }
}

fn project(gateway: &aws_sdk_ec2::types::InternetGateway) -> Option<(String, Live<Spec, Outputs>)> {
    let id = gateway.internet_gateway_id()?.to_owned();
    let vpc_id = attachment(gateway).map(Input::from);
    // The state of an attached gateway is `available` in answers, which the SDK's enum does not even list.
    let status = match gateway.attachments().iter().find_map(|attachment| attachment.state()) {
        Some(state) if matches!(state.as_str(), "attaching" | "detaching") => {
            Status::Pending(format!("the attachment is {}", state.as_str()))
        }
        Some(_) | None => Status::Ready,
    };
    let spec = Spec { vpc_id, tags: tags::project(gateway.tags()) };
    Some((id.clone(), Live { spec, outputs: Outputs { internet_gateway_id: id }, status }))
}
