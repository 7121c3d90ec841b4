//! What all queues with room inside share; they differ in their [`Storage`].
//!
//! No item is ever assigned to a getter that is parked: it is woken, and takes the item itself when it runs. So a getter
//! that is killed or times out cannot lose one. Likewise a putter keeps its item until it runs and finds room; killed
//! while parked it inserts nothing. A greenlet that runs may be faster than one that was woken, which then waits on in front.
//!
//! Two kinds of the user's code run in here. `Clone`, in a peek: the item is then lent, outside the storage, still counted but
//! not to be had, so that the clone may do what it likes. And `Ord`, in a [`Heap`](super::heap::Heap): there the storage is borrowed,
//! so a comparison that puts or gets panics. Either may panic at any time: whoever was woken for room or for an item and does not
//! use it then wakes the next.

use std::cell::{Cell, RefCell, RefMut};
use std::fmt;

use super::storage::{Mark, Storage};
use super::{GetError, PutError};
use crate::hub::{Object, Reason};
use crate::park::{self, Deadline, Woken};
use crate::waitlist::{Place, WaitList};

/// What a queue counts beside its items.
pub(super) trait Books: Default {
    /// An item was put.
    fn item_added(&self) {}

    /// So many items are done with, since nobody will ever get them.
    fn items_done(&self, _count: usize) {}

    /// For `Debug`.
    fn describe(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        Ok(())
    }
}

impl Books for () {}

pub(super) struct Core<S, B = ()> {
    pub(super) books: B,
    items: RefCell<S>,
    /// How many items are inside, with the one that is lent.
    count: Cell<usize>,
    capacity: usize,
    closed: Cell<bool>,
    /// The next item is with a greenlet that peeks.
    lent: Cell<bool>,
    /// Somebody was told meanwhile that nothing is to be had.
    refused: Cell<bool>,
    getters: WaitList,
    putters: WaitList,
}

impl<S: Storage, B: Books> Core<S, B> {
    /// For as many items as there may be: `usize::MAX` stands for no limit.
    #[track_caller]
    pub(super) fn new(capacity: usize) -> Core<S, B> {
        assert!(
            capacity > 0,
            "a queue with room for 0 items could never take one; give it room for at least 1, or use a Channel"
        );
        Core {
            books: B::default(),
            items: RefCell::default(),
            count: Cell::new(0),
            capacity,
            closed: Cell::new(false),
            lent: Cell::new(false),
            refused: Cell::new(false),
            getters: WaitList::new(),
            putters: WaitList::new(),
        }
    }

    /// For use by one call of the storage.
    #[inline]
    fn items(&self) -> RefMut<'_, S> {
        match self.items.try_borrow_mut() {
            Ok(items) => items,
            Err(_) => in_a_comparison(),
        }
    }

    #[inline]
    pub(super) fn try_put(&self, item: S::Item) -> Result<(), PutError<S::Item>> {
        if self.closed.get() {
            return Err(PutError::Closed(item));
        }
        if self.is_full() {
            return Err(PutError::Full(item));
        }
        let unused = PassOn(&self.putters);
        self.items().push(item);
        std::mem::forget(unused);
        self.count.set(self.count.get() + 1);
        self.books.item_added();
        self.getters.wake_one();
        Ok(())
    }

    #[inline(always)]
    #[track_caller]
    pub(super) fn put_until(&self, mut item: S::Item, deadline: Deadline) -> Result<(), PutError<S::Item>> {
        let (mut place, mut woken) = (Place::default(), Woken::Notified);
        loop {
            item = match self.try_put(item) {
                Err(PutError::Full(item)) if woken == Woken::Notified => item,
                done => return done,
            };
            woken = self.wait_for_room(&mut place, deadline);
        }
    }

    #[inline]
    pub(super) fn try_get(&self) -> Result<S::Item, GetError> {
        let item = self.take(S::pop)?;
        self.count.set(self.count.get() - 1);
        self.putters.wake_one();
        Ok(item)
    }

    #[inline]
    fn take<R>(&self, from: impl FnOnce(&mut S) -> Option<R>) -> Result<R, GetError> {
        if self.lent.get() {
            self.refused.set(true);
            return Err(GetError::Empty);
        }
        let unused = PassOn(&self.getters);
        let taken = from(&mut *self.items());
        std::mem::forget(unused);
        taken.ok_or(if self.closed.get() { GetError::Closed } else { GetError::Empty })
    }

    #[inline(always)]
    #[track_caller]
    pub(super) fn get_until<R>(
        &self,
        deadline: Deadline,
        attempt: impl Fn(&Self) -> Result<R, GetError>,
    ) -> Result<R, GetError> {
        let (mut place, mut woken) = (Place::default(), Woken::Notified);
        loop {
            match attempt(self) {
                Err(GetError::Empty) if woken == Woken::Notified => {}
                done => return done,
            }
            woken = self.wait_for_item(&mut place, deadline);
        }
    }

    pub(super) fn try_peek(&self) -> Result<S::Item, GetError>
    where
        S::Item: Clone,
    {
        let (item, mark) = self.take(S::lend)?;
        self.lent.set(true);
        let lent = Lent { queue: self, item: Some((item, mark)) };
        lent.item.as_ref().map(|(item, _)| item.clone()).ok_or(GetError::Empty)
    }

    pub(super) fn close(&self) {
        self.closed.set(true);
        self.putters.wake_all();
        self.getters.wake_all();
    }

    /// Closes, and drops what is inside; an item that is lent when it comes back.
    pub(super) fn close_now(&self) {
        let items = std::mem::take(&mut *self.items());
        self.lent.set(false);
        self.close();
        self.books.items_done(self.count.replace(0));
        // At last, as destructors are the user's code.
        drop(items);
    }
}

