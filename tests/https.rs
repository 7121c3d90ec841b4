//! Servers over TLS: `StreamServer::handle_tls` and `http::Server::tls`.
#![cfg(feature = "http")]

mod net_support;
mod tls_support;

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::time::Instant;

use greenloop::event::Event;
use greenloop::http::{self, Body, Limits, Request};
use greenloop::net::TcpStream;
use greenloop::queue::Queue;
use greenloop::server::{Listener, StreamServer};
use greenloop::testing::{Duplex, duplex, virtual_time};
use greenloop::tls::rustls::pki_types::{CertificateDer, pem::PemObject};
use greenloop::tls::{ClientConfig, ServerConfig, TlsStream};
use greenloop::{Elapsed, Greenlet, join_all, scope, sleep, spawn, timeout};
use net_support::{Flag, LONG, PROMPT, in_a_child, ms};
use tls_support::{authority, client, localhost, server, tcp_pair};

fn connect(address: SocketAddr) -> TlsStream<TcpStream> {
    let socket = TcpStream::connect(address).unwrap();
    socket.set_nodelay(true).unwrap();
    client().connect("localhost", socket).unwrap()
}

#[test]
fn a_stream_server_speaks_tls_and_says_goodbye() {
    let server = StreamServer::bind("127.0.0.1:0")
        .unwrap()
        .handle_tls(server(), |stream, peer| write!(stream, "Your address is {peer}"));
    server.start().unwrap();
    let address = server.local_addr().unwrap();
    let clients = (0..20).map(|_| {
        spawn(move || {
            let mut stream = connect(address);
            let mut text = String::new();
            stream.read_to_string(&mut text).unwrap();
            assert_eq!(text, format!("Your address is {}", stream.get_ref().local_addr().unwrap()));
        })
    });
    assert!(join_all(clients).iter().all(|result| result.is_ok()));
    server.stop(LONG);
}

/// Connections in memory.
struct Line(Queue<Duplex>);

impl Listener for Line {
    type Stream = Duplex;
    type Addr = &'static str;

    fn accept(&self) -> io::Result<(Duplex, &'static str)> {
        Ok((self.0.get().map_err(io::Error::other)?, "memory"))
    }

    fn local_addr(&self) -> io::Result<&'static str> {
        Ok("memory")
    }
}

// The handler had enough of it; the goodbye has to send what the write has left, and nobody takes it.
#[test]
fn a_client_that_never_reads_loses_its_place_when_the_handler_has_given_up() {
    virtual_time(|| {
        let line = Queue::unbounded();
        let builder = StreamServer::from_listener(Line(line.clone())).unwrap();
        let server = builder.max_connections(1).handle_tls(server(), |stream, _| {
            let written = timeout(ms(5000), || stream.write_all(&[7; 100_000]));
            written.unwrap_or_else(|_| Err(ErrorKind::BrokenPipe.into()))
        });
        server.start().unwrap();
        let connect = || {
            let (near, far) = duplex(4096);
            line.put(far).unwrap();
            client().connect("localhost", near).unwrap()
        };
        let _never_reads = connect();
        // Waits for the place.
        let mut second = connect();
        let mut all = Vec::new();
        second.read_to_end(&mut all).unwrap();
        assert!(all == [7; 100_000]);
        server.stop(LONG);
    });
}

// TL06: one report, no call of the handler, and the server goes on.
#[test]
fn a_handshake_that_fails_in_a_server_is_reported_once() {
    const NAME: &str = "a_handshake_that_fails_in_a_server_is_reported_once";
    let output = in_a_child(NAME, "", || {
        let called = Flag::default();
        let server = StreamServer::bind("127.0.0.1:0").unwrap().handle_tls(server(), {
            let called = called.clone();
            move |_, _| called.raise()
        });
        server.start().unwrap();
        let address = server.local_addr().unwrap();
        let mut plain = TcpStream::connect(address).unwrap();
        plain.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        let mut answer = Vec::new();
        // The rest of the request may turn the close into a reset.
        let _ = plain.read_to_end(&mut answer);
        assert!(!called.is_up());
        let mut end = [0; 8];
        assert_eq!(connect(address).read(&mut end).unwrap(), 0);
        assert!(called.is_up());
        server.stop(LONG);
    });
    if let Some(output) = output {
        assert_eq!(output.matches("TLS handshake with a client failed").count(), 1, "{output}");
        assert_eq!(output.matches("greenloop:").count(), 1, "{output}");
    }
}

