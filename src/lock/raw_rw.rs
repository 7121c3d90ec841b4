//! Many readers or one writer, without data, under [`RwLock`](super::RwLock).
//!
//! Readers and writers that wait take turns:
//!
//! ```text
//!     a writer leaves          all readers that wait go in; if none does, the writer that has waited longest
//!     the last reader leaves   the writer that has waited longest goes in
//!     a reader comes           it goes in unless one writes or waits to
//! ```
//!
//! So a writer waits for one round of readers at most for each writer before it, and a reader for one writer.
//!
//! Those that were woken and have not run yet are *promised*: whoever would keep them out lines up behind, as with
//! [`RawLock`](super::raw::RawLock), and as there a greenlet that unwinds does not care.

use std::cell::Cell;

use crate::hub::{Contender, Contention, Holder, Hub, Reason};
use crate::park::{self, Deadline, Woken};
use crate::waitlist::{Place, WaitList};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Inside {
    Nobody,
    Readers(usize),
    Writer(u64),
}

/// What a greenlet wants to be inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Reader,
    Writer,
}

/// See the module's head.
pub(super) struct RawRwLock {
    inside: Cell<Inside>,
    readers: WaitList,
    writers: WaitList,
    promised_readers: Cell<usize>,
    promised_writers: Cell<usize>,
    contention: Contention,
}

impl RawRwLock {
    pub(super) const fn new() -> RawRwLock {
        RawRwLock {
            inside: Cell::new(Inside::Nobody),
            readers: WaitList::new(),
            writers: WaitList::new(),
            promised_readers: Cell::new(0),
            promised_writers: Cell::new(0),
            contention: Contention::new(),
        }
    }

    /// Goes in if nobody is kept out by that who was here before.
    #[inline]
    pub(super) fn try_enter(&self, role: Role) -> bool {
        let its_turn = self.promised_writers.get() == 0
            && match role {
                Role::Reader => self.writers.is_empty(),
                Role::Writer => self.promised_readers.get() == 0,
            };
        its_turn && self.seize(role)
    }

    /// Goes in if those inside let it, whoever else was promised to.
    #[inline]
    fn seize(&self, role: Role) -> bool {
        let inside = match (role, self.inside.get()) {
            (Role::Reader, Inside::Nobody) => Inside::Readers(1),
            (Role::Reader, Inside::Readers(count)) => Inside::Readers(count + 1),
            (Role::Writer, Inside::Nobody) => Inside::Writer(Hub::current().running_id()),
            (_, Inside::Writer(_)) | (Role::Writer, Inside::Readers(_)) => return false,
        };
        self.inside.set(inside);
        self.contention.held_by(self.holder());
        true
    }

    fn holder(&self) -> Option<Holder> {
        match self.inside.get() {
            Inside::Nobody => None,
            Inside::Readers(_) => Some(Holder::Readers),
            Inside::Writer(id) => Some(Holder::Greenlet(id)),
        }
    }

    /// Goes in, waiting for it; otherwise says why not: its time ran out, or it was refused.
    #[inline]
    #[track_caller]
    pub(super) fn enter(&self, role: Role, deadline: Deadline) -> Result<(), Woken> {
        if self.try_enter(role) { Ok(()) } else { self.enter_in_line(role, deadline) }
    }

    #[track_caller]
    fn enter_in_line(&self, role: Role, deadline: Deadline) -> Result<(), Woken> {
        let (list, promised, what) = match role {
            Role::Reader => (&self.readers, &self.promised_readers, &"rwlock (read)"),
            Role::Writer => (&self.writers, &self.promised_writers, &"rwlock (write)"),
        };
        let contender = self.contention.wait(self.holder());
        let in_line = InLine { lock: self, contender };
        let reason = Reason::of(what, in_line.contender.object());
        let mut place = Place::default();
        loop {
            let woken = park::wait_on(list, &mut place, reason, deadline);
            let entered = match woken {
                Woken::Notified => {
                    promised.set(promised.get() - 1);
                    self.seize(role)
                }
                Woken::Refused => self.seize(role),
                Woken::TimedOut => self.try_enter(role),
            };
            match woken {
                _ if entered => return Ok(()),
                Woken::Notified => {}
                Woken::TimedOut | Woken::Refused => return Err(woken),
            }
        }
    }

    /// One that is inside goes out.
    #[inline]
    pub(super) fn leave(&self) {
        let (inside, readers_first) = match self.inside.get() {
            Inside::Readers(count) if count > 1 => (Inside::Readers(count - 1), false),
            Inside::Readers(_) | Inside::Nobody => (Inside::Nobody, false),
            Inside::Writer(_) => (Inside::Nobody, true),
        };
        self.inside.set(inside);
        if !(self.readers.is_empty() && self.writers.is_empty()) {
            self.let_in(readers_first);
        }
    }

    /// Wakes those that may go in now.
    fn let_in(&self, readers_first: bool) {
        if matches!(self.inside.get(), Inside::Writer(_)) || self.promised_writers.get() > 0 {
            return;
        }
        if readers_first || self.writers.is_empty() {
            let woken = self.readers.wake_all();
            self.promised_readers.update(|promised| promised + woken);
        }
        let free = self.inside.get() == Inside::Nobody && self.promised_readers.get() == 0;
        if free && self.writers.wake_one() {
            self.promised_writers.update(|promised| promised + 1);
        }
    }
}

/// Somebody in line. A writer that goes away without having been inside may have been all that kept readers out.
struct InLine<'a> {
    lock: &'a RawRwLock,
    contender: Contender<'a>,
}

impl Drop for InLine<'_> {
    fn drop(&mut self) {
        self.lock.let_in(false);
    }
}
