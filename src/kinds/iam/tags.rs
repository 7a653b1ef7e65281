//! The tags of IAM's objects, in IAM's types. What they mean is in `kinds::sdk::tags`.

use aws_sdk_iam::types::Tag;

use crate::kinds::sdk::tags;
use crate::resource::{Ownership, ProviderError};

pub use crate::kinds::sdk::tags::Tags;
pub(super) use crate::kinds::sdk::tags::{Step, check, step};

/// The tags a create sets.
pub(super) fn at_create(tags: &Tags, owner: &Ownership) -> Result<Vec<Tag>, ProviderError> {
    tags::at_create(tags, owner).map(|(key, value)| tag(key, value)).collect()
}

/// Tags as a request takes them.
pub(super) fn request(tags: &[(String, String)]) -> Result<Vec<Tag>, ProviderError> {
    tags.iter().map(|(key, value)| tag(key, value)).collect()
}

/// The tags of an object, without those that nobody declares: ours of the create, and AWS's own.
pub(super) fn project(tags: &[Tag]) -> Tags {
    tags::project(pairs(tags))
}

/// Whether a create with this ownership made the object with these tags.
pub(super) fn made_by(owner: &Ownership, tags: &[Tag]) -> bool {
    tags::made_by(owner, pairs(tags))
}

/// Keys and values.
pub(in crate::kinds) fn pairs(tags: &[Tag]) -> impl Iterator<Item = (&str, &str)> {
    tags.iter().map(|tag| (tag.key(), tag.value()))
}

fn tag(key: &str, value: &str) -> Result<Tag, ProviderError> {
    Tag::builder().key(key).value(value).build().map_err(|error| ProviderError::bug("iam:Tag", error.to_string()))
}