// What clients of an HTTP server do wrong is theirs, in TLS as well.
#[test]
fn an_https_server_does_not_report_the_mistakes_of_clients() {
    const NAME: &str = "an_https_server_does_not_report_the_mistakes_of_clients";
    let output = in_a_child(NAME, "", || {
        let config = server().handshake_timeout(ms(1_000));
        let server = http::Server::bind("127.0.0.1:0").unwrap().tls(config).start(app).unwrap();
        let address = server.local_addr().unwrap();
        let ends = |mut socket: TcpStream, says: &[u8]| {
            socket.write_all(says).unwrap();
            let _ = socket.read_to_end(&mut Vec::new());
        };
        ends(TcpStream::connect(address).unwrap(), b"GET / HTTP/1.1\r\n\r\n");
        ends(TcpStream::connect(address).unwrap(), b"");
        drop(TcpStream::connect(address).unwrap());
        // Rubbish behind a handshake, below the TLS of the client.
        let socket = TcpStream::connect(address).unwrap();
        let mut client = client().connect("localhost", socket.try_clone().unwrap()).unwrap();
        client.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        assert!(client.read(&mut [0; 16]).unwrap() > 0);
        ends(socket, b"no record of TLS at all");
        server.stop(LONG);
    });
    if let Some(output) = output {
        assert!(!output.contains("greenloop"), "{output}");
    }
}

// A client that says nothing does not keep its place.
#[test]
fn a_client_that_stalls_in_the_handshake_is_dropped() {
    // Long enough for the client that does speak, on a busy machine.
    let config = server().handshake_timeout(ms(1_000));
    let server = StreamServer::bind("127.0.0.1:0")
        .unwrap()
        .max_connections(1)
        .handle_tls(config, |stream, _| stream.write_all(b"hi"));
    server.start().unwrap();
    let address = server.local_addr().unwrap();
    let mut silent = TcpStream::connect(address).unwrap();
    assert_eq!(timeout(PROMPT, || silent.read(&mut [0; 8])).expect("an end").unwrap(), 0);
    assert_eq!(io::read_to_string(connect(address)).unwrap(), "hi");
    server.stop(LONG);
}

fn app(request: &mut Request<'_>) -> http::Result<Body> {
    Ok(match request.path() {
        "/" => "Hello, World!".into(),
        "/slow" => {
            sleep(ms(50));
            "slow".into()
        }
        _ => {
            let mut body = Vec::new();
            request.body().read_to_end(&mut body)?;
            body.into()
        }
    })
}

