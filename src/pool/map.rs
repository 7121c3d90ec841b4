//! Lazy maps over a group or a pool.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::panic::Location;
use std::rc::Rc;

use super::Group;
use super::members::NO_SLOTS;
use crate::error::{self, JoinError};
use crate::greenlet::{self, Builder, Greenlet};
use crate::hub::{Object, Reason};
use crate::park::{self, Deadline, Woken};
use crate::queue::Queue;
use crate::unwind;
use crate::waitlist::{Place, WaitList};

type Outcome<T> = Result<T, JoinError>;

/// The number of what is told behind all results. Not that of the next one: if a spawn hook panics, the greenlet that it was told of runs on,
/// and gives that.
const END: usize = usize::MAX;

/// Takes the input and starts a greenlet for each item; what they give comes out of a queue with its number.
struct Feed<T> {
    feeder: Greenlet<()>,
    results: Queue<(usize, Outcome<T>)>,
    window: Rc<Window>,
}

impl<T: 'static> Feed<T> {
    #[track_caller]
    fn start<I, F>(group: Group, items: I, f: F) -> Feed<T>
    where
        I: IntoIterator + 'static,
        I::Item: 'static,
        F: Fn(I::Item) -> T + 'static,
    {
        let (results, window) = (Queue::unbounded(), Rc::new(Window::new()));
        let out = Rc::new(Out { results: results.clone(), window: window.clone() });
        // From now on: a kill may come before the feeder's first turn.
        let kills = group.members.kills();
        let site = Location::caller();
        let end = End { out, why: Some(JoinError::killed()) };
        let feeder = greenlet::spawn(move || {
            let jobs = Jobs { started: Vec::new(), site };
            feed((&group, kills), items, &Rc::new(f), end, jobs);
        });
        Feed { feeder, results, window }
    }
}

impl<T> Feed<T> {
    /// The next result that arrives; `None` if there will be no more.
    #[track_caller]
    fn next(&self) -> Option<(usize, Outcome<T>)> {
        let _asking = self.window.ask();
        self.results.get().ok()
    }
}

impl<T> Drop for Feed<T> {
    fn drop(&mut self) {
        self.feeder.kill_nowait();
    }
}

/// How far the feeder may run ahead of the consumer: it starts an item only if `started < taken + asked + maxsize`. The result
/// that is asked for is not ahead, so that one is always started.
struct Window {
    started: Cell<usize>,
    /// The one that is being started has ended without a result.
    failed_to_start: Cell<bool>,
    taken: Cell<usize>,
    /// 1 while the consumer waits, otherwise 0.
    asked: Cell<usize>,
    maxsize: Cell<usize>,
    feeder: WaitList,
}

impl Window {
    fn new() -> Window {
        let count = || Cell::new(0);
        let maxsize = Cell::new(usize::MAX);
        let failed_to_start = Cell::new(false);
        Window {
            started: count(),
            failed_to_start,
            taken: count(),
            asked: count(),
            maxsize,
            feeder: WaitList::new(),
        }
    }

    fn is_open(&self) -> bool {
        let wanted = self.taken.get().saturating_add(self.asked.get());
        self.started.get() < wanted.saturating_add(self.maxsize.get())
    }

    /// (Feeder) waits until it may start another item. In a destructor, which does not wait, it may.
    #[track_caller]
    fn wait_until_open(&self) {
        let mut place = Place::default();
        while !self.is_open() {
            let reason =
                Reason::of(&"results to be taken", Object::Count(self.started.get() - self.taken.get()));
            if park::wait_on(&self.feeder, &mut place, reason, Deadline::NEVER) != Woken::Notified {
                return;
            }
        }
    }

    fn ask(&self) -> Asking<'_> {
        self.asked.set(1);
        self.feeder.wake_one();
        Asking(self)
    }

    fn count_taken(&self) {
        self.taken.set(self.taken.get() + 1);
        self.feeder.wake_one();
    }
}

/// The consumer waits. It may be interrupted: then it has taken nothing.
struct Asking<'a>(&'a Window);

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.asked.set(0);
    }
}

/// The greenlets started for a map; killed with it if it is dropped before its end.
struct Jobs {
    started: Vec<greenlet::Handle>,
    /// The call that has made the map, which reports name instead of a line of this file.
    site: &'static Location<'static>,
}

impl Jobs {
    fn add(&mut self, job: greenlet::Handle) {
        if self.started.len() == self.started.capacity() {
            // Before the list grows: those that have ended need not be remembered.
            self.started.retain(|job| !job.is_finished());
            self.started.reserve(self.started.len() + 16);
        }
        self.started.push(job);
    }
}

