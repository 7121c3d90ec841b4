//! A descriptor whose operations park the greenlet instead of blocking the thread.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::rc::Rc;
use std::time::Duration;

use crate::hub::{Hub, Object, Reason};
use crate::park::{self, Deadline, Woken};
use crate::reactor::{Direction, Source};

/// Owns a non-blocking descriptor and its registration with the hub of this thread.
pub(crate) struct Watched<T: AsFd> {
    /// Always there, except while it is dropped or taken apart.
    io: Option<T>,
    source: Rc<Source>,
}

impl<T: AsFd> Watched<T> {
    /// Registers `io`, which must be non-blocking.
    pub(crate) fn new(io: T) -> io::Result<Watched<T>> {
        let source = Hub::current().reactor.register(io.as_fd())?;
        Ok(Watched { io: Some(io), source })
    }

    #[inline]
    pub(crate) fn get(&self) -> &T {
        match &self.io {
            Some(io) => io,
            None => unreachable!("the descriptor is taken out only when the whole is consumed"),
        }
    }

    pub(super) fn source(&self) -> &Rc<Source> {
        &self.source
    }

    /// [`with`](Self::with), but where that would park it says that it would block.
    pub(crate) fn try_with<R>(
        &self,
        direction: Direction,
        mut operation: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        while self.source.is_ready(direction) {
            match operation(self.get()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.source.would_block(direction),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                done => return done,
            }
        }
        Err(io::ErrorKind::WouldBlock.into())
    }

    /// Ends the registration and gives the descriptor back. It stays non-blocking.
    pub(crate) fn into_inner(mut self) -> T {
        match self.deregister() {
            Some(io) => io,
            None => unreachable!("the descriptor is taken out only when the whole is consumed"),
        }
    }

    /// Does `operation` until it does not say that it would block, and parks in between, at most for `timeout`.
    ///
    /// # Errors
    /// Those of the operation; `TimedOut`; that another greenlet is already waiting to do the same.
    #[track_caller]
    #[inline]
    pub(crate) fn with<R>(
        &self,
        direction: Direction,
        timeout: Option<Duration>,
        mut operation: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        park::take_turn();
        let mut deadline = None;
        loop {
            if self.source.is_ready(direction) {
                match operation(self.get()) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        self.source.would_block(direction)
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    done => return done,
                }
            }
            let deadline = *deadline.get_or_insert_with(|| Deadline::after(timeout));
            self.wait(direction, deadline)?;
        }
    }

    /// From now on `direction` is ready only when an event says so.
    pub(crate) fn await_event(&self, direction: Direction) {
        self.source.would_block(direction);
    }

    pub(crate) fn is_ready(&self, direction: Direction) -> bool {
        self.source.is_ready(direction)
    }

    /// A read gave less than it asked for.
    #[inline]
    pub(crate) fn read_short(&self) {
        self.source.read_short();
    }

    /// Something has changed of which there may be no event: wakes whoever waits, to try again.
    pub(crate) fn look_again(&self) {
        self.source.look_again();
    }

    #[track_caller]
    fn wait(&self, direction: Direction, deadline: Deadline) -> io::Result<()> {
        let object = Object::Descriptor(self.get().as_fd().as_raw_fd());
        let (what, verb) = match direction {
            Direction::Read => ("descriptor (readable)", "read"),
            Direction::Write => ("descriptor (writable)", "written"),
        };
        let waiting = self.begin_waiting(direction)?;
        let woken = park::park(Reason::of(what, object), deadline);
        drop(waiting);
        match woken {
            Woken::Notified => Ok(()),
            Woken::TimedOut => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                format!("the peer did not let this socket be {verb} in the time allowed"),
            )),
            Woken::Refused => Err(refused()),
        }
    }

    /// Makes the running task the one that is woken by an event, until what it gives is dropped.
    fn begin_waiting(&self, direction: Direction) -> io::Result<(Waiting<'_>, Counted<'static>)> {
        let hub = Hub::current();
        if let Err(other) = self.source.begin(direction, hub.running()) {
            let verb = if direction == Direction::Read { "read" } else { "written" };
            return Err(io::Error::other(format!(
                "this socket is already being {verb} by greenlet {other}; two at once would each get a random part of what \
                 comes and goes: give one of them the task or put a lock around it"
            )));
        }
        let waiting = Waiting { source: &self.source, direction };
        hub.reactor.begin_waiting(self.get().as_fd(), &self.source)?;
        Ok((waiting, Counted(hub)))
    }

    fn deregister(&mut self) -> Option<T> {
        let io = self.io.take()?;
        if let Some(hub) = Hub::try_current() {
            hub.reactor.deregister(io.as_fd(), &self.source);
        }
        Some(io)
    }
}

impl<T: AsFd> Drop for Watched<T> {
    fn drop(&mut self) {
        self.deregister();
    }
}

/// Parks until an event says that one of several is ready; false if the deadline came first.
///
/// # Errors
/// That another greenlet is already waiting for the same; that the thread is unwinding.
#[track_caller]
pub(crate) fn wait_for_any<'a, T: AsFd + 'a>(
    several: impl ExactSizeIterator<Item = &'a Watched<T>>,
    direction: Direction,
    deadline: Deadline,
) -> io::Result<bool> {
    let reason = Reason::of("the first of so many descriptors:", Object::Count(several.len()));
    let waiting = several.map(|watched| watched.begin_waiting(direction)).collect::<io::Result<Vec<_>>>()?;
    let woken = park::park(reason, deadline);
    drop(waiting);
    match woken {
        Woken::Notified => Ok(true),
        Woken::TimedOut => Ok(false),
        Woken::Refused => Err(refused()),
    }
}

fn refused() -> io::Error {
    io::Error::other(
        "this would wait for a socket, but the greenlet is being unwound by a panic or a kill: destructors do not block",
    )
}

struct Waiting<'a> {
    source: &'a Source,
    direction: Direction,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.source.end(self.direction);
    }
}

struct Counted<'a>(&'a Hub);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.reactor.done_waiting();
    }
}
