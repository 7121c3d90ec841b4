//! The two buffers between a connection and its transport.
//!
//! Two rules live here. *Output goes out before a read that could block*: responses to pipelined requests
//! gather in `out` while their requests are already in the input, and leave together with one write. *One
//! read per wake-up*: a read takes what there is and never asks again to hear that there is no more.

use super::access::Tally;
use super::deadline::Deadline;
use super::error::is_peer_gone;
use super::transport::Transport;
use crate::unwind;
use ::http::StatusCode;
use std::fmt;
use std::io::{self, IoSlice};
use std::ops::{Deref, DerefMut, Range};
use std::time::Duration;

/// The size of a new input buffer: most requests fit, and thousands may be in hand at once.
const NEW_INPUT: usize = 1024;
/// The input buffer of a connection at rest is not larger.
const INPUT: usize = 4 * 1024;
/// An input buffer that reads fill grows so far, and is not larger on a desk at rest: a batch of pipelined requests fits.
const AMPLE_INPUT: usize = 16 * 1024;
/// Pieces of a body up to this size are copied behind their head; larger ones are sent from where they are.
pub(crate) const COPY_LIMIT: usize = 16 * 1024;
/// The shortest timeout that is asked of a transport.
const SHORTEST: Duration = Duration::from_millis(1);
/// Gathered output is sent when it has this size, and an output buffer at rest is not larger.
const GATHER_LIMIT: usize = 64 * 1024;

/// Bytes that were read and not yet used: `data[start..end]`.
#[derive(Debug, Default)]
struct Input {
    data: Vec<u8>,
    start: usize,
    end: usize,
    /// The last read has filled it, so there was more: a batch that is read in pieces is answered in pieces as well.
    is_short: bool,
}

impl Input {
    fn bytes(&self) -> &[u8] {
        &self.data[self.start..self.end]
    }

    fn consume(&mut self, count: usize) {
        self.start += count;
        debug_assert!(self.start <= self.end);
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
        }
    }

    /// A place for more bytes behind those that are there. The buffer grows up to `limit` bytes.
    fn room(&mut self, limit: usize) -> &mut [u8] {
        let (size, ample) = (self.data.len(), AMPLE_INPUT.min(limit));
        if self.start > 0 && size - self.end < size / 2 {
            self.data.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.end == size {
            let larger = (size * 2).clamp(NEW_INPUT, limit.max(NEW_INPUT)).max(size + 1);
            self.data.resize(larger, 0);
        } else if self.is_short && size < ample {
            self.data.resize((size * 2).min(ample), 0);
        }
        &mut self.data[self.end..]
    }

    /// So many bytes have come into the room.
    fn add(&mut self, count: usize) {
        self.end += count;
        self.is_short = self.end == self.data.len();
    }

    /// Gives back what an unusually large head took.
    fn shrink(&mut self, most: usize) {
        if self.end == 0 && self.data.len() > most {
            self.data.truncate(most);
            self.data.shrink_to_fit();
        }
    }
}

/// What is read and not yet used, and what is to be written.
#[derive(Debug, Default)]
pub(crate) struct Buffers {
    input: Input,
    out: Vec<u8>,
}

impl Buffers {
    /// Nothing is in them, so that they can be used for another connection.
    pub(crate) fn are_empty(&self) -> bool {
        self.input.bytes().is_empty() && self.out.is_empty()
    }

    /// Gives back memory that an unusual exchange took, before they lie on a desk for whoever is next.
    pub(crate) fn shrink(&mut self) {
        self.shrink_to(AMPLE_INPUT);
    }

    fn shrink_to(&mut self, most: usize) {
        self.input.shrink(most);
        if self.out.is_empty() && self.out.capacity() > 2 * GATHER_LIMIT {
            self.out = Vec::new();
        }
    }
}

/// A transport with its buffers.
pub(crate) struct Io<T: ?Sized> {
    buffers: Box<Buffers>,
    /// The timeout that the transport has at present; outer `None` before the first.
    read_timeout: Option<Option<Duration>>,
    /// Whether a write has failed. Nothing is written or read after it.
    is_broken: bool,
    /// What the exchange at hand has sent.
    tally: Tally,
    /// What of the gathered output is of its body. One piece at most is gathered before what is there leaves.
    gathered: Range<usize>,
    transport: T,
}

impl<T: ?Sized> fmt::Debug for Io<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (buffered, gathered) = (self.buffers.input.bytes().len(), self.buffers.out.len());
        f.debug_struct("Io").field("buffered", &buffered).field("gathered", &gathered).finish_non_exhaustive()
    }
}

