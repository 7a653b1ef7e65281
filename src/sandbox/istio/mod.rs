//! What the meshes in the simulated clusters do: what istiods would answer, what proxies are told, and what comes of
//! requests between clusters.
//!
//! Entry points: [`exec`] and [`get_in_pod`], which the clusters' API servers are asked for. Everything follows from the
//! objects that are really there, in the clusters and in the cloud around them, whenever somebody looks; nothing is
//! stored. So a mesh fails here for the reasons for which it fails in life: a remote secret with the wrong key, an API
//! endpoint that does not admit a NAT gateway, a gateway without its label, addresses of the wrong family, roots that
//! differ.
//!
//! | part | what it tells |
//! | --- | --- |
//! | `view` | the objects of clusters, read only |
//! | `remote` | which other clusters an istiod reads (`/debug/clusterz`) |
//! | `kubeconfig` | what istiod takes of a remote secret |
//! | `gateways` | the gateways that it knows (`/debug/networkz`) |
//! | `endpoints` | what it tells a proxy (`/debug/edsz`) |
//! | `reach` | where connections come from, and what they end at |
//! | `trust` | which roots a cluster has |
//! | `request` | one request through the mesh |
//! | `curl` | the program that sends it |
//!
//! Envoy tries a request that could not connect again elsewhere, which hides some failures from those who ask; here
//! every failure shows.

mod curl;
mod endpoints;
mod gateways;
mod kubeconfig;
mod reach;
mod remote;
mod request;
#[cfg(test)]
mod tests;
mod trust;
mod view;

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use self::view::{Cluster, is_ready, is_running, label, list, text};
use super::world::World;

/// A command for a container.
#[derive(Debug, Clone)]
pub(crate) struct Exec<'a> {
    /// The pod's namespace.
    pub(crate) namespace: &'a str,
    /// The pod.
    pub(crate) pod: &'a str,
    /// Its container.
    pub(crate) container: &'a str,
    /// Program and arguments.
    pub(crate) command: &'a [String],
}

/// What came of it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Executed {
    /// What it wrote to its standard output.
    pub(crate) stdout: Vec<u8>,
    /// What it wrote to its standard error.
    pub(crate) stderr: Vec<u8>,
    /// The `Status` that the API ends it with, or refuses it with.
    pub(crate) status: Value,
    /// How long it took.
    pub(crate) took: Duration,
}

/// What came of a request to a pod's port.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Got {
    /// The pod answered: status and body.
    Answer(u16, Vec<u8>),
    /// The API refused: a `Status`, whose `code` is the HTTP status.
    Refused(Value),
    /// Nobody listens on the port: what the kubelet says.
    Closed(String),
}

/// Runs a command in a container of a cluster of a region, as the API's `exec` does.
pub(crate) fn exec(world: &World, (region, cluster): (&str, &str), exec: &Exec<'_>, now: Timestamp) -> Executed {
    let refused = |status| Executed { stdout: Vec::new(), stderr: Vec::new(), status, took: Duration::ZERO };
    let Some(cluster) = Cluster::named(world, region, cluster, now) else {
        return refused(not_found("pods", exec.pod));
    };
    let pod = match pod(cluster, exec.namespace, exec.pod) {
        Ok(pod) => pod,
        Err(status) => return refused(status),
    };
    let mut containers = list(pod, "/spec/containers").iter().chain(list(pod, "/spec/initContainers"));
    let Some(container) = containers.find(|container| text(container, "/name") == exec.container) else {
        let message = format!("container {} is not valid for pod {}", exec.container, exec.pod);
        return refused(status(400, "BadRequest", &message, None));
    };
    if !is_running(pod, exec.container) {
        let message = format!("unable to upgrade connection: container not found (\"{}\")", exec.container);
        return refused(status(500, "InternalError", &message, None));
    }
    let program = exec.command.first().map(String::as_str).unwrap_or_default();
    let has_curl = text(container, "/image").contains("curl");
    if program.rsplit('/').next() != Some("curl") || !has_curl {
        let said = format!(
            "OCI runtime exec failed: exec failed: unable to start container process: exec: \"{program}\": executable file not found in $PATH: unknown\r\n"
        );
        return ended(Vec::new(), said.into_bytes(), 127, Duration::ZERO);
    }
    let run = curl::run(world, cluster, pod, exec.command.get(1..).unwrap_or_default());
    ended(run.stdout, run.stderr, run.code, run.took)
}

