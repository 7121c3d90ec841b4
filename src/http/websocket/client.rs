//! The client's side of the opening handshake (RFC 6455, 4.1).

use std::io::{self, Read, Write};
use std::rc::Rc;

use ::http::Uri;
use tungstenite::handshake::client::generate_key;
use tungstenite::handshake::derive_accept_key;
use tungstenite::protocol::Role;

use super::deflate::{self, Agreement};
use super::error::WebSocketError;
use super::options::WebSocketOptions;
use super::socket::WebSocket;
use crate::http::duplex_stream::DuplexStream;
use crate::http::framing::has_token;
use crate::http::upgrade::Upgraded;
use crate::net::TcpStream;

/// The largest head of an answer.
const MOST: usize = 64 * 1024;
const MOST_HEADERS: usize = 100;

impl WebSocketOptions {
    /// [`WebSocket::connect`] with these options.
    ///
    /// **Switches**: yes. A kill or a timeout meanwhile closes the connection.
    ///
    /// # Errors
    /// As for `WebSocket::connect`.
    ///
    /// ```no_run
    /// use greenloop::http::WebSocketOptions;
    ///
    /// let socket = WebSocketOptions::new().protocols(["chat"]).connect("ws://localhost:8080/chat")?;
    /// assert_eq!(socket.protocol(), Some("chat"));
    /// # Ok::<(), greenloop::http::WebSocketError>(())
    /// ```
    #[track_caller]
    pub fn connect(self, url: &str) -> Result<WebSocket, WebSocketError> {
        let limit = self.limits.connect_timeout;
        crate::timeout(limit, || self.open(url)).unwrap_or_else(|_| {
            Err(WebSocketError::new(
                io::ErrorKind::TimedOut,
                format!("`{url}` has not answered within {limit:?}"),
            ))
        })
    }

    fn open(self, url: &str) -> Result<WebSocket, WebSocketError> {
        let wrong = |what: &str| {
            let text =
                format!("`{url}` {what}: it should be like ws://example.org/path or wss://example.org/path");
            WebSocketError::new(io::ErrorKind::InvalidInput, text)
        };
        let uri: Uri = url.parse().map_err(|_| wrong("is no URL"))?;
        let is_secure = match uri.scheme_str() {
            Some("ws") => false,
            Some("wss") => true,
            _ => return Err(wrong("is no URL of a WebSocket")),
        };
        let authority = uri.authority().ok_or_else(|| wrong("names no host"))?;
        if authority.as_str().contains('@') {
            return Err(wrong("contains a name or password, which belong into an Authorization header"));
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        let port = authority.port_u16().unwrap_or(if is_secure { 443 } else { 80 });
        let socket = TcpStream::connect((host, port))?;
        socket.set_nodelay(true)?;
        let stream: Rc<dyn DuplexStream> =
            if is_secure { self.secure(host, socket)? } else { Rc::new(socket) };
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        let path = if path.starts_with('/') { path.to_string() } else { format!("/{path}") };
        let stream = Upgraded::new(stream, Vec::new());
        self.shake_hands(stream, authority.as_str(), &path)
            .map_err(|error| WebSocketError::new(error.kind(), format!("no WebSocket at `{url}`: {error}")))
    }

    #[cfg(feature = "tls")]
    fn secure(&self, host: &str, socket: TcpStream) -> io::Result<Rc<dyn DuplexStream>> {
        let config = match &self.tls {
            Some(config) => config.clone(),
            None => crate::tls::ClientConfig::new()?,
        };
        Ok(Rc::new(config.connect(host, socket)?))
    }

    #[cfg(not(feature = "tls"))]
    fn secure(&self, _: &str, _: TcpStream) -> io::Result<Rc<dyn DuplexStream>> {
        Err(io::Error::new(io::ErrorKind::Unsupported, "wss:// needs the feature `tls` of greenloop"))
    }

    /// The handshake of a client over a stream that is connected already: to a Unix socket, or through a proxy. `host` is what
    /// the `Host` header says, `path` what is asked for, `/chat?room=1` for example.
    ///
    /// **Switches**: yes.
    ///
    /// # Errors
    /// As for [`WebSocket::connect`]. The times are not limited.
    ///
    /// ```
    /// use greenloop::http::{Config, Request, WebSocket, WebSocketOptions, serve_connection};
    /// # use greenloop::http::{DuplexStream, Transport};
    /// # use greenloop::{net::UnixStream, spawn};
    /// # use std::{io::{self, Read, Write}, net::SocketAddr, rc::Rc, time::Duration};
    /// # struct Local(UnixStream);
    /// # impl Transport for Local {
    /// #   fn share(&self) -> io::Result<Rc<dyn DuplexStream>> { Ok(Rc::new(self.0.try_clone()?)) }
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
    /// let (ours, theirs) = UnixStream::pair()?;
    /// let server = spawn(move || {
    ///     let app = |request: &mut Request<'_>| {
    ///         WebSocket::upgrade(request, |socket| Ok(socket.send(socket.read()?)?))
    ///     };
    ///     serve_connection(Local(theirs), &app, &Config::new()) // `Local` implements `Transport`
    /// });
    /// let socket = WebSocketOptions::new().connect_over(ours, "localhost", "/")?;
    /// socket.send("hello")?;
    /// assert_eq!(socket.read()?.text(), Some("hello"));
    /// socket.close(1000, "")?;
    /// # drop(socket);
    /// # server.join().unwrap()?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn connect_over(
        self,
        stream: impl DuplexStream + 'static,
        host: &str,
        path: &str,
    ) -> Result<WebSocket, WebSocketError> {
        self.shake_hands(Upgraded::new(Rc::new(stream), Vec::new()), host, path)
    }

