//! Answers one request: fuse, faults, latency, throttle, effect, persistence, fuse.
//!
//! Entry point: [`Service::handle`], used alike by the connector under the SDK's clients and by the server on
//! loopback. Which service a request is for stands in its signature; what that service does is its [`Api`].

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::api::{self, Api, Context, Effect, Input, Output};
use super::clock::SimClock;
use super::faults::{FaultState, Verdict};
use super::meddle::meddle;
use super::options::{Options, Profile};
use super::protocol::{Answer, ApiError, Request, Wire};
use super::settle::settle;
use super::throttle::Buckets;
use super::world::ids::number_of;
use super::world::store::{SandboxError, Store};
use super::world::{GLOBAL, World};
use crate::model::Clock as _;

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

/// Where a request goes, as its sender says.
#[derive(Debug, PartialEq, Eq)]
struct Target {
    service: String,
    region: String,
}

/// One call on its way.
struct Call {
    api: &'static Api,
    region: String,
    action: String,
    input: Result<Input, ApiError>,
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
        let request_id = {
            let mut state = self.state();
            state.requests += 1;
            request_id(&state.world.mint.account, state.world.mint.counter, state.requests)
        };
        let call = match Call::of(&request) {
            Ok(call) => call,
            Err((wire, error)) => return Outcome::Answer(wire.write("", request_id, Err(error))),
        };
        let verdict = self.state().faults.decide(call.api.name, &call.action, &call.region);
        let (there, back) = self.latency(&call.action);
        let slow = if let Verdict::Slow(extra) = verdict { extra } else { Duration::ZERO };
        self.clock.latency(there + slow).await;
        // Right before and right after the effect, and not only at the ends of the call: calls that travel side by side
        // have their effects at one instant, and a crash may come between any two of them.
        self.options.fuse.pass().await;
        let wire = call.api.wire;
        let result = match &verdict {
            Verdict::Refuse => return Outcome::Refused,
            Verdict::Throttle => Err(wire.throttled()),
            Verdict::ServerError => Err(wire.broken("An internal error has occurred")),
            Verdict::Quota => Err(call.api.quota(&call.action)),
            Verdict::None | Verdict::Slow(_) | Verdict::LoseAnswer | Verdict::NeverReady | Verdict::Meddle(_) => {
                self.effect(&call, &verdict)
            }
        };
        let answer = wire.write(&call.action, request_id, result);
        self.options.fuse.pass().await;
        self.clock.latency(back).await;
        if matches!(verdict, Verdict::LoseAnswer) {
            return Outcome::Cut;
        }
        Outcome::Answer(answer)
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
    fn effect(&self, call: &Call, verdict: &Verdict) -> Result<Output, ApiError> {
        let now = self.clock.now();
        let mut guard = self.state();
        let state = &mut *guard;
        if let Some(why) = &state.failed {
            return Err(call.api.wire.broken(why));
        }
        let input = call.input.as_ref().map_err(Clone::clone)?;
        let operation = (call.api.find)(&call.action)?;
        let writes = operation.effect == Effect::Writes;
        if let Some(general) = &self.options.throttle {
            let limits = call.api.limits.as_ref().unwrap_or(general);
            let key = (call.region.as_str(), call.api.name, operation.name);
            state.buckets.take(limits, key, writes, now).map_err(|_| call.api.wire.throttled())?;
        }
        let made = state.world.mint.counter;
        settle(&mut state.world, &self.options.quotas, now);
        // What time made has an id from now on, which somebody who only looks may see.
        let settled = state.world.mint.counter != made;
        let quotas = &self.options.quotas;
        let mut context = Context { world: &mut state.world, region: &call.region, now, quotas };
        if let Verdict::Meddle(change) = verdict {
            meddle(change, &mut context);
        }
        context.world.mint.never_ready = *verdict == Verdict::NeverReady;
        let result = call.api.run(operation.name, input, &mut context);
        state.world.mint.never_ready = false;
        let writes = (writes && result.is_ok()) || settled || matches!(verdict, Verdict::Meddle(_));
        if let Err(error) = state.persist(writes, now) {
            let why = format!("the sandbox cannot keep its world: {error}");
            state.failed = Some(why.clone());
            return Err(call.api.wire.broken(&why));
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
    fn persist(&mut self, writes: bool, now: jiff::Timestamp) -> Result<(), SandboxError> {
        let Some(store) = &mut self.store else { return Ok(()) };
        if !writes && !store.must_reserve(now) {
            return Ok(());
        }
        let rows = if writes {
            self.world.drain().map_err(|source| SandboxError::Io {
                what: "encode the objects of",
                path: "the world".into(),
                source: source.into(),
            })?
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
            let service = parts.next().filter(|name| api::find(name).is_some()).unwrap_or("ec2").to_owned();
            let region = parts.next().filter(|part| part.contains('-')).unwrap_or("us-east-1").to_owned();
            (service, region)
        });
        Self { service, region }
    }
}

impl Call {
    /// Reads a request.
    ///
    /// # Errors
    /// When there is no such service; with the protocol that its sender seems to speak.
    fn of(request: &Request) -> Result<Self, (Wire, ApiError)> {
        let Target { service, region } = Target::of(request);
        let Some(api) = api::find(&service) else {
            let wire = if request.target.is_some() {
                Wire::Json
            } else if request.body.starts_with(b"Action=") {
                Wire::Query { namespace: "" }
            } else {
                Wire::RestJson { routes: &[] }
            };
            return Err((wire, api::unserved(&service)));
        };
        let region = if api.global { GLOBAL.to_owned() } else { region };
        let (action, input) = match api.wire.read(request) {
            Ok((action, input)) => (action, Ok(input)),
            Err(error) => (String::new(), Err(error)),
        };
        Ok(Self { api, region, action, input })
    }
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
