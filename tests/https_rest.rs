//! What may come, or not come, while a connection over TLS rests between two requests. Client and server share a hub, and the server
//! goes to rest in the turn in which it answers: whoever has an answer knows that it does.
#![cfg(feature = "http")]

mod net_support;
mod tls_support;

use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};

use greenloop::http::{Limits, Request, RunningServer, Server};
use greenloop::pool::Pool;
use greenloop::server::StreamServer;
use greenloop::tls::rustls::version::{TLS12, TLS13};
use greenloop::{sleep, timeout};
use net_support::{LONG, PROMPT, in_a_child, ms, reset};
use tls_support::Raw;

const REQUEST: &[u8] = b"GET /here HTTP/1.1\r\nHost: h\r\n\r\n";

fn start(server: Server) -> RunningServer {
    server.tls(tls_support::server()).start(|request: &mut Request<'_>| request.path().to_string()).unwrap()
}

fn limited(limits: Limits) -> RunningServer {
    start(Server::bind("127.0.0.1:0").unwrap().limits(limits))
}

fn connect(server: &RunningServer) -> BufReader<Raw> {
    let raw = Raw::connect(server.local_addr().unwrap(), &TLS13);
    raw.socket.set_read_timeout(Some(PROMPT)).unwrap();
    BufReader::new(raw)
}

/// The body of the next answer.
fn answer(client: &mut BufReader<Raw>) -> String {
    let (mut line, mut length) = (String::new(), 0);
    while line != "\r\n" {
        line.clear();
        assert!(client.read_line(&mut line).unwrap() > 0, "the connection has ended");
        length = line.strip_prefix("Content-Length: ").map_or(length, |value| value.trim().parse().unwrap());
    }
    let mut body = vec![0; length];
    client.read_exact(&mut body).unwrap();
    String::from_utf8(body).unwrap()
}

fn ask(client: &mut BufReader<Raw>) {
    client.get_mut().write_all(REQUEST).unwrap();
    assert_eq!(answer(client), "/here");
}

/// Sends bytes as they are.
fn send(client: &mut BufReader<Raw>, bytes: &[u8]) {
    client.get_mut().socket.write_all(bytes).unwrap();
}

/// The end, with a goodbye.
fn assert_ends(client: &mut BufReader<Raw>) {
    assert_eq!(timeout(PROMPT, || client.read(&mut [0; 1])).expect("an end").unwrap(), 0);
}

/// Sends what `piece` gives until the server ends the connection.
fn pester(client: &mut BufReader<Raw>, mut piece: impl FnMut(&mut Raw) -> Option<Vec<u8>>) {
    client.get_ref().socket.set_read_timeout(Some(ms(20))).unwrap();
    loop {
        match client.read(&mut [0; 1]) {
            Ok(count) => return assert_eq!(count, 0),
            Err(error) => assert_eq!(error.kind(), ErrorKind::TimedOut),
        }
        let bytes = piece(client.get_mut()).expect("an end before all was sent");
        // The end may have come by now.
        let _ = client.get_mut().socket.write_all(&bytes);
    }
}

#[test]
fn requests_come_after_a_rest_before_the_first_and_between_them() {
    let server = limited(Limits::default());
    for version in [&TLS12, &TLS13] {
        let mut client = BufReader::new(Raw::connect(server.local_addr().unwrap(), version));
        sleep(ms(5));
        for _ in 0..3 {
            ask(&mut client);
        }
    }
    server.stop(LONG);
}

#[test]
fn several_requests_in_one_record_are_all_answered_before_the_rest() {
    let server = limited(Limits::default());
    let mut client = connect(&server);
    for _ in 0..2 {
        client.get_mut().write_all(&REQUEST.repeat(3)).unwrap();
        for _ in 0..3 {
            assert_eq!(answer(&mut client), "/here");
        }
    }
    server.stop(LONG);
}

// They come with one read of the socket, of which the second part must not be forgotten.
#[test]
fn several_records_at_once_are_all_answered_before_the_rest() {
    let server = limited(Limits::default());
    let mut client = connect(&server);
    ask(&mut client);
    let records: Vec<u8> = (0..200).flat_map(|_| client.get_mut().seal(REQUEST)).collect();
    send(&mut client, &records);
    for _ in 0..200 {
        assert_eq!(answer(&mut client), "/here");
    }
    ask(&mut client);
    server.stop(LONG);
}

#[test]
fn a_request_may_come_in_several_records() {
    let server = limited(Limits::default());
    let mut client = connect(&server);
    ask(&mut client);
    for piece in REQUEST.chunks(7) {
        client.get_mut().write_all(piece).unwrap();
        sleep(ms(2));
    }
    assert_eq!(answer(&mut client), "/here");
    ask(&mut client);
    server.stop(LONG);
}

#[test]
fn a_rest_may_come_in_the_middle_of_a_record() {
    let server = limited(Limits::default());
    let mut client = connect(&server);
    ask(&mut client);
    let record = client.get_mut().seal(REQUEST);
    for piece in record.chunks(record.len() / 4) {
        send(&mut client, piece);
        sleep(ms(2));
    }
    assert_eq!(answer(&mut client), "/here");
    server.stop(LONG);
}

// What is no request does not buy time, and costs none.
#[test]
fn new_keys_are_taken_in_a_rest_whose_time_goes_on() {
    let server = limited(Limits::default().idle_timeout(Some(ms(300))));
    let mut client = connect(&server);
    ask(&mut client);
    client.get_mut().tls.refresh_traffic_keys().unwrap();
    let update = client.get_mut().seal(b"");
    assert!(!update.is_empty());
    send(&mut client, &update);
    ask(&mut client);
    let mut left = 30;
    pester(&mut client, |raw| {
        left -= 1;
        raw.tls.refresh_traffic_keys().unwrap();
        (left > 0).then(|| raw.seal(b""))
    });
    server.stop(LONG);
}

#[test]
fn a_record_byte_by_byte_does_not_prolong_the_rest() {
    let server = limited(Limits::default().idle_timeout(Some(ms(300))).head_timeout(Some(LONG)));
    let mut client = connect(&server);
    ask(&mut client);
    let mut bytes = client.get_mut().seal(&[b'x'; 100]).into_iter();
    pester(&mut client, |_| Some(vec![bytes.next()?]));
    server.stop(LONG);
}

#[test]
fn a_rest_ends_when_its_time_is_over_with_a_goodbye() {
    let server = limited(Limits::default().idle_timeout(Some(ms(20))).head_timeout(Some(LONG)));
    let mut client = connect(&server);
    ask(&mut client);
    assert_ends(&mut client);
    server.stop(LONG);
}

#[test]
fn a_client_that_never_asks_has_the_time_for_a_head() {
    let server = limited(Limits::default().head_timeout(Some(ms(20))).idle_timeout(Some(LONG)));
    assert_ends(&mut connect(&server));
    server.stop(LONG);
}

#[test]
fn a_goodbye_in_a_rest_is_returned() {
    let server = limited(Limits::default());
    let mut client = connect(&server);
    ask(&mut client);
    client.get_mut().tls.send_close_notify();
    client.get_mut().flush().unwrap();
    assert_ends(&mut client);
    server.stop(LONG);
}

// With one place: the next client is served only if the one before has gone.
#[test]
fn a_client_may_vanish_in_a_rest() {
    let server = start(Server::bind("127.0.0.1:0").unwrap().max_connections(1));
    for vanish in [reset, drop] {
        let mut client = connect(&server);
        ask(&mut client);
        vanish(client.into_inner().socket);
    }
    ask(&mut connect(&server));
    server.stop(LONG);
}

#[test]
fn what_is_no_tls_in_a_rest_ends_the_connection_with_an_alert() {
    const NAME: &str = "what_is_no_tls_in_a_rest_ends_the_connection_with_an_alert";
    let output = in_a_child(NAME, "", || {
        let server = limited(Limits::default());
        let mut client = connect(&server);
        ask(&mut client);
        send(&mut client, REQUEST);
        let error = timeout(PROMPT, || client.read(&mut [0; 1])).expect("an end").unwrap_err();
        assert!(error.to_string().contains("alert"), "{error}");
        server.stop(LONG);
    });
    if let Some(output) = output {
        assert!(!output.contains("greenloop:"), "a mistake of the client was reported: {output}");
    }
}

#[test]
fn a_kill_in_a_rest_ends_the_connection_without_a_goodbye() {
    let pool = Pool::new(1);
    let builder = StreamServer::bind("127.0.0.1:0").unwrap().pool(pool.clone());
    let server = start(Server::from_builder(builder));
    let mut client = connect(&server);
    ask(&mut client);
    assert_eq!(pool.len(), 1);
    pool.kill();
    let error = timeout(PROMPT, || client.read(&mut [0; 1])).expect("an end").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
    ask(&mut connect(&server));
    server.stop(LONG);
}

// WS81, SV19
#[test]
fn a_stop_ends_rests_at_once_with_a_goodbye() {
    let server = limited(Limits::default());
    let mut clients: Vec<_> = (0..10).map(|_| connect(&server)).collect();
    clients.iter_mut().for_each(ask);
    timeout(PROMPT, || server.stop(LONG)).expect("an end without the grace");
    clients.iter_mut().for_each(assert_ends);
}

// It had come before the stop.
#[test]
fn a_request_that_has_come_in_a_rest_is_answered_by_a_server_that_stops() {
    let server = limited(Limits::default());
    let mut client = connect(&server);
    ask(&mut client);
    let record = client.get_mut().seal(REQUEST);
    send(&mut client, &record);
    timeout(PROMPT, || server.stop(LONG)).expect("an end without the grace");
    let text = io::read_to_string(&mut client).unwrap();
    assert!(text.contains("Connection: close") && text.ends_with("\r\n\r\n/here"), "{text}");
}
