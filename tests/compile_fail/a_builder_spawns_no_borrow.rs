fn main() {
    let local = String::from("on the stack");
    let _ = greenloop::Builder::new().spawn(|| println!("{local}"));
}
