//! Connections that a handler takes over.
#![cfg(feature = "http")]

use greenloop::event::Event;
use greenloop::http::{
    self, Body, Config, DuplexStream, IntoResponse, Limits, Request, Response, RunningServer, Server,
    StatusCode, Transport, Upgraded, serve_connection,
};
use greenloop::net::{TcpStream, UnixStream};
use greenloop::{Greenlet, sleep, spawn, timeout, yield_now};
use std::cell::{Cell, RefCell};
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::rc::Rc;
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(20);
const ASK: &[u8] = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: keep-alive, Upgrade\r\nUpgrade: raw\r\n\r\n";

fn exchange(app: &impl http::Handler, request: &[u8]) -> String {
    String::from_utf8(http::exchange(app, request)).unwrap()
}

/// Echoes until the end.
fn echo(mut stream: Upgraded) -> http::Result<()> {
    let mut place = [0; 1000];
    loop {
        match stream.read(&mut place)? {
            0 => return Ok(()),
            count => stream.write_all(&place[..count])?,
        }
    }
}

fn echo_app(_: &mut Request<'_>) -> Response {
    Response::upgrade("raw", echo)
}

fn start(app: impl http::Handler + 'static) -> (RunningServer, TcpStream) {
    start_with(Limits::new(), app)
}

fn start_with(limits: Limits, app: impl http::Handler + 'static) -> (RunningServer, TcpStream) {
    let server = Server::bind("127.0.0.1:0").unwrap().limits(limits).start(app).unwrap();
    let client = TcpStream::connect(server.local_addr().unwrap()).unwrap();
    client.set_read_timeout(Some(LONG)).unwrap();
    (server, client)
}

/// The head of an answer.
fn head(stream: &mut impl Read) -> String {
    let (mut text, mut byte) = (Vec::new(), [0]);
    while !text.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte).expect("a head");
        text.push(byte[0]);
    }
    String::from_utf8(text).unwrap()
}

fn bytes(length: usize, seed: usize) -> Vec<u8> {
    (0..length).map(|n| (n * 31 + n / 251 + seed) as u8).collect()
}

#[test]
fn a_101_has_no_framing_and_what_follows_is_raw() {
    // WS66
    let answer = exchange(&echo_app, &[ASK, b"5\r\nhello"].concat());
    let (head, rest) = answer.split_once("\r\n\r\n").unwrap();
    assert_eq!(rest, "5\r\nhello");
    let mut lines: Vec<_> = head.lines().map(str::to_lowercase).collect();
    assert_eq!(lines.remove(0), "http/1.1 101 switching protocols");
    lines.retain(|line| !line.starts_with("date: "));
    lines.sort();
    assert_eq!(lines, ["connection: upgrade", "upgrade: raw"]);
}

#[test]
fn any_cut_of_the_request_leaves_the_stream_whole() {
    // WS66
    let input = [ASK, b"0123456789"].concat();
    for cut in 1..input.len() {
        let (server, mut client) = start(echo_app);
        client.set_nodelay(true).unwrap();
        client.write_all(&input[..cut]).unwrap();
        yield_now();
        client.write_all(&input[cut..]).unwrap();
        client.shutdown(Shutdown::Write).unwrap();
        assert!(head(&mut client).starts_with("HTTP/1.1 101 "));
        let mut rest = String::new();
        client.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "0123456789", "cut at {cut}");
        server.stop(Duration::ZERO);
    }
}

#[test]
fn who_has_not_asked_is_told_what_is_spoken() {
    let requests: [&[u8]; 5] = [
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nUpgrade: raw\r\n\r\n",
        b"GET / HTTP/1.1\r\nConnection: upgrade\r\n\r\n",
        b"GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: other\r\n\r\n",
        b"GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: raw\r\n\r\n",
    ];
    for request in requests {
        let answer = exchange(&echo_app, request);
        assert!(answer.starts_with("HTTP/1.1 426 Upgrade Required\r\n"), "{answer}");
        assert!(answer.contains("\r\nupgrade: raw\r\n"), "{answer}");
        assert!(answer.ends_with("\r\n\r\nthis resource speaks raw only\n"), "{answer}");
    }
    let answer = exchange(&echo_app, requests[0]);
    assert!(answer.contains("\r\nConnection: upgrade\r\n"), "{answer}");
}

