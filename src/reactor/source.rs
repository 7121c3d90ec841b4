//! One registered descriptor: its latches and who waits.

use std::cell::Cell;
use std::rc::Rc;

use super::Attendant;
use crate::hub::{Hub, Task, Wake};
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

/// What a turn of a reader needs comes first, within a line of the processor's caches: with thousands of connections it comes from far away.
#[repr(C)]
pub(crate) struct Source {
    pub(super) token: u64,
    /// Of each direction: set by an event, cleared by an operation that would block.
    ready: [Cell<bool>; 2],
    /// After a short read there may be more, as events have told.
    more: Cell<bool>,
    /// There has been an attendant. Whether there is one is then to be looked up, far behind.
    is_attended: Cell<bool>,
    /// Who waits for each direction: a task, or else an attendant, or nobody.
    tasks: [Cell<Option<Rc<Task>>>; 2],
    attendants: [Cell<Option<Rc<dyn Attendant>>>; 2],
}

impl Source {
    pub(super) fn new(token: u64) -> Source {
        Source {
            token,
            ready: [Cell::new(true), Cell::new(true)],
            more: Cell::new(false),
            is_attended: Cell::new(false),
            tasks: Default::default(),
            attendants: Default::default(),
        }
    }

    #[inline(always)]
    fn set_ready(&self, direction: Direction) -> bool {
        self.ready[direction as usize].set(true);
        if let Some(task) = self.tasks[direction as usize].take() {
            let is_woken = Hub::current().wake(&task, Wake::Notified);
            self.tasks[direction as usize].set(Some(task));
            return is_woken;
        }
        if self.is_attended.get() {
            self.call_attendant(direction);
        }
        false
    }

    #[cold]
    fn call_attendant(&self, direction: Direction) {
        let place = &self.attendants[direction as usize];
        let attendant = place.take();
        place.set(attendant.clone());
        if let Some(attendant) = attendant {
            Hub::current().reactor.call_soon(attendant);
        }
    }

    #[inline]
    pub(crate) fn is_ready(&self, direction: Direction) -> bool {
        self.ready[direction as usize].get()
    }

    /// The operation would have blocked.
    #[inline]
    pub(crate) fn would_block(&self, direction: Direction) {
        self.ready[direction as usize].set(false);
        if direction == Direction::Read {
            self.more.set(false);
        }
    }

    /// A read gave something, but less than it asked for: the next one would block, unless an event has told otherwise.
    #[inline]
    pub(crate) fn read_short(&self) {
        if Driver::REPORTS_MORE && !self.more.get() {
            self.ready[Direction::Read as usize].set(false);
        }
    }

    /// Whoever waits shall try again, whatever events say.
    pub(crate) fn look_again(&self) {
        self.accept(Ready { token: self.token, readable: true, writable: true, more: false });
    }

    /// Takes the place of the one who waits for `direction`; false if somebody has it already.
    #[inline(always)]
    pub(crate) fn begin(&self, direction: Direction, who: Waiter) -> bool {
        let is_free = !self.is_awaited(direction);
        if is_free {
            match who {
                Waiter::Task(task) => self.tasks[direction as usize].set(Some(task)),
                Waiter::Attendant(attendant) => {
                    self.is_attended.set(true);
                    self.attendants[direction as usize].set(Some(attendant));
                }
            }
        }
        is_free
    }

    /// Who waits for `direction`, for a report.
    #[cold]
    pub(crate) fn holder(&self, direction: Direction) -> String {
        let place = &self.tasks[direction as usize];
        let Some(task) = place.take() else {
            return "somebody who watches it together with other things".to_owned();
        };
        let holder = format!("greenlet {task}");
        place.set(Some(task));
        holder
    }

    /// The task gives its place up.
    #[inline]
    pub(crate) fn end(&self, direction: Direction) {
        drop(self.tasks[direction as usize].take());
    }

    /// Takes out those who are no greenlets.
    pub(super) fn dismiss(&self) -> impl Iterator<Item = Rc<dyn Attendant>> {
        self.attendants.iter().filter_map(Cell::take)
    }

    /// Has a greenlet the place of the one who waits?
    #[inline]
    pub(crate) fn is_waited_for(&self, direction: Direction) -> bool {
        has_one(&self.tasks[direction as usize])
    }

    #[inline]
    fn is_awaited(&self, direction: Direction) -> bool {
        self.is_waited_for(direction)
            || self.is_attended.get() && has_one(&self.attendants[direction as usize])
    }

    pub(super) fn interest(&self) -> Interest {
        Interest { readable: self.is_awaited(Direction::Read), writable: self.is_awaited(Direction::Write) }
    }

    /// Takes an event in. Has it woken a greenlet?
    #[inline]
    pub(super) fn accept(&self, ready: Ready) -> bool {
        if ready.more {
            self.more.set(true);
        }
        let woken = ready.readable && self.set_ready(Direction::Read);
        ready.writable && self.set_ready(Direction::Write) || woken
    }
}

#[inline]
fn has_one<T>(place: &Cell<Option<T>>) -> bool {
    let who = place.take();
    let has_one = who.is_some();
    place.set(who);
    has_one
}
