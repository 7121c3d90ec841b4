//! Time limits over any code.

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use common::{Flag, LONG, Log, OnDrop, PROMPT, SHORT, ignore};
use greenloop::event::{AsyncResult, Event};
use greenloop::lock::Semaphore;
use greenloop::queue::{GetError, Queue};
use greenloop::{Elapsed, Timeout, join_all, shield, sleep, spawn, timeout, wait_all, yield_now};

/// Runs the same on the root and in a greenlet.
fn everywhere(f: fn()) {
    f();
    spawn(f).join().unwrap();
}

// TO01, TO14
#[test]
fn what_finishes_in_time_gives_its_value_and_nothing_comes_later() {
    everywhere(|| {
        assert_eq!(timeout(Duration::from_millis(20), || 1), Ok(1));
        assert_eq!(timeout(Duration::from_millis(20), || sleep(Duration::from_millis(1))), Ok(()));
        sleep(Duration::from_millis(40));
        yield_now();
    });
}

// TO02, TO06, TO14, TO20
#[test]
fn what_takes_too_long_is_left_where_it_waits() {
    everywhere(|| {
        let log = Log::new();
        let start = Instant::now();
        let result = timeout(Duration::from_millis(20), || {
            let _guard = OnDrop(|| log.add("dropped"));
            sleep(LONG);
            log.add("went on");
        });
        assert_eq!(result, Err(Elapsed));
        assert!(start.elapsed() >= Duration::from_millis(20) && start.elapsed() < PROMPT);
        assert_eq!(log.take(), ["dropped"]);
    });
}

// TO01
#[test]
fn a_scope_left_in_time_leaves_no_timer() {
    everywhere(|| {
        assert!(timeout(LONG, yield_now).is_ok());
        assert!(catch_unwind(|| timeout(LONG, || panic!("expected"))).is_err());
    });
    let start = Instant::now();
    wait_all();
    assert!(start.elapsed() < PROMPT);
}

// TO07
#[test]
fn never_never_expires() {
    everywhere(|| {
        for never in [Timeout::never(), Timeout::from(None), Timeout::new(Duration::MAX)] {
            assert_eq!(never.run(|| sleep(SHORT)), Ok(()));
        }
    });
}

// TO10, JO02: and the code after the inner scope is skipped.
#[test]
fn an_outer_timeout_passes_through_inner_scopes() {
    everywhere(|| {
        let log = Log::new();
        let outer = timeout(SHORT, || {
            let inner = timeout(LONG, || {
                let innermost = timeout(LONG, || sleep(LONG));
                log.add("after the innermost");
                innermost
            });
            log.add("after the inner");
            inner
        });
        assert_eq!(outer, Err(Elapsed));
        assert_eq!(log.len(), 0);
    });
}

// TO11, TO12: by identity, also when both are of the same length.
#[test]
fn each_timeout_ends_its_own_scope() {
    everywhere(|| {
        assert_eq!(timeout(LONG, || timeout(SHORT, || sleep(LONG))), Ok(Err(Elapsed)));
        assert_eq!(timeout(SHORT, || timeout(LONG, || sleep(LONG))), Err(Elapsed));
        let limit = Timeout::new(SHORT);
        // One object is one clock, and its innermost scope takes the expiry.
        assert_eq!(limit.run(|| limit.run(|| sleep(LONG))), Ok(Err(Elapsed)));
        let other = limit.clone();
        assert_eq!(limit.run(|| other.run(|| sleep(LONG))), Err(Elapsed));
    });
}

// TO12: the outer one is still in force.
#[test]
fn after_an_inner_expiry_the_outer_limit_still_counts() {
    everywhere(|| {
        let inner_expired = Flag::new();
        let outer = timeout(Duration::from_millis(20), || {
            assert_eq!(timeout(SHORT, || sleep(LONG)), Err(Elapsed));
            inner_expired.raise();
            sleep(LONG);
        });
        assert_eq!(outer, Err(Elapsed));
        assert!(inner_expired.is_up());
    });
}

