//! A descriptor whose operations park the greenlet instead of blocking the thread.
//!
//! The latches of a registration say "may be ready" and are cleared by an operation that would block. That is enough for the
//! crate's own sockets, whose operations all come through here. Somebody else's descriptor is read behind our back, so that a
//! latch may be stale: there the system is asked, and its "no" clears the latch as an operation that would block does.

use std::cell::Cell;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::rc::Rc;
use std::time::Duration;

use super::with_context;
use crate::hub::{Hub, Object, Reason};
use crate::park::{self, Deadline, Woken};
pub use crate::reactor::Direction;
use crate::reactor::{Attendant, Expectation, Source, Waiter};
use crate::sys::descriptor;

/// Any descriptor that the system can watch: of a client library such as libpq or ZeroMQ, of inotify, a timer, a device.
///
/// Who reads and writes it is left open. Either the library does, after [`readable`](Self::readable) or
/// [`writable`](Self::writable) has waited until it can; or a closure given to [`with_io`](Self::with_io). `T` is anything that
/// has a descriptor: an owner, or a borrower such as `BorrowedFd`.
///
/// A descriptor can be watched once per hub; a duplicate of it counts as another one. Two greenlets cannot wait for the same
/// direction of it at once.
///
/// # Examples
/// A library that has a descriptor and does its own input:
/// ```
/// use greenloop::{io::Watched, spawn};
/// use std::io::{Read, Write};
///
/// let (ours, mut theirs) = std::os::unix::net::UnixStream::pair()?;
/// spawn(move || theirs.write_all(b"ping"));
///
/// let watched = Watched::new(ours)?;
/// watched.readable()?; // the others run meanwhile
/// let mut answer = [0; 4];
/// watched.get_ref().read_exact(&mut answer)?;
/// assert_eq!(&answer, b"ping");
/// # Ok::<(), std::io::Error>(())
/// ```
#[repr(C)]
pub struct Watched<T: AsFd> {
    source: Rc<Source>,
    /// Always there, except while it is dropped or taken apart.
    io: Option<T>,
    /// It is known not to block.
    nonblocking: Cell<bool>,
}

impl<T: AsFd> Watched<T> {
    /// Watches `io`, whose flags stay as they are: it may be blocking, and belong to other processes as well.
    ///
    /// **Switches**: no.
    ///
    /// # Errors
    /// If the system cannot watch it. Regular files and folders cannot be: they are always "ready" and block nevertheless, and are
    /// for [`fs`](crate::fs) or for the [thread pool](crate::threadpool()). If this hub watches the same descriptor already.
    ///
    /// # Examples
    /// ```
    /// use greenloop::io::Watched;
    ///
    /// let (ours, _theirs) = std::os::unix::net::UnixStream::pair()?;
    /// let watched = Watched::new(&ours)?;
    /// let error = Watched::new(&ours).unwrap_err();
    /// assert!(error.to_string().contains("this hub watches the descriptor already"));
    /// assert!(Watched::new(std::fs::File::open("/")?).is_err()); // never "not ready"
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn new(io: T) -> io::Result<Watched<T>> {
        let descriptor = io.as_fd();
        let source = Hub::current().reactor.register(descriptor);
        let source = source.map_err(|error| cannot_watch(error, descriptor.as_raw_fd()))?;
        Ok(Watched { io: Some(io), source, nonblocking: Cell::new(false) })
    }

