//! Refusals, in the form and words of a real API server.
//!
//! Entry point: [`Refusal`]. The texts are those of `k8s.io/apimachinery/pkg/api/errors`, which clients parse.

use serde_json::{Map, Value, json};

use super::schema::Kind;

/// Why a request is not answered as asked.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Refusal {
    pub(crate) code: u16,
    reason: &'static str,
    message: String,
    details: Map<String, Value>,
}

/// What is wrong with a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cause {
    reason: &'static str,
    message: String,
    field: String,
}

impl Cause {
    /// A field that must be there and is not.
    pub(crate) fn required(field: impl Into<String>, why: &str) -> Self {
        let message = if why.is_empty() { "Required value".to_owned() } else { format!("Required value: {why}") };
        Self { reason: "FieldValueRequired", message, field: field.into() }
    }

    /// A value that cannot be.
    pub(crate) fn invalid(field: impl Into<String>, value: &Value, why: &str) -> Self {
        Self { reason: "FieldValueInvalid", message: format!("Invalid value: {value}: {why}"), field: field.into() }
    }

    /// A value that may not be.
    pub(crate) fn forbidden(field: impl Into<String>, why: &str) -> Self {
        Self { reason: "FieldValueForbidden", message: format!("Forbidden: {why}"), field: field.into() }
    }

    /// A value of the wrong type, as custom resources are told.
    pub(crate) fn wrong_type(field: impl Into<String>, value: &Value, why: &str) -> Self {
        Self { reason: "FieldValueTypeInvalid", message: format!("Invalid value: {value}: {why}"), field: field.into() }
    }

    /// A value that is none of those that can be.
    pub(crate) fn unsupported(field: impl Into<String>, value: &Value, allowed: &[Value]) -> Self {
        let allowed: Vec<String> = allowed.iter().filter(|one| **one != "").map(Value::to_string).collect();
        let message = format!("Unsupported value: {value}: supported values: {}", allowed.join(", "));
        Self { reason: "FieldValueNotSupported", message, field: field.into() }
    }

    /// A value that is there twice.
    pub(crate) fn duplicate(field: impl Into<String>, value: &Value) -> Self {
        Self { reason: "FieldValueDuplicate", message: format!("Duplicate value: {value}"), field: field.into() }
    }

    fn json(&self) -> Value {
        json!({ "reason": self.reason, "message": self.message, "field": self.field })
    }
}

