//! Tags of EKS objects: set when they are made, changed by the object's ARN, and what an interrupted create is found by.

use std::collections::BTreeMap;

use crate::kinds::sdk::Answer;
use crate::model::{AttrPath, Value};
use crate::resource::{FieldError, Ownership, ProviderError};

use super::client::Eks;
use super::error::Reclass;

/// Keys and values.
pub type Tags = BTreeMap<String, String>;

/// The tag that holds the token of the create that made an object.
pub(super) const CREATE: &str = "meshplan:create";

/// EKS allows 50 tags a resource ("Tagging your Amazon EKS resources"); up to three are meshplan's own.
const MOST: usize = 47;

/// The tags a create sets.
pub(super) fn at_create<'a>(tags: &'a Tags, owner: &'a Ownership) -> impl Iterator<Item = (String, String)> + 'a {
    let create = (CREATE.to_owned(), owner.token.clone());
    tags.iter().map(|(key, value)| (key.clone(), value.clone())).chain([create])
}

/// The tags of an object as the SDK holds them, sorted.
pub(super) fn sorted<'a>(tags: Option<impl IntoIterator<Item = (&'a String, &'a String)>>) -> Tags {
    tags.into_iter().flatten().map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// Without those that nobody declares: ours of the create, and AWS's own.
pub(super) fn project(mut tags: Tags) -> Tags {
    tags.retain(|key, _| key != CREATE && !key.starts_with("aws:"));
    tags
}

/// Whether a create with this ownership made the object with these tags.
pub(super) fn made_by(owner: &Ownership, tags: &Tags) -> bool {
    tags.get(CREATE) == Some(&owner.token)
}

/// Brings tags one request closer to `to`. `false` if there is nothing to do.
///
/// What is in `to` is set first: an object without its ownership tags is an orphan, with one tag too many it is not.
pub(super) async fn update(client: &Eks, arn: &str, from: &Tags, to: &Tags) -> Result<bool, ProviderError> {
    let changed = changed(from, to);
    if !changed.is_empty() {
        set(client, arn, changed).await?;
        return Ok(true);
    }
    let removed: Vec<String> = from.keys().filter(|key| !to.contains_key(*key)).cloned().collect();
    if removed.is_empty() {
        return Ok(false);
    }
    let answer = client.api().untag_resource().resource_arn(arn).set_tag_keys(Some(removed)).send().await;
    answer.written("eks:UntagResource").reclass()?;
    Ok(true)
}

/// Sets tags and leaves the others.
pub(super) async fn set(client: &Eks, arn: &str, tags: Tags) -> Result<(), ProviderError> {
    let answer = client.api().tag_resource().resource_arn(arn).set_tags(Some(tags.into_iter().collect())).send().await;
    answer.written("eks:TagResource").reclass()?;
    Ok(())
}

/// The tags of `to` that are not so in `from`.
pub(super) fn changed(from: &Tags, to: &Tags) -> Tags {
    let differs = |(key, value): &(&String, &String)| from.get(*key) != Some(*value);
    to.iter().filter(differs).map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// What is wrong with the `tags` of a spec ("Tagging your Amazon EKS resources": tag restrictions).
pub(super) fn check(spec: &Value) -> Vec<FieldError> {
    let Some(tags) = spec.get("tags").and_then(Value::as_object) else { return Vec::new() };
    let path = AttrPath::keys(&["tags"]);
    let mut errors = Vec::new();
    if tags.len() > MOST {
        errors.push(FieldError {
            path: path.clone(),
            message: format!("{} tags are more than the {MOST} that fit beside meshplan's own", tags.len()),
        });
    }
    for (key, value) in tags {
        let length = |text: &str| text.encode_utf16().count();
        let message = if key.starts_with("aws:") {
            "a tag's key may not start with `aws:`, which is reserved".to_owned()
        } else if key.is_empty() || length(key) > 128 {
            format!("a tag's key has 1 to 128 characters, and this one has {}", length(key))
        } else if value.as_str().is_some_and(|value| length(value) > 256) {
            "a tag's value has at most 256 characters".to_owned()
        } else {
            continue;
        };
        errors.push(FieldError { path: path.key(key), message });
    }
    errors
}
