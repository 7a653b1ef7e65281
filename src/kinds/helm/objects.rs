//! The objects of a manifest, and how those of two manifests differ. Pure.
//!
//! Entry point: [`object_diff`]. What a Secret holds is never shown, only that it changes.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::Value as Json;
use similar::TextDiff;

/// How many lines around a change are shown.
const CONTEXT: usize = 2;

/// Which object.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    /// Its kind, for example `Deployment`.
    pub kind: String,
    /// Its namespace, if the manifest names one.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
    /// Its group and version, for example `apps/v1`.
    pub api_version: String,
}

/// As people name it: `Deployment istio-system/istiod`.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ", self.kind)?;
        if let Some(namespace) = &self.namespace {
            write!(f, "{namespace}/")?;
        }
        f.write_str(&self.name)
    }
}

/// What happens to one object of a release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectChange {
    /// Which.
    pub object: Key,
    /// What.
    pub action: ObjectAction,
    /// How it changes, as a unified diff of its YAML; empty for an object that is made or removed.
    pub diff: String,
}

/// What happens to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectAction {
    /// It is made.
    Add,
    /// It is changed.
    Change,
    /// It is removed.
    Remove,
}

impl fmt::Display for ObjectChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let glyph = match self.action {
            ObjectAction::Add => '+',
            ObjectAction::Change => '~',
            ObjectAction::Remove => '-',
        };
        write!(f, "{glyph} {}", self.object)?;
        for line in self.diff.lines() {
            write!(f, "\n{line}")?;
        }
        Ok(())
    }
}

/// How the objects of two manifests differ, sorted by kind, namespace and name. The order of fields, comments and how a
/// value is written make no difference; hooks, which are no part of a release, are left out.
#[must_use]
pub fn object_diff(old_manifest: &str, new_manifest: &str) -> Vec<ObjectChange> {
    let all = |_: &str| true;
    let (old, new) = (parse(old_manifest, &all), parse(new_manifest, &all));
    let mut changes = Vec::new();
    for (key, before) in &old {
        match new.get(key) {
            None => changes.push(whole(key, ObjectAction::Remove)),
            Some(after) if after != before => changes.push(changed(key, before, after)),
            Some(_) => {}
        }
    }
    changes.extend(new.keys().filter(|key| !old.contains_key(*key)).map(|key| whole(key, ObjectAction::Add)));
    changes.sort_by(|a, b| a.object.cmp(&b.object));
    changes
}

fn whole(key: &Key, action: ObjectAction) -> ObjectChange {
    ObjectChange { object: key.clone(), action, diff: String::new() }
}

fn changed(key: &Key, before: &Json, after: &Json) -> ObjectChange {
    let (before, after) = if key.kind == "Secret" { masked(before, after) } else { (before.clone(), after.clone()) };
    let text = |object: &Json| serde_saphyr::to_string(object).unwrap_or_else(|_| format!("{object:#}\n"));
    let (before, after) = (text(&before), text(&after));
    let mut diff = String::new();
    let changes = TextDiff::from_lines(before.as_str(), after.as_str());
    for hunk in changes.unified_diff().context_radius(CONTEXT).iter_hunks() {
        diff.push_str(&hunk.to_string());
    }
    ObjectChange { object: key.clone(), action: ObjectAction::Change, diff }
}

/// Two Secrets without what they hold: what changes is told apart from what stays.
fn masked(before: &Json, after: &Json) -> (Json, Json) {
    let (mut masked_before, mut masked_after) = (before.clone(), after.clone());
    for table in ["data", "stringData"] {
        let value = |object: &Json, key: &str| object.get(table).and_then(|data| data.get(key)).cloned();
        let mask = |object: &mut Json, other: &Json, changed: &str| {
            let Some(data) = object.get_mut(table).and_then(Json::as_object_mut) else { return };
            for (key, held) in data {
                let stays = value(other, key).as_ref() == Some(held);
                *held = Json::String(if stays { "(sensitive)".to_owned() } else { format!("(sensitive, {changed})") });
            }
        };
        mask(&mut masked_before, after, "before");
        mask(&mut masked_after, before, "after");
    }
    (masked_before, masked_after)
}

/// The objects of a manifest's documents that `wanted` says may be of interest, without hooks.
///
/// A document that is no YAML is left out: helm has read it before.
pub(super) fn parse(manifest: &str, wanted: &dyn Fn(&str) -> bool) -> BTreeMap<Key, Json> {
    let mut objects = BTreeMap::new();
    for document in documents(manifest).into_iter().filter(|document| wanted(document)) {
        let Ok(object) = serde_saphyr::from_str::<Json>(&document) else { continue };
        for object in items(object) {
            let is_hook = object.pointer("/metadata/annotations/helm.sh~1hook").is_some();
            if let Some(key) = key(&object).filter(|_| !is_hook) {
                objects.insert(key, object);
            }
        }
    }
    objects
}

