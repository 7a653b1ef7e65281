//! Ctrl-C and SIGTERM: the first asks the run to stop, the second ends the process at once.

use std::pin::Pin;

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Both ways to ask a process to stop; each instance hears every one of them.
struct Stops {
    interrupt: Signal,
    terminate: Signal,
}

impl Stops {
    fn listen() -> anyhow::Result<Self> {
        let hear = |kind| signal(kind).context("could not listen for signals");
        Ok(Self { interrupt: hear(SignalKind::interrupt())?, terminate: hear(SignalKind::terminate())? })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// A future that is ready at the first signal, and one that is ready at the second. From here on no signal ends the
/// process by itself.
pub(super) struct Interrupts {
    pub(super) first: Pin<Box<dyn Future<Output = ()>>>,
    pub(super) second: Pin<Box<dyn Future<Output = ()>>>,
}

impl Interrupts {
    pub(super) fn listen() -> anyhow::Result<Self> {
        let (mut one, mut two) = (Stops::listen()?, Stops::listen()?);
        Ok(Self {
            first: Box::pin(async move { one.next().await }),
            second: Box::pin(async move {
                two.next().await;
                two.next().await;
            }),
        })
    }
}
