//! Sockets of all kinds when something goes wrong: peers that reset or close anywhere, too few descriptors, peers that are slow,
//! kills and timeouts at every place where a call parks.
#![cfg(target_os = "linux")]

mod net_support;

use std::cell::RefCell;
use std::error::Error;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Instant;

use greenloop::net::{TcpListener, TcpStream, UdpSocket, UnixDatagram, UnixListener, UnixStream};
use greenloop::{sleep, spawn, timeout, yield_now};
use net_support::{
    Flag, Mute, Numbers, PROMPT, Pattern, SHORT, connection, in_a_child, ms, open_descriptors, reset,
    spawn_parked,
};

/// What TCP and Unix streams have in common.
trait Stream: Read + Write + AsFd + Sized + 'static {
    fn pair() -> (Self, Self);
    fn another(&self) -> Self;
    fn end(&self, how: Shutdown);
    /// Can the peer be made to see a reset although it has nothing unread?
    const ALWAYS_RESETS: bool;

    fn reset(self);
}

impl Stream for TcpStream {
    fn pair() -> (Self, Self) {
        connection()
    }

    fn another(&self) -> Self {
        self.try_clone().unwrap()
    }

    fn end(&self, how: Shutdown) {
        self.shutdown(how).unwrap();
    }

    const ALWAYS_RESETS: bool = true;

    fn reset(self) {
        reset(self);
    }
}

impl Stream for UnixStream {
    fn pair() -> (Self, Self) {
        UnixStream::pair().unwrap()
    }

    fn another(&self) -> Self {
        self.try_clone().unwrap()
    }

    fn end(&self, how: Shutdown) {
        self.shutdown(how).unwrap();
    }

    const ALWAYS_RESETS: bool = false;

    fn reset(self) {
        drop(self);
    }
}

const QUESTION: &[u8] = b"0123456789abcdef";
const ANSWER: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWX";

/// Asks, and reads the answer to its end: what came before the end or the failure, and how it ended.
fn ask<S: Stream>(mut stream: S) -> (Vec<u8>, io::Result<()>) {
    let mut came = Vec::new();
    let outcome = stream.write_all(QUESTION).and_then(|()| {
        let mut place = [0; 5];
        loop {
            match stream.read(&mut place)? {
                0 => return Ok(()),
                count => came.extend_from_slice(&place[..count]),
            }
        }
    });
    (came, outcome)
}

/// The peer reads so many bytes of the question, sends so many of the answer, and goes.
fn peer<S: Stream>(mut stream: S, read: usize, written: usize, orderly: bool) -> impl FnOnce() {
    move || {
        stream.read_exact(&mut vec![0; read]).unwrap();
        for byte in &ANSWER[..written] {
            stream.write_all(&[*byte]).unwrap();
            yield_now();
        }
        match orderly {
            true => {
                stream.end(Shutdown::Write);
                // Nothing unread may be left, or the end would be a reset.
                while stream.read(&mut [0; 64]).is_ok_and(|count| count > 0) {}
            }
            false => stream.reset(),
        }
    }
}

fn reset_anywhere<S: Stream>() {
    for cut in 0..QUESTION.len() + ANSWER.len() {
        let (read, written) = (cut.min(QUESTION.len()), cut.saturating_sub(QUESTION.len()));
        let (a, b) = S::pair();
        let client = spawn(move || ask(a));
        spawn(peer(b, read, written, false));
        let (came, outcome) =
            timeout(PROMPT, || client.join()).unwrap_or_else(|_| panic!("stuck, cut at {cut}")).unwrap();
        // A reset may throw away what had come before it.
        assert!(ANSWER[..written].starts_with(&came), "cut at {cut}: {came:?}");
        match outcome {
            Err(error) => {
                let kind = error.kind();
                assert!(
                    matches!(kind, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe),
                    "cut at {cut}: {kind:?}"
                );
            }
            Ok(()) => {
                assert!(!S::ALWAYS_RESETS && read == QUESTION.len(), "cut at {cut}: no reset");
                assert_eq!(came, &ANSWER[..written], "cut at {cut}");
            }
        }
    }
}

#[test]
fn a_peer_that_resets_at_any_byte_of_an_exchange_is_an_error_at_once() {
    reset_anywhere::<TcpStream>();
    reset_anywhere::<UnixStream>();
}

