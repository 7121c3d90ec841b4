//! Lazy maps over a group or a pool.

mod net_support;

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use greenloop::pool::{Group, Pool};
use greenloop::queue::Queue;
use greenloop::testing::{for_each_seed, wait_all_parked};
use greenloop::{Handle, on_spawn, sleep, spawn, timeout, wait_all, yield_now};
use net_support::{Flag, LONG, Log, Numbers, SHORT, ms, panic_of, spawn_parked, text_of};

// IM01
#[test]
fn imap_gives_its_results_in_order_and_then_ends() {
    for size in [1, 2, 3, 10] {
        let pool = Pool::new(size);
        assert_eq!(
            pool.imap(0..10, |n| n * n).collect::<Vec<_>>(),
            (0..10).map(|n| n * n).collect::<Vec<_>>()
        );
        let mut one_by_one = pool.imap(0..10, |n| n * n);
        for n in 0..10 {
            assert_eq!(one_by_one.next(), Some(n * n));
        }
        assert_eq!((one_by_one.next(), one_by_one.next()), (None, None));
        assert_eq!(pool.free_count(), size);
    }
}

// IM01
#[test]
fn imap_over_nothing_ends_at_once() {
    assert_eq!(Pool::new(1).imap(Vec::<u8>::new(), |n| n).next(), None);
    assert_eq!(Pool::new(0).imap_unordered(Vec::<u8>::new(), |n| n).next(), None);
}

// IM02, IM03
#[test]
fn imap_keeps_the_order_of_many_items_with_random_delays() {
    for size in [1, 2, 10, usize::MAX] {
        let mut numbers = Numbers(7);
        let input: Vec<_> = (0..1000).map(|n| (n, numbers.below(8))).collect();
        let results = Pool::new(size).imap(input, |(n, turns)| {
            (0..turns).for_each(|_| yield_now());
            n
        });
        assert!(results.eq(0..1000), "size {size}");
    }
}

// IM04
#[test]
fn imap_unordered_gives_every_result_once() {
    let pool = Pool::new(10);
    for delays in [1, 8] {
        let mut numbers = Numbers(7);
        let input: Vec<_> = (0..1000).map(|n| (n, numbers.below(delays))).collect();
        let results = pool.imap_unordered(input, |(n, turns)| {
            (0..turns).for_each(|_| yield_now());
            n
        });
        let mut results: Vec<_> = results.collect();
        assert_eq!(results.is_sorted(), delays == 1, "the order of completion");
        results.sort_unstable();
        assert!(results.into_iter().eq(0..1000));
    }
}

// IM06
#[test]
fn imap_unordered_gives_the_order_of_completion() {
    for (size, expected) in [(3, [1, 20, 100]), (1, [100, 1, 20])] {
        let results = Pool::new(size).imap_unordered([100, 1, 20], |pause| {
            sleep(ms(pause));
            pause
        });
        assert_eq!(results.collect::<Vec<_>>(), expected, "size {size}");
    }
}

// IM07
#[test]
fn an_input_that_ends_long_after_its_last_item_does_not_hold_the_results_up() {
    fn check(results: impl Iterator<Item = i32>, input: &Queue<i32>) {
        let mut results = results;
        assert_eq!((results.next(), results.next(), results.next()), (Some(0), Some(10), Some(20)));
        let input = input.clone();
        spawn(move || {
            sleep(SHORT);
            input.close();
        });
        assert_eq!(results.next(), None);
    }
    let pool = Pool::new(2);
    for unordered in [false, true] {
        let input = Queue::unbounded();
        (0..3).for_each(|n| input.put(n).unwrap());
        match unordered {
            false => check(pool.imap(input.clone(), |n| n * 10), &input),
            true => check(pool.imap_unordered(input.clone(), |n| n * 10), &input),
        }
    }
}

