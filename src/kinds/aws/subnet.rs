//! `aws.subnet`: a subnet with its attributes, its IPv6 block and the route table it uses.
//!
//! Attributes and the association die with the subnet and are not waited for by themselves, so they are part of it.
//! Create makes the subnet; updates do the rest, one request each.

use aws_sdk_ec2::types::{AttributeBooleanValue, ResourceType, RouteTableAssociation, SubnetState};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};

use crate::kinds::sdk::{Absence, Answer, in_order, no_id, texts};
use crate::model::diff::{FieldRule, FieldTrait};
use crate::model::{Address, AttrPath, Input, Pick, Reference, Value};
use crate::resource::{
    Api, Calls, Created, Deletion, ErrorClass, Expected, FieldError, KindRules, Live, OutputClass, OutputRule,
    Ownership, ProviderError, RemoteId, ResourceKind, Status, Updated, WaitPolicy,
};

use super::client::Ec2;
use super::describe::{self, association_state, associations, ipv6_block};
use super::range::wrong_block;
use super::tags::{self, Tags};

/// The kind `aws.subnet`.
#[derive(Debug, Clone, Copy)]
pub struct Subnet;

/// What is declared of a subnet. Exactly one of the two names of its availability zone is set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spec {
    /// The VPC it is in.
    pub vpc_id: Input<String>,
    /// Its zone by name, for example `us-west-2a`. Which zone that is differs from account to account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub availability_zone: Option<String>,
    /// Its zone by id, for example `usw2-az1`: the same zone in every account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub availability_zone_id: Option<String>,
    /// Its IPv4 block.
    pub cidr: Ipv4Net,
    /// Its IPv6 block, a /64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ipv6_cidr: Option<Input<Ipv6Net>>,
    /// Whether instances in it get a public IPv4 address.
    pub map_public_ip_on_launch: bool,
    /// Whether interfaces in it get an IPv6 address.
    pub assign_ipv6_address_on_creation: bool,
    /// Whether its resolver makes IPv6 addresses of IPv4 ones (DNS64).
    pub enable_dns64: bool,
    /// The route table it uses; the VPC's main one if none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route_table_id: Option<Input<String>>,
    /// Its tags.
    pub tags: Tags,
}

/// What a subnet yields.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outputs {
    /// Its id.
    pub subnet_id: String,
    /// Its zone's name.
    pub availability_zone: Option<String>,
    /// Its zone's id.
    pub availability_zone_id: Option<String>,
    /// Its IPv6 block, if it has one.
    pub ipv6_cidr: Option<String>,
}

