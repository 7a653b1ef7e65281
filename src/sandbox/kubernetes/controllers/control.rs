//! One cluster at one instant: what its controllers work on.
//!
//! Entry point: [`Control`].

use jiff::Timestamp;
use serde_json::{Value, json};

use super::parts::{is_going, list, set};
use crate::sandbox::kubernetes::objects::{Key, Objects, time};
use crate::sandbox::kubernetes::verbs::delete;
use crate::sandbox::options::Quotas;
use crate::sandbox::world::Place;
use crate::sandbox::world::rows::Cluster;

/// One cluster at one instant.
pub(super) struct Control<'p, 'w> {
    /// Its region, IAM, and what makes ids and durations.
    pub(super) place: &'p mut Place<'w>,
    /// The cluster as EKS has it.
    pub(super) cluster: &'p Cluster,
    /// How many objects there can be in AWS.
    pub(super) quotas: &'p Quotas,
    /// The instant.
    pub(super) now: Timestamp,
    due: Option<Timestamp>,
}

impl<'p, 'w> Control<'p, 'w> {
    pub(super) fn new(place: &'p mut Place<'w>, cluster: &'p Cluster, quotas: &'p Quotas, now: Timestamp) -> Self {
        Self { place, cluster, quotas, now, due: None }
    }

    /// When time alone next changes something, as far as the controllers said.
    pub(super) fn due(&self) -> Option<Timestamp> {
        self.due
    }

    /// Something changes at an instant; whether it has come.
    pub(super) fn has_come(&mut self, at: Timestamp) -> bool {
        if at <= self.now {
            return true;
        }
        if at < Timestamp::MAX {
            self.due = Some(self.due.map_or(at, |due| due.min(at)));
        }
        false
    }

    /// When something that began at `since` and takes so many milliseconds is through for an object.
    pub(super) fn after(&self, since: Timestamp, uid: &str, what: &str, (low, high): (u64, u64)) -> Timestamp {
        self.place.mint.after(since, uid, what, low, high)
    }

    /// The cluster's objects.
    pub(super) fn objects(&mut self) -> Objects<'_> {
        Objects::of(self.place.region, self.cluster.name(), self.now)
    }

    /// An object.
    pub(super) fn get(&mut self, key: &Key) -> Option<Value> {
        self.objects().get(key).cloned()
    }

    /// Whether an object is there.
    pub(super) fn has(&mut self, key: &Key) -> bool {
        self.objects().get(key).is_some()
    }

    /// All objects of a kind.
    pub(super) fn list(&mut self, group: &str, plural: &str, namespace: Option<&str>) -> Vec<Value> {
        self.objects().list(group, plural, namespace).cloned().collect()
    }

    /// The objects of a kind that are worth looking at.
    pub(super) fn list_if(&mut self, group: &str, plural: &str, worth: impl Fn(&Value) -> bool) -> Vec<Value> {
        self.objects().list(group, plural, None).filter(|object| worth(object)).cloned().collect()
    }

    /// Creates or replaces an object.
    pub(super) fn put(&mut self, key: &Key, object: Value) {
        self.objects().put(key, object);
    }

    /// Creates an object that is not there.
    pub(super) fn ensure(&mut self, key: &Key, object: impl FnOnce() -> Value) {
        if !self.has(key) {
            self.put(key, object());
        }
    }

    /// Deletes an object as the API does: at once, unless something holds it.
    pub(super) fn delete(&mut self, key: &Key) {
        let Some(mut object) = self.get(key) else { return };
        if list(&object, "/metadata/finalizers").is_empty() {
            delete::remove(&mut self.objects(), key);
        } else if !is_going(&object) {
            set(&mut object, &["metadata", "deletionTimestamp"], time(self.now).into());
            set(&mut object, &["metadata", "deletionGracePeriodSeconds"], json!(0));
            self.put(key, object);
        }
    }

    /// Takes a finalizer off an object, which goes if it was the last and its deletion was asked for.
    pub(super) fn release(&mut self, key: &Key, finalizer: &str) {
        let Some(mut object) = self.get(key) else { return };
        let left: Vec<Value> =
            list(&object, "/metadata/finalizers").iter().filter(|held| **held != finalizer).cloned().collect();
        if left.is_empty() && is_going(&object) {
            delete::remove(&mut self.objects(), key);
            return;
        }
        set(&mut object, &["metadata", "finalizers"], left.into());
        self.put(key, object);
    }
}
