//! What makes the bytes of a streamed body while it is sent.
//!
//! The pieces go to a sink and not to the caller, because what they borrow from differs from source to source; so an imperative
//! writer is a source as well, one that makes all its pieces in a single call.

use super::error::{HttpError, Result};
use crate::queue::Queue;
use std::fmt;
use std::io::{self, Read, Write};

/// How much of a reader is sent at a time.
const READ_SIZE: usize = 16 * 1024;
/// As much of a reader whose length is known, where each read may be a trip to another thread.
const LARGE_READ_SIZE: usize = 64 * 1024;

/// A source of body pieces.
pub(crate) trait Pieces {
    /// Makes the next piece and hands it to `sink`. `Ok(false)` is the end.
    fn next(&mut self, sink: &mut dyn Sink) -> std::result::Result<bool, Stop>;

    /// How many bytes it will make, if that is known.
    fn length(&self) -> Option<u64> {
        None
    }
}

/// Where pieces go.
pub(crate) trait Sink {
    /// Sends a piece, as one chunk where the body has chunks. An empty one leaves no trace.
    fn write(&mut self, piece: &[u8]) -> std::result::Result<(), Stop>;

    /// Takes a piece behind which, as far as the source knows, there is no other: it can leave together with the end.
    fn write_last(&mut self, piece: &[u8]) -> std::result::Result<(), Stop>;

    /// Sends the head if it has not left yet. Pieces do not wait for it: they have left.
    fn flush(&mut self) -> std::result::Result<(), Stop>;
}

/// Why a stream ends before its end.
#[derive(Debug)]
pub(crate) enum Stop {
    /// The transport failed.
    Peer(io::Error),
    /// The source failed.
    Source(String),
    /// The source has read the body of the request, and that was at fault.
    Fault(HttpError),
    /// The source made more than the declared length.
    TooLong,
}

impl Stop {
    fn source(error: &io::Error) -> Stop {
        match HttpError::inside(error) {
            Some(fault) => Stop::Fault(fault),
            None => Stop::Source(format!("the body of the response cannot be read: {error}")),
        }
    }
}

pub(super) struct Iter<I>(pub(super) I);

impl<I: Iterator<Item: AsRef<[u8]>>> Pieces for Iter<I> {
    fn next(&mut self, sink: &mut dyn Sink) -> std::result::Result<bool, Stop> {
        match self.0.next() {
            Some(piece) if self.0.size_hint().1 == Some(0) => sink.write_last(piece.as_ref()).map(|()| true),
            Some(piece) => sink.write(piece.as_ref()).map(|()| true),
            None => Ok(false),
        }
    }
}

/// A reader, up to its end or up to a length.
pub(super) struct Reader<R> {
    reader: R,
    left: Option<u64>,
    buffer: Vec<u8>,
}

impl<R> Reader<R> {
    pub(super) fn new(reader: R, length: Option<u64>) -> Reader<R> {
        Reader { reader, left: length, buffer: Vec::new() }
    }
}