impl KindRules for Subnet {
    fn name(&self) -> &'static str {
        "aws.subnet"
    }

    fn fields(&self) -> &'static [FieldRule] {
        &[
            FieldRule { path: "vpc_id", traits: &[FieldTrait::Immutable] },
            // A zone has both names; the one that is not declared is not ours.
            FieldRule { path: "availability_zone", traits: &[FieldTrait::Immutable, FieldTrait::Computed] },
            FieldRule { path: "availability_zone_id", traits: &[FieldTrait::Immutable, FieldTrait::Computed] },
            FieldRule { path: "cidr", traits: &[FieldTrait::Immutable] },
            FieldRule { path: "ipv6_cidr", traits: &[FieldTrait::ImmutableOnceSet] },
        ]
    }

    fn outputs(&self) -> &'static [OutputRule] {
        const {
            &[
                OutputRule::plain("subnet_id"),
                OutputRule::plain("availability_zone"),
                OutputRule::plain("availability_zone_id"),
                OutputRule { name: "ipv6_cidr", class: OutputClass::Plain, changes_with: &["ipv6_cidr"] },
            ]
        }
    }

    fn claims(&self, spec: &Value) -> Vec<IpNet> {
        spec.get("cidr").and_then(Value::as_str).and_then(|cidr| cidr.parse().ok()).into_iter().collect()
    }

    fn calls(&self, spec: &Value) -> Calls {
        // What a create cannot set takes a request each.
        let on = |field: &str| spec.get(field) == Some(&Value::Bool(true));
        let switched = ["map_public_ip_on_launch", "assign_ipv6_address_on_creation", "enable_dns64"];
        let updates =
            switched.into_iter().filter(|field| on(field)).count() + usize::from(spec.get("route_table_id").is_some());
        Calls { updates: u32::try_from(updates).unwrap_or(u32::MAX), ..Calls::default() }
    }

    fn expected(&self) -> Expected {
        Expected { create: 4.0, update: 1.0, delete: 1.0 }
    }

    fn api(&self) -> Api {
        Api::Ec2
    }

    // A delete may have to wait for interfaces that are going away: 20 minutes, as Terraform's provider gives it.
    fn wait(&self) -> WaitPolicy {
        WaitPolicy::new(1_000, 1_000, 1_200)
    }

    fn check(&self, spec: &Value) -> Vec<FieldError> {
        let mut errors = tags::check(spec);
        let mut wrong = |field: &str, message: String| {
            errors.push(FieldError { path: AttrPath::keys(&[field]), message });
        };
        if let Some(message) = spec.get("cidr").and_then(Value::as_str).and_then(wrong_block) {
            wrong("cidr", message);
        }
        let set = |field: &str| spec.get(field).is_some_and(|value| *value != Value::Null);
        if set("availability_zone") == set("availability_zone_id") {
            wrong("availability_zone", "a subnet has its zone's name or its zone's id".to_owned());
        }
        for field in ["assign_ipv6_address_on_creation", "enable_dns64"] {
            if spec.get(field) == Some(&Value::Bool(true)) && !set("ipv6_cidr") {
                wrong(field, format!("{field} needs an ipv6_cidr"));
            }
        }
        errors
    }
}

impl ResourceKind for Subnet {
    type Spec = Spec;
    type Outputs = Outputs;
    type Client = Ec2;

    fn example() -> Spec {
        let vpc = Address::new("aws.vpc", &["network1"]);
        let table = Address::new("aws.route_table", &["network1", "private"]);
        let block = Reference::to(&vpc, "ipv6_cidr").pick(Pick::Ipv6Subnet { prefix: 64, index: 3 });
        Spec {
            vpc_id: Reference::to(&vpc, "vpc_id").into(),
            availability_zone: Some("us-west-2a".to_owned()),
            availability_zone_id: None,
            cidr: Ipv4Net::new_assert([10, 1, 0, 0].into(), 20),
            ipv6_cidr: Some(block.into()),
            map_public_ip_on_launch: false,
            assign_ipv6_address_on_creation: true,
            enable_dns64: false,
            route_table_id: Some(Reference::to(&table, "route_table_id").into()),
            tags: Tags::from([("kubernetes.io/role/internal-elb".to_owned(), "1".to_owned())]),
        }
    }

    async fn read_many(
        &self,
        client: &Ec2,
        ids: &[RemoteId],
    ) -> Result<Vec<Option<Live<Spec, Outputs>>>, ProviderError> {
        let subnets = describe::subnets(client, "subnet-id", texts(ids)).await?;
        if subnets.is_empty() {
            return Ok(in_order(ids, []));
        }
        // By VPC and not by `association.subnet-id`: moto 5.2 answers that filter only for one value, or for all of a
        // table's subnets.
        let mut vpcs: Vec<String> = subnets.iter().filter_map(|subnet| subnet.vpc_id.clone()).collect();
        vpcs.sort_unstable();
        vpcs.dedup();
        let tables = describe::route_tables(client, tags::ids_filter("vpc-id", vpcs)).await?;
        let associations = associations(&tables);
        let mut found = Vec::with_capacity(subnets.len());
        for subnet in &subnets {
            let id = subnet.subnet_id().unwrap_or_default();
            found.push((id.to_owned(), project(subnet, associations.get(id).copied())?));
        }
        Ok(in_order(ids, found))
    }

