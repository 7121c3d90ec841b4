//! Whatever is killed or runs out of time, and whenever: no item and no permit is lost or doubled, and nobody stays parked beside
//! something that could be had.

mod common;
#[path = "common/drawn.rs"]
mod drawn;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use common::{OnDrop, ignore};
use drawn::drawn;
use greenloop::lock::Semaphore;
use greenloop::queue::{GetError, Queue};
use greenloop::testing::for_each_seed;
use greenloop::{Greenlet, Timeout, kill_all, sleep, spawn, timeout, wait_all, yield_now};
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
    /// The same with a `Timeout`, whose clock others may stop and start anew.
    Shared(u8),
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Put(Limit),
    Get(Limit),
    Peek(Limit),
    /// Take a permit and keep it for so many yields.
    Hold(Limit, u8),
    WaitForPermit(Limit),
    Yield(u8),
    Sleep(u8),
    /// Start the clock of somebody's `Timeout` anew.
    Restart(usize),
    Cancel(usize),
    /// Keep the whole thread busy, so that deadlines pass unnoticed.
    Compute(u8),
}

/// What the root does while the workers run.
#[derive(Clone, Copy, Debug)]
enum Act {
    Kill(usize),
    /// Kill a greenlet and let it run only later, in the same turn as what comes next.
    KillAndGoOn(usize),
    Put,
    Get,
    Release,
    TryAcquire,
    Yield,
    Sleep(u8),
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
        2 => (0..50_u8).prop_map(Limit::Shared),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        5 => limit().prop_map(Op::Put),
        5 => limit().prop_map(Op::Get),
        1 => limit().prop_map(Op::Peek),
        4 => (limit(), 0..4_u8).prop_map(|(limit, yields)| Op::Hold(limit, yields)),
        1 => limit().prop_map(Op::WaitForPermit),
        2 => (0..4_u8).prop_map(Op::Yield),
        1 => (0..30_u8).prop_map(Op::Sleep),
        2 => any::<usize>().prop_map(Op::Restart),
        1 => any::<usize>().prop_map(Op::Cancel),
        1 => (0..30_u8).prop_map(Op::Compute),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        2 => any::<usize>().prop_map(Act::Kill),
        4 => any::<usize>().prop_map(Act::KillAndGoOn),
        2 => Just(Act::Put),
        3 => Just(Act::Get),
        2 => Just(Act::Release),
        2 => Just(Act::TryAcquire),
        3 => Just(Act::Yield),
        1 => (0..30_u8).prop_map(Act::Sleep),
        3 => Just(Act::Settle),
    ]
}

/// The queue and the semaphore of one run, and the books on them.
struct World {
    queue: Queue<u32>,
    semaphore: Semaphore,
    next_item: Cell<u32>,
    put: RefCell<Vec<u32>>,
    got: RefCell<Vec<u32>>,
    permits: Cell<usize>,
    held: Cell<usize>,
    /// The `Timeout`s in whose scopes somebody is.
    limits: RefCell<Vec<Rc<Timeout>>>,
}

impl World {
    fn new(capacity: usize, permits: usize) -> World {
        World {
            queue: Queue::bounded(capacity),
            semaphore: Semaphore::new(permits),
            next_item: Cell::new(0),
            put: RefCell::default(),
            got: RefCell::default(),
            permits: Cell::new(permits),
            held: Cell::new(0),
            limits: RefCell::default(),
        }
    }

    /// Calls `f` within a `Timeout` that others find.
    fn within<T>(&self, n: u8, f: impl FnOnce() -> T) -> Option<T> {
        let limit = Rc::new(Timeout::new(micros(n)));
        limit
            .run(|| {
                self.limits.borrow_mut().push(limit.clone());
                let _listed = OnDrop(|| self.limits.borrow_mut().retain(|other| !Rc::ptr_eq(other, &limit)));
                f()
            })
            .ok()
    }

    fn limit(&self, which: usize) -> Option<Rc<Timeout>> {
        let limits = self.limits.borrow();
        limits.get(which % limits.len().max(1)).cloned()
    }

    fn put(&self, limit: Limit) {
        let item = self.next_item.get();
        self.next_item.set(item + 1);
        let queue = &self.queue;
        let taken = match limit {
            Limit::None => queue.put(item).is_ok(),
            Limit::Try => queue.try_put(item).is_ok(),
            Limit::Call(n) => queue.put_timeout(item, micros(n)).is_ok(),
            Limit::Around(n) => timeout(micros(n), || queue.put(item).is_ok()).unwrap_or(false),
            Limit::Shared(n) => self.within(n, || queue.put(item).is_ok()).unwrap_or(false),
        };
        // Nothing parks between the call and this line, so a kill cannot fall between them.
        if taken {
            self.put.borrow_mut().push(item);
        }
    }

