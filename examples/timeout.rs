//! A deadline over any code.
//!
//! Prints `timeout elapsed`.

use greenloop::{Elapsed, sleep, timeout};
use std::time::Duration;

fn main() {
    match timeout(Duration::from_millis(200), || sleep(Duration::from_secs(60))) {
        Ok(()) => println!("it was in time"),
        Err(Elapsed) => println!("timeout elapsed"),
    }
}
