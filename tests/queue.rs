//! `Queue`: order, limits, closing, and that nothing is ever lost.

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::{Duration, Instant};

use common::{Flag, LONG, Log, OnDrop, PROMPT, SHORT, ignore};
use greenloop::queue::{GetError, PutError, Queue};
use greenloop::{LoopExit, join_all, sleep, spawn, timeout, wait_all, yield_now};

/// Spawns a getter that logs what it got as `(number, item)`.
fn getter(queue: &Queue<u32>, log: &Log<(u32, u32)>, number: u32) -> greenloop::Greenlet<()> {
    let (queue, log) = (queue.clone(), log.clone());
    spawn(move || {
        if let Ok(item) = queue.get() {
            log.add((number, item));
        }
    })
}

fn drain<T>(queue: &Queue<T>) -> Vec<T> {
    std::iter::from_fn(|| queue.try_get().ok()).collect()
}

// QU01
#[test]
fn a_second_item_does_not_fit_into_a_queue_for_one() {
    let queue = Queue::bounded(1);
    assert_eq!(queue.try_put(1), Ok(()));
    assert_eq!(queue.try_put(2), Err(PutError::Full(2)));
    assert_eq!(drain(&queue), [1]);
}

// QU02
#[test]
fn a_put_wakes_a_parked_getter_which_runs_later() {
    let (queue, log) = (Queue::bounded(1), Log::new());
    let g = getter(&queue, &log, 0);
    yield_now();
    queue.try_put(5).unwrap();
    assert_eq!((log.len(), queue.len()), (0, 1)); // QU40
    yield_now();
    assert!(g.is_finished());
    assert_eq!(log.take(), [(0, 5)]);
    assert!(queue.is_empty());
}

// QU03
#[test]
fn a_getter_under_a_timeout_receives_an_item_that_comes_in_time() {
    let queue = Queue::bounded(1);
    let g = spawn({
        let queue = queue.clone();
        move || timeout(LONG, || queue.get())
    });
    yield_now();
    queue.put("hi").unwrap();
    assert_eq!(g.join().unwrap(), Ok(Ok("hi")));
}

// QU04
#[test]
fn a_try_get_gives_an_item_or_says_empty() {
    let queue = Queue::unbounded();
    queue.put(4).unwrap();
    assert_eq!(queue.try_get(), Ok(4));
    assert_eq!(queue.try_get(), Err(GetError::Empty));
}

// QU06
#[test]
fn a_peek_leaves_the_item_inside() {
    let queue = Queue::unbounded();
    queue.put("item").unwrap();
    assert_eq!(queue.peek(), Ok("item"));
    assert_eq!(queue.peek_timeout(SHORT), Ok("item"));
    assert_eq!(queue.len(), 1);
    assert_eq!(queue.get(), Ok("item"));
}

// QU07, HB01
#[test]
fn a_peek_that_nobody_can_end_panics_with_a_report_and_a_timed_one_says_empty() {
    let queue = Queue::<()>::unbounded();
    let payload = catch_unwind(AssertUnwindSafe(|| queue.peek())).unwrap_err();
    assert!(LoopExit::from_panic(&*payload).is_some());
    assert_eq!(queue.peek_timeout(SHORT), Err(GetError::Empty));
}

// QU08
#[test]
fn a_parked_peek_is_woken_and_leaves_the_item_inside() {
    let queue = Queue::unbounded();
    let g = spawn({
        let queue = queue.clone();
        move || queue.peek()
    });
    yield_now();
    queue.put(1).unwrap();
    assert_eq!(g.join().unwrap(), Ok(1));
    assert_eq!(drain(&queue), [1]);
}

// QU08: the wake-up is handed on.
#[test]
fn a_parked_peek_does_not_use_up_the_wake_up_of_the_next_getter() {
    let (queue, log) = (Queue::unbounded(), Log::new());
    let peeks = [(); 2].map(|()| {
        let queue = queue.clone();
        spawn(move || queue.peek())
    });
    let got = getter(&queue, &log, 0);
    yield_now();
    queue.put(7).unwrap();
    wait_all();
    assert!(got.is_finished());
    assert_eq!(log.take(), [(0, 7)]);
    assert!(join_all(peeks).into_iter().all(|peeked| peeked.unwrap() == Ok(7)));
}

