//! TCP connections.

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

use super::ToSocketAddrs;
use super::connect::connect;
use super::methods::{limit_methods, option_methods, socket_methods, stream_methods};
use super::shared::{Shared, not_zero};
use crate::park::Deadline;
use crate::sys::socket;

/// A TCP connection: `std::net::TcpStream`, but only the greenlet waits.
///
/// It implements `Read` and `Write` for itself and for `&TcpStream`, so one greenlet can read while another writes. Two
/// that read at the same time, or write, are an error for the second; a `write_all` stays in one piece. A greenlet whose reads
/// never have to wait lets the others run after a number of them.
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
    inner: Shared<std::net::TcpStream>,
}

impl TcpStream {
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

    /// Connects to the first of the addresses that answers.
    ///
    /// They are tried in their order, IPv6 and IPv4 in turns. An attempt that fails, or has not succeeded after 250 ms, is
    /// followed by the next while the earlier ones go on ("happy eyeballs", RFC 8305); the first success ends the others.
    ///
    /// **Switches**: yes. A kill or a timeout meanwhile closes all sockets that are half made.
    ///
    /// # Errors
    /// That of the last attempt, if all have failed; the text names the addresses. Or that the name could not be resolved.
    ///
    /// # Examples
    /// ```
    /// use greenloop::net::{TcpListener, TcpStream};
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// let dead = TcpListener::bind("127.0.0.1:0")?.local_addr()?; // closed again
    /// let stream = TcpStream::connect([dead, listener.local_addr()?].as_slice())?;
    /// assert_eq!(stream.peer_addr()?, listener.local_addr()?);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn connect(addr: impl ToSocketAddrs) -> io::Result<TcpStream> {
        Self::connected(addr.to_socket_addrs()?, None, Deadline::NEVER)
    }

    /// [`connect`](Self::connect), waiting at most for [`timeout`](crate#time-limits): for the lookup of the name and for all addresses together.
    ///
    /// **Switches**: yes.
    ///
    /// # Errors
    /// As for `connect`; `TimedOut` if there was no answer in time; `InvalidInput` for a limit of zero.
    ///
    /// # Examples
    /// ```
    /// use greenloop::net::{TcpListener, TcpStream};
    /// use std::time::Duration;
    ///
    /// /// The first that answers soon.
    /// fn connect_to_any(mirrors: &[String]) -> Option<TcpStream> {
    ///     let soon = Duration::from_secs(2);
    ///     mirrors.iter().find_map(|mirror| TcpStream::connect_timeout(mirror.as_str(), soon).ok())
    /// }
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// let gone = TcpListener::bind("127.0.0.1:0")?.local_addr()?; // nobody listens there any more
    /// let port = listener.local_addr()?.port();
    /// let stream = connect_to_any(&[gone.to_string(), format!("localhost:{port}")]).expect("one answers");
    /// assert_eq!(stream.peer_addr()?.port(), port);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn connect_timeout(addr: impl ToSocketAddrs, timeout: Duration) -> io::Result<TcpStream> {
        not_zero(Some(timeout))?;
        let deadline = Deadline::after(Some(timeout));
        Self::connected(addr.to_socket_addrs_timeout(timeout)?, None, deadline)
    }

    /// [`connect`](Self::connect) from an address of this machine; its port may be 0, for any. Addresses of the other family
    /// are left out.
    ///
    /// **Switches**: yes.
    ///
    /// # Errors
    /// As for `connect`; or that the local address cannot be had; or that no address is of its family.
    ///
    /// # Examples
    /// ```
    /// use greenloop::net::{TcpListener, TcpStream};
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// let local = "127.0.0.1:0".parse().unwrap();
    /// let stream = TcpStream::connect_from(local, listener.local_addr()?)?;
    /// assert_eq!(stream.local_addr()?.ip(), local.ip());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn connect_from(local: SocketAddr, addr: impl ToSocketAddrs) -> io::Result<TcpStream> {
        Self::connected(addr.to_socket_addrs()?, Some(local), Deadline::NEVER)
    }

    #[track_caller]
    fn connected(
        addresses: Vec<SocketAddr>,
        local: Option<SocketAddr>,
        deadline: Deadline,
    ) -> io::Result<TcpStream> {
        Ok(TcpStream { inner: Shared::new(connect(addresses, local, deadline)?) })
    }

    /// Of a socket that is non-blocking already.
    pub(super) fn from_nonblocking(socket: std::net::TcpStream) -> io::Result<TcpStream> {
        Ok(TcpStream { inner: Shared::of_nonblocking(socket)? })
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
    /// use greenloop::net::{TcpListener, TcpStream};
    /// use std::io::{Read, Write};
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// TcpStream::connect(listener.local_addr()?)?.write_all(b"GET /")?;
    /// let (mut socket, _) = listener.accept()?;
    /// let (mut first, mut text) = ([0], String::new());
    /// socket.peek(&mut first)?; // by this, somebody who reads everything may be chosen
    /// socket.read_to_string(&mut text)?;
    /// assert_eq!((first, text.as_str()), ([b'G'], "GET /"));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        self.inner.reading(|socket| socket.peek(buf))
    }

    /// What closing does with data that was not sent yet. `None`, the normal state: it is sent in the background. Zero: it is
    /// thrown away, and the peer sees a reset. Any other time, in whole seconds: the system blocks the *whole thread* in the
    /// drop of the last clone until it is sent, at most so long. **Switches**: no.
    ///
    /// # Errors
    /// If the system refuses.
    ///
    /// # Examples
    /// ```
    /// use greenloop::net::{TcpListener, TcpStream};
    /// use std::{io::{ErrorKind, Read}, time::Duration};
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// let client = TcpStream::connect(listener.local_addr()?)?;
    /// let (mut socket, _) = listener.accept()?;
    /// client.set_linger(Some(Duration::ZERO))?;
    /// drop(client);
    /// assert_eq!(socket.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_linger(&self, linger: Option<Duration>) -> io::Result<()> {
        socket::set_linger(self, linger)
    }

    /// What [`set_linger`](Self::set_linger) sets. **Switches**: no.
    ///
    /// # Errors
    /// If the system does not tell.
    ///
    /// # Examples
    /// ```
    /// use greenloop::net::{TcpListener, TcpStream};
    /// use std::time::Duration;
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// let stream = TcpStream::connect(listener.local_addr()?)?;
    /// assert_eq!(stream.linger()?, None);
    /// stream.set_linger(Some(Duration::ZERO))?;
    /// assert_eq!(stream.linger()?, Some(Duration::ZERO));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        socket::linger(self)
    }

    /// Asks the peer for a sign of life after a silence of this length, in whole seconds, so that a connection to a machine that
    /// is gone breaks in the end (`SO_KEEPALIVE`); `None` never asks. How often it asks then is a setting of the system.
    /// **Switches**: no.
    ///
    /// # Errors
    /// If the system refuses.
    ///
    /// # Examples
    /// ```
    /// use greenloop::net::{TcpListener, TcpStream};
    /// use std::time::Duration;
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// let stream = TcpStream::connect(listener.local_addr()?)?;
    /// stream.set_keepalive(Some(Duration::from_secs(60)))?;
    /// assert_eq!(stream.keepalive()?, Some(Duration::from_secs(60)));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_keepalive(&self, silence: Option<Duration>) -> io::Result<()> {
        socket::set_keepalive(self.inner.std(), silence)
    }

    /// What [`set_keepalive`](Self::set_keepalive) sets. **Switches**: no.
    ///
    /// # Errors
    /// If the system does not tell.
    ///
    /// # Examples
    /// ```
    /// use greenloop::net::{TcpListener, TcpStream};
    /// use std::time::Duration;
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// let stream = TcpStream::connect(listener.local_addr()?)?;
    /// assert_eq!(stream.keepalive()?, None);
    /// stream.set_keepalive(Some(Duration::from_secs(60)))?;
    /// assert_eq!(stream.keepalive()?, Some(Duration::from_secs(60)));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn keepalive(&self) -> io::Result<Option<Duration>> {
        socket::keepalive(self.inner.std())
    }
}

option_methods! { TcpStream by set_up:
    /// Sends small pieces at once instead of waiting for more (`TCP_NODELAY`).
    set_nodelay, nodelay: bool = true;
    /// Sets how many routers a packet may pass.
    set_ttl, ttl: u32 = 10;
}
limit_methods!(TcpStream, "read", "write");
stream_methods!(TcpStream, SocketAddr);
socket_methods!(TcpStream, std::net::TcpStream, SocketAddr);