// TO11: both expire while nobody looks; each is thrown in its turn.
#[test]
fn two_expiries_in_one_turn_end_both_scopes() {
    everywhere(|| {
        let inner_ended = Flag::new();
        let outer = timeout(Duration::from_millis(2), || {
            let inner = timeout(Duration::from_millis(1), || {
                std::thread::sleep(Duration::from_millis(10));
                sleep(LONG);
            });
            assert_eq!(inner, Err(Elapsed));
            inner_ended.raise();
            sleep(LONG);
        });
        assert_eq!(outer, Err(Elapsed));
        assert!(inner_ended.is_up()); // it was the first to expire
        sleep(SHORT);
        let outer = timeout(Duration::from_millis(1), || {
            let inner = timeout(Duration::from_millis(2), || {
                std::thread::sleep(Duration::from_millis(10));
                sleep(LONG);
            });
            unreachable!("the outer one was the first to expire, but the inner scope ended: {inner:?}")
        });
        assert_eq!(outer, Err(Elapsed));
        sleep(SHORT);
    });
}

// TO16
#[test]
fn a_timeout_can_be_used_again_each_time_from_the_start() {
    everywhere(|| {
        let limit = Timeout::new(Duration::from_millis(10));
        for _ in 0..3 {
            let start = Instant::now();
            assert_eq!(limit.run(|| sleep(LONG)), Err(Elapsed));
            assert!(start.elapsed() >= Duration::from_millis(10));
            assert_eq!(limit.run(|| 1), Ok(1));
        }
    });
}

// TO25: the greenlet that runs it is the one that is interrupted, whoever made it.
#[test]
fn a_limit_serves_many_greenlets_each_with_a_clone() {
    let limit = Timeout::new(SHORT);
    let results = join_all((0..20).map(|n| {
        let limit = limit.clone();
        spawn(move || {
            limit
                .run(|| {
                    if n % 2 == 0 {
                        sleep(LONG)
                    }
                })
                .is_err()
        })
    }));
    let expired: Vec<_> = results.into_iter().map(Result::unwrap).collect();
    assert_eq!(expired, [true, false].repeat(10));
}

// TO22, TO31, TO32
#[test]
fn a_limit_of_zero_expires_at_the_first_turn_of_the_loop() {
    everywhere(|| {
        assert_eq!(timeout(Duration::ZERO, || 5), Ok(5));
        assert_eq!(timeout(Duration::ZERO, || sleep(LONG)), Err(Elapsed));
        assert_eq!(timeout(Duration::ZERO, || Event::new().wait()), Err(Elapsed));
    });
}

// TO22, AR07
#[test]
fn a_limit_of_zero_wins_over_a_value_that_comes_later() {
    let result = AsyncResult::new();
    drop(greenloop::spawn_later(SHORT, {
        let result = result.clone();
        move || result.set(1).unwrap()
    }));
    assert_eq!(timeout(Duration::ZERO, || result.get()), Err(Elapsed));
    assert_eq!(result.get(), 1);
}

// TO27
#[test]
fn code_that_does_not_park_is_never_interrupted() {
    everywhere(|| {
        let queue = Queue::unbounded();
        let result = timeout(Duration::from_millis(1), || {
            std::thread::sleep(Duration::from_millis(5));
            queue.put(1).unwrap();
            queue.get().unwrap()
        });
        assert_eq!(result, Ok(1));
        sleep(SHORT); // nothing is thrown later
    });
}

// TO01, TO27: noticed by the hub while the greenlet was ready, but never thrown.
#[test]
fn an_expiry_that_is_pending_when_its_scope_ends_is_forgotten() {
    let g = spawn(|| {
        let result = timeout(Duration::from_millis(1), || {
            // More turns of others than the hub takes between two looks at its timers.
            for _ in 0..500 {
                drop(spawn(|| ()));
            }
            std::thread::sleep(Duration::from_millis(5));
            yield_now();
            "value"
        });
        sleep(SHORT);
        yield_now();
        result
    });
    assert_eq!(g.join().unwrap(), Ok("value"));
}

