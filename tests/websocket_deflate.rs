//! Compressed messages (RFC 7692) of servers and clients: what is agreed on, what comes through, what is refused.
#![cfg(feature = "websocket")]

mod ws_support;

use greenloop::event::Event;
use greenloop::http::{
    self, Message, Request, Response, RunningServer, Server, WebSocket, WebSocketError, WebSocketOptions,
};
use greenloop::net::{TcpListener, TcpStream};
use greenloop::{join_all, spawn, timeout, yield_now};
use std::cell::Cell;
use std::io::{self, Write};
use std::rc::Rc;
use std::time::Duration;
use ws_support::*;

const OFFER: &str = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n";
const ANSWER: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
const RSV1: u8 = 0x40;

/// RFC 7692, 7.2.3.1.
const HELLO: [u8; 7] = [0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00];

fn compressing() -> WebSocketOptions {
    WebSocketOptions::new().compress(true).max_message(8 << 20)
}

fn echo_of(options: WebSocketOptions) -> impl Fn(&mut Request<'_>) -> Response {
    move |request| {
        options.clone().upgrade(request, |socket: WebSocket| {
            for message in &socket {
                socket.send(message?)?;
            }
            Ok(())
        })
    }
}

/// A server that echoes and compresses, and its address.
fn compressing_echo() -> (RunningServer, String) {
    let server = Server::bind("127.0.0.1:0").unwrap().start(echo_of(compressing())).unwrap();
    let url = format!("ws://{}/", server.local_addr().unwrap());
    (server, url)
}

/// A text that has something to be compressed, and never the same.
fn text(length: usize, seed: usize) -> String {
    let mut text: String =
        (0..).map(|n| format!("{{\"id\":{},", n * 7919 + seed)).take(length / 8 + 1).collect();
    text.truncate(length);
    text
}

fn noise(length: usize) -> Vec<u8> {
    let mut state = 88_172_645_463_325_252_u64;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..length).map(next).collect()
}

#[test]
fn a_server_compresses_if_it_may_and_the_client_can() {
    let on = echo_of(WebSocketOptions::new().compress(true));
    let off = echo_of(WebSocketOptions::new());
    let never = echo_of(WebSocketOptions::new().compress(true).compress(false));
    let chosen = |app: &dyn Fn(&mut Request<'_>) -> Response, fields: &str| {
        let answer = http::exchange(&|request: &mut Request<'_>| app(request), request("/", fields));
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(answer.starts_with("HTTP/1.1 101 "), "{fields}: {answer}");
        let name = "sec-websocket-extensions: ";
        let mut lines = answer.lines().filter(|line| line.to_lowercase().starts_with(name));
        let value = lines.next().map(|line| line[name.len()..].to_string());
        assert!(lines.next().is_none());
        value
    };
    assert_eq!(chosen(&on, OFFER).as_deref(), Some(ANSWER));
    // The second line has what the first lacks (RFC 6455, 9.1: they are one list).
    let lines = "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=8\r\n\
                 sec-websocket-extensions: x, permessage-deflate; server_max_window_bits=\"11\"\r\n";
    assert_eq!(chosen(&on, lines), Some(format!("{ANSWER}; server_max_window_bits=11")));
    for fields in
        ["", "Sec-WebSocket-Extensions: permessage-deflate; x\r\n", "Sec-WebSocket-Extensions: ;;\r\n"]
    {
        assert_eq!(chosen(&on, fields), None);
    }
    assert_eq!(chosen(&off, OFFER), None);
    assert_eq!(chosen(&never, OFFER), None);
}

#[test]
fn the_examples_of_rfc_7692_are_understood() {
    let (server, mut client, _) = noting_server_with(compressing(), OFFER);
    let input = [
        frame(FIN | RSV1 | TEXT, &HELLO),
        frame(RSV1 | TEXT, &HELLO[..3]),
        frame(FIN | CONTINUE, &HELLO[3..]),
        frame(FIN | RSV1 | TEXT, &[0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00]),
        frame(FIN | RSV1 | TEXT, &[0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00]),
        frame(
            FIN | RSV1 | BINARY,
            &[0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00],
        ),
        frame(FIN | TEXT, b"plain"),
        frame(FIN | RSV1 | TEXT, &[0x00]),
        frame(FIN | CLOSE, &[3, 232]),
    ];
    client.write_all(&input.concat()).unwrap();
    let hello = |kind: u8| (FIN | kind, b"Hello".to_vec());
    // Short answers leave as they are.
    let expected = [
        hello(TEXT),
        hello(TEXT),
        hello(TEXT),
        hello(TEXT),
        hello(BINARY),
        (FIN | TEXT, b"plain".to_vec()),
        (FIN | TEXT, Vec::new()),
        (FIN | CLOSE, vec![3, 232]),
    ];
    assert_eq!(frames(&mut client), expected);
    server.stop(Duration::ZERO);
}

#[test]
fn what_becomes_smaller_is_sent_compressed_and_nothing_else() {
    let (server, mut client) = serve(|request: &mut Request<'_>| {
        compressing().upgrade(request, |socket: WebSocket| {
            socket.send("x".repeat(127))?;
            socket.send("x".repeat(128))?;
            socket.send(vec![0; 1000])?;
            socket.send(noise(1000))?;
            socket.send(vec![0; 150_000])?;
            socket.send(noise(150_000))?;
            socket.ping(&[0; 125])?;
            Ok(())
        })
    });
    shake_with(&mut client, OFFER);
    let mut next = || read_frame(&mut client).map(|(first, payload)| (first, payload.len())).unwrap();
    assert_eq!(next(), (FIN | TEXT, 127));
    for kind in [TEXT, BINARY] {
        let (first, length) = next();
        assert_eq!(first, FIN | RSV1 | kind);
        assert!(length < 30, "{length}");
    }
    assert_eq!(next(), (FIN | BINARY, 1000));
    // In several frames, of which the first says it for all.
    for expected in [RSV1 | BINARY, CONTINUE, FIN | CONTINUE] {
        let (first, length) = next();
        assert_eq!(first, expected);
        assert!(length < 200, "{length}");
    }
    for expected in [(BINARY, 65536), (CONTINUE, 65536), (FIN | CONTINUE, 18928)] {
        assert_eq!(next(), expected);
    }
    assert_eq!(next(), (FIN | PING, 125));
    server.stop(Duration::ZERO);
}

