//! A server for connections.

use std::fmt;
use std::io;
use std::rc::Rc;
use std::time::Duration;

#[cfg(feature = "http")]
use super::Part;
use super::life::{Life, MAX_ACCEPT, Open, Stage};
use super::{Listener, Outcome, Serve};
use crate::net::TcpListener;
use crate::pool::Pool;

/// Accepts connections and runs a handler for each in a greenlet of its own.
///
/// It is a handle: clones are the same server, which goes on when all are dropped. Unless another [`Listener`] is given to it, it is
/// for TCP.
///
/// # Examples
/// ```
/// use greenloop::{net::TcpStream, server::StreamServer};
/// use std::{io::{Read, Write}, time::Duration};
///
/// let server = StreamServer::bind("127.0.0.1:0")?
///     .max_connections(10_000)
///     .handle(|mut socket, peer| write!(socket, "Your address is {}\n", peer.ip()));
/// server.start()?;
///
/// let mut text = String::new();
/// TcpStream::connect(server.local_addr()?)?.read_to_string(&mut text)?;
/// assert_eq!(text, "Your address is 127.0.0.1\n");
/// server.stop(Duration::from_secs(1));
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct StreamServer<L: Listener = TcpListener> {
    life: Rc<Life<L>>,
}

/// The address or the listener of a server to come, and its settings.
///
/// # Examples
/// ```
/// use greenloop::server::{Builder, StreamServer};
///
/// let builder: Builder = StreamServer::bind("127.0.0.1:0")?.max_connections(10_000);
/// println!("about to serve on {}", builder.local_addr()?); // before there is a server
/// let server = builder.handle(|_socket, peer| println!("{peer} was here"));
/// assert!(!server.is_started());
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use = "a server begins with `handle`"]
pub struct Builder<L: Listener = TcpListener> {
    stage: Stage<L>,
    address: L::Addr,
    connections: Pool,
    max_accept: u32,
}

