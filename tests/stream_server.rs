//! Servers for TCP connections.

mod net_support;
mod server_support;

use std::cell::Cell;
use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::rc::Rc;
use std::time::Instant;

use greenloop::event::Event;
use greenloop::pool::Pool;
use greenloop::queue::Queue;
use greenloop::server::StreamServer;
use greenloop::{join_all, sleep, spawn, timeout, wait_all_timeout, yield_now};
use net_support::{Flag, LONG, Log, OnDrop, PROMPT, SHORT, in_a_child, ms, reset, spawn_parked};
use server_support::{ask, connect, is_refused, next_byte, serve, until};

// SV02, SV23
#[test]
fn clients_are_refused_before_the_start_and_after_the_stop() {
    let builder = StreamServer::options().backlog(20).bind("127.0.0.1:0").unwrap();
    let address = builder.local_addr().unwrap();
    assert_ne!(address.port(), 0);
    let server = builder.handle(next_byte);
    assert!(is_refused(address) && !server.is_started());
    server.start().unwrap();
    assert!(server.is_started());
    assert_eq!((server.local_addr().unwrap(), ask(&connect(address), 4).unwrap()), (address, 5));
    server.stop(SHORT);
    assert!(is_refused(address) && !server.is_started());
}

// SV16
#[test]
fn starting_twice_is_harmless() {
    let (server, address) = serve(next_byte);
    server.start().unwrap();
    server.clone().start().unwrap();
    assert_eq!(ask(&connect(address), 1).unwrap(), 2);
    server.stop(SHORT);
    assert!(is_refused(address));
}

// SV20
#[test]
fn stopping_twice_or_before_the_start_is_harmless() {
    let (server, _) = serve(next_byte);
    server.stop(LONG);
    server.stop(LONG);
    let server = StreamServer::bind("127.0.0.1:0").unwrap().handle(next_byte);
    server.stop(LONG);
    server.stop(LONG);
    assert!(!server.is_started());
}

#[test]
fn a_stopped_server_says_that_it_cannot_start_again() {
    for started in [true, false] {
        let server = StreamServer::bind("127.0.0.1:0").unwrap().handle(next_byte);
        if started {
            server.start().unwrap();
        }
        server.stop(SHORT);
        for error in [server.start().unwrap_err(), server.serve_forever().unwrap_err()] {
            let address = server.local_addr().unwrap().to_string();
            assert!(error.to_string().contains("was stopped") && error.to_string().contains(&address));
        }
    }
}

// SV15
#[test]
fn an_address_in_use_is_named_by_the_error_and_can_be_tried_again() {
    let (other, address) = serve(next_byte);
    let error = StreamServer::bind(address).map(drop).unwrap_err();
    assert!(error.kind() == ErrorKind::AddrInUse && error.to_string().contains(&address.to_string()));
    // Two may hold an address until one of them listens.
    other.stop(SHORT);
    let first = StreamServer::bind(address).unwrap().handle(next_byte);
    let second = StreamServer::bind(address).unwrap().handle(next_byte);
    first.start().unwrap();
    for _ in 0..2 {
        let error = second.start().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse, "{error}");
        assert!(error.to_string().contains(&address.to_string()) && !second.is_started());
    }
    assert_eq!(ask(&connect(address), 1).unwrap(), 2);
    first.stop(SHORT);
}

// SV07, SV08
#[test]
fn serve_forever_ends_when_the_server_is_stopped() {
    for started in [true, false] {
        let server = StreamServer::bind("127.0.0.1:0").unwrap().handle(next_byte);
        let address = server.local_addr().unwrap();
        if started {
            server.start().unwrap();
        }
        let serving = [
            spawn_parked({
                let server = server.clone();
                move || server.serve_forever()
            }),
            spawn_parked({
                let server = server.clone();
                move || server.serve_forever()
            }),
        ];
        assert_eq!(ask(&connect(address), 1).unwrap(), 2);
        server.stop(SHORT);
        assert!(serving.map(|serving| serving.join().unwrap().is_ok()) == [true, true]);
        assert!(is_refused(address));
    }
}

