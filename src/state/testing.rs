//! Entries and states for this module's tests.

use jiff::Timestamp;

use crate::model::{Address, Digest, Document, Target};
use crate::resource::RemoteId;

use super::encode::encode;
use super::journal::Entry;
use super::record::{IntendedRecord, Intent, Operation, State};

pub(super) fn address(text: &str) -> Address {
    text.parse().unwrap()
}

pub(super) fn intended(name: &str) -> IntendedRecord {
    let spec = Document::of(&serde_json::json!({"cidr": "10.0.0.0/16", "tags": {"Name": name}})).unwrap();
    IntendedRecord {
        schema_version: 1,
        target: Target::aws("us-west-2"),
        declared: spec.digest(),
        spec,
        depends_on: vec![address("aws.vpc/other")],
        protected: false,
        deposes: false,
    }
}

pub(super) fn promise(name: &str) -> Entry {
    let intent = Intent::create(format!("token-{name}"), Timestamp::UNIX_EPOCH, intended(name));
    Entry::Intent { address: address(name), intent }
}

pub(super) fn created(name: &str, id: &str) -> Entry {
    Entry::Created { address: address(name), id: RemoteId::new(id) }
}

/// A promise and its answer.
pub(super) fn create(name: &str, id: &str) -> Vec<Entry> {
    vec![promise(name), created(name, id)]
}

pub(super) fn ready(name: &str) -> Entry {
    let record = intended(name);
    Entry::Ready {
        address: address(name),
        declared: Digest::of(name),
        spec: record.spec,
        depends_on: record.depends_on,
        protected: true,
        schema_version: 1,
        outputs: Document::of(&serde_json::json!({"vpc_id": name})).unwrap(),
        took: Some((Operation::Create, 1.5)),
    }
}

/// The whole state as text, for comparing.
pub(super) fn describe(state: &State) -> String {
    String::from_utf8(encode(state, Vec::new()).unwrap()).unwrap()
}
