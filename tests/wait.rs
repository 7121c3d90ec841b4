//! Waiting for several unlike things: `wait`, `iwait`, `select!`.

use greenloop::event::{AsyncResult, Event};
use greenloop::lock::{BoundedSemaphore, Semaphore};
use greenloop::queue::{Channel, GetError, PriorityQueue, PutError, Queue};
use greenloop::testing::virtual_time;
use greenloop::threadpool::ThreadPool;
use greenloop::{
    Elapsed, LoopExit, Waitable, iwait, join_all, select, sleep, spawn, timeout, wait, wait_all, wait_any,
    wait_any_timeout, wait_timeout, yield_now,
};
use std::cell::{Cell, RefCell};
use std::panic::catch_unwind;
use std::rc::Rc;
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);
const LONG: Duration = Duration::from_secs(60);

#[test]
fn wait_gives_all_in_the_order_of_readiness() {
    // JO18, JO19, JO35
    let events: Vec<_> = (0..5).map(|_| Event::new()).collect();
    let results: Vec<_> = (0..5).map(|_| AsyncResult::new()).collect();
    let sender = spawn({
        let (events, results) = (events.clone(), results.clone());
        move || {
            for (event, result) in events.iter().zip(&results) {
                result.set(()).unwrap();
                yield_now();
                event.set();
                yield_now();
            }
        }
    });
    let mut objects: Vec<&dyn Waitable> = events.iter().map(|event| event as _).collect();
    objects.extend(results.iter().map(|result| result as &dyn Waitable));
    assert_eq!(wait_timeout(&objects, LONG), [5, 0, 6, 1, 7, 2, 8, 3, 9, 4]);
    sender.join().unwrap();
}

#[test]
fn taking_one_or_two_leaves_the_sender_running() {
    // JO20
    for count in [1, 2] {
        let events: Vec<_> = (0..5).map(|_| Event::new()).collect();
        let sender = spawn({
            let events = events.clone();
            move || {
                events.iter().for_each(|event| {
                    event.set();
                    yield_now()
                })
            }
        });
        let objects: Vec<&dyn Waitable> = events.iter().map(|event| event as _).collect();
        assert_eq!(iwait(&objects).take(count).count(), count);
        assert!(!sender.is_finished());
        sender.kill();
    }
}

#[test]
fn what_is_ready_already_comes_at_once_and_again() {
    // JO22, JO23
    let (event, permits, slots) = (Event::new(), Semaphore::new(1), BoundedSemaphore::new(1));
    event.set();
    for _ in 0..2 {
        assert_eq!(wait(&[&event, &permits, &slots]), [0, 1, 2]);
    }
    assert_eq!((permits.available(), slots.available()), (1, 1));
}

#[test]
fn an_event_set_and_cleared_while_nobody_looks_has_called() {
    let (event, never) = (Event::new(), Event::new());
    let mut coming = iwait(&[&event, &never]);
    event.set();
    event.clear();
    assert_eq!(coming.next(), Some(0));
    // JO24: it waits for the next set, not for the last one.
    assert_eq!(wait_any_timeout(&[&event], MS), None);
}

#[test]
fn a_wait_that_begins_while_an_event_tells_its_waiters_is_not_told_of_that() {
    // JO24
    virtual_time(|| {
        let (event, told) = (Event::new(), Rc::new(Cell::new(false)));
        let first = spawn({
            let (event, told) = (event.clone(), told.clone());
            move || {
                event.wait();
                event.clear();
                assert!(!told.get(), "the second has been told already");
                let ready = wait_timeout(&[&event], MS);
                assert!(told.get());
                ready
            }
        });
        let second = spawn({
            let (event, told) = (event.clone(), told.clone());
            move || {
                event.wait();
                told.set(true);
            }
        });
        yield_now();
        event.set();
        assert!(first.join().unwrap().is_empty());
        second.join().unwrap();
    });
}

#[test]
fn an_iwait_dropped_early_watches_no_longer() {
    // JO15, JO16
    let (event, never) = (Event::new(), Event::new());
    event.set();
    {
        let mut coming = iwait(&[&event, &never]).timeout(LONG);
        assert_eq!(coming.next(), Some(0));
        assert!(format!("{never:?}").contains("1 waiting"), "{never:?}");
    }
    assert!(format!("{never:?}").contains("0 waiting"), "{never:?}");
}

