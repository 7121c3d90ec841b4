fn main() {
    greenloop::scope(|outer| {
        greenloop::scope(|inner| {
            let text = String::from("of the inner body");
            outer.spawn(|| println!("{text}"));
            inner.spawn(|| 1);
        });
    });
}
