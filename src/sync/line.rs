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
//! where it stood.
//!
//! A wake-up is used up by the look that follows it: if that finds nothing, whatever it was for has gone to another. One that no look
//! follows goes to the next in line: its waiter was killed, or its thread has ended, or it had found something just before. In the last
//! case it may have been for what was found, so that somebody looks for nothing; it may as well have been for what came behind that.

use std::panic::resume_unwind;
use std::sync::{Arc, PoisonError};
use std::task::{Poll, Waker};

use crate::fifo::{Arrival, Fifo, Ticket};
use crate::sys::shared::{Mutex, MutexGuard};
use crate::unwind::{self, Payload};

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
    ///
    /// A waker that panics has woken nobody: then the next is woken, and the panic goes on afterwards.
    pub(crate) fn wake_one(&self) {
        let mut outcome = Ok(());
        while let Some(waker) = self.pop() {
            match unwind::catch(|| waker.wake()) {
                Ok(()) => break,
                panicked => outcome = outcome.and(panicked),
            }
        }
        pass_on(outcome);
    }

    /// Wakes all that wait now, in their order. After the change that they wait for. If wakers panic, so does this, afterwards.
    pub(crate) fn wake_all(&self) {
        let mut waiters = self.lock();
        let wakers: Vec<_> = std::iter::from_fn(|| waiters.pop_front()).collect();
        drop(waiters);
        let outcomes = wakers.into_iter().map(|waker| unwind::catch(|| waker.wake()));
        pass_on(outcomes.fold(Ok(()), Result::and));
    }

    fn pop(&self) -> Option<Waker> {
        self.lock().pop_front()
    }

    /// No foreign code runs under the lock: wakers are used and dropped outside.
    fn lock(&self) -> MutexGuard<'_, Fifo<Waker>> {
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Goes on with a panic of foreign code, if there was one; but not in a destructor run by another, as that would end the process.
fn pass_on(outcome: Result<(), Payload>) {
    if let Err(payload) = outcome
        && !std::thread::panicking()
    {
        resume_unwind(payload);
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
        self.hear();
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
        self.hear();
        let found = attempt();
        self.leave();
        found
    }

    /// Takes note of a wake-up before a look, which uses it up: then it stands in line no longer.
    fn hear(&mut self) {
        self.ticket = self.ticket.filter(|ticket| self.line.lock().get_mut(*ticket).is_some());
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

    /// Leaves the line. A wake-up that it has not heard goes to the next.
    fn leave(&mut self) {
        let Some(ticket) = self.ticket.take() else { return };
        let waker = self.line.lock().remove(ticket);
        if waker.is_none() {
            self.line.wake_one();
        }
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        self.leave();
    }
}

/// Once, on threads; `sync/tests.rs` has every order.
#[cfg(all(test, not(greenloop_loom)))]
mod tests {
    use super::*;
    use std::cell::{Cell, RefCell};
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

    #[derive(Default)]
    struct Calls(AtomicUsize);

    impl Wake for Calls {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::AcqRel);
        }
    }

    /// A waker of a foreign executor that is broken.
    struct Broken;

    impl Wake for Broken {
        fn wake(self: Arc<Self>) {
            resume_unwind(Box::new("a panic without a message"));
        }
    }

    /// Three that wait in a line, the second by a waker that panics, and what has become of the first and the third.
    fn beside_a_broken_one(act: impl FnOnce(&Line)) -> [usize; 2] {
        let line = Line::new();
        let calls = [(); 2].map(|()| Arc::new(Calls::default()));
        let [first, third] = calls.clone().map(Waker::from);
        let wakers = [first, Waker::from(Arc::new(Broken)), third];
        let mut waits = wakers.each_ref().map(|_| Wait::new(&line));
        for (wait, waker) in waits.iter_mut().zip(&wakers) {
            assert!(wait.poll(waker, || None::<()>).is_pending());
        }
        act(&line);
        waits.into_iter().for_each(std::mem::forget);
        calls.map(|calls| calls.0.load(Ordering::Acquire))
    }

    fn panics(act: impl FnOnce()) {
        let payload = unwind::catch(act).unwrap_err();
        assert_eq!(unwind::panic_text(&payload), "a panic without a message");
    }

    #[test]
    fn a_waker_that_panics_keeps_no_other_from_being_woken() {
        let woken = beside_a_broken_one(|line| panics(|| line.wake_all()));
        assert_eq!(woken, [1, 1]);
    }

    #[test]
    fn a_wake_up_for_one_whose_waker_panics_goes_to_the_next() {
        let woken = beside_a_broken_one(|line| {
            line.wake_one();
            panics(|| line.wake_one());
        });
        assert_eq!(woken, [1, 1]);
    }

    #[test]
    fn a_waker_that_panics_in_a_destructor_run_by_a_panic_does_not_end_the_process() {
        struct WakesAll<'a>(&'a Line);
        impl Drop for WakesAll<'_> {
            fn drop(&mut self) {
                self.0.wake_all();
            }
        }
        let woken = beside_a_broken_one(|line| {
            panics(|| {
                let _wakes_all = WakesAll(line);
                resume_unwind(Box::new("a panic without a message"));
            });
        });
        assert_eq!(woken, [1, 1]);
    }

    // What other threads do stands where they would do it: inside of the looks.
    #[test]
    fn a_wake_up_that_comes_to_one_who_has_just_found_something_goes_to_the_next() {
        let (line, items) = (Line::new(), RefCell::new(Vec::new()));
        let (put, get) = (
            |item| {
                items.borrow_mut().push(item);
                line.wake_one()
            },
            || items.borrow_mut().pop(),
        );
        let calls = [(); 2].map(|()| Arc::new(Calls::default()));
        let [first, second] = calls.clone().map(Waker::from);
        let (mut one, mut other) = (Wait::new(&line), Wait::new(&line));
        let looks = Cell::new(0);
        let found = one.poll(&first, || {
            let found = get();
            match looks.replace(looks.get() + 1) {
                0 => put(1), // nobody stands in line
                _ => {
                    assert!(other.poll(&second, get).is_pending());
                    put(2); // calls the one that has just found 1
                }
            }
            found
        });
        assert_eq!((found, looks.get()), (Poll::Ready(1), 2));
        assert_eq!(calls[1].0.load(Ordering::Acquire), 1, "it waits beside an item");
        assert_eq!((other.poll(&second, get), line.len()), (Poll::Ready(2), 0));
    }

    #[test]
    fn a_wake_up_that_comes_to_one_who_looks_for_the_last_time_goes_to_the_next() {
        let (line, permits) = (Line::new(), AtomicUsize::new(0));
        let calls = Arc::new(Calls::default());
        let (quiet, next) = (Waker::noop(), Waker::from(calls.clone()));
        let (mut one, mut other) = (Wait::new(&line), Wait::new(&line));
        assert!(one.poll(quiet, || take(&permits)).is_pending());
        assert!(other.poll(&next, || take(&permits)).is_pending());
        permits.store(1, Ordering::Release);
        let found = one.last(|| {
            let found = take(&permits);
            permits.fetch_add(1, Ordering::AcqRel);
            line.wake_one();
            found
        });
        assert_eq!((found, calls.0.load(Ordering::Acquire)), (Some(()), 1));
        assert!(other.poll(&next, || take(&permits)).is_ready());
    }
}
