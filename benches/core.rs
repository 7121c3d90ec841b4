//! What the core costs: switching, spawning, waiting, timers. `cargo bench --bench core`.
//!
//! The floors are bare corosensei coroutines, without kills, deadlines, panics or reports, measured in the same run: quote
//! ratios to them, absolute figures are those of the machine.

use std::cell::Cell;
use std::collections::VecDeque;
use std::hint::black_box;
use std::rc::Rc;
use std::time::{Duration, Instant};

use corosensei::stack::DefaultStack;
use corosensei::{Coroutine, CoroutineResult};
use criterion::{Criterion, criterion_group, criterion_main};
use greenloop::lock::{Mutex, OnceCell, ReentrantMutex, RwLock, Semaphore};
use greenloop::pool::Pool;
use greenloop::queue::{Channel, PriorityQueue, Queue};
use greenloop::{join_all, spawn, timeout, yield_now};

fn switch(c: &mut Criterion) {
    let mut group = c.benchmark_group("switch");
    group.bench_function("floor: bare corosensei, resume + suspend", |b| {
        let mut coroutine = Coroutine::<(), (), ()>::new(|yielder, ()| {
            loop {
                yielder.suspend(());
            }
        });
        b.iter(|| coroutine.resume(()).as_yield());
        // It never ends; its frames own nothing.
        std::mem::forget(coroutine);
    });
    group.bench_function("floor: bare corosensei through a queue", |b| {
        b.iter_custom(|rounds| {
            let mut queue: VecDeque<Coroutine<(), (), ()>> = (0..2)
                .map(|_| {
                    Coroutine::with_stack(DefaultStack::new(64 * 1024).unwrap(), move |yielder, ()| {
                        for _ in 0..rounds / 2 {
                            yielder.suspend(());
                        }
                    })
                })
                .collect();
            let start = Instant::now();
            while let Some(mut coroutine) = queue.pop_front() {
                if let CoroutineResult::Yield(()) = coroutine.resume(()) {
                    queue.push_back(coroutine);
                }
            }
            start.elapsed()
        });
    });
    for greenlets in [2_u64, 64, 4096] {
        group.bench_function(format!("yield_now among {greenlets}"), |b| {
            b.iter_custom(|rounds| {
                let each = rounds / greenlets + 1;
                let all = (0..greenlets).map(|_| spawn(move || (0..each).for_each(|_| yield_now())));
                let all: Vec<_> = all.collect();
                yield_now(); // the first turn touches the stacks
                let start = Instant::now();
                join_all(all);
                start.elapsed().mul_f64(rounds as f64 / (each * greenlets) as f64)
            });
        });
    }
}

fn spawning(c: &mut Criterion) {
    let mut group = c.benchmark_group("spawn + join");
    group.bench_function("an empty greenlet, 100 at a time", |b| {
        b.iter_custom(|rounds| {
            let start = Instant::now();
            for _ in 0..rounds.div_ceil(100) {
                join_all((0..100).map(|_| spawn(|| black_box(()))));
            }
            start.elapsed().mul_f64(rounds as f64 / (rounds.div_ceil(100) * 100) as f64)
        });
    });
    group.bench_function("an empty greenlet in a pool of 100", |b| {
        b.iter_custom(|rounds| {
            let pool = Pool::new(100);
            let start = Instant::now();
            for _ in 0..rounds {
                pool.spawn(|| black_box(()));
            }
            pool.join();
            start.elapsed()
        });
    });
    group.bench_function("an empty greenlet, one by one", |b| b.iter(|| spawn(|| black_box(1)).join()));
}

