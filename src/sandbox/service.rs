//! Answers one request: fuse, faults, latency, throttle, effect, persistence, fuse.
//!
//! Entry point: [`Service::handle`], used alike by the connector under the SDK's clients and by the server on
//! loopback.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::clock::SimClock;
use super::ec2::{self, Effect};
use super::faults::{FaultState, Verdict};
use super::options::{Options, Profile};
use super::protocol::{ApiError, Params, Xml, envelope};
use super::sts;
use super::throttle::{Buckets, limit_exceeded};
use super::world::World;
use super::world::ids::number_of;
use super::world::store::{SandboxError, Store};
use crate::model::Clock as _;

/// A request, whichever way it came.
#[derive(Debug, Default)]
pub(crate) struct Request {
    /// The `Host` header or the host of the URI.
    pub(crate) host: String,
    /// The `Authorization` header.
    pub(crate) authorization: Option<String>,
    /// The query string of the URI.
    pub(crate) query: Option<String>,
    /// The body.
    pub(crate) body: Vec<u8>,
}

/// What becomes of a request.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// It is answered.
    Answer(Answer),
    /// The connection was refused: nothing happened.
    Refused,
    /// The connection was cut before the answer came.
    Cut,
}

/// An answer.
#[derive(Debug)]
pub(crate) struct Answer {
    /// The HTTP status.
    pub(crate) status: u16,
    /// The XML document.
    pub(crate) body: String,
    /// Repeated in the header `x-amzn-requestid`.
    pub(crate) request_id: String,
}

/// The cloud behind all connections.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) clock: SimClock,
    pub(crate) options: Options,
    state: Mutex<State>,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) world: World,
    store: Option<Store>,
    faults: FaultState,
    buckets: Buckets,
    requests: u64,
    /// Set when a change could not be written: from then on nothing is promised any more.
    failed: Option<String>,
}

/// Where a request goes.
#[derive(Debug, PartialEq, Eq)]
struct Target {
    service: String,
    region: String,
}

