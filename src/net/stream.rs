//! TCP connections.

use std::cell::Cell;
use std::fmt;
use std::io::{self, IoSlice, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::rc::Rc;
use std::time::Duration;

use super::ToSocketAddrs;
use crate::io::{Watched, with_context};
use crate::reactor::Direction;
use crate::sys::socket;

/// A TCP connection: `std::net::TcpStream`, but only the greenlet waits.
///
/// It implements `Read` and `Write` for itself and for `&TcpStream`, so one greenlet can read while another writes. Two
/// that read at the same time are an error for the second. A greenlet whose reads never have to wait lets the others run
/// after a number of them.
///
/// **Switches**: reading, writing and connecting do, when they have to wait. In a destructor run by a panic or a kill they
/// return an error instead.
///
/// # Examples
/// ```
/// use greenloop::{net::{TcpListener, TcpStream}, spawn};
/// use std::io::{Read, Write};
///
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let address = listener.local_addr()?;
/// let server = spawn(move || -> std::io::Result<()> {
///     let (mut socket, _) = listener.accept()?;
///     socket.write_all(b"hello")
/// });
/// let mut text = String::new();
/// TcpStream::connect(address)?.read_to_string(&mut text)?;
/// assert_eq!(text, "hello");
/// # server.join().unwrap()?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct TcpStream {
    inner: Rc<Inner>,
}

struct Inner {
    watched: Watched<std::net::TcpStream>,
    read_timeout: Cell<Option<Duration>>,
    write_timeout: Cell<Option<Duration>>,
}

impl TcpStream {
    /// Connects to the first of the addresses that answers.
    ///
    /// # Errors
    /// That of the last address tried, which its text names; or that the name could not be resolved.
    #[track_caller]
    pub fn connect(addr: impl ToSocketAddrs) -> io::Result<TcpStream> {
        let mut last = None;
        for address in addr.to_socket_addrs()? {
            match Self::connect_one(address, None) {
                Ok(stream) => return Ok(stream),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| {
            io::Error::new(io::ErrorKind::InvalidInput, "there is no address to connect to")
        }))
    }

    /// Connects, waiting at most for `timeout`.
    ///
    /// # Errors
    /// `TimedOut` if there was no answer in time. The text names the address.
    #[track_caller]
    pub fn connect_timeout(addr: &SocketAddr, timeout: Duration) -> io::Result<TcpStream> {
        Self::connect_one(*addr, Some(timeout))
    }

    #[track_caller]
    fn connect_one(address: SocketAddr, timeout: Option<Duration>) -> io::Result<TcpStream> {
        let attempt = || {
            let (socket, connected) = socket::begin_connect(address)?;
            let watched = Watched::new(socket)?;
            if !connected {
                watched.when_ready(Direction::Write, timeout)?;
                if let Some(error) = watched.get().take_error()? {
                    return Err(error);
                }
            }
            Ok(TcpStream::new(watched))
        };
        attempt().map_err(|error| with_context(error, format!("cannot connect to {address}")))
    }

    fn new(watched: Watched<std::net::TcpStream>) -> TcpStream {
        let (read_timeout, write_timeout) = (Cell::new(None), Cell::new(None));
        TcpStream { inner: Rc::new(Inner { watched, read_timeout, write_timeout }) }
    }

    /// Of a socket that is non-blocking already.
    pub(super) fn from_nonblocking(socket: std::net::TcpStream) -> io::Result<TcpStream> {
        Ok(TcpStream::new(Watched::new(socket)?))
    }

    /// Takes over a connection of the standard library. It is made non-blocking.
    ///
    /// # Errors
    /// If the system refuses to make it non-blocking or to watch it.
    pub fn from_std(socket: std::net::TcpStream) -> io::Result<TcpStream> {
        socket.set_nonblocking(true)?;
        Self::from_nonblocking(socket)
    }

    /// Gives the connection back to the standard library, blocking again. If there are clones of this stream they keep the
    /// same connection, which is then blocking for them, too.
    ///
    /// # Errors
    /// If the system refuses to make it blocking, or to duplicate the descriptor, which is necessary if there are clones.
    pub fn into_std(self) -> io::Result<std::net::TcpStream> {
        let socket = match Rc::try_unwrap(self.inner) {
            Ok(inner) => inner.watched.into_inner(),
            Err(shared) => shared.watched.get().try_clone()?,
        };
        socket.set_nonblocking(false)?;
        Ok(socket)
    }

    #[inline]
    fn socket(&self) -> &std::net::TcpStream {
        self.inner.watched.get()
    }

    /// Another handle to the same connection, with the same timeouts. **Switches**: no.
    ///
    /// # Errors
    /// None at present; the result is the standard library's.
    pub fn try_clone(&self) -> io::Result<TcpStream> {
        Ok(TcpStream { inner: self.inner.clone() })
    }

