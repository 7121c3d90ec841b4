//! A counter of permits.

use std::cell::Cell;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use super::Permit;
use crate::hub::Reason;
use crate::park::{self, Deadline, Woken};
use crate::waitlist::{Place, WaitList};

const ACQUIRE: Reason = Reason::plain(&"semaphore (acquire)");

/// A counter of permits: `acquire` takes one and waits while there is none, `release` gives one. It is a handle: clones are the same
/// semaphore.
///
/// As in gevent a permit belongs to nobody, any greenlet may release, also beyond the initial count; a greenlet that
/// runs may take a permit before one that was woken for it and has not run yet, which then keeps its place in front.
///
/// [`acquire_permit`](Self::acquire_permit) and its like give the permit as a value that gives it back when it is dropped:
/// the way that a panic, a kill or an early return cannot spoil.
///
/// # Examples
/// ```
/// use greenloop::{lock::Semaphore, spawn, yield_now};
///
/// let permits = Semaphore::new(1);
/// permits.acquire();
/// let waiter = spawn({ let permits = permits.clone(); move || permits.acquire() });
/// yield_now();
/// assert!(!waiter.is_finished());
/// permits.release();
/// assert!(waiter.join().unwrap());
/// ```
#[derive(Clone)]
pub struct Semaphore {
    inner: Rc<Inner>,
}

struct Inner {
    permits: Cell<usize>,
    /// The count that `release` must not exceed.
    most: usize,
    waiters: WaitList,
}

impl Semaphore {
    /// A semaphore with so many permits.
    ///
    /// # Examples
    /// ```
    /// use greenloop::lock::Semaphore;
    ///
    /// let permits = Semaphore::new(2);
    /// assert!(permits.try_acquire() && permits.clone().try_acquire()); // clones are the same semaphore
    /// assert!(!permits.try_acquire());
    /// ```
    pub fn new(permits: usize) -> Semaphore {
        Semaphore::with_limit(permits, usize::MAX)
    }

    pub(super) fn with_limit(permits: usize, most: usize) -> Semaphore {
        Semaphore { inner: Rc::new(Inner { permits: Cell::new(permits), most, waiters: WaitList::new() }) }
    }

    /// The count that it never exceeds, if it has such a limit.
    pub(super) fn limit(&self) -> Option<usize> {
        (self.inner.most != usize::MAX).then_some(self.inner.most)
    }

    /// How many permits can be had now.
    ///
    /// # Examples
    /// ```
    /// let permits = greenloop::lock::Semaphore::new(2);
    /// permits.acquire();
    /// assert_eq!(permits.available(), 1);
    /// ```
    pub fn available(&self) -> usize {
        self.inner.permits.get()
    }

    /// Takes a permit, waiting until there is one. True, except while unwinding.
    ///
    /// **Switches**: if there is no permit.
    ///
    /// **While unwinding** it returns `false` at once.
    ///
    /// # Panics
    /// On a thread's root with [`LoopExit`](crate::LoopExit) if nothing is left that could ever release one.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{lock::Semaphore, spawn};
    ///
    /// let semaphore = Semaphore::new(0);
    /// spawn({ let semaphore = semaphore.clone(); move || semaphore.release() });
    /// assert!(semaphore.acquire());
    /// ```
    #[track_caller]
    pub fn acquire(&self) -> bool {
        self.try_acquire() || self.acquire_until(Deadline::NEVER, ACQUIRE)
    }

    /// Takes a permit, waiting for one at most for [`timeout`](crate#time-limits); says whether it got one.
    ///
    /// **Switches**: if there is no permit.
    ///
    /// **While unwinding** it returns `false` at once.
    ///
    /// # Panics
    /// On a thread's root with [`LoopExit`](crate::LoopExit) if the time is beyond the reach of the clock and nothing is left
    /// that could ever release one.
    ///
    /// # Examples
    /// ```
    /// use greenloop::lock::Semaphore;
    /// use std::time::Duration;
    ///
    /// assert!(!Semaphore::new(0).acquire_timeout(Duration::from_millis(1)));
    /// ```
    #[track_caller]
    pub fn acquire_timeout(&self, timeout: Duration) -> bool {
        self.try_acquire() || self.acquire_until(Deadline::after(Some(timeout)), ACQUIRE)
    }

    /// Takes a permit if there is one. **Switches**: no.
    ///
    /// # Examples
    /// ```
    /// let permits = greenloop::lock::Semaphore::new(1);
    /// assert!(permits.try_acquire());
    /// assert!(!permits.try_acquire());
    /// permits.release();
    /// assert!(permits.try_acquire());
    /// ```
    pub fn try_acquire(&self) -> bool {
        let permits = self.inner.permits.get();
        self.inner.permits.set(permits.saturating_sub(1));
        permits > 0
    }

    /// Takes a permit, waiting until there is one; dropping it gives it back. `None` only while unwinding.
    ///
    /// **Switches**: if there is no permit.
    ///
    /// **While unwinding** it returns `None` at once.
    ///
    /// # Panics
    /// On a thread's root with [`LoopExit`](crate::LoopExit) if nothing is left that could ever release one.
    ///
    /// # Examples
    /// ```
    /// use greenloop::lock::Semaphore;
    ///
    /// let slots = Semaphore::new(2);
    /// let slot = slots.acquire_permit();
    /// assert_eq!(slots.available(), 1);
    /// drop(slot);
    /// assert_eq!(slots.available(), 2);
    /// ```
    #[track_caller]
    pub fn acquire_permit(&self) -> Option<Permit> {
        self.acquire().then(|| self.permit())
    }

