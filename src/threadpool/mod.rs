//! Blocking calls on other threads, while the hub goes on.

mod borrow;
mod job;
mod pool;
mod worker;

use std::panic::{RefUnwindSafe, UnwindSafe};

pub use job::Job;
pub use pool::{ThreadPool, threadpool};

// A panic finds nothing half done in here, and those of the jobs stay with them.
impl UnwindSafe for ThreadPool {}
impl RefUnwindSafe for ThreadPool {}
impl<T> UnwindSafe for Job<T> {}
impl<T> RefUnwindSafe for Job<T> {}
