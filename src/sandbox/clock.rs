//! Virtual time by discrete events: it stands still while code runs, and jumps to the next timer when all is idle.
//!
//! Entry points: [`SimClock::drive`] around a whole run, [`SimClock`] as the run's [`Clock`]. A run's simulated
//! duration is therefore exact and independent of the processor. Real time only paces the jumps ([`Speed`]), so that
//! people can watch; real events (signals, sockets, intervals) are served between jumps.
//!
//! Outside of `drive` a sleep jumps the clock by itself: right for one call after another, not for concurrent ones.
//! Under [`SimClock::flow`] virtual time follows real time, for serving clients that live in it.

use std::collections::BTreeMap;
use std::future::{pending, poll_fn};
use std::pin::Pin;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use crate::model::{Clock, fuse::Fuse};

/// How fast virtual time passes against real time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Speed {
    /// So many simulated seconds in a real one.
    Times(f64),
    /// As fast as the processor allows.
    Unlimited,
}

impl Default for Speed {
    /// 600: the 20 minutes of a whole mesh in two seconds.
    fn default() -> Self {
        Self::Times(DEFAULT_TIMES)
    }
}

impl FromStr for Speed {
    type Err = SpeedError;

    /// A factor above zero, or `unlimited`.
    fn from_str(text: &str) -> Result<Self, SpeedError> {
        if text == "unlimited" {
            return Ok(Self::Unlimited);
        }
        let times =
            text.strip_suffix('x').unwrap_or(text).parse().ok().filter(|times: &f64| times.is_finite() && *times > 0.0);
        times.map(Self::Times).ok_or_else(|| SpeedError(text.to_owned()))
    }
}

/// Why a text is no speed.
#[derive(Debug, thiserror::Error)]
#[error("`{0}` is not a sandbox speed: write how many simulated seconds pass in a real one (600), or `unlimited`")]
pub struct SpeedError(String);

/// The factor of the default speed.
const DEFAULT_TIMES: f64 = 600.0;

/// Real lateness beyond this is forgiven instead of caught up: after a prompt waited for its answer, the run must
/// not race through the time that the person took.
const FORGIVEN: Duration = Duration::from_millis(50);

/// tokio's timer has a resolution of one millisecond; a shorter pause would be rounded up and add up.
const SHORTEST_PAUSE: Duration = Duration::from_millis(1);

/// Jumps and polls in a row before the runtime's other work (signals) gets its turn.
const TURNS: u32 = 64;

/// The sandbox's clock. Clones are the same clock.
#[derive(Debug, Clone)]
pub struct SimClock {
    shared: Arc<Mutex<State>>,
    fuse: Fuse,
}

#[derive(Debug)]
struct State {
    now: Timestamp,
    speed: Speed,
    timers: BTreeMap<(Timestamp, u64), Option<Waker>>,
    next_timer: u64,
    /// How many `drive` calls are under way; timers then wait for them.
    drivers: u32,
    /// How many [`Hold`]s are alive; time stands still while there is one.
    holds: u32,
    /// Woken when the last hold is dropped.
    driver: Option<Waker>,
    /// Set while virtual time follows real time.
    flowing: Option<Flow>,
}

#[derive(Debug, Clone, Copy)]
struct Flow {
    real: Instant,
    virtual_start: Timestamp,
    times: f64,
}

