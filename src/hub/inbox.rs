//! Messages to a hub from other OS threads.
//!
//! A lock-free queue and a flag that says whether the hub sleeps in the kernel, so that a sender makes a system call only
//! when one is needed:
//!
//! ```text
//!    sender                               hub
//!    push the message                     say "asleep"
//!    if it says "asleep": wake it         look for messages once more, then sleep
//! ```
//!
//! Whichever comes first, one of the two sees the other's write (both are sequentially consistent), so no message waits for
//! a hub that sleeps on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam_queue::SegQueue;

use crate::sys::driver::Waker;

/// What other threads tell a hub.
pub(crate) enum Message {
    /// The outside work registered under this number has ended.
    Completed(usize),
}

/// See the module's head.
pub(crate) struct Inbox {
    messages: SegQueue<Message>,
    asleep: AtomicBool,
    waker: Waker,
}

impl Inbox {
    pub(crate) fn new(waker: Waker) -> Arc<Inbox> {
        Arc::new(Inbox { messages: SegQueue::new(), asleep: AtomicBool::new(false), waker })
    }

    /// From any thread.
    pub(crate) fn send(&self, message: Message) {
        self.messages.push(message);
        if self.asleep.swap(false, Ordering::SeqCst) {
            self.waker.wake();
        }
    }

    /// On the hub's thread.
    pub(crate) fn take(&self) -> Option<Message> {
        self.messages.pop()
    }

    /// On the hub's thread: may it sleep? Says no when a message is there.
    pub(crate) fn fall_asleep(&self) -> bool {
        self.asleep.store(true, Ordering::SeqCst);
        let nothing = self.messages.is_empty();
        if !nothing {
            self.awake();
        }
        nothing
    }

    /// On the hub's thread, after it has slept.
    pub(crate) fn awake(&self) {
        self.asleep.store(false, Ordering::SeqCst);
    }
}
