//! Sets of fields: what a manager owns, as `metadata.managedFields` writes it.
//!
//! Entry point: [`Fields`]. A set is a tree whose edges are written as `fieldsV1` writes them: `f:` and a name, `k:` and
//! the keys of a list's item, `v:` and an item of a set. That an inner node is itself owned is written `.` there.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// A set of fields.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Fields {
    /// Whether the node itself is in the set.
    pub(crate) own: bool,
    /// What is below it.
    pub(crate) below: BTreeMap<String, Fields>,
}

impl Fields {
    /// A set of the node alone.
    pub(crate) fn leaf() -> Self {
        Self { own: true, below: BTreeMap::new() }
    }

    /// Whether there is nothing in it.
    pub(crate) fn is_empty(&self) -> bool {
        !self.own && self.below.values().all(Fields::is_empty)
    }

    /// Without the nodes that hold nothing.
    fn pruned(mut self) -> Self {
        self.below = self
            .below
            .into_iter()
            .map(|(edge, below)| (edge, below.pruned()))
            .filter(|(_, below)| !below.is_empty())
            .collect();
        self
    }

    /// What is in either.
    pub(crate) fn union(&self, other: &Self) -> Self {
        let mut all = self.clone();
        all.own |= other.own;
        for (edge, below) in &other.below {
            let joined = all.below.get(edge).map_or_else(|| below.clone(), |known| known.union(below));
            all.below.insert(edge.clone(), joined);
        }
        all
    }

    /// What is in both.
    pub(crate) fn intersection(&self, other: &Self) -> Self {
        let below = self
            .below
            .iter()
            .filter_map(|(edge, below)| Some((edge.clone(), below.intersection(other.below.get(edge)?))));
        Self { own: self.own && other.own, below: below.collect() }.pruned()
    }

    /// What is in this one and not in the other.
    pub(crate) fn difference(&self, other: &Self) -> Self {
        let below = self.below.iter().map(|(edge, below)| {
            let left = other.below.get(edge).map_or_else(|| below.clone(), |known| below.difference(known));
            (edge.clone(), left)
        });
        Self { own: self.own && !other.own, below: below.collect() }.pruned()
    }

    /// What is in this one and of which the other knows nothing: that an object was empty and is not is no difference.
    pub(crate) fn beyond(&self, other: &Self) -> Self {
        let below = self.below.iter().map(|(edge, below)| {
            let left = other.below.get(edge).map_or_else(|| below.clone(), |known| below.beyond(known));
            (edge.clone(), left)
        });
        Self { own: self.own && other.is_empty(), below: below.collect() }.pruned()
    }

    /// Without what is at and below a path of edges.
    pub(crate) fn without(mut self, path: &[&str]) -> Self {
        if let [edge, rest @ ..] = path
            && let Some(below) = self.below.remove(*edge)
            && !rest.is_empty()
        {
            self.below.insert((*edge).to_owned(), below.without(rest));
        }
        self.pruned()
    }

    /// Only what is below one edge.
    pub(crate) fn only(&self, edge: &str) -> Self {
        let below = self.below.get(edge).map(|below| (edge.to_owned(), below.clone()));
        Self { own: false, below: below.into_iter().collect() }
    }

    /// The paths of all nodes in it, as messages write them: `.spec.containers[name="x"].image`.
    pub(crate) fn paths(&self) -> Vec<String> {
        let mut paths = Vec::new();
        self.collect(&mut String::new(), &mut paths);
        paths
    }

    fn collect(&self, at: &mut String, paths: &mut Vec<String>) {
        if self.own {
            paths.push(at.clone());
        }
        for (edge, below) in &self.below {
            let length = at.len();
            at.push_str(&readable(edge));
            below.collect(at, paths);
            at.truncate(length);
        }
    }

    /// As `fieldsV1` writes it.
    pub(crate) fn to_json(&self) -> Value {
        let mut node = Map::new();
        if self.own && !self.below.is_empty() {
            node.insert(".".to_owned(), Value::Object(Map::new()));
        }
        for (edge, below) in &self.below {
            node.insert(edge.clone(), below.to_json());
        }
        Value::Object(node)
    }

    /// As `fieldsV1` wrote it.
    pub(crate) fn from_json(node: &Value) -> Self {
        let below = Self::below_of(node);
        Self { own: below.is_empty() || node.get(".").is_some(), below }
    }

    /// The same for the root, which is never owned itself.
    pub(crate) fn root_from_json(node: &Value) -> Self {
        Self { own: false, below: Self::below_of(node) }
    }

    fn below_of(node: &Value) -> BTreeMap<String, Self> {
        let entries = node.as_object().into_iter().flatten().filter(|(edge, _)| edge.as_str() != ".");
        entries.map(|(edge, below)| (edge.clone(), Self::from_json(below))).collect()
    }
}

/// The edge to a field.
pub(crate) fn field_edge(name: &str) -> String {
    format!("f:{name}")
}

/// The edge to a value of a set.
pub(crate) fn value_edge(value: &Value) -> String {
    format!("v:{value}")
}

/// The edge to an item of a list that is known by some of its fields.
pub(crate) fn keys_edge(keys: &BTreeMap<&str, &Value>) -> String {
    let written: Vec<String> = keys.iter().map(|(key, value)| format!("{}:{value}", Value::from(*key))).collect();
    format!("k:{{{}}}", written.join(","))
}

fn readable(edge: &str) -> String {
    match edge.split_once(':') {
        Some(("f", name)) => format!(".{name}"),
        Some(("v", value)) => format!("[={value}]"),
        Some(("k", keys)) => {
            let keys: Map<String, Value> = serde_json::from_str(keys).unwrap_or_default();
            let keys: Vec<String> = keys.iter().map(|(key, value)| format!("{key}={value}")).collect();
            format!("[{}]", keys.join(","))
        }
        Some(("i", index)) => format!("[{index}]"),
        Some(_) | None => edge.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn sets_are_written_as_they_are_read() {
        let written = json!({
            "f:metadata": { "f:labels": { ".": {}, "f:app": {} }, "f:finalizers": { ".": {}, "v:\"a/b\"": {} } },
            "f:spec": { "f:ports": { "k:{\"port\":80,\"protocol\":\"TCP\"}": { ".": {}, "f:port": {} } } },
        });
        let fields = Fields::root_from_json(&written);
        assert_eq!(fields.to_json(), written);
        assert_eq!(
            fields.paths(),
            [
                ".metadata.finalizers",
                ".metadata.finalizers[=\"a/b\"]",
                ".metadata.labels",
                ".metadata.labels.app",
                ".spec.ports[port=80,protocol=\"TCP\"]",
                ".spec.ports[port=80,protocol=\"TCP\"].port",
            ]
        );
    }

    #[test]
    fn sets_are_joined_and_taken_apart() {
        let one = Fields::root_from_json(&json!({ "f:data": { "f:a": {}, "f:b": {} } }));
        let two = Fields::root_from_json(&json!({ "f:data": { "f:b": {}, "f:c": {} } }));
        assert_eq!(one.intersection(&two).to_json(), json!({ "f:data": { "f:b": {} } }));
        assert_eq!(one.difference(&two).to_json(), json!({ "f:data": { "f:a": {} } }));
        assert_eq!(one.union(&two).to_json(), json!({ "f:data": { "f:a": {}, "f:b": {}, "f:c": {} } }));
        assert!(one.difference(&one).is_empty());
        assert_eq!(one.without(&["f:data", "f:a"]).to_json(), json!({ "f:data": { "f:b": {} } }));
    }
}
