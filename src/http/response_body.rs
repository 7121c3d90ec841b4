//! The body of a response: nothing, bytes, or something that makes the bytes while they are sent.

use super::error::Result;
use super::pieces::{BodyWriter, Iter, Pieces, Queued, Reader, Writer};
use crate::queue::Queue;
use std::fmt;
use std::io::Read;

/// The body of a response.
///
/// A body of known size is sent with its `Content-Length`, small ones in one write with the head. A stream is
/// sent piece by piece as it is made, with chunked coding where the client understands it.
///
/// Text is `text/plain; charset=utf-8`, bytes are `application/octet-stream`, a stream has no type, unless
/// the response has a `Content-Type` header.
///
/// ```
/// use greenloop::http::{self, Body, Request};
///
/// let app = |_: &mut Request<'_>| Body::stream(["START", "END"]);
/// let answer = http::exchange(&app, b"GET / HTTP/1.1\r\n\r\n");
/// assert!(answer.ends_with(b"\r\n\r\n5\r\nSTART\r\n3\r\nEND\r\n0\r\n\r\n"));
/// ```
#[derive(Default)]
pub struct Body {
    pub(crate) content: Content,
    /// What it is, unless a header of the response says otherwise.
    pub(crate) content_type: Option<&'static str>,
}

const TEXT: Option<&str> = Some("text/plain; charset=utf-8");
const BYTES: Option<&str> = Some("application/octet-stream");

#[derive(Default)]
pub(crate) enum Content {
    #[default]
    Empty,
    Static(&'static [u8]),
    Owned(Vec<u8>),
    Pieces(Box<dyn Pieces>),
}

impl Body {
    /// No body.
    ///
    /// ```
    /// use greenloop::http::{Body, Request, TestClient};
    ///
    /// let answer = TestClient::new(|_: &mut Request<'_>| Body::empty()).get("/").send();
    /// assert_eq!((answer.status().as_u16(), answer.header("content-length")), (200, Some("0")));
    /// assert_eq!(answer.header("content-type"), None);
    /// ```
    pub fn empty() -> Body {
        Body::default()
    }

    /// A body of bytes.
    ///
    /// ```
    /// use greenloop::http::{Body, Request, TestClient};
    ///
    /// let answer = TestClient::new(|_: &mut Request<'_>| Body::bytes([0xca, 0xfe])).get("/").send();
    /// assert_eq!((answer.body(), answer.header("content-type")), (&[0xca, 0xfe][..], Some("application/octet-stream")));
    /// ```
    pub fn bytes(bytes: impl Into<Vec<u8>>) -> Body {
        Body::from(bytes.into())
    }

    pub(super) fn pieces(pieces: impl Pieces + 'static) -> Body {
        Body { content: Content::Pieces(Box::new(pieces)), content_type: None }
    }

    /// A body made of pieces: each is sent as soon as the iterator gives it, empty ones are passed over. One behind which nothing
    /// follows by the iterator's [`size_hint`](Iterator::size_hint) leaves together with the end.
    ///
    /// The iterator runs in the greenlet of the connection, after the handler has returned, and may park. It
    /// is dropped when it has ended, when the client has gone, and at once if the request was a `HEAD`. If it
    /// panics, the connection is cut off without the last chunk, so that the client can tell.
    ///
    /// To an HTTP/1.0 client, or with a `Content-Length` of the handler's own, the pieces are sent as they
    /// are. The end of the connection is then the end of what an HTTP/1.0 client gets; where the iterator panics, or is killed, the
    /// connection is reset instead, and over TLS ends without a `close_notify`, so that half of it does not look like all of it.
    ///
    /// ```
    /// use greenloop::http::{Body, Request, TestClient};
    ///
    /// let client = TestClient::new(|_: &mut Request<'_>| Body::stream((1..=3).map(|n| format!("line {n}\n"))));
    /// let answer = client.get("/").send();
    /// assert_eq!(answer.header("transfer-encoding"), Some("chunked"));
    /// assert_eq!(answer.text(), "line 1\nline 2\nline 3\n");
    /// ```
    pub fn stream<I>(pieces: I) -> Body
    where
        I: IntoIterator,
        I::IntoIter: 'static,
        I::Item: AsRef<[u8]>,
    {
        Body::pieces(Iter(pieces.into_iter()))
    }

    /// A body that is read from `reader` until its end. See [`Body::stream`] for when that happens; an error
    /// of the reader is reported and ends the response as a panic does.
    ///
    /// ```
    /// use greenloop::http::{Body, Request, TestClient};
    /// use std::io::Read;
    ///
    /// let client = TestClient::new(|_: &mut Request<'_>| Body::reader(std::io::repeat(b'x').take(50_000)));
    /// assert_eq!(client.get("/").send().body(), vec![b'x'; 50_000]);
    /// ```
    pub fn reader(reader: impl Read + 'static) -> Body {
        Body::pieces(Reader::new(reader, None))
    }

