//! Of queues of every kind: whatever is killed or runs out of time, and whenever, no item is lost or doubled, and nobody stays
//! parked beside somebody who could serve him.

mod common;
#[path = "common/drawn.rs"]
mod drawn;

use std::cell::{Cell, RefCell};
use std::fmt::Debug;
use std::rc::Rc;
use std::time::Duration;

use common::ignore;
use drawn::drawn;
use greenloop::queue::{Channel, GetError, JoinableQueue, LifoQueue, PriorityQueue, PutError, Queue};
use greenloop::testing::for_each_seed;
use greenloop::{Greenlet, kill_all, select, sleep, spawn, timeout, wait_all, yield_now};
use proptest::prelude::*;

/// Every second one lets others run while it is cloned, in a peek.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Item(u32);

impl Clone for Item {
    fn clone(&self) -> Item {
        if self.0.is_multiple_of(2) {
            yield_now();
        }
        Item(self.0)
    }
}

/// What the kinds have in common.
trait Subject: Clone + Debug + 'static {
    fn build(capacity: usize) -> Self;
    fn put(&self, item: Item) -> Result<(), PutError<Item>>;
    fn put_timeout(&self, item: Item, timeout: Duration) -> Result<(), PutError<Item>>;
    fn try_put(&self, item: Item) -> Result<(), PutError<Item>>;
    fn get(&self) -> Result<Item, GetError>;
    fn get_timeout(&self, timeout: Duration) -> Result<Item, GetError>;
    fn try_get(&self) -> Result<Item, GetError>;
    fn select_get(&self) -> Result<Item, GetError>;
    fn peek(&self);
    fn inside(&self) -> usize;
    fn has_room(&self) -> bool;
    fn close(&self);
}

macro_rules! subject {
    ($Kind:ident, $build:expr, $peek:expr, $has_room:expr) => {
        impl Subject for $Kind<Item> {
            fn build(capacity: usize) -> Self {
                $build(capacity)
            }
            fn put(&self, item: Item) -> Result<(), PutError<Item>> {
                $Kind::put(self, item)
            }
            fn put_timeout(&self, item: Item, timeout: Duration) -> Result<(), PutError<Item>> {
                $Kind::put_timeout(self, item, timeout)
            }
            fn try_put(&self, item: Item) -> Result<(), PutError<Item>> {
                $Kind::try_put(self, item)
            }
            fn get(&self) -> Result<Item, GetError> {
                $Kind::get(self)
            }
            fn get_timeout(&self, timeout: Duration) -> Result<Item, GetError> {
                $Kind::get_timeout(self, timeout)
            }
            fn try_get(&self) -> Result<Item, GetError> {
                $Kind::try_get(self)
            }
            fn select_get(&self) -> Result<Item, GetError> {
                select! {
                    item = self.get() => item,
                    _ = after(Duration::from_micros(50)) => Err(GetError::Empty),
                }
            }
            fn peek(&self) {
                $peek(self)
            }
            fn inside(&self) -> usize {
                self.len()
            }
            fn has_room(&self) -> bool {
                $has_room(self)
            }
            fn close(&self) {
                $Kind::close(self)
            }
        }
    };
}

subject!(Queue, Queue::bounded, |q: &Self| ignore(q.peek()), |q: &Self| !q.is_full());
subject!(LifoQueue, LifoQueue::bounded, |q: &Self| ignore(q.peek()), |q: &Self| !q.is_full());
subject!(PriorityQueue, PriorityQueue::bounded, |q: &Self| ignore(q.peek()), |q: &Self| !q.is_full());
subject!(JoinableQueue, JoinableQueue::bounded, |q: &Self| ignore(q.peek()), |q: &Self| !q.is_full());
subject!(Channel, |_| Channel::new(), |_: &Self| yield_now(), |_: &Self| false);

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
    Put(Limit),
    Get(Limit),
    Select,
    Peek,
    Yield,
}

