//! A connection that stops to be one of HTTP: the handler answers 101, or 2xx to a `CONNECT`, and a function of its own gets the stream.
//!
//! ```text
//!   handler ──▶ Response::upgrade(protocol, f)
//!                  │ asked for?  no ──▶ 426
//!                  ▼ yes
//!               rest of the body skipped ──▶ head leaves ──▶ buffers go back ──▶ f(Upgraded) ──▶ goodbye, linger, close
//! ```
//!
//! `f` runs in the greenlet of the connection, so that the server knows it: a stop kills it when the grace is over. The connection ends
//! when `f` does, whoever else still holds the stream.

use super::deadline::Deadline;
use super::duplex_stream::DuplexStream;
use super::encode::CHOSEN_FRAMING;
use super::error::Error;
use super::framing::has_token;
use super::limits::Limits;
use super::request::Request;
use super::response::Response;
use ::http::{Method, StatusCode, Version, header};
use std::cell::RefCell;
use std::fmt;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

/// What takes a connection over, and how it ended.
pub(crate) type TakeOver = Box<dyn FnOnce(Upgraded) -> Result<(), Error>>;

/// How a function that took a connection over may end: with nothing, or with a [`Result`](super::Result) whose error is reported, unless
/// it only says that the peer is gone.
///
/// ```
/// use greenloop::http::{self, Request, Response};
/// use std::io::{Read, Write};
///
/// let app = |_: &mut Request<'_>| {
///     Response::upgrade("shout", |mut stream| {
///         let mut text = String::new();
///         stream.read_to_string(&mut text)?;
///         stream.write_all(text.to_uppercase().as_bytes())?;
///         Ok(())
///     })
/// };
/// let answer = http::exchange(&app, b"GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: shout\r\n\r\nhello");
/// assert!(answer.starts_with(b"HTTP/1.1 101 ") && answer.ends_with(b"\r\n\r\nHELLO"));
/// ```
pub trait UpgradeOutcome {
    /// What is to be reported, if anything. Called by the server.
    ///
    /// # Errors
    /// The failure.
    fn conclude(self) -> Result<(), Error>;
}

impl UpgradeOutcome for () {
    fn conclude(self) -> Result<(), Error> {
        Ok(())
    }
}

// For one error type only, so that a closure with `?` in it needs no annotation.
impl UpgradeOutcome for Result<(), Error> {
    fn conclude(self) -> Result<(), Error> {
        self
    }
}

impl Response {
    /// The answer 101: the connection speaks `protocol` from here on, and `take_over` gets it as a stream of bytes when the head has left.
    ///
    /// It runs in the greenlet of the connection, without time limits (see [`Upgraded::set_read_timeout`]), and what it does may park.
    /// When it returns the connection is closed, whoever else holds the stream. The server's `stop` gives it the grace period, then kills
    /// it. A panic ends the connection; it is reported, and so is an error.
    ///
    /// A client that has not asked for `protocol` (`Connection: upgrade` and `Upgrade: protocol`, in HTTP/1.1) is answered with 426.
    ///
    /// ```
    /// use greenloop::http::{self, Request, Response};
    /// use std::io::{Read, Write};
    ///
    /// let app = |_: &mut Request<'_>| {
    ///     Response::upgrade("echo", |mut stream| {
    ///         let mut bytes = [0; 5];
    ///         stream.read_exact(&mut bytes)?;
    ///         Ok(stream.write_all(&bytes)?)
    ///     })
    /// };
    /// let answer = http::exchange(&app, b"GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\nhello");
    /// assert!(answer.starts_with(b"HTTP/1.1 101 Switching Protocols\r\n") && answer.ends_with(b"\r\n\r\nhello"));
    /// assert!(http::exchange(&app, b"GET / HTTP/1.1\r\n\r\n").starts_with(b"HTTP/1.1 426 "));
    /// ```
    pub fn upgrade<R: UpgradeOutcome>(
        protocol: &str,
        take_over: impl FnOnce(Upgraded) -> R + 'static,
    ) -> Response {
        Response::taken_over(StatusCode::SWITCHING_PROTOCOLS, take_over).header(header::UPGRADE, protocol)
    }

