//! STS: who is calling. The protocol is awsQuery.

use super::api::{Api, Context, Effect, Known, Run};
use super::options::Throttle;
use super::protocol::{ApiError, Params, Wire, Xml};

/// The service.
pub(crate) const API: Api = Api {
    name: "sts",
    // The caller is the same everywhere, but each region answers for itself.
    global: false,
    wire: Wire::Query { namespace: "https://sts.amazonaws.com/doc/2011-06-15/" },
    // "IAM and STS quotas": 600 requests a second for an account and region.
    limits: Some(Throttle { reads: (600.0, 600.0), writes: (600.0, 600.0) }),
    find,
    run: Run::Form(run),
};

fn find(action: &str) -> Result<Known, ApiError> {
    match action {
        "GetCallerIdentity" => Ok(Known { name: "GetCallerIdentity", effect: Effect::Reads }),
        other => Err(unknown(other)),
    }
}

fn unknown(action: &str) -> ApiError {
    ApiError::new("InvalidAction", format!("Could not find operation {action} for version 2011-06-15"))
}

fn run(action: &'static str, _: &Params, context: &mut Context<'_>) -> Result<Xml, ApiError> {
    let account = &context.world.mint.account;
    match action {
        "GetCallerIdentity" => {
            let mut xml = Xml::default();
            xml.text("Arn", format!("arn:aws:iam::{account}:user/sandbox"))
                .text("UserId", "AIDASANDBOX0000000000")
                .text("Account", account);
            Ok(xml)
        }
        other => Err(unknown(other)),
    }
}
