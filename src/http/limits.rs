//! What a connection may cost: sizes, counts and times, with safe defaults.

use std::time::Duration;

const KIB: usize = 1024;

macro_rules! limits {
    ($( $(#[$doc:meta])* $name:ident: $type:ty = $default:expr; )*) => {
        /// What one connection may cost the server.
        ///
        /// Every limit has a safe default; a setter takes the value and gives the limits back. A time of
        /// `None` means "for ever".
        ///
        /// ```
        /// use greenloop::http::Limits;
        /// use std::time::Duration;
        ///
        /// let limits = Limits::new().max_body(1 << 20).idle_timeout(Some(Duration::from_secs(5)));
        /// assert_ne!(limits, Limits::default());
        /// ```
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub struct Limits {
            $( pub(crate) $name: $type, )*
        }

        impl Default for Limits {
            fn default() -> Limits {
                Limits { $( $name: $default, )* }
            }
        }

        limits!(@setters $( $(#[$doc])* $name: $type; )*);
    };
    (@setters $( $(#[$doc:meta])* $name:ident: $type:ty; )*) => {
        impl Limits {
            $(
                $(#[$doc])*
                pub fn $name(mut self, value: $type) -> Limits {
                    self.$name = value;
                    self
                }
            )*
        }
    };
}

limits! {
    /// The longest request line in bytes, without its line end (8 KiB). Longer ones are answered with 414.
    max_request_line: usize = 8 * KIB;
    /// The largest request head in bytes, request line and blank line included (64 KiB). Larger ones are
    /// answered with 431.
    max_head: usize = 64 * KIB;
    /// The most header lines of a request (100). More are answered with 431.
    max_headers: usize = 100;
    /// The largest request body in bytes, after the removal of chunk framing (16 MiB).
    ///
    /// A larger `Content-Length` is answered with 413 before the handler runs; a chunked body that grows
    /// larger makes the read of the handler fail, and the answer to a handler that fails with it is 413 as
    /// well.
    max_body: u64 = 16 << 20;
    /// The most bytes that the trailers of a chunked body, and separately all its chunk extensions, may have
    /// (8 KiB).
    max_trailers: usize = 8 * KIB;
    /// How much of a request body that the handler left unread is read and thrown away to keep the connection
    /// (256 KiB). Where more is left, the connection is closed.
    max_discard: u64 = 256 * 1024;
    /// How many requests one connection may make (`None`: any number). The last answer says `Connection:
    /// close`.
    max_requests: Option<u64> = None;
    /// How long a request head may take, from its first byte to its last (30 s), and how long a new
    /// connection may stay silent. A head that is late is answered with 408.
    head_timeout: Option<Duration> = Some(Duration::from_secs(30));
    /// How long a connection may stay idle between two requests (75 s). It is then closed without a word.
    idle_timeout: Option<Duration> = Some(Duration::from_secs(75));
    /// How long one read of a request body may wait for bytes (30 s).
    body_timeout: Option<Duration> = Some(Duration::from_secs(30));
    /// How many bytes of a request body have to come in a second (240), on average over
    /// [`body_rate_window`](Limits::body_rate_window) and counting only the time in which they are waited for. Slower clients are
    /// answered with 408. Zero allows any pace.
    min_body_rate: u32 = 240;
    /// The time over which the pace of a request body is measured (30 s).
    body_rate_window: Duration = Duration::from_secs(30);
    /// How long one write may wait for a client that does not read (30 s). The connection is then dropped.
    write_timeout: Option<Duration> = Some(Duration::from_secs(30));
    /// How long a connection that was closed on a client still sending is read, so that the client sees the
    /// answer and not a reset (1 s).
    linger_timeout: Duration = Duration::from_secs(1);
    /// How many bytes are read meanwhile (64 KiB).
    max_linger: usize = 64 * KIB;
}

impl Limits {
    /// The default limits.
    pub fn new() -> Limits {
        Limits::default()
    }
}