// QU08, QU33: a clone that panics must not use it up either.
#[test]
fn a_peek_whose_clone_panics_does_not_use_up_the_wake_up_of_the_next_getter() {
    struct Fragile;
    impl Clone for Fragile {
        fn clone(&self) -> Self {
            panic!("expected: cannot be cloned")
        }
    }
    let queue = Queue::unbounded();
    let peek = spawn({
        let queue = queue.clone();
        move || queue.peek().is_ok()
    });
    let get = spawn({
        let queue = queue.clone();
        move || queue.get().is_ok()
    });
    yield_now();
    queue.put(Fragile).unwrap();
    wait_all();
    assert!(peek.join().unwrap_err().is_panic());
    assert!(get.is_finished(), "an item is inside, but the getter stays parked: {queue:?}");
}

// QU33: house rule: no borrow is alive across a switch.
#[test]
fn a_peek_whose_clone_switches_leaves_the_queue_usable_for_others() {
    struct Slow;
    impl Clone for Slow {
        fn clone(&self) -> Self {
            yield_now();
            Slow
        }
    }
    let queue = Queue::unbounded();
    queue.put(Slow).unwrap();
    let other = spawn({
        let queue = queue.clone();
        move || queue.put(Slow).is_ok() && queue.get().is_ok()
    });
    assert!(queue.peek().is_ok());
    assert!(other.join().unwrap());
}

// QU09
#[test]
fn a_putter_waits_while_the_queue_is_full() {
    let (queue, log) = (Queue::bounded(2), Log::new());
    let putter = spawn({
        let (queue, log) = (queue.clone(), log.clone());
        move || {
            for item in ["a", "b", "c"] {
                queue.put(item).unwrap();
                log.add(item);
            }
        }
    });
    yield_now();
    assert_eq!(log.take(), ["a", "b"]);
    assert!(queue.is_full() && !putter.is_finished());
    assert_eq!(queue.get(), Ok("a"));
    putter.join().unwrap();
    assert_eq!(log.take(), ["c"]);
    assert_eq!(drain(&queue), ["b", "c"]);
}

// QU10
#[test]
fn as_many_getters_are_served_as_items_are_put() {
    let (queue, log) = (Queue::unbounded(), Log::new());
    for n in 0..4 {
        drop(getter(&queue, &log, n));
    }
    yield_now();
    let mut served = Vec::new();
    for burst in [1, 1, 2] {
        (0..burst).for_each(|item| queue.put(item).unwrap());
        wait_all();
        served.push(log.len());
    }
    assert_eq!(served, [1, 2, 4]);
    let order: Vec<u32> = log.take().into_iter().map(|(n, _)| n).collect();
    assert_eq!(order, [0, 1, 2, 3]);
}

// QU11, QU14, QU35
#[test]
fn getters_that_gave_up_take_nothing() {
    let queue = Queue::unbounded();
    assert_eq!(queue.get_timeout(Duration::ZERO), Err(GetError::Empty));
    let bogus = [(); 2].map(|()| {
        let queue = queue.clone();
        spawn(move || (queue.get_timeout(SHORT), timeout(SHORT, || queue.get()).is_err()))
    });
    for result in join_all(bogus) {
        assert_eq!(result.unwrap(), (Err(GetError::Empty), true));
    }
    queue.put(1).unwrap();
    wait_all();
    assert_eq!(queue.get(), Ok(1));
    queue.put(2).unwrap();
    assert_eq!(queue.get_timeout(LONG), Ok(2));
}

// QU11: the item is put in the turn in which the getters run out of time.
#[test]
fn an_item_put_as_a_getter_runs_out_of_time_is_not_lost() {
    let queue = Queue::unbounded();
    let impatient = spawn({
        let queue = queue.clone();
        move || queue.get_timeout(SHORT)
    });
    let scoped = spawn({
        let queue = queue.clone();
        move || timeout(SHORT, || queue.get()).ok().and_then(Result::ok)
    });
    yield_now();
    std::thread::sleep(2 * SHORT); // both are due, and nobody has looked
    for item in 1..=3 {
        queue.put(item).unwrap();
    }
    let mut seen: Vec<i32> = impatient.join().unwrap().into_iter().chain(scoped.join().unwrap()).collect();
    seen.extend(drain(&queue));
    assert_eq!(seen, [1, 2, 3]);
}

