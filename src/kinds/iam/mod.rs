//! The kinds of AWS Identity and Access Management: roles, and the OIDC providers of clusters.
//!
//! Entry points: [`policy`] for documents and what they mean, [`policies`] for the documents that meshplan ships.

pub mod client;
pub mod oidc_provider;
pub mod policies;
pub mod policy;
pub mod role;
pub mod tags;
mod taken;

pub use client::Iam;
