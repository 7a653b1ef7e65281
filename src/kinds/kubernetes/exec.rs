//! Runs a command in a container of a pod, as `kubectl exec` does, without kubectl.
//!
//! Entry point: [`Kube::exec`]. Real API servers speak the `channel.k8s.io` protocol (versions 5 and 4) over a WebSocket: the
//! first byte of each message says which stream it belongs to. Nothing is spawned: dropping the future closes the
//! connection, and the kubelet ends the command. There is no standard input and no terminal.

use futures_util::StreamExt;
use http::Method;
use serde_json::{Value as Json, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::resource::{ErrorClass, Exec, Executed, ProviderError};

use super::call::{Call, at, escape, text_at};
use super::client::{Kube, Wire};
use super::error::{Refusal, classify, cut};

const EXEC: &str = "kubernetes:Exec";

/// How much a command may write: what is run here answers in lines.
const MAX_OUTPUT: usize = 4 << 20;

/// The streams of the protocol.
const STDOUT: u8 = 1;
const STDERR: u8 = 2;
const STATUS: u8 = 3;

/// What came of a command that ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// What it wrote to its standard output.
    pub stdout: String,
    /// What it wrote to its standard error.
    pub stderr: String,
    /// Its exit code.
    pub exit_code: i32,
}

impl Kube {
    /// Runs a command in a container. It has no time limit: the caller drops the future.
    ///
    /// A command that failed is no error; that it could not be run is one.
    pub async fn exec(
        &self,
        namespace: &str,
        pod: &str,
        container: &str,
        command: &[&str],
    ) -> Result<Ran, ProviderError> {
        let call = call(namespace, pod, container, command);
        let executed = match self.wire() {
            Wire::Network(client) => {
                let request = self.request(&as_sent(&call)).await?;
                let connection = client.connect(request).await.map_err(|error| self.refused(&call, &error))?;
                converse(connection.into_stream()).await.map_err(|why| lost(&call, self.endpoint(), &why))?
            }
            Wire::Route(route) => {
                let exec = Exec {
                    authorization: self.authorization().await?,
                    namespace: namespace.to_owned(),
                    pod: pod.to_owned(),
                    container: container.to_owned(),
                    command: command.iter().map(ToString::to_string).collect(),
                };
                let answer = route.exec(self.endpoint(), exec).await;
                answer.map_err(|error| cut(&call, &error, self.endpoint()))?
            }
        };
        ended(&call, executed)
    }
}

/// What is called. A command may change something, so a lost answer leaves open what it did.
fn call(namespace: &str, pod: &str, container: &str, command: &[&str]) -> Call {
    let mut path = format!(
        "/api/v1/namespaces/{}/pods/{}/exec?container={}&stdout=true&stderr=true",
        escape(namespace),
        escape(pod),
        escape(container)
    );
    for word in command {
        path.push_str("&command=");
        path.push_str(&escape(word));
    }
    Call { operation: EXEC, method: Method::POST, path, body: None }
}

/// A WebSocket begins with a GET, whatever it is for.
fn as_sent(call: &Call) -> Call {
    Call { method: Method::GET, ..call.clone() }
}

fn lost(call: &Call, endpoint: &str, why: &str) -> ProviderError {
    ProviderError::new(ErrorClass::Ambiguous, call.operation, format!("the answer of {endpoint} was lost: {why}"))
}

/// Takes in what the command writes, until its status comes.
async fn converse<S>(mut stream: WebSocketStream<S>) -> Result<Executed, String>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    while let Some(message) = stream.next().await {
        let bytes = match message.map_err(|error| error.to_string())? {
            Message::Binary(bytes) => bytes,
            Message::Close(_) => break,
            Message::Text(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => continue,
        };
        let Some((channel, bytes)) = bytes.split_first() else { continue };
        match *channel {
            STDOUT => stdout.extend_from_slice(bytes),
            STDERR => stderr.extend_from_slice(bytes),
            STATUS => {
                let status = serde_json::from_slice(bytes).map_err(|error| format!("its status is none: {error}"))?;
                return Ok(Executed { stdout, stderr, status });
            }
            // Version 5 closes streams one by one, which says nothing more than the status does.
            _ => {}
        }
        if stdout.len() + stderr.len() > MAX_OUTPUT {
            return Err(format!("the command wrote more than {} MiB", MAX_OUTPUT >> 20));
        }
    }
    Err("the connection ended before the command did".to_owned())
}

