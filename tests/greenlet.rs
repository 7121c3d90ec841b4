//! The life of a greenlet: spawning, its states, its result, its panic.

mod common;

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use common::{Flag, LONG, Log, SHORT};
use greenloop::event::Event;
use greenloop::{
    Builder, Handle, JoinError, current, join_all, sleep, spawn, spawn_later, wait_all, yield_now,
};

// GL02, GL11
#[test]
fn a_spawned_greenlet_does_not_run_before_its_spawner_yields() {
    let ran = Flag::new();
    let g = spawn({
        let ran = ran.clone();
        move || ran.raise()
    });
    assert!(!ran.is_up());
    assert!(!g.is_finished());
    yield_now();
    assert!(ran.is_up());
    assert!(g.is_finished());
}

// GL02, GL11: `spawn` inside a greenlet does not switch either.
#[test]
fn a_greenlet_that_spawns_goes_on_first() {
    let log = Log::new();
    let parent = spawn({
        let log = log.clone();
        move || {
            let child = spawn({
                let log = log.clone();
                move || log.add("child")
            });
            log.add("parent");
            child.join().unwrap();
        }
    });
    parent.join().unwrap();
    assert_eq!(log.take(), ["parent", "child"]);
}

// GL03
#[test]
fn a_parked_greenlet_is_not_finished() {
    let gate = Event::new();
    let g = spawn({
        let gate = gate.clone();
        move || gate.wait()
    });
    yield_now();
    assert!(!g.is_finished());
    assert!(!g.wait_timeout(Duration::ZERO));
    gate.set();
    yield_now();
    assert!(g.is_finished());
}

// GL04
#[test]
fn a_finished_greenlet_gives_its_value() {
    let g = spawn(|| {
        yield_now();
        String::from("value")
    });
    g.wait();
    assert!(g.is_finished());
    assert!(g.wait_timeout(Duration::ZERO));
    assert_eq!(g.join().unwrap(), "value");
}

// GL10: what a closure captures takes the place of arguments, whatever its size and alignment.
#[test]
fn small_large_and_aligned_captures_reach_the_body() {
    #[repr(align(256))]
    #[derive(Clone, Copy)]
    struct Aligned([u8; 512]);

    let small = 1_u8;
    let large = [7_u64; 2000];
    let aligned = Aligned([3; 512]);
    let sum = spawn(move || u64::from(small) + large.iter().sum::<u64>());
    let place = spawn(move || {
        (std::ptr::from_ref(&aligned).addr() % 256, aligned.0.iter().map(|&b| u32::from(b)).sum())
    });
    assert_eq!(sum.join().unwrap(), 14_001);
    assert_eq!(place.join().unwrap(), (0, 1536_u32));
}

// GL10: neither `Send` nor `Sync` is asked for.
#[test]
fn captures_and_values_need_not_be_send() {
    let shared = Rc::new(Cell::new(1));
    let g = spawn({
        let shared = shared.clone();
        move || {
            shared.set(2);
            shared
        }
    });
    let back = g.join().unwrap();
    assert!(Rc::ptr_eq(&back, &shared));
    assert_eq!(shared.get(), 2);
}

// GL12
#[test]
fn a_child_runs_although_its_parent_has_ended() {
    let ran = Flag::new();
    spawn({
        let ran = ran.clone();
        move || drop(spawn(move || ran.raise()))
    })
    .join()
    .unwrap();
    wait_all();
    assert!(ran.is_up());
}

#[test]
fn a_dropped_greenlet_runs_on() {
    let ran = Flag::new();
    let gate = Event::new();
    drop(spawn({
        let (ran, gate) = (ran.clone(), gate.clone());
        move || {
            gate.wait();
            ran.raise();
        }
    }));
    yield_now();
    gate.set();
    wait_all();
    assert!(ran.is_up());
}

