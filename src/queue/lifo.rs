//! Last in, first out.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use super::core::Core;
use super::listed::{Sink, Source};
use super::methods::{Iter, queue_iteration, queue_methods};
use super::{GetError, PutError};
use crate::park::Deadline;
use crate::waitlist::WaitList;

/// A [`Queue`](super::Queue) that gives the newest item first: a stack.
///
/// Only the items change places; putters and getters are served in the order in which they came.
///
/// # Examples
/// ```
/// use greenloop::queue::LifoQueue;
///
/// let queue = LifoQueue::unbounded().with_items(["first", "second"]);
/// queue.close();
/// assert_eq!(queue.into_iter().collect::<Vec<_>>(), ["second", "first"]);
/// ```
pub struct LifoQueue<T> {
    core: Rc<Core<Vec<T>>>,
}

queue_methods!(LifoQueue<T>, "newest");
