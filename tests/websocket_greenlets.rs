//! The WebSocket between greenlets: both directions at once, clients, interruptions wherever it waits.
#![cfg(feature = "websocket")]

mod ws_support;

use greenloop::event::Event;
use greenloop::http::{
    self, Message, Request, Response, Server, WebSocket, WebSocketError, WebSocketOptions, header,
};
use greenloop::net::{TcpListener, TcpStream};
use greenloop::{Greenlet, join_all, sleep, spawn, timeout, yield_now};
use std::cell::{Cell, RefCell};
use std::io::{self, Read, Write};
use std::rc::Rc;
use std::time::Duration;
use ws_support::*;

const SHORT: Duration = Duration::from_millis(5);

fn pattern(length: usize, seed: usize) -> Vec<u8> {
    (0..length).map(|n| (n * 31 + n / 251 + seed) as u8).collect()
}

/// FNV-1a.
fn checksum(state: u64, bytes: &[u8]) -> u64 {
    bytes.iter().fold(state, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

fn url(server: &greenloop::http::RunningServer) -> String {
    format!("ws://{}/", server.local_addr().unwrap())
}

fn large() -> WebSocketOptions {
    WebSocketOptions::new().max_message(8 << 20)
}

fn large_echo(request: &mut Request<'_>) -> Response {
    large().upgrade(request, |socket: WebSocket| {
        for message in &socket {
            socket.send(message?)?;
        }
        Ok(())
    })
}

#[test]
fn a_client_and_a_server_talk_and_close() {
    let ends: Rc<RefCell<Vec<WebSocketError>>> = Rc::default();
    let seen = ends.clone();
    let server = Server::bind("127.0.0.1:0")
        .unwrap()
        .start(move |request: &mut Request<'_>| {
            let seen = seen.clone();
            assert_eq!(request.header("authorization"), Some("Bearer x"));
            WebSocketOptions::new().protocols(["talk"]).upgrade(request, move |socket: WebSocket| {
                assert_eq!(socket.protocol(), Some("talk"));
                for message in &socket {
                    socket.send(message?)?;
                }
                seen.borrow_mut().push(socket.end().unwrap());
                Ok(())
            })
        })
        .unwrap();
    let options = WebSocketOptions::new()
        .protocols(["other", "talk"])
        .header(header::AUTHORIZATION, "Bearer x".parse().unwrap());
    let socket = options.connect(&url(&server)).unwrap();
    assert_eq!(socket.protocol(), Some("talk"));
    for message in [Message::from("text"), Message::from(vec![0, 255]), Message::from(""), Message::from("ö")]
    {
        socket.send(message.clone()).unwrap();
        assert_eq!(socket.read().unwrap(), message);
    }
    socket.ping(b"ping").unwrap();
    socket.pong(b"pong").unwrap();
    socket.close(1000, "bye").unwrap();
    server.stop(LONG);
    let end = ends.borrow()[0].clone();
    assert_eq!(end.close().map(|close| (close.code, close.reason.as_str())), Some((1000, "bye")));
}

#[test]
fn both_directions_at_once_with_messages_of_all_sizes() {
    const COUNT: usize = 60;
    let size = |n: usize| [0, 1, 125, 126, 65_535, 65_536, 200_000, 7][n % 8] + n;
    let app = move |request: &mut Request<'_>| {
        large().upgrade(request, move |socket: WebSocket| {
            let writer = spawn({
                let socket = socket.clone();
                move || (0..COUNT).try_for_each(|n| socket.send(pattern(size(n), n)))
            });
            let mut sum = 0;
            for _ in 0..COUNT {
                sum = checksum(sum, socket.read()?.bytes());
            }
            writer.join().unwrap()?;
            Ok(socket.send(sum.to_string())?)
        })
    };
    let server = Server::bind("127.0.0.1:0").unwrap().start(app).unwrap();
    let socket = large().connect(&url(&server)).unwrap();
    let writer = spawn({
        let socket = socket.clone();
        move || (0..COUNT).try_for_each(|n| socket.send(pattern(size(n), n + 100)))
    });
    for n in 0..COUNT {
        assert!(socket.read().unwrap().bytes() == pattern(size(n), n), "message {n}");
    }
    let expected = (0..COUNT).fold(0, |sum, n| checksum(sum, &pattern(size(n), n + 100)));
    assert_eq!(socket.read().unwrap().text(), Some(expected.to_string().as_str()));
    writer.join().unwrap().unwrap();
    assert!(socket.read().unwrap_err().is_closed());
    server.stop(LONG);
}

