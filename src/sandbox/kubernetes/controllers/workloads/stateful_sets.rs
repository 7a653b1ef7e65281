//! StatefulSets: pods with numbers, one after the other. They get no volumes.

use serde_json::{Value, json};

use super::super::control::Control;
use super::super::parts::{holds, name, set, text};
use super::{create_pod, delete_pod, failed, key_of, pods_of, ready, template_hash, wanted};

const HASH: &str = "controller-revision-hash";

pub(super) fn run(control: &mut Control<'_, '_>) {
    for stateful in super::all(control, "statefulsets") {
        step(control, &stateful);
        describe(control, stateful);
    }
}

/// The revision that a pod's label names.
fn hash(stateful: &Value) -> String {
    format!("{}-{}", name(stateful), template_hash(stateful))
}

fn step(control: &mut Control<'_, '_>, stateful: &Value) {
    let hash = hash(stateful);
    let pods = pods_of(control, stateful);
    let parallel = text(stateful, "/spec/podManagementPolicy") == "Parallel";
    for ordinal in 0..wanted(stateful) {
        let pod_name = format!("{}-{ordinal}", name(stateful));
        let Some(pod) = pods.iter().find(|pod| name(pod) == pod_name) else {
            let made = create_pod(control, stateful, &pod_name, |pod| {
                let labels = [(HASH, hash.as_str()), ("statefulset.kubernetes.io/pod-name", pod_name.as_str())];
                for (label, value) in labels {
                    set(pod, &["metadata", "labels", label], value.into());
                }
                set(pod, &["spec", "hostname"], pod_name.as_str().into());
                set(pod, &["spec", "subdomain"], stateful["spec"]["serviceName"].clone());
            });
            if let Err(why) = made {
                failed(control, stateful, &why);
                return;
            }
            if parallel {
                continue;
            }
            return;
        };
        if !holds(pod, "Ready") && !parallel {
            return;
        }
    }
    // All are there: the last one that is too many goes, or else the last one that is out of date.
    let number = |pod: &Value| name(pod).rsplit('-').next().and_then(|text| text.parse::<usize>().ok());
    let surplus = pods.iter().filter(|pod| number(pod).is_none_or(|number| number >= wanted(stateful)));
    let outdated = pods.iter().filter(|pod| pod["metadata"]["labels"][HASH] != hash.as_str());
    if let Some(pod) = surplus.max_by_key(|pod| number(pod)).or_else(|| outdated.max_by_key(|pod| number(pod))) {
        delete_pod(control, stateful, pod);
    }
}

fn describe(control: &mut Control<'_, '_>, mut stateful: Value) {
    let hash = hash(&stateful);
    let pods = pods_of(control, &stateful);
    let updated = pods.iter().filter(|pod| pod["metadata"]["labels"][HASH] == hash.as_str()).count();
    let ready = ready(&pods);
    let status = json!({
        "availableReplicas": ready,
        "collisionCount": 0,
        "currentReplicas": updated,
        "currentRevision": hash,
        "observedGeneration": stateful["metadata"]["generation"],
        "readyReplicas": ready,
        "replicas": pods.len(),
        "updateRevision": hash,
        "updatedReplicas": updated,
    });
    set(&mut stateful, &["status"], status);
    control.put(&key_of("statefulsets", &stateful), stateful);
}
