//! Locks between greenlets of one thread.

mod semaphore;

pub use semaphore::Semaphore;
