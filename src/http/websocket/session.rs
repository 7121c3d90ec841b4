//! The engine on a stream: who reads, who sends, and how it ends.

use std::cell::{Cell, RefCell};
use std::io::{self, Read, Write};
use std::thread;

use tungstenite::Bytes;
use tungstenite::protocol::Role;
use tungstenite::protocol::frame::coding::Data;

use super::deflate::{Agreement, Deflating};
use super::engine::{Engine, Step};
use super::error::WebSocketError;
use super::message::Message;
use super::options::Limits;
use crate::event::Event;
use crate::http::error::is_timeout;
use crate::http::upgrade::Upgraded;
use crate::hub::Task;
use crate::io::Holder;
use crate::lock::{Mutex, MutexGuard};
use crate::park;

/// Longer messages are sent in frames of this size.
const FRAME: usize = 64 * 1024;
/// A reader with more answers than this waits until they have left.
const MOST_ANSWERS: usize = 16 * 1024;
/// What is read at a time, at rest and when much comes.
const SMALL: usize = 2 * 1024;
const LARGE: usize = 16 * 1024;

pub(super) struct Session {
    engine: RefCell<Engine>,
    pub(super) stream: Upgraded,
    limits: Limits,
    /// Messages may be compressed.
    pub(super) agreement: Option<Agreement>,
    /// Who is inside `receive`.
    reading: Holder,
    /// Much came with the last read.
    is_busy: Cell<bool>,
    /// The peer was pinged, and nothing has come since.
    is_doubted: Cell<bool>,
    /// Held by whoever sends.
    turn: Mutex<()>,
    end: RefCell<Option<WebSocketError>>,
    ended: Event,
}

impl Session {
    pub(super) fn new(
        stream: Upgraded,
        role: Role,
        limits: &Limits,
        agreement: Option<Agreement>,
    ) -> io::Result<Session> {
        stream.set_write_timeout(limits.write_timeout)?;
        stream.set_read_timeout(limits.ping_every)?;
        Ok(Session {
            engine: RefCell::new(Engine::new(role, limits, agreement)),
            stream,
            limits: limits.clone(),
            agreement,
            reading: Holder::default(),
            is_busy: Cell::new(false),
            is_doubted: Cell::new(false),
            turn: Mutex::new(()),
            end: RefCell::new(None),
            ended: Event::new(),
        })
    }

    #[track_caller]
    pub(super) fn read(&self) -> Result<Message, WebSocketError> {
        park::take_turn();
        let reading = Reading::begin(self)?;
        let received = self.receive();
        drop(reading);
        received
    }

    fn receive(&self) -> Result<Message, WebSocketError> {
        loop {
            if let Some(end) = self.end() {
                return Err(end);
            }
            let step = self.engine.borrow_mut().step();
            match step {
                Step::Message(message) => return Ok(message),
                Step::Control => self.answer()?,
                Step::More => {
                    self.answer()?;
                    self.fill()?;
                }
                Step::End(end) => {
                    // The peer may be gone; how it has ended is known.
                    let _ = self.answer();
                    return Err(self.finish(end));
                }
            }
        }
    }

    /// One read of the stream.
    fn fill(&self) -> Result<(), WebSocketError> {
        if self.stream.stream().is_stopping() {
            return Err(self.go_away());
        }
        let mut place = vec![0; if self.is_busy.get() { LARGE } else { SMALL }];
        let result = {
            let _idle = Idle::begin(self);
            (&self.stream).read(&mut place)
        };
        // TLS tells an end that was not said from one that was. Here both are told from a close.
        let is_end = |error: &io::Error| error.kind() == io::ErrorKind::UnexpectedEof;
        let result = result.or_else(|error| if is_end(&error) { Ok(0) } else { Err(error) });
        match result {
            Ok(0) if self.stream.stream().is_stopping() => Err(self.go_away()),
            Ok(count) => {
                self.is_busy.set(count == place.len());
                if self.is_doubted.replace(false) {
                    self.stream.set_read_timeout(self.limits.ping_every)?;
                }
                self.engine.borrow_mut().feed(&place[..count]);
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(error) if is_timeout(&error) && !self.is_doubted.replace(true) => {
                self.stream.set_read_timeout(self.limits.pong_timeout)?;
                self.engine.borrow_mut().ping(Bytes::new());
                self.answer()
            }
            Err(error) if is_timeout(&error) => Err(self.broken(WebSocketError::new(
                io::ErrorKind::TimedOut,
                "the peer of this WebSocket has not answered a ping in time",
            ))),
            Err(error) => Err(self.broken(error.into())),
        }
    }

    /// The server is being stopped.
    fn go_away(&self) -> WebSocketError {
        const REASON: &str = "the server is being stopped";
        self.engine.borrow_mut().close(1001, REASON);
        let _ = self.answer();
        self.finish(WebSocketError::closed(1001, REASON))
    }

    /// Sends what the protocol has to say, unless somebody else is sending, who does it then.
    fn answer(&self) -> Result<(), WebSocketError> {
        let waiting = self.engine.borrow_mut().waiting();
        if waiting == 0 {
            return Ok(());
        }
        match self.turn.try_lock() {
            Some(turn) => self.drain(&turn),
            None if waiting < MOST_ANSWERS => Ok(()),
            None => self.drain(&self.take_turn()?),
        }
    }

    /// Waits for the turn to send.
    #[track_caller]
    fn take_turn(&self) -> Result<MutexGuard<'_, ()>, WebSocketError> {
        match self.turn.try_lock() {
            Some(turn) => Ok(turn),
            None if thread::panicking() => Err(destructor()),
            None => Ok(self.turn.lock()),
        }
    }

