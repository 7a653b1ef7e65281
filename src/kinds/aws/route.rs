//! `aws.route`: one route of a route table. The table and the destination are its identity; its target is replaced
//! in place.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::RouteState;
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::kinds::sdk::{Absence, Answer};
use crate::model::diff::{FieldRule, FieldTrait};
use crate::model::{Address, AttrPath, Input, Reference, Value};
use crate::resource::{
    Api, Created, Deletion, ErrorClass, Expected, FieldError, KindRules, Live, OutputRule, Ownership, ProviderError,
    RemoteId, ReplaceOrder, ResourceKind, Status, Updated, WaitPolicy,
};

use super::client::Ec2;
use super::describe::route_tables;
use super::tags;

/// The prefix that DNS64 puts before IPv4 addresses (RFC 6052).
pub const NAT64: &str = "64:ff9b::/96";

/// The kind `aws.route`.
#[derive(Debug, Clone, Copy)]
pub struct Route;

/// What is declared of a route. Exactly one target is set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The route table it is in.
    pub route_table_id: Input<String>,
    /// Where packets go, IPv4 or IPv6.
    pub destination: Input<IpNet>,
    /// Through an internet gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gateway_id: Option<Input<String>>,
    /// Through a NAT gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nat_gateway_id: Option<Input<String>>,
    /// Through an egress-only internet gateway.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub egress_only_internet_gateway_id: Option<Input<String>>,
    /// Through a VPC peering connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vpc_peering_connection_id: Option<Input<String>>,
    /// Whether packets pass.
    pub state: State,
}

/// Whether packets pass a route. Declared as [`State::Active`], so that one whose target is gone shows as drift and
/// is repaired by replacing its target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// They do.
    Active,
    /// Its target is gone or detached: they are dropped.
    Blackhole,
}

/// What a route yields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outputs {}

impl KindRules for Route {
    fn name(&self) -> &'static str {
        "aws.route"
    }

    fn fields(&self) -> &'static [FieldRule] {
        &[
            FieldRule { path: "route_table_id", traits: &[FieldTrait::Immutable] },
            FieldRule { path: "destination", traits: &[FieldTrait::Immutable] },
        ]
    }

    fn outputs(&self) -> &'static [OutputRule] {
        &[]
    }

    fn replace_order(&self) -> ReplaceOrder {
        // A route is replaced when its table is: the new one leads somewhere before the old one stops to.
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

    fn known_id(&self, spec: &Value) -> Option<RemoteId> {
        let table = spec.get("route_table_id")?.as_str()?;
        let destination = spec.get("destination")?.as_str()?.parse().ok()?;
        Some(id_of(table, destination))
    }

    fn check(&self, spec: &Value) -> Vec<FieldError> {
        let set = |field: &&&str| spec.get(field).is_some_and(|target| *target != Value::Null);
        let targets: Vec<&str> = TARGETS.iter().filter(set).copied().collect();
        let mut errors = Vec::new();
        if targets.len() != 1 {
            errors.push(FieldError {
                path: AttrPath::root(),
                message: format!(
                    "a route has exactly one of {}, and this one has {}",
                    TARGETS.join(", "),
                    targets.len()
                ),
            });
        }
        let destination = spec.get("destination").and_then(Value::as_str).and_then(|text| text.parse::<IpNet>().ok());
        let misfit = match destination {
            Some(IpNet::V4(_)) if targets.contains(&EGRESS_ONLY) => "an egress-only internet gateway carries IPv6 only",
            Some(IpNet::V6(net)) if targets.contains(&NAT) && net.to_string() != NAT64 => {
                "a NAT gateway carries IPv6 only to 64:ff9b::/96 (NAT64)"
            }
            Some(_) | None => return errors,
        };
        errors.push(FieldError { path: AttrPath::keys(&["destination"]), message: misfit.to_owned() });
        errors
    }
}

const NAT: &str = "nat_gateway_id";
const EGRESS_ONLY: &str = "egress_only_internet_gateway_id";
const TARGETS: [&str; 4] = ["gateway_id", NAT, EGRESS_ONLY, "vpc_peering_connection_id"];

impl ResourceKind for Route {
    type Spec = Spec;
    type Outputs = Outputs;
    type Client = Ec2;

    fn example() -> Spec {
        let table = Address::new("aws.route_table", &["network1", "private"]);
        let nat = Address::new("aws.nat_gateway", &["network1", "nat"]);
        Spec {
            route_table_id: Reference::to(&table, "route_table_id").into(),
            destination: Input::Known(IpNet::V4(ipnet::Ipv4Net::new_assert([0, 0, 0, 0].into(), 0))),
            gateway_id: None,
            nat_gateway_id: Some(Reference::to(&nat, "nat_gateway_id").into()),
            egress_only_internet_gateway_id: None,
            vpc_peering_connection_id: None,
            state: State::Active,
        }
    }

