//! Groups: greenlets that are waited for and killed together.

mod common;

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Instant;

use common::{Flag, LONG, Log, OnDrop, PROMPT, SHORT, ignore};
use greenloop::event::Event;
use greenloop::pool::{Group, Pool};
use greenloop::{
    Builder, LoopExit, current, join_all, on_spawn, shield, sleep, spawn, spawn_later, timeout, wait_all,
    yield_now,
};

/// A group with so many members that are parked.
fn parked(count: usize) -> Group {
    let group = Group::new();
    (0..count).for_each(|_| drop(group.spawn(|| sleep(LONG))));
    yield_now();
    group
}

fn is_loop_exit(call: impl FnOnce()) -> bool {
    let payload = catch_unwind(AssertUnwindSafe(call)).unwrap_err();
    LoopExit::from_panic(&*payload).is_some()
}

// GP01
#[test]
fn members_leave_when_they_end() {
    let (group, gates) = (Group::new(), [Event::new(), Event::new()]);
    let members = gates.clone().map(|gate| group.spawn(move || gate.wait()));
    assert_eq!((group.len(), group.is_empty()), (2, false));
    for (gate, member) in gates.iter().zip(&members) {
        assert!(group.contains(member));
        gate.set();
        member.wait();
        assert!(!group.contains(member));
    }
    assert_eq!((group.len(), group.is_empty()), (0, true));
}

// GP02
#[test]
fn a_join_returns_when_all_have_ended() {
    let (group, log) = (Group::new(), Log::new());
    for (name, pause) in [("slow", 2 * SHORT), ("fast", SHORT)] {
        let log = log.clone();
        drop(group.spawn(move || {
            sleep(pause);
            log.add(name);
        }));
    }
    let start = Instant::now();
    assert!(group.try_join().is_ok());
    assert!(start.elapsed() >= 2 * SHORT && start.elapsed() < PROMPT);
    assert_eq!((log.take(), group.len()), (vec!["fast", "slow"], 0));
}

#[test]
fn a_join_of_an_empty_group_does_not_switch() {
    let (group, other) = (Group::new(), Flag::new());
    drop(spawn({
        let other = other.clone();
        move || other.raise()
    }));
    group.join();
    assert!(group.join_timeout(LONG) && group.kill_timeout(LONG) && group.try_join().is_ok());
    group.kill();
    group.kill_nowait();
    assert!(!other.is_up());
}

#[test]
fn a_join_can_be_killed_and_can_run_out_of_time() {
    let group = parked(1);
    assert!(!group.join_timeout(SHORT));
    assert!(timeout(SHORT, || group.join()).is_err());
    let joiner = spawn({
        let group = group.clone();
        move || group.join()
    });
    yield_now();
    joiner.kill();
    assert!(joiner.join().unwrap_err().is_killed());
    assert_eq!(group.len(), 1);
    group.kill();
    assert!(group.join_timeout(LONG));
}

#[test]
fn a_join_that_nobody_can_end_is_a_deadlock() {
    let (group, event) = (Group::new(), Event::new());
    let member = group.spawn(move || event.wait());
    assert!(is_loop_exit(|| group.join()));
    assert!(is_loop_exit(|| ignore(group.try_join())));
    member.kill();
}

// GP14
#[test]
fn a_join_that_was_woken_returns_though_new_members_have_come() {
    let group = parked(1);
    let joiners = [(); 3].map(|()| {
        let group = group.clone();
        spawn(move || {
            group.join();
            group.len()
        })
    });
    yield_now();
    group.kill_nowait();
    // It stands in line before the joiners, whom the end of the member wakes.
    drop(spawn({
        let group = group.clone();
        move || drop(group.spawn(|| sleep(LONG)))
    }));
    let seen: Vec<_> = join_all(joiners).into_iter().map(Result::unwrap).collect();
    assert_eq!(seen, [1, 1, 1]);
    group.kill();
}

// GP03
#[test]
fn a_kill_waits_until_all_are_dead() {
    let log = Log::new();
    let group = Group::new();
    for n in 0..2 {
        let log = log.clone();
        let last = OnDrop(move || log.add(n));
        drop(group.spawn(move || {
            let _last = last;
            sleep(LONG);
        }));
    }
    drop(group.spawn(|| unreachable!("it is killed before its first turn")));
    let start = Instant::now();
    group.kill();
    assert!(group.is_empty() && start.elapsed() < PROMPT);
    assert_eq!(log.take(), [0, 1]);
}