#[test]
fn many_may_send_and_each_message_stays_whole() {
    let server = Server::bind("127.0.0.1:0").unwrap().start(large_echo).unwrap();
    let socket = large().connect(&url(&server)).unwrap();
    let senders: Vec<Greenlet<()>> = (0..20)
        .map(|n| {
            let socket = socket.clone();
            spawn(move || (0..3).for_each(|_| socket.send(vec![n; 100_000 + usize::from(n)]).unwrap()))
        })
        .collect();
    let mut counts = [0; 20];
    for _ in 0..60 {
        let bytes = socket.read().unwrap().into_bytes();
        assert_eq!(bytes.len(), 100_000 + usize::from(bytes[0]));
        assert!(bytes.iter().all(|byte| *byte == bytes[0]));
        counts[usize::from(bytes[0])] += 1;
    }
    assert_eq!(counts, [3; 20]);
    join_all(senders);
    socket.close(1000, "").unwrap();
    server.stop(LONG);
}

#[test]
fn a_ping_is_answered_while_a_big_message_is_sent() {
    let (server, mut client) = serve(|request: &mut Request<'_>| {
        WebSocket::upgrade(request, |socket| {
            let reader = spawn({
                let socket = socket.clone();
                move || socket.read()
            });
            socket.send(pattern(8 << 20, 1))?;
            assert_eq!(reader.join().unwrap()?, Message::from("got it"));
            Ok(())
        })
    });
    shake(&mut client);
    // The server is stuck in its message, as nobody reads; the ping waits in its socket.
    client.write_all(&frame(FIN | PING, b"now")).unwrap();
    let (mut received, mut pong_after) = (Vec::new(), None);
    while received.len() < 8 << 20 {
        match read_frame(&mut client).expect("more") {
            (first, payload) if first & 15 == PONG => {
                assert_eq!(payload, b"now");
                pong_after = Some(received.len());
            }
            (_, payload) => received.extend(payload),
        }
    }
    assert!(received == pattern(8 << 20, 1));
    assert!(pong_after.is_some_and(|after| after < 8 << 20), "{pong_after:?}");
    client.write_all(&frame(FIN | TEXT, b"got it")).unwrap();
    assert_eq!(read_frame(&mut client).unwrap().0, FIN | CLOSE);
    server.stop(Duration::ZERO);
}

#[test]
fn pings_that_are_not_listened_for_do_not_pile_up() {
    let (server, client) = serve(|request: &mut Request<'_>| {
        WebSocket::upgrade(request, |socket| {
            let writer = spawn({
                let socket = socket.clone();
                move || socket.send(vec![0; 16 << 20])
            });
            let end = socket.read();
            assert!(writer.join().unwrap().is_err() && end.is_err());
        })
    });
    let mut client = client;
    shake(&mut client);
    // Nobody reads, so the server must stop reading as well.
    let flood = frame(FIN | PING, &[7; 125]).repeat(1000);
    client.set_write_timeout(Some(Duration::from_millis(200))).unwrap();
    let mut sent = 0;
    while sent < 64 << 20 {
        match Write::write(&mut client, &flood) {
            Ok(count) => sent += count,
            Err(error) => {
                assert_eq!(error.kind(), io::ErrorKind::TimedOut);
                break;
            }
        }
    }
    assert!(sent < 64 << 20, "the server has taken everything");
    drop(client);
    server.stop(LONG);
}

#[test]
fn a_reader_that_is_interrupted_loses_nothing() {
    let (server, mut client) = serve(|request: &mut Request<'_>| {
        WebSocket::upgrade(request, |socket| {
            let mut interruptions = 0;
            let message = loop {
                match timeout(Duration::from_millis(1), || socket.read()) {
                    Ok(message) => break message?,
                    Err(_) => interruptions += 1,
                }
            };
            assert!(interruptions > 0);
            // Kills, too: in the middle of the next message.
            let reader = spawn({
                let socket = socket.clone();
                move || socket.read()
            });
            yield_now();
            reader.kill();
            let next = socket.read()?;
            socket.send(message)?;
            socket.send(next)?;
            Ok(())
        })
    });
    shake(&mut client);
    let input =
        [frame(TEXT, b"one"), frame(FIN | CONTINUE, b" message"), frame(FIN | TEXT, b"another")].concat();
    for byte in input {
        sleep(Duration::from_millis(2));
        client.write_all(&[byte]).unwrap();
    }
    assert_eq!(read_frame(&mut client), Some((FIN | TEXT, b"one message".to_vec())));
    assert_eq!(read_frame(&mut client), Some((FIN | TEXT, b"another".to_vec())));
    server.stop(Duration::ZERO);
}

