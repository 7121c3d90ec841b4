//! Waiting for many greenlets until the first of them fails.

use std::rc::Rc;

use super::Greenlet;
use crate::error::JoinError;
use crate::hub::{Object, Outcome, Reason, Task};
use crate::park::{self, Deadline, Enrolled, Woken};
use crate::waitlist::{Place, Watch};

/// Waits for all of them and gives their values in the order of the input; or, as soon as one has panicked, gives that
/// failure without waiting for the others, which run on.
///
/// The failure is the first in time. A kill is none, as in gevent: the place of a killed greenlet holds `None`. No
/// greenlet can stand in the input twice, as it is given away.
///
/// **Switches**: yes, unless all have already ended or one has already failed.
///
/// **While unwinding** it gives an error at once.
///
/// # Errors
/// The first failure; while unwinding, that one still runs.
///
/// # Panics
/// On a thread's root with [`LoopExit`](crate::LoopExit) if nothing is left that could ever end one of them.
///
/// # Examples
/// ```
/// use greenloop::{sleep, spawn, try_join_all};
/// use std::time::Duration;
///
/// let squares = try_join_all((0..3).map(|n| spawn(move || n * n))).unwrap();
/// assert_eq!(squares, [Some(0), Some(1), Some(4)]);
///
/// let slow = spawn(|| sleep(Duration::from_secs(60)));
/// let bad = spawn(|| panic!("boom"));
/// assert!(try_join_all([slow, bad]).unwrap_err().is_panic()); // at once
/// ```
#[track_caller]
pub fn try_join_all<T>(
    greenlets: impl IntoIterator<Item = Greenlet<T>>,
) -> Result<Vec<Option<T>>, JoinError> {
    // All are spawned before the first is waited for, also when the iterator spawns them.
    let mut greenlets: Vec<_> = greenlets.into_iter().collect();
    let tasks: Vec<_> = greenlets.iter().map(|greenlet| greenlet.task().clone()).collect();
    if let Some(failed) = first_failure(&tasks)? {
        return match greenlets.swap_remove(failed).join() {
            Err(error) => Err(error),
            Ok(_) => unreachable!("a greenlet that panicked has no value"),
        };
    }
    let values = greenlets.into_iter().map(|greenlet| match greenlet.join() {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_killed() => Ok(None),
        Err(error) => Err(error),
    });
    values.collect()
}

/// Waits until one has panicked and gives its place, or until all have ended.
#[track_caller]
fn first_failure(tasks: &[Rc<Task>]) -> Result<Option<usize>, JoinError> {
    let failed = tasks.iter().enumerate().filter_map(|(place, task)| Some((failed_as(task)?, place)));
    if let Some((_, place)) = failed.min() {
        return Ok(Some(place));
    }
    // It looks only, so that whoever else waits for one of them is told as well.
    let watch = Watch::new(false);
    let running = tasks.iter().enumerate().filter(|(_, task)| !task.is_done());
    let enrolled: Vec<_> = running
        .map(|(place, task)| Enrolled::watching(&task.joiners, &watch, place, &mut Place::default()))
        .collect();
    let mut left = enrolled.len();
    while left > 0 {
        let Some(place) = watch.next_call() else {
            let reason = Reason::of(&"several greenlets, left", Object::Count(left));
            match park::wait_for_call(&watch, reason, Deadline::NEVER) {
                Woken::Refused => return Err(JoinError::refused()),
                _ => continue,
            }
        };
        if failed_as(&tasks[place]).is_some() {
            return Ok(Some(place));
        }
        left -= 1;
    }
    Ok(None)
}

/// If it has panicked: when, compared with others.
fn failed_as(task: &Task) -> Option<u64> {
    let has_failed = task.outcome.get() == Some(Outcome::Panicked);
    task.extras_if_any().filter(|_| has_failed).map(|extras| extras.failed_as.get())
}
