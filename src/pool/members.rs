//! What groups and pools share: who belongs to them, and, in a pool, who has a slot.
//!
//! A member leaves, and gives its slot back, exactly once: when it has ended, of which the list of those that wait for its end
//! tells, or when it is discarded. Whichever comes first takes it out of the table, and only who has done that releases the slot.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use crate::error::JoinError;
use crate::fifo::Ticket;
use crate::greenlet::{self, Builder, Greenlet, Handle};
use crate::hub::{Object, Reason};
use crate::lock::Semaphore;
use crate::park::{self, Deadline, Woken};
use crate::waitlist::{Listener, Place, WaitList, Waiter};

/// Why nothing is started in a pool of size 0.
pub(super) const NO_SLOTS: &str =
    "a Pool of size 0 has no slots, so this would wait for one for ever: make it of size 1 at least";

pub(super) struct Members {
    slots: Option<Slots>,
    /// By the id of the greenlet.
    table: RefCell<BTreeMap<u64, Member>>,
    /// Who waits for the table to be empty.
    emptied: WaitList,
    /// The first failure of a member that nobody has been told of.
    failure: Cell<Option<JoinError>>,
    /// How often everybody was killed.
    kills: Cell<u64>,
}

pub(super) struct Slots {
    pub(super) size: usize,
    pub(super) free: Semaphore,
}

impl Slots {
    /// What a greenlet that waits for one waits for. All are taken then.
    pub(super) fn reason(&self) -> Reason {
        Reason::of(&"a slot of a pool", Object::fill(self.size, self.size))
    }
}

struct Member {
    handle: Handle,
    /// Our place among those that wait for its end.
    ticket: Ticket,
}

/// How long to wait for a slot.
#[derive(Clone, Copy)]
pub(super) enum Patience {
    Endless,
    None,
    For(Duration),
}

impl Members {
    /// With so many slots, or with as many as it takes.
    pub(super) fn new(size: Option<usize>) -> Rc<Members> {
        Rc::new(Members {
            slots: size.map(|size| Slots { size, free: Semaphore::new(size) }),
            table: RefCell::default(),
            emptied: WaitList::new(),
            failure: Cell::new(None),
            kills: Cell::new(0),
        })
    }

    pub(super) fn slots(&self) -> Option<&Slots> {
        self.slots.as_ref()
    }

    pub(super) fn len(&self) -> usize {
        self.table.borrow().len()
    }

    pub(super) fn is_full(&self) -> bool {
        self.slots.as_ref().is_some_and(|slots| slots.free.available() == 0)
    }

    /// Will there never be a slot?
    pub(super) fn is_hopeless(&self) -> bool {
        self.slots.as_ref().is_some_and(|slots| slots.size == 0)
    }

    pub(super) fn contains(&self, member: &Handle) -> bool {
        self.table.borrow().contains_key(&member.id())
    }

    /// All members, in the order in which they were spawned.
    pub(super) fn all(&self) -> Vec<Handle> {
        self.table.borrow().values().map(|member| member.handle.clone()).collect()
    }

    /// Takes a slot, if there are any; says whether it got one. The caller gives it to a member at once.
    ///
    /// # Panics
    /// If it would wait for ever, whatever happens.
    #[track_caller]
    pub(super) fn take_slot(&self, patience: Patience) -> bool {
        let Some(slots) = &self.slots else { return true };
        let deadline = match patience {
            _ if slots.free.try_acquire() => return true,
            Patience::None => return false,
            Patience::For(timeout) => Deadline::after(Some(timeout)),
            Patience::Endless => Deadline::NEVER,
        };
        assert!(!self.is_hopeless() || !matches!(patience, Patience::Endless), "{NO_SLOTS}");
        slots.free.acquire_until(deadline, slots.reason())
    }

    /// Gives a slot back that was taken for nobody.
    pub(super) fn give_slot(&self) {
        drop(TakenSlot(self));
    }

    /// Spawns a member in the slot that the caller has taken.
    #[track_caller]
    pub(super) fn spawn_in_slot<F, T>(self: &Rc<Self>, builder: Builder, f: F) -> io::Result<Greenlet<T>>
    where
        F: FnOnce() -> T + 'static,
        T: 'static,
    {
        let slot = TakenSlot(self);
        let greenlet = builder.spawn(f)?;
        std::mem::forget(slot);
        self.add_in_slot(&greenlet.handle());
        Ok(greenlet)
    }

    /// Adds a greenlet in the slot that the caller has taken. If it has ended or is a member already, it needs none.
    pub(super) fn add_in_slot(self: &Rc<Self>, handle: &Handle) {
        if handle.is_finished() || self.contains(handle) {
            return drop(TakenSlot(self));
        }
        let waiter = Waiter::Listener(Box::new((self.clone(), handle.id())));
        let ticket = handle.joiners().enrol(waiter, &mut Place::default());
        self.table.borrow_mut().insert(handle.id(), Member { handle: handle.clone(), ticket });
    }

    /// Takes a member out; false if there is no such.
    pub(super) fn discard(&self, handle: &Handle) -> bool {
        match self.take_out(handle.id()) {
            Some(member) => member.handle.joiners().withdraw(member.ticket),
            None => false,
        }
    }

    fn take_out(&self, id: u64) -> Option<Member> {
        let mut table = self.table.borrow_mut();
        let member = table.remove(&id)?;
        let emptied = table.is_empty();
        drop(table);
        drop(TakenSlot(self));
        if emptied {
            self.emptied.wake_all();
        }
        Some(member)
    }

    /// The first failure since it was last asked for.
    pub(super) fn take_failure(&self) -> Option<JoinError> {
        self.failure.take()
    }

    /// Waits until nobody is left, which it says; somebody may have come when the caller runs.
    #[track_caller]
    pub(super) fn wait_until_empty(&self, deadline: Deadline) -> bool {
        if self.len() == 0 {
            return true;
        }
        let reason = Reason::plain(&"a group (to be empty)");
        let woken = park::wait_on(&self.emptied, &mut Place::default(), reason, deadline);
        woken == Woken::Notified || self.len() == 0
    }

    /// Asks for the end of all but the caller, and gives them.
    #[track_caller]
    pub(super) fn kill_others(&self) -> Vec<Handle> {
        self.kills.set(self.kills.get() + 1);
        let me = greenlet::current();
        let mut others = self.all();
        others.retain(|member| *member != me);
        others.iter().for_each(Handle::kill_nowait);
        others
    }

    /// How often everybody was killed: who spawns one after the other stops when this changes.
    pub(super) fn kills(&self) -> u64 {
        self.kills.get()
    }
}

impl Listener for Members {
    /// The greenlet with this id has ended.
    fn told(&self, id: u64) {
        let Some(member) = self.take_out(id) else { return };
        if let Some(failure) = member.handle.failure() {
            self.failure.set(Some(self.failure.take().unwrap_or(failure)));
        }
    }
}

/// Gives a slot back.
struct TakenSlot<'a>(&'a Members);

impl Drop for TakenSlot<'_> {
    fn drop(&mut self) {
        if let Some(slots) = &self.0.slots {
            slots.free.release();
        }
    }
}
