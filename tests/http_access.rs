//! The access log.
#![cfg(feature = "http")]

mod http_support;

use greenloop::http::{
    self, Access, Body, Config, Handler, IntoResponse, Request, StatusCode, serve_connection,
};
use greenloop::net::TcpStream;
use greenloop::{sleep, spawn, yield_now};
use http_support::Client;
use std::cell::{Cell, RefCell};
use std::io::{self, Read, Write};
use std::rc::Rc;
use std::time::Duration;

fn app(request: &mut Request<'_>) -> http::Result<http::Response> {
    Ok(match request.path() {
        "/stream" => Body::stream(["START", "END"]).into_response(),
        "/read" => {
            let mut body = Vec::new();
            request.body().read_to_end(&mut body)?;
            body.into_response()
        }
        "/fail" => return Err("expected".into()),
        "/none" => StatusCode::NO_CONTENT.into_response(),
        "/large" => vec![b'x'; 100_000].into_response(),
        _ => "hello".into_response(),
    })
}

/// The lines for a connection, without their times.
fn lines(client: &Client, handler: &impl Handler) -> Vec<String> {
    let lines = Rc::new(RefCell::new(Vec::new()));
    let sink = lines.clone();
    let config =
        Config::new().on_error(|_| ()).access_log(move |access| sink.borrow_mut().push(access.to_string()));
    serve_connection(client.clone(), handler, &config).unwrap();
    lines.take().iter().map(|line| without_time(line)).collect()
}

fn without_time(line: &str) -> String {
    let (before, rest) = line.split_once('[').unwrap();
    let (time, after) = rest.split_once(']').unwrap();
    let shape: String = time.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    assert!(shape.starts_with("00/") && shape.ends_with("/0000:00:00:00 +0000"), "{time}");
    format!("{before}[]{after}")
}

#[test]
fn a_line_has_the_request_line_the_status_and_the_bytes() {
    // WS79
    let input = "GET /?q=1 HTTP/1.1\r\n\r\nHEAD / HTTP/1.1\r\n\r\nGET /stream HTTP/1.1\r\n\r\n\
                 GET /none HTTP/1.1\r\n\r\nGET /large HTTP/1.1\r\n\r\n\
                 POST /read HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 2\r\n\r\nhi\
                 GET /fail HTTP/1.1\r\n\r\n";
    let expected = [
        "192.0.2.1 - - [] \"GET /?q=1 HTTP/1.1\" 200 5",
        "192.0.2.1 - - [] \"HEAD / HTTP/1.1\" 200 0",
        "192.0.2.1 - - [] \"GET /stream HTTP/1.1\" 200 8",
        "192.0.2.1 - - [] \"GET /none HTTP/1.1\" 204 0",
        "192.0.2.1 - - [] \"GET /large HTTP/1.1\" 200 100000",
        "192.0.2.1 - - [] \"POST /read HTTP/1.0\" 200 2",
        "192.0.2.1 - - [] \"GET /fail HTTP/1.1\" 500 26",
    ];
    assert_eq!(lines(&Client::sending(input), &app), expected);
}

#[test]
fn refused_requests_are_logged_and_silence_is_not() {
    let of = |input: &str| lines(&Client::sending(input), &app);
    assert_eq!(of("GET / HTTP %\r\n\r\n"), ["192.0.2.1 - - [] \"-\" 400 23"]);
    assert_eq!(
        of("GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n"),
        ["192.0.2.1 - - [] \"GET / HTTP/1.1\" 400 44"]
    );
    assert_eq!(of(""), [""; 0]);
    // The head that was read last is not that of the request that could not be read.
    let both = of("GET /a HTTP/1.1\r\n\r\nx\r\n\r\n");
    assert_eq!(both[1], "192.0.2.1 - - [] \"-\" 400 23");
}

#[test]
fn a_request_whose_client_has_gone_is_logged() {
    // WS93
    let client =
        Client::sending("GET /large HTTP/1.1\r\n\r\n").failing_writes_after(0, io::ErrorKind::BrokenPipe);
    assert_eq!(lines(&client, &app), ["192.0.2.1 - - [] \"GET /large HTTP/1.1\" 200 0"]);
}

/// The bytes behind the first head, and the chunk sizes and line ends among them.
fn body_of(output: &[u8]) -> usize {
    let head = output.windows(4).position(|bytes| bytes == b"\r\n\r\n").unwrap() + 4;
    output.len() - head
}

