//! The threads of a pool and their queue.
//!
//! Threads are started when a job comes and none is free for it, up to the limit. One that has been idle for some time ends; so does
//! one that finds itself beyond the limit, and one that was there before the last `kill`. Everything is decided under one lock: a
//! worker that is about to end has looked at the queue under it, so no job is left behind.

use std::cell::Cell;
use std::collections::VecDeque;
use std::io;
use std::mem;
use std::ptr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::hub::{Completion, Reason};
use crate::sync::{self, Line};
use crate::unwind;

/// As in gevent, an idle worker ends after 5 s.
const IDLE_TIMEOUT: Duration = Duration::from_secs(5);

/// One job. The completion is dropped after the work, also when the work never runs: then nothing that the work borrows
/// is in use any more.
pub(super) struct Errand {
    pub(super) work: Box<dyn FnOnce() + Send>,
    pub(super) completion: Completion,
}

pub(super) struct Workers {
    state: Mutex<State>,
    wake: Condvar,
    /// Those who wait until nothing is queued nor running.
    finished: Arc<Line>,
    /// Those who wait until the threads of before a `kill` have ended.
    dismissed: Arc<Line>,
}

struct State {
    errands: VecDeque<Errand>,
    limit: usize,
    idle_timeout: Duration,
    threads: usize,
    running: usize,
    closed: bool,
    /// The number of `kill`s.
    era: usize,
    /// Threads that have not yet noticed the last `kill`.
    old: usize,
}

impl State {
    /// Threads that look for a job now or will at once.
    fn free(&self) -> usize {
        self.threads - self.running
    }

    fn is_finished(&self) -> bool {
        self.errands.is_empty() && self.running == 0
    }
}

thread_local! {
    /// The pool whose worker this thread is.
    static WORKS_FOR: Cell<*const Workers> = const { Cell::new(ptr::null()) };
}

impl Workers {
    pub(super) fn new(limit: usize) -> Arc<Workers> {
        let state = State {
            errands: VecDeque::new(),
            limit,
            idle_timeout: IDLE_TIMEOUT,
            threads: 0,
            running: 0,
            closed: false,
            era: 0,
            old: 0,
        };
        let (finished, dismissed) = (Line::new(), Line::new());
        Arc::new(Workers { state: Mutex::new(state), wake: Condvar::new(), finished, dismissed })
    }

    pub(super) fn limit(&self) -> usize {
        self.lock().limit
    }

    pub(super) fn threads(&self) -> usize {
        self.lock().threads
    }

    /// How many jobs are queued or running.
    pub(super) fn jobs(&self) -> usize {
        let state = self.lock();
        state.errands.len() + state.running
    }

    /// Does the current thread work for this pool?
    pub(super) fn is_own_worker(&self) -> bool {
        ptr::eq(WORKS_FOR.get(), self)
    }

    /// Queues a job and sees to it that somebody does it.
    ///
    /// # Errors
    /// If there is no thread and none can be started. The job is dropped then.
    pub(super) fn submit(self: &Arc<Self>, errand: Errand) -> io::Result<()> {
        let mut state = self.lock();
        if state.errands.len() >= state.free() && state.threads < state.limit {
            match self.start_thread(&mut state) {
                Ok(()) => {}
                // With fewer threads than allowed the job only waits longer.
                Err(_) if state.threads > 0 => {}
                Err(error) => {
                    drop(state);
                    return Err(error);
                }
            }
        }
        state.errands.push_back(errand);
        drop(state);
        self.wake.notify_one();
        Ok(())
    }

    /// Sets the limit; starts threads for what is queued, or lets those beyond it end when their jobs have.
    ///
    /// # Errors
    /// If there is no thread, one is needed, and none can be started. The limit is set.
    pub(super) fn set_limit(self: &Arc<Self>, limit: usize) -> io::Result<()> {
        let mut state = self.lock();
        state.limit = limit;
        let waiting = state.errands.len().saturating_sub(state.free());
        for _ in 0..waiting.min(limit.saturating_sub(state.threads)) {
            match self.start_thread(&mut state) {
                Ok(()) => {}
                Err(_) if state.threads > 0 => break,
                Err(error) => return Err(error),
            }
        }
        drop(state);
        self.wake.notify_all();
        Ok(())
    }

