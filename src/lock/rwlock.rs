//! Data that many read or one writes.
//!
//! As in [`Mutex`](super::Mutex) the data is in a `RefCell` whose borrows the guards hold and the lock makes possible.

use std::cell::{Ref, RefCell, RefMut};
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use super::raw_rw::{RawRwLock, Role};
use super::refused;
use crate::park::Deadline;

/// Data that many greenlets read at a time, or one writes, across switches.
///
/// Of the shape of [`std::sync::RwLock`], without poisoning. Neither side starves: readers and writers that wait take turns.
/// A reader that comes while a writer waits lines up, so a greenlet that reads must not ask to read again: that would wait
/// for a writer that waits for it. A guard may be given to another greenlet.
///
/// # Examples
/// ```
/// use greenloop::{join_all, lock::RwLock, spawn, yield_now};
/// use std::rc::Rc;
///
/// let routes = Rc::new(RwLock::new(vec!["/"]));
/// let readers: Vec<_> = (0..3).map(|_| {
///     let routes = routes.clone();
///     spawn(move || {
///         let routes = routes.read();
///         yield_now(); // the others read at the same time
///         routes.len()
///     })
/// }).collect();
/// yield_now();
/// routes.write().push("/hello"); // waits for the three
/// assert!(join_all(readers).into_iter().all(|len| len.unwrap() == 1));
/// ```
pub struct RwLock<T: ?Sized> {
    raw: RawRwLock,
    data: RefCell<T>,
}

impl<T> RwLock<T> {
    /// A lock with nobody inside.
    ///
    /// # Examples
    /// ```
    /// use greenloop::lock::RwLock;
    ///
    /// thread_local! { static LIMIT: RwLock<u32> = const { RwLock::new(10) } }
    /// LIMIT.with(|limit| *limit.write() = 20);
    /// assert_eq!(LIMIT.with(|limit| *limit.read()), 20);
    /// ```
    pub const fn new(data: T) -> RwLock<T> {
        RwLock { raw: RawRwLock::new(), data: RefCell::new(data) }
    }

    /// The data, when nobody can be inside any more. **Switches**: no.
    ///
    /// # Examples
    /// ```
    /// let routes = greenloop::lock::RwLock::new(vec!["/"]);
    /// routes.write().push("/about");
    /// assert_eq!(routes.into_inner(), ["/", "/about"]);
    /// ```
    pub fn into_inner(self) -> T {
        self.data.into_inner()
    }
}

impl<T: ?Sized> RwLock<T> {
    /// Lets this greenlet read, waiting until it is its turn. Dropping the guard ends it.
    ///
    /// **Switches**: if one writes, or waits to.
    ///
    /// **While unwinding** it panics if one writes: use [`try_read`](Self::try_read) there.
    ///
    /// # Panics
    /// While unwinding, if one writes. On a thread's root with [`LoopExit`](crate::LoopExit) if nothing is left that could
    /// ever let it in.
    ///
    /// # Examples
    /// ```
    /// let lock = greenloop::lock::RwLock::new(1);
    /// let (one, other) = (lock.read(), lock.read());
    /// assert_eq!(*one + *other, 2);
    /// assert!(lock.try_write().is_none());
    /// ```
    #[inline]
    #[track_caller]
    pub fn read(&self) -> RwLockReadGuard<'_, T> {
        match self.raw.enter(Role::Reader, Deadline::NEVER) {
            Ok(()) => self.read_guard(),
            Err(_) => refused("RwLock::read", "use RwLock::try_read"),
        }
    }

    /// Lets this greenlet read if none writes or waits to. **Switches**: no.
    ///
    /// # Examples
    /// ```
    /// let lock = greenloop::lock::RwLock::new(1);
    /// let reader = lock.read();
    /// assert_eq!(lock.try_read().as_deref(), Some(&1));
    /// drop(reader);
    /// let _writer = lock.write();
    /// assert!(lock.try_read().is_none());
    /// ```
    #[inline]
    pub fn try_read(&self) -> Option<RwLockReadGuard<'_, T>> {
        self.raw.try_enter(Role::Reader).then(|| self.read_guard())
    }

    /// Lets this greenlet read, waiting at most for [`timeout`](crate#time-limits); `None` if the time ran out.
    ///
    /// **Switches**: as [`read`](Self::read).
    ///
    /// **While unwinding** it returns `None` at once.
    ///
    /// # Panics
    /// On a thread's root with [`LoopExit`](crate::LoopExit) if the time is beyond the reach of the clock and nothing is left
    /// that could ever let it in.
    ///
    /// # Examples
    /// ```
    /// use greenloop::lock::RwLock;
    /// use std::time::Duration;
    ///
    /// let (lock, limit) = (RwLock::new(1), Duration::from_millis(1));
    /// assert_eq!(lock.read_timeout(limit).as_deref(), Some(&1));
    /// let _writer = lock.write();
    /// assert!(lock.read_timeout(limit).is_none());
    /// ```
    #[track_caller]
    pub fn read_timeout(&self, timeout: Duration) -> Option<RwLockReadGuard<'_, T>> {
        self.enter_timeout(Role::Reader, timeout).then(|| self.read_guard())
    }

    /// Lets this greenlet write, waiting until it is its turn and nobody else is inside. Dropping the guard ends it.
    ///
    /// **Switches**: if others are inside or are before it in line.
    ///
    /// **While unwinding** it panics if anybody is inside: use [`try_write`](Self::try_write) there.
    ///
    /// # Panics
    /// While unwinding, if anybody is inside. On a thread's root with [`LoopExit`](crate::LoopExit) if nothing is left that
    /// could ever let it in.
    ///
    /// # Examples
    /// ```
    /// let lock = greenloop::lock::RwLock::new(1);
    /// *lock.write() += 1;
    /// assert_eq!(*lock.read(), 2);
    /// ```
    #[inline]
    #[track_caller]
    pub fn write(&self) -> RwLockWriteGuard<'_, T> {
        match self.raw.enter(Role::Writer, Deadline::NEVER) {
            Ok(()) => self.write_guard(),
            Err(_) => refused("RwLock::write", "use RwLock::try_write"),
        }
    }

    /// Lets this greenlet write if nobody is inside or about to be. **Switches**: no.
    ///
    /// # Examples
    /// ```
    /// let lock = greenloop::lock::RwLock::new(1);
    /// let reader = lock.read();
    /// assert!(lock.try_write().is_none());
    /// drop(reader);
    /// *lock.try_write().unwrap() += 1;
    /// assert_eq!(*lock.read(), 2);
    /// ```
    #[inline]
    pub fn try_write(&self) -> Option<RwLockWriteGuard<'_, T>> {
        self.raw.try_enter(Role::Writer).then(|| self.write_guard())
    }

    /// Lets this greenlet write, waiting at most for [`timeout`](crate#time-limits); `None` if the time ran out.
    ///
    /// **Switches**: as [`write`](Self::write).
    ///
    /// **While unwinding** it returns `None` at once.
    ///
    /// # Panics
    /// On a thread's root with [`LoopExit`](crate::LoopExit) if the time is beyond the reach of the clock and nothing is left
    /// that could ever let it in.
    ///
    /// # Examples
    /// ```
    /// use greenloop::lock::RwLock;
    /// use std::time::Duration;
    ///
    /// let (lock, limit) = (RwLock::new(1), Duration::from_millis(1));
    /// let reader = lock.read();
    /// assert!(lock.write_timeout(limit).is_none());
    /// drop(reader);
    /// assert!(lock.write_timeout(limit).is_some());
    /// ```
    #[track_caller]
    pub fn write_timeout(&self, timeout: Duration) -> Option<RwLockWriteGuard<'_, T>> {
        self.enter_timeout(Role::Writer, timeout).then(|| self.write_guard())
    }

    /// The data; that `self` is exclusive shows that nobody is inside. **Switches**: no.
    ///
    /// # Examples
    /// ```
    /// let mut lock = greenloop::lock::RwLock::new(1);
    /// *lock.get_mut() += 1; // no lock is needed
    /// assert_eq!(*lock.read(), 2);
    /// ```
    pub fn get_mut(&mut self) -> &mut T {
        self.data.get_mut()
    }

    #[track_caller]
    fn enter_timeout(&self, role: Role, timeout: Duration) -> bool {
        self.raw.try_enter(role) || self.raw.enter(role, Deadline::after(Some(timeout))).is_ok()
    }

    #[inline]
    fn read_guard(&self) -> RwLockReadGuard<'_, T> {
        RwLockReadGuard { data: self.data.borrow(), _inside: Inside { raw: &self.raw } }
    }

    #[inline]
    fn write_guard(&self) -> RwLockWriteGuard<'_, T> {
        RwLockWriteGuard { data: self.data.borrow_mut(), _inside: Inside { raw: &self.raw } }
    }
}

