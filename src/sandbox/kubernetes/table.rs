//! Tables, as kubectl asks for them to print.
//!
//! Entry points: [`is_asked`], [`of`]. Columns are those that a person looks for; custom kinds have those of their definition.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::schema::Kind;

/// Whether a client would rather have a table.
pub(crate) fn is_asked(accept: &str) -> bool {
    let first = accept.split(',').next().unwrap_or_default();
    first.contains("as=Table") && first.contains("v=v1") && !first.contains("v=v1beta1")
}

/// The columns of built-in kinds between name and age: title and JSON pointer, or what is made of an object.
type Column = (&'static str, fn(&Value) -> String);

fn text(object: &Value, path: &str) -> String {
    match object.pointer(path) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    }
}

fn or_none(text: String) -> String {
    if text.is_empty() { "<none>".to_owned() } else { text }
}

fn number(object: &Value, path: &str) -> u64 {
    object.pointer(path).and_then(Value::as_u64).unwrap_or_default()
}

fn list<'a>(object: &'a Value, path: &str) -> &'a [Value] {
    object.pointer(path).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

fn condition(object: &Value, kind: &str) -> bool {
    list(object, "/status/conditions").iter().any(|one| one["type"] == kind && one["status"] == "True")
}

fn columns(kind: &Kind) -> &'static [Column] {
    match (kind.group.as_str(), kind.plural.as_str()) {
        ("", "pods") => &[
            ("Ready", |pod| {
                let ready = list(pod, "/status/containerStatuses").iter().filter(|one| one["ready"] == true).count();
                format!("{ready}/{}", list(pod, "/spec/containers").len())
            }),
            ("Status", |pod| {
                if !pod["metadata"]["deletionTimestamp"].is_null() {
                    return "Terminating".to_owned();
                }
                let waits = list(pod, "/status/containerStatuses").iter();
                let reason = waits.map(|one| text(one, "/state/waiting/reason")).find(|reason| !reason.is_empty());
                reason.unwrap_or_else(|| text(pod, "/status/phase"))
            }),
            ("Restarts", |pod| {
                let restarts = list(pod, "/status/containerStatuses").iter().map(|one| number(one, "/restartCount"));
                restarts.sum::<u64>().to_string()
            }),
        ],
        ("apps", "deployments") => &[
            ("Ready", |one| format!("{}/{}", number(one, "/status/readyReplicas"), number(one, "/spec/replicas"))),
            ("Up-to-date", |one| number(one, "/status/updatedReplicas").to_string()),
            ("Available", |one| number(one, "/status/availableReplicas").to_string()),
        ],
        ("apps", "replicasets") => &[
            ("Desired", |one| number(one, "/spec/replicas").to_string()),
            ("Current", |one| number(one, "/status/replicas").to_string()),
            ("Ready", |one| number(one, "/status/readyReplicas").to_string()),
        ],
        ("", "services") => &[
            ("Type", |one| text(one, "/spec/type")),
            ("Cluster-IP", |one| or_none(text(one, "/spec/clusterIP"))),
            ("External-IP", |one| {
                let places = list(one, "/status/loadBalancer/ingress").iter();
                let names: Vec<String> =
                    places.map(|place| format!("{}{}", text(place, "/hostname"), text(place, "/ip"))).collect();
                match (names.is_empty(), text(one, "/spec/type").as_str()) {
                    (false, _) => names.join(","),
                    (true, "LoadBalancer") => "<pending>".to_owned(),
                    (true, _) => "<none>".to_owned(),
                }
            }),
            ("Port(s)", |one| {
                let ports = list(one, "/spec/ports").iter().map(|port| {
                    let node = number(port, "/nodePort");
                    let node = if node > 0 { format!(":{node}") } else { String::new() };
                    format!("{}{node}/{}", number(port, "/port"), text(port, "/protocol"))
                });
                or_none(ports.collect::<Vec<_>>().join(","))
            }),
        ],
        ("", "namespaces") => &[("Status", |one| text(one, "/status/phase"))],
        ("", "nodes") => &[
            ("Status", |one| if condition(one, "Ready") { "Ready" } else { "NotReady" }.to_owned()),
            ("Version", |one| text(one, "/status/nodeInfo/kubeletVersion")),
        ],
        ("", "secrets") => &[
            ("Type", |one| text(one, "/type")),
            ("Data", |one| one["data"].as_object().map_or(0, serde_json::Map::len).to_string()),
        ],
        ("", "configmaps") => &[("Data", |one| one["data"].as_object().map_or(0, serde_json::Map::len).to_string())],
        ("batch", "jobs") => &[
            ("Status", |one| {
                let ends = ["Complete", "Failed"].into_iter().find(|end| condition(one, end));
                ends.unwrap_or("Running").to_owned()
            }),
            ("Completions", |one| format!("{}/{}", number(one, "/status/succeeded"), number(one, "/spec/completions"))),
        ],
        _ => &[],
    }
}

/// A list, or one object, as a table.
pub(crate) fn of(kind: &Kind, document: &Value, now: Timestamp) -> Value {
    let items: Vec<&Value> = match document["items"].as_array() {
        Some(items) => items.iter().collect(),
        None => vec![document],
    };
    let columns = columns(kind);
    let custom =
        kind.custom.as_ref().and_then(|custom| custom.columns.as_array()).map(Vec::as_slice).unwrap_or_default();
    let custom: Vec<&Value> = custom.iter().filter(|column| number(column, "/priority") == 0).collect();
    let column = |name: &str, format: &str| json!({ "name": name, "type": "string", "format": format, "description": "", "priority": 0 });
    let mut definitions = vec![column("Name", "name")];
    definitions.extend(columns.iter().map(|(name, _)| column(name, "")));
    definitions.extend(custom.iter().map(|one| column(one["name"].as_str().unwrap_or_default(), "")));
    let has_age = custom.iter().any(|one| one["type"] == "date");
    if !has_age {
        definitions.push(column("Age", ""));
    }
    let rows: Vec<Value> = items
        .into_iter()
        .map(|item| {
            let mut cells = vec![item["metadata"]["name"].clone()];
            cells.extend(columns.iter().map(|(_, cell)| Value::from(cell(item))));
            cells.extend(custom.iter().map(|one| {
                let path = one["jsonPath"].as_str().unwrap_or_default().replace('.', "/");
                let cell = text(item, &path);
                if one["type"] == "date" { age(&cell, now) } else { cell }.into()
            }));
            if !has_age {
                cells.push(age(&text(item, "/metadata/creationTimestamp"), now).into());
            }
            let part = json!({
                "kind": "PartialObjectMetadata",
                "apiVersion": "meta.k8s.io/v1",
                "metadata": item["metadata"],
            });
            json!({ "cells": cells, "object": part })
        })
        .collect();
    json!({
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": if document["items"].is_array() { document["metadata"].clone() } else { json!({}) },
        "columnDefinitions": definitions,
        "rows": rows,
    })
}

/// How long ago something was, as kubectl writes it.
fn age(at: &str, now: Timestamp) -> String {
    let Ok(at) = at.parse::<Timestamp>() else { return "<unknown>".to_owned() };
    match now.duration_since(at).as_secs().max(0) {
        seconds @ ..120 => format!("{seconds}s"),
        seconds @ ..7200 => format!("{}m", seconds / 60),
        seconds @ ..172_800 => format!("{}h", seconds / 3600),
        seconds => format!("{}d", seconds / 86_400),
    }
}