    /// Takes a permit, waiting for one at most for [`timeout`](crate#time-limits); dropping it gives it back. `None` if the time ran out.
    ///
    /// **Switches**: if there is no permit.
    ///
    /// **While unwinding** it returns `None` at once.
    ///
    /// # Panics
    /// On a thread's root with [`LoopExit`](crate::LoopExit) if the time is beyond the reach of the clock and nothing is left
    /// that could ever release one.
    ///
    /// # Examples
    /// ```
    /// use greenloop::lock::Semaphore;
    /// use std::time::Duration;
    ///
    /// let (slots, limit) = (Semaphore::new(1), Duration::from_millis(1));
    /// let slot = slots.acquire_permit_timeout(limit);
    /// assert!(slot.is_some() && slots.acquire_permit_timeout(limit).is_none());
    /// drop(slot);
    /// assert!(slots.acquire_permit_timeout(limit).is_some());
    /// ```
    #[track_caller]
    pub fn acquire_permit_timeout(&self, timeout: Duration) -> Option<Permit> {
        self.acquire_timeout(timeout).then(|| self.permit())
    }

    /// Takes a permit if there is one; dropping it gives it back. **Switches**: no.
    ///
    /// # Examples
    /// ```
    /// use greenloop::lock::Semaphore;
    ///
    /// let slots = Semaphore::new(1);
    /// let serve = || slots.try_acquire_permit().map_or("busy", |_slot| "served");
    /// assert_eq!((serve(), serve()), ("served", "served")); // given back each time
    /// let _slot = slots.acquire_permit();
    /// assert_eq!(serve(), "busy");
    /// ```
    pub fn try_acquire_permit(&self) -> Option<Permit> {
        self.try_acquire().then(|| self.permit())
    }

    fn permit(&self) -> Permit {
        Permit::new(self.clone())
    }

    /// What stands for something else says so in reports.
    #[track_caller]
    pub(crate) fn acquire_until(&self, deadline: Deadline, reason: Reason) -> bool {
        let mut place = Place::default();
        while !self.try_acquire() {
            if park::wait_on(&self.inner.waiters, &mut place, reason, deadline) != Woken::Notified {
                return self.try_acquire();
            }
        }
        true
    }

    /// Waits until a permit can be had, at most for `timeout` if there is one, without taking it, and gives the number
    /// of permits: 0 if the time ran out or another greenlet was faster.
    ///
    /// **Switches**: if there is no permit.
    ///
    /// **While unwinding** it returns 0 at once.
    ///
    /// # Examples
    /// ```
    /// use greenloop::lock::Semaphore;
    /// use std::time::Duration;
    ///
    /// assert_eq!(Semaphore::new(3).wait(None), 3); // none is taken
    /// assert_eq!(Semaphore::new(0).wait(Some(Duration::from_millis(1))), 0);
    /// ```
    #[track_caller]
    pub fn wait(&self, timeout: Option<Duration>) -> usize {
        self.wait_as(timeout, ACQUIRE)
    }

    /// [`wait`](Self::wait) for what stands for something else.
    #[track_caller]
    pub(crate) fn wait_as(&self, timeout: Option<Duration>, reason: Reason) -> usize {
        if self.available() == 0 {
            let (list, deadline) = (&self.inner.waiters, Deadline::after(timeout));
            if park::wait_on(list, &mut Place::default(), reason, deadline) == Woken::Notified {
                // It does not take the permit, so whoever is next in line may.
                self.pass_on();
            }
        }
        self.available()
    }

    /// Gives a permit and wakes the one that has waited longest. **Switches**: no; that one runs later.
    ///
    /// # Panics
    /// If it is that of a [`BoundedSemaphore`](super::BoundedSemaphore) which has all its permits, or if there are
    /// `usize::MAX`.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{lock::Semaphore, spawn};
    ///
    /// let ready = Semaphore::new(0);
    /// let waiter = spawn({ let ready = ready.clone(); move || ready.acquire() });
    /// ready.release();
    /// assert!(waiter.join().unwrap());
    /// ready.release(); // beyond the initial count
    /// assert_eq!(ready.available(), 1);
    /// ```
    #[inline]
    #[track_caller]
    pub fn release(&self) {
        if !self.give_back() {
            self.released_too_often();
        }
    }

    /// False if it has all its permits: then nothing has happened.
    #[inline]
    pub(super) fn give_back(&self) -> bool {
        let permits = self.inner.permits.get();
        if permits == self.inner.most {
            return false;
        }
        self.inner.permits.set(permits + 1);
        self.inner.waiters.wake_one();
        true
    }

    #[cold]
    #[track_caller]
    pub(super) fn released_too_often(&self) -> ! {
        assert!(self.limit().is_some(), "a semaphore can hold {} permits, and this one does", usize::MAX);
        panic!(
            "BoundedSemaphore({}) was released though all its permits were there: each release must follow an acquire of its \
             own; use a Semaphore if releasing is to add permits",
            self.inner.most
        )
    }

    pub(crate) fn waiters(&self) -> &WaitList {
        &self.inner.waiters
    }

    /// Wakes the next in line for a permit that the one before was woken for and has left.
    pub(crate) fn pass_on(&self) {
        if self.available() > 0 {
            self.inner.waiters.wake_one();
        }
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (available, waiting) = (self.available(), self.inner.waiters.len());
        match self.limit() {
            None => write!(f, "Semaphore({available} available, {waiting} waiting)"),
            Some(most) => write!(f, "BoundedSemaphore({available} of {most} available, {waiting} waiting)"),
        }
    }
}
