fn main() {
    let local = greenloop::spawn(|| 1);
    std::thread::spawn(move || drop(local));
}
