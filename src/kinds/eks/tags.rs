//! Tags of EKS objects: set when they are made, changed by the object's ARN.

use crate::kinds::sdk::Answer;
use crate::kinds::sdk::tags::{self as shared, Step};
use crate::resource::{ErrorClass, Ownership, ProviderError, Updated};

use super::client::Eks;
use super::error::Reclass;

pub use crate::kinds::sdk::tags::Tags;
pub(super) use crate::kinds::sdk::tags::check;

/// The tags a create sets, as the SDK takes them.
pub(super) fn at_create<'a>(tags: &'a Tags, owner: &'a Ownership) -> impl Iterator<Item = (String, String)> + 'a {
    shared::at_create(tags, owner).map(|(key, value)| (key.to_owned(), value.to_owned()))
}

/// The tags of an object as the SDK holds them, sorted.
pub(super) fn sorted<'a>(tags: Option<impl IntoIterator<Item = (&'a String, &'a String)>>) -> Tags {
    tags.into_iter().flatten().map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// Without those that nobody declares: ours of the create, and AWS's own.
pub(super) fn project(tags: &Tags) -> Tags {
    shared::project(tags.iter().map(|(key, value)| (key.as_str(), value.as_str())))
}

/// Whether a create with this ownership made the object with these tags.
pub(super) fn made_by(owner: &Ownership, tags: &Tags) -> bool {
    shared::made_by(owner, tags.iter().map(|(key, value)| (key.as_str(), value.as_str())))
}

/// The token of the create that made the object with these tags.
pub(super) fn token(tags: &Tags) -> Option<&str> {
    tags.get(shared::CREATE).map(String::as_str)
}

/// Brings the tags of an object one request closer to `to`. `arn` is what a look at it with `operation` told; one that is
/// not there is looked for again.
pub(super) async fn update(
    client: &Eks,
    arn: Option<&str>,
    operation: &'static str,
    from: &Tags,
    to: &Tags,
) -> Result<Updated, ProviderError> {
    let Some(arn) = arn else {
        return Err(ProviderError::new(ErrorClass::NotYet, operation, "what is to be tagged is not there"));
    };
    match shared::step(from, to) {
        Some(Step::Set(changed)) => set(client, arn, changed).await?,
        Some(Step::Remove(keys)) => {
            let answer = client.api().untag_resource().resource_arn(arn).set_tag_keys(Some(keys)).send().await;
            answer.written("eks:UntagResource").reclass()?;
        }
        None => {}
    }
    Ok(Updated::Done)
}

/// Sets tags and leaves the others.
pub(super) async fn set(
    client: &Eks,
    arn: &str,
    tags: impl IntoIterator<Item = (String, String)>,
) -> Result<(), ProviderError> {
    let answer = client.api().tag_resource().resource_arn(arn).set_tags(Some(tags.into_iter().collect())).send().await;
    answer.written("eks:TagResource").reclass()?;
    Ok(())
}

/// The tags of `to` that are not so in `from`.
pub(super) fn changed(from: &Tags, to: &Tags) -> Tags {
    let differs = |(key, value): &(&String, &String)| from.get(*key) != Some(*value);
    to.iter().filter(differs).map(|(key, value)| (key.clone(), value.clone())).collect()
}
