//! How a greenlet comes to life.

use std::io;
use std::panic::Location;
use std::rc::Rc;
use std::time::Duration;

use super::hook::announce;
use super::join::Slot;
use super::{Greenlet, Handle, life};
use crate::coro::{Coroutine, Label};
use crate::hub::{Effect, Hub};
use crate::stack::DEFAULT_STACK_SIZE;

/// Spawns a greenlet: `f` runs when the current greenlet next blocks or yields, never before.
///
/// `f` needs to be neither `Send` nor `Sync`: a greenlet never leaves its thread. Dropping the returned [`Greenlet`]
/// detaches it, it runs on. If it panics, only it ends; the panic is reported once through the panic hook and kept for
/// [`join`](Greenlet::join).
///
/// **Switches**: no.
///
/// # Panics
/// If no stack can be had; [`Builder::spawn`] returns that as an error.
///
/// # Examples
/// ```
/// let sum = greenloop::spawn(|| 1 + 2);
/// assert_eq!(sum.join().unwrap(), 3);
/// ```
///
/// What the greenlet borrows must be `'static`:
/// ```compile_fail
/// let local = String::from("on the stack");
/// greenloop::spawn(|| println!("{local}"));
/// ```
#[track_caller]
pub fn spawn<F, T>(f: F) -> Greenlet<T>
where
    F: FnOnce() -> T + 'static,
    T: 'static,
{
    match Builder::new().spawn(f) {
        Ok(greenlet) => greenlet,
        Err(error) => panic!("{error}"),
    }
}

/// Spawns a greenlet that starts after `delay`.
///
/// Until then it counts as work to come: `wait_all` waits for it. Killed before its time, it never runs.
///
/// **Switches**: no.
///
/// # Panics
/// As [`spawn`].
///
/// # Examples
/// ```
/// use std::time::{Duration, Instant};
/// let start = Instant::now();
/// let later = greenloop::spawn_later(Duration::from_millis(20), || "now");
/// assert_eq!(later.join().unwrap(), "now");
/// assert!(start.elapsed() >= Duration::from_millis(20));
/// ```
#[track_caller]
pub fn spawn_later<F, T>(delay: Duration, f: F) -> Greenlet<T>
where
    F: FnOnce() -> T + 'static,
    T: 'static,
{
    match Builder::new().delay(delay).spawn(f) {
        Ok(greenlet) => greenlet,
        Err(error) => panic!("{error}"),
    }
}

/// A greenlet about to be spawned, with a name, a stack size or a delay of its own.
///
/// # Examples
/// ```
/// use greenloop::Builder;
///
/// let g = Builder::new().name("counter").stack_size(64 * 1024).spawn(|| (0..10).sum::<u32>())?;
/// assert_eq!(g.name().as_deref(), Some("counter"));
/// assert_eq!(g.join().unwrap(), 45);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until its spawn is called"]
pub struct Builder {
    name: Option<Rc<str>>,
    stack_size: usize,
    delay: Option<Duration>,
    spawned_at: Option<&'static Location<'static>>,
}

impl Default for Builder {
    fn default() -> Self {
        Builder::new()
    }
}

