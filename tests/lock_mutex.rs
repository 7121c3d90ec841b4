//! `Mutex`: exclusion across switches, order, and that whatever unwinds gives it back.

mod common;

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use common::{Flag, LONG, Log, PROMPT, SHORT};
use greenloop::lock::Mutex;
use greenloop::{Greenlet, join_all, kill_all, shield, sleep, spawn, timeout, wait_all, yield_now};

/// Spawns a greenlet that locks, logs its number, and unlocks.
fn locker(mutex: &Rc<Mutex<()>>, log: &Log<u32>, number: u32) -> Greenlet<()> {
    let (mutex, log) = (mutex.clone(), log.clone());
    spawn(move || {
        let _guard = mutex.lock();
        log.add(number);
    })
}

/// Spawns a greenlet that locks and keeps the lock over a park until it is ended.
fn holder(mutex: &Rc<Mutex<()>>) -> Greenlet<()> {
    let mutex = mutex.clone();
    let holder = spawn(move || {
        let _guard = mutex.lock();
        sleep(LONG);
    });
    yield_now();
    holder
}

#[test]
fn the_guard_gives_the_data_and_unlocks_when_it_is_dropped() {
    let mut mutex = Mutex::new(1);
    {
        let mut guard = mutex.lock();
        *guard += 1;
        assert!(mutex.is_locked());
        assert_eq!((format!("{guard:?}"), format!("{guard}")), ("2".into(), "2".into()));
    }
    assert!(!mutex.is_locked());
    *mutex.get_mut() += 1;
    assert_eq!(mutex.into_inner(), 3);
}

// LO20
#[test]
fn contenders_wait_until_it_is_unlocked_and_then_all_get_through() {
    let (mutex, log) = (Rc::new(Mutex::new(())), Log::new());
    let guard = mutex.lock();
    let contenders: Vec<_> = (0..5).map(|n| locker(&mutex, &log, n)).collect();
    wait_all();
    assert_eq!(log.len(), 0);
    drop(guard);
    join_all(contenders);
    assert_eq!(log.take(), [0, 1, 2, 3, 4]);
}

// LO19
#[test]
fn trying_a_locked_mutex_gives_nothing() {
    let mutex = Rc::new(Mutex::new(()));
    let guard = mutex.try_lock();
    assert!(guard.is_some());
    assert!(mutex.try_lock().is_none());
    let other = mutex.clone();
    assert!(spawn(move || other.try_lock().is_none()).join().unwrap());
    drop(guard);
    assert!(mutex.try_lock().is_some());
}

// LO22
#[test]
fn its_holder_waits_if_it_locks_again_until_another_greenlet_drops_the_guard() {
    let mutex: &'static Mutex<()> = Box::leak(Box::new(Mutex::new(())));
    let guard = mutex.lock();
    let other = spawn(move || drop(guard));
    let again = mutex.lock();
    assert!(other.is_finished());
    drop(again);
}

// LO12
#[test]
fn a_locked_mutex_may_be_forgotten() {
    let mutex = Mutex::new(String::from("data"));
    std::mem::forget(mutex.lock());
    assert!(mutex.is_locked());
    assert_eq!(mutex.into_inner(), "data");
}

#[test]
fn the_data_stays_as_it_is_while_the_guard_is_held_over_switches() {
    let account = Rc::new(Mutex::new(0_u32));
    let done = join_all((0..50).map(|n: u64| {
        let account = account.clone();
        spawn(move || {
            for _ in 0..10 {
                let mut balance = account.lock();
                let before = *balance;
                if n.is_multiple_of(5) {
                    sleep(Duration::from_micros(1));
                } else {
                    yield_now();
                }
                *balance = before + 1;
            }
        })
    }));
    assert!(done.into_iter().all(|worker| worker.is_ok()));
    assert_eq!(*account.lock(), 500);
}

// LO15
#[test]
fn waiters_are_served_first_come_first_served() {
    let (mutex, log) = (Rc::new(Mutex::new(())), Log::new());
    let guard = mutex.lock();
    let waiters: Vec<_> = (0..1_000).map(|n| locker(&mutex, &log, n)).collect();
    yield_now();
    drop(guard);
    join_all(waiters);
    assert_eq!(log.take(), Vec::from_iter(0..1_000));
}

