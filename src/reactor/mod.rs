//! Readiness: which descriptors can be read or written, and who waits for them.
//!
//! A descriptor is registered once, for both directions. Each registration has two *latches*, readable and writable. An
//! event sets them; a read or write that would block clears them. A greenlet tries first and parks only when the latch
//! is clear, so a wake-up that comes before the park is not lost:
//!
//! ```text
//!   latch set ──▶ read() ──▶ data (all that was asked for)          latch stays set
//!      ▲             ├─────▶ less than asked, no more announced     latch cleared (only where the driver announces)
//!      │             └─────▶ would block                            latch cleared
//!    event                                                              │
//!      └─────────────────────────── park ◀──────────────────────────────┘
//! ```
//!
//! Clearing on a short read saves the second `read` that would only say "would block". It is right only because the
//! driver announces what follows without a further event: an end that came together with the data, or urgent data.
//!
//! Registrations live in a slab; the token in the kernel is index and generation, so an event for a descriptor that was
//! closed and whose place is used again is dropped.

mod source;

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::BorrowedFd;
use std::ptr;
use std::rc::Rc;
use std::time::Duration;

use slab::Slab;

use crate::hub::{FETCHED_TASKS, Hub, Places, Task};
use crate::sys::driver::{Driver, Ready, Waker};
pub use source::Direction;
pub(crate) use source::{Source, Waiter};

/// Is told of the events of a descriptor, between greenlets. It neither switches nor panics, and runs no code of the user's.
pub(crate) trait Attendant {
    /// Something has come, or may have.
    fn attend(&self);

    /// The thread has ended: nobody will be told any more.
    fn abandoned(&self) {}
}

/// A registration, with the addresses of what a turn of whoever waits needs: to be fetched, and for nothing else.
///
/// With thousands of connections nothing of one is in the processor's caches when its event comes, but this table is. Without the
/// addresses in it the way would be from the registration to the task and from there to the frames, and a wait for memory at each.
struct Entry {
    source: Rc<Source>,
    task: Cell<*const Task>,
    /// What holds the descriptor.
    holder: Cell<*const ()>,
    /// Null if it rests.
    frames: Cell<*const ()>,
}

impl Entry {
    fn places(&self) -> Places {
        Places {
            task: self.task.get(),
            source: Rc::as_ptr(&self.source).cast(),
            holder: self.holder.get(),
            frames: self.frames.get(),
        }
    }
}

pub(crate) struct Reactor {
    driver: RefCell<Option<Driver>>,
    sources: RefCell<Slab<Entry>>,
    generation: Cell<u32>,
    /// Greenlets parked on a descriptor, and what else is a reason to go on.
    waiting: Cell<usize>,
    /// Attendants who may wake somebody although nobody waits for their descriptors.
    heralds: Cell<usize>,
    /// Directions of descriptors that somebody attends.
    attended: Cell<usize>,
    /// Attendants to be told as soon as all events are taken in.
    due: RefCell<Vec<Rc<dyn Attendant>>>,
}

impl Reactor {
    pub(crate) fn new() -> io::Result<(Reactor, Waker)> {
        let (driver, waker) = Driver::new()?;
        let reactor = Reactor {
            driver: RefCell::new(Some(driver)),
            sources: RefCell::new(Slab::new()),
            generation: Cell::new(0),
            waiting: Cell::new(0),
            heralds: Cell::new(0),
            attended: Cell::new(0),
            due: RefCell::new(Vec::new()),
        };
        Ok((reactor, waker))
    }

    /// Does anybody wait for an event?
    #[inline]
    pub(crate) fn is_watching(&self) -> bool {
        self.waiting.get() > 0
    }

    /// May an event wake somebody for whom it is no reason to go on?
    pub(crate) fn has_heralds(&self) -> bool {
        self.heralds.get() > 0
    }

    /// Is there an event that matters to anybody, waiting or not?
    #[inline]
    pub(crate) fn is_of_interest(&self) -> bool {
        self.waiting.get() + self.attended.get() > 0
    }

    /// Begins to watch a descriptor, which must be non-blocking. Both latches are set: try first.
    pub(crate) fn register(&self, descriptor: BorrowedFd<'_>) -> io::Result<Rc<Source>> {
        let mut sources = self.sources.borrow_mut();
        let entry = sources.vacant_entry();
        // 31 bits, so that no token is the one that `polling` keeps for itself.
        let generation = self.generation.get().wrapping_add(1) & (u32::MAX >> 1);
        self.generation.set(generation);
        let token = u64::from(generation) << 32 | entry.key() as u64;
        self.with_driver(|driver| driver.add(descriptor, token))?;
        let source = Rc::new(Source::new(token));
        let (task, holder, frames) = (Cell::new(ptr::null()), Cell::new(ptr::null()), Cell::new(ptr::null()));
        entry.insert(Entry { source: source.clone(), task, holder, frames });
        Ok(source)
    }

    /// Ends watching; must be called before the descriptor is closed.
    pub(crate) fn deregister(&self, descriptor: BorrowedFd<'_>, source: &Source) {
        let _ = self.with_driver(|driver| {
            driver.delete(descriptor);
            Ok(())
        });
        if self.is_own(source) {
            let Entry { source, .. } = self.sources.borrow_mut().remove(index(source.token));
            self.attended.update(|count| count - source.dismiss().count());
        }
    }

