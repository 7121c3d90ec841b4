//! Why a queue did not take or give an item.

use std::fmt;

/// A queue did not take an item. The item is inside.
///
/// # Examples
/// ```
/// use greenloop::queue::{PutError, Queue};
///
/// let queue = Queue::bounded(1);
/// queue.put(1).unwrap();
/// assert_eq!(queue.try_put(2), Err(PutError::Full(2)));
/// queue.close();
/// assert_eq!(queue.put(3), Err(PutError::Closed(3)));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PutError<T> {
    /// There was no room (in time): gevent's `Full`. A `put` without a time limit says this only while the thread unwinds,
    /// when nothing waits.
    #[error("the queue is full")]
    Full(T),
    /// The queue was closed: gevent's `ShutDown`.
    #[error("the queue is closed")]
    Closed(T),
}

impl<T> PutError<T> {
    /// The item that was not taken.
    ///
    /// # Examples
    /// ```
    /// let queue = greenloop::queue::Queue::bounded(1);
    /// queue.put("one").unwrap();
    /// assert_eq!(queue.try_put("two").unwrap_err().into_item(), "two");
    /// ```
    pub fn into_item(self) -> T {
        match self {
            PutError::Full(item) | PutError::Closed(item) => item,
        }
    }

    /// Was there no room?
    ///
    /// # Examples
    /// ```
    /// let queue = greenloop::queue::Queue::bounded(1);
    /// queue.put(1).unwrap();
    /// assert!(queue.try_put(2).unwrap_err().is_full());
    /// ```
    pub fn is_full(&self) -> bool {
        matches!(self, PutError::Full(_))
    }

    /// Was the queue closed?
    ///
    /// # Examples
    /// ```
    /// let queue = greenloop::queue::Queue::unbounded();
    /// queue.close();
    /// assert!(queue.put(1).unwrap_err().is_closed());
    /// ```
    pub fn is_closed(&self) -> bool {
        matches!(self, PutError::Closed(_))
    }
}

impl<T> fmt::Debug for PutError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            PutError::Full(_) => "Full(..)",
            PutError::Closed(_) => "Closed(..)",
        })
    }
}

/// A queue gave no item.
///
/// # Examples
/// ```
/// use greenloop::queue::{GetError, Queue};
///
/// let queue = Queue::<u8>::unbounded();
/// assert_eq!(queue.try_get(), Err(GetError::Empty));
/// queue.close();
/// assert_eq!(queue.get(), Err(GetError::Closed));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GetError {
    /// There was no item (in time): gevent's `Empty`. A `get` without a time limit says this only while the thread unwinds,
    /// when nothing waits.
    #[error("the queue is empty")]
    Empty,
    /// The queue is closed and all its items are gone: gevent's `ShutDown`.
    #[error("the queue is closed and empty")]
    Closed,
}
