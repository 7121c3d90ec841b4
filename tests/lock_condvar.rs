//! `Condvar`: the lock is let go and taken again, and no notification is lost.

mod common;

use std::rc::Rc;
use std::time::{Duration, Instant};

use common::{LONG, Log, PROMPT, SHORT};
use greenloop::lock::{Condvar, Mutex};
use greenloop::{Greenlet, join_all, kill_all, sleep, spawn, timeout, wait_all, yield_now};

type State = (Rc<Mutex<u32>>, Condvar);

fn fixture() -> State {
    (Rc::new(Mutex::new(0)), Condvar::new())
}

/// Spawns a greenlet that waits for one notification and logs its number.
fn waiter((mutex, condvar): &State, log: &Log<u32>, number: u32) -> Greenlet<()> {
    let (mutex, condvar, log) = (mutex.clone(), condvar.clone(), log.clone());
    spawn(move || {
        let _guard = condvar.wait(mutex.lock());
        log.add(number);
    })
}

// LO28: there is no waiting without the lock, as it takes the guard.
#[test]
fn waiting_lets_the_lock_go_and_takes_it_again() {
    let state @ (mutex, condvar) = &fixture();
    let log = Log::new();
    let waiter = waiter(state, &log, 0);
    yield_now();
    let guard = mutex.try_lock().expect("nobody holds it");
    condvar.notify_one();
    yield_now();
    assert!(!waiter.is_finished() && log.len() == 0);
    drop(guard);
    waiter.join().unwrap();
    assert_eq!(log.take(), [0]);
    assert!(!mutex.is_locked());
}

// LO28: notifying needs no lock, and nobody who waits.
#[test]
fn notifying_nobody_leaves_nothing_behind() {
    let state @ (mutex, condvar) = &fixture();
    condvar.notify_one();
    condvar.notify_all();
    assert!(condvar.wait_timeout(mutex.lock(), SHORT).1.timed_out());
    let log = Log::new();
    let waiter = waiter(state, &log, 0);
    wait_all();
    assert!(!waiter.is_finished());
    assert_eq!(format!("{condvar:?}"), "Condvar(1 waiting)");
    waiter.kill();
    assert_eq!(format!("{condvar:?}"), "Condvar(0 waiting)");
}

// LO30
#[test]
fn a_timed_wait_ends_in_time_and_has_the_lock() {
    let (mutex, condvar) = fixture();
    let start = Instant::now();
    let (guard, result) = condvar.wait_timeout(mutex.lock(), Duration::from_millis(200));
    assert!(result.timed_out());
    assert!(start.elapsed() >= Duration::from_millis(190) && start.elapsed() < PROMPT);
    assert!(mutex.is_locked());
    assert!(condvar.wait_timeout(guard, Duration::ZERO).1.timed_out());
    assert!(!mutex.is_locked());
}

#[test]
fn a_notified_timed_wait_says_so() {
    let (mutex, condvar) = fixture();
    drop(spawn({
        let condvar = condvar.clone();
        move || condvar.notify_one()
    }));
    assert!(!condvar.wait_timeout(mutex.lock(), LONG).1.timed_out());
}

// The time is for the notification; the lock is waited for as long as it takes.
#[test]
fn a_wait_whose_time_has_run_out_still_waits_for_the_lock() {
    let (mutex, condvar) = fixture();
    let timed = spawn({
        let (mutex, condvar) = (mutex.clone(), condvar.clone());
        move || condvar.wait_timeout(mutex.lock(), SHORT).1.timed_out()
    });
    yield_now();
    let guard = mutex.lock();
    sleep(4 * SHORT);
    assert!(!timed.is_finished());
    drop(guard);
    assert!(timed.join().unwrap());
}

#[test]
fn one_notification_wakes_the_one_that_has_waited_longest() {
    let state = fixture();
    let log = Log::new();
    let waiters: Vec<_> = (0..4).map(|n| waiter(&state, &log, n)).collect();
    yield_now();
    state.1.notify_one();
    state.1.notify_one();
    wait_all();
    assert_eq!(log.take(), [0, 1]);
    state.1.notify_all();
    join_all(waiters);
    assert_eq!(log.take(), [2, 3]);
}

#[test]
fn waiting_while_looks_first_and_again_each_time() {
    let (mutex, condvar) = fixture();
    drop(condvar.wait_while(mutex.lock(), |value| *value != 0));
    let waiter = spawn({
        let (mutex, condvar) = (mutex.clone(), condvar.clone());
        move || {
            let mut looks = 0;
            let guard = condvar.wait_while(mutex.lock(), |value| {
                looks += 1;
                *value < 3
            });
            (*guard, looks)
        }
    });
    for _ in 0..3 {
        yield_now();
        *mutex.lock() += 1;
        condvar.notify_all();
    }
    assert_eq!(waiter.join().unwrap(), (3, 4));
}

#[test]
fn waiting_while_ends_in_time() {
    let (mutex, condvar) = fixture();
    let noise = spawn({
        let condvar = condvar.clone();
        move || {
            loop {
                sleep(Duration::from_millis(1));
                condvar.notify_all();
            }
        }
    });
    let start = Instant::now();
    let (guard, result) = condvar.wait_timeout_while(mutex.lock(), Duration::from_millis(20), |_| true);
    assert!(result.timed_out());
    assert!(start.elapsed() >= Duration::from_millis(20) && start.elapsed() < PROMPT);
    let (_guard, result) = condvar.wait_timeout_while(guard, LONG, |_| false);
    assert!(!result.timed_out());
    noise.kill();
}

