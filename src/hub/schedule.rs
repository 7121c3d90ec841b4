//! Who is next: the oldest, or, in tests, whoever a seeded generator draws.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use super::Task;

/// Tasks that are ready to run.
pub(crate) struct Schedule {
    ready: RefCell<VecDeque<Rc<Task>>>,
    /// The state of the generator for choices among equals.
    choices: Cell<u64>,
    /// The state of the generator while the order is drawn, and the choices with it.
    #[cfg(feature = "testing")]
    seed: Cell<Option<u64>>,
    /// How often a greenlet of this thread, or its root, has left its stack for the hub.
    #[cfg(feature = "testing")]
    pub(crate) switches: Cell<u64>,
    /// How many of these were yields, since the hub's last look.
    #[cfg(feature = "testing")]
    pub(super) yields: Cell<u32>,
    /// How many tasks let the others run until all of those are parked: the one that runs, or ready.
    #[cfg(feature = "testing")]
    pub(crate) standing_back: Cell<usize>,
}

impl Schedule {
    pub(super) fn new() -> Schedule {
        Schedule {
            ready: RefCell::new(VecDeque::new()),
            choices: Cell::new(0),
            #[cfg(feature = "testing")]
            seed: Cell::new(None),
            #[cfg(feature = "testing")]
            switches: Cell::new(0),
            #[cfg(feature = "testing")]
            yields: Cell::new(0),
            #[cfg(feature = "testing")]
            standing_back: Cell::new(0),
        }
    }

    #[inline]
    pub(super) fn push(&self, task: Rc<Task>) {
        self.ready.borrow_mut().push_back(task);
    }

    #[inline]
    pub(super) fn pop(&self) -> Option<Rc<Task>> {
        #[cfg(feature = "testing")]
        if let Some(state) = self.seed.get() {
            return self.draw(state);
        }
        self.ready.borrow_mut().pop_front()
    }

    /// One of so many equals. It depends on nothing but the choices before.
    #[inline]
    pub(crate) fn choose(&self, count: usize) -> usize {
        #[cfg(feature = "testing")]
        if let Some(state) = self.seed.get() {
            let (state, random) = split_mix(state);
            self.seed.set(Some(state));
            return among(random, count);
        }
        let (state, random) = split_mix(self.choices.get());
        self.choices.set(state);
        among(random, count)
    }

    /// Shows the next so many tasks, as far as there are as many.
    pub(super) fn next(&self, count: usize, look: impl Fn(&Task)) {
        self.ready.borrow().iter().take(count).for_each(|task| look(task));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.ready.borrow().is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.ready.borrow().len()
    }
}

#[cfg(feature = "testing")]
impl Schedule {
    /// Draws the order from now on, or no longer; gives back what held before.
    pub(crate) fn set_seed(&self, seed: Option<u64>) -> Option<u64> {
        self.seed.replace(seed)
    }

    /// The running task is one that stands back. Is anybody ready who is not?
    pub(crate) fn has_others_ready(&self) -> bool {
        self.len() >= self.standing_back.get()
    }

    fn draw(&self, state: u64) -> Option<Rc<Task>> {
        let mut ready = self.ready.borrow_mut();
        // How often nobody is ready depends on where the clock stands: the timer queue rounds.
        if ready.is_empty() {
            return None;
        }
        let (state, random) = split_mix(state);
        self.seed.set(Some(state));
        let count = ready.len();
        ready.remove(among(random, count))
    }
}

/// SplitMix64, the state after a draw and what was drawn: equal seeds give equal orders on every machine.
#[inline]
fn split_mix(state: u64) -> (u64, u64) {
    let state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut random = state;
    random = (random ^ (random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    random = (random ^ (random >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (state, random ^ (random >> 31))
}

/// A number below `count`, which is not 0.
#[inline]
fn among(random: u64, count: usize) -> usize {
    (random % count as u64) as usize
}
