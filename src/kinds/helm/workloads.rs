//! Whether what a release runs is ready, and if not, why: from the workloads that its manifest names, and their pods.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use futures_util::stream::{self, StreamExt, TryStreamExt};
use serde_json::Value as Json;

use crate::kinds::kubernetes::{Kube, look};
use crate::resource::ProviderError;

use super::objects::{Key, parse};

/// How many objects are asked for at once.
const WIDTH: usize = 8;

/// How many workloads a message names; the rest is counted.
const NAMED: usize = 3;

/// How much of what a pod says of itself is shown, in characters.
const EXCERPT: usize = 160;

/// The kinds whose objects have pods that get ready, with the group that they are of.
const KINDS: [(&str, &str); 4] =
    [("apps/", "Deployment"), ("apps/", "DaemonSet"), ("apps/", "StatefulSet"), ("batch/", "Job")];

/// How the workloads of a release are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Health {
    /// Those that the manifest names and that are not there.
    pub(super) missing: Vec<String>,
    /// Those that are not ready, each with the reason.
    pub(super) unready: Vec<String>,
    /// Reasons that pass only when somebody does something.
    pub(super) stuck: Vec<String>,
}

impl Health {
    /// What is not ready, in a sentence; `None` if everything is.
    pub(super) fn waits_for(&self) -> Option<String> {
        some(&self.unready)
    }

    /// What is not there, in a sentence; `None` if everything is.
    pub(super) fn lacks(&self) -> Option<String> {
        some(&self.missing)
    }
}

fn some(all: &[String]) -> Option<String> {
    let mut text = all.iter().take(NAMED).cloned().collect::<Vec<_>>().join("; ");
    if all.len() > NAMED {
        let _ = write!(text, "; and {} more", all.len() - NAMED);
    }
    (!all.is_empty()).then_some(text)
}

/// How the workloads of a manifest are. `namespace` is the release's, for objects that name none.
pub(super) async fn health(kube: &Kube, manifest: &str, namespace: &str) -> Result<Health, ProviderError> {
    let look = |key: Key| async move {
        let place = key.namespace.clone().unwrap_or_else(|| namespace.to_owned());
        let object = look::object(kube, &key.api_version, &key.kind, Some(&place), &key.name).await?;
        let Some(object) = object else { return Ok((key, None)) };
        let Some(why) = unready(&object) else { return Ok((key, Some(None))) };
        let pods = match selector(&object) {
            Some(selector) => look::labelled(kube, &place, "pods", &selector).await?,
            None => Vec::new(),
        };
        Ok::<_, ProviderError>((key, Some(Some((why, complaints(&pods))))))
    };
    let found: Vec<_> = stream::iter(workloads(manifest)).map(look).buffered(WIDTH).try_collect().await?;
    let mut health = Health::default();
    for (key, state) in found {
        match state {
            None => health.missing.push(key.to_string()),
            Some(None) => {}
            Some(Some((why, complaints))) => {
                let said: Vec<&str> = complaints.iter().map(|complaint| complaint.text.as_str()).collect();
                let said = if said.is_empty() { String::new() } else { format!(" ({})", said.join("; ")) };
                health.unready.push(format!("{key}: {why}{said}"));
                let stuck = complaints.iter().filter(|complaint| complaint.is_stuck);
                health.stuck.extend(stuck.map(|complaint| format!("{key}: {}", complaint.text)));
            }
        }
    }
    Ok(health)
}

/// The workloads that a manifest names.
fn workloads(manifest: &str) -> Vec<Key> {
    let is_one = |key: &Key| KINDS.iter().any(|(group, kind)| key.kind == *kind && key.api_version.starts_with(group));
    let may_be_one = |document: &str| KINDS.iter().any(|(_, kind)| document.contains(kind));
    parse(manifest, &may_be_one).into_keys().filter(is_one).collect()
}

