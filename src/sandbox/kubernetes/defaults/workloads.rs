//! What is filled in for pods, and for what makes them.
//!
//! Entry point: [`fill`].

use serde_json::{Map, Value, json};

use super::{each, inner, or};
use crate::sandbox::kubernetes::objects::part_of;

/// Fills in what is not said of a pod, or of what makes pods.
pub(super) fn fill(plural: &str, object: &mut Value) {
    if plural == "pods" {
        let spec = part_of(object, "spec");
        pod(spec, "Always");
        or(spec, "serviceAccountName", "default".into());
        let account = spec.get("serviceAccountName").cloned().unwrap_or_default();
        or(spec, "serviceAccount", account);
        or(spec, "enableServiceLinks", true.into());
        or(spec, "preemptionPolicy", "PreemptLowerPriority".into());
        or(spec, "priority", 0.into());
        let status = part_of(object, "status");
        or(status, "phase", "Pending".into());
        or(status, "qosClass", "BestEffort".into());
        return;
    }
    let spec = part_of(object, "spec");
    match plural {
        "deployments" => {
            or(spec, "replicas", 1.into());
            or(spec, "revisionHistoryLimit", 10.into());
            or(spec, "progressDeadlineSeconds", 600.into());
            or(spec, "strategy", json!({}));
            if let Some(strategy) = inner(spec, "strategy") {
                or(strategy, "type", "RollingUpdate".into());
                if strategy.get("type").is_some_and(|kind| kind == "RollingUpdate") {
                    or(strategy, "rollingUpdate", json!({}));
                    if let Some(rolling) = inner(strategy, "rollingUpdate") {
                        or(rolling, "maxSurge", "25%".into());
                        or(rolling, "maxUnavailable", "25%".into());
                    }
                }
            }
        }
        "daemonsets" => {
            or(spec, "revisionHistoryLimit", 10.into());
            let rolling = json!({ "type": "RollingUpdate", "rollingUpdate": { "maxSurge": 0, "maxUnavailable": 1 } });
            or(spec, "updateStrategy", rolling);
        }
        "statefulsets" => {
            or(spec, "replicas", 1.into());
            or(spec, "revisionHistoryLimit", 10.into());
            or(spec, "podManagementPolicy", "OrderedReady".into());
            or(spec, "updateStrategy", json!({ "type": "RollingUpdate", "rollingUpdate": { "partition": 0 } }));
            or(
                spec,
                "persistentVolumeClaimRetentionPolicy",
                json!({ "whenDeleted": "Retain", "whenScaled": "Retain" }),
            );
        }
        "replicasets" => or(spec, "replicas", 1.into()),
        "jobs" => job(spec),
        "cronjobs" => {
            or(spec, "concurrencyPolicy", "Allow".into());
            or(spec, "suspend", false.into());
            or(spec, "successfulJobsHistoryLimit", 3.into());
            or(spec, "failedJobsHistoryLimit", 1.into());
            if let Some(template) = inner(spec, "jobTemplate").and_then(|template| inner(template, "spec"))
                && let Some(template) = inner(template, "template").and_then(|template| inner(template, "spec"))
            {
                pod(template, "");
            }
            return;
        }
        _ => {}
    }
    let restarts = if plural == "jobs" { "" } else { "Always" };
    if let Some(template) = inner(spec, "template").and_then(|template| inner(template, "spec")) {
        pod(template, restarts);
    }
    part_of(object, "status");
}

fn job(spec: &mut Map<String, Value>) {
    if !spec.contains_key("completions") && !spec.contains_key("parallelism") {
        or(spec, "completions", 1.into());
    }
    or(spec, "parallelism", 1.into());
    or(spec, "backoffLimit", 6.into());
    or(spec, "completionMode", "NonIndexed".into());
    or(spec, "suspend", false.into());
    or(spec, "manualSelector", false.into());
    or(spec, "podReplacementPolicy", "TerminatingOrFailed".into());
}

