//! The loop, and the one place that resumes a greenlet.
//!
//! ```text
//!   root blocks ─▶ ┌▶ resume ready greenlets, oldest first, at most BATCH ──▶ the root's turn? ─▶ back to the root
//!                  │        │ batch used up, or nobody ready
//!                  │        ▼
//!                  │  descriptors ─▶ messages ─▶ timers      (sleeps in the kernel if nobody is ready)
//!                  └────────┘
//! ```
//!
//! Descriptors come before timers, so that data which arrived in the same turn wins over the timeout that waits for it.
//! The batch is bounded in number and in time: greenlets which only yield to each other starve neither input nor timers.

use std::rc::Rc;
use std::time::Duration;

use super::task::NEVER;
use super::{Alarm, Effect, FETCHED_TASKS, Hub, IO_BUDGET, State, Task, Wake};
use crate::coro::{Coroutine, Label, Step};
use crate::report;
use crate::stack::DEFAULT_STACK_SIZE;
use crate::sys::driver::EVENTS;

/// Resumptions between two looks at descriptors and timers: as many as a look brings, so that however many clients come at once, whoever is
/// due by the clock stands behind no more than a batch of them.
pub(super) const BATCH: u32 = EVENTS as u32;
/// Every so many resumptions the clock is read, to cut a batch of long turns short.
const CLOCK_EVERY: u32 = 16;
/// A turn that has used up its operations on descriptors counts for so many.
const LONG_TURN: u32 = 8;
/// A batch that has taken so long is cut short. The figure is gevent's: Python's switch interval.
const BATCH_NANOS: u64 = 5_000_000;
/// So late a timer ends a batch. Not at once: of many sleepers that come due one after the other, those of a millisecond go on together, and
/// whoever they wake beyond a socket is not woken for each. It is the grain of the clocks of gevent's loop and of most others.
const LATE_NANOS: u64 = 1_000_000;

/// The memory of free stacks is given back at most so often, a bounded number at a time.
const TRIM_EVERY_NANOS: u64 = 10_000_000;

/// A greenlet that has rested and finds no stack tries again after this time.
const STACK_RETRY_NANOS: u64 = 10_000_000;

/// Why the loop has stopped without the root being woken: nothing is left that could wake anybody.
pub(crate) struct NothingLeft;

impl Hub {
    /// Runs the loop on the root's stack until the root is due.
    ///
    /// The caller has parked or requeued the root. If nothing is left that could wake anybody the root is running
    /// again, and it is told so.
    pub(crate) fn run_until_root(&self) -> Result<(), NothingLeft> {
        loop {
            while self.until_poll.get() > 0 {
                let Some(task) = self.schedule.pop() else { break };
                self.until_poll.set(self.until_poll.get() - 1);
                if self.ahead.advance() && !self.ahead.fetch() {
                    self.schedule.next(FETCHED_TASKS, Task::prefetch_rounds);
                }
                if task.is_root {
                    task.state.set(State::Running);
                    self.io_budget.set(IO_BUDGET);
                    return Ok(());
                }
                self.resume(task);
                self.cut_long_batch();
            }
            self.until_poll.set(BATCH);
            if let Err(nothing) = self.poll() {
                self.root.state.set(State::Running);
                return Err(nothing);
            }
            let ready = self.schedule.len().min(BATCH as usize) as u32;
            self.until_cut.set(BATCH - ready);
        }
    }

    fn resume(&self, task: Rc<Task>) {
        let mut frames = task.coroutine.borrow_mut();
        let coroutine = match &mut *frames {
            Some(coroutine) => coroutine,
            rested => match self.begin_round(&task) {
                Some(coroutine) => rested.insert(coroutine),
                None => return,
            },
        };
        task.state.set(State::Running);
        self.io_budget.set(IO_BUDGET);
        let resumer = self.running.replace(task.clone());
        let step = coroutine.resume();
        drop(frames);
        debug_assert!(!std::thread::panicking(), "greenlet {task} was suspended in the middle of an unwind");
        self.running.replace(resumer);
        if let Step::Finished = step {
            self.retire(&task);
        }
    }

