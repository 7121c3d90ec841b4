//! What a greenlet has for itself, and what it inherits.

mod common;

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use common::{Flag, LONG, Log, OnDrop, SHORT, on_a_thread};
use greenloop::local::{AccessError, LocalKey};
use greenloop::{
    current, greenlet_local, hub, inherited, join_all, on_spawn, scope, sleep, spawn, spawn_later, sync,
    timeout, wait_all, yield_now,
};

/// Run when they are dropped.
type Guards = RefCell<Vec<OnDrop<Box<dyn FnMut()>>>>;

greenlet_local! {
    static NUMBER: Cell<u32> = Cell::new(0);
    static OTHER: Cell<u32> = Cell::new(100);
    static LIST: RefCell<Vec<u32>> = RefCell::new(Vec::new());
    static MADE: u64 = MAKINGS.with(|count| {
        count.set(count.get() + 1);
        current().id()
    });
    static GUARD: Guards = RefCell::default();
    static SECOND_GUARD: Guards = RefCell::default();
}

std::thread_local! {
    static MAKINGS: Cell<u32> = const { Cell::new(0) };
}

inherited! {
    static USER: String;
    static DEPTH: u32;
}

fn at_the_end(key: &'static LocalKey<Guards>, f: impl FnMut() + 'static) {
    key.with_borrow_mut(|guards| guards.push(OnDrop(Box::new(f))));
}

// LC01, LC15: set in one, the initial value in another, concurrently.
#[test]
fn each_greenlet_has_its_own_value() {
    NUMBER.set(7);
    let all = (1..=10).map(|n| {
        spawn(move || {
            assert_eq!(NUMBER.get(), 0);
            NUMBER.set(n);
            for _ in 0..5 {
                yield_now();
                assert_eq!(NUMBER.get(), n);
            }
            NUMBER.get()
        })
    });
    let values: Vec<_> = join_all(all).into_iter().map(Result::unwrap).collect();
    assert_eq!(values, (1..=10).collect::<Vec<_>>());
    assert_eq!(NUMBER.get(), 7);
}

// LC06
#[test]
fn two_locals_of_one_type_are_independent() {
    NUMBER.set(1);
    OTHER.set(2);
    assert_eq!((NUMBER.get(), OTHER.get()), (1, 2));
    assert_eq!((NUMBER.take(), OTHER.replace(3)), (1, 2));
    assert_eq!((NUMBER.get(), OTHER.get()), (0, 3));
}

#[test]
fn cells_have_short_forms() {
    LIST.with_borrow_mut(|list| list.push(1));
    assert_eq!(LIST.with_borrow(Vec::len), 1);
    assert_eq!(LIST.try_with(|list| list.borrow().len()), Ok(1));
    assert_eq!(format!("{LIST:?}"), "LocalKey(..)");
}

// LC10
#[test]
fn the_initialiser_runs_once_in_each_greenlet_at_its_first_use() {
    on_a_thread(|| {
        let all: Vec<_> = (0..5)
            .map(|_| {
                spawn(|| {
                    yield_now();
                    MADE.with(|id| *id);
                    MADE.with(|id| assert_eq!(*id, current().id()));
                })
            })
            .collect();
        yield_now();
        assert_eq!(MAKINGS.get(), 0);
        join_all(all);
        assert_eq!(MAKINGS.get(), 5);
    });
}

// LC08: freed at the end of the greenlet, not with its handle.
#[test]
fn values_are_dropped_when_the_greenlet_ends_however_it_ends() {
    let dropped = Rc::new(Cell::new(0));
    let all: Vec<_> = (0..6)
        .map(|n| {
            let dropped = dropped.clone();
            spawn(move || {
                at_the_end(&GUARD, move || dropped.set(dropped.get() + 1));
                match n % 3 {
                    0 => {}
                    1 => panic!("expected: its values are dropped"),
                    _ => sleep(LONG),
                }
            })
        })
        .collect();
    yield_now();
    all.iter().for_each(|g| g.kill());
    assert_eq!(dropped.get(), 6);
    assert_eq!(all.len(), 6);
}