fn waiting(c: &mut Criterion) {
    let mut group = c.benchmark_group("waiting");
    group.bench_function("uncontended semaphore", |b| {
        let permits = Semaphore::new(1);
        b.iter(|| {
            permits.acquire();
            permits.release();
        });
    });
    group.bench_function("uncontended semaphore, by a permit", |b| {
        let permits = Semaphore::new(1);
        b.iter(|| permits.acquire_permit().is_some());
    });
    group.bench_function("uncontended mutex", |b| {
        let mutex = Mutex::new(0_u64);
        b.iter(|| *mutex.lock() += 1);
    });
    group.bench_function("uncontended reentrant mutex", |b| {
        let mutex = ReentrantMutex::new(Cell::new(0_u64));
        b.iter(|| mutex.lock().update(|count| count + 1));
    });
    group.bench_function("uncontended rwlock, read", |b| {
        let lock = RwLock::new(1_u64);
        b.iter(|| *lock.read());
    });
    group.bench_function("uncontended rwlock, write", |b| {
        let lock = RwLock::new(0_u64);
        b.iter(|| *lock.write() += 1);
    });
    group.bench_function("full once cell", |b| {
        let cell = OnceCell::from(1_u64);
        b.iter(|| *cell.get_or_init(|| 2));
    });
    for greenlets in [2_u64, 64] {
        group.bench_function(format!("mutex held over a yield, among {greenlets}"), |b| {
            b.iter_custom(|rounds| {
                let mutex = Rc::new(Mutex::new(0_u64));
                let each = rounds / greenlets + 1;
                let all = (0..greenlets).map(|_| {
                    let mutex = mutex.clone();
                    spawn(move || {
                        for _ in 0..each {
                            let mut count = mutex.lock();
                            yield_now();
                            *count += 1;
                        }
                    })
                });
                let all: Vec<_> = all.collect();
                let start = Instant::now();
                join_all(all);
                start.elapsed().mul_f64(rounds as f64 / (each * greenlets) as f64)
            });
        });
    }
    group.bench_function("queue of 1000, put + get of an item", |b| {
        b.iter_custom(|items| {
            let queue = Queue::bounded(1000);
            let sum = spawn({
                let queue = queue.clone();
                move || queue.into_iter().fold(0_u64, u64::wrapping_add)
            });
            let putter = spawn(move || {
                for item in 0..items {
                    queue.put(item).unwrap();
                }
                queue.close();
            });
            let start = Instant::now();
            putter.join().unwrap();
            black_box(sum.join().unwrap());
            start.elapsed()
        });
    });
    group.bench_function("put + get of an item through a priority queue of 1000", |b| {
        let queue = PriorityQueue::unbounded();
        let mut random = 1_u64;
        let mut next = || {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            random >> 32
        };
        (0..1000).for_each(|_| queue.put(next()).unwrap());
        b.iter(|| {
            queue.put(next()).unwrap();
            queue.get().unwrap()
        });
    });
    group.bench_function("rendezvous in a channel", |b| {
        b.iter_custom(|items| {
            let channel = Channel::new();
            let sum = spawn({
                let channel = channel.clone();
                move || channel.into_iter().fold(0_u64, u64::wrapping_add)
            });
            let putter = spawn(move || {
                for item in 0..items {
                    channel.put(item).unwrap();
                }
                channel.close();
            });
            let start = Instant::now();
            putter.join().unwrap();
            black_box(sum.join().unwrap());
            start.elapsed()
        });
    });
    group.bench_function("round trip through two channels", |b| {
        b.iter_custom(|rounds| {
            let (ping, pong) = (Channel::new(), Channel::new());
            let echo = spawn({
                let (ping, pong) = (ping.clone(), pong.clone());
                move || ping.into_iter().for_each(|item: u64| pong.put(item).unwrap())
            });
            let caller = spawn(move || {
                for item in 0..rounds {
                    ping.put(item).unwrap();
                    black_box(pong.get().unwrap());
                }
                ping.close();
            });
            let start = Instant::now();
            caller.join().unwrap();
            echo.join().unwrap();
            start.elapsed()
        });
    });
    group.bench_function("round trip through two queues of 1", |b| {
        b.iter_custom(|rounds| {
            let (ping, pong) = (Queue::bounded(1), Queue::bounded(1));
            let echo = spawn({
                let (ping, pong) = (ping.clone(), pong.clone());
                move || ping.into_iter().for_each(|item: u64| pong.put(item).unwrap())
            });
            let caller = spawn(move || {
                for item in 0..rounds {
                    ping.put(item).unwrap();
                    black_box(pong.get().unwrap());
                }
                ping.close();
            });
            let start = Instant::now();
            caller.join().unwrap();
            echo.join().unwrap();
            start.elapsed()
        });
    });
}

fn timing(c: &mut Criterion) {
    let mut group = c.benchmark_group("timeout");
    for pending in [0_u32, 100_000] {
        group.bench_function(format!("arm + cancel, {pending} others pending"), |b| {
            let others: Vec<_> = (0..pending)
                .map(|n| greenloop::spawn_later(Duration::from_secs(3600 + u64::from(n)), || ()))
                .collect();
            let counter = Cell::new(0_u64);
            b.iter(|| timeout(Duration::from_secs(5), || counter.set(counter.get() + 1)));
            greenloop::kill_all(&others);
        });
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().measurement_time(Duration::from_secs(2)).warm_up_time(Duration::from_millis(500));
    targets = switch, spawning, waiting, timing
}
criterion_main!(benches);
