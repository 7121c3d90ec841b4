//! One TLS connection apart from its socket.
//!
//! rustls turns bytes into bytes and does no input or output. A call on the socket may switch greenlets, so nothing of the
//! connection may be borrowed meanwhile. Hence two buffers between the two, which belong to nobody else while a socket call uses them:
//!
//! ```text
//!            reader()           feed                     one greenlet at a time
//!   read  ◀── plaintext ◀── connection ◀── incoming ◀──────── socket.read
//!   write ──▶           ──▶ connection ──▶ outgoing ────────▶ socket.write
//!            writer()          write_tls                 one greenlet at a time
//! ```
//!
//! * What was read from the socket is fed at once, or stays in `incoming` until there is room for it.
//! * What was encrypted stays in `outgoing` until the socket has taken it, whoever is interrupted meanwhile: records leave whole
//!   and in order, and the next call goes on where an interrupted one stopped.
//! * A read sends what the protocol itself has to say, and so may wait for the other direction; but never behind a backlog of
//!   data, since a peer that does not read before it has written would then wait for ever.
//! * The tickets of a TLS 1.3 server, by which a client may resume, go out with its first data and not before. A client that only
//!   sends never reads them: in its socket they would turn its close into a reset, which destroys what it has sent.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io::{self, Read, Write};

use rustls::Connection;

use super::sending::Sending;
use crate::hub::Task;
use crate::io::{Holder, with_context};
use crate::park;
use crate::waitlist::WaitList;

/// What `incoming` holds at rest, and at most: a little more than the largest record.
const SMALL: usize = 4 * 1024;
const LARGE: usize = 20 * 1024;

pub(super) struct Session {
    pub(super) connection: RefCell<Connection>,
    incoming: RefCell<Incoming>,
    /// Who uses `incoming`.
    receiving: Holder,
    /// Encrypted, and not sent.
    pub(super) outgoing: RefCell<Vec<u8>>,
    /// A greenlet uses `outgoing`.
    pub(super) sending: Cell<bool>,
    /// Those who want to.
    pub(super) senders: WaitList,
    /// Who is inside `write`.
    writing: Holder,
    /// Why what an earlier write has taken could not be sent.
    late: Cell<Option<io::Error>>,
    /// What the peer did wrong.
    fault: RefCell<Option<rustls::Error>>,
    /// `close_notify` was said.
    closed: Cell<bool>,
    /// All that the connection has to say is tickets.
    pub(super) tickets_wait: Cell<bool>,
}

impl Session {
    pub(super) fn new(connection: Connection) -> Session {
        Session {
            connection: RefCell::new(connection),
            incoming: RefCell::default(),
            receiving: Holder::default(),
            outgoing: RefCell::default(),
            sending: Cell::new(false),
            senders: WaitList::new(),
            writing: Holder::default(),
            late: Cell::new(None),
            fault: RefCell::new(None),
            closed: Cell::new(false),
            tickets_wait: Cell::new(false),
        }
    }

    pub(super) fn read<T: Read + Write>(&self, socket: &mut T, place: &mut [u8]) -> io::Result<usize> {
        if place.is_empty() {
            return Ok(0);
        }
        park::take_turn();
        loop {
            if let Some(result) = self.take_plaintext(place) {
                return result;
            }
            self.answer(socket)
                .map_err(|error| in_words("the TLS read timed out while it had to write", error))?;
            if let Err(error) = self.receive(socket) {
                // So that the peer hears why. It is of no use to say that this failed as well.
                let _ = self.answer(socket);
                return Err(in_words("the TLS read timed out", error));
            }
        }
    }

