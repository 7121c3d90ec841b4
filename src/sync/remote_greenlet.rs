//! The outcome of a greenlet, for other threads.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use super::block;
use super::line::{Line, Wait};
use crate::error::JoinError;
use crate::hub::{Outside, Reason};

enum Outcome<T> {
    Open,
    Known(Result<T, JoinError>),
    Taken,
}

struct Shared<T> {
    outcome: Mutex<Outcome<T>>,
    line: Arc<Line>,
}

impl<T> Shared<T> {
    /// No foreign code runs under the lock.
    fn lock(&self) -> MutexGuard<'_, Outcome<T>> {
        self.outcome.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_known(&self) -> bool {
        !matches!(*self.lock(), Outcome::Open)
    }

    fn take(&self) -> Option<Result<T, JoinError>> {
        let mut outcome = self.lock();
        match std::mem::replace(&mut *outcome, Outcome::Taken) {
            Outcome::Known(known) => Some(known),
            other => {
                *outcome = other;
                None
            }
        }
    }
}

/// A greenlet that a [`Remote`](super::Remote) has spawned on another thread's hub, seen from wherever this is.
///
/// It is also a `Future`, for any executor. Dropping it detaches the greenlet: it runs on.
///
/// If the thread ends before the greenlet, the outcome is as if it had been killed.
///
/// # Examples
/// ```
/// use greenloop::{sleep, sync::remote};
/// use std::time::Duration;
///
/// let here = remote();
/// let thread = std::thread::spawn(move || {
///     let greenlet = here.spawn(|| { sleep(Duration::from_millis(1)); 6 * 7 }).unwrap();
///     greenlet.join() // blocks that thread; a greenlet would be parked
/// });
/// greenloop::wait_all(); // until the remote is gone, and the greenlet has ended
/// assert_eq!(thread.join().unwrap().unwrap(), 42);
/// ```
#[must_use = "dropping it detaches the greenlet; its outcome is lost"]
pub struct RemoteGreenlet<T> {
    shared: Arc<Shared<T>>,
    wait: Wait,
}

impl<T> RemoteGreenlet<T> {
    /// Waits until the greenlet has ended and gives its value.
    ///
    /// **Switches**: unless it has ended.
    ///
    /// **While unwinding** it gives an error at once, on a thread with a hub.
    ///
    /// # Errors
    /// That it was killed, or has vanished with its thread, or that it panicked. While unwinding, that it still runs.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{hub, spawn, sync::channel};
    ///
    /// let (sender, receiver) = channel(1);
    /// let worker = std::thread::spawn(move || { sender.send(hub::remote()).unwrap(); drop(sender); greenloop::wait_all() });
    /// let there = receiver.recv().unwrap();
    /// let (sum, bad) = (there.spawn(|| 1 + 2).unwrap(), there.spawn(|| -> u8 { panic!("boom") }).unwrap());
    /// assert_eq!(sum.join().unwrap(), 3);
    /// assert!(bad.join().unwrap_err().is_panic());
    /// drop(there); // lets the worker end
    /// worker.join().unwrap();
    /// ```
    #[track_caller]
    pub fn join(self) -> Result<T, JoinError> {
        self.wait();
        self.shared.take().unwrap_or_else(|| Err(JoinError::refused()))
    }

    /// Waits until the greenlet has ended. **Switches**: unless it has.
    ///
    /// **While unwinding** it returns at once, on a thread with a hub.
    ///
    /// # Examples
    /// ```
    /// use greenloop::hub::remote;
    ///
    /// let g = remote().spawn(|| 6 * 7).unwrap(); // its own hub will do
    /// g.wait();
    /// assert!(g.is_finished());
    /// assert_eq!(g.join().unwrap(), 42);
    /// ```
    #[track_caller]
    pub fn wait(&self) {
        self.wait_until(None);
    }

    /// Waits until the greenlet has ended, at most for [`timeout`](crate#time-limits), and says whether it has. **Switches**: unless it has.
    ///
    /// **While unwinding** it returns `false` at once, on a thread with a hub.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{event::Event, hub::remote, sleep};
    /// use std::time::Duration;
    ///
    /// let g = remote().spawn(|| sleep(Duration::from_millis(5))).unwrap();
    /// assert!(g.wait_timeout(Duration::from_secs(60)));
    /// let stuck = remote().spawn(|| Event::new().wait()).unwrap();
    /// assert!(!stuck.wait_timeout(Duration::from_millis(1)));
    /// ```
    #[track_caller]
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        self.wait_until(Some(timeout))
    }

    #[track_caller]
    fn wait_until(&self, timeout: Option<Duration>) -> bool {
        let ended = || self.is_finished().then_some(());
        block::wait(&self.shared.line, Reason::plain(&"a greenlet of another thread"), timeout, ended)
            .is_some()
    }

    /// Has it ended, in whatever way?
    ///
    /// # Examples
    /// ```
    /// use greenloop::hub::remote;
    ///
    /// let g = remote().spawn(|| ()).unwrap();
    /// assert!(!g.is_finished()); // its turn has not come
    /// greenloop::wait_all();
    /// assert!(g.is_finished());
    /// ```
    pub fn is_finished(&self) -> bool {
        self.shared.is_known()
    }
}

impl<T> Future for RemoteGreenlet<T> {
    type Output = Result<T, JoinError>;

    /// # Panics
    /// If it is polled again after it has given its outcome.
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let RemoteGreenlet { shared, wait } = &mut *self;
        let ended = wait.poll(context.waker(), || shared.is_known().then_some(()));
        ended.map(|()| match shared.take() {
            Some(outcome) => outcome,
            None => panic!("a RemoteGreenlet was polled after it has given its outcome"),
        })
    }
}

impl<T> fmt::Debug for RemoteGreenlet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_finished() { "RemoteGreenlet(finished)" } else { "RemoteGreenlet(running)" })
    }
}

/// Owes an outcome; dropped without one, it says that the greenlet was killed.
pub(super) struct Promise<T> {
    shared: Arc<Shared<T>>,
}

/// A promise and who waits for it.
pub(super) fn promise<T>() -> (Promise<T>, RemoteGreenlet<T>) {
    let shared = Arc::new(Shared { outcome: Mutex::new(Outcome::Open), line: Line::new() });
    let greenlet = RemoteGreenlet { wait: Wait::new(&shared.line), shared: shared.clone() };
    (Promise { shared }, greenlet)
}

impl<T> Promise<T> {
    /// Says what has come of it. Only the first word counts.
    pub(super) fn keep(&self, known: Result<T, JoinError>) {
        let mut outcome = self.shared.lock();
        if !matches!(*outcome, Outcome::Open) {
            return;
        }
        *outcome = Outcome::Known(known);
        drop(outcome);
        self.shared.line.wake_all();
    }

    /// To be told of the end of the thread, when the promise itself is forgotten.
    pub(super) fn heir(&self) -> Heir<T> {
        Heir(Promise { shared: self.shared.clone() })
    }
}

impl<T> Drop for Promise<T> {
    fn drop(&mut self) {
        self.keep(Err(JoinError::killed()));
    }
}

/// See [`Promise::heir`].
pub(super) struct Heir<T>(Promise<T>);

impl<T> Outside for Heir<T> {
    fn abandoned(&self) {
        self.0.keep(Err(JoinError::killed()));
    }

    fn is_idle(&self) -> bool {
        true
    }
}