/// What a status means: an exit code, or that the command could not be run.
fn ended(call: &Call, executed: Executed) -> Result<Ran, ProviderError> {
    let Executed { stdout, stderr, status } = executed;
    let ran = |exit_code| Ran { stdout: lossy(&stdout), stderr: lossy(&stderr), exit_code };
    if text_at(&status, &["status"]) == Some("Success") {
        return Ok(ran(0));
    }
    if text_at(&status, &["reason"]) == Some("NonZeroExitCode") {
        let causes =
            at(&status, &["details", "causes"]).and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default();
        let code = causes.iter().find(|cause| text_at(cause, &["reason"]) == Some("ExitCode"));
        if let Some(code) = code.and_then(|cause| text_at(cause, &["message"])?.parse().ok()) {
            return Ok(ran(code));
        }
    }
    let code = status.get("code").and_then(Json::as_u64).and_then(|code| u16::try_from(code).ok()).unwrap_or(500);
    Err(refusal(call, code, &status))
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The error that a refusal means, with what its way out is.
fn refusal(call: &Call, code: u16, status: &Json) -> ProviderError {
    let mut status = status.clone();
    if let Some(fields) = status.as_object_mut() {
        // Clients that parsed it leave the kind out.
        fields.insert("kind".to_owned(), json!("Status"));
    }
    let body = status.to_string();
    let refusal =
        Refusal { status: code, retry_after: None, audit_id: None, body: body.as_bytes(), is_new_cluster: false };
    let mut error = classify(call, &refusal);
    let said = text_at(&status, &["message"]).unwrap_or_default();
    match code {
        403 => {
            let resource = if call.operation == EXEC { "pods/exec" } else { "pods/portforward" };
            error.message.push_str(": it takes `create` on ");
            error.message.push_str(resource);
            error.message.push_str(" (before Kubernetes 1.35 `get`)");
        }
        // The pod is still being scheduled, or its container is not running yet.
        400 if said.contains("does not have a host assigned") => {
            error.class = ErrorClass::NotYet;
            error.message.push_str(": the pod is not on a node yet");
        }
        500 if said.contains("container not found") || said.contains("container is not created or running") => {
            error.class = ErrorClass::NotYet;
            error.message.push_str(": the container is not running");
        }
        // The last: the node has told no address yet.
        _ if ["error dialing backend", "unable to upgrade connection", "no preferred addresses found"]
            .iter()
            .any(|text| said.contains(text)) =>
        {
            error.class = ErrorClass::Transient;
            error.message.push_str(": the API server does not reach the node's kubelet (port 10250)");
        }
        _ => {}
    }
    error
}

impl Kube {
    /// The error of a WebSocket that was not opened.
    pub(super) fn refused(&self, call: &Call, error: &kube::Error) -> ProviderError {
        if let kube::Error::Api(status) = &error {
            return match serde_json::to_value(status) {
                Ok(answer) => refusal(call, status.code, &answer),
                Err(error) => ProviderError::bug(call.operation, error.to_string()),
            };
        }
        if matches!(error, kube::Error::UpgradeConnection(_)) {
            let message = format!(
                "{} does not open a WebSocket ({error}): it takes Kubernetes 1.30 or newer, and no proxy in between that ends them",
                self.endpoint()
            );
            return ProviderError::new(ErrorClass::Invalid, call.operation, message);
        }
        super::error::unanswered(&as_sent(call), error, self.endpoint())
    }
}

/// The error of a refusal that came in a body, where a pod's answer was expected.
pub(super) fn refused_by_api(call: &Call, body: &[u8]) -> Option<ProviderError> {
    let status: Json = serde_json::from_slice(body).ok()?;
    let is_refusal = text_at(&status, &["kind"]) == Some("Status")
        && text_at(&status, &["apiVersion"]) == Some("v1")
        && text_at(&status, &["status"]) == Some("Failure");
    let code = status.get("code").and_then(Json::as_u64).and_then(|code| u16::try_from(code).ok())?;
    is_refusal.then(|| refusal(call, code, &status))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn executed(status: Json) -> Executed {
        Executed { stdout: b"out".to_vec(), stderr: b"err".to_vec(), status }
    }

    fn of(status: Json) -> Result<Ran, ProviderError> {
        ended(&call("sample", "curl-1", "curl", &["curl", "-sS", "a b"]), executed(status))
    }

    #[test]
    fn a_command_is_words_of_a_query() {
        assert_eq!(
            call("sample", "curl-1", "curl", &["curl", "-w", "%{http_code}\n"]).path,
            "/api/v1/namespaces/sample/pods/curl-1/exec?container=curl&stdout=true&stderr=true&command=curl&command=-w&command=%25%7Bhttp_code%7D%0A"
        );
    }

    #[test]
    fn a_status_is_an_exit_code_or_says_that_nothing_ran() {
        let ran = of(json!({ "metadata": {}, "status": "Success" })).unwrap();
        assert_eq!(ran, Ran { stdout: "out".to_owned(), stderr: "err".to_owned(), exit_code: 0 });
        let ran = of(json!({
            "metadata": {}, "status": "Failure", "message": "command terminated with non-zero exit code: exit status 7",
            "reason": "NonZeroExitCode", "details": { "causes": [{ "reason": "ExitCode", "message": "7" }] }
        }));
        assert_eq!(ran.unwrap().exit_code, 7);
        let error = of(json!({
            "metadata": {}, "status": "Failure", "reason": "InternalError", "code": 500,
            "message": "Internal error occurred: unable to upgrade connection: container not found (\"curl\")"
        }));
        assert_eq!(error.unwrap_err().class, ErrorClass::NotYet);
        let error = of(json!({
            "status": "Failure", "reason": "BadRequest", "code": 400,
            "message": "container nope is not valid for pod curl-1"
        }));
        let error = error.unwrap_err();
        assert_eq!((error.class, error.code.as_deref()), (ErrorClass::Invalid, Some("BadRequest")));
    }

    #[test]
    fn a_refusal_names_the_permission() {
        let error = of(json!({
            "status": "Failure", "reason": "Forbidden", "code": 403,
            "message": "pods \"curl-1\" is forbidden: User \"x\" cannot create resource \"pods/exec\" in API group \"\" in the namespace \"sample\""
        }));
        let error = error.unwrap_err();
        assert_eq!(error.class, ErrorClass::Denied);
        assert!(error.message.ends_with("it takes `create` on pods/exec (before Kubernetes 1.35 `get`)"), "{error}");
    }
}
