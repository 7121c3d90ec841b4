//! The standard streams of the process.
//!
//! The open files under them are shared with other processes: with the shell, with the other end of a pipeline, with children. To
//! make one non-blocking would make it so for all of them, and stays so after the process has ended. So they stay blocking. A
//! greenlet waits for readiness as for any descriptor, and can be killed there; the operation itself is done by a thread
//! of its own, one for each stream, for another process may have been faster and taken the bytes or the room. Where another
//! process has made the open file non-blocking that is no error either: the thread waits as it would have otherwise.
//!
//! What that thread has read belongs to the process and not to the greenlet that has asked for it: it lies in one buffer
//! until somebody takes it, so a kill between loses nothing. What it is to write it owns, and writes in the order of the calls.

use std::cell::Cell;
use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use super::{Direction, Watched};
use crate::sync::Semaphore;
use crate::sys::descriptor;
use crate::threadpool::ThreadPool;

/// Bytes that are read or written in one go. A pipe that has room has room for so many, and takes them as a whole.
const PIECE: usize = 4096;

/// The standard input of the process. Only the greenlet waits.
///
/// Its bytes are buffered for the whole process, apart from the buffer of [`std::io::stdin`]: use one of the two.
///
/// **Switches**: no.
///
/// # Examples
/// ```no_run
/// for line in greenloop::io::stdin().lines() {
///     println!("you said {}", line?); // other greenlets have run meanwhile
/// }
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn stdin() -> Stdin {
    Stdin(())
}

/// The standard output of the process. Only the greenlet waits, also where a terminal is stopped or a pipeline is slow.
///
/// What is written goes out at once and in the order of the calls, behind what `print!` has left in its buffer. A `write!` is one
/// write: up to 4096 bytes are not torn apart.
///
/// **Switches**: no.
///
/// # Examples
/// ```
/// use std::io::Write;
///
/// writeln!(greenloop::io::stdout(), "one line of {}", 3)?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn stdout() -> Stdout {
    Stdout(())
}

/// The standard error of the process, as [`stdout`]. **Switches**: no.
///
/// # Examples
/// ```
/// use std::io::Write;
///
/// writeln!(greenloop::io::stderr(), "{} of {} done", 3, 7)?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn stderr() -> Stderr {
    Stderr(())
}

/// See [`stdin`].
///
/// # Examples
/// ```no_run
/// use std::io::Read;
///
/// let mut text = String::new();
/// greenloop::io::stdin().read_to_string(&mut text)?; // up to the end
/// println!("{} words", text.split_whitespace().count());
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Stdin(());

/// See [`stdout`].
///
/// # Examples
/// ```
/// use greenloop::{io::Stdout, spawn};
/// use std::io::Write;
///
/// fn say(mut out: Stdout, word: &str) -> std::io::Result<()> {
///     writeln!(out, "{word}, from a line of its own")
/// }
/// let other = spawn(|| say(greenloop::io::stdout(), "hello"));
/// say(greenloop::io::stdout(), "goodbye")?;
/// other.join().unwrap()?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Stdout(());

/// See [`stderr`].
///
/// # Examples
/// ```
/// use greenloop::process::Command;
///
/// // A child may write where this process does.
/// let status = Command::new("sh").args(["-c", "echo to the log >&2"]).stderr(greenloop::io::stderr()).status()?;
/// assert!(status.success());
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Stderr(());

/// What was read and that nobody has taken yet.
static INPUT: Mutex<Input> = Mutex::new(Input {
    bytes: VecDeque::new(),
    searched: 0,
    come: 0,
    ended: false,
    failure: None,
    reading: false,
});

struct Input {
    bytes: VecDeque<u8>,
    /// No newline is among so many of the first: a long line comes in many pieces, and none of them is looked at twice.
    searched: usize,
    /// How many bytes have ever come.
    come: u64,
    /// The end has come; it is told once, since a terminal goes on behind it.
    ended: bool,
    failure: Option<io::Error>,
    /// The thread reads, or is about to.
    reading: bool,
}

fn input() -> MutexGuard<'static, Input> {
    INPUT.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Input {
    /// Is there anything to tell a reader who knows of so many of the bytes that have come, and could do nothing with what was left of
    /// them? Others may have taken some since, so their number in the buffer says nothing.
    fn has_more_than(&self, known: Option<u64>) -> bool {
        known.map_or(!self.bytes.is_empty(), |known| self.come > known) || self.is_at_its_end()
    }

    fn is_at_its_end(&self) -> bool {
        self.ended || self.failure.is_some()
    }

    /// How long the first line is, with its newline, if that has come.
    fn line_length(&mut self) -> Option<usize> {
        let left = self.bytes.range(self.searched..).position(|&byte| byte == b'\n');
        self.searched = left.map_or(self.bytes.len(), |left| self.searched + left);
        left.map(|_| self.searched + 1)
    }

    /// At most so many bytes; none at the end.
    fn take(&mut self, most: usize) -> io::Result<Vec<u8>> {
        if self.bytes.is_empty() {
            self.ended = false;
            return self.failure.take().map_or(Ok(Vec::new()), Err);
        }
        let count = self.bytes.len().min(most);
        self.searched = self.searched.saturating_sub(count);
        Ok(self.bytes.drain(..count).collect())
    }
}

