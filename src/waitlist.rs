//! The one wait queue, under every primitive: first in, first out, cancellable, counted.
//!
//! A greenlet stands in a list while it is parked on it: [`park::wait_on`](crate::park::wait_on) enrols it, parks,
//! and withdraws it if anything but this list has woken it. One that waits for several unlike things stands in all their
//! lists as a [`Watch`], which remembers who has called. A wake-up therefore never reaches a greenlet that has meanwhile
//! begun to wait for something else, and one that would hit a greenlet already woken otherwise (by its deadline, by a
//! kill) goes to the next in line, so none is lost.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use crate::fifo::{Arrival, Fifo, Ticket};
use crate::hub::{Hub, State, Task, Wake};

/// Parked tasks in the order in which they came, and watches.
pub(crate) struct WaitList {
    waiters: RefCell<Fifo<Waiter>>,
}

/// Who is told: two words, which stay in registers on their way in and out of a list.
pub(crate) enum Waiter {
    /// A greenlet that is parked on this list.
    Task(Rc<Task>),
    /// A greenlet that waits on several lists; this is the one with that number.
    Watch(Box<(Rc<Watch>, usize)>),
    /// Somebody who keeps books, with a number for this list.
    Listener(Box<(Rc<dyn Listener>, u64)>),
}

const _: () = assert!(size_of::<Waiter>() == 2 * size_of::<usize>());

impl From<Rc<Task>> for Waiter {
    #[inline]
    fn from(task: Rc<Task>) -> Waiter {
        Waiter::Task(task)
    }
}

/// Is told on the spot of a list that calls, and does not use the call up.
pub(crate) trait Listener {
    /// The list with this number has called. Neither switches nor panics.
    fn told(&self, number: u64);
}

/// What a greenlet has of several lists: which of them have called, in their order.
pub(crate) struct Watch {
    /// Who waits just now. Only then is a call a wake-up: between two waits a greenlet may be parked on anything, and the next wait
    /// may be another greenlet's.
    waiting: RefCell<Option<Rc<Task>>>,
    called: RefCell<VecDeque<usize>>,
    /// Will the greenlet take what it is called for? If not, the call goes on to the next in line as well.
    takes: bool,
}

impl Watch {
    pub(crate) fn new(takes: bool) -> Rc<Watch> {
        Rc::new(Watch { waiting: RefCell::default(), called: RefCell::default(), takes })
    }

    /// Notes that the list with this number has called. True if the call is used up by it.
    fn call(&self, number: usize, hub: &Hub) -> bool {
        self.note(number);
        let woken = self.waiting.borrow().as_ref().is_some_and(|task| hub.wake(task, Wake::Notified));
        woken && self.takes
    }

    /// From now on a call wakes the running greenlet; or nobody.
    pub(crate) fn set_waiting(&self, is_waiting: bool) {
        let waiting = is_waiting.then(|| Hub::current().running());
        drop(self.waiting.replace(waiting));
    }

    /// Counts the list with this number as one that has called.
    pub(crate) fn note(&self, number: usize) {
        self.called.borrow_mut().push_back(number);
    }

    /// The list that has called first of those not yet asked for.
    pub(crate) fn next_call(&self) -> Option<usize> {
        self.called.borrow_mut().pop_front()
    }
}

impl WaitList {
    pub(crate) const fn new() -> Self {
        WaitList { waiters: RefCell::new(Fifo::new()) }
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.waiters.borrow().len()
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.waiters.borrow().is_empty()
    }

    /// Adds a waiter: at the end the first time, later where it stood.
    #[inline(always)]
    pub(crate) fn enrol(&self, waiter: impl Into<Waiter>, place: &mut Place) -> Ticket {
        let mut waiters = self.waiters.borrow_mut();
        match waiters.is_empty() {
            true => {
                let arrival = *place.0.get_or_insert_with(|| waiters.arrive());
                waiters.settle(waiter.into(), arrival)
            }
            false => Self::enrol_behind(&mut waiters, waiter.into(), place),
        }
    }

    #[inline(never)]
    fn enrol_behind(waiters: &mut Fifo<Waiter>, waiter: Waiter, place: &mut Place) -> Ticket {
        match place.0 {
            Some(arrival) => waiters.push_again(waiter, arrival),
            None => {
                let (ticket, arrival) = waiters.push_back(waiter);
                place.0 = Some(arrival);
                ticket
            }
        }
    }

    /// Takes a waiter out again; false if a wake-up already has.
    pub(crate) fn withdraw(&self, ticket: Ticket) -> bool {
        let withdrawn = self.waiters.borrow_mut().remove(ticket);
        withdrawn.is_some()
    }

    /// Wakes the one that has waited longest; false if nobody waits.
    #[inline]
    pub(crate) fn wake_one(&self) -> bool {
        if self.is_empty() {
            return false;
        }
        self.wake_next(Hub::current()).is_some()
    }

    /// Wakes the greenlet that has been parked here longest, and meets it in the act. Those that watch stay as they are.
    #[inline]
    pub(crate) fn wake_parked<R>(&self, meet: impl FnOnce(&Task) -> R) -> Option<R> {
        loop {
            let is_task = |waiter: &Waiter| matches!(waiter, Waiter::Task(_));
            let first = self.waiters.borrow_mut().pop_first_such(is_task)?;
            let Waiter::Task(task) = first else { return None };
            // Something else may have woken it, and its turn has not come yet.
            if task.state.get() == State::Parked {
                let met = meet(&task);
                Hub::current().wake_owned(task, Wake::Notified);
                return Some(met);
            }
        }
    }

    /// Is a greenlet parked here, rather than one that watches or that something else has woken?
    pub(crate) fn has_parked(&self) -> bool {
        let is_parked =
            |waiter: &Waiter| matches!(waiter, Waiter::Task(task) if task.state.get() == State::Parked);
        self.waiters.borrow().find(is_parked).is_some()
    }

    /// How many of the greenlets in it leave it by a kill or an expiry, as soon as their turn comes.
    pub(crate) fn count_interrupted(&self) -> usize {
        let is_leaving = |waiter: &Waiter| {
            let Waiter::Task(task) = waiter else { return false };
            task.state.get() == State::Ready && task.wake.get() == Wake::Interrupted
        };
        self.waiters.borrow().count(is_leaving)
    }

    /// Wakes all that wait now, in their order. Says how many were parked here.
    pub(crate) fn wake_all(&self) -> usize {
        if self.is_empty() {
            return 0;
        }
        let hub = Hub::current();
        let mut parked = 0;
        while let Some(was_parked_here) = self.wake_next(hub) {
            parked += usize::from(was_parked_here);
        }
        parked
    }

    /// Wakes one that takes the call, and says whether it was parked here. Those that only watch are told on the way.
    fn wake_next(&self, hub: &Hub) -> Option<bool> {
        loop {
            let waiter = self.waiters.borrow_mut().pop_front()?;
            match waiter {
                Waiter::Task(task) => {
                    if hub.wake_owned(task, Wake::Notified) {
                        return Some(true);
                    }
                }
                Waiter::Watch(watch) => {
                    let (watch, number) = *watch;
                    if watch.call(number, hub) {
                        return Some(false);
                    }
                }
                Waiter::Listener(listener) => {
                    let (listener, number) = *listener;
                    listener.told(number);
                }
            }
        }
    }
}

/// The place of a greenlet in a list for the length of one wait. One that was woken and found that another had been
/// faster enrols again with the same place, and stands where it stood.
#[derive(Debug, Default)]
pub(crate) struct Place(Option<Arrival>);
