use super::*;
use crate::state::testing::{create, describe, ready};

fn opening() -> Opening {
    Opening::new("meshplan apply", Timestamp::UNIX_EPOCH)
}

#[test]
fn what_was_appended_is_there_after_reopening_before_and_after_a_save() {
    let temporary = tempfile::tempdir().unwrap();
    let directory = &temporary.path().join("state");
    let mut store = Store::open(directory, "demo", opening()).unwrap();
    store.append(&create("aws.vpc/a", "vpc-1")).unwrap();
    let before = describe(store.state());
    assert_eq!(store.state().records.len(), 1);
    drop(store);
    let mut store = Store::open(directory, "demo", opening()).unwrap();
    assert_eq!(describe(store.state()), before);
    assert_eq!(store.notes(), []);
    store.append(&[ready("aws.vpc/a")]).unwrap();
    let serial = store.state().serial;
    store.save().unwrap();
    assert_eq!(store.state().serial, serial + 1);
    let after = describe(store.state());
    drop(store);
    assert_eq!(describe(&Store::read(directory, "demo").unwrap().unwrap().state), after);
    assert_eq!(Store::list(directory).unwrap(), ["demo"]);
}
