//! The one suspension point.
//!
//! Every blocking call of the crate ends here, in [`park`] or [`yield_now`]. This is where a kill and an expired timeout
//! are thrown, where a shield holds them back, where a greenlet that is unwinding is refused, and where the root of a
//! thread runs the loop. The rules:
//!
//! * **Entry.** A greenlet with a pending kill or expiry does not park: it is thrown. So a kill that was swallowed by a
//!   `catch_unwind` is met again at the next park.
//! * **Exit.** A greenlet that was woken by what it waited for returns normally, even if a kill or an expiry has come in
//!   between; that one waits for the next park. So whoever was handed an item or a permit takes it, and nothing is lost.
//! * **Unwinding.** While the thread is panicking nothing parks: the count of panics belongs to the thread, and all its
//!   other greenlets would look as if they panicked. The call is [`Refused`](Woken::Refused) and returns its error.
//!
//! The way from a public call to the switch is inlined into one frame. The processor predicts returns by a stack of its
//! own, which a switch confuses, so that every frame in between costs a mispredicted return (6 ns each, measured).

use std::panic::Location;
use std::rc::Rc;
use std::time::Duration;

use crate::coro;
use crate::fifo::Ticket;
#[cfg(feature = "http")]
use crate::hub::NEVER;
use crate::hub::timers::TimerKey;
use crate::hub::{Effect, Hub, IO_BUDGET, NothingLeft, Park, Reason, State, Task, Wake};
use crate::unwind;
use crate::waitlist::{Place, WaitList, Waiter, Watch};

/// How a park ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Woken {
    /// What was waited for has come, or may have: look again.
    Notified,
    /// The deadline has come.
    TimedOut,
    /// The greenlet did not park, since it is unwinding.
    Refused,
}

/// A point in time by which a wait is to end; from `Option<Duration>` at the beginning of the wait.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline(Option<u64>);

impl Deadline {
    pub(crate) const NEVER: Deadline = Deadline(None);

    #[inline]
    pub(crate) fn after(timeout: Option<Duration>) -> Deadline {
        match timeout {
            None => Deadline::NEVER,
            Some(timeout) => Deadline::in_time(timeout),
        }
    }

    #[inline(never)]
    fn in_time(timeout: Duration) -> Deadline {
        Deadline(Hub::current().deadline(timeout))
    }

    /// The one that comes first.
    pub(crate) fn earlier(self, other: Deadline) -> Deadline {
        match (self.0, other.0) {
            (Some(one), Some(two)) => Deadline(Some(one.min(two))),
            (one, two) => Deadline(one.or(two)),
        }
    }

    pub(crate) fn has_come(self) -> bool {
        self.0.is_some_and(|deadline| Hub::current().now() >= deadline)
    }
}

/// Parks the running task until it is woken.
///
/// # Panics
/// Throws a pending kill or expiry. On the root: panics with the report of a deadlock if nothing is left to wake it.
#[inline(always)]
#[track_caller]
pub(crate) fn park(reason: Reason, deadline: Deadline) -> Woken {
    park_at(reason, deadline, Location::caller())
}

#[inline(always)]
#[track_caller]
fn park_at(reason: Reason, deadline: Deadline, site: &'static Location<'static>) -> Woken {
    let hub = Hub::current();
    if std::thread::panicking() {
        return Woken::Refused;
    }
    // As `check_entry` does, but not while the cell is looked into: to deliver may switch.
    if hub.with_running(|task| task.is_interrupted()) {
        deliver(&hub.running());
    }
    // Whoever is to wake the task has a reference. One of the frame's own would have to be counted twice.
    let (is_root, timer) = hub.with_running(|task| (task.is_root, begin(hub, task, reason, deadline, site)));
    match end(hub, is_root, timer).0 {
        Wake::Notified => Woken::Notified,
        other => woken_otherwise(hub, other),
    }
}

/// The end of a park for another reason than that something has come.
#[cold]
#[track_caller]
fn woken_otherwise(hub: &Hub, wake: Wake) -> Woken {
    match wake {
        Wake::Notified => Woken::Notified,
        Wake::TimedOut => Woken::TimedOut,
        Wake::Interrupted => deliver(&hub.running()),
        Wake::NothingLeft => panic!("{}", hub.deadlock_report()),
    }
}

