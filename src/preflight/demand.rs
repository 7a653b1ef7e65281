//! What a plan wants of each region.

use std::collections::{BTreeMap, BTreeSet};

use crate::compile::Declaration;
use crate::model::{Address, AttrPath, Segment, Target, Value};
use crate::plan::{Action, Change, Plan};

/// What a plan wants of one region.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Demand {
    pub(super) region: String,
    /// The zones that new subnets are in, each with where that is said, once per network.
    pub(super) zones: BTreeSet<(Zone, AttrPath)>,
    pub(super) groups: Vec<Group>,
    pub(super) clusters: Vec<Cluster>,
    pub(super) vpcs: Room,
    pub(super) addresses: Room,
}

/// An availability zone, by its id or its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Zone {
    Id(String),
    Name(String),
}

/// A new node group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Group {
    pub(super) cluster: String,
    pub(super) instance_types: Vec<String>,
    /// The zones of its subnets; empty where they are someone else's.
    pub(super) zones: BTreeSet<Zone>,
    pub(super) origin: AttrPath,
}

/// A control plane that is new or gets another version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cluster {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) extended_support: bool,
    pub(super) is_new: bool,
    pub(super) origin: AttrPath,
}

/// How many objects come and go.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Room {
    pub(super) coming: usize,
    pub(super) going: usize,
    /// Where one that comes is declared.
    pub(super) origin: AttrPath,
}

/// What a plan wants, by region.
pub(super) fn of(declarations: &[Declaration], plan: &Plan) -> Vec<Demand> {
    let declared = |address: &Address| {
        let found = declarations.binary_search_by(|declaration| declaration.address.cmp(address)).ok()?;
        declarations.get(found)
    };
    let mut regions: BTreeMap<&str, Demand> = BTreeMap::new();
    for change in &plan.changes {
        let Target::Aws { region } = &change.target else { continue };
        let demand =
            regions.entry(region).or_insert_with(|| Demand { region: region.to_string(), ..Demand::default() });
        add(demand, change, &declared);
    }
    regions.into_values().filter(Demand::is_any).collect()
}

impl Demand {
    fn is_any(&self) -> bool {
        !(self.zones.is_empty()
            && self.groups.is_empty()
            && self.clusters.is_empty()
            && self.vpcs.coming == 0
            && self.addresses.coming == 0)
    }
}

fn add<'a>(demand: &mut Demand, change: &'a Change, declared: &impl Fn(&Address) -> Option<&'a Declaration>) {
    let is_new = matches!(change.action, Action::Create | Action::Replace);
    let room = match change.address.kind() {
        "aws.vpc" => Some(&mut demand.vpcs),
        "aws.eip" => Some(&mut demand.addresses),
        _ => None,
    };
    let origin = declared(&change.address).map(|declaration| declaration.origin.clone()).unwrap_or_default();
    if let Some(room) = room {
        if is_new {
            room.coming += 1;
            room.origin = origin;
        }
        room.going += usize::from(matches!(change.action, Action::Delete | Action::Replace));
        return;
    }
    let Some(spec) = change.goal.as_ref().map(|goal| goal.spec.value()) else { return };
    match change.address.kind() {
        "aws.subnet" if is_new => demand.zones.extend(zone(&spec).map(|zone| (zone, origin.key("azs")))),
        "eks.nodegroup" if is_new => demand.groups.push(Group {
            cluster: change.address.parts().next().unwrap_or_default().to_owned(),
            instance_types: texts(spec.get("instance_types")),
            zones: spec
                .references()
                .into_iter()
                .filter(|reference| reference.address.kind() == "aws.subnet")
                .filter_map(|reference| zone(&declared(&reference.address)?.spec.value()))
                .collect(),
            origin: origin.key("instance_types"),
        }),
        "eks.cluster" if is_new || changes(change, "version") => {
            let text = |key: &str| spec.get(key).and_then(Value::as_str).unwrap_or_default();
            demand.clusters.push(Cluster {
                name: text("name").to_owned(),
                version: text("version").to_owned(),
                extended_support: text("support_type") == "EXTENDED",
                is_new: change.action == Action::Create,
                origin,
            });
        }
        _ => {}
    }
}

fn changes(change: &Change, key: &str) -> bool {
    change.fields.iter().any(|field| matches!(field.path.segments(), [Segment::Key(first), ..] if first == key))
}

/// The zone of a subnet's spec.
fn zone(spec: &Value) -> Option<Zone> {
    let text = |key: &str| spec.get(key).and_then(Value::as_str).map(str::to_owned);
    text("availability_zone_id").map(Zone::Id).or_else(|| text("availability_zone").map(Zone::Name))
}

fn texts(list: Option<&Value>) -> Vec<String> {
    match list {
        Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        Some(
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) | Value::Unknown(_),
        )
        | None => Vec::new(),
    }
}
