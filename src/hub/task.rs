//! The control block of one greenlet, or of a thread's root.
//!
//! ```text
//!                 schedule                resume
//!      Fresh ───────────────▶ Ready ───────────────▶ Running ──▶ Done
//!                               ▲                       │
//!                               │ wake                  │ park
//!                               └──────── Parked ◀──────┘
//! ```
//!
//! Every arrow but *park* belongs to the hub. A task is in the run queue exactly while it is `Ready` (or beside it, while there is
//! no stack for it), so a wake-up of a task that is not `Parked` finds nothing to do and says so: whoever hands out items or
//! permits then asks the next one.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::panic::Location;
use std::rc::Rc;

use crate::coro::Coroutine;
use crate::error::JoinError;
use crate::hub::ending::{Links, Outcome};
use crate::hub::timers::TimerKey;
use crate::hub::values::{Bound, Inherited, Locals};
use crate::sys::memory;
use crate::unwind::Payload;
use crate::waitlist::WaitList;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Spawned, but not to run yet (`spawn_later`).
    Fresh,
    Ready,
    Running,
    Parked,
    Done,
    /// Its thread has ended before it.
    Forgotten,
}

/// Why a parked task was woken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wake {
    /// What it waited for has come, or may have: look again.
    Notified,
    /// Its deadline has come.
    TimedOut,
    /// It is to be killed, or a timeout scope around it has run out.
    Interrupted,
    /// (Root only) nothing is left that could wake anybody.
    NothingLeft,
}

/// What a parked task waits for, in words for reports. Filling it in costs a few stores.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reason {
    /// For example `queue (get)`. Where the words are said rather than the words, since that takes one word of the task's block.
    pub(crate) what: &'static &'static str,
    pub(crate) object: Object,
}

/// Which of its kind.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Object {
    None,
    /// The greenlet with this id.
    Greenlet(u64),
    /// A lock, by its key in the table of holders.
    Lock(usize),
    /// A descriptor.
    Descriptor(i32),
    /// So many.
    Count(usize),
    /// A container that holds so many of so many, as far as 32 bits can say.
    Fill(u32, u32),
}

impl Object {
    pub(crate) fn fill(held: usize, limit: usize) -> Object {
        let short = |count| u32::try_from(count).unwrap_or(u32::MAX);
        Object::Fill(short(held), short(limit))
    }

    /// As the block of a task has room for it.
    #[inline(always)]
    fn packed(self) -> (Kind, u64) {
        match self {
            Object::None => (Kind::None, 0),
            Object::Greenlet(id) => (Kind::Greenlet, id),
            Object::Lock(key) => (Kind::Lock, key as u64),
            Object::Descriptor(descriptor) => (Kind::Descriptor, descriptor as u64),
            Object::Count(count) => (Kind::Count, count as u64),
            Object::Fill(held, limit) => (Kind::Fill, u64::from(held) << 32 | u64::from(limit)),
        }
    }

    fn unpacked(kind: Kind, which: u64) -> Object {
        match kind {
            Kind::None => Object::None,
            Kind::Greenlet => Object::Greenlet(which),
            Kind::Lock => Object::Lock(which as usize),
            Kind::Descriptor => Object::Descriptor(which as i32),
            Kind::Count => Object::Count(which as usize),
            Kind::Fill => Object::Fill((which >> 32) as u32, which as u32),
        }
    }
}

/// The kinds of [`Object`].
#[derive(Clone, Copy)]
enum Kind {
    None,
    Greenlet,
    Lock,
    Descriptor,
    Count,
    Fill,
}

impl Reason {
    pub(crate) const fn plain(what: &'static &'static str) -> Reason {
        Reason { what, object: Object::None }
    }

    pub(crate) const fn of(what: &'static &'static str, object: Object) -> Reason {
        Reason { what, object }
    }
}

/// The facts of the current park, written when it begins.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Park {
    pub(crate) reason: Reason,
    /// The call that blocks.
    pub(crate) site: &'static Location<'static>,
    /// When it began, in nanoseconds of the hub's clock as of the hub's last look at it.
    pub(crate) since: u64,
}

