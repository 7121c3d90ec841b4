//! A handler without a network.

use super::config::Config;
use super::connection::serve_connection;
use super::duplex_stream::DuplexStream;
use super::response::Handler;
use super::transport::Transport;
use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

/// What `handler` answers to a client that sends `input` on one connection and then nothing more: every byte
/// that would go over the network. For tests of handlers.
///
/// **Switches**: only where the handler does.
///
/// ```
/// use greenloop::http::{self, Request, StatusCode};
///
/// let app = |request: &mut Request<'_>| match request.path() {
///     "/" => Ok("home"),
///     path => Err(format!("no {path} here").into()),
/// };
/// let answer = http::exchange(&app, b"GET / HTTP/1.1\r\n\r\n");
/// assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n") && answer.ends_with(b"\r\n\r\nhome"));
/// ```
pub fn exchange<H: Handler + ?Sized>(handler: &H, input: impl AsRef<[u8]>) -> Vec<u8> {
    exchange_with(handler, input.as_ref(), &Config::default())
}

pub(super) fn exchange_with<H: Handler + ?Sized>(handler: &H, input: &[u8], config: &Config) -> Vec<u8> {
    let output = Rc::new(RefCell::new(Vec::new()));
    let input = Rc::new(RefCell::new(io::Cursor::new(input.to_vec())));
    let memory = Memory { input, output: output.clone() };
    serve_connection(memory, handler, config).expect("memory does not fail");
    output.take()
}

#[derive(Clone)]
struct Memory {
    input: Rc<RefCell<io::Cursor<Vec<u8>>>>,
    output: Rc<RefCell<Vec<u8>>>,
}

impl Read for Memory {
    fn read(&mut self, place: &mut [u8]) -> io::Result<usize> {
        self.input.borrow_mut().read(place)
    }
}

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.output.borrow_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Transport for Memory {
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

impl DuplexStream for Memory {
    fn read(&self, place: &mut [u8]) -> io::Result<usize> {
        self.input.borrow_mut().read(place)
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
