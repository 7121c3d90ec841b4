//! A pool runs two greenlets at a time; the third spawn waits for a slot.
//!
//! Prints `1`, `2` and `3`, and before the last of them how long its spawn has waited.

use greenloop::pool::Pool;
use greenloop::sleep;
use std::time::{Duration, Instant};

fn print_value(value: u32) {
    println!("{value}");
    sleep(Duration::from_millis(500));
}

fn main() {
    let pool = Pool::new(2);
    pool.spawn(|| print_value(1));
    pool.spawn(|| print_value(2));
    let start = Instant::now();
    pool.spawn(|| print_value(3));
    println!("the third waited {:.1} s for a slot", start.elapsed().as_secs_f64());
    pool.join();
}