impl Service {
    pub(crate) fn new(clock: SimClock, options: Options, world: World, store: Option<Store>) -> Arc<Self> {
        let faults = FaultState::new(&options.faults, world.mint.counter);
        let state = State { world, store, faults, buckets: Buckets::default(), requests: 0, failed: None };
        Arc::new(Self { clock, options, state: Mutex::new(state) })
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        // A panic under the lock is a bug that tests find; the world itself is still whole rows.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Answers one request.
    ///
    /// # Cancel safety
    /// Dropped before the effect it never happened, dropped after it the answer is lost: as with a real connection.
    pub(crate) async fn handle(&self, request: Request) -> Outcome {
        let target = Target::of(&request);
        let (params, request_id) = {
            let mut state = self.state();
            state.requests += 1;
            let id = request_id(&state.world.mint.account, state.world.mint.counter, state.requests);
            (params(&request), id)
        };
        let action =
            params.as_ref().ok().and_then(|params| params.root().text("Action")).unwrap_or_default().to_owned();
        let verdict = self.state().faults.decide(&action, &target.region);
        let (there, back) = self.latency(&action);
        let slow = if let Verdict::Slow(extra) = verdict { extra } else { Duration::ZERO };
        self.clock.latency(there + slow).await;
        // Right before and right after the effect, and not only at the ends of the call: calls that travel side by side
        // have their effects at one instant, and a crash may come between any two of them.
        self.options.fuse.pass().await;
        let (status, body) = match &verdict {
            Verdict::Refuse => return Outcome::Refused,
            Verdict::Throttle => target.render(&action, &request_id, Err(limit_exceeded())),
            Verdict::ServerError => {
                let error = ApiError::new("InternalError", "An internal error has occurred").with_status(500);
                target.render(&action, &request_id, Err(error))
            }
            Verdict::Quota => target.render(&action, &request_id, Err(quota(&action))),
            Verdict::None | Verdict::Slow(_) | Verdict::LoseAnswer | Verdict::NeverReady | Verdict::Meddle(_) => {
                let result = params.and_then(|params| self.effect(&target, &action, &params, &verdict));
                target.render(&action, &request_id, result)
            }
        };
        self.options.fuse.pass().await;
        self.clock.latency(back).await;
        if matches!(verdict, Verdict::LoseAnswer) {
            return Outcome::Cut;
        }
        Outcome::Answer(Answer { status, body, request_id })
    }

    /// How long a call takes to get there and back: 60-150 ms together, fixed per operation, three quarters before
    /// its effect.
    fn latency(&self, action: &str) -> (Duration, Duration) {
        match self.options.profile {
            Profile::ZeroLatency => (Duration::ZERO, Duration::ZERO),
            Profile::Realistic => {
                let whole = Duration::from_millis(60 + number_of(&[b"latency", action.as_bytes()]) % 91);
                (whole * 3 / 4, whole / 4)
            }
        }
    }

    /// Does what a call asks for, and writes it down.
    fn effect(&self, target: &Target, action: &str, params: &Params, verdict: &Verdict) -> Result<Xml, ApiError> {
        let now = self.clock.now();
        let mut guard = self.state();
        let state = &mut *guard;
        if let Some(why) = &state.failed {
            return Err(ApiError::new("InternalFailure", why.clone()).with_status(500));
        }
        if target.service == "sts" {
            return sts::run(action, params, &state.world.mint.account);
        }
        if target.service != "ec2" {
            return Err(ApiError::new(
                "InvalidAction",
                format!("The sandbox does not simulate {}; it has ec2 and sts", target.service),
            ));
        }
        let operation = ec2::find(action)?;
        let writes = operation.effect == Effect::Writes;
        if let Some(limits) = &self.options.throttle {
            state.buckets.take(limits, &target.region, operation.name, writes, now)?;
        }
        if let Verdict::Meddle(change) = verdict {
            ec2::meddle(change, state.world.region(&target.region, now), now, &self.options.quotas);
        }
        state.world.mint.never_ready = *verdict == Verdict::NeverReady;
        let result = ec2::run(operation, state.world.region(&target.region, now), params, now, &self.options.quotas);
        state.world.mint.never_ready = false;
        let writes = (writes && result.is_ok()) || matches!(verdict, Verdict::Meddle(_));
        if let Err(error) = state.persist(&target.region, writes, now) {
            let why = format!("the sandbox cannot keep its world: {error}");
            state.failed = Some(why.clone());
            return Err(ApiError::new("InternalFailure", why).with_status(500));
        }
        result
    }

    /// Notes that the process ends in order. A blown fuse is a dead process: it notes nothing.
    pub(crate) fn close(&self) -> Result<(), SandboxError> {
        if self.options.fuse.is_blown() {
            return Ok(());
        }
        let now = self.clock.now();
        let state = &mut *self.state();
        state.store.as_mut().map_or(Ok(()), |store| store.close(&state.world, now))
    }
}

impl State {
    fn persist(&mut self, region: &str, writes: bool, now: jiff::Timestamp) -> Result<(), SandboxError> {
        let Some(store) = &mut self.store else { return Ok(()) };
        if !writes && !store.must_reserve(now) {
            return Ok(());
        }
        let rows = if writes {
            let source = |source: serde_json::Error| SandboxError::Io {
                what: "encode the objects of",
                path: region.into(),
                source: source.into(),
            };
            self.world.region(region, now).0.drain().map_err(source)?
        } else {
            Vec::new()
        };
        store.append(&self.world, rows, now)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // Nothing can be done about an error here, and nothing is lost but the exact time.
        let _ = self.close();
    }
}

impl Target {
    /// From the credential scope of the signature (`AKID/date/region/service/aws4_request`), else from the host
    /// (`ec2.us-west-2.amazonaws.com`).
    fn of(request: &Request) -> Self {
        let scope = request.authorization.as_deref().and_then(|header| {
            let credential = header.split_once("Credential=")?.1.split([',', ' ']).next()?;
            let mut parts = credential.rsplit('/');
            let (_terminator, service, region) = (parts.next()?, parts.next()?, parts.next()?);
            Some((service.to_owned(), region.to_owned()))
        });
        let (service, region) = scope.unwrap_or_else(|| {
            let mut parts = request.host.split('.');
            let service = parts.next().unwrap_or_default().to_owned();
            let region = parts.next().filter(|part| part.contains('-')).unwrap_or("us-east-1").to_owned();
            (if service == "sts" { service } else { "ec2".to_owned() }, region)
        });
        Self { service, region }
    }