impl<L: Listener> StreamServer<L> {
    /// Begins a server on a listener that exists already. Its clients connect at once, and wait until the server starts.
    /// [`stop`](Self::stop) closes it.
    ///
    /// What is said of a socket before it listens, such as its backlog, has been said:
    /// ```compile_fail
    /// # use greenloop::{net::TcpListener, server::StreamServer};
    /// let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    /// let _ = StreamServer::from_listener(listener).unwrap().backlog(5);
    /// ```
    ///
    /// # Errors
    /// If the listener does not know its address. It is closed.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{net::TcpListener, server::StreamServer};
    /// use std::time::Duration;
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0")?;
    /// let server = StreamServer::from_listener(listener)?.handle(|_, _| ());
    /// server.start()?;
    /// server.stop(Duration::ZERO);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn from_listener(listener: L) -> io::Result<Builder<L>> {
        let address = listener.local_addr()?;
        Ok(Builder::new(Stage::Given(Rc::new(listener)), address))
    }

    /// Listens, and begins to accept when the current greenlet blocks. Does nothing if it accepts already. A server that has
    /// [stopped accepting](Self::stop_accepting) accepts again.
    ///
    /// **Switches**: no.
    ///
    /// # Errors
    /// If the address is in use, which can be tried again; if there is no stack for the greenlet that accepts, which can be tried again as
    /// well, and clients may wait for it; if the server was stopped: then a new one is needed.
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if its [pool](Builder::pool) is of size 0: it would serve nobody.
    ///
    /// # Examples
    /// ```
    /// use greenloop::server::StreamServer;
    /// use std::time::Duration;
    ///
    /// let server = StreamServer::bind("127.0.0.1:0")?.handle(|_, _| ());
    /// server.start()?;
    /// server.start()?; // once more is harmless
    /// server.stop(Duration::ZERO);
    /// assert!(server.start().is_err()); // stopped is stopped
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn start(&self) -> io::Result<()> {
        self.life.start()
    }

    /// Takes no more connections for now: when this returns, no further handler starts. New clients wait in the kernel's queue, handlers
    /// that run go on.
    ///
    /// **Switches**: if it accepts.
    ///
    /// # Examples
    /// ```
    /// # use greenloop::{net::TcpStream, server::StreamServer};
    /// # use std::{io::{Read, Write}, time::Duration};
    /// let server = StreamServer::bind("127.0.0.1:0")?.handle(|mut socket, _| socket.write_all(b"hello"));
    /// server.start()?;
    /// server.stop_accepting();
    /// let mut client = TcpStream::connect(server.local_addr()?)?; // waits
    /// assert!(server.is_started() && !server.is_accepting());
    /// server.start_accepting()?;
    /// let mut text = String::new();
    /// client.read_to_string(&mut text)?;
    /// assert_eq!(text, "hello");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn stop_accepting(&self) {
        self.life.stop_accepting();
    }

    /// Accepts again. Does nothing if it accepts already.
    ///
    /// **Switches**: no.
    ///
    /// # Errors
    /// If it has not been started, or was stopped.
    ///
    /// # Examples
    /// ```
    /// use greenloop::server::StreamServer;
    ///
    /// let server = StreamServer::bind("127.0.0.1:0")?.handle(|_, _| ());
    /// assert!(server.start_accepting().is_err()); // it has not begun yet
    /// server.start()?;
    /// server.stop_accepting();
    /// server.start_accepting()?;
    /// assert!(server.is_accepting());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn start_accepting(&self) -> io::Result<()> {
        self.life.start_accepting()
    }

    /// Starts if that has not happened yet, and waits until the server is stopped.
    ///
    /// If this call is itself interrupted, by a kill or a timeout around it, it stops the server in a greenlet
    /// of its own: clients are refused, and the handlers have one second to finish.
    ///
    /// **Switches**: yes.
    ///
    /// # Errors
    /// As [`start`](Self::start); or why the listener has become useless.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{server::StreamServer, spawn};
    /// use std::time::Duration;
    ///
    /// let server = StreamServer::bind("127.0.0.1:0")?.handle(|_, _| ());
    /// spawn({ let server = server.clone(); move || server.stop(Duration::from_secs(1)) }); // a signal may do that
    /// server.serve_forever()?;
    /// assert!(!server.is_started());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn serve_forever(&self) -> io::Result<()> {
        self.life.serve_forever()
    }

    /// Stops listening at once, gives the running handlers `grace` to finish, then kills the rest and waits until they are dead, at
    /// most for another second: one inside a [`shield`](crate::shield) may take longer, and is left to itself.
    ///
    /// Stopping twice, or before the start, is harmless. If this call is itself interrupted, by a timeout around it or a
    /// kill, the server is stopped nevertheless, and its handlers are left to themselves. A handler that stops its own server
    /// is not waited for, and not killed.
    ///
    /// **Switches**: if there is something to wait for.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{net::TcpStream, server::StreamServer, sleep};
    /// use std::{io::{Read, Write}, time::Duration};
    ///
    /// let server = StreamServer::bind("127.0.0.1:0")?.handle(|mut socket, _| {
    ///     socket.write_all(b"wait, ")?;
    ///     sleep(Duration::from_millis(1)); // it has time for this
    ///     socket.write_all(b"done")
    /// });
    /// server.start()?;
    /// let mut client = TcpStream::connect(server.local_addr()?)?;
    /// client.read_exact(&mut [0; 6])?;
    /// server.stop(Duration::from_secs(5));
    /// assert_eq!(std::io::read_to_string(client)?, "done");
    /// assert!(TcpStream::connect(server.local_addr()?).is_err()); // nobody listens any more
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn stop(&self, grace: Duration) {
        self.life.stop(grace);
    }

    /// Has it been started, and neither stopped nor lost its listener?
    ///
    /// # Examples
    /// ```
    /// use greenloop::server::StreamServer;
    /// use std::time::Duration;
    ///
    /// let server = StreamServer::bind("127.0.0.1:0")?.handle(|_, _| ());
    /// assert!(!server.is_started());
    /// server.start()?;
    /// assert!(server.is_started());
    /// server.stop(Duration::ZERO);
    /// assert!(!server.is_started());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn is_started(&self) -> bool {
        self.life.is_started()
    }

    /// Does it accept connections, or will as soon as fewer are being handled?
    ///
    /// # Examples
    /// ```
    /// use greenloop::server::StreamServer;
    ///
    /// let server = StreamServer::bind("127.0.0.1:0")?.handle(|_, _| ());
    /// server.start()?;
    /// assert!(server.is_accepting());
    /// server.stop_accepting();
    /// assert!(!server.is_accepting() && server.is_started());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn is_accepting(&self) -> bool {
        self.life.is_accepting()
    }

    /// The address it listens on, with the port that was chosen if 0 was asked for.
    ///
    /// # Errors
    /// None at present; the result is the standard library's.
    ///
    /// # Examples
    /// ```
    /// use greenloop::server::StreamServer;
    ///
    /// let server = StreamServer::bind("127.0.0.1:0")?.handle(|_, _| ());
    /// assert_ne!(server.local_addr()?.port(), 0);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn local_addr(&self) -> io::Result<L::Addr> {
        Ok(self.life.address.clone())
    }

    /// How many connections are being handled; with those of other servers if the [pool](Builder::pool) is theirs as well.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{net::TcpStream, server::StreamServer};
    /// use std::io::{Read, Write};
    ///
    /// let server = StreamServer::bind("127.0.0.1:0")?.handle(|mut socket, _| {
    ///     socket.write_all(b"hello")?;
    ///     socket.read(&mut [0; 8]).map(drop) // until the client has gone
    /// });
    /// server.start()?;
    /// let mut client = TcpStream::connect(server.local_addr()?)?;
    /// client.read_exact(&mut [0; 5])?;
    /// assert_eq!(server.connections(), 1);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn connections(&self) -> usize {
        self.life.connections.len()
    }
}

