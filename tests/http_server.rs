//! The HTTP server over real sockets.
#![cfg(feature = "http")]

mod net_support;

use std::cell::{Cell, RefCell};
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::rc::Rc;
use std::time::{Duration, Instant};

use greenloop::http::{
    Body, IntoResponse, Limits, Method, Request, Response, RunningServer, Server, StatusCode,
};
use greenloop::net::{TcpListener, TcpStream};
use greenloop::queue::Queue;
use greenloop::{join_all, sleep, spawn, timeout};
use net_support::{Flag, LONG, Log, OnDrop, PROMPT, Pattern, SHORT, in_a_child, ms, reset, spawn_parked};

/// The answer to one request.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    fn says(&self, header: &str) -> bool {
        self.head.lines().any(|line| line.eq_ignore_ascii_case(header))
    }
}

/// One connection of a client that understands just enough.
struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    fn new(address: SocketAddr) -> Client {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PROMPT)).unwrap();
        Client { stream: BufReader::new(stream) }
    }

    fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.get_mut().write_all(bytes.as_ref()).unwrap();
    }

    fn head(&mut self) -> io::Result<String> {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if self.stream.read_line(&mut head)? == 0 {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(head)
    }

    /// The next chunk of a chunked body; empty if it is the last.
    fn chunk(&mut self) -> io::Result<Vec<u8>> {
        let mut size = String::new();
        self.stream.read_line(&mut size)?;
        let size = usize::from_str_radix(size.trim(), 16).map_err(|_| ErrorKind::UnexpectedEof)?;
        let mut chunk = vec![0; size + 2];
        self.stream.read_exact(&mut chunk)?;
        assert!(chunk.ends_with(b"\r\n"));
        chunk.truncate(size);
        Ok(chunk)
    }

    fn answer(&mut self) -> io::Result<Answer> {
        let head = self.head()?;
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let value = |name: &str| {
            head.lines().find_map(|line| {
                let (key, value) = line.split_once(':')?;
                key.eq_ignore_ascii_case(name).then(|| value.trim().to_string())
            })
        };
        let mut body = Vec::new();
        if let Some(length) = value("content-length") {
            body.resize(length.parse().unwrap(), 0);
            self.stream.read_exact(&mut body)?;
        } else if value("transfer-encoding").as_deref() == Some("chunked") {
            loop {
                match self.chunk()? {
                    last if last.is_empty() => break,
                    chunk => body.extend(chunk),
                }
            }
        } else {
            self.stream.read_to_end(&mut body)?;
        }
        Ok(Answer { status, head, body })
    }

    fn get(&mut self, path: &str) -> Answer {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: h\r\n\r\n"));
        self.answer().unwrap()
    }

    /// What else comes until the server closes.
    fn rest(&mut self) -> io::Result<String> {
        let mut rest = String::new();
        self.stream.read_to_string(&mut rest).map(|_| rest)
    }
}

fn serve<R: IntoResponse>(
    limits: Limits,
    handler: impl for<'r, 'c> Fn(&'r mut Request<'c>) -> R + 'static,
) -> (RunningServer, SocketAddr) {
    let server = Server::bind("127.0.0.1:0").unwrap().limits(limits).start(handler).unwrap();
    let address = server.local_addr().unwrap();
    (server, address)
}

fn echo_path(request: &mut Request<'_>) -> Response {
    match request.path() {
        "/missing" => (StatusCode::NOT_FOUND, "nothing here").into_response(),
        "/slow" => {
            sleep(ms(20));
            "slow".into_response()
        }
        "/panic" => panic!("expected"),
        path => path.to_string().into_response(),
    }
}

fn until(happened: impl Fn() -> bool) {
    let start = Instant::now();
    while !happened() {
        assert!(start.elapsed() < PROMPT, "it does not happen");
        sleep(ms(1));
    }
}

