//! Items from many threads to many.
//!
//! As in a [`Queue`](crate::queue::Queue) no item is ever assigned to somebody who waits: who is woken takes it when it runs.
//! So a receiver that is killed or runs out of time cannot lose one, and a sender that is killed has sent nothing.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::block;
use super::line::Line;
use crate::hub::{Hub, Object, Reason};
use crate::park;
use crate::queue::{GetError, PutError};
use crate::sys::shared::{Mutex, MutexGuard};

/// Makes a channel that holds at most `capacity` items; who sends into a full one waits.
///
/// Senders and receivers can be cloned, sent to other threads and used by greenlets of any hub; a thread that has no hub is
/// blocked where a greenlet would be parked. The channel ends when one side is gone: without senders receivers
/// get what is inside, then [`GetError::Closed`]; without receivers the items are dropped and senders get
/// [`PutError::Closed`].
///
/// # Panics
/// If `capacity` is 0: such a channel could never take an item.
///
/// # Examples
/// ```
/// use greenloop::{spawn, sync};
///
/// let (sender, receiver) = sync::channel(10);
/// let thread = std::thread::spawn(move || {
///     for n in 1..=100 {
///         sender.send(n).unwrap(); // blocks that thread while the channel is full
///     }
/// });
/// let sum = spawn(move || receiver.into_iter().sum::<u32>()); // parks this greenlet while it is empty
/// assert_eq!(sum.join()?, 5050);
/// thread.join().unwrap();
/// # Ok::<(), greenloop::JoinError>(())
/// ```
#[track_caller]
pub fn channel<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    assert!(
        capacity > 0,
        "a channel with room for 0 items could never take one; give it room for at least 1"
    );
    with_capacity(capacity)
}

/// Makes a channel that always has room, see [`channel`](channel()).
///
/// # Examples
/// ```
/// use greenloop::sync::unbounded;
///
/// let (sender, receiver) = unbounded();
/// let thread = std::thread::spawn(move || (0..1000).for_each(|n| sender.send(n).unwrap())); // never waits
/// assert_eq!(receiver.iter().count(), 1000);
/// thread.join().unwrap();
/// ```
pub fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
    with_capacity(usize::MAX)
}

fn with_capacity<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let state = State { items: VecDeque::new(), senders: 1, receivers: 1 };
    let (getters, putters) = (Line::new(), Line::new());
    let shared = Arc::new(Shared { state: Mutex::new(state), capacity, getters, putters });
    (Sender { shared: shared.clone() }, Receiver { shared })
}

pub(super) struct Shared<T> {
    state: Mutex<State<T>>,
    capacity: usize,
    pub(super) getters: Arc<Line>,
    pub(super) putters: Arc<Line>,
}

struct State<T> {
    items: VecDeque<T>,
    senders: usize,
    receivers: usize,
}

impl<T> Shared<T> {
    /// No foreign code runs under the lock.
    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn put(&self, item: T) -> Result<(), PutError<T>> {
        let mut state = self.lock();
        if state.receivers == 0 {
            return Err(PutError::Closed(item));
        }
        if state.items.len() >= self.capacity {
            return Err(PutError::Full(item));
        }
        state.items.push_back(item);
        drop(state);
        self.getters.wake_one();
        Ok(())
    }

    pub(super) fn get(&self) -> Result<T, GetError> {
        let mut state = self.lock();
        let Some(item) = state.items.pop_front() else {
            return Err(if state.senders == 0 { GetError::Closed } else { GetError::Empty });
        };
        drop(state);
        if self.capacity != usize::MAX {
            self.putters.wake_one();
        }
        Ok(item)
    }

    fn len(&self) -> usize {
        self.lock().items.len()
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>, side: &str) -> fmt::Result {
        write!(f, "{side}({} items", self.len())?;
        if self.capacity != usize::MAX {
            write!(f, " of {}", self.capacity)?;
        }
        write!(f, ", {} receiving, {} sending)", self.getters.len(), self.putters.len())
    }
}

/// One that always gets what it wants lets the other greenlets of its thread run now and then.
fn take_turn() {
    if Hub::try_current().is_some() {
        park::take_turn();
    }
}

