//! Work after the answer: each request is answered with hello at once, and some seconds later a greenlet reads `numbers.txt` and logs its
//! lines. Nobody waits for it.
//!
//! `cargo run --release --example delayed_log -- --port 8080 --delay 5`

use greenloop::fs::File;
use greenloop::http::{Request, Server};
use greenloop::spawn_later;
use std::io::{self, BufRead, BufReader};
use std::time::Duration;

const NUMBERS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/numbers.txt");

/// Logs each line with its number. The file is read on another thread, so the other greenlets go on.
fn log_numbers() -> io::Result<()> {
    for (number, line) in BufReader::new(File::open(NUMBERS)?).lines().enumerate() {
        println!("{number}:{}", line?);
    }
    Ok(())
}

fn main() {
    if let Err(error) = run() {
        eprintln!("delayed_log: {error}");
        std::process::exit(1);
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let (mut port, mut delay) = (8080_u16, Duration::from_secs(5));
    let mut arguments = std::env::args().skip(1);
    while let Some(flag) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{flag} needs a value"));
        match flag.as_str() {
            "--port" => port = value()?.parse().map_err(|_| "--port needs a number from 0 to 65535")?,
            "--delay" => delay = Duration::try_from_secs_f64(value()?.parse()?)?,
            _ => {
                let usage = "usage: delayed_log [--port PORT] [--delay SECONDS]";
                return Err(format!("unknown argument `{flag}`; {usage}").into());
            }
        }
    }
    let server = Server::bind(("127.0.0.1", port))?.start(move |_: &mut Request<'_>| {
        spawn_later(delay, || {
            if let Err(error) = log_numbers() {
                eprintln!("delayed_log: {error}");
            }
        });
        "hello"
    })?;
    println!("listening on http://{}", server.local_addr()?);
    Ok(server.serve_forever()?)
}
