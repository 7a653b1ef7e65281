//! ReplicaSets: as many pods of a template as are wanted.

use serde_json::{Value, json};

use super::super::control::Control;
use super::super::parts::{condition, list, set, set_condition};
use super::{by_worth, create_pod, delete_pod, failed, key_of, pod_name, pods_of, ready, wanted};

pub(super) fn run(control: &mut Control<'_, '_>) {
    for replicas in super::all(control, "replicasets") {
        let pods = pods_of(control, &replicas);
        let lacking = wanted(&replicas).saturating_sub(pods.len());
        let surplus = pods.len().saturating_sub(wanted(&replicas));
        let mut refused = None;
        for _ in 0..lacking {
            let name = pod_name(control, &replicas);
            if let Err(why) = create_pod(control, &replicas, &name, |_| ()) {
                failed(control, &replicas, &why);
                refused = Some(why);
                break;
            }
        }
        if surplus > 0 {
            for pod in by_worth(pods).iter().take(surplus) {
                delete_pod(control, &replicas, pod);
            }
        }
        describe(control, replicas, refused.as_deref());
    }
}

fn describe(control: &mut Control<'_, '_>, mut replicas: Value, refused: Option<&str>) {
    let pods = pods_of(control, &replicas);
    let ready = ready(&pods);
    let mut status = json!({
        "replicas": pods.len(),
        "observedGeneration": replicas["metadata"]["generation"],
    });
    if !pods.is_empty() {
        set(&mut status, &["fullyLabeledReplicas"], json!(pods.len()));
    }
    if ready > 0 {
        set(&mut status, &["readyReplicas"], json!(ready));
        set(&mut status, &["availableReplicas"], json!(ready));
    }
    let kept: Vec<Value> =
        list(&replicas, "/status/conditions").iter().filter(|one| one["type"] != "ReplicaFailure").cloned().collect();
    let old = condition(&replicas, "ReplicaFailure").cloned();
    set(&mut replicas, &["status"], status);
    if let Some(why) = refused {
        let all: Vec<Value> = kept.into_iter().chain(old).collect();
        set(&mut replicas, &["status", "conditions"], all.into());
        let now = control.now;
        set_condition(&mut replicas, "ReplicaFailure", true, ("FailedCreate", why), now);
    } else if !kept.is_empty() {
        set(&mut replicas, &["status", "conditions"], kept.into());
    }
    control.put(&key_of("replicasets", &replicas), replicas);
}