/// Why a workload is not ready; `None` if it is.
fn unready(object: &Json) -> Option<String> {
    let number = |path: &str| object.pointer(path).and_then(Json::as_i64);
    let status = |field: &str| number(&format!("/status/{field}")).unwrap_or_default();
    let condition = |kind: &str| {
        let conditions = object.pointer("/status/conditions")?.as_array()?;
        conditions.iter().find(|condition| condition["type"] == kind && condition["status"] == "True")
    };
    let kind = object["kind"].as_str().unwrap_or_default();
    if kind == "Job" {
        if condition("Complete").is_some() || object.pointer("/spec/suspend") == Some(&Json::Bool(true)) {
            return None;
        }
        return Some(match condition("Failed") {
            Some(failed) => format!("failed: {}", failed["message"].as_str().unwrap_or("it does not say why")),
            None => "has not completed".to_owned(),
        });
    }
    if number("/metadata/generation").unwrap_or_default() > status("observedGeneration") {
        return Some("its controller has not seen it yet".to_owned());
    }
    let (wanted, updated, ready) = match kind {
        "DaemonSet" => (status("desiredNumberScheduled"), status("updatedNumberScheduled"), status("numberAvailable")),
        "StatefulSet" => (number("/spec/replicas").unwrap_or(1), status("updatedReplicas"), status("readyReplicas")),
        _ => (number("/spec/replicas").unwrap_or(1), status("updatedReplicas"), status("availableReplicas")),
    };
    let waits_for_the_new = object.pointer("/spec/updateStrategy/type").and_then(Json::as_str) != Some("OnDelete");
    if waits_for_the_new && updated < wanted {
        return Some(format!("{updated} of {wanted} pods are of the new version"));
    }
    if ready < wanted {
        return Some(format!("{ready} of {wanted} pods are ready"));
    }
    (kind == "Deployment" && status("replicas") > updated)
        .then(|| format!("{} pods of the old version are still there", status("replicas") - updated))
}

/// The selector of a workload's pods, as a query writes it.
fn selector(object: &Json) -> Option<String> {
    let labels = object.pointer("/spec/selector/matchLabels")?.as_object()?;
    let labels: Vec<String> =
        labels.iter().filter_map(|(key, value)| Some(format!("{key}={}", value.as_str()?))).collect();
    (!labels.is_empty()).then(|| labels.join(","))
}

/// What ails pods.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Complaint {
    text: String,
    /// Whether it passes only when somebody does something.
    is_stuck: bool,
}

/// What ails pods: each reason once, the most frequent first.
fn complaints(pods: &[Json]) -> Vec<Complaint> {
    let mut counted: BTreeMap<String, (usize, bool)> = BTreeMap::new();
    for pod in pods {
        if let Some((text, is_stuck)) = complaint(pod) {
            counted.entry(text).or_insert((0, is_stuck)).0 += 1;
        }
    }
    let mut all: Vec<(String, (usize, bool))> = counted.into_iter().collect();
    all.sort_by(|(_, (a, _)), (_, (b, _))| b.cmp(a));
    let complaint = |(text, (_, is_stuck))| Complaint { text, is_stuck };
    all.into_iter().take(NAMED).map(complaint).collect()
}

/// Reasons for which a container waits that pass by themselves.
const PASSING: [&str; 2] = ["ContainerCreating", "PodInitializing"];

fn complaint(pod: &Json) -> Option<(String, bool)> {
    let list = |path: &str| pod.pointer(path).and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
    let unscheduled = list("/status/conditions")
        .iter()
        .find(|condition| condition["type"] == "PodScheduled" && condition["status"] == "False");
    if let Some(unscheduled) = unscheduled {
        let message = unscheduled["message"].as_str().unwrap_or("no node takes the pod");
        return Some((format!("FailedScheduling: {}", excerpt(message)), true));
    }
    let statuses = list("/status/initContainerStatuses").iter().chain(list("/status/containerStatuses"));
    for status in statuses {
        let waiting = &status["state"]["waiting"];
        let Some(reason) = waiting["reason"].as_str().filter(|reason| !PASSING.contains(reason)) else { continue };
        let container = status["name"].as_str().unwrap_or_default();
        let last = status.pointer("/lastState/terminated");
        let message = match (waiting["message"].as_str(), last) {
            // What it says of a crash is that it backs off; how the container ended says more.
            (_, Some(last)) if reason == "CrashLoopBackOff" => {
                let code = last["exitCode"].as_i64().unwrap_or_default();
                let why = last["message"].as_str().or(last["reason"].as_str()).unwrap_or("no reason given");
                format!("ended with {code}: {why}")
            }
            (Some(message), _) => message.to_owned(),
            (None, _) => status["image"].as_str().unwrap_or_default().to_owned(),
        };
        return Some((format!("{reason} of container {container}: {}", excerpt(&message)), true));
    }
    let phase = pod.pointer("/status/phase").and_then(Json::as_str)?;
    let reason = pod.pointer("/status/reason").and_then(Json::as_str);
    match (phase, reason) {
        ("Failed", Some(reason)) => Some((format!("a pod failed: {reason}"), false)),
        _ => None,
    }
}

