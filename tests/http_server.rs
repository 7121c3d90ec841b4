//! The server over real sockets.
#![cfg(feature = "http")]

use greenloop::http::{Request, Server};
use std::io::{Read, Write};
use std::net::TcpStream;

#[test]
fn a_server_answers_over_a_socket() {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let server = Server::bind("127.0.0.1:0").unwrap();
        let server = server.start(|request: &mut Request<'_>| format!("hello {}", request.path())).unwrap();
        sender.send(server.local_addr().unwrap()).unwrap();
        server.serve_forever().unwrap();
    });
    let addr = receiver.recv().unwrap();
    let mut socket = TcpStream::connect(addr).unwrap();
    socket.write_all(b"GET /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("hello /a") && answer.ends_with("hello /b"), "{answer}");
    // The client sees the answer although it is still sending.
    let mut socket = TcpStream::connect(addr).unwrap();
    socket.write_all(&[b"GET / HTTP/3.0\r\n\r\n", &[b'x'; 30_000][..]].concat()).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 505 "), "{answer}");
}
