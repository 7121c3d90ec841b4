//! The chunked transfer coding, taken apart incrementally. No I/O.
//!
//! ```text
//!   Size ── hex digits [[blanks] ;extensions] CR LF ──▶ Data(n) ── n bytes ──▶ CR LF ──▶ Size
//!     │
//!     └──── 0 [[blanks] ;extensions] CR LF ──▶ Trailers ── header lines, empty line ──▶ Done
//! ```
//!
//! The data has ended with the line of the last chunk; the trailers are looked at only when the rest of the
//! body is thrown away. So an exchange does not wait for them, and a fault in them, where smuggled requests
//! hide, spoils the connection but not the answer.

use super::error::HttpError;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// At the first digit or between digits of a chunk size.
    Size {
        digits: u8,
        size: u64,
    },
    /// Behind the digits and a blank, where extensions must follow.
    Blank {
        size: u64,
    },
    /// In the extensions.
    Extension {
        size: u64,
    },
    /// At the LF of a size line.
    SizeLf {
        size: u64,
    },
    /// Inside the data of a chunk.
    Data {
        left: u64,
    },
    DataCr,
    DataLf,
    Trailers(Trailer),
    Done,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trailer {
    LineStart,
    Name,
    Value,
    ValueLf,
    LastLf,
}

/// Where the decoder is in one body.
#[derive(Debug, Clone)]
pub(crate) struct Chunked {
    state: State,
    /// How much more data the body may have.
    data_budget: u64,
    /// How many more bytes of chunk extensions are read.
    extension_budget: usize,
    trailer_budget: usize,
}

impl Chunked {
    /// A decoder for a body of at most `max_data` bytes, with at most `max_trailers` bytes of trailers and as
    /// many of chunk extensions.
    pub(crate) fn new(max_data: u64, max_trailers: usize) -> Chunked {
        Chunked {
            state: State::Size { digits: 0, size: 0 },
            data_budget: max_data,
            extension_budget: max_trailers,
            trailer_budget: max_trailers,
        }
    }

    /// How much data of the current chunk comes next in the input.
    pub(crate) fn data_left(&self) -> u64 {
        match self.state {
            State::Data { left } => left,
            _ => 0,
        }
    }

    /// Whether the line of the last chunk was read.
    pub(crate) fn is_data_ended(&self) -> bool {
        matches!(self.state, State::Trailers(_) | State::Done)
    }

    /// Whether the body, trailers included, was read.
    pub(crate) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Notes that `count` bytes of data, at most [`Chunked::data_left`], were taken from the input.
    pub(crate) fn take_data(&mut self, count: u64) {
        if let State::Data { left } = &mut self.state {
            *left -= count;
            if *left == 0 {
                self.state = State::DataCr;
            }
        }
    }

    /// Reads framing from the start of `input` until data comes next, or the data has ended, or `input` is
    /// used up. Gives how many bytes were read.
    pub(crate) fn read_framing(&mut self, input: &[u8]) -> Result<usize, HttpError> {
        for (at, &byte) in input.iter().enumerate() {
            if self.data_left() > 0 || self.is_data_ended() {
                return Ok(at);
            }
            self.state = self.after_framing(byte)?;
        }
        Ok(input.len())
    }

    fn after_framing(&mut self, byte: u8) -> Result<State, HttpError> {
        match (self.state, byte) {
            (State::Size { digits, size }, _) if byte.is_ascii_hexdigit() => {
                if digits == 16 {
                    return Err(HttpError::Chunk);
                }
                let digit = (byte as char).to_digit(16).map_or(0, u64::from);
                Ok(State::Size { digits: digits + 1, size: size << 4 | digit })
            }
            (State::Size { digits: 1.., size }, b'\r') | (State::Extension { size }, b'\r') => {
                Ok(State::SizeLf { size })
            }
            (State::Size { digits: 1.., size } | State::Blank { size }, b';') => {
                Ok(State::Extension { size })
            }
            (State::Size { digits: 1.., size } | State::Blank { size }, b' ' | b'\t') => {
                self.spend_extension()?;
                Ok(State::Blank { size })
            }
            (State::Extension { .. }, b'\n') => Err(HttpError::Chunk),
            (state @ State::Extension { .. }, _) => {
                self.spend_extension()?;
                Ok(state)
            }
            (State::SizeLf { size: 0 }, b'\n') => Ok(State::Trailers(Trailer::LineStart)),
            (State::SizeLf { size }, b'\n') => {
                self.data_budget = self.data_budget.checked_sub(size).ok_or(HttpError::BodyTooLarge)?;
                Ok(State::Data { left: size })
            }
            (State::DataCr, b'\r') => Ok(State::DataLf),
            (State::DataLf, b'\n') => Ok(State::Size { digits: 0, size: 0 }),
            _ => Err(HttpError::Chunk),
        }
    }

    fn spend_extension(&mut self) -> Result<(), HttpError> {
        self.extension_budget = self.extension_budget.checked_sub(1).ok_or(HttpError::ChunkExtension)?;
        Ok(())
    }

