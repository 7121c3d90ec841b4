//! Descriptors among unlike things: readiness that can be waited for beside queues and events.

#![allow(private_interfaces, reason = "nobody outside can name the list, nor implement the sealed trait")]

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;

use super::{Direction, Watched};
use crate::reactor::{Attendant, Expectation};
use crate::sys::descriptor;
use crate::wait::{Listed, Waitable};
use crate::waitlist::WaitList;

/// The readiness of a descriptor, to be waited for together with other things by [`select!`](crate::select!),
/// [`wait`](crate::wait()) or [`iwait`](crate::iwait()).
///
/// The descriptor may be of any kind that the system can watch: sockets and pipes of this crate, a [`Poll`](super::Poll) with many
/// others behind it, those of client libraries. It is watched by a duplicate, so others may wait for it, too. While a `Readiness`
/// lives, the hub has something to wait for.
///
/// # Examples
/// ```
/// use greenloop::{io::{Direction, Readiness, pipe}, queue::Queue, select, spawn};
/// use std::io::Write;
///
/// let (reader, mut writer) = pipe()?;
/// let jobs = Queue::<u32>::unbounded();
/// spawn(move || writer.write_all(b"x"));
/// let readiness = Readiness::of(&reader, Direction::Read)?;
/// select! {
///     _ = readiness.wait() => {}
///     job = jobs.get() => panic!("nobody has put {job:?}"),
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Readiness<'a> {
    watcher: Rc<Watcher>,
    /// Given up before the watching ends.
    expectation: Option<Expectation>,
    descriptor: PhantomData<&'a ()>,
}

struct Watcher {
    /// None at its end.
    watched: RefCell<Option<Watched<OwnedFd>>>,
    direction: Direction,
    waiters: WaitList,
}

impl<'a> Readiness<'a> {
    /// That a read from `io`, or a write to it, would not block: there is something or there is room, or the end, or an error.
    ///
    /// **Switches**: no.
    ///
    /// # Errors
    /// If the descriptor cannot be duplicated, or the system cannot watch it, as with regular files.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{io::{Direction, Readiness, pipe}, wait_any_timeout};
    /// use std::{io::Write, time::Duration};
    ///
    /// let (reader, mut writer) = pipe()?;
    /// let readiness = Readiness::of(&reader, Direction::Read)?;
    /// assert_eq!(wait_any_timeout(&[&readiness], Duration::from_millis(1)), None);
    /// writer.write_all(b"x")?;
    /// assert_eq!(wait_any_timeout(&[&readiness], Duration::from_secs(5)), Some(0));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn of(io: &'a dyn AsFd, direction: Direction) -> io::Result<Readiness<'a>> {
        let watched = Watched::new(io.as_fd().try_clone_to_owned()?)?;
        let watcher = Rc::new(Watcher { watched: RefCell::new(None), direction, waiters: WaitList::new() });
        watched.attend(direction, watcher.clone())?;
        let expectation = Some(watched.expect());
        watcher.watched.replace(Some(watched));
        Ok(Readiness { watcher, expectation, descriptor: PhantomData })
    }
}

impl Watcher {
    /// Is it ready now? If not, an event will tell when it is. There is none to be had while it is ready: where they come one by one
    /// the next would come at once, again and again, until somebody acts upon it.
    ///
    /// Nothing is lost by that. Whoever enrols has just heard a "no" here, behind which an event is due; and an event is either of
    /// before, and another "no", or calls all who have enrolled, who ask again before they wait again.
    fn is_ready_or_told(&self) -> bool {
        // If the system cannot be told to tell, who waits finds out by the operation itself.
        self.is_ready()
            || self.watched.borrow().as_ref().is_some_and(|watched| watched.attend_again().is_err())
    }

    fn is_ready(&self) -> bool {
        self.watched.borrow().as_ref().is_some_and(|watched| {
            descriptor::is_ready(watched.get().as_fd(), self.direction == Direction::Write).unwrap_or(true)
        })
    }
}

impl Attendant for Watcher {
    fn attend(&self) {
        // The event may be one of before, and its cause gone.
        if self.is_ready_or_told() {
            self.waiters.wake_all();
        }
    }
}

impl Listed for Readiness<'_> {
    fn waiters(&self) -> &WaitList {
        &self.watcher.waiters
    }
}

impl Waitable for Readiness<'_> {
    fn is_ready(&self) -> bool {
        self.watcher.is_ready_or_told()
    }
}

impl Drop for Readiness<'_> {
    fn drop(&mut self) {
        drop(self.expectation.take());
        let watched = self.watcher.watched.take();
        drop(watched);
    }
}

impl fmt::Debug for Readiness<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Readiness({:?}, {})",
            self.watcher.direction,
            if self.watcher.is_ready() { "ready" } else { "not ready" }
        )
    }
}
