//! A reverse proxy: clients on one side, a server of HTTP/1.1 on the other.
//!
//! `cargo run --release --example reverse_proxy -- --port 8081 --upstream 127.0.0.1:8080`
//!
//! Bodies are streamed, connections to the upstream server are used again, headers that concern one connection only stay on it, and
//! `X-Forwarded-For` says whom the request is from. Where the upstream server cannot be reached or makes no sense the answer is 502, where
//! it is late 504. Upgrades (WebSockets) become tunnels; a `CONNECT` is answered with 501.
//!
//! Both bodies stream at the same time: an answer that begins while the client still sends is passed on at once, and the upload goes on until the
//! answer has ended. After a refusal (any status but 2xx) the rest of the upload is not sent. The connection of such a client is closed then.

use greenloop::http::{
    Body, Error, HeaderMap, HeaderName, HeaderValue, IntoResponse, Method, OwnedBody, Request, Response,
};
use greenloop::http::{Server, StatusCode, Upgraded, Version, header};
use greenloop::io::select;
use greenloop::net::TcpStream;
use greenloop::{Greenlet, scope, spawn, wait_any};
use std::cell::RefCell;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::rc::Rc;
use std::time::Duration;

const CONNECT_LIMIT: Duration = Duration::from_secs(5);
const MOST_IDLE: usize = 32;
const MOST_HEAD: usize = 64 * 1024;
const MOST_FIELDS: usize = 100;

/// They concern one connection, not the message (RFC 9110, 7.6.1).
const HOP_BY_HOP: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// A connection to the upstream server.
type Connection = BufReader<TcpStream>;

struct Upstream {
    address: String,
    /// How long it may be silent.
    patience: Duration,
    /// Connections between two requests; the one used last is taken first.
    idle: RefCell<Vec<Connection>>,
}

/// Why there is no answer.
enum Failure {
    /// The upstream server's fault.
    Upstream(io::Error),
    /// Of the client: its body cannot be read.
    Client(io::Error),
}

impl Upstream {
    /// A connection, and whether it was used before.
    fn connection(&self) -> io::Result<(Connection, bool)> {
        loop {
            let Some(connection) = self.idle.borrow_mut().pop() else { break };
            // One on which there is something to read was closed, or is out of step.
            if select(&[connection.get_ref()], &[], Some(Duration::ZERO))?.is_empty() {
                return Ok((connection, true));
            }
        }
        let socket = TcpStream::connect_timeout(self.address.as_str(), CONNECT_LIMIT)?;
        socket.set_nodelay(true)?;
        socket.set_read_timeout(Some(self.patience))?;
        socket.set_write_timeout(Some(self.patience))?;
        Ok((BufReader::new(socket), false))
    }

    fn give_back(&self, connection: Connection) {
        let mut idle = self.idle.borrow_mut();
        if idle.len() < MOST_IDLE && connection.buffer().is_empty() {
            idle.push(connection);
        }
    }

    /// Sends the request and receives the head of the answer. Of a body something may still be on its way then.
    fn exchange(&self, request: &mut Request<'_>) -> Result<(Connection, Head, Option<Upload>), Failure> {
        let head = request_head(request, &self.address);
        if request.body().len_hint() != Some(0) {
            let (mut connection, _) = self.connection().map_err(Failure::Upstream)?;
            // It may have an answer although it does not take the request.
            let sent = connection.get_ref().write_all(&head).is_ok();
            let mut upload = sent.then(|| Upload::begin(request, connection.get_ref())).transpose()?;
            let answer = match &mut upload {
                Some(upload) => upload.listen(&mut connection)?,
                None => Head::read(&mut connection).map_err(Failure::Upstream)?,
            };
            return Ok((connection, answer, upload.filter(|upload| upload.0.is_some())));
        }
        loop {
            let (mut connection, was_used) = self.connection().map_err(Failure::Upstream)?;
            let answer = connection.get_ref().write_all(&head).and_then(|()| Head::read(&mut connection));
            match answer {
                Ok(answer) => return Ok((connection, answer, None)),
                // It has closed the connection just now, most likely without having seen the request.
                Err(error) if was_used && request.method().is_idempotent() && is_gone(&error) => {}
                Err(error) => return Err(Failure::Upstream(error)),
            }
        }
    }
}

/// The body of a request on its way; none when it has been sent. Dropped, it ends.
struct Upload(Option<Greenlet<Result<(), Failure>>>);

