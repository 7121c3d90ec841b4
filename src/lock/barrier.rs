//! All wait until all have come.
//!
//! Each round is a [`Pass`] of its own, which those that wait keep a reference to: it ends once, open or broken, and stays so,
//! whatever becomes of the barrier before they run.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use crate::hub::{Object, Reason};
use crate::park::{self, Deadline};
use crate::waitlist::{Place, WaitList};

/// A meeting of a fixed number of greenlets: each waits until all have come, then all go on, and it may be used again.
///
/// It is a handle: clones are the same barrier. If one of those that wait gives up, because its time has run out or because it is
/// unwinding, the barrier *breaks*: nobody would ever pass it, so all that wait and all that come get an error, until
/// somebody calls [`reset`](Self::reset). A greenlet that is killed while it waits, or taken out by a
/// [`timeout`](crate::timeout()) around it, breaks nothing: it counts as not come, and another may come in its place.
///
/// # Examples
/// ```
/// use greenloop::{join_all, lock::Barrier, spawn};
///
/// let all_loaded = Barrier::new(3);
/// let leaders = join_all((0..3).map(|_| {
///     let all_loaded = all_loaded.clone();
///     spawn(move || all_loaded.wait().unwrap().is_leader())
/// }));
/// assert_eq!(leaders.into_iter().filter(|leader| *leader.as_ref().unwrap()).count(), 1);
/// ```
#[derive(Clone)]
pub struct Barrier {
    inner: Rc<Inner>,
}

struct Inner {
    parties: usize,
    action: Option<Box<dyn Fn()>>,
    pass: RefCell<Rc<Pass>>,
}

/// One round.
struct Pass {
    state: Cell<State>,
    arrived: Cell<usize>,
    /// How many have been told their index.
    told: Cell<usize>,
    waiters: WaitList,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Some have not come yet.
    Waiting,
    /// All have come.
    Open,
    Broken,
}

/// The barrier is broken: one that waited has given up, the action has panicked, or somebody has called `abort` or `reset`.
///
/// # Examples
/// ```
/// use greenloop::lock::{Barrier, BrokenBarrier};
/// use std::time::Duration;
///
/// let barrier = Barrier::new(2);
/// assert_eq!(barrier.wait_timeout(Duration::from_millis(1)), Err(BrokenBarrier)); // gives up
/// assert_eq!(barrier.wait(), Err(BrokenBarrier)); // so nobody can pass any more
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the barrier is broken: one of its parties gave up waiting, or it was aborted or reset; reset makes it usable again"
)]
pub struct BrokenBarrier;

/// What a greenlet that has passed a [`Barrier`] is among those that have passed with it.
///
/// # Examples
/// ```
/// use greenloop::{join_all, lock::Barrier, spawn};
///
/// let barrier = Barrier::new(3);
/// let parties = (0..3).map(|_| spawn({ let barrier = barrier.clone(); move || barrier.wait().unwrap() }));
/// let leaders = join_all(parties).into_iter().filter(|party| party.as_ref().unwrap().is_leader());
/// assert_eq!(leaders.count(), 1);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BarrierWaitResult {
    index: usize,
    is_leader: bool,
}

impl BarrierWaitResult {
    /// Its number: from 0 to one less than the parties, another for each.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{join_all, lock::Barrier, spawn};
    ///
    /// let start = Barrier::new(3);
    /// let parties = [(); 3].map(|()| spawn({ let start = start.clone(); move || start.wait().unwrap().index() }));
    /// let mut indices: Vec<_> = join_all(parties).into_iter().map(Result::unwrap).collect();
    /// indices.sort();
    /// assert_eq!(indices, [0, 1, 2]);
    /// ```
    pub fn index(&self) -> usize {
        self.index
    }

    /// Is it the one that came last and let the others go? One of them is.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{lock::Barrier, spawn};
    ///
    /// let barrier = Barrier::new(2);
    /// let first = spawn({ let barrier = barrier.clone(); move || barrier.wait().unwrap().is_leader() });
    /// greenloop::yield_now();
    /// assert!(barrier.wait().unwrap().is_leader()); // it came last
    /// assert!(!first.join().unwrap());
    /// ```
    pub fn is_leader(&self) -> bool {
        self.is_leader
    }
}

impl Barrier {
    /// A barrier for so many greenlets. With 0 or 1 nobody ever waits.
    ///
    /// # Examples
    /// ```
    /// use greenloop::lock::Barrier;
    ///
    /// let alone = Barrier::new(1);
    /// assert!(alone.wait().unwrap().is_leader()); // nobody to wait for
    /// ```
    pub fn new(parties: usize) -> Barrier {
        Barrier { inner: Rc::new(Inner { parties, action: None, pass: RefCell::new(Pass::new()) }) }
    }

