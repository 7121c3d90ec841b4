//! The WebSocket against frames made by hand: what is well formed, what is not, and peers that vanish.
#![cfg(feature = "websocket")]

mod ws_support;

use greenloop::http::{Message, Request, Server, WebSocket, WebSocketOptions};
use greenloop::net::{TcpListener, TcpStream};
use greenloop::{spawn, timeout, yield_now};
use std::cell::RefCell;
use std::io::{self, Read, Write};
use std::rc::Rc;
use std::time::Duration;
use ws_support::*;

#[test]
fn the_example_of_the_rfc_is_answered_as_there() {
    let (server, mut client) = echo_server();
    client.write_all(&request("/", "")).unwrap();
    let head = head(&mut client).to_lowercase();
    assert!(head.starts_with("http/1.1 101 switching protocols\r\n"), "{head}");
    assert!(head.contains("\r\nsec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo=\r\n"), "{head}");
    assert!(
        head.contains("\r\nupgrade: websocket\r\n") && head.contains("\r\nconnection: upgrade\r\n"),
        "{head}"
    );
    assert!(!head.contains("sec-websocket-extensions") && !head.contains("transfer-encoding"), "{head}");
    // RFC 6455, 5.7: "Hello", masked.
    client.write_all(&[0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]).unwrap();
    assert_eq!(read_frame(&mut client), Some((TEXT | FIN, b"Hello".to_vec())));
    server.stop(Duration::ZERO);
}

#[test]
fn a_handshake_that_asks_wrongly_is_refused() {
    let good = String::from_utf8(request("/", "")).unwrap();
    let cases = [
        ("GET /", "POST /", "405 "),
        ("HTTP/1.1", "HTTP/1.0", "426 "),
        ("Upgrade: websocket", "Upgrade: h2c", "426 "),
        ("Connection: Upgrade", "Connection: close", "426 "),
        ("Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 8", "426 "),
        ("Sec-WebSocket-Version: 13", "X: 13", "426 "),
        ("Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Version: 13", "426 "),
        ("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "X: x", "400 "),
        ("Key: dGhlIHNhbXBsZSBub25jZQ==", "Key: short", "400 "),
        ("Key: dGhlIHNhbXBsZSBub25jZQ==", "Key: dGhlIHNhbXBsZSBub25j*Q==", "400 "),
        ("Key: dGhlIHNhbXBsZSBub25jZQ==", "Key: dGhlIHNhbXBsZSBub25jZQ==AA", "400 "),
        ("Host: h\r\n", "Host: h\r\nOrigin: http://evil.example\r\n", "403 "),
        ("Host: h\r\n", "Host: h\r\nOrigin: null\r\n", "403 "),
        ("Host: h\r\n", "Host: h\r\nOrigin: http://h\r\nOrigin: http://h\r\n", "403 "),
    ];
    for (from, to, status) in cases {
        let text = good.replacen(from, to, 1);
        assert_ne!(text, good, "{from}");
        let answer = greenloop::http::exchange(&echo, text.as_bytes());
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{to}: {answer}");
        if to.ends_with(": 8") {
            assert!(answer.contains("\r\nsec-websocket-version: 13\r\n"), "{answer}");
        }
    }
    for origin in ["http://h", "https://H"] {
        let text = good.replace("Host: h\r\n", &format!("Host: h\r\nOrigin: {origin}\r\n"));
        assert!(greenloop::http::exchange(&echo, text.as_bytes()).starts_with(b"HTTP/1.1 101 "));
    }
    // RFC 9112, 3.2.2: where the target names a host, the header counts for nothing.
    for (origin, status) in [("http://there:8080", "101"), ("http://h", "403"), ("http://there", "403")] {
        let text = good
            .replace("GET / ", "GET http://there:8080/ ")
            .replace("Host: h\r\n", &format!("Host: h\r\nOrigin: {origin}\r\n"));
        let answer = greenloop::http::exchange(&echo, text.as_bytes());
        assert!(answer.starts_with(format!("HTTP/1.1 {status} ").as_bytes()), "{origin}");
    }
    let chosen = |request: &mut Request<'_>| {
        let options = WebSocketOptions::new().origins(|origin| origin == "https://friend.example");
        options.upgrade(request, |_| ())
    };
    for (origin, status) in [("https://friend.example", "101"), ("http://h", "403")] {
        let text = good.replace("Host: h\r\n", &format!("Host: h\r\nOrigin: {origin}\r\n"));
        let answer = greenloop::http::exchange(&chosen, text.as_bytes());
        assert!(answer.starts_with(format!("HTTP/1.1 {status} ").as_bytes()), "{origin}");
    }
}

