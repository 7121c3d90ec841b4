//! The timer queue: a hierarchical wheel in front of a small heap.
//!
//! Most timers of a server never fire: a read timeout is armed when a greenlet parks and cancelled when the data comes.
//! So arming and cancelling must cost the same few instructions however many timers are pending, while the few that do
//! fire must fire in the order of their deadlines, to the nanosecond. The wheel gives the first, the heap the second:
//!
//! ```text
//!             now                                                             time →
//!   ───────────┼──────────┬──────────┬──────────┬───────── ─ ─ ─────────────
//!    heap `due`│  level 0: 64 slots of one tick │ level 1: 64 slots of 64 ticks │ level 2 …
//!   (deadline, │  each slot an unordered list   │ each slot an unordered list   │
//!     serial)  │
//! ```
//!
//! A tick is 2¹⁶ ns (65.5 µs). A timer goes to the level of the highest group of six bits in which its tick differs from
//! the wheel's: everything on a lower level is due before everything on a higher one, and on one level a lower slot
//! before a higher one. When the wheel reaches a slot, its timers move to lower levels, at most [`LEVELS`] times in a
//! timer's life, and finally to the heap, which orders those of one tick exactly.
//!
//! Nothing here knows greenlets, clocks or system calls: times are nanoseconds on whatever clock the caller has.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::mem::{self, ManuallyDrop};

use slab::Slab;

/// log2 of the nanoseconds in one tick.
const TICK_SHIFT: u32 = 16;
/// log2 of the slots on a level; six, so that one `u64` says which are occupied.
const SLOT_BITS: u32 = 6;
const SLOTS: usize = 1 << SLOT_BITS;
/// Enough levels for every `u64` of nanoseconds: 16 + 8 × 6 = 64 bits.
const LEVELS: usize = 8;
/// The place of a timer that is in no slot but in the heap: beyond all slots, so that the check of the index tells them apart.
const DUE: u16 = u16::MAX;
/// A slot that has become empty keeps room for at most so many timers.
const KEPT: usize = 64;

/// Of a level: by how much ticks are shifted there, and its first slot.
#[derive(Clone, Copy)]
struct Level {
    shift: u8,
    first: u16,
}

/// The level of the timers whose tick differs from the wheel's in this bit at the highest. To look it up takes half as long as to divide.
const LEVEL_OF_BIT: [Level; u64::BITS as usize] = {
    let mut levels = [Level { shift: 0, first: 0 }; u64::BITS as usize];
    let mut bit = 0;
    while bit < levels.len() {
        let level = bit / SLOT_BITS as usize % LEVELS;
        levels[bit] = Level { shift: (level * SLOT_BITS as usize) as u8, first: (level * SLOTS) as u16 };
        bit += 1;
    }
    levels
};

/// Names one armed timer. A key that has fired or was cancelled names nothing, even when its place is used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimerKey {
    index: u32,
    serial: u64,
}

struct Entry<T> {
    deadline: u64,
    serial: u64,
    /// Its slot, counted through all levels, or [`DUE`].
    place: u16,
    /// Where it stands in its slot.
    position: u32,
    /// Without a destructor the compiler keeps the fields of an entry in registers on their way in and out. With one it writes them to
    /// the stack one by one and copies them in wider pieces at once, which the processor must wait for.
    value: ManuallyDrop<T>,
}

struct Slot {
    /// No timer of this slot is due before this. Exact unless the earliest was cancelled.
    earliest: u64,
    count: u32,
    /// The first `count` are the timers, in no order. One that is cancelled leaves its position to the last: if it is the last itself, as
    /// most are that are cancelled soon, no other is touched.
    timers: Box<[u32]>,
}

impl Slot {
    fn new() -> Slot {
        Slot { earliest: u64::MAX, count: 0, timers: Box::default() }
    }

    #[cold]
    #[inline(never)]
    fn give_room_up(&mut self) {
        self.timers = Box::default();
    }

    fn make_room(&mut self) {
        if self.count as usize == self.timers.len() {
            let mut timers = mem::take(&mut self.timers).into_vec();
            timers.resize((timers.len() * 2).max(4), 0);
            self.timers = timers.into_boxed_slice();
        }
    }
}

/// Pending timers with values of type `T`, see the module's head.
pub(crate) struct Timers<T> {
    entries: Slab<Entry<T>>,
    slots: Box<[Slot; LEVELS * SLOTS]>,
    occupied: [u64; LEVELS],
    /// All timers of this tick and of earlier ones are in `due`.
    tick: u64,
    due: BinaryHeap<Reverse<(u64, u64, u32)>>,
    /// Heap items whose timer was cancelled; they are dropped when met, or all at once when they prevail.
    dead: usize,
    serial: u64,
}

