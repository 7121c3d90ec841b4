//! Lazy maps over a pool.

use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

use super::Pool;
use crate::error::JoinError;
use crate::greenlet::{self, Greenlet};
use crate::queue::Queue;
use crate::unwind;

type Outcome<T> = Result<T, JoinError>;

/// Takes the input and starts a greenlet for each item; what they give comes out of a queue with its number.
struct Feed<T> {
    feeder: Greenlet<()>,
    results: Queue<(usize, Outcome<T>)>,
}

impl<T: 'static> Feed<T> {
    #[track_caller]
    fn start<I, F>(pool: Pool, items: I, f: F) -> Feed<T>
    where
        I: IntoIterator + 'static,
        I::Item: 'static,
        F: Fn(I::Item) -> T + 'static,
    {
        let results = Queue::unbounded();
        let out = results.clone();
        let feeder = greenlet::spawn(move || {
            let jobs = Jobs { started: Vec::new() };
            feed(pool, items, Rc::new(f), out, jobs);
        });
        Feed { feeder, results }
    }
}

impl<T> Drop for Feed<T> {
    fn drop(&mut self) {
        self.feeder.kill_nowait();
    }
}

/// The greenlets started for a map; killed with it if it is dropped before its end.
struct Jobs {
    started: Vec<greenlet::Handle>,
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

fn feed<I, F, T>(pool: Pool, items: I, f: Rc<F>, results: Queue<(usize, Outcome<T>)>, mut jobs: Jobs)
where
    I: IntoIterator,
    I::Item: 'static,
    F: Fn(I::Item) -> T + 'static,
    T: 'static,
{
    let mut count = 0;
    let fed = unwind::catch(|| {
        for item in items {
            let (f, number, report) = (f.clone(), count, Report::new(count, results.clone()));
            count = number + 1;
            let job = pool.spawn(move || report.give(unwind::catch(|| f(item))));
            jobs.add(job.handle());
        }
    });
    // A kill goes on; `jobs` then ends what was started.
    let fed = fed.map_err(|payload| match unwind::is_private(&payload) {
        true => std::panic::resume_unwind(payload),
        false => payload,
    });
    for job in &jobs.started {
        job.wait();
    }
    if let Err(payload) = fed {
        // The iterator of the input has panicked: that is the last result.
        let _ = results.put((count, Err(JoinError::panicked(payload))));
    }
    results.close();
}

/// Owes one result; if nothing else is given it says that the greenlet was killed.
struct Report<T> {
    number: usize,
    results: Queue<(usize, Outcome<T>)>,
    given: bool,
}

impl<T> Report<T> {
    fn new(number: usize, results: Queue<(usize, Outcome<T>)>) -> Report<T> {
        Report { number, results, given: false }
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
        let _ = self.results.try_put((self.number, outcome));
    }
}

impl<T> Drop for Report<T> {
    fn drop(&mut self) {
        if !self.given {
            self.put(Err(JoinError::killed()));
        }
    }
}

/// The results of [`Pool::imap`] and [`ThreadPool::imap`](crate::threadpool::ThreadPool::imap), in the order of the input.
///
/// If the function panicked for an item, `next` panics in its place with the same payload, and the iteration can be
/// continued; if the input itself panicked, that comes last.
pub struct Imap<T> {
    feed: Feed<T>,
    /// Results that came before their turn.
    early: BTreeMap<usize, Outcome<T>>,
    next: usize,
}

impl<T: 'static> Imap<T> {
    #[track_caller]
    pub(super) fn new<I, F>(pool: Pool, items: I, f: F) -> Imap<T>
    where
        I: IntoIterator + 'static,
        I::Item: 'static,
        F: Fn(I::Item) -> T + 'static,
    {
        Imap { feed: Feed::start(pool, items, f), early: BTreeMap::new(), next: 0 }
    }
}

impl<T> Iterator for Imap<T> {
    type Item = T;

    #[track_caller]
    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(outcome) = self.early.remove(&self.next) {
                self.next += 1;
                return Some(outcome.unwrap_or_else(|error| error.rethrow()));
            }
            let (number, outcome) = self.feed.results.get().ok()?;
            self.early.insert(number, outcome);
        }
    }
}

impl<T> fmt::Debug for Imap<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Imap(next {}, {} early)", self.next, self.early.len())
    }
}

/// The results of [`Pool::imap_unordered`] and
/// [`ThreadPool::imap_unordered`](crate::threadpool::ThreadPool::imap_unordered), in the order in which they arrive.
///
/// If the function panicked for an item, `next` panics with the same payload when it comes to it, and the iteration can
/// be continued; if the input itself panicked, that comes last.
pub struct ImapUnordered<T> {
    feed: Feed<T>,
}

impl<T: 'static> ImapUnordered<T> {
    #[track_caller]
    pub(super) fn new<I, F>(pool: Pool, items: I, f: F) -> ImapUnordered<T>
    where
        I: IntoIterator + 'static,
        I::Item: 'static,
        F: Fn(I::Item) -> T + 'static,
    {
        ImapUnordered { feed: Feed::start(pool, items, f) }
    }
}

impl<T> Iterator for ImapUnordered<T> {
    type Item = T;

    #[track_caller]
    fn next(&mut self) -> Option<Self::Item> {
        let (_, outcome) = self.feed.results.get().ok()?;
        Some(outcome.unwrap_or_else(|error| error.rethrow()))
    }
}

impl<T> fmt::Debug for ImapUnordered<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ImapUnordered({} waiting to be taken)", self.feed.results.len())
    }
}
