//! Pods: put on nodes, given addresses, started, ready.
//!
//! What there is on a node to run them is not simulated; how far a pod is follows from when it got its node.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::control::Control;
use super::images::{self, Trouble};
use super::parts::{
    holds, instant, is_going, list, name, namespace, number, selects, set, set_condition, set_missing, text, texts, uid,
};
use super::workloads::is_of_job;
use super::{addresses, nodes};
use crate::sandbox::kubernetes::objects::{Key, time};

/// How long the containers of a pod take to end when they are told to.
const END_MS: (u64, u64) = (500, 2_500);

/// How far a pod is.
enum Stage {
    /// Its containers are made.
    Creating,
    /// They are not, for a reason.
    Stuck(Trouble),
    /// They run.
    Running { since: Timestamp, ready: bool },
    /// They ran to their end.
    Done { since: Timestamp, until: Timestamp },
}

pub(super) fn run(control: &mut Control<'_, '_>) {
    let nodes = control.list("", "nodes", None);
    for mut pod in control.list("", "pods", None) {
        let key = Key::new("", "pods", Some(namespace(&pod)), name(&pod));
        if is_going(&pod) {
            end(control, &key, &pod);
            continue;
        }
        let node = text(&pod, "/spec/nodeName").to_owned();
        let on = nodes.iter().find(|known| name(known) == node);
        match on {
            None if !node.is_empty() => {
                // It went with its node.
                control.delete(&key);
                continue;
            }
            None => {
                let Some(node) = schedule(control, &mut pod, &nodes) else {
                    control.put(&key, pod);
                    continue;
                };
                begin(control, &mut pod, node);
            }
            // Somebody chose the node for it.
            Some(node) if !holds(&pod, "PodScheduled") => begin(control, &mut pod, node),
            Some(_) => {}
        }
        if matches!(text(&pod, "/status/phase"), "Succeeded" | "Failed") {
            continue;
        }
        let stage = stage(control, &pod);
        describe(control, &mut pod, &stage);
        control.put(&key, pod);
    }
}

/// A pod that is deleted ends soon, whatever time it was given for that.
fn end(control: &mut Control<'_, '_>, key: &Key, pod: &Value) {
    let until = instant(pod, "/metadata/deletionTimestamp").unwrap_or(control.now);
    let grace = SignedDuration::from_secs(number(pod, "/metadata/deletionGracePeriodSeconds").unwrap_or_default());
    let asked = until.checked_sub(grace).unwrap_or(until);
    let ended = control.after(asked, uid(pod), "ended", END_MS).min(until);
    if control.has_come(ended) && list(pod, "/metadata/finalizers").is_empty() {
        control.objects().remove(key);
    }
}

/// What the API fills in where a pod does not say it.
pub(super) fn default_spec(pod: &mut Value) {
    let account = match text(pod, "/spec/serviceAccount") {
        "" => "default".to_owned(),
        older => older.to_owned(),
    };
    set_missing(pod, &["spec", "serviceAccountName"], account.into());
    let defaults = [
        ("dnsPolicy", json!("ClusterFirst")),
        ("restartPolicy", json!("Always")),
        ("schedulerName", json!("default-scheduler")),
        ("terminationGracePeriodSeconds", json!(30)),
        ("enableServiceLinks", json!(true)),
        ("securityContext", json!({})),
    ];
    for (field, value) in defaults {
        set_missing(pod, &["spec", field], value);
    }
}

/// Whether a node is one that a pod asks for; for a template too.
pub(super) fn fits(pod: &Value, node: &Value) -> bool {
    let labels = &node["metadata"]["labels"];
    let wanted = pod["spec"]["nodeSelector"].as_object().into_iter().flatten();
    let terms =
        list(pod, "/spec/affinity/nodeAffinity/requiredDuringSchedulingIgnoredDuringExecution/nodeSelectorTerms");
    wanted.into_iter().all(|(key, value)| labels.get(key) == Some(value))
        && (terms.is_empty() || terms.iter().any(|term| selects(term, labels)))
}

/// Whether a pod goes to a node with a taint; for a template too.
pub(super) fn tolerates(pod: &Value, taint: &Value) -> bool {
    text(taint, "/effect") == "PreferNoSchedule"
        || list(pod, "/spec/tolerations").iter().any(|toleration| {
            let effect = text(toleration, "/effect");
            let key = text(toleration, "/key");
            let exists = text(toleration, "/operator") == "Exists";
            (effect.is_empty() || effect == text(taint, "/effect"))
                && (key == text(taint, "/key") || (key.is_empty() && exists))
                && (exists || text(toleration, "/value") == text(taint, "/value"))
        })
}

