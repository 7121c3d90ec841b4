//! Fuzz targets for the bytes that come from a network. `.ci/fuzz` builds and runs them, with any toolchain.
//!
//! A connection is served in memory, with all its input at once, byte by byte, and cut at the places that the fuzzer chooses. It must not
//! panic, and the answers must be the same.

use greenloop::http::{
    self, Body, Config, DuplexStream, Handler, IntoResponse, Limits, Request, Transport, WebSocket,
    WebSocketOptions, serve_connection,
};
use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

/// Gives its input in pieces of these sizes; when there are no more of them, the rest at once.
#[derive(Clone)]
struct Client {
    input: Rc<RefCell<Input>>,
    output: Rc<RefCell<Vec<u8>>>,
}

struct Input {
    bytes: io::Cursor<Vec<u8>>,
    sizes: std::vec::IntoIter<u8>,
}

impl Client {
    fn give(&self, place: &mut [u8]) -> io::Result<usize> {
        let mut input = self.input.borrow_mut();
        let most = input.sizes.next().map_or(usize::MAX, |size| usize::from(size).max(1));
        let most = most.min(place.len());
        input.bytes.read(&mut place[..most])
    }
}

impl Read for Client {
    fn read(&mut self, place: &mut [u8]) -> io::Result<usize> {
        self.give(place)
    }
}

impl Write for Client {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Transport for Client {
    fn set_read_timeout(&self, _: Option<Duration>) -> io::Result<()> {
        Ok(())
    }

    fn set_write_timeout(&self, _: Option<Duration>) -> io::Result<()> {
        Ok(())
    }

    fn shutdown_write(&self) -> io::Result<()> {
        Ok(())
    }

    fn peer_addr(&self) -> Option<SocketAddr> {
        None
    }

    fn share(&self) -> io::Result<Rc<dyn DuplexStream>> {
        Ok(Rc::new(self.clone()))
    }
}

/// What is left when the connection was taken over.
impl DuplexStream for Client {
    fn read(&self, place: &mut [u8]) -> io::Result<usize> {
        self.give(place)
    }

    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.output.borrow_mut().write(bytes)
    }

    fn flush(&self) -> io::Result<()> {
        Ok(())
    }

    fn set_read_timeout(&self, _: Option<Duration>) -> io::Result<()> {
        Ok(())
    }

    fn set_write_timeout(&self, _: Option<Duration>) -> io::Result<()> {
        Ok(())
    }

    fn shutdown_write(&self) -> io::Result<()> {
        Ok(())
    }

    fn shutdown(&self) -> io::Result<()> {
        Ok(())
    }
}

/// Reads all, some or nothing of the body, and answers with text or with a stream.
fn app(request: &mut Request<'_>) -> http::Result<http::Response> {
    let mut body = Vec::new();
    match request.path() {
        "/none" => {}
        "/some" => drop(request.body().take(3).read_to_end(&mut body)?),
        "/stream" => return Ok(Body::stream(["a", "", "bc"]).into_response()),
        _ => drop(request.body().read_to_end(&mut body)?),
    }
    Ok(format!("{} {:?} {body:?}", request.method(), request.target()).into_response())
}

/// A WebSocket that says everything again, compressed if it may.
fn echo(request: &mut Request<'_>) -> http::Response {
    let options = WebSocketOptions::new().compress(true).compress_from(8).max_message(4096).max_frame(1500);
    options.upgrade(request, |socket: WebSocket| {
        for message in &socket {
            socket.send(message?)?;
        }
        Ok(())
    })
}

/// What comes back, without the dates.
fn answers(app: &dyn Handler, input: &[u8], sizes: &[u8]) -> Vec<u8> {
    let output = Rc::new(RefCell::new(Vec::new()));
    let limits =
        Limits::new().max_request_line(100).max_head(1000).max_headers(10).max_body(500).max_discard(100);
    let config =
        Config::new().limits(limits).on_error(|line| panic!("the client's mistake was reported: {line}"));
    let input = Input { bytes: io::Cursor::new(input.to_vec()), sizes: sizes.to_vec().into_iter() };
    let client = Client { input: Rc::new(RefCell::new(input)), output: output.clone() };
    serve_connection(client, app, &config).expect("no error but the client's");
    let lines = output.take();
    let dated = |line: &&[u8]| !line.starts_with(b"Date: ");
    lines.split_inclusive(|&b| b == b'\n').filter(dated).flatten().copied().collect()
}

/// Serves `input` whole, byte by byte, and in pieces of the given sizes.
pub fn check(input: &[u8], sizes: &[u8]) {
    check_app(&app, input, sizes);
}

/// The same for what follows a handshake that has agreed on compression.
pub fn check_websocket(input: &[u8], sizes: &[u8]) {
    let head =
        b"GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n";
    // The head comes at once, or it would take most of the sizes.
    let sizes = [&[u8::try_from(head.len()).unwrap()], sizes].concat();
    check_app(&echo, &[head, input].concat(), &sizes);
}

fn check_app(app: &dyn Handler, input: &[u8], sizes: &[u8]) {
    let whole = answers(app, input, &[]);
    assert_eq!(whole, answers(app, input, &vec![1; input.len()]));
    if !sizes.is_empty() {
        assert_eq!(whole, answers(app, input, sizes));
    }
}
