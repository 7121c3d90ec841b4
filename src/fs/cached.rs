//! Reads that need no thread, as their bytes are in memory.

use std::fs::File;
use std::io::{Seek, SeekFrom};
use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

use super::position::Position;
use crate::park;
use crate::sys::file::{self, InMemory};

/// Longer reads go to the pool: to copy this much takes about as long as the trip, and nobody else runs meanwhile.
const LONGEST: usize = 128 * 1024;

/// Whether it is worth asking a file for what is in memory.
#[derive(Debug, Default)]
pub(super) struct Cached(AtomicU8);

/// Nobody has asked.
const UNKNOWN: u8 = 0;
const YES: u8 = 1;
const NO: u8 = 2;

impl Cached {
    /// Gives how many bytes were read at a place of the file, at least one; `None` if a read that may wait has to do it.
    pub(super) fn read_at(&self, file: &File, place: &mut [u8], offset: u64) -> Option<usize> {
        self.read(file, place, |place| Some(file::read_cached(file, place, Some(offset))))
    }

    /// The same at its position, which moves on.
    pub(super) fn read_here(&self, file: &File, position: &Position, place: &mut [u8]) -> Option<usize> {
        self.read(file, place, |place| {
            let _held = position.try_hold()?;
            Some(file::read_cached(file, place, None))
        })
    }

    /// The same, if all that there is room for is in memory: what comes in parts lets others in between. A part is taken only of what
    /// cannot give it back, such as a pipe.
    pub(super) fn read_all_here(&self, file: &File, position: &Position, place: &mut [u8]) -> Option<usize> {
        self.read(file, place, |place| {
            let _held = position.try_hold()?;
            let read = file::read_cached(file, place, None);
            match read {
                InMemory::Read(count) if count < place.len() => {
                    let mut seeker = file;
                    seeker.seek(SeekFrom::Current(-(count as i64))).is_err().then_some(read)
                }
                read => Some(read),
            }
        })
    }

    fn read(
        &self,
        file: &File,
        place: &mut [u8],
        read: impl FnOnce(&mut [u8]) -> Option<InMemory>,
    ) -> Option<usize> {
        if place.is_empty() || place.len() > LONGEST || !self.is_worth_it(file) {
            return None;
        }
        // Whoever goes through a file that is in memory never parks.
        park::take_turn();
        match read(place)? {
            InMemory::Read(count) => return Some(count),
            InMemory::Unknown => {}
            InMemory::Unsupported => self.0.store(NO, Relaxed),
        }
        None
    }

    fn is_worth_it(&self, file: &File) -> bool {
        match self.0.load(Relaxed) {
            UNKNOWN => {
                let is_worth_it = file::is_cached(file);
                self.0.store(if is_worth_it { YES } else { NO }, Relaxed);
                is_worth_it
            }
            answer => answer == YES,
        }
    }
}
