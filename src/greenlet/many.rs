//! Verbs over many greenlets.

use std::time::Duration;

use super::{Greenlet, Handle};
use crate::error::JoinError;
use crate::park::{self, Deadline};

/// Waits for all of them and gives their results in the order of the input.
///
/// **Switches**: yes, unless all have already ended.
///
/// **While unwinding** it gives an error at once for each that still runs.
///
/// # Panics
/// On a thread's root with [`LoopExit`](crate::LoopExit) if nothing is left that could ever end one of them.
///
/// # Examples
/// ```
/// use greenloop::{join_all, spawn};
///
/// let results = join_all((0..3).map(|n| spawn(move || n * n)));
/// let squares: Vec<_> = results.into_iter().map(Result::unwrap).collect();
/// assert_eq!(squares, [0, 1, 4]);
/// ```
#[track_caller]
pub fn join_all<T>(greenlets: impl IntoIterator<Item = Greenlet<T>>) -> Vec<Result<T, JoinError>> {
    // All are spawned before the first is waited for, also when the iterator spawns them.
    let greenlets: Vec<_> = greenlets.into_iter().collect();
    let mut results = Vec::with_capacity(greenlets.len());
    for greenlet in greenlets {
        results.push(greenlet.join());
    }
    results
}

/// Ends all of them and waits until they are dead; see [`Handle::kill`].
///
/// **Switches**: yes, unless all have already ended.
///
/// **While unwinding** it asks for their ends and returns at once.
///
/// # Panics
/// If one of them is the root of the thread.
///
/// # Examples
/// ```
/// use greenloop::{kill_all, sleep, spawn};
/// use std::time::Duration;
///
/// let sleepers: Vec<_> = (0..3).map(|_| spawn(|| sleep(Duration::from_secs(60)))).collect();
/// kill_all(&sleepers);
/// assert!(sleepers.iter().all(|g| g.is_finished()));
/// ```
#[track_caller]
pub fn kill_all(greenlets: impl IntoIterator<Item = impl AsRef<Handle>>) {
    for greenlet in &ask_all_to_end(greenlets) {
        greenlet.wait_until_killed();
    }
}

/// [`kill_all`], waiting at most for [`timeout`](crate#time-limits), which is for all together; says whether all are dead.
///
/// **Switches**: yes, unless all have already ended.
///
/// **While unwinding** it asks for their ends and returns `false` at once.
///
/// # Panics
/// If one of them is the root of the thread.
/// On a thread's root with [`LoopExit`](crate::LoopExit) if the time is beyond the reach of the clock and nothing is left
/// that could ever end one of them.
///
/// # Examples
/// ```
/// use greenloop::{kill_all_timeout, shield, sleep, spawn, yield_now};
/// use std::time::Duration;
///
/// let stubborn: Vec<_> = (0..3).map(|_| spawn(|| shield(|| sleep(Duration::from_millis(50))))).collect();
/// yield_now();
/// assert!(!kill_all_timeout(&stubborn, Duration::from_millis(1)));
/// assert!(kill_all_timeout(&stubborn, Duration::from_secs(60)));
/// ```
#[track_caller]
pub fn kill_all_timeout(greenlets: impl IntoIterator<Item = impl AsRef<Handle>>, timeout: Duration) -> bool {
    let greenlets = ask_all_to_end(greenlets);
    let deadline = Deadline::after(Some(timeout));
    greenlets.iter().all(|greenlet| greenlet.wait_until_killed_by(deadline))
}

/// Asks for the ends of all of them and returns at once; see [`Handle::kill_nowait`].
///
/// **Switches**: no, if the iterator does not.
///
/// # Panics
/// If one of them is the root of the thread.
///
/// # Examples
/// ```
/// use greenloop::{kill_all_nowait, sleep, spawn, yield_now};
/// use std::time::Duration;
///
/// let sleepers: Vec<_> = (0..3).map(|_| spawn(|| sleep(Duration::from_secs(60)))).collect();
/// kill_all_nowait(&sleepers);
/// assert!(!sleepers.iter().any(|g| g.is_finished())); // they have had no turn since
/// yield_now();
/// assert!(sleepers.iter().all(|g| g.is_finished()));
/// ```
#[track_caller]
pub fn kill_all_nowait(greenlets: impl IntoIterator<Item = impl AsRef<Handle>>) {
    ask_all_to_end(greenlets);
}

#[track_caller]
fn ask_all_to_end(greenlets: impl IntoIterator<Item = impl AsRef<Handle>>) -> Vec<Handle> {
    let greenlets: Vec<_> = greenlets.into_iter().map(|greenlet| greenlet.as_ref().clone()).collect();
    for greenlet in &greenlets {
        greenlet.kill_nowait();
    }
    greenlets
}

/// Runs everything that can still run: until no greenlet is ready, no timer is pending, no descriptor is watched and no
/// outside work is going on. Greenlets which wait for something that nobody is left to do stay as they are.
///
/// This is gevent's `wait()` without objects. For the root of a thread only.
///
/// **Switches**: yes.
///
/// **While unwinding** it returns at once.
///
/// # Panics
/// If a greenlet calls it: it would wait for itself.
///
/// # Examples
/// ```
/// use greenloop::{spawn, wait_all};
/// use std::{cell::Cell, rc::Rc};
///
/// let ran = Rc::new(Cell::new(false));
/// spawn({ let ran = ran.clone(); move || ran.set(true) });
/// wait_all();
/// assert!(ran.get());
/// ```
#[track_caller]
pub fn wait_all() {
    park::park_until_nothing_left(Deadline::NEVER);
}

/// [`wait_all`], at most for [`timeout`](crate#time-limits): true if nothing is left to run, false if the time ran out first.
///
/// **Switches**: yes.
///
/// **While unwinding** it returns `false` at once.
///
/// # Panics
/// If a greenlet calls it: it would wait for itself.
///
/// # Examples
/// ```
/// use greenloop::{sleep, spawn, wait_all_timeout};
/// use std::time::Duration;
///
/// let g = spawn(|| sleep(Duration::from_secs(60)));
/// assert!(!wait_all_timeout(Duration::from_millis(1)));
/// g.kill();
/// assert!(wait_all_timeout(Duration::ZERO));
/// ```
#[track_caller]
pub fn wait_all_timeout(timeout: Duration) -> bool {
    park::park_until_nothing_left(Deadline::after(Some(timeout)))
}
