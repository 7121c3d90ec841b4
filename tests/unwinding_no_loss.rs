//! What a call that was refused in a destructor leaves behind: nothing of it stands in any line, and whoever waits properly gets
//! what there is.

mod common;

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use common::{Flag, LONG, Log, OnDrop};
use greenloop::lock::{Mutex, RwLock, Semaphore};
use greenloop::pool::{Group, Pool};
use greenloop::queue::{Channel, JoinableQueue, Queue};
use greenloop::threadpool::ThreadPool;
use greenloop::{
    current, event::Event, iwait, join_all, select, sleep, spawn, sync, threadpool, wait_all, wait_any,
    yield_now,
};

/// Runs `f` in a destructor of a greenlet that is killed.
#[track_caller]
fn while_dying(f: impl FnOnce() + 'static) {
    let (mut f, done) = (Some(f), Flag::new());
    let guard = OnDrop({
        let done = done.clone();
        move || {
            let f = f.take().expect("it runs once");
            match catch_unwind(AssertUnwindSafe(f)) {
                Ok(()) => done.raise(),
                Err(payload) => std::mem::forget(payload),
            }
        }
    });
    let dying = spawn(move || {
        let _guard = guard;
        sleep(LONG);
    });
    yield_now();
    dying.kill();
    assert!(done.is_up(), "the destructor has failed, see above");
}

#[test]
fn what_applies_and_maps_in_a_destructor_runs_each_call_once_and_there() {
    let log = Log::new();
    while_dying({
        let log = log.clone();
        move || {
            let call = |n: u32| {
                let log = log.clone();
                move || log.add((n, current().id()))
            };
            let (group, pool) = (Group::new(), Pool::new(1));
            pool.spawn(|| ());
            group.apply(call(1));
            pool.apply(call(2));
            let log = log.clone();
            pool.map([3, 4], move |n| log.add((n, current().id())));
            assert_eq!((group.len(), pool.len()), (0, 1));
            assert_eq!(threadpool().apply(|| 5), 5);
            assert_eq!(ThreadPool::new(1).map([6, 7], |n| n), [6, 7]);
        }
    });
    wait_all();
    let (numbers, greenlets): (Vec<_>, Vec<_>) = log.take().into_iter().unzip();
    assert_eq!(numbers, [1, 2, 3, 4]);
    assert!(greenlets.iter().all(|id| *id == greenlets[0]));
}

#[test]
fn a_map_in_a_destructor_passes_the_panic_of_its_function_on() {
    while_dying(|| {
        for map in [|| Pool::new(1).map([1, 2], fails), || ThreadPool::new(1).map([1, 2], fails)] {
            let payload = catch_unwind(map).unwrap_err();
            assert_eq!(payload.downcast_ref::<&str>(), Some(&"expected"));
        }
    });
}

fn fails(_: u32) -> u32 {
    panic!("expected")
}

// The results come later, to whoever still wants them.
#[test]
fn an_iteration_that_has_ended_in_a_destructor_goes_on_afterwards() {
    let (group, go) = (Group::new(), Event::new());
    let when_told = || {
        let go = go.clone();
        move |n| {
            go.wait();
            n
        }
    };
    let maps = (group.imap(1..=3, when_told()), group.imap_unordered(1..=3, when_told()));
    let maps = Rc::new(Cell::new(Some(maps)));
    while_dying({
        let maps = maps.clone();
        move || {
            let (mut ordered, mut unordered) = maps.take().unwrap();
            assert_eq!((ordered.next(), unordered.next()), (None, None));
            maps.set(Some((ordered, unordered)));
        }
    });
    go.set();
    let (ordered, unordered) = maps.take().unwrap();
    assert_eq!((ordered.collect::<Vec<_>>(), unordered.collect::<Vec<_>>()), (vec![1, 2, 3], vec![1, 2, 3]));
}

#[test]
fn what_watches_several_things_goes_on_watching_after_a_refusal() {
    let (first, second) = (Event::new(), Event::new());
    let mut ready = iwait(&[&first, &second]);
    let caught = catch_unwind(AssertUnwindSafe(|| {
        let _guard = OnDrop(|| assert_eq!((ready.next(), ready.next()), (None, None)));
        panic!("expected");
    }));
    assert!(caught.is_err());
    second.set();
    first.set();
    assert_eq!(ready.collect::<Vec<_>>(), [1, 0]);
}

