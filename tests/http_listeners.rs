//! The HTTP server on listeners of its callers: Unix sockets, and ports that another protocol shares.
#![cfg(feature = "http")]

mod net_support;

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use greenloop::http::{Config, Handler, Request, RunningServer, Server, Transport, serve_connection};
use greenloop::net::{TcpStream, UnixListener, UnixStream};
use greenloop::server::StreamServer;
use greenloop::{sleep, yield_now};
use net_support::{Flag, LONG, PROMPT, ms};

/// The path of a socket, removed at the end of the test.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Place {
        let path = std::env::temp_dir().join(format!("greenloop-{name}-{}.sock", std::process::id()));
        let _ = std::fs::remove_file(&path);
        Place(path)
    }

    fn serve(&self, handler: impl Handler + 'static) -> RunningServer<UnixListener> {
        Server::from_listener(UnixListener::bind(&self.0).unwrap()).unwrap().start(handler).unwrap()
    }

    fn connect(&self) -> BufReader<UnixStream> {
        let stream = UnixStream::connect(&self.0).unwrap();
        stream.set_read_timeout(Some(PROMPT)).unwrap();
        BufReader::new(stream)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// The body of the next answer.
fn answer(stream: &mut impl BufRead) -> String {
    let (mut line, mut length) = (String::new(), 0);
    while line != "\r\n" {
        line.clear();
        assert!(stream.read_line(&mut line).unwrap() > 0, "the connection has ended");
        length = line.strip_prefix("Content-Length: ").map_or(length, |value| value.trim().parse().unwrap());
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    String::from_utf8(body).unwrap()
}

fn get<S: Read + Write>(stream: &mut BufReader<S>, path: &str) -> String {
    write!(stream.get_mut(), "GET {path} HTTP/1.1\r\nHost: h\r\n\r\n").unwrap();
    answer(stream)
}

fn app(request: &mut Request<'_>) -> String {
    if request.path() == "/slow" {
        sleep(ms(50));
    }
    format!("{} for {:?}", request.path(), request.peer_addr().map(|peer| peer.ip()))
}

// WS01, WS88
#[test]
fn a_unix_socket_serves_one_request_after_the_other() {
    let place = Place::new("unix");
    let server = place.serve(app);
    let mut client = place.connect();
    for path in ["/a", "/slow", "/b"] {
        assert_eq!(get(&mut client, path), format!("{path} for None"));
    }
    let mut others: Vec<_> = (0..10).map(|_| place.connect()).collect();
    for other in &mut others {
        assert_eq!(get(other, "/other"), "/other for None");
    }
    assert_eq!(server.local_addr().unwrap().as_pathname(), Some(&*place.0));
    server.stop(LONG);
}

// WS81, SV19
#[test]
fn a_stop_ends_idle_connections_of_a_unix_socket_and_finishes_requests() {
    let place = Place::new("unix-stop");
    let begun = Flag::default();
    let flag = begun.clone();
    let server = place.serve(move |request: &mut Request<'_>| {
        if request.path() == "/slow" {
            flag.raise();
        }
        app(request)
    });
    let (mut idle, mut busy) = (place.connect(), place.connect());
    get(&mut idle, "/");
    busy.get_mut().write_all(b"GET /slow HTTP/1.1\r\n\r\n").unwrap();
    while !begun.is_up() {
        yield_now();
    }
    let start = Instant::now();
    server.stop(LONG);
    assert!(start.elapsed() < PROMPT);
    assert_eq!(answer(&mut busy), "/slow for None");
    assert_eq!(idle.read(&mut [0; 1]).unwrap(), 0);
}

/// A socket as a transport.
struct Plain(TcpStream);

impl Read for Plain {
    fn read(&mut self, place: &mut [u8]) -> io::Result<usize> {
        self.0.read(place)
    }
}

impl Write for Plain {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Transport for Plain {
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
        self.0.peer_addr().ok()
    }
}

// WS64: whoever wants to look at the first bytes does so before the connection is one of HTTP.
#[test]
fn another_protocol_can_share_the_port() {
    const PROBE: &[u8] = b"<policy-file-request/>";
    let server = StreamServer::bind("127.0.0.1:0").unwrap().handle(|mut stream, _| {
        let mut first = [0; 1];
        if stream.peek(&mut first)? == 1 && first == *b"<" {
            let mut probe = [0; PROBE.len()];
            stream.read_exact(&mut probe)?;
            return if probe == PROBE { stream.write_all(b"<all-are-welcome/>\0") } else { Ok(()) };
        }
        serve_connection(Plain(stream), &app, &Config::new())
    });
    server.start().unwrap();
    let connect = || {
        let stream = TcpStream::connect(server.local_addr().unwrap()).unwrap();
        stream.set_read_timeout(Some(PROMPT)).unwrap();
        BufReader::new(stream)
    };
    let tell = |probe: &[u8]| {
        let mut client = connect();
        client.get_mut().write_all(probe).unwrap();
        io::read_to_string(&mut client).unwrap()
    };
    assert_eq!(tell(PROBE), "<all-are-welcome/>\0");
    assert_eq!(tell(b"<policy-file-request?>"), "");
    let mut client = connect();
    assert_eq!(get(&mut client, "/a"), "/a for Some(127.0.0.1)");
    assert_eq!(get(&mut client, "/b"), "/b for Some(127.0.0.1)");
    drop(client);
    server.stop(LONG);
}
