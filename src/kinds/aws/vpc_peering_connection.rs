//! `aws.vpc_peering_connection`: a private route between two VPCs of the account, in one region or in two.
//!
//! Create asks for it, the first update accepts it, and the next ones set what names resolve to across it. The
//! requester's region is its target; what only the accepter's region may do is asked for there.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::{
    PeeringConnectionOptionsRequest, ResourceType, VpcPeeringConnection as Connection,
    VpcPeeringConnectionOptionsDescription, VpcPeeringConnectionStateReason, VpcPeeringConnectionStateReasonCode,
    VpcPeeringConnectionVpcInfo,
};
use serde::{Deserialize, Serialize};

use crate::kinds::sdk::{Absence, Answer, in_order, no_id, texts};
use crate::model::diff::{FieldRule, FieldTrait};
use crate::model::{Address, AttrPath, Input, Reference, Value};
use crate::resource::{
    Api, Calls, Created, Deletion, ErrorClass, Expected, FieldError, KindRules, Live, OutputRule, Ownership,
    ProviderError, RemoteId, ResourceKind, Status, Updated, WaitPolicy,
};

use super::client::Ec2;
use super::live::PAGE;
use super::tags::{self, Tags};

/// The kind `aws.vpc_peering_connection`.
#[derive(Debug, Clone, Copy)]
pub struct VpcPeeringConnection;

/// What is declared of a peering connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The VPC that asks: the connection's region is its own.
    pub vpc_id: Input<String>,
    /// The VPC that accepts.
    pub peer_vpc_id: Input<String>,
    /// The region of the VPC that accepts.
    pub peer_region: String,
    /// Whether it is accepted, which it is not between its creation and the update that follows.
    pub accepted: bool,
    /// Whether public names of the requester's instances resolve to private addresses for the accepter.
    pub requester_dns: bool,
    /// Whether public names of the accepter's instances resolve to private addresses for the requester.
    pub accepter_dns: bool,
    /// Its tags, which the requester's region has.
    pub tags: Tags,
}

/// What a peering connection yields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outputs {
    /// Its id, the same in both regions.
    pub vpc_peering_connection_id: String,
}

impl KindRules for VpcPeeringConnection {
    fn name(&self) -> &'static str {
        "aws.vpc_peering_connection"
    }

    fn fields(&self) -> &'static [FieldRule] {
        &[
            FieldRule { path: "vpc_id", traits: &[FieldTrait::Immutable] },
            FieldRule { path: "peer_vpc_id", traits: &[FieldTrait::Immutable] },
            FieldRule { path: "peer_region", traits: &[FieldTrait::Immutable] },
        ]
    }

    fn outputs(&self) -> &'static [OutputRule] {
        const { &[OutputRule::plain("vpc_peering_connection_id")] }
    }

    fn calls(&self, _: &Value) -> Calls {
        Calls { updates: 2, deletes: 1 }
    }

    // Not documented: within one region it is there at once, across two it takes some seconds to be seen.
    fn expected(&self) -> Expected {
        Expected { create: 5.0, update: 2.0, delete: 2.0 }
    }

    fn api(&self) -> Api {
        Api::Ec2
    }

    fn wait(&self) -> WaitPolicy {
        WaitPolicy::new(500, 1_000, 300)
    }

    fn check(&self, spec: &Value) -> Vec<FieldError> {
        let mut errors = tags::check(spec);
        let known = |field: &str| spec.get(field).and_then(Value::as_str);
        if let (Some(vpc), Some(peer)) = (known("vpc_id"), known("peer_vpc_id"))
            && vpc == peer
        {
            let message = "a VPC cannot be peered with itself".to_owned();
            errors.push(FieldError { path: AttrPath::keys(&["peer_vpc_id"]), message });
        }
        errors
    }
}

impl ResourceKind for VpcPeeringConnection {
    type Spec = Spec;
    type Outputs = Outputs;
    type Client = Ec2;

