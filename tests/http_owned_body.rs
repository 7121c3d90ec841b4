//! The body of a request that is read while the answer is sent, over real sockets: gevent's `wsgi.input` can be read as late as that.
#![cfg(feature = "http")]

mod net_support;

use std::cell::RefCell;
use std::io::{self, BufRead, ErrorKind, Read, Write};
use std::rc::Rc;
use std::time::Duration;

use greenloop::event::{AsyncResult, Event};
use greenloop::http::{self, Body, Handler, Limits, OwnedBody, Request, Response, RunningServer, Server};
use greenloop::net::TcpStream;
use greenloop::testing::virtual_time;
use greenloop::{sleep, spawn};
use net_support::{LONG, PROMPT, SHORT, ms};

const CHUNKED: &str = "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n";
const LAST: &str = "GET /last HTTP/1.1\r\nConnection: close\r\n\r\n";

type Reports = Rc<RefCell<Vec<String>>>;

/// A server, a client of it, and what the server reports.
fn pair(limits: Limits, handler: impl Handler + 'static) -> (RunningServer, TcpStream, Reports) {
    let reports = Reports::default();
    let sink = reports.clone();
    let server = Server::bind("127.0.0.1:0").unwrap().limits(limits);
    let server =
        server.on_error(move |line| sink.borrow_mut().push(line.to_string())).start(handler).unwrap();
    let client = TcpStream::connect(server.local_addr().unwrap()).unwrap();
    client.set_read_timeout(Some(PROMPT)).unwrap();
    client.set_nodelay(true).unwrap();
    (server, client, reports)
}

fn send(mut client: &TcpStream, text: &str) {
    client.write_all(text.as_bytes()).unwrap();
}

/// What comes until it ends so.
fn until(mut client: &TcpStream, end: &str) -> String {
    let mut text = Vec::new();
    while !text.ends_with(end.as_bytes()) {
        let mut byte = [0];
        let count = client.read(&mut byte).unwrap();
        assert_eq!(count, 1, "the end came after {:?}", String::from_utf8_lossy(&text));
        text.push(byte[0]);
    }
    String::from_utf8(text).unwrap()
}

fn all(mut client: &TcpStream) -> String {
    let mut text = String::new();
    client.read_to_string(&mut text).unwrap();
    text
}

fn echo(request: &mut Request<'_>) -> http::Result<Body> {
    Ok(Body::reader(request.take_body()?))
}

/// Reads the body to its end, however it comes; `/last` asks for no more than its name.
fn swallow(request: &mut Request<'_>) -> http::Result<String> {
    let mut text = request.path().to_string();
    request.take_body()?.read_to_string(&mut text)?;
    Ok(text)
}

/// Hands the body to a greenlet, and answers at once.
fn hand_on(to: AsyncResult<Rc<RefCell<Option<OwnedBody>>>>) -> impl Handler {
    move |request: &mut Request<'_>| {
        to.set(Rc::new(RefCell::new(Some(request.take_body()?)))).unwrap();
        Ok("answered")
    }
}

#[test]
fn each_piece_comes_back_before_the_next_is_sent() {
    let (server, client, _) = pair(Limits::default(), echo);
    send(&client, CHUNKED);
    for word in ["one", "two", "three"] {
        let chunk = format!("{:x}\r\n{word}\r\n", word.len());
        send(&client, &chunk);
        until(&client, &chunk);
    }
    send(&client, "0\r\n\r\n");
    assert_eq!(all(&client), "0\r\n\r\n");
    server.stop(LONG);
}

