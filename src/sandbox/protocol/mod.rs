//! The wire protocols of AWS, as thin generic layers: a form becomes [`Params`], a document is written with
//! [`Xml`], and a refusal is an [`ApiError`] that each protocol wraps in its own envelope.
//!
//! Entry points: [`form::Params::parse`], [`envelope::ec2_success`], [`envelope::ec2_error`]. Nothing here knows an operation.

pub(crate) mod envelope;
pub(crate) mod error;
pub(crate) mod form;
pub(crate) mod xml;

pub(crate) use error::ApiError;
pub(crate) use form::{Node, Params};
pub(crate) use xml::Xml;