fn end_anywhere<S: Stream>() {
    for written in 0..=ANSWER.len() {
        let (a, b) = S::pair();
        let client = spawn(move || {
            let keep = a.another();
            let outcome = ask(a);
            drop(keep);
            outcome
        });
        let server = spawn(peer(b, QUESTION.len(), written, true));
        let (came, outcome) =
            timeout(PROMPT, || client.join()).unwrap_or_else(|_| panic!("stuck at {written}")).unwrap();
        outcome.unwrap();
        assert_eq!(came, &ANSWER[..written]);
        server.join().unwrap();
    }
}

#[test]
fn an_end_at_any_byte_of_an_answer_comes_after_all_of_it() {
    end_anywhere::<TcpStream>();
    end_anywhere::<UnixStream>();
}

/// Both sides end one direction at different bytes, and go on in the other.
fn half_closed<S: Stream>() {
    for (from_a, from_b) in [(0, 0), (0, 5), (7, 0), (1, 1), (100_000, 3), (3, 100_000), (400_000, 400_000)] {
        let (a, b) = S::pair();
        let side = |stream: S, count: usize| {
            spawn(move || {
                let (mut reading, mut writing) = (stream.another(), stream);
                let writer = spawn(move || {
                    writing.write_all(&vec![9; count]).unwrap();
                    writing.end(Shutdown::Write);
                    let error = writing.write(b"x").unwrap_err();
                    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
                });
                let mut got = Vec::new();
                reading.read_to_end(&mut got).unwrap();
                writer.join().unwrap();
                got.len()
            })
        };
        let (a, b) = (side(a, from_a), side(b, from_b));
        assert_eq!((a.join().unwrap(), b.join().unwrap()), (from_b, from_a));
    }
}

#[test]
fn both_sides_end_their_direction_when_they_like() {
    half_closed::<TcpStream>();
    half_closed::<UnixStream>();
}

/// A reader that is slower than the writer, in bytes, with the smallest buffers.
fn slow<S: Stream>(read: usize, write: usize, total: u64) {
    let (a, b) = S::pair();
    for stream in [&a, &b] {
        let socket = socket2::SockRef::from(stream);
        socket.set_send_buffer_size(1).unwrap();
        socket.set_recv_buffer_size(1).unwrap();
    }
    let writer = spawn(move || {
        let (mut a, mut pattern) = (a, Pattern::new());
        while pattern.offset() < total {
            let most = write.min((total - pattern.offset()) as usize);
            let count = a.write(pattern.peek(most)).unwrap();
            pattern.advance(count);
        }
    });
    let reader = spawn(move || {
        let (mut b, mut pattern, mut place) = (b, Pattern::new(), vec![0; read]);
        let mut numbers = Numbers(11);
        loop {
            match b.read(&mut place).unwrap() {
                0 => return pattern.offset(),
                count => pattern.check(&place[..count]),
            }
            if numbers.below(100) == 0 {
                yield_now();
            }
        }
    });
    writer.join().unwrap();
    assert_eq!(timeout(PROMPT, || reader.join()).expect("the end").unwrap(), total);
}

#[test]
fn single_bytes_and_full_buffers_lose_nothing() {
    for (read, write) in [(1, 1), (1, 50_000), (50_000, 1)] {
        slow::<TcpStream>(read, write, 20_000);
        slow::<UnixStream>(read, write, 20_000);
    }
}

/// Something that parks, again and again, until something happens elsewhere; and then gives what it has got.
struct Case {
    name: &'static str,
    /// May be called at any time. Parks as long as nothing has happened.
    call: Rc<dyn Fn() -> Vec<u8>>,
    /// Makes it possible for the call to go on.
    happen: Box<dyn Fn()>,
    /// What the call gives then, the first time.
    gives: &'static [u8],
}

fn case(
    name: &'static str,
    call: impl Fn() -> Vec<u8> + 'static,
    happen: impl Fn() + 'static,
    gives: &'static [u8],
) -> Case {
    Case { name, call: Rc::new(call), happen: Box::new(happen), gives }
}