/// (Root only) parks until nothing is left that could run, or until the deadline: true if nothing is left.
#[track_caller]
pub(crate) fn park_until_nothing_left(deadline: Deadline) -> bool {
    let hub = Hub::current();
    let task = hub.running();
    assert!(task.is_root, "wait_all waits for all greenlets of this thread, so none of them may call it");
    if check_entry(&task).is_some() {
        return false;
    }
    // The own deadline is no work that is left.
    struct Idle<'a>(&'a Hub);
    impl Drop for Idle<'_> {
        fn drop(&mut self) {
            self.0.idle_timers.set(0);
            self.0.root_waits_for_all.set(false);
        }
    }
    hub.idle_timers.set(usize::from(deadline.0.is_some()));
    hub.root_waits_for_all.set(true);
    let idle = Idle(hub);
    let timer = begin(hub, &task, Reason::plain(&"all greenlets"), deadline, Location::caller());
    let (woken, _) = end(hub, true, timer);
    drop(idle);
    match woken {
        Wake::NothingLeft => true,
        Wake::Interrupted => deliver(&task),
        Wake::Notified | Wake::TimedOut => false,
    }
}

/// The park of a greenlet that gives its frames up for that time: see `greenlet/rounds.rs`.
#[cfg(feature = "http")]
pub(crate) struct Rest;

#[cfg(feature = "http")]
impl Rest {
    /// Marks the running greenlet as parked. Its frames must end at once.
    ///
    /// # Panics
    /// Throws a pending kill or expiry.
    pub(crate) fn begin(reason: Reason, deadline: Deadline, site: &'static Location<'static>) -> Rest {
        let hub = Hub::current();
        let task = hub.running();
        let refused = check_entry(&task);
        debug_assert!(refused.is_none(), "a round ends after it has caught what it threw");
        begin(hub, &task, reason, Deadline::NEVER, site);
        hub.set_alarm(&task, deadline.0.unwrap_or(NEVER));
        Rest
    }

    /// The first thing that the new frames do.
    ///
    /// # Panics
    /// Throws what has come meanwhile.
    pub(crate) fn end(self, task: &Task) -> Woken {
        task.rest_until.set(NEVER);
        match task.wake.get() {
            Wake::Notified => Woken::Notified,
            Wake::TimedOut => Woken::TimedOut,
            Wake::Interrupted => deliver(task),
            Wake::NothingLeft => unreachable!("only a root is told that nothing is left"),
        }
    }
}

/// Lets everybody run who is ready now.
///
/// # Panics
/// Throws a pending kill or expiry.
#[inline(always)]
pub(crate) fn yield_now() {
    let hub = Hub::current();
    let task = hub.running();
    if check_entry(&task).is_some() {
        return;
    }
    let is_root = task.is_root;
    hub.requeue(task);
    // A root that is ready is never told that nothing is left.
    let _ = switch(hub, is_root);
}

/// Lets the others run when this greenlet has done many operations none of which had to wait. To be called before the
/// operation, so that nothing it brings is lost if the greenlet is killed here.
#[inline]
pub(crate) fn take_turn() {
    let hub = Hub::current();
    match hub.io_budget.get() {
        0 => give_way(hub),
        left => hub.io_budget.set(left - 1),
    }
}

/// Will the next [`take_turn`] let the others run?
pub(crate) fn is_turn_over() -> bool {
    Hub::current().io_budget.get() == 0
}

/// Apart, so that an operation that goes on has no registers to save for it.
#[cold]
#[inline(never)]
fn give_way(hub: &Hub) {
    hub.io_budget.set(IO_BUDGET);
    hub.had_long_turn();
    yield_now();
}

/// Gives the running greenlet so many operations until [`take_turn`] lets the others run, for one that keeps its own count.
#[inline]
pub(crate) fn lengthen_turn(operations: u32) {
    Hub::current().io_budget.set(operations);
}

/// Parks in `list`. However the park ends, the task stands in the list no longer.
#[inline]
#[track_caller]
pub(crate) fn wait_on(list: &WaitList, place: &mut Place, reason: Reason, deadline: Deadline) -> Woken {
    wait_here_on(list, place, None, reason, deadline, Location::caller()).0
}

/// [`wait_on`] in the frame of its caller, for what is waited on more often than for anything else.
///
/// A `Reason` that goes to another function is written to the stack piece by piece and read back in wider pieces at once, which the
/// processor must wait for; here it is written where it belongs. And there is one frame less to return from.
#[inline(always)]
#[track_caller]
pub(crate) fn wait_here(list: &WaitList, place: &mut Place, reason: Reason, deadline: Deadline) -> Woken {
    wait_here_on(list, place, None, reason, deadline, Location::caller()).0
}

/// [`wait_here`] with a number for whoever wakes the task from the list. Gives the number that stands there afterwards.
#[inline(always)]
#[track_caller]
pub(crate) fn wait_with_note(
    list: &WaitList,
    place: &mut Place,
    note: usize,
    reason: Reason,
    deadline: Deadline,
) -> (Woken, usize) {
    wait_here_on(list, place, Some(note), reason, deadline, Location::caller())
}

/// [`wait_on`] for a caller whose own caller is to stand in reports, and cannot be seen from here.
#[inline]
#[track_caller]
pub(crate) fn wait_on_at(
    list: &WaitList,
    place: &mut Place,
    reason: Reason,
    deadline: Deadline,
    site: &'static Location<'static>,
) -> Woken {
    wait_here_on(list, place, None, reason, deadline, site).0
}

