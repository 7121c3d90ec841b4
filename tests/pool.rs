//! Pools of greenlets.

mod net_support;
mod panic_place;

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Instant;

use greenloop::event::Event;
use greenloop::pool::{Group, Pool, PoolFull};
use greenloop::queue::Queue;
use greenloop::testing::{for_each_seed, wait_all_parked};
use greenloop::{LoopExit, current, join_all, kill_all, sleep, spawn, timeout, wait_all, yield_now};
use net_support::{Flag, LONG, Log, OnDrop, PROMPT, SHORT, ms, panic_of, spawn_parked};

// PO01
#[test]
fn a_spawned_function_runs_when_the_spawner_blocks() {
    let (pool, ran) = (Pool::new(2), Flag::default());
    let g = pool.spawn({
        let ran = ran.clone();
        move || ran.raise()
    });
    assert!(!ran.is_up());
    g.join().unwrap();
    assert!(ran.is_up());
}

// PO02
#[test]
fn apply_gives_the_value() {
    let pool = Pool::new(2);
    let text = String::from("moved in");
    assert_eq!(pool.apply(move || text.len()), 8);
    assert_eq!(pool.free_count(), 2);
}

// PO03
#[test]
fn apply_passes_a_panic_on_with_its_payload() {
    let pool = Pool::new(1);
    let payload =
        catch_unwind(AssertUnwindSafe(|| pool.apply(|| -> () { std::panic::panic_any(17_u8) }))).unwrap_err();
    assert_eq!(*payload.downcast::<u8>().unwrap(), 17);
    assert_eq!(pool.apply(|| "still works"), "still works");
}

// PO04
#[test]
fn a_member_may_wait_for_another_member() {
    let (pool, event, log) = (Pool::new(2), Event::new(), Log::new());
    let consumer = pool.spawn({
        let (event, log) = (event.clone(), log.clone());
        move || {
            log.add("cons1");
            event.wait();
            log.add("cons2");
        }
    });
    let producer = pool.spawn({
        let log = log.clone();
        move || {
            log.add("prod");
            event.set();
        }
    });
    consumer.join().unwrap();
    producer.join().unwrap();
    assert_eq!(log.take(), ["cons1", "prod", "cons2"]);
}

// PO06
#[test]
fn a_member_that_panics_gives_its_slot_back() {
    let pool = Pool::new(1);
    let error = pool.spawn(|| -> () { panic!("boom") }).join().unwrap_err();
    assert!(error.is_panic() && error.to_string().contains("boom"));
    assert_eq!((pool.free_count(), pool.len()), (1, 0));
    assert_eq!(pool.apply(|| 5), 5);
}

// PO07, PO08, PO27
#[test]
fn a_slot_is_taken_by_the_spawn_and_given_back_by_the_end() {
    let (pool, ran) = (Pool::new(2), Flag::default());
    assert_eq!((pool.size(), pool.free_count(), pool.len()), (2, 2, 0));
    let first = pool.spawn({
        let ran = ran.clone();
        move || ran.raise()
    });
    assert_eq!((pool.free_count(), pool.len(), pool.is_full()), (1, 1, false));
    let second = pool.spawn(|| sleep(SHORT));
    assert_eq!((pool.free_count(), pool.len(), pool.is_full()), (0, 2, true));
    assert!(!ran.is_up(), "spawn has switched");
    first.join().unwrap();
    assert_eq!((pool.free_count(), pool.len()), (1, 1));
    second.join().unwrap();
    assert_eq!((pool.free_count(), pool.len(), pool.is_empty()), (2, 0, true));
}

// PO09
#[test]
fn a_killed_member_gives_its_slot_back_once() {
    let pool = Pool::new(2);
    let (fresh, parked) = (pool.spawn(|| sleep(LONG)), pool.spawn(|| sleep(LONG)));
    fresh.kill();
    assert_eq!((pool.free_count(), pool.len()), (1, 1));
    fresh.kill();
    yield_now();
    parked.kill();
    parked.kill();
    assert_eq!((pool.free_count(), pool.len()), (2, 0));
    assert!(fresh.join().unwrap_err().is_killed() && parked.join().unwrap_err().is_killed());
}

