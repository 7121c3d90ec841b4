//! Greenlets spawned on a hub from other threads, and what a hub owes to those who may do so.

mod common;

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use common::{Flag, LONG, OnDrop, PROMPT, SHORT, on_a_thread};
use greenloop::event::Event;
use greenloop::sync::{self, HubEnded, Remote, RemoteGreenlet, remote};
use greenloop::{
    Elapsed, JoinError, LoopExit, current, kill_all, on_spawn, sleep, spawn, timeout, wait_all,
    wait_all_timeout, yield_now,
};

/// A thread whose hub waits, so that others can use it; it ends when the remote is dropped.
fn serving() -> (Remote, thread::JoinHandle<()>) {
    let (give, take) = mpsc::channel();
    let thread = thread::spawn(move || {
        give.send(remote()).unwrap();
        wait_all();
    });
    (take.recv().unwrap(), thread)
}

fn report_of(blocks: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(blocks)).expect_err("it should have blocked for ever");
    LoopExit::from_panic(&*payload).expect("it panicked for another reason").to_string()
}

// SL20
#[test]
fn a_remote_spawns_greenlets_on_its_hub_from_another_thread() {
    let here = thread::current().id();
    let remote = remote();
    let other = thread::spawn(move || {
        let first = remote.spawn(|| thread::current().id()).unwrap();
        let second = remote.spawn(|| spawn(|| current().id()).join().unwrap()).unwrap();
        (first.join().unwrap(), second.join().unwrap(), thread::current().id())
    });
    wait_all();
    let (ran_on, inner, from) = other.join().unwrap();
    assert_eq!(ran_on, here);
    assert_ne!(from, here);
    assert!(inner > 0);
}

#[test]
fn what_one_thread_spawns_starts_in_its_order() {
    thread_local! {
        static SEEN: Cell<u32> = const { Cell::new(0) };
    }
    let remote = remote();
    let other = thread::spawn(move || {
        for n in 0..1_000 {
            let check = move || assert_eq!(SEEN.replace(n + 1), n);
            drop(remote.spawn(check).unwrap());
        }
    });
    wait_all();
    assert_eq!(SEEN.get(), 1_000);
    other.join().unwrap();
}

