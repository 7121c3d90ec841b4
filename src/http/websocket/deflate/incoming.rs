//! Frames as they come, with those of compressed messages made plain ones.
//!
//! What is wrong with a frame is for tungstenite to say: a frame that is not of a compressed message passes as it is, with whatever bits it
//! has. A compressed message becomes a first frame and continuations, one for each piece that was inflated; so control frames pass between
//! them where they did, and a second message in the middle of it is found to be one.

use std::fmt;

use super::inflate::{Corrupt, Inflating};

/// So much is inflated at a time, and waits to be taken.
const PIECE: usize = 16 * 1024;
/// The longest head of a frame with a piece in it: two bytes, two of length, four of mask.
const HEAD: usize = 8;
/// So much is unmasked at a time.
const CHUNK: usize = 1024;

/// Why the connection must be closed, and with which code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) code: u16,
    pub(crate) text: &'static str,
}

const TOO_LARGE: Fault = Fault { code: 1009, text: "a compressed message is too large" };
const CORRUPT: Fault = Fault { code: 1007, text: "a compressed message is corrupt" };

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text)
    }
}

impl std::error::Error for Fault {}

pub(crate) struct Incoming {
    /// Whether the frames of the peer must be masked.
    is_masked: bool,
    /// The most that a message and a frame may inflate to.
    max_message: usize,
    max_frame: usize,
    state: State,
    /// The compressed message whose last frame has not come.
    message: Option<Message>,
    /// A plain frame, of which `given` bytes were taken.
    ready: Vec<u8>,
    given: usize,
    /// What comes behind that. What was sound is given first, so that it does not depend on how the input was cut what ends a connection
    /// that has more than one reason to.
    fault: Option<Fault>,
}

enum State {
    /// A frame begins.
    Head,
    /// So many bytes pass as they are.
    Pass(u64),
    Inflate(Frame),
}

/// A frame of a compressed message.
struct Frame {
    /// What has not come of its payload.
    left: u64,
    mask: Option<[u8; 4]>,
    is_last: bool,
    /// What it may still inflate to.
    room: usize,
}

struct Message {
    inflating: Inflating,
    /// That of the next plain frame.
    opcode: u8,
    /// What it may still inflate to.
    room: usize,
}

impl Incoming {
    pub(crate) fn new(is_masked: bool, max_message: usize, max_frame: usize) -> Incoming {
        Incoming {
            is_masked,
            max_message,
            max_frame,
            state: State::Head,
            message: None,
            ready: Vec::new(),
            given: 0,
            fault: None,
        }
    }

    /// Puts some plain frames, or a part of one, into `place`; says how much of `input` was used and how much of `place`. Of the latter
    /// nothing only if it takes more input.
    pub(crate) fn read(&mut self, input: &[u8], place: &mut [u8]) -> Result<(usize, usize), Fault> {
        let mut used = 0;
        loop {
            if self.given < self.ready.len() {
                return Ok((used, self.give(place)));
            }
            if let Some(fault) = self.fault {
                return Err(fault);
            }
            let rest = &input[used..];
            match &mut self.state {
                State::Head => match Head::parse(rest) {
                    Some(head) => used += self.begin(&head),
                    None => return Ok((used, 0)),
                },
                State::Pass(left) => {
                    let count = within(*left, rest.len().min(place.len()));
                    place[..count].copy_from_slice(&rest[..count]);
                    *left -= count as u64;
                    if *left == 0 {
                        self.state = State::Head;
                    }
                    return Ok((used + count, count));
                }
                State::Inflate(frame) if rest.is_empty() && frame.left > 0 => return Ok((used, 0)),
                State::Inflate(_) => used += self.inflate(rest),
            }
        }
    }

    fn give(&mut self, place: &mut [u8]) -> usize {
        let rest = &self.ready[self.given..];
        let count = rest.len().min(place.len());
        place[..count].copy_from_slice(&rest[..count]);
        self.given += count;
        if self.given == self.ready.len() {
            // A connection at rest holds nothing.
            (self.ready, self.given) = (Vec::new(), 0);
        }
        count
    }

    /// Decides what becomes of a frame, and says how much of it is dealt with.
    fn begin(&mut self, head: &Head) -> usize {
        let begins = matches!(head.first & !FIN, TEXT_DEFLATED | BINARY_DEFLATED) && self.message.is_none();
        let goes_on = head.first & !FIN == CONTINUE && self.message.is_some();
        if head.mask.is_some() != self.is_masked || !(begins || goes_on) {
            self.state = State::Pass(head.payload.saturating_add(head.length as u64));
            return 0;
        }
        if begins {
            let opcode = head.first & OPCODE;
            self.message = Some(Message { inflating: Inflating::begin(), opcode, room: self.max_message });
        }
        let is_last = head.first & FIN != 0;
        self.state =
            State::Inflate(Frame { left: head.payload, mask: head.mask, is_last, room: self.max_frame });
        head.length
    }