// SV09
#[test]
fn the_connection_is_closed_when_the_handler_returns() {
    let (server, address) = serve(|mut stream, _| stream.write_all(b"bye"));
    let mut text = String::new();
    connect(address).read_to_string(&mut text).unwrap();
    assert_eq!(text, "bye");
    server.stop(LONG);
}

#[test]
fn the_handler_is_told_who_has_connected() {
    let (server, address) = serve(|mut stream, peer| write!(stream, "{peer}"));
    let (mut client, mut text) = (connect(address), String::new());
    client.read_to_string(&mut text).unwrap();
    assert_eq!(text, client.local_addr().unwrap().to_string());
    server.stop(LONG);
}

// SV24, SV27
#[test]
fn clients_are_served_side_by_side() {
    let (server, address) = serve(next_byte);
    let (stalled, other) = (connect(address), connect(address));
    for byte in 0..20 {
        assert_eq!(ask(&other, byte).unwrap(), byte + 1);
    }
    stalled.set_read_timeout(Some(SHORT)).unwrap();
    assert_eq!((&stalled).read(&mut [0]).unwrap_err().kind(), ErrorKind::TimedOut);
    assert_eq!((ask(&stalled, 50).unwrap(), ask(&other, 100).unwrap()), (51, 101));
    assert_eq!(server.connections(), 2);
    drop(stalled);
    until(|| server.connections() == 1);
    server.stop(SHORT);
    assert_eq!(server.connections(), 0);
}

#[test]
fn many_clients_that_come_at_once_are_all_served() {
    net_support::raise_descriptor_limit();
    let (server, address) = serve(next_byte);
    let clients = (0..500_u32).map(|n| {
        spawn(move || {
            let client = connect(address);
            yield_now();
            ask(&client, (n % 100) as u8)
        })
    });
    let answers: Vec<_> = join_all(clients).into_iter().map(|answer| answer.unwrap().unwrap()).collect();
    assert!(answers.into_iter().eq((0..500_u32).map(|n| (n % 100) as u8 + 1)));
    server.stop(LONG);
}

// SV11, SV17
#[test]
fn clients_beyond_the_limit_wait_until_one_has_gone() {
    let (running, most) = (Rc::new(Cell::new(0)), Rc::new(Cell::new(0)));
    let (count, highest) = (running.clone(), most.clone());
    let server = StreamServer::bind("127.0.0.1:0").unwrap().max_connections(2).handle(move |stream, peer| {
        count.update(|count| count + 1);
        highest.set(highest.get().max(count.get()));
        let _one_less = OnDrop(|| count.update(|count| count - 1));
        next_byte(stream, peer)
    });
    server.start().unwrap();
    let address = server.local_addr().unwrap();
    let [first, second] = [connect(address), connect(address)];
    assert_eq!((ask(&first, 1).unwrap(), ask(&second, 2).unwrap()), (2, 3));
    let waiting = [connect(address), connect(address), connect(address)];
    for client in &waiting {
        client.set_read_timeout(Some(SHORT)).unwrap();
        assert_eq!(ask(client, 7).unwrap_err().kind(), ErrorKind::TimedOut);
    }
    assert_eq!((server.connections(), running.get()), (2, 2));
    drop(first);
    let mut answer = [0];
    waiting[0].set_read_timeout(Some(PROMPT)).unwrap();
    (&waiting[0]).read_exact(&mut answer).unwrap();
    assert_eq!(answer, [8]);
    assert_eq!((&waiting[1]).read(&mut answer).unwrap_err().kind(), ErrorKind::TimedOut);
    drop((second, waiting));
    until(|| running.get() == 0);
    assert_eq!(most.get(), 2);
    server.stop(LONG);
}

