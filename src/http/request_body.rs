//! The body of a request as a reader: it ends where the body ends and never reads a byte too much.

use super::chunked::Chunked;
use super::deadline::{Deadline, Pace, Stopwatch};
use super::error::{HttpError, is_timeout};
use super::framing::{BodyLength, Framing};
use super::io::{Held, Io};
use super::limits::Limits;
use super::owned_body::{Away, Home, OwnedBody, reading_side};
use super::trailers::trailers_of;
use super::transport::Transport;
use ::http::HeaderMap;
use std::fmt;
use std::io::{self, BufRead, Read};
use std::rc::Rc;
use std::time::Duration;

/// A read of at least this size goes past the input buffer.
const DIRECT_READ: usize = 4 * 1024;
/// The largest input buffer for a body.
const BUFFER: usize = 16 * 1024;

/// The body of a request, as [`Read`] and [`BufRead`].
///
/// A request without a body reads as empty. The first read of a body whose client asked for it (`Expect:
/// 100-continue`) sends the go-ahead. What a handler does not read is skipped, or the connection is closed.
///
/// Chunked bodies are decoded; the trailers behind them are for those who ask for [them](RequestBody::trailers).
///
/// **Switches**: a read may park the greenlet until bytes arrive.
///
/// # Errors
/// [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) if the client went away in the middle of the body,
/// [`TimedOut`](io::ErrorKind::TimedOut) if it sent nothing for [`Limits::body_timeout`] or too little for
/// [`Limits::min_body_rate`],
/// [`InvalidData`](io::ErrorKind::InvalidData) if the body is malformed or larger than [`Limits::max_body`], or is read as text
/// ([`read_to_string`](Read::read_to_string), [`lines`](BufRead::lines)) and is not UTF-8.
/// An error is final: every later read gives it again, and the connection closes after the answer.
///
/// A body that is no text is known for the client's fault only where it is read as such by these methods of its own. Behind an adapter
/// (`take(n).read_to_string`, `BufReader`) the standard library's error says that it is none, as it would of a file of the server's;
/// a handler that returns it is answered with a 500. To bound what is read there is [`Limits::max_body`]; or read bytes, and decode them.
///
/// ```
/// use greenloop::http::{self, Request};
/// use std::io::BufRead;
///
/// let count = |request: &mut Request<'_>| {
///     let lines = request.body().lines().collect::<Result<Vec<_>, _>>()?;
///     Ok(lines.len().to_string())
/// };
/// let post = b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n4\r\na\nb\n\r\n0\r\n\r\n";
/// let answer = http::exchange(&count, post);
/// assert!(answer.ends_with(b"\r\n\r\n2"));
/// ```
pub struct RequestBody<'a> {
    io: Held<'a>,
    left: Left,
    must_continue: bool,
    timeout: Option<Duration>,
    pace: Option<Pace>,
    /// The most that a form may have.
    max_pairs: usize,
    failure: Option<HttpError>,
    /// Set while it is elsewhere, taken by the handler.
    away: Option<Box<Away>>,
}

/// How far a body has been read.
pub(super) struct Rest {
    left: Left,
    pace: Option<Pace>,
    failure: Option<HttpError>,
    /// What was read of the connection and is not used.
    input: Vec<u8>,
}

/// What is still to be read.
#[derive(Debug)]
enum Left {
    Known(u64),
    Chunked(Chunked),
}

