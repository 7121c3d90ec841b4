//! Pipes.

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use super::Watched;
use crate::reactor::Direction;
use crate::sys::descriptor;

/// A pipe: what is written to its second end can be read from its first. Both park the greenlet, never the thread.
///
/// It holds 64 KiB by default. When the writer is dropped, the reader is told the end as soon as it has read everything; when the
/// reader is dropped, writes fail with `BrokenPipe`. Whoever waits at the other end is woken.
///
/// **Switches**: no.
///
/// # Errors
/// If no descriptors can be had.
///
/// # Examples
/// ```
/// use greenloop::{io::pipe, spawn};
/// use std::io::{Read, Write};
///
/// let (mut reader, mut writer) = pipe()?;
/// let producer = spawn(move || writer.write_all(&[7; 1_000_000])); // more than the pipe holds
/// let mut bytes = Vec::new();
/// reader.read_to_end(&mut bytes)?;
/// assert_eq!(bytes.len(), 1_000_000);
/// # producer.join().unwrap()?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn pipe() -> io::Result<(PipeReader, PipeWriter)> {
    let (reader, writer) = io::pipe()?;
    Ok((PipeReader::from_std(reader)?, PipeWriter::from_std(writer)?))
}

/// The end of a [`pipe`] from which is read; also what a child process writes.
///
/// It cannot be cloned: a child process to which one end was given gets it blocking, and all duplicates would become so. Wrap it in
/// an `Rc` to share it; `&PipeReader` reads, too.
///
/// # Examples
/// ```
/// use greenloop::io::pipe;
/// use std::io::{Read, Write};
///
/// let (mut reader, mut writer) = pipe()?;
/// writer.write_all(b"hello")?;
/// let mut place = [0; 8];
/// assert_eq!(reader.read(&mut place)?, 5);
/// drop(writer);
/// assert_eq!(reader.read(&mut place)?, 0); // the end
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct PipeReader {
    watched: Watched<io::PipeReader>,
}

/// The end of a [`pipe`] to which is written; also what a child process reads.
///
/// It cannot be cloned, as [`PipeReader`].
///
/// # Examples
/// ```
/// use greenloop::io::pipe;
/// use std::io::{ErrorKind, Write};
///
/// let (reader, mut writer) = pipe()?;
/// drop(reader);
/// assert_eq!(writer.write(b"hello").unwrap_err().kind(), ErrorKind::BrokenPipe);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct PipeWriter {
    watched: Watched<io::PipeWriter>,
}

macro_rules! end_of_pipe {
    ($($end:ident: $taken:literal, $given:literal;)*) => {$(
        impl $end {
            /// Takes over an end of the standard library's, or of a child process. It is made non-blocking.
            ///
            /// **Switches**: no.
            ///
            /// # Errors
            /// If the system refuses to make it non-blocking or to watch it.
            ///
            /// # Examples
            /// ```
            #[doc = concat!("use greenloop::io::", stringify!($end), ";")]
            /// use std::io::Write;
            ///
            /// let (reader, writer) = std::io::pipe()?;
            #[doc = $taken]
            /// assert_eq!(std::io::read_to_string(reader)?, "hello");
            /// # Ok::<(), std::io::Error>(())
            /// ```
            pub fn from_std(end: io::$end) -> io::Result<$end> {
                Ok($end { watched: Watched::nonblocking(end)? })
            }

            /// Gives it back to the standard library, blocking again.
            ///
            /// **Switches**: no.
            ///
            /// # Errors
            /// If the system refuses to make it blocking.
            ///
            /// # Examples
            /// ```
            /// use greenloop::io::pipe;
            /// use std::io::Write;
            ///
            /// let (reader, writer) = pipe()?;
            #[doc = $given]
            /// assert_eq!(std::io::read_to_string(reader)?, "hello");
            /// # Ok::<(), std::io::Error>(())
            /// ```
            pub fn into_std(self) -> io::Result<io::$end> {
                let end = self.watched.into_inner();
                descriptor::set_nonblocking(&end, false)?;
                Ok(end)
            }
        }

        impl AsFd for $end {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.watched.as_fd()
            }
        }

        impl AsRawFd for $end {
            fn as_raw_fd(&self) -> RawFd {
                self.watched.as_fd().as_raw_fd()
            }
        }

        /// As it is, non-blocking.
        impl From<$end> for OwnedFd {
            fn from(end: $end) -> OwnedFd {
                end.watched.into_inner().into()
            }
        }

        impl fmt::Debug for $end {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($end), self.as_raw_fd())
            }
        }
    )*};
}

end_of_pipe! {
    PipeReader: "(&writer).write_all(b\"hello\")?;\ndrop(writer);\nlet reader = PipeReader::from_std(reader)?;",
        "(&writer).write_all(b\"hello\")?;\ndrop(writer);\nlet reader: std::io::PipeReader = reader.into_std()?;";
    PipeWriter: "PipeWriter::from_std(writer)?.write_all(b\"hello\")?;",
        "let mut writer: std::io::PipeWriter = writer.into_std()?;\nwriter.write_all(b\"hello\")?;\ndrop(writer);";
}

impl PipeReader {
    /// Reads what is in the pipe now, but not for ever if somebody goes on writing.
    pub(crate) fn read_what_is_there(&self, bytes: &mut Vec<u8>) {
        const MOST: u64 = 1 << 20;
        // Says that it would block when the pipe is empty; what it has read until then is kept.
        let _ = self.watched.get().take(MOST).read_to_end(bytes);
    }
}

impl Read for &PipeReader {
    #[track_caller]
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        self.watched.with(Direction::Read, None, |mut end| end.read(buf))
    }

    #[track_caller]
    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        if bufs.iter().all(|buf| buf.is_empty()) {
            return Ok(0);
        }
        self.watched.with(Direction::Read, None, |mut end| end.read_vectored(bufs))
    }
}

impl Write for &PipeWriter {
    #[track_caller]
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        self.watched.with(Direction::Write, None, |mut end| end.write(buf))
    }

    #[track_caller]
    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        if bufs.iter().all(|buf| buf.is_empty()) {
            return Ok(0);
        }
        self.watched.with(Direction::Write, None, |mut end| end.write_vectored(bufs))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for PipeReader {
    #[track_caller]
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buf)
    }

    #[track_caller]
    fn read_vectored(&mut self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        (&*self).read_vectored(bufs)
    }
}

impl Write for PipeWriter {
    #[track_caller]
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        (&*self).write(buf)
    }

    #[track_caller]
    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        (&*self).write_vectored(bufs)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
