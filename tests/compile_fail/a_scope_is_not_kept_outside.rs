fn main() {
    let mut kept = None;
    greenloop::scope(|s| kept = Some(s));
    let _ = kept;
}
