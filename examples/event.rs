//! One greenlet waits until another tells it to go on.
//!
//! Prints three lines, in this order: `func2: waiting for event`, `func1: setting event`, `func2: event captured`.

use greenloop::event::Event;
use greenloop::{join_all, sleep, spawn};
use std::time::Duration;

fn main() {
    let event = Event::new();
    let func1 = spawn({
        let event = event.clone();
        move || {
            sleep(Duration::from_millis(200));
            println!("func1: setting event");
            event.set();
        }
    });
    let func2 = spawn(move || {
        println!("func2: waiting for event");
        event.wait();
        println!("func2: event captured");
    });
    join_all([func1, func2]);
}
