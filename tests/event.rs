//! `Event`: who is woken, when, and in which order.

mod common;

use std::time::{Duration, Instant};

use common::{Flag, LONG, Log, PROMPT, SHORT};
use greenloop::event::Event;
use greenloop::{join_all, kill_all, sleep, spawn, timeout, wait_all, yield_now};

// EV01, EV06
#[test]
fn a_timed_wait_on_an_unset_event_ends_in_time_and_says_so() {
    let event = Event::new();
    let start = Instant::now();
    assert!(!event.wait_timeout(Duration::from_millis(20)));
    assert!(start.elapsed() >= Duration::from_millis(20) && start.elapsed() < PROMPT);
    assert!(!event.wait_timeout(Duration::ZERO));
    assert!(!event.is_set());
}

// EV06
#[test]
fn a_wait_on_a_set_event_returns_without_switching() {
    let (event, other) = (Event::new(), Flag::new());
    event.set();
    drop(spawn({
        let other = other.clone();
        move || other.raise()
    }));
    event.wait();
    assert!(event.wait_timeout(Duration::ZERO));
    assert!(event.wait_timeout(LONG));
    assert!(!other.is_up());
}

// EV02
#[test]
fn an_event_shows_its_state_and_the_number_of_waiters() {
    let event = Event::new();
    assert_eq!(format!("{event:?}"), "Event(unset, 0 waiting)");
    drop(spawn({
        let event = event.clone();
        move || event.wait()
    }));
    yield_now();
    assert_eq!(format!("{event:?}"), "Event(unset, 1 waiting)");
    event.set();
    assert_eq!(format!("{event:?}"), "Event(set, 0 waiting)");
}

// EV03
#[test]
fn setting_and_clearing_twice_is_the_same_as_once() {
    let event = Event::default();
    let mut states = vec![event.is_set()];
    for change in [Event::set, Event::set, Event::clear, Event::clear] {
        change(&event);
        states.push(event.is_set());
    }
    assert_eq!(states, [false, true, true, false, false]);
}

// EV04
#[test]
fn a_set_wakes_all_waiters_and_a_second_wait_returns_at_once() {
    let event = Event::new();
    let waiters: Vec<_> = (0..5)
        .map(|_| {
            let event = event.clone();
            spawn(move || {
                event.wait();
                event.is_set() && event.wait_timeout(Duration::ZERO)
            })
        })
        .collect();
    yield_now();
    assert!(waiters.iter().all(|g| !g.is_finished()));
    event.set();
    assert!(join_all(waiters).into_iter().all(Result::unwrap));
}

// EV07, EV08, EV10
#[test]
fn a_set_followed_by_a_clear_wakes_every_waiter_in_order() {
    for waiters in [1, 100, 1_000] {
        let (event, log) = (Event::new(), Log::new());
        let greenlets: Vec<_> = (0..waiters)
            .map(|n| {
                let (event, log) = (event.clone(), log.clone());
                spawn(move || {
                    let was_set = event.wait_timeout(LONG);
                    log.add((n, was_set, event.is_set()));
                })
            })
            .collect();
        yield_now();
        event.set();
        event.clear();
        assert!(!event.is_set());
        join_all(greenlets);
        assert_eq!(log.take(), Vec::from_iter((0..waiters).map(|n| (n, true, false))));
    }
}

// EV09, EV10
#[test]
fn a_setter_that_waits_itself_goes_behind_those_it_has_woken() {
    let (event, log) = (Event::new(), Log::new());
    for n in 1..=2 {
        let (event, log) = (event.clone(), log.clone());
        drop(spawn(move || {
            event.wait();
            log.add(n);
        }));
    }
    yield_now();
    event.set();
    assert_eq!(log.len(), 0);
    event.wait();
    log.add(3);
    assert_eq!(log.take(), [1, 2, 3]);
    // Now that all have run, nobody is gone behind any more.
    let other = Flag::new();
    drop(spawn({
        let other = other.clone();
        move || other.raise()
    }));
    event.wait();
    assert!(!other.is_up());
}

// EV09: also a newcomer goes behind them.
#[test]
fn a_greenlet_that_waits_after_the_set_goes_behind_those_that_waited_before() {
    let (event, log) = (Event::new(), Log::new());
    let early = spawn({
        let (event, log) = (event.clone(), log.clone());
        move || {
            event.wait();
            log.add("early");
        }
    });
    yield_now();
    let late = spawn({
        let (event, log) = (event.clone(), log.clone());
        move || {
            event.wait();
            log.add("late");
        }
    });
    event.set();
    join_all([early, late]);
    assert_eq!(log.take(), ["early", "late"]);
}

