//! `aws.eip`: an Elastic IP address, which keeps a NAT gateway's address stable.

use aws_sdk_ec2::types::{DomainType, ResourceType};
use serde::{Deserialize, Serialize};

use crate::kinds::sdk::{Absence, Answer, in_order, no_id, texts};
use crate::model::Value;
use crate::model::diff::FieldRule;
use crate::resource::{
    Api, Created, Deletion, ErrorClass, Expected, FieldError, KindRules, Live, OutputRule, Ownership, ProviderError,
    RemoteId, ResourceKind, Status, Updated, WaitPolicy,
};

use super::client::Ec2;
use super::tags::{self, Tags};

/// The kind `aws.eip`.
#[derive(Debug, Clone, Copy)]
pub struct Eip;

/// What is declared of an Elastic IP address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// Its tags.
    pub tags: Tags,
}

/// What an Elastic IP address yields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outputs {
    /// Its id.
    pub allocation_id: String,
    /// The address.
    pub public_ip: String,
    /// The address as a range of one, for whoever allows or refuses ranges: `198.51.100.7/32`.
    pub public_cidr: String,
}

impl Outputs {
    fn new(allocation_id: String, public_ip: String) -> Self {
        let public_cidr = format!("{public_ip}/32");
        Self { allocation_id, public_ip, public_cidr }
    }
}

impl KindRules for Eip {
    fn name(&self) -> &'static str {
        "aws.eip"
    }

    fn fields(&self) -> &'static [FieldRule] {
        &[]
    }

    fn outputs(&self) -> &'static [OutputRule] {
        const { &[OutputRule::plain("allocation_id"), OutputRule::plain("public_ip"), OutputRule::plain("public_cidr")] }
    }

    fn expected(&self) -> Expected {
        Expected { create: 1.0, update: 1.0, delete: 1.0 }
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

impl ResourceKind for Eip {
    type Spec = Spec;
    type Outputs = Outputs;
    type Client = Ec2;

    fn example() -> Spec {
        Spec { tags: Tags::from([("Name".to_owned(), "mesh1-network1-nat".to_owned())]) }
    }

    async fn read_many(
        &self,
        client: &Ec2,
        ids: &[RemoteId],
    ) -> Result<Vec<Option<Live<Spec, Outputs>>>, ProviderError> {
        // This API answers in one page.
        let filter = tags::ids_filter("allocation-id", texts(ids));
        let answer = client.api().describe_addresses().filters(filter).send().await.read("ec2:DescribeAddresses")?;
        Ok(in_order(ids, answer.addresses.unwrap_or_default().into_iter().filter_map(project)))
    }

    async fn create(
        &self,
        client: &Ec2,
        spec: &Spec,
        owner: &Ownership,
    ) -> Result<Created<Spec, Outputs>, ProviderError> {
        let answer = client
            .api()
            .allocate_address()
            .domain(DomainType::Vpc)
            .tag_specifications(tags::at_create(ResourceType::ElasticIp, &spec.tags, owner))
            .send()
            .await
            .written("ec2:AllocateAddress")?;
        let allocation_id = answer.allocation_id.ok_or_else(|| no_id("ec2:AllocateAddress"))?;
        // The answer does not repeat the tags: it is known that they were set, because they are part of the request.
        let live = answer.public_ip.map(|public_ip| Live {
            spec: spec.clone(),
            outputs: Outputs::new(allocation_id.clone(), public_ip),
            status: Status::Ready,
        });
        Ok(Created { id: RemoteId::new(allocation_id), live })
    }

    async fn find(&self, client: &Ec2, _: &Spec, owner: &Ownership) -> Result<Option<RemoteId>, ProviderError> {
        let answer = client.api().describe_addresses().filters(tags::filter(owner)).send().await;
        let addresses = answer.read("ec2:DescribeAddresses")?.addresses.unwrap_or_default();
        let ours = addresses.into_iter().filter(|address| tags::made_by(owner, address.tags()));
        Ok(tags::first(ours.map(|address| address.allocation_id)))
    }

    async fn update(&self, client: &Ec2, id: &RemoteId, from: &Spec, to: &Spec) -> Result<Updated, ProviderError> {
        tags::update(client, id.as_str(), &from.tags, &to.tags).await.map(|_| Updated::Done)
    }

    async fn delete(&self, client: &Ec2, id: &RemoteId) -> Result<Deletion, ProviderError> {
        let answer = client.api().release_address().allocation_id(id.as_str()).send().await;
        match answer.written("ec2:ReleaseAddress").unless_absent() {
            Ok(_) => Ok(Deletion::Accepted),
            // While a NAT gateway that is going away still holds the address, EC2 says either this or
            // InvalidIPAddress.InUse. A caller who really may not release it learns so when the wait ends.
            Err(error) if error.has_code("AuthFailure") => Err(error.with_class(ErrorClass::InUse)),
            Err(error) => Err(error),
        }
    }
}

fn project(address: aws_sdk_ec2::types::Address) -> Option<(String, Live<Spec, Outputs>)> {
    let allocation_id = address.allocation_id?;
    let spec = Spec { tags: tags::project(address.tags.as_deref().unwrap_or_default()) };
    let outputs = Outputs::new(allocation_id.clone(), address.public_ip.unwrap_or_default());
    Some((allocation_id, Live { spec, outputs, status: Status::Ready }))
}
