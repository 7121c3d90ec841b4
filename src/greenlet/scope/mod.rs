//! Scopes: greenlets that borrow from the frames around them.
//!
//! `erase.rs` keeps the promise that no child outlives its scope. Here is what the scope does with the values and the panics.

mod erase;

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io;
use std::ops::Deref;
use std::panic::resume_unwind;
use std::rc::Rc;

use super::hook::announce;
use super::{Builder, Handle};
use crate::error::JoinError;
use crate::hub::Hub;
use crate::park::Deadline;
use crate::unwind::{self, Payload};
pub use erase::Scope;

/// Runs `body`, in which greenlets can be spawned that borrow from the frames around it, and waits for all of them.
///
/// This is `std::thread::scope` for greenlets. A greenlet of a scope may spawn others in it. Scopes nest.
///
/// A scope is never left while one of its greenlets lives. If `body` panics, or if the caller is killed, runs out of a
/// [`timeout`](crate::timeout()) or would block for ever ([`LoopExit`](crate::LoopExit)), in `body` or while it waits, then the
/// greenlets of the scope are killed and waited for first, which a kill or a timeout cannot shorten; then
/// the unwinding goes on. A greenlet that can never end, because it is parked for ever inside a
/// [`shield`](crate::shield), makes the process abort with the report of the deadlock.
///
/// **Switches**: yes, if greenlets were spawned that have not ended.
///
/// **While unwinding** it takes no greenlets, as it could not wait for them: [`Scope::spawn`] panics, and
/// [`Builder::spawn_scoped`] gives an error.
///
/// # Panics
/// If `body` does. If a greenlet of the scope has panicked and nobody has joined it: with its payload, the first in time, after all
/// have ended. On a thread's root with [`LoopExit`](crate::LoopExit) if nothing is left that could ever end one of them.
///
/// # Examples
/// ```
/// use greenloop::{scope, sleep};
/// use std::time::Duration;
///
/// let words = vec!["a", "bc", "def"];
/// let lengths: Vec<_> = scope(|s| {
///     let jobs: Vec<_> = words.iter().map(|word| s.spawn(move || {
///         sleep(Duration::from_millis(1));
///         word.len() // borrows `words`
///     })).collect();
///     jobs.into_iter().map(|job| job.join().unwrap()).collect()
/// });
/// assert_eq!(lengths, [1, 2, 3]);
/// ```
///
/// What is made inside the body does not live long enough, and nothing of the scope leaves it:
/// ```compile_fail
/// greenloop::scope(|s| {
///     let inside = String::from("gone before the scope ends");
///     s.spawn(|| println!("{inside}"));
/// });
/// ```
/// ```compile_fail
/// let escaped = greenloop::scope(|s| s.spawn(|| 1));
/// ```
#[track_caller]
pub fn scope<'env, F, R>(body: F) -> R
where
    F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> R,
{
    let (result, panics) = erase::enter(body);
    match (result, panics.first()) {
        (Err(payload), _) | (Ok(_), Some(payload)) => resume_unwind(payload),
        (Ok(value), None) => value,
    }
}

impl<'scope, 'env> Scope<'scope, 'env> {
    /// Spawns a greenlet that may borrow what outlives the scope, as [`spawn`](crate::spawn()) does.
    ///
    /// Dropping the returned [`ScopedGreenlet`] detaches it; the scope still waits for it. After a [`cancel`](Self::cancel) it is
    /// killed before its first turn.
    ///
    /// **Switches**: no.
    ///
    /// # Panics
    /// If no stack can be had, or if the scope was begun while unwinding, as it could not wait for the greenlet;
    /// [`Builder::spawn_scoped`] returns that as an error.
    ///
    /// # Examples
    /// ```
    /// let mut parts = vec![1, 2, 3, 4];
    /// greenloop::scope(|s| {
    ///     for part in parts.chunks_mut(2) {
    ///         s.spawn(move || part.iter_mut().for_each(|n| *n *= 10));
    ///     }
    /// });
    /// assert_eq!(parts, [10, 20, 30, 40]);
    /// ```
    #[track_caller]
    pub fn spawn<F, T>(&'scope self, f: F) -> ScopedGreenlet<'scope, T>
    where
        F: FnOnce() -> T + 'scope,
        T: 'scope,
    {
        match Builder::new().spawn_scoped(self, f) {
            Ok(greenlet) => greenlet,
            Err(error) => panic!("{error}"),
        }
    }

    /// Kills all greenlets of the scope, and those that are spawned in it from now on, and returns at once: the scope waits
    /// for their ends. A greenlet of the scope that calls this meets its own kill when it next parks.
    ///
    /// **Switches**: no.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{scope, sleep};
    /// use std::{cell::Cell, time::Duration};
    ///
    /// let found = Cell::new(0);
    /// scope(|s| {
    ///     for n in [1, 60] {
    ///         let found = &found;
    ///         s.spawn(move || {
    ///             sleep(Duration::from_secs(n) / 100);
    ///             found.set(n);
    ///             s.cancel(); // the others are not needed any more
    ///         });
    ///     }
    /// });
    /// assert_eq!(found.get(), 1);
    /// ```
    pub fn cancel(&self) {
        self.cancel_all();
    }
}

impl fmt::Debug for Scope<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scope({} running)", self.running())
    }
}

