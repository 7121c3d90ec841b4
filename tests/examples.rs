//! Each example prints what its slide prints. They run as programs, as a user would run them.
#![cfg(feature = "http")]

#[cfg(feature = "websocket")]
mod ws_support;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The example's program: `cargo test` builds it beside the tests.
fn program(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own program");
    let target = test.ancestors().nth(2).expect("tests lie in target/<profile>/deps");
    let program = target.join("examples").join(name);
    assert!(program.exists(), "{} is missing; `cargo test` builds it", program.display());
    program
}

/// What the example prints, and how long it takes.
fn output(name: &str) -> (String, Duration) {
    let start = Instant::now();
    let output = Command::new(program(name)).output().expect("the example starts");
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    (String::from_utf8(output.stdout).expect("text"), start.elapsed())
}

#[test]
fn spawn_adds() {
    assert_eq!(output("spawn").0, "1 + 2 = 3\n");
}

#[test]
fn sleep_lets_the_shorter_sleeper_print_first() {
    let (text, took) = output("sleep");
    assert_eq!(text, "function 2\nfunction 1\n");
    assert!(took >= Duration::from_secs(2));
}

#[test]
fn timeout_elapses() {
    assert_eq!(output("timeout").0, "timeout elapsed\n");
}

#[test]
fn event_is_captured_after_it_was_set() {
    let expected = "func2: waiting for event\nfunc1: setting event\nfunc2: event captured\n";
    assert_eq!(output("event").0, expected);
}

#[test]
fn async_result_arrives_after_it_was_sent() {
    let expected = "func2: waiting for result\nfunc1: sending data\nfunc2: result captured: nice!\n";
    assert_eq!(output("async_result").0, expected);
}

#[test]
fn queue_gives_its_items_in_order_and_ends() {
    assert_eq!(output("queue").0, "1\n2\n");
}

#[test]
fn pool_lets_the_third_wait_for_a_slot() {
    let text = output("pool").0;
    let lines: Vec<_> = text.lines().collect();
    assert_eq!((lines[0], lines[1], lines[3]), ("1", "2", "3"));
    let waited =
        lines[2].strip_prefix("the third waited ").and_then(|rest| rest.strip_suffix(" s for a slot"));
    assert!(
        waited.and_then(|seconds| seconds.parse::<f64>().ok()).is_some_and(|seconds| seconds >= 0.5),
        "{text}"
    );
}

#[test]
fn threadpool_sleeps_four_times_in_the_time_of_one() {
    let (text, took) = output("threadpool");
    assert!(text.starts_with("[(), (), (), ()]\nSlept 1 s four times on 4 threads."), "{text}");
    assert!(took >= Duration::from_secs(1) && took < Duration::from_secs(3), "{took:?}");
}

const SUPERVISED: &str = "steady: done at attempt 1
flaky: exit status: 7, started again
flaky: exit status: 8, started again
flaky: done at attempt 3
hopeless: signal: 9 (SIGKILL), started again
hopeless: signal: 9 (SIGKILL), started again
given up: hopeless has failed 2 times
";

#[test]
fn process_supervisor_starts_again_what_fails() {
    assert_eq!(output("process_supervisor").0, SUPERVISED);
}

#[test]
fn process_supervisor_ends_when_it_is_asked_to() {
    let mut child = Command::new(program("process_supervisor"))
        .arg("forever")
        .stdout(Stdio::piped())
        .spawn()
        .expect("the example starts");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines().map(Result::unwrap);
    assert!(lines.by_ref().any(|line| line == "running"));
    // SAFETY: no memory is involved; the child has not been waited for.
    assert_eq!(unsafe { libc::kill(child.id() as libc::pid_t, libc::SIGTERM) }, 0);
    assert_eq!(lines.next().as_deref(), Some("stopped by SIGTERM"));
    assert!(child.wait().expect("it ends").success());
}

#[cfg(feature = "tls")]
#[test]
fn crawler_finds_every_page_with_ten_greenlets() {
    assert_eq!(output("crawler").0, "60 pages, 119 links\nfaster than one by one\n");
}