/// A thread of its own for each stream, so that a stuck one keeps nobody else from going on, and the order is kept.
fn worker(stream: &'static OnceLock<ThreadPool>) -> &'static ThreadPool {
    stream.get_or_init(|| ThreadPool::new(1))
}

/// Parks until the stream is ready. What the system cannot watch it calls ready.
#[track_caller]
fn wait_until_ready(stream: BorrowedFd<'_>, direction: Direction) -> io::Result<()> {
    if descriptor::is_ready(stream, direction == Direction::Write)? {
        return Ok(());
    }
    // A duplicate, as the user may watch the stream itself.
    let watched = Watched::new(stream.try_clone_to_owned()?)?;
    match direction {
        Direction::Read => watched.readable(),
        Direction::Write => watched.writable(),
    }
}

/// Only one greenlet of the process waits for input at a time; the others would not hear of what it leaves in the buffer.
struct Turn(&'static Semaphore);

impl Turn {
    #[track_caller]
    fn wait() -> io::Result<Turn> {
        static TURN: OnceLock<Semaphore> = OnceLock::new();
        let turn = TURN.get_or_init(|| Semaphore::new(1));
        if !turn.acquire() {
            return Err(refused());
        }
        let _ = HELD.try_with(|held| held.0.set(Some(turn)));
        Ok(Turn(turn))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let _ = HELD.try_with(|held| held.0.take());
        self.0.release();
    }
}

/// A greenlet that ends with its thread is forgotten, and drops nothing. The turn that it had is given back by its thread.
struct Held(Cell<Option<&'static Semaphore>>);

thread_local! {
    static HELD: Held = const { Held(Cell::new(None)) };
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(turn) = self.0.take() {
            turn.release();
        }
    }
}

fn refused() -> io::Error {
    io::Error::other("standard input is not waited for in a destructor run by a panic or a kill")
}

/// On the thread for input: reads what is there, if nobody knows of anything that was read before.
fn read_piece(known: Option<u64>) {
    let nothing_to_do = input().has_more_than(known);
    let is_there = descriptor::is_ready(io::stdin().as_fd(), false);
    if !nothing_to_do && !matches!(is_there, Ok(false)) {
        let mut piece = [0; PIECE];
        let outcome = rustix::io::read(io::stdin(), &mut piece);
        let mut input = input();
        match outcome {
            Ok(0) => input.ended = true,
            Ok(count) => {
                input.bytes.extend(&piece[..count]);
                input.come += count as u64;
            }
            // Interrupted, or another process was faster.
            Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => {}
            Err(error) => input.failure = Some(error.into()),
        }
    }
    input().reading = false;
}

impl Stdin {
    /// Waits until there are more bytes than the reader knows of, the end, or an error.
    #[track_caller]
    fn fill(&self, known: Option<u64>) -> io::Result<()> {
        static WORKER: OnceLock<ThreadPool> = OnceLock::new();
        if input().has_more_than(known) {
            return Ok(());
        }
        let _turn = Turn::wait()?;
        while !input().has_more_than(known) {
            // If a reader was killed while the thread read for it, the thread is waited for.
            if !input().reading {
                wait_until_ready(io::stdin().as_fd(), Direction::Read)?;
            }
            input().reading = true;
            let job = worker(&WORKER).try_spawn(move || read_piece(known));
            job.inspect_err(|_| input().reading = false)?.outcome()?;
        }
        Ok(())
    }

    /// Reads until a newline, which is included, and appends it to `line`; gives the number of bytes, none at the end.
    ///
    /// A greenlet that is killed or times out meanwhile leaves what it has of the line to the next.
    ///
    /// **Switches**: unless a line is there.
    ///
    /// # Errors
    /// Those of the system; `InvalidData` if the line is not UTF-8: then it is gone.
    ///
    /// # Examples
    /// ```no_run
    /// use greenloop::{io::stdin, timeout};
    /// use std::time::Duration;
    ///
    /// let mut answer = String::new();
    /// println!("Go on?");
    /// match timeout(Duration::from_secs(10), || stdin().read_line(&mut answer)) {
    ///     Ok(count) => println!("{} bytes: {answer}", count?),
    ///     Err(elapsed) => println!("{elapsed}"),
    /// }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn read_line(&self, line: &mut String) -> io::Result<usize> {
        let mut known = None;
        let bytes = loop {
            self.fill(known)?;
            // Under one lock, as another greenlet may take from the buffer while this one waits.
            let mut input = input();
            match input.line_length() {
                Some(length) => break input.take(length)?,
                None if input.is_at_its_end() => break input.take(usize::MAX)?,
                None => known = Some(input.come),
            }
        };
        let text =
            String::from_utf8(bytes).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        line.push_str(&text);
        Ok(text.len())
    }

    /// The lines that are left, without their ends, `\n` or `\r\n`.
    ///
    /// **Switches**: `next` does, unless a line is there.
    ///
    /// # Examples
    /// ```no_run
    /// let mut sum = 0;
    /// for line in greenloop::io::stdin().lines() {
    ///     sum += line?.trim().parse().unwrap_or(0);
    /// }
    /// println!("{sum}");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn lines(&self) -> impl Iterator<Item = io::Result<String>> + use<> {
        std::iter::from_fn(|| {
            let mut line = String::new();
            match stdin().read_line(&mut line) {
                Ok(0) => None,
                Ok(_) => {
                    let end =
                        line.strip_suffix('\n').map(|rest| rest.strip_suffix('\r').unwrap_or(rest).len());
                    line.truncate(end.unwrap_or(line.len()));
                    Some(Ok(line))
                }
                Err(error) => Some(Err(error)),
            }
        })
    }
}

