//! What the store promises, against crashes between any two steps, damage, full disks and foreign files.

mod processes;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use super::*;
use crate::state::testing::{create, created, describe, promise, ready};

const LINEAGE: &str = "0123456789abcdef0123456789abcdef";

/// A directory that is removed at the end; in memory where that is possible, because these tests fsync thousands of times.
fn temporary() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

/// A directory for states, inside one that is removed at the end.
fn scratch() -> (tempfile::TempDir, PathBuf) {
    let temporary = temporary();
    let directory = temporary.path().join("state");
    (temporary, directory)
}

fn with_fuse(fuse: Fuse) -> Opening {
    let birth = Birth { lineage: Some(LINEAGE.to_owned()), sandbox: true, region: Some("us-west-2".to_owned()) };
    Opening { birth, fuse, ..Opening::new("meshplan apply", Timestamp::UNIX_EPOCH) }
}

fn open(directory: &Path) -> Result<Store, StoreError> {
    Store::open(directory, "demo", with_fuse(Fuse::never()))
}

fn message(error: &StoreError) -> String {
    std::iter::successors(Some(error as &dyn std::error::Error), |error| error.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn put(path: &Path, bytes: &[u8]) {
    File::create(path).unwrap().write_all(bytes).unwrap();
}

/// Every file below a directory and its bytes.
fn files(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push((path.clone(), fs::read(&path).unwrap()));
        }
    }
    found.sort();
    found
}

/// Three saves, with a resource each, and one more resource in the journal.
fn three_serials(directory: &Path) -> String {
    let mut store = open(directory).unwrap();
    for (name, id) in [("aws.vpc/a", "vpc-1"), ("aws.vpc/b", "vpc-2")] {
        store.append(&create(name, id)).unwrap();
        store.save().unwrap();
    }
    store.append(&create("aws.vpc/c", "vpc-3")).unwrap();
    assert_eq!(store.state().serial, 3);
    describe(store.state())
}

#[test]
fn what_was_appended_is_there_after_reopening_before_and_after_a_save() {
    let (_temporary, directory) = scratch();
    let mut store = open(&directory).unwrap();
    assert_eq!(store.state().region.as_deref(), Some("us-west-2"));
    store.append(&create("aws.vpc/a", "vpc-1")).unwrap();
    let before = describe(store.state());
    drop(store);
    let mut store = open(&directory).unwrap();
    assert_eq!((describe(store.state()), store.notes()), (before, &[][..]));
    assert!(store.journal_bytes() > 0);
    store.append(&[ready("aws.vpc/a")]).unwrap();
    let serial = store.state().serial;
    store.save().unwrap();
    assert_eq!((store.state().serial, store.journal_bytes()), (serial + 1, 0));
    let after = describe(store.state());
    drop(store);
    assert_eq!(describe(&Store::read(&directory, "demo").unwrap().unwrap().state), after);
    assert_eq!(describe(open(&directory).unwrap().state()), after);
}

#[test]
fn opening_or_reading_leaves_no_state_behind() {
    let (_temporary, directory) = scratch();
    assert!(Store::read(&directory, "demo").unwrap().is_none());
    assert_eq!(Store::list(&directory).unwrap(), Vec::<String>::new());
    assert!(!directory.exists());
    drop(open(&directory).unwrap());
    assert_eq!(files(&directory), [(directory.join("demo.lock"), Vec::new())]);
    assert!(Store::read(&directory, "demo").unwrap().is_none());
}

#[test]
fn states_are_listed_and_pending_plans_are_not() {
    let (_temporary, directory) = scratch();
    for mesh in ["prod", "demo"] {
        Store::open(&directory, mesh, with_fuse(Fuse::never())).unwrap().save().unwrap();
    }
    write_plan(&directory, "demo", b"{}").unwrap();
    assert_eq!(Store::list(&directory).unwrap(), ["demo", "prod"]);
    assert_eq!(read_plan(&directory, "demo").unwrap().unwrap(), b"{}");
    assert_eq!(mode(&directory.join("demo.plan.json")), 0o600);
    remove_plan(&directory, "demo").unwrap();
    remove_plan(&directory, "demo").unwrap();
    assert_eq!(read_plan(&directory, "demo").unwrap(), None);
    assert!(matches!(write_plan(&directory, "../demo", b""), Err(StoreError::MeshId { .. })));
}

