fn main() {
    let local = greenloop::queue::Queue::<i32>::unbounded();
    std::thread::spawn(move || drop(local));
}
