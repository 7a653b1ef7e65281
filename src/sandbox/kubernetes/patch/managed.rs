//! Who manages which fields of an object: `metadata.managedFields`, and what writes and applies do to them.
//!
//! Entry points: [`update`] for a write that replaces, [`apply`] for server-side apply. The rules are those of
//! `sigs.k8s.io/structured-merge-diff/merge`.

use serde_json::{Map, Value, json};

use super::fields::Fields;
use super::typed::{self, compare, fields_of};
use crate::sandbox::kubernetes::objects::metadata_of;
use crate::sandbox::kubernetes::schema::Kind;
use crate::sandbox::kubernetes::status::Refusal;

/// The manager of what was there before anybody applied, where nothing is known of who wrote it.
const BEFORE: &str = "before-first-apply";

/// Who writes, through what, and when.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Writer<'a> {
    pub(crate) manager: &'a str,
    /// `status` or `scale`; empty for the object itself.
    pub(crate) subresource: &'a str,
    /// The time, as objects write it.
    pub(crate) time: &'a str,
}

/// An entry of `managedFields`.
#[derive(Debug, Clone, PartialEq)]
struct Entry {
    manager: String,
    is_apply: bool,
    api_version: String,
    subresource: String,
    time: String,
    fields: Fields,
}

impl Entry {
    fn read(entry: &Value) -> Self {
        let text = |key: &str| entry[key].as_str().unwrap_or_default().to_owned();
        Self {
            manager: text("manager"),
            is_apply: entry["operation"] == "Apply",
            api_version: text("apiVersion"),
            subresource: text("subresource"),
            time: text("time"),
            fields: Fields::root_from_json(&entry["fieldsV1"]),
        }
    }

    fn write(&self) -> Value {
        let mut entry = json!({
            "manager": self.manager,
            "operation": if self.is_apply { "Apply" } else { "Update" },
            "apiVersion": self.api_version,
            "time": self.time,
            "fieldsType": "FieldsV1",
            "fieldsV1": self.fields.to_json(),
        });
        if !self.subresource.is_empty() {
            entry["subresource"] = self.subresource.as_str().into();
        }
        entry
    }

    /// Whether it is the entry of a writer.
    fn is_of(&self, writer: &Writer<'_>, is_apply: bool, api_version: &str) -> bool {
        self.manager == writer.manager
            && self.is_apply == is_apply
            && self.subresource == writer.subresource
            // An apply in another version is the same manager's.
            && (is_apply || self.api_version == api_version)
    }

    /// As messages name it.
    fn named(&self) -> String {
        let mut name = format!("{:?}", self.manager);
        if !self.subresource.is_empty() {
            name = format!("{name} with subresource {:?}", self.subresource);
        }
        if self.is_apply { name } else { format!("{name} using {}", self.api_version) }
    }
}

fn entries(object: &Value) -> Vec<Entry> {
    object["metadata"]["managedFields"].as_array().into_iter().flatten().map(Entry::read).collect()
}

/// Writes the entries that hold something, applies first, then in the order of their times.
fn set_entries(object: &mut Value, mut entries: Vec<Entry>) {
    entries.retain(|entry| !entry.fields.is_empty());
    entries.sort_by(|one, other| {
        let key =
            |entry: &Entry| (!entry.is_apply, entry.time.clone(), entry.manager.clone(), entry.subresource.clone());
        key(one).cmp(&key(other))
    });
    let metadata = metadata_of(object);
    if entries.is_empty() {
        metadata.remove("managedFields");
    } else {
        metadata.insert("managedFields".to_owned(), entries.iter().map(Entry::write).collect());
    }
}

/// The fields that nobody manages: what the server itself writes, and what is written through the other door.
fn managed_part(fields: &Fields, kind: &Kind, subresource: &str) -> Fields {
    if subresource == "status" {
        return fields.only("f:status");
    }
    let mut left = fields.clone().without(&["f:apiVersion"]).without(&["f:kind"]);
    for field in [
        "f:name",
        "f:namespace",
        "f:creationTimestamp",
        "f:selfLink",
        "f:uid",
        "f:generation",
        "f:managedFields",
        "f:resourceVersion",
        "f:deletionTimestamp",
        "f:deletionGracePeriodSeconds",
    ] {
        left = left.without(&["f:metadata", field]);
    }
    if let Some(metadata) = left.below.get_mut("f:metadata") {
        metadata.own = false;
    }
    if kind.has_status() { left.without(&["f:status"]) } else { left }
}

/// An object without its `managedFields`.
fn bare(object: &Value) -> Value {
    let mut bare = object.clone();
    if bare["metadata"].is_object() {
        metadata_of(&mut bare).remove("managedFields");
    }
    bare
}

