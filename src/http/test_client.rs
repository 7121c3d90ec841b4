//! A client for tests of handlers: no sockets, the same way through the server.

use super::chunked::Chunked;
use super::config::Config;
use super::limits::Limits;
use super::response::Handler;
use super::testing::exchange_with;
use ::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;

/// Asks a handler without a network: a request goes through the same parser, and an answer through the same writer, as on a
/// connection.
///
/// ```
/// use greenloop::http::{Request, TestClient};
/// use std::io::Read;
///
/// let app = |request: &mut Request<'_>| {
///     let mut text = String::new();
///     request.body().read_to_string(&mut text)?;
///     Ok(text.to_uppercase())
/// };
/// let client = TestClient::new(app);
/// let answer = client.post("/shout").header("Accept", "text/plain").body("hello").send();
/// assert_eq!((answer.status().as_u16(), answer.text()), (200, "HELLO"));
/// ```
pub struct TestClient<H> {
    handler: H,
    config: Config,
    reports: Rc<RefCell<Vec<String>>>,
}

impl<H: Handler> TestClient<H> {
    /// A client of `handler`.
    pub fn new(handler: H) -> TestClient<H> {
        let reports = Rc::new(RefCell::new(Vec::new()));
        let sink = reports.clone();
        let config = Config::new().on_error(move |line| sink.borrow_mut().push(line.to_string()));
        TestClient { handler, config, reports }
    }

    /// Sets the limits of the connections.
    pub fn limits(mut self, limits: Limits) -> TestClient<H> {
        self.config = self.config.limits(limits);
        self
    }

    /// A `GET` request.
    pub fn get(&self, target: &str) -> TestRequest<'_, H> {
        self.request(Method::GET, target)
    }

    /// A `HEAD` request.
    pub fn head(&self, target: &str) -> TestRequest<'_, H> {
        self.request(Method::HEAD, target)
    }

    /// A `POST` request.
    pub fn post(&self, target: &str) -> TestRequest<'_, H> {
        self.request(Method::POST, target)
    }

    /// A `PUT` request.
    pub fn put(&self, target: &str) -> TestRequest<'_, H> {
        self.request(Method::PUT, target)
    }

    /// A `DELETE` request.
    pub fn delete(&self, target: &str) -> TestRequest<'_, H> {
        self.request(Method::DELETE, target)
    }

    /// A request with any method.
    pub fn request(&self, method: Method, target: &str) -> TestRequest<'_, H> {
        TestRequest { client: self, method, target: target.into(), headers: HeaderMap::new(), body: None }
    }

    /// The failures of the handler that were reported since this was last called.
    pub fn reports(&self) -> Vec<String> {
        self.reports.take()
    }
}

impl<H> fmt::Debug for TestClient<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TestClient").field("config", &self.config).finish_non_exhaustive()
    }
}

/// A request of a [`TestClient`].
#[must_use = "a request goes out when `send` is called"]
pub struct TestRequest<'c, H> {
    client: &'c TestClient<H>,
    method: Method,
    target: String,
    headers: HeaderMap,
    body: Option<Vec<u8>>,
}

impl<H: Handler> TestRequest<'_, H> {
    /// Adds a header. Several of one name are sent one after the other.
    ///
    /// # Panics
    /// If the name or the value is malformed.
    #[track_caller]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let name: HeaderName = name.parse().unwrap_or_else(|_| panic!("`{name}` is no header name"));
        let value = HeaderValue::from_str(value).unwrap_or_else(|_| panic!("{value:?} is no header value"));
        self.headers.append(name, value);
        self
    }

    /// Sets the body, which is sent with its `Content-Length`.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// Sends the request on a connection of its own and reads the answer.
    ///
    /// **Switches**: only where the handler does.
    ///
    /// # Panics
    /// If the answer is malformed, or if there is none.
    #[track_caller]
    pub fn send(self) -> TestResponse {
        let output = exchange_with(&self.client.handler, &self.encoded(), &self.client.config);
        TestResponse::read(&output, self.method == Method::HEAD)
    }

    fn encoded(&self) -> Vec<u8> {
        let mut bytes = format!("{} {} HTTP/1.1\r\n", self.method, self.target).into_bytes();
        let mut add = |name: &[u8], value: &[u8]| bytes.extend([name, b": ", value, b"\r\n"].concat());
        if !self.headers.contains_key(header::HOST) {
            add(b"host", b"localhost");
        }
        for (name, value) in &self.headers {
            add(name.as_ref(), value.as_bytes());
        }
        if let Some(body) = &self.body {
            add(b"content-length", body.len().to_string().as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(self.body.as_deref().unwrap_or_default());
        bytes
    }
}

impl<H> fmt::Debug for TestRequest<'_, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TestRequest({} {})", self.method, self.target)
    }
}

/// What a handler has answered to a [`TestClient`].
#[derive(Debug, Clone)]
pub struct TestResponse {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
    is_whole: bool,
}

impl TestResponse {
    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The first value of a header, if there is one and it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// All headers, those of the server as well.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The body, after the removal of chunk framing.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The body as text.
    ///
    /// # Panics
    /// If it is not UTF-8.
    #[track_caller]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is not text")
    }

    /// Whether the body came to its end. A stream that fails on the way is cut off.
    pub fn is_whole(&self) -> bool {
        self.is_whole
    }

    #[track_caller]
    fn read(mut output: &[u8], is_head: bool) -> TestResponse {
        loop {
            let mut slots = [httparse::EMPTY_HEADER; 256];
            let mut head = httparse::Response::new(&mut slots);
            let Ok(httparse::Status::Complete(length)) = head.parse(output) else {
                panic!("this is no response: {:?}", String::from_utf8_lossy(output));
            };
            output = &output[length..];
            let status = head.code.and_then(|code| StatusCode::from_u16(code).ok()).expect("a status");
            if status == StatusCode::CONTINUE {
                continue;
            }
            let mut headers = HeaderMap::new();
            for field in head.headers.iter() {
                let name: HeaderName = field.name.parse().expect("a header name");
                headers.append(name, HeaderValue::from_bytes(field.value).expect("a header value"));
            }
            let bare = is_head || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
            let (body, is_whole) = if bare { (Vec::new(), true) } else { body(&headers, output) };
            return TestResponse { status, headers, body, is_whole };
        }
    }
}

/// The body behind a head with these headers, and whether it came to its end.
fn body(headers: &HeaderMap, rest: &[u8]) -> (Vec<u8>, bool) {
    if headers.contains_key(header::TRANSFER_ENCODING) {
        return unchunk(rest);
    }
    let length = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let length = length.unwrap_or(rest.len());
    (rest[..length.min(rest.len())].to_vec(), rest.len() >= length)
}

fn unchunk(mut rest: &[u8]) -> (Vec<u8>, bool) {
    let (mut decoder, mut data) = (Chunked::new(u64::MAX, usize::MAX), Vec::new());
    while !rest.is_empty() && !decoder.is_done() {
        let used = if decoder.is_data_ended() {
            decoder.read_trailers(rest)
        } else if let left @ 1.. = decoder.data_left() {
            let count = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
            data.extend_from_slice(&rest[..count]);
            decoder.take_data(count as u64);
            Ok(count)
        } else {
            decoder.read_framing(rest)
        };
        let Ok(used) = used else { return (data, false) };
        rest = &rest[used..];
    }
    (data, decoder.is_done())
}
