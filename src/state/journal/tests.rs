//! The fold: any prefix of a history is valid, and an entry folded twice is folded once.

use proptest::prelude::*;

use super::*;
use crate::state::lines::{self, Header};
use crate::state::testing::{address, create, created, describe, intended, promise, ready};

fn state() -> State {
    State::new("demo", "aa".to_owned(), true)
}

fn folded(entries: impl IntoIterator<Item = Entry>) -> State {
    let mut state = state();
    entries.into_iter().for_each(|entry| state.fold(entry).unwrap());
    state
}

fn deleted(name: &str, id: &str) -> Entry {
    Entry::Deleted { address: address(name), id: RemoteId::new(id) }
}

/// The promise of a successor that is made first.
fn succeed(name: &str) -> Entry {
    let record = IntendedRecord { deposes: true, ..intended(name) };
    Entry::Intent { address: address(name), intent: Intent::create("t2".to_owned(), Timestamp::UNIX_EPOCH, record) }
}

fn deposed(state: &State, name: &str) -> Vec<String> {
    state.records[&address(name)].deposed.iter().map(|deposed| deposed.id.to_string()).collect()
}

/// Makes an entry out of two numbers, as a run could write it after what the state already holds.
fn entry(name: u8, what: u8) -> Entry {
    let other = format!("aws.vpc/{}", (name + 1) % 4);
    let (name, id) = (format!("aws.vpc/{}", name % 4), RemoteId::new(format!("vpc-{}", what / 11)));
    let address = address(&name);
    match what % 11 {
        0 => promise(&name),
        1 => succeed(&name),
        2 => Entry::Created { address, id },
        3 => ready(&name),
        4 => Entry::Intent { address, intent: Intent::on_record(Operation::Delete, Timestamp::UNIX_EPOCH) },
        5 => Entry::Deleted { address, id },
        6 => Entry::Void { address },
        7 => Entry::Tainted { address, reason: "it failed".to_owned() },
        8 => Entry::Adopted { address, id, record: intended(&name), outputs: Document::empty() },
        9 => Entry::Moved { from: address, to: other.parse().unwrap() },
        _ => Entry::Forgotten { address },
    }
}

proptest! {
    /// Every prefix of a journal is one; folding an entry again changes nothing; what is read back is what was written.
    #[test]
    fn every_prefix_folds_to_a_valid_state_and_twice_is_once(numbers in proptest::collection::vec((0..4_u8, 0..33_u8), 1..60)) {
        let (mut once, mut twice) = (state(), state());
        let mut bytes = lines::header(&Header::over(&once)).unwrap();
        let mut n = 1;
        for (name, what) in numbers {
            let entry = entry(name, what);
            // A run does not write what does not fit.
            if once.clone().fold(entry.clone()).is_err() {
                continue;
            }
            once.fold(entry.clone()).unwrap();
            twice.fold(entry.clone()).unwrap();
            twice.fold(entry.clone()).unwrap();
            prop_assert_eq!(describe(&once), describe(&twice));
            bytes.extend(lines::lines(&[entry], n).unwrap());
            n += 1;
            let text = describe(&once);
            let decoded = crate::state::encode::decode(text.as_bytes()).unwrap();
            prop_assert_eq!(describe(&decoded.state), text);
        }
        let read = lines::decode(&bytes).unwrap();
        prop_assert_eq!(read.entries.len() as u64, n - 1);
        prop_assert_eq!(describe(&folded(read.entries.into_iter().map(|(_, entry)| entry))), describe(&once));
    }
}

#[test]
fn an_entry_that_does_not_fit_says_what_is_missing() {
    let error = state().fold(ready("aws.vpc/a")).unwrap_err().to_string();
    assert_eq!(error, "the journal says ready of aws.vpc/a, and the state has no record of it");
    assert!(state().fold(created("aws.vpc/a", "vpc-1")).is_err());
}

#[test]
fn a_predecessor_stays_on_record_until_it_is_deleted() {
    let name = "aws.vpc/a";
    let mut state = folded(create(name, "vpc-1").into_iter().chain([succeed(name), created(name, "vpc-2")]));
    assert_eq!(deposed(&state, name), ["vpc-1"]);
    state.fold(succeed(name)).unwrap();
    let adopted = Entry::Adopted {
        address: address(name),
        id: RemoteId::new("vpc-3"),
        record: IntendedRecord { deposes: true, ..intended(name) },
        outputs: Document::empty(),
    };
    state.fold(adopted.clone()).unwrap();
    state.fold(adopted).unwrap();
    assert_eq!(deposed(&state, name), ["vpc-1", "vpc-2"]);
    state.fold(deleted(name, "vpc-1")).unwrap();
    assert_eq!(deposed(&state, name), ["vpc-2"]);
    state.fold(deleted(name, "vpc-3")).unwrap();
    assert_eq!(state.records[&address(name)].id.as_str(), "vpc-2");
    assert!(matches!(state.records[&address(name)].status, RecordStatus::Tainted(_)));
    state.fold(deleted(name, "vpc-2")).unwrap();
    assert!(state.records.is_empty());
}

#[test]
fn a_create_after_a_loss_keeps_what_is_still_to_be_deleted() {
    let name = "aws.vpc/a";
    let first = create(name, "vpc-1").into_iter().chain([succeed(name), created(name, "vpc-2")]);
    let state = folded(first.chain(create(name, "vpc-3")));
    assert_eq!(deposed(&state, name), ["vpc-1"]);
}

#[test]
fn a_move_is_followed_by_everything_that_names_the_address() {
    let cluster = |name: &str| Target::Cluster { cluster: address(name) };
    let inside = |name: &str| {
        let record = IntendedRecord {
            target: cluster("eks.cluster/a"),
            depends_on: vec![address("aws.vpc/z"), address("eks.cluster/a")],
            ..intended(name)
        };
        Entry::Intent { address: address(name), intent: Intent::create("t".to_owned(), Timestamp::UNIX_EPOCH, record) }
    };
    let entries = create("eks.cluster/a", "a").into_iter().chain([
        inside("helm.release/a/istiod"),
        created("helm.release/a/istiod", "istiod"),
        inside("helm.release/a/gateway"),
        Entry::Moved { from: address("eks.cluster/a"), to: address("aws.aa/b") },
    ]);
    let state = folded(entries);
    let record = &state.records[&address("helm.release/a/istiod")];
    let promised = state.intents[&address("helm.release/a/gateway")].record.as_ref().unwrap();
    let renamed = [address("aws.aa/b"), address("aws.vpc/z")];
    assert_eq!((record.depends_on.as_slice(), &record.target), (&renamed[..], &cluster("aws.aa/b")));
    assert_eq!((promised.depends_on.as_slice(), &promised.target), (&renamed[..], &cluster("aws.aa/b")));
    assert!(state.records.contains_key("aws.aa/b") && !state.records.contains_key("eks.cluster/a"));
}
