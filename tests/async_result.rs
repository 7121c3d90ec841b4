//! `AsyncResult`: a value that arrives once.

mod common;

use std::rc::Rc;
use std::time::{Duration, Instant};

use common::{Flag, LONG, Log, PROMPT, SHORT};
use greenloop::event::AsyncResult;
use greenloop::{Elapsed, join_all, spawn, timeout, yield_now};

// AR01
#[test]
fn a_timed_wait_without_a_value_ends_in_time_and_says_so() {
    let result = AsyncResult::<()>::new();
    let start = Instant::now();
    assert!(!result.wait_timeout(Duration::from_millis(20)));
    assert!(start.elapsed() >= Duration::from_millis(20) && start.elapsed() < PROMPT);
    assert!(!result.is_set());
}

// AR02
#[test]
fn a_timed_get_without_a_value_is_an_error() {
    let result = AsyncResult::<()>::new();
    assert_eq!(result.get_timeout(SHORT), Err(Elapsed));
    assert_eq!(result.get_timeout(Duration::ZERO), Err(Elapsed));
}

// AR03
#[test]
fn a_try_get_never_switches() {
    let (result, other) = (AsyncResult::new(), Flag::new());
    drop(spawn({
        let other = other.clone();
        move || other.raise()
    }));
    assert_eq!(result.try_get(), None);
    result.set(1).unwrap();
    assert_eq!(result.try_get(), Some(1));
    assert_eq!(result.get(), 1);
    assert!(!other.is_up());
}

// AR06, AR13: an error is a value like any other.
#[test]
fn a_result_may_carry_an_error_which_waiting_does_not_raise() {
    let result = AsyncResult::<Result<u32, Rc<str>>>::new();
    let getter = spawn({
        let result = result.clone();
        move || result.get()
    });
    yield_now();
    let error: Rc<str> = "broken".into();
    result.set(Err(error.clone())).unwrap();
    result.wait();
    assert!(Rc::ptr_eq(&getter.join().unwrap().unwrap_err(), &error));
}

// AR08
#[test]
fn a_timeout_around_a_get_gives_a_fallback() {
    let result = AsyncResult::<u32>::new();
    assert_eq!(timeout(SHORT, || result.get()).unwrap_or(9), 9);
    result.set(1).unwrap();
    assert_eq!(timeout(SHORT, || result.get()).unwrap_or(9), 1);
}

// AR12: a second value is refused.
#[test]
fn a_second_value_is_given_back_and_wakes_nobody() {
    let result = AsyncResult::new();
    assert_eq!(result.set("first"), Ok(()));
    assert_eq!(result.set("second"), Err("second"));
    assert_eq!(result.get(), "first");
}

// AR14
#[test]
fn getters_are_woken_in_the_order_in_which_they_came() {
    for getters in [1, 100, 1_000] {
        let (result, log) = (AsyncResult::new(), Log::new());
        let greenlets: Vec<_> = (0..getters)
            .map(|n| {
                let (result, log) = (result.clone(), log.clone());
                spawn(move || log.add((n, result.get())))
            })
            .collect();
        yield_now();
        result.set("value").unwrap();
        assert_eq!(log.len(), 0);
        join_all(greenlets);
        assert_eq!(log.take(), Vec::from_iter((0..getters).map(|n| (n, "value"))));
    }
}

#[test]
fn a_value_that_cannot_be_cloned_is_shown() {
    struct Unique(u32);
    let result = AsyncResult::default();
    assert_eq!(result.with(|unique: &Unique| unique.0), None);
    let waiter = spawn({
        let result = result.clone();
        move || {
            result.wait();
            result.with(|unique| unique.0)
        }
    });
    yield_now();
    assert!(result.set(Unique(4)).is_ok());
    assert_eq!(waiter.join().unwrap(), Some(4));
}

#[test]
fn setting_from_inside_a_look_at_the_value_is_refused() {
    let result = AsyncResult::new();
    result.set(1).unwrap();
    assert_eq!(result.with(|_| result.set(2)), Some(Err(2)));
}

#[test]
fn a_value_may_switch_while_it_is_cloned() {
    #[derive(Debug, PartialEq)]
    struct Slow(u32);
    impl Clone for Slow {
        fn clone(&self) -> Self {
            yield_now();
            Slow(self.0)
        }
    }
    let result = AsyncResult::new();
    result.set(Slow(1)).unwrap();
    let getters: Vec<_> = (0..3)
        .map(|_| {
            let result = result.clone();
            spawn(move || result.get())
        })
        .collect();
    assert!(result.set(Slow(2)).is_err());
    assert!(join_all(getters).into_iter().all(|got| got.unwrap() == Slow(1)));
}

#[test]
fn a_killed_getter_does_not_disturb_the_others() {
    let result = AsyncResult::new();
    let getters: [_; 3] = std::array::from_fn(|_| {
        let result = result.clone();
        spawn(move || result.get_timeout(LONG))
    });
    yield_now();
    getters[0].kill();
    assert_eq!(format!("{result:?}"), "AsyncResult(unset, 2 waiting)");
    result.set(1).unwrap();
    assert_eq!(format!("{result:?}"), "AsyncResult(set, 0 waiting)");
    let got: Vec<_> = join_all(getters).into_iter().map(Result::ok).collect();
    assert_eq!(got, [None, Some(Ok(1)), Some(Ok(1))]);
}
