//! A pool of greenlets.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use super::map::{Imap, ImapUnordered};
use crate::error::JoinError;
use crate::greenlet::{self, Builder, Greenlet, Handle};
use crate::hub::Reason;
use crate::lock::Semaphore;
use crate::park::{self, Deadline, Woken};
use crate::waitlist::{Place, WaitList};

/// Runs greenlets, at most `size` at a time: `spawn` waits while the pool is full.
///
/// It is a handle: clones are the same pool. A slot is taken when the greenlet is spawned and given back when it ends.
///
/// # Examples
/// ```
/// use greenloop::{pool::Pool, yield_now};
///
/// let pool = Pool::new(2);
/// for n in 0..3 {
///     pool.spawn(move || { yield_now(); n }); // the third call waits for a slot
/// }
/// pool.join();
/// assert_eq!(pool.free_count(), 2);
/// ```
#[derive(Clone)]
pub struct Pool {
    inner: Rc<Inner>,
}

struct Inner {
    size: usize,
    slots: Semaphore,
    /// By a number of their own, as the greenlet is not known yet when its slot is taken.
    members: RefCell<BTreeMap<u64, Handle>>,
    next_member: Cell<u64>,
    /// Who waits in `join` for the pool to be empty.
    emptied: WaitList,
}

/// A pool had no free slot (in time). The function is inside.
#[derive(Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the pool is full")]
pub struct PoolFull<F>(pub F);

impl<F> fmt::Debug for PoolFull<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PoolFull(..)")
    }
}

impl Pool {
    /// A pool in which at most `size` greenlets run at a time. In one of size 0 none ever does.
    pub fn new(size: usize) -> Pool {
        let (members, next_member) = (RefCell::new(BTreeMap::new()), Cell::new(0));
        let (slots, emptied) = (Semaphore::new(size), WaitList::new());
        Pool { inner: Rc::new(Inner { size, slots, members, next_member, emptied }) }
    }

    /// How many greenlets may run at a time.
    pub fn size(&self) -> usize {
        self.inner.size
    }

    /// How many more could be spawned without waiting.
    pub fn free_count(&self) -> usize {
        self.inner.slots.available()
    }

    /// How many run, or wait for their first turn.
    pub fn len(&self) -> usize {
        self.inner.members.borrow().len()
    }

    /// Does none run?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Is there no free slot?
    pub fn is_full(&self) -> bool {
        self.free_count() == 0
    }

    /// Waits for a slot, takes it and spawns a greenlet in it.
    ///
    /// **Switches**: if the pool is full.
    ///
    /// # Panics
    /// If no stack can be had. On a thread's root with [`LoopExit`](crate::LoopExit) if nothing is left that could ever
    /// free a slot. If the pool is full, in a destructor run by a panic or a kill, which does not wait.
    #[track_caller]
    pub fn spawn<F, T>(&self, f: F) -> Greenlet<T>
    where
        F: FnOnce() -> T + 'static,
        T: 'static,
    {
        match self.spawn_built(Builder::new(), f) {
            Ok(greenlet) => greenlet,
            Err(error) => panic!("{error}"),
        }
    }

    /// [`spawn`](Self::spawn) with a builder, and with its error.
    #[track_caller]
    pub(crate) fn spawn_built<F, T>(&self, builder: Builder, f: F) -> io::Result<Greenlet<T>>
    where
        F: FnOnce() -> T + 'static,
        T: 'static,
    {
        assert!(
            self.inner.slots.acquire(),
            "Pool::spawn on a full pool in a destructor run by a panic or a kill"
        );
        self.spawn_in_slot(builder, f)
    }

    /// [`spawn`](Self::spawn) if there is a slot now. **Switches**: no.
    ///
    /// # Errors
    /// [`PoolFull`] with the function if there is none.
    #[track_caller]
    pub fn try_spawn<F, T>(&self, f: F) -> Result<Greenlet<T>, PoolFull<F>>
    where
        F: FnOnce() -> T + 'static,
        T: 'static,
    {
        match self.inner.slots.try_acquire() {
            true => Ok(self.spawn_in_slot(Builder::new(), f).unwrap_or_else(|error| panic!("{error}"))),
            false => Err(PoolFull(f)),
        }
    }