impl<T> Timers<T> {
    pub(crate) fn new() -> Self {
        Timers {
            entries: Slab::new(),
            slots: Box::new([(); LEVELS * SLOTS].map(|()| Slot::new())),
            occupied: [0; LEVELS],
            tick: 0,
            due: BinaryHeap::new(),
            dead: 0,
            serial: 0,
        }
    }

    /// How many are pending.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Arms a timer. Timers of one deadline fire in the order in which they were armed.
    // Into a caller that has the value in registers. If it came through memory, it would be written in pieces and read at once.
    #[inline(always)]
    pub(crate) fn insert(&mut self, deadline: u64, value: T) -> TimerKey {
        let tick = deadline >> TICK_SHIFT;
        if tick <= self.tick {
            return self.insert_slowly(deadline, value);
        }
        let place = self.place(tick);
        let slot = &mut self.slots[place];
        let (key, position) = (self.entries.vacant_key(), slot.count);
        let Some(free) = slot.timers.get_mut(position as usize) else {
            return self.insert_slowly(deadline, value);
        };
        // What may have to allocate is done elsewhere, so that here nothing need be kept over a call.
        if key == self.entries.capacity() {
            return self.insert_slowly(deadline, value);
        }
        let (index, serial) = (key as u32, self.serial);
        let (value, place) = (ManuallyDrop::new(value), place as u16);
        self.entries.insert(Entry { deadline, serial, place, position, value });
        *free = index;
        slot.count += 1;
        slot.earliest = slot.earliest.min(deadline);
        self.occupied[place as usize / SLOTS] |= 1 << (place as usize % SLOTS);
        self.serial += 1;
        TimerKey { index, serial }
    }

    /// One that is due within this tick, or for which there is no room yet.
    #[cold]
    #[inline(never)]
    fn insert_slowly(&mut self, deadline: u64, value: T) -> TimerKey {
        let tick = deadline >> TICK_SHIFT;
        if tick > self.tick {
            let place = self.place(tick);
            self.slots[place].make_room();
            self.entries.reserve(1);
            return self.insert(deadline, value);
        }
        let serial = self.serial;
        self.serial += 1;
        let entry = Entry { deadline, serial, place: DUE, position: 0, value: ManuallyDrop::new(value) };
        let index = self.entries.insert(entry) as u32;
        self.due.push(Reverse((deadline, serial, index)));
        TimerKey { index, serial }
    }

    pub(crate) fn contains(&self, key: TimerKey) -> bool {
        is_live(&self.entries, key.index, key.serial)
    }

    /// Cancels a timer and returns its value, or `None` if it fired or was cancelled before.
    #[inline]
    pub(crate) fn remove(&mut self, key: TimerKey) -> Option<T> {
        if !is_live(&self.entries, key.index, key.serial) {
            return None;
        }
        let Entry { place, position, value, .. } = self.entries.remove(key.index as usize);
        match self.slots.get_mut(place as usize) {
            Some(slot) => {
                slot.count -= 1;
                let last = slot.count;
                if last == 0 {
                    slot.earliest = u64::MAX;
                    self.occupied[place as usize / SLOTS] &= !(1 << (place as usize % SLOTS));
                    if slot.timers.len() > KEPT {
                        slot.give_room_up();
                    }
                } else if position != last {
                    let moved = slot.timers[last as usize];
                    slot.timers[position as usize] = moved;
                    self.entries[moved as usize].position = position;
                }
            }
            None => self.bury(),
        }
        Some(ManuallyDrop::into_inner(value))
    }

    /// A timer of the heap was cancelled.
    #[cold]
    fn bury(&mut self) {
        self.dead += 1;
        if self.dead > 64 && self.dead * 2 > self.due.len() {
            let entries = &self.entries;
            self.due.retain(|Reverse((_, serial, index))| is_live(entries, *index, *serial));
            self.dead = 0;
        }
    }

    /// A time before which no timer is due, exact unless the earliest was cancelled; `None` without timers.
    pub(crate) fn next_deadline(&mut self) -> Option<u64> {
        self.drop_dead();
        if let Some(Reverse((deadline, ..))) = self.due.peek() {
            return Some(*deadline);
        }
        let (slot, _) = self.first_occupied()?;
        Some(self.slots[slot].earliest)
    }

