//! Ending a greenlet from outside, in every state.

mod common;

use std::cell::Cell;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::{Duration, Instant};

use common::{Flag, LONG, Log, OnDrop, PROMPT, SHORT, ignore};
use greenloop::event::{AsyncResult, Event};
use greenloop::lock::Semaphore;
use greenloop::queue::Queue;
use greenloop::testing::{assert_no_switch, elapsed, virtual_time};
use greenloop::{
    Builder, Handle, current, kill_all, kill_all_nowait, kill_all_timeout, shield, sleep, spawn, spawn_later,
    timeout, wait_all, yield_now,
};

/// A call that parks.
type Call = Box<dyn FnOnce()>;

// KL01, KL02, KL22
#[test]
fn a_greenlet_killed_before_its_first_turn_never_runs() {
    let ran = Flag::new();
    for wait in [true, false] {
        let g = spawn({
            let ran = ran.clone();
            move || ran.raise()
        });
        if wait {
            g.kill()
        } else {
            g.kill_nowait()
        }
        assert_eq!(g.is_finished(), wait);
        assert!(g.join().unwrap_err().is_killed());
    }
    wait_all();
    assert!(!ran.is_up());
}

// KL02: what its closure owns is dropped, on the greenlet's own stack.
#[test]
fn the_closure_of_a_greenlet_killed_before_its_first_turn_is_dropped() {
    let log = Log::new();
    let guard = OnDrop({
        let log = log.clone();
        move || log.add(current().id())
    });
    let g = spawn(move || drop(guard));
    let id = g.id();
    g.kill();
    assert_eq!(log.take(), [id]);
}

// KL02
#[test]
fn a_greenlet_killed_before_its_first_turn_is_killed_even_if_its_closure_blocks_when_dropped() {
    let guard = OnDrop(|| sleep(LONG));
    let g = spawn(move || drop(guard));
    g.kill();
    let error = g.join().unwrap_err();
    assert!(error.is_killed(), "{error}");
}

// KL03, KL22
#[test]
fn a_greenlet_killed_before_its_delay_is_over_never_runs_and_leaves_no_timer() {
    let ran = Flag::new();
    let g = spawn_later(LONG, {
        let ran = ran.clone();
        move || ran.raise()
    });
    yield_now();
    g.kill();
    assert!(g.join().unwrap_err().is_killed());
    let start = Instant::now();
    wait_all();
    assert!(start.elapsed() < PROMPT);
    assert!(!ran.is_up());
}

// KL03
#[test]
fn a_kill_and_the_end_of_a_delay_in_the_same_turn_start_nothing() {
    let ran = Flag::new();
    let g = spawn_later(Duration::from_nanos(1), {
        let ran = ran.clone();
        move || ran.raise()
    });
    std::thread::sleep(SHORT);
    g.kill_nowait();
    wait_all();
    assert!(g.is_finished() && !ran.is_up());
    assert!(g.join().unwrap_err().is_killed());
}

// KL04: parked in each thing that parks, it ends there; destructors run; what comes after never runs.
#[test]
fn a_kill_ends_a_greenlet_parked_in_any_primitive() {
    let other = spawn(|| sleep(LONG)).handle();
    let full = Queue::bounded(1);
    full.put(0).unwrap();
    let parks: [(&str, Call); 13] = [
        ("sleep", Box::new(|| sleep(LONG))),
        ("sleep for ever", Box::new(|| sleep(Duration::MAX))),
        (
            "yield_now",
            Box::new(|| {
                loop {
                    yield_now()
                }
            }),
        ),
        ("event", Box::new(|| Event::new().wait())),
        ("event with a deadline", Box::new(|| ignore(Event::new().wait_timeout(LONG)))),
        ("async result", Box::new(|| AsyncResult::<()>::new().get())),
        ("async result with a deadline", Box::new(|| ignore(AsyncResult::<()>::new().get_timeout(LONG)))),
        ("semaphore", Box::new(|| ignore(Semaphore::new(0).acquire()))),
        ("semaphore with a deadline", Box::new(|| ignore(Semaphore::new(0).acquire_timeout(LONG)))),
        ("queue get", Box::new(|| ignore(Queue::<()>::unbounded().get()))),
        (
            "queue put",
            Box::new({
                let full = full.clone();
                move || ignore(full.put(1))
            }),
        ),
        (
            "join",
            Box::new({
                let other = other.clone();
                move || other.wait()
            }),
        ),
        ("timeout", Box::new(|| ignore(timeout(LONG, || sleep(LONG))))),
    ];
    for (what, park) in parks {
        let log = Log::new();
        let g = spawn({
            let log = log.clone();
            move || {
                let _guard = OnDrop(|| log.add("dropped"));
                log.add("parks");
                park();
                log.add("went on");
            }
        });
        yield_now();
        assert_eq!(log.take(), ["parks"], "{what}");
        g.kill();
        assert!(g.join().unwrap_err().is_killed(), "{what}");
        assert_eq!(log.take(), ["dropped"], "{what}");
    }
    other.kill();
    assert_eq!(full.len(), 1);
    let start = Instant::now();
    wait_all(); // KL22: no timer is left
    assert!(start.elapsed() < PROMPT);
}

