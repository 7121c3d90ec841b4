//! A deadline over any code.
//!
//! The scope has an identity. When its time has come the greenlet is woken wherever it is parked and a private payload with that
//! identity is thrown; it passes through everything, inner scopes included, until it reaches the scope it belongs to.
//!
//! A [`Timeout`] that was started by hand may run out where no scope of its own would take the payload. Its identity says so
//! ([`unwind::LOOSE`]), and an ordinary panic with a sentence is thrown instead.

use std::cell::RefCell;
use std::fmt;
use std::panic::resume_unwind;
use std::rc::Rc;
use std::time::Duration;

use crate::error::Elapsed;
use crate::hub::timers::TimerKey;
use crate::hub::{Effect, Hub, Task};
use crate::unwind;

/// Runs `f`; if it has not finished after `limit`, it is unwound where it waits and the result is `Err(Elapsed)`.
///
/// Only a greenlet that parks can be interrupted: code that computes, and a call that gets what it waits for in the same
/// turn of the loop in which the time runs out, finish first. Destructors run, nothing is printed. Timeouts nest: each
/// ends its own scope, and an outer one passes through the inner ones. A limit of zero still
/// needs a turn of the loop; one beyond 584 years never ends.
///
/// **Switches**: only if `f` does.
///
/// **While unwinding** nothing waits in `f` either, and no time runs out.
///
/// # Errors
/// [`Elapsed`] if the time ran out.
///
/// # Panics
/// If `f` does.
///
/// # Examples
/// ```
/// use greenloop::{sleep, timeout, Elapsed};
/// use std::time::Duration;
///
/// assert_eq!(timeout(Duration::from_secs(10), || 1 + 1), Ok(2));
/// assert_eq!(timeout(Duration::from_millis(1), || sleep(Duration::from_secs(60))), Err(Elapsed));
/// ```
pub fn timeout<T>(limit: Duration, f: impl FnOnce() -> T) -> Result<T, Elapsed> {
    let Some(scope) = Scope::begin(limit) else { return Ok(f()) };
    let caught = unwind::catch(f);
    scope.end();
    caught.or_else(|payload| take(payload, scope.id))
}

/// A `timeout` that has not ended. The hub and the greenlet are the same at its end as at its beginning, as it does not leave the
/// stack: so it need not look for the one, nor hold the other.
struct Scope<'a> {
    hub: &'a Hub,
    id: u64,
    timer: TimerKey,
}

impl Scope<'_> {
    /// Starts its clock. `None` if the limit is beyond the reach of that.
    fn begin(limit: Duration) -> Option<Scope<'static>> {
        let hub = Hub::current();
        let deadline = hub.deadline(limit)?;
        let id = hub.new_id();
        let timer = hub.arm(deadline, hub.running(), Effect::Expire(id));
        Some(Scope { hub, id, timer })
    }

    /// Stops its clock.
    fn end(&self) {
        if !self.hub.disarm(self.timer) {
            self.forget();
        }
    }

    /// The time has run out, which the greenlet may not have met.
    #[cold]
    fn forget(&self) {
        self.hub.running().forget_expired(self.id);
    }
}

/// What was thrown through the scope `id` either belongs to it or goes on.
#[cold]
fn take<T>(payload: unwind::Payload, id: u64) -> Result<T, Elapsed> {
    if unwind::is_expiry_of(&payload, id) {
        return Err(Elapsed);
    }
    resume_unwind(payload)
}

/// The running clock of a [`Timeout`]; dropping it, wherever that is, stops it.
struct Armed {
    /// Whom the expiry interrupts.
    task: Rc<Task>,
    id: u64,
    deadline: u64,
    timer: TimerKey,
}

impl Armed {
    fn arm_for(task: Rc<Task>, hub: &Hub, deadline: u64, id: u64) -> Armed {
        let timer = hub.arm(deadline, task.clone(), Effect::Expire(id));
        Armed { task, id, deadline, timer }
    }
}

impl Drop for Armed {
    fn drop(&mut self) {
        // A thread that ends may drop one after its hub.
        if Hub::try_current().is_some_and(|hub| !hub.disarm(self.timer)) {
            self.task.withdraw_expired(self.id);
        }
    }
}

/// A limit as an object: it can be kept, used again, and started and cancelled by hand.
///
/// [`run`](Self::run) is the scope that ends when the time is over, gevent's `with Timeout(seconds):`. The clock may be started
/// before it, by [`start`](Self::start), so that it covers what comes before the scope; and inside the scope it may be cancelled and
/// started again. One object is one clock: a greenlet that wants the same limit as another takes a `clone`,
/// which is not pending.
///
/// # Examples
/// ```
/// use greenloop::{sleep, Timeout};
/// use std::time::Duration;
///
/// let limit = Timeout::new(Duration::from_millis(1));
/// for _ in 0..2 {
///     assert!(limit.run(|| sleep(Duration::from_secs(60))).is_err());
/// }
/// assert!(Timeout::never().run(|| sleep(Duration::from_millis(5))).is_ok());
/// ```
///
/// Idle time, as long as something happens in each second:
/// ```
/// use greenloop::{sleep, Timeout};
/// use std::time::Duration;
///
/// let idle = Timeout::new(Duration::from_secs(1));
/// let done = idle.run(|| {
///     for _ in 0..3 {
///         sleep(Duration::from_millis(1)); // a line is read
///         idle.restart();
///     }
/// });
/// assert!(done.is_ok() && !idle.is_pending());
/// ```
pub struct Timeout {
    limit: Option<Duration>,
    clock: RefCell<Option<Armed>>,
    /// The innermost `run` under way: whose, and its number.
    scope: RefCell<Option<(Rc<Task>, u64)>>,
}

