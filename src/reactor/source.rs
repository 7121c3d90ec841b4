//! One registered descriptor: its latches and who waits.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::Attendant;
use crate::hub::{Hub, Task, Wake};
use crate::sys::driver::{Driver, Interest, Ready};

/// What somebody wants to do with a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Read from it, or accept.
    Read,
    /// Write to it, or connect.
    Write,
}

#[derive(Default)]
struct Side {
    /// Set by an event, cleared by an operation that would block.
    ready: Cell<bool>,
    waiter: RefCell<Option<Rc<Task>>>,
}

impl Side {
    fn set_ready(&self) {
        self.ready.set(true);
        if let Some(task) = &*self.waiter.borrow() {
            Hub::current().wake(task, Wake::Notified);
        }
    }
}

pub(crate) struct Source {
    pub(super) token: u64,
    read: Side,
    write: Side,
    /// After a short read there may be more, as events have told.
    more: Cell<bool>,
    /// Who is told of each event, parked or not.
    attendant: RefCell<Option<Rc<dyn Attendant>>>,
}

impl Source {
    pub(super) fn new(token: u64) -> Source {
        let source = Source {
            token,
            read: Side::default(),
            write: Side::default(),
            more: Cell::new(false),
            attendant: RefCell::new(None),
        };
        source.read.ready.set(true);
        source.write.ready.set(true);
        source
    }

    fn side(&self, direction: Direction) -> &Side {
        match direction {
            Direction::Read => &self.read,
            Direction::Write => &self.write,
        }
    }

    #[inline]
    pub(crate) fn is_ready(&self, direction: Direction) -> bool {
        self.side(direction).ready.get()
    }

    /// The operation would have blocked.
    #[inline]
    pub(crate) fn would_block(&self, direction: Direction) {
        self.side(direction).ready.set(false);
        if direction == Direction::Read {
            self.more.set(false);
        }
    }

    /// A read gave something, but less than it asked for: the next one would block, unless an event has told otherwise.
    #[inline]
    pub(crate) fn read_short(&self) {
        if Driver::REPORTS_MORE && !self.more.get() {
            self.read.ready.set(false);
        }
    }

    /// Whoever waits shall try again, whatever events say.
    pub(crate) fn look_again(&self) {
        self.read.set_ready();
        self.write.set_ready();
    }

    /// Takes the place of the one who waits for `direction`; gives back the task that has it already.
    pub(crate) fn begin(&self, direction: Direction, task: Rc<Task>) -> Result<(), Rc<Task>> {
        let mut waiter = self.side(direction).waiter.borrow_mut();
        match &*waiter {
            Some(other) => Err(other.clone()),
            None => {
                *waiter = Some(task);
                Ok(())
            }
        }
    }

    pub(crate) fn end(&self, direction: Direction) {
        self.side(direction).waiter.borrow_mut().take();
    }

    /// Names the one who is told of each event, or nobody. Gives back who was.
    pub(super) fn attended_by(&self, attendant: Option<Rc<dyn Attendant>>) -> Option<Rc<dyn Attendant>> {
        self.attendant.replace(attendant)
    }

    /// Who is told of each event.
    pub(super) fn attendant(&self) -> Option<Rc<dyn Attendant>> {
        self.attendant.borrow().clone()
    }

    pub(super) fn interest(&self) -> Interest {
        Interest {
            readable: self.read.waiter.borrow().is_some(),
            writable: self.write.waiter.borrow().is_some(),
        }
    }

    pub(super) fn accept(&self, ready: Ready) {
        if ready.more {
            self.more.set(true);
        }
        if ready.readable {
            self.read.set_ready();
        }
        if ready.writable {
            self.write.set_ready();
        }
    }
}
