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
    ///
    /// ```
    /// use greenloop::http::{Request, Router, TestClient};
    ///
    /// let app = Router::new().get("/", |_: &mut Request<'_>| "home");
    /// assert_eq!(TestClient::new(app).get("/").send().text(), "home");
    /// ```
    pub fn new(handler: H) -> TestClient<H> {
        let reports = Rc::new(RefCell::new(Vec::new()));
        let sink = reports.clone();
        let config = Config::new().on_error(move |line| sink.borrow_mut().push(line.to_string()));
        TestClient { handler, config, reports }
    }

    /// Sets the limits of the connections.
    ///
    /// ```
    /// use greenloop::http::{Limits, Request, TestClient};
    ///
    /// let client = TestClient::new(|_: &mut Request<'_>| "taken").limits(Limits::new().max_body(4));
    /// assert_eq!(client.post("/").body("tea").send().status(), 200);
    /// assert_eq!(client.post("/").body("coffee").send().status(), 413);
    /// ```
    pub fn limits(mut self, limits: Limits) -> TestClient<H> {
        self.config = self.config.limits(limits);
        self
    }

    /// A `GET` request.
    ///
    /// ```
    /// use greenloop::http::{Request, TestClient};
    ///
    /// let client = TestClient::new(|request: &mut Request<'_>| format!("{} {}", request.method(), request.target()));
    /// assert_eq!(client.get("/tea?kind=mint").send().text(), "GET /tea?kind=mint");
    /// ```
    pub fn get(&self, target: &str) -> TestRequest<'_, H> {
        self.request(Method::GET, target)
    }

    /// A `HEAD` request.
    ///
    /// ```
    /// use greenloop::http::{Request, TestClient};
    ///
    /// let answer = TestClient::new(|_: &mut Request<'_>| "hello").head("/").send();
    /// assert_eq!((answer.header("content-length"), answer.text()), (Some("5"), ""));
    /// ```
    pub fn head(&self, target: &str) -> TestRequest<'_, H> {
        self.request(Method::HEAD, target)
    }

    /// A `POST` request.
    ///
    /// ```
    /// use greenloop::http::{Request, TestClient};
    ///
    /// let client = TestClient::new(|request: &mut Request<'_>| Ok(request.form()?.get("name").unwrap_or("nobody").to_string()));
    /// let form = client.post("/").header("Content-Type", "application/x-www-form-urlencoded").body("name=Alice");
    /// assert_eq!(form.send().text(), "Alice");
    /// ```
    pub fn post(&self, target: &str) -> TestRequest<'_, H> {
        self.request(Method::POST, target)
    }

    /// A `PUT` request.
    ///
    /// ```
    /// use greenloop::http::{Request, TestClient};
    ///
    /// let client = TestClient::new(|request: &mut Request<'_>| format!("{} {:?}", request.method(), request.body().len_hint()));
    /// assert_eq!(client.put("/things/7").body("new").send().text(), "PUT Some(3)");
    /// ```
    pub fn put(&self, target: &str) -> TestRequest<'_, H> {
        self.request(Method::PUT, target)
    }

    /// A `DELETE` request.
    ///
    /// ```
    /// use greenloop::http::{Request, TestClient};
    ///
    /// let client = TestClient::new(|request: &mut Request<'_>| format!("{} {}", request.method(), request.path()));
    /// assert_eq!(client.delete("/things/7").send().text(), "DELETE /things/7");
    /// ```
    pub fn delete(&self, target: &str) -> TestRequest<'_, H> {
        self.request(Method::DELETE, target)
    }

    /// A request with any method.
    ///
    /// ```
    /// use greenloop::http::{Method, Request, Router, TestClient};
    ///
    /// let client = TestClient::new(Router::new().get("/", |_: &mut Request<'_>| "home"));
    /// assert_eq!(client.request(Method::OPTIONS, "/").send().header("allow"), Some("GET, HEAD, OPTIONS"));
    /// ```
    pub fn request(&self, method: Method, target: &str) -> TestRequest<'_, H> {
        TestRequest { client: self, method, target: target.into(), headers: HeaderMap::new(), body: None }
    }

    /// The failures of the handler that were reported since this was last called.
    ///
    /// ```
    /// use greenloop::http::{Request, TestClient};
    ///
    /// let client = TestClient::new(|_: &mut Request<'_>| Ok("seven".parse::<u32>()?.to_string()));
    /// assert_eq!(client.get("/").send().status(), 500);
    /// assert_eq!(client.reports(), ["GET / HTTP/1.1: invalid digit found in string"]);
    /// assert!(client.reports().is_empty());
    /// ```
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
///
/// ```
/// use greenloop::http::{Request, TestClient};
///
/// let client = TestClient::new(|request: &mut Request<'_>| request.header("accept").unwrap_or("*/*").to_string());
/// let request = client.get("/").header("Accept", "text/html");
/// assert_eq!(request.send().text(), "text/html");
/// ```
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
    ///
    /// ```
    /// use greenloop::http::{Request, TestClient};
    ///
    /// let client = TestClient::new(|request: &mut Request<'_>| request.header_all("cookie").count().to_string());
    /// assert_eq!(client.get("/").header("Cookie", "a=1").header("Cookie", "b=2").send().text(), "2");
    /// ```
    #[track_caller]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let Ok(name) = name.parse::<HeaderName>() else { panic!("`{name}` is no header name") };
        let Ok(value) = HeaderValue::from_str(value) else { panic!("{value:?} is no header value") };
        self.headers.append(name, value);
        self
    }

    /// Sets the body, which is sent with its `Content-Length`.
    ///
    /// ```
    /// use greenloop::http::{Request, TestClient};
    ///
    /// let client = TestClient::new(|request: &mut Request<'_>| request.header("content-length").unwrap_or("none").to_string());
    /// assert_eq!(client.post("/").body("hello").send().text(), "5");
    /// assert_eq!(client.post("/").send().text(), "none");
    /// ```
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
    ///
    /// ```
    /// use greenloop::http::{Request, StatusCode, TestClient};
    ///
    /// let client = TestClient::new(|_: &mut Request<'_>| StatusCode::IM_A_TEAPOT);
    /// let answer = client.get("/").send();
    /// assert_eq!(answer.status(), 418);
    /// ```
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
///
/// ```
/// use greenloop::http::{Request, StatusCode, TestClient};
///
/// let client = TestClient::new(|_: &mut Request<'_>| (StatusCode::NOT_FOUND, "no tea"));
/// let answer = client.get("/tea").send();
/// assert_eq!((answer.status(), answer.text()), (StatusCode::NOT_FOUND, "no tea"));
/// ```
#[derive(Debug, Clone)]
pub struct TestResponse {
    status: StatusCode,
    headers: HeaderMap,
    body: Vec<u8>,
    is_whole: bool,
}