// EV15, KL23: it stands in no wait list any more.
#[test]
fn a_killed_greenlet_is_taken_out_of_what_it_waited_for() {
    let (event, semaphore, queue) = (Event::new(), Semaphore::new(0), Queue::<()>::bounded(1));
    let waiters: [Handle; 3] = [
        {
            let event = event.clone();
            spawn(move || event.wait()).handle()
        },
        {
            let semaphore = semaphore.clone();
            spawn(move || ignore(semaphore.acquire())).handle()
        },
        {
            let queue = queue.clone();
            spawn(move || ignore(queue.get())).handle()
        },
    ];
    yield_now();
    assert!(format!("{event:?}{semaphore:?}{queue:?}").contains("1 waiting"));
    kill_all(&waiters);
    assert_eq!(format!("{event:?}"), "Event(unset, 0 waiting)");
    assert_eq!(format!("{semaphore:?}"), "Semaphore(0 available, 0 waiting)");
    assert_eq!(format!("{queue:?}"), "Queue(0 items of 1, 0 getting, 0 putting)");
}

// KL08
#[test]
fn a_kill_without_waiting_takes_effect_only_after_the_killer_yields() {
    let log = Log::new();
    let g = spawn({
        let log = log.clone();
        move || {
            let _guard = OnDrop(|| log.add("dead"));
            sleep(LONG);
        }
    });
    yield_now();
    g.kill_nowait();
    assert_eq!(log.len(), 0);
    assert!(!g.is_finished());
    yield_now();
    assert_eq!(log.take(), ["dead"]);
    assert!(g.is_finished());
}

// KL09: a greenlet that swallows the kill and returns has a value, as in gevent.
// KL17
#[test]
fn a_greenlet_that_swallows_the_kill_and_does_not_park_again_ends_with_its_value() {
    let log = Log::new();
    let g = spawn({
        let log = log.clone();
        move || {
            log.add("start");
            if catch_unwind(|| sleep(LONG)).is_err() {
                log.add("caught");
            }
            log.add("finished");
            "value"
        }
    });
    yield_now();
    g.kill();
    assert_eq!(log.take(), ["start", "caught", "finished"]);
    assert_eq!(g.join().unwrap(), "value");
}

// KL12: the kill is sticky.
#[test]
fn a_swallowed_kill_is_met_again_at_every_further_park() {
    let caught = Rc::new(Cell::new(0));
    let g = spawn({
        let caught = caught.clone();
        move || {
            for _ in 0..5 {
                let parks = [|| sleep(LONG), yield_now, || Event::new().wait()];
                for park in parks {
                    if catch_unwind(park).is_err() {
                        caught.set(caught.get() + 1);
                    }
                }
            }
            sleep(LONG);
        }
    });
    yield_now();
    g.kill();
    assert_eq!(caught.get(), 15);
    assert!(g.join().unwrap_err().is_killed());
}

// KL12: error handling by `Result` does not see it.
#[test]
fn a_kill_passes_through_error_handling_and_through_timeouts() {
    let handled = Flag::new();
    let g = spawn({
        let handled = handled.clone();
        move || {
            let queue = Queue::<()>::unbounded();
            let result = timeout(LONG, || timeout(LONG, || queue.get_timeout(LONG)));
            handled.raise();
            ignore(result);
        }
    });
    yield_now();
    g.kill();
    assert!(g.join().unwrap_err().is_killed());
    assert!(!handled.is_up());
}

