fn main() {
    greenloop::scope(|s| {
        let inside = String::from("gone before the scope ends");
        let lent = inside.as_str();
        s.spawn(move || lent);
    });
}