impl Upload {
    fn begin(request: &mut Request<'_>, socket: &TcpStream) -> Result<Upload, Failure> {
        let socket = socket.try_clone().map_err(Failure::Upstream)?;
        let body = request.take_body().map_err(Failure::Client)?;
        Ok(Upload(Some(spawn(move || {
            let sent = send_body(body, &socket);
            if let Err(Failure::Client(_)) = sent {
                // Not to be taken for a whole request, nor waited for.
                let _ = socket.shutdown(Shutdown::Both);
            }
            sent
        }))))
    }

    /// Waits for the head of the answer: as long as the upload goes on, and then no longer than the upstream server may be silent.
    fn listen(&mut self, connection: &mut Connection) -> Result<Head, Failure> {
        loop {
            if let Some(upload) = self.0.as_ref().filter(|_| connection.buffer().is_empty()) {
                // Nobody listens any longer than this, also if a kill ends it.
                scope(|scope| {
                    let listening = scope.spawn(|| select(&[connection.get_ref()], &[], None).map(drop));
                    wait_any(&[upload, &listening]);
                    scope.cancel();
                });
            }
            if let Some(upload) = self.0.take_if(|upload| upload.is_finished()) {
                upload.join().map_err(|error| Failure::Upstream(io::Error::other(error.to_string())))??;
            }
            let head = Head::read_one(connection).map_err(Failure::Upstream)?;
            if head.is_final() {
                return Ok(head);
            }
        }
    }

    /// Ends it. How it had ended by itself, if it had.
    fn end(mut self) -> Option<Result<(), Failure>> {
        self.0.take_if(|upload| upload.is_finished())?.join().ok()
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if let Some(upload) = self.0.take() {
            upload.kill();
        }
    }
}

fn is_gone(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof)
}

/// The headers that go on: all but those of the connection, also those that `Connection` names.
fn end_to_end(headers: &HeaderMap) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
    let listed: Vec<String> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(',').map(|name| name.trim().to_ascii_lowercase()))
        .collect();
    headers.iter().filter(move |(name, _)| {
        !HOP_BY_HOP.contains(&name.as_str()) && !listed.iter().any(|listed| listed == name.as_str())
    })
}

/// The authority of a target in absolute form, `http://authority/path?query`, and what follows it.
fn absolute(target: &str) -> Option<(&str, &str)> {
    let (_, rest) = target.split_once("://").filter(|_| !target.starts_with('/'))?;
    Some(rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len())))
}

fn request_head(request: &mut Request<'_>, upstream: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let (authority, rest) = absolute(request.target()).unzip();
    let query = request.query().map(|query| format!("?{query}")).unwrap_or_default();
    let path = match rest {
        // Asks after the server itself (RFC 9112, 3.2.4).
        Some("") if *request.method() == Method::OPTIONS => "*",
        _ => request.path(),
    };
    out.extend(format!("{} {path}{query} HTTP/1.1\r\n", request.method()).into_bytes());
    let mut field = |name: &str, value: &[u8]| {
        out.extend([name.as_bytes(), b": ", value, b"\r\n"].concat());
    };
    for (name, value) in end_to_end(request.headers()) {
        let is_ours = ["host", "content-length", "x-forwarded-for", "expect", "via"].contains(&name.as_str());
        if !is_ours {
            field(name.as_str(), value.as_bytes());
        }
    }
    // What the target says counts, whatever `Host` says (RFC 9112, 3.2.2).
    let host = authority.or_else(|| request.header("host")).unwrap_or(upstream);
    field("host", host.as_bytes());
    if let Some(peer) = request.peer_addr() {
        let own = peer.ip().to_string();
        let list: Vec<_> = request.header_all("x-forwarded-for").chain([own.as_bytes()]).collect();
        field("x-forwarded-for", &list.join(&b", "[..]));
    }
    let version = if request.version() == Version::HTTP_10 { "1.0" } else { "1.1" };
    let own = format!("{version} greenloop");
    let path: Vec<_> = request.header_all("via").chain([own.as_bytes()]).collect();
    field("via", &path.join(&b", "[..]));
    match upgrade_of(request) {
        Some(protocol) => {
            field("connection", b"upgrade");
            field("upgrade", protocol.as_bytes());
        }
        None => field("connection", b"keep-alive"),
    }
    let has_body = *request.method() != Method::GET && *request.method() != Method::HEAD;
    match request.body().len_hint() {
        None => field("transfer-encoding", b"chunked"),
        Some(0) if !has_body => {}
        Some(length) => field("content-length", length.to_string().as_bytes()),
    }
    out.extend(b"\r\n");
    out
}