#[test]
fn a_consumer_that_sleeps_between_misses_nothing() {
    // JO14, JO17
    let finished = spawn(|| 0);
    finished.wait();
    let running = [1, 2].map(|ms| spawn(move || sleep(MS * ms)));
    let failing = spawn(|| {
        yield_now();
        std::panic::resume_unwind(Box::new("quietly"))
    });
    let mut seen = Vec::new();
    for number in iwait(&[&finished, &running[0], &running[1], &failing]) {
        seen.push(number);
        sleep(MS * 5);
    }
    assert_eq!(seen, [0, 3, 1, 2]);
}

#[test]
fn a_watch_between_two_waits_does_not_disturb_another_park() {
    let (watched, other) = (Event::new(), Event::new());
    let greenlet = spawn({
        let (watched, other) = (watched.clone(), other.clone());
        move || {
            let mut coming = iwait(&[&watched]);
            other.wait();
            assert!(other.is_set());
            coming.next()
        }
    });
    yield_now();
    watched.set();
    yield_now();
    assert!(!greenlet.is_finished());
    other.set();
    assert_eq!(greenlet.join().unwrap(), Some(0));
}

#[test]
fn an_observer_takes_no_wake_up_from_a_getter() {
    let queue = Queue::unbounded();
    let observer = spawn({
        let queue = queue.clone();
        move || wait_any(&[&queue])
    });
    yield_now();
    let getter = spawn({
        let queue = queue.clone();
        move || queue.get()
    });
    yield_now();
    queue.put(7).unwrap();
    assert_eq!(getter.join().unwrap(), Ok(7));
    assert_eq!(observer.join().unwrap(), 0);
}

#[test]
fn a_thread_pool_job_can_be_waited_for_with_others() {
    let never = Event::new();
    let job = ThreadPool::new(1).spawn(|| std::thread::sleep(MS));
    assert_eq!(wait_any(&[&never, &job]), 1);
}

#[test]
fn waiting_for_what_nobody_will_do_is_a_deadlock() {
    let never = Event::new();
    let payload = catch_unwind(std::panic::AssertUnwindSafe(|| wait(&[&never]))).unwrap_err();
    assert!(LoopExit::from_panic(&*payload).unwrap().report().contains("several things, left 1"));
    assert_eq!(timeout(MS, || wait(&[&never])), Err(Elapsed));
    assert!(format!("{never:?}").contains("0 waiting"));
}

#[test]
fn select_takes_the_arm_that_is_ready_and_leaves_the_others() {
    let (left, right) = (Queue::unbounded(), Queue::unbounded());
    right.put("right").unwrap();
    let got = select! {
        item = left.get() => item,
        item = right.get() => item,
    };
    assert_eq!(got, Ok("right"));
    left.put("left").unwrap();
    right.put("again").unwrap();
    let got = select! { item = left.get() => item, item = right.get() => item };
    assert!(got.is_ok());
    assert_eq!(left.len() + right.len(), 1);
}

#[test]
fn select_is_fair_between_ready_arms() {
    let (left, right) = (Queue::unbounded(), Queue::unbounded());
    for n in 0..100 {
        left.put(n).unwrap();
        right.put(n).unwrap();
    }
    let taken = Cell::new((0, 0));
    for _ in 0..100 {
        let (l, r) = taken.get();
        select! {
            _ = left.get() => taken.set((l + 1, r)),
            _ = right.get() => taken.set((l, r + 1)),
        }
    }
    let (l, r) = taken.get();
    assert!(l >= 25 && r >= 25, "{l} : {r}");
}

/// How often each of two arms that are always ready is taken, if `each` selects once.
fn shares(mut each: impl FnMut(&Queue<u32>, &Queue<u32>) -> usize) -> [usize; 2] {
    let (left, right) = (Queue::unbounded(), Queue::unbounded());
    let mut taken = [0; 2];
    for n in 0..200 {
        left.put(n).unwrap();
        right.put(n).unwrap();
    }
    for _ in 0..200 {
        taken[each(&left, &right)] += 1;
    }
    taken
}

#[test]
fn select_is_fair_whatever_else_is_done_in_each_round() {
    let one = |left: &Queue<u32>, right: &Queue<u32>| select! { _ = left.get() => 0, _ = right.get() => 1 };
    let spawning = shares(|left, right| {
        let taken = one(left, right);
        spawn(|| ());
        taken
    });
    let limited = shares(|left, right| timeout(LONG, || one(left, right)).unwrap());
    let (a, b) = (Queue::unbounded(), Queue::unbounded());
    let alternating = shares(|left, right| {
        a.put(0).unwrap();
        b.put(0).unwrap();
        one(&a, &b);
        one(left, right)
    });
    for [left, right] in [spawning, limited, alternating] {
        assert!(left >= 50 && right >= 50, "{left} : {right}");
    }
}