/// The sending side of a [`channel`](channel()).
///
/// # Examples
/// ```
/// use greenloop::sync::channel;
///
/// let (sender, receiver) = channel(10);
/// let threads = [1, 2].map(|n| {
///     let sender = sender.clone();
///     std::thread::spawn(move || sender.send(n).unwrap())
/// });
/// drop(sender); // the receiver sees the end when the last is gone
/// assert_eq!(receiver.into_iter().sum::<i32>(), 3);
/// threads.map(|thread| thread.join().unwrap());
/// ```
pub struct Sender<T> {
    pub(super) shared: Arc<Shared<T>>,
}

impl<T> Sender<T> {
    /// Sends an item, waiting until there is room.
    ///
    /// **Switches**: if the channel is full, and now and then if it is not.
    ///
    /// **While unwinding** it gives [`PutError::Full`] at once, on a thread with a hub.
    ///
    /// # Errors
    /// [`PutError::Closed`] if all receivers are gone, before or while waiting. [`PutError::Full`] only while unwinding. The
    /// item is in the error.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{queue::PutError, spawn, sync::channel};
    ///
    /// let (sender, receiver) = channel(1);
    /// let first = spawn(move || receiver.iter().take(2).sum::<u32>()); // then the receiver is gone
    /// sender.send(1)?;
    /// sender.send(2)?; // waits for room
    /// assert_eq!(first.join().unwrap(), 3);
    /// assert_eq!(sender.send(3), Err(PutError::Closed(3)));
    /// # Ok::<(), PutError<u32>>(())
    /// ```
    #[track_caller]
    pub fn send(&self, item: T) -> Result<(), PutError<T>> {
        self.send_until(item, None)
    }

    /// Sends an item, waiting for room at most for [`timeout`](crate#time-limits).
    ///
    /// **Switches**: as [`send`](Self::send).
    ///
    /// **While unwinding** it gives [`PutError::Full`] at once, on a thread with a hub.
    ///
    /// # Errors
    /// [`PutError::Full`] if there was no room in time, [`PutError::Closed`] if all receivers are gone.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{queue::PutError, sync::channel};
    /// use std::time::Duration;
    ///
    /// let (sender, receiver) = channel(1);
    /// sender.send(1).unwrap();
    /// assert_eq!(sender.send_timeout(2, Duration::from_millis(1)), Err(PutError::Full(2)));
    /// let thread = std::thread::spawn(move || receiver.iter().collect::<Vec<_>>());
    /// assert_eq!(sender.send_timeout(3, Duration::from_secs(60)), Ok(()));
    /// drop(sender);
    /// assert_eq!(thread.join().unwrap(), [1, 3]);
    /// ```
    #[track_caller]
    pub fn send_timeout(&self, item: T, timeout: Duration) -> Result<(), PutError<T>> {
        self.send_until(item, Some(timeout))
    }

    /// Sends an item if there is room now. **Switches**: no.
    ///
    /// # Errors
    /// [`PutError::Full`] if there is no room, [`PutError::Closed`] if all receivers are gone.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{queue::PutError, sync::channel};
    ///
    /// let (sender, receiver) = channel(1);
    /// assert_eq!([sender.try_send(1), sender.try_send(2)], [Ok(()), Err(PutError::Full(2))]);
    /// drop(receiver);
    /// assert_eq!(sender.try_send(3), Err(PutError::Closed(3)));
    /// ```
    pub fn try_send(&self, item: T) -> Result<(), PutError<T>> {
        self.shared.put(item)
    }

    #[track_caller]
    fn send_until(&self, item: T, timeout: Option<Duration>) -> Result<(), PutError<T>> {
        take_turn();
        let item = match self.shared.put(item) {
            Err(PutError::Full(item)) => item,
            done => return done,
        };
        let reason = Reason::of(&"channel (send)", Object::fill(self.len(), self.shared.capacity));
        let mut waiting = Some(item);
        let sent =
            block::wait(&self.shared.putters, reason, timeout, || match self.shared.put(waiting.take()?) {
                Err(PutError::Full(item)) => {
                    waiting = Some(item);
                    None
                }
                done => Some(done),
            });
        match (sent, waiting) {
            (None, Some(item)) => Err(PutError::Full(item)),
            (sent, _) => sent.unwrap_or(Ok(())),
        }
    }

    /// How many items are inside.
    ///
    /// # Examples
    /// ```
    /// let (sender, receiver) = greenloop::sync::channel(10);
    /// sender.send("one").unwrap();
    /// assert_eq!(sender.len(), 1);
    /// receiver.recv().unwrap();
    /// assert_eq!(sender.len(), 0);
    /// ```
    pub fn len(&self) -> usize {
        self.shared.len()
    }