#[test]
fn messages_of_all_sizes_pass_in_both_directions_at_once() {
    const COUNT: usize = 40;
    let message = |n: usize, seed: usize| -> Message {
        let size = [0, 1, 127, 128, 1000, 65_535, 65_536, 65_537, 300_000, 70][n % 10] + n;
        match n % 3 {
            0 => Message::from(noise(size)),
            1 => Message::from(vec![seed as u8; size]),
            _ => Message::from(text(size, seed)),
        }
    };
    let app = move |request: &mut Request<'_>| {
        compressing().upgrade(request, move |socket: WebSocket| {
            assert!(socket.is_compressed());
            let writer = spawn({
                let socket = socket.clone();
                move || (0..COUNT).try_for_each(|n| socket.send(message(n, n)))
            });
            for n in 0..COUNT {
                assert!(socket.read()? == message(n, n + 100), "message {n} to the server");
            }
            Ok(writer.join().unwrap()?)
        })
    };
    let server = Server::bind("127.0.0.1:0").unwrap().start(app).unwrap();
    let socket = compressing().connect(&format!("ws://{}/", server.local_addr().unwrap())).unwrap();
    assert!(socket.is_compressed());
    let writer = spawn({
        let socket = socket.clone();
        move || (0..COUNT).try_for_each(|n| socket.send(message(n, n + 100)))
    });
    for n in 0..COUNT {
        assert!(socket.read().unwrap() == message(n, n), "message {n} to the client");
    }
    writer.join().unwrap().unwrap();
    assert_eq!(socket.read().unwrap_err().code(), Some(1000));
    server.stop(LONG);
}

#[test]
fn many_senders_and_many_connections_share_what_is_spare() {
    let (server, url) = compressing_echo();
    let talks = (0..10).map(|n| {
        let url = url.clone();
        spawn(move || {
            let socket = compressing().connect(&url)?;
            let senders = (0..4).map(|m| {
                let socket = socket.clone();
                // Long enough to be in the middle of it when the next begins.
                spawn(move || socket.send(text(150_000 + m, n)).unwrap())
            });
            let senders = senders.collect::<Vec<_>>();
            for _ in 0..4 {
                let message = socket.read()?;
                assert!(message.text() == Some(&text(message.bytes().len(), n)));
            }
            join_all(senders);
            socket.close(1000, "")
        })
    });
    for talk in join_all(talks.collect::<Vec<_>>()) {
        talk.unwrap().unwrap();
    }
    server.stop(LONG);
}

