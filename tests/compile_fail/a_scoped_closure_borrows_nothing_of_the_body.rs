fn main() {
    greenloop::scope(|s| {
        let inside = String::from("gone before the scope ends");
        s.spawn(|| println!("{inside}"));
    });
}
