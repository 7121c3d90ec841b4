//! What a server takes, over real sockets: places, paces, and clients that never finish.
#![cfg(feature = "http")]

mod net_support;

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use greenloop::event::Event;
use greenloop::http::{self, Limits, Request, RunningServer, Server};
use greenloop::net::TcpStream;
use greenloop::testing::{elapsed, virtual_time};
use greenloop::{sleep, spawn};
use net_support::{Flag, LONG, PROMPT, ms, spawn_parked};

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n";

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PROMPT)).unwrap();
    stream
}

/// All that comes until the server closes.
fn rest(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

fn echo(request: &mut Request<'_>) -> http::Result<Vec<u8>> {
    let mut body = Vec::new();
    request.body().read_to_end(&mut body)?;
    Ok(body)
}

fn start(server: Server, handler: impl http::Handler + 'static) -> (RunningServer, SocketAddr) {
    let server = server.start(handler).unwrap();
    let address = server.local_addr().unwrap();
    (server, address)
}

fn bind() -> Server {
    Server::bind("127.0.0.1:0").unwrap()
}

mod places {
    use super::*;

    /// A server with one place and room for `queue` more, whose handler waits for the event and tells when it runs.
    fn one_place(queue: usize, limits: Limits) -> (RunningServer, SocketAddr, Rc<Event>, Flag) {
        let (open, runs) = (Rc::new(Event::new()), Flag::default());
        let (waits, tells) = (open.clone(), runs.clone());
        let handler = move |_: &mut Request<'_>| {
            tells.raise();
            waits.wait();
            "served"
        };
        let (server, address) = start(bind().max_connections(1).queue(queue).limits(limits), handler);
        (server, address, open, runs)
    }

    fn wait_for(flag: &Flag) {
        let start = Instant::now();
        while !flag.is_up() {
            assert!(start.elapsed() < PROMPT, "it does not happen");
            sleep(ms(1));
        }
    }

    #[test]
    fn those_behind_the_queue_are_told_that_there_is_no_place() {
        // WS76
        let (server, address, open, runs) = one_place(1, Limits::new());
        let mut first = connect(address);
        first.write_all(GET).unwrap();
        wait_for(&runs);
        let mut second = connect(address);
        second.write_all(GET).unwrap();
        // They are accepted in their order, so the queue is full for the third.
        for _ in 0..3 {
            let mut third = connect(address);
            third.write_all(GET).unwrap();
            let answer = rest(&mut third);
            assert!(answer.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{answer}");
            assert!(
                answer.contains("\r\nretry-after: 1\r\n") && answer.contains("\r\nConnection: close\r\n")
            );
            assert!(answer.ends_with("\r\n\r\nthe server has too many connections\n"), "{answer}");
        }
        open.set();
        for client in [&mut first, &mut second] {
            assert!(rest(client).ends_with("\r\n\r\nserved"));
        }
        let mut later = connect(address);
        later.write_all(GET).unwrap();
        assert!(rest(&mut later).ends_with("\r\n\r\nserved"));
        server.stop(LONG);
    }

    #[test]
    fn a_queue_of_none_refuses_at_once() {
        let (server, address, open, runs) = one_place(0, Limits::new());
        let mut first = connect(address);
        first.write_all(GET).unwrap();
        wait_for(&runs);
        assert!(rest(&mut connect(address)).starts_with("HTTP/1.1 503 "));
        open.set();
        assert!(rest(&mut first).ends_with("served"));
        server.stop(LONG);
    }

    #[test]
    fn a_server_for_no_connections_does_not_start_with_or_without_a_queue() {
        let servers = [
            bind().max_connections(0),
            bind().max_connections(0).queue(10),
            bind().also(bind().max_connections(0)),
        ];
        for server in servers {
            let error = server.start(|_: &mut Request<'_>| "served").unwrap_err();
            assert!(error.to_string().contains("would serve nobody"), "{error}");
            assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
        }
    }

    #[test]
    fn who_waits_too_long_in_the_queue_is_told_as_well() {
        let (server, address, open, runs) = one_place(5, Limits::new().head_timeout(Some(ms(30))));
        let mut first = connect(address);
        first.write_all(GET).unwrap();
        wait_for(&runs);
        let mut second = connect(address);
        second.write_all(GET).unwrap();
        assert!(rest(&mut second).starts_with("HTTP/1.1 503 "));
        open.set();
        assert!(rest(&mut first).ends_with("served"));
        server.stop(LONG);
    }

    #[test]
    fn who_waits_in_the_queue_does_not_delay_a_stop() {
        let (server, address, open, runs) = one_place(5, Limits::new());
        let mut first = connect(address);
        first.write_all(GET).unwrap();
        wait_for(&runs);
        let mut waiting: Vec<_> = (0..3).map(|_| connect(address)).collect();
        // Served behind the others in the queue of the kernel, so those three are in the queue here when it answers.
        let mut most = (0..3).map(|_| connect(address)).collect::<Vec<_>>();
        assert!(rest(most.last_mut().unwrap()).starts_with("HTTP/1.1 503 "));
        let stopping = spawn_parked(move || server.stop(LONG));
        for client in &mut waiting {
            assert_eq!(rest(client), "");
        }
        assert!(!stopping.is_finished(), "one is still being served");
        open.set();
        assert!(rest(&mut first).ends_with("served"));
        stopping.join().unwrap();
    }
}

mod paces {
    use super::*;

    fn post(address: SocketAddr, length: usize) -> TcpStream {
        let mut client = connect(address);
        let head = format!("POST / HTTP/1.1\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n");
        client.write_all(head.as_bytes()).unwrap();
        client
    }

    #[test]
    fn a_body_that_trickles_is_late_however_often_something_comes() {
        let limits = Limits::new().min_body_rate(10_000).body_rate_window(ms(50));
        let (server, address) = start(bind().limits(limits), echo);
        let mut client = post(address, 1_000_000);
        let mut trickling = client.try_clone().unwrap();
        let trickle = spawn(move || {
            // Ends when the server has closed.
            while trickling.write_all(b"x").is_ok() {
                sleep(ms(1));
            }
        });
        let start = Instant::now();
        let mut answer = [0; 12];
        client.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"HTTP/1.1 408");
        assert!(start.elapsed() < PROMPT);
        trickle.kill();
        server.stop(LONG);
    }

    #[test]
    fn a_body_that_keeps_the_pace_may_take_as_long_as_it_likes() {
        let limits = Limits::new().min_body_rate(100).body_rate_window(ms(20));
        let (server, address) = start(bind().limits(limits), echo);
        let mut client = post(address, 100_000);
        for _ in 0..100 {
            client.write_all(&[b'x'; 1000]).unwrap();
            sleep(ms(1));
        }
        assert!(rest(&mut client).ends_with(&"x".repeat(100_000)));
        server.stop(LONG);
    }

    #[test]
    fn a_handler_that_takes_its_time_is_not_the_fault_of_the_client() {
        let limits = Limits::new().min_body_rate(1_000_000).body_rate_window(ms(200));
        let slow = |request: &mut Request<'_>| {
            let mut byte = [0];
            let mut count = 0;
            while request.body().read(&mut byte)? > 0 {
                count += 1;
                sleep(ms(30));
            }
            Ok(count.to_string())
        };
        let (server, address) = start(bind().limits(limits), slow);
        let mut client = post(address, 20);
        client.write_all(&[b'x'; 20]).unwrap();
        assert!(rest(&mut client).ends_with("\r\n\r\n20"));
        server.stop(LONG);
    }

    // A window that ends meanwhile is no reason to wait longer.
    #[test]
    fn a_client_that_falls_silent_has_its_time_once() {
        let limits = Limits::new().min_body_rate(1).body_rate_window(ms(2000)).body_timeout(Some(ms(2000)));
        let (server, address) = start(bind().limits(limits), echo);
        let mut client = post(address, 100);
        client.write_all(&[b'x'; 50]).unwrap();
        let begin = Instant::now();
        let mut answer = [0; 12];
        client.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"HTTP/1.1 408");
        assert!(begin.elapsed() >= ms(1900) && begin.elapsed() < ms(3500), "{:?}", begin.elapsed());
        server.stop(LONG);
    }

    #[test]
    fn any_pace_will_do_if_that_is_asked_for() {
        let limits = Limits::new().min_body_rate(0).body_rate_window(ms(1));
        let (server, address) = start(bind().limits(limits), echo);
        let mut client = post(address, 3);
        for _ in 0..3 {
            sleep(ms(5));
            client.write_all(b"x").unwrap();
        }
        assert!(rest(&mut client).ends_with("\r\n\r\nxxx"));
        server.stop(LONG);
    }
}

