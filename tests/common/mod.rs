//! What the tests share.
#![allow(dead_code, reason = "no test file uses all of it")]

use std::cell::{Cell, RefCell};
use std::fmt::Debug;
use std::rc::Rc;
use std::time::Duration;

/// Longer than any test takes: whoever waits so long has failed.
pub(crate) const LONG: Duration = Duration::from_secs(60);
/// Short, but not nothing.
pub(crate) const SHORT: Duration = Duration::from_millis(5);
/// Generous for anything that should happen at once, and far below [`LONG`].
pub(crate) const PROMPT: Duration = Duration::from_secs(20);

/// What happened, in order.
#[derive(Clone, Debug)]
pub(crate) struct Log<T>(Rc<RefCell<Vec<T>>>);

impl<T> Log<T> {
    pub(crate) fn new() -> Log<T> {
        Log(Rc::new(RefCell::new(Vec::new())))
    }

    pub(crate) fn add(&self, entry: T) {
        self.0.borrow_mut().push(entry);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.borrow().len()
    }

    /// What was logged since the last look.
    pub(crate) fn take(&self) -> Vec<T> {
        self.0.take()
    }
}

/// A flag that is shared with greenlets.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flag(Rc<Cell<bool>>);

impl Flag {
    pub(crate) fn new() -> Flag {
        Flag::default()
    }

    pub(crate) fn raise(&self) {
        self.0.set(true);
    }

    pub(crate) fn lower(&self) {
        self.0.set(false);
    }

    pub(crate) fn is_up(&self) -> bool {
        self.0.get()
    }
}

/// Runs a closure when it is dropped.
pub(crate) struct OnDrop<F: FnMut()>(pub(crate) F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

/// Runs `f` on a thread of its own, with a hub of its own, and passes its panic on.
pub(crate) fn on_a_thread<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> T {
    match std::thread::spawn(f).join() {
        Ok(value) => value,
        Err(payload) => std::panic::resume_unwind(payload),
    }
}

/// Runs the test `name` of this test binary again in a process of its own, with `CHILD` set to `name`.
pub(crate) fn run_as_child(name: &str) -> std::process::Output {
    child(name).output().unwrap()
}

/// The process that [`run_as_child`] starts.
pub(crate) fn child(name: &str) -> std::process::Command {
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", name, "--nocapture", "--test-threads=1"]);
    child.env("CHILD", name).env_remove("RUST_BACKTRACE");
    child
}

/// Is this the process that [`run_as_child`] has started for the test `name`?
pub(crate) fn is_child(name: &str) -> bool {
    std::env::var("CHILD").is_ok_and(|child| child == name)
}

/// Forgets a result, also one that needs no destructor.
pub(crate) fn ignore<T>(_: T) {}