#[cfg(feature = "http")]
impl<L: Listener> StreamServer<L> {
    pub(crate) fn part(&self) -> impl Part + use<L> {
        self.life.clone()
    }
}

impl Builder {
    /// An address that `open` listens on.
    pub(super) fn bound(open: Open<TcpListener>, address: std::net::SocketAddr) -> Builder {
        Builder::new(Stage::Bound(open), address)
    }
}

impl<L: Listener> Builder<L> {
    fn new(stage: Stage<L>, address: L::Addr) -> Builder<L> {
        Builder { stage, address, connections: Pool::new(usize::MAX), max_accept: MAX_ACCEPT }
    }

    /// How many connections are handled at a time. Further clients wait in the kernel's queue. A server for 0 does not
    /// [start](StreamServer::start).
    ///
    /// # Examples
    /// ```
    /// use greenloop::{net::TcpStream, server::StreamServer};
    /// use std::io::{Read, Write};
    ///
    /// let server = StreamServer::bind("127.0.0.1:0")?.max_connections(1).handle(|mut socket, _| {
    ///     socket.write_all(b"hello")?;
    ///     socket.read(&mut [0; 8]).map(drop) // until the client has gone
    /// });
    /// server.start()?;
    /// let mut first = TcpStream::connect(server.local_addr()?)?;
    /// let mut second = TcpStream::connect(server.local_addr()?)?; // waits
    /// first.read_exact(&mut [0; 5])?;
    /// assert_eq!(server.connections(), 1);
    /// drop(first);
    /// second.read_exact(&mut [0; 5])?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn max_connections(self, limit: usize) -> Builder<L> {
        self.pool(Pool::new(limit))
    }

    /// Runs the handlers in this pool, for example together with those of another server. Stopping this server ends all
    /// that is in it.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{pool::Pool, server::StreamServer};
    ///
    /// let pool = Pool::new(100); // so many connections of both together
    /// let one = StreamServer::bind("127.0.0.1:0")?.pool(pool.clone()).handle(|_, _| ());
    /// let other = StreamServer::bind("127.0.0.1:0")?.pool(pool.clone()).handle(|_, _| ());
    /// one.start()?;
    /// other.start()?;
    /// pool.spawn(|| ()); // whatever else shall count
    /// assert_eq!((one.connections(), other.connections()), (1, 1));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn pool(self, pool: Pool) -> Builder<L> {
        Builder { connections: pool, ..self }
    }

    /// How many connections are accepted before other greenlets get a turn; 100 unless this is called.
    ///
    /// # Panics
    /// If it is 0. The listener is closed.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{net::TcpStream, server::StreamServer};
    /// use std::io::Write;
    ///
    /// // Connections are dear here, so each is begun before the next is accepted.
    /// let server = StreamServer::bind("127.0.0.1:0")?.max_accept(1).handle(|mut socket, _| write!(socket, "hello"));
    /// server.start()?;
    /// let clients = [TcpStream::connect(server.local_addr()?)?, TcpStream::connect(server.local_addr()?)?];
    /// for client in clients {
    ///     assert_eq!(std::io::read_to_string(client)?, "hello");
    /// }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn max_accept(self, count: u32) -> Builder<L> {
        assert!(count > 0, "max_accept(0) would accept nobody; 1 lets the others run after each connection");
        Builder { max_accept: count, ..self }
    }

    /// The address, with the port that was chosen if 0 was asked for.
    ///
    /// # Errors
    /// None at present; the result is the standard library's.
    ///
    /// # Examples
    /// ```
    /// use greenloop::server::StreamServer;
    /// use std::io::Write;
    ///
    /// let builder = StreamServer::bind("127.0.0.1:0")?;
    /// let address = builder.local_addr()?;
    /// let server = builder.handle(move |mut socket, _| write!(socket, "this is {address}"));
    /// assert_eq!(server.local_addr()?, address);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn local_addr(&self) -> io::Result<L::Addr> {
        Ok(self.address.clone())
    }

    /// The server that runs `handler` for each connection. It may return `()` or a `Result`; an error is reported on
    /// standard error unless it only says that the peer has gone. The connection is closed when the handler drops it.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{net::TcpStream, server::StreamServer};
    /// use std::io::{BufRead, BufReader, Write};
    ///
    /// let server = StreamServer::bind("127.0.0.1:0")?.handle(|socket, _| {
    ///     for line in BufReader::new(&socket).lines() {
    ///         writeln!(&socket, "{}", line?.to_uppercase())?;
    ///     }
    ///     std::io::Result::Ok(())
    /// });
    /// server.start()?;
    /// let mut client = TcpStream::connect(server.local_addr()?)?;
    /// client.write_all(b"hello\n")?;
    /// client.shutdown(std::net::Shutdown::Write)?;
    /// assert_eq!(std::io::read_to_string(client)?, "HELLO\n");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn handle<F, R>(self, handler: F) -> StreamServer<L>
    where
        F: Fn(L::Stream, L::Addr) -> R + 'static,
        R: Outcome,
    {
        let handler = move |stream, peer: L::Addr| handler(stream, peer.clone()).conclude(&peer);
        let settings = (self.connections, self.max_accept);
        StreamServer { life: Life::new(self.stage, self.address, settings, Rc::new(handler)) }
    }
}

impl<L: Listener> Serve for StreamServer<L> {
    fn start(&self) -> io::Result<()> {
        self.start()
    }

    fn serve_forever(&self) -> io::Result<()> {
        self.serve_forever()
    }

    fn stop(&self, grace: Duration) {
        self.stop(grace);
    }
}

impl<L: Listener> Clone for StreamServer<L> {
    fn clone(&self) -> StreamServer<L> {
        StreamServer { life: self.life.clone() }
    }
}

impl<L: Listener> fmt::Debug for StreamServer<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StreamServer({:?})", self.life)
    }
}

impl<L: Listener> fmt::Debug for Builder<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Builder({:?})", self.address)
    }
}