    /// [`spawn`](Self::spawn), waiting for a slot at most for `timeout`.
    ///
    /// **Switches**: if the pool is full.
    ///
    /// # Errors
    /// [`PoolFull`] with the function if no slot became free in time.
    #[track_caller]
    pub fn spawn_timeout<F, T>(&self, f: F, timeout: Duration) -> Result<Greenlet<T>, PoolFull<F>>
    where
        F: FnOnce() -> T + 'static,
        T: 'static,
    {
        match self.inner.slots.acquire_timeout(timeout) {
            true => Ok(self.spawn_in_slot(Builder::new(), f).unwrap_or_else(|error| panic!("{error}"))),
            false => Err(PoolFull(f)),
        }
    }

    #[track_caller]
    fn spawn_in_slot<F, T>(&self, builder: Builder, f: F) -> io::Result<Greenlet<T>>
    where
        F: FnOnce() -> T + 'static,
        T: 'static,
    {
        // Gives the slot back however this ends: by the end of `f`, by a kill before it starts, by a failing spawn.
        let member = self.inner.next_member.replace(self.inner.next_member.get() + 1);
        let slot = Slot { pool: self.inner.clone(), member };
        let greenlet = builder.spawn(move || {
            let _slot = slot;
            f()
        })?;
        self.inner.members.borrow_mut().insert(member, greenlet.handle());
        Ok(greenlet)
    }

    /// Runs `f` in the pool and waits for its value. From inside a greenlet of a full pool, which would wait for itself,
    /// it runs `f` at once.
    ///
    /// **Switches**: yes.
    ///
    /// # Panics
    /// If `f` does, with the same payload; if the greenlet is killed. As [`spawn`](Self::spawn).
    ///
    /// # Examples
    /// ```
    /// use greenloop::pool::Pool;
    /// assert_eq!(Pool::new(1).apply(|| 6 * 7), 42);
    /// ```
    #[track_caller]
    pub fn apply<F, T>(&self, f: F) -> T
    where
        F: FnOnce() -> T + 'static,
        T: 'static,
    {
        if self.is_full() && self.has_member(&greenlet::current()) {
            return f();
        }
        self.spawn(f).join().unwrap_or_else(|error| error.rethrow())
    }

    fn has_member(&self, greenlet: &Handle) -> bool {
        self.inner.members.borrow().values().any(|member| member == greenlet)
    }

    /// Runs `f` over all items, as many at a time as the pool allows, and gives the results in the order of the input.
    ///
    /// **Switches**: yes.
    ///
    /// # Panics
    /// If the iterator of the input does, or `f` for one of the items, with the same payload: after all have ended, the
    /// first in the order of the input. As [`spawn`](Self::spawn).
    ///
    /// # Examples
    /// ```
    /// use greenloop::pool::Pool;
    /// assert_eq!(Pool::new(3).map(1..=4, |n| n * n), [1, 4, 9, 16]);
    /// ```
    #[track_caller]
    pub fn map<I, F, T>(&self, items: I, f: F) -> Vec<T>
    where
        I: IntoIterator,
        I::Item: 'static,
        F: Fn(I::Item) -> T + 'static,
        T: 'static,
    {
        let f = Rc::new(f);
        let mut jobs = Vec::new();
        for item in items {
            let f = f.clone();
            jobs.push(self.spawn(move || f(item)));
        }
        let results: Result<Vec<T>, JoinError> = greenlet::join_all(jobs).into_iter().collect();
        results.unwrap_or_else(|error| error.rethrow())
    }

