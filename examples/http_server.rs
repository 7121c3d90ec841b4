//! The flagship: an HTTP server.
//!
//! | path | answer |
//! |---|---|
//! | `/` | `Hello, World!` |
//! | `/hello` | `Hello`, a pause of 0.1 s, `World`, as two chunks; with the header `X-paul: pbrian` |
//! | `/stream` | `START`, 3 s, `MIDDLE`, 5 s, `END`, each as it comes: try `curl -N` |
//! | `/echo` | the body of the request |
//!
//! `cargo run --release --example http_server -- --port 8080 --bind 127.0.0.1`

use greenloop::http::{Body, IntoResponse, Method, Request, Response, Server, StatusCode};
use greenloop::sleep;
use std::io::Read;
use std::time::Duration;

fn app(request: &mut Request<'_>) -> greenloop::http::Result<Response> {
    Ok(match request.path() {
        "/" => "Hello, World!".into_response(),
        "/hello" => hello().into_response().header("X-paul", "pbrian"),
        "/stream" => stream().into_response().header("Content-Type", "text/plain; charset=utf-8"),
        "/echo" if request.method() == Method::POST => {
            let mut body = Vec::new();
            request.body().read_to_end(&mut body)?;
            body.into_response()
        }
        "/echo" => {
            (StatusCode::METHOD_NOT_ALLOWED, "POST something here\n").into_response().header("Allow", "POST")
        }
        path => (StatusCode::NOT_FOUND, format!("there is nothing at {path}\n")).into_response(),
    })
}

/// Each item is sent when the iterator gives it.
fn hello() -> Body {
    let pieces = ["Hello", "World"].into_iter().enumerate();
    Body::stream(pieces.map(|(number, piece)| {
        if number > 0 {
            sleep(Duration::from_millis(100));
        }
        piece
    }))
}

fn stream() -> Body {
    let pieces = [(0, "START"), (3, "MIDDLE"), (5, "END")].into_iter();
    Body::stream(pieces.map(|(pause, piece)| {
        sleep(Duration::from_secs(pause));
        piece
    }))
}

fn main() {
    if let Err(error) = run() {
        eprintln!("http_server: {error}");
        std::process::exit(1);
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let (mut host, mut port) = (String::from("127.0.0.1"), 8080_u16);
    let mut arguments = std::env::args().skip(1);
    while let Some(flag) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{flag} needs a value"));
        match flag.as_str() {
            "--port" => port = value()?.parse().map_err(|_| "--port needs a number from 0 to 65535")?,
            "--bind" => host = value()?,
            _ => {
                return Err(format!(
                    "unknown argument `{flag}`; usage: http_server [--bind HOST] [--port PORT]"
                )
                .into());
            }
        }
    }
    let server = Server::bind((host, port))?.start(app)?;
    println!("listening on http://{}", server.local_addr()?);
    Ok(server.serve_forever()?)
}
