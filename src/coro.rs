//! Coroutines: a safe façade over corosensei, which no other file names.
//!
//! A [`Coroutine`] runs a closure on a [`Stack`] of its own. [`Coroutine::resume`] switches to it; [`suspend`],
//! called anywhere below the closure, switches back to whoever resumed it, in the middle of its frames:
//!
//! ```text
//!   resumer's stack          coroutine's stack
//!   ───────────────          ─────────────────
//!   resume() ───────────────> body starts
//!            <─────────────── suspend()             Step::Suspended
//!   resume() ───────────────> suspend() returns
//!            <─────────────── body returns          Step::Finished
//!   into_stack()
//! ```
//!
//! Coroutines nest: one may create and resume another, whose `suspend` then switches back to it. So the
//! coroutines that are resumed and have not switched back form a chain, from the thread's own stack to the one
//! that runs. A thread-local points to the [`Record`] of the last in the chain. `resume` sets it and puts the
//! old one back; a record is borrowed by `resume` for all that time, so it can neither move nor go. Between two
//! resumes a coroutine may move, which is why `suspend` reads the thread-local anew each time.
//!
//! # Unsafe promises kept here
//!
//! - The frames of a suspended coroutine may be borrowed by anybody: by other greenlets, by wait queues. They
//!   are never destroyed from outside: a suspended coroutine that is dropped is forgotten with its stack.
//! - A body never unwinds into the switch: its caller catches at its own root, and what escapes nevertheless
//!   ends the process.
//! - A coroutine stays on its thread: it is not `Send`.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::mem::{self, ManuallyDrop};
use std::num::NonZeroUsize;
use std::process;
use std::ptr;
use std::rc::Rc;

use corosensei::{CoroutineResult, stack::StackPointer};

use crate::report;
use crate::stack::Stack;
use crate::sys::memory;
use crate::sys::overflow::{self, Occupant};

// No values travel with a switch: with unit types everything that does fits in a register.
type Switcher = corosensei::Coroutine<(), (), (), Stack>;
type Yielder = corosensei::Yielder<(), ()>;

/// corosensei moves the closure to the new stack, and refuses larger ones.
const MAX_CLOSURE_SIZE: usize = 1024;
/// More than this would move the frames of the coroutine off the first page of its stack.
const MAX_CLOSURE_ALIGN: usize = 16;

/// How much is fetched of a stack, around the frame that suspends.
const FETCHED: usize = 240;
/// How much of it lies below the address that is given, which is somewhere in that frame: the switch notes below it where to go on.
const FETCHED_BELOW: usize = 48;

/// Who a coroutine is, for the message about its overflow.
pub(crate) struct Label {
    pub(crate) id: u64,
    pub(crate) name: Option<Rc<str>>,
}

/// Why a coroutine has switched back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// It waits in [`suspend`].
    Suspended,
    /// Its body has returned.
    Finished,
}

/// A closure with a stack of its own.
///
/// # What happens on drop
///
/// - Finished: its stack is dropped. Use [`into_stack`](Coroutine::into_stack) to have it back.
/// - Never started: its closure is dropped, and its stack as above.
/// - Suspended: it is forgotten together with its stack. No destructor of its frames runs, and what they own
///   leaks; their addresses stay valid for ever.
// What a switch needs lies together: the switcher's stack pointer and the beginning of the record.
#[repr(C)]
pub(crate) struct Coroutine {
    switcher: ManuallyDrop<Switcher>,
    record: Record,
}

/// What `suspend` and the overflow handler must know of a coroutine while it runs.
#[repr(C)]
struct Record {
    /// Null until the coroutine has started. It lies at the base of the coroutine's stack and does not move.
    yielder: Cell<*const Yielder>,
    /// From a pointer to it `running` gets back to the record.
    occupant: Occupant,
}

// SAFETY: a `Stack` is inaccessible in its lowest page, readable and writable from there to its base, aligned
// to more than 16, larger than 4096 bytes, stays mapped while it exists, and belongs to nobody else.
unsafe impl corosensei::stack::Stack for Stack {
    #[inline]
    fn base(&self) -> StackPointer {
        address(Stack::base(self))
    }

    #[inline]
    fn limit(&self) -> StackPointer {
        address(Stack::limit(self))
    }
}

#[inline]
fn address(address: usize) -> StackPointer {
    NonZeroUsize::new(address).expect("no stack lies at address 0")
}

impl Coroutine {
    /// How much of it a switch needs.
    pub(crate) const HOT: usize = mem::offset_of!(Coroutine, record) + size_of::<*const Yielder>();

