//! The patches that know nothing of types: JSON patch (RFC 6902) and merge patch (RFC 7386).
//!
//! Entry points: [`json_patch()`], [`merge_patch`].

use serde_json::Value;

use crate::sandbox::kubernetes::status::Refusal;

/// An object after a JSON patch.
pub(crate) fn json_patch(object: &Value, patch: &Value) -> Result<Value, Refusal> {
    let operations: json_patch::Patch = serde_json::from_value(patch.clone())
        .map_err(|error| Refusal::bad_request(format!("error decoding patch: {error}")))?;
    let mut patched = object.clone();
    match json_patch::patch(&mut patched, &operations) {
        Ok(()) => Ok(patched),
        Err(_) => Err(Refusal::rejected()),
    }
}

/// An object after a merge patch.
pub(crate) fn merge_patch(object: &Value, patch: &Value) -> Result<Value, Refusal> {
    if !patch.is_object() {
        return Err(Refusal::bad_request("error decoding patch: it is no object"));
    }
    let mut patched = object.clone();
    json_patch::merge(&mut patched, patch);
    Ok(patched)
}