/// The protocol that the client asks to change to.
fn upgrade_of(request: &Request<'_>) -> Option<String> {
    let protocol = request.header("upgrade")?;
    request.asks_for(protocol.as_bytes()).then(|| protocol.to_string())
}

/// Sends the body of the request as it comes. If the upstream server does not take all of it, it has an answer already.
fn send_body(mut body: OwnedBody, mut socket: &TcpStream) -> Result<(), Failure> {
    let is_chunked = body.len_hint().is_none();
    loop {
        let piece = body.fill_buf().map_err(Failure::Client)?;
        let length = piece.len();
        let bytes = match (is_chunked, length) {
            (true, 0) => b"0\r\n\r\n".to_vec(),
            (true, _) => [format!("{length:x}\r\n").as_bytes(), piece, b"\r\n"].concat(),
            (false, _) => piece.to_vec(),
        };
        body.consume(length);
        match socket.write_all(&bytes) {
            Ok(()) if length > 0 => {}
            Err(error) if !is_gone(&error) => return Err(Failure::Upstream(error)),
            _ => return Ok(()),
        }
    }
}

/// The head of an answer.
struct Head {
    status: StatusCode,
    headers: HeaderMap,
    is_http_11: bool,
}

impl Head {
    fn read(connection: &mut Connection) -> io::Result<Head> {
        loop {
            let head = Head::read_one(connection)?;
            if head.is_final() {
                return Ok(head);
            }
        }
    }

    /// `100 Continue` and its like are not for the client.
    fn is_final(&self) -> bool {
        !self.status.is_informational() || self.status == StatusCode::SWITCHING_PROTOCOLS
    }

    fn read_one(connection: &mut Connection) -> io::Result<Head> {
        let mut text = Vec::new();
        while !text.ends_with(b"\r\n\r\n") {
            let left = (MOST_HEAD - text.len()) as u64;
            if connection.by_ref().take(left).read_until(b'\n', &mut text)? == 0 {
                return Err(match text.len() {
                    MOST_HEAD => malformed("the head of the answer is too long"),
                    _ => io::ErrorKind::UnexpectedEof.into(),
                });
            }
        }
        let mut fields = [httparse::EMPTY_HEADER; MOST_FIELDS];
        let mut answer = httparse::Response::new(&mut fields);
        answer.parse(&text).map_err(|error| malformed(&error.to_string()))?;
        let status = StatusCode::from_u16(answer.code.unwrap_or_default());
        let mut headers = HeaderMap::new();
        for field in answer.headers.iter() {
            let name = HeaderName::from_bytes(field.name.as_bytes());
            let (Ok(name), Ok(value)) = (name, HeaderValue::from_bytes(field.value)) else {
                return Err(malformed("a header of the answer"));
            };
            headers.append(name, value);
        }
        let status = status.map_err(|_| malformed("the status of the answer"))?;
        Ok(Head { status, headers, is_http_11: answer.version == Some(1) })
    }

    /// How much follows it.
    fn body(&self, method: &Method) -> io::Result<Left> {
        // Lengths that contradict each other are refused even where nothing follows.
        let left = self.framing()?;
        let has_none = *method == Method::HEAD || matches!(self.status.as_u16(), 204 | 304);
        Ok(if has_none { Left::Known(0) } else { left })
    }

    /// What its fields say about what follows. What can be read in two ways makes no sense (RFC 9112, 6).
    fn framing(&self) -> io::Result<Left> {
        match (self.only(header::TRANSFER_ENCODING)?, self.only(header::CONTENT_LENGTH)?) {
            (None, None) => Ok(Left::UntilClose),
            (Some(_), Some(_)) => Err(malformed("chunks with a Content-Length")),
            (Some(_), None) if !self.is_http_11 => Err(malformed("a transfer coding in HTTP/1.0")),
            (Some(coding), None) if coding.as_bytes().eq_ignore_ascii_case(b"chunked") => Ok(Left::Chunk(0)),
            (Some(_), None) => Err(malformed("an unknown transfer coding")),
            (None, Some(length)) => {
                let length = length.to_str().ok().filter(|text| text.bytes().all(|b| b.is_ascii_digit()));
                let length = length.and_then(|text| text.parse().ok());
                length.map(Left::Known).ok_or_else(|| malformed("a malformed Content-Length"))
            }
        }
    }