    /// A coroutine that runs `body` on `stack` from its first resume.
    ///
    /// The body must not unwind: if it does, the process ends with a sentence.
    pub(crate) fn new<F: FnOnce() + 'static>(stack: Stack, label: Label, body: F) -> Coroutine {
        let occupant =
            Occupant { guard: stack.guard(), stack_size: stack.size(), id: label.id, name: label.name };
        let record = Record { occupant, yielder: Cell::new(ptr::null()) };
        let switcher = if const { size_of::<F>() <= MAX_CLOSURE_SIZE && align_of::<F>() <= MAX_CLOSURE_ALIGN }
        {
            Switcher::with_stack(stack, move |yielder, ()| root(yielder, body))
        } else {
            let body = Box::new(body);
            Switcher::with_stack(stack, move |yielder, ()| root(yielder, body))
        };
        Coroutine { switcher: ManuallyDrop::new(switcher), record }
    }

    /// Runs the coroutine until it suspends or finishes.
    ///
    /// # Panics
    ///
    /// If it has finished.
    #[inline]
    pub(crate) fn resume(&mut self) -> Step {
        assert!(!self.switcher.done(), "a finished coroutine was resumed");
        let record: *const Record = &self.record;
        // SAFETY: the record is borrowed until this call returns, which puts the previous occupant back; only
        // the yielder's cell in it is written to.
        let resumer = unsafe { overflow::occupy(&raw const (*record).occupant) };
        let result = self.switcher.resume(());
        // SAFETY: the resumer's record was valid when this call began, and the resumer has been waiting in this
        // call since then.
        unsafe { overflow::occupy(resumer) };
        match result {
            CoroutineResult::Yield(()) => Step::Suspended,
            CoroutineResult::Return(()) => Step::Finished,
        }
    }

    /// Whether the coroutine was ever resumed.
    pub(crate) fn started(&self) -> bool {
        self.switcher.started()
    }

    /// The stack of a coroutine that has finished or was never started; in the second case its closure is
    /// dropped.
    ///
    /// # Panics
    ///
    /// If the coroutine is suspended (it is forgotten then), or if dropping the closure panics.
    pub(crate) fn into_stack(self) -> Stack {
        assert!(self.is_idle(), "the stack of a suspended coroutine was asked for");
        // Not dropped as a whole: a closure whose destructor panics must not be dropped a second time.
        let mut this = ManuallyDrop::new(self);
        this.switcher.force_unwind();
        // SAFETY: `this` is not used again, so that its fields are taken once.
        let (switcher, _record) =
            unsafe { (ManuallyDrop::take(&mut this.switcher), ptr::read(&this.record)) };
        switcher.into_stack()
    }

    /// Whether no frames live on the stack. Not to be asked while it runs, and then nobody can: `resume` has it to itself.
    fn is_idle(&self) -> bool {
        self.switcher.done() || !self.started()
    }
}

impl Drop for Coroutine {
    fn drop(&mut self) {
        if self.is_idle() {
            // First by itself: when the destructor of a closure that was never called panics, the switcher is
            // forgotten, and the panic goes on as any other.
            self.switcher.force_unwind();
            // SAFETY: a drop happens once.
            unsafe { ManuallyDrop::drop(&mut self.switcher) };
        }
    }
}

/// The first function on each coroutine's stack.
fn root(yielder: &Yielder, body: impl FnOnce()) {
    let guard = AbortOnUnwind;
    running().expect("a body starts inside a resume").yielder.set(yielder);
    body();
    mem::forget(guard);
}

/// Ends the process when it is dropped, which only an unwinding body makes it.
struct AbortOnUnwind;

impl Drop for AbortOnUnwind {
    #[cold]
    fn drop(&mut self) {
        report::line(format_args!(
            "greenloop: a panic has escaped from the root of a greenlet; this is a bug in greenloop"
        ));
        process::abort();
    }
}

/// Suspends the coroutine that runs on this thread: its `resume` returns, and this call returns at the next one.
///
/// # Panics
///
/// If no coroutine runs on this thread.
#[inline(always)]
pub(crate) fn suspend() {
    let Some(record) = running() else { not_running() };
    let yielder = record.yielder.get();
    // SAFETY: `root` has set the yielder before any other code ran on the stack of the record's coroutine, and
    // it lives at the base of that stack, below which this call runs.
    unsafe { &*yielder }.suspend(());
}

/// Has the processor fetch the frames around an address among those that run first when a coroutine is resumed, while the caller goes
/// on. Thousands of stacks that take turns do not stay in the processor's caches.
#[inline]
pub(crate) fn prefetch(top: *const ()) {
    memory::prefetch(top.wrapping_byte_sub(FETCHED_BELOW), FETCHED);
}

/// Whether this thread runs on a coroutine's stack.
#[cfg(test)]
pub(crate) fn is_running() -> bool {
    !overflow::occupant().is_null()
}

/// The record of the running coroutine. It is borrowed for no longer than until the next switch: afterwards it
/// may live elsewhere.
#[inline]
fn running<'a>() -> Option<&'a Record> {
    let occupant = overflow::occupant();
    if occupant.is_null() {
        return None;
    }
    // SAFETY: `resume` is the only caller of `occupy`, with null or with a pointer made from one to a whole record, in
    // which the occupant lies; and it keeps the record where it is until it puts the previous one back.
    Some(unsafe { &*occupant.byte_sub(mem::offset_of!(Record, occupant)).cast::<Record>() })
}

#[cold]
fn not_running() -> ! {
    panic!("suspend was called on a thread's own stack, where no coroutine runs");
}

#[cfg(test)]
mod tests;