// EV11
#[test]
fn a_waiter_that_clears_and_waits_again_is_not_woken_by_the_same_set() {
    let (event, log) = (Event::new(), Log::new());
    for n in 0..3 {
        let (event, log) = (event.clone(), log.clone());
        drop(spawn(move || {
            event.wait();
            event.clear();
            log.add((n, 1));
            event.wait();
            log.add((n, 2));
        }));
    }
    yield_now();
    event.set();
    wait_all();
    assert_eq!(log.take(), [(0, 1), (1, 1), (2, 1)]);
    assert_eq!(format!("{event:?}"), "Event(unset, 3 waiting)");
    event.set();
    wait_all();
    // The first clears it, but the others were woken by that set too.
    assert_eq!(log.take(), [(0, 2), (1, 2), (2, 2)]);
}

// EV15
#[test]
fn a_waiter_that_is_killed_or_runs_out_of_time_leaves_the_event() {
    let event = Event::new();
    let waiters: [_; 3] = std::array::from_fn(|n| {
        let event = event.clone();
        spawn(move || match n {
            0 => event.wait(),
            1 => assert!(!event.wait_timeout(SHORT)),
            _ => assert!(timeout(SHORT, || event.wait()).is_err()),
        })
    });
    yield_now();
    assert_eq!(format!("{event:?}"), "Event(unset, 3 waiting)");
    waiters[0].kill();
    assert_eq!(format!("{event:?}"), "Event(unset, 2 waiting)");
    sleep(2 * SHORT);
    yield_now();
    assert_eq!(format!("{event:?}"), "Event(unset, 0 waiting)");
    event.set();
    let killed: Vec<_> = join_all(waiters).into_iter().map(|r| r.is_err()).collect();
    assert_eq!(killed, [true, false, false]);
}

// EV15: the last one, the first one and one in the middle.
#[test]
fn killing_some_waiters_leaves_the_others_in_their_order() {
    let (event, log) = (Event::new(), Log::new());
    let waiters: Vec<_> = (0..100)
        .map(|n| {
            let (event, log) = (event.clone(), log.clone());
            spawn(move || {
                event.wait();
                log.add(n);
            })
        })
        .collect();
    yield_now();
    kill_all(waiters.iter().step_by(3));
    event.set();
    wait_all();
    assert_eq!(log.take(), Vec::from_iter((0..100).filter(|n| n % 3 != 0)));
}

// EV15: woken, then killed before it runs: the set must not wait for it for ever, nor be lost for the others.
#[test]
fn killing_a_waiter_that_was_woken_leaves_the_event_usable() {
    let event = Event::new();
    let waiters: [_; 3] = std::array::from_fn(|_| {
        let event = event.clone();
        spawn(move || event.wait())
    });
    yield_now();
    event.set();
    waiters[1].kill_nowait();
    join_all(waiters);
    let other = Flag::new();
    drop(spawn({
        let other = other.clone();
        move || other.raise()
    }));
    event.wait();
    assert!(!other.is_up(), "the wait went behind somebody who does not come");
}

#[test]
fn a_set_between_other_events_wakes_only_its_own_waiters() {
    let (a, b) = (Event::new(), Event::new());
    let on_a = spawn({
        let a = a.clone();
        move || a.wait()
    });
    let on_b = spawn({
        let b = b.clone();
        move || b.wait()
    });
    yield_now();
    a.set();
    wait_all();
    assert!(on_a.is_finished() && !on_b.is_finished());
    b.set();
    on_b.join().unwrap();
}

#[test]
fn greenlets_can_pass_a_turn_around_with_events() {
    let events: Vec<Event> = (0..10).map(|_| Event::new()).collect();
    let log = Log::new();
    let ring: Vec<_> = (0..10)
        .map(|n| {
            let (mine, next, log) = (events[n].clone(), events[(n + 1) % 10].clone(), log.clone());
            spawn(move || {
                for _ in 0..10 {
                    mine.wait();
                    mine.clear();
                    log.add(n);
                    next.set();
                }
            })
        })
        .collect();
    events[0].set();
    join_all(ring);
    assert_eq!(log.take(), Vec::from_iter(0..10).repeat(10));
}
