//! A `Timeout` as an object: started, cancelled and started again by hand.

mod common;

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use common::Flag;
use greenloop::testing::virtual_time;
use greenloop::{Elapsed, Timeout, current, shield, sleep, spawn};

const SECOND: Duration = Duration::from_secs(1);

/// Runs the same on the root and in a greenlet, in virtual time.
fn everywhere(f: fn()) {
    virtual_time(|| {
        f();
        spawn(f).join().unwrap();
    });
}

fn panic_text(f: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(f)).expect_err("no panic");
    match payload.downcast_ref::<String>() {
        Some(text) => text.clone(),
        None => payload.downcast_ref::<&str>().copied().unwrap_or("no text").to_string(),
    }
}

// TO01
#[test]
fn it_is_pending_inside_its_scope_and_only_there() {
    everywhere(|| {
        let limit = Timeout::new(SECOND);
        assert!(!limit.is_pending());
        assert_eq!(limit.run(|| limit.is_pending()), Ok(true));
        assert!(!limit.is_pending());
        assert_eq!(limit.run(|| sleep(SECOND * 2)), Err(Elapsed));
        assert!(!limit.is_pending());
        assert!(catch_unwind(AssertUnwindSafe(|| limit.run(|| panic!("expected")))).is_err());
        assert!(!limit.is_pending());
    });
}

// TO11
#[test]
fn when_the_outer_one_expires_the_inner_one_is_still_pending() {
    everywhere(|| {
        let (outer, inner) = (Timeout::new(SECOND), Timeout::new(SECOND * 2));
        let seen = outer.run(|| {
            inner.run(|| {
                struct Look<'a>(&'a Timeout, &'a Timeout);
                impl Drop for Look<'_> {
                    fn drop(&mut self) {
                        assert!(!self.0.is_pending() && self.1.is_pending());
                    }
                }
                let _look = Look(&outer, &inner);
                sleep(SECOND * 3)
            })
        });
        assert_eq!(seen, Err(Elapsed));
        assert!(!inner.is_pending());
    });
}

// TO12
#[test]
fn when_the_inner_one_expires_the_outer_one_is_still_pending() {
    everywhere(|| {
        let (outer, inner) = (Timeout::new(SECOND * 2), Timeout::new(SECOND));
        let seen = outer.run(|| {
            assert_eq!(inner.run(|| sleep(SECOND * 3)), Err(Elapsed));
            (outer.is_pending(), inner.is_pending())
        });
        assert_eq!(seen, Ok((true, false)));
        assert!(!outer.is_pending());
    });
}

// TO16
#[test]
fn it_starts_and_expires_again_and_again() {
    everywhere(|| {
        let limit = Timeout::new(SECOND);
        for _ in 0..3 {
            limit.start();
            assert_eq!(limit.run(|| sleep(SECOND * 2)), Err(Elapsed));
        }
    });
}

// TO16: what comes before the scope counts.
#[test]
fn a_scope_takes_over_the_clock_that_runs() {
    everywhere(|| {
        let limit = Timeout::new(SECOND);
        limit.start();
        sleep(SECOND / 2);
        assert_eq!(limit.run(|| sleep(SECOND * 3 / 4)), Err(Elapsed));
        limit.start();
        sleep(SECOND / 2);
        assert_eq!(limit.run(|| sleep(SECOND / 4)), Ok(()));
        sleep(SECOND * 2);
    });
}

// TO16, TO31: the scope was entered after the time had run out, but before the greenlet met that.
#[test]
fn an_expiry_before_the_scope_is_met_in_it() {
    let limit = Timeout::new(Duration::ZERO);
    limit.start();
    std::thread::sleep(Duration::from_millis(1));
    assert_eq!(limit.run(|| sleep(SECOND * 60)), Err(Elapsed));
    limit.restart();
    shield(|| sleep(Duration::from_millis(1))); // it expires in here, and waits for the next park
    assert!(!limit.is_pending());
    assert_eq!(limit.run(|| sleep(SECOND * 60)), Err(Elapsed));
}

#[test]
fn a_misuse_is_placed_at_the_line_of_the_caller() {
    thread_local! {
        static PLACE: Cell<u32> = const { Cell::new(0) };
    }
    let others = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        PLACE.set(info.location().filter(|place| place.file() == file!()).map_or(0, |place| place.line()));
        others(info);
    }));
    let limit = Rc::new(Timeout::new(SECOND));
    limit.start();
    let (line, _) = (line!(), panic_text(|| limit.start()));
    assert_eq!(PLACE.get(), line);
    let line = line!() + 1;
    let other = spawn(move || limit.run(|| ()));
    assert!(other.join().is_err());
    assert_eq!(PLACE.get(), line);
}

// TO24
#[test]
fn a_pending_one_is_not_started_again() {
    everywhere(|| {
        let limit = Timeout::new(SECOND);
        limit.start();
        assert!(panic_text(|| limit.start()).contains("pending already"));
        assert!(limit.is_pending());
        assert!(limit.run(|| panic_text(|| limit.start())).unwrap().contains("restart()"));
    });
}

