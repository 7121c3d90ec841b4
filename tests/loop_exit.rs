//! The deadlock report: when it comes, what it says, and that the hub goes on.

mod common;
mod panic_place;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use common::{LONG, SHORT, ignore, on_a_thread};
use greenloop::event::{AsyncResult, Event};
use greenloop::lock::Semaphore;
use greenloop::pool::Group;
use greenloop::queue::{Channel, Queue};
use greenloop::{
    Builder, JoinError, LoopExit, current, kill_all, select, shield, sleep, spawn, spawn_later, timeout,
    wait, wait_all, wait_any, wait_timeout, yield_now,
};

/// A call that parks.
type Call = Box<dyn FnOnce()>;

/// Runs a blocking call that nobody can end and gives the report.
#[track_caller]
fn report_of(blocks: impl FnOnce()) -> String {
    let payload = catch_unwind(AssertUnwindSafe(blocks)).expect_err("it should have blocked for ever");
    LoopExit::from_panic(&*payload).expect("it panicked for another reason").to_string()
}

// HB01
#[test]
fn every_blocking_call_of_the_root_that_nobody_can_end_panics() {
    let full = Queue::bounded(1);
    full.put(()).unwrap();
    let stuck = spawn(|| Event::new().wait()).handle();
    let calls: [(&str, Call); 10] = [
        ("event", Box::new(|| Event::new().wait())),
        ("async result", Box::new(|| AsyncResult::<()>::new().wait())),
        ("async result", Box::new(|| AsyncResult::<()>::new().get())),
        ("semaphore", Box::new(|| ignore(Semaphore::new(0).acquire()))),
        ("semaphore", Box::new(|| ignore(Semaphore::new(0).wait(None)))),
        ("queue (get)", Box::new(|| ignore(Queue::<()>::unbounded().get()))),
        ("queue (get)", Box::new(|| ignore(Queue::<()>::unbounded().peek()))),
        ("queue (put), 1 of 1", Box::new(move || ignore(full.put(())))),
        ("the end of greenlet", Box::new(move || stuck.wait())),
        ("the end of its sleep", Box::new(|| sleep(Duration::MAX))),
    ];
    for (what, call) in calls {
        let report = report_of(call);
        assert!(report.starts_with("this would block for ever"), "{report}");
        assert!(report.contains(&format!("waits for {what}")), "{what}: {report}");
        assert_eq!(spawn(|| 1).join().unwrap(), 1, "after {what}"); // HB02
    }
}

// HB01: whom, by name and number, for what, where, spawned where.
#[test]
fn the_report_names_every_parked_greenlet() {
    let (event, queue) = (Event::new(), Queue::<()>::unbounded());
    let consume = {
        let queue = queue.clone();
        move || ignore(queue.get())
    };
    let spawn_line = line!() + 1;
    let named = Builder::new().name("consumer").spawn(consume).unwrap();
    let unnamed = spawn({
        let event = event.clone();
        move || event.wait()
    });
    let joiner = Builder::new()
        .name("joiner")
        .spawn({
            let named = named.handle();
            move || named.wait()
        })
        .unwrap();
    let finished = Builder::new().name("finished").spawn(|| ()).unwrap();
    let report = report_of(|| event.wait());
    let line = |id: u64| {
        let start = format!("#{id} ");
        report
            .lines()
            .find(|line| line.trim_start().starts_with(&start))
            .unwrap_or_else(|| panic!("#{id}: {report}"))
    };
    for (id, texts) in [
        (named.id(), vec!["`consumer`", "waits for queue (get)"]),
        (unnamed.id(), vec!["waits for event (set)"]),
        (joiner.id(), vec!["`joiner`", "waits for the end of greenlet", "`consumer`"]),
    ] {
        for text in texts.into_iter().chain([file!()]) {
            assert!(line(id).contains(text), "{text}: {report}");
        }
    }
    let spawned = format!("spawned at {}:{spawn_line}:", file!());
    assert!(line(named.id()).contains(&spawned), "{spawned}: {report}");
    assert!(!report.contains("finished"), "{report}");
    assert!(finished.is_finished());
    // Whose call it was, in the first lines.
    let thread = std::thread::current().name().unwrap().to_owned();
    assert!(report.lines().nth(1).unwrap().trim_start().starts_with(&thread), "{report}");
    assert_eq!(report.lines().count(), 1 + 4, "{report}");
}