#[test]
fn whoever_comes_while_others_wait_goes_behind_them_though_the_lock_is_free() {
    let (mutex, log) = (Rc::new(Mutex::new(())), Log::new());
    let guard = mutex.lock();
    let waiters = [locker(&mutex, &log, 0), locker(&mutex, &log, 1)];
    yield_now();
    drop(guard);
    assert!(!mutex.is_locked());
    assert!(mutex.try_lock().is_none());
    let guard = mutex.lock();
    log.add(2);
    assert_eq!(log.take(), [0, 1, 2]);
    drop(guard);
    join_all(waiters);
}

#[test]
fn a_greenlet_that_locks_again_and_again_keeps_nobody_out() {
    let (mutex, stop) = (Rc::new(Mutex::new(())), Flag::new());
    let greedy = spawn({
        let (mutex, stop) = (mutex.clone(), stop.clone());
        move || {
            for _ in (0..100_000).take_while(|_| !stop.is_up()) {
                let _guard = mutex.lock();
                yield_now();
            }
        }
    });
    yield_now();
    for _ in 0..100 {
        drop(mutex.lock());
    }
    assert!(!greedy.is_finished());
    stop.raise();
    greedy.join().unwrap();
}

#[test]
fn a_timed_lock_ends_in_time() {
    let mutex = Rc::new(Mutex::new(()));
    let held = mutex.lock_timeout(LONG).unwrap();
    let start = Instant::now();
    assert!(mutex.lock_timeout(Duration::from_millis(10)).is_none());
    assert!(start.elapsed() >= Duration::from_millis(10) && start.elapsed() < PROMPT);
    assert!(mutex.lock_timeout(Duration::ZERO).is_none());
    let waiter = spawn({
        let mutex = mutex.clone();
        move || mutex.lock_timeout(LONG).is_some()
    });
    yield_now();
    drop(held);
    assert!(waiter.join().unwrap());
}

#[test]
fn a_timeout_around_a_lock_leaves_the_line() {
    let (mutex, log) = (Rc::new(Mutex::new(())), Log::new());
    let guard = mutex.lock();
    let first = spawn({
        let mutex = mutex.clone();
        move || timeout(SHORT, || drop(mutex.lock())).is_err()
    });
    yield_now();
    let second = locker(&mutex, &log, 2);
    assert!(first.join().unwrap());
    drop(guard);
    second.join().unwrap();
    assert_eq!(log.take(), [2]);
}

#[test]
fn a_killed_waiter_leaves_the_line() {
    let (mutex, log) = (Rc::new(Mutex::new(())), Log::new());
    let guard = mutex.lock();
    let waiters: Vec<_> = (0..4).map(|n| locker(&mutex, &log, n)).collect();
    yield_now();
    waiters[0].kill();
    waiters[1].kill_nowait(); // not dead yet when it is unlocked
    drop(guard);
    join_all(waiters);
    assert_eq!(log.take(), [2, 3]);
    assert!(mutex.try_lock().is_some());
}

#[test]
fn a_waiter_killed_after_it_was_woken_takes_the_lock_and_gives_it_back() {
    let (mutex, log) = (Rc::new(Mutex::new(())), Log::new());
    let guard = mutex.lock();
    let first = spawn({
        let (mutex, log) = (mutex.clone(), log.clone());
        move || {
            let _guard = mutex.lock();
            log.add(0);
            yield_now();
            log.add(100);
        }
    });
    yield_now();
    let second = locker(&mutex, &log, 1);
    yield_now();
    drop(guard);
    first.kill();
    second.join().unwrap();
    assert_eq!(log.take(), [0, 1]);
}

#[test]
fn a_panic_a_kill_and_a_timeout_unlock_it_and_poison_nothing() {
    let mutex = Rc::new(Mutex::new(()));
    let bad = spawn({
        let mutex = mutex.clone();
        move || {
            let _guard = mutex.lock();
            panic!("expected");
        }
    });
    assert!(bad.join().unwrap_err().is_panic());
    assert!(mutex.try_lock().is_some());
    let killed = holder(&mutex);
    assert!(mutex.is_locked());
    killed.kill();
    assert!(mutex.try_lock().is_some());
    let late = timeout(SHORT, || {
        let _guard = mutex.lock();
        sleep(LONG);
    });
    assert!(late.is_err());
    assert!(mutex.try_lock().is_some());
}