    async fn create(
        &self,
        client: &Ec2,
        spec: &Spec,
        owner: &Ownership,
    ) -> Result<Created<Spec, Outputs>, ProviderError> {
        let ipv6 = spec.ipv6_cidr.as_ref().map(Input::known).transpose()?;
        let answer = client
            .api()
            .create_subnet()
            .vpc_id(spec.vpc_id.known()?)
            .set_availability_zone(spec.availability_zone.clone())
            .set_availability_zone_id(spec.availability_zone_id.clone())
            .cidr_block(spec.cidr.to_string())
            .set_ipv6_cidr_block(ipv6.map(ToString::to_string))
            .tag_specifications(tags::at_create(ResourceType::Subnet, &spec.tags, owner))
            .send()
            .await
            .written("ec2:CreateSubnet")
            .map_err(|error| at_field(error, spec))?;
        let subnet = answer.subnet().ok_or_else(|| no_id("ec2:CreateSubnet"))?;
        let id = subnet.subnet_id().ok_or_else(|| no_id("ec2:CreateSubnet"))?;
        Ok(Created { id: RemoteId::new(id), live: project(subnet, None).ok() })
    }

    async fn find(&self, client: &Ec2, _: &Spec, owner: &Ownership) -> Result<Option<RemoteId>, ProviderError> {
        let answer = client.api().describe_subnets().filters(tags::filter(owner)).send().await;
        let subnets = answer.read("ec2:DescribeSubnets")?.subnets.unwrap_or_default();
        let ours = subnets.into_iter().filter(|subnet| tags::made_by(owner, subnet.tags()));
        Ok(tags::first(ours.map(|subnet| subnet.subnet_id)))
    }

    async fn update(&self, client: &Ec2, id: &RemoteId, from: &Spec, to: &Spec) -> Result<Updated, ProviderError> {
        // What needs the IPv6 block is switched on after it comes and off before it goes.
        if from.assign_ipv6_address_on_creation && !to.assign_ipv6_address_on_creation {
            return modify(client, id, Attribute::AssignIpv6, false).await.map(|()| Updated::Done);
        }
        if from.enable_dns64 && !to.enable_dns64 {
            return modify(client, id, Attribute::Dns64, false).await.map(|()| Updated::Done);
        }
        if from.ipv6_cidr != to.ipv6_cidr {
            return change_ipv6(client, id, from, to).await.map(|()| Updated::Done);
        }
        if from.assign_ipv6_address_on_creation != to.assign_ipv6_address_on_creation {
            return modify(client, id, Attribute::AssignIpv6, true).await.map(|()| Updated::Done);
        }
        if from.enable_dns64 != to.enable_dns64 {
            return modify(client, id, Attribute::Dns64, true).await.map(|()| Updated::Done);
        }
        if from.map_public_ip_on_launch != to.map_public_ip_on_launch {
            return modify(client, id, Attribute::MapPublicIp, to.map_public_ip_on_launch)
                .await
                .map(|()| Updated::Done);
        }
        if from.route_table_id != to.route_table_id {
            return change_route_table(client, id, to.route_table_id.as_ref()).await.map(|()| Updated::Done);
        }
        tags::update(client, id.as_str(), &from.tags, &to.tags).await.map(|_| Updated::Done)
    }

    async fn delete(&self, client: &Ec2, id: &RemoteId) -> Result<Deletion, ProviderError> {
        let answer = client.api().delete_subnet().subnet_id(id.as_str()).send().await;
        match answer.written("ec2:DeleteSubnet").unless_absent() {
            Ok(_) => Ok(Deletion::Accepted),
            Err(error) if error.class == ErrorClass::InUse => Err(name_the_holders(client, id, error).await),
            Err(error) => Err(error),
        }
    }
}

