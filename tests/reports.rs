//! What the library says on standard error, and that nobody comes to harm where that is broken. Each test has processes of its own, as
//! they have their own standard error, signals, hooks and limits.
#![cfg(all(feature = "http", target_os = "linux"))]

mod net_support;

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use greenloop::event::Event;
use greenloop::http::{self, Request};
use greenloop::net::TcpStream;
use greenloop::server::StreamServer;
use greenloop::signal::{self, SIGUSR1};
use greenloop::{sleep, spawn, spawn_later, timeout};
use net_support::{Log, PROMPT, SHORT, ms, take_all_stacks};

/// Runs the test `name` of this program again in a process of its own, whose standard error is a pipe: without a reader, or its text is
/// what this gives.
fn run_again(name: &str, is_broken: bool) -> String {
    let (reader, writer) = std::io::pipe().unwrap();
    let reader = (!is_broken).then_some(reader);
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", name, "--nocapture", "--test-threads=1"]).env("CHILD", name);
    command.env("BROKEN", is_broken.to_string());
    let child = command.env_remove("RUST_BACKTRACE").stdout(Stdio::piped()).stderr(writer).spawn().unwrap();
    drop(command);
    let text = reader.map_or(String::new(), |reader| std::io::read_to_string(reader).unwrap());
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{name} ({}): {said}{text}", output.status);
    text
}

/// Is this the process that was made so? Then its standard error is what it should be.
fn is_child(name: &str) -> bool {
    let is_child = std::env::var("CHILD").is_ok_and(|child| child == name);
    if is_child {
        let is_broken = std::io::stderr().write_all(b"\n").is_err();
        assert_eq!(is_broken.to_string(), std::env::var("BROKEN").unwrap());
    }
    is_child
}

fn raise() {
    // SAFETY: no memory is involved.
    assert_eq!(unsafe { libc::raise(SIGUSR1.as_raw()) }, 0);
}

fn until(what: &str, mut is_true: impl FnMut() -> bool) {
    let waited = timeout(PROMPT, || {
        while !is_true() {
            sleep(ms(1));
        }
    });
    waited.unwrap_or_else(|_| panic!("{what}"));
}

/// Sends a request to a server of this thread, and gives the answer.
fn ask(client: &TcpStream, path: &str) -> String {
    (&*client).write_all(format!("GET {path} HTTP/1.1\r\n\r\n").as_bytes()).unwrap();
    let mut answer = [0; 1024];
    let count = (&*client).read(&mut answer).unwrap();
    String::from_utf8_lossy(&answer[..count]).into_owned()
}

#[test]
fn panics_and_failures_end_nothing_else_where_standard_error_is_broken() {
    const NAME: &str = "panics_and_failures_end_nothing_else_where_standard_error_is_broken";
    if !is_child(NAME) {
        let text = run_again(NAME, false);
        let times = |what: &str| text.matches(what).count();
        for (what, count) in [("a greenlet", 1), ("a handler of signals", 2), (" failed: no tea left", 2)] {
            assert_eq!(times(what), count, "{what}: {text}");
        }
        run_again(NAME, true);
        return;
    }
    // The standard library's panic hook goes on without a word.
    let failed = spawn(|| panic!("a greenlet")).join().unwrap_err();
    assert!(failed.to_string().contains("a greenlet"), "{failed}");

    let calls = Log::new();
    let handler = signal::on(SIGUSR1, {
        let calls = calls.clone();
        move || {
            calls.add(());
            panic!("a handler of signals");
        }
    });
    for count in 1..=2 {
        raise();
        until("the handler runs, and stays", || calls.len() == count);
    }
    drop(handler);

    let server = StreamServer::bind("127.0.0.1:0").unwrap().handle(|_, _| Err::<(), _>("no tea left"));
    server.start().unwrap();
    for _ in 0..2 {
        let mut client = TcpStream::connect(server.local_addr().unwrap()).unwrap();
        assert_eq!(client.read(&mut [0; 1]).unwrap(), 0);
    }
    server.stop(SHORT);
}

