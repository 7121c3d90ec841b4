//! The hub's clock: nanoseconds since the hub was made, on the monotonic clock of the system, or on a virtual one.

use std::cell::Cell;
use std::time::Duration;

use crate::sys;

const NANOS_PER_SEC: u64 = 1_000_000_000;

/// A duration in nanoseconds; `None` if it is beyond the reach of the clock (584 years).
#[inline]
pub(crate) fn nanos(duration: Duration) -> Option<u64> {
    duration.as_secs().checked_mul(NANOS_PER_SEC)?.checked_add(u64::from(duration.subsec_nanos()))
}

pub(crate) struct Clock {
    /// What the system's clock said at the beginning.
    start: u64,
    recent: Cell<u64>,
    /// Does time stand still, until somebody moves it?
    #[cfg(feature = "testing")]
    is_virtual: Cell<bool>,
    /// How far virtual time is ahead of real time.
    #[cfg(feature = "testing")]
    ahead: Cell<u64>,
    /// How often those that wait for an idle moment have had one since virtual time moved.
    #[cfg(feature = "testing")]
    idle_moments: Cell<u32>,
    /// How many looks of the hub one after the other have found that everybody who is ready only yields.
    #[cfg(feature = "testing")]
    yielding_looks: Cell<u32>,
}

/// So many idle moments come one after the other while virtual time stands still. Work that is done in fewer takes none.
#[cfg(feature = "testing")]
const IDLE_MOMENTS: u32 = 1000;

/// The same of looks between which everybody has only yielded.
#[cfg(feature = "testing")]
const YIELDING_LOOKS: u32 = 1000;

impl Clock {
    pub(crate) fn new() -> Clock {
        Clock {
            start: sys::time::monotonic(),
            recent: Cell::new(0),
            #[cfg(feature = "testing")]
            is_virtual: Cell::new(false),
            #[cfg(feature = "testing")]
            ahead: Cell::new(0),
            #[cfg(feature = "testing")]
            idle_moments: Cell::new(0),
            #[cfg(feature = "testing")]
            yielding_looks: Cell::new(0),
        }
    }

    #[inline]
    pub(crate) fn now(&self) -> u64 {
        #[cfg(feature = "testing")]
        if self.is_virtual.get() {
            return self.recent.get();
        }
        let now = sys::time::monotonic() - self.start;
        #[cfg(feature = "testing")]
        let now = now.saturating_add(self.ahead.get());
        self.recent.set(now);
        now
    }

    /// What `now` said last.
    #[inline]
    pub(crate) fn recent(&self) -> u64 {
        self.recent.get()
    }
}

#[cfg(feature = "testing")]
impl Clock {
    pub(crate) fn is_virtual(&self) -> bool {
        self.is_virtual.get()
    }

    /// Stops the clock, or lets it go on from where it stands: time never goes back.
    pub(crate) fn set_virtual(&self, on: bool) {
        let now = self.now();
        self.is_virtual.set(on);
        self.count_anew();
        if !on {
            self.ahead.set(0);
            self.ahead.set(now.saturating_sub(self.now()));
            // Without what it is ahead, the look at the clock has put `recent` back.
            self.now();
        }
    }

    pub(crate) fn count_anew(&self) {
        self.idle_moments.set(0);
        self.yielding_looks.set(0);
    }

    /// There is one more idle moment. Is time virtual, and has it stood still for as many as it may?
    pub(crate) fn has_stood_long(&self) -> bool {
        let moments = self.idle_moments.get() + 1;
        self.idle_moments.set(moments % IDLE_MOMENTS);
        self.is_virtual() && moments == IDLE_MOMENTS
    }

    /// There is one more look, and since the one before somebody has done something, or all have only yielded. Is time virtual, and have
    /// they done so for as many looks as they may?
    pub(crate) fn is_waited_for_by_yields(&self, only_yields: bool) -> bool {
        let looks = if only_yields { self.yielding_looks.get() + 1 } else { 0 };
        self.yielding_looks.set(looks % YIELDING_LOOKS);
        self.is_virtual() && looks == YIELDING_LOOKS
    }

    /// Moves virtual time.
    pub(crate) fn jump_to(&self, then: u64) {
        self.count_anew();
        self.recent.set(then.max(self.recent.get()));
    }
}
