//! A value that arrives once, from any thread.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::time::Duration;

use super::block;
use super::line::{Line, Wait};
use crate::error::Elapsed;
use crate::hub::Reason;

/// A place for one value; greenlets of any hub, threads without one, and async tasks wait until somebody puts it there.
///
/// It is [`event::AsyncResult`](crate::event::AsyncResult) across threads. Clones are the same place. It can be awaited.
///
/// # Examples
/// ```
/// use greenloop::sync::AsyncResult;
///
/// let result = AsyncResult::new();
/// let thread = std::thread::spawn({ let result = result.clone(); move || result.set("from a thread") });
/// assert_eq!(result.get(), "from a thread");
/// thread.join().unwrap().unwrap();
/// assert_eq!(result.set("again"), Err("again"));
/// ```
pub struct AsyncResult<T> {
    inner: Arc<Inner<T>>,
}

struct Inner<T> {
    value: OnceLock<T>,
    line: Arc<Line>,
}

impl<T> AsyncResult<T> {
    /// A place without a value.
    ///
    /// # Examples
    /// ```
    /// use greenloop::sync::AsyncResult;
    ///
    /// let result = AsyncResult::new();
    /// assert!(!result.is_set());
    /// result.clone().set(1).unwrap();
    /// assert_eq!(result.get(), 1); // clones are the same place
    /// ```
    pub fn new() -> AsyncResult<T> {
        AsyncResult { inner: Arc::new(Inner { value: OnceLock::new(), line: Line::new() }) }
    }

    /// Puts the value and wakes all that wait for it, on whatever thread.
    ///
    /// **Switches**: no.
    ///
    /// # Errors
    /// Gives the value back if there is one already: it arrives once.
    ///
    /// # Examples
    /// ```
    /// use greenloop::sync::AsyncResult;
    ///
    /// let winner = AsyncResult::new();
    /// let threads = [1, 2].map(|n| std::thread::spawn({ let winner = winner.clone(); move || winner.set(n) }));
    /// let set = threads.map(|thread| thread.join().unwrap());
    /// assert_eq!(set.iter().filter(|set| set.is_ok()).count(), 1); // the other has its value back
    /// assert!(set.contains(&Err(3 - winner.get())));
    /// ```
    pub fn set(&self, value: T) -> Result<(), T> {
        self.inner.value.set(value)?;
        self.inner.line.wake_all();
        Ok(())
    }

    /// Has the value arrived?
    ///
    /// # Examples
    /// ```
    /// use greenloop::sync::AsyncResult;
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
    /// **While unwinding** it returns at once, on a thread with a hub.
    ///
    /// # Examples
    /// ```
    /// use greenloop::sync::AsyncResult;
    ///
    /// let result = AsyncResult::new();
    /// let thread = std::thread::spawn({ let result = result.clone(); move || result.set(vec![1, 2]) });
    /// result.wait(); // other greenlets run meanwhile
    /// assert_eq!(result.with(Vec::len), Some(2));
    /// # thread.join().unwrap().unwrap();
    /// ```
    #[track_caller]
    pub fn wait(&self) {
        self.wait_until(None);
    }

    /// Waits until the value has arrived, at most for [`timeout`](crate#time-limits), and says whether it has.
    ///
    /// **Switches**: as [`wait`](Self::wait).
    ///
    /// **While unwinding** it says so at once, on a thread with a hub.
    ///
    /// # Examples
    /// ```
    /// use greenloop::sync::AsyncResult;
    /// use std::time::Duration;
    ///
    /// let result = AsyncResult::new();
    /// assert!(!result.wait_timeout(Duration::from_millis(1)));
    /// let thread = std::thread::spawn({ let result = result.clone(); move || result.set("late") });
    /// assert!(result.wait_timeout(Duration::from_secs(60)));
    /// # thread.join().unwrap().unwrap();
    /// ```
    #[track_caller]
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        self.wait_until(Some(timeout))
    }

    #[track_caller]
    fn wait_until(&self, timeout: Option<Duration>) -> bool {
        let reason = Reason::plain(&"async result of any thread (get)");
        block::wait(&self.inner.line, reason, timeout, || self.is_set().then_some(())).is_some()
    }

    /// Shows the value to `f` without waiting; `None` if it has not arrived.
    ///
    /// # Examples
    /// ```
    /// use greenloop::sync::AsyncResult;
    ///
    /// let names: AsyncResult<Vec<&str>> = AsyncResult::new();
    /// assert_eq!(names.with(Vec::len), None);
    /// names.set(vec!["ada", "eve"]).unwrap();
    /// assert_eq!(names.with(Vec::len), Some(2));
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
    /// **While unwinding** it panics if the value has not arrived, on a thread with a hub: use [`try_get`](Self::try_get)
    /// there.
    ///
    /// # Panics
    /// While unwinding, if the value has not arrived.
    ///
    /// # Examples
    /// ```
    /// use greenloop::sync::AsyncResult;
    ///
    /// let result = AsyncResult::new();
    /// let thread = std::thread::spawn({ let result = result.clone(); move || result.set(42) });
    /// assert_eq!(result.get(), 42);
    /// thread.join().unwrap().unwrap();
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
    /// **While unwinding** it gives an error at once, on a thread with a hub.
    ///
    /// # Errors
    /// [`Elapsed`] if it has not arrived in time, or at once while unwinding.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{Elapsed, sync::AsyncResult};
    /// use std::time::Duration;
    ///
    /// let result = AsyncResult::new();
    /// assert_eq!(result.get_timeout(Duration::from_millis(1)), Err(Elapsed));
    /// let thread = std::thread::spawn({ let result = result.clone(); move || result.set(42) });
    /// assert_eq!(result.get_timeout(Duration::from_secs(60)), Ok(42));
    /// # thread.join().unwrap().unwrap();
    /// ```
    #[track_caller]
    pub fn get_timeout(&self, timeout: Duration) -> Result<T, Elapsed> {
        self.wait_timeout(timeout);
        self.try_get().ok_or(Elapsed)
    }

    /// The value if it has arrived.
    ///
    /// # Examples
    /// ```
    /// use greenloop::sync::AsyncResult;
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
        write!(f, "AsyncResult({state}, {} waiting)", self.inner.line.len())
    }
}

impl<T: Clone> IntoFuture for AsyncResult<T> {
    type Output = T;
    type IntoFuture = Get<T>;

    /// The arrival of the value as a future, for any executor.
    fn into_future(self) -> Get<T> {
        let wait = Wait::new(&self.inner.line);
        Get { result: self, wait }
    }
}

/// The future of an [`AsyncResult`]: a clone of its value when it has arrived.
///
/// # Examples
/// ```
/// use greenloop::{future::block_on, sync::AsyncResult};
///
/// let result = AsyncResult::new();
/// std::thread::spawn({ let result = result.clone(); move || result.set("from a thread") });
/// assert_eq!(block_on(async { result.await }), "from a thread");
/// ```
#[must_use = "a future does nothing unless it is awaited"]
pub struct Get<T> {
    result: AsyncResult<T>,
    wait: Wait,
}

impl<T: Clone> Future for Get<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let Get { result, wait } = &mut *self;
        let arrived = wait.poll(context.waker(), || result.is_set().then_some(()));
        // Cloned afterwards: that is the user's code.
        arrived.map(|()| match result.try_get() {
            Some(value) => value,
            None => unreachable!("a value that has arrived stays"),
        })
    }
}

impl<T> fmt::Debug for Get<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Get({:?})", self.result)
    }
}
