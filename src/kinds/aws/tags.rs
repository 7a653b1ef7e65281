//! Tags: how an object carries what is declared, and how an interrupted create is found again.
//!
//! The tags of a spec are what compile put there (ownership, name, the user's own). `meshplan:create` is added by
//! the create alone and never read back: it names the create and not the object's state.

use std::collections::BTreeMap;

use aws_sdk_ec2::types::{Filter, ResourceType, Tag, TagSpecification};

use crate::kinds::sdk::Answer;
use crate::model::{AttrPath, Value};
use crate::resource::{FieldError, Ownership, ProviderError, RemoteId};

use super::client::Ec2;

/// Keys and values.
pub type Tags = BTreeMap<String, String>;

/// The tag that holds the token of the create that made an object.
const CREATE: &str = "meshplan:create";

/// EC2 allows 50 tags an object ("Tag restrictions" of the EC2 user guide); one is [`CREATE`].
const MOST: usize = 49;

/// The tags a create sets.
pub(super) fn at_create(resource: ResourceType, tags: &Tags, owner: &Ownership) -> TagSpecification {
    let create = tag(CREATE, &owner.token);
    let tags = tags.iter().map(|(key, value)| tag(key, value)).chain([create]).collect();
    TagSpecification::builder().resource_type(resource).set_tags(Some(tags)).build()
}

/// The tags of an object, without those that nobody declares: ours of the create, and AWS's own.
pub(super) fn project(tags: &[Tag]) -> Tags {
    tags.iter()
        .filter_map(|tag| Some((tag.key()?, tag.value().unwrap_or_default())))
        .filter(|(key, _)| *key != CREATE && !key.starts_with("aws:"))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

/// The filter for what a create made. Servers exist that ignore it: check with [`made_by`] too.
pub(super) fn filter(owner: &Ownership) -> Filter {
    ids_filter("tag:meshplan:create", [owner.token.clone()])
}

/// Whether a create with this ownership made the object with these tags.
pub(super) fn made_by(owner: &Ownership, tags: &[Tag]) -> bool {
    tags.iter().any(|tag| tag.key() == Some(CREATE) && tag.value() == Some(&owner.token))
}

/// A filter over values, for example ids. EC2 takes up to 200 values a filter.
pub(super) fn ids_filter(name: &str, values: impl IntoIterator<Item = String>) -> Filter {
    Filter::builder().name(name).set_values(Some(values.into_iter().collect())).build()
}

/// The one id among what a create may have made: the smallest, should there be two, so that every look finds the
/// same one.
pub(super) fn first(ids: impl IntoIterator<Item = Option<String>>) -> Option<RemoteId> {
    ids.into_iter().flatten().min().map(RemoteId::new)
}

/// Brings tags one request closer to `to`. `false` if there is nothing to do.
///
/// What is in `to` is set first: an object without its ownership tags is an orphan, with one tag too many it is not.
pub(super) async fn update(client: &Ec2, id: &str, from: &Tags, to: &Tags) -> Result<bool, ProviderError> {
    let changed: Vec<Tag> =
        to.iter().filter(|(key, value)| from.get(*key) != Some(value)).map(|(key, value)| tag(key, value)).collect();
    if !changed.is_empty() {
        client.api().create_tags().resources(id).set_tags(Some(changed)).send().await.written("ec2:CreateTags")?;
        return Ok(true);
    }
    let removed: Vec<Tag> =
        from.keys().filter(|key| !to.contains_key(*key)).map(|key| Tag::builder().key(key).build()).collect();
    if !removed.is_empty() {
        client.api().delete_tags().resources(id).set_tags(Some(removed)).send().await.written("ec2:DeleteTags")?;
        return Ok(true);
    }
    Ok(false)
}

/// What is wrong with the `tags` of a spec ("Tag restrictions" of the EC2 user guide).
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

fn tag(key: &str, value: &str) -> Tag {
    Tag::builder().key(key).value(value).build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Address;

    fn owner() -> Ownership {
        Ownership { mesh: "m".to_owned(), address: Address::new("aws.vpc", &["n"]), token: "t0".to_owned() }
    }

    #[test]
    fn the_tag_of_the_create_is_set_once_found_by_and_never_read_back() {
        let tags = Tags::from([("Name".to_owned(), "n".to_owned())]);
        let specification = at_create(ResourceType::Vpc, &tags, &owner());
        let set = specification.tags();
        assert!(made_by(&owner(), set));
        assert!(!made_by(&Ownership { token: "t1".to_owned(), ..owner() }, set));
        let mut set = set.to_vec();
        set.push(tag("aws:cloudformation:stack-name", "x"));
        assert_eq!(project(&set), tags);
    }

    #[test]
    fn tags_that_ec2_would_refuse_are_found_before() {
        let spec: Value = serde_json::from_str(&format!(
            r#"{{"tags": {{"aws:x": "1", "long": "{}", "fine": "1"}}}}"#,
            "v".repeat(257)
        ))
        .unwrap();
        let found: Vec<String> =
            check(&spec).into_iter().map(|error| format!("{}: {}", error.path, error.message)).collect();
        assert_eq!(
            found,
            [
                "tags.aws:x: a tag's key may not start with `aws:`, which is reserved",
                "tags.long: a tag's value has at most 256 characters"
            ]
        );
    }
}