impl<T: Transport> Io<T> {
    pub(crate) fn new(transport: T, buffers: Box<Buffers>) -> Io<T> {
        let tally = Tally::default();
        Io { buffers, read_timeout: None, is_broken: false, tally, gathered: 0..0, transport }
    }

    pub(crate) fn into_parts(self) -> (T, Box<Buffers>) {
        (self.transport, self.buffers)
    }
}

impl<T: Transport + ?Sized> Io<T> {
    pub(crate) fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.transport.set_write_timeout(timeout.map(|time| time.max(SHORTEST)))
    }

    /// The bytes that were read and not yet used.
    pub(crate) fn input(&self) -> &[u8] {
        self.buffers.input.bytes()
    }

    pub(crate) fn consume(&mut self, count: usize) {
        self.buffers.input.consume(count);
    }

    /// Takes out what was read and not yet used.
    pub(crate) fn take_input(&mut self) -> Vec<u8> {
        let bytes = self.input().to_vec();
        self.consume(bytes.len());
        bytes
    }

    /// Has `bytes` read before what the transport gives, whose time limits others may have set meanwhile. The input buffer must be empty.
    pub(crate) fn put_back(&mut self, bytes: Vec<u8>) {
        debug_assert!(self.input().is_empty());
        if !bytes.is_empty() {
            self.buffers.input = Input { end: bytes.len(), data: bytes, ..Input::default() };
        }
        self.read_timeout = None;
    }

    /// Where output is gathered.
    pub(crate) fn out(&mut self) -> &mut Vec<u8> {
        &mut self.buffers.out
    }

    pub(crate) fn is_broken(&self) -> bool {
        self.is_broken
    }

    /// Begins to count for another exchange.
    pub(crate) fn begin_tally(&mut self) {
        (self.tally, self.gathered) = (Tally::default(), 0..0);
    }

    /// Notes the status of the answer.
    pub(crate) fn note_status(&mut self, status: StatusCode) {
        self.tally.status = Some(status);
    }

    /// What has left, and what is gathered and will.
    pub(crate) fn tally(&self) -> Tally {
        let waits = if self.is_broken { 0 } else { self.gathered.len() };
        Tally { body: self.tally.body + waits as u64, ..self.tally }
    }

    /// Gives back memory that an unusual exchange took, before the connection waits with its buffers.
    pub(crate) fn shrink(&mut self) {
        self.buffers.shrink_to(INPUT);
    }

    pub(crate) fn transport(&self) -> &T {
        &self.transport
    }

    /// Sends what was gathered, then reads once into the input buffer, which grows up to `limit` bytes. Gives
    /// how many bytes came; 0 is the end.
    pub(crate) fn fill(&mut self, timeout: Option<Duration>, limit: usize) -> io::Result<usize> {
        self.prepare_read(timeout)?;
        let room = self.buffers.input.room(limit);
        let count = retry(|| self.transport.read(room))?;
        self.buffers.input.add(count);
        Ok(count)
    }

    /// Reads once into the input buffer what is there; where it would have to wait it says so.
    pub(crate) fn try_fill(&mut self, limit: usize) -> io::Result<usize> {
        let room = self.buffers.input.room(limit);
        let count = retry(|| self.transport.try_read(room))?;
        self.buffers.input.add(count);
        Ok(count)
    }

    /// Sends what was gathered, then reads once into `place`. The input buffer must be empty.
    pub(crate) fn read_past_buffer(
        &mut self,
        place: &mut [u8],
        timeout: Option<Duration>,
    ) -> io::Result<usize> {
        debug_assert!(self.buffers.input.bytes().is_empty());
        self.prepare_read(timeout)?;
        retry(|| self.transport.read(place))
    }

    fn prepare_read(&mut self, timeout: Option<Duration>) -> io::Result<()> {
        self.flush()?;
        if self.read_timeout != Some(timeout) {
            // Sockets take a timeout of zero for an error.
            self.transport.set_read_timeout(timeout.map(|time| time.max(SHORTEST)))?;
            self.read_timeout = Some(timeout);
        }
        Ok(())
    }

    /// Sends what was gathered.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        if self.is_broken {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        if self.buffers.out.is_empty() {
            return Ok(());
        }
        self.send(&[])
    }

    /// Sends what was gathered, as far as that can be done without waiting: for a greenlet that is being ended.
    #[cold]
    pub(crate) fn flush_at_once(&mut self) {
        let _ = unwind::catch(|| {
            self.set_write_timeout(Some(Duration::ZERO))?;
            self.flush()
        });
    }

    /// Sends what was gathered if it is much.
    pub(crate) fn flush_if_large(&mut self) -> io::Result<()> {
        if self.buffers.out.len() >= GATHER_LIMIT { self.flush() } else { Ok(()) }
    }

    /// Adds `piece` of a body to the output: small ones are gathered, large ones leave at once behind what was
    /// gathered.
    pub(crate) fn push(&mut self, piece: &[u8]) -> io::Result<()> {
        if piece.len() <= COPY_LIMIT {
            let start = self.buffers.out.len();
            self.buffers.out.extend_from_slice(piece);
            self.gathered = start..start + piece.len();
            return Ok(());
        }
        if self.is_broken {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        self.send(piece)
    }

    /// Writes what was gathered and `piece` behind it. A failure is remembered: the peer has seen a part of
    /// them, so that nothing sensible can follow.
    fn send(&mut self, piece: &[u8]) -> io::Result<()> {
        // So it stays if a kill or an expiry ends the wait in here: nobody knows how much has left, and whoever sends once more, because
        // he has caught it, would repeat that.
        self.is_broken = true;
        let Io { buffers, tally, gathered, transport, .. } = self;
        let out = &mut buffers.out;
        let (body, mut at) = (out.len()..out.len() + piece.len(), 0);
        let result = write_all(transport, out, piece, |count| {
            let left = at..at + count;
            tally.body += (overlap(&left, gathered) + overlap(&left, &body)) as u64;
            at += count;
        });
        out.clear();
        *gathered = 0..0;
        self.is_broken = result.is_err();
        result
    }

    /// Reads and forgets until the peer has closed, or `limit` bytes or `time` have passed.
    pub(crate) fn linger(&mut self, time: Duration, limit: usize) {
        if self.flush().is_err() {
            return;
        }
        let deadline = Deadline::after(Some(time));
        // Over TLS that sends something.
        if !matches!(crate::timeout(time, || self.transport.shutdown_write()), Ok(Ok(()))) {
            return;
        }
        let mut seen = 0;
        while seen < limit {
            self.buffers.input.consume(self.buffers.input.bytes().len());
            let Ok(left) = deadline.left() else { return };
            match self.fill(left, INPUT) {
                Ok(0) | Err(_) => return,
                Ok(count) => seen += count,
            }
        }
    }
}