// WS75: a client on another thread, by the standard library's sockets.
#[test]
fn a_server_answers_clients_on_other_threads() {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let server = Server::bind("127.0.0.1:0").unwrap();
        let server = server.start(|request: &mut Request<'_>| format!("hello {}", request.path())).unwrap();
        sender.send(server.local_addr().unwrap()).unwrap();
        server.serve_forever().unwrap();
    });
    let addr = receiver.recv().unwrap();
    let mut socket = std::net::TcpStream::connect(addr).unwrap();
    socket.write_all(b"GET /a HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    assert!(answer.contains("hello /a") && answer.ends_with("hello /b"), "{answer}");
    // The client sees the answer although it is still sending.
    let mut socket = std::net::TcpStream::connect(addr).unwrap();
    socket.write_all(&[b"GET / HTTP/3.0\r\n\r\n", &[b'x'; 30_000][..]].concat()).unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 505 "), "{answer}");
}

// WS01, WS03
#[test]
fn a_connection_is_kept_until_the_client_asks_for_its_end() {
    let (server, address) = serve(Limits::new(), echo_path);
    let mut client = Client::new(address);
    for (path, status, text) in [("/a", 200, "/a"), ("/missing", 404, "nothing here"), ("/b", 200, "/b")] {
        let answer = client.get(path);
        assert_eq!((answer.status, answer.text()), (status, text));
        assert!(!answer.says("connection: close"), "{}", answer.head);
    }
    client.send("GET /last HTTP/1.1\r\nConnection: close\r\n\r\nGET /too-late HTTP/1.1\r\n\r\n");
    let answer = client.answer().unwrap();
    assert!(answer.says("connection: close") && answer.text() == "/last");
    assert_eq!(client.rest().unwrap_or_default(), "");
    drop(client);
    server.stop(LONG);
}

// WS04
#[test]
fn a_client_of_http_1_0_gets_one_answer() {
    let (server, address) = serve(Limits::new(), echo_path);
    let mut client = Client::new(address);
    client.send("GET /a HTTP/1.0\r\n\r\n");
    let answer = client.rest().unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("\r\n\r\n/a"), "{answer}");
    server.stop(LONG);
}

// WS02
#[test]
fn pipelined_requests_are_answered_in_order() {
    let (server, address) = serve(Limits::new(), echo_path);
    let mut client = Client::new(address);
    let path = |n| if n % 10 == 3 { String::from("/slow") } else { format!("/{n}") };
    let requests: String = (0..100).map(|n| format!("GET {} HTTP/1.1\r\nHost: h\r\n\r\n", path(n))).collect();
    // In two writes that cut a request.
    let (first, second) = requests.split_at(1234);
    client.send(first);
    sleep(SHORT);
    client.send(second);
    for n in 0..100 {
        let expected = path(n).replace("/slow", "slow");
        assert_eq!(client.answer().unwrap().text(), expected);
    }
    assert_eq!(client.get("/after").text(), "/after");
    drop(client);
    server.stop(LONG);
}