// TO28
#[test]
fn error_handling_by_result_does_not_see_an_expiry() {
    everywhere(|| {
        let handled = Flag::new();
        let result = timeout(SHORT, || {
            let got = Queue::<()>::unbounded().get_timeout(LONG);
            handled.raise();
            got
        });
        assert_eq!(result, Err(Elapsed));
        assert!(!handled.is_up());
    });
}

// TO28: swallowed, it is over: an expiry is thrown once.
#[test]
fn an_expiry_swallowed_by_catch_unwind_is_not_thrown_again() {
    everywhere(|| {
        let result = timeout(SHORT, || {
            assert!(catch_unwind(|| sleep(LONG)).is_err());
            sleep(SHORT);
            "went on"
        });
        assert_eq!(result, Ok("went on"));
    });
}

#[test]
fn a_panic_passes_through_a_scope_as_it_is() {
    everywhere(|| {
        let payload = catch_unwind(|| timeout(LONG, || std::panic::panic_any(5_u8))).unwrap_err();
        assert_eq!(*payload.downcast::<u8>().unwrap(), 5);
    });
}

#[test]
fn a_kill_passes_through_a_scope() {
    let went_on = Flag::new();
    let g = spawn({
        let went_on = went_on.clone();
        move || {
            let result = timeout(LONG, || sleep(LONG));
            went_on.raise();
            ignore(result);
        }
    });
    yield_now();
    g.kill();
    assert!(g.join().unwrap_err().is_killed());
    assert!(!went_on.is_up());
}

#[test]
fn a_kill_and_an_expiry_in_the_same_turn_end_the_greenlet() {
    let went_on = Flag::new();
    let g = spawn({
        let went_on = went_on.clone();
        move || {
            let result = timeout(SHORT, || sleep(LONG));
            yield_now();
            went_on.raise();
            ignore(result);
        }
    });
    yield_now();
    std::thread::sleep(2 * SHORT);
    g.kill();
    assert!(g.join().unwrap_err().is_killed());
    assert!(!went_on.is_up());
}

// JO02, EV01, AR02, QU35, QU36: the limit of a call and the limit around it are told apart.
#[test]
fn an_outer_timeout_is_not_mistaken_for_the_limit_of_the_call() {
    type Call = Box<dyn Fn(Duration)>;
    fn calls() -> Vec<(&'static str, Call)> {
        let full = Queue::bounded(1);
        full.put(()).unwrap();
        let sleeper = spawn(|| sleep(LONG)).handle();
        vec![
            ("event", Box::new(|limit| assert!(!Event::new().wait_timeout(limit)))),
            ("async result wait", Box::new(|limit| assert!(!AsyncResult::<()>::new().wait_timeout(limit)))),
            (
                "async result get",
                Box::new(|limit| assert!(AsyncResult::<()>::new().get_timeout(limit).is_err())),
            ),
            ("semaphore acquire", Box::new(|limit| assert!(!Semaphore::new(0).acquire_timeout(limit)))),
            ("semaphore wait", Box::new(|limit| assert_eq!(Semaphore::new(0).wait(Some(limit)), 0))),
            (
                "queue get",
                Box::new(|limit| {
                    assert_eq!(Queue::<()>::bounded(1).get_timeout(limit), Err(GetError::Empty))
                }),
            ),
            ("queue peek", Box::new(|limit| assert!(Queue::<()>::bounded(1).peek_timeout(limit).is_err()))),
            (
                "queue put",
                Box::new(move |limit| assert!(full.put_timeout((), limit).is_err_and(|e| e.is_full()))),
            ),
            ("join", Box::new(move |limit| assert!(!sleeper.wait_timeout(limit)))),
            ("timeout", Box::new(|limit| assert_eq!(timeout(limit, || sleep(LONG)), Err(Elapsed)))),
        ]
    }
    everywhere(|| {
        for (name, call) in calls() {
            assert_eq!(timeout(LONG, || call(SHORT)), Ok(()), "the own limit of {name}");
            assert_eq!(timeout(SHORT, || call(LONG)), Err(Elapsed), "the limit around {name}");
        }
    });
}

