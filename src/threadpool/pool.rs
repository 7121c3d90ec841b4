//! The pool as its users see it.

use std::cell::OnceCell;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::borrow;
use super::job::{Done, Job, Slot};
use super::worker::{Errand, Workers};
use crate::error::{self, JoinError};
use crate::hub::Hub;
use crate::pool::{Imap, ImapUnordered, Pool};

/// Threads for calls that block or compute for long.
///
/// A greenlet that waits for such a call is parked; the others run on. Threads are started as jobs come, up to the limit;
/// idle ones end after 5 s. Clones are the same pool, also on other threads, whose hubs may share it; when the last is
/// dropped, its threads finish what is queued and end.
///
/// A job that waits for another job of the same pool can wait for ever when no thread is left for that one; only
/// [`apply`](Self::apply) knows the case and makes the call at once.
///
/// # Examples
/// ```
/// use greenloop::threadpool::ThreadPool;
///
/// let pool = ThreadPool::new(4);
/// let squares = pool.map(vec![1, 2, 3], |n| n * n);
/// assert_eq!(squares, [1, 4, 9]);
/// ```
#[derive(Clone)]
pub struct ThreadPool {
    owner: Arc<Owner>,
}

/// Closes the workers when the last handle is gone; they themselves hold only `Workers`.
struct Owner(Arc<Workers>);

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// gevent's default.
const DEFAULT_SIZE: usize = 10;

/// The default pool of this thread's hub, with at most 10 threads. Name lookups run there, too. It is
/// [`hub::threadpool`](crate::hub::threadpool()) as well.
///
/// # Examples
/// ```
/// let data = vec![1_u64, 2, 3];
/// let sum = greenloop::threadpool().apply(|| data.iter().sum::<u64>()); // borrows `data`
/// assert_eq!(sum, 6);
/// ```
pub fn threadpool() -> ThreadPool {
    thread_local! {
        static DEFAULT: OnceCell<ThreadPool> = const { OnceCell::new() };
    }
    // While the thread's thread-locals are destroyed there is no shared pool any more, but one can still be made.
    DEFAULT
        .try_with(|pool| pool.get_or_init(|| ThreadPool::new(DEFAULT_SIZE)).clone())
        .unwrap_or_else(|_| ThreadPool::new(DEFAULT_SIZE))
}

impl ThreadPool {
    /// A pool of at most `limit` threads. None is started before the first job. With a limit of 0 jobs wait until it is
    /// [raised](Self::set_limit).
    ///
    /// # Examples
    /// ```
    /// use greenloop::threadpool::ThreadPool;
    ///
    /// let pool = ThreadPool::new(2);
    /// assert_eq!((pool.size(), pool.limit()), (0, 2)); // none is started yet
    /// assert_eq!(pool.apply(|| 6 * 7), 42);
    /// assert_eq!(pool.size(), 1);
    /// ```
    pub fn new(limit: usize) -> ThreadPool {
        ThreadPool { owner: Arc::new(Owner(Workers::new(limit))) }
    }

    /// How many threads it may have.
    ///
    /// # Examples
    /// ```
    /// let pool = greenloop::threadpool::ThreadPool::new(2);
    /// assert_eq!(pool.limit(), 2);
    /// pool.set_limit(5);
    /// assert_eq!(pool.limit(), 5);
    /// ```
    pub fn limit(&self) -> usize {
        self.workers().limit()
    }

    /// Sets how many threads it may have. If there are more, they end as their jobs do; if jobs are waiting, threads are
    /// started for them. With 0, jobs wait; a greenlet that waits for one of them waits as if it ran.
    ///
    /// **Switches**: no.
    ///
    /// # Panics
    /// If jobs are waiting, the pool has no thread, and the system refuses to start one.
    ///
    /// # Examples
    /// ```
    /// use greenloop::threadpool::ThreadPool;
    ///
    /// let pool = ThreadPool::new(0);
    /// let job = pool.spawn(|| "at last");
    /// pool.set_limit(1);
    /// assert_eq!(job.join().unwrap(), "at last");
    /// ```
    #[track_caller]
    pub fn set_limit(&self, limit: usize) {
        or_panic(self.workers().set_limit(limit));
    }

