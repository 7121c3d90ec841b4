fn main() {
    let text = String::from("borrowed");
    let lent = &text;
    greenloop::scope(|s| {
        s.spawn(move || println!("{lent}"));
        drop(text);
    });
}
