//! What a child process gets as its standard streams.

use std::fmt;
use std::os::fd::OwnedFd;

use crate::fs::File;
use crate::io::{PipeReader, PipeWriter, Stderr, Stdout};

/// The end of a pipe whose other end is the standard input of a child.
///
/// # Examples
/// ```
/// use greenloop::process::{ChildStdin, Command, Stdio};
/// use std::io::Write;
///
/// let mut child = Command::new("wc").arg("-c").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
/// let mut input: ChildStdin = child.stdin.take().unwrap();
/// input.write_all(b"hello")?;
/// drop(input); // that is the end
/// assert_eq!(child.wait_with_output()?.stdout.trim_ascii(), b"5");
/// # Ok::<(), std::io::Error>(())
/// ```
pub type ChildStdin = PipeWriter;
/// The end of a pipe whose other end is the standard output of a child.
///
/// # Examples
/// ```
/// use greenloop::process::{ChildStdout, Command, Stdio};
/// use std::io::{BufRead, BufReader};
///
/// let mut child = Command::new("printf").arg("one\\ntwo\\n").stdout(Stdio::piped()).spawn()?;
/// let output: ChildStdout = child.stdout.take().unwrap();
/// let lines: Vec<_> = BufReader::new(output).lines().collect::<Result<_, _>>()?;
/// assert_eq!(lines, ["one", "two"]);
/// # child.wait()?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub type ChildStdout = PipeReader;
/// The end of a pipe whose other end is the standard error of a child.
///
/// # Examples
/// ```
/// use greenloop::process::{ChildStderr, Command, Stdio};
///
/// let mut child = Command::new("sh").args(["-c", "echo a warning >&2"]).stderr(Stdio::piped()).spawn()?;
/// let warnings: ChildStderr = child.stderr.take().unwrap();
/// assert_eq!(std::io::read_to_string(warnings)?, "a warning\n");
/// # child.wait()?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub type ChildStderr = PipeReader;

/// What a child gets as a standard stream: `std::process::Stdio`, and the files, pipes and standard streams of this crate.
///
/// The child sees its end blocking, as programs expect, if that is [`piped`](Self::piped), or a pipe of this crate. A descriptor, and what is
/// of the standard library, is passed as it is: whether it blocks belongs to the open file, which others may share. If it is
/// of a socket of this crate, let [`into_std`](crate::net::TcpStream::into_std) make it blocking before.
///
/// # Examples
/// ```
/// use greenloop::{io::pipe, process::{Command, Stdio}};
/// use std::io::Read;
///
/// let (mut reader, writer) = pipe()?;
/// let status = Command::new("echo").arg("hello").stdin(Stdio::null()).stdout(writer).status()?;
/// let mut text = String::new();
/// reader.read_to_string(&mut text)?; // the `Command` with the other end is gone
/// assert!(status.success() && text == "hello\n");
/// # Ok::<(), std::io::Error>(())
/// ```
/// A child that serves a connection, as those of inetd do:
/// ```
/// use greenloop::{net::UnixStream, process::Command};
/// use std::{io::{Read, Write}, net::Shutdown, os::fd::OwnedFd};
///
/// let (mut client, connection) = UnixStream::pair()?;
/// let connection = OwnedFd::from(connection.into_std()?);
/// let mut child = Command::new("cat").stdin(connection.try_clone()?).stdout(connection).spawn()?;
/// client.write_all(b"hello")?;
/// client.shutdown(Shutdown::Write)?;
/// let mut text = String::new();
/// client.read_to_string(&mut text)?;
/// assert_eq!(text, "hello");
/// # child.wait()?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Stdio(pub(super) std::process::Stdio);

impl Stdio {
    /// A new pipe; our end of it is in the [`Child`](super::Child).
    ///
    /// # Examples
    /// ```
    /// use greenloop::process::{Command, Stdio};
    ///
    /// let mut child = Command::new("echo").arg("hello").stdout(Stdio::piped()).spawn()?;
    /// assert!(child.stdin.is_none() && child.stdout.is_some());
    /// assert_eq!(child.wait_with_output()?.stdout, b"hello\n");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn piped() -> Stdio {
        Stdio(std::process::Stdio::piped())
    }

    /// The stream of this process.
    ///
    /// # Examples
    /// ```
    /// use greenloop::process::{Command, Stdio};
    ///
    /// let output = Command::new("echo").arg("for the terminal").stdout(Stdio::inherit()).output()?;
    /// assert!(output.stdout.is_empty()); // it went elsewhere
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn inherit() -> Stdio {
        Stdio(std::process::Stdio::inherit())
    }

    /// Nothing: an end at once, or a place where everything vanishes.
    ///
    /// # Examples
    /// ```
    /// use greenloop::process::{Command, Stdio};
    ///
    /// let mut child = Command::new("cat").stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    /// assert!(child.communicate(b"")?.stdout.is_empty());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn null() -> Stdio {
        Stdio(std::process::Stdio::null())
    }
}

macro_rules! from {
    ($($type:ty),*) => {$(
        impl From<$type> for Stdio {
            fn from(stream: $type) -> Stdio {
                Stdio(stream.into())
            }
        }
    )*};
}

// As they are: others may share the open file, and it is theirs whether it blocks.
from!(std::process::Stdio, std::fs::File, OwnedFd, std::io::PipeReader, std::io::PipeWriter);
from!(std::io::Stdout, std::io::Stderr);

impl From<File> for Stdio {
    fn from(file: File) -> Stdio {
        file.into_std().into()
    }
}

/// The child's stream is then that of this process.
impl From<Stdout> for Stdio {
    fn from(_: Stdout) -> Stdio {
        std::io::stdout().into()
    }
}

/// The child's stream is then that of this process.
impl From<Stderr> for Stdio {
    fn from(_: Stderr) -> Stdio {
        std::io::stderr().into()
    }
}

/// # Panics
/// If the system refuses to make it blocking.
impl From<PipeReader> for Stdio {
    fn from(end: PipeReader) -> Stdio {
        end.into_std().unwrap_or_else(|error| panic!("a pipe could not be made blocking: {error}")).into()
    }
}

/// # Panics
/// If the system refuses to make it blocking.
impl From<PipeWriter> for Stdio {
    fn from(end: PipeWriter) -> Stdio {
        end.into_std().unwrap_or_else(|error| panic!("a pipe could not be made blocking: {error}")).into()
    }
}

impl fmt::Debug for Stdio {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}
