//! Virtual time through the SDK, and the fuse.

use std::time::Duration;

use futures_util::future::join_all;

use super::*;
use crate::model::fuse::Fuse;

/// Creates a VPC and six subnets at once, and polls until all are available; how long it took.
async fn run(sandbox: &Sandbox) -> Duration {
    let client = ec2(sandbox, "us-west-2");
    let clock = sandbox.clock();
    let start = clock.now();
    let id = vpc(&client, "10.1.0.0/16").await;
    clock.sleep(Duration::from_secs(3)).await;
    let make = async |third: u32| {
        let id = subnet(&client, &id, &format!("10.1.{third}.0/24")).await;
        loop {
            clock.sleep(Duration::from_millis(500)).await;
            let found = client.describe_subnets().subnet_ids(&id).send().await;
            let state = found.ok().and_then(|found| found.subnets()[0].state().cloned());
            if state == Some(aws_sdk_ec2::types::SubnetState::Available) {
                break;
            }
        }
    };
    join_all((0..6).map(make)).await;
    Duration::try_from(clock.now().duration_since(start)).unwrap()
}

#[tokio::test]
async fn a_run_takes_the_same_simulated_time_at_any_speed() {
    let mut took = Vec::new();
    for speed in [Speed::Unlimited, Speed::Times(600.0), Speed::Times(50.0)] {
        let sandbox =
            Sandbox::open(Path::new("unused"), Options { persist: false, speed, ..Options::default() }).unwrap();
        took.push(sandbox.drive(run(&sandbox)).await);
    }
    assert!(took[0] > Duration::from_secs(4) && took[0] < Duration::from_secs(12), "{took:?}");
    assert!(took.iter().all(|one| *one == took[0]), "{took:?}");
}

#[tokio::test]
async fn a_fuse_cuts_before_and_after_the_effect() {
    // One call touches the fuse twice: before its effect and after it. A VPC is born with five other objects.
    for (touches, total) in [(0, 0), (1, 6), (2, 6)] {
        let fuse = Fuse::after(touches);
        let options = Options { persist: false, fuse: fuse.clone(), ..Options::unhindered() };
        let sandbox = Sandbox::open(Path::new("unused"), options).unwrap();
        let client = ec2(&sandbox, "us-west-2");
        let answer = sandbox.drive_until_blown(client.create_vpc().cidr_block("10.1.0.0/16").send()).await;
        assert_eq!(answer.is_some_and(|answer| answer.is_ok()), touches == 2);
        assert_eq!(sandbox.status().total, total, "after {touches} touches");
        assert_eq!(fuse.touches(), (touches + 1).min(2));
    }
}

#[tokio::test]
async fn the_same_calls_make_the_same_world() {
    let mut seen = Vec::new();
    for _ in 0..2 {
        let sandbox = realistic();
        let client = ec2(&sandbox, "us-west-2");
        let took = sandbox.drive(run(&sandbox)).await;
        let subnets = client.describe_subnets().send().await.unwrap().subnets.unwrap();
        let ids: Vec<String> = subnets.into_iter().filter_map(|subnet| subnet.subnet_id).collect();
        seen.push((took, ids, sandbox.status()));
    }
    assert_eq!(seen[0], seen[1]);
}
