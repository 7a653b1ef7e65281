//! The errors of an API server, and their classes.
//!
//! The status code alone does not tell: a 409 may be a field that someone else manages, a stale version or a name that
//! is taken; a 403 a namespace that is going; a 500 a field of the wrong type, which no repetition mends.

use std::time::Duration;

use serde::Deserialize;
use serde_json::Value as Json;

use crate::resource::{ErrorClass, ProviderError};

use super::call::Call;

/// The code of an answer that says that the server knows no such kind (a `CustomResourceDefinition` that is not there).
pub(super) const NO_SUCH_KIND: &str = "NoSuchKind";
/// The code of an answer that says that there is no such object.
pub(super) const NOT_FOUND: &str = "NotFound";

/// An answer that is no success.
#[derive(Debug, Clone)]
pub(super) struct Refusal<'a> {
    pub(super) status: u16,
    pub(super) retry_after: Option<Duration>,
    /// The server's id of the request, which its audit log has too.
    pub(super) audit_id: Option<String>,
    pub(super) body: &'a [u8],
    /// Whether the cluster is so new that it may not know its callers yet.
    pub(super) is_new_cluster: bool,
}

/// What the server says of a failure.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Status {
    kind: String,
    message: String,
    reason: String,
    details: Option<Details>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Details {
    kind: String,
    causes: Vec<Cause>,
    #[serde(rename = "retryAfterSeconds")]
    retry_after_seconds: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Cause {
    reason: String,
    message: String,
    field: String,
}

/// The error that an answer means.
pub(super) fn classify(call: &Call, refusal: &Refusal<'_>) -> ProviderError {
    // Some answers are plain text, and a proxy's are HTML.
    let status: Option<Status> = serde_json::from_slice(refusal.body).ok().filter(|s: &Status| s.kind == "Status");
    let is_plain = status.is_none();
    let status = status.unwrap_or_else(|| Status { message: excerpt(refusal.body), ..Status::default() });
    let (class, code) = class_of(call, refusal, &status, is_plain);
    let asked = status.details.as_ref().map(|details| details.retry_after_seconds).filter(|seconds| *seconds > 0);
    ProviderError {
        class,
        operation: call.operation,
        code: Some(code),
        message: message(&status, class, refusal.status),
        request_id: refusal.audit_id.clone(),
        at: None,
        retry_after: refusal.retry_after.or(asked.map(Duration::from_secs)),
    }
}

fn class_of(call: &Call, refusal: &Refusal<'_>, status: &Status, is_plain: bool) -> (ErrorClass, String) {
    let has_cause = |reason: &str| status.details.iter().flat_map(|d| &d.causes).any(|cause| cause.reason == reason);
    let unless_reason = |code: &str| if status.reason.is_empty() { code.to_owned() } else { status.reason.clone() };
    let lost = if call.writes() { ErrorClass::Ambiguous } else { ErrorClass::Transient };
    let identity = if refusal.is_new_cluster { ErrorClass::NotYet } else { ErrorClass::Denied };
    match refusal.status {
        401 => (identity, unless_reason("Unauthorized")),
        403 if has_cause("NamespaceTerminating") => (ErrorClass::InUse, "NamespaceTerminating".to_owned()),
        403 if status.message.contains("exceeded quota") => (ErrorClass::Quota, unless_reason("Forbidden")),
        403 => (identity, unless_reason("Forbidden")),
        // Says a server that knows no such kind; one that does answers with a status.
        404 if is_plain => (ErrorClass::NotYet, NO_SUCH_KIND.to_owned()),
        // The namespace of what is to be written.
        404 if call.writes() && status.details.as_ref().is_some_and(|details| details.kind == "namespaces") => {
            (ErrorClass::NotYet, unless_reason(NOT_FOUND))
        }
        404 => (ErrorClass::Conflict, unless_reason(NOT_FOUND)),
        408 => (lost, unless_reason("Timeout")),
        409 if has_cause("FieldManagerConflict") => (ErrorClass::Conflict, "FieldManagerConflict".to_owned()),
        409 if status.reason == "AlreadyExists" => (ErrorClass::Conflict, "AlreadyExists".to_owned()),
        409 if status.message.contains("in the precondition") => (ErrorClass::Conflict, unless_reason("Conflict")),
        // Someone wrote in between, or the server is busy taking a namespace down: nothing was done.
        409 => (ErrorClass::Transient, unless_reason("Conflict")),
        410 => (ErrorClass::Transient, unless_reason("Expired")),
        429 => (ErrorClass::Throttled, unless_reason("TooManyRequests")),
        // The answer of an apply whose fields do not fit their types, and of nothing else.
        500 if status.message.contains("failed to create typed patch object") => {
            (ErrorClass::Invalid, unless_reason("Invalid"))
        }
        // A webhook that gets ready: the object was not written.
        500 if status.message.contains("failed calling webhook") => {
            (ErrorClass::NotYet, unless_reason("InternalError"))
        }
        503 => (ErrorClass::Transient, unless_reason("ServiceUnavailable")),
        500.. => (lost, unless_reason("InternalError")),
        _ => (ErrorClass::Invalid, unless_reason("Invalid")),
    }
}

fn message(status: &Status, class: ErrorClass, code: u16) -> String {
    let causes = status.details.as_ref().map(|details| details.causes.as_slice()).unwrap_or_default();
    let fields: Vec<&Cause> = causes.iter().filter(|cause| cause.reason == "FieldManagerConflict").collect();
    if !fields.is_empty() {
        return field_conflicts(&fields);
    }
    let mut text = if status.message.is_empty() { format!("it answered {code}") } else { status.message.clone() };
    match class {
        ErrorClass::Denied | ErrorClass::NotYet if code == 401 => text.push_str(
            ": the cluster does not know who is calling; on EKS, add an access entry for the caller (`admins` of the cluster)",
        ),
        ErrorClass::Denied if code == 403 => text.push_str(
            ": the caller has no permission in the cluster; on EKS, its access entry needs a policy that grants this",
        ),
        ErrorClass::Denied
        | ErrorClass::NotYet
        | ErrorClass::Throttled
        | ErrorClass::Transient
        | ErrorClass::Ambiguous
        | ErrorClass::InUse
        | ErrorClass::Busy
        | ErrorClass::Invalid
        | ErrorClass::Quota
        | ErrorClass::Conflict
        | ErrorClass::Bug => {}
    }
    text
}

/// Who manages which of the fields that were to be set, and what taking them over would mean.
fn field_conflicts(causes: &[&Cause]) -> String {
    let mut managers: Vec<(&str, Vec<&str>)> = Vec::new();
    for cause in causes {
        // `conflict with "kubectl-patch" using v1`
        let manager = cause.message.split('"').nth(1).unwrap_or(&cause.message);
        match managers.iter_mut().find(|(name, _)| *name == manager) {
            Some((_, fields)) => fields.push(&cause.field),
            None => managers.push((manager, vec![&cause.field])),
        }
    }
    let managed: Vec<String> =
        managers.iter().map(|(manager, fields)| format!("{} (managed by `{manager}`)", fields.join(", "))).collect();
    let (count, those) = if causes.len() == 1 { ("a field is", "it") } else { ("fields are", "them") };
    format!(
        "{count} managed by someone else: {}; declare {those} no longer, or take {those} over with `--force-conflicts`",
        managed.join(", ")
    )
}

/// What went wrong before there was an answer.
pub(super) fn unanswered(call: &Call, error: &kube::Error, endpoint: &str) -> ProviderError {
    let text = chain(error);
    let (class, text) = if text.contains("invalid peer certificate") {
        let why = "its certificate is not signed by the authority that the cluster names";
        (ErrorClass::Denied, format!("{endpoint} is not the cluster, or something stands in between: {why} ({text})"))
    } else if is_before_sending(error) {
        let way = "is the endpoint reachable from here (public access and its address ranges, a VPN)?";
        (ErrorClass::Transient, format!("cannot connect to {endpoint}: {text}; {way}"))
    } else if matches!(error, kube::Error::Auth(_)) {
        (ErrorClass::Denied, format!("cannot prove to {endpoint} who is calling: {text}"))
    } else if call.writes() {
        (ErrorClass::Ambiguous, format!("the answer of {endpoint} was lost: {text}"))
    } else {
        (ErrorClass::Transient, format!("{endpoint} did not answer: {text}"))
    };
    ProviderError::new(class, call.operation, text)
}

/// The error of a request whose way to the cluster ended before the answer came.
pub(super) fn cut(call: &Call, error: &std::io::Error, endpoint: &str) -> ProviderError {
    let (class, text) = if error.kind() == std::io::ErrorKind::ConnectionRefused {
        (ErrorClass::Transient, format!("cannot connect to {endpoint}: {error}"))
    } else if call.writes() {
        (ErrorClass::Ambiguous, format!("the answer of {endpoint} was lost: {error}"))
    } else {
        (ErrorClass::Transient, format!("{endpoint} did not answer: {error}"))
    };
    ProviderError::new(class, call.operation, text)
}

/// Whether the connection could not be made, so that nothing was asked.
fn is_before_sending(error: &kube::Error) -> bool {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<hyper_util::client::legacy::Error>() {
            return error.is_connect();
        }
        next = error.source();
    }
    false
}