    /// The address of the peer.
    ///
    /// # Errors
    /// If the connection is broken.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.socket().peer_addr()
    }

    /// The own address.
    ///
    /// # Errors
    /// If the system does not tell.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket().local_addr()
    }

    /// Closes one direction or both. Greenlets that wait on it are woken.
    ///
    /// # Errors
    /// If the connection is broken already.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.socket().shutdown(how)
    }

    /// Sends small pieces at once (`TCP_NODELAY`).
    ///
    /// # Errors
    /// If the system refuses.
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.socket().set_nodelay(nodelay)
    }

    /// Is `TCP_NODELAY` set?
    ///
    /// # Errors
    /// If the system does not tell.
    pub fn nodelay(&self) -> io::Result<bool> {
        self.socket().nodelay()
    }

    /// Sets how many routers a packet may pass.
    ///
    /// # Errors
    /// If the system refuses.
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.socket().set_ttl(ttl)
    }

    /// How many routers a packet may pass.
    ///
    /// # Errors
    /// If the system does not tell.
    pub fn ttl(&self) -> io::Result<u32> {
        self.socket().ttl()
    }

    /// The pending error of the socket, which is cleared.
    ///
    /// # Errors
    /// If the system does not tell.
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.socket().take_error()
    }

    /// Limits how long a single read may wait; `None` is for ever. It holds for all clones. A read that takes longer
    /// fails with `TimedOut` and has read nothing.
    ///
    /// # Errors
    /// `InvalidInput` for a limit of zero, as in the standard library.
    pub fn set_read_timeout(&self, limit: Option<Duration>) -> io::Result<()> {
        self.inner.read_timeout.set(not_zero(limit)?);
        Ok(())
    }

    /// Limits how long a single write may wait; `None` is for ever. It holds for all clones.
    ///
    /// # Errors
    /// `InvalidInput` for a limit of zero, as in the standard library.
    pub fn set_write_timeout(&self, limit: Option<Duration>) -> io::Result<()> {
        self.inner.write_timeout.set(not_zero(limit)?);
        Ok(())
    }

    /// The limit set by [`set_read_timeout`](Self::set_read_timeout).
    ///
    /// # Errors
    /// None; the result is the standard library's.
    pub fn read_timeout(&self) -> io::Result<Option<Duration>> {
        Ok(self.inner.read_timeout.get())
    }

    /// The limit set by [`set_write_timeout`](Self::set_write_timeout).
    ///
    /// # Errors
    /// None; the result is the standard library's.
    pub fn write_timeout(&self) -> io::Result<Option<Duration>> {
        Ok(self.inner.write_timeout.get())
    }

    /// Reads without taking: the next read gives the same bytes.
    ///
    /// # Errors
    /// As for `read`.
    #[track_caller]
    pub fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        let timeout = self.inner.read_timeout.get();
        self.inner.watched.with(Direction::Read, timeout, |socket| socket.peek(buf))
    }

    #[track_caller]
    fn write_with(
        &self,
        operation: impl FnMut(&std::net::TcpStream) -> io::Result<usize>,
    ) -> io::Result<usize> {
        self.inner.watched.with(Direction::Write, self.inner.write_timeout.get(), operation)
    }
}

fn not_zero(limit: Option<Duration>) -> io::Result<Option<Duration>> {
    match limit {
        Some(Duration::ZERO) => {
            Err(io::Error::new(io::ErrorKind::InvalidInput, "a time limit of zero would let nothing through"))
        }
        limit => Ok(limit),
    }
}

impl Read for &TcpStream {
    #[track_caller]
    #[inline]
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        let Inner { watched, read_timeout, .. } = &*self.inner;
        let count = watched.with(Direction::Read, read_timeout.get(), |mut socket| socket.read(buf))?;
        if count > 0 && count < buf.len() {
            watched.read_short();
        }
        Ok(count)
    }
}

impl Write for &TcpStream {
    #[track_caller]
    #[inline]
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.write_with(|mut socket| socket.write(buf))
    }

    #[track_caller]
    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        self.write_with(|mut socket| socket.write_vectored(bufs))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for TcpStream {
    #[track_caller]
    #[inline]
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buf)
    }
}

impl Write for TcpStream {
    #[track_caller]
    #[inline]
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        (&*self).write(buf)
    }

    #[track_caller]
    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        (&*self).write_vectored(bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsFd for TcpStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket().as_fd()
    }
}

impl AsRawFd for TcpStream {
    fn as_raw_fd(&self) -> RawFd {
        self.socket().as_raw_fd()
    }
}

impl fmt::Debug for TcpStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.socket(), f)
    }
}