    /// What has been decrypted, or the end. Nothing if more has to come from the peer.
    fn take_plaintext(&self, place: &mut [u8]) -> Option<io::Result<usize>> {
        match self.connection.borrow_mut().reader().read(place) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.fault().map(Err),
            result => Some(result),
        }
    }

    fn fault(&self) -> Option<io::Error> {
        self.fault.borrow().clone().map(invalid)
    }

    /// Sends what the protocol has to say, unless somebody is sending or data lies before it.
    fn answer<T: Write>(&self, socket: &mut T) -> io::Result<()> {
        let silent = !self.connection.borrow().wants_write() || self.tickets_wait.get();
        if silent || self.sending.get() || !self.outgoing.borrow().is_empty() {
            return Ok(());
        }
        Sending::begin(self)?.finish(socket)
    }

    /// Feeds what is there, or what one read of the socket brings. False at its end.
    pub(super) fn receive<T: Read>(&self, socket: &mut T) -> io::Result<bool> {
        let mut receiving = Receiving::begin(self)?;
        if receiving.incoming.is_empty() && receiving.incoming.fill(socket)? == 0 {
            self.connection.borrow_mut().read_tls(&mut io::empty())?;
            return Ok(false);
        }
        receiving.feed()?;
        Ok(true)
    }

    /// Gives back the memory of buffers in which nothing is.
    #[cfg(feature = "http")]
    pub(super) fn give_buffers_back(&self) {
        let (mut incoming, mut outgoing) = (self.incoming.borrow_mut(), self.outgoing.borrow_mut());
        if incoming.is_empty() {
            *incoming = Incoming::default();
        }
        if outgoing.is_empty() {
            *outgoing = Vec::new();
        }
    }

    /// `take` gives plaintext to the connection and says how much. An error means that nothing was taken.
    pub(super) fn write<T: Write>(
        &self,
        socket: &mut T,
        take: impl FnOnce(&mut rustls::Writer<'_>) -> io::Result<usize>,
    ) -> io::Result<usize> {
        self.late.take().map_or(Ok(()), Err)?;
        let writing = Writing::begin(self)?;
        let mut sending = Sending::begin(self)?;
        sending.finish(socket).map_err(write_error)?;
        if let Some(fault) = self.fault() {
            return Err(fault);
        }
        if self.closed.get() {
            return Err(io::Error::new(
                io::ErrorKind::BrokenPipe,
                "this TLS stream was closed for writing; nothing can follow its close_notify",
            ));
        }
        let taken = take(&mut self.connection.borrow_mut().writer())?;
        if let Err(error) = sending.finish(socket) {
            self.late.set(Some(write_error(error)));
        }
        drop(writing);
        Ok(taken)
    }

    /// Sends what earlier writes have left.
    pub(super) fn flush<T: Write>(&self, socket: &mut T) -> io::Result<()> {
        self.late.take().map_or(Ok(()), Err)?;
        Sending::begin(self)?.finish(socket).map_err(write_error)
    }

    /// Says that nothing will follow.
    pub(super) fn close<T: Write>(&self, socket: &mut T) -> io::Result<()> {
        let mut sending = Sending::begin(self)?;
        self.late.take();
        if !self.closed.replace(true) {
            self.connection.borrow_mut().send_close_notify();
        }
        sending.finish(socket).map_err(write_error)
    }
}

fn write_error(error: io::Error) -> io::Error {
    in_words("the TLS write timed out", error)
}

/// Says of an expiry what it interrupted.
fn in_words(what: &str, error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::TimedOut => with_context(error, what),
        _ => error,
    }
}

fn invalid(fault: rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, fault)
}

/// Bytes of the socket that were not fed yet: `data[start..end]`.
#[derive(Default)]
struct Incoming {
    data: Vec<u8>,
    start: usize,
    end: usize,
}

impl Incoming {
    fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// One read. The size follows what comes: most connections are idle, and need little.
    fn fill<T: Read>(&mut self, socket: &mut T) -> io::Result<usize> {
        let size = match self.data.len() {
            0 => SMALL,
            size if self.end == size => LARGE,
            size if self.end <= SMALL && size > SMALL => {
                self.data = Vec::new();
                SMALL
            }
            size => size,
        };
        self.data.resize(size, 0);
        (self.start, self.end) = (0, 0);
        loop {
            match socket.read(&mut self.data) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => {
                    self.end = *result.as_ref().unwrap_or(&0);
                    return result;
                }
            }
        }
    }
}

/// The use of `incoming` by the running greenlet.
struct Receiving<'a> {
    session: &'a Session,
    incoming: Incoming,
}

impl Receiving<'_> {
    fn begin(session: &Session) -> io::Result<Receiving<'_>> {
        session.receiving.begin().map_err(|other| is_taken("read", &other))?;
        Ok(Receiving { session, incoming: session.incoming.take() })
    }

    /// Gives the connection as much as it takes at a time.
    fn feed(&mut self) -> io::Result<()> {
        let mut connection = self.session.connection.borrow_mut();
        let Incoming { data, start, end } = &mut self.incoming;
        match connection.read_tls(&mut &data[*start..*end])? {
            // Nothing of interest comes after the end.
            0 => *start = *end,
            count => *start += count,
        }
        connection.process_new_packets().map(drop).map_err(|fault| {
            *self.session.fault.borrow_mut() = Some(fault.clone());
            self.session.tickets_wait.set(false);
            invalid(fault)
        })
    }
}

impl Drop for Receiving<'_> {
    fn drop(&mut self) {
        *self.session.incoming.borrow_mut() = std::mem::take(&mut self.incoming);
        self.session.receiving.end();
    }
}

/// The presence of the running greenlet in `write`.
struct Writing<'a>(&'a Session);

impl Writing<'_> {
    fn begin(session: &Session) -> io::Result<Writing<'_>> {
        session.writing.begin().map_err(|other| is_taken("written", &other))?;
        Ok(Writing(session))
    }
}

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        self.0.writing.end();
    }
}

/// `participle` says what the other does to the stream.
#[cold]
fn is_taken(participle: &str, other: &Task) -> io::Error {
    io::Error::other(format!(
        "this TLS stream is already being {participle} by greenlet {other}; two at once would tear the stream apart: \
         give one of them the task or put a lock around it"
    ))
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let connection = self.connection.borrow();
        f.debug_struct("Session")
            .field("version", &connection.protocol_version())
            .field("cipher_suite", &connection.negotiated_cipher_suite().map(|suite| suite.suite()))
            .finish_non_exhaustive()
    }
}
