//! A server for datagrams.

use std::cell::Cell;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::rc::{Rc, Weak};
use std::time::Duration;

use super::life::{Life, MAX_ACCEPT, Stage};
use super::{Listener, Outcome, Serve};
use crate::net::{ToSocketAddrs, UdpSocket};
use crate::pool::Pool;

/// The longest datagram that there can be.
const LONGEST: usize = 65_535;

/// Receives datagrams and runs a handler for each in a greenlet of its own.
///
/// It is a handle: clones are the same server, which goes on when all are dropped. What comes before it starts, and while it
/// is paused or its pool is full, waits with the system as long as that has room.
///
/// # Examples
/// ```
/// use greenloop::{net::UdpSocket, server::DatagramServer};
/// use std::time::Duration;
///
/// let server = DatagramServer::bind("127.0.0.1:0")?
///     .handle(|data, peer| peer.reply(&[b"you said ", data].concat()));
/// server.start()?;
///
/// let client = UdpSocket::bind("127.0.0.1:0")?;
/// client.connect(server.local_addr()?)?;
/// client.send(b"hello")?;
/// let mut place = [0; 100];
/// let count = client.recv(&mut place)?;
/// assert_eq!(&place[..count], b"you said hello");
/// server.stop(Duration::from_secs(1));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct DatagramServer {
    life: Rc<Life<Datagrams>>,
    socket: Weak<UdpSocket>,
}

/// The socket of a datagram server to come, and its settings.
///
/// # Examples
/// ```
/// use greenloop::server::{DatagramBuilder, DatagramServer};
///
/// let builder: DatagramBuilder = DatagramServer::bind("127.0.0.1:0")?.max_handlers(100);
/// println!("receiving on {}", builder.local_addr()?); // before there is a server
/// let server = builder.handle(|data, peer| println!("{} bytes from {}", data.len(), peer.addr()));
/// assert!(!server.is_started());
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use = "a server begins with `handle`"]
pub struct DatagramBuilder {
    socket: UdpSocket,
    address: SocketAddr,
    handlers: Pool,
    max_accept: u32,
}

