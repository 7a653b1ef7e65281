//! Deleting: at once, or when the last finalizer is taken off.
//!
//! Entry points: [`one`], [`many`]; [`is_over`] and [`remove`] for whoever takes a finalizer off. What follows a deletion
//! (what an object owned, what was in a namespace) is the controllers' part.

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::body;
use super::read::{Selection, selected, shown, stored};
use super::write::dry_run;
use crate::sandbox::kubernetes::objects::{Key, Objects, metadata_of, part_of, time};
use crate::sandbox::kubernetes::request::{Asked, DEFINITIONS, Place, custom_kinds};
use crate::sandbox::kubernetes::schema::Kind;
use crate::sandbox::kubernetes::status::Refusal;

/// How long a pod may take to end when nothing else is said.
const GRACE_SECONDS: i64 = 30;

/// The finalizer of an object that goes after what it owns.
const FOREGROUND: &str = "foregroundDeletion";
/// The finalizer of an object that lets go of what it owns.
const ORPHAN: &str = "orphan";
/// The finalizer of a definition whose objects go first.
const INSTANCES: &str = "customresourcecleanup.apiextensions.k8s.io";

/// What is asked of a deletion.
struct Options {
    is_dry: bool,
    policy: String,
    grace: Option<i64>,
    preconditions: Value,
}

impl Options {
    fn of(asked: &Asked) -> Result<Self, Refusal> {
        let document = body::document(asked)?;
        let text = |field: &str| {
            let said = document[field].as_str().map(str::to_owned);
            said.or_else(|| asked.query(field).map(std::borrow::Cow::into_owned)).unwrap_or_default()
        };
        let policy = text("propagationPolicy");
        if !["", "Background", "Foreground", "Orphan"].contains(&policy.as_str()) {
            let why = format!(
                "Unsupported value: \"{policy}\": supported values: \"Background\", \"Foreground\", \"Orphan\""
            );
            return Err(Refusal::invalid_options("DeleteOptions", "propagationPolicy", &why));
        }
        let grace = document["gracePeriodSeconds"].as_i64();
        Ok(Self {
            is_dry: dry_run(asked)? || document["dryRun"].as_array().is_some_and(|list| !list.is_empty()),
            policy,
            grace: grace.or_else(|| asked.query("gracePeriodSeconds").and_then(|text| text.parse().ok())),
            preconditions: document["preconditions"].clone(),
        })
    }
}

/// Deletes an object: its last state, or a `Status` when it is gone at once.
pub(crate) fn one(objects: &mut Objects<'_>, place: &Place, asked: &Asked) -> Result<Value, Refusal> {
    let options = Options::of(asked)?;
    let object = stored(objects, place)?.clone();
    for (field, name) in [("uid", "UID"), ("resourceVersion", "ResourceVersion")] {
        let (wanted, has) = (&options.preconditions[field], &object["metadata"][field]);
        if !wanted.is_null() && wanted != has {
            let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            let why = format!(
                "the {name} in the precondition ({}) does not match the {name} in record ({}). The object might have been deleted and then recreated",
                text(wanted),
                text(has)
            );
            return Err(Refusal::conflict(&place.kind, &place.name, &why));
        }
    }
    Ok(begin(objects, &place.kind, &place.key(&place.name), object, &options))
}

/// Deletes the selected objects, and answers a list of them.
pub(crate) fn many(objects: &mut Objects<'_>, place: &Place, asked: &Asked) -> Result<Value, Refusal> {
    let options = Options::of(asked)?;
    let selection = Selection::of(asked, &place.kind)?;
    let mut items = Vec::new();
    for key in selected(objects, place, &selection) {
        let Some(object) = objects.get(&key).cloned() else { continue };
        begin(objects, &place.kind, &key, object.clone(), &options);
        items.push(shown(&place.kind, &object));
    }
    Ok(json!({
        "kind": place.kind.list_kind,
        "apiVersion": place.kind.api_version(),
        "metadata": { "resourceVersion": objects.revision().to_string() },
        "items": items,
    }))
}

