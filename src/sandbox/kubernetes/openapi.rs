//! The OpenAPI documents, from which kubectl and helm learn how fields merge and that the server validates them.
//!
//! Entry points: [`index`], [`document`].

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::discovery::{groups, of_version};
use super::objects::Objects;
use super::schema::{Kind, definitions, name_of};
use super::status::Refusal;
use crate::model::Digest;

/// Where the documents are.
pub(super) fn index(objects: &Objects<'_>) -> Value {
    let mut paths = Map::new();
    let mut put = |path: String, group: &str, version: &str| {
        // Whoever keeps a document asks again when this changes.
        let kinds: Vec<String> = of_version(objects, group, version)
            .iter()
            .map(|kind| format!("{} {:?}", kind.kind, kind.custom.as_ref().map(|custom| custom.schema.to_string())))
            .collect();
        let hash = Digest::of(kinds.join("\n")).to_string().to_uppercase();
        paths.insert(path.clone(), json!({ "serverRelativeURL": format!("/openapi/v3/{path}?hash={hash}") }));
    };
    put("api/v1".to_owned(), "", "v1");
    for (group, versions) in groups(objects) {
        for version in versions {
            put(format!("apis/{group}/{version}"), &group, &version);
        }
    }
    json!({ "paths": paths })
}

/// The document of one version of a group.
pub(super) fn document(objects: &Objects<'_>, group: &str, version: &str) -> Result<Value, Refusal> {
    let kinds = of_version(objects, group, version);
    if kinds.is_empty() {
        return Err(Refusal::no_path());
    }
    let (mut paths, mut schemas) = (Map::new(), BTreeMap::new());
    for kind in &kinds {
        let base = if group.is_empty() { format!("/api/{version}") } else { format!("/apis/{group}/{version}") };
        let place = if kind.is_namespaced { "/namespaces/{namespace}" } else { "" };
        let collection = format!("{base}{place}/{}", kind.plural);
        let (all, one) = operations(kind);
        paths.insert(format!("{collection}/{{name}}"), one);
        paths.insert(collection, all);
        schema(kind, &mut schemas);
    }
    Ok(json!({
        "openapi": "3.0.0",
        "info": { "title": "Kubernetes", "version": "sandbox" },
        "paths": paths,
        "components": { "schemas": schemas },
    }))
}

/// What can be done with a collection, and with one object.
fn operations(kind: &Kind) -> (Value, Value) {
    let gvk = json!({ "group": kind.group, "version": kind.version, "kind": kind.kind });
    let parameter =
        |name: &str, of: &str| json!({ "name": name, "in": "query", "schema": { "type": of, "uniqueItems": true } });
    let written = json!([
        parameter("dryRun", "string"),
        parameter("fieldManager", "string"),
        parameter("fieldValidation", "string"),
    ]);
    let operation = |action: &str| json!({ "x-kubernetes-action": action, "x-kubernetes-group-version-kind": gvk, "responses": { "200": { "description": "OK" } } });
    let writing = |action: &str| {
        let mut operation = operation(action);
        operation["parameters"] = written.clone();
        operation
    };
    let mut patch = writing("patch");
    if let Some(list) = patch["parameters"].as_array_mut() {
        list.push(parameter("force", "boolean"));
    }
    let mut content = Map::new();
    let forms = ["apply-patch+yaml", "json-patch+json", "merge-patch+json", "strategic-merge-patch+json"];
    for form in forms.into_iter().filter(|form| kind.custom.is_none() || !form.starts_with("strategic")) {
        content.insert(format!("application/{form}"), json!({ "schema": { "type": "object" } }));
    }
    patch["requestBody"] = json!({ "content": content, "required": true });
    let can = |verb: &str| kind.verbs.iter().any(|one| one == verb);
    let (mut all, mut one) = (json!({}), json!({}));
    if can("list") {
        all["get"] = operation("list");
    }
    if can("create") {
        all["post"] = writing("post");
    }
    if can("get") {
        one["get"] = operation("get");
    }
    if can("update") {
        one["put"] = writing("put");
    }
    if can("patch") {
        one["patch"] = patch;
    }
    if can("delete") {
        one["delete"] = operation("delete");
    }
    (all, one)
}

/// Puts the schema of a kind and all that it refers to.
fn schema(kind: &Kind, schemas: &mut BTreeMap<String, Value>) {
    let gvk = json!([{ "group": kind.group, "version": kind.version, "kind": kind.kind }]);
    let name = match (&kind.custom, name_of(kind)) {
        (Some(custom), _) => {
            // As a real server calls it: the group backwards.
            let group: Vec<&str> = kind.group.split('.').rev().collect();
            let name = format!("{}.{}.{}", group.join("."), kind.version, kind.kind);
            let mut schema = custom.schema.clone();
            if !schema.is_object() {
                schema = json!({ "type": "object" });
            }
            let properties = schema["properties"].as_object().cloned().unwrap_or_default();
            let mut all = Map::new();
            all.insert("apiVersion".to_owned(), json!({ "type": "string" }));
            all.insert("kind".to_owned(), json!({ "type": "string" }));
            all.extend(properties);
            all.insert("metadata".to_owned(), json!({ "$ref": "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta" }));
            schema["properties"] = Value::Object(all);
            put(&name, &schema, schemas);
            name
        }
        (None, Some(name)) => {
            if let Some(schema) = definitions().get(name) {
                put(name, schema, schemas);
            }
            name.to_owned()
        }
        (None, None) => return,
    };
    if let Some(schema) = schemas.get_mut(&name) {
        schema["x-kubernetes-group-version-kind"] = gvk;
    }
}

fn put(name: &str, schema: &Value, schemas: &mut BTreeMap<String, Value>) {
    if schemas.contains_key(name) {
        return;
    }
    let mut needed = Vec::new();
    let written = written(schema, &mut needed);
    schemas.insert(name.to_owned(), written);
    for name in needed {
        if let Some(schema) = definitions().get(&name) {
            put(&name, schema, schemas);
        }
    }
}

/// A schema as documents write it: references lead into the document, texts are not numbers.
fn written(schema: &Value, needed: &mut Vec<String>) -> Value {
    match schema {
        Value::Object(fields) => {
            let is_schema_of_references = fields.get("$ref").is_some_and(Value::is_string);
            let mut all: Map<String, Value> = fields
                .iter()
                .filter(|(key, _)| !(key.as_str() == "x-kubernetes-int-or-string" && fields.get("type").is_none()))
                .map(|(key, value)| match (key.as_str(), value.as_str()) {
                    ("$ref", Some(name)) if is_schema_of_references => {
                        needed.push(name.to_owned());
                        (key.clone(), Value::from(format!("#/components/schemas/{name}")))
                    }
                    _ => (key.clone(), written(value, needed)),
                })
                .collect();
            if fields.get("x-kubernetes-int-or-string") == Some(&Value::Bool(true)) && fields.get("type").is_none() {
                all.insert("oneOf".to_owned(), json!([{ "type": "integer" }, { "type": "string" }]));
            }
            Value::Object(all)
        }
        Value::Array(items) => items.iter().map(|item| written(item, needed)).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => schema.clone(),
    }
}
