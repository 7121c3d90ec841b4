//! A response as a handler makes it, and what else a handler may return in its place.

use super::error::{Error, HttpError};
use super::request::Request;
use super::response_body::Body;
use super::upgrade::TakeOver;
use crate::queue::Queue;
use ::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use std::fmt;
use std::sync::LazyLock;

/// A response: a status, headers and a body.
///
/// The server adds what the protocol asks for (`Content-Length` or `Transfer-Encoding`, `Date`, `Connection`)
/// and a `Content-Type` for text and bytes, unless the handler has set its own. No header of these is ever
/// sent twice.
///
/// ```
/// use greenloop::http::{self, Request, Response, StatusCode};
///
/// let app = |_: &mut Request<'_>| {
///     Response::new(StatusCode::CREATED).header("Location", "/things/7").body("made\n")
/// };
/// let answer = String::from_utf8(http::exchange(&app, b"POST /things HTTP/1.1\r\n\r\n")).unwrap();
/// assert!(answer.starts_with("HTTP/1.1 201 Created\r\n"));
/// assert!(answer.contains("\r\nlocation: /things/7\r\n") && answer.contains("\r\nContent-Length: 5\r\n"));
/// ```
pub struct Response {
    pub(crate) status: StatusCode,
    /// Made with the first: most responses have none of their own, and a map is large to carry about.
    headers: Option<Box<HeaderMap>>,
    pub(crate) body: Body,
    /// Why this is no response, to be reported.
    pub(crate) failure: Option<Box<str>>,
    /// What gets the connection when the head has left.
    pub(crate) take_over: Option<TakeOver>,
}

impl Response {
    /// A response with this status, without headers of its own and without a body.
    ///
    /// ```
    /// use greenloop::http::{Response, StatusCode};
    ///
    /// let response = Response::new(StatusCode::NO_CONTENT);
    /// assert_eq!(response.status(), 204);
    /// assert!(response.headers().is_empty());
    /// ```
    pub fn new(status: StatusCode) -> Response {
        Response { status, headers: None, body: Body::empty(), failure: None, take_over: None }
    }

    /// The answer to a failure of the handler: 500, with `report` for the server's eyes only.
    pub(crate) fn failed(report: impl Into<Box<str>>) -> Response {
        let status = StatusCode::INTERNAL_SERVER_ERROR;
        Response { failure: Some(report.into()), ..Response::new(status).body("500 Internal Server Error\n") }
    }

    /// Is it no more than an answer?
    #[inline]
    pub(crate) fn is_usual(&self) -> bool {
        self.failure.is_none() && self.take_over.is_none()
    }

    /// The answer to a fault of the peer.
    pub(crate) fn refusal(fault: HttpError) -> Response {
        let response = Response::new(fault.status()).body(format!("{}\n", fault.text()));
        if fault == HttpError::Busy { response.header("Retry-After", "1") } else { response }
    }

    /// Adds a header; one of the same name that is there already is replaced, save for `Set-Cookie`.
    ///
    /// A name that is no token and a value with control characters (CR, LF and NUL above all) or beyond ASCII
    /// are refused: the response becomes a 500, and the reason is reported. Where names or values come from
    /// outside, make a [`HeaderValue`] of them first and handle its error; one put in by
    /// [`headers_mut`](Response::headers_mut) may have bytes beyond ASCII.
    ///
    /// ```
    /// use greenloop::http::{Request, Response, StatusCode, TestClient};
    ///
    /// let client = TestClient::new(|request: &mut Request<'_>| match request.path() {
    ///     "/" => Response::new(StatusCode::FOUND).header("Location", "/home"),
    ///     _ => Response::new(StatusCode::FOUND).header("Location", "/home\r\nSet-Cookie: a=1"),
    /// });
    /// assert_eq!(client.get("/").send().header("location"), Some("/home"));
    /// assert_eq!(client.get("/evil").send().status(), StatusCode::INTERNAL_SERVER_ERROR);
    /// assert!(client.reports()[0].contains("malformed value of the response header `location`"));
    /// ```
    pub fn header<N, V>(mut self, name: N, value: V) -> Response
    where
        N: TryInto<HeaderName, Error: fmt::Display>,
        V: TryInto<HeaderValue, Error: fmt::Display>,
    {
        match name.try_into() {
            Err(error) => self.refuse(format!("malformed response header name: {error}")),
            Ok(name) => match value.try_into() {
                Err(error) => {
                    self.refuse(format!("malformed value of the response header `{name}`: {error}"))
                }
                Ok(value) if !value.as_bytes().is_ascii() => self.refuse(format!(
                    "malformed value of the response header `{name}`: {value:?} is not ASCII"
                )),
                Ok(value) if name == ::http::header::SET_COOKIE => {
                    self.headers_mut().append(name, value);
                }
                Ok(value) => {
                    self.headers_mut().insert(name, value);
                }
            },
        }
        self
    }

    fn refuse(&mut self, report: String) {
        self.failure.get_or_insert(report.into());
    }

    /// Sets the body.
    ///
    /// ```
    /// use greenloop::http::{Body, Request, Response, StatusCode, TestClient};
    ///
    /// let client = TestClient::new(|_: &mut Request<'_>| {
    ///     Response::new(StatusCode::OK).header("Content-Type", "text/csv").body(Body::stream(["a,b\n", "1,2\n"]))
    /// });
    /// assert_eq!(client.get("/").send().text(), "a,b\n1,2\n");
    /// ```
    pub fn body(self, body: impl Into<Body>) -> Response {
        Response { body: body.into(), ..self }
    }