/// What the root does while the workers run.
#[derive(Clone, Copy, Debug)]
enum Act {
    KillAndGoOn(usize),
    Put,
    Get,
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
        2 => (0..30_u8).prop_map(Limit::Call),
        2 => (0..30_u8).prop_map(Limit::Around),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        5 => limit().prop_map(Op::Put),
        5 => limit().prop_map(Op::Get),
        1 => Just(Op::Select),
        1 => Just(Op::Peek),
        1 => Just(Op::Yield),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => any::<usize>().prop_map(Act::KillAndGoOn),
        2 => Just(Act::Put),
        2 => Just(Act::Get),
        2 => Just(Act::Yield),
        1 => (0..20_u8).prop_map(Act::Sleep),
        2 => Just(Act::Settle),
    ]
}

/// A queue and the books on it.
struct World<Q> {
    queue: Q,
    next_item: Cell<u32>,
    put: RefCell<Vec<u32>>,
    got: RefCell<Vec<u32>>,
}

impl<Q: Subject> World<Q> {
    fn put(&self, limit: Limit) {
        let item = self.next_item.replace(self.next_item.get() + 1);
        let taken = match limit {
            Limit::None => self.queue.put(Item(item)).is_ok(),
            Limit::Try => self.queue.try_put(Item(item)).is_ok(),
            Limit::Call(n) => self.queue.put_timeout(Item(item), micros(n)).is_ok(),
            Limit::Around(n) => timeout(micros(n), || self.queue.put(Item(item)).is_ok()).unwrap_or(false),
        };
        // Nothing parks between the call and this line, so a kill cannot fall between them.
        if taken {
            self.put.borrow_mut().push(item);
        }
    }

    fn note(&self, got: Result<Item, GetError>) {
        self.got.borrow_mut().extend(got.map(|item| item.0));
    }

    fn get(&self, limit: Limit) {
        self.note(match limit {
            Limit::None => self.queue.get(),
            Limit::Try => self.queue.try_get(),
            Limit::Call(n) => self.queue.get_timeout(micros(n)),
            Limit::Around(n) => timeout(micros(n), || self.queue.get()).unwrap_or(Err(GetError::Empty)),
        });
    }

    fn work(&self, ops: &[Op]) {
        for &op in ops {
            match op {
                Op::Put(limit) => self.put(limit),
                Op::Get(limit) => self.get(limit),
                Op::Select => self.note(self.queue.select_get()),
                Op::Peek => self.queue.peek(),
                Op::Yield => yield_now(),
            }
        }
    }

    /// For a moment when nothing runs and nothing is due.
    fn check(&self) -> Result<(), TestCaseError> {
        let shown = format!("{:?}", self.queue);
        let nobody_gets = shown.contains("0 getting");
        prop_assert!(nobody_gets || self.queue.inside() == 0, "somebody waits for an item: {}", shown);
        let nobody_puts = shown.contains("0 putting");
        prop_assert!(nobody_puts || !self.queue.has_room(), "somebody waits for room: {}", shown);
        prop_assert!(nobody_gets || nobody_puts, "they wait for each other: {}", shown);
        let (mut put, mut got) = (self.put.borrow().clone(), self.got.borrow().clone());
        prop_assert_eq!(put.len(), got.len() + self.queue.inside(), "items");
        put.sort_unstable();
        got.sort_unstable();
        prop_assert!(got.windows(2).all(|pair| pair[0] != pair[1]), "an item was got twice: {:?}", got);
        prop_assert!(got.iter().all(|item| put.binary_search(item).is_ok()), "got, but not put");
        Ok(())
    }
}