// The exit rule: what was woken by its event is not interrupted.
#[test]
fn an_event_set_before_the_expiry_is_noticed_wins() {
    let event = Event::new();
    let g = spawn({
        let event = event.clone();
        move || {
            let result = timeout(SHORT, || event.wait_timeout(LONG));
            sleep(SHORT);
            result
        }
    });
    yield_now();
    std::thread::sleep(2 * SHORT); // the time has run out, but nobody has looked
    event.set();
    assert_eq!(g.join().unwrap(), Ok(true));
}

// Set in the same turn by a greenlet that was due earlier: the expiry was noticed first, the flag is seen nevertheless.
#[test]
fn an_event_set_in_the_turn_of_the_expiry_is_seen_by_the_call_but_not_by_a_scope() {
    let event = Event::new();
    let setter = spawn({
        let event = event.clone();
        move || {
            sleep(SHORT);
            event.set();
        }
    });
    yield_now();
    let call = spawn({
        let event = event.clone();
        move || event.wait_timeout(2 * SHORT)
    });
    let scope = spawn({
        let event = event.clone();
        move || timeout(2 * SHORT, || event.wait())
    });
    yield_now();
    std::thread::sleep(4 * SHORT); // all three are due now, the setter first
    setter.join().unwrap();
    assert!(call.join().unwrap());
    assert_eq!(scope.join().unwrap(), Err(Elapsed));
    assert_eq!(format!("{event:?}"), "Event(set, 0 waiting)");
    let start = Instant::now();
    event.wait(); // and nobody is waited for who will not come
    assert!(start.elapsed() < PROMPT);
}

#[test]
fn a_shield_holds_an_expiry_back_until_the_next_park_after_it() {
    everywhere(|| {
        let log = Log::new();
        let result = timeout(SHORT, || {
            shield(|| {
                sleep(4 * SHORT);
                log.add("shielded");
            });
            log.add("after the shield");
            yield_now();
            log.add("never");
        });
        assert_eq!(result, Err(Elapsed));
        assert_eq!(log.take(), ["shielded", "after the shield"]);
    });
}

#[test]
fn a_scope_that_ends_inside_a_shield_with_its_expiry_held_back_has_not_expired() {
    everywhere(|| {
        assert_eq!(shield(|| timeout(SHORT, || sleep(4 * SHORT))), Ok(()));
        sleep(SHORT);
        yield_now();
    });
}

#[test]
fn a_value_dropped_by_an_expiry_may_use_timeouts_in_its_destructor() {
    everywhere(|| {
        let inner = std::cell::Cell::new(None);
        let outer = timeout(SHORT, || {
            let _guard = OnDrop(|| inner.set(Some(timeout(LONG, || 1))));
            sleep(LONG);
        });
        assert_eq!(outer, Err(Elapsed));
        assert_eq!(inner.get(), Some(Ok(1)));
    });
}

#[test]
fn a_panic_after_an_expiry_was_noticed_leaves_nothing_behind() {
    everywhere(|| {
        let caught = catch_unwind(AssertUnwindSafe(|| {
            timeout(Duration::from_millis(1), || {
                std::thread::sleep(SHORT);
                panic!("expected");
            })
        }));
        assert!(caught.is_err());
        sleep(SHORT);
        yield_now();
    });
}

#[test]
fn an_elapsed_limit_converts_to_an_io_error() {
    let error = std::io::Error::from(Elapsed);
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
    assert_eq!(error.to_string(), Elapsed.to_string());
}

#[test]
fn data_that_has_come_wins_over_a_timeout_noticed_in_the_same_turn() {
    // TO26
    use greenloop::net::{TcpListener, TcpStream};
    use std::io::{Read, Write};
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut socket, _) = listener.accept().unwrap();
    let reader = greenloop::spawn(move || {
        let mut byte = [0];
        greenloop::timeout(std::time::Duration::from_millis(5), || socket.read(&mut byte).unwrap())
    });
    greenloop::yield_now();
    (&client).write_all(b"x").unwrap();
    // The hub does not turn meanwhile: afterwards it finds both.
    std::thread::sleep(std::time::Duration::from_millis(30));
    assert_eq!(reader.join().unwrap(), Ok(1));
}
