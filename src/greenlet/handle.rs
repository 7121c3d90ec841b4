//! Anybody's view of a greenlet: whether it lives, and its end.

use std::fmt;
use std::panic::Location;
use std::rc::Rc;
use std::time::Duration;

use crate::error::JoinError;
use crate::hub::{Hub, Object, Reason, Task};
use crate::park::{self, Deadline, Woken};
use crate::waitlist::{Place, WaitList};

/// A reference to a greenlet, without its value. Cheap to clone; keeps nothing alive but a small record.
///
/// # Examples
/// ```
/// let me = greenloop::current();
/// assert!(!me.is_finished());
/// ```
#[derive(Clone)]
pub struct Handle {
    task: Rc<Task>,
}

impl Handle {
    pub(crate) fn new(task: Rc<Task>) -> Handle {
        Handle { task }
    }

    pub(super) fn task(&self) -> &Rc<Task> {
        &self.task
    }

    /// Has it ended, or was it killed, so that it will when it next runs?
    pub(crate) fn is_doomed(&self) -> bool {
        self.task.is_done() || self.task.is_kill_requested()
    }

    /// Its panic, without the payload, if it has ended by one.
    pub(crate) fn failure(&self) -> Option<JoinError> {
        self.task.extras_if_any().and_then(|extras| extras.failure.get().cloned())
    }

    pub(crate) fn joiners(&self) -> &WaitList {
        &self.task.joiners
    }

    /// A number that no other greenlet of this thread has or had; 0 is the thread's root.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{current, spawn};
    ///
    /// let (one, other) = (spawn(|| current().id()), spawn(|| ()));
    /// assert_eq!(current().id(), 0); // the root
    /// assert_ne!(one.id(), other.id());
    /// assert_eq!(one.id(), one.join().unwrap());
    /// ```
    pub fn id(&self) -> u64 {
        self.task.id
    }