#[test]
fn everything_is_for_its_owner_only() {
    let (_temporary, directory) = scratch();
    three_serials(&directory);
    for path in [directory.clone(), directory.join("demo.history")] {
        assert_eq!(mode(&path), 0o700, "{}", path.display());
    }
    for (path, _) in files(&directory) {
        assert_eq!(mode(&path), 0o600, "{}", path.display());
    }
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o750)).unwrap();
    let store = open(&directory).unwrap();
    assert_eq!((store.notes(), mode(&directory)), (&[Note::OpenDirectory { mode: 0o750 }][..], 0o750));
}

enum Call {
    Append(Vec<crate::state::Entry>),
    Save,
}

/// A run of every kind of call: births, groups of one and more, saves with and without a journal.
fn script() -> Vec<Call> {
    vec![
        Call::Append(create("aws.vpc/a", "vpc-1")),
        Call::Append(vec![ready("aws.vpc/a")]),
        Call::Save,
        Call::Save,
        Call::Append(vec![
            promise("aws.vpc/b"),
            created("aws.vpc/b", "vpc-2"),
            ready("aws.vpc/b"),
            promise("aws.vpc/c"),
        ]),
        Call::Save,
        Call::Append(vec![created("aws.vpc/c", "vpc-3")]),
    ]
}

/// The states that a crash during a call may leave, from the one before the call to the one after it.
fn may_be(before: &State, call: &Call) -> Vec<String> {
    let mut state = before.clone();
    let mut all = vec![describe(&state)];
    match call {
        Call::Append(entries) => {
            if state.serial == 0 {
                state.serial = 1;
                all.push(describe(&state));
            }
            for entry in entries {
                state.fold(entry.clone()).unwrap();
                all.push(describe(&state));
            }
        }
        Call::Save => {
            state.serial += 1;
            all.push(describe(&state));
        }
    }
    all
}

/// Runs the script until the power is out; the states that may be on the disk then. `None` when it stayed on.
fn run_until_power_is_out(directory: &Path, fuse: &Fuse) -> Option<Vec<String>> {
    let mut store = Store::open(directory, "demo", with_fuse(fuse.clone())).unwrap();
    for call in script() {
        let before = store.state().clone();
        let result = match &call {
            Call::Append(entries) => store.append(entries),
            Call::Save => store.save(),
        };
        let allowed = may_be(&before, &call);
        match result {
            Ok(()) => assert_eq!(&describe(store.state()), allowed.last().unwrap()),
            Err(StoreError::PowerLost) => {
                assert!(matches!(store.append(&[promise("aws.vpc/x")]), Err(StoreError::PowerLost)));
                assert!(matches!(store.save(), Err(StoreError::PowerLost)));
                return Some(allowed);
            }
            Err(other) => panic!("{}", message(&other)),
        }
    }
    None
}

#[test]
fn a_crash_between_any_two_steps_leaves_the_state_before_or_after() {
    let counting = Fuse::after(u64::MAX);
    let (_temporary, directory) = scratch();
    assert!(run_until_power_is_out(&directory, &counting).is_none());
    let touches = counting.touches();
    assert!(touches > 40, "{touches}");
    println!("{touches} places to cut the power");
    for at in 0..touches {
        // While what the crash left is put in order, the power goes out again.
        for again in 0..3 {
            let (_temporary, directory) = scratch();
            let Some(allowed) = run_until_power_is_out(&directory, &Fuse::after(at)) else {
                panic!("{at} of {touches}")
            };
            let read = Store::read(&directory, "demo").unwrap();
            match Store::open(&directory, "demo", with_fuse(Fuse::after(again))) {
                Ok(_) | Err(StoreError::PowerLost) => {}
                Err(other) => panic!("touch {at}: {}", message(&other)),
            }
            let mut store = open(&directory).unwrap();
            let found = describe(store.state());
            assert!(allowed.contains(&found), "touch {at}: {found}");
            assert_eq!(read.map_or_else(|| found.clone(), |read| describe(&read.state)), found, "touch {at}");
            store.append(&[promise("aws.vpc/x")]).unwrap();
            store.save().unwrap();
            let next = describe(store.state());
            drop(store);
            assert_eq!(describe(open(&directory).unwrap().state()), next, "touch {at}");
        }
    }
}

