fn main() {
    let local = String::from("on the stack");
    greenloop::spawn(|| println!("{local}"));
}
