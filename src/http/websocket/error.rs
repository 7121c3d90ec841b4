//! How a WebSocket ends.

use std::fmt;
use std::io;

use super::message::Close;
use crate::http::error::is_peer_gone;

/// Why a message could not be read or sent, or a connection not be made. Apart from misuse, which says so, it is the end of the connection:
/// every later call says the same.
///
/// It becomes an [`io::Error`] by `?`.
///
/// ```
/// use greenloop::http::WebSocket;
///
/// let error = WebSocket::connect("http://localhost/").unwrap_err();
/// assert!(error.to_string().contains("ws://") && !error.is_closed());
/// ```
#[derive(Debug, Clone)]
pub struct WebSocketError(pub(super) Kind);

#[derive(Debug, Clone)]
pub(super) enum Kind {
    Closed(Close),
    /// The peer did wrong, and was told so with this code.
    Fault(u16, String),
    Io(io::ErrorKind, String),
}

impl WebSocketError {
    pub(super) fn closed(code: u16, reason: &str) -> WebSocketError {
        WebSocketError(Kind::Closed(Close { code, reason: reason.to_string() }))
    }

    pub(super) fn new(kind: io::ErrorKind, text: impl Into<String>) -> WebSocketError {
        WebSocketError(Kind::Io(kind, text.into()))
    }

    /// Did one of the sides close the connection in the orderly way?
    ///
    /// ```
    /// use greenloop::http::{Request, Server, WebSocket};
    /// # use std::time::Duration;
    ///
    /// let server = Server::bind("127.0.0.1:0")?.start(|request: &mut Request<'_>| WebSocket::upgrade(request, |_| ()))?;
    /// let socket = WebSocket::connect(&format!("ws://{}/", server.local_addr()?))?;
    /// let end = socket.read().unwrap_err(); // the server had nothing to say
    /// assert!(end.is_closed());
    /// # server.stop(Duration::ZERO);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn is_closed(&self) -> bool {
        matches!(self.0, Kind::Closed(_))
    }

    /// What was said when the connection was closed.
    ///
    /// ```
    /// use greenloop::http::{Request, Server, WebSocket};
    /// # use std::time::Duration;
    ///
    /// let server = Server::bind("127.0.0.1:0")?
    ///     .start(|request: &mut Request<'_>| WebSocket::upgrade(request, |socket| Ok(socket.close(4000, "full")?)))?;
    /// let socket = WebSocket::connect(&format!("ws://{}/", server.local_addr()?))?;
    /// let end = socket.read().unwrap_err();
    /// assert_eq!(end.close().map(|close| close.reason.as_str()), Some("full"));
    /// # server.stop(Duration::ZERO);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn close(&self) -> Option<&Close> {
        match &self.0 {
            Kind::Closed(close) => Some(close),
            _ => None,
        }
    }

    /// The code with which the connection was closed, also because the peer has broken the protocol: 1002 for malformed frames, 1007 for
    /// text that is not UTF-8, 1009 for a message beyond the limit. None if it just broke.
    ///
    /// ```
    /// use greenloop::http::{Request, Server, WebSocket, WebSocketOptions};
    /// # use std::time::Duration;
    ///
    /// let server = Server::bind("127.0.0.1:0")?.start(|request: &mut Request<'_>| {
    ///     WebSocketOptions::new().max_message(4).upgrade(request, |socket| Ok(drop(socket.read()?)))
    /// })?;
    /// let socket = WebSocket::connect(&format!("ws://{}/", server.local_addr()?))?;
    /// socket.send("too long")?;
    /// assert_eq!(socket.read().unwrap_err().code(), Some(1009));
    /// # server.stop(Duration::ZERO);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn code(&self) -> Option<u16> {
        match &self.0 {
            Kind::Closed(close) => Some(close.code),
            Kind::Fault(code, _) => Some(*code),
            Kind::Io(..) => None,
        }
    }

    /// Does it only say that the peer is gone, or has not kept to the protocol? A refused connection and misuse are something else.
    pub(crate) fn is_peer_gone(&self) -> bool {
        match self.0 {
            Kind::Closed(_) | Kind::Fault(..) => true,
            Kind::Io(kind, _) => is_peer_gone(kind),
        }
    }

    /// The kind of failure in the words of [`std::io`].
    ///
    /// ```
    /// use greenloop::http::WebSocket;
    /// use std::io::ErrorKind;
    ///
    /// let error = WebSocket::connect("not a URL").unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::InvalidInput);
    /// ```
    pub fn kind(&self) -> io::ErrorKind {
        match &self.0 {
            Kind::Closed(_) => io::ErrorKind::ConnectionAborted,
            Kind::Fault(..) => io::ErrorKind::InvalidData,
            Kind::Io(kind, _) => *kind,
        }
    }
}

impl fmt::Display for WebSocketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Closed(close) => write!(f, "the WebSocket was closed: {close}"),
            Kind::Fault(code, text) => {
                write!(f, "the peer has broken the WebSocket protocol: {text} ({code})")
            }
            Kind::Io(_, text) => f.write_str(text),
        }
    }
}

impl std::error::Error for WebSocketError {}

impl From<io::Error> for WebSocketError {
    fn from(error: io::Error) -> WebSocketError {
        WebSocketError::new(error.kind(), error.to_string())
    }
}

impl From<WebSocketError> for io::Error {
    fn from(error: WebSocketError) -> io::Error {
        io::Error::new(error.kind(), error)
    }
}