    /// Has `attendant` told of events of this direction, one by one: when it has been told, it has to say that it wants to be told
    /// of the next. Until the source is deregistered. By itself this is no reason for the hub to go on.
    ///
    /// # Errors
    /// That somebody else waits for the same.
    pub(crate) fn attend(
        &self,
        descriptor: BorrowedFd<'_>,
        source: &Source,
        direction: Direction,
        attendant: Rc<dyn Attendant>,
    ) -> io::Result<()> {
        if !source.begin(direction, Waiter::Attendant(attendant)) {
            let other = source.holder(direction);
            return Err(io::Error::other(format!("{other} waits for this descriptor already")));
        }
        self.attended.update(|count| count + 1);
        self.attend_again(descriptor, source)
    }

    /// See [`attend`](Self::attend).
    pub(crate) fn attend_again(&self, descriptor: BorrowedFd<'_>, source: &Source) -> io::Result<()> {
        self.with_driver(|driver| driver.arm(descriptor, source.token, || source.interest()))
    }

    /// Has an attendant told when all events are taken in.
    fn call_soon(&self, attendant: Rc<dyn Attendant>) {
        self.due.borrow_mut().push(attendant);
    }

    /// Not of another hub of this thread, which has ended (destructors of thread-locals may see two).
    #[inline]
    pub(crate) fn is_own(&self, source: &Source) -> bool {
        self.sources.borrow().get(index(source.token)).is_some_and(|own| ptr::eq(&*own.source, source))
    }

    /// Says that `task` is about to park for an event of `source`. Undone by [`done_waiting`](Self::done_waiting).
    ///
    /// If it keeps its frames meanwhile, `frames` is an address among them.
    #[inline]
    pub(crate) fn begin_waiting(
        &self,
        descriptor: BorrowedFd<'_>,
        source: &Source,
        task: *const Task,
        holder: *const (),
        frames: *const (),
    ) -> io::Result<()> {
        {
            let sources = self.sources.borrow();
            let own = sources.get(index(source.token)).filter(|own| ptr::eq(&*own.source, source));
            let Some(entry) = own else { return Err(is_of_another_hub()) };
            entry.task.set(task);
            entry.holder.set(holder);
            entry.frames.set(frames);
        }
        self.with_driver(|driver| driver.arm(descriptor, source.token, || source.interest()))?;
        self.waiting.set(self.waiting.get() + 1);
        Ok(())
    }

    pub(crate) fn done_waiting(&self) {
        self.waiting.set(self.waiting.get() - 1);
    }

    /// Takes events from the system and wakes who waits for them. With a timeout of zero it does not sleep.
    pub(crate) fn poll(&self, timeout: Option<Duration>) {
        Hub::current().ahead.tidy();
        let outcome = match self.driver.borrow().as_ref() {
            Some(driver) => {
                let fetch = |place, token| self.fetch(token, place < FETCHED_TASKS);
                driver.wait(timeout, fetch, |ready| self.dispatch(ready))
            }
            None => return,
        };
        if let Err(error) = outcome {
            panic!(
                "the hub cannot wait for its descriptors: {error}; was its epoll descriptor closed behind its back?"
            );
        }
        if !self.due.borrow().is_empty() {
            self.tell_attendants();
        }
    }

    /// With nothing borrowed: they register and deregister.
    #[cold]
    fn tell_attendants(&self) {
        for attendant in self.due.take() {
            attendant.attend();
        }
    }

    #[inline]
    fn fetch(&self, token: u64, soon: bool) {
        if let Some(entry) = self.sources.borrow().get(index(token)) {
            entry.places().announce(soon);
        }
    }

    #[inline]
    fn dispatch(&self, ready: Ready) {
        let sources = self.sources.borrow();
        let entry = sources.get(index(ready.token)).filter(|entry| entry.source.token == ready.token);
        if let Some(entry) = entry
            && entry.source.accept(ready)
        {
            Hub::current().ahead.push(entry.places());
        }
    }

    /// Closes the poller at the end of the thread.
    pub(crate) fn close(&self) {
        let attendants: Vec<_> =
            self.sources.borrow().iter().flat_map(|(_, entry)| entry.source.dismiss()).collect();
        for attendant in attendants {
            attendant.abandoned();
        }
        drop(self.driver.borrow_mut().take());
    }

    fn with_driver<R>(&self, f: impl FnOnce(&Driver) -> io::Result<R>) -> io::Result<R> {
        match &*self.driver.borrow() {
            Some(driver) => f(driver),
            None => Err(has_ended()),
        }
    }
}

/// What it means that an attendant may be told of a source, while this lives. To be dropped before the source is deregistered.
pub(crate) struct Expectation {
    source: Rc<Source>,
    herald: bool,
}

impl Expectation {
    /// It is a reason for the hub to go on.
    pub(crate) fn awaited(source: &Rc<Source>) -> Expectation {
        Hub::current().reactor.waiting.update(|count| count + 1);
        Expectation { source: source.clone(), herald: false }
    }

    /// It is none, but a blocked call is no deadlock.
    pub(crate) fn possible(source: &Rc<Source>) -> Expectation {
        Hub::current().reactor.heralds.update(|count| count + 1);
        Expectation { source: source.clone(), herald: true }
    }
}

impl Drop for Expectation {
    fn drop(&mut self) {
        let Some(hub) = Hub::try_current().filter(|hub| hub.reactor.is_own(&self.source)) else { return };
        let count = if self.herald { &hub.reactor.heralds } else { &hub.reactor.waiting };
        count.update(|count| count - 1);
    }
}

#[cold]
#[inline(never)]
fn has_ended() -> io::Error {
    io::Error::other("the hub of this thread has ended")
}

#[cold]
#[inline(never)]
fn is_of_another_hub() -> io::Error {
    io::Error::other("this descriptor belongs to a hub that has ended with its thread")
}

fn index(token: u64) -> usize {
    (token & u64::from(u32::MAX)) as usize
}