#[test]
fn a_megabyte_goes_through_in_both_directions_at_once() {
    let (server, client, _) = pair(Limits::default(), echo);
    let data: Vec<u8> = (0..1_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    send(&client, &format!("POST / HTTP/1.0\r\nContent-Length: {}\r\n\r\n", data.len()));
    let sender = spawn({
        let (client, data) = (client.try_clone().unwrap(), data.clone());
        move || (&client).write_all(&data).unwrap()
    });
    until(&client, "\r\n\r\n");
    let mut back = Vec::new();
    (&client).read_to_end(&mut back).unwrap();
    sender.join().unwrap();
    assert!(back == data);
    server.stop(LONG);
}

#[test]
fn a_body_that_is_back_when_the_answer_begins_keeps_the_connection_wherever_the_input_is_cut() {
    let input = [
        "POST /a HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello",
        "POST /b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\nX-Sum: 7\r\n\r\n",
        "GET /c HTTP/1.1\r\n\r\n",
        LAST,
    ]
    .concat();
    for cut in 0..input.len() {
        let (first, second) = input.split_at(cut);
        let text = virtual_time(|| {
            let (server, client, reports) = pair(Limits::default(), swallow);
            send(&client, first);
            sleep(ms(1));
            send(&client, second);
            let text = all(&client);
            assert!(reports.borrow().is_empty());
            server.stop(LONG);
            text
        });
        let answers: Vec<_> = text.split("HTTP/1.1 200 OK\r\n").skip(1).collect();
        let bodies = answers.iter().map(|answer| answer.rsplit("\r\n").next().unwrap());
        assert_eq!(bodies.collect::<Vec<_>>(), ["/ahello", "/bhi", "/c", "/last"], "cut at {cut}");
        assert!(answers[..3].iter().all(|answer| !answer.contains("Connection: close")));
    }
}

#[test]
fn what_is_left_of_a_body_that_came_back_is_skipped() {
    let (server, client, _) = pair(Limits::default(), |request: &mut Request<'_>| {
        request.take_body()?.read_exact(&mut [0; 2])?;
        Ok("two were enough")
    });
    send(&client, "POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello");
    assert!(!until(&client, "\r\n\r\ntwo were enough").contains("Connection"));
    send(&client, "POST / HTTP/1.1\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi");
    assert!(all(&client).ends_with("\r\n\r\ntwo were enough"));
    server.stop(LONG);
}

#[test]
fn an_answer_that_begins_before_the_body_is_back_is_the_last() {
    let (server, client, _) = pair(Limits::default(), echo);
    send(&client, &format!("{CHUNKED}2\r\nhi\r\n0\r\n\r\n{LAST}"));
    let answer = all(&client);
    assert!(answer.contains("\r\nConnection: close\r\n"), "{answer}");
    assert!(answer.ends_with("\r\n\r\n2\r\nhi\r\n0\r\n\r\n"), "{answer}");
    server.stop(LONG);
}

#[test]
fn a_client_that_waits_for_a_go_ahead_gets_it_once_and_before_the_answer() {
    let (server, client, _) = pair(Limits::default(), |request: &mut Request<'_>| {
        let body = request.take_body()?;
        Ok(Body::writer(move |out| {
            out.flush()?; // the answer begins before the body does
            body.lines().try_for_each(|line| out.write_all((line? + "!").as_bytes()))?;
            Ok(())
        }))
    });
    send(&client, "POST / HTTP/1.1\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    let head = until(&client, "\r\n\r\nHTTP/1.1 200 OK\r\n");
    assert_eq!(head, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n");
    send(&client, "hey");
    assert!(all(&client).ends_with("\r\n\r\n4\r\nhey!\r\n0\r\n\r\n"));
    server.stop(LONG);
}

#[test]
fn answers_to_earlier_requests_leave_before_the_body_is_waited_for() {
    let (server, client, _) = pair(Limits::default(), |request: &mut Request<'_>| match request.path() {
        "/first" => Ok("first".to_string()),
        _ => swallow(request),
    });
    send(&client, "GET /first HTTP/1.1\r\n\r\nPOST /second HTTP/1.1\r\nContent-Length: 1\r\n\r\n");
    until(&client, "\r\n\r\nfirst");
    send(&client, "!");
    until(&client, "\r\n\r\n/second!");
    server.stop(LONG);
}

#[test]
fn whoever_still_reads_when_the_answer_has_ended_has_a_moment_left() {
    let to = AsyncResult::new();
    let (server, client, _) = pair(Limits::new().linger_timeout(ms(50)), hand_on(to.clone()));
    send(&client, &format!("{CHUNKED}2\r\nhi\r\n"));
    let mut body = to.get().take().unwrap();
    // The answer and its end, while the body goes on.
    assert!(all(&client).ends_with("\r\n\r\nanswered"));
    send(&client, "3\r\nyou\r\n");
    let mut five = [0; 5];
    body.read_exact(&mut five).unwrap();
    assert_eq!(&five, b"hiyou");
    // Its time is over, and it is woken.
    let error = body.read(&mut five).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    assert_eq!(body.read(&mut five).unwrap_err().kind(), ErrorKind::UnexpectedEof);
    server.stop(LONG);
}

