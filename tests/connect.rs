//! Connecting: several addresses at once, limits, local addresses, and what comes between.

mod net_support;

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, SocketAddrV6};
use std::rc::Rc;
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use greenloop::net::{TcpListener, TcpStream, ToSocketAddrs, lookup_host, lookup_host_timeout};
use greenloop::testing::{elapsed, virtual_time};
use greenloop::{shield, sleep, spawn, threadpool, timeout};
use net_support::{Flag, LONG, Mute, Nobody, PROMPT, SHORT, in_a_child, ms, open_descriptors, spawn_parked};

fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// An address of this machine where nobody listens, for as long as the tests run.
fn nobody() -> SocketAddr {
    let nobody = Nobody::new();
    let address = nobody.address();
    std::mem::forget(nobody);
    address
}

fn raw_error(error: &io::Error) -> Option<i32> {
    error.source().and_then(|source| source.downcast_ref::<io::Error>()).and_then(io::Error::raw_os_error)
}

/// Makes every thread of the default pool wait until what it gives is dropped: a resolver that does not answer.
fn mute_resolver() -> mpsc::Sender<()> {
    let (open, gate) = mpsc::channel::<()>();
    let gate = Arc::new(Mutex::new(gate));
    for _ in 0..threadpool().limit() {
        let gate = gate.clone();
        drop(threadpool().spawn(move || gate.lock().unwrap().recv().is_err()));
    }
    open
}

// RFC 8305: an address that does not answer holds the next up for a quarter of a second.
#[test]
fn an_address_that_does_not_answer_holds_the_next_up_for_a_moment_only() {
    let (mute, (listener, address)) = (Mute::new(), listen());
    let (client, took) = virtual_time(|| {
        let client = TcpStream::connect([mute.address(), address].as_slice()).unwrap();
        (client, elapsed())
    });
    assert_eq!(client.peer_addr().unwrap(), address);
    assert!(took >= ms(250) && took < ms(500), "{took:?}");
    assert_eq!(listener.accept().unwrap().1, client.local_addr().unwrap());
}

#[test]
fn a_failure_is_followed_by_the_next_address_at_once() {
    let (mute, (_listener, address)) = (Mute::new(), listen());
    let dead = [nobody(), nobody(), nobody()];
    let start = Instant::now();
    let client = TcpStream::connect([dead[0], dead[1], dead[2], address].as_slice()).unwrap();
    assert_eq!(client.peer_addr().unwrap(), address);
    assert!(start.elapsed() < PROMPT);
    // A failure while another attempt is under way: the quarter of a second is waited for once.
    virtual_time(|| {
        let several = [mute.address(), dead[0], dead[1], address];
        assert_eq!(TcpStream::connect(several.as_slice()).unwrap().peer_addr().unwrap(), address);
        assert!(elapsed() >= ms(250) && elapsed() < ms(500), "{:?}", elapsed());
    });
}

#[test]
fn the_families_take_turns() {
    let Ok(six) = TcpListener::bind("[::1]:0") else { return };
    let mutes = [Mute::new(), Mute::new(), Mute::new()];
    let address = six.local_addr().unwrap();
    let addresses = [mutes[0].address(), mutes[1].address(), mutes[2].address(), address];
    virtual_time(|| {
        assert_eq!(TcpStream::connect(addresses.as_slice()).unwrap().peer_addr().unwrap(), address);
        assert!(elapsed() < ms(500), "{:?}", elapsed());
    });
}

// The first listener makes room after the second attempt has begun, and the system repeats the first attempt after a second.
#[test]
fn an_earlier_attempt_goes_on_while_later_ones_begin() {
    let (slow, mute) = (Mute::new(), Mute::new());
    let addresses = [slow.address(), mute.address()];
    let connecting = spawn_parked(move || TcpStream::connect(addresses.as_slice()));
    sleep(ms(300));
    assert!(!connecting.is_finished());
    slow.make_room();
    let client = timeout(PROMPT, || connecting.join()).expect("a connection").unwrap().unwrap();
    assert_eq!(client.peer_addr().unwrap(), slow.address());
}

