//! What can be waited for together with others.

#![allow(
    private_interfaces,
    reason = "nobody outside can name the lists and deadlines, nor implement the sealed traits"
)]

use crate::event::{AsyncResult, Event};
use crate::greenlet::{Greenlet, Handle, ScopedGreenlet};
use crate::lock::{BoundedSemaphore, Semaphore};
use crate::queue::{Channel, JoinableQueue, LifoQueue, PriorityQueue, Queue, Source};
use crate::threadpool::Job;
use crate::waitlist::WaitList;

/// Something that becomes ready: the end of a greenlet or of a thread-pool job, a set event, a result that has arrived, a permit
/// that can be had, a queue that has an item or is closed, a channel in which somebody puts or that is closed; a descriptor that is
/// ready ([`Readiness`](crate::io::Readiness)), a child process that has ended, a signal that has come.
///
/// It can be implemented only here; see [`wait`](crate::wait()) and [`iwait`](crate::iwait).
///
/// # Examples
/// ```
/// use greenloop::{Waitable, event::Event, lock::Semaphore, spawn, wait_any};
///
/// let (event, semaphore, greenlet) = (Event::new(), Semaphore::new(0), spawn(|| ()));
/// let several: Vec<&dyn Waitable> = vec![&event, &semaphore, &greenlet];
/// assert_eq!(wait_any(&several), 2);
/// assert!(greenlet.is_ready() && !event.is_ready());
/// ```
pub trait Waitable: sealed::Listed {
    /// Is it ready now? **Switches**: no.
    fn is_ready(&self) -> bool;
}

pub(crate) mod sealed {
    use crate::waitlist::WaitList;

    pub trait Listed {
        fn waiters(&self) -> &WaitList;
    }
}

macro_rules! waitable {
    ($([$($generic:ident $(: $bound:ident)?)?] $type:ty, $ready:expr, $waiters:expr;)*) => {$(
        impl$(<$generic $(: $bound)?>)? sealed::Listed for $type {
            fn waiters(&self) -> &WaitList {
                $waiters(self)
            }
        }

        impl$(<$generic $(: $bound)?>)? Waitable for $type {
            fn is_ready(&self) -> bool {
                $ready(self)
            }
        }
    )*};
}

waitable! {
    [] Handle, Handle::is_finished, Handle::joiners;
    [T] Greenlet<T>, |g: &Greenlet<T>| g.is_finished(), Handle::joiners;
    [] Event, Event::is_set, Event::waiters;
    [T] AsyncResult<T>, AsyncResult::is_set, AsyncResult::waiters;
    [] Semaphore, |s: &Semaphore| s.available() > 0, Semaphore::waiters;
    [] BoundedSemaphore, |s: &BoundedSemaphore| s.available() > 0, BoundedSemaphore::waiters;
    [T] Queue<T>, Source::is_ready, Source::getters;
    [T] LifoQueue<T>, Source::is_ready, Source::getters;
    [T: Ord] PriorityQueue<T>, Source::is_ready, Source::getters;
    [T] JoinableQueue<T>, Source::is_ready, Source::getters;
    [T] Channel<T>, Source::is_ready, Source::getters;
    [T] Job<T>, Job::is_finished, Job::waiters;
}

impl<T> sealed::Listed for ScopedGreenlet<'_, T> {
    fn waiters(&self) -> &WaitList {
        self.joiners()
    }
}

impl<T> Waitable for ScopedGreenlet<'_, T> {
    fn is_ready(&self) -> bool {
        self.is_finished()
    }
}

/// So that a reference can stand where the object itself can, in a list of several for example.
impl<W: Waitable + ?Sized> sealed::Listed for &W {
    fn waiters(&self) -> &WaitList {
        (**self).waiters()
    }
}

impl<W: Waitable + ?Sized> Waitable for &W {
    fn is_ready(&self) -> bool {
        (**self).is_ready()
    }
}