    /// The name given with [`Builder::name`](crate::Builder::name).
    ///
    /// # Examples
    /// ```
    /// use greenloop::{Builder, spawn};
    ///
    /// let named = Builder::new().name("reader").spawn(|| ())?;
    /// assert_eq!(named.name().as_deref(), Some("reader"));
    /// assert_eq!(spawn(|| ()).name(), None);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn name(&self) -> Option<Rc<str>> {
        self.task.name.clone()
    }

    /// The id of the greenlet that has spawned it, 0 for the thread's root; `None` for the root itself.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{current, spawn};
    ///
    /// let g = spawn(|| spawn(|| current().parent()).join().unwrap());
    /// let id = g.id();
    /// assert_eq!(g.parent(), Some(0));
    /// assert_eq!(g.join().unwrap(), Some(id));
    /// ```
    pub fn parent(&self) -> Option<u64> {
        (!self.task.is_root).then_some(self.task.parent)
    }

    /// The call that has spawned it; for a thread's root the call that has made the hub.
    ///
    /// # Examples
    /// ```
    /// let g = greenloop::spawn(|| ());
    /// assert_eq!(g.spawned_at().file(), file!());
    /// ```
    pub fn spawned_at(&self) -> &'static Location<'static> {
        self.task.spawned_at
    }

    /// Has it ended, in whatever way?
    ///
    /// # Examples
    /// ```
    /// let g = greenloop::spawn(|| ());
    /// assert!(!g.is_finished()); // it has not begun yet
    /// greenloop::yield_now();
    /// assert!(g.is_finished());
    /// ```
    pub fn is_finished(&self) -> bool {
        self.task.is_done()
    }

    /// Waits until it has ended.
    ///
    /// **Switches**: yes, unless it has already ended.
    ///
    /// **While unwinding** it returns at once.
    ///
    /// # Panics
    /// On a thread's root with [`LoopExit`](crate::LoopExit) if nothing is left that could ever end it.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{current, spawn, yield_now};
    ///
    /// let g = spawn(|| yield_now());
    /// let handle = g.handle();
    /// handle.wait(); // leaves the value for whoever joins
    /// assert!(g.join().is_ok());
    /// ```
    #[track_caller]
    pub fn wait(&self) {
        self.wait_until(Deadline::NEVER);
    }

    /// Waits until it has ended, at most for [`timeout`](crate#time-limits), and says whether it has.
    ///
    /// **Switches**: yes, unless it has already ended.
    ///
    /// **While unwinding** it returns `false` at once.
    ///
    /// # Panics
    /// On a thread's root with [`LoopExit`](crate::LoopExit) if the time is beyond the reach of the clock and nothing is left
    /// that could ever end it.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{sleep, spawn};
    /// use std::time::Duration;
    ///
    /// let slow = spawn(|| sleep(Duration::from_secs(60)));
    /// assert!(!slow.wait_timeout(Duration::from_millis(1)));
    /// slow.kill();
    /// assert!(slow.wait_timeout(Duration::ZERO));
    /// ```
    #[track_caller]
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        if self.is_finished() {
            return true;
        }
        self.wait_until(Deadline::after(Some(timeout)))
    }

    #[track_caller]
    pub(crate) fn wait_until(&self, deadline: Deadline) -> bool {
        let reason = Reason::of(&"the end of greenlet", Object::Greenlet(self.id()));
        let mut place = Place::default();
        while !self.is_finished() {
            if park::wait_on(&self.task.joiners, &mut place, reason, deadline) != Woken::Notified {
                break;
            }
        }
        self.is_finished()
    }

    /// Ends the greenlet and waits until it is dead.
    ///
    /// A kill is delivered where the greenlet parks, or is parked: its stack unwinds, its destructors run, nothing is printed, and
    /// whoever joins it gets [`JoinError::is_killed`](crate::JoinError::is_killed). One that has not started yet never runs. One that catches the unwind
    /// meets the kill again at its next park; one that is in a [`shield`](crate::shield) meets it after that. A
    /// greenlet that neither parks nor ends is not interrupted. Killing itself, a greenlet ends inside this call.
    ///
    /// **Switches**: yes, unless it has already ended.
    ///
    /// **While unwinding** it asks for the end and returns at once.
    ///
    /// # Panics
    /// If the target is the root of the thread, which is not a greenlet. As for [`wait`](Self::wait).
    ///
    /// # Examples
    /// ```
    /// use greenloop::{sleep, spawn, yield_now};
    /// use std::time::Duration;
    ///
    /// let sleeper = spawn(|| sleep(Duration::from_secs(3600)));
    /// yield_now();
    /// sleeper.kill();
    /// assert!(sleeper.join().unwrap_err().is_killed());
    /// ```
    #[track_caller]
    pub fn kill(&self) {
        self.kill_nowait();
        self.wait_until_killed();
    }

    /// A greenlet meets its own kill right here, or later if it is in a shield: it does not wait for its own end.
    #[track_caller]
    pub(super) fn wait_until_killed(&self) {
        match self.is_current() {
            true => park::yield_now(),
            false => self.wait(),
        }
    }

    /// Asks for the greenlet's end and returns at once; see [`kill`](Self::kill).
    ///
    /// **Switches**: no. A greenlet that asks for its own end meets it when it next parks.
    ///
    /// # Panics
    /// If the target is the root of the thread, which is not a greenlet.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{sleep, spawn, yield_now};
    /// use std::time::Duration;
    ///
    /// let g = spawn(|| sleep(Duration::from_secs(60)));
    /// yield_now();
    /// g.kill_nowait();
    /// assert!(!g.is_finished()); // it has had no turn since
    /// yield_now();
    /// assert!(g.is_finished());
    /// ```
    #[track_caller]
    pub fn kill_nowait(&self) {
        assert!(
            !self.task.is_root,
            "the root of a thread cannot be killed: it is not a greenlet, its end is the thread's"
        );
        if !self.is_finished() {
            Hub::current().kill(&self.task);
        }
    }

    /// Ends the greenlet and waits until it is dead, at most for [`timeout`](crate#time-limits); says whether it is.
    ///
    /// **Switches**: yes, unless it has already ended.
    ///
    /// **While unwinding** it asks for the end and returns `false` at once.
    ///
    /// # Panics
    /// If the target is the root of the thread, which is not a greenlet.
    /// On a thread's root with [`LoopExit`](crate::LoopExit) if the time is beyond the reach of the clock and nothing is left
    /// that could ever end it.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{shield, sleep, spawn, yield_now};
    /// use std::time::Duration;
    ///
    /// let stubborn = spawn(|| shield(|| sleep(Duration::from_millis(50))));
    /// yield_now();
    /// assert!(!stubborn.kill_timeout(Duration::from_millis(1)));
    /// assert!(stubborn.kill_timeout(Duration::from_secs(60)));
    /// ```
    #[track_caller]
    pub fn kill_timeout(&self, timeout: Duration) -> bool {
        self.kill_nowait();
        self.wait_until_killed_by(Deadline::after(Some(timeout)))
    }

    /// A greenlet meets its own kill right here; one in a shield waits for itself until the deadline. Says whether it is dead.
    #[track_caller]
    pub(super) fn wait_until_killed_by(&self, deadline: Deadline) -> bool {
        if self.is_current() {
            park::yield_now();
        }
        self.wait_until(deadline)
    }

    fn is_current(&self) -> bool {
        Rc::ptr_eq(&self.task, &Hub::current().running())
    }
}

impl AsRef<Handle> for Handle {
    fn as_ref(&self) -> &Handle {
        self
    }
}

impl PartialEq for Handle {
    fn eq(&self, other: &Handle) -> bool {
        Rc::ptr_eq(&self.task, &other.task)
    }
}

impl Eq for Handle {}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Greenlet({}, {:?})", self.task, self.task.state.get())
    }
}