#[test]
fn what_cannot_give_its_connection_away_is_a_reported_failure() {
    let reports = Rc::new(RefCell::new(Vec::new()));
    let ask = |app: &dyn Fn() -> Response, request: &'static [u8]| {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let seen = reports.clone();
        let config = Config::new().on_error(move |line| seen.borrow_mut().push(line.to_string()));
        (&ours).write_all(request).unwrap();
        ours.shutdown(Shutdown::Write).unwrap();
        serve_connection(Local(theirs, true), &|_: &mut Request<'_>| app(), &config).unwrap();
        let mut answer = String::new();
        (&ours).read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 500 "), "{answer}");
        reports.borrow_mut().pop().expect("a report")
    };
    let report = ask(&|| Response::tunnel(echo), b"GET /x HTTP/1.1\r\n\r\n");
    assert_eq!(
        report,
        "GET /x HTTP/1.1: a 200 response to GET cannot give its connection away: 101 can, and 2xx to CONNECT"
    );
    let report = ask(&|| echo_app_body(), ASK);
    assert!(report.ends_with("a response that gives its connection away has no body"), "{report}");
    for (app, request) in [
        (&(|| echo_app_framed(Response::upgrade("raw", echo))) as &dyn Fn() -> Response, ASK),
        (&|| echo_app_framed(Response::tunnel(echo)), b"CONNECT h:1 HTTP/1.1\r\n\r\n"),
    ] {
        let report = ask(app, request);
        assert!(report.contains("a handler cannot set Transfer-Encoding"), "{report}");
    }
    let report = ask(&|| StatusCode::SWITCHING_PROTOCOLS.into_response(), ASK);
    assert!(report.ends_with("the informational status 101 cannot end a request"), "{report}");
}

fn echo_app_framed(response: Response) -> Response {
    response.header("Transfer-Encoding", "chunked")
}

fn echo_app_body() -> Response {
    Response::upgrade("raw", echo).body(Body::from("x"))
}

#[test]
fn a_transport_that_cannot_be_shared_says_so() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let report = Rc::new(RefCell::new(String::new()));
    let seen = report.clone();
    let config = Config::new().on_error(move |line| *seen.borrow_mut() = line.to_string());
    (&ours).write_all(ASK).unwrap();
    ours.shutdown(Shutdown::Write).unwrap();
    serve_connection(Local(theirs, false), &echo_app, &config).unwrap();
    assert!(report.borrow().contains("Transport::share"), "{report:?}");
}

#[test]
fn a_connect_is_a_tunnel() {
    let app = |request: &mut Request<'_>| {
        assert_eq!(request.target(), "there:443");
        Response::tunnel(echo)
    };
    let answer = exchange(&app, b"CONNECT there:443 HTTP/1.1\r\nHost: there:443\r\n\r\nsecret");
    let (head, rest) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
    assert!(!head.to_lowercase().contains("content-length") && !head.contains("chunked"), "{head}");
    assert_eq!(rest, "secret");
}

#[test]
fn the_body_of_the_request_is_not_taken_for_the_stream() {
    let request = b"POST / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: raw\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\nrest";
    let answer = exchange(&echo_app, request);
    assert!(answer.starts_with("HTTP/1.1 101 ") && answer.ends_with("\r\n\r\nrest"), "{answer}");
    // WS67: to a handler the body ends where it ends, and the stream is something else.
    let app = |request: &mut Request<'_>| {
        let mut body = String::new();
        request.body().read_to_string(&mut body)?;
        Ok(Response::upgrade("raw", move |mut stream| {
            let mut rest = String::new();
            stream.read_to_string(&mut rest)?;
            Ok(stream.write_all(format!("{body}, {rest}").as_bytes())?)
        }))
    };
    assert!(exchange(&app, request).ends_with("\r\n\r\nabc, rest"));
}

// RFC 9110, 7.8
#[test]
fn a_client_that_waits_for_a_go_ahead_gets_it_before_the_101() {
    let request = b"POST / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: raw\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\nbodyrest";
    let answer = exchange(&echo_app, request);
    assert!(answer.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 101 "), "{answer}");
    assert!(answer.ends_with("\r\n\r\nrest"), "{answer}");
    // One that has it already gets no other.
    let app = |request: &mut Request<'_>| {
        request.body().read_exact(&mut [0; 1])?;
        Ok(echo_app(request))
    };
    let answer = exchange(&app, request);
    assert!(answer.starts_with("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 101 "), "{answer}");
    assert!(answer.matches("100 Continue").count() == 1 && answer.ends_with("\r\n\r\nrest"), "{answer}");
}