    /// Inflates as much as there is, and as fits into a piece. Says how much of `rest` was used.
    fn inflate(&mut self, rest: &[u8]) -> usize {
        let (State::Inflate(frame), Some(message)) = (&mut self.state, &mut self.message) else { return 0 };
        let mut piece = Vec::with_capacity(HEAD + PIECE);
        piece.resize(HEAD, 0);
        let (mut used, mut is_over) = (0, false);
        let outcome = frame.fill(&mut message.inflating, rest, &mut used, &mut piece);
        match outcome {
            Ok(is_whole) => is_over = is_whole,
            Err(Corrupt) => self.fault = Some(CORRUPT),
        }
        let room = frame.room.min(message.room);
        if piece.len() - HEAD > room {
            piece.truncate(HEAD + room);
            (self.fault, is_over) = (Some(TOO_LARGE), false);
        }
        frame.room -= piece.len() - HEAD;
        message.room -= piece.len() - HEAD;
        let ends = is_over && frame.is_last;
        // The first frame leaves before whatever comes behind it.
        if piece.len() > HEAD || ends || (is_over && message.opcode != CONTINUE) {
            let opcode = std::mem::replace(&mut message.opcode, CONTINUE);
            self.given = put_head(&mut piece, opcode | if ends { FIN } else { 0 }, self.is_masked);
            self.ready = piece;
        }
        if is_over {
            self.state = State::Head;
        }
        if ends && let Some(message) = self.message.take() {
            message.inflating.end();
        }
        used
    }
}

impl Frame {
    /// Inflates until `piece` is full, or the frame is whole, or `rest` is used. Says whether all of the frame is in it.
    fn fill(
        &mut self,
        inflating: &mut Inflating,
        rest: &[u8],
        used: &mut usize,
        piece: &mut Vec<u8>,
    ) -> Result<bool, Corrupt> {
        loop {
            let next = &rest[*used..];
            let next = &next[..within(self.left, next.len())];
            let count = match &mut self.mask {
                Some(mask) => {
                    let mut plain = [0; CHUNK];
                    let plain = unmask(next, *mask, &mut plain);
                    let count = inflating.inflate(plain, piece)?;
                    mask.rotate_left(count % 4);
                    count
                }
                None => inflating.inflate(next, piece)?,
            };
            *used += count;
            self.left -= count as u64;
            if piece.len() == piece.capacity() {
                // There may be more of it.
                return Ok(false);
            }
            if self.left == 0 {
                return if self.is_last { inflating.finish(piece) } else { Ok(true) };
            }
            if *used == rest.len() {
                return Ok(false);
            }
        }
    }
}

/// As much of `bytes` as there is place for.
fn unmask<'p>(bytes: &[u8], mask: [u8; 4], place: &'p mut [u8; CHUNK]) -> &'p [u8] {
    let count = bytes.len().min(CHUNK);
    for (place, bytes) in place.chunks_mut(4).zip(bytes[..count].chunks(4)) {
        for ((place, byte), mask) in place.iter_mut().zip(bytes).zip(mask) {
            *place = byte ^ mask;
        }
    }
    &place[..count]
}

const FIN: u8 = 0x80;
const OPCODE: u8 = 0x0f;
const CONTINUE: u8 = 0;
/// With RSV1, and without the others.
const TEXT_DEFLATED: u8 = 0x41;
const BINARY_DEFLATED: u8 = 0x42;

/// The head of a frame (RFC 6455, 5.2).
struct Head {
    first: u8,
    mask: Option<[u8; 4]>,
    payload: u64,
    length: usize,
}

impl Head {
    /// None if it is not whole.
    fn parse(input: &[u8]) -> Option<Head> {
        let (&[first, second], rest) = input.split_first_chunk()?;
        let (payload, rest) = match second & 0x7f {
            126 => {
                rest.split_first_chunk().map(|(length, rest)| (u16::from_be_bytes(*length).into(), rest))?
            }
            127 => rest.split_first_chunk().map(|(length, rest)| (u64::from_be_bytes(*length), rest))?,
            length => (u64::from(length), rest),
        };
        let (mask, rest) = match second & 0x80 {
            0 => (None, rest),
            _ => rest.split_first_chunk().map(|(mask, rest)| (Some(*mask), rest))?,
        };
        Some(Head { first, mask, payload, length: input.len() - rest.len() })
    }
}

/// Writes the head of a plain frame before its payload, into the room that was left for it. Says where it begins.
fn put_head(frame: &mut [u8], first: u8, is_masked: bool) -> usize {
    let length = (frame.len() - HEAD) as u16;
    let (short, long) = if length < 126 { (length as u8, None) } else { (126, Some(length)) };
    // A mask of zeros changes nothing, and has to be there where masks are expected.
    let start = HEAD - 2 - if long.is_some() { 2 } else { 0 } - if is_masked { 4 } else { 0 };
    frame[start] = first;
    frame[start + 1] = short | if is_masked { 0x80 } else { 0 };
    if let Some(long) = long {
        frame[start + 2..start + 4].copy_from_slice(&long.to_be_bytes());
    }
    start
}

fn within(left: u64, most: usize) -> usize {
    usize::try_from(left).unwrap_or(usize::MAX).min(most)
}

#[cfg(test)]
mod tests;