    fn get(&self, limit: Limit) {
        let queue = &self.queue;
        let got = match limit {
            Limit::None => queue.get(),
            Limit::Try => queue.try_get(),
            Limit::Call(n) => queue.get_timeout(micros(n)),
            Limit::Around(n) => timeout(micros(n), || queue.get()).unwrap_or(Err(GetError::Empty)),
            Limit::Shared(n) => self.within(n, || queue.get()).unwrap_or(Err(GetError::Empty)),
        };
        if let Ok(item) = got {
            self.got.borrow_mut().push(item);
        }
    }

    fn peek(&self, limit: Limit) {
        match limit {
            Limit::None | Limit::Try => ignore(self.queue.peek()),
            Limit::Call(n) => ignore(self.queue.peek_timeout(micros(n))),
            Limit::Around(n) => ignore(timeout(micros(n), || self.queue.peek())),
            Limit::Shared(n) => ignore(self.within(n, || self.queue.peek())),
        }
    }

    fn hold(&self, limit: Limit, yields: u8) {
        let semaphore = &self.semaphore;
        let taken = match limit {
            Limit::None => semaphore.acquire(),
            Limit::Try => semaphore.try_acquire(),
            Limit::Call(n) => semaphore.acquire_timeout(micros(n)),
            Limit::Around(n) => timeout(micros(n), || semaphore.acquire()).unwrap_or(false),
            Limit::Shared(n) => self.within(n, || semaphore.acquire()).unwrap_or(false),
        };
        if !taken {
            return;
        }
        self.held.set(self.held.get() + 1);
        let _permit = OnDrop(|| {
            self.held.set(self.held.get() - 1);
            semaphore.release();
        });
        (0..yields).for_each(|_| yield_now());
    }

    fn wait_for_permit(&self, limit: Limit) {
        match limit {
            Limit::None | Limit::Try => ignore(self.semaphore.wait(None)),
            Limit::Call(n) => ignore(self.semaphore.wait(Some(micros(n)))),
            Limit::Around(n) => ignore(timeout(micros(n), || self.semaphore.wait(None))),
            Limit::Shared(n) => ignore(self.within(n, || self.semaphore.wait(None))),
        }
    }

    fn work(&self, ops: &[Op]) {
        for &op in ops {
            match op {
                Op::Put(limit) => self.put(limit),
                Op::Get(limit) => self.get(limit),
                Op::Peek(limit) => self.peek(limit),
                Op::Hold(limit, yields) => self.hold(limit, yields),
                Op::WaitForPermit(limit) => self.wait_for_permit(limit),
                Op::Yield(n) => (0..n).for_each(|_| yield_now()),
                Op::Sleep(n) => sleep(micros(n)),
                Op::Restart(which) => self.limit(which).iter().for_each(|limit| limit.restart()),
                Op::Cancel(which) => self.limit(which).iter().for_each(|limit| limit.cancel()),
                Op::Compute(n) => std::thread::sleep(micros(n)),
            }
        }
    }

    /// What the root does never blocks for good.
    fn act(&self, act: Act, workers: &[Greenlet<()>]) {
        match act {
            Act::Kill(which) => workers[which % workers.len()].kill(),
            Act::KillAndGoOn(which) => workers[which % workers.len()].kill_nowait(),
            Act::Put => self.put(Limit::Try),
            Act::Get => self.get(Limit::Try),
            Act::Release => {
                self.permits.set(self.permits.get() + 1);
                self.semaphore.release();
            }
            Act::TryAcquire => {
                if self.semaphore.try_acquire() {
                    self.permits.set(self.permits.get() - 1);
                }
            }
            Act::Yield => yield_now(),
            Act::Sleep(n) => sleep(micros(n)),
            Act::Settle => wait_all(),
        }
    }

    /// For a moment when nothing runs and nothing is due.
    fn check_quiet(&self) -> Result<(), TestCaseError> {
        self.check_books()?;
        let (queue, semaphore) = (format!("{:?}", self.queue), format!("{:?}", self.semaphore));
        if !self.queue.is_empty() {
            prop_assert!(queue.contains(" 0 getting"), "somebody waits for an item: {queue}");
        }
        if !self.queue.is_full() {
            prop_assert!(queue.contains(" 0 putting"), "somebody waits for room: {queue}");
        }
        if self.semaphore.available() > 0 {
            prop_assert!(semaphore.contains(" 0 waiting"), "somebody waits for a permit: {semaphore}");
        }
        Ok(())
    }