impl Read for &Stdin {
    #[track_caller]
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if buf.is_empty() {
            return Ok(0);
        }
        loop {
            self.fill(None)?;
            let mut input = input();
            // A reader on another thread may have been faster; to take nothing then would look like the end.
            if input.has_more_than(None) {
                let bytes = input.take(buf.len())?;
                buf[..bytes.len()].copy_from_slice(&bytes);
                return Ok(bytes.len());
            }
        }
    }
}

impl Read for Stdin {
    #[track_caller]
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buf)
    }
}

impl AsFd for Stdin {
    fn as_fd(&self) -> BorrowedFd<'_> {
        // Of the process, not of the value.
        static STDIN: OnceLock<io::Stdin> = OnceLock::new();
        STDIN.get_or_init(io::stdin).as_fd()
    }
}

impl fmt::Debug for Stdin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stdin")
    }
}

/// Writes all of `piece`, however long that takes.
fn write_whole<S: Write + AsFd>(mut stream: S, mut piece: &[u8]) -> io::Result<()> {
    while !piece.is_empty() {
        match stream.write(piece) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(count) => piece = &piece[count..],
            Err(error) => wait_after(error, &stream)?,
        }
    }
    while let Err(error) = stream.flush() {
        wait_after(error, &stream)?;
    }
    Ok(())
}

/// Blocks the thread until another attempt is worth it.
fn wait_after(error: io::Error, stream: &impl AsFd) -> io::Result<()> {
    match error.kind() {
        io::ErrorKind::Interrupted => Ok(()),
        io::ErrorKind::WouldBlock => descriptor::block_until_writable(stream.as_fd()),
        _ => Err(error),
    }
}

/// Writes the first piece of `bytes`. What the thread has begun to write goes out even if the greenlet is killed meanwhile.
#[track_caller]
fn write_piece<S>(stream: fn() -> S, worker: &'static ThreadPool, bytes: &[u8]) -> io::Result<usize>
where
    S: Write + AsFd + 'static,
{
    let piece = &bytes[..bytes.len().min(PIECE)];
    if piece.is_empty() {
        return Ok(0);
    }
    // Last words are not lost; they may stop the thread, as those of `print!`.
    if std::thread::panicking() {
        return write_whole(stream(), piece).map(|()| piece.len());
    }
    wait_until_ready(stream().as_fd(), Direction::Write)?;
    let (count, piece) = (piece.len(), piece.to_vec());
    worker.try_spawn(move || write_whole(stream(), &piece))?.outcome()??;
    Ok(count)
}

macro_rules! output {
    ($($type:ident, $stream:ident;)*) => {$(
        impl $type {
            #[track_caller]
            fn put(bytes: &[u8]) -> io::Result<usize> {
                static WORKER: OnceLock<ThreadPool> = OnceLock::new();
                write_piece(io::$stream, worker(&WORKER), bytes)
            }
        }

        impl Write for &$type {
            #[track_caller]
            fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
                $type::put(buf)
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }

            /// As a whole, so that greenlets do not write between each other's words.
            #[track_caller]
            fn write_fmt(&mut self, text: fmt::Arguments<'_>) -> io::Result<()> {
                self.write_all(text.to_string().as_bytes())
            }
        }

        impl Write for $type {
            #[track_caller]
            fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
                $type::put(buf)
            }

            fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }

            #[track_caller]
            fn write_fmt(&mut self, text: fmt::Arguments<'_>) -> io::Result<()> {
                (&*self).write_fmt(text)
            }
        }

        impl AsFd for $type {
            fn as_fd(&self) -> BorrowedFd<'_> {
                static STREAM: OnceLock<io::$type> = OnceLock::new();
                STREAM.get_or_init(io::$stream).as_fd()
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(stringify!($type))
            }
        }
    )*};
}

output! {
    Stdout, stdout;
    Stderr, stderr;
}
