//! The stacks of one size: a slab to carve new ones from, and the free ones.
//!
//! ```text
//!   free:  [ clean ... clean | used ... used | used, hot ... ]  <- take and give at this end
//!            memory given      cold: `trim`    the hottest
//!            back              cleans these    HOT_STACKS
//!                            ^ clean
//! ```
//!
//! The last stack given is the first taken: its top is still in the caches. What sinks to the bottom of the
//! list has not been used for long; there its memory is given back. Everything below `clean` is so already:
//! `take` lowers the mark when it takes a clean one, `give` adds above it, and `trim` raises it.

use std::collections::{HashMap, HashSet};
use std::rc::Rc;

use super::guard::{Budget, Guards};
use super::shortage::Shortage;
use super::slab::{Slab, Stack, distance};

/// So many free stacks keep their memory.
pub(super) const HOT_STACKS: usize = 256;

const FIRST_SLAB_STACKS: usize = 16;
const MAX_SLAB_STACKS: usize = 1024;
const MAX_SLAB_BYTES: usize = 256 * 1024 * 1024;

/// The stacks of one size.
pub(super) struct Class {
    size: usize,
    free: Vec<Stack>,
    clean: usize,
    live: usize,
    slab: Option<Rc<Slab>>,
    next_capacity: usize,
    carved: usize,
}

impl Class {
    pub(super) fn new(size: usize) -> Class {
        Class {
            size,
            free: Vec::new(),
            clean: 0,
            live: 0,
            slab: None,
            next_capacity: FIRST_SLAB_STACKS.min(largest_capacity(size)),
            carved: 0,
        }
    }

    #[inline]
    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// How many stacks were taken and not given back.
    pub(super) fn live(&self) -> usize {
        self.live
    }

    /// The last stack given, unless none is free.
    #[inline]
    pub(super) fn take_free(&mut self) -> Option<Stack> {
        let stack = self.free.pop()?;
        self.clean = self.clean.min(self.free.len());
        self.live += 1;
        Some(stack)
    }

    /// The last stack given, or a new one.
    pub(super) fn take(&mut self, guards: Guards, budget: &'static Budget) -> Result<Stack, Shortage> {
        if let Some(stack) = self.take_free() {
            return Ok(stack);
        }
        let stack = self.carve(guards, budget)?;
        self.live += 1;
        Ok(stack)
    }

    #[inline]
    pub(super) fn give(&mut self, stack: Stack) {
        // A stack may come from another pool, which counts it as live for ever.
        self.live = self.live.saturating_sub(1);
        self.free.push(stack);
    }

    /// Gives the memory of at most `limit` cold stacks back; returns how many.
    pub(super) fn trim(&mut self, limit: usize) -> usize {
        let cold = self.free.len().saturating_sub(HOT_STACKS);
        let end = cold.min(self.clean + limit);
        let Some(stacks) = self.free.get_mut(self.clean..end) else { return 0 };
        stacks.iter_mut().for_each(Stack::discard);
        let trimmed = stacks.len();
        self.clean += trimmed;
        trimmed
    }

    /// Is there a cold stack that `trim` has not cleaned?
    pub(super) fn has_cold_memory(&self) -> bool {
        self.free.len().saturating_sub(HOT_STACKS) > self.clean
    }

    /// Unmaps the slabs whose stacks are all free.
    pub(super) fn release_idle_slabs(&mut self) {
        if self.live == 0 {
            self.slab = None;
        }
        let mut free = HashMap::new();
        for stack in &self.free {
            *free.entry(stack.slab()).or_insert(0) += 1;
        }
        let mut idle = HashSet::new();
        idle.extend(self.free.iter().filter(|stack| stack.sharers() == free[&stack.slab()]).map(Stack::slab));
        self.free.retain(|stack| !idle.contains(&stack.slab()));
        self.clean = 0;
    }

    fn carve(&mut self, guards: Guards, budget: &'static Budget) -> Result<Stack, Shortage> {
        let slab = match self.slab.take().filter(|slab| !slab.is_exhausted()) {
            Some(slab) => slab,
            None => self.new_slab(budget)?,
        };
        let stack = self.slab.insert(slab).carve(guards, self.carved)?;
        self.carved += 1;
        Ok(stack)
    }

    /// Each slab is twice the size of the last; a smaller one will do when there is not enough room.
    fn new_slab(&mut self, budget: &'static Budget) -> Result<Rc<Slab>, Shortage> {
        let mut capacity = self.next_capacity;
        let slab = loop {
            match Slab::new(self.size, capacity, budget) {
                Ok(slab) => break slab,
                Err(_) if capacity > 1 => capacity /= 2,
                Err(shortage) => return Err(shortage),
            }
        };
        self.next_capacity = (capacity * 2).min(largest_capacity(self.size));
        Ok(Rc::new(slab))
    }
}

fn largest_capacity(size: usize) -> usize {
    (MAX_SLAB_BYTES / distance(size)).clamp(1, MAX_SLAB_STACKS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slab_holds_at_most_256_mib_and_at_least_one_stack() {
        assert_eq!(largest_capacity(32 * 1024), 1024);
        assert_eq!(largest_capacity(1024 * 1024), 255);
        assert_eq!(largest_capacity(1024 * 1024 * 1024), 1);
    }
}