#[test]
fn the_bytes_are_those_that_have_left_before_the_client_had_gone() {
    for (path, size) in [("/large", 10_000), ("/", 3)] {
        for limit in [0, 10, 130, 140, 50_000, 99_999] {
            let client = Client::sending(format!("GET {path} HTTP/1.1\r\n\r\n"));
            let client = client.taking_at_most(size).failing_writes_after(limit, io::ErrorKind::BrokenPipe);
            let [line] = &lines(&client, &app)[..] else { panic!("one line") };
            let output = client.output();
            let sent = if output.len() < 100 { 0 } else { body_of(&output) };
            assert_eq!(*line, format!("192.0.2.1 - - [] \"GET {path} HTTP/1.1\" 200 {sent}"), "{limit}");
        }
    }
    // In chunks, of which the second does not leave.
    let stream = |_: &mut Request<'_>| Body::stream(["START", "AGAIN", "END"]);
    let whole = Client::sending("GET / HTTP/1.1\r\n\r\n");
    assert!(lines(&whole, &stream)[0].ends_with(" 200 13"));
    let first = whole.writes()[0].len();
    for (more, sent) in [(0, 5), (3, 5), (6, 8), (100, 13)] {
        let client = Client::sending("GET / HTTP/1.1\r\n\r\n").taking_at_most(1);
        let client = client.failing_writes_after(first + more, io::ErrorKind::BrokenPipe);
        assert!(lines(&client, &stream)[0].ends_with(&format!(" 200 {sent}")), "{more}");
    }
}

#[test]
fn the_bytes_of_an_answer_that_is_killed_are_those_that_have_left() {
    let (seen, begun) = (Rc::new(Cell::new(None)), Rc::new(Cell::new(false)));
    let server = http::Server::bind("127.0.0.1:0").unwrap();
    let server = server.access_log({
        let seen = seen.clone();
        move |access| seen.set(Some(access.body_bytes()))
    });
    let server = server.start({
        let begun = begun.clone();
        move |_: &mut Request<'_>| {
            begun.set(true);
            vec![b'x'; 30_000_000]
        }
    });
    let server = server.unwrap();
    let mut client = TcpStream::connect(server.local_addr().unwrap()).unwrap();
    client.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    while !begun.get() {
        yield_now();
    }
    server.stop(Duration::ZERO);
    let mut output = Vec::new();
    let _ = client.read_to_end(&mut output); // it may end with a reset
    assert_eq!(seen.get(), Some(body_of(&output) as u64));
    assert!(seen.get() < Some(30_000_000));
}

#[test]
fn an_answer_has_left_when_the_log_is_told_of_it_unless_more_requests_are_there() {
    let client = Client::sending("GET /one HTTP/1.1\r\n\r\nGET /two HTTP/1.1\r\n\r\n");
    let seen = Rc::new(RefCell::new(Vec::new()));
    let config = Config::new().access_log({
        let (client, seen) = (client.clone(), seen.clone());
        move |_| seen.borrow_mut().push(String::from_utf8(client.output()).unwrap().matches("hello").count())
    });
    serve_connection(client.clone(), &app, &config).unwrap();
    assert_eq!((seen.take(), client.writes().len()), (vec![0, 2], 1));
}

#[test]
fn a_kill_while_the_log_waits_does_not_cost_the_client_its_answer() {
    for input in ["GET /one HTTP/1.1\r\n\r\n", "GET /one HTTP/1.1\r\n\r\nGET /two HTTP/1.1\r\n\r\n"] {
        let client = Client::sending(input);
        let connection = spawn({
            let client = client.clone();
            move || {
                let config = Config::new().access_log(|_| sleep(Duration::from_secs(3600)));
                serve_connection(client, &app, &config)
            }
        });
        yield_now();
        connection.kill();
        assert!(client.output().ends_with(b"\r\n\r\nhello"));
    }
}

#[test]
fn nothing_from_outside_ends_the_line_or_the_quotation() {
    let lines = lines(&Client::sending("GET /a\"b\\ HTTP/1.1\r\n\r\n"), &app);
    assert_eq!(lines, ["192.0.2.1 - - [] \"GET /a\\\"b\\\\ HTTP/1.1\" 200 5"]);
}

#[test]
fn the_record_has_all_that_the_line_has_and_the_time() {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let sink = seen.clone();
    let config = Config::new().access_log(move |access| {
        assert!(access.elapsed() < Duration::from_secs(60));
        sink.borrow_mut().push((
            access.peer_addr().map(|peer| peer.port()),
            access.method().map(|method| method.to_string()),
            access.target().map(str::to_string),
            access.status().map(|status| status.as_u16()),
            access.body_bytes(),
        ));
    });
    serve_connection(Client::sending("GET /x HTTP/1.1\r\n\r\n?\r\n\r\n"), &app, &config).unwrap();
    let expected = [
        (Some(4711), Some("GET".into()), Some("/x".into()), Some(200), 5),
        (Some(4711), None, None, Some(400), 23),
    ];
    assert_eq!(seen.take(), expected);
}

/// A writer that sends a request itself, so that lines come while it is busy, and that notes what it gets.
struct Nosy {
    written: Rc<RefCell<Vec<Vec<u8>>>>,
    again: Rc<RefCell<Option<Config>>>,
}