// HB01: the place is that of the caller, not one inside the crate.
#[test]
fn the_report_names_the_line_that_blocks() {
    let queue = Queue::<()>::unbounded();
    let line = line!() + 1;
    let report = report_of(|| ignore(queue.get()));
    assert!(report.contains(&format!("at {}:{line}:", file!())), "{line}: {report}");
    let places: Vec<_> = report.matches("src/").collect();
    assert!(places.is_empty(), "a place inside the crate is no help: {report}");
}

// HB01: so does what the panic hook is told.
#[test]
fn the_panic_is_placed_where_the_root_blocks() {
    panic_place::note();
    let (never, stuck) = (Event::new(), spawn(|| Event::new().wait()).handle());
    let calls: [(u32, Call); 6] = [
        (line!(), Box::new(|| Event::new().wait())),
        (line!(), Box::new(|| ignore(Queue::<()>::unbounded().get()))),
        (line!(), Box::new(|| sleep(Duration::MAX))),
        (line!(), Box::new(move || stuck.wait())),
        (line!(), Box::new(|| ignore(Channel::new().put(())))),
        (line!(), Box::new(move || select! { _ = never.wait() => {} })),
    ];
    for (line, call) in calls {
        ignore(report_of(call));
        let place = panic_place::last();
        assert!(place.starts_with(&format!("{}:{line}:", file!())), "{place} and not line {line}");
    }
}

// HB01: every kind of call, in greenlets.
#[test]
fn the_report_names_no_place_inside_the_crate_whatever_the_call() {
    let full = Queue::bounded(1);
    full.put(()).unwrap();
    let greenlets = [
        spawn(|| Event::new().wait()),
        spawn(|| AsyncResult::<()>::new().wait()),
        spawn(|| AsyncResult::<()>::new().get()),
        spawn(|| ignore(Semaphore::new(0).acquire())),
        spawn(|| ignore(Semaphore::new(0).wait(None))),
        spawn(|| ignore(Queue::<()>::unbounded().get())),
        spawn(|| ignore(Queue::<()>::unbounded().peek())),
        spawn(|| Queue::<()>::unbounded().into_iter().for_each(drop)),
        spawn({
            let full = full.clone();
            move || ignore(full.put(()))
        }),
        spawn(|| sleep(Duration::MAX)),
        spawn(|| shield(|| Event::new().wait())),
        spawn(|| current().wait()),
        spawn(|| ignore(spawn(|| sleep(Duration::MAX)).join())),
        spawn(|| ignore(wait(&[&Event::new()]))),
        spawn(|| ignore(wait_timeout(&[&Event::new()], Duration::MAX))),
        spawn(|| ignore(wait_any(&[&Event::new()]))),
    ];
    yield_now();
    let report = report_of(|| greenlets[0].wait());
    assert_eq!(report.lines().count(), 2 + greenlets.len() + 1, "{report}");
    for line in report.lines().skip(1) {
        // A for_each over the iterator blocks inside the standard library's code.
        assert!(line.contains(file!()) || line.contains("queue (get)"), "{line}");
    }
    assert!(!report.contains(" at src/"), "{report}");
}

// HB01: the greenlets of a lazy map, which nobody has spawned by hand.
#[test]
fn the_greenlets_of_a_lazy_map_are_spawned_where_the_map_was_made() {
    let group = Group::new();
    let (line, mut results) = (line!(), group.imap([1, 2], |_| Event::new().wait()));
    let report = report_of(|| ignore(results.next()));
    assert_eq!(report.matches(&format!("spawned at {}:{line}:", file!())).count(), 3, "{report}");
    group.kill();
}

