//! The hub: one per OS thread that uses greenlets. It owns the run queue, the timers, the reactor, the stacks and the
//! table of live greenlets, and it is the only one that resumes.
//!
//! There is no thread or function "the loop": the loop runs underneath whichever blocking call the thread's own stack (the
//! *root*) is in, see `turn.rs`. The hub knows nothing of sockets, locks or queues; those wake tasks.
//!
//! A hub appears with the first call that needs it, and nobody holds one: what a program wants of the hub of its thread are
//! the functions of this module.

mod ahead;
mod clock;
mod current;
mod deadlock;
mod ending;
mod holders;
mod hooks;
mod inbox;
mod outside;
mod public;
mod schedule;
mod spares;
mod task;
#[cfg(all(test, greenloop_loom))]
mod tests;
pub(crate) mod timers;
mod turn;
mod values;

use std::cell::{Cell, RefCell};
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use slab::Slab;

use crate::reactor::Reactor;
use crate::stack::StackPool;
use crate::sys;
use crate::waitlist::WaitList;
pub(crate) use ahead::{Ahead, FETCHED_TASKS, Places};
use clock::Clock;
#[doc(hidden)]
pub use ending::Outcome;
pub(crate) use ending::{Link, Links};
use holders::Holders;
pub(crate) use holders::{Contender, Contention, Holder};
pub(crate) use hooks::Hook;
use hooks::Hooks;
pub(crate) use inbox::{Inbox, Message};
pub(crate) use outside::{Completion, Outside};
pub use public::{remote, threadpool};
use schedule::Schedule;
use spares::Spares;
#[cfg(feature = "http")]
pub(crate) use task::{End, Rounds};
pub(crate) use task::{Extras, NEVER, Object, Origin, Park, Reason, State, Task, Wake};
use timers::{TimerKey, Timers};
pub(crate) use turn::NothingLeft;
pub(crate) use values::{Bound, Key};

/// What is to happen to a task when a timer fires. The task stands beside the effect: to drop an alarm is to let go of the task,
/// whatever the effect.
struct Alarm {
    task: Rc<Task>,
    effect: Effect,
}

/// What a timer does to its task.
pub(crate) enum Effect {
    /// Ends its park: the deadline has come.
    Wake,
    /// Runs out one of its timeout scopes.
    Expire(u64),
    /// Starts it (`spawn_later`).
    Start,
    /// It is ready and found no stack: lets it try again.
    Retry,
    /// Ends its rest, if that is over.
    Rest,
}

pub(crate) struct Hub {
    root: Rc<Task>,
    /// Who runs just now.
    running: RefCell<Rc<Task>>,
    pub(crate) schedule: Schedule,
    /// Every greenlet that has not ended. This is what keeps a parked one alive.
    live: RefCell<Slab<Rc<Task>>>,
    spares: Spares,
    timers: RefCell<Timers<Alarm>>,
    pub(crate) clock: Clock,
    pub(crate) reactor: Reactor,
    pub(crate) stacks: StackPool,
    /// Always there, until the hub ends.
    inbox: RefCell<Option<Arc<Inbox>>>,
    outside: RefCell<Slab<Rc<dyn Outside>>>,
    /// Of the locks that somebody waits for.
    holders: Holders,
    /// How many entries of `outside` are no reason to go on.
    bystanders: Cell<usize>,
    next_id: Cell<u64>,
    /// Resumptions left until the hub looks at timers and descriptors again.
    until_poll: Cell<u32>,
    /// So many are left of them when those who were ready at its last look have had their turn.
    until_cut: Cell<u32>,
    pub(crate) ahead: Ahead,
    batch_start: Cell<u64>,
    last_trim: Cell<u64>,
    /// Timers that are armed but are no reason to go on: with these alone nothing is left to do.
    pub(crate) idle_timers: Cell<usize>,
    /// The root waits until nothing is left that is a reason to go on.
    pub(crate) root_waits_for_all: Cell<bool>,
    /// Input and output operations the running task may still do before it lets others run.
    pub(crate) io_budget: Cell<u32>,
    /// Who waits until nobody is ready.
    pub(crate) idlers: WaitList,
    pub(crate) spawn_hooks: Hooks,
}

/// Operations on descriptors that a greenlet may do in one go while none of them blocks.
pub(crate) const IO_BUDGET: u32 = 32;

