//! The hub's clock: nanoseconds since the hub was made, on the monotonic clock of the system.

use std::cell::Cell;
use std::time::Instant;

pub(crate) struct Clock {
    start: Instant,
    recent: Cell<u64>,
}

impl Clock {
    pub(crate) fn new() -> Clock {
        Clock { start: Instant::now(), recent: Cell::new(0) }
    }

    pub(crate) fn now(&self) -> u64 {
        let now = self.start.elapsed().as_nanos() as u64;
        self.recent.set(now);
        now
    }

    /// What `now` said last.
    #[inline]
    pub(crate) fn recent(&self) -> u64 {
        self.recent.get()
    }
}