    /// The value of a field that may be there once.
    fn only(&self, name: HeaderName) -> io::Result<Option<&HeaderValue>> {
        let mut values = self.headers.get_all(&name).iter();
        match (values.next(), values.next()) {
            (value, None) => Ok(value),
            _ => Err(malformed(&format!("more than one {name}"))),
        }
    }

    /// Whether its status says that there is no content. That of a 304 is where the client has it.
    fn is_bare(&self) -> bool {
        matches!(self.status.as_u16(), 204 | 205 | 304)
    }

    fn keeps_alive(&self) -> bool {
        let values = self.headers.get_all(header::CONNECTION);
        let has = |token: &str| {
            let mut values = values.iter().filter_map(|value| value.to_str().ok());
            values.any(|value| value.split(',').any(|one| one.trim().eq_ignore_ascii_case(token)))
        };
        !has("close") && (self.is_http_11 || has("keep-alive"))
    }
}

fn malformed(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the upstream server makes no sense: {what}"))
}

/// What is still to come of an answer's body.
#[derive(Clone, Copy, PartialEq)]
enum Left {
    Known(u64),
    /// Of this chunk; others follow.
    Chunk(u64),
    UntilClose,
    Nothing,
}

/// The body of an answer. When it has been read to its end its connection can be used again.
struct AnswerBody {
    upstream: Rc<Upstream>,
    connection: Option<Connection>,
    left: Left,
    keeps_alive: bool,
    /// What the client still sends.
    upload: Option<Upload>,
}

impl AnswerBody {
    fn line(connection: &mut Connection) -> io::Result<String> {
        let mut line = String::new();
        connection.by_ref().take(4096).read_line(&mut line)?;
        match line.strip_suffix("\r\n") {
            Some(line) => Ok(line.to_string()),
            None => Err(malformed("its chunks")),
        }
    }

    /// The size of the next chunk; the last is empty, and trailers are dropped.
    fn next_chunk(connection: &mut Connection) -> io::Result<u64> {
        let line = Self::line(connection)?;
        let digits = line.split(';').next().unwrap_or_default().trim_end();
        let is_sound = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_hexdigit());
        let size = u64::from_str_radix(digits, 16).ok().filter(|_| is_sound);
        let size = size.ok_or_else(|| malformed("the size of a chunk"))?;
        while size == 0 && !Self::line(connection)?.is_empty() {}
        Ok(size)
    }

    fn finish(&mut self) {
        let is_sent = self.upload.take().is_none_or(|upload| matches!(upload.end(), Some(Ok(()))));
        let is_whole = is_sent && self.left != Left::UntilClose;
        self.left = Left::Nothing;
        if let Some(connection) = self.connection.take().filter(|_| is_whole && self.keeps_alive) {
            self.upstream.give_back(connection);
        }
    }

    fn read_answer(&mut self, place: &mut [u8]) -> io::Result<usize> {
        let Some(connection) = &mut self.connection else { return Ok(0) };
        if self.left == Left::Chunk(0) {
            self.left = match Self::next_chunk(connection)? {
                0 => Left::Known(0),
                size => Left::Chunk(size),
            };
        }
        let most = match self.left {
            Left::Known(left) | Left::Chunk(left) => usize::try_from(left).unwrap_or(usize::MAX),
            Left::UntilClose => usize::MAX,
            Left::Nothing => 0,
        };
        let room = place.len().min(most);
        if most == 0 {
            self.finish();
            return Ok(0);
        }
        let count = connection.read(&mut place[..room])?;
        match &mut self.left {
            Left::UntilClose if count == 0 => self.finish(),
            Left::Known(_) | Left::Chunk(_) if count == 0 && room > 0 => {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            Left::Known(left) => *left -= count as u64,
            Left::Chunk(left) => {
                *left -= count as u64;
                if *left == 0 && !Self::line(connection)?.is_empty() {
                    return Err(malformed("the end of a chunk"));
                }
            }
            _ => {}
        }
        if self.left == Left::Known(0) {
            self.finish();
        }
        Ok(count)
    }
}

impl Read for AnswerBody {
    fn read(&mut self, place: &mut [u8]) -> io::Result<usize> {
        // If it is the client's upload that has failed, which ends the connection, that is the reason and not its end.
        self.read_answer(place).map_err(|error| match self.upload.take().and_then(Upload::end) {
            Some(Err(Failure::Client(failure))) => failure,
            _ => error,
        })
    }
}

