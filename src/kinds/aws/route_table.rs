//! `aws.route_table`: a route table. Its routes are resources of their own; which subnets use it is part of the
//! subnets.

use aws_sdk_ec2::types::ResourceType;
use serde::{Deserialize, Serialize};

use crate::kinds::sdk::{Absence, Answer, in_order, no_id, texts};
use crate::model::diff::{FieldRule, FieldTrait};
use crate::model::{Address, Input, Reference, Value};
use crate::resource::{
    Api, Created, Deletion, ErrorClass, Expected, FieldError, KindRules, Live, OutputRule, Ownership, ProviderError,
    RemoteId, ReplaceOrder, ResourceKind, Status, Updated, WaitPolicy,
};

use super::client::Ec2;
use super::describe::{associations, route_tables, subnets};
use super::tags::{self, Tags};

/// The kind `aws.route_table`.
#[derive(Debug, Clone, Copy)]
pub struct RouteTable;

/// What is declared of a route table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The VPC it is in.
    pub vpc_id: Input<String>,
    /// Its tags.
    pub tags: Tags,
}

/// What a route table yields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outputs {
    /// Its id.
    pub route_table_id: String,
}

impl KindRules for RouteTable {
    fn name(&self) -> &'static str {
        "aws.route_table"
    }

    fn fields(&self) -> &'static [FieldRule] {
        &[FieldRule { path: "vpc_id", traits: &[FieldTrait::Immutable] }]
    }

    fn outputs(&self) -> &'static [OutputRule] {
        const { &[OutputRule::plain("route_table_id")] }
    }

    fn replace_order(&self) -> ReplaceOrder {
        // Nothing about two tables clashes, and EC2 deletes none that subnets still use.
        ReplaceOrder::CreateFirst
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

impl ResourceKind for RouteTable {
    type Spec = Spec;
    type Outputs = Outputs;
    type Client = Ec2;

    fn example() -> Spec {
        let vpc = Address::new("aws.vpc", &["network1"]);
        Spec {
            vpc_id: Reference::to(&vpc, "vpc_id").into(),
            tags: Tags::from([("Name".to_owned(), "mesh1-network1-public".to_owned())]),
        }
    }

    async fn read_many(
        &self,
        client: &Ec2,
        ids: &[RemoteId],
    ) -> Result<Vec<Option<Live<Spec, Outputs>>>, ProviderError> {
        let tables = route_tables(client, tags::ids_filter("route-table-id", texts(ids))).await?;
        Ok(in_order(ids, tables.iter().filter_map(project)))
    }

    async fn create(
        &self,
        client: &Ec2,
        spec: &Spec,
        owner: &Ownership,
    ) -> Result<Created<Spec, Outputs>, ProviderError> {
        let answer = client
            .api()
            .create_route_table()
            .client_token(&owner.token)
            .vpc_id(spec.vpc_id.known()?)
            .tag_specifications(tags::at_create(ResourceType::RouteTable, &spec.tags, owner))
            .send()
            .await
            .written("ec2:CreateRouteTable")?;
        let (id, live) = answer.route_table().and_then(project).ok_or_else(|| no_id("ec2:CreateRouteTable"))?;
        Ok(Created { id: RemoteId::new(id), live: Some(live) })
    }

    async fn find(&self, client: &Ec2, _: &Spec, owner: &Ownership) -> Result<Option<RemoteId>, ProviderError> {
        let tables = route_tables(client, tags::filter(owner)).await?;
        let ours = tables.into_iter().filter(|table| tags::made_by(owner, table.tags()));
        Ok(tags::first(ours.map(|table| table.route_table_id)))
    }

    async fn update(&self, client: &Ec2, id: &RemoteId, from: &Spec, to: &Spec) -> Result<Updated, ProviderError> {
        tags::update(client, id.as_str(), &from.tags, &to.tags).await.map(|_| Updated::Done)
    }

    async fn delete(&self, client: &Ec2, id: &RemoteId) -> Result<Deletion, ProviderError> {
        let answer = client.api().delete_route_table().route_table_id(id.as_str()).send().await;
        match answer.written("ec2:DeleteRouteTable").unless_absent() {
            Ok(_) => Ok(Deletion::Accepted),
            Err(error) if error.class == ErrorClass::InUse && drop_dead_association(client, id).await? => {
                Ok(Deletion::Again)
            }
            Err(error) => Err(error),
        }
    }
}

/// Drops an association with a subnet that no longer exists; `false` if there is none.
///
/// On AWS an association dies with its subnet. moto 5.2 keeps it, and then never lets the table go. An association
/// with a subnet that exists is left alone: it may be someone else's.
async fn drop_dead_association(client: &Ec2, id: &RemoteId) -> Result<bool, ProviderError> {
    let tables = route_tables(client, tags::ids_filter("route-table-id", texts(std::slice::from_ref(id)))).await?;
    let there = associations(&tables);
    if there.is_empty() {
        return Ok(false);
    }
    let wanted = there.keys().map(|subnet| (*subnet).to_owned()).collect();
    let alive = subnets(client, "subnet-id", wanted).await?;
    let is_dead = |subnet: &str| !alive.iter().any(|alive| alive.subnet_id() == Some(subnet));
    let dead = there.into_iter().find(|(subnet, _)| is_dead(subnet));
    let Some(dead) = dead.and_then(|(_, association)| association.route_table_association_id()) else {
        return Ok(false);
    };
    let answer = client.api().disassociate_route_table().association_id(dead).send().await;
    answer.written("ec2:DisassociateRouteTable").unless_absent()?;
    Ok(true)
}

fn project(table: &aws_sdk_ec2::types::RouteTable) -> Option<(String, Live<Spec, Outputs>)> {
    let id = table.route_table_id()?.to_owned();
    let spec = Spec { vpc_id: table.vpc_id()?.into(), tags: tags::project(table.tags()) };
    Some((id.clone(), Live { spec, outputs: Outputs { route_table_id: id }, status: Status::Ready }))
}