/// The node that a pod goes to: one that it fits, with the fewest pods; with its own kind already there, last.
fn schedule<'n>(control: &mut Control<'_, '_>, pod: &mut Value, nodes: &'n [Value]) -> Option<&'n Value> {
    let mut best: Option<((usize, usize), &Value)> = None;
    let (mut unfit, mut tainted, mut full) = (0, 0, 0);
    for node in nodes {
        let here = |one: &&Value| text(one, "/spec/nodeName") == name(node);
        let (alike, all) = {
            let objects = control.objects();
            let here: Vec<&Value> = objects.list("", "pods", None).filter(here).collect();
            let owner = &pod["metadata"]["ownerReferences"];
            (here.iter().filter(|one| one["metadata"]["ownerReferences"] == *owner).count(), here.len())
        };
        let room = text(node, "/status/allocatable/pods").parse::<usize>().unwrap_or(110);
        if !nodes::takes_pods(node) || !list(node, "/spec/taints").iter().all(|taint| tolerates(pod, taint)) {
            tainted += 1;
        } else if !fits(pod, node) {
            unfit += 1;
        } else if all >= room {
            full += 1;
        } else if best.is_none_or(|(least, _)| (alike, all) < least) {
            best = Some(((alike, all), node));
        }
    }
    let now = control.now;
    let Some((_, node)) = best else {
        let mut why: Vec<String> = Vec::new();
        for (count, reason) in [
            (full, "Too many pods"),
            (tainted, "node(s) had untolerated taint(s)"),
            (unfit, "node(s) didn't match Pod's node affinity/selector"),
        ] {
            if count > 0 {
                why.push(format!("{count} {reason}"));
            }
        }
        let message = if nodes.is_empty() {
            "no nodes available to schedule pods".to_owned()
        } else {
            format!("0/{} nodes are available: {}.", nodes.len(), why.join(", "))
        };
        set(pod, &["status", "phase"], "Pending".into());
        set_condition(pod, "PodScheduled", false, ("Unschedulable", &message), now);
        control.warn(pod, "default-scheduler", "FailedScheduling", &message);
        return None;
    };
    let message = format!("Successfully assigned {}/{} to {}", namespace(pod), name(pod), name(node));
    control.say(pod, "default-scheduler", "Scheduled", &message);
    Some(node)
}

/// A pod comes to its node.
fn begin(control: &mut Control<'_, '_>, pod: &mut Value, node: &Value) {
    let now = control.now;
    default_spec(pod);
    set(pod, &["spec", "nodeName"], name(node).into());
    set_condition(pod, "PodScheduled", true, ("", ""), now);
    set(pod, &["status", "phase"], "Pending".into());
    set(pod, &["status", "startTime"], time(now).into());
    let addresses = list(node, "/status/addresses");
    let host =
        addresses.iter().find(|one| one["type"] == "InternalIP").map_or(Value::Null, |one| one["address"].clone());
    set(pod, &["status", "hostIP"], host.clone());
    set(pod, &["status", "hostIPs"], json!([{ "ip": host }]));
    let address = if pod["spec"]["hostNetwork"] == true {
        host.as_str().map(str::to_owned)
    } else {
        addresses::of_pod(control, node, pod).map(|address| address.to_string())
    };
    match address {
        Some(address) => {
            set(pod, &["status", "podIP"], address.as_str().into());
            set(pod, &["status", "podIPs"], json!([{ "ip": address }]));
        }
        None => control.warn(
            pod,
            "kubelet",
            "FailedCreatePodSandBox",
            "Failed to create pod sandbox: plugin type=\"aws-cni\" name=\"aws-cni\" failed (add): add cmd: failed to assign an IP \
             address to container",
        ),
    }
}

fn stage(control: &mut Control<'_, '_>, pod: &Value) -> Stage {
    let began = instant(pod, "/status/startTime").unwrap_or(control.now);
    let id = uid(pod).to_owned();
    let running = control.after(began, &id, "running", images::start_ms(pod));
    if text(pod, "/status/podIP").is_empty() || !control.has_come(running) {
        return Stage::Creating;
    }
    if let Some(trouble) = images::trouble(control, pod) {
        // What runs keeps running.
        if text(pod, "/status/phase") != "Running" {
            return Stage::Stuck(trouble);
        }
    }
    if is_of_job(pod) {
        let until = control.after(running, &id, "done", images::JOB_MS);
        if control.has_come(until) {
            return Stage::Done { since: running, until };
        }
    }
    let asked = control.after(running, &id, "ready", images::ready_ms(pod));
    let ready = control.has_come(asked) && images::answers(control, pod);
    Stage::Running { since: running, ready }
}