    /// Watches `io` after it was made non-blocking, for [`with_io`](Self::with_io). That holds for all duplicates of the
    /// descriptor, those in other processes too, and stays when the watching ends.
    ///
    /// **Switches**: no.
    ///
    /// # Errors
    /// As [`new`](Self::new); if the system refuses to make it non-blocking.
    ///
    /// # Examples
    /// ```
    /// use greenloop::io::{Direction, Watched};
    /// use std::io::Read;
    ///
    /// let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
    /// let watched = Watched::nonblocking(ours)?;
    /// drop(theirs);
    /// assert_eq!(watched.with_io(Direction::Read, |mut socket| socket.read(&mut [0; 8]))?, 0);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn nonblocking(io: T) -> io::Result<Watched<T>> {
        descriptor::set_nonblocking(&io, true)?;
        Watched::new(io)
    }

    /// What is watched. To be left non-blocking if [`with_io`](Self::with_io) is used. **Switches**: no.
    ///
    /// # Examples
    /// ```
    /// use greenloop::io::Watched;
    /// use std::io::Write;
    ///
    /// let (ours, _theirs) = std::os::unix::net::UnixStream::pair()?;
    /// let watched = Watched::new(ours)?;
    /// watched.writable()?;
    /// assert_eq!(watched.get_ref().write(b"ping")?, 4);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[inline]
    pub fn get_ref(&self) -> &T {
        self.get()
    }

    #[inline]
    pub(crate) fn get(&self) -> &T {
        match &self.io {
            Some(io) => io,
            None => unreachable!("the descriptor is taken out only when the whole is consumed"),
        }
    }

    #[cfg(feature = "http")]
    pub(super) fn source(&self) -> &Rc<Source> {
        &self.source
    }

    /// [`with`](Self::with), but where that would park it says that it would block.
    #[inline(always)]
    pub(crate) fn try_with<R>(
        &self,
        direction: Direction,
        mut operation: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        self.attempt(direction, &mut operation).unwrap_or_else(|| Err(io::ErrorKind::WouldBlock.into()))
    }

    /// Does `operation` while it may succeed at once. `None` if it would block.
    #[inline(always)]
    fn attempt<R>(
        &self,
        direction: Direction,
        operation: &mut impl FnMut(&T) -> io::Result<R>,
    ) -> Option<io::Result<R>> {
        while self.source.is_ready(direction) {
            if let Err(taken) = self.check_free(direction) {
                return Some(Err(taken));
            }
            match operation(self.get()) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.source.would_block(direction),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                done => return Some(done),
            }
        }
        None
    }

    /// Ends the watching and gives back what was watched. **Switches**: no.
    ///
    /// # Examples
    /// ```
    /// use greenloop::io::Watched;
    ///
    /// let (ours, _theirs) = std::os::unix::net::UnixStream::pair()?;
    /// let ours = Watched::new(ours)?.into_inner();
    /// assert!(Watched::new(ours).is_ok()); // nobody watches it any more
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn into_inner(mut self) -> T {
        match self.deregister() {
            Some(io) => io,
            None => unreachable!("the descriptor is taken out only when the whole is consumed"),
        }
    }

    /// Waits until a read would not block: something is there, or the end, or an error.
    ///
    /// **Switches**: unless it is so.
    ///
    /// # Errors
    /// If another greenlet is waiting for the same. In a destructor run by a panic or a kill, which does not wait.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{io::Watched, spawn};
    /// use std::io::{Read, Write};
    ///
    /// let (mut ours, mut theirs) = std::os::unix::net::UnixStream::pair()?;
    /// spawn(move || theirs.write_all(b"ping"));
    /// Watched::new(&ours)?.readable()?; // that one runs meanwhile
    /// let mut place = [0; 8];
    /// assert_eq!(ours.read(&mut place)?, 4);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn readable(&self) -> io::Result<()> {
        self.ready(Direction::Read, None)
    }

    /// [`readable`](Self::readable), at most for [`timeout`](crate#time-limits).
    ///
    /// **Switches**: unless it is so.
    ///
    /// # Errors
    /// `TimedOut`; and as [`readable`](Self::readable).
    ///
    /// # Examples
    /// ```
    /// use greenloop::io::Watched;
    /// use std::{io::ErrorKind, time::Duration};
    ///
    /// let (ours, _silent) = std::os::unix::net::UnixStream::pair()?;
    /// let error = Watched::new(ours)?.readable_timeout(Duration::from_millis(1)).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::TimedOut);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn readable_timeout(&self, timeout: Duration) -> io::Result<()> {
        self.ready(Direction::Read, Some(timeout))
    }

    /// Waits until a write of a byte would not block: there is room, or an error.
    ///
    /// **Switches**: unless it is so.
    ///
    /// # Errors
    /// If another greenlet is waiting for the same. In a destructor run by a panic or a kill, which does not wait.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{io::Watched, spawn};
    /// use std::io::{Read, Write};
    ///
    /// let (mut ours, mut theirs) = std::os::unix::net::UnixStream::pair()?;
    /// ours.set_nonblocking(true)?;
    /// while ours.write(&[0; 4096]).is_ok() {} // until it is full
    /// let _theirs = spawn(move || theirs.read(&mut vec![0; 1 << 20]).map(|_| theirs));
    /// Watched::new(&ours)?.writable()?; // that one makes room meanwhile
    /// assert!(ours.write(b"x").is_ok());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn writable(&self) -> io::Result<()> {
        self.ready(Direction::Write, None)
    }

    /// [`writable`](Self::writable), at most for [`timeout`](crate#time-limits).
    ///
    /// **Switches**: unless it is so.
    ///
    /// # Errors
    /// `TimedOut`; and as [`writable`](Self::writable).
    ///
    /// # Examples
    /// ```
    /// use greenloop::io::Watched;
    /// use std::{io::{ErrorKind, Write}, time::Duration};
    ///
    /// let (mut ours, _idle) = std::os::unix::net::UnixStream::pair()?;
    /// ours.set_nonblocking(true)?;
    /// while ours.write(&[0; 4096]).is_ok() {} // until it is full
    /// let error = Watched::new(ours)?.writable_timeout(Duration::from_millis(1)).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::TimedOut);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn writable_timeout(&self, timeout: Duration) -> io::Result<()> {
        self.ready(Direction::Write, Some(timeout))
    }

    /// Does `operation`, again and again until it says something else than that it would block. It waits in between for
    /// `direction`. `operation` must not switch.
    ///
    /// **Switches**: unless the operation succeeds at once.
    ///
    /// # Errors
    /// Those of the operation. `InvalidInput` if the descriptor is blocking: the operation would stop the whole thread. If another
    /// greenlet is waiting for the same. In a destructor run by a panic or a kill, if it would have to wait.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{io::{Direction, Watched}, spawn};
    /// use std::io::{ErrorKind, Read, Write};
    ///
    /// let (ours, mut theirs) = std::os::unix::net::UnixStream::pair()?;
    /// spawn(move || theirs.write_all(b"ping"));
    /// let (watched, mut place) = (Watched::nonblocking(ours)?, [0; 8]);
    /// let count = watched.with_io(Direction::Read, |mut socket| socket.read(&mut place))?;
    /// assert_eq!(&place[..count], b"ping");
    ///
    /// let ours = watched.into_inner();
    /// ours.set_nonblocking(false)?;
    /// let error = Watched::new(ours)?.with_io(Direction::Read, |mut socket| socket.read(&mut place)).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::InvalidInput); // it would stop the whole thread
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn with_io<R>(
        &self,
        direction: Direction,
        operation: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        if !self.nonblocking.get() {
            if !descriptor::is_nonblocking(self.get_ref().as_fd())? {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    "this descriptor is blocking, so the operation would stop the thread with all its greenlets; make it \
                     non-blocking, or wait by `readable` or `writable` and do the operation then",
                ));
            }
            self.nonblocking.set(true);
        }
        self.with(direction, None, operation)
    }

    /// Waits until the system says that the descriptor is ready, whoever uses it.
    #[track_caller]
    fn ready(&self, direction: Direction, timeout: Option<Duration>) -> io::Result<()> {
        let to_write = direction == Direction::Write;
        self.with(direction, timeout, |io| match descriptor::is_ready(io.as_fd(), to_write)? {
            true => Ok(()),
            false => Err(io::ErrorKind::WouldBlock.into()),
        })
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
        operation: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        park::take_turn();
        self.go_on_with(direction, timeout, operation)
    }

    /// [`with`](Self::with) in the middle of something: the others have had their turn.
    #[track_caller]
    #[inline(always)]
    pub(crate) fn go_on_with<R>(
        &self,
        direction: Direction,
        timeout: Option<Duration>,
        mut operation: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        loop {
            if let Some(done) = self.attempt(direction, &mut operation) {
                return done;
            }
            if timeout.is_some() {
                return self.go_on_until(direction, Deadline::after(timeout), operation);
            }
            self.wait(direction, Deadline::NEVER)?;
        }
    }

    /// The rest of an operation that has to wait, and not for ever. Apart: the frame of one without a limit is the smaller for it.
    #[track_caller]
    #[inline(never)]
    fn go_on_until<R>(
        &self,
        direction: Direction,
        deadline: Deadline,
        mut operation: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        loop {
            self.wait(direction, deadline)?;
            if let Some(done) = self.attempt(direction, &mut operation) {
                return done;
            }
        }
    }

    /// Whoever waits has the place until its turn comes, also when an event has come meanwhile.
    #[inline(always)]
    fn check_free(&self, direction: Direction) -> io::Result<()> {
        match self.source.is_waited_for(direction) {
            false => Ok(()),
            true => Err(self.is_taken(direction)),
        }
    }

    /// [`park::take_turn`] in the middle of something that is to stay in one piece: nobody takes the place meanwhile.
    pub(crate) fn take_turn_in_place(&self, direction: Direction) -> io::Result<()> {
        let place = if park::is_turn_over() { Some(self.begin_waiting(direction)?) } else { None };
        park::take_turn();
        drop(place);
        Ok(())
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

    /// Has `attendant` told of the next event of this direction, until the watching ends.
    pub(crate) fn attend(&self, direction: Direction, attendant: Rc<dyn Attendant>) -> io::Result<()> {
        Hub::current().reactor.attend(self.get().as_fd(), &self.source, direction, attendant)
    }

    /// To be called by an attendant that was told and wants to be told of the next event.
    pub(crate) fn attend_again(&self) -> io::Result<()> {
        Hub::current().reactor.attend_again(self.get().as_fd(), &self.source)
    }

    /// Makes what the attendant may be told of a reason for the hub to go on. To be dropped before the watching ends.
    pub(crate) fn expect(&self) -> Expectation {
        Expectation::awaited(&self.source)
    }

    /// Makes it none, but a reason not to speak of a deadlock. As [`expect`](Self::expect).
    pub(crate) fn herald(&self) -> Expectation {
        Expectation::possible(&self.source)
    }

    /// In the frame of the operation: see [`park`], and of thousands who wait each frame less is a line or two less to come from far away.
    #[track_caller]
    #[inline(always)]
    fn wait(&self, direction: Direction, deadline: Deadline) -> io::Result<()> {
        let waiting = self.begin_waiting(direction)?;
        let woken = park::park(self.reason(direction), deadline);
        drop(waiting);
        match woken {
            Woken::Notified => Ok(()),
            Woken::TimedOut => Err(took_too_long(direction)),
            Woken::Refused => Err(refused()),
        }
    }

    #[inline]
    pub(super) fn reason(&self, direction: Direction) -> Reason {
        let what = match direction {
            Direction::Read => &"descriptor (readable)",
            Direction::Write => &"descriptor (writable)",
        };
        Reason::of(what, Object::Descriptor(self.get().as_fd().as_raw_fd()))
    }

    /// Makes the running task the one that is woken by an event, until what it gives is dropped.
    #[inline(always)]
    fn begin_waiting(&self, direction: Direction) -> io::Result<Waiting<'_>> {
        let here = 0u8;
        let hub = self.enlist(direction, (&raw const here).cast())?;
        Ok(Waiting { source: &self.source, direction, hub })
    }

    /// The same, for whoever undoes it. `frames` is an address among the frames that it keeps meanwhile, or null.
    #[inline(always)]
    pub(super) fn enlist(&self, direction: Direction, frames: *const ()) -> io::Result<&'static Hub> {
        let hub = Hub::current();
        let running = hub.running();
        let task = Rc::as_ptr(&running);
        if !self.source.begin(direction, Waiter::Task(running)) {
            return Err(self.is_taken(direction));
        }
        let holder = (&raw const *self).cast();
        if let Err(error) = hub.reactor.begin_waiting(self.get().as_fd(), &self.source, task, holder, frames)
        {
            self.source.end(direction);
            return Err(error);
        }
        Ok(hub)
    }

    #[cold]
    fn is_taken(&self, direction: Direction) -> io::Error {
        io::Error::other(format!(
            "this descriptor is already being {} by {}; two at once would each get a random part of what comes and \
             goes: give one of them the task or put a lock around it",
            participle(direction),
            self.source.holder(direction),
        ))
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

impl<T: AsFd> AsFd for Watched<T> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.get_ref().as_fd()
    }
}

