//! A compressed message that is being received.

use flate2::{Decompress, FlushDecompress, Status};
use std::cell::Cell;

thread_local! {
    /// What the last message has used.
    static SPARE: Cell<Option<Decompress>> = const { Cell::new(None) };
}

/// What the sender has left off, the rest of an empty block, and behind it an empty block that is the last. It shows whether the data have
/// ended where a block may begin: from anywhere else these bytes do not lead to the end of a stream.
const END: [u8; 9] = [0x00, 0x00, 0xff, 0xff, 0x01, 0x00, 0x00, 0xff, 0xff];

/// What has come is no deflated data.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Corrupt;

pub(super) struct Inflating {
    state: Decompress,
    /// Nothing has come, or nothing behind a block that says to be the last.
    is_fresh: bool,
    /// How much of `END` was given.
    ended: usize,
}

impl Inflating {
    pub(super) fn begin() -> Inflating {
        let spare = SPARE.try_with(Cell::take).ok().flatten();
        let state = match spare {
            Some(mut state) => {
                state.reset(false);
                state
            }
            None => Decompress::new(false),
        };
        Inflating { state, is_fresh: true, ended: 0 }
    }

    /// Inflates as much as there is room for in `out`, without making it larger, and says how much of `input` it took. If room is left, there
    /// is nothing more in the bytes that were given.
    pub(super) fn inflate(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<usize, Corrupt> {
        let mut used = 0;
        loop {
            let (count, is_end) = self.one_step(&input[used..], out)?;
            used += count;
            self.is_fresh = is_end || (self.is_fresh && count == 0);
            if is_end {
                // A block that says to be the last may be followed by others (7.2.3.4), which begin anew.
                self.state.reset(false);
            }
            if used == input.len() || out.len() == out.capacity() {
                return Ok(used);
            }
        }
    }

    /// All that belongs to the message was given. True if it is complete, false if there must be more room first.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) -> Result<bool, Corrupt> {
        if self.is_fresh {
            return Ok(true);
        }
        while out.len() < out.capacity() {
            let (count, is_end) = self.one_step(&END[self.ended..], out)?;
            self.ended += count;
            match (is_end, self.ended == END.len()) {
                (true, true) => return Ok(true),
                (false, false) => {}
                (false, true) if out.len() == out.capacity() => {}
                _ => return Err(Corrupt),
            }
        }
        Ok(false)
    }

    /// How much of `input` it took, and whether the last block has ended.
    fn one_step(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(usize, bool), Corrupt> {
        let (taken, length) = (self.state.total_in(), out.len());
        let status = self.state.decompress_vec(input, out, FlushDecompress::None).map_err(|_| Corrupt)?;
        let count = (self.state.total_in() - taken) as usize;
        let is_end = status == Status::StreamEnd;
        // Or it would be asked for ever.
        let is_stuck = count == 0 && out.len() == length && out.len() < out.capacity() && !input.is_empty();
        if is_stuck && !is_end { Err(Corrupt) } else { Ok((count, is_end)) }
    }

    /// Leaves its memory to the next message.
    pub(super) fn end(self) {
        let _ = SPARE.try_with(|spare| spare.set(Some(self.state)));
    }
}
