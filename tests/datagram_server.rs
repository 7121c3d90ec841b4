//! Servers for datagrams, and stream servers on Unix sockets.

mod net_support;
mod server_support;

use std::cell::Cell;
use std::io::{self, ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use greenloop::event::Event;
use greenloop::net::{UdpSocket, UnixListener, UnixStream};
use greenloop::pool::Pool;
use greenloop::server::{DatagramServer, Outcome, Peer, Serve, StreamServer};
use greenloop::{join_all, sleep, spawn, timeout, yield_now};
use net_support::{Flag, LONG, PROMPT, SHORT, in_a_child, ms, open_descriptors, panic_of, spawn_parked};
use server_support::{Acceptors, until};

fn serve<R: Outcome>(handler: impl Fn(&[u8], Peer) -> R + 'static) -> (DatagramServer, SocketAddr) {
    let server = DatagramServer::bind("127.0.0.1:0").unwrap().handle(handler);
    server.start().unwrap();
    let address = server.local_addr().unwrap();
    (server, address)
}

fn echo(data: &[u8], peer: Peer) -> io::Result<()> {
    peer.reply(data)
}

fn client(address: SocketAddr) -> UdpSocket {
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.connect(address).unwrap();
    client.set_read_timeout(Some(PROMPT)).unwrap();
    client
}

fn receive(client: &UdpSocket) -> io::Result<Vec<u8>> {
    let mut place = vec![0; 65_535];
    let count = client.recv(&mut place)?;
    place.truncate(count);
    Ok(place)
}

fn ask(client: &UdpSocket, data: &[u8]) -> Vec<u8> {
    client.send(data).unwrap();
    receive(client).unwrap()
}

fn is_left_waiting(client: &UdpSocket) -> bool {
    client.set_read_timeout(Some(ms(30))).unwrap();
    let nothing = receive(client).is_err_and(|error| error.kind() == ErrorKind::TimedOut);
    client.set_read_timeout(Some(PROMPT)).unwrap();
    nothing
}

/// Does nobody receive there? The system says so in answer to a datagram, though not to each: it limits their number.
fn is_refused(address: SocketAddr) -> bool {
    let client = client(address);
    client.set_read_timeout(Some(ms(50))).unwrap();
    let start = Instant::now();
    while start.elapsed() < PROMPT {
        let refused = |error: &io::Error| error.kind() == ErrorKind::ConnectionRefused;
        match client.send(b"anybody?").and_then(|_| receive(&client)) {
            Ok(_) => return false,
            Err(error) if refused(&error) => return true,
            Err(_) => {}
        }
    }
    false
}

// SV26
#[test]
fn a_handler_gets_data_and_sender_and_replies_through_the_server() {
    let seen = Rc::new(Cell::new(None));
    let (server, address) = serve({
        let seen = seen.clone();
        move |data, peer| {
            seen.set(Some((data.to_vec(), peer.addr())));
            peer.reply(&[b"got ", data].concat())
        }
    });
    // Not connected, so it sees who answers.
    let client = UdpSocket::bind("127.0.0.1:0").unwrap();
    client.send_to(b"hello", address).unwrap();
    let mut place = [0; 100];
    assert_eq!(client.recv_from(&mut place).unwrap(), (9, address));
    assert_eq!(&place[..9], b"got hello");
    let me = client.local_addr().unwrap();
    assert_eq!(seen.take(), Some((b"hello".to_vec(), me)));
    // Also without being asked.
    server.send_to(b"news", me).unwrap();
    assert_eq!(client.recv_from(&mut place).unwrap(), (4, address));
    server.stop(LONG);
    assert!(server.send_to(b"old", me).unwrap_err().to_string().contains("was stopped"));
}

// SV26
#[test]
fn datagrams_of_every_length_arrive_whole() {
    let (server, address) = serve(echo);
    let client = client(address);
    for length in [0, 1, 1500, 9000, 60_000, 65_507] {
        let data: Vec<_> = (0..length).map(|n: u32| n as u8).collect();
        assert!(ask(&client, &data) == data, "{length}");
    }
    server.stop(LONG);
}

#[test]
fn each_sender_gets_its_own() {
    let (server, address) = serve(|data, peer| {
        // Later ones overtake.
        sleep(ms(10 - u64::from(data[0] % 10)));
        peer.reply(data)
    });
    let clients = (0..50_u8).map(|n| spawn(move || ask(&client(address), &[n, n])));
    let answers: Vec<_> = join_all(clients).into_iter().map(Result::unwrap).collect();
    assert!(answers.into_iter().eq((0..50_u8).map(|n| vec![n, n])));
    server.stop(LONG);
}

#[test]
fn a_handler_that_waits_holds_nobody_up() {
    let (go, (server, address)) = {
        let go = Event::new();
        let wait = go.clone();
        (
            go,
            serve(move |data, peer| {
                if data == b"slow" {
                    wait.wait();
                }
                peer.reply(data)
            }),
        )
    };
    let (slow, other) = (client(address), client(address));
    slow.send(b"slow").unwrap();
    assert_eq!(ask(&other, b"quick"), b"quick");
    assert_eq!(server.handlers(), 1);
    go.set();
    assert_eq!(receive(&slow).unwrap(), b"slow");
    server.stop(LONG);
}

#[test]
fn what_comes_before_the_start_and_in_a_pause_waits_and_after_the_stop_is_refused() {
    let server = DatagramServer::bind("127.0.0.1:0").unwrap().handle(echo);
    let address = server.local_addr().unwrap();
    let client = client(address);
    client.send(b"early").unwrap();
    assert!(is_left_waiting(&client) && !server.is_started());
    server.start().unwrap();
    server.start().unwrap();
    assert_eq!(receive(&client).unwrap(), b"early");
    server.stop_accepting();
    client.send(b"paused").unwrap();
    assert!(is_left_waiting(&client) && server.is_started());
    server.start().unwrap();
    assert_eq!(receive(&client).unwrap(), b"paused");
    server.stop(LONG);
    assert!(is_refused(address) && !server.is_started());
    server.stop(LONG);
    assert!(server.start().unwrap_err().to_string().contains("was stopped"));
}

// SV04
#[test]
fn a_server_that_has_stopped_accepting_accepts_again() {
    let server = DatagramServer::bind("127.0.0.1:0").unwrap().handle(echo);
    let client = client(server.local_addr().unwrap());
    assert!(!server.is_accepting());
    assert!(server.start_accepting().unwrap_err().to_string().contains("is not started"));
    server.start().unwrap();
    server.start_accepting().unwrap();
    assert!(server.is_accepting() && ask(&client, b"1") == b"1");
    for _ in 0..3 {
        server.stop_accepting();
        assert!(server.is_started() && !server.is_accepting());
        client.send(b"2").unwrap();
        assert!(is_left_waiting(&client));
        server.start_accepting().unwrap();
        assert!(server.is_accepting());
        assert_eq!(receive(&client).unwrap(), b"2");
    }
    server.stop(LONG);
    assert!(!server.is_accepting());
    assert!(server.start_accepting().unwrap_err().to_string().contains("was stopped"));
}

// SV17
#[test]
fn the_others_get_a_turn_after_so_many_datagrams() {
    for (most, expected) in [(Some(1), [1, 2, 3, 4, 5]), (Some(2), [2, 4, 5, 5, 5]), (None, [5; 5])] {
        let builder = DatagramServer::bind("127.0.0.1:0").unwrap();
        let builder = match most {
            Some(most) => builder.max_accept(most),
            None => builder,
        };
        let server = builder.handle(|_, _| sleep(LONG));
        let client = client(server.local_addr().unwrap());
        for n in 0..5 {
            client.send(&[n]).unwrap();
        }
        server.start().unwrap();
        let seen = expected.map(|_| {
            yield_now();
            server.handlers()
        });
        assert_eq!(seen, expected, "{most:?}");
        server.stop(Duration::ZERO);
    }
}

// SV17, SV21
#[test]
fn a_batch_of_no_datagrams_is_refused_and_the_socket_closed() {
    let builder = DatagramServer::bind("127.0.0.1:0").unwrap();
    let address = builder.local_addr().unwrap();
    assert!(panic_of(|| builder.max_accept(0)).contains("max_accept(0)"));
    drop(DatagramServer::bind(address).unwrap());
}

// The system chooses by the sender's address.
#[cfg(target_os = "linux")]
#[test]
fn servers_that_share_a_port_share_the_senders() {
    let shared = DatagramServer::options().reuse_port(true);
    let first = shared.bind("127.0.0.1:0").unwrap().handle(|_, peer| peer.reply(b"first"));
    let address = first.local_addr().unwrap();
    let second = shared.bind(address).unwrap().handle(|_, peer| peer.reply(b"second"));
    assert_eq!(DatagramServer::bind(address).unwrap_err().kind(), ErrorKind::AddrInUse);
    first.start().unwrap();
    second.start().unwrap();
    let ask_somebody = |_| ask(&client(address), b"who?");
    let answers: std::collections::HashSet<_> = (0..200).map(ask_somebody).collect();
    assert_eq!(answers.len(), 2);
    first.stop(LONG);
    assert!((0..20).map(ask_somebody).all(|answer| answer == b"second"));
    second.stop(LONG);
}

#[test]
fn datagrams_beyond_the_limit_wait() {
    let (running, most, go) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)), Event::new());
    let server = DatagramServer::bind("127.0.0.1:0").unwrap().max_handlers(2).handle({
        let (running, most, go) = (running.clone(), most.clone(), go.clone());
        move |data, peer| {
            running.set(running.get() + 1);
            most.set(most.get().max(running.get()));
            go.wait();
            running.set(running.get() - 1);
            peer.reply(data)
        }
    });
    server.start().unwrap();
    let client = client(server.local_addr().unwrap());
    for n in 0..5 {
        client.send(&[n]).unwrap();
    }
    assert!(is_left_waiting(&client));
    assert_eq!((running.get(), server.handlers()), (2, 2));
    go.set();
    for n in 0..5 {
        assert_eq!(receive(&client).unwrap(), [n]);
    }
    assert_eq!(most.get(), 2);
    server.stop(LONG);
}

