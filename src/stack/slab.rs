//! A slab, the mapping that holds many stacks, and the stacks that share it.

use std::cell::Cell;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::rc::Rc;

use super::guard::{Budget, Charge, Guards};
use super::shortage::Shortage;
use crate::sys::memory::{Mapping, page_size};

/// The distance between the bases of stacks of neighbouring colours.
const COLOUR_STEP: usize = 64;
/// How many colours there are. All of them lie in the top quarter of a page, so that the hot frames of a stack, however it is coloured,
/// mostly touch no second page.
const COLOURS: usize = 16;

/// How far apart stacks of `size` bytes begin: an odd number of pages.
///
/// The sets of a translation buffer are picked by the lowest bits of the page's number. At a distance of 64 pages, the hot pages of
/// thousands of stacks would share a few dozen entries of the buffer's two thousand, and nearly every switch would walk the page tables.
pub(super) fn distance(size: usize) -> usize {
    let page = page_size();
    if (size / page).is_multiple_of(2) { size + page } else { size }
}

/// A mapping carved into stacks from its low end upwards.
pub(super) struct Slab {
    // The order matters: the charge is given back after the memory is unmapped.
    mapping: Mapping,
    charge: Charge,
    stack_size: usize,
    /// See [`distance`].
    distance: usize,
    capacity: usize,
    carved: Cell<usize>,
}

impl Slab {
    /// Maps a slab for `capacity` stacks of `stack_size` bytes, a multiple of the page size.
    pub(super) fn new(stack_size: usize, capacity: usize, budget: &'static Budget) -> Result<Slab, Shortage> {
        let distance = distance(stack_size);
        let len = distance * capacity;
        let mapping = Mapping::new(len).map_err(|error| Shortage::Map { len, error })?;
        Ok(Slab {
            mapping,
            charge: Charge::new(budget),
            stack_size,
            distance,
            capacity,
            carved: Cell::new(0),
        })
    }

    /// Whether every stack of the slab has been handed out once.
    pub(super) fn is_exhausted(&self) -> bool {
        self.carved.get() == self.capacity
    }

    /// Hands out a stack that was never used; the slab is not exhausted.
    pub(super) fn carve(self: &Rc<Slab>, guards: Guards, colour: usize) -> Result<Stack, Shortage> {
        debug_assert!(!self.is_exhausted());
        let index = self.carved.get();
        let limit = self.mapping.range().start + index * self.distance;
        // SAFETY: the part beyond the stacks carved so far was never handed out, so nothing lives in it.
        unsafe { guards.make(&self.mapping, limit..limit + page_size(), &self.charge) }?;
        self.carved.set(index + 1);
        let base = limit + self.stack_size - colour % COLOURS * COLOUR_STEP;
        let base = NonZeroUsize::new(base).expect("a mapping does not wrap around the address space");
        Ok(Stack { slab: Rc::clone(self), base })
    }
}

/// The memory of one stack, owned: nothing else uses it while this value exists.
///
/// Dropped instead of given back to a pool, its memory is not used again until its slab is unmapped, which
/// happens when the last stack of the slab and its pool are gone.
pub(crate) struct Stack {
    // Two words, so that a stack travels in registers; the rest is derived from them.
    slab: Rc<Slab>,
    base: NonZeroUsize,
}

impl Stack {
    /// The address where the first frame begins, downwards. A multiple of 16.
    #[inline]
    pub(crate) fn base(&self) -> usize {
        self.base.get()
    }

    /// The lowest address, which is that of the guard.
    #[inline]
    pub(crate) fn limit(&self) -> usize {
        // The colour is less than a page.
        self.base().next_multiple_of(page_size()) - self.size()
    }

    /// The inaccessible part.
    #[inline]
    pub(crate) fn guard(&self) -> Range<usize> {
        self.limit()..self.limit() + page_size()
    }

    /// The size that was asked for, in whole pages, the guard among them.
    #[inline]
    pub(crate) fn size(&self) -> usize {
        self.slab.stack_size
    }

    /// The slab, as something to compare.
    pub(super) fn slab(&self) -> *const Slab {
        Rc::as_ptr(&self.slab)
    }

    /// How many stacks hold the slab, with one more while it is still being carved.
    pub(super) fn sharers(&self) -> usize {
        Rc::strong_count(&self.slab)
    }

    /// Gives the memory of the stack back to the system, until it is touched again.
    pub(super) fn discard(&mut self) {
        let used = self.guard().end..self.limit() + self.size();
        // SAFETY: the stack belongs to this value, borrowed mutably: no frames live on it. Where the memory
        // cannot be given back (it is locked) it stays, which costs nothing but memory.
        let _ = unsafe { self.slab.mapping.discard(used) };
    }
}