#[test]
fn select_gives_arms_that_are_ready_equal_shares_wherever_they_stand() {
    let queues = [(); 4].map(|()| Queue::unbounded());
    for queue in &queues[2..] {
        (0..400).for_each(|n| queue.put(n).unwrap());
    }
    let [a, b, c, d] = &queues;
    let mut taken = [0; 4];
    for _ in 0..400 {
        let arm = select! { _ = a.get() => 0, _ = b.get() => 1, _ = c.get() => 2, _ = d.get() => 3 };
        taken[arm] += 1;
    }
    assert!(taken[2] >= 150 && taken[3] >= 150, "{taken:?}");
}

#[test]
fn select_of_nothing_but_a_default_takes_that() {
    assert_eq!(select! { default => 7 }, 7);
}

// Warnings of the compiler about code of the macro's would be the user's.
#[deny(warnings)]
#[test]
fn the_body_of_every_arm_may_be_a_block() {
    let (queue, event) = (Queue::<u32>::unbounded(), Event::new());
    let got = select! {
        item = queue.get() => { item.ok() }
        _ = event.wait() => { None }
        default => { Some(7) }
    };
    assert_eq!(got, Some(7));
}

#[test]
fn select_takes_either_an_item_or_a_result_that_are_both_there() {
    let queue = Queue::unbounded().with_items(0..100);
    let (mut items, mut values) = (0, 0);
    for _ in 0..100 {
        let result = AsyncResult::new();
        result.set(()).unwrap();
        select! {
            () = result.get() => values += 1,
            item = queue.get() => items += item.map_or(0, |_| 1),
        }
    }
    assert_eq!((items + values, items + queue.len()), (100, 100), "an item is gone whose arm did not run");
    assert!(items >= 25 && values >= 25, "{items} : {values}");
}

#[test]
fn select_with_a_default_does_not_wait() {
    let queue: Queue<u32> = Queue::unbounded();
    let got = select! {
        item = queue.get() => item.ok(),
        default => None,
    };
    assert_eq!(got, None);
}

#[test]
fn select_runs_out_of_time() {
    let (queue, event): (Queue<u32>, _) = (Queue::unbounded(), Event::new());
    let won = select! {
        _ = queue.get() => "queue",
        _ = event.wait() => "event",
        _ = after(MS) => "after",
    };
    assert_eq!(won, "after");
}

#[test]
fn select_on_a_field_a_permit_a_result_a_greenlet_and_room() {
    struct All {
        permits: Semaphore,
        result: AsyncResult<u32>,
        queue: Queue<u32>,
    }
    let all = All { permits: Semaphore::new(1), result: AsyncResult::new(), queue: Queue::bounded(1) };
    let greenlet = spawn(|| ());
    select! {
        _ = all.permits.acquire() => {}
        _ = greenlet.wait() => panic!("it has not run"),
    }
    assert_eq!(all.permits.available(), 0);
    select! {
        _ = all.permits.acquire() => panic!("there is none"),
        done = all.queue.put(1) => done.unwrap(),
    }
    let made = Cell::new(false);
    select! {
        done = all.queue.put({ made.set(true); 2 }) => panic!("{done:?}"),
        _ = greenlet.wait() => {}
    }
    assert!(!made.get(), "the item of an arm that does not win is not even made");
    all.result.set(9).unwrap();
    let value = select! { value = all.result.get() => value, _ = after(LONG) => 0 };
    assert_eq!(value, 9);
}

/// Puts its item while the one that selects makes its own.
fn faster(queue: &Queue<Rc<u32>>) -> greenloop::Greenlet<()> {
    let queue = queue.clone();
    spawn(move || queue.put(Rc::new(1)).unwrap())
}

#[test]
fn select_keeps_an_item_for_which_the_room_was_taken_while_it_was_made() {
    let (queue, made) = (Queue::bounded(1), Cell::new(0));
    let make = || {
        made.set(made.get() + 1);
        yield_now();
        Rc::new(2)
    };
    let faster = faster(&queue);
    let getter = spawn({
        let queue = queue.clone();
        move || {
            sleep(MS);
            [queue.get(), queue.get()].map(|item| *item.unwrap())
        }
    });
    select! { done = queue.put(make()) => done.unwrap() }
    assert_eq!((getter.join().unwrap(), made.get()), ([1, 2], 1));
    faster.join().unwrap();
}

