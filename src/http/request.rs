//! A request as a handler sees it.

use super::head::Head;
use super::params::{self, Params};
use super::request_body::RequestBody;
use super::transport::TlsInfo;
use ::http::uri::InvalidUri;
use ::http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, Version};
use std::borrow::Cow;
use std::cell::OnceCell;
use std::fmt;
use std::net::SocketAddr;

/// A request: its head, and its body as a reader.
///
/// What the head says can be kept while the body is read; nothing is copied or decoded before it is asked
/// for. Header names are taken as they were sent (apart from case): one with an underscore is just another
/// name.
///
/// ```
/// use greenloop::http::{self, Request};
///
/// let app = |request: &mut Request<'_>| {
///     let name = request.query().unwrap_or("nobody");
///     format!("{} {} for {name}, {:?}", request.method(), request.path(), request.header("x-mood"))
/// };
/// let answer = http::exchange(&app, b"GET /tea?alice HTTP/1.1\r\nHost: h\r\nX-Mood: good\r\n\r\n");
/// assert!(answer.ends_with(b"GET /tea for alice, Some(\"good\")"));
/// ```
pub struct Request<'a> {
    head: &'a Head,
    body: RequestBody<'a>,
    peer: Option<SocketAddr>,
    headers: OnceCell<Box<HeaderMap>>,
    params: Option<Params>,
}