    /// Sends all there is, also what is added meanwhile.
    fn drain(&self, _turn: &MutexGuard<'_, ()>) -> Result<(), WebSocketError> {
        loop {
            let mut unsent = Unsent::take(self);
            if unsent.bytes.is_empty() {
                return Ok(());
            }
            while unsent.sent < unsent.bytes.len() {
                match (&self.stream).write(&unsent.bytes[unsent.sent..]) {
                    Ok(0) => return Err(self.broken(io::Error::from(io::ErrorKind::WriteZero).into())),
                    Ok(count) => unsent.sent += count,
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(self.broken(error.into())),
                }
            }
            (&self.stream).flush().map_err(|error| self.broken(error.into()))?;
        }
    }

    #[track_caller]
    pub(super) fn send(&self, message: Message) -> Result<(), WebSocketError> {
        let turn = self.take_turn()?;
        self.check_open()?;
        let (kind, bytes): (Data, Bytes) = match message {
            Message::Text(text) => (Data::Text, text.into()),
            Message::Binary(bytes) => (Data::Binary, bytes.into()),
        };
        let deflating = self.window(bytes.len()).map(Deflating::begin);
        let mut pieces = Pieces { session: self, kind, rest: Some(bytes), deflating };
        while pieces.encode_one() {
            self.drain(&turn)?;
        }
        Ok(())
    }

    /// That of the compressor for a message of this length, if it is worth one.
    fn window(&self, length: usize) -> Option<u8> {
        self.agreement?.window.filter(|_| length >= self.limits.compress_from)
    }

    #[track_caller]
    pub(super) fn control(&self, payload: &[u8], is_ping: bool) -> Result<(), WebSocketError> {
        if payload.len() > 125 {
            let text = format!("a ping or pong carries at most 125 bytes, not {}", payload.len());
            return Err(WebSocketError::new(io::ErrorKind::InvalidInput, text));
        }
        let turn = self.take_turn()?;
        self.check_open()?;
        let payload = Bytes::copy_from_slice(payload);
        match is_ping {
            true => self.engine.borrow_mut().ping(payload),
            false => self.engine.borrow_mut().pong(payload),
        }
        self.drain(&turn)
    }

    fn check_open(&self) -> Result<(), WebSocketError> {
        if let Some(end) = self.end() {
            return Err(end);
        }
        if !self.engine.borrow().can_write() {
            return Err(WebSocketError::closed(1005, "nothing can be sent behind a close"));
        }
        Ok(())
    }

    /// Says goodbye and waits until the peer has done the same.
    #[track_caller]
    pub(super) fn close(&self, code: u16, reason: &str) -> Result<(), WebSocketError> {
        if self.end().is_none() {
            let said = crate::timeout(self.limits.close_timeout, || self.shake_hands(code, reason));
            let late = "the peer of this WebSocket has not answered its close in time";
            said.unwrap_or_else(|_| Err(self.broken(WebSocketError::new(io::ErrorKind::TimedOut, late))))?;
        }
        match self.end() {
            Some(end) if !end.is_closed() => Err(end),
            _ => Ok(()),
        }
    }