#[test]
fn frames_cut_at_every_byte_arrive_whole() {
    let input = [
        frame(FIN | RSV1 | TEXT, &HELLO),
        frame(RSV1 | BINARY, &HELLO[..2]),
        frame(FIN | PING, b"?"),
        frame(CONTINUE, &HELLO[2..5]),
        frame(FIN | CONTINUE, &HELLO[5..]),
        frame(FIN | CLOSE, &[3, 232]),
    ]
    .concat();
    let expected = vec![
        (FIN | TEXT, b"Hello".to_vec()),
        (FIN | PONG, b"?".to_vec()),
        (FIN | BINARY, b"Hello".to_vec()),
        (FIN | CLOSE, vec![3, 232]),
    ];
    let connected = || {
        let (server, client, _) = noting_server_with(compressing(), OFFER);
        (server, client)
    };
    is_answered_however_it_is_cut(connected, &input, &expected);
}

#[test]
fn a_ping_between_the_frames_of_a_message_is_answered_before_its_end() {
    let (server, mut client, _) = noting_server_with(compressing(), OFFER);
    client.write_all(&[frame(RSV1 | TEXT, &HELLO[..4]), frame(FIN | PING, b"now")].concat()).unwrap();
    assert_eq!(read_frame(&mut client), Some((FIN | PONG, b"now".to_vec())));
    client.write_all(&frame(FIN | CONTINUE, &HELLO[4..])).unwrap();
    assert_eq!(read_frame(&mut client), Some((FIN | TEXT, b"Hello".to_vec())));
    server.stop(Duration::ZERO);
}

#[test]
fn a_peer_that_vanishes_within_a_compressed_message_is_told_from_one_that_closes() {
    let input = [frame(RSV1 | TEXT, &HELLO[..4]), frame(FIN | CONTINUE, &HELLO[4..])].concat();
    for cut in 0..=input.len() {
        let (server, mut client, end) = noting_server_with(compressing(), OFFER);
        client.write_all(&input[..cut]).unwrap();
        drop(client);
        let end = end.get_timeout(LONG).expect("it ends").expect("an error");
        let gone = [io::ErrorKind::UnexpectedEof, io::ErrorKind::ConnectionReset, io::ErrorKind::BrokenPipe];
        assert!(!end.is_closed() && gone.contains(&end.kind()), "{cut}: {end}");
        server.stop(Duration::ZERO);
    }
}

/// The code that the server closes with, and what its handler hears.
fn verdict(options: WebSocketOptions, fields: &str, input: &[u8]) -> (u16, WebSocketError) {
    let (server, mut client, end) = noting_server_with(options, fields);
    client.write_all(input).unwrap();
    let (first, payload) = frames(&mut client).pop().expect("a close");
    assert_eq!(first, FIN | CLOSE);
    let code = u16::from_be_bytes([payload[0], payload[1]]);
    let end = end.get_timeout(LONG).expect("it ends").expect("an error");
    assert_eq!(end.code(), Some(code), "{end}");
    server.stop(Duration::ZERO);
    (code, end)
}

