//! The pages of bottle's "Primer to asynchronous applications".
//!
//! | path | answer |
//! |---|---|
//! | `/stream` | `START`, 3 s, `MIDDLE`, 5 s, `END`, each as it comes |
//! | `/fetch` | what a worker finds, each piece as its callback gives it |
//! | `/websocket` | a WebSocket that says what it was told |
//! | `/` | a page that talks to it |
//!
//! `cargo run --release --features websocket --example bottle_primer -- --port 8080`, and then `curl -N http://127.0.0.1:8080/fetch`. With `--second 0.1` a second
//! is only so long.

use greenloop::http::{Body, IntoResponse, Request, Response, Server, StatusCode, WebSocket};
use greenloop::queue::Queue;
use greenloop::{sleep, spawn};
use std::io::Write;
use std::time::Duration;

/// Three pieces with pauses between them: what is a generator in bottle is a function that writes.
fn stream(second: Duration) -> Body {
    Body::writer(move |out| {
        out.write_all(b"START")?;
        sleep(3 * second);
        out.write_all(b"MIDDLE")?;
        sleep(5 * second);
        out.write_all(b"END")?;
        Ok(())
    })
}

/// A queue is the body: the callbacks fill it from the worker's greenlet, and closing it ends the response.
fn fetch(second: Duration) -> Queue<String> {
    let body = Queue::unbounded();
    let mut worker = Worker::new(second);
    worker.on_data({
        let body = body.clone();
        // Fails when the client has gone; then the worker may stop.
        move |data| body.put(data).is_ok()
    });
    worker.on_finish({
        let body = body.clone();
        move || body.close()
    });
    worker.start();
    body
}

/// Some worker that knows nothing of HTTP: it calls back when it has found something, and when it has finished.
struct Worker {
    second: Duration,
    on_data: Box<dyn Fn(String) -> bool>,
    on_finish: Box<dyn Fn()>,
}

impl Worker {
    fn new(second: Duration) -> Worker {
        Worker { second, on_data: Box::new(|_| true), on_finish: Box::new(|| ()) }
    }

    fn on_data(&mut self, call: impl Fn(String) -> bool + 'static) {
        self.on_data = Box::new(call);
    }

    fn on_finish(&mut self, call: impl Fn() + 'static) {
        self.on_finish = Box::new(call);
    }

    /// Works in a greenlet of its own.
    fn start(self) {
        spawn(move || {
            for number in 1..=3 {
                sleep(self.second);
                if !(self.on_data)(format!("result {number}\n")) {
                    break;
                }
            }
            (self.on_finish)();
        });
    }
}

/// Runs in the greenlet of the connection until the client closes.
fn websocket(request: &Request<'_>) -> Response {
    WebSocket::upgrade(request, |socket| {
        for message in &socket {
            socket.send(format!("Your message was: {:?}", message?.text().unwrap_or("no text")))?;
        }
        Ok(())
    })
}

const PAGE: &str = r#"<!DOCTYPE html>
<html>
<head>
  <meta charset="utf-8">
  <title>WebSocket</title>
  <script>
    const ws = new WebSocket("ws://" + location.host + "/websocket");
    ws.onopen = () => ws.send("Hello, world");
    ws.onmessage = event => document.body.append(event.data);
  </script>
</head>
<body></body>
</html>
"#;

fn app(request: &Request<'_>, second: Duration) -> Response {
    match request.path() {
        "/stream" => stream(second).into_response().header("Content-Type", "text/plain; charset=utf-8"),
        "/fetch" => fetch(second).into_response().header("Content-Type", "text/plain; charset=utf-8"),
        "/websocket" => websocket(request),
        "/" => PAGE.into_response().header("Content-Type", "text/html; charset=utf-8"),
        path => (StatusCode::NOT_FOUND, format!("there is nothing at {path}\n")).into_response(),
    }
}

fn main() {
    if let Err(error) = run() {
        eprintln!("bottle_primer: {error}");
        std::process::exit(1);
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let (mut port, mut second) = (8080_u16, Duration::from_secs(1));
    let mut arguments = std::env::args().skip(1);
    while let Some(flag) = arguments.next() {
        let mut value = || arguments.next().ok_or_else(|| format!("{flag} needs a value"));
        match flag.as_str() {
            "--port" => port = value()?.parse().map_err(|_| "--port needs a number from 0 to 65535")?,
            "--second" => second = Duration::try_from_secs_f64(value()?.parse()?)?,
            _ => {
                let usage = "usage: bottle_primer [--port PORT] [--second SECONDS]";
                return Err(format!("unknown argument `{flag}`; {usage}").into());
            }
        }
    }
    let server =
        Server::bind(("127.0.0.1", port))?.start(move |request: &mut Request<'_>| app(request, second))?;
    println!("listening on http://{}", server.local_addr()?);
    Ok(server.serve_forever()?)
}