    /// Takes the timer with the earliest deadline if that is not after `now`.
    pub(crate) fn pop_due(&mut self, now: u64) -> Option<T> {
        self.advance(now >> TICK_SHIFT);
        self.drop_dead();
        let Reverse((deadline, _, index)) = *self.due.peek()?;
        if deadline > now {
            return None;
        }
        self.due.pop();
        Some(ManuallyDrop::into_inner(self.entries.remove(index as usize).value))
    }

    /// The slot of the timers of that tick, if it is yet to come.
    #[inline]
    fn place(&self, tick: u64) -> usize {
        let Level { shift, first } = LEVEL_OF_BIT[(tick ^ self.tick | 1).ilog2() as usize];
        let number = (tick >> shift) as usize % SLOTS;
        usize::from(first) % (LEVELS * SLOTS) + number
    }

    /// Moves a timer to where it belongs now.
    fn sink(&mut self, index: u32) {
        let Entry { deadline, serial, .. } = self.entries[index as usize];
        let tick = deadline >> TICK_SHIFT;
        if tick <= self.tick {
            self.entries[index as usize].place = DUE;
            self.due.push(Reverse((deadline, serial, index)));
            return;
        }
        let place = self.place(tick);
        let slot = &mut self.slots[place];
        slot.make_room();
        slot.timers[slot.count as usize] = index;
        let entry = &mut self.entries[index as usize];
        (entry.place, entry.position) = (place as u16, slot.count);
        slot.count += 1;
        slot.earliest = slot.earliest.min(deadline);
        self.occupied[place / SLOTS] |= 1 << (place % SLOTS);
    }

    /// The next slot that holds timers and the tick at which it begins.
    ///
    /// A timer's level is that of the highest bits in which it differs from `self.tick`, so on each level only slots
    /// above the current one are in use and the lowest occupied one of the lowest level comes first.
    fn first_occupied(&self) -> Option<(usize, u64)> {
        let level = self.occupied.iter().position(|&slots| slots != 0)?;
        let number = self.occupied[level].trailing_zeros() as usize;
        let shift = level as u32 * SLOT_BITS;
        let above = self.tick >> (shift + SLOT_BITS) << (shift + SLOT_BITS);
        Some((level * SLOTS + number, above | (number as u64) << shift))
    }

    /// Moves everything up to and including tick `now` into `due`.
    fn advance(&mut self, now: u64) {
        while let Some((slot, start)) = self.first_occupied().filter(|&(_, start)| start <= now) {
            self.tick = start;
            self.occupied[slot / SLOTS] &= !(1 << (slot % SLOTS));
            let Slot { count, timers, .. } = mem::replace(&mut self.slots[slot], Slot::new());
            timers[..count as usize].iter().for_each(|index| self.sink(*index));
            // None of them has come back to this slot: their ticks differ from the wheel's in lower bits now.
            if timers.len() <= KEPT {
                self.slots[slot].timers = timers;
            }
        }
        // Between the old tick and the next occupied slot nothing is pending, so no timer changes its level here.
        self.tick = self.tick.max(now);
    }

    fn drop_dead(&mut self) {
        while let Some(Reverse((_, serial, index))) = self.due.peek() {
            if is_live(&self.entries, *index, *serial) {
                return;
            }
            self.due.pop();
            self.dead -= 1;
        }
    }
}

impl<T> Drop for Timers<T> {
    fn drop(&mut self) {
        self.entries.drain().for_each(|entry| drop(ManuallyDrop::into_inner(entry.value)));
    }
}

