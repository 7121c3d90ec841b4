//! Waiting, inside a mutex, for its data to change.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use super::{MutexGuard, refused};
use crate::hub::Reason;
use crate::park::{self, Deadline, Woken};
use crate::waitlist::{Place, WaitList};

/// The notes of those who wait: who was woken by a notification for one, and who by one for all.
const FOR_ALL: usize = 0;
const FOR_ONE: usize = 1;

/// Waiting for the data of a [`Mutex`](super::Mutex) to change: gevent's `Condition`.
///
/// Of the shape of [`std::sync::Condvar`], but a handle: clones are the same condition. Waiting takes the guard, so nobody can
/// wait without the lock; notifying needs no lock. Who waits is woken in the order of arrival, and not without a
/// notification, but by the time it has the lock again others may have changed the data: look again, as
/// [`wait_while`](Self::wait_while) does.
///
/// A greenlet that is killed or runs out of time while it waits uses up no notification.
///
/// # Examples
/// ```
/// use greenloop::{lock::{Condvar, Mutex}, spawn};
/// use std::rc::Rc;
///
/// let (jobs, changed) = (Rc::new(Mutex::new(Vec::new())), Condvar::new());
/// let worker = spawn({
///     let (jobs, changed) = (jobs.clone(), changed.clone());
///     move || changed.wait_while(jobs.lock(), |jobs| jobs.is_empty()).pop()
/// });
/// jobs.lock().push("a job");
/// changed.notify_one();
/// assert_eq!(worker.join().unwrap(), Some("a job"));
/// ```
#[derive(Clone)]
pub struct Condvar {
    waiters: Rc<WaitList>,
}

/// How the timed wait at a [`Condvar`] has ended.
///
/// # Examples
/// ```
/// use greenloop::lock::{Condvar, Mutex};
/// use std::time::Duration;
///
/// let (mutex, changed) = (Mutex::new(0), Condvar::new());
/// let (_guard, result) = changed.wait_timeout(mutex.lock(), Duration::from_millis(1));
/// assert!(result.timed_out());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitTimeoutResult(bool);

impl WaitTimeoutResult {
    /// Has it ended without what was waited for, because the time ran out?
    ///
    /// # Examples
    /// ```
    /// use greenloop::{lock::{Condvar, Mutex}, spawn};
    /// use std::time::Duration;
    ///
    /// let (mutex, changed) = (Mutex::new(()), Condvar::new());
    /// spawn({ let changed = changed.clone(); move || changed.notify_one() });
    /// let (guard, result) = changed.wait_timeout(mutex.lock(), Duration::from_secs(60));
    /// assert!(!result.timed_out());
    /// let (_guard, result) = changed.wait_timeout(guard, Duration::from_millis(1));
    /// assert!(result.timed_out()); // nobody notifies any more
    /// ```
    pub fn timed_out(&self) -> bool {
        self.0
    }
}

impl Condvar {
    /// A condition that nobody waits for.
    ///
    /// # Examples
    /// ```
    /// use greenloop::lock::{Condvar, Mutex};
    ///
    /// let (mutex, changed) = (Mutex::new(1), Condvar::new());
    /// changed.notify_all(); // lost, as nobody waits
    /// assert_eq!(*changed.wait_while(mutex.lock(), |number| *number == 0), 1); // does not wait either
    /// ```
    pub fn new() -> Condvar {
        Condvar { waiters: Rc::new(WaitList::new()) }
    }

