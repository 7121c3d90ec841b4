//! The methods of all queues with room inside, written once: each type gets them as its own, with documentation in its words.

/// Implements them for a type with a field `core`. `$first` says which item is next, as in "the oldest".
macro_rules! queue_methods {
    ($Queue:ident<$T:ident $(: $Bound:ident)?>, $first:literal) => {
        impl<$T $(: $Bound)?> $Queue<$T> {
            /// A queue that holds at most `capacity` items; `put` waits while it is full.
            ///
            /// # Panics
            /// If `capacity` is 0: such a queue could never take an item.
            ///
            /// # Examples
            /// ```
            #[doc = concat!("let queue = greenloop::queue::", stringify!($Queue), "::bounded(1);")]
            /// queue.put(1).unwrap();
            /// assert!(queue.is_full());
            /// ```
            #[track_caller]
            pub fn bounded(capacity: usize) -> Self {
                $Queue { core: Rc::new(Core::new(capacity)) }
            }

            /// A queue that always has room.
            ///
            /// # Examples
            /// ```
            #[doc = concat!("let queue = greenloop::queue::", stringify!($Queue), "::unbounded();")]
            /// (0..1000).for_each(|n| queue.put(n).unwrap()); // never waits
            /// assert_eq!((queue.len(), queue.capacity()), (1000, None));
            /// ```
            pub fn unbounded() -> Self {
                Self::bounded(usize::MAX)
            }

            /// Puts these items in at the beginning. An unbounded queue can also be collected from an iterator.
            ///
            /// **Switches**: no.
            ///
            /// # Panics
            /// If there are more than the queue has room for, or if it is closed.
            ///
            /// # Examples
            /// ```
            #[doc = concat!("use greenloop::queue::", stringify!($Queue), ";")]
            ///
            #[doc = concat!("let queue = ", stringify!($Queue), "::bounded(10).with_items([1, 2, 3]);")]
            /// assert_eq!(queue.len(), 3);
            #[doc = concat!("assert_eq!((1..=4).collect::<", stringify!($Queue), "<_>>().len(), 4);")]
            /// ```
            #[track_caller]
            pub fn with_items(self, items: impl IntoIterator<Item = $T>) -> Self {
                for item in items {
                    if let Err(error) = self.core.try_put(item) {
                        panic!("cannot build {self:?} with more items: {error}");
                    }
                }
                self
            }

            /// How many items are inside.
            ///
            /// # Examples
            /// ```
            #[doc = concat!("let queue = greenloop::queue::", stringify!($Queue), "::unbounded().with_items([1, 2]);")]
            /// assert_eq!(queue.len(), 2);
            /// queue.get().unwrap();
            /// assert_eq!(queue.len(), 1);
            /// ```
            pub fn len(&self) -> usize {
                self.core.len()
            }

            /// Is nothing inside?
            ///
            /// # Examples
            /// ```
            #[doc = concat!("let queue = greenloop::queue::", stringify!($Queue), "::unbounded().with_items([1]);")]
            /// assert!(!queue.is_empty());
            /// queue.get().unwrap();
            /// assert!(queue.is_empty());
            /// ```
            pub fn is_empty(&self) -> bool {
                self.len() == 0
            }

            /// Is there no room for another item?
            ///
            /// # Examples
            /// ```
            #[doc = concat!("let queue = greenloop::queue::", stringify!($Queue), "::bounded(2);")]
            /// queue.put(1).unwrap();
            /// assert!(!queue.is_full());
            /// queue.put(2).unwrap();
            /// assert!(queue.is_full());
            /// ```
            pub fn is_full(&self) -> bool {
                self.core.is_full()
            }

            /// How many items it can hold; `None` if there is no limit.
            ///
            /// # Examples
            /// ```
            #[doc = concat!("let queue = greenloop::queue::", stringify!($Queue), "::<u8>::bounded(2);")]
            /// assert_eq!(queue.capacity(), Some(2));
            /// ```
            pub fn capacity(&self) -> Option<usize> {
                self.core.capacity()
            }

            /// Has it been closed?
            ///
            /// # Examples
            /// ```
            #[doc = concat!("let queue = greenloop::queue::", stringify!($Queue), "::unbounded().with_items([1]);")]
            /// queue.close();
            /// assert!(queue.is_closed() && !queue.is_empty()); // the item can still be got
            /// ```
            pub fn is_closed(&self) -> bool {
                self.core.is_closed()
            }

            /// Adds an item, waiting until there is room.
            ///
            /// **Switches**: if the queue is full.
            ///
            /// **While unwinding** it gives [`PutError::Full`] at once.
            ///
            /// # Errors
            /// [`PutError::Closed`] if the queue is closed, before or while waiting. The item is in the error.
            ///
            /// # Panics
            /// On a thread's root with [`LoopExit`](crate::LoopExit) if nothing is left that could ever make room.
            ///
            /// # Examples
            /// ```
            #[doc = concat!("use greenloop::{queue::", stringify!($Queue), ", spawn};")]
            ///
            #[doc = concat!("let queue = ", stringify!($Queue), "::bounded(1);")]
            /// spawn({ let queue = queue.clone(); move || (0..3).for_each(|n| queue.put(n).unwrap()) }); // waits for room
            /// assert_eq!([queue.get(), queue.get(), queue.get()], [Ok(0), Ok(1), Ok(2)]);
            /// ```
            #[inline(always)]
            #[track_caller]
            pub fn put(&self, item: $T) -> Result<(), PutError<$T>> {
                self.core.put_until(item, Deadline::NEVER)
            }

            /// Adds an item, waiting for room at most for [`timeout`](crate#time-limits).
            ///
            /// **Switches**: if the queue is full.
            ///
            /// **While unwinding** it gives [`PutError::Full`] at once.
            ///
            /// # Errors
            /// [`PutError::Full`] if there was no room in time, [`PutError::Closed`] if the queue is closed.
            ///
            /// # Panics
            /// On a thread's root with [`LoopExit`](crate::LoopExit) if the time is beyond the reach of the clock and nothing is left
            /// that could ever make room.
            ///
            /// # Examples
            /// ```
            #[doc = concat!("use greenloop::queue::{", stringify!($Queue), ", PutError};")]
            /// use std::time::Duration;
            ///
            #[doc = concat!("let queue = ", stringify!($Queue), "::bounded(1);")]
            /// queue.put(1).unwrap();
            /// assert_eq!(queue.put_timeout(2, Duration::from_millis(1)), Err(PutError::Full(2)));
            /// ```
            #[track_caller]
            pub fn put_timeout(&self, item: $T, timeout: Duration) -> Result<(), PutError<$T>> {
                match self.try_put(item) {
                    Err(PutError::Full(item)) => self.core.put_until(item, Deadline::after(Some(timeout))),
                    done => done,
                }
            }

            /// Adds an item if there is room now. **Switches**: no.
            ///
            /// # Errors
            /// [`PutError::Full`] if there is no room, [`PutError::Closed`] if the queue is closed.
            ///
            /// # Examples
            /// ```
            #[doc = concat!("use greenloop::queue::{PutError, ", stringify!($Queue), "};")]
            ///
            #[doc = concat!("let queue = ", stringify!($Queue), "::bounded(1);")]
            /// assert_eq!([queue.try_put(1), queue.try_put(2)], [Ok(()), Err(PutError::Full(2))]);
            /// ```
            pub fn try_put(&self, item: $T) -> Result<(), PutError<$T>> {
                self.core.try_put(item)
            }

            #[doc = concat!("Takes the ", $first, " item, waiting until there is one.")]
            ///
            /// **Switches**: if the queue is empty.
            ///
            /// **While unwinding** it gives [`GetError::Empty`] at once.
            ///
            /// # Errors
            /// [`GetError::Closed`] if the queue is closed and empty.
            ///
            /// # Panics
            /// On a thread's root with [`LoopExit`](crate::LoopExit) if nothing is left that could ever put an item.
            ///
            /// # Examples
            /// ```
            #[doc = concat!("use greenloop::{queue::", stringify!($Queue), ", spawn};")]
            ///
            #[doc = concat!("let queue = ", stringify!($Queue), "::unbounded();")]
            /// spawn({ let queue = queue.clone(); move || queue.put("here").unwrap() });
            /// assert_eq!(queue.get(), Ok("here"));
            /// ```
            #[inline(always)]
            #[track_caller]
            pub fn get(&self) -> Result<$T, GetError> {
                self.core.get_until(Deadline::NEVER, Core::try_get)
            }

            #[doc = concat!("Takes the ", $first, " item, waiting for one at most for [`timeout`](crate#time-limits).")]
            ///
            /// **Switches**: if the queue is empty.
            ///
            /// **While unwinding** it gives [`GetError::Empty`] at once.
            ///
            /// # Errors
            /// [`GetError::Empty`] if none came in time, [`GetError::Closed`] if the queue is closed and empty.
            ///
            /// # Panics
            /// On a thread's root with [`LoopExit`](crate::LoopExit) if the time is beyond the reach of the clock and nothing is left
            /// that could ever put an item.
            ///
            /// # Examples
            /// ```
            #[doc = concat!("use greenloop::queue::{GetError, ", stringify!($Queue), "};")]
            /// use std::time::Duration;
            ///
            #[doc = concat!("let queue = ", stringify!($Queue), "::<u8>::unbounded();")]
            /// assert_eq!(queue.get_timeout(Duration::from_millis(1)), Err(GetError::Empty));
            /// ```
            #[track_caller]
            pub fn get_timeout(&self, timeout: Duration) -> Result<$T, GetError> {
                match self.try_get() {
                    Err(GetError::Empty) => self.core.get_until(Deadline::after(Some(timeout)), Core::try_get),
                    done => done,
                }
            }

            #[doc = concat!("Takes the ", $first, " item if there is one now. **Switches**: no.")]
            ///
            /// # Errors
            /// [`GetError::Empty`] if there is none, [`GetError::Closed`] if the queue is also closed.
            ///
            /// # Examples
            /// ```
            #[doc = concat!("use greenloop::queue::{GetError, ", stringify!($Queue), "};")]
            ///
            #[doc = concat!("let queue = ", stringify!($Queue), "::unbounded();")]
            /// queue.put(1).unwrap();
            /// assert_eq!([queue.try_get(), queue.try_get()], [Ok(1), Err(GetError::Empty)]);
            /// ```
            pub fn try_get(&self) -> Result<$T, GetError> {
                self.core.try_get()
            }

            #[doc = concat!("Waits until there is an item and gives a clone of the ", $first, "; it stays inside.")]
            ///
            /// Until it is cloned it is nobody else's: others who want an item wait.
            ///
            /// **Switches**: if the queue is empty.
            ///
            /// **While unwinding** it gives [`GetError::Empty`] at once.
            ///
            /// # Errors
            /// [`GetError::Closed`] if the queue is closed and empty.
            ///
            /// # Examples
            /// ```
            #[doc = concat!("let queue = greenloop::queue::", stringify!($Queue), "::unbounded();")]
            /// queue.put("first").unwrap();
            /// assert_eq!(queue.peek(), Ok("first"));
            /// assert_eq!(queue.get(), Ok("first"));
            /// ```
            #[track_caller]
            pub fn peek(&self) -> Result<$T, GetError>
            where
                $T: Clone,
            {
                self.core.get_until(Deadline::NEVER, Core::try_peek)
            }

            /// [`peek`](Self::peek), waiting at most for [`timeout`](crate#time-limits).
            ///
            /// **Switches**: if the queue is empty.
            ///
            /// **While unwinding** it gives [`GetError::Empty`] at once.
            ///
            /// # Errors
            /// [`GetError::Empty`] if none came in time, [`GetError::Closed`] if the queue is closed and empty.
            ///
            /// # Panics
            /// On a thread's root with [`LoopExit`](crate::LoopExit) if the time is beyond the reach of the clock and nothing is left
            /// that could ever put an item.
            ///
            /// # Examples
            /// ```
            #[doc = concat!("use greenloop::queue::{GetError, ", stringify!($Queue), "};")]
            /// use std::time::Duration;
            ///
            #[doc = concat!("let (queue, limit) = (", stringify!($Queue), "::unbounded(), Duration::from_millis(1));")]
            /// assert_eq!(queue.peek_timeout(limit), Err(GetError::Empty));
            /// queue.put(1).unwrap();
            /// assert_eq!((queue.peek_timeout(limit), queue.len()), (Ok(1), 1));
            /// ```
            #[track_caller]
            pub fn peek_timeout(&self, timeout: Duration) -> Result<$T, GetError>
            where
                $T: Clone,
            {
                self.core.get_until(Deadline::after(Some(timeout)), Core::try_peek)
            }

            /// [`peek`](Self::peek) if there is an item now. **Switches**: no.
            ///
            /// # Errors
            /// [`GetError::Empty`] if there is none, [`GetError::Closed`] if the queue is also closed.
            ///
            /// # Examples
            /// ```
            #[doc = concat!("use greenloop::queue::{GetError, ", stringify!($Queue), "};")]
            ///
            #[doc = concat!("let queue = ", stringify!($Queue), "::unbounded();")]
            /// assert_eq!(queue.try_peek(), Err(GetError::Empty));
            /// queue.put(1).unwrap();
            /// assert_eq!((queue.try_peek(), queue.try_get()), (Ok(1), Ok(1)));
            /// ```
            pub fn try_peek(&self) -> Result<$T, GetError>
            where
                $T: Clone,
            {
                self.core.try_peek()
            }

            /// Closes the queue: from now on nothing can be put, and when the items inside are gone getters and iterations
            /// end. Wakes everybody who waits. Closing twice does nothing.
            ///
            /// **Switches**: no.
            ///
            /// # Examples
            /// ```
            #[doc = concat!("use greenloop::queue::{GetError, ", stringify!($Queue), "};")]
            ///
            #[doc = concat!("let queue = ", stringify!($Queue), "::unbounded();")]
            /// queue.put(1).unwrap();
            /// queue.close();
            /// assert!(queue.put(2).unwrap_err().is_closed());
            /// assert_eq!([queue.get(), queue.get()], [Ok(1), Err(GetError::Closed)]);
            /// ```
            pub fn close(&self) {
                self.core.close();
            }

            /// Closes the queue and drops the items inside: getters and iterations end at once. Wakes everybody who waits.
            ///
            /// **Switches**: no, unless the destructor of an item does.
            ///
            /// # Examples
            /// ```
            #[doc = concat!("use greenloop::queue::{GetError, ", stringify!($Queue), "};")]
            ///
            #[doc = concat!("let queue = ", stringify!($Queue), "::unbounded().with_items([1, 2, 3]);")]
            /// queue.close_now();
            /// assert_eq!(queue.get(), Err(GetError::Closed));
            /// ```
            pub fn close_now(&self) {
                self.core.close_now();
            }
        }

        impl<$T> Clone for $Queue<$T> {
            fn clone(&self) -> Self {
                $Queue { core: self.core.clone() }
            }
        }

        impl<$T $(: $Bound)?> FromIterator<$T> for $Queue<$T> {
            /// An unbounded queue with these items.
            fn from_iter<I: IntoIterator<Item = $T>>(items: I) -> Self {
                $Queue::unbounded().with_items(items)
            }
        }

        impl<$T> fmt::Debug for $Queue<$T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.core.describe(stringify!($Queue), f)
            }
        }

        #[allow(private_interfaces, reason = "nobody outside can name the lists, nor reach the trait")]
        impl<$T $(: $Bound)?> Source for $Queue<$T> {
            type Item = $T;

            fn is_ready(&self) -> bool {
                !self.is_empty() || self.is_closed()
            }

            fn try_get(&self) -> Result<$T, GetError> {
                self.core.try_get()
            }

            fn getters(&self) -> &WaitList {
                self.core.getters()
            }
        }

        #[allow(private_interfaces, reason = "nobody outside can name the lists, nor reach the trait")]
        impl<$T $(: $Bound)?> Sink for $Queue<$T> {
            type Item = $T;

            fn has_room(&self) -> bool {
                !self.is_full() || self.is_closed()
            }

            fn try_put(&self, item: $T) -> Result<(), PutError<$T>> {
                self.core.try_put(item)
            }

            fn putters(&self) -> &WaitList {
                self.core.putters()
            }
        }

        queue_iteration!($Queue<$T $(: $Bound)?>, "closed and empty");
    };
}