fn project(
    subnet: &aws_sdk_ec2::types::Subnet,
    table: Option<&RouteTableAssociation>,
) -> Result<Live<Spec, Outputs>, ProviderError> {
    let id = subnet.subnet_id().unwrap_or_default();
    let unreadable = |cidr: &str| {
        ProviderError::bug("ec2:DescribeSubnets", format!("the block `{cidr}` of {id} is not an address block"))
    };
    let cidr = subnet.cidr_block().unwrap_or_default();
    let cidr = cidr.parse().map_err(|_| unreadable(cidr))?;
    let block = ipv6_block(subnet);
    let ipv6_cidr = block
        .and_then(|(_, block)| block.ipv6_cidr_block())
        .map(|text| text.parse::<Ipv6Net>().map_err(|_| unreadable(text)))
        .transpose()?;
    let parts = || {
        let block = block.and_then(|(state, block)| {
            state.status("the IPv6 block", block.ipv6_cidr_block_state().and_then(|state| state.status_message()))
        });
        let table = table.and_then(|table| {
            let message = table.association_state().and_then(|state| state.status_message());
            association_state(table).status("the route table", message)
        });
        block.or(table).unwrap_or(Status::Ready)
    };
    let status = match subnet.state().map(SubnetState::as_str) {
        None | Some("available") => parts(),
        Some(state @ ("failed" | "failed-insufficient-capacity")) => Status::Failed(format!("state is {state}")),
        Some(state) => Status::Pending(format!("state is {state}")),
    };
    let spec = Spec {
        vpc_id: subnet.vpc_id().unwrap_or_default().into(),
        availability_zone: subnet.availability_zone.clone(),
        availability_zone_id: subnet.availability_zone_id.clone(),
        cidr,
        ipv6_cidr: ipv6_cidr.map(Input::Known),
        map_public_ip_on_launch: subnet.map_public_ip_on_launch.unwrap_or(false),
        assign_ipv6_address_on_creation: subnet.assign_ipv6_address_on_creation.unwrap_or(false),
        enable_dns64: subnet.enable_dns64.unwrap_or(false),
        route_table_id: table.and_then(|table| table.route_table_id()).map(Input::from),
        tags: tags::project(subnet.tags()),
    };
    let outputs = Outputs {
        subnet_id: id.to_owned(),
        availability_zone: subnet.availability_zone.clone(),
        availability_zone_id: subnet.availability_zone_id.clone(),
        ipv6_cidr: ipv6_cidr.map(|block| block.to_string()),
    };
    Ok(Live { spec, outputs, status })
}

#[derive(Debug, Clone, Copy)]
enum Attribute {
    AssignIpv6,
    Dns64,
    MapPublicIp,
}

/// One attribute a request: EC2 refuses two.
async fn modify(client: &Ec2, id: &RemoteId, attribute: Attribute, on: bool) -> Result<(), ProviderError> {
    let value = AttributeBooleanValue::builder().value(on).build();
    let request = client.api().modify_subnet_attribute().subnet_id(id.as_str());
    let request = match attribute {
        Attribute::AssignIpv6 => request.assign_ipv6_address_on_creation(value),
        Attribute::Dns64 => request.enable_dns64(value),
        Attribute::MapPublicIp => request.map_public_ip_on_launch(value),
    };
    request.send().await.written("ec2:ModifySubnetAttribute")?;
    Ok(())
}

/// A subnet has one IPv6 block at a time: the old one goes first.
async fn change_ipv6(client: &Ec2, id: &RemoteId, from: &Spec, to: &Spec) -> Result<(), ProviderError> {
    if let (None, Some(block)) = (&from.ipv6_cidr, &to.ipv6_cidr) {
        client
            .api()
            .associate_subnet_cidr_block()
            .subnet_id(id.as_str())
            .ipv6_cidr_block(block.known()?.to_string())
            .send()
            .await
            .written("ec2:AssociateSubnetCidrBlock")?;
        return Ok(());
    }
    let subnets = describe::subnets(client, "subnet-id", vec![id.as_str().to_owned()]).await?;
    let block = subnets.iter().find_map(ipv6_block).filter(|(state, _)| state.is_declared());
    if let Some(association) = block.and_then(|(_, block)| block.association_id()) {
        let answer = client.api().disassociate_subnet_cidr_block().association_id(association).send().await;
        answer.written("ec2:DisassociateSubnetCidrBlock").unless_absent()?;
    }
    Ok(())
}

