fn main() {
    let escaped = greenloop::scope(|s| s.spawn(|| 1));
    let _ = escaped.join();
}