// PO09: what its closure owned is gone with it.
#[test]
fn a_member_killed_before_its_first_turn_never_runs_and_drops_what_it_owns() {
    let (pool, owned, ran) = (Pool::new(1), Rc::new(()), Flag::default());
    let g = pool.spawn({
        let (owned, ran) = (owned.clone(), ran.clone());
        move || {
            let _owned = owned;
            ran.raise();
        }
    });
    g.kill();
    assert_eq!((Rc::strong_count(&owned), ran.is_up(), pool.free_count()), (1, false, 1));
}

// PO10
#[test]
fn a_timeout_leaves_a_spawn_on_a_full_pool_without_a_trace() {
    let (pool, ran) = (Pool::new(1), Flag::default());
    let member = pool.spawn(|| sleep(LONG));
    let inside = ran.clone();
    assert!(timeout(SHORT, || pool.spawn(move || inside.raise())).is_err());
    assert_eq!((pool.free_count(), pool.len()), (0, 1));
    member.kill();
    wait_all();
    assert_eq!((pool.free_count(), pool.len(), ran.is_up()), (1, 0, false));
}

// PO11
#[test]
fn try_spawn_on_a_full_pool_gives_the_function_back() {
    let pool = Pool::new(1);
    let member = pool.try_spawn(|| sleep(LONG)).unwrap();
    let PoolFull(function) = pool.try_spawn(|| "given back").unwrap_err();
    assert_eq!(function(), "given back");
    assert_eq!(pool.try_spawn(|| ()).unwrap_err().to_string(), "the pool is full");
    member.kill();
    assert_eq!(pool.try_spawn(|| "runs").unwrap().join().unwrap(), "runs");
}

// PO12
#[test]
fn spawn_timeout_gives_up_in_time_or_gets_the_slot() {
    let pool = Pool::new(1);
    let member = pool.spawn(|| sleep(LONG));
    let start = Instant::now();
    let PoolFull(function) = pool.spawn_timeout(|| "given back", SHORT).unwrap_err();
    assert!(start.elapsed() >= SHORT && start.elapsed() < PROMPT);
    assert_eq!(function(), "given back");
    spawn(move || {
        sleep(SHORT);
        member.kill()
    });
    assert_eq!(pool.spawn_timeout(|| "runs", LONG).unwrap().join().unwrap(), "runs");
}

// PO14
#[test]
fn a_pool_of_size_0_is_full_for_ever() {
    let pool = Pool::new(0);
    assert_eq!((pool.free_count(), pool.is_full(), pool.is_empty()), (0, true, true));
    assert_eq!(pool.wait_available(Some(SHORT)), 0);
    assert!(pool.try_spawn(|| ()).is_err());
    assert!(pool.spawn_timeout(|| (), SHORT).is_err());
    pool.join();
}

// PO14: otherwise than in gevent, where a program with a timer or a socket hangs for ever without a word.
#[test]
fn what_would_wait_for_a_slot_of_a_pool_of_size_0_says_so_at_once() {
    let pool = Pool::new(0);
    let calls: [Box<dyn Fn()>; 7] = [
        Box::new(|| _ = pool.wait_available(None)),
        Box::new(|| drop(pool.spawn(|| ()))),
        Box::new(|| pool.add(spawn(|| ()))),
        Box::new(|| pool.apply(|| ())),
        Box::new(|| drop(pool.map([1], |n| n))),
        Box::new(|| _ = pool.imap([1], |n| n).next()),
        Box::new(|| _ = pool.imap_unordered([1], |n| n).next()),
    ];
    for call in calls {
        let text = panic_of(call);
        assert!(text.contains("a Pool of size 0 has no slots"), "{text}");
    }
    assert_eq!((pool.free_count(), pool.len()), (0, 0));
}