#[test]
fn if_all_addresses_fail_the_error_names_all_and_is_the_last() {
    let (dead, deader) = (nobody(), nobody());
    let error = TcpStream::connect([dead, deader].as_slice()).unwrap_err();
    assert_eq!((error.kind(), raw_error(&error)), (ErrorKind::ConnectionRefused, Some(libc::ECONNREFUSED)));
    let text = error.to_string();
    assert!(
        text.starts_with(&format!("cannot connect to any of {dead}, {deader}; the last, {deader}: ")),
        "{text}"
    );
}

#[test]
fn a_limit_bounds_all_addresses_together() {
    let mutes = [Mute::new(), Mute::new(), Mute::new()];
    let addresses = [0, 1, 2].map(|n| mutes[n].address());
    for limit in [ms(10), ms(400), Duration::from_secs(3)] {
        virtual_time(|| {
            let error = TcpStream::connect_timeout(addresses.as_slice(), limit).unwrap_err();
            assert_eq!((error.kind(), elapsed()), (ErrorKind::TimedOut, limit));
            assert!(
                addresses.iter().all(|address| error.to_string().contains(&address.to_string())),
                "{error}"
            );
        });
    }
    assert_eq!(
        TcpStream::connect_timeout(nobody(), Duration::ZERO).unwrap_err().kind(),
        ErrorKind::InvalidInput
    );
}

// SK36: it is the same with a resolver that does not answer, also where a timeout is held back by a shield.
#[test]
fn a_limit_bounds_the_lookup_of_the_name_too() {
    let resolver = mute_resolver();
    let start = Instant::now();
    for result in [
        TcpStream::connect_timeout("localhost:80", SHORT).map(drop),
        TcpStream::connect_timeout(("localhost", 80), SHORT).map(drop),
        shield(|| TcpStream::connect_timeout(String::from("localhost:80"), SHORT).map(drop)),
        lookup_host_timeout(("localhost", 80), SHORT).map(drop),
    ] {
        let error = result.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(error.to_string().starts_with("cannot resolve the name `localhost`: "), "{error}");
    }
    // Addresses of a type of one's own.
    struct Own;
    impl ToSocketAddrs for Own {
        fn to_socket_addrs(&self) -> io::Result<Vec<SocketAddr>> {
            "localhost:80".to_socket_addrs()
        }
    }
    let error = TcpStream::connect_timeout(Own, SHORT).unwrap_err();
    assert!(error.kind() == ErrorKind::TimedOut && start.elapsed() < PROMPT);
    assert_eq!(lookup_host_timeout(("127.0.0.1", 80), SHORT).unwrap(), ["127.0.0.1:80".parse().unwrap()]);
    drop(resolver);
    assert!(!lookup_host_timeout(("localhost", 80), LONG).unwrap().is_empty());
}

// SK35: a long series of lookups under a timeout.
#[test]
fn a_series_of_lookups_is_interrupted_in_the_middle_of_one() {
    let start = Instant::now();
    let looked_up = timeout(ms(30), || {
        for _ in 0..50_000 {
            lookup_host(("localhost", 80)).unwrap();
        }
        let _resolver = mute_resolver();
        lookup_host(("localhost", 80)).map(drop)
    });
    assert!(looked_up.is_err() && start.elapsed() < PROMPT);
    assert!(!lookup_host(("localhost", 80)).unwrap().is_empty());
}

// SK36: with a real resolver. `.ci/sockets` runs it, where this is the name server of the system.
#[test]
#[ignore = "needs a system whose name server is 127.0.0.77"]
fn a_name_server_that_never_answers_costs_the_time_allowed() {
    let mute = std::net::UdpSocket::bind("127.0.0.77:53").unwrap();
    mute.set_read_timeout(Some(PROMPT)).unwrap();
    let ticks = Rc::new(Cell::new(0));
    let ticking = spawn({
        let ticks = ticks.clone();
        move || {
            loop {
                sleep(ms(1));
                ticks.set(ticks.get() + 1);
            }
        }
    });
    for result in [
        lookup_host_timeout(("one.test", 80), SHORT).map(drop),
        TcpStream::connect_timeout("two.test:80", SHORT).map(drop),
    ] {
        let error = result.unwrap_err();
        assert!(error.kind() == ErrorKind::TimedOut && error.to_string().contains(".test`: "), "{error}");
    }
    assert!(timeout(SHORT, || TcpStream::connect("three.test:80").map(drop)).is_err());
    let killed = spawn_parked(|| lookup_host(("four.test", 80)));
    killed.kill();
    assert!(killed.join().unwrap_err().is_killed());
    assert!(ticks.get() > 3, "the others have run meanwhile");
    assert!(
        lookup_host(("localhost", 80)).unwrap().iter().all(|address| address.ip().is_loopback()),
        "one that needs no server"
    );
    // In the end the resolver gives up by itself.
    let error =
        timeout(LONG, || lookup_host(("five.test", 80))).expect("the resolver's own limit").unwrap_err();
    assert!(error.to_string().starts_with("cannot resolve the name `five.test`: "), "{error}");
    assert!(mute.recv(&mut [0; 512]).is_ok(), "the server was not asked");
    ticking.kill();
}

