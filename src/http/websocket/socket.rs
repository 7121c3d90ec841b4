//! The handle that users have.

use std::fmt;
use std::net::SocketAddr;
use std::rc::Rc;

use tungstenite::protocol::Role;

use super::deflate::Agreement;
use super::error::WebSocketError;
use super::message::Message;
use super::options::WebSocketOptions;
use super::session::Session;
use crate::http::request::Request;
use crate::http::response::Response;
use crate::http::upgrade::{UpgradeOutcome, Upgraded};

/// A WebSocket (feature `websocket`), of a server or a client. A handle: clones stand for the same connection.
///
/// One greenlet reads, and any number send, at the same time; each message arrives whole. While a greenlet reads, pings are answered, a
/// close is answered, and a peer that is silent is pinged and given up in the end ([`WebSocketOptions::ping_every`]). So keep reading,
/// also where nothing is expected.
///
/// A kill or a timeout costs a reader nothing: the next read goes on. A message whose `send` was interrupted after it had begun is
/// sent whole, with the next one.
///
/// In a destructor run by a panic or a kill nothing waits: what would have to is an error, and the connection stays as it is.
///
/// Dropping the last handle closes the connection without a word; call [`close`](WebSocket::close) before, as the server does when
/// the function given to `upgrade` returns.
///
/// ```
/// use greenloop::http::{Request, Server, WebSocket};
/// # use std::time::Duration;
///
/// let server = Server::bind("127.0.0.1:0")?.start(|request: &mut Request<'_>| {
///     WebSocket::upgrade(request, |socket| {
///         for message in &socket {
///             socket.send(message?)?;
///         }
///         Ok(())
///     })
/// })?;
/// let socket = WebSocket::connect(&format!("ws://{}/", server.local_addr()?))?;
/// socket.send("hello")?;
/// assert_eq!(socket.read()?.text(), Some("hello"));
/// socket.close(1000, "bye")?;
/// # server.stop(Duration::ZERO);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct WebSocket {
    session: Rc<Session>,
    protocol: Option<Rc<str>>,
}

impl WebSocket {
    pub(super) fn new(
        stream: Upgraded,
        role: Role,
        options: &WebSocketOptions,
        protocol: Option<String>,
        agreement: Option<Agreement>,
    ) -> Result<WebSocket, WebSocketError> {
        let session = Rc::new(Session::new(stream, role, &options.limits, agreement)?);
        Ok(WebSocket { session, protocol: protocol.map(Into::into) })
    }

