//! Waiting for many greenlets until one fails.

mod common;

use std::rc::Rc;
use std::time::Instant;

use common::{Flag, LONG, OnDrop, PROMPT, SHORT};
use greenloop::event::Event;
use greenloop::{
    Greenlet, LoopExit, iwait, kill_all, sleep, spawn, timeout, try_join_all, wait_all, yield_now,
};

// JO09
#[test]
fn without_a_failure_all_values_come_in_the_order_of_the_input() {
    let all = [3_u32, 1, 2].map(|n| {
        spawn(move || {
            sleep(SHORT * n);
            n
        })
    });
    assert_eq!(try_join_all(all).unwrap(), [Some(3), Some(1), Some(2)]);
}

#[test]
fn nothing_is_waited_for_in_an_empty_list() {
    assert_eq!(try_join_all(Vec::<Greenlet<()>>::new()).unwrap(), []);
}

#[test]
fn what_has_ended_already_is_given_without_switching() {
    let all: Vec<_> = (0..3).map(|n| spawn(move || n)).collect();
    wait_all();
    let other = Flag::new();
    drop(spawn({
        let other = other.clone();
        move || other.raise()
    }));
    assert_eq!(try_join_all(all).unwrap(), [Some(0), Some(1), Some(2)]);
    assert!(!other.is_up());
}

// JO10
#[test]
fn a_failure_is_given_without_waiting_for_the_slow_ones_which_run_on() {
    let start = Instant::now();
    let ended = Flag::new();
    let slow = spawn({
        let ended = ended.clone();
        move || {
            sleep(10 * SHORT);
            ended.raise();
        }
    });
    let slow_handle = slow.handle();
    let bad = spawn(|| panic!("expected: the failure"));
    let error = try_join_all([slow, bad]).unwrap_err();
    assert!(error.to_string().contains("expected: the failure"));
    assert!(!ended.is_up());
    slow_handle.wait();
    assert!(ended.is_up() && start.elapsed() < PROMPT);
}

// JO12: who wants to know that some have ended, however, asks `iwait`.
#[test]
fn the_end_of_a_failing_greenlet_counts_as_any_end_for_iwait() {
    let (slow, bad) = (spawn(|| sleep(LONG)), spawn(|| panic!("expected: the failure")));
    assert_eq!(iwait(&[&slow, &bad]).take(1).collect::<Vec<_>>(), [1]);
    assert!(!slow.is_finished());
    slow.kill();
}

// JO10
#[test]
fn a_failure_from_before_is_given_at_once() {
    let slow = spawn(|| sleep(LONG));
    let slow_handle = slow.handle();
    let bad = spawn(|| std::panic::panic_any(7_u8));
    bad.wait();
    let error = try_join_all([slow, bad]).unwrap_err();
    assert_eq!(*error.try_into_panic().unwrap().downcast::<u8>().unwrap(), 7);
    slow_handle.kill();
}

// JO11
#[test]
fn the_first_failure_in_time_counts() {
    for order in [[1_u32, 3], [3, 1]] {
        let all = order.map(|n| {
            spawn(move || {
                sleep(10 * SHORT * n);
                std::panic::panic_any(n)
            })
        });
        let handles = all.each_ref().map(|g: &Greenlet<()>| g.handle());
        let error = try_join_all(all).unwrap_err();
        assert_eq!(*error.try_into_panic().unwrap().downcast::<u32>().unwrap(), 1);
        handles.iter().for_each(|g| g.wait());
    }
}

// JO11: two in the same turn.
#[test]
fn of_two_failures_in_one_turn_the_first_to_run_counts() {
    let go = Event::new();
    let all: Vec<Greenlet<()>> = (0..2_u32)
        .map(|n| {
            let go = go.clone();
            spawn(move || {
                go.wait();
                std::panic::panic_any(n)
            })
        })
        .collect();
    yield_now();
    go.set();
    let error = try_join_all(all.into_iter().rev()).unwrap_err();
    assert_eq!(*error.try_into_panic().unwrap().downcast::<u32>().unwrap(), 0);
}

// JO11: both from before.
#[test]
fn of_two_failures_from_before_the_first_in_time_counts() {
    for reversed in [false, true] {
        let mut all: Vec<Greenlet<()>> =
            (0..2_u32).map(|n| spawn(move || std::panic::panic_any(n))).collect();
        wait_all();
        if reversed {
            all.reverse();
        }
        let error = try_join_all(all).unwrap_err();
        assert_eq!(*error.try_into_panic().unwrap().downcast::<u32>().unwrap(), 0, "reversed: {reversed}");
    }
}

// LK08
#[test]
fn a_kill_is_not_a_failure() {
    let all = [1, 2, 3].map(|n| {
        spawn(move || {
            sleep(SHORT);
            n
        })
    });
    let victim = all[1].handle();
    let killer = spawn(move || victim.kill());
    assert_eq!(try_join_all(all).unwrap(), [Some(1), None, Some(3)]);
    assert!(killer.is_finished());
}

#[test]
fn the_greenlets_are_all_spawned_before_the_first_is_waited_for() {
    let go = Event::new();
    let waiting = {
        let go = go.clone();
        spawn(move || go.wait())
    };
    let all = [Some(waiting), None].into_iter().map(|g| {
        g.unwrap_or_else(|| {
            let go = go.clone();
            spawn(move || go.set())
        })
    });
    assert_eq!(try_join_all(all).unwrap().len(), 2);
}

#[test]
fn a_kill_or_a_timeout_of_the_one_who_waits_leaves_the_others_alone_and_no_link() {
    let owned = Rc::new(());
    let spawn_owner = || {
        let owned = owned.clone();
        spawn(move || {
            let _owned = owned;
            sleep(LONG);
        })
    };
    let (a, b) = (spawn_owner(), spawn_owner());
    let (first, second) = (a.handle(), b.handle());
    let waiter = spawn(move || try_join_all([a]));
    yield_now();
    waiter.kill();
    assert!(timeout(SHORT, || try_join_all([b])).is_err());
    assert!(!first.is_finished() && !second.is_finished());
    kill_all([&first, &second]);
    assert_eq!(Rc::strong_count(&owned), 1);
}

#[test]
fn a_deadlock_is_reported_with_the_number_of_those_that_are_left() {
    let stuck = spawn(|| Event::new().wait());
    let (stuck_handle, ended) = (stuck.handle(), spawn(|| ()));
    let payload =
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| try_join_all([stuck, ended]))).unwrap_err();
    let exit = LoopExit::from_panic(&*payload).expect("a deadlock");
    let expected = format!("waits for several greenlets, left 1 at {}", file!());
    assert!(exit.report().contains(&expected), "{exit}");
    stuck_handle.kill();
}

#[test]
fn in_a_destructor_run_by_a_kill_it_is_refused_at_once() {
    let refused = Flag::new();
    let g = spawn({
        let refused = refused.clone();
        move || {
            let mut slow = Some(spawn(|| sleep(SHORT)));
            let _last = OnDrop(|| {
                let error = try_join_all(slow.take()).unwrap_err();
                assert!(!error.is_panic() && !error.is_killed());
                refused.raise();
            });
            sleep(LONG);
        }
    });
    yield_now();
    g.kill();
    assert!(refused.is_up());
    wait_all();
}
