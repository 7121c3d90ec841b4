//! `OnceCell` and `Lazy`: one makes the value while the others wait, and whoever fails leaves it to the next.

mod common;

use std::cell::Cell;
use std::rc::Rc;

use common::{LONG, Log, SHORT};
use greenloop::lock::{Lazy, OnceCell};
use greenloop::{Greenlet, Handle, join_all, sleep, spawn, timeout, yield_now};

type Shared = Rc<OnceCell<u32>>;

/// Spawns a greenlet that wants the value, and otherwise makes `value` with a yield in between.
fn asker(cell: &Shared, log: &Log<u32>, value: u32) -> Greenlet<u32> {
    let (cell, log) = (cell.clone(), log.clone());
    spawn(move || {
        *cell.get_or_init(|| {
            log.add(value);
            yield_now();
            value
        })
    })
}

fn fixture() -> (Shared, Log<u32>) {
    (Rc::new(OnceCell::new()), Log::new())
}

#[test]
fn it_is_written_once() {
    let mut cell = OnceCell::new();
    assert_eq!((cell.get(), format!("{cell:?}")), (None, "OnceCell(<empty>)".into()));
    assert_eq!(cell.set(1), Ok(()));
    assert_eq!(cell.set(2), Err(2));
    assert_eq!(*cell.get_or_init(|| unreachable!()), 1);
    assert_eq!(cell.get_or_try_init(|| Err(())), Ok(&1));
    *cell.get_mut().unwrap() = 3;
    assert_eq!(format!("{cell:?}"), "OnceCell(3)");
    assert_eq!((cell.take(), cell.get()), (Some(3), None));
    assert_eq!(*cell.get_or_init(|| 4), 4);
    assert_eq!(cell.into_inner(), Some(4));
    assert_eq!(OnceCell::from(5).get(), Some(&5));
}

#[test]
fn the_first_makes_the_value_and_the_others_wait_for_it() {
    let (cell, log) = fixture();
    let askers: Vec<_> = (1..=5).map(|n| asker(&cell, &log, n)).collect();
    assert!(join_all(askers).into_iter().all(|value| value.unwrap() == 1));
    assert_eq!(log.take(), [1]);
}

#[test]
fn if_the_maker_panics_the_next_in_line_makes_the_value() {
    let (cell, log) = fixture();
    let bad = spawn({
        let cell = cell.clone();
        move || {
            *cell.get_or_init(|| {
                yield_now();
                panic!("expected")
            })
        }
    });
    yield_now();
    let askers: Vec<_> = (1..=3).map(|n| asker(&cell, &log, n)).collect();
    assert!(bad.join().unwrap_err().is_panic());
    assert!(join_all(askers).into_iter().all(|value| value.unwrap() == 1));
    assert_eq!(log.take(), [1]);
}

#[test]
fn if_the_maker_is_killed_or_runs_out_of_time_the_next_in_line_makes_the_value() {
    for kill in [true, false] {
        let (cell, log) = fixture();
        let maker = spawn({
            let cell = cell.clone();
            move || {
                let slow = || {
                    sleep(LONG);
                    0
                };
                match kill {
                    true => _ = cell.get_or_init(slow),
                    false => assert!(timeout(SHORT, || *cell.get_or_init(slow)).is_err()),
                }
            }
        });
        yield_now();
        let askers: Vec<_> = (1..=3).map(|n| asker(&cell, &log, n)).collect();
        yield_now();
        if kill {
            maker.kill();
        }
        assert!(join_all(askers).into_iter().all(|value| value.unwrap() == 1));
        assert_eq!(log.take(), [1]);
        assert_eq!(maker.join().is_ok(), !kill);
    }
}

#[test]
fn if_the_maker_fails_the_next_in_line_tries() {
    let cell: Rc<OnceCell<u32>> = Rc::default();
    let results = join_all((0..4).map(|n| {
        let cell = cell.clone();
        spawn(move || {
            let result = cell.get_or_try_init(|| {
                yield_now();
                if n < 2 { Err(n) } else { Ok(n) }
            });
            result.copied()
        })
    }));
    let results: Vec<_> = results.into_iter().map(Result::unwrap).collect();
    assert_eq!(results, [Err(0), Err(1), Ok(2), Ok(2)]);
}

#[test]
fn those_that_are_killed_or_late_while_they_wait_are_not_waited_for() {
    let (cell, log) = fixture();
    let maker = spawn({
        let cell = cell.clone();
        move || {
            let failed: Result<&u32, ()> = cell.get_or_try_init(|| {
                sleep(4 * SHORT);
                Err(())
            });
            assert!(failed.is_err());
        }
    });
    yield_now();
    let killed = asker(&cell, &log, 1);
    let late = spawn({
        let cell = cell.clone();
        move || timeout(SHORT, || *cell.get_or_init(|| 2)).is_err()
    });
    let patient = asker(&cell, &log, 3);
    yield_now();
    killed.kill();
    assert!(late.join().unwrap());
    assert_eq!(patient.join().unwrap(), 3);
    maker.join().unwrap();
    assert_eq!(log.take(), [3]);
}

