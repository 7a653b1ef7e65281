//! The crash harness: power is cut at every touch of the outside world.
//!
//! Every port touches one fuse: a call before and after its effect, a sleep, a journal append before its bytes, after
//! them and after they are durable, and each stage of a save. What is on disk at a touch is what a crash there
//! leaves; each such state is given to a new process, which must converge with nothing orphaned and nothing made
//! twice. Touches between which nothing on disk changed leave the same state, which is recovered from once.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use meshplan::compile::Declaration;
use meshplan::model::Digest;
use meshplan::model::fuse::Fuse;
use meshplan::sandbox::{Options, Speed};

use crate::rig::InSandbox;

/// What a run from one topology to the next leaves at each of its touches.
struct Crashes {
    touches: u64,
    /// The distinct states on disk, each in a folder of its own, with the first touch that left it.
    states: Vec<(u64, PathBuf)>,
    /// What exists after the run, by type.
    expected: String,
}

fn options(fuse: Fuse) -> Options {
    Options { speed: Speed::Unlimited, fuse, ..Options::default() }
}

fn record(folder: &Path, before: &[Declaration], after: &[Declaration]) -> Crashes {
    let live = folder.join("live");
    std::fs::create_dir(&live).unwrap();
    if !before.is_empty() {
        InSandbox::start(&live, options(Fuse::never())).apply(before);
    }
    let states = Arc::new(Mutex::new(BTreeMap::<Digest, (u64, PathBuf)>::new()));
    let (from, into, seen) = (live.clone(), folder.to_owned(), Arc::clone(&states));
    let fuse = Fuse::watched(move |touch| {
        let copy = into.join(format!("crash-{touch}"));
        let digest = copy_folder(&from, &copy);
        let mut seen = seen.lock().unwrap();
        match seen.entry(digest) {
            Entry::Occupied(_) => std::fs::remove_dir_all(&copy).unwrap(),
            Entry::Vacant(place) => {
                place.insert((touch, copy));
            }
        }
    });
    let mut process = InSandbox::start(&live, options(fuse.clone()));
    process.apply(after);
    let expected = counts(&process);
    drop(process);
    let mut states: Vec<(u64, PathBuf)> = states.lock().unwrap().values().cloned().collect();
    states.sort();
    Crashes { touches: fuse.touches(), states, expected }
}

/// Copies a folder, and answers the digest of everything in it.
fn copy_folder(from: &Path, to: &Path) -> Digest {
    std::fs::create_dir(to).unwrap();
    let mut parts = Vec::new();
    let mut entries: Vec<PathBuf> = std::fs::read_dir(from).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        let copy = to.join(path.file_name().unwrap());
        parts.push(path.to_string_lossy().into_owned().into_bytes());
        if path.is_dir() {
            parts.push(copy_folder(&path, &copy).as_bytes().to_vec());
        } else {
            std::fs::copy(&path, &copy).unwrap();
            parts.push(std::fs::read(&copy).unwrap());
        }
    }
    let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
    Digest::of_parts(&parts)
}

/// What exists in AWS, by type. What is in clusters is not counted: pods, events and the history of releases are their
/// controllers' and helm's, and a plan without changes says that what is declared is there once.
fn counts(process: &InSandbox) -> String {
    let mut regions = process.sandbox.status().regions;
    for region in &mut regions {
        region.counts.retain(|count| !count.resource_type.starts_with("kubernetes-"));
    }
    serde_json::to_string(&regions).unwrap()
}

/// Starts a new process on what a crash left, and lets it converge. Answers after how many rounds it had.
fn recover(folder: &Path, declared: &[Declaration], expected: &str, touch: u64) -> u32 {
    let mut process = InSandbox::start(folder, options(Fuse::never()));
    let (mut rounds, mut looks) = (0, 0);
    loop {
        looks += 1;
        assert!(looks <= 6, "touch {touch}: what is to be written down never ends");
        let plan = process.plan(declared);
        if plan.is_empty() && plan.bookkeeping.is_empty() {
            break;
        }
        // What is done already may still have to be written down: that touches nothing in the cloud.
        rounds += u32::from(!plan.is_empty());
        assert!(rounds <= 3, "touch {touch}: not converged after 3 rounds: {plan:#?}");
        let sandbox = process.sandbox.clone();
        let outcome = crate::rig::run(sandbox.drive(process.process.apply(declared))).unwrap();
        assert!(outcome.is_complete(), "touch {touch}: {outcome:#?}");
    }
    assert_eq!(counts(&process), expected, "touch {touch}: orphans or duplicates");
    let intents = &process.process.store.state().intents;
    assert!(intents.is_empty(), "touch {touch}: a promise is left: {intents:#?}");
    assert_eq!(process.process.store.state().records.len(), declared.len(), "touch {touch}");
    rounds
}

/// Crashes a run from `before` to `after` at each of its touches, and recovers from each state that leaves.
pub(crate) fn every_touch(name: &str, before: &[Declaration], after: &[Declaration]) {
    let states = every_touch_seen(name, before, after, 1, &|_| ());
    assert!(states > 50, "the harness hardly touched anything");
}

/// The same for one of `stride` states, the last one always, and looks at what each crash leaves on disk, and at what is
/// there after its recovery. Answers how many states that were.
pub(crate) fn every_touch_seen(
    name: &str,
    before: &[Declaration],
    after: &[Declaration],
    stride: usize,
    look: &(dyn Fn(&Path) + Sync),
) -> usize {
    let folder = tempfile::tempdir().unwrap();
    let mut crashes = record(folder.path(), before, after);
    let all = crashes.states.len();
    let chosen = |at: usize| at.is_multiple_of(stride) || at + 1 == all;
    let mut at = 0..;
    crashes.states.retain(|_| at.next().is_some_and(chosen));
    let next = Mutex::new(crashes.states.iter());
    // Two at a time: each recovery is a process of its own, with a folder of its own.
    let worst = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..2)
            .map(|_| {
                scope.spawn(|| {
                    let mut worst = 0;
                    loop {
                        let Some((touch, state)) = next.lock().unwrap().next() else { return worst };
                        look(state);
                        worst = worst.max(recover(state, after, &crashes.expected, *touch));
                        look(state);
                        std::fs::remove_dir_all(state).unwrap();
                    }
                })
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).max().unwrap()
    });
    println!(
        "{name}: {} crash points leave {all} states on disk, {} tried; 0 orphans, 0 duplicates, at most {worst} rounds",
        crashes.touches,
        crashes.states.len()
    );
    crashes.states.len()
}