    pub(super) fn set_idle_timeout(&self, timeout: Duration) {
        self.lock().idle_timeout = timeout;
        self.wake.notify_all();
    }

    fn start_thread(self: &Arc<Self>, state: &mut State) -> io::Result<()> {
        let (workers, era) = (self.clone(), state.era);
        let started = thread::Builder::new().name("greenloop worker".into()).spawn(move || workers.work(era));
        // The system's kind is that of an operation that would block, which is not what the caller of a blocking one expects.
        started.map_err(|error| {
            io::Error::other(format!("the thread pool cannot start its first thread: {error}"))
        })?;
        state.threads += 1;
        Ok(())
    }

    /// Waits until nothing is queued nor running; says whether that is so.
    #[track_caller]
    pub(super) fn join(&self, timeout: Option<Duration>) -> bool {
        let reason = Reason::plain(&"a thread pool (to finish)");
        sync::wait(&self.finished, reason, timeout, || self.lock().is_finished().then_some(())).is_some()
    }

    /// Throws the queued jobs away and tells the threads to end after those that run.
    pub(super) fn dismiss(&self) {
        let mut state = self.lock();
        state.era += 1;
        state.old = state.threads;
        let errands = mem::take(&mut state.errands);
        let finished = state.is_finished();
        drop(state);
        self.wake.notify_all();
        for errand in errands {
            // Something in the closure may panic when it is dropped; the panic hook has reported it.
            mem::forget(unwind::catch(|| drop(errand)));
        }
        if finished {
            self.finished.wake_all();
        }
    }

    /// Waits until the threads that were dismissed have ended; says whether they have.
    #[track_caller]
    pub(super) fn wait_until_dismissed(&self, timeout: Option<Duration>) -> bool {
        let reason = Reason::plain(&"the threads of a pool (to end)");
        sync::wait(&self.dismissed, reason, timeout, || (self.lock().old == 0).then_some(())).is_some()
    }

    /// Lets the threads end when the queue is empty.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.wake.notify_all();
    }

    fn work(&self, mut era: usize) {
        WORKS_FOR.set(self);
        while let Some(Errand { work, completion }) = self.next(&mut era) {
            // A panic of the call itself is caught and kept with its result; this one comes from the destructor of a
            // result that nobody wants. The panic hook has reported it.
            mem::forget(unwind::catch(work));
            drop(completion);
            let mut state = self.lock();
            state.running -= 1;
            let finished = state.is_finished();
            drop(state);
            if finished {
                self.finished.wake_all();
            }
        }
    }

    /// Waits for a job; none if this thread is to end. It is not counted any more then.
    fn next(&self, era: &mut usize) -> Option<Errand> {
        let mut state = self.lock();
        let idle_since = Instant::now();
        loop {
            if *era != state.era {
                *era = state.era;
                state.old -= 1;
                let last = state.old == 0;
                // If jobs have come after the `kill` it stays, as one of the new threads.
                let stays = !state.errands.is_empty();
                state.threads -= usize::from(!stays);
                if last {
                    drop(state);
                    self.dismissed.wake_all();
                    state = self.lock();
                }
                if !stays {
                    return None;
                }
                // There may have been another `kill` while nobody held the lock.
                continue;
            }
            if state.threads > state.limit {
                state.threads -= 1;
                return None;
            }
            if let Some(errand) = state.errands.pop_front() {
                state.running += 1;
                return Some(errand);
            }
            let left = state.idle_timeout.saturating_sub(idle_since.elapsed());
            if state.closed || left.is_zero() {
                state.threads -= 1;
                return None;
            }
            let (guard, _) = self.wake.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner);
            state = guard;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it is held; the counts are right in any case.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