impl Timeout {
    /// A limit of this length.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{Elapsed, Timeout, sleep};
    /// use std::time::Duration;
    ///
    /// const LIMIT: Timeout = Timeout::new(Duration::from_millis(1));
    /// assert_eq!(LIMIT.run(|| sleep(Duration::from_secs(60))), Err(Elapsed));
    /// ```
    pub const fn new(limit: Duration) -> Timeout {
        Timeout::of(Some(limit))
    }

    /// No limit: gevent's `Timeout(None)`. It arms no timer and is never pending.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{Timeout, yield_now};
    ///
    /// let limit: Timeout = None.into(); // an optional setting
    /// assert_eq!(limit.limit(), Timeout::never().limit());
    /// assert!(limit.run(yield_now).is_ok());
    /// ```
    pub const fn never() -> Timeout {
        Timeout::of(None)
    }

    const fn of(limit: Option<Duration>) -> Timeout {
        Timeout { limit, clock: RefCell::new(None), scope: RefCell::new(None) }
    }

    /// Its length, `None` if it has none.
    ///
    /// # Examples
    /// ```
    /// use greenloop::Timeout;
    /// use std::time::Duration;
    ///
    /// assert_eq!(Timeout::new(Duration::from_secs(5)).limit(), Some(Duration::from_secs(5)));
    /// assert_eq!(Timeout::never().limit(), None);
    /// ```
    pub const fn limit(&self) -> Option<Duration> {
        self.limit
    }

    /// Runs `f` within the limit, see [`timeout`](fn@timeout). The clock starts now, unless it runs already; it is stopped afterwards.
    ///
    /// Inside a `run` of the same object there is still one clock, with one end: the inner `run` ends when it comes, the outer one where
    /// it waits next. Unless it was cancelled meanwhile, the clock of the outer one goes on behind the inner one.
    ///
    /// **Switches**: only if `f` does.
    ///
    /// **While unwinding** nothing waits in `f` either, and no time runs out.
    ///
    /// # Errors
    /// [`Elapsed`] if the time ran out.
    ///
    /// # Panics
    /// If `f` does; if the clock runs for another greenlet.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{Timeout, event::Event};
    /// use std::time::Duration;
    ///
    /// let limit = Timeout::new(Duration::from_millis(1));
    /// assert!(limit.run(|| Event::new().wait()).is_err());
    /// assert_eq!(limit.run(|| 1), Ok(1)); // each time from the start
    /// ```
    #[track_caller]
    pub fn run<T>(&self, f: impl FnOnce() -> T) -> Result<T, Elapsed> {
        let hub = Hub::current();
        self.let_go_of_the_past(hub);
        self.check_greenlet(hub);
        let running = self.take_deadline();
        let deadline = running.or_else(|| self.limit.and_then(|limit| hub.deadline(limit)));
        let id = hub.new_id();
        let outer = self.scope.replace(Some((hub.running(), id)));
        let gives_back = running.is_some() && outer.is_some();
        let under_way = UnderWay { timeout: self, id, outer, gives_back };
        self.arm(hub, deadline);
        let caught = unwind::catch(f);
        drop(under_way);
        caught.or_else(|payload| take(payload, id))
    }

    /// A clock that has run out, and whose greenlet has met that or can meet nothing any more, is none.
    fn let_go_of_the_past(&self, hub: &Hub) {
        let is_past = |clock: &mut Armed| {
            !hub.is_armed(clock.timer) && (clock.task.is_done() || !clock.task.has_expired(clock.id))
        };
        let past = self.clock.borrow_mut().take_if(is_past);
        // Dropped after the borrow has ended: it may be the last reference to a task.
        drop(past);
    }

    /// Stops the clock and gives its deadline, which may have come.
    fn take_deadline(&self) -> Option<u64> {
        self.clock.take().map(|clock| clock.deadline)
    }

    /// One clock cannot limit two greenlets.
    #[track_caller]
    fn check_greenlet(&self, hub: &Hub) {
        let running = hub.running();
        let (scope, clock) = (self.scope.borrow(), self.clock.borrow());
        let tasks = scope.iter().map(|(task, _)| task).chain(clock.iter().map(|clock| &clock.task));
        if let Some(other) = tasks.into_iter().find(|task| !Rc::ptr_eq(task, &running)) {
            panic!(
                "this Timeout is in use by greenlet {other}: one clock cannot limit two greenlets, give each a clone"
            )
        }
    }

