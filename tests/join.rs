//! Waiting for greenlets: one, many, all.

mod common;

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

use common::{Flag, LONG, Log, PROMPT, SHORT, on_a_thread};
use greenloop::event::Event;
use greenloop::testing::{elapsed, virtual_time};
use greenloop::{
    Elapsed, Greenlet, Handle, current, join_all, kill_all, sleep, spawn, spawn_later, timeout, wait_all,
    wait_all_timeout, wait_timeout, yield_now,
};

// JO01, JO07
#[test]
fn a_wait_with_a_limit_ends_when_the_limit_does() {
    let sleeper = spawn(|| sleep(LONG));
    let start = Instant::now();
    assert!(!sleeper.wait_timeout(Duration::from_millis(20)));
    assert!(start.elapsed() >= Duration::from_millis(20) && start.elapsed() < PROMPT);
    assert!(!sleeper.is_finished());
    assert!(format!("{:?}", sleeper.handle()).contains("Parked"));
}

// JO06: also of one that never starts.
#[test]
fn a_wait_with_a_limit_ends_also_for_a_greenlet_that_has_not_started() {
    let later = spawn_later(LONG, || ());
    assert!(!later.wait_timeout(SHORT));
    later.kill();
    assert!(later.wait_timeout(Duration::ZERO));
}

// JO06, JO07
#[test]
fn a_wait_for_many_with_a_limit_ends_when_the_limit_does() {
    virtual_time(|| {
        let all = [spawn(|| sleep(LONG)), spawn_later(LONG, || ()), spawn(|| ())];
        let handles = all.each_ref().map(Greenlet::handle);
        assert_eq!(wait_timeout(&[&all[0], &all[1], &all[2]], SHORT), [2]);
        assert_eq!(elapsed(), SHORT);
        assert!(timeout(SHORT, || join_all(all)).is_err());
        assert_eq!(elapsed(), 2 * SHORT);
        assert_eq!(handles.each_ref().map(Handle::is_finished), [false, false, true]);
        kill_all(&handles);
    });
}

// JO02
#[test]
fn an_outer_timeout_inside_a_timed_join_is_not_taken_for_the_joins_own() {
    let sleeper = spawn(|| sleep(LONG));
    assert_eq!(timeout(SHORT, || sleeper.wait_timeout(LONG)), Err(Elapsed));
    assert!(!sleeper.is_finished());
}

// JO03
#[test]
fn a_join_under_a_timeout_runs_out_and_detaches() {
    let ran = Flag::new();
    let slow = spawn({
        let ran = ran.clone();
        move || {
            sleep(Duration::from_millis(20));
            ran.raise();
        }
    });
    assert!(timeout(SHORT, || slow.join()).is_err());
    wait_all();
    assert!(ran.is_up());
}

#[test]
fn the_limit_of_a_wait_that_was_not_needed_leaves_no_timer() {
    let quick = spawn(yield_now);
    assert!(quick.wait_timeout(LONG));
    let start = Instant::now();
    wait_all();
    assert!(start.elapsed() < PROMPT);
}

#[test]
fn a_finished_greenlet_can_be_waited_for_again_and_again() {
    let g = spawn(|| 3);
    for _ in 0..3 {
        g.wait();
        assert!(g.wait_timeout(Duration::ZERO));
        g.handle().wait();
    }
    assert_eq!(g.join().unwrap(), 3);
}

#[test]
fn joining_a_finished_greenlet_does_not_switch() {
    let g = spawn(|| ());
    g.wait();
    let other = Flag::new();
    drop(spawn({
        let other = other.clone();
        move || other.raise()
    }));
    g.join().unwrap();
    assert!(!other.is_up());
}

#[test]
fn all_joiners_of_a_greenlet_are_woken_in_the_order_in_which_they_came() {
    let (gate, log) = (Event::new(), Log::new());
    let g = spawn({
        let gate = gate.clone();
        move || gate.wait()
    });
    let joiners: Vec<_> = (0..100)
        .map(|n| {
            let (handle, log) = (g.handle(), log.clone());
            spawn(move || {
                handle.wait();
                log.add(n);
            })
        })
        .collect();
    yield_now();
    gate.set();
    join_all(joiners);
    assert_eq!(log.take(), Vec::from_iter(0..100));
}

#[test]
fn a_killed_joiner_does_not_disturb_the_others() {
    let gate = Event::new();
    let g = spawn({
        let gate = gate.clone();
        move || gate.wait()
    });
    let joiners: [Greenlet<()>; 3] = std::array::from_fn(|_| {
        let handle = g.handle();
        spawn(move || handle.wait())
    });
    yield_now();
    joiners[1].kill();
    assert!(!g.is_finished());
    gate.set();
    let killed: Vec<bool> = join_all(joiners).into_iter().map(|r| r.is_err_and(|e| e.is_killed())).collect();
    assert_eq!(killed, [false, true, false]);
}

#[test]
fn a_greenlet_that_ends_as_the_wait_for_it_runs_out_counts_as_ended() {
    let g = spawn(|| std::thread::sleep(Duration::from_millis(10)));
    assert!(g.wait_timeout(Duration::from_millis(1)));
}

// JO09
#[test]
fn join_all_gives_the_results_in_the_order_of_the_input() {
    let log = Log::new();
    let greenlets = [3_u64, 1, 2].map(|n| {
        let log = log.clone();
        spawn(move || {
            sleep(Duration::from_millis(10 * n));
            log.add(n);
            n
        })
    });
    let results: Vec<_> = join_all(greenlets).into_iter().map(Result::unwrap).collect();
    assert_eq!(results, [3, 1, 2]);
    assert_eq!(log.take(), [1, 2, 3]);
}

