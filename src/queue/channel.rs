//! A queue without room: giver and taker meet.
//!
//! An item that is put stays with its putter. It lies in a *slot* that the putter has noted, and whoever gets it takes it from there in
//! the act of waking the putter. So a putter whose time is over, or which is to be killed, can no longer be woken by a getter, and keeps
//! its item; and a getter that is killed has none to lose.
//!
//! ```text
//!   put:  fill a slot, note it ──▶ call a getter ──▶ park ──┬──▶ nothing noted any longer: taken
//!                                                           └──▶ else (time over, closed, killed): the item is still here
//!   get:  wake the first parked putter and empty its slot;  if there is none: park until one calls, then again
//! ```
//!
//! `try_put` cannot wait for the getter to take the item, so it does it the other way round: it fills a slot and notes it for the first
//! parked getter in the act of waking it. A greenlet that was woken so comes out of its park by the front door, even if it
//! is killed before its turn, and finds the item.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::mem;
use std::rc::Rc;
use std::time::Duration;

use slab::Slab;

use super::listed::Source;
use super::methods::{Iter, queue_iteration};
use super::{GetError, PutError};
use crate::hub::Reason;
use crate::park::{self, Deadline, Woken};
use crate::waitlist::{Place, WaitList};

/// A queue that holds nothing: [`put`](Self::put) returns when a getter has taken the item.
///
/// It is a handle: clones are the same channel. A channel is always empty and always full. Who waits is served in the order of
/// coming; a getter runs before the putter that it has taken from. A killed putter, or one whose time runs out, has put nothing.
///
/// # Examples
/// ```
/// use greenloop::{queue::Channel, spawn};
///
/// let channel = Channel::new();
/// let receiver = spawn({ let channel = channel.clone(); move || channel.into_iter().collect::<Vec<_>>() });
/// channel.put("hello")?; // the receiver has it now
/// channel.put("world")?;
/// channel.close();
/// assert_eq!(receiver.join()?, ["hello", "world"]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Channel<T> {
    inner: Rc<Inner<T>>,
}

struct Inner<T> {
    /// The items on their way; the task of each one's greenlet notes which is its own.
    slots: RefCell<Slab<T>>,
    closed: Cell<bool>,
    getters: WaitList,
    putters: WaitList,
}

impl<T> Channel<T> {
    /// A channel.
    ///
    /// # Examples
    /// ```
    /// use greenloop::queue::{Channel, PutError};
    ///
    /// let channel = Channel::new();
    /// assert_eq!(channel.try_put(1), Err(PutError::Full(1))); // nobody is there to take it
    /// ```
    pub fn new() -> Channel<T> {
        Channel::default()
    }

    /// How many items are inside: none, ever.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{queue::Channel, spawn, yield_now};
    ///
    /// let channel = Channel::new();
    /// spawn({ let channel = channel.clone(); move || channel.put("held") });
    /// yield_now();
    /// assert_eq!(channel.len(), 0); // the item stays with its putter
    /// assert_eq!(channel.get(), Ok("held"));
    /// ```
    pub fn len(&self) -> usize {
        0
    }

