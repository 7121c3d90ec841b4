//! A compressed message that is being sent.

use flate2::{Compress, Compression, FlushCompress};
use std::cell::Cell;

use crate::unwind;

thread_local! {
    /// What the last message has used.
    static SPARE: Cell<Option<Deflate>> = const { Cell::new(None) };
}

struct Deflate {
    state: Compress,
    window: u8,
}

/// Of zlib's levels the one above which a message of 64 KiB takes twice as long, or more, for an eighth less.
const LEVEL: u32 = 2;

/// The end of what is flushed, which is left off a message (RFC 7692, 7.2.1).
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

pub(crate) struct Deflating {
    /// None if the rest is to be stored as it is.
    deflate: Option<Deflate>,
}

impl Deflating {
    /// With a window of so many bits, 9 to 15.
    pub(crate) fn begin(window: u8) -> Deflating {
        let spare = SPARE.try_with(Cell::take).ok().flatten();
        let deflate = match spare.filter(|spare| spare.window == window) {
            Some(mut spare) => {
                spare.state.reset();
                spare
            }
            None => Deflate {
                state: Compress::new_with_window_bits(Compression::new(LEVEL), false, window),
                window,
            },
        };
        Deflating { deflate: Some(deflate) }
    }

    /// The payload of the next frame. It can be inflated without what follows, so that pieces of one size make frames that leave
    /// one after the other, however well they can be compressed.
    pub(crate) fn piece(&mut self, plain: &[u8], is_last: bool) -> Vec<u8> {
        self.piece_by(deflated, plain, is_last)
    }

    /// A compressor that panics has failed as well. If that went on, the peer would get a message without this piece.
    fn piece_by(
        &mut self,
        deflated: impl FnOnce(&mut Compress, &[u8]) -> Option<Vec<u8>>,
        plain: &[u8],
        is_last: bool,
    ) -> Vec<u8> {
        let deflate = self.deflate.as_mut();
        let attempt =
            |deflate: &mut Deflate| unwind::catch(|| deflated(&mut deflate.state, plain)).ok().flatten();
        match deflate.and_then(attempt) {
            Some(mut bytes) => {
                if is_last {
                    bytes.truncate(bytes.len() - TAIL.len());
                }
                bytes
            }
            None => {
                // What is stored is unknown to the compressor, so it cannot go on afterwards. One that has failed is kept for nobody.
                self.deflate = None;
                stored(plain, is_last)
            }
        }
    }

    /// From here on nothing is compressed: whoever is killed has no time for it.
    pub(crate) fn store_the_rest(&mut self) {
        if let Some(deflate) = self.deflate.take() {
            let _ = SPARE.try_with(|spare| spare.set(Some(deflate)));
        }
    }
}

impl Drop for Deflating {
    fn drop(&mut self) {
        self.store_the_rest();
    }
}

/// Everything up to here, ending with `TAIL`. None if the compressor fails.
fn deflated(state: &mut Compress, plain: &[u8]) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(plain.len() / 2 + 64);
    let mut rest = plain;
    loop {
        let taken = state.total_in();
        state.compress_vec(rest, &mut bytes, FlushCompress::Sync).ok()?;
        rest = rest.get((state.total_in() - taken) as usize..)?;
        if rest.is_empty() && bytes.len() < bytes.capacity() {
            return bytes.ends_with(&TAIL).then_some(bytes);
        }
        bytes.reserve(bytes.len().max(64));
    }
}

/// Blocks without compression (RFC 1951, 3.2.4), and as the last the beginning of an empty one, whose end is `TAIL`.
fn stored(plain: &[u8], is_last: bool) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(plain.len() + 16);
    for block in plain.chunks(usize::from(u16::MAX)) {
        let length = block.len() as u16;
        bytes.push(0);
        bytes.extend(length.to_le_bytes());
        bytes.extend((!length).to_le_bytes());
        bytes.extend(block);
    }
    if is_last {
        bytes.push(0);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Decompress, FlushDecompress};
    use std::panic::resume_unwind;

    fn inflated(pieces: &[Vec<u8>]) -> Vec<u8> {
        let whole = [pieces.concat(), TAIL.to_vec()].concat();
        let mut plain = Vec::with_capacity(1 << 16);
        Decompress::new(false).decompress_vec(&whole, &mut plain, FlushDecompress::None).unwrap();
        plain
    }

    #[test]
    fn a_message_is_whole_although_the_compressor_panics_and_its_memory_is_kept_for_nobody() {
        let text = "again and again ".repeat(100);
        for panics_at in 0..3 {
            let mut deflating = Deflating::begin(15);
            let pieces: Vec<_> = (0..3)
                .map(|number| {
                    let compress = |state: &mut Compress, plain: &[u8]| match number == panics_at {
                        true => resume_unwind(Box::new("a panic without a message")),
                        false => deflated(state, plain),
                    };
                    deflating.piece_by(compress, text.as_bytes(), number == 2)
                })
                .collect();
            drop(deflating);
            assert_eq!(inflated(&pieces), text.repeat(3).as_bytes());
            assert!(SPARE.take().is_none());
        }
        let mut deflating = Deflating::begin(15);
        let piece = deflating.piece(text.as_bytes(), true);
        assert!(piece.len() < text.len() / 10);
        assert_eq!(inflated(&[piece]), text.as_bytes());
        drop(deflating);
        assert!(SPARE.take().is_some());
    }
}
