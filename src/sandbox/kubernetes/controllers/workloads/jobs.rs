//! Jobs: pods that run to their end. In the sandbox every pod that starts succeeds.

use serde_json::{Value, json};

use super::super::control::Control;
use super::super::parts::{holds, list, number, set, set_condition, text};
use super::{create_pod, failed, key_of, pod_name, pods_of};
use crate::sandbox::kubernetes::objects::time;

/// Whether a pod is a Job's, and so ends by itself.
pub(in crate::sandbox::kubernetes::controllers) fn is_of_job(pod: &Value) -> bool {
    list(pod, "/metadata/ownerReferences").iter().any(|owner| owner["kind"] == "Job")
}

pub(super) fn run(control: &mut Control<'_, '_>) {
    for job in super::all(control, "jobs") {
        if job["spec"]["suspend"] == true || holds(&job, "Complete") {
            continue;
        }
        let count = |path: &str| usize::try_from(number(&job, path).unwrap_or(1)).unwrap_or_default();
        let (completions, side_by_side) = (count("/spec/completions"), count("/spec/parallelism"));
        let pods = pods_of(control, &job);
        let succeeded = pods.iter().filter(|pod| text(pod, "/status/phase") == "Succeeded").count();
        let active = pods.len() - succeeded;
        let lacking = side_by_side.min(completions.saturating_sub(succeeded)).saturating_sub(active);
        for _ in 0..lacking {
            let pod = pod_name(control, &job);
            let job_name = super::name(&job).to_owned();
            let made = create_pod(control, &job, &pod, |pod| {
                for label in ["batch.kubernetes.io/job-name", "job-name"] {
                    set(pod, &["metadata", "labels", label], job_name.as_str().into());
                }
            });
            if let Err(why) = made {
                failed(control, &job, &why);
                break;
            }
        }
        describe(control, job, completions);
    }
}

fn describe(control: &mut Control<'_, '_>, mut job: Value, completions: usize) {
    let pods = pods_of(control, &job);
    let succeeded = pods.iter().filter(|pod| text(pod, "/status/phase") == "Succeeded").count();
    let ready = super::ready(&pods);
    let now = control.now;
    let started = job["status"]["startTime"].as_str().map_or_else(|| time(now), str::to_owned);
    let mut status = json!({ "startTime": started, "ready": ready });
    for (field, count) in [("active", pods.len() - succeeded), ("succeeded", succeeded)] {
        if count > 0 {
            set(&mut status, &[field], json!(count));
        }
    }
    set(&mut status, &["conditions"], list(&job, "/status/conditions").into());
    let complete = succeeded >= completions;
    if complete {
        set(&mut status, &["completionTime"], time(now).into());
    }
    set(&mut job, &["status"], status);
    if complete {
        set_condition(&mut job, "SuccessCriteriaMet", true, ("CompletionsReached", ""), now);
        set_condition(&mut job, "Complete", true, ("CompletionsReached", ""), now);
    }
    control.put(&key_of("jobs", &job), job);
}