    fn shake_hands(&self, code: u16, reason: &str) -> Result<(), WebSocketError> {
        let turn = self.take_turn()?;
        self.engine.borrow_mut().close(code, reason);
        self.drain(&turn)?;
        drop(turn);
        let Ok(_reading) = Reading::begin(self) else {
            // Whoever reads sees the answer.
            self.ended.wait();
            return self.end().map(drop).ok_or_else(destructor);
        };
        loop {
            match self.receive() {
                Ok(_) => {}
                Err(end) if self.end().is_some() => return if end.is_closed() { Ok(()) } else { Err(end) },
                Err(refused) => return Err(refused),
            }
        }
    }

    pub(super) fn end(&self) -> Option<WebSocketError> {
        self.end.borrow().clone()
    }

    /// Notes how it has ended: the first reason stays.
    fn finish(&self, end: WebSocketError) -> WebSocketError {
        let end = self.end.borrow_mut().get_or_insert(end).clone();
        self.ended.set();
        end
    }

    /// It has ended, and not in the orderly way: who waits for the stream is woken.
    fn broken(&self, end: WebSocketError) -> WebSocketError {
        if thread::panicking() {
            // A destructor was told that it must not wait. The connection is as sound as before.
            return end;
        }
        let end = self.finish(end);
        let _ = self.stream.shutdown();
        end
    }
}

fn destructor() -> WebSocketError {
    WebSocketError::new(
        io::ErrorKind::Other,
        "this would wait for another greenlet that uses this WebSocket, but the greenlet is being unwound by a panic or a kill: \
         destructors do not block",
    )
}

#[cold]
fn is_taken(other: &Task) -> WebSocketError {
    let text = format!(
        "this WebSocket is already being read by greenlet {other}; two at once would each get half of the messages: give one \
         of them the task or put a queue behind it"
    );
    WebSocketError::new(io::ErrorKind::Other, text)
}

/// The presence of the running greenlet in `receive`.
struct Reading<'a>(&'a Session);

impl Reading<'_> {
    fn begin(session: &Session) -> Result<Reading<'_>, WebSocketError> {
        session.reading.begin().map_err(|other| is_taken(&other))?;
        Ok(Reading(session))
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.0.reading.end();
    }
}

/// A server that stops may end the read at once.
struct Idle<'a>(&'a Session);

impl Idle<'_> {
    fn begin(session: &Session) -> Idle<'_> {
        session.stream.stream().set_idle(true);
        Idle(session)
    }
}

impl Drop for Idle<'_> {
    fn drop(&mut self) {
        self.0.stream.stream().set_idle(false);
    }
}

/// Bytes on their way to the stream. However it ends, what was not sent goes back.
struct Unsent<'a> {
    session: &'a Session,
    bytes: Vec<u8>,
    sent: usize,
}

impl Unsent<'_> {
    fn take(session: &Session) -> Unsent<'_> {
        let bytes = session.engine.borrow_mut().take_outgoing();
        Unsent { session, bytes, sent: 0 }
    }
}

impl Drop for Unsent<'_> {
    fn drop(&mut self) {
        if self.sent < self.bytes.len() {
            let rest = self.bytes.split_off(self.sent);
            self.session.engine.borrow_mut().put_back(rest);
        }
    }
}

/// A message on its way into frames. However it ends, the frames that are missing are added: half a message would make the rest of
/// the connection unreadable.
struct Pieces<'a> {
    session: &'a Session,
    kind: Data,
    rest: Option<Bytes>,
    /// If it is sent compressed.
    deflating: Option<Deflating>,
}

impl Pieces<'_> {
    fn encode_one(&mut self) -> bool {
        let Some(mut piece) = self.rest.take() else { return false };
        if piece.len() > FRAME {
            self.rest = Some(piece.split_off(FRAME));
        }
        let is_last = self.rest.is_none();
        let kind = std::mem::replace(&mut self.kind, Data::Continue);
        if let Some(deflating) = &mut self.deflating {
            let deflated = deflating.piece(&piece, is_last);
            // The first piece decides for all.
            match kind != Data::Continue && deflated.len() >= piece.len() {
                true => self.deflating = None,
                false => piece = deflated.into(),
            }
        }
        self.session.engine.borrow_mut().write(kind, piece, is_last, self.deflating.is_some());
        true
    }
}

impl Drop for Pieces<'_> {
    fn drop(&mut self) {
        if let Some(deflating) = &mut self.deflating {
            deflating.store_the_rest();
        }
        while self.encode_one() {}
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("stream", &self.stream)
            .field("end", &self.end)
            .finish_non_exhaustive()
    }
}