    /// Sets how long a thread may be idle before it ends; 5 s at first. `Duration::MAX` is for ever.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{sleep, threadpool::ThreadPool};
    /// use std::time::Duration;
    ///
    /// let pool = ThreadPool::new(1);
    /// pool.set_idle_timeout(Duration::ZERO);
    /// pool.apply(|| ());
    /// while pool.size() > 0 {
    ///     sleep(Duration::from_millis(1)); // its thread ends at once
    /// }
    /// assert_eq!(pool.apply(|| "another"), "another");
    /// ```
    pub fn set_idle_timeout(&self, timeout: Duration) {
        self.workers().set_idle_timeout(timeout);
    }

    /// How many threads it has.
    ///
    /// # Examples
    /// ```
    /// let pool = greenloop::threadpool::ThreadPool::new(2);
    /// assert_eq!(pool.size(), 0);
    /// pool.apply(|| ());
    /// assert_eq!(pool.size(), 1); // it stays for a while
    /// pool.kill();
    /// assert_eq!(pool.size(), 0);
    /// ```
    pub fn size(&self) -> usize {
        self.workers().threads()
    }

    /// How many jobs are queued or running.
    ///
    /// # Examples
    /// ```
    /// let pool = greenloop::threadpool::ThreadPool::new(0);
    /// let jobs = [1, 2].map(|n| pool.spawn(move || n));
    /// assert_eq!(pool.len(), 2); // queued
    /// pool.set_limit(1);
    /// pool.join();
    /// assert_eq!(pool.len(), 0);
    /// # drop(jobs);
    /// ```
    pub fn len(&self) -> usize {
        self.workers().jobs()
    }

