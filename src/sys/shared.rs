//! What memory shared between threads is made of here: locks, flags and the lock-free queue.
//!
//! Under `--cfg greenloop_loom` the tests of the protocols between threads (`.ci/loom`) get loom's models of them. The name is our
//! own because crates that we use know `--cfg loom` and turn themselves into models as well.

#[cfg(not(all(test, greenloop_loom)))]
mod real {
    pub(crate) use std::sync::atomic::{AtomicBool, Ordering};
    pub(crate) use std::sync::{Mutex, MutexGuard};

    pub(crate) use crossbeam_queue::SegQueue;
}

#[cfg(all(test, greenloop_loom))]
mod model {
    use std::collections::VecDeque;

    pub(crate) use loom::sync::atomic::{AtomicBool, Ordering};
    pub(crate) use loom::sync::{Mutex, MutexGuard};

    /// The queue itself is crossbeam's and tested there.
    pub(crate) struct SegQueue<T>(Mutex<VecDeque<T>>);

    impl<T> SegQueue<T> {
        pub(crate) fn new() -> Self {
            SegQueue(Mutex::new(VecDeque::new()))
        }

        pub(crate) fn push(&self, item: T) {
            self.0.lock().unwrap().push_back(item);
        }

        pub(crate) fn pop(&self) -> Option<T> {
            self.0.lock().unwrap().pop_front()
        }

        pub(crate) fn is_empty(&self) -> bool {
            self.0.lock().unwrap().is_empty()
        }
    }
}

#[cfg(all(test, greenloop_loom))]
pub(crate) use model::*;
#[cfg(not(all(test, greenloop_loom)))]
pub(crate) use real::*;