    /// The status.
    ///
    /// ```
    /// use greenloop::http::{IntoResponse, StatusCode};
    ///
    /// assert_eq!("hello".into_response().status(), StatusCode::OK);
    /// assert_eq!((StatusCode::GONE, "it was here").into_response().status(), StatusCode::GONE);
    /// ```
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The status, to be changed.
    ///
    /// ```
    /// use greenloop::http::{IntoResponse, StatusCode};
    ///
    /// let mut response = "brewing".into_response();
    /// *response.status_mut() = StatusCode::ACCEPTED;
    /// assert_eq!(response.status(), 202);
    /// ```
    pub fn status_mut(&mut self) -> &mut StatusCode {
        &mut self.status
    }

    /// The headers that were set.
    ///
    /// ```
    /// use greenloop::http::{Response, StatusCode, header};
    ///
    /// let response = Response::new(StatusCode::OK).header("Content-Type", "text/html");
    /// assert_eq!(response.headers()[header::CONTENT_TYPE], "text/html");
    /// ```
    pub fn headers(&self) -> &HeaderMap {
        static NONE: LazyLock<HeaderMap> = LazyLock::new(HeaderMap::new);
        self.own_headers().unwrap_or(&NONE)
    }

    /// The headers that were set, if there are any.
    #[inline]
    pub(crate) fn own_headers(&self) -> Option<&HeaderMap> {
        self.headers.as_deref().filter(|headers| !headers.is_empty())
    }

    /// The headers, to be changed.
    ///
    /// ```
    /// use greenloop::http::{HeaderValue, IntoResponse, header};
    ///
    /// let mut response = "hello".into_response().header("Vary", "Accept");
    /// response.headers_mut().append(header::VARY, HeaderValue::from_static("Cookie"));
    /// assert_eq!(response.headers().get_all(header::VARY).iter().count(), 2);
    /// ```
    pub fn headers_mut(&mut self) -> &mut HeaderMap {
        self.headers.get_or_insert_default()
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.headers().keys().collect();
        let mut shown = f.debug_struct("Response");
        shown.field("status", &self.status).field("headers", &names).field("body", &self.body);
        if let Some(failure) = &self.failure {
            shown.field("failure", failure);
        }
        shown.finish_non_exhaustive()
    }
}

/// What a handler may return.
///
/// Text is `text/plain; charset=utf-8`, bytes are `application/octet-stream`, a status alone has no body, a
/// pair is a status with something else, and a [`Result`](super::Result) is its value or a 500.
///
/// ```
/// use greenloop::http::{Body, IntoResponse, Response, StatusCode};
///
/// /// A page of our own making.
/// struct Page(String);
///
/// impl IntoResponse for Page {
///     fn into_response(self) -> Response {
///         Response::new(StatusCode::OK).header("Content-Type", "text/html").body(self.0)
///     }
/// }
/// assert_eq!(Page("<p>hi".into()).into_response().status(), 200);
/// assert_eq!((StatusCode::NOT_FOUND, "no such page").into_response().status(), 404);
/// ```
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no response",
    note = "a handler that may fail returns `greenloop::http::Result<T>`: any error converts into its error by `?`"
)]
pub trait IntoResponse {
    /// Makes the response.
    fn into_response(self) -> Response;
}

impl IntoResponse for Response {
    fn into_response(self) -> Response {
        self
    }
}

impl IntoResponse for StatusCode {
    fn into_response(self) -> Response {
        Response::new(self)
    }
}

impl<T: IntoResponse> IntoResponse for (StatusCode, T) {
    fn into_response(self) -> Response {
        let response = self.1.into_response();
        // A failure stays one.
        let status = if response.failure.is_some() { response.status } else { self.0 };
        Response { status, ..response }
    }
}

// The only implementation for `Result` is for one error type, so that a closure with `?` in it needs no
// annotation.
impl<T: IntoResponse> IntoResponse for Result<T, Error> {
    fn into_response(self) -> Response {
        match self {
            Ok(value) => value.into_response(),
            Err(error) => Response::failed(error.to_string()),
        }
    }
}

macro_rules! bodies {
    ($([$($generics:tt)*] $type:ty;)*) => {
        $(impl<$($generics)*> IntoResponse for $type {
            fn into_response(self) -> Response {
                Response::new(StatusCode::OK).body(self)
            }
        })*
    };
}

bodies! {
    [] Body;
    [] &'static str;
    [] String;
    [] &'static [u8];
    [] Vec<u8>;
    [const N: usize] &'static [u8; N];
    [T: AsRef<[u8]> + 'static] Queue<T>;
}

/// What answers requests: a function or closure from `&mut Request` to anything that is [`IntoResponse`].
///
/// ```
/// use greenloop::http::{self, Request};
///
/// fn hello(_: &mut Request<'_>) -> &'static str {
///     "Hello, World!"
/// }
/// assert!(http::exchange(&hello, b"GET / HTTP/1.1\r\n\r\n").ends_with(b"\r\n\r\nHello, World!"));
/// ```
pub trait Handler {
    /// Answers one request.
    ///
    /// A panic is reported (see [`Config::on_error`](super::Config::on_error)), answered with 500 if nothing was sent yet, and closes the
    /// connection.
    fn handle(&self, request: &mut Request<'_>) -> Response;

    /// Answers one request in `place`, where nothing is yet.
    ///
    /// A response is put together field by field. To be given back past a place where a panic is caught it would be copied, in wider
    /// pieces, which the processor must wait for.
    #[doc(hidden)]
    fn answer(&self, request: &mut Request<'_>, place: &mut Option<Response>) {
        let before = place.replace(self.handle(request));
        debug_assert!(before.is_none());
        std::mem::forget(before);
    }
}

impl<F, R> Handler for F
where
    F: for<'r, 'c> Fn(&'r mut Request<'c>) -> R,
    R: IntoResponse,
{
    fn handle(&self, request: &mut Request<'_>) -> Response {
        self(request).into_response()
    }
}