/// The head and the body of a response.
fn response(stream: &mut impl BufRead) -> (String, Vec<u8>) {
    let (mut head, mut length) = (String::new(), 0);
    while !head.ends_with("\r\n\r\n") {
        assert!(stream.read_line(&mut head).unwrap() > 0, "cut in {head:?}");
        let line = head.lines().last().unwrap().to_lowercase();
        length = line.strip_prefix("content-length: ").map_or(length, |value| value.parse().unwrap());
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    (head, body)
}

#[test]
fn a_connection_serves_several_requests_and_large_bodies() {
    let limits = Limits::default().max_body(16 << 20);
    let server = http::Server::bind("127.0.0.1:0").unwrap().limits(limits).tls(server()).start(app).unwrap();
    let mut stream = BufReader::new(connect(server.local_addr().unwrap()));
    for _ in 0..3 {
        stream.get_mut().write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        let (head, body) = response(&mut stream);
        assert!(head.starts_with("HTTP/1.1 200 OK") && body == b"Hello, World!", "{head}");
    }
    let sent: Vec<u8> = (0..8 << 20).map(|n: u32| (n.wrapping_mul(31) >> 3) as u8).collect();
    write!(stream.get_mut(), "POST /echo HTTP/1.1\r\nContent-Length: {}\r\n\r\n", sent.len()).unwrap();
    stream.get_mut().write_all(&sent).unwrap();
    assert!(response(&mut stream).1 == sent);
    stream.get_mut().write_all(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n").unwrap();
    assert_eq!(response(&mut stream).1, b"Hello, World!");
    // Not cut: the server has said that this is the end.
    assert_eq!(stream.read(&mut [0; 8]).unwrap(), 0);
    server.stop(LONG);
}

#[test]
fn clients_are_told_which_protocol_is_spoken() {
    let running = http::Server::bind("127.0.0.1:0").unwrap().tls(server()).start(app).unwrap();
    let address = running.local_addr().unwrap();
    let config = ClientConfig::builder().roots(authority().roots()).alpn(["h2", "http/1.1"]).build().unwrap();
    let stream = config.connect("localhost", TcpStream::connect(address).unwrap()).unwrap();
    assert_eq!(stream.alpn_protocol(), Some(&b"http/1.1"[..]));
    assert_eq!(connect(address).alpn_protocol(), None);
    running.stop(LONG);
}

// With the end said, as far as the connection is between two requests.
#[test]
fn a_server_that_stops_ends_idle_connections_and_finishes_requests() {
    let begun = Event::new();
    let app = {
        let begun = begun.clone();
        move |request: &mut Request<'_>| {
            if request.path() == "/slow" {
                begun.set();
            }
            app(request)
        }
    };
    let server = http::Server::bind("127.0.0.1:0").unwrap().tls(server()).start(app).unwrap();
    let address = server.local_addr().unwrap();
    let mut idle = connect(address);
    idle.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let mut idle = BufReader::new(idle);
    response(&mut idle);
    let busy = spawn(move || {
        let mut stream = connect(address);
        stream.write_all(b"GET /slow HTTP/1.1\r\n\r\n").unwrap();
        io::read_to_string(stream)
    });
    begun.wait();
    let start = Instant::now();
    server.stop(LONG);
    assert!(start.elapsed() < PROMPT);
    assert_eq!(idle.read(&mut [0; 8]).unwrap(), 0);
    let text = busy.join().unwrap().unwrap();
    assert!(text.ends_with("\r\n\r\nslow"), "{text}");
}

#[test]
fn a_handler_is_told_who_the_client_is() {
    let app = |request: &mut http::Request<'_>| {
        let tls = request.tls().expect("it is by TLS");
        tls.peer_certificates().concat()
    };
    let config = ServerConfig::builder()
        .identity(localhost().identity())
        .ask_for_client_certificates(authority().roots())
        .build()
        .unwrap();
    let running = http::Server::bind("127.0.0.1:0").unwrap().tls(config).start(app).unwrap();
    let address = running.local_addr().unwrap();
    let member = authority().sign(&["member"]);
    let shown = CertificateDer::from_pem_slice(member.certificate.as_bytes()).unwrap().to_vec();
    let clients = [(Some(member), shown), (None, Vec::new())];
    for (identity, shown) in clients {
        let builder = ClientConfig::builder().roots(authority().roots());
        let config = match identity {
            Some(pem) => builder.identity(pem.identity()).build().unwrap(),
            None => builder.build().unwrap(),
        };
        let socket = TcpStream::connect(address).unwrap();
        let mut stream = BufReader::new(config.connect("localhost", socket).unwrap());
        for _ in 0..2 {
            stream.get_mut().write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
            assert_eq!(response(&mut stream).1, shown);
        }
    }
    running.stop(LONG);
}

#[test]
fn a_server_that_stops_does_not_wait_for_handshakes() {
    let config = server().handshake_timeout(LONG);
    let server = http::Server::bind("127.0.0.1:0").unwrap().tls(config).start(app).unwrap();
    let address = server.local_addr().unwrap();
    let mut silent = TcpStream::connect(address).unwrap();
    let mut begun = TcpStream::connect(address).unwrap();
    begun.write_all(&[22, 3, 1, 2]).unwrap(); // of a record that is longer
    sleep(ms(20));
    let mut late = TcpStream::connect(address).unwrap(); // accepted when the stop has begun, if at all
    let start = Instant::now();
    server.stop(LONG);
    assert!(start.elapsed() < PROMPT);
    for client in [&mut silent, &mut begun, &mut late] {
        // An end or a reset.
        assert!(matches!(timeout(PROMPT, || client.read(&mut [0; 64])), Ok(Ok(0) | Err(_))));
    }
}