impl<T: AsFd + fmt::Debug> fmt::Debug for Watched<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Watched").field(self.get_ref()).finish()
    }
}

/// What to do about a descriptor that cannot be registered.
pub(super) fn cannot_watch(error: io::Error, descriptor: RawFd) -> io::Error {
    match error.raw_os_error() {
        Some(libc::EPERM) => with_context(
            error,
            "the system cannot watch this descriptor; a regular file or folder is for `fs` or for the thread pool",
        ),
        Some(libc::EEXIST) => with_context(
            error,
            "this hub watches the descriptor already; use the object that does, or a duplicate of the descriptor",
        ),
        Some(libc::ENOSPC) => with_context(
            error,
            format!(
                "the system cannot watch descriptor {descriptor}, as this user watches as many as `fs.epoll.max_user_watches` \
                 allows"
            ),
        ),
        Some(_) => with_context(error, format!("the system cannot watch descriptor {descriptor}")),
        None => error,
    }
}

/// Parks until an event says that one of several is ready; false if the deadline came first.
///
/// # Errors
/// That another greenlet is already waiting for the same; that the thread is unwinding.
#[track_caller]
pub(crate) fn wait_for_any<'a, T: AsFd + 'a>(
    several: impl ExactSizeIterator<Item = &'a Watched<T>> + Clone,
    direction: Direction,
    deadline: Deadline,
) -> io::Result<bool> {
    let reason = match (several.len(), several.clone().next()) {
        (1, Some(one)) => one.reason(direction),
        (count, _) => Reason::of(&"the first of so many descriptors:", Object::Count(count)),
    };
    let waiting = several.map(|watched| watched.begin_waiting(direction)).collect::<io::Result<Vec<_>>>()?;
    let woken = park::park(reason, deadline);
    drop(waiting);
    match woken {
        Woken::Notified => Ok(true),
        Woken::TimedOut => Ok(false),
        Woken::Refused => Err(refused()),
    }
}