#[test]
fn an_entry_that_does_not_fit_is_refused_before_it_is_written() {
    let (_temporary, directory) = scratch();
    three_serials(&directory);
    let mut store = open(&directory).unwrap();
    let (state, before) = (describe(store.state()), files(&directory));
    let error = store.append(&[promise("aws.vpc/x"), ready("aws.vpc/y")]).unwrap_err();
    assert!(message(&error).contains("ready of aws.vpc/y"), "{}", message(&error));
    assert_eq!((describe(store.state()), files(&directory)), (state, before));
    store.append(&[promise("aws.vpc/x")]).unwrap();
}

#[test]
fn when_the_disk_is_full_nothing_more_is_written_and_memory_is_as_before() {
    let (_temporary, directory) = scratch();
    let mut store = open(&directory).unwrap();
    store.append(&create("aws.vpc/a", "vpc-1")).unwrap();
    let before = describe(store.state());
    store.log.as_mut().unwrap().file = File::options().append(true).open("/dev/full").unwrap();
    let error = store.append(&[ready("aws.vpc/a")]).unwrap_err();
    let text = message(&error);
    assert!(text.starts_with("could not append to `") && text.contains("free some space and run again"), "{text}");
    assert_eq!(describe(store.state()), before);
    for error in [store.append(&[ready("aws.vpc/a")]).unwrap_err(), store.save().unwrap_err()] {
        let text = message(&error);
        assert!(matches!(error, StoreError::Poisoned { .. }) && text.contains("No space left"), "{text}");
    }
    drop(store);
    assert_eq!(describe(open(&directory).unwrap().state()), before);
}

#[test]
fn a_save_that_fails_before_the_file_has_its_name_changes_nothing() {
    let (_temporary, directory) = scratch();
    let before = three_serials(&directory);
    let mut store = open(&directory).unwrap();
    let in_the_way = directory.join("demo.json.tmp");
    fs::create_dir(&in_the_way).unwrap();
    assert!(matches!(store.save(), Err(StoreError::Io { .. })));
    assert_eq!(describe(store.state()), before);
    fs::remove_dir(&in_the_way).unwrap();
    store.append(&[ready("aws.vpc/c")]).unwrap();
    store.save().unwrap();
    assert_eq!(store.state().serial, 4);
}

#[test]
fn a_damaged_state_file_is_refused_untouched_and_rebuilt_as_it_was() {
    let (_temporary, directory) = scratch();
    let present = three_serials(&directory);
    let path = directory.join("demo.json");
    let whole = fs::read(&path).unwrap();
    for (damage, says) in [
        (whole[..whole.len() / 2].to_vec(), "was cut short"),
        (Vec::new(), "after 0 bytes"),
        (String::from_utf8(whole.clone()).unwrap().replace("vpc-1", "vpc-9").into_bytes(), "its checksum says"),
    ] {
        put(&path, &damage);
        let before = files(&directory);
        for error in [Store::read(&directory, "demo").unwrap_err(), open(&directory).unwrap_err()] {
            let text = message(&error);
            assert!(text.starts_with(&format!("state file `{}` is damaged: ", path.display())), "{text}");
            assert!(text.contains(says), "{text}");
            assert!(text.ends_with("`meshplan state restore 3` brings it back"), "{text}");
        }
        assert_eq!(files(&directory), before);
        let store = restore(&directory, "demo", 3, with_fuse(Fuse::never())).unwrap();
        assert_eq!(describe(store.state()), present, "with what its journal adds");
        drop(store);
        assert_eq!(fs::read(&path).unwrap(), whole);
        assert_eq!(fs::read(directory.join("demo.history/replaced.json")).unwrap(), damage);
    }
    fs::remove_file(&path).unwrap();
    let text = message(&open(&directory).unwrap_err());
    assert!(text.contains("there is no `"), "{text}");
    assert_eq!(describe(restore(&directory, "demo", 3, with_fuse(Fuse::never())).unwrap().state()), present);
}

#[test]
fn without_a_whole_snapshot_the_message_says_so() {
    let (_temporary, directory) = scratch();
    open(&directory).unwrap().save().unwrap();
    put(&directory.join("demo.json"), b"{}");
    let text = message(&open(&directory).unwrap_err());
    assert!(text.contains("no snapshot in `") && text.contains("restore the file from a backup"), "{text}");
}