// WS68: the panic hook says what and where, the report says for whom.
#[test]
fn a_panic_of_a_handler_is_reported_once_with_the_request_line_behind_what_the_hook_says() {
    const NAME: &str =
        "a_panic_of_a_handler_is_reported_once_with_the_request_line_behind_what_the_hook_says";
    if !is_child(NAME) {
        let text = run_again(NAME, false);
        let lines: Vec<_> = text.lines().filter(|line| line.contains("no tea left")).collect();
        let report = "greenloop::http: GET /tea?kind=mint HTTP/1.1: the handler panicked: no tea left";
        assert_eq!(lines, ["no tea left", report], "{text}");
        let place = text.lines().position(|line| line.contains(" panicked at tests/reports.rs:")).unwrap();
        let last = text.lines().position(|line| line == report).unwrap();
        assert!(place < last && text.matches("panicked at").count() == 1, "{text}");
        run_again(NAME, true);
        return;
    }
    let app = |request: &mut Request<'_>| match request.path() {
        "/tea" => panic!("no tea left"),
        _ => "good",
    };
    let server = http::Server::bind("127.0.0.1:0").unwrap().start(app).unwrap();
    for (path, status) in [("/tea?kind=mint", "500"), ("/good", "200")] {
        let client = TcpStream::connect(server.local_addr().unwrap()).unwrap();
        assert!(ask(&client, path).starts_with(&format!("HTTP/1.1 {status} ")));
    }
    server.stop(SHORT);
}

#[test]
fn a_report_calls_no_panic_hook() {
    const NAME: &str = "a_report_calls_no_panic_hook";
    if !is_child(NAME) {
        run_again(NAME, true);
        return;
    }
    static PANICS: AtomicUsize = AtomicUsize::new(0);
    std::panic::set_hook(Box::new(|_| {
        PANICS.fetch_add(1, Ordering::SeqCst);
    }));
    let app = |request: &mut Request<'_>| -> http::Result<&str> {
        if request.path() == "/good" { Ok("good") } else { Err("no tea left".into()) }
    };
    let server = http::Server::bind("127.0.0.1:0").unwrap().start(app).unwrap();
    for (path, status) in [("/bad", "500"), ("/good", "200")] {
        let client = TcpStream::connect(server.local_addr().unwrap()).unwrap();
        assert!(ask(&client, path).starts_with(&format!("HTTP/1.1 {status} ")));
    }
    server.stop(SHORT);
    let _ = std::panic::take_hook();
    assert_eq!(PANICS.load(Ordering::SeqCst), 0);
}

#[test]
fn where_no_address_space_is_left_for_stacks_that_is_reported_and_the_loop_goes_on() {
    const NAME: &str = "where_no_address_space_is_left_for_stacks_that_is_reported_and_the_loop_goes_on";
    if !is_child(NAME) {
        let text = run_again(NAME, false);
        for what in
            [" has to wait for a stack: ", "the handler of SIGUSR1 cannot run: ", "a link of greenlet #"]
        {
            assert!(text.contains(what), "{what}: {text}");
        }
        run_again(NAME, true);
        return;
    }
    let server = http::Server::bind("127.0.0.1:0").unwrap().start(|_: &mut Request<'_>| "hello").unwrap();
    let client = TcpStream::connect(server.local_addr().unwrap()).unwrap();
    assert!(ask(&client, "/").ends_with("hello"));
    let calls = Log::new();
    let _handler = signal::on(SIGUSR1, {
        let calls = calls.clone();
        move || calls.add(())
    });
    // They have their stacks before there are none left. By then the connection has given up its own.
    let gate = Event::new();
    let opener = spawn_later(ms(300), {
        let gate = gate.clone();
        move || gate.set()
    });
    opener.link(|_, _| unreachable!("no stack is left for this"));
    sleep(ms(20));
    let greenlets = take_all_stacks(&gate);
    raise();
    // The handler of the signal does not run; the connection waits for a stack until the gate is open.
    assert!(ask(&client, "/").ends_with("hello"));
    assert_eq!(calls.len(), 0);
    opener.join().unwrap();
    for greenlet in greenlets {
        greenlet.join().unwrap();
    }
    raise();
    until("the handler runs again", || calls.len() == 1);
    server.stop(SHORT);
}
