//! A queue that knows whether its items have been dealt with.

use std::cell::Cell;
use std::collections::VecDeque;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use super::core::{Books, Core};
use super::listed::{Sink, Source};
use super::methods::{Iter, queue_iteration, queue_methods};
use super::{GetError, PutError};
use crate::hub::Reason;
use crate::park::{self, Deadline, Woken};
use crate::waitlist::{Place, WaitList};

/// A [`Queue`](super::Queue) whose items are tasks: whoever gets one says [`task_done`](Self::task_done) when it is done,
/// and [`join`](Self::join) waits until all are.
///
/// # Examples
/// ```
/// use greenloop::{queue::JoinableQueue, sleep, spawn};
/// use std::time::Duration;
///
/// let jobs = JoinableQueue::unbounded().with_items([3, 1, 2]);
/// for _ in 0..2 {
///     let jobs = jobs.clone();
///     spawn(move || for ms in &jobs {
///         sleep(Duration::from_millis(ms));
///         jobs.task_done();
///     });
/// }
/// jobs.join();
/// assert_eq!(jobs.unfinished(), 0);
/// ```
pub struct JoinableQueue<T> {
    core: Rc<Core<VecDeque<T>, Tasks>>,
}

queue_methods!(JoinableQueue<T>, "oldest");

struct Tasks {
    unfinished: Cell<usize>,
    /// Who waits in `join`.
    joiners: WaitList,
}

impl Default for Tasks {
    fn default() -> Tasks {
        Tasks { unfinished: Cell::new(0), joiners: WaitList::new() }
    }
}

impl Books for Tasks {
    fn item_added(&self) {
        self.unfinished.set(self.unfinished.get() + 1);
    }

    /// There may be more items inside than unfinished ones, if `task_done` was called for some of them already.
    fn items_done(&self, count: usize) {
        self.unfinished.set(self.unfinished.get().saturating_sub(count));
        if self.unfinished.get() == 0 {
            self.joiners.wake_all();
        }
    }

    fn describe(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, ", {} unfinished, {} joining", self.unfinished.get(), self.joiners.len())
    }
}

impl<T> JoinableQueue<T> {
    /// How many items were put and are not done yet, whether they have been got or not.
    ///
    /// # Examples
    /// ```
    /// let jobs = greenloop::queue::JoinableQueue::unbounded().with_items(["a", "b"]);
    /// jobs.get().unwrap();
    /// assert_eq!((jobs.len(), jobs.unfinished()), (1, 2)); // got, but not done
    /// jobs.task_done();
    /// assert_eq!(jobs.unfinished(), 1);
    /// ```
    pub fn unfinished(&self) -> usize {
        self.core.books.unfinished.get()
    }

    /// Says that an item which was got is done. When it was the last unfinished one, `join` returns.
    ///
    /// [`close_now`](Self::close_now) counts the items that it drops as done.
    ///
    /// **Switches**: no.
    ///
    /// # Panics
    /// If it is said more often than items were put.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{queue::JoinableQueue, spawn};
    ///
    /// let jobs = JoinableQueue::unbounded().with_items(["a job"]);
    /// let boss = spawn({ let jobs = jobs.clone(); move || jobs.join() });
    /// assert_eq!(jobs.get(), Ok("a job"));
    /// greenloop::yield_now();
    /// assert!(!boss.is_finished()); // the job is not done
    /// jobs.task_done();
    /// boss.join().unwrap();
    /// ```
    #[track_caller]
    pub fn task_done(&self) {
        assert!(
            self.unfinished() > 0,
            "task_done was called more often on {self:?} than items were put; call it once for each item that was got"
        );
        self.core.books.items_done(1);
    }

    /// Waits until every item that was put is done (there may be new ones when the caller runs).
    ///
    /// **Switches**: unless none is unfinished.
    ///
    /// **While unwinding** it returns at once.
    ///
    /// # Panics
    /// On a thread's root with [`LoopExit`](crate::LoopExit) if nothing is left that could ever finish them.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{queue::JoinableQueue, spawn};
    ///
    /// let jobs = JoinableQueue::unbounded().with_items([1, 2, 3]);
    /// spawn({
    ///     let jobs = jobs.clone();
    ///     move || for _job in &jobs { jobs.task_done() }
    /// });
    /// jobs.join();
    /// assert_eq!(jobs.unfinished(), 0);
    /// ```
    #[track_caller]
    pub fn join(&self) {
        self.join_until(None);
    }

    /// [`join`](Self::join), at most for [`timeout`](crate#time-limits); says whether all were done.
    ///
    /// **Switches**: unless none is unfinished.
    ///
    /// **While unwinding** it returns `false` at once.
    ///
    /// # Panics
    /// On a thread's root with [`LoopExit`](crate::LoopExit) if the time is beyond the reach of the clock and nothing is left
    /// that could ever finish them.
    ///
    /// # Examples
    /// ```
    /// use greenloop::queue::JoinableQueue;
    /// use std::time::Duration;
    ///
    /// let jobs = JoinableQueue::unbounded().with_items(["a job"]);
    /// assert!(!jobs.join_timeout(Duration::from_millis(1))); // nobody works
    /// jobs.get().unwrap();
    /// jobs.task_done();
    /// assert!(jobs.join_timeout(Duration::from_millis(1)));
    /// ```
    #[track_caller]
    pub fn join_timeout(&self, timeout: Duration) -> bool {
        self.join_until(Some(timeout))
    }

    #[track_caller]
    fn join_until(&self, timeout: Option<Duration>) -> bool {
        if self.unfinished() == 0 {
            return true;
        }
        let reason = Reason::plain(&"queue (its tasks to be done)");
        let joiners = &self.core.books.joiners;
        let woken = park::wait_on(joiners, &mut Place::default(), reason, Deadline::after(timeout));
        woken == Woken::Notified || self.unfinished() == 0
    }
}
