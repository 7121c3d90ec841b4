//! Greenlets spawned from other threads.

use std::cell::Cell;
use std::fmt;
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;

use super::remote_greenlet::{Promise, RemoteGreenlet, promise};
use crate::error::JoinError;
use crate::greenlet::{self, Builder};
use crate::hub::{Completion, Hub, Outside};
use crate::unwind;

/// The hub of this thread, for other threads. It is [`hub::remote`](crate::hub::remote()) as well.
///
/// **Switches**: no.
///
/// # Examples
/// ```
/// use greenloop::hub::remote;
/// use std::{cell::Cell, rc::Rc};
///
/// thread_local! {
///     static SEEN: Rc<Cell<u32>> = Rc::default();
/// }
/// let here = remote();
/// let thread = std::thread::spawn(move || here.spawn(|| SEEN.with(|seen| seen.set(7))).map(drop));
/// greenloop::wait_all(); // until the remote is gone
/// assert_eq!(SEEN.with(|seen| seen.get()), 7);
/// thread.join().unwrap().unwrap();
/// ```
pub fn remote() -> Remote {
    struct Anybody;
    impl Outside for Anybody {
        fn is_idle(&self) -> bool {
            true
        }
    }
    Remote { completion: Arc::new(Hub::current().expect(Rc::new(Anybody))) }
}

/// A hub seen from other threads.
///
/// While one lives, its hub has something to wait for: the thread sleeps in the kernel instead of raising
/// [`LoopExit`](crate::LoopExit), and [`wait_all`](crate::wait_all) does not return. That ends when the last clone is dropped. So do
/// not keep one on its own thread.
///
/// # Examples
/// ```
/// use greenloop::{hub, wait_all};
///
/// let here = hub::remote();
/// let thread = std::thread::spawn(move || here.spawn(|| greenloop::current().id()).unwrap().join().unwrap());
/// wait_all();
/// assert!(thread.join().unwrap() > 0); // a greenlet of this thread has run it
/// ```
#[derive(Clone)]
pub struct Remote {
    completion: Arc<Completion>,
}

impl Remote {
    /// Spawns a greenlet on the hub. It starts when its turn comes there.
    ///
    /// The hub must come around for that: its thread has to block in a call of this crate, as it must for every greenlet.
    ///
    /// **Switches**: no.
    ///
    /// # Errors
    /// [`HubEnded`] if the hub's thread has ended; `f` is dropped. If it ends later, before the greenlet has, the
    /// [`RemoteGreenlet`] says that it was killed.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{hub, wait_all};
    /// use std::thread;
    ///
    /// let (here, home) = (hub::remote(), thread::current().id());
    /// let elsewhere = thread::spawn(move || here.spawn(|| thread::current().id()).unwrap().join().unwrap());
    /// wait_all(); // the hub comes around
    /// assert_eq!(elsewhere.join().unwrap(), home); // it ran here
    /// ```
    #[track_caller]
    pub fn spawn<F, T>(&self, f: F) -> Result<RemoteGreenlet<T>, HubEnded>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let (promise, greenlet) = promise();
        let site = Location::caller();
        match self.completion.run(Box::new(move || start(f, promise, site))) {
            true => Ok(greenlet),
            false => Err(HubEnded),
        }
    }

    /// Wakes the hub if it sleeps: it goes once around its loop. Calls of this crate that have something for the hub do so
    /// themselves.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{hub, sleep};
    /// use std::time::{Duration, Instant};
    ///
    /// let here = hub::remote();
    /// let thread = std::thread::spawn(move || here.wake());
    /// let start = Instant::now();
    /// sleep(Duration::from_millis(5)); // the hub looks around, and sleeps again
    /// assert!(start.elapsed() >= Duration::from_millis(5));
    /// thread.join().unwrap();
    /// ```
    pub fn wake(&self) {
        self.completion.rouse();
    }

    /// Has the hub's thread ended?
    ///
    /// # Examples
    /// ```
    /// use greenloop::sync::remote;
    ///
    /// let here = remote();
    /// let gone = std::thread::spawn(remote).join().unwrap(); // the hub of a thread that has ended
    /// assert!(gone.is_ended() && !here.is_ended());
    /// ```
    pub fn is_ended(&self) -> bool {
        self.completion.is_orphaned()
    }
}

/// On the hub's thread, between greenlets. Nothing may block or unwind here, so the hooks are told by the greenlet.
fn start<F, T>(f: F, promise: Promise<T>, site: &'static Location<'static>)
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    let will = Hub::current().attend(Rc::new(promise.heir()));
    // Kept here as well, as a spawn that fails drops its closure.
    let kept = Rc::new(Cell::new(Some((f, promise, will))));
    let taken = kept.clone();
    let spawned = Builder::new().spawned_at(site).spawn_unannounced(move || {
        let Some((f, promise, _will)) = taken.take() else { return };
        let outcome = unwind::catch(|| {
            greenlet::announce(&greenlet::current());
            f()
        });
        promise.keep(outcome.map_err(|payload| match unwind::is_kill(&payload) {
            true => JoinError::killed(),
            false => JoinError::panicked(payload),
        }));
    });
    if let Err(error) = spawned
        && let Some((f, promise, _will)) = kept.take()
    {
        promise.keep(Err(JoinError::panicked(Box::new(error.to_string()))));
        // A panic of a destructor has been reported by the panic hook; it must not end the loop.
        std::mem::forget(unwind::catch(|| drop(f)));
    }
}

impl fmt::Debug for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_ended() { "Remote(ended)" } else { "Remote(alive)" })
    }
}

/// The thread of a hub has ended, so nothing can run there any more.
///
/// # Examples
/// ```
/// use greenloop::sync::{HubEnded, remote};
///
/// let gone = std::thread::spawn(remote).join().unwrap();
/// assert_eq!(gone.spawn(|| ()).err(), Some(HubEnded));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the thread of this hub has ended")]
pub struct HubEnded;