// LC09, as far as it applies: a key lives for ever; what stands under it is freed when it is replaced.
#[test]
fn values_replaced_inside_a_running_greenlet_are_dropped_at_once() {
    let owned = Rc::new(());
    let g = spawn({
        let owned = owned.clone();
        move || {
            for _ in 0..1_000 {
                let owned = owned.clone();
                GUARD.with(|guards| guards.replace(vec![OnDrop(Box::new(move || drop(owned.clone())))]));
            }
            assert_eq!(Rc::strong_count(&owned), 3);
            GUARD.with(|guards| guards.take());
            assert_eq!(Rc::strong_count(&owned), 2);
        }
    });
    g.join().unwrap();
}

#[test]
fn the_youngest_value_is_dropped_first_and_those_left_can_be_used() {
    let log = Log::new();
    let g = spawn({
        let log = log.clone();
        move || {
            NUMBER.set(5);
            let note = log.clone();
            at_the_end(&GUARD, move || {
                note.add(("first", NUMBER.try_with(Cell::get), OTHER.try_with(Cell::get)))
            });
            let note = log.clone();
            at_the_end(&SECOND_GUARD, move || {
                note.add(("second", NUMBER.try_with(Cell::get), OTHER.try_with(Cell::get)))
            });
        }
    });
    g.join().unwrap();
    // OTHER was never made, and is not made any more.
    assert_eq!(log.take(), [("second", Ok(5), Err(AccessError)), ("first", Ok(5), Err(AccessError))]);
}

#[test]
fn a_value_does_not_see_itself_while_it_is_dropped() {
    let log = Log::new();
    let g = spawn({
        let log = log.clone();
        move || {
            at_the_end(&GUARD, move || {
                log.add(GUARD.try_with(|_| ()).is_err());
                let used = std::panic::catch_unwind(|| GUARD.with(|_| ()));
                log.add(used.is_err());
            })
        }
    });
    g.join().unwrap();
    assert_eq!(log.take(), [true, true]);
}

#[test]
fn destructors_of_values_may_block_and_panic_without_harm() {
    let log = Log::new();
    let g = spawn({
        let log = log.clone();
        move || {
            let note = log.clone();
            at_the_end(&GUARD, move || note.add("the older"));
            let note = log.clone();
            at_the_end(&SECOND_GUARD, move || {
                sleep(SHORT);
                note.add("the younger");
                panic!("expected: the destructor of a value");
            });
            "value"
        }
    });
    assert_eq!(g.join().unwrap(), "value");
    assert_eq!(log.take(), ["the younger", "the older"]);
}

#[test]
fn the_values_of_the_root_are_dropped_at_the_end_of_its_thread() {
    for with_greenlets_left in [false, true] {
        let (tell, told) = std::sync::mpsc::channel();
        on_a_thread(move || {
            at_the_end(&GUARD, move || tell.send(NUMBER.try_with(Cell::get)).unwrap());
            if with_greenlets_left {
                drop(spawn(|| sleep(LONG)));
                yield_now();
            }
        });
        assert_eq!(told.recv().unwrap(), Err(AccessError));
    }
}

#[test]
fn an_initialiser_may_block_and_use_the_same_key() {
    greenlet_local! {
        static TWICE: Cell<u32> = {
            static ENTERED: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);
            sleep(SHORT);
            if !ENTERED.swap(true, std::sync::atomic::Ordering::Relaxed) {
                TWICE.set(5);
            }
            Cell::new(0)
        };
    }
    // The value that was used stays.
    assert_eq!(spawn(|| TWICE.get()).join().unwrap(), 5);
}

#[test]
fn the_greenlets_of_a_scope_have_values_of_their_own() {
    NUMBER.set(3);
    let seen = Cell::new(9);
    scope(|s| {
        s.spawn(|| seen.set(NUMBER.get()));
    });
    assert_eq!((seen.get(), NUMBER.get()), (0, 3));
}

// GL32, GL33, LC13: bound for the length of a closure.
#[test]
fn a_value_is_bound_for_the_length_of_a_closure() {
    assert_eq!(USER.get(), None);
    let length = USER.bind("ada".into(), || {
        assert_eq!(USER.get().as_deref(), Some("ada"));
        assert_eq!(DEPTH.get(), None);
        USER.with(|user| user.unwrap().len())
    });
    assert_eq!(length, 3);
    assert_eq!(USER.get(), None);
}