#[test]
fn hundreds_of_half_open_clients_do_not_keep_others_from_being_served() {
    // WS97
    const HALF_OPEN: usize = 300;
    let limits = Limits::new().head_timeout(Some(Duration::from_secs(2)));
    let (server, address) = start(bind().limits(limits), |_: &mut Request<'_>| "served");
    let mut half_open: Vec<_> = (0..HALF_OPEN)
        .map(|number| {
            let mut client = connect(address);
            // From nothing at all to all but the last byte.
            let count = number % GET.len();
            client.write_all(&GET[..count]).unwrap();
            (client, count)
        })
        .collect();
    for _ in 0..100 {
        let mut client = connect(address);
        client.write_all(GET).unwrap();
        assert!(rest(&mut client).ends_with("\r\n\r\nserved"));
    }
    for (client, count) in &mut half_open {
        let answer = rest(client);
        match count {
            0 => assert_eq!(answer, ""),
            _ => assert!(answer.starts_with("HTTP/1.1 408 "), "after {count} bytes: {answer}"),
        }
    }
    server.stop(LONG);
}

#[test]
fn a_form_with_too_many_pairs_is_refused() {
    use greenloop::http::TestClient;
    let count = |request: &mut Request<'_>| Ok(request.form()?.into_iter().count().to_string());
    let post = |limits: &Limits, form: String| {
        let client = TestClient::new(count).limits(limits.clone());
        let kind = "application/x-www-form-urlencoded";
        let answer = client.post("/").header("Content-Type", kind).body(form).send();
        assert!(client.reports().is_empty());
        (answer.status().as_u16(), answer.text().to_string())
    };
    let refused = (413, String::from("the form has too many fields\n"));
    let default = Limits::new();
    assert_eq!(post(&default, "a&".repeat(1000)), (200, String::from("1000")));
    assert_eq!(post(&default, "a&".repeat(1001)), refused);
    // What is empty is no pair.
    assert_eq!(post(&default, "&".repeat(5000) + "a"), (200, String::from("1")));
    assert_eq!(post(&Limits::new().max_form_pairs(0), String::new()), (200, String::from("0")));
    assert_eq!(post(&Limits::new().max_form_pairs(0), String::from("a")), refused);
}

/// No limit at all.
fn unlimited() -> Limits {
    let longest = Some(Duration::MAX);
    Limits::new()
        .max_request_line(usize::MAX)
        .max_head(usize::MAX)
        .max_headers(usize::MAX)
        .max_body(u64::MAX)
        .max_form_pairs(usize::MAX)
        .max_trailers(usize::MAX)
        .max_discard(u64::MAX)
        .max_requests(Some(u64::MAX))
        .head_timeout(longest)
        .idle_timeout(longest)
        .body_timeout(longest)
        .min_body_rate(u32::MAX)
        .body_rate_window(Duration::MAX)
        .write_timeout(longest)
        .linger_timeout(Duration::MAX)
        .max_linger(usize::MAX)
}

#[test]
fn limits_at_their_largest_limit_nothing() {
    let handler = |request: &mut Request<'_>| {
        let headers = request.headers().len();
        let mut body = String::new();
        request.body().read_to_string(&mut body)?;
        Ok(format!("{headers} {body} {}", request.body().trailers()?.len()))
    };
    let (server, address) = start(bind().limits(unlimited()), handler);
    let mut client = connect(address);
    let fields = |count| (0..count).map(|n| format!("X-{n}: {n}\r\n")).collect::<String>();
    for (count, end) in [(0, ""), (100, ""), (2000, "Connection: close\r\n")] {
        let head = format!("POST / HTTP/1.1\r\n{}{end}Transfer-Encoding: chunked\r\n\r\n", fields(count));
        let text = head + "2\r\nhi\r\n0\r\nX: y\r\n\r\n";
        let (first, second) = text.split_at(7);
        client.write_all(first.as_bytes()).unwrap();
        sleep(ms(2)); // so that it mostly comes in two pieces, though nothing depends on that
        client.write_all(second.as_bytes()).unwrap();
    }
    let answers = rest(&mut client);
    let bodies: Vec<_> = answers.split("\r\n\r\n").skip(1).collect();
    assert_eq!(bodies.len(), 3, "{answers}");
    for (body, expected) in bodies.iter().zip(["1 hi 1", "101 hi 1", "2002 hi 1"]) {
        assert!(body.starts_with(expected), "{answers}");
    }
    server.stop(LONG);
}

