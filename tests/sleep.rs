//! Sleeping and yielding: order, length, fairness.

mod common;

use std::cell::Cell;
use std::io::Read;
use std::rc::Rc;
use std::time::{Duration, Instant};

use common::{Flag, LONG, Log, PROMPT, SHORT};
use greenloop::testing::virtual_time;
use greenloop::{Elapsed, idle, join_all, sleep, spawn, spawn_later, timeout, wait_all, yield_now};

// SL01, SL07
#[test]
fn greenlets_that_yield_alternate_strictly() {
    for pause in [yield_now as fn(), || sleep(Duration::ZERO)] {
        let log = Log::new();
        join_all((0..3).map(|n| {
            let log = log.clone();
            spawn(move || {
                for step in 0..100 {
                    log.add((step, n));
                    pause();
                }
            })
        }));
        let expected: Vec<_> = (0..100).flat_map(|step| (0..3).map(move |n| (step, n))).collect();
        assert_eq!(log.take(), expected);
    }
}

// SL01: the root takes part like any other.
#[test]
fn the_root_takes_its_turn_between_greenlets() {
    let log = Log::new();
    let greenlets: Vec<_> = (1..3)
        .map(|n| {
            let log = log.clone();
            spawn(move || {
                for _ in 0..100 {
                    log.add(n);
                    yield_now();
                }
            })
        })
        .collect();
    for _ in 0..100 {
        log.add(0);
        yield_now();
    }
    join_all(greenlets);
    assert_eq!(log.take(), [0, 1, 2].repeat(100));
}

// SL01: a greenlet that was woken goes behind those that were ready before.
#[test]
fn the_run_queue_is_first_in_first_out_whatever_made_ready() {
    let log = Log::new();
    let gate = greenloop::event::Event::new();
    let waiter = spawn({
        let (gate, log) = (gate.clone(), log.clone());
        move || {
            gate.wait();
            log.add("woken");
        }
    });
    yield_now();
    let first = spawn({
        let log = log.clone();
        move || log.add("spawned before")
    });
    gate.set();
    let last = spawn({
        let log = log.clone();
        move || log.add("spawned after")
    });
    join_all([waiter, first, last]);
    assert_eq!(log.take(), ["spawned before", "woken", "spawned after"]);
}

// SL02
#[test]
fn an_endless_loop_of_yields_does_not_starve_its_own_timeout() {
    let start = Instant::now();
    let result: Result<(), Elapsed> = timeout(Duration::from_millis(10), || {
        loop {
            yield_now()
        }
    });
    assert_eq!(result, Err(Elapsed));
    assert!(start.elapsed() < PROMPT);
    let g = spawn(|| {
        timeout(Duration::from_millis(10), || {
            loop {
                sleep(Duration::ZERO)
            }
        })
    });
    assert_eq!(g.join().unwrap(), Err(Elapsed));
}

// SL02, SL08
#[test]
fn endless_loops_of_yields_starve_nobodys_sleep_and_no_delayed_start() {
    let stop = Flag::new();
    let spinners: Vec<_> = (0..10)
        .map(|_| {
            let stop = stop.clone();
            spawn(move || {
                while !stop.is_up() {
                    yield_now();
                }
            })
        })
        .collect();
    let start = Instant::now();
    let slept = spawn(|| sleep(SHORT));
    let started = spawn_later(SHORT, || ());
    join_all([slept, started]);
    sleep(SHORT);
    stop.raise();
    join_all(spinners);
    assert!(start.elapsed() < PROMPT);
}

// SL08: greenlets that spawn others without end are in the same position.
#[test]
fn an_endless_chain_of_spawns_does_not_starve_a_timer() {
    fn chain(stop: Flag) {
        if !stop.is_up() {
            drop(spawn(move || chain(stop)));
        }
    }
    let stop = Flag::new();
    chain(stop.clone());
    sleep(SHORT);
    stop.raise();
    wait_all();
}

// SL08: and two that wake each other.
#[test]
fn greenlets_that_only_wake_each_other_do_not_starve_a_timer() {
    let stop = Flag::new();
    let (ping, pong) = (greenloop::queue::Queue::unbounded(), greenloop::queue::Queue::unbounded());
    let player = |from: &greenloop::queue::Queue<()>, to: &greenloop::queue::Queue<()>| {
        let (from, to, stop) = (from.clone(), to.clone(), stop.clone());
        spawn(move || {
            while !stop.is_up() && from.get().is_ok() {
                to.put(()).unwrap();
            }
            from.close();
            to.close();
        })
    };
    let players = [player(&ping, &pong), player(&pong, &ping)];
    ping.put(()).unwrap();
    sleep(SHORT);
    stop.raise();
    for player in players {
        player.wait();
    }
}

// SL03, TO08
#[test]
fn a_sleep_is_never_too_short_even_after_a_long_turn() {
    for _ in 0..5 {
        std::thread::sleep(Duration::from_millis(10));
        let start = Instant::now();
        sleep(Duration::from_millis(10));
        assert!(start.elapsed() >= Duration::from_millis(10));
    }
    let g = spawn(|| {
        std::thread::sleep(Duration::from_millis(10));
        let start = Instant::now();
        sleep(Duration::from_millis(10));
        start.elapsed()
    });
    assert!(g.join().unwrap() >= Duration::from_millis(10));
}

