//! Frames made by hand, and servers to send them to.
#![allow(dead_code, unreachable_pub, missing_debug_implementations)]

use greenloop::event::AsyncResult;
use greenloop::http::{
    self, Request, Response, RunningServer, Server, WebSocket, WebSocketError, WebSocketOptions,
};
use greenloop::net::TcpStream;
use greenloop::yield_now;
use std::io::{Read, Write};
use std::time::Duration;

pub const LONG: Duration = Duration::from_secs(20);

pub const FIN: u8 = 0x80;
pub const CONTINUE: u8 = 0;
pub const TEXT: u8 = 1;
pub const BINARY: u8 = 2;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;
pub const PONG: u8 = 10;

/// A masked frame.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [0x12, 0x34, 0xab, 0xcd];
    let mut bytes = vec![first];
    match payload.len() {
        length @ 0..126 => bytes.push(0x80 | length as u8),
        length @ 126..65536 => {
            bytes.push(0x80 | 126);
            bytes.extend((length as u16).to_be_bytes());
        }
        length => {
            bytes.push(0x80 | 127);
            bytes.extend((length as u64).to_be_bytes());
        }
    }
    bytes.extend(mask);
    bytes.extend(payload.iter().enumerate().map(|(at, byte)| byte ^ mask[at % 4]));
    bytes
}

/// One frame of a server: its first byte and its payload. None at the end of the stream.
pub fn read_frame(stream: &mut impl Read) -> Option<(u8, Vec<u8>)> {
    let mut head = [0; 2];
    match stream.read(&mut head[..1]) {
        Ok(0) => return None,
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
        result => result.expect("a frame within the time"),
    };
    stream.read_exact(&mut head[1..]).expect("the second byte");
    assert_eq!(head[1] & 0x80, 0, "a server does not mask");
    let length = match head[1] {
        126 => {
            let mut bytes = [0; 2];
            stream.read_exact(&mut bytes).expect("a length");
            usize::from(u16::from_be_bytes(bytes))
        }
        127 => {
            let mut bytes = [0; 8];
            stream.read_exact(&mut bytes).expect("a length");
            usize::try_from(u64::from_be_bytes(bytes)).expect("a sound length")
        }
        length => usize::from(length),
    };
    let mut payload = vec![0; length];
    stream.read_exact(&mut payload).expect("a payload");
    Some((head[0], payload))
}

/// All frames until the end of the stream.
pub fn frames(stream: &mut impl Read) -> Vec<(u8, Vec<u8>)> {
    std::iter::from_fn(|| read_frame(stream)).collect()
}

/// The request of RFC 6455, 1.2.
pub fn request(path: &str, fields: &str) -> Vec<u8> {
    format!(
        "GET {path} HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{fields}\r\n"
    )
    .into_bytes()
}

pub fn head(stream: &mut impl Read) -> String {
    let (mut text, mut byte) = (Vec::new(), [0]);
    while !text.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).expect("a head");
        text.push(byte[0]);
    }
    String::from_utf8(text).unwrap()
}

pub fn shake(stream: &mut TcpStream) {
    shake_with(stream, "");
}

pub fn shake_with(stream: &mut TcpStream, fields: &str) {
    stream.write_all(&request("/", fields)).unwrap();
    let head = head(stream);
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
}

pub fn echo(request: &mut Request<'_>) -> Response {
    WebSocket::upgrade(request, |socket| {
        for message in &socket {
            socket.send(message?)?;
        }
        Ok(())
    })
}

/// A server, and a client whose TCP connection stands.
pub fn serve(app: impl http::Handler + 'static) -> (RunningServer, TcpStream) {
    let server = Server::bind("127.0.0.1:0").unwrap().start(app).unwrap();
    let client = TcpStream::connect(server.local_addr().unwrap()).unwrap();
    client.set_nodelay(true).unwrap();
    client.set_read_timeout(Some(LONG)).unwrap();
    (server, client)
}

pub fn echo_server() -> (RunningServer, TcpStream) {
    serve(echo)
}

/// An echo server, and a client that has shaken hands with it.
pub fn connected() -> (RunningServer, TcpStream) {
    let (server, mut client) = echo_server();
    shake(&mut client);
    (server, client)
}

/// Sends `input` in two pieces, cut at each byte, and byte by byte: it is answered with these frames and the end each time.
pub fn is_answered_however_it_is_cut(
    connected: impl Fn() -> (RunningServer, TcpStream),
    input: &[u8],
    expected: &[(u8, Vec<u8>)],
) {
    for cut in 1..input.len() {
        let (server, mut client) = connected();
        client.write_all(&input[..cut]).unwrap();
        yield_now();
        client.write_all(&input[cut..]).unwrap();
        assert_eq!(frames(&mut client), expected, "cut at {cut}");
        server.stop(Duration::ZERO);
    }
    // All cuts at once.
    let (server, mut client) = connected();
    for byte in input {
        client.write_all(&[*byte]).unwrap();
        yield_now();
    }
    assert_eq!(frames(&mut client), expected);
    server.stop(Duration::ZERO);
}

/// A place for what happens elsewhere.
pub fn noted<T: Clone + 'static>() -> (AsyncResult<T>, AsyncResult<T>) {
    let place = AsyncResult::new();
    (place.clone(), place)
}

type Noted = AsyncResult<Option<WebSocketError>>;

/// An echo server that notes how the connection has ended, and a client that has shaken hands with it.
pub fn noting_server(options: WebSocketOptions) -> (RunningServer, TcpStream, Noted) {
    noting_server_with(options, "")
}

/// The same, with more headers in the request of the client.
pub fn noting_server_with(options: WebSocketOptions, fields: &str) -> (RunningServer, TcpStream, Noted) {
    let (sender, outcome) = noted();
    let (server, mut client) = serve(move |request: &mut Request<'_>| {
        let sender: Noted = sender.clone();
        options.clone().upgrade(request, move |socket: WebSocket| {
            let end = loop {
                match socket.read() {
                    Ok(message) => socket.send(message).unwrap_or(()),
                    Err(end) => break end,
                }
            };
            let _ = sender.set(Some(end));
        })
    });
    shake_with(&mut client, fields);
    (server, client, outcome)
}