#[test]
fn an_older_state_comes_back_with_a_new_serial_and_can_be_left_again() {
    let (_temporary, directory) = scratch();
    let present = three_serials(&directory);
    let store = restore(&directory, "demo", 2, with_fuse(Fuse::never())).unwrap();
    assert_eq!(store.state().records.keys().map(ToString::to_string).collect::<Vec<_>>(), ["aws.vpc/a"]);
    // The journal that was there made serial 4, the restored state is 5; three creates were promised in all.
    assert_eq!((store.state().serial, store.state().generation), (5, 3));
    drop(store);
    let listed = history(&directory, "demo").unwrap();
    let counts: Vec<_> = listed.iter().map(|it| (it.serial, it.content.clone(), it.is_current)).collect();
    let expected = [(1, Ok(0), false), (2, Ok(1), false), (3, Ok(2), false), (4, Ok(3), false), (5, Ok(1), true)];
    assert_eq!(counts, expected);
    assert!(listed.iter().all(|it| it.saved.is_some()));
    let store = restore(&directory, "demo", 4, with_fuse(Fuse::never())).unwrap();
    assert_eq!(store.state().records.len(), 3);
    let mut again = store.state().clone();
    again.serial = 3;
    assert_eq!(describe(&again), present);
    drop(store);
    let error = restore(&directory, "demo", 99, with_fuse(Fuse::never())).unwrap_err();
    assert!(message(&error).starts_with("there is no snapshot of serial 99"), "{}", message(&error));
}

#[test]
fn an_older_state_in_place_of_a_damaged_one_gets_a_serial_beyond_all() {
    let (_temporary, directory) = scratch();
    three_serials(&directory);
    put(&directory.join("demo.json"), b"{}");
    let store = restore(&directory, "demo", 1, with_fuse(Fuse::never())).unwrap();
    assert_eq!((store.state().serial, store.state().records.len()), (5, 0));
    // Two creates of the newest snapshot, and two entries in the journal that may each have been one.
    assert_eq!(store.state().generation, 4);
    assert!(directory.join("demo.history/replaced.journal").exists());
    drop(store);
    assert_eq!(open(&directory).unwrap().state().serial, 5);
}

#[test]
fn a_restore_of_the_present_serial_goes_on_without_a_damaged_journal() {
    let (_temporary, directory) = scratch();
    three_serials(&directory);
    let mut store = open(&directory).unwrap();
    store.append(&[ready("aws.vpc/c")]).unwrap();
    drop(store);
    let journal = directory.join("demo.journal");
    let mut bytes = fs::read(&journal).unwrap();
    bytes[10] ^= 1;
    put(&journal, &bytes);
    assert!(matches!(open(&directory), Err(StoreError::JournalDamaged { line: 1, .. })));
    let store = restore(&directory, "demo", 3, with_fuse(Fuse::never())).unwrap();
    assert_eq!((store.state().serial, store.state().records.len()), (5, 2));
    assert_eq!(fs::read(directory.join("demo.history/replaced.journal")).unwrap(), bytes);
}

#[test]
fn the_history_keeps_the_newest() {
    let (_temporary, directory) = scratch();
    let mut store = open(&directory).unwrap();
    for n in 0..15 {
        store.append(&create(&format!("aws.vpc/{n}"), &format!("vpc-{n}"))).unwrap();
        store.save().unwrap();
    }
    assert_eq!(store.state().serial, 16);
    let serials: Vec<u64> = history(&directory, "demo").unwrap().iter().map(|it| it.serial).collect();
    assert_eq!(serials, (6..=16).collect::<Vec<_>>());
    assert_eq!(fs::read_dir(directory.join("demo.history")).unwrap().count(), 2 * KEPT);
    assert_eq!(snapshot(&directory, "demo", 8).unwrap().records.len(), 7);
}

#[test]
fn a_state_born_where_another_was_deleted_leaves_its_snapshots_alone() {
    let (_temporary, directory) = scratch();
    three_serials(&directory);
    for name in ["demo.json", "demo.journal"] {
        fs::remove_file(directory.join(name)).unwrap();
    }
    assert!(Store::read(&directory, "demo").unwrap().is_none());
    let birth = Birth { lineage: Some("another".to_owned()), ..Birth::default() };
    let opening = Opening { birth, ..Opening::new("meshplan apply", Timestamp::UNIX_EPOCH) };
    let mut store = Store::open(&directory, "demo", opening).unwrap();
    assert_eq!(store.state().serial, 0);
    store.append(&create("aws.vpc/z", "vpc-9")).unwrap();
    assert_eq!(store.state().serial, 4, "serial 3 is that of the last snapshot and its journal");
    store.save().unwrap();
    assert_eq!(snapshot(&directory, "demo", 3).unwrap().lineage, LINEAGE);
    assert_eq!(snapshot(&directory, "demo", 4).unwrap().lineage, "another");
}

