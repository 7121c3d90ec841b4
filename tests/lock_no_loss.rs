//! Whatever is killed or runs out of time, and whenever: locks exclude, nobody stays outside a free one, and no notification
//! is lost.

mod common;

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use common::{OnDrop, ignore};
use greenloop::lock::{Condvar, Mutex, OnceCell, ReentrantMutex, RwLock};
use greenloop::testing::with_seed;
use greenloop::{Greenlet, kill_all, sleep, spawn, timeout, wait_all, yield_now};
use proptest::prelude::*;

/// How a call is limited.
#[derive(Clone, Copy, Debug)]
enum Limit {
    None,
    Try,
    /// The `_timeout` form.
    Call(u8),
    /// A `timeout` around the unlimited form.
    Around(u8),
}

#[derive(Clone, Copy, Debug)]
enum Op {
    /// Lock and keep it for so many yields.
    Lock(Limit, u8),
    LockTwice(Limit, u8),
    Read(Limit, u8),
    Write(Limit, u8),
    /// Put a token into the mutex, and notify.
    Give,
    /// Wait for a token at the condition.
    Take(Limit),
    /// Lock in a destructor run by a panic, if that is possible.
    LockUnwinding(u8),
    Make(bool, u8),
    Yield(u8),
    Sleep(u8),
    /// Keep the whole thread busy, so that deadlines pass unnoticed.
    Compute(u8),
}

/// What the root does while the workers run.
#[derive(Clone, Copy, Debug)]
enum Act {
    Kill(usize),
    KillAndGoOn(usize),
    Op(Op),
    /// Let everything run that can, and look.
    Settle,
}

fn micros(n: u8) -> Duration {
    Duration::from_micros(u64::from(n) * 4)
}

fn limit() -> impl Strategy<Value = Limit> {
    prop_oneof![
        5 => Just(Limit::None),
        1 => Just(Limit::Try),
        2 => (0..50_u8).prop_map(Limit::Call),
        2 => (0..50_u8).prop_map(Limit::Around),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let held = || (limit(), 0..4_u8);
    prop_oneof![
        4 => held().prop_map(|(limit, yields)| Op::Lock(limit, yields)),
        3 => held().prop_map(|(limit, yields)| Op::LockTwice(limit, yields)),
        5 => held().prop_map(|(limit, yields)| Op::Read(limit, yields)),
        4 => held().prop_map(|(limit, yields)| Op::Write(limit, yields)),
        3 => Just(Op::Give),
        3 => limit().prop_map(Op::Take),
        1 => (0..4_u8).prop_map(Op::LockUnwinding),
        1 => (any::<bool>(), 0..4_u8).prop_map(|(fail, yields)| Op::Make(fail, yields)),
        2 => (0..4_u8).prop_map(Op::Yield),
        1 => (0..30_u8).prop_map(Op::Sleep),
        1 => (0..30_u8).prop_map(Op::Compute),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    // The root must not block for good: it waits for no token.
    let harmless = op().prop_filter("it may block", |op| !matches!(op, Op::Take(Limit::None)));
    prop_oneof![
        2 => any::<usize>().prop_map(Act::Kill),
        4 => any::<usize>().prop_map(Act::KillAndGoOn),
        6 => harmless.prop_map(Act::Op),
        3 => Just(Act::Settle),
    ]
}

/// Limits a call that has the three forms.
fn limited<G>(
    limit: Limit,
    lock: impl FnOnce() -> G,
    attempt: impl FnOnce() -> Option<G>,
    timed: impl FnOnce(Duration) -> Option<G>,
) -> Option<G> {
    match limit {
        Limit::None => Some(lock()),
        Limit::Try => attempt(),
        Limit::Call(n) => timed(micros(n)),
        Limit::Around(n) => timeout(micros(n), lock).ok(),
    }
}

/// Says that somebody is inside until the result is dropped; nobody must be who excludes it.
fn go_in(inside: &Cell<i32>, alone: bool) -> OnDrop<impl FnMut()> {
    let before = inside.get();
    assert!(if alone { before == 0 } else { before >= 0 }, "{before} are inside");
    let step = if alone { -1 } else { 1 };
    inside.set(before + step);
    OnDrop(move || inside.set(inside.get() - step))
}

#[derive(Default)]
struct World {
    /// Tokens.
    mutex: Mutex<u32>,
    changed: Condvar,
    reentrant: ReentrantMutex<()>,
    lock: RwLock<()>,
    cell: OnceCell<()>,
    in_mutex: Cell<i32>,
    in_reentrant: Cell<i32>,
    in_lock: Cell<i32>,
    in_cell: Cell<i32>,
    given: Cell<u32>,
    taken: Cell<u32>,
}

fn yields(n: u8) {
    (0..n).for_each(|_| yield_now());
}

impl World {
    fn run(&self, op: Op) {
        match op {
            Op::Lock(limit, n) => {
                let mutex = &self.mutex;
                let got =
                    limited(limit, || mutex.lock(), || mutex.try_lock(), |time| mutex.lock_timeout(time));
                let Some(_guard) = got else { return };
                let _inside = go_in(&self.in_mutex, true);
                yields(n);
            }
            Op::LockTwice(limit, n) => {
                let mutex = &self.reentrant;
                let got =
                    limited(limit, || mutex.lock(), || mutex.try_lock(), |time| mutex.lock_timeout(time));
                let Some(_outer) = got else { return };
                let _inside = go_in(&self.in_reentrant, true);
                yields(n);
                let inner = mutex.lock();
                yields(n);
                drop(inner);
                assert!(mutex.is_held_by_current());
            }
            Op::Read(limit, n) => {
                let lock = &self.lock;
                let got = limited(limit, || lock.read(), || lock.try_read(), |time| lock.read_timeout(time));
                let Some(_guard) = got else { return };
                let _inside = go_in(&self.in_lock, false);
                yields(n);
            }
            Op::Write(limit, n) => {
                let lock = &self.lock;
                let got =
                    limited(limit, || lock.write(), || lock.try_write(), |time| lock.write_timeout(time));
                let Some(_guard) = got else { return };
                let _inside = go_in(&self.in_lock, true);
                yields(n);
            }
            Op::Give => {
                *self.mutex.lock() += 1;
                self.given.update(|given| given + 1);
                self.changed.notify_one();
            }
            Op::Take(limit) => self.take(limit),
            Op::LockUnwinding(n) => self.lock_unwinding(n),
            Op::Make(fail, n) => {
                let made = self.cell.get_or_try_init(|| {
                    let _inside = go_in(&self.in_cell, true);
                    yields(n);
                    if fail { Err(()) } else { Ok(()) }
                });
                ignore(made);
            }
            Op::Yield(n) => yields(n),
            Op::Sleep(n) => sleep(micros(n)),
            Op::Compute(n) => std::thread::sleep(micros(n)),
        }
    }

    fn take(&self, limit: Limit) {
        let (mutex, changed) = (&self.mutex, &self.changed);
        let none = |tokens: &mut u32| *tokens == 0;
        let got = limited(
            limit,
            || changed.wait_while(mutex.lock(), none),
            || mutex.try_lock(),
            |time| Some(changed.wait_timeout_while(mutex.lock(), time, none).0),
        );
        let Some(mut tokens) = got.filter(|tokens| **tokens > 0) else { return };
        let _inside = go_in(&self.in_mutex, true);
        // Nothing parks between these two lines, so a kill cannot fall between them.
        *tokens -= 1;
        self.taken.update(|taken| taken + 1);
    }

    /// What was locked while unwinding is kept over switches afterwards.
    fn lock_unwinding(&self, n: u8) {
        let mut guards = (None, None, None);
        let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _guard = OnDrop(|| {
                // In their timed forms they take what is promised to others, but do not wait.
                guards = (
                    self.mutex.lock_timeout(micros(n)),
                    self.lock.write_timeout(micros(n)),
                    self.reentrant.lock_timeout(micros(n)),
                );
            });
            std::panic::resume_unwind(Box::new("a panic without a message"));
        }));
        assert!(caught.is_err());
        let (mutex, lock, reentrant) = guards;
        let _in_mutex = mutex.as_ref().map(|_| go_in(&self.in_mutex, true));
        let _in_lock = lock.as_ref().map(|_| go_in(&self.in_lock, true));
        let _in_reentrant = reentrant.as_ref().map(|_| go_in(&self.in_reentrant, true));
        yields(n);
    }

    /// For a moment when nothing runs and nothing is due: nobody holds anything, so nobody waits, but for tokens.
    fn check_quiet(&self) -> Result<(), TestCaseError> {
        prop_assert!(self.mutex.try_lock().is_some(), "the mutex is not free");
        prop_assert!(self.reentrant.try_lock().is_some(), "the reentrant mutex is not free");
        prop_assert!(self.lock.try_write().is_some(), "the rwlock is not free");
        prop_assert!(self.in_cell.get() == 0, "somebody still makes the value");
        let tokens = *self.mutex.lock();
        prop_assert_eq!(self.given.get(), self.taken.get() + tokens, "tokens");
        let waiting = format!("{:?}", self.changed);
        if tokens > 0 {
            prop_assert_eq!(waiting, "Condvar(0 waiting)", "there are {} tokens", tokens);
        }
        Ok(())
    }
}

