//! What a saved plan took state to say, and what of that is no longer so.
//!
//! Entry points: [`assume`] when a plan is saved, [`moved_since`] before it is applied. Only what the plan touches or
//! requires is compared, and what requires something that it takes away: movement elsewhere does not make it stale. What
//! moved in the cloud is found by the engine, just before it touches each resource. Pure.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::model::{Address, Digest};
use crate::resource::RemoteId;
use crate::state::{Entry, Operation, RecordStatus, State};

use super::model::{Action, Plan};

/// What state said of one address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Basis {
    /// The provider's id; absent without a record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<RemoteId>,
    /// How far it was; absent without a record.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<RecordStatus>,
    /// A call that was promised and whose end was not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub begun: Option<Operation>,
    /// The digest of the record and the promise, without what was only measured.
    pub digest: Digest,
}

/// What state says of everything that the plan touches or requires; nothing of what it does not know.
pub fn assume(plan: &Plan, state: &State) -> Result<BTreeMap<Address, Basis>, serde_json::Error> {
    let state = renamed(plan, state);
    let mut assumed = BTreeMap::new();
    for address in concerned(plan, &state) {
        if let Some(basis) = basis(&state, address)? {
            assumed.insert(address.clone(), basis);
        }
    }
    Ok(assumed)
}

/// What is no longer as [`Plan::basis`] says, a text for each; empty while the plan still holds. The caller has made
/// sure that both are of one lineage.
pub fn moved_since(plan: &Plan, state: &State) -> Result<Vec<String>, serde_json::Error> {
    let state = renamed(plan, state);
    let mut addresses = concerned(plan, &state);
    addresses.extend(plan.basis.keys());
    let mut moved = Vec::new();
    for address in addresses {
        moved.extend(difference(address, plan.basis.get(address), basis(&state, address)?.as_ref()));
    }
    Ok(moved)
}

/// The state under the addresses that the plan speaks of.
fn renamed<'a>(plan: &Plan, state: &'a State) -> Cow<'a, State> {
    let mut state = Cow::Borrowed(state);
    for entry in &plan.bookkeeping {
        if let Entry::Moved { from, .. } = entry
            && (state.records.contains_key(from) || state.intents.contains_key(from))
        {
            // A move's fold cannot fail: it needs nothing to be there.
            let _ = state.to_mut().fold(entry.clone());
        }
    }
    state
}

/// The addresses that the plan depends on, and those that depend on what it takes away.
fn concerned<'a>(plan: &'a Plan, state: &'a State) -> BTreeSet<&'a Address> {
    let mut addresses: BTreeSet<&Address> = plan.bookkeeping.iter().flat_map(Entry::addresses).collect();
    let mut going = BTreeSet::new();
    for change in &plan.changes {
        addresses.insert(&change.address);
        addresses.extend(&change.requirements);
        addresses.extend(change.goal.iter().flat_map(|goal| &goal.depends_on));
        match change.action {
            Action::Delete | Action::Replace => {
                going.insert(&change.address);
            }
            Action::NoOp | Action::Create | Action::Update | Action::Forget | Action::Adopt | Action::Wait => {}
        }
    }
    if !going.is_empty() {
        let dependents = state.records.iter().filter(|(_, record)| record.depends_on.iter().any(|a| going.contains(a)));
        addresses.extend(dependents.map(|(address, _)| address));
    }
    addresses
}

fn basis(state: &State, address: &Address) -> Result<Option<Basis>, serde_json::Error> {
    let (record, intent) = (state.records.get(address), state.intents.get(address));
    if record.is_none() && intent.is_none() {
        return Ok(None);
    }
    let of_record = record.map(|record| {
        (
            (&record.id, &record.status, record.schema_version, &record.target),
            (&record.spec, &record.outputs, record.declared),
            (&record.depends_on, record.protected, &record.deposed),
        )
    });
    Ok(Some(Basis {
        id: record.map(|record| record.id.clone()),
        status: record.map(|record| record.status.clone()),
        begun: intent.map(|intent| intent.operation),
        digest: Digest::of(serde_json::to_vec(&(of_record, intent))?),
    }))
}

