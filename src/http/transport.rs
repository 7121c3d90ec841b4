//! What the connection loop knows of the world: a byte stream with timeouts.

use super::duplex_stream::DuplexStream;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

/// A byte stream that carries one HTTP connection: a socket, a TLS session, a buffer in memory.
///
/// `read` and `write` may park the calling greenlet; a timeout that passes meanwhile surfaces as
/// [`io::ErrorKind::TimedOut`] (or `WouldBlock`, as blocking sockets of the standard library have it).
///
/// ```
/// use greenloop::http::{Config, Request, Transport, serve_connection};
/// use std::cell::RefCell;
/// use std::io::{self, Cursor, Read, Write};
/// use std::rc::Rc;
/// use std::time::Duration;
///
/// struct Memory(Cursor<&'static [u8]>, Rc<RefCell<Vec<u8>>>);
///
/// impl Read for Memory {
///     fn read(&mut self, place: &mut [u8]) -> io::Result<usize> {
///         self.0.read(place)
///     }
/// }
/// impl Write for Memory {
///     fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
///         self.1.borrow_mut().write(bytes)
///     }
///     fn flush(&mut self) -> io::Result<()> {
///         Ok(())
///     }
/// }
/// impl Transport for Memory {
///     fn set_read_timeout(&self, _: Option<Duration>) -> io::Result<()> {
///         Ok(())
///     }
///     fn set_write_timeout(&self, _: Option<Duration>) -> io::Result<()> {
///         Ok(())
///     }
///     fn shutdown_write(&self) -> io::Result<()> {
///         Ok(())
///     }
///     fn peer_addr(&self) -> Option<std::net::SocketAddr> {
///         None
///     }
/// }
///
/// # fn main() -> io::Result<()> {
/// let output = Rc::new(RefCell::new(Vec::new()));
/// let client = Memory(Cursor::new(b"GET / HTTP/1.1\r\n\r\n"), output.clone());
/// serve_connection(client, &|_: &mut Request<'_>| "hello", &Config::new())?;
/// assert!(output.borrow().ends_with(b"\r\n\r\nhello"));
/// # Ok(())
/// # }
/// ```
pub trait Transport: Read + Write {
    /// Bounds each following `read`; `None` waits for ever.
    ///
    /// # Errors
    /// Whatever the transport reports; it ends the connection.
    fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()>;

    /// Bounds each following `write`; `None` waits for ever.
    ///
    /// # Errors
    /// Whatever the transport reports; it ends the connection.
    fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()>;

    /// Tells the peer that nothing more will be sent, while its own bytes can still be read.
    ///
    /// # Errors
    /// Whatever the transport reports; it is taken to mean that the peer is gone.
    fn shutdown_write(&self) -> io::Result<()>;

    /// As `read`, but where that would wait it fails with [`WouldBlock`](io::ErrorKind::WouldBlock). A transport that does not know
    /// how simply waits.
    ///
    /// # Errors
    /// As `read`.
    fn try_read(&mut self, place: &mut [u8]) -> io::Result<usize> {
        self.read(place)
    }

    /// Has the peer got all that was written, and is nothing of its own left unread? A socket that is closed otherwise may be reset,
    /// which costs the peer the end of an answer (RFC 9112, 9.6): the connection then says that it ends and reads on for a while.
    fn is_quiet(&self) -> bool {
        true
    }

    /// Called with true before a body begins whose end only the end of the connection tells (to an HTTP/1.0 client), and with false when
    /// all of it has left. Meanwhile an end of the connection, also one by a drop, must not look like the end of the body: a socket is
    /// to be reset, and TLS to say no goodbye (RFC 9112, 8). A transport that has only one kind of end ignores it.
    fn set_abrupt(&self, is_abrupt: bool) {
        let _ = is_abrupt;
    }

    /// Called with true before the connection waits for a request of which nothing has come yet, and with false when that
    /// wait has ended. A server that stops can end such waits at once.
    fn set_idle(&self, is_idle: bool) {
        let _ = is_idle;
    }

    /// Is the server being stopped? The connection then ends with the request that it is in.
    fn is_stopping(&self) -> bool {
        false
    }

