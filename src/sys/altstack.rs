//! The alternate signal stack of a thread: where a handler runs when the thread's own stack is exhausted.
//!
//! std gives one to the main thread and to each thread it starts. A thread started by C code has none; it gets
//! one here, which is freed when the thread ends.

use std::cell::OnceCell;
use std::io;
use std::mem::MaybeUninit;
use std::ptr;

use super::memory::{Mapping, page_size};

/// Room for a handler: the signal frame alone takes more than 10 KiB on processors with wide registers.
const SIZE: usize = 64 * 1024;

thread_local! {
    /// `None`: the thread had one already, or none could be made.
    static OWN: OnceCell<Option<AlternateStack>> = const { OnceCell::new() };
}

/// Gives this thread an alternate signal stack, unless it has one.
pub(super) fn ensure() {
    // During the destructors of the thread-locals it is too late: the stack would not be freed.
    let _ = OWN.try_with(|own| {
        own.get_or_init(|| if is_missing() { AlternateStack::new().ok() } else { None });
    });
}

fn is_missing() -> bool {
    current().is_some_and(|stack| stack.ss_flags & libc::SS_DISABLE != 0)
}

fn current() -> Option<libc::stack_t> {
    let mut stack = MaybeUninit::<libc::stack_t>::uninit();
    // SAFETY: the call changes nothing, and fills the structure or fails.
    unsafe { (libc::sigaltstack(ptr::null(), stack.as_mut_ptr()) == 0).then(|| stack.assume_init()) }
}

/// An alternate signal stack with a guard below it, in use by this thread until it is dropped.
struct AlternateStack {
    memory: Mapping,
}

impl AlternateStack {
    fn new() -> io::Result<AlternateStack> {
        let page = page_size();
        let memory = Mapping::new(page + SIZE.next_multiple_of(page))?;
        let range = memory.range();
        // SAFETY: nothing lives in a fresh mapping.
        unsafe { memory.protect(range.start..range.start + page) }?;
        let stack = libc::stack_t {
            ss_sp: ptr::with_exposed_provenance_mut(range.start + page),
            ss_flags: 0,
            ss_size: range.len() - page,
        };
        // SAFETY: the memory stays mapped until the drop of this value has taken it out of use.
        match unsafe { libc::sigaltstack(&stack, ptr::null_mut()) } {
            0 => Ok(AlternateStack { memory }),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

impl Drop for AlternateStack {
    fn drop(&mut self) {
        // Somebody may have set another one meanwhile; that stays.
        if current().is_some_and(|stack| self.memory.range().contains(&stack.ss_sp.addr())) {
            let none = libc::stack_t { ss_sp: ptr::null_mut(), ss_flags: libc::SS_DISABLE, ss_size: SIZE };
            // SAFETY: the thread is at its end and in no signal handler, so nothing runs on the stack.
            unsafe { libc::sigaltstack(&none, ptr::null_mut()) };
        }
    }
}