    /// A body of `length` bytes that are read from `reader`, sent with its `Content-Length`. A reader that has more is not read to its
    /// end; one that has less is reported, and ends the response as a panic does.
    ///
    /// ```
    /// use greenloop::http::{self, Body, Request};
    ///
    /// let app = |_: &mut Request<'_>| Body::sized_reader(&b"hello world"[..], 5);
    /// let answer = String::from_utf8(http::exchange(&app, b"GET / HTTP/1.1\r\n\r\n")).unwrap();
    /// assert!(answer.contains("\r\nContent-Length: 5\r\n") && answer.ends_with("\r\n\r\nhello"));
    /// ```
    pub fn sized_reader(reader: impl Read + 'static, length: u64) -> Body {
        Body::pieces(Reader::new(reader, Some(length)))
    }

    /// A body that a function writes: what it writes is sent at once, each write as one chunk where the client understands that.
    ///
    /// It runs as the iterator of [`Body::stream`] does: in the greenlet of the connection, after the handler has returned; not at all
    /// if the request was a `HEAD`. If it fails, that is reported, and ends the response as a panic does; but not if it fails because
    /// the client has gone.
    ///
    /// ```
    /// use greenloop::http::{self, Body, Request};
    /// use std::io::Write;
    ///
    /// let app = |_: &mut Request<'_>| {
    ///     Body::writer(|out| {
    ///         out.write_all(b"START")?;
    ///         greenloop::yield_now();
    ///         out.write_all(b"END")?;
    ///         Ok(())
    ///     })
    /// };
    /// let answer = http::exchange(&app, b"GET / HTTP/1.1\r\n\r\n");
    /// assert!(answer.ends_with(b"\r\n\r\n5\r\nSTART\r\n3\r\nEND\r\n0\r\n\r\n"));
    /// ```
    pub fn writer(write: impl FnOnce(&mut BodyWriter<'_>) -> Result<()> + 'static) -> Body {
        Body::pieces(Writer(Some(write)))
    }

    /// How many bytes a stream will make, if it knows.
    pub(crate) fn made(&self) -> Option<u64> {
        match &self.content {
            Content::Pieces(pieces) => pieces.length(),
            _ => None,
        }
    }

    /// The bytes, where they are known.
    pub(crate) fn fixed(&self) -> Option<&[u8]> {
        self.content.fixed()
    }
}

impl Content {
    pub(crate) fn fixed(&self) -> Option<&[u8]> {
        match self {
            Content::Empty => Some(&[]),
            Content::Static(bytes) => Some(bytes),
            Content::Owned(bytes) => Some(bytes),
            Content::Pieces(_) => None,
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.fixed() {
            Some(bytes) => write!(f, "Body({} bytes)", bytes.len()),
            None => f.write_str("Body(stream)"),
        }
    }
}

impl From<&'static [u8]> for Body {
    fn from(bytes: &'static [u8]) -> Body {
        Body { content: Content::Static(bytes), content_type: BYTES }
    }
}

impl<const N: usize> From<&'static [u8; N]> for Body {
    fn from(bytes: &'static [u8; N]) -> Body {
        Body::from(&bytes[..])
    }
}

impl From<&'static str> for Body {
    fn from(text: &'static str) -> Body {
        Body { content: Content::Static(text.as_bytes()), content_type: TEXT }
    }
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Body {
        Body { content: Content::Owned(bytes), content_type: BYTES }
    }
}

impl From<String> for Body {
    fn from(text: String) -> Body {
        Body { content: Content::Owned(text.into_bytes()), content_type: TEXT }
    }
}

/// The items of the queue as they are put, from whatever greenlet; closing the queue ends the body.
///
/// When nobody reads it any more, because the client has gone or the request was a `HEAD`, the queue is closed and emptied: so
/// those who put learn of it by their error, and none waits for room for ever.
///
/// ```
/// use greenloop::http::{self, Request};
/// use greenloop::{queue::Queue, spawn};
///
/// let app = |_: &mut Request<'_>| {
///     let body = Queue::bounded(1);
///     spawn({
///         let body = body.clone();
///         move || {
///             ["START", "MIDDLE", "END"].into_iter().try_for_each(|piece| body.put(piece)).ok();
///             body.close();
///         }
///     });
///     body
/// };
/// let answer = http::exchange(&app, b"GET / HTTP/1.0\r\n\r\n");
/// assert!(answer.ends_with(b"\r\n\r\nSTARTMIDDLEEND"));
/// ```
impl<T: AsRef<[u8]> + 'static> From<Queue<T>> for Body {
    fn from(queue: Queue<T>) -> Body {
        Body::pieces(Queued(queue))
    }
}
