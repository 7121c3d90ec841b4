//! One registered descriptor: its latches and who waits.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;

use super::Attendant;
use crate::hub::{Hub, Task};
use crate::sys::driver::{Driver, Interest, Ready};

/// What somebody wants to do with a descriptor.
///
/// # Examples
/// ```
/// use greenloop::io::{Direction, Watched};
/// use std::io::{Read, Write};
/// use std::os::unix::net::UnixStream;
///
/// let (ours, mut theirs) = UnixStream::pair()?;
/// ours.set_nonblocking(true)?;
/// let watched = Watched::new(ours)?;
/// greenloop::spawn(move || theirs.write_all(b"!"));
/// let read = watched.with_io(Direction::Read, |mut io| io.read(&mut [0; 8]))?; // waits for the byte
/// assert_eq!(read, 1);
/// # Ok::<(), std::io::Error>(())
/// ```
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
    waiter: RefCell<Option<Waiter>>,
}

/// Who is told of an event.
#[derive(Clone)]
pub(crate) enum Waiter {
    /// A greenlet that is parked for it.
    Task(Rc<Task>),
    /// Somebody who is no greenlet.
    Attendant(Rc<dyn Attendant>),
}

impl fmt::Display for Waiter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Waiter::Task(task) => write!(f, "greenlet {task}"),
            Waiter::Attendant(_) => f.write_str("somebody who watches it together with other things"),
        }
    }
}

impl Side {
    fn set_ready(&self, source: &Source) {
        self.ready.set(true);
        match &*self.waiter.borrow() {
            None => {}
            Some(Waiter::Task(task)) => Hub::current().wake_cold(task, source),
            Some(Waiter::Attendant(attendant)) => Hub::current().reactor.call_soon(attendant.clone()),
        }
    }
}

pub(crate) struct Source {
    pub(super) token: u64,
    read: Side,
    write: Side,
    /// After a short read there may be more, as events have told.
    more: Cell<bool>,
}

impl Source {
    pub(super) fn new(token: u64) -> Source {
        let source = Source { token, read: Side::default(), write: Side::default(), more: Cell::new(false) };
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
        self.read.set_ready(self);
        self.write.set_ready(self);
    }

    /// Takes the place of the one who waits for `direction`; gives back the one who has it already.
    pub(crate) fn begin(&self, direction: Direction, who: Waiter) -> Result<(), Waiter> {
        let mut waiter = self.side(direction).waiter.borrow_mut();
        match &*waiter {
            Some(other) => Err(other.clone()),
            None => {
                *waiter = Some(who);
                Ok(())
            }
        }
    }

    pub(crate) fn end(&self, direction: Direction) {
        let waiter = self.side(direction).waiter.take();
        drop(waiter);
    }

    /// Takes out those who are no greenlets.
    pub(super) fn dismiss(&self) -> impl Iterator<Item = Rc<dyn Attendant>> {
        [&self.read, &self.write].into_iter().filter_map(|side| {
            let mut waiter = side.waiter.borrow_mut();
            match waiter.take() {
                Some(Waiter::Attendant(attendant)) => Some(attendant),
                other => {
                    *waiter = other;
                    None
                }
            }
        })
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
            self.read.set_ready(self);
        }
        if ready.writable {
            self.write.set_ready(self);
        }
    }
}