// SV27: other clients are served meanwhile.
#[test]
fn half_a_request_holds_nobody_up_and_can_be_completed() {
    let (server, address) = serve(Limits::new(), echo_path);
    let mut stalled = Client::new(address);
    stalled.send("GET /stalled HT");
    for _ in 0..10 {
        assert_eq!(Client::new(address).get("/other").text(), "/other");
    }
    stalled.send("TP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!(stalled.answer().unwrap().text(), "/stalled");
    drop(stalled);
    server.stop(LONG);
}

// SV27, WS97
#[test]
fn half_a_request_is_cut_off_when_its_time_is_up() {
    let (server, address) = serve(Limits::new().head_timeout(Some(ms(40))), echo_path);
    let start = Instant::now();
    let mut stalled = Client::new(address);
    stalled.send("GET /stalled HT");
    assert_eq!(Client::new(address).get("/other").text(), "/other");
    let answer = stalled.answer().unwrap();
    assert_eq!((answer.status, stalled.rest().unwrap()), (408, String::new()));
    assert!(answer.says("connection: close") && start.elapsed() >= ms(40) && start.elapsed() < PROMPT);
    drop(stalled);
    server.stop(LONG);
}

// WS97: the limit is for the whole head, so it does not help to send a little now and then.
#[test]
fn a_head_that_comes_byte_by_byte_is_cut_off_when_its_time_is_up() {
    let (server, address) = serve(Limits::new().head_timeout(Some(ms(80))), echo_path);
    let start = Instant::now();
    let mut client = Client::new(address);
    let answer = Rc::new(RefCell::new(None));
    let mut sending = client.stream.get_ref().try_clone().unwrap();
    let sender = spawn(move || {
        for byte in "GET /slow-loris HTTP/1.1\r\nX-Long: ".bytes().chain(std::iter::repeat(b'x')) {
            if sending.write_all(&[byte]).is_err() {
                return;
            }
            sleep(ms(5));
        }
    });
    *answer.borrow_mut() = Some(client.answer().unwrap());
    assert_eq!(answer.take().unwrap().status, 408);
    assert!(start.elapsed() >= ms(80) && start.elapsed() < PROMPT);
    sender.kill();
    server.stop(ms(0));
}

#[test]
fn requests_that_come_byte_by_byte_in_time_are_answered() {
    let (server, address) = serve(Limits::new(), |request: &mut Request<'_>| {
        let mut body = Vec::new();
        request.body().read_to_end(&mut body)?;
        Ok([request.path().as_bytes(), &body].concat())
    });
    let mut client = Client::new(address);
    client.stream.get_ref().set_nodelay(true).unwrap();
    for (framing, body) in
        [("Content-Length: 5", "hello"), ("Transfer-Encoding: chunked", "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n")]
    {
        for byte in format!("POST /slow HTTP/1.1\r\nHost: h\r\n{framing}\r\n\r\n{body}").bytes() {
            client.send([byte]);
            greenloop::yield_now();
        }
        assert_eq!(client.answer().unwrap().text(), "/slowhello");
    }
    drop(client);
    server.stop(LONG);
}

// WS97
#[test]
fn a_body_that_stalls_is_cut_off_when_its_time_is_up() {
    let (server, address) = serve(Limits::new().body_timeout(Some(ms(40))), |request: &mut Request<'_>| {
        let mut body = Vec::new();
        request.body().read_to_end(&mut body)?;
        Ok(body)
    });
    let mut client = Client::new(address);
    client.send("POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\nhalf");
    let answer = client.answer().unwrap();
    assert_eq!((answer.status, client.rest().unwrap()), (408, String::new()));
    drop(client);
    server.stop(LONG);
}

// WS97
#[test]
fn silent_connections_are_closed_without_a_word() {
    let limits = Limits::new().head_timeout(Some(ms(30))).idle_timeout(Some(ms(30)));
    let (server, address) = serve(limits, echo_path);
    let start = Instant::now();
    assert_eq!(Client::new(address).rest().unwrap(), "");
    let mut client = Client::new(address);
    client.get("/once");
    assert_eq!(client.rest().unwrap(), "");
    assert!(start.elapsed() >= ms(60) && start.elapsed() < PROMPT);
    server.stop(LONG);
}

/// A body without an end, and a flag that is raised when it is dropped.
fn endless(ended: &Flag) -> Body {
    let ended = ended.clone();
    let guard = OnDrop(move || ended.raise());
    Body::stream(std::iter::repeat_with(move || {
        let _ = &guard;
        vec![7_u8; 100_000]
    }))
}