/// Associates, replaces or drops: whichever leads from what is there now to `to`.
async fn change_route_table(client: &Ec2, id: &RemoteId, to: Option<&Input<String>>) -> Result<(), ProviderError> {
    let to = to.map(Input::known).transpose()?;
    let filter = tags::ids_filter("association.subnet-id", [id.as_str().to_owned()]);
    let tables = describe::route_tables(client, filter).await?;
    let there = associations(&tables).get(id.as_str()).copied();
    let association = there.and_then(|association| association.route_table_association_id());
    match (association, to) {
        (None, None) => {}
        (None, Some(table)) => {
            let answer = client.api().associate_route_table().subnet_id(id.as_str()).route_table_id(table).send().await;
            match answer.written("ec2:AssociateRouteTable") {
                Ok(_) => {}
                // There is one that the look before did not see yet: look again.
                Err(error) if error.has_code("Resource.AlreadyAssociated") => {
                    return Err(error.with_class(ErrorClass::NotYet));
                }
                Err(error) => return Err(error),
            }
        }
        (Some(_), Some(table)) if there.and_then(|there| there.route_table_id()) == Some(table) => {}
        (Some(association), Some(table)) => {
            let request = client.api().replace_route_table_association();
            let answer = request.association_id(association).route_table_id(table).send().await;
            answer.written("ec2:ReplaceRouteTableAssociation")?;
        }
        (Some(association), None) => {
            let answer = client.api().disassociate_route_table().association_id(association).send().await;
            answer.written("ec2:DisassociateRouteTable").unless_absent()?;
        }
    }
    Ok(())
}

/// Points an error of a create at the field that is to blame.
fn at_field(error: ProviderError, spec: &Spec) -> ProviderError {
    let field = match error.code.as_deref() {
        Some("InvalidSubnet.Conflict" | "InvalidSubnet.Range") => "cidr",
        Some("InvalidAvailabilityZone" | "UnsupportedAvailabilityZoneException")
            if spec.availability_zone.is_some() =>
        {
            "availability_zone"
        }
        Some("InvalidAvailabilityZone" | "UnsupportedAvailabilityZoneException") => "availability_zone_id",
        Some(_) | None => return error,
    };
    ProviderError { at: Some(AttrPath::keys(&[field])), ..error }
}

/// Says whose network interfaces hold a subnet: without that, a `DependencyViolation` is a riddle.
async fn name_the_holders(client: &Ec2, id: &RemoteId, error: ProviderError) -> ProviderError {
    const SHOWN: usize = 3;
    let filter = tags::ids_filter("subnet-id", [id.as_str().to_owned()]);
    let Ok(answer) = client.api().describe_network_interfaces().filters(filter).send().await else { return error };
    let interfaces = answer.network_interfaces();
    if interfaces.is_empty() {
        return error;
    }
    let mut names: Vec<String> = interfaces
        .iter()
        .map(|interface| {
            let id = interface.network_interface_id().unwrap_or("an interface");
            match interface.description().filter(|text| !text.is_empty()) {
                Some(description) => format!("{id} ({description})"),
                None => id.to_owned(),
            }
        })
        .collect();
    names.sort_unstable();
    let more = names.len().saturating_sub(SHOWN);
    names.truncate(SHOWN);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let message = format!("{}: held by {}{more}", error.message.trim_end_matches('.'), names.join(", "));
    ProviderError { message, ..error }
}
