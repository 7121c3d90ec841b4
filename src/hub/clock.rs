//! The hub's clock: nanoseconds since the hub was made, on the monotonic clock of the system.

use std::cell::Cell;
use std::time::{Duration, Instant};

const NANOS_PER_SEC: u64 = 1_000_000_000;

/// A duration in nanoseconds; `None` if it is beyond the reach of the clock (584 years).
#[inline]
pub(crate) fn nanos(duration: Duration) -> Option<u64> {
    duration.as_secs().checked_mul(NANOS_PER_SEC)?.checked_add(u64::from(duration.subsec_nanos()))
}

pub(crate) struct Clock {
    start: Instant,
    recent: Cell<u64>,
}

impl Clock {
    pub(crate) fn new() -> Clock {
        Clock { start: Instant::now(), recent: Cell::new(0) }
    }

    #[inline]
    pub(crate) fn now(&self) -> u64 {
        let elapsed = self.start.elapsed();
        // 584 years fit.
        let now = elapsed.as_secs() * NANOS_PER_SEC + u64::from(elapsed.subsec_nanos());
        self.recent.set(now);
        now
    }

    /// What `now` said last.
    #[inline]
    pub(crate) fn recent(&self) -> u64 {
        self.recent.get()
    }
}
