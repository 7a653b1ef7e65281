//! Definitions of custom resources: what is refused of one, and what its status says once it is accepted.
//!
//! Entry points: [`check`], [`accept`].

use serde_json::{Value, json};

use super::objects::part_of;
use super::schema::Kind;
use super::status::{Cause, Refusal};

/// Refuses a definition that cannot be served.
pub(crate) fn check(kind: &Kind, definition: &Value) -> Result<(), Refusal> {
    let spec = &definition["spec"];
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let name = text(&definition["metadata"]["name"]);
    let expected = format!("{}.{}", text(&spec["names"]["plural"]), text(&spec["group"]));
    let mut causes = Vec::new();
    if name != expected {
        let why = "must be spec.names.plural+\".\"+spec.group";
        causes.push(Cause::invalid("metadata.name", &name.as_str().into(), why));
    }
    let versions = spec["versions"].as_array().map(Vec::as_slice).unwrap_or_default();
    if versions.iter().filter(|version| version["storage"] == true).count() != 1 {
        let why = "must have exactly one version marked as storage version";
        causes.push(Cause::invalid("spec.versions", &spec["versions"], why));
    }
    for (index, version) in versions.iter().enumerate() {
        if version["schema"]["openAPIV3Schema"].is_null() {
            causes.push(Cause::required(
                format!("spec.versions[{index}].schema.openAPIV3Schema"),
                "schemas are required",
            ));
        }
    }
    if causes.is_empty() { Ok(()) } else { Err(Refusal::invalid(kind, &name, &causes)) }
}

/// Accepts a definition: a real server takes some 70 ms for it.
pub(crate) fn accept(definition: &mut Value, now: &str) {
    let names = definition["spec"]["names"].clone();
    let versions = definition["spec"]["versions"].as_array().cloned().unwrap_or_default();
    let stored = versions.iter().find(|version| version["storage"] == true).map(|version| version["name"].clone());
    let status = part_of(definition, "status");
    let known = status.get("conditions").and_then(Value::as_array).cloned().unwrap_or_default();
    let condition = |kind: &str, reason: &str, message: &str| {
        let before = known.iter().find(|one| one["type"] == kind).map(|one| one["lastTransitionTime"].clone());
        json!({
            "type": kind, "status": "True", "reason": reason, "message": message,
            "lastTransitionTime": before.unwrap_or_else(|| now.into()),
        })
    };
    let conditions = json!([
        condition("NamesAccepted", "NoConflicts", "no conflicts found"),
        condition("Established", "InitialNamesAccepted", "the initial names have been accepted"),
    ]);
    status.insert("conditions".to_owned(), conditions);
    status.insert("acceptedNames".to_owned(), names);
    let list = status.entry("storedVersions").or_insert_with(|| json!([]));
    if let (Some(list), Some(stored)) = (list.as_array_mut(), stored)
        && !list.contains(&stored)
    {
        list.push(stored);
    }
}
