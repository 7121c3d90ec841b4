//! How a connection ends: the client gets all that it was sent, and whoever takes nothing keeps nobody else from being served.
#![cfg(feature = "http")]

mod net_support;
mod tls_support;

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Instant;

use greenloop::event::Event;
use greenloop::http::{Body, Limits, Request, Response, RunningServer, Server};
use greenloop::net::TcpStream;
use greenloop::tls::TlsStream;
use greenloop::{spawn, timeout};
use net_support::{LONG, PROMPT, ms, spawn_parked};

/// Much more than the buffers of the sockets have room for.
const SIZE: usize = 32 << 20;

/// When the handler has begun, and when it is to answer.
#[derive(Clone, Default)]
struct Steps {
    begun: Rc<Event>,
    go_on: Rc<Event>,
}

impl Steps {
    /// Answers with [`SIZE`] bytes.
    fn app(&self) -> impl Fn(&mut Request<'_>) -> Vec<u8> + 'static {
        let steps = self.clone();
        move |_| {
            steps.begun.set();
            steps.go_on.wait();
            vec![b'x'; SIZE]
        }
    }
}

fn start(server: Server, steps: &Steps) -> (RunningServer, SocketAddr) {
    let server = server.start(steps.app()).unwrap();
    let address = server.local_addr().unwrap();
    (server, address)
}

fn bind(limits: Limits) -> Server {
    Server::bind("127.0.0.1:0").unwrap().limits(limits)
}

/// The length of the body of the answer, which ends with the connection.
fn length(answer: &[u8]) -> usize {
    let head = answer.windows(4).position(|end| end == b"\r\n\r\n").expect("a head");
    answer.len() - head - 4
}

// RFC 9112, 9.6
#[test]
fn an_answer_arrives_whole_although_bytes_came_while_it_was_made() {
    let last = Limits::new().max_requests(Some(1));
    let cases: [(&str, Limits, &[u8], &[u8]); 3] = [
        (
            "blanks behind a body, as old clients send them",
            Limits::new(),
            b"POST / HTTP/1.0\r\nContent-Length: 2\r\n\r\nab",
            b"\r\n",
        ),
        (
            "a second request on a connection that ends",
            last,
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        ),
        (
            "a second request after the stop",
            Limits::new(),
            b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
            b"GET / HTT",
        ),
    ];
    for (what, limits, first, second) in cases {
        let steps = Steps::default();
        let (server, address) = start(bind(limits), &steps);
        let mut client = TcpStream::connect(address).unwrap();
        client.write_all(first).unwrap();
        steps.begun.wait();
        let server = Rc::new(server);
        let stopping = what.contains("stop").then(|| {
            let server = server.clone();
            spawn_parked(move || server.stop(LONG))
        });
        client.write_all(second).unwrap();
        steps.go_on.set();
        let mut answer = Vec::new();
        timeout(PROMPT, || client.read_to_end(&mut answer)).expect(what).expect(what);
        assert_eq!(length(&answer), SIZE, "{what}");
        drop(client);
        match stopping {
            Some(stopping) => stopping.join().unwrap(),
            None => server.stop(LONG),
        };
    }
}

#[test]
fn an_answer_arrives_whole_although_the_client_has_said_goodbye_over_tls() {
    let steps = Steps::default();
    let (server, address) = start(bind(Limits::new()).tls(tls_support::server()), &steps);
    let mut client = connect(address);
    client.write_all(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n").unwrap();
    steps.begun.wait();
    client.shutdown_write().unwrap();
    steps.go_on.set();
    let mut answer = Vec::new();
    timeout(PROMPT, || client.read_to_end(&mut answer)).expect("an end").unwrap();
    assert_eq!(length(&answer), SIZE);
    server.stop(LONG);
}

// The goodbye over TLS is a write like others.
#[test]
fn who_takes_nothing_over_tls_loses_its_place_after_the_time_for_one_write() {
    let limits = Limits::new().write_timeout(Some(ms(2000)));
    let server = bind(limits).max_connections(1).tls(tls_support::server());
    let server = server.start(|_: &mut Request<'_>| vec![b'x'; SIZE]).unwrap();
    let address = server.local_addr().unwrap();
    let mut idle = connect(address);
    idle.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    idle.read_exact(&mut [0; 12]).unwrap();
    let begin = Instant::now();
    let second = spawn(move || connect(address).write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
    timeout(PROMPT, || second.join()).expect("a place").unwrap().unwrap();
    assert!(begin.elapsed() < ms(3500), "{:?}", begin.elapsed());
    server.stop(ms(0));
}

fn connect(address: SocketAddr) -> TlsStream<TcpStream> {
    let socket = TcpStream::connect(address).unwrap();
    socket.set_nodelay(true).unwrap();
    tls_support::client().connect("localhost", socket).unwrap()
}

#[test]
fn a_connection_that_was_taken_over_ends_although_its_client_reads_nothing() {
    for secure in [false, true] {
        for others_write in [false, true] {
            let limits = Limits::new().linger_timeout(ms(20));
            let server = bind(limits).max_connections(1);
            let server = if secure { server.tls(tls_support::server()) } else { server };
            let flood = move |_: &mut Request<'_>| {
                Response::upgrade("flood", move |stream| {
                    let stream = Rc::new(stream);
                    let flood = {
                        let stream = stream.clone();
                        move || (&*stream).write_all(&vec![7; SIZE])
                    };
                    if others_write {
                        spawn_parked(flood);
                    } else {
                        let _ = timeout(ms(20), flood);
                    }
                    Ok(())
                })
            };
            let server = server.start(flood).unwrap();
            let address = server.local_addr().unwrap();
            let request = b"GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: flood\r\n\r\n";
            let ask = move || -> Box<dyn Read> {
                if secure {
                    let mut client = connect(address);
                    client.write_all(request).unwrap();
                    Box::new(client)
                } else {
                    let mut client = TcpStream::connect(address).unwrap();
                    client.write_all(request).unwrap();
                    Box::new(client)
                }
            };
            let _first = ask();
            let second = spawn(move || ask().read_exact(&mut [0; 12]));
            let what = format!("TLS: {secure}, others write: {others_write}");
            timeout(PROMPT, || second.join()).expect(&what).unwrap().expect(&what);
            server.stop(ms(0));
        }
    }
}

/// What comes of a stream to an HTTP/1.0 client, and how it ends.
fn old_clients_answer(body: impl Fn() -> Body + 'static, secure: bool, stops: bool) -> (usize, bool) {
    let server = Server::bind("127.0.0.1:0").unwrap().on_error(|_| ());
    let server = if secure { server.tls(tls_support::server()) } else { server };
    let server = server.start(move |_: &mut Request<'_>| body()).unwrap();
    let address = server.local_addr().unwrap();
    let request = b"GET / HTTP/1.0\r\n\r\n";
    let mut client: Box<dyn Peer> = match secure {
        true => Box::new(connect(address)),
        false => Box::new(TcpStream::connect(address).unwrap()),
    };
    client.write_all(request).unwrap();
    let mut answer = vec![0; 1];
    client.read_exact(&mut answer).unwrap();
    if stops {
        server.stop(ms(0));
    }
    let ended = timeout(PROMPT, || client.read_to_end(&mut answer)).expect("an end");
    (answer.len(), ended.is_ok())
}

trait Peer: Read + Write {}
impl<T: Read + Write> Peer for T {}

// RFC 9112, 8
#[test]
fn a_stream_to_an_old_client_that_fails_half_way_does_not_end_like_a_whole_one() {
    /// Gives a piece, and fails by `next`.
    fn half(next: fn() -> std::io::Result<usize>) -> Body {
        struct Half(fn() -> std::io::Result<usize>, bool);
        impl Read for Half {
            fn read(&mut self, place: &mut [u8]) -> std::io::Result<usize> {
                if std::mem::replace(&mut self.1, true) {
                    return self.0();
                }
                place[..4].copy_from_slice(b"half");
                Ok(4)
            }
        }
        Body::reader(Half(next, false))
    }
    for secure in [false, true] {
        let fails = || half(|| Err(std::io::Error::other("no more of it")));
        assert!(!old_clients_answer(fails, secure, false).1, "an error, over TLS: {secure}");
        let panics = || half(|| panic!("no more of it"));
        assert!(!old_clients_answer(panics, secure, false).1, "a panic, over TLS: {secure}");
        let waits = || {
            half(|| {
                Event::new().wait();
                unreachable!("nobody sets it")
            })
        };
        assert!(!old_clients_answer(waits, secure, true).1, "a kill, over TLS: {secure}");
        let whole = || Body::stream([vec![b'x'; SIZE / 2], vec![b'x'; SIZE / 2]]);
        let (length, ends_well) = old_clients_answer(whole, secure, false);
        assert!(ends_well && length > SIZE, "over TLS: {secure}");
        assert!(old_clients_answer(|| half(|| Ok(0)), secure, false).1, "its own end, over TLS: {secure}");
        // All of it has left when its source is dropped.
        let fails_late = || {
            struct Late;
            impl Drop for Late {
                fn drop(&mut self) {
                    panic!("too late to matter");
                }
            }
            let late = Late;
            Body::stream(["whole"].into_iter().inspect(move |_| {
                let _ = &late;
            }))
        };
        assert!(
            old_clients_answer(fails_late, secure, false).1,
            "a panic behind the end, over TLS: {secure}"
        );
    }
}