// GP04
#[test]
fn a_kill_without_waiting_takes_effect_later() {
    let group = parked(2);
    group.kill_nowait();
    assert_eq!(group.len(), 2);
    yield_now();
    assert_eq!(group.len(), 0);
}

// GP06, GP07
#[test]
fn a_member_dies_once_however_often_it_is_killed() {
    let (group, deaths) = (Group::new(), Log::new());
    let members = ["one", "two"].map(|name| {
        let deaths = deaths.clone();
        group.spawn(move || {
            let _last = OnDrop(move || deaths.add(name));
            shield(|| sleep(2 * SHORT));
            sleep(LONG);
        })
    });
    yield_now();
    members[0].kill_nowait();
    members[0].kill_nowait();
    (0..3).for_each(|_| group.kill_nowait());
    yield_now();
    assert_eq!((deaths.len(), group.len()), (0, 2));
    group.kill();
    group.kill();
    assert_eq!((deaths.take(), group.len()), (vec!["one", "two"], 0));
}

// GP08
#[test]
fn a_kill_of_members_that_do_not_die_can_run_out_of_time() {
    let (group, gate) = (Group::new(), Event::new());
    for _ in 0..2 {
        let gate = gate.clone();
        drop(group.spawn(move || shield(|| gate.wait())));
    }
    yield_now();
    assert!(timeout(SHORT, || group.kill()).is_err());
    assert_eq!(group.len(), 2);
    gate.set();
    group.join();
}

// GP12
#[test]
fn a_kill_with_a_limit_says_whether_all_are_dead() {
    let (group, gate) = (Group::new(), Event::new());
    drop(group.spawn({
        let gate = gate.clone();
        move || shield(|| gate.wait())
    }));
    drop(group.spawn(|| sleep(LONG)));
    yield_now();
    assert!(!group.kill_timeout(SHORT));
    assert_eq!(group.len(), 1);
    gate.set();
    assert!(group.kill_timeout(LONG));
    assert!(group.is_empty());
}

// GP09
#[test]
fn a_group_is_killed_whatever_its_members_do() {
    let group = Group::new();
    let failing = group.spawn(|| -> () { panic!("expected") });
    let sleeping = group.spawn(|| sleep(LONG));
    let later = spawn_later(LONG, || ());
    group.add(&later);
    failing.wait();
    let swallowing = group.spawn(|| {
        while catch_unwind(|| sleep(LONG)).is_err() && std::thread::panicking() {}
        "goes on"
    });
    yield_now();
    group.kill();
    assert!(group.is_empty());
    assert!(failing.join().unwrap_err().is_panic() && sleeping.join().unwrap_err().is_killed());
    assert!(later.join().unwrap_err().is_killed());
    assert_eq!(swallowing.join().unwrap(), "goes on");
}

// GP10
#[test]
fn a_group_takes_greenlets_that_run_already() {
    let running = [SHORT, LONG].map(|pause| spawn(move || sleep(pause)));
    yield_now();
    let group: Group = running.iter().collect();
    assert_eq!(group.len(), 2);
    running[0].wait();
    assert_eq!((group.len(), group.contains(&running[0])), (1, false));
    let mut group = group;
    group.extend([spawn(|| ())]);
    assert_eq!(group.len(), 2);
    group.kill();
    assert!(running[1].is_finished());
}

#[test]
fn adding_twice_counts_once_and_the_finished_are_not_added() {
    let group = Group::new();
    let member = group.spawn(|| sleep(LONG));
    group.add(&member);
    group.add(member.handle());
    assert_eq!(group.len(), 1);
    let finished = spawn(|| ());
    finished.wait();
    group.add(finished);
    assert_eq!(group.len(), 1);
    member.kill();
    assert_eq!(group.len(), 0);
}

#[test]
fn the_root_cannot_be_a_member() {
    let payload = catch_unwind(|| Group::new().add(current())).unwrap_err();
    assert!(payload.downcast_ref::<String>().unwrap().contains("root"));
}