// KL14, KL16, KL23: parked in `yield_now` it is already in the run queue.
#[test]
fn a_greenlet_that_only_yields_is_killed_at_its_next_yield() {
    let turns = Rc::new(Cell::new(0));
    let g = spawn({
        let turns = turns.clone();
        move || loop {
            turns.set(turns.get() + 1);
            yield_now();
        }
    });
    yield_now();
    yield_now();
    let before = turns.get();
    g.kill();
    assert!(turns.get() <= before + 1);
    assert!(g.join().unwrap_err().is_killed());
}

// KL23: the wake-up that was queued for the park is used up by it.
#[test]
fn a_kill_leaves_no_wake_up_behind_for_a_later_park() {
    let log = Log::new();
    let g = spawn({
        let log = log.clone();
        move || {
            log.add(
                catch_unwind(|| {
                    loop {
                        yield_now()
                    }
                })
                .is_err(),
            );
            // Held back by the shield, so that it does park.
            shield(|| log.add(Event::new().wait_timeout(Duration::from_millis(20))));
        }
    });
    yield_now();
    g.kill_nowait();
    let start = Instant::now();
    g.wait();
    assert!(start.elapsed() >= Duration::from_millis(20));
    assert_eq!(log.take(), [true, false]);
}

// KL19
#[test]
fn kill_all_ends_greenlets_in_all_states() {
    let ran = Flag::new();
    let parked = spawn(|| sleep(LONG)).handle();
    let done = spawn(|| ()).handle();
    yield_now();
    let fresh = spawn({
        let ran = ran.clone();
        move || ran.raise()
    })
    .handle();
    let later = spawn_later(LONG, {
        let ran = ran.clone();
        move || ran.raise()
    })
    .handle();
    let all = [parked, done, fresh, later];
    kill_all(all.iter().chain(&all)); // twice in the list does not matter
    assert!(all.iter().all(Handle::is_finished));
    assert!(!ran.is_up());
}

// KL19
#[test]
fn kill_all_waits_for_the_slowest() {
    let greenlets: Vec<_> =
        (0..10_u64).map(|n| spawn(move || shield(|| sleep(Duration::from_millis(n))))).collect();
    yield_now();
    kill_all(&greenlets);
    assert!(greenlets.iter().all(|g| g.is_finished()));
}

// KL19
#[test]
fn kill_all_nowait_only_asks() {
    let greenlets = VecDeque::from([spawn(|| sleep(LONG)), spawn(|| sleep(LONG))]);
    yield_now();
    greenlets[1].kill();
    assert_no_switch(|| kill_all_nowait(&greenlets));
    assert!(!greenlets[0].is_finished());
    wait_all();
    assert!(greenlets.iter().all(|g| g.is_finished()));
}

// KL20
#[test]
fn kill_all_timeout_ends_at_once_what_would_resist_but_has_never_run() {
    virtual_time(|| {
        let ran = Flag::new();
        let stubborn = [(); 3].map(|()| {
            let ran = ran.clone();
            spawn(move || {
                ran.raise();
                shield(|| sleep(LONG));
            })
        });
        assert!(kill_all_timeout(&stubborn, Duration::from_millis(500)));
        assert!(!ran.is_up());
        assert_eq!(elapsed(), Duration::ZERO);
    });
}

#[test]
fn kill_all_timeout_gives_up_on_what_does_not_die_and_ends_the_others() {
    virtual_time(|| {
        let all = [4, 0, 6].map(|n| {
            spawn(move || {
                shield(|| sleep(n * SHORT));
                sleep(LONG);
            })
        });
        sleep(SHORT / 2);
        let start = elapsed();
        assert!(!kill_all_timeout(&all, SHORT));
        assert_eq!(elapsed() - start, SHORT);
        assert_eq!(all.each_ref().map(|g| g.is_finished()), [false, true, false]);
        assert!(kill_all_timeout(&all, LONG));
        assert_eq!(elapsed(), 6 * SHORT);
    });
}

