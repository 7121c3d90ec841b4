//! Scopes: greenlets that borrow, and what ends a scope.

mod common;

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::{Duration, Instant};

use common::{Flag, LONG, Log, OnDrop, PROMPT, SHORT, ignore, is_child, on_a_thread, run_as_child};
use greenloop::event::{AsyncResult, Event};
use greenloop::lock::Semaphore;
use greenloop::queue::Queue;
use greenloop::testing::for_each_seed;
use greenloop::{
    Builder, Elapsed, LoopExit, Outcome, Scope, current, join_all, on_spawn, scope, shield, sleep, spawn,
    timeout, wait_all, yield_now,
};

fn caught<T>(f: impl FnOnce() -> T) -> Box<dyn std::any::Any + Send> {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(_) => panic!("it should have unwound"),
        Err(payload) => payload,
    }
}

// GL38
#[test]
fn greenlets_of_a_scope_borrow_and_give_values() {
    let words = [String::from("a"), String::from("bc")];
    let longest: &str = scope(|s| {
        let jobs: Vec<_> = words
            .iter()
            .map(|word| {
                s.spawn(move || {
                    sleep(SHORT);
                    word.as_str()
                })
            })
            .collect();
        let words = jobs.into_iter().map(|job| job.join().unwrap());
        words.max_by_key(|word| word.len()).unwrap()
    });
    assert_eq!(longest, "bc");
}

#[test]
fn what_is_borrowed_mutably_is_changed_when_the_scope_ends() {
    let (mut list, mut count) = (vec![1], 0);
    scope(|s| {
        s.spawn(|| {
            yield_now();
            list.push(2);
        });
        s.spawn(|| count += 1);
    });
    list.push(3);
    assert_eq!((list, count), (vec![1, 2, 3], 1));
}

// GL38
#[test]
fn a_scope_waits_for_greenlets_that_nobody_joins() {
    let ended = Cell::new(0);
    scope(|s| {
        for _ in 0..10 {
            s.spawn(|| {
                let _last = OnDrop(|| ended.set(ended.get() + 1));
                sleep(SHORT);
            });
        }
        assert_eq!(ended.get(), 0);
        assert_eq!(format!("{s:?}"), "Scope(10 running)");
    });
    assert_eq!(ended.get(), 10);
}

#[test]
fn a_scope_without_greenlets_does_not_switch() {
    let ran = Flag::new();
    drop(spawn({
        let ran = ran.clone();
        move || ran.raise()
    }));
    assert_eq!(scope(|_| 7), 7);
    assert!(!ran.is_up());
}

fn count_down<'scope>(s: &'scope Scope<'scope, '_>, n: u32, ended: &'scope Cell<u32>) {
    s.spawn(move || {
        yield_now();
        if n > 0 {
            count_down(s, n - 1, ended);
        }
        ended.set(ended.get() + 1);
    });
}

#[test]
fn a_greenlet_of_a_scope_spawns_others_after_the_body_has_returned() {
    let ended = Cell::new(0);
    scope(|s| count_down(s, 100, &ended));
    assert_eq!(ended.get(), 101);
}

#[test]
fn scopes_nest() {
    let log = Log::new();
    scope(|outer| {
        outer.spawn(|| {
            let inside = String::from("inner");
            scope(|inner| {
                inner.spawn(|| {
                    sleep(SHORT);
                    log.add(inside.as_str().to_string());
                });
            });
            log.add("after the inner scope".into());
        });
        scope(|inner| {
            inner.spawn(|| log.add("beside".into()));
        });
    });
    assert_eq!(log.take(), ["beside", "inner", "after the inner scope"]);
}

#[test]
fn many_scopes_are_open_at_the_same_time() {
    let total = Rc::new(Cell::new(0_u64));
    join_all((0..100).map(|n| {
        let total = total.clone();
        spawn(move || {
            let mine = Cell::new(0);
            scope(|s| {
                for _ in 0..20 {
                    s.spawn(|| {
                        (0..n % 7).for_each(|_| yield_now());
                        mine.set(mine.get() + 1);
                    });
                }
            });
            total.set(total.get() + mine.get());
        })
    }));
    assert_eq!(total.get(), 2_000);
}

