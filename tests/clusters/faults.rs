//! What goes wrong with clusters in life, on purpose.

use std::path::Path;
use std::time::Duration;

use aws_sdk_eks::config::Region;
use meshplan::compile::Declaration;
use meshplan::model::Clock as _;
use meshplan::model::event::Event;
use meshplan::sandbox::{Faults, Options, Speed};

use crate::rig::{InSandbox, declarations, run, topology};

fn start(folder: &Path, faults: &str) -> InSandbox {
    let file = folder.join("faults.toml");
    std::fs::write(&file, faults).unwrap();
    let faults = Faults::load(&file).unwrap();
    InSandbox::start(folder, Options { speed: Speed::Unlimited, faults, ..Options::default() })
}

fn two_networks() -> Vec<Declaration> {
    declarations(&topology("two-network.toml"))
}

/// The messages with which steps of an address were retried.
fn retries(process: &InSandbox, address: &str) -> Vec<String> {
    let events = process.process.events.iter();
    let retries = events.filter_map(|stamped| match &stamped.event {
        Event::StepRetrying { address: of, error, .. } if of.as_str() == address => Some(error.clone()),
        _ => None,
    });
    retries.collect()
}

fn count(process: &InSandbox, kind: &str) -> usize {
    let status = process.sandbox.status();
    status.regions.iter().flat_map(|region| &region.counts).filter(|count| count.kind == kind).map(|c| c.ours).sum()
}

#[test]
fn a_role_that_eks_cannot_see_yet_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    // The role comes last, so that nothing hides how long IAM takes to tell EKS.
    let slow = "[[rules]]\noperation = \"CreateRole\"\nfault = \"slow\"\nseconds = 120\ntimes = 99\n";
    let mut process = start(folder.path(), slow);
    process.apply(&two_networks());
    let retries = retries(&process, "eks.cluster/cluster-1");
    assert!(!retries.is_empty() && retries.iter().all(|why| why.contains("InvalidParameterException")), "{retries:?}");
    assert!(process.plan(&two_networks()).is_empty());
}

#[test]
fn throttled_and_answered_into_the_void_there_is_one_of_each() {
    let folder = tempfile::tempdir().unwrap();
    let mut rules = String::new();
    for operation in [
        "CreateRole",
        "CreateCluster",
        "CreateAddon",
        "CreateNodegroup",
        "CreateAccessEntry",
        "CreatePodIdentityAssociation",
    ] {
        for (fault, times) in [("throttle", 2), ("lost-answer", 1), ("server-error", 1)] {
            rules += &format!("[[rules]]\noperation = \"{operation}\"\nfault = \"{fault}\"\ntimes = {times}\n");
        }
    }
    let mut process = start(folder.path(), &rules);
    process.apply(&two_networks());
    assert_eq!(count(&process, "eks.cluster"), 2);
    assert_eq!(count(&process, "eks.nodegroup"), 2);
    assert!(process.plan(&two_networks()).is_empty());
    process.apply(&[]);
    assert_eq!(process.sandbox.status().total, 0, "{:#?}", process.sandbox.status());
}

#[test]
fn nodes_that_cannot_join_are_explained_and_join_once_the_cause_is_mended() {
    let folder = tempfile::tempdir().unwrap();
    let broken = "[[rules]]\noperation = \"CreateNodegroup\"\nfault = \"modify\"\n\
                  resource = \"tag:meshplan:address=aws.route_table/network1/private\"\n\
                  [rules.call]\nAction = \"DeleteRoute\"\nRouteTableId = \"{id}\"\nDestinationCidrBlock = \"0.0.0.0/0\"\n";
    let mut process = start(folder.path(), broken);
    let all = two_networks();
    let sandbox = process.sandbox.clone();
    let outcome = run(sandbox.drive(process.process.apply(&all))).unwrap();
    let [failure] = &outcome.failures[..] else { panic!("{outcome:#?}") };
    assert_eq!(failure.address.as_str(), "eks.nodegroup/cluster-1/nodes");
    assert!(failure.error.contains("route"), "{}", failure.error);
    let waited = process.process.events.iter().find_map(|stamped| match &stamped.event {
        Event::StepFailed { seconds, .. } => Some(*seconds),
        _ => None,
    });
    assert!(waited.unwrap() < 600.0, "told after {waited:?} s");
    // The next apply sees the missing route and puts it back.
    process.apply(&all);
    assert!(process.plan(&all).is_empty());
}

#[test]
fn a_cluster_that_was_deleted_by_someone_else_is_made_again_with_all_that_was_in_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = start(folder.path(), "");
    let all = two_networks();
    process.apply(&all);
    let config = aws_sdk_eks::config::Builder::from(&process.sandbox.sdk_config()).region(Region::new("us-west-2"));
    let eks = aws_sdk_eks::Client::from_conf(config.build());
    let sandbox = process.sandbox.clone();
    run(sandbox.drive(async {
        let groups = eks.list_nodegroups().cluster_name("cluster-1").send().await.unwrap();
        for group in groups.nodegroups() {
            eks.delete_nodegroup().cluster_name("cluster-1").nodegroup_name(group).send().await.unwrap();
        }
        sandbox.clock().sleep(Duration::from_mins(10)).await;
        eks.delete_cluster().name("cluster-1").send().await.unwrap();
        sandbox.clock().sleep(Duration::from_mins(10)).await;
    }));
    process.apply(&all);
    assert!(process.plan(&all).is_empty());
    process.apply(&[]);
    assert_eq!(process.sandbox.status().total, 0, "{:#?}", process.sandbox.status());
}

#[test]
fn an_update_waits_for_one_that_someone_else_began() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = start(folder.path(), "");
    process.apply(&two_networks());
    let config = aws_sdk_eks::config::Builder::from(&process.sandbox.sdk_config()).region(Region::new("us-west-2"));
    let eks = aws_sdk_eks::Client::from_conf(config.build());
    let changed = declarations(&topology("two-network.toml").replace("203.0.113.0/24", "198.51.100.0/24"));
    let sandbox = process.sandbox.clone();
    run(sandbox.drive(async {
        let logging =
            aws_sdk_eks::types::LogSetup::builder().types(aws_sdk_eks::types::LogType::Api).enabled(true).build();
        let logging = aws_sdk_eks::types::Logging::builder().cluster_logging(logging).build();
        eks.update_cluster_config().name("cluster-1").logging(logging).send().await.unwrap();
    }));
    process.apply(&changed);
    assert!(process.plan(&changed).is_empty());
}