    fn render(&self, action: &str, request_id: &str, result: Result<Xml, ApiError>) -> (u16, String) {
        match (self.service.as_str(), result) {
            ("sts", Ok(xml)) => (200, envelope::query_success(action, sts::NAMESPACE, request_id, xml)),
            ("sts", Err(error)) => (error.status, envelope::query_error(&error, sts::NAMESPACE, request_id)),
            (_, Ok(xml)) => (200, envelope::ec2_success(action, request_id, xml)),
            (_, Err(error)) => (error.status, envelope::ec2_error(&error, request_id)),
        }
    }
}

/// The parameters are in the body of a POST or in the query of a GET.
fn params(request: &Request) -> Result<Params, ApiError> {
    let bytes =
        if request.body.is_empty() { request.query.as_deref().unwrap_or_default().as_bytes() } else { &request.body };
    let params = Params::parse(bytes)?;
    if params.root().text("Action").is_none() {
        return Err(ApiError::new("MissingAction", "The request must contain the parameter Action"));
    }
    Ok(params)
}

/// The refusal of a create when a quota is said to be reached.
fn quota(action: &str) -> ApiError {
    let code = match action {
        "CreateVpc" => "VpcLimitExceeded",
        "CreateSubnet" => "SubnetLimitExceeded",
        "CreateInternetGateway" => "InternetGatewayLimitExceeded",
        "AllocateAddress" => "AddressLimitExceeded",
        "CreateNatGateway" => "NatGatewayLimitExceeded",
        "CreateRouteTable" => "RouteTableLimitExceeded",
        "CreateRoute" => "RouteLimitExceeded",
        "CreateSecurityGroup" => "SecurityGroupLimitExceeded",
        _ => "ResourceLimitExceeded",
    };
    ApiError::new(code, "The maximum number of these resources has been reached.")
}

/// An id in the shape of a UUID.
fn request_id(account: &str, counter: u64, request: u64) -> String {
    let parts = [account.as_bytes(), &counter.to_le_bytes(), &request.to_le_bytes()];
    let (high, low) = (number_of(&parts), number_of(&[b"low", parts[0], parts[1], parts[2]]));
    format!(
        "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xfff,
        low >> 48 & 0xfff,
        low & 0xffff_ffff_ffff
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_target_comes_from_the_signature_or_the_host() {
        let signed =
            "AWS4-HMAC-SHA256 Credential=AKID/20260101/eu-west-1/sts/aws4_request, SignedHeaders=host, Signature=x";
        let target = Target::of(&Request { authorization: Some(signed.to_owned()), ..Request::default() });
        assert_eq!(target, Target { service: "sts".to_owned(), region: "eu-west-1".to_owned() });
        let target = Target::of(&Request { host: "ec2.us-west-2.amazonaws.com".to_owned(), ..Request::default() });
        assert_eq!(target, Target { service: "ec2".to_owned(), region: "us-west-2".to_owned() });
        assert_eq!(Target::of(&Request { host: "127.0.0.1:80".to_owned(), ..Request::default() }).service, "ec2");
    }
}
