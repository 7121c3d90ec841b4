//! How servers start, and what is left where they cannot: without slots, without a stack, and with spawn hooks that interfere.

mod net_support;
mod server_support;

use std::cell::Cell;
use std::io::{self, ErrorKind};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use greenloop::net::TcpListener;
use greenloop::pool::Pool;
use greenloop::server::{DatagramServer, StreamServer};
use greenloop::{Handle, SpawnHook, on_spawn, yield_now};
use net_support::LONG;
use server_support::{ask, connect, is_refused, next_byte};

/// Has `act` called with each acceptor that is spawned.
fn on_acceptor(act: impl Fn(&Handle) + 'static) -> SpawnHook {
    on_spawn(move |greenlet| {
        if greenlet.name().as_deref() == Some("acceptor") {
            act(greenlet);
        }
    })
}

#[track_caller]
fn is_told_that_nobody_would_be_served(start: io::Result<()>) {
    let error = start.unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("would serve nobody") && text.contains("127.0.0.1") && text.contains("size 0"),
        "{text}"
    );
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{text}");
}

// PO14, SV11: otherwise than in gevent, where such a server listens, and takes nobody, without a word.
#[test]
fn a_server_whose_pool_has_no_slots_does_not_start_and_says_so() {
    let bind = || StreamServer::bind("127.0.0.1:0").unwrap();
    for builder in [bind().max_connections(0), bind().pool(Pool::new(0))] {
        let server = builder.handle(next_byte);
        is_told_that_nobody_would_be_served(server.start());
        is_told_that_nobody_would_be_served(server.serve_forever());
        assert!(!server.is_started() && !server.is_accepting());
        assert!(is_refused(server.local_addr().unwrap()), "a server that has not started listens");
        server.stop(LONG);
        assert_eq!(server.start().unwrap_err().kind(), ErrorKind::NotConnected);
    }
    let bind = || DatagramServer::bind("127.0.0.1:0").unwrap();
    for builder in [bind().max_handlers(0), bind().pool(Pool::new(0))] {
        let server = builder.handle(|_, _| ());
        is_told_that_nobody_would_be_served(server.start());
        assert!(!server.is_started());
    }
}

#[test]
fn a_server_does_not_say_that_it_accepts_when_its_acceptor_was_killed() {
    let (server, address) = {
        let server = StreamServer::bind("127.0.0.1:0").unwrap().handle(next_byte);
        let address = server.local_addr().unwrap();
        (server, address)
    };
    // Before its first turn, with a wait for its end and without one.
    let kills: [fn(&Handle); 2] = [Handle::kill, Handle::kill_nowait];
    for kill in kills {
        let hook = on_acceptor(kill);
        server.start().unwrap();
        assert!(server.is_started() && !server.is_accepting());
        yield_now();
        assert!(server.is_started() && !server.is_accepting());
        drop(hook);
    }
    // Where it waits for clients.
    let acceptor = Rc::new(Cell::new(None));
    let hook = on_acceptor({
        let acceptor = acceptor.clone();
        move |greenlet| acceptor.set(Some(greenlet.clone()))
    });
    server.start().unwrap();
    drop(hook);
    assert!(server.is_accepting());
    assert_eq!(ask(&connect(address), 1).unwrap(), 2);
    acceptor.take().unwrap().kill_nowait();
    assert!(!server.is_accepting());
    // At once, while that one has not ended yet.
    server.start_accepting().unwrap();
    assert!(server.is_accepting());
    assert_eq!(ask(&connect(address), 1).unwrap(), 2);
    server.stop(LONG);
}

#[test]
fn a_server_accepts_although_a_spawn_hook_lets_its_acceptor_run_first() {
    let server = StreamServer::bind("127.0.0.1:0").unwrap().handle(next_byte);
    let hook = on_acceptor(|_| yield_now());
    server.start().unwrap();
    drop(hook);
    assert!(server.is_accepting());
    assert_eq!(ask(&connect(server.local_addr().unwrap()), 1).unwrap(), 2);
    server.stop(LONG);
}

#[test]
fn a_server_accepts_although_a_spawn_hook_has_panicked_over_its_acceptor() {
    let server = StreamServer::bind("127.0.0.1:0").unwrap().handle(next_byte);
    let hook = on_acceptor(|_| panic!("no acceptors today"));
    assert!(catch_unwind(AssertUnwindSafe(|| server.start())).is_err());
    drop(hook);
    // The greenlet runs, as whatever is spawned under such a hook does.
    assert!(server.is_started() && server.is_accepting());
    assert_eq!(ask(&connect(server.local_addr().unwrap()), 1).unwrap(), 2);
    server.stop(LONG);
}

#[test]
fn a_server_that_a_spawn_hook_stops_or_pauses_takes_nobody() {
    for pause in [true, false] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = StreamServer::from_listener(listener).unwrap().handle(next_byte);
        let address = server.local_addr().unwrap();
        let hook = on_acceptor({
            let server = server.clone();
            move |_| {
                yield_now();
                match pause {
                    true => server.stop_accepting(),
                    false => server.stop(LONG),
                }
            }
        });
        server.start().unwrap();
        drop(hook);
        assert_eq!((server.is_started(), server.is_accepting()), (pause, false));
        if pause {
            server.start_accepting().unwrap();
            assert_eq!(ask(&connect(address), 1).unwrap(), 2);
            server.stop(LONG);
        }
        assert!(is_refused(address));
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_server_without_address_space_for_its_acceptor_has_not_started_and_can_be_started_later() {
    use greenloop::event::Event;
    use net_support::{SHORT, in_a_child, take_all_stacks};

    in_a_child(
        "a_server_without_address_space_for_its_acceptor_has_not_started_and_can_be_started_later",
        "",
        || {
            let bound = StreamServer::bind("127.0.0.1:0").unwrap().handle(next_byte);
            let given = TcpListener::bind("127.0.0.1:0").unwrap();
            let given = StreamServer::from_listener(given).unwrap().handle(next_byte);
            let gate = Event::new();
            let greenlets = take_all_stacks(&gate);
            for server in [&bound, &given] {
                for _ in 0..2 {
                    assert_eq!(server.start().unwrap_err().kind(), ErrorKind::OutOfMemory);
                    assert!(!server.is_started() && !server.is_accepting(), "{server:?}");
                }
                assert_eq!(server.start_accepting().unwrap_err().kind(), ErrorKind::NotConnected);
            }
            let early = [&bound, &given].map(|server| connect(server.local_addr().unwrap()));
            gate.set();
            greenlets.into_iter().for_each(|greenlet| greenlet.join().unwrap());
            for (server, early) in [bound, given].iter().zip(early) {
                server.start().unwrap();
                assert!(server.is_accepting());
                for client in [early, connect(server.local_addr().unwrap())] {
                    assert_eq!(ask(&client, 1).unwrap(), 2);
                }
                server.stop(SHORT);
                assert!(is_refused(server.local_addr().unwrap()));
            }
        },
    );
}
