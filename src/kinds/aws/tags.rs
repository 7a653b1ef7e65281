//! The tags of EC2's objects, in EC2's types. What they mean is in `kinds::sdk::tags`.

use aws_sdk_ec2::types::{Filter, ResourceType, Tag, TagSpecification};

use crate::kinds::sdk::Answer;
use crate::kinds::sdk::tags::{self, Step};
use crate::resource::{Ownership, ProviderError, RemoteId};

use super::client::Ec2;

pub use crate::kinds::sdk::tags::Tags;
pub(super) use crate::kinds::sdk::tags::check;

/// The tags a create sets.
pub(super) fn at_create(resource: ResourceType, tags: &Tags, owner: &Ownership) -> TagSpecification {
    let tags = tags::at_create(tags, owner).map(|(key, value)| tag(key, value)).collect();
    TagSpecification::builder().resource_type(resource).set_tags(Some(tags)).build()
}

/// The tags of an object, without those that nobody declares: ours of the create, and AWS's own.
pub(super) fn project(tags: &[Tag]) -> Tags {
    tags::project(pairs(tags))
}

/// The filter for what a create made. Servers exist that ignore it: check with [`made_by`] too.
pub(super) fn filter(owner: &Ownership) -> Filter {
    ids_filter(&format!("tag:{}", tags::CREATE), [owner.token.clone()])
}

/// Whether a create with this ownership made the object with these tags.
pub(super) fn made_by(owner: &Ownership, tags: &[Tag]) -> bool {
    tags::made_by(owner, pairs(tags))
}

/// A filter over values, for example ids. EC2 takes up to 200 values a filter.
pub(in crate::kinds) fn ids_filter(name: &str, values: impl IntoIterator<Item = String>) -> Filter {
    Filter::builder().name(name).set_values(Some(values.into_iter().collect())).build()
}

/// The one id among what a create may have made: the smallest, should there be two, so that every look finds the
/// same one.
pub(super) fn first(ids: impl IntoIterator<Item = Option<String>>) -> Option<RemoteId> {
    ids.into_iter().flatten().min().map(RemoteId::new)
}

/// Brings tags one request closer to `to`. `false` if there is nothing to do.
pub(super) async fn update(client: &Ec2, id: &str, from: &Tags, to: &Tags) -> Result<bool, ProviderError> {
    match tags::step(from, to) {
        Some(Step::Set(changed)) => {
            let changed = changed.iter().map(|(key, value)| tag(key, value)).collect();
            client.api().create_tags().resources(id).set_tags(Some(changed)).send().await.written("ec2:CreateTags")?;
        }
        Some(Step::Remove(keys)) => {
            let removed = keys.into_iter().map(|key| Tag::builder().key(key).build()).collect();
            client.api().delete_tags().resources(id).set_tags(Some(removed)).send().await.written("ec2:DeleteTags")?;
        }
        None => return Ok(false),
    }
    Ok(true)
}

/// Keys and values.
pub(in crate::kinds) fn pairs(tags: &[Tag]) -> impl Iterator<Item = (&str, &str)> {
    tags.iter().filter_map(|tag| Some((tag.key()?, tag.value().unwrap_or_default())))
}

fn tag(key: &str, value: &str) -> Tag {
    Tag::builder().key(key).value(value).build()
}