// QU12
#[test]
fn an_item_outlives_its_sender() {
    let queue = Queue::unbounded();
    let receiver = spawn({
        let queue = queue.clone();
        move || queue.get()
    });
    spawn({
        let queue = queue.clone();
        move || queue.put("sent")
    })
    .join()
    .unwrap()
    .unwrap();
    assert_eq!(receiver.join().unwrap(), Ok("sent"));
}

// QU26: graceful closing.
#[test]
fn a_closed_queue_takes_nothing_and_gives_what_is_inside() {
    let queue = Queue::bounded(3);
    queue.put(1).unwrap();
    queue.put(2).unwrap();
    queue.close();
    queue.close();
    assert!(queue.is_closed());
    assert_eq!(queue.put(3), Err(PutError::Closed(3)));
    assert_eq!(queue.try_put(3), Err(PutError::Closed(3)));
    assert_eq!(queue.put_timeout(3, LONG), Err(PutError::Closed(3)));
    assert_eq!(queue.peek(), Ok(1));
    assert_eq!(queue.get(), Ok(1));
    assert_eq!(queue.get_timeout(LONG), Ok(2));
    assert_eq!(queue.get(), Err(GetError::Closed));
    assert_eq!(queue.try_get(), Err(GetError::Closed));
    assert_eq!(queue.get_timeout(LONG), Err(GetError::Closed));
    assert_eq!(queue.peek(), Err(GetError::Closed));
    assert_eq!(queue.peek_timeout(LONG), Err(GetError::Closed));
}

// QU28
#[test]
fn closing_wakes_every_getter_and_every_putter() {
    let empty = Queue::<u32>::unbounded();
    let getters: Vec<_> = (0..10)
        .map(|n| {
            let empty = empty.clone();
            spawn(move || match n % 4 {
                0 => empty.get(),
                1 => empty.get_timeout(LONG),
                2 => empty.peek(),
                _ => empty.peek_timeout(LONG),
            })
        })
        .collect();
    let full = Queue::bounded(1);
    full.put(0).unwrap();
    let putters: Vec<_> = (1..10)
        .map(|n| {
            let full = full.clone();
            spawn(move || if n % 2 == 0 { full.put(n) } else { full.put_timeout(n, LONG) })
        })
        .collect();
    yield_now();
    empty.close();
    full.close();
    assert!(join_all(getters).into_iter().all(|got| got.unwrap() == Err(GetError::Closed)));
    let given_back: Vec<_> =
        join_all(putters).into_iter().map(|put| put.unwrap().unwrap_err().into_item()).collect();
    assert_eq!(given_back, Vec::from_iter(1..10)); // QU42: none of them was inserted
    assert_eq!(drain(&full), [0]);
    let start = Instant::now();
    wait_all();
    assert!(start.elapsed() < PROMPT);
}

// QU28, QU40: those who were woken for an item before the close still get it.
#[test]
fn getters_woken_for_items_before_the_close_still_get_them() {
    let queue = Queue::unbounded();
    let getters = [(); 3].map(|()| {
        let queue = queue.clone();
        spawn(move || queue.get())
    });
    yield_now();
    queue.put(1).unwrap();
    queue.put(2).unwrap();
    queue.close();
    let got: Vec<_> = join_all(getters).into_iter().map(Result::unwrap).collect();
    assert_eq!(got, [Ok(1), Ok(2), Err(GetError::Closed)]);
}

// QU28: a putter that was woken for room before the close is too late, like everybody who puts after it.
#[test]
fn a_putter_woken_before_the_close_gets_its_item_back() {
    let queue = Queue::bounded(1);
    queue.put(1).unwrap();
    let putter = spawn({
        let queue = queue.clone();
        move || queue.put(2)
    });
    yield_now();
    assert_eq!(queue.get(), Ok(1));
    queue.close();
    assert_eq!(putter.join().unwrap(), Err(PutError::Closed(2)));
    assert!(queue.is_empty());
}

#[test]
fn an_iteration_ends_when_the_queue_is_closed_and_empty() {
    let queue = Queue::bounded(2);
    let consumer = spawn({
        let queue = queue.clone();
        move || queue.into_iter().collect::<Vec<_>>()
    });
    for n in 0..10 {
        queue.put(n).unwrap();
    }
    queue.close();
    assert_eq!(consumer.join().unwrap(), Vec::from_iter(0..10));
    assert_eq!((&queue).into_iter().next(), None);
}