#[test]
fn a_scope_spawns_any_number_of_greenlets_one_after_the_other() {
    let mut sum = 0;
    scope(|s| {
        for n in 0..10_000_u64 {
            sum += s.spawn(move || n).join().unwrap();
        }
    });
    assert_eq!(sum, 49_995_000);
}

#[test]
fn a_scoped_greenlet_has_a_name_a_size_and_an_error() {
    scope(|s| {
        let named =
            Builder::new().name("borrower").stack_size(64 * 1024).spawn_scoped(s, || current().name());
        assert_eq!(named.unwrap().join().unwrap().as_deref(), Some("borrower"));
        let late = Builder::new().delay(SHORT).spawn_scoped(s, || 1).unwrap();
        let error = Builder::new().stack_size(usize::MAX).spawn_scoped(s, || 1).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
        assert_eq!(late.join().unwrap(), 1);
    });
}

#[test]
fn a_handle_outlives_its_scope() {
    let handle = scope(|s| s.spawn(yield_now).handle());
    assert_eq!(handle.outcome(), Some(Outcome::Value));
    assert!(handle.is_finished());
}

#[test]
fn a_value_that_nobody_asks_for_is_dropped_before_the_scope_ends() {
    let dropped = Cell::new(0);
    let count = || OnDrop(|| dropped.set(dropped.get() + 1));
    scope(|s| {
        s.spawn(count);
        let kept = s.spawn(count);
        kept.wait();
        assert_eq!(dropped.get(), 1);
    });
    assert_eq!(dropped.get(), 2);
}

// GL39, otherwise than in gevent: the scope passes on what nobody has asked for, as the standard library's does.
#[test]
fn a_panic_that_nobody_has_joined_is_thrown_when_all_have_ended_the_first_in_time() {
    let ended = Flag::new();
    let payload = caught(|| {
        scope(|s| {
            let slow = s.spawn(|| {
                sleep(2 * SHORT);
                panic!("expected: the second")
            });
            let _ = &slow;
            s.spawn(|| {
                sleep(SHORT);
                std::panic::panic_any(7_u8)
            });
            s.spawn(|| {
                sleep(5 * SHORT);
                ended.raise();
            });
        })
    });
    assert_eq!(*payload.downcast::<u8>().unwrap(), 7);
    assert!(ended.is_up());
}

// GL38
#[test]
fn a_panic_that_was_joined_is_not_thrown_again() {
    scope(|s| {
        let bad = s.spawn(|| -> u32 { std::panic::panic_any(8_u8) });
        let error = bad.join().unwrap_err();
        assert_eq!(*error.try_into_panic().unwrap().downcast::<u8>().unwrap(), 8);
    });
}

#[test]
fn a_panic_whose_owner_was_forgotten_is_thrown_at_the_end() {
    let payload = caught(|| scope(|s| std::mem::forget(s.spawn(|| std::panic::panic_any(9_u8)))));
    assert_eq!(*payload.downcast::<u8>().unwrap(), 9);
}

#[test]
fn a_panic_of_a_value_that_nobody_asked_for_is_thrown_at_the_end() {
    let payload = caught(|| {
        scope(|s| drop(s.spawn(|| OnDrop(|| std::panic::panic_any(10_u8)))));
    });
    assert_eq!(*payload.downcast::<u8>().unwrap(), 10);
}

// GL41
#[test]
fn a_body_that_panics_kills_what_has_not_started() {
    let ran = Flag::new();
    let mut handle = None;
    let payload = caught(|| {
        scope(|s| {
            let g = s.spawn(|| ran.raise());
            handle = Some(g.handle());
            std::panic::panic_any(11_u8)
        })
    });
    assert_eq!(*payload.downcast::<u8>().unwrap(), 11);
    assert_eq!(handle.unwrap().outcome(), Some(Outcome::Killed));
    assert!(!ran.is_up());
}