    fn example() -> Spec {
        let vpc = |name: &str| Reference::to(&Address::new("aws.vpc", &[name]), "vpc_id").into();
        Spec {
            vpc_id: vpc("network1"),
            peer_vpc_id: vpc("network2"),
            peer_region: "us-west-2".to_owned(),
            accepted: true,
            requester_dns: true,
            accepter_dns: true,
            tags: Tags::from([("Name".to_owned(), "mesh1-network1-network2".to_owned())]),
        }
    }

    async fn read_many(
        &self,
        client: &Ec2,
        ids: &[RemoteId],
    ) -> Result<Vec<Option<Live<Spec, Outputs>>>, ProviderError> {
        let found = list(client, texts(ids)).await?;
        let far = accepters_options(client, &found).await?;
        Ok(in_order(ids, found.iter().filter_map(|connection| project(connection, &far))))
    }

    async fn create(
        &self,
        client: &Ec2,
        spec: &Spec,
        owner: &Ownership,
    ) -> Result<Created<Spec, Outputs>, ProviderError> {
        let answer = client
            .api()
            .create_vpc_peering_connection()
            .vpc_id(spec.vpc_id.known()?)
            .peer_vpc_id(spec.peer_vpc_id.known()?)
            .peer_region(&spec.peer_region)
            .tag_specifications(tags::at_create(ResourceType::VpcPeeringConnection, &spec.tags, owner))
            .send()
            .await
            .written("ec2:CreateVpcPeeringConnection");
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) if error.has_code("VpcPeeringConnectionAlreadyExists") => {
                return match self.find(client, spec, owner).await? {
                    Some(id) => Ok(Created { id, live: None }),
                    None => Err(taken(error)),
                };
            }
            Err(error) => return Err(error),
        };
        let connection = answer.vpc_peering_connection().ok_or_else(|| no_id("ec2:CreateVpcPeeringConnection"))?;
        let id = connection.vpc_peering_connection_id().ok_or_else(|| no_id("ec2:CreateVpcPeeringConnection"))?;
        // Two VPCs have one connection: while another one waits to be accepted, EC2 answers that one.
        if !connection.tags().is_empty() && !tags::made_by(owner, connection.tags()) {
            return Err(taken(ProviderError::new(
                ErrorClass::Conflict,
                "ec2:CreateVpcPeeringConnection",
                format!("the VPCs have a connection, {id}"),
            )));
        }
        Ok(Created { id: RemoteId::new(id), live: None })
    }

    async fn find(&self, client: &Ec2, _: &Spec, owner: &Ownership) -> Result<Option<RemoteId>, ProviderError> {
        let request = client.api().describe_vpc_peering_connections().filters(tags::filter(owner)).max_results(PAGE);
        let mut pages = request.into_paginator().send();
        let mut found = Vec::new();
        while let Some(page) = pages.next().await {
            let page = page.read("ec2:DescribeVpcPeeringConnections")?;
            found.extend(page.vpc_peering_connections.unwrap_or_default());
        }
        let ours = found.into_iter().filter(|connection| {
            tags::made_by(owner, connection.tags()) && !is_gone(connection) && code(connection) != Some("deleting")
        });
        Ok(tags::first(ours.map(|connection| connection.vpc_peering_connection_id)))
    }

    async fn update(&self, client: &Ec2, id: &RemoteId, from: &Spec, to: &Spec) -> Result<Updated, ProviderError> {
        let far = client.in_region(&to.peer_region);
        if to.accepted && !from.accepted {
            let request = far.api().accept_vpc_peering_connection().vpc_peering_connection_id(id.as_str());
            return match request.send().await.written("ec2:AcceptVpcPeeringConnection") {
                // An earlier try's answer was lost: the read that follows tells.
                Err(error) if error.has_code("InvalidStateTransition") => Ok(Updated::Done),
                answer => answer.map(|_| Updated::Done),
            };
        }
        let (requester, accepter) = (from.requester_dns != to.requester_dns, from.accepter_dns != to.accepter_dns);
        let options = |allowed: bool| {
            PeeringConnectionOptionsRequest::builder().allow_dns_resolution_from_remote_vpc(allowed).build()
        };
        let modify =
            |client: &Ec2| client.api().modify_vpc_peering_connection_options().vpc_peering_connection_id(id.as_str());
        let near = client.region() == Some(to.peer_region.as_str());
        // Each side of a connection between regions is set in its own.
        let request = if requester || (accepter && near) {
            modify(client)
                .set_requester_peering_connection_options(requester.then(|| options(to.requester_dns)))
                .set_accepter_peering_connection_options((accepter && near).then(|| options(to.accepter_dns)))
        } else if accepter {
            modify(&far).accepter_peering_connection_options(options(to.accepter_dns))
        } else {
            return tags::update(client, id.as_str(), &from.tags, &to.tags).await.map(|_| Updated::Done);
        };
        request.send().await.written("ec2:ModifyVpcPeeringConnectionOptions")?;
        Ok(Updated::Done)
    }

    async fn delete(&self, client: &Ec2, id: &RemoteId) -> Result<Deletion, ProviderError> {
        let request = client.api().delete_vpc_peering_connection().vpc_peering_connection_id(id.as_str());
        match request.send().await.written("ec2:DeleteVpcPeeringConnection").unless_absent() {
            Ok(_) => Ok(Deletion::Accepted),
            // "…, attempted to transition from deleted to deleting".
            Err(error) if error.has_code("InvalidStateTransition") => {
                let there = list(client, vec![id.as_str().to_owned()]).await?;
                let going = there.iter().all(|there| is_gone(there) || code(there) == Some("deleting"));
                if going { Ok(Deletion::Accepted) } else { Err(error) }
            }
            Err(error) => Err(error),
        }
    }
}

