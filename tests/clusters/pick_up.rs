//! A run that is killed while clusters are being made: the next one goes on waiting where it was.

use std::time::Duration;

use meshplan::model::Clock as _;
use meshplan::model::fuse::Fuse;
use meshplan::sandbox::{Options, Speed};
use meshplan::state::RecordStatus;

use crate::rig::{InSandbox, declarations, run, topology};

fn options(fuse: Fuse) -> Options {
    Options { speed: Speed::Unlimited, fuse, ..Options::default() }
}

#[test]
fn the_wait_for_both_clusters_is_taken_up_where_it_was() {
    let all = declarations(&topology("two-network.toml"));
    let calm = tempfile::tempdir().unwrap();
    let uninterrupted = InSandbox::start(calm.path(), options(Fuse::never())).apply(&all).seconds;

    let folder = tempfile::tempdir().unwrap();
    let mut process = InSandbox::start(folder.path(), options(Fuse::never()));
    let started = process.sandbox.clock().now();
    // Five minutes in, both clusters are CREATING. Dropping the run is what a crash is.
    let sandbox = process.sandbox.clone();
    run(sandbox.drive(async {
        let clock = sandbox.clock().clone();
        let cut = clock.sleep(Duration::from_mins(5));
        futures_util::future::select(Box::pin(process.process.apply(&all)), Box::pin(cut)).await;
    }));
    drop(process);
    let mut process = InSandbox::start(folder.path(), options(Fuse::never()));
    let creating = |address: &str| {
        let record = &process.process.store.state().records[&address.parse().unwrap()];
        record.status == RecordStatus::Creating
    };
    assert!(creating("eks.cluster/cluster-1") && creating("eks.cluster/cluster-2"));

    let downtime = Duration::from_secs(90);
    let sandbox = process.sandbox.clone();
    run(sandbox.drive(async { sandbox.clock().sleep(downtime).await }));
    process.apply(&all);
    let took = process.sandbox.clock().now().duration_since(started).as_secs_f64();
    println!("uninterrupted {uninterrupted:.1} s; killed and {} s down {took:.1} s", downtime.as_secs());
    assert!(took <= (uninterrupted + downtime.as_secs_f64()) * 1.01, "{took} s instead of {uninterrupted} s");
}
