fn main() {
    greenloop::scope(|s| {
        std::thread::scope(|threads| {
            threads.spawn(|| {
                s.spawn(|| 1);
            });
        });
    });
}