fn taken(error: ProviderError) -> ProviderError {
    let way = "it is not of this mesh: delete it, or write `via = \"existing\"` and leave its routes to their owner";
    let message = format!("{}; {way}", error.message.trim_end_matches('.'));
    ProviderError { message, ..error.with_class(ErrorClass::Conflict) }
}

async fn list(client: &Ec2, ids: Vec<String>) -> Result<Vec<Connection>, ProviderError> {
    let request = client.api().describe_vpc_peering_connections();
    let request = request.filters(tags::ids_filter("vpc-peering-connection-id", ids)).max_results(PAGE);
    let mut pages = request.into_paginator().send();
    let mut found = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.read("ec2:DescribeVpcPeeringConnections")?;
        found.extend(page.vpc_peering_connections.unwrap_or_default());
    }
    Ok(found)
}

/// What the accepters of other regions allow, by connection: each region tells of its own side.
async fn accepters_options(client: &Ec2, found: &[Connection]) -> Result<BTreeMap<String, bool>, ProviderError> {
    let mut by_region: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for connection in found.iter().filter(|connection| is_accepted(connection)) {
        let region = connection.accepter_vpc_info().and_then(|info| info.region());
        if let (Some(region), Some(id)) = (region, connection.vpc_peering_connection_id())
            && client.region() != Some(region)
        {
            by_region.entry(region).or_default().push(id.to_owned());
        }
    }
    let mut options = BTreeMap::new();
    for (region, ids) in by_region {
        for connection in list(&client.in_region(region), ids).await? {
            let allows = allows_dns(connection.accepter_vpc_info());
            options.extend(connection.vpc_peering_connection_id.map(|id| (id, allows)));
        }
    }
    Ok(options)
}

fn allows_dns(side: Option<&VpcPeeringConnectionVpcInfo>) -> bool {
    let options = side.and_then(|side| side.peering_options());
    options.and_then(VpcPeeringConnectionOptionsDescription::allow_dns_resolution_from_remote_vpc) == Some(true)
}

fn code(connection: &Connection) -> Option<&str> {
    let status = connection.status().and_then(VpcPeeringConnectionStateReason::code);
    status.map(VpcPeeringConnectionStateReasonCode::as_str)
}

/// One that was deleted is still listed for about two hours, as one that nobody accepted is.
fn is_gone(connection: &Connection) -> bool {
    matches!(code(connection), Some("deleted" | "rejected" | "expired"))
}