#[inline]
fn is_live<T>(entries: &Slab<Entry<T>>, index: u32, serial: u64) -> bool {
    entries.get(index as usize).is_some_and(|entry| entry.serial == serial)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn drain(timers: &mut Timers<u32>, now: u64) -> Vec<u32> {
        std::iter::from_fn(|| timers.pop_due(now)).collect()
    }

    #[test]
    fn timers_of_one_tick_fire_in_deadline_order() {
        let mut timers = Timers::new();
        timers.insert(900, 9);
        timers.insert(100, 1);
        timers.insert(500, 5);
        assert_eq!(drain(&mut timers, 600), [1, 5]);
        assert_eq!(timers.next_deadline(), Some(900));
        assert!(drain(&mut timers, 899).is_empty());
        assert_eq!(drain(&mut timers, 900), [9]);
        assert_eq!(timers.len(), 0);
    }

    #[test]
    fn equal_deadlines_fire_in_the_order_of_arming() {
        let mut timers = Timers::new();
        for value in 0..100 {
            timers.insert(1 << 40, value);
        }
        assert_eq!(drain(&mut timers, 1 << 40), (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn a_cancelled_key_is_dead_even_when_its_place_is_reused() {
        let mut timers = Timers::new();
        let first = timers.insert(1 << 30, 1);
        assert_eq!(timers.remove(first), Some(1));
        let second = timers.insert(1 << 30, 2);
        assert_eq!(timers.remove(first), None);
        assert_eq!(timers.remove(second), Some(2));
        assert_eq!(timers.next_deadline(), None);
    }

    #[test]
    fn the_last_instant_of_the_clock_is_a_valid_deadline() {
        let mut timers = Timers::new();
        timers.insert(u64::MAX, 1);
        assert_eq!(timers.next_deadline(), Some(u64::MAX));
        assert_eq!(timers.pop_due(u64::MAX - 1), None);
        assert_eq!(timers.pop_due(u64::MAX), Some(1));
    }

    #[test]
    fn cancelling_what_is_due_does_not_pile_up() {
        let mut timers = Timers::new();
        for _ in 0..100_000 {
            let key = timers.insert(0, 0);
            timers.remove(key);
        }
        assert!(timers.due.len() < 200, "{} dead items are kept", timers.due.len());
    }

    fn room(timers: &Timers<u32>) -> usize {
        timers.slots.iter().map(|slot| slot.timers.len()).sum()
    }

    #[test]
    fn slots_that_many_timers_have_left_keep_little_room() {
        let mut timers = Timers::new();
        let keys: Vec<_> = (0..10_000).map(|value| timers.insert(1 << 40, value)).collect();
        assert!(room(&timers) >= 10_000);
        for key in keys {
            timers.remove(key);
        }
        assert!(room(&timers) <= KEPT, "all were cancelled");
        for value in 0..10_000 {
            timers.insert(1 << 41, value);
        }
        assert_eq!(drain(&mut timers, 1 << 41).len(), 10_000);
        assert!(room(&timers) <= 2 * KEPT, "all have fired");
    }

    #[test]
    fn values_that_are_pending_are_dropped_with_the_timers() {
        let value = std::rc::Rc::new(());
        let mut timers = Timers::new();
        let cancelled = timers.insert(1 << 30, value.clone());
        for deadline in [0, 1 << 20, 1 << 40] {
            timers.insert(deadline, value.clone());
        }
        drop(timers.remove(cancelled));
        assert_eq!(std::rc::Rc::strong_count(&value), 4);
        drop(timers);
        assert_eq!(std::rc::Rc::strong_count(&value), 1);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Insert(u64),
        Remove(usize),
        Advance(u64),
    }

    fn distance() -> impl Strategy<Value = u64> {
        (0u32..50, any::<u64>()).prop_map(|(bits, random)| random & ((1 << bits) - 1))
    }

    proptest! {
        /// Against a sorted map: the same timers in the same order, none early, none forgotten, and a `next_deadline`
        /// that never lies after the true one.
        #[test]
        fn the_wheel_behaves_like_a_sorted_map(steps in prop::collection::vec(
            prop_oneof![
                4 => distance().prop_map(Step::Insert),
                2 => any::<usize>().prop_map(Step::Remove),
                2 => distance().prop_map(Step::Advance),
            ], 1..200))
        {
            let (mut timers, mut model, mut keys) = (Timers::new(), BTreeMap::new(), Vec::new());
            let mut now = 0u64;
            for (serial, step) in steps.into_iter().enumerate() {
                let serial = serial as u32;
                match step {
                    Step::Insert(distance) => {
                        let deadline = now.saturating_add(distance);
                        model.insert((deadline, serial), ());
                        keys.push((deadline, serial, timers.insert(deadline, serial)));
                    }
                    Step::Remove(which) if !keys.is_empty() => {
                        let (deadline, serial, key) = keys.swap_remove(which % keys.len());
                        let expected = model.remove(&(deadline, serial)).map(|()| serial);
                        prop_assert_eq!(timers.remove(key), expected);
                    }
                    Step::Remove(_) => {}
                    Step::Advance(distance) => {
                        now = now.saturating_add(distance);
                        while let Some(value) = timers.pop_due(now) {
                            let ((deadline, expected), ()) = model.pop_first().unwrap();
                            prop_assert!(deadline <= now);
                            prop_assert_eq!(value, expected);
                        }
                        prop_assert!(model.keys().next().is_none_or(|(deadline, _)| *deadline > now));
                    }
                }
                let truth = model.keys().next().map(|(deadline, _)| *deadline);
                prop_assert_eq!(timers.len(), model.len());
                match (timers.next_deadline(), truth) {
                    (Some(bound), Some(truth)) => prop_assert!(bound <= truth),
                    (bound, truth) => prop_assert_eq!(bound, truth),
                }
            }
        }
    }
}
