//! A request to the API server of a cluster, with all that can go wrong on its way.
//!
//! Entry point: [`Service::kubernetes`]. Faults name it `kubernetes:` and what it does to which kind: `ApplyDeployment`,
//! `CreateSecret`, `GetPod`, `ListNamespace`, `ExecPod`; `Discover` for what a server says of itself.

use super::auth::{self, Clock, rules};
use super::endpoint;
use super::objects::Objects;
use super::request::{Asked, Place, Verb};
use super::runs;
use super::schema::kinds;
use super::server::{self, Reply, Response};
use super::status::Refusal;
use super::watch::Watch;
use crate::sandbox::api::Context;
use crate::sandbox::istio;
use crate::sandbox::options::Throttle;
use crate::sandbox::service::{Admitted, Errand, Outcome, Service, Why};

/// The cluster that a request goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Home {
    pub(crate) region: String,
    pub(crate) cluster: String,
}

/// A request on its way.
struct Request<'a> {
    home: &'a Home,
    asked: &'a Asked,
    action: String,
    clock: ClockOf,
}

/// By which clock its token is good.
#[derive(Clone, Copy)]
enum ClockOf {
    World,
    Unknown,
}

impl ClockOf {
    fn at(self, now: jiff::Timestamp) -> Clock {
        match self {
            Self::World => Clock::Virtual(now),
            Self::Unknown => Clock::Unknown,
        }
    }
}

/// What is done in a pod.
#[derive(Debug, Clone)]
pub(crate) struct InPod<'a> {
    pub(crate) authorization: Option<&'a str>,
    pub(crate) namespace: &'a str,
    pub(crate) pod: &'a str,
    pub(crate) what: What<'a>,
}

/// Which of the things that can be done in a pod.
#[derive(Debug, Clone)]
pub(crate) enum What<'a> {
    /// A command in a container.
    Exec { container: &'a str, command: &'a [String] },
    /// A request to a port.
    Get { port: u16, path: &'a str },
}

/// What came of it.
#[derive(Debug)]
pub(crate) enum Done {
    Exec(istio::Executed),
    Get(istio::Got),
    /// The API server refused.
    Refused(Refusal),
}

struct InPodOf<'a> {
    home: &'a Home,
    what: &'a InPod<'a>,
    clock: ClockOf,
}

impl Service {
    /// The cluster that a host is of; `None` when there is none.
    pub(crate) fn home(&self, host: &str) -> Option<Home> {
        let state = self.state();
        endpoint::find(&state.world, host).map(|(region, cluster)| Home { region, cluster })
    }

    fn clock_of(&self) -> ClockOf {
        // Clients that are served make their tokens by the clock on the wall.
        if self.clock.is_flowing() { ClockOf::Unknown } else { ClockOf::World }
    }

    /// Answers one request.
    ///
    /// # Cancel safety
    /// As [`Service::carry`].
    pub(crate) async fn kubernetes(&self, home: &Home, asked: &Asked) -> Outcome<Reply> {
        let request = Request { home, asked, action: action(asked), clock: self.clock_of() };
        heard(self.carry(&request).await)
    }

    /// Does something in a pod.
    pub(crate) async fn in_pod(&self, home: &Home, what: &InPod<'_>) -> Outcome<Done> {
        let outcome = heard(self.carry(&InPodOf { home, what, clock: self.clock_of() }).await);
        if let Outcome::Answer(Done::Exec(executed)) = &outcome {
            self.clock.latency(executed.took).await;
        }
        outcome
    }

    /// The events of a watch since the last look, and whether there will be more.
    pub(crate) fn events(&self, home: &Home, watch: &mut Watch) -> (Vec<serde_json::Value>, bool) {
        let seen = self.look(|world, now| {
            let place = world.place(&home.region, now);
            let is_there = place.region.clusters.get(&home.cluster).is_some_and(|cluster| runs(cluster, now));
            is_there.then(|| watch.look(&Objects::of(place.region, &home.cluster, now)))
        });
        seen.ok().flatten().unwrap_or_default()
    }
}

/// Where nobody listens, nobody answers.
fn heard<T>(outcome: Outcome<Option<T>>) -> Outcome<T> {
    match outcome {
        Outcome::Answer(Some(answer)) => Outcome::Answer(answer),
        Outcome::Answer(None) | Outcome::Refused => Outcome::Refused,
        Outcome::Cut => Outcome::Cut,
    }
}

/// Runs something at a cluster whose server can be reached from outside.
fn at_server<T>(context: &mut Context<'_>, home: &Home, run: impl FnOnce(&mut Context<'_>) -> T) -> Option<T> {
    let now = context.now;
    let place = context.place();
    let cluster = place.region.clusters.get(&home.cluster)?;
    (runs(cluster, now) && cluster.public_access).then(|| run(context))
}

impl Errand for Request<'_> {
    type Answer = Option<Reply>;

    fn service(&self) -> &'static str {
        "kubernetes"
    }

    fn action(&self) -> &str {
        &self.action
    }

    fn region(&self) -> &str {
        &self.home.region
    }

    fn admit<'a>(&'a self, _: &'a Throttle) -> Result<Admitted<'a>, Self::Answer> {
        // A real server's limits are those of requests under way at once, of which each has its share.
        Ok(Admitted { operation: self.service(), limits: None, writes: self.asked.method != "GET" })
    }

    fn run(&self, context: &mut Context<'_>) -> (Self::Answer, bool) {
        let answer = at_server(context, self.home, |context| {
            let now = context.now;
            server::handle(&mut context.place(), &self.home.cluster, self.asked, now, self.clock.at(now))
        });
        let done = match &answer {
            Some(Reply::Whole(response)) => response.status < 300,
            Some(Reply::Watch(_)) | None => false,
        };
        (answer, done)
    }

    fn refuse(&self, why: Why<'_>) -> Self::Answer {
        Some(Reply::Whole(Response::refusal(&refusal(why))))
    }
}

