//! What all connections of a server have in common.

use super::access::Access;
use super::deadline::Stopwatch;
use super::deliver::what_panicked;
use super::head::Head;
use super::limits::Limits;
use crate::report;
use crate::unwind;
use std::fmt;
use std::rc::Rc;

type Report = Rc<dyn Fn(&str)>;
type Log = Rc<dyn Fn(&Access<'_>)>;

/// How connections are served: their limits, and where failures of the handler are reported.
///
/// ```
/// use greenloop::http::{Config, Limits};
///
/// let config = Config::new().limits(Limits::new().max_body(1024)).on_error(|line| eprintln!("web: {line}"));
/// ```
#[derive(Clone, Default)]
pub struct Config {
    pub(crate) limits: Limits,
    on_error: Option<Report>,
    on_access: Option<Log>,
}

impl Config {
    /// The default limits, and reports on the standard error stream.
    ///
    /// ```
    /// use greenloop::http::{Config, Request, serve_connection};
    /// # use greenloop::{http::Transport, net::UnixStream};
    /// # use std::{io::{self, Read, Write}, net::SocketAddr, time::Duration};
    /// # struct Local(UnixStream);
    /// # impl Transport for Local {
    /// #   fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> { self.0.set_read_timeout(timeout) }
    /// #   fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> { self.0.set_write_timeout(timeout) }
    /// #   fn shutdown_write(&self) -> io::Result<()> { self.0.shutdown(std::net::Shutdown::Write) }
    /// #   fn peer_addr(&self) -> Option<SocketAddr> { None }
    /// # }
    /// # impl Read for Local { fn read(&mut self, place: &mut [u8]) -> io::Result<usize> { self.0.read(place) } }
    /// # impl Write for Local {
    /// #     fn write(&mut self, bytes: &[u8]) -> io::Result<usize> { self.0.write(bytes) }
    /// #     fn flush(&mut self) -> io::Result<()> { Ok(()) }
    /// # }
    ///
    /// let (mut client, socket) = UnixStream::pair()?;
    /// client.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
    /// client.shutdown(std::net::Shutdown::Write)?;
    /// serve_connection(Local(socket), &|_: &mut Request<'_>| "hello", &Config::new())?; // `Local` implements `Transport`
    /// let mut answer = String::new();
    /// client.read_to_string(&mut answer)?;
    /// assert!(answer.ends_with("\r\n\r\nhello"));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn new() -> Config {
        Config::default()
    }

    /// Sets the limits.
    ///
    /// ```
    /// use greenloop::http::{Config, Limits, Request, serve_connection};
    /// # use greenloop::{http::Transport, net::UnixStream};
    /// # use std::{io::{self, Read, Write}, net::SocketAddr, time::Duration};
    /// # struct Local(UnixStream);
    /// # impl Transport for Local {
    /// #   fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> { self.0.set_read_timeout(timeout) }
    /// #   fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> { self.0.set_write_timeout(timeout) }
    /// #   fn shutdown_write(&self) -> io::Result<()> { self.0.shutdown(std::net::Shutdown::Write) }
    /// #   fn peer_addr(&self) -> Option<SocketAddr> { None }
    /// # }
    /// # impl Read for Local { fn read(&mut self, place: &mut [u8]) -> io::Result<usize> { self.0.read(place) } }
    /// # impl Write for Local {
    /// #     fn write(&mut self, bytes: &[u8]) -> io::Result<usize> { self.0.write(bytes) }
    /// #     fn flush(&mut self) -> io::Result<()> { Ok(()) }
    /// # }
    ///
    /// let config = Config::new().limits(Limits::new().max_request_line(16));
    /// let (mut client, socket) = UnixStream::pair()?;
    /// client.write_all(b"GET /a/long/way HTTP/1.0\r\n\r\n")?;
    /// client.shutdown(std::net::Shutdown::Write)?;
    /// serve_connection(Local(socket), &|_: &mut Request<'_>| "hello", &config)?; // `Local` implements `Transport`
    /// let mut answer = String::new();
    /// client.read_to_string(&mut answer)?;
    /// assert!(answer.starts_with("HTTP/1.1 414 "));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn limits(mut self, limits: Limits) -> Config {
        self.limits = limits;
        self
    }

    /// Has failures of the handler reported to `report` in place of the standard error stream: one line each,
    /// with the request line first. Mistakes of clients, and clients that go away, are not failures.
    ///
    /// A panic is a failure: `GET /tea HTTP/1.1: the handler panicked: no tea left`. Where it was is said by the panic hook, which has been
    /// called before, and does not know the request; on standard error the two stand one behind the other. Characters that would end the
    /// line, or speak to a terminal, are escaped. If `report` panics itself, the line goes to the standard error stream.
    ///
    /// ```
    /// use greenloop::http::{Config, Request, Response, StatusCode, serve_connection};
    /// use std::{cell::RefCell, rc::Rc};
    /// # use greenloop::{http::Transport, net::UnixStream};
    /// # use std::{io::{self, Read, Write}, net::SocketAddr, time::Duration};
    /// # struct Local(UnixStream);
    /// # impl Transport for Local {
    /// #   fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> { self.0.set_read_timeout(timeout) }
    /// #   fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> { self.0.set_write_timeout(timeout) }
    /// #   fn shutdown_write(&self) -> io::Result<()> { self.0.shutdown(std::net::Shutdown::Write) }
    /// #   fn peer_addr(&self) -> Option<SocketAddr> { None }
    /// # }
    /// # impl Read for Local { fn read(&mut self, place: &mut [u8]) -> io::Result<usize> { self.0.read(place) } }
    /// # impl Write for Local {
    /// #     fn write(&mut self, bytes: &[u8]) -> io::Result<usize> { self.0.write(bytes) }
    /// #     fn flush(&mut self) -> io::Result<()> { Ok(()) }
    /// # }
    ///
    /// let reports = Rc::new(RefCell::new(Vec::new()));
    /// let config = Config::new().on_error({
    ///     let reports = reports.clone();
    ///     move |line| reports.borrow_mut().push(line.to_string())
    /// });
    /// let app = |_: &mut Request<'_>| Response::new(StatusCode::OK).header("No Name", "");
    /// let (mut client, socket) = UnixStream::pair()?;
    /// client.write_all(b"GET / HTTP/1.0\r\n\r\n")?;
    /// client.shutdown(std::net::Shutdown::Write)?;
    /// serve_connection(Local(socket), &app, &config)?; // `Local` implements `Transport`
    /// let mut answer = String::new();
    /// client.read_to_string(&mut answer)?;
    /// assert!(answer.starts_with("HTTP/1.1 500 "));
    /// assert!(reports.borrow()[0].starts_with("GET / HTTP/1.0: malformed response header name"));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn on_error(mut self, report: impl Fn(&str) + 'static) -> Config {
        self.on_error = Some(Rc::new(report));
        self
    }

    /// Has each exchange told to `log` when it has ended: see [`Access`], whose text is a line in the common log format. There is no access
    /// log without it.
    ///
    /// The function runs in the greenlet of the connection, behind the answer and before the next request. Refused requests are told as
    /// well, and exchanges whose greenlet is killed, for which it cannot wait; a connection that ends without having asked is not. If it
    /// panics, the panic hook says so, and the connection goes on.
    ///
    /// ```
    /// use greenloop::http::Config;
    ///
    /// // To the `log` crate: `|access| log::info!("{access}")`.
    /// let config = Config::new().access_log(|access| eprintln!("{access}"));
    /// ```
    pub fn access_log(mut self, log: impl Fn(&Access<'_>) + 'static) -> Config {
        self.on_access = Some(Rc::new(log));
        self
    }

    /// Reports and log as here, or where that is not said as in `other`; with these limits, or the other's.
    pub(crate) fn or(self, limits: Option<Limits>, other: &Config) -> Config {
        Config {
            limits: limits.unwrap_or_else(|| other.limits.clone()),
            on_error: self.on_error.or_else(|| other.on_error.clone()),
            on_access: self.on_access.or_else(|| other.on_access.clone()),
        }
    }

    /// Starts the clock of an exchange, if anybody wants to know.
    pub(crate) fn clock(&self) -> Option<Stopwatch> {
        self.on_access.as_ref().map(|_| Stopwatch::start())
    }

    pub(crate) fn log(&self, access: &Access<'_>) {
        if let Some(log) = &self.on_access
            && let Err(payload) = unwind::catch(|| log(access))
        {
            // The panic hook has said it. The answer, which may not have left yet, has nothing to do with it.
            let _ = what_panicked(payload);
        }
    }

    pub(crate) fn report(&self, head: &Head, what: &str) {
        self.report_line(&self.line(head), what);
    }

    /// The request line, for a report.
    pub(crate) fn line(&self, head: &Head) -> String {
        format!("{} {} {:?}", head.method(), head.target(), head.version())
    }

    pub(crate) fn report_line(&self, line: &str, what: &str) {
        let line = format!("{line}: {}", one_line(what));
        if let Some(on_error) = &self.on_error {
            let Err(payload) = unwind::catch(|| on_error(&line)) else { return };
            // The client has to get its answer all the same, and somebody the report.
            let _ = what_panicked(payload);
        }
        report::line(format_args!("greenloop::http: {line}"));
    }
}

/// The text without characters that would end a line, or speak to a terminal.
#[cold]
fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            line.extend(c.escape_default());
        } else {
            line.push(c);
        }
    }
    line
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config").field("limits", &self.limits).finish_non_exhaustive()
    }
}