#[test]
fn a_message_whose_sender_was_interrupted_is_sent_whole() {
    for kills in [true, false] {
        let outcome: Rc<Cell<bool>> = Rc::default();
        let seen = outcome.clone();
        let ready = Event::new();
        let go = ready.clone();
        let (server, mut client) = serve(move |request: &mut Request<'_>| {
            let (seen, go) = (seen.clone(), go.clone());
            WebSocket::upgrade(request, move |socket| {
                let first = spawn({
                    let socket = socket.clone();
                    move || timeout(SHORT, || socket.send(pattern(8 << 20, 5))).is_err()
                });
                yield_now();
                // In line behind the first; it is interrupted before its turn, and so was not sent.
                let second = spawn({
                    let socket = socket.clone();
                    move || socket.send("never")
                });
                yield_now();
                second.kill();
                match kills {
                    true => first.kill(),
                    false => seen.set(first.join().unwrap()),
                }
                go.set();
                socket.send("last")?;
                Ok(())
            })
        });
        shake(&mut client);
        assert!(ready.wait_timeout(LONG));
        let mut received = Vec::new();
        while received.len() < 8 << 20 {
            received.extend(read_frame(&mut client).expect("more").1);
        }
        assert!(received == pattern(8 << 20, 5));
        assert_eq!(read_frame(&mut client), Some((FIN | TEXT, b"last".to_vec())));
        assert!(kills || outcome.get());
        server.stop(Duration::ZERO);
    }
}

#[test]
fn a_close_that_is_interrupted_can_be_finished() {
    let (server, mut client) = serve(|request: &mut Request<'_>| {
        WebSocket::upgrade(request, |socket| {
            assert!(timeout(SHORT, || socket.close(1000, "first")).is_err());
            socket.close(1000, "second")?;
            Ok(())
        })
    });
    shake(&mut client);
    assert_eq!(read_frame(&mut client), Some((FIN | CLOSE, b"\x03\xe8first".to_vec())));
    sleep(Duration::from_millis(20));
    client.write_all(&frame(FIN | CLOSE, &[3, 232])).unwrap();
    assert_eq!(read_frame(&mut client), None);
    server.stop(Duration::ZERO);
}

#[test]
fn a_close_while_another_reads_waits_for_what_it_reads() {
    let server = Server::bind("127.0.0.1:0").unwrap().start(large_echo).unwrap();
    let socket = large().connect(&url(&server)).unwrap();
    let reader = spawn({
        let socket = socket.clone();
        move || socket.messages().map(|message| message.unwrap().into_bytes().len()).sum::<usize>()
    });
    yield_now();
    socket.send(vec![1; 300_000]).unwrap();
    socket.close(1000, "").unwrap();
    assert_eq!(reader.join().unwrap(), 300_000);
    server.stop(LONG);
}

#[test]
fn a_peer_that_does_not_read_breaks_the_connection_in_the_end() {
    let (sender, outcome) = noted();
    let (server, mut client) = serve(move |request: &mut Request<'_>| {
        let sender = sender.clone();
        let options = WebSocketOptions::new().write_timeout(Duration::from_millis(50));
        options.upgrade(request, move |socket: WebSocket| {
            let reader = spawn({
                let socket = socket.clone();
                move || socket.read()
            });
            let sent = socket.send(vec![0; 64 << 20]).map_err(|error| error.kind());
            // Whoever reads is woken, and hears the same.
            let read = reader.join().unwrap().map_err(|error| error.kind());
            let _ = sender.set((sent, read.map(drop)));
        })
    });
    shake(&mut client);
    let (sent, read) = outcome.get_timeout(LONG).unwrap();
    assert_eq!((sent, read), (Err(io::ErrorKind::TimedOut), Err(io::ErrorKind::TimedOut)));
    server.stop(Duration::ZERO);
}