fn run(programs: Vec<Vec<Op>>, acts: &[Act]) -> Result<(), TestCaseError> {
    let world = Rc::new(World::default());
    let workers: Vec<Greenlet<()>> = programs
        .into_iter()
        .map(|ops| {
            let world = world.clone();
            spawn(move || ops.into_iter().for_each(|op| world.run(op)))
        })
        .collect();
    for &act in acts {
        match act {
            Act::Kill(which) => workers[which % workers.len()].kill(),
            Act::KillAndGoOn(which) => workers[which % workers.len()].kill_nowait(),
            Act::Op(op) => world.run(op),
            Act::Settle => {
                wait_all();
                world.check_quiet()?;
            }
        }
    }
    wait_all();
    world.check_quiet()?;
    // Tokens one by one: each must reach somebody who waits.
    for _ in 0..workers.len() {
        world.run(Op::Give);
        wait_all();
        world.check_quiet()?;
    }
    kill_all(&workers);
    world.check_quiet()?;
    for worker in workers {
        if let Err(error) = worker.join() {
            prop_assert!(error.is_killed(), "{}", error);
        }
    }
    prop_assert_eq!(Rc::strong_count(&world), 1);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    // LO15, LO20
    #[test]
    fn locks_exclude_and_nobody_stays_outside_a_free_one(
        programs in prop::collection::vec(prop::collection::vec(op(), 1..12), 1..8),
        acts in prop::collection::vec(act(), 0..25),
    ) {
        run(programs, &acts)?;
    }

    // LO15, LO20: the same when those that are ready run in any order.
    #[test]
    fn in_whatever_order_they_run(
        programs in prop::collection::vec(prop::collection::vec(op(), 1..12), 1..8),
        acts in prop::collection::vec(act(), 0..25),
        seed in any::<u64>(),
    ) {
        with_seed(seed, || run(programs, &acts))?;
    }
}
