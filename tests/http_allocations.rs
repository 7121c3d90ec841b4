//! In the steady state an exchange allocates nothing.
#![cfg(feature = "http")]

mod allocations_support;

use allocations_support::count;
use greenloop::http::{Config, Handler, Request, Router, Transport, serve_connection};
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::Duration;

/// A client that makes one request after the other.
struct Client {
    left: u32,
}

impl Read for Client {
    fn read(&mut self, place: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Ok(0);
        }
        self.left -= 1;
        let request =
            b"GET /plain HTTP/1.1\r\nHost: localhost:8080\r\nAccept: */*\r\nUser-Agent: test\r\n\r\n";
        place[..request.len()].copy_from_slice(request);
        Ok(request.len())
    }
}

impl Write for Client {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
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

fn allocations_of(requests: u32) -> u64 {
    allocations_with(requests, &|_: &mut Request<'_>| "Hello, World!")
}

fn allocations_with(requests: u32, handler: &impl Handler) -> u64 {
    let before = count();
    serve_connection(Client { left: requests }, handler, &Config::new()).unwrap();
    count() - before
}

#[test]
fn a_kept_connection_allocates_only_for_its_first_request() {
    allocations_of(1);
    assert_eq!(allocations_of(1000), allocations_of(1));
}

#[test]
fn neither_a_router_nor_its_middleware_allocates() {
    let pass = |request: &mut Request<'_>, next: &dyn Handler| next.handle(request);
    let found = |request: &mut Request<'_>| match request.param("page").as_deref() {
        Some("plain") => "Hello, World!",
        _ => "another page",
    };
    let inner = Router::new().get("/{page}", found).wrap(pass);
    let app = Router::new().get("/other", |_: &mut Request<'_>| "x").nest("/in", inner).wrap(pass);
    let app = app.get("/{page}", found);
    allocations_with(1, &app);
    assert_eq!(allocations_with(1000, &app), allocations_with(1, &app));
}

#[test]
#[ignore = "a measurement"]
fn time_of_one_exchange() {
    let requests = 2_000_000;
    let start = std::time::Instant::now();
    allocations_of(requests);
    println!("{} ns", start.elapsed().as_nanos() / u128::from(requests));
}
