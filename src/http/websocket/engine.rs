//! tungstenite between two buffers. No I/O: what it reads is in `incoming`, or it hears that it would have to wait; what it writes is
//! added to `outgoing`.

use std::io::{self, Read, Write};

use tungstenite::Bytes;
use tungstenite::error::{Error, ProtocolError};
use tungstenite::protocol::frame::coding::{Data, OpCode};
use tungstenite::protocol::frame::{CloseFrame, Frame, Utf8Bytes};
use tungstenite::protocol::{Message as Raw, Role, WebSocketConfig, WebSocketContext};

use super::deflate::{Agreement, Fault, Incoming};
use super::error::{Kind, WebSocketError};
use super::message::{Close, Message};
use super::options::Limits;

/// tungstenite takes so much out of `incoming` at a time.
const PIECE: usize = 4 * 1024;

pub(super) struct Engine {
    context: WebSocketContext,
    wire: Wire,
}

#[derive(Default)]
struct Wire {
    incoming: Vec<u8>,
    used: usize,
    /// What makes plain frames of compressed ones, if there may be any.
    inflating: Option<Incoming>,
    /// The peer will send nothing more.
    ended: bool,
    outgoing: Vec<u8>,
}

/// What has come.
pub(super) enum Step {
    Message(Message),
    /// A ping or a pong; there may be something to answer.
    Control,
    /// Not a whole frame.
    More,
    /// The last that comes.
    End(WebSocketError),
}

impl Engine {
    pub(super) fn new(role: Role, limits: &Limits, agreement: Option<Agreement>) -> Engine {
        let config = WebSocketConfig::default()
            .read_buffer_size(PIECE)
            .write_buffer_size(0)
            .max_message_size(Some(limits.max_message))
            .max_frame_size(Some(limits.max_frame.min(limits.max_message).max(125)));
        let inflating = agreement
            .map(|_| Incoming::new(role == Role::Server, limits.max_message, limits.max_frame.max(125)));
        let wire = Wire { inflating, ..Wire::default() };
        Engine { context: WebSocketContext::new(role, Some(config)), wire }
    }

    /// Takes in what the stream has given; nothing is its end.
    pub(super) fn feed(&mut self, bytes: &[u8]) {
        let wire = &mut self.wire;
        wire.ended |= bytes.is_empty();
        wire.incoming.drain(..wire.used);
        wire.used = 0;
        wire.incoming.extend_from_slice(bytes);
    }

    pub(super) fn step(&mut self) -> Step {
        let step = match self.context.read(&mut self.wire) {
            Ok(Raw::Text(text)) => Step::Message(Message::Text(text.as_str().to_string())),
            Ok(Raw::Binary(bytes)) => Step::Message(Message::Binary(bytes.into())),
            Ok(Raw::Ping(_) | Raw::Pong(_) | Raw::Frame(_)) => Step::Control,
            Ok(Raw::Close(frame)) => {
                let (code, reason) = frame.map_or((1005, String::new()), |frame| {
                    (frame.code.into(), frame.reason.as_str().to_string())
                });
                Step::End(WebSocketError(Kind::Closed(Close { code, reason })))
            }
            Err(Error::Io(error)) if error.kind() == io::ErrorKind::WouldBlock => Step::More,
            Err(error) => Step::End(self.fault(error)),
        };
        if self.wire.used == self.wire.incoming.len() {
            self.wire.incoming.clear();
            self.wire.used = 0;
            if self.wire.incoming.capacity() > 4 * PIECE {
                self.wire.incoming = Vec::new();
            }
        }
        step
    }

    /// Says to the peer what it did wrong, if it is still there to hear.
    fn fault(&mut self, error: Error) -> WebSocketError {
        let (code, text) = match error {
            Error::ConnectionClosed | Error::AlreadyClosed => return WebSocketError::closed(1005, ""),
            Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => {
                return WebSocketError::new(
                    io::ErrorKind::UnexpectedEof,
                    "the peer of this WebSocket has gone without a word",
                );
            }
            Error::Utf8(_) => (1007, "a text is not UTF-8".to_string()),
            Error::Capacity(error) => (1009, error.to_string()),
            Error::Protocol(error) => (1002, error.to_string()),
            Error::Io(error) => match error.get_ref().and_then(|error| error.downcast_ref::<Fault>()) {
                Some(fault) => (fault.code, fault.text.to_string()),
                None => (1002, error.to_string()),
            },
            error => (1002, error.to_string()),
        };
        self.close(code, &text);
        WebSocketError(Kind::Fault(code, text))
    }

    /// May messages be sent?
    pub(super) fn can_write(&self) -> bool {
        self.context.can_write()
    }

    /// Adds the close frame, unless there was one.
    pub(super) fn close(&mut self, code: u16, reason: &str) {
        let fits = |end: &usize| *end <= 123 && reason.is_char_boundary(*end);
        let end = (0..=reason.len().min(123)).rev().find(fits).unwrap_or_default();
        let frame = CloseFrame { code: code.into(), reason: Utf8Bytes::from(&reason[..end]) };
        // The wire takes everything; what remains is that it was closed before.
        let _ = self.context.close(&mut self.wire, (code != 1005).then_some(frame));
    }

    /// Adds a frame of a message. That a message is compressed is said in its first.
    pub(super) fn write(&mut self, kind: Data, piece: Bytes, is_last: bool, is_compressed: bool) {
        let mut frame = Frame::message(piece, OpCode::Data(kind), is_last);
        frame.header_mut().rsv1 = is_compressed && kind != Data::Continue;
        // As above: if it was closed, the message is not sent.
        let _ = self.context.write(&mut self.wire, Raw::Frame(frame));
    }

    pub(super) fn ping(&mut self, payload: Bytes) {
        let _ = self.context.write(&mut self.wire, Raw::Ping(payload));
    }

    pub(super) fn pong(&mut self, payload: Bytes) {
        let _ = self.context.write(&mut self.wire, Raw::Pong(payload));
    }

    /// How much is to be sent, answers that tungstenite has kept included.
    pub(super) fn waiting(&mut self) -> usize {
        // A close that was answered is reported as an error.
        let _ = self.context.flush(&mut self.wire);
        self.wire.outgoing.len()
    }

    /// Takes out what is to be sent.
    pub(super) fn take_outgoing(&mut self) -> Vec<u8> {
        self.waiting();
        std::mem::take(&mut self.wire.outgoing)
    }

    /// Puts back what was not sent, before what has come meanwhile.
    pub(super) fn put_back(&mut self, mut unsent: Vec<u8>) {
        unsent.append(&mut self.wire.outgoing);
        self.wire.outgoing = unsent;
    }
}

impl Read for Wire {
    fn read(&mut self, place: &mut [u8]) -> io::Result<usize> {
        let rest = &self.incoming[self.used..];
        let (used, count) = match &mut self.inflating {
            Some(inflating) => inflating.read(rest, place).map_err(io::Error::other)?,
            None => {
                let count = rest.len().min(place.len());
                place[..count].copy_from_slice(&rest[..count]);
                (count, count)
            }
        };
        self.used += used;
        if count == 0 && !self.ended {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(count)
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.outgoing.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
