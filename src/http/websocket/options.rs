//! What a WebSocket may cost, and with whom it talks.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use ::http::{HeaderName, HeaderValue};

/// How a WebSocket is set up: limits, times, subprotocols, origins. Every limit has a safe default; a setter gives the options back.
///
/// ```no_run
/// use greenloop::http::{Request, Server, WebSocket, WebSocketOptions};
/// use std::time::Duration;
///
/// let options = WebSocketOptions::new().max_message(64 * 1024).ping_every(Duration::from_secs(10)).protocols(["chat"]);
/// Server::bind("127.0.0.1:8080")?.serve(move |request: &mut Request<'_>| {
///     options.clone().upgrade(request, |socket: WebSocket| {
///         for message in &socket {
///             socket.send(message?)?;
///         }
///         Ok(())
///     })
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct WebSocketOptions {
    pub(super) limits: Limits,
    pub(super) protocols: Vec<String>,
    pub(super) origins: Origins,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    #[cfg(feature = "tls")]
    pub(super) tls: Option<crate::tls::ClientConfig>,
}

#[derive(Debug, Clone)]
pub(super) struct Limits {
    pub(super) max_message: usize,
    pub(super) max_frame: usize,
    pub(super) ping_every: Option<Duration>,
    pub(super) pong_timeout: Option<Duration>,
    pub(super) write_timeout: Option<Duration>,
    pub(super) close_timeout: Duration,
    pub(super) connect_timeout: Duration,
    pub(super) compress: bool,
    pub(super) compress_from: usize,
}

const HALF_A_MINUTE: Duration = Duration::from_secs(30);

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            max_message: 1 << 20,
            max_frame: usize::MAX,
            ping_every: Some(HALF_A_MINUTE),
            pong_timeout: Some(HALF_A_MINUTE),
            write_timeout: Some(HALF_A_MINUTE),
            close_timeout: Duration::from_secs(5),
            connect_timeout: HALF_A_MINUTE,
            compress: false,
            compress_from: 128,
        }
    }
}

/// Whose pages may connect.
#[derive(Clone, Default)]
pub(super) enum Origins {
    /// Those that come from the same host.
    #[default]
    Own,
    Chosen(Rc<dyn Fn(&str) -> bool>),
}

