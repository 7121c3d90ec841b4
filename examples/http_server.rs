//! The flagship: an HTTP server.
//!
//! | path | answer |
//! |---|---|
//! | `/` | `Hello, World!` |
//! | `/hello` | `Hello`, a pause of 0.1 s, `World`, as two chunks; with the header `X-paul: pbrian` |
//! | `/hello/{name}` | `Hello, ` and the name |
//! | `/stream` | `START`, 3 s, `MIDDLE`, 5 s, `END`, each as it comes: try `curl -N` |
//! | `/echo` | the body of the request |
//!
//! `cargo run --release --example http_server -- --port 8080 --bind 127.0.0.1`
//!
//! Ctrl-C and SIGTERM stop it: requests that are under way have ten seconds to finish. With `--access-log` a line for each request, in the common log format, goes to standard error.

use greenloop::http::{self, Access, Body, IntoResponse, Request, Response, Router, Server, StatusCode};
use greenloop::{signal, sleep, spawn};
use std::io::Read;
use std::time::Duration;

fn app() -> Router {
    Router::new()
        .get("/", |_: &mut Request<'_>| "Hello, World!")
        .get("/hello", |_: &mut Request<'_>| hello().into_response().header("X-paul", "pbrian"))
        .get("/hello/{name}", |request: &mut Request<'_>| {
            format!("Hello, {}!\n", request.param("name").unwrap_or_default())
        })
        .get("/stream", |_: &mut Request<'_>| {
            stream().into_response().header("Content-Type", "text/plain; charset=utf-8")
        })
        .post("/echo", echo)
        .any("/echo", |_: &mut Request<'_>| post_something())
        .fallback(|request: &mut Request<'_>| {
            (StatusCode::NOT_FOUND, format!("there is nothing at {}\n", request.path()))
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

fn echo(request: &mut Request<'_>) -> http::Result<Vec<u8>> {
    let mut body = Vec::new();
    request.body().read_to_end(&mut body)?;
    Ok(body)
}

fn post_something() -> Response {
    (StatusCode::METHOD_NOT_ALLOWED, "POST something here\n").into_response().header("Allow", "POST")
}

fn main() {
    if let Err(error) = run() {
        eprintln!("http_server: {error}");
        std::process::exit(1);
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let (mut host, mut port, mut logs) = (String::from("127.0.0.1"), 8080_u16, false);
    let mut arguments = std::env::args().skip(1);
    while let Some(flag) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{flag} needs a value"));
        match flag.as_str() {
            "--port" => port = value()?.parse().map_err(|_| "--port needs a number from 0 to 65535")?,
            "--bind" => host = value()?,
            "--access-log" => logs = true,
            _ => {
                return Err(format!(
                    "unknown argument `{flag}`; usage: http_server [--bind HOST] [--port PORT] [--access-log]"
                )
                .into());
            }
        }
    }
    let mut server = Server::bind((host, port))?;
    if logs {
        server = server.access_log(Access::lines_to(std::io::stderr()));
    }
    let server = server.start(app())?;
    let stop = signal::on_termination()?;
    spawn({
        let server = server.clone();
        move || {
            if stop.wait().is_ok() {
                server.stop(Duration::from_secs(10));
            }
        }
    });
    println!("listening on http://{}", server.local_addr()?);
    Ok(server.serve_forever()?)
}