#[test]
fn a_stop_lets_handlers_reply_within_the_grace_and_kills_the_others() {
    let (server, address) = serve(|data, peer| {
        sleep(if data == b"short" { ms(30) } else { LONG });
        peer.reply(data)
    });
    let client = client(address);
    client.send(b"short").unwrap();
    client.send(b"long").unwrap();
    until(|| server.handlers() == 2);
    let start = Instant::now();
    server.stop(ms(300));
    assert!(start.elapsed() >= ms(300) && start.elapsed() < PROMPT && server.handlers() == 0);
    assert_eq!(receive(&client).unwrap(), b"short");
    assert!(is_refused(address));
}

#[test]
fn serve_forever_ends_with_a_stop_and_stops_when_it_is_interrupted() {
    let server = DatagramServer::bind("127.0.0.1:0").unwrap().handle(echo);
    let serving = spawn_parked({
        let server = server.clone();
        move || Serve::serve_forever(&server).is_ok()
    });
    assert_eq!(ask(&client(server.local_addr().unwrap()), b"x"), b"x");
    Serve::stop(&server, SHORT);
    assert!(serving.join().unwrap());

    let (server, address) = serve(echo);
    assert!(timeout(SHORT, || server.serve_forever()).is_err());
    yield_now();
    assert!(!server.is_started() && is_refused(address));
}