#[test]
fn a_snapshot_is_not_the_file_in_use() {
    let (_temporary, directory) = scratch();
    three_serials(&directory);
    let path = directory.join("demo.json");
    // An editor that writes in place.
    File::options().write(true).open(&path).unwrap().write_all(b"oops").unwrap();
    assert_eq!(snapshot(&directory, "demo", 3).unwrap().records.len(), 2);
}

#[test]
fn files_that_do_not_belong_together_are_refused() {
    let (_temporary, directory) = scratch();
    three_serials(&directory);
    let journal = directory.join("demo.journal");
    let original = fs::read(&journal).unwrap();
    let mut header = Header::over(open(&directory).unwrap().state());
    let foreign = [
        (Header { lineage: "ff".to_owned(), ..header.clone() }, "the journal is of lineage ff, the state of 0123"),
        (Header { mesh: "prod".to_owned(), ..header.clone() }, "the journal is of mesh `prod`, the state of `demo`"),
        (Header { base: 9, ..header.clone() }, "goes on from serial 9, the state is an older one of serial 3"),
    ];
    for (header, says) in foreign {
        put(&journal, &lines::header(&header).unwrap());
        let text = message(&open(&directory).unwrap_err());
        assert!(text.contains(says) && text.contains("put the right one back"), "{text}");
    }
    header.format += 1;
    put(&journal, &lines::header(&header).unwrap());
    assert!(matches!(open(&directory), Err(StoreError::Newer { format: 2, .. })));
    put(&journal, &original);
    fs::copy(directory.join("demo.json"), directory.join("prod.json")).unwrap();
    let text = message(&Store::read(&directory, "prod").unwrap_err());
    assert!(text.contains("prod.json` is not the state that is asked for"), "{text}");
    assert!(text.contains("the state is of mesh `demo`, not of `prod`"), "{text}");
}

#[test]
fn a_damaged_journal_names_its_line_and_a_torn_one_is_cut() {
    let (_temporary, directory) = scratch();
    three_serials(&directory);
    let mut store = open(&directory).unwrap();
    let before = describe(store.state());
    store.append(&[ready("aws.vpc/c")]).unwrap();
    drop(store);
    let journal = directory.join("demo.journal");
    let whole = fs::read(&journal).unwrap();
    let mut damaged = whole.clone();
    let second = damaged.iter().position(|byte| *byte == b'\n').unwrap() + 20;
    damaged[second] ^= 4;
    put(&journal, &damaged);
    let text = message(&open(&directory).unwrap_err());
    assert!(
        text.starts_with(&format!("line 2 of journal `{}` is damaged: its checksum says", journal.display())),
        "{text}"
    );
    assert_eq!(fs::read(&journal).unwrap(), damaged);

    put(&journal, &[&whole[..whole.len() - 30], &[0; 100][..]].concat());
    assert_eq!(describe(&Store::read(&directory, "demo").unwrap().unwrap().state), before);
    let mut store = open(&directory).unwrap();
    assert!(matches!(store.notes(), [Note::Torn { .. }]));
    assert_eq!(describe(store.state()), before);
    store.append(&[ready("aws.vpc/c")]).unwrap();
    drop(store);
    assert_eq!(fs::read(&journal).unwrap(), whole, "the torn end is gone for good");
}

#[test]
fn a_newer_state_says_which_version_to_use() {
    let (_temporary, directory) = scratch();
    let path = directory.join("demo.json");
    fs::create_dir(&directory).unwrap();
    let mut newer = b"{\"format\":7,\"written_by\":\"3.2.1\",".to_vec();
    crate::state::frame::seal(&mut newer);
    put(&path, &newer);
    let text = message(&open(&directory).unwrap_err());
    assert!(text.contains("was written by meshplan 3.2.1 in format 7") && text.contains("use that version"), "{text}");
    assert_eq!(fs::read(&path).unwrap(), newer);
}

#[test]
fn lineages_are_unlike() {
    let (one, other) = (new_lineage().unwrap(), new_lineage().unwrap());
    assert_ne!(one, other);
    assert_eq!(one.len(), 32);
}