fn refusal(why: Why<'_>) -> Refusal {
    match why {
        Why::Throttled => Refusal::throttled(),
        Why::Broken(why) => Refusal::internal(why),
        Why::Quota => Refusal::over_quota(),
    }
}

impl Errand for InPodOf<'_> {
    type Answer = Option<Done>;

    fn service(&self) -> &'static str {
        "kubernetes"
    }

    fn action(&self) -> &str {
        match self.what.what {
            What::Exec { .. } => "ExecPod",
            What::Get { .. } => "PortForwardPod",
        }
    }

    fn region(&self) -> &str {
        &self.home.region
    }

    fn admit<'a>(&'a self, _: &'a Throttle) -> Result<Admitted<'a>, Self::Answer> {
        Ok(Admitted { operation: self.service(), limits: None, writes: false })
    }

    fn run(&self, context: &mut Context<'_>) -> (Self::Answer, bool) {
        let answer = at_server(context, self.home, |context| self.done(context).unwrap_or_else(Done::Refused));
        (answer, false)
    }

    fn refuse(&self, why: Why<'_>) -> Self::Answer {
        Some(Done::Refused(refusal(why)))
    }
}

impl InPodOf<'_> {
    fn done(&self, context: &mut Context<'_>) -> Result<Done, Refusal> {
        let (now, InPod { authorization, namespace, pod, what }) = (context.now, self.what.clone());
        let subresource = match what {
            What::Exec { .. } => "exec",
            What::Get { .. } => "portforward",
        };
        let place = context.place();
        let objects = Objects::of(place.region, &self.home.cluster, now);
        let user = auth::authenticate(&objects, place.mint, authorization, self.clock.at(now))?;
        if let Some(kind) = kinds().iter().find(|kind| kind.is("", "pods")) {
            let target = Place {
                kind: kind.clone(),
                namespace: Some(namespace.to_owned()),
                name: pod.to_owned(),
                subresource: subresource.to_owned(),
            };
            // The stream begins with a GET, and rights are for making one.
            rules::check(&objects, &user, &target, Verb::Create, false)?;
        }
        let home = (self.home.region.as_str(), self.home.cluster.as_str());
        Ok(match what {
            What::Exec { container, command } => {
                let exec = istio::Exec { namespace, pod, container, command };
                Done::Exec(istio::exec(context.world, home, &exec, now))
            }
            What::Get { port, path } => {
                Done::Get(istio::get_in_pod(context.world, home, (namespace, pod, port), path, now))
            }
        })
    }
}

/// What faults call a request.
fn action(asked: &Asked) -> String {
    let parts: Vec<&str> = asked.path.split('/').filter(|part| !part.is_empty()).collect();
    let (["api", _, rest @ ..] | ["apis", _, _, rest @ ..]) = parts.as_slice() else {
        return "Discover".to_owned();
    };
    let rest = match rest {
        ["namespaces", _, what, ..] if !["status", "finalize"].contains(what) => rest.get(2..).unwrap_or_default(),
        _ => rest,
    };
    let Some(plural) = rest.first() else { return "Discover".to_owned() };
    let kind = kinds().iter().find(|kind| kind.plural == *plural);
    let kind = kind.map_or_else(|| capitalised(plural), |kind| kind.kind.clone());
    let is_named = rest.len() > 1;
    let is_apply = asked.content_type.starts_with("application/apply-patch");
    let verb = match asked.method.as_str() {
        "GET" if asked.flag("watch") => "Watch",
        "GET" if is_named => "Get",
        "GET" => "List",
        "POST" => "Create",
        "PUT" => "Update",
        "PATCH" if is_apply => "Apply",
        "PATCH" => "Patch",
        "DELETE" if is_named => "Delete",
        "DELETE" => "DeleteCollection",
        other => other,
    };
    let subresource = rest.get(2).map(|name| capitalised(name)).unwrap_or_default();
    format!("{verb}{kind}{subresource}")
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_name_what_is_done_to_which_kind() {
        let name = |method: &str, path: &str, content_type: &str| {
            action(&Asked {
                method: method.to_owned(),
                path: path.to_owned(),
                content_type: content_type.to_owned(),
                ..Asked::default()
            })
        };
        assert_eq!(name("GET", "/version", ""), "Discover");
        assert_eq!(name("GET", "/api/v1/namespaces", ""), "ListNamespace");
        assert_eq!(name("GET", "/api/v1/namespaces/a", ""), "GetNamespace");
        assert_eq!(name("POST", "/api/v1/namespaces/a/secrets", ""), "CreateSecret");
        let apply = "application/apply-patch+yaml";
        assert_eq!(name("PATCH", "/apis/apps/v1/namespaces/a/deployments/b", apply), "ApplyDeployment");
        assert_eq!(name("PUT", "/apis/apps/v1/namespaces/a/deployments/b/status", ""), "UpdateDeploymentStatus");
        assert_eq!(name("DELETE", "/apis/x.io/v1/gateways", ""), "DeleteCollectionGateways");
    }
}
