//! The envelopes that EC2 (ec2Query) and STS (awsQuery) put around answers and refusals.

use super::{ApiError, Xml};

const DECLARATION: &str = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";

/// An EC2 answer: the request id comes first.
pub(crate) fn ec2_success(operation: &str, request_id: &str, inside: Xml) -> String {
    format!(
        "{DECLARATION}<{operation}Response xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>{request_id}</requestId>{}</{operation}Response>",
        inside.into_string()
    )
}

/// An EC2 refusal.
pub(crate) fn ec2_error(error: &ApiError, request_id: &str) -> String {
    let mut xml = Xml::default();
    xml.group("Response", |xml| {
        xml.group("Errors", |xml| {
            xml.group("Error", |xml| {
                xml.text("Code", &error.code).text("Message", &error.message);
            });
        })
        .text("RequestID", request_id);
    });
    format!("{DECLARATION}{}", xml.into_string())
}

/// An awsQuery answer: the result is wrapped, the request id comes last.
pub(crate) fn query_success(operation: &str, namespace: &str, request_id: &str, inside: Xml) -> String {
    format!(
        "{DECLARATION}<{operation}Response xmlns=\"{namespace}\"><{operation}Result>{}</{operation}Result><ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata></{operation}Response>",
        inside.into_string()
    )
}

/// An awsQuery refusal.
pub(crate) fn query_error(error: &ApiError, namespace: &str, request_id: &str) -> String {
    let fault = if error.status < 500 { "Sender" } else { "Receiver" };
    let mut xml = Xml::default();
    xml.group("Error", |xml| {
        xml.text("Type", fault).text("Code", &error.code).text("Message", &error.message);
    })
    .text("RequestId", request_id);
    format!("{DECLARATION}<ErrorResponse xmlns=\"{namespace}\">{}</ErrorResponse>", xml.into_string())
}
