//! What objects look like: the types of their fields, how their lists merge, and which kinds of them are served.
//!
//! Entry points: [`Kind`] and [`kinds`] for what is built in, [`Schema`] for walking a type. `kubernetes-1.35.json` was made
//! of what kube-apiserver 1.35.4 answers for its OpenAPI and discovery, without descriptions and reduced to these kinds.

mod kind;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::Value;

pub(crate) use self::kind::{Kind, kinds};

/// The definition of the metadata that every object has.
const OBJECT_META: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";

/// The types of fields that clients send free of form.
const FREE: [&str; 2] =
    ["io.k8s.apimachinery.pkg.runtime.RawExtension", "io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.JSON"];

#[derive(Deserialize)]
struct File {
    /// `group/version/Kind` to the name of its schema.
    kinds: BTreeMap<String, String>,
    groups: Vec<kind::GroupText>,
    schemas: BTreeMap<String, Value>,
}

static FILE: LazyLock<File> = LazyLock::new(|| {
    let text = include_str!("kubernetes-1.35.json");
    // The text is part of the program; a test reads it.
    serde_json::from_str(text).unwrap_or_else(|_| File {
        kinds: BTreeMap::new(),
        groups: Vec::new(),
        schemas: BTreeMap::new(),
    })
});

/// How a list is compared and merged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ListType<'a> {
    /// As one value.
    Atomic,
    /// Each item is a value of its own.
    Set,
    /// Each item is known by these of its fields.
    Map(Vec<&'a str>),
}

/// The type of a value.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Schema<'a> {
    /// A node of a schema, whose references lead into the built-in definitions.
    Node(&'a Value),
    /// The root of an object of a kind that a definition made.
    Custom(&'a Value),
    /// Of any form.
    Any,
}

/// All definitions, by name.
pub(crate) fn definitions() -> &'static BTreeMap<String, Value> {
    &FILE.schemas
}

/// The name of the definition of a built-in kind.
pub(crate) fn name_of(kind: &Kind) -> Option<&'static str> {
    FILE.kinds.get(&format!("{}/{}/{}", kind.group, kind.version, kind.kind)).map(String::as_str)
}

fn definition(name: &str) -> Schema<'static> {
    FILE.schemas.get(name).map_or(Schema::Any, Schema::Node)
}