/// Notes in `new` what a write that replaced `old` set; `old` is `None` for a create.
pub(crate) fn update(kind: &Kind, old: Option<&Value>, new: &mut Value, writer: &Writer<'_>) {
    let given = &new["metadata"]["managedFields"];
    // An empty list, or one of an empty entry, asks to forget them.
    let is_reset = old.is_some() && given.as_array().is_some_and(|list| list.iter().all(|one| *one == json!({})));
    let mut known = match old {
        Some(_) if is_reset => Vec::new(),
        Some(old) => entries(old),
        None => Vec::new(),
    };
    if is_reset {
        set_entries(new, Vec::new());
        return;
    }
    let nothing = Value::Object(Map::new());
    let changes = compare(kind.schema(), &old.map_or(nothing, bare), &bare(new));
    let set = managed_part(&changes.set, kind, writer.subresource);
    let removed = changes.removed;
    let api_version = kind.api_version();
    for entry in &mut known {
        entry.fields = entry.fields.difference(&removed);
        if !entry.is_of(writer, false, &api_version) {
            entry.fields = entry.fields.difference(&set);
        }
    }
    if !set.is_empty() {
        match known.iter_mut().find(|entry| entry.is_of(writer, false, &api_version)) {
            Some(mine) => {
                mine.fields = mine.fields.union(&set);
                writer.time.clone_into(&mut mine.time);
            }
            None => known.push(Entry {
                manager: writer.manager.to_owned(),
                is_apply: false,
                api_version,
                subresource: writer.subresource.to_owned(),
                time: writer.time.to_owned(),
                fields: set,
            }),
        }
    }
    set_entries(new, known);
}

/// Applies what a manager says of an object; `live` is `None` for one that is not there.
///
/// # Errors
/// When others manage fields that would change, unless it is forced.
pub(crate) fn apply(
    kind: &Kind,
    live: Option<&Value>,
    said: &Value,
    writer: &Writer<'_>,
    force: bool,
) -> Result<Value, Refusal> {
    let schema = kind.schema();
    let api_version = kind.api_version();
    let mut known = live.map(entries).unwrap_or_default();
    if let Some(live) = live
        && known.is_empty()
    {
        known.push(Entry {
            manager: BEFORE.to_owned(),
            is_apply: false,
            api_version: api_version.clone(),
            subresource: String::new(),
            time: writer.time.to_owned(),
            fields: managed_part(&fields_of(schema, &bare(live)), kind, ""),
        });
    }
    let mine = known.iter().position(|entry| entry.is_of(writer, true, &api_version)).map(|at| known.remove(at));
    let fields = managed_part(&fields_of(schema, said), kind, writer.subresource);
    let before = live.map_or_else(|| Value::Object(Map::new()), bare);
    let mut merged = typed::merge(schema, &before, said);
    if let Some(mine) = &mine {
        let owned = known.iter().fold(fields.clone(), |owned, entry| owned.union(&entry.fields));
        merged = typed::take_out(schema, &merged, &mine.fields, &owned);
    }
    let changes = compare(schema, &before, &merged);
    let set = managed_part(&changes.set, kind, writer.subresource);
    let conflicts: Vec<(&Entry, Vec<String>)> = known
        .iter()
        .map(|entry| (entry, entry.fields.intersection(&set).paths()))
        .filter(|(_, paths)| !paths.is_empty())
        .collect();
    if !force && !conflicts.is_empty() {
        return Err(refusal(conflicts));
    }
    for entry in &mut known {
        entry.fields = entry.fields.difference(&set).difference(&changes.removed);
    }
    let is_same = set.is_empty() && changes.removed.is_empty();
    let time = match &mine {
        Some(mine) if is_same && mine.fields == fields => mine.time.clone(),
        Some(_) | None => writer.time.to_owned(),
    };
    known.push(Entry {
        manager: writer.manager.to_owned(),
        is_apply: true,
        api_version,
        subresource: writer.subresource.to_owned(),
        time,
        fields,
    });
    set_entries(&mut merged, known);
    Ok(merged)
}

