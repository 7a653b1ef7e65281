//! What is in pods, as far as their images tell: how long they take to start, and what keeps them from it.

use serde_json::Value;

use super::control::Control;
use super::istiod;
use super::parts::{condition, created, holds, list, namespace, number, text, uid};
use super::workloads::is_of_job;

/// How long a container takes whose image is not pulled and cannot be.
const PULL_MS: (u64, u64) = (2_000, 5_000);

/// From ready to be asked to the first answer of a readiness probe.
const PROBE_MS: (u64, u64) = (500, 2_500);

/// How long a Job's pod runs.
pub(super) const JOB_MS: (u64, u64) = (2_000, 6_000);

/// What the images of pods have in their names, and how long such pods take from their node to running.
const STARTS: &[(&str, (u64, u64))] = &[
    ("/pilot", (7_000, 12_000)),
    ("aws-load-balancer-controller", (10_000, 22_000)),
    ("eks/coredns", (5_000, 14_000)),
    ("amazon-k8s-cni", (4_000, 9_000)),
    ("/proxyv2", (4_000, 9_000)),
];

/// All others.
const START_MS: (u64, u64) = (3_000, 9_000);

/// Why a pod does not start.
pub(super) struct Trouble {
    /// The container.
    pub(super) container: String,
    /// What it waits in: `ImagePullBackOff`.
    pub(super) reason: &'static str,
    pub(super) message: String,
}

/// The containers of a pod, those of its beginning last.
pub(super) fn containers(pod: &Value) -> impl Iterator<Item = &Value> {
    list(pod, "/spec/containers").iter().chain(list(pod, "/spec/initContainers"))
}

/// Whether a proxy of the mesh is in a pod.
pub(in crate::sandbox) fn has_proxy(pod: &Value) -> bool {
    containers(pod).any(|container| container["name"] == "istio-proxy" && container["image"] != "auto")
}

/// How long a pod takes from its node to running.
pub(super) fn start_ms(pod: &Value) -> (u64, u64) {
    let image = text(pod, "/spec/containers/0/image");
    STARTS.iter().find(|(part, _)| image.contains(part)).map_or(START_MS, |(_, duration)| *duration)
}

/// How long it then takes until its probes say that it is ready, where nothing is in its way.
pub(super) fn ready_ms(pod: &Value) -> (u64, u64) {
    let delay = |container: &Value| number(container, "/readinessProbe/initialDelaySeconds").unwrap_or_default();
    let delay = list(pod, "/spec/containers").iter().map(delay).max().unwrap_or_default();
    let delay = u64::try_from(delay).unwrap_or_default().saturating_mul(1_000);
    (PROBE_MS.0 + delay, PROBE_MS.1 + delay)
}

/// What keeps a pod's containers from running, once they should.
pub(super) fn trouble(control: &mut Control<'_, '_>, pod: &Value) -> Option<Trouble> {
    for container in containers(pod) {
        let image = text(container, "/image");
        // Nobody replaced what stands for the image (istio#35789).
        if image == "auto" || image.is_empty() {
            let since = super::parts::instant(pod, "/status/startTime").unwrap_or_else(|| created(pod));
            let backs_off = control.after(since, uid(pod), "pull", (PULL_MS.0 + 10_000, PULL_MS.1 + 10_000));
            let reason = if control.has_come(backs_off) { "ImagePullBackOff" } else { "ErrImagePull" };
            let message = if reason == "ErrImagePull" {
                format!(
                    "failed to pull and unpack image \"docker.io/library/{image}:latest\": failed to resolve reference \
                     \"docker.io/library/{image}:latest\": pull access denied, repository does not exist or may require \
                     authorization: server message: insufficient_scope: authorization failed"
                )
            } else {
                format!("Back-off pulling image \"{image}\"")
            };
            return Some(Trouble { container: text(container, "/name").to_owned(), reason, message });
        }
    }
    if let Some(why) = istiod::refusal(control, pod) {
        let container = text(pod, "/spec/containers/0/name").to_owned();
        let message = format!(
            "back-off 1m20s restarting failed container={container} pod={}_{}: {why}",
            super::parts::name(pod),
            namespace(pod)
        );
        return Some(Trouble { container, reason: "CrashLoopBackOff", message });
    }
    None
}

/// Whether a pod's probes are answered, once they are asked: a proxy of the mesh waits for its control plane, and is ready
/// ever after.
pub(super) fn answers(control: &mut Control<'_, '_>, pod: &Value) -> bool {
    let is_ready = condition(pod, "Ready").is_some() && holds(pod, "Ready");
    is_ready || is_of_job(pod) || !has_proxy(pod) || istiod::is_serving(control)
}