// WS93
#[test]
fn a_client_that_vanishes_in_the_middle_of_a_response_ends_its_greenlet_quietly() {
    let output = in_a_child(
        "a_client_that_vanishes_in_the_middle_of_a_response_ends_its_greenlet_quietly",
        "",
        || {
            for resets in [true, false] {
                let ended = Flag::default();
                let inside = ended.clone();
                let (server, address) = serve(Limits::new(), move |_: &mut Request<'_>| endless(&inside));
                let mut client = Client::new(address);
                client.send("GET / HTTP/1.1\r\n\r\n");
                client.head().unwrap();
                client.chunk().unwrap();
                assert!(!ended.is_up());
                match resets {
                    true => reset(client.stream.into_inner()),
                    false => drop(client),
                }
                until(|| ended.is_up());
                let start = Instant::now();
                server.stop(LONG);
                assert!(start.elapsed() < PROMPT, "the greenlet has not ended");
            }
        },
    );
    if let Some(output) = output {
        assert!(!output.contains("greenloop") && !output.contains("panicked"), "{output}");
    }
}

// WS97
#[test]
fn a_client_that_does_not_read_its_response_is_cut_off() {
    let ended = Flag::default();
    let inside = ended.clone();
    let (server, address) = serve(
        Limits::new().write_timeout(Some(ms(40))).linger_timeout(ms(10)),
        move |_: &mut Request<'_>| endless(&inside),
    );
    let mut client = Client::new(address);
    client.send("GET / HTTP/1.1\r\n\r\n");
    until(|| ended.is_up());
    server.stop(LONG);
}

#[test]
fn a_large_upload_and_a_large_download_arrive_whole() {
    const SIZE: u64 = 24 << 20;
    let (server, address) = serve(Limits::new().max_body(1 << 30), |request: &mut Request<'_>| {
        if request.method() == Method::GET {
            let mut pattern = Pattern::new();
            return Ok(Body::stream(std::iter::from_fn(move || {
                // Large, so that a piece leaves in several writes.
                let size = (SIZE - pattern.offset()).min(700_000) as usize;
                let mut piece = Vec::with_capacity(size);
                while piece.len() < size {
                    let next = pattern.peek(size - piece.len());
                    let count = next.len();
                    piece.extend_from_slice(next);
                    pattern.advance(count);
                }
                (size > 0).then_some(piece)
            })));
        }
        let (mut pattern, mut place) = (Pattern::new(), vec![0; 100_000]);
        loop {
            match request.body().read(&mut place)? {
                0 => return Ok(Body::from(pattern.offset().to_string())),
                count => pattern.check(&place[..count]),
            }
        }
    });
    let upload = move |chunked: bool| {
        let mut client = Client::new(address);
        let framing = match chunked {
            true => String::from("Transfer-Encoding: chunked"),
            false => format!("Content-Length: {SIZE}"),
        };
        client.send(format!("POST / HTTP/1.1\r\n{framing}\r\n\r\n"));
        let mut pattern = Pattern::new();
        while pattern.offset() < SIZE {
            let piece = pattern.peek((SIZE - pattern.offset()) as usize).to_vec();
            match chunked {
                true => client.send([format!("{:x}\r\n", piece.len()).as_bytes(), &piece, b"\r\n"].concat()),
                false => client.send(&piece),
            }
            pattern.advance(piece.len());
        }
        if chunked {
            client.send("0\r\n\r\n");
        }
        assert_eq!(client.answer().unwrap().text(), SIZE.to_string());
    };
    let download = move || {
        let mut client = Client::new(address);
        client.send("GET / HTTP/1.1\r\n\r\n");
        client.head().unwrap();
        let mut pattern = Pattern::new();
        loop {
            match client.chunk().unwrap() {
                last if last.is_empty() => break assert_eq!(pattern.offset(), SIZE),
                chunk => pattern.check(&chunk),
            }
        }
    };
    // All three at once.
    let greenlets = [spawn(move || upload(false)), spawn(move || upload(true)), spawn(download)];
    join_all(greenlets).into_iter().for_each(|result| result.unwrap());
    server.stop(LONG);
}

