//! Who is told of each greenlet that is spawned on this thread.

use std::cell::RefCell;
use std::rc::{Rc, Weak};

use crate::hub::Task;

/// Told of each spawn.
pub(crate) type Hook = dyn Fn(&Rc<Task>);

/// In the order in which they came. Each is in force as long as its owner keeps it.
pub(crate) struct Hooks(RefCell<Vec<Weak<Hook>>>);

impl Hooks {
    pub(super) const fn new() -> Hooks {
        Hooks(RefCell::new(Vec::new()))
    }

    pub(crate) fn add(&self, hook: &Rc<Hook>) {
        let mut hooks = self.0.borrow_mut();
        hooks.retain(|hook| hook.strong_count() > 0);
        hooks.push(Rc::downgrade(hook));
    }

    /// Tells those that are in force now.
    #[inline]
    pub(crate) fn tell(&self, task: &Rc<Task>) {
        if !self.0.borrow().is_empty() {
            self.tell_each(task);
        }
    }

    #[cold]
    fn tell_each(&self, task: &Rc<Task>) {
        let hooks = self.0.borrow().clone();
        for hook in hooks {
            // Looked at one by one, as a hook may remove the next.
            if let Some(hook) = hook.upgrade() {
                hook(task);
            }
        }
    }
}
