//! UDP sockets.

mod net_support;

use std::cell::Cell;
use std::error::Error;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::AsRawFd;
use std::rc::Rc;
use std::time::Instant;

use greenloop::net::UdpSocket;
use greenloop::testing::assert_no_switch;
use greenloop::{sleep, spawn, timeout, yield_now};
use net_support::{Flag, LONG, Log, Numbers, OnDrop, PROMPT, Pattern, SHORT, ms, spawn_parked};

fn socket() -> UdpSocket {
    UdpSocket::bind("127.0.0.1:0").unwrap()
}

/// Two that are connected to each other.
fn connected() -> (UdpSocket, UdpSocket) {
    let (a, b) = (socket(), socket());
    a.connect(b.local_addr().unwrap()).unwrap();
    b.connect(a.local_addr().unwrap()).unwrap();
    (a, b)
}

fn receive(socket: &UdpSocket) -> io::Result<Vec<u8>> {
    let mut place = [0; 2000];
    let count = socket.recv(&mut place)?;
    Ok(place[..count].to_vec())
}

fn raw_error(error: &io::Error) -> Option<i32> {
    error.source().and_then(|source| source.downcast_ref::<io::Error>()).and_then(io::Error::raw_os_error)
}

#[test]
fn a_datagram_arrives_with_the_address_of_its_sender() {
    let (a, b) = (socket(), socket());
    let receiver = spawn_parked({
        let b = b.try_clone().unwrap();
        move || {
            let mut place = [0; 16];
            let (count, from) = b.recv_from(&mut place).unwrap();
            (place[..count].to_vec(), from)
        }
    });
    assert!(!receiver.is_finished());
    assert_eq!(a.send_to(b"hello", b.local_addr().unwrap()).unwrap(), 5);
    assert_eq!(receiver.join().unwrap(), (b"hello".to_vec(), a.local_addr().unwrap()));
    // By name, and in the other forms of an address.
    let port = b.local_addr().unwrap().port();
    a.send_to(b"1", ("127.0.0.1", port)).unwrap();
    a.send_to(b"2", format!("127.0.0.1:{port}")).unwrap();
    a.send_to(b"3", ("localhost", port)).unwrap();
    for n in b"123" {
        assert_eq!(receive(&b).unwrap(), [*n]);
    }
}

// One event for many datagrams, each smaller than the place for it: none is left behind.
#[test]
fn datagrams_that_come_together_are_received_one_by_one() {
    for parked in [false, true] {
        let (a, b) = connected();
        let receiver = spawn({
            let b = b.try_clone().unwrap();
            move || (0..20).map(|_| receive(&b).unwrap()).collect::<Vec<_>>()
        });
        if parked {
            yield_now();
        }
        for n in 0..20_u8 {
            assert_eq!(a.send(&vec![n; usize::from(n)]).unwrap(), usize::from(n));
        }
        let received = timeout(PROMPT, || receiver.join()).expect("all of them").unwrap();
        assert!(received.iter().enumerate().all(|(n, data)| *data == vec![n as u8; n]), "{received:?}");
    }
}

#[test]
fn a_datagram_that_is_too_long_for_its_place_is_cut_and_gone() {
    let (a, b) = connected();
    a.send(b"a long one").unwrap();
    a.send(b"next").unwrap();
    let mut place = [0; 4];
    assert_eq!((b.recv(&mut place).unwrap(), &place), (4, b"a lo"));
    assert_eq!((b.recv(&mut place).unwrap(), &place), (4, b"next"));
    // Even without any place.
    a.send(b"lost").unwrap();
    a.send(b"x").unwrap();
    assert_eq!(b.recv(&mut []).unwrap(), 0);
    assert_eq!(receive(&b).unwrap(), b"x");
}

// SK38: what is there is had without a switch.
#[test]
fn what_is_there_is_received_and_sent_at_once() {
    let (a, b) = connected();
    let to = b.local_addr().unwrap();
    assert_no_switch(|| {
        a.send(b"one").unwrap();
        a.send_to(b"two", to).unwrap_or_else(|_| a.send(b"two").unwrap());
        assert_eq!(receive(&b).unwrap(), b"one");
        assert_eq!(b.recv_from(&mut [0; 8]).unwrap(), (3, a.local_addr().unwrap()));
    });
}