impl<'a> RequestBody<'a> {
    #[inline]
    pub(crate) fn new(io: &'a mut Io<dyn Transport>, framing: Framing, limits: &Limits) -> RequestBody<'a> {
        let left = match framing.body {
            BodyLength::Known(length) => Left::Known(length),
            BodyLength::Chunked => Left::Chunked(Chunked::new(limits.max_body, limits.max_trailers)),
        };
        RequestBody {
            io: Held::Lent(io),
            left,
            must_continue: framing.expects_continue,
            timeout: limits.body_timeout,
            pace: match framing.body {
                BodyLength::Known(0) => None,
                _ => Pace::new(limits.min_body_rate, limits.body_rate_window),
            },
            max_pairs: limits.max_form_pairs,
            failure: None,
            away: None,
        }
    }

    /// Goes elsewhere: what is left here has none, until it [comes back](Self::come_back).
    pub(super) fn go_away(&mut self) -> io::Result<OwnedBody> {
        self.begin()?;
        let stream = self.io.transport().share()?;
        // From now on only answers leave from here; the others would wait for a read.
        self.io.flush()?;
        let mut io = reading_side(stream.clone());
        io.put_back(self.io.take_input());
        let body = RequestBody {
            io: Held::Own(io),
            left: std::mem::replace(&mut self.left, Left::Known(0)),
            must_continue: false,
            timeout: self.timeout,
            pace: self.pace.take(),
            max_pairs: self.max_pairs,
            failure: None,
            away: None,
        };
        let home = Rc::<Home>::default();
        self.away = Some(Box::new(Away { home: home.clone(), stream }));
        Ok(OwnedBody::new(body, home))
    }

    /// What is to go home.
    pub(super) fn rest(&mut self) -> Rest {
        Rest {
            left: std::mem::replace(&mut self.left, Left::Known(0)),
            pace: self.pace.take(),
            failure: self.failure,
            input: self.io.take_input(),
        }
    }

    /// Takes it in again if it was elsewhere. False if it still is.
    #[inline]
    pub(super) fn come_back(&mut self) -> bool {
        self.away.is_none() || self.has_come_back()
    }

    #[cold]
    fn has_come_back(&mut self) -> bool {
        let Some(Rest { left, pace, failure, input }) = self.away.as_ref().and_then(|away| away.come_back())
        else {
            return false;
        };
        (self.left, self.pace, self.failure) = (left, pace, failure);
        self.io.put_back(input);
        self.away = None;
        true
    }

    /// Waits so long for it to come back, when all has been said to the client.
    #[cold]
    pub(super) fn await_return(&mut self, time: Duration) -> io::Result<()> {
        self.io.flush()?;
        self.io.transport().shutdown_write()?;
        if let Some(away) = &self.away {
            away.wait(time);
        }
        Ok(())
    }

    pub(crate) fn max_pairs(&self) -> usize {
        self.max_pairs
    }

    /// The connection, to answer on it.
    pub(crate) fn io(&mut self) -> &mut Io<dyn Transport> {
        &mut self.io
    }

    /// How many bytes are still to be read, where the client has said so: not for a chunked body.
    ///
    /// ```
    /// use greenloop::http::{Request, TestClient};
    /// use std::io::Read;
    ///
    /// let client = TestClient::new(|request: &mut Request<'_>| {
    ///     let before = request.body().len_hint();
    ///     request.body().read_exact(&mut [0; 2])?;
    ///     Ok(format!("{before:?}, {:?}", request.body().len_hint()))
    /// });
    /// assert_eq!(client.post("/").body("hello").send().text(), "Some(5), Some(3)");
    /// ```
    pub fn len_hint(&self) -> Option<u64> {
        match self.left {
            Left::Known(left) => Some(left),
            Left::Chunked(_) => None,
        }
    }

    /// The trailers: the header lines behind a chunked body. What has not been read of the body is read and thrown away first. There are
    /// none behind another body, and none when they have been asked for before.
    ///
    /// They are not headers, and can contradict those; what would say how the message is to be read or whom it is for (such as
    /// `Content-Length` or `Host`) is left out.
    ///
    /// **Switches**: as a read.
    ///
    /// # Errors
    /// Those of a read, see [`RequestBody`]; malformed trailers, and more than
    /// [`Limits::max_trailers`](super::Limits::max_trailers), are [`InvalidData`](io::ErrorKind::InvalidData).
    ///
    /// ```
    /// use greenloop::http::{self, Request};
    /// use std::io::Read;
    ///
    /// let app = |request: &mut Request<'_>| {
    ///     let mut body = String::new();
    ///     request.body().read_to_string(&mut body)?;
    ///     let trailers = request.body().trailers()?;
    ///     Ok(format!("{body} {:?}", trailers.get("x-digest")))
    /// };
    /// let post = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-Digest: 7\r\n\r\n";
    /// assert!(http::exchange(&app, post).ends_with(b"hi Some(\"7\")"));
    /// ```
    pub fn trailers(&mut self) -> io::Result<HeaderMap> {
        loop {
            let count = self.next_data()?.len();
            if count == 0 {
                break;
            }
            self.consume(count);
        }
        let mut ahead = match &self.left {
            Left::Chunked(chunked) if !chunked.is_done() => chunked.clone(),
            _ => return Ok(HeaderMap::new()),
        };
        // They are taken when they are whole: if a kill or an expiry ends the wait for the rest, nothing is lost.
        let (limit, mut seen) = (BUFFER.saturating_add(ahead.trailers_left()), 0);
        loop {
            let input = self.io.input();
            match ahead.read_trailers(&input[seen..]) {
                Ok(count) => seen += count,
                Err(fault) => return self.fail(fault),
            }
            if ahead.is_done() {
                break;
            }
            self.receive(|io, timeout| io.fill(timeout, limit))?;
        }
        let trailers = trailers_of(&self.io.input()[..seen]);
        self.io.consume(seen);
        self.left = Left::Chunked(ahead);
        Ok(trailers)
    }

    /// The fault of the peer that made a read fail.
    pub(crate) fn failure(&self) -> Option<HttpError> {
        self.failure
    }

    /// Whether the whole body, trailers included, was taken from the connection.
    pub(crate) fn is_finished(&self) -> bool {
        self.failure.is_none()
            && self.away.is_none()
            && match &self.left {
                Left::Known(left) => *left == 0,
                Left::Chunked(chunked) => chunked.is_done(),
            }
    }

    /// Whether the rest of the body may be read and thrown away to keep the connection. Not where the client
    /// waits for a go-ahead that never came: whether the body or another request comes next is its choice,
    /// and a guess would let the one be taken for the other.
    pub(crate) fn may_be_skipped(&self, limit: u64) -> bool {
        let waits = self.must_continue && self.len_hint() != Some(0);
        self.failure.is_none()
            && self.away.is_none()
            && !waits
            && self.len_hint().is_none_or(|left| left <= limit)
    }

    /// Reads and throws away the rest of the body and its trailers. Says whether it came to its end.
    #[inline]
    pub(crate) fn skip(&mut self, limit: u64) -> io::Result<bool> {
        if self.is_finished() { Ok(true) } else { self.skip_rest(limit) }
    }

    /// Skips the rest of the body where the connection is to be given away, and tells a client that waits for a go-ahead to send it: a 101 may
    /// not come before that (RFC 9110, 7.8). The fault, where the end of the body cannot be had.
    #[cold]
    pub(crate) fn finish(&mut self, limit: u64) -> io::Result<Result<(), HttpError>> {
        let is_short = self.len_hint().is_none_or(|left| left <= limit);
        Ok(match is_short && self.skip(limit)? {
            true => Ok(()),
            false => Err(self.failure.unwrap_or(HttpError::BodyTooLarge)),
        })
    }

    fn skip_rest(&mut self, mut limit: u64) -> io::Result<bool> {
        let deadline = Deadline::after(self.timeout);
        loop {
            let Ok(time) = deadline.left() else { return self.give_up(HttpError::BodyTimeout) };
            self.timeout = time;
            let count = match self.next_data().map(<[u8]>::len) {
                Ok(count) => count,
                Err(_) if self.failure.is_some() => return Ok(false),
                Err(error) => return Err(error),
            };
            if count == 0 {
                return self.skip_trailers(deadline);
            }
            let Some(left) = limit.checked_sub(count as u64) else { return Ok(false) };
            limit = left;
            self.consume(count);
        }
    }

    fn skip_trailers(&mut self, deadline: Deadline) -> io::Result<bool> {
        let Left::Chunked(chunked) = &mut self.left else { return Ok(true) };
        loop {
            match chunked.read_trailers(self.io.input()) {
                Ok(used) => self.io.consume(used),
                Err(fault) => return self.give_up(fault),
            }
            if chunked.is_done() {
                return Ok(true);
            }
            let Ok(time) = deadline.left() else { return self.give_up(HttpError::BodyTimeout) };
            match self.io.fill(time, BUFFER) {
                Ok(0) => return self.give_up(HttpError::ChunkedTruncated),
                Ok(_) => {}
                Err(error) if is_timeout(&error) => return self.give_up(HttpError::BodyTimeout),
                Err(error) => return Err(error),
            }
        }
    }

    /// The end of the body will not be had.
    fn give_up(&mut self, fault: HttpError) -> io::Result<bool> {
        self.failure = Some(fault);
        Ok(false)
    }

    /// As the readers of the standard library do, but what is no text is a fault of the peer here, and no failure of the handler.
    fn read_text(
        &mut self,
        place: &mut String,
        read: impl FnOnce(&mut Self, &mut Vec<u8>) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let mut bytes = Vec::new();
        let result = read(self, &mut bytes);
        match std::str::from_utf8(&bytes) {
            Ok(text) => place.push_str(text),
            Err(_) if result.is_ok() => return self.fail(HttpError::Utf8),
            Err(_) => {}
        }
        result
    }

    /// Takes the body for a fault of the peer.
    pub(crate) fn refuse<R>(&mut self, fault: HttpError) -> io::Result<R> {
        self.fail(fault)
    }

    pub(crate) fn transport(&self) -> &dyn Transport {
        self.io.transport()
    }

    fn fail<R>(&mut self, failure: HttpError) -> io::Result<R> {
        self.failure = Some(failure);
        Err(failure.into_io())
    }

    /// The steps before any read: an earlier failure stays, and a client that waits gets its go-ahead.
    fn begin(&mut self) -> io::Result<()> {
        if let Some(failure) = self.failure {
            return Err(failure.into_io());
        }
        if self.away.is_some() {
            return Err(io::Error::other("the body of this request was taken out of it by `take_body`"));
        }
        if self.must_continue && self.len_hint() != Some(0) {
            self.must_continue = false;
            self.io.out().extend_from_slice(b"HTTP/1.1 100 Continue\r\n\r\n");
        }
        Ok(())
    }

    /// Makes a result of reading the transport one of reading the body.
    fn check(&mut self, result: io::Result<usize>) -> io::Result<usize> {
        match (result, &self.left) {
            (Ok(0), Left::Known(_)) => self.fail(HttpError::BodyTruncated),
            (Ok(0), Left::Chunked(_)) => self.fail(HttpError::ChunkedTruncated),
            (Err(error), _) if is_timeout(&error) && !self.io.is_broken() => {
                self.fail(HttpError::BodyTimeout)
            }
            (Err(error), _) => {
                self.failure = Some(HttpError::BodyTruncated);
                Err(HttpError::cut_off_by(error))
            }
            (count, _) => count,
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        self.receive(|io, timeout| io.fill(timeout, BUFFER)).map(drop)
    }

    /// One read of the transport, within the time that it may take and at the pace that the client has to keep.
    fn receive(
        &mut self,
        mut read: impl FnMut(&mut Io<dyn Transport>, Option<Duration>) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let mut silent = Duration::ZERO;
        loop {
            let Some(pace) = &mut self.pace else {
                let result = read(&mut self.io, self.timeout);
                return self.check(result);
            };
            let left = pace.left();
            // Less than the whole, else its end would have come before that of a window.
            let own = self.timeout.map(|timeout| timeout.saturating_sub(silent)).filter(|&own| own <= left);
            let clock = Stopwatch::start();
            let result = read(&mut self.io, own.or(Some(left)));
            let ends_window = own.is_none() && matches!(&result, Err(error) if is_timeout(error));
            let waited = if ends_window { left } else { clock.elapsed() };
            let keeps_pace = pace.note(waited, result.as_ref().map_or(0, |&count| count as u64));
            match result {
                Err(_) if ends_window && keeps_pace && !self.io.is_broken() => silent += left,
                Ok(1..) if !keeps_pace => return self.fail(HttpError::BodyTimeout),
                result => return self.check(result),
            }
        }
    }

    /// The next bytes of the body that are in the input buffer, which is filled if there are none. Empty at
    /// the end.
    fn next_data(&mut self) -> io::Result<&[u8]> {
        self.begin()?;
        let ready = loop {
            let buffered = self.io.input().len();
            let left = match &mut self.left {
                Left::Known(left) => *left,
                Left::Chunked(chunked) if chunked.is_data_ended() => 0,
                Left::Chunked(chunked) if chunked.data_left() > 0 => chunked.data_left(),
                Left::Chunked(chunked) => {
                    match chunked.read_framing(self.io.input()) {
                        Ok(0) => self.fill()?,
                        Ok(used) => self.io.consume(used),
                        Err(failure) => return self.fail(failure),
                    }
                    continue;
                }
            };
            if left == 0 || buffered > 0 {
                break buffered.min(self.known());
            }
            self.fill()?;
        };
        Ok(&self.io.input()[..ready])
    }

    /// Notes that `count` bytes of the body were read.
    fn note(&mut self, count: usize) {
        match &mut self.left {
            Left::Known(left) => *left -= count as u64,
            Left::Chunked(chunked) => chunked.take_data(count as u64),
        }
    }

    /// How many bytes of the body come next without framing between them.
    fn known(&self) -> usize {
        let left = match &self.left {
            Left::Known(left) => *left,
            Left::Chunked(chunked) => chunked.data_left(),
        };
        usize::try_from(left).unwrap_or(usize::MAX)
    }
}

impl Read for RequestBody<'_> {
    fn read(&mut self, place: &mut [u8]) -> io::Result<usize> {
        if place.is_empty() {
            return Ok(0);
        }
        let direct = self.known().min(place.len());
        if direct >= DIRECT_READ && self.io.input().is_empty() {
            self.begin()?;
            let count = self.receive(|io, timeout| io.read_past_buffer(&mut place[..direct], timeout))?;
            self.note(count);
            return Ok(count);
        }
        let data = self.next_data()?;
        let count = data.len().min(place.len());
        place[..count].copy_from_slice(&data[..count]);
        self.consume(count);
        Ok(count)
    }

    fn read_to_string(&mut self, place: &mut String) -> io::Result<usize> {
        self.read_text(place, |body, bytes| body.read_to_end(bytes))
    }
}

impl BufRead for RequestBody<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.next_data()
    }

    fn read_line(&mut self, place: &mut String) -> io::Result<usize> {
        self.read_text(place, |body, bytes| body.read_until(b'\n', bytes))
    }

    fn consume(&mut self, count: usize) {
        // A caller who takes more than it was given must not take the next request.
        let count = count.min(self.io.input().len()).min(self.known());
        self.note(count);
        self.io.consume(count);
    }
}

impl fmt::Debug for RequestBody<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBody")
            .field("left", &self.left)
            .field("failure", &self.failure)
            .finish_non_exhaustive()
    }
}