fn run<Q: Subject>(capacity: usize, programs: Vec<Vec<Op>>, acts: &[Act]) -> Result<(), TestCaseError> {
    let world = Rc::new(World {
        queue: Q::build(capacity),
        next_item: Cell::new(0),
        put: RefCell::default(),
        got: RefCell::default(),
    });
    let workers: Vec<Greenlet<()>> = programs
        .into_iter()
        .map(|ops| {
            let world = world.clone();
            spawn(move || world.work(&ops))
        })
        .collect();
    for &act in acts {
        match act {
            Act::KillAndGoOn(which) => workers[which % workers.len()].kill_nowait(),
            Act::Put => world.put(Limit::Try),
            Act::Get => world.get(Limit::Try),
            Act::Yield => yield_now(),
            Act::Sleep(n) => sleep(micros(n)),
            Act::Settle => {
                wait_all();
                world.check()?;
            }
        }
    }
    wait_all();
    world.check()?;
    // Nobody stays parked beside a closed queue; some are killed at the same time.
    world.queue.close();
    workers.iter().step_by(3).for_each(|worker| worker.kill_nowait());
    wait_all();
    let shown = format!("{:?}", world.queue);
    prop_assert!(shown.contains("0 getting, 0 putting"), "{}", shown);
    world.check()?;
    kill_all(&workers);
    let panicked =
        workers.into_iter().filter_map(|worker| worker.join().err()).find(|error| error.is_panic());
    prop_assert!(panicked.is_none(), "{}", panicked.unwrap());
    Ok(())
}

fn programs() -> impl Strategy<Value = Vec<Vec<Op>>> {
    prop::collection::vec(prop::collection::vec(op(), 1..8), 1..10)
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    prop::collection::vec(act(), 0..30)
}

/// Programs and the orders in which they run, both from the seed, which a failure prints. Time is virtual, so that limits run out
/// beside every step of the others.
fn two_thousand_seeds<Q: Subject>() {
    let world = (1..3_usize, programs(), acts());
    for_each_seed(2_000, |seed| {
        let (capacity, programs, acts) = drawn(&world, seed);
        if let Err(error) = run::<Q>(capacity, programs, &acts) {
            panic!("{error}")
        }
    });
}

// QU11, QU14, QU40, QU41, QU42, KL23
#[test]
fn two_thousand_seeds_lose_nothing_in_a_channel() {
    two_thousand_seeds::<Channel<Item>>();
}

// QU11, QU14, QU40, QU41, QU42, KL23
#[test]
fn two_thousand_seeds_lose_nothing_in_a_queue() {
    two_thousand_seeds::<Queue<Item>>();
}

// QU11, QU14, QU40, QU41, QU42, KL23
#[test]
fn two_thousand_seeds_lose_nothing_in_a_lifo_queue() {
    two_thousand_seeds::<LifoQueue<Item>>();
}

// QU11, QU14, QU40, QU41, QU42, KL23
#[test]
fn two_thousand_seeds_lose_nothing_in_a_priority_queue() {
    two_thousand_seeds::<PriorityQueue<Item>>();
}

// QU11, QU14, QU40, QU41, QU42, KL23
#[test]
fn two_thousand_seeds_lose_nothing_in_a_joinable_queue() {
    two_thousand_seeds::<JoinableQueue<Item>>();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    // QU11, QU14, QU40, QU41, QU42, KL23
    #[test]
    fn a_queue_loses_nothing(capacity in 1..3_usize, programs in programs(), acts in acts()) {
        run::<Queue<Item>>(capacity, programs, &acts)?;
    }

    // QU11, QU14, QU40, QU41, QU42, KL23
    #[test]
    fn a_lifo_queue_loses_nothing(capacity in 1..3_usize, programs in programs(), acts in acts()) {
        run::<LifoQueue<Item>>(capacity, programs, &acts)?;
    }

    // QU11, QU14, QU40, QU41, QU42, KL23
    #[test]
    fn a_priority_queue_loses_nothing(capacity in 1..3_usize, programs in programs(), acts in acts()) {
        run::<PriorityQueue<Item>>(capacity, programs, &acts)?;
    }

    // QU11, QU14, QU40, QU41, QU42, KL23
    #[test]
    fn a_joinable_queue_loses_nothing(capacity in 1..3_usize, programs in programs(), acts in acts()) {
        run::<JoinableQueue<Item>>(capacity, programs, &acts)?;
    }

    // QU11, QU14, QU40, QU41, QU42, KL23
    #[test]
    fn a_channel_loses_nothing(capacity in 1..3_usize, programs in programs(), acts in acts()) {
        run::<Channel<Item>>(capacity, programs, &acts)?;
    }
}
