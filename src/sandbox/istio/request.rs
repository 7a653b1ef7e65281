//! One request from a pod to a Service, through the mesh: by its proxy, gateways and load balancers to a pod, or to what
//! stops it on the way.

use std::time::Duration;

use serde_json::Value;

use super::endpoints::{Backend, Endpoint, Sight, local, network_of, serving};
use super::reach::{self, Failure};
use super::trust;
use super::view::{Cluster, environment, has_proxy, is_ready, label, list, selects, text};
use crate::sandbox::world::World;

/// How long a request takes that is answered: the sample computes a little.
const ANSWER: Duration = Duration::from_millis(60);
/// How long one takes that somebody refuses.
const REFUSAL: Duration = Duration::from_millis(4);
/// How long a proxy, or the system, waits for a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// What comes of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Outcome {
    /// An HTTP answer: status and body.
    Answer(u16, String),
    /// No connection.
    Failed(Failure),
    /// The connection was made and ended at once.
    Reset,
}

/// A client that sends requests to one Service.
pub(super) struct Client<'w> {
    world: &'w World,
    cluster: Cluster<'w>,
    pod: &'w Value,
    service: (String, String, u16),
    /// Where its requests go, in turns.
    turns: Vec<Endpoint<'w>>,
}

impl<'w> Client<'w> {
    /// A pod as a client of a port of a Service, which is declared in its cluster.
    pub(super) fn new(world: &'w World, cluster: Cluster<'w>, pod: &'w Value, service: (&str, &str, u16)) -> Self {
        let endpoints = if has_proxy(pod) {
            // What its proxy was told stays when no istiod is left to tell it anew: then nothing new is known.
            serving(cluster, pod)
                .map(|istiod| Sight::of(world, cluster, istiod).endpoints(pod, service))
                .unwrap_or_default()
        } else {
            let direct = |backend: Backend<'w>| backend.endpoint();
            local(cluster, service).into_iter().map(direct).collect()
        };
        let turns = endpoints.into_iter().flat_map(|one| std::iter::repeat_n(one.clone(), one.weight)).collect();
        let (namespace, name, port) = service;
        Self { world, cluster, pod, service: (namespace.to_owned(), name.to_owned(), port), turns }
    }

    /// Sends a request; `turn` counts them. Answers what comes of it, and how long that takes.
    pub(super) fn send(&self, turn: usize, path: &str) -> (Outcome, Duration) {
        let by_proxy = has_proxy(self.pod);
        let Some(endpoint) = turn.checked_rem(self.turns.len()).and_then(|turn| self.turns.get(turn)) else {
            // A proxy knows that there is nobody; without one the Service's address refuses.
            let nobody = if by_proxy {
                Outcome::Answer(503, "no healthy upstream".to_owned())
            } else {
                Outcome::Failed(Failure::Refused)
            };
            return (nobody, REFUSAL);
        };
        let end = match endpoint.pod {
            Some((there, server)) => self.directly(there, server, endpoint.port),
            None => self.through(endpoint, turn),
        };
        match end {
            Ok((there, server)) if by_proxy && has_proxy(server) && !trust::is_mutual(self.cluster, there) => (
                unavailable(
                    "remote connection failure, transport failure reason: TLS_error:|268435581:SSL routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED:TLS_error_end",
                ),
                REFUSAL,
            ),
            // A server that takes mTLS alone ends the connection.
            Ok((there, server)) if !by_proxy && has_proxy(server) && is_strict(there, server) => {
                (Outcome::Reset, REFUSAL)
            }
            Ok((_, server)) => (answer(server, path), ANSWER),
            Err(failure) => failed(failure, by_proxy),
        }
    }

    fn directly(&self, there: Cluster<'w>, server: &'w Value, port: u16) -> Result<(Cluster<'w>, &'w Value), Failure> {
        reach::direct(self.world, (self.cluster, self.pod), (there, server), port)?;
        Ok((there, server))
    }

