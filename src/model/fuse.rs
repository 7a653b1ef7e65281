//! A fuse on the ports of a run: the crash harness cuts power at the n-th touch of the outside world.
//!
//! Every port (a call before and after its effect, a sleep, a journal append before and after it is durable)
//! asks the fuse before it goes on. A blown fuse never lets a port return again, which is what a dead process
//! looks like from the outside; the harness then drops the run. Outside the harness the fuse is
//! [`Fuse::never`] and costs one branch.

use std::fmt;
use std::future::pending;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts touches and blows at a chosen one. Clones share the count.
#[derive(Debug, Clone)]
pub struct Fuse(Option<Arc<Inner>>);

struct Inner {
    touches: AtomicU64,
    blows_at: u64,
    watch: Option<Watch>,
}

/// Called at each touch with its number, from 0.
type Watch = Box<dyn Fn(u64) + Send + Sync>;

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} of {}", self.touches, self.blows_at)
    }
}

impl Fuse {
    /// A fuse that never blows and counts nothing.
    #[must_use]
    pub fn never() -> Self {
        Self(None)
    }

    /// A fuse that lets `touches` touches pass and blows at the next. `u64::MAX` only counts.
    #[must_use]
    pub fn after(touches: u64) -> Self {
        Self(Some(Arc::new(Inner { touches: AtomicU64::new(0), blows_at: touches, watch: None })))
    }

    /// A fuse that never blows and tells `watch` of every touch: what is on disk at that moment is what a crash there
    /// would leave.
    #[must_use]
    pub fn watched(watch: impl Fn(u64) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(Inner { touches: AtomicU64::new(0), blows_at: u64::MAX, watch: Some(Box::new(watch)) })))
    }

    /// Counts one touch; `false` when the power is out.
    #[must_use]
    pub fn touch(&self) -> bool {
        self.0.as_ref().is_none_or(|inner| {
            let touch = inner.touches.fetch_add(1, Ordering::Relaxed);
            if let Some(watch) = &inner.watch {
                watch(touch);
            }
            touch < inner.blows_at
        })
    }

    /// Counts one touch, and never returns when the power is out.
    pub async fn pass(&self) {
        if !self.touch() {
            pending::<()>().await;
        }
    }

    /// How many touches there were so far.
    #[must_use]
    pub fn touches(&self) -> u64 {
        self.0.as_ref().map_or(0, |inner| inner.touches.load(Ordering::Relaxed))
    }

    /// Whether the power is out.
    #[must_use]
    pub fn is_blown(&self) -> bool {
        self.0.as_ref().is_some_and(|inner| inner.touches.load(Ordering::Relaxed) > inner.blows_at)
    }
}