    /// New frames for a greenlet that has rested. If no stack can be had now, it is tried again later.
    fn begin_round(&self, task: &Rc<Task>) -> Option<Coroutine> {
        let stack = match self.stacks.take(DEFAULT_STACK_SIZE) {
            Ok(stack) => stack,
            Err(error) => {
                report::line(format_args!("greenloop: greenlet {task} has to wait for a stack: {error}"));
                // It stays ready: what has woken it stands, and nothing else wakes it before this timer.
                let later = self.now().saturating_add(STACK_RETRY_NANOS);
                self.arm(later, task.clone(), Effect::Retry);
                return None;
            }
        };
        let Some(rounds) = task.rounds.take() else {
            unreachable!("a scheduled greenlet has its frames, or rounds to come, until it has finished")
        };
        let label = Label { id: task.id, name: task.name.clone() };
        let task = task.clone();
        Some(Coroutine::new(stack, label, move || rounds.run(&task)))
    }

    /// The frames of a greenlet have ended. It rests, or it is done.
    fn retire(&self, task: &Rc<Task>) {
        let coroutine = task.coroutine.borrow_mut().take();
        if let Some(coroutine) = coroutine {
            self.stacks.give(coroutine.into_stack());
        }
        if !task.is_done() {
            return;
        }
        self.clear_alarm(task);
        let entry = self.live.borrow_mut().remove(task.place.get());
        debug_assert!(Rc::ptr_eq(&entry, task));
        self.spares.give(entry);
    }

    /// A turn was as long as a turn may be. Those who always find data keep clients that have only just come waiting no longer than need be.
    pub(crate) fn had_long_turn(&self) {
        self.until_poll.set(self.until_poll.get().saturating_sub(LONG_TURN - 1));
    }

    /// Ends a batch that has taken long, or behind which a timer is late: that is known without a system call.
    ///
    /// Those who were ready when it began have their turn first, however long that takes: whoever has come meanwhile would stand behind
    /// them, so that to look earlier is of no use to anybody.
    fn cut_long_batch(&self) {
        if self.until_poll.get().is_multiple_of(CLOCK_EVERY) {
            let now = self.now();
            let is_late = || {
                let next = self.timers.borrow_mut().next_deadline();
                next.is_some_and(|deadline| deadline.saturating_add(LATE_NANOS) <= now)
            };
            let is_long = || {
                now - self.batch_start.get() > BATCH_NANOS && self.until_poll.get() <= self.until_cut.get()
            };
            if is_long() || is_late() {
                self.until_poll.set(0);
            }
        }
    }

    /// Looks at descriptors, messages and timers, and sleeps before if nobody is ready.
    ///
    /// Not in the loop that resumes, which has better use for the registers.
    #[inline(never)]
    fn poll(&self) -> Result<(), NothingLeft> {
        let idle = self.schedule.is_empty();
        let awaited = idle && !self.idlers.is_empty();
        if idle {
            self.trim_stacks();
        }
        #[cfg(feature = "testing")]
        {
            // Every turn of the batch has ended so.
            let only_yields = self.schedule.yields.replace(0) >= BATCH;
            if self.clock.is_waited_for_by_yields(only_yields) && !self.has_outside_work() {
                self.let_time_pass();
            }
            if awaited && self.clock.has_stood_long() {
                self.let_time_pass();
            }
        }
        if idle && !awaited {
            self.sleep()?;
        } else if self.reactor.is_of_interest() {
            self.reactor.poll(Some(Duration::ZERO));
        }
        self.read_inbox(|call| call());
        let now = self.now();
        self.batch_start.set(now);
        self.ring_alarms(now);
        if awaited && self.schedule.is_empty() {
            self.idlers.wake_all();
        }
        Ok(())
    }

    /// Idle turns may be a few microseconds long and follow each other closely; giving memory back takes longer.
    fn trim_stacks(&self) {
        let now = self.recent();
        if now - self.last_trim.get() >= TRIM_EVERY_NANOS {
            self.last_trim.set(now);
            self.stacks.trim();
        }
    }

