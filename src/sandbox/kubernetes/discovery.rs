//! What an API server says of itself: its version, its health, and the kinds that it serves.
//!
//! Entry point: [`answer`].

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::objects::Objects;
use super::openapi;
use super::request::all_kinds;
use super::schema::Kind;
use super::status::Refusal;

/// An answer: a document, or a plain text.
#[derive(Debug, Clone)]
pub(crate) enum Said {
    Document(Value),
    Text(&'static str),
}

/// The answer about a path that leads to no objects.
pub(crate) fn answer(objects: &Objects<'_>, path: &str) -> Result<Said, Refusal> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let document = match parts.as_slice() {
        ["healthz" | "livez" | "readyz", ..] => return Ok(Said::Text("ok")),
        ["version"] => version(objects),
        [] => {
            json!({ "paths": ["/api", "/api/v1", "/apis", "/healthz", "/livez", "/openapi/v3", "/readyz", "/version"] })
        }
        ["api"] => json!({ "kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": [] }),
        ["apis"] => {
            let groups: Vec<Value> = groups(objects).iter().map(|(name, versions)| group(name, versions)).collect();
            json!({ "kind": "APIGroupList", "apiVersion": "v1", "groups": groups })
        }
        ["apis", name] => {
            let all = groups(objects);
            let versions = all.iter().find(|(known, _)| known == name).ok_or_else(Refusal::no_path)?;
            let mut document = group(name, &versions.1);
            document["kind"] = "APIGroup".into();
            document["apiVersion"] = "v1".into();
            document
        }
        ["api", version] => resources(objects, "", version)?,
        ["apis", group, version] => resources(objects, group, version)?,
        ["openapi", "v3"] => openapi::index(objects),
        ["openapi", "v3", "api", version] => openapi::document(objects, "", version)?,
        ["openapi", "v3", "apis", group, version] => openapi::document(objects, group, version)?,
        _ => return Err(Refusal::no_path()),
    };
    Ok(Said::Document(document))
}

/// The versions as EKS numbers them.
fn version(objects: &Objects<'_>) -> Value {
    let minor = objects.region().clusters.get(objects.cluster()).map_or("1.35", |cluster| cluster.version.as_str());
    let (major, minor) = minor.split_once('.').unwrap_or(("1", "35"));
    json!({
        "major": major,
        "minor": minor,
        "gitVersion": format!("v{major}.{minor}.0-eks-sandbox"),
        "gitCommit": "",
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "",
        "platform": "linux/amd64",
    })
}

/// The groups but the core one, each with its versions, the preferred one first.
pub(super) fn groups(objects: &Objects<'_>) -> Vec<(String, Vec<String>)> {
    let mut order: Vec<String> = Vec::new();
    let mut versions: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for kind in all_kinds(objects).into_iter().filter(|kind| !kind.group.is_empty()) {
        let known = versions.entry(kind.group.clone()).or_insert_with(|| {
            order.push(kind.group.clone());
            Vec::new()
        });
        if !known.contains(&kind.version) {
            known.push(kind.version);
        }
    }
    order
        .into_iter()
        .map(|group| {
            let mut known = versions.remove(&group).unwrap_or_default();
            known.sort_by_key(|version| std::cmp::Reverse(priority(version)));
            (group, known)
        })
        .collect()
}

/// "Version priority" of the documentation of definitions: stable before beta before alpha, the higher the better.
fn priority(version: &str) -> (u8, u64, u64) {
    let numbers = |text: &str| text.parse::<u64>().ok();
    let Some(rest) = version.strip_prefix('v') else { return (0, 0, 0) };
    for (word, rank) in [("alpha", 1), ("beta", 2)] {
        if let Some((major, minor)) = rest.split_once(word) {
            return match (numbers(major), numbers(minor)) {
                (Some(major), minor) => (rank, major, minor.unwrap_or_default()),
                (None, _) => (0, 0, 0),
            };
        }
    }
    numbers(rest).map_or((0, 0, 0), |major| (3, major, 0))
}

fn group(name: &str, versions: &[String]) -> Value {
    let one = |version: &String| json!({ "groupVersion": format!("{name}/{version}"), "version": version });
    let all: Vec<Value> = versions.iter().map(one).collect();
    json!({ "name": name, "versions": all, "preferredVersion": all.first() })
}

/// The kinds of one version of a group.
pub(super) fn of_version(objects: &Objects<'_>, group: &str, version: &str) -> Vec<Kind> {
    all_kinds(objects).into_iter().filter(|kind| kind.group == group && kind.version == version).collect()
}

fn resources(objects: &Objects<'_>, group: &str, version: &str) -> Result<Value, Refusal> {
    let kinds = of_version(objects, group, version);
    if kinds.is_empty() {
        return Err(Refusal::no_path());
    }
    let mut resources = Vec::new();
    for kind in &kinds {
        let mut one = json!({
            "name": kind.plural,
            "singularName": kind.singular,
            "namespaced": kind.is_namespaced,
            "kind": kind.kind,
            "verbs": kind.verbs,
        });
        if !kind.short_names.is_empty() {
            one["shortNames"] = json!(kind.short_names);
        }
        if !kind.categories.is_empty() {
            one["categories"] = json!(kind.categories);
        }
        resources.push(one);
        resources.extend(kind.subresources.iter().map(|(_, said)| said.clone()));
    }
    let group_version = if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") };
    Ok(json!({
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": group_version,
        "resources": resources,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stable_versions_go_before_others() {
        let mut versions = ["v1alpha3", "v1beta1", "v1", "v2", "v1beta2", "foo"];
        versions.sort_by_key(|version| std::cmp::Reverse(priority(version)));
        assert_eq!(versions, ["v2", "v1", "v1beta2", "v1beta1", "v1alpha3", "foo"]);
    }
}
