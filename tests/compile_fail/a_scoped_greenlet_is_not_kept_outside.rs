fn main() {
    let mut kept = None;
    greenloop::scope(|s| kept = Some(s.spawn(|| 1)));
    let _ = kept;
}