    /// The answer 200 to a `CONNECT`: what follows is a tunnel, and `take_over` gets it. As [`upgrade`](Response::upgrade) otherwise; the
    /// answer to another method is a reported 500.
    ///
    /// ```
    /// use greenloop::http::{self, Request, Response};
    /// use std::io::Write;
    ///
    /// let proxy = |_: &mut Request<'_>| Response::tunnel(|mut stream| Ok(stream.write_all(b"the other end")?));
    /// let answer = http::exchange(&proxy, b"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n");
    /// assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n") && answer.ends_with(b"\r\n\r\nthe other end"));
    /// ```
    pub fn tunnel<R: UpgradeOutcome>(take_over: impl FnOnce(Upgraded) -> R + 'static) -> Response {
        Response::taken_over(StatusCode::OK, take_over)
    }

    fn taken_over<R: UpgradeOutcome>(
        status: StatusCode,
        take_over: impl FnOnce(Upgraded) -> R + 'static,
    ) -> Response {
        let take_over: TakeOver = Box::new(|stream| take_over(stream).conclude());
        let mut response = Response::new(status);
        response.take_over = Some(take_over);
        response
    }

    /// The answer to `request` where this take-over would be wrong: 426, or a failure of the handler.
    pub(crate) fn in_place_of(&mut self, request: &Request<'_>) -> Option<Response> {
        if self.failure.is_some() {
            return None;
        }
        if self.body.fixed().is_none_or(|bytes| !bytes.is_empty()) {
            return Some(Response::failed("a response that gives its connection away has no body"));
        }
        if self.headers().contains_key(header::TRANSFER_ENCODING) {
            // Nor may it say so (RFC 9112, 6.1).
            return Some(Response::failed(CHOSEN_FRAMING));
        }
        match (self.status, request.method()) {
            (StatusCode::SWITCHING_PROTOCOLS, _) => {
                let protocol = self.headers().get(header::UPGRADE);
                match protocol {
                    Some(protocol) if request.asks_for(protocol.as_bytes()) => None,
                    Some(protocol) => {
                        let text = format!(
                            "this resource speaks {} only\n",
                            protocol.to_str().unwrap_or("another protocol")
                        );
                        let mut response = Response::new(StatusCode::UPGRADE_REQUIRED).body(text);
                        response.headers_mut().insert(header::UPGRADE, protocol.clone());
                        Some(response)
                    }
                    None => {
                        Some(Response::failed("a 101 response must name its protocol in an Upgrade header"))
                    }
                }
            }
            (status, &Method::CONNECT) if status.is_success() => {
                self.headers_mut().remove(header::CONTENT_LENGTH);
                None
            }
            (status, method) => Some(Response::failed(format!(
                "a {} response to {method} cannot give its connection away: 101 can, and 2xx to CONNECT",
                status.as_u16()
            ))),
        }
    }
}

impl Request<'_> {
    /// Has the client asked, in the way that HTTP/1.1 prescribes, to go on with `protocol`?
    ///
    /// ```
    /// use greenloop::http::{self, Request};
    ///
    /// let app = |request: &mut Request<'_>| if request.asks_for(b"websocket") { "yes" } else { "no" };
    /// let answer = http::exchange(&app, b"GET / HTTP/1.1\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\n\r\n");
    /// assert!(answer.ends_with(b"\r\n\r\nyes"));
    /// ```
    pub fn asks_for(&self, protocol: &[u8]) -> bool {
        self.version() == Version::HTTP_11
            && self.header_all("connection").any(|value| has_token(value, b"upgrade"))
            && self.header_all("upgrade").any(|value| has_token(value, protocol))
    }
}

