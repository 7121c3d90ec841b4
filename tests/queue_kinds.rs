//! What all queues with room inside have in common, kind by kind; and the order of each.

mod common;

use std::cmp::Ordering;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use common::{Flag, LONG, Log, OnDrop, SHORT, ignore};
use greenloop::queue::{GetError, JoinableQueue, LifoQueue, PriorityQueue, PutError, Queue, SimpleQueue};
use greenloop::{LoopExit, join_all, select, sleep, spawn, timeout, wait_all, wait_any, yield_now};

/// The text of the panic with which `f` ends.
fn panic_of<T>(f: impl FnOnce() -> T) -> String {
    let payload = catch_unwind(AssertUnwindSafe(f)).err().expect("a panic");
    let text = payload.downcast_ref::<String>().cloned();
    text.or_else(|| payload.downcast_ref::<&str>().map(ToString::to_string)).expect("a text")
}

macro_rules! for_each_kind {
    ($($module:ident: $Kind:ident),*) => { $(mod $module {
        use super::*;

        type Subject<T> = $Kind<T>;

        fn parked_getter(queue: &Subject<u32>, log: &Log<u32>) -> greenloop::Greenlet<()> {
            let (queue, log) = (queue.clone(), log.clone());
            let g = spawn(move || ignore(queue.get().map(|item| log.add(item))));
            yield_now();
            g
        }

        // QU01, QU04
        #[test]
        fn one_item_fits_into_a_queue_for_one() {
            let queue = Subject::bounded(1);
            assert!(queue.is_empty() && !queue.is_full());
            assert_eq!(queue.try_put(1), Ok(()));
            assert_eq!(queue.try_put(2), Err(PutError::Full(2)));
            assert_eq!((queue.len(), queue.is_full(), queue.capacity()), (1, true, Some(1)));
            assert_eq!(queue.try_get(), Ok(1));
            assert_eq!(queue.try_get(), Err(GetError::Empty));
        }

        // QU02, QU40
        #[test]
        fn a_put_wakes_a_parked_getter_which_runs_later() {
            let (queue, log) = (Subject::bounded(1), Log::new());
            let g = parked_getter(&queue, &log);
            queue.try_put(5).unwrap();
            assert_eq!((log.len(), queue.len()), (0, 1));
            yield_now();
            assert!(g.is_finished() && queue.is_empty());
            assert_eq!(log.take(), [5]);
        }

        // QU06, QU08
        #[test]
        fn a_peek_leaves_the_item_inside() {
            let queue = Subject::bounded(1);
            assert_eq!(queue.try_peek(), Err(GetError::Empty));
            assert_eq!(queue.peek_timeout(SHORT), Err(GetError::Empty));
            let peek = spawn({ let queue = queue.clone(); move || queue.peek() });
            yield_now();
            queue.put(1).unwrap();
            assert_eq!(peek.join().unwrap(), Ok(1));
            assert_eq!((queue.try_peek(), queue.len(), queue.is_full()), (Ok(1), 1, true));
            assert_eq!(queue.get(), Ok(1));
        }

        // QU07
        #[test]
        fn a_get_that_nobody_can_end_panics_with_a_report() {
            let queue = Subject::<u32>::unbounded();
            let payload = catch_unwind(AssertUnwindSafe(|| queue.get())).unwrap_err();
            assert!(LoopExit::from_panic(&*payload).is_some());
        }

        // QU10
        #[test]
        fn as_many_getters_are_served_as_items_are_put() {
            let (queue, log) = (Subject::unbounded(), Log::new());
            (0..4).for_each(|_| drop(parked_getter(&queue, &log)));
            let served = [1, 1, 2].map(|burst| {
                (0..burst).for_each(|item| queue.put(item).unwrap());
                wait_all();
                log.len()
            });
            assert_eq!(served, [1, 2, 4]);
        }

        // QU11, QU14, QU31, QU35
        #[test]
        fn getters_that_gave_up_take_nothing() {
            let queue = Subject::unbounded();
            assert_eq!(queue.get_timeout(Duration::ZERO), Err(GetError::Empty));
            assert_eq!(queue.get_timeout(SHORT), Err(GetError::Empty));
            // The time of an outer scope is not taken for the call's own.
            assert!(timeout(SHORT, || queue.get_timeout(LONG)).is_err());
            queue.put(1).unwrap();
            wait_all();
            assert_eq!(queue.get_timeout(LONG), Ok(1));
        }

        // QU36, QU42
        #[test]
        fn putters_that_gave_up_put_nothing() {
            let queue = Subject::bounded(1);
            queue.put(1).unwrap();
            assert_eq!(queue.put_timeout(2, SHORT), Err(PutError::Full(2)));
            assert!(timeout(SHORT, || queue.put_timeout(3, LONG)).is_err());
            assert!(timeout(SHORT, || queue.put(4)).is_err());
            assert_eq!((queue.try_get(), queue.try_get()), (Ok(1), Err(GetError::Empty)));
        }

        // QU09, QU30, QU40
        #[test]
        fn putters_wait_for_room_in_the_order_in_which_they_came() {
            let queue = Subject::bounded(1);
            queue.put(0).unwrap();
            let putters = [1, 2, 3].map(|n| {
                let queue = queue.clone();
                spawn(move || match n { 2 => queue.put_timeout(n, LONG), _ => queue.put(n) })
            });
            yield_now();
            let mut got = Vec::new();
            for _ in 0..4 {
                got.push(queue.get().unwrap());
                yield_now();
            }
            assert_eq!(got, [0, 1, 2, 3]);
            assert!(join_all(putters).into_iter().all(|put| put.unwrap().is_ok()));
        }

        // QU41
        #[test]
        fn killing_a_getter_loses_no_item() {
            let (queue, log) = (Subject::unbounded(), Log::new());
            let getters = [(); 3].map(|()| parked_getter(&queue, &log));
            getters[0].kill();
            getters[1].kill_nowait(); // not dead yet when the item comes
            queue.put(1).unwrap();
            wait_all();
            assert_eq!(log.take(), [1]);
        }

        // QU42
        #[test]
        fn a_putter_killed_while_parked_inserts_nothing() {
            let queue = Subject::bounded(1);
            queue.put(1).unwrap();
            let putters = [2, 3].map(|n| {
                let queue = queue.clone();
                spawn(move || queue.put(n))
            });
            yield_now();
            putters[0].kill_nowait();
            assert_eq!(queue.get(), Ok(1));
            wait_all();
            assert_eq!((queue.try_get(), queue.try_get()), (Ok(3), Err(GetError::Empty)));
        }

        // QU26
        #[test]
        fn a_closed_queue_takes_nothing_and_gives_what_is_inside() {
            let queue = Subject::bounded(3).with_items([1, 1]);
            queue.close();
            assert!(queue.is_closed());
            assert_eq!(queue.put(3), Err(PutError::Closed(3)));
            assert_eq!(queue.try_put(3), Err(PutError::Closed(3)));
            assert_eq!(queue.put_timeout(3, LONG), Err(PutError::Closed(3)));
            assert_eq!((queue.peek(), queue.get(), queue.get_timeout(LONG)), (Ok(1), Ok(1), Ok(1)));
            assert_eq!(queue.get(), Err(GetError::Closed));
            assert_eq!(queue.try_get(), Err(GetError::Closed));
            assert_eq!(queue.get_timeout(LONG), Err(GetError::Closed));
            assert_eq!((queue.peek(), queue.try_peek()), (Err(GetError::Closed), Err(GetError::Closed)));
        }

        // QU27, QU28
        #[test]
        fn closing_at_once_drops_what_is_inside_and_wakes_everybody() {
            let full = Subject::bounded(2).with_items([1, 2]);
            let empty = Subject::<u32>::unbounded();
            let putter = spawn({ let full = full.clone(); move || full.put(3) });
            let getter = spawn({ let empty = empty.clone(); move || empty.get() });
            yield_now();
            full.close_now();
            empty.close_now();
            assert_eq!((full.len(), full.is_closed()), (0, true));
            assert_eq!((full.get(), full.try_get()), (Err(GetError::Closed), Err(GetError::Closed)));
            assert_eq!((full.peek(), full.get_timeout(LONG)), (Err(GetError::Closed), Err(GetError::Closed)));
            assert_eq!(putter.join().unwrap(), Err(PutError::Closed(3)));
            assert_eq!(getter.join().unwrap(), Err(GetError::Closed));
            full.close_now();
            full.close();
            assert_eq!((&full).into_iter().next(), None);
        }

        // QU27: of a queue that was closed in order before.
        #[test]
        fn a_closed_queue_can_still_be_closed_at_once() {
            let queue = Subject::unbounded().with_items([1, 1]);
            queue.close();
            assert_eq!(queue.get(), Ok(1));
            queue.close_now();
            assert_eq!(queue.get(), Err(GetError::Closed));
        }

        // QU32
        #[test]
        fn initial_items_must_fit() {
            let queue = Subject::bounded(3).with_items([1, 1, 1]);
            assert!(queue.is_full());
            let text = panic_of(|| Subject::bounded(2).with_items([1, 1, 1]));
            assert!(text.contains(concat!(stringify!($Kind), "(2 items of 2")), "{text}");
            let queue: Subject<u32> = (0..5).collect();
            assert_eq!((queue.len(), queue.capacity()), (5, None));
        }

        // QU38
        #[test]
        fn room_for_nothing_is_refused() {
            assert!(panic_of(|| Subject::<u32>::bounded(0)).contains("0 items"));
        }

        // QU43
        #[test]
        fn tries_never_switch() {
            let (queue, other) = (Subject::bounded(1), Flag::new());
            drop(spawn({ let other = other.clone(); move || other.raise() }));
            for n in 0..1_000 {
                assert_eq!(queue.try_get(), Err(GetError::Empty));
                queue.try_put(n).unwrap();
                assert!(queue.try_put(n).is_err());
                assert_eq!(queue.try_get(), Ok(n));
            }
            assert!(!other.is_up());
        }

        #[test]
        fn a_select_puts_and_gets_and_a_wait_does_neither() {
            let queue = Subject::bounded(1);
            let putter = spawn({
                let queue = queue.clone();
                move || [1, 2].map(|item| select! { done = queue.put(item) => done })
            });
            assert_eq!(wait_any(&[&queue]), 0);
            assert_eq!(queue.len(), 1);
            let got = [(); 2].map(|()| select! { item = queue.get() => item });
            assert_eq!((got, putter.join().unwrap()), ([Ok(1), Ok(2)], [Ok(()), Ok(())]));
        }

        #[test]
        fn an_iteration_ends_when_the_queue_is_closed_and_empty() {
            let queue = Subject::bounded(2);
            let consumer = spawn({ let queue = queue.clone(); move || queue.into_iter().collect::<Vec<_>>() });
            (0..10).for_each(|n| queue.put(n).unwrap());
            queue.close();
            let mut items = consumer.join().unwrap();
            items.sort_unstable();
            assert_eq!(items, Vec::from_iter(0..10));
        }
    })* };
}

