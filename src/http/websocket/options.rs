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
    pub fn new() -> WebSocketOptions {
        WebSocketOptions::default()
    }

    /// The largest message that is received (1 MiB), all its frames together. A larger one closes the connection with 1009.
    pub fn max_message(mut self, bytes: usize) -> WebSocketOptions {
        self.limits.max_message = bytes;
        self
    }

    /// The largest frame that is received, at least 125 bytes; as large as a message unless this is called.
    pub fn max_frame(mut self, bytes: usize) -> WebSocketOptions {
        self.limits.max_frame = bytes;
        self
    }

    /// After how much silence the peer is pinged, while somebody reads (30 s). `None` waits for ever.
    pub fn ping_every(mut self, silence: impl Into<Option<Duration>>) -> WebSocketOptions {
        self.limits.ping_every = silence.into();
        self
    }

    /// How long the peer may stay silent after that (30 s). Then the connection is broken, and the read fails with `TimedOut`.
    pub fn pong_timeout(mut self, limit: impl Into<Option<Duration>>) -> WebSocketOptions {
        self.limits.pong_timeout = limit.into();
        self
    }

    /// How long a write may wait for a peer that does not read (30 s). Then the connection is broken.
    pub fn write_timeout(mut self, limit: impl Into<Option<Duration>>) -> WebSocketOptions {
        self.limits.write_timeout = limit.into();
        self
    }

    /// How long closing may take, until the peer has answered (5 s).
    pub fn close_timeout(mut self, limit: Duration) -> WebSocketOptions {
        self.limits.close_timeout = limit;
        self
    }

    /// How long a client may take to connect, all together (30 s).
    pub fn connect_timeout(mut self, limit: Duration) -> WebSocketOptions {
        self.limits.connect_timeout = limit;
        self
    }

    /// The subprotocols that are spoken, the best first. A server takes the first that the client has asked for, if any; a
    /// client asks for all of them.
    pub fn protocols<P: Into<String>>(mut self, protocols: impl IntoIterator<Item = P>) -> WebSocketOptions {
        self.protocols = protocols.into_iter().map(Into::into).collect();
        self
    }

    /// Whose pages may connect: `allowed` is given the `Origin` that a browser sends, `https://example.org` for example. Others get 403.
    ///
    /// Unless this is called, pages of the same host may. Browsers let every page connect to every server, with the cookies
    /// of its user, so the server has to look. Clients that send no `Origin` are no browsers, and may.
    pub fn origins(mut self, allowed: impl Fn(&str) -> bool + 'static) -> WebSocketOptions {
        self.origins = Origins::Chosen(Rc::new(allowed));
        self
    }

    /// Adds a header to the request of a client: `Authorization`, for example.
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> WebSocketOptions {
        self.headers.push((name, value));
        self
    }

    /// How `wss://` is spoken by a client (feature `tls`). Unless this is called, whom the system trusts is trusted.
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
