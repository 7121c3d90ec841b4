//! The time limit of a read over TLS. A record, which one read waits for, may come byte by byte; the reads of the socket that bring them
//! have the limit together.

use std::io::{self, Read, Write};
use std::time::Duration;

use super::deadline::Deadline;
use super::duplex_stream::DuplexStream;
use crate::tls::{SharedStream, TlsStream};

/// A socket for one read above it. Afterwards each of its own reads has the whole limit again.
pub(super) struct Within<'a, S: DuplexStream + ?Sized> {
    socket: &'a S,
    limit: Option<Duration>,
    /// From the first read on.
    deadline: Option<Deadline>,
    /// What was left of the limit for the last one.
    left: Option<Duration>,
}

impl<'a, S: DuplexStream + ?Sized> Within<'a, S> {
    pub(super) fn new(socket: &'a S, limit: Option<Duration>) -> Within<'a, S> {
        Within { socket, limit, deadline: None, left: None }
    }
}

impl<S: DuplexStream + ?Sized> Within<'_, S> {
    /// Another greenlet may have set a limit meanwhile: it is for the reads that follow this one.
    fn look(&mut self) {
        let now = self.socket.read_timeout();
        if self.left.is_some() && now != self.left {
            self.limit = now;
        }
    }
}

impl<S: DuplexStream + ?Sized> Drop for Within<'_, S> {
    fn drop(&mut self) {
        self.look();
        if self.left.is_some() {
            let _ = self.socket.set_read_timeout(self.limit);
        }
    }
}

impl<S: DuplexStream + ?Sized> Read for Within<'_, S> {
    #[track_caller]
    fn read(&mut self, place: &mut [u8]) -> io::Result<usize> {
        let deadline = *self.deadline.get_or_insert_with(|| Deadline::after(self.limit));
        let left = deadline.left().map_err(|_| io::ErrorKind::TimedOut)?;
        self.look();
        self.left = left;
        self.socket.set_read_timeout(left)?;
        self.socket.read(place)
    }
}

impl<S: DuplexStream + ?Sized> Write for Within<'_, S> {
    #[track_caller]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.socket.flush()
    }
}

/// A read within the limit of the stream below, if that can tell.
#[track_caller]
pub(super) fn read<S>(stream: &TlsStream<S>, place: &mut [u8]) -> io::Result<usize>
where
    S: DuplexStream + SharedStream,
{
    let socket = stream.get_ref();
    match socket.read_timeout() {
        None => Read::read(&mut &*stream, place),
        limit => stream.read_over(&mut Within::new(socket, limit), place),
    }
}
