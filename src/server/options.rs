//! How a server's socket is made.

use std::io;

use super::stream_server::Builder;
use super::{DatagramBuilder, DatagramServer, StreamServer, ToListenAddrs};
use crate::net::{BACKLOG, TcpListener, UdpSocket, first_bound, listen_error};
use crate::sys;

/// What is said of a listening socket before it exists. A listener that is given to a server has been made already, so
/// [`StreamServer::from_listener`] knows nothing of this.
///
/// # Examples
/// ```
/// use greenloop::server::StreamServer;
/// use std::time::Duration;
///
/// let options = StreamServer::options().backlog(64).reuse_port(true);
/// let one = options.bind("127.0.0.1:0")?.handle(|_, _| ());
/// let other = options.bind(one.local_addr()?)?.handle(|_, _| ()); // the kernel shares the clients out between them
/// one.start()?;
/// other.start()?;
/// # one.stop(Duration::ZERO);
/// # other.stop(Duration::ZERO);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "these are only settings; a server begins with `bind`"]
pub struct ListenOptions {
    backlog: i32,
    reuse_port: bool,
}

impl ListenOptions {
    pub(super) fn new() -> ListenOptions {
        ListenOptions { backlog: BACKLOG, reuse_port: false }
    }

    /// How many connections may wait in the kernel to be accepted; 4096 unless this is called. The kernel lowers it to
    /// `net.core.somaxconn`.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{net::TcpStream, server::StreamServer};
    ///
    /// let server = StreamServer::options().backlog(64).bind("127.0.0.1:0")?.handle(|_, _| ());
    /// server.start()?;
    /// server.stop_accepting();
    /// let waiting: std::io::Result<Vec<_>> = (0..64).map(|_| TcpStream::connect(server.local_addr()?)).collect();
    /// assert_eq!(waiting?.len(), 64); // nobody has accepted one
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn backlog(self, backlog: i32) -> ListenOptions {
        ListenOptions { backlog, ..self }
    }

    /// Sets `SO_REUSEPORT`: several sockets may listen on the address, of any process of this user, if all of them set it. The
    /// kernel chooses one for each connection. [`workers`](fn@super::workers) does that for several threads.
    ///
    /// # Examples
    /// ```
    /// use greenloop::server::StreamServer;
    ///
    /// let shared = StreamServer::options().reuse_port(true);
    /// let one = shared.bind("127.0.0.1:0")?.handle(|_, _| ());
    /// one.start()?;
    /// assert!(shared.bind(one.local_addr()?).is_ok());
    /// assert!(StreamServer::bind(one.local_addr()?).is_err()); // this one wants it for itself
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn reuse_port(self, reuse_port: bool) -> ListenOptions {
        ListenOptions { reuse_port, ..self }
    }

    /// Takes an address for a server. Clients are refused until it starts.
    ///
    /// **Switches**: only to look a name up.
    ///
    /// # Errors
    /// If the address cannot be had; the text names it.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{net::TcpStream, server::StreamServer};
    ///
    /// let server = StreamServer::options().backlog(64).bind("127.0.0.1:0")?.handle(|_, _| ());
    /// let address = server.local_addr()?; // it has one,
    /// assert!(TcpStream::connect(address).is_err()); // but does not listen yet
    /// server.start()?;
    /// assert!(TcpStream::connect(address).is_ok());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn bind(&self, addr: impl ToListenAddrs) -> io::Result<Builder> {
        let (bound, backlog) = (self.bind_socket(addr)?, self.backlog);
        let address = bound.local_addr()?;
        let open = move || {
            let listener = sys::socket::listen(&bound, backlog).and_then(|()| bound.try_clone());
            listener.and_then(TcpListener::from_std).map_err(|error| listen_error(error, address))
        };
        Ok(Builder::bound(Box::new(open), address))
    }

    #[track_caller]
    pub(super) fn bind_socket(&self, addr: impl ToListenAddrs) -> io::Result<std::net::TcpListener> {
        first_bound(&addr.to_listen_addrs()?[..], |address| sys::listen::bind(address, self.reuse_port))
    }

    /// Lets clients connect to a bound socket.
    pub(super) fn listen(&self, bound: &std::net::TcpListener) -> io::Result<()> {
        let address = bound.local_addr()?;
        sys::socket::listen(bound, self.backlog).map_err(|error| listen_error(error, address))
    }
}

