//! What a connection over TLS costs between its requests. One test, as it counts the memory of the whole process.
#![cfg(all(feature = "http", target_os = "linux"))]

mod net_support;
mod tls_support;

use std::fs;
use std::io::{Read, Write};
use std::net::SocketAddr;

use greenloop::http::{Request, Server};
use greenloop::net::TcpStream;
use greenloop::tls::TlsStream;
use greenloop::{sleep, timeout};
use net_support::{LONG, PROMPT, ms, raise_descriptor_limit};

const CONNECTIONS: usize = 400;

fn ask(stream: &mut TlsStream<TcpStream>) {
    stream.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = [0; 1024];
    let count = stream.read(&mut answer).unwrap();
    assert!(answer[..count].starts_with(b"HTTP/1.1 200 OK\r\n"));
}

fn connect(address: SocketAddr) -> TlsStream<TcpStream> {
    let socket = TcpStream::connect(address).unwrap();
    socket.set_nodelay(true).unwrap();
    let mut stream = tls_support::client().connect("localhost", socket).unwrap();
    ask(&mut stream);
    stream
}

/// Connections that have had an answer each. Of the clients nothing but their sockets is left.
fn connections(address: SocketAddr) -> Vec<std::net::TcpStream> {
    (0..CONNECTIONS).map(|_| connect(address).into_inner().into_std().unwrap()).collect()
}

/// Resident bytes of this process.
fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

#[test]
fn an_idle_connection_over_tls_holds_no_stack_and_little_else() {
    raise_descriptor_limit();
    let server = Server::bind("127.0.0.1:0").unwrap().tls(tls_support::server());
    let server = server.start(|_: &mut Request<'_>| "Hello, World!").unwrap();
    let address = server.local_addr().unwrap();
    // The first ones warm everything up, and stay.
    let mut whole = connect(address);
    let first = connections(address);
    let before = resident();
    let second = connections(address);
    // The clients have their answers; the greenlets of the last have yet to come to rest.
    sleep(ms(1));
    let each = resident().saturating_sub(before) / CONNECTIONS;
    assert!(each <= 12 * 1024, "{each} bytes for each");
    ask(&mut whole);
    timeout(PROMPT, || server.stop(LONG)).expect("idle ones are closed at once");
    // In order, as far as the client can tell.
    assert_eq!(whole.read(&mut [0; 1]).unwrap(), 0);
    drop((first, second));
}
