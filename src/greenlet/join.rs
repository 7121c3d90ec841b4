//! The owner's view of a greenlet: its value.

use std::cell::Cell;
use std::fmt;
use std::ops::Deref;
use std::rc::Rc;

use super::Handle;
use crate::error::JoinError;
use crate::park::Deadline;

/// Where a greenlet leaves its value.
pub(super) struct Slot<T>(Cell<Option<Result<T, JoinError>>>);

impl<T> Slot<T> {
    pub(super) fn new() -> Slot<T> {
        Slot(Cell::new(None))
    }

    pub(super) fn set(&self, outcome: Result<T, JoinError>) {
        self.0.set(Some(outcome));
    }
}

/// A spawned greenlet that will give a `T`.
///
/// Everything that does not need the value is on [`Handle`], to which this dereferences. Dropping it detaches the greenlet:
/// it runs on.
///
/// A greenlet stays on its thread, so its owner does too:
/// ```compile_fail
/// let g = greenloop::spawn(|| 1);
/// std::thread::spawn(move || g.join());
/// ```
///
/// # Examples
/// ```
/// use greenloop::{sleep, spawn};
/// use std::time::Duration;
///
/// let g = spawn(|| { sleep(Duration::from_millis(1)); "done" });
/// assert!(!g.is_finished());
/// assert_eq!(g.join().unwrap(), "done");
/// ```
pub struct Greenlet<T> {
    handle: Handle,
    slot: Rc<Slot<T>>,
}

impl<T> Greenlet<T> {
    pub(super) fn new(handle: Handle, slot: Rc<Slot<T>>) -> Greenlet<T> {
        Greenlet { handle, slot }
    }

    /// Waits until the greenlet has ended and gives its value.
    ///
    /// **Switches**: yes, unless it has already ended.
    ///
    /// # Errors
    /// That it was killed, or that it panicked. In a destructor that runs because of a panic or a kill nothing waits:
    /// there it is an error to join a greenlet which still runs.
    ///
    /// # Panics
    /// On a thread's root with [`LoopExit`](crate::LoopExit) if nothing is left that could ever end it.
    #[track_caller]
    pub fn join(self) -> Result<T, JoinError> {
        self.handle.wait_until(Deadline::NEVER);
        self.slot.0.take().unwrap_or_else(|| Err(JoinError::refused()))
    }

    /// A handle without the value, which can be cloned and kept.
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }
}

impl<T> Deref for Greenlet<T> {
    type Target = Handle;

    fn deref(&self) -> &Handle {
        &self.handle
    }
}

impl<T> AsRef<Handle> for Greenlet<T> {
    fn as_ref(&self) -> &Handle {
        &self.handle
    }
}

impl<T> fmt::Debug for Greenlet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.handle, f)
    }
}