impl<'a> Request<'a> {
    pub(crate) fn new(head: &'a Head, body: RequestBody<'a>, peer: Option<SocketAddr>) -> Request<'a> {
        Request { head, body, peer, headers: OnceCell::new(), params: None }
    }

    pub(super) fn set_params(&mut self, params: Params) {
        self.params = Some(params);
    }

    /// The method: any token, in the case it was sent.
    ///
    /// ```
    /// use greenloop::http::{Method, Request, TestClient};
    ///
    /// let client = TestClient::new(|request: &mut Request<'_>| if request.method() == Method::PUT { "stored" } else { "no" });
    /// assert_eq!(client.put("/").body("tea").send().text(), "stored");
    /// ```
    pub fn method(&self) -> &'a Method {
        self.head.method()
    }

    /// The request target as it was sent: `/path?query`, `http://host/path?query`, `*` or `host:port`.
    ///
    /// ```
    /// use greenloop::http::{self, Request};
    ///
    /// let app = |request: &mut Request<'_>| request.target().to_string();
    /// assert!(http::exchange(&app, b"GET http://h/a?b HTTP/1.1\r\n\r\n").ends_with(b"\r\n\r\nhttp://h/a?b"));
    /// ```
    pub fn target(&self) -> &'a str {
        self.head.target()
    }

    /// The path of the target as it was sent, percent-encoding and all; `/` where the target has none.
    ///
    /// ```
    /// use greenloop::http::{self, Request};
    ///
    /// let app = |request: &mut Request<'_>| request.path().to_string();
    /// assert!(http::exchange(&app, b"GET http://h/a%20b?c HTTP/1.1\r\n\r\n").ends_with(b"\r\n\r\n/a%20b"));
    /// ```
    pub fn path(&self) -> &'a str {
        self.head.path()
    }

    /// What follows the first `?` of the target, as it was sent.
    ///
    /// ```
    /// use greenloop::http::{Request, TestClient};
    ///
    /// let client = TestClient::new(|request: &mut Request<'_>| format!("{:?}", request.query()));
    /// assert_eq!(client.get("/tea?kind=earl%20grey").send().text(), r#"Some("kind=earl%20grey")"#);
    /// assert_eq!(client.get("/tea").send().text(), "None");
    /// ```
    pub fn query(&self) -> Option<&'a str> {
        self.head.query()
    }

    /// The host that the request is for, with its port if that was sent: of the target, where that names one, whatever the `Host` header
    /// says (RFC 9112, 3.2.2); otherwise of the `Host` header. `None` if neither names a host. It is what the client claims, in the case
    /// that it was sent.
    ///
    /// ```
    /// use greenloop::http::{self, Request};
    ///
    /// let app = |request: &mut Request<'_>| request.host().unwrap_or("nobody").to_string();
    /// assert!(http::exchange(&app, b"GET / HTTP/1.1\r\nHost: h:8080\r\n\r\n").ends_with(b"\r\n\r\nh:8080"));
    /// assert!(http::exchange(&app, b"GET http://a/b HTTP/1.1\r\nHost: h\r\n\r\n").ends_with(b"\r\n\r\na"));
    /// assert!(http::exchange(&app, b"GET / HTTP/1.1\r\n\r\n").ends_with(b"\r\n\r\nnobody"));
    /// ```
    pub fn host(&self) -> Option<&'a str> {
        let target = self.target();
        if self.method() == Method::CONNECT {
            return Some(target);
        }
        if target.starts_with('/') || target == "*" {
            return self.header("host").filter(|host| !host.is_empty());
        }
        let (_, rest) = target.split_once("://")?;
        Some(&rest[..rest.find(['/', '?']).unwrap_or(rest.len())])
    }

    /// The target, taken apart anew with each call.
    ///
    /// # Errors
    /// If it has characters that a URL has only encoded, such as `"` or `<`, which browsers send nevertheless.
    ///
    /// ```
    /// use greenloop::http::{self, Request};
    ///
    /// let app = |request: &mut Request<'_>| Ok(request.uri()?.host().unwrap_or("no host").to_string());
    /// assert!(http::exchange(&app, b"GET http://example.org/a?b HTTP/1.1\r\n\r\n").ends_with(b"example.org"));
    /// assert!(http::exchange(&app, b"GET /a?b HTTP/1.1\r\n\r\n").ends_with(b"no host"));
    /// ```
    pub fn uri(&self) -> Result<Uri, InvalidUri> {
        self.target().parse()
    }

    /// What stands in the path in place of a parameter of the route, percent-decoded: `7` for `id`, if the pattern is
    /// `/things/{id}` and the path `/things/7`. `None` if the route has no such parameter. See [`Router`](super::Router).
    ///
    /// ```
    /// use greenloop::http::{Request, Router, TestClient};
    ///
    /// let app = Router::new().get("/things/{id}", |request: &mut Request<'_>| request.param("id").unwrap().into_owned());
    /// assert_eq!(TestClient::new(app).get("/things/a%20b").send().text(), "a b");
    /// ```
    pub fn param(&self, name: &str) -> Option<Cow<'a, str>> {
        let place = self.params.as_ref()?.place(name)?;
        params::decode(&self.path()[place])
    }

    /// The version that the client speaks, 1.0 or 1.1.
    ///
    /// ```
    /// use greenloop::http::{self, Request, Version};
    ///
    /// let app = |request: &mut Request<'_>| if request.version() == Version::HTTP_10 { "old" } else { "new" };
    /// assert!(http::exchange(&app, b"GET / HTTP/1.0\r\n\r\n").ends_with(b"\r\n\r\nold"));
    /// ```
    pub fn version(&self) -> Version {
        self.head.version()
    }

    /// The first value of a header, whatever the case of its name. `None` if there is none, or if its value
    /// is not UTF-8 (see [`header_all`](Request::header_all) for those).
    ///
    /// ```
    /// use greenloop::http::{Request, TestClient};
    ///
    /// let client = TestClient::new(|request: &mut Request<'_>| request.header("ACCEPT").unwrap_or("anything").to_string());
    /// assert_eq!(client.get("/").header("Accept", "text/html").send().text(), "text/html");
    /// assert_eq!(client.get("/").send().text(), "anything");
    /// ```
    pub fn header(&self, name: &str) -> Option<&'a str> {
        self.header_all(name).next().and_then(|value| std::str::from_utf8(value).ok())
    }

    /// All values of a header in the order they were sent, as bytes without surrounding blanks.
    ///
    /// ```
    /// use greenloop::http::{Request, TestClient};
    ///
    /// let app = |request: &mut Request<'_>| request.header_all("x-tag").collect::<Vec<_>>().join(&b'+');
    /// let answer = TestClient::new(app).get("/").header("X-Tag", "a").header("X-Tag", "b").send();
    /// assert_eq!(answer.text(), "a+b");
    /// ```
    pub fn header_all<'n>(&self, name: &'n str) -> impl Iterator<Item = &'a [u8]> + use<'a, 'n> {
        let fields = self.head.fields();
        fields.filter(move |(known, _)| known.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value)
    }

    /// All headers as a map, which is built when this is first called. It has room for 24,576 names; if
    /// [`Limits::max_headers`](super::Limits::max_headers) allows more, the last are only found by [`header_all`](Request::header_all).
    ///
    /// ```
    /// use greenloop::http::{Request, TestClient, header};
    ///
    /// let app = |request: &mut Request<'_>| {
    ///     let headers = request.headers();
    ///     format!("{} of {}", headers.contains_key(header::COOKIE), headers.len())
    /// };
    /// // The other one is `Host`.
    /// assert_eq!(TestClient::new(app).get("/").header("Cookie", "a=1").send().text(), "true of 2");
    /// ```
    pub fn headers(&self) -> &HeaderMap {
        self.headers.get_or_init(|| {
            let mut map = HeaderMap::new();
            for (name, value) in self.head.fields() {
                if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name), HeaderValue::from_bytes(value))
                {
                    let _ = map.try_append(name, value);
                }
            }
            Box::new(map)
        })
    }

    /// The address at the other end of the connection. Headers such as `X-Forwarded-For` are not looked at.
    ///
    /// ```
    /// use greenloop::http::{Request, TestClient};
    ///
    /// let client = TestClient::new(|request: &mut Request<'_>| match request.peer_addr() {
    ///     Some(address) => format!("hello, {}", address.ip()),
    ///     None => "hello, whoever you are".to_string(),
    /// });
    /// assert_eq!(client.get("/").send().text(), "hello, whoever you are"); // not by a socket
    /// ```
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.peer
    }

    /// What the TLS handshake has told; `None` if the connection is not by TLS.
    ///
    /// ```
    /// use greenloop::http::{self, Request};
    ///
    /// let app = |request: &mut Request<'_>| match request.tls() {
    ///     Some(tls) => format!("safe, at {}", tls.server_name().unwrap_or("a server without a name")),
    ///     None => "not safe".to_string(),
    /// };
    /// assert!(http::exchange(&app, b"GET / HTTP/1.1\r\n\r\n").ends_with(b"not safe"));
    /// ```
    pub fn tls(&self) -> Option<TlsInfo<'_>> {
        self.body.transport().tls()
    }

    /// The body.
    ///
    /// ```
    /// use greenloop::http::{Request, TestClient};
    /// use std::io::Read;
    ///
    /// let client = TestClient::new(|request: &mut Request<'_>| {
    ///     let mut bytes = Vec::new();
    ///     request.body().take(4).read_to_end(&mut bytes)?;
    ///     Ok(bytes)
    /// });
    /// assert_eq!(client.post("/").body("a long story").send().text(), "a lo");
    /// ```
    pub fn body(&mut self) -> &mut RequestBody<'a> {
        &mut self.body
    }
}

/// Shows the head. The values of headers that carry secrets are hidden: cookies, and all whose names speak of authorization, tokens, keys,
/// secrets, signatures, sessions or passwords, such as `Authorization` and `X-Api-Key`.
impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("method", self.method())
            .field("target", &self.target())
            .field("version", &self.version())
            .field("headers", &Fields(self.head))
            .field("peer", &self.peer)
            .field("body", &self.body)
            .finish()
    }
}

struct Fields<'a>(&'a Head);

impl fmt::Debug for Fields<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = self.0.fields().map(|(name, value)| {
            let name = String::from_utf8_lossy(name);
            let value = if is_secret(&name) { "<hidden>".into() } else { String::from_utf8_lossy(value) };
            (name, value)
        });
        f.debug_map().entries(fields).finish()
    }
}

/// There is a standard for few of the headers that carry secrets. To hide one too many does no harm.
fn is_secret(name: &str) -> bool {
    const SIGNS: [&str; 8] = ["auth", "cookie", "token", "key", "secret", "signature", "session", "passw"];
    let name = name.to_ascii_lowercase();
    SIGNS.iter().any(|sign| name.contains(sign))
}