#[test]
fn a_discarded_member_runs_on_and_may_come_again() {
    let (group, other) = (Group::new(), Group::new());
    let member = group.spawn(|| sleep(LONG));
    other.add(&member);
    assert!(group.discard(&member));
    assert!(!group.discard(&member));
    assert_eq!((group.len(), other.len()), (0, 1));
    group.kill();
    assert!(!member.is_finished());
    group.join();
    group.add(&member);
    other.kill();
    assert_eq!((group.len(), other.len(), member.is_finished()), (0, 0, true));
}

#[test]
fn discarding_the_last_member_ends_a_join() {
    let group = Group::new();
    let member = group.spawn(|| sleep(LONG));
    let joiner = spawn({
        let group = group.clone();
        move || group.join()
    });
    yield_now();
    assert!(group.discard(&member));
    joiner.join().unwrap();
    member.kill();
}

// GP13
#[test]
fn members_that_come_during_a_kill_are_killed_too() {
    let (group, log) = (Group::new(), Log::new());
    let again = OnDrop({
        let (group, log) = (group.clone(), log.clone());
        move || {
            let log = log.clone();
            drop(group.spawn(move || {
                sleep(LONG);
                log.add("ran");
            }));
        }
    });
    drop(group.spawn(move || {
        let _again = again;
        sleep(LONG)
    }));
    yield_now();
    group.kill();
    assert_eq!((group.len(), log.len()), (0, 0));
}

#[test]
fn a_member_that_kills_its_group_is_spared() {
    let group = parked(2);
    let killer = group.spawn({
        let group = group.clone();
        move || {
            group.kill();
            group.len()
        }
    });
    assert_eq!(killer.join().unwrap(), 1);
    assert!(group.is_empty());
}

#[test]
fn the_killer_may_be_killed_and_the_others_die_all_the_same() {
    let (group, gate) = (Group::new(), Event::new());
    drop(group.spawn({
        let gate = gate.clone();
        move || shield(|| gate.wait())
    }));
    drop(group.spawn(|| sleep(LONG)));
    let killer = spawn({
        let group = group.clone();
        move || group.kill()
    });
    yield_now();
    killer.kill();
    assert!(killer.join().unwrap_err().is_killed());
    assert_eq!(group.len(), 1);
    gate.set();
    group.join();
}

// GP15: the first in time, and only when all have ended.
#[test]
fn try_join_gives_the_first_failure_when_all_have_ended() {
    let (group, log) = (Group::new(), Log::new());
    for (pause, text) in [(3 * SHORT, "third"), (SHORT, "first"), (2 * SHORT, "second")] {
        drop(group.spawn(move || {
            sleep(pause);
            panic!("expected: {text}");
        }));
    }
    drop(group.spawn({
        let log = log.clone();
        move || {
            sleep(4 * SHORT);
            log.add("done");
        }
    }));
    let error = group.try_join().unwrap_err();
    assert!(error.is_panic() && error.to_string().contains("first"), "{error}");
    assert_eq!(log.take(), ["done"]);
    assert!(group.try_join().is_ok(), "it was told once");
}

// GP15: also of one that had left when the join began, as no failure should depend on timing to be seen.
#[test]
fn try_join_tells_of_failures_before_it() {
    let group = Group::new();
    let failed = group.spawn(|| std::panic::panic_any(7_u8));
    failed.wait();
    assert!(group.is_empty());
    assert!(group.try_join().unwrap_err().is_panic());
    // The payload is the member's.
    assert_eq!(*failed.join().unwrap_err().try_into_panic().unwrap().downcast::<u8>().unwrap(), 7);
}

// GP15: an added member's failure counts, that of a discarded one does not, and a kill is none.
#[test]
fn try_join_knows_members_only_and_takes_no_kill_for_a_failure() {
    let (mut group, gate) = (Group::new(), Event::new());
    let added = spawn(|| panic!("expected: added"));
    group.add(&added);
    assert!(group.try_join().unwrap_err().to_string().contains("added"));
    let [discarded, killed] = ["discarded", "killed"].map(|name| {
        let gate = gate.clone();
        spawn(move || {
            gate.wait();
            panic!("expected: {name}");
        })
    });
    yield_now();
    group.extend([&discarded, &killed]);
    assert!(group.discard(&discarded));
    killed.kill();
    gate.set();
    discarded.wait();
    assert!(group.try_join().is_ok());
}

