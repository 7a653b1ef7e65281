//! The bodies of requests: JSON, YAML, and the protobuf that generated clients send.
//!
//! Entry points: [`object`], [`document`].

use serde_json::Value;

use crate::sandbox::kubernetes::protobuf;
use crate::sandbox::kubernetes::request::Asked;
use crate::sandbox::kubernetes::schema::Kind;
use crate::sandbox::kubernetes::status::Refusal;

/// The body as a document, whatever it is of.
pub(crate) fn document(asked: &Asked) -> Result<Value, Refusal> {
    let media = media_type(&asked.content_type);
    if asked.body.starts_with(protobuf::MAGIC) {
        return protobuf::decode(&asked.body);
    }
    if asked.body.is_empty() {
        return Ok(Value::Null);
    }
    let text = std::str::from_utf8(&asked.body).map_err(|_| Refusal::bad_request("the body is no text"))?;
    if media.ends_with("yaml") {
        return serde_saphyr::from_str(text)
            .map_err(|error| Refusal::bad_request(format!("error converting YAML to JSON: yaml: {error}")));
    }
    if media == "application/vnd.kubernetes.protobuf" || media == "application/cbor" {
        return Err(Refusal::unsupported_media(format!("the body of the request was in an unknown format - {media}")));
    }
    serde_json::from_str(text)
        .map_err(|error| Refusal::bad_request(format!("couldn't get version/kind; json parse error: {error}")))
}

/// The body as an object of a kind.
pub(crate) fn object(asked: &Asked, kind: &Kind) -> Result<Value, Refusal> {
    let mut object = document(asked)?;
    if !object.is_object() {
        return Err(Refusal::bad_request("the object provided is unrecognized (must be of type object)"));
    }
    check_kind(&mut object, kind)?;
    Ok(object)
}

/// The kind of a body is that of the path; one that says nothing is taken for it.
pub(crate) fn check_kind(object: &mut Value, kind: &Kind) -> Result<(), Refusal> {
    let api_version = kind.api_version();
    for (field, expected, what) in [("apiVersion", api_version.as_str(), "API version"), ("kind", &kind.kind, "kind")] {
        match object.get(field).and_then(Value::as_str).filter(|text| !text.is_empty()) {
            None => object[field] = expected.into(),
            Some(said) if said == expected => {}
            Some(said) => {
                return Err(Refusal::bad_request(format!(
                    "the {what} in the data ({said}) does not match the expected {what} ({expected})"
                )));
            }
        }
    }
    Ok(())
}

/// A content type without its parameters.
pub(crate) fn media_type(text: &str) -> &str {
    text.split(';').next().unwrap_or_default().trim()
}
