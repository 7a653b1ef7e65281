//! Watching: what changed in a collection since a version.
//!
//! Entry point: [`Watch`]. It is level-triggered: each look answers the events that lead from what was told before to what
//! is there now. What was deleted in between is remembered for a while; who asks for an older past gets `410 Expired`.

use serde_json::{Value, json};

use super::objects::Objects;
use super::request::{Asked, Place};
use super::status::Refusal;
use super::verbs::read::{Selection, selected, shown};

/// A watch under way.
#[derive(Debug, Clone)]
pub(crate) struct Watch {
    place: Place,
    selection: Selection,
    /// Up to which version everything was told.
    told: u64,
    /// Objects that were told of: a change may take one out of the selection.
    known: std::collections::BTreeMap<super::objects::Key, Value>,
    bookmarks: bool,
    /// Whether the end of what is there at the beginning is to be told.
    initial: bool,
    /// Whether what is there at the beginning is to be told.
    begins_with_all: bool,
    /// For how long, in seconds; `None` when nothing is said.
    pub(crate) seconds: Option<u64>,
}

impl Watch {
    /// The watch that a request asks for.
    pub(crate) fn of(asked: &Asked, place: &Place, objects: &Objects<'_>) -> Result<Self, Refusal> {
        let selection = Selection::of(asked, &place.kind)?;
        let initial = asked.flag("sendInitialEvents");
        let matching = asked.query("resourceVersionMatch");
        if initial && matching.as_deref() != Some("NotOlderThan") {
            let why = "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
            return Err(Refusal::invalid_options("ListOptions", "resourceVersionMatch", why));
        }
        if asked.query("sendInitialEvents").is_none() && matching.is_some_and(|text| !text.is_empty()) {
            let why = "Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
            return Err(Refusal::invalid_options("ListOptions", "resourceVersionMatch", why));
        }
        let version = asked.query("resourceVersion").unwrap_or_default();
        let begins_with_all = initial || version.is_empty() || version == "0";
        let told = if begins_with_all {
            0
        } else {
            version.parse().map_err(|_| {
                Refusal::bad_request(format!("Invalid value: \"{version}\": strconv.ParseUint: parsing"))
            })?
        };
        let mut watch = Self {
            place: place.clone(),
            selection,
            told,
            known: std::collections::BTreeMap::new(),
            bookmarks: asked.flag("allowWatchBookmarks"),
            initial,
            begins_with_all,
            seconds: asked.query("timeoutSeconds").and_then(|text| text.parse().ok()),
        };
        if !begins_with_all {
            // Whatever was there then is known to the caller.
            for key in selected(objects, place, &watch.selection) {
                if let Some(object) = objects.get(&key).filter(|object| version_of(object) <= told) {
                    watch.known.insert(key.clone(), shown(&place.kind, object));
                }
            }
        }
        Ok(watch)
    }

    /// The events since the last look, in the order of their versions, and whether there can be more.
    pub(crate) fn look(&mut self, objects: &Objects<'_>) -> (Vec<Value>, bool) {
        let revision = objects.revision();
        let mut events: Vec<(u64, &str, Value)> = Vec::new();
        let is_first = std::mem::take(&mut self.begins_with_all);
        if !is_first && revision > self.told {
            let Some(departed) = objects.departed(self.told) else {
                let oldest = format!("too old resource version: {} ({revision})", self.told);
                return (vec![event("ERROR", &Refusal::expired(oldest).status())], false);
            };
            let Place { kind, namespace, .. } = &self.place;
            for gone in departed {
                let is_here = gone.group == kind.group
                    && gone.plural == kind.plural
                    && (namespace.is_none() || gone.namespace == *namespace);
                if is_here && self.selection.selects(&gone.object) {
                    events.push((gone.revision, "DELETED", shown(kind, &gone.object)));
                }
            }
        }
        let now = selected(objects, &self.place, &self.selection);
        for key in &now {
            let Some(object) = objects.get(key) else { continue };
            let version = version_of(object);
            if is_first || version > self.told {
                let object = shown(&self.place.kind, object);
                // One that was deleted and made again is another.
                let is_new =
                    self.known.get(key).is_none_or(|known| known["metadata"]["uid"] != object["metadata"]["uid"]);
                events.push((version, if is_new { "ADDED" } else { "MODIFIED" }, object.clone()));
                self.known.insert(key.clone(), object);
            }
        }
        // What is there and no longer selected is gone for the caller.
        let left: Vec<_> = self.known.keys().filter(|key| now.binary_search(key).is_err()).cloned().collect();
        for key in left {
            self.known.remove(&key);
            if let Some(object) = objects.get(&key).filter(|object| version_of(object) > self.told) {
                events.push((version_of(object), "DELETED", shown(&self.place.kind, object)));
            }
        }
        if !is_first {
            events.sort_by_key(|(version, _, _)| *version);
        }
        self.told = self.told.max(revision);
        let mut events: Vec<Value> = events.into_iter().map(|(_, kind, object)| event(kind, &object)).collect();
        if std::mem::take(&mut self.initial) {
            events.push(self.bookmark(true));
        }
        (events, true)
    }

    /// A bookmark, if the caller wants them: up to which version everything was told.
    pub(crate) fn periodic(&self) -> Option<Value> {
        self.bookmarks.then(|| self.bookmark(false))
    }

    fn bookmark(&self, is_end_of_initial: bool) -> Value {
        let mut metadata = json!({ "resourceVersion": self.told.to_string(), "creationTimestamp": null });
        if is_end_of_initial {
            metadata["annotations"] = json!({ "k8s.io/initial-events-end": "true" });
        }
        let Place { kind, .. } = &self.place;
        event("BOOKMARK", &json!({ "kind": kind.kind, "apiVersion": kind.api_version(), "metadata": metadata }))
    }
}

fn event(kind: &str, object: &Value) -> Value {
    json!({ "type": kind, "object": object })
}

fn version_of(object: &Value) -> u64 {
    object["metadata"]["resourceVersion"].as_str().and_then(|text| text.parse().ok()).unwrap_or_default()
}