#[test]
fn more_names_than_a_map_takes_are_no_panic() {
    let handler = |request: &mut Request<'_>| {
        let last = request.header("x-39999").map(str::to_string);
        format!("{} {last:?}", request.headers().len())
    };
    let fields: String = (0..40_000).map(|n| format!("X-{n}: {n}\r\n")).collect();
    let (server, address) = start(bind().limits(unlimited()), handler);
    let mut client = connect(address);
    client.write_all(format!("GET / HTTP/1.1\r\nConnection: close\r\n{fields}\r\n").as_bytes()).unwrap();
    let answer = rest(&mut client);
    assert!(answer.ends_with("\r\n\r\n24576 Some(\"39999\")"), "{answer}");
    server.stop(LONG);
}

// A connection keeps its stack for a moment for the first request, and goes on waiting without one.
#[test]
fn a_client_that_says_nothing_at_first_is_served_later_and_sent_away_when_its_time_is_over() {
    virtual_time(|| {
        let limits = Limits::new().head_timeout(Some(Duration::from_secs(5)));
        let (server, address) = start(bind().limits(limits), |_: &mut Request<'_>| "late");
        let mut slow = TcpStream::connect(address).unwrap();
        let mut silent = TcpStream::connect(address).unwrap();
        sleep(Duration::from_secs(4));
        slow.write_all(GET).unwrap();
        assert!(rest(&mut slow).ends_with("\r\n\r\nlate"));
        assert!(elapsed() < ms(4_500), "served after {:?}", elapsed());
        assert_eq!(rest(&mut silent), "");
        assert!((ms(5_000)..ms(5_500)).contains(&elapsed()), "sent away after {:?}", elapsed());
        server.stop(Duration::ZERO);
    });
}
