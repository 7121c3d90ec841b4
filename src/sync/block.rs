//! Waiting in a line by blocking: the greenlet if the thread has a hub, otherwise the thread.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use super::line::{Line, Wait};
use crate::future::Bell;
use crate::hub::{Hub, Outside, Reason};
use crate::park::{Deadline, Woken};
use crate::sys::shared::{AtomicBool, Ordering};

/// Waits in `line` until `attempt` gives something, at most for `timeout`. `attempt` neither blocks nor calls foreign code.
///
/// `None` if the time ran out, or at once if the thread has a hub and is unwinding.
#[track_caller]
pub(crate) fn wait<R>(
    line: &Arc<Line>,
    reason: Reason,
    timeout: Option<Duration>,
    mut attempt: impl FnMut() -> Option<R>,
) -> Option<R> {
    if let Some(found) = attempt() {
        return Some(found);
    }
    match Hub::try_current() {
        Some(_) => greenlet(line, reason, Deadline::after(timeout), attempt),
        None => hubless(line, timeout, attempt),
    }
}

/// A wait of a greenlet. If the thread ends while it lasts, the greenlet's frames are forgotten, and this gives its place up.
struct Standing(Cell<Option<Wait>>);

impl Outside for Standing {
    fn abandoned(&self) {
        drop(self.0.take());
    }

    fn is_idle(&self) -> bool {
        true
    }
}

#[track_caller]
fn greenlet<R>(
    line: &Arc<Line>,
    reason: Reason,
    deadline: Deadline,
    mut attempt: impl FnMut() -> Option<R>,
) -> Option<R> {
    struct GiveUp<'a>(&'a Standing);
    impl Drop for GiveUp<'_> {
        fn drop(&mut self) {
            drop(self.0.0.take());
        }
    }
    let (bell, standing) = (Bell::new(), Rc::new(Standing(Cell::new(Some(Wait::new(line))))));
    let _attended = Hub::current().attend(standing.clone());
    let _give_up = GiveUp(&standing);
    loop {
        let mut wait = standing.0.take()?;
        let waker = bell.waker();
        if let Poll::Ready(found) = wait.poll(&waker, &mut attempt) {
            return Some(found);
        }
        drop(waker);
        standing.0.set(Some(wait));
        if bell.listen(reason, deadline) != Woken::Notified {
            return standing.0.take()?.last(attempt);
        }
    }
}

/// Unparks a thread that has no hub.
struct Alarm {
    thread: Thread,
    rung: AtomicBool,
}

impl Wake for Alarm {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.rung.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

impl Alarm {
    /// Blocks the thread until it is rung, or until the deadline: then false.
    fn sleep(&self, deadline: Option<Instant>) -> bool {
        while !self.rung.swap(false, Ordering::Acquire) {
            match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
                None => thread::park(),
                Some(Duration::ZERO) => return false,
                Some(left) => thread::park_timeout(left),
            }
        }
        true
    }
}

fn hubless<R>(
    line: &Arc<Line>,
    timeout: Option<Duration>,
    mut attempt: impl FnMut() -> Option<R>,
) -> Option<R> {
    // Beyond the reach of the clock: never.
    let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
    let alarm = Arc::new(Alarm { thread: thread::current(), rung: AtomicBool::new(false) });
    let waker = Waker::from(alarm.clone());
    let mut wait = Wait::new(line);
    loop {
        if let Poll::Ready(found) = wait.poll(&waker, &mut attempt) {
            return Some(found);
        }
        if !alarm.sleep(deadline) {
            return wait.last(attempt);
        }
    }
}