impl<R: Read> Pieces for Reader<R> {
    fn next(&mut self, sink: &mut dyn Sink) -> std::result::Result<bool, Stop> {
        let size = match self.left {
            Some(0) => return Ok(false),
            Some(left) => usize::try_from(left).map_or(LARGE_READ_SIZE, |left| left.min(LARGE_READ_SIZE)),
            None => READ_SIZE,
        };
        self.buffer.resize(size, 0);
        match self.reader.read(&mut self.buffer) {
            Ok(0) => Ok(false),
            Ok(count) => {
                if let Some(left) = &mut self.left {
                    *left = left.saturating_sub(count as u64);
                }
                let piece = &self.buffer[..count];
                let sent = if self.left == Some(0) { sink.write_last(piece) } else { sink.write(piece) };
                sent.map(|()| true)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(true),
            Err(error) => Err(Stop::source(&error)),
        }
    }

    fn length(&self) -> Option<u64> {
        self.left
    }
}

/// A queue that nobody reads any more is closed, so that those who fill it learn of it and do not wait for room for ever.
pub(super) struct Queued<T>(pub(super) Queue<T>);

impl<T: AsRef<[u8]>> Pieces for Queued<T> {
    fn next(&mut self, sink: &mut dyn Sink) -> std::result::Result<bool, Stop> {
        match self.0.get() {
            Ok(item) => sink.write(item.as_ref()).map(|()| true),
            Err(_) => Ok(false),
        }
    }
}

impl<T> Drop for Queued<T> {
    fn drop(&mut self) {
        self.0.close_now();
    }
}

/// Where the function behind [`Body::writer`](super::Body::writer) writes to: each write is sent at once, as one chunk where the body has
/// chunks. Put a [`BufWriter`](io::BufWriter) around it to send many small writes together.
///
/// [`flush`](Write::flush) sends the head before anything was written; later it has nothing to do.
///
/// **Switches**: a write parks the greenlet while the client does not take it.
///
/// # Errors
/// If the client has gone or does not read for [`Limits::write_timeout`](super::Limits::write_timeout), or if more is written than the
/// response has said by its `Content-Length`. An error is final.
///
/// ```
/// use greenloop::http::{self, Body, BodyWriter, Request, TestClient};
/// use std::io::Write;
///
/// fn table(out: &mut BodyWriter<'_>) -> http::Result<()> {
///     (1..=3).try_for_each(|n| writeln!(out, "{n},{}", n * n))?;
///     Ok(())
/// }
///
/// let client = TestClient::new(|_: &mut Request<'_>| Body::writer(table));
/// assert_eq!(client.get("/").send().text(), "1,1\n2,4\n3,9\n");
/// ```
pub struct BodyWriter<'a> {
    sink: &'a mut dyn Sink,
    stopped: Option<Stop>,
}

impl BodyWriter<'_> {
    fn check(&mut self, sent: std::result::Result<(), Stop>) -> io::Result<()> {
        sent.map_err(|stop| {
            let error = describe(&stop);
            self.stopped = Some(stop);
            error
        })
    }
}

/// The error for the one who writes.
fn describe(stop: &Stop) -> io::Error {
    match stop {
        Stop::Peer(error) => io::Error::new(error.kind(), format!("cannot send the response: {error}")),
        Stop::Source(text) => io::Error::other(text.clone()),
        Stop::Fault(fault) => fault.into_io(),
        Stop::TooLong => io::Error::new(
            io::ErrorKind::InvalidInput,
            "the body of the response is longer than its Content-Length",
        ),
    }
}

impl Write for BodyWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(stop) = &self.stopped {
            return Err(describe(stop));
        }
        let sent = self.sink.write(bytes);
        self.check(sent)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if let Some(stop) = &self.stopped {
            return Err(describe(stop));
        }
        let sent = self.sink.flush();
        self.check(sent)
    }
}

impl fmt::Debug for BodyWriter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodyWriter").field("stopped", &self.stopped).finish_non_exhaustive()
    }
}

/// A function that writes; `None` when it has been called.
pub(super) struct Writer<F>(pub(super) Option<F>);

impl<F: FnOnce(&mut BodyWriter<'_>) -> Result<()>> Pieces for Writer<F> {
    fn next(&mut self, sink: &mut dyn Sink) -> std::result::Result<bool, Stop> {
        let Some(write) = self.0.take() else { return Ok(false) };
        let mut writer = BodyWriter { sink, stopped: None };
        let written = write(&mut writer);
        // What has stopped the writer counts, whatever the function made of it.
        match (writer.stopped, written) {
            (Some(stop), _) => Err(stop),
            (None, Ok(())) => Ok(false),
            (None, Err(error)) => Err(match error.fault() {
                Some(fault) => Stop::Fault(fault),
                None => Stop::Source(format!("the body of the response failed: {error}")),
            }),
        }
    }
}