/// Most of a [`Park`]; the kind of the object lies where the block of a task has a byte left.
#[derive(Clone, Copy)]
struct Parked {
    what: &'static &'static str,
    which: u64,
    site: &'static Location<'static>,
    since: u64,
}

impl Park {
    fn before_first_turn(spawned_at: &'static Location<'static>) -> Park {
        Park { reason: Reason::plain(&"its first turn"), site: spawned_at, since: 0 }
    }

    #[inline(always)]
    fn packed(self) -> (Kind, Parked) {
        let Park { reason: Reason { what, object }, site, since } = self;
        let (kind, which) = object.packed();
        (kind, Parked { what, which, site, since })
    }
}

/// A time that does not come.
pub(crate) const NEVER: u64 = u64::MAX;

/// Set while a kill is to be delivered.
const KILL: u8 = 1;
/// Set while `expired` is not empty.
const EXPIRED: u8 = 2;
/// Set when the kill has been thrown at least once.
const THROWN: u8 = 4;

/// Room for what a greenlet that rests has kept.
const FETCHED: usize = 256;

/// What a wake-up, a switch and a park need comes first and lies close together: with thousands of greenlets it comes from far away, line
/// by line.
#[repr(C)]
pub(crate) struct Task {
    pub(crate) state: Cell<State>,
    pub(crate) wake: Cell<Wake>,
    /// Kills and expiries that wait for the next park.
    interrupts: Cell<u8>,
    pub(crate) is_root: bool,
    /// With what stands under `parked`, the facts of the current park: see [`park`](Self::park).
    parked_for: Cell<Kind>,
    /// How many `shield`s it is in.
    pub(crate) shields: Cell<u16>,
    parked: Cell<Parked>,
    /// The greenlet's frames; absent for a root, after the end, and while it rests. Borrowed only by the one place that resumes.
    pub(crate) coroutine: RefCell<Option<Coroutine>>,
    /// What a parked task leaves for the one that wakes it, and that one for it: a number that is theirs alone.
    pub(crate) note: Cell<usize>,
    /// What goes on after a rest, or after the greenlet's own function.
    pub(crate) rounds: Cell<Option<Box<dyn Rounds>>>,
    /// When its rest ends at the latest; [`NEVER`] also while it does not rest.
    pub(crate) rest_until: Cell<u64>,
    /// When its [`alarm`](Self::alarm) rings; [`NEVER`] if it has none.
    pub(crate) alarm_at: Cell<u64>,

    pub(crate) id: u64,
    pub(crate) name: Option<Rc<str>>,
    pub(crate) spawned_at: &'static Location<'static>,
    /// The greenlet that has spawned it; its own id for a root.
    pub(crate) parent: u64,
    /// Timeout scopes of this greenlet that have run out and are not yet left, in the order of expiry.
    expired: RefCell<VecDeque<u64>>,
    /// Its place in the hub's table of live greenlets.
    pub(crate) place: Cell<usize>,
    /// The timer of `spawn_later`.
    pub(crate) start_timer: Cell<Option<TimerKey>>,
    /// The timer of its rests. It stays from one to the next, see [`Hub::set_alarm`](super::Hub::set_alarm).
    pub(crate) alarm: Cell<Option<TimerKey>>,
    /// Who waits for its end.
    pub(crate) joiners: WaitList,
    /// How it has ended, once it has.
    pub(crate) outcome: Cell<Option<Outcome>>,
    extras: OnceCell<Box<Extras>>,
}

/// How much of a task it takes to wake it.
pub(crate) const WOKEN: usize = std::mem::offset_of!(Task, parked);
/// How much of a task a turn needs.
pub(crate) const HOT: usize = std::mem::offset_of!(Task, id);
/// The same, if it does not rest but has kept its frames.
pub(crate) const HOTTEST: usize =
    std::mem::offset_of!(Task, coroutine) + size_of::<Cell<isize>>() + Coroutine::HOT;

/// A greenlet that goes on in rounds. Between two of them it *rests*: it is parked, but has no frames and no stack.
pub(crate) trait Rounds {
    /// What to do when the last round is over: the end of the greenlet.
    fn set_end(&mut self, end: End);