    /// Is nothing inside? Always.
    ///
    /// # Examples
    /// ```
    /// assert!(greenloop::queue::Channel::<u8>::new().is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        true
    }

    /// Is there no room? There never is.
    ///
    /// # Examples
    /// ```
    /// assert!(greenloop::queue::Channel::<u8>::new().is_full());
    /// ```
    pub fn is_full(&self) -> bool {
        true
    }

    /// Has it been closed?
    ///
    /// # Examples
    /// ```
    /// let channel = greenloop::queue::Channel::<u8>::new();
    /// assert!(!channel.is_closed());
    /// channel.close();
    /// assert!(channel.is_closed());
    /// ```
    pub fn is_closed(&self) -> bool {
        self.inner.closed.get()
    }

    /// Gives an item to a getter, waiting until one has taken it.
    ///
    /// **Switches**: yes, unless the channel is closed.
    ///
    /// **While unwinding** it gives [`PutError::Full`] at once if none waits.
    ///
    /// # Errors
    /// [`PutError::Closed`] if the channel is closed, before or while waiting. The item is in the error.
    ///
    /// # Panics
    /// On a thread's root with [`LoopExit`](crate::LoopExit) if nothing is left that could ever take it.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{queue::Channel, spawn};
    ///
    /// let channel = Channel::new();
    /// let getter = spawn({ let channel = channel.clone(); move || channel.get() });
    /// channel.put("hand to hand").unwrap(); // until it is taken
    /// assert_eq!(getter.join().unwrap(), Ok("hand to hand"));
    /// ```
    #[track_caller]
    pub fn put(&self, item: T) -> Result<(), PutError<T>> {
        self.put_until(item, Deadline::NEVER)
    }

    /// Gives an item to a getter, waiting at most for [`timeout`](crate#time-limits) until one has taken it.
    ///
    /// **Switches**: yes, unless the channel is closed.
    ///
    /// **While unwinding** it gives [`PutError::Full`] at once if none waits.
    ///
    /// # Errors
    /// [`PutError::Full`] if none took it in time, [`PutError::Closed`] if the channel is closed.
    ///
    /// # Panics
    /// On a thread's root with [`LoopExit`](crate::LoopExit) if the time is beyond the reach of the clock and nothing is left
    /// that could ever take it.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{queue::{Channel, PutError}, spawn};
    /// use std::time::Duration;
    ///
    /// let channel = Channel::new();
    /// assert_eq!(channel.put_timeout(1, Duration::from_millis(1)), Err(PutError::Full(1)));
    /// let getter = spawn({ let channel = channel.clone(); move || channel.get() });
    /// assert_eq!(channel.put_timeout(2, Duration::from_secs(60)), Ok(()));
    /// assert_eq!(getter.join().unwrap(), Ok(2));
    /// ```
    #[track_caller]
    pub fn put_timeout(&self, item: T, timeout: Duration) -> Result<(), PutError<T>> {
        self.put_until(item, Deadline::after(Some(timeout)))
    }

    /// Gives an item to a getter that waits in `get` now. **Switches**: no; the getter runs later.
    ///
    /// # Errors
    /// [`PutError::Full`] if none waits, [`PutError::Closed`] if the channel is closed.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{queue::{Channel, PutError}, spawn, yield_now};
    ///
    /// let channel = Channel::new();
    /// assert_eq!(channel.try_put(1), Err(PutError::Full(1)));
    /// let getter = spawn({ let channel = channel.clone(); move || channel.get() });
    /// yield_now(); // it waits
    /// assert_eq!(channel.try_put(2), Ok(()));
    /// assert_eq!(getter.join().unwrap(), Ok(2));
    /// ```
    pub fn try_put(&self, item: T) -> Result<(), PutError<T>> {
        if self.is_closed() {
            return Err(PutError::Closed(item));
        }
        let mut item = Some(item);
        self.inner.getters.wake_parked(|getter| {
            getter.note.set(item.take().map_or(NOTHING, |item| self.inner.slots.borrow_mut().insert(item)));
        });
        item.map_or(Ok(()), |item| Err(PutError::Full(item)))
    }

    #[track_caller]
    fn put_until(&self, item: T, deadline: Deadline) -> Result<(), PutError<T>> {
        if self.is_closed() {
            return Err(PutError::Closed(item));
        }
        if std::thread::panicking() {
            // Nobody can be met by waiting for the one who was called.
            return self.try_put(item);
        }
        let inner = &*self.inner;
        let slot = Slot::fill(inner, item);
        inner.getters.wake_one();
        let (mut place, reason) = (Place::default(), Reason::plain(&"channel (put)"));
        match park::wait_with_note(&inner.putters, &mut place, slot.key, reason, deadline) {
            (_, NOTHING) => {
                mem::forget(slot);
                Ok(())
            }
            // Closed, or the time is over; a getter may have come since.
            _ => self.try_put(slot.empty()),
        }
    }

    /// Takes an item from the putter that has waited longest, waiting until there is one.
    ///
    /// **Switches**: if none waits.
    ///
    /// **While unwinding** it gives [`GetError::Empty`] at once.
    ///
    /// # Errors
    /// [`GetError::Closed`] if the channel is closed.
    ///
    /// # Panics
    /// On a thread's root with [`LoopExit`](crate::LoopExit) if nothing is left that could ever put an item.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{queue::{Channel, GetError}, spawn};
    ///
    /// let channel = Channel::new();
    /// spawn({ let channel = channel.clone(); move || { channel.put(1).unwrap(); channel.close() } });
    /// assert_eq!([channel.get(), channel.get()], [Ok(1), Err(GetError::Closed)]);
    /// ```
    #[track_caller]
    pub fn get(&self) -> Result<T, GetError> {
        self.get_until(Deadline::NEVER)
    }

    /// Takes an item from the putter that has waited longest, waiting for one at most for [`timeout`](crate#time-limits).
    ///
    /// **Switches**: if none waits.
    ///
    /// **While unwinding** it gives [`GetError::Empty`] at once.
    ///
    /// # Errors
    /// [`GetError::Empty`] if none came in time, [`GetError::Closed`] if the channel is closed.
    ///
    /// # Panics
    /// On a thread's root with [`LoopExit`](crate::LoopExit) if the time is beyond the reach of the clock and nothing is left
    /// that could ever put an item.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{queue::{Channel, GetError}, spawn};
    /// use std::time::Duration;
    ///
    /// let channel = Channel::new();
    /// assert_eq!(channel.get_timeout(Duration::from_millis(1)), Err(GetError::Empty));
    /// spawn({ let channel = channel.clone(); move || channel.put("hello") });
    /// assert_eq!(channel.get_timeout(Duration::from_secs(60)), Ok("hello"));
    /// ```
    #[track_caller]
    pub fn get_timeout(&self, timeout: Duration) -> Result<T, GetError> {
        match self.try_get() {
            Err(GetError::Empty) => self.get_until(Deadline::after(Some(timeout))),
            done => done,
        }
    }

    /// Takes an item from the putter that has waited longest, if one waits now. **Switches**: no; the putter goes on later.
    ///
    /// # Errors
    /// [`GetError::Empty`] if none waits, [`GetError::Closed`] if the channel is closed.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{queue::{Channel, GetError}, spawn, yield_now};
    ///
    /// let channel = Channel::new();
    /// spawn({ let channel = channel.clone(); move || channel.put("hello") });
    /// assert_eq!(channel.try_get(), Err(GetError::Empty));
    /// yield_now(); // the putter waits now
    /// assert_eq!(channel.try_get(), Ok("hello"));
    /// ```
    #[inline]
    pub fn try_get(&self) -> Result<T, GetError> {
        let item = self.inner.putters.wake_parked(|putter| {
            let slot = putter.note.replace(NOTHING);
            self.inner.slots.borrow_mut().remove(slot)
        });
        item.ok_or(if self.is_closed() { GetError::Closed } else { GetError::Empty })
    }

    #[track_caller]
    fn get_until(&self, deadline: Deadline) -> Result<T, GetError> {
        match self.try_get() {
            Err(GetError::Empty) => {}
            done => return done,
        }
        let mut place = Place::default();
        loop {
            let reason = Reason::plain(&"channel (get)");
            let (woken, note) =
                park::wait_with_note(&self.inner.getters, &mut place, NOTHING, reason, deadline);
            let done = match note {
                NOTHING => self.try_get(),
                slot => Ok(self.inner.slots.borrow_mut().remove(slot)),
            };
            if woken != Woken::Notified || !matches!(done, Err(GetError::Empty)) {
                return done;
            }
        }
    }

    /// Closes the channel: from now on nothing can be put, getters and iterations end, and putters that wait have their items back
    /// in their errors. Closing twice does nothing.
    ///
    /// **Switches**: no.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{queue::{Channel, PutError}, spawn, yield_now};
    ///
    /// let channel = Channel::new();
    /// let putter = spawn({ let channel = channel.clone(); move || channel.put("unsold") });
    /// yield_now();
    /// channel.close();
    /// assert_eq!(putter.join().unwrap(), Err(PutError::Closed("unsold")));
    /// assert_eq!(channel.into_iter().count(), 0);
    /// ```
    pub fn close(&self) {
        self.inner.closed.set(true);
        self.inner.putters.wake_all();
        self.inner.getters.wake_all();
    }
}

