//! Locks between greenlets of one thread.
//!
//! Between two switches nothing else runs on the thread, so plain `Rc`, `Cell` and `RefCell` need no lock. These are for what
//! must stay as it is *across* a switch: a guard or a permit may be held while its greenlet waits for anything.
//!
//! | | |
//! |---|---|
//! | [`Semaphore`], [`BoundedSemaphore`] | a limited number at a time |
//! | [`Mutex`] | data that one has at a time |
//! | [`ReentrantMutex`] | the same, and its holder may lock it again |
//! | [`RwLock`] | data that many read or one writes |
//! | [`Condvar`] | waiting, inside a `Mutex`, for its data to change |
//! | [`Barrier`] | all wait until all have come |
//! | [`OnceCell`], [`Lazy`] | a value that the first who asks makes |
//!
//! The semaphores, `Condvar` and `Barrier` are handles: clones are the same object. The others hold data and are shared by
//! reference or in an `Rc`, as those of the standard library are. Nothing is ever poisoned: whatever unwinds past a guard
//! or a permit, be it a panic, a kill or a timeout, gives it back, and the next may have it. All may be used inside `catch_unwind` and
//! outside of it. The compiler wants an [`AssertUnwindSafe`](std::panic::AssertUnwindSafe) for a reference to a `Mutex`, `ReentrantMutex` or
//! `RwLock` only: without poison, data that a panic has left half changed looks like any other.
//!
//! Whoever waits stands in line, and is served in the order of arrival. `Mutex`, `ReentrantMutex` and `RwLock` are fair also
//! towards those that do not wait yet: who comes while others wait goes behind them, even if the lock is free at that moment.
//! So a greenlet that locks again and again keeps nobody out. The semaphores are as gevent's: one that runs may take a
//! permit before the one that was woken for it.

mod barrier;
mod bounded;
mod condvar;
mod lazy;
mod mutex;
mod once;
mod permit;
mod raw;
mod raw_rw;
mod reentrant;
mod rwlock;
mod semaphore;

use std::panic::{RefUnwindSafe, UnwindSafe};

pub use barrier::{Barrier, BarrierWaitResult, BrokenBarrier};
pub use bounded::BoundedSemaphore;
pub use condvar::{Condvar, WaitTimeoutResult};
pub use lazy::Lazy;
pub use mutex::{Mutex, MutexGuard};
pub use once::OnceCell;
pub use permit::Permit;
pub use reentrant::{ReentrantMutex, ReentrantMutexGuard};
pub use rwlock::{RwLock, RwLockReadGuard, RwLockWriteGuard};
pub use semaphore::Semaphore;

/// The end of a call that cannot say that it was refused: it has no other way to return than with what it waits for.
#[cold]
#[track_caller]
fn refused(call: &str, instead: &str) -> ! {
    panic!(
        "{call} would have to wait, and this thread unwinds because of a panic or a kill: nothing waits then, as all \
         greenlets of the thread would look as if they panicked; in a destructor {instead}"
    )
}

// A panic finds nothing half done in the locks themselves. What lies behind one that does not poison may well be half changed, so these are
// not `RefUnwindSafe`, as a `RefCell` is not.
impl UnwindSafe for Semaphore {}
impl RefUnwindSafe for Semaphore {}
impl UnwindSafe for BoundedSemaphore {}
impl RefUnwindSafe for BoundedSemaphore {}
impl UnwindSafe for Permit {}
impl RefUnwindSafe for Permit {}
impl UnwindSafe for Condvar {}
impl RefUnwindSafe for Condvar {}
impl UnwindSafe for Barrier {}
impl RefUnwindSafe for Barrier {}
impl<T: ?Sized + UnwindSafe> UnwindSafe for Mutex<T> {}
impl<T: ?Sized + UnwindSafe> UnwindSafe for RwLock<T> {}
impl<T: ?Sized + UnwindSafe> UnwindSafe for ReentrantMutex<T> {}
// A panic of what makes the value leaves none.
impl<T: UnwindSafe> UnwindSafe for OnceCell<T> {}
impl<T: UnwindSafe + RefUnwindSafe> RefUnwindSafe for OnceCell<T> {}
impl<T: UnwindSafe, F: UnwindSafe> UnwindSafe for Lazy<T, F> {}
impl<T: UnwindSafe + RefUnwindSafe, F: UnwindSafe + RefUnwindSafe> RefUnwindSafe for Lazy<T, F> {}