#[test]
fn the_best_common_subprotocol_is_chosen() {
    let app = |request: &mut Request<'_>| {
        WebSocketOptions::new()
            .protocols(["v2", "v1"])
            .upgrade(request, |socket: WebSocket| Ok(socket.send(socket.protocol().unwrap_or("none"))?))
    };
    for (asked, expected) in [("v1, v2", Some("v2")), ("v3 ,v1", Some("v1")), ("v", None), ("", None)] {
        let field =
            if asked.is_empty() { String::new() } else { format!("Sec-WebSocket-Protocol: {asked}\r\n") };
        let answer = greenloop::http::exchange(&app, request("/", &field));
        let answer = String::from_utf8_lossy(&answer).to_lowercase();
        let line = expected.map(|name| format!("\r\nsec-websocket-protocol: {name}\r\n"));
        match line {
            Some(line) => assert!(answer.contains(&line), "{answer}"),
            None => assert!(!answer.contains("sec-websocket-protocol"), "{answer}"),
        }
        assert!(answer.contains(expected.unwrap_or("none")), "{answer}");
    }
}

#[test]
fn frames_cut_at_every_byte_arrive_whole() {
    let input = [
        frame(FIN | TEXT, "größe".as_bytes()),
        frame(BINARY, b"12"),
        frame(FIN | PING, b"?"),
        frame(CONTINUE, &[0; 200]),
        frame(FIN | CONTINUE, b"end"),
        frame(FIN | CLOSE, &[3, 232]),
    ]
    .concat();
    let whole = [b"12".to_vec(), vec![0; 200], b"end".to_vec()].concat();
    let expected = vec![
        (FIN | TEXT, "größe".as_bytes().to_vec()),
        (FIN | PONG, b"?".to_vec()),
        (FIN | BINARY, whole),
        (FIN | CLOSE, vec![3, 232]),
    ];
    is_answered_however_it_is_cut(connected, &input, &expected);
}

#[test]
fn a_peer_that_vanishes_at_any_byte_is_told_from_one_that_closes() {
    let input = [
        frame(FIN | TEXT, b"a text"),
        frame(BINARY, b"12"),
        frame(FIN | PING, b"?"),
        frame(FIN | CONTINUE, b"3"),
    ]
    .concat();
    for cut in 0..=input.len() {
        let (server, mut client, end) = noting_server(WebSocketOptions::new());
        client.write_all(&input[..cut]).unwrap();
        drop(client);
        let end = end.get_timeout(LONG).expect("it ends").expect("an error");
        // An echo that it has not read makes its system reset the connection.
        let gone = [io::ErrorKind::UnexpectedEof, io::ErrorKind::ConnectionReset, io::ErrorKind::BrokenPipe];
        assert!(!end.is_closed() && gone.contains(&end.kind()), "{cut}: {end}");
        server.stop(Duration::ZERO);
    }
}

/// What the server says to these bytes: the code it closes with.
fn verdict(options: WebSocketOptions, input: &[u8]) -> u16 {
    let (server, mut client, end) = noting_server(options);
    client.write_all(input).unwrap();
    let last = frames(&mut client).pop().expect("a close");
    assert_eq!(last.0, FIN | CLOSE);
    let code = u16::from_be_bytes([last.1[0], last.1[1]]);
    std::str::from_utf8(&last.1[2..]).expect("a reason is text");
    let end = end.get_timeout(LONG).expect("it ends").expect("an error");
    assert_eq!(end.code(), Some(code), "{end}");
    server.stop(Duration::ZERO);
    code
}