#[test]
fn a_body_without_a_sound_end_is_answered_with_its_own_fault() {
    let careless = |request: &mut Request<'_>| {
        let _ = request.body().read(&mut [0; 8]);
        echo_app(request)
    };
    let cases = [
        ("Content-Length: 300000", "", 413),
        ("Content-Length: 5", "hell", 400),
        ("Transfer-Encoding: chunked", "zz\r\n", 400),
        ("Transfer-Encoding: chunked", "1\r\nab\r\n", 400),
        ("Transfer-Encoding: chunked", "0\r\nno trailer\r\n\r\n", 400),
        ("Transfer-Encoding: chunked", "0\r\nX: y\r\n", 400),
        ("Transfer-Encoding: chunked", "1000001\r\n", 413),
    ];
    for (field, body, status) in cases {
        let request =
            format!("POST / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: raw\r\n{field}\r\n\r\n{body}");
        let lazy = exchange(&echo_app, request.as_bytes());
        assert!(lazy.starts_with(&format!("HTTP/1.1 {status} ")), "{field}, {body:?}: {lazy}");
        if body.is_empty() {
            continue; // a read meets the end first
        }
        let careless = exchange(&careless, request.as_bytes());
        assert!(careless.starts_with(&format!("HTTP/1.1 {status} ")), "{field}, {body:?}: {careless}");
    }
    let ask = "POST / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: raw\r\n";
    for body in ["Content-Length: 5\r\n\r\nhell", "Transfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n"] {
        let limits = Limits::new().body_timeout(Some(Duration::from_millis(10)));
        let (server, mut client) = start_with(limits, echo_app);
        client.write_all(format!("{ask}{body}").as_bytes()).unwrap();
        assert!(head(&mut client).starts_with("HTTP/1.1 408 "), "{body:?}");
        server.stop(Duration::ZERO);
    }
}

#[test]
fn the_refusal_of_a_head_has_no_body() {
    let (ours, theirs) = UnixStream::pair().unwrap();
    let ask = String::from_utf8(ASK.to_vec()).unwrap().replace("GET", "HEAD");
    (&ours).write_all(ask.as_bytes()).unwrap();
    ours.shutdown(Shutdown::Write).unwrap();
    let config = Config::new().on_error(|_| ());
    serve_connection(Local(theirs, false), &echo_app, &config).unwrap();
    let mut answer = String::new();
    (&ours).read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 500 ") && answer.ends_with("\r\n\r\n"), "{answer}");
}

#[test]
fn requests_before_the_upgrade_are_answered_before_it() {
    let app = |request: &mut Request<'_>| match request.path() {
        "/" => echo_app(request),
        _ => "plain".into_response(),
    };
    let answer = exchange(&app, &[b"GET /a HTTP/1.1\r\n\r\n", ASK, b"GET / HTTP/1.1\r\n\r\n"].concat());
    let (first, second) = answer.split_at(answer.find("HTTP/1.1 101").unwrap());
    assert!(first.starts_with("HTTP/1.1 200 OK\r\n") && first.ends_with("plain"), "{first}");
    // What follows is data, whatever it looks like.
    assert!(second.ends_with("\r\n\r\nGET / HTTP/1.1\r\n\r\n"), "{second}");
}

/// A Unix socket as a transport.
struct Local(UnixStream, bool);

impl Read for Local {
    fn read(&mut self, place: &mut [u8]) -> io::Result<usize> {
        Read::read(&mut self.0, place)
    }
}

impl Write for Local {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Write::write(&mut self.0, bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Transport for Local {
    fn set_read_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.0.set_read_timeout(timeout)
    }

    fn set_write_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.0.set_write_timeout(timeout)
    }

    fn shutdown_write(&self) -> io::Result<()> {
        self.0.shutdown(Shutdown::Write)
    }

    fn peer_addr(&self) -> Option<SocketAddr> {
        None
    }

    fn share(&self) -> io::Result<Rc<dyn DuplexStream>> {
        match self.1 {
            true => Ok(Rc::new(self.0.try_clone()?)),
            false => Unshared.share(),
        }
    }
}

/// A transport that does not say how it is shared.
struct Unshared;

impl Read for Unshared {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Ok(0)
    }
}

