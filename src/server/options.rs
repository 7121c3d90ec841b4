//! How a server's socket is made.

use std::io;

use super::stream_server::Builder;
use super::{StreamServer, ToListenAddrs};
use crate::net::{BACKLOG, TcpListener, first_bound, listen_error};
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
