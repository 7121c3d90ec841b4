//! Which hub this thread has.
//!
//! A hub appears with its first use and lives as long as its thread. The fast path is one load from a thread-local that
//! has a constant initialiser and no destructor; a second thread-local, with a destructor, ends the hub's life.
//!
//! # The end of a thread
//! If greenlets live at the end, the hub waits for the thread-pool jobs that borrow from them, and is then forgotten with them
//! and their stacks. They are never unwound, as their frames may use thread-locals that are gone already. A hub used
//! later, by the destructor of another thread-local, is a new one.
//!
//! Thread-locals that were initialised later than the hub are destroyed before it. `docs/rationale.md` says what that
//! leaves open.
//!
//! # Why the references may be `'static`
//! [`Hub::current`] is called on a hub's own thread and its result is used by the frames below the call: on the thread's own
//! stack or on the stacks of its greenlets. It is never stored. When the hub ends, the thread's own frames are gone,
//! and it is freed only if no greenlet lives.

#![allow(unsafe_code)]

use std::cell::Cell;
use std::ptr::NonNull;

use crate::hub::Hub;

thread_local! {
    static CURRENT: Cell<Option<&'static Hub>> = const { Cell::new(None) };
    static OWNER: Owner = const { Owner(Cell::new(None)) };
}

/// Ends the hub at the end of its thread.
struct Owner(Cell<Option<NonNull<Hub>>>);

impl Drop for Owner {
    fn drop(&mut self) {
        let Some(hub) = self.0.take() else { return };
        // SAFETY: the pointer came from `Box::leak` in `create` and is freed nowhere else.
        let hub_ref = unsafe { hub.as_ref() };
        hub_ref.end_root_locals();
        let abandoned = hub_ref.has_live_greenlets();
        if abandoned {
            hub_ref.abandon();
        }
        hub_ref.reactor.close();
        let inbox = hub_ref.take_inbox();
        CURRENT.set(None);
        if !abandoned {
            // SAFETY: as above; without live greenlets no frame is left that could hold a reference (module head).
            drop(unsafe { Box::from_raw(hub.as_ptr()) });
        }
        // Last, as it drops calls that will not be made, and with them values of the user.
        if let Some(inbox) = inbox {
            inbox.close();
        }
    }
}

impl Hub {
    /// The hub of this thread, made if it has none.
    #[inline]
    pub(crate) fn current() -> &'static Hub {
        match CURRENT.get() {
            Some(hub) => hub,
            None => create(),
        }
    }

    /// The hub of this thread if it has one.
    #[inline]
    pub(crate) fn try_current() -> Option<&'static Hub> {
        CURRENT.get()
    }
}

#[cold]
fn create() -> &'static Hub {
    let hub: &'static Hub = Box::leak(Box::new(Hub::new()));
    CURRENT.set(Some(hub));
    // Fails only inside the destructors of this thread's thread-locals; that hub is then leaked.
    let _ = OWNER.try_with(|owner| owner.0.set(Some(NonNull::from(hub))));
    hub
}
