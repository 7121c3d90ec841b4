//! Greenlets that rest are greenlets as any other.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use super::{Round, follow};
use crate::hub::{Hub, Reason, Wake};
use crate::park::{Deadline, Woken};
use crate::pool::Pool;
use crate::testing::{elapsed, virtual_time, wait_all_parked};
use crate::{Greenlet, LoopExit, Outcome, current, sleep, spawn, timeout, wait_all};

const SECOND: Duration = Duration::from_secs(1);

fn nap(time: Duration) -> Round {
    Round::Rest(Reason::plain(&"its next round"), Deadline::after(Some(time)))
}

/// Rests until it is killed.
fn for_ever() -> Round {
    Round::Rest(Reason::plain(&"its next round"), Deadline::NEVER)
}

/// Gives its value after `rounds` rounds, a second of rest before each but the first.
fn resting(value: u32, rounds: u32) -> Greenlet<u32> {
    spawn(move || {
        let mut left = rounds;
        follow(move |woken| {
            assert_eq!(woken, (left < rounds).then_some(Woken::TimedOut));
            left -= 1;
            if left == 0 { Round::Over } else { nap(SECOND) }
        });
        value
    })
}

/// Says that it was dropped.
struct Dropped(Rc<Cell<bool>>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.set(true);
    }
}

#[test]
fn the_value_is_that_of_its_function_and_comes_after_the_last_round() {
    virtual_time(|| {
        let greenlet = resting(7, 4);
        assert!(!greenlet.wait_timeout(SECOND * 5 / 2));
        assert!(greenlet.wait_timeout(SECOND));
        assert_eq!(greenlet.join().unwrap(), 7);
    });
}

/// What ended each rest, and when.
type Ends = Rc<RefCell<Vec<(Woken, u64)>>>;

/// Rests for these times, in seconds, one after the other, and gives what ended each and when. Every rest but the last is ended by the
/// caller.
fn rests(seconds: &'static [u64]) -> (Greenlet<()>, Ends) {
    let ends = Ends::default();
    let greenlet = spawn({
        let (ends, mut times) = (ends.clone(), seconds.iter());
        move || {
            follow(move |woken| {
                ends.borrow_mut().extend(woken.map(|woken| (woken, elapsed().as_secs())));
                times.next().map_or(Round::Over, |&time| nap(SECOND * time as u32))
            });
        }
    });
    wait_all_parked();
    (greenlet, ends)
}

#[test]
fn a_wake_up_that_waits_for_a_stack_is_the_only_one_and_ends_no_later_park() {
    virtual_time(|| {
        let ended = Rc::new(Cell::new(None));
        let seen = ended.clone();
        let greenlet = spawn(move || {
            follow(move |woken| {
                if woken.is_none() {
                    return for_ever();
                }
                let before = elapsed();
                sleep(SECOND);
                seen.set(woken.zip(Some((elapsed() - before).as_secs())));
                Round::Over
            });
        });
        wait_all_parked();
        let (hub, handle) = (Hub::current(), greenlet.handle());
        hub.stacks.is_dry.set(true);
        assert!(hub.wake(handle.task(), Wake::Notified));
        wait_all_parked();
        hub.stacks.is_dry.set(false);
        assert!(!hub.wake(handle.task(), Wake::TimedOut));
        greenlet.join().unwrap();
        assert_eq!(ended.get(), Some((Woken::Notified, 1)));
    });
}

#[test]
fn a_kill_of_one_that_waits_for_a_stack_is_met_where_it_waits_next() {
    virtual_time(|| {
        let greenlet = spawn(|| {
            follow(|woken| match woken {
                None => for_ever(),
                Some(_) => {
                    sleep(SECOND);
                    unreachable!("it is killed here")
                }
            });
        });
        wait_all_parked();
        let (hub, began) = (Hub::current(), elapsed());
        hub.stacks.is_dry.set(true);
        assert!(hub.wake(greenlet.handle().task(), Wake::Notified));
        wait_all_parked();
        greenlet.kill_nowait();
        wait_all_parked();
        hub.stacks.is_dry.set(false);
        assert!(greenlet.join().unwrap_err().is_killed());
        assert!(elapsed() - began < SECOND);
    });
}

fn wake(greenlet: &Greenlet<()>) {
    assert!(Hub::current().wake(greenlet.handle().task(), Wake::Notified));
    wait_all_parked();
}

#[test]
fn a_rest_ends_in_its_own_time_whatever_the_one_before_would_have_had() {
    virtual_time(|| {
        for (seconds, end) in [(&[5, 10], 12), (&[10, 5], 7), (&[5, 5], 7), (&[1000, 1], 3)] {
            let began = elapsed().as_secs();
            let (greenlet, ends) = rests(seconds);
            sleep(2 * SECOND);
            wake(&greenlet);
            greenlet.join().unwrap();
            assert_eq!(
                ends.take(),
                [(Woken::Notified, began + 2), (Woken::TimedOut, began + end)],
                "{seconds:?}"
            );
        }
    });
}

