//! Serves a folder: files with their types, parts of files, conditional requests, `index.html` for a folder.
//!
//! `cargo run --release --example static_files -- docs --port 8080 --bind 127.0.0.1`

use greenloop::http::{Server, StaticFiles};

fn main() {
    if let Err(error) = run() {
        eprintln!("static_files: {error}");
        std::process::exit(1);
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let (mut folder, mut host, mut port) = (String::from("."), String::from("127.0.0.1"), 8080_u16);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{argument} needs a value"));
        match argument.as_str() {
            "--port" => port = value()?.parse().map_err(|_| "--port needs a number from 0 to 65535")?,
            "--bind" => host = value()?,
            flag if flag.starts_with('-') => {
                let usage = "usage: static_files [FOLDER] [--bind HOST] [--port PORT]";
                return Err(format!("unknown argument `{flag}`; {usage}").into());
            }
            _ => folder = argument,
        }
    }
    let server = Server::bind((host, port))?.start(StaticFiles::new(folder)?)?;
    println!("listening on http://{}", server.local_addr()?);
    Ok(server.serve_forever()?)
}
