//! The wire protocols of AWS, as thin generic layers: a form becomes [`Params`], a document is read with [`Json`] or
//! written with [`Xml`], and a refusal is an [`ApiError`] that each protocol wraps in its own envelope.
//!
//! Entry points: [`Wire::read`] and [`Wire::write`]. Nothing here knows what an operation does.

pub(crate) mod envelope;
pub(crate) mod error;
pub(crate) mod form;
pub(crate) mod json;
pub(crate) mod rest;
pub(crate) mod wire;
pub(crate) mod xml;

pub(crate) use error::ApiError;
pub(crate) use form::{Node, Params};
pub(crate) use json::Json;
pub(crate) use wire::{Answer, Request, Wire};
pub(crate) use xml::Xml;
