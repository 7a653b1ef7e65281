//! The kinds that are served: the built-in ones, and those that definitions make.
//!
//! Entry points: [`kinds`], [`Kind::custom`].

use std::sync::LazyLock;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{FILE, Schema};

#[derive(Deserialize)]
pub(super) struct GroupText {
    group: String,
    version: String,
    resources: Vec<Value>,
}

/// A kind as it is served in one version.
#[expect(clippy::struct_field_names, reason = "they are called as discovery calls them")]
#[derive(Debug, Clone)]
pub(crate) struct Kind {
    pub(crate) group: String,
    pub(crate) version: String,
    /// Its name in paths.
    pub(crate) plural: String,
    pub(crate) singular: String,
    pub(crate) kind: String,
    pub(crate) list_kind: String,
    pub(crate) is_namespaced: bool,
    pub(crate) short_names: Vec<String>,
    pub(crate) categories: Vec<String>,
    pub(crate) verbs: Vec<String>,
    /// Its subresources: name and what discovery says of it.
    pub(crate) subresources: Vec<(String, Value)>,
    /// For a kind that a definition made: its schema.
    pub(crate) custom: Option<Custom>,
}

/// What a definition says of its kind's objects.
#[derive(Debug, Clone)]
pub(crate) struct Custom {
    /// `openAPIV3Schema`.
    pub(crate) schema: Value,
    /// `additionalPrinterColumns`.
    pub(crate) columns: Value,
    /// The paths of `subresources.scale`.
    pub(crate) scale: Value,
}

static KINDS: LazyLock<Vec<Kind>> = LazyLock::new(|| FILE.groups.iter().flat_map(GroupText::kinds).collect());

/// The built-in kinds, in the order of their groups.
pub(crate) fn kinds() -> &'static [Kind] {
    &KINDS
}

fn text(value: &Value, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn texts(value: &Value, key: &str) -> Vec<String> {
    let list = value.get(key).and_then(Value::as_array);
    list.into_iter().flatten().filter_map(|one| one.as_str().map(str::to_owned)).collect()
}

impl GroupText {
    fn kinds(&self) -> impl Iterator<Item = Kind> {
        let whole = self.resources.iter().filter(|resource| !text(resource, "name").contains('/'));
        whole.map(|resource| {
            let plural = text(resource, "name");
            let kind = text(resource, "kind");
            let prefix = format!("{plural}/");
            let subresources = self.resources.iter().filter_map(|one| {
                let name = text(one, "name").strip_prefix(&prefix)?.to_owned();
                Some((name, one.clone()))
            });
            Kind {
                group: self.group.clone(),
                version: self.version.clone(),
                singular: text(resource, "singularName"),
                list_kind: format!("{kind}List"),
                is_namespaced: resource.get("namespaced").and_then(Value::as_bool) == Some(true),
                short_names: texts(resource, "shortNames"),
                categories: texts(resource, "categories"),
                verbs: texts(resource, "verbs"),
                subresources: subresources.collect(),
                custom: None,
                plural,
                kind,
            }
        })
    }
}

impl Kind {
    /// The kind that a definition makes in one of its versions, unless it is not served.
    pub(crate) fn custom(definition: &Value, version: &Value) -> Option<Self> {
        if version.get("served").and_then(Value::as_bool) != Some(true) {
            return None;
        }
        let spec = definition.get("spec")?;
        let names = spec.get("names")?;
        let or = |value: String, other: String| if value.is_empty() { other } else { value };
        let kind = text(names, "kind");
        let has = |name: &str| version.get("subresources").and_then(|all| all.get(name)).is_some();
        let namespaced = text(spec, "scope") == "Namespaced";
        let mut subresources = Vec::new();
        for name in ["scale", "status"].into_iter().filter(|name| has(name)) {
            let mut said = Map::new();
            said.insert("name".to_owned(), format!("{}/{name}", text(names, "plural")).into());
            said.insert("singularName".to_owned(), "".into());
            said.insert("namespaced".to_owned(), namespaced.into());
            if name == "scale" {
                said.insert("group".to_owned(), "autoscaling".into());
                said.insert("version".to_owned(), "v1".into());
            }
            said.insert("kind".to_owned(), if name == "scale" { "Scale" } else { kind.as_str() }.into());
            said.insert("verbs".to_owned(), serde_json::json!(["get", "patch", "update"]));
            subresources.push((name.to_owned(), Value::Object(said)));
        }
        let verbs = ["delete", "deletecollection", "get", "list", "patch", "create", "update", "watch"];
        Some(Self {
            group: text(spec, "group"),
            version: text(version, "name"),
            plural: text(names, "plural"),
            singular: or(text(names, "singular"), kind.to_ascii_lowercase()),
            list_kind: or(text(names, "listKind"), format!("{kind}List")),
            is_namespaced: namespaced,
            short_names: texts(names, "shortNames"),
            categories: texts(names, "categories"),
            verbs: verbs.map(str::to_owned).to_vec(),
            subresources,
            custom: Some(Custom {
                schema: version
                    .get("schema")
                    .and_then(|schema| schema.get("openAPIV3Schema"))
                    .cloned()
                    .unwrap_or_default(),
                columns: version.get("additionalPrinterColumns").cloned().unwrap_or_default(),
                scale: version.get("subresources").and_then(|all| all.get("scale")).cloned().unwrap_or_default(),
            }),
            kind,
        })
    }

    /// Group and version as objects write them: `apps/v1`, `v1`.
    pub(crate) fn api_version(&self) -> String {
        if self.group.is_empty() { self.version.clone() } else { format!("{}/{}", self.group, self.version) }
    }

    /// Plural and group, as messages write them: `deployments.apps`.
    pub(crate) fn resource(&self) -> String {
        if self.group.is_empty() { self.plural.clone() } else { format!("{}.{}", self.plural, self.group) }
    }

    /// Kind and group, as messages write them: `Deployment.apps`.
    pub(crate) fn qualified(&self) -> String {
        if self.group.is_empty() { self.kind.clone() } else { format!("{}.{}", self.kind, self.group) }
    }

    /// What its objects look like.
    pub(crate) fn schema(&self) -> Schema<'_> {
        match &self.custom {
            Some(custom) => Schema::Custom(&custom.schema),
            None => Schema::built_in(&self.group, &self.version, &self.kind).unwrap_or(Schema::Any),
        }
    }

    /// Whether it is this built-in kind.
    pub(crate) fn is(&self, group: &str, plural: &str) -> bool {
        self.group == group && self.plural == plural
    }

    /// Whether its status is written through a subresource only.
    pub(crate) fn has_status(&self) -> bool {
        self.has_subresource("status")
    }

    /// Whether it has a subresource.
    pub(crate) fn has_subresource(&self, name: &str) -> bool {
        self.subresources.iter().any(|(known, _)| known == name)
    }
}