/// What moved between two looks at an address, in words.
fn difference(address: &Address, then: Option<&Basis>, now: Option<&Basis>) -> Option<String> {
    if then == now {
        return None;
    }
    let id = |basis: Option<&Basis>| basis.and_then(|basis| basis.id.clone());
    let status = |basis: Option<&Basis>| basis.and_then(|basis| basis.status.clone());
    let begun = |basis: Option<&Basis>| basis.and_then(|basis| basis.begun);
    Some(match (id(then), id(now)) {
        (None, Some(now)) => format!("{address} is in state now, as {now}"),
        (Some(then), None) => format!("{address} ({then}) is no longer in state"),
        (Some(then), Some(now)) if then != now => format!("{address} is {now} now, and was {then}"),
        (_, present) => {
            let name = present.map_or_else(|| address.to_string(), |id| format!("{address} ({id})"));
            match (begun(then), begun(now)) {
                (then, Some(now)) if then != Some(now) => {
                    format!("{name}: {} was begun since, and its end was not seen", verb(now))
                }
                (Some(then), None) => format!("{name}: {} that had been begun is over", verb(then)),
                (None | Some(_), None | Some(_)) => match (status(then), status(now)) {
                    (Some(then), Some(now)) if then != now => {
                        format!("{name} is {} now, and was {}", standing(&now), standing(&then))
                    }
                    (None | Some(_), None | Some(_)) => format!("{name} was applied otherwise since"),
                },
            }
        }
    })
}

fn verb(operation: Operation) -> &'static str {
    match operation {
        Operation::Create => "a create",
        Operation::Update => "an update",
        Operation::Delete => "a delete",
    }
}

