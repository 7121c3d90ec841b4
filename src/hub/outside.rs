//! Work that goes on outside the hub's thread and whose end the hub is told of, such as a thread-pool job.
//!
//! While any is registered the hub may sleep without being deadlocked.

use std::rc::Rc;
use std::sync::Arc;

use crate::hub::{Hub, Inbox, Message};

/// Told on the hub's thread that its work has ended. It must not block: it runs between greenlets.
pub(crate) trait Outside {
    fn completed(&self);

    /// Does the work use memory of the greenlet that waits for it?
    fn borrows(&self) -> bool {
        false
    }
}

/// Sent along with the work: says that it has ended when it is dropped, on whatever thread, however the work ended.
pub(crate) struct Completion {
    /// None if the hub's thread has ended already.
    inbox: Option<Arc<Inbox>>,
    number: usize,
}

impl Drop for Completion {
    fn drop(&mut self) {
        if let Some(inbox) = &self.inbox {
            inbox.send(Message::Completed(self.number));
        }
    }
}

impl Hub {
    /// Registers outside work; `work.completed()` is called on this thread after the returned token was dropped.
    pub(crate) fn expect(&self, work: Rc<dyn Outside>) -> Completion {
        let number = self.outside.borrow_mut().insert(work);
        Completion { inbox: self.inbox.borrow().clone(), number }
    }

    /// Blocks the thread until no work is left that borrows. At the end of the thread, when nobody will run any more.
    pub(super) fn wait_for_borrowers(&self) {
        while self.outside.borrow().iter().any(|(_, work)| work.borrows()) {
            if self.inbox.borrow().as_ref().is_some_and(|inbox| inbox.fall_asleep()) {
                self.reactor.poll(None);
            }
            self.read_inbox();
        }
    }

    pub(super) fn read_inbox(&self) {
        while let Some(message) = self.inbox.borrow().as_ref().and_then(|inbox| inbox.take()) {
            match message {
                Message::Completed(number) => {
                    let work = self.outside.borrow_mut().remove(number);
                    work.completed();
                }
            }
        }
    }
}