    /// The address of the peer, if the transport has such a thing.
    fn peer_addr(&self) -> Option<SocketAddr>;

    /// The same stream for greenlets that share it, for handlers that take the connection over
    /// ([`Response::upgrade`](super::Response::upgrade)). A clone of a [`TcpStream`](crate::net::TcpStream) or
    /// [`UnixStream`](crate::net::UnixStream) in an `Rc` will do. Unless this is written such handlers are answered with a reported 500.
    ///
    /// # Errors
    /// Why it cannot be shared.
    fn share(&self) -> io::Result<Rc<dyn DuplexStream>> {
        Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "this transport cannot be taken over, as it does not implement `Transport::share`",
        ))
    }

    /// What the TLS handshake has told, if there was one.
    fn tls(&self) -> Option<TlsInfo<'_>> {
        None
    }
}

/// What a TLS handshake has told the server: see [`Request::tls`](super::Request::tls).
///
/// ```
/// use greenloop::http::TlsInfo;
///
/// let tls = TlsInfo::new(Some("example.org"), Some(b"http/1.1"));
/// assert_eq!(tls.server_name(), Some("example.org"));
/// assert_eq!(tls.alpn_protocol(), Some(&b"http/1.1"[..]));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TlsInfo<'a> {
    server_name: Option<&'a str>,
    alpn: Option<&'a [u8]>,
    certificates: &'a [Vec<u8>],
}

impl<'a> TlsInfo<'a> {
    /// For a [`Transport`] of one's own.
    ///
    /// ```
    /// use greenloop::http::TlsInfo;
    ///
    /// // In `Transport::tls` of a stream that knows nothing more.
    /// assert_eq!(TlsInfo::new(None, None).server_name(), None);
    /// ```
    pub fn new(server_name: Option<&'a str>, alpn_protocol: Option<&'a [u8]>) -> TlsInfo<'a> {
        TlsInfo { server_name, alpn: alpn_protocol, certificates: &[] }
    }

    /// The same with the certificates of the client, its own first.
    ///
    /// ```
    /// use greenloop::http::TlsInfo;
    ///
    /// let certificates = [vec![0x30, 0x82]]; // and so on
    /// let tls = TlsInfo::new(None, None).with_peer_certificates(&certificates);
    /// assert_eq!(tls.peer_certificates().len(), 1);
    /// ```
    pub fn with_peer_certificates(self, certificates: &'a [Vec<u8>]) -> TlsInfo<'a> {
        TlsInfo { certificates, ..self }
    }

    /// The name that the client has asked for (SNI), if it has told. The `Host` of a request need not be the same.
    ///
    /// ```
    /// use greenloop::http::TlsInfo;
    ///
    /// assert_eq!(TlsInfo::new(Some("example.org"), None).server_name(), Some("example.org"));
    /// ```
    pub fn server_name(&self) -> Option<&'a str> {
        self.server_name
    }

    /// The application protocol that both have chosen (ALPN), if any.
    ///
    /// ```
    /// use greenloop::http::TlsInfo;
    ///
    /// assert_eq!(TlsInfo::new(None, Some(b"http/1.1")).alpn_protocol(), Some(&b"http/1.1"[..]));
    /// ```
    pub fn alpn_protocol(&self) -> Option<&'a [u8]> {
        self.alpn
    }

    /// What the client has proved itself with, in DER: its own certificate first, then those that lead to somebody whom the server trusts. None
    /// if it was not asked, or has none.
    ///
    /// ```
    /// use greenloop::http::{Request, StatusCode, TestClient};
    ///
    /// let client = TestClient::new(|request: &mut Request<'_>| match request.tls() {
    ///     Some(tls) if !tls.peer_certificates().is_empty() => (StatusCode::OK, "hello, member"),
    ///     _ => (StatusCode::FORBIDDEN, "members only"),
    /// });
    /// assert_eq!(client.get("/").send().status(), StatusCode::FORBIDDEN); // not by TLS
    /// ```
    pub fn peer_certificates(&self) -> &'a [Vec<u8>] {
        self.certificates
    }
}
