//! Creating, replacing and patching.
//!
//! Entry points: [`create`], [`update`], [`patch`].

use serde_json::{Map, Value, json};

use super::body;
use super::delete;
use super::read::{shown, stored};
use crate::model::Digest;
use crate::sandbox::kubernetes::controllers::admission::Operation;
use crate::sandbox::kubernetes::decode::decode;
use crate::sandbox::kubernetes::objects::{Key, Objects, metadata_of, time};
use crate::sandbox::kubernetes::patch::{json as plain, managed, strategic, typed};
use crate::sandbox::kubernetes::request::{Asked, DEFINITIONS, Place};
use crate::sandbox::kubernetes::status::{Cause, Refusal};
use crate::sandbox::kubernetes::{admission, defaults, definitions, services, validate};

/// What a write answers.
#[derive(Debug)]
pub(crate) struct Written {
    pub(crate) object: Value,
    pub(crate) is_new: bool,
    pub(crate) warnings: Vec<String>,
}

/// The metadata that only the server writes.
const SERVERS: [&str; 6] =
    ["uid", "creationTimestamp", "generation", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"];

/// Creates an object.
pub(crate) fn create(objects: &mut Objects<'_>, place: &Place, asked: &Asked) -> Result<Written, Refusal> {
    let is_dry = dry_run(asked)?;
    let object = body::object(asked, &place.kind)?;
    let decoded = decode(&place.kind, object)?;
    let warnings = field_validation(asked, place, &decoded.unknown)?;
    let mut object = decoded.object;
    if !object["metadata"]["resourceVersion"].as_str().is_none_or(str::is_empty) {
        return Err(Refusal::bad_request("resourceVersion should not be set on objects to be created"));
    }
    let metadata = metadata_of(&mut object);
    metadata.remove("managedFields");
    metadata.remove("resourceVersion");
    namespace(place, metadata)?;
    name(objects, metadata);
    let name = metadata.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let key = place.key(&name);
    may_enter(objects, place, &name)?;
    if objects.get(&key).is_some() {
        return Err(Refusal::already_exists(&place.kind, &name));
    }
    let mut new = made(objects, place, object)?;
    let now = time(objects.now());
    let manager = asked.manager();
    managed::update(&place.kind, None, &mut new, &managed::Writer { manager: &manager, subresource: "", time: &now });
    Ok(Written { object: keep(objects, place, &key, None, new, is_dry), is_new: true, warnings })
}

/// Replaces an object, or its status.
pub(crate) fn update(objects: &mut Objects<'_>, place: &Place, asked: &Asked) -> Result<Written, Refusal> {
    let is_dry = dry_run(asked)?;
    let object = body::object(asked, &place.kind)?;
    let decoded = decode(&place.kind, object)?;
    let warnings = field_validation(asked, place, &decoded.unknown)?;
    let said = decoded.object["metadata"]["name"].as_str().unwrap_or_default();
    if said != place.name {
        return Err(Refusal::bad_request(format!(
            "the name of the object ({said}) does not match the name on the URL ({})",
            place.name
        )));
    }
    let old = stored(objects, place)?.clone();
    let has_version = !decoded.object["metadata"]["resourceVersion"].as_str().is_none_or(str::is_empty);
    if !has_version && place.kind.custom.is_some() {
        let cause = Cause::invalid("metadata.resourceVersion", &0.into(), "must be specified for an update");
        return Err(Refusal::invalid(&place.kind, &place.name, &[cause]));
    }
    replace(objects, place, asked, &old, decoded.object, is_dry, warnings)
}

/// Patches an object, or its status; an apply may create it.
pub(crate) fn patch(objects: &mut Objects<'_>, place: &Place, asked: &Asked) -> Result<Written, Refusal> {
    let media = body::media_type(&asked.content_type);
    if media == "application/apply-patch+yaml" {
        return apply(objects, place, asked);
    }
    if asked.query("force").is_some() {
        let why = "Forbidden: may not be specified for non-apply patch";
        return Err(Refusal::invalid_options("PatchOptions", "force", why));
    }
    let is_dry = dry_run(asked)?;
    let old = stored(objects, place)?.clone();
    let live = shown(&place.kind, &old);
    let said = body::document(asked)?;
    let new = match media {
        "application/json-patch+json" => plain::json_patch(&live, &said)?,
        "application/merge-patch+json" => plain::merge_patch(&live, &said)?,
        "application/strategic-merge-patch+json" if place.kind.custom.is_none() => {
            strategic::strategic_merge(place.kind.schema(), &live, &said)?
        }
        other => {
            let mut accepted = vec!["application/json-patch+json", "application/merge-patch+json"];
            if place.kind.custom.is_none() {
                accepted.push("application/strategic-merge-patch+json");
            }
            accepted.push("application/apply-patch+yaml");
            return Err(Refusal::unsupported_media(format!(
                "the body of the request was in an unknown format - accepted media types include: {} (it is {other})",
                accepted.join(", ")
            )));
        }
    };
    let mut new = new;
    body::check_kind(&mut new, &place.kind)?;
    let decoded = decode(&place.kind, new)?;
    let warnings = field_validation(asked, place, &decoded.unknown)?;
    replace(objects, place, asked, &old, decoded.object, is_dry, warnings)
}

/// Makes `new` of `old`, through the object itself or its status.
fn replace(
    objects: &mut Objects<'_>,
    place: &Place,
    asked: &Asked,
    old: &Value,
    new: Value,
    is_dry: bool,
    warnings: Vec<String>,
) -> Result<Written, Refusal> {
    let mut new = new;
    check_identity(place, old, &new)?;
    namespace(place, metadata_of(&mut new))?;
    let now = time(objects.now());
    let manager = asked.manager();
    let writer = managed::Writer { manager: &manager, subresource: &place.subresource, time: &now };
    let mut new = if place.subresource == "status" {
        let mut whole = old.clone();
        whole["status"] = new["status"].take();
        whole
    } else {
        remade(objects, place, old, new)?
    };
    managed::update(&place.kind, Some(old), &mut new, &writer);
    let key = place.key(&place.name);
    Ok(Written { object: keep(objects, place, &key, Some(old), new, is_dry), is_new: false, warnings })
}

/// Server-side apply.
fn apply(objects: &mut Objects<'_>, place: &Place, asked: &Asked) -> Result<Written, Refusal> {
    let is_dry = dry_run(asked)?;
    let Some(manager) = asked.query("fieldManager").filter(|manager| !manager.is_empty()) else {
        let why = "Required value: is required for apply patch";
        return Err(Refusal::invalid_options("PatchOptions", "fieldManager", why));
    };
    let yaml = Asked { content_type: "application/yaml".to_owned(), ..asked.clone() };
    let mut said = body::document(&yaml)?;
    if !said.is_object() {
        return Err(Refusal::bad_request("error decoding YAML: it is no object"));
    }
    if said["metadata"]["managedFields"].as_array().is_some_and(|list| !list.is_empty()) {
        return Err(Refusal::bad_request("metadata.managedFields must be nil"));
    }
    body::check_kind(&mut said, &place.kind)?;
    namespace(place, metadata_of(&mut said))?;
    let named = said["metadata"]["name"].as_str().unwrap_or_default();
    if !named.is_empty() && named != place.name {
        return Err(Refusal::bad_request(format!(
            "the name of the object ({named}) does not match the name on the URL ({})",
            place.name
        )));
    }
    metadata_of(&mut said).insert("name".to_owned(), place.name.as_str().into());
    if let Some(why) = typed::check(place.kind.schema(), &said, "") {
        let namespace = place.namespace.as_deref().unwrap_or_default();
        return Err(Refusal::untyped(format!(
            "failed to create typed patch object ({namespace}/{}; {}/{}, Kind={}): {why}",
            place.name, place.kind.group, place.kind.version, place.kind.kind
        )));
    }
    let key = place.key(&place.name);
    let old = objects.get(&key).cloned();
    match &old {
        Some(old) => check_identity(place, old, &said)?,
        None if !place.subresource.is_empty() => return Err(Refusal::not_found(&place.kind, &place.name)),
        None => {
            may_enter(objects, place, &place.name)?;
            let version = said["metadata"]["resourceVersion"].as_str().unwrap_or_default();
            if !version.is_empty() && version != "0" {
                return Err(Refusal::stale(&place.kind, &place.name));
            }
        }
    }
    let now = time(objects.now());
    let writer = managed::Writer { manager: &manager, subresource: &place.subresource, time: &now };
    let live = old.as_ref().map(|old| shown(&place.kind, old));
    let merged = managed::apply(&place.kind, live.as_ref(), &said, &writer, asked.flag("force"))?;
    let entries = merged["metadata"]["managedFields"].clone();
    let decoded = decode(&place.kind, merged)?;
    let warnings = field_validation(asked, place, &decoded.unknown)?;
    let mut new = match &old {
        None => made(objects, place, decoded.object)?,
        Some(old) if place.subresource == "status" => {
            let mut whole = old.clone();
            whole["status"] = decoded.object["status"].clone();
            whole
        }
        Some(old) => remade(objects, place, old, decoded.object)?,
    };
    metadata_of(&mut new).insert("managedFields".to_owned(), entries);
    Ok(Written { object: keep(objects, place, &key, old.as_ref(), new, is_dry), is_new: old.is_none(), warnings })
}

/// What becomes of an object that is new: defaults, addresses, checks.
fn made(objects: &mut Objects<'_>, place: &Place, object: Value) -> Result<Value, Refusal> {
    let mut new = object;
    let metadata = metadata_of(&mut new);
    for field in SERVERS {
        metadata.remove(field);
    }
    metadata.remove("resourceVersion");
    // What is known of its state is told through another door.
    if place.kind.has_status()
        && let Some(fields) = new.as_object_mut()
    {
        fields.remove("status");
    }
    defaults::fill(&place.kind, &mut new);
    let name = new["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    let mut new = admission::admit(objects, place, Operation::Create, new)?;
    defaults::fill(&place.kind, &mut new);
    complete(objects, place, &mut new, None)?;
    let causes = validate::object(&place.kind, &new);
    if causes.is_empty() { Ok(new) } else { Err(Refusal::invalid(&place.kind, &name, &causes)) }
}

/// What becomes of an object that was there.
fn remade(objects: &mut Objects<'_>, place: &Place, old: &Value, object: Value) -> Result<Value, Refusal> {
    let mut new = object;
    let metadata = metadata_of(&mut new);
    for field in SERVERS {
        match old["metadata"].get(field) {
            Some(value) => metadata.insert(field.to_owned(), value.clone()),
            None => metadata.remove(field),
        };
    }
    metadata.remove("resourceVersion");
    hidden(old, metadata);
    if place.kind.has_status() {
        match old.get("status") {
            Some(status) => new["status"] = status.clone(),
            None => drop(new.as_object_mut().map(|fields| fields.remove("status"))),
        }
    }
    defaults::fill(&place.kind, &mut new);
    let mut new = admission::admit(objects, place, Operation::Update, new)?;
    complete(objects, place, &mut new, Some(old))?;
    let mut causes = validate::object(&place.kind, &new);
    causes.extend(validate::change(&place.kind, old, &new));
    if causes.is_empty() { Ok(new) } else { Err(Refusal::invalid(&place.kind, &place.name, &causes)) }
}

/// The sandbox's own annotations are not shown, so whoever writes back what was shown does not mean to remove them.
fn hidden(old: &Value, metadata: &mut Map<String, Value>) {
    let own = old["metadata"]["annotations"].as_object().into_iter().flatten();
    let own: Vec<(String, Value)> = own
        .filter(|(key, _)| key.starts_with("sandbox.meshplan/"))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    if !own.is_empty() {
        let annotations = metadata.entry("annotations").or_insert_with(|| json!({}));
        annotations.as_object_mut().into_iter().for_each(|fields| fields.extend(own.clone()));
    }
}

/// What is given to an object by the cluster that it is in.
fn complete(objects: &Objects<'_>, place: &Place, new: &mut Value, old: Option<&Value>) -> Result<(), Refusal> {
    let kind = &place.kind;
    if kind.is("", "services") {
        let name = new["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        services::allocate(objects, new, old).map_err(|causes| Refusal::invalid(kind, &name, &causes))?;
    }
    if kind.is(DEFINITIONS.0, DEFINITIONS.1) {
        definitions::check(kind, new)?;
        definitions::accept(new, &time(objects.now()));
    }
    if kind.is("batch", "jobs") && old.is_none() && new["spec"]["manualSelector"] != true {
        // A job's pods are known by its uid, which an object that is not yet stored has not.
        let mark = Digest::of_parts(&[b"job", objects.revision().to_string().as_bytes()]).to_string();
        let name = new["metadata"]["name"].clone();
        let labels = json!({ "batch.kubernetes.io/controller-uid": mark, "controller-uid": mark,
            "batch.kubernetes.io/job-name": name, "job-name": name });
        new["spec"]["selector"] = json!({ "matchLabels": { "batch.kubernetes.io/controller-uid": mark } });
        let template = metadata_of(&mut new["spec"]["template"]);
        let known = template.entry("labels").or_insert_with(|| json!({}));
        if let (Some(known), Some(labels)) = (known.as_object_mut(), labels.as_object()) {
            known.extend(labels.clone());
        }
    }
    Ok(())
}

/// Stores an object (unless it is only tried) and answers how it is.
fn keep(objects: &mut Objects<'_>, place: &Place, key: &Key, old: Option<&Value>, new: Value, is_dry: bool) -> Value {
    if is_dry {
        return shown(&place.kind, &objects.tried(key, new));
    }
    // The last finalizer of an object that goes is its end.
    if old.is_some() && delete::is_over(&place.kind, &new) {
        let answer = shown(&place.kind, &new);
        delete::remove(objects, key);
        return answer;
    }
    objects.put(key, new);
    objects.get(key).map(|object| shown(&place.kind, object)).unwrap_or_default()
}

/// What a caller knows of an object must still be true of it.
fn check_identity(place: &Place, old: &Value, new: &Value) -> Result<(), Refusal> {
    let said = |field: &str| new["metadata"][field].as_str().filter(|text| !text.is_empty());
    if let Some(uid) = said("uid").filter(|uid| old["metadata"]["uid"] != *uid) {
        let has = old["metadata"]["uid"].as_str().unwrap_or_default();
        let why = format!("Precondition failed: UID in precondition: {uid}, UID in object meta: {has}");
        return Err(Refusal::conflict(&place.kind, &place.name, &why));
    }
    match said("resourceVersion") {
        Some(version) if version != "0" && old["metadata"]["resourceVersion"] != *version => {
            Err(Refusal::stale(&place.kind, &place.name))
        }
        Some(_) | None => Ok(()),
    }
}

/// The namespace of a body is that of the path.
fn namespace(place: &Place, metadata: &mut Map<String, Value>) -> Result<(), Refusal> {
    let said = metadata.get("namespace").and_then(Value::as_str).filter(|text| !text.is_empty());
    match (&place.namespace, said) {
        (Some(asked), Some(said)) if asked != said => Err(Refusal::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        )),
        (Some(asked), _) => {
            metadata.insert("namespace".to_owned(), asked.as_str().into());
            Ok(())
        }
        (None, Some(_)) if place.kind.is_namespaced => {
            Err(Refusal::bad_request("an empty namespace may not be set during creation"))
        }
        (None, _) => {
            metadata.remove("namespace");
            Ok(())
        }
    }
}

/// A name that was only begun is ended.
fn name(objects: &Objects<'_>, metadata: &mut Map<String, Value>) {
    let is_named = metadata.get("name").and_then(Value::as_str).is_some_and(|name| !name.is_empty());
    let begun = metadata.get("generateName").and_then(Value::as_str).filter(|begun| !begun.is_empty());
    if let (false, Some(begun)) = (is_named, begun) {
        // The letters of `k8s.io/apimachinery/pkg/util/rand`, which spell nothing.
        let letters = b"bcdfghjklmnpqrstvwxz2456789";
        let digest = Digest::of_parts(&[b"name", objects.cluster().as_bytes(), &objects.revision().to_le_bytes()]);
        let end: String = digest
            .as_bytes()
            .iter()
            .take(5)
            .filter_map(|byte| letters.get(usize::from(*byte) % letters.len()).map(|letter| char::from(*letter)))
            .collect();
        let name = format!("{begun}{end}");
        metadata.insert("name".to_owned(), name.into());
    }
}

/// Whether something new may come into its namespace.
fn may_enter(objects: &Objects<'_>, place: &Place, name: &str) -> Result<(), Refusal> {
    let Some(namespace) = &place.namespace else {
        if place.kind.is_namespaced {
            return Err(Refusal::bad_request("an empty namespace may not be set during creation"));
        }
        return Ok(());
    };
    match objects.get(&Key::new("", "namespaces", None, namespace)) {
        None => Err(Refusal::no_namespace(namespace)),
        Some(there) if !there["metadata"]["deletionTimestamp"].is_null() => {
            Err(Refusal::terminating(&place.kind, name, namespace))
        }
        Some(_) => Ok(()),
    }
}

/// Whether the request is only tried.
pub(crate) fn dry_run(asked: &Asked) -> Result<bool, Refusal> {
    match asked.query("dryRun").as_deref() {
        None | Some("") => Ok(false),
        Some("All") => Ok(true),
        Some(other) => {
            let why = format!("Unsupported value: \"{other}\": supported values: \"All\"");
            Err(Refusal::invalid_options("PatchOptions", "dryRun", &why))
        }
    }
}

/// What is done about fields that no type knows: told, refused, or nothing.
fn field_validation(asked: &Asked, place: &Place, unknown: &[String]) -> Result<Vec<String>, Refusal> {
    match asked.query("fieldValidation").as_deref() {
        None | Some("Warn" | "") => Ok(unknown.to_vec()),
        Some("Ignore") => Ok(Vec::new()),
        Some("Strict") if unknown.is_empty() => Ok(Vec::new()),
        Some("Strict") => {
            let all = unknown.join(", ");
            let Place { kind, .. } = place;
            Err(Refusal::bad_request(format!(
                "{} in version \"{}\" cannot be handled as a {}: strict decoding error: {all}",
                kind.kind, kind.version, kind.kind
            )))
        }
        Some(other) => {
            let why = format!("Unsupported value: \"{other}\": supported values: \"Ignore\", \"Strict\", \"Warn\"");
            Err(Refusal::invalid_options("PatchOptions", "fieldValidation", &why))
        }
    }
}