impl TestResponse {
    /// The status.
    ///
    /// ```
    /// use greenloop::http::{Request, TestClient};
    ///
    /// let client = TestClient::new(|_: &mut Request<'_>| "hello");
    /// assert!(client.get("/").send().status().is_success());
    /// ```
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The first value of a header, if there is one and it is text.
    ///
    /// ```
    /// use greenloop::http::{Request, TestClient};
    ///
    /// let answer = TestClient::new(|_: &mut Request<'_>| "hello").get("/").send();
    /// assert_eq!(answer.header("Content-Type"), Some("text/plain; charset=utf-8"));
    /// assert_eq!(answer.header("Location"), None);
    /// ```
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// All headers, those of the server as well.
    ///
    /// ```
    /// use greenloop::http::{Request, TestClient, header};
    ///
    /// let answer = TestClient::new(|_: &mut Request<'_>| "hello").get("/").send();
    /// assert!(answer.headers().contains_key(header::DATE));
    /// ```
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The body, after the removal of chunk framing.
    ///
    /// ```
    /// use greenloop::http::{Body, Request, TestClient};
    ///
    /// let answer = TestClient::new(|_: &mut Request<'_>| Body::stream([[1, 2], [3, 4]])).get("/").send();
    /// assert_eq!(answer.body(), [1, 2, 3, 4]);
    /// ```
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// The body as text.
    ///
    /// # Panics
    /// If it is not UTF-8.
    ///
    /// ```
    /// use greenloop::http::{Request, TestClient};
    ///
    /// let answer = TestClient::new(|_: &mut Request<'_>| "tea").get("/").send();
    /// assert_eq!(answer.text(), "tea");
    /// ```
    #[track_caller]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the body is not text")
    }

    /// Whether the body came to its end. A stream that fails on the way is cut off.
    ///
    /// ```
    /// use greenloop::http::{Body, Request, TestClient};
    /// use std::io::Write;
    ///
    /// let client = TestClient::new(|_: &mut Request<'_>| {
    ///     Body::writer(|out| {
    ///         out.write_all(b"so far, so good")?;
    ///         Err("no more".into())
    ///     })
    /// });
    /// let answer = client.get("/").send();
    /// assert_eq!((answer.is_whole(), answer.text()), (false, "so far, so good"));
    /// ```
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
