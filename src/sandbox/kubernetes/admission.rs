//! What webhooks say of an object that is about to be written.
//!
//! Entry point: [`admit`]. Whom webhooks reach, and what those do, is the controllers' part.

use serde_json::Value;

use super::controllers::admission::{self, Operation};
use super::objects::Objects;
use super::request::Place;
use super::status::Refusal;

/// Lets an object pass, as webhooks change it.
///
/// # Errors
/// When one denies it, or one that must be asked cannot be.
pub(crate) fn admit(
    objects: &Objects<'_>,
    place: &Place,
    operation: Operation,
    object: Value,
) -> Result<Value, Refusal> {
    let name = object["metadata"]["name"].as_str().unwrap_or_default().to_owned();
    admission::admit(objects, &place.key(&name), operation, object)
        .map_err(|refusal| Refusal::of_webhook(refusal.code, refusal.reason, refusal.message))
}
