//! Fuzz targets for the bytes that come from a network. Run them with `cargo +nightly fuzz run head` and `... run chunked`.
//!
//! A connection is served in memory, once with all its input at once and once byte by byte. It must not panic, and the answers must
//! be the same.

use greenloop::http::{self, Config, Limits, Request, Transport, serve_connection};
use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

/// Gives at most so many bytes at a time.
struct Client {
    input: io::Cursor<Vec<u8>>,
    step: usize,
    output: Rc<RefCell<Vec<u8>>>,
}

impl Read for Client {
    fn read(&mut self, place: &mut [u8]) -> io::Result<usize> {
        let count = self.step.min(place.len());
        self.input.read(&mut place[..count])
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
}

fn echo(request: &mut Request<'_>) -> http::Result<http::Response> {
    let mut body = Vec::new();
    request.body().read_to_end(&mut body)?;
    let response = http::Response::new(http::StatusCode::OK).header("Date", "now");
    Ok(response.body(format!("{:?} {body:?}", request.target())))
}

fn answers(input: &[u8], step: usize) -> Vec<u8> {
    let output = Rc::new(RefCell::new(Vec::new()));
    let client = Client { input: io::Cursor::new(input.to_vec()), step, output: output.clone() };
    let limits =
        Limits::new().max_request_line(100).max_head(1000).max_headers(10).max_body(500).max_discard(100);
    let config =
        Config::new().limits(limits).on_error(|line| panic!("the client's mistake was reported: {line}"));
    serve_connection(client, &echo, &config).expect("no error but the client's");
    let lines = output.take();
    let dated = |line: &&[u8]| !line.starts_with(b"Date: ");
    lines.split_inclusive(|&b| b == b'\n').filter(dated).flatten().copied().collect()
}

/// Serves `input` whole and cut.
pub fn check(input: &[u8]) {
    let whole = answers(input, usize::MAX);
    assert_eq!(whole, answers(input, 1));
}
