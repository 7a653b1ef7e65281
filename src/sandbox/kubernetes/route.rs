//! The way into clusters' API servers for whoever is in this process.
//!
//! Entry point: [`Clusters`], which [`Sandbox::kubernetes`](crate::sandbox::Sandbox::kubernetes) hands out. Requests go
//! through latency, faults and fuses as if they came over a network; its futures run inside of `Sandbox::drive`.

use std::fmt;
use std::io::{Error, ErrorKind};
use std::sync::Arc;

use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, USER_AGENT};
use serde_json::Value;

use super::endpoint;
use super::request::Asked;
use super::server::{Reply, Response};
use super::service::{Done, Home, InPod, What};
use crate::sandbox::istio::Got;
use crate::sandbox::service::{Outcome, Service};

/// The API servers of all clusters.
#[derive(Clone)]
pub struct Clusters {
    service: Arc<Service>,
}

impl fmt::Debug for Clusters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clusters(sandbox)")
    }
}

/// What came of a command in a container.
#[derive(Debug, Clone, PartialEq)]
pub struct Executed {
    /// What it wrote to its standard output.
    pub stdout: Vec<u8>,
    /// What it wrote to its standard error.
    pub stderr: Vec<u8>,
    /// The `Status` that the API ends it with, or refuses it with.
    pub status: Value,
}

/// A pod, and who asks for it.
#[derive(Debug, Clone, Copy)]
pub struct Pod<'a> {
    /// The caller's `Authorization` header; `None` for nobody.
    pub authorization: Option<&'a str>,
    /// The pod's namespace.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
}

impl Clusters {
    pub(crate) fn new(service: Arc<Service>) -> Self {
        Self { service }
    }

    /// Whether an endpoint is one of EKS's: in the sandbox all of those are simulated.
    pub fn leads_to(&self, endpoint: &str) -> bool {
        endpoint::is_of_eks(endpoint)
    }

    fn home(&self, endpoint: &str) -> Result<Home, Error> {
        endpoint::host(endpoint).and_then(|host| self.service.home(host)).ok_or_else(refused)
    }

    /// Sends one request, whose URI is a path and a query. A watch answers what there is, and ends.
    ///
    /// # Errors
    /// When the connection is refused or cut.
    pub async fn send(
        &self,
        endpoint: &str,
        request: http::Request<Vec<u8>>,
    ) -> Result<http::Response<Vec<u8>>, Error> {
        let home = self.home(endpoint)?;
        match heard(self.service.kubernetes(&home, &asked(request)).await)? {
            Reply::Whole(response) => answered(response),
            Reply::Watch(mut watch) => {
                let (events, _) = self.service.events(&home, &mut watch);
                let body = events.iter().flat_map(|event| format!("{event}\n").into_bytes()).collect();
                answered(Response { status: 200, content_type: "application/json", body, warnings: Vec::new() })
            }
        }
    }

    /// Runs a command in a container.
    ///
    /// # Errors
    /// When the connection is refused or cut.
    pub async fn exec(
        &self,
        endpoint: &str,
        pod: Pod<'_>,
        container: &str,
        command: &[String],
    ) -> Result<Executed, Error> {
        let home = self.home(endpoint)?;
        let what = What::Exec { container, command };
        match heard(self.service.in_pod(&home, &in_pod(pod, what)).await)? {
            Done::Exec(done) => Ok(Executed { stdout: done.stdout, stderr: done.stderr, status: done.status }),
            Done::Refused(refusal) => Ok(Executed { stdout: Vec::new(), stderr: Vec::new(), status: refusal.status() }),
            Done::Get(_) => Err(Error::other("a command was answered as a request")),
        }
    }

    /// Makes a request of a pod's port, as through the API's `portforward`.
    ///
    /// # Errors
    /// When the connection is refused or cut, or nobody listens on the port.
    pub async fn get_in_pod(
        &self,
        endpoint: &str,
        pod: Pod<'_>,
        port: u16,
        path: &str,
    ) -> Result<http::Response<Vec<u8>>, Error> {
        let home = self.home(endpoint)?;
        let what = What::Get { port, path };
        let plain =
            |status, body| answered(Response { status, content_type: "application/json", body, warnings: Vec::new() });
        match heard(self.service.in_pod(&home, &in_pod(pod, what)).await)? {
            Done::Get(Got::Answer(status, body)) => plain(status, body),
            Done::Get(Got::Refused(status)) => {
                let code = status["code"].as_u64().and_then(|code| u16::try_from(code).ok()).unwrap_or(500);
                plain(code, status.to_string().into_bytes())
            }
            Done::Get(Got::Closed(why)) => Err(Error::new(ErrorKind::ConnectionReset, why)),
            Done::Refused(refusal) => answered(Response::refusal(&refusal)),
            Done::Exec(_) => Err(Error::other("a request was answered as a command")),
        }
    }
}

fn in_pod<'a>(pod: Pod<'a>, what: What<'a>) -> InPod<'a> {
    InPod { authorization: pod.authorization, namespace: pod.namespace, pod: pod.name, what }
}

fn refused() -> Error {
    Error::new(ErrorKind::ConnectionRefused, "connection refused (sandbox)")
}

fn heard<T>(outcome: Outcome<T>) -> Result<T, Error> {
    match outcome {
        Outcome::Answer(answer) => Ok(answer),
        Outcome::Refused => Err(refused()),
        Outcome::Cut => Err(Error::new(ErrorKind::ConnectionReset, "connection reset (sandbox fault)")),
    }
}

/// A request as the server reads it.
pub(crate) fn asked(request: http::Request<Vec<u8>>) -> Asked {
    let (head, body) = request.into_parts();
    let header =
        |name: HeaderName| head.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned();
    Asked {
        method: head.method.as_str().to_owned(),
        path: head.uri.path().to_owned(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        authorization: Some(header(AUTHORIZATION)).filter(|text| !text.is_empty()),
        accept: header(ACCEPT),
        content_type: header(CONTENT_TYPE),
        user_agent: header(USER_AGENT),
        body,
    }
}

/// An answer as clients read it.
fn answered(response: Response) -> Result<http::Response<Vec<u8>>, Error> {
    let mut answer = http::Response::builder().status(response.status).header(CONTENT_TYPE, response.content_type);
    for warning in &response.warnings {
        if let Ok(value) = HeaderValue::from_str(&warning_header(warning)) {
            answer = answer.header("warning", value);
        }
    }
    answer.body(response.body).map_err(Error::other)
}

/// A warning as a header has it: code 299, no agent, and the text.
pub(crate) fn warning_header(text: &str) -> String {
    format!("299 - {text:?}")
}