// IM08
#[test]
fn an_input_may_sleep_after_its_last_item() {
    let input = || {
        let mut n = 0;
        std::iter::from_fn(move || {
            n += 1;
            if n > 3 {
                sleep(SHORT);
                return None;
            }
            Some(n)
        })
    };
    for size in [1, 2, 10] {
        assert_eq!(Pool::new(size).imap(input(), |n| n).collect::<Vec<_>>(), [1, 2, 3]);
        assert_eq!(Pool::new(size).imap_unordered(input(), |n| n).count(), 3);
    }
}

// IM10, IM11
#[test]
fn a_panic_of_the_function_comes_in_the_place_of_its_result_and_the_iteration_goes_on() {
    fn check(mut results: impl Iterator<Item = i32>) {
        assert_eq!(results.next(), Some(0));
        let payload = catch_unwind(AssertUnwindSafe(|| results.next())).unwrap_err();
        assert_eq!(text_of(&*payload), "no 1");
        assert_eq!((results.next(), results.next()), (Some(2), None));
    }
    let pool = Pool::new(1);
    let function = |n| if n == 1 { panic!("no 1") } else { n };
    check(pool.imap(0..3, function));
    check(pool.imap_unordered(0..3, function));
    assert_eq!(pool.free_count(), 1);
}

// IM12
#[test]
fn a_panic_of_the_input_comes_last() {
    fn check(mut results: impl Iterator<Item = i32>) {
        assert_eq!((results.next(), results.next()), (Some(0), Some(1)));
        assert_eq!(panic_of(|| results.next()), "no input");
        assert_eq!(results.next(), None);
    }
    let pool = Pool::new(3);
    let input = || (0..5).map(|n| if n == 2 { panic!("no input") } else { n });
    check(pool.imap(input(), |n| n));
    check(pool.imap_unordered(input(), |n| n));
}

// IM13
#[test]
fn the_input_is_taken_before_anybody_asks_for_a_result() {
    let (pool, log) = (Pool::new(2), Log::new());
    let seen = log.clone();
    let results = pool.imap((0..4).inspect(move |&n| seen.add(n)), |n| n);
    assert_eq!(log.len(), 0, "making it has switched");
    sleep(SHORT);
    assert_eq!(log.take(), [0, 1, 2, 3]);
    assert!(results.eq(0..4));
}

// IM13, PO27
#[test]
fn the_input_is_taken_only_as_slots_become_free() {
    let (pool, taken, gate) = (Pool::new(2), Log::new(), Queue::unbounded());
    let (seen, inside) = (taken.clone(), gate.clone());
    let mut results = pool.imap((0..10).inspect(move |&n| seen.add(n)), move |n| {
        inside.get().unwrap();
        n
    });
    sleep(SHORT);
    // Two run and the third waits for a slot.
    assert_eq!(taken.take(), [0, 1, 2]);
    gate.put(()).unwrap();
    assert_eq!(results.next(), Some(0));
    yield_now();
    assert_eq!(taken.take(), [3]);
    (0..9).for_each(|_| gate.put(()).unwrap());
    assert!(results.eq(1..10));
}

#[test]
fn dropping_the_iterator_kills_what_it_has_started_and_takes_no_more_input() {
    let (pool, log) = (Pool::new(2), Log::new());
    let (seen, inside) = (log.clone(), log.clone());
    let results = pool.imap((0..10).inspect(move |&n| seen.add(n)), move |_| {
        sleep(LONG);
        inside.add(-1);
    });
    sleep(SHORT);
    drop(results);
    wait_all();
    assert_eq!((log.take(), pool.free_count(), pool.len()), (vec![0, 1, 2], 2, 0));
}

#[test]
fn an_iterator_that_is_dropped_before_its_first_turn_takes_nothing() {
    let (pool, log) = (Pool::new(2), Log::new());
    let seen = log.clone();
    drop(pool.imap_unordered((0..10).inspect(move |&n| seen.add(n)), |n| n));
    wait_all();
    assert_eq!((log.take(), pool.free_count()), (vec![], 2));
}