#[test]
fn an_iteration_that_is_dropped_leaves_the_rest_inside() {
    let queue = Queue::unbounded();
    (0..5).for_each(|n| queue.put(n).unwrap());
    assert_eq!((&queue).into_iter().take(2).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(drain(&queue), [2, 3, 4]);
}

// QU30, QU36
#[test]
fn a_full_queue_says_so_in_every_way_and_stays_as_it_is() {
    let queue = Queue::bounded(5);
    for n in 0..5 {
        assert!(!queue.is_full());
        queue.put(n).unwrap();
    }
    assert!(queue.is_full());
    assert_eq!((queue.len(), queue.capacity()), (5, Some(5)));
    assert_eq!(queue.try_put(9), Err(PutError::Full(9)));
    let start = Instant::now();
    assert_eq!(queue.put_timeout(9, Duration::from_millis(10)), Err(PutError::Full(9)));
    assert!(start.elapsed() >= Duration::from_millis(10) && start.elapsed() < PROMPT);
    assert_eq!(queue.put_timeout(9, Duration::ZERO), Err(PutError::Full(9)));
    assert_eq!(queue.len(), 5);
    for put in [(|q| q.put(9)) as fn(&Queue<i32>) -> Result<(), PutError<i32>>, |q| q.put_timeout(9, LONG)] {
        let putter = spawn({
            let queue = queue.clone();
            move || put(&queue)
        });
        yield_now();
        assert!(!putter.is_finished());
        queue.get().unwrap();
        assert_eq!(putter.join().unwrap(), Ok(()));
    }
    assert_eq!(drain(&queue), [2, 3, 4, 9, 9]);
}

// QU31
#[test]
fn an_empty_queue_says_so_in_every_way() {
    let queue = Queue::bounded(5);
    assert!(queue.is_empty());
    assert_eq!(queue.try_get(), Err(GetError::Empty));
    let start = Instant::now();
    assert_eq!(queue.get_timeout(Duration::from_millis(10)), Err(GetError::Empty));
    assert!(start.elapsed() >= Duration::from_millis(10) && start.elapsed() < PROMPT);
    for get in [Queue::get as fn(&Queue<u32>) -> Result<u32, GetError>, |q| q.get_timeout(LONG)] {
        let getter = spawn({
            let queue = queue.clone();
            move || get(&queue)
        });
        yield_now();
        queue.put(1).unwrap();
        assert_eq!(getter.join().unwrap(), Ok(1));
    }
}

// QU38: no limit is asked for by name; a limit of zero is a mistake.
#[test]
fn a_queue_for_nothing_is_refused() {
    assert!(catch_unwind(|| Queue::<()>::bounded(0)).is_err());
    let queue = Queue::unbounded();
    assert_eq!(queue.capacity(), None);
    (0..10_000).for_each(|n| queue.try_put(n).unwrap());
    assert!(!queue.is_full());
}

// QU40
#[test]
fn getters_are_served_first_come_first_served() {
    let (queue, log) = (Queue::unbounded(), Log::new());
    let getters: Vec<_> = (0..100).map(|n| getter(&queue, &log, n)).collect();
    yield_now();
    (0..100).for_each(|item| queue.put(item).unwrap());
    join_all(getters);
    assert_eq!(log.take(), Vec::from_iter((0..100).map(|n| (n, n))));
}

// QU40
#[test]
fn putters_are_served_first_come_first_served() {
    let queue = Queue::bounded(1);
    let putters: Vec<_> = (0..100)
        .map(|n| {
            let queue = queue.clone();
            spawn(move || queue.put(n))
        })
        .collect();
    let got: Vec<_> = (&queue).into_iter().take(100).collect();
    assert_eq!(got, Vec::from_iter(0..100));
    join_all(putters);
}

// QU40, QU41: several woken getters lose their items to one that runs; they keep their places all the same, also in front of one
// that has come before they noticed.
#[test]
fn woken_getters_whose_items_were_taken_keep_their_order() {
    let (queue, log) = (Queue::unbounded(), Log::new());
    for n in 0..3 {
        drop(getter(&queue, &log, n));
    }
    yield_now();
    (0..3).for_each(|_| queue.put(99).unwrap());
    assert_eq!(drain(&queue), [99; 3]);
    let putter = spawn({
        let queue = queue.clone();
        move || (0..4).for_each(|item| queue.put(item).unwrap())
    });
    // The root stands in line before the three have run, found nothing and lined up again.
    assert_eq!(queue.get(), Ok(3));
    putter.join().unwrap();
    assert_eq!(log.take(), [(0, 0), (1, 1), (2, 2)]);
}

// QU40, QU42: the same for putters.
#[test]
fn woken_putters_whose_room_was_taken_keep_their_order() {
    let queue = Queue::bounded(3);
    (0..3).for_each(|_| queue.put(99).unwrap());
    for n in 0..3 {
        let queue = queue.clone();
        drop(spawn(move || queue.put(n)));
    }
    yield_now();
    assert_eq!(drain(&queue), [99; 3]);
    (0..3).for_each(|_| queue.try_put(98).unwrap());
    let consumer = spawn({
        let queue = queue.clone();
        move || queue.into_iter().take(7).collect::<Vec<_>>()
    });
    // The root stands in line before the three have run, found no room and lined up again.
    queue.put(3).unwrap();
    assert_eq!(consumer.join().unwrap(), [98, 98, 98, 0, 1, 2, 3]);
}

// QU41
#[test]
fn a_running_greenlet_may_take_the_item_of_a_woken_getter_which_waits_on_in_front() {
    let (queue, log) = (Queue::unbounded(), Log::new());
    drop(getter(&queue, &log, 0));
    drop(getter(&queue, &log, 1));
    yield_now();
    queue.put(1).unwrap();
    assert_eq!(queue.try_get(), Ok(1));
    yield_now();
    assert_eq!(log.len(), 0);
    queue.put(2).unwrap();
    queue.put(3).unwrap();
    wait_all();
    assert_eq!(log.take(), [(0, 2), (1, 3)]);
}

// QU41
#[test]
fn killing_a_parked_getter_loses_no_item() {
    let (queue, log) = (Queue::unbounded(), Log::new());
    let getters: Vec<_> = (0..3).map(|n| getter(&queue, &log, n)).collect();
    yield_now();
    getters[0].kill();
    getters[1].kill_nowait(); // not dead yet when the item comes
    queue.put(1).unwrap();
    wait_all();
    assert_eq!(log.take(), [(2, 1)]);
}

// QU41: woken for an item, then killed: it takes the item and meets the kill at its next park.
#[test]
fn killing_a_getter_that_was_woken_loses_no_item() {
    let (queue, log) = (Queue::unbounded(), Log::new());
    let getters: Vec<_> = (0..2).map(|n| getter(&queue, &log, n)).collect();
    yield_now();
    queue.put(1).unwrap();
    getters[0].kill();
    queue.put(2).unwrap();
    wait_all();
    assert_eq!(log.take(), [(0, 1), (1, 2)]);
}

// QU41: woken for an item that another takes, then killed: the next item goes to the next in line.
#[test]
fn a_killed_getter_that_was_woken_in_vain_does_not_swallow_the_next_item() {
    let (queue, log) = (Queue::unbounded(), Log::new());
    let getters: Vec<_> = (0..2).map(|n| getter(&queue, &log, n)).collect();
    yield_now();
    queue.put(1).unwrap();
    getters[0].kill_nowait();
    assert_eq!(queue.try_get(), Ok(1));
    queue.put(2).unwrap(); // wakes the second one; the first is still ready, and may take it
    wait_all();
    assert!(getters[0].is_finished());
    let mut items: Vec<u32> = log.take().into_iter().map(|(_, item)| item).collect();
    items.extend(drain(&queue));
    assert_eq!(items, [2]);
    queue.put(3).unwrap();
    wait_all();
    let rest = log.take();
    assert!(rest.is_empty() || rest == [(1, 3)], "{rest:?}");
    assert_eq!(rest.len() + queue.len(), 1);
    assert!(getters[1].is_finished(), "an item is inside or was given, but the getter is parked");
}

// QU42
#[test]
fn a_putter_killed_while_parked_inserts_nothing_and_its_item_is_dropped() {
    let queue = Queue::bounded(1);
    queue.put(Rc::new(0)).unwrap();
    let item = Rc::new(1);
    let putter = spawn({
        let (queue, item) = (queue.clone(), item.clone());
        move || ignore(queue.put(item))
    });
    let next = spawn({
        let queue = queue.clone();
        move || queue.put(Rc::new(2)).is_ok()
    });
    yield_now();
    putter.kill_nowait();
    assert_eq!(queue.get().as_deref(), Ok(&0)); // the room goes to the next in line
    assert!(next.join().unwrap());
    assert!(putter.join().unwrap_err().is_killed());
    assert_eq!(Rc::strong_count(&item), 1);
    assert_eq!(drain(&queue).into_iter().map(|item| *item).collect::<Vec<_>>(), [2]);
}

// QU42: the same for one whose time runs out around the call.
#[test]
fn a_putter_interrupted_by_a_timeout_inserts_nothing() {
    let queue = Queue::bounded(1);
    queue.put(0).unwrap();
    assert!(timeout(SHORT, || queue.put(1)).is_err());
    assert_eq!(drain(&queue), [0]);
    assert_eq!(format!("{queue:?}"), "Queue(0 items of 1, 0 getting, 0 putting)");
}

// QU42: a putter given up on in the turn in which room is made leaves the room to the next.
#[test]
fn room_made_as_a_putter_runs_out_of_time_is_not_lost() {
    let queue = Queue::bounded(1);
    queue.put(0).unwrap();
    let scoped = spawn({
        let queue = queue.clone();
        move || timeout(SHORT, || queue.put(1)).is_ok()
    });
    let next = spawn({
        let queue = queue.clone();
        move || queue.put(2)
    });
    let emptier = spawn({
        let queue = queue.clone();
        move || {
            sleep(SHORT);
            queue.get()
        }
    });
    yield_now();
    std::thread::sleep(2 * SHORT);
    assert_eq!(emptier.join().unwrap(), Ok(0));
    let mut got = vec![queue.get().unwrap()];
    let inserted = scoped.join().unwrap();
    if inserted {
        got.push(queue.get().unwrap());
    }
    next.join().unwrap().unwrap();
    assert_eq!(got, if inserted { vec![1, 2] } else { vec![2] });
}

// QU43
#[test]
fn tries_never_switch() {
    let (queue, other) = (Queue::bounded(1), Flag::new());
    drop(spawn({
        let other = other.clone();
        move || other.raise()
    }));
    for n in 0..1_000 {
        assert_eq!(queue.try_get(), Err(GetError::Empty));
        queue.try_put(n).unwrap();
        assert!(queue.try_put(n).is_err());
        assert_eq!(queue.try_get(), Ok(n));
    }
    assert!(!other.is_up());
}

// QU40: neither do puts and gets that need not wait, whoever is parked on the other side.
#[test]
fn puts_and_gets_that_need_not_wait_do_not_switch() {
    let (queue, log) = (Queue::bounded(2), Log::new());
    let g = getter(&queue, &log, 0);
    yield_now();
    queue.put(1).unwrap();
    queue.put(2).unwrap();
    assert_eq!(log.len(), 0);
    assert_eq!(queue.get(), Ok(1));
    assert_eq!(log.len(), 0);
    g.join().unwrap();
    assert_eq!(log.take(), [(0, 2)]);
}

#[test]
fn items_may_use_the_queue_in_their_destructors() {
    let (queue, log) = (Queue::unbounded(), Log::new());
    let spare = Queue::unbounded();
    queue
        .put(OnDrop({
            let (spare, log) = (spare.clone(), log.clone());
            move || {
                spare.put(1).unwrap();
                log.add("dropped");
            }
        }))
        .ok();
    drop(queue.get().ok());
    assert_eq!((log.take(), drain(&spare)), (vec!["dropped"], vec![1]));
}

#[test]
fn dropping_the_last_handle_drops_the_items_inside() {
    let item = Rc::new(());
    let queue = Queue::unbounded();
    queue.put(item.clone()).unwrap();
    let twin = queue.clone();
    drop(queue);
    assert_eq!(Rc::strong_count(&item), 2);
    drop(twin);
    assert_eq!(Rc::strong_count(&item), 1);
}

#[test]
fn many_producers_and_consumers_pass_everything_on_in_the_order_of_each_producer() {
    let queue = Queue::bounded(3);
    let producers: Vec<_> = (0..10)
        .map(|p| {
            let queue = queue.clone();
            spawn(move || (0..100).for_each(|n| queue.put((p, n)).unwrap()))
        })
        .collect();
    let consumers: Vec<_> = (0..7)
        .map(|_| {
            let queue = queue.clone();
            spawn(move || queue.into_iter().collect::<Vec<_>>())
        })
        .collect();
    join_all(producers);
    queue.close();
    let mut all = Vec::new();
    for items in join_all(consumers) {
        let items = items.unwrap();
        for p in 0..10 {
            assert!(items.iter().filter(|item| item.0 == p).is_sorted());
        }
        all.extend(items);
    }
    all.sort_unstable();
    assert_eq!(all, Vec::from_iter((0..10).flat_map(|p| (0..100).map(move |n| (p, n)))));
}

// QU35, QU36: the call looks once more before it gives up.
#[test]
fn what_comes_in_the_very_turn_in_which_the_time_runs_out_is_taken() {
    let (empty, full) = (Queue::unbounded(), Queue::bounded(1));
    full.put(0).unwrap();
    let other = spawn({
        let (empty, full) = (empty.clone(), full.clone());
        move || {
            sleep(SHORT);
            empty.put(1).unwrap();
            full.get().unwrap();
        }
    });
    yield_now();
    let getter = spawn(move || empty.get_timeout(2 * SHORT));
    let putter = spawn(move || full.put_timeout(2, 2 * SHORT));
    yield_now();
    std::thread::sleep(4 * SHORT); // all are due now, the other one first
    other.join().unwrap();
    assert_eq!(getter.join().unwrap(), Ok(1));
    assert_eq!(putter.join().unwrap(), Ok(()));
}

/// An item whose clone lets others run.
#[derive(Debug, PartialEq)]
struct SlowToClone(u32);

impl Clone for SlowToClone {
    fn clone(&self) -> Self {
        yield_now();
        SlowToClone(self.0)
    }
}

// QU06, QU26: while the first item is being cloned it is still inside.
#[test]
fn a_getter_is_not_told_that_a_closed_queue_is_empty_while_its_last_item_is_being_peeked_at() {
    let queue = Queue::unbounded();
    queue.put(SlowToClone(1)).unwrap();
    queue.close();
    let peek = spawn({
        let queue = queue.clone();
        move || queue.peek()
    });
    let consumer = spawn({
        let queue = queue.clone();
        move || queue.into_iter().map(|item| item.0).collect::<Vec<_>>()
    });
    assert_eq!(peek.join().unwrap(), Ok(SlowToClone(1)));
    assert_eq!(consumer.join().unwrap(), [1], "the iteration has ended, and left {queue:?}");
}

// QU06, QU40
#[test]
fn peeks_at_the_same_time_see_the_same_item_and_keep_the_order() {
    struct Paced(u32, Rc<std::cell::Cell<usize>>);
    impl Clone for Paced {
        fn clone(&self) -> Self {
            let turns = self.1.get();
            self.1.set(turns + 1);
            (0..=turns).for_each(|_| yield_now()); // each takes longer than the one before
            Paced(self.0, self.1.clone())
        }
    }
    let (queue, turns) = (Queue::unbounded(), Rc::default());
    (1..=3).for_each(|n| queue.put(Paced(n, Rc::clone(&turns))).ok().unwrap());
    let peeks = [(); 2].map(|()| {
        let queue = queue.clone();
        spawn(move || queue.peek().map(|item| item.0))
    });
    let seen = join_all(peeks).into_iter().map(Result::unwrap).collect::<Vec<_>>();
    let order: Vec<_> = drain(&queue).iter().map(|item| item.0).collect();
    assert_eq!((seen, order), (vec![Ok(1), Ok(1)], vec![1, 2, 3]));
}

// QU06, QU30
#[test]
fn a_peek_makes_no_room() {
    let queue = Queue::bounded(1);
    queue.put(SlowToClone(1)).unwrap();
    let peek = spawn({
        let queue = queue.clone();
        move || queue.peek()
    });
    yield_now(); // it is in the middle of the clone
    assert!(!peek.is_finished());
    assert!(queue.is_full());
    assert_eq!(queue.try_put(SlowToClone(2)), Err(PutError::Full(SlowToClone(2))));
    assert_eq!(peek.join().unwrap(), Ok(SlowToClone(1)));
    assert_eq!(queue.len(), 1);
}
