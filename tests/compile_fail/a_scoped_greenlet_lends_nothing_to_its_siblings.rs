fn main() {
    greenloop::scope(|s| {
        s.spawn(|| {
            let inside = String::from("gone with the greenlet");
            let lent = &inside;
            s.spawn(move || println!("{lent}"));
        });
    });
}
