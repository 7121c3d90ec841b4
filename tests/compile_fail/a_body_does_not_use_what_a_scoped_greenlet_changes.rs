fn main() {
    let mut list = Vec::new();
    greenloop::scope(|s| {
        s.spawn(|| list.push(1));
        println!("{}", list.len());
    });
}