    /// The answer to a request that asks for a WebSocket. `talk` gets it when the answer has left, in the greenlet of the connection; when
    /// it returns the WebSocket is closed in the orderly way.
    ///
    /// A request that asks wrongly is refused: 405 unless it is a GET, 426 if it does not ask for version 13, 400 if its key is malformed,
    /// 403 if it comes from a page of another host (see [`WebSocketOptions::origins`]). `talk` does not run then.
    ///
    /// A server that is stopped ends a read with the code 1001 and gives `talk` the grace period, then kills it. A panic of `talk` is
    /// closed with 1011, as is an error, which is reported unless it is the peer's.
    ///
    /// ```
    /// use greenloop::http::{Request, Server, WebSocket};
    /// # use std::time::Duration;
    ///
    /// let server = Server::bind("127.0.0.1:0")?
    ///     .start(|request: &mut Request<'_>| WebSocket::upgrade(request, |socket| Ok(socket.send("welcome")?)))?;
    /// let socket = WebSocket::connect(&format!("ws://{}/", server.local_addr()?))?;
    /// assert_eq!(socket.read()?.text(), Some("welcome"));
    /// assert_eq!(socket.read().unwrap_err().code(), Some(1000)); // it has returned
    /// # server.stop(Duration::ZERO);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn upgrade<R: UpgradeOutcome>(
        request: &Request<'_>,
        talk: impl FnOnce(WebSocket) -> R + 'static,
    ) -> Response {
        WebSocketOptions::new().upgrade(request, talk)
    }

    /// Connects to a server: `ws://example.org/path`, or `wss://` with the feature `tls`.
    ///
    /// **Switches**: yes. A kill or a timeout meanwhile closes the connection.
    ///
    /// # Errors
    /// That the URL is malformed; those of connecting; if the server refuses or does not speak WebSocket. The text names the URL.
    ///
    /// ```
    /// use greenloop::http::{Request, Server, StatusCode, WebSocket};
    /// # use std::time::Duration;
    ///
    /// let server = Server::bind("127.0.0.1:0")?.start(|_: &mut Request<'_>| StatusCode::NOT_FOUND)?;
    /// let error = WebSocket::connect(&format!("ws://{}/chat", server.local_addr()?)).unwrap_err();
    /// assert!(error.to_string().ends_with("/chat`: the server answers 404 Not Found"));
    /// # server.stop(Duration::ZERO);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn connect(url: &str) -> Result<WebSocket, WebSocketError> {
        WebSocketOptions::new().connect(url)
    }

    /// Waits for the next message. A stream of messages that are there already lets other greenlets run in between.
    ///
    /// **Switches**: when it has to wait. A kill or a timeout takes nothing.
    ///
    /// # Errors
    /// How the connection has ended: [`is_closed`](WebSocketError::is_closed) if in the orderly way. That another greenlet reads.
    ///
    /// ```
    /// use greenloop::http::{Request, Server, WebSocket};
    /// # use std::time::Duration;
    ///
    /// let server = Server::bind("127.0.0.1:0")?.start(|request: &mut Request<'_>| {
    ///     WebSocket::upgrade(request, |socket| Ok(socket.send("the only line")?))
    /// })?;
    /// let socket = WebSocket::connect(&format!("ws://{}/", server.local_addr()?))?;
    /// assert_eq!(socket.read()?.text(), Some("the only line"));
    /// match socket.read() {
    ///     Ok(message) => panic!("{message:?}"),
    ///     Err(end) => assert!(end.is_closed()),
    /// }
    /// # server.stop(Duration::ZERO);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn read(&self) -> Result<Message, WebSocketError> {
        self.session.read()
    }

    /// Sends a message: text from `&str` and `String`, bytes from `&[u8]` and `Vec<u8>`. Those who send at the same time take turns.
    ///
    /// **Switches**: when it has to wait for its turn, or for the peer. If it is interrupted before its turn, nothing was sent.
    ///
    /// # Errors
    /// How the connection has ended.
    ///
    /// ```
    /// use greenloop::http::{Message, Request, Server, WebSocket};
    /// # use std::time::Duration;
    ///
    /// let server = Server::bind("127.0.0.1:0")?.start(|request: &mut Request<'_>| {
    ///     WebSocket::upgrade(request, |socket| {
    ///         socket.send("text")?;
    ///         Ok(socket.send(vec![1, 2, 3])?)
    ///     })
    /// })?;
    /// let socket = WebSocket::connect(&format!("ws://{}/", server.local_addr()?))?;
    /// assert_eq!(socket.read()?, Message::Text("text".to_string()));
    /// assert_eq!(socket.read()?, Message::Binary(vec![1, 2, 3]));
    /// # server.stop(Duration::ZERO);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn send(&self, message: impl Into<Message>) -> Result<(), WebSocketError> {
        self.session.send(message.into())
    }

    /// Sends a ping of up to 125 bytes. Its answer is not reported; that something comes is.
    ///
    /// **Switches**: as [`send`](WebSocket::send).
    ///
    /// # Errors
    /// As for `send`; `InvalidInput` for more bytes.
    ///
    /// ```
    /// use greenloop::http::{Request, Server, WebSocket};
    /// # use std::time::Duration;
    ///
    /// let server = Server::bind("127.0.0.1:0")?.start(|request: &mut Request<'_>| {
    ///     WebSocket::upgrade(request, |socket| Ok(socket.send(socket.read()?)?))
    /// })?;
    /// let socket = WebSocket::connect(&format!("ws://{}/", server.local_addr()?))?;
    /// socket.ping(b"are you there?")?;
    /// socket.send("hello")?;
    /// assert_eq!(socket.read()?.text(), Some("hello")); // nobody sees the ping
    /// assert_eq!(socket.ping(&[0; 126]).unwrap_err().kind(), std::io::ErrorKind::InvalidInput);
    /// # server.stop(Duration::ZERO);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn ping(&self, payload: &[u8]) -> Result<(), WebSocketError> {
        self.session.control(payload, true)
    }

    /// Sends a pong that nobody has asked for, of up to 125 bytes: a sign of life. Pings are answered without this.
    ///
    /// **Switches**: as [`send`](WebSocket::send).
    ///
    /// # Errors
    /// As for `send`; `InvalidInput` for more bytes.
    ///
    /// ```
    /// use greenloop::http::{Request, Server, WebSocket};
    /// # use std::time::Duration;
    ///
    /// let server = Server::bind("127.0.0.1:0")?.start(|request: &mut Request<'_>| {
    ///     WebSocket::upgrade(request, |socket| Ok(socket.send(socket.read()?)?))
    /// })?;
    /// let socket = WebSocket::connect(&format!("ws://{}/", server.local_addr()?))?;
    /// socket.pong(b"")?;
    /// socket.send("hello")?;
    /// assert_eq!(socket.read()?.text(), Some("hello")); // nobody sees the pong
    /// assert_eq!(socket.pong(&[0; 126]).unwrap_err().kind(), std::io::ErrorKind::InvalidInput);
    /// # server.stop(Duration::ZERO);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn pong(&self, payload: &[u8]) -> Result<(), WebSocketError> {
        self.session.control(payload, false)
    }

    /// Closes the connection in the orderly way: sends the code (1000 is the normal one, 1005 sends none) and the reason (up to 123 bytes,
    /// the rest is cut off), and waits until the peer has answered. Messages that come meanwhile are thrown away, unless another
    /// greenlet reads them. Nothing if it has ended already in the orderly way.
    ///
    /// **Switches**: yes, at most for [`WebSocketOptions::close_timeout`].
    ///
    /// # Errors
    /// `InvalidInput` for a code that may not be sent; `TimedOut`; how the connection has ended otherwise.
    ///
    /// ```
    /// use greenloop::http::{Request, Server, WebSocket};
    /// # use std::time::Duration;
    ///
    /// let server = Server::bind("127.0.0.1:0")?
    ///     .start(|request: &mut Request<'_>| WebSocket::upgrade(request, |socket| Ok(drop(socket.read()?))))?;
    /// let socket = WebSocket::connect(&format!("ws://{}/", server.local_addr()?))?;
    /// socket.close(1000, "bye")?;
    /// assert!(socket.send("more").unwrap_err().is_closed());
    /// # server.stop(Duration::ZERO);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn close(&self, code: u16, reason: &str) -> Result<(), WebSocketError> {
        let may_be_sent = matches!(code, 1000..=1003 | 1005 | 1007..=1014 | 3000..=4999);
        if !may_be_sent {
            let text = format!("{code} is no code to close with: 1000 is, and 3000 to 4999 for one's own");
            return Err(WebSocketError::new(std::io::ErrorKind::InvalidInput, text));
        }
        self.session.close(code, reason)
    }

    /// How the connection has ended, if it has. **Switches**: no.
    ///
    /// ```
    /// use greenloop::http::{Request, Server, WebSocket};
    /// # use std::time::Duration;
    ///
    /// let server = Server::bind("127.0.0.1:0")?
    ///     .start(|request: &mut Request<'_>| WebSocket::upgrade(request, |socket| Ok(drop(socket.read()?))))?;
    /// let socket = WebSocket::connect(&format!("ws://{}/", server.local_addr()?))?;
    /// assert!(socket.end().is_none());
    /// socket.close(1000, "")?;
    /// assert!(socket.end().is_some_and(|end| end.is_closed()));
    /// # server.stop(Duration::ZERO);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn end(&self) -> Option<WebSocketError> {
        self.session.end()
    }

    /// The messages until the end. A connection that ends otherwise than in the orderly way gives that error first.
    ///
    /// **Switches**: `next` does, as [`read`](WebSocket::read).
    ///
    /// ```
    /// use greenloop::http::{Request, Server, WebSocket};
    /// # use std::time::Duration;
    ///
    /// let server = Server::bind("127.0.0.1:0")?.start(|request: &mut Request<'_>| {
    ///     WebSocket::upgrade(request, |socket| {
    ///         socket.send("one")?;
    ///         Ok(socket.send("two")?)
    ///     })
    /// })?;
    /// let socket = WebSocket::connect(&format!("ws://{}/", server.local_addr()?))?;
    /// let mut all = Vec::new();
    /// for message in socket.messages() {
    ///     all.push(message?.into_bytes());
    /// }
    /// assert_eq!(all, [b"one", b"two"]);
    /// # server.stop(Duration::ZERO);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn messages(&self) -> Messages<'_> {
        Messages { socket: self, is_over: false }
    }

    /// The subprotocol that both have agreed on.
    ///
    /// ```
    /// use greenloop::http::{Request, Server, WebSocketOptions};
    /// # use std::time::Duration;
    ///
    /// let server = Server::bind("127.0.0.1:0")?.start(|request: &mut Request<'_>| {
    ///     WebSocketOptions::new().protocols(["chat.v2", "chat.v1"]).upgrade(request, |_| ())
    /// })?;
    /// let url = format!("ws://{}/", server.local_addr()?);
    /// assert_eq!(WebSocketOptions::new().protocols(["chat.v1"]).connect(&url)?.protocol(), Some("chat.v1"));
    /// assert_eq!(WebSocketOptions::new().connect(&url)?.protocol(), None);
    /// # server.stop(Duration::ZERO);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn protocol(&self) -> Option<&str> {
        self.protocol.as_deref()
    }

    /// May messages be compressed, because both sides have said so ([`WebSocketOptions::compress`])?
    ///
    /// ```
    /// use greenloop::http::{Request, Server, WebSocketOptions};
    /// # use std::time::Duration;
    ///
    /// let server = Server::bind("127.0.0.1:0")?.start(|request: &mut Request<'_>| {
    ///     WebSocketOptions::new().compress(true).upgrade(request, |_| ())
    /// })?;
    /// let url = format!("ws://{}/", server.local_addr()?);
    /// assert!(WebSocketOptions::new().compress(true).connect(&url)?.is_compressed());
    /// assert!(!WebSocketOptions::new().connect(&url)?.is_compressed());
    /// # server.stop(Duration::ZERO);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn is_compressed(&self) -> bool {
        self.session.agreement.is_some()
    }

    /// The address of the peer, if the transport has such a thing.
    ///
    /// ```
    /// use greenloop::http::{Request, Server, WebSocket};
    /// # use std::time::Duration;
    ///
    /// let server = Server::bind("127.0.0.1:0")?
    ///     .start(|request: &mut Request<'_>| WebSocket::upgrade(request, |_| ()))?;
    /// let socket = WebSocket::connect(&format!("ws://{}/", server.local_addr()?))?;
    /// assert_eq!(socket.peer_addr(), Some(server.local_addr()?));
    /// # server.stop(Duration::ZERO);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.session.stream.peer_addr()
    }
}