impl WebSocketOptions {
    /// The defaults.
    ///
    /// ```
    /// use greenloop::http::{Request, Server, WebSocket, WebSocketOptions};
    /// # use std::time::Duration;
    ///
    /// let server = Server::bind("127.0.0.1:0")?.start(|request: &mut Request<'_>| {
    ///     WebSocket::upgrade(request, |socket| Ok(socket.send(socket.read()?)?))
    /// })?;
    /// let socket = WebSocketOptions::new().connect(&format!("ws://{}/", server.local_addr()?))?;
    /// socket.send("as WebSocket::connect")?;
    /// assert_eq!(socket.read()?.text(), Some("as WebSocket::connect"));
    /// # server.stop(Duration::ZERO);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn new() -> WebSocketOptions {
        WebSocketOptions::default()
    }

    /// The largest message that is received (1 MiB), all its frames together. A larger one closes the connection with 1009.
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
    pub fn max_message(mut self, bytes: usize) -> WebSocketOptions {
        self.limits.max_message = bytes;
        self
    }

    /// The largest frame that is received, at least 125 bytes; as large as a message unless this is called.
    ///
    /// ```
    /// use greenloop::http::{Request, Server, WebSocket, WebSocketOptions};
    /// # use std::time::Duration;
    ///
    /// let server = Server::bind("127.0.0.1:0")?.start(|request: &mut Request<'_>| {
    ///     WebSocketOptions::new().max_frame(1024).upgrade(request, |socket| Ok(drop(socket.read()?)))
    /// })?;
    /// let socket = WebSocket::connect(&format!("ws://{}/", server.local_addr()?))?;
    /// socket.send(vec![0; 2000])?; // one frame
    /// assert_eq!(socket.read().unwrap_err().code(), Some(1009));
    /// # server.stop(Duration::ZERO);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn max_frame(mut self, bytes: usize) -> WebSocketOptions {
        self.limits.max_frame = bytes;
        self
    }

    /// Messages may be compressed, if the peer can do it as well: permessage-deflate, RFC 7692. Off unless this is called. A server accepts it
    /// from clients that offer it, as all browsers do; a client offers it. The limits hold for messages as they were before.
    ///
    /// It makes texts a fraction of what they were, and costs time, in which the hub does nothing else: some 20 us for a JSON text of 1 KiB,
    /// 300 us for one of 64 KiB, most of it where they are sent. The memory that it takes, up to 350 KiB,
    /// belongs to a message while it is sent or received, not to a connection: no side remembers a message when it compresses the next.
    ///
    /// Leave it off where a secret and a text that others have chosen stand in one message, of a connection that others can watch: how well it
    /// was compressed tells them what of the two is alike, whatever encrypts it (the attacks CRIME and BREACH).
    ///
    /// ```
    /// use greenloop::http::{Request, Server, WebSocketOptions};
    /// # use std::time::Duration;
    ///
    /// let server = Server::bind("127.0.0.1:0")?.start(|request: &mut Request<'_>| {
    ///     WebSocketOptions::new().compress(true).upgrade(request, |socket| Ok(socket.send(socket.read()?)?))
    /// })?;
    /// let socket = WebSocketOptions::new().compress(true).connect(&format!("ws://{}/", server.local_addr()?))?;
    /// socket.send("again and ".repeat(1000))?; // 10 kB, of which some dozens of bytes are sent
    /// assert_eq!(socket.read()?.bytes().len(), 10_000);
    /// # server.stop(Duration::ZERO);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn compress(mut self, may_be: bool) -> WebSocketOptions {
        self.limits.compress = may_be;
        self
    }

    /// The shortest message that is sent compressed, if [`compress`](WebSocketOptions::compress) is on: 128 bytes. Shorter ones hardly become
    /// smaller. One that does not become smaller is sent as it is; of a long one the first 64 KiB decide.
    ///
    /// ```
    /// use greenloop::http::{Request, Server, WebSocketOptions};
    /// # use std::time::Duration;
    ///
    /// let server = Server::bind("127.0.0.1:0")?.start(|request: &mut Request<'_>| {
    ///     let options = WebSocketOptions::new().compress(true).compress_from(usize::MAX); // receives them, and sends none
    ///     options.upgrade(request, |socket| Ok(socket.send(socket.read()?)?))
    /// })?;
    /// let options = WebSocketOptions::new().compress(true).compress_from(0);
    /// let socket = options.connect(&format!("ws://{}/", server.local_addr()?))?;
    /// socket.send("short")?;
    /// assert_eq!(socket.read()?.text(), Some("short"));
    /// # server.stop(Duration::ZERO);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn compress_from(mut self, bytes: usize) -> WebSocketOptions {
        self.limits.compress_from = bytes;
        self
    }

    /// After how much silence the peer is pinged, while somebody reads (30 s). `None` waits for ever.
    ///
    /// ```
    /// use greenloop::http::{Request, Server, WebSocket, WebSocketOptions};
    /// use std::time::Duration;
    ///
    /// let server = Server::bind("127.0.0.1:0")?.start(|request: &mut Request<'_>| {
    ///     WebSocket::upgrade(request, |socket| Ok(socket.send(socket.read()?)?))
    /// })?;
    /// let options = WebSocketOptions::new().ping_every(Duration::from_millis(1));
    /// let socket = options.connect(&format!("ws://{}/", server.local_addr()?))?;
    /// let reader = greenloop::spawn({
    ///     let socket = socket.clone();
    ///     move || socket.read()
    /// });
    /// greenloop::sleep(Duration::from_millis(5)); // the server answers the pings meanwhile
    /// socket.send("hello")?;
    /// assert_eq!(reader.join().unwrap()?.text(), Some("hello"));
    /// # server.stop(Duration::ZERO);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn ping_every(mut self, silence: impl Into<Option<Duration>>) -> WebSocketOptions {
        self.limits.ping_every = silence.into();
        self
    }

    /// How long the peer may stay silent after that (30 s). Then the connection is broken, and the read fails with `TimedOut`.
    ///
    /// ```
    /// use greenloop::http::{Request, Server, WebSocket, WebSocketOptions};
    /// use std::{io::ErrorKind, time::Duration};
    ///
    /// let done = greenloop::event::Event::new();
    /// let end = done.clone();
    /// let server = Server::bind("127.0.0.1:0")?.start(move |request: &mut Request<'_>| {
    ///     let end = end.clone();
    ///     WebSocket::upgrade(request, move |_| drop(end.wait())) // it does not read, so it answers no ping
    /// })?;
    /// let url = format!("ws://{}/", server.local_addr()?);
    /// let short = Duration::from_millis(2);
    /// let socket = WebSocketOptions::new().ping_every(short).pong_timeout(short).connect(&url)?;
    /// assert_eq!(socket.read().unwrap_err().kind(), ErrorKind::TimedOut);
    /// # done.set();
    /// # server.stop(Duration::ZERO);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn pong_timeout(mut self, limit: impl Into<Option<Duration>>) -> WebSocketOptions {
        self.limits.pong_timeout = limit.into();
        self
    }

    /// How long a write may wait for a peer that does not read (30 s). Then the connection is broken.
    ///
    /// ```
    /// use greenloop::http::{Request, Server, WebSocket, WebSocketOptions};
    /// use std::{io::ErrorKind, time::Duration};
    ///
    /// let done = greenloop::event::Event::new();
    /// let end = done.clone();
    /// let server = Server::bind("127.0.0.1:0")?.start(move |request: &mut Request<'_>| {
    ///     let end = end.clone();
    ///     WebSocket::upgrade(request, move |_| drop(end.wait())) // it does not read, so it answers no ping
    /// })?;
    /// let url = format!("ws://{}/", server.local_addr()?);
    /// let socket = WebSocketOptions::new().write_timeout(Duration::from_millis(2)).connect(&url)?;
    /// let error = (0..).find_map(|_| socket.send(vec![0; 1 << 20]).err()).unwrap();
    /// assert_eq!(error.kind(), ErrorKind::TimedOut);
    /// # done.set();
    /// # server.stop(Duration::ZERO);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn write_timeout(mut self, limit: impl Into<Option<Duration>>) -> WebSocketOptions {
        self.limits.write_timeout = limit.into();
        self
    }

    /// How long closing may take, until the peer has answered (5 s).
    ///
    /// ```
    /// use greenloop::http::{Request, Server, WebSocket, WebSocketOptions};
    /// use std::{io::ErrorKind, time::Duration};
    ///
    /// let done = greenloop::event::Event::new();
    /// let end = done.clone();
    /// let server = Server::bind("127.0.0.1:0")?.start(move |request: &mut Request<'_>| {
    ///     let end = end.clone();
    ///     WebSocket::upgrade(request, move |_| drop(end.wait())) // it does not read, so it answers no ping
    /// })?;
    /// let url = format!("ws://{}/", server.local_addr()?);
    /// let socket = WebSocketOptions::new().close_timeout(Duration::from_millis(2)).connect(&url)?;
    /// assert_eq!(socket.close(1000, "").unwrap_err().kind(), ErrorKind::TimedOut);
    /// # done.set();
    /// # server.stop(Duration::ZERO);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn close_timeout(mut self, limit: Duration) -> WebSocketOptions {
        self.limits.close_timeout = limit;
        self
    }

    /// How long a client may take to connect, all together (30 s).
    ///
    /// ```
    /// use greenloop::{http::WebSocketOptions, net::TcpListener};
    /// use std::{io::ErrorKind, time::Duration};
    ///
    /// let listener = TcpListener::bind("127.0.0.1:0")?; // nobody accepts, nobody answers
    /// let options = WebSocketOptions::new().connect_timeout(Duration::from_millis(2));
    /// let error = options.connect(&format!("ws://{}/", listener.local_addr()?)).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::TimedOut);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn connect_timeout(mut self, limit: Duration) -> WebSocketOptions {
        self.limits.connect_timeout = limit;
        self
    }

    /// The subprotocols that are spoken, the best first. A server takes the first that the client has asked for, if any; a
    /// client asks for all of them.
    ///
    /// ```
    /// use greenloop::http::{Request, Server, WebSocketOptions};
    /// # use std::time::Duration;
    ///
    /// let server = Server::bind("127.0.0.1:0")?.start(|request: &mut Request<'_>| {
    ///     WebSocketOptions::new().protocols(["chat.v2", "chat.v1"]).upgrade(request, |_| ())
    /// })?;
    /// let options = WebSocketOptions::new().protocols(["chat.v1", "chat.v2"]);
    /// let socket = options.connect(&format!("ws://{}/", server.local_addr()?))?;
    /// assert_eq!(socket.protocol(), Some("chat.v2")); // the server prefers it
    /// # server.stop(Duration::ZERO);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn protocols<P: Into<String>>(mut self, protocols: impl IntoIterator<Item = P>) -> WebSocketOptions {
        self.protocols = protocols.into_iter().map(Into::into).collect();
        self
    }

    /// Whose pages may connect: `allowed` is given the `Origin` that a browser sends, `https://example.org` for example. Others get 403.
    ///
    /// Unless this is called, pages of the same host may. Browsers let every page connect to every server, with the cookies
    /// of its user, so the server has to look. Clients that send no `Origin` are no browsers, and may.
    ///
    /// ```
    /// use greenloop::http::{HeaderValue, Request, Server, WebSocketOptions, header::ORIGIN};
    /// # use std::time::Duration;
    ///
    /// let server = Server::bind("127.0.0.1:0")?.start(|request: &mut Request<'_>| {
    ///     let options = WebSocketOptions::new().origins(|origin| origin == "https://example.org");
    ///     options.upgrade(request, |_| ())
    /// })?;
    /// let url = format!("ws://{}/", server.local_addr()?);
    /// let from = |page| WebSocketOptions::new().header(ORIGIN, HeaderValue::from_static(page)).connect(&url);
    /// assert!(from("https://example.org").is_ok());
    /// assert!(from("https://evil.example").unwrap_err().to_string().contains("403"));
    /// # server.stop(Duration::ZERO);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn origins(mut self, allowed: impl Fn(&str) -> bool + 'static) -> WebSocketOptions {
        self.origins = Origins::Chosen(Rc::new(allowed));
        self
    }

    /// Adds a header to the request of a client: `Authorization`, for example.
    ///
    /// ```
    /// use greenloop::http::{HeaderValue, Request, Server, StatusCode, WebSocket, WebSocketOptions, header::AUTHORIZATION};
    /// # use greenloop::http::IntoResponse;
    /// # use std::time::Duration;
    ///
    /// let server = Server::bind("127.0.0.1:0")?.start(|request: &mut Request<'_>| match request.header("authorization") {
    ///     Some("Bearer 7") => WebSocket::upgrade(request, |_| ()),
    ///     _ => StatusCode::UNAUTHORIZED.into_response(),
    /// })?;
    /// let url = format!("ws://{}/", server.local_addr()?);
    /// assert!(WebSocketOptions::new().connect(&url).is_err());
    /// assert!(WebSocketOptions::new().header(AUTHORIZATION, HeaderValue::from_static("Bearer 7")).connect(&url).is_ok());
    /// # server.stop(Duration::ZERO);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> WebSocketOptions {
        self.headers.push((name, value));
        self
    }

    /// How `wss://` is spoken by a client (feature `tls`). Unless this is called, whom the system trusts is trusted.
    ///
    /// ```
    /// use greenloop::http::{Request, Server, WebSocket, WebSocketOptions};
    /// use greenloop::tls::{ClientConfig, Identity, Roots, ServerConfig};
    /// # use std::time::Duration;
    /// # let (certificate, key) = {
    /// #     let made = rcgen::generate_simple_self_signed(["localhost".to_string()]).unwrap();
    /// #     (made.cert.pem(), made.signing_key.serialize_pem())
    /// # };
    ///
    /// let identity = ServerConfig::builder().identity(Identity::from_pem(&certificate, &key)?).build()?;
    /// let server = Server::bind("127.0.0.1:0")?
    ///     .tls(identity)
    ///     .start(|request: &mut Request<'_>| WebSocket::upgrade(request, |socket| Ok(socket.send("safe")?)))?;
    /// let url = format!("wss://localhost:{}/", server.local_addr()?.port());
    /// let trusting = ClientConfig::builder().roots(Roots::from_pem(&certificate)?).build()?;
    /// let socket = WebSocketOptions::new().tls(trusting).connect(&url)?;
    /// assert_eq!(socket.read()?.text(), Some("safe"));
    /// # server.stop(Duration::ZERO);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[cfg(feature = "tls")]
    pub fn tls(mut self, config: crate::tls::ClientConfig) -> WebSocketOptions {
        self.tls = Some(config);
        self
    }
}

impl fmt::Debug for WebSocketOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WebSocketOptions")
            .field("limits", &self.limits)
            .field("protocols", &self.protocols)
            .finish_non_exhaustive()
    }
}
