//! The line of those who wait for something that any thread may bring about: what
//! [`WaitList`](crate::waitlist::WaitList) is within a thread.
//!
//! Who waits is a `Waker`: of a greenlet of some hub, of a thread that has no hub, of a task of some executor. The line knows nothing
//! of what is waited for. The rule that makes it work:
//!
//! ```text
//!    who waits                            who brings it about
//!    look                                 change the state
//!    stand in line                        wake who stands in line
//!    look again, then wait
//! ```
//!
//! The line's lock orders "stand in line" and "wake": if the wake-up came first, so did the change, and the second look sees it.
//!
//! As everywhere in the crate, who is woken looks for itself and may find that another was faster; then it stands in line again
//! where it stood. A wake-up that can no longer be used, because of a kill or a timeout or because the thread has ended, goes
//! to the next in line.

use std::sync::{Arc, PoisonError};
use std::task::{Poll, Waker};

use crate::fifo::{Arrival, Fifo, Ticket};
use crate::sys::shared::{Mutex, MutexGuard};

/// See the module's head.
pub(crate) struct Line {
    waiters: Mutex<Fifo<Waker>>,
}

impl Line {
    pub(crate) fn new() -> Arc<Line> {
        Arc::new(Line { waiters: Mutex::new(Fifo::new()) })
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    /// Wakes the one that has waited longest. After the change that it waits for.
    pub(crate) fn wake_one(&self) {
        let waker = self.lock().pop_front();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Wakes all that wait now, in their order. After the change that they wait for.
    pub(crate) fn wake_all(&self) {
        let mut waiters = self.lock();
        let wakers: Vec<_> = std::iter::from_fn(|| waiters.pop_front()).collect();
        drop(waiters);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// No foreign code runs under the lock: wakers are used and dropped outside.
    fn lock(&self) -> MutexGuard<'_, Fifo<Waker>> {
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One wait in a line. Dropped before it has got what it waited for, it leaves the line, and if it was woken already passes that on.
pub(crate) struct Wait {
    line: Arc<Line>,
    place: Option<Arrival>,
    ticket: Option<Ticket>,
}

impl Wait {
    pub(crate) fn new(line: &Arc<Line>) -> Wait {
        Wait { line: line.clone(), place: None, ticket: None }
    }

    /// Looks, by `attempt`; if that gives nothing, sees to it that `waker` is woken when it is worth looking again.
    pub(crate) fn poll<R>(&mut self, waker: &Waker, mut attempt: impl FnMut() -> Option<R>) -> Poll<R> {
        let mut found = attempt();
        if found.is_none() {
            self.stand(waker);
            found = attempt();
        }
        match found {
            Some(found) => {
                self.leave();
                Poll::Ready(found)
            }
            None => Poll::Pending,
        }
    }

    /// The last look of a wait that is given up.
    pub(crate) fn last<R>(&mut self, attempt: impl FnOnce() -> Option<R>) -> Option<R> {
        attempt().inspect(|_| _ = self.leave())
    }

    /// Stands in line with this waker: at the end the first time, later where it stood.
    fn stand(&mut self, waker: &Waker) {
        let waker = waker.clone();
        let mut waiters = self.line.lock();
        let standing = self.ticket.and_then(|ticket| waiters.get_mut(ticket));
        let old = match (standing, self.place) {
            (Some(standing), _) => Some(std::mem::replace(standing, waker)),
            (None, Some(arrival)) => {
                self.ticket = Some(waiters.push_again(waker, arrival));
                None
            }
            (None, None) => {
                let (ticket, arrival) = waiters.push_back(waker);
                (self.ticket, self.place) = (Some(ticket), Some(arrival));
                None
            }
        };
        drop(waiters);
        drop(old);
    }

    /// Leaves the line; false if a wake-up has taken it out before, or it did not stand there.
    fn leave(&mut self) -> bool {
        let waker = self.ticket.take().and_then(|ticket| self.line.lock().remove(ticket));
        waker.is_some()
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        let stood = self.ticket.is_some();
        if !self.leave() && stood {
            self.line.wake_one();
        }
    }
}

/// Once, on threads; `sync/tests.rs` has every order.
#[cfg(all(test, not(greenloop_loom)))]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;
    use std::thread::{self, Thread};

    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    fn take(permits: &AtomicUsize) -> Option<()> {
        permits.fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| left.checked_sub(1)).ok().map(drop)
    }

    #[test]
    fn three_threads_pass_a_permit_on_and_one_gives_up() {
        let (permits, line) = (Arc::new(AtomicUsize::new(1)), Line::new());
        let threads = [0, 1, 2].map(|number| {
            let (permits, line) = (permits.clone(), line.clone());
            thread::spawn(move || {
                let waker = Waker::from(Arc::new(Unpark(thread::current())));
                for _ in 0..10 {
                    let mut wait = Wait::new(&line);
                    let got = loop {
                        match wait.poll(&waker, || take(&permits)) {
                            Poll::Ready(()) => break true,
                            Poll::Pending if number == 0 => break false,
                            Poll::Pending => thread::park(),
                        }
                    };
                    drop(wait);
                    if got {
                        permits.fetch_add(1, Ordering::AcqRel);
                        line.wake_one();
                    }
                }
            })
        });
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        assert_eq!((permits.load(Ordering::Acquire), line.len()), (1, 0));
    }
}
