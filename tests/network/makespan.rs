//! How long a run takes in simulated time, against what no schedule can beat.

use meshplan::sandbox::{Options, Speed};

use crate::rig::{InSandbox, declarations, topology};

fn realistic() -> Options {
    Options { speed: Speed::Unlimited, ..Options::default() }
}

#[test]
fn two_networks_are_applied_unchanged_and_destroyed() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = InSandbox::start(folder.path(), realistic());
    let all = declarations(&topology("two-network.toml"));
    let outcome = process.apply(&all);
    println!(
        "{} resources in {:.1} s, critical path {:.1} s",
        outcome.counts.created, outcome.seconds, outcome.critical_seconds
    );
    assert!(outcome.seconds <= outcome.critical_seconds * 1.01, "{outcome:#?}");
    let again = process.plan(&all);
    assert!(again.is_empty() && again.bookkeeping.is_empty(), "{again:#?}");
    let outcome = process.apply(&[]);
    println!(
        "destroyed {} in {:.1} s, critical path {:.1} s",
        outcome.counts.deleted, outcome.seconds, outcome.critical_seconds
    );
    assert_eq!(process.sandbox.status().total, 0);
}