/// A connection that a handler has taken over, see [`Response::upgrade`].
///
/// `Read` and `Write` for itself and for `&Upgraded`, so that one greenlet can read while another writes. What the client has sent behind
/// its request comes first.
///
/// **Switches**: reading and writing do, when they have to wait.
///
/// ```
/// use greenloop::http::{self, Request, Response};
/// use std::io::{BufRead, BufReader, Write};
///
/// let app = |_: &mut Request<'_>| {
///     Response::upgrade("echo", |stream| {
///         for line in BufReader::new(&stream).lines() {
///             writeln!(&stream, "{} again", line?)?;
///         }
///         Ok(())
///     })
/// };
/// let answer = http::exchange(&app, b"GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\none\ntwo\n");
/// assert!(answer.ends_with(b"\r\n\r\none again\ntwo again\n"));
/// ```
pub struct Upgraded {
    stream: Rc<dyn DuplexStream>,
    /// What was read with the request.
    front: RefCell<io::Cursor<Vec<u8>>>,
}

impl Upgraded {
    pub(crate) fn new(stream: Rc<dyn DuplexStream>, front: Vec<u8>) -> Upgraded {
        Upgraded { stream, front: RefCell::new(io::Cursor::new(front)) }
    }

    #[cfg(feature = "websocket")]
    pub(crate) fn stream(&self) -> &dyn DuplexStream {
        &*self.stream
    }

    /// Has `bytes` read before what the stream gives.
    #[cfg(feature = "websocket")]
    pub(crate) fn put_in_front(&self, bytes: Vec<u8>) {
        *self.front.borrow_mut() = io::Cursor::new(bytes);
    }

