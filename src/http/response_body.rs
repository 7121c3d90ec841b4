//! The body of a response: nothing, bytes, or something that makes the bytes while they are sent.

use std::fmt;
use std::io::{self, Read};

/// How much of a reader is sent at a time.
const READ_SIZE: usize = 16 * 1024;

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

/// A source of body pieces. The pieces go to a callback and not to the caller because what they borrow from
/// differs from source to source.
pub(crate) trait Pieces {
    /// Makes the next piece and hands it to `send`. `Ok(false)` is the end.
    fn next(&mut self, send: &mut dyn FnMut(&[u8]) -> Result<(), Stop>) -> Result<bool, Stop>;
}

/// Why a stream ends before its end.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The transport failed.
    Peer(io::Error),
    /// The source failed.
    Source(io::Error),
    /// The source made more than the declared length.
    TooLong,
}

impl Body {
    /// No body.
    pub fn empty() -> Body {
        Body::default()
    }

    /// A body of bytes.
    pub fn bytes(bytes: impl Into<Vec<u8>>) -> Body {
        Body::from(bytes.into())
    }

    fn pieces(pieces: impl Pieces + 'static) -> Body {
        Body { content: Content::Pieces(Box::new(pieces)), content_type: None }
    }

    /// A body made of pieces: each is sent as soon as the iterator gives it, empty ones are passed over.
    ///
    /// The iterator runs in the greenlet of the connection, after the handler has returned, and may park. It
    /// is dropped when it has ended, when the client has gone, and at once if the request was a `HEAD`. If it
    /// panics, the connection is cut off without the last chunk, so that the client can tell.
    ///
    /// To an HTTP/1.0 client, or with a `Content-Length` of the handler's own, the pieces are sent as they
    /// are.
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
    pub fn reader(reader: impl Read + 'static) -> Body {
        Body::pieces(Reader { reader, buffer: Vec::new() })
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

struct Iter<I>(I);

impl<I: Iterator<Item: AsRef<[u8]>>> Pieces for Iter<I> {
    fn next(&mut self, send: &mut dyn FnMut(&[u8]) -> Result<(), Stop>) -> Result<bool, Stop> {
        match self.0.next() {
            Some(piece) => send(piece.as_ref()).map(|()| true),
            None => Ok(false),
        }
    }
}

struct Reader<R> {
    reader: R,
    buffer: Vec<u8>,
}

impl<R: Read> Pieces for Reader<R> {
    fn next(&mut self, send: &mut dyn FnMut(&[u8]) -> Result<(), Stop>) -> Result<bool, Stop> {
        self.buffer.resize(READ_SIZE, 0);
        match self.reader.read(&mut self.buffer) {
            Ok(0) => Ok(false),
            Ok(count) => send(&self.buffer[..count]).map(|()| true),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(true),
            Err(error) => Err(Stop::Source(error)),
        }
    }
}