/// Makes a request of a pod's port from its own loopback, as through the API's `portforward`.
pub(crate) fn get_in_pod(
    world: &World,
    (region, cluster): (&str, &str),
    (namespace, name, port): (&str, &str, u16),
    path: &str,
    now: Timestamp,
) -> Got {
    let Some(cluster) = Cluster::named(world, region, cluster, now) else {
        return Got::Refused(not_found("pods", name));
    };
    let pod = match pod(cluster, namespace, name) {
        Ok(pod) => pod,
        Err(status) => return Got::Refused(status),
    };
    let phase = text(pod, "/status/phase");
    if phase != "Running" {
        let message = format!("unable to forward port because pod is not running. Current status={phase}");
        return Got::Refused(status(500, "InternalError", &message, None));
    }
    // Plain HTTP, and monitoring.
    let is_istiod = label(pod, "app") == Some("istiod") && is_ready(pod);
    if !is_istiod || !matches!(port, 8080 | 15014) {
        return Got::Closed(format!(
            "error forwarding port {port} to pod {}, uid : failed to execute portforward in network namespace: failed to connect to localhost:{port} inside namespace, IPv4: dial tcp4 127.0.0.1:{port}: connect: connection refused",
            text(pod, "/metadata/uid")
        ));
    }
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let answer = |value: &Value| Got::Answer(200, value.to_string().into_bytes());
    match path {
        "/ready" => Got::Answer(200, Vec::new()),
        "/debug/clusterz" => answer(&remote::clusterz(world, cluster, pod)),
        "/debug/networkz" => answer(&gateways::networkz(world, cluster, pod)),
        "/debug/edsz" => match endpoints::edsz(world, cluster, pod, query) {
            Ok(value) => answer(&value),
            Err((status, said)) => Got::Answer(status, said.as_bytes().to_vec()),
        },
        _ => Got::Answer(404, b"404 page not found\n".to_vec()),
    }
}

/// A pod that is on a node.
fn pod<'w>(cluster: Cluster<'w>, namespace: &str, name: &str) -> Result<&'w Value, Value> {
    let pod = cluster.get("", "pods", Some(namespace), name).ok_or_else(|| not_found("pods", name))?;
    if text(pod, "/spec/nodeName").is_empty() {
        return Err(status(400, "BadRequest", &format!("pod {name} does not have a host assigned"), None));
    }
    Ok(pod)
}

fn not_found(kind: &str, name: &str) -> Value {
    status(404, "NotFound", &format!("{kind} \"{name}\" not found"), Some(json!({ "name": name, "kind": kind })))
}

fn status(code: u16, reason: &str, message: &str, details: Option<Value>) -> Value {
    let mut status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code,
    });
    if let Some(details) = details {
        status["details"] = details;
    }
    status
}

/// A command that ran, with the status that its end is told by.
fn ended(stdout: Vec<u8>, stderr: Vec<u8>, code: u8, took: Duration) -> Executed {
    let status = if code == 0 {
        json!({ "metadata": {}, "status": "Success" })
    } else {
        json!({
            "metadata": {}, "status": "Failure", "reason": "NonZeroExitCode",
            "message": format!("command terminated with non-zero exit code: exit status {code}"),
            "details": { "causes": [{ "reason": "ExitCode", "message": code.to_string() }] },
        })
    };
    Executed { stdout, stderr, status, took }
}
