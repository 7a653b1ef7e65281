//! How long a run takes in simulated time, against what no schedule can beat.

use std::fmt::Write as _;

use meshplan::apply::Outcome;
use meshplan::sandbox::{Options, Quotas, Speed};

use crate::networks;
use crate::rig::{InSandbox, declarations, topology};

fn realistic() -> Options {
    Options { speed: Speed::Unlimited, ..Options::default() }
}

#[test]
fn two_networks_are_applied_unchanged_and_destroyed() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = InSandbox::start(folder.path(), realistic());
    let all = networks(&topology("two-network.toml"));
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

/// A topology of `n` networks in one region.
fn many(n: usize) -> String {
    let mut text = "schema = 1\n[mesh]\nid = \"mesh1\"\nregion = \"us-west-2\"\n".to_owned();
    for network in 0..n {
        let (high, low) = (10 + network / 250, network % 250);
        writeln!(text, "[networks.n{network}]\ncidr = \"{high}.{low}.0.0/16\"\ndual_stack = true").unwrap();
    }
    text
}

fn seconds_of(n: usize) -> Outcome {
    run_of(n, realistic())
}

fn run_of(n: usize, options: Options) -> Outcome {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { quotas: Quotas::unlimited(), ..options };
    let outcome = InSandbox::start(folder.path(), options).apply(&declarations(&many(n)));
    println!(
        "{n} networks: {} resources in {:.1} s; critical path {:.1} s, request limits {:.1} s",
        outcome.counts.created, outcome.seconds, outcome.critical_seconds, outcome.limit_seconds
    );
    outcome
}

#[test]
fn sixteen_networks_take_as_long_as_the_slowest_of_them() {
    // Not as long as any one network alone: the sandbox draws a NAT gateway's time per id, and the slowest decides.
    let sixteen = seconds_of(16);
    assert!(sixteen.seconds <= sixteen.critical_seconds * 1.05, "{sixteen:?}");
}

#[test]
fn sixteen_networks_take_hardly_longer_than_one() {
    let even = || Options { even: true, ..realistic() };
    let (one, sixteen) = (run_of(1, even()), run_of(16, even()));
    assert!(sixteen.seconds <= one.seconds * 1.05, "{} s for 16, {} s for one", sixteen.seconds, one.seconds);
}

#[test]
fn where_request_limits_bind_a_run_is_as_fast_as_they_allow() {
    let many = seconds_of(90);
    assert!(many.limit_seconds > many.critical_seconds, "the limits do not bind: {many:?}");
    assert!(many.seconds <= many.limit_seconds * 1.1, "{} s of {}", many.seconds, many.limit_seconds);
}