// LC14: an inner binding hides the outer one; a panic, a kill or a timeout inside leaves the outer one as it was.
#[test]
fn bindings_nest_and_are_undone_however_the_closure_ends() {
    DEPTH.bind(1, || {
        DEPTH.bind(2, || USER.bind("x".into(), || assert_eq!(DEPTH.get(), Some(2))));
        assert_eq!((DEPTH.get(), USER.get()), (Some(1), None));
        let panicked = std::panic::catch_unwind(|| DEPTH.bind(3, || panic!("expected: inside a binding")));
        assert!(panicked.is_err());
        assert_eq!(DEPTH.get(), Some(1));
        assert!(timeout(SHORT, || DEPTH.bind(4, || sleep(LONG))).is_err());
        assert_eq!(DEPTH.get(), Some(1));
    });
    assert_eq!(DEPTH.get(), None);
}

// GL32
#[test]
fn a_greenlet_inherits_what_is_bound_where_it_is_spawned() {
    let (direct, late, grandchild) = USER.bind("ada".into(), || {
        let late = spawn_later(SHORT, || USER.get());
        let grandchild = spawn(|| {
            yield_now();
            spawn(|| USER.get()).join().unwrap()
        });
        (spawn(|| USER.get()), late, grandchild)
    });
    for g in [direct, late, grandchild] {
        assert_eq!(g.join().unwrap().as_deref(), Some("ada"));
    }
}

// GL33: whatever the root has bound, underneath which the loop runs.
#[test]
fn what_another_thread_spawns_inherits_nothing_by_accident() {
    let (here, (ended, end)) = (hub::remote(), sync::unbounded());
    let other = std::thread::spawn(move || {
        let seen = here.spawn(|| DEPTH.get()).unwrap().join().unwrap();
        ended.send(()).unwrap();
        seen
    });
    DEPTH.bind(1, || end.recv().unwrap());
    assert_eq!(other.join().unwrap(), None);
}

// GL33
#[test]
fn greenlets_spawned_side_by_side_share_nothing_that_they_bind() {
    let g = DEPTH.bind(1, || {
        spawn(|| {
            DEPTH.bind(2, || {
                yield_now();
                DEPTH.get()
            })
        })
    });
    let other = DEPTH.bind(3, || spawn(|| DEPTH.get()));
    yield_now();
    assert_eq!(DEPTH.get(), None);
    assert_eq!(g.join().unwrap(), Some(2));
    assert_eq!(other.join().unwrap(), Some(3));
}

// LC15
#[test]
fn ten_workers_bind_the_same_name_without_cross_talk() {
    join_all((0..10).map(|n| {
        spawn(move || {
            for round in 0..10 {
                DEPTH.bind(n * 100 + round, || {
                    yield_now();
                    assert_eq!(DEPTH.get(), Some(n * 100 + round));
                    assert_eq!(spawn(|| DEPTH.get()).join().unwrap(), Some(n * 100 + round));
                });
            }
        })
    }));
}

#[test]
fn an_inherited_value_is_dropped_with_the_last_that_has_it() {
    inherited! { static OWNED: Rc<()>; }
    let owned = Rc::new(());
    let g = OWNED.bind(owned.clone(), || {
        spawn(|| {
            yield_now();
            OWNED.with(|owned| owned.is_some())
        })
    });
    assert_eq!(Rc::strong_count(&owned), 2);
    g.wait();
    assert_eq!(Rc::strong_count(&owned), 1);
    assert!(g.join().unwrap());
}

// A chain of greenlets, each of which binds and spawns the next, does not pile up what it hides.
#[test]
fn a_long_chain_of_bindings_and_spawns_keeps_only_the_last() {
    inherited! { static LINK: Rc<u32>; }
    fn next(n: u32, first: Rc<u32>) -> u32 {
        LINK.bind(first, || ());
        if n == 0 {
            return LINK.with(|link| **link.unwrap());
        }
        let g = LINK.bind(Rc::new(n), || spawn(move || next(n - 1, Rc::new(0))));
        g.join().unwrap()
    }
    assert_eq!(next(200, Rc::new(0)), 1);
}

