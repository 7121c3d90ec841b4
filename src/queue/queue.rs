//! First in, first out.

use std::collections::VecDeque;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use super::core::Core;
use super::listed::{Sink, Source};
use super::methods::{Iter, queue_iteration, queue_methods};
use super::{GetError, PutError};
use crate::park::Deadline;
use crate::waitlist::WaitList;

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
    core: Rc<Core<VecDeque<T>>>,
}

/// gevent's name for a queue without `task_done` and `join`, which [`Queue`] does not have anyway: those are
/// [`JoinableQueue`](super::JoinableQueue)'s.
///
/// # Examples
/// ```
/// use greenloop::queue::SimpleQueue;
///
/// let lines: SimpleQueue<&str> = ["one", "two"].into_iter().collect();
/// assert_eq!((lines.get(), lines.get()), (Ok("one"), Ok("two")));
/// ```
pub type SimpleQueue<T> = Queue<T>;

queue_methods!(Queue<T>, "oldest");