/// A list stands for its items.
fn items(object: Json) -> Vec<Json> {
    let is_list = object["kind"].as_str().is_some_and(|kind| kind.ends_with("List"));
    match object.get("items").and_then(Json::as_array) {
        Some(items) if is_list => items.clone(),
        Some(_) | None => vec![object],
    }
}

fn key(object: &Json) -> Option<Key> {
    let text = |path: &str| object.pointer(path).and_then(Json::as_str).map(str::to_owned);
    Some(Key {
        kind: text("/kind")?,
        namespace: text("/metadata/namespace"),
        name: text("/metadata/name")?,
        api_version: text("/apiVersion")?,
    })
}

/// The documents of a YAML stream: a line that begins with `---` starts one. In a block text such a line is indented.
fn documents(manifest: &str) -> Vec<String> {
    let mut documents = vec![String::new()];
    for line in manifest.lines() {
        if line == "---" || line.starts_with("--- ") {
            documents.push(String::new());
        } else if let Some(document) = documents.last_mut() {
            document.push_str(line);
            document.push('\n');
        }
    }
    documents.retain(|document| document.lines().any(|line| !line.trim().is_empty() && !line.starts_with('#')));
    documents
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_means_the_same_is_no_change() {
        let old = "---\n# Source: a.yaml\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: x}\ndata: {k: 'v', n: \"1\"}\n";
        let new = "apiVersion: v1\ndata:\n  n: '1'\n  k: v # a remark\nkind: ConfigMap\nmetadata:\n  namespace: x\n  name: a\n";
        assert_eq!(object_diff(old, new), []);
        let hook = format!(
            "{new}---\napiVersion: v1\nkind: Pod\nmetadata: {{name: t, annotations: {{helm.sh/hook: test}}}}\n"
        );
        assert_eq!(object_diff(old, &hook), []);
    }

    #[test]
    fn changes_are_shown_as_a_unified_diff_with_what_is_around_them() {
        let deployment = |image: &str, replicas: u32| {
            format!(
                "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: istiod\n  namespace: istio-system\nspec:\n  \
                 replicas: {replicas}\n  template:\n    spec:\n      containers:\n      - image: {image}\n        name: discovery\n"
            )
        };
        let list = "---\nkind: ConfigMapList\napiVersion: v1\nitems:\n- {apiVersion: v1, kind: ConfigMap, metadata: {name: one}}\n";
        let changes = object_diff(
            &format!("{}{list}", deployment("pilot:1.30.3", 1)),
            &format!("{}---\napiVersion: v1\nkind: Service\nmetadata: {{name: new}}\n", deployment("pilot:1.31.0", 1)),
        );
        let text: Vec<String> = changes.iter().map(ToString::to_string).collect();
        assert_eq!(text[0], "- ConfigMap one");
        assert_eq!(text[2], "+ Service new");
        assert!(text[1].starts_with("~ Deployment istio-system/istiod\n@@ "), "{}", text[1]);
        let changed: Vec<&str> =
            text[1].lines().filter(|line| line.starts_with(['-', '+'])).map(|line| &line[1..]).map(str::trim).collect();
        assert_eq!(changed, ["- image: pilot:1.30.3", "- image: pilot:1.31.0"]);
    }

    #[test]
    fn what_a_secret_holds_is_not_shown() {
        let secret = |password: &str, user: &str| {
            format!(
                "apiVersion: v1\nkind: Secret\nmetadata: {{name: s}}\ndata: {{user: {user}}}\nstringData: {{password: {password}}}\n"
            )
        };
        let changes = object_diff(&secret("hunter2", "bWU="), &secret("swordfish", "bWU="));
        let text = changes[0].to_string();
        assert!(!text.contains("hunter2") && !text.contains("swordfish") && !text.contains("bWU="), "{text}");
        assert!(text.contains("-  password: (sensitive, before)"), "{text}");
        assert!(text.contains("+  password: (sensitive, after)"), "{text}");
        assert!(!text.contains("-  user"), "{text}");
        assert_eq!(object_diff("", &secret("hunter2", "bWU="))[0].to_string(), "+ Secret s");
    }

    #[test]
    fn documents_are_told_apart_and_texts_in_them_stay_whole() {
        let manifest = "# nothing\n---\n---\nkind: A\ntext: |\n  ---\n  in a text\n--- \nkind: B\n";
        assert_eq!(documents(manifest), ["kind: A\ntext: |\n  ---\n  in a text\n", "kind: B\n"]);
        assert!(parse("kind: [unclosed", &|_| true).is_empty());
    }
}