#[test]
fn an_unwinding_holder_wakes_the_next_in_line() {
    let (mutex, log) = (Rc::new(Mutex::new(())), Log::new());
    let killed = holder(&mutex);
    let next = locker(&mutex, &log, 1);
    yield_now();
    killed.kill_nowait();
    next.join().unwrap();
    assert_eq!(log.take(), [1]);
}

#[test]
fn a_shielded_waiter_gets_the_lock_before_its_kill() {
    let (mutex, log) = (Rc::new(Mutex::new(())), Log::new());
    let guard = mutex.lock();
    let shielded = spawn({
        let (mutex, log) = (mutex.clone(), log.clone());
        move || {
            shield(|| {
                let _guard = mutex.lock();
                log.add("locked");
            });
            sleep(LONG);
        }
    });
    yield_now();
    shielded.kill_nowait();
    yield_now();
    assert!(!shielded.is_finished());
    drop(guard);
    assert!(shielded.join().unwrap_err().is_killed());
    assert_eq!(log.take(), ["locked"]);
    assert!(mutex.try_lock().is_some());
}

#[test]
fn an_unlock_as_a_waiter_runs_out_of_time_is_not_lost() {
    for _ in 0..20 {
        let mutex = Rc::new(Mutex::new(0));
        let guard = mutex.lock();
        let timed: Vec<_> = (0..3)
            .map(|_| {
                let mutex = mutex.clone();
                spawn(move || drop(mutex.lock_timeout(Duration::from_micros(200))))
            })
            .collect();
        let patient = spawn({
            let mutex = mutex.clone();
            move || *mutex.lock() += 1
        });
        yield_now();
        std::thread::sleep(Duration::from_micros(200));
        drop(guard);
        join_all(timed);
        patient.join().unwrap();
        assert_eq!(*mutex.try_lock().unwrap(), 1);
    }
}

// Both alarms ring in one turn: the holder's comes first, so the lock is free when the waiter looks once more.
#[test]
fn an_unlock_in_the_turn_in_which_the_time_runs_out_wins() {
    let mutex = Rc::new(Mutex::new(()));
    let holder = spawn({
        let mutex = mutex.clone();
        move || {
            let _guard = mutex.lock();
            sleep(SHORT);
        }
    });
    yield_now();
    let late = spawn({
        let mutex = mutex.clone();
        move || mutex.lock_timeout(2 * SHORT).is_some()
    });
    yield_now();
    std::thread::sleep(4 * SHORT);
    assert!(late.join().unwrap());
    holder.join().unwrap();
}

#[test]
fn killing_everybody_leaves_it_unlocked() {
    let (mutex, log) = (Rc::new(Mutex::new(())), Log::new());
    let all: Vec<_> =
        std::iter::once(holder(&mutex)).chain((0..5).map(|n| locker(&mutex, &log, n))).collect();
    yield_now();
    kill_all(&all);
    assert!(mutex.try_lock().is_some());
    assert_eq!(Rc::strong_count(&mutex), 1);
}

// User code runs while it is formatted: it must neither see the lock free nor meet a borrow.
#[test]
fn formatting_holds_the_lock() {
    struct Yields(Rc<Cell<u32>>);
    impl std::fmt::Debug for Yields {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            yield_now();
            write!(f, "{}", self.0.get())
        }
    }
    let mutex = Rc::new(Mutex::new(Yields(Rc::default())));
    let other = spawn({
        let mutex = mutex.clone();
        move || {
            assert_eq!(format!("{mutex:?}"), "Mutex(<locked>)");
            mutex.lock().0.set(1);
        }
    });
    assert_eq!(format!("{mutex:?}"), "Mutex(0)");
    other.join().unwrap();
    assert_eq!(format!("{mutex:?}"), "Mutex(1)");
}

#[test]
fn it_may_hold_what_has_no_size() {
    let mutex: Rc<Mutex<[u8]>> = Rc::new(Mutex::new([1, 2, 3]));
    mutex.lock()[0] = 7;
    assert_eq!(mutex.lock().iter().sum::<u8>(), 12);
    assert_eq!(*Mutex::<u8>::default().lock(), 0);
    assert_eq!(*Mutex::from("text").lock(), "text");
}
