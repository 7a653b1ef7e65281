//! What every simulated service is: a name, a way to speak, a table of operations, limits.
//!
//! Entry points: [`Api`], one constant per service; [`find`] among them. A service knows neither HTTP nor faults nor
//! time but as arguments; its operations check everything first and only then change the world, so that a refused call
//! has no effect.

use std::borrow::Cow;

use jiff::Timestamp;

use super::options::{Quotas, Throttle};
use super::protocol::{ApiError, Json, Params, Wire, Xml};
use super::world::{Place, World};
use super::{ec2, eks, elb, iam, logs, sts};

/// All services, by their names in the scope of signatures.
const APIS: &[&Api] = &[&ec2::API, &eks::API, &elb::API, &iam::API, &logs::API, &sts::API];

/// A service.
pub(crate) struct Api {
    /// Its name in the scope of a signature.
    pub(crate) name: &'static str,
    /// Whether its objects belong to no region.
    pub(crate) global: bool,
    /// How requests and answers are written.
    pub(crate) wire: Wire,
    /// How many calls of each operation it takes; `None` for what the sandbox's options say, which is EC2's.
    pub(crate) limits: Option<Throttle>,
    /// The operation with a name, or the service's own refusal.
    pub(crate) find: fn(&str) -> Result<Known, ApiError>,
    /// Runs an operation that it found.
    pub(crate) run: Run,
}

/// How operations are run: what comes in, and what goes out.
pub(crate) enum Run {
    /// Parameters of a form in, XML out.
    Form(fn(&'static str, &Params, &mut Context<'_>) -> Result<Xml, ApiError>),
    /// A JSON document in and one out.
    Json(fn(&'static str, Json<'_>, &mut Context<'_>) -> Result<serde_json::Value, ApiError>),
}

/// An operation, as far as the way to it must know.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known {
    /// Its name.
    pub(crate) name: &'static str,
    /// Whether it changes anything.
    pub(crate) effect: Effect,
}

/// Whether an operation changes anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It only reads.
    Reads,
    /// It may change the world.
    Writes,
}

/// Where, when and within which limits an operation runs.
pub(crate) struct Context<'a> {
    /// The world.
    pub(crate) world: &'a mut World,
    /// The region that the request is for; `aws-global` for a service that is global.
    pub(crate) region: &'a str,
    /// The instant of the effect.
    pub(crate) now: Timestamp,
    /// How many objects there can be.
    pub(crate) quotas: &'a Quotas,
}

impl Context<'_> {
    /// The request's region, what belongs to none, and what makes new objects.
    pub(crate) fn place(&mut self) -> Place<'_> {
        self.world.place(self.region, self.now)
    }
}

/// What a request says.
#[derive(Debug)]
pub(crate) enum Input {
    /// The parameters of a form.
    Form(Params),
    /// A JSON document: the body, with what was in the path and the query.
    Json(serde_json::Value),
}

/// What an operation answers.
#[derive(Debug)]
pub(crate) enum Output {
    /// The inside of an XML document.
    Xml(Xml),
    /// A JSON document.
    Json(serde_json::Value),
}

/// The service with this name in the scope of a signature.
pub(crate) fn find(name: &str) -> Option<&'static Api> {
    APIS.iter().copied().find(|api| api.name == name)
}

/// The refusal of a service that is not there.
pub(crate) fn unserved(name: &str) -> ApiError {
    let names: Vec<&str> = APIS.iter().map(|api| api.name).collect();
    ApiError::new("InvalidAction", format!("The sandbox does not simulate {name}; it has {}", names.join(", ")))
}

impl Api {
    /// Runs an operation.
    pub(crate) fn run(
        &self,
        operation: &'static str,
        input: &Input,
        context: &mut Context<'_>,
    ) -> Result<Output, ApiError> {
        match (&self.run, input) {
            (Run::Form(run), Input::Form(params)) => run(operation, params, context).map(Output::Xml),
            (Run::Json(run), Input::Json(document)) => run(operation, Json::of(document), context).map(Output::Json),
            (Run::Json(run), Input::Form(params)) => {
                run(operation, Json::of(&params.to_json()), context).map(Output::Json)
            }
            (Run::Form(_), Input::Json(_)) => Err(ApiError::new("MalformedInput", "The request is no form")),
        }
    }

    /// The refusal of a create when a quota is said to be reached.
    pub(crate) fn quota(&self, action: &str) -> ApiError {
        let (code, message): (Cow<'static, str>, _) = match self.name {
            "ec2" => (Cow::Borrowed(ec2_quota(action)), "The maximum number of these resources has been reached."),
            "iam" => return ApiError::new("LimitExceeded", "Cannot exceed quota for this account").with_status(409),
            "eks" => (
                "ResourceLimitExceededException".into(),
                "You have encountered a service limit on the specified resource.",
            ),
            "elasticloadbalancing" => {
                let noun = action.strip_prefix("Create").unwrap_or("Resource");
                (format!("TooMany{noun}s").into(), "The limit on the number of these resources has been reached")
            }
            _ => ("LimitExceededException".into(), "Resource limit exceeded."),
        };
        ApiError::new(code, message)
    }
}

fn ec2_quota(action: &str) -> &'static str {
    match action {
        "CreateVpc" => "VpcLimitExceeded",
        "CreateSubnet" => "SubnetLimitExceeded",
        "CreateInternetGateway" => "InternetGatewayLimitExceeded",
        "AllocateAddress" => "AddressLimitExceeded",
        "CreateNatGateway" => "NatGatewayLimitExceeded",
        "CreateRouteTable" => "RouteTableLimitExceeded",
        "CreateRoute" => "RouteLimitExceeded",
        "CreateSecurityGroup" => "SecurityGroupLimitExceeded",
        _ => "ResourceLimitExceeded",
    }
}