#[test]
fn what_breaks_the_protocol_is_closed_with_the_right_code() {
    let unmasked = |first: u8, payload: &[u8]| [&[first, payload.len() as u8], payload].concat();
    let cases: Vec<(&str, u16, Vec<u8>)> = vec![
        ("unmasked", 1002, unmasked(FIN | TEXT, b"hi")),
        ("reserved bit 1", 1002, frame(FIN | 0x40 | TEXT, b"hi")),
        ("reserved bit 2", 1002, frame(FIN | 0x20 | TEXT, b"hi")),
        ("reserved bit 3", 1002, frame(FIN | 0x10 | TEXT, b"hi")),
        ("opcode 3", 1002, frame(FIN | 3, b"hi")),
        ("opcode 7", 1002, frame(FIN | 7, b"hi")),
        ("opcode 11", 1002, frame(FIN | 11, b"hi")),
        ("opcode 15", 1002, frame(FIN | 15, b"hi")),
        ("fragmented ping", 1002, frame(PING, b"hi")),
        ("long ping", 1002, frame(FIN | PING, &[0; 126])),
        ("long close", 1002, frame(FIN | CLOSE, &[3; 126])),
        ("continuation of nothing", 1002, frame(FIN | CONTINUE, b"hi")),
        ("text in a text", 1002, [frame(TEXT, b"hi"), frame(FIN | TEXT, b"hi")].concat()),
        ("close of one byte", 1002, frame(FIN | CLOSE, &[3])),
        ("invalid UTF-8", 1007, frame(FIN | TEXT, &[0xff])),
        ("truncated UTF-8", 1007, frame(FIN | TEXT, &"ö".as_bytes()[..1])),
        ("surrogate", 1007, frame(FIN | TEXT, &[0xed, 0xa0, 0x80])),
        (
            "invalid UTF-8 in a fragment",
            1007,
            [frame(TEXT, b"hi"), frame(FIN | CONTINUE, &[0xc0, 0xaf])].concat(),
        ),
        ("invalid UTF-8 in a close", 1007, frame(FIN | CLOSE, &[3, 232, 0xff])),
        ("too large", 1009, frame(FIN | BINARY, &[0; 1001])),
        ("too large in sum", 1009, [frame(BINARY, &[0; 600]), frame(FIN | CONTINUE, &[0; 401])].concat()),
        // Nothing but the head of the frame is needed to refuse it, and nothing is allocated.
        (
            "absurdly large",
            1009,
            vec![FIN | BINARY, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0],
        ),
    ];
    for (what, code, input) in cases {
        assert_eq!(verdict(WebSocketOptions::new().max_message(1000), &input), code, "{what}");
    }
    let options = || WebSocketOptions::new().max_message(1000).max_frame(200);
    assert_eq!(verdict(options(), &frame(FIN | BINARY, &[0; 201])), 1009, "frame too large");
}

#[test]
fn what_is_just_within_the_limits_passes() {
    let (server, mut client, end) = noting_server(WebSocketOptions::new().max_message(1000).max_frame(600));
    let input = [
        frame(BINARY, &[1; 600]),
        frame(FIN | PING, &[2; 125]),
        frame(FIN | CONTINUE, &[3; 400]),
        // A character that is cut between two fragments.
        frame(TEXT, &"ö".as_bytes()[..1]),
        frame(FIN | CONTINUE, &"ö".as_bytes()[1..]),
        frame(FIN | TEXT, b""),
        frame(FIN | CLOSE, b""),
    ];
    client.write_all(&input.concat()).unwrap();
    let seen = frames(&mut client);
    assert_eq!(seen[0], (FIN | PONG, vec![2; 125]));
    assert_eq!(seen[1].1.len(), 1000);
    assert_eq!(seen[2], (FIN | TEXT, "ö".into()));
    assert_eq!(seen[3], (FIN | TEXT, Vec::new()));
    assert_eq!(seen[4], (FIN | CLOSE, Vec::new()));
    let end = end.get_timeout(LONG).unwrap().unwrap();
    assert_eq!((end.is_closed(), end.code()), (true, Some(1005)));
    server.stop(Duration::ZERO);
}

#[test]
fn codes_of_a_close_are_answered_or_refused() {
    for code in [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 3000, 3999, 4000, 4999_u16]
    {
        let input = [&code.to_be_bytes()[..], b"why"].concat();
        let (server, mut client, end) = noting_server(WebSocketOptions::new());
        client.write_all(&frame(FIN | CLOSE, &input)).unwrap();
        assert_eq!(frames(&mut client), [(FIN | CLOSE, input)], "{code}");
        let end = end.get_timeout(LONG).unwrap().unwrap();
        let close = end.close().unwrap();
        assert_eq!((close.code, close.reason.as_str()), (code, "why"));
        server.stop(Duration::ZERO);
    }
    for code in [0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535_u16] {
        assert_eq!(
            verdict(WebSocketOptions::new(), &frame(FIN | CLOSE, &code.to_be_bytes())),
            1002,
            "{code}"
        );
    }
}

