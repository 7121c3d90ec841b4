//! The owner's view of a greenlet: its value.

use std::cell::{OnceCell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::ops::Deref;
use std::rc::Rc;

use super::Handle;
use crate::error::JoinError;
use crate::hub::{Link, Task};
use crate::park::Deadline;
use crate::unwind;

/// Where a greenlet leaves its value. Its owner and the greenlet share it until the greenlet has ended.
pub(super) struct Slot<T> {
    result: OnceCell<Result<T, JoinError>>,
    /// Who is shown the result when it comes, by the number of the link.
    watchers: OnceCell<Box<WatcherList<T>>>,
}

/// In the order in which they came. Mostly there are none, so all that is kept in the slot is a pointer.
type WatcherList<T> = RefCell<VecDeque<(u64, Watcher<T>)>>;
type Watcher<T> = Box<dyn FnOnce(&Result<T, JoinError>)>;

impl<T> Slot<T> {
    pub(super) fn new() -> Slot<T> {
        Slot { result: OnceCell::new(), watchers: OnceCell::new() }
    }

    /// Shows the result of `task` to those that are linked to it, and keeps it.
    #[inline]
    pub(super) fn set(&self, result: Result<T, JoinError>, task: &Task) {
        if let Some(watchers) = self.watchers.get() {
            show(watchers, &result, task);
        }
        // Never set before: a greenlet ends once.
        let _ = self.result.set(result);
    }
}

/// Watchers that come meanwhile are shown the result as well.
#[cold]
fn show<T>(watchers: &WatcherList<T>, result: &Result<T, JoinError>, task: &Task) {
    loop {
        let next = watchers.borrow_mut().pop_front();
        let Some((number, watcher)) = next else { return };
        let linked = task.extras().links.take(number).is_some();
        let tell = || match linked {
            true => watcher(result),
            false => drop(watcher),
        };
        // Clones and destructors may panic: the others are shown it nevertheless.
        std::mem::forget(unwind::catch(tell));
    }
}

impl<T: 'static> Slot<T> {
    /// Shows the result of `task` to `watcher` when it comes, or now.
    pub(super) fn when_set(
        &self,
        number: u64,
        task: &Task,
        watcher: impl FnOnce(&Result<T, JoinError>) + 'static,
    ) {
        match self.result.get() {
            Some(result) => watcher(result),
            None => {
                task.extras().links.add(number, Link::WithValue);
                self.watchers.get_or_init(Box::default).borrow_mut().push_back((number, Box::new(watcher)));
            }
        }
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
