//! What lives inside a cluster: objects of the Kubernetes API, applied by the server under the field manager `meshplan`.
//!
//! [`manifest`] is any object; [`namespace`], [`secret`] and [`service_account_token`] are those that need more than a
//! manifest says; [`load_balancer`] waits for what a cloud gives a Service. [`Kube`] is the client of them all.
//!
//! What is ours of an object is what its managed fields say we applied. A read shows those fields and nothing else, so
//! what others add is no drift, and what they take over shows as a field that is no longer there.

pub(in crate::kinds) mod call;
mod canonical;
mod client;
mod discovery;
mod error;
pub mod exec;
pub mod existing_cluster;
pub mod forward;
pub mod load_balancer;
pub(in crate::kinds) mod look;
pub mod manifest;
pub mod namespace;
pub(in crate::kinds) mod object;
pub(in crate::kinds) mod ownership;
mod quantity;
mod reads_as;
pub mod secret;
pub mod service_account_token;
mod targets;
pub(in crate::kinds) mod texts;
mod token;

pub use client::Kube;