#[test]
fn what_many_threads_spawn_all_runs_once() {
    let ran = Arc::new(AtomicUsize::new(0));
    let remote = remote();
    let threads: Vec<_> = (0..4)
        .map(|_| {
            let (remote, ran) = (remote.clone(), ran.clone());
            thread::spawn(move || {
                let mut greenlets = Vec::new();
                for n in 0..500 {
                    let ran = ran.clone();
                    greenlets.push(remote.spawn(move || {
                        yield_now();
                        ran.fetch_add(1, Ordering::Relaxed);
                        n
                    }));
                }
                let results = greenlets.into_iter().map(|greenlet| greenlet.unwrap().join().unwrap());
                assert!(results.eq(0..500));
            })
        })
        .collect();
    drop(remote);
    wait_all();
    assert_eq!(ran.load(Ordering::Relaxed), 2_000);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn while_a_remote_lives_the_hub_waits_and_without_one_it_reports_the_deadlock() {
    let remote = remote();
    let (go, wait) = mpsc::channel::<()>();
    let other = thread::spawn(move || {
        let clone = remote.clone();
        drop(remote);
        wait.recv().unwrap();
        clone.wake();
        drop(clone);
    });
    let still_waits = Flag::new();
    drop(spawn({
        let still_waits = still_waits.clone();
        move || {
            sleep(SHORT);
            still_waits.raise();
            go.send(()).unwrap();
        }
    }));
    let report = report_of(|| Event::new().wait());
    assert!(still_waits.is_up());
    assert!(report.contains("waits for event"), "{report}");
    other.join().unwrap();
}

#[test]
fn a_remote_on_its_own_thread_keeps_the_hub_waiting_too() {
    let remote = remote();
    assert!(!wait_all_timeout(SHORT));
    drop(remote);
    assert!(wait_all_timeout(LONG));
}

#[test]
fn spawn_hooks_are_told_by_the_greenlet_itself_and_may_wait_and_panic() {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let hook = on_spawn({
        let seen = seen.clone();
        move |greenlet| {
            sleep(SHORT);
            assert_eq!(greenlet, &current());
            seen.borrow_mut().push(greenlet.id());
            assert!(seen.borrow().len() < 2, "no more than one");
        }
    });
    let remote = remote();
    let other = thread::spawn(move || {
        let first = remote.spawn(|| current().id()).unwrap();
        let first = first.join().unwrap();
        let second = remote.spawn(|| 0).unwrap();
        drop(remote);
        (first, second.join().unwrap_err())
    });
    wait_all();
    drop(hook);
    let (first, second) = other.join().unwrap();
    assert_eq!(seen.borrow()[0], first);
    assert!(second.is_panic() && second.to_string().contains("no more than one"), "{second}");
}

// What a remote has spawned is a greenlet like any other for the report.
#[test]
fn a_deadlock_of_remotely_spawned_greenlets_is_reported_with_the_place_of_their_spawn() {
    let remote = remote();
    let line = line!() + 2;
    let thread = thread::spawn(move || {
        let stuck = remote.spawn(|| Event::new().wait()).unwrap();
        drop(remote);
        stuck
    });
    let report = report_of(|| Event::new().wait());
    assert!(report.contains(&format!("spawned at tests/remote.rs:{line}")), "{report}");
    drop(thread.join().unwrap());
}

/// How often this thread has gone to sleep by itself, and how long it has run, in hundredths of a second.
#[cfg(target_os = "linux")]
fn sleeps_and_ticks() -> (u64, u64) {
    let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
    let sleeps = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")).unwrap();
    let stat = std::fs::read_to_string("/proc/thread-self/stat").unwrap();
    let times: Vec<u64> = stat
        .rsplit(')')
        .next()
        .unwrap()
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(|field| field.parse().unwrap())
        .collect();
    (sleeps.trim().parse().unwrap(), times[0] + times[1])
}

#[cfg(target_os = "linux")]
#[test]
fn a_hub_that_waits_for_its_remotes_sleeps_in_the_kernel() {
    on_a_thread(|| {
        let remote = remote();
        let other = thread::spawn(move || {
            thread::sleep(Duration::from_millis(500));
            drop(remote);
        });
        let before = sleeps_and_ticks();
        wait_all();
        let after = sleeps_and_ticks();
        other.join().unwrap();
        assert!(after.0 - before.0 < 20, "it went to sleep {} times", after.0 - before.0);
        assert!(after.1 - before.1 < 10, "it ran for {} ticks", after.1 - before.1);
    });
}

#[test]
fn a_hub_that_has_ended_takes_no_greenlets() {
    let remote = on_a_thread(remote);
    assert!(remote.is_ended());
    let (dropped, watch) = mpsc::channel::<()>();
    let refused = remote.spawn(move || dropped.send(()));
    assert_eq!(refused.err(), Some(HubEnded));
    assert_eq!(watch.recv(), Err(mpsc::RecvError));
    remote.wake();
    drop(remote.clone());
}

// The hub's thread never comes around to read what was sent.
#[test]
fn a_greenlet_whose_thread_ends_before_it_has_started_counts_as_killed() {
    let (give, take) = mpsc::channel();
    let (go, wait) = mpsc::channel::<()>();
    let thread = thread::spawn(move || {
        give.send(remote()).unwrap();
        wait.recv().unwrap();
    });
    let remote = take.recv().unwrap();
    let (dropped, watch) = mpsc::channel::<()>();
    let greenlet = remote.spawn(move || dropped.send(())).unwrap();
    assert!(!greenlet.is_finished());
    go.send(()).unwrap();
    assert!(greenlet.join().unwrap_err().is_killed());
    assert_eq!(watch.recv(), Err(mpsc::RecvError));
    thread.join().unwrap();
}

#[test]
fn a_greenlet_whose_thread_ends_before_it_has_counts_as_killed() {
    let (give, take) = mpsc::channel();
    let (started, has_started) = mpsc::channel();
    let thread = thread::spawn(move || {
        give.send(remote()).unwrap();
        let stop = Event::new();
        thread_local! {
            static STOP: Cell<Option<Event>> = const { Cell::new(None) };
        }
        STOP.set(Some(stop.clone()));
        while !stop.wait_timeout(SHORT) {
            if has_started.try_recv().is_ok() {
                stop.set();
            }
        }
    });
    let remote = take.recv().unwrap();
    let greenlet = remote.spawn(move || {
        started.send(()).unwrap();
        sleep(LONG);
    });
    assert!(greenlet.unwrap().join().unwrap_err().is_killed());
    thread.join().unwrap();
}

#[test]
fn the_outcome_tells_a_panic_from_a_kill() {
    let (remote, thread) = serving();
    let panics: RemoteGreenlet<u32> = remote.spawn(|| panic!("boom")).unwrap();
    let error = panics.join().unwrap_err();
    assert!(error.is_panic() && error.to_string().contains("boom"));
    let killed = remote.spawn(|| {
        current().kill_nowait();
        sleep(LONG);
    });
    assert!(killed.unwrap().join().unwrap_err().is_killed());
    assert_eq!(remote.spawn(|| 1).unwrap().join().unwrap(), 1);
    drop(remote);
    thread.join().unwrap();
}

#[test]
fn a_greenlet_that_waits_for_another_threads_parks_alone() {
    let (remote, thread) = serving();
    let (go, wait) = sync::unbounded::<()>();
    let far = remote.spawn(move || wait.recv().is_ok()).unwrap();
    let near = spawn(move || far.join().unwrap());
    let ran = Flag::new();
    spawn({
        let ran = ran.clone();
        move || ran.raise()
    })
    .join()
    .unwrap();
    assert!(ran.is_up() && !near.is_finished());
    go.send(()).unwrap();
    assert!(near.join().unwrap());
    drop(remote);
    thread.join().unwrap();
}

#[test]
fn a_wait_for_another_threads_greenlet_can_be_killed_and_timed_out() {
    let (remote, thread) = serving();
    let (go, wait) = sync::unbounded::<()>();
    let far = Rc::new(remote.spawn(move || wait.recv().is_ok()).unwrap());
    let waits: Vec<_> = (0..3)
        .map(|_| {
            let far = far.clone();
            spawn(move || far.wait())
        })
        .collect();
    yield_now();
    kill_all(&waits);
    drop(waits);
    assert!(!far.wait_timeout(SHORT));
    assert_eq!(timeout(SHORT, || far.wait()), Err(Elapsed));
    assert!(!far.is_finished());
    go.send(()).unwrap();
    assert!(far.wait_timeout(LONG));
    assert!(Rc::into_inner(far).unwrap().join().unwrap());
    drop(remote);
    thread.join().unwrap();
}

#[test]
fn a_join_in_a_destructor_of_an_unwinding_greenlet_does_not_wait() {
    let (remote, thread) = serving();
    let (go, wait) = sync::unbounded::<()>();
    let far = Rc::new(Cell::new(Some(remote.spawn(move || wait.recv().is_ok()).unwrap())));
    let seen = Rc::new(Cell::new(None::<JoinError>));
    let victim = spawn({
        let seen = seen.clone();
        move || {
            let _last = OnDrop(|| seen.set(far.take().unwrap().join().err()));
            sleep(LONG);
        }
    });
    yield_now();
    victim.kill();
    let error = seen.take().expect("it gave a value");
    assert!(!error.is_killed() && !error.is_panic());
    go.send(()).unwrap();
    drop(remote);
    thread.join().unwrap();
}

#[test]
fn dropping_the_outcome_detaches_the_greenlet() {
    let (remote, thread) = serving();
    let (say, hear) = mpsc::channel();
    drop(remote.spawn(move || say.send(1).unwrap()).unwrap());
    assert_eq!(hear.recv(), Ok(1));
    drop(remote);
    thread.join().unwrap();
}

#[test]
fn the_outcome_can_be_awaited_by_an_executor_of_another_thread() {
    let remote = remote();
    let executor = thread::spawn(move || {
        futures::executor::block_on(async move {
            let slow = remote.spawn(|| {
                sleep(SHORT);
                "slow"
            });
            let fast = remote.spawn(|| "fast");
            let bad: RemoteGreenlet<()> = remote.spawn(|| panic!("boom")).unwrap();
            drop(remote);
            let (slow, fast, bad) = futures::join!(slow.unwrap(), fast.unwrap(), bad);
            (slow.unwrap(), fast.unwrap(), bad.unwrap_err().is_panic())
        })
    });
    wait_all();
    assert_eq!(executor.join().unwrap(), ("slow", "fast", true));
}

#[test]
fn an_await_can_be_given_up_and_the_greenlet_goes_on() {
    let (remote, thread) = serving();
    let (go, wait) = sync::unbounded::<()>();
    let (say, hear) = mpsc::channel();
    let mut far = remote.spawn(move || {
        let _ = wait.recv();
        say.send(1).unwrap();
    });
    let polled = futures::executor::block_on(futures::future::poll_fn(|context| {
        let far = std::pin::Pin::new(far.as_mut().unwrap());
        std::task::Poll::Ready(far.poll(context).is_pending())
    }));
    assert!(polled);
    drop(far);
    go.send(()).unwrap();
    assert_eq!(hear.recv(), Ok(1));
    drop(remote);
    thread.join().unwrap();
}

#[test]
fn hubs_spawn_on_each_other() {
    let (remote, thread) = serving();
    let mine = greenloop::sync::remote();
    let here = thread::current().id();
    let there_and_back = remote.spawn(move || {
        let back = mine.spawn(|| thread::current().id()).unwrap();
        drop(mine);
        back.join().unwrap()
    });
    assert_eq!(there_and_back.unwrap().join().unwrap(), here);
    drop(remote);
    thread.join().unwrap();
}

#[test]
fn a_remote_works_from_its_own_thread() {
    let remote = remote();
    let greenlet = remote.spawn(|| current().id()).unwrap();
    drop(remote);
    assert!(greenlet.join().unwrap() > 0);
    assert!(wait_all_timeout(LONG));
}

#[test]
fn calls_that_keep_coming_from_another_thread_do_not_stop_the_greenlets() {
    let remote = remote();
    let (stop, under_way) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let flood = thread::spawn({
        let stop = stop.clone();
        move || {
            while stop.load(Ordering::Relaxed) == 0 {
                if under_way.load(Ordering::Relaxed) < 1_000 {
                    under_way.fetch_add(1, Ordering::Relaxed);
                    let under_way = under_way.clone();
                    drop(remote.spawn(move || under_way.fetch_sub(1, Ordering::Relaxed)).unwrap());
                }
            }
        }
    });
    let start = Instant::now();
    for _ in 0..20 {
        sleep(Duration::from_millis(1));
    }
    assert!(start.elapsed() < PROMPT);
    stop.store(1, Ordering::Relaxed);
    flood.join().unwrap();
    wait_all();
}
