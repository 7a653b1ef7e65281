//! Getting and listing.
//!
//! Entry points: [`get`], [`list`].

use serde_json::{Value, json};

use crate::sandbox::kubernetes::objects::{Key, Objects};
use crate::sandbox::kubernetes::request::{Asked, Place};
use crate::sandbox::kubernetes::schema::Kind;
use crate::sandbox::kubernetes::selector::{FieldSelector, Labels};
use crate::sandbox::kubernetes::status::Refusal;

/// Annotations below this are the sandbox's own, and never shown.
const HIDDEN: &str = "sandbox.meshplan/";

/// An object as it is answered: with its kind and version, and without what is the sandbox's own.
pub(crate) fn shown(kind: &Kind, object: &Value) -> Value {
    let mut shown = object.clone();
    shown["apiVersion"] = kind.api_version().into();
    shown["kind"] = kind.kind.as_str().into();
    if let Some(metadata) = shown["metadata"].as_object_mut()
        && let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut)
        && annotations.keys().any(|key| key.starts_with(HIDDEN))
    {
        annotations.retain(|key, _| !key.starts_with(HIDDEN));
        if annotations.is_empty() {
            metadata.remove("annotations");
        }
    }
    shown
}

/// The stored object of a place.
pub(crate) fn stored<'a>(objects: &'a Objects<'_>, place: &Place) -> Result<&'a Value, Refusal> {
    objects.get(&place.key(&place.name)).ok_or_else(|| Refusal::not_found(&place.kind, &place.name))
}

/// One object.
pub(crate) fn get(objects: &Objects<'_>, place: &Place) -> Result<Value, Refusal> {
    Ok(shown(&place.kind, stored(objects, place)?))
}

/// Which objects of a kind are asked for.
#[derive(Debug, Clone)]
pub(crate) struct Selection {
    pub(crate) labels: Labels,
    pub(crate) fields: FieldSelector,
}

impl Selection {
    /// The selection of a request.
    pub(crate) fn of(asked: &Asked, kind: &Kind) -> Result<Self, Refusal> {
        Ok(Self {
            labels: Labels::parse(&asked.query("labelSelector").unwrap_or_default())?,
            fields: FieldSelector::parse(&asked.query("fieldSelector").unwrap_or_default(), kind)?,
        })
    }

    /// Whether an object is selected.
    pub(crate) fn selects(&self, object: &Value) -> bool {
        self.labels.selects(object) && self.fields.selects(object)
    }
}

/// The keys of the selected objects, in order.
pub(crate) fn selected(objects: &Objects<'_>, place: &Place, selection: &Selection) -> Vec<Key> {
    let keys = objects.keys(&place.kind.group, &place.kind.plural, place.namespace.as_deref());
    keys.into_iter().filter(|key| objects.get(key).is_some_and(|object| selection.selects(object))).collect()
}

/// A page of a list.
pub(crate) fn list(objects: &Objects<'_>, place: &Place, asked: &Asked) -> Result<Value, Refusal> {
    let selection = Selection::of(asked, &place.kind)?;
    let mut keys = selected(objects, place, &selection);
    let mut metadata = json!({ "resourceVersion": objects.revision().to_string() });
    if let Some(after) = asked.query("continue").filter(|token| !token.is_empty()) {
        let after = read_token(&after).ok_or_else(|| Refusal::bad_request("continue key is not valid"))?;
        keys.retain(|key| token_text(key) > after);
    }
    let limit = asked.query("limit").and_then(|limit| limit.parse::<usize>().ok()).filter(|limit| *limit > 0);
    if let Some(limit) = limit
        && keys.len() > limit
    {
        let rest = keys.len() - limit;
        keys.truncate(limit);
        if let Some(last) = keys.last() {
            metadata["continue"] = data_encoding::BASE64URL_NOPAD.encode(token_text(last).as_bytes()).into();
        }
        metadata["remainingItemCount"] = rest.into();
    }
    let items: Vec<Value> = keys
        .iter()
        .filter_map(|key| {
            let mut item = shown(&place.kind, objects.get(key)?);
            if place.kind.custom.is_none()
                && let Some(fields) = item.as_object_mut()
            {
                // The items of a built-in list are known by the list.
                fields.remove("apiVersion");
                fields.remove("kind");
            }
            Some(item)
        })
        .collect();
    Ok(json!({
        "kind": place.kind.list_kind,
        "apiVersion": place.kind.api_version(),
        "metadata": metadata,
        "items": items,
    }))
}

fn token_text(key: &Key) -> String {
    // As the stored objects are ordered.
    format!("{}|{}", key.namespace.as_deref().unwrap_or_default(), key.name)
}

fn read_token(token: &str) -> Option<String> {
    String::from_utf8(data_encoding::BASE64URL_NOPAD.decode(token.as_bytes()).ok()?).ok()
}