fn excerpt(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let short: String = line.chars().take(EXCERPT).collect();
    if short.len() < line.len() { format!("{short}…") } else { short.trim_end_matches('.').to_owned() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn deployment(spec: u32, updated: u32, available: u32, all: u32) -> Json {
        json!({ "kind": "Deployment", "metadata": { "generation": 2 }, "spec": { "replicas": spec },
            "status": { "observedGeneration": 2, "updatedReplicas": updated, "availableReplicas": available, "replicas": all } })
    }

    #[test]
    fn a_workload_is_ready_when_all_its_new_pods_are() {
        assert_eq!(unready(&deployment(2, 2, 2, 2)), None);
        assert_eq!(unready(&deployment(0, 0, 0, 0)), None);
        assert_eq!(unready(&deployment(2, 1, 2, 3)).unwrap(), "1 of 2 pods are of the new version");
        assert_eq!(unready(&deployment(2, 2, 1, 2)).unwrap(), "1 of 2 pods are ready");
        assert_eq!(unready(&deployment(2, 2, 2, 3)).unwrap(), "1 pods of the old version are still there");
        let mut unseen = deployment(1, 1, 1, 1);
        unseen["metadata"]["generation"] = json!(3);
        assert_eq!(unready(&unseen).unwrap(), "its controller has not seen it yet");
        let new = json!({ "kind": "Deployment", "metadata": { "generation": 1 }, "spec": {} });
        assert!(unready(&new).is_some());
        let daemons = json!({ "kind": "DaemonSet", "metadata": {}, "spec": {},
            "status": { "desiredNumberScheduled": 3, "updatedNumberScheduled": 3, "numberAvailable": 2 } });
        assert_eq!(unready(&daemons).unwrap(), "2 of 3 pods are ready");
        let set = json!({ "kind": "StatefulSet", "metadata": {}, "spec": { "replicas": 1 }, "status": {} });
        assert!(unready(&set).is_some());
    }

    #[test]
    fn a_job_is_ready_when_it_has_completed() {
        let job = |kind: &str| {
            json!({ "kind": "Job", "metadata": {}, "spec": {},
                "status": { "conditions": [{ "type": kind, "status": "True", "message": "too often" }] } })
        };
        assert_eq!(unready(&job("Complete")), None);
        assert_eq!(unready(&job("Failed")).unwrap(), "failed: too often");
        assert_eq!(unready(&json!({ "kind": "Job", "spec": {} })).unwrap(), "has not completed");
    }

    #[test]
    fn pods_say_why_in_few_words() {
        let waiting = |reason: &str, message: &str| {
            json!({ "status": { "phase": "Pending", "containerStatuses": [
                { "name": "discovery", "image": "pilot:1.30.3", "state": { "waiting": { "reason": reason, "message": message } } }
            ] } })
        };
        let pull = waiting("ImagePullBackOff", "Back-off pulling image \"pilot:1.30.3\"");
        let found = complaints(&[waiting("ContainerCreating", ""), pull.clone(), pull]);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].text, "ImagePullBackOff of container discovery: Back-off pulling image \"pilot:1.30.3\"");
        assert!(found[0].is_stuck);

        let crash = json!({ "status": { "containerStatuses": [{ "name": "a",
            "state": { "waiting": { "reason": "CrashLoopBackOff", "message": "back-off 40s restarting" } },
            "lastState": { "terminated": { "exitCode": 137, "reason": "OOMKilled" } } }] } });
        assert_eq!(complaint(&crash).unwrap().0, "CrashLoopBackOff of container a: ended with 137: OOMKilled");

        let nowhere = json!({ "status": { "conditions": [{ "type": "PodScheduled", "status": "False",
            "reason": "Unschedulable", "message": "0/2 nodes are available: 2 Insufficient memory." }] } });
        assert_eq!(complaint(&nowhere).unwrap().0, "FailedScheduling: 0/2 nodes are available: 2 Insufficient memory");
        assert_eq!(complaint(&json!({ "status": { "phase": "Running" } })), None);
        assert!(excerpt(&"x ".repeat(500)).ends_with('…'));
    }

    #[test]
    fn a_manifest_names_its_workloads_and_hooks_are_not_among_them() {
        let manifest = "---\n# Source: a\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: istiod, namespace: istio-system}\n\
            ---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: Deployment}\n\
            ---\napiVersion: batch/v1\nkind: Job\nmetadata: {name: once}\n\
            ---\napiVersion: batch/v1\nkind: Job\nmetadata: {name: hook, annotations: {helm.sh/hook: pre-install}}\n\
            ---\napiVersion: example.test/v1\nkind: Deployment\nmetadata: {name: theirs}\n";
        let found: Vec<String> = workloads(manifest).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["Deployment istio-system/istiod", "Job once"]);
        assert_eq!(some(&["a".into(), "b".into(), "c".into(), "d".into()]).unwrap(), "a; b; c; and 1 more");
    }
}