#[test]
fn failures_of_handlers_are_reported_once_and_hurt_nobody() {
    let output = in_a_child("failures_of_handlers_are_reported_once_and_hurt_nobody", "", || {
        let (server, address) = serve(|data, peer| match data {
            b"panic" => panic!("unlucky"),
            b"fail" => Err("the disk is full".to_string()),
            _ => peer.reply(data).map_err(|error| error.to_string()),
        });
        let client = client(address);
        for bad in ["panic", "fail"] {
            client.send(bad.as_bytes()).unwrap();
            assert_eq!(ask(&client, b"good"), b"good");
        }
        println!("PEER {}", client.local_addr().unwrap());
        server.stop(LONG);
    });
    if let Some(output) = output {
        let peer = output.split("PEER ").nth(1).and_then(|rest| rest.split_whitespace().next()).unwrap();
        assert_eq!(output.matches("unlucky").count(), 1, "{output}");
        let reports: Vec<_> = output.lines().filter(|line| line.contains("the disk is full")).collect();
        assert!(reports.len() == 1 && reports[0].contains(peer), "{output}");
    }
}

#[test]
fn a_kill_of_the_receiver_loses_no_datagram_wherever_it_is() {
    let acceptors = Acceptors::watch();
    // While it waits for a datagram.
    let (server, address) = serve(echo);
    let client = client(address);
    assert_eq!(ask(&client, b"1"), b"1");
    client.send(b"2").unwrap();
    acceptors.last().kill();
    server.start().unwrap();
    assert_eq!(receive(&client).unwrap(), b"2");
    server.stop(LONG);
    // While it waits for a free slot, with and without a datagram in hand.
    for in_hand in [false, true] {
        let pool = Pool::new(1);
        let server = DatagramServer::bind("127.0.0.1:0").unwrap().pool(pool.clone()).handle(echo);
        if in_hand {
            server.start().unwrap();
            yield_now();
        }
        let blocker = pool.spawn(|| sleep(LONG));
        server.start().unwrap();
        client.connect(server.local_addr().unwrap()).unwrap();
        client.send(b"3").unwrap();
        client.send(b"4").unwrap();
        sleep(ms(5));
        acceptors.last().kill();
        server.start().unwrap();
        blocker.kill();
        assert_eq!((receive(&client).unwrap(), receive(&client).unwrap()), (b"3".into(), b"4".into()));
        server.stop(LONG);
    }
}

