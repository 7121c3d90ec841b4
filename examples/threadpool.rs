//! Four calls that block, on four threads: together they take as long as one.
//!
//! Prints `[(), (), (), ()]` and the time, about one second.

use greenloop::threadpool::ThreadPool;
use std::time::{Duration, Instant};

fn main() {
    let pool = ThreadPool::new(4);
    let start = Instant::now();
    println!("{:?}", pool.map([1, 1, 1, 1], |seconds| std::thread::sleep(Duration::from_secs(seconds))));
    println!(
        "Slept 1 s four times on 4 threads. Should take about 1 second: {:.3} s",
        start.elapsed().as_secs_f64()
    );
}