// WS12: each piece is sent when it is made, not before and not later.
#[test]
fn a_stream_arrives_piece_by_piece() {
    let pieces = Queue::unbounded();
    let source = pieces.clone();
    let (server, address) = serve(Limits::new(), move |_: &mut Request<'_>| {
        let source = source.clone();
        Body::stream(std::iter::from_fn(move || source.get().ok()))
    });
    let mut client = Client::new(address);
    client.send("GET / HTTP/1.1\r\n\r\n");
    pieces.put("START").unwrap();
    client.head().unwrap();
    // The next piece is made only when the one before has arrived.
    for (piece, next) in [("START", "MIDDLE"), ("MIDDLE", "END")] {
        assert_eq!(client.chunk().unwrap(), piece.as_bytes());
        client.stream.get_ref().set_read_timeout(Some(ms(20))).unwrap();
        assert_eq!(client.stream.fill_buf().unwrap_err().kind(), ErrorKind::TimedOut);
        client.stream.get_ref().set_read_timeout(Some(PROMPT)).unwrap();
        pieces.put(next).unwrap();
    }
    assert_eq!(client.chunk().unwrap(), b"END");
    pieces.close();
    assert_eq!(client.chunk().unwrap(), b"");
    drop(client);
    server.stop(LONG);
}

// WS76
#[test]
fn clients_beyond_max_connections_are_answered_when_a_connection_ends() {
    let server = Server::bind("127.0.0.1:0").unwrap().max_connections(2).start(echo_path).unwrap();
    let address = server.local_addr().unwrap();
    let (mut first, mut second) = (Client::new(address), Client::new(address));
    assert_eq!((first.get("/1").text(), second.get("/2").text()), ("/1", "/2"));
    let mut third = Client::new(address);
    third.send("GET /3 HTTP/1.1\r\n\r\n");
    third.stream.get_ref().set_read_timeout(Some(ms(30))).unwrap();
    assert_eq!(third.answer().unwrap_err().kind(), ErrorKind::TimedOut);
    drop(first);
    third.stream.get_ref().set_read_timeout(Some(PROMPT)).unwrap();
    assert_eq!((third.answer().unwrap().text(), second.get("/4").text()), ("/3", "/4"));
    drop((second, third));
    server.stop(LONG);
}

// WS81
#[test]
fn stop_does_not_wait_for_idle_connections() {
    let (server, address) = serve(Limits::new(), echo_path);
    let (mut idle, _silent) = (Client::new(address), Client::new(address));
    idle.get("/once");
    let start = Instant::now();
    server.stop(Duration::from_secs(1));
    assert!(start.elapsed() < ms(900), "stop has taken {:?}", start.elapsed());
    assert_eq!(idle.rest().unwrap(), "");
}

// WS81, SV19
#[test]
fn stop_lets_a_request_finish_and_closes_its_connection() {
    let (begun, go_on) = (Flag::default(), Queue::bounded(1));
    let (flag, gate) = (begun.clone(), go_on.clone());
    let (server, address) = serve(Limits::new(), move |_: &mut Request<'_>| {
        flag.raise();
        gate.get().unwrap_or("closed")
    });
    let mut client = Client::new(address);
    client.send("GET / HTTP/1.1\r\n\r\n");
    until(|| begun.is_up());
    let start = Instant::now();
    let stopping = spawn_parked(move || server.stop(Duration::from_secs(2)));
    assert!(TcpStream::connect(address).is_err());
    go_on.put("finished").unwrap();
    let answer = client.answer().unwrap();
    assert!(answer.text() == "finished" && answer.says("connection: close"), "{}", answer.head);
    assert_eq!(client.rest().unwrap(), "");
    stopping.join().unwrap();
    assert!(start.elapsed() < ms(1900), "the finished connection was waited for: {:?}", start.elapsed());
}

