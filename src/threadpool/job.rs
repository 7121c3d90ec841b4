//! One call on another thread, seen from the hub.

use std::cell::Cell;
use std::fmt;
use std::io;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::error::JoinError;
use crate::hub::{Outside, Reason};
use crate::park::{self, Deadline, Woken};
use crate::unwind::{self, Payload};
use crate::waitlist::{Place, WaitList};

/// The hub's side: told when the job has ended.
pub(super) struct Done {
    done: Cell<bool>,
    waiters: WaitList,
    borrows: bool,
}

impl Done {
    pub(super) fn new() -> Rc<Done> {
        Rc::new(Done { done: Cell::new(false), waiters: WaitList::new(), borrows: false })
    }

    /// Of a job that uses memory of its waiter.
    pub(super) fn of_borrower() -> Rc<Done> {
        Rc::new(Done { done: Cell::new(false), waiters: WaitList::new(), borrows: true })
    }

    /// Parks until the job has ended; says whether it has.
    #[track_caller]
    pub(super) fn wait(&self, deadline: Deadline) -> bool {
        let reason = Reason::plain(&"a thread-pool job");
        while !self.done.get() {
            if park::wait_on(&self.waiters, &mut Place::default(), reason, deadline) != Woken::Notified {
                break;
            }
        }
        self.done.get()
    }
}

impl Outside for Done {
    fn completed(&self) {
        self.done.set(true);
        self.waiters.wake_all();
    }

    fn borrows(&self) -> bool {
        self.borrows
    }
}

/// Where the worker leaves the value.
pub(super) struct Slot<T>(Arc<Inner<T>>);

struct Inner<T> {
    value: Mutex<Option<Result<T, Payload>>>,
    ended: AtomicBool,
}

/// The worker's side of a slot. Dropped with the call, also with one that was thrown away.
pub(super) struct Fill<T>(Arc<Inner<T>>);

impl<T> Slot<T> {
    pub(super) fn new() -> (Slot<T>, Fill<T>) {
        let inner = Arc::new(Inner { value: Mutex::new(None), ended: AtomicBool::new(false) });
        (Slot(inner.clone()), Fill(inner))
    }

    pub(super) fn take(&self) -> Option<Result<T, Payload>> {
        self.0.value.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn has_ended(&self) -> bool {
        self.0.ended.load(Ordering::Acquire)
    }
}

impl<T> Fill<T> {
    /// Calls `f` and keeps what it gives.
    pub(super) fn fill(self, f: impl FnOnce() -> T) {
        let outcome = unwind::catch(f);
        *self.0.value.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
    }
}

impl<T> Drop for Fill<T> {
    fn drop(&mut self) {
        self.0.ended.store(true, Ordering::Release);
    }
}

/// A call that runs on a thread of a [`ThreadPool`](super::ThreadPool).
///
/// Dropping it, or killing the greenlet that waits for it, does not stop the call: a thread cannot be killed.
///
/// # Examples
/// ```
/// use greenloop::{threadpool, wait_any};
///
/// let (one, other) = (threadpool().spawn(|| 1), threadpool().spawn(|| 2));
/// let first = wait_any(&[&one, &other]); // beside greenlets, events and queues as well
/// assert!(first < 2);
/// assert_eq!(one.join().unwrap() + other.join().unwrap(), 3);
/// ```
pub struct Job<T> {
    pub(super) done: Rc<Done>,
    pub(super) slot: Slot<T>,
}

impl<T> Job<T> {
    pub(crate) fn waiters(&self) -> &WaitList {
        &self.done.waiters
    }

    /// Waits until the call has ended and gives its value.
    ///
    /// **Switches**: unless it has ended.
    ///
    /// **While unwinding** it gives an error at once.
    ///
    /// # Errors
    /// That the call panicked; that its pool was killed before it came to it. While unwinding, that it still runs.
    ///
    /// # Examples
    /// ```
    /// use greenloop::threadpool::ThreadPool;
    ///
    /// let pool = ThreadPool::new(1);
    /// assert_eq!(pool.spawn(|| 1).join().unwrap(), 1);
    /// assert!(pool.spawn(|| panic!("boom")).join().unwrap_err().is_panic());
    /// ```
    #[track_caller]
    pub fn join(self) -> Result<T, JoinError> {
        if !self.wait_until(None) {
            return Err(JoinError::refused());
        }
        match self.slot.take() {
            Some(outcome) => outcome.map_err(JoinError::panicked),
            // Thrown away with its pool's queue.
            None => Err(JoinError::killed()),
        }
    }

    /// [`join`](Self::join) for callers to whom a failure is one of input and output.
    #[track_caller]
    pub(crate) fn outcome(self) -> io::Result<T> {
        self.join().map_err(|error| match error.is_killed() {
            true => not_made(),
            false => io::Error::other(error.to_string()),
        })
    }

    /// Waits until the call has ended. **Switches**: unless it has ended.
    ///
    /// **While unwinding** it returns at once.
    ///
    /// # Examples
    /// ```
    /// let job = greenloop::threadpool().spawn(|| std::fs::read_dir("/").unwrap().count());
    /// job.wait(); // other greenlets run meanwhile
    /// assert!(job.is_finished());
    /// assert!(job.join().unwrap() > 0);
    /// ```
    #[track_caller]
    pub fn wait(&self) {
        self.wait_until(None);
    }

    /// Waits until the call has ended, at most for [`timeout`](crate#time-limits), and says whether it has.
    ///
    /// **Switches**: unless it has ended.
    ///
    /// **While unwinding** it returns `false` at once.
    ///
    /// # Examples
    /// ```
    /// use greenloop::threadpool;
    /// use std::{sync::mpsc, time::Duration};
    ///
    /// let (sender, receiver) = mpsc::channel();
    /// let job = threadpool().spawn(move || receiver.recv());
    /// assert!(!job.wait_timeout(Duration::from_millis(1)));
    /// sender.send("go on").unwrap();
    /// assert!(job.wait_timeout(Duration::from_secs(60)));
    /// assert_eq!(job.join().unwrap(), Ok("go on"));
    /// ```
    #[track_caller]
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        self.wait_until(Some(timeout))
    }

    #[track_caller]
    fn wait_until(&self, timeout: Option<Duration>) -> bool {
        // The hub may not have been told yet.
        self.is_finished() || self.done.wait(Deadline::after(timeout)) || self.is_finished()
    }

    /// Has the call ended?
    ///
    /// # Examples
    /// ```
    /// use std::sync::mpsc;
    ///
    /// let (sender, receiver) = mpsc::channel::<()>();
    /// let job = greenloop::threadpool().spawn(move || receiver.recv().is_err());
    /// assert!(!job.is_finished());
    /// drop(sender);
    /// job.wait();
    /// assert!(job.is_finished());
    /// ```
    pub fn is_finished(&self) -> bool {
        self.slot.has_ended()
    }
}

/// What there is to say of a call that was thrown away with its pool's queue.
pub(super) fn not_made() -> io::Error {
    io::Error::other("the call was not made: the thread pool was killed before it came to it")
}

impl<T> fmt::Debug for Job<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_finished() { "Job(finished)" } else { "Job(running)" })
    }
}
