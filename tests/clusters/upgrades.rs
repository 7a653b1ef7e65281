//! Changes to clusters that live: in which order, and what is refused.

use std::collections::BTreeMap;

use meshplan::model::event::{Event, StepKind};
use meshplan::plan::{Action, Scope};
use meshplan::sandbox::{Options, Speed};

use crate::rig::{InSandbox, declarations, run, topology};

fn start(folder: &std::path::Path) -> InSandbox {
    InSandbox::start(folder, Options { speed: Speed::Unlimited, ..Options::default() })
}

fn version(version: &str) -> String {
    let text = topology("two-network.toml");
    let changed =
        text.replace("kubernetes = \"1.35\"", &format!("kubernetes = \"{version}\"\nextended_support = true"));
    assert!(changed.contains(&format!("kubernetes = \"{version}\"")));
    changed
}

/// When each step of the last run began and ended, in the order of the events.
fn spans(process: &InSandbox) -> BTreeMap<String, (usize, usize)> {
    let mut spans = BTreeMap::new();
    for (n, stamped) in process.process.events.iter().enumerate() {
        match &stamped.event {
            Event::StepStarted { address, kind: StepKind::Update | StepKind::Create, .. } => {
                spans.insert(address.to_string(), (n, usize::MAX));
            }
            Event::StepFinished { address, .. } => {
                if let Some(span) = spans.get_mut(address.as_str()) {
                    span.1 = n;
                }
            }
            _ => {}
        }
    }
    spans
}

#[test]
fn a_new_kubernetes_version_comes_to_the_control_plane_then_the_add_ons_then_the_nodes() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = start(folder.path());
    process.apply(&declarations(&version("1.34")));
    process.process.events.clear();
    let outcome = process.apply(&declarations(&version("1.35")));
    println!("{} updated in {:.1} s", outcome.counts.updated, outcome.seconds);
    let spans = spans(&process);
    for cluster in ["cluster-1", "cluster-2"] {
        let (_, control_plane) = spans[&format!("eks.cluster/{cluster}")];
        let (nodes_begin, _) = spans[&format!("eks.nodegroup/{cluster}/nodes")];
        for addon in ["vpc-cni", "kube-proxy", "eks-pod-identity-agent"] {
            let (begin, end) = spans[&format!("eks.addon/{cluster}/{addon}")];
            assert!(control_plane < begin && end < nodes_begin, "{cluster} {addon}: {spans:?}");
        }
    }
    assert!(process.plan(&declarations(&version("1.35"))).is_empty());
}

#[test]
fn two_versions_at_once_are_refused_with_the_way() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = start(folder.path());
    process.apply(&declarations(&version("1.33")));
    let sandbox = process.sandbox.clone();
    let wanted = declarations(&version("1.35"));
    let planned = run(sandbox.drive(process.process.planned(&wanted, &Scope::default())));
    assert!(planned.plan.is_none());
    let text = format!("{:?}", planned.diagnostics);
    assert!(text.contains("1.33 → 1.34 → 1.35"), "{text}");
}

#[test]
fn managed_nodes_and_auto_mode_do_not_change_places_under_what_runs() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = start(folder.path());
    process.apply(&declarations(&topology("two-network.toml")));
    let auto = "[clusters.cluster-1]\nnodes = { mode = \"auto\" }\n";
    let wanted = declarations(&topology("two-network.toml").replace("[clusters.cluster-1]\n", auto));
    let sandbox = process.sandbox.clone();
    let planned = run(sandbox.drive(process.process.planned(&wanted, &Scope::default())));
    assert!(planned.plan.is_none());
    let text = format!("{:?}", planned.diagnostics);
    assert!(text.contains("load balancers") && text.contains("cluster of another name"), "{text}");
}

#[test]
fn other_instance_types_make_a_new_node_group_before_the_old_one_goes() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = start(folder.path());
    process.apply(&declarations(&topology("two-network.toml")));
    process.process.events.clear();
    let text = topology("two-network.toml").replace("[\"m7i.large\", \"m6i.large\"]", "[\"m7i.xlarge\"]");
    let changed = declarations(&text);
    let plan = process.plan(&changed);
    let actions: Vec<(&str, Action)> =
        plan.changes.iter().map(|change| (change.address.as_str(), change.action)).collect();
    assert_eq!(actions, [("eks.nodegroup/cluster-2/nodes", Action::Replace)], "{plan:#?}");
    process.apply(&changed);
    let steps: Vec<StepKind> = process
        .process
        .events
        .iter()
        .filter_map(|stamped| match &stamped.event {
            Event::StepFinished { kind, .. } => Some(*kind),
            _ => None,
        })
        .collect();
    assert_eq!(steps, [StepKind::Create, StepKind::Delete]);
    assert!(process.plan(&changed).is_empty());
}

#[test]
fn a_new_peer_is_let_in_by_the_clusters_that_were_there() {
    let folder = tempfile::tempdir().unwrap();
    let mut process = start(folder.path());
    process.apply(&declarations(&topology("two-network.toml")));
    let text = topology("two-network.toml")
        + "\n[networks.network3]\ncidr = \"10.3.0.0/16\"\n[clusters.cluster-3]\nnetwork = \"network3\"\n";
    let changed = declarations(&text);
    let plan = process.plan(&changed);
    for cluster in ["eks.cluster/cluster-1", "eks.cluster/cluster-2"] {
        let change = plan.change(&cluster.parse().unwrap()).unwrap();
        assert_eq!(change.action, Action::Update);
        let paths: Vec<String> = change.fields.iter().map(|field| field.path.to_string()).collect();
        assert_eq!(paths, ["public_access_cidrs"]);
    }
    process.apply(&changed);
    assert!(process.plan(&changed).is_empty());
}
