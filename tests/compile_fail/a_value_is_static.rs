fn leak<'a>(text: &'a str) -> greenloop::Greenlet<&'a str> {
    greenloop::spawn(move || text)
}

fn main() {
    leak("");
}