#[test]
fn a_flood_leaves_the_others_their_turns() {
    let (server, address) = serve(|_, _| ());
    let flooding = std::thread::spawn(move || {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let start = Instant::now();
        while start.elapsed() < ms(300) {
            // Fails when nobody receives any more.
            if socket.send_to(&[7; 100], address).is_err() {
                break;
            }
        }
    });
    let start = Instant::now();
    for _ in 0..50 {
        sleep(ms(1));
    }
    assert!(start.elapsed() < PROMPT);
    flooding.join().unwrap();
    server.stop(LONG);
}

#[test]
fn an_address_that_cannot_be_had_is_named_and_a_given_socket_serves() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    let error = DatagramServer::bind(address).unwrap_err();
    assert!(error.kind() == ErrorKind::AddrInUse && error.to_string().contains(&address.to_string()));
    // A limit that it has had does not make the server pause.
    socket.set_read_timeout(Some(ms(1))).unwrap();
    let server = DatagramServer::from_socket(socket).unwrap().handle(echo);
    server.start().unwrap();
    sleep(ms(10));
    assert_eq!(ask(&client(address), b"x"), b"x");
    server.stop(LONG);
    // SV22
    let server = DatagramServer::bind(0).unwrap().handle(echo);
    server.start().unwrap();
    let address = server.local_addr().unwrap();
    assert!(address.ip().is_unspecified());
    assert_eq!(ask(&client(([127, 0, 0, 1], address.port()).into()), b"x"), b"x");
    server.stop(LONG);
}

#[cfg(target_os = "linux")]
#[test]
fn datagram_servers_leave_no_descriptor_open() {
    in_a_child("datagram_servers_leave_no_descriptor_open", "", || {
        let work = || {
            for grace in [Duration::ZERO, LONG] {
                let (server, address) = serve(echo);
                assert_eq!(ask(&client(address), b"x"), b"x");
                server.stop(grace);
            }
            drop(DatagramServer::bind("127.0.0.1:0").unwrap());
            drop(DatagramServer::bind("127.0.0.1:0").unwrap().handle(echo));
        };
        work();
        let before = open_descriptors();
        (0..10).for_each(|_| work());
        assert_eq!(open_descriptors(), before);
    });
}

#[test]
fn a_stream_server_serves_a_unix_socket() {
    let folder = std::env::temp_dir().join(format!("greenloop-test-server-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("socket");
    let stopped = Flag::default();
    let server =
        StreamServer::from_listener(UnixListener::bind(&path).unwrap()).unwrap().max_connections(2).handle({
            let stopped = stopped.clone();
            move |mut socket: UnixStream, _| {
                let mut text = String::new();
                socket.read_to_string(&mut text)?;
                if text == "stop" {
                    stopped.raise();
                }
                socket.write_all(text.to_uppercase().as_bytes())
            }
        });
    server.start().unwrap();
    assert!(format!("{server:?}").contains("socket"), "{server:?}");
    let ask = |text: &str| {
        let mut client = UnixStream::connect(&path).unwrap();
        client.write_all(text.as_bytes()).unwrap();
        client.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        answer
    };
    assert_eq!((ask("hello"), ask("world"), ask("stop")), ("HELLO".into(), "WORLD".into(), "STOP".into()));
    server.stop_accepting();
    server.start_accepting().unwrap();
    assert_eq!(ask("again"), "AGAIN");
    assert!(stopped.is_up());
    server.stop(LONG);
    assert!(UnixStream::connect(&path).is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused));
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn the_servers_show_what_they_are() {
    let server = DatagramServer::bind("127.0.0.1:0").unwrap();
    let address = server.local_addr().unwrap();
    assert_eq!(format!("{server:?}"), format!("DatagramBuilder({address})"));
    let server = server.handle(echo);
    assert_eq!(format!("{server:?}"), format!("DatagramServer({address}, not started, 0 handlers)"));
    server.stop(LONG);
    assert_eq!(format!("{server:?}"), format!("DatagramServer({address}, stopped, 0 handlers)"));
    assert!(panic_of(|| DatagramServer::bind("nowhere").unwrap()).contains("`nowhere`"));
}
