//! Data that one greenlet has at a time, as often as it likes.

use std::cell::Cell;
use std::fmt;
use std::ops::Deref;
use std::time::Duration;

use super::raw::RawLock;
use super::refused;
use crate::hub::Hub;
use crate::park::Deadline;

/// A mutex that its holder may lock again: gevent's `RLock`.
///
/// It is unlocked when as many guards are dropped as were made. As there may be several guards at a time they give `&T`
/// only; put a [`Cell`] or a [`RefCell`](std::cell::RefCell) inside to change the data. Not poisoned, and as fair as
/// [`Mutex`](super::Mutex); who holds it passes those that wait when it locks again.
///
/// # Examples
/// ```
/// use greenloop::lock::ReentrantMutex;
/// use std::cell::Cell;
///
/// let counter = ReentrantMutex::new(Cell::new(0));
/// let outer = counter.lock();
/// let inner = counter.lock(); // does not wait: it is ours
/// inner.set(1);
/// drop(inner);
/// assert!(counter.is_held_by_current());
/// assert_eq!(outer.get(), 1);
/// ```
pub struct ReentrantMutex<T: ?Sized> {
    raw: RawLock,
    /// How many guards its holder has.
    depth: Cell<usize>,
    data: T,
}

impl<T> ReentrantMutex<T> {
    /// A mutex that nobody holds.
    ///
    /// # Examples
    /// ```
    /// use greenloop::lock::ReentrantMutex;
    /// use std::cell::RefCell;
    ///
    /// thread_local! { static LOG: ReentrantMutex<RefCell<Vec<u8>>> = const { ReentrantMutex::new(RefCell::new(Vec::new())) } }
    /// LOG.with(|log| log.lock().borrow_mut().push(1));
    /// assert_eq!(LOG.with(|log| log.lock().borrow().len()), 1);
    /// ```
    pub const fn new(data: T) -> ReentrantMutex<T> {
        ReentrantMutex { raw: RawLock::new(), depth: Cell::new(0), data }
    }

    /// The data, when nobody can hold it any more. **Switches**: no.
    ///
    /// # Examples
    /// ```
    /// use greenloop::lock::ReentrantMutex;
    /// use std::cell::Cell;
    ///
    /// let count = ReentrantMutex::new(Cell::new(0));
    /// count.lock().set(1);
    /// assert_eq!(count.into_inner().get(), 1);
    /// ```
    pub fn into_inner(self) -> T {
        self.data
    }
}

impl<T: ?Sized> ReentrantMutex<T> {
    /// Locks it, waiting until it is this greenlet's turn unless it holds it already. Dropping the guard undoes this lock.
    ///
    /// **Switches**: if another greenlet holds it or is before this one in line.
    ///
    /// **While unwinding** it panics if another greenlet holds it: use [`try_lock`](Self::try_lock) there.
    ///
    /// # Panics
    /// While unwinding, if another greenlet holds it. On a thread's root with [`LoopExit`](crate::LoopExit) if nothing is
    /// left that could ever unlock it.
    ///
    /// # Examples
    /// ```
    /// use greenloop::lock::ReentrantMutex;
    /// use std::cell::Cell;
    ///
    /// let count = ReentrantMutex::new(Cell::new(0));
    /// let outer = count.lock();
    /// let inner = count.lock(); // its own greenlet does not wait
    /// inner.set(1);
    /// assert_eq!(outer.get(), 1);
    /// ```
    #[inline]
    #[track_caller]
    pub fn lock(&self) -> ReentrantMutexGuard<'_, T> {
        if self.is_held_by_current() || self.raw.acquire(Deadline::NEVER).is_ok() {
            return self.guard();
        }
        refused("ReentrantMutex::lock", "use ReentrantMutex::try_lock")
    }

    /// Locks it if this greenlet holds it, or if nobody holds it or is about to. **Switches**: no.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{lock::ReentrantMutex, scope};
    ///
    /// let mutex = ReentrantMutex::new(());
    /// let _guard = mutex.lock();
    /// assert!(mutex.try_lock().is_some()); // it is ours
    /// scope(|s| assert!(!s.spawn(|| mutex.try_lock().is_some()).join().unwrap()));
    /// ```
    #[inline]
    pub fn try_lock(&self) -> Option<ReentrantMutexGuard<'_, T>> {
        (self.is_held_by_current() || self.raw.try_acquire()).then(|| self.guard())
    }

    /// Locks it, waiting at most for [`timeout`](crate#time-limits); `None` if the time ran out.
    ///
    /// **Switches**: as [`lock`](Self::lock).
    ///
    /// **While unwinding** it returns `None` at once.
    ///
    /// # Panics
    /// On a thread's root with [`LoopExit`](crate::LoopExit) if the time is beyond the reach of the clock and nothing is left
    /// that could ever unlock it.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{lock::ReentrantMutex, scope};
    /// use std::time::Duration;
    ///
    /// let (mutex, limit) = (ReentrantMutex::new(()), Duration::from_millis(1));
    /// let _guard = mutex.lock();
    /// assert!(mutex.lock_timeout(limit).is_some()); // does not wait
    /// scope(|s| assert!(!s.spawn(|| mutex.lock_timeout(limit).is_some()).join().unwrap()));
    /// ```
    #[track_caller]
    pub fn lock_timeout(&self, timeout: Duration) -> Option<ReentrantMutexGuard<'_, T>> {
        self.try_lock()
            .or_else(|| self.raw.acquire(Deadline::after(Some(timeout))).is_ok().then(|| self.guard()))
    }

    /// Is it held by the greenlet that asks?
    ///
    /// # Examples
    /// ```
    /// use greenloop::{lock::ReentrantMutex, scope};
    ///
    /// let mutex = ReentrantMutex::new(());
    /// let _guard = mutex.lock();
    /// assert!(mutex.is_held_by_current());
    /// scope(|s| assert!(!s.spawn(|| mutex.is_held_by_current()).join().unwrap()));
    /// ```
    #[inline]
    pub fn is_held_by_current(&self) -> bool {
        self.raw.holder() == Some(Hub::current().running_id())
    }

    /// Is it held by anybody?
    ///
    /// # Examples
    /// ```
    /// let mutex = greenloop::lock::ReentrantMutex::new(());
    /// let (outer, inner) = (mutex.lock(), mutex.lock());
    /// drop(outer);
    /// assert!(mutex.is_locked()); // `inner` is left
    /// drop(inner);
    /// assert!(!mutex.is_locked());
    /// ```
    pub fn is_locked(&self) -> bool {
        self.raw.holder().is_some()
    }

    /// The data; that `self` is exclusive shows that nobody holds it. **Switches**: no.
    ///
    /// # Examples
    /// ```
    /// let mut mutex = greenloop::lock::ReentrantMutex::new(vec![1]);
    /// mutex.get_mut().push(2); // no cell is needed, as nobody holds it
    /// assert_eq!(mutex.lock().len(), 2);
    /// ```
    pub fn get_mut(&mut self) -> &mut T {
        &mut self.data
    }

    #[inline]
    fn guard(&self) -> ReentrantMutexGuard<'_, T> {
        self.depth.set(self.depth.get() + 1);
        ReentrantMutexGuard { mutex: self }
    }
}

