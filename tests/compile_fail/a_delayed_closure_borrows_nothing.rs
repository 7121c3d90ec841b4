fn main() {
    let local = String::from("on the stack");
    greenloop::spawn_later(std::time::Duration::ZERO, || println!("{local}"));
}
