//! `aws.nat_gateway`: a public NAT gateway in one subnet.

use aws_sdk_ec2::types::{ConnectivityType, NatGatewayState, ResourceType};
use serde::{Deserialize, Serialize};

use crate::kinds::sdk::{Absence, Answer, in_order, no_id, texts};
use crate::model::diff::{FieldRule, FieldTrait};
use crate::model::{Address, Input, Reference, Value};
use crate::resource::{
    Api, Created, Deletion, Expected, FieldError, KindRules, Live, OutputRule, Ownership, ProviderError, RemoteId,
    ResourceKind, Status, Updated, WaitPolicy,
};

use super::client::Ec2;
use super::live::PAGE;
use super::tags::{self, Tags};

/// The kind `aws.nat_gateway`.
#[derive(Debug, Clone, Copy)]
pub struct NatGateway;

/// What is declared of a NAT gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The public subnet it is in.
    pub subnet_id: Input<String>,
    /// The Elastic IP address it sends from.
    pub allocation_id: Input<String>,
    /// Its tags.
    pub tags: Tags,
}

/// What a NAT gateway yields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outputs {
    /// Its id.
    pub nat_gateway_id: String,
}

impl KindRules for NatGateway {
    fn name(&self) -> &'static str {
        "aws.nat_gateway"
    }

    fn fields(&self) -> &'static [FieldRule] {
        &[
            FieldRule { path: "subnet_id", traits: &[FieldTrait::Immutable] },
            FieldRule { path: "allocation_id", traits: &[FieldTrait::Immutable] },
        ]
    }

    fn outputs(&self) -> &'static [OutputRule] {
        const { &[OutputRule::plain("nat_gateway_id")] }
    }

    // Medians of public logs: eight creates of 85 to 125 s, deletes of 42 to 94 s (DOMAIN 1.3).
    fn expected(&self) -> Expected {
        Expected { create: 105.0, update: 1.0, delete: 65.0 }
    }

    fn api(&self) -> Api {
        Api::Ec2
    }

    // No create and no delete was ever seen to end before 40 s.
    fn wait(&self) -> WaitPolicy {
        WaitPolicy::new(40_000, 2_000, 900)
    }

    fn check(&self, spec: &Value) -> Vec<FieldError> {
        tags::check(spec)
    }
}

impl ResourceKind for NatGateway {
    type Spec = Spec;
    type Outputs = Outputs;
    type Client = Ec2;

    fn example() -> Spec {
        Spec {
            subnet_id: Reference::to(&Address::new("aws.subnet", &["network1", "public-a"]), "subnet_id").into(),
            allocation_id: Reference::to(&Address::new("aws.eip", &["network1", "nat"]), "allocation_id").into(),
            tags: Tags::from([("Name".to_owned(), "mesh1-network1-nat".to_owned())]),
        }
    }

    async fn read_many(
        &self,
        client: &Ec2,
        ids: &[RemoteId],
    ) -> Result<Vec<Option<Live<Spec, Outputs>>>, ProviderError> {
        let gateways = list(client, tags::ids_filter("nat-gateway-id", texts(ids))).await?;
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
            .create_nat_gateway()
            .client_token(&owner.token)
            .connectivity_type(ConnectivityType::Public)
            .subnet_id(spec.subnet_id.known()?)
            .allocation_id(spec.allocation_id.known()?)
            .tag_specifications(tags::at_create(ResourceType::Natgateway, &spec.tags, owner))
            .send()
            .await
            .written("ec2:CreateNatGateway")?;
        let gateway = answer.nat_gateway().ok_or_else(|| no_id("ec2:CreateNatGateway"))?;
        let id = gateway.nat_gateway_id().ok_or_else(|| no_id("ec2:CreateNatGateway"))?;
        Ok(Created { id: RemoteId::new(id), live: project(gateway).map(|(_, live)| live) })
    }