// GL42: also while the body waits for one of them. Destructors may use what is borrowed.
#[test]
fn a_body_that_panics_kills_what_runs_and_waits_for_it() {
    let log = Log::new();
    let payload = caught(|| {
        let borrowed = String::from("valid");
        let _frame = OnDrop(|| log.add("frame".to_string()));
        scope(|s| {
            for _ in 0..2 {
                s.spawn(|| {
                    let _last = OnDrop(|| log.add(borrowed.clone()));
                    shield(|| sleep(SHORT));
                    sleep(LONG);
                });
            }
            yield_now();
            s.spawn(|| panic!("expected: not the first")).join().unwrap();
        })
    });
    assert!(payload.downcast::<String>().unwrap().contains("the greenlet panicked"));
    assert_eq!(log.take(), ["valid", "valid", "frame"]);
}

/// Runs a scope in a greenlet, parked in `park` with a child that sleeps, then does `disturb` to it; gives the log.
fn disturbed(
    in_body: bool,
    disturb: impl FnOnce(&greenloop::Greenlet<()>),
) -> (Vec<&'static str>, Option<Outcome>) {
    let log = Log::new();
    let g = spawn({
        let log = log.clone();
        move || {
            let _frame = OnDrop(|| log.add("frame"));
            scope(|s| {
                let child = s.spawn(|| {
                    let _last = OnDrop(|| log.add("child"));
                    // It cannot be hurried.
                    shield(|| sleep(SHORT));
                    sleep(LONG);
                });
                if in_body {
                    let _ = child.join();
                    log.add("body went on");
                }
            });
            log.add("went on");
        }
    });
    yield_now();
    yield_now();
    disturb(&g);
    g.wait();
    (log.take(), g.outcome())
}

// GL42
#[test]
fn a_kill_of_the_parent_kills_the_greenlets_of_its_scope_first() {
    for in_body in [true, false] {
        let (log, outcome) = disturbed(in_body, |g| g.kill());
        assert_eq!(log, ["child", "frame"]);
        assert_eq!(outcome, Some(Outcome::Killed));
    }
}

#[test]
fn a_second_kill_does_not_hurry_a_scope_that_is_ending() {
    for in_body in [true, false] {
        let (log, outcome) = disturbed(in_body, |g| {
            g.kill_nowait();
            yield_now();
            yield_now();
            assert!(!g.is_finished());
            g.kill();
        });
        assert_eq!(log, ["child", "frame"]);
        assert_eq!(outcome, Some(Outcome::Killed));
    }
}

#[test]
fn a_kill_before_the_first_turn_of_the_parent_leaves_no_scope() {
    let ran = Flag::new();
    let g = spawn({
        let ran = ran.clone();
        move || {
            scope(|s| {
                s.spawn(|| ran.raise());
            })
        }
    });
    g.kill();
    wait_all();
    assert!(!ran.is_up());
}

// GL40: the wait at its end is what is interrupted, or the body.
#[test]
fn an_expired_timeout_around_a_scope_kills_its_greenlets_first() {
    for in_body in [true, false] {
        let log = Log::new();
        let result = timeout(SHORT, || {
            let _frame = OnDrop(|| log.add("frame"));
            scope(|s| {
                s.spawn(|| {
                    let _last = OnDrop(|| log.add("child"));
                    shield(|| sleep(4 * SHORT));
                    sleep(LONG);
                });
                if in_body {
                    sleep(LONG);
                }
            });
        });
        assert_eq!(result, Err(Elapsed));
        assert_eq!(log.take(), ["child", "frame"]);
    }
}

#[test]
fn a_timeout_inside_a_scope_ends_only_what_it_is_about() {
    let ended = Flag::new();
    scope(|s| {
        let slow = s.spawn(|| {
            sleep(4 * SHORT);
            ended.raise();
        });
        assert!(timeout(SHORT, || slow.wait()).is_err());
        assert!(!ended.is_up());
    });
    assert!(ended.is_up());
}

