//! Descriptors among unlike things: readiness that can be waited for beside queues and events.

#![allow(private_interfaces, reason = "nobody outside can name the list, nor implement the sealed trait")]

use std::cell::{Cell, RefCell};
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
    /// The system could not be asked, or not be told to tell more: who waits finds out by the operation itself.
    failed: Cell<bool>,
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
        let watcher = Rc::new(Watcher {
            watched: RefCell::new(None),
            direction,
            failed: Cell::new(false),
            waiters: WaitList::new(),
        });
        watched.attend(direction, watcher.clone())?;
        let expectation = Some(watched.expect());
        watcher.watched.replace(Some(watched));
        Ok(Readiness { watcher, expectation, descriptor: PhantomData })
    }
}

impl Watcher {
    fn is_ready(&self) -> bool {
        self.failed.get()
            || self.watched.borrow().as_ref().is_some_and(|watched| {
                descriptor::is_ready(watched.get().as_fd(), self.direction == Direction::Write)
                    .unwrap_or(true)
            })
    }
}

impl Attendant for Watcher {
    fn attend(&self) {
        let again = self.watched.borrow().as_ref().map_or(Ok(()), Watched::attend_again);
        self.failed.set(again.is_err());
        // The event may be one of before, and its cause gone.
        if self.is_ready() {
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
        self.watcher.is_ready()
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
            if self.is_ready() { "ready" } else { "not ready" }
        )
    }
}