    /// Is nothing inside?
    ///
    /// # Examples
    /// ```
    /// let (sender, receiver) = greenloop::sync::channel(10);
    /// sender.send("one").unwrap();
    /// assert!(!sender.is_empty());
    /// receiver.recv().unwrap();
    /// assert!(sender.is_empty()); // all has been received
    /// ```
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Are all receivers gone?
    ///
    /// # Examples
    /// ```
    /// let (sender, receiver) = greenloop::sync::channel::<u8>(10);
    /// assert!(!sender.is_closed());
    /// drop(receiver);
    /// assert!(sender.is_closed());
    /// ```
    pub fn is_closed(&self) -> bool {
        self.shared.lock().receivers == 0
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.shared.lock().senders += 1;
        Sender { shared: self.shared.clone() }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.senders -= 1;
        let last = state.senders == 0;
        drop(state);
        if last {
            self.shared.getters.wake_all();
        }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared.describe(f, "Sender")
    }
}

/// The receiving side of a [`channel`](channel()). A greenlet that waits here, while senders live, counts as outside work: its hub
/// sleeps and raises no [`LoopExit`](crate::LoopExit).
///
/// # Examples
/// ```
/// use greenloop::sync::unbounded;
///
/// let (sender, receiver) = unbounded();
/// let threads = [receiver.clone(), receiver].map(|jobs| std::thread::spawn(move || jobs.iter().count()));
/// (0..100).for_each(|job| sender.send(job).unwrap());
/// drop(sender);
/// assert_eq!(threads.map(|thread| thread.join().unwrap()).iter().sum::<usize>(), 100);
/// ```
pub struct Receiver<T> {
    pub(super) shared: Arc<Shared<T>>,
}

impl<T> Receiver<T> {
    /// Takes the oldest item, waiting until there is one.
    ///
    /// **Switches**: if the channel is empty, and now and then if it is not.
    ///
    /// **While unwinding** it gives [`GetError::Empty`] at once, on a thread with a hub.
    ///
    /// # Errors
    /// [`GetError::Closed`] if the channel is empty and all senders are gone. [`GetError::Empty`] only while unwinding.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{queue::GetError, sync::channel};
    ///
    /// let (sender, receiver) = channel(10);
    /// let thread = std::thread::spawn(move || sender.send("from a thread").unwrap());
    /// assert_eq!(receiver.recv(), Ok("from a thread"));
    /// assert_eq!(receiver.recv(), Err(GetError::Closed)); // the sender is gone
    /// # thread.join().unwrap();
    /// ```
    #[track_caller]
    pub fn recv(&self) -> Result<T, GetError> {
        self.recv_until(None)
    }

    /// Takes the oldest item, waiting for one at most for [`timeout`](crate#time-limits).
    ///
    /// **Switches**: as [`recv`](Self::recv).
    ///
    /// **While unwinding** it gives [`GetError::Empty`] at once, on a thread with a hub.
    ///
    /// # Errors
    /// [`GetError::Empty`] if none came in time, [`GetError::Closed`] if the channel is empty and all senders are gone.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{queue::GetError, sync::channel};
    /// use std::time::Duration;
    ///
    /// let (sender, receiver) = channel(10);
    /// assert_eq!(receiver.recv_timeout(Duration::from_millis(1)), Err(GetError::Empty));
    /// sender.send(1).unwrap();
    /// assert_eq!(receiver.recv_timeout(Duration::from_millis(1)), Ok(1));
    /// ```
    #[track_caller]
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, GetError> {
        self.recv_until(Some(timeout))
    }

    /// Takes the oldest item if there is one now. **Switches**: no.
    ///
    /// # Errors
    /// [`GetError::Empty`] if there is none, [`GetError::Closed`] if all senders are gone, too.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{queue::GetError, sync::channel};
    ///
    /// let (sender, receiver) = channel(10);
    /// sender.send(1).unwrap();
    /// assert_eq!([receiver.try_recv(), receiver.try_recv()], [Ok(1), Err(GetError::Empty)]);
    /// drop(sender);
    /// assert_eq!(receiver.try_recv(), Err(GetError::Closed));
    /// ```
    pub fn try_recv(&self) -> Result<T, GetError> {
        self.shared.get()
    }

    #[track_caller]
    fn recv_until(&self, timeout: Option<Duration>) -> Result<T, GetError> {
        take_turn();
        let attempt = || match self.shared.get() {
            Err(GetError::Empty) => None,
            done => Some(done),
        };
        block::wait(&self.shared.getters, Reason::plain(&"channel (recv)"), timeout, attempt)
            .unwrap_or(Err(GetError::Empty))
    }