/// Implements iteration for a type with a method `get`.
macro_rules! queue_iteration {
    ($Queue:ident<$T:ident $(: $Bound:ident)?>, $end:literal) => {
        impl<$T $(: $Bound)?> IntoIterator for &$Queue<$T> {
            type Item = $T;
            type IntoIter = Iter<$Queue<$T>>;

            #[doc = concat!("Takes items until the queue is ", $end, "; `next` waits as `get` does.")]
            fn into_iter(self) -> Self::IntoIter {
                Iter(self.clone())
            }
        }

        impl<$T $(: $Bound)?> IntoIterator for $Queue<$T> {
            type Item = $T;
            type IntoIter = Iter<$Queue<$T>>;

            #[doc = concat!("Takes items until the queue is ", $end, "; `next` waits as `get` does.")]
            fn into_iter(self) -> Self::IntoIter {
                Iter(self)
            }
        }

        impl<$T $(: $Bound)?> Iterator for Iter<$Queue<$T>> {
            type Item = $T;

            #[inline(always)]
            #[track_caller]
            fn next(&mut self) -> Option<$T> {
                self.0.get().ok()
            }
        }
    };
}

/// The items of a queue as they come, until it has ended. Dropping it leaves the rest inside. While unwinding `next` ends the
/// iteration instead of waiting.
///
/// # Examples
/// ```
/// use greenloop::queue::{Iter, Queue};
///
/// let queue: Queue<u32> = (1..=4).collect();
/// let mut items: Iter<_> = (&queue).into_iter();
/// assert_eq!((items.next(), items.next()), (Some(1), Some(2)));
/// drop(items);
/// assert_eq!(queue.len(), 2); // the rest is still inside
/// ```
#[derive(Debug)]
pub struct Iter<Q>(pub(super) Q);

pub(super) use {queue_iteration, queue_methods};
