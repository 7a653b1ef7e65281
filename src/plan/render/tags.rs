//! The tags that every create of a plan brings along: said once, because they would bury what differs.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::diff::FieldChange;
use crate::model::{Segment, Value};
use crate::plan::model::{Action, Plan};

use super::counted;
use super::value::{clean, show};

/// The tags that say whose an object is and what it is called begin with this, or are `Name`. They follow from the
/// mesh's id and the address.
const OWNERSHIP: &str = "meshplan:";

/// The tags that are not shown at each create.
pub(super) struct CommonTags {
    /// Creates that have tags.
    creates: usize,
    /// Keys whose values follow from the address.
    derived: BTreeSet<String>,
    /// Tags of the user's that are the same on every create.
    shared: BTreeMap<String, Value>,
}

impl CommonTags {
    /// Of one create alone nothing is common.
    pub(super) fn of(plan: &Plan) -> Self {
        let mut common = Self { creates: 0, derived: BTreeSet::new(), shared: BTreeMap::new() };
        for change in plan.changes.iter().filter(|change| change.action == Action::Create) {
            let tags: BTreeMap<&str, &Value> = change.fields.iter().filter_map(tag).collect();
            if tags.is_empty() {
                continue;
            }
            let (derived, own): (BTreeMap<_, _>, BTreeMap<_, _>) =
                tags.into_iter().partition(|(key, _)| is_derived(key));
            common.derived.extend(derived.into_keys().map(str::to_owned));
            if common.creates == 0 {
                common.shared = own.into_iter().map(|(key, value)| (key.to_owned(), value.clone())).collect();
            } else {
                common.shared.retain(|key, value| own.get(key.as_str()) == Some(&&*value));
            }
            common.creates += 1;
        }
        if common.creates < 2 { Self { creates: 0, derived: BTreeSet::new(), shared: BTreeMap::new() } } else { common }
    }

    pub(super) fn hides(&self, field: &FieldChange) -> bool {
        tag(field).is_some_and(|(key, _)| self.derived.contains(key) || self.shared.contains_key(key))
    }

    /// What was hidden, in one line.
    pub(super) fn remark(&self) -> Option<String> {
        let derived = self.derived.iter().map(|key| clean(key));
        let shared = self.shared.iter().map(|(key, value)| format!("{} = {}", clean(key), show(value)));
        let tags: Vec<String> = shared.chain(derived).collect();
        if tags.is_empty() {
            return None;
        }
        let creates = counted(self.creates, "create");
        Some(format!("Not shown: tags that all {creates} with tags have: {}", tags.join(", ")))
    }
}

fn is_derived(key: &str) -> bool {
    key.starts_with(OWNERSHIP) || key == "Name"
}

fn tag(field: &FieldChange) -> Option<(&str, &Value)> {
    match field.path.segments() {
        [Segment::Key(tags), Segment::Key(key)] if tags == "tags" => Some((key, field.after.as_ref()?)),
        _ => None,
    }
}
