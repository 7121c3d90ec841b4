fn main() {
    greenloop::scope(|s| {
        greenloop::spawn(move || {
            s.spawn(|| 1);
        });
    });
}