// HB01: no shorter than it says it is.
#[test]
fn a_report_of_very_many_says_how_many_more_there_are() {
    let greenlets: Vec<_> = (0..250).map(|_| spawn(|| Event::new().wait())).collect();
    let report = report_of(|| Event::new().wait());
    let listed = report.lines().filter(|line| line.trim_start().starts_with('#')).count();
    assert!(listed == 250 || report.ends_with(&format!("and {} more", 250 - listed)), "{report}");
    kill_all(&greenlets);
}

// HB02
#[test]
fn after_a_report_the_hub_is_as_it_was() {
    let (event, queue) = (Event::new(), Queue::unbounded());
    let waiter = spawn({
        let event = event.clone();
        move || event.wait()
    });
    for _ in 0..3 {
        report_of(|| ignore(queue.get()));
        report_of(|| event.wait());
        assert_eq!(
            format!("{event:?}{queue:?}"),
            "Event(unset, 1 waiting)Queue(0 items, 0 getting, 0 putting)"
        );
        sleep(Duration::from_millis(1));
        wait_all();
        assert!(timeout(SHORT, || event.wait()).is_err());
    }
    drop(spawn({
        let queue = queue.clone();
        move || queue.put(4)
    }));
    assert_eq!(queue.get(), Ok(4));
    assert!(!waiter.is_finished());
    event.set();
    waiter.join().unwrap();
}

// HB02: destructors on the way out may look at the hub, but nothing blocks.
#[test]
fn the_unwind_of_a_report_runs_destructors() {
    let log = common::Log::new();
    report_of(|| {
        let _guard = common::OnDrop(|| {
            sleep(LONG);
            log.add(current().id());
        });
        Event::new().wait();
    });
    assert_eq!(log.take(), [0]);
}

// HB01: as long as anything may still happen there is no deadlock.
#[test]
fn a_timer_anywhere_keeps_the_report_away() {
    let event = Event::new();
    drop(spawn_later(SHORT, {
        let event = event.clone();
        move || event.set()
    }));
    event.wait();
    event.clear();
    drop(spawn({
        let event = event.clone();
        move || {
            if timeout(SHORT, || Event::new().wait()).is_err() {
                event.set();
            }
        }
    }));
    event.wait();
}

// HB01: a deadlock of greenlets alone is found when the root waits for one of them.
#[test]
fn two_greenlets_that_wait_for_each_other_are_both_in_the_report() {
    let slot = std::rc::Rc::new(std::cell::RefCell::new(None::<greenloop::Handle>));
    let a = Builder::new()
        .name("a")
        .spawn({
            let slot = slot.clone();
            move || {
                let other = slot.borrow().clone().unwrap();
                other.wait();
            }
        })
        .unwrap();
    let b = Builder::new()
        .name("b")
        .spawn({
            let a = a.handle();
            move || a.wait()
        })
        .unwrap();
    slot.replace(Some(b.handle()));
    let report = report_of(|| ignore(a.join().map_err(|error: JoinError| error.to_string())));
    for text in ["`a` waits for the end of greenlet", "`b` waits for the end of greenlet"] {
        assert!(report.contains(text), "{text}: {report}");
    }
    b.kill();
}

// HB01: only the root is told: a greenlet cannot know that it will not be woken.
#[test]
fn other_panics_are_not_taken_for_a_report() {
    for text in ["boom", ""] {
        let error = spawn(move || -> () { std::panic::panic_any(text) }).join().unwrap_err();
        assert!(LoopExit::from_panic(&*error.try_into_panic().unwrap()).is_none());
    }
}

// HB01, HB02: each thread has a hub of its own.
#[test]
fn a_deadlock_on_one_thread_says_nothing_about_another() {
    let here = Builder::new().name("on the first thread").spawn(|| Event::new().wait()).unwrap();
    yield_now();
    let there = on_a_thread(|| {
        drop(Builder::new().name("on the second thread").spawn(|| Event::new().wait()).unwrap());
        report_of(|| Event::new().wait())
    });
    assert!(there.contains("on the second thread") && !there.contains("on the first thread"), "{there}");
    let own = report_of(|| here.wait());
    assert!(own.contains("on the first thread") && !own.contains("on the second thread"), "{own}");
}