// An outer expiry that comes while the scope ends for another reason is neither lost nor early.
#[test]
fn an_expiry_that_comes_while_a_scope_is_ending_waits_for_its_end() {
    let ended = Flag::new();
    let result = timeout(SHORT, || {
        let payload = caught(|| {
            scope(|s| {
                s.spawn(|| {
                    shield(|| sleep(4 * SHORT));
                    ended.raise();
                });
                yield_now();
                std::panic::panic_any(12_u8)
            })
        });
        assert!(payload.is::<u8>() && ended.is_up());
        sleep(LONG);
    });
    assert_eq!(result, Err(Elapsed));
}

// A kill that comes after the last child has ended waits for the next park.
#[test]
fn a_scope_that_has_been_woken_returns_in_spite_of_a_kill() {
    let returned = Flag::new();
    let go = Event::new();
    let g = spawn({
        let (returned, go) = (returned.clone(), go.clone());
        move || {
            scope(|s| {
                s.spawn(|| go.wait());
            });
            returned.raise();
            sleep(LONG);
        }
    });
    yield_now();
    yield_now();
    // The child ends, which wakes the scope; then comes the kill; then the scope has its turn.
    go.set();
    let killer = spawn({
        let g = g.handle();
        move || g.kill_nowait()
    });
    killer.wait();
    assert!(g.join().unwrap_err().is_killed());
    assert!(returned.is_up());
}

#[test]
fn a_deadlock_in_a_scope_of_the_root_kills_its_greenlets_and_goes_on() {
    for in_body in [true, false] {
        let ended = Flag::new();
        let payload = caught(|| {
            scope(|s| {
                let g = s.spawn(|| {
                    let _last = OnDrop(|| ended.raise());
                    Event::new().wait();
                });
                if in_body {
                    g.join().unwrap();
                }
            })
        });
        let exit = LoopExit::from_panic(&*payload).expect("a deadlock");
        assert!(ended.is_up());
        // The scope's own wait stands in the report with the place of the call.
        assert!(exit.report().lines().nth(1).unwrap().contains(file!()), "{exit}");
        assert!(in_body || exit.report().contains("all greenlets of its scope"), "{exit}");
        assert_eq!(spawn(|| 1).join().unwrap(), 1);
    }
}

#[test]
fn a_scope_whose_greenlet_can_never_end_aborts_with_the_report() {
    const NAME: &str = "a_scope_whose_greenlet_can_never_end_aborts_with_the_report";
    if is_child(NAME) {
        let result = catch_unwind(|| {
            scope(|s| {
                s.spawn(|| shield(|| Event::new().wait()));
            })
        });
        println!("left: {}", result.is_ok());
        return;
    }
    let output = run_as_child(NAME);
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(!output.status.success() && !out.contains("left"), "{out}{err}");
    assert!(err.contains("a scope cannot be left while greenlets borrow"), "{err}");
    let sentence = err.split("a scope cannot be left").nth(1).unwrap();
    assert!(sentence.contains("waits for event"), "{err}");
    #[cfg(unix)]
    {
        use std::os::unix::process::ExitStatusExt;
        assert_eq!(output.status.signal(), Some(6));
    }
}

#[test]
fn cancel_ends_the_greenlets_of_a_scope_and_is_no_failure() {
    let start = Instant::now();
    let (late, never) = (Flag::new(), Flag::new());
    scope(|s| {
        let parked = s.spawn(|| sleep(LONG));
        let fresh = Builder::new().delay(LONG).spawn_scoped(s, || never.raise()).unwrap();
        yield_now();
        s.cancel();
        // It does not wait.
        assert!(!parked.is_finished());
        let later = s.spawn(|| never.raise());
        assert!(parked.join().unwrap_err().is_killed());
        assert!(fresh.join().unwrap_err().is_killed());
        assert!(later.join().unwrap_err().is_killed());
        late.raise();
    });
    assert!(start.elapsed() < PROMPT && late.is_up() && !never.is_up());
}

