//! How a `std::task::Waker` wakes a greenlet.
//!
//! ```text
//!    any thread                    │  the hub's thread
//!    Waker ─▶ Rope ─▶ Completion ──┼─▶ Bell ─▶ the greenlet that listens
//! ```
//!
//! A *bell* belongs to one wait of one greenlet. All wakers of it share a *rope*; its completion registers the bell with the hub as
//! outside work. So the hub may sleep while anybody holds a waker, and is told when the last one is gone. The greenlet
//! itself holds none while it listens, only a weak reference: a rope that nobody else has kept is none.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::{Arc, Weak};
use std::task::{Wake, Waker};

use crate::hub::{Completion, Hub, Outside, Reason};
use crate::park::{self, Deadline, Woken};
use crate::sys::shared::{AtomicBool, Ordering};
use crate::waitlist::{Place, WaitList};

/// See the module's head.
pub(crate) struct Bell {
    /// Rung while nobody listened.
    rung: Cell<bool>,
    listeners: WaitList,
    rope: RefCell<Weak<Rope>>,
}

struct Rope {
    /// The bell has been told since the last look, and need not be told again.
    pulled: AtomicBool,
    completion: Completion,
}

impl Wake for Rope {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.pulled.swap(true, Ordering::SeqCst) {
            self.completion.notify();
        }
    }
}

impl Bell {
    pub(crate) fn new() -> Rc<Bell> {
        Rc::new(Bell { rung: Cell::new(false), listeners: WaitList::new(), rope: RefCell::new(Weak::new()) })
    }

    /// A waker for the next look at what is waited for. To be dropped before the wait.
    pub(crate) fn waker(self: &Rc<Self>) -> Waker {
        let kept = self.rope.borrow().upgrade();
        let rope = kept.unwrap_or_else(|| {
            let completion = Hub::current().listen_to(self.clone());
            let rope = Arc::new(Rope { pulled: AtomicBool::new(false), completion });
            self.rope.replace(Arc::downgrade(&rope));
            rope
        });
        // Before the look: who wakes after it rings again.
        rope.pulled.store(false, Ordering::SeqCst);
        Waker::from(rope)
    }

    /// Parks until the bell is rung. If it has been since the last time, the others are let run once.
    #[track_caller]
    pub(crate) fn listen(&self, reason: Reason, deadline: Deadline) -> Woken {
        if std::thread::panicking() {
            // Also if it was rung: what wakes itself until another greenlet has run would wake itself for ever.
            return Woken::Refused;
        }
        if self.rung.replace(false) {
            park::yield_now();
            return Woken::Notified;
        }
        let woken = park::wait_on(&self.listeners, &mut Place::default(), reason, deadline);
        if woken == Woken::Notified {
            self.rung.set(false);
        }
        woken
    }
}

impl Outside for Bell {
    fn notified(&self) {
        self.rung.set(true);
        self.listeners.wake_one();
    }

    fn is_idle(&self) -> bool {
        true
    }
}