    fn check_books(&self) -> Result<(), TestCaseError> {
        prop_assert_eq!(self.semaphore.available() + self.held.get(), self.permits.get(), "permits");
        let (mut put, got) = (self.put.borrow().clone(), self.got.borrow().clone());
        prop_assert_eq!(put.len(), got.len() + self.queue.len(), "items");
        put.sort_unstable();
        let mut sorted = got;
        sorted.sort_unstable();
        prop_assert!(sorted.windows(2).all(|pair| pair[0] != pair[1]), "an item was got twice: {:?}", sorted);
        prop_assert!(
            sorted.iter().all(|item| put.binary_search(item).is_ok()),
            "an item was got that was not put"
        );
        Ok(())
    }
}

fn run(
    capacity: usize,
    permits: usize,
    programs: Vec<Vec<Op>>,
    acts: &[Act],
    serve: bool,
) -> Result<(), TestCaseError> {
    let world = Rc::new(World::new(capacity, permits));
    let workers: Vec<Greenlet<()>> = programs
        .into_iter()
        .map(|ops| {
            let world = world.clone();
            spawn(move || world.work(&ops))
        })
        .collect();
    for &act in acts {
        world.act(act, &workers);
        world.check_books()?;
        if let Act::Settle = act {
            world.check_quiet()?;
        }
    }
    wait_all();
    world.check_quiet()?;

    // More of everything, one by one: each must reach somebody who waits for it.
    for _ in 0..if serve { workers.len() } else { 0 } {
        world.act(Act::Release, &workers);
        world.act(Act::Get, &workers);
        wait_all();
        world.check_quiet()?;
        world.act(Act::Put, &workers);
        wait_all();
        world.check_quiet()?;
    }

    // Nobody stays parked beside a closed queue; some are killed at the same time.
    world.queue.close();
    workers.iter().step_by(3).for_each(|worker| worker.kill_nowait());
    wait_all();
    prop_assert!(format!("{:?}", world.queue).contains("0 getting, 0 putting"), "{:?}", world.queue);
    while let Ok(item) = world.queue.try_get() {
        world.got.borrow_mut().push(item);
    }
    kill_all(&workers);
    world.check_books()?;
    prop_assert_eq!(world.held.get(), 0);
    prop_assert_eq!(world.put.borrow().len(), world.got.borrow().len());
    let panicked = workers
        .into_iter()
        .map(Greenlet::join)
        .find_map(|result| result.err().filter(|error| error.is_panic()));
    prop_assert!(panicked.is_none(), "{}", panicked.unwrap());
    Ok(())
}

// QU11, QU14, QU40 to QU42, LO15, LO16, LO18, KL23: programs and the orders in which they run, both from the seed, which the
// failure prints. Time is virtual, so that limits run out beside every step of the others.
#[test]
fn ten_thousand_seeds_lose_nothing_and_forget_nobody() {
    let timeless = op().prop_map(|op| if let Op::Compute(n) = op { Op::Sleep(n) } else { op });
    let programs = prop::collection::vec(prop::collection::vec(timeless, 1..10), 1..12);
    let world = (1..4_usize, 0..3_usize, programs, any::<bool>(), prop::collection::vec(act(), 0..40));
    for_each_seed(10_000, |seed| {
        let (capacity, permits, programs, serve, acts) = drawn(&world, seed);
        if let Err(error) = run(capacity, permits, programs, &acts, serve) {
            panic!("{error}")
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    // QU11, QU14, QU40, QU41, QU42, LO15, LO16, LO18, KL23
    #[test]
    fn no_item_and_no_permit_is_lost_and_nobody_is_forgotten(
        capacity in 1..4_usize,
        permits in 0..3_usize,
        programs in prop::collection::vec(prop::collection::vec(op(), 1..10), 1..12),
        serve in any::<bool>(),
        acts in prop::collection::vec(act(), 0..40),
    ) {
        run(capacity, permits, programs, &acts, serve)?;
    }

    // The same with nothing but getters, putters and kills, where the interleavings are the densest.
    #[test]
    fn no_item_is_lost_between_getters_and_putters_that_are_killed(
        capacity in 1..3_usize,
        programs in prop::collection::vec(
            prop::collection::vec(
                prop_oneof![Just(Op::Put(Limit::None)), Just(Op::Get(Limit::None)), Just(Op::Peek(Limit::None))],
                1..5,
            ),
            1..10,
        ),
        serve in any::<bool>(),
        acts in prop::collection::vec(
            prop_oneof![
                3 => any::<usize>().prop_map(Act::KillAndGoOn),
                2 => Just(Act::Put),
                2 => Just(Act::Get),
                1 => Just(Act::Yield),
                3 => Just(Act::Settle),
            ],
            0..40,
        ),
    ) {
        run(capacity, 0, programs, &acts, serve)?;
    }
}
