//! How the hub learns that a child has ended.
//!
//! ```text
//!   pidfd readable ─┐
//!   SIGCHLD ────────┼──▶ look: waitpid without waiting ──▶ the status is kept, who waits is woken
//!   try_wait ───────┘
//! ```
//!
//! A process is kept by whoever watches it for the hub until it has ended, and so is reaped also when its `Child` is gone. If the
//! hub's thread ends before, the process goes to a list of orphans of the whole program, in which each spawn looks.

use std::cell::RefCell;
use std::io;
use std::os::fd::OwnedFd;
use std::process::{Child, ExitStatus};
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::hub::{Object, Reason};
use crate::io::{Direction, Watched};
use crate::park::{self, Deadline, Woken};
use crate::reactor::{Attendant, Expectation};
use crate::signal::{SIGCHLD, Signal, Subscription, subscribe};
use crate::sys;
use crate::waitlist::{Place, WaitList};

/// Children whose hub has ended before them.
static ORPHANS: Mutex<Vec<Arc<Mutex<Child>>>> = Mutex::new(Vec::new());

/// Reaps those that have ended.
pub(super) fn reap_orphans() {
    lock(&ORPHANS).retain(|child| matches!(lock(child).try_wait(), Ok(None)));
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How a process has ended. What went wrong when it was asked can be told several times.
#[derive(Clone)]
enum Exit {
    Status(ExitStatus),
    Unknown(io::ErrorKind, String),
}

impl Exit {
    fn result(self) -> io::Result<ExitStatus> {
        match self {
            Exit::Status(status) => Ok(status),
            Exit::Unknown(kind, text) => Err(io::Error::new(kind, text)),
        }
    }
}

/// One child process.
pub(super) struct Process {
    /// Shared with the orphans, when it has become one.
    child: Arc<Mutex<Child>>,
    exit: RefCell<Option<Exit>>,
    pub(super) waiters: WaitList,
    alarm: RefCell<Option<Alarm>>,
    /// While somebody has the `Child`. Before the alarm ends.
    expectation: RefCell<Option<Expectation>>,
}

/// What tells that it may have ended.
enum Alarm {
    Descriptor(Watched<OwnedFd>),
    Signal(#[expect(dead_code, reason = "held for its life alone")] Subscription),
}

impl Process {
    /// Begins to watch a child. One that cannot be watched is killed and reaped.
    pub(super) fn watch(child: Child) -> io::Result<Rc<Process>> {
        let descriptor = sys::process::descriptor(&child);
        let process = Rc::new(Process {
            child: Arc::new(Mutex::new(child)),
            exit: RefCell::new(None),
            waiters: WaitList::new(),
            alarm: RefCell::new(None),
            expectation: RefCell::new(None),
        });
        match process.clone().set_alarm(descriptor) {
            // It may have ended before the alarm was there.
            Ok(()) => _ = process.look(),
            Err(error) => {
                // The hub would not hear of its end. After the kill the wait is short.
                let mut child = lock(&process.child);
                let _ = child.kill().and_then(|()| child.wait());
                return Err(error);
            }
        }
        Ok(process)
    }

    fn set_alarm(self: Rc<Self>, descriptor: Option<OwnedFd>) -> io::Result<()> {
        let (alarm, expectation) = match descriptor {
            Some(descriptor) => {
                let watched = Watched::new(descriptor)?;
                watched.attend(Direction::Read, self.clone())?;
                let expectation = watched.expect();
                (Alarm::Descriptor(watched), Some(expectation))
            }
            None => {
                let process = Subscriber(self.clone());
                let subscription = subscribe(SIGCHLD, false, Rc::new(move || _ = process.0.look()))?;
                let expectation = subscription.expect();
                (Alarm::Signal(subscription), expectation)
            }
        };
        self.alarm.replace(Some(alarm));
        self.expectation.replace(expectation);
        Ok(())
    }

    pub(super) fn id(&self) -> u32 {
        lock(&self.child).id()
    }

    /// Has it ended? Reaps it if it has.
    pub(super) fn look(&self) -> Option<io::Result<ExitStatus>> {
        if self.exit.borrow().is_none() {
            let exit = match lock(&self.child).try_wait() {
                Ok(None) => return None,
                Ok(Some(status)) => Exit::Status(status),
                Err(error) => Exit::Unknown(
                    error.kind(),
                    format!(
                        "the exit status of the child was taken by somebody else, or is not kept: {error}"
                    ),
                ),
            };
            self.exit.replace(Some(exit));
            self.stop_watching();
            self.waiters.wake_all();
        }
        self.exit.borrow().clone().map(Exit::result)
    }

    fn stop_watching(&self) {
        drop(self.expectation.take());
        let alarm = self.alarm.take();
        drop(alarm);
    }

    /// Parks until it has ended; none if the time was up before.
    #[track_caller]
    pub(super) fn wait(&self, deadline: Deadline) -> io::Result<Option<ExitStatus>> {
        let mut place = Place::default();
        loop {
            if let Some(exit) = self.look() {
                return exit.map(Some);
            }
            let reason = Reason::of(&"child process", Object::Count(self.id() as usize));
            match park::wait_on(&self.waiters, &mut place, reason, deadline) {
                Woken::Notified => {}
                Woken::TimedOut => return self.look().transpose(),
                Woken::Refused => {
                    return Err(io::Error::other(
                        "this would wait for a child process, but the greenlet is being unwound by a panic or a kill: \
                         destructors do not block",
                    ));
                }
            }
        }
    }

    /// Sends a signal; one that has ended gets none.
    pub(super) fn send(&self, signal: Signal) -> io::Result<()> {
        // Nobody reaps it, so that its number remains its own, until the signal is sent.
        let mut child = lock(&self.child);
        match child.try_wait() {
            Ok(None) => sys::process::send(&child, signal.as_raw()),
            _ => Ok(()),
        }
    }

    /// Nobody waits for it any more. It is reaped all the same.
    pub(super) fn let_go(&self) {
        drop(self.expectation.take());
    }

    /// This hub will not hear of its end.
    fn leave(&self) {
        if self.exit.borrow().is_none() {
            lock(&ORPHANS).push(self.child.clone());
        }
    }
}

/// What the hub keeps of a process where there are only signals. It is dropped when the process has ended; or else, the hub has.
struct Subscriber(Rc<Process>);

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.0.leave();
    }
}

impl Attendant for Process {
    fn attend(&self) {
        if self.look().is_none()
            && let Some(Alarm::Descriptor(watched)) = &*self.alarm.borrow()
        {
            // It fails only if the hub's poller is broken, which the hub says itself.
            let _ = watched.attend_again();
        }
    }

    /// Somebody may have the `Child` still: a greenlet that is forgotten with the thread, and will not drop it.
    fn abandoned(&self) {
        self.leave();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop_watching();
        self.leave();
    }
}
