//! A permit as a value.

use std::fmt;

use super::Semaphore;

/// A permit of a [`Semaphore`] or a [`BoundedSemaphore`](super::BoundedSemaphore), given back when it is dropped, in whichever
/// greenlet.
///
/// # Panics
/// When it is dropped, if the permits of a `BoundedSemaphore` are all there, as somebody has released one too many. While a
/// panic or a kill unwinds there is no panic.
///
/// # Examples
/// ```
/// use greenloop::{lock::Semaphore, spawn};
///
/// let connections = Semaphore::new(100);
/// let permit = connections.acquire_permit();
/// let worker = spawn(move || {
///     let _permit = permit; // until the end of this greenlet, however it ends
/// });
/// assert_eq!(connections.available(), 99);
/// worker.join().unwrap();
/// assert_eq!(connections.available(), 100);
/// ```
#[must_use = "if it is not kept it is given back at once"]
pub struct Permit {
    /// None once it was forgotten.
    semaphore: Option<Semaphore>,
}

impl Permit {
    /// For a permit that was just acquired.
    pub(super) fn new(semaphore: Semaphore) -> Permit {
        Permit { semaphore: Some(semaphore) }
    }

    /// Keeps the permit from being given back: the semaphore has one less, until somebody calls
    /// [`release`](Semaphore::release). **Switches**: no.
    ///
    /// # Examples
    /// ```
    /// use greenloop::lock::Semaphore;
    ///
    /// let semaphore = Semaphore::new(1);
    /// semaphore.acquire_permit().unwrap().forget();
    /// assert_eq!(semaphore.available(), 0);
    /// semaphore.release(); // by hand
    /// assert_eq!(semaphore.available(), 1);
    /// ```
    pub fn forget(mut self) {
        self.semaphore = None;
    }
}

impl Drop for Permit {
    #[inline]
    #[track_caller]
    fn drop(&mut self) {
        let Some(semaphore) = &self.semaphore else { return };
        if !semaphore.give_back() && !std::thread::panicking() {
            semaphore.released_too_often();
        }
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Permit").field(&self.semaphore).finish()
    }
}
