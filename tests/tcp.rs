//! TCP sockets: names, addresses, errors, and what the standard library's sockets can do.

mod net_support;

use std::error::Error;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, SocketAddrV4};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use greenloop::net::{TcpListener, TcpStream, ToSocketAddrs, lookup_host};
use greenloop::{join_all, sleep, spawn, threadpool, timeout, yield_now};
use net_support::{Flag, LONG, Mute, Nobody, PROMPT, SHORT, connection, ms, spawn_parked};

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

#[test]
fn an_address_can_be_given_in_every_form() {
    let (listener, address) = listen();
    let port = address.port();
    fn check(listener: &TcpListener, to: impl ToSocketAddrs) {
        let client = TcpStream::connect(to).unwrap();
        let (server, peer) = listener.accept().unwrap();
        assert_eq!((peer, server.peer_addr().unwrap()), (client.local_addr().unwrap(), peer));
        assert_eq!(server.local_addr().unwrap(), client.peer_addr().unwrap());
        assert_eq!(server.local_addr().unwrap(), listener.local_addr().unwrap());
    }
    check(&listener, address);
    let borrowed: &SocketAddr = &address;
    check(&listener, borrowed);
    check(&listener, format!("127.0.0.1:{port}"));
    check(&listener, format!("127.0.0.1:{port}").as_str());
    check(&listener, format!("localhost:{port}"));
    check(&listener, ("127.0.0.1", port));
    check(&listener, ("localhost", port));
    check(&listener, (String::from("localhost"), port));
    check(&listener, (Ipv4Addr::LOCALHOST, port));
    check(&listener, (address.ip(), port));
    check(&listener, SocketAddrV4::new(Ipv4Addr::LOCALHOST, port));
    check(&listener, [address, nobody()].as_slice());
}

#[test]
fn ipv6_is_spoken_where_there_is_any() {
    if std::net::TcpListener::bind("[::1]:0").is_err() {
        return;
    }
    let listener = TcpListener::bind("[::1]:0").unwrap();
    let client = TcpStream::connect(("::1", listener.local_addr().unwrap().port())).unwrap();
    assert_eq!(listener.accept().unwrap().1, client.local_addr().unwrap());
    assert!(client.local_addr().unwrap().is_ipv6());
}

#[test]
fn the_addresses_are_tried_in_turn_and_the_last_failure_is_told() {
    let (_listener, address) = listen();
    let (dead, deader) = (nobody(), nobody());
    let client = TcpStream::connect([dead, address].as_slice()).unwrap();
    assert_eq!(client.peer_addr().unwrap(), address);
    let error = TcpStream::connect([dead, deader].as_slice()).unwrap_err();
    assert!(error.to_string().contains(&deader.to_string()), "{error}");
    let none: &[SocketAddr] = &[];
    assert_eq!(TcpStream::connect(none).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(TcpListener::bind(none).unwrap_err().kind(), ErrorKind::InvalidInput);
    let bound = TcpListener::bind([address, "127.0.0.1:0".parse().unwrap()].as_slice()).unwrap();
    assert_ne!(bound.local_addr().unwrap(), address);
}

// SK14, SV02
#[test]
fn a_refused_connection_is_an_error_that_names_the_address_and_keeps_the_number() {
    let dead = nobody();
    for result in [TcpStream::connect(dead), TcpStream::connect_timeout(dead, LONG)] {
        let error = result.unwrap_err();
        assert_eq!(
            (error.kind(), raw_error(&error)),
            (ErrorKind::ConnectionRefused, Some(libc::ECONNREFUSED))
        );
        assert!(error.to_string().starts_with(&format!("cannot connect to {dead}: ")), "{error}");
    }
}

// SK15: while the name is looked up the others run.
#[test]
fn a_name_that_cannot_be_resolved_is_an_error_that_names_it() {
    // A label may have 63 characters, so no server is asked.
    let name = format!("{}.invalid", "a".repeat(64));
    // The threads that look up are held until another greenlet has run.
    let (open, gate) = mpsc::channel::<()>();
    let gate = Arc::new(Mutex::new(gate));
    for _ in 0..threadpool().limit() {
        let gate = gate.clone();
        drop(threadpool().spawn(move || gate.lock().unwrap().recv().is_err()));
    }
    let others = Flag::default();
    let ran = others.clone();
    spawn(move || {
        ran.raise();
        drop(open);
    });
    let error = TcpStream::connect((name.as_str(), 80)).unwrap_err();
    assert!(others.is_up());
    assert!(error.to_string().starts_with(&format!("cannot resolve the name `{name}`: ")), "{error}");
    assert!(error.source().is_some());
    let again = [
        TcpStream::connect(format!("{name}:80")).unwrap_err(),
        TcpListener::bind((name.as_str(), 0)).unwrap_err(),
        lookup_host((name.as_str(), 0)).unwrap_err(),
    ];
    assert!(again.iter().all(|error| error.to_string().contains(&name)));
}

// SK35
#[test]
fn a_lookup_that_takes_long_is_left_when_the_time_is_up() {
    let (open, gate) = mpsc::channel::<()>();
    let gate = Arc::new(Mutex::new(gate));
    // The lookup waits behind these for a thread.
    let jobs: Vec<_> = (0..threadpool().limit())
        .map(|_| {
            let gate = gate.clone();
            threadpool().spawn(move || gate.lock().unwrap().recv().is_err())
        })
        .collect();
    let start = Instant::now();
    assert!(timeout(SHORT, || TcpStream::connect("localhost:1").map(drop)).is_err());
    let looking = spawn_parked(|| lookup_host(("localhost", 80)));
    assert!(!looking.is_finished());
    looking.kill();
    assert!(looking.join().unwrap_err().is_killed() && start.elapsed() < PROMPT);
    drop(open);
    assert!(jobs.into_iter().all(|job| job.join().unwrap()));
    assert!(lookup_host(("localhost", 80)).unwrap().iter().all(|address| address.ip().is_loopback()));
}

#[test]
fn what_is_no_address_is_an_error_that_says_what_one_looks_like() {
    for bad in ["127.0.0.1", "localhost:http", "127.0.0.1:65536", "127.0.0.1:-1", ":", ""] {
        let error = TcpStream::connect(bad).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains(&format!("`{bad}`")) && error.to_string().contains("host:port"));
    }
}