#[test]
fn what_fails_in_a_pool_is_placed_at_the_line_of_the_caller() {
    panic_place::note();
    let (none, one) = (Pool::new(0), Pool::new(1));
    fn end_myself(_: u8) {
        greenloop::current().kill_nowait();
        yield_now();
    }
    let calls: [(u32, Box<dyn Fn()>); 12] = [
        (line!(), Box::new(|| _ = none.wait_available(None))),
        (line!(), Box::new(|| drop(none.spawn(|| ())))),
        (line!(), Box::new(|| none.add(spawn(|| ())))),
        (line!(), Box::new(|| none.apply(|| ()))),
        (line!(), Box::new(|| drop(none.map([1], |n| n)))),
        (line!(), Box::new(|| _ = none.imap([1], |n| n).next())),
        (line!(), Box::new(|| _ = none.imap_unordered([1], |n| n).next())),
        (line!(), Box::new(|| one.apply(|| end_myself(1)))),
        (line!(), Box::new(|| drop(one.map([1], end_myself)))),
        (line!(), Box::new(|| _ = one.imap([1], end_myself).next())),
        (line!(), Box::new(|| _ = one.imap_unordered([1], end_myself).next())),
        (line!(), Box::new(|| drop(Group::new().map([1], end_myself)))),
    ];
    for (line, call) in calls {
        panic_of(call);
        let place = panic_place::last();
        assert!(place.starts_with(&format!("{}:{line}:", file!())), "{place} and not line {line}");
    }
}

// HB01: it had said that it waits for a semaphore.
#[test]
fn a_deadlock_on_a_full_pool_names_the_pool() {
    let pool = Pool::new(2);
    let members = [(); 2].map(|()| pool.spawn(|| Event::new().wait()));
    let calls: [Box<dyn Fn()>; 2] =
        [Box::new(|| drop(pool.spawn(|| ()))), Box::new(|| _ = pool.wait_available(None))];
    for call in calls {
        let payload = catch_unwind(AssertUnwindSafe(call)).unwrap_err();
        let report = LoopExit::from_panic(&*payload).unwrap().to_string();
        assert!(report.contains("waits for a slot of a pool, 2 of 2 at tests/pool.rs"), "{report}");
    }
    kill_all(&members);
}

// PO15
#[test]
fn map_gives_the_results_in_the_order_of_the_input() {
    for size in [1, 2, 3, 10, usize::MAX] {
        let pool = Pool::new(size);
        for count in [10, 100_u64] {
            let squares = pool.map(0..count, |n| {
                // The later ones end earlier.
                (n..10).for_each(|_| yield_now());
                n * n
            });
            assert_eq!(squares, (0..count).map(|n| n * n).collect::<Vec<_>>());
        }
        assert_eq!((pool.free_count(), pool.len()), (size, 0));
    }
}

// PO16
#[test]
fn map_over_nothing_gives_nothing() {
    assert_eq!(Pool::new(1).map(Vec::<u8>::new(), |n| n), []);
    assert_eq!(Pool::new(0).map(Vec::<u8>::new(), |n| n), []);
}

// PO17, PO19
#[test]
fn a_slow_member_can_be_awaited_for_a_time_and_then_to_its_end() {
    let pool = Pool::new(1);
    let start = Instant::now();
    let slow = pool.spawn(|| {
        sleep(ms(40));
        7
    });
    assert!(!slow.wait_timeout(SHORT));
    assert!(!pool.join_timeout(SHORT));
    pool.join();
    assert!(slow.is_finished() && start.elapsed() >= ms(40));
    assert_eq!(slow.join().unwrap(), 7);
}

// PO20
#[test]
fn kill_ends_a_pool_that_a_map_keeps_filling() {
    let pool = Pool::new(3);
    let mapping = spawn_parked({
        let pool = pool.clone();
        move || pool.map(0..6, |_| sleep(LONG))
    });
    yield_now();
    assert!(pool.is_full());
    let start = Instant::now();
    pool.kill();
    assert_eq!((pool.len(), pool.free_count()), (0, 3));
    let error = mapping.join().unwrap_err();
    assert!(error.is_panic() && error.to_string().contains("killed"), "{error}");
    assert!(start.elapsed() < PROMPT);
}

