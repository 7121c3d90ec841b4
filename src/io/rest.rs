//! Waiting for a descriptor without frames: see `greenlet/rounds.rs`.

use std::io;
use std::os::fd::AsFd;
use std::rc::Rc;

use super::Watched;
use crate::hub::{Hub, Reason};
use crate::reactor::{Direction, Source};

/// As long as it lives, an event wakes the greenlet that has made it.
pub(crate) struct Resting {
    source: Rc<Source>,
}

impl<T: AsFd> Watched<T> {
    /// Has the running greenlet woken when there is something to read. It is to park at once, in this way or that, with this reason.
    ///
    /// # Errors
    /// That another greenlet is already waiting for the same.
    pub(crate) fn rest_until_readable(&self) -> io::Result<(Resting, Reason)> {
        self.enlist(Direction::Read, std::ptr::null())?;
        Ok((Resting { source: self.source().clone() }, self.reason(Direction::Read)))
    }
}

impl Drop for Resting {
    fn drop(&mut self) {
        self.source.end(Direction::Read);
        // A thread that ends drops it after its hub, or under another.
        if let Some(hub) = Hub::try_current().filter(|hub| hub.reactor.is_own(&self.source)) {
            hub.reactor.done_waiting();
        }
    }
}
