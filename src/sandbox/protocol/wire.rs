//! How a service's requests are read and its answers written: the four protocols, over one [`Request`] and
//! [`Answer`].
//!
//! Entry points: [`Wire::read`], [`Wire::write`]. Nothing here knows what an operation does.

use serde_json::{Map, Value, json};

use super::rest::{Route, resolve};
use super::{ApiError, Params, envelope};
use crate::sandbox::api::{Input, Output};

/// A request, whichever way it came.
#[derive(Debug, Default)]
pub(crate) struct Request {
    /// The HTTP method.
    pub(crate) method: String,
    /// The path of the URI, percent signs and all.
    pub(crate) path: String,
    /// The `Host` header or the host of the URI.
    pub(crate) host: String,
    /// The `Authorization` header.
    pub(crate) authorization: Option<String>,
    /// The header `x-amz-target`, with which awsJson names its operation.
    pub(crate) target: Option<String>,
    /// The query string of the URI.
    pub(crate) query: Option<String>,
    /// The body.
    pub(crate) body: Vec<u8>,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The header `content-type`.
    pub(crate) content_type: &'static str,
    /// The header `x-amzn-errortype`, where the protocol has it.
    pub(crate) error_type: Option<String>,
    /// The document.
    pub(crate) body: String,
    /// The header `x-amzn-requestid`.
    pub(crate) request_id: String,
}

/// A protocol.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Wire {
    /// EC2's own: forms in, XML out.
    Ec2Query,
    /// awsQuery: forms in, XML with results and members out.
    Query {
        /// The namespace of the answers.
        namespace: &'static str,
    },
    /// restJson: method and path name the operation.
    RestJson {
        /// Which they are.
        routes: &'static [Route],
    },
    /// awsJson 1.1: a header names the operation.
    Json,
}

impl Wire {
    /// The operation that a request names, and what it says.
    pub(crate) fn read(self, request: &Request) -> Result<(String, Input), ApiError> {
        match self {
            Self::Ec2Query | Self::Query { .. } => {
                let params = form(request)?;
                let action = params.root().text("Action").unwrap_or_default().to_owned();
                Ok((action, Input::Form(params)))
            }
            Self::RestJson { routes } => {
                let asked = (request.method.as_str(), request.path.as_str(), request.query.as_deref());
                let (operation, document) = resolve(routes, asked, body(request)?).ok_or_else(|| {
                    let message = format!("The sandbox knows no operation for {} {}", request.method, request.path);
                    ApiError::new("UnknownOperationException", message).with_status(404)
                })?;
                Ok((operation.to_owned(), Input::Json(document)))
            }
            Self::Json => {
                let target = request.target.as_deref().unwrap_or_default();
                let Some((_, operation)) = target.split_once('.') else {
                    let message = format!("The header x-amz-target names no operation: '{target}'");
                    return Err(ApiError::new("UnknownOperationException", message));
                };
                Ok((operation.to_owned(), Input::Json(Value::Object(body(request)?))))
            }
        }
    }

    /// The answer to an operation, or its refusal.
    pub(crate) fn write(self, action: &str, request_id: String, result: Result<Output, ApiError>) -> Answer {
        const XML: &str = "text/xml;charset=UTF-8";
        const JSON: &str = "application/json";
        const AWS_JSON: &str = "application/x-amz-json-1.1";
        let status = result.as_ref().map_or_else(|error| error.status, |_| 200);
        let mut error_type = None;
        let (content_type, body) = match (self, result) {
            (Self::Ec2Query, Ok(Output::Xml(xml))) => (XML, envelope::ec2_success(action, &request_id, xml)),
            (Self::Query { namespace }, Ok(Output::Xml(xml))) => {
                (XML, envelope::query_success(action, namespace, &request_id, xml))
            }
            (Self::RestJson { .. }, Ok(Output::Json(document))) => (JSON, document.to_string()),
            (Self::Json, Ok(Output::Json(document))) => (AWS_JSON, document.to_string()),
            (Self::Ec2Query | Self::Query { .. }, Ok(Output::Json(document))) => (JSON, document.to_string()),
            (Self::RestJson { .. } | Self::Json, Ok(Output::Xml(xml))) => (XML, xml.into_string()),
            (Self::Ec2Query, Err(error)) => (XML, envelope::ec2_error(&error, &request_id)),
            (Self::Query { namespace }, Err(error)) => (XML, envelope::query_error(&error, namespace, &request_id)),
            (Self::RestJson { .. }, Err(error)) => {
                error_type = Some(error.code.to_string());
                (JSON, refusal(&error).to_string())
            }
            (Self::Json, Err(error)) => {
                let mut document = refusal(&error);
                document["__type"] = Value::from(error.code.as_ref());
                (AWS_JSON, document.to_string())
            }
        };
        Answer { status, content_type, error_type, body, request_id }
    }

    /// The refusal of a call too many.
    pub(crate) fn throttled(self) -> ApiError {
        match self {
            Self::Ec2Query => ApiError::new("RequestLimitExceeded", "Request limit exceeded.").with_status(503),
            Self::Query { .. } => ApiError::new("Throttling", "Rate exceeded"),
            Self::RestJson { .. } => ApiError::new("ThrottlingException", "Rate exceeded").with_status(429),
            Self::Json => ApiError::new("ThrottlingException", "Rate exceeded"),
        }
    }

    /// The refusal of a call that failed inside the cloud.
    pub(crate) fn broken(self, why: &str) -> ApiError {
        let code = match self {
            Self::Ec2Query => "InternalError",
            Self::Query { .. } => "InternalFailure",
            Self::RestJson { .. } => "ServerException",
            Self::Json => "ServiceUnavailableException",
        };
        ApiError::new(code, why).with_status(500)
    }
}

fn refusal(error: &ApiError) -> Value {
    let mut document = json!({ "message": error.message });
    for (name, value) in &error.members {
        document[*name] = Value::from(value.as_str());
    }
    document
}

/// The parameters are in the body of a POST or in the query of a GET.
fn form(request: &Request) -> Result<Params, ApiError> {
    let bytes =
        if request.body.is_empty() { request.query.as_deref().unwrap_or_default().as_bytes() } else { &request.body };
    let params = Params::parse(bytes)?;
    if params.root().text("Action").is_none() {
        return Err(ApiError::new("MissingAction", "The request must contain the parameter Action"));
    }
    Ok(params)
}

/// The members of a JSON body; none is an empty document.
fn body(request: &Request) -> Result<Map<String, Value>, ApiError> {
    if request.body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Map::new());
    }
    serde_json::from_slice(&request.body)
        .map_err(|error| ApiError::new("SerializationException", format!("The body is no JSON document: {error}")))
}
