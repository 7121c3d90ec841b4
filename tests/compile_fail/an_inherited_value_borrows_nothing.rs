greenloop::inherited! {
    static NAME: &'static str;
}

fn main() {
    let local = String::from("on the stack");
    NAME.bind(&local, || ());
}
