//! An HTTP server with several listeners: one handler and one life. `http_listeners.rs` has listeners that are given.
#![cfg(feature = "http")]

mod net_support;
mod tls_support;

use std::cell::RefCell;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;

use greenloop::event::Event;
use greenloop::http::{Limits, Request, RunningServer, Server};
use greenloop::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use greenloop::tls::TlsStream;
use greenloop::{sleep, spawn, timeout};
use net_support::{Flag, LONG, Log, PROMPT, ms, spawn_parked};

/// The path of a socket, removed at the end of the test.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Place {
        let path = std::env::temp_dir().join(format!("greenloop-{name}-{}.sock", std::process::id()));
        let _ = std::fs::remove_file(&path);
        Place(path)
    }

    fn server(&self) -> Server<UnixListener> {
        Server::from_listener(UnixListener::bind(&self.0).unwrap()).unwrap()
    }

    fn connect(&self) -> BufReader<UnixStream> {
        BufReader::new(UnixStream::connect(&self.0).unwrap())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn tcp() -> (Server, SocketAddr) {
    let server = Server::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    (server, address)
}

fn connect(address: SocketAddr) -> BufReader<TcpStream> {
    BufReader::new(TcpStream::connect(address).unwrap())
}

fn connect_tls(address: SocketAddr) -> BufReader<TlsStream<TcpStream>> {
    let socket = TcpStream::connect(address).unwrap();
    socket.set_nodelay(true).unwrap();
    BufReader::new(tls_support::client().connect("localhost", socket).unwrap())
}

/// The status and the body of the answer to a request.
fn post<S: Read + Write>(stream: &mut BufReader<S>, path: &str, body: &str) -> (u16, String) {
    let head = format!("POST {path} HTTP/1.1\r\nHost: h\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    stream.get_mut().write_all(head.as_bytes()).unwrap();
    answer(stream)
}

fn answer(stream: &mut impl BufRead) -> (u16, String) {
    let (mut line, mut status, mut length) = (String::new(), 0, 0);
    while line != "\r\n" {
        line.clear();
        assert!(stream.read_line(&mut line).unwrap() > 0, "the connection has ended");
        status = line.strip_prefix("HTTP/1.1 ").map_or(status, |rest| rest[..3].parse().unwrap());
        length = line.strip_prefix("Content-Length: ").map_or(length, |value| value.trim().parse().unwrap());
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    (status, String::from_utf8(body).unwrap())
}

fn app(request: &mut Request<'_>) -> String {
    let peer = request.peer_addr().map(|peer| peer.ip());
    format!("{} for {peer:?}, {:?}", request.path(), request.tls().and_then(|tls| tls.server_name()))
}

// WS81, SV19
#[test]
fn tcp_tls_and_unix_sockets_have_one_handler_and_one_stop() {
    let place = Place::new("several-kinds");
    let ((plain, address), (secure, secure_address)) = (tcp(), tcp());
    let server = plain.also(secure.tls(tls_support::server())).also(place.server()).start(app).unwrap();
    assert_eq!(server.local_addr().unwrap(), address);
    let (mut plain, mut secure, mut local) = (connect(address), connect_tls(secure_address), place.connect());
    for path in ["/a", "/b"] {
        assert_eq!(post(&mut plain, path, "").1, format!("{path} for Some(127.0.0.1), None"));
        let text = format!("{path} for Some(127.0.0.1), Some(\"localhost\")");
        assert_eq!(post(&mut secure, path, "").1, text);
        assert_eq!(post(&mut local, path, "").1, format!("{path} for None, None"));
    }
    let waiting = spawn_parked({
        let server = server.clone();
        move || server.serve_forever()
    });
    timeout(PROMPT, || server.stop(LONG)).expect("idle connections are closed at once");
    waiting.join().unwrap().unwrap();
    let mut end = [0; 1];
    assert_eq!((plain.read(&mut end).unwrap(), local.read(&mut end).unwrap()), (0, 0));
    assert_eq!(secure.read(&mut end).unwrap(), 0);
    for address in [address, secure_address] {
        assert_eq!(TcpStream::connect(address).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    }
    assert_eq!(UnixStream::connect(&place.0).unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

// A signal may come before the program waits for its end.
#[test]
fn who_waits_for_the_end_of_a_stopped_server_has_it_at_once() {
    let server = tcp().0.start(app).unwrap();
    server.stop(LONG);
    timeout(PROMPT, || server.serve_forever()).expect("an end").unwrap();
    let server = tcp().0.also(tcp().0).start(app).unwrap();
    server.stop(LONG);
    timeout(PROMPT, || server.serve_forever()).expect("an end").unwrap();
}

#[test]
fn a_stop_lets_requests_at_every_listener_finish() {
    let place = Place::new("several-stop");
    let (plain, address) = tcp();
    let (begun, go) = (Log::new(), Event::new());
    let server = plain.also(place.server()).start({
        let (begun, go) = (begun.clone(), go.clone());
        move |request: &mut Request<'_>| {
            begun.add(());
            go.wait();
            app(request)
        }
    });
    let server = server.unwrap();
    let first = spawn(move || post(&mut connect(address), "/first", "").1);
    let mut local = place.connect();
    let second = spawn(move || post(&mut local, "/second", "").1);
    while begun.len() < 2 {
        sleep(ms(1));
    }
    let stopping = spawn(move || server.stop(LONG));
    sleep(ms(1));
    assert!(TcpStream::connect(address).is_err() && UnixStream::connect(&place.0).is_err());
    go.set();
    assert!(first.join().unwrap().starts_with("/first"));
    assert!(second.join().unwrap().starts_with("/second"));
    stopping.join().unwrap();
}

#[test]
fn what_a_server_was_not_given_is_that_of_the_one_it_was_joined_to() {
    fn limited(server: Server, most: u64) -> Server {
        server.limits(Limits::new().max_body(most))
    }
    let (log, own_log) = (Log::new(), Log::new());
    let reports = Rc::new(RefCell::new(Vec::new()));
    let ((first, one), (second, two), (third, three)) = (tcp(), tcp(), tcp());
    let inner = limited(second, 10).also(third.access_log({
        let own_log = own_log.clone();
        move |access| own_log.add(access.to_string())
    }));
    // Set before and after.
    let outer = limited(first, 5).also(inner).on_error({
        let reports = reports.clone();
        move |line| reports.borrow_mut().push(line.to_string())
    });
    let server = outer
        .access_log({
            let log = log.clone();
            move |access| log.add(access.to_string())
        })
        .start(|request: &mut Request<'_>| -> greenloop::http::Result<String> {
            let body = io::read_to_string(request.body())?;
            if body == "bad" { Err("bad luck".into()) } else { Ok(body) }
        })
        .unwrap();
    for (address, most) in [(one, 5), (two, 10), (three, 10)] {
        let text = "123456789012";
        assert_eq!(post(&mut connect(address), "/", &text[..most]), (200, text[..most].to_string()));
        assert_eq!(post(&mut connect(address), "/", &text[..most + 1]).0, 413);
        assert_eq!(post(&mut connect(address), "/", "bad").0, 500);
    }
    timeout(PROMPT, || server.stop(LONG)).expect("the end of all");
    assert_eq!((log.len(), own_log.len()), (6, 3));
    assert_eq!(*reports.borrow(), ["POST / HTTP/1.1: bad luck"; 3]);
}

// So that the operator's socket is open when the public port is full.
#[test]
fn a_bound_of_connections_is_that_of_its_listener() {
    let place = Place::new("several-bounds");
    let (plain, address) = tcp();
    let server = plain.also(place.server().max_connections(2)).max_connections(1).start(app).unwrap();
    let mut first = connect(address);
    assert_eq!(post(&mut first, "/", "").0, 200);
    let is_served = Flag::default();
    let mut behind = connect(address);
    let waiting = spawn({
        let is_served = is_served.clone();
        move || {
            assert_eq!(post(&mut behind, "/", "").0, 200);
            is_served.raise();
        }
    });
    let mut local = [place.connect(), place.connect()];
    for client in &mut local {
        assert_eq!(post(client, "/", "").0, 200);
    }
    assert!(!is_served.is_up());
    drop(first);
    waiting.join().unwrap();
    server.stop(LONG);
}

#[test]
fn a_server_whose_second_address_is_taken_does_not_start_at_the_first() {
    let place = Place::new("several-taken");
    let ((first, address), (taken, taken_address)) = (tcp(), tcp());
    let _elsewhere = TcpListener::from_std(listen_where_bound(taken_address)).unwrap();
    let server = first.also(taken).also(place.server());
    assert_eq!(server.start(app).unwrap_err().kind(), ErrorKind::AddrInUse);
    sleep(ms(1));
    assert!(TcpStream::connect(address).is_err());
    assert!(UnixStream::connect(&place.0).is_err());
}

/// As another program can, where an address was bound without listening: the one that listens first has it.
fn listen_where_bound(address: SocketAddr) -> std::net::TcpListener {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.set_reuse_address(true).unwrap();
    socket.bind(&address.into()).unwrap();
    socket.listen(1).unwrap();
    socket.into()
}

#[test]
fn a_handler_may_stop_its_server_at_any_listener() {
    let place = Place::new("several-handler");
    let (plain, address) = tcp();
    let running: Rc<RefCell<Option<RunningServer>>> = Rc::default();
    let server = plain.also(place.server()).start({
        let running = running.clone();
        move |request: &mut Request<'_>| {
            if request.path() == "/stop" {
                running.take().unwrap().stop(LONG);
            }
            app(request)
        }
    });
    *running.borrow_mut() = Some(server.as_ref().unwrap().clone());
    let mut idle = connect(address);
    assert_eq!(post(&mut idle, "/", "").0, 200);
    let mut local = place.connect();
    let stopping = spawn(move || post(&mut local, "/stop", "").1);
    timeout(PROMPT, || server.unwrap().serve_forever()).expect("an end").unwrap();
    assert!(stopping.join().unwrap().starts_with("/stop"));
    assert_eq!(idle.read(&mut [0; 1]).unwrap(), 0);
}