fn is_accepted(connection: &Connection) -> bool {
    matches!(code(connection), Some("active" | "provisioning"))
}

fn project(connection: &Connection, far: &BTreeMap<String, bool>) -> Option<(String, Live<Spec, Outputs>)> {
    if is_gone(connection) {
        return None;
    }
    let id = connection.vpc_peering_connection_id()?.to_owned();
    let (requester, accepter) = (connection.requester_vpc_info(), connection.accepter_vpc_info());
    let vpc =
        |side: Option<&VpcPeeringConnectionVpcInfo>| side.and_then(|side| side.vpc_id()).unwrap_or_default().into();
    let spec = Spec {
        vpc_id: vpc(requester),
        peer_vpc_id: vpc(accepter),
        peer_region: accepter.and_then(|side| side.region()).unwrap_or_default().to_owned(),
        accepted: is_accepted(connection),
        requester_dns: allows_dns(requester),
        accepter_dns: far.get(&id).copied().unwrap_or_else(|| allows_dns(accepter)),
        tags: tags::project(connection.tags()),
    };
    let status = match code(connection) {
        Some("failed") => {
            let said = connection.status().and_then(|status| status.message()).unwrap_or("EC2 gives no reason");
            Status::Failed(format!("state is failed: {said}; peered VPCs must not have overlapping ranges"))
        }
        Some("deleting") => Status::Deleting,
        Some(state @ ("initiating-request" | "provisioning")) => Status::Pending(format!("state is {state}")),
        // One that waits to be accepted takes the update that does it.
        Some(_) | None => Status::Ready,
    };
    Some((id.clone(), Live { spec, outputs: Outputs { vpc_peering_connection_id: id }, status }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connection(state: &str, allowed: bool) -> Connection {
        let options =
            VpcPeeringConnectionOptionsDescription::builder().allow_dns_resolution_from_remote_vpc(allowed).build();
        let side = |vpc: &str, region: &str| {
            let side = VpcPeeringConnectionVpcInfo::builder().vpc_id(vpc).region(region);
            side.peering_options(options.clone()).build()
        };
        let status = VpcPeeringConnectionStateReason::builder().code(state.into()).message("because").build();
        Connection::builder()
            .vpc_peering_connection_id("pcx-1")
            .requester_vpc_info(side("vpc-1", "us-west-2"))
            .accepter_vpc_info(side("vpc-2", "eu-west-1"))
            .status(status)
            .build()
    }

    fn live(state: &str) -> Option<(bool, Status)> {
        project(&connection(state, true), &BTreeMap::new()).map(|(_, live)| (live.spec.accepted, live.status))
    }

    #[test]
    fn a_states_meaning() {
        assert_eq!(
            live("initiating-request"),
            Some((false, Status::Pending("state is initiating-request".to_owned())))
        );
        assert_eq!(live("pending-acceptance"), Some((false, Status::Ready)), "an update accepts it");
        assert_eq!(live("provisioning"), Some((true, Status::Pending("state is provisioning".to_owned()))));
        assert_eq!(live("active"), Some((true, Status::Ready)));
        assert_eq!(live("deleting"), Some((false, Status::Deleting)));
        assert!(matches!(live("failed"), Some((false, Status::Failed(why))) if why.contains("because")));
        assert_eq!([live("deleted"), live("rejected"), live("expired")], [None, None, None]);
    }

    #[test]
    fn the_accepters_side_is_told_by_its_own_region() {
        let far = BTreeMap::from([("pcx-1".to_owned(), true)]);
        let (_, live) = project(&connection("active", false), &far).unwrap();
        assert_eq!((live.spec.requester_dns, live.spec.accepter_dns), (false, true));
        assert_eq!(live.spec.peer_region, "eu-west-1");
    }

    #[test]
    fn a_vpc_is_no_peer_of_itself() {
        let spec: Value = serde_json::from_str(r#"{"vpc_id": "vpc-1", "peer_vpc_id": "vpc-1"}"#).unwrap();
        assert_eq!(VpcPeeringConnection.check(&spec).len(), 1);
    }
}
