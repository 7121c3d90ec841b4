fn main() {
    let local = greenloop::lock::Semaphore::new(1);
    std::thread::spawn(move || drop(local));
}
