//! Control blocks of greenlets that have ended, to be used again.
//!
//! To allocate and to free one is a third of what it costs to spawn and join a greenlet that does nothing. When a greenlet ends its handle
//! mostly still exists, so a block is kept with the handles it has, and looked at when the next greenlet needs one: by then they are gone.

use std::cell::RefCell;
use std::rc::Rc;

use super::task::{Origin, Task};

/// So many are kept: half a megabyte.
const KEPT: usize = 1024;

pub(super) struct Spares(RefCell<Vec<Rc<Task>>>);

impl Spares {
    pub(super) const fn new() -> Spares {
        Spares(RefCell::new(Vec::new()))
    }

    /// Takes a task that has ended. One that owns things of the user's is not kept: they are dropped with its last handle.
    pub(super) fn give(&self, task: Rc<Task>) {
        let mut spares = self.0.borrow_mut();
        if spares.len() < KEPT && task.extras_if_any().is_none() && task.joiners.is_empty() {
            spares.push(task);
        }
    }

    /// A new task, in an old block if one is free.
    pub(super) fn task(&self, id: u64, name: Option<Rc<str>>, origin: Origin) -> Rc<Task> {
        if let Some(mut spare) = self.0.borrow_mut().pop()
            && let Some(task) = Rc::get_mut(&mut spare)
        {
            task.renew(id, name, origin);
            return spare;
        }
        Rc::new(Task::new(id, name, origin))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::Location;

    fn origin() -> Origin {
        Origin { spawned_at: Location::caller(), parent: 0, bound: None }
    }

    #[test]
    fn a_block_is_used_again_only_when_its_last_handle_is_gone() {
        let spares = Spares::new();
        let first = spares.task(1, Some("first".into()), origin());
        let (handle, place) = (first.clone(), Rc::as_ptr(&first));
        spares.give(first);
        let second = spares.task(2, None, origin());
        assert_ne!(Rc::as_ptr(&second), place);
        assert_eq!((handle.id, handle.name.as_deref()), (1, Some("first")));
        spares.give(handle);
        let third = spares.task(3, None, origin());
        assert_eq!(Rc::as_ptr(&third), place);
        assert!(third.id == 3 && third.name.is_none());
    }

    #[test]
    fn a_task_with_values_or_links_is_not_kept() {
        let spares = Spares::new();
        let task = spares.task(1, None, origin());
        task.extras();
        let handle = Rc::downgrade(&task);
        spares.give(task);
        assert_eq!(handle.strong_count(), 0);
    }

    #[test]
    fn no_more_than_so_many_are_kept() {
        let spares = Spares::new();
        let tasks: Vec<_> = (0..2 * KEPT as u64).map(|id| spares.task(id, None, origin())).collect();
        tasks.into_iter().for_each(|task| spares.give(task));
        assert_eq!(spares.0.borrow().len(), KEPT);
    }
}