impl Hub {
    #[track_caller]
    fn new() -> Hub {
        let (reactor, waker) = Reactor::new().unwrap_or_else(|error| {
            panic!("cannot make a hub for this thread: its poller could not be opened: {error}")
        });
        crate::sys::overflow::install();
        let root = Rc::new(Task::root(Location::caller()));
        Hub {
            running: RefCell::new(root.clone()),
            root,
            schedule: Schedule::new(),
            live: RefCell::new(Slab::new()),
            spares: Spares::new(),
            timers: RefCell::new(Timers::new()),
            clock: Clock::new(),
            reactor,
            stacks: StackPool::new(),
            inbox: RefCell::new(Some(Inbox::new(waker))),
            outside: RefCell::new(Slab::new()),
            holders: Holders::new(),
            bystanders: Cell::new(0),
            next_id: Cell::new(1),
            until_poll: Cell::new(turn::BATCH),
            until_cut: Cell::new(turn::BATCH),
            ahead: Ahead::new(),
            batch_start: Cell::new(0),
            last_trim: Cell::new(0),
            idle_timers: Cell::new(0),
            root_waits_for_all: Cell::new(false),
            io_budget: Cell::new(IO_BUDGET),
            idlers: WaitList::new(),
            spawn_hooks: Hooks::new(),
        }
    }

    /// The task that runs on this thread now.
    #[inline]
    pub(crate) fn running(&self) -> Rc<Task> {
        self.running.borrow().clone()
    }

    /// Looks at the task that runs on this thread now. Nothing may switch meanwhile.
    #[inline]
    pub(crate) fn with_running<R>(&self, look: impl FnOnce(&Rc<Task>) -> R) -> R {
        look(&self.running.borrow())
    }

    /// The id of the task that runs on this thread now.
    #[inline]
    pub(crate) fn running_id(&self) -> u64 {
        self.running.borrow().id
    }

    /// Why the running task was woken last, and its note.
    #[inline]
    pub(crate) fn wake_and_note(&self) -> (Wake, usize) {
        let running = self.running.borrow();
        (running.wake.get(), running.note.get())
    }

    /// A number for a greenlet or a timeout scope that no other of this hub has.
    pub(crate) fn new_id(&self) -> u64 {
        let id = self.next_id.get();
        self.next_id.set(id + 1);
        id
    }

    /// Where a greenlet comes from that is spawned now.
    pub(crate) fn origin(&self, spawned_at: &'static Location<'static>) -> Origin {
        let running = self.running.borrow();
        Origin {
            spawned_at,
            parent: running.id,
            bound: running.extras_if_any().and_then(|extras| extras.inherited.all()),
        }
    }

    /// A new greenlet, in the table of live ones.
    pub(crate) fn new_task(&self, name: Option<Rc<str>>, origin: Origin) -> Rc<Task> {
        let task = self.spares.task(self.new_id(), name, origin);
        task.place.set(self.live.borrow_mut().insert(task.clone()));
        task
    }

    pub(crate) fn has_live_greenlets(&self) -> bool {
        !self.live.borrow().is_empty()
    }

    /// Lets a fresh task run when its turn comes.
    pub(crate) fn schedule(&self, task: &Rc<Task>) {
        if task.state.get() == State::Fresh {
            task.state.set(State::Ready);
            self.schedule.push(task.clone());
        }
    }

    /// Ends the park of a task. False if it is not parked: then nothing has happened.
    #[inline]
    pub(crate) fn wake(&self, task: &Rc<Task>, wake: Wake) -> bool {
        task.state.get() == State::Parked && self.wake_owned(task.clone(), wake)
    }

    /// The same, for whoever has no more use for the reference.
    #[inline]
    pub(crate) fn wake_owned(&self, task: Rc<Task>, wake: Wake) -> bool {
        if task.state.get() != State::Parked {
            return false;
        }
        task.state.set(State::Ready);
        task.wake.set(wake);
        self.schedule.push(task);
        true
    }

    /// Puts the running task at the end of the run queue; it must park at once.
    #[inline]
    pub(crate) fn requeue(&self, task: Rc<Task>) {
        #[cfg(feature = "testing")]
        self.schedule.yields.update(|yields| yields.wrapping_add(1));
        task.state.set(State::Ready);
        task.wake.set(Wake::Notified);
        self.schedule.push(task);
    }

    /// Asks for the end of a task. It is delivered when the task parks or is parked, unless it is shielded.
    pub(crate) fn kill(&self, task: &Rc<Task>) {
        task.request_kill();
        match task.state.get() {
            State::Fresh => {
                if let Some(key) = task.start_timer.take() {
                    self.disarm(key);
                }
                self.schedule(task);
            }
            State::Parked if task.shields.get() == 0 => {
                self.wake(task, Wake::Interrupted);
            }
            _ => {}
        }
    }

