//! Workloads: Deployments by way of ReplicaSets, DaemonSets, StatefulSets and Jobs become pods.
//!
//! Entry point: [`run`]. What becomes of the pods is `pods`' part. Pods are made as the API makes them: webhooks are asked,
//! and a refusal is an event and a condition, tried again whenever something changed.

mod daemon_sets;
mod deployments;
mod jobs;
mod replica_sets;
mod stateful_sets;

use serde_json::{Value, json};

use super::admission;
use super::control::Control;
use super::parts::{
    annotation, holds, is_going, name, namespace, number, owned_by, owner, safe_suffix, set, text, uid,
};
use crate::sandbox::kubernetes::objects::Key;
use crate::sandbox::world::ids::number_of;

pub(super) use self::jobs::is_of_job;

pub(super) fn run(control: &mut Control<'_, '_>) {
    deployments::run(control);
    replica_sets::run(control);
    daemon_sets::run(control);
    stateful_sets::run(control);
    jobs::run(control);
}

/// Where a workload is.
fn key_of(plural: &str, object: &Value) -> Key {
    let group = if plural == "jobs" { "batch" } else { "apps" };
    Key::new(group, plural, Some(namespace(object)), name(object))
}

/// The workloads of a kind that are not on their way out.
fn all(control: &mut Control<'_, '_>, plural: &str) -> Vec<Value> {
    let group = if plural == "jobs" { "batch" } else { "apps" };
    control.list_if(group, plural, |object| !is_going(object))
}

/// The pods that a workload made, without those that go.
fn pods_of(control: &mut Control<'_, '_>, workload: &Value) -> Vec<Value> {
    let pods = control.objects();
    let pods = pods.list("", "pods", Some(namespace(workload)));
    pods.filter(|pod| owned_by(pod, workload) && !is_going(pod)).cloned().collect()
}

/// How many of these pods are ready.
fn ready(pods: &[Value]) -> usize {
    pods.iter().filter(|pod| holds(pod, "Ready")).count()
}

/// What tells pods of one template from those of another.
fn template_hash(workload: &Value) -> String {
    safe_suffix(number_of(&[workload["spec"]["template"].to_string().as_bytes()]), 10)
}

/// How many pods a workload wants.
fn wanted(workload: &Value) -> usize {
    usize::try_from(number(workload, "/spec/replicas").unwrap_or(1)).unwrap_or_default()
}

/// A name for a new pod of a workload.
fn pod_name(control: &mut Control<'_, '_>, workload: &Value) -> String {
    let revision = control.objects().revision().to_string();
    let number = control.place.mint.number(&["pod", uid(workload), &revision]);
    format!("{}-{}", name(workload), safe_suffix(number, 5))
}

/// Makes a pod of a workload's template. `adjust` is what this one has of its own.
///
/// # Errors
/// What the webhook said, or the API.
fn create_pod(
    control: &mut Control<'_, '_>,
    workload: &Value,
    pod_name: &str,
    adjust: impl FnOnce(&mut Value),
) -> Result<(), String> {
    let template = &workload["spec"]["template"];
    let space = namespace(workload).to_owned();
    let key = Key::new("", "pods", Some(&space), pod_name);
    let mut pod = json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": pod_name,
            "namespace": space,
            "generateName": format!("{}-", name(workload)),
            "labels": template["metadata"]["labels"],
            "ownerReferences": owner(workload),
        },
        "spec": template["spec"],
        "status": { "phase": "Pending" },
    });
    if template["metadata"]["annotations"].is_object() {
        set(&mut pod, &["metadata", "annotations"], template["metadata"]["annotations"].clone());
    }
    adjust(&mut pod);
    super::pods::default_spec(&mut pod);
    let account = text(&pod, "/spec/serviceAccountName").to_owned();
    if !control.has(&Key::new("", "serviceaccounts", Some(&space), &account)) {
        return Err(format!(
            "error looking up service account {space}/{account}: serviceaccount \"{account}\" not found"
        ));
    }
    let admitted = admission::admit(&control.objects(), &key, admission::Operation::Create, pod);
    let pod = admitted.map_err(|refusal| refusal.message)?;
    control.put(&key, pod);
    control.say(workload, component(workload), "SuccessfulCreate", &format!("Created pod: {pod_name}"));
    Ok(())
}

/// Deletes a pod of a workload.
fn delete_pod(control: &mut Control<'_, '_>, workload: &Value, pod: &Value) {
    control.delete(&Key::new("", "pods", Some(namespace(pod)), name(pod)));
    control.say(workload, component(workload), "SuccessfulDelete", &format!("Deleted pod: {}", name(pod)));
}

/// Says that a pod could not be made.
fn failed(control: &mut Control<'_, '_>, workload: &Value, why: &str) {
    let pod = format!("{}-", name(workload));
    let message = format!("Error creating: pods \"{pod}\" is forbidden: {why}");
    let message = if why.starts_with("Internal error") { format!("Error creating: {why}") } else { message };
    control.warn(workload, component(workload), "FailedCreate", &message);
}

fn component(workload: &Value) -> &'static str {
    match text(workload, "/kind") {
        "Deployment" => "deployment-controller",
        "DaemonSet" => "daemonset-controller",
        "StatefulSet" => "statefulset-controller",
        "Job" => "job-controller",
        _ => "replicaset-controller",
    }
}

/// Which pods are given up first: those that are not ready, then the youngest.
fn by_worth(mut pods: Vec<Value>) -> Vec<Value> {
    pods.sort_by_key(|pod| {
        let assigned = !text(pod, "/spec/nodeName").is_empty();
        (holds(pod, "Ready"), assigned, std::cmp::Reverse(super::parts::created(pod)), name(pod).to_owned())
    });
    pods
}

/// The revision that a ReplicaSet or Deployment is annotated with.
fn revision(object: &Value) -> u64 {
    annotation(object, REVISION).and_then(|text| text.parse().ok()).unwrap_or_default()
}

/// The annotation that counts the templates of a Deployment.
const REVISION: &str = "deployment.kubernetes.io/revision";
