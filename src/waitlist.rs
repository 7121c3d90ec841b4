//! The one wait queue, under every primitive: first in, first out, cancellable, counted.
//!
//! A greenlet stands in a list only while it is parked on it: [`park::wait_on`](crate::park::wait_on) enrols it, parks,
//! and withdraws it if anything but this list has woken it. A wake-up therefore never reaches a greenlet that has meanwhile
//! begun to wait for something else, and one that would hit a greenlet already woken otherwise (by its deadline, by a
//! kill) goes to the next in line, so none is lost.

use std::cell::RefCell;
use std::rc::Rc;

use crate::fifo::{Arrival, Fifo, Ticket};
use crate::hub::{Hub, Task, Wake};

/// Parked tasks in the order in which they came.
pub(crate) struct WaitList {
    tasks: RefCell<Fifo<Rc<Task>>>,
}

impl WaitList {
    pub(crate) const fn new() -> Self {
        WaitList { tasks: RefCell::new(Fifo::new()) }
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.tasks.borrow().len()
    }

    /// Adds a task: at the end the first time, later where it stood.
    pub(crate) fn enrol(&self, task: Rc<Task>, place: &mut Place) -> Ticket {
        let mut tasks = self.tasks.borrow_mut();
        match place.0 {
            Some(arrival) => tasks.push_again(task, arrival),
            None => {
                let (ticket, arrival) = tasks.push_back(task);
                place.0 = Some(arrival);
                ticket
            }
        }
    }

    /// Takes a task out again; false if a wake-up already has.
    pub(crate) fn withdraw(&self, ticket: Ticket) -> bool {
        self.tasks.borrow_mut().remove(ticket).is_some()
    }

    /// Wakes the one that has waited longest; false if nobody waits.
    #[inline]
    pub(crate) fn wake_one(&self) -> bool {
        if self.tasks.borrow().is_empty() {
            return false;
        }
        self.wake_next(Hub::current())
    }

    /// Wakes all that wait now, in their order, and says how many.
    pub(crate) fn wake_all(&self) -> usize {
        if self.tasks.borrow().is_empty() {
            return 0;
        }
        let hub = Hub::current();
        let mut woken = 0;
        while self.wake_next(hub) {
            woken += 1;
        }
        woken
    }

    fn wake_next(&self, hub: &Hub) -> bool {
        loop {
            let Some(task) = self.tasks.borrow_mut().pop_front() else { return false };
            if hub.wake(&task, Wake::Notified) {
                return true;
            }
        }
    }
}

/// The place of a greenlet in a list for the length of one wait. One that was woken and found that another had been
/// faster enrols again with the same place, and stands where it stood.
#[derive(Debug, Default)]
pub(crate) struct Place(Option<Arrival>);
