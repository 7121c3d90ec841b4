//! TCP listeners.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use super::address::first;
use super::methods::{listener_methods, option_methods, socket_methods};
use super::shared::Shared;
use super::{TcpStream, ToSocketAddrs};
use crate::io::with_context;
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
    inner: Shared<std::net::TcpListener>,
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
    ///
    /// # Examples
    /// ```
    /// use greenloop::net::TcpListener;
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// let error = TcpListener::bind(listener.local_addr()?).unwrap_err();
    /// assert!(error.to_string().contains("another program listens there"));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn bind(addr: impl ToSocketAddrs) -> io::Result<TcpListener> {
        let bound = first_bound(addr, socket::bind)?;
        let address = bound.local_addr()?;
        socket::listen(&bound, BACKLOG)
            .and_then(|()| Self::from_std(bound))
            .map_err(|error| listen_error(error, address))
    }

    /// Waits for a connection.
    ///
    /// **Switches**: if none is waiting.
    ///
    /// # Errors
    /// If the system refuses, for example because the process has too many open files.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{net::{TcpListener, TcpStream}, spawn};
    /// use std::io::Write;
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// let address = listener.local_addr()?;
    /// let client = spawn(move || std::io::read_to_string(TcpStream::connect(address)?));
    /// let (mut socket, peer) = listener.accept()?; // the client connects meanwhile
    /// write!(socket, "hello, {}", peer.ip())?;
    /// drop(socket);
    /// assert_eq!(client.join().unwrap()?, "hello, 127.0.0.1");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let (socket, peer) = self.inner.reading(socket::accept)?;
        Ok((TcpStream::from_nonblocking(socket)?, peer))
    }
}

option_methods! { TcpListener by set_up:
    /// Sets how many routers a packet may pass, for the connections to come, too.
    set_ttl, ttl: u32 = 10;
}
listener_methods!(TcpListener, TcpStream);
socket_methods!(TcpListener, std::net::TcpListener, SocketAddr);

/// Tries the addresses in turn.
#[track_caller]
pub(crate) fn first_bound<T>(
    addr: impl ToSocketAddrs,
    bind: impl Fn(SocketAddr) -> io::Result<T>,
) -> io::Result<T> {
    first(addr, "listen on", |address| bind(address).map_err(|error| listen_error(error, address)))
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

/// The connections of a listener as they come, for ever.
///
/// # Examples
/// ```
/// use greenloop::net::{TcpListener, TcpStream};
///
/// let listener = TcpListener::bind("127.0.0.1:0")?;
/// let client = TcpStream::connect(listener.local_addr()?)?;
/// for socket in listener.incoming().take(1) {
///     assert_eq!(socket?.peer_addr()?, client.local_addr()?);
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Incoming<'a, L = TcpListener> {
    pub(super) listener: &'a L,
}

impl<L: fmt::Debug> fmt::Debug for Incoming<'_, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Incoming({:?})", self.listener)
    }
}