// PO20
#[test]
fn kill_ends_members_that_are_spawned_meanwhile() {
    let (pool, log) = (Pool::new(2), Log::new());
    let again = OnDrop({
        let (pool, log) = (pool.clone(), log.clone());
        move || {
            log.add("dying");
            let log = log.clone();
            pool.try_spawn(move || {
                sleep(LONG);
                log.add("ran")
            })
            .unwrap();
        }
    });
    spawn_parked({
        let pool = pool.clone();
        move || {
            pool.spawn(move || {
                let _again = again;
                sleep(LONG)
            });
        }
    });
    yield_now();
    pool.kill();
    assert_eq!((pool.len(), pool.free_count(), log.take()), (0, 2, vec!["dying"]));
}

#[test]
fn a_member_that_kills_its_pool_is_spared() {
    let pool = Pool::new(3);
    let others = [pool.spawn(|| sleep(LONG)), pool.spawn(|| sleep(LONG))];
    let killer = pool.spawn({
        let pool = pool.clone();
        move || {
            pool.kill();
            pool.len()
        }
    });
    assert_eq!(killer.join().unwrap(), 1);
    assert!(join_all(others).into_iter().all(|result| result.unwrap_err().is_killed()));
}

// PO22
#[test]
fn join_on_an_empty_pool_does_not_switch() {
    let (pool, ran) = (Pool::new(3), Flag::default());
    let other = spawn({
        let ran = ran.clone();
        move || ran.raise()
    });
    pool.join();
    assert!(pool.join_timeout(LONG));
    pool.kill();
    assert!(!ran.is_up());
    other.join().unwrap();
}

// PO23, PO24
#[test]
fn the_second_spawn_of_a_pool_of_size_1_waits_for_the_first_to_end() {
    let (pool, log) = (Pool::new(1), Log::new());
    for name in ["first", "second"] {
        let inside = log.clone();
        pool.spawn(move || {
            sleep(SHORT);
            inside.add(name);
        });
        log.add("spawned");
        assert_eq!(pool.len(), 1);
    }
    assert!(!pool.join_timeout(ms(1)));
    assert_eq!(log.take(), ["spawned", "first", "spawned"]);
    pool.join();
    assert_eq!((log.take(), pool.len()), (vec!["second"], 0));
}

// PO23
#[test]
fn spawners_get_slots_in_the_order_in_which_they_came() {
    let (pool, log) = (Pool::new(1), Log::new());
    let first = pool.spawn(|| sleep(SHORT));
    let spawners: Vec<_> = (0..20)
        .map(|n| {
            let (pool, log) = (pool.clone(), log.clone());
            spawn(move || pool.spawn(move || log.add(n)).join().unwrap())
        })
        .collect();
    first.join().unwrap();
    assert!(join_all(spawners).into_iter().all(|result| result.is_ok()));
    assert_eq!(log.take(), (0..20).collect::<Vec<_>>());
}

// PO25
#[test]
fn map_passes_a_panic_of_the_input_on() {
    let (pool, log) = (Pool::new(2), Log::new());
    let input = (0..5).map(|n| if n == 3 { panic!("bad input") } else { n });
    let inside = log.clone();
    assert_eq!(panic_of(|| pool.map(input, move |n| inside.add(n))), "bad input");
    pool.join();
    assert_eq!((log.take(), pool.free_count()), (vec![0, 1, 2], 2));
}

// PO26
#[test]
fn map_passes_the_first_panic_of_the_function_on_when_all_have_ended() {
    let (pool, log) = (Pool::new(3), Log::new());
    let inside = log.clone();
    let text = panic_of(|| {
        pool.map(0..6_u64, move |n| {
            sleep(ms(6 - n));
            inside.add(n);
            assert!(n % 2 == 0, "item {n}");
        })
    });
    assert_eq!((text.as_str(), log.len(), pool.len()), ("item 1", 6, 0));
}

