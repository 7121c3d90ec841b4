fn main() {
    let local = greenloop::event::AsyncResult::<i32>::new();
    std::thread::spawn(move || drop(local));
}