/// An error and what it comes from, each once.
fn chain(error: &kube::Error) -> String {
    let mut text = String::new();
    let mut next: Option<&(dyn std::error::Error + 'static)> = std::error::Error::source(error);
    while let Some(error) = next {
        let said = error.to_string();
        if !text.contains(&said) {
            if !text.is_empty() {
                text.push_str(": ");
            }
            text.push_str(&said);
        }
        next = error.source();
    }
    if text.is_empty() { error.to_string() } else { text }
}

/// The answer was a success, and its body is not what it should be: what a write did is not known.
pub(super) fn unusable(call: &Call, error: &dyn std::fmt::Display) -> ProviderError {
    let class = if call.writes() { ErrorClass::Ambiguous } else { ErrorClass::Transient };
    ProviderError::new(class, call.operation, format!("the answer is not whole: {error}"))
}

/// The first words of a body that is no status.
fn excerpt(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    text.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(200).collect()
}

/// Whether a status says that it all went well: the answer of a delete that needs no waiting.
pub(super) fn is_success(answer: &Json) -> bool {
    answer.get("kind").and_then(Json::as_str) == Some("Status")
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;

    fn error(method: Method, status: u16, body: &str) -> ProviderError {
        refused(method, status, body, false)
    }

    fn refused(method: Method, status: u16, body: &str, is_new_cluster: bool) -> ProviderError {
        let call = Call { operation: "kubernetes:Apply", method, path: "/".to_owned(), body: None };
        let body = body.as_bytes();
        classify(&call, &Refusal { status, retry_after: None, audit_id: None, body, is_new_cluster })
    }

    #[test]
    fn not_every_409_is_a_field_conflict() {
        let said = r#"{"kind":"Status","status":"Failure","message":"Apply failed with 3 conflicts","reason":"Conflict","details":{"causes":[
            {"reason":"FieldManagerConflict","message":"conflict with \"kubectl-patch\" using v1","field":".data.a"},
            {"reason":"FieldManagerConflict","message":"conflict with \"helm\"","field":".data.b"},
            {"reason":"FieldManagerConflict","message":"conflict with \"kubectl-patch\" using v1","field":".data.c"}]},"code":409}"#;
        let conflict = error(Method::PATCH, 409, said);
        assert_eq!(conflict.class, ErrorClass::Conflict);
        assert_eq!(
            conflict.to_string(),
            "kubernetes:Apply: FieldManagerConflict: fields are managed by someone else: .data.a, .data.c (managed by \
             `kubectl-patch`), .data.b (managed by `helm`); declare them no longer, or take them over with `--force-conflicts`"
        );
        let stale = r#"{"kind":"Status","reason":"Conflict","message":"Operation cannot be fulfilled on configmaps \"x\": the object has been modified","details":{"name":"x","kind":"configmaps"}}"#;
        assert_eq!(error(Method::PATCH, 409, stale).class, ErrorClass::Transient);
        let taken = r#"{"kind":"Status","reason":"AlreadyExists","message":"configmaps \"x\" already exists"}"#;
        assert_eq!(error(Method::POST, 409, taken).class, ErrorClass::Conflict);
        let other = r#"{"kind":"Status","reason":"Conflict","message":"the UID in the precondition (a) does not match the UID in record (b)"}"#;
        assert_eq!(error(Method::DELETE, 409, other).class, ErrorClass::Conflict);
    }

    #[test]
    fn a_500_that_no_repetition_mends_is_invalid() {
        let typed = r#"{"kind":"Status","status":"Failure","message":"failed to create typed patch object (/x; /v1, Kind=ConfigMap): .dataa: field not declared in schema","code":500}"#;
        assert_eq!(error(Method::PATCH, 500, typed).class, ErrorClass::Invalid);
        let webhook = r#"{"kind":"Status","reason":"InternalError","message":"Internal error occurred: failed calling webhook \"validation.istio.io\": no endpoints available"}"#;
        assert_eq!(error(Method::PATCH, 500, webhook).class, ErrorClass::NotYet);
        let any = r#"{"kind":"Status","message":"etcdserver: request timed out"}"#;
        assert_eq!(error(Method::PATCH, 500, any).class, ErrorClass::Ambiguous);
        assert_eq!(error(Method::GET, 500, any).class, ErrorClass::Transient);
        assert_eq!(error(Method::PATCH, 503, "<html>busy</html>").class, ErrorClass::Transient);
    }

    #[test]
    fn absence_of_a_kind_a_namespace_and_an_object_differ() {
        let kind = error(Method::PATCH, 404, "404 page not found\n");
        assert_eq!((kind.class, kind.has_code(NO_SUCH_KIND)), (ErrorClass::NotYet, true));
        let namespace = r#"{"kind":"Status","message":"namespaces \"nope\" not found","reason":"NotFound","details":{"name":"nope","kind":"namespaces"}}"#;
        assert_eq!(error(Method::PATCH, 404, namespace).class, ErrorClass::NotYet);
        let object = error(Method::GET, 404, &namespace.replace("namespaces", "configmaps"));
        assert_eq!((object.class, object.has_code(NOT_FOUND)), (ErrorClass::Conflict, true));
    }

    #[test]
    fn a_refusal_of_the_caller_may_pass_only_while_the_cluster_is_new() {
        let unknown = r#"{"kind":"Status","message":"Unauthorized","reason":"Unauthorized","code":401}"#;
        assert_eq!(error(Method::GET, 401, unknown).class, ErrorClass::Denied);
        assert_eq!(refused(Method::GET, 401, unknown, true).class, ErrorClass::NotYet);
        let forbidden =
            r#"{"kind":"Status","message":"secrets is forbidden: User \"x\" cannot list","reason":"Forbidden"}"#;
        let denied = error(Method::GET, 403, forbidden);
        assert_eq!(denied.class, ErrorClass::Denied);
        assert!(denied.message.ends_with("its access entry needs a policy that grants this"), "{denied}");
        assert_eq!(refused(Method::GET, 403, forbidden, true).class, ErrorClass::NotYet);
        let going = r#"{"kind":"Status","message":"unable to create new content in namespace x because it is being terminated","reason":"Forbidden","details":{"causes":[{"reason":"NamespaceTerminating"}]}}"#;
        assert_eq!(refused(Method::PATCH, 403, going, true).class, ErrorClass::InUse);
        let quota = forbidden.replace("cannot list", "exceeded quota: pods");
        assert_eq!(error(Method::PATCH, 403, &quota).class, ErrorClass::Quota);
    }

    #[test]
    fn a_server_that_is_busy_says_for_how_long() {
        let busy =
            r#"{"kind":"Status","reason":"TooManyRequests","message":"slow down","details":{"retryAfterSeconds":7}}"#;
        let error = error(Method::GET, 429, busy);
        assert_eq!((error.class, error.retry_after), (ErrorClass::Throttled, Some(Duration::from_secs(7))));
    }
}
