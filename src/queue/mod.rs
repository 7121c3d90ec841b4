//! Queues between greenlets of one thread.

mod error;
#[expect(clippy::module_inception, reason = "one primitive per file, named after it")]
mod queue;

pub use error::{GetError, PutError};
pub use queue::{Iter, Queue};
