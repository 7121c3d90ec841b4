fn main() {
    let local = greenloop::current();
    std::thread::spawn(move || drop(local));
}