#[test]
fn what_breaks_the_protocol_is_closed_with_the_right_code() {
    let begun = || frame(RSV1 | TEXT, &HELLO[..3]);
    let unmasked = [&[FIN | RSV1 | TEXT, HELLO.len() as u8][..], &HELLO].concat();
    // 0xff, stored.
    let not_utf8 = frame(FIN | RSV1 | TEXT, &[0x00, 0x01, 0x00, 0xfe, 0xff, 0xff, 0x00]);
    let cut_utf8 = frame(FIN | RSV1 | TEXT, &[0x00, 0x01, 0x00, 0xfe, 0xff, 0xc3, 0x00]);
    let cases: Vec<(&str, u16, Vec<u8>)> = vec![
        ("RSV1 on a continuation", 1002, [begun(), frame(FIN | RSV1 | CONTINUE, &HELLO[3..])].concat()),
        (
            "RSV1 on a continuation of a plain message",
            1002,
            [frame(TEXT, b"hi"), frame(FIN | RSV1 | CONTINUE, b"hi")].concat(),
        ),
        ("RSV1 on a continuation of nothing", 1002, frame(FIN | RSV1 | CONTINUE, &HELLO)),
        ("RSV1 on a ping", 1002, frame(FIN | RSV1 | PING, b"hi")),
        ("RSV1 on a ping within a message", 1002, [begun(), frame(FIN | RSV1 | PING, b"hi")].concat()),
        ("RSV1 on a pong", 1002, frame(FIN | RSV1 | PONG, b"hi")),
        ("RSV1 on a close", 1002, frame(FIN | RSV1 | CLOSE, &[3, 232])),
        ("RSV1 on opcode 3", 1002, frame(FIN | RSV1 | 3, &HELLO)),
        ("RSV2", 1002, frame(FIN | 0x20 | TEXT, b"hi")),
        ("RSV1 and RSV2", 1002, frame(FIN | RSV1 | 0x20 | TEXT, &HELLO)),
        ("RSV1 and RSV3", 1002, frame(FIN | RSV1 | 0x10 | TEXT, &HELLO)),
        ("RSV3 within a message", 1002, [begun(), frame(FIN | 0x10 | CONTINUE, &HELLO[3..])].concat()),
        ("a text in a compressed one", 1002, [begun(), frame(FIN | TEXT, b"hi")].concat()),
        (
            "a text in one of which nothing has come",
            1002,
            [frame(RSV1 | TEXT, b""), frame(FIN | TEXT, b"hi")].concat(),
        ),
        ("a compressed text in a compressed one", 1002, [begun(), frame(FIN | RSV1 | TEXT, &HELLO)].concat()),
        (
            "a compressed text in a plain one",
            1002,
            [frame(TEXT, b"hi"), frame(FIN | RSV1 | TEXT, &HELLO)].concat(),
        ),
        ("not masked", 1002, unmasked),
        ("a fragmented ping", 1002, [begun(), frame(PING, b"hi")].concat()),
        ("corrupt", 1007, frame(FIN | RSV1 | TEXT, &[0xff; 10])),
        ("corrupt from the second fragment on", 1007, [begun(), frame(FIN | CONTINUE, &[0xff; 10])].concat()),
        ("a reference to the message before", 1007, {
            [frame(FIN | RSV1 | TEXT, &HELLO), frame(FIN | RSV1 | TEXT, &[0xf2, 0x00, 0x11, 0x00, 0x00])]
                .concat()
        }),
        ("without its end", 1007, frame(FIN | RSV1 | TEXT, &HELLO[..4])),
        ("not UTF-8", 1007, not_utf8),
        ("a character without its end", 1007, cut_utf8),
    ];
    for (what, code, input) in cases {
        assert_eq!(verdict(compressing(), OFFER, &input).0, code, "{what}");
    }
    let (_, end) = verdict(compressing(), OFFER, &frame(FIN | RSV1 | TEXT, &[0xff; 10]));
    assert!(end.to_string().contains("a compressed message is corrupt"), "{end}");
    // It was not agreed on.
    for (options, fields) in [(WebSocketOptions::new(), OFFER), (compressing(), "")] {
        assert_eq!(verdict(options, fields, &frame(FIN | RSV1 | TEXT, &HELLO)).0, 1002);
    }
}

#[test]
fn limits_hold_for_what_a_message_inflates_to() {
    // A thousand zeros, as zlib has them.
    let zeros = [0x62, 0x60, 0x18, 0x05, 0xa3, 0x60, 0x14, 0x0c, 0x77, 0x00, 0x00];
    let options = || WebSocketOptions::new().compress(true);
    let input = frame(FIN | RSV1 | BINARY, &zeros);
    assert_eq!(verdict(options().max_message(999), OFFER, &input).0, 1009);
    assert_eq!(verdict(options().max_frame(999), OFFER, &input).0, 1009);
    let (server, mut client, _) = noting_server_with(options().max_message(1000), OFFER);
    client.write_all(&input).unwrap();
    let (first, payload) = read_frame(&mut client).unwrap();
    assert_eq!(first, FIN | RSV1 | BINARY);
    assert!(payload.len() < 30);
    server.stop(Duration::ZERO);
}