impl<'a> IntoIterator for &'a WebSocket {
    type Item = Result<Message, WebSocketError>;
    type IntoIter = Messages<'a>;

    fn into_iter(self) -> Messages<'a> {
        self.messages()
    }
}

impl fmt::Debug for WebSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocket")
            .field("protocol", &self.protocol)
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}

/// The messages of a [`WebSocket`], made by [`WebSocket::messages`].
///
/// ```
/// use greenloop::http::{Request, Server, WebSocket};
/// # use std::time::Duration;
///
/// let server = Server::bind("127.0.0.1:0")?.start(|request: &mut Request<'_>| {
///     WebSocket::upgrade(request, |socket| Ok((1..=3).try_for_each(|n| socket.send(n.to_string()))?))
/// })?;
/// let socket = WebSocket::connect(&format!("ws://{}/", server.local_addr()?))?;
/// let all = socket.messages().collect::<Result<Vec<_>, _>>()?; // until the server closes
/// assert_eq!(all.iter().filter_map(|message| message.text()).collect::<String>(), "123");
/// # server.stop(Duration::ZERO);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Messages<'a> {
    socket: &'a WebSocket,
    is_over: bool,
}

impl Iterator for Messages<'_> {
    type Item = Result<Message, WebSocketError>;

    #[track_caller]
    fn next(&mut self) -> Option<Result<Message, WebSocketError>> {
        if self.is_over {
            return None;
        }
        let message = self.socket.read();
        self.is_over = message.is_err();
        match message {
            Err(end) if end.is_closed() => None,
            message => Some(message),
        }
    }
}