/// Calls something when it is dropped.
struct AtEnd<F: FnMut()>(F);

impl<F: FnMut()> Drop for AtEnd<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

#[test]
fn a_destructor_run_by_a_kill_does_not_wait_and_breaks_nothing() {
    let server = Server::bind("127.0.0.1:0").unwrap().start(large_echo).unwrap();
    let socket = WebSocket::connect(&url(&server)).unwrap();
    let errors: Rc<RefCell<Vec<io::ErrorKind>>> = Rc::default();
    let victim = spawn({
        let (socket, errors) = (socket.clone(), errors.clone());
        move || {
            let _end = AtEnd(move || {
                errors.borrow_mut().push(socket.read().unwrap_err().kind());
                // Small enough to leave without waiting.
                socket.send("last words").unwrap();
                errors.borrow_mut().push(socket.close(1000, "").unwrap_err().kind());
            });
            sleep(Duration::from_secs(3600));
        }
    });
    yield_now();
    victim.kill();
    assert_eq!(errors.borrow().len(), 2);
    assert_eq!(socket.read().unwrap().text(), Some("last words"));
    // The close that was begun is finished.
    socket.close(1000, "").unwrap();
    server.stop(LONG);
}

#[test]
fn a_stop_kills_who_does_not_end() {
    let (server, mut client) = serve(|request: &mut Request<'_>| {
        WebSocket::upgrade(request, |_socket| sleep(Duration::from_secs(3600)))
    });
    shake(&mut client);
    timeout(LONG, || server.stop(SHORT)).unwrap();
    assert_eq!(read_frame(&mut client), None);
}

#[test]
fn connecting_says_what_went_wrong() {
    // Servers that answer what is not wanted.
    let cases: [(&str, &str); 9] = [
        ("HTTP/1.1 404 Not Found\r\n\r\n", "the server answers 404 Not Found"),
        ("HTTP/1.1 200 OK\r\n\r\n", "the server answers 200 OK"),
        ("rubbish\r\n\r\n", "a malformed answer"),
        ("", "has closed the connection instead of answering"),
        ("HTTP/1.1 101 x\r\n", "has closed the connection instead of answering"),
        ("HTTP/1.1 101 x\r\nUpgrade: h2c\r\nConnection: upgrade\r\n\r\n", "not for a WebSocket"),
        (
            "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
            "Sec-WebSocket-Accept is wrong",
        ),
        (
            "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: AAAA\r\n\r\n",
            "Sec-WebSocket-Accept is wrong",
        ),
        ("HTTP/1.1 101 x\r\nX: ", "closed the connection"),
    ];
    for (answer, expected) in cases {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            head(&mut socket);
            socket.write_all(answer.as_bytes()).unwrap();
        });
        let error = WebSocket::connect(&format!("ws://{address}/x")).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
        assert!(error.to_string().contains(&format!("ws://{address}/x")), "{error}");
        server.join().unwrap();
    }
    for url in ["", "http://localhost/", "ws://", "ws:///x", "ws://user:secret@localhost/", "localhost"] {
        assert_eq!(WebSocket::connect(url).unwrap_err().kind(), io::ErrorKind::InvalidInput, "{url}");
    }
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}/", silent.local_addr().unwrap());
    let error = WebSocketOptions::new().connect_timeout(SHORT).connect(&url).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
}