#[test]
fn peek_takes_nothing() {
    let (a, b) = connected();
    let peeker = spawn_parked({
        let b = b.try_clone().unwrap();
        move || (b.peek(&mut [0; 8]).unwrap(), b.peek_from(&mut [0; 8]).unwrap())
    });
    a.send(b"here").unwrap();
    assert_eq!(peeker.join().unwrap(), (4, (4, a.local_addr().unwrap())));
    assert_eq!(receive(&b).unwrap(), b"here");
    b.set_read_timeout(Some(SHORT)).unwrap();
    assert_eq!(b.peek(&mut [0; 8]).unwrap_err().kind(), ErrorKind::TimedOut);
}

#[test]
fn a_connected_socket_hears_its_peer_only() {
    let ((a, b), stranger) = (connected(), socket());
    assert_eq!(b.peer_addr().unwrap(), a.local_addr().unwrap());
    stranger.send_to(b"from a stranger", b.local_addr().unwrap()).unwrap();
    a.send(b"from a").unwrap();
    assert_eq!(receive(&b).unwrap(), b"from a");
    b.set_read_timeout(Some(SHORT)).unwrap();
    assert_eq!(receive(&b).unwrap_err().kind(), ErrorKind::TimedOut);
    assert_eq!(stranger.peer_addr().unwrap_err().kind(), ErrorKind::NotConnected);
    assert_eq!(stranger.send(b"whom to?").unwrap_err().raw_os_error(), Some(libc::EDESTADDRREQ));
}

#[test]
fn a_peer_that_does_not_exist_is_an_error_of_the_next_call() {
    let a = socket();
    a.connect(socket().local_addr().unwrap()).unwrap();
    let receiver = spawn_parked({
        let a = a.try_clone().unwrap();
        move || receive(&a)
    });
    a.send(b"anybody there?").unwrap();
    let outcome = timeout(PROMPT, || receiver.join()).expect("an answer of the system").unwrap();
    assert_eq!(outcome.unwrap_err().kind(), ErrorKind::ConnectionRefused);
    // The socket is as good as before.
    let b = socket();
    b.connect(a.local_addr().unwrap()).unwrap();
    a.connect(b.local_addr().unwrap()).unwrap();
    b.send(b"yes").unwrap();
    assert_eq!(receive(&a).unwrap(), b"yes");
}

