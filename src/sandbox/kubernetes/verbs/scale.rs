//! The subresource `scale`: how many replicas something has and should have.
//!
//! Entry points: [`get`], [`put`].

use serde_json::{Value, json};

use super::body;
use super::read::stored;
use super::write::{self, Written};
use crate::sandbox::kubernetes::objects::Objects;
use crate::sandbox::kubernetes::patch::json as plain;
use crate::sandbox::kubernetes::request::{Asked, Place};
use crate::sandbox::kubernetes::status::{Cause, Refusal};

/// The paths of the number that is wanted, and of the one that there is.
fn paths(place: &Place) -> (String, String) {
    let of = |name: &str, other: &str| {
        let custom = place.kind.custom.as_ref().and_then(|custom| custom.scale[name].as_str());
        custom.unwrap_or(other).trim_start_matches('.').to_owned()
    };
    (of("specReplicasPath", "spec.replicas"), of("statusReplicasPath", "status.replicas"))
}

fn at<'a>(object: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(object, |at, key| at.get(key))
}

fn scale(place: &Place, object: &Value) -> Value {
    let (wanted, there) = paths(place);
    let number = |path: &str| at(object, path).and_then(Value::as_i64).unwrap_or_default();
    let labels = object["spec"]["selector"]["matchLabels"].as_object().into_iter().flatten();
    let selector: Vec<String> =
        labels.map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())).collect();
    let mut metadata = json!({});
    for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        if let Some(value) = object["metadata"].get(field) {
            metadata[field] = value.clone();
        }
    }
    json!({
        "kind": "Scale",
        "apiVersion": "autoscaling/v1",
        "metadata": metadata,
        "spec": { "replicas": number(&wanted) },
        "status": { "replicas": number(&there), "selector": selector.join(",") },
    })
}

/// How something is scaled.
pub(crate) fn get(objects: &Objects<'_>, place: &Place) -> Result<Value, Refusal> {
    Ok(scale(place, stored(objects, place)?))
}

/// Scales something, by a whole `Scale` or a patch of one.
pub(crate) fn put(objects: &mut Objects<'_>, place: &Place, asked: &Asked) -> Result<Written, Refusal> {
    let object = stored(objects, place)?;
    let said = body::document(asked)?;
    let now = scale(place, object);
    let new = match body::media_type(&asked.content_type) {
        "application/json-patch+json" => plain::json_patch(&now, &said)?,
        _ => plain::merge_patch(&now, &said)?,
    };
    let Some(replicas) = new["spec"]["replicas"].as_i64().filter(|replicas| *replicas >= 0) else {
        let why = "must be greater than or equal to 0";
        let cause = Cause::invalid("spec.replicas", &new["spec"]["replicas"], why);
        return Err(Refusal::invalid(&place.kind, &place.name, &[cause]));
    };
    let (wanted, _) = paths(place);
    let mut patch = json!(replicas);
    for key in wanted.rsplit('.') {
        patch = json!({ key: patch });
    }
    if let Some(version) = said["metadata"].get("resourceVersion") {
        patch["metadata"]["resourceVersion"] = version.clone();
    }
    let merge = Asked {
        content_type: "application/merge-patch+json".to_owned(),
        body: patch.to_string().into_bytes(),
        ..asked.clone()
    };
    let whole = Place { subresource: String::new(), ..place.clone() };
    let written = write::patch(objects, &whole, &merge)?;
    Ok(Written { object: scale(place, &written.object), ..written })
}