impl DatagramServer {
    /// Begins a server on a socket that exists already. A limit for reading that was set on it is removed.
    ///
    /// # Errors
    /// If the system does not tell its address. It is closed.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{net::UdpSocket, server::DatagramServer};
    ///
    /// let socket = UdpSocket::bind("127.0.0.1:0")?;
    /// socket.set_broadcast(true)?; // its replies may go to everybody
    /// let address = socket.local_addr()?;
    /// let server = DatagramServer::from_socket(socket)?.handle(|_, _| ());
    /// assert_eq!(server.local_addr()?, address);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn from_socket(socket: UdpSocket) -> io::Result<DatagramBuilder> {
        socket.set_read_timeout(None)?;
        let address = socket.local_addr()?;
        Ok(DatagramBuilder { socket, address, handlers: Pool::new(usize::MAX), max_accept: MAX_ACCEPT })
    }

    /// Begins to receive when the current greenlet blocks. Does nothing if it does already. A server that was
    /// [paused](Self::stop_accepting) goes on.
    ///
    /// **Switches**: no.
    ///
    /// # Errors
    /// If the server was stopped: then a new one is needed; or there is no stack for the greenlet that receives, which can be tried again.
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if its [pool](DatagramBuilder::pool) is of size 0: it would handle nothing.
    ///
    /// # Examples
    /// ```
    /// use greenloop::server::DatagramServer;
    /// use std::time::Duration;
    ///
    /// let server = DatagramServer::bind("127.0.0.1:0")?.handle(|_, _| ());
    /// server.start()?;
    /// server.start()?; // once more is harmless
    /// server.stop(Duration::ZERO);
    /// assert!(server.start().is_err()); // stopped is stopped
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn start(&self) -> io::Result<()> {
        self.life.start()
    }

    /// Receives no more for now: when this returns, no further handler starts. Handlers that run go on, and may reply.
    /// [`start_accepting`](Self::start_accepting), or [`start`](Self::start), goes on.
    ///
    /// **Switches**: if it receives.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{net::UdpSocket, server::DatagramServer};
    ///
    /// let server = DatagramServer::bind("127.0.0.1:0")?.handle(|_, peer| peer.reply(b"here"));
    /// server.start()?;
    /// server.stop_accepting();
    /// let client = UdpSocket::bind("127.0.0.1:0")?;
    /// client.send_to(b"anybody?", server.local_addr()?)?; // waits with the system
    /// server.start()?;
    /// assert_eq!(client.recv(&mut [0; 8])?, 4);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn stop_accepting(&self) {
        self.life.stop_accepting();
    }

    /// Receives again. Does nothing if it does already.
    ///
    /// **Switches**: no.
    ///
    /// # Errors
    /// If it has not been started, or was stopped.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{net::UdpSocket, server::DatagramServer};
    ///
    /// let server = DatagramServer::bind("127.0.0.1:0")?.handle(|_, peer| peer.reply(b"here"));
    /// assert!(server.start_accepting().is_err()); // it has not been started
    /// server.start()?;
    /// server.stop_accepting();
    /// let client = UdpSocket::bind("127.0.0.1:0")?;
    /// client.send_to(b"anybody?", server.local_addr()?)?;
    /// server.start_accepting()?;
    /// assert_eq!(client.recv(&mut [0; 8])?, 4);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn start_accepting(&self) -> io::Result<()> {
        self.life.start_accepting()
    }

    /// Starts if that has not happened yet, and waits until the server is stopped.
    ///
    /// If this call is itself interrupted, by a kill or a timeout around it, it stops the server in a greenlet of its own, whose
    /// handlers have one second to finish.
    ///
    /// **Switches**: yes.
    ///
    /// # Errors
    /// As [`start`](Self::start); or why the socket has become useless.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{server::DatagramServer, spawn};
    /// use std::time::Duration;
    ///
    /// let server = DatagramServer::bind("127.0.0.1:0")?.handle(|_, _| ());
    /// spawn({ let server = server.clone(); move || server.stop(Duration::from_secs(1)) }); // a signal may do that
    /// server.serve_forever()?;
    /// assert!(!server.is_started());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn serve_forever(&self) -> io::Result<()> {
        self.life.serve_forever()
    }

    /// Receives no more, gives the running handlers `grace` to finish, then kills the rest and waits until they are dead, at
    /// most for another second. The socket is closed when the last handler, and the last [`Peer`], has gone.
    ///
    /// Stopping twice, or before the start, is harmless; see [`StreamServer::stop`](super::StreamServer::stop).
    ///
    /// **Switches**: if there is something to wait for.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{net::UdpSocket, server::DatagramServer, sleep};
    /// use std::time::Duration;
    ///
    /// let server = DatagramServer::bind("127.0.0.1:0")?.handle(|_, peer| {
    ///     peer.reply(b"wait")?;
    ///     sleep(Duration::from_millis(1)); // it has time for this
    ///     peer.reply(b"done")
    /// });
    /// server.start()?;
    /// let client = UdpSocket::bind("127.0.0.1:0")?;
    /// client.send_to(b"do it", server.local_addr()?)?;
    /// client.recv(&mut [0; 8])?;
    /// server.stop(Duration::from_secs(5));
    /// let mut place = [0; 4];
    /// client.recv(&mut place)?;
    /// assert_eq!(&place, b"done");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn stop(&self, grace: Duration) {
        self.life.stop(grace);
    }

    /// Has it been started, and neither stopped nor lost its socket?
    ///
    /// # Examples
    /// ```
    /// use greenloop::server::DatagramServer;
    /// use std::time::Duration;
    ///
    /// let server = DatagramServer::bind("127.0.0.1:0")?.handle(|_, _| ());
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

    /// Does it receive, or will as soon as fewer datagrams are being handled?
    ///
    /// # Examples
    /// ```
    /// use greenloop::server::DatagramServer;
    ///
    /// let server = DatagramServer::bind("127.0.0.1:0")?.handle(|_, _| ());
    /// server.start()?;
    /// assert!(server.is_accepting());
    /// server.stop_accepting();
    /// assert!(!server.is_accepting() && server.is_started());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn is_accepting(&self) -> bool {
        self.life.is_accepting()
    }

    /// The address it receives at, with the port that was chosen if 0 was asked for.
    ///
    /// # Errors
    /// None at present; the result is the standard library's.
    ///
    /// # Examples
    /// ```
    /// use greenloop::server::DatagramServer;
    ///
    /// let server = DatagramServer::bind("127.0.0.1:0")?.handle(|_, _| ());
    /// assert_ne!(server.local_addr()?.port(), 0);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.life.address)
    }

    /// Sends from the server's address, to anybody.
    ///
    /// **Switches**: if the system has no room for it, and to look a name up.
    ///
    /// # Errors
    /// Those of [`UdpSocket::send_to`]; if the server was stopped, and its socket is closed.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{net::UdpSocket, server::DatagramServer};
    ///
    /// let server = DatagramServer::bind("127.0.0.1:0")?.handle(|_, _| ());
    /// let client = UdpSocket::bind("127.0.0.1:0")?;
    /// server.send_to(b"news", client.local_addr()?)?;
    /// assert_eq!(client.recv_from(&mut [0; 10])?, (4, server.local_addr()?));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn send_to(&self, data: &[u8], addr: impl ToSocketAddrs) -> io::Result<usize> {
        match self.socket.upgrade() {
            Some(socket) => socket.send_to(data, addr),
            None => Err(self.life.cannot("was stopped, so it cannot send")),
        }
    }

    /// How many datagrams are being handled.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{net::UdpSocket, server::DatagramServer, sleep};
    /// use std::time::Duration;
    ///
    /// let server = DatagramServer::bind("127.0.0.1:0")?.handle(|_, peer| {
    ///     peer.reply(b"wait").unwrap();
    ///     sleep(Duration::from_secs(60));
    /// });
    /// server.start()?;
    /// let client = UdpSocket::bind("127.0.0.1:0")?;
    /// client.send_to(b"do it", server.local_addr()?)?;
    /// client.recv(&mut [0; 8])?;
    /// assert_eq!(server.handlers(), 1);
    /// server.stop(Duration::ZERO);
    /// assert_eq!(server.handlers(), 0);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn handlers(&self) -> usize {
        self.life.connections.len()
    }
}