    async fn read_many(
        &self,
        client: &Ec2,
        ids: &[RemoteId],
    ) -> Result<Vec<Option<Live<Spec, Outputs>>>, ProviderError> {
        let wanted: Vec<(&str, IpNet)> = ids.iter().map(parse_id).collect::<Result<_, _>>()?;
        let mut tables: Vec<String> = wanted.iter().map(|(table, _)| (*table).to_owned()).collect();
        tables.sort_unstable();
        tables.dedup();
        let found = route_tables(client, tags::ids_filter("route-table-id", tables)).await?;
        let routes: BTreeMap<(&str, IpNet), &aws_sdk_ec2::types::Route> = found
            .iter()
            .filter_map(|table| Some((table.route_table_id()?, table.routes())))
            .flat_map(|(table, routes)| {
                routes.iter().filter_map(move |route| Some(((table, destination(route)?), route)))
            })
            .collect();
        Ok(wanted.iter().map(|key| routes.get(key).map(|route| project(key.0, key.1, route))).collect())
    }

    async fn create(&self, client: &Ec2, spec: &Spec, _: &Ownership) -> Result<Created<Spec, Outputs>, ProviderError> {
        let table = spec.route_table_id.known()?;
        let destination = *spec.destination.known()?;
        let id = id_of(table, destination);
        let request = client
            .api()
            .create_route()
            .route_table_id(table)
            .set_gateway_id(target(spec.gateway_id.as_ref())?)
            .set_nat_gateway_id(target(spec.nat_gateway_id.as_ref())?)
            .set_egress_only_internet_gateway_id(target(spec.egress_only_internet_gateway_id.as_ref())?)
            .set_vpc_peering_connection_id(target(spec.vpc_peering_connection_id.as_ref())?);
        let request = match destination {
            IpNet::V4(net) => request.destination_cidr_block(net.to_string()),
            IpNet::V6(net) => request.destination_ipv6_cidr_block(net.to_string()),
        };
        let live = Live { spec: spec.clone(), outputs: Outputs {}, status: Status::Ready };
        match request.send().await.written("ec2:CreateRoute") {
            Ok(_) => Ok(Created { id, live: Some(live) }),
            Err(error) if error.has_code("RouteAlreadyExists") => {
                let there = self.read_many(client, std::slice::from_ref(&id)).await?.pop().flatten();
                match there {
                    Some(there) if there.spec.same_target(spec) => Ok(Created { id, live: Some(there) }),
                    Some(_) | None => Err(ProviderError {
                        message: format!(
                            "{table} has a route to {destination} already, with another target; delete that route first"
                        ),
                        ..error.with_class(ErrorClass::Conflict)
                    }),
                }
            }
            Err(error) => Err(error),
        }
    }

    /// A route has no tags: its identity is its table, which is ours, and its destination.
    async fn find(&self, client: &Ec2, spec: &Spec, _: &Ownership) -> Result<Option<RemoteId>, ProviderError> {
        let id = id_of(spec.route_table_id.known()?, *spec.destination.known()?);
        let there = self.read_many(client, std::slice::from_ref(&id)).await?.pop().flatten();
        Ok(there.map(|_| id))
    }

    async fn update(&self, client: &Ec2, id: &RemoteId, from: &Spec, to: &Spec) -> Result<Updated, ProviderError> {
        let (table, destination) = parse_id(id)?;
        let to = &to.without_foreign_target(from);
        let request = client
            .api()
            .replace_route()
            .route_table_id(table)
            .set_gateway_id(target(to.gateway_id.as_ref())?)
            .set_nat_gateway_id(target(to.nat_gateway_id.as_ref())?)
            .set_egress_only_internet_gateway_id(target(to.egress_only_internet_gateway_id.as_ref())?)
            .set_vpc_peering_connection_id(target(to.vpc_peering_connection_id.as_ref())?);
        let request = match destination {
            IpNet::V4(net) => request.destination_cidr_block(net.to_string()),
            IpNet::V6(net) => request.destination_ipv6_cidr_block(net.to_string()),
        };
        request.send().await.written("ec2:ReplaceRoute")?;
        Ok(Updated::Done)
    }

    async fn delete(&self, client: &Ec2, id: &RemoteId) -> Result<Deletion, ProviderError> {
        let (table, destination) = parse_id(id)?;
        let request = client.api().delete_route().route_table_id(table);
        let request = match destination {
            IpNet::V4(net) => request.destination_cidr_block(net.to_string()),
            IpNet::V6(net) => request.destination_ipv6_cidr_block(net.to_string()),
        };
        request.send().await.written("ec2:DeleteRoute").unless_absent()?;
        Ok(Deletion::Accepted)
    }
}

