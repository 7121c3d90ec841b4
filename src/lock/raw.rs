//! Exclusion without data, under [`Mutex`](super::Mutex) and [`ReentrantMutex`](super::ReentrantMutex).
//!
//! ```text
//!              acquire                 release, somebody waits
//!     Free ───────────────▶ Held(who) ─────────────────────────▶ Promised
//!      ▲                     │     ▲                                │
//!      └─────────────────────┘     └────────────────────────────────┘
//!       release, nobody waits        one that was woken runs, takes it
//! ```
//!
//! *Promised* makes it fair: one was woken for the lock and has not run yet, and whoever comes meanwhile lines up behind. The
//! woken one takes the lock itself when it runs; nothing is handed to a parked greenlet. It does run, and looks, even
//! if it is killed meanwhile (see `park`), so a promise is always kept.
//!
//! A greenlet that unwinds cannot line up. It takes a promised lock; the woken one then waits on in front.

use std::cell::Cell;

use crate::hub::{Contention, Holder, Hub, Reason};
use crate::park::{self, Deadline, Woken};
use crate::waitlist::{Place, WaitList};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Free,
    Promised,
    Held(u64),
}

/// See the module's head.
pub(super) struct RawLock {
    state: Cell<State>,
    waiters: WaitList,
    contention: Contention,
}

impl RawLock {
    pub(super) const fn new() -> RawLock {
        RawLock { state: Cell::new(State::Free), waiters: WaitList::new(), contention: Contention::new() }
    }

    /// The id of the greenlet that has taken it and not given it back.
    pub(super) fn holder(&self) -> Option<u64> {
        match self.state.get() {
            State::Held(holder) => Some(holder),
            State::Free | State::Promised => None,
        }
    }

    /// Takes the lock if it is free.
    #[inline(always)]
    pub(super) fn try_acquire(&self) -> bool {
        let free = self.state.get() == State::Free;
        if free {
            self.take();
        }
        free
    }

    /// Takes the lock, also when it is promised.
    fn seize(&self) -> bool {
        let nobody_holds = self.holder().is_none();
        if nobody_holds {
            self.take();
        }
        nobody_holds
    }

    #[inline(always)]
    fn take(&self) {
        let me = Hub::current().running_id();
        self.state.set(State::Held(me));
        self.contention.held_by(Some(Holder::Greenlet(me)));
    }

    /// Takes the lock, waiting for it; otherwise says why not: its time ran out, or it was refused.
    #[inline]
    #[track_caller]
    pub(super) fn acquire(&self, deadline: Deadline) -> Result<(), Woken> {
        if self.try_acquire() { Ok(()) } else { self.acquire_in_line(deadline) }
    }

    #[track_caller]
    fn acquire_in_line(&self, deadline: Deadline) -> Result<(), Woken> {
        let contender = self.contention.wait(self.holder().map(Holder::Greenlet));
        let reason = Reason::of(&"lock", contender.object());
        let mut place = Place::default();
        loop {
            let woken = park::wait_on(&self.waiters, &mut place, reason, deadline);
            let taken = match woken {
                Woken::TimedOut => self.try_acquire(),
                Woken::Notified | Woken::Refused => self.seize(),
            };
            match woken {
                _ if taken => return Ok(()),
                Woken::Notified => {}
                Woken::TimedOut | Woken::Refused => return Err(woken),
            }
        }
    }

    /// Gives the lock back and wakes the first in line.
    #[inline]
    pub(super) fn release(&self) {
        self.state.set(if self.waiters.wake_one() { State::Promised } else { State::Free });
    }
}