#[test]
fn kill_all_timeout_ends_also_the_caller() {
    let (after, other) = (Flag::new(), spawn(|| sleep(LONG)));
    let g = spawn({
        let (after, other) = (after.clone(), other.handle());
        move || {
            kill_all_timeout([current(), other], LONG);
            after.raise();
        }
    });
    assert!(g.join().unwrap_err().is_killed());
    assert!(other.join().unwrap_err().is_killed());
    assert!(!after.is_up());
}

#[test]
fn kill_all_of_nothing_returns() {
    kill_all(Vec::<Handle>::new());
    kill_all_nowait(Vec::<Handle>::new());
    assert!(kill_all_timeout(Vec::<Handle>::new(), Duration::ZERO));
}

// KL24, KL30
#[test]
fn kill_timeout_gives_up_on_a_greenlet_that_does_not_die() {
    let gate = Event::new();
    let g = spawn({
        let gate = gate.clone();
        move || shield(|| gate.wait())
    });
    yield_now();
    assert!(!g.kill_timeout(SHORT));
    assert!(!g.is_finished());
    gate.set();
    assert!(g.kill_timeout(LONG));
}

// KL24
#[test]
fn kill_timeout_ends_what_can_be_ended() {
    let g = spawn(|| sleep(LONG));
    yield_now();
    assert!(g.kill_timeout(LONG));
    assert!(g.kill_timeout(Duration::ZERO));
}

// KL25
#[test]
fn killing_a_finished_greenlet_returns_without_switching_and_changes_nothing() {
    let g = spawn(|| 7);
    g.wait();
    let other = Flag::new();
    drop(spawn({
        let other = other.clone();
        move || other.raise()
    }));
    g.kill();
    g.kill_nowait();
    assert!(g.kill_timeout(Duration::ZERO));
    assert!(!other.is_up());
    assert_eq!(g.join().unwrap(), 7);
}

#[test]
fn killing_twice_is_killing_once() {
    let dropped = Rc::new(Cell::new(0));
    let g = spawn({
        let dropped = dropped.clone();
        move || {
            let _guard = OnDrop(|| dropped.set(dropped.get() + 1));
            sleep(LONG);
        }
    });
    yield_now();
    g.kill_nowait();
    g.kill_nowait();
    g.kill();
    assert_eq!(dropped.get(), 1);
    assert!(g.join().unwrap_err().is_killed());
}

#[test]
fn several_killers_all_wait_until_it_is_dead() {
    let g = spawn(|| shield(|| sleep(SHORT)));
    yield_now();
    let killers: Vec<_> = (0..3)
        .map(|_| {
            let victim = g.handle();
            spawn(move || {
                victim.kill();
                victim.is_finished()
            })
        })
        .collect();
    for killer in killers {
        assert!(killer.join().unwrap());
    }
}

// KL26
#[test]
fn a_greenlet_that_kills_itself_ends_inside_the_call() {
    let log = Log::new();
    for how in [(|| current().kill()) as fn(), || ignore(current().kill_timeout(LONG))] {
        let g = spawn({
            let log = log.clone();
            move || {
                let _guard = OnDrop(|| log.add("dropped"));
                how();
                log.add("went on");
            }
        });
        assert!(g.join().unwrap_err().is_killed());
        assert_eq!(log.take(), ["dropped"]);
    }
}

// KL27
#[test]
fn a_greenlet_that_asks_for_its_own_end_meets_it_at_its_next_park() {
    let log = Log::new();
    let parks = spawn({
        let log = log.clone();
        move || {
            current().kill_nowait();
            log.add("goes on");
            yield_now();
            log.add("never");
        }
    });
    assert!(parks.join().unwrap_err().is_killed());
    assert_eq!(log.take(), ["goes on"]);
    let never_parks = spawn(|| {
        current().kill_nowait();
        "value"
    });
    assert_eq!(never_parks.join().unwrap(), "value");
}

// KL26: kill_all may name the caller.
#[test]
fn a_greenlet_that_kills_a_list_with_itself_takes_the_others_along() {
    let victims: Vec<Handle> = (0..3).map(|_| spawn(|| sleep(LONG)).handle()).collect();
    let killer = spawn({
        let victims = victims.clone();
        move || kill_all(victims.into_iter().chain([current()]))
    });
    assert!(killer.join().unwrap_err().is_killed());
    for victim in victims {
        victim.wait();
    }
}

