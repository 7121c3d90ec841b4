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
//! a hub that sleeps on. The end of the hub works the same way, and no message is left behind by it:
//!
//! ```text
//!    sender                               hub
//!    push the message                     say "closed"
//!    if it says "closed": empty it        empty it
//! ```

use std::sync::Arc;

use crate::sys::driver::Waker;
use crate::sys::shared::{AtomicBool, Ordering, SegQueue};

/// What other threads tell a hub. The sender holds a [`Completion`](super::Completion) of that hub.
pub(crate) enum Message {
    /// The outside work registered under this number asks for attention.
    Notified(usize),
    /// The outside work registered under this number has ended.
    Completed(usize),
    /// To be called on the hub's thread. It must not block.
    Run(Box<dyn FnOnce() + Send>),
}

/// Ends the sleep of a hub in the kernel.
pub(crate) trait Rouse {
    fn rouse(&self);
}

impl Rouse for Waker {
    fn rouse(&self) {
        self.wake();
    }
}

/// See the module's head.
pub(crate) struct Inbox<W = Waker> {
    messages: SegQueue<Message>,
    asleep: AtomicBool,
    closed: AtomicBool,
    waker: W,
}

impl<W: Rouse> Inbox<W> {
    pub(crate) fn new(waker: W) -> Arc<Inbox<W>> {
        let (asleep, closed) = (AtomicBool::new(false), AtomicBool::new(false));
        Arc::new(Inbox { messages: SegQueue::new(), asleep, closed, waker })
    }

    /// From any thread. False if the hub has ended: then the message is gone. True does not say that it will be read, as
    /// the hub may end before.
    pub(crate) fn send(&self, message: Message) -> bool {
        if self.is_closed() {
            return false;
        }
        self.messages.push(message);
        if self.is_closed() {
            self.empty();
        }
        self.rouse();
        true
    }

    /// From any thread: if the hub sleeps it goes once around its loop.
    pub(crate) fn rouse(&self) {
        if self.asleep.swap(false, Ordering::SeqCst) {
            self.waker.rouse();
        }
    }

    /// Has the hub ended?
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// On the hub's thread.
    pub(crate) fn take(&self) -> Option<Message> {
        self.messages.pop()
    }

    /// Is no message there?
    #[cfg(feature = "testing")]
    pub(crate) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// On the hub's thread: may it sleep? Says no when a message is there.
    pub(crate) fn fall_asleep(&self) -> bool {
        // A swap as the senders' is, which costs no more than a store and puts both into one order for loom as well.
        self.asleep.swap(true, Ordering::SeqCst);
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

    /// On the hub's thread, at its end: nobody will read any more. What is inside is dropped.
    pub(crate) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.empty();
    }

    fn empty(&self) {
        // Unlike a failing `pop`, this is sequentially consistent with the flag.
        while !self.messages.is_empty() {
            drop(self.messages.pop());
        }
    }
}

/// Once, on threads; `hub/tests.rs` has every order.
#[cfg(all(test, not(greenloop_loom)))]
mod tests {
    use super::*;
    use std::thread::{self, Thread};

    impl Rouse for Thread {
        fn rouse(&self) {
            self.unpark();
        }
    }

    #[test]
    fn messages_arrive_in_the_order_of_their_sender_while_the_reader_sleeps_between() {
        let inbox = Inbox::new(thread::current());
        let senders = [0, 100].map(|first| {
            let inbox = inbox.clone();
            thread::spawn(move || {
                for number in first..first + 20 {
                    assert!(inbox.send(Message::Completed(number)));
                    thread::yield_now();
                }
            })
        });
        let mut read = Vec::new();
        while read.len() < 40 {
            if inbox.fall_asleep() {
                thread::park();
                inbox.awake();
            }
            while let Some(Message::Completed(number)) = inbox.take() {
                read.push(number);
            }
        }
        senders.into_iter().for_each(|sender| sender.join().unwrap());
        let (low, high): (Vec<usize>, Vec<usize>) = read.into_iter().partition(|&number| number < 100);
        assert!(low.into_iter().eq(0..20) && high.into_iter().eq(100..120));
    }

    #[test]
    fn a_closed_inbox_takes_and_keeps_nothing() {
        let inbox = Inbox::new(thread::current());
        let witness = Arc::new(());
        let call = |witness: &Arc<()>| {
            let witness = witness.clone();
            Message::Run(Box::new(move || drop(witness)))
        };
        assert!(inbox.send(call(&witness)));
        inbox.close();
        assert!(!inbox.send(call(&witness)));
        assert!(inbox.is_closed() && Arc::strong_count(&witness) == 1);
    }
}