// Woken when the maker failed, and killed before it ran: it begins to make the value, and leaves it to the one behind.
#[test]
fn the_next_in_line_killed_after_it_was_woken_leaves_it_to_the_one_behind() {
    let (cell, log) = fixture();
    let victim = Rc::new(Cell::new(None));
    let maker = spawn({
        let (cell, victim) = (cell.clone(), victim.clone());
        move || {
            let failed: Result<&u32, ()> = cell.get_or_try_init(|| {
                yield_now();
                yield_now(); // the others line up
                Err(())
            });
            assert!(failed.is_err());
            if let Some(victim) = victim.take() {
                Handle::kill_nowait(&victim);
            }
        }
    });
    yield_now();
    let [killed, last] = [1, 2].map(|n| asker(&cell, &log, n));
    victim.set(Some(killed.handle()));
    assert_eq!(last.join().unwrap(), 2);
    assert!(killed.join().unwrap_err().is_killed());
    assert_eq!(log.take(), [1, 2]);
    maker.join().unwrap();
}

#[test]
fn setting_waits_for_the_maker() {
    let (cell, log) = fixture();
    let maker = asker(&cell, &log, 1);
    yield_now();
    assert_eq!(cell.set(2), Err(2));
    assert_eq!(maker.join().unwrap(), 1);

    let (cell, _) = fixture();
    let failing = spawn({
        let cell = cell.clone();
        move || {
            let failed: Result<&u32, ()> = cell.get_or_try_init(|| {
                yield_now();
                Err(())
            });
            assert!(failed.is_err());
        }
    });
    yield_now();
    assert_eq!(cell.set(2), Ok(()));
    assert_eq!(cell.get(), Some(&2));
    failing.join().unwrap();
}

#[test]
fn a_maker_that_asks_for_its_own_value_panics_and_the_cell_stays_empty() {
    let (cell, log) = fixture();
    let circular = spawn({
        let cell = cell.clone();
        move || *cell.get_or_init(|| *cell.get_or_init(|| 1))
    });
    let text = circular.join().unwrap_err().to_string();
    assert!(text.contains("has asked for this value itself"), "{text}");
    assert_eq!(asker(&cell, &log, 2).join().unwrap(), 2);
}

#[test]
fn a_lazy_value_is_made_once_when_it_is_used() {
    let made = Rc::new(Cell::new(0));
    let lazy = Rc::new(Lazy::new({
        let made = made.clone();
        move || {
            made.set(made.get() + 1);
            yield_now();
            "value"
        }
    }));
    assert_eq!((made.get(), Lazy::get(&lazy), format!("{lazy:?}")), (0, None, "Lazy(<not made>)".into()));
    let users = join_all((0..3).map(|_| {
        let lazy = lazy.clone();
        spawn(move || lazy.len())
    }));
    assert!(users.into_iter().all(|len| len.unwrap() == 5));
    assert_eq!(
        (made.get(), Lazy::get(&lazy), format!("{lazy:?}")),
        (1, Some(&"value"), "Lazy(\"value\")".into())
    );
    assert_eq!(**Lazy::<Vec<u8>>::default(), []);
}

#[test]
fn a_lazy_value_whose_making_panicked_or_was_killed_is_made_by_the_next() {
    let tries = Rc::new(Cell::new(0));
    let lazy = Rc::new(Lazy::new({
        let tries = tries.clone();
        move || {
            tries.set(tries.get() + 1);
            match tries.get() {
                1 => panic!("expected"),
                2 => sleep(LONG),
                _ => {}
            }
            tries.get()
        }
    }));
    let users: Vec<_> = (0..4)
        .map(|_| {
            let lazy = lazy.clone();
            spawn(move || **lazy)
        })
        .collect();
    yield_now();
    yield_now();
    users[1].kill();
    let results: Vec<_> = join_all(users).into_iter().map(Result::ok).collect();
    assert_eq!(results, [None, None, Some(3), Some(3)]);
}

// It can be used where a thread-local is.
#[test]
fn they_can_be_made_in_constants() {
    thread_local! {
        static CELL: OnceCell<u32> = const { OnceCell::new() };
        static LAZY: Lazy<u32> = const { Lazy::new(|| 2) };
    }
    assert_eq!(CELL.with(|cell| *cell.get_or_init(|| 1)) + LAZY.with(|lazy| **lazy), 3);
}