impl Drop for Jobs {
    fn drop(&mut self) {
        for job in &self.started {
            job.kill_nowait();
        }
    }
}

/// Where the feeder and those that it has started put results. When the last of them has ended there will be no more.
struct Out<T> {
    results: Queue<(usize, Outcome<T>)>,
    window: Rc<Window>,
}

impl<T> Drop for Out<T> {
    fn drop(&mut self) {
        self.results.close();
    }
}

/// Says why there are no more results, unless the input has ended: of a feeder that is killed, perhaps before its first turn, that it was.
struct End<T> {
    out: Rc<Out<T>>,
    why: Option<JoinError>,
}

impl<T> Drop for End<T> {
    fn drop(&mut self) {
        if let Some(error) = self.why.take() {
            let _ = self.out.results.try_put((END, Err(error)));
        }
    }
}

fn feed<I, F, T>((group, kills): (&Group, u64), items: I, f: &Rc<F>, mut end: End<T>, mut jobs: Jobs)
where
    I: IntoIterator,
    I::Item: 'static,
    F: Fn(I::Item) -> T + 'static,
    T: 'static,
{
    let out = end.out.clone();
    let window = &out.window;
    let fed = unwind::catch(|| {
        let mut items = items.into_iter();
        loop {
            window.wait_until_open();
            let item = items.next()?; // its end needs no reason
            let (f, report) = (f.clone(), Report::new(out.clone()));
            let builder = Builder::new().spawned_at(jobs.site);
            let job = move || report.give(unwind::catch(|| f(item)));
            // What goes wrong here is told where the result is asked for, and not by a panic at this line.
            if group.members.is_hopeless() {
                return Some(JoinError::because(NO_SLOTS));
            }
            let job = match group.spawn_unless_killed(kills, builder, job) {
                Some(Ok(job)) => job,
                Some(Err(error)) => return Some(JoinError::because(error.to_string())),
                None => return Some(JoinError::killed()),
            };
            let number = window.started.get();
            window.started.set(number + 1);
            if window.failed_to_start.take() {
                // A spawn hook has had it killed.
                let _ = out.results.try_put((number, Err(JoinError::killed())));
            }
            jobs.add(job.handle());
        }
    });
    let why = fed.unwrap_or_else(|payload| match unwind::is_private(&payload) {
        // A kill goes on; `jobs` then ends what was started.
        true => std::panic::resume_unwind(payload),
        // The iterator of the input has panicked.
        false => Some(JoinError::panicked(payload)),
    });
    for job in &jobs.started {
        job.wait();
    }
    end.why = why;
}

/// Owes one result; if nothing else is given it says that the greenlet was killed. If there is no greenlet, since it could not be
/// spawned, nothing is owed: the feeder says why.
struct Report<T> {
    number: usize,
    out: Rc<Out<T>>,
    given: bool,
}

impl<T> Report<T> {
    /// Of the item that is started next.
    fn new(out: Rc<Out<T>>) -> Report<T> {
        Report { number: out.window.started.get(), out, given: false }
    }

    fn give(mut self, outcome: Result<T, unwind::Payload>) {
        match outcome {
            Ok(value) => self.put(Ok(value)),
            Err(payload) if unwind::is_private(&payload) => std::panic::resume_unwind(payload),
            Err(payload) => self.put(Err(JoinError::panicked(payload))),
        }
    }

    fn put(&mut self, outcome: Outcome<T>) {
        self.given = true;
        // Closed only when nobody listens any more.
        let _ = self.out.results.try_put((self.number, outcome));
    }
}

impl<T> Drop for Report<T> {
    fn drop(&mut self) {
        if self.given {
            return;
        }
        let window = &self.out.window;
        if self.number < window.started.get() {
            self.put(Err(JoinError::killed()));
        } else {
            window.failed_to_start.set(true);
        }
    }
}

/// The results of [`Group::imap`] and [`ThreadPool::imap`](crate::threadpool::ThreadPool::imap), in the order of the input.
///
/// If the function panicked for an item, `next` panics in its place with the same payload, and the iteration can be
/// continued; if the input itself panicked, that comes last.
///
/// # Examples
/// ```
/// use greenloop::pool::Pool;
///
/// let mut squares = Pool::new(2).imap(1.., |n| n * n); // the input never ends
/// assert_eq!((squares.next(), squares.next()), (Some(1), Some(4)));
/// ```
pub struct Imap<T> {
    feed: Feed<T>,
    /// Results that came before their turn.
    early: BTreeMap<usize, Outcome<T>>,
    next: usize,
}

