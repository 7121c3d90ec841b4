//! A WebSocket that says everything again, and a page to try it.
//!
//! | path | answer |
//! |---|---|
//! | `/` | the page |
//! | `/websocket` | the echo |
//! | `/compressed` | the echo, compressed if the client can do it |
//!
//! `cargo run --release --features websocket --example websocket_echo -- --port 8080`

use greenloop::http::{IntoResponse, Request, Response, Server, StatusCode, WebSocket, WebSocketOptions};

const PAGE: &str = r#"<!DOCTYPE html>
<meta charset="utf-8">
<title>WebSocket</title>
<h1>Echo</h1>
<form><input id="text" autofocus autocomplete="off"><button>Send</button></form>
<pre id="lines"></pre>
<script>
const lines = document.getElementById("lines");
const text = document.getElementById("text");
const say = line => lines.textContent += line + "\n";
const socket = new WebSocket(location.href.replace(/^http/, "ws") + "websocket");
socket.onopen = () => say("connected");
socket.onmessage = event => say(event.data);
socket.onclose = event => say(`closed: ${event.code} ${event.reason}`);
document.forms[0].onsubmit = event => {
    event.preventDefault();
    socket.send(text.value);
    text.value = "";
};
</script>
"#;

fn app(request: &mut Request<'_>) -> Response {
    match request.path() {
        "/" => PAGE.into_response().header("Content-Type", "text/html; charset=utf-8"),
        path @ ("/websocket" | "/compressed") => {
            let options = WebSocketOptions::new().max_message(16 << 20).protocols(["echo"]);
            options.compress(path == "/compressed").upgrade(request, |socket: WebSocket| {
                for message in &socket {
                    socket.send(message?)?;
                }
                Ok(())
            })
        }
        path => (StatusCode::NOT_FOUND, format!("there is nothing at {path}\n")).into_response(),
    }
}

fn run() -> Result<(), Box<dyn std::error::Error>> {
    let mut port = 8080_u16;
    let mut arguments = std::env::args().skip(1);
    while let Some(flag) = arguments.next() {
        match (flag.as_str(), arguments.next()) {
            ("--port", Some(value)) => port = value.parse()?,
            _ => return Err(format!("unknown argument `{flag}`; usage: websocket_echo [--port PORT]").into()),
        }
    }
    let server = Server::bind(("127.0.0.1", port))?.start(app)?;
    println!("listening on http://{}", server.local_addr()?);
    Ok(server.serve_forever()?)
}

fn main() {
    if let Err(error) = run() {
        eprintln!("websocket_echo: {error}");
        std::process::exit(1);
    }
}