#[test]
fn try_join_tells_what_a_greenlet_of_a_scope_has_panicked_with() {
    let group = Group::new();
    let error = greenloop::scope(|s| {
        let member = s.spawn(|| panic!("expected: in a scope"));
        group.add(&member);
        let error = group.try_join().unwrap_err();
        assert!(member.join().is_err());
        error
    });
    assert!(error.is_panic() && error.to_string().contains("expected: in a scope"), "{error}");
}

#[test]
fn a_try_join_in_a_destructor_says_that_somebody_still_runs() {
    let (group, log) = (parked(1), Log::new());
    let dying = spawn({
        let (group, log) = (group.clone(), log.clone());
        move || {
            let _last = OnDrop(move || log.add(group.try_join().unwrap_err().to_string()));
            sleep(LONG);
        }
    });
    yield_now();
    dying.kill();
    assert!(log.take()[0].contains("does not wait"));
    group.kill();
}

#[test]
fn members_are_listed_in_the_order_of_their_spawning() {
    let group = Group::new();
    let names = ["a", "b", "c"];
    let members = names.map(|name| Builder::new().name(name).spawn(|| sleep(LONG)).unwrap());
    members.iter().rev().for_each(|member| group.add(member));
    let listed: Vec<_> = (&group).into_iter().map(|member| member.name().unwrap().to_string()).collect();
    assert_eq!(listed, names);
    // Members may be killed while they are gone through.
    group.iter().for_each(|member| member.kill());
    assert_eq!((group.len(), group.iter().count()), (0, 0));
}

#[test]
fn a_group_has_no_limit_and_maps_in_order() {
    let group = Group::new();
    assert_eq!(group.apply(|| 6 * 7), 42);
    assert_eq!(group.map(0..100, |n| n * 2), (0..100).map(|n| n * 2).collect::<Vec<_>>());
    let most = Rc::new(Cell::new(0));
    let (inside, seen) = (group.clone(), most.clone());
    let results = group.imap(0..100_u32, move |n| {
        seen.set(seen.get().max(inside.len()));
        yield_now();
        n
    });
    assert!(results.eq(0..100));
    assert_eq!(most.get(), 100);
    let mut unordered: Vec<_> = group.imap_unordered(0..10, |n| n).collect();
    unordered.sort_unstable();
    assert_eq!(unordered, Vec::from_iter(0..10));
    assert!(group.is_empty());
}

#[test]
fn dropping_a_group_ends_nobody() {
    let (gate, done) = (Event::new(), Flag::new());
    let group = Group::new();
    drop(group.spawn({
        let (gate, done) = (gate.clone(), done.clone());
        move || {
            gate.wait();
            done.raise();
        }
    }));
    drop(group);
    gate.set();
    wait_all();
    assert!(done.is_up());
}

#[test]
fn a_member_is_kept_alive_by_its_group_no_longer_than_it_runs() {
    let (group, owned) = (Group::new(), Rc::new(()));
    let member = group.spawn({
        let owned = owned.clone();
        move || drop(owned)
    });
    member.wait();
    assert_eq!(Rc::strong_count(&owned), 1);
    assert_eq!(format!("{group:?}"), "Group(0 running)");
}

// A spawn hook is code of the user's between the birth of a greenlet and its membership.
#[test]
fn a_hook_that_panics_or_lets_the_greenlet_run_loses_no_slot() {
    let pool = Pool::new(1);
    let hook = on_spawn(|_| panic!("expected: no"));
    assert!(catch_unwind(AssertUnwindSafe(|| pool.spawn(|| ()))).is_err());
    drop(hook);
    wait_all();
    assert_eq!((pool.free_count(), pool.len()), (1, 0));
    let hook = on_spawn(|greenlet| greenlet.wait());
    assert_eq!(pool.spawn(|| 1).join().unwrap(), 1);
    drop(hook);
    assert_eq!((pool.free_count(), pool.len()), (1, 0));
}
