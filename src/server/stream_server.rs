//! A server for TCP connections.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use super::Outcome;
use super::accept::accept_connections;
use crate::event::Event;
use crate::greenlet::{self, Handle};
use crate::net::{BACKLOG, TcpListener, TcpStream, ToSocketAddrs, first_bound, listen_error};
use crate::pool::Pool;
use crate::sys::socket;

/// A handler for connections of any kind, its outcome concluded.
type Handler = Rc<dyn Fn(TcpStream, SocketAddr)>;

/// Accepts TCP connections and runs a handler for each in a greenlet of its own.
///
/// It is a handle: clones are the same server.
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
#[derive(Clone)]
pub struct StreamServer {
    inner: Rc<Inner>,
}

pub(super) struct Inner {
    pub(super) handler: Handler,
    /// The greenlets of the handlers.
    pub(super) connections: Pool,
    backlog: i32,
    address: SocketAddr,
    /// The bound socket until the start.
    bound: RefCell<Option<std::net::TcpListener>>,
    acceptor: RefCell<Option<Handle>>,
    ended: Event,
    /// Why the acceptor has given up.
    failure: Cell<Option<io::Error>>,
}

/// A bound address and the settings of the server to come.
#[must_use = "a server begins with `handle`"]
pub struct Builder {
    bound: std::net::TcpListener,
    address: SocketAddr,
    backlog: i32,
    connections: Pool,
}

impl StreamServer {
    /// Takes an address for a server. Clients are refused until it starts.
    ///
    /// **Switches**: only to look a name up.
    ///
    /// # Errors
    /// If the address cannot be had; the text names it.
    #[track_caller]
    pub fn bind(addr: impl ToSocketAddrs) -> io::Result<Builder> {
        let bound = first_bound(addr, socket::bind)?;
        let address = bound.local_addr()?;
        Ok(Builder { bound, address, backlog: BACKLOG, connections: Pool::new(usize::MAX) })
    }

    /// Listens, and begins to accept when the current greenlet blocks. Does nothing if it has started already.
    ///
    /// **Switches**: no.
    ///
    /// # Errors
    /// If the address is in use, or the server was stopped: then a new one is needed.
    pub fn start(&self) -> io::Result<()> {
        let inner = &self.inner;
        if inner.acceptor.borrow().is_some() {
            return Ok(());
        }
        // The address stays taken if this fails, for another attempt.
        let bound = inner.bound.take();
        let Some(listener) = bound else {
            let text =
                format!("the server on {} was stopped and cannot start again; bind a new one", inner.address);
            return Err(io::Error::new(io::ErrorKind::NotConnected, text));
        };
        if let Err(error) = socket::listen(&listener, inner.backlog) {
            inner.bound.replace(Some(listener));
            return Err(listen_error(error, inner.address));
        }
        let listener = TcpListener::from_std(listener).map_err(|error| listen_error(error, inner.address))?;
        let server = inner.clone();
        let acceptor = greenlet::Builder::new().name("acceptor").spawn(move || {
            let failure = accept_connections(&server, &listener);
            server.failure.set(Some(failure));
            server.acceptor.take();
            server.ended.set();
        })?;
        *inner.acceptor.borrow_mut() = Some(acceptor.handle());
        Ok(())
    }

    /// Starts if that has not happened yet, and waits until the server is stopped.
    ///
    /// **Switches**: yes.
    ///
    /// # Errors
    /// As [`start`](Self::start); or why the listener has become useless.
    #[track_caller]
    pub fn serve_forever(&self) -> io::Result<()> {
        self.start()?;
        self.inner.ended.wait();
        self.inner.failure.take().map_or(Ok(()), Err)
    }

    /// Stops listening at once, gives the running handlers `grace` to finish, then kills the rest and waits until they are dead.
    ///
    /// Stopping twice, or before the start, is harmless. If this call is itself interrupted, by a timeout around it or a
    /// kill, the server is stopped nevertheless, and its handlers are left to themselves.
    ///
    /// **Switches**: if there is something to wait for.
    #[track_caller]
    pub fn stop(&self, grace: Duration) {
        /// Also if the wait for the handlers is interrupted: clients are refused from now on.
        struct Ended<'a>(&'a Event);
        impl Drop for Ended<'_> {
            fn drop(&mut self) {
                self.0.set();
            }
        }
        let inner = &self.inner;
        let _ended = Ended(&inner.ended);
        inner.bound.take();
        let acceptor = inner.acceptor.take();
        if let Some(acceptor) = acceptor {
            acceptor.kill();
        }
        if !inner.connections.join_timeout(grace) {
            inner.connections.kill();
        }
    }

    /// Does it accept connections?
    pub fn is_started(&self) -> bool {
        self.inner.acceptor.borrow().is_some()
    }

    /// The address it listens on, with the port that was chosen if 0 was asked for.
    ///
    /// # Errors
    /// None at present; the result is the standard library's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.inner.address)
    }

    /// How many connections are being handled.
    pub fn connections(&self) -> usize {
        self.inner.connections.len()
    }
}

impl Builder {
    /// How many connections may wait in the kernel to be accepted; 4096 unless this is called.
    pub fn backlog(self, backlog: i32) -> Builder {
        Builder { backlog, ..self }
    }

    /// How many connections are handled at a time. Further clients wait in the kernel's queue.
    pub fn max_connections(self, limit: usize) -> Builder {
        self.pool(Pool::new(limit))
    }

    /// Runs the handlers in this pool, for example together with those of another server. Stopping this server ends all
    /// that is in it.
    pub fn pool(self, pool: Pool) -> Builder {
        Builder { connections: pool, ..self }
    }

    /// The address, with the port that was chosen if 0 was asked for.
    ///
    /// # Errors
    /// None at present; the result is the standard library's.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }

    /// The server that runs `handler` for each connection. It may return `()` or a `Result`; an error is reported on
    /// standard error unless it only says that the peer has gone. The connection is closed when the handler drops it.
    pub fn handle<F, R>(self, handler: F) -> StreamServer
    where
        F: Fn(TcpStream, SocketAddr) -> R + 'static,
        R: Outcome,
    {
        StreamServer {
            inner: Rc::new(Inner {
                handler: Rc::new(move |socket, peer| handler(socket, peer).conclude(peer)),
                connections: self.connections,
                backlog: self.backlog,
                address: self.address,
                bound: RefCell::new(Some(self.bound)),
                acceptor: RefCell::new(None),
                ended: Event::new(),
                failure: Cell::new(None),
            }),
        }
    }
}

impl fmt::Debug for StreamServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.is_started() { "started" } else { "not started" };
        write!(f, "StreamServer({}, {state}, {} connections)", self.inner.address, self.connections())
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Builder({})", self.address)
    }
}