#[test]
fn a_request_without_tls_gets_no_page() {
    let server = http::Server::bind("127.0.0.1:0").unwrap().tls(server()).start(app).unwrap();
    let mut plain = TcpStream::connect(server.local_addr().unwrap()).unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let mut answer = Vec::new();
    if let Err(error) = plain.read_to_end(&mut answer) {
        assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    }
    assert!(!answer.windows(5).any(|window| window == b"Hello"));
    server.stop(LONG);
}

#[test]
fn a_handler_is_told_of_the_handshake() {
    let app = |request: &mut http::Request<'_>| match request.tls() {
        Some(tls) => {
            format!("{:?} {:?}", tls.server_name(), tls.alpn_protocol().map(String::from_utf8_lossy))
        }
        None => "in the clear".to_string(),
    };
    let running = http::Server::bind("127.0.0.1:0").unwrap().tls(server()).start(app).unwrap();
    let config = ClientConfig::builder().roots(authority().roots()).alpn(["http/1.1"]).build().unwrap();
    let socket = TcpStream::connect(running.local_addr().unwrap()).unwrap();
    let mut stream = BufReader::new(config.connect("localhost", socket).unwrap());
    stream.get_mut().write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    assert_eq!(response(&mut stream).1, b"Some(\"localhost\") Some(\"http/1.1\")");
    running.stop(LONG);
    let plain = http::Server::bind("127.0.0.1:0").unwrap().start(app).unwrap();
    let mut stream = BufReader::new(TcpStream::connect(plain.local_addr().unwrap()).unwrap());
    stream.get_mut().write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    assert_eq!(response(&mut stream).1, b"in the clear");
    plain.stop(LONG);
}

#[test]
fn a_unix_socket_can_speak_https() {
    use greenloop::net::{UnixListener, UnixStream};
    let path = std::env::temp_dir().join(format!("greenloop-https-{}.sock", std::process::id()));
    let _ = std::fs::remove_file(&path);
    let listener = UnixListener::bind(&path).unwrap();
    let running = http::Server::from_listener(listener).unwrap().tls(server()).start(app).unwrap();
    let config = ClientConfig::builder().roots(authority().roots()).build().unwrap();
    let stream = config.connect("localhost", UnixStream::connect(&path).unwrap()).unwrap();
    let mut stream = BufReader::new(stream);
    for _ in 0..2 {
        stream.get_mut().write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        assert_eq!(response(&mut stream).1, b"Hello, World!");
    }
    running.stop(LONG);
    assert_eq!(stream.read(&mut [0; 1]).unwrap(), 0);
    std::fs::remove_file(&path).unwrap();
}

/// Begins a record of 16 KiB on the socket below TLS and sends it byte by byte, until the server has closed.
fn drip(stream: &TlsStream<TcpStream>) -> Greenlet<()> {
    stream.get_ref().set_read_timeout(Some(PROMPT)).unwrap();
    let mut socket = stream.get_ref().try_clone().unwrap();
    spawn(move || {
        let mut piece = &b"\x17\x03\x03\x40\x11"[..];
        while socket.write_all(piece).is_ok() {
            piece = b"x";
            sleep(ms(5));
        }
    })
}