#[inline(always)]
#[track_caller]
fn wait_here_on(
    list: &WaitList,
    place: &mut Place,
    note: Option<usize>,
    reason: Reason,
    deadline: Deadline,
    site: &'static Location<'static>,
) -> (Woken, usize) {
    let hub = Hub::current();
    let task = hub.running();
    if let Some(note) = note {
        task.note.set(note);
    }
    if let Some(refused) = check_entry(&task) {
        return (refused, note.unwrap_or_default());
    }
    let is_root = task.is_root;
    let timer = begin(hub, &task, reason, deadline, site);
    // The list gets the only reference that there is for this park: who wakes the task hands it on to the run queue, and that to the hub.
    let enrolled = Enrolled { list, ticket: list.enrol(task, place) };
    match end(hub, is_root, timer) {
        (Wake::Notified, note) => {
            enrolled.has_been_called();
            (Woken::Notified, note)
        }
        (other, note) => {
            drop(enrolled);
            (woken_otherwise(hub, other), note)
        }
    }
}

/// A place in a list that is given up with it: when the park ends, also by an unwind.
pub(crate) struct Enrolled<'a> {
    list: &'a WaitList,
    ticket: Ticket,
}

impl<'a> Enrolled<'a> {
    /// Stands in `list` as the one with that number of a watch.
    pub(crate) fn watching(list: &'a WaitList, watch: &Rc<Watch>, number: usize, place: &mut Place) -> Self {
        let ticket = list.enrol(Waiter::Watch(Box::new((watch.clone(), number))), place);
        Enrolled { list, ticket }
    }
}

impl Enrolled<'_> {
    /// It does not stand there any longer: who calls takes the entry out.
    #[inline(always)]
    fn has_been_called(self) {
        debug_assert!(!self.list.withdraw(self.ticket));
        std::mem::forget(self);
    }
}

impl Drop for Enrolled<'_> {
    fn drop(&mut self) {
        self.list.withdraw(self.ticket);
    }
}

/// Parks until one of the lists that `watch` stands in calls. The caller has looked that none has.
#[track_caller]
pub(crate) fn wait_for_call(watch: &Watch, reason: Reason, deadline: Deadline) -> Woken {
    struct Waiting<'a>(&'a Watch);
    impl Drop for Waiting<'_> {
        fn drop(&mut self) {
            self.0.set_waiting(false);
        }
    }
    watch.set_waiting(true);
    let waiting = Waiting(watch);
    let woken = park(reason, deadline);
    drop(waiting);
    woken
}

#[inline(always)]
fn check_entry(task: &Task) -> Option<Woken> {
    if std::thread::panicking() {
        return Some(Woken::Refused);
    }
    if task.is_interrupted() {
        deliver(task);
    }
    None
}

/// Throws what is pending: a kill before an expiry, as nothing outlives it.
#[cold]
fn deliver(task: &Task) -> ! {
    if task.is_kill_requested() {
        if task.kill_is_thrown_again() {
            // A loop that catches everything meets its kill over and over. The others run in between.
            let hub = Hub::current();
            hub.requeue(hub.running());
            let _ = switch(hub, false);
        }
        unwind::throw_kill();
    }
    match task.take_expired() {
        Some(scope) => unwind::throw_expiry(scope),
        None => unreachable!("a task is interrupted by a kill or by an expiry"),
    }
}

/// Marks the running task as parked, which it then must be at once.
#[inline(always)]
fn begin(
    hub: &Hub,
    task: &Rc<Task>,
    reason: Reason,
    deadline: Deadline,
    site: &'static Location<'static>,
) -> Option<TimerKey> {
    task.set_park(Park { reason, site, since: hub.recent() });
    task.state.set(State::Parked);
    deadline.0.map(|deadline| hub.arm(deadline, task.clone(), Effect::Wake))
}

/// Parks the task that is marked so, until it is woken. Gives its note too.
#[inline(always)]
fn end(hub: &Hub, is_root: bool, timer: Option<TimerKey>) -> (Wake, usize) {
    let nothing_left = switch(hub, is_root).is_err();
    if let Some(timer) = timer {
        hub.disarm(timer);
    }
    let (wake, note) = hub.wake_and_note();
    (if nothing_left { Wake::NothingLeft } else { wake }, note)
}

/// Leaves this stack until the running task's turn comes. The only call of `coro::suspend`.
#[inline(always)]
fn switch(hub: &Hub, is_root: bool) -> Result<(), NothingLeft> {
    #[cfg(feature = "testing")]
    hub.schedule.switches.set(hub.schedule.switches.get() + 1);
    if is_root {
        return hub.run_until_root();
    }
    coro::suspend();
    Ok(())
}