#[test]
fn a_greenlet_cancels_its_own_scope() {
    let log = Log::new();
    scope(|s| {
        s.spawn(|| {
            let _last = OnDrop(|| log.add("other"));
            sleep(LONG);
        });
        s.spawn(|| {
            s.cancel();
            log.add("goes on until it parks");
            sleep(LONG);
            log.add("not this");
        });
    });
    assert_eq!(log.take(), ["goes on until it parks", "other"]);
}

#[test]
fn a_cancelled_greenlet_that_spawns_while_it_ends_leaves_nothing_behind() {
    let (ran, ended) = (Flag::new(), Cell::new(0));
    scope(|s| {
        s.spawn(|| {
            let _last = OnDrop(|| {
                s.spawn(|| ran.raise());
                ended.set(ended.get() + 1);
            });
            sleep(LONG);
        });
        yield_now();
        s.cancel();
    });
    assert!(!ran.is_up());
    assert_eq!(ended.get(), 1);
}

// KL04, KL17: one by one, as any greenlet.
#[test]
fn a_greenlet_of_a_scope_is_killed_as_any_other() {
    let finished = Flag::new();
    scope(|s| {
        let g = s.spawn(|| sleep(LONG));
        yield_now();
        g.kill();
        assert!(g.join().unwrap_err().is_killed());
        let stubborn = s.spawn(|| {
            let _ = catch_unwind(|| sleep(LONG));
            finished.raise();
            1
        });
        yield_now();
        stubborn.kill();
        assert_eq!(stubborn.join().unwrap(), 1);
    });
    assert!(finished.is_up());
}

// Killed at each thing that parks while it has a scope open around it.
#[test]
fn a_body_that_is_killed_in_any_primitive_ends_its_scope_first() {
    type Call = Box<dyn FnOnce()>;
    let parks: [(&str, Call); 7] = [
        ("sleep", Box::new(|| sleep(LONG))),
        (
            "yield_now",
            Box::new(|| {
                loop {
                    yield_now()
                }
            }),
        ),
        ("event", Box::new(|| Event::new().wait())),
        ("async result", Box::new(|| AsyncResult::<()>::new().get())),
        ("semaphore", Box::new(|| ignore(Semaphore::new(0).acquire_timeout(LONG)))),
        ("queue", Box::new(|| ignore(Queue::<()>::unbounded().get()))),
        ("scope", Box::new(|| scope(|s| drop(s.spawn(|| sleep(LONG)))))),
    ];
    for (what, park) in parks {
        let log = Log::new();
        let g = spawn({
            let log = log.clone();
            move || {
                let _frame = OnDrop(|| log.add("frame"));
                scope(|s| {
                    s.spawn(|| {
                        let _last = OnDrop(|| log.add("child"));
                        sleep(LONG);
                    });
                    park();
                });
            }
        });
        (0..3).for_each(|_| yield_now());
        g.kill();
        assert_eq!(log.take(), ["child", "frame"], "{what}");
        assert!(g.join().unwrap_err().is_killed(), "{what}");
    }
}

#[test]
fn the_panic_of_the_body_goes_before_that_of_a_greenlet() {
    let payload = caught(|| {
        scope(|s| {
            s.spawn(|| std::panic::panic_any(1_u8));
            yield_now();
            std::panic::panic_any(2_u8)
        })
    });
    assert_eq!(*payload.downcast::<u8>().unwrap(), 2);
}

#[test]
fn a_kill_of_the_parent_goes_before_the_panic_of_a_greenlet() {
    let g = spawn(|| {
        scope(|s| {
            s.spawn(|| panic!("expected: nobody is told but the hook"));
            s.spawn(|| sleep(LONG));
        })
    });
    yield_now();
    yield_now();
    g.kill();
    assert!(g.join().unwrap_err().is_killed());
}

