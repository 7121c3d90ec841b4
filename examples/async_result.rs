//! One greenlet waits for a value from another.
//!
//! Prints three lines, in this order: `func2: waiting for result`, `func1: sending data`, `func2: result captured: nice!`.

use greenloop::event::AsyncResult;
use greenloop::{join_all, sleep, spawn};
use std::time::Duration;

fn main() {
    let result = AsyncResult::new();
    let func1 = spawn({
        let result = result.clone();
        move || {
            sleep(Duration::from_millis(200));
            println!("func1: sending data");
            result.set("nice!").unwrap();
        }
    });
    let func2 = spawn(move || {
        println!("func2: waiting for result");
        println!("func2: result captured: {}", result.get());
    });
    join_all([func1, func2]);
}
