//! The kinds of AWS Identity and Access Management: roles, and the OIDC providers of clusters.
//!
//! Entry points: [`policy`] for documents and what they mean, [`policies`] for the documents that meshplan ships.

pub mod policies;
pub mod policy;