    /// A barrier at which the one that comes last runs `action` before anybody goes on. If that panics, or the greenlet is
    /// killed in it, the barrier breaks.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{join_all, lock::Barrier, spawn};
    /// use std::{cell::Cell, rc::Rc};
    ///
    /// let rounds = Rc::new(Cell::new(0));
    /// let count = { let rounds = rounds.clone(); move || rounds.set(rounds.get() + 1) };
    /// let barrier = Barrier::with_action(2, count);
    /// join_all([(), ()].map(|()| { let barrier = barrier.clone(); spawn(move || barrier.wait()) }));
    /// assert_eq!(rounds.get(), 1);
    /// ```
    pub fn with_action(parties: usize, action: impl Fn() + 'static) -> Barrier {
        let action: Option<Box<dyn Fn()>> = Some(Box::new(action));
        Barrier { inner: Rc::new(Inner { parties, action, pass: RefCell::new(Pass::new()) }) }
    }

    /// Waits until all have come.
    ///
    /// **Switches**: unless it is the last to come.
    ///
    /// **While unwinding** it breaks the barrier and gives an error at once.
    ///
    /// # Errors
    /// [`BrokenBarrier`] if the barrier is broken or breaks meanwhile.
    ///
    /// # Panics
    /// If it is the last and the action panics. On a thread's root with [`LoopExit`](crate::LoopExit) if nothing is left that
    /// could ever come.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{lock::Barrier, spawn};
    /// use std::{cell::Cell, rc::Rc};
    ///
    /// let (loaded, all_loaded) = (Rc::new(Cell::new(0)), Barrier::new(3));
    /// for _ in 0..2 {
    ///     let (loaded, all_loaded) = (loaded.clone(), all_loaded.clone());
    ///     spawn(move || { loaded.set(loaded.get() + 1); all_loaded.wait().map(drop) });
    /// }
    /// all_loaded.wait()?;
    /// assert_eq!(loaded.get(), 2);
    /// # Ok::<(), greenloop::lock::BrokenBarrier>(())
    /// ```
    #[track_caller]
    pub fn wait(&self) -> Result<BarrierWaitResult, BrokenBarrier> {
        self.wait_until(None)
    }

    /// Waits until all have come, at most for [`timeout`](crate#time-limits); when the time runs out the barrier breaks.
    ///
    /// **Switches**: as [`wait`](Self::wait).
    ///
    /// **While unwinding** it breaks the barrier and gives an error at once.
    ///
    /// # Errors
    /// [`BrokenBarrier`] if the time ran out, or if the barrier is broken or breaks meanwhile.
    ///
    /// # Panics
    /// As [`wait`](Self::wait).
    ///
    /// # Examples
    /// ```
    /// use greenloop::lock::Barrier;
    /// use std::time::Duration;
    ///
    /// let barrier = Barrier::new(2);
    /// assert!(barrier.wait_timeout(Duration::from_millis(1)).is_err()); // nobody else has come
    /// assert!(barrier.is_broken());
    /// barrier.reset();
    /// assert!(!barrier.is_broken());
    /// ```
    #[track_caller]
    pub fn wait_timeout(&self, timeout: Duration) -> Result<BarrierWaitResult, BrokenBarrier> {
        self.wait_until(Some(timeout))
    }

    #[track_caller]
    fn wait_until(&self, timeout: Option<Duration>) -> Result<BarrierWaitResult, BrokenBarrier> {
        let pass = self.pass();
        if pass.state.get() == State::Broken {
            return Err(BrokenBarrier);
        }
        pass.arrived.update(|arrived| arrived + 1);
        if pass.has_all(self.inner.parties) {
            return Ok(self.let_go(&pass));
        }
        let _arrived = Arrived { pass: &pass };
        let reason = Reason::of(&"barrier (arrival)", Object::fill(pass.arrived.get(), self.inner.parties));
        park::wait_on(&pass.waiters, &mut Place::default(), reason, Deadline::after(timeout));
        if pass.state.get() == State::Waiting {
            // Its time has run out, or it was refused.
            pass.end(State::Broken);
        }
        match pass.state.get() {
            State::Open => Ok(pass.tell(false)),
            State::Waiting | State::Broken => Err(BrokenBarrier),
        }
    }

    /// The last has come. Who comes while the action runs belongs to the next round.
    #[track_caller]
    fn let_go(&self, pass: &Pass) -> BarrierWaitResult {
        self.inner.pass.replace(Pass::new());
        let action = Action { barrier: self, pass };
        if let Some(run) = &self.inner.action {
            run();
        }
        action.has_ended();
        pass.end(State::Open);
        pass.tell(true)
    }

