//! A counter of permits that knows how many there are.

use std::fmt;
use std::ops::Deref;

use super::Semaphore;
use crate::waitlist::WaitList;

/// A [`Semaphore`] that notices when it is released more often than it was acquired.
///
/// Everything else is on [`Semaphore`], to which this dereferences. It is a handle: clones are the same semaphore.
///
/// # Examples
/// ```
/// use greenloop::{join_all, lock::BoundedSemaphore, sleep, spawn};
/// use std::time::Duration;
///
/// let slots = BoundedSemaphore::new(3);
/// join_all((0..10).map(|_| {
///     let slots = slots.clone();
///     spawn(move || {
///         let _slot = slots.acquire_permit();
///         sleep(Duration::from_millis(1)); // never more than three are here
///     })
/// }));
/// assert_eq!(slots.available(), 3);
/// ```
///
/// ```should_panic
/// greenloop::lock::BoundedSemaphore::new(3).release(); // nobody has acquired
/// ```
#[derive(Clone)]
pub struct BoundedSemaphore {
    semaphore: Semaphore,
}

impl BoundedSemaphore {
    /// A semaphore with so many permits, and never more.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{lock::BoundedSemaphore, spawn};
    ///
    /// let slots = BoundedSemaphore::new(2);
    /// let slot = slots.acquire_permit();
    /// assert_eq!(slots.available(), 1);
    /// drop(slot);
    /// let careless = spawn(move || slots.release()); // that would make three
    /// assert!(careless.join().unwrap_err().to_string().contains("each release must follow an acquire of its own"));
    /// ```
    pub fn new(permits: usize) -> BoundedSemaphore {
        BoundedSemaphore { semaphore: Semaphore::with_limit(permits, permits) }
    }

    pub(crate) fn waiters(&self) -> &WaitList {
        self.semaphore.waiters()
    }
}

impl Deref for BoundedSemaphore {
    type Target = Semaphore;

    fn deref(&self) -> &Semaphore {
        &self.semaphore
    }
}

impl fmt::Debug for BoundedSemaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.semaphore.fmt(f)
    }
}