    /// Like [`map`](Self::map), but lazy: gives each result when it and all before it have arrived. The input is taken as
    /// slots become free, by a greenlet of its own which starts at once; dropping the iterator kills it and what it started.
    ///
    /// **Switches**: `next` does, unless its result is there. Making it does not.
    ///
    /// # Examples
    /// ```
    /// use greenloop::pool::Pool;
    /// let doubled: Vec<_> = Pool::new(2).imap([1, 2, 3], |n| n * 2).collect();
    /// assert_eq!(doubled, [2, 4, 6]);
    /// ```
    #[track_caller]
    pub fn imap<I, F, T>(&self, items: I, f: F) -> Imap<T>
    where
        I: IntoIterator + 'static,
        I::Item: 'static,
        F: Fn(I::Item) -> T + 'static,
        T: 'static,
    {
        Imap::new(self.clone(), items, f)
    }

    /// Like [`imap`](Self::imap), but gives each result as soon as it has arrived.
    ///
    /// **Switches**: `next` does, unless a result is there. Making it does not.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{pool::Pool, sleep};
    /// use std::time::Duration;
    ///
    /// let by_time = Pool::new(2).imap_unordered([50, 1], |ms| { sleep(Duration::from_millis(ms)); ms });
    /// assert_eq!(by_time.collect::<Vec<_>>(), [1, 50]);
    /// ```
    #[track_caller]
    pub fn imap_unordered<I, F, T>(&self, items: I, f: F) -> ImapUnordered<T>
    where
        I: IntoIterator + 'static,
        I::Item: 'static,
        F: Fn(I::Item) -> T + 'static,
        T: 'static,
    {
        ImapUnordered::new(self.clone(), items, f)
    }

    /// Waits until no greenlet of the pool is left (it may have got new ones when the caller runs).
    ///
    /// **Switches**: unless the pool is empty.
    ///
    /// # Panics
    /// On a thread's root with [`LoopExit`](crate::LoopExit) if nothing is left that could ever empty it.
    #[track_caller]
    pub fn join(&self) {
        self.join_until(Deadline::NEVER);
    }

    /// [`join`](Self::join), at most for `timeout`; says whether the pool became empty.
    ///
    /// **Switches**: unless the pool is empty.
    #[track_caller]
    pub fn join_timeout(&self, timeout: Duration) -> bool {
        self.is_empty() || self.join_until(Deadline::after(Some(timeout)))
    }

    #[track_caller]
    fn join_until(&self, deadline: Deadline) -> bool {
        if self.is_empty() {
            return true;
        }
        let reason = Reason::plain("a pool (to be empty)");
        let woken = park::wait_on(&self.inner.emptied, &mut Place::default(), reason, deadline);
        woken == Woken::Notified || self.is_empty()
    }

    /// Kills all greenlets of the pool, those included that are spawned meanwhile, and waits until they are dead.
    ///
    /// **Switches**: unless the pool is empty.
    #[track_caller]
    pub fn kill(&self) {
        let me = greenlet::current();
        loop {
            let members: Vec<_> =
                self.inner.members.borrow().values().filter(|member| **member != me).cloned().collect();
            if members.is_empty() {
                return;
            }
            greenlet::kill_all(&members);
            if std::thread::panicking() {
                // Nothing waits now, so they cannot be dead yet; each of them has been told.
                return;
            }
        }
    }

    /// Waits until a slot is free, at most for `timeout` if there is one, without taking it, and gives the number of
    /// free slots: 0 if the time ran out or another greenlet was faster.
    ///
    /// **Switches**: if the pool is full.
    #[track_caller]
    pub fn wait_available(&self, timeout: Option<Duration>) -> usize {
        self.inner.slots.wait(timeout)
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pool({} of {} running)", self.len(), self.size())
    }
}

/// A taken slot. It travels with the greenlet and is given back when that ends.
struct Slot {
    pool: Rc<Inner>,
    member: u64,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut members = self.pool.members.borrow_mut();
        let member = members.remove(&self.member);
        let emptied = members.is_empty();
        drop((members, member));
        self.pool.slots.release();
        if emptied {
            self.pool.emptied.wake_all();
        }
    }
}
