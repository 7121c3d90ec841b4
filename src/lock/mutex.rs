//! Data that one greenlet has at a time.
//!
//! The data is in a `RefCell` and a guard holds its mutable borrow. The borrow never fails, since a guard is only made by whoever
//! has the lock, and gives the borrow back before the lock (its fields are dropped in that order).

use std::cell::{RefCell, RefMut};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use super::raw::RawLock;
use super::refused;
use crate::park::Deadline;

/// Data that one greenlet has at a time, across switches.
///
/// Of the shape of [`std::sync::Mutex`], without poisoning: a panic, a kill or a timeout that unwinds past the guard unlocks
/// it. Greenlets get it in the order in which they came. As with gevent's plain locks its holder waits if it locks again,
/// and the guard may be given to another greenlet. It stays on its thread:
/// ```compile_fail
/// let mutex = greenloop::lock::Mutex::new(1);
/// std::thread::spawn(move || drop(mutex));
/// ```
///
/// # Examples
/// ```
/// use greenloop::{join_all, lock::Mutex, spawn, yield_now};
/// use std::rc::Rc;
///
/// let account = Rc::new(Mutex::new(0));
/// join_all((0..10).map(|_| {
///     let account = account.clone();
///     spawn(move || {
///         let mut balance = account.lock();
///         let before = *balance;
///         yield_now(); // the others run, and wait for the lock
///         *balance = before + 1;
///     })
/// }));
/// assert_eq!(*account.lock(), 10);
/// ```
pub struct Mutex<T: ?Sized> {
    raw: RawLock,
    data: RefCell<T>,
}

impl<T> Mutex<T> {
    /// A mutex that nobody holds.
    ///
    /// # Examples
    /// ```
    /// use greenloop::lock::Mutex;
    ///
    /// thread_local! { static HITS: Mutex<u32> = const { Mutex::new(0) } }
    /// HITS.with(|hits| *hits.lock() += 1);
    /// assert_eq!(HITS.with(|hits| *hits.lock()), 1);
    /// ```
    pub const fn new(data: T) -> Mutex<T> {
        Mutex { raw: RawLock::new(), data: RefCell::new(data) }
    }

    /// The data, when nobody can hold it any more. **Switches**: no.
    ///
    /// # Examples
    /// ```
    /// let names = greenloop::lock::Mutex::new(vec!["ada"]);
    /// names.lock().push("eve");
    /// assert_eq!(names.into_inner(), ["ada", "eve"]);
    /// ```
    pub fn into_inner(self) -> T {
        self.data.into_inner()
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Locks it, waiting until it is this greenlet's turn. Dropping the guard unlocks it.
    ///
    /// **Switches**: if another holds it or is before this one in line.
    ///
    /// **While unwinding** it panics if somebody holds it: use [`try_lock`](Self::try_lock) there.
    ///
    /// # Panics
    /// While unwinding, if somebody holds it. On a thread's root with [`LoopExit`](crate::LoopExit) if nothing is left that
    /// could ever unlock it.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{join_all, lock::Mutex, spawn, yield_now};
    /// use std::rc::Rc;
    ///
    /// let balance = Rc::new(Mutex::new(0));
    /// join_all((0..10).map(|_| spawn({
    ///     let balance = balance.clone();
    ///     move || {
    ///         let mut balance = balance.lock();
    ///         let before = *balance;
    ///         yield_now(); // the others wait for the lock
    ///         *balance = before + 1;
    ///     }
    /// })));
    /// assert_eq!(*balance.lock(), 10);
    /// ```
    #[inline]
    #[track_caller]
    pub fn lock(&self) -> MutexGuard<'_, T> {
        match self.raw.acquire(Deadline::NEVER) {
            Ok(()) => self.guard(),
            Err(_) => refused("Mutex::lock", "use Mutex::try_lock"),
        }
    }

    /// Locks it if nobody holds it or is about to. **Switches**: no.
    ///
    /// # Examples
    /// ```
    /// let mutex = greenloop::lock::Mutex::new(1);
    /// let guard = mutex.lock();
    /// assert!(mutex.try_lock().is_none());
    /// drop(guard);
    /// assert_eq!(mutex.try_lock().as_deref(), Some(&1));
    /// ```
    #[inline]
    #[track_caller]
    pub fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.raw.try_acquire().then(|| self.guard())
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
    /// use greenloop::lock::Mutex;
    /// use std::time::Duration;
    ///
    /// let mutex = Mutex::new(());
    /// let held = mutex.lock();
    /// assert!(mutex.lock_timeout(Duration::from_millis(1)).is_none());
    /// ```
    #[track_caller]
    pub fn lock_timeout(&self, timeout: Duration) -> Option<MutexGuard<'_, T>> {
        let taken = self.raw.try_acquire() || self.raw.acquire(Deadline::after(Some(timeout))).is_ok();
        taken.then(|| self.guard())
    }

    /// Is it held by anybody?
    ///
    /// # Examples
    /// ```
    /// let mutex = greenloop::lock::Mutex::new(());
    /// let guard = mutex.lock();
    /// assert!(mutex.is_locked());
    /// drop(guard);
    /// assert!(!mutex.is_locked());
    /// ```
    pub fn is_locked(&self) -> bool {
        self.raw.holder().is_some()
    }

    /// The data; that `self` is exclusive shows that nobody holds it. **Switches**: no.
    ///
    /// # Examples
    /// ```
    /// let mut count = greenloop::lock::Mutex::new(1);
    /// *count.get_mut() += 1; // no lock is needed
    /// assert_eq!(*count.lock(), 2);
    /// ```
    pub fn get_mut(&mut self) -> &mut T {
        self.data.get_mut()
    }

    #[inline]
    fn guard(&self) -> MutexGuard<'_, T> {
        MutexGuard { data: self.data.borrow_mut(), held: Held { mutex: self } }
    }
}

/// A locked [`Mutex`]; dropping it unlocks it. It may be held over anything that switches.
///
/// # Examples
/// ```
/// use greenloop::lock::{Mutex, MutexGuard};
///
/// fn add_to(mut total: MutexGuard<'_, u32>, n: u32) {
///     *total += n;
/// } // unlocks
///
/// let total = Mutex::new(1);
/// add_to(total.lock(), 2);
/// assert_eq!(total.try_lock().as_deref(), Some(&3));
/// ```
#[must_use = "if it is not kept the mutex is unlocked at once"]
pub struct MutexGuard<'a, T: ?Sized> {
    // Before `held`: see the module's head.
    data: RefMut<'a, T>,
    held: Held<'a, T>,
}

struct Held<'a, T: ?Sized> {
    mutex: &'a Mutex<T>,
}

impl<'a, T: ?Sized> MutexGuard<'a, T> {
    /// What to lock again after the guard was dropped.
    pub(super) fn mutex(&self) -> &'a Mutex<T> {
        self.held.mutex
    }
}

impl<T: ?Sized> Drop for Held<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.mutex.raw.release();
    }
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.data
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.data
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Mutex<T> {
    /// Holds the lock while it writes the data, as that is the user's code.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.try_lock() {
            Some(data) => f.debug_tuple("Mutex").field(&&*data).finish(),
            None => f.write_str("Mutex(<locked>)"),
        }
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Self {
        Mutex::new(T::default())
    }
}

impl<T> From<T> for Mutex<T> {
    fn from(data: T) -> Self {
        Mutex::new(data)
    }
}
