fn main() {
    let text = String::from("borrowed");
    greenloop::scope(|s| {
        s.spawn(|| 1).link(|_, _| println!("{text}"));
    });
}
