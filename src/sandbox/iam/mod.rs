//! IAM: roles, their policies, and OpenID Connect providers. The protocol is awsQuery; the service is global.
//!
//! Entry points: [`API`] for calls, [`role_for_service`] and [`allows`] for the services that use roles. IAM shows a
//! change within about a second, other services see it after some more (propagation). Users, groups and customer
//! managed policies are not simulated; of AWS's managed policies there are those that clusters use.

mod document;
mod instance_profile;
mod managed;
mod oidc_provider;
mod role;
mod role_policy;
mod role_tag;
mod trusted;

pub(crate) use self::instance_profile::{InstanceProfile, profiles};
pub(crate) use self::trusted::{Unseen, allows, role_for_service, role_for_service_account};
use super::api::{Api, Run};
use super::protocol::{ApiError, Wire};
use super::query::{self, Operation};

/// The service.
pub(crate) const API: Api = Api {
    name: "iam",
    global: true,
    wire: Wire::Query { namespace: "https://iam.amazonaws.com/doc/2010-05-08/" },
    // AWS does not publish IAM's.
    limits: None,
    find: |name| find(name).map(Operation::known),
    run: Run::Form(|name, params, context| query::run(find(name)?, params, context)),
};

/// How long other services see what was before: drawn for each object.
const PROPAGATION_MS: (u64, u64) = (6_000, 12_000);

/// The operation with this name, or IAM's own refusal.
fn find(name: &str) -> Result<&'static Operation, ApiError> {
    const FAMILIES: &[&[Operation]] = &[
        instance_profile::OPERATIONS,
        managed::OPERATIONS,
        oidc_provider::OPERATIONS,
        role::OPERATIONS,
        role_policy::OPERATIONS,
        role_tag::OPERATIONS,
    ];
    query::find(FAMILIES, name, "2010-05-08")
}

/// There is no such thing.
fn no_such_entity(message: impl Into<String>) -> ApiError {
    ApiError::new("NoSuchEntity", message).with_status(404)
}

/// There is one already.
fn already_exists(message: impl Into<String>) -> ApiError {
    ApiError::new("EntityAlreadyExists", message).with_status(409)
}

/// A quota is reached.
fn limit_exceeded(message: impl Into<String>) -> ApiError {
    ApiError::new("LimitExceeded", message).with_status(409)
}

/// The characters of IAM's names.
fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+=,.@_-".contains(&byte))
}

/// Refuses what cannot be a name.
fn check_name(name: &str, parameter: &str, most: usize) -> Result<(), ApiError> {
    if name.len() > most {
        return Err(query::constraint(name, parameter, &format!("have length less than or equal to {most}")));
    }
    if !is_name(name) {
        return Err(query::validation(format!(
            "The specified value for {} is invalid. It must contain only alphanumeric characters and/or the following: +=,.@_-",
            super::protocol::error::lower_first(parameter)
        )));
    }
    Ok(())
}
