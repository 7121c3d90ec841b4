//! `Barrier`: all or an error for all.

mod common;

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use common::{Flag, LONG, Log, PROMPT, SHORT};
use greenloop::lock::{Barrier, BarrierWaitResult, BrokenBarrier};
use greenloop::testing::virtual_time;
use greenloop::{Elapsed, Greenlet, join_all, kill_all, sleep, spawn, timeout, wait_all, yield_now};

/// Spawns so many that wait at the barrier.
fn parties(barrier: &Barrier, count: usize) -> Vec<Greenlet<Result<BarrierWaitResult, BrokenBarrier>>> {
    let parties = (0..count).map(|_| {
        let barrier = barrier.clone();
        spawn(move || barrier.wait())
    });
    let parties = parties.collect();
    yield_now();
    parties
}

fn all_broken(parties: Vec<Greenlet<Result<BarrierWaitResult, BrokenBarrier>>>) -> bool {
    join_all(parties).into_iter().all(|party| party.unwrap() == Err(BrokenBarrier))
}

fn all_passed(parties: Vec<Greenlet<Result<BarrierWaitResult, BrokenBarrier>>>) -> bool {
    join_all(parties).into_iter().all(|party| party.unwrap().is_ok())
}

// LO31
#[test]
fn five_pass_in_lock_step_for_ten_rounds() {
    let (barrier, in_round) = (Barrier::new(5), Rc::new(Cell::new([0; 10])));
    let done = join_all((0..5).map(|_| {
        let (barrier, in_round) = (barrier.clone(), in_round.clone());
        spawn(move || {
            for round in 0..10 {
                let mut counts = in_round.get();
                assert!(counts[..round].iter().all(|&count| count == 5), "{counts:?} in round {round}");
                counts[round] += 1;
                in_round.set(counts);
                barrier.wait().unwrap();
            }
        })
    }));
    assert!(done.into_iter().all(|party| party.is_ok()));
    assert_eq!(in_round.get(), [5; 10]);
}

// LO31
#[test]
fn the_indices_are_all_different_and_the_last_to_come_leads() {
    let barrier = Barrier::new(5);
    for _ in 0..3 {
        let waiting = parties(&barrier, 4);
        let last = barrier.wait().unwrap();
        assert!(last.is_leader());
        let mut indices = vec![last.index()];
        for party in join_all(waiting) {
            let result = party.unwrap().unwrap();
            assert!(!result.is_leader());
            indices.push(result.index());
        }
        indices.sort_unstable();
        assert_eq!(indices, [0, 1, 2, 3, 4]);
    }
}

// LO31
#[test]
fn the_action_runs_once_a_pass_before_anybody_goes_on() {
    let log = Log::new();
    let action = {
        let log = log.clone();
        move || log.add("action")
    };
    let barrier = Barrier::with_action(3, action);
    let done = join_all((0..3).map(|_| {
        let (barrier, log) = (barrier.clone(), log.clone());
        spawn(move || {
            for _ in 0..2 {
                barrier.wait().unwrap();
                log.add("passed");
            }
        })
    }));
    assert!(done.into_iter().all(|party| party.is_ok()));
    let round = ["action", "passed", "passed", "passed"];
    assert_eq!(log.take(), [round, round].concat());
}

#[test]
fn who_comes_while_the_action_waits_belongs_to_the_next_round() {
    let (barrier, again) = (Barrier::with_action(2, || sleep(SHORT)), Flag::new());
    let first = parties(&barrier, 2);
    let late = spawn({
        let (barrier, again) = (barrier.clone(), again.clone());
        move || {
            let result = barrier.wait();
            assert!(again.is_up());
            result
        }
    });
    assert!(all_passed(first));
    assert_eq!((barrier.waiting(), late.is_finished()), (1, false));
    again.raise();
    barrier.wait().unwrap();
    assert!(late.join().unwrap().is_ok());
}

#[test]
fn an_action_that_panics_or_is_killed_breaks_the_barrier() {
    for kill in [false, true] {
        let action = move || if kill { sleep(LONG) } else { panic!("expected") };
        let barrier = Barrier::with_action(3, action);
        let waiting = parties(&barrier, 2);
        let last = spawn({
            let barrier = barrier.clone();
            move || barrier.wait()
        });
        yield_now();
        if kill {
            last.kill();
        }
        let error = last.join().unwrap_err();
        assert_eq!((error.is_killed(), error.is_panic()), (kill, !kill));
        assert!(all_broken(waiting));
        assert!(barrier.is_broken());
        barrier.reset();
        assert!(!barrier.is_broken());
    }
}

// LO32
#[test]
fn an_abort_breaks_it_for_those_that_wait_and_those_that_come() {
    let barrier = Barrier::new(3);
    let waiting = parties(&barrier, 2);
    assert_eq!(format!("{barrier:?}"), "Barrier(2 of 3 waiting)");
    barrier.abort();
    assert!(all_broken(waiting));
    assert_eq!(barrier.wait(), Err(BrokenBarrier));
    assert_eq!((barrier.is_broken(), barrier.waiting(), barrier.parties()), (true, 0, 3));
    assert_eq!(format!("{barrier:?}"), "Barrier(0 of 3 waiting, broken)");
}

