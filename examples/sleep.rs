//! While one greenlet sleeps, others run.
//!
//! Prints `function 2` after one second, `function 1` after two.

use greenloop::{join_all, sleep, spawn};
use std::time::Duration;

fn main() {
    let slow = spawn(|| {
        sleep(Duration::from_secs(2));
        println!("function 1");
    });
    let fast = spawn(|| {
        sleep(Duration::from_secs(1));
        println!("function 2");
    });
    join_all([slow, fast]);
}
