//! A connection in memory.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::io::{self, Read, Write};
use std::rc::Rc;

use crate::hub::{Object, Reason};
use crate::park::{self, Deadline, Woken};
use crate::waitlist::{Place, WaitList};

/// Two ends of a connection that holds at most `capacity` bytes in each direction.
///
/// # Panics
/// If `capacity` is 0.
///
/// # Examples
/// ```
/// use greenloop::{spawn, testing::duplex};
/// use std::io::{Read, Write};
///
/// let (mut client, mut server) = duplex(4);
/// let writer = spawn(move || client.write_all(b"longer than four bytes"));
/// let mut text = String::new();
/// server.read_to_string(&mut text).unwrap();
/// assert_eq!(text, "longer than four bytes");
/// # writer.join().unwrap().unwrap();
/// ```
#[track_caller]
pub fn duplex(capacity: usize) -> (Duplex, Duplex) {
    assert!(capacity > 0, "a connection with room for 0 bytes could never carry one");
    let (there, back) = (Rc::new(Pipe::new(capacity)), Rc::new(Pipe::new(capacity)));
    (Duplex { reads: back.clone(), writes: there.clone() }, Duplex { reads: there, writes: back })
}

struct Pipe {
    bytes: RefCell<VecDeque<u8>>,
    capacity: usize,
    /// No more will be written.
    ended: Cell<bool>,
    /// Nobody will read any more.
    abandoned: Cell<bool>,
    readers: WaitList,
    writers: WaitList,
}

impl Pipe {
    fn new(capacity: usize) -> Pipe {
        Pipe {
            bytes: RefCell::new(VecDeque::new()),
            capacity,
            ended: Cell::new(false),
            abandoned: Cell::new(false),
            readers: WaitList::new(),
            writers: WaitList::new(),
        }
    }

    #[track_caller]
    fn wait(&self, list: &WaitList, what: &'static &'static str) -> io::Result<()> {
        let reason = Reason::of(what, Object::fill(self.bytes.borrow().len(), self.capacity));
        match park::wait_on(list, &mut Place::default(), reason, Deadline::NEVER) {
            Woken::Notified | Woken::TimedOut => Ok(()),
            Woken::Refused => {
                Err(io::Error::other("this would wait, and a destructor run by a panic or a kill does not"))
            }
        }
    }

    /// Who was woken may leave something: bytes for the next reader, or room for the next writer.
    fn pass_on(&self) {
        let count = self.bytes.borrow().len();
        if count > 0 {
            self.readers.wake_one();
        }
        if count < self.capacity {
            self.writers.wake_one();
        }
    }

    fn end(&self) {
        self.ended.set(true);
        self.readers.wake_all();
        self.writers.wake_all();
    }
}

/// One end of a connection in memory, made by [`duplex`]: what is written here is read there.
///
/// Dropping it ends the connection: the other end reads what is left, then nothing; its writes fail with `BrokenPipe`.
///
/// **Switches**: `read` does while nothing is there, `write` while there is no room.
///
/// **While unwinding** they give an error at once.
///
/// # Examples
/// ```
/// use greenloop::testing::duplex;
/// use std::io::{ErrorKind, Read, Write};
///
/// let (mut here, mut there) = duplex(100);
/// there.write_all(b"last words")?;
/// drop(there);
/// let mut heard = String::new();
/// here.read_to_string(&mut heard)?;
/// assert_eq!(heard, "last words");
/// assert_eq!(here.write(b"?").unwrap_err().kind(), ErrorKind::BrokenPipe);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Duplex {
    reads: Rc<Pipe>,
    writes: Rc<Pipe>,
}

impl Duplex {
    /// Says that nothing more will be written; reading goes on. Whoever writes here nevertheless gets `BrokenPipe`. **Switches**: no.
    ///
    /// # Examples
    /// ```
    /// use greenloop::testing::duplex;
    /// use std::io::{Read, Write};
    ///
    /// let (mut client, mut server) = duplex(100);
    /// client.write_all(b"question")?;
    /// client.shutdown_write();
    /// assert!(client.write(b"!").unwrap_err().to_string().contains("shut down"));
    /// let mut text = String::new();
    /// server.read_to_string(&mut text)?; // up to the end
    /// server.write_all(b"answer")?;
    /// drop(server);
    /// client.read_to_string(&mut text)?;
    /// assert_eq!(text, "questionanswer");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn shutdown_write(&self) {
        self.writes.end();
    }
}

fn broken(why: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, why)
}

impl Read for &Duplex {
    #[track_caller]
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let pipe = &self.reads;
        while !buf.is_empty() && pipe.bytes.borrow().is_empty() && !pipe.ended.get() {
            pipe.wait(&pipe.readers, &"a connection in memory (read)")?;
        }
        let count = pipe.bytes.borrow_mut().read(buf)?;
        if count > 0 {
            pipe.writers.wake_one();
            pipe.pass_on();
        }
        Ok(count)
    }
}

impl Write for &Duplex {
    #[track_caller]
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let pipe = &self.writes;
        loop {
            if pipe.ended.get() {
                return Err(broken("this end of the connection has been shut down for writing"));
            }
            if pipe.abandoned.get() {
                return Err(broken("the other end of the connection is gone"));
            }
            let room = pipe.capacity - pipe.bytes.borrow().len();
            if room > 0 || buf.is_empty() {
                let count = room.min(buf.len());
                pipe.bytes.borrow_mut().extend(&buf[..count]);
                pipe.readers.wake_one();
                pipe.pass_on();
                return Ok(count);
            }
            pipe.wait(&pipe.writers, &"a connection in memory (write)")?;
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Duplex {
    #[track_caller]
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buf)
    }
}

impl Write for Duplex {
    #[track_caller]
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        (&*self).write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Duplex {
    fn drop(&mut self) {
        self.writes.end();
        self.reads.abandoned.set(true);
        self.reads.writers.wake_all();
    }
}

impl fmt::Debug for Duplex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (reads, writes) = (self.reads.bytes.borrow().len(), self.writes.bytes.borrow().len());
        write!(f, "Duplex({reads} bytes to read, {writes} written)")
    }
}

#[cfg(feature = "tls")]
impl crate::tls::SharedStream for Duplex {
    type Side<'a> = &'a Duplex;

    fn side(&self) -> &Duplex {
        self
    }
}
