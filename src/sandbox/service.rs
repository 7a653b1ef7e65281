//! Carries one call from fuse to fuse: faults, latency, throttle, effect, persistence.
//!
//! Entry point: [`Service::carry`]. What is carried is an [`Errand`]: a call to one of the AWS services, or a request to the
//! API server of a cluster.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::api::Context;
use super::clock::SimClock;
use super::faults::{FaultState, Verdict};
use super::meddle::meddle;
use super::options::{Options, Profile, Throttle};
use super::settle::settle;
use super::throttle::Buckets;
use super::world::World;
use super::world::ids::number_of;
use super::world::store::{SandboxError, Store};
use crate::model::Clock as _;

/// What becomes of a request.
#[derive(Debug)]
pub(crate) enum Outcome<T> {
    /// It is answered.
    Answer(T),
    /// The connection was refused: nothing happened.
    Refused,
    /// The connection was cut before the answer came.
    Cut,
}

impl<T> Outcome<T> {
    /// The same with what its answer becomes.
    pub(crate) fn map<U>(self, change: impl FnOnce(T) -> U) -> Outcome<U> {
        match self {
            Self::Answer(answer) => Outcome::Answer(change(answer)),
            Self::Refused => Outcome::Refused,
            Self::Cut => Outcome::Cut,
        }
    }
}

/// A call on its way.
pub(crate) trait Errand {
    /// What comes of it.
    type Answer;

    /// Which service it is to, as faults name it.
    fn service(&self) -> &'static str;

    /// What is asked, as faults name it.
    fn action(&self) -> &str;

    /// The region that it is to.
    fn region(&self) -> &str;

    /// What is known of it before it runs, or the service's own refusal.
    ///
    /// # Errors
    /// When there is no such operation, or its input is not readable.
    fn admit<'a>(&'a self, general: &'a Throttle) -> Result<Admitted<'a>, Self::Answer>;

    /// Runs it: its answer, and whether it may have changed anything.
    fn run(&self, context: &mut Context<'_>) -> (Self::Answer, bool);

    /// The service's own answer when it is not even tried.
    fn refuse(&self, why: Why<'_>) -> Self::Answer;
}

/// What is known of a call before it runs.
#[derive(Debug)]
pub(crate) struct Admitted<'a> {
    /// Which operation it counts as.
    pub(crate) operation: &'static str,
    /// How many of it there can be; `None` for any number.
    pub(crate) limits: Option<&'a Throttle>,
    /// Whether it may change anything.
    pub(crate) writes: bool,
}

/// Why a call is not even tried.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Why<'a> {
    /// There were too many.
    Throttled,
    /// Something is wrong inside of the service.
    Broken(&'a str),
    /// A limit is said to be reached.
    Quota,
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

    /// Counts a request: the account, how much there was made in it, and how many requests there were.
    pub(crate) fn count_request(&self) -> (String, u64, u64) {
        let mut state = self.state();
        state.requests += 1;
        (state.world.mint.account.clone(), state.world.mint.counter, state.requests)
    }

    /// Carries a call to its effect and back.
    ///
    /// # Cancel safety
    /// Dropped before the effect it never happened, dropped after it the answer is lost: as with a real connection.
    pub(crate) async fn carry<E: Errand>(&self, errand: &E) -> Outcome<E::Answer> {
        let verdict = self.state().faults.decide(errand.service(), errand.action(), errand.region());
        let (there, back) = self.latency(errand.action());
        let slow = if let Verdict::Slow(extra) = verdict { extra } else { Duration::ZERO };
        self.clock.latency(there + slow).await;
        // Right before and right after the effect, and not only at the ends of the call: calls that travel side by side
        // have their effects at one instant, and a crash may come between any two of them.
        self.options.fuse.pass().await;
        let answer = match &verdict {
            Verdict::Refuse => return Outcome::Refused,
            Verdict::Throttle => errand.refuse(Why::Throttled),
            Verdict::ServerError => errand.refuse(Why::Broken("An internal error has occurred")),
            Verdict::Quota => errand.refuse(Why::Quota),
            Verdict::None | Verdict::Slow(_) | Verdict::LoseAnswer | Verdict::NeverReady | Verdict::Meddle(_) => {
                self.effect(errand, &verdict)
            }
        };
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
    fn effect<E: Errand>(&self, errand: &E, verdict: &Verdict) -> E::Answer {
        let now = self.clock.now();
        let mut guard = self.state();
        let state = &mut *guard;
        if let Some(why) = &state.failed {
            return errand.refuse(Why::Broken(why));
        }
        let general = self.options.throttle.clone().unwrap_or_default();
        let Admitted { operation, limits, writes } = match errand.admit(&general) {
            Ok(admitted) => admitted,
            Err(refusal) => return refusal,
        };
        if let (Some(limits), true) = (limits, self.options.throttle.is_some()) {
            let key = (errand.region(), errand.service(), operation);
            if state.buckets.take(limits, key, writes, now).is_err() {
                return errand.refuse(Why::Throttled);
            }
        }
        let settled = state.settle(&self.options, now);
        let quotas = &self.options.quotas;
        let mut context = Context { world: &mut state.world, region: errand.region(), now, quotas };
        if let Verdict::Meddle(change) = verdict {
            meddle(change, &mut context);
        }
        context.world.mint.never_ready = *verdict == Verdict::NeverReady;
        let (answer, done) = errand.run(&mut context);
        state.world.mint.never_ready = false;
        let writes = (writes && done) || settled || matches!(verdict, Verdict::Meddle(_));
        match state.keep(writes, now) {
            Ok(()) => answer,
            Err(why) => errand.refuse(Why::Broken(&why)),
        }
    }

    /// Looks at the world as it is now; what time made is written down.
    ///
    /// # Errors
    /// When that cannot be written.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&mut World, jiff::Timestamp) -> T) -> Result<T, String> {
        let now = self.clock.now();
        let mut guard = self.state();
        let state = &mut *guard;
        let settled = state.settle(&self.options, now);
        let seen = look(&mut state.world, now);
        state.keep(settled, now)?;
        Ok(seen)
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
    /// Brings the world up to `now`, and says whether somebody who only looks may see what that made: it has ids.
    fn settle(&mut self, options: &Options, now: jiff::Timestamp) -> bool {
        let made = self.world.mint.counter;
        settle(&mut self.world, &options.quotas, now);
        self.world.mint.counter != made || self.world.clusters_changed()
    }

    /// Writes down what changed. When that fails, nothing is promised any more.
    fn keep(&mut self, writes: bool, now: jiff::Timestamp) -> Result<(), String> {
        self.persist(writes, now).map_err(|error| {
            let why = format!("the sandbox cannot keep its world: {error}");
            self.failed = Some(why.clone());
            why
        })
    }

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