// SV15
#[test]
fn an_address_that_cannot_be_had_is_named_with_advice() {
    let (_listener, address) = listen();
    let error = TcpListener::bind(address).unwrap_err();
    assert_eq!((error.kind(), raw_error(&error)), (ErrorKind::AddrInUse, Some(libc::EADDRINUSE)));
    let text = error.to_string();
    assert!(text.contains(&address.to_string()) && text.contains("another program"), "{text}");
    // An address for documentation, which no machine has.
    let error = TcpListener::bind("192.0.2.1:0").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AddrNotAvailable);
    assert!(error.to_string().contains("192.0.2.1:0"), "{error}");
}

// SK07
#[test]
fn a_connection_that_nobody_answers_times_out() {
    let mute = Mute::new();
    let (start, others) = (Instant::now(), Flag::default());
    let ran = others.clone();
    spawn(move || ran.raise());
    let error = TcpStream::connect_timeout(mute.address(), ms(20)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(error.to_string().contains(&mute.address().to_string()), "{error}");
    assert!(start.elapsed() >= ms(20) && start.elapsed() < PROMPT && others.is_up());
}

#[test]
fn peek_takes_nothing() {
    let (mut a, mut b) = connection();
    let peeker = spawn_parked({
        let b = b.try_clone().unwrap();
        move || {
            let mut place = [0; 10];
            let count = b.peek(&mut place).unwrap();
            (count, place[..count].to_vec())
        }
    });
    a.write_all(b"hello").unwrap();
    assert_eq!(peeker.join().unwrap(), (5, b"hello".to_vec()));
    let mut place = [0; 2];
    assert_eq!((b.peek(&mut place).unwrap(), place), (2, *b"he"));
    assert_eq!((b.read(&mut place).unwrap(), place), (2, *b"he"));
    drop(a);
    let mut rest = String::new();
    b.read_to_string(&mut rest).unwrap();
    assert_eq!((rest.as_str(), b.peek(&mut place).unwrap()), ("llo", 0));
}

#[test]
fn a_connection_can_be_closed_in_one_direction() {
    let (mut a, mut b) = connection();
    a.write_all(b"question").unwrap();
    a.shutdown(Shutdown::Write).unwrap();
    assert_eq!(a.write(b"more").unwrap_err().kind(), ErrorKind::BrokenPipe);
    let mut text = String::new();
    b.read_to_string(&mut text).unwrap();
    assert_eq!((text.as_str(), b.read(&mut [0; 8]).unwrap()), ("question", 0));
    b.write_all(b"answer").unwrap();
    b.shutdown(Shutdown::Both).unwrap();
    text.clear();
    a.read_to_string(&mut text).unwrap();
    assert_eq!(text, "answer");
    // The other side of the shutdown.
    drop(b);
    assert_eq!(a.read(&mut [0; 8]).unwrap(), 0);
}

// SK02
#[test]
fn empty_reads_and_writes_do_nothing() {
    let (mut a, mut b) = connection();
    assert_eq!((b.read(&mut []).unwrap(), b.peek(&mut []).unwrap()), (0, 0));
    a.set_write_timeout(Some(SHORT)).unwrap();
    assert_eq!(a.write(b"").unwrap(), 0);
    a.write_all(b"").unwrap();
    assert_eq!(a.write_vectored(&[]).unwrap(), 0);
    a.flush().unwrap();
    drop(a);
    assert_eq!(b.read(&mut [0; 8]).unwrap(), 0);
}

// SK07
#[test]
fn a_read_that_takes_too_long_has_read_nothing() {
    let (mut a, mut b) = connection();
    assert_eq!(b.read_timeout().unwrap(), None);
    b.set_read_timeout(Some(ms(10))).unwrap();
    for _ in 0..2 {
        let start = Instant::now();
        let error = b.read(&mut [0; 8]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(start.elapsed() >= ms(10) && start.elapsed() < PROMPT);
        assert_eq!(b.peek(&mut [0; 8]).unwrap_err().kind(), ErrorKind::TimedOut);
    }
    a.write_all(b"late").unwrap();
    let mut place = [0; 8];
    assert_eq!((b.read(&mut place).unwrap(), &place[..4]), (4, &b"late"[..]));
    // What is there already needs no time; no limit is for ever.
    b.set_read_timeout(None).unwrap();
    spawn(move || {
        sleep(ms(20));
        a.write_all(b"x")
    });
    assert_eq!(b.read(&mut place).unwrap(), 1);
}

// SK06, but for a limit that holds for each write, as in the standard library.
#[test]
fn a_write_to_a_peer_that_does_not_read_times_out() {
    let (mut a, _b) = connection();
    a.set_write_timeout(Some(ms(30))).unwrap();
    let (start, data) = (Instant::now(), vec![7; 32 << 20]);
    let error = a.write_all(&data).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    assert!(start.elapsed() >= ms(30) && start.elapsed() < PROMPT);
}

// SK39
#[test]
fn time_limits_are_shared_by_clones_and_cannot_be_zero() {
    let (a, _b) = connection();
    let clone = a.try_clone().unwrap();
    a.set_read_timeout(Some(ms(5))).unwrap();
    a.set_write_timeout(Some(ms(6))).unwrap();
    assert_eq!((clone.read_timeout().unwrap(), clone.write_timeout().unwrap()), (Some(ms(5)), Some(ms(6))));
    for set in [TcpStream::set_read_timeout, TcpStream::set_write_timeout] {
        assert_eq!(set(&a, Some(ms(0))).unwrap_err().kind(), ErrorKind::InvalidInput);
    }
    assert_eq!((a.read_timeout().unwrap(), a.write_timeout().unwrap()), (Some(ms(5)), Some(ms(6))));
}

#[test]
fn options_reach_the_system() {
    let (a, _b) = connection();
    for on in [true, false] {
        a.set_nodelay(on).unwrap();
        assert_eq!((a.nodelay().unwrap(), socket2::SockRef::from(&a).tcp_nodelay().unwrap()), (on, on));
    }
    a.set_ttl(42).unwrap();
    assert_eq!(a.ttl().unwrap(), 42);
    assert!(a.take_error().unwrap().is_none());
}

#[test]
fn a_keepalive_that_the_system_refuses_leaves_it_as_it_was() {
    let (a, _b) = connection();
    for silence in [Duration::ZERO, Duration::from_secs(40_000), Duration::MAX] {
        assert_eq!(a.set_keepalive(Some(silence)).unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(a.keepalive().unwrap(), None);
    }
    a.set_keepalive(Some(Duration::from_secs(60))).unwrap();
    a.set_keepalive(Some(Duration::ZERO)).unwrap_err();
    assert_eq!(a.keepalive().unwrap(), Some(Duration::from_secs(60)));
}

// SK18
#[test]
fn every_socket_is_closed_on_exec_and_does_not_block() {
    let (listener, address) = listen();
    let client = TcpStream::connect(address).unwrap();
    let (server, _) = listener.accept().unwrap();
    for descriptor in [listener.as_fd(), client.as_fd(), server.as_fd()] {
        let flags = rustix::io::fcntl_getfd(descriptor).unwrap();
        assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
        assert!(socket2::SockRef::from(&descriptor).nonblocking().unwrap());
    }
}

#[test]
fn clones_are_the_same_connection_until_the_last_is_dropped() {
    let (a, mut b) = connection();
    let mut clone = a.try_clone().unwrap();
    assert_eq!((clone.as_raw_fd(), clone.local_addr().unwrap()), (a.as_raw_fd(), a.local_addr().unwrap()));
    drop(a);
    clone.write_all(b"still open").unwrap();
    drop(clone);
    let mut text = String::new();
    b.read_to_string(&mut text).unwrap();
    assert_eq!(text, "still open");
}

#[test]
fn a_connection_goes_to_the_standard_library_and_back() {
    let (mut a, b) = connection();
    let descriptor = b.as_raw_fd();
    let mut std = b.into_std().unwrap();
    assert_eq!(std.as_raw_fd(), descriptor);
    // It blocks again: a read on another thread waits for the data.
    let reader = thread::spawn(move || {
        let mut place = [0; 4];
        std.read_exact(&mut place).map(|()| (std, place))
    });
    sleep(ms(10));
    assert!(!reader.is_finished());
    a.write_all(b"ping").unwrap();
    let (std, place) = reader.join().unwrap().unwrap();
    assert_eq!(place, *b"ping");
    let mut b = TcpStream::from_std(std).unwrap();
    let reader = spawn_parked(move || {
        let mut place = [0; 4];
        b.read_exact(&mut place).map(|()| place)
    });
    assert!(!reader.is_finished());
    a.write_all(b"pong").unwrap();
    assert_eq!(reader.join().unwrap().unwrap(), *b"pong");
}

#[test]
fn a_connection_with_clones_does_not_become_blocking_for_them() {
    let (mut a, b) = connection();
    let mut clone = b.try_clone().unwrap();
    let error = b.into_std().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ResourceBusy);
    assert!(error.to_string().contains("drop them first"), "{error}");
    // Its reader parks, so that the writer has its turn.
    let writer = spawn(move || a.write_all(b"x").map(|()| a));
    clone.read_exact(&mut [0]).unwrap();
    let a = writer.join().unwrap().unwrap();
    // As the only one left it can go.
    assert_eq!(clone.into_std().unwrap().peer_addr().unwrap(), a.local_addr().unwrap());
}

#[test]
fn a_connection_becomes_a_descriptor_as_it_is() {
    let (mut a, b) = connection();
    let (number, clone) = (b.as_raw_fd(), b.try_clone().unwrap());
    let duplicate = OwnedFd::from(b);
    let original = OwnedFd::from(clone);
    assert!(duplicate.as_raw_fd() != number && original.as_raw_fd() == number);
    drop(original);
    // It can be taken over again, and waits.
    let mut b = TcpStream::from_std(duplicate.into()).unwrap();
    let reader = spawn_parked(move || b.read(&mut [0; 8]));
    a.write_all(b"x").unwrap();
    assert_eq!(reader.join().unwrap().unwrap(), 1);
}

#[test]
fn a_listener_goes_to_the_standard_library_and_back() {
    let (listener, address) = listen();
    let std = listener.into_std().unwrap();
    let client = thread::spawn(move || std::net::TcpStream::connect(address).unwrap().local_addr().unwrap());
    let peer = std.accept().unwrap().1;
    assert_eq!(peer, client.join().unwrap());
    let listener = TcpListener::from_std(std).unwrap();
    let acceptor = spawn_parked(move || listener.accept().map(|(_, peer)| peer));
    assert!(!acceptor.is_finished());
    let client = TcpStream::connect(address).unwrap();
    assert_eq!(acceptor.join().unwrap().unwrap(), client.local_addr().unwrap());
}

// SK31
#[test]
fn a_duplicate_made_through_its_descriptor_works_after_the_original_is_closed() {
    let (mut a, b) = connection();
    let duplicate = b.as_fd().try_clone_to_owned().unwrap();
    drop(b);
    let mut b = TcpStream::from_std(duplicate.into()).unwrap();
    let reader = spawn_parked(move || {
        let mut text = String::new();
        b.read_to_string(&mut text).map(|_| text)
    });
    a.write_all(b"through the duplicate").unwrap();
    drop(a);
    assert_eq!(reader.join().unwrap().unwrap(), "through the duplicate");
}

#[test]
fn several_pieces_are_written_in_one_go() {
    let (mut a, mut b) = connection();
    let parts = [IoSlice::new(b"one "), IoSlice::new(b""), IoSlice::new(b"two "), IoSlice::new(b"three")];
    assert_eq!(a.write_vectored(&parts).unwrap(), 13);
    let mut place = [0; 32];
    assert_eq!(b.read(&mut place).unwrap(), 13);
    assert_eq!(&place[..13], b"one two three");
}

// SK04
#[test]
fn one_greenlet_reads_while_another_writes() {
    const SIZE: usize = 4 << 20;
    let (a, b) = connection();
    // Both ends send far more than the kernel buffers before either would read on its own.
    let copy = |stream: &TcpStream| {
        let (mut reading, mut writing) = (stream.try_clone().unwrap(), stream.try_clone().unwrap());
        let writer = spawn(move || writing.write_all(&vec![7; SIZE]));
        let reader = spawn(move || reading.read_exact(&mut vec![0; SIZE]));
        [writer, reader]
    };
    let all = join_all(copy(&a).into_iter().chain(copy(&b)));
    assert!(all.into_iter().all(|result| result.unwrap().is_ok()));
    // By reference, without a clone.
    let shared = std::rc::Rc::new(a);
    let reader = spawn_parked({
        let shared = shared.clone();
        move || {
            let mut text = String::new();
            (&*shared).read_to_string(&mut text).map(|_| text)
        }
    });
    (&*shared).write_all(b"to b").unwrap();
    (&b).write_all(b"to a").unwrap();
    b.shutdown(Shutdown::Write).unwrap();
    assert_eq!(reader.join().unwrap().unwrap(), "to a");
}

// SK26
#[test]
fn a_second_reader_gets_a_clear_error_and_the_first_is_not_disturbed() {
    let (mut a, b) = connection();
    let first = spawn_parked({
        let mut b = b.try_clone().unwrap();
        move || {
            let mut place = [0; 8];
            let count = b.read(&mut place)?;
            io::Result::Ok(place[..count].to_vec())
        }
    });
    for _ in 0..2 {
        let error = (&b).read(&mut [0; 8]).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("already being read") && text.contains(&format!("#{}", first.id())), "{text}");
        assert!(b.peek(&mut [0; 8]).is_err());
    }
    a.write_all(b"for one").unwrap();
    assert_eq!(first.join().unwrap().unwrap(), b"for one");
    // Nobody waits any more.
    a.write_all(b"x").unwrap();
    assert_eq!((&b).read(&mut [0; 8]).unwrap(), 1);
}

// SK26
#[test]
fn a_second_writer_or_acceptor_gets_a_clear_error() {
    let (a, mut b) = connection();
    let size = 32 << 20;
    let writer = spawn_parked({
        let mut a = a.try_clone().unwrap();
        move || a.write_all(&vec![7; size])
    });
    let text = (&a).write(b"x").unwrap_err().to_string();
    assert!(text.contains("already being written") && text.contains(&format!("#{}", writer.id())), "{text}");
    b.read_exact(&mut vec![0; size]).unwrap();
    writer.join().unwrap().unwrap();
    let (listener, address) = listen();
    let listener = std::rc::Rc::new(listener);
    let acceptor = spawn_parked({
        let listener = listener.clone();
        move || listener.accept().map(|(_, peer)| peer)
    });
    let error = listener.accept().map(drop).unwrap_err();
    assert!(error.to_string().contains(&format!("#{}", acceptor.id())), "{error}");
    let client = TcpStream::connect(address).unwrap();
    assert_eq!(acceptor.join().unwrap().unwrap(), client.local_addr().unwrap());
}

#[test]
fn connections_come_one_after_the_other() {
    let (listener, address) = listen();
    let clients = spawn(move || {
        (0..5_u8)
            .map(|n| {
                let mut client = TcpStream::connect(address).unwrap();
                client.write_all(&[n]).unwrap();
                yield_now();
                client
            })
            .collect::<Vec<_>>()
    });
    let mut seen = Vec::new();
    for stream in listener.incoming().take(5) {
        let mut first = [0];
        stream.unwrap().read_exact(&mut first).unwrap();
        seen.extend(first);
    }
    assert_eq!(seen, [0, 1, 2, 3, 4]);
    clients.join().unwrap();
}

#[test]
fn a_thousand_connections_in_one_thread() {
    let (listener, address) = listen();
    let server = spawn(move || {
        for stream in listener.incoming().take(1000) {
            let mut stream = stream.unwrap();
            spawn(move || {
                let mut text = String::new();
                stream.read_to_string(&mut text).unwrap();
                stream.write_all(text.to_uppercase().as_bytes()).unwrap();
            });
        }
    });
    let clients = (0..1000).map(|n| {
        spawn(move || {
            let mut client = TcpStream::connect(address)?;
            write!(client, "client {n}")?;
            client.shutdown(Shutdown::Write)?;
            let mut text = String::new();
            client.read_to_string(&mut text)?;
            io::Result::Ok(text == format!("CLIENT {n}"))
        })
    });
    net_support::raise_descriptor_limit();
    assert!(join_all(clients).into_iter().all(|result| result.unwrap().unwrap()));
    server.join().unwrap();
}