    /// Takes items until all senders are gone and nothing is left; `next` waits as [`recv`](Self::recv) does.
    ///
    /// # Examples
    /// ```
    /// use greenloop::sync::channel;
    ///
    /// let (sender, receiver) = channel(10);
    /// let thread = std::thread::spawn(move || (0..100).for_each(|n| sender.send(n).unwrap()));
    /// assert_eq!(receiver.iter().take(3).collect::<Vec<_>>(), [0, 1, 2]);
    /// assert_eq!(receiver.iter().last(), Some(99)); // until the sender is gone
    /// # thread.join().unwrap();
    /// ```
    pub fn iter(&self) -> Iter<'_, T> {
        Iter { receiver: self }
    }

    /// How many items are inside.
    ///
    /// # Examples
    /// ```
    /// let (sender, receiver) = greenloop::sync::channel(10);
    /// (0..3).for_each(|n| sender.send(n).unwrap());
    /// receiver.recv().unwrap();
    /// assert_eq!(receiver.len(), 2);
    /// ```
    pub fn len(&self) -> usize {
        self.shared.len()
    }

    /// Is nothing inside?
    ///
    /// # Examples
    /// ```
    /// let (sender, receiver) = greenloop::sync::channel(10);
    /// assert!(receiver.is_empty());
    /// sender.send("one").unwrap();
    /// assert!(!receiver.is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Are all senders gone? There may still be items.
    ///
    /// # Examples
    /// ```
    /// let (sender, receiver) = greenloop::sync::channel(10);
    /// sender.send("last").unwrap();
    /// drop(sender);
    /// assert!(receiver.is_closed());
    /// assert_eq!(receiver.recv(), Ok("last"));
    /// ```
    pub fn is_closed(&self) -> bool {
        self.shared.lock().senders == 0
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        self.shared.lock().receivers += 1;
        Receiver { shared: self.shared.clone() }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.receivers -= 1;
        if state.receivers > 0 {
            return;
        }
        let items = std::mem::take(&mut state.items);
        drop(state);
        self.shared.putters.wake_all();
        drop(items);
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared.describe(f, "Receiver")
    }
}

impl<'a, T> IntoIterator for &'a Receiver<T> {
    type Item = T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

impl<T> IntoIterator for Receiver<T> {
    type Item = T;
    type IntoIter = IntoIter<T>;

    /// Takes items until all senders are gone and nothing is left; `next` waits as [`recv`](Self::recv) does.
    fn into_iter(self) -> IntoIter<T> {
        IntoIter { receiver: self }
    }
}

/// The items of a [`Receiver`] as they come. While unwinding `next` ends the iteration instead of waiting, on a thread with a hub.
///
/// # Examples
/// ```
/// use greenloop::sync::{Iter, unbounded};
///
/// let (sender, receiver) = unbounded();
/// ["one", "two"].map(|line| sender.send(line).unwrap());
/// let mut lines: Iter<'_, _> = receiver.iter();
/// assert_eq!(lines.next(), Some("one"));
/// assert_eq!(receiver.recv(), Ok("two")); // only borrowed
/// ```
#[derive(Debug)]
pub struct Iter<'a, T> {
    receiver: &'a Receiver<T>,
}

impl<T> Iterator for Iter<'_, T> {
    type Item = T;

    #[track_caller]
    fn next(&mut self) -> Option<T> {
        self.receiver.recv().ok()
    }
}

/// The items of a [`Receiver`] as they come, with the receiver inside. While unwinding `next` ends the iteration instead of
/// waiting, on a thread with a hub.
///
/// # Examples
/// ```
/// use greenloop::sync::{IntoIter, unbounded};
///
/// let (sender, receiver) = unbounded();
/// let mut lines: IntoIter<_> = receiver.into_iter();
/// sender.send("one").unwrap();
/// assert_eq!(lines.next(), Some("one"));
/// drop(lines); // the receiver goes with it
/// assert!(sender.is_closed());
/// ```
#[derive(Debug)]
pub struct IntoIter<T> {
    receiver: Receiver<T>,
}

impl<T> Iterator for IntoIter<T> {
    type Item = T;

    #[track_caller]
    fn next(&mut self) -> Option<T> {
        self.receiver.recv().ok()
    }
}
