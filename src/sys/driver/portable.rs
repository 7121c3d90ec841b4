//! The driver for every Unix that `polling` supports: one-shot registration, re-armed before each park.

#![allow(unsafe_code)]

use std::cell::RefCell;
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::time::Duration;

use polling::{Event, Events, Poller};

use super::{EVENTS, Interest, Ready};

const CAPACITY: NonZeroUsize = NonZeroUsize::new(EVENTS).unwrap();

pub(crate) struct Driver {
    poller: Arc<Poller>,
    events: RefCell<Events>,
}

impl Driver {
    /// `polling` tells neither that a peer has closed nor of urgent data: only a read that would block says that nothing more is there.
    pub(crate) const REPORTS_MORE: bool = false;

    pub(crate) fn new() -> io::Result<(Driver, Waker)> {
        let poller = Arc::new(Poller::new()?);
        let events = RefCell::new(Events::with_capacity(CAPACITY));
        Ok((Driver { poller: poller.clone(), events }, Waker { poller }))
    }

    pub(crate) fn add(&self, descriptor: BorrowedFd<'_>, token: u64) -> io::Result<()> {
        // SAFETY: `Watched`, the only owner of registered descriptors, calls `delete` before it closes one.
        unsafe { self.poller.add(&descriptor, Event::none(key(token))) }
    }

    pub(crate) fn arm(
        &self,
        descriptor: BorrowedFd<'_>,
        token: u64,
        interest: impl FnOnce() -> Interest,
    ) -> io::Result<()> {
        let interest = interest();
        self.poller.modify(descriptor, Event::new(key(token), interest.readable, interest.writable))
    }

    pub(crate) fn delete(&self, descriptor: BorrowedFd<'_>) {
        // Fails only for a descriptor that is not registered, which is what is wanted.
        let _ = self.poller.delete(descriptor);
    }

    /// Calls `coming` with the place and the token of each event, and then `ready` for each.
    pub(crate) fn wait(
        &self,
        timeout: Option<Duration>,
        coming: impl Fn(usize, u64),
        mut ready: impl FnMut(Ready),
    ) -> io::Result<()> {
        let mut events = self.events.borrow_mut();
        events.clear();
        self.poller.wait(&mut events, timeout)?;
        for (place, event) in events.iter().enumerate() {
            coming(place, event.key as u64);
        }
        for event in events.iter() {
            // The event has disarmed both directions. Whoever waits for the other one must try and arm it again.
            ready(Ready { token: event.key as u64, readable: true, writable: true, more: false });
        }
        Ok(())
    }
}

/// A token on a system with 32-bit pointers loses the upper half of its generation, but not its index.
fn key(token: u64) -> usize {
    token as usize
}

/// Ends a `wait` of its driver, from any thread.
#[derive(Clone)]
pub(crate) struct Waker {
    poller: Arc<Poller>,
}

impl Waker {
    pub(crate) fn wake(&self) {
        // Fails only when the poller is gone, and with it the hub that was to be woken.
        let _ = self.poller.notify();
    }
}