/// The connection, for one who uses it for a while, or a handle of it for oneself.
pub(crate) enum Held<'a> {
    Lent(&'a mut Io<dyn Transport>),
    Own(Box<Io<dyn Transport>>),
}

impl Deref for Held<'_> {
    type Target = Io<dyn Transport>;

    #[inline]
    fn deref(&self) -> &Io<dyn Transport> {
        match self {
            Held::Lent(io) => io,
            Held::Own(io) => io,
        }
    }
}

impl DerefMut for Held<'_> {
    #[inline]
    fn deref_mut(&mut self) -> &mut Io<dyn Transport> {
        match self {
            Held::Lent(io) => io,
            Held::Own(io) => io,
        }
    }
}

fn overlap(one: &Range<usize>, other: &Range<usize>) -> usize {
    one.end.min(other.end).saturating_sub(one.start.max(other.start))
}

/// Tells `written` of each part that has left.
fn write_all<T: Transport + ?Sized>(
    transport: &mut T,
    mut first: &[u8],
    mut second: &[u8],
    mut written: impl FnMut(usize),
) -> io::Result<()> {
    while !first.is_empty() || !second.is_empty() {
        let count = retry(|| match (first, second) {
            (first, []) => transport.write(first),
            ([], second) => transport.write(second),
            _ => transport.write_vectored(&[IoSlice::new(first), IoSlice::new(second)]),
        })?;
        if count == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        written(count);
        let of_first = count.min(first.len());
        first = &first[of_first..];
        second = &second[count - of_first..];
    }
    transport.flush()
}

fn retry<R>(mut call: impl FnMut() -> io::Result<R>) -> io::Result<R> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// What a connection ends with: an error that only says that the peer is gone, or has sent what is no TLS, is none.
pub(crate) fn quiet(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(error) if is_peer_gone(error.kind()) || error.kind() == io::ErrorKind::InvalidData => Ok(()),
        result => result,
    }
}
