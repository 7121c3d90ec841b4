//! What all sockets have: a registration, time limits, and clones that share both.

use std::cell::Cell;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net as unix;
use std::rc::Rc;
use std::time::Duration;

use crate::io::Watched;
use crate::park;
use crate::reactor::Direction;
use crate::sys::transfer::{receive, send};

/// `readv` takes no more pieces than this at once.
const MOST_PIECES: usize = 1024;

/// A socket of the standard library.
pub(super) trait Std: AsFd + Into<OwnedFd> + Sized {
    fn set_nonblocking(&self, on: bool) -> io::Result<()>;
}

macro_rules! std_sockets {
    ($($type:ty),*) => {$(
        impl Std for $type {
            fn set_nonblocking(&self, on: bool) -> io::Result<()> {
                self.set_nonblocking(on)
            }
        }
    )*};
}

std_sockets!(std::net::TcpStream, std::net::TcpListener, std::net::UdpSocket);
std_sockets!(unix::UnixStream, unix::UnixListener, unix::UnixDatagram);

/// A stream of bytes of the standard library.
pub(super) trait StdStream: Std {
    /// If a read gives less than it was asked for, is the rest announced by an event?
    const SHORT_IS_ALL: bool;
}

impl StdStream for std::net::TcpStream {
    const SHORT_IS_ALL: bool = true;
}

impl StdStream for unix::UnixStream {
    /// A read ends where descriptors were sent along, whatever lies behind.
    const SHORT_IS_ALL: bool = false;
}

/// A watched socket with its time limits, for all its clones.
pub(super) struct Shared<S: AsFd>(Rc<Inner<S>>);

/// What a read needs comes first.
#[repr(C)]
struct Inner<S: AsFd> {
    watched: Watched<S>,
    read_timeout: Cell<Option<Duration>>,
    write_timeout: Cell<Option<Duration>>,
    /// Nothing is to be received any more.
    is_deaf: Cell<bool>,
}

impl<S: AsFd> Clone for Shared<S> {
    fn clone(&self) -> Self {
        Shared(self.0.clone())
    }
}

impl<S: Std> Shared<S> {
    pub(super) fn new(watched: Watched<S>) -> Self {
        let (read_timeout, write_timeout) = (Cell::new(None), Cell::new(None));
        Shared(Rc::new(Inner { watched, read_timeout, write_timeout, is_deaf: Cell::new(false) }))
    }

    /// Of a socket that is non-blocking already.
    pub(super) fn of_nonblocking(socket: S) -> io::Result<Self> {
        Ok(Self::new(Watched::new(socket)?))
    }

    pub(super) fn from_std(socket: S) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        Self::of_nonblocking(socket)
    }

    pub(super) fn into_std(self) -> io::Result<S> {
        // A duplicate would not do: blocking belongs to the open file, so what a clone does next would stop the hub.
        let inner = Rc::into_inner(self.0).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::ResourceBusy,
                "the socket has clones, for which it would block, too: drop them first, or take a duplicate that does not block, by `as_fd().try_clone_to_owned()`",
            )
        })?;
        let socket = inner.watched.into_inner();
        socket.set_nonblocking(false)?;
        Ok(socket)
    }

    /// Non-blocking, as it is; a duplicate if there are clones.
    pub(super) fn into_descriptor(self) -> io::Result<OwnedFd> {
        match Rc::try_unwrap(self.0) {
            Ok(inner) => Ok(inner.watched.into_inner().into()),
            Err(shared) => shared.watched.as_fd().try_clone_to_owned(),
        }
    }

    #[inline]
    pub(super) fn std(&self) -> &S {
        self.0.watched.get()
    }

    /// An operation that takes something in, within the time limit for reading.
    #[track_caller]
    #[inline]
    pub(super) fn reading<R>(&self, operation: impl FnMut(&S) -> io::Result<R>) -> io::Result<R> {
        self.0.watched.with(Direction::Read, self.0.read_timeout.get(), operation)
    }

    /// An operation that gives something out, within the time limit for writing.
    #[track_caller]
    #[inline]
    pub(super) fn writing<R>(&self, operation: impl FnMut(&S) -> io::Result<R>) -> io::Result<R> {
        self.0.watched.with(Direction::Write, self.0.write_timeout.get(), operation)
    }

    /// Tells who waits of a `shutdown` that has happened: the kernel does not always.
    pub(super) fn was_shut_down(&self, how: Shutdown) {
        if how != Shutdown::Write {
            self.0.is_deaf.set(true);
        }
        self.0.watched.look_again();
    }

    /// Has its reading side been shut down?
    pub(super) fn is_deaf(&self) -> bool {
        self.0.is_deaf.get()
    }

    #[cfg(feature = "http")]
    pub(super) fn rest_until_readable(&self) -> io::Result<(crate::io::Resting, crate::hub::Reason)> {
        self.0.watched.rest_until_readable()
    }

    pub(super) fn read_timeout(&self) -> Option<Duration> {
        self.0.read_timeout.get()
    }

    pub(super) fn write_timeout(&self) -> Option<Duration> {
        self.0.write_timeout.get()
    }

    pub(super) fn set_read_timeout(&self, limit: Option<Duration>) -> io::Result<()> {
        self.0.read_timeout.set(not_zero(limit)?);
        Ok(())
    }

    pub(super) fn set_write_timeout(&self, limit: Option<Duration>) -> io::Result<()> {
        self.0.write_timeout.set(not_zero(limit)?);
        Ok(())
    }
}