for_each_kind!(queue: Queue, lifo: LifoQueue, priority: PriorityQueue, joinable: JoinableQueue);

// QU27
#[test]
fn items_dropped_by_closing_at_once_find_the_queue_closed_and_empty() {
    let (queue, log) = (Queue::<Option<Box<dyn std::any::Any>>>::unbounded(), Log::new());
    for n in 0..3 {
        let (inside, log) = (queue.clone(), log.clone());
        let item = OnDrop(move || log.add((n, inside.is_closed(), inside.len())));
        queue.put(Some(Box::new(item))).ok();
    }
    queue.close_now();
    assert_eq!(log.take(), [(0, true, 0), (1, true, 0), (2, true, 0)]);
    assert!(queue.put(None).is_err());
}

/// An item whose clone lets others run.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct SlowToClone(u32);

impl Clone for SlowToClone {
    fn clone(&self) -> Self {
        yield_now();
        SlowToClone(self.0)
    }
}

// QU06, QU27
#[test]
fn closing_at_once_drops_an_item_that_is_being_peeked_at_when_it_comes_back() {
    let queue = JoinableQueue::unbounded().with_items([SlowToClone(1), SlowToClone(2)]);
    let peek = spawn({
        let queue = queue.clone();
        move || queue.peek()
    });
    yield_now(); // it is in the middle of the clone
    assert_eq!(queue.len(), 2);
    queue.close_now();
    assert_eq!((queue.len(), queue.unfinished()), (0, 0));
    assert_eq!(peek.join().unwrap(), Ok(SlowToClone(1)));
    assert_eq!((queue.len(), queue.get()), (0, Err(GetError::Closed)));
}

