//! The body of a request that its handler has taken, to read it while the answer is sent.
//!
//! The connection and the body then use the stream at the same time, the one to write and the other to read. What was read already goes with
//! the body. Dropped, it comes home with what it has read too much and with how much is left, and the connection goes on as if it had
//! never been away:
//!
//! ```text
//!   handler: take_body ──▶ body away ─────── read, by whomever ──────▶ dropped: home
//!                             │                                          │
//!   connection:           response ──────────── its end ─── home? ──yes──┴─▶ skip the rest, next request
//!                                                             └──no──▶ wait for it as one lingers, then close
//! ```

use super::duplex_stream::DuplexStream;
use super::io::Io;
use super::request::Request;
use super::request_body::{RequestBody, Rest};
use super::transport::Transport;
use crate::event::Event;
use std::cell::Cell;
use std::fmt;
use std::io::{self, BufRead, Read, Write};
use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};
use std::rc::Rc;
use std::time::Duration;

impl Request<'_> {
    /// Takes the body out, to be read while the answer is sent: in the [body of the response](super::Body), or in another greenlet. The
    /// request has none any more then.
    ///
    /// A client that waits for a go-ahead (`Expect: 100-continue`) gets it here. The connection is kept for further requests if the body has
    /// been dropped by the time that the response begins, and what is left of it can be skipped; otherwise the response says
    /// `Connection: close`. When the response has ended, whoever still reads has [`Limits::linger_timeout`](super::Limits::linger_timeout)
    /// left; then the connection is closed.
    ///
    /// **Switches**: to send the answers to earlier requests and the go-ahead.
    ///
    /// # Errors
    /// That the client has gone, that the transport cannot be [shared](Transport::share), that the body was taken before, or the error with which
    /// a read has failed before.
    ///
    /// ```
    /// use greenloop::http::{Body, Request, Server};
    /// use greenloop::net::TcpStream;
    /// use std::io::{Read, Write};
    /// use std::time::Duration;
    ///
    /// let server = Server::bind("127.0.0.1:0")?.start(|request: &mut Request<'_>| {
    ///     Ok(Body::reader(request.take_body()?)) // an echo, while it comes
    /// })?;
    /// let mut client = TcpStream::connect(server.local_addr()?)?;
    /// client.write_all(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nping\r\n")?;
    /// let mut answer = Vec::new();
    /// while !answer.ends_with(b"\r\n\r\n4\r\nping\r\n") {
    ///     let mut place = [0; 256];
    ///     let count = client.read(&mut place)?;
    ///     answer.extend_from_slice(&place[..count]);
    /// }
    /// client.write_all(b"0\r\n\r\n")?; // the client ends only now
    /// let mut end = String::new();
    /// client.read_to_string(&mut end)?;
    /// assert_eq!(end, "0\r\n\r\n");
    /// server.stop(Duration::from_secs(1));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn take_body(&mut self) -> io::Result<OwnedBody> {
        self.body().go_away()
    }
}

/// The body of a request for whoever wants to read it while the answer is sent: see [`Request::take_body`]. What [`RequestBody`] says of reads and
/// their errors holds here too.
///
/// ```
/// use greenloop::http::{Body, Request, TestClient};
/// use std::io::{BufRead, Write};
///
/// let client = TestClient::new(|request: &mut Request<'_>| {
///     let body = request.take_body()?;
///     Ok(Body::writer(move |out| {
///         for line in body.lines() {
///             writeln!(out, "{} again", line?)?;
///         }
///         Ok(())
///     }))
/// });
/// assert_eq!(client.post("/").body("one\ntwo\n").send().text(), "one again\ntwo again\n");
/// ```
pub struct OwnedBody {
    body: RequestBody<'static>,
    home: Rc<Home>,
}

impl OwnedBody {
    pub(super) fn new(body: RequestBody<'static>, home: Rc<Home>) -> OwnedBody {
        OwnedBody { body, home }
    }
}

impl Deref for OwnedBody {
    type Target = RequestBody<'static>;

    fn deref(&self) -> &RequestBody<'static> {
        &self.body
    }
}

impl DerefMut for OwnedBody {
    fn deref_mut(&mut self) -> &mut RequestBody<'static> {
        &mut self.body
    }
}

impl Read for OwnedBody {
    fn read(&mut self, place: &mut [u8]) -> io::Result<usize> {
        self.body.read(place)
    }

    fn read_to_string(&mut self, place: &mut String) -> io::Result<usize> {
        self.body.read_to_string(place)
    }
}

impl BufRead for OwnedBody {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.body.fill_buf()
    }

    fn read_line(&mut self, place: &mut String) -> io::Result<usize> {
        self.body.read_line(place)
    }

    fn consume(&mut self, count: usize) {
        self.body.consume(count);
    }
}

impl Drop for OwnedBody {
    fn drop(&mut self) {
        self.home.came_back.set(Some(self.body.rest()));
        self.home.event.set();
    }
}

impl fmt::Debug for OwnedBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OwnedBody").field(&self.body).finish()
    }
}

/// Where a body comes back to.
#[derive(Default)]
pub(super) struct Home {
    came_back: Cell<Option<Rest>>,
    event: Event,
}

/// What is left in the place of a body that was taken. When this is dropped before it has come back, the connection ends for it.
pub(super) struct Away {
    pub(super) home: Rc<Home>,
    pub(super) stream: Rc<dyn DuplexStream>,
}

impl Away {
    pub(super) fn come_back(&self) -> Option<Rest> {
        self.home.came_back.take()
    }

    pub(super) fn wait(&self, time: Duration) {
        self.home.event.wait_timeout(time);
    }
}

impl Drop for Away {
    fn drop(&mut self) {
        if !self.home.event.is_set() {
            // Fails only if it has ended already.
            let _ = self.stream.shutdown();
        }
    }
}

/// A connection of its own, as far as its reader can tell.
pub(super) fn reading_side(stream: Rc<dyn DuplexStream>) -> Box<Io<dyn Transport>> {
    Box::new(Io::new(Side(stream), Box::default()))
}

/// A shared stream as a transport.
struct Side(Rc<dyn DuplexStream>);

impl Read for Side {
    fn read(&mut self, place: &mut [u8]) -> io::Result<usize> {
        self.0.read(place)
    }
}

impl Write for Side {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Transport for Side {
    fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.0.set_read_timeout(timeout)
    }

    fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.0.set_write_timeout(timeout)
    }

    fn shutdown_write(&self) -> io::Result<()> {
        self.0.shutdown_write()
    }

    fn is_stopping(&self) -> bool {
        self.0.is_stopping()
    }

    fn peer_addr(&self) -> Option<SocketAddr> {
        self.0.peer_addr()
    }
}
