//! A value that arrives once.

use std::cell::OnceCell;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use crate::error::Elapsed;
use crate::hub::Reason;
use crate::park::{self, Deadline, Woken};
use crate::waitlist::{Place, WaitList};

/// A place for one value; greenlets wait until somebody puts it there. It is a handle: clones are the same place.
///
/// gevent's cell holds a value or an exception; here a `Result` is a value like any other: `AsyncResult<Result<T, E>>`.
///
/// # Examples
/// ```
/// use greenloop::{event::AsyncResult, spawn};
///
/// let result = AsyncResult::new();
/// let waiter = spawn({ let result = result.clone(); move || result.get() });
/// result.set("nice!").unwrap();
/// assert_eq!(waiter.join().unwrap(), "nice!");
/// assert_eq!(result.set("again"), Err("again"));
/// ```
pub struct AsyncResult<T> {
    inner: Rc<Inner<T>>,
}

struct Inner<T> {
    value: OnceCell<T>,
    waiters: WaitList,
}

impl<T> AsyncResult<T> {
    /// A place without a value.
    ///
    /// # Examples
    /// ```
    /// use greenloop::event::AsyncResult;
    ///
    /// let (here, there) = { let result = AsyncResult::new(); (result.clone(), result) };
    /// assert!(!here.is_set());
    /// there.set(1).unwrap();
    /// assert_eq!(here.try_get(), Some(1)); // clones are the same place
    /// ```
    pub fn new() -> AsyncResult<T> {
        AsyncResult { inner: Rc::new(Inner { value: OnceCell::new(), waiters: WaitList::new() }) }
    }

    /// Puts the value and wakes all that wait for it, in the order in which they came.
    ///
    /// **Switches**: no.
    ///
    /// # Errors
    /// Gives the value back if there is one already: it arrives once.
    ///
    /// # Examples
    /// ```
    /// use greenloop::event::AsyncResult;
    ///
    /// let result = AsyncResult::new();
    /// assert_eq!(result.set(1), Ok(()));
    /// assert_eq!(result.set(2), Err(2)); // there is one already
    /// assert_eq!(result.get(), 1);
    /// ```
    pub fn set(&self, value: T) -> Result<(), T> {
        self.inner.value.set(value)?;
        self.inner.waiters.wake_all();
        Ok(())
    }

    pub(crate) fn waiters(&self) -> &WaitList {
        &self.inner.waiters
    }

    /// Has the value arrived?
    ///
    /// # Examples
    /// ```
    /// use greenloop::event::AsyncResult;
    ///
    /// let result = AsyncResult::new();
    /// assert!(!result.is_set());
    /// result.set("arrived").unwrap();
    /// assert!(result.is_set());
    /// ```
    pub fn is_set(&self) -> bool {
        self.inner.value.get().is_some()
    }

    /// Waits until the value has arrived.
    ///
    /// **Switches**: unless it has.
    ///
    /// **While unwinding** it returns at once.
    ///
    /// # Panics
    /// On a thread's root with [`LoopExit`](crate::LoopExit) if nothing is left that could ever set it.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{event::AsyncResult, spawn};
    ///
    /// let result = AsyncResult::new();
    /// spawn({ let result = result.clone(); move || result.set("ready") });
    /// result.wait();
    /// assert!(result.is_set());
    /// ```
    #[track_caller]
    pub fn wait(&self) {
        self.wait_until(None);
    }