// PO20
#[test]
fn an_item_whose_greenlet_was_killed_is_a_panic_that_says_so() {
    let pool = Pool::new(2);
    let mut results = pool.imap(0..2, |n| {
        if n == 0 {
            sleep(LONG);
        }
        n
    });
    sleep(SHORT);
    pool.kill();
    let text = panic_of(|| results.next());
    assert!(text.contains("killed"), "{text}");
    assert_eq!((results.next(), results.next()), (Some(1), None));
}

#[test]
fn a_consumer_that_is_killed_or_timed_out_loses_no_result() {
    let pool = Pool::new(2);
    let mut results = pool.imap(0..3, |n| {
        sleep(ms(20));
        n
    });
    assert!(timeout(SHORT, || results.next()).is_err());
    assert_eq!(results.next(), Some(0));
    let done = Flag::default();
    let inside = done.clone();
    let consumer = spawn_parked(move || {
        assert_eq!(results.next(), Some(1));
        inside.raise();
        sleep(LONG);
        drop(results);
    });
    sleep(SHORT);
    consumer.kill();
    assert!(consumer.join().unwrap_err().is_killed());
    wait_all();
    assert_eq!(pool.free_count(), 2);
}

#[test]
fn two_maps_share_a_pool_fairly() {
    let (pool, log) = (Pool::new(2), Log::new());
    let start = |name| {
        let log = log.clone();
        pool.imap(0..50, move |n| {
            yield_now();
            log.add((name, n));
        })
    };
    let (a, b) = (start('a'), start('b'));
    assert_eq!((a.count(), b.count()), (50, 50));
    let log = log.take();
    let halfway = log.iter().position(|&entry| entry == ('a', 49)).unwrap();
    let of_b = log[..halfway].iter().filter(|(name, _)| *name == 'b').count();
    assert!(of_b >= 40, "b had {of_b} turns when a had 50");
}

// IM09
#[test]
fn a_limited_imap_runs_ahead_of_a_slow_consumer_by_no_more_than_that() {
    fn check(maxsize: usize, started: &Log<i32>, results: impl Iterator<Item = i32>) {
        let (mut got, mut calls) = (Vec::new(), 0);
        for result in results {
            got.push(result);
            if result % 10 == 0 {
                sleep(ms(1)); // a slow consumer
            }
            calls += started.take().len();
            assert!(calls <= got.len() + maxsize, "{calls} calls have started when {} were taken", got.len());
        }
        got.sort_unstable();
        assert!(got.into_iter().eq((0..200).step_by(2)));
    }
    for maxsize in [0, 1, 5] {
        // Two inputs at once.
        let input = || (0..100).zip(0..100);
        let started = Log::new();
        let function = || {
            let started = started.clone();
            move |(a, b)| {
                started.add(a);
                (0..a % 3).for_each(|_| yield_now());
                a + b
            }
        };
        let pool = Pool::new(10);
        check(maxsize, &started, pool.imap_unordered(input(), function()).maxsize(maxsize));
        check(maxsize, &started, pool.imap(input(), function()).maxsize(maxsize));
        check(maxsize, &started, Group::new().imap(input(), function()).maxsize(maxsize));
        assert_eq!(pool.free_count(), 10);
    }
}

// IM09
#[test]
fn a_limited_imap_takes_no_more_input_than_it_starts() {
    let (pool, taken) = (Pool::new(10), Log::new());
    let seen = taken.clone();
    let mut results = pool.imap((0..).inspect(move |&n| seen.add(n)), |n| n).maxsize(2);
    sleep(ms(1));
    assert_eq!(taken.take(), [0, 1]);
    for n in 0..5 {
        assert_eq!(results.next(), Some(n));
        sleep(ms(1));
        assert_eq!(taken.take(), [n + 2]);
    }
    drop(results);
    wait_all();
    assert_eq!((taken.len(), pool.free_count()), (0, 10));
}

