//! Connections between processes of one machine.

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net as unix;
use std::path::Path;
use std::time::Duration;

use super::methods::{limit_methods, socket_methods, stream_methods};
use super::shared::{Shared, not_zero};
use crate::io::patience;
use crate::io::{Watched, wait_for_any, with_context};
use crate::park::Deadline;
use crate::reactor::Direction;
use crate::sys::unix_socket;

/// A connection over a Unix socket: `std::os::unix::net::UnixStream`, but only the greenlet waits.
///
/// As for a [`TcpStream`](super::TcpStream), one greenlet can read while another writes, and two that read at the same time, or
/// write, are an error for the second.
///
/// **Switches**: reading, writing and connecting do, when they have to wait. In a destructor run by a panic or a kill they
/// return an error instead.
///
/// # Examples
/// ```
/// use greenloop::{net::UnixStream, spawn};
/// use std::io::{Read, Write};
///
/// let (mut a, mut b) = UnixStream::pair()?;
/// let writer = spawn(move || a.write_all(b"hello"));
/// let mut text = String::new();
/// b.read_to_string(&mut text)?;
/// assert_eq!(text, "hello");
/// # writer.join().unwrap()?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct UnixStream {
    inner: Shared<unix::UnixStream>,
}

impl UnixStream {
    /// Reads what is there, and does not wait.
    #[cfg(feature = "http")]
    pub(crate) fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.inner.try_read(buf)
    }

    /// Has the running greenlet woken when there is something to read, see `greenlet/rounds.rs`.
    #[cfg(feature = "http")]
    pub(crate) fn rest_until_readable(&self) -> io::Result<(crate::io::Resting, crate::hub::Reason)> {
        self.inner.rest_until_readable()
    }

    /// Connects to the socket at this path.
    ///
    /// **Switches**: if the listener's queue is full. The system does not say when there is room again: it is asked again and
    /// again, after pauses of up to 10 ms.
    ///
    /// # Errors
    /// If there is no socket, nobody listens, or it may not be used; the text names the path.
    ///
    /// # Examples
    /// ```
    /// use greenloop::net::{UnixListener, UnixStream};
    ///
    /// # let folder = std::env::temp_dir().join(format!("greenloop-doc-stream-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder)?;
    /// let path = folder.join("socket");
    /// let listener = UnixListener::bind(&path)?;
    /// let client = UnixStream::connect(&path)?;
    /// let (server, _) = listener.accept()?;
    /// assert_eq!(client.peer_addr()?.as_pathname(), Some(&*path));
    /// # std::fs::remove_dir_all(&folder)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn connect(path: impl AsRef<Path>) -> io::Result<UnixStream> {
        Self::connect_within(path.as_ref(), None)
    }

    /// [`connect`](Self::connect), waiting at most for [`timeout`](crate#time-limits).
    ///
    /// **Switches**: as `connect` does.
    ///
    /// # Errors
    /// As for `connect`; `TimedOut` if there was no room in the listener's queue in time; `InvalidInput` for a limit of zero.
    ///
    /// # Examples
    /// ```
    /// use greenloop::net::{UnixListener, UnixStream};
    /// use std::{io::ErrorKind, time::Duration};
    /// # let path = std::env::temp_dir().join(format!("greenloop-doc-limit-{}", std::process::id()));
    ///
    /// let listener = UnixListener::bind(&path)?;
    /// # socket2::SockRef::from(&listener).listen(2)?; // a short queue
    /// let queued: Vec<_> = (0..5000).map_while(|_| UnixStream::connect_timeout(&path, Duration::from_millis(5)).ok()).collect();
    /// let error = UnixStream::connect_timeout(&path, Duration::from_millis(5)).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::TimedOut); // the queue is full, and nobody accepts
    /// # std::fs::remove_file(&path)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn connect_timeout(path: impl AsRef<Path>, timeout: Duration) -> io::Result<UnixStream> {
        Self::connect_within(path.as_ref(), not_zero(Some(timeout))?)
    }

    #[track_caller]
    fn connect_within(path: &Path, limit: Option<Duration>) -> io::Result<UnixStream> {
        let outcome =
            unix::SocketAddr::from_pathname(path).and_then(|address| Self::connected(&address, limit));
        outcome.map_err(|error| with_context(error, format!("cannot connect to `{}`", path.display())))
    }

    /// Connects to an address, which may be an abstract name. To bound it, put a [`timeout`](crate::timeout()) around it.
    ///
    /// **Switches**: as [`connect`](Self::connect) does.
    ///
    /// # Errors
    /// As for `connect`; the text names the address.
    ///
    /// # Examples
    /// ```
    /// # #[cfg(target_os = "linux")] {
    /// use greenloop::net::{UnixListener, UnixStream};
    /// use std::os::{linux::net::SocketAddrExt, unix::net::SocketAddr};
    ///
    /// let name = format!("an abstract name {}", std::process::id());
    /// let address = SocketAddr::from_abstract_name(name)?;
    /// let listener = UnixListener::bind_addr(&address)?;
    /// let client = UnixStream::connect_addr(&address)?;
    /// let (server, _) = listener.accept()?;
    /// # }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn connect_addr(address: &unix::SocketAddr) -> io::Result<UnixStream> {
        Self::connected(address, None)
            .map_err(|error| with_context(error, format!("cannot connect to the Unix socket {address:?}")))
    }

    #[track_caller]
    fn connected(address: &unix::SocketAddr, limit: Option<Duration>) -> io::Result<UnixStream> {
        let deadline = Deadline::after(limit);
        let what = &"room in the queue of a Unix listener";
        let (socket, connected) = patience::repeat(what, limit, || unix_socket::begin_connect(address))?;
        let watched = Watched::new(socket)?;
        if !connected {
            watched.await_event(Direction::Write);
            while !watched.is_ready(Direction::Write) {
                if !wait_for_any([&watched].into_iter(), Direction::Write, deadline)? {
                    let text = "there was no answer in the time allowed";
                    return Err(io::Error::new(io::ErrorKind::TimedOut, text));
                }
            }
            if let Some(error) = watched.get().take_error()? {
                return Err(error);
            }
        }
        Ok(UnixStream { inner: Shared::new(watched) })
    }

    /// Two sockets that are connected to each other: gevent's `socketpair`. **Switches**: no.
    ///
    /// # Errors
    /// If the system refuses.
    ///
    /// # Examples
    /// ```
    /// use greenloop::net::UnixStream;
    /// use std::io::Write;
    ///
    /// let (mut a, b) = UnixStream::pair()?;
    /// a.write_all(b"hello")?;
    /// let mut place = [0; 8];
    /// assert_eq!(b.peek(&mut place)?, 5); // still there
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn pair() -> io::Result<(UnixStream, UnixStream)> {
        let (one, other) = unix::UnixStream::pair()?;
        Ok((UnixStream::from_std(one)?, UnixStream::from_std(other)?))
    }

    /// Of a socket that is non-blocking already.
    pub(super) fn from_nonblocking(socket: unix::UnixStream) -> io::Result<UnixStream> {
        Ok(UnixStream { inner: Shared::of_nonblocking(socket)? })
    }

    /// Reads without taking: the next read gives the same bytes.
    ///
    /// **Switches**: if nothing is there.
    ///
    /// # Errors
    /// As for `read`.
    ///
    /// # Examples
    /// ```
    /// use greenloop::net::UnixStream;
    /// use std::io::{Read, Write};
    ///
    /// let (mut a, mut b) = UnixStream::pair()?;
    /// a.write_all(b"hello")?;
    /// let (mut first, mut all) = ([0], [0; 5]);
    /// b.peek(&mut first)?;
    /// b.read_exact(&mut all)?;
    /// assert_eq!((&first, &all), (b"h", b"hello"));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        self.inner.reading(|socket| unix_socket::peek(socket, buf))
    }
}

limit_methods!(UnixStream, "read", "write");
stream_methods!(UnixStream, unix::SocketAddr);
socket_methods!(UnixStream, unix::UnixStream, unix::SocketAddr);