// SK34: names that need no server. The answers are those of the system's resolver.
#[test]
fn lookups_give_what_the_resolver_of_the_system_gives() {
    let hostname = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let hosts = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
    let listed = hosts.lines().filter(|line| !line.starts_with('#'));
    let listed = listed.flat_map(|line| line.split_whitespace().skip(1)).map(String::from);
    let too_long = format!("{}.invalid", "a".repeat(64));
    let names =
        ["localhost", "LOCALHOST", "127.0.0.1", "127.1", "0x7f.0.0.1", "::1", "255.255.255.255", "0.0.0.0"];
    let bad = ["", "a b", "..", "\u{e4}\u{f6}..", "[::1]", &too_long, "nul\0inside"];
    let own =
        (!hostname.trim().is_empty() && hosts.contains(hostname.trim())).then(|| hostname.trim().to_string());
    let all = names.into_iter().chain(bad).map(String::from).chain(listed.take(10)).chain(own);
    let mut found = 0;
    for name in all {
        let expected = std::net::ToSocketAddrs::to_socket_addrs(&(name.as_str(), 0));
        match (lookup_host((name.as_str(), 0)), expected) {
            (Ok(given), Ok(expected)) => {
                assert_eq!(given, Vec::from_iter(expected), "{name}");
                found += 1;
            }
            (Err(given), Err(expected)) => {
                assert_eq!(given.kind(), expected.kind(), "{name}");
                assert!(given.to_string().ends_with(&expected.to_string()), "{given}");
            }
            (given, expected) => panic!("{name}: {given:?} instead of {:?}", expected.map(Vec::from_iter)),
        }
    }
    assert!(found >= 6, "only {found} names were found");
}

// SK22
#[test]
fn the_scope_of_an_address_reaches_the_socket_unchanged() {
    let Ok(listener) = std::net::TcpListener::bind("[::1]:0") else { return };
    let port = listener.local_addr().unwrap().port();
    // The interface 1 is the loopback; for the address ::1 the system does not look at it.
    let scoped = SocketAddrV6::new("::1".parse().unwrap(), port, 0, 1);
    assert_eq!(TcpStream::connect(scoped).unwrap().peer_addr().unwrap().port(), port);
    assert_eq!(TcpStream::connect(format!("[::1%1]:{port}")).unwrap().peer_addr().unwrap().port(), port);
    // A link-local address without an interface cannot be reached, so it is seen that the scope is handed over.
    let nowhere = SocketAddrV6::new("fe80::1".parse().unwrap(), port, 0, 4_000_000);
    let error = TcpStream::connect_timeout(nowhere, PROMPT).unwrap_err();
    assert!(error.to_string().contains("fe80::1%4000000"), "{error}");
}

// SK19
#[test]
fn a_connection_can_come_from_a_chosen_address() {
    let ((listener, address), dead) = (listen(), nobody());
    let local: SocketAddr = "127.0.0.2:0".parse().unwrap();
    let client = TcpStream::connect_from(local, address).unwrap();
    assert_eq!(client.local_addr().unwrap().ip(), local.ip());
    assert_eq!(listener.accept().unwrap().1, client.local_addr().unwrap());
    // With a port, two connections from it to different peers.
    let (other, other_address) = listen();
    let local = listen().1;
    let one = TcpStream::connect_from(local, address).unwrap();
    let two = TcpStream::connect_from(local, other_address).unwrap();
    assert_eq!([one.local_addr().unwrap(), two.local_addr().unwrap()], [local; 2]);
    drop((other, one, two));
    // Refused.
    let free = listen().1;
    for local in ["127.0.0.1:0".parse().unwrap(), free] {
        let error = TcpStream::connect_from(local, dead).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        assert!(
            error.to_string().starts_with(&format!("cannot connect from {local} to {dead}: ")),
            "{error}"
        );
    }
    // Not an address of this machine; of the other family; only the right ones of several.
    let error = TcpStream::connect_from("192.0.2.1:0".parse().unwrap(), address).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrNotAvailable);
    let error = TcpStream::connect_from("[::1]:0".parse().unwrap(), address).unwrap_err();
    assert!(error.kind() == ErrorKind::InvalidInput && error.to_string().contains("other family"), "{error}");
    let mixed = ["[::1]:1".parse().unwrap(), address];
    let local = "127.0.0.1:0".parse().unwrap();
    assert_eq!(TcpStream::connect_from(local, mixed.as_slice()).unwrap().peer_addr().unwrap(), address);
}