/// What comes out of a queue if items are put while the next one is being peeked at.
macro_rules! order_around_a_peek {
    ($Kind:ident, $before:expr, $during:expr) => {{
        let queue: $Kind<_> = $before.into_iter().map(SlowToClone).collect();
        let peek = spawn({
            let queue = queue.clone();
            move || queue.peek().unwrap().0
        });
        yield_now();
        assert!(!peek.is_finished());
        $during.into_iter().for_each(|item| queue.put(SlowToClone(item)).unwrap());
        let peeked = peek.join().unwrap();
        queue.close();
        (peeked, queue.into_iter().map(|item| item.0).collect::<Vec<_>>())
    }};
}

// QU06
#[test]
fn a_peeked_item_goes_back_to_its_place() {
    assert_eq!(order_around_a_peek!(Queue, [1, 2], [3, 4]), (1, vec![1, 2, 3, 4]));
    assert_eq!(order_around_a_peek!(LifoQueue, [1, 2], [3, 4]), (2, vec![4, 3, 2, 1]));
    assert_eq!(order_around_a_peek!(PriorityQueue, [3, 2], [1, 4, 2]), (2, vec![1, 2, 2, 3, 4]));
}

#[test]
fn a_lifo_queue_gives_the_newest_first() {
    let queue = LifoQueue::unbounded();
    queue.put(1).unwrap();
    queue.put(2).unwrap();
    assert_eq!(queue.get(), Ok(2));
    queue.put(3).unwrap();
    assert_eq!((queue.get(), queue.get()), (Ok(3), Ok(1)));
}

