//! The smallest first.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use super::core::Core;
use super::heap::Heap;
use super::listed::{Sink, Source};
use super::methods::{Iter, queue_iteration, queue_methods};
use super::{GetError, PutError};
use crate::park::Deadline;
use crate::waitlist::WaitList;

/// A [`Queue`](super::Queue) that gives the smallest item first, and equal ones in the order in which they came.
///
/// For the largest first wrap the items in [`Reverse`](std::cmp::Reverse). The `Ord` of the items must not use the queue, except for
/// its length, nor switch greenlets. If it panics, so does the call that compares: then nothing was put, or taken.
///
/// # Examples
/// ```
/// use greenloop::queue::PriorityQueue;
///
/// let queue: PriorityQueue<_> = [(2, "later"), (1, "at once"), (3, "last")].into_iter().collect();
/// queue.close();
/// let order: Vec<_> = queue.into_iter().map(|(_, job)| job).collect();
/// assert_eq!(order, ["at once", "later", "last"]);
/// ```
pub struct PriorityQueue<T> {
    core: Rc<Core<Heap<T>>>,
}

queue_methods!(PriorityQueue<T: Ord>, "smallest");