impl<S, B: Books> Core<S, B> {
    #[inline(never)]
    #[track_caller]
    fn wait_for_room(&self, place: &mut Place, deadline: Deadline) -> Woken {
        let reason = Reason::of(&"queue (put)", Object::fill(self.len(), self.capacity));
        park::wait_here(&self.putters, place, reason, deadline)
    }

    #[inline(never)]
    #[track_caller]
    fn wait_for_item(&self, place: &mut Place, deadline: Deadline) -> Woken {
        park::wait_here(&self.getters, place, Reason::plain(&"queue (get)"), deadline)
    }

    pub(super) fn len(&self) -> usize {
        self.count.get()
    }

    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.count.get() >= self.capacity
    }

    pub(super) fn capacity(&self) -> Option<usize> {
        (self.capacity != usize::MAX).then_some(self.capacity)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.get()
    }

    pub(super) fn getters(&self) -> &WaitList {
        &self.getters
    }

    pub(super) fn putters(&self) -> &WaitList {
        &self.putters
    }

    /// `Name(2 items of 3, 0 getting, 1 putting, closed)`.
    pub(super) fn describe(&self, name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{name}({} items", self.len())?;
        if let Some(capacity) = self.capacity() {
            write!(f, " of {capacity}")?;
        }
        write!(f, ", {} getting, {} putting", self.getters.len(), self.putters.len())?;
        self.books.describe(f)?;
        f.write_str(if self.is_closed() { ", closed)" } else { ")" })
    }
}

#[cold]
#[track_caller]
fn in_a_comparison() -> ! {
    panic!(
        "a PriorityQueue was used while it compares two of its items: their `Ord` must not put, get or peek there, nor switch \
         greenlets"
    )
}

/// Wakes the next in line if the storage panics.
struct PassOn<'a>(&'a WaitList);

impl Drop for PassOn<'_> {
    fn drop(&mut self) {
        self.0.wake_one();
    }
}

/// Puts the item back, and tells the next getter, as this one may have been woken for the item. Whoever was refused meanwhile waits
/// in spite of all that is inside, and may have used up the wake-up of a put: then all are told, as they are at a closed queue.
struct Lent<'a, S: Storage, B: Books> {
    queue: &'a Core<S, B>,
    item: Option<(S::Item, Mark)>,
}

impl<S: Storage, B: Books> Drop for Lent<'_, S, B> {
    fn drop(&mut self) {
        if !self.queue.lent.replace(false) {
            // The queue was emptied meanwhile: the item is dropped with this.
            return;
        }
        let refused = self.queue.refused.replace(false);
        match refused || self.queue.closed.get() {
            true => _ = self.queue.getters.wake_all(),
            false => _ = self.queue.getters.wake_one(),
        }
        if let Some((item, mark)) = self.item.take() {
            self.queue.items().restore(item, mark);
        }
    }
}