// IM09: a wait for a result that is interrupted takes none, and makes no room for good.
#[test]
fn an_interrupted_wait_leaves_the_limit_as_it_was() {
    let (pool, started, gate) = (Pool::new(10), Log::new(), Queue::unbounded());
    let (seen, inside) = (started.clone(), gate.clone());
    let mut results = pool.imap(0..100, move |n| {
        seen.add(n);
        inside.get().unwrap();
        n
    });
    results = results.maxsize(1);
    for _ in 0..5 {
        assert!(timeout(SHORT, || results.next()).is_err());
    }
    // One is asked for, and one is ahead.
    assert_eq!(started.take(), [0, 1]);
    (0..100).for_each(|_| gate.put(()).unwrap());
    assert!(results.eq(0..100));
}

// IM07, IM13: the input blocks, and the limit does not keep what is there from being given.
#[test]
fn an_input_that_blocks_holds_up_only_what_comes_after_it() {
    for maxsize in [0, 1, usize::MAX] {
        let (pool, input) = (Pool::new(3), Queue::unbounded());
        let mut results = pool.imap(input.clone(), |n| n).maxsize(maxsize);
        for n in 0..5 {
            input.put(n).unwrap();
            assert_eq!(results.next(), Some(n));
            assert!(timeout(SHORT, || results.next()).is_err());
        }
        input.close();
        assert_eq!(results.next(), None);
    }
}

// IM12: also with a limit, and of the way into the iterator.
#[test]
fn an_input_that_panics_at_once_is_the_only_result() {
    struct Broken;
    impl IntoIterator for Broken {
        type Item = i32;
        type IntoIter = std::iter::Empty<i32>;
        fn into_iter(self) -> Self::IntoIter {
            panic!("no input at all")
        }
    }
    let pool = Pool::new(1);
    for maxsize in [0, usize::MAX] {
        let mut results = pool.imap(Broken, |n| n).maxsize(maxsize);
        assert_eq!(panic_of(|| results.next()), "no input at all");
        assert_eq!(results.next(), None);
        let mut results = pool.imap_unordered(Broken, |n| n).maxsize(maxsize);
        assert_eq!(panic_of(|| results.next()), "no input at all");
        assert_eq!(results.next(), None);
    }
}

// PO20
#[test]
fn killing_the_pool_stops_the_feeding_of_an_imap_and_says_so() {
    let pool = Pool::new(2);
    let mut results = pool.imap(0.., |n| {
        sleep(if n < 2 { SHORT } else { LONG });
        n
    });
    assert_eq!((results.next(), results.next()), (Some(0), Some(1)));
    sleep(SHORT);
    pool.kill();
    assert_eq!((pool.len(), pool.free_count()), (0, 2));
    // Those that were started, and one last that says why there are no more.
    let mut killed = 0;
    while let Err(payload) = catch_unwind(AssertUnwindSafe(|| assert_eq!(results.next(), None))) {
        assert!(text_of(&*payload).contains("killed"));
        killed += 1;
    }
    assert!((3..=4).contains(&killed), "{killed}");
}

// GP13, IM13: what feeds the group waits for its input when the group is killed, for a slot, or for its first turn.
#[test]
fn an_imap_begins_nothing_after_a_kill_whatever_its_feeder_waits_for() {
    for_each_seed(300, |seed| {
        let (pool, items, begun) = (Pool::new(2), Queue::unbounded(), Log::new());
        (0..seed as u32 % 4).for_each(|n| items.put(n).unwrap());
        let log = begun.clone();
        let mut results = pool.imap(items.clone(), move |n: u32| {
            log.add(n);
            sleep(ms(1));
        });
        if seed % 5 > 0 {
            wait_all_parked();
        }
        if seed % 8 < 4 {
            pool.kill();
        } else {
            pool.kill_nowait();
        }
        let before = begun.len();
        (10..14).for_each(|n| items.put(n).unwrap());
        items.close();
        let ends = catch_unwind(AssertUnwindSafe(|| results.by_ref().for_each(drop)));
        assert!(ends.is_err(), "it says that it was killed");
        wait_all();
        assert_eq!(begun.len(), before);
        assert_eq!((pool.len(), pool.free_count()), (0, 2));
    });
}

