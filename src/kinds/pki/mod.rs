//! Certificate authorities: the mesh's root, an intermediate of each cluster, and what others made of both.
//!
//! Entry points: the kinds [`root::Root`] and [`intermediate::Intermediate`], which make keys and certificates
//! themselves, and [`existing_root::ExistingRoot`] and [`existing_intermediate::ExistingIntermediate`], which read and
//! check files. What certificates look like is `issue`; what is demanded of given ones (R27) is `check`.
//!
//! # Keys
//! A key that is made here is sealed before it leaves its kind: no document, record or plan ever holds it. A given one
//! stays in its file, and is read again whenever it is needed. An intermediate gets its issuer's key opened, for the
//! one request that signs it.
//!
//! # Time
//! A certificate is dated by the run's clock. That one is to be renewed follows from what it yields and from the instant
//! that a plan is made for ([`KindRules::validity`](crate::resource::KindRules::validity)): the planner asks no clock,
//! and two plans for one instant are the same. Renewal is a replacement, the new certificate before the old is dropped, so
//! that whatever refers to it is updated in the same plan. An intermediate that lives as long as its root is not
//! renewed, because the next would live no longer: the root has to be changed first.

mod check;
mod client;
mod dates;
pub mod existing_intermediate;
pub mod existing_root;
mod given;
pub mod intermediate;
mod issue;
mod private_key;
pub mod root;

#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use crate::model::{AttrPath, Value};
use crate::resource::FieldError;

pub use client::Pki;
pub use private_key::PrivateKey;

/// The kind of a private key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum KeyKind {
    /// ECDSA on P-256.
    #[serde(rename = "ecdsa-p256")]
    EcdsaP256,
    /// RSA with 2048 bits.
    #[serde(rename = "rsa-2048")]
    Rsa2048,
    /// RSA with 4096 bits.
    #[serde(rename = "rsa-4096")]
    Rsa4096,
}

/// A life of some length.
fn check_ttl(spec: &Value) -> Vec<FieldError> {
    let none = matches!(spec.get("ttl_seconds"), Some(Value::Number(number)) if number.as_u64() == Some(0));
    let finding =
        || FieldError { path: AttrPath::keys(&["ttl_seconds"]), message: "it would never be valid".to_owned() };
    none.then(finding).into_iter().collect()
}
