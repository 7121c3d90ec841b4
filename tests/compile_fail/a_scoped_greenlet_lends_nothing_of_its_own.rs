fn main() {
    let text: &str = greenloop::scope(|s| {
        s.spawn(|| {
            let inside = String::from("gone with the greenlet");
            inside.as_str()
        })
        .join()
        .unwrap()
    });
    println!("{text}");
}
