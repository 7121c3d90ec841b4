//! The threads of a pool and their queue.
//!
//! Threads are started when a job comes and none is idle, up to the limit; one that has been idle for
//! [`IDLE_LIMIT`] ends. Jobs lie in a lock-free queue; the lock guards only the counting of threads, and a worker looks
//! at the queue once more under it before it sleeps, so that no job is left behind.

use std::cell::Cell;
use std::io;
use std::mem;
use std::ptr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use crossbeam_queue::SegQueue;

use crate::hub::Completion;
use crate::unwind;

/// As in gevent, an idle worker ends after 5 s.
const IDLE_LIMIT: Duration = Duration::from_secs(5);

/// One job. The completion is dropped after the work, also when the work never runs: then nothing that the work borrows
/// is in use any more.
pub(super) struct Errand {
    pub(super) work: Box<dyn FnOnce() + Send>,
    pub(super) completion: Completion,
}

pub(super) struct Workers {
    errands: SegQueue<Errand>,
    count: Mutex<Count>,
    wake: Condvar,
    limit: usize,
}

#[derive(Default)]
struct Count {
    threads: usize,
    idle: usize,
    closed: bool,
}

thread_local! {
    /// The pool whose worker this thread is.
    static WORKS_FOR: Cell<*const Workers> = const { Cell::new(ptr::null()) };
}

impl Workers {
    pub(super) fn new(limit: usize) -> Arc<Workers> {
        Arc::new(Workers {
            errands: SegQueue::new(),
            count: Mutex::new(Count::default()),
            wake: Condvar::new(),
            limit,
        })
    }

    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    pub(super) fn threads(&self) -> usize {
        self.lock().threads
    }

    /// Does the current thread work for this pool?
    pub(super) fn is_own_worker(&self) -> bool {
        ptr::eq(WORKS_FOR.get(), self)
    }

    /// Queues a job and sees to it that somebody does it.
    ///
    /// All of it under the lock: a worker that gives up waiting looks at the queue under it as well, so the last one
    /// cannot end between the two.
    ///
    /// # Errors
    /// If there is no thread and none can be started. The job is dropped then.
    pub(super) fn submit(self: &Arc<Self>, errand: Errand) -> io::Result<()> {
        let mut count = self.lock();
        if self.errands.len() >= count.idle && count.threads < self.limit {
            match self.start_thread() {
                Ok(()) => count.threads += 1,
                // With fewer threads than allowed the job only waits longer.
                Err(_) if count.threads > 0 => {}
                Err(error) => return Err(error),
            }
        }
        self.errands.push(errand);
        self.wake.notify_one();
        Ok(())
    }

    fn start_thread(self: &Arc<Self>) -> io::Result<()> {
        let workers = self.clone();
        thread::Builder::new().name("greenloop worker".into()).spawn(move || workers.work()).map(drop)
    }

    /// Lets the threads end when the queue is empty.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.wake.notify_all();
    }

    fn work(&self) {
        WORKS_FOR.set(self);
        loop {
            while let Some(Errand { work, completion }) = self.errands.pop() {
                // A panic of the call itself is caught and kept with its result; this one comes from the destructor of a
                // result that nobody wants. The panic hook has reported it; what it threw might panic when dropped.
                mem::forget(unwind::catch(work));
                drop(completion);
            }
            if !self.rest() {
                return;
            }
        }
    }

    /// Waits for a job; false if this thread is to end.
    fn rest(&self) -> bool {
        let mut count = self.lock();
        while self.errands.is_empty() {
            if count.closed {
                count.threads -= 1;
                return false;
            }
            count.idle += 1;
            let (guard, waited) =
                self.wake.wait_timeout(count, IDLE_LIMIT).unwrap_or_else(PoisonError::into_inner);
            count = guard;
            count.idle -= 1;
            if waited.timed_out() && self.errands.is_empty() {
                count.threads -= 1;
                return false;
            }
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, Count> {
        // Nothing panics while it is held; the counts are right in any case.
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