#[test]
fn a_client_checks_what_the_server_has_chosen_and_what_it_sends() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    /// Answers as a server does, with `fields` added and `rest` behind the head.
    fn answer(listener: &TcpListener, fields: &str, rest: &[u8]) -> TcpStream {
        let (mut socket, _) = listener.accept().unwrap();
        let request = head(&mut socket);
        let app = |request: &mut Request<'_>| WebSocket::upgrade(request, |_| ());
        let sound = String::from_utf8_lossy(&http::exchange(&app, request.as_bytes())).into_owned();
        let (head, _) = sound.split_once("\r\n\r\n").unwrap();
        socket.write_all(&[head.as_bytes(), fields.as_bytes(), b"\r\n\r\n", rest].concat()).unwrap();
        socket
    }
    for (fields, expected) in [
        ("\r\nSec-WebSocket-Protocol: x", "a subprotocol that was not asked for"),
        ("\r\nSec-WebSocket-Extensions: permessage-deflate", "an extension that was not asked for"),
    ] {
        let client = spawn(move || WebSocket::connect(&format!("ws://{address}/")));
        let _socket = answer(&listener, fields, b"");
        let error = client.join().unwrap().unwrap_err().to_string();
        assert!(error.contains(expected), "{error}");
    }
    // What comes in one piece with the head is not lost; a masked frame is none of a server.
    let client = spawn(move || {
        let socket = WebSocket::connect(&format!("ws://{address}/")).unwrap();
        (socket.read(), socket.read())
    });
    let mut socket =
        answer(&listener, "", &[&[FIN | TEXT, 2, b'h', b'i'][..], &frame(FIN | TEXT, b"x")].concat());
    let (first, second) = client.join().unwrap();
    assert_eq!(first.unwrap().text(), Some("hi"));
    assert_eq!(second.unwrap_err().code(), Some(1002));
    socket.set_read_timeout(Some(LONG)).unwrap();
    let mut close = [0; 2];
    socket.read_exact(&mut close).unwrap();
    assert_eq!((close[0], close[1] & 0x80), (FIN | CLOSE, 0x80), "a client masks");
}

#[cfg(feature = "tls")]
#[test]
fn it_works_over_tls() {
    use greenloop::tls::{ClientConfig, Identity, Roots, ServerConfig};
    let made = rcgen::generate_simple_self_signed(["localhost".to_string()]).unwrap();
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let tls =
        ServerConfig::builder().identity(Identity::from_pem(&certificate, key).unwrap()).build().unwrap();
    let server = Server::bind("127.0.0.1:0").unwrap().tls(tls).start(large_echo).unwrap();
    let client = ClientConfig::builder().roots(Roots::from_pem(&certificate).unwrap()).build().unwrap();
    let port = server.local_addr().unwrap().port();
    let socket = large().tls(client).connect(&format!("wss://localhost:{port}/")).unwrap();
    let writer = spawn({
        let socket = socket.clone();
        move || (0..10).try_for_each(|n| socket.send(pattern(150_000, n)))
    });
    for n in 0..10 {
        assert!(socket.read().unwrap().bytes() == pattern(150_000, n));
    }
    writer.join().unwrap().unwrap();
    // A server that stops ends it here as well.
    let reader = spawn({
        let socket = socket.clone();
        move || socket.read()
    });
    yield_now();
    timeout(LONG, || server.stop(LONG)).expect("it does not need the grace");
    assert_eq!(reader.join().unwrap().unwrap_err().code(), Some(1001));
}

#[test]
fn three_hundred_at_once() {
    let server = Server::bind("127.0.0.1:0").unwrap().start(large_echo).unwrap();
    let url = url(&server);
    let talks = (0..300).map(|n| {
        let url = url.clone();
        spawn(move || {
            let socket = WebSocket::connect(&url)?;
            for m in 0..5 {
                socket.send(format!("{n}.{m}"))?;
                assert_eq!(socket.read()?.text(), Some(format!("{n}.{m}").as_str()));
            }
            socket.close(1000, "")
        })
    });
    for talk in join_all(talks.collect::<Vec<_>>()) {
        talk.unwrap().unwrap();
    }
    server.stop(LONG);
}

/// `.ci/websocket` starts the server.
#[test]
#[ignore = "needs a server of another make: .ci/websocket"]
fn the_server_of_others_can_be_talked_to() {
    let port = std::env::var("GREENLOOP_WEBSOCKET_PEER").expect("the port of an echo server");
    let socket = large()
        .protocols(["echo"])
        .connect(&format!("ws://127.0.0.1:{}/", port.trim()))
        .expect("a connection");
    assert_eq!(socket.protocol(), Some("echo"));
    let writer = spawn({
        let socket = socket.clone();
        move || (0..20).try_for_each(|n| socket.send(pattern(n * 20_000, n)))
    });
    for n in 0..20 {
        assert!(socket.read().unwrap().bytes() == pattern(n * 20_000, n));
    }
    writer.join().unwrap().unwrap();
    // It pings all the time, and an answer that is late would end the connection.
    assert!(timeout(Duration::from_millis(500), || socket.read()).is_err());
    socket.send("text").unwrap();
    assert_eq!(socket.read().unwrap().text(), Some("text"));
    socket.close(1000, "bye").unwrap();
}
