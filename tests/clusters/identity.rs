//! Pods that get their permissions by the cluster's OIDC provider (IRSA), and the way there and back.

use std::time::Duration;

use meshplan::model::Clock as _;
use meshplan::model::event::Event;
use meshplan::plan::Action;
use meshplan::sandbox::{Faults, Options, Speed};

use crate::rig::{InSandbox, declarations, run, topology};

/// Both clusters, of either family, with an OIDC provider.
fn irsa() -> String {
    let text = topology("two-network.toml");
    let changed = text.replace("ip_family = \"ipv", "workload_identity = \"irsa\"\nip_family = \"ipv");
    assert_eq!(changed.matches("irsa").count(), 2);
    changed
}

fn start(folder: &std::path::Path) -> InSandbox {
    InSandbox::start(folder, Options { speed: Speed::Unlimited, ..Options::default() })
}

#[test]
fn nodes_of_either_family_join_with_a_role_by_the_oidc_provider() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = start(folder.path());
    let all = declarations(&irsa());
    let outcome = process.apply(&all);
    assert!(outcome.seconds <= outcome.critical_seconds * 1.01, "{outcome:#?}");
    assert!(process.plan(&all).is_empty());
    process.apply(&[]);
    assert_eq!(process.sandbox.status().total, 0, "{:#?}", process.sandbox.status());
}

#[test]
fn a_cluster_changes_over_to_the_oidc_provider_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = start(folder.path());
    let (by_association, by_provider) = (declarations(&topology("two-network.toml")), declarations(&irsa()));
    process.apply(&by_association);
    for to in [&by_provider, &by_association] {
        let plan = process.plan(to);
        let actions = |address: &str| plan.change(&address.parse().unwrap()).map(|change| change.action);
        for cluster in ["cluster-1", "cluster-2"] {
            assert_eq!(actions(&format!("eks.addon/{cluster}/vpc-cni")), Some(Action::Update));
            assert_eq!(actions(&format!("iam.role/{cluster}/vpc-cni")), Some(Action::Update));
            assert_eq!(actions(&format!("eks.nodegroup/{cluster}/nodes")).unwrap_or(Action::NoOp), Action::NoOp);
        }
        process.apply(to);
        assert!(process.plan(to).is_empty());
    }
    // Nodes that come now need the role that the plug-in has now.
    let larger = declarations(&irsa().replace("[\"m7i.large\", \"m6i.large\"]", "[\"m7i.xlarge\"]"));
    process.apply(&larger);
    process.apply(&[]);
    assert_eq!(process.sandbox.status().total, 0, "{:#?}", process.sandbox.status());
}

#[test]
fn a_provider_that_somebody_deleted_is_named_when_nodes_do_not_join() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("faults.toml");
    let gone = "[[rules]]\noperation = \"CreateNodegroup\"\nfault = \"delete\"\n\
                resource = \"tag:meshplan:address=iam.oidc_provider/cluster-2\"\n";
    std::fs::write(&file, gone).unwrap();
    let faults = Faults::load(&file).unwrap();
    let mut process =
        InSandbox::start(folder.path(), Options { speed: Speed::Unlimited, faults, ..Options::default() });
    let all = declarations(&irsa());
    let sandbox = process.sandbox.clone();
    let outcome = run(sandbox.drive(process.process.apply(&all))).unwrap();
    let [failure] = &outcome.failures[..] else { panic!("{outcome:#?}") };
    assert_eq!(failure.address.as_str(), "eks.nodegroup/cluster-2/nodes");
    assert!(failure.error.contains("oidc-provider/"), "{}", failure.error);
    let waited = process.process.events.iter().find_map(|stamped| match &stamped.event {
        Event::StepFailed { seconds, .. } => Some(*seconds),
        _ => None,
    });
    assert!(waited.unwrap() < 600.0, "told after {waited:?} s");
    run(sandbox.drive(async { sandbox.clock().sleep(Duration::from_mins(1)).await }));
    process.apply(&all);
    assert!(process.plan(&all).is_empty());
}