// KL28
#[test]
fn everything_that_was_ready_before_the_kill_runs_before_its_victim_does() {
    let log = Log::new();
    let victim = spawn({
        let log = log.clone();
        move || {
            let _guard = OnDrop(|| log.add("victim"));
            sleep(LONG);
        }
    });
    yield_now();
    for _ in 0..2 {
        let log = log.clone();
        drop(spawn(move || log.add("ready before")));
    }
    victim.kill_nowait();
    drop(spawn({
        let log = log.clone();
        move || log.add("ready after")
    }));
    victim.wait();
    wait_all();
    assert_eq!(log.take(), ["ready before", "ready before", "victim", "ready after"]);
}

// KL28, KL29: the turn that was already due comes first, and is not cut short.
#[test]
fn a_kill_does_not_interrupt_what_does_not_park() {
    let log = Log::new();
    let g = spawn({
        let log = log.clone();
        move || {
            yield_now();
            // Killed meanwhile. None of these parks.
            let queue = Queue::unbounded();
            queue.put(1).unwrap();
            log.add(queue.get().unwrap());
            let semaphore = Semaphore::new(1);
            assert!(semaphore.acquire());
            let event = Event::new();
            event.set();
            event.wait();
            log.add(2);
            yield_now();
            log.add(3);
        }
    });
    yield_now();
    g.kill();
    assert!(g.join().unwrap_err().is_killed());
    assert_eq!(log.take(), [1, 2]);
}

// KL31
#[test]
fn the_root_cannot_be_killed() {
    let root = current();
    for kill in [
        (|root| root.kill()) as fn(&Handle),
        |root| root.kill_nowait(),
        |root| ignore(root.kill_timeout(SHORT)),
    ] {
        let g = spawn({
            let root = root.clone();
            move || kill(&root)
        });
        let error = g.join().unwrap_err();
        assert!(error.is_panic() && error.to_string().contains("root"), "{error}");
        let own = catch_unwind(AssertUnwindSafe(|| kill(&root)));
        assert!(own.is_err());
    }
    yield_now();
}

#[test]
fn a_shield_holds_a_kill_back_until_the_next_park_after_it() {
    let log = Log::new();
    let g = spawn({
        let log = log.clone();
        move || {
            shield(|| {
                sleep(SHORT);
                yield_now();
                log.add("shielded");
            });
            log.add("after the shield");
            yield_now();
            log.add("never");
        }
    });
    yield_now();
    g.kill();
    assert!(g.join().unwrap_err().is_killed());
    assert_eq!(log.take(), ["shielded", "after the shield"]);
}

#[test]
fn shields_nest() {
    let log = Log::new();
    let g = spawn({
        let log = log.clone();
        move || {
            shield(|| {
                shield(yield_now);
                yield_now();
                log.add("still shielded");
            });
            yield_now();
            log.add("never");
        }
    });
    yield_now();
    g.kill();
    assert_eq!(log.take(), ["still shielded"]);
    assert!(g.join().unwrap_err().is_killed());
}

#[test]
fn more_shields_around_each_other_than_can_be_counted_are_a_panic_that_says_so() {
    fn nest(deeper: u32) {
        if deeper > 0 {
            shield(|| nest(deeper - 1));
        }
    }
    // So many fit, and leave nothing behind; one more does not.
    let g = Builder::new().stack_size(256 << 20).spawn(|| {
        nest(65_535);
        let text = catch_unwind(|| nest(65_536)).unwrap_err();
        assert_eq!(
            text.downcast_ref::<String>().unwrap(),
            "a greenlet cannot be in more than 65535 `shield`s at once"
        );
        sleep(LONG);
    });
    let g = g.unwrap();
    yield_now();
    g.kill(); // no shield is left that would hold it back
    assert!(g.join().unwrap_err().is_killed());
}

#[test]
fn a_shield_ends_when_its_body_panics() {
    let g = spawn(|| {
        assert!(catch_unwind(|| shield(|| panic!("expected"))).is_err());
        sleep(LONG);
    });
    yield_now();
    assert!(g.kill_timeout(LONG));
    assert!(g.join().unwrap_err().is_killed());
}

