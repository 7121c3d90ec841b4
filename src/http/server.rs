//! The HTTP server: [`StreamServer`] with an HTTP connection in each greenlet.

use super::access::Access;
use super::admission::Admission;
use super::config::Config;
use super::connection::turn_away;
use super::gate::Gate;
use super::keeper::{Service, keep};
use super::limits::Limits;
use super::response::Handler;
use super::running::{Gated, RunningServer};
use super::socket::Socket;
use super::stream::Stream;
use crate::net::TcpListener;
use crate::server::{Builder, Listener, Part, StreamServer, ToListenAddrs, Together};
use std::fmt;
use std::io;
use std::rc::Rc;

/// How many clients are told at a time that there is no place for them. More wait in the backlog.
const MOST_REFUSED: usize = 64;

/// An HTTP server that is bound to its address and not yet running: for TCP, or on another [`Listener`] whose streams are
/// sockets.
///
/// ```no_run
/// use greenloop::http::{Request, Server};
///
/// # fn main() -> std::io::Result<()> {
/// Server::bind("127.0.0.1:8080")?.serve(|_: &mut Request<'_>| "Hello, World!")
/// # }
/// ```
#[must_use = "a server runs when `serve` or `start` is called"]
pub struct Server<L: Listener = TcpListener> {
    builder: Builder<L>,
    limits: Option<Limits>,
    /// Without the limits.
    config: Config,
    most: Option<usize>,
    queue: Option<usize>,
    #[cfg(feature = "tls")]
    tls: Option<crate::tls::ServerConfig>,
    others: Vec<Box<dyn Other>>,
}

impl Server {
    /// Binds a listening socket. Port 0 lets the system choose one: see [`local_addr`](Server::local_addr).
    ///
    /// **Switches**: only to look up a host name.
    ///
    /// # Errors
    /// Those of resolving and binding the address.
    ///
    /// ```
    /// use greenloop::http::Server;
    ///
    /// let server = Server::bind("127.0.0.1:0")?;
    /// assert_ne!(server.local_addr()?.port(), 0);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn bind(addr: impl ToListenAddrs) -> io::Result<Server> {
        Ok(Server::from_builder(StreamServer::bind(addr)?))
    }
}