fn participle(direction: Direction) -> &'static str {
    match direction {
        Direction::Read => "read",
        Direction::Write => "written",
    }
}

#[cold]
fn took_too_long(direction: Direction) -> io::Error {
    let text =
        format!("the peer did not let this descriptor be {} in the time allowed", participle(direction));
    io::Error::new(io::ErrorKind::TimedOut, text)
}

#[cold]
fn refused() -> io::Error {
    io::Error::other(
        "this would wait for a descriptor, but the greenlet is being unwound by a panic or a kill: destructors do not block",
    )
}

/// The running task is woken by events of this direction as long as it lives.
struct Waiting<'a> {
    source: &'a Source,
    direction: Direction,
    hub: &'static Hub,
}

impl Drop for Waiting<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        self.hub.reactor.done_waiting();
        self.source.end(self.direction);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_watched_is_named_with_the_limit_that_forbids_it() {
        let text = |number: i32| {
            let error = io::Error::from_raw_os_error(number);
            let told = cannot_watch(io::Error::from_raw_os_error(number), 77);
            assert_eq!(told.kind(), error.kind());
            told.to_string()
        };
        assert!(
            text(libc::ENOSPC).starts_with("the system cannot watch descriptor 77, as this user watches")
        );
        assert!(text(libc::ENOSPC).contains("`fs.epoll.max_user_watches`"));
        assert!(text(libc::ENOMEM).starts_with("the system cannot watch descriptor 77: "));
    }
}
