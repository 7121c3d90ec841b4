//! The life of a greenlet from its first turn to its last.
//!
//! ```text
//!   f() ─▶ the value is kept ─▶ own and inherited values are dropped ─▶ links are prepared ─▶ done ─▶ joiners wake
//!          └────── destructors and clones of the user's may block here, the greenlet still runs ──────┘
//! ```
//!
//! From the moment when the links are prepared no code of the user's runs any more, so what is prepared is complete. The
//! greenlets of the links stand in the run queue before the joiners: each has had its first turn before any of those goes on.

use std::rc::Rc;

use super::join::Slot;
use super::link;
use crate::error::JoinError;
use crate::hub::{Extras, Hub, Links, Outcome, State, Task};
use crate::report;
use crate::unwind;

/// What a greenlet does, on its own stack. Nothing unwinds out of here.
pub(super) fn live<F, T>(f: F, slot: Rc<Slot<T>>)
where
    F: FnOnce() -> T,
    T: 'static,
{
    let task = Hub::current().running();
    // Killed before its first turn it never runs: its closure is dropped, here, on its own stack.
    let result = match task.is_kill_requested() {
        true => unwind::catch(|| drop(f)).and_then(|()| Err(unwind::kill())),
        false => unwind::catch(f),
    };
    match (task.rounds.take(), result) {
        (None, result) => finish(result, slot, &task),
        (Some(mut rounds), Ok(value)) => {
            rounds.set_end(Box::new(move |task, over| finish(over.map(|()| value), slot, task)));
            rounds.run(&task);
        }
        (Some(rounds), failure) => {
            quietly(|| drop(rounds));
            finish(failure, slot, &task);
        }
    }
}

fn finish<T>(result: Result<T, unwind::Payload>, slot: Rc<Slot<T>>, task: &Rc<Task>) {
    let result = result.map_err(|payload| match unwind::is_kill(&payload) {
        true => JoinError::killed(),
        false => JoinError::panicked(payload),
    });
    let outcome = match &result {
        Ok(_) => Outcome::Value,
        Err(error) if error.is_panic() => {
            let _ = task.extras().failure.set(error.clone());
            Outcome::Panicked
        }
        Err(_) => Outcome::Killed,
    };
    // If nobody will ask for the value it is dropped now, while the greenlet may still block.
    quietly(|| {
        slot.set(result, task);
        drop(slot);
    });
    end(task, outcome);
}

#[inline]
fn end(task: &Rc<Task>, outcome: Outcome) {
    if let Some(extras) = task.extras_if_any() {
        settle(task, extras, outcome);
    }
    task.outcome.set(Some(outcome));
    task.state.set(State::Done);
    task.joiners.wake_all();
}

/// Drops the values, prepares the links, and notes the order of failures.
#[cold]
fn settle(task: &Rc<Task>, extras: &Extras, outcome: Outcome) {
    while let Some(value) = extras.locals.give_up() {
        quietly(|| drop(value));
    }
    if let Some(bound) = extras.inherited.replace(None) {
        quietly(|| drop(bound));
    }
    prepare_links(task, &extras.links, outcome);
    if outcome == Outcome::Panicked {
        // At last, as all that is above may take its time.
        extras.failed_as.set(Hub::current().new_id());
    }
}

/// Drops the links that do not want the outcome, and makes a greenlet for each of the others.
fn prepare_links(task: &Rc<Task>, links: &Links, outcome: Outcome) {
    // First, as their destructors are the user's code: if one blocked behind a greenlet that is made, that would run before the end.
    for_each_link(links, outcome, |number, wanted| {
        if !wanted {
            quietly(|| drop(links.take(number)));
        }
    });
    for_each_link(links, outcome, |number, wanted| {
        match wanted.then(|| link::start(task, number, outcome)) {
            Some(Ok(())) => return,
            Some(Err(error)) => {
                report::line(format_args!("greenloop: a link of greenlet {task} cannot run: {error}"));
            }
            None => {} // added by the destructor of one that could not run
        }
        quietly(|| drop(links.take(number)));
    });
}

/// Also for those that the user's destructors add meanwhile: they have greater numbers.
fn for_each_link(links: &Links, outcome: Outcome, mut f: impl FnMut(u64, bool)) {
    let mut last = 0;
    while let Some((number, wanted)) = links.next_spawned(last, outcome) {
        last = number;
        f(number, wanted);
    }
}

/// Runs destructors of the user's. A panic in them has been reported by the panic hook, and nobody is left to be told.
fn quietly(f: impl FnOnce()) {
    // Not dropped: the destructor of what it threw might panic again.
    std::mem::forget(unwind::catch(f));
}