fn refusal(mut conflicts: Vec<(&Entry, Vec<String>)>) -> Refusal {
    conflicts.sort_by_key(|(entry, _)| entry.named());
    let causes: Vec<(String, String)> = conflicts
        .iter()
        .flat_map(|(entry, paths)| paths.iter().map(|path| (format!("conflict with {}", entry.named()), path.clone())))
        .collect();
    let message = match causes.as_slice() {
        [(with, path)] => format!("Apply failed with 1 conflict: {with}: {path}"),
        all => {
            let texts: Vec<String> = conflicts
                .iter()
                .map(|(entry, paths)| format!("conflicts with {}:\n- {}", entry.named(), paths.join("\n- ")))
                .collect();
            format!("Apply failed with {} conflicts: {}", all.len(), texts.join("\n"))
        }
    };
    Refusal::apply_conflict(message, &causes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::kubernetes::schema::kinds;

    fn kind(plural: &str) -> &'static Kind {
        kinds().iter().find(|kind| kind.plural == plural).unwrap()
    }

    fn by(manager: &str) -> Writer<'_> {
        Writer { manager, subresource: "", time: "2026-01-01T00:00:00Z" }
    }

    #[expect(clippy::needless_pass_by_value, reason = "a document that a test writes is written where it is used")]
    fn config(data: Value) -> Value {
        json!({ "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "x" }, "data": data })
    }

    fn applied(live: Option<&Value>, data: Value, manager: &str) -> Result<Value, Refusal> {
        apply(kind("configmaps"), live, &config(data), &by(manager), false)
    }

    fn managers(object: &Value) -> Vec<(String, Value)> {
        entries(object).iter().map(|entry| (entry.manager.clone(), entry.fields.to_json())).collect()
    }

    #[test]
    fn what_a_manager_no_longer_says_goes_unless_it_is_shared() {
        let one = applied(None, json!({ "a": "1", "b": "1" }), "m1").unwrap();
        assert_eq!(managers(&one), [("m1".to_owned(), json!({ "f:data": { "f:a": {}, "f:b": {} } }))]);
        let shared = applied(Some(&one), json!({ "b": "1" }), "m2").unwrap();
        let less = applied(Some(&shared), json!({}), "m1").unwrap();
        assert_eq!(less["data"], json!({ "b": "1" }));
        let none = applied(Some(&less), json!({}), "m2").unwrap();
        assert_eq!(none["data"], json!({}), "an empty map that is said stays");
    }

    #[test]
    fn applying_again_changes_nothing() {
        let one = applied(None, json!({ "a": "1" }), "m1").unwrap();
        let later = Writer { time: "2026-02-02T00:00:00Z", ..by("m1") };
        let again = apply(kind("configmaps"), Some(&one), &config(json!({ "a": "1" })), &later, false).unwrap();
        assert_eq!(again, one);
    }

    #[test]
    fn conflicts_are_told_in_the_words_of_the_server() {
        let one = applied(None, json!({ "a": "1", "b": "1" }), "m1").unwrap();
        let two = applied(Some(&one), json!({ "a": "2", "b": "2" }), "m2").unwrap_err().status();
        assert_eq!(two["message"], "Apply failed with 2 conflicts: conflicts with \"m1\":\n- .data.a\n- .data.b");
        assert_eq!(
            two["details"]["causes"][1],
            json!({
                "reason": "FieldManagerConflict", "message": "conflict with \"m1\"", "field": ".data.b"
            })
        );
        let mut patched = one.clone();
        patched["data"]["a"] = "3".into();
        update(kind("configmaps"), Some(&one), &mut patched, &by("kubectl-patch"));
        let back = applied(Some(&patched), json!({ "a": "1", "b": "1" }), "m1").unwrap_err();
        assert_eq!(back.message(), "Apply failed with 1 conflict: conflict with \"kubectl-patch\" using v1: .data.a");
        let forced = apply(kind("configmaps"), Some(&patched), &config(json!({ "a": "1", "b": "1" })), &by("m1"), true);
        assert_eq!(managers(&forced.unwrap()), [("m1".to_owned(), json!({ "f:data": { "f:a": {}, "f:b": {} } }))]);
    }

    #[test]
    fn defaults_belong_to_nobody_and_go_with_what_they_hang_on() {
        let deployment = kind("deployments");
        let said = |containers: Value| {
            json!({
                "apiVersion": "apps/v1", "kind": "Deployment", "metadata": { "name": "x" },
                "spec": { "template": { "spec": { "containers": containers } } },
            })
        };
        let both = said(json!([{ "name": "a", "image": "i" }, { "name": "b", "image": "i" }]));
        let mut made = apply(deployment, None, &both, &by("helm"), false).unwrap();
        made["spec"]["replicas"] = 1.into();
        made["spec"]["template"]["spec"]["containers"][1]["imagePullPolicy"] = "Always".into();
        let one =
            apply(deployment, Some(&made), &said(json!([{ "name": "a", "image": "i" }])), &by("helm"), false).unwrap();
        assert_eq!(one["spec"]["replicas"], 1);
        assert_eq!(one["spec"]["template"]["spec"]["containers"], json!([{ "name": "a", "image": "i" }]));
    }

    #[test]
    fn what_was_there_before_is_somebodys() {
        let there = config(json!({ "a": "1" }));
        let conflict = applied(Some(&there), json!({ "a": "2" }), "m1").unwrap_err();
        assert_eq!(
            conflict.message(),
            "Apply failed with 1 conflict: conflict with \"before-first-apply\" using v1: .data.a"
        );
    }
}
