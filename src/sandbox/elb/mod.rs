//! Elastic Load Balancing, version 2: network load balancers, their listeners, target groups and targets. The protocol
//! is awsQuery.
//!
//! Entry point: [`API`]. Load balancers make network interfaces in their subnets, which keep the subnets, the internet
//! gateway and the security groups from going until a while after the load balancer was deleted. Application and
//! gateway load balancers, rules and certificates are not simulated, and no traffic flows.

mod attribute;
mod listener;
mod load_balancer;
mod tag;
mod target;
mod target_group;

use super::api::{Api, Run};
use super::options::Quotas;
use super::protocol::{ApiError, Params, Wire, Xml};
use super::query::{self, Call, Operation};
use super::world::Place;
use super::world::rows::{Head, Tags};

pub(crate) use self::load_balancer::remove;

/// The service.
pub(crate) const API: Api = Api {
    name: "elasticloadbalancing",
    global: false,
    wire: Wire::Query { namespace: "http://elasticloadbalancing.amazonaws.com/doc/2015-12-01/" },
    // AWS does not publish them for each operation.
    limits: None,
    find: |name| find(name).map(Operation::known),
    run: Run::Form(|name, params, context| query::run(find(name)?, params, context)),
};

fn find(name: &str) -> Result<&'static Operation, ApiError> {
    const FAMILIES: &[&[Operation]] = &[
        attribute::OPERATIONS,
        listener::OPERATIONS,
        load_balancer::OPERATIONS,
        tag::OPERATIONS,
        target::OPERATIONS,
        target_group::OPERATIONS,
    ];
    query::find(FAMILIES, name, "2015-12-01")
}

/// Runs an operation for a controller in a cluster.
///
/// # Errors
/// As for any caller.
pub(crate) fn ask(
    name: &str,
    params: &Params,
    place: &mut Place<'_>,
    limits: (&Quotas, jiff::Timestamp),
) -> Result<(), ApiError> {
    query::run_inside(find(name)?, params, place, limits).map(|_| ())
}

/// The service writes milliseconds.
fn when(at: jiff::Timestamp) -> impl std::fmt::Display {
    at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ")
}

/// Writes where the next page begins.
fn write_next(xml: &mut Xml, next: Option<String>) {
    xml.optional("NextMarker", next);
}

/// The tags that a call gives to what it makes.
fn tags(call: &Call<'_>) -> Result<Tags, ApiError> {
    let tags = query::tags(call.params, "Tags").map_err(|error| match error.code.as_ref() {
        "InvalidInput" => ApiError::new("DuplicateTagKeys", "A tag key was specified more than once"),
        _ => error,
    })?;
    limit_tags(&tags)?;
    Ok(tags)
}

fn limit_tags(tags: &Tags) -> Result<(), ApiError> {
    if tags.len() > query::MAX_TAGS {
        return Err(ApiError::new("TooManyTags", "You've reached the limit on the number of tags for this resource"));
    }
    Ok(())
}

/// The head of a new object, and what its ARN ends with: its id is the ARN, made of `path` and a number.
fn new_head(call: &mut Call<'_>, path: &str, tags: Tags) -> (Head, String) {
    let head = call.mint.head("elb", tags, call.now);
    let number = head.id.trim_start_matches("elb-0").to_owned();
    let arn = format!("arn:aws:elasticloadbalancing:{}:{}:{path}/{number}", call.region.name, call.mint.account);
    // Objects of this service are visible at once.
    (Head { id: arn, visible_at: call.now, ..head }, number)
}

/// Refuses what is no ARN of this type of object.
fn check_arn(arn: &str, path: &str, noun: &str) -> Result<(), ApiError> {
    let found = arn.strip_prefix("arn:aws:elasticloadbalancing:").and_then(|rest| rest.splitn(3, ':').nth(2));
    if found.is_some_and(|rest| rest.starts_with(path)) {
        return Ok(());
    }
    Err(query::validation(format!("'{arn}' is not a valid {noun} ARN")))
}

/// Refuses what cannot be a name: 32 characters, letters, digits and hyphens.
fn check_name(name: &str, noun: &str) -> Result<(), ApiError> {
    if name.len() > 32 {
        return Err(query::validation(format!("{noun} name '{name}' cannot be longer than '32' characters")));
    }
    if !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Err(query::validation(format!(
            "{noun} name '{name}' can only contain characters that are alphanumeric characters and hyphens(-)"
        )));
    }
    if name.starts_with('-') || name.ends_with('-') {
        return Err(query::validation(format!("{noun} name '{name}' cannot begin or end with a hyphen(-)")));
    }
    Ok(())
}