    fn sleep(&self) -> Result<(), NothingLeft> {
        let outside = self.has_outside_work();
        let timed = self.timers.borrow().len() > self.idle_timers.get();
        let heralds = self.reactor.has_heralds() && !self.root_waits_for_all.get();
        if !timed && !outside && !heralds && !self.reactor.is_watching() {
            return Err(NothingLeft);
        }
        let next = self.timers.borrow_mut().next_deadline();
        self.sleep_until(next, outside);
        Ok(())
    }

    /// Sleeps until the next timer or an event, or a message if there is work outside.
    fn sleep_until(&self, next: Option<u64>, outside: bool) {
        #[cfg(feature = "testing")]
        if self.clock.is_virtual() && !outside {
            return self.jump(next);
        }
        let timeout = self.sleep_limit(next);
        match self.inbox.borrow().as_ref().filter(|_| outside) {
            None => self.reactor.poll(timeout),
            Some(inbox) if inbox.fall_asleep() => {
                self.reactor.poll(timeout);
                inbox.awake();
            }
            Some(_) => self.reactor.poll(Some(Duration::ZERO)),
        }
        #[cfg(feature = "testing")]
        if self.clock.is_virtual() {
            self.follow(next);
        }
    }

    /// Until the next timer, or until more memory of free stacks can be given back: after a burst nothing else may happen for long.
    fn sleep_limit(&self, next: Option<u64>) -> Option<Duration> {
        let until_timer = next.map(|deadline| Duration::from_nanos(deadline.saturating_sub(self.now())));
        #[cfg(feature = "testing")]
        if self.clock.is_virtual() {
            return until_timer;
        }
        let until_trim = self.stacks.has_cold_memory().then_some(Duration::from_nanos(TRIM_EVERY_NANOS));
        until_timer.into_iter().chain(until_trim).min()
    }

    /// Who waits by looking again in each idle moment, or after each yield, would wait for ever for somebody who sleeps.
    #[cfg(feature = "testing")]
    fn let_time_pass(&self) {
        let next = self.timers.borrow_mut().next_deadline();
        if next.is_some() {
            self.sleep_until(next, self.has_outside_work());
        }
    }

    /// Nobody has anything to do and time is virtual: if no descriptor has anything to say, the next timer is due at once.
    #[cfg(feature = "testing")]
    fn jump(&self, next: Option<u64>) {
        let Some(next) = next else { return self.reactor.poll(None) };
        let yielding = self.schedule.len();
        self.reactor.poll(Some(Duration::ZERO));
        if self.schedule.len() == yielding {
            self.clock.jump_to(next);
        }
    }

    /// Time is virtual, and what goes on outside was given the real time until the next timer. Unless it is work, which ends,
    /// virtual time comes after.
    #[cfg(feature = "testing")]
    fn follow(&self, next: Option<u64>) {
        let heard =
            !self.schedule.is_empty() || self.inbox.borrow().as_ref().is_some_and(|inbox| !inbox.is_empty());
        if let Some(next) = next.filter(|_| !heard && self.is_outside_work_idle()) {
            self.clock.jump_to(next);
        }
    }

    fn ring_alarms(&self, now: u64) {
        loop {
            let Some(Alarm { task, effect }) = self.timers.borrow_mut().pop_due(now) else { return };
            match effect {
                Effect::Wake => {
                    self.wake(&task, Wake::TimedOut);
                }
                Effect::Retry => self.schedule.push(task),
                Effect::Rest => {
                    task.alarm.set(None);
                    task.alarm_at.set(NEVER);
                    match task.rest_until.get() {
                        NEVER => {}
                        until if until <= now => _ = self.wake(&task, Wake::TimedOut),
                        until => self.set_alarm(&task, until),
                    }
                }
                Effect::Expire(scope) => {
                    task.scope_expired(scope);
                    if task.shields.get() == 0 {
                        self.wake(&task, Wake::Interrupted);
                    }
                }
                Effect::Start => {
                    task.start_timer.set(None);
                    self.schedule(&task);
                }
            }
        }
    }
}