impl Refusal {
    fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: Map::new() }
    }

    fn about(mut self, kind: &Kind, name: &str) -> Self {
        if !name.is_empty() {
            self.details.insert("name".to_owned(), name.into());
        }
        if !kind.group.is_empty() {
            self.details.insert("group".to_owned(), kind.group.as_str().into());
        }
        self.details.insert("kind".to_owned(), kind.plural.as_str().into());
        self
    }

    /// There is no such object.
    pub(crate) fn not_found(kind: &Kind, name: &str) -> Self {
        Self::new(404, "NotFound", format!("{} \"{name}\" not found", kind.resource())).about(kind, name)
    }

    /// There is no such namespace.
    pub(crate) fn no_namespace(name: &str) -> Self {
        let mut refusal = Self::new(404, "NotFound", format!("namespaces \"{name}\" not found"));
        refusal.details.insert("name".to_owned(), name.into());
        refusal.details.insert("kind".to_owned(), "namespaces".into());
        refusal
    }

    /// Nothing is served at a path. A real server answers this as plain text.
    pub(crate) fn no_path() -> Self {
        Self::new(404, "", "404 page not found\n")
    }

    /// Whether it is written as plain text.
    pub(crate) fn is_plain(&self) -> bool {
        self.code == 404 && self.reason.is_empty()
    }

    /// The name is taken.
    pub(crate) fn already_exists(kind: &Kind, name: &str) -> Self {
        Self::new(409, "AlreadyExists", format!("{} \"{name}\" already exists", kind.resource())).about(kind, name)
    }

    /// Somebody else was faster, or what was to be true is not.
    pub(crate) fn conflict(kind: &Kind, name: &str, why: &str) -> Self {
        let message = format!("Operation cannot be fulfilled on {} \"{name}\": {why}", kind.resource());
        Self::new(409, "Conflict", message).about(kind, name)
    }

    /// The version that was read is not the last one.
    pub(crate) fn stale(kind: &Kind, name: &str) -> Self {
        Self::conflict(
            kind,
            name,
            "the object has been modified; please apply your changes to the latest version and try again",
        )
    }

    /// Fields that others manage.
    pub(crate) fn apply_conflict(message: String, causes: &[(String, String)]) -> Self {
        let mut refusal = Self::new(409, "Conflict", message);
        let causes: Vec<Value> = causes
            .iter()
            .map(|(message, field)| json!({ "reason": "FieldManagerConflict", "message": message, "field": field }))
            .collect();
        refusal.details.insert("causes".to_owned(), causes.into());
        refusal
    }

    /// Fields that cannot be as they are.
    pub(crate) fn invalid(kind: &Kind, name: &str, causes: &[Cause]) -> Self {
        let texts: Vec<String> = causes.iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect();
        let all = match texts.as_slice() {
            [one] => one.clone(),
            _ => format!("[{}]", texts.join(", ")),
        };
        let message = format!("{} \"{name}\" is invalid: {all}", kind.qualified());
        let mut refusal = Self::new(422, "Invalid", message);
        refusal = refusal.about(kind, name);
        refusal.details.insert("kind".to_owned(), kind.kind.as_str().into());
        refusal.details.insert("causes".to_owned(), causes.iter().map(Cause::json).collect());
        refusal
    }

    /// Options of a request that cannot be.
    pub(crate) fn invalid_options(options: &str, field: &str, why: &str) -> Self {
        let mut refusal = Self::new(422, "Invalid", format!("{options}.meta.k8s.io \"\" is invalid: {field}: {why}"));
        refusal.details.insert("group".to_owned(), "meta.k8s.io".into());
        refusal.details.insert("kind".to_owned(), options.into());
        let (reason, message) = if why.starts_with("Required") {
            ("FieldValueRequired", why)
        } else if why.starts_with("Forbidden") {
            ("FieldValueForbidden", why)
        } else {
            ("FieldValueInvalid", why)
        };
        let cause = json!({ "reason": reason, "message": message, "field": field });
        refusal.details.insert("causes".to_owned(), json!([cause]));
        refusal
    }

    /// The request makes no sense.
    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// A patch that cannot be carried out, as a real server says it.
    pub(crate) fn rejected() -> Self {
        Self::new(422, "Invalid", "the server rejected our request due to an error in our request")
    }

    /// An apply whose fields do not fit their types: a real server calls this its own failure, and gives no reason.
    pub(crate) fn untyped(message: String) -> Self {
        Self::new(500, "", message)
    }

    /// What went wrong is the server's.
    pub(crate) fn internal(message: impl std::fmt::Display) -> Self {
        let mut refusal = Self::new(500, "InternalError", format!("Internal error occurred: {message}"));
        refusal.details.insert("causes".to_owned(), json!([{ "message": message.to_string() }]));
        refusal
    }

    /// The caller is not known.
    pub(crate) fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized")
    }

    /// The caller may not.
    pub(crate) fn forbidden(kind: &Kind, name: &str, why: &str) -> Self {
        let named = if name.is_empty() { String::new() } else { format!(" \"{name}\"") };
        Self::new(403, "Forbidden", format!("{}{named} is forbidden: {why}", kind.resource())).about(kind, name)
    }

    /// The caller may not look at a path.
    pub(crate) fn forbidden_path(why: &str) -> Self {
        Self::new(403, "Forbidden", format!("forbidden: {why}"))
    }

    /// The namespace goes, so nothing comes into it.
    pub(crate) fn terminating(kind: &Kind, name: &str, namespace: &str) -> Self {
        let why = format!("unable to create new content in namespace {namespace} because it is being terminated");
        let mut refusal = Self::forbidden(kind, name, &why);
        let cause = json!({
            "reason": "NamespaceTerminating",
            "message": format!("namespace {namespace} is being terminated"),
            "field": "metadata.namespace",
        });
        refusal.details.insert("causes".to_owned(), json!([cause]));
        refusal
    }

    /// The kind has no such verb.
    pub(crate) fn not_allowed(kind: &Kind) -> Self {
        let message = "the server does not allow this method on the requested resource";
        Self::new(405, "MethodNotAllowed", message).about(kind, "")
    }

    /// The body is in no form that is read.
    pub(crate) fn unsupported_media(message: impl Into<String>) -> Self {
        Self::new(415, "UnsupportedMediaType", message)
    }

    /// What was remembered of the past does not go back so far.
    pub(crate) fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    /// A webhook denies it, or cannot be asked.
    pub(crate) fn of_webhook(code: u16, reason: &'static str, message: String) -> Self {
        Self::new(code, reason, message)
    }

    /// A quota is reached.
    pub(crate) fn over_quota() -> Self {
        Self::new(403, "Forbidden", "exceeded quota: sandbox, requested: count=1, used: count=1, limited: count=1")
    }

    /// Too many requests.
    pub(crate) fn throttled() -> Self {
        let mut refusal = Self::new(
            429,
            "TooManyRequests",
            "the server has received too many requests and has asked us to try again later",
        );
        refusal.details.insert("retryAfterSeconds".to_owned(), 1.into());
        refusal
    }

    /// The `Status` object.
    pub(crate) fn status(&self) -> Value {
        let mut status = json!({
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "message": self.message,
        });
        if !self.reason.is_empty() {
            status["reason"] = self.reason.into();
        }
        if !self.details.is_empty() {
            status["details"] = Value::Object(self.details.clone());
        }
        status["code"] = self.code.into();
        status
    }

    /// What it says.
    pub(crate) fn message(&self) -> &str {
        &self.message
    }
}