#[test]
fn a_read_of_a_shared_stream_has_one_limit_whoever_has_set_it_and_however_a_record_comes() {
    let (near, far) = tcp_pair();
    let (shared, socket): (&dyn http::DuplexStream, _) = (&near, near.get_ref());
    let dripping = drip(&far);
    let read = || timeout(PROMPT, || shared.read(&mut [0; 8])).expect("an end").unwrap_err().kind();
    let limit = Some(ms(100));
    for set in [&|| shared.set_read_timeout(limit), &|| socket.set_read_timeout(limit)] as [&dyn Fn() -> _; 2]
    {
        set().unwrap();
        assert_eq!(read(), ErrorKind::TimedOut);
        assert_eq!((shared.read_timeout(), socket.read_timeout().unwrap()), (limit, limit));
        assert_eq!(timeout(ms(20), || shared.read(&mut [0; 8]).map(drop)).unwrap_err(), Elapsed);
        assert_eq!(socket.read_timeout().unwrap(), limit, "a read that was interrupted has changed it");
        for refused in [shared.set_read_timeout(Some(ms(0))), socket.set_read_timeout(Some(ms(0)))] {
            assert_eq!(refused.unwrap_err().kind(), ErrorKind::InvalidInput);
        }
        shared.set_read_timeout(None).unwrap();
        assert_eq!(socket.read_timeout().unwrap(), None);
    }
    // One that is set meanwhile is for the reads that follow.
    shared.set_read_timeout(limit).unwrap();
    scope(|s| {
        s.spawn(|| {
            sleep(ms(20));
            socket.set_read_timeout(Some(LONG)).unwrap();
        });
        assert_eq!(timeout(ms(50), || shared.read(&mut [0; 8]).map(drop)).unwrap_err(), Elapsed);
    });
    assert_eq!(shared.read_timeout(), Some(LONG));
    shared.shutdown().unwrap();
    timeout(PROMPT, || dripping.join()).expect("an end").unwrap();
}

/// The status of the answer to a client that drips behind `request`, if then its connection ends.
fn status_of_who_drips(limits: Limits, request: &[u8]) -> String {
    let limits = limits.linger_timeout(ms(50));
    let server = http::Server::bind("127.0.0.1:0").unwrap().limits(limits).tls(server()).start(app).unwrap();
    let mut stream = connect(server.local_addr().unwrap());
    stream.write_all(request).unwrap();
    let dripping = drip(&stream);
    let (head, _) = response(&mut BufReader::new(stream));
    timeout(PROMPT, || dripping.join()).expect("an end").unwrap();
    server.stop(LONG);
    head.split(' ').nth(1).unwrap().to_string()
}

// WS97: one read above TLS may be many below it.
#[test]
fn a_record_that_comes_byte_by_byte_renews_no_time_limit() {
    let head = Limits::new().head_timeout(Some(ms(100)));
    assert_eq!(status_of_who_drips(head, b"GET / HTTP/1.1\r\nX: "), "408");
    let post = b"POST /echo HTTP/1.1\r\nContent-Length: 10000\r\n\r\nhello";
    let body = Limits::new().body_timeout(Some(ms(100)));
    assert_eq!(status_of_who_drips(body, post), "408");
    let pace = Limits::new().body_timeout(None).min_body_rate(10_000).body_rate_window(ms(100));
    assert_eq!(status_of_who_drips(pace, post), "408");
    // Here it is the time to linger.
    assert_eq!(status_of_who_drips(Limits::new().max_body(10), post), "413");
}

#[test]
fn a_record_that_comes_byte_by_byte_does_not_renew_the_limit_of_an_upgraded_stream() {
    let app = |_: &mut Request<'_>| {
        http::Response::upgrade("raw", |mut stream| {
            stream.set_read_timeout(Some(ms(50)))?;
            let error = stream.read(&mut [0; 8]).unwrap_err();
            Ok(write!(stream, "{:?}", error.kind())?)
        })
    };
    let limits = Limits::new().linger_timeout(ms(50));
    let server = http::Server::bind("127.0.0.1:0").unwrap().limits(limits).tls(server()).start(app).unwrap();
    let mut stream = connect(server.local_addr().unwrap());
    stream.write_all(b"GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: raw\r\n\r\n").unwrap();
    let dripping = drip(&stream);
    let answer = io::read_to_string(stream).unwrap();
    assert!(answer.ends_with("\r\n\r\nTimedOut"), "{answer}");
    timeout(PROMPT, || dripping.join()).expect("an end").unwrap();
    server.stop(LONG);
}
