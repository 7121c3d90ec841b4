//! Links: code that runs when a greenlet has ended.
//!
//! A link keeps its place in the control block until its own greenlet has its first turn, and is taken out then. So it can be
//! withdrawn until it has really begun, also by another link of the same greenlet.

use std::any::Any;
use std::io;
use std::rc::Rc;

use super::{Builder, Greenlet, Handle};
use crate::error::JoinError;
use crate::event::AsyncResult;
use crate::hub::{Hub, Link, Outcome, Task};

/// Names a link, for [`Handle::unlink`].
///
/// # Examples
/// ```
/// use greenloop::{LinkId, spawn};
///
/// let g = spawn(|| 1);
/// let alarm: LinkId = g.link(|_, _| panic!("it has ended"));
/// assert!(g.unlink(alarm)); // it will not run
/// assert!(!g.unlink(alarm));
/// assert_eq!(g.join().unwrap(), 1);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct LinkId(u64);

impl Handle {
    /// How it has ended; `None` as long as it has not, and for one whose thread has ended before it.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{Outcome, sleep, spawn};
    /// use std::time::Duration;
    ///
    /// let (short, long) = (spawn(|| 1), spawn(|| sleep(Duration::from_secs(60))));
    /// short.wait();
    /// assert_eq!((short.outcome(), long.outcome()), (Some(Outcome::Value), None));
    /// long.kill();
    /// assert_eq!(long.outcome(), Some(Outcome::Killed));
    /// ```
    pub fn outcome(&self) -> Option<Outcome> {
        self.task().outcome.get()
    }

    /// Runs `f` when the greenlet has ended, in whatever way; at once if it already has.
    ///
    /// Each link runs in a greenlet of its own and may block. They start in the order in which they were added, before those
    /// go on who wait for the end. One that panics is reported and does not stop the others. A link of a
    /// thread's root never runs.
    ///
    /// **Switches**: no.
    ///
    /// # Panics
    /// If the greenlet has ended and no stack can be had. (If none can be had when it ends, that is printed to standard
    /// error, and the link does not run.)
    ///
    /// # Examples
    /// ```
    /// use greenloop::{Outcome, queue::Queue, spawn};
    ///
    /// let ended = Queue::unbounded();
    /// for n in 0..3 {
    ///     let ended = ended.clone();
    ///     spawn(move || n).link(move |g, outcome| {
    ///         assert_eq!(outcome, Outcome::Value);
    ///         ended.put(g.id()).unwrap(); // may wait
    ///     });
    /// }
    /// assert!(ended.get().unwrap() < ended.get().unwrap());
    /// ```
    #[track_caller]
    pub fn link(&self, f: impl FnOnce(&Handle, Outcome) + 'static) -> LinkId {
        self.add_link(|_| true, f)
    }

    /// [`link`](Self::link) for an end that is no failure: a value, or a kill.
    ///
    /// **Switches**: no.
    ///
    /// # Panics
    /// As [`link`](Self::link).
    ///
    /// # Examples
    /// ```
    /// use greenloop::{Outcome, spawn};
    ///
    /// let g = spawn(|| "done");
    /// g.link_value(|_, outcome| assert_eq!(outcome, Outcome::Value)); // not called if it panics
    /// g.wait();
    /// ```
    #[track_caller]
    pub fn link_value(&self, f: impl FnOnce(&Handle, Outcome) + 'static) -> LinkId {
        self.add_link(|outcome| outcome != Outcome::Panicked, f)
    }

    /// [`link`](Self::link) for a panic.
    ///
    /// **Switches**: no.
    ///
    /// # Panics
    /// As [`link`](Self::link).
    ///
    /// # Examples
    /// ```
    /// use greenloop::{spawn, wait_all};
    /// use std::{cell::Cell, rc::Rc};
    ///
    /// let alarm = Rc::new(Cell::new(false));
    /// let g = spawn(|| panic!("boom"));
    /// g.link_error({ let alarm = alarm.clone(); move |_, _| alarm.set(true) });
    /// g.wait();
    /// assert!(alarm.get());
    /// ```
    #[track_caller]
    pub fn link_error(&self, f: impl FnOnce(&Handle, Outcome) + 'static) -> LinkId {
        self.add_link(|outcome| outcome == Outcome::Panicked, f)
    }

    /// Withdraws a link of this greenlet; false if it has run, runs, or never will.
    ///
    /// **Switches**: no, unless the destructor of what the link owns does.
    ///
    /// # Examples
    /// ```
    /// let g = greenloop::spawn(|| ());
    /// let link = g.link(|_, _| unreachable!("it was withdrawn"));
    /// assert!(g.unlink(link) && !g.unlink(link));
    /// greenloop::wait_all();
    /// ```
    pub fn unlink(&self, link: LinkId) -> bool {
        self.task().extras().links.take(link.0).is_some()
    }

    #[track_caller]
    fn add_link(&self, wants: fn(Outcome) -> bool, f: impl FnOnce(&Handle, Outcome) + 'static) -> LinkId {
        let task = self.task();
        let number = Hub::current().new_id();
        let ended = task.outcome.get();
        if ended.is_some_and(|outcome| !wants(outcome)) {
            return LinkId(number);
        }
        let run = Box::new(move |task: &Rc<Task>, outcome| f(&Handle::new(task.clone()), outcome));
        task.extras().links.add(number, Link::Spawned { wants, run });
        if let Some(outcome) = ended
            && let Err(error) = start(task, number, outcome)
        {
            drop(task.extras().links.take(number));
            panic!("{error}");
        }
        LinkId(number)
    }
}

/// Makes the greenlet in which a link will run. The spawn hooks are not told: one that links would never come to an end.
#[track_caller]
pub(super) fn start(task: &Rc<Task>, number: u64, outcome: Outcome) -> io::Result<()> {
    let task = task.clone();
    Builder::new()
        .make(move || {
            if let Some(Link::Spawned { run, .. }) = task.extras().links.take(number) {
                run(&task, outcome);
            }
        })
        .map(drop)
}

impl<T: Clone + 'static> Greenlet<T> {
    /// Puts a clone of the greenlet's value, or of its failure, into `result` when it has ended; at once if it already has.
    /// Nothing happens if `result` has a value then.
    ///
    /// It arrives before links run. Of a panic the clone keeps the text; the payload stays with the greenlet, for
    /// [`join`](Greenlet::join). If `T::clone` panics at the end of the greenlet, that is the failure which `result` gets.
    ///
    /// **Switches**: no, unless `T::clone` does.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{event::AsyncResult, spawn};
    ///
    /// let (good, bad) = (AsyncResult::new(), AsyncResult::new());
    /// spawn(|| 6 * 7).link_result(&good);
    /// spawn(|| -> u8 { panic!("boom") }).link_result(&bad);
    /// assert_eq!(good.get().unwrap(), 42);
    /// assert!(bad.get().unwrap_err().to_string().contains("boom"));
    /// ```
    pub fn link_result(&self, result: &AsyncResult<Result<T, JoinError>>) -> LinkId {
        let number = Hub::current().new_id();
        let cell: Box<dyn Any> = Box::new(result.clone());
        self.slot().fill_when_set(number, self.task(), cell, |cell, outcome| {
            if let Some(cell) = cell.downcast_ref::<AsyncResult<Result<T, JoinError>>>() {
                // It was cloned for nothing if there is a value already.
                let _ = cell.set(outcome.map_or_else(Err, Clone::clone));
            }
        });
        LinkId(number)
    }
}
