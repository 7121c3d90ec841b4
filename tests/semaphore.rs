//! `Semaphore`: counting, order, barging, and that no permit is ever lost.

mod common;

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use common::{Flag, LONG, Log, OnDrop, PROMPT, SHORT};
use greenloop::lock::Semaphore;
use greenloop::{Greenlet, join_all, kill_all, sleep, spawn, timeout, wait_all, yield_now};

/// Spawns a greenlet that takes a permit and logs its number.
fn acquirer(semaphore: &Semaphore, log: &Log<u32>, number: u32) -> Greenlet<bool> {
    let (semaphore, log) = (semaphore.clone(), log.clone());
    spawn(move || {
        let got = semaphore.acquire();
        log.add(number);
        got
    })
}

// LO01
#[test]
fn a_timed_acquire_without_a_permit_ends_in_time_and_says_so() {
    let semaphore = Semaphore::new(0);
    let start = Instant::now();
    assert!(!semaphore.acquire_timeout(Duration::from_millis(10)));
    assert!(start.elapsed() >= Duration::from_millis(10) && start.elapsed() < PROMPT);
    assert!(!semaphore.acquire_timeout(Duration::ZERO));
    assert_eq!(format!("{semaphore:?}"), "Semaphore(0 available, 0 waiting)");
}

// LO06: there is no default; the count is said.
#[test]
fn permits_are_counted() {
    let semaphore = Semaphore::new(2);
    assert_eq!(semaphore.available(), 2);
    assert!(semaphore.acquire());
    assert!(semaphore.acquire_timeout(Duration::ZERO));
    assert!(!semaphore.try_acquire());
    assert_eq!(semaphore.available(), 0);
    semaphore.release();
    assert!(semaphore.try_acquire());
}

// LO07
#[test]
fn contended_acquires_get_through_one_for_each_permit() {
    let semaphore = Semaphore::new(7);
    assert!(semaphore.acquire());
    let got = Rc::new(Cell::new(0));
    let greenlets: Vec<_> = (0..10)
        .map(|_| {
            let (semaphore, got) = (semaphore.clone(), got.clone());
            spawn(move || {
                for _ in 0..2 {
                    assert!(semaphore.acquire());
                    got.set(got.get() + 1);
                }
            })
        })
        .collect();
    wait_all();
    assert_eq!(got.get(), 6);
    for (releases, expected) in [(7, 13), (6, 19)] {
        (0..releases).for_each(|_| semaphore.release());
        wait_all();
        assert_eq!(got.get(), expected);
    }
    assert!(!semaphore.try_acquire());
    semaphore.release();
    join_all(greenlets);
    assert_eq!((got.get(), semaphore.available()), (20, 0));
}

// LO08
#[test]
fn contended_tries_succeed_once_for_each_permit() {
    let semaphore = Semaphore::new(4);
    assert!(semaphore.try_acquire());
    let results = join_all((0..5).map(|_| {
        let semaphore = semaphore.clone();
        spawn(move || [semaphore.try_acquire(), semaphore.try_acquire()])
    }));
    let tries: Vec<bool> = results.into_iter().flat_map(Result::unwrap).collect();
    assert_eq!(tries.iter().filter(|&&success| success).count(), 3);
    assert_eq!(tries.len(), 10);
}

// LO10
#[test]
fn releasing_beyond_the_first_count_adds_permits() {
    let semaphore = Semaphore::new(1);
    semaphore.release();
    assert_eq!(semaphore.available(), 2);
    assert!(semaphore.try_acquire() && semaphore.try_acquire() && !semaphore.try_acquire());
}

// LO02, LO15
#[test]
fn each_release_wakes_one() {
    let (semaphore, log) = (Semaphore::new(0), Log::new());
    for n in 0..5 {
        drop(acquirer(&semaphore, &log, n));
    }
    yield_now();
    semaphore.release();
    semaphore.release();
    wait_all();
    assert_eq!(log.take(), [0, 1]);
    assert_eq!(format!("{semaphore:?}"), "Semaphore(0 available, 3 waiting)");
}

