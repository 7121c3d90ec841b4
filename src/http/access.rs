//! The access log: a record of each exchange, as a line in the common log format.

use super::date;
use super::head::Head;
use ::http::{Method, StatusCode};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

/// What became of one request. Its text is a line in the common log format, without a line end:
///
/// ```text
/// 192.0.2.1 - - [06/Nov/1994:08:49:37 +0000] "GET /tea?kind=mint HTTP/1.1" 200 12
/// ```
///
/// A dash stands for what there is not: a peer without an address, a request line that could not be read, a status where the client had
/// gone before there was one. No byte that could end the line or the quotation comes from outside.
///
/// ```
/// use greenloop::http::Config;
///
/// let slow = std::time::Duration::from_secs(1);
/// let config = Config::new().access_log(move |access| {
///     let mark = if access.elapsed() > slow { " slow" } else { "" };
///     println!("{access}{mark}");
/// });
/// ```
#[derive(Debug)]
pub struct Access<'a> {
    pub(super) peer: Option<SocketAddr>,
    /// `None` if it was never whole.
    pub(super) head: Option<&'a Head>,
    pub(super) tally: Tally,
    pub(super) elapsed: Duration,
}

/// What was sent in answer to one request.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Tally {
    pub(crate) status: Option<StatusCode>,
    /// Bytes of the body without framing that have left.
    pub(crate) body: u64,
}

impl Access<'_> {
    /// The address of the client.
    ///
    /// ```
    /// use greenloop::http::{Request, Server};
    /// # use greenloop::{event::AsyncResult, net::TcpStream};
    /// # use std::{io::Write, time::Duration};
    ///
    /// let told = AsyncResult::new();
    /// let log = told.clone();
    /// let server = Server::bind("127.0.0.1:0")?
    ///     .access_log(move |access| log.set(access.peer_addr()).unwrap())
    ///     .start(|_: &mut Request<'_>| "hello")?;
    /// let mut client = TcpStream::connect(server.local_addr()?)?;
    /// client.write_all(b"GET /tea?kind=mint HTTP/1.1\r\n\r\n")?;
    /// assert_eq!(told.get(), Some(client.local_addr()?));
    /// # server.stop(Duration::ZERO);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// The method; `None` if the head of the request was malformed, or never came to its end.
    ///
    /// ```
    /// use greenloop::http::{Request, Server, Method};
    /// # use greenloop::{event::AsyncResult, net::TcpStream};
    /// # use std::{io::Write, time::Duration};
    ///
    /// let told = AsyncResult::new();
    /// let log = told.clone();
    /// let server = Server::bind("127.0.0.1:0")?
    ///     .access_log(move |access| log.set(access.method().cloned()).unwrap())
    ///     .start(|_: &mut Request<'_>| "hello")?;
    /// let mut client = TcpStream::connect(server.local_addr()?)?;
    /// client.write_all(b"GET /tea?kind=mint HTTP/1.1\r\n\r\n")?;
    /// assert_eq!(told.get(), Some(Method::GET));
    /// # server.stop(Duration::ZERO);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn method(&self) -> Option<&Method> {
        self.head.map(Head::method)
    }

    /// The target as it was sent; `None` as above.
    ///
    /// ```
    /// use greenloop::http::{Request, Server};
    /// # use greenloop::{event::AsyncResult, net::TcpStream};
    /// # use std::{io::Write, time::Duration};
    ///
    /// let told = AsyncResult::new();
    /// let log = told.clone();
    /// let server = Server::bind("127.0.0.1:0")?
    ///     .access_log(move |access| log.set(access.target().map(str::to_string)).unwrap())
    ///     .start(|_: &mut Request<'_>| "hello")?;
    /// let mut client = TcpStream::connect(server.local_addr()?)?;
    /// client.write_all(b"GET /tea?kind=mint HTTP/1.1\r\n\r\n")?;
    /// assert_eq!(told.get().as_deref(), Some("/tea?kind=mint"));
    /// # server.stop(Duration::ZERO);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn target(&self) -> Option<&str> {
        self.head.map(Head::target)
    }

    /// The status of the answer; `None` if the client had gone before there was one.
    ///
    /// ```
    /// use greenloop::http::{Request, Server, StatusCode};
    /// # use greenloop::{event::AsyncResult, net::TcpStream};
    /// # use std::{io::Write, time::Duration};
    ///
    /// let told = AsyncResult::new();
    /// let log = told.clone();
    /// let server = Server::bind("127.0.0.1:0")?
    ///     .access_log(move |access| log.set(access.status()).unwrap())
    ///     .start(|_: &mut Request<'_>| "hello")?;
    /// let mut client = TcpStream::connect(server.local_addr()?)?;
    /// client.write_all(b"GET /tea?kind=mint HTTP/1.1\r\n\r\n")?;
    /// assert_eq!(told.get(), Some(StatusCode::OK));
    /// # server.stop(Duration::ZERO);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn status(&self) -> Option<StatusCode> {
        self.tally.status
    }

    /// How many bytes of the body were sent, without the head and the framing of chunks: those that the system, or another
    /// [`Transport`](super::Transport), has taken, which the client need not have read. Of an answer that was broken off it is what had left
    /// until then. A short answer that is gathered with those to requests that came together with its own counts as sent.
    ///
    /// ```
    /// use greenloop::http::{Request, Server};
    /// # use greenloop::{event::AsyncResult, net::TcpStream};
    /// # use std::{io::Write, time::Duration};
    ///
    /// let told = AsyncResult::new();
    /// let log = told.clone();
    /// let server = Server::bind("127.0.0.1:0")?
    ///     .access_log(move |access| log.set(access.body_bytes()).unwrap())
    ///     .start(|_: &mut Request<'_>| "hello")?;
    /// let mut client = TcpStream::connect(server.local_addr()?)?;
    /// client.write_all(b"GET /tea?kind=mint HTTP/1.1\r\n\r\n")?;
    /// assert_eq!(told.get(), 5);
    /// # server.stop(Duration::ZERO);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn body_bytes(&self) -> u64 {
        self.tally.body
    }

    /// How long it took, from the end of the request's head to the end of the answer.
    ///
    /// ```
    /// use greenloop::http::{Request, Server};
    /// # use greenloop::{event::AsyncResult, net::TcpStream};
    /// # use std::{io::Write, time::Duration};
    ///
    /// let told = AsyncResult::new();
    /// let log = told.clone();
    /// let server = Server::bind("127.0.0.1:0")?
    ///     .access_log(move |access| log.set(access.elapsed()).unwrap())
    ///     .start(|_: &mut Request<'_>| "hello")?;
    /// let mut client = TcpStream::connect(server.local_addr()?)?;
    /// client.write_all(b"GET /tea?kind=mint HTTP/1.1\r\n\r\n")?;
    /// assert!(told.get() < Duration::from_secs(60));
    /// # server.stop(Duration::ZERO);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn elapsed(&self) -> Duration {
        self.elapsed
    }

    /// A function for [`Config::access_log`](super::Config::access_log) that writes a line for each exchange to `writer`, by one call of
    /// `write_all`. A writer that fails loses the line: the exchange is over, and nobody is left who could act on it.
    ///
    /// ```no_run
    /// use greenloop::http::{Access, Request, Server};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let log = std::fs::File::options().create(true).append(true).open("access.log")?;
    /// let server = Server::bind("127.0.0.1:8080")?.access_log(Access::lines_to(log));
    /// server.serve(|_: &mut Request<'_>| "Hello, World!")
    /// # }
    /// ```
    pub fn lines_to(writer: impl Write + 'static) -> impl Fn(&Access<'_>) + 'static {
        let (writer, lines) = (Cell::new(Some(writer)), RefCell::new(VecDeque::new()));
        move |access| {
            lines.borrow_mut().push_back(format!("{access}\n"));
            // A writer that switches may be busy with the line of another greenlet, which then takes this one as well.
            let Some(idle) = writer.take() else { return };
            let mut busy = Busy { writer: Some(idle), home: &writer };
            while let Some(idle) = &mut busy.writer {
                // One at a time: if a kill ends the greenlet that writes, those of others are still there for the next who does.
                let Some(line) = lines.borrow_mut().pop_front() else { break };
                let _ = idle.write_all(line.as_bytes());
            }
        }
    }
}

