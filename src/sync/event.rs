//! A flag that any thread can set and wait for.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::block;
use super::line::Line;
use crate::hub::Reason;

/// A flag that is unset at first; greenlets of any hub, and threads without one, wait until somebody sets it.
///
/// It is [`event::Event`](crate::event::Event) across threads. Setting wakes all that wait, in the order in which they
/// came, also when the flag is cleared again before they run. Clones are the same event.
///
/// # Examples
/// ```
/// use greenloop::sync::Event;
///
/// let ready = Event::new();
/// let thread = std::thread::spawn({ let ready = ready.clone(); move || ready.set() });
/// ready.wait(); // other greenlets run meanwhile
/// thread.join().unwrap();
/// ```
#[derive(Clone)]
pub struct Event {
    inner: Arc<Inner>,
}

struct Inner {
    /// The lowest bit is the flag, the others count how often it was set.
    state: AtomicU64,
    line: Arc<Line>,
}

const SET: u64 = 1;
const ONE_TIME: u64 = 2;

impl Event {
    /// An event that is not set.
    ///
    /// # Examples
    /// ```
    /// use greenloop::sync::Event;
    ///
    /// let event = Event::new();
    /// assert!(!event.is_set());
    /// event.clone().set();
    /// assert!(event.is_set()); // clones are the same event
    /// ```
    pub fn new() -> Event {
        Event { inner: Arc::new(Inner { state: AtomicU64::new(0), line: Line::new() }) }
    }

    /// Is the flag set?
    ///
    /// # Examples
    /// ```
    /// use greenloop::sync::Event;
    ///
    /// let stop = Event::new();
    /// let thread = std::thread::spawn({ let stop = stop.clone(); move || {
    ///     while !stop.is_set() { std::thread::yield_now() }
    ///     "stopped"
    /// }});
    /// stop.set();
    /// assert_eq!(thread.join().unwrap(), "stopped");
    /// ```
    pub fn is_set(&self) -> bool {
        self.state() & SET != 0
    }

    fn state(&self) -> u64 {
        self.inner.state.load(Ordering::Acquire)
    }

    /// Sets the flag and wakes all that wait, on whatever thread.
    ///
    /// **Switches**: no.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{spawn, sync::Event};
    ///
    /// let go = Event::new();
    /// let thread = std::thread::spawn({ let go = go.clone(); move || go.wait() });
    /// let greenlet = spawn({ let go = go.clone(); move || go.wait() });
    /// go.set(); // wakes both
    /// assert!(thread.join().is_ok() && greenlet.join().is_ok());
    /// ```
    pub fn set(&self) {
        let once_more = |state: u64| Some(state.wrapping_add(ONE_TIME) | SET);
        // Never fails, as the closure always gives a value.
        let _ = self.inner.state.fetch_update(Ordering::AcqRel, Ordering::Acquire, once_more);
        self.inner.line.wake_all();
    }

    /// Clears the flag. Those that a `set` has woken stay woken.
    ///
    /// # Examples
    /// ```
    /// use greenloop::sync::Event;
    ///
    /// let event = Event::new();
    /// event.set();
    /// event.wait(); // returns at once
    /// event.clear();
    /// assert!(!event.is_set());
    /// ```
    pub fn clear(&self) {
        self.inner.state.fetch_and(!SET, Ordering::AcqRel);
    }

    /// Waits until the flag is set.
    ///
    /// **Switches**: unless it is set.
    ///
    /// **While unwinding** it returns at once, on a thread with a hub.
    ///
    /// # Examples
    /// ```
    /// use greenloop::sync::Event;
    ///
    /// let event = Event::new();
    /// let thread = std::thread::spawn({ let event = event.clone(); move || event.set() });
    /// event.wait(); // parks a greenlet, or blocks a thread without a hub
    /// thread.join().unwrap();
    /// ```
    #[track_caller]
    pub fn wait(&self) {
        self.wait_until(None);
    }

    /// Waits until the flag is set, at most for [`timeout`](crate#time-limits). True if it was set meanwhile, even if it is cleared again.
    ///
    /// **Switches**: as [`wait`](Self::wait).
    ///
    /// **While unwinding** it says at once whether the flag is set, on a thread with a hub.
    ///
    /// # Examples
    /// ```
    /// use greenloop::sync::Event;
    /// use std::time::Duration;
    ///
    /// assert!(!Event::new().wait_timeout(Duration::from_millis(1)));
    /// ```
    #[track_caller]
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        self.wait_until(Some(timeout))
    }

    #[track_caller]
    fn wait_until(&self, timeout: Option<Duration>) -> bool {
        let before = self.state() | SET;
        let has_been_set = || {
            let state = self.state();
            (state & SET != 0 || state | SET != before).then_some(())
        };
        block::wait(&self.inner.line, Reason::plain(&"event of any thread (set)"), timeout, has_been_set)
            .is_some()
    }
}

impl Default for Event {
    fn default() -> Event {
        Event::new()
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.is_set() { "set" } else { "unset" };
        write!(f, "Event({state}, {} waiting)", self.inner.line.len())
    }
}
