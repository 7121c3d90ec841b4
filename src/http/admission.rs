//! How many connections are served at once, and how many may wait for that.

use crate::lock::{Permit, Semaphore};
use std::cell::Cell;
use std::time::Duration;

/// The slots of a server and the queue in front of them.
pub(super) struct Admission {
    slots: Semaphore,
    waiting: Cell<usize>,
    most_waiting: usize,
}

impl Admission {
    pub(super) fn new(slots: usize, most_waiting: usize) -> Admission {
        Admission { slots: Semaphore::new(slots), waiting: Cell::new(0), most_waiting }
    }

    /// A slot, at once or after waiting for one in the queue. `None` if the queue is full, or if none came free in time.
    pub(super) fn enter(&self, limit: Option<Duration>) -> Option<Permit> {
        if self.waiting.get() == 0
            && let Some(slot) = self.slots.try_acquire_permit()
        {
            return Some(slot);
        }
        if self.waiting.get() == self.most_waiting {
            return None;
        }
        self.waiting.set(self.waiting.get() + 1);
        let _queued = Queued(self);
        match limit {
            Some(limit) => self.slots.acquire_permit_timeout(limit),
            None => self.slots.acquire_permit(),
        }
    }

    /// Lets all that wait go on, to find that the server stops.
    pub(super) fn open(&self) {
        for _ in 0..self.waiting.get() {
            self.slots.release();
        }
    }
}

/// One that waits, until it does not any more, however that ends.
struct Queued<'a>(&'a Admission);

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        self.0.waiting.set(self.0.waiting.get() - 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{spawn, yield_now};
    use std::rc::Rc;

    #[test]
    fn a_kill_and_a_timeout_in_the_queue_lose_neither_a_slot_nor_a_place() {
        let door = Rc::new(Admission::new(1, 1));
        let slot = door.enter(None);
        let waiting = {
            let door = door.clone();
            spawn(move || door.enter(None).is_some())
        };
        yield_now();
        assert!(door.enter(None).is_none(), "the queue is full");
        waiting.kill();
        assert_eq!(door.waiting.get(), 0);
        assert!(door.enter(Some(Duration::from_millis(1))).is_none());
        assert_eq!(door.waiting.get(), 0);
        drop(slot);
        assert!(door.enter(None).is_some());
    }
}
