//! A set that is a poller of `polling`, whose own descriptor can be watched.

#![allow(unsafe_code)]

use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use polling::{Event, Events, PollMode, Poller};

use super::{CAPACITY, Interest};

pub(crate) struct PollSet(Poller);

impl PollSet {
    pub(crate) fn new() -> io::Result<PollSet> {
        Poller::new().map(PollSet)
    }

    pub(crate) fn add(&self, descriptor: BorrowedFd<'_>, number: u64, interest: Interest) -> io::Result<()> {
        // SAFETY: the users of a set delete a descriptor before they close it, or close the set before.
        unsafe { self.0.add_with_mode(&descriptor, event(number, interest), PollMode::Level) }
    }

    pub(crate) fn modify(
        &self,
        descriptor: BorrowedFd<'_>,
        number: u64,
        interest: Interest,
    ) -> io::Result<()> {
        self.0.modify_with_mode(descriptor, event(number, interest), PollMode::Level)
    }

    pub(crate) fn delete(&self, descriptor: BorrowedFd<'_>) -> io::Result<()> {
        self.0.delete(descriptor)
    }

    /// An end or an error is reported as both directions: the operation tells more.
    pub(crate) fn look(&self, mut ready: impl FnMut(u64, Interest)) -> io::Result<()> {
        let mut events = Events::with_capacity(NonZeroUsize::new(CAPACITY).unwrap_or(NonZeroUsize::MIN));
        self.0.wait(&mut events, Some(Duration::ZERO))?;
        for event in events.iter() {
            ready(event.key as u64, Interest { readable: event.readable, writable: event.writable });
        }
        Ok(())
    }
}

fn event(number: u64, interest: Interest) -> Event {
    Event::new(number as usize, interest.readable, interest.writable)
}

impl AsFd for PollSet {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