impl Builder {
    /// Spawns the greenlet in a scope, see [`Scope::spawn`].
    ///
    /// **Switches**: no.
    ///
    /// # Errors
    /// As [`Builder::spawn`]. If the scope was begun while unwinding: it could not wait for the greenlet.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{Builder, scope};
    ///
    /// let text = String::from("borrowed");
    /// scope(|s| {
    ///     let g = Builder::new().name("reader").spawn_scoped(s, || text.len())?;
    ///     assert_eq!(g.join().unwrap(), 8);
    ///     Ok::<(), std::io::Error>(())
    /// })?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn spawn_scoped<'scope, F, T>(
        self,
        scope: &'scope Scope<'scope, '_>,
        f: F,
    ) -> io::Result<ScopedGreenlet<'scope, T>>
    where
        F: FnOnce() -> T + 'scope,
        T: 'scope,
    {
        let value = Rc::new(Cell::new(None));
        let (panics, place) = (&scope.panics, value.clone());
        // The value, if nobody will ask for it, is dropped inside the catch as well.
        let work = move || {
            unwind::catch(move || place.set(Some(f()))).unwrap_or_else(|payload| panics.keep(payload))
        };
        let handle = scope.adopt(self, work)?;
        announce(&handle);
        Ok(ScopedGreenlet { handle, value, panics })
    }
}

/// The panics of a scope's greenlets that nobody has asked for, by their ids, in the order of time.
#[derive(Default)]
struct Panics(RefCell<Vec<(u64, Payload)>>);

impl Panics {
    /// Keeps what the running greenlet has thrown, and ends it.
    fn keep(&self, payload: Payload) {
        if unwind::is_kill(&payload) {
            resume_unwind(payload);
        }
        let text = unwind::panic_text(&payload).to_owned();
        self.0.borrow_mut().push((Hub::current().running().id, payload));
        // It has panicked, for those who ask for its outcome, as a group does, and with these words.
        resume_unwind(Box::new(text));
    }

    fn claim(&self, id: u64) -> Option<Payload> {
        let mut panics = self.0.borrow_mut();
        let place = panics.iter().position(|(other, _)| *other == id)?;
        Some(panics.remove(place).1)
    }

    fn take(&self) -> Panics {
        Panics(RefCell::new(self.0.take()))
    }

    fn first(self) -> Option<Payload> {
        let first = self.0.into_inner().into_iter().next()?;
        Some(first.1)
    }
}

/// A greenlet of a [`scope`](crate::scope()) that will give a `T`.
///
/// Everything that does not need the value is on [`Handle`], to which this dereferences. Dropping it detaches the greenlet
/// from its owner, not from its scope.
///
/// # Examples
/// ```
/// use greenloop::{scope, wait_any, yield_now};
///
/// let text = String::from("borrowed");
/// scope(|s| {
///     let (slow, quick) = (s.spawn(|| { yield_now(); 0 }), s.spawn(|| text.len()));
///     assert_eq!(wait_any(&[&slow, &quick]), 1);
///     assert_eq!(quick.join().unwrap(), 8);
/// });
/// ```
pub struct ScopedGreenlet<'scope, T> {
    handle: Handle,
    value: Rc<Cell<Option<T>>>,
    panics: &'scope Panics,
}

impl<T> ScopedGreenlet<'_, T> {
    /// Waits until the greenlet has ended and gives its value.
    ///
    /// **Switches**: yes, unless it has already ended.
    ///
    /// **While unwinding** it gives an error at once.
    ///
    /// # Errors
    /// That it was killed, or that it panicked: the scope does not panic for it then. While unwinding, that it still runs.
    ///
    /// # Panics
    /// On a thread's root with [`LoopExit`](crate::LoopExit) if nothing is left that could ever end it.
    ///
    /// # Examples
    /// ```
    /// greenloop::scope(|s| {
    ///     let bad = s.spawn(|| -> u32 { panic!("boom") });
    ///     assert!(bad.join().unwrap_err().is_panic());
    /// }); // does not panic, as the panic was asked for
    /// ```
    #[track_caller]
    pub fn join(self) -> Result<T, JoinError> {
        if !self.handle.wait_until(Deadline::NEVER) {
            return Err(JoinError::refused());
        }
        match (self.value.take(), self.panics.claim(self.handle.id())) {
            (Some(value), _) => Ok(value),
            (None, Some(payload)) => Err(JoinError::panicked(payload)),
            (None, None) => Err(JoinError::killed()),
        }
    }

    /// A handle without the value, which can be cloned and kept, also after the scope has ended.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{Outcome, scope};
    ///
    /// let text = String::from("borrowed");
    /// let handle = scope(|s| s.spawn(|| text.len()).handle());
    /// assert_eq!(handle.outcome(), Some(Outcome::Value)); // the scope has waited for it
    /// ```
    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }
}

impl<T> Deref for ScopedGreenlet<'_, T> {
    type Target = Handle;

    fn deref(&self) -> &Handle {
        &self.handle
    }
}

impl<T> AsRef<Handle> for ScopedGreenlet<'_, T> {
    fn as_ref(&self) -> &Handle {
        &self.handle
    }
}

impl<T> fmt::Debug for ScopedGreenlet<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.handle, f)
    }
}