// LO12
#[test]
fn a_semaphore_may_be_dropped_while_it_is_held_and_waited_for() {
    let semaphore = Semaphore::new(1);
    semaphore.acquire();
    let waiter = spawn({
        let semaphore = semaphore.clone();
        move || semaphore.acquire()
    });
    yield_now();
    drop(semaphore);
    waiter.kill();
    assert!(waiter.join().unwrap_err().is_killed());
}

// LO14, JO23
#[test]
fn a_wait_for_an_available_permit_returns_at_once_and_takes_none() {
    let (semaphore, other) = (Semaphore::new(2), Flag::new());
    drop(spawn({
        let other = other.clone();
        move || other.raise()
    }));
    assert_eq!(semaphore.wait(None), 2);
    assert_eq!(semaphore.wait(Some(LONG)), 2);
    assert!(!other.is_up());
    assert_eq!(semaphore.available(), 2);
}

// LO16
#[test]
fn a_running_greenlet_may_take_the_permit_of_a_woken_one_which_waits_on_in_front() {
    let (semaphore, log) = (Semaphore::new(0), Log::new());
    let waiters = [acquirer(&semaphore, &log, 0), acquirer(&semaphore, &log, 1)];
    yield_now();
    semaphore.release();
    assert!(semaphore.acquire());
    yield_now();
    assert_eq!(log.len(), 0);
    semaphore.release();
    semaphore.release();
    assert!(join_all(waiters).into_iter().all(Result::unwrap));
    assert_eq!(log.take(), [0, 1]);
}

// LO16, and the order of those that lose together
#[test]
fn woken_waiters_whose_permits_were_taken_keep_their_order() {
    let (semaphore, log) = (Semaphore::new(0), Log::new());
    for n in 0..3 {
        drop(acquirer(&semaphore, &log, n));
    }
    yield_now();
    (0..3).for_each(|_| semaphore.release());
    assert!((0..3).all(|_| semaphore.try_acquire()));
    let releaser = spawn({
        let semaphore = semaphore.clone();
        move || (0..4).for_each(|_| semaphore.release())
    });
    // The root stands in line before the three have run, found nothing and lined up again.
    semaphore.acquire();
    log.add(3);
    releaser.join().unwrap();
    assert_eq!(log.take(), [0, 1, 2, 3]);
}

// LO17
#[test]
fn a_release_does_not_switch() {
    let (semaphore, log) = (Semaphore::new(0), Log::new());
    let waiter = acquirer(&semaphore, &log, 0);
    yield_now();
    semaphore.release();
    assert_eq!((log.len(), semaphore.available()), (0, 1));
    waiter.join().unwrap();
    assert_eq!((log.len(), semaphore.available()), (1, 0));
}

// LO18
#[test]
fn a_wait_gives_zero_when_another_was_faster_or_the_time_ran_out() {
    let semaphore = Semaphore::new(0);
    let waiter = spawn({
        let semaphore = semaphore.clone();
        move || semaphore.wait(Some(LONG))
    });
    yield_now();
    semaphore.release();
    assert!(semaphore.try_acquire());
    assert_eq!(waiter.join().unwrap(), 0);
    assert_eq!(semaphore.wait(Some(SHORT)), 0);
    assert_eq!(semaphore.wait(Some(Duration::ZERO)), 0);
}

// LO18: a waiter that takes no permit hands the wake-up on.
#[test]
fn a_wait_does_not_use_up_the_wake_up_of_the_next_in_line() {
    let (semaphore, log) = (Semaphore::new(0), Log::new());
    let waits = [(); 3].map(|()| {
        let semaphore = semaphore.clone();
        spawn(move || semaphore.wait(None))
    });
    yield_now();
    let acquirer = acquirer(&semaphore, &log, 0);
    yield_now();
    semaphore.release();
    wait_all();
    assert!(acquirer.is_finished());
    assert_eq!(log.take(), [0]);
    assert!(waits.iter().all(|wait| wait.is_finished()));
}

