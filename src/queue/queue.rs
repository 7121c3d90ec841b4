//! First in, first out.
//!
//! No item is ever assigned to a getter that is parked: it is woken, and takes the item itself when it runs. So a getter
//! that is killed or times out cannot lose one. Likewise a putter keeps its item until it runs and finds room; killed
//! while parked it inserts nothing. A greenlet that runs may be faster than one that was woken, which then waits on in front.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use super::{GetError, PutError};
use crate::hub::{Object, Reason};
use crate::park::{self, Deadline, Woken};
use crate::waitlist::{Place, WaitList};

/// A queue between greenlets, with room for a limited or an unlimited number of items.
///
/// It is a handle: clones are the same queue. Closing it ends it in order: nothing more can be put, what is inside can
/// still be got, then getters and iterations end.
///
/// # Examples
/// ```
/// use greenloop::{queue::Queue, spawn};
///
/// let queue = Queue::bounded(10);
/// let consumer = spawn({ let queue = queue.clone(); move || (&queue).into_iter().sum::<u32>() });
/// for n in 1..=100 {
///     queue.put(n)?; // waits while the queue is full
/// }
/// queue.close();
/// assert_eq!(consumer.join()?, 5050);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Queue<T> {
    inner: Rc<Inner<T>>,
}

struct Inner<T> {
    items: RefCell<VecDeque<T>>,
    capacity: usize,
    closed: Cell<bool>,
    /// The first item is with a greenlet that peeks: still inside for everybody who counts, but not to be had.
    lent: Cell<bool>,
    getters: WaitList,
    putters: WaitList,
}

impl<T> Queue<T> {
    /// A queue that holds at most `capacity` items; `put` waits while it is full.
    ///
    /// # Panics
    /// If `capacity` is 0: such a queue could never take an item.
    #[track_caller]
    pub fn bounded(capacity: usize) -> Queue<T> {
        assert!(
            capacity > 0,
            "a queue with room for 0 items could never take one; give it room for at least 1"
        );
        Queue::with_capacity(capacity)
    }

    /// A queue that always has room.
    pub fn unbounded() -> Queue<T> {
        Queue::with_capacity(usize::MAX)
    }

    fn with_capacity(capacity: usize) -> Queue<T> {
        let (getters, putters) = (WaitList::new(), WaitList::new());
        let (items, closed, lent) = (RefCell::new(VecDeque::new()), Cell::new(false), Cell::new(false));
        Queue { inner: Rc::new(Inner { items, capacity, closed, lent, getters, putters }) }
    }

    pub(crate) fn getters(&self) -> &WaitList {
        &self.inner.getters
    }

    pub(crate) fn putters(&self) -> &WaitList {
        &self.inner.putters
    }

    /// Wakes the next in line for room that the one before was woken for and has left.
    pub(crate) fn pass_on_room(&self) {
        if !self.is_full() {
            self.inner.putters.wake_one();
        }
    }

    /// How many items are inside.
    pub fn len(&self) -> usize {
        self.inner.items.borrow().len() + usize::from(self.inner.lent.get())
    }

    /// Is nothing inside?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Is there no room for another item?
    pub fn is_full(&self) -> bool {
        self.len() >= self.inner.capacity
    }

    /// How many items it can hold; `None` if there is no limit.
    pub fn capacity(&self) -> Option<usize> {
        (self.inner.capacity != usize::MAX).then_some(self.inner.capacity)
    }

    /// Has it been closed?
    pub fn is_closed(&self) -> bool {
        self.inner.closed.get()
    }

    /// Adds an item, waiting until there is room.
    ///
    /// **Switches**: if the queue is full.
    ///
    /// # Errors
    /// [`PutError::Closed`] if the queue is closed, before or while waiting. The item is in the error.
    ///
    /// # Panics
    /// On a thread's root with [`LoopExit`](crate::LoopExit) if nothing is left that could ever make room.
    #[track_caller]
    pub fn put(&self, item: T) -> Result<(), PutError<T>> {
        self.put_until(item, Deadline::NEVER)
    }