#[test]
fn select_drops_an_item_for_which_the_room_was_taken_if_another_arm_comes_first() {
    let (queue, item) = (Queue::bounded(1), Rc::new(2));
    let make = || {
        yield_now();
        item.clone()
    };
    let faster = faster(&queue);
    select! {
        done = queue.put(make()) => panic!("{done:?}"),
        _ = after(MS) => {}
    }
    faster.join().unwrap();
    assert_eq!((Rc::strong_count(&item), queue.len()), (1, 1));
    assert_eq!(format!("{queue:?}"), "Queue(1 items of 1, 0 getting, 0 putting)");
}

#[test]
fn select_sees_that_a_queue_is_closed() {
    let queue: Queue<u32> = Queue::bounded(1);
    let never = Event::new();
    queue.close();
    let got = select! { item = queue.get() => item, _ = never.wait() => Ok(0) };
    assert_eq!(got, Err(GetError::Closed));
    let put = select! { done = queue.put(5) => done, _ = never.wait() => Ok(()) };
    assert!(matches!(put, Err(PutError::Closed(5))));
}

#[test]
fn a_loop_can_be_left_and_continued_from_an_arm() {
    let (queue, stop) = (Queue::unbounded(), Event::new());
    for n in 0..3 {
        queue.put(n).unwrap();
    }
    let mut sum = 0;
    loop {
        select! {
            n = queue.get() => {
                if n == Ok(1) {
                    continue;
                }
                sum += n.unwrap();
                if queue.is_empty() {
                    stop.set();
                    break;
                }
            }
            _ = stop.wait() => break,
        }
    }
    assert_eq!(sum, 2);
}

#[test]
fn a_selector_that_loses_its_item_to_another_keeps_its_place() {
    let (queue, never) = (Queue::unbounded(), Event::new());
    let log = Rc::new(RefCell::new(Vec::new()));
    let selector = spawn({
        let (queue, never, log) = (queue.clone(), never.clone(), log.clone());
        move || {
            select! {
                item = queue.get() => log.borrow_mut().push(("selector", item.unwrap())),
                _ = never.wait() => unreachable!(),
            }
        }
    });
    yield_now();
    let getter = spawn({
        let (queue, log) = (queue.clone(), log.clone());
        move || {
            let item = queue.get().unwrap();
            log.borrow_mut().push(("getter", item))
        }
    });
    yield_now();
    queue.put(1).unwrap();
    assert_eq!(queue.try_get(), Ok(1)); // the root is faster
    yield_now();
    queue.put(2).unwrap();
    queue.put(3).unwrap();
    join_all([selector, getter]);
    assert_eq!(*log.borrow(), [("selector", 2), ("getter", 3)]);
}

#[test]
fn an_arm_that_has_called_and_is_not_taken_passes_the_call_on() {
    let (left, right) = (Queue::unbounded(), Queue::unbounded());
    let selector = spawn({
        let (left, right) = (left.clone(), right.clone());
        move || select! { item = left.get() => item, item = right.get() => item }
    });
    yield_now();
    let getter = spawn({
        let right = right.clone();
        move || right.get()
    });
    yield_now();
    left.put("left").unwrap();
    right.put("right").unwrap();
    assert_eq!(selector.join().unwrap(), Ok("left"));
    assert_eq!(getter.join().unwrap(), Ok("right"));
}

#[test]
fn a_killed_or_timed_out_selector_loses_nothing() {
    let (queue, permits) = (Queue::unbounded(), Semaphore::new(0));
    let select = |queue: Queue<u32>, permits: Semaphore| {
        select! { _ = queue.get() => {}, _ = permits.acquire() => {} }
    };
    let victim = spawn({
        let (q, p) = (queue.clone(), permits.clone());
        move || select(q, p)
    });
    yield_now();
    victim.kill();
    assert_eq!(timeout(MS, || select(queue.clone(), permits.clone())), Err(Elapsed));
    assert!(format!("{queue:?}").contains("0 getting") && format!("{permits:?}").contains("0 waiting"));
    queue.put(1).unwrap();
    permits.release();
    assert_eq!((queue.try_get(), permits.try_acquire()), (Ok(1), true));
}

