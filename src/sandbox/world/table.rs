//! A table of one type of object: by id, by what it is linked to, and by when it must be settled.
//!
//! Entry point: [`Table`]. Every change goes through it, so that the indexes and the list of what must be written
//! are right by construction.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::rows::Head;

/// An object that lives in a table.
pub(crate) trait Row: Clone + Serialize + DeserializeOwned {
    /// The table's name in the log.
    const TABLE: &'static str;

    /// What all objects have.
    fn head(&self) -> &Head;

    /// The same, to be changed.
    fn head_mut(&mut self) -> &mut Head;

    /// The ids (and other keys) under which the object is looked up besides its own.
    fn links(&self) -> Vec<String>;

    /// When time alone next changes what this object does to others.
    fn due(&self) -> Option<Timestamp> {
        None
    }
}

/// All objects of one type in one region.
#[derive(Debug, Clone)]
pub(crate) struct Table<T> {
    rows: BTreeMap<String, T>,
    links: BTreeMap<String, BTreeSet<String>>,
    due: BTreeSet<(Timestamp, String)>,
    changed: BTreeSet<String>,
    /// How many changes there were since the process began.
    changes: u64,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self {
            rows: BTreeMap::new(),
            links: BTreeMap::new(),
            due: BTreeSet::new(),
            changed: BTreeSet::new(),
            changes: 0,
        }
    }
}

impl<T: Row> Table<T> {
    /// The object with this id, visible yet or not.
    pub(crate) fn get(&self, id: &str) -> Option<&T> {
        self.rows.get(id)
    }

    /// The object with this id, once a caller can see it.
    pub(crate) fn seen(&self, id: &str, now: Timestamp) -> Option<&T> {
        self.rows.get(id).filter(|row| row.head().visible_at <= now)
    }

    /// All objects in the order of their ids.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.rows.values()
    }

    /// The objects linked to a key, in the order of their ids.
    pub(crate) fn linked<'a>(&'a self, key: &str) -> impl Iterator<Item = &'a T> {
        self.links.get(key).into_iter().flatten().filter_map(|id| self.rows.get(id))
    }

    /// How many objects there are.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// How many changes there were since the process began: where it stays, so did every object.
    pub(crate) fn changes(&self) -> u64 {
        self.changes
    }

    /// Adds an object, or replaces the one with its id.
    pub(crate) fn insert(&mut self, row: T) {
        self.changes += 1;
        let id = row.head().id.clone();
        self.unlink(&id);
        for key in row.links() {
            self.links.entry(key).or_default().insert(id.clone());
        }
        if let Some(at) = row.due() {
            self.due.insert((at, id.clone()));
        }
        self.changed.insert(id.clone());
        self.rows.insert(id, row);
    }

    /// Changes the object with this id, if there is one.
    pub(crate) fn edit<R>(&mut self, id: &str, change: impl FnOnce(&mut T) -> R) -> Option<R> {
        let mut row = self.rows.get(id)?.clone();
        let result = change(&mut row);
        self.insert(row);
        Some(result)
    }

    /// Takes the object with this id out.
    pub(crate) fn remove(&mut self, id: &str) -> Option<T> {
        self.unlink(id);
        let row = self.rows.remove(id)?;
        self.changes += 1;
        self.changed.insert(id.to_owned());
        Some(row)
    }

    fn unlink(&mut self, id: &str) {
        let Some(row) = self.rows.get(id) else { return };
        for key in row.links() {
            if let Some(ids) = self.links.get_mut(&key) {
                ids.remove(id);
                if ids.is_empty() {
                    self.links.remove(&key);
                }
            }
        }
        if let Some(at) = row.due() {
            self.due.remove(&(at, id.to_owned()));
        }
    }

    /// The id of the next object that time has changed, at or before `now`.
    pub(crate) fn next_due(&self, now: Timestamp) -> Option<String> {
        self.due.first().filter(|(at, _)| *at <= now).map(|(_, id)| id.clone())
    }

    /// Whether something must be written.
    pub(crate) fn is_changed(&self) -> bool {
        !self.changed.is_empty()
    }

    /// What must be written: id and object, or `null` where it is gone.
    pub(crate) fn drain(&mut self) -> Result<Vec<(String, Value)>, serde_json::Error> {
        let changed = std::mem::take(&mut self.changed);
        changed
            .into_iter()
            .map(|id| {
                let row = self.rows.get(&id).map_or(Ok(Value::Null), serde_json::to_value)?;
                Ok((id, row))
            })
            .collect()
    }

    /// Everything, to be written.
    pub(crate) fn dump(&self) -> Result<Vec<(String, Value)>, serde_json::Error> {
        self.rows.iter().map(|(id, row)| Ok((id.clone(), serde_json::to_value(row)?))).collect()
    }

    /// Takes in what was written.
    pub(crate) fn load(&mut self, id: &str, row: Value) -> Result<(), serde_json::Error> {
        if row.is_null() {
            self.remove(id);
        } else {
            self.insert(serde_json::from_value(row)?);
        }
        self.changed.remove(id);
        Ok(())
    }
}
