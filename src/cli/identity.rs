//! Who the caller is, according to AWS: a state of another account is never touched.

use std::error::Error as _;
use std::time::Duration;

use anyhow::bail;
use aws_config::{Region, SdkConfig};
use aws_sdk_sts::Client;
use aws_sdk_sts::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};

use crate::model::Clock;

/// How often a service that does not answer properly is asked.
const TRIES: u32 = 6;

/// The account of the caller's credentials.
pub(super) async fn account(config: &SdkConfig, region: &str, clock: &dyn Clock) -> anyhow::Result<String> {
    let config = aws_sdk_sts::config::Builder::from(config).region(Region::new(region.to_owned())).build();
    let client = Client::from_conf(config);
    let mut delay = Duration::from_millis(250);
    for attempt in 1.. {
        match client.get_caller_identity().send().await {
            Ok(identity) => match identity.account {
                Some(account) => return Ok(account),
                None => bail!("sts:GetCallerIdentity answered without an account"),
            },
            Err(error) if attempt < TRIES && is_passing(&error) => clock.sleep(delay).await,
            Err(error) => bail!(refusal(&error)),
        }
        delay *= 2;
    }
    bail!("sts:GetCallerIdentity was not answered")
}

/// Whether asking again may help.
fn is_passing<E: ProvideErrorMetadata>(error: &SdkError<E>) -> bool {
    match error {
        SdkError::TimeoutError(_) | SdkError::ResponseError(_) => true,
        SdkError::DispatchFailure(failure) => failure.is_io() || failure.is_timeout(),
        SdkError::ServiceError(refused) => {
            let status = refused.raw().status().as_u16();
            let throttled = refused.err().code().is_some_and(|code| code.contains("Throttl"));
            status >= 500 || status == 429 || throttled
        }
        // `SdkError` is non-exhaustive; what was never sent is wrong here and not there.
        SdkError::ConstructionFailure(_) | _ => false,
    }
}

fn refusal<E>(error: &SdkError<E>) -> String
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    if let SdkError::ServiceError(refused) = error {
        let code = refused.err().code().unwrap_or("an error without a code");
        let message = refused.err().message().unwrap_or_default();
        return format!("AWS does not say whose credentials these are: sts:GetCallerIdentity: {code}: {message}");
    }
    let mut cause = error.source();
    let mut last = DisplayErrorContext(error).to_string();
    while let Some(next) = cause {
        last = next.to_string();
        cause = next.source();
    }
    let unreachable = matches!(error, SdkError::DispatchFailure(failure) if failure.is_io() || failure.is_timeout());
    let way_out = if unreachable {
        "is the network up, and `AWS_ENDPOINT_URL` right?"
    } else {
        "set `AWS_PROFILE` or log in, or give `--sandbox`"
    };
    let last = last.trim_end_matches('.');
    format!("AWS does not say whose credentials these are: sts:GetCallerIdentity: {last}; {way_out}")
}