#[test]
fn a_shield_begun_by_a_greenlet_with_a_pending_kill_still_holds_it_back() {
    let done = Flag::new();
    let g = spawn({
        let done = done.clone();
        move || {
            current().kill_nowait();
            shield(|| {
                yield_now();
                done.raise();
            });
            yield_now();
        }
    });
    assert!(g.join().unwrap_err().is_killed());
    assert!(done.is_up());
}

#[test]
fn a_greenlet_that_kills_itself_inside_a_shield_ends_after_it() {
    let log = Log::new();
    let g = spawn({
        let log = log.clone();
        move || {
            shield(|| {
                current().kill();
                log.add("shielded");
            });
            yield_now();
            log.add("never");
        }
    });
    assert!(g.join().unwrap_err().is_killed());
    assert_eq!(log.take(), ["shielded"]);
}

// A destructor that tries to block goes on at once, and the rest of the unwind happens.
#[test]
fn a_destructor_that_tries_to_block_during_a_kill_does_not() {
    let log = Log::new();
    let g = spawn({
        let log = log.clone();
        move || {
            let _outer = OnDrop(|| log.add("outer"));
            let _inner = OnDrop(|| {
                sleep(LONG);
                Event::new().wait();
                log.add("inner");
            });
            sleep(LONG);
        }
    });
    yield_now();
    let start = Instant::now();
    g.kill();
    assert!(start.elapsed() < PROMPT);
    assert_eq!(log.take(), ["inner", "outer"]);
    assert!(g.join().unwrap_err().is_killed());
}

// A destructor that panics while the kill unwinds: the panic is caught inside the destructor.
#[test]
fn a_destructor_may_catch_a_panic_of_its_own_during_a_kill() {
    let g = spawn(|| {
        let _guard = OnDrop(|| assert!(catch_unwind(|| panic!("expected")).is_err()));
        sleep(LONG);
    });
    yield_now();
    g.kill();
    assert!(g.join().unwrap_err().is_killed());
}

#[test]
fn a_destructor_may_kill_others_during_a_kill() {
    let other = spawn(|| sleep(LONG));
    let victim = spawn({
        let other = other.handle();
        move || {
            let _guard = OnDrop(move || other.kill());
            sleep(LONG);
        }
    });
    yield_now();
    victim.kill();
    other.wait();
    assert!(other.join().unwrap_err().is_killed());
}

#[test]
fn a_greenlet_that_panics_when_it_is_killed_has_panicked() {
    let g = spawn(|| {
        if catch_unwind(|| sleep(LONG)).is_err() {
            panic!("expected: instead of dying quietly");
        }
    });
    yield_now();
    g.kill();
    assert!(g.join().unwrap_err().is_panic());
}

#[test]
fn the_killer_may_be_killed_while_it_waits() {
    let gate = Event::new();
    let victim = spawn({
        let gate = gate.clone();
        move || shield(|| gate.wait())
    });
    yield_now();
    let killer = spawn({
        let victim = victim.handle();
        move || victim.kill()
    });
    yield_now();
    killer.kill();
    assert!(killer.join().unwrap_err().is_killed());
    assert!(!victim.is_finished());
    gate.set();
    victim.wait();
}

// The exit rule: what has woken a greenlet wins over a kill that comes before it runs.
#[test]
fn a_kill_after_the_wake_up_waits_for_the_next_park() {
    let (queue, got) = (Queue::unbounded(), Log::new());
    let g = spawn({
        let (queue, got) = (queue.clone(), got.clone());
        move || {
            got.add(queue.get());
            got.add(queue.get());
        }
    });
    yield_now();
    queue.put(1).unwrap();
    g.kill_nowait();
    g.wait();
    assert_eq!(got.take(), [Ok(1)]);
    assert!(g.join().unwrap_err().is_killed());
    // And the other way round: killed first, the item stays.
    let g = spawn({
        let queue = queue.clone();
        move || queue.get()
    });
    yield_now();
    g.kill_nowait();
    queue.put(2).unwrap();
    g.wait();
    assert!(g.join().unwrap_err().is_killed());
    assert_eq!(queue.try_get(), Ok(2));
}

#[test]
fn a_named_greenlet_killed_says_so_in_its_error() {
    let g = Builder::new().name("victim").spawn(|| sleep(LONG)).unwrap();
    g.kill();
    assert_eq!(g.join().unwrap_err().to_string(), "the greenlet was killed");
}