// Whoever waits in `get` is met without a wait, as by `try_put`.
#[test]
fn a_put_into_a_channel_in_a_destructor_meets_a_getter_that_waits() {
    let channel = Channel::new();
    let getters = [(); 2].map(|()| {
        let channel = channel.clone();
        spawn(move || channel.get())
    });
    while_dying({
        let channel = channel.clone();
        move || {
            assert_eq!((channel.put(1), channel.put_timeout(2, LONG)), (Ok(()), Ok(())));
            assert!(channel.put(3).unwrap_err().is_full());
        }
    });
    let got = join_all(getters).into_iter().map(|got| got.unwrap().unwrap());
    assert_eq!(got.collect::<Vec<_>>(), [1, 2]);
    assert!(channel.try_get().is_err());
}

#[test]
fn refused_calls_stand_in_nobodys_way() {
    let (permits, mutex, lock) = (Semaphore::new(0), Rc::new(Mutex::new(())), Rc::new(RwLock::new(())));
    let (queue, channel, jobs) = (Queue::unbounded(), Channel::new(), JoinableQueue::unbounded());
    let ((sender, receiver), shared) = (sync::unbounded(), sync::Semaphore::new(0));
    jobs.put(1).unwrap();
    let held = (mutex.lock(), lock.write());
    let log = Log::new();
    let waiters: [Box<dyn FnOnce()>; 8] = {
        let (permits, mutex, lock) = (permits.clone(), mutex.clone(), lock.clone());
        let (queue, channel, jobs) = (queue.clone(), channel.clone(), jobs.clone());
        let (receiver, shared) = (receiver.clone(), shared.clone());
        [
            Box::new(move || assert!(permits.acquire())),
            Box::new(move || drop(mutex.lock())),
            Box::new(move || drop(lock.read())),
            Box::new(move || assert_eq!(queue.get(), Ok(1))),
            Box::new(move || assert_eq!(channel.get(), Ok(1))),
            Box::new(move || jobs.join()),
            Box::new(move || assert_eq!(receiver.recv(), Ok(1))),
            Box::new(move || assert!(shared.acquire())),
        ]
    };
    // One refused call for each before the waiter stands in line, and one after.
    let refused = {
        let (permits, mutex, lock) = (permits.clone(), mutex.clone(), lock.clone());
        let (queue, channel, jobs) = (queue.clone(), channel.clone(), jobs.clone());
        let (receiver, shared) = (receiver.clone(), shared.clone());
        move || {
            assert!(!permits.acquire() && permits.wait(None) == 0);
            assert!(mutex.lock_timeout(LONG).is_none());
            assert!(lock.read_timeout(LONG).is_none() && lock.write_timeout(LONG).is_none());
            assert!(queue.get().is_err() && queue.peek().is_err() && channel.get().is_err());
            assert!(!jobs.join_timeout(LONG));
            assert!(receiver.recv().is_err() && !shared.acquire());
            let chosen = select! {
                _ = permits.acquire() => 1,
                _ = queue.get() => 2,
                _ = channel.get() => 3,
                _ = after(LONG) => 4,
            };
            assert_eq!(chosen, 4);
            assert!(catch_unwind(AssertUnwindSafe(|| wait_any(&[&permits, &queue, &channel]))).is_err());
        }
    };
    while_dying(refused.clone());
    let waiters: Vec<_> = waiters
        .into_iter()
        .enumerate()
        .map(|(number, wait)| {
            let log = log.clone();
            spawn(move || {
                wait();
                log.add(number);
            })
        })
        .collect();
    yield_now();
    while_dying(refused);
    yield_now();
    assert_eq!(log.len(), 0);
    permits.release();
    drop(held);
    queue.put(1).unwrap();
    channel.put(1).unwrap();
    jobs.task_done();
    sender.send(1).unwrap();
    shared.release();
    assert!(join_all(waiters).iter().all(Result::is_ok));
    assert_eq!(log.len(), 8);
}