// SV11, SV19
#[test]
fn servers_may_share_a_pool() {
    let pool = Pool::new(2);
    let [one, other] = [1, 2].map(|_| {
        let server = StreamServer::bind("127.0.0.1:0").unwrap().pool(pool.clone()).handle(next_byte);
        server.start().unwrap();
        server
    });
    let clients = [connect(one.local_addr().unwrap()), connect(other.local_addr().unwrap())];
    for client in &clients {
        assert_eq!(ask(client, 1).unwrap(), 2);
    }
    assert!(pool.is_full() && one.connections() == 2);
    let waiting = [connect(one.local_addr().unwrap()), connect(other.local_addr().unwrap())];
    for client in &waiting {
        client.set_read_timeout(Some(SHORT)).unwrap();
        assert_eq!(ask(client, 7).unwrap_err().kind(), ErrorKind::TimedOut);
    }
    drop(clients);
    for mut client in &waiting {
        let mut answer = [0];
        client.set_read_timeout(Some(PROMPT)).unwrap();
        client.read_exact(&mut answer).unwrap();
        assert_eq!(answer, [8]);
    }
    drop(waiting);
    one.stop(LONG);
    assert_eq!(ask(&connect(other.local_addr().unwrap()), 1).unwrap(), 2);
    other.stop(LONG);
    assert_eq!(pool.free_count(), 2);
}

// SV10, SV06
#[test]
fn a_handler_that_panics_is_reported_once_and_the_others_go_on() {
    let output = in_a_child("a_handler_that_panics_is_reported_once_and_the_others_go_on", "", || {
        let (server, address) = serve(|mut stream, peer| {
            let mut byte = [0];
            stream.read_exact(&mut byte)?;
            assert!(byte[0] != 13, "unlucky");
            stream.write_all(&byte)?;
            next_byte(stream, peer)
        });
        let other = connect(address);
        assert_eq!(ask(&other, 1).unwrap(), 1);
        // The connection of the unlucky one is closed.
        assert_eq!(ask(&connect(address), 13).unwrap_err().kind(), ErrorKind::UnexpectedEof);
        assert_eq!((ask(&other, 1).unwrap(), ask(&connect(address), 5).unwrap()), (2, 5));
        server.stop(SHORT);
    });
    if let Some(output) = output {
        assert_eq!(output.matches("unlucky").count(), 1, "{output}");
        assert!(!output.contains("greenloop: "), "{output}");
    }
}

#[test]
fn an_error_of_the_handler_is_reported_once_with_the_peer() {
    let output = in_a_child("an_error_of_the_handler_is_reported_once_with_the_peer", "", || {
        let (server, address) = serve(|_, _| Err::<(), _>("the disk is full"));
        let client = connect(address);
        println!("PEER {}", client.local_addr().unwrap());
        assert_eq!((&client).read(&mut [0]).unwrap(), 0);
        server.stop(LONG);
    });
    if let Some(output) = output {
        let reports: Vec<_> = output.lines().filter(|line| line.contains("the disk is full")).collect();
        let peer = output.split("PEER ").nth(1).and_then(|rest| rest.split_whitespace().next()).unwrap();
        assert!(reports.len() == 1 && reports[0].contains(peer), "{output}");
    }
}

// WS93
#[test]
fn a_peer_that_vanishes_ends_its_handler_quietly() {
    let output = in_a_child("a_peer_that_vanishes_ends_its_handler_quietly", "", || {
        let ended = Log::new();
        let kinds = ended.clone();
        let (server, address) = serve(move |mut stream, _| {
            let mut byte = [0];
            let outcome = stream.read_exact(&mut byte).and_then(|()| stream.write_all(&vec![7; 32 << 20]));
            kinds.add(outcome.as_ref().map_err(io::Error::kind).copied());
            // As most handlers do, with `?`.
            outcome.map_err(Box::<dyn std::error::Error>::from)
        });
        for asks in [false, true] {
            let mut client = connect(address);
            if asks {
                client.write_all(b"x").unwrap();
                sleep(SHORT);
            } else {
                until(|| server.connections() == 1);
            }
            reset(client);
            until(|| server.connections() == 0);
        }
        let kinds = ended.take();
        assert_eq!(kinds[0], Err(ErrorKind::ConnectionReset));
        assert!(matches!(kinds[1], Err(ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)), "{kinds:?}");
        server.stop(LONG);
    });
    if let Some(output) = output {
        assert!(!output.contains("greenloop: ") && !output.contains("panicked"), "{output}");
    }
}