impl DatagramBuilder {
    /// How many datagrams are handled at a time. Further ones wait with the system, which drops what it has no room for. A server
    /// for 0 does not [start](DatagramServer::start).
    ///
    /// # Examples
    /// ```
    /// use greenloop::{net::UdpSocket, server::DatagramServer, yield_now};
    /// use std::{cell::Cell, rc::Rc};
    ///
    /// let at_once = Rc::new(Cell::new(0));
    /// let server = DatagramServer::bind("127.0.0.1:0")?.max_handlers(1).handle(move |_, peer| {
    ///     at_once.set(at_once.get() + 1);
    ///     yield_now();
    ///     peer.reply(&[at_once.replace(at_once.get() - 1)])
    /// });
    /// server.start()?;
    /// let client = UdpSocket::bind("127.0.0.1:0")?;
    /// for _ in 0..2 {
    ///     client.send_to(b"count", server.local_addr()?)?;
    /// }
    /// for _ in 0..2 {
    ///     let mut place = [0];
    ///     client.recv(&mut place)?;
    ///     assert_eq!(place, [1]);
    /// }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn max_handlers(self, limit: usize) -> DatagramBuilder {
        self.pool(Pool::new(limit))
    }

    /// Runs the handlers in this pool, for example together with those of another server. Stopping this server ends all
    /// that is in it.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{pool::Pool, server::DatagramServer};
    ///
    /// let pool = Pool::new(100); // so many handlers of both together
    /// let one = DatagramServer::bind("127.0.0.1:0")?.pool(pool.clone()).handle(|_, _| ());
    /// let other = DatagramServer::bind("127.0.0.1:0")?.pool(pool.clone()).handle(|_, _| ());
    /// one.start()?;
    /// other.start()?;
    /// pool.spawn(|| ()); // whatever else shall count
    /// assert_eq!((one.handlers(), other.handlers()), (1, 1));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn pool(self, pool: Pool) -> DatagramBuilder {
        DatagramBuilder { handlers: pool, ..self }
    }

    /// How many datagrams are received before other greenlets get a turn; 100 unless this is called.
    ///
    /// # Panics
    /// If it is 0. The socket is closed.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{net::UdpSocket, server::DatagramServer};
    ///
    /// // Answers are urgent here, so each is sent before the next datagram is received.
    /// let server = DatagramServer::bind("127.0.0.1:0")?.max_accept(1).handle(|data, peer| peer.reply(data));
    /// server.start()?;
    /// let client = UdpSocket::bind("127.0.0.1:0")?;
    /// for data in [b"a", b"b"] {
    ///     client.send_to(data, server.local_addr()?)?;
    /// }
    /// for data in [b"a", b"b"] {
    ///     let mut place = [0];
    ///     client.recv(&mut place)?;
    ///     assert_eq!(&place, data);
    /// }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn max_accept(self, count: u32) -> DatagramBuilder {
        assert!(count > 0, "max_accept(0) would receive nothing; 1 lets the others run after each datagram");
        DatagramBuilder { max_accept: count, ..self }
    }

    /// The address, with the port that was chosen if 0 was asked for.
    ///
    /// # Errors
    /// None at present; the result is the standard library's.
    ///
    /// # Examples
    /// ```
    /// use greenloop::server::DatagramServer;
    ///
    /// let builder = DatagramServer::bind("127.0.0.1:0")?;
    /// let address = builder.local_addr()?;
    /// let server = builder.handle(move |_, peer| peer.reply(address.to_string().as_bytes()));
    /// assert_eq!(server.local_addr()?, address);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }

    /// The server that runs `handler` for each datagram. It may return what a stream server's may, or what
    /// [`Peer::reply`] gives; an error is reported on standard error.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{net::UdpSocket, server::DatagramServer};
    ///
    /// let server = DatagramServer::bind("127.0.0.1:0")?.handle(|data, peer| {
    ///     let text = std::str::from_utf8(data).map_err(std::io::Error::other)?; // its failure is reported
    ///     peer.reply(text.to_uppercase().as_bytes())
    /// });
    /// server.start()?;
    /// let client = UdpSocket::bind("127.0.0.1:0")?;
    /// client.send_to(b"hello", server.local_addr()?)?;
    /// let mut place = [0; 5];
    /// client.recv(&mut place)?;
    /// assert_eq!(&place, b"HELLO");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn handle<F, R>(self, handler: F) -> DatagramServer
    where
        F: Fn(&[u8], Peer) -> R + 'static,
        R: Outcome,
    {
        let socket = Rc::new(self.socket);
        let weak = Rc::downgrade(&socket);
        let handler = move |(data, socket): (Vec<u8>, Rc<UdpSocket>), address: SocketAddr| {
            handler(&data, Peer { address, socket }).conclude(&address);
        };
        let listener = Datagrams { socket, place: Cell::default() };
        let settings = (self.handlers, self.max_accept);
        let life = Life::new(Stage::Given(Rc::new(listener)), self.address, settings, Rc::new(handler));
        DatagramServer { life, socket: weak }
    }
}

