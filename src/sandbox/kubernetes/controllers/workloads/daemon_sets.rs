//! DaemonSets: a pod on every node that they tolerate.

use serde_json::{Value, json};

use super::super::control::Control;
use super::super::parts::{holds, list, name, set, text};
use super::super::pods::{fits, tolerates};
use super::{create_pod, delete_pod, failed, key_of, pod_name, pods_of, ready, template_hash};

const HASH: &str = "controller-revision-hash";

pub(super) fn run(control: &mut Control<'_, '_>) {
    for set in super::all(control, "daemonsets") {
        let hash = template_hash(&set);
        let nodes: Vec<String> = control
            .list("", "nodes", None)
            .iter()
            .filter(|node| belongs(&set, node))
            .map(|node| name(node).to_owned())
            .collect();
        let pods = pods_of(control, &set);
        let on = |node: &str| pods.iter().any(|pod| text(pod, "/spec/nodeName") == node);
        for node in nodes.iter().filter(|node| !on(node)) {
            let pod = pod_name(control, &set);
            let made = create_pod(control, &set, &pod, |pod| {
                crate::sandbox::kubernetes::controllers::parts::set(pod, &["spec", "nodeName"], node.as_str().into());
                crate::sandbox::kubernetes::controllers::parts::set(
                    pod,
                    &["metadata", "labels", HASH],
                    hash.as_str().into(),
                );
            });
            if let Err(why) = made {
                failed(control, &set, &why);
                break;
            }
        }
        for pod in pods.iter().filter(|pod| !nodes.iter().any(|node| text(pod, "/spec/nodeName") == node)) {
            delete_pod(control, &set, pod);
        }
        // One after the other, and the next one when all are ready again.
        let outdated = pods.iter().find(|pod| pod["metadata"]["labels"][HASH] != hash.as_str());
        if let Some(pod) = outdated.filter(|pod| ready(&pods) == nodes.len() || !holds(pod, "Ready")) {
            delete_pod(control, &set, pod);
        }
        describe(control, set, &hash, nodes.len());
    }
}

fn belongs(set: &Value, node: &Value) -> bool {
    let pod = &set["spec"]["template"];
    let taints = list(node, "/spec/taints");
    // Daemons stay on nodes that are drained.
    let own = ["node.kubernetes.io/unschedulable", "node.kubernetes.io/not-ready"];
    holds(node, "Ready")
        && fits(pod, node)
        && taints.iter().all(|taint| own.contains(&text(taint, "/key")) || tolerates(pod, taint))
}

fn describe(control: &mut Control<'_, '_>, mut daemons: Value, hash: &str, wanted: usize) {
    let pods = pods_of(control, &daemons);
    let ready = ready(&pods);
    let updated = pods.iter().filter(|pod| pod["metadata"]["labels"][HASH] == hash).count();
    let mut status = json!({
        "currentNumberScheduled": pods.len(),
        "desiredNumberScheduled": wanted,
        "numberMisscheduled": 0,
        "numberReady": ready,
        "observedGeneration": daemons["metadata"]["generation"],
        "updatedNumberScheduled": updated,
    });
    if ready > 0 {
        set(&mut status, &["numberAvailable"], json!(ready));
    }
    if wanted > ready {
        set(&mut status, &["numberUnavailable"], json!(wanted - ready));
    }
    set(&mut daemons, &["status"], status);
    control.put(&key_of("daemonsets", &daemons), daemons);
}
