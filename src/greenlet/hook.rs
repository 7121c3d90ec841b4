//! Hooks that are called for each spawn.

use std::fmt;
use std::rc::Rc;

use super::Handle;
use crate::hub::{Hook, Hub};

/// Calls `f` for each greenlet that is spawned on this thread, until the returned [`SpawnHook`] is dropped.
///
/// It is called once for each, by `spawn`, `spawn_later`, [`Builder::spawn`](crate::Builder::spawn), scopes and pools, before they
/// return and before the greenlet has run; by a greenlet that a [`Remote`](crate::sync::Remote) spawns itself, before anything else; not
/// for the greenlets in which links run. Hooks are called in the
/// order in which they were added. A hook that spawns is called for that, too. If it panics, the spawn does, and the
/// greenlet runs on its own.
///
/// **Switches**: no. The spawns do if `f` does.
///
/// # Examples
/// ```
/// use greenloop::{on_spawn, spawn};
/// use std::{cell::Cell, rc::Rc};
///
/// let count = Rc::new(Cell::new(0));
/// let hook = on_spawn({ let count = count.clone(); move |_| count.set(count.get() + 1) });
/// spawn(|| ());
/// drop(hook);
/// spawn(|| ());
/// assert_eq!(count.get(), 1);
/// ```
pub fn on_spawn(f: impl Fn(&Handle) + 'static) -> SpawnHook {
    let hook = Hook::new(move |task| f(&Handle::new(task.clone())));
    Hub::current().spawn_hooks.add(&hook);
    SpawnHook(hook)
}

/// Keeps a hook of [`on_spawn`] in force; dropping it removes the hook.
///
/// # Examples
/// ```
/// use greenloop::{on_spawn, spawn};
///
/// let hook = on_spawn(|g| assert!(g.name().is_none()));
/// spawn(|| ());
/// drop(hook); // from here on nobody is told
/// ```
#[must_use = "dropping it removes the hook"]
pub struct SpawnHook(Rc<Hook>);

impl Drop for SpawnHook {
    fn drop(&mut self) {
        self.0.remove();
    }
}

impl fmt::Debug for SpawnHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SpawnHook(..)")
    }
}

/// Tells the hooks of a new greenlet.
#[inline]
pub(crate) fn announce(greenlet: &Handle) {
    Hub::current().spawn_hooks.tell(greenlet.task());
}