// WS81: the answer has no head yet when the server stops.
#[test]
fn a_stream_that_begins_after_a_stop_says_that_it_is_the_last() {
    let (asked, pieces) = (Flag::default(), Queue::unbounded());
    let (flag, source) = (asked.clone(), pieces.clone());
    let (server, address) = serve(Limits::new(), move |_: &mut Request<'_>| {
        flag.raise();
        Body::from(source.clone())
    });
    let mut client = Client::new(address);
    client.send("GET / HTTP/1.1\r\n\r\n");
    until(|| asked.is_up());
    let stopping = spawn_parked(move || server.stop(LONG));
    pieces.put("late").unwrap();
    pieces.close();
    let answer = client.answer().unwrap();
    assert!(answer.text() == "late" && answer.says("connection: close"), "{}", answer.head);
    assert_eq!(client.rest().unwrap(), "");
    stopping.join().unwrap();
}

// WS75, SV07, SV08
#[test]
fn serve_forever_of_a_started_server_ends_with_a_stop_from_outside() {
    let (server, address) = serve(Limits::new(), echo_path);
    let serving = [(); 2].map(|()| {
        let server = server.clone();
        spawn_parked(move || server.serve_forever())
    });
    assert_eq!(Client::new(address).get("/served").text(), "/served");
    assert!(serving.iter().all(|serving| !serving.is_finished()));
    server.stop(LONG);
    for serving in serving {
        timeout(PROMPT, || serving.join().unwrap()).expect("an end").unwrap();
    }
    assert!(TcpStream::connect(address).is_err());
}

// WS75, SV20
#[test]
fn stopping_twice_is_harmless() {
    let (server, address) = serve(Limits::new(), echo_path);
    assert_eq!(Client::new(address).get("/").text(), "/");
    server.stop(LONG);
    server.clone().stop(LONG);
    assert!(TcpStream::connect(address).is_err());
    server.serve_forever().unwrap();
}

// WS75, SV03
#[test]
fn a_given_listener_lets_clients_wait_until_the_start() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let server = Server::from_listener(listener).unwrap();
    let mut client = Client::new(address);
    client.send("GET /early HTTP/1.1\r\n\r\n");
    client.stream.get_ref().set_read_timeout(Some(ms(30))).unwrap();
    assert_eq!(client.answer().unwrap_err().kind(), ErrorKind::TimedOut);
    client.stream.get_ref().set_read_timeout(Some(PROMPT)).unwrap();
    let server = server.start(echo_path).unwrap();
    assert_eq!(client.answer().unwrap().text(), "/early");
    drop(client);
    server.stop(LONG);
    assert!(TcpStream::connect(address).is_err());
}

// WS75, SV15
#[test]
fn an_address_in_use_is_named_by_the_error() {
    let (other, address) = serve(Limits::new(), echo_path);
    let error = Server::bind(address).map(drop).unwrap_err();
    assert!(
        error.kind() == ErrorKind::AddrInUse && error.to_string().contains(&address.to_string()),
        "{error}"
    );
    // Two may hold an address until one of them listens.
    other.stop(LONG);
    let [first, second] = [(); 2].map(|()| Server::bind(address).unwrap());
    let first = first.start(echo_path).unwrap();
    let error = second.start(echo_path).map(drop).unwrap_err();
    assert!(
        error.kind() == ErrorKind::AddrInUse && error.to_string().contains(&address.to_string()),
        "{error}"
    );
    assert_eq!(Client::new(address).get("/first").text(), "/first");
    first.stop(LONG);
}

// WS81: a request that has come before the stop is answered, one behind it is not.
#[test]
fn a_busy_connection_ends_with_the_request_it_is_in() {
    let (server, address) = serve(Limits::new(), echo_path);
    let mut client = Client::new(address);
    client.send("GET /slow HTTP/1.1\r\n\r\nGET /behind HTTP/1.1\r\n\r\n");
    sleep(SHORT);
    let start = Instant::now();
    server.stop(LONG);
    assert!(start.elapsed() < PROMPT);
    let answer = client.answer().unwrap();
    assert!(answer.text() == "slow" && answer.says("connection: close"), "{}", answer.head);
    assert_eq!(client.rest().unwrap_or_default(), "");
}