// QU32
#[test]
fn a_priority_queue_gives_the_smallest_first() {
    let mut items: Vec<u64> = (0..1_000_u64).map(|n| n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 54).collect();
    let queue: PriorityQueue<_> = items.iter().copied().collect();
    queue.close();
    items.sort_unstable();
    assert_eq!(queue.into_iter().collect::<Vec<_>>(), items);
}

/// Compared by the first part alone; panics when told to.
#[derive(Clone, Debug)]
struct Job(u32, &'static str, Flag);

impl Job {
    fn new(priority: u32, name: &'static str, broken: &Flag) -> Job {
        Job(priority, name, broken.clone())
    }
}

impl Ord for Job {
    fn cmp(&self, other: &Job) -> Ordering {
        assert!(!self.2.is_up(), "expected: cannot compare");
        self.0.cmp(&other.0)
    }
}

impl PartialOrd for Job {
    fn partial_cmp(&self, other: &Job) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Job {
    fn eq(&self, other: &Job) -> bool {
        self.0 == other.0
    }
}

impl Eq for Job {}

// QU32
#[test]
fn equal_items_of_a_priority_queue_come_in_the_order_in_which_they_were_put() {
    let sound = Flag::new();
    let queue = PriorityQueue::unbounded();
    for (priority, name) in [(2, "c"), (1, "a"), (2, "d"), (1, "b"), (2, "e")] {
        queue.put(Job::new(priority, name, &sound)).unwrap();
    }
    assert_eq!(queue.peek().unwrap().1, "a");
    queue.close();
    assert_eq!(queue.into_iter().map(|job| job.1).collect::<Vec<_>>(), ["a", "b", "c", "d", "e"]);
}

// QU33, QU34
#[test]
fn a_comparison_that_panics_puts_nothing_and_takes_nothing() {
    let broken = Flag::new();
    let queue = PriorityQueue::bounded(4);
    for name in ["a", "b", "c"] {
        queue.put(Job::new(1, name, &broken)).unwrap();
    }
    broken.raise();
    type Put = fn(&PriorityQueue<Job>, Job) -> Result<(), PutError<Job>>;
    let puts: [Put; 3] = [PriorityQueue::put, PriorityQueue::try_put, |q, job| q.put_timeout(job, LONG)];
    for put in puts {
        let text = panic_of(|| put(&queue, Job::new(0, "x", &broken)));
        assert!(text.contains("expected"));
    }
    type Get = fn(&PriorityQueue<Job>) -> Result<Job, GetError>;
    let gets: [Get; 4] =
        [PriorityQueue::get, PriorityQueue::try_get, PriorityQueue::peek, |q| q.get_timeout(LONG)];
    for get in gets {
        assert!(panic_of(|| get(&queue)).contains("expected"));
    }
    assert_eq!(queue.len(), 3);
    broken.lower();
    queue.close();
    assert_eq!(queue.into_iter().map(|job| job.1).collect::<Vec<_>>(), ["a", "b", "c"]);
}

// QU33: after having parked. The room it was woken for goes to the next in line.
#[test]
fn a_putter_whose_comparison_panics_after_waiting_hands_the_room_on() {
    let (broken, sound) = (Flag::new(), Flag::new());
    let queue = PriorityQueue::bounded(2);
    queue.put(Job::new(1, "a", &sound)).unwrap();
    queue.put(Job::new(2, "b", &sound)).unwrap();
    let putters = [Job::new(3, "broken", &broken), Job::new(4, "next", &sound)].map(|job| {
        let queue = queue.clone();
        spawn(move || queue.put(job).is_ok())
    });
    yield_now();
    broken.raise();
    assert_eq!(queue.get().unwrap().1, "a");
    let [first, next] = putters.map(|putter| putter.join());
    assert!(first.unwrap_err().to_string().contains("expected"));
    assert!(next.unwrap());
    assert_eq!((queue.get().unwrap().1, queue.get().unwrap().1), ("b", "next"));
}

// QU34: the item it was woken for goes to the next in line.
#[test]
fn a_getter_whose_comparison_panics_hands_the_item_on() {
    let broken = Flag::new();
    let queue = PriorityQueue::<Job>::unbounded();
    let getters = [(); 2].map(|()| {
        let (queue, broken) = (queue.clone(), broken.clone());
        spawn(move || {
            let got = catch_unwind(AssertUnwindSafe(|| queue.get().unwrap().1));
            broken.lower();
            got.unwrap_or("panicked")
        })
    });
    yield_now();
    for name in ["a", "b", "c"] {
        queue.put(Job::new(1, name, &broken)).unwrap();
    }
    broken.raise();
    let got = join_all(getters).into_iter().map(Result::unwrap).collect::<Vec<_>>();
    assert_eq!((got, queue.len()), (vec!["panicked", "a"], 2));
}

/// An item that uses its queue when it is compared.
struct Meddler(u32, PriorityQueue<Meddler>, fn(&PriorityQueue<Meddler>));

impl Ord for Meddler {
    fn cmp(&self, other: &Meddler) -> Ordering {
        (self.2)(&self.1);
        self.0.cmp(&other.0)
    }
}

impl PartialOrd for Meddler {
    fn partial_cmp(&self, other: &Meddler) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Meddler {
    fn eq(&self, other: &Meddler) -> bool {
        self.0 == other.0
    }
}

impl Eq for Meddler {}

#[test]
fn a_comparison_may_ask_for_the_length_and_is_told_if_it_does_more() {
    let queue = PriorityQueue::unbounded();
    queue.put(Meddler(1, queue.clone(), |queue| assert_eq!(queue.len(), 1))).ok();
    queue.put(Meddler(2, queue.clone(), |queue| assert_eq!(queue.len(), 1))).ok();
    let text = panic_of(|| queue.put(Meddler(3, queue.clone(), |queue| drop(queue.try_get()))).is_ok());
    assert!(text.contains("PriorityQueue") && text.contains("Ord"), "{text}");
    assert_eq!(queue.len(), 2);
    queue.close_now(); // the items hold the queue that holds them
}

// QU22
#[test]
fn a_task_that_is_done_too_often_is_refused_by_name() {
    let queue = JoinableQueue::bounded(3).with_items(["task"]);
    queue.task_done();
    let text = panic_of(|| queue.task_done());
    assert!(text.contains("JoinableQueue(1 items of 3") && text.contains("0 unfinished"), "{text}");
    assert!(text.contains("once for each item"), "{text}");
    assert!(panic_of(|| JoinableQueue::<()>::unbounded().task_done()).contains("task_done"));
    queue.close_now(); // done before it was got: that is not counted twice
    assert_eq!(queue.unfinished(), 0);
}

// QU23
#[test]
fn a_join_returns_when_all_tasks_are_done_and_the_queue_can_go_on() {
    let (queue, sum) = (JoinableQueue::unbounded(), Log::new());
    let workers = [(); 2].map(|()| {
        let (queue, sum) = (queue.clone(), sum.clone());
        spawn(move || {
            for item in &queue {
                sleep(Duration::from_micros(10));
                sum.add(item);
                queue.task_done();
            }
        })
    });
    for _ in 0..2 {
        (0..100_u32).for_each(|item| queue.put(item).unwrap());
        assert_eq!(queue.unfinished(), 100);
        queue.join();
        assert_eq!(sum.take().into_iter().sum::<u32>(), 4950);
        queue.join();
        assert!(queue.join_timeout(Duration::ZERO));
    }
    assert!(panic_of(|| queue.task_done()).contains("more often"));
    queue.close();
    join_all(workers);
}

// QU24
#[test]
fn initial_items_are_tasks() {
    let queue: JoinableQueue<_> = [1, 2, 3].into_iter().collect();
    for left in [3, 2, 1] {
        assert_eq!(queue.unfinished(), left);
        assert!(!queue.join_timeout(Duration::from_millis(1)));
        queue.task_done();
    }
    assert!(queue.join_timeout(Duration::ZERO));
    assert_eq!(queue.len(), 3);
}

// QU25
#[test]
fn a_join_of_a_queue_that_was_never_used_does_not_switch() {
    let other = Flag::new();
    drop(spawn({
        let other = other.clone();
        move || other.raise()
    }));
    let queue = JoinableQueue::<()>::unbounded();
    queue.join();
    assert!(queue.join_timeout(LONG));
    assert!(!other.is_up());
}

// QU26
#[test]
fn tasks_of_a_closed_queue_can_still_be_done() {
    let queue = JoinableQueue::unbounded().with_items([1, 2]);
    queue.close();
    assert!(queue.put(3).is_err());
    let joiner = spawn({
        let queue = queue.clone();
        move || queue.join()
    });
    for item in [1, 2] {
        yield_now();
        assert!(!joiner.is_finished());
        assert_eq!(queue.get(), Ok(item));
        queue.task_done();
    }
    joiner.join().unwrap();
    assert_eq!(queue.get(), Err(GetError::Closed));
}

// QU27
#[test]
fn closing_at_once_counts_what_is_inside_as_done() {
    let queue = JoinableQueue::unbounded().with_items([1, 2, 3]);
    let joiner = spawn({
        let queue = queue.clone();
        move || queue.join()
    });
    assert_eq!(queue.get(), Ok(1));
    yield_now();
    queue.close_now();
    yield_now();
    // What was got before is still to be done.
    assert_eq!((queue.unfinished(), joiner.is_finished()), (1, false));
    queue.task_done();
    joiner.join().unwrap();
    assert!(panic_of(|| queue.task_done()).contains("task_done"));
}

// QU23: as with a pool, it was done at least once.
#[test]
fn a_join_that_was_woken_returns_though_new_tasks_have_come() {
    let queue = JoinableQueue::unbounded().with_items([1]);
    let joiners = [(); 3].map(|()| {
        let queue = queue.clone();
        spawn(move || queue.join_timeout(LONG))
    });
    yield_now();
    queue.task_done();
    queue.put(2).unwrap();
    assert!(join_all(joiners).into_iter().all(|joined| joined.unwrap()));
    assert_eq!(queue.unfinished(), 1);
}

#[test]
fn a_join_can_be_killed_and_can_run_out_of_time() {
    let queue = JoinableQueue::unbounded().with_items([1]);
    let joiner = spawn({
        let queue = queue.clone();
        move || queue.join()
    });
    yield_now();
    joiner.kill();
    assert!(joiner.join().unwrap_err().is_killed());
    assert!(timeout(SHORT, || queue.join()).is_err());
    assert!(!queue.join_timeout(SHORT));
    assert_eq!(format!("{queue:?}"), "JoinableQueue(1 items, 0 getting, 0 putting, 1 unfinished, 0 joining)");
    let payload = catch_unwind(AssertUnwindSafe(|| queue.join())).unwrap_err();
    assert!(LoopExit::from_panic(&*payload).unwrap().report().contains("tasks to be done"));
}

// QU33: a task is counted only if its item is inside.
#[test]
fn puts_that_fail_are_no_tasks() {
    let queue = JoinableQueue::bounded(1).with_items([1]);
    assert!(queue.try_put(2).is_err());
    assert!(queue.put_timeout(2, SHORT).is_err());
    let putter = spawn({
        let queue = queue.clone();
        move || queue.put(2)
    });
    yield_now();
    putter.kill();
    queue.close();
    assert!(queue.put(2).is_err());
    assert_eq!(queue.unfinished(), 1);
}

#[test]
fn dropping_the_last_handle_drops_the_items_inside() {
    let item = Rc::new(());
    let lifo: LifoQueue<_> = [item.clone()].into_iter().collect();
    let priority: PriorityQueue<_> = [item.clone()].into_iter().collect();
    let joinable: JoinableQueue<_> = [item.clone()].into_iter().collect();
    assert_eq!(Rc::strong_count(&item), 4);
    drop((lifo, priority, joinable));
    assert_eq!(Rc::strong_count(&item), 1);
}

#[test]
fn a_simple_queue_is_a_queue() {
    let queue: Queue<u32> = SimpleQueue::bounded(1);
    assert_eq!(queue.try_put(1), Ok(()));
}
