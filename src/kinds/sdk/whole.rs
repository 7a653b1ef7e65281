//! Answers that were cut short in transit are errors.
//!
//! A proxy that loses its upstream may end an answer as if it were whole. The SDK reads what there is of the XML and
//! calls it a success: a subnet's id of half its length, a list of half its entries. An engine that takes such a list
//! for proof that nothing was made makes it again. Entry point: [`WholeAnswers`], in the client's configuration.

use aws_sdk_ec2::config::interceptors::AfterDeserializationInterceptorContextRef;
use aws_sdk_ec2::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_ec2::error::BoxError;
use aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint;

/// Refuses an answer that begins as a document of the query protocol and does not end as one.
#[derive(Debug)]
pub(in crate::kinds) struct WholeAnswers;

/// The answer begins well and stops before its end.
#[derive(Debug, thiserror::Error)]
#[error("the answer was cut short after {0} bytes")]
struct CutShort(usize);

#[dyn_dispatch_hint]
impl Intercept for WholeAnswers {
    fn name(&self) -> &'static str {
        "WholeAnswers"
    }

    fn read_after_deserialization(
        &self,
        context: &AfterDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let body = context.response().body().bytes().unwrap_or_default();
        if is_cut_short(body) { Err(CutShort(body.len()).into()) } else { Ok(()) }
    }
}

/// Whether these bytes begin as an answer of the query protocol, whose first element's name ends in `Response`, and
/// do not end with that element. Anything else (a proxy's page, nothing at all) the SDK refuses by itself.
fn is_cut_short(body: &[u8]) -> bool {
    let mut rest = body.trim_ascii();
    let whole = rest;
    while rest.starts_with(b"<?") || rest.starts_with(b"<!") {
        let Some(end) = rest.iter().position(|byte| *byte == b'>') else { return true };
        rest = rest[end + 1..].trim_ascii_start();
    }
    let Some(rest) = rest.strip_prefix(b"<") else { return false };
    let ends_name = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'>' | b'/');
    let name = rest.split(ends_name).next().unwrap_or_default();
    let first_end = rest.iter().position(|byte| *byte == b'>');
    let is_empty_element = rest.ends_with(b"/>") && first_end == Some(rest.len() - 1);
    name.ends_with(b"Response") && !is_empty_element && !ends_with_element(whole, name)
}

fn ends_with_element(body: &[u8], name: &[u8]) -> bool {
    body.strip_suffix(b">")
        .map(<[u8]>::trim_ascii_end)
        .and_then(|body| body.strip_suffix(name))
        .is_some_and(|body| body.ends_with(b"</"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
        <DescribeVpcsResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><vpcSet/></DescribeVpcsResponse>
        "#;

    #[test]
    fn an_answer_is_whole_only_with_its_last_byte() {
        let end = ANSWER.trim_end().len();
        let root = ANSWER.find("<D").unwrap() + "<DescribeVpcsResponse".len();
        for length in 0..=ANSWER.len() {
            // Until its name is complete, the first element is one that the SDK does not expect.
            let refused_here = (root..end).contains(&length);
            if length >= root {
                assert_eq!(is_cut_short(&ANSWER.as_bytes()[..length]), refused_here, "{length}");
            }
        }
    }

    #[test]
    fn refusals_and_strangers_pages_are_left_to_the_sdk() {
        for body in [
            "",
            "\n",
            "<html><body>Bad gateway</body></html>",
            "<!doctype html>\n<title>404 Not Found</title>",
            "not XML at all",
            "<Response><Errors><Error><Code>DependencyViolation</Code></Error></Errors></Response>",
            "<DeleteVpcResponse/>",
        ] {
            assert!(!is_cut_short(body.as_bytes()), "{body}");
        }
        for body in ["<Response><Errors><Error><Code>Dependency", "<DeleteVpcResponse><return>true</return>"] {
            assert!(is_cut_short(body.as_bytes()), "{body}");
        }
    }
}
