//! TCP listeners.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use super::{TcpStream, ToSocketAddrs};
use crate::io::{Watched, with_context};
use crate::reactor::Direction;
use crate::sys::socket;

/// A listening TCP socket: `std::net::TcpListener`, but only the greenlet waits.
///
/// # Examples
/// ```
/// use greenloop::net::{TcpListener, TcpStream};
///
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let client = TcpStream::connect(listener.local_addr()?)?;
/// let (_socket, peer) = listener.accept()?;
/// assert_eq!(peer, client.local_addr()?);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct TcpListener {
    watched: Watched<std::net::TcpListener>,
}

/// Connections that may wait to be accepted. The kernel lowers it to `net.core.somaxconn`, 4096 by default since Linux 5.4.
pub(crate) const BACKLOG: i32 = 4096;

impl TcpListener {
    /// Listens on the first of the addresses that can be had, with `SO_REUSEADDR` and a backlog of 4096.
    ///
    /// **Switches**: only to look a name up.
    ///
    /// # Errors
    /// That of the last address tried, which its text names: for example that it is in use.
    #[track_caller]
    pub fn bind(addr: impl ToSocketAddrs) -> io::Result<TcpListener> {
        let bound = first_bound(addr, socket::bind)?;
        let address = bound.local_addr()?;
        socket::listen(&bound, BACKLOG)
            .and_then(|()| Self::from_std(bound))
            .map_err(|error| listen_error(error, address))
    }

    /// Takes over a listener of the standard library. It is made non-blocking.
    ///
    /// # Errors
    /// If the system refuses to make it non-blocking or to watch it.
    pub fn from_std(listener: std::net::TcpListener) -> io::Result<TcpListener> {
        listener.set_nonblocking(true)?;
        Ok(TcpListener { watched: Watched::new(listener)? })
    }

    /// Gives the listener back to the standard library, blocking again.
    ///
    /// # Errors
    /// If the system refuses to make it blocking.
    pub fn into_std(self) -> io::Result<std::net::TcpListener> {
        let listener = self.watched.into_inner();
        listener.set_nonblocking(false)?;
        Ok(listener)
    }

    /// Waits for a connection.
    ///
    /// **Switches**: if none is waiting.
    ///
    /// # Errors
    /// If the system refuses, for example because the process has too many open files.
    #[track_caller]
    pub fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let (socket, peer) = self.watched.with(Direction::Read, None, socket::accept)?;
        Ok((TcpStream::from_nonblocking(socket)?, peer))
    }

    /// The connections as they come, for ever.
    pub fn incoming(&self) -> Incoming<'_> {
        Incoming { listener: self }
    }

    /// The own address, with the port that was chosen if 0 was asked for.
    ///
    /// # Errors
    /// If the system does not tell.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.watched.get().local_addr()
    }
}

/// Tries the addresses in turn.
pub(crate) fn first_bound<T>(
    addr: impl ToSocketAddrs,
    bind: impl Fn(SocketAddr) -> io::Result<T>,
) -> io::Result<T> {
    let mut last = None;
    for address in addr.to_socket_addrs()? {
        match bind(address) {
            Ok(bound) => return Ok(bound),
            Err(error) => last = Some(listen_error(error, address)),
        }
    }
    Err(last
        .unwrap_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "there is no address to listen on")))
}

/// Says which address, and what to do about the two usual reasons.
pub(crate) fn listen_error(error: io::Error, address: SocketAddr) -> io::Error {
    let advice = match error.kind() {
        io::ErrorKind::AddrInUse => " (another program listens there; stop it or take another port)",
        io::ErrorKind::PermissionDenied => " (ports below 1024 need a privilege; take a higher one)",
        _ => "",
    };
    with_context(error, format!("cannot listen on {address}{advice}"))
}

impl AsFd for TcpListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.watched.get().as_fd()
    }
}

impl AsRawFd for TcpListener {
    fn as_raw_fd(&self) -> RawFd {
        self.watched.get().as_raw_fd()
    }
}

impl fmt::Debug for TcpListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.watched.get(), f)
    }
}

/// The connections of a [`TcpListener`] as they come.
#[derive(Debug)]
pub struct Incoming<'a> {
    listener: &'a TcpListener,
}

impl Iterator for Incoming<'_> {
    type Item = io::Result<TcpStream>;

    #[track_caller]
    fn next(&mut self) -> Option<Self::Item> {
        Some(self.listener.accept().map(|(socket, _)| socket))
    }
}
