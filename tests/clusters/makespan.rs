//! How long clusters take in simulated time, against what no schedule can beat and against what the plan said.

use std::fmt::Write as _;

use meshplan::sandbox::{Durations, Options, Quotas, Speed};

use crate::rig::{InSandbox, declarations, topology};

fn realistic() -> Options {
    Options { speed: Speed::Unlimited, ..Options::default() }
}

#[test]
fn two_clusters_are_applied_unchanged_and_destroyed_in_the_time_that_was_said() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = InSandbox::start(folder.path(), realistic());
    let all = declarations(&topology("two-network.toml"));
    let estimate = process.plan(&all).estimate.seconds;
    let outcome = process.apply(&all);
    println!(
        "{} resources in {:.1} s; critical path {:.1} s; the plan said {estimate:.1} s",
        outcome.counts.created, outcome.seconds, outcome.critical_seconds
    );
    assert!(outcome.seconds <= outcome.critical_seconds * 1.01, "{outcome:#?}");
    assert!((estimate / outcome.seconds - 1.0).abs() <= 0.1, "the plan said {estimate} s: {outcome:#?}");
    let again = process.plan(&all);
    assert!(again.is_empty() && again.bookkeeping.is_empty(), "{again:#?}");
    let estimate = process.plan(&[]).estimate.seconds;
    let outcome = process.apply(&[]);
    println!(
        "destroyed {} in {:.1} s; critical path {:.1} s; the plan said {estimate:.1} s",
        outcome.counts.deleted, outcome.seconds, outcome.critical_seconds
    );
    assert!((estimate / outcome.seconds - 1.0).abs() <= 0.1, "the plan said {estimate} s: {outcome:#?}");
    assert_eq!(process.sandbox.status().total, 0, "{:#?}", process.sandbox.status());
}

/// A topology of `n` clusters, each in a network of its own, in one region.
fn clusters(n: usize) -> String {
    let mut text =
        "schema = 1\n[mesh]\nid = \"mesh1\"\nregion = \"us-west-2\"\n[api_access]\npublic = \"any\"\n".to_owned();
    for n in 0..n {
        writeln!(text, "[networks.n{n}]\ncidr = \"10.{n}.0.0/16\"\n[clusters.c{n}]\nnetwork = \"n{n}\"").unwrap();
    }
    text
}

#[test]
fn sixteen_clusters_take_hardly_longer_than_one() {
    let seconds = |n: usize| {
        let folder = tempfile::tempdir().unwrap();
        // Each takes as long as any other: what is left is what they cost each other.
        let options = Options { quotas: Quotas::unlimited(), durations: Durations::Median, ..realistic() };
        let outcome = InSandbox::start(folder.path(), options).apply(&declarations(&clusters(n)));
        println!("{n} clusters: {} resources in {:.1} s", outcome.counts.created, outcome.seconds);
        outcome.seconds
    };
    let (one, sixteen) = (seconds(1), seconds(16));
    assert!(sixteen <= one * 1.15, "{sixteen} s against {one} s");
}