    /// Adds an item, waiting for room at most for `timeout`.
    ///
    /// **Switches**: if the queue is full.
    ///
    /// # Errors
    /// [`PutError::Full`] if there was no room in time, [`PutError::Closed`] if the queue is closed.
    #[track_caller]
    pub fn put_timeout(&self, item: T, timeout: Duration) -> Result<(), PutError<T>> {
        match self.try_put(item) {
            Err(PutError::Full(item)) => self.put_until(item, Deadline::after(Some(timeout))),
            done => done,
        }
    }

    /// Adds an item if there is room now. **Switches**: no.
    ///
    /// # Errors
    /// [`PutError::Full`] if there is no room, [`PutError::Closed`] if the queue is closed.
    pub fn try_put(&self, item: T) -> Result<(), PutError<T>> {
        if self.is_closed() {
            return Err(PutError::Closed(item));
        }
        if self.is_full() {
            return Err(PutError::Full(item));
        }
        self.inner.items.borrow_mut().push_back(item);
        self.inner.getters.wake_one();
        Ok(())
    }

    #[track_caller]
    fn put_until(&self, mut item: T, deadline: Deadline) -> Result<(), PutError<T>> {
        let mut place = Place::default();
        loop {
            item = match self.try_put(item) {
                Err(PutError::Full(item)) => item,
                done => return done,
            };
            let reason = Reason::of("queue (put)", Object::Fill(self.len(), self.inner.capacity));
            if park::wait_on(&self.inner.putters, &mut place, reason, deadline) != Woken::Notified {
                return self.try_put(item);
            }
        }
    }

    /// Takes the oldest item, waiting until there is one.
    ///
    /// **Switches**: if the queue is empty.
    ///
    /// # Errors
    /// [`GetError::Closed`] if the queue is closed and empty.
    ///
    /// # Panics
    /// On a thread's root with [`LoopExit`](crate::LoopExit) if nothing is left that could ever put an item.
    #[track_caller]
    pub fn get(&self) -> Result<T, GetError> {
        self.get_until(Deadline::NEVER, Self::try_get)
    }

    /// Takes the oldest item, waiting for one at most for `timeout`.
    ///
    /// **Switches**: if the queue is empty.
    ///
    /// # Errors
    /// [`GetError::Empty`] if none came in time, [`GetError::Closed`] if the queue is closed and empty.
    #[track_caller]
    pub fn get_timeout(&self, timeout: Duration) -> Result<T, GetError> {
        match self.try_get() {
            Err(GetError::Empty) => self.get_until(Deadline::after(Some(timeout)), Self::try_get),
            done => done,
        }
    }

    /// Takes the oldest item if there is one now. **Switches**: no.
    ///
    /// # Errors
    /// [`GetError::Empty`] if there is none, [`GetError::Closed`] if the queue is also closed.
    pub fn try_get(&self) -> Result<T, GetError> {
        let item = self.pop()?;
        self.inner.putters.wake_one();
        Ok(item)
    }

    fn pop(&self) -> Result<T, GetError> {
        if self.inner.lent.get() {
            return Err(GetError::Empty);
        }
        let item = self.inner.items.borrow_mut().pop_front();
        item.ok_or(if self.is_closed() { GetError::Closed } else { GetError::Empty })
    }

    #[track_caller]
    fn get_until<R>(
        &self,
        deadline: Deadline,
        attempt: impl Fn(&Self) -> Result<R, GetError>,
    ) -> Result<R, GetError> {
        let mut place = Place::default();
        loop {
            match attempt(self) {
                Err(GetError::Empty) => {}
                done => return done,
            }
            let reason = Reason::plain("queue (get)");
            if park::wait_on(&self.inner.getters, &mut place, reason, deadline) != Woken::Notified {
                return attempt(self);
            }
        }
    }

