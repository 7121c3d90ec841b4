fn main() {
    let local = greenloop::event::Event::new();
    std::thread::spawn(move || drop(local));
}
