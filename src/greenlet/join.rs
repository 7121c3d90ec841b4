//! The owner's view of a greenlet: its value.

use std::any::Any;
use std::cell::{Cell, OnceCell};
use std::fmt;
use std::ops::Deref;
use std::rc::Rc;

use super::{Handle, shield};
use crate::error::JoinError;
use crate::hub::{Link, Task};
use crate::park::Deadline;
use crate::unwind;

/// Where a greenlet leaves its value. Its owner and the greenlet share it until the greenlet has ended.
pub(super) struct Slot<T> {
    result: OnceCell<Result<T, JoinError>>,
    /// How the cells that are linked to it get the result. Mostly there are none, so all that is kept in the slot is a pointer.
    fill: Cell<Option<Fill<T>>>,
}

/// Puts a clone of the result into a cell, or why there is none.
pub(super) type Fill<T> = fn(&dyn Any, Result<&Result<T, JoinError>, JoinError>);

impl<T> Slot<T> {
    pub(super) fn new() -> Slot<T> {
        Slot { result: OnceCell::new(), fill: Cell::new(None) }
    }

    /// Gives the result of `task` to the cells that are linked to it, and keeps it.
    #[inline]
    pub(super) fn set(&self, result: Result<T, JoinError>, task: &Task) {
        if let Some(fill) = self.fill.get() {
            fill_cells(fill, &result, task);
        }
        // Never set before: a greenlet ends once.
        let _ = self.result.set(result);
    }

    /// Links a cell to the result of `task`: it gets that when it comes, or now.
    pub(super) fn fill_when_set(&self, number: u64, task: &Task, cell: Box<dyn Any>, fill: Fill<T>) {
        match self.result.get() {
            Some(result) => fill(&*cell, Ok(result)),
            None => {
                self.fill.set(Some(fill));
                task.extras().links.add(number, Link::Cell(cell));
            }
        }
    }
}

/// Cells that come meanwhile get the result as well: they have greater numbers.
#[cold]
fn fill_cells<T>(fill: Fill<T>, result: &Result<T, JoinError>, task: &Task) {
    let mut last = 0;
    while let Some(cell) = task.extras().links.take_cell(&mut last) {
        // A clone may park: what has a value already is not killed there. And it may panic: who waits for the cell is told so, and the
        // others get the result nevertheless.
        if let Err(payload) = unwind::catch(|| shield(|| fill(&*cell, Ok(result)))) {
            fill(&*cell, Err(JoinError::panicked(payload)));
        }
        std::mem::forget(unwind::catch(|| drop(cell)));
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
    /// **While unwinding** it gives an error at once.
    ///
    /// # Errors
    /// That it was killed, or that it panicked; while unwinding, that it still runs.
    ///
    /// # Panics
    /// On a thread's root with [`LoopExit`](crate::LoopExit) if nothing is left that could ever end it.
    ///
    /// # Examples
    /// ```
    /// use greenloop::spawn;
    ///
    /// assert_eq!(spawn(|| 6 * 7).join().unwrap(), 42);
    /// let error = spawn(|| std::panic::panic_any(7_u8)).join().unwrap_err();
    /// assert_eq!(error.try_into_panic().unwrap().downcast_ref(), Some(&7_u8)); // its payload
    /// ```
    #[track_caller]
    pub fn join(self) -> Result<T, JoinError> {
        self.handle.wait_until(Deadline::NEVER);
        // The greenlet has let go of the slot before it ended.
        let result = Rc::into_inner(self.slot).and_then(|slot| slot.result.into_inner());
        result.unwrap_or_else(|| Err(JoinError::refused()))
    }

    pub(super) fn slot(&self) -> &Slot<T> {
        &self.slot
    }

    /// A handle without the value, which can be cloned and kept.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{sleep, spawn};
    /// use std::time::Duration;
    ///
    /// let g = spawn(|| sleep(Duration::from_secs(60)));
    /// let handle = g.handle();
    /// spawn(move || handle.kill());
    /// assert!(g.join().unwrap_err().is_killed());
    /// ```
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