// GL32
#[test]
fn a_greenlet_knows_who_has_spawned_it_and_where() {
    assert_eq!(current().parent(), None);
    let g = spawn(|| {
        let child = spawn(|| ());
        (current().id(), child.parent(), child.spawned_at().line())
    });
    assert_eq!(g.parent(), Some(0));
    let site = g.spawned_at();
    assert_eq!(site.file(), file!());
    let (id, parent, line) = g.join().unwrap();
    assert_eq!(parent, Some(id));
    assert_eq!(line, site.line() + 1);
    let scoped = scope(|s| s.spawn(|| ()).handle());
    assert_eq!((scoped.parent(), scoped.spawned_at().file()), (Some(0), file!()));
}

// GL35
#[test]
fn a_spawn_hook_is_called_once_for_each_spawn_until_it_is_removed() {
    let log = Log::new();
    let hook = on_spawn({
        let log = log.clone();
        move |g| {
            assert!(!g.is_finished());
            log.add(g.id());
        }
    });
    let a = spawn(|| ());
    assert_eq!(log.take(), [a.id()]);
    let b = spawn_later(SHORT, || ());
    let c = greenloop::Builder::new().name("c").spawn(|| ()).unwrap();
    assert_eq!(log.take(), [b.id(), c.id()]);
    let d = scope(|s| s.spawn(|| ()).handle());
    let e = greenloop::pool::Pool::new(1).spawn(|| ());
    assert_eq!(log.take(), [d.id(), e.id()]);
    drop(hook);
    drop(spawn(|| ()));
    wait_all();
    assert_eq!(log.take(), []);
}

// GL35
#[test]
fn spawn_hooks_are_called_in_their_order_and_may_remove_each_other() {
    let log = Log::new();
    let second: Rc<RefCell<Option<greenloop::SpawnHook>>> = Rc::default();
    let first = on_spawn({
        let (log, second) = (log.clone(), second.clone());
        move |_| {
            log.add(1);
            if log.len() > 2 {
                second.take();
            }
        }
    });
    let note = log.clone();
    second.replace(Some(on_spawn(move |_| note.add(2))));
    drop(spawn(|| ()));
    assert_eq!(log.len(), 2);
    drop(spawn(|| ()));
    assert_eq!(log.take(), [1, 2, 1]);
    drop(first);
    wait_all();
}

// GL35: it had come to a stack overflow, as the call that runs kept the removed hook in force.
#[test]
fn a_spawn_hook_that_removes_itself_is_not_called_for_what_it_spawns_then() {
    let log = Log::new();
    let own: Rc<RefCell<Option<greenloop::SpawnHook>>> = Rc::default();
    let hook = on_spawn({
        let (log, own) = (log.clone(), own.clone());
        move |_| {
            own.take();
            log.add(spawn(|| ()).id());
        }
    });
    own.replace(Some(hook));
    let first = spawn(|| ()).id();
    let spawned = log.take();
    assert!(spawned.len() == 1 && spawned != [first], "{spawned:?}");
    drop(spawn(|| ()));
    assert_eq!(log.take(), []);
    wait_all();
}

// GL35: a hook that links to each greenlet sees each end, and its own links do not call it.
#[test]
fn a_spawn_hook_may_link_to_every_greenlet() {
    let log = Log::new();
    let hook = on_spawn({
        let log = log.clone();
        move |g| {
            let log = log.clone();
            g.link(move |g, _| log.add(g.id()));
        }
    });
    let ids: Vec<_> = (0..3).map(|_| spawn(|| ()).id()).collect();
    wait_all();
    assert_eq!(log.take(), ids);
    drop(hook);
}

// GL35
#[test]
fn a_spawn_hook_that_panics_fails_the_spawn_and_not_the_greenlet() {
    let ran = Flag::new();
    let hook = on_spawn(|_| panic!("expected: a bad hook"));
    let spawned = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        spawn({
            let ran = ran.clone();
            move || ran.raise()
        })
    }));
    assert!(spawned.is_err());
    drop(hook);
    wait_all();
    assert!(ran.is_up());
}
