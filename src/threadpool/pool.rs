//! The pool as its users see it.

use std::cell::OnceCell;
use std::fmt;
use std::io;
use std::sync::Arc;

use super::borrow;
use super::job::{Done, Job, Slot};
use super::worker::{Errand, Workers};
use crate::error::JoinError;
use crate::hub::Hub;

/// Threads for calls that block or compute for long.
///
/// A greenlet that waits for such a call is parked; the others run on. Threads are started as jobs come, up to the limit;
/// idle ones end after 5 s. Clones are the same pool; when the last is dropped, its threads finish what is queued and end.
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

/// The default pool of this thread's hub, with at most 10 threads. Name lookups run there, too.
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
    /// A pool of at most `limit` threads. None is started before the first job.
    ///
    /// # Panics
    /// If `limit` is 0: no job would ever run.
    #[track_caller]
    pub fn new(limit: usize) -> ThreadPool {
        assert!(limit > 0, "a thread pool of 0 threads could never run a job; allow at least 1");
        ThreadPool { owner: Arc::new(Owner(Workers::new(limit))) }
    }

    /// How many threads it may have.
    pub fn limit(&self) -> usize {
        self.workers().limit()
    }

    /// How many threads it has.
    pub fn size(&self) -> usize {
        self.workers().threads()
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
        let (done, slot) = (Done::new(), Slot::new());
        let fill = slot.clone();
        let completion = Hub::current().expect(done.clone());
        let submitted = self.workers().submit(Errand { work: Box::new(move || fill.fill(f)), completion });
        submitted.unwrap_or_else(|error| no_thread(error));
        Job { done, slot }
    }

    /// Runs a call on a thread of the pool and parks the greenlet until it has ended. It may borrow: the greenlet stays
    /// where it is, a kill or a timeout that comes meanwhile is delivered afterwards.
    ///
    /// From a thread of the same pool, and in a destructor run by a panic or a kill, which does not wait, the call runs
    /// at once on the calling thread.
    ///
    /// **Switches**: yes.
    ///
    /// # Panics
    /// If `f` does, with the same payload. If the pool has no thread and the system refuses to start one.
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
        if std::thread::panicking() || self.workers().is_own_worker() {
            return f();
        }
        borrow::call(self.workers(), f).unwrap_or_else(|error| no_thread(error))
    }

    /// Runs `f` over all items on the threads of the pool and gives the results in the order of the input.
    ///
    /// **Switches**: yes.
    ///
    /// # Panics
    /// If the iterator of the input does, or `f` for one of the items, with the same payload: the first in the order of the
    /// input. If the pool has no thread and the system refuses to start one.
    #[track_caller]
    pub fn map<I, F, T>(&self, items: I, f: F) -> Vec<T>
    where
        I: IntoIterator,
        I::Item: Send + 'static,
        F: Fn(I::Item) -> T + Send + Sync + 'static,
        T: Send + 'static,
    {
        let f = Arc::new(f);
        let mut jobs = Vec::new();
        for item in items {
            let f = f.clone();
            jobs.push(self.spawn(move || f(item)));
        }
        let results: Result<Vec<T>, JoinError> = jobs.into_iter().map(Job::join).collect();
        results.unwrap_or_else(|error| error.rethrow())
    }
}

#[track_caller]
fn no_thread(error: io::Error) -> ! {
    panic!("the thread pool cannot start its first thread: {error}")
}

impl fmt::Debug for ThreadPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ThreadPool({} of {} threads)", self.size(), self.limit())
    }
}