#[test]
fn the_value_of_a_detached_greenlet_is_dropped_once_and_may_block_in_its_destructor() {
    let log = Log::new();
    struct Slow(Log<&'static str>);
    impl Drop for Slow {
        fn drop(&mut self) {
            self.0.add("before");
            sleep(SHORT);
            self.0.add("after");
        }
    }
    drop(spawn({
        let log = log.clone();
        move || Slow(log)
    }));
    wait_all();
    assert_eq!(log.take(), ["before", "after"]);
}

#[test]
fn a_panic_in_the_destructor_of_a_detached_value_ends_nothing_else() {
    struct Loud;
    impl Drop for Loud {
        fn drop(&mut self) {
            panic!("expected: a destructor panics");
        }
    }
    drop(spawn(|| Loud));
    let other = spawn(|| {
        yield_now();
        1
    });
    assert_eq!(other.join().unwrap(), 1);
}

// GL14
#[test]
fn a_greenlet_is_not_finished_while_it_starts_and_runs() {
    let g = spawn(|| {
        let before = current().is_finished();
        yield_now();
        (before, current().is_finished())
    });
    assert_eq!(g.join().unwrap(), (false, false));
}

// GL16: the panic ends its greenlet only.
#[test]
fn a_panic_ends_only_its_own_greenlet() {
    let bad = spawn(|| -> () { panic!("expected: {}", "boom") });
    let good = spawn(|| {
        yield_now();
        5
    });
    let error = bad.join().unwrap_err();
    assert!(error.is_panic() && !error.is_killed());
    assert_eq!(error.to_string(), "the greenlet panicked: expected: boom");
    assert_eq!(good.join().unwrap(), 5);
}

#[test]
fn the_payload_of_a_panic_reaches_the_joiner_as_it_was() {
    let error = spawn(|| std::panic::panic_any(vec![1, 2, 3])).join().unwrap_err();
    let payload = error.try_into_panic().unwrap();
    assert_eq!(*payload.downcast::<Vec<i32>>().unwrap(), [1, 2, 3]);
}

#[test]
fn a_joiner_may_rethrow_the_panic_of_the_joined() {
    let outer = spawn(|| {
        let inner = spawn(|| std::panic::panic_any(9_u16));
        std::panic::resume_unwind(inner.join().unwrap_err().try_into_panic().unwrap())
    });
    let error: JoinError = outer.join().unwrap_err();
    assert_eq!(*error.try_into_panic().unwrap().downcast::<u16>().unwrap(), 9);
}

// GL39: nobody asks for the result.
#[test]
fn a_panic_that_nobody_joins_disturbs_nobody() {
    drop(spawn(|| panic!("expected: nobody asks")));
    let g = spawn(|| panic!("expected: asked later"));
    wait_all();
    assert!(g.is_finished());
    assert!(g.join().is_err());
}

// GL22: the spawner is inside the handling of a panic.
#[test]
fn a_greenlet_spawned_while_its_spawner_panics_starts_with_a_clean_slate() {
    let slot = Rc::new(Cell::new(None));
    let caught = catch_unwind(AssertUnwindSafe(|| {
        let slot = slot.clone();
        let _spawns = common::OnDrop(move || {
            assert!(std::thread::panicking());
            slot.set(Some(spawn(std::thread::panicking)));
        });
        panic!("expected: my own");
    }));
    let child = slot.take().unwrap();
    assert!(!child.join().unwrap());
    assert_eq!(*caught.unwrap_err().downcast::<&str>().unwrap(), "expected: my own");
}

// GL25, GL26
#[test]
fn a_name_is_kept_and_shown() {
    let g = Builder::new().name("worker").spawn(yield_now).unwrap();
    assert_eq!(g.name().as_deref(), Some("worker"));
    assert!(format!("{g:?}").contains("worker"));
    let handle = g.handle();
    g.join().unwrap();
    assert_eq!(handle.name().as_deref(), Some("worker"));
    let debug = format!("{handle:?}");
    assert!(debug.contains("worker") && debug.contains(&handle.id().to_string()), "{debug}");
}

// GL26
#[test]
fn a_greenlet_without_a_name_has_none() {
    let g = spawn(|| current().name());
    assert_eq!(g.name(), None);
    assert_eq!(g.join().unwrap(), None);
}

// GL28: unlike gevent's, numbers are not used again (see also GL30, GL31).
#[test]
fn ids_are_unique_and_never_used_again() {
    let mut ids: Vec<u64> = Vec::new();
    for _ in 0..10 {
        let g = spawn(|| current().id());
        assert!(!ids.contains(&g.id()));
        ids.push(g.id());
        assert_eq!(g.join().unwrap(), *ids.last().unwrap());
    }
    let alive: Vec<_> = (0..10).map(|_| spawn(|| ())).collect();
    for g in &alive {
        assert!(!ids.contains(&g.id()));
        ids.push(g.id());
    }
    assert!(!ids.contains(&0));
}

#[test]
fn the_root_has_the_id_zero_and_no_name() {
    let root = current();
    assert_eq!((root.id(), root.name(), root.is_finished()), (0, None, false));
    yield_now();
    assert_eq!(current(), root);
}

#[test]
fn current_is_the_running_greenlet_after_every_switch() {
    let greenlets = (0..3).map(|_| {
        spawn(|| {
            let me = current();
            for _ in 0..3 {
                yield_now();
                assert_eq!(current(), me);
            }
            me
        })
    });
    let greenlets: Vec<_> = greenlets.collect();
    let handles: Vec<Handle> = greenlets.iter().map(|g| g.handle()).collect();
    let own: Vec<Handle> = join_all(greenlets).into_iter().map(Result::unwrap).collect();
    assert_eq!(own, handles);
    assert_eq!(current().id(), 0);
}

#[test]
fn handles_are_equal_when_they_are_of_the_same_greenlet() {
    let (a, b) = (spawn(|| ()), spawn(|| ()));
    assert_eq!(a.handle(), a.handle().clone());
    assert_ne!(a.handle(), b.handle());
}

// GL36
#[test]
fn a_builder_that_is_not_spawned_leaves_no_work() {
    let _ = Builder::new().name("unused").delay(LONG);
    wait_all();
}

// GL36: a finished greenlet keeps nothing of its closure.
#[test]
fn what_a_closure_owns_is_dropped_when_it_ends() {
    let owned = Rc::new(());
    let g = spawn({
        let owned = owned.clone();
        move || drop(owned)
    });
    assert_eq!(Rc::strong_count(&owned), 2);
    g.wait();
    assert_eq!(Rc::strong_count(&owned), 1);
}

#[test]
fn a_delayed_greenlet_starts_after_its_delay_and_in_the_order_of_delays() {
    let log = Log::new();
    let start = std::time::Instant::now();
    let greenlets = [30, 10, 20].map(|delay| {
        let log = log.clone();
        spawn_later(Duration::from_millis(delay), move || {
            log.add((delay, start.elapsed() >= Duration::from_millis(delay)))
        })
    });
    assert_eq!(log.len(), 0);
    join_all(greenlets);
    assert_eq!(log.take(), [(10, true), (20, true), (30, true)]);
}

#[test]
fn a_delay_beyond_the_clock_never_starts_but_can_be_killed() {
    let ran = Flag::new();
    let g = spawn_later(Duration::MAX, {
        let ran = ran.clone();
        move || ran.raise()
    });
    wait_all();
    assert!(!g.is_finished());
    g.kill();
    assert!(g.join().unwrap_err().is_killed());
    assert!(!ran.is_up());
}

#[test]
fn a_greenlet_may_have_a_small_or_a_large_stack() {
    fn deep(levels: usize) -> usize {
        let frame = [levels as u8; 1024];
        if levels == 0 { usize::from(std::hint::black_box(frame)[0]) } else { deep(levels - 1) + 1 }
    }
    let small = Builder::new().stack_size(1).spawn(|| 1).unwrap();
    let large = Builder::new().stack_size(16 << 20).spawn(|| deep(2_000)).unwrap();
    assert_eq!(small.join().unwrap(), 1);
    assert_eq!(large.join().unwrap(), 2_000);
}

#[test]
fn a_greenlet_spawned_and_joined_by_a_greenlet_works_to_any_depth() {
    fn nest(depth: u32) -> u32 {
        if depth == 0 { 0 } else { 1 + spawn(move || nest(depth - 1)).join().unwrap() }
    }
    assert_eq!(nest(500), 500);
}
