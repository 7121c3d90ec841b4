//! What a connection costs between its requests. One test, as it counts the memory of the whole process.
#![cfg(all(feature = "http", target_os = "linux"))]

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use greenloop::http::{Request, Server};
use greenloop::{sleep, threadpool};

const CONNECTIONS: usize = 400;

fn ask(socket: &mut TcpStream) {
    socket.write_all(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
    let mut answer = [0; 1024];
    let count = socket.read(&mut answer).unwrap();
    assert!(answer[..count].starts_with(b"HTTP/1.1 200 OK\r\n"));
}

/// Connections that have had an answer each.
fn connections(address: SocketAddr) -> Vec<TcpStream> {
    (0..CONNECTIONS)
        .map(|_| {
            let mut socket = TcpStream::connect(address).unwrap();
            ask(&mut socket);
            socket
        })
        .collect()
}

/// Resident bytes of this process.
fn resident() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

#[test]
fn an_idle_connection_holds_neither_a_stack_nor_buffers() {
    let server = Server::bind("127.0.0.1:0").unwrap().start(|_: &mut Request<'_>| "Hello, World!").unwrap();
    let address = server.local_addr().unwrap();
    // The first ones warm everything up, and stay.
    let mut first = threadpool().apply(|| connections(address));
    let before = resident();
    let second = threadpool().apply(|| connections(address));
    // The clients have their answers; the greenlets of the last have yet to come to rest.
    sleep(Duration::from_millis(1));
    let each = resident().saturating_sub(before) / CONNECTIONS;
    assert!(each <= 6 * 1024, "{each} bytes for each");
    // Nor do those who have said nothing, when the moment is over in which they were expected to. Many, as free stacks stay warm.
    let before = resident();
    let silent: Vec<_> = (0..3 * CONNECTIONS).map(|_| TcpStream::connect(address).unwrap()).collect();
    sleep(Duration::from_secs(2));
    let each = resident().saturating_sub(before) / silent.len();
    assert!(each <= 6 * 1024, "{each} bytes for each that has said nothing");
    threadpool().apply(|| first.iter_mut().for_each(ask));
    server.stop(Duration::from_secs(10));
    // Idle ones are closed at once.
    for mut socket in first.into_iter().chain(second).chain(silent) {
        assert_eq!(socket.read(&mut [0; 1]).unwrap(), 0);
    }
}
