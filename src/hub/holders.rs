//! Who holds the locks that somebody waits for.
//!
//! A greenlet that waits for a lock stays parked while the lock goes from one to the next of those before it in line. So its
//! park does not name the holder but an entry of this table, which is read when a report is made. A lock has an entry only
//! while it is contended; otherwise it keeps no books but its own state.

use std::cell::{Cell, RefCell};

use slab::Slab;

use super::{Hub, Object};

/// Who holds a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    /// The greenlet with this id, alone.
    Greenlet(u64),
    /// Those that read.
    Readers,
}

struct Entry {
    /// Nobody while the next in line has not run yet.
    holder: Option<Holder>,
    waiting: usize,
}

/// The hub's table.
pub(crate) struct Holders(RefCell<Slab<Entry>>);

impl Holders {
    pub(super) const fn new() -> Holders {
        Holders(RefCell::new(Slab::new()))
    }

    pub(super) fn get(&self, key: usize) -> Option<Holder> {
        self.0.borrow().get(key).and_then(|entry| entry.holder)
    }
}

/// A lock's link to its entry in the table, if it has one.
pub(crate) struct Contention {
    key: Cell<Option<usize>>,
}

impl Contention {
    pub(crate) const fn new() -> Contention {
        Contention { key: Cell::new(None) }
    }

    /// Notes the new holder, if anybody waits.
    #[inline]
    pub(crate) fn held_by(&self, holder: Option<Holder>) {
        if let Some(key) = self.key.get() {
            Self::note(key, holder);
        }
    }

    #[cold]
    fn note(key: usize, holder: Option<Holder>) {
        Hub::current().holders.0.borrow_mut()[key].holder = holder;
    }

    /// The running greenlet begins to wait for the lock, until the result is dropped.
    pub(crate) fn wait(&self, holder: Option<Holder>) -> Contender<'_> {
        let mut table = Hub::current().holders.0.borrow_mut();
        let key = self.key.get().unwrap_or_else(|| table.insert(Entry { holder, waiting: 0 }));
        table[key].waiting += 1;
        self.key.set(Some(key));
        Contender { contention: self, key }
    }
}

/// Somebody who waits for a lock.
pub(crate) struct Contender<'a> {
    contention: &'a Contention,
    key: usize,
}

impl Contender<'_> {
    /// What it waits for, for the report.
    pub(crate) fn object(&self) -> Object {
        Object::Lock(self.key)
    }
}

impl Drop for Contender<'_> {
    fn drop(&mut self) {
        let mut table = Hub::current().holders.0.borrow_mut();
        table[self.key].waiting -= 1;
        if table[self.key].waiting == 0 {
            table.remove(self.key);
            self.contention.key.set(None);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_has_an_entry_while_somebody_waits_for_it() {
        let table = &Hub::current().holders;
        let key = |contender: &Contender<'_>| contender.key;
        let (lock, other) = (Contention::new(), Contention::new());
        lock.held_by(Some(Holder::Readers));
        assert!(table.0.borrow().is_empty());
        let first = lock.wait(Some(Holder::Greenlet(1)));
        let second = lock.wait(Some(Holder::Greenlet(2)));
        let third = other.wait(None);
        assert_eq!(key(&first), key(&second));
        assert_eq!((table.get(key(&first)), table.get(key(&third))), (Some(Holder::Greenlet(1)), None));
        drop(first);
        lock.held_by(Some(Holder::Readers));
        assert_eq!(table.get(key(&second)), Some(Holder::Readers));
        drop((second, third));
        assert!(table.0.borrow().is_empty());
        drop(lock.wait(None));
        assert!(table.0.borrow().is_empty());
    }
}
