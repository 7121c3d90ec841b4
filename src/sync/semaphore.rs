//! A counter of permits that any thread can take and give.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::block;
use super::line::Line;
use crate::hub::Reason;

/// A counter of permits: `acquire` takes one and waits while there is none, `release` gives one.
///
/// It is [`lock::Semaphore`](crate::lock::Semaphore) across threads: a permit belongs to nobody, any thread may release, also
/// beyond the initial count. Whoever runs may take a permit before one that was woken for it and has not run yet, which then keeps its
/// place in front. Clones are the same semaphore.
///
/// # Examples
/// ```
/// use greenloop::sync::Semaphore;
///
/// let permits = Semaphore::new(0);
/// let thread = std::thread::spawn({ let permits = permits.clone(); move || permits.release() });
/// assert!(permits.acquire()); // parks this greenlet only
/// thread.join().unwrap();
/// ```
#[derive(Clone)]
pub struct Semaphore {
    inner: Arc<Inner>,
}

struct Inner {
    permits: AtomicUsize,
    line: Arc<Line>,
}

impl Semaphore {
    /// A semaphore with so many permits.
    ///
    /// # Examples
    /// ```
    /// use greenloop::sync::Semaphore;
    ///
    /// let permits = Semaphore::new(2);
    /// let taken = std::thread::spawn({ let permits = permits.clone(); move || permits.try_acquire() });
    /// assert!(taken.join().unwrap());
    /// assert_eq!(permits.available(), 1); // clones are the same semaphore
    /// ```
    pub fn new(permits: usize) -> Semaphore {
        Semaphore { inner: Arc::new(Inner { permits: AtomicUsize::new(permits), line: Line::new() }) }
    }

    /// How many permits can be had now.
    ///
    /// # Examples
    /// ```
    /// let permits = greenloop::sync::Semaphore::new(2);
    /// permits.acquire();
    /// assert_eq!(permits.available(), 1);
    /// permits.release();
    /// assert_eq!(permits.available(), 2);
    /// ```
    pub fn available(&self) -> usize {
        self.inner.permits.load(Ordering::Acquire)
    }

    /// Takes a permit, waiting until there is one. True, except while unwinding.
    ///
    /// **Switches**: if there is no permit.
    ///
    /// **While unwinding** it returns `false` at once, on a thread with a hub.
    ///
    /// # Examples
    /// ```
    /// use greenloop::sync::Semaphore;
    ///
    /// let permits = Semaphore::new(0);
    /// let thread = std::thread::spawn({ let permits = permits.clone(); move || permits.release() });
    /// assert!(permits.acquire());
    /// thread.join().unwrap();
    /// ```
    #[track_caller]
    pub fn acquire(&self) -> bool {
        self.acquire_until(None)
    }

    /// Takes a permit, waiting for one at most for [`timeout`](crate#time-limits); says whether it got one.
    ///
    /// **Switches**: if there is no permit.
    ///
    /// **While unwinding** it returns `false` at once, on a thread with a hub.
    ///
    /// # Examples
    /// ```
    /// use greenloop::sync::Semaphore;
    /// use std::time::Duration;
    ///
    /// let permits = Semaphore::new(0);
    /// assert!(!permits.acquire_timeout(Duration::from_millis(1)));
    /// let thread = std::thread::spawn({ let permits = permits.clone(); move || permits.release() });
    /// assert!(permits.acquire_timeout(Duration::from_secs(60)));
    /// # thread.join().unwrap();
    /// ```
    #[track_caller]
    pub fn acquire_timeout(&self, timeout: Duration) -> bool {
        self.acquire_until(Some(timeout))
    }

    #[track_caller]
    fn acquire_until(&self, timeout: Option<Duration>) -> bool {
        let reason = Reason::plain(&"semaphore of any thread (acquire)");
        block::wait(&self.inner.line, reason, timeout, || self.try_acquire().then_some(())).is_some()
    }

    /// Takes a permit if there is one. **Switches**: no.
    ///
    /// # Examples
    /// ```
    /// let permits = greenloop::sync::Semaphore::new(1);
    /// assert!(permits.try_acquire());
    /// assert!(!permits.try_acquire());
    /// ```
    pub fn try_acquire(&self) -> bool {
        let one_less = |permits: usize| permits.checked_sub(1);
        self.inner.permits.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_less).is_ok()
    }

    /// Gives a permit and wakes the one that has waited longest, on whatever thread. **Switches**: no.
    ///
    /// # Panics
    /// If there are `usize::MAX` permits.
    ///
    /// # Examples
    /// ```
    /// use greenloop::sync::Semaphore;
    ///
    /// let done = Semaphore::new(0);
    /// let threads = [(); 3].map(|()| std::thread::spawn({ let done = done.clone(); move || done.release() }));
    /// assert!((0..3).all(|_| done.acquire())); // once for each
    /// assert_eq!(done.available(), 0);
    /// # threads.map(|thread| thread.join().unwrap());
    /// ```
    #[track_caller]
    pub fn release(&self) {
        let one_more = |permits: usize| permits.checked_add(1);
        let released = self.inner.permits.fetch_update(Ordering::AcqRel, Ordering::Acquire, one_more);
        assert!(released.is_ok(), "a semaphore can hold {} permits, and this one does", usize::MAX);
        self.inner.line.wake_one();
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Semaphore({} available, {} waiting)", self.available(), self.inner.line.len())
    }
}
