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
//! or a permit, be it a panic, a kill or a timeout, gives it back, and the next may have it.
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