// SK20
#[test]
fn an_interruption_closes_all_half_made_sockets_and_tries_no_other_address() {
    const NAME: &str = "an_interruption_closes_all_half_made_sockets_and_tries_no_other_address";
    in_a_child(NAME, "", || {
        let mutes = [Mute::new(), Mute::new()];
        let (listener, address) = listen();
        let addresses = [mutes[0].address(), mutes[1].address(), address];
        sleep(ms(1));
        let before = open_descriptors();
        let connect = move || TcpStream::connect(addresses.as_slice()).map(drop);
        let mut killed = Vec::new();
        // In the first attempt, and in the second.
        for limit in [ms(10), ms(260), ms(490)] {
            virtual_time(|| {
                assert!(timeout(limit, connect).is_err());
                assert_eq!(elapsed(), limit);
                let connecting = spawn(connect);
                sleep(limit);
                killed.push(open_descriptors() - before);
                connecting.kill();
                assert!(connecting.join().unwrap_err().is_killed());
            });
        }
        assert_eq!(killed, [1, 2, 2]);
        assert!(timeout(SHORT, || listener.accept().map(drop)).is_err(), "the next address was tried");
        assert_eq!(open_descriptors(), before);
    });
}

#[test]
fn the_sockets_of_those_that_lose_are_closed() {
    const NAME: &str = "the_sockets_of_those_that_lose_are_closed";
    in_a_child(NAME, "", || {
        let (mutes, (listener, address)) = ([Mute::new(), Mute::new()], listen());
        let addresses = [mutes[0].address(), mutes[1].address(), nobody(), address];
        let before = open_descriptors();
        let client = virtual_time(|| TcpStream::connect(addresses.as_slice()).unwrap());
        assert_eq!(open_descriptors(), before + 1);
        let (server, peer) = listener.accept().unwrap();
        assert_eq!(peer, client.local_addr().unwrap());
        drop((client, server));
        assert_eq!(open_descriptors(), before);
    });
}

#[test]
fn others_run_while_a_greenlet_connects() {
    let (one, other) = (Mute::new(), Mute::new());
    let addresses = [one.address(), other.address()];
    let connecting = spawn_parked(move || TcpStream::connect(addresses.as_slice()).map(drop));
    let ran = Flag::default();
    spawn({
        let ran = ran.clone();
        move || ran.raise()
    });
    sleep(ms(1));
    assert!(ran.is_up() && !connecting.is_finished());
    connecting.kill();
}

#[test]
fn many_greenlets_connect_over_bad_addresses_at_once() {
    let (listener, address) = listen();
    let (dead, mute) = (nobody(), Mute::new());
    let server = spawn(move || {
        for stream in listener.incoming().take(100) {
            stream.unwrap().write_all(b"here").unwrap();
        }
    });
    let done = Rc::new(RefCell::new(0));
    let lists =
        [vec![address], vec![dead, address], vec![mute.address(), dead, address], vec![dead, dead, address]];
    let clients: Vec<_> = (0..100)
        .map(|n| {
            let (list, done) = (lists[n % 4].clone(), done.clone());
            spawn(move || {
                let mut text = String::new();
                TcpStream::connect(list.as_slice()).unwrap().read_to_string(&mut text).unwrap();
                assert_eq!(text, "here");
                *done.borrow_mut() += 1;
            })
        })
        .collect();
    for client in clients {
        client.join().unwrap();
    }
    server.join().unwrap();
    assert_eq!(*done.borrow(), 100);
}
