//! A `Timeout` as an object: started, cancelled and started again by hand.

mod common;

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use common::Flag;
use greenloop::testing::{for_each_seed, virtual_time};
use greenloop::{Elapsed, Handle, Timeout, current, shield, sleep, spawn, yield_now};

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

// TO16: the clock has run out, and that has been met, so the scope begins from the start.
#[test]
fn an_expiry_that_was_met_before_the_scope_is_not_met_in_it_again() {
    everywhere(|| {
        let limit = Timeout::new(SECOND);
        limit.start();
        assert!(panic_text(|| sleep(SECOND * 2)).contains("a Timeout that this greenlet has started"));
        assert!(!limit.is_pending());
        assert_eq!(limit.run(|| sleep(SECOND / 2)), Ok(()));
        assert_eq!(limit.run(|| sleep(SECOND * 2)), Err(Elapsed));
    });
}

// TO16, TO25
#[test]
fn one_that_has_run_out_for_a_greenlet_that_has_ended_is_free_for_another() {
    everywhere(|| {
        for waits in [true, false] {
            let limit = Rc::new(Timeout::new(SECOND));
            let starter = spawn({
                let limit = limit.clone();
                move || {
                    limit.start();
                    if waits {
                        sleep(SECOND * 2);
                    }
                }
            });
            starter.wait();
            sleep(SECOND * 2);
            assert!(!limit.is_pending());
            assert_eq!(limit.run(|| sleep(SECOND / 2)), Ok(()));
        }
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

/// What another greenlet may do with a `Timeout`.
const MEDDLING: [fn(&Timeout); 2] = [Timeout::restart, Timeout::cancel];

// TO25, TO29, TO30: the greenlet has left its wait when its clock is stopped, and has nothing else to say.
#[test]
fn who_stops_the_clock_in_the_turn_in_which_it_runs_out_comes_too_late() {
    everywhere(|| {
        for meddle in MEDDLING {
            let limit = Rc::new(Timeout::new(SECOND));
            let meddler = spawn({
                let limit = limit.clone();
                move || {
                    sleep(SECOND);
                    assert!(!limit.is_pending());
                    meddle(&limit)
                }
            });
            yield_now();
            assert_eq!(limit.run(|| sleep(SECOND * 2)), Err(Elapsed));
            assert!(meddler.is_finished() && !limit.is_pending());
            assert_eq!(limit.run(|| sleep(SECOND / 2)), Ok(()), "nothing is left of it");
        }
    });
}

// TO25, TO29, TO30: the same outside of a scope; here the object can be dropped, too.
#[test]
fn who_stops_a_clock_without_a_scope_as_it_runs_out_comes_too_late() {
    let meddling: [fn(Rc<Timeout>); 3] = [|limit| limit.restart(), |limit| limit.cancel(), drop];
    virtual_time(|| {
        for meddle in meddling {
            let limit = Rc::new(Timeout::new(SECOND));
            let shared = limit.clone();
            let meddler = spawn(move || {
                sleep(SECOND);
                meddle(limit)
            });
            yield_now();
            shared.start();
            drop(shared); // the last one is with the meddler
            assert!(panic_text(|| sleep(SECOND * 2)).contains("a Timeout that this greenlet has started"));
            meddler.join().unwrap();
            sleep(SECOND * 2);
        }
    });
}

// TO25, KL22: the kill is what is thrown, and nothing is left of the expiry.
#[test]
fn a_kill_in_the_turn_of_an_expiry_that_is_cancelled_goes_first() {
    virtual_time(|| {
        for meddle in MEDDLING {
            let limit = Rc::new(Timeout::new(SECOND));
            let victim = Rc::new(Cell::new(None::<Handle>));
            let killer = spawn({
                let (limit, victim) = (limit.clone(), victim.clone());
                move || {
                    sleep(SECOND);
                    meddle(&limit);
                    victim.take().unwrap().kill_nowait();
                }
            });
            yield_now();
            let greenlet = spawn({
                let limit = limit.clone();
                move || {
                    struct Look(Rc<Timeout>);
                    impl Drop for Look {
                        fn drop(&mut self) {
                            assert!(!self.0.is_pending());
                        }
                    }
                    let _look = Look(limit.clone());
                    let _ = limit.run(|| sleep(SECOND * 2));
                }
            });
            victim.set(Some(greenlet.handle()));
            assert!(greenlet.join().unwrap_err().is_killed());
            killer.join().unwrap();
            assert!(!limit.is_pending());
        }
    });
}

// TO29, TO30: of two that run out in one turn the one that is cancelled is forgotten, as the other says why.
#[test]
fn of_two_that_have_run_out_one_can_still_be_cancelled() {
    virtual_time(|| {
        let (outer, inner) = (Rc::new(Timeout::new(SECOND)), Rc::new(Timeout::new(SECOND)));
        let canceller = spawn({
            let outer = outer.clone();
            move || {
                sleep(SECOND);
                outer.cancel()
            }
        });
        yield_now();
        let seen = outer.run(|| {
            assert_eq!(inner.run(|| sleep(SECOND * 2)), Err(Elapsed));
            sleep(SECOND * 2);
        });
        assert_eq!(seen, Ok(()));
        canceller.join().unwrap();
    });
}

// TO29: a greenlet that stops its own clock in a shield has met nothing yet.
#[test]
fn who_stops_its_own_clock_after_it_has_run_out_is_in_time() {
    everywhere(|| {
        for meddle in MEDDLING {
            let limit = Timeout::new(SECOND);
            let seen = limit.run(|| {
                shield(|| sleep(SECOND * 2));
                meddle(&limit);
                sleep(SECOND / 2)
            });
            assert_eq!(seen, Ok(()));
        }
    });
}

// TO29: another stops the clock of one that is shielded, which goes on waiting.
#[test]
fn a_clock_that_has_run_out_under_a_shield_can_be_stopped_by_another() {
    everywhere(|| {
        for meddle in MEDDLING {
            let limit = Rc::new(Timeout::new(SECOND));
            let meddler = spawn({
                let limit = limit.clone();
                move || {
                    sleep(SECOND * 3 / 2);
                    meddle(&limit)
                }
            });
            let seen = limit.run(|| {
                shield(|| sleep(SECOND * 2));
                sleep(SECOND / 4)
            });
            assert_eq!(seen, Ok(()));
            meddler.join().unwrap();
        }
    });
}

// TO29: whoever comes first in the turn, the scope ends in one of two ways, and nobody panics.
#[test]
fn a_watchdog_that_is_fed_as_it_bites_bites_or_does_not() {
    let bites = Cell::new(0);
    for_each_seed(200, |_| {
        let limit = Rc::new(Timeout::new(SECOND));
        let feeders: Vec<_> = (0..3)
            .map(|n| {
                let limit = limit.clone();
                spawn(move || {
                    sleep(SECOND);
                    MEDDLING[n % 2](&limit)
                })
            })
            .collect();
        yield_now();
        if limit.run(|| sleep(SECOND * 3 / 2)).is_err() {
            bites.set(bites.get() + 1);
        }
        assert!(!limit.is_pending());
        for feeder in feeders {
            feeder.join().unwrap();
        }
        limit.cancel();
    });
    assert!(bites.get() > 0);
}

// TO16: there is one clock, which the outer scope has again after the inner one.
#[test]
fn a_scope_in_a_scope_of_the_same_object_leaves_the_clock_running() {
    everywhere(|| {
        let limit = Timeout::new(SECOND);
        let inner_done = Flag::new();
        let seen = limit.run(|| {
            assert_eq!(limit.run(|| sleep(SECOND / 2)), Ok(()));
            inner_done.raise();
            assert!(limit.is_pending());
            sleep(SECOND * 3 / 4)
        });
        assert_eq!((seen, inner_done.is_up()), (Err(Elapsed), true));

        // It has come for both.
        let inner_over = Flag::new();
        let seen = limit.run(|| {
            assert_eq!(limit.run(|| sleep(SECOND * 2)), Err(Elapsed));
            inner_over.raise();
            sleep(SECOND / 10)
        });
        assert_eq!((seen, inner_over.is_up()), (Err(Elapsed), true));

        // Restarted or cancelled inside, it is so for both.
        let seen = limit.run(|| {
            sleep(SECOND / 2);
            assert_eq!(limit.run(|| limit.restart()), Ok(()));
            sleep(SECOND * 3 / 4)
        });
        assert_eq!(seen, Ok(()));
        let seen = limit.run(|| {
            assert_eq!(limit.run(|| limit.cancel()), Ok(()));
            sleep(SECOND * 2)
        });
        assert_eq!(seen, Ok(()));

        // It did not run for the outer one.
        let seen = limit.run(|| {
            limit.cancel();
            assert_eq!(limit.run(|| sleep(SECOND / 2)), Ok(()));
            assert!(!limit.is_pending());
            sleep(SECOND * 2)
        });
        assert_eq!(seen, Ok(()));
        assert!(!limit.is_pending());
    });
}