impl SimClock {
    /// A clock that stands at `now`.
    #[must_use]
    pub fn new(now: Timestamp, speed: Speed, fuse: Fuse) -> Self {
        let state = State {
            now,
            speed,
            timers: BTreeMap::new(),
            next_timer: 0,
            drivers: 0,
            holds: 0,
            driver: None,
            flowing: None,
        };
        Self { shared: Arc::new(Mutex::new(state)), fuse }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic while the lock was held leaves whole values behind: every change under it is a single assignment.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs `future` to its end, letting virtual time jump to the next timer whenever the future has nothing to do.
    ///
    /// Work that happens outside the future (a blocking pool) must keep a [`Hold`], or time passes meanwhile.
    ///
    /// # Cancel safety
    /// Dropping it drops the future; the clock stays where it is.
    /// One at a time: a second drive would let time pass under the first one's hands.
    pub fn drive<'a, F: Future + 'a>(&'a self, future: F) -> impl Future<Output = F::Output> + 'a {
        // Boxed, because a whole run's future is tens of kilobytes.
        let run = self.run(Box::pin(future), false);
        async move {
            match run.await {
                Some(output) => output,
                // Only a run that stops at a blown fuse ends without an output.
                None => pending().await,
            }
        }
    }

    /// The same for the crash harness: `None` as soon as the fuse is blown, and nothing runs any more.
    pub fn drive_until_blown<'a, F: Future + 'a>(&'a self, future: F) -> impl Future<Output = Option<F::Output>> + 'a {
        self.run(Box::pin(future), true)
    }

    async fn run<F: Future>(&self, mut future: Pin<Box<F>>, stops_when_blown: bool) -> Option<F::Output> {
        let _driver = Driver::enter(self);
        let inner = Arc::new(InnerWaker { woken: AtomicBool::new(true), outer: Mutex::new(None) });
        let waker = Waker::from(Arc::clone(&inner));
        let mut pace = Pace { anchor: (Instant::now(), self.now()), pause: None };
        poll_fn(|cx| {
            inner.set_outer(cx.waker());
            self.state().driver = Some(cx.waker().clone());
            for _ in 0..TURNS {
                if inner.woken.swap(false, Ordering::AcqRel) {
                    if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                        return Poll::Ready(Some(output));
                    }
                    if stops_when_blown && self.fuse.is_blown() {
                        return Poll::Ready(None);
                    }
                    continue;
                }
                match self.next_jump() {
                    None => return Poll::Pending,
                    Some((deadline, speed)) => {
                        if pace.wait(deadline, speed, cx).is_pending() {
                            return Poll::Pending;
                        }
                        self.jump(deadline);
                    }
                }
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await
    }

    /// Keeps virtual time standing until the guard is dropped: for work that a driven future waits for but that
    /// runs elsewhere.
    #[must_use]
    pub fn hold(&self) -> Hold {
        self.state().holds += 1;
        Hold(self.clone())
    }

    /// From now on virtual time follows real time, until the guard is dropped. [`Speed::Unlimited`] has no meaning
    /// there; the default speed is used instead.
    #[must_use]
    pub fn flow(&self) -> Flowing {
        let mut state = self.state();
        let times = match state.speed {
            Speed::Times(times) => times,
            Speed::Unlimited => DEFAULT_TIMES,
        };
        state.flowing = Some(Flow { real: Instant::now(), virtual_start: state.now, times });
        drop(state);
        Flowing(self.clone())
    }

    /// Whether virtual time follows real time just now.
    pub(crate) fn is_flowing(&self) -> bool {
        self.state().flowing.is_some()
    }

    /// Moves the clock forward by hand, waking what became due; for tests and scripted worlds.
    pub fn advance(&self, by: Duration) {
        let until = later(self.now(), by);
        while let Some(deadline) = self.state().timers.keys().next().map(|(at, _)| *at).filter(|at| *at <= until) {
            self.jump(deadline);
        }
        let mut state = self.state();
        state.now = state.now.max(until);
    }

    /// A sleep that no fuse counts: the latency inside a simulated call, which has its own fuse points.
    pub(crate) fn latency(&self, duration: Duration) -> SimSleep {
        let deadline = later(self.now(), duration);
        SimSleep { clock: self.clone(), deadline, key: None, counted: true, blown: false, real: None }
    }

    /// The earliest timer, unless time is held.
    fn next_jump(&self) -> Option<(Timestamp, Speed)> {
        let state = self.state();
        if state.holds > 0 || state.flowing.is_some() {
            return None;
        }
        let (deadline, _) = state.timers.keys().next()?;
        Some((*deadline, state.speed))
    }

    /// Sets the time to `deadline` and wakes every timer that is due then, in the order they were started.
    fn jump(&self, deadline: Timestamp) {
        let mut due = Vec::new();
        {
            let mut state = self.state();
            state.now = state.now.max(deadline);
            while let Some(entry) = state.timers.first_entry().filter(|entry| entry.key().0 <= deadline) {
                due.extend(entry.remove());
            }
        }
        due.into_iter().for_each(Waker::wake);
    }
}

impl Clock for SimClock {
    fn now(&self) -> Timestamp {
        let mut state = self.state();
        if let Some(flow) = state.flowing {
            let passed = flow.real.elapsed().mul_f64(flow.times);
            state.now = state.now.max(later(flow.virtual_start, passed));
        }
        state.now
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let deadline = later(self.now(), duration);
        Box::pin(SimSleep { clock: self.clone(), deadline, key: None, counted: false, blown: false, real: None })
    }
}

/// `at` plus `by`, held at the end of representable time.
pub(crate) fn later(at: Timestamp, by: Duration) -> Timestamp {
    SignedDuration::try_from(by).ok().and_then(|by| at.checked_add(by).ok()).unwrap_or(Timestamp::MAX)
}

/// One timer on the clock.
#[derive(Debug)]
pub(crate) struct SimSleep {
    clock: SimClock,
    deadline: Timestamp,
    key: Option<(Timestamp, u64)>,
    /// Whether the fuse has seen this sleep.
    counted: bool,
    blown: bool,
    /// The real timer, when time flows.
    real: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl Future for SimSleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        if !this.counted {
            this.counted = true;
            this.blown = !this.clock.fuse.touch();
        }
        if this.blown {
            return Poll::Pending;
        }
        let now = this.clock.now();
        if now >= this.deadline {
            return Poll::Ready(());
        }
        let mut state = this.clock.state();
        if let Some(flow) = state.flowing {
            drop(state);
            let left = Duration::try_from(this.deadline.duration_since(now)).unwrap_or_default();
            let real = this.real.get_or_insert_with(|| Box::pin(tokio::time::sleep(left.div_f64(flow.times))));
            std::task::ready!(real.as_mut().poll(cx));
            // The two clocks round differently; the timer that was asked for is the one that counts.
            let mut state = this.clock.state();
            state.now = state.now.max(this.deadline);
            return Poll::Ready(());
        }
        if state.drivers == 0 {
            drop(state);
            this.clock.jump(this.deadline);
            return Poll::Ready(());
        }
        let key = *this.key.get_or_insert_with(|| {
            state.next_timer += 1;
            (this.deadline, state.next_timer)
        });
        state.timers.insert(key, Some(cx.waker().clone()));
        Poll::Pending
    }
}

impl Drop for SimSleep {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.clock.state().timers.remove(&key);
        }
    }
}

/// Paces jumps against real time, from an anchor rather than jump by jump, so that what the processor took is not
/// slept again and rounding does not add up.
struct Pace {
    anchor: (Instant, Timestamp),
    pause: Option<(Timestamp, Pin<Box<tokio::time::Sleep>>)>,
}

impl Pace {
    fn wait(&mut self, deadline: Timestamp, speed: Speed, cx: &mut Context<'_>) -> Poll<()> {
        let Speed::Times(times) = speed else { return Poll::Ready(()) };
        if self.pause.as_ref().is_none_or(|(at, _)| *at != deadline) {
            let simulated = Duration::try_from(deadline.duration_since(self.anchor.1)).unwrap_or_default();
            let due = self.anchor.0
                + Duration::try_from_secs_f64(simulated.as_secs_f64() / times).unwrap_or(Duration::MAX / 4);
            let now = Instant::now();
            if now > due + FORGIVEN {
                self.anchor = (now, deadline);
            }
            if due < now + SHORTEST_PAUSE {
                self.pause = None;
                return Poll::Ready(());
            }
            self.pause = Some((deadline, Box::pin(tokio::time::sleep_until(due))));
        }
        if let Some((_, pause)) = &mut self.pause {
            std::task::ready!(pause.as_mut().poll(cx));
        }
        self.pause = None;
        Poll::Ready(())
    }
}

struct InnerWaker {
    woken: AtomicBool,
    outer: Mutex<Option<Waker>>,
}

impl InnerWaker {
    fn set_outer(&self, waker: &Waker) {
        let mut outer = self.outer.lock().unwrap_or_else(PoisonError::into_inner);
        if !outer.as_ref().is_some_and(|known| known.will_wake(waker)) {
            *outer = Some(waker.clone());
        }
    }
}

impl Wake for InnerWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        let outer = self.outer.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(outer) = outer {
            outer.wake();
        }
    }
}