impl Write for Unshared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Transport for Unshared {
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

/// Sends and receives at the same time, and compares.
fn converse(client: &TcpStream, amount: usize) {
    let sent = bytes(amount, 7);
    let writer = spawn({
        let (client, sent) = (client.try_clone().unwrap(), sent.clone());
        move || (&client).write_all(&sent).unwrap()
    });
    let mut received = vec![0; amount];
    (&*client).read_exact(&mut received).unwrap();
    writer.join().unwrap();
    assert!(sent == received);
}

#[test]
fn two_greenlets_read_and_write_at_the_same_time() {
    const AMOUNT: usize = 2_000_000;
    let (server, mut client) = start(|_: &mut Request<'_>| {
        Response::upgrade("raw", |stream| {
            let stream = Rc::new(stream);
            let writer = spawn({
                let stream = stream.clone();
                move || (&*stream).write_all(&bytes(AMOUNT, 1))
            });
            let mut received = vec![0; AMOUNT];
            (&*stream).read_exact(&mut received)?;
            assert!(received == bytes(AMOUNT, 2));
            writer.join().unwrap()?;
            Ok(())
        })
    });
    client.write_all(ASK).unwrap();
    head(&mut client);
    let writer = spawn({
        let client = client.try_clone().unwrap();
        move || (&client).write_all(&bytes(AMOUNT, 2)).unwrap()
    });
    let mut received = Vec::new();
    client.read_to_end(&mut received).unwrap();
    assert!(received == bytes(AMOUNT, 1));
    writer.join().unwrap();
    server.stop(Duration::ZERO);
}

#[test]
fn the_limits_of_requests_do_not_hold_and_others_can_be_set() {
    let short = Some(Duration::from_millis(10));
    let limits =
        Limits::new().idle_timeout(short).body_timeout(short).write_timeout(short).head_timeout(short);
    let outcome: Rc<Cell<Option<io::ErrorKind>>> = Rc::default();
    let seen = outcome.clone();
    let (server, mut client) = start_with(limits, move |_: &mut Request<'_>| {
        let seen = seen.clone();
        Response::upgrade("raw", move |mut stream| {
            stream.read_exact(&mut [0; 3])?;
            stream.set_read_timeout(Some(Duration::ZERO))?;
            seen.set(stream.read(&mut [0; 3]).err().map(|error| error.kind()));
            Ok(stream.write_all(b"late")?)
        })
    });
    client.write_all(ASK).unwrap();
    head(&mut client);
    greenloop::sleep(Duration::from_millis(50));
    client.write_all(b"abc").unwrap();
    let mut rest = String::new();
    client.read_to_string(&mut rest).unwrap();
    assert_eq!((rest.as_str(), outcome.get()), ("late", Some(io::ErrorKind::TimedOut)));
    server.stop(Duration::ZERO);
}

#[test]
fn the_connection_ends_with_the_function_whoever_holds_the_stream() {
    let kept: Rc<RefCell<Option<Greenlet<io::Result<usize>>>>> = Rc::default();
    let place = kept.clone();
    let (server, mut client) = start(move |_: &mut Request<'_>| {
        let place = place.clone();
        Response::upgrade("raw", move |stream| {
            let reader = spawn(move || (&stream).read(&mut [0; 10]));
            yield_now();
            place.replace(Some(reader));
        })
    });
    client.write_all(ASK).unwrap();
    head(&mut client);
    assert_eq!(client.read(&mut [0; 10]).unwrap(), 0);
    client.shutdown(Shutdown::Both).unwrap();
    let reader = kept.take().expect("it ran");
    let read = timeout(LONG, || reader.join().unwrap()).expect("the reader is woken");
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    server.stop(Duration::ZERO);
}

#[test]
fn a_panic_ends_the_connection_and_not_the_server() {
    let reports: Rc<RefCell<Vec<String>>> = Rc::default();
    let seen = reports.clone();
    let app = |request: &mut Request<'_>| match request.path() {
        "/" => Response::upgrade("raw", |_| -> () { panic!("as the test wants it") }),
        _ => "alive".into_response(),
    };
    let server =
        Server::bind("127.0.0.1:0").unwrap().on_error(move |line| seen.borrow_mut().push(line.to_string()));
    let server = server.start(app).unwrap();
    let mut client = TcpStream::connect(server.local_addr().unwrap()).unwrap();
    client.write_all(ASK).unwrap();
    head(&mut client);
    assert_eq!(client.read(&mut [0; 10]).unwrap_or(0), 0);
    let mut client = TcpStream::connect(server.local_addr().unwrap()).unwrap();
    client.write_all(b"GET /a HTTP/1.1\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert!(answer.ends_with("alive"));
    server.stop(Duration::ZERO);
    assert_eq!(*reports.borrow(), ["GET / HTTP/1.1: the handler panicked: as the test wants it"]);
}