#[test]
fn nothing_that_follows_a_fault_or_a_close_is_read() {
    for first in [frame(FIN | CLOSE, &[3, 232]), frame(FIN | TEXT, &[0xff])] {
        let (server, mut client) = connected();
        client.write_all(&[first, frame(FIN | TEXT, b"late")].concat()).unwrap();
        let seen = frames(&mut client);
        assert_eq!((seen.len(), seen[0].0), (1, FIN | CLOSE));
        server.stop(Duration::ZERO);
    }
}

#[test]
fn a_server_that_closes_waits_for_the_answer_within_a_limit() {
    for answers in [true, false] {
        let (sender, outcome) = noted();
        let (server, mut client) = serve(move |request: &mut Request<'_>| {
            let sender = sender.clone();
            let options = WebSocketOptions::new().close_timeout(Duration::from_millis(if answers {
                20_000
            } else {
                30
            }));
            options.upgrade(request, move |socket: WebSocket| {
                let _ = sender.set(socket.close(4000, "enough"));
            })
        });
        shake(&mut client);
        assert_eq!(
            read_frame(&mut client),
            Some((FIN | CLOSE, [&4000_u16.to_be_bytes()[..], b"enough"].concat()))
        );
        if answers {
            let frames = [frame(FIN | TEXT, b"on its way"), frame(FIN | CLOSE, &4000_u16.to_be_bytes())];
            client.write_all(&frames.concat()).unwrap();
        }
        let closed = outcome.get_timeout(LONG).unwrap();
        match answers {
            true => closed.unwrap(),
            false => assert_eq!(closed.unwrap_err().kind(), io::ErrorKind::TimedOut),
        }
        assert_eq!(read_frame(&mut client), None);
        server.stop(Duration::ZERO);
    }
}

#[test]
fn misuse_is_refused_and_costs_nothing() {
    let (server, mut client) = serve(|request: &mut Request<'_>| {
        WebSocket::upgrade(request, |socket| {
            for code in [0, 999, 1004, 1006, 1015, 2000, 5000] {
                assert_eq!(socket.close(code, "").unwrap_err().kind(), io::ErrorKind::InvalidInput);
            }
            assert_eq!(socket.ping(&[0; 126]).unwrap_err().kind(), io::ErrorKind::InvalidInput);
            let reader = spawn({
                let socket = socket.clone();
                move || socket.read()
            });
            yield_now();
            for _ in 0..2 {
                let error = socket.read().unwrap_err().to_string();
                assert!(
                    error.contains(&format!("already being read by greenlet #{}", reader.id())),
                    "{error}"
                );
            }
            assert_eq!(reader.join().unwrap()?, Message::from("go on"));
            // A reason that is too long ends at a character.
            socket.close(1000, &"ö".repeat(62))?;
            assert!(socket.send("late").unwrap_err().is_closed());
            assert!(socket.end().unwrap().is_closed());
            socket.close(1000, "")?;
            Ok(())
        })
    });
    shake(&mut client);
    client.write_all(&frame(FIN | TEXT, b"go on")).unwrap();
    let (first, payload) = read_frame(&mut client).unwrap();
    assert_eq!((first, &payload[2..]), (FIN | CLOSE, "ö".repeat(61).as_bytes()));
    client.write_all(&frame(FIN | CLOSE, &payload[..2])).unwrap();
    assert_eq!(read_frame(&mut client), None);
    server.stop(Duration::ZERO);
}

#[test]
fn a_panic_closes_with_1011_and_the_end_with_1000() {
    for (panics, code) in [(true, 1011_u16), (false, 1000)] {
        let (server, mut client) = serve(move |request: &mut Request<'_>| {
            WebSocket::upgrade(request, move |_| assert!(!panics, "as the test wants it"))
        });
        shake(&mut client);
        assert_eq!(read_frame(&mut client), Some((FIN | CLOSE, code.to_be_bytes().to_vec())));
        client.write_all(&frame(FIN | CLOSE, &code.to_be_bytes())).unwrap();
        assert_eq!(read_frame(&mut client), None);
        server.stop(Duration::ZERO);
    }
}