impl Write for Nosy {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.written.borrow_mut().push(bytes.to_vec());
        let config = self.again.borrow_mut().take();
        if let Some(config) = config {
            serve_connection(Client::sending("GET /inner HTTP/1.1\r\n\r\n"), &app, &config).unwrap();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_writer_gets_whole_lines_also_those_that_come_while_it_writes() {
    let (written, again) = (Rc::new(RefCell::new(Vec::new())), Rc::new(RefCell::new(None)));
    let writer = Nosy { written: written.clone(), again: again.clone() };
    let config = Config::new().access_log(Access::lines_to(writer));
    *again.borrow_mut() = Some(config.clone());
    serve_connection(Client::sending("GET /outer HTTP/1.1\r\n\r\n"), &app, &config).unwrap();
    let written: Vec<_> = written.take().into_iter().map(|line| String::from_utf8(line).unwrap()).collect();
    assert_eq!(written.len(), 2, "{written:?}");
    assert!(written[0].contains("GET /outer ") && written[1].contains("GET /inner "), "{written:?}");
    assert!(written.iter().all(|line| line.ends_with('\n') && line.matches('\n').count() == 1));
}

/// A writer that has to wait for a while with its first line.
struct Slow(Rc<RefCell<Vec<Vec<u8>>>>);

impl Write for Slow {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let is_first = self.0.borrow().is_empty();
        self.0.borrow_mut().push(bytes.to_vec());
        if is_first {
            sleep(Duration::from_secs(3600));
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_kill_while_a_line_is_written_is_not_the_end_of_the_log() {
    let written = Rc::new(RefCell::new(Vec::new()));
    let config = Config::new().access_log(Access::lines_to(Slow(written.clone())));
    let ask =
        |config: &Config| serve_connection(Client::sending("GET / HTTP/1.1\r\n\r\n"), &app, config).unwrap();
    let first = spawn({
        let config = config.clone();
        move || ask(&config)
    });
    while written.borrow().is_empty() {
        yield_now();
    }
    first.kill();
    ask(&config);
    assert_eq!(written.borrow().len(), 2);
}

#[test]
fn a_request_that_is_killed_is_logged() {
    let seen = Rc::new(RefCell::new(Vec::new()));
    let sink = seen.clone();
    let config =
        Config::new().access_log(move |access| sink.borrow_mut().push(without_time(&access.to_string())));
    let connection = spawn(move || {
        let app = |_: &mut Request<'_>| {
            sleep(Duration::from_secs(3600));
            "never"
        };
        serve_connection(Client::sending("GET /slow HTTP/1.1\r\n\r\n"), &app, &config)
    });
    yield_now();
    connection.kill();
    assert_eq!(seen.take(), ["192.0.2.1 - - [] \"GET /slow HTTP/1.1\" 500 26"]);
}

#[test]
fn a_log_that_panics_costs_the_client_nothing() {
    let config = Config::new().access_log(|_| panic!("expected by a test"));
    let client = Client::sending("GET /one HTTP/1.1\r\n\r\nGET /two HTTP/1.1\r\n\r\n");
    serve_connection(client.clone(), &app, &config).unwrap();
    assert_eq!(String::from_utf8(client.output()).unwrap().matches("HTTP/1.1 200 OK").count(), 2);
}

#[test]
fn a_record_shown_for_debugging_keeps_the_secrets_of_the_request() {
    let shown = Rc::new(RefCell::new(String::new()));
    let config = Config::new().access_log({
        let shown = shown.clone();
        move |access| *shown.borrow_mut() = format!("{access:?}")
    });
    let request = "GET /tea HTTP/1.1\r\nAuthorization: secret\r\n\r\n";
    serve_connection(Client::sending(request), &app, &config).unwrap();
    let shown = shown.take();
    let bytes = format!("{:?}", b"secret");
    assert!(!shown.contains("secret") && !shown.contains(bytes.trim_matches(['[', ']'])), "{shown}");
    assert!(shown.contains("GET") && shown.contains("/tea") && shown.contains("200"), "{shown}");
}

#[test]
fn a_kill_while_lines_of_others_are_written_loses_none_of_them() {
    let (written, again) = (Rc::new(RefCell::new(Vec::new())), Rc::new(Cell::new(0)));
    /// Waits with the first two lines.
    struct Slow(Rc<RefCell<Vec<String>>>, Rc<Cell<usize>>);
    impl Write for Slow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.borrow_mut().push(String::from_utf8_lossy(bytes).into_owned());
            while self.0.borrow().len() > self.1.get() {
                yield_now();
            }
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let config = Config::new().access_log(Access::lines_to(Slow(written.clone(), again.clone())));
    let ask = move |path: &str| {
        serve_connection(Client::sending(format!("GET {path} HTTP/1.1\r\n\r\n")), &app, &config).unwrap();
    };
    let first = spawn({
        let ask = ask.clone();
        move || ask("/1")
    });
    yield_now(); // it writes, and takes what others have to say
    ask("/2");
    ask("/3");
    again.set(1);
    while written.borrow().len() < 2 {
        yield_now();
    }
    first.kill();
    again.set(usize::MAX);
    ask("/4");
    let paths: Vec<_> =
        written.borrow().iter().map(|line| line.split(' ').nth(6).unwrap().to_string()).collect();
    assert_eq!(paths, ["/1", "/2", "/3", "/4"]);
}