fn forward(upstream: &Rc<Upstream>, request: &mut Request<'_>) -> Result<Response, Error> {
    if *request.method() == Method::CONNECT {
        return Ok((StatusCode::NOT_IMPLEMENTED, "there are no tunnels here\n").into_response());
    }
    let (connection, head, mut upload) = match upstream.exchange(request) {
        Ok(answered) => answered,
        Err(Failure::Client(error)) => return Err(error.into()),
        Err(Failure::Upstream(error)) => return Ok(gateway_failure(&error)),
    };
    // What a refusal leaves of the upload is not sent.
    let cut = upload.take_if(|_| !head.status.is_success());
    let keeps_alive = head.keeps_alive() && cut.is_none();
    drop(cut);
    let mut response = Response::new(head.status);
    if head.status == StatusCode::SWITCHING_PROTOCOLS {
        let Some(protocol) = upgrade_of(request) else {
            return Ok(gateway_failure(&malformed("it changes the protocol")));
        };
        response = Response::upgrade(&protocol, move |client| tunnel(client, connection));
    } else {
        let left = match head.body(request.method()) {
            Ok(left) => left,
            Err(error) => return Ok(gateway_failure(&error)),
        };
        let mut body = AnswerBody {
            upstream: upstream.clone(),
            connection: Some(connection),
            left,
            keeps_alive,
            upload,
        };
        match left {
            Left::Known(0) => body.finish(),
            // What a 205 has behind it all the same, be it the mark of its end, is left there, and the connection closed.
            _ if head.is_bare() => drop(body),
            _ => response = response.body(Body::reader(body)),
        }
    }
    for (name, value) in end_to_end(&head.headers) {
        // A 304 may speak of the body that is not there.
        let is_idle = *name == header::CONTENT_LENGTH && head.is_bare();
        if !is_idle {
            response.headers_mut().append(name, value.clone());
        }
    }
    let is_head = *request.method() == Method::HEAD && !head.is_bare();
    if is_head && !response.headers().contains_key(header::CONTENT_LENGTH) {
        // No body would be one of length 0; how long that of a `GET` were is not known (RFC 9110, 8.6).
        response = response.body(Body::reader(io::empty()));
    }
    Ok(response)
}

fn gateway_failure(error: &io::Error) -> Response {
    let (status, text) = match error.kind() {
        io::ErrorKind::TimedOut => (StatusCode::GATEWAY_TIMEOUT, "the upstream server is late\n"),
        _ => (StatusCode::BAD_GATEWAY, "the upstream server cannot be reached or makes no sense\n"),
    };
    eprintln!("reverse_proxy: {status}: {error}");
    (status, text).into_response()
}

/// Carries bytes in both directions until both have ended.
fn tunnel(client: Upgraded, connection: Connection) -> Result<(), Error> {
    let first = connection.buffer().to_vec();
    let server = connection.into_inner();
    server.set_read_timeout(None)?;
    scope(|scope| {
        scope.spawn(|| {
            // However it ends, the other side hears of it.
            let _ = io::copy(&mut &client, &mut &server);
            let _ = server.shutdown(Shutdown::Write);
        });
        let copied = (&client).write_all(&first).and_then(|()| io::copy(&mut &server, &mut &client));
        let _ = client.shutdown_write();
        if copied.is_err() {
            scope.cancel();
        }
    });
    Ok(())
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let (mut port, mut upstream, mut patience) = (8081_u16, String::from("127.0.0.1:8080"), 30.0);
    let mut arguments = std::env::args().skip(1);
    while let Some(flag) = arguments.next() {
        let value = arguments.next().ok_or_else(|| format!("{flag} needs a value"))?;
        match flag.as_str() {
            "--port" => port = value.parse()?,
            "--upstream" => upstream = value,
            "--patience" => patience = value.parse()?,
            _ => {
                let usage = "reverse_proxy [--port PORT] [--upstream HOST:PORT] [--patience SECONDS]";
                return Err(format!("unknown argument `{flag}`; usage: {usage}").into());
            }
        }
    }
    let patience = Duration::from_secs_f64(patience);
    let upstream = Rc::new(Upstream { address: upstream, patience, idle: RefCell::default() });
    let server = Server::bind(("127.0.0.1", port))?
        .start(move |request: &mut Request<'_>| forward(&upstream, request))?;
    println!("listening on http://{}", server.local_addr()?);
    Ok(server.serve_forever()?)
}

fn main() {
    if let Err(error) = run() {
        eprintln!("reverse_proxy: {error}");
        std::process::exit(1);
    }
}