impl<S: StdStream> Shared<S>
where
    for<'a> &'a S: Read + Write,
{
    #[track_caller]
    #[inline]
    pub(super) fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        let count = self.reading(|socket| receive(socket, buf))?;
        self.has_read(count, buf.len());
        Ok(count)
    }

    #[track_caller]
    pub(super) fn read_vectored(&self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let room = bufs.iter().take(MOST_PIECES).map(|buf| buf.len()).sum();
        if room == 0 {
            return Ok(0);
        }
        let count = self.reading(|mut socket| socket.read_vectored(bufs))?;
        self.has_read(count, room);
        Ok(count)
    }

    /// [`read`](Self::read), but where that would park it says that it would block.
    #[cfg(feature = "http")]
    pub(super) fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        let count = self.0.watched.try_with(Direction::Read, |socket| receive(socket, buf))?;
        self.has_read(count, buf.len());
        Ok(count)
    }

    #[inline]
    fn has_read(&self, count: usize, room: usize) {
        if S::SHORT_IS_ALL && count > 0 && count < room {
            self.0.watched.read_short();
        }
    }

    #[track_caller]
    #[inline]
    pub(super) fn write(&self, buf: &[u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return self.write_nothing();
        }
        self.writing(|socket| send(socket, buf))
    }

    /// The usual case, in which there is room for all, is done in the frame of the caller: behind a system call the processor
    /// does not foresee a return (see [`park`]).
    #[track_caller]
    #[inline(always)]
    pub(super) fn write_all(&self, buf: &[u8]) -> io::Result<()> {
        if buf.is_empty() {
            return Ok(());
        }
        park::take_turn();
        match self.0.watched.try_with(Direction::Write, |socket| send(socket, buf)) {
            Ok(count) if count == buf.len() => Ok(()),
            sent => self.write_rest(sent, buf),
        }
    }

    /// What is left of `buf` after an attempt. It stays in one piece: a second writer is told so whenever it comes.
    #[cold]
    #[track_caller]
    fn write_rest(&self, mut sent: io::Result<usize>, mut buf: &[u8]) -> io::Result<()> {
        loop {
            match sent {
                Ok(0) => {
                    return Err(io::Error::new(
                        io::ErrorKind::WriteZero,
                        "the socket took nothing of what was to be written",
                    ));
                }
                Ok(count) => buf = &buf[count..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
            if buf.is_empty() {
                return Ok(());
            }
            self.0.watched.take_turn_in_place(Direction::Write)?;
            let limit = self.0.write_timeout.get();
            sent = self.0.watched.go_on_with(Direction::Write, limit, |socket| send(socket, buf));
        }
    }

    #[track_caller]
    pub(super) fn write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        if bufs.iter().all(|buf| buf.is_empty()) {
            return self.write_nothing();
        }
        self.writing(|mut socket| socket.write_vectored(bufs))
    }

    /// Nothing needs no room, and so no wait for it. The system is asked all the same: it says if the direction is closed.
    #[cold]
    fn write_nothing(&self) -> io::Result<usize> {
        match self.std().write(&[]) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            done => done,
        }
    }
}

/// As the standard library has it.
pub(super) fn not_zero(limit: Option<Duration>) -> io::Result<Option<Duration>> {
    match limit {
        Some(Duration::ZERO) => {
            Err(io::Error::new(io::ErrorKind::InvalidInput, "a time limit of zero would let nothing through"))
        }
        limit => Ok(limit),
    }
}
