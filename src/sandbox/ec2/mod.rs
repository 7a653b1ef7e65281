//! EC2, its network layer and what clusters have beside it: one file per family of objects, each with its table of operations.
//!
//! Entry point: [`API`]. An operation reads its parameters, checks everything, and only then changes
//! the region; so a refused call has no effect. Nothing here waits or knows HTTP.

mod acl;
mod address;
mod dhcp;
mod egress_gateway;
mod instance;
mod instance_type;
mod interface;
mod internet_gateway;
mod listing;
mod look_around;
mod meddle;
mod nat_gateway;
mod refer;
mod route;
mod route_table;
mod security_group;
mod security_group_rule;
mod subnet;
mod subnet_cidr;
mod tagging;
mod vpc;
mod vpc_cidr;
mod vpc_peering;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use jiff::Timestamp;

pub(super) use self::meddle::remove;
pub(super) use self::security_group::remove as remove_security_group;
use super::api::{Api, Context, Effect, Known, Run};
use super::options::Quotas;
use super::protocol::{ApiError, Node, Params, Wire, Xml};
use super::world::ids::Mint;
use super::world::rows::{Head, Tags, Token, Vpc};
use super::world::{Place, Region};
use crate::model::Digest;

/// The service.
pub(crate) const API: Api = Api {
    name: "ec2",
    global: false,
    wire: Wire::Ec2Query,
    limits: None,
    find: |name| find(name).map(|operation| Known { name: operation.name, effect: operation.effect }),
    run: Run::Form(|name, params, context| run(find(name)?, params, context)),
};

/// What an operation answers.
type Answer = Result<Xml, ApiError>;

/// An operation of the API.
struct Operation {
    /// Its name.
    name: &'static str,
    /// Whether it changes anything.
    effect: Effect,
    /// The parameters it knows, besides those of every call.
    accepts: &'static [&'static str],
    run: fn(&mut Call<'_>) -> Answer,
}

const fn reads(name: &'static str, accepts: &'static [&'static str], run: fn(&mut Call<'_>) -> Answer) -> Operation {
    Operation { name, effect: Effect::Reads, accepts, run }
}

const fn writes(name: &'static str, accepts: &'static [&'static str], run: fn(&mut Call<'_>) -> Answer) -> Operation {
    Operation { name, effect: Effect::Writes, accepts, run }
}

static OPERATIONS: LazyLock<BTreeMap<&'static str, &'static Operation>> = LazyLock::new(|| {
    [
        acl::OPERATIONS,
        address::OPERATIONS,
        dhcp::OPERATIONS,
        egress_gateway::OPERATIONS,
        instance::OPERATIONS,
        instance_type::OPERATIONS,
        interface::OPERATIONS,
        internet_gateway::OPERATIONS,
        look_around::OPERATIONS,
        nat_gateway::OPERATIONS,
        route::OPERATIONS,
        route_table::OPERATIONS,
        security_group::OPERATIONS,
        security_group_rule::OPERATIONS,
        subnet::OPERATIONS,
        subnet_cidr::OPERATIONS,
        tagging::OPERATIONS,
        vpc::OPERATIONS,
        vpc_cidr::OPERATIONS,
        vpc_peering::OPERATIONS,
    ]
    .into_iter()
    .flatten()
    .map(|operation| (operation.name, operation))
    .collect()
});

/// The operation with this name, or EC2's own refusal.
fn find(name: &str) -> Result<&'static Operation, ApiError> {
    OPERATIONS
        .get(name)
        .copied()
        .ok_or_else(|| ApiError::new("InvalidAction", format!("The action {name} is not valid for this web service.")))
}

/// Parameters that any call may carry.
const COMMON: &[&str] = &[
    "Action",
    "Version",
    "DryRun",
    "AWSAccessKeyId",
    "Expires",
    "SecurityToken",
    "Signature",
    "SignatureMethod",
    "SignatureVersion",
    "Timestamp",
];

/// One call to one region.
pub(crate) struct Call<'a> {
    pub(crate) region: &'a mut Region,
    /// What belongs to no region, or to two.
    pub(crate) global: &'a mut Region,
    /// The VPC of another region that a call names, with its region.
    elsewhere: Option<(String, Vpc)>,
    pub(crate) mint: &'a mut Mint,
    pub(crate) params: &'a Node,
    pub(crate) now: Timestamp,
    pub(crate) quotas: &'a Quotas,
    operation: &'static str,
    /// The digest of the parameters, for client tokens.
    digest: String,
}