    /// Is no job queued or running?
    ///
    /// # Examples
    /// ```
    /// let pool = greenloop::threadpool::ThreadPool::new(0);
    /// assert!(pool.is_empty());
    /// let job = pool.spawn(|| ()); // no thread may run it
    /// assert!(!pool.is_empty());
    /// pool.kill();
    /// assert!(pool.is_empty() && job.join().is_err());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn workers(&self) -> &Arc<Workers> {
        &self.owner.0
    }

    /// Queues a call and returns at once.
    ///
    /// **Switches**: no.
    ///
    /// # Panics
    /// If the pool has no thread and the system refuses to start one.
    ///
    /// # Examples
    /// ```
    /// let job = greenloop::threadpool().spawn(|| std::fs::read_dir("/").unwrap().count());
    /// assert!(job.join().unwrap() > 0);
    /// ```
    #[track_caller]
    pub fn spawn<F, T>(&self, f: F) -> Job<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        or_panic(self.try_spawn(f))
    }

    /// [`spawn`](Self::spawn) for callers who can tell of the failure.
    pub(crate) fn try_spawn<F, T>(&self, f: F) -> io::Result<Job<T>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let (done, (slot, fill)) = (Done::new(), Slot::new());
        let completion = Hub::current().expect(done.clone());
        self.workers().submit(Errand { work: Box::new(move || fill.fill(f)), completion })?;
        Ok(Job { done, slot })
    }

    /// Runs a call on a thread of the pool and parks the greenlet until it has ended. It may borrow: the greenlet stays
    /// where it is, a kill or a timeout that comes meanwhile is delivered afterwards.
    ///
    /// From a thread of the same pool the call runs at once on the calling thread.
    ///
    /// **Switches**: yes.
    ///
    /// **While unwinding** it runs `f` itself, on the calling thread.
    ///
    /// # Panics
    /// If `f` does, with the same payload. If the pool is killed before it comes to the call. If the pool has no thread and
    /// the system refuses to start one.
    ///
    /// # Examples
    /// ```
    /// let text = String::from("borrowed");
    /// assert_eq!(greenloop::threadpool().apply(|| text.len()), 8);
    /// ```
    #[track_caller]
    pub fn apply<F, T>(&self, f: F) -> T
    where
        F: FnOnce() -> T + Send,
        T: Send,
    {
        or_panic(self.try_apply(f))
    }

    /// [`apply`](Self::apply) for callers who can tell of the failure.
    #[track_caller]
    pub(crate) fn try_apply<F, T>(&self, f: F) -> io::Result<T>
    where
        F: FnOnce() -> T + Send,
        T: Send,
    {
        if std::thread::panicking() || self.workers().is_own_worker() {
            return Ok(f());
        }
        borrow::call(self.workers(), f)
    }

    /// Runs `f` over all items on the threads of the pool and gives the results in the order of the input.
    ///
    /// **Switches**: yes.
    ///
    /// **While unwinding** it runs `f` itself, on the calling thread, for one item after the other.
    ///
    /// # Panics
    /// If the iterator of the input does, or `f` for one of the items, with the same payload: the first in the order of the
    /// input. If the pool has no thread and the system refuses to start one.
    ///
    /// # Examples
    /// ```
    /// use greenloop::threadpool::ThreadPool;
    /// assert_eq!(ThreadPool::new(2).map(1..=4_u64, |n| n * n), [1, 4, 9, 16]);
    /// ```
    #[track_caller]
    pub fn map<I, F, T>(&self, items: I, f: F) -> Vec<T>
    where
        I: IntoIterator,
        I::Item: Send + 'static,
        F: Fn(I::Item) -> T + Send + Sync + 'static,
        T: Send + 'static,
    {
        if std::thread::panicking() {
            return items.into_iter().map(f).collect();
        }
        let f = Arc::new(f);
        let mut jobs = Vec::new();
        for item in items {
            let f = f.clone();
            jobs.push(self.spawn(move || f(item)));
        }
        let results: Result<Vec<T>, JoinError> = jobs.into_iter().map(Job::join).collect();
        error::value_of(results)
    }

    /// Like [`map`](Self::map), but lazy: gives each result when it and all before it have arrived. As many items are taken
    /// at a time as the pool has threads by its limit now, from now on; dropping the iterator ends that, but calls that
    /// have begun go on.
    ///
    /// **Switches**: `next` does, unless its result is there. Making it does not.
    ///
    /// **While unwinding** `next` ends the iteration instead of waiting.
    ///
    /// # Examples
    /// ```
    /// use greenloop::threadpool::ThreadPool;
    /// let doubled: Vec<_> = ThreadPool::new(2).imap([1, 2, 3], |n| n * 2).collect();
    /// assert_eq!(doubled, [2, 4, 6]);
    /// ```
    #[track_caller]
    pub fn imap<I, F, T>(&self, items: I, f: F) -> Imap<T>
    where
        I: IntoIterator + 'static,
        I::Item: Send + 'static,
        F: Fn(I::Item) -> T + Send + Sync + 'static,
        T: Send + 'static,
    {
        self.askers().imap(items, self.asking(f))
    }

    /// Like [`imap`](Self::imap), but gives each result as soon as it has arrived.
    ///
    /// **Switches**: `next` does, unless a result is there. Making it does not.
    ///
    /// **While unwinding** `next` ends the iteration instead of waiting.
    ///
    /// # Examples
    /// ```
    /// use greenloop::threadpool::ThreadPool;
    ///
    /// let lengths = ThreadPool::new(2).imap_unordered(["one", "three"], str::len);
    /// let mut found: Vec<_> = lengths.collect(); // as the threads have them
    /// found.sort();
    /// assert_eq!(found, [3, 5]);
    /// ```
    #[track_caller]
    pub fn imap_unordered<I, F, T>(&self, items: I, f: F) -> ImapUnordered<T>
    where
        I: IntoIterator + 'static,
        I::Item: Send + 'static,
        F: Fn(I::Item) -> T + Send + Sync + 'static,
        T: Send + 'static,
    {
        self.askers().imap_unordered(items, self.asking(f))
    }

    /// Greenlets that each wait for one job: with them the lazy maps are those of [`Pool`].
    fn askers(&self) -> Pool {
        Pool::new(self.limit().max(1))
    }

    fn asking<I, F, T>(&self, f: F) -> impl Fn(I) -> T + 'static
    where
        I: Send + 'static,
        F: Fn(I) -> T + Send + Sync + 'static,
        T: Send + 'static,
    {
        let (pool, f) = (self.clone(), Arc::new(f));
        move |item| {
            let f = f.clone();
            error::value_of(pool.spawn(move || f(item)).join())
        }
    }

    /// Waits until no job is queued or running. New ones may have come when the caller runs. From a thread of the pool itself,
    /// whose own job runs, it does not wait.
    ///
    /// **Switches**: unless the pool is idle.
    ///
    /// **While unwinding** it returns at once, on a thread with a hub.
    ///
    /// # Examples
    /// ```
    /// use greenloop::threadpool::ThreadPool;
    /// use std::sync::{Arc, atomic::{AtomicU32, Ordering}};
    ///
    /// let (pool, count) = (ThreadPool::new(2), Arc::new(AtomicU32::new(0)));
    /// for _ in 0..5 {
    ///     let count = count.clone();
    ///     pool.spawn(move || count.fetch_add(1, Ordering::Relaxed));
    /// }
    /// pool.join();
    /// assert_eq!(count.load(Ordering::Relaxed), 5);
    /// ```
    #[track_caller]
    pub fn join(&self) {
        if !self.workers().is_own_worker() {
            self.workers().join(None);
        }
    }

    /// [`join`](Self::join), at most for [`timeout`](crate#time-limits); says whether the pool became idle.
    ///
    /// **Switches**: unless the pool is idle.
    ///
    /// **While unwinding** it returns `false` at once, on a thread with a hub.
    ///
    /// # Examples
    /// ```
    /// use greenloop::threadpool::ThreadPool;
    /// use std::time::Duration;
    ///
    /// let pool = ThreadPool::new(0);
    /// let job = pool.spawn(|| "done");
    /// assert!(!pool.join_timeout(Duration::from_millis(1))); // no thread may run it
    /// pool.set_limit(1);
    /// assert!(pool.join_timeout(Duration::from_secs(60)));
    /// assert_eq!(job.join().unwrap(), "done");
    /// ```
    #[track_caller]
    pub fn join_timeout(&self, timeout: Duration) -> bool {
        !self.workers().is_own_worker() && self.workers().join(Some(timeout))
    }

    /// Throws away what is queued and waits until what runs has ended, as a thread cannot be killed, and the threads with
    /// it. Jobs that were thrown away say that they were killed. Afterwards the pool can be used again. From a thread of the
    /// pool itself, whose own job runs, it does not wait.
    ///
    /// **Switches**: unless the pool has no threads.
    ///
    /// **While unwinding** it throws away what is queued and returns at once, on a thread with a hub.
    ///
    /// # Examples
    /// ```
    /// use greenloop::threadpool::ThreadPool;
    ///
    /// let pool = ThreadPool::new(0);
    /// let job = pool.spawn(|| ());
    /// pool.kill();
    /// assert!(job.join().unwrap_err().is_killed());
    /// ```
    #[track_caller]
    pub fn kill(&self) {
        self.workers().dismiss();
        if !self.workers().is_own_worker() {
            self.workers().wait_until_dismissed(None);
        }
    }

    /// [`kill`](Self::kill), waiting at most for [`timeout`](crate#time-limits); says whether the threads have ended.
    ///
    /// **Switches**: unless the pool has no threads.
    ///
    /// **While unwinding** it throws away what is queued and returns `false` at once, on a thread with a hub.
    ///
    /// # Examples
    /// ```
    /// use greenloop::threadpool::ThreadPool;
    /// use std::time::Duration;
    ///
    /// let pool = ThreadPool::new(1);
    /// (0..3).for_each(|_| drop(pool.spawn(|| std::thread::sleep(Duration::from_millis(20)))));
    /// assert!(pool.kill_timeout(Duration::from_secs(60))); // two have never run
    /// ```
    #[track_caller]
    pub fn kill_timeout(&self, timeout: Duration) -> bool {
        self.workers().dismiss();
        !self.workers().is_own_worker() && self.workers().wait_until_dismissed(Some(timeout))
    }
}

#[track_caller]
fn or_panic<T>(done: io::Result<T>) -> T {
    done.unwrap_or_else(|error| panic!("{error}"))
}

impl fmt::Debug for ThreadPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ThreadPool({} of {} threads)", self.size(), self.limit())
    }
}