/// A writer that comes back for the next lines, also when a kill ends the greenlet that writes.
struct Busy<'a, W> {
    writer: Option<W>,
    home: &'a Cell<Option<W>>,
}

impl<W> Drop for Busy<'_, W> {
    fn drop(&mut self) {
        self.home.set(self.writer.take());
    }
}

impl fmt::Display for Access<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.peer {
            Some(peer) => write!(f, "{}", peer.ip())?,
            None => f.write_str("-")?,
        }
        let mut now = Vec::with_capacity(64);
        date::write_now(&mut now);
        let now = String::from_utf8_lossy(&now["Date: ".len()..]);
        // From `Sun, 06 Nov 1994 08:49:37 GMT`.
        write!(f, " - - [{}/{}/{}:{} +0000] \"", &now[5..7], &now[8..11], &now[12..16], &now[17..25])?;
        match self.head {
            Some(head) => {
                write!(f, "{} ", head.method())?;
                // All of it is visible ASCII.
                for part in head.target().split_inclusive(['"', '\\']) {
                    match part.strip_suffix(['"', '\\']) {
                        Some(before) => write!(f, "{before}\\{}", &part[before.len()..])?,
                        None => f.write_str(part)?,
                    }
                }
                write!(f, " {:?}\" ", head.version())?;
            }
            None => f.write_str("-\" ")?,
        }
        match self.tally.status {
            Some(status) => write!(f, "{} {}", status.as_u16(), self.tally.body),
            None => write!(f, "- {}", self.tally.body),
        }
    }
}