/// A locked [`ReentrantMutex`]; dropping it undoes that lock. It may be held over anything that switches.
///
/// # Panics
/// Dropping it in another greenlet than the one that has locked the mutex panics, as the mutex belongs to that one. The lock
/// is undone nevertheless, since nobody else could. While a panic or a kill unwinds there is no panic.
///
/// # Examples
/// ```
/// use greenloop::lock::{ReentrantMutex, ReentrantMutexGuard};
/// use std::cell::Cell;
///
/// let count = ReentrantMutex::new(Cell::new(0));
/// let add = |guard: ReentrantMutexGuard<'_, Cell<u32>>| guard.set(guard.get() + 1);
/// let outer = count.lock();
/// add(count.lock());
/// assert_eq!(outer.get(), 1);
/// assert!(count.is_held_by_current()); // by `outer`
/// ```
#[must_use = "if it is not kept the mutex is unlocked at once"]
pub struct ReentrantMutexGuard<'a, T: ?Sized> {
    mutex: &'a ReentrantMutex<T>,
}

impl<T: ?Sized> Drop for ReentrantMutexGuard<'_, T> {
    #[inline]
    #[track_caller]
    fn drop(&mut self) {
        let ReentrantMutex { raw, depth, .. } = self.mutex;
        let locked_by = raw.holder();
        depth.set(depth.get() - 1);
        if depth.get() == 0 {
            raw.release();
        }
        let me = Hub::current().running_id();
        if locked_by != Some(me) && !std::thread::panicking() {
            unlocked_by_another(locked_by, me);
        }
    }
}

#[cold]
#[track_caller]
fn unlocked_by_another(locked_by: Option<u64>, me: u64) -> ! {
    panic!(
        "greenlet #{me} has unlocked a ReentrantMutex that greenlet #{} has locked: only the one that has locked it may unlock \
         it, so its guard must not be given to another",
        locked_by.unwrap_or_default()
    )
}

impl<T: ?Sized> Deref for ReentrantMutexGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.mutex.data
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for ReentrantMutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for ReentrantMutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for ReentrantMutex<T> {
    /// Holds the lock while it writes the data, as that is the user's code.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.try_lock() {
            Some(data) => f.debug_tuple("ReentrantMutex").field(&&*data).finish(),
            None => f.write_str("ReentrantMutex(<locked>)"),
        }
    }
}

impl<T: Default> Default for ReentrantMutex<T> {
    fn default() -> Self {
        ReentrantMutex::new(T::default())
    }
}

impl<T> From<T> for ReentrantMutex<T> {
    fn from(data: T) -> Self {
        ReentrantMutex::new(data)
    }
}