// PO28: here the caller itself spawns, so its kill ends that; what it has started goes on, as in gevent.
#[test]
fn killing_the_caller_of_a_map_starts_no_more_items() {
    let (pool, log) = (Pool::new(2), Log::new());
    let mapping = spawn_parked({
        let (pool, log) = (pool.clone(), log.clone());
        move || {
            pool.map(0..10, move |n| {
                sleep(SHORT);
                log.add(n);
            })
        }
    });
    mapping.kill();
    wait_all();
    assert_eq!((log.take(), pool.free_count()), (vec![0, 1], 2));
}

#[test]
fn never_more_members_run_than_the_size_says() {
    let (pool, running, most) = (Pool::new(7), Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    for n in 0..500_u32 {
        let (running, most) = (running.clone(), most.clone());
        pool.spawn(move || {
            running.update(|count| count + 1);
            most.set(most.get().max(running.get()));
            (0..=n % 4).for_each(|_| yield_now());
            running.update(|count| count - 1);
        });
    }
    pool.join();
    assert_eq!((most.get(), running.get(), pool.free_count()), (7, 0, 7));
}

// PO02, TP26: `apply` alone has the way out.
#[test]
fn apply_from_a_member_of_a_full_pool_runs_at_once() {
    let pool = Pool::new(1);
    let nested = pool.clone();
    let (outer, inner) = pool.apply(move || {
        let outer = current().id();
        (outer, nested.apply(|| current().id()))
    });
    assert_eq!(outer, inner);
    // With a free slot it is a greenlet of its own.
    let pool = Pool::new(2);
    let nested = pool.clone();
    let (outer, inner) = pool.apply(move || (current().id(), nested.apply(|| current().id())));
    assert_ne!(outer, inner);
}

#[test]
fn apply_from_a_stranger_waits_for_a_slot_of_a_full_pool() {
    let (pool, log) = (Pool::new(1), Log::new());
    pool.spawn({
        let log = log.clone();
        move || {
            sleep(SHORT);
            log.add("member");
        }
    });
    let inside = log.clone();
    pool.apply(move || inside.add("stranger"));
    assert_eq!(log.take(), ["member", "stranger"]);
}

#[test]
fn killing_the_caller_of_apply_lets_the_member_finish() {
    let (pool, done) = (Pool::new(1), Flag::default());
    let caller = spawn_parked({
        let (pool, done) = (pool.clone(), done.clone());
        move || {
            pool.apply(move || {
                sleep(SHORT);
                done.raise();
            })
        }
    });
    caller.kill();
    pool.join();
    assert!(done.is_up());
}

#[test]
fn a_full_pool_that_nobody_will_ever_leave_is_a_deadlock() {
    let (pool, event) = (Pool::new(1), Event::new());
    let member = pool.spawn(move || event.wait());
    for call in [|pool: &Pool| drop(pool.spawn(|| ())), |pool: &Pool| pool.join()] {
        let payload = catch_unwind(AssertUnwindSafe(|| call(&pool))).unwrap_err();
        assert!(LoopExit::from_panic(&*payload).is_some());
    }
    member.kill();
    assert_eq!((pool.apply(|| 1), pool.free_count()), (1, 1));
}

// PO10
#[test]
fn a_spawner_killed_when_its_slot_has_come_loses_no_slot() {
    let (pool, log) = (Pool::new(1), Log::new());
    let member = pool.spawn(|| sleep(LONG));
    let spawners: Vec<_> = (0..2)
        .map(|n| {
            let (pool, log) = (pool.clone(), log.clone());
            spawn_parked(move || drop(pool.spawn(move || log.add(n))))
        })
        .collect();
    // The release wakes the first spawner; its kill comes before its turn.
    member.kill_nowait();
    spawn({
        let first = spawners[0].handle();
        move || first.kill_nowait()
    });
    wait_all();
    assert!(log.take().contains(&1));
    assert_eq!((pool.free_count(), pool.len()), (1, 0));
}

#[test]
fn all_who_join_a_pool_are_woken() {
    let pool = Pool::new(2);
    pool.spawn(|| sleep(SHORT));
    let joiners = (0..5).map(|_| {
        let pool = pool.clone();
        spawn(move || {
            pool.join();
            pool.len()
        })
    });
    let lengths: Vec<_> = join_all(joiners).into_iter().map(Result::unwrap).collect();
    assert_eq!(lengths, [0; 5]);
}

#[test]
fn waiting_for_a_slot_does_not_take_it() {
    let pool = Pool::new(1);
    assert_eq!(pool.wait_available(None), 1);
    let member = pool.spawn(|| sleep(LONG));
    let waiters: Vec<_> = (0..3)
        .map(|_| {
            let pool = pool.clone();
            spawn_parked(move || pool.wait_available(None))
        })
        .collect();
    member.kill();
    let seen: Vec<_> = join_all(waiters).into_iter().map(Result::unwrap).collect();
    assert_eq!((seen, pool.free_count()), (vec![1; 3], 1));
}

#[test]
fn members_run_on_when_all_handles_of_the_pool_are_dropped() {
    let done = Flag::default();
    let inside = done.clone();
    Pool::new(1).spawn(move || {
        sleep(SHORT);
        inside.raise();
    });
    wait_all();
    assert!(done.is_up());
}

#[test]
fn a_pool_in_a_destructor_of_a_killed_greenlet_does_not_wait() {
    let (pool, log) = (Pool::new(1), Log::new());
    let member = pool.spawn(|| sleep(LONG));
    let guard = OnDrop({
        let (pool, log) = (pool.clone(), log.clone());
        move || {
            pool.join();
            log.add(pool.len());
            log.add(pool.wait_available(None));
            log.add(usize::from(pool.join_timeout(LONG)));
            log.add(usize::from(pool.spawn_timeout(|| (), LONG).is_ok()));
        }
    });
    let g = spawn_parked(move || {
        let _guard = guard;
        sleep(LONG)
    });
    let start = Instant::now();
    g.kill();
    assert_eq!(log.take(), [1, 0, 0, 0]);
    assert!(start.elapsed() < PROMPT);
    kill_all([member]);
}

// PO09
#[test]
fn a_discarded_member_gives_its_slot_back_once() {
    let pool = Pool::new(1);
    let member = pool.spawn(|| sleep(LONG));
    assert_eq!((pool.len(), pool.free_count()), (1, 0));
    assert!(pool.discard(&member));
    assert_eq!((pool.len(), pool.free_count()), (0, 1));
    member.kill();
    assert_eq!((pool.len(), pool.free_count()), (0, 1));
    assert!(!pool.discard(&member));
    assert_eq!(pool.free_count(), 1);
}

// PO10
#[test]
fn adding_to_a_full_pool_waits_for_a_slot() {
    let (pool, member) = (Pool::new(1), spawn(|| sleep(LONG)));
    let added = [spawn(|| sleep(LONG)), spawn(|| sleep(LONG))];
    pool.add(&added[0]);
    assert_eq!((pool.len(), pool.free_count()), (1, 0));
    assert!(timeout(SHORT, || pool.add(&member)).is_err());
    assert_eq!((pool.len(), pool.free_count(), pool.contains(&member)), (1, 0, false));
    let adder = spawn_parked({
        let (pool, second) = (pool.clone(), added[1].handle());
        move || pool.add(second)
    });
    assert!(!adder.is_finished());
    added[0].kill();
    adder.join().unwrap();
    assert_eq!((pool.len(), pool.contains(&added[1])), (1, true));
    // A member already: no other slot is needed.
    pool.add(&added[1]);
    kill_all([&member, &added[1]]);
    assert_eq!((pool.len(), pool.free_count()), (0, 1));
}

// PO10
#[test]
fn an_adder_that_is_killed_and_a_greenlet_that_ends_meanwhile_take_no_slot() {
    let pool = Pool::new(1);
    let member = pool.spawn(|| sleep(LONG));
    let (other, short) = (spawn(|| sleep(LONG)), spawn(|| sleep(SHORT)));
    let adders = [other.handle(), short.handle()].map(|greenlet| {
        let pool = pool.clone();
        spawn_parked(move || pool.add(greenlet))
    });
    adders[0].kill();
    short.wait();
    member.kill();
    adders[1].wait();
    assert_eq!((pool.len(), pool.free_count()), (0, 1));
    other.kill();
}

// PO11, PO12
#[test]
fn a_full_pool_gives_back_what_was_to_be_added() {
    let pool = Pool::new(1);
    let (first, second) = (spawn(|| sleep(LONG)), spawn(|| sleep(LONG)));
    pool.try_add(&first).unwrap();
    let PoolFull(back) = pool.try_add(&second).unwrap_err();
    assert_eq!(back.id(), second.id());
    let start = Instant::now();
    let PoolFull(back) = pool.add_timeout(second, SHORT).unwrap_err();
    assert!(start.elapsed() >= SHORT && start.elapsed() < PROMPT);
    assert_eq!((pool.len(), pool.free_count()), (1, 0));
    pool.try_add(&first).unwrap();
    first.kill();
    pool.add_timeout(&back, LONG).unwrap();
    assert_eq!((pool.len(), pool.contains(&back)), (1, true));
    pool.kill();
}

// PO20
#[test]
fn kill_stops_a_map_that_would_never_end() {
    let pool = Pool::new(2);
    let mapping = spawn_parked({
        let pool = pool.clone();
        move || pool.map(0.., |_| sleep(LONG))
    });
    yield_now();
    pool.kill();
    assert_eq!((pool.len(), pool.free_count()), (0, 2));
    assert!(mapping.join().unwrap_err().to_string().contains("killed"));
    assert_eq!(pool.map(0..3, |n| n), [0, 1, 2], "it can be used again");
}

// PO20, PO24: what a pool has from a group.
#[test]
fn a_pool_is_a_group_with_slots() {
    let pool = Pool::new(2);
    pool.spawn(|| -> () { panic!("expected") });
    pool.spawn(|| sleep(SHORT));
    assert_eq!((pool.iter().count(), pool.into_iter().count()), (2, 2));
    assert!(pool.try_join().unwrap_err().is_panic());
    pool.spawn(|| sleep(LONG));
    assert!(pool.kill_timeout(LONG));
    pool.spawn(|| sleep(LONG));
    pool.kill_nowait();
    assert_eq!(pool.len(), 1);
    pool.join();
    assert_eq!(format!("{pool:?}"), "Pool(0 of 2 running)");
}

// PO27
#[test]
fn a_pool_does_not_wait_in_a_destructor() {
    let (pool, log) = (Pool::new(1), Log::new());
    let member = pool.spawn(|| sleep(LONG));
    let dying = spawn_parked({
        let (pool, log) = (pool.clone(), log.clone());
        move || {
            let _last = OnDrop(move || log.add((pool.try_spawn(|| ()).is_err(), pool.join_timeout(LONG))));
            sleep(LONG);
        }
    });
    dying.kill();
    assert_eq!(log.take(), [(true, false)]);
    member.kill();
}

/// The numbers that a map has begun with.
type Begun = Rc<RefCell<Vec<u32>>>;

fn begin(begun: &Begun) -> impl Fn(u32) + 'static {
    let begun = begun.clone();
    move |n| {
        begun.borrow_mut().push(n);
        sleep(ms(1));
    }
}

// GP13, PO20: the map waits for its input when the pool is killed, and for a slot; nothing begins after that.
#[test]
fn a_map_begins_nothing_after_a_kill_whatever_it_waits_for() {
    for_each_seed(300, |seed| {
        let (pool, items, begun) = (Pool::new(2), Queue::unbounded(), Begun::default());
        (0..seed as u32 % 4).for_each(|n| items.put(n).unwrap());
        let mapping = spawn({
            let (pool, items, f) = (pool.clone(), items.clone(), begin(&begun));
            move || drop(pool.map(items, f))
        });
        wait_all_parked();
        if seed % 8 < 4 {
            pool.kill();
        } else {
            pool.kill_nowait();
        }
        let before = begun.borrow().len();
        (10..14).for_each(|n| items.put(n).unwrap());
        items.close();
        assert!(mapping.join().unwrap_err().to_string().contains("killed"));
        assert_eq!(begun.borrow().len(), before);
        assert_eq!((pool.len(), pool.free_count()), (0, 2));
    });
}