#[test]
fn what_follows_a_fault_is_not_read() {
    let input = [frame(FIN | RSV1 | TEXT, &[0xff; 10]), frame(FIN | TEXT, b"late")].concat();
    let (server, mut client, _) = noting_server_with(compressing(), OFFER);
    client.write_all(&input).unwrap();
    let seen = frames(&mut client);
    assert_eq!((seen.len(), seen[0].0), (1, FIN | CLOSE));
    server.stop(Duration::ZERO);
}

#[test]
fn a_reader_that_is_interrupted_loses_nothing() {
    let (server, mut client) = serve(|request: &mut Request<'_>| {
        compressing().upgrade(request, |socket: WebSocket| {
            // Interrupted wherever it is.
            let read = |_| timeout(Duration::from_millis(1), || socket.read()).ok();
            let message = (0..).find_map(read).unwrap()?;
            let reader = spawn({
                let socket = socket.clone();
                move || socket.read()
            });
            yield_now();
            reader.kill();
            socket.send(message)?;
            let next = socket.read()?;
            Ok(socket.send(next)?)
        })
    });
    shake_with(&mut client, OFFER);
    let message = [frame(RSV1 | TEXT, &HELLO[..4]), frame(FIN | CONTINUE, &HELLO[4..])].concat();
    for byte in [message.clone(), message].concat() {
        greenloop::sleep(Duration::from_millis(2));
        client.write_all(&[byte]).unwrap();
    }
    for _ in 0..2 {
        assert_eq!(read_frame(&mut client), Some((FIN | TEXT, b"Hello".to_vec())));
    }
    server.stop(Duration::ZERO);
}

#[test]
fn a_message_whose_sender_was_interrupted_is_sent_whole() {
    // Of a message that can be compressed, so much that the sockets cannot take it at once.
    let long: Vec<u8> = noise(16 << 20).iter().map(|byte| b'a' + byte % 16).collect();
    let long: &'static [u8] = long.leak();
    for kills in [true, false] {
        let was_late: Rc<Cell<bool>> = Rc::default();
        let (seen, ready) = (was_late.clone(), Event::new());
        let go = ready.clone();
        let server = Server::bind("127.0.0.1:0")
            .unwrap()
            .start(move |request: &mut Request<'_>| {
                let (seen, go) = (seen.clone(), go.clone());
                compressing().upgrade(request, move |socket: WebSocket| {
                    let message = long.to_vec();
                    let first = spawn({
                        let socket = socket.clone();
                        move || timeout(Duration::from_millis(5), || socket.send(message)).is_err()
                    });
                    yield_now();
                    match kills {
                        true => first.kill(),
                        false => seen.set(first.join().unwrap()),
                    }
                    go.set();
                    Ok(socket.send("last of all, and long enough to be compressed ".repeat(10))?)
                })
            })
            .unwrap();
        let url = format!("ws://{}/", server.local_addr().unwrap());
        let socket = compressing().max_message(64 << 20).connect(&url).unwrap();
        assert!(ready.wait_timeout(LONG));
        assert!(socket.read().unwrap().into_bytes() == long);
        assert_eq!(socket.read().unwrap().bytes().len(), 460);
        assert!(kills || was_late.get());
        server.stop(LONG);
    }
}

#[test]
fn a_close_while_another_reads_waits_for_what_it_reads() {
    let (server, url) = compressing_echo();
    let socket = compressing().connect(&url).unwrap();
    let reader = spawn({
        let socket = socket.clone();
        move || socket.messages().map(|message| message.unwrap().into_bytes().len()).sum::<usize>()
    });
    yield_now();
    socket.send(text(300_000, 1)).unwrap();
    socket.close(1000, "").unwrap();
    assert_eq!(reader.join().unwrap(), 300_000);
    server.stop(LONG);
}

/// Answers the request of a client as a server does, with `fields` added and `rest` behind the head. Gives the request as well.
fn answered(listener: &TcpListener, fields: &str, rest: &[u8]) -> (TcpStream, String) {
    let (mut socket, _) = listener.accept().unwrap();
    socket.set_read_timeout(Some(LONG)).unwrap();
    let request = head(&mut socket);
    let app = |request: &mut Request<'_>| WebSocket::upgrade(request, |_| ());
    let sound = String::from_utf8_lossy(&http::exchange(&app, request.as_bytes())).into_owned();
    let (head, _) = sound.split_once("\r\n\r\n").unwrap();
    let fields =
        if fields.is_empty() { String::new() } else { format!("\r\nSec-WebSocket-Extensions: {fields}") };
    socket.write_all(&[head.as_bytes(), fields.as_bytes(), b"\r\n\r\n", rest].concat()).unwrap();
    (socket, request)
}