    /// The next round, on a stack of its own. Keeps itself in the task if another is to follow. Nothing unwinds out of here.
    fn run(self: Box<Self>, task: &Rc<Task>);
}

/// Gets what was thrown out of the last round, if anything was.
pub(crate) type End = Box<dyn FnOnce(&Rc<Task>, Result<(), Payload>)>;

/// What most greenlets have not, kept apart so that these cost them nothing.
pub(crate) struct Extras {
    /// What is to happen at its end.
    pub(crate) links: Links,
    /// The text of its panic.
    pub(crate) failure: OnceCell<JoinError>,
    /// If it has panicked: a number that is greater than those of all that had done so before.
    pub(crate) failed_as: Cell<u64>,
    pub(crate) locals: Locals,
    pub(crate) inherited: Inherited,
}

impl Extras {
    fn new(bound: Bound) -> Extras {
        Extras {
            links: Links::new(),
            failure: OnceCell::new(),
            failed_as: Cell::new(0),
            locals: Locals::new(),
            inherited: Inherited::new(bound),
        }
    }
}

/// Where a greenlet comes from.
pub(crate) struct Origin {
    pub(crate) spawned_at: &'static Location<'static>,
    pub(crate) parent: u64,
    pub(crate) bound: Bound,
}

impl Task {
    pub(crate) fn new(id: u64, name: Option<Rc<str>>, origin: Origin) -> Task {
        let Origin { spawned_at, parent, bound } = origin;
        let extras = match bound {
            None => OnceCell::new(),
            Some(_) => OnceCell::from(Box::new(Extras::new(bound))),
        };
        Task {
            id,
            name,
            spawned_at,
            parent,
            is_root: false,
            state: Cell::new(State::Fresh),
            wake: Cell::new(Wake::Notified),
            parked_for: Cell::new(Kind::None),
            parked: Cell::new(Park::before_first_turn(spawned_at).packed().1),
            note: Cell::new(0),
            interrupts: Cell::new(0),
            expired: RefCell::new(VecDeque::new()),
            shields: Cell::new(0),
            coroutine: RefCell::new(None),
            rounds: Cell::new(None),
            rest_until: Cell::new(NEVER),
            alarm_at: Cell::new(NEVER),
            place: Cell::new(usize::MAX),
            start_timer: Cell::new(None),
            alarm: Cell::new(None),
            joiners: WaitList::new(),
            outcome: Cell::new(None),
            extras,
        }
    }

    /// Makes a task that has ended and has no extras into a new one: what each field has is named, so that none is forgotten.
    #[inline]
    pub(super) fn renew(&mut self, id: u64, name: Option<Rc<str>>, origin: Origin) {
        let Origin { spawned_at, parent, bound } = origin;
        let Task {
            id: its_id,
            name: its_name,
            spawned_at: site,
            parent: spawner,
            is_root: _,
            state,
            wake,
            parked_for: _,
            parked: _,
            note,
            interrupts,
            expired,
            shields,
            coroutine,
            rounds,
            rest_until,
            alarm_at,
            place: _, // the hub's to set
            start_timer,
            alarm,
            joiners,
            outcome,
            extras,
        } = self;
        debug_assert!(coroutine.get_mut().is_none() && rounds.get_mut().is_none() && joiners.is_empty());
        (*its_id, *site, *spawner) = (id, spawned_at, parent);
        *its_name = name;
        state.set(State::Fresh);
        wake.set(Wake::Notified);
        note.set(0);
        interrupts.set(0);
        expired.get_mut().clear();
        shields.set(0);
        rest_until.set(NEVER);
        alarm_at.set(NEVER);
        start_timer.set(None);
        alarm.set(None);
        outcome.set(None);
        if bound.is_some() {
            *extras = OnceCell::from(Box::new(Extras::new(bound)));
        }
        self.set_park(Park::before_first_turn(spawned_at));
    }

    /// The facts of the current park, or of the last.
    pub(crate) fn park(&self) -> Park {
        let Parked { what, which, site, since } = self.parked.get();
        Park { reason: Reason { what, object: Object::unpacked(self.parked_for.get(), which) }, site, since }
    }