    /// Through a gateway, which knows the pods of its own network alone.
    fn through(&self, endpoint: &Endpoint<'w>, turn: usize) -> Result<(Cluster<'w>, &'w Value), Failure> {
        let to = (endpoint.address, endpoint.port);
        let (there, gateway) = reach::through_balancer(self.world, self.cluster, self.pod, to)?;
        if !opens(there, gateway, endpoint.port) {
            return Err(Failure::Refused);
        }
        let istiod = serving(there, gateway).ok_or(Failure::Refused)?;
        let (namespace, name, port) = &self.service;
        let network = network_of(there, gateway);
        let backends = Sight::of(self.world, there, istiod).backends((namespace, name, *port));
        let backends: Vec<Backend<'w>> =
            backends.into_iter().filter(|backend| backend.network == network && has_proxy(backend.pod)).collect();
        let turn = turn / self.turns.len().max(1);
        let backend = turn.checked_rem(backends.len()).and_then(|turn| backends.get(turn)).ok_or(Failure::Refused)?;
        reach::direct(self.world, (there, gateway), (backend.cluster, backend.pod), endpoint.port)?;
        Ok((backend.cluster, backend.pod))
    }
}

/// Whether a gateway's proxy listens on a port for other networks: whether a Gateway object of its cluster says so.
fn opens(cluster: Cluster<'_>, gateway: &Value, port: u16) -> bool {
    let serves = |object: &Value| {
        list(object, "/spec/servers").iter().any(|server| {
            server.pointer("/port/number").and_then(Value::as_u64) == Some(u64::from(port))
                && text(server, "/tls/mode") == "AUTO_PASSTHROUGH"
                && list(server, "/hosts").iter().filter_map(Value::as_str).any(|host| matches!(host, "*.local" | "*"))
        })
    };
    has_proxy(gateway)
        && is_ready(gateway)
        && cluster
            .list("networking.istio.io", "gateways", None)
            .into_iter()
            .any(|object| selects(object.pointer("/spec/selector"), gateway) && serves(object))
}

/// Whether a server takes mTLS alone: a policy of its namespace, or of the mesh.
fn is_strict(cluster: Cluster<'_>, server: &Value) -> bool {
    let policies = |namespace: &str| {
        let all = cluster.list("security.istio.io", "peerauthentications", Some(namespace)).into_iter();
        let mode = all.filter(|one| one.pointer("/spec/selector").is_none()).map(|one| text(one, "/spec/mtls/mode"));
        mode.map(str::to_owned).next()
    };
    let own = policies(text(server, "/metadata/namespace")).filter(|mode| !mode.is_empty());
    own.or_else(|| policies(super::view::SYSTEM)).as_deref() == Some("STRICT")
}

/// What the sample answers.
fn answer(server: &Value, path: &str) -> Outcome {
    let container = list(server, "/spec/containers").iter().find(|one| text(one, "/image").contains("helloworld"));
    let Some(container) = container else { return Outcome::Failed(Failure::Refused) };
    match path {
        "/hello" => {
            let environment = environment(server, text(container, "/name"));
            let given = environment.get("SERVICE_VERSION").copied().filter(|version| !version.is_empty());
            let version = given.or_else(|| label(server, "version")).unwrap_or("unknown");
            let instance = text(server, "/metadata/name");
            Outcome::Answer(200, format!("Hello version: {version}, instance: {instance}\n"))
        }
        "/health" => Outcome::Answer(200, "Helloworld is healthy".to_owned()),
        _ => Outcome::Answer(
            404,
            "<!doctype html>\n<html lang=en>\n<title>404 Not Found</title>\n<h1>Not Found</h1>\n".to_owned(),
        ),
    }
}

fn unavailable(reason: &str) -> Outcome {
    Outcome::Answer(503, format!("upstream connect error or disconnect/reset before headers. reset reason: {reason}"))
}

/// What a client sees of a connection that is not made: an answer of its proxy's, if it has one.
fn failed(failure: Failure, by_proxy: bool) -> (Outcome, Duration) {
    let took = if failure == Failure::Timeout { CONNECT } else { REFUSAL };
    if !by_proxy {
        return (Outcome::Failed(failure), took);
    }
    let outcome = match failure {
        Failure::Refused => unavailable(
            "remote connection failure, transport failure reason: delayed connect error: Connection refused",
        ),
        Failure::Timeout => unavailable("connection timeout"),
        Failure::Unreachable => unavailable(
            "remote connection failure, transport failure reason: immediate connect error: Network is unreachable",
        ),
    };
    (outcome, took)
}