#[test]
fn a_stop_of_the_server_ends_the_body_that_is_read_elsewhere() {
    let (to, over) = (AsyncResult::new(), Event::new());
    let (server, client, _) = pair(Limits::default(), {
        let (to, over) = (to.clone(), over.clone());
        move |request: &mut Request<'_>| {
            to.set(Rc::new(RefCell::new(Some(request.take_body()?)))).unwrap();
            over.wait();
            Ok("never")
        }
    });
    send(&client, CHUNKED);
    let body: Rc<RefCell<Option<OwnedBody>>> = to.get();
    let mut body = body.take().unwrap();
    let reader = spawn(move || body.read(&mut [0; 8]).unwrap_err().kind());
    greenloop::yield_now();
    server.stop(Duration::ZERO);
    assert_eq!(reader.join().unwrap(), ErrorKind::UnexpectedEof);
}

#[test]
fn a_client_that_vanishes_is_seen_by_the_reader_and_not_reported() {
    let to = AsyncResult::new();
    let (server, client, reports) = pair(Limits::default(), hand_on(to.clone()));
    send(&client, &format!("{CHUNKED}5\r\nhel"));
    let mut body = to.get().take().unwrap();
    body.read_exact(&mut [0; 3]).unwrap();
    drop(client);
    body.read(&mut [0; 3]).unwrap_err();
    drop(body);
    server.stop(LONG);
    assert!(reports.borrow().is_empty(), "{:?}", reports.borrow());
}

#[test]
fn a_malformed_body_is_the_clients_fault_before_the_answer_has_begun_and_behind_it() {
    let (server, client, reports) = pair(Limits::default(), echo);
    send(&client, &format!("{CHUNKED}nonsense\r\n"));
    let answer = all(&client);
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.ends_with("\r\n\r\nmalformed chunk\n"), "{answer}");
    let client = TcpStream::connect(server.local_addr().unwrap()).unwrap();
    send(&client, &format!("{CHUNKED}2\r\nhi\r\nnonsense\r\n"));
    assert!(all(&client).ends_with("\r\n\r\n2\r\nhi\r\n"), "cut off without the last chunk");
    // The same by a function that writes.
    server.stop(LONG);
    let (server, client, more) = pair(Limits::default(), |request: &mut Request<'_>| {
        let mut body = request.take_body()?;
        Ok(Body::writer(move |out| Ok(io::copy(&mut body, out).map(drop)?)))
    });
    send(&client, &format!("{CHUNKED}2\r\nhi\r\nnonsense\r\n"));
    assert!(all(&client).ends_with("\r\n\r\n2\r\nhi\r\n"));
    server.stop(LONG);
    assert!(reports.borrow().is_empty() && more.borrow().is_empty());
}

#[test]
fn a_body_that_is_late_is_answered_with_408() {
    let (server, client, reports) = pair(Limits::new().body_timeout(Some(SHORT)), echo);
    send(&client, CHUNKED);
    assert!(all(&client).starts_with("HTTP/1.1 408 "));
    server.stop(LONG);
    assert!(reports.borrow().is_empty());
}

#[test]
fn a_body_is_taken_once() {
    let (server, client, reports) = pair(Limits::default(), |request: &mut Request<'_>| {
        let _body = request.take_body()?;
        let here = request.body().read(&mut [0; 1]).unwrap_err();
        let again = request.take_body().unwrap_err();
        assert_eq!(here.to_string(), again.to_string());
        Err::<&str, _>(here.into())
    });
    send(&client, "POST / HTTP/1.1\r\nContent-Length: 1\r\n\r\nx");
    assert!(until(&client, "\r\n\r\n").starts_with("HTTP/1.1 500 "));
    server.stop(LONG);
    assert_eq!(
        *reports.borrow(),
        ["POST / HTTP/1.1: the body of this request was taken out of it by `take_body`"]
    );
}

#[test]
fn who_holds_the_body_cannot_give_the_connection_away() {
    let held = Rc::new(RefCell::new(None));
    let (server, client, reports) = pair(Limits::default(), move |request: &mut Request<'_>| {
        *held.borrow_mut() = Some(request.take_body()?);
        Ok(Response::upgrade("echo", |_| Ok(())))
    });
    send(&client, "GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n");
    assert!(until(&client, "\r\n\r\n").starts_with("HTTP/1.1 500 "));
    drop(client);
    server.stop(LONG);
    assert!(reports.borrow()[0].contains("holds the body of the request"), "{:?}", reports.borrow());
}
