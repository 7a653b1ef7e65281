//! STS: who is calling. The protocol is awsQuery.

use super::protocol::{ApiError, Params, Xml};

/// The namespace of STS's answers.
pub(crate) const NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

/// Runs an operation.
pub(crate) fn run(action: &str, _params: &Params, account: &str) -> Result<Xml, ApiError> {
    match action {
        "GetCallerIdentity" => {
            let mut xml = Xml::default();
            xml.text("Arn", format!("arn:aws:iam::{account}:user/sandbox"))
                .text("UserId", "AIDASANDBOX0000000000")
                .text("Account", account);
            Ok(xml)
        }
        other => {
            Err(ApiError::new("InvalidAction", format!("Could not find operation {other} for version 2011-06-15")))
        }
    }
}