fn pod(spec: &mut Map<String, Value>, restarts: &str) {
    or(spec, "dnsPolicy", "ClusterFirst".into());
    if !restarts.is_empty() {
        or(spec, "restartPolicy", restarts.into());
    }
    or(spec, "schedulerName", "default-scheduler".into());
    or(spec, "securityContext", json!({}));
    or(spec, "terminationGracePeriodSeconds", 30.into());
    // Both names of one field.
    if let Some(account) = spec.get("serviceAccountName").cloned() {
        or(spec, "serviceAccount", account);
    }
    for containers in ["containers", "initContainers"] {
        each(spec, containers).for_each(container);
    }
    each(spec, "volumes").for_each(volume);
}

fn container(container: &mut Map<String, Value>) {
    let image = container.get("image").and_then(Value::as_str).unwrap_or_default();
    let last = image.rsplit('/').next().unwrap_or_default();
    let is_latest = !last.contains('@') && last.split_once(':').is_none_or(|(_, tag)| tag == "latest");
    or(container, "imagePullPolicy", if is_latest { "Always" } else { "IfNotPresent" }.into());
    or(container, "terminationMessagePath", "/dev/termination-log".into());
    or(container, "terminationMessagePolicy", "File".into());
    or(container, "resources", json!({}));
    each(container, "ports").for_each(|port| or(port, "protocol", "TCP".into()));
    for variable in each(container, "env") {
        if let Some(field) = inner(variable, "valueFrom").and_then(|from| inner(from, "fieldRef")) {
            or(field, "apiVersion", "v1".into());
        }
    }
    for probe in ["livenessProbe", "readinessProbe", "startupProbe"] {
        let Some(probe) = inner(container, probe) else { continue };
        or(probe, "timeoutSeconds", 1.into());
        or(probe, "periodSeconds", 10.into());
        or(probe, "successThreshold", 1.into());
        or(probe, "failureThreshold", 3.into());
        if let Some(get) = inner(probe, "httpGet") {
            http_get(get);
        }
        if let Some(grpc) = inner(probe, "grpc") {
            or(grpc, "service", "".into());
        }
    }
    if let Some(lifecycle) = inner(container, "lifecycle") {
        for hook in ["postStart", "preStop"] {
            if let Some(get) = inner(lifecycle, hook).and_then(|hook| inner(hook, "httpGet")) {
                http_get(get);
            }
        }
    }
    // What is limited is requested, where nothing else is said.
    if let Some(resources) = inner(container, "resources")
        && let Some(Value::Object(limits)) = resources.get("limits").cloned()
    {
        or(resources, "requests", json!({}));
        if let Some(requests) = inner(resources, "requests") {
            limits.into_iter().for_each(|(name, limit)| or(requests, &name, limit));
        }
    }
}

fn http_get(get: &mut Map<String, Value>) {
    or(get, "path", "/".into());
    or(get, "scheme", "HTTP".into());
}

/// Files are readable by everybody and writable by their owner: 0644.
const MODE: u32 = 0o644;

fn volume(volume: &mut Map<String, Value>) {
    for kind in ["secret", "configMap", "downwardAPI", "projected"] {
        let Some(source) = inner(volume, kind) else { continue };
        or(source, "defaultMode", MODE.into());
        for source in each(source, "sources") {
            if let Some(token) = inner(source, "serviceAccountToken") {
                or(token, "expirationSeconds", 3600.into());
            }
            if let Some(items) = inner(source, "downwardAPI") {
                downward(items);
            }
        }
        downward(source);
    }
    if let Some(path) = inner(volume, "hostPath") {
        or(path, "type", "".into());
    }
}

fn downward(source: &mut Map<String, Value>) {
    for item in each(source, "items") {
        if let Some(field) = inner(item, "fieldRef") {
            or(field, "apiVersion", "v1".into());
        }
    }
}