fn standing(status: &RecordStatus) -> &'static str {
    match status {
        RecordStatus::Ready => "ready",
        RecordStatus::Creating => "unfinished",
        RecordStatus::Tainted(_) => "tainted",
        RecordStatus::Deleting => "being deleted",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Document, Target};
    use crate::state::{IntendedRecord, Intent};

    fn address(text: &str) -> Address {
        text.parse().unwrap()
    }

    fn adopted(name: &str, id: &str, needs: &[&str]) -> Entry {
        Entry::Adopted {
            address: address(name),
            id: RemoteId::new(id),
            record: intended(needs),
            outputs: Document::empty(),
        }
    }

    fn intended(needs: &[&str]) -> IntendedRecord {
        IntendedRecord {
            schema_version: 1,
            target: Target::aws("us-west-2"),
            spec: Document::empty(),
            declared: Digest::of("declared"),
            depends_on: needs.iter().map(|need| address(need)).collect(),
            protected: false,
            deposes: false,
        }
    }

    fn begun(name: &str) -> Entry {
        Entry::Intent {
            address: address(name),
            intent: Intent::create("token".to_owned(), jiff::Timestamp::UNIX_EPOCH, intended(&[])),
        }
    }

    fn state(entries: &[Entry]) -> State {
        let mut state = State::new("mesh", "lineage".to_owned(), true);
        for entry in entries {
            state.fold(entry.clone()).unwrap();
        }
        state
    }

    /// A plan that does `changes` (address, action, dependencies of the goal), made from `state`.
    fn plan(changes: &[(&str, &str, &[&str])], bookkeeping: &[Entry], state: &State) -> Plan {
        let changes: Vec<_> = changes
            .iter()
            .map(|(address, action, needs)| {
                serde_json::json!({
                    "address": address, "action": action, "reason": "changed", "target": {"aws": {"region": "us-west-2"}},
                    "goal": {"spec": {}, "declared": Digest::of("x"), "depends_on": needs, "protected": false,
                             "schema_version": 1},
                })
            })
            .collect();
        let mut plan: Plan = serde_json::from_value(serde_json::json!({
            "format_version": 1, "operation": "apply", "mesh": "mesh", "lineage": "lineage", "base_serial": 0,
            "sandbox": true, "offline": false, "summary": crate::plan::Summary::default(), "changes": changes, "steps": [],
            "estimate": crate::plan::Estimate::default(), "bookkeeping": bookkeeping,
        }))
        .unwrap();
        plan.basis = assume(&plan, state).unwrap();
        plan
    }

    fn moved(plan: &Plan, before: &[Entry], since: &[Entry]) -> Vec<String> {
        moved_since(plan, &state(&[before, since].concat())).unwrap()
    }

    #[test]
    fn unrelated_movement_is_none() {
        let before = [adopted("aws.vpc/a", "vpc-1", &[]), adopted("aws.vpc/b", "vpc-2", &[])];
        let plan = plan(&[("aws.subnet/a/x", "create", &["aws.vpc/a"])], &[], &state(&before));
        assert_eq!(plan.basis.keys().map(Address::as_str).collect::<Vec<_>>(), ["aws.vpc/a"]);
        let since = [adopted("aws.vpc/b", "vpc-9", &[]), adopted("aws.subnet/b/x", "subnet-1", &["aws.vpc/b"])];
        assert_eq!(moved(&plan, &before, &since), [] as [&str; 0]);
    }

    #[test]
    fn what_is_touched_or_required_is_compared() {
        let before = [adopted("aws.vpc/a", "vpc-1", &[]), adopted("aws.eip/a", "eip-1", &[])];
        let plan =
            plan(&[("aws.subnet/a/x", "create", &["aws.vpc/a"]), ("aws.eip/a", "update", &[])], &[], &state(&before));
        let cases = [
            (adopted("aws.vpc/a", "vpc-9", &[]), "aws.vpc/a is vpc-9 now, and was vpc-1"),
            (Entry::Forgotten { address: address("aws.eip/a") }, "aws.eip/a (eip-1) is no longer in state"),
            (adopted("aws.subnet/a/x", "subnet-1", &["aws.vpc/a"]), "aws.subnet/a/x is in state now, as subnet-1"),
            (begun("aws.subnet/a/x"), "aws.subnet/a/x: a create was begun since, and its end was not seen"),
            (
                Entry::Tainted { address: address("aws.eip/a"), reason: "no".to_owned() },
                "aws.eip/a (eip-1) is tainted now, and was ready",
            ),
            (adopted("aws.eip/a", "eip-1", &["aws.vpc/a"]), "aws.eip/a (eip-1) was applied otherwise since"),
        ];
        for (entry, expected) in cases {
            assert_eq!(moved(&plan, &before, &[entry]), [expected]);
        }
    }

    #[test]
    fn a_create_of_what_vanished_holds_until_it_is_made_again() {
        let before = [adopted("aws.vpc/a", "vpc-1", &[])];
        let plan = plan(&[("aws.vpc/a", "create", &[])], &[], &state(&before));
        assert_eq!(moved(&plan, &before, &[]), [] as [&str; 0]);
        let again = [adopted("aws.vpc/a", "vpc-2", &[])];
        assert_eq!(moved(&plan, &before, &again), ["aws.vpc/a is vpc-2 now, and was vpc-1"]);
    }

    #[test]
    fn a_newcomer_on_what_goes_is_movement() {
        let before = [adopted("aws.vpc/a", "vpc-1", &[])];
        let plan = plan(&[("aws.vpc/a", "delete", &[])], &[], &state(&before));
        let since = [adopted("aws.subnet/a/x", "subnet-1", &["aws.vpc/a"])];
        assert_eq!(moved(&plan, &before, &since), ["aws.subnet/a/x is in state now, as subnet-1"]);
    }

    #[test]
    fn a_plans_own_renames_are_not_movement() {
        let before = [adopted("aws.vpc/old", "vpc-1", &[]), adopted("aws.subnet/x", "subnet-1", &["aws.vpc/old"])];
        let rename = Entry::Moved { from: address("aws.vpc/old"), to: address("aws.vpc/new") };
        let plan = plan(
            &[("aws.vpc/new", "update", &[]), ("aws.subnet/x", "update", &["aws.vpc/new"])],
            std::slice::from_ref(&rename),
            &state(&before),
        );
        assert_eq!(moved(&plan, &before, &[]), [] as [&str; 0]);
        assert_eq!(moved(&plan, &before, std::slice::from_ref(&rename)), [] as [&str; 0], "renamed by another run");
        let replaced = [adopted("aws.vpc/old", "vpc-2", &[])];
        assert_eq!(moved(&plan, &before, &replaced), ["aws.vpc/new is vpc-2 now, and was vpc-1"]);
    }
}
