//! Guards: the inaccessible page at the low end of each stack.
//!
//! Markers in the page table are free, so they are used wherever the kernel has them. Elsewhere a guard is a
//! page without access rights, which splits the mapping of its slab: two more areas for each guard, of which a
//! process may have `vm.max_map_count`, 65 530 unless the administrator says otherwise. Beyond that number
//! everything that maps memory begins to fail: threads, allocators, libraries. So the guards of all hubs
//! together take at most 40 % of it, counted by the [`Budget`] of the process.

use std::cell::Cell;
use std::io;
use std::ops::Range;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};

use super::shortage::Shortage;
use crate::sys::limits;
use crate::sys::memory::Mapping;

/// The areas of memory that a guard made by access rights costs.
const AREAS_PER_GUARD: usize = 2;

/// How many guards may be made by access rights, and how many there are.
pub(super) struct Budget {
    max_map_count: usize,
    guards: usize,
    used: AtomicUsize,
}

impl Budget {
    /// The budget of the process.
    pub(super) fn of_process() -> &'static Budget {
        // A system which does not tell a limit has none that guards could reach first.
        static BUDGET: LazyLock<Budget> =
            LazyLock::new(|| Budget::new(limits::max_map_count().unwrap_or(usize::MAX)));
        &BUDGET
    }

    pub(super) fn new(max_map_count: usize) -> Budget {
        let areas = max_map_count / 5 * 2;
        Budget { max_map_count, guards: areas / AREAS_PER_GUARD, used: AtomicUsize::new(0) }
    }

    fn take(&self) -> Result<(), Shortage> {
        // Only the number itself is shared: no other memory is published by it.
        self.used
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                (used < self.guards).then_some(used + 1)
            })
            .map(drop)
            .map_err(|_| Shortage::Guards { guards: self.guards, max_map_count: self.max_map_count })
    }

    fn give(&self, guards: usize) {
        self.used.fetch_sub(guards, Ordering::Relaxed);
    }

    #[cfg(test)]
    pub(super) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }
}

/// The guards of one slab that are on the budget; dropped after the slab is unmapped, it gives them back.
pub(super) struct Charge {
    budget: &'static Budget,
    guards: Cell<usize>,
}

impl Charge {
    pub(super) fn new(budget: &'static Budget) -> Charge {
        Charge { budget, guards: Cell::new(0) }
    }

    fn take(&self) -> Result<(), Shortage> {
        self.budget.take()?;
        self.guards.set(self.guards.get() + 1);
        Ok(())
    }

    fn give_last(&self) {
        self.budget.give(1);
        self.guards.set(self.guards.get() - 1);
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.budget.give(self.guards.get());
    }
}

/// The ways of making a guard, and what the first try of this process has shown about markers.
#[derive(Clone, Copy)]
pub(super) enum Guards {
    /// Markers where the kernel has them, access rights elsewhere.
    Best,
    /// Access rights always.
    Rights,
}

/// Whether markers work in this process: unknown at first.
static MARKERS: AtomicU8 = AtomicU8::new(UNKNOWN);
const UNKNOWN: u8 = 0;
const WORK: u8 = 1;
const FAIL: u8 = 2;

impl Guards {
    /// The way of this build.
    pub(super) fn of_build() -> Guards {
        if cfg!(greenloop_mprotect_guards) { Guards::Rights } else { Guards::Best }
    }

    /// Makes `part` of a slab inaccessible.
    ///
    /// # Safety
    ///
    /// Nothing lives in the part.
    pub(super) unsafe fn make(
        self,
        slab: &Mapping,
        part: Range<usize>,
        charge: &Charge,
    ) -> Result<(), Shortage> {
        // SAFETY: the caller says that nothing lives in the part.
        if matches!(self, Guards::Best) && unsafe { mark(slab, part.clone()) }? {
            return Ok(());
        }
        charge.take()?;
        // SAFETY: as above.
        unsafe { slab.protect(part) }.map_err(|error| {
            charge.give_last();
            Shortage::Protect(error)
        })
    }
}

/// Sets markers, and says whether it could.
///
/// # Safety
///
/// Nothing lives in the part.
unsafe fn mark(slab: &Mapping, part: Range<usize>) -> Result<bool, Shortage> {
    let known = MARKERS.load(Ordering::Relaxed);
    if known == FAIL {
        return Ok(false);
    }
    // SAFETY: the caller says that nothing lives in the part.
    let works = match unsafe { slab.mark(part.clone()) } {
        Ok(()) => known == WORK || slab.is_inaccessible(part.start),
        // An old kernel, or a process which locks its memory (mlockall): markers cannot be set there.
        Err(error) if error.kind() == io::ErrorKind::InvalidInput => false,
        Err(error) => return Err(Shortage::Mark(error)),
    };
    let shown = if works { WORK } else { FAIL };
    if known != shown {
        MARKERS.store(shown, Ordering::Relaxed);
    }
    Ok(works)
}
