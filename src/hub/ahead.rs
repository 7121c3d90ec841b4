//! What the next turns need, fetched by the processor while those before them run.
//!
//! Of thousands of greenlets that take turns none finds anything of its own in a cache: the kernel has been through with thousands of
//! sockets meanwhile. To wait for it line after line would be more than half of what their turns cost outside of the kernel. So an event
//! leaves the addresses of what the turn it brings will need, and a few turns before, all of it is fetched at once. They are addresses to
//! fetch from, and for nothing else.

use std::cell::{Cell, RefCell};

use super::Task;
use super::task::{HOT, HOTTEST, WOKEN};
use crate::coro;
use crate::sys::memory;

/// Of so many tasks at a time everything is fetched: together, so that the page tables are walked for several at once, and few enough
/// that it is still there when their turn comes.
pub(crate) const FETCHED_TASKS: usize = 4;

/// Where the things lie that a turn needs.
#[derive(Clone, Copy)]
pub(crate) struct Places {
    pub(crate) task: *const Task,
    /// The registration of the descriptor that it waits for.
    pub(crate) source: *const (),
    /// What holds the descriptor.
    pub(crate) holder: *const (),
    /// Null if it rests.
    pub(crate) frames: *const (),
}

impl Places {
    /// So much of a registration, and of what holds a descriptor: this, and a time limit.
    const FETCHED: usize = 32;
    /// The counts of the references to a task, which stand before its block.
    const COUNTS: usize = 2 * size_of::<usize>();

    /// Its event is about to be taken in; `soon` its turn comes.
    #[inline]
    pub(crate) fn announce(&self, soon: bool) {
        if soon {
            self.fetch();
        } else {
            memory::prefetch(self.source, Places::FETCHED);
            self.fetch_task(WOKEN);
        }
    }

    #[inline(always)]
    fn fetch(&self) {
        memory::prefetch(self.source, Places::FETCHED);
        memory::prefetch(self.holder, Places::FETCHED);
        if self.frames.is_null() {
            self.fetch_task(HOT);
        } else {
            self.fetch_task(HOTTEST);
            coro::prefetch(self.frames);
        }
    }

    #[inline(always)]
    fn fetch_task(&self, len: usize) {
        memory::prefetch(self.task.wrapping_byte_sub(Places::COUNTS), Places::COUNTS + len);
    }
}

/// The places of those that events have woken and that may not have run since, in the order in which they were.
pub(crate) struct Ahead {
    places: RefCell<Vec<Places>>,
    left: Cell<usize>,
}

impl Ahead {
    pub(super) fn new() -> Ahead {
        Ahead { places: RefCell::new(Vec::new()), left: Cell::new(0) }
    }

    /// Before the next events.
    pub(crate) fn tidy(&self) {
        let mut places = self.places.borrow_mut();
        let done = places.len() - self.left.get();
        places.drain(..done);
    }

    pub(crate) fn push(&self, places: Places) {
        self.places.borrow_mut().push(places);
        self.left.set(self.left.get() + 1);
    }

    /// A turn begins. Is another group to be fetched?
    #[inline]
    pub(super) fn advance(&self) -> bool {
        match self.left.get() {
            0 => false,
            left => {
                self.left.set(left - 1);
                left > 1 && (left - 1).is_multiple_of(FETCHED_TASKS)
            }
        }
    }

    /// Fetches for the next group. False if some of them rest.
    #[inline]
    pub(super) fn fetch(&self) -> bool {
        let places = self.places.borrow();
        let group = places.iter().skip(places.len() - self.left.get()).take(FETCHED_TASKS);
        group.fold(true, |all, places| {
            places.fetch();
            all && !places.frames.is_null()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ptr;

    fn places(frames: usize) -> Places {
        let nowhere = ptr::null();
        Places {
            task: ptr::null(),
            source: nowhere,
            holder: nowhere,
            frames: ptr::without_provenance(frames),
        }
    }

    #[test]
    fn a_group_is_fetched_before_its_first_turn_and_each_once() {
        let ahead = Ahead::new();
        assert!(!ahead.advance());
        (0..3 * FETCHED_TASKS).for_each(|_| ahead.push(places(1)));
        let fetches: Vec<usize> = (1..=3 * FETCHED_TASKS).filter(|_| ahead.advance()).collect();
        // The first group was fetched with the events; behind the last there is none.
        assert_eq!(fetches, [FETCHED_TASKS, 2 * FETCHED_TASKS]);
        assert!(!ahead.advance());
    }

    #[test]
    fn those_who_have_not_run_when_new_events_come_stay_in_front() {
        let ahead = Ahead::new();
        (0..3).for_each(|_| ahead.push(places(1)));
        ahead.advance();
        ahead.tidy();
        ahead.push(places(2));
        let left: Vec<usize> = ahead.places.borrow().iter().map(|places| places.frames.addr()).collect();
        assert_eq!((left, ahead.left.get()), (vec![1, 1, 2], 3));
    }

    #[test]
    fn a_group_in_which_somebody_rests_is_told_apart() {
        let ahead = Ahead::new();
        ahead.push(places(1));
        assert!(ahead.fetch());
        ahead.push(places(0));
        assert!(!ahead.fetch());
    }
}
