greenloop::greenlet_local! {
    static NAME: String = String::new();
}

fn main() {
    let name: &String = NAME.with(|name| name);
    println!("{name}");
}
