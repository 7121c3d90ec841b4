//! Links: code that runs when a greenlet has ended.

mod common;

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use common::{Flag, LONG, Log, OnDrop, SHORT};
use greenloop::event::{AsyncResult, Event};
use greenloop::queue::Queue;
use greenloop::{
    Greenlet, JoinError, LinkId, Outcome, current, sleep, spawn, spawn_later, wait_all, yield_now,
};

fn returns() -> Greenlet<u32> {
    spawn(|| 1)
}

fn panics() -> Greenlet<u32> {
    spawn(|| panic!("expected: a link is told"))
}

fn killed() -> Greenlet<u32> {
    let g = spawn(|| {
        sleep(LONG);
        1
    });
    yield_now();
    g.kill_nowait();
    g
}

/// Adds one link of each kind to `g`; they log what they are told.
fn link_all(g: &Greenlet<u32>, log: &Log<(&'static str, u64, Outcome)>) {
    let note = |kind| {
        let log = log.clone();
        move |g: &greenloop::Handle, outcome| log.add((kind, g.id(), outcome))
    };
    g.link(note("link"));
    g.link_value(note("value"));
    g.link_error(note("error"));
}

// LK06, LK07, LK08, LK09, GL04, KL09: at the end, and again after it.
#[test]
fn each_link_runs_for_the_outcomes_it_is_for() {
    type Make = fn() -> Greenlet<u32>;
    let cases: [(Make, Outcome, &[&str]); 3] = [
        (returns, Outcome::Value, &["link", "value"]),
        (panics, Outcome::Panicked, &["link", "error"]),
        (killed, Outcome::Killed, &["link", "value"]),
    ];
    for (make, outcome, kinds) in cases {
        let g = make();
        let expected: Vec<_> = kinds.iter().map(|kind| (*kind, g.id(), outcome)).collect();
        let log = Log::new();
        assert_eq!(g.outcome(), None);
        for _ in 0..2 {
            link_all(&g, &log);
            g.wait();
            assert_eq!(g.outcome(), Some(outcome));
            yield_now();
            assert_eq!(log.take(), expected);
        }
        wait_all();
        assert_eq!(log.len(), 0);
    }
}

// KL01, KL02, KL03: killed before the first turn.
#[test]
fn a_greenlet_that_never_ran_fires_its_links_once() {
    for delayed in [false, true] {
        let g = if delayed { spawn_later(LONG, || 1) } else { spawn(|| 1) };
        let log = Log::new();
        link_all(&g, &log);
        g.kill();
        wait_all();
        assert_eq!(log.take(), [("link", g.id(), Outcome::Killed), ("value", g.id(), Outcome::Killed)]);
    }
}

// LK12
#[test]
fn links_run_in_the_order_added_before_a_join_returns() {
    for count in [1, 2, 3, 999] {
        let log = Log::new();
        let g = spawn(|| {
            yield_now();
            1
        });
        // Who waits for the end came first.
        let early = spawn({
            let (g, log) = (g.handle(), log.clone());
            move || {
                g.wait();
                log.add(usize::MAX);
            }
        });
        yield_now();
        for n in 0..count {
            let log = log.clone();
            g.link(move |_, _| log.add(n));
        }
        assert_eq!(g.join().unwrap(), 1);
        early.wait();
        assert_eq!(log.take(), (0..count).chain([usize::MAX]).collect::<Vec<_>>());
    }
}

// LK04
#[test]
fn a_link_may_block_and_does_not_keep_others_waiting() {
    let (go, log) = (Event::new(), Log::new());
    let g = returns();
    for n in 0..3 {
        let (go, log) = (go.clone(), log.clone());
        g.link(move |_, _| {
            log.add((n, "begins"));
            go.wait();
            log.add((n, "ends"));
        });
    }
    g.wait();
    assert_eq!(log.take(), [(0, "begins"), (1, "begins"), (2, "begins")]);
    go.set();
    wait_all();
    assert_eq!(log.take(), [(0, "ends"), (1, "ends"), (2, "ends")]);
}

// LK03, LK04: a bounded queue, whose put waits.
#[test]
fn links_put_greenlets_into_a_queue() {
    let ended = Queue::bounded(1);
    let all: Vec<_> = (0..3).map(|_| returns()).collect();
    for g in &all {
        let ended = ended.clone();
        g.link(move |g, _| ended.put(g.clone()).unwrap());
    }
    for g in &all {
        assert!(ended.get().unwrap() == g.handle());
    }
}

// LK10
#[test]
fn a_link_that_panics_does_not_stop_the_others() {
    let log = Log::new();
    let g = returns();
    g.link(|_, _| panic!("expected: the first link"));
    let note = log.clone();
    g.link(move |_, _| note.add("second"));
    g.link(|_, _| panic!("expected: the third link"));
    let note = log.clone();
    g.link(move |_, _| note.add("fourth"));
    assert_eq!(g.join().unwrap(), 1);
    assert_eq!(log.take(), ["second", "fourth"]);
}

// LK11: each of them withdraws the other; both panic.
#[test]
fn a_link_withdrawn_by_another_during_notification_does_not_run() {
    let log = Log::new();
    let g = returns();
    let ids: Rc<RefCell<Vec<LinkId>>> = Rc::default();
    for n in 0..2 {
        let (log, others) = (log.clone(), ids.clone());
        let id = g.link(move |g, _| {
            let other = others.borrow()[1 - n];
            log.add((n, g.unlink(other)));
            panic!("expected: a link that withdraws the other");
        });
        ids.borrow_mut().push(id);
    }
    wait_all();
    assert_eq!(log.take(), [(0, true)]);
    drop(g);
}

#[test]
fn a_link_is_withdrawn_once_and_not_after_it_ran() {
    let ran = Flag::new();
    let g = returns();
    let owned = Rc::new(());
    let id = g.link({
        let owned = owned.clone();
        move |_, _| drop(owned)
    });
    assert!(g.unlink(id));
    assert_eq!(Rc::strong_count(&owned), 1);
    assert!(!g.unlink(id));
    let id = g.link({
        let ran = ran.clone();
        move |_, _| ran.raise()
    });
    g.wait();
    assert!(ran.is_up() && !g.unlink(id));
    // After the end, before its first turn.
    let ran = Flag::new();
    let id = g.link({
        let ran = ran.clone();
        move |_, _| ran.raise()
    });
    assert!(g.unlink(id));
    wait_all();
    assert!(!ran.is_up());
}

// LK15
#[test]
fn links_added_by_links_run_too() {
    let log = Log::new();
    let g = returns();
    g.link({
        let log = log.clone();
        move |g, _| {
            log.add("first");
            let inner = log.clone();
            g.link(move |g, _| {
                inner.add("added by a link");
                let inner = inner.clone();
                g.link(move |_, _| inner.add("added by that"));
            });
        }
    });
    let note = log.clone();
    g.link(move |_, _| note.add("second"));
    wait_all();
    assert_eq!(log.take(), ["first", "second", "added by a link", "added by that"]);
}

#[test]
fn a_link_that_does_not_want_the_outcome_is_dropped_at_the_end_where_it_may_block() {
    let g = returns();
    let dropped = Rc::new(Cell::new(0));
    let guard = OnDrop({
        let dropped = dropped.clone();
        move || {
            sleep(SHORT);
            dropped.set(current().id());
        }
    });
    g.link_error(move |_, _| drop(guard));
    let id = g.id();
    g.wait();
    assert_eq!(dropped.get(), id);
}

// What another link owns may take its time to go.
#[test]
fn no_link_runs_before_the_greenlet_has_ended() {
    let log = Log::new();
    let g = returns();
    g.link({
        let log = log.clone();
        move |g, outcome| log.add((g.is_finished(), g.outcome() == Some(outcome)))
    });
    let guard = OnDrop(|| sleep(SHORT));
    g.link_error(move |_, _| drop(guard));
    g.wait();
    assert_eq!(log.take(), [(true, true)]);
}

// What a destructor adds while the greenlet ends is not forgotten.
#[test]
fn links_added_at_the_very_end_run() {
    let log = Log::new();
    let g = returns();
    let guard = OnDrop({
        let log = log.clone();
        move || {
            let log = log.clone();
            current().link(move |_, outcome| log.add(outcome));
        }
    });
    g.link_error(move |_, _| drop(guard));
    assert_eq!(g.join().unwrap(), 1);
    assert_eq!(log.take(), [Outcome::Value]);
}

#[test]
fn links_keep_nothing_alive_after_the_end() {
    let owned = Rc::new(());
    for g in [returns(), panics(), killed()] {
        for _ in 0..3 {
            let (a, b, c) = (owned.clone(), owned.clone(), owned.clone());
            g.link(move |_, _| drop(a));
            g.link_value(move |_, _| drop(b));
            g.link_error(move |_, _| drop(c));
        }
        g.wait();
        wait_all();
        assert_eq!(Rc::strong_count(&owned), 1);
    }
}

// A kill at the park of a link is a matter of that link.
#[test]
fn a_link_can_kill_itself_without_harm_to_the_others() {
    let log = Log::new();
    let g = returns();
    let note = log.clone();
    g.link(move |_, _| {
        note.add("before");
        current().kill();
        note.add("after");
    });
    let note = log.clone();
    g.link(move |_, _| note.add("second"));
    wait_all();
    assert_eq!(log.take(), ["before", "second"]);
    assert!(g.is_finished());
}

// LK01: linked before and after the end, three times.
#[test]
fn an_async_result_gets_the_value() {
    let g = spawn(|| String::from("value"));
    let early = AsyncResult::new();
    g.link_result(&early);
    assert_eq!(early.get().unwrap(), "value");
    for _ in 0..3 {
        let late = AsyncResult::new();
        g.link_result(&late);
        assert_eq!(late.try_get().unwrap().unwrap(), "value");
    }
    assert_eq!(g.join().unwrap(), "value");
}

// LK02, LK08
#[test]
fn an_async_result_gets_the_failure() {
    for (g, panicked) in [(panics(), true), (killed(), false)] {
        let (early, late) = (AsyncResult::new(), AsyncResult::new());
        g.link_result(&early);
        g.wait();
        g.link_result(&late);
        for result in [&early, &late] {
            let error: JoinError = result.get().unwrap_err();
            assert_eq!((error.is_panic(), error.is_killed()), (panicked, !panicked));
            assert_eq!(error.to_string().contains("expected: a link is told"), panicked);
            // The payload is with the greenlet.
            assert!(error.try_into_panic().is_err());
        }
        assert_eq!(g.join().unwrap_err().try_into_panic().is_ok(), panicked);
    }
}

// AR09, AR10, LK06, LK07, LK08: each kind of link has a cell of its own.
#[test]
fn cells_set_by_links_for_other_outcomes_stay_unset() {
    type Make = fn() -> Greenlet<u32>;
    let cases: [(Make, Outcome); 3] =
        [(returns, Outcome::Value), (panics, Outcome::Panicked), (killed, Outcome::Killed)];
    for (make, outcome) in cases {
        let g = make();
        let [all, value, error] = [(); 3].map(|()| AsyncResult::new());
        let set = |cell: &AsyncResult<Outcome>| {
            let cell = cell.clone();
            move |_: &greenloop::Handle, outcome| cell.set(outcome).unwrap()
        };
        g.link(set(&all));
        g.link_value(set(&value));
        g.link_error(set(&error));
        assert_eq!(all.get(), outcome);
        let failed = outcome == Outcome::Panicked;
        assert_eq!(value.get_timeout(SHORT).ok(), (!failed).then_some(outcome));
        assert_eq!(error.get_timeout(SHORT).ok(), failed.then_some(outcome));
    }
}

// LK01: nobody keeps the greenlet.
#[test]
fn an_async_result_gets_the_value_of_a_detached_greenlet() {
    let result = AsyncResult::new();
    spawn(|| {
        yield_now();
        5
    })
    .link_result(&result);
    assert_eq!(result.get().unwrap(), 5);
}

// LK11
#[test]
fn an_async_result_that_was_unlinked_gets_nothing() {
    let (kept, withdrawn) = (AsyncResult::new(), AsyncResult::new());
    let g = returns();
    let id = g.link_result(&withdrawn);
    g.link_result(&kept);
    assert!(g.unlink(id) && !g.unlink(id));
    assert_eq!(g.join().unwrap(), 1);
    assert!(kept.is_set() && !withdrawn.is_set());
}

#[test]
fn an_async_result_that_was_unlinked_is_let_go_at_once() {
    let owned = Rc::new(());
    let g = spawn({
        let owned = owned.clone();
        move || owned
    });
    let result = AsyncResult::new();
    result.set(Ok(owned.clone())).unwrap();
    let id = g.link_result(&result);
    drop(result);
    assert!(g.unlink(id));
    assert_eq!(Rc::strong_count(&owned), 2, "the link is still kept, and only the greenlet should have it");
    drop(g.join().unwrap());
    assert_eq!(Rc::strong_count(&owned), 1);
}

#[test]
fn an_async_result_that_is_set_already_stays_as_it_is() {
    let result = AsyncResult::new();
    result.set(Ok(7)).unwrap();
    let g = returns();
    g.link_result(&result);
    assert_eq!(g.join().unwrap(), 1);
    assert_eq!(result.get().unwrap(), 7);
}

/// Blocks while it is cloned, or panics.
#[derive(Debug)]
struct Slow(bool);

impl Clone for Slow {
    fn clone(&self) -> Slow {
        sleep(SHORT);
        assert!(!self.0, "expected: a clone that panics");
        Slow(false)
    }
}

#[test]
fn a_clone_may_block_or_panic_without_harm_to_the_value() {
    for bad in [false, true] {
        let result = AsyncResult::new();
        let g = spawn(move || Slow(bad));
        g.link_result(&result);
        assert_eq!(g.join().unwrap().0, bad);
        let got = result.get();
        assert_eq!(got.as_ref().map(|slow| slow.0).ok(), (!bad).then_some(false));
        assert_eq!(got.is_err_and(|error| error.to_string().contains("expected: a clone that panics")), bad);
    }
}

#[test]
fn a_kill_comes_too_late_for_a_value_that_is_being_cloned() {
    let result = AsyncResult::new();
    let g = spawn(|| Slow(false));
    g.link_result(&result);
    yield_now(); // it sleeps in its clone
    g.kill();
    assert!(result.is_set() && !g.join().unwrap().0);
    assert!(!result.get().unwrap().0);
}

#[test]
fn a_panic_keeps_its_payload_for_join_and_its_text_for_clones() {
    let error = panics().join().unwrap_err();
    let clone = error.clone();
    assert!(clone.is_panic() && !clone.is_killed());
    assert_eq!(clone.to_string(), error.to_string());
    assert_eq!(clone.clone().to_string(), error.to_string());
    assert!(error.try_into_panic().is_ok());
}