#[test]
fn a_client_that_is_gone_before_it_is_accepted_disturbs_nobody() {
    let (server, address) = serve(next_byte);
    for _ in 0..20 {
        let client = std::net::TcpStream::connect(address).unwrap();
        socket2::SockRef::from(&client).set_linger(Some(ms(0))).unwrap();
    }
    assert_eq!(ask(&connect(address), 1).unwrap(), 2);
    until(|| server.connections() == 0);
    server.stop(LONG);
}

// SV18
#[test]
fn a_server_without_descriptors_waits_and_recovers() {
    let output = in_a_child("a_server_without_descriptors_waits_and_recovers", "ulimit -n 48", || {
        let (server, address) = serve(next_byte);
        assert_eq!(ask(&connect(address), 1).unwrap(), 2);
        let mut files = Vec::new();
        while let Ok(file) = std::fs::File::open("/dev/null") {
            files.push(file);
        }
        until(|| server.connections() == 0);
        files.extend(std::iter::from_fn(|| std::fs::File::open("/dev/null").ok()));
        // For the client's end; the server's has no room.
        files.pop();
        let client = connect(address);
        client.set_read_timeout(Some(ms(150))).unwrap();
        assert_eq!(ask(&client, 7).unwrap_err().kind(), ErrorKind::TimedOut);
        assert!(server.is_started());
        files.truncate(files.len() - 5);
        client.set_read_timeout(Some(PROMPT)).unwrap();
        let mut answer = [0];
        (&client).read_exact(&mut answer).unwrap();
        assert_eq!((answer, ask(&connect(address), 20).unwrap()), ([8], 21));
        server.stop(SHORT);
    });
    if let Some(output) = output {
        // The pauses grow, so there are few.
        let reports = output.matches("cannot take a connection").count();
        assert!((1..=8).contains(&reports), "{output}");
    }
}

// SV19
#[test]
fn stop_closes_the_listener_and_lets_the_handlers_finish() {
    let (finish, finished) = (Event::new(), Flag::default());
    let (event, flag) = (finish.clone(), finished.clone());
    let (server, address) = serve(move |mut stream, _| {
        event.wait();
        stream.write_all(b"finished")?;
        flag.raise();
        io::Result::Ok(())
    });
    let mut client = connect(address);
    until(|| server.connections() == 1);
    let stopping = spawn_parked({
        let server = server.clone();
        move || server.stop(LONG)
    });
    until(|| is_refused(address));
    assert!(!stopping.is_finished() && !server.is_started() && server.connections() == 1);
    let start = Instant::now();
    finish.set();
    stopping.join().unwrap();
    assert!(finished.is_up() && start.elapsed() < PROMPT);
    let mut text = String::new();
    client.read_to_string(&mut text).unwrap();
    assert_eq!(text, "finished");
}

// SV19
#[test]
fn stop_kills_the_handlers_that_do_not_finish_in_time_and_waits_for_their_end() {
    for grace in [ms(0), ms(20)] {
        let (destroyed, after) = (Flag::default(), Flag::default());
        let (dropped, late) = (destroyed.clone(), after.clone());
        let (server, address) = serve(move |mut stream, _| {
            let _guard = OnDrop(|| dropped.raise());
            let _ = stream.read(&mut [0]);
            late.raise();
        });
        let mut client = connect(address);
        until(|| server.connections() == 1);
        let start = Instant::now();
        server.stop(grace);
        assert!(start.elapsed() >= grace && start.elapsed() < PROMPT);
        assert!(destroyed.is_up() && !after.is_up() && server.connections() == 0);
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
    }
}