#[test]
fn errors_name_the_address() {
    let taken = socket();
    let address = taken.local_addr().unwrap();
    let error = UdpSocket::bind(address).unwrap_err();
    assert_eq!((error.kind(), raw_error(&error)), (ErrorKind::AddrInUse, Some(libc::EADDRINUSE)));
    assert!(error.to_string().starts_with(&format!("cannot bind a UDP socket to {address}: ")), "{error}");
    let error = taken.send_to(&[0; 70_000], address).unwrap_err();
    assert_eq!(raw_error(&error), Some(libc::EMSGSIZE));
    assert!(error.to_string().starts_with(&format!("cannot send to {address}: ")), "{error}");
    let none: &[std::net::SocketAddr] = &[];
    for error in [
        UdpSocket::bind(none).map(drop).unwrap_err(),
        taken.connect(none).unwrap_err(),
        taken.send_to(b"x", none).map(drop).unwrap_err(),
        UdpSocket::bind("localhost:http").map(drop).unwrap_err(),
    ] {
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
    let name = format!("{}.invalid", "a".repeat(64));
    let error = taken.send_to(b"x", (name.as_str(), 1)).unwrap_err();
    assert!(error.to_string().contains(&name), "{error}");
    let (none, any) = ("192.0.2.1".parse().unwrap(), std::net::Ipv4Addr::UNSPECIFIED);
    let error = taken.join_multicast_v4(&none, &any).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    assert!(
        error.to_string().starts_with("cannot join the group 192.0.2.1 at the interface 0.0.0.0: "),
        "{error}"
    );
    let error = taken.leave_multicast_v4(&"239.255.1.2".parse().unwrap(), &any).unwrap_err();
    assert!(error.to_string().starts_with("cannot leave the group 239.255.1.2 at "), "{error}");
    // The second address is taken if the first cannot be had.
    let second = UdpSocket::bind([address, "127.0.0.1:0".parse().unwrap()].as_slice()).unwrap();
    assert_ne!(second.local_addr().unwrap(), address);
}

// SK07, SK39
#[test]
fn a_receive_that_takes_too_long_has_taken_nothing() {
    let (a, b) = connected();
    b.set_read_timeout(Some(ms(10))).unwrap();
    b.set_write_timeout(Some(ms(11))).unwrap();
    let clone = b.try_clone().unwrap();
    assert_eq!((clone.read_timeout().unwrap(), clone.write_timeout().unwrap()), (Some(ms(10)), Some(ms(11))));
    for _ in 0..2 {
        let start = Instant::now();
        assert_eq!(clone.recv_from(&mut [0; 8]).unwrap_err().kind(), ErrorKind::TimedOut);
        assert!(start.elapsed() >= ms(10) && start.elapsed() < PROMPT);
    }
    assert_eq!(b.set_read_timeout(Some(ms(0))).unwrap_err().kind(), ErrorKind::InvalidInput);
    a.send(b"late").unwrap();
    assert_eq!(receive(&b).unwrap(), b"late");
}

// At each place where it parks, with and without a datagram that comes in the same turn.
#[test]
fn a_receive_that_is_interrupted_loses_no_datagram() {
    let receives: [fn(&UdpSocket) -> io::Result<usize>; 4] = [
        |socket| socket.recv(&mut [0; 8]),
        |socket| socket.recv_from(&mut [0; 8]).map(|(count, _)| count),
        |socket| socket.peek(&mut [0; 8]),
        |socket| socket.peek_from(&mut [0; 8]).map(|(count, _)| count),
    ];
    for receive_one in receives {
        let (a, b) = connected();
        assert!(timeout(SHORT, || receive_one(&b)).is_err());
        for with_data in [false, true] {
            let killed = spawn_parked({
                let b = b.try_clone().unwrap();
                move || receive_one(&b)
            });
            if with_data {
                a.send(b"data").unwrap();
            }
            killed.kill();
            assert!(killed.join().unwrap_err().is_killed());
        }
        assert_eq!(receive(&b).unwrap(), b"data");
    }
}

// SK26
#[test]
fn a_second_receiver_gets_a_clear_error_and_the_first_is_not_disturbed() {
    let (a, b) = connected();
    let first = spawn_parked({
        let b = b.try_clone().unwrap();
        move || receive(&b)
    });
    for _ in 0..2 {
        let text = receive(&b).unwrap_err().to_string();
        assert!(text.contains("already being read") && text.contains(&format!("#{}", first.id())), "{text}");
    }
    // Sending is another direction.
    b.send(b"out").unwrap();
    assert_eq!(receive(&a).unwrap(), b"out");
    a.send(b"in").unwrap();
    assert_eq!(first.join().unwrap().unwrap(), b"in");
}

#[test]
fn who_never_has_to_wait_lets_the_others_run() {
    let (a, b) = connected();
    let (turns, over) = (Rc::new(Cell::new(0)), Flag::default());
    let other = spawn({
        let (turns, over) = (turns.clone(), over.clone());
        move || {
            while !over.is_up() {
                yield_now();
                turns.update(|turns| turns + 1);
            }
        }
    });
    for _ in 0..1000 {
        a.send(b"x").unwrap();
        b.recv(&mut [0; 8]).unwrap();
    }
    over.raise();
    other.join().unwrap();
    assert!(turns.get() >= 20, "{} turns", turns.get());
}

#[test]
fn many_datagrams_of_all_sizes_arrive_whole_and_in_order() {
    const TOTAL: u64 = 8 << 20;
    const WINDOW: usize = 8;
    let (a, b) = connected();
    let receiver = spawn(move || {
        let (mut pattern, mut place) = (Pattern::new(), vec![0; 65_536]);
        for number in 1.. {
            let count = b.recv(&mut place).unwrap();
            if count == 0 {
                return pattern.offset();
            }
            pattern.check(&place[..count]);
            if number % WINDOW == 0 {
                b.send(b"go on").unwrap();
            }
        }
        unreachable!("the sender ends with an empty datagram")
    });
    let (mut pattern, mut numbers) = (Pattern::new(), Numbers(7));
    for number in 1.. {
        if pattern.offset() >= TOTAL {
            break;
        }
        let size = 1 + numbers.below(20_000);
        let count = a.send(pattern.peek(size)).unwrap();
        pattern.advance(count);
        if number % WINDOW == 0 {
            assert_eq!(receive(&a).unwrap(), b"go on");
        }
    }
    a.send(b"").unwrap();
    assert_eq!(receiver.join().unwrap(), pattern.offset());
}

#[test]
fn options_reach_the_system() {
    let a = socket();
    let system = socket2::SockRef::from(&a);
    for on in [true, false] {
        a.set_broadcast(on).unwrap();
        assert_eq!((a.broadcast().unwrap(), system.broadcast().unwrap()), (on, on));
        a.set_multicast_loop_v4(on).unwrap();
        assert_eq!((a.multicast_loop_v4().unwrap(), system.multicast_loop_v4().unwrap()), (on, on));
    }
    a.set_ttl(42).unwrap();
    a.set_multicast_ttl_v4(3).unwrap();
    assert_eq!((a.ttl().unwrap(), system.ttl_v4().unwrap()), (42, 42));
    assert_eq!((a.multicast_ttl_v4().unwrap(), system.multicast_ttl_v4().unwrap()), (3, 3));
    assert!(a.take_error().unwrap().is_none());
    if let Ok(six) = UdpSocket::bind("[::1]:0") {
        for on in [false, true] {
            six.set_multicast_loop_v6(on).unwrap();
            assert_eq!(six.multicast_loop_v6().unwrap(), on);
        }
    }
}

#[test]
fn members_of_a_group_hear_what_is_sent_to_it() {
    let (group, loopback) = (Ipv4Addr::new(239, 255, 77, 77), Ipv4Addr::LOCALHOST);
    let member = UdpSocket::bind((group, 0)).unwrap();
    member.join_multicast_v4(&group, &loopback).unwrap();
    let sender = socket();
    socket2::SockRef::from(&sender).set_multicast_if_v4(&loopback).unwrap();
    sender.send_to(b"to all", (group, member.local_addr().unwrap().port())).unwrap();
    assert_eq!(timeout(PROMPT, || receive(&member)).expect("a member hears it").unwrap(), b"to all");
    member.leave_multicast_v4(&group, &loopback).unwrap();
    member.leave_multicast_v4(&group, &loopback).unwrap_err();
    member.join_multicast_v4(&Ipv4Addr::new(10, 0, 0, 1), &loopback).unwrap_err();
    if let Ok(six) = UdpSocket::bind("[::1]:0") {
        let group = Ipv6Addr::new(0xff11, 0, 0, 0, 0, 0, 0, 77);
        six.join_multicast_v6(&group, 1).unwrap();
        six.leave_multicast_v6(&group, 1).unwrap();
        six.leave_multicast_v6(&group, 1).unwrap_err();
    }
}

// SK18
#[test]
fn a_socket_goes_to_the_standard_library_and_back() {
    let (a, b) = connected();
    let descriptor = b.as_raw_fd();
    let flags = rustix::io::fcntl_getfd(&b).unwrap();
    assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
    assert!(socket2::SockRef::from(&b).nonblocking().unwrap());
    let std = b.into_std().unwrap();
    assert_eq!(std.as_raw_fd(), descriptor);
    assert!(!socket2::SockRef::from(&std).nonblocking().unwrap());
    let b = UdpSocket::from_std(std).unwrap();
    let receiver = spawn_parked({
        let b = b.try_clone().unwrap();
        move || receive(&b)
    });
    assert!(!receiver.is_finished());
    a.send(b"back").unwrap();
    assert_eq!(receiver.join().unwrap().unwrap(), b"back");
    // With a clone it stays.
    let clone = b.try_clone().unwrap();
    assert_eq!(b.into_std().unwrap_err().kind(), ErrorKind::ResourceBusy);
    assert!(socket2::SockRef::from(&clone).nonblocking().unwrap());
    assert_eq!(clone.peer_addr().unwrap(), a.local_addr().unwrap());
    let shown = format!("{clone:?}");
    assert!(shown.contains(&clone.local_addr().unwrap().to_string()), "{shown}");
}

#[test]
fn in_a_destructor_of_a_killed_greenlet_it_does_not_wait() {
    let (log, (a, b)) = (Log::new(), connected());
    let guard = OnDrop({
        let log = log.clone();
        move || {
            log.add(receive(&b).map_err(|error| error.to_string()));
            log.add(receive(&b).map_err(|error| error.to_string()));
        }
    });
    let killed = spawn_parked(move || {
        let _guard = guard;
        sleep(LONG);
    });
    a.send(b"here").unwrap();
    killed.kill();
    let [first, second] = log.take().try_into().unwrap();
    assert_eq!(first.unwrap(), b"here");
    let text = second.unwrap_err();
    assert!(text.contains("destructors do not block"), "{text}");
}
