//! What goes on outside the hub's thread and matters to it: a thread-pool job, a waker that somebody holds, a
//! [`Remote`](crate::sync::Remote).
//!
//! The hub's side of it is an [`Outside`] in a table of the hub; the other side is a [`Completion`], which travels. While
//! any is registered the hub may sleep without being deadlocked: the count against a deadlock is the count of completions.

use std::rc::Rc;
use std::sync::Arc;

use super::turn::BATCH;
use crate::hub::{Hub, Inbox, Message};
use crate::sys::shared::{AtomicBool, Ordering};

/// Messages read in one turn, not more than greenlets are resumed in one: threads that send without end do not stop the
/// greenlets, and what they send waits as a message and not as a greenlet with a stack.
const MESSAGES: u32 = BATCH;

/// Told on the hub's thread what has become of its work. It must not block: it runs between greenlets.
pub(crate) trait Outside {
    /// The work asks for attention; it goes on.
    fn notified(&self) {}

    /// The work has ended.
    fn completed(&self) {}

    /// The thread has ended first: nobody waits for the work any more, nor will ever run again.
    fn abandoned(&self) {}

    /// Is it only waited for, and nobody knows whether anybody works on it? Virtual time does not wait for it.
    #[cfg_attr(not(feature = "testing"), allow(dead_code, reason = "only virtual time asks"))]
    fn is_idle(&self) -> bool {
        false
    }

    /// Does the work use memory of the greenlet that waits for it?
    fn borrows(&self) -> bool {
        false
    }
}

/// Sent along with the work: says that it has ended when it is dropped, on whatever thread, however the work ended.
///
/// Messages of one completion arrive in their order, its end last.
pub(crate) struct Completion {
    /// None if the hub's thread has ended already.
    inbox: Option<Arc<Inbox>>,
    number: usize,
    /// Nobody is told of its end, which then need not be a message.
    is_silent: bool,
    /// A message of it may be on its way, behind which its end has to come.
    has_sent: AtomicBool,
}

impl Completion {
    /// Calls [`Outside::notified`]: at once on the hub's own thread, otherwise soon.
    pub(crate) fn notify(&self) {
        let Some(inbox) = &self.inbox else { return };
        match Hub::try_current().filter(|hub| hub.reads(inbox)) {
            Some(hub) => hub.notified(self.number),
            None => {
                self.has_sent.store(true, Ordering::SeqCst);
                inbox.send(Message::Notified(self.number));
            }
        }
    }

    /// Has `call` called on the hub's thread, between greenlets. False if that has ended, `call` is dropped then. True does
    /// not say that it will be called, as the thread may end before.
    pub(crate) fn run(&self, call: Box<dyn FnOnce() + Send>) -> bool {
        self.inbox.as_ref().is_some_and(|inbox| inbox.send(Message::Run(call)))
    }

    /// Ends the sleep of the hub, if it sleeps.
    pub(crate) fn rouse(&self) {
        if let Some(inbox) = &self.inbox {
            inbox.rouse();
        }
    }

    /// Has the hub's thread ended?
    pub(crate) fn is_orphaned(&self) -> bool {
        self.inbox.as_ref().is_none_or(|inbox| inbox.is_closed())
    }
}

impl Drop for Completion {
    fn drop(&mut self) {
        let Some(inbox) = &self.inbox else { return };
        let ends_at_once = self.is_silent && !self.has_sent.load(Ordering::SeqCst);
        match Hub::try_current().filter(|hub| ends_at_once && hub.reads(inbox)) {
            Some(hub) => {
                let work = hub.outside.borrow_mut().remove(self.number);
                drop(work);
            }
            None => _ = inbox.send(Message::Completed(self.number)),
        }
    }
}

/// Registers what is told of the end of its thread, and is no reason for the hub to go on. Until this is dropped, on the
/// hub's thread.
pub(crate) struct Bystander {
    number: usize,
}

impl Drop for Bystander {
    fn drop(&mut self) {
        let hub = Hub::current();
        let work = hub.outside.borrow_mut().remove(self.number);
        hub.bystanders.update(|count| count - 1);
        drop(work);
    }
}

impl Hub {
    /// Registers outside work; `work.completed()` is called on this thread after the returned token was dropped.
    pub(crate) fn expect(&self, work: Rc<dyn Outside>) -> Completion {
        self.completion(work, false)
    }

    /// The same for work that wants to hear of no end. Thousands that begin and end on this thread, in one turn of a greenlet, leave nothing.
    pub(crate) fn listen_to(&self, work: Rc<dyn Outside>) -> Completion {
        self.completion(work, true)
    }

    fn completion(&self, work: Rc<dyn Outside>, is_silent: bool) -> Completion {
        let number = self.outside.borrow_mut().insert(work);
        Completion { inbox: self.inbox.borrow().clone(), number, is_silent, has_sent: AtomicBool::new(false) }
    }

    /// Has `work.abandoned()` called if the thread ends before the returned token is dropped.
    pub(crate) fn attend(&self, work: Rc<dyn Outside>) -> Bystander {
        self.bystanders.update(|count| count + 1);
        Bystander { number: self.outside.borrow_mut().insert(work) }
    }

    /// Is anything going on outside that may send a message?
    pub(super) fn has_outside_work(&self) -> bool {
        self.outside.borrow().len() > self.bystanders.get()
    }

    #[cfg(feature = "testing")]
    pub(super) fn is_outside_work_idle(&self) -> bool {
        self.outside.borrow().iter().all(|(_, work)| work.is_idle())
    }

    fn reads(&self, inbox: &Arc<Inbox>) -> bool {
        self.inbox.borrow().as_ref().is_some_and(|own| Arc::ptr_eq(own, inbox))
    }

    fn notified(&self, number: usize) {
        let work = self.outside.borrow()[number].clone();
        work.notified();
    }

    /// Blocks the thread until no work is left that borrows. At the end of the thread, when nobody will run any more.
    pub(super) fn wait_for_borrowers(&self) {
        while self.outside.borrow().iter().any(|(_, work)| work.borrows()) {
            if self.inbox.borrow().as_ref().is_some_and(|inbox| inbox.fall_asleep()) {
                self.reactor.poll(None);
            }
            self.read_inbox(drop);
        }
    }

    /// Tells everybody whose work goes on that the thread has ended.
    pub(super) fn tell_of_the_end(&self) {
        let works: Vec<_> = self.outside.borrow().iter().map(|(_, work)| work.clone()).collect();
        for work in works {
            work.abandoned();
        }
    }

    /// Reads messages, at most [`MESSAGES`]; `run` gets the calls among them.
    pub(super) fn read_inbox(&self, run: impl Fn(Box<dyn FnOnce() + Send>)) {
        for _ in 0..MESSAGES {
            let message = self.inbox.borrow().as_ref().and_then(|inbox| inbox.take());
            let Some(message) = message else { return };
            match message {
                Message::Notified(number) => self.notified(number),
                Message::Completed(number) => {
                    let work = self.outside.borrow_mut().remove(number);
                    work.completed();
                }
                Message::Run(call) => run(call),
            }
        }
    }
}