impl<T: 'static> Imap<T> {
    #[track_caller]
    pub(super) fn new<I, F>(group: Group, items: I, f: F) -> Imap<T>
    where
        I: IntoIterator + 'static,
        I::Item: 'static,
        F: Fn(I::Item) -> T + 'static,
    {
        Imap { feed: Feed::start(group, items, f), early: BTreeMap::new(), next: 0 }
    }
}

impl<T> Imap<T> {
    /// Limits how many results may be ahead of the one that is asked for, whether computed or being computed: gevent's
    /// `maxsize`. With 0 nothing is started before it is asked for. Without this call there is no limit.
    ///
    /// **Switches**: no.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{pool::Pool, sleep};
    /// use std::{cell::Cell, rc::Rc, time::Duration};
    ///
    /// let (pool, started) = (Pool::new(10), Rc::new(Cell::new(0)));
    /// let inside = started.clone();
    /// let mut results = pool.imap(0..100, move |n| { inside.set(inside.get() + 1); n }).maxsize(1);
    /// assert_eq!(results.next(), Some(0));
    /// sleep(Duration::from_millis(1)); // the consumer is slow
    /// assert_eq!(started.get(), 2);
    /// ```
    pub fn maxsize(self, results: usize) -> Self {
        self.feed.window.maxsize.set(results);
        self
    }
}

impl<T> Iterator for Imap<T> {
    type Item = T;

    #[track_caller]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(outcome) = self.early.remove(&self.next) {
                self.next += 1;
                self.feed.window.count_taken();
                return Some(error::value_of(outcome));
            }
            let Some((number, outcome)) = self.feed.next() else {
                if !self.feed.results.is_closed() {
                    return None; // only refused to wait
                }
                let why = self.early.remove(&END)?;
                // Not by a function that is handed on: it panics in the line of the caller.
                return Some(error::value_of(why));
            };
            self.early.insert(number, outcome);
        }
    }
}

impl<T> fmt::Debug for Imap<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Imap(next {}, {} early)", self.next, self.early.len())
    }
}

/// The results of [`Group::imap_unordered`] and
/// [`ThreadPool::imap_unordered`](crate::threadpool::ThreadPool::imap_unordered), in the order in which they arrive.
///
/// If the function panicked for an item, `next` panics with the same payload when it comes to it, and the iteration can
/// be continued; if the input itself panicked, that comes last.
///
/// # Examples
/// ```
/// use greenloop::pool::Pool;
///
/// let halves = Pool::new(2).imap_unordered([2, 4, 0], |n| 8_u32.checked_div(n));
/// let mut found: Vec<_> = halves.flatten().collect(); // failures are values
/// found.sort();
/// assert_eq!(found, [2, 4]);
/// ```
pub struct ImapUnordered<T> {
    feed: Feed<T>,
}

impl<T: 'static> ImapUnordered<T> {
    #[track_caller]
    pub(super) fn new<I, F>(group: Group, items: I, f: F) -> ImapUnordered<T>
    where
        I: IntoIterator + 'static,
        I::Item: 'static,
        F: Fn(I::Item) -> T + 'static,
    {
        ImapUnordered { feed: Feed::start(group, items, f) }
    }
}

impl<T> ImapUnordered<T> {
    /// Limits how many results may be ahead of the one that is asked for, whether computed or being computed: gevent's
    /// `maxsize`. With 0 nothing is started before it is asked for. Without this call there is no limit.
    ///
    /// **Switches**: no.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{pool::Pool, sleep};
    /// use std::{cell::Cell, rc::Rc, time::Duration};
    ///
    /// let (pool, started) = (Pool::new(10), Rc::new(Cell::new(0)));
    /// let inside = started.clone();
    /// let mut results = pool.imap_unordered(0..100, move |n| { inside.set(inside.get() + 1); n }).maxsize(1);
    /// assert_eq!(results.next(), Some(0));
    /// sleep(Duration::from_millis(1)); // the consumer is slow
    /// assert_eq!(started.get(), 2);
    /// ```
    pub fn maxsize(self, results: usize) -> Self {
        self.feed.window.maxsize.set(results);
        self
    }
}

impl<T> Iterator for ImapUnordered<T> {
    type Item = T;

    #[track_caller]
    fn next(&mut self) -> Option<Self::Item> {
        let (_, outcome) = self.feed.next()?;
        self.feed.window.count_taken();
        Some(error::value_of(outcome))
    }
}

impl<T> fmt::Debug for ImapUnordered<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ImapUnordered({} waiting to be taken)", self.feed.results.len())
    }
}