/// Who has sent a datagram, and the way back.
///
/// # Examples
/// ```
/// use greenloop::{net::UdpSocket, queue::Queue, server::{DatagramServer, Peer}};
///
/// let callers = Queue::<Peer>::unbounded(); // whoever has called gets news later
/// let server = DatagramServer::bind("127.0.0.1:0")?.handle({
///     let callers = callers.clone();
///     move |_, peer| callers.put(peer).unwrap()
/// });
/// server.start()?;
/// let client = UdpSocket::bind("127.0.0.1:0")?;
/// client.send_to(b"it is me", server.local_addr()?)?;
/// callers.get().unwrap().reply(b"news")?;
/// assert_eq!(client.recv_from(&mut [0; 8])?, (4, server.local_addr()?));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct Peer {
    address: SocketAddr,
    socket: Rc<UdpSocket>,
}

impl Peer {
    /// Where the datagram comes from.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{net::UdpSocket, server::DatagramServer};
    ///
    /// let server = DatagramServer::bind("127.0.0.1:0")?
    ///     .handle(|_, peer| peer.reply(format!("you are {}", peer.addr()).as_bytes()));
    /// server.start()?;
    /// let client = UdpSocket::bind("127.0.0.1:0")?;
    /// client.send_to(b"who am I?", server.local_addr()?)?;
    /// let mut place = [0; 100];
    /// let count = client.recv(&mut place)?;
    /// assert_eq!(&place[..count], format!("you are {}", client.local_addr()?).as_bytes());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn addr(&self) -> SocketAddr {
        self.address
    }

    /// Sends a datagram back, from the address that it was sent to.
    ///
    /// **Switches**: if the system has no room for it.
    ///
    /// # Errors
    /// Those of [`UdpSocket::send_to`].
    ///
    /// # Examples
    /// ```
    /// use greenloop::{net::UdpSocket, server::DatagramServer};
    ///
    /// let server = DatagramServer::bind("127.0.0.1:0")?.handle(|data, peer| {
    ///     peer.reply(data)?;
    ///     peer.reply(b"and again") // as often as it likes
    /// });
    /// server.start()?;
    /// let client = UdpSocket::bind("127.0.0.1:0")?;
    /// client.send_to(b"hello", server.local_addr()?)?;
    /// assert_eq!(client.recv(&mut [0; 100])?, 5);
    /// assert_eq!(client.recv(&mut [0; 100])?, 9);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn reply(&self, data: &[u8]) -> io::Result<()> {
        self.socket.send_to(data, self.address).map(drop)
    }
}

/// Receiving is accepting: what comes is a datagram with its way back.
struct Datagrams {
    socket: Rc<UdpSocket>,
    /// Where datagrams are received; empty while one is, and after a kill in between.
    place: Cell<Vec<u8>>,
}

impl Listener for Datagrams {
    type Stream = (Vec<u8>, Rc<UdpSocket>);
    type Addr = SocketAddr;

    fn accept(&self) -> io::Result<(Self::Stream, SocketAddr)> {
        let mut place = self.place.take();
        place.resize(LONGEST, 0);
        let received = self.socket.recv_from(&mut place);
        let received = received.map(|(count, from)| ((place[..count].to_vec(), self.socket.clone()), from));
        self.place.set(place);
        received
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }
}

impl Serve for DatagramServer {
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

impl fmt::Debug for DatagramServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatagramServer({:?})", self.life)
    }
}

impl fmt::Debug for DatagramBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DatagramBuilder({})", self.address)
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Peer({})", self.address)
    }
}
