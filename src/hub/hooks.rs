//! Who is told of each greenlet that is spawned on this thread.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

use crate::hub::Task;

/// Told of each spawn.
pub(crate) struct Hook<F: ?Sized = dyn Fn(&Rc<Task>)> {
    /// Not any more when its owner has removed it, which it may do while it is called.
    in_force: Cell<bool>,
    call: F,
}

impl Hook {
    pub(crate) fn new(call: impl Fn(&Rc<Task>) + 'static) -> Rc<Hook> {
        Rc::new(Hook { in_force: Cell::new(true), call })
    }

    pub(crate) fn remove(&self) {
        self.in_force.set(false);
    }
}

/// In the order in which they came. Each is in force until its owner removes it.
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
            if let Some(hook) = hook.upgrade().filter(|hook| hook.in_force.get()) {
                (hook.call)(task);
            }
        }
    }
}
