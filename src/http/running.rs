//! An HTTP server that runs.

use super::gate::Gate;
use super::stream::Stream;
use crate::event::Event;
use crate::greenlet::Handle;
use crate::net::TcpListener;
use crate::pool::Pool;
use crate::server::{Listener, Part, Serve, StreamServer, Together};
use std::fmt;
use std::io;
use std::rc::Rc;
use std::time::Duration;

/// An HTTP server that runs in the background, with those that [`also`](super::Server::also) has joined to it. A handle: clones stand
/// for the same server, which goes on when all are dropped.
///
/// ```
/// use greenloop::http::{Request, Server};
/// use greenloop::net::TcpStream;
/// use std::{io::{Read, Write}, time::Duration};
///
/// let server = Server::bind("127.0.0.1:0")?.start(|_: &mut Request<'_>| "hello")?;
/// let mut client = TcpStream::connect(server.local_addr()?)?;
/// client.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
/// let mut answer = String::new();
/// client.read_to_string(&mut answer)?;
/// assert!(answer.ends_with("\r\n\r\nhello"));
/// server.stop(Duration::from_secs(1));
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct RunningServer<L: Listener = TcpListener> {
    /// The one that the others were joined to.
    server: StreamServer<L>,
    all: Together,
}

impl<L: Listener> RunningServer<L> {
    pub(super) fn new(server: StreamServer<L>, all: Together) -> RunningServer<L> {
        RunningServer { server, all }
    }
}

#[allow(private_bounds, reason = "as those of `Server`")]
impl<L: Listener> RunningServer<L>
where
    L::Stream: Stream,
{
    /// Waits until the server is stopped. If it has been, there is nothing to wait for.
    ///
    /// **Switches**: yes.
    ///
    /// # Errors
    /// Why the listening socket, or one of several, has become useless. None of them accepts any more then.
    /// [`NotConnected`](io::ErrorKind::NotConnected) in a destructor that a panic or a kill runs, which does not wait.
    ///
    /// ```
    /// use greenloop::http::{Request, Server};
    /// use std::time::Duration;
    ///
    /// let server = Server::bind("127.0.0.1:0")?.start(|_: &mut Request<'_>| "hello")?;
    /// let waiting = greenloop::spawn({
    ///     let server = server.clone();
    ///     move || server.serve_forever()
    /// });
    /// greenloop::yield_now(); // it waits now
    /// server.stop(Duration::ZERO); // in a program, upon a signal
    /// waiting.join().unwrap()?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn serve_forever(&self) -> io::Result<()> {
        self.all.wait_for_end()
    }

    /// Accepts no more connections, ends those at once that are between two requests or have not come to their first, be it that the TLS
    /// handshake is under way, gives the others `grace` to finish the one they are in, then kills them. Who is killed before the answer has begun says 500.
    ///
    /// **Switches**: yes, until all have ended.
    ///
    /// ```
    /// use greenloop::http::{Request, Server};
    /// use greenloop::net::TcpStream;
    /// use std::{io::{Read, Write}, time::Duration};
    ///
    /// let server = Server::bind("127.0.0.1:0")?.start(|_: &mut Request<'_>| {
    ///     greenloop::sleep(Duration::from_millis(2));
    ///     "just in time"
    /// })?;
    /// let mut client = TcpStream::connect(server.local_addr()?)?;
    /// client.write_all(b"GET / HTTP/1.1\r\n\r\n")?;
    /// greenloop::sleep(Duration::from_millis(1)); // the request is being answered now
    /// server.stop(Duration::from_secs(5));
    /// let mut answer = String::new();
    /// client.read_to_string(&mut answer)?;
    /// assert!(answer.ends_with("just in time"));
    /// assert!(TcpStream::connect(server.local_addr()?).is_err());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn stop(&self, grace: Duration) {
        self.all.stop(grace);
    }

    /// The address the server listens on; of several servers in one the first.
    ///
    /// # Errors
    /// Those of `getsockname`.
    ///
    /// ```
    /// use greenloop::http::{Request, Server};
    /// use std::time::Duration;
    ///
    /// let server = Server::bind("127.0.0.1:0")?.start(|_: &mut Request<'_>| "hello")?;
    /// let url = format!("http://{}/", server.local_addr()?);
    /// assert!(url.starts_with("http://127.0.0.1:"));
    /// server.stop(Duration::ZERO);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn local_addr(&self) -> io::Result<L::Addr> {
        self.server.local_addr()
    }
}

#[allow(private_bounds, reason = "as those of `Server`")]
impl<L: Listener> Serve for RunningServer<L>
where
    L::Stream: Stream,
{
    /// It has been.
    fn start(&self) -> io::Result<()> {
        self.all.start()
    }

    fn serve_forever(&self) -> io::Result<()> {
        self.serve_forever()
    }

    fn stop(&self, grace: Duration) {
        self.stop(grace);
    }
}

impl<L: Listener> Clone for RunningServer<L> {
    fn clone(&self) -> RunningServer<L> {
        RunningServer { server: self.server.clone(), all: self.all.clone() }
    }
}

impl<L: Listener> fmt::Debug for RunningServer<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunningServer").field("addr", &self.server.local_addr().ok()).finish()
    }
}

/// A stream server whose connections have a gate.
pub(super) struct Gated<P, S> {
    pub(super) server: P,
    pub(super) gate: Rc<Gate<S>>,
}

impl<P: Part, S: Stream> Part for Gated<P, S> {
    fn start(&self) -> io::Result<()> {
        self.server.start()
    }

    fn close(&self) -> Option<Handle> {
        self.gate.close();
        self.server.close()
    }

    fn connections(&self) -> &Pool {
        self.server.connections()
    }

    fn ended(&self) -> &Event {
        self.server.ended()
    }

    fn take_failure(&self) -> Option<io::Error> {
        self.server.take_failure()
    }

    fn when_broken(&self, then: Box<dyn FnOnce()>) {
        self.server.when_broken(then);
    }

    fn cannot(&self, why: &str) -> io::Error {
        self.server.cannot(why)
    }
}
