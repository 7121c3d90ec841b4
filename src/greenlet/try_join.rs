//! Waiting for many greenlets until the first of them fails.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use super::Greenlet;
use crate::error::JoinError;
use crate::hub::{Hub, Link, Object, Outcome, Reason, Task};
use crate::park::{self, Deadline, Woken};
use crate::waitlist::{Place, WaitList};

/// Waits for all of them and gives their values in the order of the input; or, as soon as one has panicked, gives that
/// failure without waiting for the others, which run on.
///
/// The failure is the first in time. A kill is none, as in gevent: the place of a killed greenlet holds `None`. No
/// greenlet can stand in the input twice, as it is given away.
///
/// **Switches**: yes, unless all have already ended or one has already failed.
///
/// # Errors
/// The first failure; [`JoinError`] says so if it could not wait, in a destructor run by a panic or a kill.
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
    let mut greenlets: Vec<_> = greenlets.into_iter().map(Some).collect();
    let watch = Watch::over(greenlets.iter().flatten().map(|greenlet| greenlet.task().clone()));
    if let Some(failed) = watch.first_failure()? {
        let failed = greenlets[failed].take();
        drop(watch);
        return match failed.map(Greenlet::join) {
            Some(Err(error)) => Err(error),
            _ => unreachable!("a greenlet that panicked has an error, and its owner is here"),
        };
    }
    let values = greenlets.into_iter().flatten().map(|greenlet| match greenlet.join() {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_killed() => Ok(None),
        Err(error) => Err(error),
    });
    values.collect()
}

/// Notes in which order greenlets end. Dropping it ends that.
struct Watch {
    tasks: Vec<Rc<Task>>,
    /// The numbers of the links of those that had not ended.
    links: Vec<(usize, u64)>,
    ended: Rc<Ended>,
}

struct Ended {
    /// Those that have ended and were not looked at, by their places.
    order: RefCell<VecDeque<usize>>,
    waiter: WaitList,
}

impl Watch {
    fn over(tasks: impl Iterator<Item = Rc<Task>>) -> Watch {
        let ended = Rc::new(Ended { order: RefCell::new(VecDeque::new()), waiter: WaitList::new() });
        let mut watch = Watch { tasks: tasks.collect(), links: Vec::new(), ended };
        for (place, task) in watch.tasks.iter().enumerate() {
            if task.is_done() {
                watch.ended.order.borrow_mut().push_back(place);
                continue;
            }
            let number = Hub::current().new_id();
            let ended = watch.ended.clone();
            let tell = move || {
                ended.order.borrow_mut().push_back(place);
                ended.waiter.wake_all();
            };
            task.extras().links.add(number, Link::Raw(Box::new(tell)));
            watch.links.push((place, number));
        }
        watch
    }

    /// Waits until one has panicked, or all have ended.
    #[track_caller]
    fn first_failure(&self) -> Result<Option<usize>, JoinError> {
        let reason = Reason::plain("all of several greenlets, such as");
        let mut left = self.tasks.len();
        let mut wait_place = Place::default();
        while left > 0 {
            let next = self.ended.order.borrow_mut().pop_front();
            let Some(place) = next else {
                let running = self.tasks.iter().find(|task| !task.is_done());
                let object = running.map_or(Object::None, |task| Object::Greenlet(task.id));
                let reason = Reason { object, ..reason };
                let woken = park::wait_on(&self.ended.waiter, &mut wait_place, reason, Deadline::NEVER);
                if woken == Woken::Refused {
                    return Err(JoinError::refused());
                }
                continue;
            };
            if self.tasks[place].outcome.get() == Some(Outcome::Panicked) {
                return Ok(Some(place));
            }
            left -= 1;
        }
        Ok(None)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        for &(place, number) in &self.links {
            self.tasks[place].extras().links.take(number);
        }
    }
}