    /// Waits until there is an item and gives a clone of it; it stays inside.
    ///
    /// **Switches**: if the queue is empty.
    ///
    /// # Errors
    /// [`GetError::Closed`] if the queue is closed and empty.
    ///
    /// # Examples
    /// ```
    /// let queue = greenloop::queue::Queue::unbounded();
    /// queue.put("first").unwrap();
    /// assert_eq!(queue.peek(), Ok("first"));
    /// assert_eq!(queue.get(), Ok("first"));
    /// ```
    #[track_caller]
    pub fn peek(&self) -> Result<T, GetError>
    where
        T: Clone,
    {
        self.get_until(Deadline::NEVER, Self::try_peek)
    }

    /// [`peek`](Self::peek), waiting at most for `timeout`.
    ///
    /// **Switches**: if the queue is empty.
    ///
    /// # Errors
    /// [`GetError::Empty`] if none came in time, [`GetError::Closed`] if the queue is closed and empty.
    #[track_caller]
    pub fn peek_timeout(&self, timeout: Duration) -> Result<T, GetError>
    where
        T: Clone,
    {
        self.get_until(Deadline::after(Some(timeout)), Self::try_peek)
    }

    /// Clones the first item outside the queue, as `clone` is the user's code: it may panic or even switch.
    fn try_peek(&self) -> Result<T, GetError>
    where
        T: Clone,
    {
        let lent = Lent { queue: &self.inner, item: Some(self.pop()?) };
        self.inner.lent.set(true);
        lent.item.clone().ok_or(GetError::Empty)
    }

    /// Closes the queue: from now on nothing can be put, and when the items inside are gone getters and iterations end.
    /// Wakes everybody who waits. Closing twice does nothing.
    ///
    /// **Switches**: no.
    pub fn close(&self) {
        self.inner.closed.set(true);
        self.inner.putters.wake_all();
        self.inner.getters.wake_all();
    }
}

/// Puts the item back in front. This getter may have been woken for it, and others may have come to wait meanwhile, even
/// at a closed queue: they are told.
struct Lent<'a, T> {
    queue: &'a Inner<T>,
    item: Option<T>,
}

impl<T> Drop for Lent<'_, T> {
    fn drop(&mut self) {
        self.queue.lent.set(false);
        if let Some(item) = self.item.take() {
            self.queue.items.borrow_mut().push_front(item);
        }
        match self.queue.closed.get() {
            true => _ = self.queue.getters.wake_all(),
            false => _ = self.queue.getters.wake_one(),
        }
    }
}

impl<T> Clone for Queue<T> {
    fn clone(&self) -> Self {
        Queue { inner: self.inner.clone() }
    }
}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &self.inner;
        write!(f, "Queue({} items", self.len())?;
        if let Some(capacity) = self.capacity() {
            write!(f, " of {capacity}")?;
        }
        write!(f, ", {} getting, {} putting", inner.getters.len(), inner.putters.len())?;
        f.write_str(if self.is_closed() { ", closed)" } else { ")" })
    }
}

impl<T> IntoIterator for &Queue<T> {
    type Item = T;
    type IntoIter = Iter<T>;

    /// Takes items until the queue is closed and empty; `next` waits as `get` does.
    fn into_iter(self) -> Iter<T> {
        Iter { queue: self.clone() }
    }
}

impl<T> IntoIterator for Queue<T> {
    type Item = T;
    type IntoIter = Iter<T>;

    /// Takes items until the queue is closed and empty; `next` waits as `get` does.
    fn into_iter(self) -> Iter<T> {
        Iter { queue: self }
    }
}

/// The items of a [`Queue`] as they come, until it is closed and empty. Dropping it leaves the rest inside.
#[derive(Debug)]
pub struct Iter<T> {
    queue: Queue<T>,
}

impl<T> Iterator for Iter<T> {
    type Item = T;

    #[track_caller]
    fn next(&mut self) -> Option<T> {
        self.queue.get().ok()
    }
}
