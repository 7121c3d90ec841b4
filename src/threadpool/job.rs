//! One call on another thread, seen from the hub.

use std::cell::Cell;
use std::fmt;
use std::rc::Rc;
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
        let reason = Reason::plain("a thread-pool job");
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
pub(super) struct Slot<T>(Arc<Mutex<Option<Result<T, Payload>>>>);

impl<T> Slot<T> {
    pub(super) fn new() -> Slot<T> {
        Slot(Arc::new(Mutex::new(None)))
    }

    /// On the worker: calls `f` and keeps what it gives.
    pub(super) fn fill(self, f: impl FnOnce() -> T) {
        let outcome = unwind::catch(f);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(outcome);
    }

    pub(super) fn take(&self) -> Option<Result<T, Payload>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl<T> Clone for Slot<T> {
    fn clone(&self) -> Self {
        Slot(self.0.clone())
    }
}

/// A call that runs on a thread of a [`ThreadPool`](super::ThreadPool).
///
/// Dropping it, or killing the greenlet that waits for it, does not stop the call: a thread cannot be killed.
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
    /// # Errors
    /// That the call panicked. In a destructor run by a panic or a kill, which does not wait, that it still runs.
    #[track_caller]
    pub fn join(self) -> Result<T, JoinError> {
        if !self.done.wait(Deadline::NEVER) {
            return Err(JoinError::refused());
        }
        match self.slot.take() {
            Some(outcome) => outcome.map_err(JoinError::panicked),
            None => unreachable!("a submitted job is always run"),
        }
    }

    /// Waits until the call has ended. **Switches**: unless it has ended.
    #[track_caller]
    pub fn wait(&self) {
        self.done.wait(Deadline::NEVER);
    }

    /// Waits until the call has ended, at most for `timeout`, and says whether it has.
    ///
    /// **Switches**: unless it has ended.
    #[track_caller]
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        self.done.wait(Deadline::after(Some(timeout)))
    }

    /// Has the call ended, as far as the hub has been told?
    pub fn is_finished(&self) -> bool {
        self.done.done.get()
    }
}

impl<T> fmt::Debug for Job<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_finished() { "Job(finished)" } else { "Job(running)" })
    }
}
