//! Waiting for all, for some or for one of several unlike things.

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use super::Waitable;
use crate::hub::{Object, Reason};
use crate::park::{self, Deadline, Enrolled, Woken};
use crate::waitlist::{Place, Watch};

/// Waits until all of them were ready and gives their numbers in the order in which they became so.
///
/// Nothing is taken: an item stays in its queue, a permit with its semaphore.
///
/// **Switches**: unless all are ready.
///
/// **While unwinding** it gives at once those that are ready.
///
/// # Panics
/// On a thread's root with [`LoopExit`](crate::LoopExit) if nothing is left that could ever make the rest ready.
///
/// # Examples
/// ```
/// use greenloop::{event::Event, sleep, spawn, wait};
/// use std::time::Duration;
///
/// let event = Event::new();
/// let slow = spawn(|| sleep(Duration::from_millis(20)));
/// let fast = spawn({ let event = event.clone(); move || event.set() });
/// assert_eq!(wait(&[&slow, &fast, &event]), [2, 1, 0]);
/// ```
#[track_caller]
pub fn wait(objects: &[&dyn Waitable]) -> Vec<usize> {
    all_of(iwait(objects))
}

/// `collect`, but for the place that stands in reports: it would be one inside the standard library.
#[track_caller]
fn all_of(coming: Iwait<'_>) -> Vec<usize> {
    let mut ready = Vec::with_capacity(coming.left);
    for number in coming {
        ready.push(number);
    }
    ready
}

/// [`wait`], at most for [`timeout`](crate#time-limits): gives those that were ready in time.
///
/// **Switches**: unless all are ready.
///
/// **While unwinding** it gives at once those that are ready.
///
/// # Panics
/// On a thread's root with [`LoopExit`](crate::LoopExit) if the time is beyond the reach of the clock and nothing is left
/// that could ever make the rest ready.
///
/// # Examples
/// ```
/// use greenloop::{event::Event, wait_timeout};
/// use std::time::Duration;
///
/// let (set, never) = (Event::new(), Event::new());
/// set.set();
/// assert_eq!(wait_timeout(&[&never, &set], Duration::from_millis(1)), [1]);
/// ```
#[track_caller]
pub fn wait_timeout(objects: &[&dyn Waitable], timeout: Duration) -> Vec<usize> {
    all_of(iwait(objects).timeout(timeout))
}

/// Waits until one of them is ready and gives its number. `iwait(..).take(n)` does so for `n` of them.
///
/// **Switches**: unless one is ready.
///
/// **While unwinding** it panics if none is ready: use [`wait_any_timeout`] there.
///
/// # Panics
/// If there are none. On a thread's root with [`LoopExit`](crate::LoopExit) if nothing is left that could ever make one
/// ready. While unwinding, if none is ready.
///
/// # Examples
/// ```
/// use greenloop::{event::Event, queue::Queue, wait_any};
///
/// let (never, queue) = (Event::new(), Queue::unbounded());
/// queue.put("item").unwrap();
/// assert_eq!(wait_any(&[&never, &queue]), 1);
/// ```
#[track_caller]
pub fn wait_any(objects: &[&dyn Waitable]) -> usize {
    match iwait(objects).next() {
        Some(number) => number,
        None => panic!(
            "wait_any has nothing to wait for, or would have to wait in a destructor run by a panic or a kill: use \
             wait_any_timeout there"
        ),
    }
}

/// [`wait_any`], at most for [`timeout`](crate#time-limits); `None` if none was ready in time.
///
/// **Switches**: unless one is ready.
///
/// **While unwinding** it returns `None` at once.
///
/// # Panics
/// On a thread's root with [`LoopExit`](crate::LoopExit) if the time is beyond the reach of the clock and nothing is left
/// that could ever make one ready.
///
/// # Examples
/// ```
/// use greenloop::{event::Event, wait_any_timeout};
/// use std::time::Duration;
///
/// assert_eq!(wait_any_timeout(&[&Event::new()], Duration::from_millis(1)), None);
/// ```
#[track_caller]
pub fn wait_any_timeout(objects: &[&dyn Waitable], timeout: Duration) -> Option<usize> {
    iwait(objects).timeout(timeout).next()
}

/// An iterator over their numbers as they become ready, each once.
///
/// It watches from the beginning, so what becomes ready between two calls of `next` comes in its order, too. Dropping it ends
/// the watch.
///
/// **Switches**: `next` does, unless one is ready.
///
/// **While unwinding** `next` ends the iteration instead of waiting.
///
/// # Examples
/// ```
/// use greenloop::{iwait, sleep, spawn};
/// use std::time::Duration;
///
/// let sleepers = [30, 10, 20].map(|ms| spawn(move || sleep(Duration::from_millis(ms))));
/// let order: Vec<_> = iwait(&[&sleepers[0], &sleepers[1], &sleepers[2]]).take(2).collect();
/// assert_eq!(order, [1, 2]);
/// ```
pub fn iwait<'a>(objects: &[&'a dyn Waitable]) -> Iwait<'a> {
    let watch = Watch::new(false);
    let mut enrolled = Vec::with_capacity(objects.len());
    for (number, object) in objects.iter().enumerate() {
        // A slice of references is copied, so that the iterator borrows only the objects.
        let object: &'a dyn Waitable = *object;
        match object.is_ready() {
            true => watch.note(number),
            false => {
                enrolled.push(Enrolled::watching(object.waiters(), &watch, number, &mut Place::default()))
            }
        }
    }
    Iwait { watch, left: objects.len(), deadline: Deadline::NEVER, _enrolled: enrolled }
}

/// See [`iwait`].
///
/// # Examples
/// ```
/// use greenloop::{event::Event, iwait, spawn};
///
/// let (never, event) = (Event::new(), Event::new());
/// let mut coming = iwait(&[&never, &event]);
/// spawn({ let event = event.clone(); move || event.set() });
/// assert_eq!(coming.next(), Some(1));
/// assert_eq!(coming.size_hint().1, Some(1)); // `never` is left
/// ```
#[must_use = "an iterator waits when it is asked for its next item"]
pub struct Iwait<'a> {
    watch: Rc<Watch>,
    left: usize,
    deadline: Deadline,
    _enrolled: Vec<Enrolled<'a>>,
}

impl Iwait<'_> {
    /// Ends the iteration after this time, counted from now.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{event::Event, iwait};
    /// use std::time::Duration;
    ///
    /// let (set, never) = (Event::new(), Event::new());
    /// set.set();
    /// let ready: Vec<_> = iwait(&[&set, &never]).timeout(Duration::from_millis(1)).collect();
    /// assert_eq!(ready, [0]);
    /// ```
    pub fn timeout(self, timeout: Duration) -> Self {
        Iwait { deadline: Deadline::after(Some(timeout)), ..self }
    }
}

impl Iterator for Iwait<'_> {
    type Item = usize;

    #[track_caller]
    fn next(&mut self) -> Option<usize> {
        while self.left > 0 {
            if let Some(number) = self.watch.next_call() {
                self.left -= 1;
                return Some(number);
            }
            let reason = Reason::of(&"several things, left", Object::Count(self.left));
            if park::wait_for_call(&self.watch, reason, self.deadline) != Woken::Notified {
                // One more look, as something may have come in the same turn.
                let number = self.watch.next_call()?;
                self.left -= 1;
                return Some(number);
            }
        }
        None
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (0, Some(self.left))
    }
}

impl fmt::Debug for Iwait<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Iwait({} left)", self.left)
    }
}