#[test]
fn the_value_of_a_body_is_dropped_when_the_wait_is_ended() {
    let log = Log::new();
    let g = spawn({
        let log = log.clone();
        move || {
            let value = scope(|s| {
                s.spawn(|| {
                    let _last = OnDrop(|| log.add("child"));
                    sleep(LONG);
                });
                OnDrop(|| log.add("value"))
            });
            drop(value);
            log.add("went on");
        }
    });
    yield_now();
    yield_now();
    g.kill();
    assert_eq!(log.take(), ["child", "value"]);
}

// What the hook throws must not let the scope forget the greenlet.
#[test]
fn a_spawn_hook_that_panics_does_not_hide_a_greenlet_from_its_scope() {
    let (log, enabled) = (Log::new(), Rc::new(Cell::new(true)));
    let hook = on_spawn({
        let enabled = enabled.clone();
        move |_| {
            if enabled.get() {
                panic!("expected: a bad hook")
            }
        }
    });
    let result = catch_unwind(AssertUnwindSafe(|| {
        let _frame = OnDrop(|| log.add("frame"));
        scope(|s| {
            let spawned = catch_unwind(AssertUnwindSafe(|| {
                s.spawn(|| {
                    sleep(SHORT);
                    log.add("child");
                })
            }));
            assert!(spawned.is_err());
            enabled.set(false);
        });
    }));
    drop(hook);
    assert!(result.is_ok());
    assert_eq!(log.take(), ["child", "frame"]);
}

#[test]
fn a_scope_in_a_destructor_run_by_a_panic_refuses_greenlets_and_gives_its_value() {
    let log = Log::new();
    drop(caught(|| {
        let _last = OnDrop(|| {
            log.add(scope(|_| "a value"));
            let refused = caught(|| scope(|s| drop(s.spawn(|| ()))));
            assert!(refused.downcast::<String>().unwrap().contains("cannot spawn"));
            let error = scope(|s| Builder::new().spawn_scoped(s, || ()).map(drop)).unwrap_err();
            assert!(error.to_string().contains("cannot spawn"));
            log.add("refused");
        });
        panic!("expected: unwinds the destructor")
    }));
    assert_eq!(log.take(), ["a value", "refused"]);
}

#[test]
fn a_destructor_in_a_body_that_panics_may_spawn_in_its_scope() {
    let (ran, mut handle) = (Flag::new(), None);
    let payload = caught(|| {
        scope(|s| {
            let _last = OnDrop(|| handle = Some(s.spawn(|| ran.raise()).handle()));
            std::panic::panic_any(13_u8)
        })
    });
    assert!(payload.is::<u8>());
    assert_eq!(handle.unwrap().outcome(), Some(Outcome::Killed));
    assert!(!ran.is_up());
}

#[test]
fn a_join_in_a_destructor_run_by_a_kill_is_refused() {
    let refused = Flag::new();
    let g = spawn({
        let refused = refused.clone();
        move || {
            scope(|s| {
                let mut slow = Some(s.spawn(|| sleep(LONG)));
                let _last = OnDrop(|| {
                    let error = slow.take().unwrap().join().unwrap_err();
                    assert!(!error.is_killed() && !error.is_panic());
                    refused.raise();
                });
                sleep(LONG);
            })
        }
    });
    yield_now();
    g.kill();
    assert!(refused.is_up());
}

// Forgotten with its greenlets: nothing runs, nothing is freed that they use.
#[test]
fn a_thread_may_end_while_a_scope_is_open() {
    let ended = on_a_thread(|| {
        let ended = std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false));
        let inside = ended.clone();
        drop(spawn(move || {
            let text = String::from("borrowed");
            let _frame = OnDrop(|| inside.store(true, std::sync::atomic::Ordering::Relaxed));
            scope(|s| {
                s.spawn(|| {
                    sleep(Duration::MAX);
                    drop(text.clone());
                });
            });
        }));
        yield_now();
        yield_now();
        ended
    });
    assert!(!ended.load(std::sync::atomic::Ordering::Relaxed));
}

