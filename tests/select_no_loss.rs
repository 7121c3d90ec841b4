//! Of `select!` over unlike things: whatever is killed or runs out of time, and whenever, an arm that has taken something is the one whose
//! body runs, and nobody stays parked beside something that could be had.

mod common;
#[path = "common/drawn.rs"]
mod drawn;

use std::cell::{Cell, RefCell};
use std::fmt::Debug;
use std::rc::Rc;
use std::time::Duration;

use common::{OnDrop, ignore};
use drawn::drawn;
use greenloop::event::{AsyncResult, Event};
use greenloop::lock::Semaphore;
use greenloop::queue::{Channel, GetError, PriorityQueue, PutError, Queue};
use greenloop::testing::for_each_seed;
use greenloop::{
    Greenlet, Waitable, kill_all, select, sleep, spawn, timeout, wait_all, wait_any_timeout, yield_now,
};
use proptest::prelude::*;

#[derive(Clone, Copy, Debug)]
enum Op {
    GetOrMeet,
    GetOrResultOrPermit,
    PermitOrMeetOrEvent,
    PutOrGetTheSame,
    PutOneWayOrTheOther,
    LookOrLeave(u8),
    OnlyIfReady,
    // What the arms are selected beside.
    Meet,
    MeetInTime(u8),
    Put,
    Acquire,
    Watch(u8),
    SetEvent,
    ClearEvent,
    SetResult,
    NewResult,
}

#[derive(Clone, Copy, Debug)]
enum Act {
    Kill(usize),
    Get,
    Meet,
    Yield,
    Sleep(u8),
    /// Let everything run that can, and look.
    Settle,
}

fn micros(n: u8) -> Duration {
    Duration::from_micros(u64::from(n))
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => prop_oneof![
            Just(Op::GetOrMeet),
            Just(Op::GetOrResultOrPermit),
            Just(Op::PermitOrMeetOrEvent),
            Just(Op::PutOrGetTheSame),
            Just(Op::PutOneWayOrTheOther),
            (0..9_u8).prop_map(Op::LookOrLeave),
            Just(Op::OnlyIfReady),
        ],
        8 => prop_oneof![
            Just(Op::Meet),
            (0..9_u8).prop_map(Op::MeetInTime),
            Just(Op::Put),
            Just(Op::Acquire),
            (0..9_u8).prop_map(Op::Watch),
            Just(Op::SetEvent),
            Just(Op::ClearEvent),
            Just(Op::SetResult),
            Just(Op::NewResult),
        ],
    ]
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => any::<usize>().prop_map(Act::Kill),
        1 => Just(Act::Get),
        1 => Just(Act::Meet),
        2 => Just(Act::Yield),
        1 => (0..9_u8).prop_map(Act::Sleep),
        1 => Just(Act::Settle),
    ]
}

/// What is selected, and the books on it.
struct World {
    queue: Queue<u32>,
    sorted: PriorityQueue<u32>,
    meeting: Channel<u32>,
    permit: Semaphore,
    event: Event,
    result: RefCell<AsyncResult<()>>,
    held: Cell<usize>,
    next_item: Cell<u32>,
    put: RefCell<Vec<u32>>,
    got: RefCell<Vec<u32>>,
}

impl World {
    fn new() -> World {
        World {
            queue: Queue::bounded(1),
            sorted: PriorityQueue::bounded(2),
            meeting: Channel::new(),
            permit: Semaphore::new(1),
            event: Event::new(),
            result: RefCell::default(),
            held: Cell::new(0),
            next_item: Cell::new(0),
            put: RefCell::default(),
            got: RefCell::default(),
        }
    }

    fn item(&self) -> u32 {
        self.next_item.replace(self.next_item.get() + 1)
    }

    // Nothing parks between a call and these, so a kill cannot fall between them.

    fn note_got(&self, got: Result<u32, GetError>) {
        self.got.borrow_mut().extend(got);
    }

    fn note_put(&self, item: u32, done: Result<(), PutError<u32>>) {
        self.put.borrow_mut().extend(done.map(|()| item));
    }

    fn hold(&self) {
        self.held.set(self.held.get() + 1);
        let _permit = OnDrop(|| {
            self.held.set(self.held.get() - 1);
            self.permit.release();
        });
        yield_now();
    }