// JO08: a greenlet has one owner, but its handle may be waited for twice.
#[test]
fn the_same_greenlet_may_be_waited_for_twice_in_one_list() {
    let a = spawn(yield_now);
    let b = spawn(yield_now);
    for handle in [a.handle(), b.handle(), a.handle()] {
        handle.wait();
    }
    assert!(a.is_finished() && b.is_finished());
}

#[test]
fn join_all_reports_each_end_in_its_place() {
    let victim = spawn(|| sleep(LONG));
    victim.kill_nowait();
    let results = join_all([spawn(|| ()), spawn(|| panic!("expected")), victim]);
    let ends: Vec<_> = results
        .iter()
        .map(|r| r.as_ref().map_or_else(|e| (e.is_panic(), e.is_killed()), |()| (false, false)))
        .collect();
    assert_eq!(ends, [(false, false), (true, false), (false, true)]);
}

#[test]
fn join_all_spawns_everything_before_it_waits() {
    let alive = Rc::new(Cell::new(0));
    let most = Rc::new(Cell::new(0));
    join_all((0..10).map(|_| {
        let (alive, most) = (alive.clone(), most.clone());
        spawn(move || {
            alive.set(alive.get() + 1);
            most.set(most.get().max(alive.get()));
            yield_now();
            alive.set(alive.get() - 1);
        })
    }));
    assert_eq!((alive.get(), most.get()), (0, 10));
}

#[test]
fn join_all_of_nothing_is_nothing() {
    assert!(join_all(Vec::<Greenlet<()>>::new()).is_empty());
}

// JO26
#[test]
fn wait_all_returns_as_soon_as_the_last_greenlet_has_finished() {
    let g = spawn(|| 5);
    let start = Instant::now();
    wait_all();
    assert!(start.elapsed() < PROMPT);
    assert!(g.is_finished());
    assert_eq!(g.join().unwrap(), 5);
}

// JO27
#[test]
fn wait_all_waits_for_delayed_greenlets_and_for_what_they_spawn() {
    let ran = Flag::new();
    let start = Instant::now();
    drop(spawn_later(Duration::from_millis(10), {
        let ran = ran.clone();
        move || {
            drop(spawn(move || {
                sleep(Duration::from_millis(10));
                ran.raise();
            }));
        }
    }));
    wait_all();
    assert!(ran.is_up());
    assert!(start.elapsed() >= Duration::from_millis(20));
}

// JO28
#[test]
fn wait_all_timeout_gives_up_while_work_remains() {
    let g = spawn(|| sleep(LONG));
    let start = Instant::now();
    assert!(!wait_all_timeout(Duration::from_millis(20)));
    assert!(start.elapsed() >= Duration::from_millis(20) && start.elapsed() < PROMPT);
    assert!(!g.is_finished());
}

// JO28
#[test]
fn wait_all_timeout_says_at_once_when_nothing_is_left() {
    let g = spawn(|| sleep(LONG));
    assert!(!wait_all_timeout(SHORT));
    g.kill();
    let start = Instant::now();
    assert!(wait_all_timeout(Duration::from_secs(2)), "nothing was left, but it says that something was");
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
}

// JO28
#[test]
fn wait_all_timeout_of_zero_says_whether_something_is_left() {
    let g = spawn(|| sleep(LONG));
    assert!(!wait_all_timeout(Duration::ZERO));
    g.kill();
    assert!(wait_all_timeout(Duration::ZERO));
}

// JO26: as in gevent, what waits for ever is not waited for.
#[test]
fn wait_all_leaves_alone_what_nobody_can_wake() {
    let gate = Event::new();
    let g = spawn({
        let gate = gate.clone();
        move || gate.wait()
    });
    wait_all();
    assert!(!g.is_finished());
    gate.set();
    wait_all();
    assert!(g.is_finished());
}

// JO32
#[test]
fn wait_all_can_be_called_again_and_again() {
    for round in 0..10 {
        wait_all();
        let g = spawn(move || round);
        wait_all();
        assert_eq!(g.join().unwrap(), round);
    }
}

// JO36
#[test]
fn a_greenlet_may_not_wait_for_all() {
    for call in [wait_all as fn(), || common::ignore(wait_all_timeout(SHORT))] {
        let error = spawn(call).join().unwrap_err();
        assert!(error.is_panic() && error.to_string().contains("wait_all"), "{error}");
    }
}

// JO33
#[test]
fn threads_with_hubs_come_and_go_without_leaking_stacks() {
    let mappings = || std::fs::read_to_string("/proc/self/maps").map_or(0, |maps| maps.lines().count());
    let round = || {
        on_a_thread(|| {
            assert_eq!(spawn(|| 1).join().unwrap(), 1);
            wait_all();
        });
    };
    round();
    let before = mappings();
    for _ in 0..50 {
        round();
    }
    assert!(mappings() < before + 40, "{before} areas before, {} after", mappings());
}

#[test]
fn greenlets_may_wait_for_each_others_ends_in_a_chain() {
    let mut last: Handle = spawn(yield_now).handle();
    for _ in 0..100 {
        let previous = last;
        last = spawn(move || previous.wait()).handle();
    }
    last.wait();
}

#[test]
fn a_greenlet_may_be_joined_by_another_than_its_spawner() {
    let child = spawn(|| {
        spawn(|| {
            sleep(SHORT);
            current().id()
        })
    });
    let grandchild = child.join().unwrap();
    let id = grandchild.id();
    assert_eq!(spawn(move || grandchild.join()).join().unwrap().unwrap(), id);
}