#[allow(
    private_bounds,
    reason = "the sockets of `net` are such, and nobody else can rest between two requests"
)]
impl<L: Listener> Server<L>
where
    L::Stream: Stream<Peer = L::Addr>,
{
    /// A server on a listener that exists already, for TCP or of Unix sockets.
    ///
    /// ```
    /// use greenloop::{http::{Request, Server}, net::UnixListener};
    /// use std::time::Duration;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// # let path = std::env::temp_dir().join(format!("greenloop-http-{}", std::process::id()));
    /// let server = Server::from_listener(UnixListener::bind(&path)?)?;
    /// let server = server.start(|_: &mut Request<'_>| "Hello, neighbour!")?;
    /// server.stop(Duration::from_secs(1));
    /// # std::fs::remove_file(&path)?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// If the listener does not know its address.
    pub fn from_listener(listener: L) -> io::Result<Server<L>> {
        Ok(Server::from_builder(StreamServer::from_listener(listener)?))
    }

    /// A server with the socket and the settings of a stream server's builder: on a listener that exists already, with
    /// options of the socket, in a pool.
    ///
    /// ```
    /// use greenloop::{http, server::StreamServer};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let options = StreamServer::options().backlog(64);
    /// let server = http::Server::from_builder(options.bind("127.0.0.1:0")?);
    /// # drop(server);
    /// # Ok(())
    /// # }
    /// ```
    pub fn from_builder(builder: Builder<L>) -> Server<L> {
        Server {
            builder,
            limits: None,
            config: Config::default(),
            most: None,
            queue: None,
            #[cfg(feature = "tls")]
            tls: None,
            others: Vec::new(),
        }
    }

    /// Serves HTTPS (feature `tls`). Clients are told that HTTP/1.1 is spoken, unless the configuration names application protocols
    /// itself.
    ///
    /// ```no_run
    /// use greenloop::http::{Request, Server};
    /// use greenloop::tls::{Identity, ServerConfig};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let identity = Identity::from_files("cert.pem", "key.pem")?;
    /// let tls = ServerConfig::builder().identity(identity).build()?;
    /// Server::bind("127.0.0.1:8443")?.tls(tls).serve(|_: &mut Request<'_>| "Hello, World!")
    /// # }
    /// ```
    #[cfg(feature = "tls")]
    pub fn tls(mut self, config: crate::tls::ServerConfig) -> Server<L> {
        self.tls = Some(config.with_default_alpn(b"http/1.1"));
        self
    }

    /// Joins another server to this one: the same handler is served by both, and they start, stop and end as one. So a service is
    /// reached at several addresses, over TCP, TLS and Unix sockets.
    ///
    /// The other keeps what it was given. Of limits, reports and the access log, what it was not given is as it is here, whether that is set
    /// before or after; its bound of connections and its queue are its own.
    ///
    /// ```
    /// use greenloop::http::{Limits, Request, Server};
    /// use greenloop::net::UnixListener;
    /// use std::time::Duration;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// # let path = std::env::temp_dir().join(format!("greenloop-also-{}", std::process::id()));
    /// let local = Server::from_listener(UnixListener::bind(&path)?)?;
    /// let server = Server::bind("127.0.0.1:0")? // one with `.tls(..)` can be joined, too
    ///     .also(local)
    ///     .limits(Limits::new().max_body(1 << 20)) // of both
    ///     .max_connections(1000) // of the first
    ///     .start(|request: &mut Request<'_>| format!("hello, {:?}", request.peer_addr()))?;
    /// server.stop(Duration::from_secs(1));
    /// # std::fs::remove_file(&path)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn also<M: Listener>(mut self, other: Server<M>) -> Server<L>
    where
        M::Stream: Stream<Peer = M::Addr>,
    {
        self.others.push(Box::new(other));
        self
    }

    /// Sets what a connection may cost.
    ///
    /// ```
    /// use greenloop::http::{Limits, Request, Server};
    /// use greenloop::net::TcpStream;
    /// use std::{io::{Read, Write}, time::Duration};
    ///
    /// let limits = Limits::new().max_headers(2);
    /// let server = Server::bind("127.0.0.1:0")?.limits(limits).start(|_: &mut Request<'_>| "hello")?;
    /// let mut client = TcpStream::connect(server.local_addr()?)?;
    /// client.write_all(b"GET / HTTP/1.1\r\nHost: h\r\nA: 1\r\nB: 2\r\n\r\n")?;
    /// let mut answer = String::new();
    /// client.read_to_string(&mut answer)?;
    /// assert!(answer.starts_with("HTTP/1.1 431 "));
    /// server.stop(Duration::ZERO);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn limits(mut self, limits: Limits) -> Server<L> {
        self.limits = Some(limits);
        self
    }

    /// Has failures of the handler reported to `report`: see [`Config::on_error`].
    ///
    /// ```
    /// use greenloop::http::{self, Request, Server};
    /// use greenloop::{event::AsyncResult, net::TcpStream};
    /// use std::{io::Write, time::Duration};
    ///
    /// let failure = AsyncResult::new();
    /// let server = Server::bind("127.0.0.1:0")?
    ///     .on_error({
    ///         let failure = failure.clone();
    ///         move |line| failure.set(line.to_string()).unwrap()
    ///     })
    ///     .start(|_: &mut Request<'_>| -> http::Result<&str> { Err("no tea left".into()) })?;
    /// TcpStream::connect(server.local_addr()?)?.write_all(b"GET /tea HTTP/1.1\r\n\r\n")?;
    /// assert_eq!(failure.get(), "GET /tea HTTP/1.1: no tea left");
    /// server.stop(Duration::ZERO);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn on_error(mut self, report: impl Fn(&str) + 'static) -> Server<L> {
        self.config = self.config.on_error(report);
        self
    }

    /// Has each exchange told to `log`: see [`Config::access_log`].
    ///
    /// ```no_run
    /// use greenloop::http::{Access, Request, Server};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let server = Server::bind("127.0.0.1:8080")?.access_log(Access::lines_to(std::io::stdout()));
    /// server.serve(|_: &mut Request<'_>| "Hello, World!")
    /// # }
    /// ```
    pub fn access_log(mut self, log: impl Fn(&Access<'_>) + 'static) -> Server<L> {
        self.config = self.config.access_log(log);
        self
    }

    /// Bounds the connections served at a time, those between two requests included. More wait in the backlog of the
    /// listening socket, or in the queue: see [`queue`](Server::queue).
    ///
    /// Without it the bound is the number of descriptors that the process may have (`ulimit -n`). When they are used up, further clients
    /// wait in the backlog, and the handlers cannot open anything either: set it lower by as many as they need. A server for 0, be it
    /// with a queue, does not [start](Server::start).
    ///
    /// ```
    /// use greenloop::http::{Request, Server};
    /// use greenloop::net::TcpStream;
    /// use std::{io::{Read, Write}, time::Duration};
    ///
    /// let server = Server::bind("127.0.0.1:0")?.max_connections(1).start(|_: &mut Request<'_>| "hello")?;
    /// let mut answers = Vec::new();
    /// for _ in 0..2 {
    ///     let mut client = TcpStream::connect(server.local_addr()?)?;
    ///     client.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
    ///     let mut answer = String::new();
    ///     client.read_to_string(&mut answer)?; // to its end: there is a place for the next one then
    ///     answers.push(answer);
    /// }
    /// assert!(answers.iter().all(|answer| answer.ends_with("hello")));
    /// server.stop(Duration::ZERO);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn max_connections(mut self, most: usize) -> Server<L> {
        self.most = Some(most);
        self
    }

    /// Accepts so many connections more than are served, which wait for their turn at most for [`Limits::head_timeout`]. Those
    /// behind them, and those that have waited too long, are answered with 503 and closed; over TLS they are closed without a
    /// word. Means nothing without [`max_connections`](Server::max_connections).
    ///
    /// ```
    /// use greenloop::http::Server;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let server = Server::bind("127.0.0.1:0")?.max_connections(10_000).queue(1_000);
    /// # drop(server);
    /// # Ok(())
    /// # }
    /// ```
    pub fn queue(mut self, waiting: usize) -> Server<L> {
        self.queue = Some(waiting);
        self
    }

    /// The address the server is bound to.
    ///
    /// # Errors
    /// Those of `getsockname`.
    ///
    /// ```
    /// use greenloop::http::Server;
    ///
    /// let server = Server::bind("127.0.0.1:0")?;
    /// println!("http://{}/", server.local_addr()?);
    /// assert!(server.local_addr()?.ip().is_loopback());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn local_addr(&self) -> io::Result<L::Addr> {
        self.builder.local_addr()
    }

    /// Serves for ever: each connection runs in a greenlet of its own, and `handler` is called there.
    ///
    /// **Switches**: yes.
    ///
    /// # Errors
    /// Those of the listening sockets. If one of several cannot be had, none listens. [`InvalidInput`](io::ErrorKind::InvalidInput) for
    /// no connections at a time, which would serve nobody.
    ///
    /// ```no_run
    /// use greenloop::http::{Request, Router, Server};
    ///
    /// let app = Router::new().get("/", |_: &mut Request<'_>| "home");
    /// Server::bind("127.0.0.1:8080")?.serve(app)?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn serve(self, handler: impl Handler + 'static) -> io::Result<()> {
        self.start(handler)?.serve_forever()
    }

    /// Starts serving in the background. The server ends with [`RunningServer::stop`].
    ///
    /// **Switches**: no.
    ///
    /// # Errors
    /// Those of the listening sockets. If one of several cannot be had, none listens. [`InvalidInput`](io::ErrorKind::InvalidInput) for
    /// no connections at a time, which would serve nobody.
    ///
    /// ```
    /// use greenloop::http::{Request, Server};
    /// use std::time::Duration;
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let server = Server::bind("127.0.0.1:0")?.start(|_: &mut Request<'_>| "Hello, World!")?;
    /// println!("listening on {}", server.local_addr()?);
    /// server.stop(Duration::from_secs(1));
    /// # Ok(())
    /// # }
    /// ```
    pub fn start(self, handler: impl Handler + 'static) -> io::Result<RunningServer<L>> {
        let mut parts = Vec::new();
        let server = self.open(&(Rc::new(handler) as _), &Config::default(), &mut parts);
        let all = Together::new(parts);
        all.start()?;
        Ok(RunningServer::new(server, all))
    }

    /// Puts the stream server for this one and those for the others behind the `parts`, and gives it.
    fn open(
        self,
        handler: &Rc<dyn Handler>,
        outer: &Config,
        parts: &mut Vec<Box<dyn Part>>,
    ) -> StreamServer<L> {
        let (builder, admission) = match (self.most, self.queue) {
            (Some(most @ 1..), Some(queue)) => {
                let accepted = most.saturating_add(queue).saturating_add(MOST_REFUSED);
                (self.builder.max_connections(accepted), Some(Admission::new(most, queue)))
            }
            (Some(most), _) => (self.builder.max_connections(most), None),
            (None, _) => (self.builder, None),
        };
        let gate = Rc::new(Gate::new(admission));
        let config = self.config.or(self.limits, outer);
        let service = Rc::new(Service { handler: handler.clone(), config });
        let server = builder.handle({
            let (gate, service) = (gate.clone(), service.clone());
            move |stream, peer| -> io::Result<()> {
                stream.prepare()?;
                let slot = gate.admission.as_ref().map(|door| door.enter(service.config.limits.head_timeout));
                let is_refused = matches!(slot, Some(None));
                let socket = Socket::new(stream, peer, gate.clone(), slot.flatten());
                #[cfg(feature = "tls")]
                if is_refused && self.tls.is_some() {
                    return Ok(());
                }
                if is_refused {
                    return turn_away(socket, &service.config);
                }
                #[cfg(feature = "tls")]
                if let Some(tls) = &self.tls {
                    return super::secure::serve(tls, socket, service.clone());
                }
                keep(socket, service.clone());
                Ok(())
            }
        });
        parts.push(Box::new(Gated { server: server.part(), gate }));
        for other in self.others {
            other.open(handler, &service.config, parts);
        }
        server
    }
}

/// A server for a listener of some kind.
trait Other {
    fn open(self: Box<Self>, handler: &Rc<dyn Handler>, outer: &Config, parts: &mut Vec<Box<dyn Part>>);
}

impl<L: Listener> Other for Server<L>
where
    L::Stream: Stream<Peer = L::Addr>,
{
    fn open(self: Box<Self>, handler: &Rc<dyn Handler>, outer: &Config, parts: &mut Vec<Box<dyn Part>>) {
        Server::open(*self, handler, outer, parts);
    }
}

impl<L: Listener> fmt::Debug for Server<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server")
            .field("addr", &self.builder.local_addr().ok())
            .field("limits", &self.limits)
            .field("others", &self.others.len())
            .finish()
    }
}
