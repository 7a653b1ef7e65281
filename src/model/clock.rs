//! Time as the engine and the sandbox see it: read and slept on through one trait, so that a run can be
//! simulated, paused in a test, or sped up.

use std::pin::Pin;
use std::time::Duration;

use jiff::Timestamp;

/// A source of time. Every duration that a run waits or measures goes through one.
///
/// `Send + Sync` because the AWS SDK's connectors, which the sandbox implements, must be; the engine itself
/// never leaves its thread.
pub trait Clock: Send + Sync {
    /// The current instant; simulated in the sandbox.
    fn now(&self) -> Timestamp;

    /// A future that is ready once `duration` has passed on this clock.
    ///
    /// # Cancel safety
    /// Dropping the future forgets the timer; nothing else happens.
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>>;
}
