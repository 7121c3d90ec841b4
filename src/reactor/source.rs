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

/// Who is told of an event.
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

/// What a turn of a reader needs comes first, within a line of the processor's caches: with thousands of connections it comes from far away.
#[repr(C)]
pub(crate) struct Source {
    pub(super) token: u64,
    /// Set by an event, cleared by an operation that would block.
    readable: Cell<bool>,
    writable: Cell<bool>,
    /// After a short read there may be more, as events have told.
    more: Cell<bool>,
    reader: RefCell<Option<Waiter>>,
    writer: RefCell<Option<Waiter>>,
}

impl Source {
    pub(super) fn new(token: u64) -> Source {
        Source {
            token,
            readable: Cell::new(true),
            writable: Cell::new(true),
            more: Cell::new(false),
            reader: RefCell::default(),
            writer: RefCell::default(),
        }
    }

    #[inline]
    fn ready(&self, direction: Direction) -> &Cell<bool> {
        match direction {
            Direction::Read => &self.readable,
            Direction::Write => &self.writable,
        }
    }

    #[inline]
    fn waiter(&self, direction: Direction) -> &RefCell<Option<Waiter>> {
        match direction {
            Direction::Read => &self.reader,
            Direction::Write => &self.writer,
        }
    }

    fn set_ready(&self, direction: Direction) {
        self.ready(direction).set(true);
        match &*self.waiter(direction).borrow() {
            None => {}
            Some(Waiter::Task(task)) => Hub::current().wake_cold(task, self),
            Some(Waiter::Attendant(attendant)) => Hub::current().reactor.call_soon(attendant.clone()),
        }
    }

    #[inline]
    pub(crate) fn is_ready(&self, direction: Direction) -> bool {
        self.ready(direction).get()
    }

    /// The operation would have blocked.
    #[inline]
    pub(crate) fn would_block(&self, direction: Direction) {
        self.ready(direction).set(false);
        if direction == Direction::Read {
            self.more.set(false);
        }
    }

    /// A read gave something, but less than it asked for: the next one would block, unless an event has told otherwise.
    #[inline]
    pub(crate) fn read_short(&self) {
        if Driver::REPORTS_MORE && !self.more.get() {
            self.readable.set(false);
        }
    }

    /// Whoever waits shall try again, whatever events say.
    pub(crate) fn look_again(&self) {
        self.set_ready(Direction::Read);
        self.set_ready(Direction::Write);
    }

    /// Takes the place of the one who waits for `direction`; false if somebody has it already.
    #[inline]
    pub(crate) fn begin(&self, direction: Direction, who: Waiter) -> bool {
        let mut waiter = self.waiter(direction).borrow_mut();
        let is_free = waiter.is_none();
        if is_free {
            *waiter = Some(who);
        }
        is_free
    }

    /// Who waits for `direction`, for a report.
    #[cold]
    pub(crate) fn holder(&self, direction: Direction) -> String {
        self.waiter(direction).borrow().as_ref().map_or_else(String::new, Waiter::to_string)
    }

    #[inline]
    pub(crate) fn end(&self, direction: Direction) {
        let waiter = self.waiter(direction).take();
        drop(waiter);
    }

    /// Takes out those who are no greenlets.
    pub(super) fn dismiss(&self) -> impl Iterator<Item = Rc<dyn Attendant>> {
        [&self.reader, &self.writer].into_iter().filter_map(|waiter| {
            let mut waiter = waiter.borrow_mut();
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
        Interest { readable: self.reader.borrow().is_some(), writable: self.writer.borrow().is_some() }
    }

    pub(super) fn accept(&self, ready: Ready) {
        if ready.more {
            self.more.set(true);
        }
        if ready.readable {
            self.set_ready(Direction::Read);
        }
        if ready.writable {
            self.set_ready(Direction::Write);
        }
    }
}