#[test]
fn greenlets_of_a_scope_share_cells_without_any_rc() {
    let (log, turns) = (RefCell::new(Vec::new()), Cell::new(0));
    scope(|s| {
        for name in ["a", "b"] {
            let (log, turns) = (&log, &turns);
            s.spawn(move || {
                for _ in 0..2 {
                    turns.set(turns.get() + 1);
                    log.borrow_mut().push(name);
                    yield_now();
                }
            });
        }
    });
    assert_eq!(turns.get(), 4);
    assert_eq!(*log.borrow(), ["a", "b", "a", "b"]);
}

/// Draws what happens next.
#[derive(Clone)]
struct Dice(Rc<Cell<u64>>);

impl Dice {
    fn throw(&self, sides: u64) -> u64 {
        let next =
            self.0.get().wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0.set(next);
        (next >> 33) % sides
    }

    fn moment(&self) -> Duration {
        Duration::from_micros(self.throw(400))
    }
}

/// A frame that is borrowed from: when it goes, nobody may be left who uses it.
struct Frame {
    users: Cell<u32>,
    text: String,
    left_in_use: Flag,
}

impl Frame {
    fn new(left_in_use: &Flag) -> Frame {
        Frame { users: Cell::new(0), text: "valid".repeat(10), left_in_use: left_in_use.clone() }
    }

    fn is_intact(&self) {
        assert_eq!(self.text, "valid".repeat(10));
    }
}

impl Drop for Frame {
    fn drop(&mut self) {
        if self.users.get() != 0 {
            self.left_in_use.raise();
        }
        self.text.clear();
    }
}

fn act<'scope>(s: &'scope Scope<'scope, '_>, frame: &'scope Frame, dice: &'scope Dice, depth: u32) {
    for _ in 0..dice.throw(4) {
        match dice.throw(12) {
            0 => std::panic::resume_unwind(Box::new("thrown by the dice")),
            1 if depth > 0 => disorder(dice, &frame.left_in_use, depth - 1),
            2 if depth > 0 => {
                let _ = timeout(dice.moment(), || disorder(dice, &frame.left_in_use, depth - 1));
            }
            3 => s.cancel(),
            4 | 5 if depth > 0 => {
                let child = s.spawn(move || {
                    frame.users.set(frame.users.get() + 1);
                    let _use = OnDrop(|| {
                        frame.is_intact();
                        frame.users.set(frame.users.get() - 1);
                    });
                    act(s, frame, dice, depth - 1);
                    frame.text.as_str()
                });
                match dice.throw(3) {
                    0 => drop(child),
                    1 => child.kill_nowait(),
                    _ => assert!(child.join().is_err() || frame.users.get() < 100),
                }
            }
            6 => shield(|| sleep(dice.moment())),
            7 => drop(catch_unwind(AssertUnwindSafe(|| sleep(dice.moment())))),
            8 => yield_now(),
            _ => sleep(dice.moment()),
        }
        frame.is_intact();
    }
}

fn disorder(dice: &Dice, left_in_use: &Flag, depth: u32) {
    let frame = Frame::new(left_in_use);
    scope(|s| {
        (0..3).for_each(|_| drop(s.spawn(|| act(s, &frame, dice, depth))));
        act(s, &frame, dice, depth);
    });
}

// Kills, timeouts, panics and cancellations at random, in every order.
#[test]
fn no_frame_goes_while_a_greenlet_borrows_from_it_whatever_happens() {
    let left_in_use = Flag::new();
    let ends = Log::new();
    for_each_seed(300, |_| {
        let dice = Dice(Rc::new(Cell::new(ends.len() as u64)));
        let g = spawn({
            let (dice, left_in_use) = (dice.clone(), left_in_use.clone());
            move || disorder(&dice, &left_in_use, 3)
        });
        sleep(dice.moment() * 3);
        g.kill();
        ends.add(g.outcome().unwrap());
        assert!(!left_in_use.is_up());
    });
    // The dice are such that everything occurs.
    let ends = ends.take();
    for outcome in [Outcome::Value, Outcome::Killed, Outcome::Panicked] {
        assert!(ends.contains(&outcome), "{outcome:?}");
    }
}
