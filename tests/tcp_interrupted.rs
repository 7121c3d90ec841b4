//! TCP sockets when something comes between: a close, a reset, a kill, a timeout, at every place where a call parks.

mod net_support;

use std::cell::RefCell;
use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

use greenloop::net::{TcpListener, TcpStream, UnixStream};
use greenloop::{sleep, spawn, timeout, wait_all, yield_now};
use net_support::{
    LONG, Log, Mute, Numbers, OnDrop, PROMPT, Pattern, SHORT, connection, ms, reset, spawn_parked,
};

/// Reads until the end, `size` bytes at a time, as a program that knows nothing of ends does; gives what came by piece.
fn read_pieces(mut stream: &TcpStream, size: usize) -> io::Result<Vec<Vec<u8>>> {
    let (mut place, mut pieces) = (vec![0; size], Vec::new());
    loop {
        match stream.read(&mut place)? {
            0 => return Ok(pieces),
            count => pieces.push(place[..count].to_vec()),
        }
    }
}

/// Lets the hub see everything that the kernel has to tell.
fn let_events_come() {
    sleep(ms(2));
}

// The end comes with the data, and the first read takes less than there is room for.
#[test]
fn an_end_that_comes_together_with_the_data_is_seen() {
    // The reader may come before the hub has seen the event, just when it has, or be parked already.
    for order in ["read at once", "after the event", "parked", "parked behind a first read"] {
        let (mut a, b) = connection();
        let mut start = 0;
        let reader = match order {
            "parked" => Some(spawn_parked({
                let b = b.try_clone().unwrap();
                move || read_pieces(&b, 100)
            })),
            "parked behind a first read" => {
                a.write_all(b"first").unwrap();
                start = 5;
                let reader = spawn_parked({
                    let b = b.try_clone().unwrap();
                    move || read_pieces(&b, 100)
                });
                let_events_come();
                Some(reader)
            }
            _ => None,
        };
        a.write_all(b"the last words").unwrap();
        drop(a);
        if order == "after the event" {
            let_events_come();
        }
        let pieces = match reader {
            Some(reader) => timeout(PROMPT, || reader.join()).expect(order).unwrap(),
            None => timeout(PROMPT, || read_pieces(&b, 100)).expect(order),
        };
        assert_eq!(&pieces.unwrap().concat()[start..], b"the last words", "{order}");
    }
}

// A half close, and every size of reads around the size of the data.
#[test]
fn an_end_is_seen_whatever_the_size_of_the_reads() {
    for size in 1..=9 {
        let (mut a, b) = connection();
        a.write_all(b"12345678").unwrap();
        a.shutdown(Shutdown::Write).unwrap();
        if size % 2 == 0 {
            let_events_come();
        }
        let pieces = timeout(PROMPT, || read_pieces(&b, size)).expect("an end").unwrap();
        assert_eq!(pieces.concat(), b"12345678");
        assert_eq!((&b).read(&mut [0; 4]).unwrap(), 0);
    }
}

#[test]
fn an_end_is_seen_that_comes_between_the_event_and_the_read() {
    let (mut a, b) = connection();
    a.write_all(b"first").unwrap();
    let_events_come();
    a.write_all(b" second").unwrap();
    drop(a);
    // The hub knows of the first piece only, and the read gets both and not all that it asked for.
    let pieces = timeout(PROMPT, || read_pieces(&b, 100)).expect("an end").unwrap();
    assert_eq!(pieces.concat(), b"first second");
}

// A read stops at urgent data although there is more behind it.
#[test]
fn data_behind_urgent_data_is_read() {
    for parked in [false, true] {
        let (mut a, b) = connection();
        let reader = parked.then(|| {
            let mut b = b.try_clone().unwrap();
            spawn_parked(move || {
                let mut place = [0; 6];
                b.read_exact(&mut place).map(|()| place)
            })
        });
        a.write_all(b"abc").unwrap();
        socket2::SockRef::from(&a).send_out_of_band(b"!").unwrap();
        a.write_all(b"def").unwrap();
        let mut place = [0; 6];
        let come = timeout(Duration::from_secs(1), || match reader {
            Some(reader) => place = reader.join().unwrap().unwrap(),
            None => {
                let pieces = [(&b).read(&mut place).unwrap(), (&b).read(&mut place[3..]).unwrap()];
                assert_eq!(pieces, [3, 3]);
            }
        });
        assert_eq!((come, &place), (Ok(()), b"abcdef"), "parked: {parked}");
    }
}

