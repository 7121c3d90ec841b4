//! What can go wrong in an exchange: the mistakes of a peer, each with its status, and the failures of a
//! handler.

use ::http::StatusCode;
use std::fmt;
use std::io;

/// A mistake of the peer. Each ends the connection, after a short answer where one can still be given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HttpError {
    RequestLine,
    Target,
    Header,
    LineEnd,
    Truncated,
    Host,
    ContentLength,
    LengthAndChunked,
    HeadWithBody,
    TransferEncoding,
    UnknownCoding,
    Chunk,
    ChunkExtension,
    Trailer,
    BodyTruncated,
    ChunkedTruncated,
    BodyTooLarge,
    TooManyPairs,
    RequestLineTooLong,
    HeadTooLarge,
    TooManyHeaders,
    HeadTimeout,
    BodyTimeout,
    Expectation,
    MediaType,
    Utf8,
    Version,
    Busy,
}

impl HttpError {
    /// The status of the answer.
    pub(crate) fn status(self) -> StatusCode {
        use HttpError::*;
        match self {
            RequestLine | Target | Header | LineEnd | Truncated | Host | ContentLength | LengthAndChunked
            | HeadWithBody | TransferEncoding | Chunk | ChunkExtension | Trailer | BodyTruncated
            | ChunkedTruncated | Utf8 => StatusCode::BAD_REQUEST,
            HeadTimeout | BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            BodyTooLarge | TooManyPairs => StatusCode::PAYLOAD_TOO_LARGE,
            RequestLineTooLong => StatusCode::URI_TOO_LONG,
            Expectation => StatusCode::EXPECTATION_FAILED,
            MediaType => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            HeadTooLarge | TooManyHeaders => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            UnknownCoding => StatusCode::NOT_IMPLEMENTED,
            Version => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            Busy => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// The line that tells the peer what was wrong.
    pub(crate) fn text(self) -> &'static str {
        use HttpError::*;
        match self {
            RequestLine => "malformed request line",
            Target => "malformed request target",
            Header => "malformed header field",
            LineEnd => "a line must end with CR LF",
            Truncated => "the request ended in the middle of its head",
            Host => "malformed or repeated Host header",
            ContentLength => "malformed or repeated Content-Length header",
            LengthAndChunked => "Content-Length and Transfer-Encoding exclude each other",
            HeadWithBody => "a HEAD request must have no body",
            TransferEncoding => "malformed Transfer-Encoding header",
            UnknownCoding => "unknown transfer coding",
            Chunk => "malformed chunk",
            ChunkExtension => "the chunk extensions are too large",
            Trailer => "malformed or too large trailer section",
            BodyTruncated => "unexpected end of file while reading the request body",
            ChunkedTruncated => "unexpected end of file while parsing chunked data",
            BodyTooLarge => "the request body is too large",
            TooManyPairs => "the form has too many fields",
            RequestLineTooLong => "the request line is too long",
            HeadTooLarge => "the request head is too large",
            TooManyHeaders => "the request has too many header fields",
            HeadTimeout => "the request head took too long",
            BodyTimeout => "the request body took too long",
            Expectation => "unknown expectation",
            MediaType => "the body is no application/x-www-form-urlencoded",
            Utf8 => "the request body is not UTF-8",
            Busy => "the server has too many connections",
            Version => "only HTTP/1.0 and HTTP/1.1 are spoken here",
        }
    }

    /// The error that a reader of the body sees.
    pub(crate) fn into_io(self) -> io::Error {
        use HttpError::*;
        let kind = match self {
            BodyTruncated | ChunkedTruncated => io::ErrorKind::UnexpectedEof,
            BodyTimeout => io::ErrorKind::TimedOut,
            _ => io::ErrorKind::InvalidData,
        };
        io::Error::new(kind, self)
    }

    /// What a reader of the body sees where the transport has failed. Whatever it says, the rest of the body will not come.
    pub(crate) fn cut_off_by(transport: io::Error) -> io::Error {
        io::Error::new(transport.kind(), CutOff(transport))
    }

    /// The fault that has made a read of a body fail, if it was one.
    pub(crate) fn inside(error: &io::Error) -> Option<HttpError> {
        let inner = error.get_ref()?;
        let fault = inner.downcast_ref().copied();
        fault.or_else(|| inner.is::<CutOff>().then_some(HttpError::BodyTruncated))
    }

    /// Is this the text of a failure that the fault has led to? Errors of all kinds quote those that they are made of, and only few of them
    /// can be asked for them.
    pub(crate) fn is_told_in(self, text: &str) -> bool {
        text.contains(self.text())
    }
}

/// [`HttpError::BodyTruncated`], and what has truncated it.
#[derive(Debug)]
struct CutOff(io::Error);

impl fmt::Display for CutOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", HttpError::BodyTruncated, self.0)
    }
}

