//! Outputs that are never stored: whoever needs one that no step of the run makes has it read again, before anything begins.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::model::event::StepKind;
use crate::model::{Address, Target};
use crate::resource::{DynKind, ErrorClass, KindRules, LiveDocument, OutputClass, ProviderError, RemoteId, Status};

use super::engine::Engine;

/// After how long a read is repeated that was not answered properly.
const AGAIN: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(2), Duration::from_secs(4)];

/// One read: whose.
type Batch = (&'static dyn DynKind, Vec<(Address, RemoteId)>);

impl Engine<'_> {
    /// Reads the outputs that are never stored of everything that a goal of this run refers to and none of its steps
    /// makes. What cannot be read fails the steps that need it, and only those.
    pub(super) async fn read_unstored(&mut self) {
        for ((_, target), (kind, who)) in self.unstored() {
            let ids: Vec<RemoteId> = who.iter().map(|(_, id)| id.clone()).collect();
            let mut found = kind.read_many(self.cloud, &target, &ids).await;
            for delay in AGAIN {
                match &found {
                    Err(error) if is_passing(error.class) => self.clock.sleep(delay).await,
                    Ok(_) | Err(_) => break,
                }
                found = kind.read_many(self.cloud, &target, &ids).await;
            }
            match found {
                Ok(found) => {
                    for ((address, _), live) in who.iter().zip(found) {
                        self.keep_unstored(kind, address, live);
                    }
                }
                Err(error) => who.iter().for_each(|(address, _)| self.outputs.set_unread(address, error.clone())),
            }
        }
    }

    fn keep_unstored(&mut self, kind: &'static dyn DynKind, address: &Address, live: Option<LiveDocument>) {
        let lost = |why: &str| ProviderError::new(ErrorClass::Conflict, kind.name(), why);
        match live {
            Some(LiveDocument { status: Status::Ready | Status::Degraded(_), outputs, .. }) => {
                self.outputs.set(address, Some(kind as &dyn KindRules), Some(&outputs));
            }
            Some(LiveDocument { status: Status::Pending(why) | Status::Failed(why), .. }) => {
                self.outputs.set_unread(address, lost(&why));
            }
            Some(LiveDocument { status: Status::Deleting, .. }) => {
                self.outputs.set_unread(address, lost("it is being deleted"));
            }
            None => self.outputs.set_unread(address, lost("it is gone")),
        }
    }

    /// What is to be read, by kind and target.
    fn unstored(&self) -> BTreeMap<(&'static str, Target), Batch> {
        let mut batches: BTreeMap<(&'static str, Target), Batch> = BTreeMap::new();
        let made: BTreeSet<&Address> = self
            .plan
            .steps
            .iter()
            .filter(|step| !matches!(step.kind, StepKind::Delete | StepKind::Forget))
            .map(|step| &step.address)
            .collect();
        for address in self.needed() {
            let (Some(record), Some(kind)) = (self.state().records.get(&address), self.registry.kind(address.kind()))
            else {
                continue;
            };
            if made.contains(&address) {
                continue;
            }
            let (_, who) = batches.entry((kind.name(), record.target.clone())).or_insert((kind, Vec::new()));
            who.push((address, record.id.clone()));
        }
        batches
    }

    /// Whose outputs that are never stored the goals of this run refer to.
    fn needed(&self) -> BTreeSet<Address> {
        let ephemeral =
            |kind: &&'static dyn DynKind| kind.outputs().iter().any(|output| output.class == OutputClass::Ephemeral);
        // How a reference to such a kind begins in a document: hardly any document is parsed for this.
        let marks: Vec<String> =
            self.registry.kinds().filter(ephemeral).map(|kind| format!("\"{}/", kind.name())).collect();
        let mut needed = BTreeSet::new();
        for goal in self.plan.changes.iter().filter_map(|change| change.goal.as_ref()) {
            if !marks.iter().any(|mark| goal.spec.as_str().contains(mark)) {
                continue;
            }
            for reference in goal.spec.value().references() {
                let output = |kind: &'static dyn DynKind| {
                    kind.outputs().iter().find(|output| output.name == reference.output).map(|output| output.class)
                };
                if self.registry.kind(reference.address.kind()).and_then(output) == Some(OutputClass::Ephemeral) {
                    needed.insert(reference.address.clone());
                }
            }
        }
        needed
    }
}

fn is_passing(class: ErrorClass) -> bool {
    match class {
        ErrorClass::Throttled
        | ErrorClass::Transient
        | ErrorClass::Ambiguous
        | ErrorClass::NotYet
        | ErrorClass::Busy => true,
        ErrorClass::InUse
        | ErrorClass::Denied
        | ErrorClass::Invalid
        | ErrorClass::Quota
        | ErrorClass::Conflict
        | ErrorClass::Bug => false,
    }
}
