//! Taking in what exists already: what an interrupted create made, what is someone else's, what state has lost.

use jiff::Timestamp;

use crate::resource::{LiveDocument, ProviderError, Status, claimed, stored_outputs};
use crate::state::Entry;

use super::turn::{Next, Turn};
use super::{Phase, Task, without_goal};

impl Task<'_> {
    pub(super) fn begin_adopt(&mut self, now: Timestamp) -> Turn {
        self.prior = None;
        let Some(id) = self.change.id.clone() else {
            return self.fail(&ProviderError::bug("adopt", "the plan has no id to adopt"));
        };
        let entries = vec![self.created(&id)];
        self.settle(now).after(entries)
    }

    pub(super) fn adopt(&mut self, live: Option<LiveDocument>) -> Turn {
        let (Some(id), Some(live)) = (self.id.clone(), live) else { return self.moved("it is gone") };
        match &live.status {
            Status::Ready => {}
            Status::Pending(why) | Status::Failed(why) => return self.moved(why),
            Status::Deleting => return self.moved("it is being deleted"),
        }
        let Some(record) = self.intended() else { return self.fail(&without_goal()) };
        let outputs = stored_outputs(self.kind, &live.outputs);
        let entry = Entry::Adopted { address: self.change.address.clone(), id, record, outputs };
        Turn { entries: vec![entry], events: Vec::new(), next: Next::Finished(Some(live.outputs)) }
    }

    /// State does not know it and its tags say that it is ours: looked at once more, taken in, and brought to its spec.
    pub(super) fn claim(&mut self, live: Option<LiveDocument>, now: Timestamp) -> Turn {
        let (Some(id), Some(live)) = (self.id.clone(), live) else { return self.moved("it is gone") };
        match &live.status {
            Status::Ready | Status::Pending(_) => {}
            Status::Failed(why) => return self.moved(why),
            Status::Deleting => return self.moved("it is being deleted"),
        }
        if claimed(&live.spec.value()) != Some((self.owner.mesh.as_str(), self.change.address.as_str())) {
            return self.moved("its tags no longer say that it is ours");
        }
        let Some(record) = self.intended() else { return self.fail(&without_goal()) };
        let outputs = stored_outputs(self.kind, &live.outputs);
        let entry = Entry::Adopted { address: self.change.address.clone(), id, record, outputs };
        self.phase = Phase::Settling { since: now, seen: true, rounds: 0 };
        self.settled(&live, now).after(vec![entry])
    }
}