    #[inline(always)]
    pub(crate) fn set_park(&self, park: Park) {
        let (kind, parked) = park.packed();
        self.parked_for.set(kind);
        self.parked.set(parked);
    }

    /// The control block of a thread's own stack.
    pub(crate) fn root(spawned_at: &'static Location<'static>) -> Task {
        let origin = Origin { spawned_at, parent: 0, bound: None };
        let root = Task { is_root: true, ..Task::new(0, None, origin) };
        root.state.set(State::Running);
        root
    }

    /// Its links and values, made if there are none.
    pub(crate) fn extras(&self) -> &Extras {
        self.extras.get_or_init(|| Box::new(Extras::new(None)))
    }

    /// Its links and values, if there ever were any.
    #[inline]
    pub(crate) fn extras_if_any(&self) -> Option<&Extras> {
        self.extras.get().map(|extras| &**extras)
    }

    /// Will it never run again?
    pub(crate) fn is_done(&self) -> bool {
        matches!(self.state.get(), State::Done | State::Forgotten)
    }

    /// Has the processor fetch what it has kept for its next round, which is soon.
    pub(crate) fn prefetch_rounds(&self) {
        if let Some(rounds) = self.rounds.take() {
            memory::prefetch(&raw const *rounds as *const (), FETCHED);
            self.rounds.set(Some(rounds));
        }
    }

    /// Must the next park throw?
    #[inline]
    pub(crate) fn is_interrupted(&self) -> bool {
        self.interrupts.get() != 0 && self.shields.get() == 0
    }

    pub(crate) fn is_kill_requested(&self) -> bool {
        self.interrupts.get() & KILL != 0
    }

    pub(crate) fn request_kill(&self) {
        self.interrupts.set(self.interrupts.get() | KILL);
    }

    /// Notes that the kill is thrown now; true if it was before, and somebody has swallowed it.
    pub(crate) fn kill_is_thrown_again(&self) -> bool {
        let before = self.interrupts.replace(self.interrupts.get() | THROWN);
        before & THROWN != 0
    }

    /// Notes that a timeout scope has run out.
    pub(crate) fn scope_expired(&self, scope: u64) {
        self.expired.borrow_mut().push_back(scope);
        self.interrupts.set(self.interrupts.get() | EXPIRED);
    }

    /// Is this expiry still to be met?
    pub(crate) fn has_expired(&self, scope: u64) -> bool {
        self.expired.borrow().contains(&scope)
    }

    /// Takes the expiry that is to be thrown first.
    pub(crate) fn take_expired(&self) -> Option<u64> {
        let mut expired = self.expired.borrow_mut();
        let first = expired.pop_front();
        if expired.is_empty() {
            self.interrupts.set(self.interrupts.get() & !EXPIRED);
        }
        first
    }

    /// Forgets an expiry whose clock was stopped before it was thrown; unless it has woken the greenlet, and nothing else has: that has
    /// left what it waited for, and only the expiry says why.
    pub(crate) fn withdraw_expired(&self, scope: u64) {
        let has_left = self.state.get() == State::Ready && self.wake.get() == Wake::Interrupted;
        let is_alone =
            || !self.is_kill_requested() && self.expired.borrow().iter().all(|&other| other == scope);
        if !(has_left && is_alone()) {
            self.forget_expired(scope);
        }
    }

    /// Forgets an expiry that was not thrown before its scope ended.
    pub(crate) fn forget_expired(&self, scope: u64) {
        let mut expired = self.expired.borrow_mut();
        expired.retain(|&other| other != scope);
        if expired.is_empty() {
            self.interrupts.set(self.interrupts.get() & !EXPIRED);
        }
    }
}

/// `#7 `producer``, or the root's name.
impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.name, self.is_root) {
            (_, true) => f.write_str(std::thread::current().name().unwrap_or("the root of this thread")),
            (Some(name), _) => write!(f, "#{} `{name}`", self.id),
            (None, _) => write!(f, "#{}", self.id),
        }
    }
}