/// A folder for sockets, removed by the test at its end.
fn folder(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("greenloop-faults-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&path).unwrap();
    path
}

fn cases(folder: &std::path::Path) -> Vec<Case> {
    let mut cases = Vec::new();
    // A read, of each kind of socket.
    fn reading<S: Stream>(name: &'static str) -> Case {
        let (a, b) = S::pair();
        let call = move || {
            let mut place = [0; 8];
            let count = b.another().read(&mut place).unwrap();
            place[..count].to_vec()
        };
        case(name, call, move || a.another().write_all(b"data").unwrap(), b"data")
    }
    cases.push(reading::<TcpStream>("TcpStream::read"));
    cases.push(reading::<UnixStream>("UnixStream::read"));
    let (a, b) = connection();
    let peek = move || {
        let mut place = [0; 8];
        let count = b.peek(&mut place).unwrap();
        place[..count].to_vec()
    };
    cases.push(case("TcpStream::peek", peek, move || (&a).write_all(b"data").unwrap(), b"data"));
    let (a, b) = (UdpSocket::bind("127.0.0.1:0").unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
    let to = b.local_addr().unwrap();
    let receive = move || {
        let mut place = [0; 8];
        let count = b.recv_from(&mut place).unwrap().0;
        place[..count].to_vec()
    };
    cases.push(case("UdpSocket::recv_from", receive, move || _ = a.send_to(b"data", to).unwrap(), b"data"));
    let (a, b) = UnixDatagram::pair().unwrap();
    let receive = move || {
        let mut place = [0; 8];
        let count = b.recv(&mut place).unwrap();
        place[..count].to_vec()
    };
    cases.push(case("UnixDatagram::recv", receive, move || _ = a.send(b"data").unwrap(), b"data"));
    // An accept: the connection comes from the standard library, with something to read.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let accept = move || {
        let mut place = [0; 8];
        let count = listener.accept().unwrap().0.read(&mut place).unwrap();
        place[..count].to_vec()
    };
    let connect = move || std::net::TcpStream::connect(address).unwrap().write_all(b"data").unwrap();
    cases.push(case("TcpListener::accept", accept, connect, b"data"));
    let path = folder.join("accept");
    let listener = UnixListener::bind(&path).unwrap();
    let accept = move || {
        let mut place = [0; 8];
        let count = listener.accept().unwrap().0.read(&mut place).unwrap();
        place[..count].to_vec()
    };
    let connect = move || std::os::unix::net::UnixStream::connect(&path).unwrap().write_all(b"data").unwrap();
    cases.push(case("UnixListener::accept", accept, connect, b"data"));
    cases
}

#[test]
fn a_call_that_is_killed_or_timed_out_where_it_parks_has_taken_nothing() {
    let folder = folder("park");
    for Case { name, call, happen, gives } in cases(&folder) {
        let start = Instant::now();
        // Nothing happens: a timeout, a kill before and after the park.
        assert!(timeout(SHORT, || call()).is_err(), "{name}");
        let park = || {
            let call = call.clone();
            spawn_parked(move || call())
        };
        let killed = park();
        assert!(!killed.is_finished(), "{name}");
        killed.kill();
        assert!(killed.join().unwrap_err().is_killed(), "{name}");
        let never = spawn({
            let call = call.clone();
            move || call()
        });
        never.kill();
        // Something happens in the same turn as the kill, which comes first.
        let killed = park();
        happen();
        killed.kill_nowait();
        assert!(killed.join().unwrap_err().is_killed(), "{name}");
        assert_eq!(timeout(PROMPT, || call()).as_deref(), Ok(gives), "{name}");
        assert!(start.elapsed() < PROMPT);
    }
    std::fs::remove_dir_all(folder).unwrap();
}

/// Fills the buffers of a stream, so that the next write parks.
fn fill<S: Stream>(stream: &S) -> usize {
    let mut sent = 0;
    // The system moves data from one buffer to the other for a while.
    while let Ok(count) = timeout(ms(20), || stream.another().write(&[7; 100_000]).unwrap()) {
        sent += count;
    }
    sent
}

/// A writer that is killed or timed out where it parks has sent nothing.
fn interrupted_writer<S: Stream>() {
    let (a, b) = S::pair();
    let sent = fill(&a);
    let write = {
        let a = a.another();
        move || a.another().write(b"!!!!").unwrap()
    };
    assert!(timeout(SHORT, &write).is_err());
    let killed = spawn_parked(write);
    assert!(!killed.is_finished());
    killed.kill();
    assert!(killed.join().unwrap_err().is_killed());
    // The peer makes room in the same turn as the kill.
    let killed = spawn_parked({
        let a = a.another();
        move || a.another().write(b"!!!!").unwrap()
    });
    let mut first = vec![0; sent.min(1 << 20)];
    b.another().read_exact(&mut first).unwrap();
    killed.kill();
    let written = killed.join().ok();
    a.end(Shutdown::Write);
    let mut rest = Vec::new();
    b.another().read_to_end(&mut rest).unwrap();
    assert_eq!(first.len() + rest.len(), sent + written.unwrap_or(0));
    assert_eq!(rest.iter().filter(|&&byte| byte == b'!').count(), written.unwrap_or(0));
}

#[test]
fn a_write_that_is_killed_or_timed_out_where_it_parks_has_sent_nothing() {
    interrupted_writer::<TcpStream>();
    interrupted_writer::<UnixStream>();
}

fn writes_of_nothing<S: Stream>() {
    let (a, b) = S::pair();
    fill(&a);
    let write = |parts: &[IoSlice<'_>]| {
        let write = || (a.another().write(&[]), a.another().write_vectored(parts));
        let (plain, vectored) = timeout(PROMPT, write).expect("it waits for room");
        [plain.map_err(|error| error.kind()), vectored.map_err(|error| error.kind())]
    };
    for parts in [&[][..], &[IoSlice::new(&[]), IoSlice::new(&[])]] {
        assert_eq!(write(parts), [Ok(0), Ok(0)]);
        // Who waits for room to write something is not in the way.
        let parked = spawn_parked({
            let a = a.another();
            move || a.another().write(b"x").unwrap()
        });
        assert!(!parked.is_finished());
        assert_eq!(write(parts), [Ok(0), Ok(0)]);
        parked.kill();
    }
    a.end(Shutdown::Write);
    assert_eq!(write(&[]), [Err(ErrorKind::BrokenPipe); 2]);
    drop(b);
}

// SK02
#[test]
fn nothing_is_written_without_waiting_for_room() {
    writes_of_nothing::<TcpStream>();
    writes_of_nothing::<UnixStream>();
}

// SK20
#[test]
fn a_connect_that_is_killed_or_timed_out_where_it_parks_leaves_no_socket() {
    const NAME: &str = "a_connect_that_is_killed_or_timed_out_where_it_parks_leaves_no_socket";
    in_a_child(NAME, "", || {
        let folder = folder("connect");
        let (mute, path) = (Mute::new(), folder.join("full"));
        let address = mute.address();
        let listener = UnixListener::bind(&path).unwrap();
        socket2::SockRef::from(&listener).listen(0).unwrap();
        let connect_unix = move || UnixStream::connect(&path).map(drop);
        let _queued = std::os::unix::net::UnixStream::connect(folder.join("full")).unwrap();
        drop(connection());
        type Connect = Rc<dyn Fn() -> io::Result<()>>;
        let connects: [Connect; 4] = [
            Rc::new(move || TcpStream::connect(address).map(drop)),
            Rc::new(move || TcpStream::connect_timeout(address, PROMPT).map(drop)),
            Rc::new(move || TcpStream::connect_from("127.0.0.1:0".parse().unwrap(), address).map(drop)),
            Rc::new(connect_unix),
        ];
        let before = open_descriptors();
        for connect in connects {
            assert!(timeout(SHORT, || connect()).is_err());
            for turns in 0..3 {
                let connect = connect.clone();
                let killed = spawn(move || connect());
                (0..turns).for_each(|_| yield_now());
                killed.kill();
                assert!(killed.join().unwrap_err().is_killed());
            }
            assert_eq!(open_descriptors(), before);
        }
        std::fs::remove_dir_all(&folder).unwrap();
    });
}

fn raw_error(error: &io::Error) -> Option<i32> {
    let inner = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    inner.unwrap_or(error).raw_os_error()
}

#[test]
fn too_few_descriptors_are_an_error_of_each_call_and_no_more() {
    const NAME: &str = "too_few_descriptors_are_an_error_of_each_call_and_no_more";
    in_a_child(NAME, "ulimit -n 64", || {
        let folder = folder("emfile");
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let path = folder.join("socket");
        let unix_listener = UnixListener::bind(&path).unwrap();
        let (mut a, mut b) = connection();
        let queued = std::net::TcpStream::connect(address).unwrap();
        let unix_queued = std::os::unix::net::UnixStream::connect(&path).unwrap();
        let taken: Vec<_> = std::iter::from_fn(|| std::fs::File::open("/dev/null").ok()).collect();
        assert!(taken.len() > 20);
        let parked = spawn_parked({
            let listener = listener.try_clone().unwrap();
            move || listener.accept().map(drop)
        });
        for _ in 0..2 {
            let errors = [
                TcpStream::connect(address).map(drop),
                TcpStream::connect([address, address].as_slice()).map(drop),
                TcpListener::bind("127.0.0.1:0").map(drop),
                listener.accept().map(drop),
                UdpSocket::bind("127.0.0.1:0").map(drop),
                UnixStream::connect(&path).map(drop),
                UnixStream::pair().map(drop),
                UnixListener::bind(folder.join("other")).map(drop),
                unix_listener.accept().map(drop),
                UnixDatagram::pair().map(drop),
                UnixDatagram::unbound().map(drop),
            ];
            for (number, outcome) in errors.into_iter().enumerate() {
                assert_eq!(raw_error(&outcome.unwrap_err()), Some(libc::EMFILE), "call {number}");
            }
        }
        assert_eq!(raw_error(&parked.join().unwrap().unwrap_err()), Some(libc::EMFILE));
        // What is open works on, and those that waited to be accepted are accepted when there is room.
        let reader = spawn_parked(move || b.read(&mut [0; 8]).unwrap());
        a.write_all(b"x").unwrap();
        assert_eq!(reader.join().unwrap(), 1);
        drop(taken);
        assert_eq!(listener.accept().unwrap().1, queued.local_addr().unwrap());
        unix_listener.accept().unwrap();
        drop(unix_queued);
        std::fs::remove_dir_all(&folder).unwrap();
    });
}

/// Sends pieces of random size both ways at once and checks every byte.
fn volume<S: Stream>(total: u64) {
    let (a, b) = S::pair();
    let both = |stream: S, seed| {
        let (mut reading, mut writing) = (stream.another(), stream);
        let writer = spawn(move || {
            let (mut pattern, mut numbers) = (Pattern::new(), Numbers(seed));
            while pattern.offset() < total {
                let most = (1 + numbers.below(200_000)).min((total - pattern.offset()) as usize);
                let count = writing.write(pattern.peek(most)).unwrap();
                pattern.advance(count);
            }
            writing.end(Shutdown::Write);
        });
        let reader = spawn(move || {
            let (mut pattern, mut numbers, mut place) = (Pattern::new(), Numbers(seed + 1), vec![0; 200_000]);
            loop {
                let size = 1 + numbers.below(200_000);
                match reading.read(&mut place[..size]).unwrap() {
                    0 => return pattern.offset(),
                    count => pattern.check(&place[..count]),
                }
            }
        });
        (writer, reader)
    };
    let ((a_writer, a_reader), (b_writer, b_reader)) = (both(a, 3), both(b, 5));
    for writer in [a_writer, b_writer] {
        writer.join().unwrap();
    }
    assert_eq!([a_reader.join().unwrap(), b_reader.join().unwrap()], [total; 2]);
}

// SK01, SK04: GREENLOOP_VOLUME_MIB=1024 sends a gibibyte.
#[test]
fn every_byte_of_a_large_volume_arrives_once_and_in_order() {
    let mebibytes =
        std::env::var("GREENLOOP_VOLUME_MIB").ok().and_then(|text| text.parse().ok()).unwrap_or(64);
    volume::<TcpStream>(mebibytes << 20);
    volume::<UnixStream>(mebibytes << 20);
}

/// Greenlets that yield and sleep come to their turns while another one reads what is always there.
fn fair<S: Stream>() {
    let (a, b) = S::pair();
    let over = Flag::default();
    let counters: [Rc<RefCell<u32>>; 2] = Default::default();
    let pauses: [fn(); 2] = [yield_now, || sleep(ms(1))];
    let others: Vec<_> = counters
        .iter()
        .cloned()
        .zip(pauses)
        .map(|(counter, pause)| {
            let over = over.clone();
            spawn(move || {
                while !over.is_up() {
                    pause();
                    *counter.borrow_mut() += 1;
                }
            })
        })
        .collect();
    let (mut a, mut b) = (a, b);
    let start = Instant::now();
    let mut rounds = 0;
    // The peer is this greenlet, so that neither of the calls ever has to wait.
    while start.elapsed() < ms(50) || rounds < 2000 {
        a.write_all(b"x").unwrap();
        b.read_exact(&mut [0]).unwrap();
        rounds += 1;
    }
    over.raise();
    greenloop::join_all(others);
    let [turns, ticks] = counters.map(|counter| *counter.borrow());
    assert!(turns >= 40 && ticks >= 5, "{turns} turns, {ticks} ticks, {rounds} rounds");
}

#[test]
fn who_always_has_something_to_read_lets_the_others_run() {
    fair::<TcpStream>();
    fair::<UnixStream>();
}
