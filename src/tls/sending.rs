//! Who sends what was encrypted.

use std::io::{self, Write};

use super::session::Session;
use crate::hub::Reason;
use crate::park::{self, Deadline, Woken};
use crate::waitlist::Place;

/// A buffer that is empty keeps at most this much memory.
const KEPT: usize = 4 * 1024;

/// The use of a session's `outgoing` by the running greenlet. However it ends, what was not sent goes back.
pub(super) struct Sending<'a> {
    session: &'a Session,
    bytes: Vec<u8>,
    sent: usize,
}

impl Sending<'_> {
    /// Waits while another greenlet is sending.
    #[track_caller]
    pub(super) fn begin(session: &Session) -> io::Result<Sending<'_>> {
        let mut place = Place::default();
        while session.sending.get() {
            let reason = Reason::plain(&"a TLS stream that another greenlet is writing to");
            if park::wait_on(&session.senders, &mut place, reason, Deadline::NEVER) == Woken::Refused {
                return Err(io::Error::other(
                    "this would wait for another greenlet that writes to this TLS stream, but the greenlet is being \
                     unwound by a panic or a kill: destructors do not block",
                ));
            }
        }
        session.sending.set(true);
        Ok(Sending { session, bytes: session.outgoing.take(), sent: 0 })
    }

    /// Sends all there is, also what is encrypted meanwhile.
    pub(super) fn finish<T: Write>(&mut self, socket: &mut T) -> io::Result<()> {
        loop {
            if self.sent == self.bytes.len() && !self.fetch()? {
                return Ok(());
            }
            while self.sent < self.bytes.len() {
                match socket.write(&self.bytes[self.sent..]) {
                    Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                    Ok(count) => self.sent += count,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
            socket.flush()?;
        }
    }

    /// Takes what the connection has encrypted; says whether there was anything.
    fn fetch(&mut self) -> io::Result<bool> {
        self.bytes.clear();
        self.sent = 0;
        self.session.tickets_wait.set(false);
        let mut connection = self.session.connection.borrow_mut();
        while connection.wants_write() {
            connection.write_tls(&mut self.bytes)?;
        }
        Ok(!self.bytes.is_empty())
    }
}

impl Drop for Sending<'_> {
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.drain(..self.sent);
        if bytes.is_empty() && bytes.capacity() > KEPT {
            bytes = Vec::new();
        }
        *self.session.outgoing.borrow_mut() = bytes;
        self.session.sending.set(false);
        self.session.senders.wake_one();
    }
}