impl Builder {
    /// A builder with the defaults: no name, a stack of 256 KiB, no delay.
    ///
    /// # Examples
    /// ```
    /// let g = greenloop::Builder::new().spawn(|| 6 * 7)?; // as `spawn`, but with an error instead of its panic
    /// assert_eq!(g.name(), None);
    /// assert_eq!(g.join().unwrap(), 42);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn new() -> Builder {
        Builder { name: None, stack_size: DEFAULT_STACK_SIZE, delay: None, spawned_at: None }
    }

    /// Names the greenlet, for reports and for the message of a stack overflow.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{Builder, current};
    ///
    /// let g = Builder::new().name("mailer").spawn(|| current().name())?;
    /// assert_eq!(g.join().unwrap().as_deref(), Some("mailer"));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn name(self, name: impl AsRef<str>) -> Builder {
        Builder { name: Some(Rc::from(name.as_ref())), ..self }
    }

    /// The size of its stack in bytes, guard included, rounded up to whole pages and to at least 32 KiB.
    ///
    /// It is address space; memory is used only as deep as the stack is.
    ///
    /// # Examples
    /// ```
    /// use greenloop::Builder;
    ///
    /// let small = Builder::new().stack_size(32 * 1024).spawn(|| "a stack of 32 KiB")?;
    /// assert!(small.join().is_ok());
    /// assert!(Builder::new().stack_size(usize::MAX).spawn(|| ()).is_err());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn stack_size(self, bytes: usize) -> Builder {
        Builder { stack_size: bytes, ..self }
    }

    /// Starts the greenlet only after this time, as [`spawn_later`] does.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{Builder, sleep};
    /// use std::time::Duration;
    ///
    /// let later = Builder::new().name("later").delay(Duration::from_millis(5)).spawn(|| ())?;
    /// greenloop::yield_now();
    /// assert!(!later.is_finished());
    /// later.wait();
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn delay(self, delay: Duration) -> Builder {
        Builder { delay: Some(delay), ..self }
    }

    /// Names another place than the caller's in reports.
    pub(crate) fn spawned_at(self, site: &'static Location<'static>) -> Builder {
        Builder { spawned_at: Some(site), ..self }
    }

    /// Spawns the greenlet, see [`spawn`](fn@spawn).
    ///
    /// **Switches**: no.
    ///
    /// # Errors
    /// If there is no memory or address space for another stack; the text names the limit that was met.
    /// [`InvalidInput`](io::ErrorKind::InvalidInput) if the stack size is absurd.
    ///
    /// # Examples
    /// ```
    /// use greenloop::Builder;
    /// use std::io::ErrorKind;
    ///
    /// let g = Builder::new().name("adder").spawn(|| 1 + 2)?;
    /// assert_eq!(g.join().unwrap(), 3);
    /// let error = Builder::new().stack_size(usize::MAX).spawn(|| ()).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::InvalidInput);
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[track_caller]
    pub fn spawn<F, T>(self, f: F) -> io::Result<Greenlet<T>>
    where
        F: FnOnce() -> T + 'static,
        T: 'static,
    {
        let (handle, slot) = self.make(f)?;
        announce(&handle);
        Ok(Greenlet::new(handle, slot))
    }

    /// As [`spawn`](Self::spawn), where the hooks must find everything in place: `known` has the greenlet before they are told of it.
    #[track_caller]
    pub(crate) fn spawn_known(
        self,
        f: impl FnOnce() + 'static,
        known: impl FnOnce(&Handle),
    ) -> io::Result<()> {
        let (greenlet, _) = self.make(f)?;
        known(&greenlet);
        announce(&greenlet);
        Ok(())
    }

    /// For a caller that stands between greenlets, where no code of the user's may run: `f` has to [`announce`] itself. It inherits nothing:
    /// what the root has bound, underneath which the loop happens to run, is not meant for it.
    pub(crate) fn spawn_unannounced(self, f: impl FnOnce() + 'static) -> io::Result<()> {
        let (greenlet, _) = self.make(f)?;
        if let Some(extras) = greenlet.task().extras_if_any() {
            drop(extras.inherited.replace(None));
        }
        Ok(())
    }

    /// Makes the greenlet, without a word to the hooks. No code of the user's runs here, unless the closure is dropped
    /// because no stack can be had.
    #[track_caller]
    pub(super) fn make<F, T>(self, f: F) -> io::Result<(Handle, Rc<Slot<T>>)>
    where
        F: FnOnce() -> T + 'static,
        T: 'static,
    {
        let hub = Hub::current();
        let stack = hub.stacks.take(self.stack_size)?;
        let origin = hub.origin(self.spawned_at.unwrap_or(Location::caller()));
        let task = hub.new_task(self.name, origin);
        let slot = Rc::new(Slot::new());
        let label = Label { id: task.id, name: task.name.clone() };
        let result = slot.clone();
        *task.coroutine.borrow_mut() = Some(Coroutine::new(stack, label, move || life::live(f, result)));
        match self.delay.map(|delay| hub.deadline(delay)) {
            None => hub.schedule(&task),
            Some(Some(deadline)) => {
                task.start_timer.set(Some(hub.arm(deadline, task.clone(), Effect::Start)))
            }
            // Beyond the reach of the clock: it never starts, but it can be killed.
            Some(None) => {}
        }
        Ok((Handle::new(task), slot))
    }
}