/// Runs an operation.
fn run(operation: &'static Operation, params: &Params, context: &mut Context<'_>) -> Answer {
    if let Some(unknown) = params.names().find(|name| !operation.accepts.contains(name) && !COMMON.contains(name)) {
        return Err(ApiError::new(
            "UnknownParameter",
            format!("The parameter {unknown} is not recognized (the sandbox knows a part of {})", operation.name),
        ));
    }
    if params.root().boolean("DryRun")? == Some(true) {
        let message = "Request would have succeeded, but DryRun flag is set.";
        return Err(ApiError::new("DryRunOperation", message).with_status(412));
    }
    let digest = if operation.accepts.contains(&"ClientToken") {
        Digest::of(params.canonical(&["ClientToken", "Version", "DryRun"])).to_string()
    } else {
        String::new()
    };
    // What follows from all regions must be asked for before one of them is held.
    let elsewhere = match params.root().text("PeerVpcId") {
        Some(vpc) if operation.name == vpc_peering::CREATE => vpc_peering::of_elsewhere(context.world.regions(), vpc),
        Some(_) | None => None,
    };
    let (now, quotas) = (context.now, context.quotas);
    let Place { region, global, mint } = context.place();
    let params = params.root();
    let mut call = Call { region, global, elsewhere, mint, params, now, quotas, operation: operation.name, digest };
    (operation.run)(&mut call)
}

/// Runs an operation for a controller in a cluster.
///
/// # Errors
/// As for any caller.
pub(super) fn ask(
    name: &str,
    params: &Params,
    place: &mut Place<'_>,
    (quotas, now): (&Quotas, Timestamp),
) -> Result<(), ApiError> {
    let operation = find(name)?;
    let Place { region, global, mint } = place;
    let (digest, elsewhere) = (String::new(), None);
    let params = params.root();
    let mut call = Call { region, global, elsewhere, mint, params, now, quotas, operation: operation.name, digest };
    (operation.run)(&mut call).map(|_| ())
}

impl Call<'_> {
    /// What an earlier call with the same client token made.
    ///
    /// # Errors
    /// `IdempotentParameterMismatch` when the token came with other parameters.
    fn replayed(&self) -> Result<Option<String>, ApiError> {
        let Some(token) = self.params.text("ClientToken") else { return Ok(None) };
        if token.len() > 64 || !token.is_ascii() {
            return Err(ApiError::bad_value(token, "ClientToken", "The token must be at most 64 ASCII characters"));
        }
        let Some(used) = self.region.tokens.get(&self.token_id(token)) else { return Ok(None) };
        if used.digest != self.digest {
            return Err(ApiError::new(
                "IdempotentParameterMismatch",
                format!("The client token {token} has already been used with different parameters"),
            ));
        }
        Ok(Some(used.resource_id.clone()))
    }

    /// Binds this call's client token to what it made.
    fn remember(&mut self, resource_id: &str) {
        let Some(token) = self.params.text("ClientToken") else { return };
        let id = self.token_id(token);
        let head = Head { id, created_at: self.now, visible_at: self.now, tags: Tags::new(), native: false };
        let digest = self.digest.clone();
        self.region.tokens.insert(Token { head, digest, resource_id: resource_id.to_owned() });
    }

    fn token_id(&self, token: &str) -> String {
        format!("{}/{token}", self.operation)
    }

    /// Forgets the tokens that made an object which is gone for good.
    fn forget(&mut self, resource_id: &str) {
        let ids: Vec<String> = self.region.tokens.linked(resource_id).map(|token| token.head.id.clone()).collect();
        for id in ids {
            self.region.tokens.remove(&id);
        }
    }

    /// The head of a new object with the tags that the call gives to its type.
    fn new_head(&mut self, prefix: &str, resource_type: &str) -> Result<Head, ApiError> {
        let tags = tagging::specified(self.params, resource_type)?;
        Ok(self.mint.head(prefix, tags, self.now))
    }

    /// The account that owns everything here.
    fn owner(&self) -> &str {
        &self.mint.account
    }

    /// The ARN of an object.
    fn arn(&self, path: &str, id: &str) -> String {
        format!("arn:aws:ec2:{}:{}:{path}/{id}", self.region.name, self.mint.account)
    }
}
