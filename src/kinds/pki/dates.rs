//! How long certificates are good that are not renewed by themselves.

use jiff::Timestamp;
use serde::Deserialize;

use crate::model::Document;
use crate::resource::Validity;

/// What a plan needs of a certificate's outputs to know how long they are good.
#[derive(Deserialize)]
pub(super) struct Dates {
    not_after: Timestamp,
}

impl Dates {
    pub(super) fn of(outputs: &Document) -> Option<Validity> {
        let Self { not_after } = outputs.decode().ok()?;
        Some(Validity { until: not_after, renew_after: None })
    }
}