    /// How many more bytes of trailers are read.
    pub(crate) fn trailers_left(&self) -> usize {
        self.trailer_budget
    }

    /// Reads trailers from the start of `input` until they have ended or `input` is used up; the data must
    /// have ended. Gives how many bytes were read.
    pub(crate) fn read_trailers(&mut self, input: &[u8]) -> Result<usize, HttpError> {
        for (at, &byte) in input.iter().enumerate() {
            let State::Trailers(place) = self.state else { return Ok(at) };
            self.trailer_budget = self.trailer_budget.checked_sub(1).ok_or(HttpError::Trailer)?;
            self.state = after_trailer(place, byte)?;
        }
        Ok(input.len())
    }
}

fn after_trailer(place: Trailer, byte: u8) -> Result<State, HttpError> {
    let next = match (place, byte) {
        (Trailer::LineStart, b'\r') => Trailer::LastLf,
        (Trailer::LastLf, b'\n') => return Ok(State::Done),
        (Trailer::LineStart | Trailer::Name, _) if is_token_byte(byte) => Trailer::Name,
        (Trailer::Name, b':') => Trailer::Value,
        (Trailer::Value, b'\r') => Trailer::ValueLf,
        (Trailer::Value, b'\t' | 0x20..=0x7e | 0x80..) => Trailer::Value,
        (Trailer::ValueLf, b'\n') => Trailer::LineStart,
        _ => return Err(HttpError::Trailer),
    };
    Ok(State::Trailers(next))
}

/// Whether a byte may be part of a header name (RFC 9110, 5.6.2).
pub(super) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Decodes `input` in pieces of `step` bytes; gives the data and what follows the body.
    fn decode(input: &[u8], step: usize) -> Result<(Vec<u8>, Vec<u8>), HttpError> {
        let (mut decoder, mut data, mut rest) = (Chunked::new(1000, 20), Vec::new(), Vec::new());
        for mut piece in input.chunks(step) {
            while !piece.is_empty() {
                let used = if decoder.is_done() {
                    rest.extend_from_slice(piece);
                    piece.len()
                } else if decoder.is_data_ended() {
                    decoder.read_trailers(piece)?
                } else if decoder.data_left() > 0 {
                    let used = piece.len().min(decoder.data_left() as usize);
                    data.extend_from_slice(&piece[..used]);
                    decoder.take_data(used as u64);
                    used
                } else {
                    decoder.read_framing(piece)?
                };
                piece = &piece[used..];
            }
        }
        if decoder.is_done() { Ok((data, rest)) } else { Err(HttpError::ChunkedTruncated) }
    }

    fn for_every_step(input: &[u8], expected: Result<(&[u8], &[u8]), HttpError>) {
        let expected = expected.map(|(data, rest)| (data.to_vec(), rest.to_vec()));
        for step in 1..=input.len() {
            assert_eq!(decode(input, step), expected, "{:?} by {step}", String::from_utf8_lossy(input));
        }
    }

    #[test]
    fn well_formed_bodies_are_decoded_whatever_the_cut() {
        for_every_step(b"0\r\n\r\n", Ok((b"", b"")));
        for_every_step(b"5\r\nhello\r\n00006\r\n world\r\n0\r\n\r\nGET", Ok((b"hello world", b"GET")));
        for_every_step(b"a\r\n0123456789\r\n0\r\nA: b\r\nC:\r\n\r\n", Ok((b"0123456789", b"")));
        // WS35, WS36
        for_every_step(b"1;tok\r\nx\r\n1 ;q=\"v\"\r\ny\r\n0;\0\r\n\r\n", Ok((b"xy", b"")));
    }

    #[test]
    fn malformed_bodies_are_refused_whatever_the_cut() {
        use HttpError::*;
        let cases: [(&[u8], HttpError); 21] = [
            (b"1 x\r\n", Chunk),
            (b"1 \r\n", Chunk),
            (b"x\r\n", Chunk),
            (b"\r\n", Chunk),
            (b";x\r\n", Chunk),
            (b" 1\r\n", Chunk),
            (b"-1\r\n", Chunk),
            (b"0x1\r\n", Chunk),
            (b"1\nx\r\n", Chunk),
            (b"1\rx", Chunk),
            (b"1;a\nx\r\n", Chunk),
            (b"1\r\nxy", Chunk),
            (b"1\r\nx\n", Chunk),
            (b"00000000000000001\r\n", Chunk), // WS92: 17 digits
            (b"3e9\r\n", BodyTooLarge),
            (b"ffffffffffffffff\r\n", BodyTooLarge),
            (b"1;123456789012345678901\r\n", ChunkExtension),
            (b"0\r\nGET / HTTP/1.1\r\n", Trailer),         // WS43
            (b"0\r\nA: b\r\nGET / HTTP/1.1\r\n", Trailer), // WS44
            (b"0\r\n folded\r\n\r\n", Trailer),
            (b"0\r\nA: 123456789012345678901\r\n\r\n", Trailer), // WS42
        ];
        for (input, expected) in cases {
            for_every_step(input, Err(expected));
        }
    }
}
