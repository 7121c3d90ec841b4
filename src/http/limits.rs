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
    ///
    /// ```
    /// use greenloop::http::{Limits, Request, TestClient};
    ///
    /// let client = TestClient::new(|_: &mut Request<'_>| "hello").limits(Limits::new().max_request_line(32));
    /// assert_eq!(client.get("/short").send().status(), 200);
    /// assert_eq!(client.get("/a/path/that/is/too/long").send().status(), 414);
    /// ```
    max_request_line: usize = 8 * KIB;
    /// The largest request head in bytes, request line and blank line included (64 KiB). Larger ones are
    /// answered with 431.
    ///
    /// ```
    /// use greenloop::http::{Limits, Request, TestClient};
    ///
    /// let client = TestClient::new(|_: &mut Request<'_>| "hello").limits(Limits::new().max_head(128));
    /// assert_eq!(client.get("/").send().status(), 200);
    /// assert_eq!(client.get("/").header("Cookie", &"x".repeat(128)).send().status(), 431);
    /// ```
    max_head: usize = 64 * KIB;
    /// The most header lines of a request (100). More are answered with 431.
    ///
    /// ```
    /// use greenloop::http::{Limits, Request, TestClient};
    ///
    /// let client = TestClient::new(|_: &mut Request<'_>| "hello").limits(Limits::new().max_headers(2));
    /// assert_eq!(client.get("/").header("A", "1").send().status(), 200); // and `Host`
    /// assert_eq!(client.get("/").header("A", "1").header("B", "2").send().status(), 431);
    /// ```
    max_headers: usize = 100;
    /// The largest request body in bytes, after the removal of chunk framing (16 MiB).
    ///
    /// A larger `Content-Length` is answered with 413 before the handler runs; a chunked body that grows
    /// larger makes the read of the handler fail, and the answer to a handler that fails with it is 413 as
    /// well.
    ///
    /// ```
    /// use greenloop::http::{Limits, Request, TestClient};
    ///
    /// let client = TestClient::new(|_: &mut Request<'_>| "hello").limits(Limits::new().max_body(4));
    /// assert_eq!(client.post("/").body("tea").send().status(), 200);
    /// assert_eq!(client.post("/").body("coffee").send().status(), 413);
    /// ```
    max_body: u64 = 16 << 20;
    /// The most pairs that [`Request::form`](super::Request::form) takes (1,000), as each costs far more memory than the two bytes which
    /// it has at least. A form with more is answered with 413. The pairs of a query are bounded by
    /// [`max_request_line`](Limits::max_request_line).
    ///
    /// ```
    /// use greenloop::http::{Limits, Request, TestClient};
    ///
    /// let count = |request: &mut Request<'_>| Ok(request.form()?.into_iter().count().to_string());
    /// let client = TestClient::new(count).limits(Limits::new().max_form_pairs(2));
    /// let post = |form: &str| client.post("/").header("Content-Type", "application/x-www-form-urlencoded").body(form).send();
    /// assert_eq!(post("a=1&b=2").text(), "2");
    /// assert_eq!(post("a=1&b=2&c=3").status(), 413);
    /// ```
    max_form_pairs: usize = 1000;
    /// The most bytes that the trailers of a chunked body, and separately all its chunk extensions, may have
    /// (8 KiB).
    ///
    /// ```
    /// # use greenloop::http::{Request, Server};
    /// # use greenloop::net::TcpStream;
    /// # use std::io::{Read, Write};
    /// use greenloop::http::Limits;
    /// use std::time::Duration;
    ///
    /// let limits = Limits::new().max_trailers(16);
    /// let server = Server::bind("127.0.0.1:0")?.limits(limits).start(|request: &mut Request<'_>| {
    ///     Ok(request.body().trailers()?.len().to_string())
    /// })?;
    /// let mut client = TcpStream::connect(server.local_addr()?)?;
    /// client.write_all(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Digest: 0123456789abcdef\r\n\r\n")?;
    /// let mut answer = String::new();
    /// client.read_to_string(&mut answer)?;
    /// assert!(answer.starts_with("HTTP/1.1 400 "));
    /// # server.stop(Duration::ZERO);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    max_trailers: usize = 8 * KIB;
    /// How much of a request body that the handler left unread is read and thrown away to keep the connection
    /// (256 KiB). Where more is left, the connection is closed.
    ///
    /// ```
    /// # use greenloop::http::{Request, Server};
    /// # use greenloop::net::TcpStream;
    /// # use std::io::{Read, Write};
    /// use greenloop::http::Limits;
    /// use std::time::Duration;
    ///
    /// let limits = Limits::new().max_discard(4);
    /// let server = Server::bind("127.0.0.1:0")?.limits(limits).start(|_: &mut Request<'_>| "hello")?;
    /// let mut client = TcpStream::connect(server.local_addr()?)?;
    /// client.write_all(b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nforgotten")?;
    /// let mut answer = String::new();
    /// client.read_to_string(&mut answer)?;
    /// assert!(answer.contains("\r\nConnection: close\r\n") && answer.ends_with("\r\n\r\nhello"));
    /// # server.stop(Duration::ZERO);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    max_discard: u64 = 256 * 1024;
    /// How many requests one connection may make (`None`: any number). The last answer says `Connection:
    /// close`.
    ///
    /// ```
    /// # use greenloop::http::{Request, Server};
    /// # use greenloop::net::TcpStream;
    /// # use std::io::{Read, Write};
    /// use greenloop::http::Limits;
    /// use std::time::Duration;
    ///
    /// let limits = Limits::new().max_requests(Some(1));
    /// let server = Server::bind("127.0.0.1:0")?.limits(limits).start(|_: &mut Request<'_>| "hello")?;
    /// let mut client = TcpStream::connect(server.local_addr()?)?;
    /// client.write_all(b"GET / HTTP/1.1\r\n\r\n")?;
    /// let mut answer = String::new();
    /// client.read_to_string(&mut answer)?;
    /// assert!(answer.contains("\r\nConnection: close\r\n"));
    /// # server.stop(Duration::ZERO);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    max_requests: Option<u64> = None;
    /// How long a request head may take, from its first byte to its last (30 s), and how long a new
    /// connection may stay silent. A head that is late is answered with 408.
    ///
    /// ```
    /// # use greenloop::http::{Request, Server};
    /// # use greenloop::net::TcpStream;
    /// # use std::io::{Read, Write};
    /// use greenloop::http::Limits;
    /// use std::time::Duration;
    ///
    /// let limits = Limits::new().head_timeout(Some(Duration::from_millis(2)));
    /// let server = Server::bind("127.0.0.1:0")?.limits(limits).start(|_: &mut Request<'_>| "hello")?;
    /// let mut client = TcpStream::connect(server.local_addr()?)?;
    /// client.write_all(b"GET / HT")?;
    /// let mut answer = String::new();
    /// client.read_to_string(&mut answer)?;
    /// assert!(answer.starts_with("HTTP/1.1 408 "));
    /// # server.stop(Duration::ZERO);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    head_timeout: Option<Duration> = Some(Duration::from_secs(30));
    /// How long a connection may stay idle between two requests (75 s). It is then closed without a word.
    ///
    /// ```
    /// # use greenloop::http::{Request, Server};
    /// # use greenloop::net::TcpStream;
    /// # use std::io::{Read, Write};
    /// use greenloop::http::Limits;
    /// use std::time::Duration;
    ///
    /// let limits = Limits::new().idle_timeout(Some(Duration::from_millis(2)));
    /// let server = Server::bind("127.0.0.1:0")?.limits(limits).start(|_: &mut Request<'_>| "hello")?;
    /// let mut client = TcpStream::connect(server.local_addr()?)?;
    /// client.write_all(b"GET / HTTP/1.1\r\n\r\n")?;
    /// let mut answer = String::new();
    /// client.read_to_string(&mut answer)?;
    /// assert!(answer.ends_with("\r\n\r\nhello")); // and then it has been closed
    /// # server.stop(Duration::ZERO);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    idle_timeout: Option<Duration> = Some(Duration::from_secs(75));
    /// How long one read of a request body may wait for bytes (30 s); over TLS for a whole record, which is 16 KiB at most.
    ///
    /// ```
    /// # use greenloop::http::{Request, Server};
    /// # use greenloop::net::TcpStream;
    /// # use std::io::{Read, Write};
    /// use greenloop::http::Limits;
    /// use std::time::Duration;
    ///
    /// let limits = Limits::new().body_timeout(Some(Duration::from_millis(2)));
    /// let server = Server::bind("127.0.0.1:0")?.limits(limits).start(|request: &mut Request<'_>| {
    ///     Ok(std::io::read_to_string(request.body())?)
    /// })?;
    /// let mut client = TcpStream::connect(server.local_addr()?)?;
    /// client.write_all(b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nhel")?;
    /// let mut answer = String::new();
    /// client.read_to_string(&mut answer)?;
    /// assert!(answer.starts_with("HTTP/1.1 408 "));
    /// # server.stop(Duration::ZERO);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    body_timeout: Option<Duration> = Some(Duration::from_secs(30));
    /// How many bytes of a request body have to come in a second (240), on average over
    /// [`body_rate_window`](Limits::body_rate_window) and counting only the time in which they are waited for. Slower clients are
    /// answered with 408. Zero allows any pace.
    ///
    /// ```
    /// # use greenloop::http::{Request, Server};
    /// # use greenloop::net::TcpStream;
    /// # use std::io::{Read, Write};
    /// use greenloop::http::Limits;
    /// use std::time::Duration;
    ///
    /// let limits = Limits::new().min_body_rate(1 << 20).body_rate_window(Duration::from_millis(2));
    /// let server = Server::bind("127.0.0.1:0")?.limits(limits).start(|request: &mut Request<'_>| {
    ///     Ok(std::io::read_to_string(request.body())?)
    /// })?;
    /// let mut client = TcpStream::connect(server.local_addr()?)?;
    /// client.write_all(b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nhel")?;
    /// let mut answer = String::new();
    /// client.read_to_string(&mut answer)?;
    /// assert!(answer.starts_with("HTTP/1.1 408 ")); // long before `body_timeout`
    /// # server.stop(Duration::ZERO);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    min_body_rate: u32 = 240;
    /// The time over which the pace of a request body is measured (30 s). If less than one byte has to come in it, any pace will do.
    ///
    /// ```
    /// # use greenloop::http::{Request, Server};
    /// # use greenloop::net::TcpStream;
    /// # use std::io::{Read, Write};
    /// use greenloop::http::Limits;
    /// use std::time::Duration;
    ///
    /// let limits = Limits::new().min_body_rate(10_000).body_rate_window(Duration::from_millis(2)); // 20 bytes in 2 ms
    /// let server = Server::bind("127.0.0.1:0")?.limits(limits).start(|request: &mut Request<'_>| {
    ///     Ok(std::io::read_to_string(request.body())?)
    /// })?;
    /// let mut client = TcpStream::connect(server.local_addr()?)?;
    /// client.write_all(b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nhel")?;
    /// let mut answer = String::new();
    /// client.read_to_string(&mut answer)?;
    /// assert!(answer.starts_with("HTTP/1.1 408 ")); // only 3 bytes have come
    /// # server.stop(Duration::ZERO);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    body_rate_window: Duration = Duration::from_secs(30);
    /// How long one write may wait for a client that does not read (30 s). The connection is then dropped.
    ///
    /// ```
    /// # use greenloop::{event::AsyncResult, http::{Request, Server}, net::TcpStream};
    /// use greenloop::http::{Body, Limits};
    /// use std::{io::{ErrorKind, Write}, time::Duration};
    ///
    /// let told = AsyncResult::new();
    /// let outcome = told.clone();
    /// let limits = Limits::new().write_timeout(Some(Duration::from_millis(2)));
    /// let server = Server::bind("127.0.0.1:0")?.limits(limits).start(move |_: &mut Request<'_>| {
    ///     let outcome = outcome.clone();
    ///     Body::writer(move |out| {
    ///         let error = (0..).find_map(|_| out.write_all(&[0; 1 << 16]).err()).unwrap();
    ///         outcome.set(error.kind()).unwrap();
    ///         Err(error.into())
    ///     })
    /// })?;
    /// let mut client = TcpStream::connect(server.local_addr()?)?; // which does not read
    /// client.write_all(b"GET / HTTP/1.1\r\n\r\n")?;
    /// assert_eq!(told.get(), ErrorKind::TimedOut);
    /// # server.stop(Duration::ZERO);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    write_timeout: Option<Duration> = Some(Duration::from_secs(30));
    /// How long a connection that was closed on a client still sending is read, so that the client sees the
    /// answer and not a reset (1 s).
    ///
    /// ```
    /// # use greenloop::http::{Request, Server};
    /// # use greenloop::net::TcpStream;
    /// # use std::io::{Read, Write};
    /// use greenloop::http::Limits;
    /// use std::time::Duration;
    ///
    /// let limits = Limits::new().max_body(4).linger_timeout(Duration::from_millis(2));
    /// let server = Server::bind("127.0.0.1:0")?.limits(limits).start(|_: &mut Request<'_>| "hello")?;
    /// let mut client = TcpStream::connect(server.local_addr()?)?;
    /// client.write_all(b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nhel")?;
    /// let mut answer = String::new();
    /// client.read_to_string(&mut answer)?;
    /// assert!(answer.starts_with("HTTP/1.1 413 ")); // and nobody waits long for the rest
    /// # server.stop(Duration::ZERO);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    linger_timeout: Duration = Duration::from_secs(1);
    /// How many bytes are read meanwhile (16 MiB). That there are more than the buffers of two sockets take is what lets a client with a
    /// large body, which may look for an answer late, see it. On a connection that a handler has taken over it is 64 KiB at most.
    ///
    /// ```
    /// # use greenloop::http::{Request, Server};
    /// # use greenloop::net::TcpStream;
    /// # use std::io::{Read, Write};
    /// use greenloop::http::Limits;
    /// use std::time::Duration;
    ///
    /// let limits = Limits::new().max_body(4).max_linger(1024);
    /// let server = Server::bind("127.0.0.1:0")?.limits(limits).start(|_: &mut Request<'_>| "hello")?;
    /// let mut client = TcpStream::connect(server.local_addr()?)?;
    /// client.write_all(b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nforgotten")?;
    /// let mut answer = String::new();
    /// client.read_to_string(&mut answer)?;
    /// assert!(answer.starts_with("HTTP/1.1 413 "));
    /// # server.stop(Duration::ZERO);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    max_linger: usize = 16 * 1024 * KIB;
}

impl Limits {
    /// The default limits.
    ///
    /// ```
    /// use greenloop::http::{Limits, Request, TestClient};
    ///
    /// assert_eq!(Limits::new(), Limits::default());
    /// let client = TestClient::new(|_: &mut Request<'_>| "hello").limits(Limits::new());
    /// assert_eq!(client.get(&"/x".repeat(8 * 1024)).send().status(), 414);
    /// ```
    pub fn new() -> Limits {
        Limits::default()
    }
}