#[test]
fn what_is_left_of_a_rest_wakes_nobody_later() {
    virtual_time(|| {
        let (greenlet, ends) = rests(&[5]);
        wake(&greenlet);
        assert_eq!((greenlet.is_finished(), ends.take()), (true, vec![(Woken::Notified, 0)]));
        let slept = spawn(|| {
            let mut rest = Some(nap(SECOND));
            follow(move |_| {
                rest.take().unwrap_or_else(|| {
                    sleep(5 * SECOND); // in a round, the next rest's time over
                    Round::Over
                })
            });
        });
        slept.join().unwrap();
        assert_eq!(elapsed(), 6 * SECOND);
        wait_all();
        assert_eq!(elapsed(), 6 * SECOND, "an ended greenlet keeps no time");
    });
}

#[test]
fn rounds_run_on_one_stack_whichever_is_free() {
    virtual_time(|| {
        let addresses = Rc::new(RefCell::new(Vec::new()));
        for n in 0..100 {
            let addresses = addresses.clone();
            spawn(move || {
                let mut first = true;
                follow(move |_| {
                    let here = 0_u8;
                    if first {
                        first = false;
                        return nap(SECOND + Duration::from_millis(n));
                    }
                    addresses.borrow_mut().push(std::ptr::from_ref(&here).addr());
                    Round::Over
                });
            });
        }
        wait_all();
        let addresses = addresses.take();
        assert_eq!(addresses.len(), 100);
        assert!(addresses.iter().all(|&address| address == addresses[0]), "they woke one after the other");
    });
}

#[test]
fn it_keeps_its_identity() {
    virtual_time(|| {
        let ids = Rc::new(RefCell::new(Vec::new()));
        let greenlet = spawn({
            let ids = ids.clone();
            move || {
                ids.borrow_mut().push(current().id());
                let mut left = 3;
                follow(move |_| {
                    ids.borrow_mut().push(current().id());
                    sleep(SECOND); // a round may park as it likes
                    left -= 1;
                    if left == 0 { Round::Over } else { nap(SECOND) }
                });
            }
        });
        let id = greenlet.id();
        greenlet.join().unwrap();
        assert_eq!(ids.take(), [id; 4]);
    });
}

// KL16, KL20: what it owns is dropped, on a stack of its own, where destructors may block.
#[test]
fn it_is_killed_while_it_rests() {
    virtual_time(|| {
        let dropped = Rc::new(Cell::new(false));
        let greenlet = spawn({
            let owned = Dropped(dropped.clone());
            move || {
                follow(move |_| {
                    let _ = &owned;
                    for_ever()
                })
            }
        });
        wait_all_parked();
        greenlet.kill();
        assert!(dropped.get());
        assert!(greenlet.join().unwrap_err().is_killed());
    });
}

// KL04: the kill comes between the decision to rest and the rest.
#[test]
fn a_pending_kill_is_thrown_where_it_would_rest() {
    let greenlet = spawn(|| {
        follow(|woken| {
            assert_eq!(woken, None, "it has rested");
            current().kill_nowait();
            for_ever()
        })
    });
    assert!(greenlet.join().unwrap_err().is_killed());
}

#[test]
fn a_panic_in_a_round_is_the_outcome() {
    virtual_time(|| {
        let greenlet = spawn(|| {
            let mut first = true;
            follow(move |_| {
                assert!(std::mem::replace(&mut first, false), "the second round");
                nap(SECOND)
            })
        });
        greenlet.wait();
        assert_eq!(greenlet.outcome(), Some(Outcome::Panicked));
        assert!(greenlet.join().unwrap_err().to_string().contains("the second round"));
    });
}

#[test]
fn a_function_that_fails_has_no_rounds() {
    let dropped = Rc::new(Cell::new(false));
    let greenlet = spawn({
        let owned = Dropped(dropped.clone());
        move || {
            follow(move |_| {
                let _ = &owned;
                panic!("a round has begun")
            });
            panic!("expected");
        }
    });
    assert!(greenlet.join().unwrap_err().to_string().contains("expected"));
    assert!(dropped.get());
}

#[test]
fn it_keeps_its_slot_and_its_links() {
    virtual_time(|| {
        let (pool, told) = (Pool::new(1), Rc::new(Cell::new(0)));
        let greenlet = pool.spawn(|| {
            let mut left = 3;
            follow(move |_| {
                left -= 1;
                if left == 0 { Round::Over } else { nap(SECOND) }
            });
        });
        greenlet.link({
            let told = told.clone();
            move |_, outcome| told.set(told.get() + usize::from(outcome == Outcome::Value))
        });
        wait_all_parked();
        assert!(pool.is_full());
        assert_eq!(told.get(), 0);
        assert!(timeout(SECOND, || pool.wait_available(None)).is_err());
        pool.join();
        assert!(!pool.is_full());
        wait_all();
        assert_eq!(told.get(), 1);
    });
}

// HB01: one that nobody can wake stands in the report.
#[test]
fn a_deadlock_names_it() {
    let greenlet = spawn(|| follow(|_| for_ever()));
    let payload = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| greenlet.wait())).unwrap_err();
    let report = LoopExit::from_panic(&*payload).expect("another panic").to_string();
    assert!(report.contains("waits for its next round") && report.contains("rounds/tests.rs"), "{report}");
    greenlet.kill();
}