    async fn find(&self, client: &Ec2, _: &Spec, owner: &Ownership) -> Result<Option<RemoteId>, ProviderError> {
        let gateways = list(client, tags::filter(owner)).await?;
        // One that failed is ours to clean up; one that is going away is nobody's.
        let ours = gateways.into_iter().filter(|gateway| {
            let state = gateway.state().map(NatGatewayState::as_str);
            tags::made_by(owner, gateway.tags()) && !matches!(state, Some("deleting" | "deleted"))
        });
        Ok(tags::first(ours.map(|gateway| gateway.nat_gateway_id)))
    }

    async fn update(&self, client: &Ec2, id: &RemoteId, from: &Spec, to: &Spec) -> Result<Updated, ProviderError> {
        tags::update(client, id.as_str(), &from.tags, &to.tags).await.map(|_| Updated::Done)
    }

    async fn delete(&self, client: &Ec2, id: &RemoteId) -> Result<Deletion, ProviderError> {
        let answer = client.api().delete_nat_gateway().nat_gateway_id(id.as_str()).send().await;
        answer.written("ec2:DeleteNatGateway").unless_absent()?;
        Ok(Deletion::Accepted)
    }
}

async fn list(
    client: &Ec2,
    filter: aws_sdk_ec2::types::Filter,
) -> Result<Vec<aws_sdk_ec2::types::NatGateway>, ProviderError> {
    let mut pages = client.api().describe_nat_gateways().filter(filter).max_results(PAGE).into_paginator().send();
    let mut found = Vec::new();
    while let Some(page) = pages.next().await {
        found.extend(page.read("ec2:DescribeNatGateways")?.nat_gateways.unwrap_or_default());
    }
    Ok(found)
}

/// `None` for one that is deleted: answers list it for about an hour.
fn project(gateway: &aws_sdk_ec2::types::NatGateway) -> Option<(String, Live<Spec, Outputs>)> {
    let id = gateway.nat_gateway_id()?.to_owned();
    let status = match gateway.state().map(NatGatewayState::as_str) {
        Some("deleted") => return None,
        Some("deleting") => Status::Deleting,
        Some("failed") => Status::Failed(format!(
            "{}: {}",
            gateway.failure_code().unwrap_or("no failure code"),
            gateway.failure_message().unwrap_or("no reason given").trim_end_matches('.'),
        )),
        Some("available") | None => Status::Ready,
        Some(state) => Status::Pending(format!("state is {state}")),
    };
    // Further addresses can be associated by hand; the first is the one it was made with.
    let addresses = gateway.nat_gateway_addresses();
    let primary = addresses.iter().find(|address| address.is_primary() == Some(true)).or_else(|| addresses.first());
    let spec = Spec {
        subnet_id: gateway.subnet_id().unwrap_or_default().into(),
        allocation_id: primary.and_then(|address| address.allocation_id()).unwrap_or_default().into(),
        tags: tags::project(gateway.tags()),
    };
    Some((id.clone(), Live { spec, outputs: Outputs { nat_gateway_id: id }, status }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gateway(state: NatGatewayState) -> aws_sdk_ec2::types::NatGateway {
        aws_sdk_ec2::types::NatGateway::builder()
            .nat_gateway_id("nat-1")
            .subnet_id("subnet-1")
            .failure_code("Gateway.NotAttached")
            .failure_message("Network vpc-1 has no Internet gateway attached.")
            .state(state)
            .build()
    }

    #[test]
    fn a_states_meaning() {
        let status = |state| project(&gateway(state)).map(|(_, live)| live.status);
        assert_eq!(status(NatGatewayState::Available), Some(Status::Ready));
        assert_eq!(status(NatGatewayState::Pending), Some(Status::Pending("state is pending".to_owned())));
        assert_eq!(status(NatGatewayState::Deleting), Some(Status::Deleting));
        assert_eq!(status(NatGatewayState::Deleted), None);
        assert_eq!(
            status(NatGatewayState::Failed),
            Some(Status::Failed("Gateway.NotAttached: Network vpc-1 has no Internet gateway attached".to_owned()))
        );
    }
}