    /// Bounds each following read; `None`, as it is at the beginning, waits for ever. A limit of zero is one of a millisecond.
    ///
    /// # Errors
    /// Whatever the transport reports.
    ///
    /// ```
    /// use greenloop::http::{Request, Response, Server};
    /// # use greenloop::net::TcpStream;
    /// # use std::time::Duration;
    /// use std::io::{Read, Write};
    ///
    /// let server = Server::bind("127.0.0.1:0")?.start(|_: &mut Request<'_>| {
    ///     Response::upgrade("echo", |mut stream| {
    ///         stream.set_read_timeout(Some(Duration::from_millis(2)))?;
    ///         let error = stream.read(&mut [0; 8]).unwrap_err();
    ///         Ok(write!(stream, "{:?}", error.kind())?)
    ///     })
    /// })?;
    /// let mut client = TcpStream::connect(server.local_addr()?)?;
    /// client.write_all(b"GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n")?;
    /// let mut answer = String::new();
    /// client.read_to_string(&mut answer)?;
    /// assert!(answer.ends_with("\r\n\r\nTimedOut"));
    /// # server.stop(Duration::ZERO);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_read_timeout(&self, limit: Option<Duration>) -> io::Result<()> {
        self.stream.set_read_timeout(limit.map(at_least_something))
    }

    /// Bounds each following write; `None`, as it is at the beginning, waits for ever. A limit of zero is one of a millisecond.
    ///
    /// # Errors
    /// Whatever the transport reports.
    ///
    /// ```
    /// use greenloop::http::{Request, Response, Server};
    /// # use greenloop::net::TcpStream;
    /// # use greenloop::event::AsyncResult;
    /// # use std::time::Duration;
    /// use std::io::{ErrorKind, Write};
    ///
    /// let outcome = AsyncResult::new();
    /// let server = Server::bind("127.0.0.1:0")?.start({
    ///     let outcome = outcome.clone();
    ///     move |_: &mut Request<'_>| {
    ///         let outcome = outcome.clone();
    ///         Response::upgrade("flood", move |mut stream| {
    ///             stream.set_write_timeout(Some(Duration::from_millis(2)))?;
    ///             let error = (0..).find_map(|_| stream.write_all(&[0; 1 << 16]).err()).unwrap();
    ///             outcome.set(error.kind()).unwrap();
    ///             Ok(())
    ///         })
    ///     }
    /// })?;
    /// let mut client = TcpStream::connect(server.local_addr()?)?; // which does not read
    /// client.write_all(b"GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: flood\r\n\r\n")?;
    /// assert_eq!(outcome.get(), ErrorKind::TimedOut);
    /// # server.stop(Duration::ZERO);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn set_write_timeout(&self, limit: Option<Duration>) -> io::Result<()> {
        self.stream.set_write_timeout(limit.map(at_least_something))
    }

    /// Tells the peer that nothing more will be sent. What it sends can still be read. **Switches**: over TLS, to say so.
    ///
    /// # Errors
    /// Whatever the transport reports.
    ///
    /// ```
    /// use greenloop::http::{Request, Response, Server};
    /// # use greenloop::net::TcpStream;
    /// # use std::time::Duration;
    /// use std::io::{Read, Write};
    ///
    /// let server = Server::bind("127.0.0.1:0")?.start(|_: &mut Request<'_>| {
    ///     Response::upgrade("ask", |mut stream| {
    ///         stream.write_all(b"your name?")?;
    ///         stream.shutdown_write()?; // the client sees the end, and can still answer
    ///         let mut name = String::new();
    ///         stream.read_to_string(&mut name)?;
    ///         assert_eq!(name, "Alice");
    ///         Ok(())
    ///     })
    /// })?;
    /// let mut client = TcpStream::connect(server.local_addr()?)?;
    /// client.write_all(b"GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: ask\r\n\r\n")?;
    /// let mut question = String::new();
    /// client.read_to_string(&mut question)?;
    /// assert!(question.ends_with("\r\n\r\nyour name?"));
    /// client.write_all(b"Alice")?;
    /// # drop(client);
    /// # server.stop(Duration::from_secs(5));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn shutdown_write(&self) -> io::Result<()> {
        self.stream.shutdown_write()
    }

    /// Ends the connection in both directions; greenlets that wait for it are woken. **Switches**: no.
    ///
    /// # Errors
    /// That it has ended already.
    ///
    /// ```
    /// use greenloop::http::{Request, Response, Server};
    /// # use greenloop::net::TcpStream;
    /// # use greenloop::event::AsyncResult;
    /// # use std::time::Duration;
    /// use std::io::{Read, Write};
    /// use std::rc::Rc;
    ///
    /// let outcome = AsyncResult::new();
    /// let server = Server::bind("127.0.0.1:0")?.start({
    ///     let outcome = outcome.clone();
    ///     move |_: &mut Request<'_>| {
    ///         let outcome = outcome.clone();
    ///         Response::upgrade("quiet", move |stream| {
    ///             let stream = Rc::new(stream);
    ///             let reader = greenloop::spawn({
    ///                 let stream = stream.clone();
    ///                 move || (&*stream).read(&mut [0; 8])
    ///             });
    ///             greenloop::yield_now(); // it waits for the client now
    ///             stream.shutdown()?;
    ///             outcome.set(reader.join().unwrap()?).unwrap();
    ///             Ok(())
    ///         })
    ///     }
    /// })?;
    /// let mut client = TcpStream::connect(server.local_addr()?)?;
    /// client.write_all(b"GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: quiet\r\n\r\n")?;
    /// assert_eq!(outcome.get(), 0); // the end
    /// # server.stop(Duration::ZERO);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn shutdown(&self) -> io::Result<()> {
        self.stream.shutdown()
    }

    /// The address of the peer, if the transport has such a thing.
    ///
    /// ```
    /// use greenloop::http::{Request, Response, Server};
    /// # use greenloop::net::TcpStream;
    /// # use std::time::Duration;
    /// use std::io::{Read, Write};
    ///
    /// let server = Server::bind("127.0.0.1:0")?.start(|_: &mut Request<'_>| {
    ///     Response::upgrade("whoami", |mut stream| {
    ///         let address = stream.peer_addr().expect("this is TCP");
    ///         Ok(write!(stream, "{address}")?)
    ///     })
    /// })?;
    /// let mut client = TcpStream::connect(server.local_addr()?)?;
    /// client.write_all(b"GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: whoami\r\n\r\n")?;
    /// let mut answer = String::new();
    /// client.read_to_string(&mut answer)?;
    /// assert!(answer.ends_with(&client.local_addr()?.to_string()));
    /// # server.stop(Duration::ZERO);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.stream.peer_addr()
    }
}