#[test]
fn a_silent_peer_is_pinged_and_given_up() {
    let options = || {
        WebSocketOptions::new().ping_every(Duration::from_millis(20)).pong_timeout(Duration::from_millis(300))
    };
    let (server, mut client, end) = noting_server(options());
    for _ in 0..3 {
        assert_eq!(read_frame(&mut client), Some((FIN | PING, Vec::new())));
        client.write_all(&frame(FIN | PONG, b"")).unwrap();
    }
    let end = end.get_timeout(LONG).unwrap().unwrap();
    assert_eq!((end.kind(), end.is_closed()), (io::ErrorKind::TimedOut, false));
    // It ends with the last ping, without a close.
    assert_eq!(read_frame(&mut client), Some((FIN | PING, Vec::new())));
    assert_eq!(read_frame(&mut client), None);
    server.stop(Duration::ZERO);
}

#[test]
fn a_server_that_stops_says_that_it_goes_away() {
    let (server, mut client, end) = noting_server(WebSocketOptions::new());
    client.write_all(&frame(FIN | TEXT, b"x")).unwrap();
    read_frame(&mut client);
    timeout(LONG, || server.stop(LONG)).expect("it does not need the grace");
    assert_eq!(end.get_timeout(LONG).unwrap().unwrap().code(), Some(1001));
    let (first, payload) = read_frame(&mut client).unwrap();
    assert_eq!((first, &payload[..2]), (FIN | CLOSE, &1001_u16.to_be_bytes()[..]));
    let mut rest = Vec::new();
    let _ = client.read_to_end(&mut rest);
    assert!(rest.is_empty());
}

#[test]
fn a_read_that_begins_when_the_server_stops_already_is_told_so() {
    let (sender, outcome) = noted();
    let (server, mut client) = serve(move |request: &mut Request<'_>| {
        let sender = sender.clone();
        WebSocket::upgrade(request, move |socket| {
            greenloop::sleep(Duration::from_millis(100));
            let _ = sender.set(socket.read().map_err(|end| end.code()));
        })
    });
    shake(&mut client);
    timeout(LONG, || server.stop(LONG)).expect("it does not need the grace");
    assert_eq!(outcome.get_timeout(LONG).unwrap(), Err(Some(1001)));
    assert_eq!(read_frame(&mut client).unwrap().1[..2], 1001_u16.to_be_bytes());
}

#[test]
fn a_failure_of_the_handler_is_reported_and_one_of_the_peer_is_not() {
    let reports: Rc<RefCell<Vec<String>>> = Rc::default();
    let seen = reports.clone();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let app = move |request: &mut Request<'_>| {
        let path = request.path().to_string();
        WebSocket::upgrade(request, move |socket| {
            match path.as_str() {
                "/upstream" => drop(WebSocket::connect(&format!("ws://{nobody}/"))?),
                "/misuse" => socket.close(42, "")?,
                "/misuse-io" => socket.close(42, "").map_err(io::Error::from)?,
                "/fault-io" => drop(socket.read().map_err(io::Error::from)?),
                _ => drop(socket.read()?),
            }
            Ok(())
        })
    };
    let server = Server::bind("127.0.0.1:0").unwrap();
    let server = server.on_error(move |line| seen.borrow_mut().push(line.to_string())).start(app).unwrap();
    let nothing = Vec::new();
    let goodbye = frame(FIN | CLOSE, &[3, 232]);
    let wrong = frame(FIN | 0x70 | TEXT, b"x");
    let cases = [
        ("/upstream", &nothing, true),
        ("/misuse", &nothing, true),
        ("/misuse-io", &nothing, true),
        ("/closed", &goodbye, false),
        ("/fault", &wrong, false),
        ("/fault-io", &wrong, false),
        ("/gone", &nothing, false),
    ];
    for (path, says, is_reported) in cases {
        let mut client = TcpStream::connect(server.local_addr().unwrap()).unwrap();
        client.set_read_timeout(Some(LONG)).unwrap();
        client.write_all(&request(path, "")).unwrap();
        head(&mut client);
        client.write_all(says).unwrap();
        if says.is_empty() {
            client.shutdown(std::net::Shutdown::Write).unwrap();
        }
        // To the end, which may be a reset.
        let _ = client.read_to_end(&mut Vec::new());
        let lines = reports.take();
        assert_eq!(lines.len(), usize::from(is_reported), "{path}: {lines:?}");
        assert!(lines.iter().all(|line| line.starts_with(&format!("GET {path} HTTP/1.1: "))), "{lines:?}");
    }
    server.stop(LONG);
}