/// Writes how far a pod is into its status.
fn describe(control: &mut Control<'_, '_>, pod: &mut Value, stage: &Stage) {
    let now = control.now;
    let (phase, initialized, ready) = match stage {
        Stage::Creating | Stage::Stuck(_) => ("Pending", matches!(stage, Stage::Stuck(_)), false),
        Stage::Running { ready, .. } => ("Running", true, *ready),
        Stage::Done { .. } => ("Succeeded", true, false),
    };
    set(pod, &["status", "phase"], phase.into());
    set(pod, &["status", "qosClass"], "Burstable".into());
    let done = matches!(stage, Stage::Done { .. });
    let why = |holds: bool| match (holds, done) {
        (true, _) => ("", ""),
        (false, true) => ("PodCompleted", ""),
        (false, false) => ("ContainersNotReady", "containers are not ready"),
    };
    set_condition(pod, "PodReadyToStartContainers", !matches!(stage, Stage::Creating) && !done, ("", ""), now);
    set_condition(pod, "Initialized", initialized, if initialized { ("", "") } else { why(false) }, now);
    set_condition(pod, "ContainersReady", ready, why(ready), now);
    set_condition(pod, "Ready", ready, why(ready), now);
    for (specified, field) in [("containers", "containerStatuses"), ("initContainers", "initContainerStatuses")] {
        let is_init = specified == "initContainers";
        let all: Vec<Value> = list(pod, &format!("/spec/{specified}"))
            .iter()
            // A sidecar stands among the containers of the beginning, and stays.
            .map(|container| status_of(container, stage, is_init && container["restartPolicy"] != "Always"))
            .collect();
        if !all.is_empty() {
            set(pod, &["status", field], all.into());
        }
    }
    if let Stage::Stuck(trouble) = stage {
        let (pod, trouble) = (pod.clone(), &trouble);
        control.warn(
            &pod,
            "kubelet",
            if trouble.reason == "CrashLoopBackOff" { "BackOff" } else { "Failed" },
            &trouble.message,
        );
    }
}

fn status_of(container: &Value, stage: &Stage, ends_early: bool) -> Value {
    let ended = |since: Timestamp, until: Timestamp| {
        json!({ "terminated": {
            "exitCode": 0, "reason": "Completed", "startedAt": time(since), "finishedAt": time(until),
        } })
    };
    let waits = |reason: &str| json!({ "waiting": { "reason": reason } });
    let (state, ready, started, restarts) = match stage {
        Stage::Creating if ends_early => (waits("PodInitializing"), false, false, 0),
        Stage::Creating => (waits("ContainerCreating"), false, false, 0),
        Stage::Stuck(trouble) if container["name"] == trouble.container.as_str() => {
            let waiting = json!({ "waiting": { "reason": trouble.reason, "message": trouble.message } });
            (waiting, false, false, if trouble.reason == "CrashLoopBackOff" { 4 } else { 0 })
        }
        Stage::Stuck(_) => (waits("ContainerCreating"), false, false, 0),
        Stage::Running { since, .. } | Stage::Done { since, .. } if ends_early => {
            (ended(*since, *since), true, false, 0)
        }
        Stage::Running { since, ready } => (json!({ "running": { "startedAt": time(*since) } }), *ready, true, 0),
        Stage::Done { since, until } => (ended(*since, *until), false, false, 0),
    };
    let image = text(container, "/image");
    json!({
        "name": container["name"], "image": image, "imageID": if ready { image } else { "" }, "ready": ready,
        "restartCount": restarts, "started": started, "state": state,
    })
}

/// The port of a pod that a name or number means (`targetPort` of a Service).
pub(super) fn port(pod: &Value, target: &Value, own: i64) -> Option<i64> {
    match target {
        Value::Number(number) => number.as_i64(),
        Value::String(wanted) => images::containers(pod)
            .flat_map(|container| list(container, "/ports"))
            .find(|port| port["name"] == wanted.as_str())
            .and_then(|port| number(port, "/containerPort"))
            .or_else(|| wanted.parse().ok()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => Some(own),
    }
}

/// The ports that a pod's containers say they listen on.
pub(super) fn listens_on(pod: &Value) -> Vec<i64> {
    images::containers(pod)
        .flat_map(|container| list(container, "/ports"))
        .filter_map(|port| number(port, "/containerPort"))
        .collect()
}

/// Whether a finalizer holds an object.
pub(super) fn is_held_by(object: &Value, finalizer: &str) -> bool {
    texts(object, "/metadata/finalizers").contains(&finalizer)
}