/// What is noted for a greenlet that has no item on its way.
const NOTHING: usize = usize::MAX;

/// The item of a greenlet that is in `put`, while nobody has taken it.
struct Slot<'a, T> {
    inner: &'a Inner<T>,
    key: usize,
}

impl<T> Slot<'_, T> {
    #[inline]
    fn fill(inner: &Inner<T>, item: T) -> Slot<'_, T> {
        Slot { inner, key: inner.slots.borrow_mut().insert(item) }
    }

    /// The item.
    fn empty(self) -> T {
        let item = self.inner.slots.borrow_mut().remove(self.key);
        mem::forget(self);
        item
    }
}

impl<T> Drop for Slot<'_, T> {
    fn drop(&mut self) {
        let item = self.inner.slots.borrow_mut().remove(self.key);
        drop(item);
    }
}

impl<T> Default for Channel<T> {
    fn default() -> Self {
        let (getters, putters) = (WaitList::new(), WaitList::new());
        let (slots, closed) = (RefCell::new(Slab::new()), Cell::new(false));
        Channel { inner: Rc::new(Inner { slots, closed, getters, putters }) }
    }
}

impl<T> Clone for Channel<T> {
    fn clone(&self) -> Self {
        Channel { inner: self.inner.clone() }
    }
}

impl<T> fmt::Debug for Channel<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inner = &self.inner;
        write!(f, "Channel({} getting, {} putting", inner.getters.len(), inner.putters.len())?;
        f.write_str(if self.is_closed() { ", closed)" } else { ")" })
    }
}

#[allow(private_interfaces, reason = "nobody outside can name the lists, nor reach the trait")]
impl<T> Source for Channel<T> {
    type Item = T;

    fn is_ready(&self) -> bool {
        self.inner.putters.has_parked() || self.is_closed()
    }

    fn try_get(&self) -> Result<T, GetError> {
        self.try_get()
    }

    fn getters(&self) -> &WaitList {
        &self.inner.getters
    }
}

queue_iteration!(Channel<T>, "closed");