impl Spec {
    /// A route has one target. One that someone set beside ours is still in `self`, because it is no field of ours: where
    /// there are two, the one that was there before gives way.
    fn without_foreign_target(&self, from: &Self) -> Self {
        let mut spec = self.clone();
        if self.targets().iter().filter(|target| target.is_some()).count() > 1 {
            let drop_old = |target: &mut Option<Input<String>>, before: &Option<Input<String>>| {
                if target == before {
                    *target = None;
                }
            };
            drop_old(&mut spec.gateway_id, &from.gateway_id);
            drop_old(&mut spec.nat_gateway_id, &from.nat_gateway_id);
            drop_old(&mut spec.egress_only_internet_gateway_id, &from.egress_only_internet_gateway_id);
            drop_old(&mut spec.vpc_peering_connection_id, &from.vpc_peering_connection_id);
        }
        spec
    }

    fn same_target(&self, other: &Self) -> bool {
        self.targets() == other.targets()
    }

    fn targets(&self) -> [&Option<Input<String>>; 4] {
        [&self.gateway_id, &self.nat_gateway_id, &self.egress_only_internet_gateway_id, &self.vpc_peering_connection_id]
    }
}

/// A route's id: EC2 has none, so it is `rtb-…/DESTINATION`.
fn id_of(table: &str, destination: IpNet) -> RemoteId {
    RemoteId::new(format!("{table}/{destination}"))
}

fn parse_id(id: &RemoteId) -> Result<(&str, IpNet), ProviderError> {
    id.as_str()
        .split_once('/')
        .and_then(|(table, destination)| Some((table, destination.parse().ok()?)))
        .ok_or_else(|| ProviderError::bug("ec2:DescribeRouteTables", format!("`{id}` is not a route's id")))
}

fn target(input: Option<&Input<String>>) -> Result<Option<String>, ProviderError> {
    Ok(input.map(Input::known).transpose()?.cloned())
}

fn destination(route: &aws_sdk_ec2::types::Route) -> Option<IpNet> {
    route.destination_cidr_block().or_else(|| route.destination_ipv6_cidr_block())?.parse().ok()
}

/// A target of another sort (a transit gateway, an interface) leaves them all empty, which shows as drift.
fn project(table: &str, destination: IpNet, route: &aws_sdk_ec2::types::Route) -> Live<Spec, Outputs> {
    let set = |id: Option<&str>| id.filter(|id| !id.is_empty()).map(Input::from);
    let spec = Spec {
        route_table_id: table.into(),
        destination: Input::Known(destination),
        gateway_id: set(route.gateway_id()),
        nat_gateway_id: set(route.nat_gateway_id()),
        egress_only_internet_gateway_id: set(route.egress_only_internet_gateway_id()),
        vpc_peering_connection_id: set(route.vpc_peering_connection_id()),
        state: match route.state().map(RouteState::as_str) {
            Some("blackhole") => State::Blackhole,
            Some(_) | None => State::Active,
        },
    };
    Live { spec, outputs: Outputs {}, status: Status::Ready }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(json: &str) -> Value {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn an_id_is_known_as_soon_as_its_table_is() {
        let spec = value(r#"{"route_table_id": "rtb-1", "destination": "::/0"}"#);
        let id = Route.known_id(&spec).unwrap();
        assert_eq!(id.as_str(), "rtb-1/::/0");
        assert_eq!(parse_id(&id).unwrap(), ("rtb-1", "::/0".parse().unwrap()));
        let hole = value(
            r#"{"route_table_id": {"$ref": {"address": "aws.route_table/n/p", "output": "route_table_id"}},
                "destination": "::/0"}"#,
        );
        assert_eq!(Route.known_id(&hole), None);
    }

    #[test]
    fn a_route_whose_target_is_gone_shows_as_drift() {
        let route = aws_sdk_ec2::types::Route::builder()
            .destination_cidr_block("0.0.0.0/0")
            .nat_gateway_id("nat-1")
            .state(RouteState::Blackhole)
            .build();
        let live = project("rtb-1", "0.0.0.0/0".parse().unwrap(), &route);
        assert_eq!(live.spec.state, State::Blackhole);
        assert_eq!(live.status, Status::Ready);
    }

    #[test]
    fn targets_that_cannot_carry_the_destination_are_found() {
        let messages = |json| Route.check(&value(json)).into_iter().map(|error| error.message).collect::<Vec<_>>();
        assert_eq!(
            messages(r#"{"destination": "0.0.0.0/0", "egress_only_internet_gateway_id": "eigw-1"}"#),
            ["an egress-only internet gateway carries IPv6 only"]
        );
        assert_eq!(messages(r#"{"destination": "::/0", "nat_gateway_id": "nat-1"}"#).len(), 1);
        assert!(messages(r#"{"destination": "64:ff9b::/96", "nat_gateway_id": "nat-1"}"#).is_empty());
        assert_eq!(
            messages(r#"{"destination": "::/0"}"#),
            ["a route has exactly one of gateway_id, nat_gateway_id, egress_only_internet_gateway_id, \
                 vpc_peering_connection_id, and this one has 0"]
        );
    }
}