    fn shake_hands(self, mut stream: Upgraded, host: &str, path: &str) -> Result<WebSocket, WebSocketError> {
        let key = generate_key();
        stream.write_all(&self.request(host, path, &key)?)?;
        stream.flush()?;
        let mut input = Vec::new();
        let answer = loop {
            let mut place = [0; 2048];
            match stream.read(&mut place)? {
                0 => return Err(refused("the server has closed the connection instead of answering")),
                count => input.extend_from_slice(&place[..count]),
            }
            if let Some(answer) = self.check_answer(&input, &key)? {
                input.drain(..answer.length);
                break answer;
            }
            if input.len() > MOST {
                return Err(refused("the answer of the server has too long a head"));
            }
        };
        stream.put_in_front(input);
        WebSocket::new(stream, Role::Client, &self, answer.protocol, answer.agreement)
    }

    fn request(&self, host: &str, path: &str, key: &str) -> Result<Vec<u8>, WebSocketError> {
        let is_sound = |text: &str| text.bytes().all(|b| b.is_ascii_graphic());
        if !is_sound(host) || !is_sound(path) || !path.starts_with('/') {
            let text = format!("`{host}` and `{path}` should be a host and a path without blanks");
            return Err(WebSocketError::new(io::ErrorKind::InvalidInput, text));
        }
        let mut request = format!(
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n\
             Sec-WebSocket-Version: 13\r\n"
        )
        .into_bytes();
        if !self.protocols.is_empty() {
            let names = self.protocols.join(", ");
            if !names.bytes().all(|b| b.is_ascii_graphic() || b == b' ') {
                let text = format!("`{names}` should be names of subprotocols");
                return Err(WebSocketError::new(io::ErrorKind::InvalidInput, text));
            }
            request.extend_from_slice(format!("Sec-WebSocket-Protocol: {names}\r\n").as_bytes());
        }
        if self.limits.compress {
            request.extend_from_slice(format!("Sec-WebSocket-Extensions: {}\r\n", deflate::OFFER).as_bytes());
        }
        for (name, value) in &self.headers {
            request.extend_from_slice(name.as_str().as_bytes());
            request.extend_from_slice(b": ");
            request.extend_from_slice(value.as_bytes());
            request.extend_from_slice(b"\r\n");
        }
        request.extend_from_slice(b"\r\n");
        Ok(request)
    }

    /// What the server has answered, when all of it is there.
    fn check_answer(&self, input: &[u8], key: &str) -> Result<Option<Answer>, WebSocketError> {
        let mut fields = [httparse::EMPTY_HEADER; MOST_HEADERS];
        let mut answer = httparse::Response::new(&mut fields);
        let parsed =
            answer.parse(input).map_err(|error| refused(&format!("a malformed answer ({error})")))?;
        let httparse::Status::Complete(length) = parsed else { return Ok(None) };
        if let Some(code) = answer.code.filter(|code| *code != 101) {
            let reason = answer.reason.unwrap_or_default();
            return Err(refused(&format!("the server answers {code} {reason}")));
        }
        let values = |name: &'static str| {
            let known = answer.headers.iter().filter(move |field| field.name.eq_ignore_ascii_case(name));
            known.map(|field| field.value)
        };
        if !values("upgrade").any(|value| has_token(value, b"websocket"))
            || !values("connection").any(|value| has_token(value, b"upgrade"))
        {
            return Err(refused("the server answers 101, but not for a WebSocket"));
        }
        if values("sec-websocket-accept").collect::<Vec<_>>()
            != [derive_accept_key(key.as_bytes()).as_bytes()]
        {
            return Err(refused(
                "the server has not understood the request: its Sec-WebSocket-Accept is wrong",
            ));
        }
        let agreement = deflate::check_answer(values("sec-websocket-extensions"), self.limits.compress)
            .map_err(refused)?;
        let protocol = match values("sec-websocket-protocol").collect::<Vec<_>>()[..] {
            [] => None,
            [name] => self
                .protocols
                .iter()
                .find(|known| known.as_bytes() == name)
                .cloned()
                .map(Some)
                .ok_or_else(|| refused("the server has chosen a subprotocol that was not asked for"))?,
            _ => return Err(refused("the server has chosen more than one subprotocol")),
        };
        Ok(Some(Answer { length, protocol, agreement }))
    }
}

/// What a server has answered.
struct Answer {
    /// That of the head.
    length: usize,
    protocol: Option<String>,
    agreement: Option<Agreement>,
}

fn refused(text: &str) -> WebSocketError {
    WebSocketError::new(io::ErrorKind::ConnectionRefused, text)
}