    /// Now, in nanoseconds of the hub's clock. Reads the clock, so a deadline computed from it is never early.
    pub(crate) fn now(&self) -> u64 {
        self.clock.now()
    }

    /// The time at the hub's last look at its clock.
    #[inline]
    pub(crate) fn recent(&self) -> u64 {
        self.clock.recent()
    }

    /// The instant `after` from now, or `None` if that is beyond the clock's reach (584 years): never.
    pub(crate) fn deadline(&self, after: Duration) -> Option<u64> {
        self.now().checked_add(clock::nanos(after)?)
    }

    pub(crate) fn arm(&self, deadline: u64, task: Rc<Task>, effect: Effect) -> TimerKey {
        self.timers.borrow_mut().insert(deadline, Alarm { task, effect })
    }

    /// Has the rest of a task end at this time.
    ///
    /// Most rests end before, and the next one then is to end later. So an alarm that is not too late is left as it is; if it rings too
    /// early it is set again. A connection that serves a hundred requests in a second sets one in all that time.
    pub(crate) fn set_alarm(&self, task: &Rc<Task>, rest_until: u64) {
        task.rest_until.set(rest_until);
        if rest_until < task.alarm_at.get() {
            self.clear_alarm(task);
            task.alarm.set(Some(self.arm(rest_until, task.clone(), Effect::Rest)));
            task.alarm_at.set(rest_until);
        }
    }

    /// It will rest no more, or until an earlier time.
    pub(crate) fn clear_alarm(&self, task: &Task) {
        if task.alarm_at.replace(NEVER) != NEVER
            && let Some(alarm) = task.alarm.take()
        {
            self.disarm(alarm);
        }
    }

    /// Is it still to fire?
    pub(crate) fn is_armed(&self, key: TimerKey) -> bool {
        self.timers.borrow().contains(key)
    }

    /// Cancels a timer; true if it had not fired.
    pub(crate) fn disarm(&self, key: TimerKey) -> bool {
        let task = self.timers.borrow_mut().remove(key).map(|alarm| alarm.task);
        // Dropped after the borrow has ended: it may be the last reference to a task.
        task.is_some()
    }

    /// The thread ends: the values that its root has for itself are dropped.
    fn end_root_locals(&self) {
        while let Some(value) = self.root.extras().locals.give_up() {
            drop(value);
        }
    }

    /// The thread ends while greenlets live: they are forgotten with their stacks, after the jobs that borrow from them. A
    /// wake-up by a destructor that runs later, when the thread may have another hub, must not bring one back.
    fn abandon(&self) {
        // At the end of the process nobody waits for a job that may block for long.
        if !sys::thread::is_main() {
            self.wait_for_borrowers();
        }
        for (_, task) in self.live.borrow().iter() {
            task.state.set(State::Forgotten);
            // As the frames of the others: no destructor runs.
            std::mem::forget(task.rounds.take());
        }
        self.root.state.set(State::Forgotten);
        self.tell_of_the_end();
    }

    /// The hub ends: it reads no messages any more.
    fn take_inbox(&self) -> Option<Arc<Inbox>> {
        self.inbox.take()
    }
}

#[cfg(feature = "testing")]
impl Hub {
    /// Counts turns and operations from here, as if the hub were new: what runs from now on depends on nothing that ran before.
    pub(crate) fn count_anew(&self) {
        self.until_poll.set(turn::BATCH);
        self.until_cut.set(turn::BATCH);
        self.io_budget.set(IO_BUDGET);
        self.batch_start.set(self.now());
        self.clock.count_anew();
        self.schedule.yields.set(0);
    }

    /// Kills every greenlet whose number is higher, also those that others spawn as they die, and runs until they are dead, unless the
    /// thread is panicking. Those that are parked and cannot end are left. One that goes on and on is the error.
    pub(crate) fn kill_younger_than(&self, id: u64) -> Result<(), Rc<Task>> {
        /// So often a greenlet may come round again after its kill. One that does what is left to do within a `shield` is done before.
        const PATIENCE: u32 = 10_000;
        for left in (0..=PATIENCE).rev() {
            let younger: Vec<_> =
                self.live.borrow().iter().map(|(_, task)| task.clone()).filter(|task| task.id > id).collect();
            for task in &younger {
                self.kill(task);
            }
            match younger.into_iter().find(|task| task.state.get() == State::Ready) {
                Some(task) if left == 0 => return Err(task),
                Some(_) if !std::thread::panicking() => {}
                _ => break,
            }
            self.requeue(self.running());
            let _ = self.run_until_root();
        }
        Ok(())
    }
}