// WS95, SV19
#[test]
fn stop_kills_requests_that_do_not_finish_in_time() {
    let (begun, ended, after) = (Flag::default(), Flag::default(), Flag::default());
    let (begin, end, late) = (begun.clone(), ended.clone(), after.clone());
    let reports = Log::new();
    let report = reports.clone();
    let server = Server::bind("127.0.0.1:0").unwrap().on_error(move |line| report.add(line.to_string()));
    let server = server
        .start(move |_: &mut Request<'_>| {
            let _guard = OnDrop(|| end.raise());
            begin.raise();
            sleep(LONG);
            late.raise();
            "never"
        })
        .unwrap();
    let mut client = Client::new(server.local_addr().unwrap());
    client.send("GET / HTTP/1.1\r\n\r\n");
    until(|| begun.is_up());
    server.stop(ms(5));
    assert!(ended.is_up() && !after.is_up());
    let answer = client.answer().unwrap();
    assert!(answer.status == 500 && answer.says("connection: close"), "{}", answer.head);
    // That is all, and nothing to report.
    assert_eq!((client.rest().unwrap(), reports.take()), (String::new(), vec![]));
}

// Nobody knows how much of it has left.
#[test]
fn a_write_that_is_interrupted_is_not_repeated() {
    let outcomes = Log::new();
    let (server, address) = serve(Limits::new(), {
        let outcomes = outcomes.clone();
        move |_: &mut Request<'_>| {
            let outcomes = outcomes.clone();
            Body::writer(move |out| {
                let is_late = timeout(ms(20), || out.write_all(&vec![b'x'; 16 << 20])).is_err();
                outcomes.add((is_late, out.write_all(b"again").unwrap_err().kind()));
                Ok(())
            })
        }
    });
    let mut client = Client::new(address);
    client.send("GET / HTTP/1.1\r\n\r\n");
    until(|| outcomes.len() == 1);
    assert_eq!(outcomes.take(), [(true, ErrorKind::BrokenPipe)]);
    let text = client.rest().unwrap();
    assert_eq!((text.matches("HTTP/1.1").count(), text.contains("again")), (1, false));
    server.stop(LONG);
}

// WS68
#[test]
fn a_handler_that_panics_is_answered_with_500_and_the_others_go_on() {
    let (server, address) = serve(Limits::new(), echo_path);
    let (mut client, mut other) = (Client::new(address), Client::new(address));
    other.get("/before");
    let answer = client.get("/panic");
    assert!(answer.status == 500 && answer.says("connection: close"), "{}", answer.head);
    assert_eq!((client.rest().unwrap().as_str(), other.get("/after").text()), ("", "/after"));
    drop(other);
    server.stop(LONG);
}

// A pipe whose reader has gone is the usual case.
#[test]
fn a_report_that_nobody_reads_does_not_cost_the_client_its_answer() {
    in_a_child("a_report_that_nobody_reads_does_not_cost_the_client_its_answer", "exec 2>/dev/full", || {
        let failing =
            |_: &mut Request<'_>| -> greenloop::http::Result<&'static str> { Err("expected".into()) };
        let (server, address) = serve(Limits::new(), failing);
        assert_eq!(Client::new(address).get("/").status, 500);
        server.stop(LONG);
    });
}

// WS70
#[test]
fn a_stream_that_panics_is_cut_off_so_that_the_client_can_tell() {
    let (server, address) = serve(Limits::new(), |_: &mut Request<'_>| {
        Body::stream((0..3).map(|n| if n == 2 { panic!("expected") } else { "piece" }))
    });
    let mut client = Client::new(address);
    client.send("GET / HTTP/1.1\r\n\r\n");
    client.head().unwrap();
    assert_eq!((client.chunk().unwrap(), client.chunk().unwrap()), (b"piece".to_vec(), b"piece".to_vec()));
    assert!(client.chunk().is_err(), "the end looks like a good one");
    server.stop(LONG);
}