fn begin(objects: &mut Objects<'_>, kind: &Kind, key: &Key, object: Value, options: &Options) -> Value {
    let mut object = object;
    let uid = object["metadata"]["uid"].clone();
    let now = objects.now();
    let mut grace = 0;
    if object["metadata"]["deletionTimestamp"].is_null() {
        let finalizer = match options.policy.as_str() {
            "Foreground" => Some(FOREGROUND),
            "Orphan" => Some(ORPHAN),
            _ if kind.is(DEFINITIONS.0, DEFINITIONS.1) => Some(INSTANCES),
            _ => None,
        };
        if let Some(finalizer) = finalizer {
            let list = metadata_of(&mut object).entry("finalizers").or_insert_with(|| json!([]));
            if let Some(list) = list.as_array_mut().filter(|list| !list.contains(&finalizer.into())) {
                list.push(finalizer.into());
            }
        }
        if kind.is("", "pods") && object["spec"]["nodeName"].as_str().is_some_and(|node| !node.is_empty()) {
            let own = object["spec"]["terminationGracePeriodSeconds"].as_i64().unwrap_or(GRACE_SECONDS);
            grace = options.grace.unwrap_or(own);
        }
        let at = now.checked_add(SignedDuration::from_secs(grace)).unwrap_or(now);
        let metadata = metadata_of(&mut object);
        metadata.insert("deletionTimestamp".to_owned(), time(at).into());
        metadata.insert("deletionGracePeriodSeconds".to_owned(), grace.into());
        if kind.is("", "namespaces") {
            part_of(&mut object, "status").insert("phase".to_owned(), "Terminating".into());
        }
    } else if kind.is("", "pods") && options.grace == Some(0) {
        // Who will not wait, and asks again, need not.
        metadata_of(&mut object).insert("deletionGracePeriodSeconds".to_owned(), 0.into());
    }
    if options.is_dry {
        return if is_over(kind, &object) { gone(kind, key, &uid) } else { shown(kind, &object) };
    }
    if is_over(kind, &object) {
        remove(objects, key);
        return gone(kind, key, &uid);
    }
    objects.put(key, object);
    if kind.is(DEFINITIONS.0, DEFINITIONS.1) {
        delete_instances(objects, key);
    }
    match objects.get(key) {
        Some(object) => shown(kind, object),
        None => gone(kind, key, &uid),
    }
}

/// Whether nothing keeps an object that is being deleted.
pub(crate) fn is_over(kind: &Kind, object: &Value) -> bool {
    let is_empty = |list: &Value| list.as_array().is_none_or(Vec::is_empty);
    !object["metadata"]["deletionTimestamp"].is_null()
        && is_empty(&object["metadata"]["finalizers"])
        && (!kind.is("", "namespaces") || is_empty(&object["spec"]["finalizers"]))
        && object["metadata"]["deletionGracePeriodSeconds"].as_i64().unwrap_or_default() == 0
}

/// Takes an object out that nothing keeps, and with the last of its kind the definition that waits for it.
pub(crate) fn remove(objects: &mut Objects<'_>, key: &Key) {
    objects.remove(key);
    let definition = Key::new(DEFINITIONS.0, DEFINITIONS.1, None, &format!("{}.{}", key.plural, key.group));
    let waits = objects.get(&definition).is_some_and(|there| !there["metadata"]["deletionTimestamp"].is_null());
    if waits {
        release_definition(objects, &definition, &key.group, &key.plural);
    }
}

/// Deletes the objects of a definition that goes.
fn delete_instances(objects: &mut Objects<'_>, key: &Key) {
    let Some(definition) = objects.get(key).cloned() else { return };
    let Some(kind) = custom_kinds(&definition).into_iter().next() else {
        let (group, plural) = (definition["spec"]["group"].clone(), definition["spec"]["names"]["plural"].clone());
        release_definition(objects, key, group.as_str().unwrap_or_default(), plural.as_str().unwrap_or_default());
        return;
    };
    let options = Options { is_dry: false, policy: String::new(), grace: None, preconditions: Value::Null };
    for instance in objects.keys(&kind.group, &kind.plural, None) {
        if let Some(object) = objects.get(&instance).cloned() {
            begin(objects, &kind, &instance, object, &options);
        }
    }
    release_definition(objects, key, &kind.group, &kind.plural);
}

/// Takes out a definition whose last object is gone.
fn release_definition(objects: &mut Objects<'_>, key: &Key, group: &str, plural: &str) {
    if objects.list(group, plural, None).next().is_some() {
        return;
    }
    let Some(mut definition) = objects.get(key).cloned() else { return };
    if let Some(list) = metadata_of(&mut definition).get_mut("finalizers").and_then(Value::as_array_mut) {
        list.retain(|one| one != INSTANCES);
    }
    let is_free = definition["metadata"]["finalizers"].as_array().is_none_or(Vec::is_empty);
    if is_free {
        objects.remove(key);
    } else {
        objects.put(key, definition);
    }
}

/// The answer about an object that is gone.
fn gone(kind: &Kind, key: &Key, uid: &Value) -> Value {
    let mut details = json!({ "name": key.name, "kind": kind.plural, "uid": uid });
    if !kind.group.is_empty() {
        details["group"] = kind.group.as_str().into();
    }
    json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details })
}