// SV19
#[test]
fn stop_returns_at_once_when_nobody_is_connected() {
    let (server, address) = serve(next_byte);
    assert_eq!(ask(&connect(address), 1).unwrap(), 2);
    until(|| server.connections() == 0);
    let start = Instant::now();
    server.stop(LONG);
    assert!(start.elapsed() < PROMPT);
}

#[test]
fn stop_closes_the_connections_that_were_never_accepted() {
    let server = StreamServer::bind("127.0.0.1:0").unwrap().max_connections(1).handle(next_byte);
    server.start().unwrap();
    let address = server.local_addr().unwrap();
    let served = connect(address);
    assert_eq!(ask(&served, 1).unwrap(), 2);
    let waiting = connect(address);
    server.stop(ms(0));
    assert_eq!((&waiting).read(&mut [0]).unwrap_err().kind(), ErrorKind::ConnectionReset);
}

#[test]
fn a_handler_may_stop_its_server() {
    let server: Rc<Cell<Option<StreamServer>>> = Rc::default();
    let inside = server.clone();
    let built = StreamServer::bind("127.0.0.1:0").unwrap().handle(move |mut stream, _| {
        let server = inside.take().unwrap();
        server.stop(SHORT);
        stream.write_all(b"stopped")
    });
    server.set(Some(built.clone()));
    let address = built.local_addr().unwrap();
    let client = spawn(move || {
        let mut text = String::new();
        connect(address).read_to_string(&mut text).map(|_| text)
    });
    built.serve_forever().unwrap();
    assert_eq!(client.join().unwrap().unwrap(), "stopped");
    assert!(is_refused(address));
}

#[test]
fn a_stop_that_is_interrupted_has_stopped_the_server_nevertheless() {
    let (server, address) = serve(next_byte);
    let serving = spawn_parked({
        let server = server.clone();
        move || server.serve_forever().is_ok()
    });
    let client = connect(address);
    assert_eq!(ask(&client, 1).unwrap(), 2);
    assert!(timeout(SHORT, || server.stop(LONG)).is_err());
    assert!(!server.is_started() && is_refused(address));
    drop(client);
    until(|| server.connections() == 0);
    assert_eq!(timeout(ms(500), || serving.join().unwrap()), Ok(true), "serve_forever has not ended");
}

#[test]
fn a_server_goes_on_when_its_handle_is_dropped() {
    let (server, address) = serve(next_byte);
    drop(server);
    assert_eq!(ask(&connect(address), 1).unwrap(), 2);
    // It has no end of its own.
    assert!(!wait_all_timeout(SHORT));
}

#[test]
fn a_handler_may_use_everything_that_blocks() {
    let queue = Queue::bounded(1);
    let inside = queue.clone();
    let (server, address) = serve(move |mut stream, _| {
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        sleep(ms(1));
        let text = greenloop::threadpool().apply(|| text.to_uppercase());
        inside.put(text).unwrap();
    });
    for n in 0..10 {
        let mut client = connect(address);
        write!(client, "client {n}").unwrap();
        client.shutdown(Shutdown::Write).unwrap();
    }
    let mut texts: Vec<_> = (0..10).map(|_| queue.get().unwrap()).collect();
    texts.sort();
    assert!(texts.into_iter().eq((0..10).map(|n| format!("CLIENT {n}"))));
    server.stop(LONG);
}

#[test]
fn a_server_runs_beside_clients_that_block_their_threads() {
    let (server, address) = serve(next_byte);
    let clients: Vec<_> = (0..4)
        .map(|_| {
            std::thread::spawn(move || {
                let mut client = std::net::TcpStream::connect(address).unwrap();
                for byte in 0..200 {
                    let mut answer = [0];
                    client.write_all(&[byte]).unwrap();
                    client.read_exact(&mut answer).unwrap();
                    assert_eq!(answer[0], byte + 1);
                }
            })
        })
        .collect();
    until(|| clients.iter().all(|client| client.is_finished()));
    clients.into_iter().for_each(|client| client.join().unwrap());
    server.stop(LONG);
}
