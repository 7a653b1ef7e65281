//! Tags: the ones given when something is made, and `TagResource`, `UntagResource`, `ListTagsForResource`.

use serde_json::json;

use super::refusal::{invalid, not_found};
use super::{Answer, Call, Operation, reads, view, writes};
use crate::sandbox::protocol::{ApiError, Json};
use crate::sandbox::world::rows::Tags;

pub(super) const OPERATIONS: &[Operation] =
    &[reads("ListTagsForResource", list), writes("TagResource", tag), writes("UntagResource", untag)];

/// How many tags an object can have.
const MAX_TAGS: usize = 50;

/// The tags in a call.
pub(super) fn given(input: Json<'_>) -> Result<Tags, ApiError> {
    let tags = input.map("tags");
    if let Some(key) = tags.keys().find(|key| key.to_ascii_lowercase().starts_with("aws:")) {
        return Err(invalid(format!("The tag key {key} begins with aws:, which is reserved")));
    }
    check(&tags)?;
    Ok(tags)
}

fn check(tags: &Tags) -> Result<(), ApiError> {
    if tags.len() > MAX_TAGS {
        return Err(invalid(format!("The number of tags ({}) exceeds the maximum of {MAX_TAGS}", tags.len())));
    }
    let long = |(key, value): (&String, &String)| key.chars().count() > 128 || value.chars().count() > 256;
    if tags.iter().any(long) {
        return Err(invalid("A tag key has at most 128 characters, a value at most 256"));
    }
    Ok(())
}

/// Which object an ARN names: the id of its row in whichever table.
fn resource(call: &Call<'_>) -> Result<String, ApiError> {
    let arn = call.input.required("resourceArn")?;
    let prefix = view::arn(call.region, call.mint, "");
    let path = arn.strip_prefix(&prefix).ok_or_else(|| bad(arn))?;
    let parts: Vec<&str> = path.split('/').collect();
    let region = &call.region;
    let found = match parts.as_slice() {
        ["cluster", name] => region.clusters.get(name).map(|row| row.head.id.clone()),
        ["nodegroup", cluster, name, _] => {
            region.nodegroups.get(&format!("{cluster}/{name}")).map(|row| row.head.id.clone())
        }
        ["addon", cluster, name, _] => region.addons.get(&format!("{cluster}/{name}")).map(|row| row.head.id.clone()),
        ["podidentityassociation", cluster, id] => {
            region.pod_identities.get(&format!("{cluster}/{id}")).map(|row| row.head.id.clone())
        }
        ["access-entry", cluster, .., unique] => {
            region.access_entries.linked(cluster).find(|row| row.unique == *unique).map(|row| row.head.id.clone())
        }
        _ => return Err(bad(arn)),
    };
    // Node groups and add-ons may share a name; the kind keeps them apart.
    let kind = parts.first().copied().unwrap_or_default();
    found.map(|id| format!("{kind}:{id}")).ok_or_else(|| not_found(format!("The resource {arn} was not found")))
}

fn bad(arn: &str) -> ApiError {
    ApiError::new("BadRequestException", format!("Invalid ARN: {arn}"))
}

/// The tags of an object, changed or only looked at.
fn edit<R>(call: &mut Call<'_>, change: impl FnOnce(&mut Tags) -> R) -> Result<R, ApiError> {
    let key = resource(call)?;
    let (kind, id) = key.split_once(':').unwrap_or_default();
    let region = &mut *call.region;
    let result = match kind {
        "cluster" => region.clusters.edit(id, |row| change(&mut row.head.tags)),
        "nodegroup" => region.nodegroups.edit(id, |row| change(&mut row.head.tags)),
        "addon" => region.addons.edit(id, |row| change(&mut row.head.tags)),
        "podidentityassociation" => region.pod_identities.edit(id, |row| change(&mut row.head.tags)),
        _ => region.access_entries.edit(id, |row| change(&mut row.head.tags)),
    };
    result.ok_or_else(|| not_found("The resource was not found"))
}

fn list(call: &mut Call<'_>) -> Answer {
    let tags = edit(call, |tags| tags.clone())?;
    Ok(json!({ "tags": tags }))
}

fn tag(call: &mut Call<'_>) -> Answer {
    let tags = given(call.input)?;
    if tags.is_empty() {
        return Err(ApiError::new("BadRequestException", "No tags were given"));
    }
    let mut all = edit(call, |tags| tags.clone())?;
    all.extend(tags);
    check(&all)?;
    edit(call, |tags| *tags = all)?;
    Ok(json!({}))
}

fn untag(call: &mut Call<'_>) -> Answer {
    let keys = call.input.texts("tagKeys");
    edit(call, |tags| tags.retain(|key, _| !keys.contains(&key.as_str())))?;
    Ok(json!({}))
}