impl std::error::Error for CutOff {}

impl fmt::Display for HttpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl std::error::Error for HttpError {}

/// Why a handler could not answer.
///
/// Any error converts into it, so `?` works in a handler on whatever fails there. The client gets a 500
/// without the text; the text goes, once, to the server's error report. A handler that fails because the
/// *request* was at fault (its body was malformed, late or too large) is answered with that fault's status
/// instead, and nothing is reported. That is so if the error is the one that a read of the body gave, or quotes it, as errors do
/// that are made of others (`format!("no upload: {error}")`); a failure of another kind behind it is the handler's own.
///
/// ```
/// use greenloop::http::{self, Request};
/// use std::io::Read;
///
/// fn length(request: &mut Request<'_>) -> http::Result<String> {
///     let mut text = String::new();
///     request.body().read_to_string(&mut text)?;
///     let number: u32 = text.trim().parse()?;
///     if number == 0 {
///         return Err("zero is not allowed".into());
///     }
///     Ok(number.to_string())
/// }
/// # let post = b"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\n42";
/// # assert!(http::exchange(&length, post).ends_with(b"\r\n\r\n42"));
/// ```
pub struct Error(Box<dyn std::error::Error>);

/// What a handler returns that may fail: `http::Result<String>`, for example.
///
/// ```
/// use greenloop::http::{self, Request, TestClient};
///
/// fn double(request: &mut Request<'_>) -> http::Result<String> {
///     let number: u32 = request.query().ok_or("no number")?.parse()?;
///     Ok((number * 2).to_string())
/// }
///
/// let client = TestClient::new(double);
/// assert_eq!(client.get("/?21").send().text(), "42");
/// assert_eq!(client.get("/").send().status(), 500);
/// assert_eq!(client.reports(), ["GET / HTTP/1.1: no number"]);
/// ```
pub type Result<T> = std::result::Result<T, Error>;

impl<E: Into<Box<dyn std::error::Error>>> From<E> for Error {
    fn from(error: E) -> Error {
        Error(error.into())
    }
}

impl Error {
    /// See [`HttpError::inside`].
    pub(crate) fn fault(&self) -> Option<HttpError> {
        HttpError::inside(self.0.downcast_ref()?)
    }

    /// Does it only say that the peer is gone, or has not kept to the protocol?
    pub(crate) fn is_peer_gone(&self) -> bool {
        let io = self.0.downcast_ref::<io::Error>();
        #[cfg(feature = "websocket")]
        if let Some(error) = self.0.downcast_ref().or_else(|| io?.get_ref()?.downcast_ref()) {
            return super::WebSocketError::is_peer_gone(error);
        }
        io.is_some_and(|error| is_peer_gone(error.kind()))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(cause) = source {
            write!(f, ": {cause}")?;
            source = cause.source();
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Whether an error of a transport only says that the peer is gone or does not take part any more.
pub(crate) fn is_peer_gone(kind: io::ErrorKind) -> bool {
    use io::ErrorKind::*;
    matches!(
        kind,
        BrokenPipe
            | ConnectionReset
            | ConnectionAborted
            | NotConnected
            | UnexpectedEof
            | WriteZero
            | TimedOut
            | WouldBlock
            | HostUnreachable
            | NetworkUnreachable
            | NetworkDown
    )
}

/// Whether an error of a transport says that its timeout passed (a blocking std socket says `WouldBlock`).
pub(crate) fn is_timeout(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock)
}