// LO18: also when it is killed after it was woken.
#[test]
fn a_wait_that_was_woken_and_killed_hands_the_wake_up_on() {
    let (semaphore, log) = (Semaphore::new(0), Log::new());
    let wait = spawn({
        let semaphore = semaphore.clone();
        move || semaphore.wait(None)
    });
    yield_now();
    let acquirer = acquirer(&semaphore, &log, 0);
    yield_now();
    semaphore.release();
    wait.kill();
    wait_all();
    assert!(acquirer.is_finished());
}

// LO15
#[test]
fn waiters_are_served_first_come_first_served() {
    let (semaphore, log) = (Semaphore::new(0), Log::new());
    let waiters: Vec<_> = (0..1_000).map(|n| acquirer(&semaphore, &log, n)).collect();
    yield_now();
    (0..1_000).for_each(|_| semaphore.release());
    join_all(waiters);
    assert_eq!(log.take(), Vec::from_iter(0..1_000));
}

// LO15: killed, and killed before it noticed that it was woken for nothing.
#[test]
fn killing_waiters_loses_no_permit() {
    let (semaphore, log) = (Semaphore::new(0), Log::new());
    let waiters: Vec<_> = (0..6).map(|n| acquirer(&semaphore, &log, n)).collect();
    yield_now();
    waiters[0].kill();
    waiters[1].kill_nowait(); // not dead yet when the permit comes
    semaphore.release();
    semaphore.release();
    wait_all();
    assert_eq!(log.take(), [2, 3]);
    kill_all(&waiters);
    semaphore.release();
    assert_eq!(semaphore.available(), 1);
}

// LO15: woken by a permit, then killed: it has taken the permit, and gives it back where its guard is dropped.
#[test]
fn a_waiter_killed_after_it_was_woken_takes_the_permit_first() {
    let semaphore = Semaphore::new(0);
    let holder = spawn({
        let semaphore = semaphore.clone();
        move || {
            assert!(semaphore.acquire());
            let _permit = OnDrop(|| semaphore.release());
            sleep(LONG);
        }
    });
    yield_now();
    semaphore.release();
    holder.kill();
    assert!(holder.join().unwrap_err().is_killed());
    assert_eq!(semaphore.available(), 1);
}

#[test]
fn a_permit_released_as_a_waiter_runs_out_of_time_is_not_lost() {
    let semaphore = Semaphore::new(0);
    let timed = spawn({
        let semaphore = semaphore.clone();
        move || semaphore.acquire_timeout(SHORT)
    });
    let scoped = spawn({
        let semaphore = semaphore.clone();
        move || timeout(SHORT, || semaphore.acquire()).is_ok()
    });
    let releaser = spawn({
        let semaphore = semaphore.clone();
        move || {
            sleep(SHORT);
            semaphore.release();
            semaphore.release();
        }
    });
    yield_now();
    std::thread::sleep(2 * SHORT);
    releaser.join().unwrap();
    let taken = [timed, scoped].map(|g| usize::from(g.join().unwrap())).iter().sum::<usize>();
    assert_eq!(taken + semaphore.available(), 2);
}

#[test]
fn permits_limit_how_many_are_inside_at_once() {
    let (semaphore, inside, most) = (Semaphore::new(3), Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    join_all((0..50).map(|_| {
        let (semaphore, inside, most) = (semaphore.clone(), inside.clone(), most.clone());
        spawn(move || {
            for _ in 0..10 {
                semaphore.acquire();
                inside.set(inside.get() + 1);
                most.set(most.get().max(inside.get()));
                yield_now();
                inside.set(inside.get() - 1);
                semaphore.release();
            }
        })
    }));
    assert_eq!((most.get(), semaphore.available()), (3, 3));
}
