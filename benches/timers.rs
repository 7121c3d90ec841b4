//! What a timer costs beside so many others, for `valgrind --tool=callgrind`, which counts instructions exactly:
//!
//! ```sh
//! cargo bench --bench timers --no-run
//! for n in 100000 200000; do valgrind --tool=callgrind target/release/deps/timers-* 1000000 $n; done
//! ```
//!
//! The difference of the two counts is what 100,000 operations cost beside 1,000,000 pending timers.

use std::hint::black_box;
use std::time::Duration;

use greenloop::{Timeout, timeout};

fn main() {
    let mut numbers = std::env::args().skip(1).filter_map(|argument| argument.parse::<u64>().ok());
    let (pending, operations) = (numbers.next().unwrap_or(1_000), numbers.next().unwrap_or(100_000));
    // Spread over eleven days, in no order.
    let others: Vec<Timeout> = (0..pending)
        .map(|n| Timeout::new(Duration::from_micros(3_600_000_000 + n * 7_919 % 1_000_003 * 1_000_000)))
        .collect();
    others.iter().for_each(Timeout::start);
    for n in 0..operations {
        // Limits as servers have them, from a millisecond to a minute.
        let limit = Duration::from_millis(1 + n * 7_919 % 60_000);
        black_box(timeout(limit, || black_box(n))).unwrap();
    }
    println!("{operations} times armed and cancelled beside {pending} pending timers");
    std::process::exit(0);
}