// TO30: cancelled, it can be started again. Nothing is "closed": what is not needed is dropped.
#[test]
fn a_cancelled_one_does_not_expire_and_starts_again() {
    everywhere(|| {
        let limit = Timeout::new(SECOND);
        limit.start();
        limit.cancel();
        limit.cancel();
        assert!(!limit.is_pending());
        sleep(SECOND * 2);
        let seen = limit.run(|| {
            limit.cancel();
            sleep(SECOND * 2);
            limit.start();
            sleep(SECOND / 2);
            Flag::new().raise();
            sleep(SECOND);
        });
        assert_eq!(seen, Err(Elapsed));
    });
}

// TO30
#[test]
fn dropping_one_stops_its_clock() {
    everywhere(|| {
        let limit = Timeout::new(SECOND);
        limit.start();
        drop(limit);
        sleep(SECOND * 2);
    });
}

// TO29
#[test]
fn restart_starts_what_is_idle_and_begins_anew_what_runs() {
    everywhere(|| {
        let limit = Timeout::new(SECOND);
        limit.restart();
        assert!(limit.is_pending());
        let seen = limit.run(|| {
            for _ in 0..10 {
                sleep(SECOND / 2);
                limit.restart();
            }
        });
        assert_eq!(seen, Ok(()));
        assert!(!limit.is_pending());
    });
}

// TO29: a watchdog.
#[test]
fn another_greenlet_restarts_and_cancels_the_clock_of_a_scope() {
    everywhere(|| {
        let limit = Rc::new(Timeout::new(SECOND));
        let feeder = spawn({
            let limit = limit.clone();
            move || {
                for _ in 0..4 {
                    sleep(SECOND / 2);
                    limit.restart();
                }
            }
        });
        let fed = Flag::new();
        let seen = limit.run(|| {
            sleep(SECOND * 2 + SECOND / 2);
            fed.raise();
            sleep(SECOND * 2)
        });
        assert_eq!(seen, Err(Elapsed));
        assert!(fed.is_up());
        feeder.join().unwrap();

        let canceller = spawn({
            let limit = limit.clone();
            move || limit.cancel()
        });
        assert_eq!(limit.run(|| sleep(SECOND * 2)), Ok(()));
        canceller.join().unwrap();
    });
}

// TO17, TO25: the greenlet that started it is the one that is interrupted, and a sentence says why.
#[test]
fn outside_of_a_scope_it_ends_the_greenlet_that_started_it() {
    virtual_time(|| {
        let limit = Rc::new(Timeout::new(SECOND));
        let starter = spawn({
            let limit = limit.clone();
            move || {
                limit.start();
                sleep(SECOND * 2)
            }
        });
        sleep(SECOND * 3);
        let error = starter.join().unwrap_err();
        assert!(
            error.is_panic() && error.to_string().contains("a Timeout that this greenlet has started"),
            "{error}"
        );

        // On the root, where it can be caught as any panic.
        limit.start();
        assert!(panic_text(|| sleep(SECOND * 2)).contains("put what it limits into its `run`"));
        sleep(SECOND);
    });
}

// TO25, KL08: nobody is there any more.
#[test]
fn one_whose_greenlet_has_ended_interrupts_nobody() {
    virtual_time(|| {
        let limit = Rc::new(Timeout::new(SECOND));
        let starter = spawn({
            let limit = limit.clone();
            move || limit.start()
        });
        starter.join().unwrap();
        sleep(SECOND * 2);
        assert!(!limit.is_pending());
    });
}

// TO25
#[test]
fn one_clock_does_not_limit_two_greenlets() {
    virtual_time(|| {
        let limit = Rc::new(Timeout::new(SECOND));
        let seen = limit.run(|| {
            let other = spawn({
                let limit = limit.clone();
                move || limit.run(|| ())
            });
            other.join().unwrap_err().to_string()
        });
        assert!(seen.unwrap().contains("give each a clone"));
        limit.start();
        let other = spawn({
            let limit = limit.clone();
            move || panic_text(|| assert_eq!(limit.run(|| ()), Ok(())))
        });
        assert!(other.join().unwrap().contains("in use by greenlet"));
        assert!(limit.is_pending(), "it was not touched");
    });
}

// TO07, TO31
#[test]
fn never_is_never_pending() {
    let limit = Timeout::never();
    limit.start();
    limit.start();
    assert!(!limit.is_pending());
    assert_eq!(limit.run(|| limit.is_pending()), Ok(false));
    assert_eq!(limit.limit(), None);
}

// KL22: a kill goes through, and the clock stops.
#[test]
fn a_kill_inside_the_scope_stops_the_clock() {
    virtual_time(|| {
        let limit = Rc::new(Timeout::new(SECOND));
        let greenlet = spawn({
            let limit = limit.clone();
            move || {
                let _ = limit.run(|| {
                    current().kill_nowait();
                    sleep(SECOND * 2)
                });
            }
        });
        assert!(greenlet.join().unwrap_err().is_killed());
        assert!(!limit.is_pending());
        assert_eq!(limit.run(|| 7), Ok(7));
    });
}