#[test]
fn a_client_that_sends_much_before_it_looks_for_an_answer_sees_it() {
    let (server, address) = serve(Limits::new().max_body(10), echo_path);
    let mut client = Client::new(address);
    client.send("POST / HTTP/1.1\r\nContent-Length: 10000000\r\n\r\n");
    client.send(vec![b'x'; 10_000_000]);
    assert_eq!(client.answer().unwrap().status, 413);
    drop(client);
    server.stop(LONG);
}

// WS52
#[test]
fn a_client_may_ask_before_it_sends_its_body() {
    let (server, address) = serve(Limits::new(), |request: &mut Request<'_>| {
        if request.path() == "/refuse" {
            return Ok((StatusCode::EXPECTATION_FAILED, String::from("no")).into_response());
        }
        let mut body = String::new();
        request.body().read_to_string(&mut body)?;
        Ok(body.into_response())
    });
    let request = |path| format!("POST {path} HTTP/1.1\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n");
    let mut client = Client::new(address);
    client.send(request("/accept"));
    assert!(client.head().unwrap().starts_with("HTTP/1.1 100 "));
    client.send("hello");
    assert_eq!(client.answer().unwrap().text(), "hello");
    client.send(request("/refuse"));
    assert_eq!(client.answer().unwrap().status, 417);
    drop(client);
    server.stop(LONG);
}

#[test]
fn a_client_that_has_closed_its_side_gets_its_answers() {
    let (server, address) = serve(Limits::new(), echo_path);
    let mut client = Client::new(address);
    client.send("GET /slow HTTP/1.1\r\n\r\nGET /b HTTP/1.1\r\n\r\n");
    client.stream.get_ref().shutdown(Shutdown::Write).unwrap();
    assert_eq!((client.answer().unwrap().text(), client.answer().unwrap().text()), ("slow", "/b"));
    assert_eq!(client.rest().unwrap(), "");
    server.stop(LONG);
}

#[test]
fn a_thousand_clients_wait_for_a_slow_page_at_the_same_time() {
    net_support::raise_descriptor_limit();
    let (inside, most) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let (count, highest) = (inside.clone(), most.clone());
    let (server, address) = serve(Limits::new(), move |_: &mut Request<'_>| {
        count.update(|count| count + 1);
        highest.set(highest.get().max(count.get()));
        sleep(ms(100));
        count.update(|count| count - 1);
        "slept"
    });
    let start = Instant::now();
    let clients = (0..1000).map(|_| {
        spawn(move || {
            let mut client = Client::new(address);
            (client.get("/").text() == "slept", client.stream.into_inner())
        })
    });
    let answers: Vec<_> = join_all(clients).into_iter().map(Result::unwrap).collect();
    assert!(answers.iter().all(|(slept, _)| *slept));
    // One after the other they would take 100 s.
    assert!(start.elapsed() >= ms(100) && start.elapsed() < PROMPT);
    assert!(most.get() > 100, "at most {} at once", most.get());
    assert_eq!(inside.get(), 0);
    drop(answers);
    server.stop(LONG);
}

// The clients' threads block, the server's does not.
#[test]
fn threads_and_greenlets_as_clients_share_a_server() {
    let (server, address) = serve(Limits::new(), echo_path);
    let threads: Vec<_> = (0..4)
        .map(|number| {
            std::thread::spawn(move || {
                let mut client = Client::new(address);
                (0..100).all(|n| client.get(&format!("/{number}/{n}")).text() == format!("/{number}/{n}"))
            })
        })
        .collect();
    let greenlets = (4..8).map(|number| {
        spawn(move || {
            let mut client = Client::new(address);
            (0..100).all(|n| client.get(&format!("/{number}/{n}")).text() == format!("/{number}/{n}"))
        })
    });
    assert!(join_all(greenlets).into_iter().all(|all| all.unwrap()));
    until(|| threads.iter().all(|thread| thread.is_finished()));
    assert!(threads.into_iter().all(|thread| thread.join().unwrap()));
    server.stop(LONG);
}
