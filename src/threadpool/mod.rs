//! Blocking calls on other threads, while the hub goes on.

mod borrow;
mod job;
mod pool;
mod worker;

pub use job::Job;
pub use pool::{ThreadPool, threadpool};
