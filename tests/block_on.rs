//! Futures on greenlets: who is parked, who wakes, and what ends them.

mod common;

use std::cell::{Cell, RefCell};
use std::future::{Future, pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use common::{Flag, LONG, OnDrop, PROMPT, SHORT, on_a_thread};
use futures::stream::{FuturesUnordered, StreamExt};
use greenloop::event::Event;
use greenloop::future::block_on;
use greenloop::{Elapsed, LoopExit, join_all, shield, sleep, spawn, timeout, wait_all, yield_now};

fn is_deadlock(blocks: impl FnOnce()) -> bool {
    let payload = catch_unwind(AssertUnwindSafe(blocks)).expect_err("it should have blocked for ever");
    LoopExit::from_panic(&*payload).is_some()
}

/// Pending; hands its waker out at each poll. Raises the flag when it is dropped.
struct Handing {
    to: mpsc::Sender<Waker>,
    polls: Rc<Cell<u32>>,
    until: u32,
    dropped: Flag,
}

impl Future for Handing {
    type Output = u32;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<u32> {
        self.polls.update(|polls| polls + 1);
        if self.polls.get() >= self.until {
            return Poll::Ready(self.polls.get());
        }
        let _ = self.to.send(context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Handing {
    fn drop(&mut self) {
        self.dropped.raise();
    }
}

fn handing(until: u32) -> (Handing, mpsc::Receiver<Waker>, Rc<Cell<u32>>, Flag) {
    let (to, wakers) = mpsc::channel();
    let (polls, dropped) = (Rc::new(Cell::new(0)), Flag::new());
    (Handing { to, polls: polls.clone(), until, dropped: dropped.clone() }, wakers, polls, dropped)
}

#[test]
fn a_future_that_is_ready_gives_its_value_without_a_switch() {
    let ran = Flag::new();
    drop(spawn({
        let ran = ran.clone();
        move || ran.raise()
    }));
    let text = String::from("borrowed");
    assert_eq!(block_on(async { text.len() }), 8);
    assert!(!ran.is_up());
    yield_now();
}

// Each would be a message that what other threads send has to wait behind.
#[test]
fn thousands_of_ready_futures_leave_nothing_to_do() {
    let home = greenloop::hub::remote();
    for _ in 0..10_000 {
        block_on(async {});
    }
    let message = home.spawn(|| ()).unwrap();
    let mut turns = 0;
    while !message.is_finished() {
        yield_now();
        turns += 1;
    }
    assert!(turns < 1000, "{turns} turns until a message was read");
}

#[test]
fn a_pending_future_parks_only_its_greenlet() {
    let (sender, receiver) = async_channel::bounded(1);
    let consumer = spawn(move || block_on(receiver.recv()).unwrap());
    let producer = spawn(move || {
        yield_now();
        block_on(sender.send(7)).unwrap();
    });
    assert_eq!(consumer.join().unwrap(), 7);
    producer.join().unwrap();
}

#[test]
fn greenlets_and_executors_of_other_threads_talk_through_an_async_channel() {
    let (to_there, from_here) = async_channel::bounded::<u64>(2);
    let (to_here, from_there) = async_channel::bounded::<u64>(2);
    let executor = thread::spawn(move || {
        futures::executor::block_on(async move {
            while let Ok(n) = from_here.recv().await {
                to_here.send(n * 2).await.unwrap();
            }
        });
    });
    let asks: Vec<_> = (0..10)
        .map(|n| {
            let to_there = to_there.clone();
            spawn(move || (0..100).for_each(|m| block_on(to_there.send(n * 100 + m)).unwrap()))
        })
        .collect();
    drop(to_there);
    let mut sum = 0;
    while let Ok(n) = block_on(from_there.recv()) {
        sum += n;
    }
    assert_eq!(sum, 999 * 1_000);
    join_all(asks);
    executor.join().unwrap();
}

#[test]
fn combinators_work_as_everywhere() {
    let (sender, receiver) = async_channel::unbounded();
    let threads: Vec<_> = (0..4)
        .map(|n| {
            let sender = sender.clone();
            thread::spawn(move || sender.send_blocking(n).unwrap())
        })
        .collect();
    let sum = block_on(async {
        let mut waits: FuturesUnordered<_> = (0..4).map(|_| receiver.recv()).collect();
        let mut sum = 0;
        while let Some(item) = waits.next().await {
            sum += item.unwrap();
        }
        sum
    });
    assert_eq!(sum, 6);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn a_kill_drops_the_future_and_its_greenlet_ends() {
    let (future, wakers, _, dropped) = handing(2);
    let victim = spawn(move || block_on(future));
    yield_now();
    let waker = wakers.recv().unwrap();
    victim.kill();
    assert!(dropped.is_up());
    assert!(victim.join().unwrap_err().is_killed());
    // It has nobody to wake any more.
    waker.wake_by_ref();
    thread::spawn(move || waker.wake()).join().unwrap();
    wait_all();
}

#[test]
fn a_timeout_drops_the_future_and_its_greenlet_goes_on() {
    let (future, _wakers, polls, dropped) = handing(2);
    assert_eq!(timeout(SHORT, || block_on(future)), Err(Elapsed));
    assert!(dropped.is_up());
    assert_eq!(polls.get(), 1);
    assert_eq!(block_on(async { 1 }), 1);
}

#[test]
fn a_kill_waits_for_the_end_of_a_shield() {
    let (future, wakers, polls, _) = handing(2);
    let done = Flag::new();
    let victim = spawn({
        let done = done.clone();
        move || {
            shield(|| block_on(future));
            done.raise();
            sleep(LONG);
        }
    });
    yield_now();
    victim.kill_nowait();
    yield_now();
    assert_eq!(polls.get(), 1);
    wakers.recv().unwrap().wake();
    victim.wait();
    assert!(done.is_up());
}

#[test]
fn wakers_work_from_any_thread_and_any_number_of_times() {
    let (future, wakers, polls, _) = handing(1_000);
    let waking = thread::spawn(move || {
        for waker in wakers {
            let clone = waker.clone();
            clone.wake_by_ref();
            clone.wake_by_ref();
            waker.wake();
            clone.wake();
        }
    });
    assert!(block_on(future) >= 1_000);
    assert_eq!(polls.get(), 1_000);
    waking.join().unwrap();
}

#[test]
fn a_wake_up_while_the_future_is_polled_is_not_lost() {
    // By itself, and from another thread that is waited for inside the poll.
    for elsewhere in [false, true] {
        let mut polls = 0;
        let value = block_on(poll_fn(|context| {
            polls += 1;
            let waker = context.waker().clone();
            match (polls < 100, elsewhere) {
                (false, _) => return Poll::Ready(polls),
                (true, false) => waker.wake(),
                (true, true) => thread::spawn(move || waker.wake()).join().unwrap(),
            }
            Poll::Pending
        }));
        assert_eq!(value, 100);
    }
}

#[test]
fn a_future_that_wakes_itself_lets_the_others_run_and_can_be_killed() {
    let turns = Rc::new(Cell::new(0));
    let spins = spawn({
        let turns = turns.clone();
        move || {
            block_on(poll_fn::<(), _>(|context| {
                turns.update(|turns| turns + 1);
                context.waker().wake_by_ref();
                Poll::Pending
            }))
        }
    });
    for _ in 0..10 {
        yield_now();
    }
    assert!(turns.get() >= 9);
    sleep(Duration::from_millis(1));
    spins.kill();
}

#[test]
fn a_future_may_wait_the_greenlets_way_in_the_middle_of_a_poll() {
    let (sender, receiver) = async_channel::bounded(1);
    let value = spawn(move || {
        block_on(async move {
            sleep(SHORT);
            let first = receiver.recv().await.unwrap();
            let inner = block_on(async { receiver.recv().await.unwrap() });
            (first, inner)
        })
    });
    for n in [1, 2] {
        block_on(sender.send(n)).unwrap();
    }
    assert_eq!(value.join().unwrap(), (1, 2));
}

// A waker of the outer wait that is used while the greenlet is parked on something else must not end that.
#[test]
fn a_wake_up_does_not_cut_another_wait_of_the_greenlet_short() {
    let start = Instant::now();
    let (say, wakers) = mpsc::channel::<Waker>();
    let waking = thread::spawn(move || wakers.into_iter().for_each(Waker::wake));
    let mut polled = false;
    block_on(poll_fn(|context| {
        if std::mem::replace(&mut polled, true) {
            return Poll::Ready(());
        }
        say.send(context.waker().clone()).unwrap();
        sleep(Duration::from_millis(30));
        Poll::Pending
    }));
    assert!(start.elapsed() >= Duration::from_millis(30));
    drop(say);
    waking.join().unwrap();
}

#[test]
fn a_future_that_nobody_can_wake_is_a_deadlock() {
    assert!(is_deadlock(|| block_on(pending())));
    assert!(is_deadlock(|| {
        let stuck = spawn(|| block_on(pending::<()>()));
        stuck.wait();
    }));
    assert_eq!(block_on(async { 1 }), 1);
}

#[test]
fn while_a_waker_lives_elsewhere_there_is_no_deadlock_and_without_one_there_is() {
    let (future, wakers, polls, _) = handing(2);
    let holding = thread::spawn(move || {
        let waker = wakers.recv().unwrap();
        let clone = waker.clone();
        drop(waker);
        thread::sleep(SHORT);
        drop(clone); // unused
    });
    let start = Instant::now();
    assert!(is_deadlock(|| _ = block_on(future)));
    assert!(start.elapsed() >= SHORT);
    assert_eq!(polls.get(), 1);
    holding.join().unwrap();
}

#[test]
fn a_waiter_elsewhere_on_the_thread_is_told_when_the_last_waker_is_gone() {
    let (future, wakers, ..) = handing(2);
    drop(spawn(move || block_on(future)));
    yield_now();
    let waker = wakers.recv().unwrap();
    let dropping = thread::spawn(move || {
        thread::sleep(SHORT);
        drop(waker);
    });
    assert!(is_deadlock(|| Event::new().wait()));
    dropping.join().unwrap();
}

#[test]
fn a_waker_may_outlive_its_thread() {
    let (say, wakers) = mpsc::channel();
    on_a_thread(move || {
        let say = say;
        drop(spawn(move || {
            block_on(poll_fn::<(), _>(|context| {
                say.send(context.waker().clone()).unwrap();
                Poll::Pending
            }))
        }));
        yield_now();
    });
    for waker in wakers.try_iter() {
        waker.wake_by_ref();
        waker.wake();
    }
}

#[test]
fn many_greenlets_wait_for_many_futures() {
    let start = Instant::now();
    let (senders, receivers): (Vec<_>, Vec<_>) = (0..500).map(|_| async_channel::bounded(1)).unzip();
    let waits = receivers.into_iter().map(|receiver| spawn(move || block_on(receiver.recv()).unwrap()));
    let waits: Vec<_> = waits.collect();
    let sending = thread::spawn(move || {
        for (n, sender) in senders.iter().enumerate().rev() {
            sender.send_blocking(n).unwrap();
        }
    });
    let got: Vec<_> = join_all(waits).into_iter().map(Result::unwrap).collect();
    assert!(got.into_iter().eq(0..500));
    sending.join().unwrap();
    assert!(start.elapsed() < PROMPT);
}

#[test]
fn in_a_destructor_of_an_unwinding_greenlet_a_ready_future_gives_its_value() {
    let seen = Rc::new(RefCell::new(None));
    let victim = spawn({
        let seen = seen.clone();
        move || {
            let _last = OnDrop(|| *seen.borrow_mut() = Some(block_on(async { 5 })));
            sleep(LONG);
        }
    });
    yield_now();
    victim.kill();
    assert_eq!(seen.take(), Some(5));
}

#[test]
fn a_panic_of_the_future_is_the_callers() {
    let panics = spawn(|| block_on(async { panic!("boom") }));
    assert!(panics.join().unwrap_err().to_string().contains("boom"));
}
