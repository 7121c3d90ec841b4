//! The values that a greenlet has for itself, and those that it has inherited. Both are found by the address of the
//! `static` that names them.
//!
//! No borrow outlives a call: destructors and initialisers are the user's, and run in between.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// The address of a `static`.
pub(crate) type Key = usize;

/// The own values of a greenlet, in the order in which they were made. Empty, it owns no memory.
pub(crate) struct Locals {
    values: RefCell<Vec<(Key, Rc<dyn Any>)>>,
    closed: Cell<bool>,
}

impl Locals {
    pub(super) const fn new() -> Locals {
        Locals { values: RefCell::new(Vec::new()), closed: Cell::new(false) }
    }

    pub(crate) fn get(&self, key: Key) -> Option<Rc<dyn Any>> {
        self.values.borrow().iter().find(|(other, _)| *other == key).map(|(_, value)| value.clone())
    }

    pub(crate) fn add(&self, key: Key, value: Rc<dyn Any>) {
        self.values.borrow_mut().push((key, value));
    }

    /// Has the greenlet begun to give its values up? Then it gets no new ones.
    pub(crate) fn are_closed(&self) -> bool {
        self.closed.get()
    }

    /// Begins the end of the values, or goes on with it: takes the youngest.
    pub(crate) fn give_up(&self) -> Option<Rc<dyn Any>> {
        self.closed.set(true);
        Some(self.values.borrow_mut().pop()?.1)
    }
}

/// The inherited values that are bound at some point of some greenlet: shared, and never changed.
pub(crate) type Bound = Option<Rc<[(Key, Rc<dyn Any>)]>>;

/// What is bound for a greenlet now.
pub(crate) struct Inherited(RefCell<Bound>);

impl Inherited {
    pub(super) const fn new(bound: Bound) -> Inherited {
        Inherited(RefCell::new(bound))
    }

    /// All of them, for a greenlet that is about to be spawned.
    pub(crate) fn all(&self) -> Bound {
        self.0.borrow().clone()
    }

    pub(crate) fn get(&self, key: Key) -> Option<Rc<dyn Any>> {
        let bound = self.0.borrow();
        bound.as_ref()?.iter().find(|(other, _)| *other == key).map(|(_, value)| value.clone())
    }

    /// These plus one more, which hides the former one of the same key.
    pub(crate) fn with(&self, key: Key, value: Rc<dyn Any>) -> Bound {
        let bound = self.0.borrow();
        let others = bound.iter().flat_map(|bound| bound.iter()).filter(|(other, _)| *other != key).cloned();
        Some(others.chain([(key, value)]).collect())
    }

    /// Gives back what was bound before.
    pub(crate) fn replace(&self, bound: Bound) -> Bound {
        self.0.replace(bound)
    }
}