    fn work(&self, op: Op) {
        let World { queue, sorted, meeting, permit, event, .. } = self;
        let (result, item) = (self.result.borrow().clone(), self.item());
        match op {
            Op::GetOrMeet => select! {
                got = queue.get() => self.note_got(got),
                got = meeting.get() => self.note_got(got),
            },
            Op::GetOrResultOrPermit => select! {
                got = queue.get() => self.note_got(got),
                _ = result.get() => {}
                got = sorted.get() => self.note_got(got),
                _ = permit.acquire() => self.hold(),
            },
            Op::PermitOrMeetOrEvent => select! {
                _ = permit.acquire() => self.hold(),
                got = meeting.get() => self.note_got(got),
                _ = event.wait() => {}
            },
            Op::PutOrGetTheSame => select! {
                done = queue.put(item) => self.note_put(item, done),
                got = queue.get() => self.note_got(got),
            },
            Op::PutOneWayOrTheOther => select! {
                done = queue.put(item) => self.note_put(item, done),
                done = sorted.put(item) => self.note_put(item, done),
                _ = result.get() => {}
            },
            Op::LookOrLeave(n) => select! {
                got = sorted.get() => self.note_got(got),
                _ = permit.wait() => {}
                got = meeting.get() => self.note_got(got),
                _ = after(micros(n)) => {}
            },
            Op::OnlyIfReady => select! {
                got = meeting.get() => self.note_got(got),
                _ = result.get() => {}
                done = sorted.put(item) => self.note_put(item, done),
                default => {}
            },
            Op::Meet => self.note_put(item, meeting.put(item)),
            Op::MeetInTime(n) => self.note_put(item, meeting.put_timeout(item, micros(n))),
            Op::Put => self.note_put(item, sorted.put(item)),
            Op::Acquire => {
                if permit.acquire() {
                    self.hold();
                }
            }
            Op::Watch(n) => {
                let objects: [&dyn Waitable; 5] = [queue, sorted, meeting, permit, &result];
                ignore(wait_any_timeout(&objects, micros(n)));
            }
            Op::SetEvent => event.set(),
            Op::ClearEvent => event.clear(),
            Op::SetResult => ignore(result.set(())),
            Op::NewResult => ignore(self.result.take()),
        }
    }

    /// What the root does never blocks for good.
    fn act(&self, act: Act, workers: &[Greenlet<()>]) {
        match act {
            Act::Kill(which) => workers[which % workers.len()].kill_nowait(),
            Act::Get => self.note_got(self.queue.try_get()),
            Act::Meet => self.note_got(self.meeting.try_get()),
            Act::Yield => yield_now(),
            Act::Sleep(n) => sleep(micros(n)),
            Act::Settle => {
                wait_all();
                self.check_quiet();
            }
        }
    }

    /// For a moment when nothing runs and nothing is due.
    fn check_quiet(&self) {
        let World { queue, sorted, meeting, permit, .. } = self;
        let nobody = |where_to: &dyn Debug, whom| {
            let text = format!("{where_to:?}");
            text.contains(&format!(" 0 {whom}")) || text.contains(&format!("(0 {whom}"))
        };
        assert!(queue.is_empty() || nobody(queue, "getting"), "somebody waits for an item: {queue:?}");
        assert!(sorted.is_empty() || nobody(sorted, "getting"), "somebody waits for an item: {sorted:?}");
        assert!(queue.is_full() || nobody(queue, "putting"), "somebody waits for room: {queue:?}");
        assert!(sorted.is_full() || nobody(sorted, "putting"), "somebody waits for room: {sorted:?}");
        assert!(nobody(meeting, "getting") || nobody(meeting, "putting"), "they do not meet: {meeting:?}");
        assert!(permit.available() == 0 || nobody(permit, "waiting"), "somebody waits: {permit:?}");
        assert_eq!(permit.available() + self.held.get(), 1, "permits");
    }

    /// At the end, when nobody is left.
    fn check_books(&self) {
        let (mut put, mut got) = (self.put.take(), self.got.take());
        got.extend(std::iter::from_fn(|| self.queue.try_get().ok()));
        got.extend(std::iter::from_fn(|| self.sorted.try_get().ok()));
        put.sort_unstable();
        got.sort_unstable();
        assert_eq!(put, got, "items");
        assert_eq!((self.held.get(), self.permit.available()), (0, 1), "permits");
    }
}

fn run(programs: Vec<Vec<(Op, Option<u8>)>>, acts: &[Act]) {
    let world = Rc::new(World::new());
    let workers: Vec<_> = programs
        .into_iter()
        .map(|ops| {
            let world = world.clone();
            spawn(move || {
                for (op, limit) in ops {
                    match limit {
                        None => world.work(op),
                        Some(n) => ignore(timeout(micros(n), || world.work(op))),
                    }
                }
            })
        })
        .collect();
    acts.iter().for_each(|&act| world.act(act, &workers));
    wait_all();
    world.check_quiet();
    kill_all(&workers);
    world.check_books();
    let failed = workers.into_iter().find_map(|worker| worker.join().err().filter(|error| error.is_panic()));
    assert!(failed.is_none(), "{failed:?}");
}

// LO15, LO16, QU40 to QU42, KL23
#[test]
fn two_thousand_seeds_of_selects_lose_nothing_and_forget_nobody() {
    let limited = (op(), prop_oneof![3 => Just(None), 1 => (0..12_u8).prop_map(Some)]);
    let programs = prop::collection::vec(prop::collection::vec(limited, 1..7), 1..7);
    let world = (programs, prop::collection::vec(act(), 0..20));
    for_each_seed(2_000, |seed| {
        let (programs, acts) = drawn(&world, seed);
        run(programs, &acts);
    });
}