#[test]
fn a_reset_is_an_error_of_whoever_reads_or_writes() {
    // Parked in a read.
    let (a, b) = connection();
    let reader = spawn_parked({
        let mut b = b.try_clone().unwrap();
        move || b.read(&mut [0; 8])
    });
    reset(a);
    assert_eq!(reader.join().unwrap().unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!((&b).write(b"x").unwrap_err().kind(), ErrorKind::BrokenPipe);
    // Parked in a write.
    let (a, mut b) = connection();
    let writer = spawn_parked(move || b.write_all(&vec![7; 32 << 20]));
    assert!(!writer.is_finished());
    reset(a);
    let kind = writer.join().unwrap().unwrap_err().kind();
    assert!(matches!(kind, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{kind:?}");
    // Not yet there.
    let (a, mut b) = connection();
    reset(a);
    assert_eq!(b.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    let (a, mut b) = connection();
    reset(a);
    let kinds = [(); 2].map(|()| b.write_all(b"x").unwrap_err().kind());
    assert_eq!(kinds, [ErrorKind::ConnectionReset, ErrorKind::BrokenPipe]); // the system tells it once
    // In both directions at once.
    let (a, b) = connection();
    let both = [
        spawn_parked({
            let mut b = b.try_clone().unwrap();
            move || b.read(&mut [0; 8]).unwrap_err()
        }),
        spawn_parked(move || (&b).write_all(&vec![7; 32 << 20]).unwrap_err()),
    ];
    reset(a);
    for greenlet in both {
        greenlet.join().unwrap();
    }
}

// HB07, SK25: here a socket cannot be closed while another waits for it, but it can be shut down.
#[test]
fn a_shutdown_wakes_the_greenlets_that_wait_for_the_socket() {
    let start = Instant::now();
    let (_a, b) = connection();
    let reader = spawn_parked({
        let mut b = b.try_clone().unwrap();
        move || b.read(&mut [0; 8])
    });
    b.shutdown(Shutdown::Read).unwrap();
    assert_eq!(reader.join().unwrap().unwrap(), 0);
    let writer = spawn_parked({
        let mut b = b.try_clone().unwrap();
        move || b.write_all(&vec![7; 32 << 20])
    });
    assert!(!writer.is_finished());
    b.shutdown(Shutdown::Both).unwrap();
    assert_eq!(writer.join().unwrap().unwrap_err().kind(), ErrorKind::BrokenPipe);
    let (_a, b) = connection();
    let both = [
        spawn_parked({
            let mut b = b.try_clone().unwrap();
            move || b.read(&mut [0; 8])
        }),
        spawn_parked({
            let mut b = b.try_clone().unwrap();
            move || b.write_all(&vec![7; 32 << 20]).map(|()| 0)
        }),
    ];
    b.shutdown(Shutdown::Both).unwrap();
    let [read, written] = both.map(|greenlet| greenlet.join().unwrap());
    assert_eq!((read.unwrap(), written.unwrap_err().kind()), (0, ErrorKind::BrokenPipe));
    assert!(start.elapsed() < PROMPT);
}

// SK20
#[test]
fn a_greenlet_that_is_killed_while_it_connects_leaves_nothing_behind() {
    let mute = Mute::new();
    let address = mute.address();
    let connecting = spawn_parked(move || TcpStream::connect(address).map(drop));
    assert!(!connecting.is_finished());
    connecting.kill();
    assert!(connecting.join().unwrap_err().is_killed());
    assert!(timeout(SHORT, || TcpStream::connect(address).map(drop)).is_err());
    // The next addresses are not tried.
    let (listener, start) = (TcpListener::bind("127.0.0.1:0").unwrap(), Instant::now());
    let addresses = [address, listener.local_addr().unwrap()];
    assert!(timeout(SHORT, || TcpStream::connect(addresses.as_slice()).map(drop)).is_err());
    assert!(timeout(SHORT, || listener.accept().map(drop)).is_err());
    assert!(start.elapsed() < PROMPT);
}

// SK20, SK32
#[test]
fn an_accept_that_is_interrupted_loses_no_connection() {
    let listener = Rc::new(TcpListener::bind("127.0.0.1:0").unwrap());
    let address = listener.local_addr().unwrap();
    let accept = |listener: &Rc<TcpListener>| {
        let listener = listener.clone();
        spawn_parked(move || listener.accept().map(|(_, peer)| peer))
    };
    assert!(timeout(SHORT, || listener.accept().map(drop)).is_err());
    let killed = accept(&listener);
    killed.kill();
    // Connected when the kill comes, but the acceptor has not been told.
    let (killed, client) = (accept(&listener), std::net::TcpStream::connect(address).unwrap());
    killed.kill();
    assert!(killed.join().unwrap_err().is_killed());
    assert_eq!(listener.accept().unwrap().1, client.local_addr().unwrap());
    let client = TcpStream::connect(address).unwrap();
    assert_eq!(listener.accept().unwrap().1, client.local_addr().unwrap());
}

#[test]
fn a_read_that_is_interrupted_loses_no_byte() {
    let (mut a, b) = connection();
    assert!(timeout(SHORT, || (&b).read(&mut [0; 8])).is_err());
    let mut place = [0; 8];
    let killed = spawn_parked({
        let mut b = b.try_clone().unwrap();
        move || b.read(&mut [0; 8])
    });
    killed.kill();
    a.write_all(b"one").unwrap();
    assert_eq!((&b).read(&mut place).unwrap(), 3);
    // The data is there when the kill comes, but the reader has not been told.
    let killed = spawn_parked({
        let mut b = b.try_clone().unwrap();
        move || b.read(&mut [0; 8])
    });
    a.write_all(b"two").unwrap();
    killed.kill();
    assert!(killed.join().unwrap_err().is_killed());
    assert_eq!((&b).read(&mut place).unwrap(), 3);
    assert_eq!(&place[..3], b"two");
}

// Readers come and go, by timeouts, kills and limits of the socket, at random times; not a byte is lost or doubled.
#[test]
fn readers_that_come_and_go_lose_no_byte() {
    const TOTAL: u64 = 300_000;
    let (mut a, b) = connection();
    let sender = spawn(move || {
        let (mut pattern, mut numbers) = (Pattern::new(), Numbers(3));
        while pattern.offset() < TOTAL {
            let most = 1 + numbers.below(3000).min((TOTAL - pattern.offset()) as usize - 1);
            let count = a.write(pattern.peek(most)).unwrap();
            pattern.advance(count);
            match numbers.below(4) {
                0 => sleep(Duration::from_micros(numbers.next() % 1500)),
                1 => yield_now(),
                _ => {}
            }
        }
    });
    let pattern = Rc::new(RefCell::new(Pattern::new()));
    let read = {
        let pattern = pattern.clone();
        move |stream: &TcpStream, size: usize| {
            let mut place = vec![0; size];
            let mut stream = stream;
            match stream.read(&mut place) {
                Ok(count) => pattern.borrow_mut().check(&place[..count]),
                Err(error) => assert_eq!(error.kind(), ErrorKind::TimedOut),
            }
        }
    };
    let (mut numbers, start) = (Numbers(5), Instant::now());
    while pattern.borrow().offset() < TOTAL {
        assert!(start.elapsed() < PROMPT, "stuck at {}", pattern.borrow().offset());
        let (size, pause) = (1 + numbers.below(5000), Duration::from_micros(numbers.next() % 700));
        match numbers.below(3) {
            0 => drop(timeout(pause, || read(&b, size))),
            1 => {
                b.set_read_timeout(Some(pause.max(Duration::from_micros(1)))).unwrap();
                read(&b, size);
                b.set_read_timeout(None).unwrap();
            }
            _ => {
                let (read, b) = (read.clone(), b.try_clone().unwrap());
                let reader = spawn(move || read(&b, size));
                sleep(pause);
                reader.kill();
            }
        }
    }
    sender.join().unwrap();
    assert_eq!(pattern.borrow().offset(), TOTAL);
}

// The same for writers: what a write has taken is sent, what it has not taken is not.
#[test]
fn writers_that_come_and_go_send_every_byte_once() {
    const TOTAL: u64 = 6_000_000;
    let (a, b) = connection();
    for stream in [&a, &b] {
        // Small, so that writers have to wait.
        socket2::SockRef::from(stream).set_send_buffer_size(20_000).unwrap();
    }
    let reader = spawn(move || {
        let (mut pattern, mut numbers, mut b) = (Pattern::new(), Numbers(3), b);
        let mut place = vec![0; 300_000];
        loop {
            match b.read(&mut place).unwrap() {
                0 => return pattern.offset(),
                count => pattern.check(&place[..count]),
            }
            if numbers.below(3) == 0 {
                sleep(Duration::from_micros(numbers.next() % 1000));
            }
        }
    });
    let pattern = Rc::new(RefCell::new(Pattern::new()));
    let write = {
        let pattern = pattern.clone();
        move |stream: &TcpStream, size: usize| {
            let (mut stream, piece) = (stream, pattern.borrow().peek(size).to_vec());
            match stream.write(&piece) {
                Ok(count) => pattern.borrow_mut().advance(count),
                Err(error) => assert_eq!(error.kind(), ErrorKind::TimedOut),
            }
        }
    };
    let (mut numbers, mut waited, start) = (Numbers(5), 0, Instant::now());
    while pattern.borrow().offset() < TOTAL {
        assert!(start.elapsed() < PROMPT, "stuck at {}", pattern.borrow().offset());
        let (size, pause) = (1 + numbers.below(60_000), Duration::from_micros(numbers.next() % 500));
        let before = pattern.borrow().offset();
        match numbers.below(3) {
            0 => drop(timeout(pause, || write(&a, size))),
            1 => {
                a.set_write_timeout(Some(pause.max(Duration::from_micros(1)))).unwrap();
                write(&a, size);
                a.set_write_timeout(None).unwrap();
            }
            _ => {
                let (write, a) = (write.clone(), a.try_clone().unwrap());
                let writer = spawn(move || write(&a, size));
                sleep(pause);
                writer.kill();
            }
        }
        waited += u32::from(pattern.borrow().offset() == before);
    }
    drop(a);
    assert!(waited > 10, "only {waited} writes were interrupted");
    assert_eq!(reader.join().unwrap(), pattern.borrow().offset());
}

// SK20: an expiry of an outer scope ends the read and leaves the inner limits alone.
#[test]
fn an_outer_timeout_goes_through_the_limit_of_the_socket() {
    let (mut a, mut b) = connection();
    b.set_read_timeout(Some(LONG)).unwrap();
    assert!(timeout(SHORT, || b.read(&mut [0; 8])).is_err());
    b.set_read_timeout(Some(SHORT)).unwrap();
    let kind = timeout(LONG, || b.read(&mut [0; 8]).unwrap_err().kind());
    assert_eq!(kind, Ok(ErrorKind::TimedOut));
    a.write_all(b"x").unwrap();
    assert_eq!(b.read(&mut [0; 8]).unwrap(), 1);
}

// Ready input wins over a timeout that is noticed in the same turn.
#[test]
fn data_that_is_there_wins_over_a_time_limit_that_has_passed_meanwhile() {
    let (mut a, mut b) = connection();
    b.set_read_timeout(Some(ms(10))).unwrap();
    let reader = spawn_parked(move || {
        let by_socket = b.read(&mut [0; 8]);
        b.set_read_timeout(None).unwrap();
        (by_socket, timeout(ms(10), || b.read(&mut [0; 8]).unwrap()))
    });
    let mut late = || {
        a.write_all(b"x").unwrap();
        // Nobody looks at the clock or at the socket while this thread is held.
        std::thread::sleep(ms(20));
        yield_now();
    };
    late();
    while a_turn_is_needed(&reader) {
        late();
    }
    let (by_socket, by_scope) = reader.join().unwrap();
    assert_eq!((by_socket.unwrap(), by_scope), (1, Ok(1)));
}

fn a_turn_is_needed<T>(greenlet: &greenloop::Greenlet<T>) -> bool {
    sleep(ms(1));
    !greenlet.is_finished()
}

#[test]
fn sockets_in_a_destructor_of_a_killed_greenlet_do_not_wait() {
    let log = Log::new();
    let (mut a, b) = connection();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let guard = OnDrop({
        let (log, b) = (log.clone(), b.try_clone().unwrap());
        move || {
            let mut place = [0; 8];
            // What is there already can be had.
            log.add((&b).read(&mut place).map_err(|error| error.to_string()));
            log.add((&b).read(&mut place).map_err(|error| error.to_string()));
            log.add((&b).write(b"bye").map_err(|error| error.to_string()));
            log.add(listener.accept().map(|_| 0).map_err(|error| error.to_string()));
        }
    });
    let g = spawn_parked(move || {
        let _guard = guard;
        sleep(LONG)
    });
    a.write_all(b"here").unwrap();
    g.kill();
    let [read, again, written, accepted] = log.take().try_into().unwrap();
    assert_eq!((read, written), (Ok(4), Ok(3)));
    for text in [again.unwrap_err(), accepted.unwrap_err()] {
        assert!(text.contains("destructors do not block"), "{text}");
    }
    // It is usable afterwards.
    let mut place = [0; 8];
    assert_eq!(a.read(&mut place).unwrap(), 3);
    a.write_all(b"x").unwrap();
    assert_eq!((&b).read(&mut place).unwrap(), 1);
}

#[test]
fn closing_a_listener_resets_the_clients_that_were_not_accepted() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let mut client = TcpStream::connect(address).unwrap();
    drop(listener);
    assert_eq!(client.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::ConnectionReset);
    assert_eq!(TcpStream::connect(address).unwrap_err().kind(), ErrorKind::ConnectionRefused);
}

// SK40: a wake-up for a descriptor that was closed does not reach the next one with its number.
#[test]
fn a_descriptor_whose_number_is_used_again_gets_only_its_own_events() {
    for _ in 0..50 {
        let (mut a, b) = connection();
        a.write_all(b"for the old one").unwrap();
        drop(b);
        let (mut c, d) = connection();
        drop(a);
        let reader = spawn_parked(move || {
            let mut place = [0; 8];
            let count = (&d).read(&mut place)?;
            io::Result::Ok(place[..count].to_vec())
        });
        yield_now();
        c.write_all(b"new").unwrap();
        assert_eq!(reader.join().unwrap().unwrap(), b"new");
    }
    wait_all();
}

// SK40: the same, while a duplicate keeps the old one open, and with it whatever the system has noted of it.
#[test]
fn a_duplicate_of_a_closed_descriptor_disturbs_nobody_who_has_its_number() {
    // In a process of its own, where nobody else takes the number.
    const NAME: &str = "a_duplicate_of_a_closed_descriptor_disturbs_nobody_who_has_its_number";
    net_support::in_a_child(NAME, "", || {
        let (mut a, b) = connection();
        let (number, duplicate) = (b.as_raw_fd(), b.as_fd().try_clone_to_owned().unwrap());
        drop(b);
        let (mut reading, mut writing) = UnixStream::pair().unwrap();
        assert_eq!(reading.as_raw_fd(), number, "the number is used again");
        let reader = spawn_parked(move || {
            let mut place = [0; 8];
            let count = reading.read(&mut place)?;
            io::Result::Ok(place[..count].to_vec())
        });
        for _ in 0..3 {
            a.write_all(b"for the old one").unwrap();
            let_events_come();
            assert!(!reader.is_finished());
        }
        writing.write_all(b"new").unwrap();
        assert_eq!(reader.join().unwrap().unwrap(), b"new");
        let mut place = [0; 45];
        TcpStream::from_std(duplicate.into()).unwrap().read_exact(&mut place).unwrap();
        assert_eq!(place, *b"for the old one".repeat(3));
    });
}

// A thread-local socket whose hub has ended before it must not touch the sockets of the next hub.
#[test]
fn a_socket_that_outlives_its_hub_leaves_the_next_hub_alone() {
    struct Last(Option<(TcpStream, TcpStream)>, std::sync::mpsc::Sender<String>);
    impl Drop for Last {
        fn drop(&mut self) {
            // The hub of `self.0` is gone; this makes another.
            let (mut a, mut b) = connection();
            drop(self.0.take());
            let reader = spawn_parked(move || {
                let mut text = String::new();
                b.read_to_string(&mut text).map(|_| text)
            });
            a.write_all(b"still read").unwrap();
            drop(a);
            if reader.wait_timeout(Duration::from_secs(2)) {
                self.1.send(reader.join().unwrap().unwrap()).unwrap();
            }
        }
    }
    thread_local!(static LAST: RefCell<Option<Last>> = const { RefCell::new(None) });
    const NAME: &str = "a_socket_that_outlives_its_hub_leaves_the_next_hub_alone";
    net_support::in_a_child(NAME, "", || {
        let (sender, receiver) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            // Registered before the hub, so destroyed after it.
            LAST.with(|last| *last.borrow_mut() = Some(Last(None, sender)));
            let sockets = connection();
            LAST.with(|last| last.borrow_mut().as_mut().unwrap().0 = Some(sockets));
        });
        assert_eq!(receiver.recv_timeout(PROMPT).as_deref(), Ok("still read"));
        thread.join().unwrap();
    });
}