// IM01: then exhausted. A spawn hook sees the feeder, and with its handle it can be killed alone.
#[test]
fn an_imap_whose_feeder_is_killed_says_so_and_ends() {
    fn check(mut next: impl FnMut() -> Option<u32>, feeder: &Handle, before: usize) {
        assert!((0..before).map(|_| next().unwrap()).eq(0..before as u32));
        feeder.kill_nowait();
        // Those that were started, and one last that says why there are no more.
        let mut killed = 0;
        while let Err(payload) = catch_unwind(AssertUnwindSafe(|| assert_eq!(next(), None))) {
            assert_eq!(text_of(&*payload), "no value: the greenlet was killed");
            killed += 1;
        }
        assert_eq!(killed, if before == 0 { 1 } else { 3 });
        assert_eq!(next(), None);
    }
    for before in [0, 2] {
        let (pool, feeders) = (Pool::new(2), Log::new());
        let hook = on_spawn({
            let feeders = feeders.clone();
            move |feeder| feeders.add(feeder.clone())
        });
        let slow = |n| {
            sleep(if n < 2 { SHORT } else { LONG });
            n
        };
        let mut ordered = pool.imap(0.., slow);
        let feeder = feeders.take().remove(0);
        check(|| ordered.next(), &feeder, before);
        let mut unordered = pool.imap_unordered(0.., slow);
        let feeder = feeders.take().pop().unwrap();
        check(|| unordered.next(), &feeder, before);
        drop(hook);
        assert_eq!((pool.len(), pool.free_count()), (0, 2));
    }
}

// IM10: it has not run when it is killed.
#[test]
fn a_job_that_a_spawn_hook_kills_fails_in_its_place_and_the_others_give_their_results() {
    let spawned = Cell::new(0);
    let hook = on_spawn(move |job| {
        spawned.set(spawned.get() + 1);
        // The feeder and two jobs, of either kind.
        if spawned.get() % 4 == 3 {
            job.kill();
        }
    });
    let mut ordered = Pool::new(2).imap(0..3_u32, |n| n);
    assert_eq!(ordered.next(), Some(0));
    assert!(panic_of(|| ordered.next()).contains("killed"));
    assert_eq!((ordered.next(), ordered.next()), (Some(2), None));
    let mut unordered = Pool::new(2).imap_unordered(0..3_u32, |n| n);
    let mut results: Vec<_> = (0..3)
        .map(|_| catch_unwind(AssertUnwindSafe(|| unordered.next())).unwrap_or(Some(u32::MAX)).unwrap())
        .collect();
    results.sort();
    assert_eq!((results, unordered.next()), (vec![0, 2, u32::MAX], None));
    drop(hook);
}

// IM10, IM12: the greenlet that the hook was told of runs on, so its result comes, and then what the hook has thrown.
#[test]
fn an_imap_that_a_spawn_hook_ends_gives_all_results_and_says_why() {
    for pauses in [false, true] {
        let mut results = Pool::new(2).imap(0..6_u32, |n| {
            yield_now();
            n
        });
        let spawned = Cell::new(0);
        let hook = on_spawn(move |_| {
            spawned.set(spawned.get() + 1);
            if spawned.get() == 3 {
                if pauses {
                    sleep(SHORT);
                }
                std::panic::panic_any("expected: the third is too much");
            }
        });
        assert!(results.by_ref().take(3).eq(0..3));
        assert_eq!(panic_of(|| _ = results.next()), "expected: the third is too much");
        assert_eq!(results.next(), None);
        drop(hook);
    }
}
