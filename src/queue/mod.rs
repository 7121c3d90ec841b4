//! Queues between greenlets of one thread.
//!
//! [`Queue`] is first in, first out; [`LifoQueue`] and [`PriorityQueue`] have another order; [`JoinableQueue`] knows when its items
//! have been dealt with. In a [`Channel`] putter and getter meet. All of them end by `close`, and so does an iteration over them.

mod channel;
mod core;
mod error;
mod heap;
mod joinable;
mod lifo;
mod listed;
mod methods;
mod priority;
#[expect(clippy::module_inception, reason = "one primitive per file, named after it")]
mod queue;
mod storage;

use std::panic::{RefUnwindSafe, UnwindSafe};

pub use channel::Channel;
pub use error::{GetError, PutError};
pub use joinable::JoinableQueue;
pub use lifo::LifoQueue;
pub(crate) use listed::{Sink, Source};
pub use methods::Iter;
pub use priority::PriorityQueue;
pub use queue::{Queue, SimpleQueue};

// An item is inside or outside whatever panics, and who gets it has it alone: as for the channels of the standard library it does not
// matter what it is.
impl<T> UnwindSafe for Queue<T> {}
impl<T> RefUnwindSafe for Queue<T> {}
impl<T> UnwindSafe for LifoQueue<T> {}
impl<T> RefUnwindSafe for LifoQueue<T> {}
impl<T> UnwindSafe for PriorityQueue<T> {}
impl<T> RefUnwindSafe for PriorityQueue<T> {}
impl<T> UnwindSafe for JoinableQueue<T> {}
impl<T> RefUnwindSafe for JoinableQueue<T> {}
impl<T> UnwindSafe for Channel<T> {}
impl<T> RefUnwindSafe for Channel<T> {}