// SL04
#[test]
fn sleeps_last_what_they_should() {
    for nanos in [1, 1_000, 65_536, 1_000_000, 5_000_000, 70_000_000] {
        let length = Duration::from_nanos(nanos);
        let start = Instant::now();
        sleep(length);
        assert!(start.elapsed() >= length, "{length:?}");
        assert!(start.elapsed() < length + PROMPT, "{length:?}");
    }
}

// SL04
#[test]
fn sleepers_wake_in_the_order_of_their_deadlines() {
    let log = Log::new();
    // Spread over several levels of a timer wheel; in no order.
    let lengths: Vec<u64> = (0..200_u64).map(|n| 1_000 + (n * 7919) % 200 * 300_000).collect();
    // In virtual time they all begin at the same instant.
    virtual_time(|| {
        join_all(lengths.iter().map(|&nanos| {
            let log = log.clone();
            spawn(move || {
                sleep(Duration::from_nanos(nanos));
                log.add(nanos);
            })
        }))
    });
    let order = log.take();
    let mut sorted = lengths;
    sorted.sort_unstable();
    assert_eq!(order, sorted);
}

// SL04
#[test]
fn sleeping_greenlets_sleep_side_by_side() {
    let start = Instant::now();
    join_all((0..1_000).map(|_| spawn(|| sleep(Duration::from_millis(20)))));
    assert!(start.elapsed() >= Duration::from_millis(20));
    assert!(start.elapsed() < PROMPT); // one after the other they would need exactly as long
}

// SL06
#[test]
fn yielding_with_nothing_else_to_do_returns() {
    sleep(Duration::ZERO);
    yield_now();
    for _ in 0..1_000 {
        yield_now();
    }
}

// SL06: everybody who is ready has had a turn when it returns.
#[test]
fn a_yield_lets_everybody_run_who_is_ready() {
    let count = Rc::new(Cell::new(0));
    for _ in 0..1_000 {
        let count = count.clone();
        drop(spawn(move || count.set(count.get() + 1)));
    }
    yield_now();
    assert_eq!(count.get(), 1_000);
}

// SL06
#[test]
fn idle_with_nothing_else_to_do_returns() {
    yield_now();
    idle();
    idle();
    spawn(|| idle()).join().unwrap();
}

#[test]
fn idle_returns_when_nobody_is_ready_any_more() {
    let log = Rc::new(Cell::new(0));
    let busy: Vec<_> = (0..3)
        .map(|_| {
            let log = log.clone();
            spawn(move || {
                (0..1_000).for_each(|_| yield_now());
                log.set(log.get() + 1);
            })
        })
        .collect();
    let sleeper = spawn(|| sleep(LONG));
    idle();
    assert_eq!(log.get(), 3);
    assert!(busy.iter().all(|g| g.is_finished()));
    // It did not wait for the timer.
    assert!(!sleeper.is_finished());
    sleeper.kill();
}

#[test]
fn all_that_idle_at_the_same_time_go_on_together() {
    let all = (0..3).map(|_| spawn(idle));
    assert!(join_all(all).into_iter().all(|result| result.is_ok()));
}

#[test]
fn what_is_due_runs_before_an_idle_greenlet() {
    let fired = Flag::new();
    drop(spawn_later(Duration::from_millis(1), {
        let fired = fired.clone();
        move || fired.raise()
    }));
    std::thread::sleep(SHORT);
    idle();
    assert!(fired.is_up());
}

#[test]
fn an_idle_greenlet_is_killed_and_times_out() {
    let busy = spawn(|| {
        loop {
            yield_now()
        }
    });
    let idler = spawn(idle);
    yield_now();
    idler.kill();
    assert!(idler.join().unwrap_err().is_killed());
    assert!(timeout(Duration::from_millis(1), idle).is_err());
    busy.kill();
    idle();
}

// SL15: most of them are; a loaded machine may be late once.
#[test]
fn short_sleeps_are_on_time_beside_a_descriptor_that_is_watched() {
    let (mut reader, _writer) = greenloop::io::pipe().unwrap();
    let watcher = spawn(move || reader.read(&mut [0]).map(drop));
    let late = (0..150).filter(|_| {
        let start = Instant::now();
        sleep(Duration::from_millis(1));
        start.elapsed() > Duration::from_millis(11)
    });
    assert!(late.count() < 75);
    watcher.kill();
}

// SL15
#[test]
fn a_timer_fires_while_the_root_does_nothing_but_yield() {
    let fired = Flag::new();
    drop(spawn_later(Duration::from_millis(1), {
        let fired = fired.clone();
        move || fired.raise()
    }));
    let start = Instant::now();
    while !fired.is_up() {
        yield_now();
        assert!(start.elapsed() < PROMPT);
    }
}

#[test]
fn a_sleep_beyond_the_clock_ends_only_with_its_greenlet() {
    let g = spawn(|| sleep(Duration::MAX));
    wait_all(); // it is no work to come
    assert!(!g.is_finished());
    g.kill();
    assert!(g.join().unwrap_err().is_killed());
}

#[test]
fn a_cancelled_sleep_leaves_no_timer_behind() {
    let g = spawn(|| sleep(LONG));
    yield_now();
    g.kill();
    let start = Instant::now();
    wait_all();
    assert!(start.elapsed() < PROMPT);
}