#[test]
fn an_error_is_reported_unless_the_peer_has_gone() {
    let reports: Rc<RefCell<Vec<String>>> = Rc::default();
    let (seen, done) = (reports.clone(), Event::new());
    let told = done.clone();
    let app = move |request: &mut Request<'_>| {
        let (is_ours, told) = (request.path() == "/ours", told.clone());
        Response::upgrade("raw", move |mut stream| {
            stream.read_exact(&mut [0; 1]).inspect_err(|_| told.set())?;
            if is_ours { Err("the backend is away".into()) } else { Ok(()) }
        })
    };
    let server = Server::bind("127.0.0.1:0")
        .unwrap()
        .on_error(move |line| seen.borrow_mut().push(line.to_string()))
        .start(app)
        .unwrap();
    for path in ["/ours", "/gone"] {
        let mut client = TcpStream::connect(server.local_addr().unwrap()).unwrap();
        let ask = String::from_utf8(ASK.to_vec()).unwrap().replace("GET / ", &format!("GET {path} "));
        client.write_all(ask.as_bytes()).unwrap();
        head(&mut client);
        if path == "/ours" {
            client.write_all(b"x").unwrap();
            client.read_to_end(&mut Vec::new()).unwrap();
        }
    }
    assert!(done.wait_timeout(LONG));
    server.stop(LONG);
    assert_eq!(*reports.borrow(), ["GET /ours HTTP/1.1: the backend is away"]);
}

#[test]
fn a_kill_before_the_101_is_answered_with_500() {
    let (server, mut client) = start(echo_app);
    client
        .write_all(b"POST / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: raw\r\nContent-Length: 5\r\n\r\nhell")
        .unwrap();
    sleep(Duration::from_millis(20)); // the rest of the body is waited for now
    server.stop(Duration::ZERO);
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 500 "), "{answer:?}");
}

#[test]
fn a_stop_gives_the_grace_and_then_unwinds() {
    struct Noted(Rc<Cell<bool>>);
    impl Drop for Noted {
        fn drop(&mut self) {
            self.0.set(true);
        }
    }
    let unwound = Rc::new(Cell::new(false));
    let noted = unwound.clone();
    let (server, mut client) = start(move |_: &mut Request<'_>| {
        let noted = Noted(noted.clone());
        Response::upgrade("raw", move |stream| {
            let _noted = noted;
            echo(stream)
        })
    });
    client.write_all(ASK).unwrap();
    head(&mut client);
    converse(&client, 100_000);
    // Within the grace it goes on.
    let stopping = spawn({
        let server = server.clone();
        move || server.stop(Duration::from_millis(300))
    });
    yield_now();
    converse(&client, 1000);
    assert!(!unwound.get());
    let start = Instant::now();
    stopping.join().unwrap();
    assert!(unwound.get() && start.elapsed() < LONG);
    assert_eq!(client.read(&mut [0; 10]).unwrap_or(0), 0);
}

#[cfg(feature = "tls")]
#[test]
fn it_works_over_tls() {
    use greenloop::tls::{ClientConfig, Identity, Roots, ServerConfig};
    let made = rcgen::generate_simple_self_signed(["localhost".to_string()]).unwrap();
    let (certificate, key) = (made.cert.pem(), made.signing_key.serialize_pem());
    let tls =
        ServerConfig::builder().identity(Identity::from_pem(&certificate, key).unwrap()).build().unwrap();
    let server = Server::bind("127.0.0.1:0").unwrap().tls(tls).start(echo_app).unwrap();
    let client = ClientConfig::builder().roots(Roots::from_pem(&certificate).unwrap()).build().unwrap();
    let socket = TcpStream::connect(server.local_addr().unwrap()).unwrap();
    let mut stream = client.connect("localhost", socket).unwrap();
    stream.write_all(&[ASK, b"first"].concat()).unwrap();
    assert!(head(&mut stream).starts_with("HTTP/1.1 101 "));
    stream.read_exact(&mut [0; 5]).unwrap();
    let sent = bytes(300_000, 3);
    let stream = Rc::new(stream);
    let writer = spawn({
        let (stream, sent) = (stream.clone(), sent.clone());
        move || (&*stream).write_all(&sent).unwrap()
    });
    let mut received = vec![0; sent.len()];
    (&*stream).read_exact(&mut received).unwrap();
    writer.join().unwrap();
    assert!(sent == received);
    stream.shutdown_write().unwrap();
    // The end is said, not cut.
    assert_eq!(Read::read(&mut &*stream, &mut [0; 10]).unwrap(), 0);
    server.stop(Duration::ZERO);
}