impl StreamServer {
    /// Takes an address for a server. Clients are refused until it starts.
    ///
    /// **Switches**: only to look a name up.
    ///
    /// # Errors
    /// If the address cannot be had; the text names it.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{net::TcpStream, server::StreamServer};
    /// use std::io::Write;
    ///
    /// let server = StreamServer::bind("127.0.0.1:0")?.handle(|mut socket, _| socket.write_all(b"hello"));
    /// server.start()?;
    /// let client = TcpStream::connect(server.local_addr()?)?;
    /// assert_eq!(std::io::read_to_string(client)?, "hello");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn bind(addr: impl ToListenAddrs) -> io::Result<Builder> {
        Self::options().bind(addr)
    }

    /// The settings of a listening socket to come, for those that [`bind`](Self::bind) does not fit.
    ///
    /// # Examples
    /// ```
    /// use greenloop::server::StreamServer;
    ///
    /// let server = StreamServer::options().reuse_port(true).bind("127.0.0.1:0")?.handle(|_, _| ());
    /// server.start()?;
    /// assert!(server.is_accepting());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn options() -> ListenOptions {
        ListenOptions::new()
    }
}

/// What is said of the socket of a datagram server before it has its address. A socket that is given to a server has been made
/// already, so [`DatagramServer::from_socket`] knows nothing of this.
///
/// # Examples
/// The same service on several threads, each with a socket of its own:
/// ```
/// use greenloop::server::{DatagramServer, workers};
/// use std::time::Duration;
///
/// let workers = workers("127.0.0.1:0", 2, |worker| {
///     let address = worker.listener()?.local_addr()?; // the listener itself is for connections, and closed here
///     let builder = DatagramServer::options().reuse_port(true).bind(address)?;
///     worker.serve(&builder.handle(|data, peer| peer.reply(data)))
/// })?;
/// let client = std::net::UdpSocket::bind("127.0.0.1:0")?;
/// client.set_read_timeout(Some(Duration::from_millis(10)))?;
/// let mut place = [0; 8];
/// loop {
///     client.send_to(b"hello", workers.local_addr())?; // until a worker has come so far
///     if client.recv(&mut place).is_ok() {
///         break;
///     }
/// }
/// assert_eq!(&place[..5], b"hello");
/// workers.stop(Duration::ZERO);
/// workers.join()?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "these are only settings; a server begins with `bind`"]
pub struct DatagramOptions {
    reuse_port: bool,
}

impl DatagramOptions {
    /// Sets `SO_REUSEPORT`: several sockets may receive at the address, of any process of this user, if all of them set it. The kernel
    /// chooses one for each sender, and may choose another when one comes or goes.
    ///
    /// # Examples
    /// ```
    /// use greenloop::server::DatagramServer;
    ///
    /// let shared = DatagramServer::options().reuse_port(true);
    /// let one = shared.bind("127.0.0.1:0")?;
    /// assert!(shared.bind(one.local_addr()?).is_ok());
    /// assert!(DatagramServer::bind(one.local_addr()?).is_err()); // this one wants it for itself
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn reuse_port(self, reuse_port: bool) -> DatagramOptions {
        DatagramOptions { reuse_port }
    }

    /// Takes an address for a server. What is sent there waits with the system until it starts.
    ///
    /// **Switches**: only to look a name up.
    ///
    /// # Errors
    /// If the address cannot be had; the text names it.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{net::UdpSocket, server::DatagramServer};
    ///
    /// let server = DatagramServer::options().bind("127.0.0.1:0")?.handle(|_, peer| peer.reply(b"here"));
    /// let client = UdpSocket::bind("127.0.0.1:0")?;
    /// client.send_to(b"anybody?", server.local_addr()?)?;
    /// server.start()?;
    /// assert_eq!(client.recv(&mut [0; 8])?, 4);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn bind(&self, addr: impl ToListenAddrs) -> io::Result<DatagramBuilder> {
        let bind = |address| sys::listen::bind_udp(address, self.reuse_port);
        let socket = first_bound(&addr.to_listen_addrs()?[..], bind)?;
        DatagramServer::from_socket(UdpSocket::from_std(socket)?)
    }
}

impl DatagramServer {
    /// Takes an address for a server.
    ///
    /// **Switches**: only to look a name up.
    ///
    /// # Errors
    /// If the address cannot be had; the text names it.
    ///
    /// # Examples
    /// ```
    /// use greenloop::server::DatagramServer;
    ///
    /// let builder = DatagramServer::bind("127.0.0.1:0")?;
    /// let error = DatagramServer::bind(builder.local_addr()?).unwrap_err();
    /// assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn bind(addr: impl ToListenAddrs) -> io::Result<DatagramBuilder> {
        Self::options().bind(addr)
    }

    /// The settings of a socket to come, for those that [`bind`](Self::bind) does not fit.
    ///
    /// # Examples
    /// ```
    /// use greenloop::server::DatagramServer;
    ///
    /// let server = DatagramServer::options().reuse_port(true).bind("127.0.0.1:0")?.handle(|_, _| ());
    /// server.start()?;
    /// assert!(server.is_accepting());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn options() -> DatagramOptions {
        DatagramOptions { reuse_port: false }
    }
}
