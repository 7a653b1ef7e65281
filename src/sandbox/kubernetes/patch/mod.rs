//! Changing an object: the four forms of patch, and who manages which of its fields.
//!
//! Entry points: [`managed`] for server-side apply and ownership, [`strategic`], [`json`] for the other patches. `typed` and
//! `fields` are what they stand on. Nothing here knows where objects are kept.

pub(crate) mod fields;
pub(crate) mod json;
pub(crate) mod managed;
pub(crate) mod strategic;
pub(crate) mod typed;
