//! Datagrams between processes of one machine.

use std::fmt;
use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net as unix;
use std::path::Path;
use std::time::Duration;

use super::methods::{limit_methods, socket_methods};
use super::shared::Shared;
use crate::io::patience;
use crate::io::with_context;
use crate::sys::unix_socket;

/// A Unix socket for datagrams: `std::os::unix::net::UnixDatagram`, but only the greenlet waits.
///
/// Datagrams are neither lost nor mixed up: a sender waits until the receiver has room.
///
/// **Switches**: receiving and sending do, when they have to wait. In a destructor run by a panic or a kill they return an error
/// instead.
///
/// # Examples
/// ```
/// use greenloop::{net::UnixDatagram, spawn};
///
/// let (a, b) = UnixDatagram::pair()?;
/// let sender = spawn(move || a.send(b"hello"));
/// let mut place = [0; 8];
/// assert_eq!(b.recv(&mut place)?, 5);
/// assert_eq!(&place[..5], b"hello");
/// # sender.join().unwrap()?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct UnixDatagram {
    inner: Shared<unix::UnixDatagram>,
}

impl UnixDatagram {
    /// A socket at this path, where there must be nothing yet. **Switches**: no.
    ///
    /// # Errors
    /// If it cannot be made; the text names the path.
    ///
    /// # Examples
    /// ```
    /// use greenloop::net::UnixDatagram;
    /// # let path = std::env::temp_dir().join(format!("greenloop-doc-bind-{}", std::process::id()));
    ///
    /// let socket = UnixDatagram::bind(&path)?;
    /// assert_eq!(socket.local_addr()?.as_pathname(), Some(&*path));
    /// assert!(UnixDatagram::bind(&path).is_err()); // the place is taken
    /// # std::fs::remove_file(&path)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn bind(path: impl AsRef<Path>) -> io::Result<UnixDatagram> {
        let path = path.as_ref();
        unix::UnixDatagram::bind(path)
            .and_then(Self::from_std)
            .map_err(|error| with_context(error, format!("cannot bind a socket to `{}`", path.display())))
    }

    /// A socket with this address, which may be an abstract name. **Switches**: no.
    ///
    /// # Errors
    /// If it cannot be had; the text names it.
    ///
    /// # Examples
    /// ```
    /// # #[cfg(target_os = "linux")] {
    /// use greenloop::net::UnixDatagram;
    /// use std::os::{linux::net::SocketAddrExt, unix::net::SocketAddr};
    ///
    /// let address = SocketAddr::from_abstract_name(format!("a name {}", std::process::id()))?;
    /// let socket = UnixDatagram::bind_addr(&address)?;
    /// assert_eq!(socket.local_addr()?.as_abstract_name(), address.as_abstract_name());
    /// # }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn bind_addr(address: &unix::SocketAddr) -> io::Result<UnixDatagram> {
        unix::UnixDatagram::bind_addr(address)
            .and_then(Self::from_std)
            .map_err(|error| with_context(error, format!("cannot bind a socket to {address:?}")))
    }

    /// A socket without an address. It can send, but nobody can send to it. **Switches**: no.
    ///
    /// # Errors
    /// If the system refuses.
    ///
    /// # Examples
    /// ```
    /// use greenloop::net::UnixDatagram;
    ///
    /// let socket = UnixDatagram::unbound()?;
    /// assert!(socket.local_addr()?.is_unnamed());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn unbound() -> io::Result<UnixDatagram> {
        Self::from_std(unix::UnixDatagram::unbound()?)
    }

    /// Two sockets that are connected to each other. **Switches**: no.
    ///
    /// # Errors
    /// If the system refuses.
    ///
    /// # Examples
    /// ```
    /// use greenloop::net::UnixDatagram;
    ///
    /// let (a, b) = UnixDatagram::pair()?;
    /// a.send(b"one")?;
    /// a.send(b"three")?;
    /// let mut place = [0; 8];
    /// assert_eq!((b.recv(&mut place)?, b.recv(&mut place)?), (3, 5)); // not mixed up
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn pair() -> io::Result<(UnixDatagram, UnixDatagram)> {
        let (one, other) = unix::UnixDatagram::pair()?;
        Ok((Self::from_std(one)?, Self::from_std(other)?))
    }

    /// From now on sends to the socket at this path, and receives only from there. **Switches**: no.
    ///
    /// # Errors
    /// If there is no socket or it may not be used; the text names the path.
    ///
    /// # Examples
    /// ```
    /// use greenloop::net::UnixDatagram;
    /// # let path = std::env::temp_dir().join(format!("greenloop-doc-connect-{}", std::process::id()));
    ///
    /// let receiver = UnixDatagram::bind(&path)?;
    /// let sender = UnixDatagram::unbound()?;
    /// sender.connect(&path)?;
    /// sender.send(b"hello")?;
    /// assert_eq!(receiver.recv(&mut [0; 8])?, 5);
    /// # std::fs::remove_file(&path)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn connect(&self, path: impl AsRef<Path>) -> io::Result<()> {
        let path = path.as_ref();
        let outcome = self.inner.std().connect(path);
        outcome.map_err(|error| with_context(error, format!("cannot connect to `{}`", path.display())))
    }

    /// From now on sends to this address, and receives only from there. **Switches**: no.
    ///
    /// # Errors
    /// If there is no socket or it may not be used; the text names the address.
    ///
    /// # Examples
    /// ```
    /// use greenloop::net::UnixDatagram;
    /// # let path = std::env::temp_dir().join(format!("greenloop-doc-connect-addr-{}", std::process::id()));
    ///
    /// let receiver = UnixDatagram::bind(&path)?;
    /// let sender = UnixDatagram::unbound()?;
    /// sender.connect_addr(&receiver.local_addr()?)?;
    /// sender.send(b"hello")?;
    /// assert_eq!(receiver.recv(&mut [0; 8])?, 5);
    /// # std::fs::remove_file(&path)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn connect_addr(&self, address: &unix::SocketAddr) -> io::Result<()> {
        let outcome = self.inner.std().connect_addr(address);
        outcome.map_err(|error| with_context(error, format!("cannot connect to {address:?}")))
    }

    /// Waits for a datagram; gives its length and who has sent it.
    ///
    /// **Switches**: if none is there.
    ///
    /// # Errors
    /// `TimedOut` if the limit for reading has passed; if the system refuses.
    ///
    /// # Examples
    /// ```
    /// use greenloop::net::UnixDatagram;
    /// # let folder = std::env::temp_dir().join(format!("greenloop-doc-recv-from-{}", std::process::id()));
    /// # std::fs::create_dir(&folder)?;
    ///
    /// let server = UnixDatagram::bind(folder.join("server"))?;
    /// let client = UnixDatagram::bind(folder.join("client"))?;
    /// client.send_to(b"hello", folder.join("server"))?;
    /// let (count, from) = server.recv_from(&mut [0; 8])?;
    /// server.send_to_addr(b"welcome", &from)?; // an answer
    /// assert_eq!((count, client.recv(&mut [0; 8])?), (5, 7));
    /// # std::fs::remove_dir_all(&folder)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    #[inline]
    pub fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, unix::SocketAddr)> {
        self.receiving(|socket| socket.recv_from(buf), || Ok((0, unix_socket::unnamed()?)))
    }

    /// [`recv_from`](Self::recv_from) without taking: the next call gets the same datagram.
    ///
    /// **Switches**: if none is there.
    ///
    /// # Errors
    /// As for `recv_from`.
    ///
    /// # Examples
    /// ```
    /// use greenloop::net::UnixDatagram;
    ///
    /// let (a, b) = UnixDatagram::pair()?;
    /// a.send(b"hello")?;
    /// let (count, from) = b.peek_from(&mut [0; 8])?;
    /// assert!(count == 5 && from.is_unnamed());
    /// assert_eq!(b.recv(&mut [0; 8])?, 5); // the same
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, unix::SocketAddr)> {
        self.receiving(|socket| unix_socket::peek_from(socket, buf), || Ok((0, unix_socket::unnamed()?)))
    }

    /// Waits for a datagram; gives its length.
    ///
    /// **Switches**: if none is there.
    ///
    /// # Errors
    /// As for [`recv_from`](Self::recv_from).
    ///
    /// # Examples
    /// ```
    /// use greenloop::net::UnixDatagram;
    ///
    /// let (a, b) = UnixDatagram::pair()?;
    /// a.send(b"hello")?;
    /// let mut place = [0; 8];
    /// let count = b.recv(&mut place)?;
    /// assert_eq!(&place[..count], b"hello");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    #[inline]
    pub fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.receiving(|socket| socket.recv(buf), || Ok(0))
    }

    /// [`recv`](Self::recv) without taking: the next call gets the same datagram.
    ///
    /// **Switches**: if none is there.
    ///
    /// # Errors
    /// As for `recv`.
    ///
    /// # Examples
    /// ```
    /// use greenloop::net::UnixDatagram;
    ///
    /// let (a, b) = UnixDatagram::pair()?;
    /// a.send(b"hello")?;
    /// let mut place = [0; 8];
    /// assert_eq!(b.peek(&mut place)?, 5);
    /// assert_eq!(b.recv(&mut place)?, 5); // the same
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.receiving(|socket| unix_socket::peek(socket, buf), || Ok(0))
    }

    /// Sends a datagram to the peer that the socket is connected to.
    ///
    /// **Switches**: if the receiver has no room.
    ///
    /// # Errors
    /// If the socket is not connected, the peer is gone, or the datagram is too long; `TimedOut` if the limit for writing has passed.
    ///
    /// # Examples
    /// ```
    /// use greenloop::net::UnixDatagram;
    ///
    /// let (a, b) = UnixDatagram::pair()?;
    /// assert_eq!(a.send(b"hello")?, 5);
    /// drop(b);
    /// assert!(a.send(b"hello").is_err()); // the peer is gone
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    #[inline]
    pub fn send(&self, buf: &[u8]) -> io::Result<usize> {
        self.inner.writing(|socket| socket.send(buf))
    }

    /// Sends a datagram to the socket at this path.
    ///
    /// **Switches**: if the receiver has no room. The system does not say when it has some: it is asked again and again, after
    /// pauses of up to 10 ms. Who sends much connects first.
    ///
    /// # Errors
    /// If there is no socket, or the datagram is too long; the text names the path. `TimedOut` if the limit for writing has passed.
    ///
    /// # Examples
    /// ```
    /// use greenloop::net::UnixDatagram;
    ///
    /// # let folder = std::env::temp_dir().join(format!("greenloop-doc-datagram-{}", std::process::id()));
    /// # std::fs::create_dir_all(&folder)?;
    /// let path = folder.join("socket");
    /// let receiver = UnixDatagram::bind(&path)?;
    /// UnixDatagram::unbound()?.send_to(b"hello", &path)?;
    /// let (count, from) = receiver.recv_from(&mut [0; 8])?;
    /// assert!(count == 5 && from.is_unnamed());
    /// # std::fs::remove_dir_all(&folder)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn send_to(&self, buf: &[u8], path: impl AsRef<Path>) -> io::Result<usize> {
        let path = path.as_ref();
        self.send_patiently(|socket| socket.send_to(buf, path))
            .map_err(|error| with_context(error, format!("cannot send to `{}`", path.display())))
    }

    /// Sends a datagram to the socket with this address, which may be an abstract name.
    ///
    /// **Switches**: as [`send_to`](Self::send_to) does.
    ///
    /// # Errors
    /// As for `send_to`; the text names the address.
    ///
    /// # Examples
    /// ```
    /// use greenloop::net::UnixDatagram;
    /// # let path = std::env::temp_dir().join(format!("greenloop-doc-send-to-addr-{}", std::process::id()));
    ///
    /// let receiver = UnixDatagram::bind(&path)?;
    /// UnixDatagram::unbound()?.send_to_addr(b"hello", &receiver.local_addr()?)?;
    /// assert_eq!(receiver.recv(&mut [0; 8])?, 5);
    /// # std::fs::remove_file(&path)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn send_to_addr(&self, buf: &[u8], address: &unix::SocketAddr) -> io::Result<usize> {
        self.send_patiently(|socket| socket.send_to_addr(buf, address))
            .map_err(|error| with_context(error, format!("cannot send to {address:?}")))
    }

    /// A receiver whose reading side was shut down gets an empty datagram. A blocking socket does so by itself, a non-blocking one
    /// says that it would block.
    #[track_caller]
    #[inline]
    fn receiving<R>(
        &self,
        mut receive: impl FnMut(&unix::UnixDatagram) -> io::Result<R>,
        nothing: impl Fn() -> io::Result<R>,
    ) -> io::Result<R> {
        self.inner.reading(|socket| match receive(socket) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock && self.inner.is_deaf() => nothing(),
            done => done,
        })
    }

    /// No event tells a sender that is not connected to its receiver of room there.
    #[track_caller]
    fn send_patiently(&self, send: impl Fn(&unix::UnixDatagram) -> io::Result<usize>) -> io::Result<usize> {
        let (what, limit) = (&"room at the receiver of a datagram", self.inner.write_timeout());
        patience::repeat(what, limit, || send(self.inner.std()))
    }

    /// The peer that the socket is connected to. **Switches**: no.
    ///
    /// # Errors
    /// If it is not connected.
    ///
    /// # Examples
    /// ```
    /// use greenloop::net::UnixDatagram;
    ///
    /// let (a, _b) = UnixDatagram::pair()?;
    /// assert!(a.peer_addr()?.is_unnamed());
    /// assert!(UnixDatagram::unbound()?.peer_addr().is_err());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn peer_addr(&self) -> io::Result<unix::SocketAddr> {
        self.inner.std().peer_addr()
    }

    /// Closes one direction or both. Greenlets that wait on it are woken: receivers get an empty datagram when nothing else is left.
    /// **Switches**: no.
    ///
    /// # Errors
    /// If the socket is not connected.
    ///
    /// # Examples
    /// ```
    /// use greenloop::net::UnixDatagram;
    /// use std::net::Shutdown;
    ///
    /// let (a, b) = UnixDatagram::pair()?;
    /// a.send(b"hello")?;
    /// b.shutdown(Shutdown::Read)?;
    /// assert_eq!(b.recv(&mut [0; 8])?, 5);
    /// assert_eq!(b.recv(&mut [0; 8])?, 0); // nothing else is left
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.inner.std().shutdown(how)?;
        self.inner.was_shut_down(how);
        Ok(())
    }
}

limit_methods!(UnixDatagram, "receive", "send");
socket_methods!(UnixDatagram, unix::UnixDatagram, unix::SocketAddr);
