//! The stacks of one hub.

use std::cell::RefCell;
use std::io;

use super::class::Class;
use super::guard::{Budget, Guards};
use super::size::{DEFAULT_STACK_SIZE, rounded};
use super::slab::Stack;

/// So many stacks are cleaned by one call of [`StackPool::trim`].
const TRIMMED_AT_ONCE: usize = 64;

/// The stacks of one hub, by size. It stays on the thread of its hub, as its stacks do.
pub(crate) struct StackPool {
    guards: Guards,
    budget: &'static Budget,
    classes: RefCell<Classes>,
    /// Has none to give, for tests of what happens then.
    #[cfg(test)]
    pub(crate) is_dry: std::cell::Cell<bool>,
}

impl StackPool {
    pub(crate) fn new() -> StackPool {
        StackPool::with_guards(Guards::of_build(), Budget::of_process())
    }

    pub(super) fn with_guards(guards: Guards, budget: &'static Budget) -> StackPool {
        StackPool {
            guards,
            budget,
            classes: RefCell::new(Classes::new()),
            #[cfg(test)]
            is_dry: std::cell::Cell::default(),
        }
    }

    /// A stack of at least `size` bytes, the guard among them: the last one given back, or a new one.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for a size above 1 GiB; `OutOfMemory` (or what the system answers) when a limit of the
    /// system is reached, with a text that names the limit and what to do.
    #[inline]
    pub(crate) fn take(&self, size: usize) -> io::Result<Stack> {
        #[cfg(test)]
        if self.is_dry.get() {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        let classes = &mut *self.classes.borrow_mut();
        match classes.last_used(size).and_then(Class::take_free) {
            Some(stack) => Ok(stack),
            None => self.take_slowly(classes, size),
        }
    }

    /// Takes a stack back for the next [`take`](StackPool::take) of its size.
    #[inline]
    pub(crate) fn give(&self, stack: Stack) {
        let classes = &mut *self.classes.borrow_mut();
        let size = stack.size();
        let class = match classes.last_used(size) {
            Some(class) => class,
            None => classes.find(size),
        };
        class.give(stack);
    }

    /// Gives the memory of some free stacks back to the system: of those which have not been used for longest,
    /// beyond the hottest 256 of each size, and of at most 64 in one call. For an idle turn of the hub.
    pub(crate) fn trim(&self) {
        let mut left = TRIMMED_AT_ONCE;
        for class in &mut self.classes.borrow_mut().all {
            left -= class.trim(left);
        }
    }

    /// Is there something left to [`trim`](StackPool::trim)?
    pub(crate) fn has_cold_memory(&self) -> bool {
        self.classes.borrow().all.iter().any(Class::has_cold_memory)
    }

    /// How many stacks were taken and not given back.
    #[cfg(test)]
    pub(crate) fn live(&self) -> usize {
        self.classes.borrow().all.iter().map(Class::live).sum()
    }

    /// From another class than the last one, or a new stack. Before a shortage is reported, the slabs of all
    /// sizes which are entirely free make room.
    #[cold]
    fn take_slowly(&self, classes: &mut Classes, size: usize) -> io::Result<Stack> {
        let size = rounded(size)?;
        if let Ok(stack) = classes.find(size).take(self.guards, self.budget) {
            return Ok(stack);
        }
        classes.all.iter_mut().for_each(Class::release_idle_slabs);
        classes.find(size).take(self.guards, self.budget).map_err(|shortage| {
            let live: Vec<_> = classes.all.iter().map(|class| (class.live(), class.size())).collect();
            shortage.into_error(size, &live)
        })
    }
}

/// The classes of a pool. There are few sizes in a program, and mostly one: a search is faster than a table.
struct Classes {
    all: Vec<Class>,
    last: usize,
}

impl Classes {
    fn new() -> Classes {
        Classes { all: vec![Class::new(DEFAULT_STACK_SIZE)], last: 0 }
    }

    /// The class used last, when it is of this size.
    #[inline]
    fn last_used(&mut self, size: usize) -> Option<&mut Class> {
        self.all.get_mut(self.last).filter(|class| class.size() == size)
    }

    /// The class of a rounded size, which becomes the one used last.
    fn find(&mut self, size: usize) -> &mut Class {
        self.last = self.all.iter().position(|class| class.size() == size).unwrap_or_else(|| {
            self.all.push(Class::new(size));
            self.all.len() - 1
        });
        &mut self.all[self.last]
    }
}