    /// Breaks the barrier: all that wait, and all that come before the next [`reset`](Self::reset), get an error.
    ///
    /// **Switches**: no.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{lock::{Barrier, BrokenBarrier}, spawn, yield_now};
    ///
    /// let barrier = Barrier::new(2);
    /// let waiter = spawn({ let barrier = barrier.clone(); move || barrier.wait() });
    /// yield_now();
    /// barrier.abort(); // nobody else will come
    /// assert_eq!(waiter.join().unwrap(), Err(BrokenBarrier));
    /// assert_eq!(barrier.wait(), Err(BrokenBarrier));
    /// ```
    pub fn abort(&self) {
        self.pass().end(State::Broken);
    }

    /// Makes the barrier as it was at first; those that wait get an error. **Switches**: no.
    ///
    /// # Examples
    /// ```
    /// use greenloop::lock::Barrier;
    ///
    /// let barrier = Barrier::new(1);
    /// barrier.abort();
    /// assert!(barrier.wait().is_err());
    /// barrier.reset();
    /// assert!(barrier.wait().is_ok());
    /// ```
    pub fn reset(&self) {
        let pass = self.inner.pass.replace(Pass::new());
        pass.end(State::Broken);
    }

    /// Is it broken?
    ///
    /// # Examples
    /// ```
    /// let barrier = greenloop::lock::Barrier::new(2);
    /// assert!(!barrier.is_broken());
    /// barrier.abort();
    /// assert!(barrier.is_broken());
    /// ```
    pub fn is_broken(&self) -> bool {
        self.pass().state.get() == State::Broken
    }

    /// How many must come.
    ///
    /// # Examples
    /// ```
    /// assert_eq!(greenloop::lock::Barrier::new(3).parties(), 3);
    /// ```
    pub fn parties(&self) -> usize {
        self.inner.parties
    }

    /// How many have come and wait for the others.
    ///
    /// # Examples
    /// ```
    /// use greenloop::{lock::Barrier, spawn, yield_now};
    ///
    /// let barrier = Barrier::new(2);
    /// spawn({ let barrier = barrier.clone(); move || barrier.wait() });
    /// assert_eq!(barrier.waiting(), 0); // it has not run yet
    /// yield_now();
    /// assert_eq!(barrier.waiting(), 1);
    /// ```
    pub fn waiting(&self) -> usize {
        let pass = self.pass();
        if pass.state.get() == State::Waiting { pass.arrived.get() } else { 0 }
    }

    fn pass(&self) -> Rc<Pass> {
        self.inner.pass.borrow().clone()
    }
}

impl Pass {
    fn new() -> Rc<Pass> {
        let (arrived, told) = (Cell::new(0), Cell::new(0));
        Rc::new(Pass { state: Cell::new(State::Waiting), arrived, told, waiters: WaitList::new() })
    }

    /// Have all come, apart from those that were killed meanwhile or taken out, and have not left yet?
    fn has_all(&self, parties: usize) -> bool {
        let arrived = self.arrived.get();
        // The list is looked through only for the last.
        arrived >= parties && arrived - self.waiters.count_interrupted() >= parties
    }

    fn end(&self, state: State) {
        if self.state.get() == State::Waiting {
            self.state.set(state);
            self.waiters.wake_all();
        }
    }

    /// The next number for one that has passed. They are given out late, so that none is missing or given twice if some
    /// have come and gone again.
    fn tell(&self, is_leader: bool) -> BarrierWaitResult {
        let index = self.told.get();
        self.told.set(index + 1);
        BarrierWaitResult { index, is_leader }
    }
}

/// One that waits: if it goes away before the end it has not come.
struct Arrived<'a> {
    pass: &'a Pass,
}

impl Drop for Arrived<'_> {
    fn drop(&mut self) {
        if self.pass.state.get() == State::Waiting {
            self.pass.arrived.update(|arrived| arrived - 1);
        }
    }
}

/// The action runs. If it does not come to its end the barrier is broken for those that wait for it, and for others.
struct Action<'a> {
    barrier: &'a Barrier,
    pass: &'a Pass,
}

impl Action<'_> {
    fn has_ended(self) {
        std::mem::forget(self);
    }
}

impl Drop for Action<'_> {
    fn drop(&mut self) {
        self.pass.end(State::Broken);
        self.barrier.abort();
    }
}

impl fmt::Debug for Barrier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = if self.is_broken() { ", broken" } else { "" };
        write!(f, "Barrier({} of {} waiting{state})", self.waiting(), self.inner.parties)
    }
}