struct Inside<'a> {
    raw: &'a RawRwLock,
}

impl Drop for Inside<'_> {
    #[inline]
    fn drop(&mut self) {
        self.raw.leave();
    }
}

/// The right to read the data of a [`RwLock`]. It may be held over anything that switches.
///
/// # Examples
/// ```
/// use greenloop::lock::{RwLock, RwLockReadGuard};
///
/// fn longest<'a>(names: &'a RwLockReadGuard<'_, Vec<&'static str>>) -> Option<&'a &'static str> {
///     names.iter().max_by_key(|name| name.len())
/// }
///
/// let names = RwLock::new(vec!["ada", "grace"]);
/// let guard = names.read();
/// greenloop::yield_now(); // others may read meanwhile
/// assert_eq!(longest(&guard), Some(&"grace"));
/// ```
#[must_use = "if it is not kept the lock is left at once"]
pub struct RwLockReadGuard<'a, T: ?Sized> {
    // The borrow ends before the lock is left: fields are dropped in their order.
    data: Ref<'a, T>,
    _inside: Inside<'a>,
}

/// The right to write the data of a [`RwLock`]. It may be held over anything that switches.
///
/// # Examples
/// ```
/// use greenloop::lock::{RwLock, RwLockWriteGuard};
///
/// fn forget_all(mut names: RwLockWriteGuard<'_, Vec<&str>>) {
///     names.clear();
/// } // lets others in
///
/// let names = RwLock::new(vec!["ada", "grace"]);
/// forget_all(names.write());
/// assert!(names.read().is_empty());
/// ```
#[must_use = "if it is not kept the lock is left at once"]
pub struct RwLockWriteGuard<'a, T: ?Sized> {
    // As in `RwLockReadGuard`.
    data: RefMut<'a, T>,
    _inside: Inside<'a>,
}

impl<T: ?Sized> Deref for RwLockReadGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.data
    }
}

impl<T: ?Sized> Deref for RwLockWriteGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.data
    }
}

impl<T: ?Sized> DerefMut for RwLockWriteGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.data
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLockReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLockWriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for RwLockReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for RwLockWriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLock<T> {
    /// Reads while it writes the data, as that is the user's code.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.try_read() {
            Some(data) => f.debug_tuple("RwLock").field(&&*data).finish(),
            None => f.write_str("RwLock(<locked>)"),
        }
    }
}

impl<T: Default> Default for RwLock<T> {
    fn default() -> Self {
        RwLock::new(T::default())
    }
}

impl<T> From<T> for RwLock<T> {
    fn from(data: T) -> Self {
        RwLock::new(data)
    }
}
