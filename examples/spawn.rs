//! Spawn a greenlet and ask it for its value.
//!
//! Prints `1 + 2 = 3`.

use greenloop::spawn;

fn add(x: i32, y: i32) -> i32 {
    x + y
}

fn main() {
    let sum = spawn(|| add(1, 2));
    println!("1 + 2 = {}", sum.join().unwrap());
}