fn at_least_something(limit: Duration) -> Duration {
    limit.max(Duration::from_millis(1))
}

impl Read for &Upgraded {
    #[track_caller]
    fn read(&mut self, place: &mut [u8]) -> io::Result<usize> {
        let count = self.front.borrow_mut().read(place)?;
        if count > 0 || place.is_empty() {
            return Ok(count);
        }
        if !self.front.borrow().get_ref().is_empty() {
            *self.front.borrow_mut() = io::Cursor::default();
        }
        self.stream.read(place)
    }
}

impl Write for &Upgraded {
    #[track_caller]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes)
    }

    #[track_caller]
    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

impl Read for Upgraded {
    #[track_caller]
    fn read(&mut self, place: &mut [u8]) -> io::Result<usize> {
        (&*self).read(place)
    }
}

impl Write for Upgraded {
    #[track_caller]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self).write(bytes)
    }

    #[track_caller]
    fn flush(&mut self) -> io::Result<()> {
        (&*self).flush()
    }
}

#[cfg(feature = "tls")]
impl crate::tls::SharedStream for Upgraded {
    type Side<'a> = &'a Upgraded;

    fn side(&self) -> &Upgraded {
        self
    }
}

impl fmt::Debug for Upgraded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upgraded").field("peer", &self.peer_addr()).finish_non_exhaustive()
    }
}

/// A connection whose head has left, on its way to the function that takes it.
pub(crate) struct Taken {
    pub(crate) stream: Rc<dyn DuplexStream>,
    pub(crate) take_over: TakeOver,
}

/// However the function ends, the connection does.
struct Ending(Rc<dyn DuplexStream>);

impl Drop for Ending {
    fn drop(&mut self) {
        // Fails only if it has ended already.
        let _ = self.0.shutdown();
    }
}

impl Taken {
    /// Runs the function, then closes the connection. An error is one to report.
    pub(crate) fn run(self, front: Vec<u8>, limits: &Limits) -> Result<(), Error> {
        let Taken { stream, take_over } = self;
        let ending = Ending(stream.clone());
        for set in [DuplexStream::set_read_timeout, DuplexStream::set_write_timeout] {
            set(&*stream, None)?;
        }
        let outcome = take_over(Upgraded::new(stream, front));
        linger(&*ending.0, limits);
        outcome
    }
}

/// No more is read on from a peer that goes on sending: unlike a client with a request it reads meanwhile, and sees the end when it comes.
const MAX_LINGER: usize = 64 * 1024;

/// Says goodbye and reads for a moment, so that the peer sees what was said and not a reset.
fn linger(stream: &dyn DuplexStream, limits: &Limits) {
    let deadline = Deadline::after(Some(limits.linger_timeout));
    // Over TLS that waits for whoever is writing, and for a peer that takes nothing.
    if !matches!(crate::timeout(limits.linger_timeout, || stream.shutdown_write()), Ok(Ok(()))) {
        return;
    }
    let (mut seen, mut place) = (0, [0; 1024]);
    while seen < limits.max_linger.min(MAX_LINGER) {
        let Ok(left) = deadline.left() else { return };
        if stream.set_read_timeout(left.map(at_least_something)).is_err() {
            return;
        }
        match stream.read(&mut place) {
            Ok(0) | Err(_) => return,
            Ok(count) => seen += count,
        }
    }
}
