//! What is to happen when a greenlet ends.
//!
//! Links stand in the control block of the greenlet they wait for, in the order in which they came. The hub only keeps
//! them; `greenlet/life.rs` says when each of them runs.

use std::any::Any;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Bound;
use std::rc::Rc;

use crate::hub::Task;

/// How a greenlet has ended, without its value.
///
/// # Examples
/// ```
/// use greenloop::{Outcome, spawn};
///
/// let g = spawn(|| 1);
/// assert_eq!(g.outcome(), None);
/// g.wait();
/// assert_eq!(g.outcome(), Some(Outcome::Value));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Its function has returned.
    Value,
    /// It was killed. As in gevent this is not a failure.
    Killed,
    /// It panicked.
    Panicked,
}

/// What a link runs.
pub(crate) type Callback = Box<dyn FnOnce(&Rc<Task>, Outcome)>;

/// Something that waits for the end of a greenlet.
pub(crate) enum Link {
    /// Runs in a greenlet of its own, if the outcome is one that it wants.
    Spawned { wants: fn(Outcome) -> bool, run: Callback },
    /// A cell that is to get the value of the greenlet, of which only `greenlet/link.rs` knows the type.
    Cell(Box<dyn Any>),
}

/// The links of one greenlet by their numbers, which grow. Empty, it owns no memory.
pub(crate) struct Links(RefCell<BTreeMap<u64, Link>>);

impl Links {
    pub(super) const fn new() -> Links {
        Links(RefCell::new(BTreeMap::new()))
    }

    pub(crate) fn add(&self, number: u64, link: Link) {
        self.0.borrow_mut().insert(number, link);
    }

    /// Takes a link out, for its run or for good.
    pub(crate) fn take(&self, number: u64) -> Option<Link> {
        self.0.borrow_mut().remove(&number)
    }

    /// The first [`Link::Spawned`] after `number`, and whether it wants this outcome.
    pub(crate) fn next_spawned(&self, number: u64, outcome: Outcome) -> Option<(u64, bool)> {
        let links = self.0.borrow();
        let mut later = links.range((Bound::Excluded(number), Bound::Unbounded));
        later.find_map(|(&number, link)| match link {
            Link::Spawned { wants, .. } => Some((number, wants(outcome))),
            Link::Cell(_) => None,
        })
    }

    /// Takes out the first [`Link::Cell`] after `number`, which then is its number.
    pub(crate) fn take_cell(&self, number: &mut u64) -> Option<Box<dyn Any>> {
        let mut links = self.0.borrow_mut();
        let mut later = links.range((Bound::Excluded(*number), Bound::Unbounded));
        *number = *later.find(|(_, link)| matches!(link, Link::Cell(_)))?.0;
        match links.remove(number) {
            Some(Link::Cell(cell)) => Some(cell),
            _ => None,
        }
    }
}
