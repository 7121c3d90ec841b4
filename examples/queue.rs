//! One greenlet makes items, another takes them; iteration ends when the queue is closed.
//!
//! Prints `1` and `2`.

use greenloop::queue::Queue;
use greenloop::{join_all, spawn};

fn main() {
    let queue = Queue::bounded(1);
    let producer = spawn({
        let queue = queue.clone();
        move || {
            for item in [1, 2] {
                queue.put(item).unwrap();
            }
            queue.close();
        }
    });
    let consumer = spawn(move || {
        for item in &queue {
            println!("{item}");
        }
    });
    join_all([producer, consumer]);
}
