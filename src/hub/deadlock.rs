//! The report of a deadlock: who waits for what, where, since when.

use std::collections::HashMap;
use std::fmt::{self, Write};
use std::time::Duration;

use super::{Holder, Holders, Hub, Object, State, Task};
use crate::error::LoopExit;

/// A report names at most so many greenlets one by one: more would bury what it says.
const LISTED: usize = 1000;

impl Hub {
    /// One line for the root and for every parked greenlet. For the moment when nothing is left to wake them.
    pub(crate) fn deadlock_report(&self) -> String {
        let mut report = format!("{}: nothing is left that could wake `{}`", LoopExit::OPENING, self.root);
        let now = self.now();
        let live = self.live.borrow();
        let parked: Vec<_> = live
            .iter()
            .map(|(_, task)| task)
            .filter(|task| matches!(task.state.get(), State::Parked | State::Fresh))
            .collect();
        let everybody = live.iter().map(|(_, task)| task).chain([&self.root]);
        let tasks = everybody.map(|task| (task.id, &**task)).collect();
        let shown = parked.iter().take(LISTED).copied();
        for task in std::iter::once(&self.root).chain(shown) {
            // Writing to a String does not fail.
            let _ = write!(report, "\n  {}", Line { task, now, tasks: &tasks, holders: &self.holders });
        }
        if parked.len() > LISTED {
            let _ = write!(report, "\n  and {} more", parked.len() - LISTED);
        }
        report
    }
}

struct Line<'a> {
    task: &'a Task,
    now: u64,
    tasks: &'a HashMap<u64, &'a Task>,
    holders: &'a Holders,
}

impl Line<'_> {
    /// Writes which greenlet has this id.
    fn write_greenlet(&self, f: &mut fmt::Formatter<'_>, id: u64) -> fmt::Result {
        match self.tasks.get(&id) {
            Some(task) => write!(f, "{task}"),
            None => write!(f, "#{id} (ended)"),
        }
    }

    fn write_object(&self, f: &mut fmt::Formatter<'_>, object: Object) -> fmt::Result {
        match object {
            Object::None => Ok(()),
            Object::Greenlet(id) => {
                f.write_str(" ")?;
                self.write_greenlet(f, id)
            }
            Object::Lock(key) => match self.holders.get(key) {
                None => Ok(()),
                Some(Holder::Readers) => f.write_str(" held by readers"),
                Some(Holder::Greenlet(id)) => {
                    f.write_str(" held by ")?;
                    self.write_greenlet(f, id)
                }
            },
            Object::Count(count) => write!(f, " {count}"),
            Object::Descriptor(descriptor) => write!(f, " {descriptor}"),
            Object::Fill(held, limit) => write!(f, ", {held} of {limit}"),
        }
    }
}

impl fmt::Display for Line<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Line { task, now, .. } = self;
        let park = task.park();
        write!(f, "{task} waits for {}", park.reason.what)?;
        self.write_object(f, park.reason.object)?;
        write!(f, " at {}", park.site)?;
        if !task.is_root {
            write!(f, ", spawned at {}", task.spawned_at)?;
        }
        write!(f, ", for {:.1?}", Duration::from_nanos(now.saturating_sub(park.since)))
    }
}