#[test]
fn many_selectors_and_getters_share_out_all_items() {
    let (left, right) = (Queue::bounded(2), Queue::bounded(3));
    let sum = Rc::new(Cell::new(0));
    for number in 0..20 {
        let (left, right, sum) = (left.clone(), right.clone(), sum.clone());
        spawn(move || {
            loop {
                let got = match number % 3 {
                    0 => left.get(),
                    1 => right.get(),
                    _ => select! { item = left.get() => item, item = right.get() => item },
                };
                match got {
                    Ok(item) => sum.set(sum.get() + item),
                    Err(_) => break,
                }
                if number % 2 == 0 {
                    yield_now();
                }
            }
        });
    }
    for item in 1..=1000_u32 {
        select! {
            done = left.put(item) => done.unwrap(),
            done = right.put(item) => done.unwrap(),
        }
    }
    wait_all();
    left.close();
    right.close();
    wait_all();
    assert_eq!(sum.get(), 500_500);
}

// JO22: the iterator has no owner but the one that calls it.
#[test]
fn iwait_may_be_made_by_one_greenlet_and_used_by_another() {
    let event = Event::new();
    let mut coming = {
        let event = event.clone();
        // Made here, on the root, and used there.
        let events: &'static [&'static dyn Waitable] =
            Box::leak(Box::new([&*Box::leak(Box::new(event)) as &dyn Waitable]));
        iwait(events)
    };
    let user = spawn(move || coming.next());
    yield_now();
    event.set();
    assert!(user.wait_timeout(Duration::from_secs(10)), "the event has woken somebody else");
    assert_eq!(user.join().unwrap(), Some(0));
}

#[test]
fn references_and_greenlets_of_a_scope_can_be_waited_for_by_their_names() {
    fn first(
        event: &Event,
        semaphore: &Semaphore,
        queue: &Queue<u32>,
        object: &dyn Waitable,
    ) -> &'static str {
        select! {
            _ = event.wait() => "event",
            _ = semaphore.wait() => "semaphore",
            _ = queue.get() => "item",
            _ = object.wait() => "object",
        }
    }
    let (event, semaphore, queue) = (Event::new(), Semaphore::new(0), Queue::unbounded());
    greenloop::scope(|s| {
        let (quick, slow) = (s.spawn(|| ()), s.spawn(|| sleep(LONG)));
        assert_eq!(first(&event, &semaphore, &queue, &quick), "object");
        assert_eq!(wait_any(&[&&event, &slow, &quick]), 2);
        select! {
            _ = slow.wait() => panic!("it sleeps"),
            _ = quick.wait() => {}
        }
        event.set();
        assert_eq!(first(&event, &semaphore, &queue, &slow), "event");
        s.cancel();
    });
}

#[test]
fn the_object_of_an_arm_may_be_any_kind_of_reference() {
    fn by_reference(result: &AsyncResult<u32>, slots: &BoundedSemaphore, full: &&Queue<u32>) -> u32 {
        select! {
            _ = slots.acquire() => 0,
            done = full.put(1) => done.map_or(0, |()| 1),
            value = result.get() => value,
        }
    }
    fn by_mutable_reference(queue: &mut PriorityQueue<u32>, event: &mut Event) -> u32 {
        select! { _ = event.wait() => 0, done = queue.put(1) => done.map_or(0, |()| 1) }
    }
    struct Shared {
        result: Rc<AsyncResult<u32>>,
        job: Box<dyn Waitable>,
        channel: Rc<Channel<u32>>,
        slots: Rc<Semaphore>,
    }
    fn by_what_points_to_it(shared: &Shared) -> u32 {
        select! {
            _ = shared.job.wait() => 0,
            item = shared.channel.get() => item.unwrap(),
            _ = shared.slots.acquire() => 1,
            value = shared.result.get() => value,
        }
    }
    let (result, slots) = (AsyncResult::new(), Semaphore::new(0));
    result.set(7).unwrap();
    let full = Queue::bounded(1);
    full.put(0).unwrap();
    assert_eq!(by_reference(&result, &BoundedSemaphore::new(0), &&full), 7);
    assert_eq!(by_mutable_reference(&mut PriorityQueue::unbounded(), &mut Event::new()), 1);
    let shared = Shared {
        result: Rc::new(result),
        job: Box::new(Event::new()),
        channel: Rc::new(Channel::new()),
        slots: Rc::new(slots),
    };
    assert_eq!(by_what_points_to_it(&shared), 7);
}