    /// Starts the clock, for the greenlet that calls this, or, from anywhere, for the [`run`](Self::run) under way. If the time runs out
    /// inside a `run` of this object, that ends; anywhere else nobody takes it, and the greenlet panics where it waits.
    ///
    /// Dropping the object stops the clock.
    ///
    /// **Switches**: no.
    ///
    /// # Panics
    /// If it is pending: a clock is not started twice. See [`restart`](Self::restart).
    ///
    /// # Examples
    /// ```
    /// use greenloop::{sleep, Timeout};
    /// use std::time::Duration;
    ///
    /// let limit = Timeout::new(Duration::from_millis(5));
    /// limit.start();
    /// assert!(limit.is_pending());
    /// sleep(Duration::from_millis(1)); // counts, too
    /// assert!(limit.run(|| sleep(Duration::from_secs(60))).is_err());
    /// assert!(!limit.is_pending());
    /// ```
    #[track_caller]
    pub fn start(&self) {
        assert!(
            !self.is_pending(),
            "this Timeout is pending already: cancel() it before start(), or call restart()"
        );
        self.restart();
    }

    /// Starts the clock from the beginning, whether it runs or not: what a limit on idle time does when something has happened.
    ///
    /// **Switches**: no.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{Timeout, sleep};
    /// use std::time::Duration;
    ///
    /// let idle = Timeout::new(Duration::from_secs(60));
    /// idle.start();
    /// idle.restart(); // pending already, and from the beginning now
    /// assert!(idle.is_pending());
    /// assert!(idle.run(|| sleep(Duration::from_millis(1))).is_ok());
    /// ```
    pub fn restart(&self) {
        self.cancel();
        let hub = Hub::current();
        self.arm(hub, self.limit.and_then(|limit| hub.deadline(limit)));
    }

    /// Stops the clock; nothing if it does not run. An expiry that its greenlet has not met yet is forgotten, unless that has
    /// been woken for it already: then another greenlet has come too late to stop it, as it has with [`restart`](Self::restart).
    ///
    /// **Switches**: no.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{Timeout, sleep};
    /// use std::time::Duration;
    ///
    /// let limit = Timeout::new(Duration::from_millis(1));
    /// let done = limit.run(|| {
    ///     limit.cancel(); // from here on there is no limit
    ///     sleep(Duration::from_millis(5));
    /// });
    /// assert!(done.is_ok());
    /// ```
    pub fn cancel(&self) {
        drop(self.clock.take());
    }

    /// Does the clock run? Not before the start, after an expiry, and after [`cancel`](Self::cancel) and the end of [`run`](Self::run).
    ///
    /// **Switches**: no.
    ///
    /// # Examples
    /// ```
    /// use greenloop::Timeout;
    /// use std::time::Duration;
    ///
    /// let limit = Timeout::new(Duration::from_secs(60));
    /// assert!(!limit.is_pending());
    /// assert!(limit.run(|| limit.is_pending()).unwrap());
    /// assert!(!limit.is_pending());
    /// ```
    pub fn is_pending(&self) -> bool {
        self.clock.borrow().as_ref().is_some_and(|clock| Hub::current().is_armed(clock.timer))
    }

    /// For the scope under way, or else for the running greenlet.
    fn arm(&self, hub: &Hub, deadline: Option<u64>) {
        let (task, id) = match &*self.scope.borrow() {
            Some((task, id)) => (task.clone(), *id),
            None => (hub.running(), hub.new_id() | unwind::LOOSE),
        };
        let armed = deadline.map(|deadline| Armed::arm_for(task, hub, deadline, id));
        drop(self.clock.replace(armed));
    }
}

/// A `run` that has not ended. Its end stops the clock, or gives it back to the `run` around it.
struct UnderWay<'a> {
    timeout: &'a Timeout,
    id: u64,
    outer: Option<(Rc<Task>, u64)>,
    /// The clock ran for the outer one.
    gives_back: bool,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        *self.timeout.scope.borrow_mut() = self.outer.take();
        let left = self.timeout.take_deadline().filter(|_| self.gives_back);
        let hub = Hub::current();
        // A kill may have been thrown in its place.
        hub.with_running(|task| task.forget_expired(self.id));
        if left.is_some() {
            self.timeout.arm(hub, left);
        }
    }
}

/// The same limit, not pending.
impl Clone for Timeout {
    fn clone(&self) -> Timeout {
        Timeout::of(self.limit)
    }
}

impl fmt::Debug for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timeout").field("limit", &self.limit).field("pending", &self.is_pending()).finish()
    }
}

impl From<Duration> for Timeout {
    fn from(limit: Duration) -> Timeout {
        Timeout::new(limit)
    }
}

impl From<Option<Duration>> for Timeout {
    fn from(limit: Option<Duration>) -> Timeout {
        Timeout::of(limit)
    }
}