impl<'a> Schema<'a> {
    /// The schema of a built-in kind.
    pub(crate) fn built_in(group: &str, version: &str, kind: &str) -> Option<Schema<'static>> {
        let name = FILE.kinds.get(&format!("{group}/{version}/{kind}"))?;
        FILE.schemas.get(name).map(Schema::Node)
    }

    /// Where a reference leads.
    fn resolved(self) -> Schema<'a> {
        match self {
            Schema::Node(node) => match node.get("$ref").and_then(Value::as_str) {
                Some(name) if FREE.contains(&name) => Schema::Any,
                Some(name) => definition(name),
                None => self,
            },
            Schema::Custom(_) | Schema::Any => self,
        }
    }

    fn node(self) -> Option<&'a Value> {
        match self.resolved() {
            Schema::Node(node) | Schema::Custom(node) => Some(node),
            Schema::Any => None,
        }
    }

    /// What is said beside a reference goes before what it leads to.
    fn said(self, key: &str) -> Option<&'a Value> {
        match self {
            Schema::Node(node) | Schema::Custom(node) => {
                node.get(key).or_else(|| self.node().and_then(|node| node.get(key)))
            }
            Schema::Any => None,
        }
    }

    /// Whether nothing is known of what is inside.
    pub(crate) fn is_any(self) -> bool {
        self.node().is_none_or(|node| {
            node.get("type").is_none() && node.get("properties").is_none() && !self.is_int_or_string()
        })
    }

    /// The declared type: `object`, `array`, `string`, `integer`, `number`, `boolean`.
    pub(crate) fn type_name(self) -> Option<&'a str> {
        self.said("type").and_then(Value::as_str)
    }

    /// The declared form of a number or text: `int32`, `byte`.
    pub(crate) fn said_format(self) -> Option<&'a str> {
        self.said("format").and_then(Value::as_str)
    }

    /// Whether it can be `null`.
    pub(crate) fn is_nullable(self) -> bool {
        self.said("nullable").and_then(Value::as_bool) == Some(true)
    }

    /// A bound of its size or value: `minLength`, `maximum`.
    pub(crate) fn bound(self, name: &str) -> Option<f64> {
        self.said(name).and_then(Value::as_f64)
    }

    /// Whether it is a number or a text.
    pub(crate) fn is_int_or_string(self) -> bool {
        self.said("x-kubernetes-int-or-string").and_then(Value::as_bool) == Some(true)
    }

    /// Whether fields that are not declared stay.
    pub(crate) fn preserves_unknown(self) -> bool {
        self.said("x-kubernetes-preserve-unknown-fields").and_then(Value::as_bool) == Some(true) || self.is_any()
    }

    /// The values that are allowed, if they are few.
    pub(crate) fn allowed(self) -> Option<&'a Vec<Value>> {
        self.said("enum").and_then(Value::as_array)
    }

    /// The value of a field that is not given.
    pub(crate) fn default(self) -> Option<&'a Value> {
        self.said("default")
    }

    /// The fields that must be there.
    pub(crate) fn required(self) -> impl Iterator<Item = &'a str> {
        self.said("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
    }

    /// The declared fields.
    pub(crate) fn properties(self) -> impl Iterator<Item = (&'a String, Schema<'a>)> {
        let properties = self.node().and_then(|node| node.get("properties")).and_then(Value::as_object);
        properties.into_iter().flatten().map(move |(name, _)| (name, self.property(name).unwrap_or(Schema::Any)))
    }

    /// A declared field.
    pub(crate) fn property(self, name: &str) -> Option<Schema<'a>> {
        let node = self.node()?;
        let is_object = matches!(self, Schema::Custom(_))
            || node.get("x-kubernetes-embedded-resource").and_then(Value::as_bool) == Some(true);
        match name {
            "metadata" if is_object => return Some(definition(OBJECT_META)),
            "apiVersion" | "kind" if is_object => return Some(TEXT.schema()),
            _ => {}
        }
        node.get("properties")?.get(name).map(Schema::Node)
    }

    /// What the values of a map are, where it has no declared field of that name.
    pub(crate) fn additional(self) -> Option<Schema<'a>> {
        match self.node()?.get("additionalProperties")? {
            Value::Bool(true) => Some(Schema::Any),
            schema @ Value::Object(_) => Some(Schema::Node(schema)),
            Value::Bool(false) | Value::Null | Value::Number(_) | Value::String(_) | Value::Array(_) => None,
        }
    }

    /// The type of a field: declared, one of a map's, or unknown; and whether it is a declared one.
    pub(crate) fn field(self, name: &str) -> (Schema<'a>, bool) {
        match self.property(name) {
            Some(schema) => (schema, true),
            None => (self.additional().unwrap_or(Schema::Any), false),
        }
    }

    /// What the items of a list are.
    pub(crate) fn items(self) -> Schema<'a> {
        self.node().and_then(|node| node.get("items")).map_or(Schema::Any, Schema::Node)
    }

    /// How a list merges. Lists of which nothing is said are atomic.
    pub(crate) fn list_type(self) -> ListType<'a> {
        match self.said("x-kubernetes-list-type").and_then(Value::as_str) {
            Some("set") => ListType::Set,
            Some("map") => ListType::Map(self.map_keys()),
            Some(_) | None => ListType::Atomic,
        }
    }

    fn map_keys(self) -> Vec<&'a str> {
        let keys = self.said("x-kubernetes-list-map-keys").and_then(Value::as_array);
        keys.into_iter().flatten().filter_map(Value::as_str).collect()
    }

    /// Whether a map or an object is one value.
    pub(crate) fn is_atomic_map(self) -> bool {
        self.said("x-kubernetes-map-type").and_then(Value::as_str) == Some("atomic")
    }

    /// How a strategic merge patch treats the field: `merge`, `replace`, `retainKeys`, joined by commas.
    pub(crate) fn patch_strategy(self) -> &'a str {
        self.said("x-kubernetes-patch-strategy").and_then(Value::as_str).unwrap_or_default()
    }

    /// By which field a strategic merge patch knows the items of a list.
    pub(crate) fn patch_merge_key(self) -> Option<&'a str> {
        self.said("x-kubernetes-patch-merge-key").and_then(Value::as_str)
    }
}

/// A node for plain texts.
struct Text(LazyLock<Value>);

static TEXT: Text = Text(LazyLock::new(|| serde_json::json!({ "type": "string" })));

impl Text {
    fn schema(&'static self) -> Schema<'static> {
        Schema::Node(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_read_and_every_reference_leads_somewhere() {
        fn references(node: &Value, found: &mut Vec<String>) {
            if let Some(name) = node.get("$ref").and_then(Value::as_str) {
                found.push(name.to_owned());
            }
            for child in node.as_object().into_iter().flatten().map(|(_, child)| child) {
                references(child, found);
            }
        }
        assert!(FILE.schemas.len() > 400);
        let mut found = Vec::new();
        FILE.schemas.values().for_each(|schema| references(schema, &mut found));
        assert!(found.iter().all(|name| FILE.schemas.contains_key(name)));
    }

    #[test]
    fn lists_say_how_they_merge() {
        let pod = Schema::built_in("", "v1", "Pod").unwrap();
        let spec = pod.property("spec").unwrap();
        assert_eq!(spec.property("containers").unwrap().list_type(), ListType::Map(vec!["name"]));
        assert_eq!(spec.property("tolerations").unwrap().list_type(), ListType::Atomic);
        let container = spec.property("containers").unwrap().items();
        assert_eq!(container.property("ports").unwrap().list_type(), ListType::Map(vec!["containerPort", "protocol"]));
        assert_eq!(container.property("ports").unwrap().patch_merge_key(), Some("containerPort"));
        let metadata = pod.property("metadata").unwrap();
        assert_eq!(metadata.property("finalizers").unwrap().list_type(), ListType::Set);
        assert!(spec.property("nodeSelector").unwrap().is_atomic_map());
    }
}