    /// Waits until the value has arrived, at most for [`timeout`](crate#time-limits), and says whether it has.
    ///
    /// **Switches**: unless it has.
    ///
    /// **While unwinding** it says so at once.
    ///
    /// # Panics
    /// On a thread's root with [`LoopExit`](crate::LoopExit) if the time is beyond the reach of the clock and nothing is left
    /// that could ever set it.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{event::AsyncResult, spawn};
    /// use std::time::Duration;
    ///
    /// let result = AsyncResult::new();
    /// assert!(!result.wait_timeout(Duration::from_millis(1)));
    /// spawn({ let result = result.clone(); move || result.set("arrived") });
    /// assert!(result.wait_timeout(Duration::from_secs(60)));
    /// ```
    #[track_caller]
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        self.wait_until(Some(timeout))
    }

    #[track_caller]
    fn wait_until(&self, timeout: Option<Duration>) -> bool {
        if self.is_set() {
            return true;
        }
        let reason = Reason::plain(&"async result (get)");
        let woken =
            park::wait_on(&self.inner.waiters, &mut Place::default(), reason, Deadline::after(timeout));
        woken == Woken::Notified || self.is_set()
    }

    /// Shows the value to `f` without waiting; `None` if it has not arrived.
    ///
    /// # Examples
    /// ```
    /// use greenloop::event::AsyncResult;
    ///
    /// let names: AsyncResult<Vec<String>> = AsyncResult::new();
    /// assert_eq!(names.with(Vec::len), None);
    /// names.set(vec!["a".into()]).unwrap();
    /// assert_eq!(names.with(Vec::len), Some(1));
    /// ```
    pub fn with<R>(&self, f: impl FnOnce(&T) -> R) -> Option<R> {
        self.inner.value.get().map(f)
    }
}

impl<T: Clone> AsyncResult<T> {
    /// Waits for the value and gives a clone of it.
    ///
    /// **Switches**: unless the value has arrived.
    ///
    /// **While unwinding** it panics if the value has not arrived: use [`try_get`](Self::try_get) there.
    ///
    /// # Panics
    /// On a thread's root with [`LoopExit`](crate::LoopExit) if nothing is left that could ever set it. While unwinding, if
    /// the value has not arrived.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{event::AsyncResult, spawn};
    ///
    /// let result = AsyncResult::new();
    /// spawn({ let result = result.clone(); move || result.set(6 * 7) });
    /// assert_eq!(result.get(), 42);
    /// ```
    #[track_caller]
    pub fn get(&self) -> T {
        self.wait();
        match self.try_get() {
            Some(value) => value,
            None => panic!(
                "AsyncResult::get in a destructor run by a panic or a kill, before the value has arrived: use \
                 AsyncResult::try_get there"
            ),
        }
    }

    /// Waits for the value, at most for [`timeout`](crate#time-limits).
    ///
    /// **Switches**: unless the value has arrived.
    ///
    /// **While unwinding** it gives an error at once.
    ///
    /// # Errors
    /// [`Elapsed`] if it has not arrived in time, or at once while unwinding.
    ///
    /// # Panics
    /// On a thread's root with [`LoopExit`](crate::LoopExit) if the time is beyond the reach of the clock and nothing is left
    /// that could ever set it.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{Elapsed, event::AsyncResult};
    /// use std::time::Duration;
    ///
    /// assert_eq!(AsyncResult::<u8>::new().get_timeout(Duration::from_millis(1)), Err(Elapsed));
    /// ```
    #[track_caller]
    pub fn get_timeout(&self, timeout: Duration) -> Result<T, Elapsed> {
        self.wait_timeout(timeout);
        self.try_get().ok_or(Elapsed)
    }

    /// The value if it has arrived: gevent's `get_nowait`.
    ///
    /// # Examples
    /// ```
    /// use greenloop::event::AsyncResult;
    ///
    /// let result = AsyncResult::new();
    /// assert_eq!(result.try_get(), None);
    /// result.set('x').unwrap();
    /// assert_eq!(result.try_get(), Some('x'));
    /// ```
    pub fn try_get(&self) -> Option<T> {
        self.inner.value.get().cloned()
    }
}

impl<T> Clone for AsyncResult<T> {
    fn clone(&self) -> Self {
        AsyncResult { inner: self.inner.clone() }
    }
}

impl<T> Default for AsyncResult<T> {
    fn default() -> Self {
        AsyncResult::new()
    }
}

impl<T> fmt::Debug for AsyncResult<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.is_set() { "set" } else { "unset" };
        write!(f, "AsyncResult({state}, {} waiting)", self.inner.waiters.len())
    }
}
