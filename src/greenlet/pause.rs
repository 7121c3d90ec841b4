//! What a greenlet does to itself: sleep, let others run, hold kills back.

use std::time::Duration;

use super::Handle;
use crate::hub::{Hub, Reason};
use crate::park::{self, Deadline};
use crate::waitlist::Place;

/// Lets the current greenlet sleep while the others run. Never shorter than `duration`.
///
/// `sleep(Duration::ZERO)` is [`yield_now`]. A duration beyond 584 years means for ever.
///
/// **Switches**: yes.
///
/// **While unwinding** it returns at once.
///
/// # Examples
/// ```
/// use greenloop::{join_all, sleep, spawn};
/// use std::time::{Duration, Instant};
///
/// let start = Instant::now();
/// join_all((0..100).map(|_| spawn(|| sleep(Duration::from_millis(20)))));
/// assert!(start.elapsed() >= Duration::from_millis(20)); // and not 2 s
/// ```
#[track_caller]
pub fn sleep(duration: Duration) {
    if duration.is_zero() {
        return park::yield_now();
    }
    park::park(Reason::plain(&"the end of its sleep"), Deadline::after(Some(duration)));
}

/// Lets every greenlet run that is ready now, and comes back after them: gevent's `sleep(0)`.
///
/// Two greenlets that do this alternate strictly.
///
/// **Switches**: yes.
///
/// **While unwinding** it returns at once; a loop that waits by it would not end.
///
/// # Examples
/// ```
/// use greenloop::{join_all, spawn, yield_now};
/// use std::{cell::RefCell, rc::Rc};
///
/// let log = Rc::new(RefCell::new(Vec::new()));
/// join_all([1, 2].map(|n| {
///     let log = log.clone();
///     spawn(move || {
///         log.borrow_mut().push((n, 'A'));
///         yield_now();
///         log.borrow_mut().push((n, 'B'));
///     })
/// }));
/// assert_eq!(*log.borrow(), [(1, 'A'), (2, 'A'), (1, 'B'), (2, 'B')]);
/// ```
#[inline]
pub fn yield_now() {
    park::yield_now();
}

/// Waits until nobody else is ready to run: every greenlet that could run has parked or ended, and no descriptor, timer or
/// message has anything for one. For work that may wait until there is nothing better to do.
///
/// Greenlets that wait here at the same time go on together. One that only yields is always ready, and keeps them waiting.
///
/// **Switches**: yes.
///
/// **While unwinding** it returns at once.
///
/// # Examples
/// ```
/// use greenloop::{idle, spawn, yield_now};
///
/// let busy = spawn(|| for _ in 0..1000 { yield_now() });
/// idle();
/// assert!(busy.is_finished());
/// ```
#[track_caller]
pub fn idle() {
    let reason = Reason::plain(&"an idle moment");
    park::wait_on(&Hub::current().idlers, &mut Place::default(), reason, Deadline::NEVER);
}

/// The greenlet that runs now; on the thread's own stack its root, with id 0.
///
/// **Switches**: no.
///
/// # Examples
/// ```
/// let g = greenloop::spawn(|| greenloop::current().id());
/// let id = g.id();
/// assert_eq!(g.join().unwrap(), id);
/// ```
pub fn current() -> Handle {
    Handle::new(Hub::current().running())
}

/// Runs `f` to its end: kills and timeouts from outside that come meanwhile are held back until the greenlet next parks
/// after it. A [`timeout`](crate::timeout()) set inside `f` is held back likewise; give limits inside a shield to the
/// calls that wait, by their `_timeout` forms.
///
/// **Switches**: only if `f` does.
///
/// **While unwinding** nothing waits in `f` either.
///
/// # Panics
/// Inside 65,535 shields already: it is a recursion that does not end.
///
/// # Examples
/// ```
/// use greenloop::{shield, sleep, spawn, yield_now};
/// use std::{cell::Cell, rc::Rc, time::Duration};
///
/// let done = Rc::new(Cell::new(false));
/// let g = spawn({
///     let done = done.clone();
///     move || {
///         shield(|| { sleep(Duration::from_millis(5)); done.set(true) });
///         sleep(Duration::from_secs(60)); // the kill arrives here
///     }
/// });
/// yield_now();
/// g.kill();
/// assert!(done.get());
/// ```
pub fn shield<T>(f: impl FnOnce() -> T) -> T {
    struct Shielded(Handle);
    impl Drop for Shielded {
        fn drop(&mut self) {
            self.0.task().shields.update(|shields| shields - 1);
        }
    }
    let greenlet = current();
    greenlet.task().shields.update(|shields| match shields.checked_add(1) {
        Some(shields) => shields,
        None => panic!("a greenlet cannot be in more than {shields} `shield`s at once"),
    });
    let _shielded = Shielded(greenlet);
    f()
}
