//! What the kinds of given files share: their ids, and what a look at them comes to.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::resource::{ProviderError, RemoteId, Status};

use super::{check, issue};

/// The id is the spec, as JSON: a read gets nothing but the id.
pub(super) fn id_of(spec: &impl Serialize) -> Result<RemoteId, ProviderError> {
    let text = serde_json::to_string(spec).map_err(|error| ProviderError::bug("encode", error.to_string()))?;
    Ok(RemoteId::new(text))
}

pub(super) fn spec_of<'a, S: Deserialize<'a>>(kind: &'static str, id: &'a RemoteId) -> Result<S, ProviderError> {
    serde_json::from_str(id.as_str())
        .map_err(|error| ProviderError::bug(kind, format!("`{id}` is not the id of given files: {error}")))
}

/// A certificate's fingerprint and its end; empty for what is none, which is a finding already.
pub(super) fn dated(pem: &str) -> (String, Timestamp) {
    let of = || {
        let der = check::only_certificate(pem).ok()?;
        let (_, until) = issue::validity(&check::parse(&der)?).ok()?;
        Some((issue::fingerprint(&der), until))
    };
    of().unwrap_or_default()
}

pub(super) fn status(findings: &[String]) -> Status {
    if findings.is_empty() { Status::Ready } else { Status::Failed(findings.join("; ")) }
}