// LO32
#[test]
fn a_reset_sends_those_that_wait_away_and_makes_it_usable_at_once() {
    let barrier = Barrier::new(3);
    let before = parties(&barrier, 2);
    barrier.reset();
    assert!(!barrier.is_broken() && barrier.waiting() == 0);
    let after = parties(&barrier, 3);
    assert!(all_broken(before) && all_passed(after));
}

// LO32
#[test]
fn after_an_abort_a_reset_makes_it_usable_again() {
    let barrier = Barrier::new(2);
    let waiting = parties(&barrier, 1);
    barrier.abort();
    barrier.reset();
    assert!(all_broken(waiting));
    assert!(all_passed(parties(&barrier, 2)));
}

// LO32
#[test]
fn a_wait_whose_time_runs_out_breaks_it_for_all() {
    let barrier = Barrier::new(3);
    let waiting = parties(&barrier, 1);
    let start = Instant::now();
    assert_eq!(barrier.wait_timeout(Duration::from_millis(10)), Err(BrokenBarrier));
    assert!(start.elapsed() >= Duration::from_millis(10) && start.elapsed() < PROMPT);
    assert!(all_broken(waiting));
    assert_eq!(barrier.wait_timeout(LONG), Err(BrokenBarrier));
    assert!(BrokenBarrier.to_string().contains("reset makes it usable again"));
}

// LO32
#[test]
fn a_barrier_for_one_or_none_never_blocks() {
    for parties in [0, 1] {
        let (barrier, other) = (Barrier::new(parties), Flag::new());
        drop(spawn({
            let other = other.clone();
            move || other.raise()
        }));
        for _ in 0..3 {
            let result = barrier.wait().unwrap();
            assert_eq!((result.index(), result.is_leader()), (0, true));
        }
        assert!(!other.is_up());
    }
    wait_all();
}

// Those that have passed have passed, whatever comes before they run.
#[test]
fn an_abort_after_the_pass_does_not_break_it_for_those_that_have_passed() {
    let barrier = Barrier::new(3);
    let waiting = parties(&barrier, 2);
    barrier.wait().unwrap();
    barrier.abort();
    assert!(all_passed(waiting));
    assert_eq!(barrier.wait(), Err(BrokenBarrier));
}

#[test]
fn one_that_is_killed_while_it_waits_has_not_come() {
    let barrier = Barrier::new(3);
    let killed = parties(&barrier, 2);
    kill_all(&killed);
    assert_eq!((barrier.is_broken(), barrier.waiting()), (false, 0));
    let waiting = parties(&barrier, 2);
    assert!(waiting.iter().all(|party| !party.is_finished()));
    barrier.wait().unwrap();
    let mut indices: Vec<_> =
        join_all(waiting).into_iter().map(|party| party.unwrap().unwrap().index()).collect();
    indices.sort_unstable();
    assert_eq!(indices.len(), 2);
    assert_ne!(indices[0], indices[1]);
}

// The last comes before the one that is to go has had its turn for that.
#[test]
fn one_that_is_about_to_leave_lets_nobody_pass() {
    fn passes_with_another(barrier: &Barrier, last: Greenlet<Result<BarrierWaitResult, BrokenBarrier>>) {
        assert!(!last.is_finished(), "it has passed alone");
        assert!(barrier.wait().unwrap().is_leader());
        assert!(last.join().unwrap().is_ok());
    }
    let barrier = Barrier::new(2);
    let waits = {
        let barrier = barrier.clone();
        move || barrier.wait()
    };

    let killed = spawn(waits.clone());
    yield_now();
    let last = spawn(waits.clone());
    killed.kill_nowait();
    assert!(killed.join().unwrap_err().is_killed());
    passes_with_another(&barrier, last);

    virtual_time(|| {
        let last = spawn({
            let waits = waits.clone();
            move || {
                sleep(SHORT);
                waits()
            }
        });
        yield_now();
        let limited = spawn(move || timeout(SHORT, waits));
        assert_eq!(limited.join().unwrap(), Err(Elapsed));
        passes_with_another(&barrier, last);
    });
}

#[test]
fn one_that_a_timeout_around_it_takes_out_has_not_come() {
    let barrier = Barrier::new(2);
    assert!(timeout(SHORT, || barrier.wait()).is_err());
    assert_eq!((barrier.is_broken(), barrier.waiting()), (false, 0));
    let waiting = parties(&barrier, 1);
    barrier.wait().unwrap();
    assert!(all_passed(waiting));
}

#[test]
fn a_pass_in_the_turn_in_which_the_time_runs_out_is_a_pass_or_a_break_for_all() {
    for _ in 0..20 {
        let barrier = Barrier::new(2);
        let timed = spawn({
            let barrier = barrier.clone();
            move || barrier.wait_timeout(Duration::from_micros(200))
        });
        yield_now();
        std::thread::sleep(Duration::from_micros(200));
        let other = barrier.wait_timeout(LONG);
        assert_eq!(timed.join().unwrap().is_ok(), other.is_ok());
    }
}