#[test]
fn a_client_checks_what_the_server_has_chosen() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    let connect = |options: WebSocketOptions, fields: &str| {
        let url = url.clone();
        let client = spawn(move || options.connect(&url));
        let (socket, request) = answered(&listener, fields, b"");
        (client.join().unwrap(), socket, request)
    };
    let (outcome, _socket, request) = connect(compressing(), "");
    assert!(!outcome.unwrap().is_compressed());
    let offer = "\r\nSec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover; \
                 server_no_context_takeover; client_max_window_bits\r\n";
    assert!(request.contains(offer), "{request}");
    let (outcome, _socket, request) = connect(WebSocketOptions::new(), "");
    assert!(!outcome.unwrap().is_compressed() && !request.to_lowercase().contains("extensions"));
    let (outcome, ..) = connect(compressing(), "permessage-deflate; server_no_context_takeover");
    assert!(outcome.unwrap().is_compressed());
    for (options, fields, expected) in [
        // RFC 7692, 7.1.1.1: what was asked for is missing.
        (compressing(), "permessage-deflate", "would keep the context"),
        (compressing(), "permessage-deflate; server_no_context_takeover; x", "malformed parameters"),
        (
            compressing(),
            "permessage-deflate; server_no_context_takeover; client_max_window_bits",
            "malformed",
        ),
        (compressing(), "permessage-bzip2", "an extension that was not asked for"),
        (compressing(), "permessage-deflate;", "is malformed"),
        (WebSocketOptions::new(), "permessage-deflate; server_no_context_takeover", "was not asked for"),
    ] {
        let error = connect(options, fields).0.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        assert!(error.to_string().contains(expected) && error.to_string().contains(&url), "{error}");
    }
}

#[test]
fn a_client_inflates_what_comes_with_the_head_and_honours_the_window() {
    for (bits, is_compressed) in [(9, true), (8, false)] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("ws://{}/", listener.local_addr().unwrap());
        let client = spawn(move || {
            let socket = compressing().connect(&url).unwrap();
            assert_eq!(socket.read().unwrap().text(), Some("Hello"));
            socket.send(vec![0; 1000]).unwrap();
            // A server does not mask.
            assert_eq!(socket.read().unwrap_err().code(), Some(1002));
        });
        let fields = format!("permessage-deflate; server_no_context_takeover; client_max_window_bits={bits}");
        let hello = [&[FIN | RSV1 | TEXT, HELLO.len() as u8][..], &HELLO].concat();
        let (mut socket, _) = answered(&listener, &fields, &hello);
        let mut first = [0; 2];
        io::Read::read_exact(&mut socket, &mut first).unwrap();
        // With a window of 8 bits nothing can be compressed, so it comes as it is.
        assert_eq!(first[0] & RSV1 != 0, is_compressed);
        socket.write_all(&frame(FIN | RSV1 | TEXT, &HELLO)).unwrap();
        client.join().unwrap();
    }
}

/// `.ci/websocket` starts the server.
#[test]
#[ignore = "needs a server of another make: .ci/websocket"]
fn a_server_of_others_compresses() {
    let port = std::env::var("GREENLOOP_WEBSOCKET_PEER").expect("the port of an echo server");
    let url = format!("ws://127.0.0.1:{}/", port.trim());
    let socket = compressing().protocols(["echo"]).connect(&url).expect("a connection");
    assert!(socket.is_compressed());
    let message = |n: usize| match n % 3 {
        0 => Message::from(text(n * 9000, n)),
        1 => Message::from(noise(n * 9000)),
        _ => Message::from(vec![b'x'; n * 9000]),
    };
    let writer = spawn({
        let socket = socket.clone();
        move || (0..40).try_for_each(|n| socket.send(message(n)))
    });
    for n in 0..40 {
        assert!(socket.read().unwrap() == message(n), "message {n}");
    }
    writer.join().unwrap().unwrap();
    socket.close(1000, "bye").unwrap();
}
