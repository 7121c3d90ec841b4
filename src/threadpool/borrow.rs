//! Jobs that borrow from the stack of the greenlet which waits for them.
//!
//! # Why this is sound
//! [`call`] hands out a closure whose borrows are hidden from the compiler, so it must not end, in whatever way, before the
//! closure and everything in it are gone:
//!
//! * The closure is part of an [`Errand`], whose completion is dropped after the work, whether that ran, panicked or was
//!   thrown away. Only that drop sets `done`.
//! * Between the submission and `done` nothing unwinds out of `call`: it is shielded, so kills and timeouts wait; it does
//!   not begin while the thread is panicking, so no park is refused; and a registered job keeps the loop from
//!   declaring a deadlock.
//! * A greenlet that is forgotten at the end of its thread is forgotten with its stack, which stays mapped for ever, and
//!   with the heap values that it owns; and the hub waits for the job before it forgets the greenlet. (What it has
//!   borrowed from a thread-local may be gone by then, see `docs/rationale.md`, the end of a thread.)

#![allow(unsafe_code)]

use std::io;
use std::sync::Arc;

use super::job::{Done, Slot, not_made};
use super::worker::{Errand, Workers};
use crate::greenlet::shield;
use crate::hub::Hub;
use crate::park::Deadline;
use crate::report;

/// Runs `f` on a worker and parks the greenlet, not to be disturbed, until it has ended.
///
/// # Errors
/// If no worker can be had, or if the pool was killed before it came to it. `f` has not run and is gone.
///
/// # Panics
/// If `f` does.
#[track_caller]
pub(super) fn call<'a, F, T>(workers: &Arc<Workers>, f: F) -> io::Result<T>
where
    F: FnOnce() -> T + Send + 'a,
    T: Send + 'a,
{
    debug_assert!(!std::thread::panicking());
    let (done, (slot, fill)) = (Done::of_borrower(), Slot::new());
    let work: Box<dyn FnOnce() + Send + 'a> = Box::new(move || fill.fill(f));
    // SAFETY: only the lifetime changes. The closure is gone before this function returns or unwinds (module head).
    let work: Box<dyn FnOnce() + Send + 'static> = unsafe { std::mem::transmute(work) };
    let completion = Hub::current().expect(done.clone());
    workers.submit(Errand { work, completion })?;
    let submitted = AbortOnUnwind;
    shield(|| while !done.wait(Deadline::NEVER) {});
    std::mem::forget(submitted);
    match slot.take() {
        Some(Ok(value)) => Ok(value),
        Some(Err(payload)) => std::panic::resume_unwind(payload),
        None => Err(not_made()),
    }
}

/// Turns a mistake in the reasoning of the module head into an abort.
struct AbortOnUnwind;

impl Drop for AbortOnUnwind {
    fn drop(&mut self) {
        report::line(format_args!(
            "greenloop: the wait for a thread-pool job was abandoned while the job borrows from its waiter"
        ));
        std::process::abort();
    }
}
