fn main() {
    let g = greenloop::spawn(|| 1);
    g.join().unwrap();
    g.join().unwrap();
}
