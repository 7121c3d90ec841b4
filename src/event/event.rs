//! A flag that greenlets can wait for.

use std::cell::Cell;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use crate::hub::Reason;
use crate::park::{self, Deadline, Woken};
use crate::waitlist::{Place, WaitList};

/// A flag that is unset at first; greenlets wait until somebody sets it.
///
/// Setting wakes all that wait, in the order in which they came, also when the flag is cleared again before they run. It is a handle:
/// clones are the same event.
///
/// # Examples
/// ```
/// use greenloop::{event::Event, spawn};
///
/// let ready = Event::new();
/// let waiter = spawn({ let ready = ready.clone(); move || { ready.wait(); "captured" } });
/// ready.set();
/// assert_eq!(waiter.join().unwrap(), "captured");
/// ```
#[derive(Clone, Default)]
pub struct Event {
    inner: Rc<Inner>,
}

struct Inner {
    set: Cell<bool>,
    waiters: WaitList,
    /// Waiters that were woken and have not run yet.
    on_their_way: Cell<usize>,
}

impl Default for Inner {
    fn default() -> Inner {
        Inner { set: Cell::new(false), waiters: WaitList::new(), on_their_way: Cell::new(0) }
    }
}

impl Event {
    /// An event that is not set.
    ///
    /// # Examples
    /// ```
    /// use greenloop::event::Event;
    ///
    /// let event = Event::new();
    /// assert!(!event.is_set());
    /// event.clone().set();
    /// assert!(event.is_set()); // clones are the same event
    /// ```
    pub fn new() -> Event {
        Event::default()
    }

    pub(crate) fn waiters(&self) -> &WaitList {
        &self.inner.waiters
    }

    /// Is the flag set?
    ///
    /// # Examples
    /// ```
    /// use greenloop::{event::Event, spawn, yield_now};
    ///
    /// let stop = Event::new();
    /// let rounds = spawn({ let stop = stop.clone(); move || { while !stop.is_set() { yield_now() } "stopped" } });
    /// yield_now();
    /// stop.set();
    /// assert_eq!(rounds.join().unwrap(), "stopped");
    /// ```
    pub fn is_set(&self) -> bool {
        self.inner.set.get()
    }

    /// Sets the flag and wakes all that wait.
    ///
    /// **Switches**: no; they run when the current greenlet next blocks or yields.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{event::Event, join_all, spawn};
    ///
    /// let event = Event::new();
    /// let waiting = [(); 3].map(|()| spawn({ let event = event.clone(); move || event.wait() }));
    /// event.set(); // wakes all
    /// assert_eq!(join_all(waiting).len(), 3);
    /// ```
    pub fn set(&self) {
        self.inner.set.set(true);
        let woken = self.inner.waiters.wake_all();
        self.inner.on_their_way.update(|count| count + woken);
    }

    /// Clears the flag. Those that a `set` has woken stay woken.
    ///
    /// # Examples
    /// ```
    /// use greenloop::event::Event;
    ///
    /// let event = Event::new();
    /// event.set();
    /// event.wait(); // returns at once
    /// event.clear();
    /// assert!(!event.is_set());
    /// ```
    pub fn clear(&self) {
        self.inner.set.set(false);
    }

    /// Waits until the flag is set.
    ///
    /// **Switches**: if it is not set, or if others that were woken by the last `set` have not run yet: it then goes behind
    /// them.
    ///
    /// **While unwinding** it returns at once.
    ///
    /// # Panics
    /// On a thread's root with [`LoopExit`](crate::LoopExit) if nothing is left that could ever set it.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{event::Event, spawn};
    ///
    /// let event = Event::new();
    /// spawn({ let event = event.clone(); move || event.set() });
    /// event.wait();
    /// ```
    #[track_caller]
    pub fn wait(&self) {
        self.wait_until(None);
    }

    /// Waits until the flag is set, at most for [`timeout`](crate#time-limits). True if it was set meanwhile, even if it is cleared again.
    ///
    /// **Switches**: as [`wait`](Self::wait).
    ///
    /// **While unwinding** it says at once whether the flag is set.
    ///
    /// # Panics
    /// On a thread's root with [`LoopExit`](crate::LoopExit) if the time is beyond the reach of the clock and nothing is left
    /// that could ever set it.
    ///
    /// # Examples
    /// ```
    /// use greenloop::event::Event;
    /// use std::time::Duration;
    ///
    /// let event = Event::new();
    /// assert!(!event.wait_timeout(Duration::from_millis(1)));
    /// event.set();
    /// assert!(event.wait_timeout(Duration::from_millis(1)));
    /// ```
    #[track_caller]
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        self.wait_until(Some(timeout))
    }

    #[track_caller]
    fn wait_until(&self, timeout: Option<Duration>) -> bool {
        let inner = &*self.inner;
        if inner.set.get() {
            if inner.on_their_way.get() > 0 {
                park::yield_now();
            }
            return true;
        }
        let reason = Reason::plain(&"event (set)");
        match park::wait_on(&inner.waiters, &mut Place::default(), reason, Deadline::after(timeout)) {
            Woken::Notified => {
                inner.on_their_way.update(|count| count - 1);
                true
            }
            Woken::TimedOut | Woken::Refused => inner.set.get(),
        }
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.is_set() { "set" } else { "unset" };
        write!(f, "Event({state}, {} waiting)", self.inner.waiters.len())
    }
}