/// A server that is killed at the end of the test.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    /// Starts the example and reads from its first line where it listens.
    fn start(name: &str, arguments: &[&str], line: &str) -> Server {
        Server::spawn(Command::new(program(name)).args(arguments), line)
    }

    fn spawn(command: &mut Command, line: &str) -> Server {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the example starts");
        let mut first = String::new();
        let stdout = child.stdout.as_mut().expect("piped");
        BufReader::new(stdout).read_line(&mut first).expect("a line");
        let address = first.trim_end().strip_prefix(line).unwrap_or_else(|| panic!("printed {first:?}"));
        Server { address: address.to_string(), child }
    }

    fn connect(&self) -> TcpStream {
        TcpStream::connect(&self.address).expect("the example listens")
    }

    /// All that the server sends in answer to `request` until it closes.
    fn ask(&self, request: &(impl AsRef<[u8]> + ?Sized)) -> String {
        let mut socket = self.connect();
        socket.write_all(request.as_ref()).unwrap();
        let mut answer = String::new();
        socket.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn stream_server_tells_clients_their_address() {
    let server = Server::start("stream_server", &["127.0.0.1:0"], "listening on ");
    assert_eq!(server.ask(""), "Your address is 127.0.0.1\n");
}

/// A WebSocket of the example, whose handshake is done.
#[cfg(feature = "websocket")]
fn web_socket(server: &Server, path: &str) -> TcpStream {
    let mut socket = server.connect();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    socket.write_all(&ws_support::request(path, "")).unwrap();
    let head = ws_support::head(&mut socket);
    assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
    socket
}

#[cfg(feature = "websocket")]
fn say(socket: &mut TcpStream, text: &str) {
    socket.write_all(&ws_support::frame(ws_support::FIN | ws_support::TEXT, text.as_bytes())).unwrap();
}

/// The next text.
#[cfg(feature = "websocket")]
fn hear(socket: &mut TcpStream) -> String {
    let (first, payload) = ws_support::read_frame(socket).expect("a frame");
    assert_eq!(first, ws_support::FIN | ws_support::TEXT);
    String::from_utf8(payload).unwrap()
}

#[cfg(feature = "websocket")]
#[test]
fn bottle_primer_has_a_websocket_and_its_page() {
    let server = Server::start("bottle_primer", &["--port", "0"], "listening on http://");
    let mut socket = web_socket(&server, "/websocket");
    say(&mut socket, "Hello, world");
    assert_eq!(hear(&mut socket), "Your message was: \"Hello, world\"");
    let page = server.ask(&get("/", ""));
    assert!(page.contains("\r\nContent-Length: ") && page.contains("new WebSocket("), "{page}");
    assert!(server.ask(&get("/websocket", "")).starts_with("HTTP/1.1 426 "));
}

#[cfg(feature = "websocket")]
#[test]
fn websocket_echo_says_everything_again() {
    let server = Server::start("websocket_echo", &["--port", "0"], "listening on http://");
    let mut socket = web_socket(&server, "/websocket");
    for text in ["one", "", "größe"] {
        say(&mut socket, text);
        assert_eq!(hear(&mut socket), text);
    }
    assert!(server.ask(&get("/", "")).contains("<title>WebSocket</title>"));
}

#[cfg(feature = "websocket")]
#[test]
fn web_chat_lets_sockets_and_polls_talk() {
    let server = Server::start("web_chat", &["--port", "0"], "listening on http://");
    assert!(server.ask(&get("/", "")).contains("<title>Chat</title>"));
    assert!(server.ask(&get("/lines?name=x", "")).starts_with("HTTP/1.1 400 "));
    assert!(server.ask(&get("/lines?room=x", "")).starts_with("HTTP/1.1 400 "));
    let mut alice = web_socket(&server, "/socket?room=den+1&name=alice");
    assert_eq!(hear(&mut alice), r#"{"id":1,"name":"","text":"alice has come"}"#);
    say(&mut alice, "is \"anybody\" there?");
    let first = r#"{"id":2,"name":"alice","text":"is \"anybody\" there?"}"#;
    assert_eq!(hear(&mut alice), first);
    // Bob polls: what there is comes at once, and his next poll waits.
    let body = |answer: &str| answer.split_once("\r\n\r\n").expect("a body").1.to_string();
    let lines = body(&server.ask(&get("/lines?room=den%201&name=bob&after=1", "")));
    assert_eq!(lines, format!(r#"[{first},{{"id":3,"name":"","text":"bob has come"}}]"#));
    assert_eq!(hear(&mut alice), r#"{"id":3,"name":"","text":"bob has come"}"#);
    let mut waiting = server.connect();
    waiting.write_all(get("/lines?room=den+1&name=bob&after=3", "").as_bytes()).unwrap();
    assert_eq!(body(&server.ask(&get("/people?room=den+1", ""))), r#"["alice","bob"]"#);
    say(&mut alice, "hello bob");
    let mut answer = String::new();
    waiting.read_to_string(&mut answer).unwrap();
    assert_eq!(body(&answer), r#"[{"id":4,"name":"alice","text":"hello bob"}]"#);
    assert_eq!(hear(&mut alice), r#"{"id":4,"name":"alice","text":"hello bob"}"#);
    // He answers by a request, and she sees it.
    let post = "POST /lines?room=den+1&name=bob HTTP/1.1\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi";
    assert!(server.ask(post).starts_with("HTTP/1.1 204 "));
    assert_eq!(hear(&mut alice), r#"{"id":5,"name":"bob","text":"hi"}"#);
    // Other rooms hear nothing, and whoever leaves has gone.
    assert_eq!(body(&server.ask(&get("/people?room=elsewhere", ""))), "[]");
    drop(alice);
    let lines = body(&server.ask(&get("/lines?room=den+1&name=bob&after=5", "")));
    assert_eq!(lines, r#"[{"id":6,"name":"","text":"alice has gone"}]"#);
}

#[cfg(feature = "websocket")]
#[test]
fn web_chat_says_that_somebody_who_polled_has_gone() {
    let server = Server::start("web_chat", &["--port", "0"], "listening on http://");
    let mut alice = web_socket(&server, "/socket?room=den&name=alice");
    assert_eq!(hear(&mut alice), r#"{"id":1,"name":"","text":"alice has come"}"#);
    // His poll is answered at once, and he does not come back.
    server.ask(&get("/lines?room=den&name=bob", ""));
    assert_eq!(hear(&mut alice), r#"{"id":2,"name":"","text":"bob has come"}"#);
    assert_eq!(hear(&mut alice), r#"{"id":3,"name":"","text":"bob has gone"}"#);
}

#[cfg(feature = "websocket")]
fn post(path: &str, body: &[u8]) -> Vec<u8> {
    let head = format!("POST {path} HTTP/1.1\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

#[cfg(feature = "websocket")]
#[test]
fn web_chat_refuses_lines_that_are_too_long_or_no_text() {
    let server = Server::start("web_chat", &["--port", "0"], "listening on http://");
    let longest = [["x"; 2000].concat(), ["é"; 1000].concat()];
    let refused = [b"\xff".to_vec(), format!("a{}", longest[1]).into_bytes(), vec![b'y'; 2001]];
    for (body, status) in refused.iter().zip(["400", "413", "413"]) {
        let answer = server.ask(&post("/lines?room=r&name=n", body));
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    }
    for text in &longest {
        let answer = server.ask(&post("/lines?room=r&name=n", text.as_bytes()));
        assert!(answer.starts_with("HTTP/1.1 204 "), "{answer}");
    }
    let lines = server.ask(&get("/lines?room=r&name=n&after=1", ""));
    let [first, second] = &longest;
    let expected =
        format!(r#"[{{"id":2,"name":"n","text":"{first}"}},{{"id":3,"name":"n","text":"{second}"}}]"#);
    assert!(lines.ends_with(&format!("\r\n\r\n{expected}")), "{lines}");
}

#[cfg(feature = "websocket")]
#[test]
fn web_chat_has_a_limited_number_of_rooms_with_names_of_limited_length() {
    let server = Server::start("web_chat", &["--port", "0"], "listening on http://");
    let status = |request: &str| server.ask(request)["HTTP/1.1 ".len()..][..3].to_string();
    let (longest, longer) = ("n".repeat(100), "n".repeat(101));
    for path in ["/lines", "/socket", "/people"] {
        assert_eq!(status(&get(&format!("{path}?room={longer}&name=n"), "")), "400");
    }
    assert_eq!(status(&get(&format!("/lines?room=r&name={longer}"), "")), "400");
    let mut guests: Vec<_> =
        (0..99).map(|n| web_socket(&server, &format!("/socket?room={n}&name=n"))).collect();
    guests.push(web_socket(&server, &format!("/socket?room={longest}&name={longest}")));
    assert_eq!(status(&get("/lines?room=another&name=n", "")), "503");
    assert_eq!(status(&get("/socket?room=another&name=n", "")), "503");
    assert!(server.ask(&post("/lines?room=another&name=n", b"hi")).starts_with("HTTP/1.1 503 "));
    // Who looks at a room needs none, and those that there are can be entered.
    assert!(server.ask(&get("/people?room=another", "")).ends_with("\r\n\r\n[]"));
    assert_eq!(status(&get("/nothing?room=another&name=n", "")), "404");
    assert_eq!(status(&get("/lines?room=0&name=m", "")), "200");
    // A room that nobody is in any more makes place.
    let mut last = guests.pop().unwrap();
    last.write_all(&ws_support::frame(ws_support::FIN | ws_support::CLOSE, &[3, 232])).unwrap();
    ws_support::frames(&mut last);
    assert_eq!(status(&get("/lines?room=another&name=n", "")), "200");
}

/// A proxy in front of an upstream server.
fn reverse_proxy(upstream: &str, more: &[&str]) -> Server {
    let arguments = [&["--port", "0", "--upstream", upstream], more].concat();
    Server::start("reverse_proxy", &arguments, "listening on http://")
}

#[test]
fn reverse_proxy_passes_requests_on_and_streams_bodies() {
    let upstream = http_server();
    let proxy = reverse_proxy(&upstream.address, &[]);
    for _ in 0..3 {
        let answer = proxy.ask("GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n");
        assert!(
            answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nHello, World!"),
            "{answer}"
        );
    }
    let answer = proxy.ask("HEAD / HTTP/1.1\r\nConnection: close\r\n\r\n").to_lowercase();
    assert!(answer.contains("\r\ncontent-length: 13\r\n") && answer.ends_with("\r\n\r\n"), "{answer}");
    // Nobody knows how long this one would be.
    let answer = proxy.ask("HEAD /hello HTTP/1.1\r\nConnection: close\r\n\r\n").to_lowercase();
    assert!(answer.starts_with("http/1.1 200 ") && answer.ends_with("\r\n\r\n"), "{answer}");
    assert!(!answer.contains("\r\ncontent-length:"), "{answer}");
    let answer = proxy.ask("GET /hello HTTP/1.1\r\nConnection: close\r\n\r\n");
    assert!(answer.ends_with("\r\n\r\n5\r\nHello\r\n5\r\nWorld\r\n0\r\n\r\n"), "{answer}");
    let big = "wxyz".repeat(300_000);
    for framing in [
        format!("Content-Length: {}\r\n\r\n{big}", big.len()),
        format!("Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{big}\r\n0\r\n\r\n", big.len()),
    ] {
        let answer = proxy.ask(&format!("POST /echo HTTP/1.1\r\nConnection: close\r\n{framing}"));
        assert!(answer.split_once("\r\n\r\n").expect("a body").1 == big);
    }
    assert!(proxy.ask("GET /no HTTP/1.1\r\nConnection: close\r\n\r\n").starts_with("HTTP/1.1 404 "));
}

/// An upstream server that gives `answers`, one a connection, and says what it was asked.
fn scripted(answers: Vec<&'static str>) -> (String, std::sync::mpsc::Receiver<String>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (sender, asked) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for answer in answers {
            let (mut socket, _) = listener.accept().unwrap();
            let (mut request, mut byte) = (Vec::new(), [0]);
            while !request.ends_with(b"\r\n\r\n") && socket.read(&mut byte).unwrap() == 1 {
                request.push(byte[0]);
            }
            sender.send(String::from_utf8(request).unwrap()).unwrap();
            socket.write_all(answer.as_bytes()).unwrap();
        }
    });
    (address, asked)
}

#[test]
fn reverse_proxy_keeps_what_concerns_one_connection_on_it() {
    let (address, asked) = scripted(vec![
        "HTTP/1.1 200 OK\r\nConnection: close, X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 5\r\nX-End: 2\r\nContent-Length: 2\r\n\r\nok",
    ]);
    let proxy = reverse_proxy(&address, &[]);
    let answer = proxy.ask(
        "GET /a%20b?c=d HTTP/1.1\r\nHost: shop.example\r\nX-Forwarded-For: 10.0.0.1\r\nX-Forwarded-For: 10.0.0.2\r\nVia: 1.0 a\r\nConnection: close, X-Mine\r\nX-Mine: 3\r\n\
         TE: trailers\r\nProxy-Authorization: secret\r\nCookie: a=b\r\n\r\n",
    );
    let answer = answer.to_lowercase();
    assert!(answer.starts_with("http/1.1 200 ok\r\n") && answer.ends_with("\r\n\r\nok"), "{answer}");
    assert!(answer.contains("\r\nx-end: 2\r\n"), "{answer}");
    assert!(!answer.contains("x-hop") && !answer.contains("keep-alive"), "{answer}");
    let request = asked.recv().unwrap().to_lowercase();
    assert!(request.starts_with("get /a%20b?c=d http/1.1\r\n"), "{request}");
    for line in [
        "host: shop.example",
        "x-forwarded-for: 10.0.0.1, 10.0.0.2, 127.0.0.1",
        "via: 1.0 a, 1.1 greenloop",
        "cookie: a=b",
        "connection: keep-alive",
    ] {
        assert!(request.contains(&format!("\r\n{line}\r\n")), "{line}: {request}");
    }
    for name in ["x-mine", "te:", "proxy-authorization", "content-length"] {
        assert!(!request.contains(&format!("\r\n{name}")), "{name}: {request}");
    }
}

#[test]
fn reverse_proxy_passes_an_answer_on_that_comes_before_the_end_of_the_upload() {
    let (address, _asked) =
        scripted(vec!["HTTP/1.1 413 Payload Too Large\r\nContent-Length: 8\r\n\r\ntoo much"; 3]);
    let proxy = reverse_proxy(&address, &[]);
    for head in ["Content-Length: 100", "Content-Length: 1000000", "Transfer-Encoding: chunked"] {
        // The client sends no more before it knows.
        let mut client = proxy.connect();
        client.write_all(format!("POST / HTTP/1.1\r\n{head}\r\n\r\n5\r\npa").as_bytes()).unwrap();
        let (mut answer, mut byte) = (Vec::new(), [0]);
        while !answer.ends_with(b"too much") && client.read(&mut byte).unwrap() == 1 {
            answer.push(byte[0]);
        }
        assert!(answer.starts_with(b"HTTP/1.1 413 "), "{head}: {}", String::from_utf8_lossy(&answer));
    }
}

/// An upstream server whose answer is `head`, and then what comes behind the head of the request, as it comes; then it says so.
fn echoing(head: &'static str) -> (String, std::sync::mpsc::Receiver<()>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (sender, over) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for mut socket in listener.incoming().flatten() {
            until(&mut socket, "\r\n\r\n");
            socket.write_all(head.as_bytes()).unwrap();
            let mut back = socket.try_clone().unwrap();
            let _ = std::io::copy(&mut socket, &mut back);
            sender.send(()).unwrap();
        }
    });
    (address, over)
}

/// What comes until it ends so.
fn until(client: &mut TcpStream, end: &str) -> String {
    let (mut text, mut byte) = (Vec::new(), [0]);
    while !text.ends_with(end.as_bytes()) {
        let count = client.read(&mut byte).unwrap();
        assert_eq!(count, 1, "the end came after {:?}", String::from_utf8_lossy(&text));
        text.push(byte[0]);
    }
    String::from_utf8(text).unwrap()
}

#[test]
fn reverse_proxy_streams_in_both_directions_at_once() {
    let (address, _over) = echoing("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    let proxy = reverse_proxy(&address, &[]);
    let mut client = proxy.connect();
    client.write_all(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
    for word in ["one", "two", "three"] {
        // The next one is sent when this one has been there and back.
        let chunk = format!("{:x}\r\n{word}\r\n", word.len());
        client.write_all(chunk.as_bytes()).unwrap();
        until(&mut client, &chunk);
    }
    client.write_all(b"0\r\n\r\n").unwrap();
    let mut end = String::new();
    client.read_to_string(&mut end).unwrap();
    assert_eq!(end, "0\r\n\r\n");
}

#[test]
fn reverse_proxy_ends_an_upload_with_the_answer_or_with_the_client() {
    let (address, over) = echoing("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
    let proxy = reverse_proxy(&address, &[]);
    let begin = |body: &str| {
        let mut client = proxy.connect();
        client.write_all(format!("POST / HTTP/1.1\r\nContent-Length: 100\r\n\r\n{body}").as_bytes()).unwrap();
        client
    };
    let mut client = begin("hello and what is not waited for");
    let answer = until(&mut client, "\r\n\r\nhello");
    assert!(answer.contains("onnection: close\r\n"), "{answer}");
    over.recv_timeout(Duration::from_secs(20)).expect("the upstream server sees the end");
    assert_eq!(client.read(&mut [0]).unwrap(), 0);
    // A client that vanishes half-way.
    let mut client = begin("hel");
    until(&mut client, "\r\n\r\nhel");
    drop(client);
    over.recv_timeout(Duration::from_secs(20)).expect("the upstream server sees the end");
}

#[test]
fn reverse_proxy_says_504_for_an_upload_that_is_not_taken() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = reverse_proxy(&listener.local_addr().unwrap().to_string(), &["--patience", "0.1"]);
    let mut client = proxy.connect();
    // More than the buffers on the way to the upstream server hold.
    client.write_all(format!("POST / HTTP/1.1\r\nContent-Length: {}\r\n\r\n", 15 << 20).as_bytes()).unwrap();
    let mut sender = client.try_clone().unwrap();
    std::thread::spawn(move || while sender.write_all(&[0; 1 << 16]).is_ok() {});
    let mut line = [0; 13];
    client.read_exact(&mut line).unwrap();
    assert_eq!(&line, b"HTTP/1.1 504 ");
}

#[test]
fn reverse_proxy_says_502_and_504() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let ask = |proxy: &Server| proxy.ask("GET / HTTP/1.1\r\nConnection: close\r\n\r\n");
    assert!(ask(&reverse_proxy(&free, &[])).starts_with("HTTP/1.1 502 "));
    for nonsense in [
        "rubbish\r\n\r\n",
        "",
        "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx",
        "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: br\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "HTTP/1.1 101 Switching Protocols\r\n\r\n",
    ] {
        let (address, _asked) = scripted(vec![nonsense]);
        let answer = ask(&reverse_proxy(&address, &[]));
        assert!(answer.starts_with("HTTP/1.1 502 "), "{nonsense}: {answer}");
    }
    let (address, _asked) = scripted(vec!["HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"]);
    let answer = reverse_proxy(&address, &[]).ask("HEAD / HTTP/1.1\r\nConnection: close\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
    // A body that ends early is not passed on as a whole one.
    let (address, _asked) =
        scripted(vec!["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"]);
    let answer = ask(&reverse_proxy(&address, &[]));
    assert!(answer.contains("hello") && !answer.ends_with("0\r\n\r\n"), "{answer}");
    // Interim answers are not for the client.
    let (address, _asked) =
        scripted(vec!["HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"]);
    assert!(ask(&reverse_proxy(&address, &[])).ends_with("\r\n\r\nok"));
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = reverse_proxy(&silent.local_addr().unwrap().to_string(), &["--patience", "0.1"]);
    assert!(ask(&proxy).starts_with("HTTP/1.1 504 "));
}

#[test]
fn reverse_proxy_passes_on_what_has_no_content_without_any() {
    for (upstream, length) in [
        ("HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n", None),
        ("HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", None),
        ("HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n", Some("0")),
        ("HTTP/1.1 205 Reset Content\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", Some("0")),
        ("HTTP/1.1 205 Reset Content\r\nContent-Length: 5\r\n\r\nhello", Some("0")),
        ("HTTP/1.1 205 Reset Content\r\n\r\n", Some("0")),
    ] {
        for method in ["GET", "HEAD"] {
            let (address, _asked) = scripted(vec![upstream]);
            let answer = reverse_proxy(&address, &[])
                .ask(&format!("{method} / HTTP/1.1\r\nConnection: close\r\n\r\n"));
            assert!(answer.starts_with(&upstream[.."HTTP/1.1 204 ".len()]), "{upstream}: {answer}");
            assert!(answer.ends_with("\r\n\r\n"), "{upstream}: {answer}");
            let answer = answer.to_lowercase();
            let seen = answer.lines().find_map(|line| line.strip_prefix("content-length: "));
            assert_eq!(seen, length, "{upstream}: {answer}");
        }
    }
}

#[test]
fn reverse_proxy_understands_every_form_of_a_target() {
    let forms = [
        ("GET http://a/ HTTP/1.1\r\nHost: b", "GET / HTTP/1.1", "a"),
        ("GET http://a:81?c=d/e HTTP/1.1\r\nHost: b", "GET /?c=d/e HTTP/1.1", "a:81"),
        ("GET HTTP://a HTTP/1.1", "GET / HTTP/1.1", "a"),
        ("GET /go?to=http://a/ HTTP/1.1\r\nHost: b", "GET /go?to=http://a/ HTTP/1.1", "b"),
        ("OPTIONS http://a HTTP/1.1\r\nHost: b", "OPTIONS * HTTP/1.1", "a"),
        ("OPTIONS http://a?c HTTP/1.1\r\nHost: b", "OPTIONS /?c HTTP/1.1", "a"),
        ("OPTIONS http://a/ HTTP/1.1\r\nHost: b", "OPTIONS / HTTP/1.1", "a"),
        ("OPTIONS * HTTP/1.1\r\nHost: b", "OPTIONS * HTTP/1.1", "b"),
    ];
    let ok = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok";
    let (address, asked) = scripted(vec![ok; forms.len() + 1]);
    let proxy = reverse_proxy(&address, &[]);
    for (head, line, host) in forms {
        let answer = proxy.ask(&format!("{head}\r\nConnection: close\r\n\r\n"));
        assert!(answer.ends_with("\r\n\r\nok"), "{head}: {answer}");
        let request = asked.recv().unwrap();
        assert!(request.starts_with(&format!("{line}\r\n")), "{head}: {request}");
        let hosts: Vec<_> = request.lines().filter_map(|line| line.strip_prefix("host: ")).collect();
        assert_eq!(hosts, [host], "{head}: {request}");
    }
    // It makes no tunnels, and does not let the upstream server believe that it does.
    let answer = proxy.ask("CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 501 "), "{answer}");
    assert!(asked.try_recv().is_err());
}

#[cfg(feature = "websocket")]
#[test]
fn reverse_proxy_lets_websockets_through() {
    let upstream = Server::start("websocket_echo", &["--port", "0"], "listening on http://");
    let proxy = reverse_proxy(&upstream.address, &[]);
    let mut socket = web_socket(&proxy, "/websocket");
    for text in ["through", "and back"] {
        say(&mut socket, text);
        assert_eq!(hear(&mut socket), text);
    }
    socket.write_all(&ws_support::frame(ws_support::FIN | ws_support::CLOSE, &[3, 232])).unwrap();
    assert_eq!(
        ws_support::read_frame(&mut socket),
        Some((ws_support::FIN | ws_support::CLOSE, vec![3, 232]))
    );
    assert_eq!(ws_support::read_frame(&mut socket), None);
}

fn http_server() -> Server {
    Server::start("http_server", &["--port", "0"], "listening on http://")
}

#[test]
fn http_server_says_hello_and_not_found() {
    let server = http_server();
    let answer = server.ask("GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n");
    assert!(
        answer.starts_with("HTTP/1.1 200 OK\r\n") && answer.ends_with("\r\n\r\nHello, World!"),
        "{answer}"
    );
    let answer = server.ask("GET /nowhere HTTP/1.1\r\nConnection: close\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 404 Not Found\r\n"), "{answer}");
    let answer = server.ask("POST /echo HTTP/1.1\r\nContent-Length: 4\r\nConnection: close\r\n\r\nwxyz");
    assert!(answer.ends_with("\r\n\r\nwxyz"), "{answer}");
    let answer = server.ask("GET /echo HTTP/1.1\r\nConnection: close\r\n\r\n");
    assert!(answer.starts_with("HTTP/1.1 405 "), "{answer}");
}

#[test]
fn http_server_knows_names_and_writes_an_access_log() {
    let mut command = Command::new(program("http_server"));
    command.args(["--port", "0", "--access-log"]).stderr(Stdio::piped());
    let mut server = Server::spawn(&mut command, "listening on http://");
    let answer = server.ask("GET /hello/big%20world HTTP/1.1\r\nConnection: close\r\n\r\n");
    assert!(answer.ends_with("\r\n\r\nHello, big world!\n"), "{answer}");
    let mut errors = BufReader::new(server.child.stderr.take().expect("piped"));
    let logged = line(&mut errors);
    assert!(logged.starts_with("127.0.0.1 - - ["), "{logged}");
    assert!(logged.ends_with("] \"GET /hello/big%20world HTTP/1.1\" 200 18"), "{logged}");
}

#[test]
fn http_server_streams_hello_world_with_a_pause() {
    let server = http_server();
    let start = Instant::now();
    let answer = server.ask("GET /hello HTTP/1.1\r\nConnection: close\r\n\r\n");
    assert!(start.elapsed() >= Duration::from_millis(100));
    assert!(answer.to_lowercase().contains("\r\nx-paul: pbrian\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\n5\r\nHello\r\n5\r\nWorld\r\n0\r\n\r\n"), "{answer}");
}

#[test]
fn http_server_finishes_what_it_has_begun_when_it_is_terminated() {
    let mut server = http_server();
    let mut idle = server.connect();
    idle.write_all(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n").unwrap();
    assert!(idle.read(&mut [0; 1024]).unwrap() > 0);
    let mut busy = server.connect();
    busy.write_all(b"GET /hello HTTP/1.1\r\nHost: here\r\n\r\n").unwrap();
    let mut answer = vec![0; 1024];
    let begun = busy.read(&mut answer).unwrap();
    answer.truncate(begun);
    server.signal();
    busy.read_to_end(&mut answer).unwrap();
    assert!(answer.ends_with(b"5\r\nWorld\r\n0\r\n\r\n"), "{}", String::from_utf8_lossy(&answer));
    assert_eq!(idle.read(&mut [0; 1]).unwrap(), 0);
    assert_eq!(server.end().code(), Some(0));
}

#[test]
fn http_server_streams_start_middle_end_as_they_come() {
    let server = http_server();
    let start = Instant::now();
    let mut socket = server.connect();
    socket.write_all(b"GET /stream HTTP/1.1\r\nConnection: close\r\n\r\n").unwrap();
    let (mut seen, mut buffer) = (String::new(), [0; 1024]);
    for (word, due) in [("START", 0), ("MIDDLE", 3), ("END", 8)] {
        while !seen.contains(word) {
            let count = socket.read(&mut buffer).unwrap();
            assert!(count > 0, "the stream ended before {word}: {seen}");
            seen.push_str(std::str::from_utf8(&buffer[..count]).unwrap());
        }
        let at = start.elapsed();
        assert!(
            at >= Duration::from_secs(due) && at < Duration::from_secs(due + 2),
            "{word} came after {at:?}"
        );
    }
}

#[test]
fn http_server_explains_wrong_arguments() {
    for (arguments, text) in [
        (&["--port", "many"][..], "--port needs a number"),
        (&["--colour"][..], "unknown argument `--colour`"),
        (&["--bind"][..], "--bind needs a value"),
        (&["--bind", "256.0.0.1"][..], "256.0.0.1"),
    ] {
        let output = Command::new(program("http_server")).args(arguments).output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && errors.contains(text), "{arguments:?}: {errors}");
    }
}

#[test]
fn http_server_names_the_port_that_is_in_use() {
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = other.local_addr().unwrap().port().to_string();
    let output = Command::new(program("http_server")).args(["--port", &port]).output().unwrap();
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(
        !output.status.success() && errors.contains(&format!("cannot listen on 127.0.0.1:{port}")),
        "{errors}"
    );
}

/// A line that must come, without its end.
fn line(reader: &mut impl BufRead) -> String {
    let mut line = String::new();
    reader.read_line(&mut line).expect("a line in time");
    line.trim_end().to_string()
}

/// Somebody who chats: reads with a limit, so that a line that does not come fails the test.
struct Chatter(BufReader<TcpStream>);

impl Chatter {
    fn enter(server: &Server, name: &str) -> Chatter {
        let socket = server.connect();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut chatter = Chatter(BufReader::new(socket));
        chatter.hears("* your name?");
        chatter.says(name);
        chatter
    }

    fn says(&mut self, text: &str) {
        writeln!(self.0.get_mut(), "{text}").unwrap();
    }

    #[track_caller]
    fn hears(&mut self, expected: &str) {
        assert_eq!(line(&mut self.0), expected);
    }
}

#[test]
fn chat_has_rooms_and_knows_who_is_in_them() {
    let server = Server::start("chat", &["127.0.0.1:0"], "listening on ");
    let mut anna = Chatter::enter(&server, "anna");
    anna.hears("* in lobby: anna");
    let mut ben = Chatter::enter(&server, "anna");
    ben.hears("* that name is taken, another one?");
    ben.says("ben");
    ben.hears("* in lobby: anna, ben");
    anna.hears("* ben has come");
    ben.says("hello");
    anna.hears("ben: hello");
    let mut carl = Chatter::enter(&server, "carl");
    carl.hears("* in lobby: anna, ben, carl");
    anna.hears("* carl has come");
    ben.hears("* carl has come");
    // Another room.
    ben.says("/join garden");
    ben.hears("* in garden: ben");
    anna.hears("* ben goes to garden");
    carl.hears("* ben goes to garden");
    ben.says("is anybody here?");
    anna.says("just us");
    carl.hears("anna: just us");
    carl.says("/join garden");
    carl.hears("* in garden: ben, carl");
    anna.hears("* carl goes to garden");
    ben.hears("* carl has come");
    carl.says("/dance");
    carl.hears("* there are /join ROOM, /who and /quit");
    // Who leaves, in whatever way, is gone.
    ben.says("/quit");
    carl.hears("* ben has left");
    let mut rest = String::new();
    assert_eq!(ben.0.read_to_string(&mut rest).unwrap(), 0);
    carl.says("/who");
    carl.hears("* in garden: carl");
    anna.says("/join garden");
    anna.hears("* in garden: anna, carl");
    drop(carl);
    anna.hears("* carl has left");
}

// SV26
#[test]
fn udp_client_and_udp_server_talk() {
    for host in ["127.0.0.1", "[::1]"] {
        let mut server = Server::start("udp_server", &[&format!("{host}:0")], "receiving datagrams at ");
        let address = server.address.clone();
        let output =
            Command::new(program("udp_client")).args(["--to", &address, "Hello", "there"]).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success());
        assert_eq!(text, format!("sending 11 bytes to {address}\n{address}: got \"Received 11 bytes\"\n"));
        let mut stdout = BufReader::new(server.child.stdout.take().expect("piped"));
        let line = line(&mut stdout);
        assert!(line.starts_with(host) && line.ends_with(": got \"Hello there\""), "{line}");
    }
}

#[cfg(feature = "tls")]
#[test]
fn https_server_says_hello_to_those_who_trust_it() {
    use greenloop::tls::{ClientConfig, Roots};
    let made = rcgen::generate_simple_self_signed(["localhost".to_string()]).unwrap();
    let path = |name: &str| std::env::temp_dir().join(format!("greenloop-{name}-{}.pem", std::process::id()));
    let (certificate, key) = (path("cert"), path("key"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let files = [certificate.to_str().unwrap(), key.to_str().unwrap()];
    let arguments = ["--port", "0", "--cert", files[0], "--key", files[1]];
    let server = Server::start("https_server", &arguments, "listening on https://");
    let client = ClientConfig::builder().roots(Roots::from_file(&certificate).unwrap()).build().unwrap();
    let socket = greenloop::net::TcpStream::connect(server.address.as_str()).unwrap();
    let mut stream = client.connect("localhost", socket).unwrap();
    stream.write_all(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n").unwrap();
    let answer = std::io::read_to_string(&mut stream).unwrap();
    assert!(answer.ends_with("\r\n\r\nHello, World!"), "{answer}");
    for file in files {
        std::fs::remove_file(file).unwrap();
    }
    // Its own certificate is trusted by nobody.
    let server = Server::start("https_server", &["--port", "0"], "listening on https://");
    let socket = greenloop::net::TcpStream::connect(server.address.as_str()).unwrap();
    assert!(client.connect("localhost", socket).is_err());
    let output = Command::new(program("https_server")).args(["--key", "nowhere.pem"]).output().unwrap();
    assert!(String::from_utf8(output.stderr).unwrap().contains("--cert and --key belong together"));
}

/// Answers whatever comes in capitals, on threads of its own, which end with the process.
fn shouting_target() -> std::net::SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut socket in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut buffer = [0; 1000];
                while let Ok(count) = socket.read(&mut buffer)
                    && count > 0
                {
                    socket.write_all(&buffer[..count].to_ascii_uppercase()).unwrap();
                }
            });
        }
    });
    address
}

/// The port forwarder with connections to a target behind it.
fn port_forwarder(connections: usize) -> (Server, Vec<Chatter>) {
    let server =
        Server::start("port_forwarder", &["127.0.0.1:0", &shouting_target().to_string()], "listening on ");
    let clients = (0..connections).map(|n| {
        let socket = server.connect();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut client = Chatter(BufReader::new(socket));
        client.says(&format!("hello {n}"));
        client.hears(&format!("HELLO {n}"));
        client
    });
    let clients = clients.collect();
    (server, clients)
}

impl Server {
    /// Sends it SIGTERM, and waits until it says what is left and refuses connections.
    fn terminate(&mut self) -> String {
        self.signal();
        let said = line(&mut BufReader::new(self.child.stdout.as_mut().expect("piped")));
        let start = Instant::now();
        while TcpStream::connect(&self.address).is_ok() {
            assert!(start.elapsed() < Duration::from_secs(20), "it still listens");
            std::thread::yield_now();
        }
        said
    }

    fn signal(&self) {
        // SAFETY: no memory is involved.
        assert_eq!(unsafe { libc::kill(self.child.id() as libc::pid_t, libc::SIGTERM) }, 0);
    }

    /// Waits for its end.
    fn end(&mut self) -> std::process::ExitStatus {
        let start = Instant::now();
        loop {
            match self.child.try_wait().unwrap() {
                Some(status) => return status,
                None => assert!(start.elapsed() < Duration::from_secs(20), "it does not end"),
            }
            std::thread::yield_now();
        }
    }
}

// SV25
#[test]
fn echo_server_echoes_until_quit_and_stops_on_a_signal() {
    let mut server = Server::start("echo_server", &["127.0.0.1:0"], "listening on ");
    let mut client = Chatter(BufReader::new(server.connect()));
    client.hears("Welcome to the echo server! Type quit to exit.");
    client.says("hello");
    client.hears("hello");
    let mut other = Chatter(BufReader::new(server.connect()));
    other.hears("Welcome to the echo server! Type quit to exit.");
    other.says("QUIT");
    other.hears("Bye.");
    assert_eq!(other.0.read(&mut [0; 1]).unwrap(), 0);
    assert_eq!(server.terminate(), "SIGTERM: no more clients, 1 left");
    client.says("quit");
    client.hears("Bye.");
    assert_eq!(server.end().code(), Some(0));
}

#[test]
fn port_forwarder_lets_live_connections_finish_when_it_is_terminated() {
    let (mut server, mut clients) = port_forwarder(2);
    assert_eq!(server.terminate(), "SIGTERM: no more connections, 2 left");
    // Those that were there go on.
    for client in &mut clients {
        client.says("still here?");
        client.hears("STILL HERE?");
    }
    assert!(server.child.try_wait().unwrap().is_none());
    // One end is passed on, and the other comes back.
    let last = clients.pop().unwrap();
    last.0.get_ref().shutdown(std::net::Shutdown::Write).unwrap();
    let mut rest = String::new();
    assert_eq!({ last.0 }.read_to_string(&mut rest).unwrap(), 0);
    assert!(server.child.try_wait().unwrap().is_none());
    drop(clients);
    assert_eq!(server.end().code(), Some(0));
}

#[test]
fn port_forwarder_without_connections_ends_at_once_and_with_some_at_the_second_signal() {
    let (mut server, _) = port_forwarder(0);
    assert_eq!(server.terminate(), "SIGTERM: no more connections, 0 left");
    assert_eq!(server.end().code(), Some(0));

    let (mut server, mut clients) = port_forwarder(2);
    assert_eq!(server.terminate(), "SIGTERM: no more connections, 2 left");
    clients[0].says("still here?");
    clients[0].hears("STILL HERE?");
    server.signal();
    assert_eq!(server.end().code(), Some(0));
    for mut client in clients {
        let mut rest = String::new();
        let end = client.0.read_to_string(&mut rest);
        assert!(matches!(end, Ok(0)) || end.is_err_and(|e| e.kind() == std::io::ErrorKind::ConnectionReset));
    }
}

fn get(path: &str, fields: &str) -> String {
    format!("GET {path} HTTP/1.1\r\n{fields}Connection: close\r\n\r\n")
}

#[test]
fn static_files_serves_a_folder() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/examples");
    let server = Server::start("static_files", &[folder, "--port", "0"], "listening on http://");
    let answer = server.ask(&get("/numbers.txt", ""));
    assert!(answer.contains("\r\ncontent-type: text/plain; charset=utf-8\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\nzero\none\ntwo\nthree\nfour\nfive\n"), "{answer}");
    let answer = server.ask(&get("/numbers.txt", "Range: bytes=5-7\r\n"));
    assert!(answer.starts_with("HTTP/1.1 206 ") && answer.ends_with("\r\n\r\none"), "{answer}");
    let answer = server.ask(&get("/../Cargo.toml", ""));
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    let output = Command::new(program("static_files")).arg("/nothing/here").output().unwrap();
    assert!(String::from_utf8(output.stderr).unwrap().contains("/nothing/here"));
}

#[test]
fn bottle_primer_streams_and_fetches() {
    let server = Server::start("bottle_primer", &["--port", "0", "--second", "0.02"], "listening on http://");
    let answer = server.ask(&get("/stream", ""));
    assert!(answer.ends_with("\r\n\r\n5\r\nSTART\r\n6\r\nMIDDLE\r\n3\r\nEND\r\n0\r\n\r\n"), "{answer}");
    let answer = server.ask(&get("/fetch", ""));
    let chunks = "9\r\nresult 1\n\r\n9\r\nresult 2\n\r\n9\r\nresult 3\n\r\n0\r\n\r\n";
    assert!(answer.ends_with(&format!("\r\n\r\n{chunks}")), "{answer}");
    assert!(server.ask(&get("/nothing", "")).starts_with("HTTP/1.1 404 "));
}

#[test]
fn delayed_log_answers_first_and_logs_later() {
    let mut server = Server::start("delayed_log", &["--port", "0", "--delay", "0.5"], "listening on http://");
    let stdout = server.child.stdout.take().expect("piped");
    let start = Instant::now();
    assert!(server.ask(&get("/", "")).ends_with("\r\n\r\nhello"));
    let answered = start.elapsed();
    let lines: Vec<_> = BufReader::new(stdout).lines().take(6).map(Result::unwrap).collect();
    assert_eq!(lines, ["0:zero", "1:one", "2:two", "3:three", "4:four", "5:five"]);
    assert!(start.elapsed() >= Duration::from_millis(500), "the log came before its time");
    assert!(answered < start.elapsed(), "the answer waited for the log");
    // Nobody waits for a log that is still to come.
    let start = Instant::now();
    let server = Server::start("delayed_log", &["--port", "0", "--delay", "60"], "listening on http://");
    for _ in 0..3 {
        assert!(server.ask(&get("/", "")).ends_with("\r\n\r\nhello"));
    }
    assert!(start.elapsed() < Duration::from_secs(30));
}