struct Driver<'a>(&'a SimClock);

impl<'a> Driver<'a> {
    fn enter(clock: &'a SimClock) -> Self {
        clock.state().drivers += 1;
        Self(clock)
    }
}

impl Drop for Driver<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.drivers -= 1;
        state.driver = None;
    }
}

/// Virtual time stands still while this lives.
#[derive(Debug)]
pub struct Hold(SimClock);

impl Drop for Hold {
    fn drop(&mut self) {
        let waker = {
            let mut state = self.0.state();
            state.holds -= 1;
            if state.holds == 0 { state.driver.clone() } else { None }
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// Virtual time follows real time while this lives.
#[derive(Debug)]
pub struct Flowing(SimClock);

impl Drop for Flowing {
    fn drop(&mut self) {
        let _ = self.0.now();
        self.0.state().flowing = None;
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use futures_util::future::join_all;

    use super::*;

    fn clock(speed: Speed) -> SimClock {
        SimClock::new("2026-01-01T00:00:00Z".parse().unwrap(), speed, Fuse::never())
    }

    #[test]
    fn speeds_are_factors() {
        assert_eq!("600".parse::<Speed>().unwrap(), Speed::default());
        assert_eq!("1.5x".parse::<Speed>().unwrap(), Speed::Times(1.5));
        assert_eq!("unlimited".parse::<Speed>().unwrap(), Speed::Unlimited);
        for wrong in ["0", "-1", "fast", "NaN", "inf", ""] {
            assert!(wrong.parse::<Speed>().unwrap_err().to_string().contains("`unlimited`"), "{wrong}");
        }
    }

    #[tokio::test]
    async fn time_is_exact_and_in_order() {
        let clock = clock(Speed::Unlimited);
        let start = clock.now();
        let seen = RefCell::new(Vec::new());
        clock
            .drive(async {
                let sleeper = |name: &'static str, each: u64, times: u32| {
                    let (clock, seen) = (&clock, &seen);
                    async move {
                        for _ in 0..times {
                            clock.sleep(Duration::from_secs(each)).await;
                            seen.borrow_mut().push((name, clock.now().duration_since(start).as_secs()));
                        }
                    }
                };
                join_all([sleeper("a", 100, 2), sleeper("b", 70, 3)]).await;
            })
            .await;
        assert_eq!(seen.into_inner(), [("b", 70), ("a", 100), ("b", 140), ("a", 200), ("b", 210)]);
        assert_eq!(clock.now().duration_since(start).as_secs(), 210);
    }

    #[tokio::test]
    async fn the_speed_paces_real_time() {
        let clock = clock(Speed::Times(600.0));
        let real = Instant::now();
        clock
            .drive(async {
                for _ in 0..24_000 {
                    clock.sleep(Duration::from_millis(1)).await;
                }
            })
            .await;
        // 24 simulated seconds are 40 ms; rounding each pause up to the timer's resolution would take 24 s.
        let took = real.elapsed();
        assert!((Duration::from_millis(38)..Duration::from_secs(5)).contains(&took), "{took:?}");
    }

    #[tokio::test]
    async fn a_real_event_is_served_in_the_middle_of_a_pause() {
        let clock = clock(Speed::Times(1.0));
        let start = clock.now();
        clock
            .drive(async {
                tokio::select! {
                    () = clock.sleep(Duration::from_secs(10)) => unreachable!("the real event comes first"),
                    () = tokio::time::sleep(Duration::from_millis(5)) => {}
                }
            })
            .await;
        assert_eq!(clock.now(), start);
        assert!(clock.state().timers.is_empty(), "a dropped sleep forgets its timer");
    }

    #[tokio::test]
    async fn a_hold_keeps_time_standing() {
        let clock = clock(Speed::Unlimited);
        let start = clock.now();
        let hold = RefCell::new(Some(clock.hold()));
        clock
            .drive(async {
                let release = async {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    assert_eq!(clock.now(), start);
                    hold.borrow_mut().take();
                };
                futures_util::future::join(release, clock.sleep(Duration::from_secs(5))).await;
            })
            .await;
        assert_eq!(clock.now().duration_since(start).as_secs(), 5);
    }

    #[tokio::test]
    async fn flowing_time_follows_real_time() {
        let clock = clock(Speed::Times(10_000.0));
        let start = clock.now();
        let flowing = clock.flow();
        clock.sleep(Duration::from_secs(20)).await;
        assert!(clock.now().duration_since(start).as_secs() >= 20);
        drop(flowing);
        let stopped = clock.now();
        tokio::time::sleep(Duration::from_millis(2)).await;
        assert_eq!(clock.now(), stopped);
    }

    #[tokio::test]
    async fn a_blown_fuse_never_lets_a_sleep_end() {
        let fuse = Fuse::after(1);
        let clock = SimClock::new(Timestamp::UNIX_EPOCH, Speed::Unlimited, fuse.clone());
        clock.sleep(Duration::from_secs(1)).await;
        let mut second = clock.sleep(Duration::from_secs(1));
        let polled = second.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(polled.is_pending());
        assert!(fuse.is_blown());
        let cut = clock.drive_until_blown(clock.sleep(Duration::from_secs(1))).await;
        assert_eq!(cut, None);
        assert_eq!(clock.drive_until_blown(async { 7 }).await, Some(7));
    }
}