#[test]
fn killing_one_that_waits_leaves_lock_and_condition_alone() {
    let state @ (mutex, condvar) = &fixture();
    let log = Log::new();
    let waiters = [waiter(state, &log, 0), waiter(state, &log, 1)];
    yield_now();
    waiters[0].kill_nowait(); // not dead yet when the notification comes
    condvar.notify_one();
    wait_all();
    assert_eq!(log.take(), [1]);
    assert!(waiters.iter().all(|waiter| waiter.is_finished()));
    assert!(mutex.try_lock().is_some());
}

// Notified, it waits for the lock, and dies there.
#[test]
fn one_that_is_killed_before_it_has_the_lock_again_hands_the_notification_on() {
    let state @ (mutex, condvar) = &fixture();
    let log = Log::new();
    let waiters = [waiter(state, &log, 0), waiter(state, &log, 1)];
    yield_now();
    let guard = mutex.lock();
    condvar.notify_one();
    yield_now();
    waiters[0].kill();
    drop(guard);
    wait_all();
    assert_eq!(log.take(), [1]);
    assert!(mutex.try_lock().is_some());
    assert!(waiters[1].is_finished());
}

#[test]
fn one_that_runs_out_of_time_before_it_has_the_lock_again_hands_the_notification_on() {
    let state @ (mutex, condvar) = &fixture();
    let log = Log::new();
    let late = spawn({
        let (mutex, condvar) = (mutex.clone(), condvar.clone());
        move || timeout(SHORT, || drop(condvar.wait(mutex.lock()))).is_err()
    });
    yield_now();
    let next = waiter(state, &log, 1);
    yield_now();
    let guard = mutex.lock();
    condvar.notify_one();
    assert!(late.join().unwrap());
    drop(guard);
    next.join().unwrap();
    assert_eq!(log.take(), [1]);
}

// Whoever began to wait after it was not meant.
#[test]
fn one_that_is_killed_before_it_has_the_lock_again_keeps_a_notification_for_all_to_itself() {
    let state @ (mutex, condvar) = &fixture();
    let log = Log::new();
    let killed = waiter(state, &log, 0);
    yield_now();
    let guard = mutex.lock();
    let later = spawn({
        let (mutex, condvar, log, killed) = (mutex.clone(), condvar.clone(), log.clone(), killed.handle());
        move || {
            let guard = mutex.lock();
            killed.kill_nowait();
            drop(condvar.wait(guard));
            log.add(1);
        }
    });
    yield_now(); // stands in line for the lock
    condvar.notify_all();
    yield_now(); // and behind it the one that was notified
    drop(guard);
    wait_all();
    assert!(killed.is_finished() && log.len() == 0, "{:?}", log.take());
    assert_eq!(format!("{condvar:?}"), "Condvar(1 waiting)");
    condvar.notify_one();
    later.join().unwrap();
}

#[test]
fn one_that_is_killed_with_the_lock_uses_its_notification_up() {
    let state @ (mutex, condvar) = &fixture();
    let log = Log::new();
    let first = spawn({
        let (mutex, condvar, log) = (mutex.clone(), condvar.clone(), log.clone());
        move || {
            let _guard = condvar.wait(mutex.lock());
            log.add(0);
            sleep(LONG);
        }
    });
    yield_now();
    let second = waiter(state, &log, 1);
    yield_now();
    condvar.notify_one();
    yield_now();
    first.kill();
    wait_all();
    assert_eq!(log.take(), [0]);
    assert!(!second.is_finished() && !mutex.is_locked());
    kill_all([second.handle()]);
}

#[test]
fn a_greenlet_with_a_pending_kill_does_not_wait_and_lets_the_lock_go() {
    let (mutex, condvar) = fixture();
    let g = spawn({
        let (mutex, condvar) = (mutex.clone(), condvar.clone());
        move || {
            let guard = mutex.lock();
            greenloop::current().kill_nowait();
            drop(condvar.wait(guard));
        }
    });
    assert!(g.join().unwrap_err().is_killed());
    assert!(!mutex.is_locked());
}

#[test]
fn one_condition_serves_several_mutexes() {
    let (one, condvar) = fixture();
    let two = Rc::new(Mutex::new("two"));
    let waiters = [
        waiter(&(one, condvar.clone()), &Log::new(), 0),
        spawn({
            let (two, condvar) = (two.clone(), condvar.clone());
            move || drop(condvar.wait(two.lock()))
        }),
    ];
    yield_now();
    condvar.notify_all();
    assert!(join_all(waiters).into_iter().all(|waiter| waiter.is_ok()));
}

// The textbook use of it.
#[test]
fn a_bounded_buffer_passes_everything_in_order() {
    let (buffer, not_full, not_empty) = (Rc::new(Mutex::new(Vec::new())), Condvar::new(), Condvar::new());
    let producer = spawn({
        let (buffer, not_full, not_empty) = (buffer.clone(), not_full.clone(), not_empty.clone());
        move || {
            for item in 0..200 {
                let mut buffer = not_full.wait_while(buffer.lock(), |buffer| buffer.len() == 3);
                buffer.push(item);
                not_empty.notify_one();
            }
        }
    });
    let mut got = Vec::new();
    while got.len() < 200 {
        let mut buffer = not_empty.wait_while(buffer.lock(), |buffer| buffer.is_empty());
        got.push(buffer.remove(0));
        not_full.notify_one();
    }
    producer.join().unwrap();
    assert_eq!(got, Vec::from_iter(0..200));
}