    /// Unlocks the mutex, waits for a notification, and locks it again.
    ///
    /// **Switches**: yes.
    ///
    /// **While unwinding** it panics: use [`wait_timeout`](Self::wait_timeout) there.
    ///
    /// # Panics
    /// While unwinding. On a thread's root with [`LoopExit`](crate::LoopExit) if nothing is left that could ever notify it.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{lock::{Condvar, Mutex}, spawn};
    /// use std::rc::Rc;
    ///
    /// let (ready, changed) = (Rc::new(Mutex::new(false)), Condvar::new());
    /// spawn({
    ///     let (ready, changed) = (ready.clone(), changed.clone());
    ///     move || { *ready.lock() = true; changed.notify_one() }
    /// });
    /// let mut guard = ready.lock();
    /// while !*guard {
    ///     guard = changed.wait(guard); // unlocked meanwhile
    /// }
    /// assert!(*guard);
    /// ```
    #[track_caller]
    pub fn wait<'a, T: ?Sized>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        let (guard, woken) = self.wait_until(guard, Deadline::NEVER);
        if woken == Woken::Refused {
            refused("Condvar::wait", "use Condvar::wait_timeout");
        }
        guard
    }

    /// Waits as [`wait`](Self::wait) does as long as `condition` says true, and not at all if it says false at first.
    ///
    /// **Switches**: if it waits.
    ///
    /// **While unwinding** it panics if it would wait: use [`wait_timeout_while`](Self::wait_timeout_while) there.
    ///
    /// # Panics
    /// As [`wait`](Self::wait).
    ///
    /// # Examples
    /// ```
    /// use greenloop::{lock::{Condvar, Mutex}, spawn};
    /// use std::rc::Rc;
    ///
    /// let (left, changed) = (Rc::new(Mutex::new(3)), Condvar::new());
    /// for _ in 0..3 {
    ///     let (left, changed) = (left.clone(), changed.clone());
    ///     spawn(move || { *left.lock() -= 1; changed.notify_one() });
    /// }
    /// assert_eq!(*changed.wait_while(left.lock(), |left| *left > 0), 0);
    /// ```
    #[track_caller]
    pub fn wait_while<'a, T, F>(&self, mut guard: MutexGuard<'a, T>, mut condition: F) -> MutexGuard<'a, T>
    where
        T: ?Sized,
        F: FnMut(&mut T) -> bool,
    {
        while condition(&mut guard) {
            guard = self.wait(guard);
        }
        guard
    }

    /// Waits as [`wait`](Self::wait) does, for a notification at most for [`timeout`](crate#time-limits), then for the lock.
    ///
    /// **Switches**: yes.
    ///
    /// **While unwinding** it returns at once, as if the time had run out.
    ///
    /// # Panics
    /// On a thread's root with [`LoopExit`](crate::LoopExit) if the time is beyond the reach of the clock and nothing is left
    /// that could ever notify it.
    ///
    /// # Examples
    /// ```
    /// use greenloop::lock::{Condvar, Mutex};
    /// use std::time::Duration;
    ///
    /// let mutex = Mutex::new(0);
    /// let (guard, result) = Condvar::new().wait_timeout(mutex.lock(), Duration::from_millis(1));
    /// assert!(result.timed_out());
    /// assert_eq!(*guard, 0);
    /// ```
    #[track_caller]
    pub fn wait_timeout<'a, T: ?Sized>(
        &self,
        guard: MutexGuard<'a, T>,
        timeout: Duration,
    ) -> (MutexGuard<'a, T>, WaitTimeoutResult) {
        let (guard, woken) = self.wait_until(guard, Deadline::after(Some(timeout)));
        (guard, WaitTimeoutResult(woken != Woken::Notified))
    }

    /// Waits as [`wait_while`](Self::wait_while) does, at most for [`timeout`](crate#time-limits). The result says that the time ran out if
    /// `condition` still says true.
    ///
    /// **Switches**: if it waits.
    ///
    /// **While unwinding** it returns at once, as if the time had run out.
    ///
    /// # Panics
    /// On a thread's root with [`LoopExit`](crate::LoopExit) if the time is beyond the reach of the clock and nothing is left
    /// that could ever notify it.
    ///
    /// # Examples
    /// ```
    /// use greenloop::lock::{Condvar, Mutex};
    /// use std::time::Duration;
    ///
    /// let (jobs, changed) = (Mutex::new(vec!["a job"]), Condvar::new());
    /// let limit = Duration::from_millis(1);
    /// let (mut guard, result) = changed.wait_timeout_while(jobs.lock(), limit, |jobs| jobs.is_empty());
    /// assert_eq!((guard.pop(), result.timed_out()), (Some("a job"), false));
    /// let (_, result) = changed.wait_timeout_while(guard, limit, |jobs| jobs.is_empty());
    /// assert!(result.timed_out());
    /// ```
    #[track_caller]
    pub fn wait_timeout_while<'a, T, F>(
        &self,
        mut guard: MutexGuard<'a, T>,
        timeout: Duration,
        mut condition: F,
    ) -> (MutexGuard<'a, T>, WaitTimeoutResult)
    where
        T: ?Sized,
        F: FnMut(&mut T) -> bool,
    {
        let deadline = Deadline::after(Some(timeout));
        let mut woken = Woken::Notified;
        while condition(&mut guard) {
            if woken != Woken::Notified {
                return (guard, WaitTimeoutResult(true));
            }
            (guard, woken) = self.wait_until(guard, deadline);
        }
        (guard, WaitTimeoutResult(false))
    }

    #[track_caller]
    fn wait_until<'a, T: ?Sized>(
        &self,
        guard: MutexGuard<'a, T>,
        deadline: Deadline,
    ) -> (MutexGuard<'a, T>, Woken) {
        let mutex = guard.mutex();
        // Nobody runs between this and the park, so no notification can be missed.
        drop(guard);
        let reason = Reason::plain(&"condition (notify)");
        let (woken, note) =
            park::wait_with_note(&self.waiters, &mut Place::default(), FOR_ALL, reason, deadline);
        let alone = woken == Woken::Notified && note == FOR_ONE;
        let notified = alone.then(|| Notified { condvar: self });
        let guard = mutex.lock();
        if let Some(notified) = notified {
            notified.use_up();
        }
        (guard, woken)
    }

    /// Wakes the one that has waited longest, if anybody waits. **Switches**: no; that one runs later.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{lock::{Condvar, Mutex}, spawn, yield_now};
    /// use std::rc::Rc;
    ///
    /// let (mutex, changed) = (Rc::new(Mutex::new(())), Condvar::new());
    /// let waiting = [(); 2].map(|()| spawn({
    ///     let (mutex, changed) = (mutex.clone(), changed.clone());
    ///     move || drop(changed.wait(mutex.lock()))
    /// }));
    /// yield_now(); // both wait
    /// changed.notify_one();
    /// waiting[0].wait();
    /// assert!(!waiting[1].is_finished());
    /// # waiting[1].kill();
    /// ```
    pub fn notify_one(&self) {
        self.waiters.wake_parked(|task| task.note.set(FOR_ONE));
    }

    /// Wakes all that wait. **Switches**: no; they run later, one after the other, as they get the lock.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{join_all, lock::{Condvar, Mutex}, spawn, yield_now};
    /// use std::rc::Rc;
    ///
    /// let (mutex, changed) = (Rc::new(Mutex::new(())), Condvar::new());
    /// let waiting = [(); 3].map(|()| spawn({
    ///     let (mutex, changed) = (mutex.clone(), changed.clone());
    ///     move || drop(changed.wait(mutex.lock()))
    /// }));
    /// yield_now(); // all wait
    /// changed.notify_all();
    /// assert!(join_all(waiting).iter().all(Result::is_ok));
    /// ```
    pub fn notify_all(&self) {
        self.waiters.wake_all();
    }
}

/// A notification for one that was received by a greenlet which does not have the lock yet. If it is killed before, the next in line is
/// notified. One for all is not passed on: whoever stands in line then has come after it.
struct Notified<'a> {
    condvar: &'a Condvar,
}

impl Notified<'_> {
    fn use_up(self) {
        std::mem::forget(self);
    }
}

impl Drop for Notified<'_> {
    fn drop(&mut self) {
        self.condvar.notify_one();
    }
}

impl Default for Condvar {
    fn default() -> Self {
        Condvar::new()
    }
}

impl fmt::Debug for Condvar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Condvar({} waiting)", self.waiters.len())
    }
}
