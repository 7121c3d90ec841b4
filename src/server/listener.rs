//! What a server takes its connections from.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::unix::net as unix;

use crate::net::{TcpListener, TcpStream, UnixListener, UnixStream};

/// What a [`StreamServer`](super::StreamServer) accepts from. The listeners of [`net`](crate::net) are such, and anything
/// else that gives streams one after the other can be.
///
/// Dropping it ends the listening.
///
/// # Examples
/// A server without sockets:
/// ```
/// use greenloop::{queue::Queue, server::{Listener, StreamServer}};
/// use std::{io, time::Duration};
///
/// struct Orders(Queue<String>);
///
/// impl Listener for Orders {
///     type Stream = String;
///     type Addr = &'static str;
///
///     fn accept(&self) -> io::Result<(String, &'static str)> {
///         Ok((self.0.get().map_err(io::Error::other)?, "the counter"))
///     }
///     fn local_addr(&self) -> io::Result<&'static str> {
///         Ok("the shop")
///     }
/// }
///
/// let (orders, served) = (Queue::unbounded(), Queue::unbounded());
/// let server = StreamServer::from_listener(Orders(orders.clone()))?.handle({
///     let served = served.clone();
///     move |order, from| served.put(format!("{order} for {from}")).unwrap()
/// });
/// server.start()?;
/// orders.put("tea".to_string()).unwrap();
/// assert_eq!(served.get().unwrap(), "tea for the counter");
/// server.stop(Duration::ZERO);
/// # Ok::<(), io::Error>(())
/// ```
pub trait Listener: 'static {
    /// What a handler gets.
    type Stream: 'static;

    /// Where it comes from. Messages show it as `Debug` does.
    type Addr: Clone + fmt::Debug + 'static;

    /// Waits for a connection. The server kills its acceptor inside this call, so nothing may be lost by that.
    ///
    /// **Switches**: if none is waiting.
    ///
    /// # Errors
    /// If there is none to be had now; see [`is_broken`](Self::is_broken).
    fn accept(&self) -> io::Result<(Self::Stream, Self::Addr)>;

    /// Where it listens.
    ///
    /// # Errors
    /// If that is not known.
    fn local_addr(&self) -> io::Result<Self::Addr>;

    /// Does this error of [`accept`](Self::accept) mean that no connection will come any more? Then the server ends. After any other
    /// error, or a panic, it pauses, for 0.01 s at first and for 1 s at most, and tries again.
    fn is_broken(&self, error: &io::Error) -> bool {
        matches!(error.raw_os_error(), Some(libc::EBADF | libc::EINVAL | libc::ENOTSOCK))
    }
}

impl Listener for TcpListener {
    type Stream = TcpStream;
    type Addr = SocketAddr;

    #[inline]
    fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        TcpListener::accept(self)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        TcpListener::local_addr(self)
    }
}

impl Listener for UnixListener {
    type Stream = UnixStream;
    type Addr = unix::SocketAddr;

    #[inline]
    fn accept(&self) -> io::Result<(UnixStream, unix::SocketAddr)> {
        UnixListener::accept(self)
    }

    fn local_addr(&self) -> io::Result<unix::SocketAddr> {
        UnixListener::local_addr(self)
    }
}
