//! Orders drawn by a seeded generator.

use std::cell::{Cell, RefCell};
use std::panic::resume_unwind;
use std::rc::Rc;

use super::virtual_time;
use crate::hub::{Hub, Task};
use crate::report;
use crate::unwind;

/// The state of the generator that was in force before a `with_seed`, if any was.
type Before = Rc<Cell<Option<u64>>>;

thread_local! {
    /// Of those that are under way. Several greenlets may be in one, and leave it in any order.
    static UNDER_WAY: RefCell<Vec<Before>> = const { RefCell::new(Vec::new()) };
}

/// Runs `f` while the next greenlet to run is drawn among all that are ready, in an order that depends on nothing but
/// `seed`; so does the order in which a [`select!`](crate::select!) asks its arms. For code whose result must not depend on who comes first.
///
/// **Switches**: if `f` does.
///
/// **While unwinding** nothing waits in `f` either.
///
/// # Examples
/// ```
/// use greenloop::{join_all, spawn, testing, yield_now};
/// use std::{cell::RefCell, rc::Rc};
///
/// let order = |seed| {
///     let log = Rc::new(RefCell::new(Vec::new()));
///     testing::with_seed(seed, || {
///         join_all((0..8).map(|n| { let log = log.clone(); spawn(move || { yield_now(); log.borrow_mut().push(n) }) }));
///     });
///     log.take()
/// };
/// assert_eq!(order(7), order(7)); // can be replayed
/// assert!((0..10).any(|seed| order(seed) != order(7)));
/// ```
pub fn with_seed<T>(seed: u64, f: impl FnOnce() -> T) -> T {
    struct UnderWay(Before);
    impl Drop for UnderWay {
        fn drop(&mut self) {
            let next = UNDER_WAY.with_borrow_mut(|under_way| {
                let own = under_way.iter().position(|before| Rc::ptr_eq(before, &self.0))?;
                under_way.remove(own);
                under_way.get(own).cloned()
            });
            match next {
                // It goes on, and puts back later what was before both.
                Some(next) => next.set(self.0.get()),
                None => _ = Hub::current().schedule.set_seed(self.0.get()),
            }
        }
    }
    let hub = Hub::current();
    hub.count_anew();
    let before = Rc::new(Cell::new(hub.schedule.set_seed(Some(seed))));
    UNDER_WAY.with_borrow_mut(|under_way| under_way.push(before.clone()));
    let _under_way = UnderWay(before);
    f()
}

fn from_environment(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    match text.parse() {
        Ok(number) => Some(number),
        Err(_) => panic!("{name} is `{text}`, which is not a number"),
    }
}

/// Runs `f` once for each seed from 0 to `count`, each time [`with_seed`] and in [`virtual_time`], from the root of the
/// thread. It is given the seed, from which it may draw what else is to differ. Greenlets that a run leaves behind are killed
/// before the next, as are those that they spawn as they die. One that is parked in a [`shield`](crate::shield()) stays.
///
/// If the environment variable `GREENLOOP_SEED` is set, only that seed is run. With `GREENLOOP_SEEDS` it is so many, whatever `count` says:
/// more of them over night, or fewer where each takes long.
///
/// **Switches**: yes.
///
/// **While unwinding** nothing waits in `f` either, and greenlets that it leaves behind end later.
///
/// # Panics
/// If `f` does, after printing the seed to standard error. If a greenlet that it leaves behind goes on for thousands of turns after its
/// kill: with its name and where it was spawned, or, if `f` has panicked, after printing that.
///
/// # Examples
/// ```
/// use greenloop::{queue::Queue, spawn, testing};
///
/// testing::for_each_seed(100, |_seed| {
///     let queue = Queue::bounded(1);
///     let sum = spawn({ let queue = queue.clone(); move || queue.into_iter().sum::<u32>() });
///     (0..3).for_each(|n| queue.put(n).unwrap());
///     queue.close();
///     assert_eq!(sum.join().unwrap(), 3);
/// });
/// ```
pub fn for_each_seed(count: u64, mut f: impl FnMut(u64)) {
    let seeds = match (from_environment("GREENLOOP_SEED"), from_environment("GREENLOOP_SEEDS")) {
        (Some(only), _) => only..only.saturating_add(1),
        (None, other) => 0..other.unwrap_or(count),
    };
    assert!(
        std::thread::panicking() || Hub::current().running().is_root,
        "for_each_seed kills what a run leaves behind, so it is for the root of a thread"
    );
    for seed in seeds {
        let hub = Hub::current();
        let before = hub.new_id();
        let outcome = unwind::catch(|| virtual_time(|| with_seed(seed, || f(seed))));
        if outcome.is_err() {
            // Before the kills, as destructors may hang, or end the process.
            tell(seed);
        }
        let left_over = hub.kill_younger_than(before).map_err(|task| goes_on(&task));
        match (outcome, left_over) {
            (Ok(()), Ok(())) => {}
            (Ok(()), Err(text)) => {
                tell(seed);
                panic!("{text}");
            }
            (Err(payload), left_over) => {
                if let Err(text) = left_over {
                    report::line(format_args!("greenloop: {text}"));
                }
                resume_unwind(payload);
            }
        }
    }
}

fn tell(seed: u64) {
    report::line(format_args!(
        "greenloop: it failed with seed {seed}; replay it alone with GREENLOOP_SEED={seed}"
    ));
}

fn goes_on(task: &Task) -> String {
    format!(
        "greenlet {task}, spawned at {}, goes on and on though it was killed after the run: code that catches panics must pass on \
         what it does not know, with `resume_unwind`, and a `shield` must end",
        task.spawned_at
    )
}
