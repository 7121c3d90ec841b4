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

pub use channel::Channel;
pub use error::{GetError, PutError};
pub use joinable::JoinableQueue;
pub use lifo::LifoQueue;
pub(crate) use listed::{Sink, Source};
pub use methods::Iter;
pub use priority::PriorityQueue;
pub use queue::{Queue, SimpleQueue};
